"""Bytes of a spreadsheet's CSV → text: the encoding is found out, and said.

Laws
- A byte order mark is believed; without one, UTF-8 that holds to the last byte, then UTF-16 by its zero bytes, then
  Windows-1252, which Excel writes in western Europe. A guess is never silent: what came out is a word that the user reads.
- What is no text at all (a workbook, a PDF, a picture) is told by its name, with what to do about it.
"""

from __future__ import annotations

from manifest_runner.core.model import Diagnostic, Source
from manifest_runner.core.positions import position
from manifest_runner.errors import InvalidInput

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of one list. 20,000 shots with long descriptions are 6 MB."""

ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "windows-1252": "Windows-1252", "windows-1250": "Windows-1250",
             "windows-1251": "Windows-1251", "mac-roman": "Mac Roman"}
"""What a user may say by name, and how it is called."""

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig", "UTF-8"), (b"\xff\xfe", "utf-16", "UTF-16"), (b"\xfe\xff", "utf-16", "UTF-16"))
_OTHER = ((b"PK\x03\x04", "a workbook (.xlsx, .ods or .numbers)"), (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
          (b"%PDF-", "a PDF"), (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"),
          (b"{\\rtf", "a formatted text (.rtf)"))
_HINT = "save the sheet as CSV (in Excel: CSV UTF-8), and import that"
_LOOKED_AT = 4096


def decode(data: bytes, *, path: str, encoding: str | None = None) -> tuple[str, str]:
    """The text of a list, without a byte order mark, and the name of its encoding. `encoding` is one of `ENCODINGS` where the
    user says so. Raises `InvalidInput` (`list-too-large`, `list-encoding`)."""
    if len(data) > MAX_BYTES:
        raise InvalidInput([Diagnostic(code="list-too-large", source=_top(path), hint="split it into several lists",
                                       message=f"the file has more than {MAX_BYTES // 1024 // 1024} MiB")])
    for mark, what in _OTHER:
        if data.startswith(mark):
            raise _refused(_top(path), f"this is {what}, not CSV")
    codec, name = (encoding, ENCODINGS[encoding]) if encoding is not None else _guess(data)
    try:
        text = data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[:error.start].decode(codec, "replace")
        words = f"byte 0x{data[error.start]:02x} is not {name}" if encoding is not None or codec != "windows-1252" else \
            f"byte 0x{data[error.start]:02x} is neither UTF-8 nor Windows-1252"
        raise _refused(position(path, before, len(before)), words) from None
    if "\0" in text:
        before = text[:text.index("\0")]
        raise _refused(position(path, before, len(before)), "the file holds NUL characters: it is no text")
    return text, name


def _guess(data: bytes) -> tuple[str, str]:
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return codec, name
    head = data[:_LOOKED_AT]
    for first, codec in ((0, "utf-16-be"), (1, "utf-16-le")):
        if len(head) > 3 and head[first::2].count(0) * 2 > len(head) // 2 > head[1 - first::2].count(0) * 8:
            return codec, "UTF-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "windows-1252", "Windows-1252 (a guess)"
    return "utf-8", "UTF-8"


def _refused(where: Source, message: str) -> InvalidInput:
    return InvalidInput([Diagnostic(code="list-encoding", message=message, source=where, hint=_HINT)])


def _top(path: str) -> Source:
    return Source(path=path, line=1, column=1)
