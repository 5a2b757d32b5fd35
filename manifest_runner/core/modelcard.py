"""What is known about one model of the gateway, as data: its request, its price, its frames, its camera, its jobs.

Laws: a card is checked whole before it exists; nothing in the program knows a model by name; where the gateway's page is
silent the card holds the reading taken, and an operator may override any of it with `override`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from manifest_runner.core.fingerprint import canonical_json
from manifest_runner.core.model import Diagnostic, Json, JsonObject, Pointer, Source
from manifest_runner.core.schema import model_card_schema
from manifest_runner.errors import InvalidInput


class RemoteState(StrEnum):
    """What a status of the gateway's means. `UNKNOWN` is never terminal: warn and keep asking."""

    QUEUED_OR_RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class IdMeaning(StrEnum):
    """What the gateway does with a repeated `external_task_id`: answer with the first job, or nothing at all."""

    REPLAYS = "replays"
    CORRELATES = "correlates"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAdvice:
    """What a start or end picture should be: media types, the shortest side in pixels, long to short side, size in bytes."""

    types: tuple[str, ...]
    min_side: int
    max_ratio: float
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRules:
    """The request parameters that hold the first and last picture. `last_duration` is the only clip length in seconds that a
    last frame may have, None where any will do."""

    first: str
    last: str
    last_requires_first: bool
    last_duration: Decimal | None
    picture: PictureAdvice


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraWord:
    """A film word: a signed axis, or a `phrase` for the prompt where the API has no field for the move."""

    axis: str | None = None
    sign: int = 1
    phrase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRules:
    """The request parameter of the camera, its `type` for words, the axes and their range, upstream's types, the film words."""

    parameter: str
    type: str
    axes: tuple[str, ...]
    minimum: float
    maximum: float
    types: tuple[str, ...]
    words: Mapping[str, CameraWord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Credits per `unit` of the parameter `quantity`, by the value of the parameter `by`. `per_credit` is in `currency`."""

    unit: str
    quantity: str
    by: str
    table: Mapping[str, Decimal]
    currency: str
    symbol: str
    per_credit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRules:
    """How jobs behave: what a repeated id does, whether a failure is free, how often to submit a failed job again, and what
    each status word (in lower case) means."""

    external_task_id: IdMeaning
    failures_are_free: bool
    failed_retries: int
    states: Mapping[str, RemoteState]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRules:
    """What a clip that comes home is held against. `duration`, `size` and `aspect_ratio` name request parameters; `tolerance`
    is in seconds, `shortest_side` in pixels by the value of `size`, `frame_rates` in frames a second (empty: any will do).
    `black` is the share of frames that may be black, `still` the share of the clip in which nothing may move; None: all of
    it."""

    duration: str
    tolerance: float
    size: str
    shortest_side: Mapping[str, int]
    aspect_ratio: str
    frame_rates: tuple[float, ...] = ()
    black: float | None = None
    still: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Warnings, never errors: the longest recommended prompt in characters, and whether durations should be whole seconds."""

    prompt_characters: int | None
    whole_seconds: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelCard:
    """One model. `path` is where requests are posted, below the gateway's address; `parameters` are JSON Schemas (draft-07) by
    name; `always_sent` are parameters sent with their default where a shot is silent; `data` is the whole card as read."""

    name: str
    title: str
    path: str
    parameters: Mapping[str, JsonObject]
    required: tuple[str, ...]
    always_sent: tuple[str, ...]
    frames: FrameRules
    camera: CameraRules
    price: Price
    jobs: JobRules
    advice: Advice
    clip: ClipRules | None
    data: JsonObject

    @cached_property
    def sha256(self) -> str:
        """64 hex digits over the card's canonical content: comments and order do not count, every value does."""
        return hashlib.sha256(canonical_json(self.data)).hexdigest()

    @cached_property
    def defaults(self) -> Mapping[str, Json]:
        """The parameters that are always sent, with their default values."""
        return {name: self.parameters[name]["default"] for name in self.always_sent}


def card_from_data(data: Json, *, source: str, known_good: bool = False) -> ModelCard:
    """The card that a parsed file describes. `source` names the file; raises `InvalidInput` with every mistake in it.

    `known_good` is for the cards that come with the program: its tests check them, so that no run need spend 15 ms on it.
    """
    mistakes = [] if known_good else list(_schema_mistakes(data, source)) or list(_mistakes(data, source))
    if mistakes:
        raise InvalidInput(mistakes)
    return ModelCard(
        name=data["name"], title=data["title"], path=data["path"], parameters=data["parameters"],
        required=tuple(data["required"]), always_sent=tuple(data["always_sent"]),
        frames=_frames(data["frames"]), camera=_camera(data["camera"]), price=_price(data["price"]),
        jobs=_jobs(data["jobs"]), advice=_advice(data.get("advice", {})), clip=_clip(data.get("clip")), data=data)


def remote_state(card: ModelCard, status: str) -> RemoteState:
    """What the gateway's word for a job's state means on this card; letter case and spaces around it do not matter."""
    return card.jobs.states.get(status.strip().lower(), RemoteState.UNKNOWN)


def override(card: ModelCard, mapping: JsonObject, *, source: str = "operator's settings") -> ModelCard:
    """The card with an operator's values merged in, mapping by mapping; lists and single values replace.

    `external_task_id` may stand at the top for `jobs.external_task_id`. Raises `InvalidInput` where the result is no card.
    """
    return card_from_data(merged(card.data, in_full(mapping)), source=source)


def in_full(mapping: JsonObject) -> dict[str, Json]:
    """An override without its short form."""
    wanted = dict(mapping)
    if "external_task_id" in wanted:
        jobs = wanted.get("jobs", {})
        wanted["jobs"] = {**jobs, "external_task_id": wanted.pop("external_task_id")} if isinstance(jobs, Mapping) else jobs
    return wanted


def merged(below: JsonObject, above: JsonObject) -> dict[str, Json]:
    """Two trees as one, mapping by mapping; elsewhere the upper one counts."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both


# ── what can be wrong with a card ─────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def _gate() -> Any:
    import fastjsonschema  # here, because commands that read no card should not pay for it at start-up

    return fastjsonschema.compile(model_card_schema(), use_default=False, use_formats=False, detailed_exceptions=False)


def _schema_mistakes(data: Json, source: str) -> Iterator[Diagnostic]:
    import fastjsonschema  # as above

    try:
        _gate()(data)
    except fastjsonschema.JsonSchemaException:
        from manifest_runner.core.explain import explain  # only a wrong card pays for the explanation

        for finding in explain(model_card_schema(), data):
            yield _mistake(source, finding.code, finding.message, finding.pointer, finding.hint)


def _mistakes(data: JsonObject, source: str) -> Iterator[Diagnostic]:
    """What a schema cannot say: the parts of a card must fit each other."""
    parameters, price = data["parameters"], data["price"]
    for key in ("required", "always_sent"):
        for index, name in enumerate(data[key]):
            if name not in parameters:
                yield _mistake(source, "unknown-parameter", f"{key} names {name}, which is not a parameter", (key, index))
            elif key == "always_sent" and "default" not in parameters[name]:
                yield _mistake(source, "missing-default", f"{name} is always sent and has no default", ("parameters", name))
    for key in ("quantity", "by"):
        if price[key] not in data["always_sent"]:
            yield _mistake(source, "unknown-parameter", f"the price depends on {price[key]}, which is not always sent",
                           ("price", key))
    for value in parameters.get(price["by"], {}).get("enum", ()):
        if str(value) not in price["table"]:
            yield _mistake(source, "missing-price", f"there is no price for {price['by']} {value}", ("price", "table"))
    camera = data["camera"]
    for word, rule in camera["words"].items():
        if "axis" in rule and rule["axis"] not in camera["axes"]:
            yield _mistake(source, "unknown-axis", f"{word} moves along {rule['axis']}, which is not an axis",
                           ("camera", "words", word, "axis"))


def _mistake(source: str, code: str, message: str, pointer: Pointer, hint: str | None = None) -> Diagnostic:
    written = "".join(f"/{part}" for part in pointer)
    return Diagnostic(code=code, message=f"{message} (at {written or '/'})", pointer=written,
                      source=Source(path=source, line=1, column=1), hint=hint)


# ── the parts of a card; the data has passed the schema ───────────────────────────────────────────────────────────


def _frames(data: JsonObject) -> FrameRules:
    picture, seconds = data["picture"], data.get("last_duration")
    return FrameRules(
        first=data["first"], last=data["last"], last_requires_first=data["last_requires_first"],
        last_duration=None if seconds is None else Decimal(str(seconds)),
        picture=PictureAdvice(types=tuple(picture["types"]), min_side=int(picture["min_side"]),
                              max_ratio=float(picture["max_ratio"]), max_bytes=int(picture["max_bytes"])))


def _camera(data: JsonObject) -> CameraRules:
    words = {name: CameraWord(axis=rule.get("axis"), sign=int(rule.get("sign", 1)), phrase=rule.get("phrase"))
             for name, rule in data["words"].items()}
    return CameraRules(parameter=data["parameter"], type=data["type"], axes=tuple(data["axes"]), minimum=data["minimum"],
                       maximum=data["maximum"], types=tuple(data["types"]), words=words)


def _price(data: JsonObject) -> Price:
    table = {str(key): Decimal(str(value)) for key, value in data["table"].items()}
    return Price(unit=data["unit"], quantity=data["quantity"], by=data["by"], table=table, currency=data["currency"],
                 symbol=data["symbol"], per_credit=Decimal(str(data["per_credit"])))


def _jobs(data: JsonObject) -> JobRules:
    states = {str(word).lower(): RemoteState(kind) for kind, words in data["states"].items() for word in words}
    return JobRules(external_task_id=IdMeaning(data["external_task_id"]), failures_are_free=data["failures_are_free"],
                    failed_retries=int(data["failed_retries"]), states=states)


def _clip(data: JsonObject | None) -> ClipRules | None:
    if data is None:
        return None
    return ClipRules(duration=data["duration"], tolerance=float(data["tolerance"]), size=data["size"],
                     shortest_side={str(name): int(side) for name, side in data["shortest_side"].items()},
                     aspect_ratio=data["aspect_ratio"], frame_rates=tuple(map(float, data.get("frame_rates", ()))),
                     black=data.get("black"), still=data.get("still"))


def _advice(data: JsonObject) -> Advice:
    return Advice(prompt_characters=data.get("prompt_characters"), whole_seconds=data.get("whole_seconds", False))
