"""From an intent to a job id: the one place where money leaves.

Laws, in order: the intent is durable before its bytes are sent; only the stored bytes are ever sent; the job id is
durable before anything else happens, whatever is cancelled meanwhile; what may have been sent is repeated only where the
card says that its id replays. What certainly never left when a run is stopped is taken back: it holds no credits and leaves no
doubt. `departure.py` is the moment between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

import anyio

from manifest_runner.core.lifecycle import Event, InDoubt, Intended, Refused, Submitted
from manifest_runner.core.model import Intent, Job, JobDocument, JobState
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Observer, Queued
from manifest_runner.core.polling import backoff
from manifest_runner.engine.departure import STOPPED, Lapsed, SlotDeparture, Stopped
from manifest_runner.engine.line import Line
from manifest_runner.engine.types import Halt, Options, Outside
from manifest_runner.errors import (
    AccountEmpty,
    Conflict,
    FateUnknown,
    LedgerError,
    ManifestRunnerError,
    NotSent,
    ProviderError,
    Throttled,
    Unauthorized,
)
from manifest_runner.errors import Refused as ProviderRefused
from manifest_runner.ports import Admitted, Held, Wait

Tell = Callable[[Event, Job], None]
"""Told of each event once it is durable, with the job after it."""


AT_ONCE = 10
"""Submissions between admission and answer: as many as the gateway's adapter has connections."""


LATEST = 0.5
"""Seconds by which a waiter may come late after a pause, so that not all come at once."""


HELD_SECONDS = 1.0
"""When to ask again after a take that another process is about to send."""

HELD_AGAIN = 30.0
"""Seconds after which it is said once more."""


UNREACHABLE = 4
"""Tries where nothing even leaves: half a minute of silence helps nobody when the gateway is down."""

LAPSES = 3
"""Slots that a take may let pass before it leaves without waiting for one that it meets: commits that take longer than a slot
lasts would keep it for ever."""


