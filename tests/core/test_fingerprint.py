"""One JSON for one value; the fingerprint changes with the request and with nothing else."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.fingerprint import canonical_json, fingerprint
from manifest_runner.core.model import Request

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | TEXTS,
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12)


def turned(value: Any) -> Any:
    """The same value with keys in another order and whole numbers as floats."""
    if isinstance(value, dict):
        return {key: turned(item) for key, item in reversed(list(value.items()))}
    if isinstance(value, list):
        return [turned(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@given(VALUES)
def test_the_order_of_keys_and_the_way_a_number_is_written_do_not_count(value: Any) -> None:
    assert canonical_json(turned(value)) == canonical_json(value)


@given(VALUES)
def test_canonical_json_is_json_of_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize(("value", "text"), [
    ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
    ({"zoom": -3.0}, '{"zoom":-3}'),
    ({"a": {"b": [{"c": 5.0}]}}, '{"a":{"b":[{"c":5}]}}'),
    (-0.0, "0"),
    (1e16, "10000000000000000"),
    (1e-7, "1e-07"),
    (2.5, "2.5"),
    ({"prompt": "f/2.0, café ☂"}, '{"prompt":"f/2.0, café ☂"}'),
    (MappingProxyType({"a": MappingProxyType({"b": (1.0,)})}), '{"a":{"b":[1]}}'),
])
def test_the_bytes_are_pinned(value: Any, text: str) -> None:
    assert canonical_json(value) == text.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], "\ud800", {1.0, 2.0}, {"a": object()}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        canonical_json(value)


def test_a_fingerprint_is_pinned_so_that_no_release_renders_every_show_again() -> None:
    request = Request(model="kling-v3-omni", params={"prompt": "a tram", "duration": 5})
    assert fingerprint(request) == "sha256:21da377b37e34f332b44725f37fc90329423c5bf3231ce692cec3dec15293d78"


def test_model_and_parameters_both_count() -> None:
    first = Request(model="a", params={"prompt": "x", "duration": 5})
    assert fingerprint(first) == fingerprint(Request(model="a", params={"duration": 5.0, "prompt": "x"}))
    assert fingerprint(first) != fingerprint(Request(model="b", params=first.params))
    assert fingerprint(first) != fingerprint(Request(model="a", params={"prompt": "x", "duration": 6}))
