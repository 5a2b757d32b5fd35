"""The JSON Schemas (draft-07) of what people write: manifests, built from a model's card, and the cards themselves.

Laws: no `$ref`, so that nothing is ever resolved or fetched; nothing but `vars` takes unknown keys; every pattern ends in
`END`, because `$` lets a trailing newline through. The strict schema says "text or mapping" by a list of types and never by
`anyOf`: that is fast at 10,000 shots, and a mistake is always explained for the form the user meant. One value is an
`enum` of one with a type, because the quick gate compares `true` with `1` and finds them equal.

Keywords that begin with `x-` are words for messages; no schema that is written to a file has them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from manifest_runner.core.model import FramePosition, Json, JsonObject

if TYPE_CHECKING:
    from manifest_runner.core.modelcard import ModelCard

Schema = dict[str, Json]

DRAFT = "http://json-schema.org/draft-07/schema#"
END = r"(?![\s\S])"
TEMPLATE = {"title": "a template", "type": "string", "pattern": r"\{[{%]"}
MOST_SHOTS = 20_000
MOST_TAKES = 50
MOST_CREDITS = 1_000_000_000
NOT_SHARED = ("id", "matrix")
"""Keys of a shot that `defaults` may not have."""

NAME = {"pattern": rf"^[A-Za-z0-9][A-Za-z0-9._-]*{END}", "maxLength": 64,
        "x-says": "may hold letters, digits, . _ and -, and must begin with a letter or digit"}
RATE = {"pattern": rf"^[1-9][0-9]{{0,5}}/(s|min|h){END}", "x-says": "must be a number, a slash and s, min or h, such as 30/min"}
_INSIDE = r'/\\:*?"<>|\u0000-\u001f'
_SEGMENT = rf"[^.{_INSIDE}](?:[^{_INSIDE}]*[^. {_INSIDE}])?"
FOLDER = {"pattern": rf"^{_SEGMENT}(/{_SEGMENT})*/?{END}", "maxLength": 200,
          "x-says": "must be a folder below the manifest's own, such as renders/monsoon, in which no name begins with a dot "
                  "or ends with one or with a space"}


def json_text(schema: JsonObject) -> str:
    """A schema as it is written to a file: indented by two, keys in the order given, one newline at the end."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def manifest_schema(card: ModelCard, *, templates: bool) -> Schema:
    """The schema of a manifest for this model.

    With `templates`, that of a file as written, for editors: any value may be a template, and everything carries a
    description. Without, that of a filled manifest: `matrix` is done with, and `defaults` are judged in the shots.
    """
    schema = _manifest(card, shot_schema(card, templates=templates), templates=templates)
    return _for_editors(schema) if templates else schema


def shot_schema(card: ModelCard, *, templates: bool) -> Schema:
    """The schema of one shot, as part of `manifest_schema`."""
    properties = _shot_properties(card, templates=templates)
    return {"type": "object", "description": "One shot; with a matrix, one for each combination.", "properties": properties,
            "required": ["id", *card.required], "additionalProperties": False, "x-name": "this shot"}


def _manifest(card: ModelCard, shot: Schema, *, templates: bool) -> Schema:
    defaults: Schema = {"type": "object", "description": "What every shot has unless it says otherwise."}
    if templates:
        shared = {key: value for key, value in shot["properties"].items() if key not in NOT_SHARED}
        defaults |= {"properties": shared, "additionalProperties": False}
    properties: Schema = {
        "version": {"type": "integer", "enum": [1], "default": 1, "description": "The version of this file format."},
        "show": {"type": "string", "description": "The show's short name; it becomes part of file names.",
                 "examples": ["monsoon"], **NAME},
        "sequence": {"type": "string", "description": "The sequence's code.", "examples": ["SQ010"], **NAME},
        "title": {"type": "string", "description": "The title for people.", "examples": ["Monsoon, the tram sequence"]},
        "note": {"type": "string", "description": "A remark for people. Never sent."},
        "model": {"type": "string", "enum": [card.name], "default": card.name,
                  "description": "The model that renders the shots."},
        "vars": {"type": "object", "description": "Values for templates: {{ name }}.", "additionalProperties": True,
                 "examples": [{"hero": "Asha, thirties, red raincoat"}]},
        "include": {"type": "array", "items": {"type": "string", "minLength": 1}, "examples": [["looks/noir.yaml"]],
                    "description": "Files of the repository that bring vars and defaults, relative to this one."},
        "defaults": defaults,
        "limits": _limits(),
        "output": {"type": "string", "description": "The folder of the clips, relative to this file.",
                   "examples": ["renders/monsoon"], **FOLDER},
        "shots": {"type": "array", "items": shot, "minItems": 1, "maxItems": MOST_SHOTS,
                  "description": "The shots, in the order of the cut."},
    }
    return {"$schema": DRAFT, "title": f"manifest-runner manifest for {card.title}", "type": "object", "properties": properties,
            "required": ["version", "show", "model", "shots"], "additionalProperties": False, "x-name": "the manifest",
            "description": "A shot list: what to render, as text in git. Every string is a template."}


