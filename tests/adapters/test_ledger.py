"""The ledger as a file: who may open it, what it refuses, what several tasks and processes make of it."""

from __future__ import annotations

import heapq
import json
import random
import sqlite3
import stat
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from manifest_runner.adapters import ledger_schema
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.core.lifecycle import (
    HOLDING,
    TABLE,
    Abandoned,
    Event,
    Failed,
    IllegalEvent,
    InDoubt,
    Missing,
    Progressed,
    Refused,
    Stored,
    Submitted,
    Succeeded,
)
from manifest_runner.core.limits import cost
from manifest_runner.core.model import ExternalTaskId, JobId, JobState, Rate
from manifest_runner.core.pace import Meter
from manifest_runner.errors import BudgetExceeded, LedgerError
from manifest_runner.ports import Admitted, Held, SpendingLimits, Wait
from tests.contract.ledger_contract import FREE, NOON, PATHS, SUBMITTED, intent
from tests.fake_ledger import Books, InMemoryLedger

D = Decimal


def open_ledger(path: Path, run: str = "run-1", account: str = "acme",
                wall: Callable[[], float] = lambda: NOON) -> SqliteLedger:
    return SqliteLedger(path, account=account, run=run, wall=wall)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    with open_ledger(path) as opened:
        yield opened


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ledger_and_log_are_for_their_owner_alone(path: Path, ledger: SqliteLedger) -> None:
    ledger.admit(intent(), FREE)
    modes = {file.name.partition(".run-")[0]: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert len(list(path.parent.iterdir())) == 4


def test_a_closed_ledger_is_one_file(path: Path, ledger: SqliteLedger) -> None:
    ledger.admit(intent(), FREE)
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]


def test_commits_are_synced(ledger: SqliteLedger) -> None:
    settings_of = {name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
                   for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    assert settings_of == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}


def test_looking_at_a_ledger_that_is_not_there_makes_none(path: Path) -> None:
    assert SqliteLedger.open_readonly(path, account="acme") is None
    assert SqliteLedger.open_readonly(path.parent / "nowhere" / "ledger.db", account="acme") is None
    assert list(path.parent.iterdir()) == []


def test_a_ledger_can_be_looked_at_but_not_written_while_another_writes(path: Path, ledger: SqliteLedger) -> None:
    answer = ledger.admit(intent(), FREE)
    assert isinstance(answer, Admitted)
    looking = SqliteLedger.open_readonly(path, account="acme", wall=lambda: NOON)
    assert looking is not None
    with looking:
        assert looking.jobs("monsoon.yaml") == looking.all_unfinished() == [answer.job]
        assert looking.spent("monsoon.yaml").reserved == 145
        with pytest.raises(LedgerError):
            looking.record(answer.job.intent.external_task_id, SUBMITTED)
        ledger.record(answer.job.intent.external_task_id, SUBMITTED)
        assert looking.jobs("monsoon.yaml")[0].state is JobState.SUBMITTED


def test_a_folder_that_is_not_there_is_an_error_of_ours(path: Path) -> None:
    with pytest.raises(LedgerError):
        open_ledger(path.parent / "nowhere" / "ledger.db")


def test_a_ledger_of_a_newer_version_is_refused(path: Path) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {ledger_schema.VERSION + 1}")
    for opened in (open_ledger, partial(SqliteLedger.open_readonly, account="acme")):
        with pytest.raises(LedgerError, match="written by a newer version"):
            opened(path)


VERSION_1 = """
DROP TABLE waiters;
ALTER TABLE meters RENAME TO newer;
CREATE TABLE meters (account TEXT PRIMARY KEY, slot REAL, paused_at REAL NOT NULL, pause REAL NOT NULL) WITHOUT ROWID;
INSERT INTO meters SELECT account, slot, paused_at, pause FROM newer;
DROP TABLE newer;
PRAGMA user_version = 1;
"""
"""Makes a ledger what the first version wrote."""


