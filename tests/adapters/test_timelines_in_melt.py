"""Timelines in a real editor's engine: what a reader finds in each file is played by MLT, which Kdenlive and Shotcut are made
of, and each frame of the film is the one that the cut asks for."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import av
import opentimelineio as otio
import pytest

from manifest_runner.adapters.media import picture
from tests.cli.support import run
from tests.cutting import Entry, Footage, path_of, read_as_final_cut, shoot

pytestmark = pytest.mark.skipif(shutil.which("melt") is None, reason="melt is not installed (Debian: apt-get install melt)")

RATE = 24
SHOTS = """\
  - {id: SH0010, prompt: one, cut: {in: 0.25, out: 0.75}}
  - {id: SH0020, prompt: two, takes: 2, circled: 1, cut: {out: 0.5}}
  - {id: SH0030, prompt: not rendered, cut: {in: 0.25, out: 0.5}}
  - {id: SH0040-of-another-rate, prompt: four, cut: {in: 0.25}}
  - {id: SH0050, prompt: five, cut: {in: 0.9}}
"""
FOOTAGE = {("SH0010", 1): Footage(), ("SH0020", 1): Footage(hue=80), ("SH0020", 2): Footage(hue=240),
           ("SH0040-of-another-rate", 1): Footage(frames=48, rate=48, hue=160), ("SH0050", 1): Footage(hue=40)}
EXPECTED = [*((0, frame) for frame in range(6, 18)), *((80, frame) for frame in range(12)), *([None] * 6),
            *((160, frame) for frame in range(12, 48, 2)), *((40, frame) for frame in (22, 23))]


def read_by_otio(timeline: otio.schema.Timeline) -> list[Entry]:
    """What OpenTimelineIO made of a file."""
    found: list[Entry] = []
    for item in timeline.tracks[0]:
        used = item.trimmed_range()
        first, length = (round(time.to_seconds() * RATE) for time in (used.start_time, used.duration))
        reference = getattr(item, "media_reference", None)
        is_clip = isinstance(reference, otio.schema.ExternalReference)
        found.append((path_of(reference.target_url) if is_clip else None, first, length))
    return found


def mlt_of(entries: list[Entry]) -> str:
    """The same in MLT's own XML."""
    root = Element("mlt")
    SubElement(root, "profile", frame_rate_num=str(RATE), frame_rate_den="1", width="320", height="180", progressive="1",
               sample_aspect_num="1", sample_aspect_den="1", display_aspect_num="16", display_aspect_den="9", colorspace="601")
    playlist = Element("playlist", id="cut")
    for number, (path, first, length) in enumerate(entries):
        producer = SubElement(root, "producer", id=f"p{number}")
        SubElement(producer, "property", name="resource").text = path or "color:black"
        SubElement(playlist, "entry", {"producer": f"p{number}", "in": str(first), "out": str(first + length - 1)})
    root.append(playlist)
    return ElementTree.tostring(root, encoding="unicode")


def played(entries: list[Entry], folder: Path) -> list[tuple[int, int] | None]:
    """The clip (by its ground) and frame that each frame of the film is; None for black."""
    (folder / "cut.mlt").write_text(mlt_of(entries))
    command = ["melt", "cut.mlt", "-consumer", "avformat:film.mkv", "vcodec=ffv1", "an=1", "real_time=0"]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True)
    found: list[tuple[int, int] | None] = []
    with av.open(str(folder / "film.mkv")) as film:
        for decoded in film.decode(video=0):
            image = picture(decoded)
            ground, middle = image.getpixel((8, 8)), image.getpixel((160, 90))
            found.append((round(ground[1] / 40) * 40, round((middle[1] - 20) / 5)) if ground[0] > 100 else None)
    return found


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut")
    shoot(folder, SHOTS, FOOTAGE)
    return folder


@pytest.mark.parametrize("kind", ["otio", "otioz", "edl", "fcp7", "fcpx"])
def test_every_frame_of_the_film_is_the_one_that_the_cut_asks_for(kind: str, shot: Path, tmp_path: Path) -> None:
    ran = run(shot, "timeline", "show.yaml", "--format", kind, "--rate", str(RATE))
    assert ran.code == 0, ran.err
    file = shot / ran.out.partition(":")[0]
    if kind == "fcpx":
        entries = read_as_final_cut(file.read_text(), RATE)
    else:
        entries = read_by_otio(otio.adapters.read_from_file(str(file), **({"rate": RATE} if kind == "edl" else {})))
    if kind == "otioz":
        zipfile.ZipFile(file).extractall(tmp_path)
        entries = [(path and str(tmp_path / path), first, length) for path, first, length in entries]
    assert played(entries, tmp_path) == EXPECTED
