"""The rate meter never lets more through than the rate says and wastes little of it; sums of credits are exact."""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.limits import (
    LEEWAY,
    LONGEST_PAUSE,
    MARGIN,
    Meter,
    cost,
    pause_left,
    paused,
    rate_left,
    refuse_overspending,
    room,
    sensible,
    spacing,
    steady,
    take_slot,
    within,
)
from manifest_runner.core.model import Job, JobState, Rate
from manifest_runner.errors import BudgetExceeded
from tests.contract.ledger_contract import intent

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
    wait = rate_left(meter, rate, now)
    return (meter, wait) if wait else (take_slot(meter, rate, now), 0.0)


@given(rate=rates, gaps=st.lists(st.tuples(fractions, fractions), min_size=1, max_size=80), crowd=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_no_window_ever_holds_more_than_the_rate_says(rate: Rate, gaps: list[tuple[float, float]], crowd: int) -> None:
    meter, now, sent = Meter(), START, []
    late = (MARGIN - LEEWAY) * rate.per * 0.99
    for gap, jitter in gaps * max(1, min(8, 3 * rate.count // len(gaps))):
        now += gap * gap * rate.spacing * 3  # lulls and rushes
        for _ in range(crowd):
            meter, wait = ask(meter, rate, now)
            if not wait:
                sent.append(now + jitter * late)
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
    assert wait <= spacing(rate) * (1 + 1e-9) + 1e-6
    _, again = ask(meter, rate, now + elapsed)
    assert again <= max(0.0, spacing(rate) - elapsed) + 1e-5


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
    assert asked <= spacing(rate) + 1e-3


def test_an_idle_account_may_not_make_up_for_it() -> None:
    rate = Rate(count=30, per=60)
    meter, _ = ask(Meter(), rate, START)
    meter, _ = ask(meter, rate, START + 86400)
    _, wait = ask(meter, rate, START + 86400)
    assert wait > rate.spacing / 2


def test_runs_with_different_rates_judge_the_last_slot_by_their_own() -> None:
    meter, _ = ask(Meter(), Rate(count=1, per=3600), START)
    meter, wait = ask(meter, Rate(count=60, per=60), START + 2)
    assert wait == 0
    _, wait = ask(meter, Rate(count=1, per=3600), START + 4)
    assert wait > 3600


def test_without_a_rate_every_slot_is_open_and_still_remembered() -> None:
    meter = take_slot(Meter(), None, START)
    assert rate_left(meter, None, START) == 0
    assert rate_left(meter, Rate(count=1, per=1), START) == pytest.approx(1 + MARGIN)


@given(asked=st.floats(), now=st.floats(0, 4e9), later=st.floats(-1e9, 1e9))
def test_a_pause_is_never_longer_than_asked_nor_than_an_hour(asked: float, now: float, later: float) -> None:
    meter = paused(Meter(), asked, now)
    left = pause_left(steady(meter, now + later), now + later)
    assert 0 <= left <= min(LONGEST_PAUSE, max(asked, 0.0) if asked == asked else 0.0) + 1e-5


def test_a_longer_pause_stands_and_a_longer_one_replaces() -> None:
    meter = paused(paused(Meter(), 60, START), 5, START + 10)
    assert pause_left(meter, START + 10) == 50
    assert pause_left(paused(meter, 90, START + 10), START + 20) == 80


amounts = st.decimals(0, 10**9, places=6)


@given(limit=amounts, spent=amounts, more=amounts)
def test_room_and_within_agree(limit: Decimal, spent: Decimal, more: Decimal) -> None:
    left = room(limit, spent)
    assert left is not None
    assert left >= 0
    assert within(limit, spent, more) == (spent <= limit and more <= left)


def test_no_limit_is_endless_room() -> None:
    assert room(None, Decimal(10)) is None
    assert within(None, Decimal(10), Decimal(10**12))
    refuse_overspending(None, Decimal(10), Decimal(10), of="this run")


def test_a_refusal_says_its_numbers_as_people_write_them() -> None:
    words = r"^needs 145 credits; 4,900\.5 of 5,000 of this run are spent or reserved$"
    with pytest.raises(BudgetExceeded, match=words) as told:
        refuse_overspending(Decimal("5000.000"), Decimal("4900.500000"), Decimal("145.000000"), of="this run")
    assert told.value.hint


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e13"])
def test_an_amount_that_makes_no_sense_was_not_said(amount: str) -> None:
    assert sensible(Decimal(amount)) is None


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("charged", [None, Decimal(0), Decimal(200)])
def test_an_open_job_counts_its_reservation_and_a_settled_one_its_charge(state: JobState, charged: Decimal | None) -> None:
    open_states = {"intended", "submitted", "running", "in_doubt", "missing"}
    job = Job(intent=intent(), state=state, charged=charged)
    assert cost(job) == (145 if state.value in open_states or charged is None else charged)
