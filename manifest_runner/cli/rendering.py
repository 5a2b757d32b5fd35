"""The flow of `render`: check, plan, ask, carry out, say how it ended."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from manifest_runner.adapters.clock import SystemClock
from manifest_runner.adapters.files import LARGEST_INPUT, NotRegular, read_regular
from manifest_runner.cli import footing, session
from manifest_runner.cli.belonging import Run
from manifest_runner.cli.detaching import check_detaching, hand_over, missing_words
from manifest_runner.cli.ledgers import check_ledger
from manifest_runner.cli.planner import Planned, catch_up, plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.stores import frames_unreachable
from manifest_runner.cli.trust import check_gateway, refuse_claims
from manifest_runner.cli.words import command, decisions
from manifest_runner.core.model import Action, Artifact, Change, Limits, Plan
from manifest_runner.core.orders import Order, check_approved, handed
from manifest_runner.core.outcome import Ending, Report
from manifest_runner.core.planfile import differences
from manifest_runner.core.planning import Where, is_stale
from manifest_runner.core.pricing import format_total
from manifest_runner.core.running import Bounds, Running
from manifest_runner.core.sending import sending_order
from manifest_runner.core.verdict import open_takes
from manifest_runner.engine import Options, Outside, execute
from manifest_runner.errors import ExitCode, StalePlan, UsageError
from manifest_runner.views.diagnostics import as_text
from manifest_runner.views.escaping import json_text
from manifest_runner.views.events import JsonLines
from manifest_runner.views.outcome import (
    exit_code,
    joined,
    missing,
    paid_and_empty,
    paid_and_not_here,
    report_dict,
    report_text,
)
from manifest_runner.views.plan import converted_text, plan_text, summary
from manifest_runner.views.progress import Lines, Progress
from manifest_runner.views.status import Step, to_look_at, to_look_at_dicts
from manifest_runner.views.text import count, safe

ROUNDS = 5
"""How often one command plans again after it has finished jobs of an earlier request; more would mean a mistake of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asked for, besides settings."""

    only: tuple[str, ...]
    saved: str | None
    yes: bool
    fail_fast: bool
    depfile: str | None
    as_json: bool
    quiet: bool
    verbose: bool
    detach: bool = False
    order: Order | None = None
    """What a worker carries out: it was approved where it was ordered."""


class Rendering:
    """One `render` command."""

    def __init__(self, project: Project, asked: Asked) -> None:
        self.project = project
        self.asked = asked
        if not project.draft:  # before there is a key: whether somebody may have it is not for the repository to say
            refuse_claims(project.settings)
            check_gateway(project.settings)
            check_ledger(project)
            if asked.detach:
                check_detaching(project)
        # Before anything else is done: without a key and without --draft nothing is read, and both ways on are said.
        self.key = None if project.draft else session.key_of(project)
        self.account = "draft" if self.key is None else session.account(project, self.key)
        session.tightest(project, Limits())  # a limit that cannot be read is said before any plan is shown
        if not project.draft:
            session.check_listening(project)
        self.in_ledger = Run.of(os.environ)  # its name there
        self.settled: set[Where] = set()
        self.halted = False
        self.report: Report | None = None  # of the latest round
        self.clips: dict[Where, Artifact] = {}  # of an order that are there
        self.told: list[dict[str, Any]] = []  # for programs: the rounds so far
        self.events = JsonLines(sys.stderr, SystemClock().wall, priced=not project.draft) if asked.as_json else None
        self.say = session.warn if self.events is None else self.events.say

    def run(self) -> ExitCode:
        code = self._rounds()
        if self.told:
            click.echo(json_text(json.dumps(joined(self.told), ensure_ascii=False, indent=2)))
        return code

    def _rounds(self) -> ExitCode:
        show = self.project.load()
        if show.warnings and not self.asked.quiet:
            self.say(as_text(show.warnings, show.texts) + "\n")
        if self.asked.depfile is not None:
            from manifest_runner.cli.making import write_depfile  # few ask for one

            write_depfile(self.project, show, self.asked.only, Path(self.asked.depfile))
        unreachable = frames_unreachable(self.project, show.manifest)
        if unreachable is not None:
            raise UsageError(unreachable[0], code="frames-unreachable", hint=f"{unreachable[1]}; nothing was spent")
        if self.key is not None:
            session.recover(self.project, self.key, self.in_ledger)
        code = ExitCode.DONE
        for number in range(ROUNDS):
            planned = plan_project(self.project, show, only=self.asked.only, account=self.account)
            if number == 0:
                self._check_saved(planned.plan)
            if self.asked.order is not None:
                check_approved(planned.plan, self.asked.order)
                self._note_clips(planned.plan)
                if not handed(planned.plan, show.manifest):
                    return code
            if self.asked.detach:
                return self._detach(planned.plan, show)
            plan, last = self._round(planned.plan)
            if plan.is_empty:
                catch_up(self.project, planned)
                if number == 0:
                    said = self._nothing_to_do(plan, show)
                    if self._may_be_known(show):  # and only where there was nothing to catch up with, see `footing`
                        footing.leave(self.project, show, planned, said)
                return code
            self._approve(plan, show)
            ended = self._carry_out(replace(planned, plan=plan), show)
            code = code or ended
            if last or ended is ExitCode.INTERRUPTED or self.halted:
                return code
        return code

    def _note_clips(self, plan: Plan) -> None:
        self.clips.update(((change.shot, change.take), change.entry.outputs[0]) for change in plan.changes
                          if change.action in (Action.KEEP, Action.FETCH) and change.entry is not None)

    def _round(self, plan: Plan) -> tuple[Plan, bool]:
        """What to do now, and whether that is all. Jobs of an earlier request are finished first, since they are paid for, and
        then the change is planned; one that cannot be finished is left alone after its round, and does not keep the rest."""
        rest = tuple(change for change in plan.changes
                     if change.action is not Action.RESUME or (change.shot, change.take) not in self.settled)
        stale = tuple(change for change in rest if is_stale(change))
        self.settled |= {(change.shot, change.take) for change in stale}
        changes = stale or rest
        total = sum((change.quote.credits for change in changes), Decimal(0))
        return replace(plan, changes=changes, total=total), not stale

    def _detach(self, plan: Plan, show: Show) -> ExitCode:
        """Hand over what the plan renders, once it is approved."""
        changes = handed(plan, show.manifest)
        todo = replace(plan, changes=changes, total=sum((change.quote.credits for change in changes), Decimal(0)))
        if todo.is_empty:
            what = "nothing to hand over" + ("" if plan.is_empty else ": what is left is done where the lockfile is")
            return self._tell_detached(what, [], [])
        self._approve(todo, show)
        self.project.state.make()
        limit = self.project.settings.text("max-credits") or ""

        async def main() -> tuple[list[Order], list[Order]]:
            return await hand_over(self.project, show, todo, account=self.account, run=self.in_ledger.name, max_credits=limit)

        try:
            orders, new = session.run_until_done(main, session.warn)
        except session.Interrupted:
            session.warn(f"stopped; what is in the queue stays there: {safe(command('status', self.project.shown))}")
            return ExitCode.INTERRUPTED
        return self._tell_detached(f"{count(sum(len(order.shots) for order in new), 'shot')} in the queue, in "
                                   f"{count(len(new), 'order')}{missing_words(orders, new)}", orders, new)

    def _tell_detached(self, what: str, orders: Sequence[Order], new: Sequence[Order]) -> ExitCode:
        steps: list[Step] = [(command("status", self.project.shown, "--watch"), "follows them from anywhere")] if orders else []
        steps.append((command("render", self.project.shown), "once all is done: brings the clips and writes the lockfile"))
        if self.asked.as_json:
            self.told.append({"takes": [], "charged": "0", "stopped": None, "queued": [list(order.shots) for order in new],
                              "in_queue": [list(order.shots) for order in orders], "next": [step for step, _ in steps]})
            return ExitCode.DONE
        click.echo(f"{what}.")
        for words in self._steps_text(steps):
            session.warn(words)
        return ExitCode.DONE

    def _check_saved(self, fresh: Plan) -> None:
        """A saved plan is held against a fresh one; it is never carried out from its own words."""
        path = self.asked.saved
        if path is None:
            return
        again = [command("plan", self.project.shown, "--out", "plan.json")]
        try:
            saved = json.loads(read_regular(Path(path), LARGEST_INPUT, links=True))
        except NotRegular as error:
            raise UsageError(f"{path} {error}", code="bad-plan", next_commands=again) from None
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", code="bad-plan", next_commands=again) from None
        except (RecursionError, ValueError):
            saved = None
        if not isinstance(saved, dict) or "changes" not in saved:
            raise UsageError(f"{path} is not a saved plan", code="bad-plan", next_commands=again)
        found = differences(saved, fresh)
        if found:
            raise StalePlan(f"{path} is stale: {'; '.join(found)}", hint="nothing was submitted; plan and review again",
                            next_commands=again)
        if any(is_stale(change) for change in fresh.changes):
            raise StalePlan(f"{path} cannot be carried out in one go: jobs of an earlier request must be finished first",
                            hint="nothing was submitted; render without --plan, then plan and review again",
                            next_commands=[command("status", self.project.shown)])

    def _may_be_known(self, show: Show) -> bool:
        """Whether all that this run did was to find that there is nothing to do, so that the next one may know it."""
        unasked = (self.asked.saved, self.asked.depfile, *map(self.project.settings.text, ("key-file", "listen")))
        return not (show.warnings or self.asked.as_json) and all(value is None for value in unasked)

    def _nothing_to_do(self, plan: Plan, show: Show) -> list[str]:
        """What is other than asked was told when it came home, and does not fail a run that has nothing to do with it; it is
        said again. Returns what was said besides."""
        takes = open_takes(plan, show.manifest)
        steps = decisions(self.project.shown, to_look_at=self._judging(takes))
        said = [*([to_look_at(takes)] if takes else []), *self._steps_text(steps)]
        if self.asked.as_json:
            self.told.append({"takes": [], "charged": "0", "stopped": None, "to_look_at": to_look_at_dicts(takes),
                              "next": [step for step, _ in steps]})
        else:
            click.echo(summary(plan, show.card, priced=not self.project.draft))
            for words in said:
                session.warn(words)
        return said

    def _steps_text(self, steps: Sequence[Step]) -> list[str]:
        """What is sensible to type, unless nobody wants to hear it."""
        return [] if self.asked.quiet else [f"next: {safe(step)}{f'   ({why})' if why else ''}" for step, why in steps]

    def _judging(self, changes: Sequence[Change]) -> list[tuple[str, int]]:
        """Takes that a person may circle or retake; in a draft none, since the manifest is for the clips that are paid for."""
        return [] if self.project.draft else [(change.shot, change.take) for change in changes]

    def _approve(self, plan: Plan, show: Show) -> None:
        """Show the plan, and ask where it costs something."""
        if not self.asked.as_json and not self.asked.quiet and self.asked.order is None:
            session.warn(plan_text(plan, show.card, verbose=self.asked.verbose, priced=not self.project.draft) + "\n")
        if self.asked.verbose and show.converted:
            self.say(converted_text(show.converted) + "\n")
        self._say_what_fits(plan, show)
        if self.project.draft or not plan.total or self.asked.yes or self.asked.saved is not None:
            return
        if not sys.stdin.isatty():
            through = " (through make: make RENDER_FLAGS=--yes)" if not self.in_ledger.is_whole else ""
            raise UsageError(f"this would spend {format_total(plan.total, show.card)}, and there is no terminal to ask",
                             code="not-approved",
                             hint=f"add --yes{through}, or carry out a reviewed plan with --plan FILE",
                             next_commands=[command("plan", self.project.shown, "--out", "plan.json")])
        click.confirm(f"Render for {format_total(plan.total, show.card)}?", abort=True, err=True)

    def _say_what_fits(self, plan: Plan, show: Show) -> None:
        """Where a limit is smaller than the plan, how far it goes, before anything is spent."""
        limit = session.tightest(self.project, show.manifest.limits).run_credits
        if self.project.draft or limit is None or plan.total <= limit:
            return
        fits, room = 0, limit
        priced = [change.quote.credits for change in plan.changes if change.quote.credits]
        for amount in priced:
            if amount <= room:
                fits, room = fits + 1, room - amount
        self.say(f"the limit of this run is {format_total(limit, show.card)}: {fits} of {count(len(priced), 'take')} fit "
                 "(raise it with --max-credits, or limits.credits in the manifest)\n")

    def _carry_out(self, planned: Planned, show: Show) -> ExitCode:
        limits = session.tightest(self.project, show.manifest.limits)

        async def main() -> Report:
            world = (session.draft(self.project, self.in_ledger) if self.key is None
                     else session.live(self.project, self.key, limits, self.in_ledger))
            async with world as (outside, options):
                options = replace(options, fail_fast=self.asked.fail_fast)
                with await self._progress(planned, show, outside, options) as progress:
                    return await execute(planned.plan, name=self.project.name, manifest=show.manifest, card=show.card,
                                         lockfile=planned.lockfile, outside=outside, options=options, observe=progress)

        try:
            report = session.run_until_done(main, session.warn)
        except session.Interrupted:
            again = command("render", self.project.shown, draft=self.project.draft)
            if self.asked.as_json:
                self.told.append({"code": "interrupted", "message": "stopped; what is known is saved", "hint": None,
                                  "diagnostics": [], "next": [again]})
            elif self.asked.order is None:  # else it goes back into the queue
                session.warn(f"stopped; continue with: {safe(again)}")
            return ExitCode.INTERRUPTED
        self.report, self.halted = report, report.halted is not None
        self.clips.update(((outcome.key.shot, outcome.key.take), outcome.artifact) for outcome in report.outcomes
                          if outcome.artifact is not None)
        known = open_takes(planned.plan, show.manifest)  # since before this run
        steps = self._steps(report, planned.plan, known)
        short = missing(report, planned.plan)
        if self.asked.as_json:
            self.told.append({**report_dict(report), "over_budget": format(short, "f"), "to_look_at": to_look_at_dicts(known),
                              "next": [step for step, _ in steps]})
        else:
            if self.asked.order is None or exit_code(report) is not ExitCode.DONE:
                click.echo(report_text(report, show.card, draft=self.project.draft, missing=short))
            for words in [*([to_look_at(known)] if known else []), *self._steps_text(steps)]:
                session.warn(words)
        return exit_code(report)

    def _steps(self, report: Report, plan: Plan, known: Sequence[Change]) -> list[Step]:
        """What is sensible to type now, and when: what a person must decide first, then how to go on. `known` are takes whose
        clips were to be looked at before the run."""
        shown, draft = self.project.shown, self.project.draft
        found = [change for change, outcome in zip(plan.changes, report.outcomes, strict=True)
                 if outcome.found and outcome.verdict is not None and not outcome.verdict.accepted]
        steps = decisions(
            shown, in_doubt=[(outcome.key.shot, outcome.key.take) for outcome in report.of(Ending.IN_DOUBT)],
            empty=[(outcome.key.shot, outcome.key.take) for outcome in report.of(Ending.FAILED) if paid_and_empty(outcome)],
            to_look_at=self._judging([*found, *known]))
        failed, why = [outcome for outcome in report.of(Ending.FAILED) if not paid_and_empty(outcome)], ""
        if report.halted is not None:
            why = "once that is mended"
        elif any(not paid_and_not_here(outcome) for outcome in failed):
            why = "after changing the shot, or to try it as it is; what is done is not paid again"
        elif failed or report.of(Ending.UNFINISHED):
            why = "goes on where this run stopped; nothing is paid twice"
        elif report.of(Ending.OVER_BUDGET):
            why = "with room in the limit: each run has its own, --max-credits sets it"
        if why:
            return [*steps, (command("render", shown, draft=draft), why), (command("status", shown, draft=draft), "")]
        if steps or not self.in_ledger.is_whole:  # what comes next is for whoever has started all these commands
            return steps
        return [(command("reel", shown, draft=draft), "")]

    async def _progress(self, planned: Planned, show: Show, outside: Outside, options: Options) -> Progress:
        """Who is told what happens: a program, a terminal, or a log."""
        priced = not self.project.draft
        if self.events is not None:
            return self.events
        if self.asked.quiet or not self.in_ledger.is_whole or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return Lines(sys.stderr, quiet=self.asked.quiet, priced=priced)
        from manifest_runner.views.live import Live  # rich: only where there is a terminal

        limits = options.limits
        bounds = Bounds(concurrency=limits.concurrency, rate=limits.rate, credits=limits.run_credits)
        durations = await outside.ledger.durations()
        order = sending_order(planned.plan, show.manifest, show.card, durations, rate=limits.rate,
                              concurrency=limits.concurrency, left=await outside.ledger.left(self.project.name, limits))
        running = Running(planned.plan, show.manifest, show.card, planned.jobs, bounds, poll=options.poll.every,
                          now=outside.clock.monotonic(), order=order)
        running.remember(durations)
        folder = self.project.path.parent
        return Live(running, outside.clock.monotonic, title=f"{show.manifest.show} {show.manifest.sequence}".strip(),
                    folder="" if folder == Path() else f"{folder}/", priced=priced, colour=click.get_current_context().color)
