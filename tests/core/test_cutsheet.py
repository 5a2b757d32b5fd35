"""What a timeline says of its shots."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.cut import clip_of, make_timeline
from manifest_runner.core.cutsheet import Kind, Sheet, reel_names, sheet_of
from manifest_runner.core.model import ShotId
from manifest_runner.core.timecode import code_from
from tests.builders import manifest_of
from tests.cutting import Footage, locked

SHOTS = """\
title: The bridge
sequence: SQ010
shots:
  - {id: A, prompt: one, takes: 2, circled: 1, note: "Hold.\\nThen cut; this second line is for the assistant."}
  - {id: B, prompt: two}
  - {id: C, prompt: three, note: later}
"""


def sheet(**options: bool) -> Sheet:
    manifest = manifest_of(SHOTS)
    entries = locked(manifest, {("A", 1): Footage(), ("A", 2): Footage(), ("B", 1): Footage()})
    remarks = ("it is 4 s long, 5 s were asked for",)
    found = {(ShotId(shot), take): clip_of(take, f"renders/test/{shot}_t{take}.mp4", entry, remarks=remarks * (shot == "B"))
             for (shot, take), entry in entries.items()}
    timeline = make_timeline(manifest, found, asked=lambda _: Fraction(5))
    return sheet_of(manifest, timeline, code_from("01:00:00:00", timeline.rate), url=lambda clip: f"file:///x/{clip.path}",
                    say=lambda text: text.replace("\x1b", "?"), **options)


def test_a_take_carries_what_made_it_and_what_it_cost() -> None:
    row = sheet().rows[0]
    assert row.shown is not None
    facts = row.shown.facts
    assert {name: facts[name] for name in ("shot", "take", "circled", "job_id", "model", "prompt", "credits", "path")} == {
        "shot": "A", "take": 1, "circled": True, "job_id": "job_A_1", "model": "kling-v3-omni", "prompt": "one",
        "credits": "145", "path": "renders/test/A_t1.mp4"}
    assert facts["sha256"] == row.shown.clip.file.sha256
    assert facts["fingerprint"] == row.shown.clip.entry.fingerprint
    assert [take.clip.take for take in row.others] == [2]
    assert row.others[0].facts["circled"] is False
    assert json.dumps(facts)


def test_notes_remarks_and_gaps_are_marked() -> None:
    marks = [[(mark.kind, mark.name) for mark in row.marks] for row in sheet().rows]
    assert marks == [[(Kind.NOTE, "Hold.")], [(Kind.LOOK, "it is 4 s long, 5 s were asked for")],
                     [(Kind.NOTE, "later"), (Kind.GAP, "take 1: not rendered")]]
    assert sheet().rows[0].marks[0].text == "Hold.\nThen cut; this second line is for the assistant."


def test_a_gap_says_what_will_stand_there() -> None:
    row = sheet().rows[2]
    assert row.shown is None
    assert row.label == "C (not rendered)"
    assert row.facts == {"shot": "C", "take": 1, "note": "later", "gap": "not rendered", "prompt": "three",
                         "path": "renders/test/C_t1.mp4"}


def test_a_draft_costs_nothing_and_says_that_it_is_one() -> None:
    drafted = sheet(draft=True)
    assert drafted.name == "The bridge SQ010 draft"
    assert drafted.facts["draft"] is True
    assert drafted.rows[0].shown is not None
    assert "credits" not in drafted.rows[0].shown.facts


def test_the_other_takes_may_be_left_out() -> None:
    assert all(not row.others for row in sheet(circled_only=True).rows)


# ── reel names ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "reel"), [("SH0010_t1", "SH0010T1"), ("A_t2", "AT2"), ("sh10.b_t1", "SH10BT1")])
def test_a_short_name_is_its_own_reel(name: str, reel: str) -> None:
    assert reel_names([name]) == {name: reel}


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}_t[1-9]", fullmatch=True), max_size=60))
def test_no_two_clips_share_a_reel(names: list[str]) -> None:
    reels = reel_names(names)
    assert reels.keys() == set(names)
    assert len(set(reels.values())) == len(reels)
    assert all(1 <= len(reel) <= 8 and reel.isascii() and reel.isalnum() and reel == reel.upper() for reel in reels.values())
    assert not {"AX", "BL", "BLACK", "BARS"} & set(reels.values())


def test_a_reel_stays_when_other_shots_come_or_go() -> None:
    long = [f"SH{number:04}-rain-35mm_t1" for number in range(200)]
    assert reel_names(long)[long[7]] == reel_names(long[7:8])[long[7]]


def test_names_that_differ_only_in_signs_still_have_reels_of_their_own() -> None:
    reels = reel_names(["A-B_t1", "AB_t1", "a.b_t1"])
    assert len(set(reels.values())) == 3
