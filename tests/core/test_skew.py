"""What another clock shows: between bounds that always hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.skew import DRIFT, narrowed

ways = st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(0, 2))
"""Of one question: how long after the last, and how long it and its answer are under way."""


@given(ahead=st.floats(-1e9, 1e9), drift=st.floats(-DRIFT, DRIFT), questions=st.lists(ways, min_size=1, max_size=20))
def test_the_other_clock_is_always_within_the_bounds_and_they_never_say_more_than_the_best_answer(
        ahead: float, drift: float, questions: list[tuple[float, float, float]]) -> None:
    now, known = 0.0, None
    for idle, there, back in questions:
        before = now + idle
        read, after = before + there, before + there + back
        known = narrowed(known, before=before, told=read + ahead + drift * read, after=after)
        now = after
        seen = known.seen(now + 1)
        true = ahead + drift * (now + 1)
        assert seen.least - 1e-6 <= true <= seen.most + 1e-6
        assert known.most - known.least <= (there + back) * (1 + 2 * DRIFT) + 1e-6, "an answer never makes it worse than itself"


def test_what_does_not_fit_stands_alone() -> None:
    """This machine slept for an hour, and its own clock with it."""
    known = narrowed(None, before=10.0, told=1010.005, after=10.01)
    assert (round(known.least, 4), round(known.most, 4)) == (999.995, 1000.005)
    again = narrowed(known, before=11.0, told=4611.2, after=11.5)
    assert (round(again.least, 3), round(again.most, 3)) == (4599.7, 4600.2)
