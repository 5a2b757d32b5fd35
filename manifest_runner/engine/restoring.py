"""Brings the bytes of a finished take back to where they belong, without paying: from a store, else from its job.

Law: what comes is what was locked, by its sha256, or nothing is placed. A lockfile's job id is a claim; it only says which job
to ask for bytes that are then judged by their hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from manifest_runner.core.clips import LockedClip
from manifest_runner.core.model import Artifact, LockEntry
from manifest_runner.engine.following import bring
from manifest_runner.engine.types import Sources
from manifest_runner.errors import JobNotFound, ManifestRunnerError


class Origin(StrEnum):
    """Where the bytes were found."""

    STORE = "store"
    JOB = "job"


async def restore(entry: LockEntry, place: str, sources: Sources, *, asking: Callable[[], None] = lambda: None,
                  over: bool = True) -> tuple[Artifact, Origin]:
    """Put the clip of a finished take at `place`, and say where its bytes were. `asking` is called where the gateway must be
    asked for them; without `over` a clip that is whole in its place stays as it is. Raises `DownloadError`, `MediaError`,
    `StoreError` or `ProviderError`, and `JobNotFound` where no job is named."""
    artifact = replace(entry.outputs[0], path=place)
    if await sources.store.place(artifact, over=over):
        return artifact, Origin.STORE
    if entry.job_id is None:
        raise JobNotFound(f"{place}: its bytes are in no store and the lockfile names no job",
                          hint="only rendering it again brings it back")
    asking()
    found = await bring(entry.job_id, None, place, entry.external_task_id, sources, sha256=artifact.sha256)
    return replace(artifact, media=artifact.media or found.media), Origin.JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of one clip: where its bytes were found, or why they were not."""

    clip: LockedClip
    origin: Origin | None = None
    error: ManifestRunnerError | None = None


async def restored(clip: LockedClip, sources: Sources) -> Restored:
    """Restore one clip, its error with it."""
    try:
        _, origin = await restore(clip.entry, clip.artifact.path, sources)
    except ManifestRunnerError as error:
        return Restored(clip=clip, error=error)
    return Restored(clip=clip, origin=origin)
