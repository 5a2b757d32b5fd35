"""The questions of a run about its jobs: who waits, who asks, and how fast.

Laws:

- Jobs wait in a timetable (`core/timetable.py`), not in a task each: a few workers ask about whatever is due. Ten thousand jobs
  that only take their time are ten thousand rows of numbers.
- Every question about a job goes through `Paced`, also those that ask for a fresh address of a clip.
- Waits are on the clock that never jumps. Where that clock runs on while a laptop sleeps, no deadline passes asleep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

import anyio

from manifest_runner.core.lifetable import Kind
from manifest_runner.core.looks import answered, pace_of, taken, throttled
from manifest_runner.core.model import JobDocument, JobId
from manifest_runner.core.polling import PollPolicy
from manifest_runner.core.timetable import Timetable, Watched
from manifest_runner.errors import Throttled
from manifest_runner.ports import Clock, Departure, Provider

GRACE = 60.0
"""Seconds by which a wait may be late; beyond that the machine was asleep."""

MOMENT = 0.001
"""Seconds that a wait takes at least: one that is too short to move the clock would be waited for again and again."""

WORKERS = 16
"""Questions under way at most: some more than the gateway's adapter has connections for, because answers are recorded, too."""

T = TypeVar("T")


class Paced:
    """`ports.Provider` that keeps the pace of the process's questions; submissions pass as they are."""

    def __init__(self, provider: Provider, clock: Clock, rate: float) -> None:
        self._provider = provider
        self._clock = clock
        self._pace = pace_of(rate)

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        """See `ports.Provider.submit`."""
        return await self._provider.submit(path, body, departure)

    async def job(self, job_id: JobId) -> JobDocument:
        """See `ports.Provider.job`; waits for its turn first."""
        await self.turn()
        return await self.ask(job_id)

    async def turn(self) -> None:
        """Wait until one question may be asked."""
        epoch = None
        while epoch != self._pace.epoch:
            epoch, now = self._pace.epoch, self._clock.monotonic()
            self._pace, at = taken(self._pace, now)
            if at > now:
                await self._clock.sleep(at - now)

    async def ask(self, job_id: JobId) -> JobDocument:
        """The same as `job` for somebody whose turn it is."""
        asked = self._clock.monotonic()
        try:
            document = await self._provider.job(job_id)
        except Throttled as error:
            if error.everywhere:
                self._pace = throttled(self._pace, asked, self._clock.monotonic(), error.retry_after, self._clock.jitter())
            raise
        self._pace = answered(self._pace, self._clock.monotonic())
        return document


class Looks(Generic[T]):
    """The looks of one run at all its jobs. `look` is what is done about a job whose time has come: it asks, and then says
    `running`, `unheard` or `over` of it, or has it leave the table."""

    def __init__(self, clock: Clock, policy: PollPolicy, paced: Paced, look: Callable[[Watched[T]], Awaitable[None]]) -> None:
        self.table: Timetable[T] = Timetable(policy)
        self._clock = clock
        self._paced = paced
        self._look = look
        self._turn = anyio.Lock()  # one worker waits for what is due next, the others for their turn to wait
        self._resting: anyio.CancelScope | None = None
        self._until = inf  # when that rest ends

    async def run(self) -> None:
        """Look at what is followed until cancelled."""
        async with anyio.create_task_group() as workers:
            for _ in range(WORKERS):
                workers.start_soon(self._work)

    def follow(self, name: JobId, kind: Kind, what: T, *, accepted: float | None) -> None:
        """Look at a job from now on; `accepted` is when the gateway took it, None where that is not known."""
        self._entered(self.table.follow(name, kind, what, accepted=accepted, now=self._clock.monotonic(),
                                        jitter=self._clock.jitter()))

    def hint(self, job_id: JobId) -> None:
        """Somebody says that there is news of a job. What is not followed now is not asked about."""
        watched = self.table.hint(job_id, self._clock.monotonic())
        if watched is not None:
            self._entered(watched)

    def running(self, watched: Watched[T]) -> None:
        """A job is not over yet."""
        self.table.running(watched, self._clock.monotonic(), self._clock.jitter())
        self._entered(watched)

    def unheard(self, watched: Watched[T], *, pause: float = 0.0) -> None:
        """Nobody could say how a job stands; it is not asked about for so many seconds."""
        self.table.unheard(watched, self._clock.monotonic(), self._clock.jitter(), pause=pause)
        self._entered(watched)

    def over(self, watched: Watched[T], *, succeeded: bool) -> float | None:
        """A job has ended: how long it took, in seconds, where that can be known."""
        return self.table.over(watched, self._clock.monotonic(), succeeded=succeeded)

    def impatient(self, watched: Watched[T]) -> bool:
        """Whether the run's patience with a job is at its end."""
        return self.table.impatient(watched, self._clock.monotonic())

    def _entered(self, watched: Watched[T]) -> None:
        if watched.due < self._until and self._resting is not None:
            self._resting.cancel()

    async def _work(self) -> None:
        while True:
            async with self._turn:
                watched = await self._next()
            await self._look(watched)

    async def _next(self) -> Watched[T]:
        """The job to look at now, once it is due and the pace allows it."""
        while True:
            now = self._clock.monotonic()
            due = self.table.opens(now)
            if due is None or due > now:
                await self._rest(inf if due is None else due)
                continue
            await self._paced.turn()  # asked for ahead, the turns keep their distance however late this task wakes up
            watched = self.table.take(self._clock.monotonic())
            if watched is not None:
                return watched

    async def _rest(self, until: float) -> None:
        """Wait until then, or until something comes before that; until there is anything at all where there is nothing."""
        self._until = until
        with anyio.CancelScope() as self._resting:
            if until == inf:
                await anyio.sleep_forever()
            await self._clock.sleep(max(until - self._clock.monotonic(), MOMENT))
        self._resting, self._until = None, inf
        late = self._clock.monotonic() - until
        if late > GRACE:
            self.table.sleeping(late)
