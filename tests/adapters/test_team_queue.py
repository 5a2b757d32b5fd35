"""The queue of orders on a real PostgreSQL, through the least privileged role: who gets what, and what becomes of it."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio
import psycopg
import pytest
from procrastinate.manager import JobManager

from manifest_runner.adapters import team_link, team_worker
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_queue import TeamQueue
from manifest_runner.adapters.team_worker import Answer, TeamWorker
from manifest_runner.core.orders import InQueue, Order
from manifest_runner.errors import LedgerError
from tests.core.test_orders import order
from tests.postgres import Server, server
from tests.proxy import Fate, Proxy

CarryOut = Callable[[Mapping[str, Any]], Awaitable[Answer]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LOOK": 0.05, "BEAT": 0.2, "_FIRST_PAUSE": 0, "_AGAIN": 0.1}.items():
        monkeypatch.setattr(team_worker, name, seconds)


@pytest.fixture
def account() -> str:
    return os.urandom(8).hex()


def orders(account: str, count: int) -> list[Order]:
    return [order(repository=account, shots=(f"S{number}",)) for number in range(count)]


def queued(database: Server, account: str, count: int) -> list[Order]:
    with TeamQueue(database.address()) as queue:
        return queue.add(orders(account, count), account)


def standing(database: Server, account: str) -> InQueue:
    with TeamQueue(database.address()) as queue:
        return queue.standing(account, "show.yaml")


def worker(database: Server, account: str, carry_out: CarryOut, say: Callable[[str], None] = lambda _: None,
           address: TeamAddress | None = None, at_once: int = 2) -> TeamWorker:
    return TeamWorker(address or database.address(), account=account, at_once=at_once, say=say,
                      carry_out=lambda data, _: carry_out(data))


def drain(database: Server, account: str, carry_out: CarryOut) -> None:
    async def main() -> None:
        with anyio.fail_after(30):
            await worker(database, account, carry_out).work(until_idle=True, patience=1)

    anyio.run(main)


def test_what_waits_is_not_queued_twice_and_what_is_over_may_be(database: Server, account: str) -> None:
    assert len(queued(database, account, 3)) == 3
    assert [new.shots for new in queued(database, account, 4)] == [("S3",)]
    assert len(standing(database, account).waiting) == 4
    seen: list[tuple[str, ...]] = []

    async def carry_out(data: Mapping[str, Any]) -> Answer:
        seen.append(Order.from_dict(dict(data)).shots)
        return Answer.OVER

    drain(database, account, carry_out)
    assert sorted(seen) == [("S0",), ("S1",), ("S2",), ("S3",)]
    assert standing(database, account) == InQueue()
    assert len(queued(database, account, 1)) == 1


def test_orders_of_another_account_or_manifest_are_nobody_s_business(database: Server, account: str) -> None:
    queued(database, account, 2)

    async def carry_out(_: Mapping[str, Any]) -> Answer:
        raise AssertionError

    drain(database, "another", carry_out)
    with TeamQueue(database.address()) as queue:
        assert queue.standing(account, "other.yaml") == queue.standing("other", "show.yaml") == InQueue()
    assert len(standing(database, account).waiting) == 2


def test_what_something_outside_kept_is_tried_again_and_at_last_given_up(database: Server, account: str) -> None:
    queued(database, account, 2)
    tries: dict[str, int] = {"S0": 0, "S1": 0}
    last: list[bool] = []

    async def carry_out(data: Mapping[str, Any], is_last: bool) -> Answer:
        shot = data["shots"][0]
        tries[shot] += 1
        if shot == "S0":
            last.append(is_last)
        if shot == "S1" and tries[shot] == 2:
            raise RuntimeError("a fault")
        return Answer.OVER if (shot, tries[shot]) == ("S1", 3) else Answer.LATER

    async def main() -> None:
        one = TeamWorker(database.address(), account=account, at_once=2, carry_out=carry_out, say=lambda _: None)
        await one.work(until_idle=True, patience=1)

    anyio.run(main)
    assert last == [False] * (team_worker.TRIES - 1) + [True], "whoever carries it out can say that it was the last"
    assert tries == {"S0": team_worker.TRIES, "S1": 3}
    assert standing(database, account) == InQueue(failed=(("S0",),))


def test_what_cannot_be_carried_out_is_not_tried_again(database: Server, account: str) -> None:
    queued(database, account, 1)
    seen: list[Mapping[str, Any]] = []

    async def carry_out(data: Mapping[str, Any]) -> Answer:
        seen.append(data)
        return Answer.FAILED

    drain(database, account, carry_out)
    assert len(seen) == 1
    assert standing(database, account).failed == (("S0",),)
    assert len(queued(database, account, 1)) == 1, "it may be ordered again"


def test_a_worker_that_stops_gives_back_what_it_has_and_takes_no_more(database: Server, account: str) -> None:
    queued(database, account, 3)
    taken: list[str] = []

    async def main() -> None:
        async def carry_out(data: Mapping[str, Any]) -> Answer:
            taken.append(data["shots"][0])
            one.stop()
            return Answer.BACK

        one = worker(database, account, carry_out, at_once=1)
        with anyio.fail_after(30):
            await one.work(until_idle=False, patience=1)

    anyio.run(main)
    assert taken == ["S0"]
    assert len(standing(database, account).waiting) == 3


def test_shots_that_are_in_hand_are_in_no_other_hands(database: Server, account: str) -> None:
    queued(database, account, 1)
    hands, most, seen = 0, 0, 0

    async def carry_out(_: Mapping[str, Any]) -> Answer:
        nonlocal hands, most, seen
        hands, seen = hands + 1, seen + 1
        most = max(most, hands)
        if seen == 1:  # the same again, while it is in hand
            with psycopg.connect(database.url("owner"), autocommit=True) as connection:
                connection.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args) SELECT queue_name, "
                                   "task_name, lock, args FROM procrastinate_jobs WHERE queue_name = %s LIMIT 1", (account,))
            await anyio.sleep(0.5)
        hands -= 1
        return Answer.OVER

    drain(database, account, carry_out)
    assert (seen, most) == (2, 1)


def test_the_orders_of_a_worker_that_is_gone_are_taken_up_and_those_of_one_that_lives_are_not(database: Server,
                                                                                              account: str) -> None:
    queued(database, account, 2)
    with psycopg.connect(database.url("owner"), autocommit=True) as connection:
        for shot, age in (("S0", "31 seconds"), ("S1", "5 seconds")):
            row = connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s::interval) "
                                     "RETURNING id", (age,)).fetchone()
            assert row is not None
            connection.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE queue_name = %s AND "
                               "args -> 'shots' ->> 0 = %s", (row[0], account, shot))
    said, seen = list[str](), list[str]()

    async def main() -> None:
        async def carry_out(data: Mapping[str, Any]) -> Answer:
            seen.append(data["shots"][0])
            return Answer.OVER

        one = worker(database, account, carry_out, said.append)
        with anyio.move_on_after(2) as scope:
            await one.work(until_idle=True, patience=1)
        assert scope.cancelled_caught, "what another one has in hand is waited for"

    anyio.run(main)
    assert seen == ["S0"]
    assert len(said) == 1
    assert said[0].endswith("goes back into the queue: its worker is gone")
    assert standing(database, account).in_hand == (("S1",),)


def test_a_database_that_is_away_is_said_once_and_ends_only_a_worker_that_should_end(database: Server, account: str) -> None:
    nowhere = TeamAddress.of("postgresql://studio@127.0.0.1:9/ledger?connect_timeout=1")
    said: list[str] = []

    async def carry_out(_: Mapping[str, Any]) -> Answer:
        raise AssertionError

    async def main() -> None:
        with anyio.fail_after(60), pytest.raises(LedgerError, match=r"queue at 127\.0\.0\.1:9/ledger is away"):
            await worker(database, account, carry_out, said.append, nowhere).work(until_idle=True, patience=0.15)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_worker, "CONNECT", 0.3)
        anyio.run(main)
    assert len(said) == 1


@pytest.mark.parametrize("is_silent", [False, True], ids=["connections break", "nobody answers"])
def test_a_database_that_goes_away_for_a_while_ends_nothing(
        database: Server, account: str, is_silent: bool, caplog: pytest.LogCaptureFixture) -> None:
    queued(database, account, 3)
    said, seen, heard = list[str](), list[str](), anyio.Event()

    def say(words: str) -> None:
        said.append(words)
        heard.set()

    with Proxy(database.port) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_worker, "CONNECT", 2.0)
        patch.setattr("manifest_runner.adapters.team_queue.PATIENCE", 1.0)
        patch.setattr(team_worker, "SILENCE", 1.0)
        patch.setattr(team_link, "ANSWER", 1.0)

        async def carry_out(data: Mapping[str, Any]) -> Answer:
            seen.append(data["shots"][0])
            if len(seen) == 1 and is_silent:
                proxy.open.clear()
            elif len(seen) == 1:  # while it is in hand
                proxy.fate = lambda _: Fate.LOST
                proxy.cut()
            return Answer.OVER

        async def main() -> None:
            one = worker(database, account, carry_out, say, TeamAddress.of(database.url(port=proxy.port)), at_once=1)
            with anyio.fail_after(60):
                async with anyio.create_task_group() as group:
                    group.start_soon(partial(one.work, until_idle=True, patience=30))
                    await heard.wait()
                    proxy.fate = lambda _: Fate.PASSED
                    proxy.open.set()

        anyio.run(main)
    gc.collect()  # a task that failed unheard is told of when it goes
    assert not [record for record in caplog.records if record.name == "asyncio"], "a traceback"
    assert set(seen) == {"S0", "S1", "S2"}
    assert seen.count("S0") == 2 or is_silent, "that it was over could not be said"
    assert "is away" in said[0]
    assert standing(database, account) == InQueue()


def test_an_order_whose_end_was_lost_with_a_connection_goes_back(database: Server, account: str) -> None:
    queued(database, account, 2)
    said, seen, lost = list[str](), list[str](), list[bytes]()

    def fate(piece: bytes) -> Fate:
        """One end of an order is lost; the pool has another connection at once, and nothing else is noticed."""
        if b"procrastinate_finish_job" in piece and not lost:
            lost.append(piece)
            return Fate.LOST
        return Fate.PASSED

    with Proxy(database.port, fate=fate) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_worker, "ASTRAY", 1.0)

        async def carry_out(data: Mapping[str, Any]) -> Answer:
            seen.append(data["shots"][0])
            return Answer.OVER

        async def main() -> None:
            one = worker(database, account, carry_out, said.append, TeamAddress.of(database.url(port=proxy.port)), at_once=1)
            with anyio.fail_after(30):
                await one.work(until_idle=True, patience=10)

        anyio.run(main)
    assert lost
    assert sorted(seen) == ["S0", "S0", "S1"]
    assert len([words for words in said if "what became of it did not reach the queue" in words]) == 1, said
    assert standing(database, account) == InQueue()


def test_each_time_that_the_database_is_away_is_waited_for_by_itself(database: Server, account: str) -> None:
    queued(database, account, 2)
    said: list[str] = []
    with Proxy(database.port) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_worker, "CONNECT", 2.0)
        patch.setattr(team_worker, "ASTRAY", 0.5)
        patch.setattr(team_worker, "SILENCE", 1.0)
        patch.setattr("manifest_runner.adapters.team_queue.PATIENCE", 1.0)

        async def carry_out(data: Mapping[str, Any]) -> Answer:
            if len(said) < 2:
                await anyio.sleep(3)  # longer than the worker's patience
                proxy.fate = lambda _: Fate.LOST
                proxy.cut()
                asyncio.get_running_loop().call_later(1.0, setattr, proxy, "fate", lambda _: Fate.PASSED)
            return Answer.OVER

        async def main() -> None:
            one = worker(database, account, carry_out, lambda words: said.append(words) if "is away" in words else None,
                         TeamAddress.of(database.url(port=proxy.port)), at_once=1)
            with anyio.fail_after(60):
                await one.work(until_idle=True, patience=2.5)

        anyio.run(main)
    assert len(said) == 2, "each is said"
    assert standing(database, account) == InQueue()


def test_an_order_that_somebody_else_gave_back_first_is_no_failure(database: Server, account: str) -> None:
    queued(database, account, 1)
    said, seen = list[str](), list[str]()

    async def carry_out(data: Mapping[str, Any]) -> Answer:
        seen.append(data["shots"][0])
        await anyio.sleep(0.3)
        return Answer.OVER

    async def already_over(jobs: JobManager, **_: object) -> Any:
        return await jobs.list_jobs_async(queue=account, status="succeeded")

    async def main() -> None:
        one = worker(database, account, carry_out, said.append)
        with anyio.move_on_after(2):
            await one.work(until_idle=False, patience=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobManager, "get_stalled_jobs", already_over)
        anyio.run(main)
    assert (seen, said) == (["S0"], [])


def test_what_was_queued_outlives_a_crash_of_a_database_that_writes_late(account: str) -> None:
    with server() as crashing:  # it confirms commits ten seconds before they are on the disk, but to whoever asks for more
        with crashing.connect() as connection:
            connection.execute("CHECKPOINT")  # the tables are there in any case
        assert len(queued(crashing, account, 3)) == 3
        crashing.stop()
        crashing.start()
        assert len(standing(crashing, account).waiting) == 3


def test_a_role_without_rights_is_told_what_its_owner_runs(database: Server) -> None:
    empty = database.another(f"q{os.urandom(4).hex()}")
    with TeamQueue(empty.address()) as queue:
        assert queue.standing("r", "show.yaml") == InQueue()
        with pytest.raises(LedgerError, match="does not let this role in") as refused:
            queue.make()
    assert "manifest-runner schema queue" in (refused.value.hint or "")
    with TeamQueue(empty.address("owner")) as queue:
        queue.make()
        queue.make()
        assert len(queue.add(orders("acc", 2), "acc")) == 2
