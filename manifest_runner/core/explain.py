"""Why a value breaks its schema, in the user's words and not the validator's.

Only input that is known to be wrong comes here, so that nobody else pays for `jsonschema`. Nothing is ever fetched: the
registry is empty and has no way to retrieve. Values are quoted short, on one line, and never from a key that is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from manifest_runner.core.model import Json, JsonObject, Pointer, Severity

QUOTED = 40
"""How many characters of a wrong value a message repeats."""

SUGGESTIONS = 20
"""How many unknown keys of one mapping are compared with the known ones: it is slow, and there may be a million."""

_GATEWAY = "--base-url or MANIFEST_RUNNER_BASE_URL"
_KEY = "TRINETRA_API_KEY or --key-file"
_CALLBACK = "--callback-url or MANIFEST_RUNNER_CALLBACK_URL"

OPERATORS = {
    "base_url": _GATEWAY, "gateway": _GATEWAY, "endpoint": _GATEWAY,
    "api_key": _KEY, "key": _KEY, "key_file": _KEY, "token": _KEY, "x_api_key": _KEY, "trinetra_api_key": _KEY,
    "callback": _CALLBACK, "callback_url": _CALLBACK, "webhook": _CALLBACK, "webhook_url": _CALLBACK,
    "state_dir": "--state-dir or MANIFEST_RUNNER_STATE",
    "max_credits": "--max-credits or MANIFEST_RUNNER_MAX_CREDITS", "daily_credits": "MANIFEST_RUNNER_DAILY_CREDITS",
}
"""Settings of whoever runs the program: a manifest arrives in pull requests and may not name them."""

ELSEWHERE = {
    "image_url": "write first_frame", "last_frame_url": "write last_frame", "camera_control": "write camera",
    "external_task_id": "the program makes these ids itself", "matrix": "a matrix belongs to a shot",
}
"""Words of the API and other keys that have another place."""

KINDS = {"string": "a text", "number": "a number", "integer": "a whole number", "object": "a mapping", "array": "a list",
         "boolean": "true or false", "null": "empty"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake: `pointer` leads to the value; to its key where `at_key`; to what is not there where `absent`.

    `see` are other places that explain it, each with what to say of it.
    """

    code: str
    message: str
    pointer: Pointer
    at_key: bool = False
    absent: bool = False
    hint: str | None = None
    severity: Severity = Severity.ERROR
    see: tuple[tuple[str, Pointer], ...] = ()


def explain(schema: JsonObject, data: Json, *, at: Pointer = ()) -> Iterator[Finding]:
    """Every mistake of `data`, which stands at the pointer `at` of a larger document."""
    import jsonschema  # here and not above: 80 ms that only a wrong manifest should pay
    from referencing import Registry

    validator = jsonschema.Draft7Validator(schema, registry=Registry())
    for error in validator.iter_errors(data):
        yield from _translated(error, at)


def pointer_text(pointer: Pointer) -> str:
    """A pointer as JSON Pointer text: `/shots/3/duration`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in pointer)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None. Letter case, spaces and hyphens do not count."""
    return _closest(word, tuple(known))


@lru_cache(maxsize=256)
def _closest(word: str, known: tuple[str, ...]) -> str | None:
    import difflib  # only a mistake pays for it

    folded = {_folded(name): name for name in known}
    if found := difflib.get_close_matches(_folded(word), folded, n=1, cutoff=0.6):
        return folded[found[0]]
    return None


