"""The JSON Schemas that come with the program: sound, true to the code, and of use to an editor."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft7Validator

from manifest_runner.adapters.resources import load_card, read_text
from manifest_runner.core import lockfile, planfile
from manifest_runner.core.model import (
    Action,
    Artifact,
    Change,
    ExternalTaskId,
    Fingerprint,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    MediaFacts,
    Plan,
    Quote,
    Reason,
    ReasonCode,
    Request,
    ShotId,
)
from manifest_runner.core.parsing import parse
from manifest_runner.core.schema import json_text, manifest_schema, model_card_schema

CARD = load_card("kling-v3-omni")
FILES = ("manifest", "lockfile", "plan", "model-card")
PRINT = Fingerprint("sha256:" + "a" * 64)
REQUEST = Request(model="kling-v3-omni", params={"prompt": "rain", "duration": 5})


def schema(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_text(f"{name}.schema.json"))
    return data


def accepts(name: str, data: Any) -> bool:
    return Draft7Validator(schema(name)).is_valid(data)


def patterns(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        if isinstance(part.get("patternProperties"), dict):
            yield from part["patternProperties"]
        for value in part.values():
            yield from patterns(value)
    elif isinstance(part, list):
        for value in part:
            yield from patterns(value)


@pytest.mark.parametrize("name", FILES)
def test_every_schema_is_a_draft_07_schema(name: str) -> None:
    assert schema(name)["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema(name))


@pytest.mark.parametrize("templates", [True, False])
def test_what_is_generated_is_a_draft_07_schema_too(templates: bool) -> None:
    Draft7Validator.check_schema(manifest_schema(CARD, templates=templates))


@pytest.mark.parametrize("name", FILES)
def test_no_schema_refers_to_another_place(name: str) -> None:
    assert '"$ref"' not in read_text(f"{name}.schema.json")
    assert '"x-' not in read_text(f"{name}.schema.json")


@pytest.mark.parametrize("name", FILES)
def test_no_pattern_lets_a_trailing_newline_through_by_a_dollar(name: str) -> None:
    found = list(patterns(schema(name)))
    assert all("$" not in pattern for pattern in found)
    assert all(pattern.endswith(r"(?![\s\S])") for pattern in found if pattern.startswith("^"))
    assert all(re.compile(pattern) for pattern in found)


def test_the_manifest_schema_in_the_tree_is_the_one_that_the_card_makes() -> None:
    assert read_text("manifest.schema.json") == json_text(manifest_schema(CARD, templates=True)), (
        "write it again: manifest-runner schema manifest > schemas/manifest.schema.json")


def test_the_card_schema_in_the_tree_is_the_one_that_cards_are_checked_with() -> None:
    assert read_text("model-card.schema.json") == json_text(model_card_schema()), (
        "write it again: manifest-runner schema model-card > schemas/model-card.schema.json")


def test_the_card_in_the_tree_passes_the_published_schema() -> None:
    file = "models/kling-v3-omni.yaml"
    jsonschema.validate(parse(read_text(file), path=file).data, schema("model-card"))


# ── the editors' schema ───────────────────────────────────────────────────────────────────────────────────────────

EDITED = {"version": 1, "show": "monsoon", "model": "kling-v3-omni", "shots": [{"id": "SH0010", "prompt": "rain"}]}


@pytest.mark.parametrize("shot", [
    {},
    {"id": "SH0040-{{ weather }}", "matrix": {"weather": ["rain", "fog"], "lens": "{{ lenses }}"}},
    {"duration": "{{ beat * 2 }}"},
    {"duration": "{% if long %}9{% else %}5{% endif %}"},
    {"camera": "static"},
    {"camera": {"move": "{{ move }}", "amount": "{{ far }}"}},
    {"camera": {"type": "simple", "config": {"pan": 3}}},
    {"first_frame": {"shot": "SH0010", "frame": "last", "take": "{{ take }}"}},
    {"first_frame": "plates/a.png", "cut": {"in": 0.5, "out": "{{ end }}"}, "takes": 2, "circled": 2},
])
def test_editors_accept_values_and_templates(shot: dict[str, Any]) -> None:
    assert accepts("manifest", {**EDITED, "shots": [{**EDITED["shots"][0], **shot}]})  # type: ignore[index]


@pytest.mark.parametrize("shot", [
    {"duration": "five"}, {"duration": 20}, {"duraton": 5}, {"camera": "pan-left"}, {"id": "a/b"},
    {"matrix": {"a": []}}, {"camera": {"move": "static", "type": "simple"}}, {"camera": {"amount": 3}}, {"takes": 0},
    {"callback_url": "https://x"}, {"first_frame": {"frame": "last"}},
])
def test_editors_mark_what_is_wrong(shot: dict[str, Any]) -> None:
    assert not accepts("manifest", {**EDITED, "shots": [{**EDITED["shots"][0], **shot}]})  # type: ignore[index]


@pytest.mark.parametrize("top", [
    {"gateway": "x"}, {"defaults": {"id": "A"}}, {"defaults": {"matrix": {"a": [1]}}}, {"version": 2}, {"shots": []},
    {"output": "../x"},
])
def test_editors_mark_what_is_wrong_above_the_shots(top: dict[str, Any]) -> None:
    assert not accepts("manifest", {**EDITED, **top})


def test_every_key_of_a_manifest_explains_itself() -> None:
    top = schema("manifest")["properties"]
    shot = top["shots"]["items"]["properties"]
    for keys in (top, shot, top["limits"]["properties"], top["defaults"]["properties"]):
        for name, rule in keys.items():
            assert rule.get("description"), name


def test_editors_complete_the_film_words() -> None:
    camera = schema("manifest")["properties"]["shots"]["items"]["properties"]["camera"]
    assert camera["anyOf"][0]["enum"] == list(CARD.camera.words)


def test_the_strict_schema_takes_no_templates() -> None:
    strict = Draft7Validator(manifest_schema(CARD, templates=False))
    assert strict.is_valid(EDITED)
    assert not strict.is_valid({**EDITED, "shots": [{"id": "A", "prompt": "x", "duration": "{{ beat }}"}]})
    assert not strict.is_valid({**EDITED, "show": "monsoon\n"})


# ── lockfile and plan ─────────────────────────────────────────────────────────────────────────────────────────────


def locked(state: JobState) -> dict[str, Any]:
    media = MediaFacts(container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1")
    artifact = Artifact(path="renders/monsoon/SH0010_t1.mp4", sha256="b" * 64, bytes=1234, media=media)
    unprobed = Artifact(path="x", sha256="c" * 64, bytes=0)
    entry = LockEntry(state=state, fingerprint=PRINT, request=REQUEST, external_task_id=ExternalTaskId("SH0010_t1.a1.x"),
                      job_id=JobId("job_1"), estimated=Decimal("145.5"), outputs=(artifact, unprobed))
    text = lockfile.write(Lockfile(entries={(ShotId("SH0010"), 1): entry}), manifest="monsoon.yaml")
    data: dict[str, Any] = json.loads(text)
    return data


@pytest.mark.parametrize("state", list(JobState))
def test_a_lockfile_as_written_passes_its_schema(state: JobState) -> None:
    jsonschema.validate(locked(state), schema("lockfile"))


def test_a_lockfile_of_a_newer_version_with_more_fields_passes() -> None:
    data = locked(JobState.STORED)
    data["more"] = data["shots"]["SH0010"]["more"] = data["shots"]["SH0010"]["takes"]["1"]["more"] = {"a": 1}
    assert accepts("lockfile", data)


@pytest.mark.parametrize(("key", "value"), [
    ("state", "lost"), ("fingerprint", "sha256:" + "a" * 64 + "\n"), ("attempt", 0), ("outputs", [{}]), ("credits", {}),
    ("credits", {"estimated": 145, "charged": None}), ("request", []),
])
def test_a_lockfile_of_another_shape_does_not(key: str, value: Any) -> None:
    data = locked(JobState.STORED)
    data["shots"]["SH0010"]["takes"]["1"][key] = value
    assert not accepts("lockfile", data)


def plan() -> dict[str, Any]:
    changes = tuple(Change(shot=ShotId("SH0010"), take=1, action=action, reasons=(Reason(code=code, detail="x"),), before=None,
                           quote=Quote(credits=Decimal(145), words="5 s × 29"), fingerprint=PRINT, after=REQUEST)
                    for action, code in zip([*Action] * 3, ReasonCode, strict=False))
    data: dict[str, Any] = planfile.to_dict(Plan(manifest="monsoon.yaml", changes=changes, total=Decimal(435),
                                                 cut_total=Decimal("435.5"), basis={"card": "f" * 64}))
    return data


def test_a_plan_as_written_passes_its_schema_with_every_action_and_reason() -> None:
    data = plan()
    assert {change["action"] for change in data["changes"]} == set(Action)
    assert {change["reasons"][0]["code"] for change in data["changes"]} == set(ReasonCode)
    jsonschema.validate(data, schema("plan"))


@pytest.mark.parametrize(("key", "value"), [("total", 435), ("basis", {"card": 1}), ("changes", [{}]), ("version", 2)])
def test_a_plan_of_another_shape_does_not(key: str, value: Any) -> None:
    assert not accepts("plan", {**plan(), key: value})
