"""Bytes → text: UTF-8, and nothing in it that cannot be seen.

Law: a character that an editor hides, or that changes the order in which others are shown, is refused with its position:
what a reviewer reads is what is rendered.
"""

from __future__ import annotations

import re
from itertools import islice

from manifest_runner.core.model import Diagnostic, Source
from manifest_runner.core.positions import position
from manifest_runner.core.visible import NOT_CLEAN, is_clean
from manifest_runner.errors import InvalidInput

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of one file. 10,000 shots with long prompts are 5 MB."""

MAX_PROBLEMS = 100
"""Mistakes reported for one text; a thousand more would not help."""

_OTHER_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\xef\xbb\xbf", "UTF-8 with a byte order mark"))


def decode(data: bytes, *, path: str) -> str:
    """The text of a file: UTF-8 without a byte order mark, controls or characters that change the reading direction.

    Raises `InvalidInput` (`yaml-encoding`, `yaml-too-large`) with the position of each offending character.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInput([too_large(path, f"the file has more than {MAX_BYTES // 1024 // 1024} MiB")])
    for mark, name in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise InvalidInput([_encoding(Source(path=path, line=1, column=1), f"the file is {name}")])
    if data[:64].count(0) * 3 > len(data[:64]):  # one mistake, not one for every second byte
        raise InvalidInput([_encoding(Source(path=path, line=1, column=1), "the file is UTF-16 or binary")])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        where = position(path, before, len(before))
        message = "the file is UTF-16 or binary" if b"\0" in data[:64] else f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise InvalidInput([_encoding(where, message)]) from None
    check_characters(text, path)
    return text


def check_characters(text: str, path: str) -> None:
    """Refuses what cannot be seen or what shows a text otherwise than it reads."""
    if is_clean(text):
        return
    problems = []
    for found in islice(re.finditer(NOT_CLEAN, text), MAX_PROBLEMS):
        where = position(path, text, found.start())
        message = f"the character U+{ord(found.group()):04X} cannot stand in a manifest"
        problems.append(_encoding(where, message, "remove it; most editors do not show it"))
    raise InvalidInput(problems)


def _encoding(where: Source, message: str, hint: str = "save the file as UTF-8 without a byte order mark") -> Diagnostic:
    return Diagnostic(code="yaml-encoding", message=message, source=where, hint=hint)


def too_large(path: str, message: str) -> Diagnostic:
    """The Diagnostic for a text that passes a bound as a whole."""
    where = Source(path=path, line=1, column=1)
    return Diagnostic(code="yaml-too-large", message=message, source=where, hint="split it into several manifests")
