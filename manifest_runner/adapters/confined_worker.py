"""The process in which strangers' templates run. It trusts nobody and is trusted by nobody.

What confines it, after its imports and before the first template:

- everywhere: an empty environment, no key, no file but the two pipes; a timer of CPU time whose expiry ends it, also inside
  one long operation; memory, as far as the system counts it.
- Linux and macOS: no descriptor can be opened any more (`RLIMIT_NOFILE`), so no file, no socket and no library; nothing can
  be written to a file (`RLIMIT_FSIZE`), and no process forked (`RLIMIT_NPROC`, which root may ignore). Linux counts memory by
  address space (`RLIMIT_AS`); macOS does not hold that limit, there the lids of `core.sandbox_lids` and the timer are what
  bounds it.
- Windows: none of these limits exists there; the empty environment and the parent's patience do.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from manifest_runner.adapters.confined_start import LARGEST_MESSAGE
from manifest_runner.core.sandbox import Sandbox
from manifest_runner.core.template_values import TemplateError, plain_json
from manifest_runner.errors import UsageError

if sys.platform != "win32":
    import resource

MEMORY = 128 * 1024 * 1024
"""Bytes that templates may take on top of what the worker has after its imports."""

CPU_SECONDS = 2.0
"""CPU time that templates may be behind."""

CPU_SECONDS_EACH = 0.002
"""CPU time that every template earns: ten thousand ordinary ones need more than one may."""


def main() -> None:
    """Answer questions until the pipe closes."""
    confine()
    gc.freeze()  # off until here: there was no garbage, only imports
    gc.set_threshold(10_000, 20, 20)  # compiling makes many small things, and `MEMORY` holds without it
    gc.enable()
    worker = _Worker()
    while line := sys.stdin.buffer.readline(LARGEST_MESSAGE):
        for answer in worker.answers(json.loads(line)):
            _write(answer)


def confine() -> None:
    """Give up what a template could reach."""
    _warm_up()
    if sys.platform == "win32":
        return
    mapped = _mapped()
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))
    if mapped:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))


def _warm_up() -> None:
    """Make Jinja import what it imports late, while files can still be opened."""
    sandbox = Sandbox(files=None)
    for text in ("{% for a in [1] %}{{ a | string | wordwrap(3) }}{% endfor %}", "{{ 1 // 0 }}", "{{", "{% include 'a.j2' %}"):
        with suppress(TemplateError):
            sandbox.render(text, {})


def _mapped() -> int:
    """Bytes of address space in use; 0 where the system does not say (only Linux holds a limit on it)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib takes 4 ms to import
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Worker:
    """A sandbox, the names that templates see, and the CPU time that they may still use."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(files=_file)
        self._context: dict[str, Any] = {}
        self._varying: frozenset[str] = frozenset()
        self._allowance = CPU_SECONDS

    def answers(self, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """An answer to each text of a question; the context is what was sent before, and what this question changes of it."""
        for name in question.get("drop", ()):
            del self._context[name]
        self._context.update(question.get("set", {}))
        self._varying = frozenset(question.get("varying", ()))
        for text in question["texts"]:
            yield self._answer(question["do"], text)

    def _answer(self, kind: str, text: str) -> dict[str, Any]:
        self._start_timer()
        try:
            return {"value": self._value(kind, text)}
        except TemplateError as error:
            return {"error": {"message": error.message, "code": error.code, "hint": error.hint, "line": error.line,
                              "name": error.name}}
        finally:
            self._stop_timer()

    def _value(self, kind: str, text: str) -> Any:
        match kind:
            case "evaluate":
                return plain_json(self._sandbox.evaluate(text, self._context))
            case "render":
                return self._sandbox.render(text, self._context)
            case "expression_names":
                return sorted(self._sandbox.expression_names(text))
            case "foresee":
                return self._foresee(text)
            case "names":
                return sorted(self._sandbox.names(text))
        return self._sandbox.whole_expression(text)

    def _foresee(self, expression: str) -> dict[str, Any]:
        names = self._sandbox.expression_names(expression)
        found: dict[str, Any] = {"names": sorted(names)}
        if self._varying.isdisjoint(names):
            with suppress(TemplateError):  # it is told to whoever asks
                found["value"] = plain_json(self._sandbox.evaluate(expression, self._context))
        return found

    def _start_timer(self) -> None:
        if sys.platform != "win32":  # the default action of this signal ends the process, whatever it is doing
            signal.setitimer(signal.ITIMER_PROF, self._allowance)

    def _stop_timer(self) -> None:
        if sys.platform != "win32":
            left, _ = signal.setitimer(signal.ITIMER_PROF, 0)
            self._allowance = min(CPU_SECONDS, left + CPU_SECONDS_EACH)


def _file(name: str) -> str:
    """The text of a template file, from the parent, who knows the repository."""
    _write({"file": name})
    answer = json.loads(sys.stdin.buffer.readline(LARGEST_MESSAGE))
    if "text" in answer:
        return str(answer["text"])
    raise UsageError(str(answer.get("missing", "it cannot be read")))


def _write(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()
