"""The shots of a film or a contact sheet as they are asked for, and the plan that follows from their clips.

Laws: every clip is inspected before anything is cut; what is wrong with the cuts is told of all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from manifest_runner.adapters.cards import NO_BURN_IN, BurnIn, SlateWords
from manifest_runner.adapters.reel_clips import Source, inspect
from manifest_runner.core.cutpoints import exact
from manifest_runner.core.model import Diagnostic
from manifest_runner.core.reelplan import Entry, ReelPlan, Size, make_reel_plan
from manifest_runner.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A shot of the film: in and out points in seconds from the clip's start, `end` None meaning to its end. Without a clip it
    is a slug of the `length` that a clip would have. `name` is for messages and slugs, `pointer` says where the cut stands in
    the manifest; to the facts of `slate` the plan adds what it knows."""

    clip: Path | None
    start: float = 0.0
    end: float | None = None
    name: str = ""
    pointer: str = ""
    length: float = 0.0
    slate: SlateWords | None = None
    burn: BurnIn = NO_BURN_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the film is to be. `slate` is how many frames of a card come before each shot (None: a second), `start` the timecode
    of the first frame; `sound` is a temp track, `own_sound` keeps what the clips have; `fonts` come before the built-in one."""

    size: Size | None = None
    rate: Fraction | None = None
    slate: int | None = 0
    sound: Path | None = None
    own_sound: bool = True
    fonts: tuple[Path, ...] = ()
    start: str = "00:00:00:00"
    metadata: Mapping[str, str] = field(default_factory=dict)


DEFAULTS = Options()


def source_of(segment: Segment) -> Source | None:
    """The segment's clip, inspected; None where it has none. Raises `MediaError`."""
    return None if segment.clip is None else inspect(segment.clip)


def name_of(segments: Sequence[Segment], entry: int) -> str:
    """What a segment is called in messages."""
    clip = segments[entry].clip
    return segments[entry].name or (clip.name if clip is not None else f"segment {entry + 1}")


def planned(segments: Sequence[Segment], sources: Sequence[Source | None], options: Options) -> ReelPlan:
    """What lies where; raises `InvalidInput` with every cut that shows nothing."""
    entries = [Entry(start=exact(segment.start), end=None if segment.end is None else exact(segment.end),
                     clip=None if source is None else source.clip, length=exact(segment.length))
               for segment, source in zip(segments, sources, strict=True)]
    plan = make_reel_plan(entries, size=options.size, rate=options.rate, slate=options.slate)
    if plan.problems:
        raise InvalidInput([Diagnostic(code="empty-cut", message=f"{name_of(segments, problem.entry)}: {problem.message}",
                                       pointer=segments[problem.entry].pointer,
                                       hint="cut: {in: …, out: …} counts seconds from the beginning of the clip")
                            for problem in plan.problems])
    return plan
