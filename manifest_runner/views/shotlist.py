"""The shots of a manifest as CSV: what a spreadsheet opens, and what `import` reads back.

Laws
- One row a shot, in the order of the cut; RFC 4180 with a byte order mark, without which Excel takes UTF-8 for something else.
- No cell is computed by a spreadsheet: see `core.sheet.guarded`. Ratios are written 16x9, since 16:9 would become a time of
  day.
- The columns behind `sequence` tell of lockfile and ledger; `import` leaves them where they are.
- The same manifest, lockfile and ledger give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from manifest_runner.core.camera import prompt_with_camera
from manifest_runner.core.model import Action, FileFrame, Frame, Json, Manifest, Shot, ShotId
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.planning import output_path
from manifest_runner.core.pricing import format_credits
from manifest_runner.core.sheet import guarded
from manifest_runner.core.shotlist_camera import written
from manifest_runner.core.shotlist_cells import name_cell
from manifest_runner.core.shotlist_columns import Role
from manifest_runner.views.shot_words import frame_words
from manifest_runner.views.status import Standing

MARK = "\ufeff"


def list_csv(manifest: Manifest, card: ModelCard, rows: Sequence[Standing]) -> str:
    """The whole list. `rows` are the takes as `status` knows them."""
    takes: dict[ShotId, list[Standing]] = {}
    for row in rows:
        takes.setdefault(row.change.shot, []).append(row)
    columns = {**_written(manifest, card), **_reported(manifest, takes)}
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for shot in manifest.shots:
        writer.writerow([guarded(cell(shot)) for cell in columns.values()])
    return MARK + out.getvalue()


def _written(manifest: Manifest, card: ModelCard) -> dict[str, Callable[[Shot], str]]:
    """What the manifest says, by the names that `import` knows. Parameters that no shot sets have no column."""
    length, size = card.price.quantity, card.price.by
    ratio = card.clip.aspect_ratio if card.clip else "aspect_ratio"
    others = [name for name in card.parameters if name not in ("prompt", length, size, ratio)
              and any(shot.params.get(name) != card.defaults.get(name) for shot in manifest.shots)]
    return {
        Role.SHOT_ID.value: lambda shot: shot.id,
        Role.PROMPT.value: _prompt,
        Role.NOTE.value: lambda shot: shot.note,
        Role.DURATION.value: lambda shot: _text(shot.params.get(length)),
        Role.CAMERA.value: lambda shot: written(shot.camera, card) if shot.camera is not None else "",
        Role.FIRST_FRAME.value: lambda shot: _frame(shot.first_frame),
        Role.LAST_FRAME.value: lambda shot: _frame(shot.last_frame),
        Role.TAKES.value: lambda shot: str(shot.takes),
        Role.CIRCLED.value: lambda shot: _text(shot.circled),
        Role.CUT_IN.value: lambda shot: _text(shot.cut.start or None),
        Role.CUT_OUT.value: lambda shot: _text(shot.cut.end),
        Role.ASPECT.value: lambda shot: _text(shot.params.get(ratio)).replace(":", "x"),
        Role.RESOLUTION.value: lambda shot: _text(shot.params.get(size)),
        **{name.replace("_", " "): _parameter(name) for name in others},
        Role.SHOW.value: lambda _: name_cell(manifest.show),
        Role.SEQUENCE.value: lambda _: name_cell(manifest.sequence),
    }


def _reported(manifest: Manifest, takes: Mapping[ShotId, Sequence[Standing]]) -> dict[str, Callable[[Shot], str]]:
    """Where the takes of a shot stand, and what they cost. The names are those of `Role.REPORTED`."""

    def of_cut(shot: Shot) -> Standing | None:
        return next((row for row in takes.get(shot.id, ()) if row.change.take == shot.cut_take), None)

    def state(shot: Shot) -> str:
        row = of_cut(shot)
        return row.words.removesuffix(":") if row is not None else ""

    def done(shot: Shot) -> str:
        return str(sum(row.change.action in (Action.KEEP, Action.FETCH) for row in takes.get(shot.id, ())))

    def charged(shot: Shot) -> str:
        found = [row.change.entry.charged for row in takes.get(shot.id, ()) if row.change.entry is not None]
        return format_credits(sum((amount for amount in found if amount is not None), Decimal(0)))

    def to_pay(shot: Shot) -> str:
        return format_credits(sum((row.change.quote.credits for row in takes.get(shot.id, ())), Decimal(0)))

    def clip(shot: Shot) -> str:
        row = of_cut(shot)
        there = row is not None and row.change.action is Action.KEEP
        return output_path(manifest, shot.id, shot.cut_take) if there else ""

    return {"state": state, "takes done": done, "credits charged": charged, "credits to render": to_pay, "clip": clip}


def _prompt(shot: Shot) -> str:
    """The prompt without the camera's phrase, where the camera brings it again."""
    phrase = shot.camera.phrase if shot.camera is not None else None
    plain = shot.prompt.removesuffix(f" {phrase}") if phrase is not None else shot.prompt
    return plain if plain.strip() and prompt_with_camera(plain, shot.camera) == shot.prompt else shot.prompt


def _frame(frame: Frame | None) -> str:
    return frame.path if isinstance(frame, FileFrame) else frame_words(frame)


def _parameter(name: str) -> Callable[[Shot], str]:
    return lambda shot: _text(shot.params.get(name))


def _text(value: Json) -> str:
    """A number or a text as a cell; nothing where there is none. Numbers keep all their digits."""
    if value is None:
        return ""
    return repr(int(value) if value.is_integer() else value) if isinstance(value, float) else str(value)
