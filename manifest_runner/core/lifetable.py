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
"""Jobs that count as much as a guess, as long as none is known that ended at that age or later: then a guess soon counts for
nothing."""

STEPS = 2000
"""Steps of age that are told apart at most: beyond, one may only guess."""


def kind_of(request: Request, card: ModelCard) -> Kind:
    """The kind of a request: its model and what its price hangs on."""
    return (request.model, *(str(request.params.get(name)) for name in (card.price.by, card.price.quantity)))


class LifeTable:
    """The life tables of all kinds. `step` is in seconds, and so are all ages. `guess` is what is thought where nothing is
    known: the chance to end within the next second, by the age."""

    def __init__(self, step: float, guess: Callable[[float], float]) -> None:
        self.step = step
        self._guesses = [min(guess(number * step) * step, 1.0) for number in range(STEPS + 1)]
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
        first, last, span = int(since / self.step), min(int(until / self.step), STEPS - 1), until - since
        parts = [(min(until, (step + 1) * self.step) - max(since, step * self.step)) / span if span else 1.0
                 for step in range(first, last + 1)]
        for ages in self._of(kind):
            left = 1.0  # the part of it that had not ended before
            for step, part in enumerate(parts, first):
                part = min(part, left)  # rounded, they may add up to more than one job
                ages.count(step, left, part)
                left -= part
            ages.live(last)

    def knows(self, kind: Kind) -> bool:
        """Whether more is known of a kind than a guess."""
        ages = self._ages.get(kind) or self._ages.get(kind[:1], _NOTHING)
        return bool(ages.lived) and ages.lived[0] >= FEW

    def risk(self, kind: Kind) -> Callable[[int], float]:
        """The chance of a job that has reached a step of age to end within it, by that step."""
        guesses, model, own = self._guesses, self._ages.get(kind[:1], _NOTHING), self._ages.get(kind, _NOTHING)

        def risk(step: int) -> float:
            chance = guesses[min(step, STEPS)]
            if step < len(model.reached):
                weight = GUESSED / (1 + model.lived[step]) ** 2
                chance = (model.ended[step] + weight * chance) / (model.reached[step] + weight)
            if step >= len(own.reached):
                return chance
            return (own.ended[step] + FEW * chance) / (own.reached[step] + FEW)

        return risk

    def _of(self, kind: Kind) -> list[_Ages]:
        """What a job counts for: its kind, and its model as a whole."""
        for name in _names(kind):
            if name not in self._ages:
                self._ages[name] = _Ages()
        return [self._ages[name] for name in _names(kind)]


class _Ages:
    """Of one kind, by step of age: how many jobs reached it, how many of these ended within it, and how many are known that
    ended then or later."""

    __slots__ = ("ended", "lived", "reached")

    def __init__(self) -> None:
        self.reached: list[float] = []
        self.ended: list[float] = []
        self.lived: list[int] = []

    @classmethod
    def of(cls, ends: Iterable[int]) -> _Ages:
        """Of jobs that ended within these steps, all of equal weight."""
        ages = cls()
        for step in ends:
            if step < STEPS:
                ages.count(step, 0.0, 1.0)
                ages.live(step)
        ages.reached = [float(lived) for lived in ages.lived]
        return ages

    def count(self, step: int, reached: float, ended: float) -> None:
        """So much of a job has reached a step, and so much of it has ended within it. What is remembered fades."""
        self._grow(step)
        fade = 1.0 if self.reached[step] + reached <= MEMORY else (MEMORY - reached) / self.reached[step]
        self.reached[step] = fade * self.reached[step] + reached
        self.ended[step] = fade * self.ended[step] + ended

    def live(self, last: int) -> None:
        """A job has lived until this step."""
        self._grow(last)
        for step in range(last + 1):
            self.lived[step] += 1

    def _grow(self, step: int) -> None:
        if step >= len(self.reached):
            more = step + 1 - len(self.reached)
            self.reached += [0.0] * more
            self.ended += [0.0] * more
            self.lived += [0] * more


_NOTHING = _Ages()


def _names(kind: Kind) -> tuple[Kind, ...]:
    return (kind, kind[:1]) if len(kind) > 1 else (kind,)
