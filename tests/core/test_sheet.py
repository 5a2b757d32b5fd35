"""Bytes to rows: encodings, delimiters, lines, bounds, and cells that no spreadsheet computes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.sheet import DELIMITERS, MAX_CELL, MAX_COLUMNS, MAX_ROWS, Row, Sheet, guarded, read, unguarded
from manifest_runner.core.sheet_text import MAX_BYTES, decode
from manifest_runner.core.shotlist import header_score
from manifest_runner.errors import InvalidInput
from tests.builders import CARD
from tests.lists import refused, rows

HEAD = "scene,shot,description\r\n"


def sheet(text: str) -> Sheet:
    return read(text, path="shots.csv", encoding="UTF-8", score=lambda found: header_score(CARD, found))


@pytest.mark.parametrize(
    ("data", "text", "name"),
    [
        ("Straße".encode(), "Straße", "UTF-8"),
        (b"\xef\xbb\xbf" + "Straße".encode(), "Straße", "UTF-8"),
        ("Straße €".encode("cp1252"), "Straße €", "Windows-1252 (a guess)"),
        ("Straße".encode("utf-16"), "Straße", "UTF-16"),
        (b"\xfe\xff" + "Straße".encode("utf-16-be"), "Straße", "UTF-16"),
        ("shot;description".encode("utf-16-le"), "shot;description", "UTF-16"),
        ("shot;description".encode("utf-16-be"), "shot;description", "UTF-16"),
        (b"", "", "UTF-8"),
    ],
)
def test_an_encoding_is_found_out_and_said(data: bytes, text: str, name: str) -> None:
    assert decode(data, path="shots.csv") == (text, name)


def test_what_the_user_says_of_the_encoding_counts() -> None:
    assert decode("Größe".encode("mac-roman"), path="x.csv", encoding="mac-roman") == ("Größe", "Mac Roman")
    assert decode(b"\xef\xbb\xbfx", path="x.csv", encoding="utf-8") == ("x", "UTF-8")
    with pytest.raises(InvalidInput) as caught:
        decode(b"a\xff", path="x.csv", encoding="utf-8")
    assert caught.value.diagnostics[0].message == "byte 0xff is not UTF-8"


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        (b"PK\x03\x04 and so on", "1:1", "a workbook"),
        (b"\xd0\xcf\x11\xe0", "1:1", "an old Excel workbook"),
        (b"%PDF-1.7", "1:1", "a PDF"),
        (b"shot,\x81\xff\n\xff", "1:6", "byte 0x81 is neither UTF-8 nor Windows-1252"),
        (b"shot,description\na\x00,b", "2:2", "NUL"),
        (b"x" * (MAX_BYTES + 1), "1:1", "more than 8 MiB"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_is_no_text_is_told_by_its_name(data: bytes, place: str, words: str) -> None:
    code, where, told = refused(data)
    assert code in ("list-encoding", "list-too-large")
    assert where == place
    assert words in told


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_what_parts_the_cells_is_what_makes_most_of_the_header(delimiter: str) -> None:
    text = rows(["title", "", ""], ["scene", "shot", "description"], ["1", "1", "a; b, c | d \t e"], delimiter=delimiter)
    found = sheet(text)
    assert found.delimiter == delimiter
    assert found.rows[-1].cells == ("1", "1", "a; b, c | d \t e")


def test_a_first_line_that_says_what_parts_the_cells_is_believed() -> None:
    found = sheet("sep=;\r\nscene;shot;description\r\n1;1;rain\r\n")
    assert (found.delimiter, [row.line for row in found.rows]) == (";", [2, 3])


def test_rows_know_the_line_where_they_begin_and_blank_ones_are_left_out() -> None:
    found = sheet('scene,shot,description\r\n1,1,"two\nlines"\r\n ,\t,\r\n\r\n1,2,rain,,\n1,3,"a\rb"\r1,4,last')
    assert [(row.line, row.number, row.cells) for row in found.rows] == [
        (1, 1, ("scene", "shot", "description")),
        (2, 2, ("1", "1", "two\nlines")),
        (6, 5, ("1", "2", "rain")),
        (7, 6, ("1", "3", "a\rb")),
        (9, 7, ("1", "4", "last")),
    ]


cells = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), min_size=1, max_size=5)


@given(st.lists(cells, min_size=1, max_size=6), st.sampled_from(sorted(DELIMITERS)))
def test_the_place_of_a_cell_is_where_it_begins(content: list[list[str]], delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(content)
    text = out.getvalue()
    found = Sheet(path="x", text=text, rows=(), encoding="", delimiter=delimiter)
    line = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for read_cells in reader:
        for index, cell in enumerate(read_cells):
            place = found.place(Row(line=line, number=1, cells=()), index)
            rest = "\n".join([lines[place.line - 1][place.column - 1 :], *lines[place.line :]])
            plain = cell.replace("\r\n", "\n").replace("\r", "\n")
            assert rest.startswith((plain, f'"{plain}'.replace('"', '""')[1:]))
        line = 1 + reader.line_num


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("", "list-empty", "1:1", "empty"),
        (" , ,\n\n", "list-empty", "1:1", "empty"),
        (HEAD + '1,1,"rain\r\n1,2,fog\r\n', "list-syntax", "2:5", "a quote is opened here and never closed"),
        (HEAD + '1,1,"' + "x" * 140_000, "list-syntax", "1:1", "is a quote opened there"),
        (HEAD + "1,1," + "x" * (MAX_CELL + 1), "list-too-large", "2:5", f"more than {MAX_CELL:,} characters"),
        (HEAD + "1," * MAX_COLUMNS + "1", "list-too-large", "2:1", "more than 256 cells"),
        (HEAD + "1,1,a\n" * MAX_ROWS, "list-too-large", f"{MAX_ROWS + 1}:1", "more than 21,000 rows"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_list_that_is_too_much_or_broken_is_refused_at_its_place(text: str, code: str, place: str, words: str) -> None:
    found = refused(text)
    assert found[:2] == (code, place)
    assert words in found[2]


def test_as_many_blank_rows_as_spreadsheets_leave_behind_cost_nothing() -> None:
    assert len(sheet(HEAD + "1,1,rain\r\n" + ",,,,\r\n" * 300_000).rows) == 2


@pytest.mark.parametrize("text", ["=1+1", "+49", "-", "@SUM(A1)", "\t=x", "\r", " =x", "＝cmd", "'=x", "''@"])
def test_a_formula_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "rain", "'tis", "'", "1-2", "a=b", "''"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text == unguarded(text)


@given(st.text(st.sampled_from("'=+-@＝ \t\r\nab"), max_size=8) | st.text())
def test_a_guarded_cell_comes_back_and_never_begins_a_formula(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    assert not cell.startswith(("\t", "\r", "\n"))
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
