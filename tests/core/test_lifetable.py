"""At which ages jobs end."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifest_runner.core.lifetable import MEMORY, STEPS, Kind, LifeTable, kind_of
from manifest_runner.core.model import Request
from tests.builders import CARD

KIND = ("m", "720p", "5")
OTHER = ("m", "1080p", "10")
STEP = 5.0

AGES = st.floats(0, 1.5 * STEPS * STEP)
SEEN = st.lists(st.tuples(st.sampled_from([KIND, OTHER]), st.tuples(AGES, AGES, AGES).map(sorted)), max_size=5)


def chance(lives: LifeTable, age: float, *, kind: Kind = KIND) -> float:
    """Of a job that has reached the step of this age to end within it."""
    return lives.risk(kind)(int(age / STEP))


def table(*took: float, kind: Kind = KIND, guess: float = 0.0) -> LifeTable:
    lives = LifeTable(STEP, lambda _age: guess)
    lives.remember((kind, seconds) for seconds in took)
    return lives


def test_the_chance_at_an_age_is_the_part_of_those_that_reached_it() -> None:
    lives = table(*[101.0] * 50, *[108.0] * 25, *[202.0] * 25)
    assert [chance(lives, age) for age in (50, 100, 105, 150, 200)] == pytest.approx([0, 0.5, 0.5, 0, 1], abs=0.06)


def test_jobs_that_still_run_count_for_every_age_that_they_have_reached() -> None:
    lives = table(guess=0.01)
    for number in range(100):
        lives.running(KIND, 0, 100)
        if number % 4 == 0:
            lives.over(KIND, 100, 102)
        else:
            lives.running(KIND, 100, 106)
    assert chance(lives, 100) == pytest.approx(0.25, abs=0.01), "not all of them, although no other end is known"
    assert chance(lives, 105) == pytest.approx(5 * 0.01), "of what nobody has reached nothing is known"


def test_it_matters_not_in_how_many_looks_a_job_was_seen_running() -> None:
    one, many = table(guess=0.01), table(guess=0.01)
    one.running(KIND, 0, 103)
    for since, age in ((0, 3), (3, 5), (5, 52.5), (52.5, 99), (99, 103)):
        many.running(KIND, since, age)
    for lives in (one, many):
        lives.over(KIND, 103, 111)
    assert [chance(one, age) for age in range(0, 130, 5)] == [
        chance(many, age) for age in range(0, 130, 5)]


def test_an_end_between_two_looks_counts_for_all_ages_between_in_equal_parts() -> None:
    lives = table()
    for _ in range(MEMORY):
        lives.running(KIND, 0, 102.5)
        lives.over(KIND, 102.5, 112.5)
    assert [chance(lives, age) for age in (95, 100, 105, 110)] == pytest.approx([0, 1 / 4, 2 / 3, 1], abs=0.05)


def test_of_a_batch_that_is_larger_than_the_memory_neither_the_short_ones_nor_the_long_ones_are_forgotten() -> None:
    dice, lives = random.Random(1), table()
    took = [dice.uniform(100, 200) for _ in range(5 * MEMORY)]
    flying = dict.fromkeys(range(len(took)), 0.0)
    for age in range(100, 205, 5):  # all that still run are asked about at the same age
        for number in dice.sample(list(flying), len(flying)):
            if took[number] < age:
                lives.over(KIND, flying.pop(number), age)
            else:
                lives.running(KIND, flying[number], age)
                flying[number] = age
    for age in (100, 125, 150, 175):
        assert chance(lives, age) == pytest.approx(5 / (200 - age), rel=0.6, abs=0.01)


def test_a_provider_that_changes_is_believed_after_some_jobs_and_what_earlier_runs_saw_is_forgotten() -> None:
    lives = table(*[100.0] * 1000)
    assert chance(lives, 100) > 0.9
    for _ in range(3 * MEMORY):
        lives.running(KIND, 0, 200)
        lives.over(KIND, 200, 204)
    assert chance(lives, 100) < 0.07
    assert chance(lives, 200) > 0.9


def test_only_the_latest_of_what_earlier_runs_saw_are_remembered() -> None:
    lives = table(*[100.0] * 1000, *[200.0] * MEMORY)
    assert chance(lives, 100) == 0
    assert chance(lives, 200) > 0.9


def test_few_jobs_of_a_kind_are_supplemented_by_the_models_others_and_many_are_not() -> None:
    lives = table()
    lives.remember([*[(OTHER, 200.0)] * 50, (KIND, 100.0)])
    assert chance(lives, 100, kind=OTHER) < 0.02
    assert 0.05 < chance(lives, 100) < 0.3
    assert chance(lives, 200, kind=("m", "never", "seen")) > 0.9
    lives.remember([*[(OTHER, 200.0)] * 50, *[(KIND, 100.0)] * 50])
    assert chance(lives, 100) > 0.9


def test_what_is_known_of_a_long_kind_counts_also_where_nothing_is_remembered_of_the_others_any_more() -> None:
    lives = table(guess=0.01)
    lives.remember([*[(KIND, 600.0)] * 50, *[(OTHER, 60.0)] * 300])
    assert chance(lives, 300) < 0.02
    assert chance(lives, 600) > 0.8


def test_a_guess_counts_where_nothing_is_known_and_less_the_more_jobs_have_lived_through_an_age() -> None:
    guesses = [chance(table(*[150.0] * number, guess=0.1), 100) for number in (0, 1, 3, 10, 40)]
    assert guesses[0] == pytest.approx(0.5)
    assert guesses == sorted(guesses, reverse=True)
    assert guesses[3] < 0.01
    assert chance(table(*[150.0] * 40, guess=0.1), 300) == pytest.approx(0.5), "of a job that outlives all others"
    running = table(guess=0.1)
    for _ in range(10):
        running.running(KIND, 0, 110)
    assert 5 * guesses[3] < chance(running, 100) < guesses[0], "nobody knows yet when any of these will end"


def test_a_kind_is_known_once_some_of_it_or_of_its_model_have_ended() -> None:
    assert not table(*[100.0] * 7).knows(KIND)
    assert table(*[100.0] * 8).knows(KIND)
    assert table(*[100.0] * 8, kind=OTHER).knows(KIND)
    assert not table(*[100.0] * 8).knows(("another",))


@given(SEEN, AGES, st.floats(0, 1))
@example([(KIND, [0.0, 0.0, 2168.0])], 2165.0, 1.0)
def test_whatever_was_seen_a_chance_is_one_and_the_table_is_bounded(
        seen: list[tuple[Kind, list[float]]], age: float, guess: float) -> None:
    lives = table(guess=guess)
    for kind, (running, since, until) in seen:
        lives.running(kind, 0, running)
        lives.over(kind, since, until)
    assert 0 <= chance(lives, age) <= 1
    assert all(len(ages.reached) <= STEPS and len(ages.ended) <= STEPS for ages in lives._ages.values())


def test_jobs_are_compared_by_model_resolution_and_duration() -> None:
    def kind(**params: object) -> tuple[str, ...]:
        said = {"prompt": "x", "duration": 5, "resolution": "720p", **params}
        return kind_of(Request(model="kling-v3-omni", params=said), CARD)

    assert kind() == kind(prompt="y", cfg_scale=0.7)
    assert len({kind(), kind(duration=10), kind(resolution="1080p")}) == 3
