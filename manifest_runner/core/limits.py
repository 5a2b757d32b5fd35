"""Rate, credits and jobs in flight, as functions of what is known and the time.

Laws:

- No window as long as a rate's period ever holds more submissions than the rate says, even where each one leaves a
  little late (up to `MARGIN - LEEWAY` of the period), because slots are spaced wider than the rate asks.
- No more than one slot is ever owed: an account that was idle for a day may not make up for it.
- A clock that was stepped back delays a submission by one spacing at most, or by the pause that was asked for.
- Money only becomes free through a confirmed failure or a person's word. An amount that makes no sense was not said.

Times are wall-clock seconds, because the processes of an account share them; whoever waits does so on a clock that
never jumps. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from manifest_runner.core.lifecycle import (
    HOLDING,
    Abandoned,
    Event,
    Failed,
    InDoubt,
    Refused,
    Stored,
    Submitted,
    Succeeded,
    next_state,
)
from manifest_runner.core.model import Job, Rate
from manifest_runner.errors import BudgetExceeded, Conflict

MARGIN = 0.02
"""How much wider than the rate asks slots are spaced, as a share of the spacing. 98 % of the rate can be used."""

LEEWAY = 0.005
"""How late a slot may be taken without pushing back the ones behind it, as a share of the period. Without it a task that
wakes a few milliseconds late would cost a fast rate a tenth of itself."""

LONGEST_PAUSE = 3600.0
"""Seconds. A gateway that asks for a year is asked again after an hour."""

MOST_CREDITS = Decimal(10) ** 12
"""An amount beyond this is a mistake, not a price; it also keeps sums of micro-credits inside 64 bits."""

_INSTANT = 1e-6  # below the resolution of a wall clock stored as a float: not worth a wait
_ZERO = Decimal(0)


# ── the rate meter ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What one account remembers about its pace.

    `slot` is the theoretical time of the latest slot given out, None before the first. The next one opens a spacing
    later: it is the last slot that is kept and not the next, so that runs with different rates judge it each by their
    own. `pause` seconds from `paused_at` nothing may be submitted at all.
    """

    slot: float | None = None
    paused_at: float = 0.0
    pause: float = 0.0


def steady(meter: Meter, now: float) -> Meter:
    """The meter without anything that lies in the future: what a clock that was stepped back has left behind.

    The result must be kept even where nothing is granted, or the wait would begin anew with every question.
    """
    slot = None if meter.slot is None else min(meter.slot, now)
    return replace(meter, slot=slot, paused_at=min(meter.paused_at, now), pause=min(meter.pause, LONGEST_PAUSE))


def pause_left(meter: Meter, now: float) -> float:
    """Seconds until a pause that was asked for is over; 0 where there is none."""
    return _worth(meter.paused_at + meter.pause - now)


def rate_left(meter: Meter, rate: Rate | None, now: float) -> float:
    """Seconds until the next slot of `rate` opens; 0 where it is open."""
    if rate is None or meter.slot is None:
        return 0.0
    return _worth(meter.slot + spacing(rate) - now)


def take_slot(meter: Meter, rate: Rate | None, now: float) -> Meter:
    """The meter after the open slot was given out at `now`."""
    if rate is None or meter.slot is None:
        return replace(meter, slot=now)
    leeway = min(LEEWAY * rate.per, rate.spacing / 2)
    return replace(meter, slot=min(max(meter.slot + spacing(rate), now - leeway), now))


def paused(meter: Meter, seconds: float, now: float) -> Meter:
    """The meter with a pause of `seconds` from `now`. A longer pause that is under way stands."""
    asked = min(seconds, LONGEST_PAUSE) if seconds > 0 else 0.0  # also for NaN
    return replace(meter, paused_at=now, pause=max(asked, pause_left(meter, now)))


def spacing(rate: Rate) -> float:
    """Seconds between two slots: the rate's own spacing and the margin."""
    return rate.spacing * (1 + MARGIN)


def _worth(seconds: float) -> float:
    return seconds if seconds > _INSTANT else 0.0


# ── reservations ──────────────────────────────────────────────────────────────────────────────────────────────────


def room(limit: Decimal | None, spent: Decimal) -> Decimal | None:
    """Credits that may still be reserved; None where there is no limit. Never negative."""
    return None if limit is None else max(limit - spent, _ZERO)


def within(limit: Decimal | None, spent: Decimal, more: Decimal) -> bool:
    """Whether `more` credits fit under the limit. Nothing fits any more once it has been passed."""
    return limit is None or spent + more <= limit


def refuse_overspending(limit: Decimal | None, spent: Decimal, more: Decimal, *, of: str) -> None:
    """Raise `BudgetExceeded` where `more` credits do not fit under the limit. `of` names the limit: `this run`."""
    if limit is None or within(limit, spent, more):
        return
    needs, used, most = (f"{amount.normalize():,f}" for amount in (more, spent, limit))
    raise BudgetExceeded(f"needs {needs} credits; {used} of {most} of {of} are spent or reserved",
                         hint="raise the limit, or render fewer shots; what is reserved and then fails becomes free again")


def sensible(amount: Decimal | None) -> Decimal | None:
    """Credits as somebody else named them, or None where that cannot be (negative, NaN, absurd)."""
    if amount is None or not amount.is_finite() or not _ZERO <= amount <= MOST_CREDITS:
        return None
    return amount


def cost(job: Job) -> Decimal:
    """What a job counts for now: its reservation while its end is open, then what was charged.

    Where nobody said what was charged, the reservation counts as charged.
    """
    if job.state in HOLDING or job.charged is None:
        return job.intent.reserved
    return job.charged


def apply(job: Job, event: Event) -> Job:
    """The job after an event: its state by the lifecycle's table, its money by the rules above.

    Raises `Conflict` where the gateway names another job than it did before, and `IllegalEvent` where the table has no
    such step.
    """
    if isinstance(event, Submitted) and job.job_id not in (None, event.job_id):
        raise Conflict(f"{job.intent.external_task_id} is job {job.job_id} and was now answered as job {event.job_id}",
                       hint="nothing more is submitted until this is understood: ask the gateway about both jobs")
    after = replace(job, state=next_state(job.state, event), charged=_charged(job, event))
    match event:
        case Submitted(job_id=job_id):
            return replace(after, job_id=job_id, error="")
        case InDoubt(words=words) | Failed(words=words) | Refused(words=words):
            return replace(after, error=words)
        case Stored(artifacts=artifacts):
            return replace(after, artifacts=artifacts)
    return after


def _charged(job: Job, event: Event) -> Decimal | None:
    match event:
        case Succeeded(charged=told):
            # A poll and a webhook may arrive in either order: the larger stands, so that the order does not matter.
            return max((amount for amount in (job.charged, sensible(told)) if amount is not None), default=None)
        case Failed(charged=told):
            return max((amount for amount in (job.charged, sensible(told)) if amount is not None), default=None)
        case Refused():
            return _ZERO
        case Abandoned(release=True) if job.state in HOLDING:
            return _ZERO
    return job.charged
