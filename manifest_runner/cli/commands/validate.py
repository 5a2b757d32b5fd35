"""`validate`: every mistake at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from manifest_runner.cli.options import manifests_argument, output_options
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.several import each
from manifest_runner.core.model import Diagnostic
from manifest_runner.errors import ExitCode, InvalidInput
from manifest_runner.views.diagnostics import as_dict, as_text
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe


@click.command()
@manifests_argument
@click.option("--format", "style", type=click.Choice(["text", "json", "github"]), default="text",
              help="For people, for programs, or for a step of a workflow.")
@output_options("json", "quiet")
def validate(manifests: tuple[str, ...], style: str, as_json: bool, quiet: bool) -> None:
    """Find every mistake in each MANIFEST: templates, schema, rules between shots.

    Needs no key and no network, and spends nothing. Exits with 2 where something is wrong.
    """
    shows: list[Show] = []
    for_programs = style == "json" or as_json

    def one(manifest: str) -> int:
        shows.append(_load(manifest, annotate=style == "github"))
        if not for_programs:
            _tell(manifest, shows[-1], quiet=quiet)
        return int(ExitCode.DONE)

    each(manifests, one)
    if for_programs:
        body = {"shots": sum(len(show.manifest.shots) for show in shows), "takes": sum(map(_takes, shows)),
                "diagnostics": [as_dict(item) for show in shows for item in show.warnings]}
        click.echo(json_text(json.dumps(body, ensure_ascii=False, indent=2)))


def _load(manifest: str, *, annotate: bool) -> Show:
    project = Project(manifest, {})
    try:
        show = project.load()
    except InvalidInput as error:
        if annotate:
            _complain(project, error.diagnostics)
        raise
    if annotate:
        _complain(project, show.warnings)
    return show


def _tell(manifest: str, show: Show, *, quiet: bool) -> None:
    if show.warnings:
        click.echo(as_text(show.warnings, show.texts) + "\n", err=True)
    if not quiet:
        click.echo(f"{safe(manifest)}: {count(len(show.manifest.shots), 'shot')}, {count(_takes(show), 'take')}, no mistakes"
                   + (f", {count(len(show.warnings), 'warning')}" if show.warnings else ""))


def _takes(show: Show) -> int:
    return sum(shot.takes for shot in show.manifest.shots)


def _complain(project: Project, diagnostics: Sequence[Diagnostic]) -> None:
    from manifest_runner.cli.ci import complain  # start-up: only a step of a workflow needs it

    complain(project, diagnostics)
