"""What every `ports.Ledger` does, as sentences. A ledger's own test file subclasses `LedgerContract` and gives it a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from manifest_runner.core.lifecycle import (
    UNFINISHED,
    Abandoned,
    Event,
    Failed,
    IllegalEvent,
    InDoubt,
    Intended,
    Missing,
    Progressed,
    Refused,
    Stored,
    Submitted,
    Succeeded,
)
from manifest_runner.core.model import (
    Artifact,
    ExternalTaskId,
    Fingerprint,
    Intent,
    Job,
    JobId,
    JobState,
    Measured,
    MediaFacts,
    Rate,
    Request,
    ShotId,
    TakeKey,
)
from manifest_runner.errors import BudgetExceeded, Conflict, LedgerError
from manifest_runner.ports import Admission, Admitted, Held, Ledger, SpendingLimits, Wait

NOON = 1_800_000_000.0 - 1_800_000_000 % 86400 + 43200
FREE = SpendingLimits()
D = Decimal
PRICE = D(145)

CLIP = Artifact(path="renders/monsoon/SH0010_t1.mp4", sha256="ab" * 32, bytes=1234, media=MediaFacts(
    container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1",
    measured=Measured(decoded=119, black=0.25, still=4.958)))


def intent(name: str = "SH0010", *, take: int = 1, attempt: int = 1, reserved: Decimal = PRICE,
           manifest: str = "monsoon.yaml", task: str | None = None, body: bytes = b'{"prompt":"rain"}',
           params: Mapping[str, Any] | None = None) -> Intent:
    """An intent; its id follows from the take and the attempt."""
    return Intent(
        key=TakeKey(manifest=manifest, shot=ShotId(name), take=take), attempt=attempt, body=body, reserved=reserved,
        external_task_id=ExternalTaskId(task or f"mr-{manifest}-{name}-t{take}-a{attempt}"),
        fingerprint=Fingerprint("sha256:" + "0" * 64),
        request=Request(model="kling-v3-omni", params={"prompt": "rain", "duration": 5} if params is None else params))


SUBMITTED = Submitted(job_id=JobId("job-1"))
PATHS: Mapping[JobState, tuple[Event, ...]] = {
    JobState.INTENDED: (),
    JobState.SUBMITTED: (SUBMITTED,),
    JobState.RUNNING: (SUBMITTED, Progressed(status="processing")),
    JobState.IN_DOUBT: (InDoubt(words="reset by peer"),),
    JobState.MISSING: (SUBMITTED, Missing()),
    JobState.SUCCEEDED: (SUBMITTED, Succeeded(charged=D(140))),
    JobState.STORED: (SUBMITTED, Succeeded(charged=D(140)), Stored(artifacts=(CLIP,))),
    JobState.FAILED: (SUBMITTED, Failed(words="no")),
    JobState.REFUSED: (Refused(words="no"),),
    JobState.ABANDONED: (InDoubt(), Abandoned()),
}
"""A way to every state."""

COSTS: tuple[tuple[tuple[Event, ...], Decimal], ...] = (
    ((), D(145)),
    ((SUBMITTED,), D(145)),
    ((SUBMITTED, Progressed(status="processing")), D(145)),
    ((SUBMITTED, Missing()), D(145)),
    ((InDoubt(),), D(145)),
    ((InDoubt(), Abandoned()), D(145)),
    ((InDoubt(), Abandoned(release=True)), D(0)),
    ((SUBMITTED, Missing(), Abandoned(release=True)), D(0)),
    ((SUBMITTED, Succeeded(charged=D(140))), D(140)),
    ((SUBMITTED, Succeeded(charged=None)), D(145)),
    ((SUBMITTED, Succeeded(charged=D("-1"))), D(145)),
    ((SUBMITTED, Succeeded(charged=D("NaN"))), D(145)),
    ((SUBMITTED, Succeeded(charged=D("Infinity"))), D(145)),
    ((SUBMITTED, Succeeded(charged=D(200))), D(200)),
    ((SUBMITTED, Succeeded(charged=None), Succeeded(charged=D(140))), D(140)),
    ((SUBMITTED, Succeeded(charged=D(140)), Succeeded(charged=None)), D(140)),
    ((SUBMITTED, Succeeded(charged=D(0)), Succeeded(charged=D(140))), D(140)),
    ((SUBMITTED, Succeeded(charged=D(140)), Succeeded(charged=D(0))), D(140)),
    ((SUBMITTED, Succeeded(charged=D(140)), Abandoned(release=True)), D(140)),
    ((SUBMITTED, Succeeded(charged=D(140)), Stored(artifacts=())), D(140)),
    ((SUBMITTED, Failed(words="no")), D(0)),
    ((SUBMITTED, Failed(words="no", charged=D(29))), D(29)),
    ((SUBMITTED, Failed(words="no", charged=D("NaN"))), D(145)),
    ((Refused(words="no"),), D(0)),
)
"""What happened to a job that reserved 145, and what it counts for."""


@dataclass
class World:
    """A ledger's surroundings: a clock that tests move, and one file (or books) that every `open` shares. `end` ends a run
    that was opened, as a kill would."""

    open: Callable[[str], Ledger]
    end: Callable[[str], None]
    now: float = NOON


async def admitted(ledger: Ledger, wanted: Intent, limits: SpendingLimits = FREE) -> Job:
    """Admit it and expect to succeed."""
    answer = await ledger.admit(wanted, limits)
    assert isinstance(answer, Admitted), answer
    return answer.job


async def walk(ledger: Ledger, wanted: Intent, *events: Event) -> Job:
    """Admit it and let these things happen to it."""
    job = await admitted(ledger, wanted)
    for event in events:
        job = await ledger.record(wanted.external_task_id, event)
    return job


async def takes(ledger: Ledger, credit: Decimal, *, limit: Decimal, daily: bool = False) -> bool:
    """Whether a reservation of `credit` would still be taken."""
    limits = SpendingLimits(daily_credits=limit) if daily else SpendingLimits(run_credits=limit)
    stop = replace(limits, concurrency=0)  # credits are judged before places: nothing is ever reserved by asking
    try:
        answer: Admission = await ledger.admit(intent("ZZ", task="question", reserved=credit), stop)
    except BudgetExceeded:
        return False
    assert isinstance(answer, Wait)
    return True


@pytest.mark.anyio
class LedgerContract:
    """Subclasses define the fixture `world`."""

    async def test_a_new_intent_is_admitted_and_comes_back_as_it_was(self, world: World) -> None:
        wanted = intent(params={"prompt": "Ashā, \"rain\" \ud800", "cfg_scale": 0.5, "camera": {"pan": -3.0, "x": [1, None]}})
        job = await admitted(world.open("a"), wanted)
        assert job == Job(intent=wanted, state=JobState.INTENDED)
        assert list(await world.open("b").jobs("monsoon.yaml")) == [job]

    @pytest.mark.parametrize("state", list(JobState))
    async def test_a_known_id_is_held_by_its_job_unless_it_was_never_answered(self, world: World, state: JobState) -> None:
        ledger = world.open("a")
        job = await walk(ledger, intent(), *PATHS[state])
        assert job.state is state
        answer = await ledger.admit(intent(body=b"other", reserved=D(1)), FREE)
        assert answer == (Admitted(job=job, fresh=True) if state is JobState.INTENDED else Held(job=job))
        assert answer.job.intent.body == b'{"prompt":"rain"}'

    @pytest.mark.parametrize("state", list(JobState))
    async def test_an_unfinished_take_holds_its_place_against_another_id(self, world: World, state: JobState) -> None:
        ledger = world.open("a")
        job = await walk(ledger, intent(), *PATHS[state])
        answer = await world.open("b").admit(intent(attempt=2), FREE)
        assert answer == Held(job=job) if state in UNFINISHED | {JobState.STORED} else isinstance(answer, Admitted)
        assert isinstance(await ledger.admit(intent(take=2), FREE), Admitted)

    @pytest.mark.parametrize("attempt", [1, 2])
    async def test_an_intent_of_a_run_that_is_alive_is_its_to_send(self, world: World, attempt: int) -> None:
        job = await walk(world.open("a"), intent())
        assert await world.open("b").admit(intent(attempt=attempt), FREE) == Held(job=job)
        assert await world.open("a").admit(intent(), FREE) == Admitted(job=job, fresh=True)

    @pytest.mark.parametrize("attempt", [1, 2])
    async def test_an_intent_of_a_run_that_is_gone_is_taken_up_as_it_was_stored(self, world: World, attempt: int) -> None:
        job = await walk(world.open("a"), intent())
        world.end("a")
        changed = intent(attempt=attempt, body=b"other", reserved=D(1))
        later = world.open("b")
        await later.throttled(intent("ANY").external_task_id, 5)
        answer = await later.admit(changed, FREE)
        assert isinstance(answer, Wait)
        assert answer.seconds >= 5
        world.now += 60
        assert await later.admit(changed, FREE) == Admitted(job=job, fresh=False)
        world.now += 60
        assert await later.admit(changed, FREE) == Admitted(job=job, fresh=True)
        assert await world.open("c").admit(changed, FREE) == Held(job=job)
        assert list(await later.jobs("monsoon.yaml")) == [job]
        world.end("b")
        world.now += 60
        assert await world.open("c").admit(changed, FREE) == Admitted(job=job, fresh=False)

    async def test_nobody_ends_what_another_run_may_have_sent(self, world: World) -> None:
        await walk(world.open("a"), intent())
        other, task = world.open("b"), intent().external_task_id
        for event in (Refused(words="stopped"), Abandoned()):
            with pytest.raises(LedgerError):
                await other.record(task, event)
        world.end("a")
        with pytest.raises(LedgerError):
            await other.record(task, Refused(words="stopped"))  # only a person can know that it was not sent
        assert (await other.record(task, Abandoned())).state is JobState.ABANDONED

    async def test_an_intent_without_answer_waits_for_pause_and_rate_but_not_for_credits_or_places(self, world: World) -> None:
        ledger = world.open("a")
        await admitted(ledger, intent())
        tight = SpendingLimits(rate=Rate(count=30, per=60), concurrency=0, run_credits=D(1), daily_credits=D(1))
        answer = await ledger.admit(intent(), tight)
        assert isinstance(answer, Wait)
        assert answer.why == "rate"
        world.now += answer.seconds
        assert isinstance(await ledger.admit(intent(), tight), Admitted)
        await ledger.throttled(intent("ANY").external_task_id, 30)
        assert await ledger.admit(intent(), FREE) == Wait(seconds=30, why="pause")

    async def test_slots_are_spaced_across_runs_and_a_wait_consumes_nothing(self, world: World) -> None:
        limits = SpendingLimits(rate=Rate(count=30, per=60))
        await admitted(world.open("a"), intent("A"), limits)
        for _ in range(3):
            answer = await world.open("b").admit(intent("B"), limits)
            assert isinstance(answer, Wait)
        assert answer.why == "rate"
        assert 1.9 < answer.seconds < 2.1
        world.now += answer.seconds
        await admitted(world.open("b"), intent("B"), limits)

    async def test_a_departure_that_was_late_moves_back_what_would_share_its_window(self, world: World) -> None:
        limits, begin = SpendingLimits(rate=Rate(count=2, per=1)), world.now
        first = await world.open("a").admit(intent("A"), limits)
        assert isinstance(first, Admitted)
        assert first.slot is not None
        await world.open("a").late(first.slot, begin + 0.3)
        opened = []
        for name in ("B", "C", "D"):
            while isinstance(answer := await world.open("b").admit(intent(name), limits), Wait):
                world.now += answer.seconds
            assert isinstance(answer, Admitted)
            assert answer.slot is not None
            opened.append(answer.slot.opens - begin)
        assert 0.5 < opened[0] < 0.6, "the one in between is not concerned"
        assert 1.3 <= opened[1] < 1.35
        assert opened[2] - opened[0] >= 1
        later = await world.open("b").admit(intent("E"), SpendingLimits())
        assert isinstance(later, Admitted)

    async def test_a_clock_that_was_stepped_back_delays_by_one_spacing(self, world: World) -> None:
        limits = SpendingLimits(rate=Rate(count=30, per=60))
        ledger = world.open("a")
        await admitted(ledger, intent("A"), limits)
        world.now -= 10_000
        answer = await ledger.admit(intent("B"), limits)
        assert isinstance(answer, Wait)
        assert answer.seconds < 2.1
        world.now += answer.seconds
        await admitted(ledger, intent("B"), limits)

    async def test_a_pause_holds_everybody_and_the_longer_one_stands(self, world: World) -> None:
        await world.open("a").throttled(intent("ANY").external_task_id, 60)
        await world.open("a").throttled(intent("ANY").external_task_id, 5)
        assert await world.open("b").admit(intent(), FREE) == Wait(seconds=60, why="pause")
        world.now += 60
        await admitted(world.open("b"), intent())

    @pytest.mark.parametrize("seconds", [float("nan"), float("-inf"), -3.0, 0.0])
    async def test_a_pause_that_makes_no_sense_is_none(self, world: World, seconds: float) -> None:
        await world.open("a").throttled(intent("ANY").external_task_id, seconds)
        await admitted(world.open("a"), intent())

    async def test_an_absurd_pause_ends_within_the_hour_even_when_the_clock_is_stepped_back(self, world: World) -> None:
        ledger = world.open("a")
        await ledger.throttled(intent("ANY").external_task_id, float("inf"))
        world.now -= 1e6
        assert await ledger.admit(intent(), FREE) == Wait(seconds=3600, why="pause")
        world.now += 3600
        await admitted(ledger, intent())

    async def test_jobs_in_flight_are_limited_across_runs(self, world: World) -> None:
        limits = SpendingLimits(concurrency=2)
        await walk(world.open("a"), intent("A"), SUBMITTED)
        await walk(world.open("a"), intent("B"))
        answer = await world.open("b").admit(intent("C", manifest="other.yaml"), limits)
        assert isinstance(answer, Wait)
        assert answer.why == "concurrency"
        assert 0.5 <= answer.seconds <= 2
        await world.open("b").record(intent("A").external_task_id, Succeeded(charged=D(1)))
        await admitted(world.open("b"), intent("C", manifest="other.yaml"), limits)

    async def test_forgotten_jobs_hold_no_place_but_keep_their_credits(self, world: World) -> None:
        ledger = world.open("a")
        await walk(ledger, intent("A"))
        await walk(ledger, intent("B"), SUBMITTED)
        one = SpendingLimits(concurrency=1)
        world.now += 121
        assert isinstance(await ledger.admit(intent("C"), one), Wait)
        world.now += 3600
        await admitted(ledger, intent("C"), one)
        assert await takes(ledger, D(5), limit=D(440))
        assert not await takes(ledger, D(6), limit=D(440))

    async def test_a_refusal_slows_every_run_once_a_burst_and_acceptance_brings_the_pace_back(self, world: World) -> None:
        one, other = world.open("a"), world.open("b")
        for number in range(10):
            await admitted(one, intent("S", take=number + 1))
            world.now += 0.5
        told = await one.throttled(intent("S", take=10).external_task_id, 1.0)
        assert told is not None
        assert told.pace == pytest.approx(9 / 6)
        assert await other.throttled(intent("S", take=9).external_task_id, 1.0) is None, "it left before the slowing"
        world.now += 1
        await admitted(other, intent("A"))
        answer = await other.admit(intent("B"), FREE)
        assert isinstance(answer, Wait)
        assert answer.why == "pace"
        learned = [answer.seconds]
        for number in range(12):
            world.now += 60
            await walk(other, intent("T", take=number + 1), Submitted(job_id=JobId(f"t{number}")))
            answer = await one.admit(intent("B"), FREE)
            assert isinstance(answer, Wait)
            learned.append(answer.seconds)
        assert learned[-1] < learned[1]

    async def test_a_refusal_changes_no_reservation_and_no_state(self, world: World) -> None:
        ledger = world.open("a")
        job = await walk(ledger, intent())
        await ledger.throttled(intent().external_task_id, 1.0)
        await ledger.throttled(intent().external_task_id, 1.0, crowded=True)
        assert list(await ledger.jobs("monsoon.yaml")) == [job]
        assert await takes(ledger, D(855), limit=D(1000))
        assert not await takes(ledger, D(856), limit=D(1000))

    async def test_a_refusal_for_want_of_places_lowers_them_for_every_run(self, world: World) -> None:
        one, other = world.open("a"), world.open("b")
        for number in range(3):
            await walk(one, intent("S", take=number + 1), Submitted(job_id=JobId(f"s{number}")))
        refused = intent("S", take=4)
        await admitted(one, refused)
        told = await one.throttled(refused.external_task_id, 0.0, crowded=True)
        assert told is not None
        assert (told.places, told.pace) == (3, None)
        for ledger, wanted in ((other, intent("A")), (one, refused)):
            answer = await ledger.admit(wanted, SpendingLimits(concurrency=9))
            assert isinstance(answer, Wait)
            assert answer.why == "crowd"
        await one.record(intent("S", take=1).external_task_id, Failed(words="no"))
        await admitted(one, refused)

    async def test_places_go_to_whoever_has_waited_longest_and_not_to_whoever_frees_them(self, world: World) -> None:
        greedy, patient = world.open("a"), world.open("b")
        two = SpendingLimits(concurrency=2)
        for number in range(2):
            await walk(greedy, intent("S", take=number + 1), Submitted(job_id=JobId(f"s{number}")))
        assert isinstance(await patient.admit(intent("B"), two), Wait)
        world.now += 0.3
        assert isinstance(await greedy.admit(intent("S", take=3), two), Wait)
        await greedy.record(intent("S", take=1).external_task_id, Failed(words="no"))
        answer = await greedy.admit(intent("S", take=3), two)
        assert isinstance(answer, Wait)
        assert answer.why == "turn"
        await admitted(patient, intent("B"), two)

    async def test_nobody_waits_long_for_a_run_that_died_while_it_waited(self, world: World) -> None:
        two = SpendingLimits(concurrency=1)
        await walk(world.open("a"), intent("A"), SUBMITTED)
        await world.open("b").admit(intent("B"), two)
        world.end("b")
        world.now += 0.1
        await world.open("a").admit(intent("C"), two)
        await world.open("a").record(intent("A").external_task_id, Failed(words="no"))
        waited = 0.0
        while isinstance(answer := await world.open("a").admit(intent("C"), two), Wait):
            world.now, waited = world.now + answer.seconds, waited + answer.seconds
        assert waited <= 3

    async def test_nobody_waits_for_a_run_whose_own_limits_are_tighter(self, world: World) -> None:
        await walk(world.open("a"), intent("A"), SUBMITTED)
        await world.open("b").admit(intent("B"), SpendingLimits(concurrency=1))
        await world.open("c").admit(intent("C"), SpendingLimits(rate=Rate(count=1, per=3600)))
        world.now += 0.2
        await admitted(world.open("a"), intent("D"), SpendingLimits(concurrency=5))

    @pytest.mark.parametrize(("events", "cost"), COSTS)
    @pytest.mark.parametrize("daily", [False, True])
    async def test_a_job_counts_for_what_it_may_still_cost(
            self, world: World, events: tuple[Event, ...], cost: Decimal, daily: bool) -> None:
        ledger = world.open("a")
        await walk(ledger, intent(), *events)
        assert await takes(ledger, 1000 - cost, limit=D(1000), daily=daily)
        assert not await takes(ledger, 1000 - cost + D("0.000001"), limit=D(1000), daily=daily)

    async def test_a_credit_limit_says_its_numbers_and_stops_before_any_wait(self, world: World) -> None:
        ledger = world.open("a")
        await admitted(ledger, intent("A", reserved=D(4900)))
        await ledger.throttled(intent("ANY").external_task_id, 60)
        limits = SpendingLimits(run_credits=D(5000), rate=Rate(count=1, per=3600), concurrency=0)
        with pytest.raises(BudgetExceeded, match=r"needs 145 credits; 4,900 of 5,000 of this run are spent or reserved"):
            await ledger.admit(intent("B"), limits)
        assert len(await ledger.jobs("monsoon.yaml")) == 1

    async def test_what_jobs_took_is_remembered_for_later_runs_the_latest_last(self, world: World) -> None:
        for name, took in (("A", 90.5), ("B", None), ("C", 120.0)):
            await walk(world.open("a"), intent(name, params={"prompt": name, "duration": 5}), SUBMITTED,
                       Succeeded(charged=D(1), took=took))
        await walk(world.open("a"), intent("D"), SUBMITTED, Failed(words="no"))
        assert [(request.params["prompt"], seconds) for request, seconds in await world.open("b").durations()] == [
            ("A", 90.5), ("C", 120.0)]

    async def test_the_latest_jobs_are_those_that_were_recorded_last_and_not_those_that_ended_last(self, world: World) -> None:
        names = ("A", "B", "C")
        for name in names:
            await walk(world.open("a"), intent(name, params={"prompt": name, "duration": 5}), SUBMITTED)
        for name, took in zip(reversed(names), (70.0, 110.0, 250.0), strict=True):
            await world.open("a").record(intent(name).external_task_id, Succeeded(charged=D(1), took=took))
        assert [request.params["prompt"] for request, _ in await world.open("b").durations()] == ["A", "B", "C"]

    async def test_what_is_left_is_what_still_fits_under_the_tightest_limit(self, world: World) -> None:
        earlier, ledger = world.open("b"), world.open("a")
        await walk(earlier, intent("ELSEWHERE", manifest="other.yaml", reserved=D(40)))
        await walk(ledger, intent("A", reserved=D(100)))
        for run, day, left in ((None, None, None), (1000, None, 900), (None, 1000, 860), (910, 1000, 810), (1000, 910, 770),
                               (50, 1000, 0)):
            limits = SpendingLimits(run_credits=None if run is None else D(run), daily_credits=None if day is None else D(day))
            assert await ledger.left("monsoon.yaml", limits) == left
        for daily, left in ((False, D(900)), (True, D(860))):  # `admit` says the same
            assert await takes(ledger, left, limit=D(1000), daily=daily)
            assert not await takes(ledger, left + 1, limit=D(1000), daily=daily)

    async def test_what_a_job_took_changes_nothing_but_that(self, world: World) -> None:
        one = await walk(world.open("a"), intent("A"), SUBMITTED, Succeeded(charged=D(1), took=3.0))
        other = await walk(world.open("a"), intent("A", manifest="other.yaml"), SUBMITTED, Succeeded(charged=D(1)))
        assert replace(one, intent=other.intent) == other

    async def test_a_limit_that_was_passed_by_a_charge_admits_nothing_more(self, world: World) -> None:
        ledger = world.open("a")
        await walk(ledger, intent(), SUBMITTED, Succeeded(charged=D(300)))
        assert not await takes(ledger, D(0), limit=D(299))

    async def test_a_run_answers_for_what_earlier_runs_of_its_manifest_left_open_and_no_more(self, world: World) -> None:
        earlier, later = world.open("a"), world.open("b")
        await walk(earlier, intent("DONE"), SUBMITTED, Succeeded(charged=D(10)))
        await walk(earlier, intent("OPEN", reserved=D(100)))
        await walk(earlier, intent("ELSEWHERE", manifest="other.yaml"))
        assert await takes(later, D(900), limit=D(1000))
        assert not await takes(later, D(901), limit=D(1000))

    async def test_a_job_that_a_later_run_sees_through_counts_for_both(self, world: World) -> None:
        earlier, later = world.open("a"), world.open("b")
        await walk(earlier, intent("OPEN", reserved=D(100)), SUBMITTED)
        await later.record(intent("OPEN").external_task_id, Succeeded(charged=D(90)))
        for ledger in (earlier, later):
            assert await takes(ledger, D(910), limit=D(1000))
            assert not await takes(ledger, D(911), limit=D(1000))
        assert await takes(world.open("c"), D(1000), limit=D(1000))

    async def test_a_new_day_forgets_what_is_settled_and_keeps_what_is_open(self, world: World) -> None:
        ledger = world.open("a")
        await walk(ledger, intent("SETTLED", reserved=D(10)), SUBMITTED, Succeeded(charged=D(10)))
        await walk(ledger, intent("OPEN", reserved=D(100)), InDoubt())
        assert not await takes(ledger, D(891), limit=D(1000), daily=True)
        world.now += 86400
        assert await takes(ledger, D(900), limit=D(1000), daily=True)
        assert not await takes(ledger, D(901), limit=D(1000), daily=True)

    async def test_the_day_is_that_of_utc(self, world: World) -> None:
        ledger = world.open("a")
        world.now = NOON + 43200 - 1
        await walk(ledger, intent(), SUBMITTED, Succeeded(charged=D(10)))
        assert not await takes(ledger, D(1000), limit=D(1000), daily=True)
        world.now += 1
        assert await takes(ledger, D(1000), limit=D(1000), daily=True)

    async def test_credits_finer_than_a_millionth_are_rounded_up(self, world: World) -> None:
        ledger = world.open("a")
        job = await admitted(ledger, intent(reserved=D("0.0000001")))
        assert job.intent.reserved == D("0.000001")
        assert (await ledger.record(job.intent.external_task_id, SUBMITTED)).intent.reserved == D("0.000001")
        done = await ledger.record(job.intent.external_task_id, Succeeded(charged=D("0.10000009")))
        assert done.charged == D("0.100001")

    @pytest.mark.parametrize("reserved", ["NaN", "sNaN", "-Infinity", "Infinity", "-0.01", "1e13"])
    async def test_a_reservation_that_is_no_amount_is_refused(self, world: World, reserved: str) -> None:
        ledger = world.open("a")
        with pytest.raises(LedgerError):
            await ledger.admit(intent(reserved=D(reserved)), FREE)
        assert list(await ledger.jobs("monsoon.yaml")) == []

    async def test_another_job_for_the_same_id_is_a_conflict_and_changes_nothing(self, world: World) -> None:
        ledger = world.open("a")
        job = await walk(ledger, intent(), SUBMITTED)
        with pytest.raises(Conflict):
            await ledger.record(job.intent.external_task_id, Submitted(job_id=JobId("job-2")))
        assert list(await ledger.jobs("monsoon.yaml")) == [job]
        assert await ledger.record(job.intent.external_task_id, SUBMITTED) == job

    async def test_an_event_that_cannot_happen_changes_nothing(self, world: World) -> None:
        ledger = world.open("a")
        job = await walk(ledger, intent(), *PATHS[JobState.FAILED])
        for event in (Intended(intent=intent()), Stored(artifacts=(CLIP,)), InDoubt()):
            with pytest.raises(IllegalEvent):
                await ledger.record(job.intent.external_task_id, event)
        assert list(await ledger.jobs("monsoon.yaml")) == [job]

    async def test_an_unknown_id_is_an_error(self, world: World) -> None:
        with pytest.raises(LedgerError):
            await world.open("a").record(ExternalTaskId("nobody"), SUBMITTED)

    async def test_words_and_artifacts_are_kept_as_they_came(self, world: World) -> None:
        ledger = world.open("a")
        await walk(ledger, intent("A"), SUBMITTED, Failed(words="Sensitive content \u202e<b> \0"))
        await walk(ledger, intent("B"), InDoubt(words="<html>"), SUBMITTED)
        await walk(ledger, intent("C"), *PATHS[JobState.STORED])
        refused, adopted, stored = await world.open("b").jobs("monsoon.yaml")
        assert refused.error == "Sensitive content \u202e<b> \0"
        assert (adopted.error, adopted.job_id) == ("", "job-1")
        assert (stored.artifacts, stored.charged, stored.job_id) == ((CLIP,), D(140), "job-1")
        assert [clip.media and clip.media.measured for clip in stored.artifacts] == [CLIP.media and CLIP.media.measured]

    async def test_jobs_are_the_latest_attempts_by_shot_and_take(self, world: World) -> None:
        ledger = world.open("a")
        for name, take, attempt in (("B", 1, 1), ("A", 10, 1), ("A", 2, 1), ("A", 2, 3), ("A", 2, 2), ("a", 1, 1)):
            await walk(ledger, intent(name, take=take, attempt=attempt), Refused(words="no"))
        await walk(ledger, intent("A", manifest="other.yaml"))
        found = [(job.intent.key.shot, job.intent.key.take, job.intent.attempt) for job in await ledger.jobs("monsoon.yaml")]
        assert found == [("A", 2, 3), ("A", 10, 1), ("B", 1, 1), ("a", 1, 1)]

    async def test_a_stored_clip_of_this_very_request_holds_the_take_and_another_request_does_not(self, world: World) -> None:
        job = await walk(world.open("a"), intent(), *PATHS[JobState.STORED])
        assert await world.open("b").admit(intent(attempt=2), FREE) == Held(job=job)
        other = replace(intent(attempt=3), fingerprint=Fingerprint("sha256:" + "1" * 64))
        assert isinstance(await world.open("b").admit(other, FREE), Admitted)

    async def test_a_job_that_the_gateway_has_is_adopted_whatever_the_limits_and_once(self, world: World) -> None:
        ledger = world.open("a")
        await ledger.throttled(intent("ANY").external_task_id, 100)
        job = await ledger.adopt(intent(body=b""), JobId("job-7"))
        assert (job.state, job.job_id, job.intent.reserved) == (JobState.SUBMITTED, "job-7", PRICE)
        assert await ledger.adopt(intent(body=b""), JobId("job-7")) == job
        world.now += 200
        assert isinstance(await ledger.admit(intent(attempt=2), FREE), Held)

    @pytest.mark.parametrize("state", sorted(UNFINISHED - {JobState.INTENDED}))
    async def test_adopting_what_is_known_changes_nothing(self, world: World, state: JobState) -> None:
        job = await walk(world.open("a"), intent(), *PATHS[state])
        assert await world.open("b").adopt(intent(attempt=2), JobId("job-9")) == job
