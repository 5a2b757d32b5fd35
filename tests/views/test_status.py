"""Where everything stands, and what to type next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import click
import pytest

from manifest_runner.cli.commands.status import next_steps
from manifest_runner.core.model import Job, JobState, Manifest, Plan, ShotId
from manifest_runner.core.planning import Where
from manifest_runner.core.requests import request_of
from manifest_runner.views.status import standings, status_dict, status_text, to_look_at
from tests.builders import CARD, entry, job, manifest_of, plan_of, rendered, verdict

HEAD = "defaults: {duration: 5}\nshots:\n"


def show(number: int) -> Manifest:
    return manifest_of(HEAD + "".join(f"  - {{id: S{n:03}, prompt: shot {n}}}\n" for n in range(1, number + 1)))


def jobs_of(manifest: Manifest, states: Mapping[str, JobState], error: str = "") -> dict[tuple[str, int], Job]:
    shots = {shot.id: shot for shot in manifest.shots}
    return {(name, 1): job(request_of(shots[ShotId(name)], CARD, {}), shot=name, state=state, error=error)
            for name, state in states.items()}


def text(manifest: Manifest, jobs: Mapping[tuple[str, int], Job] | None = None, *, quiet: bool = False, verbose: bool = False,
         limit: Decimal | None = None, plan: Plan | None = None) -> str:
    plan = plan or plan_of(manifest, jobs=jobs)
    known: dict[Where, Job] = {(ShotId(shot), take): one for (shot, take), one in (jobs or {}).items()}
    rows = standings(plan, known, manifest)
    steps = next_steps(rows, plan, "show.yaml", limit=limit)
    return click.unstyle(status_text(rows, known, plan, CARD, steps, quiet=quiet, verbose=verbose))


def test_where_nothing_is_rendered_yet_there_is_no_table_and_three_ways_on() -> None:
    assert text(show(3)) == """\