def older(path: Path) -> list[Any]:
    """Fill a ledger, take it back to the first version, and return its jobs."""
    with open_ledger(path) as ledger:
        for number, events in enumerate(PATHS.values()):
            ledger.admit(intent("S", take=number + 1), FREE)
            for event in events:
                ledger.record(intent("S", take=number + 1).external_task_id,
                              replace(event, job_id=JobId(f"j{number}")) if isinstance(event, Submitted) else event)
        jobs = ledger.jobs("monsoon.yaml")
        ledger._books.keep_meter(Meter(slot=NOON, paused_at=NOON, pause=9.0))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    return jobs


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_ledger_of_the_first_version_is_looked_at_as_it_is_and_brought_to_this_one_to_be_written(path: Path) -> None:
    jobs = older(path)
    looking = SqliteLedger.open_readonly(path, account="acme", wall=lambda: NOON)
    assert looking is not None
    with looking:
        assert looking.jobs("monsoon.yaml") == jobs
    assert version_of(path) == 1
    for _ in range(2):
        with open_ledger(path) as ledger:
            assert ledger.jobs("monsoon.yaml") == jobs
            assert ledger.spent("monsoon.yaml").reserved == 145 * 5
            assert ledger.admit(intent("NEW"), FREE) == Wait(seconds=9, why="pause")
    assert version_of(path) == ledger_schema.VERSION


@pytest.mark.parametrize("statement", range(1, 11))
def test_a_migration_that_stops_anywhere_leaves_the_older_ledger(
        path: Path, statement: int, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = older(path)
    steps = ledger_schema._CHANGES[2].split(";")
    monkeypatch.setitem(ledger_schema._CHANGES, 2, ";".join([*steps[:statement], "no such statement"]))
    with pytest.raises(LedgerError):
        open_ledger(path)
    monkeypatch.undo()
    assert version_of(path) == 1
    with open_ledger(path) as ledger:
        assert ledger.jobs("monsoon.yaml") == jobs


def test_two_processes_that_migrate_at_once_both_succeed(path: Path) -> None:
    older(path)
    code = ("import sys; from pathlib import Path; from tests.adapters.test_ledger import open_ledger; "
            "open_ledger(Path(sys.argv[1]))")
    started = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in started] == [0, 0]
    assert version_of(path) == ledger_schema.VERSION


@pytest.mark.parametrize("statement", [
    "UPDATE meters SET peak = -1", "UPDATE meters SET sent = 'many'", "UPDATE meters SET slot = 'noon'",
    "UPDATE meters SET places = 1.5", "UPDATE waiters SET ready = 'soon'",
])
def test_a_meter_or_a_queue_that_holds_nonsense_is_damage(path: Path, ledger: SqliteLedger, statement: str) -> None:
    ledger.throttled(intent("A").external_task_id, 5)
    ledger.admit(intent("B"), FREE)
    ledger._connection.execute(statement)
    with pytest.raises(LedgerError, match="damaged"):
        ledger.admit(intent("C"), FREE)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"version: 1\n" * 1000, b"SQLite format 3\0" + b"\0" * 4080])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for opened in (open_ledger, partial(SqliteLedger.open_readonly, account="acme")):
        with pytest.raises(LedgerError, match="damaged: nothing is submitted") as told:
            opened(path)
        assert told.value.hint
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE jobs (a)")
    with pytest.raises(LedgerError, match="not a ledger of this program"):
        open_ledger(path)


def test_a_log_without_its_ledger_is_refused(path: Path) -> None:
    path.with_name("ledger.db-wal").write_bytes(b"something")
    for opened in (open_ledger, partial(SqliteLedger.open_readonly, account="acme")):
        with pytest.raises(LedgerError, match="main file is gone"):
            opened(path)


