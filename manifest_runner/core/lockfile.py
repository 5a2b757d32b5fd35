"""The lockfile: text to `Lockfile` and back, and the projection of jobs into it.

Laws: the same takes give the same bytes everywhere; one block a shot, sorted; no clock times, totals, host names or
secrets; fields of newer versions survive a rewrite; nothing read from it is trusted (it arrives in pull requests).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from manifest_runner.core.model import (
    Artifact,
    Diagnostic,
    ExternalTaskId,
    Fingerprint,
    Job,
    JobId,
    JobState,
    Json,
    LockEntry,
    Lockfile,
    MediaFacts,
    Request,
    ShotId,
    Source,
    TakeKey,
)
from manifest_runner.errors import InvalidInput

VERSION = 1
_KNOWN = frozenset({"state", "fingerprint", "model", "request", "external_task_id", "attempt", "job_id", "credits", "error",
                    "outputs"})
_KNOWN_TOP = frozenset({"version", "manifest", "shots"})


class _Shape(Exception):
    """A value of the wrong shape, with the way to it."""


def read(text: str, *, path: str) -> Lockfile:
    """Parse a lockfile; raises `InvalidInput` with the place of what is wrong, a merge conflict included."""
    if "\n<<<<<<< " in text or text.startswith("<<<<<<< "):
        line = text[: text.index("<<<<<<< ")].count("\n") + 1
        raise _invalid(path, "lockfile-conflict", "the lockfile holds an unresolved merge conflict", line=line,
                       hint="keep one side of each shot's block, then run: manifest-runner lock")
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _invalid(path, "lockfile-syntax", "nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _invalid(path, "lockfile-syntax", error.msg, line=error.lineno, column=error.colno) from None
    except ValueError as error:
        raise _invalid(path, "lockfile-syntax", str(error)) from None
    try:
        return from_dict(data)
    except _Shape as error:
        raise _invalid(path, "lockfile-shape", str(error),
                       hint="restore it from git, or rebuild it from the ledger: manifest-runner lock") from None


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a number that a lockfile may hold")


def _invalid(path: str, code: str, message: str, *, line: int = 1, column: int = 1, hint: str | None = None) -> InvalidInput:
    where = Source(path=path, line=line, column=column)
    return InvalidInput([Diagnostic(code=code, message=message, source=where, hint=hint)])


def from_dict(data: Json) -> Lockfile:
    """A lockfile from its JSON; raises an error that names the place of the first value of a wrong shape."""
    top = _expect(data, dict, "the lockfile")
    version = top.get("version")
    if version != VERSION:
        raise _Shape(f"version is {version!r}; this program reads version {VERSION}")
    entries: dict[tuple[ShotId, int], LockEntry] = {}
    extra: dict[tuple[ShotId, int] | tuple[()], Mapping[str, Json]] = {}
    unknown = {name: value for name, value in top.items() if name not in _KNOWN_TOP}
    if unknown:
        extra[()] = unknown
    for shot, block in _expect(top.get("shots", {}), dict, "shots").items():
        takes = _expect(_expect(block, dict, f"shots.{shot}").get("takes", {}), dict, f"shots.{shot}.takes")
        for number, take in takes.items():
            where = f"shots.{shot}.takes.{number}"
            if not (number.isascii() and number.isdigit() and number[0] != "0" and len(number) <= 4):
                raise _Shape(f"{where}: a take is a number from 1")
            key = (ShotId(shot), int(number))
            entries[key] = _entry(_expect(take, dict, where), where)
            unknown = {name: value for name, value in take.items() if name not in _KNOWN}
            if unknown:
                extra[key] = unknown
    return Lockfile(entries=entries, extra=extra)


def _expect(value: Json, kind: type, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _Shape(f"unexpected type {type(value).__name__} (expected {kind.__name__}) in {where}")
    return value


def _entry(take: Mapping[str, Json], where: str) -> LockEntry:
    try:
        state = JobState(str(take.get("state")))
    except ValueError:
        raise _Shape(f"unknown state {take.get('state')!r} in {where}.state") from None
    money = _expect(take.get("credits", {}), dict, f"{where}.credits")
    job_id = take.get("job_id")
    return LockEntry(
        state=state,
        fingerprint=Fingerprint(_expect(take.get("fingerprint"), str, f"{where}.fingerprint")),
        request=Request(model=_expect(take.get("model"), str, f"{where}.model"),
                        params=_expect(take.get("request"), dict, f"{where}.request")),
        external_task_id=ExternalTaskId(_expect(take.get("external_task_id"), str, f"{where}.external_task_id")),
        attempt=_expect(take.get("attempt", 1), int, f"{where}.attempt"),
        job_id=None if job_id is None else JobId(_expect(job_id, str, f"{where}.job_id")),
        estimated=_decimal(money.get("estimated", "0"), f"{where}.credits.estimated"),
        charged=None if money.get("charged") is None else _decimal(money["charged"], f"{where}.credits.charged"),
        error=_expect(take.get("error", ""), str, f"{where}.error"),
        outputs=tuple(_artifact(output, f"{where}.outputs[{index}]")
                      for index, output in enumerate(_expect(take.get("outputs", []), list, f"{where}.outputs"))),
    )


def _decimal(value: Json, where: str) -> Decimal:
    try:
        number = Decimal(_expect(value, str, where))
    except InvalidOperation:
        raise _Shape(f"{value!r} is not a number of credits in {where}") from None
    if not number.is_finite() or number < 0:
        raise _Shape(f"{value!r} is not a number of credits in {where}")
    return number


def _artifact(output: Json, where: str) -> Artifact:
    _expect(output, dict, where)
    sha256 = _expect(output.get("sha256"), str, f"{where}.sha256")
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise _Shape(f"not a sha256 in {where}.sha256")
    media = output.get("media")
    return Artifact(path=_expect(output.get("path"), str, f"{where}.path"), sha256=sha256,
                    bytes=_expect(output.get("bytes"), int, f"{where}.bytes"),
                    media=None if media is None else _media(_expect(media, dict, f"{where}.media"), f"{where}.media"))


def _media(media: Mapping[str, Json], where: str) -> MediaFacts:
    duration = media.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise _Shape(f"unexpected type {type(duration).__name__} (expected number) in {where}.duration")
    words = {name: _expect(media.get(name), str, f"{where}.{name}") for name in ("container", "codec", "frame_rate")}
    numbers = {name: _expect(media.get(name), int, f"{where}.{name}") for name in ("width", "height", "frames")}
    return MediaFacts(duration=float(duration), **words, **numbers)


def write(lockfile: Lockfile, *, manifest: str) -> str:
    """The lockfile's text: UTF-8 JSON, indented by two, keys sorted, a final newline. `manifest` is the file's own name."""
    shots: dict[str, dict[str, Any]] = {}
    for (shot, take), entry in lockfile.entries.items():
        block = shots.setdefault(shot, {"takes": {}})
        block["takes"][str(take)] = {**lockfile.extra.get((shot, take), {}), **_entry_dict(entry)}
    top = {**lockfile.extra.get((), {}), "version": VERSION, "manifest": manifest, "shots": shots}
    return json.dumps(top, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _entry_dict(entry: LockEntry) -> dict[str, Any]:
    out: dict[str, Any] = {
        "state": entry.state.value,
        "fingerprint": entry.fingerprint,
        "model": entry.request.model,
        "request": dict(entry.request.params),
        "external_task_id": entry.external_task_id,
        "attempt": entry.attempt,
        "job_id": entry.job_id,
        "credits": {"estimated": _plain(entry.estimated), "charged": None if entry.charged is None else _plain(entry.charged)},
        "outputs": [_artifact_dict(artifact) for artifact in entry.outputs],
    }
    if entry.error:
        out["error"] = entry.error
    return out


def _plain(amount: Decimal) -> str:
    """Credits without exponent or trailing zeros, so that 145, 145.0 and 1.45E+2 are the same bytes."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _artifact_dict(artifact: Artifact) -> dict[str, Any]:
    media = artifact.media
    facts = None if media is None else {name: getattr(media, name) for name in MediaFacts.__slots__}
    return {"path": artifact.path, "sha256": artifact.sha256, "bytes": artifact.bytes, "media": facts}


