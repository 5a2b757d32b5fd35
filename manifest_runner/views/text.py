"""Text for a terminal: lines, columns and numbers. What strangers wrote passes `safe` first."""

from __future__ import annotations

from collections.abc import Iterable

from manifest_runner.views.escaping import terminal

safe = terminal
"""The name by which the views for a terminal know it."""


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
