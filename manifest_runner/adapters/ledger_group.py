"""The ledger for tasks: many operations, one worker thread, one sync for all that have gathered meanwhile.

Laws: an operation that has begun is finished and durable whatever happens to the task that asked for it (a job id must
survive Ctrl-C); the ledger is only ever used by one thread at a time; one operation's failure is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from manifest_runner.adapters.ledger_account import AccountLedger
from manifest_runner.core.lifecycle import Event
from manifest_runner.core.model import ExternalTaskId, Intent, Job, JobId, Request
from manifest_runner.core.pace import Patience, Slot
from manifest_runner.errors import LedgerError, ManifestRunnerError
from manifest_runner.ports import Admission, SpendingLimits

T = TypeVar("T")


class _Pending:
    """An operation that waits for its commit. `woken` is set when it is done, or when it is to lead the next batch."""

    def __init__(self, operation: Callable[[], Any]) -> None:
        self.operation = operation
        self.woken = anyio.Event()
        self.done = False
        self.outcome: Any = None


class GroupLedger:
    """`ports.Ledger` over an `AccountLedger`, for asyncio and trio. The caller closes the ledger underneath."""

    def __init__(self, ledger: AccountLedger) -> None:
        self._ledger = ledger
        self._pending: list[_Pending] = []
        self._led = False  # whether some task is committing, or has been told to
        self._thread: anyio.CapacityLimiter | None = None

    async def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        """See `ports.Ledger.admit`."""
        return await self._do(partial(self._ledger.admit, intent, limits))

    async def adopt(self, intent: Intent, job_id: JobId) -> Job:
        """See `ports.Ledger.adopt`."""
        return await self._do(partial(self._ledger.adopt, intent, job_id))

    async def record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        """See `ports.Ledger.record`. Also raises `Conflict` where the gateway names another job than before."""
        return await self._do(partial(self._ledger.record, external_task_id, event))

    async def throttled(self, external_task_id: ExternalTaskId, seconds: float | None, *,
                        crowded: bool = False) -> Patience | None:
        """See `ports.Ledger.throttled`."""
        return await self._do(partial(self._ledger.throttled, external_task_id, seconds, crowded=crowded))

    async def late(self, slot: Slot, left: float) -> None:
        """See `ports.Ledger.late`."""
        await self._do(partial(self._ledger.late, slot, left))

    async def left(self, manifest: str, limits: SpendingLimits) -> Decimal | None:
        """See `ports.Ledger.left`."""
        return await self._do(partial(self._ledger.left, manifest, limits))

    async def jobs(self, manifest: str) -> Sequence[Job]:
        """See `ports.Ledger.jobs`."""
        return await self._do(partial(self._ledger.jobs, manifest))

    async def durations(self) -> Sequence[tuple[Request, float]]:
        """See `ports.Ledger.durations`."""
        return await self._do(self._ledger.durations)

    async def _do(self, operation: Callable[[], T]) -> T:
        mine = _Pending(operation)
        self._pending.append(mine)
        with anyio.CancelScope(shield=True):
            if self._led:
                await mine.woken.wait()
            if not mine.done:
                await self._lead()
        if isinstance(mine.outcome, ManifestRunnerError):
            raise mine.outcome
        return cast("T", mine.outcome)

    async def _lead(self) -> None:
        """Commit everything that has gathered, tell its askers, and pass the lead to the first who came since."""
        self._led = True
        batch, self._pending = self._pending, []
        outcomes: Sequence[Any] = [LedgerError("the ledger was interrupted: nothing is submitted")] * len(batch)
        try:
            outcomes = await self._commit([pending.operation for pending in batch])
        except ManifestRunnerError as error:
            outcomes = [error] * len(batch)
        finally:
            for pending, outcome in zip(batch, outcomes, strict=True):
                pending.outcome, pending.done = outcome, True
                pending.woken.set()
            if self._pending:
                self._pending[0].woken.set()
            else:
                self._led = False

    async def _commit(self, operations: Sequence[Callable[[], Any]]) -> Sequence[Any]:
        if self._thread is None:  # a thread of its own: it must not queue behind downloads. Limiters need a running loop.
            self._thread = anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(self._ledger.transact, operations, limiter=self._thread)
