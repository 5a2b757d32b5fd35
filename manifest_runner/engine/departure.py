"""The last moment before a submission's bytes leave: the connection stands, and nothing has been sent.

Laws: until then a run that is stopped takes everything back; from then on the answer is heard, whatever is cancelled. A slot is
used when it opens or somewhat later; one that has lapsed (the process was stopped, the machine slept) is not used, unless that
has happened again and again: then the disk is slow, and progress is worth more than a window. One that has expired is never
used: the ledger may have given the submission to another machine. A departure that is later than a slot covers is told to the
ledger: once before, where it is known before, with time enough for the telling itself; and after the last byte, where even that
was not enough. A connection is not held for long meanwhile: it may be closed from the other end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio

from manifest_runner.core.pace import GRACE, Slot
from manifest_runner.engine.types import Outside
from manifest_runner.errors import LedgerError, NotSent
from manifest_runner.ports import Admitted

HELD = 1.0
"""Seconds for which a connection is held while the ledger is told: with those it may have lain idle before, well below the five
after which servers close one. A submission on a connection that is just being closed is of unknown fate."""


STOPPED = "the run was stopped before this was sent"


class Stopped(NotSent):
    """The run was told to stop before the submission left."""


class Lapsed(NotSent):
    """The submission's slot is long past: it needs another one."""


class SlotDeparture:
    """`ports.Departure` in the slot of an admission. The caller runs the submission inside `scope`, which is shielded from the
    moment on at which bytes may have left. `gone` says whether that moment has come.

    `commit` is how many seconds the ledger takes to be told something. One that is `overdue` leaves as soon as it can, and is
    told afterwards.
    """

    def __init__(self, admission: Admitted, outside: Outside, halted: Callable[[], bool], *, commit: float = 0.0,
                 overdue: bool = False) -> None:
        self.scope = anyio.CancelScope()
        self.gone = False
        self._slot = admission.slot or Slot(opens=0.0)
        self._wait = admission.seconds
        self._outside = outside
        self._halted = halted
        self._cover = min(max(GRACE, 2 * commit), HELD)
        self._overdue = overdue

    def check(self) -> None:
        """Raises `Lapsed` where the slot is long past: worth a look before a connection is asked for."""
        if not self._overdue and self._outside.clock.wall() > max(self._slot.lapses, self._slot.covered):
            raise Lapsed("its slot passed while this was about to be sent")
        if self._outside.clock.wall() > self._slot.expires:
            raise Lapsed("it was held up for so long that somebody else may have taken it up")

    async def leave(self) -> None:
        """Wait for the slot. Raises `Stopped` or `Lapsed` where nothing may leave now."""
        if self.gone:
            return
        slot, clock = self._slot, self._outside.clock
        # By the slot's own time, because recording the intent and connecting took some of the wait; but never for longer than
        # the ledger said, whatever the wall clock says.
        await clock.sleep(min(self._wait, slot.opens - clock.wall()))
        if not self._overdue and slot.covered < clock.wall() <= slot.lapses:
            await self._announce()
        if self._halted():
            raise Stopped(STOPPED)
        self.check()
        self.scope.shield = self.gone = True  # nothing is awaited between here and the first byte

    async def left(self) -> None:
        """Tell the ledger where this was late."""
        now = self._outside.clock.wall()
        if now > self._slot.covered:
            await self._tell(now)

    async def _announce(self) -> None:
        """Tell the ledger of a departure that is about to be late. Once: on a slow disk the telling is what takes the time."""
        clock = self._outside.clock
        began = clock.monotonic()
        await self._tell(clock.wall() + self._cover)
        if clock.monotonic() - began > HELD:
            raise Lapsed("the ledger took so long that the connection may be gone")

    async def _tell(self, at: float) -> None:
        try:
            await self._outside.ledger.late(self._slot, at)
            self._slot = replace(self._slot, covered=at)
        except LedgerError:
            return  # only the pace is at stake, and an answer must be heard; what matters fails where that is recorded
