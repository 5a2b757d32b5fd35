"""When a run looks at its jobs: in virtual time, against a gateway that keeps a list of who asked when."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from statistics import mean, median
from typing import Any, cast

import anyio
import pytest
import trio
import trio.testing
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.model import Job, JobDocument, JobId, JobState
from manifest_runner.core.polling import PollPolicy
from manifest_runner.core.timetable import FRUITLESS
from manifest_runner.engine import Outside
from manifest_runner.engine.following import Following, Landing, record
from manifest_runner.engine.looking import GRACE, WORKERS, Paced
from manifest_runner.errors import JobNotFound, NotSent, Throttled
from manifest_runner.ports import Departure, SpendingLimits
from tests.builders import CARD
from tests.contract.ledger_contract import SUBMITTED, intent
from tests.fake_ledger import Books, InMemoryLedger

POLICY = PollPolicy()


class Virtual:
    """Trio's own time, which jumps as soon as everybody sleeps. `asleep` is what a machine that slept adds to the clock."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.asleep = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return trio.current_time() + self.asleep

    def wall(self) -> float:
        return 1_800_000_000.0 + self.monotonic()

    def jitter(self) -> float:
        return self.chance.random()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))
        if self.naps and seconds > 1:
            self.asleep += self.naps.pop()


@dataclass
class Gateway:
    """`ports.Provider` for jobs that end at a time of their own."""

    clock: Virtual
    ends: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    trouble: Callable[[str, float], Exception | None] = lambda _job, _now: None

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        raise AssertionError("nothing is submitted here")

    async def job(self, job_id: JobId) -> JobDocument:
        now = trio.current_time()
        self.asked.append((job_id, now))
        await anyio.sleep(0.05)
        trouble = self.trouble(job_id, now)
        if trouble is not None:
            raise trouble
        over = now >= self.ends[job_id]
        return JobDocument(job_id=job_id, status="succeeded" if over else "processing",
                           credits_charged=Decimal(145) if over else None)

    def looks(self, job_id: str) -> list[float]:
        return [at for job, at in self.asked if job == job_id]

    def most_in_a_second(self) -> int:
        times = sorted(at for _, at in self.asked)
        most = first = 0
        for last, at in enumerate(times):
            while times[first] <= at - 1:
                first += 1
            most = max(most, last - first + 1)
        return most


@dataclass
class World:
    """Some jobs, those who follow them, and what the ledger heard."""

    seed: int = 1
    policy: PollPolicy = POLICY
    done: dict[str, tuple[float, Job]] = field(default_factory=dict)
    tasks: TaskGroup = field(init=False)
    news: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.clock = Virtual(self.seed)
        self.gateway = Gateway(self.clock)
        self.paced = Paced(self.gateway, self.clock, self.policy.rate)
        self.books = Books()
        self.ledger = InMemoryLedger(wall=lambda: 1_800_000_000.0, books=self.books)
        self.outside = Outside(provider=self.paced, ledger=self.ledger, clock=self.clock, **dict.fromkeys(
            ("store", "media", "downloads", "frames", "files", "lock", "rescue"), cast("Any", None)))
        self.looks: Following[None] = Following(CARD, self.outside, self.policy, self.paced, self.tell, self.landed)

    async def start(self, name: str, lasts: float, *, fresh: bool = True) -> Job:
        """A job that the gateway has just taken and that lasts so long."""
        wanted = intent(name)
        await self.ledger.admit(wanted, SpendingLimits())
        job = await self.ledger.record(wanted.external_task_id, replace(SUBMITTED, job_id=JobId(name)))
        self.gateway.ends[name] = trio.current_time() + lasts
        if fresh:
            self.looks.accepted(wanted.external_task_id)
        return job

    def follow(self, job: Job) -> None:
        self.looks.follow(job, None)

    def tell(self, _event: object, _job: Job) -> None: ...

    def landed(self, landing: Landing[None]) -> None:
        self.tasks.start_soon(self.land, landing)

    async def land(self, landing: Landing[None]) -> None:
        assert landing.error is None
        job = landing.flight.job
        if landing.event is not None:
            job = await record(job, landing.event, self.outside, self.tell)
        self.done[str(job.job_id)] = (trio.current_time(), job)
        self.news.set()
        self.news = anyio.Event()

    def delay(self, name: str) -> float:
        return self.done[name][0] - self.gateway.ends[name]

    def taught(self, *lengths: float) -> None:
        """What earlier runs have seen."""
        self.looks.remember((intent().request, seconds) for seconds in lengths)


