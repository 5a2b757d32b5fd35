"""The statements with which a ledger reads and writes its tables, inside a transaction that the caller holds.

Laws: the tallies change together with the job they count, by the one definition in `ledger_schema.SHARES`; an event is
only ever added; a row that is read is a row whose seal fits. Nothing here decides anything. Statements are written so that
SQLite and PostgreSQL read them alike; where they cannot be, `SqliteBooks` and `team_books.py` have their own.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_rows import COLUMNS, OF_JOB, Row, job_of
from manifest_runner.core.lifecycle import UNFINISHED, Event, Intended, Progressed, Stored, Succeeded
from manifest_runner.core.model import Fingerprint, Intent, Job, JobState, Request, ShotId
from manifest_runner.core.pace import Meter
from manifest_runner.core.turns import Waiter
from manifest_runner.errors import LedgerError

_LONGEST = 86400.0
"""Seconds: no job of which anything can be learned takes longer."""

_LARGEST_BATCH = 10_000
"""Jobs of which those that ended last are not taken for the latest ones: of a batch they are the longest."""

CHANGING = ("touched", "sender", "settled_by", "state", "charged", "job_id", "error", "artifacts", "seal")
"""What may change of a job once it is recorded."""

# Only names of our own columns are put into these statements; values are always bound.
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM jobs JOIN requests USING (seq) WHERE"  # noqa: S608
_INSERT_JOB = f"INSERT INTO jobs ({', '.join(COLUMNS[OF_JOB])}) VALUES ({', '.join('?' * len(COLUMNS[OF_JOB]))})"  # noqa: S608
_INSERT_REQUEST = "INSERT INTO requests (seq, model, params, body) VALUES (?, ?, ?, ?)"
_UPDATE_JOB = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in CHANGING)} WHERE seq = ?"  # noqa: S608
METER = tuple(field.name for field in fields(Meter))
_KEEP_METER = f"INSERT OR REPLACE INTO meters (account, {', '.join(METER)}) VALUES (?{', ?' * len(METER)})"  # noqa: S608
_SELECT_METER = f"SELECT {', '.join(METER)} FROM meters WHERE account = ?"  # noqa: S608
_OPTIONAL = frozenset({"slot", "peak", "places"})
_COUNTS = frozenset({"sent", "calm", "places", "easy"})
COUNT_JOBS = f"""
INSERT INTO tallies (account, scope, name, part, cost, held, flying)
SELECT account, scope, name, part, cost * sign, held * sign, flying * sign
FROM ({schema.SHARES}) AS shares CROSS JOIN (SELECT ? AS sign) AS told WHERE seq = ?
ON CONFLICT (account, scope, name, part) DO UPDATE
SET cost = tallies.cost + excluded.cost, held = tallies.held + excluded.held, flying = tallies.flying + excluded.flying
"""  # noqa: S608


Outline = tuple[int, tuple[ShotId, int, Fingerprint], str, tuple[str | None, str]]
"""Of one attempt: its number, its take with the fingerprint, its state, and its job with the artifacts as they are written."""


class Books(ABC):
    """The tables of a ledger as one account sees them, or, to look at only, as all accounts together do. `shown` says for
    people where it is."""

    def __init__(self, shown: str, account: str | None) -> None:
        self._shown = shown
        self._account = account
        self._mine = "? IS NULL" if account is None else "account = ?"  # a condition with one value to bind, either way

    @abstractmethod
    def ask(self, statement: str, *values: object) -> Iterable[tuple[Any, ...]]:
        """The rows that a question has as its answer. A value that cannot be one is a `LedgerError`."""

    @abstractmethod
    def tell(self, statement: str, *values: object) -> None:
        """Change something. A value that cannot be stored is a `LedgerError` of that one statement alone."""

    def prepare(self, intent: Intent, *, run: str, day: str, flying: Mapping[JobState, tuple[float, float]]) -> None:  # noqa: B027
        """What an admission will ask is about to be asked: books that are far away may fetch all of it in one go."""

    def damaged(self, what: str) -> LedgerError:
        """The error for books that are not what was written."""
        return LedgerError(f"the ledger at {self._shown} is damaged: nothing is submitted ({what})")

    def named(self, manifest: str) -> str:
        """What a manifest is called in these tables."""
        return manifest

    def row(self, found: Sequence[Any]) -> Row:
        """The row that was found in these tables."""
        return Row._make(found)

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, external_task_id: str) -> Row | None:
        """The row of a submission."""
        return next(iter(self.rows("external_task_id = ?", external_task_id)), None)

    def rows(self, condition: str, *values: object) -> list[Row]:
        """The account's rows that meet an SQL condition of ours, which may end in an order."""
        return [self.row(found) for found in self.ask(f"{_SELECT} {self._mine} AND {condition}", self._account, *values)]

    def history(self, manifest: str, few: str = "TRUE") -> list[Row]:
        """Every attempt of a manifest, by shot, take and attempt; or those that meet a condition of ours."""
        return self.rows(f"manifest = ? AND {few} ORDER BY shot, take, attempt, seq", self.named(manifest))

    def unfinished(self, intent: Intent) -> Row | None:
        """A submission under another id that is alive for the same take."""
        key = intent.key
        found = self.rows(f"manifest = ? AND shot = ? AND take = ? AND state IN {schema.states(UNFINISHED)} "
                          "ORDER BY attempt DESC, seq DESC LIMIT 1", self.named(key.manifest), key.shot, key.take)
        return found[0] if found else None

    def stored(self, intent: Intent) -> Row | None:
        """A clip of this very request that this take has already: a plan that is older than it must not buy it again."""
        key = intent.key
        found = self.rows("manifest = ? AND shot = ? AND take = ? AND fingerprint = ? AND state = ? "
                          "ORDER BY attempt DESC, seq DESC LIMIT 1", self.named(key.manifest), key.shot, key.take,
                          intent.fingerprint, JobState.STORED.value)
        return found[0] if found else None

    def outline(self, manifest: str) -> list[Outline]:
        """Every attempt of a manifest, by shot, take and attempt.
        Quick, because no request is read and no seal checked: it says which rows to read, and nothing is done upon it alone."""
        statement = ("SELECT seq, shot, take, fingerprint, state, job_id, artifacts FROM jobs "  # noqa: S608
                     f"WHERE {self._mine} AND manifest = ? ORDER BY shot, take, attempt, seq")
        found = self.ask(statement, self._account, self.named(manifest))
        return [(seq, (shot, take, wanted), state, (job_id, artifacts))
                for seq, shot, take, wanted, state, job_id, artifacts in found]

    def job(self, row: Row) -> Job:
        """The job of a row. Raises `LedgerError` where it is not what was once written."""
        try:
            return job_of(row)
        except (ValueError, TypeError, KeyError, RecursionError, ArithmeticError) as error:
            raise self.damaged(str(error)) from error

    @abstractmethod
    def insert(self, row: Row) -> None:
        """Add a job and count it."""

    def update(self, row: Row) -> None:
        """Write what may change of a job, and count it anew."""
        self.tell(COUNT_JOBS, -1, row.seq)
        self.tell(_UPDATE_JOB, *(getattr(row, name) for name in CHANGING), row.seq)
        self.tell(COUNT_JOBS, 1, row.seq)

    def touch(self, row: Row, now: float) -> None:
        """Note that somebody has looked after the job."""
        self.tell("UPDATE jobs SET touched = ? WHERE seq = ?", now, row.seq)

    def note(self, kind: str, detail: Mapping[str, object], now: float, external_task_id: str | None = None) -> None:
        """Add a line to the audit trail."""
        self.tell("INSERT INTO events (account, external_task_id, kind, at, detail) VALUES (?, ?, ?, ?, ?)", self._account,
                  external_task_id, kind, now, json.dumps(detail, default=str))

    def durations(self, most: int) -> list[tuple[Request, float]]:
        """The requests of the succeeded jobs that were recorded last, and what the trail says that they took, in seconds; the
        latest last. Lines that say nothing of it, or nothing that makes sense, are left out: no money hangs on them."""
        found = self.ask(
            "SELECT model, params, detail FROM (SELECT seq, detail FROM ("  # noqa: S608
            f"SELECT account, external_task_id, detail FROM events WHERE {self._mine} AND kind = 'Succeeded' "
            "ORDER BY seq DESC LIMIT ?) AS ended JOIN jobs USING (account, external_task_id) ORDER BY seq DESC LIMIT ?) "
            "AS lately JOIN requests USING (seq) ORDER BY seq", self._account, _LARGEST_BATCH, most)
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
        found = self.tallies("run", run)
        cost = sum(cost for _, cost, _ in found)
        if manifest is None:
            return cost
        name = self.named(manifest)
        return cost + self.held("manifest", manifest) - sum(held for part, _, held in found if part == name)

    def day_spending(self, day: str) -> int:
        """What counts against the limit of a day: what was reserved on it, and everything still open from other days."""
        found = self.tallies("day", day)
        cost, own = sum(cost for _, cost, _ in found), sum(held for _, _, held in found)
        return cost + self.held("account", "") - own

    def held(self, scope: str, name: str) -> int:
        """The reservations of open jobs in a tally."""
        return sum(held for _, _, held in self.tallies(scope, self.named(name) if scope == "manifest" else name))

    def touched(self, state: str, since: float, until: float) -> int:
        """Jobs in a state that were last touched in a span of time."""
        statement = f"SELECT count(*) FROM jobs WHERE {self._mine} AND state = ? AND touched BETWEEN ? AND ?"  # noqa: S608
        return sum(int(count) for count, in self.ask(statement, self._account, state, since, until))

    def tallies(self, scope: str, name: str) -> Sequence[tuple[str, int, int]]:
        """The parts of a tally: name, cost, held."""
        statement = f"SELECT part, cost, held FROM tallies WHERE {self._mine} AND scope = ? AND name = ?"  # noqa: S608
        return [(part, int(cost), int(held)) for part, cost, held in self.ask(statement, self._account, scope, name)]

    # ── the rate meter ────────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def meter(self) -> Meter:
        """The account's meter. Raises `LedgerError` where it cannot be one."""

    @abstractmethod
    def keep_meter(self, meter: Meter) -> None:
        """Remember the account's meter."""

    def meter_of(self, found: Sequence[Any]) -> Meter:
        """The meter that stands in a row. Raises `LedgerError` where it cannot be one."""
        values = dict(zip(METER, found, strict=True))
        late = _pairs(values.pop("late"))
        for name, value in values.items():
            fits = isinstance(value, int if name in _COUNTS else float) or (value is None and name in _OPTIONAL)
            if late is None or not fits or (name in _COUNTS | {"peak"} and value is not None and value < 0):
                raise self.damaged("its rate meter does not hold times and counts")
        return Meter(**values, late=late or ())

    @staticmethod
    def row_of(meter: Meter) -> list[object]:
        """The values of a meter in the order of `METER`."""
        return [*({name: getattr(meter, name) for name in METER} | {"late": json.dumps(meter.late)}).values()]

    # ── the queue ─────────────────────────────────────────────────────────────────────────────────────────────────

    def waiters(self) -> list[Waiter]:
        """Everybody who has asked and was told to wait, also those who never came back."""
        return self.waiters_of(self.ask("SELECT name, again, since, ready, holds, places FROM waiters WHERE account = ?",
                                        self._account))

    def waiters_of(self, found: Iterable[Sequence[Any]]) -> list[Waiter]:
        """The waiters that stand in rows."""
        waiters = [Waiter(name=name, again=bool(again), since=since, ready=ready, holds=holds, places=places)
                   for name, again, since, ready, holds, places in found]
        if not all(isinstance(time, float) for one in waiters for time in (one.since, one.ready, one.holds)):
            raise self.damaged("its queue does not hold times")
        return waiters

    @abstractmethod
    def keep_waiter(self, waiter: Waiter) -> None:
        """Remember who waits."""

    def forget_waiter(self, name: str) -> None:
        """It has gone, or will not come."""
        self.tell("DELETE FROM waiters WHERE account = ? AND name = ?", self._account, name)


