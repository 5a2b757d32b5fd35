"""What a plain YAML scalar means: the core schema of YAML 1.2 and nothing older.

Laws: `16:9`, `no`, `2026-11-22` and `0777` mean what they look like to a film maker (words, words, words and the number
777). Only plain scalars come here; what stands in quotes is a string. A number that JSON cannot carry is a mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the process that runs templates loads as little as it can
    from manifest_runner.core.model import Json


MAX_DIGITS = 20
"""An unsigned 64-bit number has 20 digits; nothing in a manifest counts higher."""

RESOLVABLE = frozenset("-+.0123456789nNtTfF~")
"""The first characters of scalars that may be something other than a string. The empty scalar is the other case."""

_WORDS: dict[str, Json] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class ScalarError(ValueError):
    """A number that cannot be used. `code` is the diagnostic's code, `hint` what to do about it."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def resolve(text: str) -> Json:
    """The value of a plain scalar: None, a bool, an int, a finite float or the text itself.

    Raises `ScalarError` for NaN, infinities and integers of more than `MAX_DIGITS` digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _bounded(text, int(text) if len(text) <= 2 * MAX_DIGITS else None)
    if _OCTAL_OR_HEX.fullmatch(text):
        return _bounded(text, int(text, 0) if len(text) <= 4 * MAX_DIGITS else None)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number - number != 0.0:  # infinite: the only float that fails this, NaN cannot be written with digits
            hint = "write a smaller number, or put it in quotes"
            raise ScalarError("not-finite", f"{_short(text)} is too large for a number", hint)
        return number
    if _NOT_FINITE.fullmatch(text):
        hint = f'write a finite number, or put "{text}" in quotes'
        raise ScalarError("not-finite", f"{text} is not a number that can be sent", hint)
    return text


def _bounded(text: str, number: int | None) -> int:
    """`number`, unless it is missing (too long to be worth reading) or has too many digits."""
    if number is None or abs(number) >= 10**MAX_DIGITS:
        hint = "if it is a name or an id, put it in quotes"
        raise ScalarError("integer-too-large", f"{_short(text)} has more than {MAX_DIGITS} digits", hint)
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
