"""`plan`: what would be rendered, why, and for how many credits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from manifest_runner.adapters.files import LARGEST_INPUT, NotRegular, read_regular, write_atomically
from manifest_runner.cli import footing
from manifest_runner.cli.options import manifest_argument, only_option, output_options, setting_options
from manifest_runner.cli.planner import Planned, overruled, plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.stores import frames_unreachable
from manifest_runner.cli.words import command, decisions
from manifest_runner.core.planfile import dumps
from manifest_runner.core.verdict import open_takes
from manifest_runner.errors import InvalidInput, UsageError
from manifest_runner.views.diagnostics import as_text
from manifest_runner.views.escaping import json_text
from manifest_runner.views.plan import converted_text, plan_text
from manifest_runner.views.status import to_look_at
from manifest_runner.views.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manifest_runner.views.markdown import Review

_REVIEWS = ("markdown", "github")


@click.command()
@manifest_argument
@only_option
@click.option("--draft", is_flag=True, help="Against the draft lockfile.")
@click.option("--out", metavar="FILE", help="Save the plan, for `render --plan FILE`.")
@click.option("--format", "style", type=click.Choice(["text", "json", "markdown", "github"]), default="text",
              help="For people, for programs, as a comment, or for a step of a workflow.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 where there is something to do.")
@setting_options("state-dir", "store", "store-url", "frames")
@output_options("json", "quiet", "verbose")
def plan(manifest: str, only: tuple[str, ...], draft: bool, out: str | None, style: str, exit_code: bool, as_json: bool,
         quiet: bool, verbose: bool, **flags: str | None) -> int:
    """Show what `render MANIFEST` would do, why, and for how many credits.

    Needs no key, changes nothing, and spends nothing.
    """
    if draft and style in _REVIEWS:
        raise UsageError(f"--format {style} is for plans that cost something; a draft costs nothing",
                         hint="leave one of the two out")
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()}, draft=draft)
    try:
        show = project.load()
        planned = plan_project(project, show, only=only, settled=False)
    except InvalidInput as error:
        if style in _REVIEWS:
            _refused(project, error, style)
        raise
    if out is not None:
        _check_place(Path(out))
        write_atomically(Path(out), json_text(dumps(planned.plan)).encode())
    if style == "json" or as_json:
        click.echo(json_text(dumps(planned.plan)), nl=False)
    elif style == "markdown":
        from manifest_runner.cli.ci import comment  # start-up: a plan for the terminal needs no hash and no HTML

        click.echo(comment(project, _review(project, show, planned)), nl=False)
    else:
        if show.warnings and not quiet:
            click.echo(as_text(show.warnings, show.texts) + "\n", err=True)
        click.echo(plan_text(planned.plan, show.card, verbose=verbose, priced=not draft))
        if verbose and show.converted:
            click.echo(converted_text(show.converted), err=True)
        said = [] if quiet else [*_to_look_at(planned, show, "" if draft else manifest), *_doubts(project, show, planned)]
        for words in said:
            click.echo(words, err=True)
        if style == "github":
            from manifest_runner.cli.ci import publish  # as above

            publish(project, _review(project, show, planned), out or "")
        if out is not None and not quiet:
            click.echo(f"saved; carry it out with: {safe(command('render', manifest, '--plan', out))}", err=True)
        if planned.plan.is_empty and not show.warnings and (style, out, verbose) == ("text", None, False):
            footing.leave(project, show, planned, said)
    return 2 if exit_code and not planned.plan.is_empty else 0


def _to_look_at(planned: Planned, show: Show, manifest: str) -> Iterator[str]:
    """Clips in the cut that are other than asked, and what may be typed about them where there is a `manifest` to change."""
    takes = open_takes(planned.plan, show.manifest)
    if takes:
        yield to_look_at(takes)
        for step, why in decisions(manifest, to_look_at=[(change.shot, change.take) for change in takes if manifest]):
            yield f"next: {safe(step)}   ({why})"


def _doubts(project: Project, show: Show, planned: Planned) -> Iterator[str]:
    """Where the ledger says something else than the lockfile, and why nothing can be rendered as things are set up."""
    other = overruled(planned)
    if other is not None:
        yield safe(other)
    unreachable = None if planned.plan.is_empty else frames_unreachable(project, show.manifest)
    if unreachable is not None:
        yield f"before it can be rendered: {safe(unreachable[0])}\n  hint: {safe(unreachable[1])}"


def _review(project: Project, show: Show, planned: Planned) -> Review:
    from manifest_runner.core.cutprice import locked_cut_total  # as above
    from manifest_runner.views.markdown import Review

    before = locked_cut_total(show.manifest, show.card, planned.lockfile)
    return Review(plan=planned.plan, manifest=show.manifest, card=show.card, name=project.name, cut_before=before,
                  warnings=show.warnings)


def _refused(project: Project, error: InvalidInput, style: str) -> None:
    """Say in the review, too, that there is no plan: what it said before is no longer so."""
    from manifest_runner.cli import ci  # as above

    if style == "markdown":
        click.echo(ci.comment(project, error.diagnostics), nl=False)
    else:
        ci.complain(project, error.diagnostics)


def _check_place(path: Path) -> None:
    """A saved plan replaces an older one and nothing else: a slip of the hand must not cost a manifest."""
    if not path.exists():
        return
    try:
        old = json.loads(read_regular(path, LARGEST_INPUT, links=True))
    except (NotRegular, OSError, RecursionError, ValueError):
        old = None
    if not isinstance(old, dict) or not {"basis", "changes"} <= old.keys():
        raise UsageError(f"{path} is there and is not a saved plan: it stays as it is", code="not-a-plan",
                         hint="name a new file: --out plan.json")
