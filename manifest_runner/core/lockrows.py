"""A lockfile as plain rows, and back: what `adapters/lockmemo.py` keeps of one, so that megabytes of JSON need not be read and
checked again before every plan.

Laws: what `from_rows` makes of `rows_of` is equal to the lockfile, field by field; a lockfile that holds more than rows can
has none. Rows are of str, int, float, bool, None, tuple, list and dict alone. They are not checked: only those of `rows_of` may
come.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

from manifest_runner.core.model import Artifact, ClipFinding, JobState, LockEntry, Lockfile, MediaFacts, Request, Verdict

FORM = 1
"""Raised with every change of what a row holds."""

Rows: TypeAlias = tuple[str, list[tuple[Any, ...]], list[tuple[Any, ...]]]
"""The manifest's name, the facts of clips (each once), the takes."""


def rows_of(lockfile: Lockfile) -> Rows | None:
    """The lockfile's rows; None where it has fields of newer versions or jobs that a merge left."""
    if lockfile.extra or lockfile.superseded:
        return None
    facts: dict[MediaFacts, int] = {}
    takes: list[tuple[Any, ...]] = []
    for (shot, take), entry in lockfile.entries.items():
        outputs = [(clip.path, clip.sha256, clip.bytes, clip.media and facts.setdefault(clip.media, len(facts)))
                   for clip in entry.outputs]
        verdict = entry.verdict and (entry.verdict.accepted, [(found.code, found.words) for found in entry.verdict.findings])
        takes.append((shot, take, entry.state.value, entry.fingerprint, entry.request.model, dict(entry.request.params),
                      entry.external_task_id, entry.attempt, entry.job_id, str(entry.estimated),
                      None if entry.charged is None else str(entry.charged), entry.error, outputs, verdict))
    return lockfile.manifest, [_media_row(media) for media in facts], takes


def from_rows(rows: Rows) -> Lockfile:
    """The lockfile of these rows."""
    manifest, facts, takes = rows
    media: dict[int | None, MediaFacts | None] = {None: None}
    media.update((number, MediaFacts(**dict(zip(_MEDIA, row, strict=True)))) for number, row in enumerate(facts))
    amounts: dict[str | None, Any] = {None: None}
    entries = {}
    for (shot, take, state, fingerprint, model, params, task, attempt, job_id, estimated, charged, error, outputs,
         verdict) in takes:
        for amount in (estimated, charged):
            if amount not in amounts:
                amounts[amount] = Decimal(amount)
        entries[shot, take] = LockEntry(
            state=_STATES[state], fingerprint=fingerprint, request=Request(model=model, params=params), external_task_id=task,
            attempt=attempt, job_id=job_id, estimated=amounts[estimated], charged=amounts[charged], error=error,
            outputs=tuple([Artifact(path=path, sha256=sha256, bytes=size, media=media[number])
                           for path, sha256, size, number in outputs]),
            verdict=None if verdict is None else _verdict(*verdict))
    return Lockfile(entries=entries, manifest=manifest)


_STATES = {state.value: state for state in JobState}
_MEDIA = ("container", "codec", "width", "height", "duration", "frames", "frame_rate")


def _media_row(media: MediaFacts) -> tuple[Any, ...]:
    return tuple(getattr(media, name) for name in _MEDIA)


def _verdict(accepted: bool, findings: list[tuple[str, str]]) -> Verdict:
    return Verdict(accepted=accepted, findings=tuple([ClipFinding(code=code, words=words) for code, words in findings]))