def _limits() -> Schema:
    return {
        "type": "object", "additionalProperties": False, "description": "The most that a run of this manifest may use.",
        "properties": {
            "concurrency": {"type": "integer", "minimum": 1, "maximum": 1000, "examples": [8],
                            "description": "Jobs in flight."},
            "rate": {"type": "string", "examples": ["30/min"], **RATE,
                     "description": "Submissions per second, minute or hour."},
            "credits": {"type": "number", "minimum": 0, "maximum": MOST_CREDITS, "examples": [5000],
                        "description": "The most credits that a run may spend."},
        },
    }


def _shot_properties(card: ModelCard, *, templates: bool) -> Schema:
    take = {"type": "integer", "minimum": 1, "maximum": MOST_TAKES}
    matrix = {"type": "object", "description": "Axes of values: one shot for each combination; {{ axis }} is the value.",
              "minProperties": 1, "additionalProperties": {"type": "array", "minItems": 1},
              "examples": [{"weather": ["rain", "fog"]}]}
    return {
        "id": {"type": "string", "description": "The shot's code, once in the manifest. Codes count in tens.",
               "examples": ["SH0010"], **NAME},
        "note": {"type": "string", "description": "A remark for people. Never sent."},
        **({"matrix": matrix} if templates else {}),
        "takes": {**take, "default": 1, "description": "How many takes to render; each is paid for."},
        "circled": {**take, "description": "The take that goes into the cut; the last one where nothing is said."},
        "camera": _camera_for_editors(card) if templates else _camera(card),
        "first_frame": _frame("The picture that the clip begins with"),
        "last_frame": _frame("The picture that the clip ends with; it needs a first_frame"),
        "cut": {
            "type": "object", "additionalProperties": False, "description": "What the edit uses of the clip, in seconds.",
            "properties": {
                "in": {"type": "number", "minimum": 0, "default": 0, "x-unit": "seconds",
                       "description": "Where the cut begins."},
                "out": {"type": "number", "minimum": 0, "x-unit": "seconds",
                        "description": "Where it ends; the clip's end where nothing is said."},
            },
        },
        **{name: dict(rule) for name, rule in card.parameters.items()},
    }


def _frame(what: str) -> Schema:
    return {
        "type": ["string", "object"], "minLength": 1, "maxLength": 4000, "required": ["shot"], "additionalProperties": False,
        "description": f"{what}: a file of the repository, an http(s) address, or a frame of another shot.",
        "examples": ["plates/bridge.png", {"shot": "SH0010", "frame": "last"}],
        "x-forms": "a path, an address or {shot: SH0010}",
        "properties": {
            "shot": {"type": "string", "minLength": 1, "description": "The other shot's id; it is rendered first."},
            "frame": {"enum": [position.value for position in FramePosition], "default": FramePosition.LAST.value,
                      "description": "Which frame of its clip."},
            "take": {"type": "integer", "minimum": 1, "maximum": MOST_TAKES,
                     "description": "Which of its takes; the circled one where nothing is said."},
        },
    }


def _camera_parts(card: ModelCard) -> tuple[Schema, Schema, Schema]:
    """A film word, `{move, amount}` and the API's own `{type, config}`."""
    rules = card.camera
    word = {"enum": list(rules.words), "description": "A film word.", "x-noun": "a camera move"}
    amount = {"type": "number", "minimum": 0, "maximum": rules.maximum, "default": 5, "description": "How far it moves."}
    axis = {"type": "number", "minimum": rules.minimum, "maximum": rules.maximum}
    config = {"type": "object", "properties": dict.fromkeys(rules.axes, axis), "additionalProperties": False,
              "description": "Each axis of the move."}
    raw_type = {"type": "string", "minLength": 1, "examples": list(rules.types), "description": "The API's own name."}
    return word, {"move": word, "amount": amount}, {"type": raw_type, "config": config}


