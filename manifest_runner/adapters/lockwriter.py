"""Writes takes into the lockfile on disk, each process its own.

The lock is taken on a file beside it, never on the lockfile itself: that one is renamed away under everybody's feet.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from manifest_runner.adapters.files import NotRegular, read_regular, write_atomically
from manifest_runner.adapters.lockmemo import WORTH, LockMemo
from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.model import LockEntry, Lockfile, TakeKey
from manifest_runner.core.projection import with_entries
from manifest_runner.errors import UsageError

LARGEST = 256 * 1024 * 1024
"""Bytes of the largest lockfile: 10,000 shots are some 12 MB."""


def read_lockfile(path: Path, shown: str, memo: LockMemo | None = None) -> tuple[Lockfile, str | None]:
    """The lockfile at `path` and the sha256 of its text in hex (None where there is none). How lines end does not count: a
    checkout on Windows may have changed that. What `memo` knows of a long text is not read again. Raises `InvalidInput` where
    it is damaged, `UsageError` where it is none."""
    try:
        data = read_regular(path, LARGEST)
    except FileNotFoundError:
        return Lockfile(), None
    except NotRegular as error:
        raise UsageError(f"{shown} {error}", code="lockfile-unreadable", hint="restore it from git") from None
    except OSError as error:
        why = "it is a link, and a lockfile is a file of its own" if error.errno == errno.ELOOP else error.strerror
        raise UsageError(f"{shown} cannot be read: {why}", code="lockfile-unreadable") from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    digest = hashlib.sha256(data).hexdigest()
    memo = memo if len(data) >= WORTH else None
    if memo is not None and (known := memo.recall(digest)) is not None:
        return known, digest
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{shown} is not UTF-8", code="lockfile-syntax", hint="restore it from git") from None
    del data  # megabytes that the parser would have to find room beside
    lockfile = lockfiles.read(text, path=shown)
    if memo is not None:
        memo.remember(lockfile, digest)
    return lockfile, digest


class FileLockWriter:
    """`ports.LockWriter` over a file. `guard` is the path of the lock that other processes wait for."""

    def __init__(self, path: Path, *, manifest: str, shown: str, guard: Path) -> None:
        self._path = path
        self._manifest = manifest
        self._shown = shown
        self._guard = guard

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        from filelock import FileLock  # start-up time

        lock = FileLock(self._guard)
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise UsageError(f"{self._guard} cannot be locked: {error}", code="lockfile-guard",
                             hint="is the state folder writable?") from None
        try:
            yield
        finally:
            lock.release()

    async def update(self, entries: Mapping[TakeKey, LockEntry | None]) -> None:
        """Replace these takes' blocks, in a worker thread."""
        import anyio.to_thread  # here: `lock` uses the synchronous half without anyio

        await anyio.to_thread.run_sync(self.write, entries)

    def write(self, entries: Mapping[TakeKey, LockEntry | None]) -> bool:
        """Read what is there now, replace these takes' blocks, write; False where that changes nothing."""
        with self._guarded():
            present, digest = read_lockfile(self._path, self._shown)
            wanted = lockfiles.write(with_entries(present, entries), manifest=self._manifest).encode()
            if hashlib.sha256(wanted).hexdigest() == digest:
                return False
            write_atomically(self._path, wanted)
            return True
