"""Fills the strings of a manifest: strict, sandboxed, types kept.

Laws:
- A string without braces is returned as it is. One whole expression keeps its type; everything else becomes text.
- A name that is not there is an error, never an empty string.
- Templates see plain data and nothing of ours, and only plain data comes out (`template_values`). The sandbox bounds what
  is obvious; time and memory are bounded by the process that runs it.
- An expression is compiled once, and evaluated once where all its names are the same for the whole run.
- Nothing but `TemplateError` (and `InvalidInput` for whole files) comes out, whatever a template does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from manifest_runner.core.characters import MAX_BYTES
from manifest_runner.core.model import Diagnostic, Json, Source
from manifest_runner.core.template_values import MAX_TEXT, TemplateError, as_text, check_text, too_long, undefined
from manifest_runner.errors import InvalidInput

__all__ = ["Engine", "EngineMaker", "Filler", "ReadFile", "TemplateError", "Templates", "has_template", "in_this_process",
           "simple_name", "whole_expression"]

_EXPRESSION = re.compile(r"\{\{(?![-+])([^{}]*)(?<![-+])\}\}")
_NAME = re.compile(r"\s*([^\W\d]\w*)\s*")
_TEMPLATE = re.compile(r"\{[{%#]")
_NOT_A_VARIABLE = frozenset((
    "and", "caller", "dict", "else", "false", "False", "if", "in", "is", "kwargs", "loop", "namespace", "none", "None", "not",
    "or", "range", "self", "super", "true", "True", "varargs",
))  # fmt: skip
"""Words that mean something else to Jinja, or something besides."""


def has_template(text: str) -> bool:
    """True where `text` holds something that a template engine would act on."""
    return "{" in text and _TEMPLATE.search(text) is not None


def simple_name(expression: str) -> str | None:
    """The name, where the expression is a plain name and nothing else."""
    found = _NAME.fullmatch(expression)
    return found.group(1) if found and found.group(1) not in _NOT_A_VARIABLE else None


def whole_expression(text: str) -> str | None:
    """The expression, where `text` is one plain `{{ … }}` and nothing else."""
    found = _EXPRESSION.fullmatch(text)
    return found.group(1) if found else None


class Engine(Protocol):
    """What runs the templates that are more than a name. All methods but `close` raise `TemplateError`."""

    def evaluate(self, expression: str, context: Mapping[str, Json]) -> Json:
        """What an expression yields, as plain JSON."""
        ...

    def expression_names(self, expression: str) -> frozenset[str]:
        """The names that an expression asks for; `vars.x` counts as `x`."""
        ...

    def names(self, text: str) -> frozenset[str]:
        """The same for a whole template."""
        ...

    def whole_expression(self, text: str) -> str | None:
        """The expression, where `text` is nothing but one `{{ … }}` with braces or whitespace control in it."""
        ...

    def render(self, text: str, context: Mapping[str, Json]) -> str:
        """The text that a whole template yields."""
        ...

    def foresee(self, expressions: Sequence[str], constants: Mapping[str, Json], varying: frozenset[str]) -> Mapping[str, Json]:
        """Told what will be asked, so that it can be answered at once: what those yield that ask for none of `varying`, as
        far as it is known. Raises nothing: mistakes are told when they are asked for."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


ReadFile: TypeAlias = Callable[[str], str]
"""The text of a `*.j2` file by the name that a template gives it; raises `UsageError`."""

EngineMaker: TypeAlias = Callable[[ReadFile | None], Engine]


def in_this_process(files: ReadFile | None) -> Engine:
    """An engine without confinement, for texts that are trusted."""
    # Imported here because jinja2 costs some 50 ms, and most manifests use names only.
    from manifest_runner.core.sandbox import Sandbox

    return Sandbox(files=files)


