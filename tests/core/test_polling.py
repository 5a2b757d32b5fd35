"""When to ask again."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.model import Request
from manifest_runner.core.polling import BACK, ENOUGH, MEMORY, Experience, PollPolicy, backoff, kind_of, next_wait, took
from tests.builders import CARD

CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)
TOOK = st.lists(st.floats(min_value=0.1, max_value=5000), max_size=200).map(sorted)
POLICY = PollPolicy()
KIND = ("m", "720p", "5")
DICE = random.Random(1)
BELL = sorted(DICE.triangular(70, 260, 108) for _ in range(MEMORY))


@settings(deadline=None)
@given(TOOK, st.floats(0, 10_000), st.integers(0, 1000), CHANCE, st.booleans())
def test_no_wait_is_longer_than_its_lid_nor_shorter_than_the_narrowest_but_for_the_look_at_an_older_job(
        took: list[float], age: float, looks: int, chance: float, known_age: bool) -> None:
    wait = next_wait(POLICY, took, age=age, looks=looks, jitter=chance, known_age=known_age)
    assert wait <= POLICY.lid + POLICY.every / 2
    assert wait >= 0.9 * POLICY.narrow or (looks == 0 and not known_age and wait >= 0)


@pytest.mark.parametrize(("age", "least", "most"), [(0, 4, 6), (5, 4, 6), (20, 4, 6), (40, 9, 11), (60, 13, 17),
                                                     (3000, 13, 17)])
def test_without_experience_looks_begin_close_and_grow_wider(age: float, least: float, most: float) -> None:
    waits = [next_wait(POLICY, (), age=age, looks=int(age > 0), jitter=chance / 10) for chance in range(10)]
    assert least <= min(waits) < max(waits) <= most


def test_the_first_look_comes_when_a_twentieth_should_be_over() -> None:
    wait = next_wait(POLICY, BELL, age=0, looks=0, jitter=0.5)
    assert 0.03 <= sum(seconds < wait for seconds in BELL) / len(BELL) <= 0.07


def test_looks_come_closest_where_most_jobs_end_and_rarest_for_one_that_outlives_all() -> None:
    early, middle, late = (next_wait(POLICY, BELL, age=age, looks=3, jitter=0.5) for age in (90, 150, 2000))
    assert middle < early < late


def test_waits_are_spread_so_that_jobs_that_left_together_are_not_asked_about_together() -> None:
    for age, looks in ((0, 0), (150, 5)):
        waits = {round(next_wait(POLICY, BELL, age=age, looks=looks, jitter=chance / 100), 3) for chance in range(100)}
        assert len(waits) > 90
        assert max(waits) - min(waits) > 0.15 * POLICY.narrow


def test_a_job_of_an_earlier_run_is_looked_at_soon_whatever_was_learned() -> None:
    waits = [next_wait(POLICY, BELL, age=0, looks=0, jitter=chance / 10, known_age=False) for chance in range(10)]
    assert 0 <= min(waits) < max(waits) <= POLICY.every


def test_a_crowd_widens_every_look_but_the_first() -> None:
    assert next_wait(POLICY, BELL, age=150, looks=3, jitter=0.5, crowd=40) == 40
    assert next_wait(POLICY, BELL, age=0, looks=0, jitter=0.5, crowd=400) < 100


def test_too_few_jobs_teach_nothing_and_then_the_models_other_jobs_stand_in() -> None:
    experience = Experience()
    for _ in range(ENOUGH - 1):
        experience.learn(KIND, 100)
    assert experience.of(KIND) == ()
    experience.learn(("m", "1080p", "10"), 200)
    assert len(experience.of(KIND)) == ENOUGH
    assert len(experience.of(("m", "1080p", "10"))) == ENOUGH
    experience.learn(KIND, 100)
    assert list(experience.of(KIND)) == [100] * ENOUGH
    assert experience.of(("other", "720p", "5")) == ()


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), max_size=3 * MEMORY))
def test_only_the_latest_are_remembered_in_order_of_length(seconds: list[int]) -> None:
    experience = Experience()
    for each in seconds:
        experience.learn(KIND, each)
    assert list(experience.of(KIND)) == (sorted(seconds[-MEMORY:]) if len(seconds) >= ENOUGH else [])


def test_jobs_are_compared_by_model_resolution_and_duration() -> None:
    def kind(**params: object) -> tuple[str, ...]:
        said = {"prompt": "x", "duration": 5, "resolution": "720p", **params}
        return kind_of(Request(model="kling-v3-omni", params=said), CARD)

    assert kind() == kind(prompt="y", cfg_scale=0.7)
    assert len({kind(), kind(duration=10), kind(resolution="1080p")}) == 3


def test_what_a_job_took_lies_half_way_between_two_looks_and_where_a_webhook_told_at_its_arrival() -> None:
    assert took(POLICY, 100, 105, told=False) == 102.5
    assert took(POLICY, 100, 155, told=True) == 155
    assert took(POLICY, None, 90, told=False) == 90 * BACK
    assert took(POLICY, 100, 9000, told=False) is None  # the machine was asleep, or the gateway away


# ── generations of jobs, each scheduled by what the ones before it seemed to take ─────────────────────────────────


def generations(draw: Callable[[], float], experience: Experience, jobs: int,
                chance: random.Random) -> tuple[float, float, float]:
    """Looks a job, mean delay, and the part of jobs that were over at their first look."""
    looks = delay = at_first = 0.0
    for _ in range(jobs):
        length, age, count, running = draw(), 0.0, 0, None
        while True:
            age += next_wait(POLICY, experience.of(KIND), age=age, looks=count, jitter=chance.random())
            count += 1
            if age >= length:
                break
            running = age
        seconds = took(POLICY, running, age, told=False)
        if seconds is not None:
            experience.learn(KIND, seconds)
        looks, delay, at_first = looks + count, delay + age - length, at_first + (count == 1)
    return looks / jobs, delay / jobs, at_first / jobs


def test_the_schedule_does_not_drift_however_many_generations_learn_from_it() -> None:
    chance, experience = random.Random(7), Experience()
    draw = lambda: chance.triangular(70, 260, 108)  # noqa: E731
    generations(draw, experience, 300, chance)
    for _ in range(6):
        looks, delay, at_first = generations(draw, experience, 1000, chance)
        assert 0.01 < at_first < 0.10
        assert delay < 3.3
        assert looks < 0.47 * (146 / 5 + 0.5)


@pytest.mark.parametrize("factor", [0.4, 1.9])
def test_the_schedule_follows_a_provider_that_becomes_faster_or_slower(factor: float) -> None:
    chance, experience = random.Random(8), Experience()
    generations(lambda: chance.triangular(70, 260, 108), experience, 300, chance)
    draw = lambda: factor * chance.triangular(70, 260, 108)  # noqa: E731
    generations(draw, experience, 300, chance)
    _, delay, at_first = generations(draw, experience, 1000, chance)
    assert 0.005 < at_first < 0.12
    assert delay < 5


@settings(deadline=None)
@given(st.integers(0, 10_000), CHANCE)
def test_backoff_grows_to_its_cap_and_is_never_zero(attempt: int, chance: float) -> None:
    assert 0.25 <= backoff(attempt, chance) <= 30
    assert backoff(attempt + 1, chance) >= backoff(attempt, chance)
