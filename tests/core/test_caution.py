"""What a repository may change of a model card by itself: only what makes it more careful, or what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.caution import split
from manifest_runner.core.modelcard import override

CARD = load_card("kling-v3-omni")


@pytest.mark.parametrize("changes", [
    {"price": {"table": {"720p": 29}}},
    {"price": {"table": {"720p": 30.5, "1080p": 46.0}}},
    {"jobs": {"external_task_id": "correlates"}},
    {"jobs": {"external_task_id": CARD.jobs.external_task_id.value, "failed_retries": CARD.jobs.failed_retries}},
    {"camera": {"words": {"pan_left": {"axis": "tilt", "sign": -1}}}},
    {"clip": {"tolerance": 2}},
    {"advice": {"prompt_characters": 100}},
    {},
])
def test_what_is_more_careful_is_in_force(changes: dict[str, Any]) -> None:
    careful, doubtful = split(CARD, changes)
    assert doubtful == {}
    assert override(CARD, careful).sha256 == override(CARD, changes).sha256


@pytest.mark.parametrize(("changes", "path"), [
    ({"price": {"table": {"720p": 28.99}}}, ("price", "table", "720p")),
    ({"price": {"table": {"720p": True}}}, ("price", "table", "720p")),
    ({"price": {"table": {"720p": float("nan")}}}, ("price", "table", "720p")),
    ({"price": {"table": {"720p": float("inf")}}}, ("price", "table", "720p")),
    ({"price": {"table": {"720p": 1 << 20_000}}}, ("price", "table", "720p")),
    ({"price": {"table": {"480p": 99}}}, ("price", "table", "480p")),
    ({"price": {"table": {}}}, ("price", "table")),
    ({"price": 1}, ("price",)),
    ({"price": {"per_credit": 2}}, ("price", "per_credit")),
    ({"path": "/v1/other"}, ("path",)),
    ({"jobs": {"failed_retries": 9}}, ("jobs", "failed_retries")),
    ({"jobs": {"states": {"failed": ["processing"]}}}, ("jobs", "states", "failed")),
    ({"jobs": 1}, ("jobs",)),
    ({"parameters": {"prompt": {"pattern": "(a+)+$"}}}, ("parameters", "prompt", "pattern")),
    ({"camera": {"parameter": "callback_url"}}, ("camera", "parameter")),
    ({"nonsense": {}}, ("nonsense",)),
])
def test_what_is_less_careful_waits_for_the_operator(changes: dict[str, Any], path: tuple[str, ...]) -> None:
    careful, doubtful = split(CARD, changes)
    assert careful == {}
    assert list(doubtful) == [path]


def test_ids_that_only_label_stay_so_whatever_the_repository_says() -> None:
    own = override(CARD, {"external_task_id": "correlates"})
    assert split(own, {"external_task_id": "replays"}) == ({}, {("jobs", "external_task_id"): "replays"})


def test_what_is_careful_and_what_is_not_are_parted_within_one_table() -> None:
    careful, doubtful = split(CARD, {"price": {"table": {"720p": 5, "1080p": 50}}, "external_task_id": "correlates"})
    assert careful == {"price": {"table": {"1080p": 50}}, "jobs": {"external_task_id": "correlates"}}
    assert doubtful == {("price", "table", "720p"): 5}


def test_prices_of_the_operators_own_are_what_the_repository_is_held_against() -> None:
    own = override(CARD, {"price": {"table": {"720p": 25}}})
    assert split(own, {"price": {"table": {"720p": 25}}})[1] == {}
    assert split(own, {"price": {"table": {"720p": 24}}})[1] == {("price", "table", "720p"): 24}
