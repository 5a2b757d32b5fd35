"""FCPXML: exact times, auditions, the order of Apple's DTD, and text that stays text."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import opentimelineio as otio
import pytest
from hypothesis import given, settings

from manifest_runner.core.cutsheet import Sheet
from manifest_runner.views.escaping import node
from manifest_runner.views.fcpxml import fcpxml_text
from tests.cutting import FOOTAGE, PLACES, WORDS, Footage, hostile, read_as_final_cut, sheet, time_of

NTSC24, NTSC30 = Fraction(24000, 1001), Fraction(30000, 1001)
MIXED: Mapping[tuple[str, int], Footage] = {
    **FOOTAGE, ("SH0020", 1): Footage(rate=25, frames=50), ("SH0040-rain-35mm", 1): Footage(rate=NTSC30, frames=60)}


def parsed(made: Sheet) -> Element:
    return ElementTree.fromstring(fcpxml_text(made))  # noqa: S314 - ours


def test_every_shot_stands_in_its_place() -> None:
    assert read_as_final_cut(fcpxml_text(sheet()), 24) == [
        (None if first is None else f"/clips/{shot}_t1.mp4", first or 0, length) for shot, _, length, first in PLACES]


@pytest.mark.parametrize(("rate", "start", "seconds"), [
    (Fraction(24), "01:00:00:00", Fraction(3600)), (NTSC24, "01:00:00:00", 3600 * Fraction(1001, 1000)),
    (NTSC30, "01:00:00;00", Fraction(107892 * 1001, 30000)), (NTSC30, "01:00:00:00", 3600 * Fraction(1001, 1000)),
    (Fraction(50), "00:00:00:00", Fraction(0)),
])
def test_times_are_whole_frames_as_exact_fractions(rate: Fraction, start: str, seconds: Fraction) -> None:
    made = sheet(rate=rate, start=start, footage=MIXED)
    root = parsed(made)
    sequence = next(root.iter("sequence"))
    assert time_of(sequence, "tcStart") == seconds
    assert sequence.get("tcFormat") == ("DF" if ";" in start else "NDF")
    formats = {one.get("id"): 1 / time_of(one, "frameDuration") for one in root.iter("format")}
    assert formats[sequence.get("format")] == rate
    for clip in root.iter("asset-clip"):
        assert (time_of(clip, "duration") * rate).denominator == 1
        assert (time_of(clip, "start") * formats[clip.get("format")]).denominator == 1
    assert [length for _, _, length in read_as_final_cut(fcpxml_text(made), rate)] == [
        one.length for one in made.timeline.shots]


def test_a_clip_of_another_rate_is_shown_in_the_same_time() -> None:
    conformed = {clip.get("name"): dict(rate.attrib) for clip in parsed(sheet(footage=MIXED)).iter("asset-clip")
                 for rate in clip.iter("conform-rate")}
    assert conformed == {"SH0020_t1": {"scaleEnabled": "0", "srcFrameRate": "25"},
                         "SH0040-rain-35mm_t1": {"scaleEnabled": "0", "srcFrameRate": "29.97"}}


def test_other_takes_are_an_audition_whose_pick_is_the_take_of_the_cut() -> None:
    (audition,) = parsed(sheet()).iter("audition")
    assert [(clip.get("name"), clip.get("duration"), clip.get("offset")) for clip in audition] == [
        ("SH0020_t1", "24/24s", None), ("SH0020_t2", "36/24s", None)]
    assert not list(parsed(sheet(circled_only=True)).iter("audition"))


def test_handles_are_what_the_asset_has_beyond_the_clip() -> None:
    root = parsed(sheet())
    clip = next(root.iter("asset-clip"))
    asset = next(one for one in root.iter("asset") if one.get("id") == clip.get("ref"))
    assert (asset.get("start"), asset.get("duration")) == ("0s", "24/24s")
    assert (clip.get("start"), clip.get("duration")) == ("12/24s", "12/24s")


def test_metadata_says_what_made_a_clip_and_a_gap_what_is_missing() -> None:
    root = parsed(sheet())
    facts = {md.get("key"): md.get("value") for md in next(root.iter("asset-clip")).iter("md")}
    assert facts["com.manifest-runner.job_id"] == "job_SH0010_1"
    assert facts["com.manifest-runner.credits"] == "145"
    gap = next(root.iter("gap"))
    assert gap.get("name") == "SH0030 (not rendered)"
    assert [marker.get("value") for marker in gap.iter("marker")] == ["take 1: not rendered"]


def test_opentimelineio_reads_it_where_it_can() -> None:
    """Clips of one rate that is a whole number, without auditions; the start code it takes for a gap."""
    collection = otio.adapters.read_from_string(fcpxml_text(sheet(circled_only=True)), "fcpx_xml")
    start, *items = collection[0].tracks[0]
    assert start.duration().value == 86400
    read = [(item.name, round(item.range_in_parent().start_time.value) - 86400, item.trimmed_range().start_time.value)
            for item in items if isinstance(item, otio.schema.Clip)]
    assert read == [(f"{shot}_t1", at, first) for shot, at, _, first in PLACES if first is not None]


# ── the DTD ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ORDER = {"asset-clip": ["note", "conform-rate", "marker", "metadata"], "gap": ["note", "marker", "metadata"],
         "sequence": ["spine", "metadata"], "fcpxml": ["resources", "library"]}
"""Of the elements that are written here, those whose children must come in this order."""


@pytest.mark.parametrize("footage", [FOOTAGE, MIXED], ids=["one rate", "mixed"])
def test_elements_stand_in_the_order_that_the_dtd_asks_for(footage: Mapping[tuple[str, int], Footage]) -> None:
    root = parsed(sheet(footage=footage))
    for tag, order in ORDER.items():
        elements = [root] if root.tag == tag else list(root.iter(tag))
        assert elements
        for element in elements:
            places = [order.index(child.tag) for child in element]
            assert places == sorted(places), tag


FINAL_CUT = Path("/Applications/Final Cut Pro.app/Contents/Frameworks/Interchange.framework/Resources/FCPXMLv1_8.dtd")
DTD = Path(os.environ["FCPXML_DTD"]) if "FCPXML_DTD" in os.environ else FINAL_CUT


@pytest.mark.skipif(not DTD.is_file() or shutil.which("xmllint") is None,
                    reason="Apple's FCPXMLv1_8.dtd comes with Final Cut Pro alone: FCPXML_DTD=FILE names one, for xmllint")
@pytest.mark.parametrize("made", [sheet(), sheet(footage=MIXED), sheet(start="01:00:00;00", rate=NTSC30),
                                  hostile("]]> <b> & \x1b\n\u202e")], ids=["one rate", "mixed", "drop frame", "hostile"])
def test_it_is_valid_by_apples_own_dtd(made: Sheet, tmp_path: Path) -> None:
    (tmp_path / "cut.fcpxml").write_text(fcpxml_text(made))
    ran = subprocess.run(["xmllint", "--noout", "--dtdvalid", str(DTD), "cut.fcpxml"], cwd=tmp_path, capture_output=True,
                         text=True, check=False)
    assert ran.returncode == 0, ran.stderr


# ── strangers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(WORDS)
def test_whatever_strangers_wrote_comes_back_as_it_is_shown(words: str) -> None:
    root = parsed(hostile(words))
    said = node(words)
    assert {element.tag for element in root.iter()} <= {
        "fcpxml", "resources", "format", "asset", "library", "event", "project", "sequence", "spine", "asset-clip", "gap",
        "note", "marker", "metadata", "md"}
    assert (root.findtext(".//asset-clip/note") or "") == said
    prompt = next(md.get("value") for md in root.iter("md") if md.get("key") == "com.manifest-runner.prompt")
    assert prompt == said
    assert len(next(root.iter("spine"))) == 2
