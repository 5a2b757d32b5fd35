"""In which order the takes of a plan are submitted. Pure: what each takes and the limits in, an order out.

Laws:

- In the order of the cut, for as long as the run does not end later for it: the first shots are the first that people see.
- What would make the run end later leaves earlier: a shot from which others go on one after the other, and jobs that take long.
- Where the credits that are left are not enough for all, the order of the cut alone: they are spent on its first shots.

It is Lawler's rule for the least lateness: the places are filled from the last one to the first, each with the take latest in
the cut of those that may leave so late (E. L. Lawler, Optimal Sequencing of a Single Machine Subject to Precedence Constraints,
1973). What a job takes is not known before it has ended, only what others of its kind took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from statistics import fmean

from manifest_runner.core.lifetable import kind_of
from manifest_runner.core.model import Action, Change, Manifest, Plan, Rate, Request
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.planning import Where, take_of, upstream_frames
from manifest_runner.core.remaining import Experience

SUBMITTED = frozenset({Action.CREATE, Action.REPLACE})
"""What leads to a new submission."""

ENOUGH = 3
"""Jobs of a kind from which on one knows what they take."""

UNKNOWN = 120.0
"""Seconds of a job of which nothing is known: then only the chains tell what should leave earlier."""


def sending_order(plan: Plan, manifest: Manifest, card: ModelCard, durations: Iterable[tuple[Request, float]], *,
                  rate: Rate | None, concurrency: int | None, left: Decimal | None) -> tuple[Change, ...]:
    """The changes that are submitted, first the one that leaves first.

    `durations` are requests of earlier jobs and how many seconds each took; `rate` and `concurrency` are the limits of the run,
    and `left` the credits that may still be reserved, None where nothing limits them.
    """
    changes = tuple(change for change in plan.changes if change.action in SUBMITTED)
    if left is not None and sum((change.quote.credits for change in changes), Decimal(0)) > left:
        return changes
    expected = _expected(durations, card)
    seconds = [expected(change.after) for change in changes]
    slots = (rate.spacing if rate is not None else 0.0,
             fmean(seconds) / concurrency if concurrency is not None and seconds else 0.0)
    return tuple(changes[place] for place in sequence(_tails(changes, seconds, manifest), max(slots)))


def sequence(tails: Sequence[float], spacing: float) -> list[int]:
    """Takes by their place in the cut, in the order in which they leave.

    `tails` is how many seconds after each has left the last of what hangs on it ends; `spacing` is the seconds between two that
    leave.
    """
    end = max((number * spacing + tail for number, tail in enumerate(sorted(tails, reverse=True))), default=0.0)
    short_first = sorted(range(len(tails)), key=lambda place: (tails[place], -place))
    order, late, looked_at = [0] * len(tails), list[int](), 0
    for number in reversed(range(len(tails))):
        while looked_at < len(tails) and (not late or number * spacing + tails[short_first[looked_at]] <= end):
            heappush(late, -short_first[looked_at])
            looked_at += 1
        order[number] = -heappop(late)
    return order


def _expected(durations: Iterable[tuple[Request, float]], card: ModelCard) -> Callable[[Request | None], float]:
    experience, means = Experience(), dict[tuple[str, ...], float]()
    for request, seconds in durations:
        experience.learn(kind_of(request, card), seconds)

    def expected(request: Request | None) -> float:
        if request is None:
            return UNKNOWN
        kind = kind_of(request, card)
        if kind not in means:
            means[kind] = fmean(experience.of(kind, ENOUGH) or (UNKNOWN,))
        return means[kind]

    return expected


def _tails(changes: Sequence[Change], seconds: Sequence[float], manifest: Manifest) -> list[float]:
    """Of each take, the seconds until it and the longest chain of takes that go on from its clip have ended."""
    shots = {shot.id: shot for shot in manifest.shots}
    own: Mapping[Where, float] = {(change.shot, change.take): took for change, took in zip(changes, seconds, strict=True)}
    above = {where: [(frame.shot, take_of(frame, shots)) for frame in upstream_frames(shots[where[0]])] for where in own}
    tails = dict(own)
    for where in reversed(tuple(TopologicalSorter({where: names for where, names in above.items() if names}).static_order())):
        for name in above.get(where, ()):
            if name in own:
                tails[name] = max(tails[name], own[name] + tails[where])
    return [tails[change.shot, change.take] for change in changes]
