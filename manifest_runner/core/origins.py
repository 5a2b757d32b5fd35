"""Where each value of a filled manifest was written: in a shot, in defaults, in an included file.

Law: nothing is kept per value. A filled shot knows only from which written shot and which picks of its matrix it came; the
rest is looked up when something is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from manifest_runner.core.model import Document, Json, Note, Pointer, Source
from manifest_runner.core.positions import locate, locate_inside
from manifest_runner.core.templating import TemplateError, whole_expression

MAX_NOTES = 4
"""Places named beside one value: more explain nothing."""

_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A value as it stands in a text, its templates unfilled."""

    value: Json
    document: Document
    pointer: Pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What a file and all that it includes bring: by name, each where it was written."""

    vars: dict[str, Written] = field(default_factory=dict)
    defaults: dict[str, Written] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """Which written shot a filled one came from, and which value of each axis it took."""

    shot: int
    picks: Mapping[str, int] = field(default_factory=dict)


class Origins:
    """Answers where something was written. `values` are the filled vars, `shots` says where each filled shot came from."""

    def __init__(self, document: Document, layer: Layer, texts: Mapping[str, str]) -> None:
        self._document = document
        self._layer = layer
        self._texts = texts
        self.values: Mapping[str, Json] = {}
        self.shots: list[Came] = []

    def text(self, path: str) -> str | None:
        """The text of a file that was read, by its shown path, so that a view can print the line under a caret."""
        return self._texts.get(path)

    def locate(self, pointer: Pointer, *, key: bool = False) -> tuple[Source, tuple[Note, ...]]:
        """Where the value at `pointer` of the filled manifest, or its key, was written.

        Where the value is one whole expression, notes say where its names got their values.
        """
        document, written = self.written(pointer)
        source = locate(document, written, key=key)
        value = _deepest(document.data, written)
        expression = whole_expression(value) if isinstance(value, str) and not key else None
        return source, self._notes(expression, pointer) if expression else ()

    def written(self, pointer: Pointer) -> tuple[Document, Pointer]:
        """The document and the pointer in it that the value at `pointer` of the filled manifest came from."""
        came = self._came(pointer)
        if came is None:
            return self._document, pointer
        number = came.shot
        shot = self._document.data["shots"][number]
        if len(pointer) > 2 and isinstance(shot, dict) and pointer[2] not in shot:
            default = self._layer.defaults.get(str(pointer[2]))
            if default is not None:
                return default.document, (*default.pointer, *pointer[3:])
        return self._document, ("shots", number, *pointer[2:])

    def value(self, pointer: Pointer) -> Written:
        """The value at `pointer` of the filled manifest as it was written; its nearest ancestor where it was not."""
        document, written = self.written(pointer)
        return Written(value=_deepest(document.data, written), document=document, pointer=written)

    def picks(self, shot: int) -> Mapping[str, Json]:
        """The value of each axis that a filled shot took, as it was written."""
        return {axis: self.value(("shots", shot, "matrix", axis, pick)).value for axis, pick in self.shots[shot].picks.items()}

    def _came(self, pointer: Pointer) -> Came | None:
        """What is known of the filled shot that `pointer` leads into; None for the rest of the manifest."""
        if len(pointer) < 2 or pointer[0] != "shots" or not isinstance(pointer[1], int):
            return None
        return self.shots[pointer[1]] if 0 <= pointer[1] < len(self.shots) else None

    def _notes(self, expression: str, pointer: Pointer) -> tuple[Note, ...]:
        """Where the names in `expression` got their values, and the names in those."""
        notes: list[Note] = []
        todo = _WORD.findall(expression)
        seen = set(todo)
        while todo and len(notes) < MAX_NOTES:
            name = todo.pop(0)
            found = self._axis(name, pointer) or self._layer.vars.get(name)
            if found is None:
                continue
            value = found.value if found.pointer[0] == "shots" else self.values.get(name, found.value)
            notes.append(Note(message=f"{name} is {_short(value)} here", source=locate(found.document, found.pointer)))
            deeper = whole_expression(found.value) if isinstance(found.value, str) else None
            for word in _WORD.findall(deeper or ""):
                if word not in seen:
                    seen.add(word)
                    todo.append(word)
        return tuple(notes)

    def _axis(self, name: str, pointer: Pointer) -> Written | None:
        """The value of the axis `name` in the shot of `pointer`, if its matrix has one."""
        came = self._came(pointer)
        if came is None or name not in came.picks:
            return None
        return self.value((*pointer[:2], "matrix", name, came.picks[name]))


def locate_template(document: Document, pointer: Pointer, error: TemplateError) -> Source:
    """Where inside the string at `pointer` of `document` a template went wrong."""
    part = error.part
    if not part and error.line:
        value = _deepest(document.data, pointer)
        lines = value.split("\n") if isinstance(value, str) else []
        part = lines[error.line - 1].strip() if error.line <= len(lines) else ""
    return locate_inside(document, pointer, part, error.name or "")


def json_pointer(pointer: Pointer) -> str:
    """A pointer in the writing of RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in pointer)


def _deepest(value: Json, pointer: Pointer) -> Json:
    """The value at `pointer`, or the last one on the way to it."""
    for step in pointer:
        known = isinstance(value, dict) and step in value
        if not known and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            break
        value = value[step]
    return value


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
