"""What a timeline says of its shots: names, markers and metadata, as plain data for whichever format is written. Pure.

Laws
- Every text passes `say` once, on its way in: what a stranger wrote is harmless before any format sees it.
- Credits are text, digit for digit; those of a draft are none and are left out.
- Nothing here says which machine made the timeline or when, but for the addresses of the clips, which somebody else gives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from manifest_runner.core.cut import Clip, Placed, Timeline
from manifest_runner.core.lockfile import plain
from manifest_runner.core.model import Json, Manifest, Shot
from manifest_runner.core.planning import output_path
from manifest_runner.core.timecode import Code

NAMESPACE = "manifest_runner"
"""Below this name the facts stand in a file's metadata."""

_LONGEST_NAME = 60
_REEL = 8

Say = Callable[[str], str]


class Kind(StrEnum):
    """What a marker is about."""

    NOTE = "note"  # the shot's note
    LOOK = "look at"  # the clip is other than asked
    GAP = "gap"  # no clip is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A marker at the first frame of a shot. `name` is one short line of its `text`."""

    kind: Kind
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRow:
    """A take that is there: `url` is where an editor finds its clip."""

    clip: Clip
    url: str
    facts: dict[str, Json]

    @property
    def name(self) -> str:
        return self.clip.name

    @property
    def file_name(self) -> str:
        return self.clip.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A shot of the timeline. `shown` is its take in the cut, None in a gap; `others` are those that are there beside it."""

    placed: Placed
    facts: dict[str, Json]
    marks: tuple[Mark, ...]
    shown: TakeRow | None
    others: tuple[TakeRow, ...]

    @property
    def name(self) -> str:
        return str(self.placed.shot.id)

    @property
    def label(self) -> str:
        """What a clip is called where takes are told apart by name, and what a gap is."""
        return f"{self.name} ({self.facts['gap']})" if self.shown is None else self.shown.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A timeline with all that is said of it."""

    name: str
    timeline: Timeline
    code: Code
    facts: dict[str, Json]
    rows: tuple[Row, ...]


def sheet_of(manifest: Manifest, timeline: Timeline, code: Code, *, url: Callable[[Clip], str], say: Say, draft: bool = False,
             circled_only: bool = False) -> Sheet:
    """Everything that a format may hold. With `circled_only` the other takes are left out."""
    name = " ".join(part for part in (manifest.title or manifest.show, manifest.sequence, "draft" if draft else "") if part)
    facts: dict[str, Json] = {"show": manifest.show, "sequence": manifest.sequence, "title": say(manifest.title),
                              "manifest": say(manifest.path.replace("\\", "/").rpartition("/")[2]), "draft": draft,
                              "rate": str(timeline.rate), "frames": timeline.length}
    rows = tuple(_row(manifest, placed, url, say, draft=draft, circled_only=circled_only) for placed in timeline.shots)
    return Sheet(name=say(name), timeline=timeline, code=code, facts=facts, rows=rows)


def _row(manifest: Manifest, placed: Placed, url: Callable[[Clip], str], say: Say, *, draft: bool, circled_only: bool) -> Row:
    shot, clip = placed.shot, placed.clip

    def take(one: Clip) -> TakeRow:
        return TakeRow(clip=one, url=url(one), facts=_clip_facts(shot, one, say, draft=draft))

    facts: dict[str, Json] = {"shot": shot.id, "take": shot.cut_take, "note": say(shot.note)}
    marks = [_mark(Kind.NOTE, say(shot.note))] if shot.note.strip() else []
    if clip is None:
        place = output_path(manifest, shot.id, shot.cut_take)
        facts |= {"gap": say(placed.why), "prompt": say(shot.prompt), "path": say(place)}
        marks.append(_mark(Kind.GAP, say(f"take {shot.cut_take}: {placed.why}")))
    else:
        marks += [_mark(Kind.LOOK, say(remark)) for remark in clip.remarks]
    return Row(placed=placed, facts=facts, marks=tuple(marks), shown=None if clip is None else take(clip),
               others=() if circled_only else tuple(map(take, placed.others)))


def _clip_facts(shot: Shot, clip: Clip, say: Say, *, draft: bool) -> dict[str, Json]:
    entry = clip.entry
    charged = {} if draft else {"credits": None if entry.charged is None else plain(entry.charged)}
    return {"shot": shot.id, "take": clip.take, "circled": clip.take == shot.circled, "job_id": _said(entry.job_id, say),
            "external_task_id": say(entry.external_task_id), "model": say(entry.request.model),
            "prompt": _said(entry.request.params.get("prompt"), say), **charged, "fingerprint": say(entry.fingerprint),
            "sha256": clip.file.sha256, "path": say(clip.path), "remarks": [say(remark) for remark in clip.remarks]}


def _said(value: Json, say: Say) -> str | None:
    return None if value is None else say(str(value))


def _mark(kind: Kind, text: str) -> Mark:
    line = text.strip().split("\n")[0].strip()
    return Mark(kind=kind, name=line if len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME - 1]}…", text=text.strip())


def reel_names(names: Iterable[str]) -> dict[str, str]:
    """A reel name for each clip's name, as EDLs have them: eight of A-Z and 0-9 at most, and no two alike. It follows from the
    name alone, so that it stays when other shots come or go, unless two hashes begin alike; then the later one gives way."""
    reels: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in reels:
            continue
        plain_name = re.sub("[^A-Z0-9]", "", name.upper())
        reel, tries = plain_name, 0
        while len(reel) > _REEL or reel in taken:
            digest = hashlib.sha256(f"{name}#{tries}".encode()).hexdigest().upper()
            reel, tries = plain_name[:2] + digest[:_REEL - 2], tries + 1
        reels[name] = reel
        taken.add(reel)
    return reels
