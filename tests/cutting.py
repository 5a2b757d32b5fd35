"""A repository with a cut whose clips are known frame by frame, for what is tested on timelines.

Frame k of a clip is grey of level 20 + 5k in its middle (`tests/reels.make_clip`); the ground's colour tells clips
apart. Nothing is rendered: the lockfile is what a render would have left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from manifest_runner.core.lockfile import write as lockfile_text
from manifest_runner.core.model import Artifact, LockEntry, Lockfile, Manifest, MediaFacts, ShotId
from tests.builders import manifest_of, rendered
from tests.reels import make_clip

HEAD = "version: 1\nshow: show\nsequence: SQ010\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What a clip is: its frames, its rate, and the green of its ground."""

    frames: int = 24
    rate: int | Fraction = 24
    hue: int = 0
    size: tuple[int, int] = (320, 180)

    @property
    def facts(self) -> MediaFacts:
        rate = Fraction(self.rate)
        return MediaFacts(container="mp4", codec="h264", width=self.size[0], height=self.size[1], frames=self.frames,
                          duration=round(float(self.frames / rate), 3), frame_rate=f"{rate.numerator}/{rate.denominator}")


def locked(manifest: Manifest, footage: Mapping[tuple[str, int], Footage]) -> dict[tuple[str, int], LockEntry]:
    """The takes of `footage` as the lockfile holds them; no others."""
    entries = {}
    for where, entry in rendered(manifest).items():
        if where in footage:
            entries[where] = replace(entry, outputs=(replace(entry.outputs[0], media=footage[where].facts),))
    return entries


def shoot(folder: Path, shots: str, footage: Mapping[tuple[str, int], Footage], *, name: str = "show") -> Path:
    """Write the manifest, its lockfile and its clips into `folder`, and return the manifest's path."""
    (folder / ".git").mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(HEAD + shots, encoding="utf-8")
    manifest = manifest_of(HEAD + shots)
    entries: dict[tuple[ShotId, int], LockEntry] = {}
    (folder / "renders" / name).mkdir(parents=True, exist_ok=True)
    for (shot, take), entry in locked(manifest, footage).items():
        what = footage[shot, take]
        clip = make_clip(folder / "renders" / name / f"{shot}_t{take}.mp4", what.frames, size=what.size, rate=what.rate,
                         ground=(200, what.hue, 0))
        content = clip.read_bytes()
        artifact = Artifact(path=f"renders/{name}/{clip.name}", sha256=hashlib.sha256(content).hexdigest(), bytes=len(content),
                            media=what.facts)
        entries[ShotId(shot), take] = replace(entry, outputs=(artifact,))
    (folder / f"{name}.lock.json").write_text(lockfile_text(Lockfile(entries=entries), manifest=path.name), encoding="utf-8")
    return path
