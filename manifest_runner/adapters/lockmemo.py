"""What was made of a lockfile, kept below the state folder under the sha256 of its text, so that the next plan need not read
megabytes of JSON and check them again.

Laws
- A memo says what reading the text would say, or nothing. It is found by the text's own digest, so it cannot be stale.
- One that others than this user could have written is not read. One that came with a checkout, an archive or a copy does not
  fit: its seal covers inode and time of the tag in the state folder, which nobody can choose, and this program's version.
- Nothing here is synced: a memo that a power cut takes or tears does not fit its seal, and is no loss.
"""

from __future__ import annotations

import marshal  # of what has our seal; `json` takes longer for it than for the lockfile's own text, see `docs/quick-plans.md`
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from manifest_runner import __version__
from manifest_runner.adapters.signs import Doubt, Machine, content_of, facts_of, new_digest
from manifest_runner.core.lockrows import FORM, from_rows, rows_of
from manifest_runner.core.model import Lockfile

WORTH = 512 * 1024
"""Bytes of text from which on a memo pays for itself: some 300 takes."""

_LARGEST = 256 * 1024 * 1024
_SEAL = 64


class LockMemo:
    """The memo of one lockfile at `file`, in the state folder whose tag is at `tag`."""

    def __init__(self, file: Path, tag: Path) -> None:
        self._file, self._tag = file, tag

    def recall(self, digest: str) -> Lockfile | None:
        """What was made of the text with this sha256; None where that is not known."""
        if os.name != "posix":  # owners and times mean something else there
            return None
        try:
            content, facts = content_of(str(self._file), _LARGEST)
            if content is None or facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
                return None
            rows = memoryview(content)[_SEAL:]
            return from_rows(marshal.loads(rows)) if content[:_SEAL] == self._seal(digest, rows) else None  # noqa: S302 - sealed
        except (Doubt, OSError):
            return None

    def remember(self, lockfile: Lockfile, digest: str) -> None:
        """Keep what was made of the text with this sha256. Where that cannot be, nothing is kept."""
        rows = rows_of(lockfile)
        if os.name != "posix" or rows is None:
            return
        data = marshal.dumps(rows)
        temporary = self._file.with_name(f".{os.urandom(8).hex()}.tmp")
        with suppress(Doubt, OSError):
            seal = self._seal(digest, data)
            try:
                with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(seal + data)
                temporary.replace(self._file)  # two plans at once: either memo is right
            finally:
                temporary.unlink(missing_ok=True)

    def _seal(self, digest: str, rows: bytes | memoryview) -> bytes:
        ground = repr((FORM, __version__, sys.version, Machine().sign(facts_of(str(self._tag))), digest))
        seal = new_digest(ground.encode())
        seal.update(rows)
        return seal.hexdigest().encode()