def run(main: Callable[[], Any]) -> None:
    """Run in virtual time, which jumps from one wake-up to the next."""
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def followed(world: World, *jobs: Job) -> AsyncIterator[None]:
    """Everything in the block happens while these jobs are followed; afterwards they are followed to their end."""
    async with anyio.create_task_group() as looking:
        looking.start_soon(world.looks.run)
        async with anyio.create_task_group() as world.tasks:
            for job in jobs:
                world.follow(job)
            yield
            while {str(job.job_id) for job in jobs} - set(world.done):
                await world.news.wait()
        looking.cancel_scope.cancel()


# ── by schedule ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_run_sees_its_first_jobs_do_tells_when_to_look_at_the_next(world: World) -> None:
    async def main() -> None:
        for number in range(60):
            async with followed(world, await world.start(f"J{number}", 100 + number % 20)):
                pass
        first, late = (mean(len(world.gateway.looks(f"J{number}")) for number in some) for some in (range(2), range(40, 60)))
        assert first > 10
        assert late < 5.5
        assert max(world.delay(f"J{number}") for number in range(60)) < 12
        assert mean(world.delay(f"J{number}") for number in range(40, 60)) < POLICY.narrow

    run(main)


def test_what_earlier_runs_saw_counts_from_the_first_job_on(world: World) -> None:
    async def main() -> None:
        world.taught(*range(100, 120))
        async with followed(world, await world.start("A", 118)):
            pass
        assert world.gateway.looks("A")[0] > 95
        assert len(world.gateway.looks("A")) <= 7
        assert world.delay("A") < 1.2 * POLICY.narrow

    run(main)


def test_the_ledger_is_told_how_long_the_provider_took_where_the_beginning_is_known(world: World) -> None:
    async def main() -> None:
        async with followed(world, await world.start("A", 100), await world.start("B", 100, fresh=False)):
            pass
        assert [round(seconds / 10) for _, seconds in await world.ledger.durations()] == [10]

    run(main)


def test_a_job_of_an_earlier_run_is_asked_about_at_once(world: World) -> None:
    async def main() -> None:
        world.taught(*[100.0] * 20)
        async with followed(world, await world.start("A", 0, fresh=False)):
            pass
        assert world.done["A"][0] <= POLICY.every + 0.1

    run(main)


# ── the pace ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hundreds_of_resumed_jobs_do_not_burst_and_later_looks_keep_the_pace_too() -> None:
    world = World(policy=PollPolicy(rate=10.0))

    async def main() -> None:
        async with followed(world, *[await world.start(f"J{number}", 150, fresh=False) for number in range(150)]):
            pass
        assert world.gateway.most_in_a_second() <= 11
        assert max(world.delay(f"J{number}") for number in range(150)) < 2 * 150 / 10 + 10

    run(main)


def test_a_429_stops_all_looks_for_as_long_as_it_says_and_makes_them_slower(world: World) -> None:
    def trouble(job: str, now: float) -> Exception | None:
        return Throttled("slow down", retry_after=30.0) if 20 < now < 21 else None

    async def main() -> None:
        world.gateway.trouble = trouble
        async with followed(world, *[await world.start(f"J{number}", 120, fresh=False) for number in range(300)]):
            pass
        times = sorted(at for _, at in world.gateway.asked)
        told = next(at for at in times if at > 20)
        assert not [at for at in times if told + 0.2 < at < told + 30], "nothing while it lasts"
        again = [at for at in times if told + 30 <= at < told + 40]
        assert 0.4 * POLICY.rate < len(again) <= POLICY.rate + 5, "a tenth of the fastest pace, for ten seconds"
        assert {job.state for _, job in world.done.values()} == {JobState.SUCCEEDED}

    run(main)


def test_under_a_limit_that_it_does_not_know_it_finds_a_pace_that_is_seldom_refused(world: World) -> None:
    recent: list[float] = []
    refused: list[float] = []

    def trouble(job: str, now: float) -> Exception | None:
        recent[:] = [at for at in recent if at > now - 1]
        if len(recent) >= 5:
            refused.append(now)
            return Throttled("slow down", retry_after=1.0)
        recent.append(now)
        return None

    async def main() -> None:
        world.gateway.trouble = trouble
        async with followed(world, *[await world.start(f"J{number}", 200 + number) for number in range(50)]):
            pass
        assert len(refused) < 0.1 * len(world.gateway.asked)
        assert {job.state for _, job in world.done.values()} == {JobState.SUCCEEDED}

    run(main)


