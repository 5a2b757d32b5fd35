"""At which ages jobs of a kind end. Pure: what was seen of jobs in, chances out.

A life table, as actuaries keep one: for each age, in steps, how many jobs were seen to reach it, and how many of these ended
within it. Laws:

- A job that still runs counts: it has reached every age up to the one at which it was last seen running. So what is known of a
  batch is right while most of it still runs. Whoever counts only those that have ended takes the short ones for all of them.
- Each age remembers the latest jobs that reached it, in whatever order they end: providers change, and of a batch that is
  larger than the memory neither the long jobs nor the short ones are forgotten first.
- A job that ended somewhere between two looks counts for all ages between them, in equal parts.
- The fewer jobs of a kind are known, the more the other jobs of its model say; and the fewer of those, the more a guess does.
- Its size is bounded, whatever jobs took.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from manifest_runner.core.model import Request
from manifest_runner.core.modelcard import ModelCard

Kind: TypeAlias = tuple[str, ...]
"""What jobs are compared by: the model and the parameters that its price hangs on (resolution and duration)."""

MEMORY = 200
"""Jobs of a kind that each age remembers, about; the older they are, the less they count."""

FEW = 8
"""Jobs of a kind that count as much as all that is known of its model."""

GUESSED = 8.0
"""Jobs that count as much as a guess, as long as no job is known that ended at that age or later."""

STEPS = 2000
"""Steps of age that are told apart at most: beyond, one may only guess."""


def kind_of(request: Request, card: ModelCard) -> Kind:
    """The kind of a request: its model and what its price hangs on."""
    return (request.model, *(str(request.params.get(name)) for name in (card.price.by, card.price.quantity)))


class LifeTable:
    """The life tables of all kinds. `step` is in seconds, and so are all ages."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._ages: dict[Kind, _Ages] = {}

    def remember(self, lives: Iterable[tuple[Kind, float]]) -> None:
        """What earlier runs have seen: how long jobs of which kind took, the latest last. Before anything else."""
        took: dict[Kind, list[float]] = defaultdict(list)
        for kind, seconds in lives:
            for name in _names(kind):
                took[name].append(seconds)
        for name, all_of_them in took.items():
            self._ages[name] = _Ages.of(int(seconds / self.step) for seconds in all_of_them[-MEMORY:])

    def running(self, kind: Kind, since: float, age: float) -> None:
        """A job was seen running at this age, as it was (or began) at the age `since` before."""
        for ages in self._of(kind):
            for step in range(int(since / self.step), min(int(age / self.step), STEPS)):
                ages.count(step, 1.0, 0.0)

    def over(self, kind: Kind, since: float, until: float) -> None:
        """A job ended between two ages. Up to the first one it was seen running."""
        first, last, span = int(since / self.step), min(int(until / self.step), STEPS), until - since
        parts = [(min(until, (step + 1) * self.step) - max(since, step * self.step)) / span if span else 1.0
                 for step in range(first, last + 1)]
        for ages in self._of(kind):
            ages.live(last)
            left = 1.0  # the part of it that had not ended before
            for step, part in enumerate(parts, first):
                ages.count(step, left, part)
                left -= part

    def knows(self, kind: Kind) -> bool:
        """Whether more is known of a kind than a guess."""
        ages = self._ages.get(kind) or self._ages.get(kind[:1])
        return ages is not None and sum(ages.ended) >= FEW

    def risk(self, kind: Kind, guess: Callable[[float], float]) -> Callable[[int], float]:
        """The chance of a job that has reached a step of age to end within it, by that step. `guess` is what is thought where
        nothing is known: the chance within a second, by the age."""
        model, own = self._ages.get(kind[:1], _NOTHING), self._ages.get(kind, _NOTHING)

        def risk(step: int) -> float:
            chance = min(guess(step * self.step) * self.step, 1.0)
            return own.chance(step, model.chance(step, chance, GUESSED / (1 + model.lived(step)) ** 2), FEW)

        return risk

    def _of(self, kind: Kind) -> list[_Ages]:
        """What a job counts for: its kind, and its model as a whole."""
        for name in _names(kind):
            if name not in self._ages:
                self._ages[name] = _Ages()
        return [self._ages[name] for name in _names(kind)]


class _Ages:
    """Of one kind, by step of age: how many jobs reached it and how many of these ended within it."""

    __slots__ = ("ended", "lives", "reached")

    def __init__(self) -> None:
        self.reached: list[float] = []
        self.ended: list[float] = []
        self.lives: list[int] = []

    @classmethod
    def of(cls, ends: Iterable[int]) -> _Ages:
        """Of jobs that ended within these steps, all of equal weight."""
        ages, left = cls(), 0.0
        for step in ends:
            ages.count(step, 0.0, 1.0)
        for step in reversed(range(len(ages.ended))):
            left += ages.ended[step]
            ages.reached[step] = left
            ages.lives.append(int(left))
        ages.lives.reverse()
        return ages

    def lived(self, step: int) -> int:
        return self.lives[step] if step < len(self.lives) else 0

    def count(self, step: int, reached: float, ended: float) -> None:
        """So much of a job has reached a step, and so much of it has ended within it. What is remembered fades."""
        if step >= STEPS:
            return
        if step >= len(self.reached):
            more = step + 1 - len(self.reached)
            self.reached += [0.0] * more
            self.ended += [0.0] * more
        fade = 1.0 if self.reached[step] + reached <= MEMORY else (MEMORY - reached) / self.reached[step]
        self.reached[step] = fade * self.reached[step] + reached
        self.ended[step] = fade * self.ended[step] + ended

    def live(self, last: int) -> None:
        last = min(last, STEPS)
        self.lives += [0] * (last + 1 - len(self.lives))
        for step in range(last + 1):
            self.lives[step] += 1

    def chance(self, step: int, besides: float, weight: float) -> float:
        """The chance to end within a step; `besides` is what is known of it besides, with the weight of so many jobs."""
        if step >= len(self.reached):
            return besides
        return (self.ended[step] + weight * besides) / (self.reached[step] + weight)


_NOTHING = _Ages()


def _names(kind: Kind) -> tuple[Kind, ...]:
    return (kind, kind[:1]) if len(kind) > 1 else (kind,)
