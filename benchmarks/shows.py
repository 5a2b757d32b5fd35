"""A show of any length for the benchmarks (`python benchmarks/shows.py FOLDER SHOTS [--rendered]`).

It is a manifest as people write it, with everything rendered, and then, unless that was not asked, one prompt changed.

The lockfile is a true one: made by planning with the program's own functions until nothing is left to do. The clips are sparse
files of the right size; no byte of them is read by what is measured, so their sha256 is made up from their names.
"""

from __future__ import annotations

import hashlib
import random
import sys
from decimal import Decimal
from pathlib import Path

from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.model import (
    Action,
    Artifact,
    Change,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    MediaFacts,
    Plan,
    ShotId,
    TakeKey,
)
from manifest_runner.core.requests import task_id

HEAD = """\
# yaml-language-server: $schema=../schemas/manifest.schema.json
version: 1
show: long
sequence: SQ010
title: A show of {shots} shots
model: kling-v3-omni
vars:
  hero: "Asha (early thirties, short wet black hair, {{{{ coat }}}})"
  coat: a bright red oilskin raincoat with the hood down
  tram: the tram (old, single-deck, cream above and dull brick below, one round headlamp)
  look: 35mm anamorphic, shallow focus, monsoon dusk, sodium light on wet steel
defaults:
  negative_prompt: text, watermark, extra fingers
limits:
  concurrency: 8
  rate: 30/min
shots:
"""
SHOT = """\
  - id: {id}
    note: {note}
    prompt: >-
      {size}, {place}: {{{{ hero }}}} {does} while {{{{ tram }}}} {passes}. {more}
      {{{{ look }}}}.
    duration: {duration}
    aspect_ratio: 16:9
    resolution: {resolution}
    camera: {{move: {move}, amount: {amount}}}
    cut: {{in: 0.5, out: {out}}}
"""
FRAME = "    first_frame: {{shot: {id}, frame: last}}\n"

SIZES = ("WS", "MS", "MCU", "CU", "ECU insert", "Two-shot", "High angle WS")
PLACES = ("the tram stop", "the iron bridge", "the ticket office", "the depot", "the street of shutters", "the last crossing")
DOING = ("steps down into the rain and turns to face us", "counts the globe lamps along the railing",
         "holds a ticket to the light", "waits with one hand on the wet rail",
         "laughs without a sound", "walks away up the middle of the track")
PASSING = ("goes by on the far track", "stands with its door open", "slides out of frame, windows lit",
           "rings twice and moves off")
MORE = ("Rain on the lens at the edges of the frame.", "Behind her, out of focus, the shutters come down one by one.",
        "The paper is soft from the rain; the punched holes let the lamp through.", "Nothing else moves but the water.")
NOTES = ("Her foot lands before we move.", "Take two was the one; she nearly laughs.",
         "Three shots that must cut as one breath.", "The thumb fits the worn place exactly.")
SIZE = {"720p": (1280, 720), "1080p": (1920, 1080)}
MOVES = ("truck_right", "truck_left", "pan_left", "tilt_up", "zoom_in", "pedestal_up", "roll_cw")


def make_show(folder: Path, shots: int, *, changed: bool = True) -> Path:
    """A show in `folder` with every take rendered and, if it is to be, one prompt changed since. The path of its manifest."""
    folder.mkdir(parents=True)
    manifest = folder / "long.yaml"
    text = manifest_text(shots)
    manifest.write_text(text, encoding="utf-8")
    _render(manifest)
    if not changed:
        return manifest
    middle = text.index("prompt: >-\n", len(text) // 2)
    at = text.index("while", middle)
    manifest.write_text(f"{text[:at]}and shivers {text[at:]}", encoding="utf-8")
    return manifest


def manifest_text(shots: int) -> str:
    """A manifest of so many shots, about 450 characters each; every tenth begins with the last frame of the one before it."""
    choice = random.Random(shots).choice
    parts = [HEAD.format(shots=shots)]
    for number in range(1, shots + 1):
        duration = choice((3, 4, 5, 6, 8))
        parts.append(SHOT.format(
            id=_id(number), note=choice(NOTES), size=choice(SIZES), place=choice(PLACES), does=choice(DOING),
            passes=choice(PASSING), more=choice(MORE), duration=duration, resolution=choice(("720p", "1080p")),
            move=choice(MOVES), amount=choice((1, 2, 3, 4, 5, 6)), out=duration - 0.5))
        if number % 10 == 0:
            parts.append(FRAME.format(id=_id(number - 1)))
    return "".join(parts)


def _id(number: int) -> str:
    return f"SH{number * 10:06d}"


def _render(manifest: Path) -> None:
    """Lockfile and clips as a run would leave them."""
    project = Project(str(manifest), {})
    project.state.make()  # as a run does
    show = project.load()
    entries: dict[tuple[ShotId, int], LockEntry] = {}
    while not (plan := plan_project(project, show).plan).is_empty:
        entries.update(_rendered(project, plan))
        text = lockfiles.write(Lockfile(entries=entries), manifest=manifest.name)
        project.lock_path.write_text(text, encoding="utf-8")


def _rendered(project: Project, plan: Plan) -> dict[tuple[ShotId, int], LockEntry]:
    """Every take of a plan that can be rendered: a frame of a clip that is not there yet has to wait for the next plan."""
    ready = [change for change in plan.changes if change.action is Action.CREATE and change.fingerprint is not None]
    return {(change.shot, change.take): _entry(project, change) for change in ready}


def _entry(project: Project, change: Change) -> LockEntry:
    assert change.fingerprint is not None
    assert change.after is not None
    clip = Path(f"renders/{project.stem}/{change.shot}_t{change.take}.mp4")
    digest = hashlib.sha256(clip.name.encode()).hexdigest()
    size = 2_000_000 + int(digest[:5], 16)
    place = project.files.folder / clip
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.truncate(size)
    seconds = float(change.after.params["duration"])
    width, height = SIZE[str(change.after.params["resolution"])]
    media = MediaFacts(container="mp4", codec="h264", width=width, height=height, duration=seconds, frames=int(seconds * 24),
                       frame_rate="24/1")
    key = TakeKey(manifest=project.name, shot=change.shot, take=change.take)
    return LockEntry(
        state=JobState.STORED, fingerprint=change.fingerprint, request=change.after,
        external_task_id=task_id(key, change.fingerprint, 1), job_id=JobId(f"job_{digest[:20]}"),
        estimated=change.quote.credits, charged=Decimal(change.quote.credits),
        outputs=(Artifact(path=clip.as_posix(), sha256=digest, bytes=size, media=media),))


if __name__ == "__main__":
    make_show(Path(sys.argv[1]), int(sys.argv[2]), changed="--rendered" not in sys.argv)
