"""`timeline`, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import opentimelineio as otio
import pytest

from manifest_runner.cli.main import run as command_line
from tests.cli.support import Ran
from tests.cutting import Footage, shoot
from tests.test_house import loaded_by

SHOTS = """\
  - {id: SH0010, prompt: one, cut: {in: 0.5}, note: Her foot lands.}
  - {id: SH0020, prompt: two, takes: 2, circled: 1}
  - {id: SH0030, prompt: three, duration: 2}
"""
SMALL = Footage(frames=24, size=(64, 36))
Timeline = Callable[..., Ran]
FOOTAGE = {("SH0010", 1): SMALL, ("SH0020", 1): SMALL, ("SH0020", 2): SMALL}


@pytest.fixture
def show(tmp_path: Path) -> Path:
    shoot(tmp_path, SHOTS, FOOTAGE)
    return tmp_path


@pytest.fixture
def timeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Timeline:
    """Runs the command on the show, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")

    def ran(*arguments: str) -> Ran:
        code = command_line(["timeline", "show.yaml", *arguments])
        said = capsys.readouterr()
        return Ran(code=code, out=said.out, err=said.err)

    return ran


def test_a_cut_with_a_gap_is_written_beside_the_clips_and_says_what_is_missing(show: Path, timeline: Timeline) -> None:
    ran = timeline()
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "renders/show.otio: 3 shots, 3.5 s at 24 frames a second, time code 01:00:00:00 to 01:00:03:12"
    assert lines[1].split() == ["SH0030", "gap", "of", "2", "s", "not", "rendered"]
    assert lines[-1] == "next: manifest-runner render show.yaml"
    read = otio.adapters.read_from_file(str(show / "renders" / "show.otio"))
    for clip in read.find_clips():
        for reference in clip.media_references().values():
            assert Path(reference.target_url.removeprefix("file://")).is_file()


@pytest.mark.parametrize(("arguments", "name"), [
    (["--format", "edl"], "renders/show.edl"), (["--format", "fcp7"], "renders/show.xml"), (["-q"], "renders/show.otio"),
    (["--out", "cut.fcpxml"], "cut.fcpxml"), (["--out", "CUT.EDL"], "CUT.EDL"),
    (["--format", "otioz", "--out", "cut.otioz"], "cut.otioz"),
])
def test_the_format_is_what_is_asked_for_or_what_the_name_ends_in(arguments: list[str], name: str, show: Path,
                                                                  timeline: Timeline) -> None:
    ran = timeline(*arguments)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{name}: 3 shots")
    assert (show / name).is_file()


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["--out", "cut.mov"], 2, "does not end as a timeline does"), (["--out", "cut.otio", "--format", "edl"], 2, "is no edl"),
    (["--out", "nowhere/cut.otio"], 2, "no folder"), (["--rate", "17"], 2, "no time code"),
    (["--start-timecode", "1h"], 2, "is not hours"), (["--start-timecode", "01:00:00;00"], 2, "none are dropped"),
    (["--start-timecode", "23:59:58:00"], 2, "ends after 24:00:00:00"), (["--format", "aaf"], 2, "aaf"),
])
def test_what_cannot_be_is_said_and_nothing_is_written(arguments: list[str], code: int, words: str, show: Path,
                                                       timeline: Timeline) -> None:
    before = sorted(show.rglob("*"))
    ran = timeline(*arguments)
    assert ran.code == code
    assert words in ran.err
    assert sorted(show.rglob("*")) == before


@pytest.mark.usefixtures("show")
def test_the_last_frame_may_be_the_last_of_the_day(timeline: Timeline) -> None:
    assert "to 24:00:00:00" in timeline("--start-timecode", "23:59:56:12").out


def test_where_nothing_is_rendered_it_says_what_to_type(tmp_path: Path, timeline: Timeline) -> None:
    shoot(tmp_path, SHOTS, {})
    ran = timeline()
    assert ran.code == 1
    assert "no shot of the cut has a clip yet" in ran.err
    assert "next: manifest-runner render show.yaml" in ran.err
    assert not (tmp_path / "renders" / "show.otio").exists()


@pytest.mark.parametrize("damage", ["longer", "gone", "link"])
def test_a_clip_that_is_not_the_locked_one_is_a_gap(damage: str, show: Path, timeline: Timeline) -> None:
    clip = show / "renders" / "show" / "SH0010_t1.mp4"
    content = clip.read_bytes()
    clip.unlink()
    if damage == "longer":
        clip.write_bytes(content + b"x")
    elif damage == "link":
        (show / "elsewhere.mp4").write_bytes(content)
        clip.symlink_to(show / "elsewhere.mp4")
    assert timeline().out.splitlines()[1].split("  ") == ["", "SH0010", "gap of 0.5 s", "its clip is not in its place"]


def test_a_clip_from_an_older_prompt_is_shown_and_said(show: Path, timeline: Timeline) -> None:
    path = show / "show.yaml"
    path.write_text(path.read_text().replace("prompt: one", "prompt: another"))
    ran = timeline()
    assert "SH0010 t1  look at it  " in ran.out
    assert "changed since it was rendered" in ran.out
    first = otio.adapters.read_from_file(str(show / "renders" / "show.otio")).tracks[0][0]
    assert first.media_reference.metadata["manifest_runner"]["prompt"] == "one", "what the clip was made from"
    assert "changed since it was rendered" in [marker.name for marker in first.markers]


@pytest.mark.usefixtures("show")
def test_for_programs(timeline: Timeline) -> None:
    told = json.loads(timeline("--json", "--format", "edl").out)
    assert told["paths"] == ["renders/show.edl"]
    assert [(shot["shot"], shot["start"], shot["frames"], shot["why"]) for shot in told["shots"]] == [
        ("SH0010", 0, 12, ""), ("SH0020", 12, 24, ""), ("SH0030", 36, 48, "not rendered")]
    assert (told["gaps"], told["left_out"], told["next"]) == (1, 1, ["manifest-runner render show.yaml"])


def test_the_same_cut_gives_the_same_bytes_and_replaces_the_file_that_was_there(show: Path, timeline: Timeline) -> None:
    for kind, name in (("otio", "show.otio"), ("otioz", "show.otioz"), ("fcpx", "show.fcpxml"), ("fcp7", "show.xml")):
        (show / "renders" / name).write_text("the old one")
        timeline("--format", kind)
        written = (show / "renders" / name).read_bytes()
        timeline("--format", kind)
        assert (show / "renders" / name).read_bytes() == written != b"the old one"


def test_a_lockfile_that_says_of_a_clip_what_no_clip_is_like_makes_a_gap(show: Path, timeline: Timeline) -> None:
    lock = show / "show.lock.json"
    lock.write_text(lock.read_text().replace('"frame_rate": "24/1"', '"frame_rate": "1e999999999/1"', 1))
    ran = timeline()
    assert ran.code == 0
    assert "what no clip is like" in ran.out


def test_other_commands_do_not_load_opentimelineio_and_fcpxml_needs_none(show: Path) -> None:
    assert "opentimelineio" not in loaded_by("status", "show.yaml", cwd=show)
    assert "opentimelineio" not in loaded_by("timeline", "show.yaml", "--format", "fcpx", cwd=show)
    assert "opentimelineio" in loaded_by("timeline", "show.yaml", cwd=show)
