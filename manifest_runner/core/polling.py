"""When to ask about a job again. Pure: the age of the job and a random number in, seconds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """`first` and `every` in seconds; `patience` is how long a run waits for one job before it leaves it to a later run;
    `missing_after` is how many 404s in a row make a job missing."""

    first: float = 5.0
    every: float = 5.0
    patience: float = 3600.0
    missing_after: int = 5


def poll_delay(policy: PollPolicy, polls: int, jitter: float) -> float:
    """Seconds until the next look, within a tenth of the policy's figure so that many jobs do not ask at once.

    `polls` is how often the job was asked about so far; `jitter` is in [0, 1).
    """
    return (policy.first if polls == 0 else policy.every) * (0.9 + 0.2 * jitter)


def backoff(attempt: int, jitter: float, *, base: float = 0.5, most: float = 30.0) -> float:
    """Seconds before try number `attempt + 1` (attempt counts from 0): doubling, capped, with full jitter above a half."""
    return float(min(most, base * 2 ** min(attempt, 16)) * (0.5 + 0.5 * jitter))
