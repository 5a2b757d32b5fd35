"""The last moment before a submission's bytes leave: the connection stands, and nothing has been sent.

Laws: until then a run that is stopped takes everything back; from then on the answer is heard, whatever is cancelled. A slot is
used when it opens or somewhat later; one that has lapsed (the process was stopped, the machine slept) is not used at all. A
departure that is later than a slot covers is told to the ledger: before, where it is known before, and again after the last
byte, where that took its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio

from manifest_runner.core.pace import GRACE, Slot
from manifest_runner.engine.types import Outside
from manifest_runner.errors import LedgerError, NotSent
from manifest_runner.ports import Admitted


class Stopped(NotSent):
    """The run was told to stop before the submission left."""


class Lapsed(NotSent):
    """The submission's slot is long past: it needs another one."""


class SlotDeparture:
    """`ports.Departure` in the slot of an admission. The caller runs the submission inside `scope`, which is shielded from the
    moment on at which bytes may have left. `gone` says whether that moment has come."""

    def __init__(self, admission: Admitted, outside: Outside, halted: Callable[[], bool]) -> None:
        self.scope = anyio.CancelScope()
        self.gone = False
        self._slot = admission.slot or Slot(opens=0.0)
        self._wait = admission.seconds
        self._outside = outside
        self._halted = halted

    async def leave(self) -> None:
        """Wait for the slot. Raises `Stopped` or `Lapsed` where nothing may leave now."""
        if self.gone:
            return
        slot, clock = self._slot, self._outside.clock
        # By the slot's own time, because recording the intent and connecting took some of the wait; but never for longer than
        # the ledger said, whatever the wall clock says.
        await clock.sleep(min(self._wait, slot.opens - clock.wall()))
        while self._slot.covered < (now := clock.wall()) <= slot.lapses:  # known to be late: told before it leaves, not after
            self._slot = replace(self._slot, covered=now + GRACE)
            await self._tell(now + GRACE)
        if self._halted():
            raise Stopped("the run was stopped before this was sent")
        if clock.wall() > slot.lapses:
            raise Lapsed("the process was stopped while this was about to be sent")
        self.scope.shield = self.gone = True  # nothing is awaited between here and the first byte

    async def left(self) -> None:
        """Tell the ledger where this was late."""
        now = self._outside.clock.wall()
        if now > self._slot.covered:
            await self._tell(now)

    async def _tell(self, at: float) -> None:
        try:
            await self._outside.ledger.late(self._slot, at)
        except LedgerError:
            return  # only the pace is at stake, and an answer must be heard; what matters fails where that is recorded
