"""Text for a terminal: what strangers wrote is shown, never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable

# C0 and C1 controls, bidirectional overrides and isolates, zero-width and line separators: each could move the cursor,
# recolour, hide or reorder what a person reads.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def safe(text: str) -> str:
    """`text` with everything that a terminal would obey written out (`\\x1b`); line breaks and tabs become spaces."""
    return _UNSAFE.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    character = match.group()
    if character in "\n\t":
        return " "
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def columns(rows: Iterable[tuple[str, ...]], *, gap: int = 2) -> list[str]:
    """Rows of plain text as lines with aligned columns; the last column is left as long as it is."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    return ["".join(cell.ljust(width + gap) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows]


def count(number: int, word: str, plural: str | None = None) -> str:
    """`1 shot`, `3 shots`."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"