@pytest.mark.parametrize("statement", [
    "UPDATE jobs SET reserved = 0",
    "UPDATE jobs SET state = 'failed'",
    "UPDATE jobs SET state = 'stored', charged = 0",
    "UPDATE tallies SET cost = cost - 1 WHERE scope = 'run'",
    "DELETE FROM tallies",
    "UPDATE jobs SET run = 'another'",
    "UPDATE jobs SET day = '1999-01-01'",
])
def test_money_that_was_changed_behind_the_ledgers_back_is_damage(path: Path, statement: str) -> None:
    with open_ledger(path) as ledger:
        ledger.admit(intent(), FREE)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(LedgerError, match="damaged"):
        open_ledger(path)


@pytest.mark.parametrize("statement", [
    "UPDATE requests SET body = x'00'",
    "UPDATE requests SET params = '{}'",
    "UPDATE jobs SET job_id = 'job-2'",
    "UPDATE jobs SET attempt = 'one'",
    "UPDATE jobs SET seal = 1",
])
def test_a_job_that_was_changed_behind_the_ledgers_back_is_never_used(path: Path, statement: str) -> None:
    with open_ledger(path) as ledger:
        ledger.admit(intent(), FREE)
        ledger._connection.execute(statement)
        for use in (lambda: ledger.admit(intent(), FREE), lambda: ledger.jobs("monsoon.yaml"), ledger.all_unfinished,
                    lambda: ledger.record(intent().external_task_id, SUBMITTED)):
            with pytest.raises(LedgerError, match="damaged"):
                use()


@pytest.mark.parametrize(("code", "words"), [
    (sqlite3.SQLITE_FULL, "no space left"),
    (sqlite3.SQLITE_READONLY, "cannot be opened or written"),
    (sqlite3.SQLITE_BUSY, "held by another process"),
    (sqlite3.SQLITE_IOERR_FSYNC, "disk failed"),
    (sqlite3.SQLITE_CORRUPT, "damaged"),
    (None, "damaged"),
])
def test_what_sqlite_says_is_translated(path: Path, code: int | None, words: str) -> None:
    error = sqlite3.OperationalError("told by sqlite")
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(LedgerError, match=words), ledger_schema.translated(path):
        raise error


def test_a_full_disk_keeps_nothing_of_the_batch_and_the_ledger_goes_on(ledger: SqliteLedger) -> None:
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    small, big = intent("A"), intent("B", body=b"x" * 100_000)
    with pytest.raises(LedgerError, match="no space left"):
        ledger.transact([lambda: ledger.admit(small, FREE), lambda: ledger.admit(big, FREE)])
    assert ledger.jobs("monsoon.yaml") == []
    assert ledger.spent().reserved == 0
    assert isinstance(ledger.admit(small, FREE), Admitted)


# ── accounts, transactions, the trail ─────────────────────────────────────────────────────────────────────────────


def test_accounts_do_not_see_each_other(path: Path, ledger: SqliteLedger) -> None:
    ledger.admit(intent(), FREE)
    ledger.throttled(intent("ANY").external_task_id, 60)
    with open_ledger(path, account="draft") as draft:
        assert draft.jobs("monsoon.yaml") == []
        tight = SpendingLimits(concurrency=1, run_credits=D(145), daily_credits=D(145), rate=Rate(count=1, per=3600))
        assert isinstance(draft.admit(intent(), tight), Admitted)
        draft.record(intent().external_task_id, Refused(words="no"))
    assert ledger.jobs("monsoon.yaml")[0].state is JobState.INTENDED


def test_without_an_account_one_sees_all_of_them_together(path: Path, ledger: SqliteLedger) -> None:
    ledger.admit(intent("A"), FREE)
    with open_ledger(path, "run-2", account="other") as other:
        other.admit(intent("A", attempt=2), FREE)
        other.admit(intent("B"), FREE)
    looking = SqliteLedger.open_readonly(path, wall=lambda: NOON)
    assert looking is not None
    with looking:
        assert [(job.intent.key.shot, job.intent.attempt) for job in looking.jobs("monsoon.yaml")] == [("A", 2), ("B", 1)]
        assert len(looking.all_unfinished()) == 3
        spent = looking.spent("monsoon.yaml")
        assert (spent.run, spent.day, spent.reserved, spent.in_flight) == (435, 435, 435, 3)
        with pytest.raises(LedgerError):
            looking.admit(intent("C"), FREE)


