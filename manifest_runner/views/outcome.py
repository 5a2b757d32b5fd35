"""The end of a run in words: what was done, what was not and why, what it cost, what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import click

from manifest_runner.core.lockfile import verdict_dict
from manifest_runner.core.model import Action, JobState, Plan, Verdict
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Outcome, Report
from manifest_runner.core.planning import Where
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.errors import ExitCode
from manifest_runner.views.text import count, safe

_ORDER = (Ending.FAILED, Ending.IN_DOUBT, Ending.OVER_BUDGET, Ending.UNFINISHED, Ending.SKIPPED)
_NAMED = 8
"""How many finished takes are named beside others that are not: beyond that their number says more."""


def report_text(report: Report, card: ModelCard, *, draft: bool, missing: Decimal = Decimal(0)) -> str:
    """A line for every take that did not come out, what did beside them, and a last line that counts and prices; below it what
    those for which a limit left no room would cost: the `missing` credits."""
    lines = []
    for ending in _ORDER:
        for outcome in report.of(ending):
            colour = "red" if ending in (Ending.FAILED, Ending.IN_DOUBT) else "yellow"
            lines.append(_line(outcome, f"{ending.value}:", colour, safe(_words(outcome, priced=not draft))))
    lines += [_line(outcome, "look at:", "yellow", safe(_found(outcome.verdict)))
              for outcome in report.outcomes if outcome.found and outcome.verdict is not None]
    finished = [outcome for outcome in report.of(Ending.DONE) if outcome.action not in (Action.KEEP, Action.DROP)]
    if lines and 0 < len(finished) <= _NAMED:
        names = ", ".join(f"{safe(outcome.key.shot)} t{outcome.key.take}" for outcome in finished)
        lines.append(f"  {click.style('done:', fg='green', bold=True)} {names}")
    if report.halted is not None:
        lines.append(click.style("stopped: ", fg="red", bold=True) + safe(report.halted.message))
        if report.halted.hint:
            lines.append(f"  hint: {safe(report.halted.hint)}")
    news = sum(outcome.found for outcome in report.outcomes)
    parts = [f"{len(report.of(Ending.DONE))} done{f' ({news} to look at)' if news else ''}"]
    parts += [f"{len(found)} {ending.value}" for ending in _ORDER if (found := report.of(ending))]
    money = "A draft costs nothing." if draft else f"{format_total(report.charged, card)} charged."
    lines.append(f"{', '.join(parts)} of {count(len(report.outcomes), 'take')}. {money}")
    if missing:
        lines.append(f"{count(len(_unpaid(report)), 'take')} more would cost {format_total(missing, card)}.")
    return "\n".join(lines)


def _found(verdict: Verdict) -> str:
    """What is other than asked about a clip that has just come home; a take may have been circled before there was one."""
    return verdict.words + (" (and the take is circled already)" if verdict.accepted else "")


def missing(report: Report, plan: Plan) -> Decimal:
    """What the takes for which a limit left no room would cost, with those that wait for their frames."""
    unpaid = _unpaid(report)
    return sum((change.quote.credits for change in plan.changes if (change.shot, change.take) in unpaid), Decimal(0))


def _unpaid(report: Report) -> frozenset[Where]:
    over = report.of(Ending.OVER_BUDGET, Ending.SKIPPED) if report.of(Ending.OVER_BUDGET) else ()
    return frozenset((outcome.key.shot, outcome.key.take) for outcome in over)


def _line(outcome: Outcome, label: str, colour: str, words: str) -> str:
    name = f"{safe(outcome.key.shot)} t{outcome.key.take}"
    return f"  {click.style(label, fg=colour, bold=True)} {name}: {words}{_job(outcome, words)}"


def _words(outcome: Outcome, *, priced: bool) -> str:
    """Why a take did not come out, and what that means for its money."""
    if paid_and_empty(outcome):
        return f"{outcome.words}: paid for, and only the provider can say why"
    if paid_and_not_here(outcome):
        return f"rendered and paid for, but its clip did not come: {outcome.words}"
    if outcome.ending is Ending.IN_DOUBT:
        return f"it may have been accepted, and the answer was lost ({outcome.words})"
    if outcome.ending is Ending.FAILED and priced:
        return f"{outcome.words} ({format_credits(outcome.charged) if outcome.charged else 'nothing'} charged)"
    return outcome.words


def paid_and_not_here(outcome: Outcome) -> bool:
    """Whether a take failed on its way from the gateway to this machine only: the next run fetches it."""
    return (outcome.ending is Ending.FAILED and outcome.job is not None and outcome.job.state is JobState.SUCCEEDED
            and not outcome.job.error)


def paid_and_empty(outcome: Outcome) -> bool:
    """Whether a take's job succeeded without a clip: another run brings none either."""
    return (outcome.ending is Ending.FAILED and outcome.job is not None and outcome.job.state is JobState.SUCCEEDED
            and bool(outcome.job.error))


def _job(outcome: Outcome, words: str) -> str:
    job_id = outcome.job.job_id if outcome.job is not None else None
    return f" [{safe(job_id)}]" if job_id is not None and job_id not in words else ""


def exit_code(report: Report) -> ExitCode:
    """How the process says it: what stopped everything first, then limits, failures, what is still open, and clips that are
    other than asked, in the run that brought them."""
    if report.halted is not None:
        return report.halted.exit_code if report.halted.code != "fail-fast" else ExitCode.DIFFERENCES
    if report.of(Ending.OVER_BUDGET):
        return ExitCode.CREDITS
    if report.of(Ending.FAILED):
        return ExitCode.DIFFERENCES
    if report.of(Ending.IN_DOUBT, Ending.UNFINISHED):
        return ExitCode.PROVIDER
    if report.of(Ending.SKIPPED) or any(outcome.found for outcome in report.outcomes):
        return ExitCode.DIFFERENCES
    return ExitCode.DONE


def joined(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rounds of one command as one report for programs: all their takes and charges, and the end of the last one."""
    takes = [take for told in rounds for take in told.get("takes", ())]
    charged = sum((Decimal(told.get("charged", "0")) for told in rounds), Decimal(0))
    return {**rounds[-1], "takes": takes, "charged": format(charged, "f")}


def report_dict(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "takes": [{"shot": outcome.key.shot, "take": outcome.key.take, "action": outcome.action.value,
                   "ending": outcome.ending.value, "words": outcome.words, "charged": format(outcome.charged, "f"),
                   "path": outcome.artifact.path if outcome.artifact is not None else None,
                   "job_id": outcome.job.job_id if outcome.job is not None else None,
                   "remarks": [] if outcome.verdict is None else [finding.words for finding in outcome.verdict.findings],
                   "verdict": None if outcome.verdict is None else verdict_dict(outcome.verdict)}
                  for outcome in report.outcomes],
        "charged": format(report.charged, "f"),
        "stopped": None if report.halted is None else {
            "code": report.halted.code, "message": report.halted.message, "hint": report.halted.hint},
    }
