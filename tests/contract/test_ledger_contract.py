"""The ledger in SQLite and the one in memory keep the same promises, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.ports import Ledger
from tests.contract.ledger_contract import LedgerContract, World
from tests.fake_ledger import Books, InMemoryLedger


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


class TestInMemoryLedger(LedgerContract):
    @pytest.fixture
    def world(self) -> World:
        books = Books()
        world = World(open=lambda run: InMemoryLedger(run=run, wall=lambda: world.now, books=books), end=books.alive.discard)
        return world
