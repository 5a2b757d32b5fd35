"""The statements with which the ledger reads and writes its tables, inside a transaction that the caller holds.

Laws: the tallies change together with the job they count, by the one definition in `ledger_schema.SHARES`; an event is
only ever added; a row that is read is a row whose seal fits. Nothing here decides anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_rows import COLUMNS, OF_JOB, Row, job_of
from manifest_runner.core.lifecycle import Event, Intended, Progressed, Stored, Succeeded
from manifest_runner.core.model import Fingerprint, Job, Request, ShotId
from manifest_runner.core.pace import Meter
from manifest_runner.core.turns import Waiter
from manifest_runner.errors import LedgerError

_LONGEST = 86400.0
"""Seconds: no job of which anything can be learned takes longer."""

_LARGEST_BATCH = 10_000
"""Jobs of which those that ended last are not taken for the latest ones: of a batch they are the longest."""

_CHANGING = ("touched", "sender", "settled_by", "state", "charged", "job_id", "error", "artifacts", "seal")

# Only names of our own columns are put into these statements; values are always bound.
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM jobs JOIN requests USING (seq) WHERE"  # noqa: S608
_INSERT_JOB = f"INSERT INTO jobs ({', '.join(COLUMNS[OF_JOB])}) VALUES ({', '.join('?' * len(COLUMNS[OF_JOB]))})"  # noqa: S608
_INSERT_REQUEST = "INSERT INTO requests (seq, model, params, body) VALUES (?, ?, ?, ?)"
_UPDATE_JOB = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE seq = ?"  # noqa: S608
_METER = tuple(field.name for field in fields(Meter))
_KEEP_METER = f"INSERT OR REPLACE INTO meters (account, {', '.join(_METER)}) VALUES (?{', ?' * len(_METER)})"  # noqa: S608
_SELECT_METER = f"SELECT {', '.join(_METER)} FROM meters WHERE account = ?"  # noqa: S608
_OPTIONAL = frozenset({"slot", "peak", "places"})
_COUNTS = frozenset({"sent", "calm", "places", "easy"})
_TALLY = f"""
INSERT INTO tallies (account, scope, name, part, cost, held, flying)
SELECT account, scope, name, part, cost * ?1, held * ?1, flying * ?1 FROM ({schema.SHARES}) WHERE seq = ?2
ON CONFLICT (account, scope, name, part)
DO UPDATE SET cost = cost + excluded.cost, held = held + excluded.held, flying = flying + excluded.flying
"""  # noqa: S608


Outline = tuple[int, tuple[ShotId, int, Fingerprint], str, tuple[str | None, str]]
"""Of one attempt: its number, its take with the fingerprint, its state, and its job with the artifacts as they are written."""


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

    def outline(self, manifest: str) -> list[Outline]:
        """Every attempt of a manifest, by shot, take and attempt.
        Quick, because no request is read and no seal checked: it says which rows to read, and nothing is done upon it alone."""
        statement = ("SELECT seq, shot, take, fingerprint, state, job_id, artifacts FROM jobs "  # noqa: S608
                     f"WHERE {self._mine} AND manifest = ? ORDER BY shot, take, attempt, seq")
        return [(seq, (shot, take, wanted), state, (job_id, artifacts))
                for seq, shot, take, wanted, state, job_id, artifacts in self.execute(statement, self._account, manifest)]

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
        """The requests of the succeeded jobs that were recorded last, and what the trail says that they took, in seconds; the
        latest last. Lines that say nothing of it, or nothing that makes sense, are left out: no money hangs on them."""
        found = self.execute(
            "SELECT model, params, detail FROM (SELECT seq, detail FROM ("  # noqa: S608
            f"SELECT account, external_task_id, detail FROM events WHERE {self._mine} AND kind = 'Succeeded' "
            "ORDER BY seq DESC LIMIT ?) JOIN jobs USING (account, external_task_id) ORDER BY seq DESC LIMIT ?) "
            "JOIN requests USING (seq) ORDER BY seq", self._account, _LARGEST_BATCH, most)
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
        found = self.execute(_SELECT_METER, self._account).fetchone()
        if found is None:
            return Meter()
        values = dict(zip(_METER, found, strict=True))
        late = _pairs(values.pop("late"))
        for name, value in values.items():
            fits = isinstance(value, int if name in _COUNTS else float) or (value is None and name in _OPTIONAL)
            if late is None or not fits or (name in _COUNTS | {"peak"} and value is not None and value < 0):
                raise schema.damaged(self._path, "its rate meter does not hold times and counts")
        return Meter(**values, late=late or ())

    def keep_meter(self, meter: Meter) -> None:
        """Remember the account's meter."""
        values = {name: getattr(meter, name) for name in _METER} | {"late": json.dumps(meter.late)}
        self.execute(_KEEP_METER, self._account, *values.values())

    # ── the queue ─────────────────────────────────────────────────────────────────────────────────────────────────

    def waiters(self) -> list[Waiter]:
        """Everybody who has asked and was told to wait, also those who never came back."""
        found = self.execute("SELECT name, again, since, ready, holds, places FROM waiters WHERE account = ?", self._account)
        waiters = [Waiter(name=name, again=bool(again), since=since, ready=ready, holds=holds, places=places)
                   for name, again, since, ready, holds, places in found]
        if not all(isinstance(time, float) for one in waiters for time in (one.since, one.ready, one.holds)):
            raise schema.damaged(self._path, "its queue does not hold times")
        return waiters

    def keep_waiter(self, waiter: Waiter) -> None:
        """Remember who waits."""
        self.execute("INSERT OR REPLACE INTO waiters (account, name, again, since, ready, holds, places) "
                     "VALUES (?, ?, ?, ?, ?, ?, ?)", self._account, waiter.name, waiter.again, waiter.since, waiter.ready,
                     waiter.holds, waiter.places)

    def forget_waiter(self, name: str) -> None:
        """It has gone, or will not come."""
        self.execute("DELETE FROM waiters WHERE account = ? AND name = ?", self._account, name)


def detail_of(event: Event) -> Mapping[str, object]:
    """What the audit trail keeps of an event. Bodies and requests are kept once, with the job."""
    match event:
        case Intended(intent=intent):
            return {"attempt": intent.attempt, "fingerprint": intent.fingerprint, "reserved": intent.reserved}
        case Succeeded(charged=charged, took=took):
            return {"charged": charged} if took is None else {"charged": charged, "took": round(took, 3)}
        case Progressed(status=status, raw=""):
            return {"status": status}
        case Stored(artifacts=artifacts):
            return {"artifacts": [[artifact.path, artifact.sha256] for artifact in artifacts]}
    return asdict(event)


def _pairs(text: object) -> tuple[tuple[float, float], ...] | None:
    """Pairs of times as JSON; None where they are none."""
    try:
        found = tuple((float(after), float(until)) for after, until in json.loads(str(text)))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if all(isfinite(time) for pair in found for time in pair) else None
