"""Files for editors, read back: by OpenTimelineIO, by another reader of EDLs, and as text."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio
import pycmx
import pytest
from hypothesis import given, settings

from manifest_runner.adapters.timelines import edl_texts, fcp7_text, otio_text, write_otioz
from manifest_runner.core.cutpoints import nearest
from manifest_runner.core.cutsheet import Sheet
from manifest_runner.errors import MediaError
from manifest_runner.views.escaping import node
from tests.cutting import FOOTAGE, PLACES, SHOTS, WORDS, Footage, hostile, sheet

NTSC24, NTSC30, NTSC60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)


def places(timeline: otio.schema.Timeline, rate: Fraction = Fraction(24)) -> list[tuple[int, int, int | None]]:
    """Where each item stands, as far as OpenTimelineIO understood the file."""
    found = []
    for item in timeline.tracks[0]:
        at, used = item.range_in_parent(), item.trimmed_range()
        is_clip = isinstance(getattr(item, "media_reference", None), otio.schema.ExternalReference)
        first = _frames(used.start_time, rate) if is_clip else None
        found.append((_frames(at.start_time, rate), _frames(at.duration, rate), first))
    return found


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - ours


def _frames(time: otio.opentime.RationalTime, rate: Fraction) -> int:
    frames = Fraction(time.value) / Fraction(time.rate).limit_denominator(2000) * rate
    assert abs(frames - round(frames)) < Fraction(1, 1000), "a whole frame"
    return round(frames)


# ── OpenTimelineIO ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_otio_has_every_shot_in_its_place_with_all_its_takes() -> None:
    timeline = otio.adapters.read_from_string(otio_text(sheet()), "otio_json")
    names = [item.name.partition(" ")[0] for item in timeline.tracks[0]]
    assert [(name, *place) for name, place in zip(names, places(timeline), strict=True)] == PLACES
    assert timeline.global_start_time == otio.opentime.RationalTime(86400, 24)
    assert timeline.duration().value == 126
    clip = timeline.tracks[0][1]
    assert sorted(clip.media_references()) == ["take 1", "take 2"]
    assert clip.active_media_reference_key == "take 1"
    assert clip.media_reference.target_url == "file:///clips/SH0020_t1.mp4"
    assert clip.media_references()["take 2"].available_range.duration.value == 36
    assert clip.media_reference.metadata["manifest_runner"]["job_id"] == "job_SH0020_1"
    assert [type(item).__name__ for item in timeline.tracks[0]] == ["Clip", "Clip", "Gap", "Clip", "Gap"]


def test_otio_has_the_handles_the_notes_and_why_there_is_a_gap() -> None:
    first, _, gap, *_ = otio.adapters.read_from_string(otio_text(sheet()), "otio_json").tracks[0]
    assert first.available_range().duration.value == 24
    assert [(mark.name, mark.comment, mark.marked_range.start_time.value) for mark in first.markers] == [
        ("Her foot lands", "Her foot lands\nbefore we move.", 12)]
    assert (gap.name, gap.markers[0].name) == ("SH0030 (not rendered)", "take 1: not rendered")
    assert gap.metadata["manifest_runner"]["path"] == "renders/test/SH0030_t1.mp4"


def test_otio_uses_no_schema_that_readers_of_its_fifteenth_version_lack() -> None:
    known = otio.versioning.fetch_map("OTIO_CORE", "0.15.0")
    used = set(re.findall(r'"OTIO_SCHEMA": "(\w+)\.(\d+)"', otio_text(sheet())))
    values = {"RationalTime", "TimeRange"}
    assert {(name, int(version)) for name, version in used if name not in values} <= set(known.items())


@pytest.mark.parametrize(("rate", "start"), [(NTSC24, "01:00:00:00"), (NTSC30, "01:00:00;00"), (Fraction(25), "00:59:50:00"),
                                             (Fraction(60), "10:00:00:00"), (NTSC60, "09:59:59;59"), (NTSC30, "23:59:30:00")])
def test_rates_and_start_codes_come_through_in_each_format(rate: Fraction, start: str) -> None:
    footage = {where: Footage(rate=rate, frames=2 * round(rate)) for where in FOOTAGE}
    made = sheet(footage=footage, start=start)
    shown = [(one.start, one.length, one.first if one.clip is not None else None) for one in made.timeline.shots]
    native = otio.adapters.read_from_string(otio_text(made), "otio_json")
    assert places(native, rate) == shown
    cut7 = otio.adapters.read_from_string(fcp7_text(made), "fcp_xml")
    assert places(cut7, rate) == shown
    assert native.global_start_time.value == cut7.global_start_time.value == made.code.start
    (edl,) = edl_texts(made)
    assert f" {start} " in edl.splitlines()[3]
    drop = ";" in start
    assert edl.splitlines()[1] == f"FCM: {'DROP' if drop else 'NON-DROP'} FRAME"
    xml = parsed(fcp7_text(made))
    assert (xml.findtext(".//sequence/timecode/string"), xml.findtext(".//sequence/timecode/displayformat")) == (
        start, "DF" if drop else "NDF")


@pytest.mark.parametrize("rate", [25, 48, NTSC30, 12, Fraction(25, 2), 17])
def test_a_clip_of_another_rate_keeps_its_frames_and_its_place(rate: Fraction | int) -> None:
    footage = {**FOOTAGE, ("SH0020", 1): Footage(rate=rate, frames=60)}
    made = sheet(SHOTS.replace("circled: 1", "circled: 1, cut: {in: 0.5}"), footage)
    length = made.timeline.shots[1].length
    native = otio.adapters.read_from_string(otio_text(made), "otio_json").tracks[0][1]
    first = otio.opentime.RationalTime(nearest(Fraction(rate) / 2), float(rate))
    assert native.source_range.start_time == first
    assert native.source_range.duration == otio.opentime.RationalTime(length, 24)
    for text, adapter in ((otio_text(made), "otio_json"), (fcp7_text(made), "fcp_xml")):
        timeline = otio.adapters.read_from_string(text, adapter)
        starts = [item.range_in_parent().start_time for item in timeline.tracks[0]]
        assert [_frames(start, Fraction(24)) for start in starts] == [one.start for one in made.timeline.shots]


# ── the bundle ────────────────────────────────────────────────────────────────────────────────────────────────────────


def bundled(folder: Path) -> tuple[Sheet, dict[str, Path]]:
    made = sheet(folder="media/")
    clips: dict[str, Path] = {}

    def filled(take: Any) -> Any:
        path = folder / take.file_name
        path.write_bytes(take.file_name.encode() * 1000)
        clips[take.url] = path
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return replace(take, clip=replace(take.clip, file=replace(take.clip.file, sha256=digest)))

    rows = (replace(row, shown=row.shown and filled(row.shown), others=tuple(map(filled, row.others))) for row in made.rows)
    return replace(made, rows=tuple(rows)), clips


def test_a_bundle_holds_every_take_by_an_address_of_its_own_and_is_the_same_twice(tmp_path: Path) -> None:
    made, clips = bundled(tmp_path)
    for name in ("one.otioz", "two.otioz"):
        write_otioz(made, tmp_path / name, clips)
    assert (tmp_path / "one.otioz").read_bytes() == (tmp_path / "two.otioz").read_bytes()
    (tmp_path / "there").mkdir()
    timeline = otio.adapters.read_from_file(str(tmp_path / "one.otioz"), extract_to_directory=str(tmp_path / "there" / ""))
    references = [reference for clip in timeline.find_clips() for reference in clip.media_references().values()]
    assert len(references) == 4
    for reference in references:
        assert (tmp_path / "there" / reference.target_url).read_bytes() == clips[reference.target_url].read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.otioz").read("version.txt") == b"1.0.0"
    assert str(tmp_path) not in zipfile.ZipFile(tmp_path / "one.otioz").read("content.otio").decode()


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_clip_that_is_not_the_locked_one_leaves_the_old_bundle(damage: str, tmp_path: Path) -> None:
    made, clips = bundled(tmp_path)
    (tmp_path / "cut.otioz").write_bytes(b"the old one")
    victim = clips["media/SH0020_t2.mp4"]
    victim.write_bytes(b"other bytes") if damage == "changed" else victim.unlink()
    with pytest.raises(MediaError, match=r"SH0020_t2\.mp4"):
        write_otioz(made, tmp_path / "cut.otioz", clips)
    assert (tmp_path / "cut.otioz").read_bytes() == b"the old one"
    assert not list(tmp_path.glob(".*"))


# ── EDL ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

EVENT = re.compile(r"(\d{3})  ([A-Z0-9 ]{8}) V     C        " + r" ".join([r"(\d\d:\d\d:\d\d[:;]\d\d)"] * 4))


def test_an_edl_starts_at_the_start_code_and_is_read_back_in_place() -> None:
    (text,) = edl_texts(sheet())
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=24)
    assert places(timeline) == [place[1:] for place in PLACES]
    assert text.splitlines()[3] == "001  SH0010T1 V     C        00:00:00:12 00:00:01:00 01:00:00:00 01:00:00:12"
    assert [item.metadata["cmx_3600"]["reel"] for item in timeline.tracks[0]][:2] == ["SH0010T1", "SH0020T1"]


def test_an_edl_is_read_by_others_too_with_names_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "cut.edl").write_text(edl_texts(sheet())[0])
    with (tmp_path / "cut.edl").open() as file:
        events = pycmx.parse_cmx3600(file).events
    edits = [event.edits[0] for event in events]
    assert [edit.clip_name for edit in edits] == ["SH0010_t1.mp4", "SH0020_t1.mp4", None, "SH0040-rain-35mm_t1.mp4", None]
    assert [edit.black for edit in edits] == [False, False, True, False, True]
    assert (edits[0].source_in, edits[0].source_out) == ("00:00:00:12", "00:00:01:00")
    assert (edits[0].record_in, edits[-1].record_out) == ("01:00:00:00", "01:00:05:06")
    assert len({edit.source for edit in edits}) == 4


def test_an_edl_of_more_than_999_events_goes_on_in_another_file() -> None:
    shots = "".join(f"  - {{id: SH{number:04}, prompt: x}}\n" for number in range(1002))
    texts = edl_texts(sheet(shots, {("SH0000", 1): Footage(), ("SH1000", 1): Footage()}))
    assert [sum(EVENT.match(line) is not None for line in text.splitlines()) for text in texts] == [999, 3]
    assert [text.splitlines()[0] for text in texts] == [f"TITLE: test part {number} of 2" for number in (1, 2)]
    events = [EVENT.match(line) for text in texts for line in text.splitlines() if line[:1].isdigit()]
    records = [(event.group(5), event.group(6)) for event in events if event is not None]
    assert records[0][0] == "01:00:00:00"
    assert all(before[1] == after[0] for before, after in pairwise(records))
    assert {event.group(1) for event in events if event is not None} == {f"{number:03}" for number in range(1, 1000)}


def test_code_without_drop_frame_is_counted_at_2997_too() -> None:
    footage = {where: Footage(rate=NTSC30, frames=60) for where in FOOTAGE}
    text = edl_texts(sheet(footage=footage, start="00:00:59:00"))[0]
    assert text.count(";") == 0
    assert "00:00:59:00 00:01:00:15" in text


# ── strangers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

@settings(max_examples=60, deadline=None)
@given(WORDS)
def test_whatever_strangers_wrote_comes_back_as_it_is_shown_and_breaks_nothing(words: str) -> None:
    made = hostile(words)
    said = node(words)
    native = otio.adapters.read_from_string(otio_text(made), "otio_json")
    assert native.tracks[0][0].metadata["manifest_runner"]["note"] == said
    xml = parsed(fcp7_text(made))
    assert (xml.findtext(".//lognote") or "") == said
    assert len(list(xml.iter("clipitem"))) == 1
    assert len(list(xml.iter("generatoritem"))) == 1
    (edl,) = edl_texts(made)
    lines = edl.splitlines()
    assert sum(EVENT.match(line) is not None for line in lines) == 2
    assert all(line == "" or line.startswith("* ") or EVENT.match(line) for line in lines[2:])
    assert len(otio.adapters.read_from_string(edl, "cmx_3600", rate=24).tracks[0]) == 2
