"""Keeps the lockfile in step with the ledger without writing it once a job.

Changes collect; the file is written at most every so often while a run goes on, and always, shielded, at its end. A crash
in between costs nothing but the projection: the ledger has it all, and the next run writes it.
"""

from __future__ import annotations

from contextlib import suppress

import anyio

from manifest_runner.core.model import LockEntry, TakeKey
from manifest_runner.errors import ManifestRunnerError
from manifest_runner.ports import Clock, LockWriter


class LockKeeper:
    """Collects changed takes and writes them in batches."""

    def __init__(self, lock: LockWriter, clock: Clock, every: float) -> None:
        self._lock = lock
        self._clock = clock
        self._every = every
        self._dirty: dict[TakeKey, LockEntry | None] = {}
        self._wake = anyio.Event()

    def note(self, key: TakeKey, entry: LockEntry | None) -> None:
        """A take has changed; None removes it from the lockfile."""
        self._dirty[key] = entry
        self._wake.set()

    async def run(self) -> None:
        """Write what has changed, now and then, until cancelled. A slow disk makes the pauses longer, not the run."""
        while True:
            await self._wake.wait()
            started = self._clock.monotonic()
            with suppress(ManifestRunnerError):  # a full disk must not stop paid jobs; the last flush says so
                await self.flush()
            await self._clock.sleep(max(self._every, 20 * (self._clock.monotonic() - started)))

    async def flush(self) -> None:
        """Write what has changed. What could not be written stays to be written."""
        self._wake = anyio.Event()
        batch, self._dirty = self._dirty, {}
        if batch:
            with anyio.CancelScope(shield=True):
                try:
                    await self._lock.update(batch)
                except ManifestRunnerError:
                    self._dirty = {**batch, **self._dirty}
                    raise
