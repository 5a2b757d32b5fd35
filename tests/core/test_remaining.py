"""How long a run will still take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Rate
from manifest_runner.core.remaining import MEMORY, Experience, Pending, Remaining, remaining

SECONDS = st.floats(0.5, 500)
LEARNED = st.lists(SECONDS, min_size=1, max_size=8).map(sorted)
RATES = st.one_of(st.none(), st.builds(Rate, count=st.integers(1, 30), per=st.sampled_from([1, 60])))
PLACES = st.one_of(st.none(), st.integers(1, 9))
ALONE = st.lists(st.builds(Pending, took=LEARNED, age=st.one_of(st.none(), st.floats(0, 600))), max_size=12)


@st.composite
def chained(draw: st.DrawFn) -> list[Pending]:
    """Takes that wait for takes before them."""
    takes: list[Pending] = []
    for place in range(draw(st.integers(1, 10))):
        after = draw(st.lists(st.integers(0, place - 1), max_size=2, unique=True)) if place else []
        age = None if after else draw(st.one_of(st.none(), st.floats(0, 300)))
        takes.append(Pending(took=draw(LEARNED), age=age, after=tuple(after)))
    return takes


def sure(*takes: Pending, **limits: object) -> float:
    """The one answer where all jobs of a kind take the same time."""
    found = remaining(takes, **limits)  # type: ignore[arg-type]
    assert found is not None
    assert found.least == found.likely == found.most
    return found.likely


def test_where_nothing_is_known_of_a_take_nothing_is_guessed() -> None:
    assert remaining([Pending(took=(100.0,)), Pending(took=())]) is None


def test_nothing_to_do_takes_no_time() -> None:
    assert remaining([]) == Remaining(least=0, likely=0, most=0)


ONE = Pending(took=(100.0,))


@pytest.mark.parametrize(("takes", "limits", "seconds"), [
    ([ONE], {}, 100),
    ([ONE] * 10, {}, 100),
    ([ONE] * 10, {"concurrency": 4}, 300),
    ([ONE] * 3, {"rate": Rate(count=1, per=60)}, 220),
    ([ONE] * 3, {"rate": Rate(count=1, per=60), "concurrency": 1}, 300),
    ([replace(ONE, age=70.0)], {}, 30),
    ([replace(ONE, age=70.0), ONE], {"concurrency": 1}, 130),
    ([ONE, replace(ONE, after=(0,)), replace(ONE, after=(1,))], {}, 300),
    ([ONE, replace(ONE, after=(0,)), replace(ONE, after=(1,))], {"lag": 5.0}, 315),
    ([replace(ONE, age=90.0), replace(ONE, after=(0,)), ONE], {}, 110),
    ([Pending(took=(0.0,), age=0.0)], {"lag": 3.0}, 3),
])
def test_a_run_is_played_to_its_end_inside_its_limits(takes: list[Pending], limits: dict[str, object], seconds: float) -> None:
    assert sure(*takes, **limits) == pytest.approx(seconds)


def test_of_a_job_that_runs_longer_than_most_only_the_rest_is_expected() -> None:
    took = (60.0, 70.0, 80.0, 200.0)
    found = remaining([Pending(took=took, age=100.0)])
    assert found == Remaining(least=100, likely=100, most=100)


def test_a_job_that_outlived_all_others_is_expected_soon_and_the_later_the_longer_it_has_been() -> None:
    soon, late = (remaining([Pending(took=(100.0,), age=age)]) for age in (101.0, 400.0))
    assert soon is not None
    assert late is not None
    assert 0 < soon.likely <= 10 < late.likely <= 300


def test_among_many_at_once_the_slowest_decides() -> None:
    took = tuple(float(second) for second in range(70, 261, 10))
    one, many = (remaining([Pending(took=took)] * number) for number in (1, 40))
    assert one is not None
    assert many is not None
    assert 150 < one.likely < 180
    assert many.likely > 245


def test_ten_thousand_takes_are_estimated_by_their_throughput() -> None:
    took = tuple(float(second) for second in range(70, 261, 10))
    found = remaining([Pending(took=took)] * 10_000, concurrency=100)
    assert found is not None
    assert found.likely == pytest.approx(10_000 * 165 / 100, rel=0.02)


@given(chained(), PLACES, RATES, st.floats(0, 30))
def test_it_is_ordered_never_negative_and_between_the_longest_chain_and_one_after_the_other(
    takes: list[Pending], places: int | None, rate: Rate | None, lag: float
) -> None:
    found = remaining(takes, concurrency=places, rate=rate, lag=lag)
    assert found is not None
    assert 0 <= found.least <= found.likely <= found.most
    # What a job can take at most: the longest learned, or what is left to one that outlived that.
    most = [max(take.took[-1], max((take.age or 0) - take.took[-1], 0)) + lag for take in takes]
    assert found.most <= sum(most) + len(takes) * (rate.spacing if rate else 0) + 1e-6
    ends: list[float] = []
    for take in takes:
        least = take.took[0] if take.age is None else 0.0
        ends.append(least + lag + max((ends[other] for other in take.after), default=0.0))
    assert found.least >= max(ends) - 1e-6


def longer(one: Remaining | None, other: Remaining | None) -> bool:
    assert one is not None
    assert other is not None
    return all(a >= b - 1e-6 for a, b in ((one.least, other.least), (one.likely, other.likely), (one.most, other.most)))


@given(ALONE, LEARNED, PLACES, RATES)
def test_one_take_more_never_makes_it_shorter(takes: list[Pending], took: list[float], places: int | None,
                                              rate: Rate | None) -> None:
    assert longer(remaining([*takes, Pending(took=took)], concurrency=places, rate=rate),
                  remaining(takes, concurrency=places, rate=rate))


@given(ALONE, st.integers(1, 9), st.integers(1, 9), RATES)
def test_fewer_places_never_make_it_shorter(takes: list[Pending], some: int, more: int, rate: Rate | None) -> None:
    assert longer(remaining(takes, concurrency=some, rate=rate), remaining(takes, concurrency=some + more, rate=rate))


@given(ALONE, PLACES, st.integers(1, 30), st.integers(1, 30))
def test_a_slower_rate_never_makes_it_shorter(takes: list[Pending], places: int | None, some: int, more: int) -> None:
    slow, quick = Rate(count=some, per=60), Rate(count=some + more, per=60)
    assert longer(remaining(takes, concurrency=places, rate=slow), remaining(takes, concurrency=places, rate=quick))


@given(ALONE, PLACES, RATES, st.floats(1, 3), st.floats(0, 20))
def test_longer_jobs_never_make_it_shorter(takes: list[Pending], places: int | None, rate: Rate | None, factor: float,
                                           lag: float) -> None:
    new = [replace(take, age=None) for take in takes]
    slow = [replace(take, took=[second * factor for second in take.took]) for take in new]
    assert longer(remaining(slow, concurrency=places, rate=rate, lag=lag), remaining(new, concurrency=places, rate=rate))


@given(chained(), LEARNED, RATES)
def test_without_a_limit_of_places_a_longer_chain_never_makes_it_shorter(takes: list[Pending], took: list[float],
                                                                         rate: Rate | None) -> None:
    one_more = [*takes, Pending(took=took, after=(len(takes) - 1,))]
    assert longer(remaining(one_more), remaining(takes))


# ── what is learned ───────────────────────────────────────────────────────────────────────────────────────────────


KIND = ("m", "720p", "5")


def test_too_few_jobs_teach_nothing_and_then_the_models_other_jobs_stand_in() -> None:
    experience = Experience()
    for _ in range(7):
        experience.learn(KIND, 100)
    assert experience.of(KIND, 8) == ()
    experience.learn(("m", "1080p", "10"), 200)
    assert len(experience.of(KIND, 8)) == 8
    assert len(experience.of(("m", "1080p", "10"), 8)) == 8
    experience.learn(KIND, 100)
    assert list(experience.of(KIND, 8)) == [100] * 8
    assert experience.of(("other", "720p", "5"), 8) == ()


@given(st.lists(st.integers(1, 1000), max_size=3 * MEMORY))
def test_only_the_latest_are_remembered_in_order_of_length(seconds: list[int]) -> None:
    experience = Experience()
    for each in seconds:
        experience.learn(KIND, each)
    assert list(experience.of(KIND, 8)) == (sorted(seconds[-MEMORY:]) if len(seconds) >= 8 else [])
