"""`reel` as a user runs it: films and contact sheets of clips that are there, and of some that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import run, write
from tests.reels import make_clip, make_sound, shown

SHOW = """\
version: 1
show: tram
sequence: SQ010
title: The last tram
model: kling-v3-omni
shots:
  - {id: SH0010, prompt: Asha steps off., duration: 1}
  - {id: SH0020, prompt: Café noir 🎬, duration: 1, takes: 2, circled: 2, cut: {in: 0.5}}
  - {id: SH0030, prompt: "The bridge, empty.", duration: 2, cut: {out: 1.5}}
"""


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """A folder with the first two shots' clips, and without the third's."""
    write(tmp_path, SHOW)
    clips = tmp_path / "renders" / "show"
    clips.mkdir(parents=True)
    make_clip(clips / "SH0010_t1.mp4", 24)
    make_clip(clips / "SH0020_t1.mp4", 1)
    make_clip(clips / "SH0020_t2.mp4", 24)
    return tmp_path


def test_a_reel_of_what_is_there_says_what_it_did(show: Path) -> None:
    first = run(show, "reel", "show.yaml", "--skip-missing")
    assert (first.code, first.err) == (0, "left out: 1 shot without a clip: SH0030\n")
    assert first.out == "renders/show.reel.mp4: 2 shots, 1.5 s (36 frames), 160x90, 24 fps; 2 pieces encoded\n"
    assert shown(show / "renders" / "show.reel.mp4") == [*range(24), *range(12, 24)]
    again = run(show, "reel", "show.yaml", "--skip-missing")
    assert again.out.endswith("; 2 pieces kept from before\n")
    assert (show / ".manifest-runner" / ".gitignore").read_text() == "*\n"


def test_a_slug_keeps_the_length_of_the_cut_and_programs_are_told_where_everything_lies(show: Path) -> None:
    make_sound(show / "temp.wav", 1.0, 440.0)
    ran = run(show, "reel", "show.yaml", "--slug", "--slates", "--slate-frames", "12", "--burn-in", "shot,take", "--burn-in",
              "timecode",
              "--sound", "temp.wav", "--size", "320x180", "--rate", "25", "--out", "out.mp4", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert (told["path"], told["width"], told["height"], told["rate"], told["sound"]) == ("out.mp4", 320, 180, "25", True)
    assert (told["missing"], told["picture"], told["pieces"]) == (["SH0030"], "encoded", {"encoded": 6, "kept": 0})
    assert [(span["kind"], span["shot"], span["take"], span["at"], span["frames"]) for span in told["spans"]] == [
        ("slate", "SH0010", 1, 0, 12), ("shot", "SH0010", 1, 12, 25), ("slate", "SH0020", 2, 37, 12), ("shot", "SH0020", 2, 49,
                                                                                                       12),
        ("slate", "SH0030", 1, 61, 12), ("slug", "SH0030", 1, 73, 38)]
    assert told["frames"] == 111
    assert told["spans"][3] == {**told["spans"][3], "first": 12, "stop": 24}


@pytest.mark.parametrize("more", [[], ["--contact-sheet", "sheet.png"]])
def test_cuts_that_show_nothing_are_told_with_their_lines_all_at_once(more: list[str], show: Path) -> None:
    write(show, SHOW.replace("takes: 2, circled: 2, cut: {in: 0.5}", "takes: 2, circled: 2, cut: {in: 0.99}")
          .replace("off., duration: 1}", "off., duration: 1, cut: {in: 0.001, out: 0.02}}"))
    ran = run(show, "reel", "show.yaml", "--slug", *more)
    assert ran.code == 2
    assert "show.yaml:7:61: error[empty-cut]: SH0010: no frame lies between the in point 0.001 s and the out" in ran.err
    assert "show.yaml:8:79: error[empty-cut]: SH0020: no frame lies between" in ran.err
    assert "{in: 0.001, out: 0.02}" in ran.err, "the line itself"


def test_a_contact_sheet_instead_of_a_film(show: Path) -> None:
    ran = run(show, "reel", "show.yaml", "--slug", "--contact-sheet", "sheet.png", "--frame", "last")
    assert (ran.code, ran.out) == (0, "sheet.png: 3 shots on 1 page\n")
    assert (show / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "no font here has" in ran.err, "no font that text is set in has a clapperboard"
    told = json.loads(run(show, "reel", "show.yaml", "--skip-missing", "--contact-sheet", "sheet.pdf", "--json").out)
    assert (told["shots"], told["pages"], told["missing"]) == (2, 1, ["SH0030"])
    assert (show / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert not (show / "renders" / "show.reel.mp4").exists()


@pytest.mark.parametrize(("arguments", "code", "words"), [
    ([], 1, "1 shot has no clip yet: SH0030"), (["--skip-missing", "--slug"], 2, "left out or kept, not both"),
    (["--slug", "--size", "1281x720"], 2, "no size of a picture"), (["--slug", "--rate", "fast"], 2,
                                                                    "no number of frames a second"),
    (["--slug", "--burn-in", "shot,title,clock"], 2, "title,clock: nothing of that name"),
    (["--slug", "--start-timecode", "1h"], 2, "time code 1h"), (["--slug", "--slate-frames", "9"], 2, "--slates"),
    (["--slug", "--sound", "gone.wav"], 1, "gone.wav"), (["--slug", "--font", "gone.ttf"], 2, "gone.ttf is no font"),
    (["--slug", "--out", "reel.avi"], 2, "does not end in .mp4"), (["--slug", "--out", "nowhere/reel.mp4"], 2,
                                                                   "there is no folder"),
    (["--slug", "--contact-sheet", "sheet.gif"], 2, "neither in .png nor in .pdf"),
    (["--slug", "--contact-sheet", "sheet.png", "--out", "reel.mp4"], 2, "instead of the film"),
])
def test_what_cannot_be_done_is_said_with_a_way_on_and_writes_nothing(arguments: list[str], code: int, words: str,
                                                                     show: Path) -> None:
    ran = run(show, "reel", "show.yaml", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err
    assert "hint:" in ran.err or "not both" in ran.err or "instead of" in ran.err
    assert not list(show.glob("**/*reel.mp4")) + list(show.glob("sheet.*"))


def test_every_cut_that_lies_beyond_its_clip_is_told(show: Path) -> None:
    """The clip is shorter than was asked for: no rule of the manifest's could know."""
    for name in ("SH0010_t1", "SH0020_t2"):
        make_clip(show / "renders" / "show" / f"{name}.mp4", 6)
    write(show, SHOW.replace("duration: 1}", "duration: 1, cut: {in: 0.25}}"))
    ran = run(show, "reel", "show.yaml", "--skip-missing")
    assert ran.code == 2
    assert "SH0010: no frame lies between the in point 0.25 s and the out point 0.25 s of a clip of 0.25 s" in ran.err
    assert "SH0020: no frame lies between" in ran.err
    assert json.loads(run(show, "reel", "show.yaml", "--skip-missing", "--json").out)["diagnostics"][1]["code"] == "empty-cut"
