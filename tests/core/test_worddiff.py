"""What changed in a text, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.worddiff import around_changes, word_diff


def test_one_word_changes_one_word() -> None:
    assert word_diff("rain on her face.", "rain on her hands.") == [
        ("same", "rain on her "),
        ("removed", "face"),
        ("added", "hands"),
        ("same", "."),
    ]


@given(st.text(), st.text())
def test_the_pieces_join_to_both_texts(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(text for kind, text in pieces if kind != "added") == before
    assert "".join(text for kind, text in pieces if kind != "removed") == after


def test_long_stretches_that_stayed_are_cut() -> None:
    pieces = around_changes(word_diff("a " * 200 + "x" + " b" * 200, "a " * 200 + "y" + " b" * 200), keep=10)
    assert [kind for kind, _ in pieces] == ["same", "removed", "added", "same"]
    assert all(len(text) <= 12 for _, text in pieces)


def test_texts_too_long_to_compare_count_as_rewritten_between_what_both_begin_and_end_with() -> None:
    before, after = "a b " + "x y " * 5000 + "z", "a b " + "u v " * 5000 + "z"
    kinds = [(kind, len(text)) for kind, text in word_diff(before, after)]
    assert kinds == [("same", 4), ("removed", 19999), ("added", 19999), ("same", 2)]
