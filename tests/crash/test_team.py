"""Several machines on one account in a real PostgreSQL: each a process (or several) with a state folder, and a clock, of its
own.

The verdicts are the ledger's own trail, by the database's clock, and the gateway's books. How much of a rate is used depends on
how busy this machine is: `tests/adapters/test_team_ledger.py` judges that in virtual time, and `benchmarks/team.py` prints it.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.adapters.secrets import Secret, account_of
from tests.cli.support import run, start, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit
from tests.pooler import pooled
from tests.postgres import Server

WORKER = """
import sys, time
from pathlib import Path
import anyio
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_ledger import TeamLedger
from manifest_runner.adapters.team_slots import Clocks
from manifest_runner.core.lifecycle import Submitted, Succeeded
from manifest_runner.core.model import JobId, Rate
from manifest_runner.errors import BudgetExceeded
from manifest_runner.ports import Admitted, SpendingLimits, Wait
from tests.contract.ledger_contract import D, intent

url, account, name, folder, count, per, places, budget, wrong = sys.argv[1:]
limits = SpendingLimits(rate=Rate(count=int(count), per=int(per)), concurrency=int(places), daily_credits=D(budget))
wall = lambda: time.time() + float(wrong)

async def task(ledger, number):
    for take in range(1, 1000):
        wanted = intent(f"{name}-{number}", take=take, reserved=D(10))
        try:
            while isinstance(answer := await ledger.admit(wanted, limits), Wait):
                await anyio.sleep(answer.seconds)
        except BudgetExceeded:
            return
        assert isinstance(answer, Admitted)
        await anyio.sleep(max(min(answer.seconds, answer.slot.opens - wall()), 0))
        if wall() > answer.slot.covered:
            await ledger.late(answer.slot, wall())
        await ledger.record(wanted.external_task_id, Submitted(job_id=JobId(wanted.external_task_id)))
        await ledger.record(wanted.external_task_id, Succeeded(charged=D(10)))

async def main():
    with TeamLedger(TeamAddress.of(url), account=account, project="p", run=name, folder=Path(folder),
                    clocks=Clocks(wall=wall)) as ledger:
        group = GroupLedger(ledger)
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(task, group, number)

