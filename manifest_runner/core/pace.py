"""How fast an account may submit, and how many jobs it may have in flight: what the operator says, and what the gateway
teaches by its refusals.

Laws:

- No window as long as a rate's period ever holds more submissions than the rate says. Slots are spaced wider than the rate
  asks, so that each may be used a little late; who used one later still has it told (`late`), and the slots that would share a
  window with that departure open later. A slot long past is given up for another one, unless that happens
  again and again.
- No more than one slot is ever owed: an account that was idle for a day may not make up for it. Slots are given out `AHEAD`
  of their time at most.
- What was learned only ever slows: the operator's rate and places stand above it.
- The refusals of one burst are one signal. Only a refusal of what was sent *after* the last slowing says anything new.
- A clock that was stepped back delays a submission by one spacing at most, or by the pause that was asked for.

The pace after a refusal follows a cubic curve over the submissions that were accepted since: it begins at `SLOWER` of the
pace that was refused, comes near it soon, lingers there (where most of the limit is used and little is refused), and after
`STEPS` submissions tries for more, ever faster. Steps of one size would either be refused too often near the limit or take
hundreds of submissions to notice that it has gone.

Times are wall-clock seconds, because the processes of an account share them; whoever waits does so on a clock that
never jumps. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from manifest_runner.core.model import Rate

MARGIN = 0.01
"""How much wider than the rate asks slots are spaced, as a share of the spacing."""

SLACK = 0.03
"""Seconds that are added to this margin for each period of a rate: what scheduler and network do to the moment of arrival is
counted in milliseconds, however short the period is. 96 % of a rate a second can be used, 99 % of one a minute."""

LEEWAY = 0.005
"""How late a slot may be taken without pushing back the ones behind it, as a share of the period. Without it a task that
wakes a few milliseconds late would cost a fast rate a tenth of itself."""

TRANSIT = 0.02
"""Seconds on the way to the gateway that stay within the promise: one submission may take so much longer than another. What is
left of the margin is how late a slot may be used without a word."""

GRACE = 0.01
"""Seconds after its opening within which a slot that was moved back may be used without a word."""

LAPSE = 10.0
"""Seconds, or half a period where that is less, after which a slot lapses: its process was stopped, or the machine slept."""

AHEAD = 0.1
"""Seconds by which a slot may be given out before it opens, to be used when it does: recording an intent takes milliseconds,
on a busy machine some tens of them, and a slot must not pass meanwhile. One that is given to a process that dies is lost."""

LONGEST_PAUSE = 3600.0
"""Seconds. A gateway that asks for a year is asked again after an hour."""

FIRST_PAUSE = 1.0
"""Seconds, where a gateway asks for patience and does not say how much. Doubled while nothing is accepted."""

LONGEST_UNSAID = 60.0
"""Seconds to which those pauses grow."""

SLOWER = 0.8
"""The pace after a refusal, as a share of the pace that was refused."""

STEPS = 50
"""Accepted submissions until the pace that was refused is reached again, where that takes longer than `RETURN`."""

RETURN = 15.0
"""Seconds until it is reached again at a fast pace, so that pauses, seldom less than a second, stay a small part."""

ENOUGH = 30.0
"""Seconds that must have been observed before what came through says more about the limit than the spacing does: in less, a
pause or two would look like a slow gateway."""

QUIET = 60.0
"""Seconds without a submission (and without a pause) after which the observation begins anew: an account that was idle was
not held back by anybody."""

SLOWEST = 1 / 60
"""Submissions a second below which no pace is learned: a limit by the hour is kept by the pauses that the gateway asks for."""

FREE = 1000.0
"""Submissions a second beyond which a learned pace no longer matters."""

PROBE = 25
"""Accepted submissions until one place more in flight is tried than was refused; then four, nine and so on."""

FORGET = 900.0
"""Seconds after the last refusal for too many jobs in flight after which it counts no more: the places may have been taken by
somebody else on this account, and finding out again costs one refusal."""

_INSTANT = 1e-6  # below the resolution of a wall clock stored as a float: not worth a wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What one account remembers about its pace.

    `slot` is the theoretical time of the latest slot given out, None before the first, and `gap` the spacing that held for it
    (0: none). The next one opens a spacing later: it is the last slot that is kept and not the next, so that runs with
    different rates judge it each by their own. `pause` seconds from `paused_at` nothing may be submitted at all.

    `late` are pairs of times: the slots from the first on share no window with a departure that was late, and open no earlier
    than at the second.

    `sent` slots were given out since `since`, less those that were refused. `peak` is the pace (submissions a second) that was
    refused at `slowed_at`, None where none was, and `calm` counts what was accepted of all that left later. `places` is how
    many jobs were in flight when one more was refused at `crowded_at`; `easy` counts as `calm` does.
    """

    slot: float | None = None
    paused_at: float = 0.0
    pause: float = 0.0
    gap: float = 0.0
    since: float = 0.0
    sent: int = 0
    peak: float | None = None
    slowed_at: float = 0.0
    calm: int = 0
    places: int | None = None
    crowded_at: float = 0.0
    easy: int = 0
    late: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A submission's turn: it may leave from `opens` on, until `covered` without a word and until `lapses` with one. Slots from
    `after` on share no window with it, where windows are as long as `period`. Without a rate nothing is asked. After `expires`
    nothing may leave at all, whatever the pace: somebody else may have taken the submission up by then."""

    opens: float
    covered: float = inf
    lapses: float = inf
    after: float = inf
    period: float = 0.0
    expires: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What the gateway has taught: wait `seconds`, then go on with `pace` submissions a second (None: as fast as before) and at
    most `places` jobs in flight (None: as many as before)."""

    seconds: float
    pace: float | None
    places: int | None


