"""When a run looks at its jobs: by schedule, or because somebody said that there is news.

Laws:

- A hint is no news. It brings one look forward, to the gateway itself, and nothing of what it said is used. Hints that led to
  nothing are soon ignored (`FRUITLESS` a job), and no job is looked at twice within the schedule's narrowest wait: so a flood,
  whoever sends it, costs a few looks and no more.
- Hints are relied upon only once one was right, and until a job is found over that nobody had told of. Looks go on all the
  while.
- Every question about a job goes through `Paced`, also those that ask for a fresh address of a clip.
- Waits are on the clock that never jumps. Where that clock runs on while a laptop sleeps, what the sleep added to a wait takes
  nothing of the run's patience with a job: no deadline passes asleep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import anyio

from manifest_runner.core.looks import answered, pace_of, taken, throttled
from manifest_runner.core.model import ExternalTaskId, Job, JobDocument, JobId, Request
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.polling import Experience, Kind, PollPolicy, kind_of, next_wait, took
from manifest_runner.errors import Throttled
from manifest_runner.ports import Clock, Departure, Provider

FRUITLESS = 3
"""Hints about one job that may lead to nothing before they are ignored."""

GRACE = 60.0
"""Seconds by which a wait may be late; beyond that the machine was asleep."""


class Paced:
    """`ports.Provider` that keeps the pace of the process's questions; submissions pass as they are."""

    def __init__(self, provider: Provider, clock: Clock, rate: float) -> None:
        self._provider = provider
        self._clock = clock
        self._pace = pace_of(rate)

    @property
    def spacing(self) -> float:
        """Seconds between two questions at the pace of now."""
        return self._pace.spacing

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        """See `ports.Provider.submit`."""
        return await self._provider.submit(path, body, departure)

    async def job(self, job_id: JobId) -> JobDocument:
        """See `ports.Provider.job`; waits for its turn first."""
        await self._turn()
        asked = self._clock.monotonic()
        try:
            document = await self._provider.job(job_id)
        except Throttled as error:
            if error.everywhere:
                self._pace = throttled(self._pace, asked, self._clock.monotonic(), error.retry_after, self._clock.jitter())
            raise
        self._pace = answered(self._pace, self._clock.monotonic())
        return document

    async def _turn(self) -> None:
        epoch = None
        while epoch != self._pace.epoch:
            epoch, now = self._pace.epoch, self._clock.monotonic()
            self._pace, at = taken(self._pace, now)
            if at > now:
                await self._clock.sleep(at - now)


class Looks:
    """The looks of one run at all its jobs."""

    def __init__(self, clock: Clock, policy: PollPolicy, card: ModelCard, paced: Paced) -> None:
        self.clock = clock
        self.policy = policy
        self.experience = Experience()
        self.relied = False
        """Whether webhooks arrive, as far as anybody can know."""
        self._card = card
        self._paced = paced
        self._accepted: dict[ExternalTaskId, float] = {}
        self._watched: dict[JobId, Watched] = {}
        self._busy = 0

    def remember(self, durations: Iterable[tuple[Request, float]]) -> None:
        """What earlier runs have seen: requests and how long they took, the latest last."""
        for request, seconds in durations:
            self.experience.learn(kind_of(request, self._card), seconds)

    def accepted(self, external_task_id: ExternalTaskId) -> None:
        """The gateway has just taken this submission: its age is known from now on."""
        self._accepted[external_task_id] = self.clock.monotonic()

    def hint(self, job_id: JobId) -> None:
        """Somebody says that there is news of a job. What is not followed now is not asked about."""
        watched = self._watched.get(job_id)
        if watched is not None:
            watched.hint()

    @contextmanager
    def watch(self, job: Job) -> Iterator[Watched]:
        """Follow a job that the gateway has named."""
        assert job.job_id is not None  # noqa: S101 - the state table: only submitted jobs are followed
        watched = Watched(self, kind_of(job.intent.request, self._card), self._accepted.pop(job.intent.external_task_id, None))
        self._watched[job.job_id] = watched
        try:
            yield watched
        finally:
            self._watched.pop(job.job_id, None)
            self._busy -= watched.looks > 0

    def looking(self, first: bool) -> None:
        """A job is being looked at; `first` says that it was not before."""
        self._busy += first

    @property
    def crowd(self) -> float:
        """The wait between two looks at one job at which all of them together keep the pace, in seconds."""
        return self._busy * self._paced.spacing


class Watched:
    """One job that is followed. Each round: `turn`, a question to the gateway, and `running` or `over`."""

    def __init__(self, looks: Looks, kind: Kind, accepted: float | None) -> None:
        self.looks = 0
        self._all = looks
        self._clock = looks.clock
        self._kind = kind
        self._known_age = accepted is not None
        self._following = self._clock.monotonic()
        self._started = self._following if accepted is None else accepted
        self._asleep = 0.0  # seconds that the machine slept
        self._last = float("-inf")  # when it was last asked about
        self._running: float | None = None  # the age at which it was last seen running
        self._hinted: float | None = None  # the age at which a hint came that no look has followed yet
        self._told: float | None = None  # the same, of the hint that led to the look of now
        self._fruitless = 0
        self._sleeping: anyio.CancelScope | None = None

    @property
    def impatient(self) -> bool:
        """Whether the run's patience with this job is at its end."""
        return self._clock.monotonic() - self._following - self._asleep > self._all.policy.patience

    def hint(self) -> None:
        """There may be news."""
        if self._fruitless < FRUITLESS and self._hinted is None:
            self._hinted = self._age()
            if self._sleeping is not None:
                self._sleeping.cancel()

    async def turn(self) -> None:
        """Wait until it is time to ask."""
        wait = self._wait()
        if self._hinted is None:
            began = self._clock.monotonic()
            with anyio.CancelScope() as self._sleeping:
                await self._clock.sleep(wait)
            self._sleeping = None
            late = self._clock.monotonic() - began - wait
            self._asleep += late if late > GRACE else 0.0
        early = self._last + self._all.policy.narrow - self._clock.monotonic()
        if early > 0:  # a hint came: not so soon after the last look
            await self._clock.sleep(min(early, wait))
        self._all.looking(first=self.looks == 0)
        self.looks += 1
        self._told, self._hinted = self._hinted, None
        self._last = self._clock.monotonic()

    def running(self) -> None:
        """It is not over yet, or the answer did not say."""
        self._running = max(self._last - self._started, 0.0)
        self._fruitless += self._told is not None

    def over(self, *, succeeded: bool) -> float | None:
        """It has ended: how long it took, in seconds, where that can be known."""
        self._all.relied = self._told is not None
        if not (succeeded and self._known_age) or self._asleep:
            return None
        seconds = took(self._all.policy, self._running, self._age() if self._told is None else self._told,
                       told=self._told is not None)
        if seconds is not None:
            self._all.experience.learn(self._kind, seconds)
        return seconds

    def _age(self) -> float:
        return self._clock.monotonic() - self._started

    def _wait(self) -> float:
        policy, jitter = self._all.policy, self._clock.jitter()
        wait = next_wait(policy, self._all.experience.of(self._kind), age=self._age(), looks=self.looks, jitter=jitter,
                         crowd=self._all.crowd, known_age=self._known_age)
        if self._all.relied and self._told is None and (self._known_age or self.looks):
            wait = max(wait, policy.net * (0.9 + 0.2 * jitter))
        return wait
