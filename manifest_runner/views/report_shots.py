"""What the review page shows, as data: the shots in the order of the cut, their takes, and what would happen to them.

Every text of a stranger's goes through `shown` (`views.escaping.node`); how it looks is the page's business (`views/page/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from manifest_runner.core.camera import moves, prompt_without_camera
from manifest_runner.core.lifecycle import UNFINISHED
from manifest_runner.core.model import (
    Action,
    Change,
    FileFrame,
    Frame,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    ReasonCode,
    Shot,
    ShotFrame,
    ShotId,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.planning import Where
from manifest_runner.core.pricing import format_credits, format_total, quote
from manifest_runner.core.worddiff import Piece, around_changes, word_diff
from manifest_runner.views.escaping import node as shown
from manifest_runner.views.plan import summary
from manifest_runner.views.shot_words import camera_words, differences, frame_words, title, value_words
from manifest_runner.views.status import Standing, judged

Row = dict[str, Any]
_FPS = 24
"""Frames a second where nothing readable is said."""

_ACTED = {Action.CREATE: "new", Action.REPLACE: "changed", Action.RESUME: "unfinished", Action.FETCH: "fetch",
          Action.KEEP: "done", Action.DROP: "dropped"}
_RANK = ("attention", "unfinished", "changed", "new", "fetch", "dropped", "done")
"""Of a shot with takes in several states, the first of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip that can be shown: its address from the page, or `#` and the id of the element that holds it; pictures are `data:`
    addresses, empty where there are none."""

    address: str
    poster: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The manifest at another revision: its name and commit, its shots, and those of its clips that are others than now and can
    be shown. `shots` is empty where there was no such manifest."""

    name: str
    commit: str
    shots: Mapping[ShotId, Shot] = field(default_factory=dict)
    clips: Mapping[Where, Clip] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Review:
    """All that the page is made of. `pictures` are small `data:` pictures by their path from the manifest's folder, `next` what
    may be typed about a take that a person has to look at."""

    manifest: Manifest
    card: ModelCard
    plan: Plan
    rows: Sequence[Standing]
    lockfile: Lockfile
    clips: Mapping[Where, Clip]
    pictures: Mapping[str, str]
    draft: bool
    before: Before | None = None
    next: Mapping[Where, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def cut_takes(self) -> Mapping[ShotId, int]:
        """The take of each shot that goes into the cut."""
        return {shot.id: shot.cut_take for shot in self.manifest.shots}


def report_data(review: Review) -> Row:
    """The page's data, ready for JSON."""
    manifest, plan, before = review.manifest, review.plan, review.before
    rows: dict[ShotId, list[Standing]] = {}
    for row in review.rows:
        rows.setdefault(row.change.shot, []).append(row)
    shots = [_shot(shot, rows.pop(shot.id, []), review) for shot in manifest.shots]
    return {
        "show": manifest.show,
        "sequence": manifest.sequence,
        "title": shown(manifest.title),
        "manifest": shown(manifest.path),
        "model": review.card.title,
        "draft": review.draft,
        "summary": summary(plan, review.card, priced=not review.draft),
        "price": format_total(plan.cut_total, review.card),
        "total": "" if review.draft else format_total(plan.total, review.card),
        "against": None if before is None else {"name": shown(before.name), "commit": before.commit[:10]},
        "pictures": dict(review.pictures),
        "shots": [*shots, *(_dropped(name, left, review) for name, left in rows.items())],
    }


def _shot(shot: Shot, rows: Sequence[Standing], review: Review) -> Row:
    params, card = shot.params, review.card
    length = float(params.get(card.price.quantity, card.defaults.get(card.price.quantity, 0)))
    end = length if shot.cut.end is None else min(shot.cut.end, length)
    price = quote(card, params)
    old = review.before.shots.get(shot.id) if review.before is not None else None
    return {
        "id": shot.id,
        "note": shown(shot.note),
        **_prompt(shot, rows, review, old),
        "since": _since(shot, old, review),
        "length": length, "from": shot.cut.start, "to": end, "seconds": round(end - shot.cut.start, 3),
        "camera": _camera(shot, card),
        "first": _frame(shot.first_frame, review),
        "last": _frame(shot.last_frame, review),
        "facts": [[title(name), shown(value_words(value))] for name, value in sorted(params.items())
                  if name not in ("prompt", card.camera.parameter)],
        "price": f"{price.words} = {format_credits(price.credits)}",
        "takes": [_take(row, shot, review) for row in rows],
        "before": _before(shot, review),
        **_standing(rows, review.draft),
    }


def _dropped(name: ShotId, rows: Sequence[Standing], review: Review) -> Row:
    """A shot that the manifest no longer has: its takes as they are known."""
    entry = next((entry for row in rows if (entry := _entry(row, review)) is not None), None)
    prompt = shown(str(entry.request.params.get("prompt", ""))) if entry is not None else ""
    nothing = {"note": "", "base": "", "length": 0, "from": 0, "to": 0, "seconds": 0, "camera": None, "first": None,
               "last": None, "facts": [], "price": "", "before": None}
    return {**nothing, "id": shown(name), "prompt": [["same", prompt]], "brief": [["same", prompt]],
            "since": {"kind": "gone", "words": []}, "takes": [_take(row, None, review) for row in rows],
            **_standing(rows, review.draft)}


def _prompt(shot: Shot, rows: Sequence[Standing], review: Review, old: Shot | None) -> Row:
    """The prompt as pieces, whole and brief, and what it is held against: the other revision where one was named, else the
    request that the clip was made from. What it says of the camera is told elsewhere."""
    before, base, card = None, "", review.card
    now = prompt_without_camera(shot.prompt, card)
    if review.before is not None:
        before, base = (prompt_without_camera(old.prompt, card) if old is not None else None), shown(review.before.name)
    else:
        made = next((change.before for change in (row.change for row in rows)
                     if change.action is Action.REPLACE and change.before is not None and change.after is not None
                     and change.before.params.get("prompt") != change.after.params.get("prompt")), None)
        if made is not None:
            before, base = prompt_without_camera(str(made.params.get("prompt", "")), card), "the clip"
    if before is None or before == now:
        pieces: list[Piece] = [("same", now)]
        return {"prompt": _pieces(pieces), "brief": _pieces(pieces), "base": ""}
    pieces = word_diff(before, now)
    return {"prompt": _pieces(pieces), "brief": _pieces(around_changes(pieces, keep=40)), "base": base}


def _pieces(pieces: Sequence[Piece]) -> list[list[str]]:
    return [[kind, shown(text)] for kind, text in pieces]


def _since(shot: Shot, old: Shot | None, review: Review) -> Row | None:
    """What changed since the other revision, None where none was named. The prompt is shown word by word elsewhere."""
    if review.before is None:
        return None
    if old is None:
        return {"kind": "new", "words": []}
    words = differences(old, shot, review.card)
    return {"kind": "changed" if words else "same", "words": [shown(text) for text in words]}


# ── a shot's parts ────────────────────────────────────────────────────────────────────────────────────────────────


def _camera(shot: Shot, card: ModelCard) -> Row | None:
    if shot.camera is None:
        return None
    return {"words": shown(camera_words(shot.camera, card)), "most": card.camera.maximum,
            "moves": [{"word": shown(move.word), "amount": move.amount} for move in moves(shot.camera, card)]}


def _frame(frame: Frame | None, review: Review) -> Row | None:
    """What a shot begins or ends on, in words, with a small picture where there is one."""
    if frame is None:
        return None
    picture = ""
    if isinstance(frame, ShotFrame):
        take = frame.take if frame.take is not None else review.cut_takes[frame.shot]
        clip = review.clips.get((frame.shot, take))
        picture = getattr(clip, frame.frame.value) if clip is not None else ""
    return {"words": shown(frame_words(frame)), "picture": picture,
            "file": frame.path if isinstance(frame, FileFrame) and frame.path in review.pictures else "",
            "shot": frame.shot if isinstance(frame, ShotFrame) else ""}


# ── takes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _entry(row: Standing, review: Review) -> LockEntry | None:
    """The take as it is known; the plan has none for what is dropped."""
    return row.change.entry or review.lockfile.entries.get((row.change.shot, row.change.take))


def _take(row: Standing, shot: Shot | None, review: Review) -> Row:
    change, entry = row.change, _entry(row, review)
    clip = review.clips.get((change.shot, change.take))
    media = entry.outputs[0].media if entry is not None and entry.outputs else None
    charged = None if review.draft or entry is None else entry.charged
    return {
        "take": change.take,
        "cut": shot is not None and shot.cut_take == change.take,
        "circled": shot is not None and shot.circled == change.take,
        "state": _state(row),
        "words": shown(row.words),
        "action": change.action.value,
        "reasons": [shown(f"{reason.code.value} ({reason.detail})" if reason.detail else reason.code.value)
                    for reason in change.reasons if reason.code is not ReasonCode.UNCHANGED],
        "cost": "" if review.draft or not change.quote.credits else format_credits(change.quote.credits),
        "charged": "" if charged is None else format_credits(charged),
        "job": shown(str(entry.job_id)) if entry is not None and entry.job_id and not review.draft else "",
        "remarks": _remarks(row),
        "next": [shown(command) for command in review.next.get((change.shot, change.take), ())],
        "media": f"{media.width}×{media.height}, {media.rate or _FPS:g} fps, {media.duration:g} s" if media else "",
        "fps": round(media.rate or _FPS, 3) if media is not None else _FPS,
        "clip": clip.address if clip is not None else "",
        "poster": clip.poster if clip is not None else "",
        "first": clip.first if clip is not None else "",
        "last": clip.last if clip is not None else "",
    }


def _remarks(row: Standing) -> list[str]:
    """In what a clip is other than asked; where nobody need care any more, that too."""
    if row.verdict is None:
        return []
    if row.is_open:
        return [shown(finding.words) for finding in row.verdict.findings]
    return [shown(judged(row.verdict, is_open=False))]


def _state(row: Standing) -> str:
    change, job = row.change, row.job
    trouble = {ReasonCode.FAILED_BEFORE, ReasonCode.IN_DOUBT}
    if any(reason.code in trouble for reason in change.reasons) or (row.is_open and change.action is Action.KEEP):
        return "attention"
    if job is not None and job.state is JobState.MISSING:
        return "attention"
    return "unfinished" if job is not None and job.state in UNFINISHED else _ACTED[change.action]


def _standing(rows: Sequence[Standing], draft: bool) -> Row:
    """The shot as a whole: its state, and what carrying out the plan costs for it."""
    states = {_state(row) for row in rows}
    changes: list[Change] = [row.change for row in rows]
    cost = sum((change.quote.credits for change in changes), Decimal(0))
    return {"state": next((state for state in _RANK if state in states), "done"),
            "cost": "" if draft or not cost else format_credits(cost)}


def _before(shot: Shot, review: Review) -> Row | None:
    """The clip that stood in the cut at the other revision, where it is another one and can be shown."""
    if review.before is None:
        return None
    old = review.before.shots.get(shot.id)
    clip = review.before.clips.get((shot.id, old.cut_take)) if old is not None else None
    if old is None or clip is None:
        return None
    return {"take": old.cut_take, "clip": clip.address, "poster": clip.poster, "first": clip.first, "last": clip.last,
            "prompt": shown(old.prompt)}
