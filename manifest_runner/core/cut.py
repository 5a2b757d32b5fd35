"""The cut: which frames of which clip stand where on a timeline. Pure; times are whole frames and fractions, never floats.

Laws
- Points become frames, and shots take frames, by the one rule of `core/cutpoints.py`.
- Where a clip is there, its own length and rate decide, not what was asked for. Where none is, or where the cut leaves nothing
  of it, a gap keeps the shot's place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from manifest_runner.core.cutpoints import Pictures, commonest, kept, points
from manifest_runner.core.model import Artifact, LockEntry, Manifest, MediaFacts, Shot, ShotId
from manifest_runner.core.timecode import RATES
from manifest_runner.errors import ShotsFailed, UsageError

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

    def used_in(self, shot: Shot) -> range:
        """The frames that the cut of a shot uses of it; empty where none lies between in and out point."""
        return self.pictures.used(*points(shot.cut))

    @property
    def pictures(self) -> Pictures:
        return Pictures(frames=self.frames, rate=self.rate)


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


def make_timeline(manifest: Manifest, clips: Mapping[tuple[ShotId, int], Clip | str], *, asked: Callable[[Shot], Fraction],
                  rate: Fraction | None = None) -> Timeline:
    """Place every shot. `clips` are the takes that are there, or why one that was rendered is not; `asked` is the length in
    seconds that a shot asks for. Without a rate, the one that most of the clips in the cut have.

    Raises `ShotsFailed` where no clip is there, and `UsageError` where most of them have a rate that no timeline has.
    """
    shown = [clip for shot in manifest.shots if isinstance(clip := clips.get((shot.id, shot.cut_take)), Clip)]
    if not shown:
        raise ShotsFailed("no shot of the cut has a clip yet", code="clips-missing", hint="render first")
    chosen = commonest((clip.rate for clip in shown), shown[0].rate) if rate is None else rate
    if chosen not in RATES:
        raise UsageError(f"most clips have {chosen} frames a second, which is no rate of a timeline", code="bad-rate",
                         hint="choose one: --rate 24")
    placed: list[Placed] = []
    at = 0
    for shot in manifest.shots:
        placed.append(_placed(shot, at, clips, asked, chosen))
        at += placed[-1].length
    return Timeline(rate=chosen, size=commonest((clip.size for clip in shown), shown[0].size), shots=tuple(placed))


def _placed(shot: Shot, at: int, clips: Mapping[tuple[ShotId, int], Clip | str], asked: Callable[[Shot], Fraction],
            rate: Fraction) -> Placed:
    others = tuple(clip for take in range(1, shot.takes + 1)
                   if take != shot.cut_take and isinstance(clip := clips.get((shot.id, take)), Clip))
    found = clips.get((shot.id, shot.cut_take), NOT_RENDERED)
    if isinstance(found, Clip):
        used = found.used_in(shot)
        if used:
            return Placed(shot=shot, start=at, first=used.start, clip=found, others=others,
                          length=found.pictures.shown(used, rate))
        found = f"its clip of {float(found.frames / found.rate):.3g} s has no frame between in and out point"
    length = kept(*points(shot.cut), asked(shot), rate)
    return Placed(shot=shot, start=at, length=length, others=others, why=found)
