"""What a file system says of files, read or looked at, for whoever must be done before anything heavy is imported.

Laws
- What is no regular file is never read, and nothing is waited for.
- A doubt is a doubt: whatever cannot be told from something else is a `Doubt`, and nobody guesses.
- No `pathlib`, `typing`, `hashlib`, `contextlib`: each takes as long to import as a quick plan takes for all that it looks at.
"""

from __future__ import annotations

import os
import stat
import sys
import time

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL, which takes 3 ms
except ImportError:  # another Python than CPython
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` itself takes 8 ms
    from collections.abc import Mapping

    from manifest_runner.core.footing import Sign

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PART = 1024 * 1024
LOOKING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Doubt(Exception):
    """Something cannot be told from something else: a plan has to be made in full."""


class Machine:
    """What the machine says of time, and where this program lies on it. Tests have others, whose clocks are set, and whose file
    systems tell little."""

    def __init__(self) -> None:
        self.package = PACKAGE
        self.paths = tuple(sys.path)

    def wall(self) -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    def steady(self) -> int:
        """Nanoseconds of a clock that nobody sets."""
        return time.monotonic_ns()

    def sign(self, facts: os.stat_result) -> Sign:
        """What a file system says of a file."""
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def content_of(path: str, most: int, *, links: bool = False) -> tuple[bytes | None, os.stat_result]:
    """The bytes of a regular file, None where there are more than `most`, and what was said of it before they were read. Raises
    `Doubt` for what is none, and `OSError`."""
    descriptor, facts = _open(path, 0 if links else NOFOLLOW)
    try:
        content = os.read(descriptor, facts.st_size + 1) if facts.st_size <= most else None
        while content is not None and len(content) <= most and (more := os.read(descriptor, most + 1)):
            content += more  # one call may bring less than all, and a file may grow
        return content if content is None or len(content) <= most else None, facts
    finally:
        os.close(descriptor)


def digest_at(path: str, size: int) -> str:
    """`digest_of` the content of a regular file that should have this `size`; a longer one is not read to its end. Raises as
    `content_of`."""
    descriptor, _ = _open(path, NOFOLLOW)
    try:
        digest, left = new_digest(), size
        while left >= 0 and (part := os.read(descriptor, _PART)):
            digest.update(part)
            left -= len(part)
        return digest.hexdigest()
    finally:
        os.close(descriptor)


def facts_of(path: str) -> os.stat_result:
    """What is said of a regular file that is opened for it: over a network, that of one which is not may be some seconds old.
    Raises as `content_of`."""
    descriptor, facts = _open(path, NOFOLLOW)
    os.close(descriptor)
    return facts


def _open(path: str, flags: int) -> tuple[int, os.stat_result]:
    descriptor = os.open(path, LOOKING | flags)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise Doubt(f"{path} is not a regular file")
    return descriptor, facts


def digest_of(data: bytes) -> str:
    """A digest by which two contents are told apart."""
    return new_digest(data).hexdigest()


def new_digest(data: bytes = b"") -> blake2b:
    """One that more can be added to."""
    return blake2b(data, digest_size=32)


def sizes_in(folder: str) -> dict[str, int]:
    """The size of every regular file in a folder, links not followed; nothing where it cannot be listed."""
    try:
        if os.stat not in os.supports_dir_fd or os.listdir not in os.supports_fd:
            with os.scandir(folder) as entries:
                return {entry.name: entry.stat(follow_symlinks=False).st_size
                        for entry in entries if entry.is_file(follow_symlinks=False)}
        descriptor = os.open(folder, LOOKING)  # by names in the open folder: a fifth quicker with ten thousand clips
        try:
            return _sizes_at(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return {}


def _sizes_at(descriptor: int) -> dict[str, int]:
    sizes = {}
    for name in os.listdir(descriptor):
        facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISREG(facts.st_mode):
            sizes[name] = facts.st_size
    return sizes


def digest_of_sizes(sizes: Mapping[str, int]) -> str:
    """A digest of what a folder holds."""
    names = sorted(sizes)
    return digest_of("\0".join([*names, "", *map(str, map(sizes.__getitem__, names))]).encode("utf-8", "surrogateescape"))
