"""Job ids that an earlier run could not record: taken into the ledger before anything is planned.

Law: a note is a claim. Where the gateway does not know the job for this account, a person is told and nothing else happens.
Where it does, the job is paid for: the ledger takes it, or nothing more is submitted until a person has looked.
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_runner.core.lifecycle import IllegalEvent, Submitted
from manifest_runner.engine.types import Outside
from manifest_runner.errors import Conflict, JobNotFound, LedgerError, ProviderError


async def take_back(outside: Outside, say: Callable[[str], None]) -> None:
    """Record what the notes of `outside.rescue` say and remove those that were recorded.

    Raises `ProviderError` where the gateway cannot be asked, and `LedgerError` where the ledger cannot take a job that is
    there: then nothing may be planned, because a job that is paid for would look like one that was never answered.
    """
    for note in outside.rescue.found():
        what = f"{note.place} says that {note.external_task_id} is job {note.job_id}"
        try:
            await outside.provider.job(note.job_id)
            await outside.ledger.record(note.external_task_id, Submitted(job_id=note.job_id))
        except JobNotFound:
            say(f"{what}, which the gateway does not know: left there")
        except (Conflict, LedgerError, IllegalEvent) as error:
            raise LedgerError(f"{what}; the gateway has that job, and the ledger does not take it: {error.message}",
                              hint="nothing was submitted: ask the provider about it, and remove the file once it is settled",
                              ) from None
        except ProviderError as error:
            error.hint = f"nothing was submitted, since {what}: run the same command again, or settle it and remove the file"
            raise
        else:
            outside.rescue.drop(note)
            say(f"{what}: recorded")
