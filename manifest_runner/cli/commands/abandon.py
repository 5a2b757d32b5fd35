"""`abandon`: a person's decision that a submission is given up."""

from __future__ import annotations

import click

from manifest_runner.cli.completing import complete_takes
from manifest_runner.cli.decisions import decide, undecided
from manifest_runner.cli.options import manifest_argument, setting_options
from manifest_runner.core.lifecycle import Abandoned
from manifest_runner.core.pricing import format_credits
from manifest_runner.errors import ExitCode
from manifest_runner.views.text import safe


@click.command()
@manifest_argument
@click.argument("take", metavar="SHOT[:TAKE]", shell_complete=complete_takes)
@click.option("--release", is_flag=True, help="The gateway is known to have no such job: its credits are free again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@setting_options("state-dir")
def abandon(manifest: str, take: str, release: bool, yes: bool, state_dir: str | None) -> int:
    """Give up the unfinished submission of a take of MANIFEST, such as SH0010 or SH0010:2.

    The next render submits the take anew, and it is paid anew. If the old job is there after all, both are paid: look at the
    gateway's own pages first. Without --release its reservation counts as spent.
    """
    found = undecided(manifest, take, state_dir)
    if not yes:
        held = format_credits(found.job.intent.reserved)
        click.confirm(f"Give up {found.job.intent.external_task_id} ({held} credits reserved)?", abort=True, err=True)
    decide(found, Abandoned(release=release))
    click.echo(safe(f"{take}: given up; the next render submits it anew"))
    return int(ExitCode.DONE)
