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
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from hypothesis import strategies as st

from manifest_runner.core.cut import Clip, clip_of, make_timeline
from manifest_runner.core.cutsheet import Sheet, sheet_of
from manifest_runner.core.lockfile import write as lockfile_text
from manifest_runner.core.model import (
    Artifact,
    ExternalTaskId,
    Fingerprint,
    JobId,
    LockEntry,
    Lockfile,
    Manifest,
    MediaFacts,
    ShotId,
)
from manifest_runner.core.timecode import code_from
from manifest_runner.views.escaping import node
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


SHOTS = """\
  - {id: SH0010, prompt: one, cut: {in: 0.5}, note: "Her foot lands\\nbefore we move."}
  - {id: SH0020, prompt: two, takes: 2, circled: 1}
  - {id: SH0030, prompt: three, duration: 2}
  - {id: SH0040-rain-35mm, prompt: four, cut: {out: 0.75}}
  - {id: SH0050, prompt: five, duration: 1}
"""
FOOTAGE = {("SH0010", 1): Footage(), ("SH0020", 1): Footage(), ("SH0020", 2): Footage(frames=36),
           ("SH0040-rain-35mm", 1): Footage()}
PLACES = [("SH0010", 0, 12, 12), ("SH0020", 12, 24, 0), ("SH0030", 36, 48, None), ("SH0040-rain-35mm", 84, 18, 0),
          ("SH0050", 102, 24, None)]
"""Shot, first frame and length on the timeline, first frame of the clip (None in a gap)."""


def sheet(shots: str = SHOTS, footage: Mapping[tuple[str, int], Footage] = FOOTAGE, *, start: str = "01:00:00:00",
          rate: Fraction | None = None, folder: str = "file:///clips/", circled_only: bool = False) -> Sheet:
    """A cut of clips that are nowhere."""
    manifest = manifest_of(f"shots:\n{shots}")
    found: dict[tuple[ShotId, int], Clip | str] = {
        (ShotId(shot), take): clip_of(take, f"renders/test/{shot}_t{take}.mp4", entry)
        for (shot, take), entry in locked(manifest, footage).items()}
    timeline = make_timeline(manifest, found, rate=rate, asked=lambda shot: Fraction(shot.params.get("duration", 5)))
    return sheet_of(manifest, timeline, code_from(start, timeline.rate), say=node, circled_only=circled_only,
                    url=lambda clip: folder + clip.path.rpartition("/")[2])


WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=200) | st.sampled_from([
    "]]>", "<![CDATA[", "&lt;", "<!ENTITY x 'y'>", "* FROM CLIP NAME: evil", "\n001  AX V C 00:00:00:00", "\r\nTITLE: x",
    "\x00\x1b", "M2 AX 000.0 00:00:00:00", "\u2028LOC", "'\"`", "\ufffe\uffff", " ", "\x85FCM: x", "a" * 5000,
    "::error::x \x1b[2J\x9b31m\u202egpj.exe\u2066 ##[add-mask]e\n::stop-commands::x\u200b\x7f\b"])
"""What strangers may write: a manifest refuses some of it, a lockfile and a provider do not."""


def hostile(words: str) -> Sheet:
    """Words in every place that a stranger may fill: in the manifest, in the lockfile, and in what a provider said."""
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: x}\n")
    entry = locked(manifest, {("A", 1): Footage()})["A", 1]
    entry = replace(entry, job_id=JobId(words), fingerprint=Fingerprint(words), external_task_id=ExternalTaskId(words),
                    request=replace(entry.request, params={"prompt": words}))
    found: dict[tuple[ShotId, int], Clip | str] = {
        (ShotId("A"), 1): clip_of(1, "renders/test/A_t1.mp4", entry, remarks=(words,)),
        (ShotId("B"), 1): f"failed: {words}"}
    shots = tuple(replace(shot, note=words, params={"prompt": words}) for shot in manifest.shots)
    manifest = replace(manifest, title=words, shots=shots)
    timeline = make_timeline(manifest, found, asked=lambda _: Fraction(5))
    return sheet_of(manifest, timeline, code_from("01:00:00:00", timeline.rate), say=node,
                    url=lambda _: "file:///clips/A_t1.mp4")


Entry = tuple[str | None, int, int]
"""The path of a clip (None for black), its first frame and its length, in frames of the timeline."""


def read_as_final_cut(text: str, rate: Fraction | int) -> list[Entry]:
    """The main storyline of an FCPXML, of each audition the pick, held against the offsets that it gives. (OpenTimelineIO's
    reader takes auditions for clips one after the other, and loses its place at a clip of another rate.)"""
    root = ElementTree.fromstring(text)  # noqa: S314 - ours
    sources = {asset.get("id"): asset.get("src", "") for asset in root.iter("asset")}
    sequence = next(root.iter("sequence"))
    at = time_of(sequence, "tcStart")
    found: list[Entry] = []
    for item in next(sequence.iter("spine")):
        clip = item[0] if item.tag == "audition" else item
        length = time_of(clip, "duration")
        assert time_of(item, "offset") == at
        at += length
        path = path_of(sources[clip.get("ref")]) if clip.tag == "asset-clip" else None
        found.append((path, round(time_of(clip, "start") * rate), int(length * rate)))
    assert at - time_of(sequence, "tcStart") == time_of(sequence, "duration")
    return found


def time_of(element: Element, name: str) -> Fraction:
    return Fraction(element.get(name, "0s").removesuffix("s"))


def path_of(url: str) -> str:
    return unquote(urlparse(url).path)