# ── patience ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_that_never_ends_is_left_to_a_later_run_after_the_patience(world: World) -> None:
    async def main() -> None:
        async with followed(world, await world.start("A", 1e9)):
            pass
        at, job = world.done["A"]
        assert POLICY.patience < at < POLICY.patience + 60
        assert job.state is JobState.RUNNING
        assert len(world.gateway.asked) < POLICY.patience / 12

    run(main)


def test_a_laptop_that_sleeps_for_hours_fails_no_job_and_costs_no_patience(world: World) -> None:
    async def main() -> None:
        world.clock.naps = [8 * 3600.0, 30 * 3600.0]
        async with followed(world, await world.start("A", 300)):
            pass
        assert world.done["A"][1].state is JobState.SUCCEEDED
        assert not [seconds for _, seconds in await world.ledger.durations() if seconds > 400], "and teaches no nonsense"

    run(main)


def test_a_gateway_that_is_away_costs_patience_and_no_job(world: World) -> None:
    async def main() -> None:
        world.gateway.trouble = lambda _job, _now: NotSent("away")
        async with followed(world, await world.start("A", 10)):
            pass
        at, job = world.done["A"]
        assert POLICY.patience < at < POLICY.patience + 2 * GRACE
        assert job.state is JobState.SUBMITTED

    run(main)


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_hint_brings_the_look_forward_and_the_look_decides(world: World) -> None:
    async def main() -> None:
        world.taught(*[100.0] * 20)
        async with followed(world, await world.start("A", 50)):
            await anyio.sleep(51)
            world.looks.hint(JobId("A"))
        assert world.delay("A") < 1.5
        assert len(world.gateway.looks("A")) == 1
        assert [seconds for _, seconds in await world.ledger.durations()] == [pytest.approx(51, abs=0.1)]

    run(main)


def test_a_hint_that_is_not_true_ends_nothing(world: World) -> None:
    async def main() -> None:
        async with followed(world, await world.start("A", 200)):
            await anyio.sleep(1)
            world.looks.hint(JobId("A"))
            await anyio.sleep(1)
            assert world.gateway.looks("A") == [pytest.approx(1, abs=0.1)]
            assert not world.done
        assert world.delay("A") < 16

    run(main)


def test_hints_about_jobs_that_nobody_follows_ask_nothing(world: World) -> None:
    async def main() -> None:
        world.looks.hint(JobId("job_of_a_stranger"))
        async with followed(world, await world.start("A", 3)):
            pass
        asked = len(world.gateway.asked)
        world.looks.hint(JobId("A"))
        await anyio.sleep(100)
        assert len(world.gateway.asked) == asked

    run(main)


def test_a_flood_of_hints_costs_three_looks_a_job_and_none_sooner_than_the_narrowest_wait() -> None:
    async def looks(flood: bool) -> tuple[int, float]:
        world = World()
        world.taught(*[120.0] * 20)
        jobs = [await world.start(f"J{number}", 125) for number in range(5)]
        async with followed(world, *jobs):
            while flood and len(world.done) < 5:
                for job in jobs:
                    world.looks.hint(cast("JobId", job.job_id))
                await anyio.sleep(0.05)
        nearest = min(later - earlier for job in jobs
                      for earlier, later in pairwise([0.0, *world.gateway.looks(str(job.job_id)), 1e9]) if earlier)
        return len(world.gateway.asked), nearest

    async def main() -> None:
        quiet, _ = await looks(flood=False)
        flooded, nearest = await looks(flood=True)
        assert flooded <= quiet + 5 * (2 * FRUITLESS)
        assert nearest >= 0.9 * POLICY.narrow

    run(main)


def test_once_webhooks_have_come_looks_become_a_safety_net_and_are_looks_again_when_one_stays_out(world: World) -> None:
    async def main() -> None:
        world.taught(*[30.0] * 20)
        async with followed(world, await world.start("A", 40)):
            await anyio.sleep(41)
            world.looks.hint(JobId("A"))
        assert world.looks.table.relied
        async with followed(world, await world.start("B", 200)):
            await anyio.sleep(201)
            world.looks.hint(JobId("B"))
        assert len(world.gateway.looks("B")) <= 1 + 200 / (0.9 * POLICY.net)
        assert world.delay("B") < 1.5
        async with followed(world, await world.start("C", 100)):
            pass
        assert world.delay("C") <= 1.1 * POLICY.net + 0.1, "the webhook stayed out: the net holds"
        assert not world.looks.table.relied
        async with followed(world, await world.start("D", 100)):
            pass
        assert world.delay("D") < 20

    run(main)