def test_one_operation_that_fails_does_not_undo_the_others(ledger: SqliteLedger) -> None:
    limits = SpendingLimits(run_credits=D(300))
    operations: list[Callable[[], Any]] = [
        lambda: ledger.admit(intent("A"), limits),
        lambda: ledger.record(ExternalTaskId("nobody"), SUBMITTED),
        lambda: ledger.record(intent("A").external_task_id, Stored(artifacts=())),
        lambda: ledger.admit(intent("B", params={"x": float("nan")}), limits),
        lambda: ledger.admit(intent("C\ud800"), limits),
        lambda: ledger.admit(intent("D", take=2**70), limits),
        lambda: ledger.admit(intent("E"), limits),
        lambda: ledger.admit(intent("F"), limits),
        lambda: (ledger.record(intent("A").external_task_id, SUBMITTED), ledger.record(ExternalTaskId("nobody"), SUBMITTED)),
    ]
    results = ledger.transact(operations)
    assert [type(result) for result in results] == [
        Admitted, LedgerError, IllegalEvent, LedgerError, LedgerError, LedgerError, Admitted, BudgetExceeded,
        LedgerError]
    assert [job.intent.key.shot for job in ledger.jobs("monsoon.yaml")] == ["A", "E"]
    assert {job.state for job in ledger.jobs("monsoon.yaml")} == {JobState.INTENDED}
    assert ledger.spent("monsoon.yaml").run == 290


def test_the_trail_tells_every_event_in_order_and_a_poll_without_news_once(ledger: SqliteLedger) -> None:
    job = intent()
    ledger.admit(job, FREE)
    ledger.admit(job, FREE)
    polls = [Progressed(status="processing")] * 3
    for event in (InDoubt(words="lost"), SUBMITTED, *polls, Succeeded(charged=D("1.5")), Stored(artifacts=())):
        ledger.record(job.external_task_id, event)
    ledger.throttled(intent("ANY").external_task_id, 3)
    rows = ledger._connection.execute("SELECT external_task_id, kind, at, detail FROM events ORDER BY seq").fetchall()
    assert [kind for _, kind, _, _ in rows] == [
        "Intended", "Intended", "InDoubt", "Submitted", "Progressed", "Succeeded", "Stored", "Throttled"]
    assert {task for task, _, _, _ in rows} == {job.external_task_id, None}
    assert [json.loads(detail) for _, _, _, detail in rows][2:6] == [
        {"words": "lost"}, {"job_id": "job-1"}, {"status": "processing"}, {"charged": "1.5"}]


def test_durations_that_make_no_sense_are_left_out_and_stop_nothing(ledger: SqliteLedger) -> None:
    for number in range(8):
        ledger.admit(intent(f"S{number}"), FREE)
        ledger.record(intent(f"S{number}").external_task_id, SUBMITTED)
        ledger.record(intent(f"S{number}").external_task_id, Succeeded(charged=D(1), took=100.0 + number))
    for number, detail in enumerate(["", "[]", "{", '{"took": "x"}', '{"took": -1}', '{"took": NaN}', '{"took": null}']):
        ledger._connection.execute("UPDATE events SET detail = ? WHERE kind = 'Succeeded' AND external_task_id = ?",
                                   (detail, intent(f"S{number}").external_task_id))
    assert [seconds for _, seconds in ledger.durations()] == [107.0]