def steady(meter: Meter, now: float) -> Meter:
    """The meter without anything that lies further in the future than it may, which is what a clock that was stepped back has
    left, and without places that were refused so long ago that they say nothing any more.

    The result must be kept even where nothing is granted, or the wait would begin anew with every question.
    """
    if meter.places is not None and now - meter.crowded_at > FORGET:
        meter = replace(meter, places=None, easy=0)
    return replace(
        meter, slot=None if meter.slot is None else min(meter.slot, now + AHEAD), paused_at=min(meter.paused_at, now),
        pause=min(meter.pause, LONGEST_PAUSE), since=min(meter.since, now), slowed_at=min(meter.slowed_at, now),
        crowded_at=min(meter.crowded_at, now), late=tuple(one for one in meter.late if one[1] > now))


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────────


def pause_left(meter: Meter, now: float) -> float:
    """Seconds until a pause that was asked for is over; 0 where there is none."""
    return _worth(meter.paused_at + meter.pause - now)


def turn_left(meter: Meter, rate: Rate | None, now: float) -> float:
    """Seconds until the next slot opens, by the operator's rate and by what was learned; 0 where it is open."""
    return _worth(_opens(meter, _next(meter, rate, now)) - now)


def is_learned(meter: Meter, rate: Rate | None) -> bool:
    """Whether it is the gateway that sets the pace, and not the operator's rate."""
    return gap_of(meter, None) > gap_of(Meter(), rate)


def gap_of(meter: Meter, rate: Rate | None) -> float:
    """Seconds between two slots now; 0 where nobody asks for any."""
    learned = pace(meter)
    return max(0.0 if rate is None else spacing(rate), 0.0 if learned is None else 1 / learned)


def spacing(rate: Rate) -> float:
    """Seconds between two slots of a rate: its own spacing and the margin."""
    return rate.spacing * (1 + _margin(rate) / rate.per)


def _margin(rate: Rate) -> float:
    """Seconds between the ends of two windows, of slots and of the rate, that begin together."""
    return MARGIN * rate.per + SLACK


def _next(meter: Meter, rate: Rate | None, now: float) -> float:
    """The time of the next slot: a spacing after the last one, or now where nobody took it."""
    gap = gap_of(meter, rate)
    if not gap or meter.slot is None:
        return now
    return max(meter.slot + gap, now - (min(LEEWAY * rate.per, gap / 2) if rate is not None else gap / 10))


def _opens(meter: Meter, time: float) -> float:
    """When the slot of this time opens: then, or later because of a departure that was late."""
    return max((time, *(until for after, until in meter.late if time >= after)))


def pace(meter: Meter) -> float | None:
    """Submissions a second that the gateway is believed to take; None where nothing was learned, or no longer matters."""
    if not meter.peak:
        return None
    steps = max(STEPS, RETURN * meter.peak)
    way = (meter.calm - steps) / steps
    found = max(meter.peak * (1 + (1 - SLOWER) * way**3), SLOWEST)
    return found if found < FREE else None


