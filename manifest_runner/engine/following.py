"""From a job id to bytes on disk: poll, settle, download, check, store.

Laws: a job that the gateway no longer names is never submitted again; what the job document says was charged is the truth;
bytes are complete, and can be decoded at least in part, before they are stored, and stored before the ledger says so. What is
damaged in them was paid for as it is: after a second look it comes home, and the verdict about it says so.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import anyio

from manifest_runner.core.lifecycle import Event, Failed, Missing, Progressed, Stored, Succeeded
from manifest_runner.core.model import Artifact, Job, JobDocument, JobId, JobState, MediaFacts
from manifest_runner.core.modelcard import ModelCard, RemoteState, remote_state
from manifest_runner.core.polling import backoff
from manifest_runner.engine.looking import Looks
from manifest_runner.engine.submission import Tell
from manifest_runner.engine.types import Options, Outside, Sources
from manifest_runner.errors import DownloadError, JobNotFound, MediaError, NotSent, ProviderError, Throttled, Unauthorized

NO_CLIP = "succeeded without a clip"
"""What is kept of a job that is billed and has nothing to fetch: only the provider can mend that."""

DOWNLOAD_TRIES = 3
TOLD_EVERY = 600.0
"""Seconds after which the ledger hears again of a job without news: one that nobody looks after loses its place in flight."""

LARGEST_RAW = 16 * 1024
"""Characters that are kept of a document that nobody understands."""


async def follow(job: Job, card: ModelCard, outside: Outside, options: Options, looks: Looks,
                 tell: Tell) -> tuple[Job, JobDocument | None]:
    """Ask about a job until it has ended, or until the run's patience has; return it with the last document seen."""
    assert job.job_id is not None  # noqa: S101 - the state table: only submitted jobs are followed
    lost, told, odd = 0, outside.clock.monotonic(), ""
    with looks.watch(job) as watched:
        while True:
            await watched.turn()
            try:
                document = await outside.provider.job(job.job_id)
            except JobNotFound:
                lost += 1
                if lost >= options.poll.missing_after:
                    return await _record(job, Missing(), outside, tell), None
                watched.running()
                continue
            except ProviderError as error:
                if isinstance(error, Unauthorized) or (isinstance(error, NotSent) and error.permanent):
                    raise
                if watched.impatient:
                    return job, None
                watched.running()
                if not (isinstance(error, Throttled) and error.everywhere):  # that one slows all questions down already
                    said = (error.retry_after or 0.0) if isinstance(error, Throttled) else 0.0
                    await outside.clock.sleep(max(said, backoff(min(watched.looks, 6), outside.clock.jitter())))
                continue
            lost = 0
            event = event_of(document, card, job)
            if not isinstance(event, Progressed):
                seconds = watched.over(succeeded=isinstance(event, Succeeded))
                event = replace(event, took=seconds) if isinstance(event, Succeeded) else event
                return await _record(job, event, outside, tell), document
            watched.running()
            now = outside.clock.monotonic()
            unheard = bool(event.raw) and document.status != odd
            if unheard or (job.state is not JobState.RUNNING and document.status != "queued") or now - told > TOLD_EVERY:
                odd = document.status if event.raw else odd
                job, told = await _record(job, event, outside, tell), now
            if watched.impatient:
                return job, document


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


async def _record(job: Job, event: Event, outside: Outside, tell: Tell) -> Job:
    with anyio.CancelScope(shield=True):
        job = await outside.ledger.record(job.intent.external_task_id, event)
    tell(event, job)
    return job


async def collect(job: Job, document: JobDocument | None, name: str, outside: Outside, tell: Tell) -> Job:
    """Bring a succeeded job's clip home to the path `name` and record it; raises `DownloadError` or `MediaError`."""
    assert job.job_id is not None  # noqa: S101 - only jobs that the gateway named succeed
    artifact = await bring(job.job_id, document, name, job.intent.external_task_id, outside)
    return await _record(job, Stored(artifacts=(artifact,)), outside, tell)


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
