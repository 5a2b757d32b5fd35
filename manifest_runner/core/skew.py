"""What time another clock shows, from questions that were answered by it: bounds, and never a guess.

A question leaves at `before`, the other clock is read at some moment in between and says `told`, and the answer is here at
`after`, both by this machine's own clock that never jumps. So the other clock is ahead of this one by at least `told - after`
and at most `told - before`. Each further answer narrows what is known, and time widens it again, since no two clocks run alike.

Law: what must not happen too early uses the lower bound, what must not happen too late the upper one. Nothing here reads a
clock.
"""

from __future__ import annotations

from dataclasses import dataclass

DRIFT = 2e-4
"""Seconds a second by which two clocks may run apart, one being slewed by its time service meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """By how many seconds the other clock is ahead: between `least` and `most`, as known at `at` by this one."""

    least: float
    most: float
    at: float

    def seen(self, now: float) -> Skew:
        """The same at a later moment."""
        wider = DRIFT * max(now - self.at, 0.0)
        return Skew(least=self.least - wider, most=self.most + wider, at=now)


def narrowed(known: Skew | None, *, before: float, told: float, after: float) -> Skew:
    """What is known after one more answer. One that does not fit what was known before stands alone: this machine slept, or the
    other clock was set."""
    meanwhile = DRIFT * (after - before)
    fresh = Skew(least=told - after - meanwhile, most=told - before + meanwhile, at=after)
    if known is None:
        return fresh
    old = known.seen(after)
    least, most = max(old.least, fresh.least), min(old.most, fresh.most)
    return Skew(least=least, most=most, at=after) if least <= most else fresh
