"""The plan: what is done about every take, and why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from manifest_runner.core.model import Action, ExternalTaskId, JobId, JobState, Manifest, ReasonCode, ShotId
from manifest_runner.core.planning import is_stale
from tests.builders import entry, job, manifest_of, plan_of, rendered

CHAIN = """
shots:
  - {id: A, prompt: one}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three, first_frame: {shot: B, frame: last}}
  - {id: D, prompt: four}
"""


def actions(manifest: Manifest, **world: object) -> dict[str, str]:
    return {f"{c.shot}{c.take}": c.action.value for c in plan_of(manifest, **world).changes}  # type: ignore[arg-type]


def reasons(manifest: Manifest, **world: object) -> dict[str, list[ReasonCode]]:
    return {f"{c.shot}{c.take}": [r.code for r in c.reasons] for c in plan_of(manifest, **world).changes}  # type: ignore[arg-type]


def test_everything_new_is_created_and_priced() -> None:
    plan = plan_of(
        manifest_of("shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: y, duration: 10, resolution: 1080p, takes: 2}\n")
    )
    assert [(c.shot, c.take, c.action, c.quote.credits) for c in plan.changes] == [
        ("A", 1, Action.CREATE, Decimal(145)),
        ("B", 1, Action.CREATE, Decimal(460)),
        ("B", 2, Action.CREATE, Decimal(460)),
    ]
    assert plan.total == Decimal(1065)


def test_the_price_of_the_cut_counts_each_shot_once() -> None:
    assert plan_of(manifest_of("shots:\n  - {id: A, prompt: x, takes: 3}\n")).cut_total == Decimal(145)


def test_what_is_rendered_and_unchanged_is_kept_and_free() -> None:
    manifest = manifest_of(CHAIN)
    plan = plan_of(manifest, lock=rendered(manifest))
    assert plan.is_empty
    assert plan.total == 0


def test_a_changed_prompt_replaces_that_shot_and_those_that_take_a_frame_from_it_and_no_other() -> None:
    lock = rendered(manifest_of(CHAIN))
    changed = manifest_of(CHAIN.replace("prompt: one", "prompt: ONE"))
    assert actions(changed, lock=lock) == {"A1": "replace", "B1": "replace", "C1": "replace", "D1": "keep"}
    assert reasons(changed, lock=lock)["A1"] == [ReasonCode.PROMPT_CHANGED]
    assert reasons(changed, lock=lock)["C1"] == [ReasonCode.UPSTREAM_CHANGED]


def test_a_change_in_the_middle_of_a_chain_leaves_what_comes_before() -> None:
    lock = rendered(manifest_of(CHAIN))
    changed = manifest_of(CHAIN.replace("prompt: two", "prompt: TWO"))
    assert actions(changed, lock=lock) == {"A1": "keep", "B1": "replace", "C1": "replace", "D1": "keep"}


def test_comments_and_layout_change_nothing() -> None:
    lock = rendered(manifest_of(CHAIN))
    loose = CHAIN.replace("  - {id: A, prompt: one}", "# a comment\n    \n  - id:   A\n    prompt:   'one'\n")
    assert plan_of(manifest_of(loose), lock=lock).is_empty


def test_a_number_written_another_way_changes_nothing() -> None:
    lock = rendered(manifest_of("shots:\n  - {id: A, prompt: x, duration: 4}\n"))
    assert plan_of(manifest_of("shots:\n  - {id: A, prompt: x, duration: 4.0}\n"), lock=lock).is_empty


def test_a_parameter_that_changed_is_named_with_both_values() -> None:
    lock = rendered(manifest_of("shots:\n  - {id: A, prompt: x, duration: 4}\n"))
    (change,) = plan_of(manifest_of("shots:\n  - {id: A, prompt: x, duration: 6}\n"), lock=lock).changes
    assert (change.action, change.reasons[0].code, change.reasons[0].detail) == (
        Action.REPLACE,
        ReasonCode.PARAMETER_CHANGED,
        "duration 4 → 6",
    )


def test_other_bytes_in_a_picture_are_a_changed_frame() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x, first_frame: plate.png}\n")
    lock = rendered(manifest, pictures={"plate.png": "a" * 64})
    assert plan_of(manifest, lock=lock, pictures={"plate.png": "a" * 64}).is_empty
    assert reasons(manifest, lock=lock, pictures={"plate.png": "b" * 64}) == {"A1": [ReasonCode.FRAME_CHANGED]}


def test_other_bytes_of_an_upstream_clip_replace_what_follows() -> None:
    manifest = manifest_of(CHAIN)
    lock = rendered(manifest)
    lock["A", 1] = entry(lock["A", 1].request, shot="A", content="retaken elsewhere")
    assert actions(manifest, lock=lock) == {"A1": "keep", "B1": "replace", "C1": "replace", "D1": "keep"}


def test_a_chain_follows_the_circled_take() -> None:
    text = (
        "shots:\n  - {id: A, prompt: x, takes: 2, circled: %d}\n  - {id: B, prompt: y, first_frame: {shot: A, frame: last}}\n"
    )
    lock = rendered(manifest_of(text % 1))
    assert actions(manifest_of(text % 2), lock=lock) == {"A1": "keep", "A2": "keep", "B1": "replace"}


def test_a_named_take_is_followed_whatever_is_circled() -> None:
    text = "shots:\n  - {id: A, prompt: x, takes: 2, circled: %d}\n  - {id: B, prompt: y, first_frame: {shot: A, take: 1}}\n"
    lock = rendered(manifest_of(text % 1))
    assert plan_of(manifest_of(text % 2), lock=lock).is_empty


@pytest.mark.parametrize(("state", "code"), [("missing", ReasonCode.OUTPUT_MISSING), ("changed", ReasonCode.OUTPUT_CHANGED)])
def test_a_clip_that_is_not_in_its_place_is_fetched_for_nothing(state: str, code: ReasonCode) -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    (change,) = plan_of(manifest, lock=rendered(manifest), files=state).changes
    assert (change.action, change.reasons[0].code, change.quote.credits) == (Action.FETCH, code, Decimal(0))


def test_a_missing_upstream_file_does_not_make_what_follows_new() -> None:
    manifest = manifest_of(CHAIN)
    assert actions(manifest, lock=rendered(manifest), files={"renders/test/A_t1.mp4": "missing"}) == {
        "A1": "fetch",
        "B1": "keep",
        "C1": "keep",
        "D1": "keep",
    }


def test_a_shot_that_is_gone_is_dropped() -> None:
    lock = rendered(manifest_of(CHAIN))
    assert actions(manifest_of("shots:\n  - {id: D, prompt: four}\n"), lock=lock) == {
        "D1": "keep",
        "A1": "drop",
        "B1": "drop",
        "C1": "drop",
    }


def test_a_take_that_is_gone_is_dropped() -> None:
    lock = rendered(manifest_of("shots:\n  - {id: A, prompt: x, takes: 2}\n"))
    assert actions(manifest_of("shots:\n  - {id: A, prompt: x}\n"), lock=lock) == {"A1": "keep", "A2": "drop"}


@pytest.mark.parametrize(
    "state", [JobState.INTENDED, JobState.SUBMITTED, JobState.RUNNING, JobState.MISSING, JobState.SUCCEEDED, JobState.IN_DOUBT]
)
def test_an_unfinished_job_is_resumed_before_anything_else_and_costs_only_what_may_not_have_left(state: JobState) -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    request = plan_of(manifest).changes[0].after
    assert request is not None
    (change,) = plan_of(manifest, jobs={("A", 1): job(request, shot="A", state=state)}).changes
    may_still_cost = Decimal(145) if state is JobState.INTENDED else Decimal(0)
    assert (change.action, change.quote.credits) == (Action.RESUME, may_still_cost)
    assert not is_stale(change)


def test_an_unfinished_job_of_an_earlier_request_is_finished_first() -> None:
    old = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n")).changes[0].after
    assert old is not None
    (change,) = plan_of(
        manifest_of("shots:\n  - {id: A, prompt: y}\n"), jobs={("A", 1): job(old, shot="A", state=JobState.RUNNING)}
    ).changes
    assert change.action is Action.RESUME
    assert is_stale(change)


def test_an_unfinished_job_of_a_removed_shot_is_finished_not_forgotten() -> None:
    manifest = manifest_of(CHAIN)
    request = plan_of(manifest).changes[0].after
    assert request is not None
    changes = plan_of(
        manifest_of("shots:\n  - {id: D, prompt: four}\n"), jobs={("A", 1): job(request, shot="A", state=JobState.RUNNING)}
    ).changes
    assert [(c.shot, c.action) for c in changes] == [("D", Action.CREATE), ("A", Action.RESUME)]
    assert is_stale(changes[1])


def test_a_job_that_only_the_lockfile_knows_is_resumed_too() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    request = plan_of(manifest).changes[0].after
    assert request is not None
    assert actions(manifest, lock={("A", 1): entry(request, shot="A", state=JobState.SUBMITTED)}) == {"A1": "resume"}


def test_the_ledger_wins_over_a_lockfile_that_was_rolled_back() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    request = plan_of(manifest).changes[0].after
    assert request is not None
    assert actions(manifest, jobs={("A", 1): job(request, shot="A", state=JobState.STORED)}) == {"A1": "keep"}


def test_a_prompt_that_was_reverted_finds_its_old_clip_in_the_lockfile() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    other = plan_of(manifest_of("shots:\n  - {id: A, prompt: y}\n")).changes[0].after
    assert other is not None
    assert actions(
        manifest, lock=rendered(manifest), jobs={("A", 1): job(other, shot="A", state=JobState.STORED, attempt=2)}
    ) == {"A1": "keep"}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.REFUSED, JobState.ABANDONED])
def test_what_failed_is_tried_again_and_says_why(state: JobState) -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    request = plan_of(manifest).changes[0].after
    assert request is not None
    (change,) = plan_of(manifest, jobs={("A", 1): job(request, shot="A", state=state, error="moderation")}).changes
    assert (change.action, change.reasons[0].code, change.reasons[0].detail) == (
        Action.CREATE,
        ReasonCode.FAILED_BEFORE,
        "moderation",
    )


def test_only_brings_the_shots_whose_frames_are_needed_and_drops_nothing() -> None:
    manifest = manifest_of(CHAIN)
    assert actions(manifest, only=frozenset({"B"}), lock=rendered(manifest_of("shots:\n  - {id: Z, prompt: z}\n"))) == {
        "A1": "create",
        "B1": "create",
    }


def test_a_chain_of_thousands_needs_no_deep_recursion() -> None:
    lines = ["shots:", "  - {id: S0, prompt: x}"]
    lines += [f"  - {{id: S{n}, prompt: x, first_frame: {{shot: S{n - 1}, frame: last}}}}" for n in range(1, 3000)]
    changes = plan_of(manifest_of("\n".join([lines[0], *reversed(lines[1:])]) + "\n")).changes
    assert len(changes) == 3000


def test_the_same_world_gives_the_same_plan() -> None:
    manifest = manifest_of(CHAIN)
    assert plan_of(manifest) == plan_of(manifest)


def test_a_camera_that_changed_is_told_in_film_words() -> None:
    before = manifest_of("shots:\n  - {id: A, prompt: x, camera: {move: truck_right, amount: 4}}\n")
    after = manifest_of("shots:\n  - {id: A, prompt: x, camera: pan_left}\n")
    (change,) = plan_of(after, lock=rendered(before)).changes
    assert [reason.detail for reason in change.reasons] == ["camera truck right 4 → pan left 5"]


def test_a_job_on_record_of_a_removed_shot_is_finished_before_its_take_is_dropped_unless_the_ledger_knows_it() -> None:
    lock = rendered(manifest_of("shots:\n  - {id: A, prompt: x}\n"))
    alive = replace(lock["A", 1], state=JobState.RUNNING, external_task_id=ExternalTaskId("other"), job_id=JobId("job_other"))
    superseded = {(ShotId("A"), 1): (alive,)}
    manifest = manifest_of("shots:\n  - {id: B, prompt: y}\n")
    (_, change) = plan_of(manifest, lock=lock, superseded=superseded).changes
    assert (change.action, change.entry) == (Action.RESUME, alive)
    (_, change) = plan_of(manifest, lock=lock, superseded=superseded, known=["other"]).changes
    assert change.action is Action.DROP


TAKES = """shots:
  - {id: A, prompt: x, takes: %s}
  - {id: B, prompt: y, first_frame: {shot: A}}
  - {id: C, prompt: z, first_frame: {shot: B}}
