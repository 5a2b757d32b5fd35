"""Job ids that an earlier run could not record: taken into the ledger before anything is planned.

Law: a note is a claim. The gateway must know the job for this account, and the lifecycle must allow the step (a submission that
the ledger knows, not yet named or named the same); else the note stays where it is, and a person is told.
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_runner.core.lifecycle import IllegalEvent, Submitted
from manifest_runner.engine.types import Outside
from manifest_runner.errors import Conflict, JobNotFound, LedgerError


async def take_back(outside: Outside, say: Callable[[str], None]) -> None:
    """Record what the notes of `outside.rescue` say and remove those that were recorded.

    Raises `ProviderError` where the gateway cannot be asked: then nothing may be planned yet, because a job that is paid for
    would look like one that was never answered.
    """
    for note in outside.rescue.found():
        what = f"{note.place} says that {note.external_task_id} is job {note.job_id}"
        try:
            await outside.provider.job(note.job_id)
            await outside.ledger.record(note.external_task_id, Submitted(job_id=note.job_id))
        except JobNotFound:
            say(f"{what}, which the gateway does not know: left there")
        except (Conflict, LedgerError, IllegalEvent) as error:
            say(f"{what}, which does not fit: {error.message}; left there")
        else:
            outside.rescue.drop(note)
            say(f"{what}: recorded")
