"""What the cut came to as it is locked, by today's prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from manifest_runner.core.cutprice import locked_cut_total
from manifest_runner.core.model import JobState, LockEntry, Lockfile, Request, ShotId
from tests.builders import CARD, entry, manifest_of, plan_of, rendered

ONE = manifest_of("shots:\n  - {id: A, prompt: x, duration: 5}\n  - {id: B, prompt: y, duration: 3, takes: 2}\n")


def total(lock: Mapping[tuple[str, int], LockEntry], manifest: Any = ONE) -> Decimal:
    entries = {(ShotId(shot), take): value for (shot, take), value in lock.items()}
    return locked_cut_total(manifest, CARD, Lockfile(entries=entries))


def test_nothing_locked_is_nothing() -> None:
    assert total({}) == 0


def test_a_show_that_has_not_changed_comes_to_what_it_came_to_whatever_was_charged() -> None:
    lock = {where: replace(value, charged=Decimal(3)) for where, value in rendered(ONE).items()}
    assert total(lock) == plan_of(ONE, lock=lock).cut_total == Decimal(8 * 29)


def test_a_shot_counts_once_with_the_take_of_the_cut_where_it_is_locked() -> None:
    short = Request(model=CARD.name, params={"prompt": "y", "duration": 1, "resolution": "720p"})
    lock = {("B", 1): entry(short, shot="B"), ("B", 2): entry(replace(short, params={**short.params, "duration": 9}), shot="B")}
    assert total(lock) == 9 * 29
    circled = manifest_of("shots:\n  - {id: B, prompt: y, takes: 2, circled: 1}\n")
    assert total(lock, circled) == 29


def test_a_shot_that_is_dropped_counts_with_its_latest_take() -> None:
    dropped = manifest_of("shots:\n  - {id: C, prompt: z}\n")
    assert total(rendered(ONE), dropped) == 8 * 29


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.REFUSED, JobState.ABANDONED])
def test_what_never_came_does_not_count(state: JobState) -> None:
    request = Request(model=CARD.name, params={"prompt": "x"})
    assert total({("A", 1): entry(request, shot="A", state=state)}) == 0


@pytest.mark.parametrize("params", [{"duration": "1E+99999999"}, {"duration": 10**400}, {"duration": -5}, {"duration": None},
                                    {"resolution": "8k"}])
def test_what_has_no_price_today_counts_with_what_it_cost(params: dict[str, Any]) -> None:
    assert total({("A", 1): entry(Request(model=CARD.name, params=params), shot="A")}) == 145
    assert total({("A", 1): entry(Request(model="older", params={}), shot="A", state=JobState.RUNNING)}) == 145
