"""From an intent to a job id: the one place where money leaves.

Laws, in order: the intent is durable before its bytes are sent; only the stored bytes are ever sent; the job id is
durable before anything else happens, whatever is cancelled meanwhile; what may have been sent is repeated only where the
card says that its id replays.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import anyio

from manifest_runner.core.lifecycle import Event, InDoubt, Intended, Refused, Submitted
from manifest_runner.core.model import Intent, Job, JobDocument, JobState
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.polling import backoff
from manifest_runner.engine.types import Halt, Options, Outside
from manifest_runner.errors import (
    AccountEmpty,
    Conflict,
    FateUnknown,
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


class Line:
    """Where takes stand for their turn, one at a time, in the order of the plan, whoever was ready first.

    So a budget that is not enough for all is spent on the first shots of the cut, and ten thousand waiting takes cost the
    ledger one question, not ten thousand. A place that has joined is waited for: join when nothing is left to wait for.
    """

    def __init__(self) -> None:
        self._places: list[int] = []
        self._turns: dict[int, anyio.Event] = {}
        self._current: int | None = None

    def join(self, place: int) -> None:
        """Stand at a place of the plan; once is enough."""
        if place not in self._turns:
            self._turns[place] = anyio.Event()
            heapq.heappush(self._places, place)
            self._advance()

    async def turn(self, place: int) -> None:
        """Wait until everybody before has had their turn. The turn lasts until `leave`."""
        self.join(place)
        await self._turns[place].wait()

    def leave(self, place: int) -> None:
        """Give the turn, or the place, up."""
        if self._turns.pop(place, None) is not None and self._current == place:
            self._current = None
            self._advance()

    def _advance(self) -> None:
        while self._current is None and self._places:
            place = heapq.heappop(self._places)
            if place in self._turns:  # otherwise it was given up meanwhile
                self._current = place
                self._turns[place].set()


class Submissions:
    """The way out of a run for all its takes. `halted` tells when nothing more may leave; `freed` wakes who waits for a place
    among the jobs in flight."""

    def __init__(self, card: ModelCard, outside: Outside, options: Options, halted: Callable[[], bool]) -> None:
        self.line = Line()
        self._card = card
        self._outside = outside
        self._options = options
        self._halted = halted
        self._freed = anyio.Event()

    def freed(self) -> None:
        """A job has left the gateway's hands."""
        self._freed.set()
        self._freed = anyio.Event()

    async def admit(self, intent: Intent, place: int) -> Admitted | Held | None:
        """Wait for the turn of an intent and make it durable; None where the run was halted meanwhile.

        `Held` carries a job past `INTENDED`: another process submitted this take. Raises `BudgetExceeded`.
        """
        while True:
            await self.line.turn(place)
            try:
                admission = await self._ask(intent)
            finally:
                self.line.leave(place)
            if admission is None or isinstance(admission, Admitted) or admission.job.state is not JobState.INTENDED:
                return admission
            await self._outside.clock.sleep(1.0)  # another process is about to send this take

    async def _ask(self, intent: Intent) -> Admitted | Held | None:
        """Ask the ledger until it says something other than to wait."""
        clock = self._outside.clock
        while not self._halted():
            freed = self._freed
            admission = await self._outside.ledger.admit(intent, self._options.limits)
            if not isinstance(admission, Wait):
                return admission
            seconds = admission.seconds * (1.0 + 0.05 * clock.jitter())
            if admission.why == "concurrency":
                await _first_of(freed, self._outside, seconds)
            else:
                await clock.sleep(seconds)
        return None

    async def submit(self, intent: Intent, place: int, tell: Tell) -> Job | None:
        """Make an intent durable and send its stored bytes until its fate is known; the job as it then stands in the ledger.

        None: the run was halted before its turn. Raises `BudgetExceeded`; `Halt` where no further submission of this run can
        succeed; and, after the last try, what went wrong: the job is then still `INTENDED`, and the next run sends the same
        bytes again under the same id.
        """
        job: Job | None = None
        clock, failures = self._outside.clock, 0
        started = clock.monotonic()
        while True:
            admission = await self.admit(intent, place)
            if admission is None:
                return job
            job = admission.job
            if isinstance(admission, Held):
                return job
            tell(Intended(intent=job.intent), job)
            job, trouble = await self._send_and_record(admission, tell)
            if trouble is None:
                return job
            if isinstance(trouble, Throttled):  # being told to wait is no failure; the ledger's pause says how long
                if clock.monotonic() - started > self._options.poll.patience:
                    raise trouble
                continue
            failures += 1
            if failures >= self._options.tries:
                raise trouble
            await clock.sleep(backoff(failures, clock.jitter()))

    async def _send_and_record(self, admission: Admitted, tell: Tell) -> tuple[Job, ProviderError | None]:
        """One POST and its durable end, or why the same bytes must go again. Raises `Halt`."""
        job = admission.job
        event: Event | None
        halting = trouble = None
        # The answer to a POST that has left must be heard and recorded even while the run is being stopped.
        with anyio.CancelScope(shield=True):
            if admission.fresh or self._card.jobs.external_task_id == "replays":
                event, trouble, halting = await _send(job, self._card, self._outside)
            else:
                event = InDoubt(words="the run that was sending it ended before the answer came")
            if event is not None:
                job = await _record(job, event, self._outside)
                tell(event, job)
        if halting is not None:
            raise halting
        return job, trouble


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
    """Make the fate of a submission durable. Where that fails nothing more may leave, and the user must learn the job's id:
    these words are then the only place that has it."""
    try:
        return await outside.ledger.record(job.intent.external_task_id, event)
    except ManifestRunnerError as error:
        if isinstance(event, Submitted):
            error.message = f"{error.message} (the gateway accepted {job.intent.external_task_id} as {event.job_id})"
        raise Halt(error) from None


async def _send(job: Job, card: ModelCard, outside: Outside) -> tuple[Event | None, ProviderError | None, Halt | None]:
    """One POST: the event that it leads to, or why the same bytes must go again, and whether the whole run must stop."""
    try:
        document: JobDocument = await outside.provider.submit(card.path, job.intent.body)
    except NotSent as error:
        return (Refused(words=error.message), None, Halt(error)) if error.permanent else (None, error, None)
    except Throttled as error:
        await outside.ledger.pause(error.retry_after if error.retry_after is not None else 5.0)
        return None, error, None
    except ProviderRefused as error:
        return Refused(words=error.words or error.message), None, None
    except (AccountEmpty, Unauthorized) as error:
        return Refused(words=error.words or error.message), None, Halt(error)
    except Conflict as error:
        return InDoubt(words=error.words or error.message), None, Halt(error)
    except FateUnknown as error:
        if card.jobs.external_task_id == "replays":
            return None, error, None
        return InDoubt(words=error.words or error.message), None, None
    return Submitted(job_id=document.job_id), None, None

