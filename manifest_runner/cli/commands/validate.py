"""`validate`: every mistake at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from manifest_runner.cli.options import manifest_argument, output_options
from manifest_runner.cli.project import Project
from manifest_runner.core.model import Diagnostic
from manifest_runner.errors import InvalidInput
from manifest_runner.views.diagnostics import as_dict, as_text
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count


@click.command()
@manifest_argument
@click.option("--format", "style", type=click.Choice(["text", "json", "github"]), default="text",
              help="For people, for programs, or for a step of a workflow.")
@output_options("json", "quiet")
def validate(manifest: str, style: str, as_json: bool, quiet: bool) -> None:
    """Find every mistake in MANIFEST: templates, schema, rules between shots.

    Needs no key and no network, and spends nothing. Exits with 2 where something is wrong.
    """
    project = Project(manifest, {})
    try:
        show = project.load()
    except InvalidInput as error:
        if style == "github":
            _complain(project, error.diagnostics)
        raise
    if style == "github":
        _complain(project, show.warnings)
    shots = show.manifest.shots
    takes = sum(shot.takes for shot in shots)
    if style == "json" or as_json:
        body = {"shots": len(shots), "takes": takes, "diagnostics": [as_dict(item) for item in show.warnings]}
        click.echo(json_text(json.dumps(body, ensure_ascii=False, indent=2)))
        return
    if show.warnings:
        click.echo(as_text(show.warnings, show.texts) + "\n", err=True)
    if not quiet:
        click.echo(f"{manifest}: {count(len(shots), 'shot')}, {count(takes, 'take')}, no mistakes"
                   + (f", {count(len(show.warnings), 'warning')}" if show.warnings else ""))


def _complain(project: Project, diagnostics: Sequence[Diagnostic]) -> None:
    from manifest_runner.cli.ci import complain  # start-up: only a step of a workflow needs it

    complain(project, diagnostics)