def entry_of(job: Job) -> LockEntry:
    """A job of the ledger as it stands in the lockfile."""
    intent = job.intent
    return LockEntry(state=job.state, fingerprint=intent.fingerprint, request=intent.request,
                     external_task_id=intent.external_task_id, attempt=intent.attempt, job_id=job.job_id,
                     estimated=intent.reserved, charged=job.charged, error=job.error, outputs=job.artifacts)


_PROJECTED = frozenset({JobState.SUBMITTED, JobState.RUNNING, JobState.IN_DOUBT, JobState.MISSING, JobState.SUCCEEDED,
                        JobState.STORED, JobState.FAILED})
"""States that the lockfile shows: a job exists, or may. Anything earlier is the ledger's alone."""


def with_jobs(lockfile: Lockfile, jobs: Mapping[TakeKey, Job | None]) -> Lockfile:
    """The lockfile with these takes' blocks replaced (None: removed) and all others untouched.

    A clip that is stored stays named until another one is stored in its place: a new attempt that is under way, or that
    failed, never makes the lockfile forget the bytes of the last good one.
    """
    entries = dict(lockfile.entries)
    extra = dict(lockfile.extra)
    for key, job in jobs.items():
        where = (key.shot, key.take)
        present = entries.get(where)
        if job is None:
            entries.pop(where, None)
            extra.pop(where, None)
        elif job.state in _PROJECTED:
            if present is None or present.state is not JobState.STORED or job.state is JobState.STORED:
                entries[where] = entry_of(job)
        elif present is not None and present.external_task_id == job.intent.external_task_id:
            del entries[where]
    return Lockfile(entries=entries, extra=extra)
