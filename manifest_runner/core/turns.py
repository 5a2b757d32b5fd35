"""Whose turn it is among the submissions of an account that wait, in all its processes: first come, first served.

Laws:

- A place in the queue is an order and nothing else. It opens no limit: whoever goes first still asks them all.
- Each is told another moment, a spacing apart, so that nobody wakes for nothing and nobody wakes together.
- Nobody waits for the dead: who does not come when its turn has come is waited for as long as `HOLD` or one spacing lasts.
- Nobody waits for one who could not go: another run's tighter limits keep that run alone.

Times are wall-clock seconds, as in `pace.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from manifest_runner.core import pace
from manifest_runner.core.model import Rate
from manifest_runner.core.pace import AHEAD, Meter, Slot

HOLD = 1.5
"""Seconds beyond the moment when somebody meant to come back. Processes of a busy machine are late by some hundredths."""

KEEP = 10.0
"""Seconds after which a place is given up whose owner has not come: its process is gone, or was stopped."""

PLACE_SECONDS = 1.0
"""When to ask again for a place in flight: short beside a render of minutes, long beside a question of microseconds."""

YIELD = 0.1
"""Seconds after which to ask again where the way is free and somebody else's turn has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One submission that waits. `since` is its place in the order; `ready` is when its own limits will let it go, and until
    `holds` others let it go first. `again` says that it is recorded already and needs no place in flight; `places` is its own
    limit of those, None for none."""

    name: str
    again: bool
    since: float
    ready: float
    holds: float
    places: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a submission that asks for its turn is told: to go in `seconds`, in a `slot`, or to ask again in `seconds`, and
    `why`. `meter` and `waiter` are to be remembered; without a `waiter` its place in the queue is given up, as are those of
    the `gone`."""

    meter: Meter
    seconds: float = 0.0
    why: str = ""
    slot: Slot | None = None
    waiter: Waiter | None = None
    gone: tuple[str, ...] = ()


def ask(meter: Meter, waiters: Sequence[Waiter], name: str, *, again: bool, rate: Rate | None, concurrency: int | None,
        flying: Callable[[bool], int], now: float) -> Answer:
    """Whether the submission `name` may leave now, by rate, learned pace, places in flight and whose turn it is.

    `flying` counts the jobs in flight; asked with True, only those that the gateway has accepted.
    """
    others = [one for one in present(waiters, now) if one.name != name]
    known = next((one for one in waiters if one.name == name), None)
    stay = {one.name for one in others} | {name}
    gone = tuple(one.name for one in waiters if one.name not in stay)
    learned, gap = pace.places(meter), pace.gap_of(meter, rate)
    most = learned if again else min((limit for limit in (concurrency, learned) if limit is not None), default=None)
    me = joined(known, name, again=again, now=now, places=most)
    pause, slot = pace.pause_left(meter, now), pace.turn_left(meter, rate, now)
    if pause or slot > AHEAD:
        opens = max(pause, slot - AHEAD)  # from now: there is time enough to record it before the slot opens
        mine = turn(me, others, now + opens, gap)
        why = "pause" if pause >= slot else "pace" if pace.is_learned(meter, rate) else "rate"
        me = replace(me, ready=mine, holds=mine + (min(HOLD, 0.9 * gap) if gap else HOLD))
        return Answer(meter=meter, seconds=opens + (mine - (now + opens)), why=why, waiter=me, gone=gone)
    if most is not None and flying(again) >= most:
        me = replace(me, holds=now + PLACE_SECONDS + HOLD)
        why = "concurrency" if learned is None or most < learned else "crowd"
        return Answer(meter=meter, seconds=PLACE_SECONDS, why=why, waiter=me, gone=gone)
    if goes_first(me, others, now, flying):
        return Answer(meter=meter, seconds=min(gap or YIELD, YIELD), why="turn", gone=gone,
                      waiter=replace(me, holds=now + YIELD + HOLD))
    meter, taken = pace.take_slot(meter, rate, now)
    return Answer(meter=meter, seconds=max(taken.opens - now, 0.0), slot=taken, gone=gone if known is None else (*gone, name))


def present(waiters: Iterable[Waiter], now: float) -> list[Waiter]:
    """Those that still count, in order. What a clock that was stepped back has left in the future does not."""
    return sorted((one for one in waiters if one.since <= now <= one.holds + KEEP), key=_order)


def joined(known: Waiter | None, name: str, *, again: bool, now: float, places: int | None) -> Waiter:
    """Somebody who asks now: with the place in the order that it has, or behind everybody."""
    since = now if known is None else min(known.since, now)
    return Waiter(name=name, again=again, since=since, ready=now, holds=now, places=places)


def goes_first(me: Waiter, others: Iterable[Waiter], now: float, flying: Callable[[bool], int]) -> bool:
    """Whether somebody else's turn has come before mine."""
    return any(one.ready <= now <= one.holds and (one.places is None or flying(one.again) < one.places)
               for one in _before(me, others))


def turn(me: Waiter, others: Iterable[Waiter], opens: float, gap: float) -> float:
    """When my turn comes, where the next slot opens at `opens` and slots are `gap` apart: behind those before me who are ready
    by then."""
    mine = opens
    for one in sorted(_before(me, others), key=lambda one: one.ready):
        if one.ready >= mine + gap / 2:
            break
        mine = max(mine, one.ready) + gap
    return mine


def _before(me: Waiter, others: Iterable[Waiter]) -> list[Waiter]:
    # What is recorded waits for nobody who needs a place in flight: the place may be its own.
    return [one for one in others if one.name != me.name and _order(one) < _order(me) and (one.again or not me.again)]


def _order(one: Waiter) -> tuple[float, str]:
    return one.since, one.name
