"""One JSON for one value, and the fingerprint of a request.

Laws: equal values give equal bytes, whatever the order of keys or the way a number was written (`-3.0` is `-3`); a value
that JSON cannot hold is refused, never approximated. Any change here re-renders every show: the tests pin the bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from manifest_runner.core.model import Fingerprint, Json, Request


def _mapping(value: object) -> dict[str, Json]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_mapping)


def canonical_json(value: Json) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; floats that are whole numbers are written as integers, at any depth.

    Raises ValueError for NaN, infinities and lone surrogates, TypeError for what is not JSON.
    """
    text = _ENCODER.encode(value)
    # Python writes every whole float with one of these two; a prompt that holds one costs a second pass, nothing else.
    if ".0" in text or "e+" in text:
        text = _ENCODER.encode(whole(value))
    return text.encode()


def whole(value: Json) -> Json:
    """The same JSON value with floats that are whole numbers as integers."""
    if isinstance(value, (str, int)) or value is None:  # first, because nearly all are
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not JSON")


def fingerprint(request: Request) -> Fingerprint:
    """`sha256:` and 64 hex digits over the model and the request's parameters, and nothing else."""
    body = canonical_json({"model": request.model, "request": request.params})
    return Fingerprint("sha256:" + hashlib.sha256(body).hexdigest())
