"""The ledgers in SQLite, in PostgreSQL and in memory keep the same promises, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.adapters.team_ledger import TeamLedger
from manifest_runner.adapters.team_slots import Clocks
from manifest_runner.ports import Ledger
from tests.contract.ledger_contract import LedgerContract, World
from tests.fake_ledger import Books, InMemoryLedger
from tests.postgres import Server

ACCOUNTS = count()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        runs: dict[str, Ledger] = {}
        files: dict[str, SqliteLedger] = {}
        with ExitStack() as stack:
            def open_run(run: str) -> Ledger:
                if run not in runs:
                    ledger = SqliteLedger(tmp_path / "ledger.db", account="acme", run=run, wall=lambda: world.now)
                    files[run] = stack.enter_context(ledger)
                    runs[run] = GroupLedger(ledger)
                return runs[run]
            world = World(open=open_run, end=lambda run: files[run].close())
            yield world


class TestTeamLedger(LedgerContract):
    """As the role that may do the least. The database's clock stands still between the moves of the test's own. On trio alone:
    the way from tasks to a thread is the one that SQLite's goes, and the command line takes it on asyncio."""

    @pytest.fixture(params=["trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def world(self, database: Server, tmp_path: Path) -> Iterator[World]:
        runs: dict[str, Ledger] = {}
        opened: dict[str, TeamLedger] = {}
        account = f"contract-{next(ACCOUNTS)}"
        with database.clock() as clock, ExitStack() as stack:
            def now() -> float:
                return world.now

            def open_run(run: str) -> Ledger:
                if run not in runs:
                    ledger = TeamLedger(database.address(), account=account, project="monsoon", run=run, folder=tmp_path,
                                        clocks=Clocks(wall=now, monotonic=now, database=clock.expression), who=f"{run}@studio")
                    opened[run] = stack.enter_context(ledger)
                    runs[run] = GroupLedger(ledger)
                return runs[run]
            world = Watched(open=open_run, end=lambda run: opened[run].close(), moved=clock.set)
            yield world


class Watched(World):
    """A world that tells somebody else when its clock is moved."""

    def __init__(self, *, open: Callable[[str], Ledger], end: Callable[[str], None], moved: Callable[[float], None]) -> None:  # noqa: A002
        self.moved = moved
        super().__init__(open=open, end=end)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "now":
            self.moved(self.now)


class TestInMemoryLedger(LedgerContract):
    @pytest.fixture
    def world(self) -> World:
        books = Books()
        world = World(open=lambda run: InMemoryLedger(run=run, wall=lambda: world.now, books=books), end=books.alive.discard)
        return world
