"""The template engine behind `templating`: Jinja, sandboxed and stripped.

Laws: this and `sandbox_lids` (what is refused) are the only modules that know Jinja, and they are imported only where an
expression needs more than a name. All exceptions leave as `TemplateError`, whose words hold no path and no address of this
machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import BaseLoader, StrictUndefined, Template, nodes
from jinja2.environment import Environment
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.runtime import Undefined

from manifest_runner.core.sandbox_lids import DROPPED_FILTERS, LiddedEnvironment
from manifest_runner.core.template_values import TemplateError, as_text, plain_json, undefined
from manifest_runner.errors import ManifestRunnerError

if TYPE_CHECKING:  # the process that runs templates loads as little as it can
    from manifest_runner.core.model import Json

_UNDEFINED_NAME = re.compile(r"'([^']+)' is undefined")
_NO_ATTRIBUTE = re.compile(r"has no (?:attribute|element) '?([^']+?)'?$")
_NO_FILTER = re.compile(r"No (?:filter|test) named '?([^']+?)'?\.")
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")

_SYNTAX = (  # Jinja's words, ours, and what to type
    ("unexpected end of template", "a template is opened here and never closed", "close it with }} or %}"),
    ("chunk after expression", "there is more than one expression between {{ and }}", "join words with ~, or close it with }}"),
    ("unexpected 'end of template'", "there is nothing between {{ and }}", "write a name between them"),
)


class _Expression:
    """One compiled expression and the names it asks for (`vars.x` counts as `x`)."""

    __slots__ = ("_globals", "_template", "names")

    def __init__(self, template: Template, names: frozenset[str]) -> None:
        self._template = template
        self._globals = dict(template.globals)
        self.names = names

    def evaluate(self, context: Mapping[str, Json]) -> Any:
        """What it yields, as Jinja made it. Raises `TemplateError`."""
        try:
            # As `TemplateExpression.__call__`, but with the globals merged here: Jinja's way takes three times as long.
            run = self._template.new_context({**self._globals, **context}, shared=True)
            for _ in self._template.root_render_func(run):
                pass
            result = run.vars["result"]
            if isinstance(result, Undefined):
                str(result)  # raises, and says which name
        except Exception as error:
            _translate(error, context, line=None)
        return result


class Sandbox:
    """Compiles and runs templates. `files` gives the text of a `*.j2` file or raises `UsageError`."""

    def __init__(self, *, files: Callable[[str], str] | None) -> None:
        self._environment = LiddedEnvironment(
            loader=_Loader(files), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_printable
        )
        self._expressions: dict[str, _Expression] = {}
        self._templates: dict[str, Template] = {}

    def _expression(self, source: str) -> _Expression:
        """The compiled expression. Raises `TemplateError`."""
        known = self._expressions.get(source)
        if known is None:
            try:
                # As `Environment.compile_expression`, which keeps the tree to itself: parsed and walked once instead of thrice.
                parser = Parser(self._environment, source, state="variable")
                expression = parser.parse_expression()
                if not parser.stream.eos:
                    raise TemplateSyntaxError("chunk after expression", parser.stream.current.lineno)
                result = nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)
                tree = nodes.Template([result], lineno=1)
                tree.set_environment(self._environment)
                names = _names_in(tree, {name.name for name in tree.find_all(nodes.Name) if name.ctx == "load"})
                known = self._expressions[source] = _Expression(self._environment.from_string(tree), names)
            except Exception as error:
                _translate(error, {}, line=None)
        return known

    def evaluate(self, expression: str, context: Mapping[str, Json]) -> Json:
        """What an expression yields, as plain JSON. Raises `TemplateError`."""
        return plain_json(self._expression(expression).evaluate(context))

    def expression_names(self, expression: str) -> frozenset[str]:
        """The names that an expression asks for. Raises `TemplateError`."""
        return self._expression(expression).names

    def foresee(self, expressions: Sequence[str], constants: Mapping[str, Json], varying: frozenset[str]) -> dict[str, Json]:
        """Nothing: to ask one by one costs nothing here."""
        del expressions, constants, varying
        return {}

    def close(self) -> None:
        """Nothing is held."""

    def names(self, text: str) -> frozenset[str]:
        """The names that a whole template asks for. Raises `TemplateError`."""
        try:
            return _names(self._environment.parse(text))
        except Exception as error:
            _translate(error, {}, line=_line(error))

    def whole_expression(self, text: str) -> str | None:
        """The expression, where `text` is nothing but one `{{ … }}` with braces or whitespace control in it."""
        if not (text.startswith("{{") and text.endswith("}}")):
            return None
        try:
            kinds = [kind for _, kind, _ in self._environment.lex(text)]
        except TemplateSyntaxError:
            return None  # compiling it as a text says why
        if kinds.count("variable_begin") != 1 or kinds[-1] != "variable_end" or "data" in kinds:
            return None
        return text[2:-2].strip("-+")

    def render(self, text: str, context: Mapping[str, Json]) -> str:
        """The text that a whole template yields. Raises `TemplateError`."""
        try:
            template = self._templates.get(text)
            if template is None:
                template = self._templates[text] = self._environment.from_string(text)
            return template.render(context)
        except Exception as error:
            _translate(error, context, line=_line(error))


class _Loader(BaseLoader):
    """Finds `*.j2` files through the function that the caller gave."""

    def __init__(self, files: Callable[[str], str] | None) -> None:
        self._files = files

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The text of a template file, by its name."""
        del environment  # Jinja's signature
        if self._files is None or not template.endswith(".j2"):
            raise TemplateNotFound(template, f"{template} is not a template file: its name must end in .j2")
        try:
            return self._files(template), None, None
        except ManifestRunnerError as error:
            raise TemplateNotFound(template, error.message) from error