0 of 3 takes done. 0 credits (₹0) charged; what is left to render costs 435.
next: manifest-runner render show.yaml --draft   (an animatic, for no credits)
next: manifest-runner plan show.yaml
next: manifest-runner render show.yaml   (435 credits)"""


def test_quiet_is_the_summary_alone() -> None:
    assert text(show(3), quiet=True) == "0 of 3 takes done. 0 credits (₹0) charged; what is left to render costs 435."


def test_a_limit_that_is_too_small_for_what_is_left_is_said() -> None:
    last = text(show(3), limit=Decimal(50)).splitlines()[-1]
    assert last.endswith("(435 credits, and a run may spend 50: --max-credits, or limits.credits in the manifest)")
    assert "may spend" not in text(show(3), limit=Decimal(435))


NEXT = [
    (JobState.IN_DOUBT, ["adopt show.yaml S001:1 JOB_ID", "abandon show.yaml S001:1"]),
    (JobState.MISSING, ["abandon show.yaml S001:1", "render show.yaml"]),
    (JobState.INTENDED, ["render show.yaml"]),
    (JobState.SUBMITTED, ["render show.yaml"]),
    (JobState.RUNNING, ["render show.yaml"]),
    (JobState.SUCCEEDED, ["render show.yaml"]),
    (JobState.FAILED, ["plan show.yaml", "render show.yaml"]),
    (JobState.REFUSED, ["plan show.yaml", "render show.yaml"]),
    (JobState.ABANDONED, ["plan show.yaml", "render show.yaml"]),
    (JobState.STORED, ["reel show.yaml", "report show.yaml", "timeline show.yaml"]),
]


@pytest.mark.parametrize(("state", "commands"), NEXT, ids=[state.value for state, _ in NEXT])
def test_each_state_says_what_to_type_next(state: JobState, commands: list[str]) -> None:
    manifest = show(1)
    said = [line.partition("   ")[0].removeprefix("next: manifest-runner ")
            for line in text(manifest, jobs_of(manifest, {"S001": state})).splitlines() if line.startswith("next: ")]
    assert said == commands


def test_what_failed_says_why_and_that_it_may_be_changed_or_tried_again() -> None:
    manifest = show(2)
    said = text(manifest, jobs_of(manifest, {"S001": JobState.FAILED, "S002": JobState.STORED}, error="blocked"))
    assert "  S001 t1  failed:  blocked\n" in said
    assert "next: manifest-runner render show.yaml   (after changing what failed, or to try it as it is; 145 credits)" in said


def test_500_shots_are_summed_up_and_what_a_person_must_look_at_is_named() -> None:
    manifest = show(500)
    states = {**{f"S{n:03}": JobState.STORED for n in range(1, 101)}, "S101": JobState.IN_DOUBT,
              **{f"S{n:03}": JobState.FAILED for n in range(102, 132)},
              **{f"S{n:03}": JobState.RUNNING for n in range(132, 140)}}
    said = text(manifest, jobs_of(manifest, states)).splitlines()
    assert len(said) < 30
    assert said[0].startswith("  S101 t1  in doubt: it may have been accepted")
    assert sum("failed:" in line and line.startswith("  S1") for line in said) == 11
    assert [line.strip() for line in said if "…" in line] == [
        "19   more failed     S113 t1 … S131 t1",
        "8    at the gateway  S132 t1 … S139 t1",
        "361  not rendered    S140 t1 … S500 t1",
    ]
    assert "100 of 500 takes done." in said[-5]


def test_a_clip_that_is_other_than_asked_is_told_with_how_that_stands() -> None:
    manifest = manifest_of(HEAD + "  - {id: S001, prompt: a}\n  - {id: S002, prompt: b, circled: 1}\n"
                           "  - {id: S003, prompt: c, takes: 2, circled: 2}\n")
    lock = {where: replace(block, verdict=None if where == ("S003", 2) else verdict("all of it is black"))
            for where, block in rendered(manifest).items()}
    said = text(manifest, plan=plan_of(manifest, lock=lock))
    assert said.splitlines()[:5] == [
        "  S001 t1          done, but look at it: all of it is black",
        "  S002 t1 circled  done, accepted as it is: all of it is black",
        "  S003 t1          done, not in the cut: all of it is black",
        "  S003 t2 circled  done",
        "",
    ]


def test_many_clips_to_look_at_are_named_first_and_accepted_ones_are_not_urgent() -> None:
    lines = [f"  - {{id: S{n:03}, prompt: x{', circled: 1' if n > 20 else ''}}}\n" for n in range(1, 41)]
    manifest = manifest_of(HEAD + "".join(lines))
    lock = {where: replace(block, verdict=verdict("all of it is black")) for where, block in rendered(manifest).items()}
    said = text(manifest, plan=plan_of(manifest, lock=lock))
    assert sum("but look at it" in line for line in said.splitlines()) == 12
    assert "more to look at" in said
    assert re.search(r"20\s+done, accepted as it is: all of it is black\s+S021 t1 … S040 t1", said)


def test_takes_to_look_at_are_one_line_for_a_plan_and_a_run() -> None:
    manifest = show(5)
    lock = {where: replace(block, verdict=verdict("all of it is black")) for where, block in rendered(manifest).items()}
    line = to_look_at(plan_of(manifest, lock=lock).changes)
    assert line == ("5 takes in the cut to look at: S001 t1 (all of it is black), S002 t1 (all of it is black), "
                    "S003 t1 (all of it is black) and 2 more")


def test_verbose_lists_every_take() -> None:
    manifest = show(60)
    assert len(text(manifest, verbose=True).splitlines()) > 60


def test_a_changed_shot_is_no_longer_done() -> None:
    before, after = show(2), manifest_of(HEAD + "  - {id: S001, prompt: other}\n  - {id: S002, prompt: shot 2}\n")
    assert "S001 t1  changed since it was rendered" in text(after, plan=plan_of(after, lock=rendered(before)))


def test_a_clip_that_is_not_in_its_place_comes_back_for_nothing() -> None:
    manifest = show(1)
    lock = {("S001", 1): entry(request_of(manifest.shots[0], CARD, {}), shot="S001")}
    said = text(manifest, plan=plan_of(manifest, lock=lock, files="missing"))
    assert said.splitlines()[-1] == "next: manifest-runner render show.yaml   (brings the clips back, for nothing)"


TAKES = HEAD + "  - {id: S001, prompt: shot 1, takes: 2%s}\n  - {id: S002, prompt: shot 2}\n"


def of_takes(text: str, *done: str) -> tuple[Manifest, Plan]:
    """A manifest of which the takes named so (`S001:2`) are rendered."""
    manifest = manifest_of(text)
    lock = {where: entry for where, entry in rendered(manifest).items() if f"{where[0]}:{where[1]}" in done}
    return manifest, plan_of(manifest, lock=lock)


def test_takes_of_a_shot_are_shown_together_and_the_one_in_the_cut_is_marked() -> None:
    manifest, plan = of_takes(TAKES % ", circled: 1", "S001:1", "S002:1")
    assert text(manifest, plan=plan).splitlines()[:2] == ["  S001 t1 circled  done", "  S001 t2          not rendered"]
    manifest, plan = of_takes(TAKES % "", "S001:1", "S002:1")
    assert text(manifest, plan=plan).splitlines()[:2] == ["  S001 t1             done", "  S001 t2 in the cut  not rendered"]


def test_takes_are_shown_too_where_all_is_done_and_a_shot_without_a_circle_is_named() -> None:
    manifest, plan = of_takes(TAKES % ", circled: 1", "S001:1", "S001:2", "S002:1")
    said = text(manifest, plan=plan).splitlines()
    assert said[:3] == ["  S001 t1 circled  done", "  S001 t2          done", ""]
    assert not any("circle show.yaml" in line for line in said)
    manifest, plan = of_takes(TAKES % "", "S001:1", "S001:2", "S002:1")
    assert text(manifest, plan=plan).splitlines()[-1] == (
        "next: manifest-runner circle show.yaml S001:2   (none of its 2 takes is circled: the latest is in the cut)"
    )


def test_a_shot_of_a_matrix_is_not_named_for_a_circle_that_could_not_be_written() -> None:
    manifest, plan = of_takes(TAKES % "", "S001:1", "S001:2", "S002:1")
    rows = standings(plan, {}, manifest)
    assert any("circle" in step for step, _ in next_steps(rows, plan, "show.yaml"))
    assert not any("circle" in step for step, _ in next_steps(rows, plan, "show.yaml", shared={ShotId("S001")}))


def test_where_there_is_no_room_for_every_take_those_of_shots_that_are_shown_come_first() -> None:
    many = "".join(f"  - {{id: S{n:03}, prompt: shot {n}, takes: 2}}\n" for n in range(1, 61))
    manifest = manifest_of(HEAD + many)
    lock = rendered(manifest)
    del lock["S010", 2]
    said = text(manifest, plan=plan_of(manifest, lock=lock)).splitlines()
    assert said[:3] == ["  S010 t1             done", "  S010 t2 in the cut  not rendered", ""]


def test_programs_are_told_which_take_is_in_the_cut_and_which_was_circled() -> None:
    manifest, plan = of_takes(TAKES % ", circled: 1", "S001:1")
    told = status_dict(standings(plan, {}, manifest), {}, [])["takes"]
    assert [(row["shot"], row["take"], row["cut"], row["circled"]) for row in told] == [
        ("S001", 1, True, True), ("S001", 2, False, False), ("S002", 1, True, False)]


def test_a_take_that_the_manifest_no_longer_asks_for_is_in_no_cut() -> None:
    before = manifest_of(TAKES % "")
    after = manifest_of((TAKES % "").replace(", takes: 2", ""))
    plan = plan_of(after, lock=rendered(before))
    assert [(row.change.take, row.mark, row.is_cut) for row in standings(plan, {}, after)] == [
        (1, "", True), (1, "", True), (2, "", False)]
