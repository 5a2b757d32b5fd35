"""A ledger whose file was cut, flipped or left by a kill: what it said stands up to some point, or it says that it is damaged.

Every history is judged against what was told at the time: the jobs after each commit, and the credits they hold.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from manifest_runner.adapters import ledger_schema
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.core.lifecycle import HOLDING, Event, InDoubt, Progressed, Stored, Submitted, Succeeded
from manifest_runner.core.limits import cost
from manifest_runner.core.model import Job, JobId, JobState
from manifest_runner.errors import LedgerError, ManifestRunnerError
from manifest_runner.ports import Admitted, Held
from tests.contract.ledger_contract import CLIP, FREE, NOON, intent

SEED = 20261122
MANIFEST = "monsoon.yaml"


def open_ledger(path: Path, run: str = "after") -> SqliteLedger:
    return SqliteLedger(path, account="acme", run=run, wall=lambda: NOON)


def write_history(path: Path) -> list[list[Job]]:
    """Fill a ledger and leave it as a kill would: the log not folded in. What it told after each commit."""
    histories: list[list[Job]] = [[]]
    with open_ledger(path, "before") as ledger:
        for number in range(1, 7):
            wanted = intent("S", take=number, reserved=Decimal(number), body=b"x" * 300 * number)
            events: tuple[Event, ...] = (
                Submitted(job_id=JobId(f"job-{number}")), Progressed(status="processing"), Succeeded(charged=Decimal(1)),
                Stored(artifacts=(CLIP,)))
            ledger.admit(wanted, FREE)
            histories.append(ledger.jobs(MANIFEST))
            for event in events[:number] if number % 3 else (InDoubt(),):
                ledger.record(wanted.external_task_id, event)
                histories.append(ledger.jobs(MANIFEST))
        copy = path.with_name("left")
        copy.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(path.with_name(path.name + suffix), copy / (path.name + suffix))
    return histories


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[Job]]]:
    """A folder with ledger and log as a kill left them, and the history."""
    folder = tmp_path_factory.mktemp("history")
    histories = write_history(folder / "ledger.db")
    return folder / "left", histories


def put(folder: Path, main: bytes, log: bytes) -> Path:
    """A ledger of these bytes, and nothing else in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "ledger.db").write_bytes(main)
    (folder / "ledger.db-wal").write_bytes(log)
    return folder / "ledger.db"


def reopened(path: Path) -> list[Job] | None:
    """The jobs that a ledger tells, or None where it says that it is damaged. Anything else is an error of the test."""
    try:
        with open_ledger(path) as ledger:
            jobs = ledger.jobs(MANIFEST)
            assert ledger.spent(MANIFEST).reserved == sum(job.intent.reserved for job in jobs if job.state in HOLDING)
            assert ledger._connection.execute(ledger_schema.UNTRUE.format(condition="TRUE")).fetchone() is None
            return jobs
    except LedgerError:
        return None


