"""When a stamp was set, so that make, which knows times only, does what the plan would.

Law: a stamp is newer than its clips exactly where the plan has something to do about them. Times are nanoseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence

LONG_AGO = 946_684_800 * 10**9
"""The year 2000. Not 1970, which some programs take for a file that is not there."""

_NEXT = 2 * 10**9
"""More than the coarsest file system leaves between two times."""


def stamp_time(stale: bool, stamp: int | None, clips: Sequence[int], now: int) -> int | None:
    """The time that a stamp must be given; None where the one that it has will do.

    `stamp` is its time, None where there is none; `clips` are those of its clips that are there. A time is changed only where
    it says the wrong thing, so that make finds nothing to do twice.
    """
    if stale:
        if stamp is not None and all(stamp > clip for clip in clips):
            return None
        return max([now, *(clip + _NEXT for clip in clips if clip >= now)])
    if stamp is not None and all(stamp <= clip for clip in clips):
        return None
    return min([LONG_AGO, *clips])


def rules_time(began: int, inputs: Sequence[int], now: int) -> int:
    """The time of rules that were made from files of these times. That of the beginning: what was changed while they were made
    is newer than they are. A file from the future must not be, or make would make the rules again for ever."""
    return max([began, *(time for time in inputs if time > now)])
