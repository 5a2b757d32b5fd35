"""When to ask about a job again. Pure: what is known of it and a random number in, seconds out.

Laws:

- One rule: a job is looked at when a twentieth of those that ran as long should be over, as jobs of its kind have gone so far.
  So the first look comes at the 5th percentile, looks come closer where most jobs end, and a job that outlives all others is
  asked about less and less. No wait is longer than its lid, whatever was learned.
- What is learned is how long the provider took, not when it was noticed: else each look would make the next one later. A job
  that was over at its first look took less than that, and nobody knows how much; it counts as a tenth less, so that the first
  look moves back to where a twentieth are over. Otherwise it would stay for ever where it was once too late.
- Waits are spread, so that jobs that left together are not asked about together.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from manifest_runner.core.model import Request
from manifest_runner.core.modelcard import ModelCard

Kind: TypeAlias = tuple[str, ...]
"""What jobs are compared by: the model and the parameters that its price hangs on (resolution and duration)."""

SHARE = 0.05
"""The part of the jobs still running that may be over before anybody looks."""

ENOUGH = 8
"""Jobs of a kind from which its own schedule is believed."""

MEMORY = 200
"""Jobs of a kind that are remembered, the latest ones: providers change."""

BACK = 0.9
"""What a job took that was over at its first look, as a part of that wait."""

# In units of the policy's `every`.
_NARROW, _WIDE, _SLOW, _LID, _NET = 0.84, 1.8, 3.0, 36.0, 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """`first` and `every` in seconds: the looks at a job of which nothing is known; all other waits are measured in `every`.

    `patience` is how long a run waits for one job before it leaves it to a later run; `missing_after` is how many 404s in a row
    make a job missing; `rate` is the most looks a second of the whole process.
    """

    first: float = 5.0
    every: float = 5.0
    patience: float = 3600.0
    missing_after: int = 5
    rate: float = 200.0

    @property
    def narrow(self) -> float:
        """The shortest wait between two looks at one job, in seconds."""
        return _NARROW * self.every

    @property
    def lid(self) -> float:
        """The longest wait of all, in seconds: for the first look, and while a job should not be over yet."""
        return _LID * self.every

    @property
    def net(self) -> float:
        """Seconds between looks while webhooks arrive: they are a safety net then."""
        return _NET * self.every


class Experience:
    """How long the latest jobs of each kind took, in seconds."""

    def __init__(self) -> None:
        self._took: dict[Kind, list[float]] = {}
        self._order: dict[Kind, deque[float]] = {}

    def learn(self, kind: Kind, seconds: float) -> None:
        """A job of this kind took so long. Also counts for its model as a whole."""
        for name in (kind, kind[:1]):
            took, order = self._took.setdefault(name, []), self._order.setdefault(name, deque())
            if len(order) == MEMORY:
                took.remove(order.popleft())
            order.append(seconds)
            insort(took, seconds)

    def of(self, kind: Kind, enough: int = ENOUGH) -> Sequence[float]:
        """What jobs of this kind took, sorted; of the whole model where fewer than `enough` are known; nothing where those are
        too few."""
        for name in (kind, kind[:1]):
            took = self._took.get(name, ())
            if len(took) >= enough:
                return took
        return ()


def kind_of(request: Request, card: ModelCard) -> Kind:
    """The kind of a request: its model and what its price hangs on."""
    return (request.model, *(str(request.params.get(name)) for name in (card.price.by, card.price.quantity)))


def next_wait(policy: PollPolicy, took: Sequence[float], *, age: float, looks: int, jitter: float, crowd: float = 0.0,
              known_age: bool = True) -> float:
    """Seconds until the next look at a job.

    `took` is what jobs of its kind took, sorted; `age` is how long ago it was accepted or, where `known_age` is false, how long
    it has been followed; `looks` is how often it was asked about; `jitter` is in [0, 1). `crowd` is the least that a wait must
    be so that all jobs together keep the pace of the process; a first look is not held to it, the pace itself is.
    """
    if not known_age and looks == 0:
        return policy.every * jitter  # a job of an earlier run may be over long ago
    if not took:
        wait = policy.first if looks == 0 else _between(policy.every, age / 4, _SLOW * policy.every)
    elif not known_age:
        wait = policy.every
    else:
        wait = _learned(policy, took, age)
    if looks:
        wait = max(wait, crowd)
    return wait + min(0.1 * wait, policy.every / 2) * (2 * jitter - 1)


def _learned(policy: PollPolicy, took: Sequence[float], age: float) -> float:
    done = bisect_right(took, age)
    if done == len(took):
        return _between(policy.narrow, (age - took[-1]) / 4, _SLOW * policy.every)
    wait = _due(took, done) - age
    start = _due(took, 0) - age
    return _between(policy.narrow, wait, policy.lid if start > policy.narrow else _WIDE * policy.every)


def _due(took: Sequence[float], done: int) -> float:
    """The age at which `SHARE` of the jobs from place `done` on were over. Each of them stands for the middle of its part of
    all jobs: else the fewer are known, the later the look would be."""
    place = done + max(SHARE * (len(took) - done) - 0.5, 0.0)
    low = int(place)
    high = min(low + 1, len(took) - 1)
    return took[low] + (place - low) * (took[high] - took[low])


def _between(least: float, value: float, most: float) -> float:
    return min(max(value, least), most)


def took(policy: PollPolicy, running: float | None, over: float, *, told: bool) -> float | None:
    """How long a job took, in seconds after it was accepted, as well as can be known.

    It was seen running at the age `running` (None: never) and over at `over`. `told`: a webhook caused that look, which is then
    close to the truth. Else it ended between the two looks, and half way is right on average. None where they lie too far
    apart to say anything.
    """
    if told:
        return over
    if running is None:
        return BACK * over
    return (running + over) / 2 if over - running <= 2 * policy.net else None


def backoff(attempt: int, jitter: float, *, base: float = 0.5, most: float = 30.0) -> float:
    """Seconds before try number `attempt + 1` (attempt counts from 0): doubling, capped, with full jitter above a half."""
    return float(min(most, base * 2 ** min(attempt, 16)) * (0.5 + 0.5 * jitter))
