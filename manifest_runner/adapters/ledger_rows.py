"""How a job lies in the ledger: one row, with money in whole micro-credits and a seal over all of it.

Laws: credits become integers exactly, or rounded up where they are finer than a millionth, never through a float. A row
whose seal does not fit is damage, and damage is never acted upon: the body in it may be one that nobody asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, NamedTuple

from manifest_runner.core.model import (
    Artifact,
    ExternalTaskId,
    Fingerprint,
    Intent,
    Job,
    JobId,
    JobState,
    LockEntry,
    Measured,
    MediaFacts,
    Request,
    ShotId,
    TakeKey,
)

MICRO = 1_000_000

_EXACT = Context(prec=60, rounding=ROUND_CEILING)  # independent of whatever context the caller's thread has set


class Row(NamedTuple):
    """One job as the tables `jobs` and `requests` hold it, in the order of `COLUMNS`.

    `run` reserved it; `sender` is the command, one process, that may send it; `settled_by` is the run that saw how it ended
    (empty until then); `day` is the UTC date of the reservation. The amounts are micro-credits.
    """

    seq: int
    touched: float
    account: str
    external_task_id: str
    manifest: str
    shot: str
    take: int
    attempt: int
    run: str
    sender: str
    settled_by: str
    day: str
    state: str
    fingerprint: str
    reserved: int
    charged: int | None
    job_id: str | None
    error: str
    artifacts: str
    seal: bytes
    model: str
    params: str
    body: bytes


COLUMNS = Row._fields
OF_JOB = slice(1, COLUMNS.index("model"))
_TOLD = slice(2, COLUMNS.index("seal"))


def to_micro(amount: Decimal) -> int:
    """Credits (finite) as micro-credits, rounded up where they are finer than that."""
    return int(_EXACT.multiply(amount, Decimal(MICRO)).to_integral_value(ROUND_CEILING, context=_EXACT))


def from_micro(amount: int) -> Decimal:
    """Micro-credits as credits, without trailing zeros after the point."""
    return _EXACT.divide(Decimal(amount), Decimal(MICRO))


def new_row(intent: Intent, *, account: str, run: str, sender: str, day: str, now: float) -> Row:
    """The row of an intent that is about to be recorded; its number is not known yet."""
    key = intent.key
    return sealed(Row(
        seq=0, touched=now, account=account, external_task_id=intent.external_task_id, manifest=key.manifest, shot=key.shot,
        take=key.take, attempt=intent.attempt, run=run, sender=sender, settled_by="", day=day, state=JobState.INTENDED.value,
        fingerprint=intent.fingerprint, reserved=to_micro(intent.reserved), charged=None, job_id=None, error="",
        artifacts="[]", seal=b"", model=intent.request.model, params=_dump(intent.request.params), body=bytes(intent.body),
    ))


def changed_row(row: Row, job: Job, *, settled_by: str, now: float) -> Row:
    """The row after its job has changed. What was intended never changes."""
    return sealed(row._replace(
        touched=now, settled_by=settled_by, state=job.state.value,
        charged=None if job.charged is None else to_micro(job.charged), job_id=job.job_id, error=job.error,
        artifacts=_dump([asdict(artifact) for artifact in job.artifacts]),
    ))


def job_of(row: Row) -> Job:
    """The job in a row. Raises `ValueError` where the row is not what was once written."""
    if row.seal != _seal(row):
        raise ValueError(f"the record of {row.external_task_id!s} has changed on disk")
    intent = Intent(
        key=TakeKey(manifest=row.manifest, shot=ShotId(row.shot), take=row.take),
        external_task_id=ExternalTaskId(row.external_task_id), attempt=row.attempt, fingerprint=Fingerprint(row.fingerprint),
        request=Request(model=row.model, params=json.loads(row.params)), body=row.body, reserved=from_micro(row.reserved),
    )
    return Job(
        intent=intent, state=JobState(row.state), job_id=None if row.job_id is None else JobId(row.job_id),
        charged=None if row.charged is None else from_micro(row.charged), error=row.error,
        artifacts=() if row.artifacts == "[]" else tuple(_artifact(item) for item in json.loads(row.artifacts)),
    )


def as_recorded(entry: LockEntry, recorded: tuple[str | None, str]) -> bool:
    """Whether a block of the lockfile says of a job's clips what a row does, given as its job and its artifacts as they are
    written; a block of another job does not speak of this one. Quick: nothing is parsed."""
    job_id, artifacts = recorded
    if entry.job_id != job_id:
        return True
    return artifacts.count('"sha256":') == len(entry.outputs) and all(
        f'"sha256":"{clip.sha256}","bytes":{clip.bytes},' in artifacts for clip in entry.outputs)


def sealed(row: Row) -> Row:
    return row._replace(seal=_seal(row))


def _seal(row: Row) -> bytes:
    """A hash over everything but the number, the time of the last touch and the seal itself."""
    told = (*tuple(row)[_TOLD], row.model, row.params)  # a slice, because ten thousand rows are read at once
    digest = hashlib.blake2b(repr(told).encode("utf-8", "backslashreplace"), digest_size=16)
    digest.update(row.body)
    return digest.digest()


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # a read-only view of a dict is not a dict to `json`
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _artifact(item: dict[str, Any]) -> Artifact:
    media = item.pop("media")
    return Artifact(**item, media=None if media is None else _media(media))


def _media(facts: dict[str, Any]) -> MediaFacts:
    """The facts of a clip; one that was stored before frames were looked at has none about them."""
    measured = facts.pop("measured", None)
    return MediaFacts(**facts, measured=None if measured is None else Measured(**measured))
