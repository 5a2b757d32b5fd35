"""The end of a run in words: what was done, what was not and why, what it cost, what to type next."""

from __future__ import annotations

import click

from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Outcome, Report
from manifest_runner.core.pricing import format_total
from manifest_runner.errors import ExitCode
from manifest_runner.views.text import count, safe

_ORDER = (Ending.FAILED, Ending.IN_DOUBT, Ending.OVER_BUDGET, Ending.UNFINISHED, Ending.SKIPPED)


def report_text(report: Report, card: ModelCard, *, draft: bool) -> str:
    """A line for every take that did not come out, and a last line that counts and prices."""
    lines = []
    for ending in _ORDER:
        for outcome in report.of(ending):
            colour = "red" if ending in (Ending.FAILED, Ending.IN_DOUBT) else "yellow"
            label = click.style(f"{ending.value}:", fg=colour, bold=True)
            lines.append(f"  {label} {safe(outcome.key.shot)} t{outcome.key.take}: {safe(outcome.words)}{_job(outcome)}")
    for outcome in report.outcomes:
        if outcome.remarks:
            label = click.style("look at:", fg="yellow", bold=True)
            lines.append(f"  {label} {safe(outcome.key.shot)} t{outcome.key.take}: {'; '.join(outcome.remarks)}{_job(outcome)}")
    if report.halted is not None:
        lines.append(click.style("stopped: ", fg="red", bold=True) + safe(report.halted.message))
        if report.halted.hint:
            lines.append(f"  hint: {safe(report.halted.hint)}")
    parts = [f"{len(report.of(Ending.DONE))} done"]
    parts += [f"{len(found)} {ending.value}" for ending in _ORDER if (found := report.of(ending))]
    money = "A draft costs nothing." if draft else f"{format_total(report.charged, card)} charged."
    return "\n".join([*lines, f"{', '.join(parts)} of {count(len(report.outcomes), 'take')}. {money}"])


def _job(outcome: Outcome) -> str:
    return f" [{outcome.job.job_id}]" if outcome.job is not None and outcome.job.job_id is not None else ""


def exit_code(report: Report) -> ExitCode:
    """How the process says it: what stopped everything first, then limits, failures, and what is still open."""
    if report.halted is not None:
        return report.halted.exit_code if report.halted.code != "fail-fast" else ExitCode.DIFFERENCES
    if report.of(Ending.OVER_BUDGET):
        return ExitCode.CREDITS
    if report.of(Ending.FAILED):
        return ExitCode.DIFFERENCES
    if report.of(Ending.IN_DOUBT, Ending.UNFINISHED):
        return ExitCode.PROVIDER
    if report.of(Ending.SKIPPED):
        return ExitCode.DIFFERENCES
    return ExitCode.DONE


def report_dict(report: Report) -> dict[str, object]:
    """The report for programs."""
    return {
        "takes": [{"shot": outcome.key.shot, "take": outcome.key.take, "action": outcome.action.value,
                   "ending": outcome.ending.value, "words": outcome.words, "charged": format(outcome.charged, "f"),
                   "path": outcome.artifact.path if outcome.artifact is not None else None,
                   "job_id": outcome.job.job_id if outcome.job is not None else None,
                   "remarks": list(outcome.remarks)} for outcome in report.outcomes],
        "charged": format(report.charged, "f"),
        "stopped": None if report.halted is None else {
            "code": report.halted.code, "message": report.halted.message, "hint": report.halted.hint},
    }
