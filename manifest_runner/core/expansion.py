"""Bytes of a manifest → the filled manifest: includes, vars, defaults, matrix, templates.

Laws:
- Everything that can be filled is filled, and every mistake on the way is a Diagnostic where it was *written*. A value
  whose template failed is left out and named in `failed`, so that nobody reports it a second time.
- Values are not judged here: ranges, words and unknown keys are the schema's, on the filled data.
- A shot's own keys win over the manifest's defaults, and those over the included ones; the merge is shallow.
- The same bytes give the same result: there is no clock, no chance and no environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from math import prod

from manifest_runner.core.includes import RESERVED, Reader, Sources
from manifest_runner.core.model import Diagnostic, Document, Json, Pointer
from manifest_runner.core.origins import Came, Layer, Origins, Written, json_pointer, locate_template
from manifest_runner.core.parsing import locate
from manifest_runner.core.templating import EngineMaker, TemplateError, in_this_process
from manifest_runner.core.variables import Variables
from manifest_runner.errors import InvalidInput

__all__ = ["MAX_COMBINATIONS", "MAX_SHOTS", "Filled", "Origins", "Sources", "json_pointer", "load"]

MAX_COMBINATIONS = 1_000
"""Shots that one matrix may make."""

MAX_SHOTS = 20_000
"""Shots of one manifest, matrix included."""

_GONE = object()  # stands for a value whose template failed
_AS_WRITTEN = frozenset(("version", "include"))
_CONTAINERS = (dict, list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A manifest with every template filled and every shot expanded.

    `data` has the manifest's keys; under `shots` is one mapping for each expanded shot, with the defaults merged in and
    `matrix` gone; its `defaults` hold what does not depend on a shot. `inputs` is every file read, by shown path, with its
    sha256 in hex. `failed` are pointers into `data` where a value is missing because its template failed, which a
    Diagnostic says already.
    """

    path: str
    data: dict[str, Json]
    origins: Origins
    inputs: Mapping[str, str]
    failed: frozenset[Pointer] = frozenset()


def load(data: bytes, *, path: str, sources: Sources,
         make_engine: EngineMaker = in_this_process) -> tuple[Filled, list[Diagnostic]]:  # fmt: skip
    """The filled manifest in `data`, and what was wrong on the way. `path` is the path as shown to the user; `make_engine`
    makes what runs its templates, once and only where it has some that are more than names.

    Raises `InvalidInput` where the manifest itself is not YAML, or not a mapping.
    """
    reader = Reader(path, sources, make_engine)
    with closing(reader.templates):
        return _load(reader, data, path)


def _load(reader: Reader, data: bytes, path: str) -> tuple[Filled, list[Diagnostic]]:
    document = reader.document(data, path=path)
    if not isinstance(document.data, dict):
        message = "a manifest begins with keys such as version and shots"
        hint = "`manifest-runner init` writes a manifest to start from"
        raise InvalidInput([Diagnostic(code="manifest-shape", message=message, hint=hint, source=locate(document, ()))])
    expansion = _Expansion(reader, document, reader.layer(document, at=path.rpartition("/")[2]))
    filled = Filled(path=path, data=expansion.fill(), origins=expansion.origins, inputs=reader.inputs,
                    failed=frozenset(expansion.failed))  # fmt: skip
    return filled, reader.diagnostics


