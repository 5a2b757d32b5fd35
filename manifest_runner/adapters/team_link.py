"""One connection to a PostgreSQL database: statements in few round trips, and what its failures mean.

Laws:

- Nothing outlives a transaction on the other side: no prepared statements, no session settings, locks or notifications. So a
  pooler that gives each transaction another server connection (PgBouncer's transaction mode) is as good as the database itself.
- What only changes something is sent together with the next question, or with the commit: a lock is held for as few round trips
  as there are answers to wait for.
- Each transaction asks for a synchronous commit, whatever the database's default is, and for limits: one whose client is gone
  is ended by the server, and holds no lock for longer than `IDLE`.
- Foreign exceptions end here. `Away` may be tried again: nothing was changed, or (`in_doubt`) a commit was sent and no answer
  came.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

from manifest_runner.adapters.team_address import TeamAddress, is_encrypted_by_choice
from manifest_runner.adapters.team_schema import SCHEMA
from manifest_runner.core.skew import Skew, narrowed
from manifest_runner.errors import LedgerError, ManifestRunnerError, MissingExtra

try:
    import psycopg
    from psycopg import errors as sql
    from psycopg.pq import TransactionStatus
except ImportError:
    raise MissingExtra("team", "a ledger in PostgreSQL") from None

CLOCK = "extract(epoch FROM clock_timestamp())::double precision"
"""The time of the books: the database's, for everybody."""

CONNECT = 10
"""Seconds until a host that does not answer counts as away."""

LOCKED = 20
"""Seconds until a lock that others hold counts as lost to us for now."""

IDLE = 15
"""Seconds after which the server ends a transaction whose client says nothing: killed, asleep, or behind a broken network."""

ANSWER = LOCKED + 15
"""Seconds for which an answer is waited for: longer than the server takes for a statement, or says that it is too long. What
stands between (a pooler that hangs) keeps the connection alive and says nothing, and so does a commit whose standby is gone."""

_BEGIN = ("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", f"""\
SELECT set_config('search_path', '{SCHEMA}, pg_temp', true), set_config('lock_timeout', '{LOCKED}s', true),
set_config('statement_timeout', '{LOCKED + 10}s', true), set_config('idle_in_transaction_session_timeout', '{IDLE}s', true),
set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
ELSE current_setting('synchronous_commit') END, true)""")
_LOOK = ("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", f"""\
SELECT set_config('search_path', '{SCHEMA}, pg_temp', true), set_config('statement_timeout', '{LOCKED + 10}s', true)""")

_NETWORK = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000,
            "connect_timeout": CONNECT, "application_name": "manifest-runner", "target_session_attrs": "read-write"}
"""What holds unless the address says otherwise: a network that swallows everything is noticed within 25 seconds; of several
hosts the one that may be written to is taken."""

_SURPLUS = re.compile(r"connection (?:to server )?(?:failed: |(?:at|on) .*?failed: )"
                      r"|\s*(?:Is the server running|This probably means).*", re.DOTALL)
"""What libpq says around a reason: the host, which is said in any case, and guesses."""

Statement = tuple[str, Sequence[object]]


class Away(Exception):
    """The database does not answer, or cannot for now. `in_doubt`: a commit was sent, and whether it happened is not known."""

    def __init__(self, why: str, *, in_doubt: bool = False) -> None:
        super().__init__(why)
        self.in_doubt = in_doubt


class NotStorable(LedgerError):
    """A value that these tables cannot hold."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which no answer is waited for without end."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        return super().wait(_bounded(gen, time.monotonic() + ANSWER), *arguments, **named)


class PatientAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same, for tasks."""

    async def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        return await super().wait(_bounded(gen, time.monotonic() + ANSWER), *arguments, **named)


def _bounded(gen: Generator[Any, Any, Any], end: float) -> Generator[Any, Any, Any]:
    """The same waits, up to the moment `end`. Each lasts a tenth of a second at most where nothing happens."""
    try:
        told = next(gen)
        while True:
            happened = yield told
            if not happened and time.monotonic() > end:
                gen.close()
                raise psycopg.OperationalError(f"no answer for {ANSWER:g} s")
            told = gen.send(happened)
    except StopIteration as ended:
        return ended.value


