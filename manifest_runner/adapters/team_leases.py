"""Who of a team is alive, as far as a database can know: each sender is heard of, or silent.

Laws:

- One that was heard of within `LEASE` may send. It knows so itself, by a lower bound of the database's clock, and sends nothing
  once its lease is over (`core.pace.Slot.expires`): whatever it was stopped by, it asks again first.
- What a silent one had in its hands is taken up after `LEASE` and `SILENCE` more: whatever left before its lease was over has
  been answered or given up by then. So no two send the same bytes at once.
- On this machine no time has to pass: a mark that nobody locks any more is that of a process that was killed. Only a mark in
  this very folder says so; a copy of the folder is another one.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
from pathlib import Path

from manifest_runner.adapters.ledger_runs import RunMark, is_alive, is_left_behind

LEASE = 30.0
"""Seconds for which one that was heard of may send."""

BEAT = 8.0
"""Seconds after which one is heard of again, whether it has something to record or not."""

SILENCE = 190.0
"""Seconds that one submission may take from the moment on at which it may leave, and some more."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Marks:
    """The marks of this machine's senders in the folder of a state; without one, nothing is known of any process."""

    def __init__(self, folder: Path | None) -> None:
        self._base = None if folder is None else folder / "team"
        self.place = "" if folder is None else _place_of(folder)
        self._own: RunMark | None = None

    def set(self, sender: str) -> None:
        """This process is `sender`. Raises `OSError`."""
        if self._base is not None:
            self._own = RunMark(self._base, sender)

    def remove(self) -> None:
        """It is over."""
        if self._own is not None:
            self._own.remove()

    def is_alive(self, place: str, sender: str) -> bool | None:
        """Whether a sender of this very place is; None where its mark says nothing, or cannot be read."""
        if self._base is None or not self.place or place != self.place:
            return None
        try:
            if is_left_behind(self._base, sender):
                is_alive(self._base, sender)  # which sweeps it away
                return False
            return True if is_alive(self._base, sender) else None
        except OSError:
            return None


def _place_of(folder: Path) -> str:
    """A name for this very folder on this very machine since it was started; empty where that cannot be known."""
    try:
        there, boot = folder.stat(), _BOOT.read_text().strip()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {there.st_dev} {there.st_ino} {folder.resolve()}".encode()).hexdigest()[:32]


def myself() -> str:
    """Who this is for colleagues: user, host, and the process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = f"uid {os.getuid()}"
    return f"{user}@{platform.node() or 'unknown'} ({os.getpid()})".encode("utf-8", "replace").decode()
