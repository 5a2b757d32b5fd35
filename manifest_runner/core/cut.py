"""The cut: which frames of which clip stand where on a timeline. Pure; times are whole frames and fractions, never floats.

Laws
- A point in seconds becomes a frame by one rule: the nearest frame, of two that are equally near the later; out points are
  exclusive. Seconds are taken as they were written: 0.1 is a tenth.
- A shot takes a whole number of frames of the timeline, at least one, and begins where the one before it ends. The cut is as
  long as the sum of its shots: nothing is rounded along the way, so nothing drifts.
- Where a clip is there, its own length and rate decide, not what was asked for. Where none is, a gap keeps the shot's place, as
  long as its cut, or what was asked for, would be at the timeline's rate.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from manifest_runner.core.model import Artifact, Cut, LockEntry, Manifest, MediaFacts, Shot, ShotId
from manifest_runner.core.timecode import RATES
from manifest_runner.errors import ShotsFailed, UsageError

H = TypeVar("H", bound=Hashable)

_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})")
_MOST_FRAMES = 10**9
NOT_RENDERED = "not rendered"


class Format(StrEnum):
    """What a timeline may be written as. The value is what `--format` takes."""

    OTIO = "otio"
    OTIOZ = "otioz"
    EDL = "edl"
    FCP7 = "fcp7"
    FCPX = "fcpx"

    @property
    def suffix(self) -> str:
        """How the name of such a file ends."""
        return {Format.FCP7: ".xml", Format.FCPX: ".fcpxml"}.get(self, f".{self.value}")

    @property
    def holds_takes(self) -> bool:
        """Whether it can hold the other takes of a shot beside the one that is shown."""
        return self in (Format.OTIO, Format.OTIOZ, Format.FCPX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A take whose clip is there. `path` is relative to the manifest's folder; `rate` and `frames` are the clip's own;
    `remarks` are what a person should know of it."""

    take: int
    path: str
    entry: LockEntry
    file: Artifact
    rate: Fraction
    frames: int
    size: tuple[int, int]
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its suffix, such as SH0010_t2."""
        return self.path.rpartition("/")[2].rpartition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A shot on the timeline: `start` and `length` in its frames, from 0. `clip` is the take that is shown, None in a gap, and
    `why` says why it is one. `first` is the clip's first frame that is shown. `others` are the shot's other takes that are
    there, by number."""

    shot: Shot
    start: int
    length: int
    first: int = 0
    clip: Clip | None = None
    others: tuple[Clip, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All shots in the order of the cut, at one rate and size."""

    rate: Fraction
    size: tuple[int, int]
    shots: tuple[Placed, ...]

    @property
    def length(self) -> int:
        """In frames."""
        return self.shots[-1].start + self.shots[-1].length

    @property
    def gaps(self) -> tuple[Placed, ...]:
        return tuple(placed for placed in self.shots if placed.clip is None)


def clip_of(take: int, path: str, entry: LockEntry, *, remarks: tuple[str, ...] = ()) -> Clip | str:
    """The clip of a stored take, or why it cannot be placed: its facts come from a lockfile, and may be anything."""
    file = entry.outputs[0]
    facts = file.media
    if facts is None:
        return "the lockfile does not say how long its clip is"
    rate = _rate_in(facts)
    if rate is None or not 1 <= facts.frames <= _MOST_FRAMES or min(facts.width, facts.height) < 1:
        return "the lockfile says of its clip what no clip is like"
    return Clip(take=take, path=path, entry=entry, file=file, rate=rate, frames=facts.frames, size=(facts.width, facts.height),
                remarks=remarks)


def _rate_in(facts: MediaFacts) -> Fraction | None:
    """A clip's frames a second, where the text is a rate at all."""
    match = _RATE.fullmatch(facts.frame_rate)
    rate = Fraction(int(match.group(1)), int(match.group(2))) if match is not None else Fraction(0)
    return rate if 1 <= rate <= 1000 else None


def nearest(number: Fraction) -> int:
    """The whole number nearest to `number`; of two that are equally near the greater."""
    return math.floor(number + Fraction(1, 2))


def seconds(number: float) -> Fraction:
    """A number of seconds as it was written: 0.1 is a tenth, and not the double nearest to it."""
    return Fraction(repr(number))


def frames_used(cut: Cut, *, rate: Fraction, frames: int) -> range:
    """The frames of a clip that its cut uses; empty where none lies between in and out point."""
    stop = frames if cut.end is None else min(frames, nearest(seconds(cut.end) * rate))
    return range(nearest(seconds(cut.start) * rate), stop)


def frames_shown(used: range, *, rate: Fraction, frames: int, shown_at: Fraction) -> int:
    """How many frames of a timeline show these of a clip: as many as last as long, to the nearest, but never more than the
    clip has pictures for, and at least one."""
    long = nearest(len(used) / rate * shown_at)
    most = math.floor((frames - used.start) / rate * shown_at)
    return max(1, min(long, most))


def commonest(values: Iterable[H]) -> H:
    """The value that comes most often; of those that come equally often the one that comes first."""
    counted = Counter(values)
    return max(counted, key=lambda value: counted[value])  # a Counter keeps the order in which values came


def make_timeline(manifest: Manifest, clips: Mapping[tuple[ShotId, int], Clip | str], *, asked: Callable[[Shot], Fraction],
                  rate: Fraction | None = None) -> Timeline:
    """Place every shot. `clips` are the takes that are there, or why one that was rendered is not; `asked` is the length in
    seconds that a shot asks for. Without a rate, the one that most of the clips in the cut have.

    Raises `ShotsFailed` where no clip is there, and `UsageError` where most of them have a rate that no timeline has.
    """
    shown = [clip for shot in manifest.shots if isinstance(clip := clips.get((shot.id, shot.cut_take)), Clip)]
    if not shown:
        raise ShotsFailed("no shot of the cut has a clip yet", code="clips-missing", hint="render first")
    chosen = commonest(clip.rate for clip in shown) if rate is None else rate
    if chosen not in RATES:
        raise UsageError(f"most clips have {chosen} frames a second, which is no rate of a timeline", code="bad-rate",
                         hint="choose one: --rate 24")
    placed: list[Placed] = []
    at = 0
    for shot in manifest.shots:
        placed.append(_placed(shot, at, clips, asked, chosen))
        at += placed[-1].length
    return Timeline(rate=chosen, size=commonest(clip.size for clip in shown), shots=tuple(placed))


def _placed(shot: Shot, at: int, clips: Mapping[tuple[ShotId, int], Clip | str], asked: Callable[[Shot], Fraction],
            rate: Fraction) -> Placed:
    others = tuple(clip for take in range(1, shot.takes + 1)
                   if take != shot.cut_take and isinstance(clip := clips.get((shot.id, take)), Clip))
    found = clips.get((shot.id, shot.cut_take), NOT_RENDERED)
    if isinstance(found, Clip):
        used = frames_used(shot.cut, rate=found.rate, frames=found.frames)
        if used:
            return Placed(shot=shot, start=at, first=used.start, clip=found, others=others,
                          length=frames_shown(used, rate=found.rate, frames=found.frames, shown_at=rate))
        found = f"its clip of {float(found.frames / found.rate):.3g} s has no frame between in and out point"
    out = asked(shot) if shot.cut.end is None else seconds(shot.cut.end)
    length = nearest(out * rate) - nearest(seconds(shot.cut.start) * rate)
    return Placed(shot=shot, start=at, length=max(1, length), others=others, why=found)
