"""`report`: the review page, one HTML file with its clips beside or inside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from manifest_runner.adapters.files import make_folder, write_atomically
from manifest_runner.adapters.resources import page_part
from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.reviewing import Clips, before_of, pictures_of
from manifest_runner.cli.words import decisions, near
from manifest_runner.core.planning import Where
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.report import PARTS, report_page
from manifest_runner.views.report_shots import Review, report_data
from manifest_runner.views.status import Standing, standings
from manifest_runner.views.text import count, safe


@click.command()
@manifest_argument
@click.option("--draft", is_flag=True, help="Of the draft's clips.")
@click.option("--out", metavar="FILE", help="Where to write it; default: beside the clips.")
@click.option("--against", metavar="REV", help="Show what changed since a git revision.")
@click.option("--embed", is_flag=True, help="Put the clips into the page, so that it can travel alone.")
@setting_options("state-dir")
@output_options("quiet")
def report(manifest: str, draft: bool, out: str | None, against: str | None, embed: bool, quiet: bool,
           **flags: str | None) -> int:
    """Write a page that shows MANIFEST shot by shot: clips, takes, prompts and what changed. Needs no key and asks nobody."""
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()}, draft=draft)
    show = project.load()
    planned = plan_project(project, show)
    to = _target(project, show, out)
    clips = Clips(project, show, planned, to, embed=embed, quiet=quiet)
    before = None if against is None else before_of(project, show, against, clips)
    rows = standings(planned.plan, planned.jobs, show.manifest)
    review = Review(manifest=show.manifest, card=show.card, plan=planned.plan, lockfile=planned.lockfile, rows=rows,
                    clips=clips.now(), draft=draft, before=before, pictures=pictures_of(project, show),
                    next={} if draft else _next(rows, manifest))
    name = " ".join(part for part in (show.manifest.show, show.manifest.sequence) if part)
    page = report_page(report_data(review), {part: page_part(part) for part in PARTS}, clips=clips.embedded,
                       title=f"{safe(name)} – {'draft ' if draft else ''}review")
    write_atomically(to, page.encode())
    if not quiet:
        for warning in clips.warnings:
            click.echo(f"note: {safe(warning)}", err=True)
    click.echo(f"{safe(str(near(to)))}: {count(len(show.manifest.shots), 'shot')}, {count(len(review.clips), 'clip')}, "
               f"{len(page) / 1_000_000:.1f} MB")
    return int(ExitCode.DONE)


def _next(rows: Sequence[Standing], manifest: str) -> dict[Where, list[str]]:
    """What may be typed about each take that a person has to look at."""
    return {where: [typed for typed, _ in decisions(manifest, to_look_at=[where])]
            for where in ((row.change.shot, row.change.take) for row in rows if row.is_open)}


def _target(project: Project, show: Show, out: str | None) -> Path:
    """Where the page goes: beside the clips, where git ignores it with them, unless the user says otherwise."""
    if out is None:
        to = project.files.folder / f"{show.manifest.output}.report.html"
        try:
            make_folder(to.parent)
        except OSError as error:
            raise UsageError(f"{to.parent} cannot be made: {error.strerror}", code="cannot-write") from None
        return to
    if not out.endswith((".html", ".htm")):
        raise UsageError(f"{out} does not end in .html", hint="the report is a web page: --out report.html")
    if not Path(out).parent.is_dir():
        raise UsageError(f"there is no folder {Path(out).parent}", code="cannot-write", hint="make it first")
    return Path(out)
