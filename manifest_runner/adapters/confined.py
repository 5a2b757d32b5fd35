"""Templates in a process of their own, which may be killed.

Laws:

- Jinja is neither run nor imported in this process. The worker has no key and no environment, opens no file and no socket once it has
  started (`confined_worker` says how, system by system), and is killed when a template takes too long.
- What the worker answers is a stranger's word: it is read as JSON, bounded, and checked again for what may stand in a text.
- No worker is started for a manifest that uses plain names only.
"""

from __future__ import annotations

import json
import os
import selectors
import time
from collections.abc import Callable, Mapping
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

    def expression_names(self, expression: str) -> frozenset[str]:
        """The names that an expression asks for. Raises `TemplateError`."""
        known = self._names.get(expression)
        if known is None:
            known = self._names[expression] = _names(self._ask({"do": "expression_names", "text": expression}))
        return known

    def names(self, text: str) -> frozenset[str]:
        """The names that a whole template asks for. Raises `TemplateError`."""
        return _names(self._ask({"do": "names", "text": text}))

    def whole_expression(self, text: str) -> str | None:
        """The expression, where `text` is nothing but one `{{ … }}`."""
        answer = self._ask({"do": "whole_expression", "text": text})
        return answer if isinstance(answer, str) else None

    def evaluate(self, expression: str, context: Mapping[str, Json]) -> Json:
        """What an expression yields. Raises `TemplateError`."""
        return plain_json(self._ask({"do": "evaluate", "text": expression}, context))

    def render(self, text: str, context: Mapping[str, Json]) -> str:
        """The text that a whole template yields. Raises `TemplateError`."""
        answer = self._ask({"do": "render", "text": text}, context)
        return check_text(answer) if isinstance(answer, str) else ""

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _ask(self, question: dict[str, Json], context: Mapping[str, Json] | None = None) -> Json:
        worker = self._ready()
        try:
            answer = worker.ask(question, context)
            while "file" in answer:
                answer = worker.ask(self._file(str(answer["file"])), None)
        except _Gone:
            self.close()
            raise TemplateError("the template takes too much time or memory", code="template-limit",
                                hint="make it smaller: it may compute for a second or two, not more") from None
        if "error" in answer:
            raise _as_error(answer["error"])
        return answer.get("value")

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

    def ask(self, question: dict[str, Json], context: Mapping[str, Json] | None) -> dict[str, Any]:
        """One exchange. Of `context` only what differs from the last time is sent."""
        if context is not None:
            last = self._context
            question["set"] = {name: value for name, value in context.items() if name not in last or last[name] is not value}
            question["drop"] = [name for name in last if name not in context]
            self._context = dict(context)
        try:
            self._send(json.dumps(question, allow_nan=False).encode() + b"\n")
            answer = json.loads(self._line())
        except (OSError, ValueError, RecursionError):
            raise _Gone from None
        if not isinstance(answer, dict):
            raise _Gone
        return answer

    def _send(self, line: bytes) -> None:
        view = memoryview(line)
        while view:  # an unbuffered pipe takes what fits
            view = view[self._questions.write(view) or 0 :]

    def _line(self) -> bytes:
        deadline = time.monotonic() + PATIENCE
        got = bytearray()
        while not got.endswith(b"\n"):
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise _Gone
            chunk = os.read(self._answers.fileno(), 1 << 20)
            got += chunk
            if not chunk or len(got) > LARGEST_MESSAGE:
                raise _Gone
        return bytes(got)

    def end(self) -> None:
        """Kill it and wait for its end."""
        self._selector.close()
        confined_start.end(self._process)


def _names(value: Json) -> frozenset[str]:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()


def _as_error(said: Any) -> TemplateError:
    """The worker's error. Its words may quote the template: they are shown as any text of a stranger is."""
    known = said if isinstance(said, dict) else {}
    words = {name: value for name in ("message", "code", "hint", "name") if isinstance(value := known.get(name), str)}
    line = known.get("line")
    return TemplateError(words.get("message", "the template fails"), code=words.get("code"), hint=words.get("hint"),
                         name=words.get("name"), line=line if isinstance(line, int) else None)
