"""`circle`: a person's decision which take goes into the cut."""

from __future__ import annotations

from collections.abc import Sequence

import click

from manifest_runner.cli.completing import complete_takes
from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.project import Project
from manifest_runner.cli.taking import Desk, tell
from manifest_runner.cli.words import command, is_number, take_of
from manifest_runner.core.model import Diagnostic, Plan
from manifest_runner.core.takes import Decisions, Unseen, Wish
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.decided import Decided
from manifest_runner.views.status import Step


@click.command()
@manifest_argument
@click.argument("takes", metavar="SHOT:TAKE...", nargs=-1, required=True, shell_complete=complete_takes)
@click.option("--latest", is_flag=True, help="Circle none: the latest take of each SHOT goes into the cut.")
@click.option("--force", is_flag=True, help="Circle a take that has no clip yet, too.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would follow.")
@click.option("--draft", is_flag=True, help="Go by the draft's clips and plan.")
@setting_options("state-dir")
@output_options("json", "quiet")
def circle(manifest: str, takes: tuple[str, ...], latest: bool, force: bool, dry_run: bool, draft: bool, state_dir: str | None,
           as_json: bool, quiet: bool) -> int:
    """Circle takes of MANIFEST, such as SH0010:2: they go into the cut, and other shots take their frames from them.

    Writes `circled: 2` into the shot; all else in the file stays as it is. Says which shots would be rendered again, and for
    how many credits. Spends nothing.
    """
    asked = _asked(takes)
    if latest and any(take is not None for _, take in asked):
        raise UsageError("--latest circles no take: name shots alone", hint=f"circle {manifest} SH0010 --latest")
    desk = Desk(Project(manifest, {"state-dir": state_dir}, draft=draft))

    def onward(_: Sequence[Decided], plan: Plan) -> list[Step]:
        if dry_run:
            flags = [*(["--latest"] if latest else []), *(["--force"] if force else [])]
            return [(command("circle", manifest, *takes, *flags, draft=draft), "")]
        if plan.is_empty:
            return [(command("reel", manifest, draft=draft), "")]
        return [(command("plan", manifest, draft=draft), ""), (command("render", manifest, draft=draft), "")]

    def wishing(decisions: Decisions, unseen: Unseen) -> tuple[list[Wish], list[Diagnostic]]:
        if latest:
            return decisions.uncircling([shot for shot, _ in asked])
        return decisions.circling(asked, (lambda *_: None) if force else unseen)

    decision = desk.decide(wishing, onward, dry=dry_run)
    tell(decision, desk, as_json=as_json, quiet=quiet)
    return int(ExitCode.DONE)


def _asked(words: Sequence[str]) -> list[tuple[str, int | None]]:
    """`SH0010:2` or `SH0010 2`, several of them."""
    asked: list[tuple[str, int | None]] = []
    bare = False  # whether the word before was a shot alone, whose take may follow
    for word in words:
        if bare and is_number(word):
            asked[-1] = (asked[-1][0], int(word))
            bare = False
        else:
            asked.append(take_of(word))
            bare = asked[-1][1] is None
    return asked