def places(meter: Meter) -> int | None:
    """Jobs in flight that the gateway is believed to take; None where nothing was learned."""
    return None if meter.places is None else meter.places + (meter.easy // PROBE) ** 2


# ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────


def take_slot(meter: Meter, rate: Rate | None, now: float) -> tuple[Meter, Slot]:
    """The meter after the next slot was given out at `now`, and that slot."""
    time = _next(meter, rate, now)
    opens, after = _opens(meter, time), replace(_observed(meter, now), slot=time, gap=gap_of(meter, rate))
    if rate is None:
        return after, Slot(opens=opens)
    # Half a spacing before the first slot that shares no window with it: times are sums, and not exact.
    slot = Slot(opens=opens, covered=time + _margin(rate) - TRANSIT, lapses=opens + min(LAPSE, rate.per / 2),
                after=time + rate.per + _margin(rate) - spacing(rate) / 2, period=rate.per)
    if opens + GRACE <= slot.covered:
        return after, slot
    slot = replace(slot, covered=opens + GRACE)
    return late(after, slot, slot.covered), slot


def late(meter: Meter, slot: Slot, left: float) -> Meter:
    """The meter after `slot` was used at `left`, later than it may be without a word. The spacing goes on as it was: only the
    slots that would come too soon after this departure are moved back."""
    until = left + slot.period + TRANSIT
    if slot.after == inf or any(after <= slot.after and other >= until for after, other in meter.late):
        return meter
    rest = (one for one in meter.late if not (slot.after <= one[0] and until >= one[1]))
    return replace(meter, late=(*rest, (slot.after, until)))


def _observed(meter: Meter, now: float) -> Meter:
    """The meter after one more submission was seen to leave."""
    idle = 0.0 if meter.slot is None else now - max(meter.slot, meter.paused_at + meter.pause)
    if meter.slot is None or idle > QUIET:
        return replace(meter, since=now, sent=1)
    if meter.since < meter.slowed_at and meter.sent:  # otherwise the gateway has been closed all the while: that counts
        return replace(meter, since=meter.slowed_at, sent=1)
    return replace(meter, sent=meter.sent + 1)


def accepted(meter: Meter, left: float, in_flight: int) -> Meter:
    """The meter after a submission that left at `left` was accepted, and `in_flight` jobs are now known to be."""
    if meter.peak is not None and left > meter.slowed_at:
        meter = replace(meter, calm=meter.calm + 1)
    most = places(meter)
    if most is None:
        return meter
    if in_flight > most:  # more than was believed: answers of one burst come in any order
        return replace(meter, places=in_flight, easy=0)
    return replace(meter, easy=meter.easy + 1) if left > meter.crowded_at else meter


def slowed(meter: Meter, said: float | None, left: float, now: float) -> Meter:
    """The meter after the gateway refused a submission that left at `left` as one too fast. `said` is how long it asks us to
    wait, None where it did not say."""
    news = meter.peak is None or left > meter.slowed_at
    after = replace(meter, sent=max(meter.sent - 1, 0))
    if news:
        after = replace(_patient(after, said, now, again=meter.peak is not None and meter.calm == 0),
                        slowed_at=now, calm=0)
        # What is refused although nothing was accepted in between is not too fast: the gateway is closed, and waiting helps.
        refused = meter.peak if meter.peak is not None and meter.calm == 0 else _refused_pace(after)
        return replace(after, peak=refused)
    after = paused(after, said or 0.0, now)
    return after if after.gap else replace(after, peak=min(after.peak or FREE, _refused_pace(after)))


def crowded(meter: Meter, said: float | None, left: float, in_flight: int, now: float) -> Meter:
    """The meter after the gateway refused a submission that left at `left` because too many jobs are in flight; `in_flight`
    are known to be."""
    if meter.places is not None and left <= meter.crowded_at:
        return paused(replace(meter, places=max(meter.places, in_flight)), said or 0.0, now)
    after = _patient(meter, said, now, again=meter.places is not None and meter.easy == 0)
    return replace(after, places=max(in_flight, 1), crowded_at=now, easy=0)


def paused(meter: Meter, seconds: float, now: float) -> Meter:
    """The meter with a pause of `seconds` from `now`. A longer pause that is under way stands."""
    asked = min(seconds, LONGEST_PAUSE) if seconds > 0 else 0.0  # also for NaN
    return replace(meter, paused_at=now, pause=max(asked, pause_left(meter, now)))


def patience(before: Meter, after: Meter, now: float) -> Patience | None:
    """What is to be told of a refusal that made `after` of `before`; None where it belongs to a burst that was told already."""
    if (before.slowed_at, before.crowded_at) == (after.slowed_at, after.crowded_at):
        return None
    return Patience(seconds=pause_left(after, now), pace=pace(after), places=places(after))


def _patient(meter: Meter, said: float | None, now: float, *, again: bool) -> Meter:
    """The meter with the pause that a refusal asks for. Where nothing was accepted since the last one, that pause was too
    short, whatever the gateway said."""
    seconds = FIRST_PAUSE if said is None else said
    if again:
        seconds = max(seconds, min(max(2 * meter.pause, 1.0), LONGEST_UNSAID))
    return paused(meter, seconds, now)


def _refused_pace(meter: Meter) -> float:
    """The pace that was refused at `slowed_at`: the spacing that held, or what was seen where there was none.

    Seen is what was accepted since the observation began, over the time that it took with the pause that now follows: a pace
    that the gateway has shown to take, to be gone on with and not to be slowed once more. A spacing that was learned gives way
    to that too, where far less came through: it was learned while the gateway was closed for long.
    """
    seen = max(meter.sent, 1) / max(meter.slowed_at - meter.since + meter.pause, 1.0)
    if not meter.gap:
        return seen / SLOWER
    held = 1 / meter.gap
    return seen if meter.peak is not None and meter.slowed_at - meter.since >= ENOUGH and seen < held / 2 else held


def _worth(seconds: float) -> float:
    return seconds if seconds > _INSTANT else 0.0
