"""How fast a process may ask about its jobs."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.looks import CALM, SLOWEST, answered, pace_of, taken, throttled


@settings(deadline=None)
@given(st.lists(st.floats(0, 3), min_size=2, max_size=300), st.floats(1, 500))
def test_no_two_slots_are_nearer_than_the_spacing_whoever_asks_when(waits: list[float], rate: float) -> None:
    pace, now, slots = pace_of(rate), 0.0, []
    for wait in waits:
        now += wait / rate
        pace, at = taken(pace, now)
        assert at >= now
        slots.append(at)
    assert all(later - earlier >= 0.999 / rate for earlier, later in pairwise(slots))


def test_ten_thousand_at_once_get_one_slot_after_the_other() -> None:
    pace, slots = pace_of(200), []
    for _ in range(10_000):
        pace, at = taken(pace, 0.0)
        slots.append(at)
    assert 49 < slots[-1] < 51


def test_an_idle_hour_is_not_made_up_for() -> None:
    pace, _ = taken(pace_of(10), 0.0)
    for place in range(5):
        pace, at = taken(pace, 3600.0)
        assert abs(at - (3600.0 + place / 10)) < 1e-6


def test_a_429_stops_all_looks_for_as_long_as_was_asked_and_slows_them() -> None:
    pace = throttled(pace_of(100), asked=9.9, now=10.0, retry_after=7.0, jitter=0.5)
    assert pace.spacing == 10 * pace.least
    pace, first = taken(pace, 10.1)
    pace, second = taken(pace, 10.1)
    assert 17.0 <= first <= 17.5
    assert second - first >= pace.spacing * 0.999


def test_without_a_retry_after_it_stops_for_one_slow_spacing() -> None:
    pace, at = taken(throttled(pace_of(100), asked=9.9, now=10.0, retry_after=None, jitter=0.0), 10.0)
    assert at == 10.0 + pace.spacing


def test_answers_to_questions_that_left_before_the_429_slow_nothing_further_but_may_ask_for_a_longer_stop() -> None:
    once = throttled(pace_of(100), asked=9.9, now=10.0, retry_after=1.0, jitter=0.0)
    assert throttled(once, asked=9.95, now=10.1, retry_after=0.5, jitter=0.0) == once
    longer = throttled(once, asked=9.95, now=10.1, retry_after=5.0, jitter=0.0)
    assert (longer.spacing, longer.opens, longer.epoch) == (once.spacing, 15.1, once.epoch + 1)


def test_each_further_429_halves_the_pace_to_the_slowest() -> None:
    pace, now, spacings = pace_of(100), 0.0, []
    for _ in range(20):
        now += 100.0
        pace = throttled(pace, asked=now - 1, now=now, retry_after=None, jitter=0.0)
        spacings.append(pace.spacing)
    assert spacings[:3] == [0.1, 0.2, 0.4]
    assert spacings[-1] == SLOWEST


def test_looks_that_were_rare_already_become_rarer_at_once() -> None:
    pace = pace_of(200)
    for second in range(50):
        pace, _ = taken(pace, float(second))
    assert 1.5 < throttled(pace, asked=50.0, now=50.1, retry_after=None, jitter=0.0).spacing < 2.5


def test_after_a_calm_spell_the_pace_rises_step_by_step_and_never_above_its_most() -> None:
    pace = throttled(pace_of(100), asked=0.9, now=1.0, retry_after=30.0, jitter=0.0)
    assert answered(pace, 31.0 + CALM / 2) == pace  # calm counts from the end of the stop
    steps, now = [pace.spacing], 31.0
    while pace.spacing > pace.least:
        now += CALM + 0.1
        pace = answered(answered(pace, now), now + 0.1)
        steps.append(pace.spacing)
    assert steps == sorted(steps, reverse=True)
    assert len(steps) > 5
    assert steps[-1] == pace.least