class Submissions:
    """The way out of a run for all its takes. `halted` tells when nothing more may leave, and `halt` says so; `freed` wakes who
    waits for a place among the jobs in flight.

    At most `AT_ONCE` takes are between their admission and the answer to their POST. So a run that is stopped, by a signal
    or by an empty account, has no more than these to see through: whatever waits for a connection has not been admitted.
    """

    def __init__(self, card: ModelCard, outside: Outside, options: Options, halted: Callable[[], bool],
                 halt: Callable[[ManifestRunnerError], None], observe: Observer) -> None:
        self.line = Line()
        self._again = anyio.Lock()  # the same for what is recorded already: one question at a time, first come, first served
        self._observe = observe
        self._card = card
        self._outside = outside
        self._options = options
        self._halted = halted
        self._halt = halt
        self._freed = anyio.Event()
        self._slots = anyio.Semaphore(AT_ONCE)
        self._commit = 0.0  # seconds that the latest admission took: what the ledger takes to be told something

    def freed(self) -> None:
        """A job has left the gateway's hands."""
        self._freed.set()
        self._freed = anyio.Event()

    async def submit(self, intent: Intent, place: int, tell: Tell, *, recorded: bool = False) -> Job | None:
        """Make an intent durable and send its stored bytes until its fate is known; the job as it then stands in the ledger.

        `recorded` says that the intent comes from the ledger, where an earlier try may have left it: it needs no turn, and its
        bytes may have been sent. None: the run was halted before its turn. Raises `BudgetExceeded`; `Halt` where no further
        submission of this run can succeed; and, after the last try, what went wrong.
        """
        attempt = _Attempt(intent=intent, certain=not recorded)
        try:
            return await self._until_known(attempt, place, tell, recorded=recorded)
        except BaseException as error:
            if _is_cancellation(error):
                await self._take_back(attempt, STOPPED, tell)
            raise

    async def _until_known(self, attempt: _Attempt, place: int, tell: Tell, *, recorded: bool) -> Job | None:
        clock, failures = self._outside.clock, 0
        started = clock.monotonic()
        while True:
            held, trouble = await self._try(attempt, None if attempt.job is not None or recorded else place, tell)
            if held is not None and held.state is JobState.INTENDED:  # another process is about to send this take
                await clock.sleep(HELD_SECONDS)
                continue
            if held is not None:
                return held
            if trouble is None and not attempt.is_open:
                return attempt.job
            if trouble is None or isinstance(trouble, Stopped):
                await self._take_back(attempt, STOPPED, tell)
                return None if attempt.certain else attempt.job
            if isinstance(trouble, Lapsed):
                attempt.lapses += 1
                continue
            waited = clock.monotonic() - started > self._options.poll.patience
            throttled = isinstance(trouble, Throttled)  # being told to wait is no failure: the ledger says how long
            failures += not throttled
            most = min(UNREACHABLE, self._options.tries) if isinstance(trouble, NotSent) else self._options.tries
            if waited or failures >= most:
                # What was certainly never accepted gives its reservation back; all else stays as it is, and the next run sends
                # the same bytes again under the same id.
                await self._take_back(attempt, trouble.message, tell)
                raise trouble
            if not throttled:
                await clock.sleep(backoff(failures, clock.jitter()))

    async def _try(self, attempt: _Attempt, place: int | None, tell: Tell) -> tuple[Job | None, ProviderError | None]:
        """One admission and one POST: the job of somebody else's that holds the take, or why the same bytes go again. A new
        take stands in line; one that is recorded already must not wait behind others who wait for the place that it holds."""
        if place is not None:
            await self.line.turn(place)
        try:
            await self._slots.acquire()
        except BaseException:
            self._leave(place)
            raise
        try:
            try:
                if place is not None:
                    admission = await self._ask(attempt.intent)
                else:
                    async with self._again:
                        admission = await self._ask(attempt.intent)
            finally:
                self._leave(place)
            if isinstance(admission, Admitted):
                attempt.admitted(admission)
                tell(Intended(intent=admission.job.intent), admission.job)
                departure = SlotDeparture(admission, self._outside, self._halted, commit=self._commit,
                                          overdue=attempt.lapses >= LAPSES)
                return None, await self._send(attempt, departure, tell)
            if isinstance(admission, Held) and admission.job.state is JobState.INTENDED:
                self._tell_held(attempt, admission)
            return (None if admission is None else admission.job), None
        finally:
            self._slots.release()

    def _tell_held(self, attempt: _Attempt, admission: Held) -> None:
        """Say who is about to send this very take, now and again: it may take minutes until somebody gone is known to be."""
        now = self._outside.clock.monotonic()
        if now - attempt.told >= HELD_AGAIN:
            attempt.told = now
            self._observe(attempt.intent.key, Queued(why="held", seconds=HELD_SECONDS, who=admission.who))

    def _leave(self, place: int | None) -> None:
        if place is not None:
            self.line.leave(place)

    async def _ask(self, intent: Intent) -> Admitted | Held | None:
        """Ask the ledger until it says something other than to wait; None where the run was halted meanwhile."""
        clock, told = self._outside.clock, ""
        while not self._halted():
            freed, asked = self._freed, clock.monotonic()
            admission = await self._outside.ledger.admit(intent, self._options.limits)
            if not isinstance(admission, Wait):
                self._commit = clock.monotonic() - asked
                return admission
            seconds = admission.seconds
            if admission.why != told:
                told = admission.why
                self._observe(intent.key, Queued(why=told, seconds=seconds, who=admission.who))
            if admission.why in ("concurrency", "crowd"):
                await _first_of(freed, self._outside, seconds)
            else:
                if admission.why == "pause":  # slots come one by one, but a pause ends for everybody in the same moment
                    seconds += min(0.05 * seconds, LATEST) * clock.jitter()
                await clock.sleep(seconds)
        return None

    async def _send(self, attempt: _Attempt, departure: SlotDeparture, tell: Tell) -> ProviderError | None:
        """One POST and its durable end, or why the same bytes must go again. Raises `Halt`."""
        job = attempt.job
        assert job is not None  # noqa: S101 - set by its admission
        replays = self._card.jobs.external_task_id == "replays"
        halting: Halt | None = None
        trouble: ProviderError | None = None
        event: Event | None = None
        # The answer to a POST that has left must be heard and recorded even while the run is being stopped: the departure
        # shields the scope.
        with departure.scope:
            if not job.intent.body:
                event = InDoubt(words="its bytes are not known here: nothing was sent")
            elif attempt.certain or replays:
                attempt.departure = departure
                event, trouble, halting = await _post(job, self._card, self._outside, departure, certain=attempt.certain)
                attempt.certain = attempt.certain and not isinstance(trouble, FateUnknown)
                attempt.departure = None
            else:
                event = InDoubt(words="the run that was sending it ended before the answer came")
            departure.scope.shield = True  # also where nothing left: what is known now is recorded
            if isinstance(trouble, Throttled):
                await self._slow_down(job, trouble)
            if halting is not None:
                self._halt(halting.cause)  # before its place is given up: whoever waits for it must not leave any more
            if event is not None:
                attempt.job = await _record(job, event, self._outside)
                tell(event, attempt.job)
        if halting is not None:
            raise halting
        return trouble

    async def _slow_down(self, job: Job, trouble: Throttled) -> None:
        """Tell the ledger, and with it all tasks of the account, what the gateway asks for."""
        asked = await self._outside.ledger.throttled(job.intent.external_task_id, trouble.retry_after, crowded=trouble.crowded)
        if asked is not None:
            self._observe(job.intent.key, asked)

    async def _take_back(self, attempt: _Attempt, words: str, tell: Tell) -> None:
        """Give the reservation of what was certainly never accepted back. What may have been stays as it is."""
        if attempt.certain and attempt.is_open and not attempt.has_left and attempt.job is not None:
            event = Refused(words=words)
            with anyio.CancelScope(shield=True):
                attempt.job = await _record(attempt.job, event, self._outside)
            tell(event, attempt.job)


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One take on its way out. `certain` is true while nothing that was sent for it can have been accepted."""

    intent: Intent
    certain: bool
    job: Job | None = None
    lapses: int = 0
    told: float = -inf  # when it was last said that somebody else is about to send it
    departure: SlotDeparture | None = None  # while a POST is under way

    @property
    def is_open(self) -> bool:
        """Whether it is recorded and has no answer."""
        return self.job is not None and self.job.state is JobState.INTENDED

    @property
    def has_left(self) -> bool:
        """Whether bytes of it are under way at this moment."""
        return self.departure is not None and self.departure.gone

    def admitted(self, admission: Admitted) -> None:
        job = admission.job
        if job.intent == self.intent:
            job = replace(job, intent=self.intent)  # the ledger has read it anew, and it need not be held twice
        self.certain = self.certain and admission.fresh and job.intent.external_task_id == self.intent.external_task_id
        self.job, self.intent = job, job.intent


def _is_cancellation(error: BaseException) -> bool:
    """Whether a task was cancelled, and nothing else went wrong; out of a task group, such as the one in which a connection is
    opened, trio lets that come wrapped."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_cancellation, error.exceptions))
    return isinstance(error, cancelled)


