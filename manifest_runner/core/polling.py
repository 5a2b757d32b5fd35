"""When to ask about a job again. Pure: what is known of it and a random number in, seconds out.

Laws:

- One rule: a job is looked at once the delay that must be expected, as jobs of its kind have gone so far, comes to what a look
  is worth. So the first look comes when some of them should be over, looks come closest where most jobs end, and a job that
  outlives all others is asked about less and less. Hardly any rule has less delay for as many looks (`benchmarks/flight.py`).
  No wait is longer than its lid, whatever was learned.
- What is learned is when the provider was done, not when that was noticed, and jobs that still run teach, too
  (`lifetable.py`). So no look makes the next one later, and a first batch is looked at by what it shows itself.
- Waits are spread, so that jobs that left together are not asked about together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from manifest_runner.core.lifetable import Kind, LifeTable

BEFORE = 0.8
"""A job that was over at its first look ended in the last part of that wait: after this much of it, for all that one knows."""

QUICK_RATE = 700.0
"""The most looks a second of a process whose looks cost little: ten thousand jobs at eleven looks each need no more, and fit
one core. A 429 slows them."""

# In units of the policy's `every`.
_PRICE, _NARROW, _SLOW, _LID, _NET, _SPARED = 0.045, 0.6, 3.0, 36.0, 12.0, 0.4


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
    rate: float = 250.0

    @property
    def price(self) -> float:
        """What one look is worth, in seconds of delay."""
        return _PRICE * self.every

    @property
    def narrow(self) -> float:
        """The shortest wait between two looks at one job, in seconds."""
        return _NARROW * self.every

    @property
    def lid(self) -> float:
        """The longest wait of all, in seconds: for the first look, and while a job should not be over yet."""
        return _LID * self.every

    @property
    def spared(self) -> float:
        """The seconds by which a look is put off at least, where it is: for less it is not worth the trouble."""
        return _SPARED * self.every

    @property
    def net(self) -> float:
        """Seconds between looks while webhooks arrive: they are a safety net then."""
        return _NET * self.every

    def unknown(self, age: float) -> float:
        """The wait between two looks at jobs of which nothing is known, at an age; in seconds."""
        return self.first if age < self.first else _between(self.every, age / 4, _SLOW * self.every)

    def guess(self, age: float) -> float:
        """The chance to end within the next second that makes that wait the right one."""
        return 2 * self.price / self.unknown(age) ** 2


def next_wait(policy: PollPolicy, lives: LifeTable, kind: Kind, *, age: float, looks: int, jitter: float,
              known_age: bool = True) -> float:
    """Seconds until the next look at a job of this kind.

    `age` is how long ago it was accepted or, where `known_age` is false, how long it has been followed; `looks` is how often it
    was asked about; `jitter` is in [0, 1).
    """
    if known_age:
        wait = _between(min(policy.narrow, policy.first), _worth_it(policy, lives, kind, age), policy.lid)
    elif looks:
        wait = policy.every if lives.knows(kind) else policy.unknown(age)
    else:
        return policy.every * jitter  # a job of an earlier run may be over long ago
    return wait + min(0.1 * wait, policy.every / 2) * (2 * jitter - 1)


def _worth_it(policy: PollPolicy, lives: LifeTable, kind: Kind, age: float) -> float:
    """The wait after which the delay that must be expected comes to the price of a look; more than the lid where it does not.

    Within a step of the life table a job ends at any moment as likely as at any other. So the chance that it is over grows
    along a straight line, and the delay to be expected along a parabola.
    """
    risk, length = lives.risk(kind), lives.step
    step = int(age / length)
    left = (step + 1) * length - age  # of the step that it is in
    wait = over = delay = 0.0
    while wait <= policy.lid:
        chance = risk(step)
        slope = (1 - over) * chance / (length - chance * (length - left))
        missing = policy.price - delay
        if over * left + slope * left * left / 2 >= missing:
            return wait + 2 * missing / (over + sqrt(over * over + 2 * slope * missing))
        delay, over, wait = delay + over * left + slope * left * left / 2, over + slope * left, wait + left
        step, left = step + 1, length
    return wait


def _between(least: float, value: float, most: float) -> float:
    return min(max(value, least), most)


def ended_between(policy: PollPolicy, running: float | None, over: float, *, told: bool) -> tuple[float, float] | None:
    """Between which ages a job ended, in seconds after it was accepted, as well as can be known.

    It was seen running at the age `running` (None: never) and over at `over`. `told`: a webhook caused that look, which is then
    close to the truth. None where the two looks lie too far apart to say anything.
    """
    if told:
        return over, over
    if running is None:
        return BEFORE * over, over
    return (running, over) if over - running <= 2 * policy.net else None


def backoff(attempt: int, jitter: float, *, base: float = 0.5, most: float = 30.0) -> float:
    """Seconds before try number `attempt + 1` (attempt counts from 0): doubling, capped, with full jitter above a half."""
    return float(min(most, base * 2 ** min(attempt, 16)) * (0.5 + 0.5 * jitter))
