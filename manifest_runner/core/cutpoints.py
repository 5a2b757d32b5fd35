"""From in and out points in seconds to frames: one rule for every cut, be it a reel or a timeline. Pure.

Laws
- **Times are exact.** Seconds are taken as they were written (0.1 is a tenth), rates are fractions, and nothing is a float.
- **Points.** Frame n of a clip begins at n / rate. A cut begins with the frame whose beginning is nearest to the in point and
  ends before the one whose beginning is nearest to the out point; of two that are equally near the later counts.
- **No drift.** A shot takes a whole number of the film's frames: as many as last as long, to the nearest, but never more than
  its clip has pictures for, and at least one. It begins where the one before it ends, and nothing else is rounded.
- **Without a clip** a shot keeps its place, as long as its cut would be of a clip of the length that was asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from manifest_runner.core.model import Cut

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The frames of a clip. `times` are the exact times at which they begin, from 0, and last of all the one at which the clip
    ends: only where they are uneven."""

    frames: int
    rate: Fraction
    times: tuple[Fraction, ...] = ()

    def begins(self, frame: int) -> Fraction:
        """When a frame begins, in seconds; for the frame after the last one, when the clip ends."""
        return self.times[frame] if self.times else frame / self.rate

    def nearest(self, time: Fraction) -> int:
        """The frame (or the end) that begins nearest to a time; halfway the later one."""
        if not self.times:
            return max(0, min(self.frames, nearest(time * self.rate)))
        after = min(bisect_left(self.times, time), self.frames)
        before = max(after - 1, 0)
        return after if self.times[after] - time <= time - self.times[before] else before

    def used(self, start: Fraction, end: Fraction | None) -> range:
        """The frames between in and out point (None: the clip's end); empty where none lies there."""
        return range(self.nearest(start), self.frames if end is None else self.nearest(end))

    def shown(self, used: range, rate: Fraction) -> int:
        """How many frames of a film of this rate show these."""
        begin = self.begins(used.start)
        most = math.floor((self.begins(self.frames) - begin) * rate)
        return max(1, min(nearest((self.begins(used.stop) - begin) * rate), most))


def kept(start: Fraction, end: Fraction | None, asked: Fraction, rate: Fraction) -> int:
    """How many frames of a film of this rate a shot has that has no clip: `asked` is how long one would be, in seconds."""
    out = asked if end is None else min(end, asked)
    return max(1, nearest(out * rate) - nearest(start * rate))


def points(cut: Cut) -> tuple[Fraction, Fraction | None]:
    """In and out point in seconds; without an out point the clip goes to its end."""
    return exact(cut.start), None if cut.end is None else exact(cut.end)


def exact(seconds: float) -> Fraction:
    """Seconds as they were written: 0.1 is a tenth, and not the binary number next to it."""
    return Fraction(str(seconds))


def nearest(number: Fraction) -> int:
    """The whole number nearest to `number`; of two that are equally near the greater."""
    return math.floor(number + Fraction(1, 2))


def commonest(values: Iterable[H], otherwise: H) -> H:
    """The value that comes most often; of those that come equally often the one that comes first."""
    counted = Counter(values)
    return max(counted, key=lambda value: counted[value], default=otherwise)  # a Counter keeps the order in which values came
