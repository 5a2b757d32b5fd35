"""From a job id to bytes on disk: poll, settle, download, check, store.

Laws: a job that the gateway no longer names is never submitted again; what the job document says was charged is the truth;
bytes are complete, and can be decoded at least in part, before they are stored, and stored before the ledger says so. What is
damaged in them was paid for as it is: after a second look it comes home, and the verdict about it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Generic, TypeVar

import anyio

from manifest_runner.core.lifecycle import Event, Failed, Missing, Progressed, Stored, Succeeded
from manifest_runner.core.lifetable import kind_of
from manifest_runner.core.model import Artifact, ExternalTaskId, Job, JobDocument, JobId, JobState, MediaFacts, Request
from manifest_runner.core.modelcard import ModelCard, RemoteState, remote_state
from manifest_runner.core.polling import PollPolicy, backoff
from manifest_runner.core.timetable import Watched
from manifest_runner.engine.looking import Looks, Paced
from manifest_runner.engine.submission import Tell
from manifest_runner.engine.types import Outside, Sources
from manifest_runner.errors import (
    DownloadError,
    JobNotFound,
    ManifestRunnerError,
    MediaError,
    NotSent,
    ProviderError,
    Throttled,
    Unauthorized,
)

NO_CLIP = "succeeded without a clip"
"""What is kept of a job that is billed and has nothing to fetch: only the provider can mend that."""

DOWNLOAD_TRIES = 3
TOLD_EVERY = 600.0
"""Seconds after which the ledger hears again of a job without news: one that nobody looks after loses its place in flight."""

LARGEST_RAW = 16 * 1024
"""Characters that are kept of a document that nobody understands."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class Flight(Generic[T]):
    """A job at the gateway; `what` is whatever its follower wants to find again when it has landed."""

    job: Job
    what: T
    told: float  # when the ledger last heard of it
    odd: str = ""  # a status that the ledger has heard of and nobody understands
    lost: int = 0  # 404s in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing(Generic[T]):
    """The end of a flight: what has happened to the job, None where the run's patience is at its end; the last document that
    the gateway showed; and what went wrong, where nobody can say more than that."""

    flight: Flight[T]
    event: Event | None = None
    document: JobDocument | None = None
    error: ManifestRunnerError | None = None


class Following(Generic[T]):
    """Asks about jobs until they have ended, or until the run's patience has. `tell` hears of what becomes durable on the way;
    `landed` gets each job back, and records its end."""

    def __init__(self, card: ModelCard, outside: Outside, policy: PollPolicy, paced: Paced, tell: Tell,
                 landed: Callable[[Landing[T]], None]) -> None:
        self._card = card
        self._outside = outside
        self._policy = policy
        self._paced = paced
        self._tell = tell
        self._landed = landed
        self._accepted: dict[ExternalTaskId, float] = {}
        self._looks: Looks[Flight[T]] = Looks(outside.clock, policy, paced, self._look)
        self.table = self._looks.table
        self.run, self.hint = self._looks.run, self._looks.hint

    def remember(self, durations: Iterable[tuple[Request, float]]) -> None:
        """What earlier runs have seen: requests and how long they took, the latest last. Before anything is followed."""
        self.table.lives.remember((kind_of(request, self._card), seconds) for request, seconds in durations)

    def accepted(self, external_task_id: ExternalTaskId) -> None:
        """The gateway has just taken this submission: its age is known from now on."""
        self._accepted[external_task_id] = self._outside.clock.monotonic()

    def follow(self, job: Job, what: T) -> None:
        """Follow a job from now on."""
        assert job.job_id is not None  # noqa: S101 - the state table: only submitted jobs are followed
        flight = Flight(job=job, what=what, told=self._outside.clock.monotonic())
        self._looks.follow(job.job_id, kind_of(job.intent.request, self._card), flight,
                           accepted=self._accepted.pop(job.intent.external_task_id, None))

    async def _look(self, watched: Watched[Flight[T]]) -> None:
        """Ask about one job, and do what the answer says."""
        flight = watched.what
        try:
            document = await self._paced.ask(watched.name)
        except ProviderError as error:
            self._went_wrong(watched, error)
            return
        flight.lost = 0
        event = event_of(document, self._card, flight.job)
        if not isinstance(event, Progressed):
            seconds = self._looks.over(watched, succeeded=isinstance(event, Succeeded))
            self._land(watched, replace(event, took=seconds) if isinstance(event, Succeeded) else event, document)
            return
        try:
            await self._progressed(flight, document, event)
        except ManifestRunnerError as error:
            self._land(watched, error=error)
            return
        if self._looks.impatient(watched):
            self._land(watched, None, document)
        else:
            self._looks.running(watched)

    def _went_wrong(self, watched: Watched[Flight[T]], error: ProviderError) -> None:
        if isinstance(error, JobNotFound):
            watched.what.lost += 1
            if watched.what.lost >= self._policy.missing_after:
                self._land(watched, Missing())
            else:
                self._looks.unheard(watched)
        elif isinstance(error, Unauthorized) or (isinstance(error, NotSent) and error.permanent):
            self._land(watched, error=error)
        elif self._looks.impatient(watched):
            self._land(watched, None)
        elif isinstance(error, Throttled) and error.everywhere:  # that one slows all questions down already
            self._looks.unheard(watched)
        else:
            said = (error.retry_after or 0.0) if isinstance(error, Throttled) else 0.0
            self._looks.unheard(watched, pause=max(said, backoff(min(watched.looks, 6), self._outside.clock.jitter())))

    async def _progressed(self, flight: Flight[T], document: JobDocument, event: Progressed) -> None:
        """Record that it still runs, where that is news."""
        now, state = self._outside.clock.monotonic(), flight.job.state
        unheard = bool(event.raw) and document.status != flight.odd
        if unheard or (state is not JobState.RUNNING and document.status != "queued") or now - flight.told > TOLD_EVERY:
            flight.odd = document.status if event.raw else flight.odd
            flight.job, flight.told = await record(flight.job, event, self._outside, self._tell), now

    def _land(self, watched: Watched[Flight[T]], event: Event | None = None, document: JobDocument | None = None, *,
              error: ManifestRunnerError | None = None) -> None:
        self.table.leave(watched)
        self._landed(Landing(flight=watched.what, event=event, document=document, error=error))