anyio.run(main)
"""


def trail(database: Server, account: str) -> list[tuple[str, str, float, dict[str, Any]]]:
    """Everything that happened to an account, in the order in which it was committed: task, kind, when, detail."""
    with database.connect() as connection:
        found = connection.execute("SELECT external_task_id, kind, at, detail FROM manifest_runner.events WHERE account = %s "
                                   "ORDER BY seq", [account]).fetchall()
    return [(str(task), kind, at, json.loads(detail)) for task, kind, at, detail in found]


def most_at_once(events: list[tuple[str, str, float, dict[str, Any]]]) -> int:
    flying = most = 0
    for _, kind, _, _ in events:
        flying += (kind == "Intended") - (kind == "Succeeded")
        most = max(most, flying)
    return most


@pytest.mark.parametrize("connections", [0, 3], ids=["directly", "through a pooler"])
def test_four_machines_with_clocks_of_their_own_keep_one_rate_one_budget_and_one_number_of_places(
        database: Server, tmp_path: Path, connections: int) -> None:
    count, per, places, budget = 20, 1, 8, 405
    limits, account = [str(value) for value in (count, per, places, budget)], f"four-{connections}"
    started = []
    with pooled(database, connections=connections) as url:
        for name, wrong in (("A", 0), ("B", 3600), ("C", -7.5), ("D", -86400)):
            (tmp_path / name).mkdir()
            arguments = [url, account, name, str(tmp_path / name), *limits, str(wrong)]
            started.append(subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stderr=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    events = trail(database, account)
    times = sorted(at + detail["ahead"] for _, kind, at, detail in events if kind == "Intended")
    assert len(times) == 40, "to the last credit, and not one more"
    assert max(bisect_left(times, at + per) - place for place, at in enumerate(times)) <= count
    assert most_at_once(events) <= places
    assert {task[len("mr-monsoon.yaml-")] for task, kind, _, _ in events if kind == "Intended"} == set("ABCD")


# ── whole runs ────────────────────────────────────────────────────────────────────────────────────────────────────

HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n"
SHOTS = 6


class Machines:
    """Clones of one repository with two shows, and what renders in them."""

    def __init__(self, folder: Path, database: Server, address: str, account: str) -> None:
        self.folder, self.database, self.address = folder, database, address
        self.key = account
        origin = folder / "origin"
        origin.mkdir()
        for name in ("one", "two"):
            write(origin, HEAD + "".join(f"  - {{id: {name.upper()}{number:02}, prompt: shot {number}}}\n"
                                         for number in range(SHOTS)), f"{name}.yaml")
        commit(origin, "shows")
        self.clones = [shutil.copytree(origin, folder / f"machine-{number}") for number in range(4)]
        self.shows = ["one.yaml", "one.yaml", "two.yaml", "two.yaml"]

    @property
    def env(self) -> dict[str, str]:
        return {**live(self.address), "TRINETRA_API_KEY": self.key, "MANIFEST_RUNNER_LEDGER": self.database.url()}

    def start(self, number: int) -> Any:
        said = (self.folder / f"said-{number}-{time.monotonic_ns()}").open("w")
        with said:
            return start(self.clones[number], "render", self.shows[number], "--yes", "--rate", "12/s", "--concurrency", "6",
                         env=self.env, stderr=said.fileno(), stdout=said.fileno())

    def said(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()}" for path in sorted(self.folder.glob("said-*")))

    def end(self, number: int, process: Any) -> int:
        """How a machine ends; one that began in the moment in which there was no database is told so, and begins again."""
        code = int(process.wait(timeout=60))
        return code if code != 2 else int(self.start(number).wait(timeout=60))

    def until(self, count: int) -> None:
        """Until so many submissions were recorded."""
        self._until(lambda: books(self.address)["totals"]["jobs"] >= count)

    def _until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def judge(self) -> None:
        found = books(self.address)
        assert max(one["most_in_flight"] for one in found["accounts"].values()) <= 6
        totals = found["totals"]
        assert (totals["jobs"], totals["duplicates"], totals["credits_charged"]) == (2 * SHOTS, 0, 2 * SHOTS * 29), self.said()
        for clone, name in zip(self.clones, self.shows, strict=True):
            check = run(clone, "lock", "--check", name, env=self.env)
            assert check.code == 0, f"something is left to do: {clone.name}: {check.out}{check.err}"
            assert len(list((clone / "renders").rglob("*.mp4"))) == SHOTS
        with self.database.connect() as connection:
            connection.execute("SET search_path = manifest_runner")
            states = connection.execute("SELECT state, count(*) FROM jobs WHERE account = %s GROUP BY state",
                                        [account_of(self.address, Secret(self.key))]).fetchall()
            assert states == [("stored", 2 * SHOTS)]
        for path in [*self.folder.glob("said-*"), *(p for clone in self.clones for p in clone.rglob("*") if p.is_file())]:
            assert b"canary-ledger-password" not in path.read_bytes(), path


def test_machines_that_are_killed_and_a_database_that_is_killed_twice_pay_nothing_twice_and_lose_nothing(
        database: Server, tmp_path: Path) -> None:
    with small_simulator(tmp_path) as address:
        machines = Machines(tmp_path, database, address, "canary-4711-killed")
        running = [machines.start(number) for number in range(4)]
        machines.until(3)
        running[0].send_signal(signal.SIGKILL)
        assert running[0].wait(timeout=20) == -signal.SIGKILL
        running[0] = machines.start(0)  # on the same machine: it knows at once that the other was killed
        machines.until(5)
        database.stop()
        database.start()
        machines.until(7)
        with database.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'studio'")
        machines.until(9)
        running[2].send_signal(signal.SIGKILL)
        running[2].wait(timeout=20)
        running[2] = machines.start(2)
        codes = [machines.end(number, process) for number, process in enumerate(running)]
        assert codes == [0] * 4, machines.said()
        machines.judge()
