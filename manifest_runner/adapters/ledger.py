"""The ledger: the one truth for money, a SQLite file that all processes of an account share.

Laws:

- What a method has returned is on disk (write-ahead log, synced at every commit). A kill at any instruction leaves what
  was committed and nothing of what was not.
- A decision and its record are one transaction that excludes all other writers, so limits hold across processes.
- Nothing is admitted that a credit limit does not cover in the worst case; in doubt and missing stay reserved.
- Accounts do not see each other: a draft on the simulator is another account than the gateway's.

This module waits for nothing and knows no event loop; `ledger_group.py` gives it one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_books import Books, detail_of
from manifest_runner.adapters.ledger_rows import Row, as_recorded, changed_row, from_micro, new_row, sealed, to_micro
from manifest_runner.adapters.ledger_runs import RunMark, is_alive
from manifest_runner.core import limits as rules
from manifest_runner.core import pace, turns
from manifest_runner.core.lifecycle import HOLDING, IN_FLIGHT, UNFINISHED, Abandoned, Event, Intended, Progressed, Submitted
from manifest_runner.core.model import ExternalTaskId, Fingerprint, Intent, Job, JobId, JobState, LockEntry, Request, ShotId
from manifest_runner.core.pace import Patience, Slot
from manifest_runner.errors import LedgerError, ManifestRunnerError
from manifest_runner.ports import Admission, Admitted, Held, SpendingLimits, Wait

FLIGHT_SECONDS = 3600.0
"""A job that nobody has looked after for so long holds no place among the jobs in flight: its run was killed and not taken
up again, and a place held for ever would stop the account. Its reservation stands all the same."""

INTENT_SECONDS = 120.0
"""The same for an intent without an answer: sending takes seconds, so its process is gone."""

REMEMBERED = 2000
"""Finished jobs from which a run learns when to look at its own."""

FEW_ROWS = 1000
"""Up to how many rows are asked for by number; where there are more, most of the table is wanted."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Credits as the limits see them. `run` and `day` are what counts against either limit; `reserved` is what open jobs
    hold (of the manifest that was asked about, or of the account); `in_flight` counts jobs of the account."""

    run: Decimal
    day: Decimal
    reserved: Decimal
    in_flight: int


class SqliteLedger:
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
                      wall: Callable[[], float] = time.time) -> SqliteLedger | None:
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
        self._connection = connection
        self._path = path
        self._books = Books(connection, path, account)
        self._account = account or ""  # for writing, which a connection without an account cannot do
        self._run = run
        self._sender = sender
        self._wall = wall
        self._mark = mark

    def __enter__(self) -> SqliteLedger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the last process to do so folds the log into it."""
        with schema.translated(self._path):
            self._connection.close()
            if self._mark is not None:
                self._mark.remove()

    # ── what the port asks for ────────────────────────────────────────────────────────────────────────────────────

    def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        """Decide whether a submission may leave now and, if so, reserve and record it, durably.

        A submission of the take that is recorded and has no answer is admitted again, under its *own* id and with its
        *stored* body, unless another run that is alive is about to send it: only pause and rate count. Raises
        `BudgetExceeded` or `LedgerError`.
        """
        with self._transaction():
            now = self._wall()  # only now: the lock may have taken seconds to win
            recorded = self._books.find(intent.external_task_id) or self._unfinished(intent) or self._stored(intent)
            if recorded is not None:
                return self._admit_again(recorded, limits, now)
            return self._admit_new(intent, limits, now)

    def adopt(self, intent: Intent, job_id: JobId) -> Job:
        """Record a job that the gateway has and this ledger does not, in one transaction and without asking any limit. What
        is known of the submission, or alive for its take, is returned as it stands."""
        with self._transaction():
            row = self._books.find(intent.external_task_id) or self._unfinished(intent)
            if row is not None and row.state != JobState.INTENDED.value:
                return self._books.job(row)
            if row is None:
                self._insert(replace(intent, reserved=from_micro(to_micro(intent.reserved))), self._wall())
            return self.record(ExternalTaskId(row.external_task_id) if row is not None else intent.external_task_id,
                               Submitted(job_id=job_id))

    def record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        """Apply an event, durably, and return the job after it.

        Raises `IllegalEvent`, `Conflict` (the gateway names another job than before) or `LedgerError`.
        """
        with self._transaction():
            now = self._wall()
            row = self._books.find(external_task_id)
            if row is None:
                raise LedgerError(f"the ledger at {self._path} knows no submission {external_task_id}")
            before = self._books.job(row)
            if isinstance(event, Abandoned) and before.state is JobState.INTENDED and self._is_being_sent(row):
                raise LedgerError(f"a run is sending {external_task_id} at this moment: it cannot be given up",
                                  hint="stop that run first (Ctrl-C), or wait for the answer")
            after = rules.apply(before, event)
            if after == before and isinstance(event, Progressed) and not event.raw:  # no news, and worth no line in the trail
                self._books.touch(row, now)
                return before
            settled_by = row.settled_by or ("" if after.state in HOLDING else self._run)
            changed = self._storable(partial(changed_row, row, after, settled_by=settled_by, now=now))
            self._books.update(changed)
            if before.state is JobState.INTENDED and after.state is JobState.SUBMITTED:
                self._learn(row.touched, now)
            self._books.note(type(event).__name__, detail_of(event), now, external_task_id)
            return self._books.job(changed)

    def throttled(self, external_task_id: ExternalTaskId, seconds: float | None, *, crowded: bool = False) -> Patience | None:
        """The gateway has refused a submission for now and asked to wait `seconds` (an hour at most): see `ports.Ledger`. A
        longer pause that is under way stands."""
        with self._transaction():
            now = self._wall()
            row = self._books.find(external_task_id)
            left = now if row is None else row.touched  # an intent is touched when it is admitted
            before = pace.steady(self._books.meter(), now)
            after = (pace.crowded(before, seconds, left, self._accepted(now), now) if crowded
                     else pace.slowed(before, seconds, left, now))
            self._books.keep_meter(after)
            detail = {"said": seconds, "crowded": crowded, "pace": pace.pace(after), "places": after.places}
            self._books.note("Throttled", detail, now, None if row is None else external_task_id)
            return pace.patience(before, after, now)

    def late(self, slot: Slot, left: float) -> None:
        """A submission used its slot late: see `ports.Ledger`."""
        with self._transaction():
            now = self._wall()
            self._books.keep_meter(pace.late(pace.steady(self._books.meter(), now), slot, left))
            self._books.note("Late", {"opened": slot.opens, "left": left}, now)

    def jobs(self, manifest: str) -> list[Job]:
        """The latest attempt of every take of a manifest, ordered by shot and take."""
        latest = {(job.intent.key.shot, job.intent.key.take): job for job in self.history(manifest)}
        return list(latest.values())

    def history(self, manifest: str) -> list[Job]:
        """All attempts of all takes of a manifest, ordered by shot, take and attempt."""
        with schema.translated(self._path):
            rows = self._books.rows("manifest = ? ORDER BY shot, take, attempt, seq", manifest)
            return [self._books.job(row) for row in rows]

    def history_beyond(self, manifest: str, held: Mapping[tuple[ShotId, int, Fingerprint], LockEntry]) -> list[Job]:
        """The same without what a plan learns nothing from. `held` are the clips, by shot, take and fingerprint, that the
        lockfile has: of a take whose latest attempt was stored and is one of them, only other stored clips are told, and those
        of which the lockfile says something else."""
        with schema.translated(self._path):
            settled: dict[tuple[ShotId, int], bool] = {}
            outline = self._books.outline(manifest)
            for _, clip, state, _ in outline:  # of each take the last one stands, which is its latest attempt
                settled[clip[:2]] = state == JobState.STORED and clip in held
            wanted = {seq for seq, clip, state, outputs in outline
                      if not settled[clip[:2]] or (state == JobState.STORED
                                                   and (clip not in held or not as_recorded(held[clip], outputs)))}
            few = f"seq IN ({', '.join(map(str, wanted))})" if len(wanted) <= FEW_ROWS else "TRUE"
            rows = self._books.rows(f"manifest = ? AND {few} ORDER BY shot, take, attempt, seq", manifest)
            return [self._books.job(row) for row in rows if row.seq in wanted]

    def durations(self) -> list[tuple[Request, float]]:
        """What the account's latest succeeded jobs asked for and how long the provider took: see `ports.Ledger`."""
        with schema.translated(self._path):
            return self._books.durations(REMEMBERED)

    # ── what `status` and recovery ask for ────────────────────────────────────────────────────────────────────────

    def all_unfinished(self) -> list[Job]:
        """All jobs of the account that a later run must deal with, ordered by manifest, shot, take and attempt."""
        condition = f"state IN {schema.states(UNFINISHED)} ORDER BY manifest, shot, take, attempt, seq"
        with schema.translated(self._path):
            return [self._books.job(row) for row in self._books.rows(condition)]

    def spent(self, manifest: str | None = None) -> Spending:
        """What counts against the limits now; for the run, with what earlier runs of `manifest` left open."""
        with schema.translated(self._path):
            now = self._wall()
            held = self._books.held("account", "") if manifest is None else self._books.held("manifest", manifest)
            return Spending(
                run=from_micro(self._books.run_spending(self._run, manifest)),
                day=from_micro(self._books.day_spending(self._day(now))), reserved=from_micro(held),
                in_flight=self._in_flight(now))

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def transact(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        """Call methods of this ledger in one transaction, with one sync; their results in the same order.

        An operation that fails with an error of ours leaves nothing behind and does not disturb the others: its error
        stands in its place. Where the file itself fails, none of them has happened and `LedgerError` is raised.
        """
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

    # ── how `admit` decides ───────────────────────────────────────────────────────────────────────────────────────

    def _admit_again(self, row: Row, limits: SpendingLimits, now: float) -> Admission:
        job = self._books.job(row)
        fresh = row.sender == self._sender  # then this one knows what became of it; of another's, bytes may have left
        if job.state is not JobState.INTENDED or self._is_being_sent(row):
            return Held(job=job)
        turn = self._ask(job.intent, limits, now, again=True)
        if turn.why:
            return Wait(seconds=turn.seconds, why=turn.why)
        self._books.update(sealed(row._replace(sender=self._sender, touched=now)))
        self._books.note("Intended", {"again": True, "run": self._run, "ahead": turn.seconds}, now, row.external_task_id)
        return Admitted(job=job, fresh=fresh, seconds=turn.seconds, slot=turn.slot)

    def _is_being_sent(self, row: Row) -> bool:
        """Whether another sender, which is alive, has it in its hands."""
        return row.sender != self._sender and is_alive(self._path, row.sender)

    def _unfinished(self, intent: Intent) -> Row | None:
        """A submission under another id that is alive for the same take."""
        key = intent.key
        rows = self._books.rows(f"manifest = ? AND shot = ? AND take = ? AND state IN {schema.states(UNFINISHED)} "
                                "ORDER BY attempt DESC, seq DESC LIMIT 1", key.manifest, key.shot, key.take)
        return rows[0] if rows else None

    def _stored(self, intent: Intent) -> Row | None:
        """A clip of this very request that this take has already: a plan that is older than it must not buy it again."""
        key = intent.key
        rows = self._books.rows("manifest = ? AND shot = ? AND take = ? AND fingerprint = ? AND state = ? "
                                "ORDER BY attempt DESC, seq DESC LIMIT 1",
                                key.manifest, key.shot, key.take, intent.fingerprint, JobState.STORED.value)
        return rows[0] if rows else None

    def _admit_new(self, intent: Intent, limits: SpendingLimits, now: float) -> Admission:
        if rules.sensible(intent.reserved) is None:
            raise LedgerError(f"{intent.external_task_id} would reserve {intent.reserved} credits, which is no amount")
        intent = replace(intent, reserved=from_micro(to_micro(intent.reserved)))
        # Credits first: a run that has spent its limit is told so at once, not after a wait for its turn.
        self._check_credits(intent, limits, now)
        turn = self._ask(intent, limits, now)
        if turn.why:
            return Wait(seconds=turn.seconds, why=turn.why)
        return Admitted(job=self._insert(intent, now, ahead=turn.seconds), seconds=turn.seconds, slot=turn.slot)

    def _insert(self, intent: Intent, now: float, *, ahead: float = 0.0) -> Job:
        row = self._storable(
            partial(new_row, intent, account=self._account, run=self._run, sender=self._sender, day=self._day(now), now=now))
        self._books.insert(row)
        self._books.note("Intended", {**detail_of(Intended(intent=intent)), "run": self._run, "ahead": ahead}, now,
                         intent.external_task_id)
        return self._books.job(row)

    def _check_credits(self, intent: Intent, limits: SpendingLimits, now: float) -> None:
        if limits.run_credits is not None:
            spent = from_micro(self._books.run_spending(self._run, intent.key.manifest))
            rules.refuse_overspending(limits.run_credits, spent, intent.reserved, of="this run")
        if limits.daily_credits is not None:
            spent = from_micro(self._books.day_spending(self._day(now)))
            rules.refuse_overspending(limits.daily_credits, spent, intent.reserved, of="today (UTC)")

    def _ask(self, intent: Intent, limits: SpendingLimits, now: float, *, again: bool = False) -> turns.Answer:
        """What pace, places in flight and the queue say, remembered. Where it does not say to wait, the slot is taken."""
        stored = self._books.meter()
        answer = turns.ask(pace.steady(stored, now), self._books.waiters(), intent.external_task_id, again=again,
                           rate=limits.rate, concurrency=limits.concurrency, now=now,
                           flying=lambda accepted: self._accepted(now) if accepted else self._in_flight(now))
        if answer.meter != stored:
            self._books.keep_meter(answer.meter)
        for name in answer.gone:
            self._books.forget_waiter(name)
        if answer.waiter is not None:
            self._books.keep_waiter(answer.waiter)
        return answer

    def _learn(self, left: float, now: float) -> None:
        """The gateway has accepted a submission: what it taught about pace and places recovers a step."""
        meter = self._books.meter()
        if meter.peak is not None or meter.places is not None:
            self._books.keep_meter(pace.accepted(pace.steady(meter, now), left, self._accepted(now)))

    def _in_flight(self, now: float) -> int:
        """Jobs that hold a place, without the forgotten ones."""
        return self._touched(IN_FLIGHT, now)

    def _accepted(self, now: float) -> int:
        """The same, of those that the gateway has accepted."""
        return self._touched(IN_FLIGHT - {JobState.INTENDED}, now)

    def _touched(self, states: frozenset[JobState], now: float) -> int:
        # An hour ahead too: a clock that was stepped back must not make forgotten jobs look alive for ever.
        age = {state: INTENT_SECONDS if state is JobState.INTENDED else FLIGHT_SECONDS for state in states}
        return sum(self._books.touched(state, now - age[state], now + FLIGHT_SECONDS) for state in age)

    def _day(self, now: float) -> str:
        try:
            return datetime.fromtimestamp(now, UTC).date().isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise LedgerError(f"the clock of this machine says {now}, which is no date") from error

    def _storable(self, make: Callable[[], Row]) -> Row:
        try:
            return make()
        except (ValueError, TypeError, RecursionError) as error:
            raise LedgerError(f"the ledger at {self._path} cannot hold this: {error}") from error