def test_of_a_batch_that_is_larger_than_what_is_remembered_the_jobs_that_were_recorded_last_are(
        ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifest_runner.adapters.ledger_account.REMEMBERED", 4)
    for number in range(8):
        ledger.admit(intent(f"S{number}"), FREE)
        ledger.record(intent(f"S{number}").external_task_id, SUBMITTED)
    for number in (7, 4, 1, 6, 3, 0, 5, 2):
        ledger.record(intent(f"S{number}").external_task_id, Succeeded(charged=D(1), took=100.0 + number))
    assert [seconds for _, seconds in ledger.durations()] == [104.0, 105.0, 106.0, 107.0]


def test_unfinished_jobs_of_all_manifests_are_listed(ledger: SqliteLedger) -> None:
    for number, events in enumerate(PATHS.values()):
        name = intent("S", take=number + 1, manifest=f"{number % 2}.yaml")
        ledger.admit(name, FREE)
        for event in events:
            ledger.record(name.external_task_id, replace(event, job_id=JobId(f"j{number}"))
                          if isinstance(event, Submitted) else event)
    found = ledger.all_unfinished()
    assert {job.state.value for job in found} == {"intended", "submitted", "running", "in_doubt", "missing", "succeeded"}
    assert [job.intent.key.manifest for job in found] == ["0.yaml"] * 3 + ["1.yaml"] * 3
    assert ledger.spent().in_flight == 3


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.anyio
async def test_many_tasks_share_a_few_commits_and_each_gets_its_own_answer(ledger: SqliteLedger) -> None:
    sizes: list[int] = []
    transact = ledger.transact

    def counted(operations: Any) -> Any:
        sizes.append(len(operations))
        return transact(operations)

    ledger.transact = counted  # type: ignore[method-assign]
    group = GroupLedger(ledger)
    limits = SpendingLimits(run_credits=D(145) * 150)
    stopped: list[int] = []

    async def one(number: int) -> None:
        wanted = intent("S", take=number)
        try:
            answer = await group.admit(wanted, limits)
        except BudgetExceeded:
            stopped.append(number)
            return
        assert isinstance(answer, Admitted)
        assert answer.job.intent == wanted
        job = await group.record(wanted.external_task_id, Submitted(job_id=JobId(f"j{number}")))
        assert job.job_id == f"j{number}"

    async with anyio.create_task_group() as tasks:
        for number in range(1, 201):
            tasks.start_soon(one, number)
    assert len(stopped) == 50
    assert len(await group.jobs("monsoon.yaml")) == 150
    assert sum(sizes) == 351
    assert len(sizes) < 40


@pytest.mark.anyio
async def test_what_was_asked_is_durable_although_its_task_was_cancelled(ledger: SqliteLedger) -> None:
    group = GroupLedger(ledger)
    for number in range(1, 21):
        await group.admit(intent("S", take=number), FREE)
    answers: list[JobState] = []

    async def save(number: int) -> None:
        job = await group.record(intent("S", take=number).external_task_id, Submitted(job_id=JobId(f"j{number}")))
        answers.append(job.state)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 21):
            tasks.start_soon(save, number)
        while not group._pending:  # until somebody leads and others queue behind
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert len(answers) >= 2
    assert [job.state for job in ledger.jobs("monsoon.yaml")].count(JobState.SUBMITTED) == len(answers)
    assert len(await group.jobs("monsoon.yaml")) == 20


@pytest.mark.anyio
async def test_where_the_file_fails_everybody_is_told_and_the_next_ask_is_answered(ledger: SqliteLedger) -> None:
    group = GroupLedger(ledger)
    transact, failing = ledger.transact, [True]

    def broken(operations: Any) -> Any:
        if failing:
            raise LedgerError("the disk failed")
        return transact(operations)

    ledger.transact = broken  # type: ignore[method-assign]
    told: list[int] = []

    async def one(number: int) -> None:
        with pytest.raises(LedgerError):
            await group.admit(intent("S", take=number), FREE)
        told.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 11):
            tasks.start_soon(one, number)
    assert len(told) == 10
    failing.clear()
    assert isinstance(await group.admit(intent(), FREE), Admitted)


