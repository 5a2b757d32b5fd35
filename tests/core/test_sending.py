"""In which order the takes of a plan are submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Rate
from manifest_runner.core.sending import sending_order, sequence
from tests.builders import CARD, manifest_of, plan_of, rendered

TAILS = st.lists(st.sampled_from([10.0, 60.0, 90.0, 120.0, 300.0, 1000.0]) | st.floats(0, 1000), max_size=40)
SPACING = st.sampled_from([0.0, 0.5, 2.0, 30.0]) | st.floats(0, 100)


def ends(order: Sequence[int], tails: Sequence[float], spacing: float) -> float:
    """When the last one has ended, if one leaves every so many seconds."""
    return max((number * spacing + tails[place] for number, place in enumerate(order)), default=0.0)


@given(TAILS, SPACING)
def test_everybody_leaves_once_and_no_order_ends_earlier(tails: list[float], spacing: float) -> None:
    order = sequence(tails, spacing)
    longest_first = sorted(range(len(tails)), key=lambda place: -tails[place])
    assert sorted(order) == list(range(len(tails)))
    assert ends(order, tails, spacing) == ends(longest_first, tails, spacing)


@given(TAILS, SPACING)
def test_where_the_order_of_the_cut_costs_no_time_it_is_kept(tails: list[float], spacing: float) -> None:
    cut, order = list(range(len(tails))), sequence(tails, spacing)
    assert (order == cut) is (ends(order, tails, spacing) == ends(cut, tails, spacing))


@given(TAILS, SPACING)
def test_of_two_that_take_as_long_the_first_of_the_cut_leaves_first(tails: list[float], spacing: float) -> None:
    place = {number: at for at, number in enumerate(sequence(tails, spacing))}
    for number, tail in enumerate(tails):
        assert all(place[other] < place[number] for other in range(number) if tails[other] == tail)


def shots(*lines: str) -> str:
    return "defaults: {resolution: 720p}\nshots:\n" + "".join(f"  - {line}\n" for line in lines)


PLAIN = shots(*(f"{{id: S{number}, prompt: x}}" for number in range(6)))
CHAIN = shots(*(f"{{id: S{number}, prompt: x}}" for number in range(6)), "{id: A, prompt: x}",
              "{id: B, prompt: x, first_frame: {shot: A, frame: last}}",
              "{id: C, prompt: x, first_frame: {shot: B, frame: last}}")
LENGTHS = shots(*(f"{{id: S{number}, prompt: x, duration: {3 if number < 5 else 10}}}" for number in range(6)))
ONE_AT_ONCE: Mapping[str, Any] = {"rate": None, "concurrency": 1, "left": None}


def order(text: str, took: Mapping[int, float] | None = None, **limits: Any) -> str:
    """The shots that are submitted, in order; `took` is what earlier clips of so many seconds took."""
    manifest = manifest_of(text)
    plan = plan_of(manifest)
    durations = [(change.after, (took or {})[change.after.params["duration"]]) for change in plan.changes
                 if took and change.after is not None and change.after.params["duration"] in took] * 3
    found = sending_order(plan, manifest, CARD, durations, **{**ONE_AT_ONCE, **limits})
    return " ".join(change.shot for change in found)


@pytest.mark.parametrize(("text", "took", "limits", "expected"), [
    (PLAIN, None, {}, "S0 S1 S2 S3 S4 S5"),
    (CHAIN, None, {"concurrency": None}, "S0 S1 S2 S3 S4 S5 A B C"),  # all leave at once: nothing is gained
    # One leaves every 40 s and the last one ends after 440; so A must have left 360 s before that, and B 240.
    (CHAIN, None, {"concurrency": 3}, "S0 S1 A S2 S3 B S4 S5 C"),
    (CHAIN, None, {"rate": Rate(count=1, per=60), "concurrency": None}, "S0 S1 S2 S3 A S4 B S5 C"),
    (CHAIN, None, {"left": Decimal(0)}, "S0 S1 S2 S3 S4 S5 A B C"),  # what is not enough for all is spent on the first
    (CHAIN, None, {"left": Decimal(10**6), "concurrency": 3}, "S0 S1 A S2 S3 B S4 S5 C"),
    (LENGTHS, {3: 60.0, 10: 300.0}, {"concurrency": None, "rate": Rate(count=1, per=60)}, "S0 S5 S1 S2 S3 S4"),
    (LENGTHS, None, {"concurrency": None, "rate": Rate(count=1, per=60)}, "S0 S1 S2 S3 S4 S5"),
    ("shots:\n  - {id: A, prompt: x, takes: 2}\n", None, {}, "A A"),
])
def test_an_order(text: str, took: Mapping[int, float] | None, limits: Mapping[str, Any], expected: str) -> None:
    assert order(text, took, **limits) == expected


def test_what_is_kept_is_not_in_it_and_what_goes_on_from_it_waits_for_nothing() -> None:
    manifest = manifest_of(CHAIN)
    lock = {where: entry for where, entry in rendered(manifest).items() if where[0] in ("A", "S0")}
    found = sending_order(plan_of(manifest, lock=lock), manifest, CARD, (), **{**ONE_AT_ONCE, "concurrency": 3})
    assert " ".join(change.shot for change in found) == "S1 S2 S3 B S4 S5 C"
