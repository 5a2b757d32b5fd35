"""Clips by content on this machine, and the places beside the manifest where people look for them.

    <root>/sha256/ab/cdef…      the objects, read-only, named by the sha256 of their bytes
    <root>/scratch/…            downloads that are not finished
    <root>/damaged/…            objects whose bytes no longer fit their name: kept, never used
    <folder>/renders/…          placed copies: an editor may change or delete them

Laws
- A placed file never shares its bytes with the object. A hard link would: an editor that writes in place would then change the
  only other copy of a paid clip. A reflink (copy on write, where the file system has it) costs as little as a link; else it
  is a copy.
- Every byte is checked against its name on the way out.
- Paths and hashes of an artifact may come from a lockfile of a stranger's pull request: both are judged before use.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

from manifest_runner.adapters.files import make_folder, repository_of, sync_folder, sync_name
from manifest_runner.core.model import Artifact, MediaFacts
from manifest_runner.errors import DownloadError, UsageError
from manifest_runner.ports import Copy, Kept

try:
    import fcntl
except ImportError:  # Windows has no reflinks to ask for
    fcntl = None  # type: ignore[assignment]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_FICLONE = 0x40049409  # _IOW(0x94, 9, int) of <linux/fs.h>: share the blocks of one file with another, copy on write
_CHUNK = 1024 * 1024
_HEX = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)

class LocalStore:
    """`ports.Store` in two folders: `root` for the objects, `folder` (the manifest's own) for the placed copies."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder.resolve()
        self._repository = repository_of(folder)
        self._parents: dict[str, Path] = {}
        self._lasting: set[Path] = set()

    def scratch(self, name: str) -> Path:
        """A path for a new file on the store's own file system, so that keeping it is a rename. The folder is there."""
        folder = self._root / "scratch"
        try:
            make_folder(folder)
        except OSError as error:
            raise _cannot("make room for a download", error) from None
        return folder / f"{_UNSAFE.sub('_', name)[:80]}.{os.urandom(8).hex()}"

    async def keep(self, scratch: Path, name: str, media: MediaFacts | None, *, sha256: str | None = None) -> Artifact:
        """Move the finished file `scratch` into the store and place a copy at `name`, relative to the manifest's folder.

        Where `sha256` is given and the bytes are others, they are stored but not placed, and `DownloadError` names both.
        Raises `UsageError` where `name` leaves the repository, before anything moves, and `DownloadError` where the disk
        refuses; then the bytes are in the store or still in `scratch`, never lost.
        """
        self._destination(name)  # refused before anything moves
        return await _in_thread(self._keep, scratch, name, media, sha256)

    async def place(self, artifact: Artifact, *, over: bool = True) -> bool:
        """Put the artifact's bytes at its path, over whatever is there; False where the store does not have them whole.

        An object whose bytes do not fit its name is moved aside. Without `over` a file that is whole already stays, and keeps
        its time, by which make and ninja judge. Raises as `keep` does.
        """
        return await _in_thread(self._place, artifact, over=over)

    def path_of(self, artifact: Artifact) -> Path:
        """Where the bytes can be read now: the object, which nobody edits, or the placed copy where the store has none."""
        stored = self._object(artifact.sha256)
        return stored if stored.is_file() else self._destination(artifact.path)

    def copies(self, artifact: Artifact) -> Sequence[Path]:
        """See `ports.LocalCopies.copies`: those that are files. A path that leaves the repository is no copy."""
        places = [self._object(artifact.sha256)]
        with suppress(UsageError):  # of a take that nobody asks for, in a lockfile of a stranger
            places.append(self._destination(artifact.path))
        return [place for place in places if place.is_file()]

    async def check(self, artifact: Artifact) -> tuple[Copy, Copy]:
        """See `ports.LocalCopies.check`."""
        return await _in_thread(lambda: (_judged(self._destination(artifact.path), artifact),
                                         _judged(self._object(artifact.sha256), artifact)))

    async def renew(self, artifact: Artifact) -> None:
        """See `ports.LocalCopies.renew`. The object that is there is moved aside."""
        await _in_thread(self._renew, artifact)

    def objects(self) -> Sequence[Kept]:
        """Every object, sorted by sha256."""
        found = []
        for path in (self._root / "sha256").glob("[0-9a-f][0-9a-f]/*"):
            if _HEX.fullmatch(path.parent.name + path.name):
                facts = path.stat()
                found.append(Kept(sha256=path.parent.name + path.name, bytes=facts.st_size, written=facts.st_mtime))
        return sorted(found, key=lambda kept: kept.sha256)

    def remove(self, names: Sequence[str]) -> None:
        """Delete these objects. Raises `DownloadError` where the disk refuses."""
        try:
            for name in names:
                self._object(name).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot("delete an object", error) from None

    def _keep(self, scratch: Path, name: str, media: MediaFacts | None, wanted: str | None) -> Artifact:
        try:
            size, digest = scratch.stat().st_size, sha256_of(scratch)
            stored = self._object(digest)
            make_folder(stored.parent)
            scratch.chmod(0o444)
            # The race: two runs finish the same bytes at once. Both were hashed a moment ago, so whichever rename comes last
            # puts the same bytes in place of the same bytes (or whole ones in place of damaged ones).
            scratch.replace(stored)
            sync_name(stored, self._lasting)
        except OSError as error:
            raise _cannot(f"store {name}", error) from None
        if wanted is not None and digest != wanted:
            raise DownloadError(f"{name}: other bytes arrived than are locked: sha256 {digest} instead of {wanted}",
                                code="other-bytes", hint=f"both are kept; the new ones are at {stored}")
        artifact = Artifact(path=name, sha256=digest, bytes=size, media=media)
        if not self._place(artifact):
            raise DownloadError(f"{name} changed on disk while it was stored", code="store",
                                hint="the disk does not return what was written to it")
        return artifact

    def _place(self, artifact: Artifact, *, over: bool = True) -> bool:
        destination, stored = self._destination(artifact.path), self._object(artifact.sha256)
        try:
            source = _open_regular(stored)
        except OSError:
            return False
        with source:
            try:
                make_folder(destination.parent)
                self._parents.pop(artifact.path.rpartition("/")[0], None)
                destination = self._destination(artifact.path)  # again: the folders that were just made count too
                temporary = destination.with_name(f".{os.urandom(8).hex()}.tmp")
                try:
                    intact = _copy(source, temporary) == artifact.sha256
                    if intact and (over or not _is_there(destination, artifact)):
                        temporary.replace(destination)  # replaces a link at that name, never follows it
                        sync_folder(destination.parent)
                finally:
                    temporary.unlink(missing_ok=True)
                if not intact:
                    self._move_aside(stored)
                return intact
            except OSError as error:
                raise _cannot(f"write {artifact.path}", error) from None

    def _renew(self, artifact: Artifact) -> None:
        stored, scratch = self._object(artifact.sha256), self.scratch(artifact.sha256)
        try:
            with _open_regular(self._destination(artifact.path)) as source:
                if _copy(source, scratch) != artifact.sha256:
                    raise DownloadError(f"{artifact.path} changed on disk while it was read", code="store")
            if stored.exists():
                self._move_aside(stored)
            make_folder(stored.parent)
            scratch.chmod(0o444)
            scratch.replace(stored)
            sync_name(stored, self._lasting)
        except OSError as error:
            raise _cannot(f"store {artifact.path}", error) from None
        finally:
            scratch.unlink(missing_ok=True)

    def _move_aside(self, stored: Path) -> None:
        damaged = self._root / "damaged" / f"{stored.parent.name}{stored.name}.{os.urandom(4).hex()}"
        damaged.parent.mkdir(parents=True, exist_ok=True)
        stored.replace(damaged)

    def _object(self, digest: str) -> Path:
        if not _HEX.fullmatch(digest):
            raise UsageError("an artifact's sha256 is not 64 lower-case hex digits", code="bad-hash")
        return self._root / "sha256" / digest[:2] / digest[2:]

    def _destination(self, name: str) -> Path:
        """The one path that `name` means, its folders resolved and inside the repository. Parents are resolved once each:
        a plan asks for thousands of files in one folder."""
        parent, _, last = name.rpartition("/")
        if last in ("", ".", "..") or not name.isprintable() or "\\" in name or name.startswith("/") or name[1:2] == ":":
            _refuse(name, "is not a file name relative to the manifest's folder")
        known = self._parents.get(parent)
        if known is None:
            try:
                known = (self._folder / parent).resolve()
            except (OSError, RuntimeError, ValueError):  # a loop of links
                _refuse(name, "is not a usable path")
            inside = known.is_relative_to(self._repository)
            if not inside or ".git" in (part.lower() for part in known.relative_to(self._repository).parts):
                _refuse(name, "leaves the repository")
            self._parents[parent] = known
        return known / last


def _judged(path: Path, artifact: Artifact) -> Copy:
    """How a file stands against the artifact that it should be, by every byte."""
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != artifact.bytes:
            return Copy.CHANGED
        return Copy.WHOLE if sha256_of(path) == artifact.sha256 else Copy.CHANGED
    except FileNotFoundError:
        return Copy.MISSING
    except OSError as error:
        raise _cannot(f"read {artifact.path}", error) from None


def _is_there(path: Path, artifact: Artifact) -> bool:
    """Whether a placed file is whole already, and a file of its own."""
    try:
        facts = path.lstat()
        own = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and facts.st_size == artifact.bytes
        return own and sha256_of(path) == artifact.sha256
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """sha256 of a regular file in hex, read in pieces. Raises `OSError`."""
    with _open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_regular(path: Path) -> BufferedReader:
    descriptor = os.open(path, os.O_RDONLY | _NONBLOCK | _CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(None, "not a regular file")
    return os.fdopen(descriptor, "rb")


def _copy(source: BufferedReader, to: Path) -> str:
    """Copy an open file to the new file `to`, synced, and return the sha256 of what was written there."""
    descriptor = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, 0o644)
    with os.fdopen(descriptor, "w+b") as target:
        if not _reflink(source, target):
            shutil.copyfileobj(source, target, _CHUNK)
            target.flush()
        os.fsync(descriptor)
        target.seek(0)
        return hashlib.file_digest(target, "sha256").hexdigest()


def _reflink(source: BufferedReader, target: BufferedRandom) -> bool:
    """Share the source's blocks, copy on write. False on file systems (ext4, tmpfs) and systems that cannot."""
    if fcntl is None or os.uname().sysname != "Linux":
        return False
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


async def _in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run disk work beside the event loop, to its end: a cancellation waits for it, so no file is left half moved."""
    import anyio.to_thread  # here: a sweep lists and deletes without an event loop

    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))


def _cannot(what: str, error: OSError) -> DownloadError:
    return DownloadError(f"cannot {what}: {error.strerror}", code="store", hint="is the disk full, or the folder not writable?")


def _refuse(name: str, what: str) -> NoReturn:
    raise UsageError(f"the output {name!r} {what}", code="outside-repository", hint="outputs lie below the repository's root")
