"""The times of stamps and rules, as functions of other times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.stamps import LONG_AGO, rules_time, stamp_time

NOW = 1_800_000_000 * 10**9
TIMES = st.integers(0, 2 * NOW)


@given(st.booleans(), st.none() | TIMES, st.lists(TIMES, max_size=4))
def test_a_stamp_is_newer_than_all_its_clips_where_there_is_something_to_do_and_than_none_where_there_is_not(
        stale: bool, stamp: int | None, clips: list[int]) -> None:
    time = stamp_time(stale, stamp, clips, NOW)
    found = stamp if time is None else time
    assert found is not None
    assert all(found > clip for clip in clips) if stale else all(found <= clip for clip in clips)


@given(st.booleans(), st.none() | TIMES, st.lists(TIMES, max_size=4))
def test_a_stamp_that_says_what_is_so_is_left_alone(stale: bool, stamp: int | None, clips: list[int]) -> None:
    time = stamp_time(stale, stamp, clips, NOW)
    found = stamp if time is None else time
    assert stamp_time(stale, found, clips, NOW + 1) is None


@pytest.mark.parametrize(("stale", "stamp", "clips", "time"), [
    (True, None, [], NOW), (True, None, [NOW - 5], NOW), (True, NOW - 1, [NOW - 5], None), (True, NOW - 5, [NOW - 5], NOW),
    (False, None, [NOW - 5], LONG_AGO), (False, NOW, [NOW - 5], LONG_AGO), (False, NOW, [NOW, NOW + 5], None),
    (False, NOW, [], None), (False, NOW, [7], 7)])
def test_times_of_stamps(stale: bool, stamp: int | None, clips: list[int], time: int | None) -> None:
    assert stamp_time(stale, stamp, clips, NOW) == time


@pytest.mark.parametrize(("inputs", "time"), [
    ([], 10), ([9], 10),
    ([15], 10),  # changed while the rules were made: they are made again
    ([25], 25), ([25, 30, 5], 30)])  # from a clock that is ahead: they are not made again for ever
def test_rules_are_as_old_as_what_was_read_for_them(inputs: list[int], time: int) -> None:
    assert rules_time(10, inputs, 20) == time
