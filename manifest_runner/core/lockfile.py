"""The lockfile: text to `Lockfile` and back. What jobs make of it is `projection.py`'s business.

Laws: the same takes give the same bytes everywhere; one block a shot, sorted; no clock times, totals, host names or
secrets; fields of newer versions survive a rewrite; nothing read from it is trusted (it arrives in pull requests).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from manifest_runner.core.model import (
    Artifact,
    ClipFinding,
    Diagnostic,
    JobState,
    Json,
    LockEntry,
    Lockfile,
    MediaFacts,
    Request,
    ShotId,
    Source,
    Verdict,
)
from manifest_runner.errors import InvalidInput

VERSION = 1
_KNOWN = frozenset({"state", "fingerprint", "model", "request", "external_task_id", "attempt", "job_id", "credits", "error",
                    "outputs", "verdict"})
_KNOWN_TOP = frozenset({"version", "manifest", "shots"})
SUPERSEDED = "superseded"
"""The field of a take in which jobs stay on record that a merge did not choose. Kept as it came, like fields unknown here."""


_STATES: dict[Json, JobState] = {state.value: state for state in JobState}
_TAKE = re.compile(r"[1-9][0-9]{0,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST, _FINEST = Decimal(10**12), -12
_NOTHING: dict[str, Json] = {}
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MOST_NUMBER, _DEEPEST = 2**53, 16
_RESTORE = "restore it from git, or rebuild it from the ledger: manifest-runner lock"

# What stands where in a take, in the order in which it is checked.
_ENTRY = {".credits": dict, ".fingerprint": str, ".model": str, ".request": dict, ".external_task_id": str, ".attempt": int,
          ".job_id": str, ".error": str, ".outputs": list}
_ARTIFACT = {".sha256": str, ".path": str, ".bytes": int}
_MEDIA = {".media.container": str, ".media.codec": str, ".media.frame_rate": str, ".media.width": int, ".media.height": int,
          ".media.frames": int}
_FACTS = tuple(place.rpartition(".")[2] for place in _MEDIA)
_MEDIA_FIELDS = (*_FACTS, "duration")


class _Shape(Exception):
    """A value of the wrong shape. Each reader on the way out puts its own step before `place`, so that no place is ever put
    together for a value that is right."""

    def __init__(self, problem: str, place: str) -> None:
        super().__init__(problem, place)
        self.problem = problem
        self.place = place

    def below(self, step: str) -> _Shape:
        """The same mistake, seen from one step further out."""
        return _Shape(self.problem, step + self.place)


def read(text: str, *, path: str) -> Lockfile:
    """Parse a lockfile; raises `InvalidInput` with the place of what is wrong, a merge conflict included."""
    try:
        data = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_mapping)
        if _HALF.search(text) is not None:
            json.dumps(data, ensure_ascii=False).encode()  # half of a surrogate pair can neither be shown nor written
    except (RecursionError, ValueError) as error:
        raise _syntax(text, path, error) from None
    del text  # megabytes that nothing below needs
    try:
        return from_dict(data)
    except RecursionError as error:
        raise _syntax("", path, error) from None
    except _Shape as error:
        raise _invalid(path, "lockfile-shape", error.problem + error.place, hint=_RESTORE) from None


def _syntax(text: str, path: str, error: Exception) -> InvalidInput:
    """Why a text is not JSON. A conflict marker never stands in one that is: no string of JSON goes over a line's end."""
    if "\n<<<<<<< " in text or text.startswith("<<<<<<< "):
        line = text[: text.index("<<<<<<< ")].count("\n") + 1
        next_command = shlex.join(["manifest-runner", "lock", "--resolve", path])
        return _invalid(path, "lockfile-conflict", "the lockfile holds an unresolved merge conflict", line=line,
                        hint=f"it says what is in conflict, and settles what can be: {next_command}",
                        next_commands=[next_command])
    if isinstance(error, RecursionError):
        return _invalid(path, "lockfile-syntax", "nested too deeply", hint=_RESTORE)
    if isinstance(error, json.JSONDecodeError):
        return _invalid(path, "lockfile-syntax", error.msg, line=error.lineno, column=error.colno, hint=_RESTORE)
    if isinstance(error, UnicodeEncodeError):
        return _invalid(path, "lockfile-syntax", "a string holds half of a surrogate pair", hint=_RESTORE)
    hint = "keep one of the two, then run: manifest-runner lock" if isinstance(error, _Twice) else _RESTORE
    return _invalid(path, "lockfile-syntax", str(error), hint=hint)


