"""Orders: who is rendered together, what was approved, and what an order from a database must look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Plan
from manifest_runner.core.orders import Order, approval, binding, check_approved, groups, handed
from manifest_runner.errors import StalePlan, UsageError
from tests.builders import manifest_of, plan_of, rendered

CHAINS = """shots:
  - {id: A, prompt: one}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three}
  - {id: D, prompt: four, last_frame: {shot: C, frame: first}, first_frame: {shot: B, frame: last}}
  - {id: E, prompt: five, takes: 2}
  - {id: F, prompt: six}
"""
BASIS = {"program": "1", "model card": "sha256:aa", "prices": "p", "lockfile": "none", "file show.yaml": "sha256:bb"}


def planned(text: str = CHAINS) -> Plan:
    return replace(plan_of(manifest_of(text)), basis=BASIS)


def order(plan: Plan | None = None, **changes: Any) -> Order:
    plan = plan or planned()
    made = Order(repository="r", manifest="show.yaml", bundle="ab" * 32, bytes=10, shots=("A", "B"), run="run", max_credits="",
                 basis=binding(plan.basis), approved=approval(plan, tuple(change.shot for change in plan.changes)))
    return replace(made, **changes)


def test_shots_that_take_frames_from_each_other_are_rendered_together_in_the_order_of_the_cut() -> None:
    manifest = manifest_of(CHAINS)
    assert groups(plan_of(manifest), manifest) == [("A", "B", "C", "D"), ("E",), ("F",)]
    assert groups(plan_of(manifest), manifest, 2) == [("A", "B", "C", "D", "E"), ("F",)]
    assert groups(plan_of(manifest), manifest, 1) == [("A", "B", "C", "D", "E", "F")]


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 12))
def test_every_take_is_in_one_group_and_there_are_never_more_than_asked(upstream: list[int], most: int) -> None:
    shots = "".join(
        f"  - {{id: S{number}, prompt: x{f', first_frame: {{shot: S{frame}, frame: last}}' if frame < number else ''}}}\n"
        for number, frame in enumerate([99, *upstream]))
    manifest = manifest_of(f"shots:\n{shots}")
    found = groups(plan_of(manifest), manifest, most)
    assert len(found) <= most
    assert sorted(shot for group in found for shot in group) == sorted(shot.id for shot in manifest.shots)
    where = {shot: number for number, group in enumerate(found) for shot in group}
    for number, frame in enumerate([99, *upstream]):
        if frame < number:
            assert where[f"S{number}"] == where[f"S{frame}"]  # type: ignore[index]


def test_what_is_rendered_already_is_handed_to_nobody() -> None:
    manifest = manifest_of(CHAINS)
    done = plan_of(manifest, lock=rendered(manifest))
    assert handed(done, manifest) == ()
    assert groups(done, manifest) == []


def test_an_order_comes_back_from_its_data() -> None:
    assert Order.from_dict(order().to_dict()) == order()


@pytest.mark.parametrize("change", [
    {"version": 2}, {"version": True}, {"shots": "A"}, {"shots": [1]}, {"bundle": "../../etc/passwd"}, {"bundle": "ab"},
    {"bytes": "10"}, {"manifest": None}, {"basis": {"program": 1}}, {"approved": {"A t1": ["x", ""]}},
    {"approved": {"A t1": ["1"]}}, {"approved": {"A t1": ["NaN", ""]}}, {"approved": []}, {"run": 5},
    {"manifest": "/etc/show.yaml"}, {"manifest": "a/../../show.yaml"}, {"manifest": ""}, {"manifest": "a\\b"},
    {"max_credits": "many"}, {"max_credits": "Infinity"},
])
def test_what_is_no_order_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="order in the queue"):
        Order.from_dict({**order().to_dict(), **change})


@pytest.mark.parametrize("nothing", [None, [], "order", 5, {}])
def test_neither_is_anything_else(nothing: object) -> None:
    with pytest.raises(UsageError, match="not of version 1"):
        Order.from_dict(nothing)


def test_the_plan_that_was_approved_may_be_carried_out() -> None:
    check_approved(planned(), order())


@pytest.mark.parametrize(("change", "words"), [
    (lambda plan: replace(plan, basis={**plan.basis, "prices": "other"}), "prices: p where it was ordered, other here"),
    (lambda plan: replace(plan, basis={**plan.basis, "program": "2"}), "program: 1 where it was ordered, 2 here"),
    (lambda plan: replace(plan, changes=(replace(plan.changes[0], fingerprint="sha256:00"), *plan.changes[1:])), "A t1"),
    (lambda plan: replace(plan, changes=(replace(plan.changes[0], take=7), *plan.changes[1:])), "A t7"),
    (lambda plan: replace(plan, changes=(replace(plan.changes[0], quote=replace(plan.changes[0].quote, credits=Decimal(10**6))),
                                         *plan.changes[1:])), "A t1"),
])
def test_anything_beyond_it_is_refused(change: Callable[[Plan], Plan], words: str) -> None:
    with pytest.raises(StalePlan, match=words.replace("(", r"\(")):
        check_approved(change(planned()), order())


def test_less_than_was_approved_is_fine() -> None:
    plan = planned()
    check_approved(replace(plan, changes=plan.changes[2:]), order())
    cheaper = replace(plan.changes[0], quote=replace(plan.changes[0].quote, credits=Decimal(1)))
    check_approved(replace(plan, changes=(cheaper,)), order())


def test_files_are_in_the_bundle_and_not_compared_once_more() -> None:
    check_approved(replace(planned(), basis={**BASIS, "file show.yaml": "sha256:cc", "lockfile": "sha256:dd"}), order())
