"""What `timeline` says of the file that it wrote."""

from __future__ import annotations

from fractions import Fraction

from click import unstyle

from manifest_runner.core.cut import Format
from manifest_runner.views.timeline import timeline_dict, timeline_text
from tests.cutting import FOOTAGE, Footage, hostile, sheet
from tests.views.test_escaping import obeyed

DONE = {**FOOTAGE, ("SH0030", 1): Footage(), ("SH0050", 1): Footage()}


def test_a_whole_cut_is_one_line() -> None:
    said = timeline_text(sheet(footage=DONE), ["renders/test.otio"], Format.OTIO, [])
    assert said == "renders/test.otio: 5 shots, 4.2 s at 24 frames a second, time code 01:00:00:00 to 01:00:04:06"


def test_gaps_are_named_with_their_length_and_reason_and_the_next_command_is_said() -> None:
    said = unstyle(timeline_text(sheet(), ["renders/test.otio"], Format.OTIO, ["manifest-runner render test.yaml"]))
    assert said.splitlines()[1:] == ["  SH0030  gap of 2 s  not rendered", "  SH0050  gap of 1 s  not rendered",
                                     "next: manifest-runner render test.yaml"]


def test_what_a_format_leaves_out_is_said() -> None:
    for kind, lines in ((Format.EDL, 1), (Format.FCP7, 1), (Format.OTIO, 0), (Format.OTIOZ, 0), (Format.FCPX, 0)):
        said = timeline_text(sheet(footage=DONE), ["x"], kind, [])
        assert said.count("1 other take left out") == lines, kind


def test_drop_frame_is_said() -> None:
    rate = Fraction(30000, 1001)
    dropped, counted = (timeline_text(sheet(rate=rate, start=start), ["x"], Format.EDL, []).splitlines()[0]
                        for start in ("01:00:00;00", "01:00:00:00"))
    assert dropped == "x: 5 shots, 5.2 s at 29.97 frames a second, time code 01:00:00;00 to 01:00:05;05 (drop frame)"
    assert counted == "x: 5 shots, 5.2 s at 29.97 frames a second, time code 01:00:00:00 to 01:00:05:05"


def test_many_gaps_are_counted() -> None:
    shots = "".join(f"  - {{id: S{number:03}, prompt: x}}\n" for number in range(30))
    said = timeline_text(sheet(shots, {("S000", 1): Footage()}), ["x"], Format.OTIO, []).splitlines()
    assert len(said) == 1 + 8 + 1
    assert said[-1] == "  21 more gaps"


def test_for_programs_times_are_frames() -> None:
    told = timeline_dict(sheet(), ["renders/test.edl"], Format.EDL, ["x"])
    assert (told["format"], told["rate"], told["start"], told["frames"], told["gaps"], told["left_out"]) == (
        "edl", "24", "01:00:00:00", 126, 2, 1)
    assert told["shots"][1] == {"shot": "SH0020", "take": 1, "start": 12, "frames": 24, "clip": "renders/test/SH0020_t1.mp4",
                                "why": "", "others": [2], "remarks": []}
    assert told["shots"][2]["why"] == "not rendered"


def test_nothing_that_strangers_wrote_is_obeyed_by_a_terminal() -> None:
    said = timeline_text(hostile("::error::x \x1b[2J\u202e ##[x]\n::stop::"), ["x"], Format.OTIO, [])
    assert not any(obeyed(line) for line in said.splitlines())