"""


@pytest.mark.parametrize(
    ("takes", "told"),
    [
        ("2", {"A2": "retake asked for the cut", "B1": "upstream take changed A t2", "C1": "upstream take changed B"}),
        ("2, circled: 1", {"A2": "retake asked t1 stays in the cut"}),
        ("3", {"A2": "retake asked", "A3": "retake asked for the cut", "B1": "upstream take changed A t3",
               "C1": "upstream take changed B"}),
    ],
)  # fmt: skip
def test_a_retake_says_whether_it_is_for_the_cut_and_what_follows_from_which_take(takes: str, told: dict[str, str]) -> None:
    changes = plan_of(manifest_of(TAKES % takes), lock=rendered(manifest_of(TAKES % 1))).changes
    reason = {f"{c.shot}{c.take}": f"{c.reasons[0].code.value} {c.reasons[0].detail}".strip() for c in changes}
    assert {take: words for take, words in reason.items() if words != "unchanged"} == told


def test_takes_of_a_shot_that_was_never_rendered_are_new_and_no_retakes() -> None:
    assert reasons(manifest_of(TAKES % 2)) == {take: [ReasonCode.NEW] for take in ("A1", "A2", "B1", "C1")}


def test_a_clip_that_only_the_ledger_knows_makes_another_take_a_retake() -> None:
    request = plan_of(manifest_of(TAKES % 1)).changes[0].after
    assert request is not None
    known = {("A", 1): job(request, shot="A", state=JobState.STORED)}
    assert reasons(manifest_of(TAKES % 2), jobs=known)["A2"] == [ReasonCode.RETAKE_ASKED]
    failed = {("A", 1): job(request, shot="A", state=JobState.FAILED)}
    assert reasons(manifest_of(TAKES % 2), jobs=failed)["A2"] == [ReasonCode.NEW]


def test_another_circle_says_which_take_what_follows_will_be_made_from() -> None:
    lock = rendered(manifest_of(TAKES % "2, circled: 1"))
    (change,) = [c for c in plan_of(manifest_of(TAKES % "2, circled: 2"), lock=lock).changes if c.shot == "B"]
    assert [(reason.code, reason.detail) for reason in change.reasons] == [(ReasonCode.UPSTREAM_CHANGED, "A t2")]
