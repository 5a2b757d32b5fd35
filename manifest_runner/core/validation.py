"""A filled manifest in; shots, or everything that is wrong with it, out.

Laws: all mistakes at once, each once, where it was *written*; nothing is said of a value whose template failed; a manifest that
comes out needs no further check of its own text. The quick gate only ever says yes or no; `explain` says why.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from manifest_runner.core.camera import prompt_with_camera, resolve
from manifest_runner.core.explain import Finding, explain, pointer_text, shown
from manifest_runner.core.fingerprint import whole
from manifest_runner.core.model import (
    Camera,
    Cut,
    Diagnostic,
    FileFrame,
    Frame,
    FramePosition,
    Json,
    JsonObject,
    Limits,
    Manifest,
    Note,
    Pointer,
    Rate,
    Severity,
    Shot,
    ShotFrame,
    ShotId,
    Source,
    UrlFrame,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.rules import ADDRESS, Show, findings
from manifest_runner.core.schema import RATE, Schema, manifest_schema
from manifest_runner.errors import UsageError

if TYPE_CHECKING:
    from manifest_runner.core.expansion import Filled

MOST_MISTAKES = 1000
"""How many are listed; a hostile manifest holds as many as it likes."""

MOST_EXPLAINED = 2000
"""Findings of the schema that are explained, alike or not: explaining is slow, and 20,000 shots may be wrong in every key."""

_PERIODS = {"s": 1, "min": 60, "h": 3600}
_SUFFIX = re.compile(r"(\.ya?ml)?(\.j2)?\Z")


def check(filled: Filled, card: ModelCard) -> tuple[Manifest | None, list[Diagnostic]]:
    """The manifest that `filled` describes, and everything to say about it, sorted by place.

    The manifest is None where there is an error, or where templates failed (those were reported by whoever filled them, and
    whatever else was wrong then must stop the caller too). Warnings come with a manifest.
    """
    # A default may need a shot's axes: alone it cannot be filled, and that is no mistake. In the shots it is judged.
    failed = frozenset(pointer for pointer in filled.failed if pointer[:1] != ("defaults",))
    told = (found for found in _schema_findings(filled.data, card) if not _under(found.pointer, failed))
    broken = list(islice(told, MOST_EXPLAINED))
    if len(broken) == MOST_EXPLAINED:  # what was not looked at may be anything: no rule can be applied to it
        return None, _diagnostics(filled, broken, more=True)
    show = _sound(filled.data, card, (*failed, *(found.pointer for found in broken)))
    diagnostics = _diagnostics(filled, chain(broken, findings(show)))
    if failed or any(item.severity is Severity.ERROR for item in diagnostics):
        return None, diagnostics
    return _manifest(filled, card), diagnostics


def judge(data: JsonObject, card: ModelCard) -> list[Finding]:
    """Everything that keeps data without templates from being a manifest, by the same schema and rules as `check`."""
    broken = list(islice(_schema_findings(data, card), MOST_EXPLAINED))
    return [*broken, *findings(_sound(data, card, (found.pointer for found in broken)))]


def parse_rate(text: str) -> Rate:
    """`30/min` as a Rate: a count and s, min or h. Raises UsageError for anything else."""
    if not re.match(RATE["pattern"], text):
        raise UsageError(f"{shown(text)} is not a rate", code="bad-rate",
                         hint="a rate is a count and s, min or h: 2/s, 30/min, 500/h")
    count, _, period = text.partition("/")
    return Rate(count=int(count), per=_PERIODS[period])


# ── the schema ────────────────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=8)
def _schemas(card: ModelCard) -> tuple[Schema, Schema, Callable[[Json], bool], Callable[[Json], bool]]:
    """The schemas of a manifest without its shots and of one shot, and the quick gate of each."""
    top = manifest_schema(card, templates=False)
    shots = top["properties"]["shots"]
    shot = shots.pop("items")
    return top, shot, _gate(top), _gate(shot)


def _gate(schema: Schema) -> Callable[[Json], bool]:
    import fastjsonschema  # here, because commands that validate nothing should not pay for it at start-up

    compiled: Any = fastjsonschema.compile(schema, use_default=False, use_formats=False, detailed_exceptions=False)

    def fits(data: Json) -> bool:
        try:
            compiled(data)
        except fastjsonschema.JsonSchemaException:
            return False
        return True

    return fits


def _schema_findings(data: Json, card: ModelCard) -> Iterator[Finding]:
    """The slow validator sees only what the gate refused, shot by shot: one bad shot among 10,000 costs one explanation."""
    top, shot, top_fits, shot_fits = _schemas(card)
    if not top_fits(data):
        yield from explain(top, data)
    for index, item in enumerate(_shots(data)):
        if not shot_fits(item):
            yield from explain(shot, item, at=("shots", index))


def _shots(data: Json) -> list[Json]:
    shots = data.get("shots") if isinstance(data, dict) else None
    return shots if isinstance(shots, list) else []


def _under(pointer: Pointer, failed: frozenset[Pointer]) -> bool:
    return bool(failed) and any(pointer[:length] in failed for length in range(len(pointer) + 1))


def _sound(data: Json, card: ModelCard, wrong: Iterable[Pointer]) -> Show:
    """What may be given to the rules: everything but the keys in which something is wrong."""
    doubtful = frozenset(pointer[:3] if pointer[:1] == ("shots",) else pointer[:1] for pointer in wrong)
    shots = _shots(data)
    if doubtful:
        data = {key: value for key, value in data.items() if (key,) not in doubtful} if isinstance(data, dict) else {}
        shots = [_sound_shot(("shots", index), shot, doubtful) for index, shot in enumerate(shots)]
    return Show(data=data, shots=shots, doubtful=doubtful, card=card)


def _sound_shot(pointer: Pointer, shot: Json, doubtful: frozenset[Pointer]) -> JsonObject:
    if pointer in doubtful:
        return {}
    return {key: value for key, value in shot.items() if (*pointer, key) not in doubtful}


# ── from findings to diagnostics ──────────────────────────────────────────────────────────────────────────────────


def _diagnostics(filled: Filled, found: Iterable[Finding], *, more: bool = False) -> list[Diagnostic]:
    """Each mistake once, where it was written: a default that is wrong in 500 shots is one mistake. `more` says that these are
    not all. However many warnings there are, they hide no mistake and are none."""
    listed: dict[tuple[Source | None, str, str], Diagnostic] = {}
    counts = Counter[Severity]()
    for finding in found:
        if finding.severity is Severity.WARNING and counts[Severity.WARNING] > MOST_MISTAKES:
            continue
        item = _diagnostic(filled, finding)
        if (item.source, item.code, item.message) in listed:
            continue
        counts[item.severity] += 1
        if counts[item.severity] <= MOST_MISTAKES:
            listed[item.source, item.code, item.message] = item
        elif item.severity is Severity.ERROR:
            more = True
            break
    if more or counts[Severity.WARNING] > MOST_MISTAKES:
        severity, what = (Severity.ERROR, "mistakes") if more else (Severity.WARNING, "warnings")
        these = sum(item.severity is severity for item in listed.values())
        listed[None, "", ""] = Diagnostic(severity=severity, code=f"more-{what}", source=filled.origins.locate(())[0],
                                          message=f"there are more {what} than these {these:,}",
                                          hint="mend these first; then the rest is looked at")
    return sorted(listed.values(), key=_place)


def _diagnostic(filled: Filled, finding: Finding) -> Diagnostic:
    written = finding.pointer[:-1] if finding.absent else finding.pointer
    source, notes = filled.origins.locate(written, key=finding.at_key)
    seen = tuple(Note(message=message, source=filled.origins.locate(pointer)[0]) for message, pointer in finding.see)
    return Diagnostic(severity=finding.severity, code=finding.code, message=finding.message, hint=finding.hint, source=source,
                      pointer=pointer_text(written), notes=seen + notes)


def _place(item: Diagnostic) -> tuple[str, int, int, str, str]:
    source = item.source
    return (source.path, source.line, source.column, item.code, item.message) if source else ("", 0, 0, item.code, item.message)


# ── from a valid manifest to the types that flow ──────────────────────────────────────────────────────────────────


def _manifest(filled: Filled, card: ModelCard) -> Manifest:
    data, builder = filled.data, _ShotBuilder(card)
    output = data.get("output") or f"renders/{_stem(filled.path)}"
    return Manifest(path=filled.path, show=data["show"], sequence=data.get("sequence", ""), model=data["model"],
                    output=output.rstrip("/"), limits=_limits(data.get("limits", {})), title=data.get("title", ""),
                    shots=tuple(map(builder.shot, data["shots"])))


def _stem(path: str) -> str:
    name = path.replace("\\", "/").rpartition("/")[2]
    return _SUFFIX.sub("", name) or "manifest"


def _limits(data: JsonObject) -> Limits:
    return Limits(concurrency=int(data["concurrency"]) if "concurrency" in data else None,
                  rate=parse_rate(data["rate"]) if "rate" in data else None,
                  credits=Decimal(str(data["credits"])) if "credits" in data else None)


class _ShotBuilder:
    """Makes shots for one model. Shots with the same camera share one."""

    __slots__ = ("_cameras", "_card", "_defaults", "_names")

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._defaults = card.defaults
        self._names = tuple(card.parameters)
        self._cameras: dict[str, Camera] = {}

    def shot(self, shot: JsonObject) -> Shot:
        params = self._params(shot)
        camera = self._camera(shot["camera"]) if "camera" in shot else None
        if camera is not None:
            params["prompt"] = prompt_with_camera(params["prompt"], camera)
            if camera.control is not None:
                params[self._card.camera.parameter] = camera.control
        get = shot.get
        circled, cut, takes = get("circled"), get("cut"), get("takes")
        return Shot(
            id=ShotId(shot["id"]), params=params, takes=1 if takes is None else int(takes),
            circled=None if circled is None else int(circled), camera=camera,
            first_frame=_frame(shot["first_frame"]) if "first_frame" in shot else None,
            last_frame=_frame(shot["last_frame"]) if "last_frame" in shot else None,
            cut=_NO_CUT if cut is None else _cut(cut), note=get("note", ""))

    def _params(self, shot: JsonObject) -> dict[str, Json]:
        params: dict[str, Json] = {}
        for name in self._names:
            if name in shot:
                value = shot[name]
                params[name] = value if value.__class__ is str else whole(value)
            elif name in self._defaults:
                params[name] = self._defaults[name]
        return params

    def _camera(self, value: Json) -> Camera:
        key = repr(value)  # of JSON: equal texts are equal values, and 4 is not 4.0
        found = self._cameras.get(key)
        if found is None:
            found = self._cameras[key] = resolve(value, self._card)
        return found


_NO_CUT = Cut()


def _cut(cut: Mapping[str, Json]) -> Cut:
    return Cut(start=float(cut.get("in", 0)), end=float(cut["out"]) if "out" in cut else None)


def _frame(value: Json) -> Frame:
    if isinstance(value, str):
        return UrlFrame(url=value) if ADDRESS.match(value) else FileFrame(path=value)
    take = value.get("take")
    return ShotFrame(shot=ShotId(value["shot"]), frame=FramePosition(value.get("frame", FramePosition.LAST)),
                     take=None if take is None else int(take))
