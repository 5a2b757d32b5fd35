"""Which of the jobs that are followed is looked at next, and when. Pure: what happens and the time in, a job out.

Laws:

- A job is a few numbers here, and nothing waits for it: whoever has time takes the one that is due first.
- Whether a look is worth it is decided again when its time has come, by what is known then. So a few jobs that are a little
  ahead, or a webhook that came, spare all that are behind them the looks that nobody needs any more.
- A hint is no news. It brings one look forward, and nothing of what it said is used. Hints that led to nothing are soon ignored
  (`FRUITLESS` a job), and no job is looked at twice within the schedule's narrowest wait: so a flood, whoever sends it, costs a
  few looks and no more.
- Hints are relied upon only once one was right, and until a job is found over that nobody had told of. Looks go on all the
  while.
- Where the clock runs on while a laptop sleeps, what the sleep added takes nothing of the patience with a job, and how long
  that job took is not learned.

Times are seconds on a clock that never jumps; jitters are in [0, 1).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from manifest_runner.core.lifetable import Kind, LifeTable
from manifest_runner.core.model import JobId
from manifest_runner.core.polling import PollPolicy, ended_between, next_wait

FRUITLESS = 3
"""Hints about one job that may lead to nothing before they are ignored."""

SOON = 0.1
"""Seconds before it is due from which on a look is weighed again: else whoever waits would wake up for each that is put off."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class Watched(Generic[T]):
    """A job that is followed; `what` is whatever its follower wants to find again."""

    name: JobId
    kind: Kind
    what: T
    following: float  # since when it is
    started: float  # when the gateway took it or, where nobody knows, the same
    known_age: bool
    asleep: float  # seconds that the machine had slept before
    jitter: float  # of the wait of now
    since: float  # when that wait began
    due: float = inf  # when it ends
    entry: int = 0  # the number under which it stands in the timetable; 0 while somebody asks about it
    looks: int = 0
    last: float = -inf  # when it was last asked about
    running: float | None = None  # the age at which it was last seen running
    hinted: float | None = None  # the age at which a hint came that no look has followed yet
    told: float | None = None  # the same, of the hint that led to the latest look
    fruitless: int = 0


class Timetable(Generic[T]):
    """All jobs that one run follows."""

    def __init__(self, policy: PollPolicy) -> None:
        self.policy = policy
        self.lives = LifeTable(policy.every, policy.guess)
        self.relied = False
        """Whether webhooks arrive, as far as anybody can know."""
        self._watched: dict[JobId, Watched[T]] = {}
        self._heap: list[tuple[float, int, Watched[T]]] = []
        self._entries = 0
        self._asleep = 0.0

    def follow(self, name: JobId, kind: Kind, what: T, *, accepted: float | None, now: float, jitter: float) -> Watched[T]:
        """Follow a job from now on; `accepted` is when the gateway took it, None where that is not known."""
        watched = Watched(name=name, kind=kind, what=what, following=now, started=now if accepted is None else accepted,
                          known_age=accepted is not None, asleep=self._asleep, jitter=jitter, since=now)
        self._watched[name] = watched
        self._enter(watched)
        return watched

    def hint(self, name: JobId, now: float) -> Watched[T] | None:
        """Somebody says that there is news of a job: which one that is, where it is to be looked at earlier for that."""
        watched = self._watched.get(name)
        if watched is None or watched.hinted is not None or watched.fruitless >= FRUITLESS:
            return None
        watched.hinted = now - watched.started
        if watched.entry:
            self._enter(watched)
        return watched

    def opens(self, now: float) -> float | None:
        """When the next look is due, by what is known now; None where nothing is followed."""
        while self._heap:
            due, number, watched = self._heap[0]
            if number != watched.entry:
                heapq.heappop(self._heap)  # it stands elsewhere by now
            elif due > now + SOON or self._due(watched) < max(due, now) + self.policy.spared:
                return due
            else:
                heapq.heappop(self._heap)
                self._enter(watched)
        return None

    def take(self, now: float) -> Watched[T] | None:
        """The job to look at, where `opens` says that there is one. It stands in the timetable again once `running` or
        `unheard` is said of it."""
        while self._heap and self._heap[0][1] != self._heap[0][2].entry:
            heapq.heappop(self._heap)
        if not self._heap or self._heap[0][0] > now:
            return None
        watched = heapq.heappop(self._heap)[2]
        watched.entry, watched.looks, watched.last = 0, watched.looks + 1, now
        watched.told, watched.hinted = watched.hinted, None
        return watched

    def running(self, watched: Watched[T], now: float, jitter: float) -> None:
        """It is not over yet."""
        age = max(watched.last - watched.started, 0.0)
        if watched.known_age:
            self.lives.running(watched.kind, watched.running or 0.0, age)
        watched.running = age
        self._again(watched, now, jitter)

    def unheard(self, watched: Watched[T], now: float, jitter: float, *, pause: float = 0.0) -> None:
        """Nobody could say how it stands. The next wait begins after a pause."""
        self._again(watched, now + pause, jitter)

    def over(self, watched: Watched[T], now: float, *, succeeded: bool) -> float | None:
        """It has ended and is followed no more: how long it took, in seconds, where that can be known."""
        self.relied = watched.told is not None
        self.leave(watched)
        if not (succeeded and watched.known_age) or self._slept(watched):
            return None
        age = now - watched.started if watched.told is None else watched.told
        between = ended_between(self.policy, watched.running, age, told=watched.told is not None)
        if between is None:
            return None
        self.lives.running(watched.kind, watched.running or 0.0, between[0])
        self.lives.over(watched.kind, *between)
        return sum(between) / 2

    def leave(self, watched: Watched[T]) -> None:
        """Follow it no more."""
        watched.entry = 0
        if self._watched.get(watched.name) is watched:  # a gateway may give two submissions one job
            del self._watched[watched.name]

    def sleeping(self, seconds: float) -> None:
        """The machine slept for so long."""
        self._asleep += seconds

    def impatient(self, watched: Watched[T], now: float) -> bool:
        """Whether the run's patience with a job is at its end."""
        return now - watched.following - self._slept(watched) > self.policy.patience

    def _slept(self, watched: Watched[T]) -> float:
        return self._asleep - watched.asleep

    def _again(self, watched: Watched[T], since: float, jitter: float) -> None:
        watched.fruitless += watched.told is not None
        watched.since, watched.jitter = since, jitter
        self._enter(watched)

    def _enter(self, watched: Watched[T]) -> None:
        """Put it where it belongs, by what is known now."""
        self._entries += 1
        watched.due, watched.entry = self._due(watched), self._entries
        heapq.heappush(self._heap, (watched.due, watched.entry, watched))

    def _due(self, watched: Watched[T]) -> float:
        policy = self.policy
        if watched.hinted is not None:  # not so soon after the last look, but before all that are late
            return max(watched.since, watched.last + policy.narrow)
        wait = next_wait(policy, self.lives, watched.kind, age=watched.since - watched.started, looks=watched.looks,
                         jitter=watched.jitter, known_age=watched.known_age)
        if self.relied and watched.told is None and (watched.known_age or watched.looks):
            wait = max(wait, policy.net * (0.9 + 0.2 * watched.jitter))
        return watched.since + wait
