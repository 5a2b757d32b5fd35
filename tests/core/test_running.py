"""What is known of a run while it goes on."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.lifecycle import Failed, InDoubt, Intended, Progressed, Refused, Submitted, Succeeded
from manifest_runner.core.model import Action, Job, JobId, JobState, Rate, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Notice, Outcome, Queued
from manifest_runner.core.planning import Where
from manifest_runner.core.requests import request_of
from manifest_runner.core.running import Bounds, Running, Stage
from manifest_runner.views.progress import What
from tests.builders import CARD, job, manifest_of, plan_of

SHOW = """\
defaults: {duration: 5}
shots:
  - {id: A, prompt: one}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three}
"""
MANIFEST = manifest_of(SHOW)
REQUEST = request_of(MANIFEST.shots[0], CARD, lambda _: "x")


def key(shot: str) -> TakeKey:
    return TakeKey(manifest="test.yaml", shot=ShotId(shot), take=1)


def ended(shot: str, ending: Ending, state: JobState | None = None) -> Outcome:
    known = None if state is None else job(REQUEST, shot=shot, state=state)
    return Outcome(key=key(shot), action=Action.CREATE, ending=ending, words="why", job=known)


class Told:
    """A run, and a clock that is moved by hand."""

    def __init__(self, *, jobs: dict[Where, Job] | None = None, bounds: Bounds | None = None) -> None:
        known = {(str(shot), take): one for (shot, take), one in (jobs or {}).items()}
        self.run = Running(plan_of(MANIFEST, jobs=known), MANIFEST, CARD, jobs or {}, bounds or Bounds(), poll=5.0, now=100.0)

    def hear(self, at: float, shot: str, *events: What) -> Told:
        for event in events:
            self.run.hear(key(shot), event, 100.0 + at)
        return self

    def leave(self, at: float, shot: str) -> Told:
        intent = job(REQUEST, shot=shot, state=JobState.INTENDED).intent
        return self.hear(at, shot, Notice.WAITING, Intended(intent=intent), Submitted(job_id=JobId(f"j{shot}")))


def test_a_take_goes_through_its_stages_and_its_credits_from_reserved_to_charged() -> None:
    told = Told()
    assert told.run.now(100.0).stages[Stage.WAITING] == 3
    told.leave(1, "A")
    now = told.run.now(103.0)
    assert (now.stages[Stage.RENDERING], now.reserved, now.charged, now.places) == (1, 145, 0, 1)
    assert now.flying == ((key("A"), 2.0),)
    told.hear(60, "A", Progressed(status="processing"), Succeeded(charged=Decimal(140), took=55.0))
    now = told.run.now(161.0)
    assert (now.stages[Stage.DOWNLOADING], now.reserved, now.charged, now.places) == (1, 0, 140, 0)
    told.hear(66, "A", ended("A", Ending.DONE, JobState.STORED))
    assert told.run.now(166.0).stages[Stage.DONE] == 1
    assert told.run.lag == 10.0  # 65 seconds until the clip was here, of which the job took 55


def test_a_failure_frees_its_credits_and_stays_in_sight_and_one_in_doubt_holds_them() -> None:
    told = Told().leave(1, "A").hear(9, "A", Failed(words="no"), ended("A", Ending.FAILED, JobState.FAILED))
    told.leave(2, "C").hear(9, "C", InDoubt(), ended("C", Ending.IN_DOUBT, JobState.IN_DOUBT))
    told.hear(9, "B", ended("B", Ending.SKIPPED))
    now = told.run.now(110.0)
    assert [outcome.key.shot for outcome in now.failed] == ["A", "C"]
    assert (now.stages[Stage.FAILED], now.stages[Stage.LEFT], now.reserved, now.charged) == (2, 1, 145, 0)


def test_where_nobody_says_what_was_charged_the_reservation_counts() -> None:
    assert Told().leave(1, "A").hear(2, "A", Succeeded(charged=None)).run.now(103.0).charged == 145


def test_a_job_of_an_earlier_run_counts_from_the_beginning() -> None:
    jobs = {(ShotId("C"), 1): job(request_of(MANIFEST.shots[2], CARD, lambda _: "x"), shot="C", state=JobState.RUNNING)}
    now = Told(jobs=jobs).run.now(130.0)
    assert (now.stages[Stage.RENDERING], now.reserved, now.flying) == (1, 145, ((key("C"), 30.0),))


def test_submissions_are_counted_over_the_period_of_the_rate() -> None:
    told = Told(bounds=Bounds(rate=Rate(count=2, per=60))).leave(0, "A").leave(50, "C")
    assert [told.run.now(100.0 + at).submitted for at in (50, 61, 111)] == [2, 1, 0]


def test_why_the_next_one_waits_is_known_until_one_has_left() -> None:
    told = Told().hear(1, "A", Queued(why="concurrency", seconds=1))
    assert told.run.now(101.0).queued == Queued(why="concurrency", seconds=1)
    assert told.leave(2, "A").run.now(102.0).queued is None


def test_an_estimate_comes_with_the_third_job_and_counts_chains() -> None:
    told = Told().leave(0, "C")
    assert told.run.question(101.0)() is None
    told.run.remember([(REQUEST, 100.0)] * 2)
    assert told.run.question(101.0)() is None
    told.run.remember([(REQUEST, 100.0)])
    found = told.run.question(110.0)()
    assert found is not None
    assert found.likely == 2 * (100.0 + 5.0)  # A and then B; C is under way


def test_what_this_run_does_not_know_changes_nothing() -> None:
    told = Told()
    before = told.run.now(100.0)
    told.hear(0, "Z", Notice.WAITING, ended("Z", Ending.DONE))
    assert told.run.now(100.0) == before


EVENTS = st.sampled_from([
    Intended(intent=job(REQUEST, shot="A", state=JobState.INTENDED).intent), Submitted(job_id=JobId("j")), Refused(words="x"),
    Progressed(status="q"), Succeeded(charged=None, took=3.0), Succeeded(charged=Decimal(7)),
    Failed(words="x", charged=Decimal(1)), InDoubt(), Notice.WAITING, Notice.DOWNLOADING, Queued(why="rate", seconds=1),
    ended("A", Ending.DONE), ended("A", Ending.FAILED), ended("A", Ending.IN_DOUBT, JobState.IN_DOUBT),
    ended("A", Ending.UNFINISHED),
])


@given(st.lists(st.tuples(st.sampled_from("ABC"), EVENTS), max_size=30))
def test_whatever_comes_in_whatever_order_the_sums_are_right(events: list[tuple[str, What]]) -> None:
    told = Told()
    for at, (shot, event) in enumerate(events):
        told.hear(at, shot, event)
    now = told.run.now(200.0)
    assert now.total == 3
    assert min(now.stages.values()) >= 0
    assert now.reserved >= 0
    assert now.charged >= 0
    told.run.question(200.0)()
