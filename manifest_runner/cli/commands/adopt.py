"""`adopt`: a person's decision that a submission became this job."""

from __future__ import annotations

import click

from manifest_runner.cli.completing import complete_takes
from manifest_runner.cli.decisions import decide, undecided
from manifest_runner.cli.options import manifest_argument, setting_options
from manifest_runner.cli.words import command
from manifest_runner.core.lifecycle import Submitted
from manifest_runner.core.model import JobId
from manifest_runner.errors import ExitCode
from manifest_runner.views.text import safe


@click.command()
@manifest_argument
@click.argument("take", metavar="SHOT[:TAKE]", shell_complete=complete_takes)
@click.argument("job_id", metavar="JOB_ID")
@setting_options("state-dir")
def adopt(manifest: str, take: str, job_id: str, state_dir: str | None) -> int:
    """Say that the submission in doubt of a take of MANIFEST, such as SH0010 or SH0010:2, is the gateway's job JOB_ID.

    The next render asks the gateway about that job and brings its clip home. Nothing is submitted.
    """
    decide(undecided(manifest, take, state_dir), Submitted(job_id=JobId(job_id)))
    click.echo(safe(f"{take} is {job_id}; next: {command('render', manifest)}"))
    return int(ExitCode.DONE)
