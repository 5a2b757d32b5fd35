"""`ports.Ledger` in memory, written the slow and plain way: every sum is counted from all jobs, every time.

The contract tests hold it and the real one to the same sentences. Ledgers that share `Books` are runs on one file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal

from manifest_runner.core import limits as rules
from manifest_runner.core import pace, turns
from manifest_runner.core.lifecycle import HOLDING, IN_FLIGHT, UNFINISHED, Abandoned, Event, Refused, Submitted, Succeeded
from manifest_runner.core.model import ExternalTaskId, Intent, Job, JobId, JobState, Request
from manifest_runner.errors import LedgerError
from manifest_runner.ports import Admission, Admitted, Held, SpendingLimits, Wait

DAY = 86400


@dataclass(slots=True)
class Entry:
    """A job and what the limits need to know of it."""

    job: Job
    run: str
    day: int
    touched: float
    sender: str = ""
    settled_by: str = ""


@dataclass(slots=True)
class Books:
    """What a ledger file would hold for one account. Entries keep the order in which they were made."""

    entries: dict[str, Entry] = field(default_factory=dict)
    meter: pace.Meter = field(default_factory=pace.Meter)
    waiters: dict[str, turns.Waiter] = field(default_factory=dict)
    events: list[tuple[str | None, object]] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)


class InMemoryLedger:
    """The ledger of one account for one run; nothing of it outlives the process."""

    def __init__(self, *, wall: Callable[[], float], run: str = "run-1", books: Books | None = None) -> None:
        self.books = Books() if books is None else books
        self.books.alive.add(run)
        self.run = run
        self._wall = wall

    def close(self) -> None:
        """The run is over, or was killed."""
        self.books.alive.discard(self.run)

    async def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        now = self._wall()
        self.books.meter = pace.steady(self.books.meter, now)
        known = self.books.entries.get(intent.external_task_id) or self._unfinished(intent) or self._stored(intent)
        if known is not None:
            theirs = known.sender != self.run and known.sender in self.books.alive
            if theirs or known.job.state is not JobState.INTENDED:
                return Held(job=known.job)
        else:
            if rules.sensible(intent.reserved) is None:
                raise LedgerError(f"no amount: {intent.reserved}")
            intent = replace(intent, reserved=_micro(intent.reserved))
            spent = self.run_spending(intent.key.manifest)
            rules.refuse_overspending(limits.run_credits, spent, intent.reserved, of="this run")
            rules.refuse_overspending(limits.daily_credits, self.day_spending(), intent.reserved, of="today (UTC)")
        name = (intent if known is None else known.job.intent).external_task_id
        answer = turns.ask(self.books.meter, list(self.books.waiters.values()), name, again=known is not None, rate=limits.rate,
                           concurrency=limits.concurrency, flying=lambda only: self.in_flight(accepted=only), now=now)
        self.books.meter = answer.meter
        for gone in answer.gone:
            self.books.waiters.pop(gone)
        if answer.waiter is not None:
            self.books.waiters[name] = answer.waiter
            return Wait(seconds=answer.seconds, why=answer.why)
        if known is None:
            known = Entry(job=Job(intent=intent, state=JobState.INTENDED), run=self.run, day=int(now // DAY), touched=now,
                          sender=self.run)
            self.books.entries[intent.external_task_id] = known
        fresh, known.sender, known.touched = known.sender == self.run, self.run, now
        return Admitted(job=known.job, fresh=fresh, seconds=answer.seconds, slot=answer.slot)

    def _unfinished(self, intent: Intent) -> Entry | None:
        alive = [entry for entry in self.books.entries.values()
                 if entry.job.intent.key == intent.key and entry.job.state in UNFINISHED]
        return max(alive, key=lambda entry: entry.job.intent.attempt, default=None)

    def _stored(self, intent: Intent) -> Entry | None:
        stored = [entry for entry in self.books.entries.values() if entry.job.state is JobState.STORED
                  and (entry.job.intent.key, entry.job.intent.fingerprint) == (intent.key, intent.fingerprint)]
        return max(stored, key=lambda entry: entry.job.intent.attempt, default=None)

    async def adopt(self, intent: Intent, job_id: JobId) -> Job:
        known = self.books.entries.get(intent.external_task_id) or self._unfinished(intent)
        if known is None:
            now = self._wall()
            intent = replace(intent, reserved=_micro(intent.reserved))
            known = Entry(job=Job(intent=intent, state=JobState.INTENDED), run=self.run, day=int(now // DAY), touched=now,
                          sender=self.run)
            self.books.entries[intent.external_task_id] = known
        if known.job.state is not JobState.INTENDED:
            return known.job
        return await self.record(known.job.intent.external_task_id, Submitted(job_id=job_id))

    async def record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        entry = self.books.entries.get(external_task_id)
        if entry is None:
            raise LedgerError(f"no submission {external_task_id}")
        if entry.job.state is JobState.INTENDED and entry.sender != self.run and (
                isinstance(event, Refused) or (isinstance(event, Abandoned) and entry.sender in self.books.alive)):
            raise LedgerError(f"another run may have sent {external_task_id}")
        job, left = rules.apply(entry.job, event), entry.touched
        sent = entry.job.state is JobState.INTENDED and job.state is JobState.SUBMITTED
        entry.job = job if job.charged is None else replace(job, charged=_micro(job.charged))
        entry.touched = self._wall()
        if job.state not in HOLDING and not entry.settled_by:
            entry.settled_by = self.run
        if sent:
            now = self._wall()
            self.books.meter = pace.accepted(pace.steady(self.books.meter, now), left, self.in_flight(accepted=True))
        self.books.events.append((external_task_id, event))
        return entry.job

    async def throttled(self, external_task_id: ExternalTaskId, seconds: float | None, *,
                        crowded: bool = False) -> pace.Patience | None:
        now = self._wall()
        entry = self.books.entries.get(external_task_id)
        left = now if entry is None else entry.touched
        before = pace.steady(self.books.meter, now)
        self.books.meter = (pace.crowded(before, seconds, left, self.in_flight(accepted=True), now) if crowded
                            else pace.slowed(before, seconds, left, now))
        return pace.patience(before, self.books.meter, now)

    async def late(self, slot: pace.Slot, left: float) -> None:
        self.books.meter = pace.late(pace.steady(self.books.meter, self._wall()), slot, left)

    async def durations(self) -> Sequence[tuple[Request, float]]:
        took = {task: event.took for task, event in self.books.events if isinstance(event, Succeeded)}
        return [(entry.job.intent.request, seconds) for task, entry in self.books.entries.items()
                if (seconds := took.get(task)) is not None]

    async def left(self, manifest: str, limits: SpendingLimits) -> Decimal | None:
        rooms = [limit - spent for limit, spent in ((limits.run_credits, self.run_spending(manifest)),
                                                    (limits.daily_credits, self.day_spending())) if limit is not None]
        return max(min(rooms), Decimal(0)) if rooms else None

    async def jobs(self, manifest: str) -> Sequence[Job]:
        mine = [entry.job for entry in self.books.entries.values() if entry.job.intent.key.manifest == manifest]
        latest = {(job.intent.key.shot, job.intent.key.take): job for job in sorted(mine, key=lambda job: job.intent.attempt)}
        return [latest[key] for key in sorted(latest)]

    def run_spending(self, manifest: str) -> Decimal:
        """What counts against this run's limit."""
        return sum((rules.cost(entry.job) for entry in self.books.entries.values()
                    if self.run in (entry.run, entry.settled_by)
                    or (entry.job.intent.key.manifest == manifest and entry.job.state in HOLDING)), Decimal(0))

    def day_spending(self) -> Decimal:
        """What counts against today's limit."""
        today = int(self._wall() // DAY)
        return sum((rules.cost(entry.job) for entry in self.books.entries.values()
                    if entry.day == today or entry.job.state in HOLDING), Decimal(0))

    def in_flight(self, *, accepted: bool = False) -> int:
        """Jobs that hold a place, without the forgotten ones; or of these the ones that the gateway has accepted."""
        now = self._wall()
        return sum(entry.job.state in IN_FLIGHT and not (accepted and entry.job.state is JobState.INTENDED)
                   and -3600 <= now - entry.touched <= (120 if entry.job.state is JobState.INTENDED else 3600)
                   for entry in self.books.entries.values())


def _micro(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.000001"), rounding=ROUND_CEILING)
