"""Slots of the team's ledger in this machine's own time.

Law: nobody is sent off before the database's slot opens, and it is given up here before it is over there: between the two
clocks stands what is known of them (`core/skew.py`), and each side of it is used where it is the careful one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from manifest_runner.adapters.team_link import CLOCK
from manifest_runner.core.pace import Slot
from manifest_runner.core.skew import Skew


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """This machine's time, and how it waits. `database` is the SQL expression of the books' time."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    database: str = CLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSlot(Slot):
    """A slot in this machine's time, with the slot as it stands in the books, whose time was at most so far `ahead` when it was
    given out: a departure is told in the time of the books even where they cannot be asked at that moment."""

    given: Slot
    ahead: float


def local(given: Slot, skew: Skew, clocks: Clocks, expires: float) -> LocalSlot:
    """A slot of the books as this machine may use it, until `expires` by the clock of the books."""
    now, wall = clocks.monotonic(), clocks.wall()
    seen = skew.seen(now)
    least, most = seen.least + now - wall, seen.most + now - wall  # by how much the books' time is ahead of this machine's
    return LocalSlot(opens=given.opens - least, covered=given.covered - most, lapses=given.lapses - most, after=given.after,
                     period=given.period, expires=expires - most, given=given, ahead=most)


def as_told(slot: Slot, left: float) -> tuple[Slot, float]:
    """A slot and a departure in it, by the clock of the books."""
    return (slot.given, left + slot.ahead) if isinstance(slot, LocalSlot) else (slot, left)