def test_a_log_cut_anywhere_leaves_a_prefix_of_the_history(left: tuple[Path, list[list[Job]]], tmp_path: Path) -> None:
    folder, histories = left
    main, log = (folder / "ledger.db").read_bytes(), (folder / "ledger.db-wal").read_bytes()
    step = max(97, len(log) // 400 // 97 * 97)
    last = 0
    for length in [*range(0, len(log), step), len(log)]:
        found = reopened(put(tmp_path / "cut", main, log[:length]))
        assert found in histories, f"cut at {length}"
        place = histories.index(found)
        assert place >= last, f"cut at {length}: less than at a shorter length"
        last = place
    assert last == len(histories) - 1


def test_a_log_with_a_flipped_byte_leaves_a_prefix_of_the_history(
        left: tuple[Path, list[list[Job]]], tmp_path: Path) -> None:
    folder, histories = left
    main, log = (folder / "ledger.db").read_bytes(), (folder / "ledger.db-wal").read_bytes()
    chance = random.Random(SEED)
    for _ in range(100):
        place, flipped = chance.randrange(len(log)), bytearray(log)
        flipped[place] ^= 1 << chance.randrange(8)
        found = reopened(put(tmp_path / "flip", main, bytes(flipped)))
        assert found is None or found in histories, f"flipped at {place}"


@pytest.fixture(scope="module")
def folded(left: tuple[Path, list[list[Job]]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same history in one file, cleanly closed."""
    folder, _ = left
    path = put(tmp_path_factory.mktemp("folded") / "x", (folder / "ledger.db").read_bytes(),
               (folder / "ledger.db-wal").read_bytes())
    open_ledger(path).close()
    assert not path.with_name("ledger.db-wal").exists()
    return path.read_bytes()


def test_a_ledger_cut_anywhere_is_damaged(left: tuple[Path, list[list[Job]]], folded: bytes, tmp_path: Path) -> None:
    _, histories = left
    for length in range(0, len(folded), 97 * 5):
        path = tmp_path / "ledger.db"
        path.write_bytes(folded[:length])
        found = reopened(path)
        assert found is None or found == histories[-1], f"cut at {length}"
        path.unlink()


def test_a_flipped_byte_in_the_ledger_never_frees_a_credit_nor_changes_a_body(
        left: tuple[Path, list[list[Job]]], folded: bytes, tmp_path: Path) -> None:
    _, histories = left
    true = {job.intent.external_task_id: job for job in histories[-1]}
    chance, damaged = random.Random(SEED), 0
    for _ in range(500):
        place, flipped = chance.randrange(len(folded)), bytearray(folded)
        flipped[place] ^= 1 << chance.randrange(8)
        path = tmp_path / "ledger.db"
        path.write_bytes(bytes(flipped))
        try:
            with open_ledger(path) as ledger:
                spent = ledger.spent(MANIFEST)
                assert spent.reserved == sum(cost(job) for job in true.values() if job.state in HOLDING), f"flipped at {place}"
                assert spent.day == sum(cost(job) for job in true.values()), f"flipped at {place}"
                for job in (*ledger.jobs(MANIFEST), *ledger.all_unfinished()):
                    assert job == true[job.intent.external_task_id], f"flipped at {place}"
                for number in range(1, 7):
                    ledger.admit(intent("S", take=number), FREE)
                    ledger.record(intent("S", take=number).external_task_id, Submitted(job_id=JobId(f"job-{number}")))
        except ManifestRunnerError as error:
            damaged += isinstance(error, LedgerError)
        for file in tmp_path.iterdir():
            file.unlink()
    assert damaged > 50


def test_a_kill_while_the_ledger_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    """Whatever lies beside it: only a whole ledger ever bears its name."""
    (tmp_path / ".ledger.db.abc").write_bytes(b"SQLite format 3\0half")
    assert reopened(tmp_path / "ledger.db") == []


WRITER = """
import sys
from pathlib import Path
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.core.lifecycle import Submitted
from tests.contract.ledger_contract import FREE, intent

ledger = SqliteLedger(Path(sys.argv[1]), account="acme", run="killed")
for start in range(1, 100_000, 5):
    takes = range(start, start + 5)
    ledger.transact([lambda take=take: ledger.admit(intent("S", take=take), FREE) for take in takes])
    print(*(f"intended:{take}" for take in takes), flush=True)
    for take in takes:
        ledger.record(intent("S", take=take).external_task_id, Submitted(job_id=f"job-{take}"))
        print(f"submitted:{take}", flush=True)
"""

SENDER = """
import sys
from pathlib import Path
from manifest_runner.adapters.ledger import SqliteLedger
from tests.contract.ledger_contract import FREE, intent

ledger = SqliteLedger(Path(sys.argv[1]), account="acme", run="killed")
for take in range(1, 6):
    ledger.admit(intent("S", take=take), FREE)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("lines", [1, 3, 20, 61, 150])
def test_what_was_told_before_a_kill_is_there_after_it(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "ledger.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = "".join(process.stdout.readline() for _ in range(lines))
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read()
    words = [word.split(":") for word in told.split() if word.count(":") == 1]
    with open_ledger(path) as ledger:
        jobs = {job.intent.key.take: job for job in ledger.jobs(MANIFEST)}
        assert ledger.spent(MANIFEST).reserved == 145 * len(jobs)
    assert words
    for state, take in words:
        job = jobs[int(take)]
        assert job.state is JobState.SUBMITTED if state == "submitted" else job.state in (JobState.INTENDED, JobState.SUBMITTED)
        assert job.job_id == (f"job-{take}" if job.state is JobState.SUBMITTED else None)
    assert len(jobs) % 5 == 0  # a batch is there as a whole or not at all


def test_what_a_living_process_intended_is_its_own_and_after_a_kill_the_next_runs(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with subprocess.Popen([sys.executable, "-c", SENDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with open_ledger(path, "beside") as ledger:
            jobs = ledger.jobs(MANIFEST)
            assert [ledger.admit(job.intent, FREE) for job in jobs] == [Held(job=job) for job in jobs]
        process.kill()
    with open_ledger(path) as ledger:
        assert [ledger.admit(job.intent, FREE) for job in jobs] == [Admitted(job=job, fresh=False) for job in jobs]
    assert [file.name for file in tmp_path.glob("*.run-*")] == []