def _printable(value: Any) -> Any:
    """What a template prints. Undefined passes, so that Jinja itself says which name it was."""
    return value if isinstance(value, Undefined) else as_text(value)


def _names(tree: nodes.Template) -> frozenset[str]:
    """Undeclared names, where `vars.x` and `vars["x"]` count as `x`."""
    names = _names_in(tree, find_undeclared_variables(tree))
    if next(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport)), None) is not None:
        names |= {"vars"}  # another file may ask for any name
    return names


def _names_in(tree: nodes.Node, names: set[str]) -> frozenset[str]:
    """The same `names` that are undeclared in `tree`, with what of `vars` is asked for."""
    if "vars" in names:
        uses = sum(1 for name in tree.find_all(nodes.Name) if name.name == "vars")
        keys: list[tuple[nodes.Expr, Any]] = [(use.node, use.attr) for use in tree.find_all(nodes.Getattr)]
        keys += [(use.node, getattr(use.arg, "value", None)) for use in tree.find_all(nodes.Getitem)]
        for of, key in keys:
            if isinstance(of, nodes.Name) and of.name == "vars" and isinstance(key, str):
                names.add(key)
                uses -= 1
        if not uses:
            names.discard("vars")
    return frozenset(names)


def _translate(error: Exception, context: Mapping[str, Json], *, line: int | None) -> NoReturn:
    """Raises the `TemplateError` for anything that a template raised."""
    message = _ADDRESS.sub("(a function)", str(getattr(error, "message", None) or error))
    result = error if isinstance(error, TemplateError) else _described(error, message, context)
    result.line = line
    raise result from (None if result is error else error)


def _described(error: Exception, message: str, context: Mapping[str, Json]) -> TemplateError:
    if isinstance(error, TemplateSyntaxError):
        for words, message_instead, hint in _SYNTAX:
            if words in message:
                return TemplateError(message_instead, code="template-syntax", hint=hint)
        if (found := _NO_FILTER.match(message)) and found.group(1) in DROPPED_FILTERS:
            reason = DROPPED_FILTERS[found.group(1)]
            return TemplateError(f"templates have no filter {found.group(1)}: {reason}", code="template-syntax")
        inside = f" (in {error.name})" if error.name else ""
        return TemplateError(f"the template cannot be read: {message}{inside}", code="template-syntax")
    if isinstance(error, TemplateNotFound):
        hint = "name a *.j2 file of this repository, relative to the manifest"
        return TemplateError(f"cannot include {error.name}: {message}", code="include-not-found", hint=hint)
    if isinstance(error, UndefinedError):
        if found := _UNDEFINED_NAME.search(message):
            return undefined(found.group(1), context)
        if found := _NO_ATTRIBUTE.search(message):
            return undefined(found.group(1), context.get("vars") or ())
        return TemplateError(message, code="undefined-name")
    if isinstance(error, SecurityError):
        return TemplateError(f"not allowed in a template: {message}", hint="templates see plain data only")
    if isinstance(error, OSError | ImportError | LookupError) and not isinstance(error, KeyError | IndexError):
        message = "not allowed in a template: it reaches for something outside"
        return TemplateError(message, hint="templates see plain data only")
    if isinstance(error, OverflowError | MemoryError | RecursionError):
        message = "the template makes something far too large or too deep"
        return TemplateError(message, code="template-limit", hint="use smaller numbers")
    return TemplateError(f"the template fails: {message or type(error).__name__}")


def _line(error: Exception) -> int | None:
    """The line of the template that was being run: Jinja rewrites its tracebacks to point into templates."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno if error.name is None else None
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
