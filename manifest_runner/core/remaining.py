"""How long a run will still take, from what jobs of their kind took. Pure: takes and limits in, seconds out.

The run is played to its end a few times, as the engine would go on: first come in the order of the cut, a submission no sooner
than the rate allows, no more at once than there are places, a shot only after the clips that it takes frames from. In each of
these plays every job takes another of the times that were learned, so that together they show what is likely.

Laws:

- Nothing learned, nothing guessed: where the kind of one take is unknown there is no estimate at all.
- Never negative, never less than the longest chain at its shortest, and never more than all of them one after the other.
- Where no take waits for another, one take more, a slower rate, fewer places or longer jobs never make it shorter (in as many
  plays; and where takes do wait, the order in which they come to their turn may change for the better).
- The same question has the same answer: the times are spread by a fixed sequence, not drawn.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from manifest_runner.core.lifetable import Kind
from manifest_runner.core.model import Rate

MEMORY = 200
"""Jobs of a kind that are remembered, the latest ones: providers change."""

PLAYS = 15
"""How often the run is played. Fewer where it is long: there the times even out by themselves."""

FEWEST = 3
"""Plays of a run however long it is."""

EFFORT = 6000
"""Takes that are played in all, about; ten thousand of them cost some ten milliseconds a play."""

LATE = 0.1
"""What is left of a job that has outlived all others, as a part of the longest of them, at most; or of its delay, if that is
more: it is as likely to go on as it has been late."""

# The two-dimensional golden ratio: its multiples fill the unit square as evenly as any fixed sequence does.
_BY_TAKE, _BY_PLAY = 0.7548776662466927, 0.5698402909980532


class Experience:
    """How long the latest jobs of each kind took, in seconds."""

    def __init__(self) -> None:
        self._took: dict[Kind, list[float]] = {}
        self._order: dict[Kind, deque[float]] = {}

    def learn(self, kind: Kind, seconds: float) -> None:
        """A job of this kind took so long. Also counts for its model as a whole."""
        for name in (kind, kind[:1]):
            took, order = self._took.setdefault(name, []), self._order.setdefault(name, deque())
            if len(order) == MEMORY:
                took.remove(order.popleft())
            order.append(seconds)
            insort(took, seconds)

    def of(self, kind: Kind, enough: int) -> Sequence[float]:
        """What jobs of this kind took, sorted; of the whole model where fewer than `enough` are known; nothing where those are
        too few."""
        for name in (kind, kind[:1]):
            took = self._took.get(name, ())
            if len(took) >= enough:
                return took
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A take that is not over, in the order of the cut.

    `took` is what jobs of its kind took, in seconds, sorted; `(0.0,)` where only its clip is still to come. `age` is how many
    seconds ago it was accepted, None where it has not been submitted. `after` are the places, in the same list, of the takes
    whose clips it waits for.
    """

    took: Sequence[float]
    age: float | None = None
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """Seconds until all is over: as many in the middle of what may happen, and the bounds of four fifths of it."""

    least: float
    likely: float
    most: float


def remaining(pending: Sequence[Pending], *, concurrency: int | None = None, rate: Rate | None = None,
              lag: float = 0.0) -> Remaining | None:
    """How long these takes will take together; None where nothing is known of one of them.

    `lag` is how long it takes to notice that a job is over and to bring its clip home, in seconds, on average.
    """
    if not all(take.took for take in pending):
        return None
    plays = max(FEWEST, min(PLAYS, EFFORT // max(len(pending), 1)))
    spacing = rate.spacing if rate is not None else 0.0
    ends = sorted(_play(pending, [_left(take, _share(place, play)) + lag for place, take in enumerate(pending)],
                        len(pending) if concurrency is None else concurrency, spacing) for play in range(plays))
    return Remaining(least=ends[plays // 10], likely=ends[plays // 2], most=ends[plays - 1 - plays // 10])


def _share(place: int, play: int) -> float:
    return (0.5 + place * _BY_TAKE + play * _BY_PLAY) % 1.0


def _left(take: Pending, share: float) -> float:
    """Seconds that a job will still take: of those that ran as long as it has, the one below which `share` of them ended."""
    took, age = take.took, take.age or 0.0
    done = bisect_right(took, age)
    if done == len(took):
        return share * max(age - took[-1], LATE * took[-1])
    # Each of them stands for the middle of its part of all.
    place = min(max(share * (len(took) - done) - 0.5, 0.0), len(took) - done - 1.0)
    low = done + int(place)
    high = min(low + 1, len(took) - 1)
    return took[low] + (place - int(place)) * (took[high] - took[low]) - age


def _play(pending: Sequence[Pending], seconds: Sequence[float], places: int, spacing: float) -> float:
    """When the last take ends, where each takes so many seconds."""
    waits = [len(take.after) for take in pending]
    behind: dict[int, list[int]] = {}
    for place, take in enumerate(pending):
        for other in take.after:
            behind.setdefault(other, []).append(place)
    flying = [(seconds[place], place) for place, take in enumerate(pending) if take.age is not None]
    heapify(flying)
    ready = [place for place, take in enumerate(pending) if take.age is None and not waits[place]]  # sorted, so a heap
    now = slot = 0.0
    while ready or flying:
        leaves = max(now, slot)
        if ready and (not flying or (len(flying) < places and leaves < flying[0][0])):
            place, now, slot = heappop(ready), leaves, leaves + spacing
            heappush(flying, (leaves + seconds[place], place))
            continue
        now, place = heappop(flying)
        for other in behind.get(place, ()):
            waits[other] -= 1
            if not waits[other]:
                heappush(ready, other)
    return now
