"""What `adopt` and `abandon` share: finding the submission that a person decides about, and recording the decision."""

from __future__ import annotations

import os
from dataclasses import dataclass

from manifest_runner.cli.ledgers import accounts, check_ledger, look, open_ledger
from manifest_runner.cli.project import Project
from manifest_runner.cli.trust import refuse_claims
from manifest_runner.cli.words import command, take_of
from manifest_runner.core.lifecycle import UNFINISHED, Event
from manifest_runner.core.model import Job
from manifest_runner.core.projection import entry_of
from manifest_runner.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """An unfinished submission, and the ledger's account that it belongs to."""

    project: Project
    account: str
    job: Job


def undecided(manifest: str, take: str, state_dir: str | None) -> Undecided:
    """The unfinished submission of a take, `SHOT` or `SHOT:TAKE`. Raises `UsageError` where there is none."""
    shot, number = take_of(take)
    project = Project(manifest, {"state-dir": state_dir})
    refuse_claims(project.settings, only={"state-dir", "ledger"})
    wanted = (shot, int(number or 1))
    check_ledger(project)
    for account in accounts(project):
        ledger = look(project, account)
        if ledger is None:
            continue
        with ledger:
            for job in ledger.jobs(project.name):
                if (job.intent.key.shot, job.intent.key.take) == wanted and job.state in UNFINISHED:
                    return Undecided(project=project, account=account, job=job)
    raise UsageError(f"{take} has no unfinished submission", code="nothing-to-decide",
                     next_commands=[command("status", manifest)])


def decide(found: Undecided, event: Event) -> None:
    """Record a person's decision in the ledger and, where it shows there, in the lockfile."""
    project = found.project
    with open_ledger(project, found.account, run=os.urandom(8).hex()) as ledger:
        job = ledger.record(found.job.intent.external_task_id, event)
    project.lock_writer().write({job.intent.key: entry_of(job)})
