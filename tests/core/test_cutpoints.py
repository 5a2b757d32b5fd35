"""One rule from seconds to frames: exact, the later of two, without drift."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.cutpoints import Pictures, commonest, exact, kept, nearest, points
from manifest_runner.core.model import Cut
from manifest_runner.core.timecode import RATES

NTSC24, NTSC30 = Fraction(24000, 1001), Fraction(30000, 1001)

rates = st.one_of(st.sampled_from(RATES), st.fractions(min_value=1, max_value=240, max_denominator=1001))
moments = st.floats(min_value=0, max_value=30, allow_nan=False)


@pytest.mark.parametrize(("start", "end", "rate", "frames"), [
    (0.0, None, 24, range(24)), (0.5, None, 24, range(12, 24)), (0.0, 0.5, 24, range(12)), (0.0, 9.0, 24, range(24)),
    (0.26, 0.74, 24, range(6, 18)), (0.1, 0.7, 10, range(1, 7)), (0.0, None, 30, range(24)),
    (0.02, 0.06, 25, range(1, 2)),  # between two frames: the later
    (0.05, 0.15, 10, range(1, 2)), (0.15, 0.25, 10, range(2, 3)),  # as written, whatever the doubles are
    (0.5, 0.5, 24, range(12, 12)), (1.0, None, 24, range(24, 24)), (3.0, 5.0, 24, range(24, 24)),
])
def test_points_in_seconds_become_the_nearest_frames(start: float, end: float | None, rate: int, frames: range) -> None:
    assert Pictures(frames=24, rate=Fraction(rate)).used(*points(Cut(start=start, end=end))) == frames


@pytest.mark.parametrize(("used", "rate", "shown_at", "frames"), [
    (range(24), 24, 24, 24), (range(24), 25, 24, 23), (range(25), 25, 24, 24), (range(12), 12, 24, 24), (range(48), 48, 24, 24),
    (range(1), 60, 24, 1), (range(12, 24), 25, 24, 11), (range(12), 25, 24, 12), (range(120), NTSC24, NTSC24, 120),
    (range(120), NTSC24, 24, 120), (range(1200), NTSC24, 24, 1201), (range(150), NTSC30, 30, 150),
])
def test_a_clip_of_another_rate_lasts_as_long_but_never_longer_than_it_has_pictures(
        used: range, rate: Fraction | int, shown_at: Fraction | int, frames: int) -> None:
    assert Pictures(frames=max(24, used.stop), rate=Fraction(rate)).shown(used, Fraction(shown_at)) == frames


@given(start=moments, end=st.one_of(st.none(), moments), rate=rates, frames=st.integers(1, 10**6),
       shown_at=st.sampled_from(RATES))
def test_a_shot_is_within_half_a_frame_of_what_its_clip_shows(start: float, end: float | None, rate: Fraction, frames: int,
                                                              shown_at: Fraction) -> None:
    clip = Pictures(frames=frames, rate=rate)
    used = clip.used(*points(Cut(start=start, end=end)))
    assert used.stop <= frames
    assert used.start == frames or abs(used.start - exact(start) * rate) <= Fraction(1, 2)
    if used:
        shown = clip.shown(used, shown_at)
        assert shown >= 1
        assert shown == 1 or used.start / rate + shown / shown_at <= frames / rate, "no picture beyond the clip's end"
        assert shown / shown_at - len(used) / rate <= Fraction(1, 2) / shown_at or shown == 1
        assert len(used) / rate - shown / shown_at < 1 / shown_at


@pytest.mark.parametrize(("number", "found"), [("1/2", 1), ("3/2", 2), ("5/2", 3), ("49/100", 0), ("-1/2", 0), ("7", 7)])
def test_half_a_frame_is_the_later_one(number: str, found: int) -> None:
    assert nearest(Fraction(number)) == found


@pytest.mark.parametrize(("values", "found"), [("abb", "b"), ("ab", "a"), ("bab", "b"), ("cabab", "a"), ("", "z")])
def test_the_commonest_is_the_first_of_equals(values: str, found: str) -> None:
    assert commonest(values, "z") == found


@pytest.mark.parametrize(("start", "end", "asked", "frames"), [
    ("0", None, "5", 120), ("1", None, "5", 96), ("0", "2", "5", 48), ("0", "9", "5", 120), ("1/48", "3/48", "5", 1),
    ("7", None, "5", 1),
])
def test_without_a_clip_a_shot_is_as_long_as_the_cut_of_what_was_asked_for(start: str, end: str | None, asked: str,
                                                                           frames: int) -> None:
    assert kept(Fraction(start), None if end is None else Fraction(end), Fraction(asked), Fraction(24)) == frames
