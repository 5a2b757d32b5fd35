"""What may come out of a template, and the one error for everything that may not.

Law: plain JSON and nothing else. A function, a generator or an address in memory would differ from run to run, and a shot
whose prompt differs is paid for again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from manifest_runner.core.scalars import MAX_DIGITS
from manifest_runner.core.visible import is_clean
from manifest_runner.errors import ManifestRunnerError

if TYPE_CHECKING:  # the process that runs templates loads as little as it can
    from manifest_runner.core.model import Json

MAX_TEXT = 100_000
"""Characters of one filled string. The longest prompts have a few thousand."""

MAX_VALUES = 10_000
"""Values inside what one expression yields."""

MAX_ALL_TEXT = 10 * MAX_TEXT
"""Characters of all texts in what one expression yields."""

MAX_NESTING = 60
"""Lists and mappings inside one another in what one expression yields."""


_CLOCK, _CHANCE, _OUTSIDE = "no clock", "no chance", "no environment and no files"
_NOT_HERE = {
    **dict.fromkeys(("date", "datetime", "now", "time", "timestamp", "today", "utcnow"), _CLOCK),
    **dict.fromkeys(("choice", "lipsum", "rand", "randint", "random", "seed", "shuffle", "uuid", "uuid4"), _CHANCE),
    **dict.fromkeys(("env", "environ", "environment", "getenv", "open", "os", "sys"), _OUTSIDE),
}
"""Names that people try in templates, and why there is no such thing."""


class TemplateError(ManifestRunnerError):
    """A template that cannot be filled.

    `part` is the piece of the template to look at, as it is written; `line` is the line inside the template, from 1, where
    `part` is not known; `name` is the undefined name where that is the cause.
    """

    code = "template-failed"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None, part: str = "",
                 line: int | None = None, name: str | None = None) -> None:  # fmt: skip
        super().__init__(message, code=code, hint=hint)
        self.part = part
        self.line = line
        self.name = name


def undefined(name: str, known: Iterable[str]) -> TemplateError:
    """The error for a name that is not there, with the nearest ones that are."""
    names = sorted(known)
    if name in _NOT_HERE:
        hint = f"templates have {_NOT_HERE[name]}: a manifest must render to the same text twice; add it to vars"
        return TemplateError(f"{name} is not defined", code="undefined-name", hint=hint, name=name)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"add it to vars; there are: {', '.join(names[:12])}" if names else "add it to vars"
    return TemplateError(f"{name} is not defined", code="undefined-name", hint=hint, name=name)


def too_long() -> TemplateError:
    """The error for a string that grew beyond every use."""
    message = f"the text grows beyond {MAX_TEXT:,} characters"
    return TemplateError(message, code="template-limit", hint="shorten what it repeats")


def as_text(value: Json) -> str:
    """A value inside a text. None, lists and mappings are refused: their Python spelling is nobody's prompt."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    if value is None:
        raise TemplateError("the value is empty (null)", code="template-value", hint="set it, or write | default('...', true)")
    if isinstance(value, list | dict):
        kind = "list" if isinstance(value, list) else "mapping"
        hint = "write | join(', '), or name one of its values"
        raise TemplateError(f"a {kind} cannot stand inside a text", code="template-value", hint=hint)
    raise not_json(value)


def not_json(value: object) -> TemplateError:
    """The error for something that is no value."""
    hint = "call a function with (), or add | list"
    return TemplateError(f"the result is a {type(value).__name__}, not a value", code="template-value", hint=hint)


def check_text(text: str) -> str:
    """`text`, unless it holds characters that no manifest may hold, or the address of a function."""
    if not is_clean(text):
        hint = "remove the escape from the template"
        raise TemplateError("the result holds characters that cannot be seen", code="template-value", hint=hint)
    if " at 0x" in text and re.search(r"<[^<>]* at 0x[0-9a-fA-F]+>", text):
        message = "the text holds a function instead of its result"
        raise TemplateError(message, code="template-value", hint="call it with ()")
    return text


def plain_json(value: Any) -> Json:
    """`value` as plain JSON values. Raises `TemplateError` for anything else, and beyond `MAX_VALUES`."""
    return _plain(value, [MAX_VALUES, MAX_ALL_TEXT], 0)


def _plain(value: Any, left: list[int], depth: int) -> Json:
    left[0] -= 1
    if depth > MAX_NESTING:
        message = f"the result is nested more than {MAX_NESTING} deep"
        raise TemplateError(message, code="template-limit", hint="make it flatter")
    if left[0] < 0:
        message = f"the result has more than {MAX_VALUES:,} values"
        raise TemplateError(message, code="template-limit", hint="make it smaller")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        left[1] -= len(value)
        if len(value) > MAX_TEXT or left[1] < 0:
            raise too_long()
        return check_text(str(value))
    if isinstance(value, int) and abs(value) < 10**MAX_DIGITS:
        return int(value)
    if isinstance(value, float) and value - value == 0.0:
        return value
    if isinstance(value, int | float):
        hint = "use a smaller, finite number"
        raise TemplateError("the result is a number that cannot be sent", code="template-value", hint=hint)
    if isinstance(value, list):
        return [_plain(item, left, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {check_text(str(key)): _plain(item, left, depth + 1) for key, item in value.items()}
    raise not_json(value)