def _mapping(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """A mapping, in which a key stands once: a merge that left a block twice must not decide silently which one counts."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Twice(f"the key {name[:60]!r} stands twice in one mapping")
            seen.add(name)
    return mapping


class _Twice(ValueError):
    """A key that stands twice."""


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:
        raise ValueError(f"{text[:40]} is not a number that a lockfile may hold")
    return number


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a number that a lockfile may hold")


def _invalid(path: str, code: str, message: str, *, line: int = 1, column: int = 1, hint: str | None = None,
             next_commands: Sequence[str] = ()) -> InvalidInput:
    where = Source(path=path, line=line, column=column)
    return InvalidInput([Diagnostic(code=code, message=message, source=where, hint=hint)], next_commands=next_commands)


def from_dict(data: Json) -> Lockfile:
    """A lockfile from its JSON; raises an error that names the place of the first value of a wrong shape."""
    top = _expect(data, dict, "the lockfile")
    version = top.get("version")
    if version.__class__ is not int or version != VERSION:
        raise _Shape(f"version is {_short(version)}; this program reads version {VERSION}", "")
    extra: dict[tuple[ShotId, int] | tuple[()], Mapping[str, Json]] = {}
    unknown = {name: value for name, value in top.items() if name not in _KNOWN_TOP}
    if unknown:
        _check_depth(unknown, "the lockfile")
        extra[()] = unknown
    reader = _Reader()
    entries: dict[tuple[ShotId, int], LockEntry] = {}
    superseded: dict[tuple[ShotId, int], tuple[LockEntry, ...]] = {}
    for shot, block in _expect(top.get("shots", {}), dict, "shots").items():
        for number, take in _takes(shot, block).items():
            take_number = _take_number(number)
            if take_number is None:
                raise _Shape(f"shots.{shot}.takes.{number[:40]}: a take is a number from 1", "")
            key = (ShotId(shot), take_number)
            try:
                entries[key] = reader.entry(take)
                if SUPERSEDED in take:
                    superseded[key] = reader.records(take[SUPERSEDED])
            except _Shape as error:
                raise error.below(f"shots.{shot}.takes.{number}") from None
            if not _KNOWN.issuperset(take):
                _check_depth(take, f"shots.{shot}.takes.{number}")
                extra[key] = {name: value for name, value in take.items() if name not in _KNOWN}
    return Lockfile(entries=entries, extra=extra, superseded=superseded,
                    manifest=_expect(top.get("manifest", ""), str, "manifest"))


def _takes(shot: str, block: Json) -> dict[str, Json]:
    """The takes in a shot's block."""
    try:
        takes: dict[str, Json] = _expect(_expect(block, dict, "").get("takes", {}), dict, ".takes")
    except _Shape as error:
        raise error.below(f"shots.{shot}") from None
    return takes


@lru_cache(maxsize=64)  # nearly all are 1
def _take_number(text: str) -> int | None:
    return int(text) if _TAKE.fullmatch(text) is not None else None


def _expect(value: Json, kind: type, where: str) -> Any:
    """`value`, which stands at `where`, if it is of this kind."""
    if value.__class__ is not kind:  # JSON has no subclasses, and a bool is no number here
        raise _Shape(f"unexpected type {type(value).__name__} (expected {kind.__name__}) in ", where)
    return value


def _check_depth(value: Mapping[str, Json], where: str) -> None:
    """Raise for containers inside one another beyond what anything here writes: what reads them later recurses."""
    level: list[Json] = [item for item in value.values() if item.__class__ is dict or item.__class__ is list]
    for _ in range(_DEEPEST):
        if not level:
            return
        level = [item for container in level for item in (container.values() if isinstance(container, dict) else container)
                 if item.__class__ is dict or item.__class__ is list]
    raise _Shape("nested too deeply in ", where)


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _expect_all(values: tuple[Json, ...], shape: Mapping[str, type]) -> None:
    """The same for many values, whose places and kinds are the keys and values of `shape`. Values that are right, as nearly all
    are, cost one comparison."""
    if [*map(type, values)] != [*shape.values()]:
        for (where, kind), value in zip(shape.items(), values, strict=True):
            _expect(value, kind, where)


class _Reader:
    """Reads the takes of one lockfile. What is equal in most of them (amounts, probed facts) is made once."""

    __slots__ = ("_amounts", "_facts")

    def __init__(self) -> None:
        self._amounts: dict[str, Decimal] = {}
        self._facts: dict[tuple[Json, tuple[Json, ...]], MediaFacts] = {}

    def entry(self, take: Json) -> LockEntry:
        get = _expect(take, dict, "").get
        state = get("state")
        if state.__class__ is not str or state not in _STATES:
            raise _Shape(f"unknown state {_short(state)} in ", ".state")
        money, outputs = get("credits", _NOTHING), get("outputs", [])
        fingerprint, model, request = get("fingerprint"), get("model"), get("request")
        task, attempt, job_id, error = get("external_task_id"), get("attempt", 1), get("job_id"), get("error", "")
        job = "" if job_id is None else job_id
        _expect_all((money, fingerprint, model, request, task, attempt, job, error, outputs), _ENTRY)
        if not 0 < attempt <= _MOST_NUMBER:
            raise _Shape("not a number of attempts in ", ".attempt")
        _check_depth(request, ".request")
        charged = money.get("charged")
        return LockEntry(
            state=_STATES[state], fingerprint=fingerprint, request=Request(model=model, params=request), external_task_id=task,
            attempt=attempt, job_id=job_id, error=error,
            estimated=self._amount(money.get("estimated", "0"), ".credits.estimated"),
            charged=None if charged is None else self._amount(charged, ".credits.charged"),
            outputs=self._outputs(outputs) if outputs else (), verdict=_verdict(take["verdict"]) if "verdict" in take else None)

    def records(self, records: Json) -> tuple[LockEntry, ...]:
        """The jobs of a take that a merge did not choose."""
        read: list[LockEntry] = []
        for record in _expect(records, list, f".{SUPERSEDED}"):
            try:
                read.append(self.entry(record))
            except _Shape as error:
                raise error.below(f".{SUPERSEDED}[{len(read)}]") from None
        return tuple(read)

    def _amount(self, value: Json, where: str) -> Decimal:
        found = self._amounts.get(_expect(value, str, where))
        if found is None:
            found = self._amounts[value] = _decimal(value, where)
        return found

    def _outputs(self, outputs: list[Json]) -> tuple[Artifact, ...]:
        read = []
        for output in outputs:
            try:
                read.append(self._artifact(output))
            except _Shape as error:
                raise error.below(f".outputs[{len(read)}]") from None
        return tuple(read)

    def _artifact(self, output: Json) -> Artifact:
        get = _expect(output, dict, "").get
        path, sha256, size, media = get("path"), get("sha256"), get("bytes"), get("media")
        _expect_all((sha256, path, size), _ARTIFACT)
        if _SHA256.fullmatch(sha256) is None:
            raise _Shape("not a sha256 in ", ".sha256")
        if not 0 <= size <= _MOST_NUMBER:
            raise _Shape("not a number of bytes in ", ".bytes")
        return Artifact(path=path, sha256=sha256, bytes=size,
                        media=None if media is None else self._media(_expect(media, dict, ".media")))

    def _media(self, media: Mapping[str, Json]) -> MediaFacts:
        duration = media.get("duration")
        if duration.__class__ is not float and duration.__class__ is not int:
            raise _Shape(f"unexpected type {type(duration).__name__} (expected number) in ", ".media.duration")
        values = tuple(map(media.get, _FACTS))
        _expect_all(values, _MEDIA)
        found = self._facts.get((duration, values))
        if found is None:
            if not all(0 <= number <= _MOST_NUMBER for number in (duration, *values) if isinstance(number, int | float)):
                raise _Shape("a number that no clip has in ", ".media")
            facts: dict[str, Any] = dict(zip(_FACTS, values, strict=True))
            found = MediaFacts(duration=float(duration), **facts)
            self._facts[duration, values] = found
        return found


def _verdict(value: Json) -> Verdict | None:
    """What stands in a take about its clip; None where that is nothing."""
    block = _expect(value, dict, ".verdict")
    accepted = _expect(block.get("accepted", False), bool, ".verdict.accepted")
    found: list[ClipFinding] = []
    for finding in _expect(block.get("findings", []), list, ".verdict.findings"):
        where = f".verdict.findings[{len(found)}]"
        get = _expect(finding, dict, where).get
        found.append(ClipFinding(code=_expect(get("code"), str, f"{where}.code"),
                                 words=_expect(get("words"), str, f"{where}.words")))
    return Verdict(accepted=accepted, findings=tuple(found)) if found else None


def _decimal(value: str, where: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise _Shape(f"{value[:40]!r} is not a number of credits in ", where) from None
    # Beyond these nothing is an amount of money, and 1E+999999999 would be written out with all its digits.
    if not number.is_finite() or not 0 <= number <= _MOST or number.as_tuple().exponent < _FINEST:  # type: ignore[operator]
        raise _Shape(f"{value[:40]!r} is not a number of credits in ", where)
    return number


def write(lockfile: Lockfile, *, manifest: str) -> str:
    """The lockfile's text: UTF-8 JSON, indented by two, keys sorted, a final newline. `manifest` is the file's own name."""
    shots: dict[str, dict[str, Any]] = {}
    for (shot, take), entry in lockfile.entries.items():
        block = shots.setdefault(shot, {"takes": {}})
        block["takes"][str(take)] = {**lockfile.extra.get((shot, take), {}), **entry_dict(entry)}
    top = {**lockfile.extra.get((), {}), "version": VERSION, "manifest": manifest, "shots": shots}
    return json.dumps(top, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def entry_dict(entry: LockEntry) -> dict[str, Any]:
    """A take's block, as far as this version knows its fields."""
    out: dict[str, Any] = {
        "state": entry.state.value,
        "fingerprint": entry.fingerprint,
        "model": entry.request.model,
        "request": dict(entry.request.params),
        "external_task_id": entry.external_task_id,
        "attempt": entry.attempt,
        "job_id": entry.job_id,
        "credits": {"estimated": plain(entry.estimated), "charged": None if entry.charged is None else plain(entry.charged)},
        "outputs": [_artifact_dict(artifact) for artifact in entry.outputs],
    }
    if entry.error:
        out["error"] = entry.error
    if entry.verdict is not None:
        out["verdict"] = verdict_dict(entry.verdict)
    return out


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it stands in the lockfile, and is told to programs."""
    return {"accepted": verdict.accepted,
            "findings": [{"code": finding.code, "words": finding.words} for finding in verdict.findings]}


def plain(amount: Decimal) -> str:
    """Credits without exponent or trailing zeros, so that 145, 145.0 and 1.45E+2 are the same bytes."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _artifact_dict(artifact: Artifact) -> dict[str, Any]:
    media = artifact.media
    facts = None if media is None else {name: getattr(media, name) for name in _MEDIA_FIELDS}
    return {"path": artifact.path, "sha256": artifact.sha256, "bytes": artifact.bytes, "media": facts}
