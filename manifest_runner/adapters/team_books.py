"""The tables of the team's ledger, as the repository `project` sees them on behalf of `who`.

Laws:

- What one decision asks is fetched in one round trip (`prepare`), and remembered until something is told.
- The meter lies in the account's row, which is locked: it is read with the lock and written with the commit.
- Repositories share an account and not their takes: here a manifest is called `PROJECT:PATH`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_books import COUNT_JOBS, METER, Books
from manifest_runner.adapters.ledger_rows import COLUMNS, OF_JOB, Row, from_micro
from manifest_runner.adapters.team_link import Link, Statement
from manifest_runner.core.lifecycle import HOLDING, IN_FLIGHT
from manifest_runner.core.model import Intent, JobState
from manifest_runner.core.pace import Meter
from manifest_runner.core.turns import Waiter

_NAMES = (*COLUMNS[OF_JOB], "who")
_INSERT = f"""
WITH job AS (INSERT INTO jobs ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) RETURNING seq)
INSERT INTO requests (seq, model, params, body) SELECT seq, ?, ?, ? FROM job"""  # noqa: S608 - names of our own columns
_COUNT = COUNT_JOBS.replace("seq = ?", "seq = (SELECT seq FROM jobs WHERE account = ? AND external_task_id = ?)")
_LOCK = f"SELECT changes, {', '.join(METER)} FROM accounts WHERE account = ? FOR UPDATE"  # noqa: S608 - as above
_UNLOCK = f"UPDATE accounts SET changes = changes + 1, {', '.join(f'{name} = ?' for name in METER)} WHERE account = ?"  # noqa: S608
_FLYING = f"state IN {schema.states(IN_FLIGHT)}"
_HOLDERS = (f"SELECT who, count(*) FROM jobs WHERE account = ? AND {_FLYING} AND touched BETWEEN ? AND ? "  # noqa: S608
            "GROUP BY who ORDER BY 2 DESC, 1 LIMIT 3")
_RESERVING = (f"SELECT who, sum(reserved) FROM jobs WHERE account = ? AND state IN {schema.states(HOLDING)} "  # noqa: S608
              "GROUP BY who ORDER BY 2 DESC, 1 LIMIT 3")
_KEEP_WAITER = """
INSERT INTO waiters (account, name, again, since, ready, holds, places, who) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, name) DO UPDATE SET again = excluded.again, since = excluded.since, ready = excluded.ready,
holds = excluded.holds, places = excluded.places, who = excluded.who"""


class TeamBooks(Books):
    """The tables behind a `link`. Without an `account` only to look at."""

    def __init__(self, link: Link, account: str | None, *, project: str, who: str) -> None:
        super().__init__(link.shown, account)
        self._link = link
        self._prefix = f"{project}:"
        self._who = who
        self._known: dict[Statement, list[tuple[Any, ...]]] = {}
        self._wanted: list[Statement] | None = None  # while it is only collected what will be asked
        self._meter = self.meter_found = Meter()
        self.changes = 0
        """Transactions that the account has had, when its row was locked last."""

    # ── the account's row ─────────────────────────────────────────────────────────────────────────────────────────

    def lock(self) -> Statement:
        """Waits until nobody else changes anything of the account, and keeps it so until the end of the transaction."""
        return _LOCK, (self._account,)

    def locked(self, found: Sequence[Any]) -> None:
        """Take what the lock has read."""
        self.forget()
        self.changes, self._meter = int(found[0]), self.meter_of(found[1:])
        self.meter_found = self._meter

    def forget(self) -> None:
        """What was asked so far is so no longer: a transaction, or a part of one, is over."""
        self._known = {}

    def unlock(self) -> Statement:
        """Write the account's row."""
        return _UNLOCK, (*self.row_of(self._meter), self._account)

    def meter(self) -> Meter:
        return self._meter

    def keep_meter(self, meter: Meter) -> None:
        self._meter = meter

    # ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        wanted = statement, values
        if self._wanted is not None:
            self._wanted.append(wanted)
            return []
        if wanted not in self._known:
            self._known[wanted] = self._link.ask([wanted])[0]
        return self._known[wanted] if self._link.is_open else self._known.pop(wanted)

    def tell(self, statement: str, *values: object) -> None:
        self._known = {}
        self._link.tell(statement, *values)

    def prepare(self, intent: Intent, *, run: str, day: str, flying: Mapping[JobState, tuple[float, float]]) -> None:
        wanted: list[Statement] = []
        self._wanted = wanted
        try:
            self.find(intent.external_task_id)
            self.unfinished(intent)
            self.stored(intent)
            self.run_spending(run, intent.key.manifest)
            self.day_spending(day)
            self.waiters()
            for state, span in flying.items():
                self.touched(state, *span)
        finally:
            self._wanted = None
        self._known = dict(zip(wanted, self._link.ask(wanted), strict=True))

    def named(self, manifest: str) -> str:
        return self._prefix + manifest

    def row(self, found: Sequence[Any]) -> Row:
        row = Row._make(found)
        return row._replace(manifest=row.manifest.partition(":")[2], error=json.loads(row.error))

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def insert(self, row: Row) -> None:
        told = row._replace(manifest=self.named(row.manifest), error=json.dumps(row.error))
        self.tell(_INSERT, *tuple(told)[OF_JOB], self._who, row.model, row.params, row.body)
        self.tell(_COUNT, 1, row.account, row.external_task_id)

    def update(self, row: Row) -> None:
        super().update(row._replace(error=json.dumps(row.error)))

    def keep_waiter(self, waiter: Waiter) -> None:
        self.tell(_KEEP_WAITER, self._account, waiter.name, int(waiter.again), waiter.since, waiter.ready, waiter.holds,
                  waiter.places, self._who)

    # ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def holders(self, since: float, until: float) -> str:
        """Who has jobs in flight, those with the most first."""
        return ", ".join(f"{who} {count}" for who, count in self.ask(_HOLDERS, self._account, since, until))

    def reserving(self) -> str:
        """Who holds reservations, those with the most first."""
        return ", ".join(f"{who} {from_micro(int(amount)):,f}" for who, amount in self.ask(_RESERVING, self._account))

    def first_in_line(self, since: float) -> str:
        """Who of the others has waited longest and still does."""
        found = self.ask("SELECT who FROM waiters WHERE account = ? AND holds >= ? AND who <> ? ORDER BY since, name LIMIT 1",
                         self._account, since, self._who)
        return str(found[0][0]) if found else ""