async def _first_of(event: anyio.Event, outside: Outside, seconds: float) -> None:
    """Return when the event is set or the seconds have passed."""
    async with anyio.create_task_group() as group:

        async def timer() -> None:
            await outside.clock.sleep(seconds)
            group.cancel_scope.cancel()

        group.start_soon(timer)
        await event.wait()
        group.cancel_scope.cancel()


async def _record(job: Job, event: Event, outside: Outside) -> Job:
    """Make the fate of a submission durable. Where that fails nothing more may leave; and a job id, which is money, must reach
    a person and the next run some other way."""
    try:
        return replace(await outside.ledger.record(job.intent.external_task_id, event), intent=job.intent)
    except ManifestRunnerError as error:  # also where the states do not allow it: somebody has given it up meanwhile
        if not isinstance(event, Submitted):
            raise Halt(error) from None
        key = job.intent.key
        place = await outside.rescue.keep(job.intent.external_task_id, event.job_id, why=error.message)
        hint = f"its id is kept in {place}: mend this, then run the same command again, which reads it"
        if place is None:
            adopt = f"manifest-runner adopt {key.manifest} {key.shot}:{key.take} {event.job_id}"
            hint = f"note the id: `{adopt}` tells the ledger, once it can be written"
        # a new one: takes that were to be recorded in one go have one error together
        what = f"{error.message}; {key.shot} take {key.take} was accepted as job {event.job_id}"
        raise Halt(LedgerError(what, hint=hint)) from None


async def _post(job: Job, card: ModelCard, outside: Outside, departure: SlotDeparture, *,
                certain: bool) -> tuple[Event | None, ProviderError | None, Halt | None]:
    """One POST: the event that it leads to, or why the same bytes must go again, and whether the whole run must stop.

    Only where it is `certain` that nothing sent before was accepted does a no mean that there is no job. Otherwise the no is
    to this POST alone: the reservation is held, and the id is kept.
    """
    try:
        departure.check()  # a slot that the commit itself has used up: no connection is opened and closed for it
        document: JobDocument = await outside.provider.submit(card.path, job.intent.body, departure)
    except NotSent as error:
        if not error.permanent:
            return None, error, None
        return Refused(words=error.message) if certain else None, None, Halt(error)
    except Throttled as error:
        return None, error, None
    except ProviderRefused as error:
        words = error.words or error.message
        return Refused(words=words) if certain else InDoubt(words=f"an earlier answer was lost, and then: {words}"), None, None
    except (AccountEmpty, Unauthorized) as error:
        return Refused(words=error.words or error.message) if certain else None, None, Halt(error)
    except Conflict as error:
        return InDoubt(words=error.words or error.message), None, Halt(error)
    except FateUnknown as error:
        if card.jobs.external_task_id == "replays":
            return None, error, None
        return InDoubt(words=error.words or error.message), None, None
    return Submitted(job_id=document.job_id), None, None
