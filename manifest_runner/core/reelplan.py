"""What a reel is made of, frame by frame: decided here, with exact fractions, and carried out elsewhere.

Laws
- **From seconds to frames.** Frame n of a clip begins at n / rate. A cut begins with the frame whose beginning is nearest to
  the in point and ends before the one whose beginning is nearest to the out point; of two that are equally near the later
  counts.
- **No drift.** A shot takes a whole number of the reel's frames: as many as last as long, to the nearest, but never more than
  its clip has pictures for, and at least one. It begins where the one before it ends, so the reel is as long as the sum of
  its spans; nothing else is rounded on the way. Where clip and reel have one rate, a shot has exactly its own frames.
- **Another rate.** Each frame of the reel shows the clip's frame that is nearest in time, of two the later; nothing is blended.
- **Another size.** The whole picture, as large as it fits, in the middle of black; pixels that are not square are made so.
  Nothing is stretched, nothing cropped.
- **Size and rate** are those of the most clips; of several that are as frequent, the one that comes first in the cut.
- **Timecode** is without drop frame: a second of it counts as many frames as the rate has, rounded up (24 at 23.976).
- Pure: no clip is opened here.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias, TypeVar

Size: TypeAlias = tuple[int, int]
_H = TypeVar("_H", bound=Hashable)

_TIMECODE = re.compile(r"([0-9]{2}):([0-5][0-9]):([0-5][0-9]):([0-9]{2,3})")

STANDARD_RATES = tuple(Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 12, 15, 100, 120)) + tuple(
    Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120))
"""Frames a second that cameras and editors know."""

DEFAULT_SIZE, DEFAULT_RATE = (1280, 720), Fraction(24)
"""Of a reel in which no clip says anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip as the cut sees it. Its size is in its own pixels, `sample_aspect` is the width of one to its height. `times` are
    the exact times at which its frames begin, from 0, and last of all the one at which it ends: only where they are uneven."""

    frames: int
    rate: Fraction
    width: int
    height: int
    sample_aspect: Fraction = Fraction(1)
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

    @property
    def shown(self) -> Size:
        """Its size in square pixels, never smaller than it is coded."""
        aspect = self.sample_aspect if self.sample_aspect > 0 else Fraction(1)
        if aspect >= 1:
            return round(self.width * aspect), self.height
        return self.width, round(self.height / aspect)


class Kind(StrEnum):
    """What a span shows."""

    SHOT = "shot"
    SLATE = "slate"  # a card before a shot
    SLUG = "slug"  # black in the place of a shot that has no clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A shot as it is to be cut: in and out points in seconds (`end` None: to its end), and its clip. Where there is no clip,
    `length` is what one would be long."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    clip: Clip | None = None
    length: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the reel: `frames` frames from frame `at` on, of the entry with the number `entry`; of its clip the frames
    from `first` until before `stop`."""

    kind: Kind
    entry: int
    at: int
    frames: int
    first: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an entry cannot be cut."""

    entry: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReelPlan:
    """All of a reel, in its order and without gaps."""

    size: Size
    rate: Fraction
    spans: tuple[Span, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def frames(self) -> int:
        return sum(span.frames for span in self.spans)


def exact(seconds: float) -> Fraction:
    """Seconds as they were written: 0.1 is a tenth, and not the binary number next to it."""
    return Fraction(str(seconds))


def make_reel_plan(entries: Sequence[Entry], *, size: Size | None = None, rate: Fraction | None = None,
                   slate: int | None = 0) -> ReelPlan:
    """Where everything lies. `slate` is how many frames of a card come before each shot, None as many as make a second."""
    cuts = [_cut(entry) for entry in entries]
    used = [entry.clip for entry, (first, stop) in zip(entries, cuts, strict=True) if entry.clip is not None and first < stop]
    rate = rate or commonest((clip.rate for clip in used), DEFAULT_RATE)
    size = size or commonest((even(clip.shown) for clip in used), DEFAULT_SIZE)
    slate = max(1, nearest(rate)) if slate is None else slate
    spans: list[Span] = []
    problems: list[Problem] = []
    at = 0
    for number, (entry, (first, stop)) in enumerate(zip(entries, cuts, strict=True)):
        if _length(entry, first, stop) <= 0 or entry.start < 0:
            problems.append(Problem(entry=number, message=_problem(entry)))
            continue
        kind = Kind.SLUG if entry.clip is None else Kind.SHOT
        if slate:
            spans.append(Span(kind=Kind.SLATE, entry=number, at=at, frames=slate))
            at += slate
        frames = _frames(entry, first, stop, rate)
        spans.append(Span(kind=kind, entry=number, at=at, frames=frames, first=first, stop=stop))
        at += frames
    return ReelPlan(size=size, rate=rate, spans=tuple(spans), problems=tuple(problems))


def _cut(entry: Entry) -> tuple[int, int]:
    """The clip's frames from the first one until before the second."""
    if entry.clip is None:
        return 0, 0
    stop = entry.clip.frames if entry.end is None else entry.clip.nearest(entry.end)
    return entry.clip.nearest(entry.start), stop


def _length(entry: Entry, first: int, stop: int) -> Fraction:
    """How long the shot is in the cut, exactly."""
    if entry.clip is not None:
        return entry.clip.begins(stop) - entry.clip.begins(first)
    return (entry.length if entry.end is None else min(entry.end, entry.length)) - entry.start


