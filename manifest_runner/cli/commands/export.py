"""`export`: the shots of a manifest for those who work in a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import click

from manifest_runner.adapters.files import write_atomically
from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.cli.targets import check_free
from manifest_runner.cli.words import near
from manifest_runner.errors import UsageError
from manifest_runner.views.shotlist import list_csv
from manifest_runner.views.status import standings
from manifest_runner.views.text import count, safe


@click.command()
@manifest_argument
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, which spreadsheets open and `import` reads back.")
@click.option("--draft", is_flag=True, help="With the states of the draft.")
@click.option("--out", metavar="FILE", help="Where to write it; default: standard output.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@setting_options("state-dir")
@output_options("quiet")
def export(manifest: str, as_csv: bool, draft: bool, out: str | None, force: bool, quiet: bool, **flags: str | None) -> None:
    """Write the shots of MANIFEST, templates filled, one row a shot, with where their takes stand and what they cost.

    Needs no key and asks nobody.
    """
    if not as_csv:
        raise UsageError("export as what?", hint="add --csv: it is the one form that there is")
    if out is not None:
        if not out.endswith(".csv"):
            raise UsageError(f"{out} does not end in .csv", hint="a list is a CSV file: --out shots.csv")
        check_free(Path(out), force=force)
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()}, draft=draft)
    show = project.load()
    planned = plan_project(project, show)
    text = list_csv(show.manifest, show.card, standings(planned.plan, planned.jobs, show.manifest))
    if out is None:
        click.echo(text.encode(), nl=False)
        return
    write_atomically(Path(out), text.encode())
    if not quiet:
        click.echo(f"{safe(str(near(Path(out))))}: {count(len(show.manifest.shots), 'shot')}")
