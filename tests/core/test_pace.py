"""The rate meter never lets more through than the rate says and wastes little of it. What the gateway refuses slows all, once a
burst; what it accepts brings the pace back, and never above the operator's rate."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import replace
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.model import Rate
from manifest_runner.core.pace import (
    AHEAD,
    FIRST_PAUSE,
    FORGET,
    LAPSE,
    LEEWAY,
    LONGEST_PAUSE,
    LONGEST_UNSAID,
    MARGIN,
    PROBE,
    RETURN,
    SLACK,
    SLOWER,
    SLOWEST,
    STEPS,
    TRANSIT,
    Meter,
    Slot,
    accepted,
    crowded,
    gap_of,
    is_learned,
    late,
    pace,
    patience,
    pause_left,
    paused,
    places,
    slowed,
    spacing,
    steady,
    take_slot,
    turn_left,
)

START = 1_800_000_000.0

rates = st.builds(Rate, count=st.integers(1, 400), per=st.sampled_from([1, 60, 3600]))
fractions = st.floats(0, 1)


def busiest_window(times: list[float], per: float) -> int:
    """The most submissions that any window [t, t + per) holds."""
    times = sorted(times)
    return max((bisect_left(times, time + per) - index for index, time in enumerate(times)), default=0)


def ask(meter: Meter, rate: Rate, now: float) -> tuple[Meter, float]:
    """One question, as the ledger asks it: the meter to keep, and the seconds to wait (0: granted)."""
    meter = steady(meter, now)
    wait = turn_left(meter, rate, now)
    return (meter, wait) if wait else (take_slot(meter, rate, now)[0], 0.0)


@given(rate=rates, gaps=st.lists(st.tuples(fractions, fractions), min_size=1, max_size=80), crowd=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_no_window_ever_holds_more_than_the_rate_says(rate: Rate, gaps: list[tuple[float, float]], crowd: int) -> None:
    meter, now, sent = Meter(), START, []
    lateness = (MARGIN * rate.per + SLACK - LEEWAY * rate.per) * 0.99
    for gap, jitter in gaps * max(1, min(8, 3 * rate.count // len(gaps))):
        now += gap * gap * rate.spacing * 3  # lulls and rushes
        for _ in range(crowd):
            meter, wait = ask(meter, rate, now)
            if not wait:
                sent.append(now + jitter * lateness)
    assert busiest_window(sent, rate.per) <= rate.count


@given(rate=rates, lateness=st.lists(fractions, min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_at_least_95_percent_of_the_rate_is_used_under_load(rate: Rate, lateness: list[float]) -> None:
    """Each asker comes back when it was told to, or a little later."""
    meter, now, sent = Meter(), START, []
    little = min(LEEWAY * rate.per, rate.spacing / 2)
    for step in range(max(100, min(3 * rate.count, 600))):
        meter, wait = ask(meter, rate, now)
        assert not wait
        sent.append(now)
        meter, wait = ask(meter, rate, now)
        assert wait > 0
        now += wait + little * lateness[step % len(lateness)]
    used = (len(sent) - 1) / ((sent[-1] - sent[0]) / rate.spacing)
    assert used >= 0.95
    assert busiest_window(sent, rate.per) <= rate.count


@given(rate=rates, jump=st.floats(-1e8, 1e8), elapsed=st.floats(0, 1e5))
def test_a_clock_that_jumps_costs_at_most_one_spacing(rate: Rate, jump: float, elapsed: float) -> None:
    meter, _ = ask(Meter(), rate, START)
    now = START + jump
    meter, wait = ask(meter, rate, now)
    assert wait <= spacing(rate) * (1 + 1e-9) + AHEAD + 1e-6
    _, again = ask(meter, rate, now + elapsed)
    assert again <= max(0.0, spacing(rate) + AHEAD - elapsed) + 1e-5


def test_the_wait_after_a_clock_was_stepped_back_ends() -> None:
    rate = Rate(count=30, per=60)
    meter, _ = ask(Meter(), rate, START)
    now, asked = START - 1e6, 0.0
    for _ in range(100):
        meter, wait = ask(meter, rate, now)
        if not wait:
            break
        now, asked = now + wait / 4, asked + wait / 4
    assert not wait
    assert asked <= spacing(rate) + AHEAD + 1e-3


def test_an_idle_account_may_not_make_up_for_it() -> None:
    rate = Rate(count=30, per=60)
    meter, _ = ask(Meter(), rate, START)
    meter, _ = ask(meter, rate, START + 86400)
    _, wait = ask(meter, rate, START + 86400)
    assert wait > rate.spacing / 2


def departures(rate: Rate, lateness: list[float], transit: list[float], count: int) -> tuple[list[float], list[float]]:
    """When so many submissions of a busy account leave and arrive, where each leaves so many seconds after its slot opens. What
    is later than its slot covers is told a little after it has left; what is later than its slot lasts does not leave."""
    meter, now, left, arrived, told = Meter(), START, list[float](), list[float](), list[tuple[float, Slot]]()
    for number in range(count):
        while True:
            for at, slot in [one for one in told if one[0] + 0.03 <= now]:
                meter = late(steady(meter, now), slot, at)
                told.remove((at, slot))
            meter = steady(meter, now)
            wait = turn_left(meter, rate, now)
            if wait <= AHEAD:
                break
            now = min([now + wait - AHEAD, *(at + 0.03 for at, _ in told)])
        meter, slot = take_slot(meter, rate, now)
        at = max(now, slot.opens) + lateness[number % len(lateness)]
        if at > slot.lapses:
            continue
        left.append(at)
        arrived.append(at + transit[number % len(transit)] * TRANSIT * 0.99)
        if at > slot.covered:
            told.append((at, slot))
    return left, arrived


some_late = st.lists(st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 1), st.floats(0, 12)), min_size=1, max_size=40)


@given(rate=rates, lateness=some_late, transit=st.lists(fractions, min_size=1, max_size=7))
@settings(max_examples=300, deadline=None)
def test_however_late_some_leave_no_window_holds_more_where_they_say_so(rate: Rate, lateness: list[float],
                                                                         transit: list[float]) -> None:
    _, arrived = departures(rate, lateness, transit, min(4 * rate.count + 20, 500))
    assert busiest_window(arrived, rate.per) <= rate.count


@pytest.mark.parametrize("rate", [Rate(count=1, per=1), Rate(count=3, per=1), Rate(count=8, per=1), Rate(count=40, per=1),
                                  Rate(count=30, per=60), Rate(count=100, per=3600)])
@pytest.mark.parametrize(("every", "lateness", "least"), [(1, 0.015, 0.955), (40, 0.1, 0.9)])
def test_a_late_departure_moves_back_what_would_share_its_window_and_nothing_else(rate: Rate, every: int, lateness: float,
                                                                                 least: float) -> None:
    left, arrived = departures(rate, [lateness, *[0.0] * (every - 1)], [0.0, 1.0], 12 * rate.count + 200)
    assert busiest_window(arrived, rate.per) <= rate.count
    assert (len(left) - 1) * rate.spacing / (max(left) - min(left)) >= least


def test_a_slot_lasts_for_half_a_period_or_some_seconds_and_then_lapses() -> None:
    for per, lasts in ((1, 0.5), (60, LAPSE), (3600, LAPSE)):
        _, slot = take_slot(Meter(), Rate(count=3, per=per), START)
        assert slot.lapses == START + lasts
    _, free = take_slot(Meter(), None, START)
    assert free.covered == free.lapses == float("inf"), "without a rate nothing was promised"


def test_what_was_late_is_forgotten_when_its_window_is_over_and_told_twice_it_counts_once() -> None:
    meter, slot = take_slot(Meter(), Rate(count=3, per=1), START)
    once = late(meter, slot, START + 0.3)
    assert late(once, slot, START + 0.3) == once
    assert late(once, slot, START + 0.2) == once
    assert len(late(once, slot, START + 0.4).late) == 1
    assert steady(once, START + 1.3).late
    assert steady(once, START + 1.4).late == ()


def test_runs_with_different_rates_judge_the_last_slot_by_their_own() -> None:
    meter, _ = ask(Meter(), Rate(count=1, per=3600), START)
    meter, wait = ask(meter, Rate(count=60, per=60), START + 2)
    assert wait == 0
    _, wait = ask(meter, Rate(count=1, per=3600), START + 4)
    assert wait > 3600


def test_without_a_rate_every_slot_is_open_and_still_remembered() -> None:
    meter, _ = take_slot(Meter(), None, START)
    assert turn_left(meter, None, START) == 0
    assert turn_left(meter, Rate(count=1, per=1), START) == pytest.approx(1 + MARGIN + SLACK)


@given(asked=st.floats(), now=st.floats(0, 4e9), later=st.floats(-1e9, 1e9))
def test_a_pause_is_never_longer_than_asked_nor_than_an_hour(asked: float, now: float, later: float) -> None:
    meter = paused(Meter(), asked, now)
    left = pause_left(steady(meter, now + later), now + later)
    assert 0 <= left <= min(LONGEST_PAUSE, max(asked, 0.0) if asked == asked else 0.0) + 1e-5


def test_a_longer_pause_stands_and_a_longer_one_replaces() -> None:
    meter = paused(paused(Meter(), 60, START), 5, START + 10)
    assert pause_left(meter, START + 10) == 50
    assert pause_left(paused(meter, 90, START + 10), START + 20) == 80


# ── what the gateway teaches ──────────────────────────────────────────────────────────────────────────────────────


def sending(meter: Meter, count: int, gap: float, now: float = START) -> Meter:
    """The meter after so many submissions without a rate, `gap` seconds apart, the last at `now`."""
    for number in range(count):
        meter, _ = take_slot(meter, None, now - gap * (count - 1 - number))
    return meter


def calm(meter: Meter, count: int, rate: Rate | None = None) -> Meter:
    """The meter after so many more submissions, each accepted."""
    now = max(meter.slowed_at, meter.crowded_at, meter.paused_at + meter.pause)
    for _ in range(count):
        now += turn_left(meter, rate, now) + 0.001
        meter, _ = take_slot(meter, rate, now)
        meter = accepted(meter, now, 0)
    return meter


def test_a_refusal_pauses_for_what_was_said_and_slows_to_a_share_of_the_rate() -> None:
    rate = Rate(count=2, per=1)
    meter, _ = take_slot(take_slot(Meter(), rate, START)[0], rate, START + 1)
    meter = slowed(meter, 7.0, START + 1, START + 1.2)
    assert pause_left(meter, START + 1.2) == pytest.approx(7)
    assert pace(meter) == pytest.approx(SLOWER / spacing(rate))
    assert is_learned(meter, rate)


def test_without_a_rate_the_pace_is_what_was_accepted_over_the_time_it_took_and_the_pause() -> None:
    meter = sending(Meter(), 11, 0.01)
    for _ in range(6):
        meter = slowed(meter, 1.0, START, START + 0.05)
    assert pace(meter) == pytest.approx(5 / 1.15, rel=0.02), "five were accepted, and then a second was asked for"


def test_a_limit_by_the_minute_is_learned_from_one_refusal_that_says_when_there_is_room() -> None:
    meter = slowed(sending(Meter(), 31, 0.1), 57.0, START, START)
    assert pace(meter) == pytest.approx(0.5)


@pytest.mark.parametrize("crowd", [False, True])
def test_twenty_refusals_from_the_same_moment_are_one_signal(crowd: bool) -> None:
    meter = sending(Meter(), 40, 0.1)
    refuse = (lambda meter, left, now: crowded(meter, 1.0, left, 4, now)) if crowd else (
        lambda meter, left, now: slowed(meter, 1.0, left, now))
    once = refuse(meter, START, START + 0.1)
    many = once
    for number in range(19):
        many = refuse(many, START - number * 0.01, START + 0.1 + number * 0.01)
    assert places(many) == places(once)
    assert (pace(many) or 1) >= (pace(once) or 1) * 0.5, "only what was not accepted is taken off, no second slowing"
    assert (many.slowed_at, many.crowded_at) == (once.slowed_at, once.crowded_at)
    later = refuse(calm(once, 30), START + 200, START + 200.1)
    assert (later.slowed_at, later.crowded_at) != (once.slowed_at, once.crowded_at)


def test_the_pace_comes_back_in_small_steps_lingers_and_then_tries_for_more() -> None:
    meter = slowed(sending(Meter(), 20, 1.0), 1.0, START, START + 0.1)
    refused, paces = (pace(meter) or 0) / SLOWER, []
    for _ in range(3 * STEPS):
        meter = calm(meter, 1)
        paces.append((pace(meter) or 0) / refused)
    assert all(before <= after <= before * 1.05 for before, after in pairwise(paces)), "step by step"
    assert paces[STEPS - 1] == pytest.approx(1)
    assert sum(0.95 <= step <= 1.05 for step in paces) >= STEPS * 3 // 4
    assert paces[-1] > 2


def test_nothing_accepted_in_between_makes_the_pauses_longer_and_not_the_pace_slower() -> None:
    meter, now, pauses = sending(Meter(), 20, 1.0), START, []
    for _ in range(9):
        meter = slowed(meter, 0.0 if pauses else None, now, now + 0.1)
        pauses.append(pause_left(meter, now + 0.1))
        now += 0.1 + pauses[-1] + 2
        meter, _ = take_slot(meter, None, now)
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == LONGEST_UNSAID
    assert pauses == sorted(pauses)
    assert pace(meter) == pytest.approx(1, rel=0.1)


def test_an_hour_long_pause_does_not_teach_a_submission_an_hour() -> None:
    meter = slowed(sending(Meter(), 1, 1), 3600.0, START, START)
    assert pace(meter) == SLOWEST


def test_an_idle_night_is_not_taken_for_a_slow_gateway() -> None:
    meter = slowed(sending(Meter(), 20, 0.2), 1.0, START, START)
    learned = pace(meter) or 0
    morning = calm(replace(meter, slowed_at=START), 1)
    for number in range(10):
        morning, _ = take_slot(morning, None, START + 40_000 + number * 0.3)
        morning = accepted(morning, START + 40_000 + number * 0.3, 0)
    refused = slowed(morning, 1.0, START + 40_004, START + 40_004)
    assert (pace(refused) or 0) > learned / 2


@given(rate=rates)
@settings(max_examples=50, deadline=None)
def test_it_always_recovers_to_the_operators_rate_and_never_above_it(rate: Rate) -> None:
    meter, _ = take_slot(Meter(), rate, START)
    meter = slowed(meter, 1.0, START, START)
    for _ in range(int(1.1 * max(STEPS, RETURN / rate.spacing)) + 1):
        assert gap_of(meter, rate) >= spacing(rate)
        meter = accepted(meter, START + 1, 0)
    assert gap_of(meter, rate) == spacing(rate)
    assert not is_learned(meter, rate)


def test_places_are_what_was_in_flight_and_come_back_one_then_more() -> None:
    meter = crowded(Meter(), None, START, 3, START)
    assert places(meter) == 3
    meter = accepted(meter, START - 1, 5)
    assert places(meter) == 5, "answers of the same burst that were heard later"
    found = []
    for _ in range(4 * PROBE):
        meter = accepted(meter, START + 1, 2)
        found.append(places(meter))
    assert found[PROBE - 2:PROBE] == [5, 6]
    assert found[2 * PROBE - 1] == 9
    assert places(crowded(meter, None, START + 2, 0, START + 2)) == 1


def test_what_was_learned_says_so() -> None:
    before = sending(Meter(), 20, 5.0)
    after = crowded(slowed(before, 30.0, START, START), 1.0, START, 4, START)
    told = patience(before, after, START)
    assert patience(after, slowed(after, 1.0, START, START + 1), START + 1) is None
    assert told is not None
    assert (told.seconds, told.places) == (30, 4)
    assert told.pace == pytest.approx(0.15, rel=0.1)


class Gateway:
    """A provider in virtual time that takes `limit` submissions in any window, answers after `delay`, and says when there is
    room in whole seconds, or nothing."""

    def __init__(self, limit: Rate, says: bool) -> None:
        self.limit, self.says = limit, says
        self.taken: deque[float] = deque()
        self.all: list[float] = []
        self.refused: list[float] = []

    def submit(self, now: float) -> tuple[bool, float | None]:
        while self.taken and self.taken[0] <= now - self.limit.per:
            self.taken.popleft()
        if len(self.taken) < self.limit.count:
            self.taken.append(now)
            self.all.append(now)
            return True, None
        self.refused.append(now)
        return False, max(1.0, ceil(self.taken[0] + self.limit.per - now)) if self.says else None


def against(gateway: Gateway, count: int, at_once: int) -> None:
    """Send until so many are accepted, ten milliseconds an answer, at most `at_once` without one."""
    meter, now, open_ = Meter(), START, deque[tuple[float, float, bool, float | None]]()
    while len(gateway.all) < count:
        while open_ and open_[0][0] <= now:
            _, left, taken, said = open_.popleft()
            meter = accepted(meter, left, 0) if taken else slowed(meter, said, left, now)
        wait = max(pause_left(meter, now), turn_left(meter, None, now))
        if not wait and len(open_) < at_once:
            meter, _ = take_slot(meter, None, now)
            open_.append((now + 0.02, now, *gateway.submit(now + 0.01)))
            now += 0.0005
        else:
            now = max(now + 1e-4, min([now + wait + 0.003] * bool(wait) + [answer[0] for answer in open_]))


@pytest.mark.parametrize("at_once", [10, 80])
@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("limit", [Rate(count=5, per=1), Rate(count=20, per=1), Rate(count=2, per=1), Rate(count=30, per=60)])
def test_an_unknown_limit_is_found_used_for_four_fifths_and_seldom_touched(limit: Rate, says: bool, at_once: int) -> None:
    gateway = Gateway(limit, says)
    against(gateway, 900, at_once)
    begin, end = gateway.all[300], gateway.all[-1]
    assert 600 * limit.spacing / (end - begin) >= 0.8
    assert sum(time >= begin for time in gateway.refused) <= 0.05 * 600
    assert len(gateway.refused) <= 0.1 * 900 + at_once


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_happens_the_pause_is_kept_the_rate_is_kept_and_the_next_turn_comes(data: st.DataObject) -> None:
    rate = data.draw(rates)
    meter, now, sent, until = Meter(), START, [], 0.0
    for _ in range(data.draw(st.integers(1, 60))):
        match data.draw(st.sampled_from(["ask", "ask", "ask", "time", "429", "429 again", "crowd", "yes"])):
            case "time":
                now += data.draw(st.floats(0, 3)) * rate.spacing
            case "429":
                said = data.draw(st.none() | st.floats(0, 100))
                meter = slowed(meter, said, now, now)
                until = max(until, now + (said or 0))
            case "429 again":
                meter = slowed(meter, None, now - 1e3, now)
            case "crowd":
                meter = crowded(meter, data.draw(st.none() | st.floats(0, 10)), now, data.draw(st.integers(0, 5)), now)
            case "yes":
                meter = accepted(meter, now, data.draw(st.integers(0, 9)))
            case "ask":
                meter = steady(meter, now)
                if pause_left(meter, now):
                    continue
                if turn_left(meter, rate, now) <= AHEAD:
                    assert now >= until - 1e-5
                    meter, slot = take_slot(meter, rate, now)
                    assert slot.opens <= now + AHEAD
                    sent.append(max(now, slot.opens))
        assert turn_left(meter, rate, now) <= max(spacing(rate), 1 / SLOWEST) + 1e-5, "no endless wait"
        assert (places(meter) or 1) >= 1
    assert busiest_window(sent, rate.per) <= rate.count


def test_places_that_were_refused_long_ago_are_forgotten() -> None:
    meter = crowded(Meter(), None, START, 0, START + 1)
    assert places(steady(meter, START + FORGET)) == 1
    assert places(steady(meter, START + FORGET + 2)) is None
