"""What a reel is made of, frame by frame: decided here, with exact fractions, and carried out elsewhere.

Laws
- **Cuts** follow the one rule of `core/cutpoints.py`. The reel is as long as the sum of its spans, and where clip and reel
  have one rate, a shot has exactly its own frames.
- **Another rate.** Each frame of the reel shows the clip's frame that is nearest in time, of two the later; nothing is blended.
- **Another size.** The whole picture, as large as it fits, in the middle of black; pixels that are not square are made so.
  Nothing is stretched, nothing cropped.
- **Size and rate** are those of the most clips; of several that are as frequent, the one that comes first in the cut.
- Pure: no clip is opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from manifest_runner.core.cutpoints import Pictures, commonest, kept, nearest

Size: TypeAlias = tuple[int, int]

DEFAULT_SIZE, DEFAULT_RATE = (1280, 720), Fraction(24)
"""Of a reel in which no clip says anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(Pictures):
    """A clip as the reel sees it. Its size is in its own pixels, `sample_aspect` is the width of one to its height."""

    width: int
    height: int
    sample_aspect: Fraction = Fraction(1)

    @property
    def square(self) -> Size:
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


def make_reel_plan(entries: Sequence[Entry], *, size: Size | None = None, rate: Fraction | None = None,
                   slate: int | None = 0) -> ReelPlan:
    """Where everything lies. `slate` is how many frames of a card come before each shot, None as many as make a second."""
    cuts = [_cut(entry) for entry in entries]
    used = [entry.clip for entry, cut in zip(entries, cuts, strict=True) if entry.clip is not None and cut]
    rate = rate or commonest((clip.rate for clip in used), DEFAULT_RATE)
    size = size or commonest((even(clip.square) for clip in used), DEFAULT_SIZE)
    slate = max(1, nearest(rate)) if slate is None else slate
    spans: list[Span] = []
    problems: list[Problem] = []
    at = 0
    for number, (entry, cut) in enumerate(zip(entries, cuts, strict=True)):
        if not _shows(entry, cut) or entry.start < 0:
            problems.append(Problem(entry=number, message=_problem(entry)))
            continue
        if slate:
            spans.append(Span(kind=Kind.SLATE, entry=number, at=at, frames=slate))
            at += slate
        if entry.clip is None:
            frames, kind = kept(entry.start, entry.end, entry.length, rate), Kind.SLUG
        else:
            frames, kind = entry.clip.shown(cut, rate), Kind.SHOT
        spans.append(Span(kind=kind, entry=number, at=at, frames=frames, first=cut.start, stop=cut.stop))
        at += frames
    return ReelPlan(size=size, rate=rate, spans=tuple(spans), problems=tuple(problems))


def _cut(entry: Entry) -> range:
    """The clip's frames that the cut uses."""
    return range(0) if entry.clip is None else entry.clip.used(entry.start, entry.end)


def _shows(entry: Entry, cut: range) -> bool:
    """Whether anything lies between in and out point."""
    if entry.clip is not None:
        return bool(cut)
    return entry.start < (entry.length if entry.end is None else min(entry.end, entry.length))


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


def even(size: Size) -> Size:
    """The size without its odd line and column, which 4:2:0 cannot hold."""
    return max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)


def fitted(shown: Size, size: Size) -> tuple[int, int, int, int]:
    """Where the whole picture lies in a frame of `size`: left, upper, width, height, all even."""
    scale = min(Fraction(size[0], shown[0]), Fraction(size[1], shown[1]))
    width, height = (min(whole, max(2, 2 * nearest(side * scale / 2))) for side, whole in zip(shown, size, strict=True))
    return (size[0] - width) // 4 * 2, (size[1] - height) // 4 * 2, width, height


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


def seconds_words(seconds: Fraction) -> str:
    """`3 s`, `3.5 s`, `0.04 s`."""
    return f"{float(seconds):.2f}".rstrip("0").rstrip(".") + " s"