def _frames(entry: Entry, first: int, stop: int, rate: Fraction) -> int:
    """How many of the reel's frames the shot takes."""
    if entry.clip is None:
        out = entry.length if entry.end is None else min(entry.end, entry.length)
        return max(1, nearest(out * rate) - nearest(entry.start * rate))
    most = math.floor(_length(entry, first, entry.clip.frames) * rate)
    return max(1, min(nearest(_length(entry, first, stop) * rate), most))


def _problem(entry: Entry) -> str:
    long = entry.length if entry.clip is None else entry.clip.begins(entry.clip.frames)
    end = long if entry.end is None else entry.end
    of = f"a clip of {float(long):g} s" if entry.clip is not None else f"{float(long):g} s"
    return f"no frame lies between the in point {float(entry.start):g} s and the out point {float(end):g} s of {of}"


def source_frame(span: Span, clip: Clip, rate: Fraction, shown: int) -> int:
    """The clip's frame that frame `shown` (from 0) of a span shows, in a reel of this rate."""
    found = clip.nearest(clip.begins(span.first) + shown / rate)
    return max(span.first, min(span.stop - 1, found))


def copied_packets(order: Sequence[int], keys: frozenset[int], first: int, stop: int) -> range | None:
    """Which packets of a clip are exactly the frames from `first` until before `stop` and can be decoded by themselves; None
    where none are. `order` holds the frame that each packet is, in the order of decoding, `keys` the packets that begin
    anew."""
    if first not in order:
        return None
    begin = order.index(first)
    packets = range(begin, begin + stop - first)
    return packets if begin in keys and sorted(order[begin:packets.stop]) == list(range(first, stop)) else None


def nearest(number: Fraction) -> int:
    """The whole number nearest to `number`; of two that are equally near the greater."""
    return math.floor(number + Fraction(1, 2))


def commonest(values: Iterable[_H], otherwise: _H) -> _H:
    """The value that comes most often; of those that come equally often the one that comes first."""
    counted = Counter(values)
    return max(counted, key=lambda value: counted[value], default=otherwise)  # a Counter keeps the order in which values came


def even(size: Size) -> Size:
    """The size without its odd line and column, which 4:2:0 cannot hold."""
    return max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)


def fitted(shown: Size, size: Size) -> tuple[int, int, int, int]:
    """Where the whole picture lies in a frame of `size`: left, upper, width, height, all even."""
    scale = min(Fraction(size[0], shown[0]), Fraction(size[1], shown[1]))
    width, height = (min(whole, max(2, 2 * nearest(side * scale / 2))) for side, whole in zip(shown, size, strict=True))
    return (size[0] - width) // 4 * 2, (size[1] - height) // 4 * 2, width, height


def tidy_rate(rate: Fraction) -> Fraction:
    """The standard rate that a container rounded (24000/1001 from 2997/125); any other as it is."""
    near = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return near if abs(near - rate) * 4000 <= near else rate


def uneven_rate(rate: Fraction) -> Fraction:
    """What counts as the rate of a clip whose frames are not evenly spaced: the standard rate nearest to its mean."""
    return min(STANDARD_RATES, key=lambda standard: (abs(standard - rate), standard))


def even_times(times: Sequence[Fraction], rate: Fraction) -> bool:
    """True where every frame begins within half a frame of its place at this rate: containers round times, clips do not."""
    return all(abs(time * rate - number) < Fraction(1, 2) for number, time in enumerate(times))


def parse_size(text: str) -> Size | None:
    """`1280x720`: even sides from 16 to 8192; None for anything else."""
    width, cross, height = text.lower().replace("×", "x").partition("x")
    if not cross or not all(side.isascii() and side.isdigit() and len(side) <= 4 for side in (width, height)):
        return None
    size = int(width), int(height)
    return size if all(16 <= side <= 8192 and side % 2 == 0 for side in size) else None


def parse_rate(text: str) -> Fraction | None:
    """`24`, `23.976` (which means 24000/1001), `30000/1001`: 1 to 240 frames a second; None for anything else."""
    try:
        rate = Fraction(text.strip()) if len(text) <= 20 and text.isascii() else None
    except (ValueError, ZeroDivisionError):
        return None
    if rate is None or not 1 <= rate <= 240:
        return None
    ntsc = [standard for standard in STANDARD_RATES if standard.denominator > 1 and abs(standard - rate) < Fraction(1, 150)]
    return ntsc[0] if "." in text and ntsc else rate


def rate_words(rate: Fraction) -> str:
    """`24`, or `23.976` for what is no whole number."""
    return f"{rate.numerator}" if rate.denominator == 1 else f"{float(rate):.3f}".rstrip("0").rstrip(".")


def seconds_words(seconds: Fraction) -> str:
    """`3 s`, `3.5 s`, `0.04 s`."""
    return f"{float(seconds):.2f}".rstrip("0").rstrip(".") + " s"


def timecode(frame: int, rate: Fraction) -> str:
    """The timecode of a frame (from 0) as HH:MM:SS:FF; after a day it begins again."""
    base = math.ceil(rate)
    seconds, rest = divmod(frame, base)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:0{max(2, len(str(base - 1)))}}"


def frame_at(text: str, rate: Fraction) -> int | None:
    """The frame whose timecode this is; None for what is none at this rate."""
    found = _TIMECODE.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, rest = (int(part) for part in found.groups())
    base = math.ceil(rate)
    return ((hours * 60 + minutes) * 60 + seconds) * base + rest if hours < 24 and rest < base else None
