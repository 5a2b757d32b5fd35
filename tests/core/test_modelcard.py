"""The model card: read whole or refused whole, and open to an operator's corrections."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from manifest_runner.adapters.resources import load_card, model_names, read_text
from manifest_runner.core.modelcard import IdMeaning, RemoteState, card_from_data, override, remote_state
from manifest_runner.core.parsing import parse
from manifest_runner.errors import InvalidInput, UsageError

CARD = load_card("kling-v3-omni")


def changed(**parts: Any) -> dict[str, Any]:
    data = copy.deepcopy(dict(CARD.data))
    for way, value in parts.items():
        *above, key = way.split("__")
        target = data
        for step in above:
            target = target[step]
        target[key] = value
    return data


@pytest.mark.parametrize("name", model_names())
def test_every_card_that_comes_with_the_program_passes_its_own_checks(name: str) -> None:
    file = f"models/{name}.yaml"
    assert card_from_data(parse(read_text(file), path=file).data, source=file).name == name


def test_the_card_gives_typed_access_to_what_the_page_says() -> None:
    assert CARD.path == "/v1/video/kling-v3-omni"
    assert CARD.price.table == {"720p": Decimal(29), "1080p": Decimal(46)}
    assert (CARD.frames.first, CARD.frames.last, CARD.frames.last_duration) == ("image_url", "last_frame_url", 5)
    assert CARD.jobs.external_task_id is IdMeaning.REPLAYS
    assert CARD.defaults == {"duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}


@pytest.mark.parametrize(("status", "state"), [
    ("queued", RemoteState.QUEUED_OR_RUNNING),
    ("succeeded", RemoteState.SUCCEEDED),
    (" Cancelled ", RemoteState.FAILED),
    ("on a tea break", RemoteState.UNKNOWN),
    ("", RemoteState.UNKNOWN),
])
def test_a_status_means_what_the_card_says_and_anything_else_is_unknown(status: str, state: RemoteState) -> None:
    assert remote_state(CARD, status) is state


@pytest.mark.parametrize(("way", "value", "code"), [
    ("nonsense", 1, "unknown-key"),
    ("version", 2, "not-one-of"),
    ("version", True, "wrong-type"),
    ("path", "v1/video\n", "bad-format"),
    ("price__table", {"720p": "cheap", "1080p": 46}, "wrong-type"),
    ("price__table", {"720p": 29}, "missing-price"),
    ("price__quantity", "length", "unknown-parameter"),
    ("required", ["prompt", "mood"], "unknown-parameter"),
    ("always_sent", ["duration", "resolution", "negative_prompt"], "missing-default"),
    ("jobs__external_task_id", "guesses", "not-one-of"),
    ("camera__words__truck_left", {"axis": "sideways"}, "unknown-axis"),
])
def test_a_wrong_card_is_refused_with_the_place(way: str, value: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        card_from_data(changed(**{way: value}), source="models/x.yaml")
    assert code in {item.code for item in refused.value.diagnostics}
    assert all(item.source is not None and item.source.path == "models/x.yaml" for item in refused.value.diagnostics)


def test_all_mistakes_of_a_card_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        card_from_data(changed(version=2, title="", nonsense=1), source="x")
    assert {item.pointer for item in refused.value.diagnostics} == {"/version", "/title", "/nonsense"}


def test_an_operator_says_that_ids_only_label_in_the_short_form_or_the_long() -> None:
    short = override(CARD, {"external_task_id": "correlates"})
    long = override(CARD, {"jobs": {"external_task_id": "correlates"}})
    assert short.jobs.external_task_id is long.jobs.external_task_id is IdMeaning.CORRELATES
    assert short.jobs.states == CARD.jobs.states
    assert short.sha256 == long.sha256


def test_an_operators_price_replaces_one_row_and_leaves_the_card_as_it_was() -> None:
    own = override(CARD, {"price": {"table": {"720p": 25.5}}})
    assert own.price.table == {"720p": Decimal("25.5"), "1080p": Decimal(46)}
    assert CARD.price.table["720p"] == 29


@pytest.mark.parametrize("wrong", [
    {"external_task_id": "maybe"}, {"price": 29}, {"prices": {}}, {"jobs": 1, "external_task_id": "replays"},
])
def test_an_override_that_makes_no_card_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        override(CARD, wrong)


def test_the_cards_hash_follows_its_values_and_not_their_order_or_spelling() -> None:
    turned = dict(reversed(list(CARD.data.items())))
    assert card_from_data(turned, source="x").sha256 == CARD.sha256
    assert override(CARD, {"price": {"table": {"720p": 29.0}}}).sha256 == CARD.sha256
    assert override(CARD, {"price": {"table": {"720p": 30}}}).sha256 != CARD.sha256


def test_an_unknown_model_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as refused:
        load_card("kling-v3-onmi")
    assert refused.value.hint == "did you mean kling-v3-omni?"


@pytest.mark.parametrize("name", ["../pyproject.toml", "models/none.yaml", "models"])
def test_only_files_that_come_with_the_program_are_read(name: str) -> None:
    with pytest.raises(UsageError):
        read_text(name)
