"""Where everything stands, and what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import click

from manifest_runner.core.lifecycle import HOLDING
from manifest_runner.core.lockfile import verdict_dict
from manifest_runner.core.model import Action, Change, Job, JobState, Manifest, Plan, Shot, Verdict
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.orders import InQueue
from manifest_runner.core.planning import Where
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.core.verdict import is_open, verdict_of
from manifest_runner.views.text import columns, count, safe

_WORDS = {
    JobState.INTENDED: "sending, or stopped while sending",
    JobState.SUBMITTED: "at the gateway",
    JobState.RUNNING: "at the gateway",
    JobState.IN_DOUBT: "in doubt: it may have been accepted",
    JobState.MISSING: "missing: the gateway does not know it (any more)",
    JobState.SUCCEEDED: "rendered and paid for, its clip not here yet",
}

_ENDED = {JobState.FAILED: "failed:", JobState.REFUSED: "not accepted:", JobState.ABANDONED: "given up"}

_URGENT = (JobState.IN_DOUBT, JobState.MISSING, JobState.FAILED, JobState.REFUSED)
"""What a person must look at, the most important first."""

Step: TypeAlias = tuple[str, str]
"""A command to type, and when or why; empty where it needs no words."""

LINES = 24
"""Takes that have a line each; of more, those that stand alike share one."""

_NAMED = 3
"""Takes that a line names; of more it says how many."""

_PLANNED = {
    Action.KEEP: "done",
    Action.FETCH: "done, its clip is not in its place",
    Action.DROP: "no longer in the manifest",
    Action.REPLACE: "changed since it was rendered",
    Action.CREATE: "not rendered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One take: what is known of it, what the plan would do, what is other than asked about its clip, and whether a person
    still has to say something about that. `shot` is None where the manifest does not ask for the take."""

    change: Change
    job: Job | None
    verdict: Verdict | None = None
    is_open: bool = False
    shot: Shot | None = None

    @property
    def is_empty(self) -> bool:
        """Whether its job succeeded without a clip: nothing that this program does brings one."""
        return self.job is not None and self.job.state is JobState.SUCCEEDED and bool(self.job.error)

    @property
    def has_siblings(self) -> bool:
        return self.shot is not None and self.shot.takes > 1

    @property
    def is_cut(self) -> bool:
        """Whether it goes into the cut."""
        return self.shot is not None and self.shot.cut_take == self.change.take

    @property
    def mark(self) -> str:
        """How a take of several is told that goes into the cut; nothing for the others, and for an only one."""
        if self.shot is None or not self.is_cut or not (self.has_siblings or self.shot.circled):
            return ""
        return "circled" if self.shot.circled is not None else "in the cut"

    @property
    def words(self) -> str:
        if self.change.action is Action.KEEP and self.verdict is not None:
            return f"done, {judged(self.verdict, is_open=self.is_open)}"
        if self.is_empty:
            return "paid for, and the gateway has no clip of it: ask the provider, or give it up"
        if self.job is not None and self.job.state in _WORDS:
            return _WORDS[self.job.state]
        if self.job is not None and self.job.state in _ENDED and self.change.action in (Action.CREATE, Action.REPLACE):
            return _ENDED[self.job.state]
        return _PLANNED.get(self.change.action, "unfinished")


def standings(plan: Plan, jobs: Mapping[Where, Job], manifest: Manifest) -> list[Standing]:
    """Every take of a plan for this manifest."""
    shots = {shot.id: shot for shot in manifest.shots}

    def shot_of(change: Change) -> Shot | None:
        shot = shots.get(change.shot)
        return shot if shot is not None and change.take <= shot.takes else None

    return [Standing(change=change, job=jobs.get((change.shot, change.take)), verdict=verdict_of(change),
                     is_open=is_open(change, shots.get(change.shot)), shot=shot_of(change)) for change in plan.changes]



def judged(verdict: Verdict, *, is_open: bool) -> str:
    """What is other than asked about a clip, and how that stands: a person must look, has accepted it, or need not care."""
    how = "accepted as it is" if verdict.accepted else "but look at it" if is_open else "not in the cut"
    return f"{how}: {verdict.words}"


def to_look_at(takes: Sequence[Change]) -> str:
    """One line about takes whose clips a person still has to say something about."""
    named = [f"{safe(change.shot)} t{change.take} ({safe(verdict.words)})" for change in takes[:_NAMED]
             if (verdict := verdict_of(change)) is not None]
    more = f" and {len(takes) - _NAMED} more" if len(takes) > _NAMED else ""
    return f"{count(len(takes), 'take')} in the cut to look at: {', '.join(named)}{more}"


