"""Which job is looked at next."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.model import JobId
from manifest_runner.core.polling import PollPolicy
from manifest_runner.core.timetable import FRUITLESS, Timetable, Watched
from tests.paper import Flight, batch

POLICY = PollPolicy()
KIND = ("m", "720p", "5")


class Told:
    """A timetable, the time in it, and how its jobs stand."""

    def __init__(self, *took: float) -> None:
        self.table: Timetable[str] = Timetable(POLICY)
        self.table.lives.remember((KIND, seconds) for seconds in took)
        self.now = 0.0

    def follow(self, name: str, *, fresh: bool = True, jitter: float = 0.5) -> Watched[str]:
        return self.table.follow(JobId(name), KIND, name, accepted=self.now if fresh else None, now=self.now, jitter=jitter)

    def next(self) -> Watched[str]:
        """The next job, at the time when it is due."""
        while True:
            due = self.table.opens(self.now)
            assert due is not None
            if due <= self.now:
                watched = self.table.take(self.now)
                assert watched is not None
                return watched
            self.now = due

    def running(self, watched: Watched[str]) -> None:
        self.table.running(watched, self.now, 0.5)


def test_nothing_is_due_where_nothing_is_followed_and_a_job_that_left_is_not_looked_at() -> None:
    told = Told()
    assert told.table.opens(0) is None
    job = told.follow("A")
    assert told.table.opens(0) == pytest.approx(POLICY.first)
    told.table.leave(job)
    assert told.table.opens(0) is None
    assert told.table.take(1e9) is None


def test_where_a_gateway_gives_two_submissions_one_job_each_of_them_is_followed() -> None:
    told = Told()
    told.follow("A", fresh=False, jitter=0.1)
    told.follow("A", fresh=False, jitter=0.2)
    told.table.leave(told.next())
    other = told.next()
    assert told.table.hint(JobId("A"), told.now) is other
    told.table.leave(other)
    assert told.table.opens(told.now) is None


def test_what_is_due_first_comes_first_and_stands_aside_while_it_is_asked_about() -> None:
    told = Told()
    for jitter, name in ((0.9, "C"), (0.1, "A"), (0.5, "B")):
        told.follow(name, jitter=jitter)
    assert [told.next().what for _ in "ABC"] == ["A", "B", "C"]
    assert told.table.opens(told.now) is None


def test_what_is_late_is_looked_at_in_the_order_in_which_it_was_due_and_waits_for_its_whole_wait_afterwards() -> None:
    told = Told()
    for number in range(10):
        told.follow(f"{number}", fresh=False, jitter=number / 10)
    told.now = 100.0
    first = told.next()
    told.running(first)
    rest = [told.next().what for _ in range(9)]
    assert [first.what, *rest] == [f"{number}" for number in range(10)]
    assert told.now == 100.0
    assert told.next() is first
    assert told.now > 104


def test_a_look_that_others_have_made_unnecessary_meanwhile_is_put_off() -> None:
    def looked_at(*, scouts: int) -> float:
        told = Told()
        late = told.follow("late", jitter=0.99)
        for _ in range(scouts):
            told.table.lives.running(KIND, 0, 60)
        assert told.next() is late
        return told.now

    assert 5 < looked_at(scouts=0) < 6
    assert 10 < looked_at(scouts=50) < 75


def test_a_hint_brings_a_look_forward_before_all_that_are_late() -> None:
    told = Told(*[100.0] * 20)
    job = told.follow("A")
    told.now = 50.0
    assert told.table.hint(JobId("A"), 50.0) is job
    for number in range(5):
        told.follow(f"{number}", fresh=False, jitter=0)
    told.now = 90.0
    assert told.next() is job


def test_no_hint_brings_two_looks_closer_together_than_the_narrowest_wait() -> None:
    told = Told()
    job = told.follow("A", fresh=False)
    told.next()
    assert told.table.hint(JobId("A"), told.now + 0.1) is job, "also one that comes while it is asked about"
    asked = told.now
    told.now += 0.2
    told.running(job)
    assert told.next() is job
    assert told.now == pytest.approx(asked + POLICY.narrow)


def test_hints_that_lead_to_nothing_are_soon_ignored_and_those_about_strangers_always() -> None:
    told = Told()
    job = told.follow("A")
    for _ in range(FRUITLESS):
        told.now += 0.5
        assert told.table.hint(JobId("A"), told.now) is job
        assert told.table.hint(JobId("A"), told.now) is None, "one that has been heard"
        told.running(told.next())
    assert told.table.hint(JobId("A"), told.now) is None
    assert told.table.hint(JobId("B"), told.now) is None


def test_a_pause_after_an_answer_that_said_nothing_is_kept_also_by_hints() -> None:
    told = Told()
    job = told.follow("A")
    told.next()
    told.table.unheard(job, told.now, 0.5, pause=20.0)
    told.table.hint(JobId("A"), told.now + 1)
    asked = told.now
    told.next()
    assert told.now == pytest.approx(asked + 20)


def test_an_answer_that_said_nothing_teaches_nothing() -> None:
    told = Told()
    job = told.follow("A")
    told.running(told.next())
    seen = told.now
    while told.now < 100:
        told.table.unheard(told.next(), told.now, 0.5)
    assert job.running == pytest.approx(seen)
    assert told.table.over(told.next(), told.now, succeeded=True) == pytest.approx((seen + told.now) / 2, rel=0.01)


@pytest.mark.parametrize(("fresh", "succeeded", "slept"), [(False, True, 0), (True, False, 0), (True, True, 1000)])
def test_how_long_a_job_took_is_not_said_where_nobody_can_know(*, fresh: bool, succeeded: bool, slept: float) -> None:
    told = Told()
    job = told.follow("A", fresh=fresh)
    told.next()
    told.table.sleeping(slept)
    assert told.table.over(job, told.now, succeeded=succeeded) is None
    assert not any(sum(ages.ended) for ages in told.table.lives._ages.values())


def test_what_the_machine_slept_is_no_patience_and_only_what_it_slept_while_a_job_was_followed_counts() -> None:
    told = Told()
    told.table.sleeping(5000)
    job = told.follow("A")
    assert not told.table.impatient(job, POLICY.patience - 1)
    assert told.table.impatient(job, POLICY.patience + 1)
    told.table.sleeping(500)
    assert not told.table.impatient(job, POLICY.patience + 499)
    assert told.table.impatient(job, POLICY.patience + 501)


def test_once_webhooks_have_come_looks_are_a_net_until_one_stays_out_and_those_that_were_due_before_are_put_off() -> None:
    told = Told(*[30.0] * 20)
    told.follow("A")
    told.follow("B")
    told.now = 20.0
    told.table.hint(JobId("A"), told.now)
    assert told.table.over(told.next(), told.now, succeeded=True) == 20
    assert told.table.relied
    other = told.next()
    assert other.what == "B"
    assert told.now == pytest.approx(POLICY.net)
    told.table.over(other, told.now, succeeded=True)
    assert not told.table.relied


STEPS = st.lists(st.tuples(st.sampled_from(["follow", "hint", "look", "wait", "over", "leave", "unheard"]),
                           st.integers(0, 4), st.floats(0, 50)), max_size=60)


@settings(deadline=None)
@given(STEPS, st.integers(0, 3))
def test_whatever_happens_every_job_that_is_followed_stands_in_the_timetable_once_and_is_looked_at_in_the_end(
        steps: list[tuple[str, int, float]], seed: int) -> None:
    dice, told, flying, asked = random.Random(seed), Told(*[60.0] * 10), {}, {}  # type: ignore[var-annotated]
    for what, number, seconds in steps:
        name = f"{number}"
        if what == "wait":
            told.now += seconds
        elif what == "follow" and name not in flying:
            flying[name] = told.follow(name, fresh=dice.random() < 0.5, jitter=dice.random())
        elif what == "hint":
            told.table.hint(JobId(name), told.now)
        elif what == "look":
            watched = told.table.take(told.now)
            if watched is not None:
                assert watched.what not in asked, "not while it is asked about"
                asked[watched.what] = watched
        elif what in ("over", "leave", "unheard") and name in asked:
            watched = asked.pop(name)
            if what == "unheard":
                told.table.unheard(watched, told.now, dice.random(), pause=seconds)
            else:
                del flying[name]
                told.table.over(watched, told.now, succeeded=True) if what == "over" else told.table.leave(watched)
    left = set()
    while told.table.opens(told.now) is not None:
        watched = told.next()
        left.add(watched.what)
        told.table.leave(watched)
    assert left == set(flying) - set(asked)


def test_ten_thousand_at_once_keep_the_pace_and_are_all_seen_to_be_over() -> None:
    chance = random.Random(3)
    flight = Flight(batch(1000, 12, chance), chance, policy=PollPolicy(rate=20.0))  # a tenth of both
    assert len(flight.late) == 1000
    assert flight.looks / 1000 < 7
    assert flight.delay < 20
    assert max(flight.late) < 150
