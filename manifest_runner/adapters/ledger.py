"""The ledger in a SQLite file that all processes of an account on this machine share: what is used unless the operator names
another (`team_ledger.py`).

Laws:

- What a method has returned is on disk (write-ahead log, synced at every commit). A kill at any instruction leaves what
  was committed and nothing of what was not.
- A transaction excludes all other writers of the file.
- A sender is alive for as long as its process is, however that ends (`ledger_runs.py`).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self, TypeVar

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_account import AccountLedger
from manifest_runner.adapters.ledger_books import SqliteBooks
from manifest_runner.adapters.ledger_rows import Row
from manifest_runner.adapters.ledger_runs import RunMark, is_alive
from manifest_runner.errors import ManifestRunnerError

T = TypeVar("T")


class SqliteLedger(AccountLedger):
    """The ledger of one account in the file `path`, on behalf of one run. Synchronous; one thread at a time.

    `run` names this run, whose limit of credits several processes may share; `sender` names the command that sends, which is
    one process alone (without it, the run is that). `wall` is seconds since 1970. The file is made (mode 0600) where there is
    none; its folder must exist. Raises `LedgerError` where the file cannot be trusted: then nothing may be submitted.
    """

    def __init__(self, path: Path, *, account: str, run: str, sender: str | None = None,
                 wall: Callable[[], float] = time.time) -> None:
        sender = run if sender is None else sender
        connection = schema.open_for_writing(path)
        try:
            with schema.translated(path):
                mark = RunMark(path, sender)  # before anything is recorded in the name of this sender
        except BaseException:
            connection.close()
            raise
        self._set_up(connection, path, account, run, sender, wall, mark)

    @classmethod
    def open_readonly(cls, path: Path, *, account: str | None = None,
                      wall: Callable[[], float] = time.time) -> Self | None:
        """A ledger to look at, for `plan` and `status`; None where there is no file. It never makes one.

        Without `account` it shows all accounts together; of a take that several have rendered, the latest attempt.
        """
        connection = schema.open_for_reading(path)
        if connection is None:
            return None
        ledger = cls.__new__(cls)
        ledger._set_up(connection, path, account, "", "", wall, None)
        return ledger

    @staticmethod
    def accounts(path: Path) -> list[str]:
        """The accounts that the ledger at `path` has jobs of, sorted; none where there is no file."""
        connection = schema.open_for_reading(path)
        if connection is None:
            return []
        with schema.translated(path), closing(connection):
            return [str(row[0]) for row in connection.execute("SELECT DISTINCT account FROM jobs ORDER BY account")]

    def _set_up(self, connection: sqlite3.Connection, path: Path, account: str | None, run: str, sender: str,
                wall: Callable[[], float], mark: RunMark | None) -> None:
        super().__init__(SqliteBooks(connection, path, account), shown=str(path), account=account, run=run, sender=sender)
        self._connection = connection
        self._path = path
        self._wall = wall
        self._mark = mark

    def close(self) -> None:
        """Let go of the file; the last process to do so folds the log into it."""
        with schema.translated(self._path):
            self._connection.close()
            if self._mark is not None:
                self._mark.remove()

    def transact(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        with self._transaction():
            return [self._attempt(operation) for operation in operations]

    def _attempt(self, operation: Callable[[], T]) -> T | ManifestRunnerError:
        self._connection.execute("SAVEPOINT operation")
        try:
            result: T | ManifestRunnerError = operation()
        except ManifestRunnerError as error:
            self._connection.execute("ROLLBACK TO operation")
            result = error
        self._connection.execute("RELEASE operation")
        return result

    def _change(self, operation: Callable[[], T]) -> T:
        with self._transaction():
            return operation()

    def _look(self, question: Callable[[], T]) -> T:
        with schema.translated(self._path):
            return question()

    def _now(self) -> float:
        return self._wall()

    def _is_being_sent(self, row: Row) -> bool:
        return row.sender != self._sender and is_alive(self._path, row.sender)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # inside `transact`, which commits
            yield
            return
        with schema.translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # otherwise SQLite did it: where the disk was full, for one
            self._connection.execute("ROLLBACK")
