"""A saved plan is held against a fresh one, never believed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from manifest_runner.core.model import Plan
from manifest_runner.core.planfile import differences, dumps
from tests.builders import manifest_of, plan_of


def plan(prompt: str = "x") -> Plan:
    made = plan_of(manifest_of(f"shots:\n  - {{id: A, prompt: {prompt}}}\n"))
    return replace(made, basis={"lockfile": "none", "file test.yaml": f"sha256:{prompt}"})


def test_the_same_plan_is_no_difference_and_the_same_bytes() -> None:
    assert differences(json.loads(dumps(plan())), plan()) == []
    assert dumps(plan()) == dumps(plan())


def test_what_differs_in_the_basis_is_named() -> None:
    (found,) = differences(json.loads(dumps(plan("x"))), plan("y"))
    assert found.startswith("file test.yaml: sha256:x when planned, sha256:y now")


@pytest.mark.parametrize("field", ["changes", "total", "cut_total", "manifest"])
def test_a_plan_that_somebody_edited_is_refused(field: str) -> None:
    saved = json.loads(dumps(plan()))
    saved[field] = "0" if field != "changes" else []
    assert differences(saved, plan()) == [f"{field} differs"]


@pytest.mark.parametrize("saved", [None, [], 3, "plan", {}, {"version": 2}, {"version": 1, "basis": []}])
def test_what_is_no_plan_is_a_difference_and_no_crash(saved: Any) -> None:
    assert differences(saved, plan())
