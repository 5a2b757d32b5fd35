"""What a quick plan stands on, as text, and which times of change may be trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.footing import MARGIN, SECOND, Footing, Listed, Read, dump, is_settled, load

NOW = 1_800_000_000 * SECOND
TICK = 4_000_000  # what ext4 tells times by


@pytest.mark.parametrize(("changed", "fine", "settled"), [
    (NOW - 10 * SECOND + 1, False, True),
    (NOW - 10 * SECOND + 1, True, True),
    (NOW - MARGIN - 1, False, True),
    (NOW - MARGIN, True, False),  # so young: what comes after it may have the same time
    (NOW - MARGIN + 1, False, False),
    (NOW - 1, False, False),
    (NOW, True, False),
    (NOW + 1, False, False),  # the clock was set back since
    (NOW + 3600 * SECOND + 1, True, False),
    (NOW - 10 * SECOND, False, False),  # whole seconds may be all that is told
    (NOW - 10 * SECOND, True, True),  # chance, where more than that is told
    (NOW - 86_400 * SECOND, False, False),
])
def test_a_time_is_trusted_where_it_cannot_be_that_of_a_later_change(changed: int, fine: bool, settled: bool) -> None:
    assert is_settled(changed, NOW, fine=fine) is settled


@given(grain=st.sampled_from([1, TICK, 10 * TICK, SECOND // 2 + 7, 2 * SECOND - 1]), before=st.integers(0, 5 * SECOND),
       after=st.integers(0, 5 * SECOND))
def test_however_coarsely_times_are_told_a_later_change_is_seen(grain: int, before: int, after: int) -> None:
    looked = NOW + before
    changed, again = NOW // grain * grain, (looked + after) // grain * grain
    assert changed != again or not is_settled(changed, looked, fine=True)


_words = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")), min_size=1, max_size=8)
_numbers = st.integers(0, 2**63)
_signs = st.none() | st.tuples(_numbers, _numbers, _numbers, st.integers(-1, 2**63), _numbers)
_reads = st.builds(Read, asked=_words, place=_words, size=_numbers, digest=_words, sign=_signs)
_footings = st.builds(
    Footing, ground=_words, made=_numbers, kept=_numbers, lockfile=_reads, reads=st.lists(_reads, max_size=2).map(tuple),
    missing=st.lists(_words, max_size=2).map(tuple), said=st.lists(_words, max_size=2).map(tuple),
    folders=st.lists(st.builds(Listed, asked=_words, place=_words, digest=_words), max_size=2).map(tuple))


@given(_footings)
def test_a_footing_comes_back_as_it_was(footing: Footing) -> None:
    text = dump(footing)
    assert text is not None
    again = load(text)
    assert again is not None
    assert dump(again) == text
    assert [getattr(again, name) for name in ("ground", "made", "kept", "missing", "said")] == [
        getattr(footing, name) for name in ("ground", "made", "kept", "missing", "said")]
    assert [read.sign for read in again.reads] == [read.sign for read in footing.reads]


@given(_footings, st.data())
def test_a_footing_that_is_cut_or_has_a_line_too_many_is_none(footing: Footing, data: st.DataObject) -> None:
    text = dump(footing) or ""
    assert load(text[:data.draw(st.integers(0, len(text) - 1))]) is None
    lines = text.split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    assert load("\n".join([*lines[:at], "kept\t7", *lines[at:]])) is None
    assert load("\n".join([*lines[:at], *lines[at + 1:]])) is None or lines[at].partition("\t")[0] in {
        "read", "missing", "folder", "said"}


@pytest.mark.parametrize("path", ["a\nkept\t7", "a\tb", "\x1b[2K", "a\u202eb", "\udcff.yaml", "a\u200bb"])
def test_a_path_that_cannot_be_seen_makes_no_footing(path: str) -> None:
    read = Read(asked=path, place="/x", size=1, digest="d")
    plain = Read(asked="a", place="/a", size=1, digest="d")
    assert dump(Footing(ground="g", made=1, kept=1, lockfile=plain, reads=(read,), missing=(), folders=())) is None
    assert dump(Footing(ground="g", made=1, kept=1, lockfile=plain, reads=(), missing=(path,), folders=())) is None
    assert dump(Footing(ground="g", made=1, kept=1, lockfile=plain, reads=(), missing=(), folders=(), said=(path,))) is None