def _folded(word: str) -> str:
    return word.strip("' ").lower().replace("-", "_").replace(" ", "_")


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` where something is close, otherwise None."""
    found = closest(word, known)
    return f"did you mean {found}?" if found else None


def shown(value: Json) -> str:
    """A wrong value as a message repeats it: short, on one line, nothing in it that could steer a terminal."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= QUOTED else value[: QUOTED - 1] + "…"
        return "'" + "".join(char if char.isprintable() else "?" for char in text) + "'"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value) if value.bit_length() < 64 else "a huge number"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def named(pointer: Pointer) -> str:
    """What a value is called in a message: `duration`, `camera.amount`, `limits.rate`, `shot 3` (counted from 1)."""
    if pointer[:1] == ("shots",) and len(pointer) == 2:
        return f"shot {int(pointer[1]) + 1}"
    parts = pointer[2:] if pointer[:1] == ("shots",) and len(pointer) > 2 else pointer
    return ".".join(str(part) for part in parts) or "the file"


# ── one translation for each keyword that our schemas use ─────────────────────────────────────────────────────────


def _translated(error: Any, at: Pointer) -> Iterator[Finding]:
    pointer = (*at, *error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error, pointer)
    elif error.validator == "required":
        yield from _missing_keys(error, pointer)
    else:
        code, words = _WORDS.get(error.validator, ("bad-format", _anything))
        message, hint = words(error, named(pointer))
        yield Finding(code=code, message=message, pointer=pointer, hint=hint)


def _unknown_keys(error: Any, pointer: Pointer) -> Iterator[Finding]:
    known = error.schema.get("properties", {})
    for number, key in enumerate(name for name in error.instance if name not in known):
        text, place = str(key), (*pointer, key)
        if setting := OPERATORS.get(_folded(text)):
            yield Finding(code="operator-setting", pointer=place, at_key=True,
                          message=f"{text} is a setting of whoever runs the program and is never in a manifest",
                          hint=f"remove it here; set {setting}")
            continue
        near = suggestion(text, known) if number < SUGGESTIONS else None
        hint = ELSEWHERE.get(text) or near or f"known here: {', '.join(known)}"
        yield Finding(code="unknown-key", message=f"{shown(text)[1:-1]} is not a known key", pointer=place, at_key=True,
                      hint=hint)


def _missing_keys(error: Any, pointer: Pointer) -> Iterator[Finding]:
    # jsonschema reports each missing key by itself and names it in its message only: find it by what is absent.
    absent = [key for key in error.validator_value if key not in error.instance]
    key = next(key for key in absent if error.message.startswith(repr(key)))
    known = error.schema.get("properties", {})
    unknown = islice((str(other) for other in error.instance if other not in known), SUGGESTIONS)
    if any(closest(other, known) == key for other in unknown):
        return  # a misspelt key is one mistake, not two
    whole = error.schema.get("x-name") or named(pointer)
    yield Finding(code="missing-key", message=f"{whole} has no {key}", pointer=(*pointer, key), absent=True)


def _type(error: Any, name: str) -> tuple[str, str | None]:
    kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    wanted = error.schema.get("x-forms") or " or ".join(KINDS[kind] for kind in kinds)
    value = error.instance
    if value is None:
        return f"{name} is empty; it must be {wanted}", "write a value, or remove the line"
    what = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
    hint = "write it without quotation marks" if isinstance(value, str) and "number" in wanted and _numeric(value) else None
    return f"{name} must be {wanted}, not {what}", hint


def _numeric(text: str) -> bool:
    return text.replace(".", "", 1).lstrip("-").isdecimal()


def _range(error: Any, name: str) -> tuple[str, str | None]:
    low, high = error.schema.get("minimum"), error.schema.get("maximum")
    unit = f" {error.schema['x-unit']}" if "x-unit" in error.schema else ""
    if high is None:
        rule = f"at least {shown(low)}"
    elif low is None:
        rule = f"at most {shown(high)}"
    else:
        rule = f"between {shown(low)} and {shown(high)}"
    return f"{name} is {shown(error.instance)}; it must be {rule}{unit}", None


def _choice(error: Any, name: str) -> tuple[str, str | None]:
    allowed = [str(word) for word in error.validator_value]
    rule = "it must be" if len(allowed) == 1 else "it must be one of"
    if "x-noun" in error.schema:
        rule = f"that is not {error.schema['x-noun']}; there are"
    return f"{name} is {shown(error.instance)}; {rule} {', '.join(allowed)}", suggestion(shown(error.instance), allowed)


def _pattern(error: Any, name: str) -> tuple[str, str | None]:
    says = error.schema.get("x-says") or "is not written as it must be"
    examples = error.schema.get("examples")
    return f"{name} is {shown(error.instance)}; it {says}", f"for example {examples[0]}" if examples else None


def _length(error: Any, name: str) -> tuple[str, str | None]:
    if not error.instance:
        return f"{name} is empty", None
    return f"{name} has {len(error.instance):,} characters; it may have {error.validator_value:,}", None


def _count(error: Any, name: str) -> tuple[str, str | None]:
    if not error.instance:
        return f"{name} is empty; at least one is needed", None
    return f"{name} has {len(error.instance):,} entries; it may have {error.validator_value:,}", None


def _anything(error: Any, name: str) -> tuple[str, str | None]:
    return f"{name} is {shown(error.instance)}, which is not allowed here ({error.validator})", None


_WORDS: dict[str, tuple[str, Callable[[Any, str], tuple[str, str | None]]]] = {
    "type": ("wrong-type", _type),
    "minimum": ("out-of-range", _range),
    "maximum": ("out-of-range", _range),
    "exclusiveMinimum": ("out-of-range", _anything),
    "exclusiveMaximum": ("out-of-range", _anything),
    "enum": ("not-one-of", _choice),
    "pattern": ("bad-format", _pattern),
    "minLength": ("bad-format", _length),
    "maxLength": ("too-long", _length),
    "minItems": ("too-few", _count),
    "maxItems": ("too-many", _count),
    "minProperties": ("too-few", _count),
}