class Templates:
    """Compiles and fills templates. One for each run, so that everything compiled serves all shots.

    `files` returns the text of a `*.j2` file by the name that a template gives it, or raises `UsageError`; it is what keeps
    templates inside the repository. Without it, no file can be included. `make_engine` makes what runs them.
    """

    def __init__(self, *, files: ReadFile | None = None, make_engine: EngineMaker = in_this_process) -> None:
        self._files = files
        self._make_engine = make_engine
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started at the first expression that is more than a name."""
        if self._engine is None:
            self._engine = self._make_engine(self._files)
        return self._engine

    def close(self) -> None:
        """End the engine, where there is one."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def filler(self, constants: Mapping[str, Json], varying: Iterable[str] = (),
               upcoming: Callable[[], Iterable[str]] = tuple) -> Filler:  # fmt: skip
        """A filler for many strings: `constants` never change; every name that comes with a string is in `varying`. `upcoming`
        yields the strings, and is called where an engine is needed."""
        return Filler(self, constants, frozenset(varying), upcoming)

    def fill(self, text: str, context: Mapping[str, Json]) -> Json:
        """`text` with its templates filled from `context`. Raises `TemplateError`."""
        return self.filler(context).fill(text, {})

    def names(self, text: str) -> frozenset[str]:
        """The names that the templates in `text` ask for; `vars.x` counts as `x`, and `vars` by itself as `vars`.

        Raises `TemplateError` where a template cannot be read.
        """
        if not has_template(text):
            return frozenset()
        parts = _EXPRESSION.split(text)
        if text.count("{") != len(parts) - 1:
            return self.engine.names(text)
        return frozenset().union(*map(self.names_of_expression, parts[1::2]))

    def names_of_expression(self, expression: str) -> frozenset[str]:
        """The same for what stands between `{{` and `}}`."""
        name = simple_name(expression)
        return frozenset((name,)) if name else self.engine.expression_names(expression)

    def render_file(self, text: str, *, path: str) -> str:
        """The text that a whole-file template yields. Raises `InvalidInput` with a position in the template."""
        try:
            result = self.engine.render(text, {})
            if len(result) > MAX_BYTES:
                raise TemplateError("the template yields too much text", code="template-limit", hint="split the manifest")
        except TemplateError as error:
            source = Source(path=path, line=error.line or 1, column=1)
            hint = "a whole-file template sees no vars: set names with {% set %}" if error.name else error.hint
            problem = Diagnostic(code=error.code, message=error.message, hint=hint, source=source)
            raise InvalidInput([problem]) from error
        return result


class Filler:
    """Fills strings with the names of one run. Make one with `Templates.filler`."""

    def __init__(self, templates: Templates, constants: Mapping[str, Json], varying: frozenset[str],
                 upcoming: Callable[[], Iterable[str]]) -> None:  # fmt: skip
        self._templates = templates
        self._upcoming: Callable[[], Iterable[str]] | None = upcoming
        self._constants = dict(constants)
        self._varying = varying
        self._values: dict[str, Json] = {}  # by expression: what it yields, where that never changes
        self._texts: dict[str, str] = {}  # the same, inside a text

    def fill(self, text: str, local: Mapping[str, Json]) -> Json:
        """`text` filled with the constants and `local`, whose names win. Raises `TemplateError`."""
        if "{" not in text:
            return text
        parts = _EXPRESSION.split(text)
        if text.count("{") != len(parts) - 1:  # two braces an expression, and each expression adds two parts
            return self._fill_odd(text, local)
        number = 1
        try:
            if len(parts) == 3 and not parts[0] and not parts[2]:
                return self._value(parts[1], local)
            known = self._texts
            for number in range(1, len(parts), 2):
                filled = known.get(parts[number])
                parts[number] = self._text(parts[number], local) if filled is None else filled
        except TemplateError as error:
            error.part = "{{" + parts[number] + "}}"
            raise
        if sum(map(len, parts)) > MAX_TEXT:
            raise too_long()
        return "".join(parts)

    def _value(self, expression: str, local: Mapping[str, Json]) -> Json:
        """What `expression` yields, with its type."""
        name = simple_name(expression)
        if name is not None:
            if name in local:
                return local[name]
            if name in self._constants:
                return self._constants[name]
            raise undefined(name, self._everything(local))
        if self._upcoming is not None:
            self._foresee(self._upcoming())
        if expression in self._values:
            return self._values[expression]
        value = self._templates.engine.evaluate(expression, self._everything(local))
        # A list or mapping is made anew each time, so that no two shots share one.
        if not isinstance(value, list | dict) and self._is_constant(expression):
            self._values[expression] = value
        return value

    def _foresee(self, texts: Iterable[str]) -> None:
        """Ask about all expressions to come in one message: a thousand would cost a tenth of a second one by one."""
        self._upcoming = None
        found = (part for text in texts for part in _EXPRESSION.findall(text) if simple_name(part) is None)
        expressions = tuple(dict.fromkeys(found))
        if len(expressions) > 1:
            values = self._templates.engine.foresee(expressions, self._constants, self._varying)
            self._values.update((name, value) for name, value in values.items() if not isinstance(value, list | dict))

    def _is_constant(self, expression: str) -> bool:
        return self._varying.isdisjoint(self._templates.names_of_expression(expression))

    def _text(self, expression: str, local: Mapping[str, Json]) -> str:
        """What `expression` becomes inside a text."""
        text = as_text(self._value(expression, local))
        if self._is_constant(expression):
            self._texts[expression] = text
        return text

    def _fill_odd(self, text: str, local: Mapping[str, Json]) -> Json:
        """A string that only the whole engine reads: statements, comments, whitespace control, braces in expressions."""
        if not has_template(text):
            return text
        engine = self._templates.engine
        whole = engine.whole_expression(text) if text.startswith("{{") and text.endswith("}}") else None
        if whole is not None:
            return engine.evaluate(whole, self._everything(local))
        result = engine.render(text, self._everything(local))
        if len(result) > MAX_TEXT:
            raise too_long()
        return check_text(result)

    def _everything(self, local: Mapping[str, Json]) -> dict[str, Json]:
        return {**self._constants, **local}
