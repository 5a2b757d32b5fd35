"""Job ids that the ledger could not take: said aloud, and kept in small files that the next run reads.

Laws: the id is said before anything is written, since a disk may be all that is broken; a note is whole and synced, or it is
not there; a note is read only where this user alone could have written it (own file, mode 0600, no link), so that none can
arrive through git or another account of the machine. What it says is still only a claim: `engine/recovery.py` asks the gateway.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from manifest_runner.adapters.answers import is_job_id
from manifest_runner.adapters.files import sync_folder, why_not_private
from manifest_runner.adapters.ground import NOTES
from manifest_runner.core.model import ExternalTaskId, JobId
from manifest_runner.ports import Note

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_LARGEST = 4096  # bytes of a note
_MOST = 10_000  # notes that are read at a time
_TASK = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class RescueFiles:
    """`ports.Rescue` in the first of `places` that can be written. `account` and the name of the `ledger` that could not take
    the ids go into the files' names: a note is found again by the same account with the same ledger, and by nobody else.
    `say` tells a person."""

    def __init__(self, *, account: str, ledger: str, places: Sequence[Path], say: Callable[[str], None]) -> None:
        digest = hashlib.sha256(f"{account}\0{ledger}".encode()).hexdigest()[:16]
        self._prefix = f"{NOTES}{digest}-"
        self._places = places
        self._say = say

    async def keep(self, task: ExternalTaskId, job_id: JobId, *, why: str) -> str | None:
        """Say that the submission `task` is the job `job_id` and write it down; its path, None where no place took it."""
        import anyio.to_thread  # here: commands that only look for notes start without anyio

        self._say(f"the gateway has accepted {task} as job {job_id}, and the ledger did not take it: {why}")
        return await anyio.to_thread.run_sync(self._write, task, job_id)

    def _write(self, task: ExternalTaskId, job_id: JobId) -> str | None:
        content = json.dumps({"external_task_id": task, "job_id": job_id}).encode() + b"\n"
        for folder in self._places:
            path = folder / f"{self._prefix}{os.urandom(8).hex()}.json"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600)
                try:
                    with os.fdopen(descriptor, "wb") as file:
                        file.write(content)
                        file.flush()
                        os.fsync(descriptor)
                    sync_folder(folder)
                except OSError:
                    path.unlink(missing_ok=True)
                    raise
            except OSError:
                continue
            return str(path)
        return None

    def found(self) -> list[Note]:
        """The notes that are there, in order of their names. One that cannot be believed is said and left alone."""
        return [note for folder in self._places for note in self._read_all(folder)]

    def drop(self, note: Note) -> None:
        """Remove a note whose job is in the ledger."""
        with suppress(OSError):  # one that stays is read again, which changes nothing
            Path(note.place).unlink()

    def _read_all(self, folder: Path) -> Iterator[Note]:
        try:
            with os.scandir(folder) as entries:
                mine = (entry.name for entry in entries if entry.name.startswith(self._prefix))
                first = heapq.nsmallest(_MOST, mine)  # a folder of any size costs the memory of these
            with os.scandir(folder) as entries:
                more = sum(entry.name.startswith(self._prefix) for entry in entries) - _MOST
        except OSError:
            return
        if more > 0:
            self._say(f"{folder} holds {more} more notes of jobs than are read at a time: the next run reads on")
        paths = [folder / name for name in first]
        for path in paths:
            try:
                yield _note(path)
            except (OSError, ValueError) as error:
                self._say(f"{path} is not read: {error}")


def _note(path: Path) -> Note:
    """The note in a file. Raises `OSError` or `ValueError` where it is none that this user alone could have written."""
    descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        wrong = why_not_private(os.fstat(descriptor))
        if wrong is not None:
            raise ValueError(wrong)
        content = file.read(_LARGEST + 1)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    task, job_id = (data.get("external_task_id"), data.get("job_id")) if isinstance(data, dict) else (None, None)
    if not (isinstance(task, str) and _TASK.fullmatch(task) and is_job_id(job_id)):
        raise ValueError("it is not a note of a job")
    return Note(external_task_id=ExternalTaskId(task), job_id=JobId(str(job_id)), place=str(path))
