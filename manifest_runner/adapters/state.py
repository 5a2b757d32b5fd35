"""The state folder: ledger, store and guards of one repository, kept out of git and of backups by itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from manifest_runner.adapters.files import make_folder
from manifest_runner.errors import UsageError

_TAG_NAME = "CACHEDIR.TAG"
_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# Made by manifest-runner: ledger and clips. Do not delete it while jobs are in flight.
"""


class StateFolder:
    """Paths below the state folder. Nothing is made until something must be written."""

    def __init__(self, root: Path, *, draft: bool = False) -> None:
        self.root = root
        self._part = root / "draft" if draft else root

    @property
    def ledger(self) -> Path:
        return self._part / "ledger.sqlite3"

    @property
    def webhook_token(self) -> Path:
        """The secret part of the address at which webhooks are heard."""
        return self.root / "webhook-token"

    @property
    def objects(self) -> Path:
        """The store of clips by content. Drafts have one of their own."""
        return self._part / "objects"

    @property
    def stills(self) -> Path:
        """Small pictures of clips, which can be made again at any time."""
        return self._part / "stills"

    @property
    def rules(self) -> Path:
        """Stamps for make, which can be made again at any time, and a place for the rules that go with them."""
        return self.root / "make"

    @property
    def pieces(self) -> Path:
        """Encoded pieces of reels, which can be made again at any time."""
        return self._part / "reel"

    @property
    def tag(self) -> Path:
        """The file by which a state folder is told from any other."""
        return self.root / _TAG_NAME

    def guard(self, name: str) -> Path:
        """The file that processes lock while they write the lockfile of the manifest `name`."""
        return self._part / f"lock-{_short(name)}"

    def memo(self, name: str) -> Path:
        """What was made of the lockfile of the manifest `name`, which can be made again at any time."""
        return self._part / f"memo-{_short(name)}"

    def make(self) -> StateFolder:
        """Create the folder, readable by its owner alone, with the marks that keep it out of git and backups."""
        try:
            make_folder(self._part, mode=0o700)
            for name, text in ((_TAG_NAME, _TAG), (".gitignore", "*\n")):
                path = self.root / name
                if not path.exists():
                    path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"the state folder {self.root} cannot be made: {error.strerror}", code="state-folder",
                             hint="choose another with --state-dir or MANIFEST_RUNNER_STATE") from None
        return self


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
