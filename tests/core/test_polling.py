"""When to ask again."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.lifetable import MEMORY, LifeTable
from manifest_runner.core.polling import BEFORE, PollPolicy, backoff, ended_between, next_wait
from tests.paper import Flight, Take, batch

CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)
TOOK = st.lists(st.floats(min_value=0.1, max_value=5000), max_size=200)
POLICY = PollPolicy()
KIND = ("m", "720p", "5")
DICE = random.Random(1)
BELL = [DICE.triangular(70, 260, 108) for _ in range(MEMORY)]


def known(*took: float) -> LifeTable:
    """What jobs of the kind took."""
    lives = LifeTable(POLICY.every, POLICY.guess)
    lives.remember((KIND, seconds) for seconds in took)
    return lives


def wait(lives: LifeTable, *, age: float, looks: int, jitter: float = 0.5, known_age: bool = True) -> float:
    return next_wait(POLICY, lives, KIND, age=age, looks=looks, jitter=jitter, known_age=known_age)


# ── one wait ──────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None)
@given(TOOK, st.floats(0, 10_000), st.integers(0, 1000), CHANCE, st.booleans())
def test_no_wait_is_longer_than_its_lid_nor_shorter_than_the_narrowest_but_for_the_look_at_an_older_job(
        took: list[float], age: float, looks: int, chance: float, known_age: bool) -> None:
    seconds = wait(known(*took), age=age, looks=looks, jitter=chance, known_age=known_age)
    assert seconds <= POLICY.lid + POLICY.every / 2
    assert seconds >= 0.9 * POLICY.narrow or (looks == 0 and not known_age and seconds >= 0)


@pytest.mark.parametrize(("age", "least", "most"), [(0, 4, 6), (5, 4, 6), (15, 4, 6), (40, 9, 12), (60, 13, 17),
                                                     (3000, 13, 17)])
def test_without_experience_looks_begin_close_and_grow_wider(age: float, least: float, most: float) -> None:
    lives = known()
    waits = [wait(lives, age=age, looks=int(age > 0), jitter=chance / 10) for chance in range(10)]
    assert least <= min(waits) < max(waits) <= most


@pytest.mark.parametrize("first", [2.0, 5.0, 20.0])
def test_the_first_look_of_all_comes_when_it_is_told_to(first: float) -> None:
    policy = PollPolicy(first=first)
    seconds = next_wait(policy, LifeTable(policy.every, policy.guess), KIND, age=0, looks=0, jitter=0.5)
    assert seconds == pytest.approx(first, rel=0.01)


def test_the_first_look_comes_when_a_twentieth_should_be_over() -> None:
    first = wait(known(*BELL), age=0, looks=0)
    assert 0.03 <= sum(seconds < first for seconds in BELL) / len(BELL) <= 0.07


def test_looks_come_closest_where_most_jobs_end_and_rarest_for_one_that_outlives_all() -> None:
    early, middle, late = (wait(known(*BELL), age=age, looks=3) for age in (90, 150, 2000))
    assert middle < early < late


def test_a_job_that_should_not_be_over_yet_is_left_alone_also_between_two_times_at_which_jobs_end() -> None:
    lives = known(*[30.0, 31.0, 32.0, 33.0, 34.0] * 20, *[170.0, 171.0, 172.0, 173.0, 174.0] * 20)
    assert 29 < wait(lives, age=0, looks=0) < 33
    assert 160 < 45 + wait(lives, age=45, looks=5) < 172


def test_waits_are_spread_so_that_jobs_that_left_together_are_not_asked_about_together() -> None:
    lives = known(*BELL)
    for age, looks in ((0, 0), (150, 5)):
        waits = {round(wait(lives, age=age, looks=looks, jitter=chance / 100), 3) for chance in range(100)}
        assert len(waits) > 90
        assert max(waits) - min(waits) > 0.15 * POLICY.narrow


def test_a_job_of_an_earlier_run_is_looked_at_soon_whatever_was_learned() -> None:
    lives = known(*BELL)
    waits = [wait(lives, age=0, looks=0, jitter=chance / 10, known_age=False) for chance in range(10)]
    assert 0 <= min(waits) < max(waits) <= POLICY.every


def test_the_age_of_a_job_of_an_earlier_run_is_not_known_so_that_it_is_looked_at_evenly_where_anything_was_learned() -> None:
    assert wait(known(*BELL), age=60, looks=9, known_age=False) == POLICY.every
    assert wait(known(), age=60, looks=9, known_age=False) == 3 * POLICY.every


def test_the_delay_that_must_be_expected_at_a_look_is_its_price() -> None:
    ends = [400 * (number + 0.5) / MEMORY for number in range(MEMORY)]  # any time is as likely as any other
    for age in (0.0, 100.0, 102.0, 250.0):
        look = age + wait(known(*ends), age=age, looks=9)
        assert sum(max(look - end, 0) for end in ends if end > age) / sum(end > age for end in ends) == pytest.approx(
            POLICY.price, abs=0.04)


def test_what_a_job_took_lies_between_two_looks_and_where_a_webhook_told_at_its_arrival() -> None:
    assert ended_between(POLICY, 100, 105, told=False) == (100, 105)
    assert ended_between(POLICY, 100, 155, told=True) == (155, 155)
    assert ended_between(POLICY, None, 90, told=False) == (BEFORE * 90, 90)
    assert ended_between(POLICY, 100, 9000, told=False) is None  # the machine was asleep, or the gateway away


# ── all looks at a job ────────────────────────────────────────────────────────────────────────────────────────────


def evenly(share: float) -> float:
    return 70 + 190 * share


def as_the_simulator_deals_them(share: float) -> float:
    return 70 + sqrt(share * 190 * 63) if share < 63 / 190 else 260 - sqrt((1 - share) * 190 * 127)


@pytest.mark.parametrize("end", [evenly, as_the_simulator_deals_them])
def test_hardly_any_other_schedule_costs_less(end: Callable[[float], float]) -> None:
    """The cost of a schedule are its looks, at their price, and its delay. The cheapest of all is found by working back from
    the end of the longest job, second by second."""
    ends = [end((number + 0.5) / MEMORY) for number in range(MEMORY)]
    over = [bisect_right(ends, second) for second in range(261)]

    def cost(look: float, first: int, last: int) -> float:
        """Of a look: that of asking about those that were not over at the one before, and its delay for those that are."""
        return POLICY.price * (MEMORY - first) + look * (last - first) - (sums[last] - sums[first])

    sums = list(accumulate(ends, initial=0.0))
    least = [0.0] * 261
    for since in reversed(range(260)):
        least[since] = min(cost(look, over[since], over[look]) + least[look] for look in range(since + 1, 261))
    age, count, ours, lives = 0.0, 0, 0.0, known(*ends)
    while age < ends[-1]:
        look = age + wait(lives, age=age, looks=count)
        ours += cost(look, bisect_right(ends, age), bisect_right(ends, look))
        age, count = look, count + 1
    assert ours < 1.05 * least[0]


def generations(takes: list[list[Take]], chance: random.Random) -> list[Flight]:
    """Each flies by what all before it have learned."""
    flown: list[Flight] = []
    experience: list[tuple[tuple[str, ...], float]] = []
    for each in takes:
        flown.append(Flight(each, chance, experience=experience[-2000:]))
        experience += flown[-1].took
    return flown


def one_after_the_other(jobs: int, chance: random.Random, factor: float = 1.0) -> list[Take]:
    return [Take(at=300.0 * number, kind=KIND, lasts=factor * chance.triangular(70, 260, 108)) for number in range(jobs)]


def at_first(flight: Flight) -> float:
    """The part of the jobs that were over at their first look."""
    return flight.at_first / len(flight.late)


def test_the_schedule_does_not_drift_however_many_generations_learn_from_it() -> None:
    chance = random.Random(7)
    flown = generations([one_after_the_other(jobs, chance) for jobs in (300, *[500] * 6)], chance)
    for flight in flown[1:]:
        assert 0.01 < at_first(flight) < 0.10
        assert flight.delay < 3.0
        assert flight.requests < 0.44


@pytest.mark.parametrize("factor", [0.4, 1.9])
def test_the_schedule_follows_a_provider_that_becomes_faster_or_slower(factor: float) -> None:
    chance = random.Random(8)
    takes = [one_after_the_other(300, chance), *[one_after_the_other(jobs, chance, factor) for jobs in (300, 500)]]
    flight = generations(takes, chance)[-1]
    assert 0.005 < at_first(flight) < 0.12
    assert flight.delay < 5


def test_a_batch_that_leaves_at_once_learns_from_itself_and_the_next_one_from_it() -> None:
    chance = random.Random(9)
    alone, then, again = generations([batch(600, 15, chance) for _ in range(3)], chance)
    assert alone.requests < 0.55  # 0.7 and more where looks are not put off, 1.0 where only jobs teach that are over
    assert alone.delay < 4
    for flight in (then, again):
        assert flight.requests < 0.42
        assert flight.delay < 3.3


def test_jobs_a_little_ahead_spare_those_behind_them_the_looks_that_nobody_needs() -> None:
    chance = random.Random(10)
    flight = Flight([Take(at=number / 2, kind=KIND, lasts=100 + number % 7) for number in range(100)], chance)
    assert flight.looks / 100 < 7  # the first of them is asked about thirteen times
    assert flight.delay < 3


@settings(deadline=None)
@given(st.integers(0, 10_000), CHANCE)
def test_backoff_grows_to_its_cap_and_is_never_zero(attempt: int, chance: float) -> None:
    assert 0.25 <= backoff(attempt, chance) <= 30
    assert backoff(attempt + 1, chance) >= backoff(attempt, chance)
