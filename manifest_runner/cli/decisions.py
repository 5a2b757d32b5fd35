"""What `adopt` and `abandon` share: finding the submission that a person decides about, and recording the decision."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from manifest_runner.adapters.ledger import SqliteLedger
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
    refuse_claims(project.settings, only={"state-dir"})
    wanted = (shot, int(number or 1))
    for account in SqliteLedger.accounts(project.state.ledger):
        ledger = SqliteLedger.open_readonly(project.state.ledger, account=account)
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
    with SqliteLedger(project.state.ledger, account=found.account, run=os.urandom(8).hex(), wall=time.time) as ledger:
        job = ledger.record(found.job.intent.external_task_id, event)
    project.lock_writer().write({job.intent.key: entry_of(job)})
