"""`retake`: a person's decision that a shot gets one more take."""

from __future__ import annotations

from collections.abc import Sequence

import click

from manifest_runner.cli.completing import complete_shots
from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.project import Project
from manifest_runner.cli.taking import Desk, tell
from manifest_runner.cli.words import command
from manifest_runner.core.model import Action, Plan
from manifest_runner.errors import ExitCode
from manifest_runner.views.decided import Decided
from manifest_runner.views.status import Step

_THERE = (Action.KEEP, Action.FETCH)


@click.command()
@manifest_argument
@click.argument("shots", metavar="SHOT...", nargs=-1, required=True, shell_complete=complete_shots)
@click.option("--takes", type=click.IntRange(min=1), default=1, metavar="N", help="How many more; default: one.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would follow.")
@click.option("--draft", is_flag=True, help="Go by the draft's clips and plan.")
@setting_options("state-dir")
@output_options("json", "quiet")
def retake(manifest: str, shots: tuple[str, ...], takes: int, dry_run: bool, draft: bool, state_dir: str | None, as_json: bool,
           quiet: bool) -> int:
    """Ask for one more take of each SHOT of MANIFEST. The takes that are there stay.

    Raises `takes` in the shot; all else in the file stays as it is. Says what would be rendered, what follows from it, and for
    how many credits. Spends nothing: the next render makes the take.
    """
    desk = Desk(Project(manifest, {"state-dir": state_dir}, draft=draft))

    def onward(decided: Sequence[Decided], _: Plan) -> list[Step]:
        if dry_run:
            more = [] if takes == 1 else ["--takes", str(takes)]
            return [(command("retake", manifest, *shots, *more, draft=draft), "")]
        there = {(change.shot, change.take) for change in desk.planned.plan.changes if change.action in _THERE}
        turned = [f"{one.after.id}:{one.before.cut_take}" for one in decided
                  if one.before.cut_take != one.after.cut_take and (one.after.id, one.before.cut_take) in there]
        names = ",".join(one.after.id for one in decided)
        many = len(decided) * takes > 1
        return [*([(command("circle", manifest, *turned, draft=draft), "leaves the cut as it is")] if turned else []),
                (command("render", manifest, "--only", names, draft=draft), f"the new take{'s' if many else ''}, to look at"),
                (command("plan", manifest, draft=draft), "")]

    decision = desk.decide(lambda decisions, _: decisions.retaking(shots, takes), onward, dry=dry_run)
    tell(decision, desk, as_json=as_json, quiet=quiet)
    return int(ExitCode.DONE)
