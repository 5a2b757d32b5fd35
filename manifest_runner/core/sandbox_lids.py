"""What the sandbox refuses on top of Jinja's own: Jinja's environment, stripped, with lids.

Laws:

- Jinja's sandbox has been escaped from before. What stands here does not lean on it: no name with an underscore in front is
  reached, no format string looks into a value, and nothing is there that only an attack would use.
- A manifest renders to the same text every time and everywhere. So nothing by chance, no set (its order is chance), and no
  text made from anything but data (a function's text is its address in memory).
- Bombs that can be seen are refused. The others are the business of whoever runs this in a process that may be killed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import Environment
from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from manifest_runner.core.template_values import MAX_TEXT, TemplateError, not_json

MAX_BITS = 4096
"""Size of a whole number inside a template."""

MAX_NUMBER = MAX_TEXT
"""The largest whole number that may be handed to a method or filter: widths, counts and fillings are bombs above it."""

DROPPED_FILTERS = {
    "random": "it differs from run to run, and a manifest must render to the same text twice",
    "shuffle": "it differs from run to run, and a manifest must render to the same text twice",
    "pprint": "it shows what is behind the data",
    "attr": "it reaches behind the data",
    "urlize": "it is for web pages",
    "xmlattr": "it is for web pages",
}
"""Filters that templates do not have, with the reason."""

_KEPT_GLOBALS = ("range", "dict", "namespace")
_WIDTHS = ("batch", "center", "format", "indent", "slice", "tojson", "truncate", "wordwrap")
_NO_TEXT = frozenset((  # filters that make no text of what they are given; the others are handed data only
    "abs", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last", "length", "list",
    "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select", "selectattr", "slice", "sort", "sum", "tojson",
    "unique",
))  # fmt: skip
_INSIDE = re.compile(r"_|(?:ag|cr|gi|f|tb|co|func|im)_")
_LOOKS_INTO = re.compile(r"\{[^{}:!]*[.\[]")  # a format string that names a part of a value
_WIDE = re.compile(r"\d{3}")  # a width of three digits in a format string


class _Generator(CodeGenerator):
    """Jinja's compiler, whose `~` joins data only."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's own spelling
        """`a ~ b`"""
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class LiddedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox without what is random or reaches behind the data, and with a lid on what grows."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("*", "**", "%", "+", "-"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals = {name: self.globals[name] for name in _KEPT_GLOBALS}
        for name in DROPPED_FILTERS:
            self.filters.pop(name, None)
        for name in _WIDTHS:
            self.filters[name] = _lidded(self.filters[name])
        for name in self.filters.keys() - _NO_TEXT:
            self.filters[name] = _join(self.filters[name]) if name == "join" else _of_data(self.filters[name])

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have an attribute."""
        return _INSIDE.match(attr) is None and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`, or the item of that name."""
        return self.unsafe_undefined(obj, attribute) if _inside(obj, attribute) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`, or the attribute of that name."""
        if isinstance(argument, str) and not isinstance(obj, dict) and _inside(obj, argument):
            return self.unsafe_undefined(obj, argument)
        return super().getitem(obj, argument)

    def joined(self, parts: tuple[Any, ...]) -> str:
        """`a ~ b`"""
        check_data(parts)
        return "".join(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`left operator right`, unless the result would be enormous, or have no order."""
        check_operation(operator, left, right)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, set):
            raise TemplateError("a set has no order, and would differ from run to run", code="template-value",
                                hint="write | list first, then | reject('in', …)")
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - Jinja's own spelling
        """A call, unless an argument is an enormous number or width, or a format string looks into what it is given."""
        check_numbers((*args, *kwargs.values()))
        method = getattr(__obj, "__wrapped__", __obj)  # the sandbox wraps str.format
        text = getattr(method, "__self__", None)
        if isinstance(text, str) and method.__name__ in ("format", "format_map"):
            check_format(text, (*args, *kwargs.values()))
        return super().call(__context, __obj, *args, **kwargs)


def _inside(obj: Any, name: str) -> bool:
    """Whether `name` is an attribute by which Python's objects show what is behind them. A var may have such a name."""
    return _INSIDE.match(name) is not None and hasattr(obj, name)


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse `left operator right` where the result would be enormous, or show an address."""
    if operator == "**":
        _check(not isinstance(left, int) or not isinstance(right, int) or left.bit_length() * right <= MAX_BITS)
    elif operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int):
                size = one.bit_length() + other.bit_length() <= MAX_BITS if isinstance(other, int) else (
                    not hasattr(other, "__len__") or len(other) * one <= MAX_TEXT
                )  # fmt: skip
                _check(size)
    elif operator == "+":
        _check(not hasattr(left, "__len__") or not hasattr(right, "__len__") or len(left) + len(right) <= MAX_TEXT)
    elif operator == "%" and isinstance(left, str):
        check_data(right if isinstance(right, tuple) else (right,))
        check_numbers(right if isinstance(right, tuple) else (right,))
        _check(_WIDE.search(left) is None)


def check_format(text: str, values: tuple[Any, ...]) -> None:
    """Refuse a format string that is wide, looks into values, or would show what is not data."""
    _check(_WIDE.search(text) is None)
    if _LOOKS_INTO.search(text) is not None:
        raise TemplateError("not allowed in a template: a format string that looks into a value",
                            hint="write {{ value.part }} instead")
    check_data(values)


def check_numbers(values: tuple[Any, ...]) -> None:
    """Refuse enormous numbers."""
    _check(all(not isinstance(value, int) or abs(value) <= MAX_NUMBER for value in values))


def check_data(values: Any) -> None:
    """Refuse to make a text of anything but data: what else shows its address, which differs from run to run."""
    for value in values:
        if isinstance(value, list | tuple):
            check_data(value)
        elif isinstance(value, dict):
            check_data(value)
            check_data(value.values())
        elif not isinstance(value, str | int | float | Undefined) and value is not None:
            raise not_json(value)


def _lidded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses enormous numbers."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        check_numbers((*args[1:], *kwargs.values()))
        if function.__name__ == "do_format" and isinstance(args[0], str):
            _check(_WIDE.search(args[0]) is None)
        return function(*args, **kwargs)

    return _marked(checked, function)


def _of_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is handed data only."""

    def checked(*args: Any, **kwargs: Any) -> Any:
        check_data(args[1:] if isinstance(args[0], Environment | EvalContext | Context) else args)
        check_data(kwargs.values())
        return function(*args, **kwargs)

    return _marked(checked, function)


def _join(function: Callable[..., Any]) -> Callable[..., Any]:
    """`join`, which joins data only."""

    def checked(eval_ctx: EvalContext, value: Any, d: Any = "", attribute: str | int | None = None) -> Any:
        items = list(value if attribute is None else map(make_attrgetter(eval_ctx.environment, attribute), value))
        check_data((items, d))
        return function(eval_ctx, items, d)

    return _marked(checked, function)


def _marked(checked: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja marks with attributes which filters want its environment or context as their first argument."""
    checked.__dict__.update(getattr(function, "__dict__", {}))  # a builtin has none
    return checked


def _check(fits: bool) -> None:
    if not fits:
        raise TemplateError("the template makes something far too large", code="template-limit", hint="use smaller numbers")
