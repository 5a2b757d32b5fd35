"""The statements with which the ledger reads and writes its tables, inside a transaction that the caller holds.

Laws: the tallies change together with the job they count, by the one definition in `ledger_schema.SHARES`; an event is
only ever added; a row that is read is a row whose seal fits. Nothing here decides anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_rows import COLUMNS, OF_JOB, Row, job_of
from manifest_runner.core.lifecycle import Event, Intended, Stored, Succeeded
from manifest_runner.core.limits import Meter
from manifest_runner.core.model import Job, Request
from manifest_runner.errors import LedgerError

_LONGEST = 86400.0
"""Seconds: no job of which anything can be learned takes longer."""

_CHANGING = ("touched", "sender", "settled_by", "state", "charged", "job_id", "error", "artifacts", "seal")

# Only names of our own columns are put into these statements; values are always bound.
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM jobs JOIN requests USING (seq) WHERE"  # noqa: S608
_INSERT_JOB = f"INSERT INTO jobs ({', '.join(COLUMNS[OF_JOB])}) VALUES ({', '.join('?' * len(COLUMNS[OF_JOB]))})"  # noqa: S608
_INSERT_REQUEST = "INSERT INTO requests (seq, model, params, body) VALUES (?, ?, ?, ?)"
_UPDATE_JOB = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE seq = ?"  # noqa: S608
_TALLY = f"""
INSERT INTO tallies (account, scope, name, part, cost, held, flying)
SELECT account, scope, name, part, cost * ?1, held * ?1, flying * ?1 FROM ({schema.SHARES}) WHERE seq = ?2
ON CONFLICT (account, scope, name, part)
DO UPDATE SET cost = cost + excluded.cost, held = held + excluded.held, flying = flying + excluded.flying
"""  # noqa: S608


class Books:
    """The tables of the ledger at `path` as one account sees them, or, to look at only, as all accounts together do."""

    def __init__(self, connection: sqlite3.Connection, path: Path, account: str | None) -> None:
        self._connection = connection
        self._path = path
        self._account = account
        self._mine = "? IS NULL" if account is None else "account = ?"  # a condition with one value to bind, either way

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run a statement; a value that cannot be stored is a `LedgerError` of that one statement alone."""
        try:
            return self._connection.execute(statement, values)
        except (UnicodeError, OverflowError, sqlite3.DataError, sqlite3.IntegrityError) as error:
            raise LedgerError(f"the ledger at {self._path} cannot hold this: {error}") from error

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, external_task_id: str) -> Row | None:
        """The row of a submission."""
        return next(iter(self.rows("external_task_id = ?", external_task_id)), None)

    def rows(self, condition: str, *values: object) -> list[Row]:
        """The account's rows that meet an SQL condition of ours, which may end in an order."""
        return [Row._make(found) for found in self.execute(f"{_SELECT} {self._mine} AND {condition}", self._account, *values)]

    def job(self, row: Row) -> Job:
        """The job of a row. Raises `LedgerError` where it is not what was once written."""
        try:
            return job_of(row)
        except (ValueError, TypeError, KeyError, RecursionError, ArithmeticError) as error:
            raise schema.damaged(self._path, str(error)) from error

    def insert(self, row: Row) -> None:
        """Add a job and count it."""
        seq = self.execute(_INSERT_JOB, *tuple(row)[OF_JOB]).lastrowid
        self.execute(_INSERT_REQUEST, seq, row.model, row.params, row.body)
        self.execute(_TALLY, 1, seq)

    def update(self, row: Row) -> None:
        """Write what may change of a job, and count it anew."""
        self.execute(_TALLY, -1, row.seq)
        self.execute(_UPDATE_JOB, *(getattr(row, name) for name in _CHANGING), row.seq)
        self.execute(_TALLY, 1, row.seq)

    def touch(self, row: Row, now: float) -> None:
        """Note that somebody has looked after the job."""
        self.execute("UPDATE jobs SET touched = ? WHERE seq = ?", now, row.seq)

    def note(self, kind: str, detail: Mapping[str, object], now: float, external_task_id: str | None = None) -> None:
        """Add a line to the audit trail."""
        self.execute("INSERT INTO events (account, external_task_id, kind, at, detail) VALUES (?, ?, ?, ?, ?)", self._account,
                     external_task_id, kind, now, json.dumps(detail, default=str))

    def durations(self, most: int) -> list[tuple[Request, float]]:
        """The requests of the latest succeeded jobs and what the trail says that they took, in seconds, the latest last. Lines
        that say nothing of it, or nothing that makes sense, are left out: no money hangs on them."""
        found = self.execute(
            "SELECT model, params, detail FROM (SELECT account, external_task_id, detail, seq latest FROM events "  # noqa: S608
            f"WHERE {self._mine} AND kind = 'Succeeded' ORDER BY seq DESC LIMIT ?) "
            "JOIN jobs USING (account, external_task_id) JOIN requests USING (seq) ORDER BY latest", self._account, most)
        known = []
        for model, params, detail in found:
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                seconds = float(json.loads(detail)["took"])
                if 0 < seconds < _LONGEST:
                    known.append((Request(model=model, params=dict(json.loads(params))), seconds))
        return known

    # ── sums, in micro-credits ────────────────────────────────────────────────────────────────────────────────────

    def run_spending(self, run: str, manifest: str | None) -> int:
        """What counts against the limit of a run: all of its own jobs, and what other runs of the manifest left open."""
        cost, own = self.execute(
            "SELECT coalesce(sum(cost), 0), coalesce(sum(held) FILTER (WHERE part = ?), 0) FROM tallies "  # noqa: S608
            f"WHERE {self._mine} AND scope = 'run' AND name = ?", manifest, self._account, run).fetchone()
        return int(cost) + (0 if manifest is None else self.held("manifest", manifest) - int(own))

    def day_spending(self, day: str) -> int:
        """What counts against the limit of a day: what was reserved on it, and everything still open from other days."""
        cost, own = self._sums("day", day)
        return cost + self.held("account", "") - own

    def held(self, scope: str, name: str) -> int:
        """The reservations of open jobs in a tally."""
        return self._sums(scope, name)[1]

    def in_flight(self) -> int:
        """Jobs in flight, with those that were forgotten."""
        statement = f"SELECT coalesce(sum(flying), 0) FROM tallies WHERE {self._mine} AND scope = 'account'"  # noqa: S608
        return int(self.execute(statement, self._account).fetchone()[0])

    def touched(self, state: str, since: float, until: float) -> int:
        """Jobs in a state that were last touched in a span of time."""
        statement = f"SELECT count(*) FROM jobs WHERE {self._mine} AND state = ? AND touched BETWEEN ? AND ?"  # noqa: S608
        return int(self.execute(statement, self._account, state, since, until).fetchone()[0])

    def _sums(self, scope: str, name: str) -> tuple[int, int]:
        statement = ("SELECT coalesce(sum(cost), 0), coalesce(sum(held), 0) FROM tallies "  # noqa: S608
                     f"WHERE {self._mine} AND scope = ? AND name = ? AND part = ''")
        cost, held = self.execute(statement, self._account, scope, name).fetchone()
        return int(cost), int(held)

    # ── the rate meter ────────────────────────────────────────────────────────────────────────────────────────────

    def meter(self) -> Meter:
        """The account's meter. Raises `LedgerError` where it cannot be one."""
        found = self.execute("SELECT slot, paused_at, pause FROM meters WHERE account = ?", self._account).fetchone()
        if found is None:
            return Meter()
        if not all(isinstance(value, float) or value is None for value in found):
            raise schema.damaged(self._path, "its rate meter does not hold times")
        return Meter(slot=found[0], paused_at=found[1], pause=found[2])

    def keep_meter(self, meter: Meter) -> None:
        """Remember the account's meter."""
        self.execute("INSERT OR REPLACE INTO meters (account, slot, paused_at, pause) VALUES (?, ?, ?, ?)", self._account,
                     meter.slot, meter.paused_at, meter.pause)


def detail_of(event: Event) -> Mapping[str, object]:
    """What the audit trail keeps of an event. Bodies and requests are kept once, with the job."""
    match event:
        case Intended(intent=intent):
            return {"attempt": intent.attempt, "fingerprint": intent.fingerprint, "reserved": intent.reserved}
        case Succeeded(charged=charged, took=took):
            return {"charged": charged} if took is None else {"charged": charged, "took": round(took, 3)}
        case Stored(artifacts=artifacts):
            return {"artifacts": [[artifact.path, artifact.sha256] for artifact in artifacts]}
    return asdict(event)
