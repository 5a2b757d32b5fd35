"""The rows of a spreadsheet's CSV, each with the line where it begins; and cells that no spreadsheet takes for a formula.

Laws
- Python's `csv` reads; nothing here parses a cell. Only the place of a caret is found by a pattern of our own.
- Lists come from strangers: lines, columns and cells are bounded, and whatever is too much is a Diagnostic.
- `unguarded(guarded(text)) == text` for every text, and no spreadsheet computes what `guarded` returns.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from manifest_runner.core.model import Diagnostic, Source
from manifest_runner.errors import InvalidInput

MAX_ROWS = 21_000
"""Rows that are not blank: as many as a manifest has shots, and what stands round them."""

MAX_COLUMNS = 256
MAX_CELL = 32_767
"""Characters of one cell: no spreadsheet holds more."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 64 * 1024
_SAID = re.compile(r'\A"?sep=([,;|\t])"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)

_FORMULA = r"(?:[\t\r\n]|\s*[=+\-@＝＋－＠])"
_DANGEROUS = re.compile(rf"'*{_FORMULA}")
_GUARDED = re.compile(rf"'+{_FORMULA}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the line of the file where it begins and its number among all rows, blank ones included, both from 1. Cells are
    as `csv` gives them."""

    line: int
    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All rows that are not blank. `path` is shown to the user."""

    path: str
    text: str
    rows: tuple[Row, ...]
    encoding: str
    delimiter: str

    @property
    def decimal_comma(self) -> bool:
        """Whether 1.500 may be one thousand and a half: where commas are decimal, lists are parted by something else."""
        return self.delimiter == ";"

    def place(self, row: Row, column: int = 0) -> Source:
        """Where a cell begins: its line and, in that line, its character."""
        lines = list(io.StringIO(self.text, newline=""))[row.line - 1:row.line + MAX_CELL]
        raw, at = "".join(lines), 0
        cell = re.compile(rf'(?:"(?:[^"]|"")*(?:"|\Z))?[^{re.escape(self.delimiter)}\r\n]*')
        for _ in range(column):
            found = cell.match(raw, at)
            if found is None or raw[found.end():found.end() + 1] != self.delimiter:
                break
            at = found.end() + 1
        before = raw[:at].replace("\r\n", "\n").replace("\r", "\n")
        return Source(path=self.path, line=row.line + before.count("\n"), column=len(before) - before.rfind("\n"))

    @property
    def lines(self) -> str:
        """The text with one kind of line end, for the excerpt below a Diagnostic."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n")


def letters(column: int) -> str:
    """What spreadsheets call a column that has no title: A, B … Z, AA."""
    name = ""
    while column >= 0:
        name = chr(ord("A") + column % 26) + name
        column = column // 26 - 1
    return name


def read(text: str, *, path: str, encoding: str, score: Callable[[Sequence[Row]], int]) -> Sheet:
    """The rows of a list. What parts its cells is what the first line says (`sep=;`), or what makes the most of its header by
    `score`. Raises `InvalidInput`."""
    said = _SAID.match(text)
    if said is not None:
        delimiter, body, first = said[1], text[said.end():], 2
    else:
        delimiter, body, first = _best(text, score), text, 1
    rows: list[Row] = []
    sheet = Sheet(path=path, text=text, rows=(), encoding=encoding, delimiter=delimiter)
    try:
        for row in _rows(body, delimiter, first):
            rows.append(row)
            _check(sheet, row, len(rows))
    except csv.Error as error:
        where = Row(line=rows[-1].line if rows else 1, number=0, cells=())
        raise _refused(sheet, where, 0, "list-syntax", f"behind this row the list cannot be read: {error}",
                       "is a quote opened there and never closed?") from None
    if not rows:
        raise _refused(sheet, Row(line=1, number=1, cells=()), 0, "list-empty", "the list is empty", None)
    _check_closed(sheet, rows[-1])
    return Sheet(path=path, text=text, rows=tuple(rows), encoding=encoding, delimiter=delimiter)


def _rows(text: str, delimiter: str, first: int) -> Iterator[Row]:
    """The rows that are not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = first
    for number, cells in enumerate(reader, 1):
        if any(cells) and any(map(str.strip, cells)):
            while not cells[-1].strip():
                cells.pop()
            yield Row(line=line, number=number, cells=tuple(cells))
        line = first + reader.line_num


def _best(text: str, score: Callable[[Sequence[Row]], int]) -> str:
    """The delimiter by which the beginning of a list has the best header; commas where none has."""
    head = text[:_LOOKED_AT]

    def worth(delimiter: str) -> int:
        found: list[Row] = []
        with suppress(csv.Error):  # the cut may lie inside of a quote; what was read up to there is enough
            found.extend(_rows(head, delimiter, 1))
        return score(found)

    return max(DELIMITERS, key=worth)


def _check(sheet: Sheet, row: Row, count: int) -> None:
    if count > MAX_ROWS:
        raise _refused(sheet, row, 0, "list-too-large", f"the list has more than {MAX_ROWS:,} rows", "split it into several")
    if len(row.cells) > MAX_COLUMNS:
        raise _refused(sheet, row, 0, "list-too-large", f"the row has more than {MAX_COLUMNS} cells", None)
    for index, cell in enumerate(row.cells):
        if len(cell) > MAX_CELL:
            raise _refused(sheet, row, index, "list-too-large", f"the cell has more than {MAX_CELL:,} characters",
                           "is a quote opened here and never closed?")


def _check_closed(sheet: Sheet, row: Row) -> None:
    """A quote that is never closed takes the rest of the file into its cell."""
    rest = "".join(list(io.StringIO(sheet.text, newline=""))[row.line - 1:])
    try:
        list(csv.reader(io.StringIO(rest, newline=""), delimiter=sheet.delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise _refused(sheet, row, len(row.cells) - 1, "list-syntax", "a quote is opened here and never closed",
                           "close it, or write a quote inside of a cell twice") from None


def _refused(sheet: Sheet, row: Row, column: int, code: str, message: str, hint: str | None) -> InvalidInput:
    return InvalidInput([Diagnostic(code=code, message=message, source=sheet.place(row, column), hint=hint)],
                        texts={sheet.path: sheet.lines})


# ── cells that no spreadsheet computes ────────────────────────────────────────────────────────────────────────────────


def guarded(text: str) -> str:
    """`text` as a cell that is shown and never computed: an apostrophe before what would begin a formula."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def unguarded(cell: str) -> str:
    """What `guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell
