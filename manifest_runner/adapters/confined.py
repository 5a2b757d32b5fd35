"""Templates in a process of their own, which may be killed.

Laws:

- Jinja is neither run nor imported in this process. The worker has no key and no environment, opens no file and no socket
  once it has started (`confined_worker` says how, system by system), and is killed when a template takes too long.
- What the worker answers is a stranger's word: it is read as JSON, bounded, and checked again for what may stand in a text.
- No worker is started for a manifest that uses plain names only.
"""

from __future__ import annotations

import json
import os
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from manifest_runner.adapters import confined_start
from manifest_runner.adapters.confined_start import LARGEST_MESSAGE
from manifest_runner.core.model import Json
from manifest_runner.core.template_values import TemplateError, check_text, plain_json
from manifest_runner.errors import ManifestRunnerError

MOST_WORKERS = 2
"""Workers that one run may lose or use: after a killed one the other templates are still looked at, but not for ever."""

PATIENCE = 30.0
"""Seconds of real time that one answer may take. CPU time is the worker's own business and much shorter; this is the net
below it, wide enough for a machine that is busy with other things."""


class ConfinedEngine:
    """`core.templating.Engine` in another process. `files` gives the text of a `*.j2` file or raises `UsageError`."""

    def __init__(self, files: Callable[[str], str] | None) -> None:
        self._files = files
        self._worker: _Worker | None = None
        self._started = 0
        self._names: dict[str, frozenset[str]] = {}
        self._endless: set[str] = set()

    def expression_names(self, expression: str) -> frozenset[str]:
        """The names that an expression asks for. Raises `TemplateError`."""
        known = self._names.get(expression)
        if known is None:
            self._refuse_again(expression)
            known = self._names[expression] = _names(self._ask({"do": "expression_names", "texts": [expression]}))
        return known

    def names(self, text: str) -> frozenset[str]:
        """The names that a whole template asks for. Raises `TemplateError`."""
        return _names(self._ask({"do": "names", "texts": [text]}))

    def whole_expression(self, text: str) -> str | None:
        """The expression, where `text` is nothing but one `{{ … }}`."""
        answer = self._ask({"do": "whole_expression", "texts": [text]})
        return answer if isinstance(answer, str) else None

    def evaluate(self, expression: str, context: Mapping[str, Json]) -> Json:
        """What an expression yields. Raises `TemplateError`."""
        self._refuse_again(expression)
        return plain_json(self._ask({"do": "evaluate", "texts": [expression]}, context))

    def render(self, text: str, context: Mapping[str, Json]) -> str:
        """The text that a whole template yields. Raises `TemplateError`."""
        answer = self._ask({"do": "render", "texts": [text]}, context)
        return check_text(answer) if isinstance(answer, str) else ""

    def foresee(self, expressions: Sequence[str], constants: Mapping[str, Json], varying: frozenset[str]) -> dict[str, Json]:
        """Learn the names of many expressions in one exchange; returns what those yield that ask for none of `varying`."""
        values: dict[str, Json] = {}
        question: dict[str, Json] = {"do": "foresee", "texts": list(expressions), "varying": sorted(varying)}
        expression = ""
        try:
            worker = self._ready()
            worker.send(question, constants)
            for expression in expressions:
                found = worker.receive().get("value")
                if isinstance(found, dict):
                    self._names[expression] = _names(found.get("names"))
                    if "value" in found:
                        values[expression] = plain_json(found["value"])
        except _Gone:
            self.close()
            self._endless.add(expression)
        except TemplateError:
            self.close()  # no worker, or one that says what no worker says
        return values

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _ask(self, question: dict[str, Json], context: Mapping[str, Json] | None = None) -> Json:
        worker = self._ready()
        try:
            worker.send(question, context)
            while "file" in (answer := worker.receive()):
                worker.send(self._file(str(answer["file"])))
        except _Gone:
            self.close()
            raise _endless() from None
        if "error" in answer:
            raise _as_error(answer["error"])
        return answer.get("value")

    def _refuse_again(self, expression: str) -> None:
        if expression in self._endless:
            raise _endless()

    def _ready(self) -> _Worker:
        if self._worker is None:
            if self._started >= MOST_WORKERS:
                raise TemplateError("not looked at: other templates took too much time or memory", code="template-limit",
                                    hint="mend those first")
            self._started += 1
            try:
                self._worker = _Worker()
            except OSError as error:
                raise TemplateError(f"the process for templates cannot be started: {error.strerror}") from None
        return self._worker

    def _file(self, name: str) -> dict[str, Json]:
        if self._files is None:
            return {"missing": "no file can be included here"}
        try:
            return {"text": self._files(name)}
        except ManifestRunnerError as error:
            return {"missing": error.message}


class _Gone(Exception):
    """The worker has died, or had to."""


class _Worker:
    """One process, and the questions and answers that go through its pipes: a line of JSON each."""

    def __init__(self) -> None:
        self._process = confined_start.take()
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018 - they are pipes
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._context: dict[str, Json] = {}
        self._read = bytearray()

    def send(self, question: dict[str, Json], context: Mapping[str, Json] | None = None) -> None:
        """Ask. Of `context` only what differs from the last time is sent."""
        if context is not None:
            last = self._context
            question["set"] = {name: value for name, value in context.items() if name not in last or last[name] is not value}
            question["drop"] = [name for name in last if name not in context]
            self._context = dict(context)
        view = memoryview(json.dumps(question, allow_nan=False).encode() + b"\n")
        try:
            while view:  # an unbuffered pipe takes what fits
                view = view[self._questions.write(view) or 0 :]
        except OSError:
            raise _Gone from None

    def receive(self) -> dict[str, Any]:
        """The next answer."""
        try:
            answer = json.loads(self._line())
        except (OSError, ValueError, RecursionError):
            raise _Gone from None
        if not isinstance(answer, dict):
            raise _Gone
        return answer

    def _line(self) -> bytes:
        deadline = time.monotonic() + PATIENCE
        while (end := self._read.find(b"\n")) < 0:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise _Gone
            chunk = os.read(self._answers.fileno(), 1 << 20)
            self._read += chunk
            if not chunk or len(self._read) > LARGEST_MESSAGE:
                raise _Gone
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def end(self) -> None:
        """Kill it and wait for its end."""
        self._selector.close()
        confined_start.end(self._process)


def _names(value: Json) -> frozenset[str]:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()


def _endless() -> TemplateError:
    return TemplateError("the template takes too much time or memory", code="template-limit",
                         hint="make it smaller: it may compute for a second or two, not more")


def _as_error(said: Any) -> TemplateError:
    """The worker's error. Its words may quote the template: they are shown as any text of a stranger is."""
    known = said if isinstance(said, dict) else {}
    words = {name: value for name in ("message", "code", "hint", "name") if isinstance(value := known.get(name), str)}
    line = known.get("line")
    return TemplateError(words.get("message", "the template fails"), code=words.get("code"), hint=words.get("hint"),
                         name=words.get("name"), line=line if isinstance(line, int) else None)
