"""What strangers wrote is shown on a terminal, never obeyed."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Diagnostic, Source
from manifest_runner.views.diagnostics import as_text
from manifest_runner.views.text import columns, count, safe


@given(st.text())
def test_safe_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = safe(text)
    assert not any(unicodedata.category(character) == "Cc" for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def test_what_is_unsafe_is_written_out_and_the_rest_is_left() -> None:
    assert safe("\x1b[2Jé日本 ₹") == "\\x1b[2Jé日本 ₹"


def test_a_caret_stands_below_its_column_and_long_lines_are_cut_round_it() -> None:
    line = "x" * 300 + "HERE" + "y" * 300
    text = as_text([Diagnostic(code="c", message="m", source=Source(path="p", line=1, column=301))], {"p": line})
    shown, caret = text.splitlines()[1:3]
    assert len(shown) < 200
    assert shown[caret.index("^") :].startswith("HERE") or "HERE" in shown


def test_a_diagnostic_without_its_text_is_still_a_line() -> None:
    assert as_text([Diagnostic(code="c", message="m", source=Source(path="p", line=9, column=1))], {}).endswith("m")


def test_columns_align_and_leave_the_last_one() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]
    assert columns([]) == []


def test_counting() -> None:
    assert (count(1, "shot"), count(2, "shot"), count(1200, "shot")) == ("1 shot", "2 shots", "1,200 shots")
