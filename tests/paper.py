"""Flights on paper: the program's timetable and pace in virtual time, and jobs that end when they do. For tests, and for
`benchmarks/flight.py`."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import mean

from manifest_runner.core.lifetable import Kind
from manifest_runner.core.looks import pace_of, taken
from manifest_runner.core.model import JobId
from manifest_runner.core.polling import PollPolicy
from manifest_runner.core.timetable import Timetable, Watched

KINDS = [(seconds, size) for seconds in (5, 8, 10, 15) for size in ("720p", "1080p")]

EVERY = 5.0
"""Seconds between the looks of the peer: at every job, from its start to its end."""

ANSWER = 0.02
"""Seconds between a question and its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A job that the gateway takes at a moment and that lasts so long, in seconds."""

    at: float
    kind: Kind
    lasts: float


def wide(chance: random.Random, seconds: int, size: str) -> float:
    """How long a job takes, as the simulator deals it."""
    share = seconds / 15 * (1.0 if size == "1080p" else 0.6)
    return chance.triangular(70, 260, 70 + 190 * min(1.0, share))


def narrow(chance: random.Random, seconds: int, size: str) -> float:
    """The same of a provider whose kinds of jobs differ more, and the jobs of a kind less."""
    return min(260.0, max(70.0, chance.lognormvariate(0, 0.2) * (80 + 8 * seconds + 40 * (size == "1080p"))))


def batch(jobs: int, within: float, chance: random.Random, *, narrower: bool = False) -> list[Take]:
    """So many jobs of all kinds, accepted evenly within so many seconds."""
    draw = narrow if narrower else wide
    return [Take(at=within * number / jobs, kind=("m", *map(str, KINDS[number % len(KINDS)])),
                 lasts=draw(chance, *KINDS[number % len(KINDS)])) for number in range(jobs)]


class Flight:
    """Jobs from the first one's start until all were seen to be over."""

    def __init__(self, takes: Sequence[Take], chance: random.Random, *, policy: PollPolicy | None = None,
                 experience: Sequence[tuple[Kind, float]] = ()) -> None:
        policy = policy or PollPolicy()
        self.table: Timetable[float] = Timetable(policy)
        self.looks = 0
        self.at_first = 0
        """Jobs that were over at their first look."""
        self.late: list[float] = []
        self._took: dict[int, tuple[Kind, float]] = {}
        self._takes = takes
        self._pace = pace_of(policy.rate)
        self._chance = chance
        self._answers: list[tuple[float, int, Watched[float]]] = []
        self.table.lives.remember(experience)
        self._fly()

    @property
    def delay(self) -> float:
        """How late the look came that saw a job over, on average, in seconds."""
        return mean(self.late)

    @property
    def requests(self) -> float:
        """The looks against those of the peer."""
        return self.looks / sum(take.lasts / EVERY + 0.5 for take in self._takes)

    @property
    def took(self) -> list[tuple[Kind, float]]:
        """What was learned, in the order in which the jobs were accepted."""
        return [self._took[number] for number in sorted(self._took)]

    def _fly(self) -> None:
        now, number = 0.0, 0
        while len(self.late) < len(self._takes):
            start = self._takes[number].at if number < len(self._takes) else inf
            answer = self._answers[0][0] if self._answers else inf
            due = self.table.opens(now)
            now = min(start, answer, inf if due is None else max(due, self._pace.opens, now))
            if now == start:
                take = self._takes[number]
                self.table.follow(JobId(str(number)), take.kind, take.lasts, accepted=now, now=now,
                                  jitter=self._chance.random())
                number += 1
            elif now == answer:
                self._answered(heapq.heappop(self._answers)[2], now)
            elif self.table.opens(now) == due and (watched := self.table.take(now)) is not None:
                self._pace, _ = taken(self._pace, now)
                self.looks += 1
                heapq.heappush(self._answers, (now + ANSWER, self.looks, watched))

    def _answered(self, watched: Watched[float], now: float) -> None:
        late = now - ANSWER / 2 - watched.started - watched.what
        if late < 0:
            self.table.running(watched, now, self._chance.random())
            return
        self.late.append(late)
        self.at_first += watched.looks == 1
        seconds = self.table.over(watched, now, succeeded=True)
        if seconds is not None:
            self._took[int(watched.name)] = watched.kind, seconds
