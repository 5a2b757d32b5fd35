"""Takes orders out of a team's queue, one after the other and some at once, until it is stopped or nothing is left.

Laws
- An order is handed to `carry_out` and nothing is known here of what that does. What it answers decides: the order is over, is
  given back, or is tried again later, some times.
- A worker that is gone has its orders for `SILENCE` seconds; then whoever works gives them back to the queue. One that only
  seemed to be gone goes on beside the other: the ledger decides what leaves. So it is with an order that the queue counts as in
  this worker's hands and that is not: what became of it was lost with a connection.
- A database that is away ends nothing: what is in hand goes on, and the queue is asked again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any

import anyio

from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_link import PatientAsyncConnection
from manifest_runner.adapters.team_queue import TASK, pool_of, translated
from manifest_runner.errors import LedgerError, MissingExtra

try:
    import psycopg
    from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
    from procrastinate.exceptions import ConnectorException, ProcrastinateException
    from procrastinate.jobs import Job
    from procrastinate.manager import JobManager
    from procrastinate.worker import Worker
    from psycopg import errors as sql
    from psycopg_pool import AsyncConnectionPool
except ImportError:
    raise MissingExtra("team", "a worker") from None

BEAT = 10.0
"""Seconds between two signs of life."""

SILENCE = 30.0
"""Seconds without one after which a worker counts as gone."""

ASTRAY = 10.0
"""Seconds for which the queue may count an order as in this worker's hands that is not: what became of it is on its way. Where
that takes longer it is carried out once more, for nothing."""

LOOK = 2.0
"""Seconds between two looks at the queue."""

CONNECT = 20.0
"""Seconds for which the database is waited for at once."""

TRIES = 10
"""How often an order is tried that something outside keeps from being carried out; the pauses add up to seventy minutes."""

_FIRST_PAUSE, _LONGEST_PAUSE = 15, 1200
_AGAIN = 5.0  # seconds until a database that is away is asked again


class Answer(Enum):
    """What became of an order. `OVER`: a further try would change nothing. `LATER`: something outside kept it from being
    carried out. `BACK`: this worker stops. `FAILED`: it cannot be carried out as it is."""

    OVER = "over"
    LATER = "later"
    BACK = "back"
    FAILED = "failed"


CarryOut = Callable[[Mapping[str, Any], bool], Awaitable[Answer]]
"""Carries out what an order says; the second is whether this is its last try."""


class _Unfinished(Exception):
    """An order that is not over."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.value)
        self.answer = answer


