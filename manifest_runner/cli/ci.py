"""What a CI service is told, and where: the environment decides.

Laws: these files are appended to, as GitHub asks; nothing is told to anybody over a network; without the variables everything
that a person can look at goes to standard output.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from manifest_runner.cli.project import Project
from manifest_runner.cli.words import command
from manifest_runner.core.model import Diagnostic
from manifest_runner.errors import UsageError
from manifest_runner.views.escaping import html
from manifest_runner.views.github import annotate, records, values
from manifest_runner.views.markdown import (
    COMMENT,
    SUMMARY,
    Paper,
    Review,
    characters,
    figures,
    mistakes_markdown,
    review_markdown,
    utf8,
)

_RUN = re.compile(r"https?://[\w.:-]+(/[\w.-]+)*/actions/runs/[0-9]+")


def comment(project: Project, about: Review | Sequence[Diagnostic]) -> str:
    """The comment about a plan, or about the mistakes that stand in its way."""
    run = _run()
    rest = f'see the <a href="{html(run)}">job summary</a>' if run else _by_hand(project)
    return _write(project, about, Paper(room=COMMENT, measure=characters, marked=True, rest=rest))


def publish(project: Project, review: Review, plan_file: str) -> None:
    """The figures as outputs of the step, and the job summary."""
    written = values(figures(review), plan_file)
    output = os.environ.get("GITHUB_OUTPUT")
    if output:
        _append(Path(output), records(written))
    else:
        for name, value in written.items():
            click.echo(f"{name}={value}")
    summarise(project, review)


def complain(project: Project, diagnostics: Sequence[Diagnostic]) -> None:
    """What is wrong, at its lines, and all of it in the job summary."""
    for line in annotate(diagnostics, project.from_root):
        click.echo(line)
    summarise(project, diagnostics)


def summarise(project: Project, about: Review | Sequence[Diagnostic]) -> None:
    """Add to the job summary, where there is one, what it has room for."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name or not about:
        return
    path = Path(name)
    room = SUMMARY - (path.stat().st_size if path.exists() else 0)
    paper = Paper(room=room, measure=utf8, marked=False, rest=_by_hand(project))
    text = _write(project, about, paper) + "\n"
    if utf8(text) <= room:  # a summary that grows too large is lost whole
        _append(path, text)


def _write(project: Project, about: Review | Sequence[Diagnostic], paper: Paper) -> str:
    return review_markdown(about, paper) if isinstance(about, Review) else mistakes_markdown(project.name, about, paper)


def _by_hand(project: Project) -> str:
    return f"<code>{html(command('plan', project.name))}</code>"


def _run() -> str | None:
    """The address of this run's page, None elsewhere."""
    server, repository, number = (os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    address = f"{server}/{repository}/actions/runs/{number}"
    return address if _RUN.fullmatch(address) else None


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", code="cannot-write") from None
