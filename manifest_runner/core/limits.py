"""Credits: what is reserved, what may still be, and what a job counts for. Pace and places in flight are in `pace.py`.

Laws: money only becomes free through a confirmed failure or a person's word; an amount that makes no sense was not said.
"""

from __future__ import annotations

from dataclasses import replace
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
from manifest_runner.core.model import Job, JobState
from manifest_runner.errors import BudgetExceeded, Conflict

MOST_CREDITS = Decimal(10) ** 12
"""An amount beyond this is a mistake, not a price; it also keeps sums of micro-credits inside 64 bits."""

_ZERO = Decimal(0)


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
        case Succeeded(words=words) if after.state is JobState.SUCCEEDED:
            return replace(after, error=words)
        case Stored(artifacts=artifacts):
            return replace(after, artifacts=artifacts, error="")
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
