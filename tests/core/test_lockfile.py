"""The lockfile: the same takes, the same bytes; nothing in it trusted, nothing lost."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.core.lockfile import read, write
from manifest_runner.core.model import ExternalTaskId, JobId, JobState, LockEntry, Lockfile, Measured, ShotId, TakeKey
from manifest_runner.core.projection import entry_of, with_entries
from manifest_runner.errors import InvalidInput
from tests.builders import FACTS, entry, job, manifest_of, plan_of, rendered, verdict

GOLDEN = Path(__file__).parents[1] / "golden"
SHOTS = """
shots:
  - {id: SH0020, prompt: "Zwei Worte, größer"}
  - {id: SH0010, prompt: one, takes: 2, camera: {move: zoom_in, amount: 3}}
  - {id: SH0030, prompt: three, first_frame: {shot: SH0010, frame: last}}
"""


def locked(*arguments: Any, **more: Any) -> LockEntry:
    return entry_of(job(*arguments, **more))


def lockfile() -> Lockfile:
    entries = {(ShotId(shot), take): value for (shot, take), value in rendered(manifest_of(SHOTS)).items()}
    return Lockfile(entries=entries)


def key(shot: str, take: int = 1) -> TakeKey:
    return TakeKey(manifest="test.yaml", shot=ShotId(shot), take=take)


def test_the_bytes_of_a_lockfile_are_pinned() -> None:
    assert write(lockfile(), manifest="test.yaml") == (GOLDEN / "lockfile.json").read_text(encoding="utf-8")


def test_what_is_written_reads_back_the_same() -> None:
    text = write(lockfile(), manifest="test.yaml")
    assert read(text, path="test.lock.json") == lockfile()
    assert write(read(text, path="test.lock.json"), manifest="test.yaml") == text


def test_a_verdict_is_a_field_of_its_take_and_where_there_is_none_no_byte_is_written() -> None:
    there = lockfile()
    where = (ShotId("SH0010"), 1)
    judged = Lockfile(entries={**there.entries, where: replace(there.entries[where], verdict=verdict("all of it is black"))})
    text = write(judged, manifest="test.yaml")
    assert json.loads(text)["shots"]["SH0010"]["takes"]["1"]["verdict"] == {
        "accepted": False, "findings": [{"code": "black", "words": "all of it is black"}]}
    assert read(text, path="x") == judged
    empty = json.loads(text)
    empty["shots"]["SH0010"]["takes"]["1"]["verdict"] = {"accepted": False, "findings": []}
    assert write(read(json.dumps(empty), path="x"), manifest="test.yaml") == write(there, manifest="test.yaml")


def test_what_was_measured_of_a_clip_stays_in_the_ledger() -> None:
    there = lockfile()
    where = (ShotId("SH0010"), 1)
    (clip,) = there.entries[where].outputs
    media = replace(FACTS, measured=Measured(decoded=120, black=0.0, still=0.1))
    known = Lockfile(entries={**there.entries, where: replace(there.entries[where], outputs=(replace(clip, media=media),))})
    assert write(known, manifest="x") == write(there, manifest="x")
    assert known == there


def test_the_order_in_which_takes_came_does_not_show() -> None:
    there = lockfile()
    back = Lockfile(entries=dict(reversed(there.entries.items())))
    assert write(there, manifest="x.yaml") == write(back, manifest="x.yaml")


def test_fields_of_a_newer_version_survive_a_rewrite() -> None:
    data = json.loads(write(lockfile(), manifest="test.yaml"))
    data["colour"] = "rec709"
    data["shots"]["SH0010"]["takes"]["1"]["grade"] = {"black": 0}
    again = json.loads(write(read(json.dumps(data), path="x"), manifest="test.yaml"))
    assert again["colour"] == "rec709"
    assert again["shots"]["SH0010"]["takes"]["1"]["grade"] == {"black": 0}


def test_a_lockfile_holds_no_time_address_or_total() -> None:
    text = write(lockfile(), manifest="test.yaml")
    assert not [word for word in ("http", "total", "_at", "host", 'time"') if word in text]


def test_credits_are_written_one_way() -> None:
    request = rendered(manifest_of(SHOTS))["SH0020", 1].request
    there = entry(request, shot="SH0020")
    for amount in (Decimal(145), Decimal("145.0"), Decimal("1.45E+2")):
        text = write(Lockfile(entries={(ShotId("SH0020"), 1): replace(there, charged=amount)}), manifest="x")
        assert json.loads(text)["shots"]["SH0020"]["takes"]["1"]["credits"]["charged"] == "145"


BROKEN = {
    "not JSON": "{",
    "a list": "[]",
    "NaN": '{"version": 1, "shots": {"A": NaN}}',
    "a newer version": '{"version": 2, "shots": {}}',
    "nested without end": "[" * 100_000,
    "a merge conflict": "<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n",
    "takes as a list": '{"version": 1, "shots": {"A": {"takes": []}}}',
    "take zero": '{"version": 1, "shots": {"A": {"takes": {"0": {}}}}}',
    "no state": '{"version": 1, "shots": {"A": {"takes": {"1": {}}}}}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_damaged_lockfile_is_a_diagnostic(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text, path="x.lock.json")
    assert caught.value.diagnostics[0].source is not None
    assert caught.value.diagnostics[0].source.path == "x.lock.json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempt", True),
        ("attempt", "1"),
        ("job_id", 7),
        ("request", []),
        ("fingerprint", None),
        ("outputs", {}),
        ("outputs", [{"path": "x", "sha256": "../../etc", "bytes": 1}]),
        ("outputs", [{"path": "x", "sha256": "a" * 64, "bytes": "1"}]),
        ("credits", {"estimated": "-1"}),
        ("credits", {"estimated": "NaN"}),
        ("credits", {"estimated": "1E+999999999"}),
        ("credits", {"estimated": "1E-999999999"}),
        ("credits", {"estimated": 5}),
        ("credits", []),
    ],
)
def test_a_value_of_the_wrong_shape_is_named_with_its_place(field: str, value: object) -> None:
    data = json.loads(write(lockfile(), manifest="test.yaml"))
    data["shots"]["SH0010"]["takes"]["2"][field] = value
    with pytest.raises(InvalidInput) as caught:
        read(json.dumps(data), path="x")
    assert f"shots.SH0010.takes.2.{field}" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("way", "value", "message"),
    [
        (("state",), "done", "unknown state 'done' in shots.SH0010.takes.2.state"),
        (("credits", "charged"), 5, "unexpected type int (expected str) in shots.SH0010.takes.2.credits.charged"),
        (("outputs", 0), None, "unexpected type NoneType (expected dict) in shots.SH0010.takes.2.outputs[0]"),
        (("outputs", 0, "sha256"), "A" * 64, "not a sha256 in shots.SH0010.takes.2.outputs[0].sha256"),
        (("outputs", 0, "media", "width"), True,
         "unexpected type bool (expected int) in shots.SH0010.takes.2.outputs[0].media.width"),
        (("verdict",), {"accepted": 1, "findings": []},
         "unexpected type int (expected bool) in shots.SH0010.takes.2.verdict.accepted"),
        (("verdict",), {"accepted": True, "findings": [{"code": "black", "words": None}]},
         "unexpected type NoneType (expected str) in shots.SH0010.takes.2.verdict.findings[0].words"),
        (("verdict",), None, "unexpected type NoneType (expected dict) in shots.SH0010.takes.2.verdict"),
        (("outputs", 0, "media", "duration"), "5",
         "unexpected type str (expected number) in shots.SH0010.takes.2.outputs[0].media.duration"),
    ],
)
def test_the_message_gives_the_whole_way_to_the_value(way: tuple[str | int, ...], value: object, message: str) -> None:
    data = json.loads(write(lockfile(), manifest="test.yaml"))
    inside = data["shots"]["SH0010"]["takes"]["2"]
    for step in way[:-1]:
        inside = inside[step]
    inside[way[-1]] = value
    with pytest.raises(InvalidInput) as caught:
        read(json.dumps(data), path="x")
    assert caught.value.diagnostics[0].message == message


def test_only_the_takes_that_changed_are_touched() -> None:
    before = lockfile()
    request = before.entries[ShotId("SH0020"), 1].request
    after = with_entries(before, {key("SH0020"): locked(request, shot="SH0020", state=JobState.STORED, attempt=2)})
    changed = {where for where in before.entries if before.entries[where] != after.entries[where]}
    assert changed == {("SH0020", 1)}


def test_a_new_attempt_never_makes_the_lockfile_forget_the_last_good_clip() -> None:
    before = lockfile()
    other = plan_of(manifest_of("shots:\n  - {id: SH0020, prompt: other}\n")).changes[0].after
    assert other is not None
    for state in (JobState.SUBMITTED, JobState.RUNNING, JobState.IN_DOUBT, JobState.SUCCEEDED):
        assert with_entries(before, {key("SH0020"): locked(other, shot="SH0020", state=state, attempt=2)}) == before


def test_a_failed_attempt_is_counted_beside_the_last_good_clip() -> None:
    before = lockfile()
    request = before.entries[ShotId("SH0020"), 1].request
    after = with_entries(before, {key("SH0020"): locked(request, shot="SH0020", state=JobState.FAILED, attempt=2)})
    there = after.entries[ShotId("SH0020"), 1]
    assert (there.state, there.attempt, there.outputs) == (JobState.STORED, 2, before.entries[ShotId("SH0020"), 1].outputs)


def test_a_block_that_names_a_job_is_not_lost_to_an_intent_that_does_not() -> None:
    request = lockfile().entries[ShotId("SH0020"), 1].request
    submitted = locked(request, shot="SH0020", state=JobState.SUBMITTED)
    before = Lockfile(entries={(ShotId("SH0020"), 1): submitted})
    assert with_entries(before, {key("SH0020"): replace(submitted, state=JobState.INTENDED, job_id=None)}) == before


def test_a_first_attempt_shows_while_it_is_under_way_and_goes_when_it_is_abandoned() -> None:
    request = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n")).changes[0].after
    assert request is not None
    under_way = with_entries(Lockfile(), {key("A"): locked(request, shot="A", state=JobState.SUBMITTED)})
    assert under_way.entries[ShotId("A"), 1].state is JobState.SUBMITTED
    assert not with_entries(under_way, {key("A"): locked(request, shot="A", state=JobState.ABANDONED)}).entries


def test_what_was_never_a_job_is_not_shown() -> None:
    request = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n")).changes[0].after
    assert request is not None
    for state in (JobState.INTENDED, JobState.REFUSED):
        assert not with_entries(Lockfile(), {key("A"): locked(request, shot="A", state=state)}).entries


def test_a_dropped_take_is_removed() -> None:
    assert (ShotId("SH0020"), 1) not in with_entries(lockfile(), {key("SH0020"): None}).entries


def on_record(*jobs: str) -> Lockfile:
    """A take whose block is `job_SH0010`, and further jobs on record."""
    data = json.loads(write(lockfile(), manifest="test.yaml"))
    take = data["shots"]["SH0010"]["takes"]["1"]
    take["superseded"] = [{**take, "job_id": name, "external_task_id": f"id_{name}", "mood": "dry"} for name in jobs]
    return read(json.dumps(data), path="x")


def known_of(lock: Lockfile) -> tuple[str | None, list[str | None]]:
    """The job of the block, and those on record, as they are read again."""
    again = read(write(lock, manifest="test.yaml"), path="x")
    assert again.superseded == {where: records for where, records in lock.superseded.items() if records}
    where = (ShotId("SH0010"), 1)
    return again.entries[where].job_id, [record.job_id for record in again.superseded.get(where, ())]


def test_a_job_on_record_changes_places_with_the_clip_of_the_block() -> None:
    lock = on_record("job_x", "job_y")
    first = lock.entries[ShotId("SH0010"), 1].job_id
    other = with_entries(lock, {key("SH0010"): lock.superseded[ShotId("SH0010"), 1][0]})
    assert known_of(other) == ("job_x", ["job_y", first])
    back = with_entries(other, {key("SH0010"): lock.entries[ShotId("SH0010"), 1]})
    assert known_of(back) == (first, ["job_y", "job_x"])


def test_a_block_that_is_given_up_leaves_its_place_to_a_job_on_record() -> None:
    lock = on_record("job_x")
    given_up = replace(lock.entries[ShotId("SH0010"), 1], state=JobState.ABANDONED)
    assert known_of(with_entries(lock, {key("SH0010"): given_up})) == ("job_x", [])


def test_a_dropped_take_takes_its_records_with_it() -> None:
    assert not with_entries(on_record("job_x"), {key("SH0010"): None}).superseded


def test_a_job_that_may_be_alive_goes_on_record_when_another_clip_takes_its_place() -> None:
    lock = lockfile()
    alive = replace(lock.entries[ShotId("SH0010"), 1], state=JobState.RUNNING, job_id=JobId("job_z"), outputs=(),
                    external_task_id=ExternalTaskId("id_z"))
    held = replace(lock, entries={**lock.entries, (ShotId("SH0010"), 1): alive})
    stored = lock.entries[ShotId("SH0010"), 1]
    assert known_of(with_entries(held, {key("SH0010"): stored})) == (stored.job_id, ["job_z"])


def test_a_record_of_a_job_that_a_merge_did_not_choose_survives_a_rewrite_and_is_checked_like_a_take() -> None:
    data = json.loads(write(lockfile(), manifest="test.yaml"))
    take = data["shots"]["SH0010"]["takes"]["1"]
    record = {**take, "job_id": "job_other", "mood": "dry"}
    take["superseded"] = [record]
    found = read(json.dumps(data), path="x")
    assert [entry.job_id for entry in found.superseded[ShotId("SH0010"), 1]] == ["job_other"]
    after = with_entries(found, {key("SH0010"): found.entries[ShotId("SH0010"), 1]})
    assert json.loads(write(after, manifest="test.yaml"))["shots"]["SH0010"]["takes"]["1"]["superseded"] == [record]
    for wrong, place in (({}, ".superseded"), ([{**record, "job_id": 3}], ".superseded[0].job_id")):
        take["superseded"] = wrong
        with pytest.raises(InvalidInput) as caught:
            read(json.dumps(data), path="x")
        assert caught.value.diagnostics[0].message.endswith("shots.SH0010.takes.1" + place)
