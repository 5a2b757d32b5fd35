"""Which senders, each the process of one command, are still alive: each holds a lock on a file of its own beside the ledger
for as long as its process lives.

Law: the system lets go of the lock when the process ends, however it ends. A process id would not do: it is given out
again, and means nothing in another container that shares the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path


class RunMark:
    """The sign that `sender` is alive, from now until `remove` or the end of the process. Raises `OSError`."""

    def __init__(self, ledger: Path, sender: str) -> None:
        self._path = _place(ledger, sender)
        self._handle = self._hold()

    def _hold(self) -> int:
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_SH)  # shared: a command may open its ledger twice
            # Between opening and locking, `is_alive` of another process may have swept the file away.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), self._path.stat()):
                    return handle
            os.close(handle)

    def remove(self) -> None:
        """It is over. May be called twice."""
        if self._handle < 0:
            return
        if _alone(self._handle):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = -1


def is_alive(ledger: Path, sender: str) -> bool:
    """Whether the process `sender` is alive; sweeps away what a killed one has left. Raises `OSError`."""
    path = _place(ledger, sender)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not _alone(handle):
            return True
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def is_left_behind(ledger: Path, sender: str) -> bool:
    """Whether the process `sender` has ended and its file is there still: it was killed. Raises `OSError`."""
    try:
        handle = os.open(_place(ledger, sender), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _alone(handle)
    finally:
        os.close(handle)


def _alone(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _place(ledger: Path, sender: str) -> Path:
    name = hashlib.blake2b(sender.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
    return ledger.with_name(f"{ledger.name}.run-{name}")
