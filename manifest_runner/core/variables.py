"""Fills the vars, in whatever order they were written.

Law: a var is filled after the vars it asks for. Which those are is read off its template, not tried out: `x | default(1)`
must not depend on whether x happened to be filled yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from manifest_runner.core.model import Json, Pointer
from manifest_runner.core.origins import Written
from manifest_runner.core.template_values import TemplateError, undefined
from manifest_runner.core.templating import Templates

MAX_CHAIN = 50
"""Vars that need one another, one after the other."""

Report: TypeAlias = Callable[[Written, Pointer, TemplateError], None]


class Variables:
    """The filled values of vars, `show` and `sequence`. `failed` are the names whose mistake is reported already."""

    def __init__(self, templates: Templates, vars_: Mapping[str, Written], others: Mapping[str, Written],
                 report: Report) -> None:  # fmt: skip
        self._templates = templates
        self._written = {**vars_, **others}
        self._vars = vars_
        self._report = report
        self._chain: list[str] = []
        self.values: dict[str, Json] = {}
        self.failed: set[str] = set()
        for name in self._written:
            self._resolve(name)

    def context(self) -> dict[str, Json]:
        """All names for the templates of shots."""
        return {**self.values, "vars": {name: self.values[name] for name in self._vars if name in self.values}}

    def _resolve(self, name: str) -> None:
        if name in self.values or name in self.failed:
            return
        written = self._written[name]
        strings = [(way, text) for way, text in _strings(written.value, ()) if "{" in text]
        if not strings:
            self.values[name] = written.value
            return
        if name in self._chain or len(self._chain) >= MAX_CHAIN:
            self._cycle(name)
            return
        self._chain.append(name)
        needs: set[str] = set()
        for way, text in strings:
            try:
                needs |= self._templates.names(text)
            except TemplateError as error:
                self._fail(name, way, error)
        if "vars" in needs:
            needs |= self._written.keys() - set(self._chain)
        for need in sorted(needs & self._written.keys()):
            self._resolve(need)
        self._chain.pop()
        if name not in self.failed:
            self._fill(name, needs)

    def _fill(self, name: str, needs: set[str]) -> None:
        known = {need: self.values[need] for need in needs if need in self.values}
        known["vars"] = {need: value for need, value in known.items() if need in self._vars}
        filler = self._templates.filler(known)

        def fill(value: Json, way: Pointer) -> Json:
            if isinstance(value, str):
                try:
                    return filler.fill(value, {})
                except TemplateError as error:
                    self._fail(name, way, error)
            if isinstance(value, dict):
                return {key: fill(item, (*way, key)) for key, item in value.items()}
            if isinstance(value, list):
                return [fill(item, (*way, number)) for number, item in enumerate(value)]
            return value

        filled = fill(self._written[name].value, ())
        if name not in self.failed:
            self.values[name] = filled

    def _fail(self, name: str, way: Pointer, error: TemplateError) -> None:
        """Reports a mistake, unless it follows from one that was reported."""
        self.failed.add(name)
        if error.name in self.failed and error.name != name:
            return
        if error.name is not None:
            error.hint = undefined(error.name, self._written).hint
        self._report(self._written[name], way, error)

    def _cycle(self, name: str) -> None:
        if name in self._chain:
            circle = [*self._chain[self._chain.index(name) :], name]
            message = f"vars need one another: {' → '.join(circle)}"
            error = TemplateError(message, code="var-cycle", hint="write one of them out")
        else:
            circle = [name]
            message = f"vars need one another more than {MAX_CHAIN} deep"
            error = TemplateError(message, code="template-limit", hint="write some of them out")
        self._report(self._written[circle[0]], (), error)
        self.failed.update(circle)


def _strings(value: Json, way: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Every string inside `value`, with the way to it."""
    if isinstance(value, str):
        yield way, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*way, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*way, number))
