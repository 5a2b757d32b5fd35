"""The manifest's own repository, read-only and jailed; and the one way in which this program replaces a file.

Laws
- Links are resolved first and judged after: what lies outside the repository, or inside its `.git`, is never opened.
- Only regular files are read, never waited for, and never more than `LARGEST_INPUT` bytes of them.
- A file is replaced whole (temporary file, fsync, rename, fsync of the folder) or not at all.
- No anyio here: `plan` reads through this module and must start fast.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from manifest_runner.errors import UsageError

LARGEST_INPUT = 32 * 1024 * 1024
"""Bytes of the largest file that a manifest may name."""

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_DRIVE = re.compile(r"[A-Za-z]:")


def repository_of(folder: Path) -> Path:
    """The nearest folder at or above `folder` that holds `.git` (a folder, or a file in worktrees); else `folder` itself."""
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents):
        if (candidate / ".git").exists():
            return candidate
    return resolved


class RepositoryFiles:
    """`ports.Files`: what the manifest at `manifest` may read. `reads` are the paths that were asked for, and where each of
    them led; None where nothing came of it."""

    def __init__(self, manifest: Path) -> None:
        self.folder = manifest.parent.resolve()
        self.root = repository_of(self.folder)
        self.reads: dict[str, Path | None] = {}

    def read(self, path: str) -> bytes:
        """Bytes of a file, `path` being relative to the manifest's folder.

        Raises `UsageError` where it is missing, too large, not a regular file, or not in the repository.
        """
        self.reads[path] = None
        resolved = self._inside(path)
        try:
            content = read_regular(resolved, LARGEST_INPUT)  # links are resolved: one put there since is not followed
        except NotRegular as error:
            _refuse(path, str(error), error.code)
        except OSError as error:
            raise _unreadable(path, error) from None
        self.reads[path] = resolved
        return content

    def sha256(self, path: str) -> str:
        """sha256 of a file's bytes, in hex. Raises as `read` does."""
        return hashlib.sha256(self.read(path)).hexdigest()

    def relative(self, path: Path) -> str:
        """The name of `path` (absolute, or relative to the working folder) from the repository's root, with `/` between.

        A link at the end keeps its own name. Raises `UsageError` where it lies outside.
        """
        resolved = path.parent.resolve() / path.name
        if not resolved.is_relative_to(self.root):
            _refuse(str(path), "leaves the repository", "outside-repository")
        return resolved.relative_to(self.root).as_posix()

    def check_folder(self, path: str) -> None:
        """Raise `UsageError` where a folder of the manifest's, with its links resolved, does not lie in the repository. It need
        not be there yet."""
        if (resolved := self._inside(path)).exists() and not resolved.is_dir():
            _refuse(path, "is not a folder", "not-a-folder")

    def _inside(self, path: str) -> Path:
        if "\0" in path:
            _refuse(path.replace("\0", "\\0"), "holds a NUL character", "bad-path")
        if path.startswith(("/", "\\")) or _DRIVE.match(path):
            _refuse(path, "must be relative to the manifest's folder", "absolute-path")
        try:
            resolved = (self.folder / path).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links; a name that this file system cannot have
            _refuse(path, "is not a usable path", "bad-path")
        if not resolved.is_relative_to(self.root):
            _refuse(path, "leaves the repository", "outside-repository")
        if ".git" in (part.lower() for part in resolved.relative_to(self.root).parts):
            _refuse(path, "lies inside .git, which is never read", "outside-repository")
        return resolved


class NotRegular(Exception):
    """Something is there and cannot be read whole. `code` is a diagnostic's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def read_regular(path: Path, most: int, *, links: bool = False) -> bytes:
    """The bytes of a regular file, never waited for, and a link at the end of `path` not followed unless `links`.

    Raises `NotRegular` for a pipe, a device, a folder, and for more than `most` bytes, and `OSError`.
    """
    # Without O_NONBLOCK a FIFO would hang the open.
    descriptor = os.open(path, os.O_RDONLY | (0 if links else _NOFOLLOW) | _NONBLOCK | _CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotRegular("is not a regular file", "not-a-file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1) if facts.st_size <= most else None
    finally:
        os.close(descriptor)
    if content is None or len(content) > most:
        raise NotRegular(f"is larger than {most // (1024 * 1024)} MiB", "file-too-large")
    return content


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace the file at `path` by `data`. As `replacing` does."""
    with replacing(path, mode) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file for what is to stand at `path`, where it appears at the end of the block: a reader, and a crash at any point, sees
    the old bytes or the new ones. Where the block raises, nothing is left behind.

    `mode` is subject to the umask. A symbolic link at `path` is replaced, not followed. Two writers: the last rename wins,
    and neither tears the other's. Raises `UsageError` where the folder cannot be written.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)  # before the rename: a power cut must not leave the new name on empty bytes
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise UsageError(f"{path.name} cannot be written: {reason}", code="cannot-write",
                         hint=f"is {path.parent} there, writable, and not full?") from None


def rewrite(path: Path, data: bytes) -> None:
    """Replace a file that is there, with the permissions that it has; where `path` is a link, it stays one. Raises as
    `write_atomically` does."""
    try:
        target = path.resolve()
        mode = target.stat().st_mode & 0o7777
    except OSError as error:
        raise UsageError(f"{path.name} cannot be written: {error.strerror}", code="cannot-write") from None
    write_atomically(target, data, mode)


def put_in_place(finished: Path, path: Path) -> None:
    """Give a file that another library wrote in the same folder its name, so that a power cut leaves the old file or the new
    one. Raises `OSError`."""
    descriptor = os.open(finished, os.O_RDWR | _CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    finished.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make `folder` and those above it that are missing, durably: a folder that a power cut forgets takes all that was synced
    inside it along. Raises `OSError`."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode, exist_ok=True)
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable. Where folders cannot be opened (Windows) the file system sees to it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_name(path: Path, lasting: set[Path]) -> None:
    """Make the name of a file durable, and that of its folder, which another task may have made just now: of each folder once,
    which `lasting` remembers."""
    sync_folder(path.parent)
    if path.parent not in lasting:
        sync_folder(path.parent.parent)
        lasting.add(path.parent)


def _unreadable(path: str, error: OSError) -> UsageError:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    reason = "does not exist" if missing else f"cannot be read: {error.strerror}"
    return UsageError(f"{path} {reason}", code="file-missing" if missing else "file-unreadable",
                      hint="paths are relative to the manifest's folder")


def _refuse(path: str, what: str, code: str) -> NoReturn:
    raise UsageError(f"{path} {what}", code=code, hint="a manifest reads files of its own repository only")


def why_not_private(facts: os.stat_result) -> str | None:
    """Why a file of these facts is none that this user alone could have read and written; None where it is."""
    if not stat.S_ISREG(facts.st_mode) or (hasattr(os, "geteuid") and facts.st_uid != os.geteuid()):
        return "it is not this user's own file"
    if os.name == "posix" and facts.st_mode & 0o077:
        return "others than its owner may read or write it"
    return None


def not_private(path: Path) -> str | None:
    """The same for what lies at `path`, links not followed; None too where nothing does. Raises `OSError`."""
    try:
        return why_not_private(path.lstat())
    except FileNotFoundError:
        return None