@pytest.mark.anyio
async def test_a_bug_in_one_operation_does_not_hang_the_others(ledger: SqliteLedger) -> None:
    group = GroupLedger(ledger)
    errors: list[str] = []

    async def one(operation: Callable[[], Any]) -> None:
        try:
            await group._do(operation)
        except (ZeroDivisionError, LedgerError) as error:
            errors.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        for operation in (lambda: 1, lambda: 1 // 0, lambda: 2, lambda: 3):
            tasks.start_soon(one, operation)
    assert "ZeroDivisionError" in errors
    assert await group.jobs("monsoon.yaml") == []


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────

WORKER = """
import sys, time
from decimal import Decimal
from pathlib import Path
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.core.model import Rate
from manifest_runner.errors import BudgetExceeded
from manifest_runner.ports import Admitted, SpendingLimits
from tests.contract.ledger_contract import intent

path, name, budget, rate, shared = sys.argv[1:]
limits = SpendingLimits(daily_credits=Decimal(budget), rate=Rate(count=int(rate), per=1) if rate != "0" else None)
with SqliteLedger(Path(path), account="acme", run=name) as ledger:
    for number in range(1, 10_000):
        wanted = intent("SAME" if shared == "1" else name, take=number, reserved=Decimal(10))
        try:
            while not isinstance(answer := ledger.admit(wanted, limits), Admitted) and hasattr(answer, "seconds"):
                time.sleep(answer.seconds)
        except BudgetExceeded:
            break
        if isinstance(answer, Admitted):
            print(wanted.external_task_id, flush=True)
"""


def race(path: Path, *, budget: int, rate: int = 0, shared: bool = False) -> list[str]:
    """What four processes were granted on one ledger that none of them finds ready-made."""
    options = (str(budget), str(rate), str(int(shared)))
    started = [subprocess.Popen([sys.executable, "-c", WORKER, str(path), f"P{number}", *options],
                                stdout=subprocess.PIPE, text=True) for number in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    return [line for output in outputs for line in output.split()]


def test_four_processes_spend_one_budget_to_the_last_credit_and_not_a_credit_more(path: Path) -> None:
    granted = race(path, budget=4005)
    assert len(granted) == len(set(granted)) == 400
    with open_ledger(path, wall=time.time) as ledger:
        assert len(ledger.jobs("monsoon.yaml")) == 400
        assert ledger.spent().reserved == 4000


def sender(path: Path, name: str) -> SqliteLedger:
    """The ledger as one of several commands sees it that are one run."""
    return SqliteLedger(path, account="acme", run="make", sender=name, wall=lambda: NOON)


def test_commands_of_one_run_share_its_limit(path: Path) -> None:
    limits = SpendingLimits(run_credits=D(300))
    for name in ("A", "B"):
        with sender(path, name) as ledger:
            assert isinstance(ledger.admit(intent(name), limits), Admitted)
    with sender(path, "C") as ledger, pytest.raises(BudgetExceeded, match="290 of 300 of this run"):
        ledger.admit(intent("C"), limits)


def test_what_one_command_of_a_run_is_sending_no_other_of_that_run_sends(path: Path) -> None:
    with sender(path, "B") as other:
        with sender(path, "A") as one:
            assert isinstance(one.admit(intent(), FREE), Admitted)
            assert isinstance(other.admit(intent(), FREE), Held)
            again = one.admit(intent(), FREE)
            assert isinstance(again, Admitted)
            assert again.fresh, "who has it in hand knows what became of it"
        answer = other.admit(intent(), FREE)  # the first is gone, and its bytes may have left
        assert isinstance(answer, Admitted)
        assert not answer.fresh


def test_four_processes_share_one_rate(path: Path) -> None:
    assert len(race(path, budget=600, rate=40)) == 60
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT at, detail FROM events WHERE kind = 'Intended'").fetchall()
    times = sorted(at + json.loads(detail)["ahead"] for at, detail in found)
    for start in times:
        assert sum(start <= at < start + 1 for at in times) <= 40
    assert (len(times) - 1) / (times[-1] - times[0]) > 20


def test_four_processes_that_want_the_same_takes_reserve_each_once(path: Path) -> None:
    race(path, budget=500, shared=True)
    with open_ledger(path, wall=time.time) as ledger:
        assert [job.intent.key.take for job in ledger.jobs("monsoon.yaml")] == list(range(1, 51))
        assert ledger.spent().reserved == 500


# ── many processes, in virtual time ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate", [Rate(count=8, per=1), Rate(count=60, per=60)])
def test_many_runs_share_a_rate_evenly_use_it_and_never_pass_it(path: Path, rate: Rate) -> None:
    """Twelve runs, each with one submission that asks, on one file; each comes back when it was told to, or a little later."""
    chance, now, runs, each = random.Random(7), NOON, 12, 14
    limits, sent, asked = SpendingLimits(rate=rate), [], 0
    last, longest = dict.fromkeys(range(runs), NOON), 0.0
    with ExitStack() as stack:
        ledgers = [stack.enter_context(open_ledger(path, f"run-{number}", wall=lambda: now)) for number in range(runs)]
        for ledger in ledgers:
            ledger._connection.execute("PRAGMA synchronous = OFF")  # it is not durability that is tested here
        due = [(NOON + chance.random() / 100, number, 1) for number in range(runs)]
        while due:
            now, number, take = heapq.heappop(due)
            asked += 1
            answer = ledgers[number].admit(intent(f"R{number}", take=take), limits)
            late = chance.random() * 0.02
            if isinstance(answer, Wait):
                heapq.heappush(due, (now + answer.seconds + late, number, take))
                continue
            assert isinstance(answer, Admitted)
            sent.append(now + answer.seconds)
            longest, last[number] = max(longest, now - last[number]), now
            if take < each:
                heapq.heappush(due, (now + late, number, take + 1))
    sent.sort()
    assert max(bisect_left(sent, time + rate.per) - index for index, time in enumerate(sent)) <= rate.count
    assert (len(sent) - 1) * rate.spacing / (sent[-1] - sent[0]) >= 0.95
    assert longest <= 1.5 * runs * rate.spacing, "a turn comes round after all the others"
    assert asked <= 3 * runs * each, "hardly anybody wakes for nothing"


# ── whatever happens ──────────────────────────────────────────────────────────────────────────────────────────────

amounts = st.sampled_from([D(0), D("0.5"), D(29), D("145.000001"), D(200)])
charges = st.one_of(st.none(), st.just(D("NaN")), amounts)
happenings = st.one_of(
    st.just(SUBMITTED), st.just(InDoubt()), st.just(Progressed(status="x")), st.builds(Succeeded, charged=charges),
    st.builds(Failed, words=st.just("no"), charged=amounts), st.just(Refused(words="no")), st.just(Missing()),
    st.just(Stored(artifacts=())), st.builds(Abandoned, release=st.booleans()))


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")


class Whatever(RuleBasedStateMachine):
    """Runs, jobs and events in any order, on the ledger in SQLite and on the one in memory, which counts the plain way."""

    LIMITS = SpendingLimits(run_credits=D(400), daily_credits=D(600), concurrency=4)

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.now, self.run, self.overcharged = NOON, 0, D(0)
        self.books = Books()
        self.ledger = open_ledger(self.path, "run-0", wall=lambda: self.now)
        self.plain = InMemoryLedger(wall=lambda: self.now, run="run-0", books=self.books)

    def both(self, real: Callable[[], Any], plain: Coroutine[Any, Any, Any]) -> tuple[Any, Any]:
        answers: list[Any] = [None, None]
        for index, ask in enumerate((real, lambda: finished(plain))):
            try:
                answers[index] = ask()
            except (BudgetExceeded, IllegalEvent, LedgerError) as error:
                answers[index] = type(error)
        return answers[0], answers[1]

    @rule(shot=st.integers(1, 6), attempt=st.integers(1, 3), reserved=amounts, manifest=st.sampled_from(["a", "b"]))
    def admit(self, shot: int, attempt: int, reserved: Decimal, manifest: str) -> None:
        wanted = intent(str(shot), attempt=attempt, reserved=reserved, manifest=manifest)
        before = len(self.books.entries)
        real, plain = self.both(lambda: self.ledger.admit(wanted, self.LIMITS), self.plain.admit(wanted, self.LIMITS))
        assert real == plain
        # What an earlier run reserved is taken up whatever the limits: nothing is reserved by it, and no other limit was asked.
        if len(self.books.entries) > before and not self.overcharged:
            assert self.plain.run_spending(manifest) <= 400
            assert self.plain.day_spending() <= 600

    @rule(shot=st.integers(1, 6), attempt=st.integers(1, 3), event=happenings, manifest=st.sampled_from(["a", "b"]))
    def record(self, shot: int, attempt: int, event: Event, manifest: str) -> None:
        task = intent(str(shot), attempt=attempt, manifest=manifest).external_task_id
        before = self.books.entries.get(task)
        held = None if before is None else cost(before.job)
        real, plain = self.both(lambda: self.ledger.record(task, event), self.plain.record(task, event))
        assert real == plain
        if held is not None and not isinstance(real, type):
            self.overcharged += max(D(0), cost(real) - held)
            if cost(real) < held:
                assert isinstance(event, Succeeded | Failed | Refused) or event == Abandoned(release=True)
                assert not isinstance(event, InDoubt | Missing)

    @rule(seconds=st.sampled_from([1, 130, 4000, 50_000, -4000]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(clean=st.booleans())
    def another_run(self, clean: bool) -> None:
        self.run += 1
        if clean:
            self.ledger.close()
        previous = self.ledger
        self.ledger = open_ledger(self.path, f"run-{self.run}", wall=lambda: self.now)  # which counts the sums again
        self.plain = InMemoryLedger(wall=lambda: self.now, run=f"run-{self.run}", books=self.books)
        previous.close()
        self.books.alive = {self.plain.run}

    @invariant()
    def the_sums_are_those_of_the_plain_count(self) -> None:
        for manifest in ("a", "b"):
            spent = self.ledger.spent(manifest)
            assert spent.run == self.plain.run_spending(manifest)
            assert spent.day == self.plain.day_spending()
            assert spent.reserved == sum(cost(entry.job) for entry in self.books.entries.values()
                                         if entry.job.intent.key.manifest == manifest and entry.job.state in HOLDING)

    def teardown(self) -> None:
        self.ledger.close()
        open_ledger(self.path).close()
        self.folder.cleanup()


TestWhateverHappens = Whatever.TestCase
TestWhateverHappens.settings = settings(max_examples=12, stateful_step_count=25, deadline=None,
                                        suppress_health_check=list(HealthCheck))


def test_every_step_of_the_lifecycle_keeps_the_sums(ledger: SqliteLedger) -> None:
    kinds: dict[type[Event], Event] = {type(event): event for event in (
        SUBMITTED, InDoubt(), Progressed(status="x"), Succeeded(charged=D(140)), Failed(words=""), Refused(words=""), Missing(),
        Stored(artifacts=()), Abandoned())}
    for number, (state, kind) in enumerate(TABLE, start=1):
        wanted = intent("S", take=number)
        ledger.admit(wanted, FREE)
        for event in (*PATHS[state], kinds[kind]):
            ledger.record(wanted.external_task_id, event)
        assert ledger._connection.execute(ledger_schema.UNTRUE.format(condition="TRUE")).fetchone() is None


def test_held_is_what_a_second_process_sees(path: Path, ledger: SqliteLedger) -> None:
    ledger.admit(intent(), FREE)
    with open_ledger(path, "run-2") as other:
        assert isinstance(other.admit(intent(attempt=2), FREE), Held)
        with suppress(LedgerError):
            other.record(ExternalTaskId("nobody"), SUBMITTED)