def _camera(card: ModelCard) -> Schema:
    word, moved, raw = _camera_parts(card)
    return {"type": ["string", "object"], "x-forms": "a film word, {move: …, amount: …} or {type: …, config: …}",
            # The outer question is for the quick gate alone: it answers "no" by raising, and most cameras are mappings.
            "if": {"type": "object"}, "else": {"if": {"type": "string"}, "then": word},
            "properties": {**moved, **raw}, "additionalProperties": False}


def _camera_for_editors(card: ModelCard) -> Schema:
    word, moved, raw = _camera_parts(card)
    return {"description": "The camera move: a film word, how far, or the API's own object.",
            "examples": ["static", {"move": "truck_right", "amount": 4}],
            "anyOf": [
                word,
                {"title": "a film word and how far", "type": "object", "properties": moved, "required": ["move"],
                 "additionalProperties": False, "description": "A film word and how far."},
                {"title": "the API's own object", "type": "object", "properties": raw, "required": ["type"],
                 "additionalProperties": False, "description": "The API's own camera object, sent untouched."},
            ]}


# ── the editors' schema: any value may be a template ──────────────────────────────────────────────────────────────

_HOVER = ("description", "default", "examples", "defaultSnippets")
_STRUCTURE = frozenset({"version", "vars", "include", "defaults", "limits", "shots"})


def _for_editors(schema: Schema) -> Schema:
    """The manifest's schema with templates allowed wherever a value stands, and without the words for messages."""
    return {**_published(schema), "properties": {key: _opened(value) if key in _STRUCTURE else _or_template(value)
                                                 for key, value in schema["properties"].items()}}


def _or_template(schema: JsonObject) -> Schema:
    """`schema`, or a string that holds a template; descriptions stay outside, where editors look for them."""
    rule = _with_snippets(_opened(schema))
    if "string" in rule.get("type", ()) and not {"pattern", "enum"} & rule.keys():
        return rule  # any text will do, and a template is text
    hover = {key: rule.pop(key) for key in _HOVER if key in rule}
    return {**hover, "anyOf": [*(rule.get("anyOf") or [rule]), dict(TEMPLATE)]}


def _opened(schema: JsonObject) -> Schema:
    """`schema` with templates allowed for the values inside it, but not for itself."""
    rule = _published(schema)
    if "properties" in rule:
        rule["properties"] = {key: _or_template(value) for key, value in rule["properties"].items()}
    if isinstance(rule.get("additionalProperties"), dict):
        rule["additionalProperties"] = _or_template(rule["additionalProperties"])
    if isinstance(rule.get("items"), dict):
        rule["items"] = _opened(rule["items"])
    if "anyOf" in rule:
        rule["anyOf"] = [_opened(form) for form in rule["anyOf"]]
    return rule


def _with_snippets(rule: Schema) -> Schema:
    """Examples that are mappings beside ones that are text, as what editors offer whole: they show such an example as
    `[object Object]`."""
    examples = rule.get("examples", [])
    whole = [example for example in examples if isinstance(example, dict)]
    if not whole or len(whole) == len(examples):
        return rule
    label = [", ".join(f"{key}: {value}" for key, value in example.items()) for example in whole]
    return {**rule, "examples": [example for example in examples if not isinstance(example, dict)],
            "defaultSnippets": [{"label": f"{{{words}}}", "body": body} for words, body in zip(label, whole, strict=True)]}


def _published(schema: JsonObject) -> Schema:
    """`schema` without its words for messages, one level deep."""
    return {key: value for key, value in schema.items() if not key.startswith("x-")}


# ── model cards ───────────────────────────────────────────────────────────────────────────────────────────────────


def _object(description: str, properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "description": description, "properties": properties,
            "required": [key for key in properties if key not in optional], "additionalProperties": False}


def _text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _texts(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "description": description}


def _number(description: str, minimum: float | None = 0) -> Schema:
    return {"type": "number", "description": description, **({} if minimum is None else {"minimum": minimum})}


