"""The flow of `render`: check, plan, ask, carry out, say how it ended."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import click

from manifest_runner.cli import session
from manifest_runner.cli.planner import FRAMES_HINT, Planned, frames_unreachable, plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.core.model import Action, Plan
from manifest_runner.core.outcome import Report
from manifest_runner.core.planfile import differences
from manifest_runner.core.planning import is_stale
from manifest_runner.core.pricing import format_total
from manifest_runner.engine import execute
from manifest_runner.errors import ExitCode, StalePlan, UsageError
from manifest_runner.views.diagnostics import as_text
from manifest_runner.views.outcome import exit_code, report_dict, report_text
from manifest_runner.views.plan import plan_text, summary
from manifest_runner.views.progress import Bar, JsonLines, Lines, Progress

ROUNDS = 5
"""How often one command plans again after it has finished jobs of an earlier request; more would mean a mistake of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asked for, besides settings."""

    only: tuple[str, ...]
    saved: str | None
    yes: bool
    fail_fast: bool
    as_json: bool
    quiet: bool
    verbose: bool


class Rendering:
    """One `render` command."""

    def __init__(self, project: Project, asked: Asked) -> None:
        self.project = project
        self.asked = asked
        # Before anything else: without a key and without --draft nothing is read, and both ways on are said.
        self.key = None if project.draft else session.key_of(project)
        self.account = "draft" if self.key is None else session.account(project, self.key)

    def run(self) -> ExitCode:
        show = self.project.load()
        if show.warnings and not self.asked.quiet:
            session.warn(as_text(show.warnings, show.texts) + "\n")
        unreachable = frames_unreachable(self.project, show)
        if unreachable is not None:
            raise UsageError(unreachable, code="frames-unreachable", hint=f"{FRAMES_HINT}; nothing was spent")
        for _ in range(ROUNDS):
            planned = plan_project(self.project, show, only=self.asked.only, account=self.account)
            self._check_saved(planned.plan)
            if planned.plan.is_empty:
                return self._nothing_to_do(planned.plan, show)
            stale = tuple(change for change in planned.plan.changes if is_stale(change))
            if stale:  # what was asked earlier is paid for: it is finished first, and then the change is planned
                planned = replace(planned, plan=replace(planned.plan, changes=stale, total=Decimal(0)))
            self._approve(planned.plan, show)
            code = self._carry_out(planned, show)
            if not stale or code is not ExitCode.DONE:
                return code
        return code

    def _check_saved(self, fresh: Plan) -> None:
        """A saved plan is held against a fresh one; it is never carried out from its own words."""
        if self.asked.saved is None:
            return
        try:
            saved = json.loads(Path(self.asked.saved).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.asked.saved} is not a saved plan: {error}", code="bad-plan",
                             next_commands=[f"manifest-runner plan {self.project.shown} --out {self.asked.saved}"]) from None
        found = differences(saved, fresh)
        if found:
            raise StalePlan(f"{self.asked.saved} is stale: {'; '.join(found)}",
                            hint="nothing was submitted; plan and review again",
                            next_commands=[f"manifest-runner plan {self.project.shown} --out {self.asked.saved}"])

    def _nothing_to_do(self, plan: Plan, show: Show) -> ExitCode:
        if self.asked.as_json:
            click.echo(json.dumps({"takes": [], "charged": "0", "stopped": None}, indent=2))
        else:
            click.echo(summary(plan, show.card, priced=not self.project.draft))
        return ExitCode.DONE

    def _approve(self, plan: Plan, show: Show) -> None:
        """Show the plan, and ask where it costs something."""
        if not self.asked.as_json and not self.asked.quiet:
            session.warn(plan_text(plan, show.card, verbose=self.asked.verbose, priced=not self.project.draft) + "\n")
        if self.project.draft or not plan.total or self.asked.yes or self.asked.saved is not None:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"this would spend {format_total(plan.total, show.card)}, and there is no terminal to ask",
                             code="not-approved", hint="add --yes, or carry out a reviewed plan with --plan FILE",
                             next_commands=[f"manifest-runner plan {self.project.shown} --out plan.json"])
        click.confirm(f"Render for {format_total(plan.total, show.card)}?", abort=True, err=True)

    def _carry_out(self, planned: Planned, show: Show) -> ExitCode:
        limits = session.tightest(self.project, show.manifest.limits)

        async def main() -> Report:
            world = session.draft(self.project) if self.key is None else session.live(self.project, self.key, limits)
            async with world as (outside, options):
                options = replace(options, fail_fast=self.asked.fail_fast)
                with self._progress(planned.plan) as progress:
                    return await execute(planned.plan, name=self.project.name, manifest=show.manifest, card=show.card,
                                         lockfile=planned.lockfile, outside=outside, options=options, observe=progress)

        try:
            report = session.run_until_done(main, session.warn)
        except session.Interrupted:
            session.warn(f"stopped; continue with: manifest-runner render {self.project.shown}"
                         + (" --draft" if self.project.draft else ""))
            return ExitCode.INTERRUPTED
        if self.asked.as_json:
            click.echo(json.dumps(report_dict(report), ensure_ascii=False, indent=2))
        else:
            click.echo(report_text(report, show.card, draft=self.project.draft))
            self._say_next(exit_code(report))
        return exit_code(report)

    def _say_next(self, code: ExitCode) -> None:
        """What is sensible to type now."""
        if self.asked.quiet or code is ExitCode.CREDITS:
            return
        command = "reel" if code is ExitCode.DONE else "status"
        session.warn(f"next: manifest-runner {command} {self.project.shown}{' --draft' if self.project.draft else ''}")

    def _progress(self, plan: Plan) -> Progress:
        if self.asked.as_json:
            return JsonLines(sys.stderr, priced=not self.project.draft)
        if self.asked.quiet or not sys.stderr.isatty():
            return Lines(sys.stderr, quiet=self.asked.quiet, priced=not self.project.draft)
        folder = self.project.path.parent
        return Bar(sum(change.action is not Action.KEEP for change in plan.changes), "" if folder == Path() else f"{folder}/")
