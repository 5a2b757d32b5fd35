"""What the ledger's jobs make of a lockfile.

Laws: a stored clip stays named until another one is stored in its place; a job that somebody paid for, or may have, is not
forgotten because another takes its place; what no job is yet is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from manifest_runner.core.lockfile import SUPERSEDED, entry_dict
from manifest_runner.core.model import Job, JobState, Json, LockEntry, Lockfile, ShotId, TakeKey


def entry_of(job: Job) -> LockEntry:
    """A job of the ledger as it stands in the lockfile."""
    intent = job.intent
    return LockEntry(state=job.state, fingerprint=intent.fingerprint, request=intent.request,
                     external_task_id=intent.external_task_id, attempt=intent.attempt, job_id=job.job_id,
                     estimated=intent.reserved, charged=job.charged, error=job.error, outputs=job.artifacts)


_PROJECTED = frozenset({JobState.SUBMITTED, JobState.RUNNING, JobState.IN_DOUBT, JobState.MISSING, JobState.SUCCEEDED,
                        JobState.STORED, JobState.FAILED})
"""States that the lockfile shows: a job exists, or may. Anything earlier is the ledger's alone."""

_ALIVE = _PROJECTED - {JobState.STORED, JobState.FAILED}


def with_entries(lockfile: Lockfile, changed: Mapping[TakeKey, LockEntry | None]) -> Lockfile:
    """The lockfile with these takes' blocks replaced (None: removed) and all others untouched.

    A clip that is stored stays named until another one is stored in its place: a new attempt that is under way, or that
    failed, never makes the lockfile forget the bytes of the last good one. That a further attempt failed is counted, so that
    a machine without the ledger does not ask for the failed job again. A job on record that a merge did not choose stays: where
    it becomes the block, the clip that was there goes on record, and where the block is given up, it takes its place.
    """
    entries = dict(lockfile.entries)
    extra = dict(lockfile.extra)
    superseded = dict(lockfile.superseded)
    for key, entry in changed.items():
        where = (key.shot, key.take)
        present = entries.get(where)
        if entry is None:
            entries.pop(where, None)
            extra.pop(where, None)
            superseded.pop(where, None)
        elif entry.state not in _PROJECTED:
            gone = present is not None and present.external_task_id == entry.external_task_id
            if gone and (entry.state is JobState.ABANDONED or entries[where].job_id is None):
                del entries[where]
                if superseded.get(where):
                    entries[where] = max(superseded[where],
                                         key=lambda record: (record.state is JobState.STORED, record.attempt))
                    _exchange(where, entries[where], None, superseded, extra)
        elif present is None or present.state is not JobState.STORED or entry.state is JobState.STORED:
            entries[where] = entry
            _exchange(where, entry, present, superseded, extra)
        elif entry.state is JobState.FAILED:
            entries[where] = replace(present, attempt=max(present.attempt, entry.attempt))
    return Lockfile(entries=entries, extra=extra, superseded=superseded)


def is_one_submission(one: str, one_job: str | None, other: str, other_job: str | None) -> bool:
    """Whether two ids, with the jobs that are known of them, tell of one submission: perhaps from before the gateway had named
    the job."""
    return one == other and (one_job == other_job or None in (one_job, other_job))


def _same(one: LockEntry, other: LockEntry) -> bool:
    return is_one_submission(one.external_task_id, one.job_id, other.external_task_id, other.job_id)


def _exchange(where: tuple[ShotId, int], entry: LockEntry, before: LockEntry | None,
              superseded: dict[tuple[ShotId, int], tuple[LockEntry, ...]],
              extra: dict[tuple[ShotId, int] | tuple[()], Mapping[str, Json]]) -> None:
    """Take a job that has become the block of its take off the record, and put what was `before` it there: the clip with
    which it changes places, or a job that may be alive and that somebody else has paid for."""
    records, raw = superseded.get(where, ()), extra.get(where, {}).get(SUPERSEDED, [])
    left = [number for number, record in enumerate(records) if not _same(record, entry)]
    assert isinstance(raw, list)  # noqa: S101 - `records` were read from it
    known, written = [records[number] for number in left], [raw[number] for number in left]
    if before is not None and not _same(before, entry) and (
            before.state in _ALIVE or (before.state is JobState.STORED and len(left) < len(records))):
        known, written = [*known, before], [*written, entry_dict(before)]
    elif len(left) == len(records):
        return
    rest = {name: value for name, value in extra.get(where, {}).items() if name != SUPERSEDED}
    superseded[where], extra[where] = tuple(known), {**rest, SUPERSEDED: written} if written else rest

