"""`status --watch`: how a show comes along, wherever it is rendered, until nothing is under way any more."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import click

from manifest_runner.cli.ledgers import repository_name, team
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.core.lifecycle import UNFINISHED
from manifest_runner.core.model import Action
from manifest_runner.core.orders import InQueue
from manifest_runner.errors import LedgerError
from manifest_runner.views.status import Standing, pulse, standings
from manifest_runner.views.text import safe

PAUSE = 2.0
"""Seconds between two looks."""


def queue_of(project: Project, rows: Sequence[Standing]) -> InQueue:
    """The orders for this manifest. Of those that could not be carried out, such as have something left to do."""
    address = team(project)
    if address is None:
        return InQueue()
    from manifest_runner.adapters.team_queue import TeamQueue  # few have a database

    with TeamQueue(address) as queue:
        found = queue.standing(repository_name(project), project.name)
    left = {row.change.shot for row in rows if row.change.action not in (Action.KEEP, Action.FETCH)}
    return InQueue(waiting=found.waiting, in_hand=found.in_hand,
                   failed=tuple(shots for shots in found.failed if left.intersection(shots)))


def watch(project: Project, show: Show, shown: Callable[[], str], *, silent: bool) -> None:
    """Return when nothing waits, is in hand or is under way. Until then, unless `silent`, `shown` again and again on a
    terminal; elsewhere a line for each change."""
    before = ""
    while True:
        try:
            planned = plan_project(project, show)
            rows = standings(planned.plan, planned.jobs, show.manifest)
            queue = queue_of(project, rows)
        except LedgerError as error:  # a database that is away: it comes back
            line, is_over = safe(error.message), False
        else:
            line = pulse(rows, queue)
            is_over = not queue.is_open and not any(job.state in UNFINISHED for job in planned.jobs.values())
        if silent:
            pass
        elif sys.stdout.isatty():
            text = shown() if not is_over else ""
            click.clear()
            click.echo(text, nl=bool(text))
        elif line != before:
            click.echo(line)
            sys.stdout.flush()
        before = line
        if is_over:
            return
        time.sleep(PAUSE)