def test_hints_of_running_jobs_prove_nothing(world: World) -> None:
    async def main() -> None:
        async with followed(world, await world.start("A", 200)):
            await anyio.sleep(10)
            world.looks.hint(JobId("A"))
            await anyio.sleep(10)
            assert not world.looks.table.relied

    run(main)


# ── the same events ───────────────────────────────────────────────────────────────────────────────────────────────


ORDERS = st.lists(st.tuples(st.sampled_from("ABCX"), st.floats(0, 60)), max_size=30)
ENDS = st.tuples(*[st.tuples(st.floats(0, 100), st.sampled_from(["succeeded", "failed", "gone"])) for _ in "ABC"])


@settings(max_examples=25, deadline=None)
@given(ORDERS, ENDS, st.sets(st.sampled_from("ABC")), st.integers(0, 9))
def test_whatever_hints_come_in_whatever_order_the_ledger_ends_the_same(
        hints: list[tuple[str, float]], ends: Any, resumed: set[str], seed: int) -> None:
    def outcome(hints: list[tuple[str, float]], resumed: set[str]) -> dict[str, Any]:
        world = World(seed=seed)
        fates = dict(zip("ABC", (fate for _, fate in ends), strict=True))

        def trouble(job: str, now: float) -> Exception | None:
            return JobNotFound("gone") if fates[job] == "gone" else None

        real = world.gateway.job

        async def job(job_id: JobId) -> JobDocument:
            document = await real(job_id)
            if document.status == "succeeded" and fates[job_id] == "failed":
                return replace(document, status="failed", credits_charged=None, error="no")
            return document

        world.gateway.trouble, world.gateway.job = trouble, job  # type: ignore[method-assign]

        async def main() -> None:
            jobs = [await world.start(name, lasts, fresh=name not in resumed)
                    for name, (lasts, _) in zip("ABC", ends, strict=True)]
            async with followed(world, *jobs):
                for name, wait in hints:
                    await anyio.sleep(wait)
                    world.looks.hint(JobId(name))

        run(main)
        kinds = Counter((task, type(event).__name__) for task, event in world.books.events)
        return {
            "jobs": {task: entry.job for task, entry in world.books.entries.items()},
            "ends": {key: count for key, count in kinds.items() if key[1] != "Progressed"},
        }

    # `Progressed` tells when somebody looked, and nothing else hangs on it.
    assert outcome(hints, resumed) == outcome([], set())


def test_a_job_that_the_gateway_cannot_tell_about_slows_no_other(world: World) -> None:
    jobs: list[Job] = []

    async def main() -> None:
        jobs.extend([await world.start(f"j{number}", 60.0 + number % 30) for number in range(100)])
        world.gateway.trouble = lambda job, _now: Throttled("500", retry_after=None, status=500) if job == "j0" else None
        async with followed(world, *jobs):
            pass

    run(main)
    assert median(world.delay(f"j{number}") for number in range(1, 100)) < 8


# ── many at once ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_jobs_that_only_take_their_time_need_no_task_and_little_memory(world: World) -> None:
    async def main() -> None:
        jobs = [await world.start(f"J{number}", 300) for number in range(1000)]
        async with anyio.create_task_group() as looking:
            looking.start_soon(world.looks.run)
            await anyio.wait_all_tasks_blocked()
            tasks = trio.lowlevel.current_statistics().tasks_living
            tracemalloc.start()
            for job in jobs:
                world.follow(job)
            held = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            await anyio.sleep(40)
            assert len(world.gateway.asked) > 500
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            assert held / 1000 < 1024
            looking.cancel_scope.cancel()

    run(main)


def test_a_slow_gateway_is_asked_no_more_at_a_time_than_there_are_workers(world: World) -> None:
    most = under_way = 0
    ask = world.gateway.job

    async def slowly(job_id: JobId) -> JobDocument:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(20)
        under_way -= 1
        return await ask(job_id)

    async def main() -> None:
        world.gateway.job = slowly  # type: ignore[method-assign]
        async with followed(world, *[await world.start(f"J{number}", 100, fresh=False) for number in range(100)]):
            pass
        assert most == WORKERS
        assert {job.state for _, job in world.done.values()} == {JobState.SUCCEEDED}

    run(main)
