"""How fast a process may ask about its jobs, all of them together. Pure: a state and the time in, a state out.

Laws:

- Looks are given slots at least a spacing apart, whoever asks: ten thousand jobs that are resumed at once are asked about one
  after the other, and never more than the policy's `rate` in a second.
- A 429 stops all looks for as long as the gateway asks; then they go on at a tenth of the fastest pace, or at half of what they
  were where that is slower. Answers to questions that had left before that say nothing new. After a calm spell the pace
  rises again, step by step.
- It is the pace of looks in one process. Submissions have their own, in the ledger: a gateway that has enough of questions may
  still take orders, and one that has not says so to the order itself.

Times are seconds on a clock that never jumps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SLOWEST = 5.0
"""Seconds between two looks at most, beyond what a Retry-After asks for."""

CALM = 10.0
"""Seconds without a 429 before the pace rises a step."""

STEP = 0.75
"""By which a step shortens the spacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`least` is the spacing of the fastest pace and `spacing` that of now, in seconds; `opens` is when the next slot does;
    `gap` is how far apart slots were taken lately; `slowed` is when a 429 last changed the pace, `changed` when anything did.
    A slot that was taken before `epoch` went up is void: it must be taken anew."""

    least: float
    spacing: float
    opens: float = float("-inf")
    gap: float = 0.0
    slowed: float = float("-inf")
    changed: float = float("-inf")
    epoch: int = 0


def pace_of(rate: float) -> Pace:
    """The pace of so many looks a second at most."""
    return Pace(least=1 / rate, spacing=1 / rate)


def taken(pace: Pace, now: float) -> tuple[Pace, float]:
    """The next slot, and the pace after it was given out."""
    at = max(pace.opens, now)
    since = min(at - pace.opens, SLOWEST) if pace.gap else 0.0
    return replace(pace, opens=at + pace.spacing, gap=0.8 * pace.gap + 0.2 * (since + pace.spacing)), at


def throttled(pace: Pace, asked: float, now: float, retry_after: float | None, jitter: float) -> Pace:
    """The pace after a 429 at `now` to a question that left at `asked`. `retry_after` is what the gateway said, in seconds;
    `jitter` is in [0, 1)."""
    if asked <= pace.slowed:
        spacing, slowed = pace.spacing, pace.slowed
    else:
        spacing, slowed = max(min(max(2 * pace.spacing, 2 * pace.gap, 10 * pace.least), SLOWEST), pace.least), now
    resume = now + max(spacing, retry_after or 0.0) * (1 + 0.05 * jitter)
    if slowed == pace.slowed and resume <= pace.opens:
        return pace
    return replace(pace, spacing=spacing, opens=resume, slowed=slowed, changed=resume, epoch=pace.epoch + 1)


def answered(pace: Pace, now: float) -> Pace:
    """The pace after an answer that is not a 429."""
    if pace.spacing <= pace.least or now - pace.changed < CALM:
        return pace
    return replace(pace, spacing=max(pace.least, pace.spacing * STEP), changed=now)
