"""A saved plan is held against a fresh one, never believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from manifest_runner.core.model import Plan
from manifest_runner.core.planfile import differences, dumps
from tests.builders import manifest_of, plan_of, rendered


def plan(prompt: str = "x") -> Plan:
    made = plan_of(manifest_of(f"shots:\n  - {{id: A, prompt: {prompt}}}\n"))
    return replace(made, basis={"lockfile": "none", "file test.yaml": f"sha256:{prompt}"})


def test_the_same_plan_is_no_difference_and_the_same_bytes() -> None:
    assert differences(json.loads(dumps(plan())), plan()) == []
    assert dumps(plan()) == dumps(plan())


def test_what_differs_in_the_basis_is_named() -> None:
    (found,) = differences(json.loads(dumps(plan("x"))), plan("y"))
    assert found.startswith("file test.yaml: sha256:x when planned, sha256:y now")


@pytest.mark.parametrize(("field", "said"), [
    ("manifest", "manifest: 0 when planned, test.yaml now"),
    ("total", "total: 0 when planned, 145 now"),
    ("cut_total", "cut_total: 0 when planned, 145 now"),
])
def test_a_plan_that_somebody_edited_is_refused(field: str, said: str) -> None:
    saved = json.loads(dumps(plan()))
    saved[field] = "0"
    assert differences(saved, plan()) == [said]


@pytest.mark.parametrize(("edit", "said"), [
    (lambda changes: changes.clear(), "A t1: nothing when planned, create for 145 (sha256:"),
    (lambda changes: changes[0].update(credits="1"), "A t1: create for 1 (sha256:"),
    (lambda changes: changes[0].update(action="keep"), "A t1: keep for 145 (sha256:"),
    (lambda changes: changes[0].update(fingerprint=None), "A t1: create for 145 (nothing) when planned"),
    (lambda changes: changes[0]["after"]["request"].update(prompt="y"), "A t1: create for 145 (sha256:"),
    (lambda changes: changes.append({**changes[0], "take": 2}), "A t2: create for 145 (sha256:"),
    (lambda changes: changes.append(dict(changes[0])), "changes: a take stands there twice"),
    (lambda changes: changes.append("B"), "changes: not as a plan has them"),
])
def test_a_take_that_somebody_edited_is_named(edit: Callable[[list[Any]], object], said: str) -> None:
    saved = json.loads(dumps(plan()))
    edit(saved["changes"])
    (found,) = differences(saved, plan())
    assert found.startswith(said)


def test_whether_a_locked_clip_lies_here_or_is_fetched_is_not_part_of_a_plan() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: y}\n")
    lock = rendered(manifest)
    there, gone = plan_of(manifest, lock=lock), plan_of(manifest, lock=lock, files="missing")
    assert there.changes != gone.changes
    assert differences(json.loads(dumps(gone)), there) == []
    assert differences(json.loads(dumps(there)), gone) == []


def test_takes_in_another_order_are_another_plan() -> None:
    fresh = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: y}\n"))
    saved = json.loads(dumps(fresh))
    saved["changes"].reverse()
    assert differences(saved, fresh) == ["changes: in another order"]


def test_only_the_first_of_many_differences_are_told_each_on_a_line_that_can_be_read() -> None:
    saved = json.loads(dumps(plan()))
    saved["basis"] = {f"file {'x' * 5000}{number}": "y" * 5000 for number in range(500)}
    found = differences(saved, plan())
    assert found[-1].startswith("and 4")
    assert len("".join(found)) < 3000


@pytest.mark.parametrize("saved", [None, [], 3, "plan", {}, {"version": 2}, {"version": 1, "basis": []},
                                   {"version": 1, "basis": {}, "changes": {}}])
def test_what_is_no_plan_is_a_difference_and_no_crash(saved: Any) -> None:
    assert differences(saved, plan())