class SqliteBooks(Books):
    """The tables in the file at `path`."""

    def __init__(self, connection: sqlite3.Connection, path: Path, account: str | None) -> None:
        super().__init__(str(path), account)
        self._connection = connection
        self._path = path

    def ask(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except (UnicodeError, OverflowError, sqlite3.DataError, sqlite3.IntegrityError) as error:
            raise LedgerError(f"the ledger at {self._path} cannot hold this: {error}") from error

    def tell(self, statement: str, *values: object) -> None:
        self.ask(statement, *values)

    def damaged(self, what: str) -> LedgerError:
        return schema.damaged(self._path, what)

    def insert(self, row: Row) -> None:
        seq = self.ask(_INSERT_JOB, *tuple(row)[OF_JOB]).lastrowid
        self.tell(_INSERT_REQUEST, seq, row.model, row.params, row.body)
        self.tell(COUNT_JOBS, 1, seq)

    def meter(self) -> Meter:
        found = self.ask(_SELECT_METER, self._account).fetchone()
        if found is None:
            return Meter()
        return self.meter_of(found)

    def keep_meter(self, meter: Meter) -> None:
        self.tell(_KEEP_METER, self._account, *self.row_of(meter))

    def keep_waiter(self, waiter: Waiter) -> None:
        self.tell("INSERT OR REPLACE INTO waiters (account, name, again, since, ready, holds, places) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?)", self._account, waiter.name, waiter.again, waiter.since, waiter.ready,
                  waiter.holds, waiter.places)


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