class _Retry(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        answer = exception.answer if isinstance(exception, _Unfinished) else Answer.LATER
        if answer is Answer.BACK:
            return RetryDecision(retry_in={"seconds": 0})
        if answer is Answer.FAILED or _is_last(job):
            return None
        return RetryDecision(retry_in={"seconds": min(_FIRST_PAUSE * 2 ** job.attempts, _LONGEST_PAUSE)})


def _is_last(job: Job) -> bool:
    """Whether an order that is tried for once more is given up if it has to wait again."""
    return job.attempts + 1 >= TRIES


def _is_told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task of Procrastinate's that the database failed is nobody's to wait for: that the database is away is said already."""
    if not isinstance(context.get("exception"), ProcrastinateException | psycopg.Error):
        loop.default_exception_handler(context)


class TeamWorker:
    """Works on the queue of one account. `say` is told of what is out of the ordinary."""

    def __init__(self, address: TeamAddress, *, account: str, at_once: int, carry_out: CarryOut,
                 say: Callable[[str], None]) -> None:
        self._address, self._account, self._carry_out, self._say = address, account, carry_out, say
        self._at_once = at_once
        self._worker: Worker | None = None
        self._is_stopped = False
        self._away_since: float | None = None  # the database
        self._in_hand: Counter[int | None] = Counter()  # orders, by their numbers in the queue
        self._strays: dict[int | None, float] = {}  # those that only the queue counts as in hand, and since when

    def stop(self) -> None:
        """Take no further order; what is in hand is waited for."""
        self._is_stopped = True
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def work(self, *, until_idle: bool, patience: float) -> None:
        """Work until `stop` is called or, with `until_idle`, nobody has anything in hand and nothing waits.

        Raises `LedgerError` where the database does not let us in, or, with `until_idle`, is away for `patience` seconds.
        """
        asyncio.get_running_loop().set_exception_handler(_is_told)
        while not self._is_stopped:
            try:
                with translated(self._address, "it is asked again"):
                    await self._connected(until_idle=until_idle)
            except LedgerError as error:
                now, since = anyio.current_time(), self._away_since
                if error.code != "queue-away" or (until_idle and since is not None and now - since >= patience):
                    raise
                if since is None:
                    self._say(error.message)
                    self._away_since = now
                await anyio.sleep(_AGAIN)

    async def _connected(self, *, until_idle: bool) -> None:
        """Work for as long as the database answers. Raises what Procrastinate and psycopg raise."""
        async with AsyncConnectionPool(**pool_of(self._address, most=3, kind=PatientAsyncConnection), open=False) as pool:
            await pool.wait(CONNECT)
            app = self._made()
            async with app.open_async(pool), anyio.create_task_group() as beside:
                self._worker = Worker(app, queues=[self._account], name=None, concurrency=self._at_once,
                                      listen_notify=False, fetch_job_polling_interval=LOOK, update_heartbeat_interval=BEAT,
                                      stalled_worker_timeout=SILENCE, install_signal_handlers=False)
                lost: list[Exception] = []
                beside.start_soon(self._look_after, self._worker, app.job_manager, until_idle, lost)
                try:
                    await self._worker.run()  # type: ignore[no-untyped-call]
                except (ProcrastinateException, psycopg.Error) as error:
                    lost.append(error)
                finally:
                    self._worker = None
                    beside.cancel_scope.cancel()
        if lost:
            raise lost[0]

    def _made(self) -> App:
        """An app with the one task; a new one for each pool, since it does not let go of its first."""
        app = App(connector=PsycopgConnector())

        @app.task(name=TASK, retry=_Retry(), pass_context=True)
        async def render(context: JobContext, /, **order: Any) -> None:
            self._in_hand[context.job.id] += 1
            try:
                answer = await self._carry_out(order, _is_last(context.job))
            finally:
                self._in_hand -= Counter([context.job.id])  # which keeps nothing of those that are over
            if answer is not Answer.OVER:
                raise _Unfinished(answer)

        return app

    async def _look_after(self, worker: Worker, jobs: JobManager, until_idle: bool, lost: list[Exception]) -> None:
        """Look after the queue until nothing is left to do. Why it cannot be asked any more is put into `lost`."""
        try:
            await self._give_back(worker, jobs, until_idle=until_idle)
            self._is_stopped = True
        except (ProcrastinateException, psycopg.Error) as error:
            lost.append(error)
        worker.stop()  # type: ignore[no-untyped-call]

    async def _give_back(self, worker: Worker, jobs: JobManager, *, until_idle: bool) -> None:
        """Give back what nobody works on, and return where nothing is left, if that is asked."""
        while not self._is_stopped:
            for job in await self._astray(worker, jobs):
                await self._hand_back(jobs, job, "what became of it did not reach the queue")
            for job in await jobs.get_stalled_jobs(queue=self._account, task_name=TASK, seconds_since_heartbeat=SILENCE):
                await self._hand_back(jobs, job, "its worker is gone")
            self._away_since = None  # it answers
            if until_idle and not await self._is_open(jobs):
                return
            await anyio.sleep(LOOK)

    async def _hand_back(self, jobs: JobManager, job: Job, why: str) -> None:
        """Give an order back, unless somebody was faster."""
        try:
            await jobs.retry_job(job)
        except ConnectorException as error:
            if not isinstance(error.__cause__, sql.RaiseException):  # it is in nobody's hands any more
                raise
        else:
            self._say(f"order {job.id} goes back into the queue: {why}")

    async def _astray(self, worker: Worker, jobs: JobManager) -> list[Job]:
        """Orders that the queue has counted as in this worker's hands for `ASTRAY` seconds, and that are not."""
        if worker.worker_id is None:  # it has just begun
            return []
        now, counted = anyio.current_time(), await jobs.list_jobs_async(
            queue=self._account, task=TASK, status="doing", worker_id=worker.worker_id)
        astray = [job for job in counted if not self._in_hand[job.id]]
        self._strays = {job.id: self._strays.get(job.id, now) for job in astray}
        return [job for job in astray if now - self._strays[job.id] >= ASTRAY]

    async def _is_open(self, jobs: JobManager) -> bool:
        """Whether anything waits, or is in anybody's hands."""
        for status in ("doing", "todo", "doing"):  # what is given back between two looks is seen by one of them
            if list(await jobs.list_jobs_async(queue=self._account, task=TASK, status=status)):
                return True
        return False
