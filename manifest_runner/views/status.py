"""Where everything stands, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import click

from manifest_runner.core.lifecycle import HOLDING
from manifest_runner.core.model import Action, Change, Job, JobState, LockEntry, Plan
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.planning import Where
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.core.verdict import remarks
from manifest_runner.views.text import columns, safe

_WORDS = {
    JobState.INTENDED: "sending, or stopped while sending",
    JobState.SUBMITTED: "at the gateway",
    JobState.RUNNING: "at the gateway",
    JobState.IN_DOUBT: "in doubt: it may have been accepted",
    JobState.MISSING: "missing: the gateway does not know it (any more)",
    JobState.SUCCEEDED: "rendered and paid for, its clip not here yet",
}

_ENDED = {JobState.FAILED: "failed:", JobState.REFUSED: "not accepted:", JobState.ABANDONED: "given up"}

_PLANNED = {
    Action.KEEP: "done",
    Action.FETCH: "done, its clip is not in its place",
    Action.DROP: "no longer in the manifest",
    Action.REPLACE: "changed since it was rendered",
    Action.CREATE: "not rendered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One take: what is known of it and what the plan would do."""

    change: Change
    job: Job | None
    remarks: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        if self.change.action is Action.KEEP and self.remarks:
            return f"done, but look at it: {'; '.join(self.remarks)}"
        if self.job is not None and self.job.state in _WORDS:
            return _WORDS[self.job.state]
        if self.job is not None and self.job.state in _ENDED and self.change.action in (Action.CREATE, Action.REPLACE):
            return _ENDED[self.job.state]
        return _PLANNED.get(self.change.action, "unfinished")


def standings(plan: Plan, jobs: Mapping[Where, Job], card: ModelCard) -> list[Standing]:
    return [Standing(change=change, job=jobs.get((change.shot, change.take)), remarks=_remarks(change.entry, card))
            for change in plan.changes]


def _remarks(entry: LockEntry | None, card: ModelCard) -> tuple[str, ...]:
    return remarks(entry.request, entry.outputs[0].media, card) if entry is not None and entry.outputs else ()


def spent(jobs: Mapping[Where, Job]) -> tuple[Decimal, Decimal]:
    """Credits charged for, and still reserved by, the latest attempts of these takes."""
    charged = sum((job.charged or Decimal(0) for job in jobs.values()), Decimal(0))
    reserved = sum((job.intent.reserved for job in jobs.values() if job.state in HOLDING), Decimal(0))
    return charged, reserved


def status_text(rows: Sequence[Standing], jobs: Mapping[Where, Job], card: ModelCard, next_commands: Sequence[str],
                *, verbose: bool, priced: bool) -> str:
    """A line for every take that is not done (all with `verbose`), a summary, and what to type next."""
    shown = [row for row in rows if verbose or row.remarks or row.change.action is not Action.KEEP]
    table = columns([(f"{safe(row.change.shot)} t{row.change.take}", row.words, _job(row.job)) for row in shown])
    done = sum(row.change.action is Action.KEEP for row in rows)
    charged, reserved = spent(jobs)
    money = f"{format_total(charged, card)} charged" if priced else "A draft costs nothing"
    if priced and reserved:
        money += f", {format_credits(reserved)} reserved"
    lines = [*(f"  {line}" for line in table), *([""] if table else []), f"{done} of {len(rows)} takes done. {money}."]
    lines += [f"next: {click.style(command, bold=True)}" for command in next_commands]
    return "\n".join(lines)


def _job(job: Job | None) -> str:
    if job is None:
        return ""
    name = job.job_id or job.intent.external_task_id if job.state in _WORDS else ""
    return safe(f"{name} {job.error}".strip())


def status_dict(rows: Sequence[Standing], jobs: Mapping[Where, Job], next_commands: Sequence[str]) -> dict[str, Any]:
    charged, reserved = spent(jobs)
    return {
        "takes": [{"shot": row.change.shot, "take": row.change.take, "action": row.change.action.value, "words": row.words,
                   "state": row.job.state.value if row.job is not None else None,
                   "job_id": row.job.job_id if row.job is not None else None,
                   "external_task_id": row.job.intent.external_task_id if row.job is not None else None,
                   "error": row.job.error if row.job is not None else "", "remarks": list(row.remarks)} for row in rows],
        "charged": format(charged, "f"),
        "reserved": format(reserved, "f"),
        "next": list(next_commands),
    }
