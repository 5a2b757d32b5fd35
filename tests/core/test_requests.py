"""Requests: what is hashed, and what is sent."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.model import Fingerprint, Request, ShotId, TakeKey
from manifest_runner.core.requests import body_of, is_pending, task_id
from tests.builders import CARD, manifest_of, plan_of

KEY = TakeKey(manifest="a/show.yaml", shot=ShotId("SH0010"), take=1)
PRINT = Fingerprint("sha256:" + "0" * 64)


def request(text: str) -> Request:
    after = plan_of(manifest_of(text), pictures={"p.png": "a" * 64}).changes[-1].after
    assert after is not None
    return after


def test_a_body_holds_addresses_where_the_request_holds_identities() -> None:
    asked = request("shots:\n  - {id: A, prompt: x, first_frame: p.png}\n")
    assert asked.params["image_url"] == "file:sha256:" + "a" * 64
    body = json.loads(body_of(asked, {"image_url": "https://cdn.example/p.png"}, task_id(KEY, PRINT, 1), None))
    assert body["image_url"] == "https://cdn.example/p.png"
    assert body["external_task_id"].startswith("SH0010_t1.a1.")


def test_address_and_callback_do_not_change_what_a_request_is() -> None:
    asked = request("shots:\n  - {id: A, prompt: x, first_frame: p.png}\n")
    before = fingerprint(asked)
    body_of(asked, {"image_url": "https://elsewhere.example/p.png"}, task_id(KEY, PRINT, 1), "https://hook.example")
    assert fingerprint(asked) == before


def test_what_the_price_depends_on_is_always_sent() -> None:
    assert {"duration", "resolution", "aspect_ratio"} <= request("shots:\n  - {id: A, prompt: x}\n").params.keys()


def test_a_request_is_pending_until_its_upstream_clip_is_there() -> None:
    text = "shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: y, first_frame: {shot: A, frame: last}}\n"
    assert request(text).params["image_url"] == "shot:A:t1:last"
    assert is_pending(request(text), CARD)
    assert not is_pending(request("shots:\n  - {id: A, prompt: x}\n"), CARD)


def test_a_prompt_that_looks_like_an_identity_is_only_a_prompt() -> None:
    assert not is_pending(request("shots:\n  - {id: A, prompt: 'shot:A:t1:last'}\n"), CARD)


@given(st.sampled_from(["manifest", "shot", "take", "print", "attempt"]))
def test_an_id_is_the_same_everywhere_and_another_for_anything_else(changed: str) -> None:
    other = {
        "manifest": task_id(TakeKey(manifest="b/show.yaml", shot=KEY.shot, take=1), PRINT, 1),
        "shot": task_id(TakeKey(manifest=KEY.manifest, shot=ShotId("SH0020"), take=1), PRINT, 1),
        "take": task_id(TakeKey(manifest=KEY.manifest, shot=KEY.shot, take=2), PRINT, 1),
        "print": task_id(KEY, Fingerprint("sha256:" + "1" * 64), 1),
        "attempt": task_id(KEY, PRINT, 2),
    }[changed]
    assert task_id(KEY, PRINT, 1) == task_id(KEY, PRINT, 1) != other


def test_an_id_does_not_change_from_release_to_release() -> None:
    assert task_id(KEY, PRINT, 1) == "SH0010_t1.a1.25b9a3c6ea63213b8ab45aa2"