class Link:
    """The connection to `address`, made when it is needed. One thread at a time. `clock` is an SQL expression."""

    def __init__(self, address: TeamAddress, *, clock: str = CLOCK, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.shown = address.shown
        self.skew: Skew | None = None
        self.now = 0.0  # by the database, when it was asked last
        self.is_open = False  # a transaction of ours
        self._address = address
        self._clock = f"SELECT {clock}"
        self._monotonic = monotonic
        self._connection: psycopg.Connection[Any] | None = None
        self._later: list[str] = []
        self._operation = 0  # where in `_later` the operation under way begins
        self._is_saved = False  # whether it has a savepoint: some of it has been sent
        self._committing = False

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        self._forget()
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and not self._connection.closed

    @property
    def is_spoiled(self) -> bool:
        """Whether the server has refused a statement of the transaction, and will refuse all others: nothing of it happens."""
        return self._connection is not None and self._connection.info.transaction_status is TransactionStatus.INERROR

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, *statements: Statement) -> list[list[tuple[Any, ...]]]:
        """Open a transaction and ask, in one round trip; then the clock is read. The first statements may wait for a lock."""
        self._forget()
        found = self._round_trip([*_BEGIN, *map(self._bound, statements), self._clock])[len(_BEGIN):-1]
        self.is_open = True
        return found

    def ask(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The answers to questions, after everything that was told so far; without a transaction, as a look of their own."""
        bound = [*map(self._bound, statements), self._clock]
        if not self.is_open:
            return self._round_trip([*_LOOK, *bound, "COMMIT"])[len(_LOOK):-2]
        if not self._is_saved and len(self._later) > self._operation:
            self._later.insert(self._operation, "SAVEPOINT operation")
            self._is_saved = True
        told, self._later, self._operation = self._later, [], 0
        return self._round_trip([*told, *bound])[len(told):-1]

    def tell(self, statement: str, *values: object) -> None:
        """Change something, with the next question or the commit."""
        self._later.append(self._bound((statement, values)))

    def commit(self, *statements: Statement) -> None:
        """End the transaction with these changes. Where the answer does not come it is in doubt."""
        told = [*self._later, *map(self._bound, statements)]
        self._committing = True
        # A wait for a standby that the server cuts short counts as a commit, and the standby may take over: the server waits,
        # and holds the account's lock. We wait for `ANSWER`; then it is in doubt, and is looked up under that lock.
        self._round_trip([*told, "SET LOCAL statement_timeout = 0", "COMMIT"])
        self._forget()

    def roll_back(self) -> None:
        """As if the transaction had never been."""
        self._forget()
        connection = self._connection
        if connection is None or connection.closed or connection.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            connection.rollback()
        except psycopg.Error:
            self.close()

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One of several in a transaction: where it fails, nothing of it is left."""
        self._operation, self._is_saved = len(self._later), False
        try:
            yield
        except ManifestRunnerError:  # the transaction itself is sound
            if self._is_saved:
                self._later = ["ROLLBACK TO SAVEPOINT operation"]
            else:
                del self._later[self._operation:]
            raise
        finally:
            if self._is_saved:
                self._later.append("RELEASE SAVEPOINT operation")
                self._is_saved = False

    def _forget(self) -> None:
        self._later, self._operation = [], 0
        self._is_saved = self.is_open = self._committing = False

    # ── round trips ───────────────────────────────────────────────────────────────────────────────────────────────

    def _bound(self, statement: Statement) -> str:
        text, values = statement
        if not values:
            return text
        try:
            plain = [value.value if isinstance(value, Enum) else value for value in values]
            return psycopg.ClientCursor(self._connected()).mogrify(text.replace("?", "%s"), plain)
        except (UnicodeError, psycopg.DataError) as error:
            raise NotStorable(f"the ledger at {self.shown} cannot hold this: {error}") from error

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        with self._translated():
            self._connection = PatientConnection.connect(**arguments_of(self._address), autocommit=True,
                                                         prepare_threshold=None, cursor_factory=psycopg.ClientCursor)
        self.skew = None  # it may be another server, with a clock of its own
        return self._connection

    def _round_trip(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """Send statements as one text and return the rows of each."""
        connection = self._connected()
        with self._translated():
            before = self._monotonic()
            cursor = connection.cursor()
            cursor.execute(";\n".join(statements).encode())
            found = []
            while True:
                found.append(cursor.fetchall() if cursor.description is not None else [])
                if not cursor.nextset():
                    break
            self._tell_the_time(statements, found, before, self._monotonic())
            return found

    def _tell_the_time(self, statements: Sequence[str], found: Sequence[list[tuple[Any, ...]]], before: float,
                       after: float) -> None:
        for statement, rows in zip(statements, found, strict=True):
            if statement == self._clock:
                self.now = float(rows[0][0])
                self.skew = narrowed(self.skew, before=before, told=self.now, after=after)

    # ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what psycopg raises into `Away` or `LedgerError`."""
        try:
            yield
        except psycopg.Error as error:
            committing, told = self._committing and not self.is_spoiled, self._told(error)
            if committing or isinstance(told, Away):
                self.close()  # its transaction ends with it
            if committing:  # also where the server says why: it may have committed before it was told to stop
                raise Away(self._words(error), in_doubt=True) from error
            raise told from error

    def _told(self, error: psycopg.Error) -> Away | LedgerError:
        words = self._words(error)
        match error:
            case sql.InsufficientPrivilege():
                return LedgerError(f"the ledger at {self.shown} does not let this role in: {words}", code="ledger-role",
                                   hint="whoever owns the database runs: manifest-runner schema ledger | psql DATABASE")
            case sql.InvalidPassword() | sql.InvalidAuthorizationSpecification() | sql.InvalidCatalogName():
                return LedgerError(f"the ledger at {self.shown} does not let us in: {words}", code="ledger-role",
                                   hint="look at user, password (~/.pgpass) and database of MANIFEST_RUNNER_LEDGER")
            case sql.UndefinedTable() | sql.InvalidSchemaName() | sql.UndefinedColumn():
                return LedgerError(f"the ledger at {self.shown} lacks tables: {words}", code="ledger-schema",
                                   hint="whoever owns the database runs: manifest-runner schema ledger | psql DATABASE")
            case sql.DiskFull():
                return LedgerError(f"no space left in the database at {self.shown}: nothing is submitted",
                                   hint="make room there, then run the same command again: it continues")
            case psycopg.IntegrityError() | psycopg.DataError():
                return NotStorable(f"the ledger at {self.shown} cannot hold this: {words}")
            case sql.LockNotAvailable() | sql.QueryCanceled():
                return Away(f"others hold it for more than {LOCKED} s")
            case psycopg.OperationalError() | psycopg.InternalError() | sql.ReadOnlySqlTransaction() | psycopg.InterfaceError():
                # InternalError: a transaction that was aborted on its way; read-only: another server has taken over.
                if self._is_refused(error):
                    return LedgerError(f"the ledger at {self.shown} does not let us in: {words}", code="ledger-role",
                                       hint="look at user, password (~/.pgpass) and database of MANIFEST_RUNNER_LEDGER")
                return Away(words)
        return LedgerError(f"the ledger at {self.shown} failed: {words}: nothing is submitted",
                           hint="look at the database's own log")

    @staticmethod
    def _is_refused(error: psycopg.Error) -> bool:
        """Whether a connection was refused for what waiting does not mend. libpq gives words and no code for these."""
        words = str(error).lower()
        return error.sqlstate is None and any(sign in words for sign in (
            "password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry", "certificate",
            "does not support ssl", "permission denied for database", "authentication failed"))

    def _words(self, error: psycopg.Error) -> str:
        return words_of(error, self._address)


def arguments_of(address: TeamAddress) -> dict[str, Any]:
    """How to connect to it: as the address says, and as is safe where it says nothing."""
    told = psycopg.conninfo.conninfo_to_dict(address.url)
    if not is_encrypted_by_choice(address, os.environ):
        told["sslmode"] = "require"  # a password, and prompts, on their way to another machine
    return {**_NETWORK, **told, "client_encoding": "UTF8"}


def words_of(error: psycopg.Error, address: TeamAddress) -> str:
    """What happened, in one line and without a secret."""
    words = _SURPLUS.sub("", error.diag.message_primary or str(error))
    for text in sorted(address.hidden, key=len, reverse=True):
        words = words.replace(text, "***")
    return " ".join(words.split())[:300] or type(error).__name__
