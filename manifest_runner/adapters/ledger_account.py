"""One account's ledger, whatever keeps it: what may be admitted, what is recorded of a job, and what can be asked.

Laws:

- A decision and its record are one transaction that excludes all other writers of the account, so limits hold across
  processes. What decides is in `core`, as functions of what is recorded and of the time; this joins the two.
- Nothing is admitted that a credit limit does not cover in the worst case; in doubt and missing stay reserved.
- Accounts do not see each other: a draft on the simulator is another account than the gateway's.
- Who keeps the books (`ledger.py`: a file; `team_ledger.py`: a database) decides nothing about money: it opens transactions,
  tells the time, and knows who is alive.

This module waits for nothing and knows no event loop; `ledger_group.py` gives it one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from manifest_runner.adapters import ledger_schema as schema
from manifest_runner.adapters.ledger_books import Books, detail_of
from manifest_runner.adapters.ledger_rows import Row, as_recorded, changed_row, from_micro, new_row, sealed, to_micro
from manifest_runner.core import limits as rules
from manifest_runner.core import pace, turns
from manifest_runner.core.lifecycle import (
    HOLDING,
    IN_FLIGHT,
    UNFINISHED,
    Abandoned,
    Event,
    Intended,
    Progressed,
    Refused,
    Submitted,
)
from manifest_runner.core.model import ExternalTaskId, Fingerprint, Intent, Job, JobId, JobState, LockEntry, Request, ShotId
from manifest_runner.core.pace import Patience, Slot
from manifest_runner.errors import BudgetExceeded, LedgerError, ManifestRunnerError
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


class AccountLedger(ABC):
    """The ledger of one account, on behalf of one run. Synchronous; one thread at a time.

    `run` names this run, whose limit of credits several processes may share; `sender` names the command that sends, which is
    one process alone.
    """

    def __init__(self, books: Books, *, shown: str, account: str | None, run: str, sender: str) -> None:
        self._books = books
        self._shown = shown
        self._account = account or ""  # for writing, which a ledger without an account cannot do
        self._run = run
        self._sender = sender

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ── what is kept where ────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def close(self) -> None:
        """Let go of the books; from then on this sender is known to be gone."""

    @abstractmethod
    def transact(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        """Call methods of this ledger in as few transactions as may be, with one sync for each; their results in the same
        order.

        An operation that fails with an error of ours leaves nothing behind and does not disturb the others: its error
        stands in its place. Where the books themselves fail and none of them has happened, `LedgerError` is raised.
        """

    @abstractmethod
    def _change(self, operation: Callable[[], T]) -> T:
        """An operation in a transaction of its own, or within the one that is open."""

    @abstractmethod
    def _look(self, question: Callable[[], T]) -> T:
        """The answer to a question that changes nothing."""

    @abstractmethod
    def _now(self) -> float:
        """The time of the books, in seconds since 1970: one clock for all who share them."""

    @abstractmethod
    def _is_being_sent(self, row: Row) -> bool:
        """Whether another sender, which is alive, has it in its hands."""

    # ── what the port asks for ────────────────────────────────────────────────────────────────────────────────────

    def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        """Decide whether a submission may leave now and, if so, reserve and record it, durably.

        A submission of the take that is recorded and has no answer is admitted again, under its *own* id and with its
        *stored* body, unless another run that is alive is about to send it: only pause and rate count. Raises
        `BudgetExceeded` or `LedgerError`.
        """
        return self._change(partial(self._admit, intent, limits))

    def _admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        now = self._now()  # only now: the lock may have taken seconds to win
        self._books.prepare(intent, run=self._run, day=self._day(now), flying=self._spans(IN_FLIGHT, now))
        recorded = self._books.find(intent.external_task_id) or self._books.unfinished(intent) or self._books.stored(intent)
        if recorded is not None:
            return self._admit_again(recorded, limits, now)
        return self._admit_new(intent, limits, now)

    def adopt(self, intent: Intent, job_id: JobId) -> Job:
        """Record a job that the gateway has and this ledger does not, in one transaction and without asking any limit. What
        is known of the submission, or alive for its take, is returned as it stands."""
        return self._change(partial(self._adopt, intent, job_id))

    def _adopt(self, intent: Intent, job_id: JobId) -> Job:
        row = self._books.find(intent.external_task_id) or self._books.unfinished(intent)
        if row is not None and row.state != JobState.INTENDED.value:
            return self._books.job(row)
        if row is None:
            self._insert(replace(intent, reserved=from_micro(to_micro(intent.reserved))), self._now())
        return self._record(ExternalTaskId(row.external_task_id) if row is not None else intent.external_task_id,
                            Submitted(job_id=job_id))

    def record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        """Apply an event, durably, and return the job after it.

        Raises `IllegalEvent`, `Conflict` (the gateway names another job than before) or `LedgerError`.
        """
        return self._change(partial(self._record, external_task_id, event))

    def _record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        now = self._now()
        row = self._books.find(external_task_id)
        if row is None:
            raise LedgerError(f"the ledger at {self._shown} knows no submission {external_task_id}")
        before = self._books.job(row)
        if before.state is JobState.INTENDED and (
                (isinstance(event, Refused) and row.sender != self._sender)  # whoever has taken it up may have sent it, too
                or (isinstance(event, Abandoned) and self._is_being_sent(row))):
            self._refuse_to_end(row, event)
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

    def _refuse_to_end(self, row: Row, event: Event) -> NoReturn:
        """Nobody ends what another sender has in its hands: neither a person who gives it up nor one who had it before."""
        who, what = self._name_of(row) or "a run", row.external_task_id
        if isinstance(event, Abandoned):
            raise LedgerError(f"{who} is sending {what} at this moment: it cannot be given up",
                              hint="stop that run first (Ctrl-C), or wait for the answer")
        raise LedgerError(f"{who} has taken up {what}, since this run was silent for too long: the answer that it gets counts",
                          hint="run the same command again: it follows that one")

    def throttled(self, external_task_id: ExternalTaskId, seconds: float | None, *, crowded: bool = False) -> Patience | None:
        """The gateway has refused a submission for now and asked to wait `seconds` (an hour at most): see `ports.Ledger`. A
        longer pause that is under way stands."""
        return self._change(partial(self._throttled, external_task_id, seconds, crowded))

    def _throttled(self, external_task_id: ExternalTaskId, seconds: float | None, crowded: bool) -> Patience | None:
        now = self._now()
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
        self._change(partial(self._late, slot, left))

    def _late(self, slot: Slot, left: float) -> None:
        now = self._now()
        self._books.keep_meter(pace.late(pace.steady(self._books.meter(), now), slot, left))
        self._books.note("Late", {"opened": slot.opens, "left": left}, now)

    def jobs(self, manifest: str) -> list[Job]:
        """The latest attempt of every take of a manifest, ordered by shot and take."""
        latest = {(job.intent.key.shot, job.intent.key.take): job for job in self.history(manifest)}
        return list(latest.values())

    def history(self, manifest: str) -> list[Job]:
        """All attempts of all takes of a manifest, ordered by shot, take and attempt."""
        return self._look(lambda: [self._books.job(row) for row in self._books.history(manifest)])

    def history_beyond(self, manifest: str, held: Mapping[tuple[ShotId, int, Fingerprint], LockEntry]) -> list[Job]:
        """The same without what a plan learns nothing from. `held` are the clips, by shot, take and fingerprint, that the
        lockfile has: of a take whose latest attempt was stored and is one of them, only other stored clips are told, and those
        of which the lockfile says something else."""
        return self._look(partial(self._history_beyond, manifest, held))

    def _history_beyond(self, manifest: str, held: Mapping[tuple[ShotId, int, Fingerprint], LockEntry]) -> list[Job]:
        settled: dict[tuple[ShotId, int], bool] = {}
        outline = self._books.outline(manifest)
        for _, clip, state, _ in outline:  # of each take the last one stands, which is its latest attempt
            settled[clip[:2]] = state == JobState.STORED and clip in held
        wanted = {seq for seq, clip, state, outputs in outline
                  if not settled[clip[:2]] or (state == JobState.STORED
                                               and (clip not in held or not as_recorded(held[clip], outputs)))}
        few = f"seq IN ({', '.join(map(str, wanted))})" if 0 < len(wanted) <= FEW_ROWS else "TRUE"
        rows = self._books.history(manifest, few) if wanted else []
        return [self._books.job(row) for row in rows if row.seq in wanted]

    def durations(self) -> list[tuple[Request, float]]:
        """What the account's latest succeeded jobs asked for and how long the provider took, the latest last."""
        return self._look(lambda: self._books.durations(REMEMBERED))

    # ── what `status` and recovery ask for ────────────────────────────────────────────────────────────────────────

    def all_unfinished(self) -> list[Job]:
        """All jobs of the account that a later run must deal with, ordered by manifest, shot, take and attempt."""
        condition = f"state IN {schema.states(UNFINISHED)} ORDER BY manifest, shot, take, attempt, seq"
        return self._look(lambda: [self._books.job(row) for row in self._books.rows(condition)])

    def spent(self, manifest: str | None = None) -> Spending:
        """What counts against the limits now; for the run, with what earlier runs of `manifest` left open."""
        return self._look(partial(self._spent, manifest))

    def left(self, manifest: str, limits: SpendingLimits) -> Decimal | None:
        """The credits that this run of a manifest may still reserve, as things stand; None where the limits set no bound."""
        if limits.run_credits is None and limits.daily_credits is None:
            return None
        spent = self.spent(manifest)
        rooms = (rules.room(limits.run_credits, spent.run), rules.room(limits.daily_credits, spent.day))
        return min(room for room in rooms if room is not None)

    def _spent(self, manifest: str | None) -> Spending:
        now = self._now()
        held = self._books.held("account", "") if manifest is None else self._books.held("manifest", manifest)
        return Spending(
            run=from_micro(self._books.run_spending(self._run, manifest)),
            day=from_micro(self._books.day_spending(self._day(now))), reserved=from_micro(held),
            in_flight=self._in_flight(now))

    # ── how `admit` decides ───────────────────────────────────────────────────────────────────────────────────────

    def _admit_again(self, row: Row, limits: SpendingLimits, now: float) -> Admission:
        job = self._books.job(row)
        fresh = row.sender == self._sender  # then this one knows what became of it; of another's, bytes may have left
        if job.state is not JobState.INTENDED or self._is_being_sent(row):
            return Held(job=job, who=self._name_of(row) if job.state is JobState.INTENDED else "")
        turn = self._ask(job.intent, limits, now, again=True)
        if turn.why:
            return Wait(seconds=turn.seconds, why=turn.why, who=self._busy(turn))
        self._books.update(sealed(row._replace(sender=self._sender, touched=now)))
        self._books.note("Intended", {"again": True, "run": self._run, "ahead": turn.seconds}, now, row.external_task_id)
        return Admitted(job=job, fresh=fresh, seconds=turn.seconds, slot=turn.slot)

    def _name_of(self, row: Row) -> str:  # noqa: ARG002 - one that knows names overrides it
        """Who has a submission in its hands, in words; nothing where books keep no names."""
        return ""

    def _busy(self, answer: turns.Answer) -> str:  # noqa: ARG002 - as above
        """Whom an answer asks to wait for."""
        return ""

    def _reserving(self) -> str:
        """Who holds the account's reservations."""
        return ""

    def _admit_new(self, intent: Intent, limits: SpendingLimits, now: float) -> Admission:
        if rules.sensible(intent.reserved) is None:
            raise LedgerError(f"{intent.external_task_id} would reserve {intent.reserved} credits, which is no amount")
        intent = replace(intent, reserved=from_micro(to_micro(intent.reserved)))
        # Credits first: a run that has spent its limit is told so at once, not after a wait for its turn.
        self._check_credits(intent, limits, now)
        turn = self._ask(intent, limits, now)
        if turn.why:
            return Wait(seconds=turn.seconds, why=turn.why, who=self._busy(turn))
        return Admitted(job=self._insert(intent, now, ahead=turn.seconds), seconds=turn.seconds, slot=turn.slot)

    def _insert(self, intent: Intent, now: float, *, ahead: float = 0.0) -> Job:
        row = self._storable(
            partial(new_row, intent, account=self._account, run=self._run, sender=self._sender, day=self._day(now), now=now))
        self._books.insert(row)
        self._books.note("Intended", {**detail_of(Intended(intent=intent)), "run": self._run, "ahead": ahead}, now,
                         intent.external_task_id)
        return self._books.job(row)

    def _check_credits(self, intent: Intent, limits: SpendingLimits, now: float) -> None:
        try:
            self._refuse_overspending(intent, limits, now)
        except BudgetExceeded as error:
            holders = self._reserving()
            if not holders:
                raise
            raise BudgetExceeded(f"{error.message}; open reservations: {holders}", hint=error.hint) from None

    def _refuse_overspending(self, intent: Intent, limits: SpendingLimits, now: float) -> None:
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
        return sum(self._books.touched(state, *span) for state, span in self._spans(states, now).items())

    def _spans(self, states: frozenset[JobState], now: float) -> dict[JobState, tuple[float, float]]:
        """When a job in each of these states must have been looked after to count."""
        # An hour ahead too: a clock that was stepped back must not make forgotten jobs look alive for ever.
        age = {state: INTENT_SECONDS if state is JobState.INTENDED else FLIGHT_SECONDS for state in sorted(states)}
        return {state: (now - seconds, now + FLIGHT_SECONDS) for state, seconds in age.items()}

    def _day(self, now: float) -> str:
        try:
            return datetime.fromtimestamp(now, UTC).date().isoformat()
        except (ValueError, OverflowError, OSError) as error:
            raise LedgerError(f"the clock of this machine says {now}, which is no date") from error

    def _storable(self, make: Callable[[], Row]) -> Row:
        try:
            return make()
        except (ValueError, TypeError, RecursionError) as error:
            raise LedgerError(f"the ledger at {self._shown} cannot hold this: {error}") from error