class _Expansion:
    """Fills one manifest."""

    def __init__(self, reader: Reader, document: Document, layer: Layer) -> None:
        self._reader = reader
        self._manifest: dict[str, Json] = document.data
        self._document = document
        self._defaults = {name: written.value for name, written in layer.defaults.items()}
        self._reported: set[tuple[str, Pointer, str]] = set()
        self._quiet = ""  # "names": a matrix is wrong, its axes are missing; "all": somebody else reports
        self.failed: set[Pointer] = set()
        self.shots: list[Json] = []
        others = {key: Written(value=self._manifest[key], document=document, pointer=(key,))
                  for key in ("show", "sequence") if key in self._manifest}  # fmt: skip
        self.origins = Origins(document, layer, reader.texts)
        self._variables = Variables(reader.templates, layer.vars, others, self._report_var)
        self.origins.values = self._variables.values
        written = (self._defaults, self._manifest.get("shots"))
        self._filler = reader.templates.filler(self._variables.context(), {"shot", *self._axis_names()},
                                               lambda: _templates_in(written))

    def fill(self) -> dict[str, Json]:
        """The filled data."""
        data: dict[str, Json] = {}
        for key, value in self._manifest.items():
            filled = self._top(key, value)
            if filled is not _GONE:
                data[key] = filled
        return data

    def _top(self, key: str, value: Json) -> Json:
        """One key of the manifest, filled."""
        if key in _AS_WRITTEN:
            return value
        if key in ("show", "sequence"):
            return self._named(key, (key,))
        if key == "vars" and isinstance(value, dict):
            own = {name: self._named(name, ("vars", name)) for name in value if name not in RESERVED}
            return {name: filled for name, filled in own.items() if filled is not _GONE}
        if key == "defaults" and isinstance(value, dict):
            return self._own_defaults(value)
        if key == "shots" and isinstance(value, list):
            for number, shot in enumerate(value):
                if not self._expand(number, shot):
                    break
            return self.shots
        return self._fill(value, {}, (key,))

    def _named(self, name: str, pointer: Pointer) -> Json:
        if name in self._variables.values:
            return self._variables.values[name]
        self.failed.add(pointer)
        return _GONE

    def _own_defaults(self, defaults: dict[str, Json]) -> Json:
        """The defaults as far as they do not depend on a shot. What is wrong in them is reported by the shots."""
        self._quiet = "all"
        filled = self._fill(defaults, {}, ("defaults",))
        self._quiet = ""
        return filled

    # ── shots ──

    def _expand(self, number: int, shot: Json) -> bool:
        """Adds the shots that one written shot makes. False where there are too many already."""
        if not isinstance(shot, dict):
            self.origins.shots.append(Came(shot=number))
            self.shots.append(shot)
            return True
        merged = {**self._defaults, **shot}
        if "matrix" not in merged:
            self.origins.shots.append(Came(shot=number))
            self.shots.append(self._shot(merged, {}))
        else:
            self._expand_matrix(number, merged)
        if len(self.shots) <= MAX_SHOTS:
            return True
        message = f"the manifest makes more than {MAX_SHOTS:,} shots"
        self._wrong("too-many-shots", message, ("shots", MAX_SHOTS), "split it into several manifests")
        del self.shots[MAX_SHOTS:], self.origins.shots[MAX_SHOTS:]
        return False

    def _expand_matrix(self, number: int, merged: dict[str, Json]) -> None:
        came = Came(shot=number)
        self.origins.shots.append(came)  # so that what is wrong with the matrix itself can be located
        axes = self._axes(merged.pop("matrix"), ("shots", len(self.shots), "matrix"))
        self.origins.shots.pop()
        seen: dict[str, dict[str, Json]] = {}
        self._quiet = "names" if axes is None else ""
        for picks in product(*(range(len(values)) for values in (axes or {}).values())):
            took = dict(zip(axes or {}, picks, strict=True))
            local = {axis: values[took[axis]] for axis, values in (axes or {}).items()}
            self.origins.shots.append(Came(shot=number, picks=took))
            filled = self._shot(dict(merged), local)
            name = filled.get("id")
            if isinstance(name, str) and name in seen:
                self.origins.shots.pop()
                self._repeated(seen[name], local)
                continue
            if isinstance(name, str):
                seen[name] = local
            self.shots.append(filled)
        self._quiet = ""

    def _shot(self, merged: dict[str, Json], local: dict[str, Json]) -> dict[str, Json]:
        """One shot, filled in place. Its id is filled first, and is `shot` to the others."""
        pointer: Pointer = ("shots", len(self.shots))
        name = merged.get("id")
        named = isinstance(name, str) and "{" in name
        if named:
            name = self._fill(name, local, (*pointer, "id"))
            name = str(name) if type(name) in (int, float) else name  # an id is a word, even where an axis holds numbers
            del merged["id"]
            if name is not _GONE:
                merged = {"id": name, **merged}
        # Where the id is missing or wrong somebody says so; templates that use it need not fail as well.
        local["shot"] = name if isinstance(name, str) else ""
        gone = []
        for key, item in merged.items():
            # The loop that every value of every shot passes: one look at its class, and no call for an ordinary one.
            if item.__class__ is str:
                if "{" not in item:
                    continue
            elif item.__class__ not in _CONTAINERS or not _holds_template(item):
                continue
            if key == "id" and named:  # braces in it now are its value, not a template
                continue
            merged[key] = filled = self._fill(item, local, (*pointer, key))
            if filled is _GONE:
                gone.append(key)
        for key in gone:
            del merged[key]
        return merged

    def _repeated(self, first: dict[str, Json], again: dict[str, Json]) -> None:
        """Two combinations with one id: says which axes the id leaves out."""
        missing = [axis for axis in again if axis != "shot" and first[axis] != again[axis]]
        hint = f"put {' and '.join('{{ ' + axis + ' }}' for axis in missing)} into the id"
        if not missing:
            hint = "an axis names the same value twice: remove one"
        pointer = ("shots", len(self.shots) - 1, "id")
        self._wrong("matrix-shape", "the matrix makes several shots with the same id", pointer, hint)

    # ── matrix ──

    def _axis_names(self) -> Iterator[str]:
        """The names of all axes of the manifest."""
        shots = self._manifest.get("shots")
        for holder in (self._defaults, *(shots if isinstance(shots, list) else ())):
            matrix = holder.get("matrix") if isinstance(holder, dict) else None
            if isinstance(matrix, dict):
                yield from matrix

    def _axes(self, matrix: Json, pointer: Pointer) -> dict[str, list[Json]] | None:
        """The axes with their filled values; None where the matrix is wrong, which is reported."""
        failed = set(self.failed)
        axes = self._fill(matrix, {}, pointer)
        if self.failed != failed:
            self.failed = failed  # there is no `matrix` in the data
            return None
        return axes if self._is_matrix(axes, pointer) else None

    def _is_matrix(self, axes: Json, pointer: Pointer) -> bool:
        """False where the shape is wrong, and says so."""
        shape = "write axis: [value, value]"
        if not isinstance(axes, dict) or not axes:
            self._wrong("matrix-shape", "a matrix holds axes, each with a list of values", pointer, shape)
            return False
        for axis, values in axes.items():
            if axis in RESERVED:
                hint = f"templates have {axis} already: take another name"
                self._wrong("reserved-name", f"{axis} cannot be the name of an axis", (*pointer, axis), hint, key=True)
                return False
            if not isinstance(values, list) or not values or any(isinstance(value, _CONTAINERS) for value in values):
                self._wrong("matrix-shape", f"the axis {axis} needs a list of words or numbers", (*pointer, axis), shape)
                return False
        count = prod(len(values) for values in axes.values())
        if count > MAX_COMBINATIONS:
            message = f"the matrix makes {count:,} shots; a shot may make {MAX_COMBINATIONS:,}"
            self._wrong("too-many-shots", message, pointer, "split the shot, or take fewer values")
        return count <= MAX_COMBINATIONS

    # ── strings ──

    def _fill(self, value: Json, local: Mapping[str, Json], pointer: Pointer) -> Json:
        """`value` with every string in it filled; `_GONE` for a string that cannot be."""
        if isinstance(value, str):
            try:
                return self._filler.fill(value, local)
            except TemplateError as error:
                self.failed.add(pointer)
                self._report(pointer, error)
                return _GONE
        if isinstance(value, dict):
            filled = {}
            for key, item in value.items():
                if (item.__class__ is str and "{" in item) or item.__class__ in _CONTAINERS:
                    item = self._fill(item, local, (*pointer, key))
                    if item is _GONE:
                        continue
                filled[key] = item
            return filled
        if isinstance(value, list):
            items = [self._fill(item, local, (*pointer, number)) for number, item in enumerate(value)]
            return [None if item is _GONE else item for item in items]
        return value

    # ── what is wrong ──

    def _report(self, pointer: Pointer, error: TemplateError) -> None:
        """Adds the diagnostic for a template, unless it follows from another mistake."""
        if self._quiet == "all" or (self._quiet == "names" and error.code == "undefined-name"):
            return
        if error.name in self._variables.failed:
            return
        document, written = self.origins.written(pointer)
        self._add(error, document, written, pointer)

    def _report_var(self, var: Written, way: Pointer, error: TemplateError) -> None:
        written = (*var.pointer, *way)
        self._add(error, var.document, written, written)

    def _add(self, error: TemplateError, document: Document, written: Pointer, pointer: Pointer) -> None:
        """The mistake of a template, once for each place where it is written."""
        if (document.path, written, error.message) in self._reported:
            return
        self._reported.add((document.path, written, error.message))
        source = locate_template(document, written, error)
        self._reader.diagnostics.append(
            Diagnostic(code=error.code, message=error.message, hint=error.hint, source=source, pointer=json_pointer(pointer))
        )

    def _wrong(self, code: str, message: str, pointer: Pointer, hint: str, *, key: bool = False) -> None:
        """Any other mistake at `pointer` of the filled manifest, once for each place where it is written."""
        document, written = self.origins.written(pointer)
        if (document.path, written, message) in self._reported:
            return
        self._reported.add((document.path, written, message))
        source = locate(document, written, key=key)
        self._reader.diagnostics.append(
            Diagnostic(code=code, message=message, hint=hint, source=source, pointer=json_pointer(pointer))
        )


def _holds_template(container: Json) -> bool:
    """Whether a template may stand in a mapping or list. Only then is it copied, and pointers into it made, which cost more
    than this."""
    for item in container.values() if container.__class__ is dict else container:
        if item.__class__ is str:
            if "{" in item:
                return True
        elif item.__class__ in _CONTAINERS and _holds_template(item):
            return True
    return False


def _templates_in(value: object) -> Iterator[str]:
    """Every string inside `value` in which a template may stand."""
    if isinstance(value, str):
        if "{{" in value:
            yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            if item.__class__ is str or item.__class__ in _CONTAINERS:
                yield from _templates_in(item)
