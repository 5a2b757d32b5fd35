"""What a plan reads of the ledger: less than all of it, and nothing less than it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifest_runner.adapters import ledger_account as ledgers
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_rows import changed_row, new_row
from manifest_runner.cli.planner import held_clips
from manifest_runner.core.model import (
    ExternalTaskId,
    Fingerprint,
    Job,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    Request,
    ShotId,
    TakeKey,
)
from manifest_runner.core.planning import World, make_plan
from tests.builders import CARD, entry, job, manifest_of, plan_of

SHOTS = ("A", "B")
PROMPTS = ("one", "two")
NUMBERS = count()

# Few takes, so that one take has several attempts in most examples.
TAKES = st.tuples(st.sampled_from(("A", "A", "B")), st.sampled_from((1, 1, 2)), st.sampled_from(PROMPTS))
STATES = st.sampled_from([*JobState, *[JobState.STORED] * 8])
HISTORY = st.lists(st.tuples(TAKES, st.integers(1, 4), STATES), min_size=2, max_size=10)
LOCKED = st.lists(st.tuples(TAKES, st.sampled_from([*JobState, *[JobState.STORED] * 20]), st.booleans()),
                  min_size=1, max_size=6)
WANTED = st.lists(st.tuples(st.sampled_from(PROMPTS), st.integers(1, 2), st.booleans()), min_size=1, max_size=2)


def requests() -> Mapping[tuple[str, str], Request]:
    """What each shot asks for with each prompt, without a frame of another."""
    found = {}
    for prompt in PROMPTS:
        lines = [f"  - {{id: {name}, prompt: {prompt}}}\n" for name in SHOTS]
        for change in plan_of(manifest_of("shots:\n" + "".join(lines))).changes:
            assert change.after is not None
            found[change.shot, prompt] = change.after
    return found


REQUESTS = requests()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    with SqliteLedger(tmp_path_factory.mktemp("ledger") / "ledger.db", account="acme", run="r") as opened:
        yield opened


def insert(ledger: SqliteLedger, found: Job) -> None:
    """A row as it is, without asking the ledger what may follow what: whatever lies there must be read right."""
    row = new_row(found.intent, account="acme", run="r", sender="r", day="2026-11-22", now=1.0)
    with ledger._transaction():
        ledger._books.insert(changed_row(row, found, settled_by="", now=1.0))


def plan(manifest: Manifest, lockfile: Lockfile, history: list[Job]) -> Plan:
    latest = {(found.intent.key.shot, found.intent.key.take): found for found in history}
    stored = {(found.intent.key.shot, found.intent.key.take, found.intent.fingerprint): found
              for found in history if found.state is JobState.STORED}
    return make_plan(manifest, CARD, World(lockfile=lockfile, jobs=latest, stored=stored, pictures={},
                                           file_state=lambda *_: "present"))


@pytest.mark.parametrize("few", [0, 1000])
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORY, locked=LOCKED, wanted=WANTED)
def test_the_plan_is_the_one_that_the_whole_history_gives(ledger: SqliteLedger, few: int, history: list[Any], locked: list[Any],
                                                          wanted: list[Any]) -> None:
    name = f"m{next(NUMBERS)}.yaml"
    for number, ((shot, take, prompt), attempt, state) in enumerate(history):
        there = job(REQUESTS[shot, prompt], shot=shot, take=take, state=state, attempt=attempt)
        key = TakeKey(manifest=name, shot=ShotId(shot), take=take)
        task = ExternalTaskId(f"{name}.{number}")
        insert(ledger, replace(there, intent=replace(there.intent, key=key, external_task_id=task)))
    entries: dict[tuple[ShotId, int], LockEntry] = {}
    for (shot, take, prompt), state, bare in locked:
        there = entry(REQUESTS[shot, prompt], shot=shot, take=take, state=state)
        entries[ShotId(shot), take] = replace(there, outputs=()) if bare and prompt == "two" else there
    lines = [f"  - {{id: {name}, prompt: {prompt}, takes: {takes}"
             + (", first_frame: {shot: A, frame: last}" if chained and name == "B" else "") + "}\n"
             for name, (prompt, takes, chained) in zip(SHOTS, wanted, strict=False)]
    manifest, lockfile = manifest_of("shots:\n" + "".join(lines)), Lockfile(entries=entries)
    whole = ledger.history(name)
    before, ledgers.FEW_ROWS = ledgers.FEW_ROWS, few
    try:
        part = ledger.history_beyond(name, held_clips(lockfile))
    finally:
        ledgers.FEW_ROWS = before
    assert [found for found in whole if found in part] == part
    assert plan(manifest, lockfile, part) == plan(manifest, lockfile, whole)


def record(ledger: SqliteLedger, manifest: str, prompt: str, state: JobState, attempt: int) -> Job:
    there = job(REQUESTS["A", prompt], shot="A", state=state, attempt=attempt)
    key = TakeKey(manifest=manifest, shot=ShotId("A"), take=1)
    found = replace(there, intent=replace(there.intent, key=key, external_task_id=ExternalTaskId(f"{manifest}.{attempt}")))
    insert(ledger, found)
    return found


@pytest.mark.parametrize(("first", "told"), [(JobState.STORED, 1), (JobState.RUNNING, 0), (JobState.FAILED, 0)])
def test_behind_a_clip_that_is_held_only_other_clips_are_told(ledger: SqliteLedger, first: JobState, told: int) -> None:
    name = f"behind-{first}.yaml"
    record(ledger, name, "two", first, 1)
    last = record(ledger, name, "one", JobState.STORED, 2)
    lockfile = Lockfile(entries={(ShotId("A"), 1): entry(REQUESTS["A", "one"], shot="A", attempt=2)})
    part = ledger.history_beyond(name, held_clips(lockfile))
    assert [found.intent.attempt for found in part] == [1] * told
    for prompt in PROMPTS:  # changed back to two, the clip of two is fetched, not bought again
        manifest = manifest_of(f"shots:\n  - {{id: A, prompt: {prompt}}}\n")
        assert plan(manifest, lockfile, part) == plan(manifest, lockfile, ledger.history(name))
    assert len(ledger.history_beyond(name, {})) == 2
    assert last.intent.fingerprint == lockfile.entries[ShotId("A"), 1].fingerprint


def test_an_attempt_under_way_behind_which_a_held_clip_lies_is_told(ledger: SqliteLedger) -> None:
    record(ledger, "ahead.yaml", "one", JobState.STORED, 1)
    record(ledger, "ahead.yaml", "one", JobState.IN_DOUBT, 2)
    lockfile = Lockfile(entries={(ShotId("A"), 1): entry(REQUESTS["A", "one"], shot="A")})
    assert len(ledger.history_beyond("ahead.yaml", held_clips(lockfile))) == 2


def test_what_the_lockfile_holds_is_not_read_and_what_is_unfinished_is(ledger: SqliteLedger) -> None:
    states = {"A": JobState.STORED, "B": JobState.RUNNING}
    for shot, state in states.items():
        there = job(REQUESTS[shot, "one"], shot=shot, state=state)
        key = TakeKey(manifest="two.yaml", shot=ShotId(shot), take=1)
        insert(ledger, replace(there, intent=replace(there.intent, key=key, external_task_id=ExternalTaskId(f"two.{shot}"))))
    held = held_clips(Lockfile(entries={(ShotId(shot), 1): entry(REQUESTS[shot, "one"], shot=shot) for shot in states}))
    assert [found.intent.key.shot for found in ledger.history_beyond("two.yaml", held)] == ["B"]
    other = {(ShotId("A"), 1, Fingerprint("sha256:other")): entry(REQUESTS["A", "one"], shot="A")}
    assert len(ledger.history_beyond("two.yaml", other)) == 2


def test_a_block_that_names_other_bytes_of_a_job_than_the_ledger_is_overruled_and_another_job_s_is_not(
        ledger: SqliteLedger) -> None:
    known, name = record(ledger, "edited.yaml", "one", JobState.STORED, 1), "edited.yaml"
    block = replace(entry(REQUESTS["A", "one"], shot="A"), job_id=known.job_id, outputs=known.artifacts)
    clip = known.artifacts[0]
    manifest = manifest_of("shots:\n  - {id: A, prompt: one}\n")
    for outputs in ((replace(clip, sha256="0" * 64),), (replace(clip, bytes=clip.bytes + 1),), (clip, clip)):
        lockfile = Lockfile(entries={(ShotId("A"), 1): replace(block, outputs=outputs)})
        part = ledger.history_beyond(name, held_clips(lockfile))
        assert part == [known]
        change = plan(manifest, lockfile, part).changes[0]
        assert change.entry is not None
        assert [(one.sha256, one.bytes) for one in change.entry.outputs] == [(clip.sha256, clip.bytes)]
        assert change == plan(manifest, lockfile, ledger.history(name)).changes[0]
    theirs = replace(block, job_id=JobId("job_of_another_machine"), outputs=(replace(clip, sha256="0" * 64),))
    for believed in (block, theirs):
        lockfile = Lockfile(entries={(ShotId("A"), 1): believed})
        assert ledger.history_beyond(name, held_clips(lockfile)) == []
        found = plan(manifest, lockfile, ledger.history(name)).changes[0].entry
        assert found is not None
        assert found.outputs[0].sha256 == believed.outputs[0].sha256


def test_a_clip_without_bytes_in_the_lockfile_is_not_held() -> None:
    there = entry(REQUESTS["A", "one"], shot="A")
    assert held_clips(Lockfile(entries={(ShotId("A"), 1): there})) == {("A", 1, there.fingerprint): there}
    # What the ledger knows of the jobs on record beside it is asked for.
    assert not held_clips(Lockfile(entries={(ShotId("A"), 1): there}, superseded={(ShotId("A"), 1): (there,)}))
    assert not held_clips(Lockfile(entries={(ShotId("A"), 1): replace(there, outputs=())}))
    assert not held_clips(Lockfile(entries={(ShotId("A"), 1): replace(there, state=JobState.SUBMITTED)}))
