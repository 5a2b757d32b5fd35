"""Merging lockfiles: different takes merge, the same take on both sides is a person's, and nothing paid for is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.conflictmarkers import Labels, Versions, has_markers, take_apart
from manifest_runner.core.lockfile import read, write
from manifest_runner.core.lockmerge import Merged, SideName, merge
from manifest_runner.core.model import (
    ClipFinding,
    ExternalTaskId,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    Request,
    ShotId,
    Verdict,
)
from manifest_runner.errors import InvalidInput
from tests.builders import entry, manifest_of, plan_of, verdict

Takes = Mapping[tuple[str, int], LockEntry]
A, B, C = ("SH0010", 1), ("SH0020", 1), ("SH0030", 1)
BRANCHES = Labels(base="base", ours="main", theirs="rain")


def take(
    shot: str, words: str = "one", *, number: int = 1, state: JobState = JobState.STORED, attempt: int = 1, job: str | None = ""
) -> LockEntry:
    """A take whose job is named after its shot and words."""
    made = entry(
        Request(model="kling-v3-omni", params={"prompt": words, "duration": 5}),
        shot=shot,
        take=number,
        state=state,
        content=words,
        attempt=attempt,
    )
    return replace(
        made,
        job_id=JobId(f"job_{shot}_{number}_{words}") if job == "" else None if job is None else JobId(job),
        external_task_id=ExternalTaskId(f"{shot}_t{number}.a{attempt}.{words}"),
    )


def text_of(takes: Takes) -> str:
    return (
        write(
            Lockfile(entries={(ShotId(shot), number): value for (shot, number), value in takes.items()}), manifest="show.yaml"
        )
        if takes
        else ""
    )


def merged(base: Takes, ours: Takes, theirs: Takes, chosen: Mapping[str, SideName] | None = None) -> Merged:
    return merge(
        Versions(base=text_of(base), ours=text_of(ours), theirs=text_of(theirs)),
        path="show.lock.json",
        labels=BRANCHES,
        chosen=chosen,
    )


def shots_of(one: LockEntry) -> str:
    text = text_of({A: one})
    return text[text.index('"shots": ') + 9 : text.index(',\n  "version"')]


def jobs_in(text: str) -> set[str]:
    """Every job that a lockfile names, those on record included."""
    return set(re.findall(r'"job_id": "([^"]+)"', text))


ONE, TWO, THREE = take("SH0010"), take("SH0020"), take("SH0030")
SEEN = take("SH0010", state=JobState.SUBMITTED)
RETAKEN, OTHER = take("SH0010", "two"), take("SH0010", "three")
FAILED = take("SH0010", "four", state=JobState.FAILED, attempt=2)

BLACK = replace(ONE, verdict=verdict("all of it is black"))
LIKED = replace(ONE, verdict=verdict("all of it is black", accepted=True))
SHORT = replace(ONE, verdict=verdict("it is 2 s long", "duration", accepted=True))
BOTH = replace(ONE, verdict=Verdict(accepted=False, findings=(ClipFinding(code="black", words="all of it is black"),
                                                              ClipFinding(code="duration", words="it is 2 s long"))))

CLEAN: dict[str, tuple[Takes, Takes, Takes, Takes]] = {
    "nothing changed": ({A: ONE}, {A: ONE}, {A: ONE}, {A: ONE}),
    "a shot each, from nothing": ({}, {A: ONE}, {B: TWO}, {A: ONE, B: TWO}),
    "neighbours": ({A: ONE}, {A: ONE, B: TWO}, {A: ONE, C: THREE}, {A: ONE, B: TWO, C: THREE}),
    "takes of one shot": (
        {A: ONE},
        {A: RETAKEN},
        {A: ONE, ("SH0010", 2): take("SH0010", number=2)},
        {A: RETAKEN, ("SH0010", 2): take("SH0010", number=2)},
    ),
    "changed on one side": ({A: ONE, B: TWO}, {A: RETAKEN, B: TWO}, {A: ONE, B: TWO}, {A: RETAKEN, B: TWO}),
    "dropped on one side": ({A: ONE, B: TWO}, {B: TWO}, {A: ONE, B: TWO}, {B: TWO}),
    "the same on both sides": ({}, {A: ONE}, {A: ONE}, {A: ONE}),
    "one job, known for longer": ({}, {A: SEEN}, {A: ONE}, {A: ONE}),
    "in doubt here, found there": ({}, {A: take("SH0010", state=JobState.IN_DOUBT, job=None)}, {A: ONE}, {A: ONE}),
    "failed for nothing, rendered there": ({}, {A: FAILED}, {A: ONE}, {A: replace(ONE, attempt=2)}),
    "looked at there": ({A: ONE}, {A: ONE}, {A: BLACK}, {A: BLACK}),
    "looked at here, before there was a clip there": ({A: SEEN}, {A: BLACK}, {A: SEEN}, {A: BLACK}),
    "accepted here": ({A: BLACK}, {A: LIKED}, {A: BLACK}, {A: LIKED}),
    "no longer found here": ({A: BLACK}, {A: ONE}, {A: BLACK}, {A: ONE}),
    "accepted here, known there": ({}, {A: LIKED}, {A: BLACK}, {A: BLACK}),
    "found differently": ({}, {A: BLACK}, {A: SHORT}, {A: BOTH}),
    "a further attempt failed, rendered there": (
        {A: ONE},
        {A: replace(ONE, attempt=3)},
        {A: RETAKEN},
        {A: replace(RETAKEN, attempt=3)},
    ),
}


def turned(case: tuple[Takes, Takes, Takes, Any]) -> tuple[Takes, Takes, Takes, Any]:
    return case[0], case[2], case[1], case[3]


@pytest.mark.parametrize("way", [lambda case: case, turned], ids=["as is", "sides swapped"])
@pytest.mark.parametrize("name", CLEAN)
def test_what_is_not_contested_merges_from_either_side(name: str, way: Callable[[Any], Any]) -> None:
    base, ours, theirs, wanted = way(CLEAN[name])
    assert merged(base, ours, theirs) == Merged(text=text_of(wanted), clashes=())


def test_a_side_without_a_file_is_one_that_dropped_every_shot() -> None:
    assert merged({A: ONE}, {}, {A: ONE}).text == text_of({A: ONE}).replace(shots_of(ONE), "{}")
    assert [clash.place for clash in merged({A: ONE}, {}, {A: RETAKEN}).clashes] == ["SH0010:1"]
    assert read(merged({}, {}, {}).text, path="x").entries == {}


CONTESTED: dict[str, tuple[Takes, Takes, Takes]] = {
    "rendered anew by both": ({A: ONE}, {A: RETAKEN}, {A: OTHER}),
    "first rendered by both": ({}, {A: RETAKEN}, {A: OTHER}),
    "the same request, two jobs": ({}, {A: ONE}, {A: take("SH0010", attempt=2, job="job_again")}),
    "one id, two jobs": ({}, {A: ONE}, {A: replace(ONE, job_id=JobId("job_twice"))}),
    "one unfinished": ({A: ONE}, {A: RETAKEN}, {A: take("SH0010", "three", state=JobState.RUNNING)}),
    "one in doubt": ({A: ONE}, {A: RETAKEN}, {A: take("SH0010", "three", state=JobState.IN_DOUBT, job=None)}),
    "failed, and charged all the same": ({A: ONE}, {A: RETAKEN}, {A: replace(FAILED, charged=Decimal(3))}),
    "one job, charged differently": ({}, {A: ONE}, {A: replace(ONE, charged=Decimal(7))}),
    "one job, two ends": ({}, {A: ONE}, {A: replace(ONE, state=JobState.FAILED, charged=Decimal(145))}),
    "one job, other bytes": ({}, {A: ONE}, {A: replace(ONE, outputs=RETAKEN.outputs)}),
    "dropped here, rendered there": ({A: ONE}, {}, {A: RETAKEN}),
    "dropped there, rendered here": ({A: ONE}, {A: RETAKEN}, {}),
}
AROUND: Takes = {("SH0005", 1): take("SH0005"), B: TWO}


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "the last shot"])
@pytest.mark.parametrize("name", CONTESTED)
def test_what_both_sides_did_to_a_take_stays_in_conflict_round_its_shot_alone(name: str, last: bool) -> None:
    around = {} if last else AROUND
    first = {("SH0001", 1): take("SH0001")}
    base, ours, theirs = ({**around, **first, **case} for case in CONTESTED[name])
    done = merged(base, ours, {**theirs, C: THREE} if not last else theirs)
    assert [clash.place for clash in done.clashes] == ["SH0010:1"]
    assert sum(line.startswith("<<<<<<< main") for line in done.text.split("\n")) == 1
    inside = done.text[done.text.index("<<<<<<<") : done.text.index(">>>>>>>")]
    assert not [shot for shot in ("SH0001", "SH0005", "SH0020", "SH0030") if shot in inside]
    assert jobs_in(text_of(ours)) | jobs_in(text_of(theirs)) <= jobs_in(done.text)


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "the last shot"])
@pytest.mark.parametrize(("name", "side"), list(product(CONTESTED, ("ours", "theirs"))))
def test_its_markers_hold_what_is_needed_to_choose_later(name: str, side: SideName, last: bool) -> None:
    around = {} if last else AROUND
    base, ours, theirs = ({**around, **case} for case in CONTESTED[name])
    text = merged(base, ours, theirs).text
    apart = take_apart(text)
    assert apart is not None
    assert (apart.whole, apart.labels) == (True, BRANCHES)
    at_once = merged(base, ours, theirs, chosen={"SH0010": side})
    later = merge(apart.versions, path="x", labels=BRANCHES, chosen={"SH0010:1": side})
    assert later == at_once
    assert later.clashes == ()
    again = read(later.text, path="x")
    assert write(again, manifest="show.yaml") == later.text
    mine = (ours if side == "ours" else theirs).get(A)
    kept = again.entries.get((ShotId("SH0010"), 1))
    assert (kept and kept.job_id, kept and kept.state) == (mine and mine.job_id, mine and mine.state)


@pytest.mark.parametrize("name", [name for name in CONTESTED if "dropped" not in name and "one job" not in name])
def test_the_job_that_was_not_chosen_stays_on_record(name: str) -> None:
    base, ours, theirs = CONTESTED[name]
    for side, other in (("ours", theirs), ("theirs", ours)):
        kept = read(merged(base, ours, theirs, chosen={"SH0010": side}).text, path="x")  # type: ignore[dict-item]
        assert kept.superseded[ShotId("SH0010"), 1] == (other[A],)


def test_a_chosen_conflict_leaves_the_others_open() -> None:
    base, ours = {A: ONE, B: TWO}, {A: RETAKEN, B: take("SH0020", "two")}
    theirs = {A: OTHER, B: take("SH0020", "three")}
    first = merged(base, ours, theirs, chosen={"SH0010": "theirs"})
    assert [clash.place for clash in first.clashes] == ["SH0020:1"]
    apart = take_apart(first.text)
    assert apart is not None
    both = merge(apart.versions, path="x", chosen={"SH0020": "ours"})
    assert both == merged(base, ours, theirs, chosen={"SH0010": "theirs", "SH0020": "ours"})


def test_two_merges_in_a_row_keep_both_jobs_on_record() -> None:
    once = merged({A: ONE}, {A: RETAKEN}, {A: OTHER}, chosen={"SH0010": "ours"}).text
    fourth = text_of({A: take("SH0010", "four")})
    twice = merge(Versions(base=text_of({A: ONE}), ours=fourth, theirs=once), path="x", chosen={"SH0010": "ours"}).text
    records = read(twice, path="x").superseded[ShotId("SH0010"), 1]
    assert {record.job_id for record in records} == {RETAKEN.job_id, OTHER.job_id}


@pytest.mark.parametrize("other", [JobState.STORED, JobState.FAILED], ids=["paid for", "failed as well"])
@pytest.mark.parametrize("turn", [False, True])
def test_a_side_that_counts_for_nothing_gives_up_none_of_its_records(other: JobState, turn: bool) -> None:
    failed = replace(take("SH0010", "two", state=JobState.FAILED, attempt=2), charged=Decimal(0), outputs=())
    ours = changed(text_of({A: failed}), lambda data: data["shots"]["SH0010"]["takes"]["1"].update(
        superseded=[json.loads(text_of({A: take("SH0010", "one")}))["shots"]["SH0010"]["takes"]["1"]]))
    last = replace(take("SH0010", "three", state=other, attempt=3), charged=Decimal(0 if other is JobState.FAILED else 145))
    sides = (text_of({A: last}), ours) if turn else (ours, text_of({A: last}))
    found = merge(Versions(base="", ours=sides[0], theirs=sides[1]), path="show.lock.json", labels=BRANCHES)
    assert not found.clashes
    assert {"job_SH0010_1_one", "job_SH0010_1_three"} <= jobs_in(found.text)


def test_a_job_on_record_is_found_by_a_plan_and_costs_nothing() -> None:
    manifest = manifest_of("shots:\n  - {id: SH0010, prompt: as rain has it}\n")
    (wanted,) = plan_of(manifest).changes
    assert wanted.after is not None
    theirs = entry(wanted.after, shot="SH0010", content="theirs")
    text = merge(
        Versions(base="", ours=text_of({A: ONE}), theirs=text_of({A: theirs})), path="x", chosen={"SH0010": "ours"}
    ).text
    found = read(text, path="x")
    (change,) = plan_of(manifest, lock=found.entries, superseded=found.superseded).changes
    assert (change.action.value, change.quote.credits) == ("keep", 0)
    (bare,) = plan_of(manifest, lock=found.entries).changes
    assert (bare.action.value, bare.quote.credits > 0) == ("replace", True)


def changed(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    data = json.loads(text)
    change(data)
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_fields_that_this_program_does_not_know_are_kept_and_merged() -> None:
    base = text_of({A: ONE, B: TWO})
    ours = changed(base, lambda data: data["shots"]["SH0010"].update(mood="dry"))
    theirs = changed(base, lambda data: data.update(colour="rec709") or data["shots"]["SH0020"]["takes"]["1"].update(eye=1))
    data = json.loads(merge(Versions(base=base, ours=ours, theirs=theirs), path="x").text)
    shots = data["shots"]
    assert (data["colour"], shots["SH0010"]["mood"], shots["SH0020"]["takes"]["1"]["eye"]) == ("rec709", "dry", 1)


def test_a_header_that_both_sides_changed_is_a_conflict_of_its_own() -> None:
    base = text_of({A: ONE})
    ours, theirs = base.replace("show.yaml", "rain.yaml"), base.replace("show.yaml", "fog.yaml")
    done = merge(Versions(base=base, ours=ours, theirs=theirs), path="x", labels=BRANCHES)
    assert [clash.place for clash in done.clashes] == ["manifest"]
    assert '<<<<<<< main\n  "manifest": "rain.yaml",\n||||||| base\n' in done.text
    apart = take_apart(done.text)
    assert apart is not None
    assert merge(apart.versions, path="x", chosen={"manifest": "theirs"}).text == theirs


@pytest.mark.parametrize(
    "wrong", [text_of({A: ONE}).replace('"version": 1', '"version": 2'), "[]", "{", '{"version": 1, "shots": 3}']
)
def test_a_side_that_cannot_be_read_is_refused_with_its_name(wrong: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        merge(Versions(base="", ours=text_of({A: ONE}), theirs=wrong), path="show.lock.json", labels=BRANCHES)
    (found,) = caught.value.diagnostics
    assert found.source is not None
    assert found.source.path == "show.lock.json (rain)"


def test_a_base_that_git_made_of_a_conflict_counts_as_what_that_began_with() -> None:
    made = merged({A: ONE}, {A: RETAKEN}, {A: OTHER}).text
    done = merge(Versions(base=made, ours=text_of({A: RETAKEN}), theirs=text_of({A: ONE})), path="x")
    assert done == Merged(text=text_of({A: RETAKEN}), clashes=())


def test_a_line_separator_or_a_marker_in_a_prompt_is_no_marker() -> None:
    odd = take("SH0010", "a\u2028<<<<<<< x\u0085=======\n>>>>>>> y\x0b||||||| z")
    text = text_of({A: odd})
    assert not has_markers(text)
    done = merged({A: ONE}, {A: odd}, {A: OTHER})
    apart = take_apart(done.text)
    assert apart is not None
    later = merge(apart.versions, path="x", chosen={"SH0010": "ours"})
    assert later == merged({A: ONE}, {A: odd}, {A: OTHER}, {"SH0010": "ours"})


@pytest.mark.parametrize(
    "text", ["<<<<<<< a\n", "<<<<<<< a\n=======\n=======\n>>>>>>> b\n", "<<<<<<< a\n<<<<<<< a\n", "=======\n"]
)
def test_markers_that_do_not_fit_together_are_not_guessed_at(text: str) -> None:
    assert take_apart(text) is None


def test_markers_inside_a_take_are_told_apart_from_those_round_a_shot() -> None:
    line = '          "job_id": "{}",\n'
    cut = text_of({A: ONE}).replace(
        line.format(ONE.job_id),
        f"<<<<<<< a\n{line.format('x')}||||||| o\n{line.format('z')}=======\n{line.format('y')}>>>>>>> b\n",
    )
    apart = take_apart(cut)
    assert apart is not None
    assert (apart.whole, '"x"' in apart.versions.ours, '"y"' in apart.versions.theirs) == (False, True, True)


# ── whatever two people did ───────────────────────────────────────────────────────────────────────────────────────

_STATES = st.sampled_from([JobState.STORED, JobState.STORED, JobState.SUBMITTED, JobState.IN_DOUBT, JobState.FAILED])
_TAKE = st.tuples(st.sampled_from(["one", "two", "drei ü"]), _STATES, st.integers(1, 3))
_SIDE = st.dictionaries(st.tuples(st.sampled_from(["SH1", "SH2", "SH3"]), st.integers(1, 2)), _TAKE, max_size=5)


def side_of(drawn: Mapping[tuple[str, int], tuple[str, JobState, int]]) -> dict[tuple[str, int], LockEntry]:
    return {
        (shot, number): take(shot, words, number=number, state=state, attempt=attempt)
        for (shot, number), (words, state, attempt) in drawn.items()
    }


@given(_SIDE, _SIDE, _SIDE)
def test_whatever_two_sides_did_no_paid_job_is_lost_and_swapping_them_changes_nothing(
    base: Any, ours: Any, theirs: Any
) -> None:
    started, mine, other = side_of(base), side_of(ours), side_of(theirs)
    done, back = merged(started, mine, other), merged(started, other, mine)
    assert [clash.place for clash in done.clashes] == [clash.place for clash in back.clashes]
    if not done.clashes:
        assert done.text == back.text
    contested = {(clash.shot, clash.take) for clash in done.clashes}
    for where in mine.keys() | other.keys():
        left, right, was = mine.get(where), other.get(where), started.get(where)
        paid = {
            side.external_task_id
            for side in (left, right)
            if side is not None and side.state is not JobState.FAILED and side != was
        }
        assert (len(paid) > 1) <= (where in contested), "two jobs are never chosen between"
    for side in ("ours", "theirs"):
        whole = merged(started, mine, other, {clash.place: side for clash in done.clashes})  # type: ignore[misc]
        assert whole.clashes == ()
        again = read(whole.text, path="x")
        for where in contested:
            left, right = mine.get(where), other.get(where)
            chosen = left if side == "ours" else right
            if left is not None and right is not None:
                named = jobs_in(whole.text)
                assert {side.job_id for side in (left, right) if side.state is not JobState.FAILED} <= named
            assert (chosen is None) == ((ShotId(where[0]), where[1]) not in again.entries)
    apart = take_apart(done.text)
    assert (apart is not None) or not done.clashes
    if done.clashes and apart is not None:
        assert apart.whole
        assert merge(apart.versions, path="x", labels=BRANCHES) == done