def event_of(document: JobDocument, card: ModelCard, job: Job) -> Progressed | Succeeded | Failed:
    """What a job document means. An unknown status is not terminal; a failure costs what the document says, else nothing where
    the card says that failures are free, else all that was reserved."""
    state = remote_state(card, document.status)
    if state is RemoteState.SUCCEEDED:
        return Succeeded(charged=document.credits_charged, words="" if _address(document) else NO_CLIP)
    if state is RemoteState.FAILED:
        words = document.error or f"the gateway says {document.status}"
        silent = Decimal(0) if card.jobs.failures_are_free else job.intent.reserved
        return Failed(words=words, charged=silent if document.credits_charged is None else document.credits_charged)
    return Progressed(status=document.status, raw=document.raw[:LARGEST_RAW] if state is RemoteState.UNKNOWN else "")


def _address(document: JobDocument) -> str | None:
    """Where the job's clip is; None where the gateway names none."""
    return next((output.url for output in document.outputs if output.type in ("video", "")), None)


async def record(job: Job, event: Event, outside: Outside, tell: Tell) -> Job:
    """Make what has happened to a job durable. What was intended stays as it is and is not held twice."""
    with anyio.CancelScope(shield=True):
        job = replace(await outside.ledger.record(job.intent.external_task_id, event), intent=job.intent)
    tell(event, job)
    return job


async def collect(job: Job, document: JobDocument | None, name: str, outside: Outside, tell: Tell) -> Job:
    """Bring a succeeded job's clip home to the path `name` and record it; raises `DownloadError` or `MediaError`."""
    assert job.job_id is not None  # noqa: S101 - only jobs that the gateway named succeed
    artifact = await bring(job.job_id, document, name, job.intent.external_task_id, outside)
    return await record(job, Stored(artifacts=(artifact,)), outside, tell)


async def bring(job_id: JobId, document: JobDocument | None, name: str, scratch_name: str, outside: Sources,
                *, sha256: str | None = None) -> Artifact:
    """Download a job's clip, asking the job for a fresh address where the one known has expired.

    With `sha256` the bytes must be those; other bytes are kept in the store all the same and named in the error.
    """
    if outside.provider is None:
        raise DownloadError("its bytes are in no store, and without an API key its job cannot be asked", code="no-source",
                            hint="set TRINETRA_API_KEY, or name the store that has them (--store)")
    for attempt in range(DOWNLOAD_TRIES):
        if document is None:
            document = await outside.provider.job(job_id)
        url = _address(document)
        if url is None:
            raise DownloadError(f"job {job_id} {NO_CLIP}", code="no-output",
                                hint="it is billed: ask the provider about it, with the job id")
        scratch = outside.store.scratch(f"{scratch_name}.{attempt}")
        try:
            await outside.downloads.fetch(url, scratch)
            facts = await outside.media.probe(scratch) if outside.media is not None else None
        except (DownloadError, MediaError) as error:
            await anyio.Path(scratch).unlink(missing_ok=True)
            if attempt == DOWNLOAD_TRIES - 1:
                raise
            document = None if isinstance(error, DownloadError) and error.expired else document
            await outside.clock.sleep(backoff(attempt, outside.clock.jitter()))
            continue
        if attempt == 0 and sha256 is None and facts is not None and _is_short(facts):
            await anyio.Path(scratch).unlink(missing_ok=True)  # perhaps it was damaged on its way
            continue
        return await outside.store.keep(scratch, name, facts, sha256=sha256)
    raise AssertionError("the last try returns or raises")


def _is_short(facts: MediaFacts) -> bool:
    """Whether fewer frames can be decoded than the clip says it has."""
    return facts.measured is not None and facts.measured.decoded < facts.frames