def to_look_at_dicts(takes: Sequence[Change]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [{"shot": change.shot, "take": change.take, "verdict": verdict_dict(verdict)} for change in takes
            if (verdict := verdict_of(change)) is not None]


def spent(jobs: Mapping[Where, Job]) -> tuple[Decimal, Decimal]:
    """Credits charged for, and still reserved by, the latest attempts of these takes."""
    charged = sum((job.charged or Decimal(0) for job in jobs.values()), Decimal(0))
    reserved = sum((job.intent.reserved for job in jobs.values() if job.state in HOLDING), Decimal(0))
    return charged, reserved


def status_text(rows: Sequence[Standing], jobs: Mapping[Where, Job], plan: Plan, card: ModelCard, steps: Sequence[Step],
                *, verbose: bool = False, quiet: bool = False, priced: bool = True) -> str:
    """A line for every take that is not done (all with `verbose`), a summary, and what to type next.

    Of a shot with several takes all are shown, as far as there is room. Many takes that stand alike are one line; what a person
    must look at is named first. `quiet` leaves the summary alone.
    """
    summary = _summary(rows, jobs, plan, card, priced=priced)
    if quiet:
        return summary
    shown: Sequence[Standing] = []  # where nothing is there yet the summary says it
    if verbose or any(row.words != _PLANNED[Action.CREATE] for row in rows):
        shown = _with_siblings(rows, [row for row in rows
                                      if verbose or row.verdict is not None or row.change.action is not Action.KEEP])
    lines = _table(shown) if verbose or len(shown) <= LINES else _grouped(shown)
    lines = [*(f"  {line}" for line in lines), *([""] if lines else []), summary]
    return "\n".join([*lines, *steps_text(steps)])


def steps_text(steps: Sequence[Step]) -> list[str]:
    """A line for each command that may be typed next."""
    return [f"next: {click.style(safe(command), bold=True)}{f'   ({safe(why)})' if why else ''}" for command, why in steps]


def queue_text(queue: InQueue) -> str:
    """How the orders stand that `render --detach` has left, in one line; nothing where there are none."""
    parts = [f"{count(len(orders), 'order')} {words} ({_few(orders)})" for orders, words in (
        (queue.waiting, "waiting"), (queue.in_hand, "in hand"), (queue.failed, "not carried out")) if orders]
    return f"queue: {safe('; '.join(parts))}" if parts else ""


def pulse(rows: Sequence[Standing], queue: InQueue) -> str:
    """Where everything stands, in one line."""
    words = Counter(row.words.partition(":")[0] for row in rows)
    takes = ", ".join(f"{number} {safe(what)}" for what, number in words.most_common())
    return "; ".join(part for part in (takes, queue_text(queue)) if part)


def _few(orders: Sequence[Sequence[str]]) -> str:
    shots = [shot for order in orders for shot in order]
    return ", ".join(shots[:3]) + (f" and {len(shots) - 3} more" if len(shots) > 3 else "")


def _summary(rows: Sequence[Standing], jobs: Mapping[Where, Job], plan: Plan, card: ModelCard, *, priced: bool) -> str:
    done = sum(row.change.action is Action.KEEP for row in rows)
    charged, reserved = spent(jobs)
    money = f"{format_total(charged, card)} charged" if priced else "A draft costs nothing"
    if priced and reserved:
        money += f", {format_credits(reserved)} reserved"
    if priced and plan.total:
        money += f"; what is left to render costs {format_credits(plan.total)}"
    return f"{done:,} of {count(len(rows), 'take')} done. {money}."


def _with_siblings(rows: Sequence[Standing], shown: Sequence[Standing]) -> Sequence[Standing]:
    """Of shots with several takes all takes as well, as far as there is room: of every such shot, or of those that are shown
    anyway."""
    takes = {id(row) for row in shown}
    names = {row.change.shot for row in shown}
    wider = ([row for row in rows if id(row) in takes or row.has_siblings],
             [row for row in rows if id(row) in takes or (row.has_siblings and row.change.shot in names)])
    return next((wide for wide in wider if len(wide) <= LINES), shown)


def _table(rows: Sequence[Standing]) -> list[str]:
    return columns([(f"{safe(row.change.shot)} t{row.change.take} {row.mark}".rstrip(), safe(row.words), _job(row.job))
                    for row in rows])


def _grouped(rows: Sequence[Standing]) -> list[str]:
    """Those that a person must look at, each with a line as far as there is room; of the rest those that stand alike in one."""
    urgent = sorted((row for row in rows if _rank(row) is not None), key=lambda row: _rank(row) or 0)
    named = urgent[:LINES // 2]
    groups: dict[str, list[Standing]] = {}
    for row in urgent[len(named):]:
        words = "to look at" if row.is_open else row.words.removesuffix(":")
        groups.setdefault(f"more {words}", []).append(row)
    for row in rows:
        if _rank(row) is None:
            groups.setdefault(row.words, []).append(row)
    lines = columns([(f"{len(group):,}", words, _span(group)) for words, group in groups.items()])
    return [*_table(named), *([""] if named else []), *lines, "-v lists every take"]


def _rank(row: Standing) -> int | None:
    """How soon a person must look at it; None where nobody must."""
    if row.job is not None and row.job.state in _URGENT:
        return _URGENT.index(row.job.state)
    return len(_URGENT) if row.is_open else None


def _span(group: Sequence[Standing]) -> str:
    first, last = (f"{safe(row.change.shot)} t{row.change.take}" for row in (group[0], group[-1]))
    return first if len(group) == 1 else f"{first} … {last}"


def _job(job: Job | None) -> str:
    if job is None:
        return ""
    name = job.job_id or job.intent.external_task_id if job.state in _WORDS else ""
    return safe(f"{name} {job.error}".strip())


def status_dict(rows: Sequence[Standing], jobs: Mapping[Where, Job], steps: Sequence[Step]) -> dict[str, Any]:
    """The same for programs."""
    charged, reserved = spent(jobs)
    return {
        "takes": [{"shot": row.change.shot, "take": row.change.take, "action": row.change.action.value, "words": row.words,
                   "state": row.job.state.value if row.job is not None else None,
                   "job_id": row.job.job_id if row.job is not None else None,
                   "external_task_id": row.job.intent.external_task_id if row.job is not None else None,
                   "error": row.job.error if row.job is not None else "",
                   "remarks": [] if row.verdict is None else [finding.words for finding in row.verdict.findings],
                   "verdict": None if row.verdict is None else verdict_dict(row.verdict), "cut": row.is_cut,
                   "circled": row.is_cut and row.shot is not None and row.shot.circled is not None} for row in rows],
        "charged": format(charged, "f"),
        "reserved": format(reserved, "f"),
        "next": [command for command, _ in steps],
    }
