"""The provider's page as rules: what a request may hold, and what its clip costs.

Laws: pure; a body is judged by the page alone (advice of the upstream model refuses nothing here); fields that the page
does not name are tolerated and reported; credits and seconds are `Decimal`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from manifest_runner.core.model import JsonObject

LIST_PRICES: Mapping[str, Decimal] = {"720p": Decimal(29), "1080p": Decimal(46)}
"""Credits per second of output, by resolution."""

DEFAULT_DURATION = Decimal(5)
LAST_FRAME_DURATION = Decimal(5)
AXES = ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")

_TEXTS = (
    "prompt", "image_url", "last_frame_url", "aspect_ratio", "resolution", "negative_prompt",
    "external_task_id", "callback_url",
)
_FIELDS = frozenset({*_TEXTS, "duration", "cfg_scale", "camera_control"})

# What may differ between two requests for the same picture.
_LABELS = ("external_task_id", "callback_url")


class Rejected(Exception):
    """A clear no, on its way to becoming an answer: HTTP status, stable code, words, seconds for `Retry-After`."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A body that the page allows. `price` is in credits; `content` is a sha256 (hex) over everything but the labels, so
    that two orders of the same picture have the same one; `unknown` are the fields that the page does not name."""

    external_task_id: str
    callback_url: str
    duration: Decimal
    resolution: str
    price: Decimal
    content: str
    unknown: tuple[str, ...]


def read_order(body: bytes, prices: Mapping[str, Decimal]) -> Order:
    """The order that a request's bytes place, or `Rejected` (400) with words that name the field."""
    document = _parse(body)
    for name in _TEXTS:
        _check_text(name, document.get(name, ""))
    if not document.get("prompt"):
        _reject("prompt is required")
    duration = _number(document, "duration", 1, 15, DEFAULT_DURATION)
    _number(document, "cfg_scale", 0, 1, Decimal("0.5"))
    _check_last_frame(document, duration)
    _check_camera(document.get("camera_control"))
    resolution = document.get("resolution", "720p")
    if resolution not in prices:
        _reject(f"resolution must be one of {', '.join(prices)}")
    return Order(
        external_task_id=document.get("external_task_id", ""),
        callback_url=document.get("callback_url", ""),
        duration=duration,
        resolution=resolution,
        price=duration * prices[resolution],
        content=content_hash(document),
        unknown=tuple(sorted(document.keys() - _FIELDS)),
    )


def external_task_id_in(body: bytes) -> str:
    """The id that a body carries, or an empty string; never raises, since a body may be anything."""
    try:
        found = _parse(body).get("external_task_id")
    except Rejected:
        return ""
    return found if isinstance(found, str) else ""


def content_hash(document: JsonObject) -> str:
    """sha256 (hex) of a request without its labels."""
    content = {name: value for name, value in document.items() if name not in _LABELS}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, parse_float=Decimal, parse_constant=_not_json)
    except (ValueError, RecursionError):
        _reject("the body is not JSON")
    if not isinstance(document, dict):
        _reject("the body must be an object")
    return document


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        _reject(f"{name} must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can write it, nothing else can
        _reject(f"{name} is not valid text")


def _number(document: Mapping[str, Any], name: str, low: int, high: int, default: Decimal) -> Decimal:
    if name not in document:
        return default
    value = document[name]
    if not _is_number(value) or not low <= value <= high:
        _reject(f"{name} must be a number from {low} to {high}")
    return Decimal(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _check_last_frame(document: Mapping[str, Any], duration: Decimal) -> None:
    if "last_frame_url" not in document:
        return
    if "image_url" not in document:
        _reject("last_frame_url requires image_url")
    if duration != LAST_FRAME_DURATION:
        _reject("last_frame_url is for 5s clips only")


def _check_camera(camera: object) -> None:
    if camera is None:
        return
    if not isinstance(camera, dict):
        _reject("camera_control must be an object")
    if not isinstance(camera.get("type", ""), str):
        _reject("camera_control.type must be a string")
    config = camera.get("config", {})
    if not isinstance(config, dict):
        _reject("camera_control.config must be an object")
    for axis in AXES:
        if axis in config and (not _is_number(config[axis]) or not -10 <= config[axis] <= 10):
            _reject(f"camera_control.config.{axis} must be a number from -10 to 10")


def _reject(message: str) -> NoReturn:
    raise Rejected(400, "invalid_request", message)