def model_card_schema() -> Schema:
    """The schema of `schemas/models/*.yaml`."""
    name = _published(NAME)
    yes_no = {"type": "boolean"}
    word = {"type": "object", "additionalProperties": False, "minProperties": 1,
            "description": "What a film word does: a signed axis, or a sentence for the prompt.",
            "properties": {"axis": _text("The axis it moves along."),
                           "sign": {"type": "integer", "enum": [-1, 1], "description": "Which way."},
                           "phrase": _text("What the prompt says instead.")}}
    picture = _object("What a picture should be; checked as warnings.", {
        "types": _texts("Media types."), "min_side": _number("Shortest side in pixels."),
        "max_ratio": _number("Longest side to shortest.", 1), "max_bytes": _number("Size in bytes.", 1)})
    properties = {
        "version": {"type": "integer", "enum": [1], "description": "The version of this file format."},
        "name": {"type": "string", "description": "The model's name, as the file is called.", **name},
        "title": _text("The model's name for people."),
        "path": {"type": "string", "description": "Where requests are posted, below the gateway's address.",
                 "pattern": rf"^/[A-Za-z0-9._/-]+{END}"},
        "parameters": {"type": "object", "additionalProperties": {"type": "object"}, "minProperties": 1,
                       "description": "JSON Schema (draft-07) of each parameter that a shot may set under its own name."},
        "required": _texts("Parameters that every shot must set."),
        "always_sent": _texts("Parameters that are sent even where the manifest is silent; each needs a default."),
        "advice": _object("Warnings, never errors.", {
            "prompt_characters": _number("Longest recommended prompt.", 1),
            "whole_seconds": {**yes_no, "description": "Whether durations should be whole seconds."},
        }, optional=("prompt_characters", "whole_seconds")),
        "frames": _object("The first and the last picture of a clip.", {
            "first": _text("The parameter of the first picture."), "last": _text("The parameter of the last picture."),
            "last_requires_first": {**yes_no, "description": "Whether a last picture needs a first one."},
            "last_duration": _number("The only clip length in seconds that may have a last picture."), "picture": picture,
        }, optional=("last_duration",)),
        "camera": _object("The camera.", {
            "parameter": _text("The parameter of the camera."), "type": _text("Its type for film words."),
            "axes": _texts("The axes of its config."), "minimum": _number("Lowest value of an axis.", None),
            "maximum": _number("Highest value of an axis."), "types": _texts("The types that upstream documents."),
            "words": {"type": "object", "additionalProperties": word, "description": "Film words."}}),
        "price": _object("Credits.", {
            "unit": _text("What is counted, such as second."), "quantity": _text("The parameter that says how many."),
            "by": _text("The parameter that the price depends on."),
            "table": {"type": "object", "additionalProperties": _number("Credits a unit."), "minProperties": 1,
                      "description": "Credits a unit, for each value of that parameter."},
            "currency": _text("Its code, such as INR."), "symbol": _text("Its sign."),
            "per_credit": _number("What a credit costs in it, at list price.")}),
        "clip": _object("What a clip that comes home is held against; a difference is shown, and never paid for again.", {
            "duration": _text("The parameter that says how many seconds it has."),
            "tolerance": _number("By how many seconds it may differ."),
            "size": _text("The parameter that says how large it is."),
            "shortest_side": {"type": "object", "additionalProperties": _number("Pixels.", 1), "minProperties": 1,
                              "description": "The shortest side, for each value of that parameter."},
            "aspect_ratio": _text("The parameter of its ratio; with a first picture that picture decides."),
            "frame_rates": {"type": "array", "items": _number("Frames a second.", 1),
                            "description": "The frame rates that are expected; any where nothing is said."},
            "black": {**_number("The share of its frames that may be black; all where nothing is said."), "maximum": 1},
            "still": {**_number("The share of its length in which nothing may move; all where nothing is said."),
                      "maximum": 1},
        }, optional=("frame_rates", "black", "still")),
        "jobs": _object("How jobs behave.", {
            "external_task_id": {"enum": ["replays", "correlates"],
                                 "description": "Whether a repeated id gets the first job's answer, or only labels a job."},
            "failures_are_free": {**yes_no, "description": "Whether a failed job costs nothing."},
            "failed_retries": {"type": "integer", "minimum": 0, "maximum": 10,
                               "description": "How often the program submits a failed job again."},
            "states": _object("What the gateway's words for a job's state mean; any other word is not terminal.", {
                "succeeded": _texts("Done and billed."), "failed": _texts("Given up."), "running": _texts("Not finished yet."),
            })}),
    }
    return {"$schema": DRAFT, "title": "manifest-runner model card",
            **_object("Everything that manifest-runner knows about one model.", properties, optional=("advice", "clip"))}
