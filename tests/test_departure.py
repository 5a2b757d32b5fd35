"""The last moment before a submission leaves: in its slot or in another one, and not at all once the run was stopped. In
virtual time, against a gateway that keeps a list of what arrived when."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, cast

import anyio
import pytest
import trio

from manifest_runner.core import pace
from manifest_runner.core.lifecycle import Event, Refused
from manifest_runner.core.model import Intent, Job, JobDocument, JobId, JobState, Rate
from manifest_runner.core.modelcard import ModelCard, override
from manifest_runner.engine import Options, Outside
from manifest_runner.engine.submission import Submissions
from manifest_runner.errors import LedgerError, ManifestRunnerError
from manifest_runner.ports import Admission, Admitted, Departure, SpendingLimits
from tests.builders import CARD
from tests.contract.ledger_contract import intent
from tests.core.test_pace import busiest_window
from tests.fake_ledger import Books, InMemoryLedger
from tests.test_looking import Virtual, run

CORRELATES = override(CARD, {"external_task_id": "correlates"})


@dataclass
class Gateway:
    """`ports.Provider` that takes everything. `connecting` seconds pass before a connection stands, `stalled` between the last
    look at the clock and the last byte; each is asked with the number of the submission."""

    connecting: Callable[[int], float] = lambda _: 0.0
    stalled: Callable[[int], float] = lambda _: 0.0
    answering: float = 0.05
    held: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    connected: anyio.Event = field(default_factory=anyio.Event)
    asked: int = 0

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        assert departure is not None
        number, self.asked = self.asked, self.asked + 1
        await anyio.sleep(self.connecting(number))
        self.connected.set()
        connected = trio.current_time()
        await departure.leave()
        self.held.append(trio.current_time() - connected)
        with anyio.CancelScope(shield=True):  # a process that stands still is not cancelled either
            await anyio.sleep(self.stalled(number))
        self.arrived.append(trio.current_time())
        await departure.left()
        await anyio.sleep(self.answering)
        return JobDocument(job_id=JobId(f"job-{number}"), status="queued")

    async def job(self, job_id: JobId) -> JobDocument:
        raise AssertionError("nothing is asked here")


class SlowLedger(InMemoryLedger):
    """A ledger on a slow disk: each commit takes `commit` seconds, and telling of a late departure those that are in `tells`,
    while there are any. `told` counts these. What was admitted may leave for `lease` seconds."""

    commit = 0.0
    lease = inf
    tells: tuple[float, ...] = ()
    told = 0

    async def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        admission = await super().admit(intent, limits)
        await self._sync(self.commit)
        if isinstance(admission, Admitted) and admission.slot is not None:
            return replace(admission, slot=replace(admission.slot, expires=self._wall() + self.lease))
        return admission

    async def late(self, slot: pace.Slot, left: float) -> None:
        self.told += 1
        seconds, self.tells = (self.tells[0], self.tells[1:]) if self.tells else (self.commit, ())
        await super().late(slot, left)
        await self._sync(seconds)

    async def _sync(self, seconds: float) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)


@dataclass
class Process:
    """One run with its own way out; processes that share `books` share a ledger."""

    gateway: Gateway
    books: Books
    name: str = "a"
    rate: Rate | None = None
    card: ModelCard = CARD
    halt: ManifestRunnerError | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Virtual(seed=len(self.name))
        self.ledger = SlowLedger(wall=self.clock.wall, run=self.name, books=self.books)
        outside = Outside(provider=self.gateway, ledger=self.ledger, clock=self.clock, **dict.fromkeys(
            ("store", "media", "downloads", "frames", "files", "lock", "rescue"), cast("Any", None)))
        self.submissions = Submissions(self.card, outside, Options(limits=SpendingLimits(rate=self.rate)),
                                       lambda: self.halt is not None, self._stop, lambda _key, _what: None)

    def _stop(self, cause: ManifestRunnerError) -> None:
        self.halt = cause

    async def submit(self, take: int = 1) -> Job | None:
        wanted = intent(self.name, take=take)
        return await self.submissions.submit(wanted, take, lambda event, _job: self.events.append(event))

    @property
    def states(self) -> list[JobState]:
        return [entry.job.state for entry in self.books.entries.values()]


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_however_late_first_requests_and_busy_processes_are_no_window_holds_more_than_the_rate(count: int) -> None:
    chance, rate = random.Random(count), Rate(count=count, per=1)
    late = [chance.choice([0.0, 0.0, 0.003, 0.05, 0.2, 0.4]) for _ in range(997)]
    books = Books()
    # the first eight are the first requests of a process each: connecting takes longer than a slot is given out ahead
    gateway = Gateway(connecting=lambda number: 0.3 if number < 8 else 0.0, stalled=lambda number: late[number])
    processes = [Process(gateway, books, name=name, rate=rate) for name in "abcdefgh"]

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for process in processes:
                for take in range(12):
                    tasks.start_soon(process.submit, take + 1)

    run(main)
    assert len(gateway.arrived) == 96
    assert set(processes[0].states) == {JobState.SUBMITTED}
    assert busiest_window(gateway.arrived, 1) <= count


def test_a_slot_that_passed_while_the_machine_slept_is_not_used_another_one_is() -> None:
    gateway, books = Gateway(), Books()
    process, other = (Process(gateway, books, name=name, rate=Rate(count=30, per=60)) for name in ("a", "b"))

    def sleep_once(number: int) -> float:
        process.clock.asleep += 3600.0 * (number == 0)  # the clocks of both, in truth: here it is enough that its slot is gone
        return 0.0

    gateway.connecting = sleep_once

    async def main() -> None:
        assert (await process.submit()) is not None
        assert gateway.asked == 2
        assert len(gateway.arrived) == 1
        assert process.states == [JobState.SUBMITTED]
        other.clock.asleep = process.clock.asleep
        await other.submit()

    run(main)
    assert gateway.arrived[1] - gateway.arrived[0] > 1.5, "the slot that was used is the one that counts"


@pytest.mark.parametrize("rate", [None, Rate(count=30, per=60)])
def test_after_its_lease_is_over_nothing_leaves_however_often_that_happens(rate: Rate | None) -> None:
    """Somebody else may have taken it up by then. Connecting takes longer than the lease six times, the seventh it does not."""
    gateway = Gateway(connecting=lambda number: 40.0 if number < 6 else 0.0)
    process = Process(gateway, Books(), rate=rate)
    process.ledger.lease = 30.0

    async def main() -> None:
        assert (await process.submit()) is not None

    run(main)
    assert gateway.asked == 7
    assert len(gateway.arrived) == 1
    assert gateway.arrived[0] >= 6 * 40
    assert process.states == [JobState.SUBMITTED]


@pytest.mark.parametrize("connecting", [0.0, 0.05, 0.15, 0.6])
@pytest.mark.parametrize("commit", [0.01, 0.02, 0.3, 0.7, 3.0])
def test_on_a_disk_as_slow_as_it_may_be_everything_leaves_and_little_is_told(commit: float, connecting: float) -> None:
    gateway, books, count = Gateway(connecting=lambda _: connecting), Books(), 30
    process = Process(gateway, books, rate=Rate(count=5, per=1))
    process.ledger.commit = commit

    async def main() -> None:
        with anyio.move_on_after(4 * count * (0.3 + commit)):
            async with anyio.create_task_group() as tasks:
                for take in range(count):
                    tasks.start_soon(process.submit, take + 1)

    run(main)
    assert len(gateway.arrived) == count
    assert process.ledger.told <= 2 * count
    if commit < 0.5 and connecting < 0.5:
        assert gateway.asked == count, "no connection was closed in vain"
        assert busiest_window(gateway.arrived, 1) <= 5


def test_for_a_slot_that_passed_while_the_intent_was_recorded_no_connection_is_opened() -> None:
    gateway = Gateway()
    process = Process(gateway, Books(), rate=Rate(count=5, per=1))
    process.ledger.commit = 0.9  # a slot of this rate lapses after half a second

    async def main() -> None:
        with anyio.move_on_after(30):
            await process.submit()

    run(main)
    assert (gateway.asked, len(gateway.arrived)) == (1, 1)


@pytest.mark.parametrize("card", [CARD, CORRELATES])
@pytest.mark.parametrize("seconds", [5.0, 29.0])
def test_a_connection_that_was_held_while_the_ledger_was_busy_is_not_sent_on(seconds: float, card: ModelCard) -> None:
    gateway = Gateway(connecting=lambda _: 0.7)
    process = Process(gateway, Books(), rate=Rate(count=30, per=60), card=card)
    process.ledger.tells = (seconds,)
    run(process.submit)
    assert process.states == [JobState.SUBMITTED]
    assert gateway.asked == 2
    assert max(gateway.held) < 1.5, "servers close a connection that idles for seconds"


def test_what_could_not_be_told_before_is_told_afterwards() -> None:
    gateway = Gateway(connecting=lambda _: 0.5)
    process = Process(gateway, Books(), rate=Rate(count=5, per=1))
    heard: list[float] = []

    async def late(_slot: pace.Slot, left: float) -> None:
        heard.append(left - process.clock.wall())
        if len(heard) == 1:
            raise LedgerError("busy")

    process.ledger.late = late  # type: ignore[method-assign]
    run(process.submit)
    assert len(gateway.arrived) == 1
    assert heard == [pytest.approx(pace.GRACE, abs=1e-3), pytest.approx(0, abs=1e-3)]


@pytest.mark.parametrize("card", [CARD, CORRELATES])
def test_told_to_stop_while_it_waits_for_its_slot_it_sends_nothing_and_holds_nothing(card: ModelCard) -> None:
    gateway, books = Gateway(), Books()
    process = Process(gateway, books, rate=Rate(count=1, per=1), card=card)

    async def main() -> None:
        await process.submit(1)
        async with anyio.create_task_group() as tasks:
            gateway.connected = anyio.Event()
            tasks.start_soon(process.submit, 2)
            await gateway.connected.wait()
            assert process.states == [JobState.SUBMITTED, JobState.INTENDED], "it is durable, and waits with its connection"
            process.halt = LedgerError("somebody found out that nothing more may leave")
        assert process.ledger.day_spending() == intent().reserved, "only the first one's"

    run(main)
    assert len(gateway.arrived) == 1
    assert process.states == [JobState.SUBMITTED, JobState.REFUSED]
    assert isinstance(process.events[-1], Refused)


@pytest.mark.parametrize("card", [CARD, CORRELATES])
@pytest.mark.parametrize("phase", ["connecting", "waiting", "asking again"])
def test_stopped_by_a_signal_before_anything_left_it_takes_the_intent_back(card: ModelCard, phase: str) -> None:
    gateway, books = Gateway(connecting=lambda _: 9.0 if phase == "connecting" else 0.0), Books()
    process = Process(gateway, books, rate=Rate(count=1, per=1), card=card)

    async def main() -> None:
        if phase != "connecting":
            await process.submit(1)
        if phase == "asking again":  # its slot lapses, and it waits for the next one
            gateway.connecting = lambda _: 0.7
        with trio.CancelScope(deadline=1.8 if phase == "asking again" else 1.0):
            await process.submit(2)

    run(main)
    assert len(gateway.arrived) == (phase != "connecting")
    assert process.states[-1] is JobState.REFUSED


@pytest.mark.parametrize("card", [CARD, CORRELATES])
def test_stopped_by_a_signal_after_it_left_the_answer_is_heard(card: ModelCard) -> None:
    gateway, books = Gateway(answering=5.0), Books()
    process = Process(gateway, books, card=card)

    async def main() -> None:
        with anyio.move_on_after(1.0):
            await process.submit()
        assert trio.current_time() >= 5

    run(main)
    assert process.states == [JobState.SUBMITTED]


def test_what_another_run_may_have_sent_is_never_taken_back() -> None:
    gateway, books = Gateway(connecting=lambda _: 9.0), Books()
    gone, process = (Process(gateway, books, name=name) for name in ("a", "b"))

    async def main() -> None:
        wanted = intent("a")
        await gone.ledger.admit(wanted, SpendingLimits())
        gone.ledger.close()
        with anyio.move_on_after(1.0):
            await process.submissions.submit(wanted, 1, lambda _event, _job: None, recorded=True)

    run(main)
    assert gateway.asked == 1
    assert process.states == [JobState.INTENDED]
