"""Encoded pieces of reels, kept by their keys so that an interrupted reel goes on and a changed one encodes what changed.

Laws: a piece appears under its name only when it is whole; one that is not what its name promises is made again; what was used
last goes last, and never what is in use. All of it can be made again, so nothing here is synced.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manifest_runner.adapters.media import check_boxes, opened
from manifest_runner.errors import MediaError

LIMIT = 2 * 1024 ** 3
"""Bytes that are kept beside those of the last reel."""

_SUFFIX, _UNFINISHED = ".mp4", ".part"
_STALE = 24 * 3600
"""Seconds after which an unfinished piece belongs to nobody: no piece takes that long."""


class PieceCache:
    """Pieces in `folder`, which is made when there is something to keep."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.folder, self._limit = folder, limit

    def path_of(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def has(self, key: str, frames: int) -> bool:
        """Whether the piece is there and whole; then it counts as used now."""
        path = self.path_of(key)
        try:
            with opened(path) as (_, stream):
                check_boxes(path)
                whole = stream.frames == frames
            if whole:
                os.utime(path)
        except (MediaError, OSError):
            return False
        return whole

    @contextmanager
    def fresh(self, key: str) -> Iterator[Path]:
        """A path to write the piece to; it gets its name when the block ends well, and is gone when it does not."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f"{key}.{os.urandom(4).hex()}{_UNFINISHED}"
        try:
            yield part
            # The race: two runs finish the same piece at once. Its bytes follow from its key, so either may come last.
            part.replace(self.path_of(key))
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def prune(self, used: Collection[str]) -> None:
        """Remove what was not used for longest until the rest fits; never `used`. What cannot be removed stays."""
        names = {self.path_of(key).name for key in used}
        try:
            found = [(path.stat().st_mtime, path.stat().st_size, path) for path in sorted(self.folder.iterdir())]
        except OSError:  # no folder, or another run tidies at this moment
            return
        newest = max((time for time, _, _ in found), default=0.0)
        spare = sorted((time, path.name, size, path) for time, size, path in found
                       if path.suffix == _SUFFIX and path.name not in names)
        total = sum(size for _, _, size, _ in spare)
        stale = [path for time, _, path in found if path.suffix == _UNFINISHED and newest - time > _STALE]
        for _, _, size, path in spare:
            if total <= self._limit:
                break
            total -= size
            stale.append(path)
        for path in stale:
            with suppress(OSError):
                path.unlink()
