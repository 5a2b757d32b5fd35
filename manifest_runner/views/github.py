"""What GitHub's runner reads: annotations at lines of files, and values for the steps that follow.

Laws: whatever came out of a manifest passes `views/escaping.py`; GitHub shows ten annotations of a kind for a step, so the
worst stand first and no more than that are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from manifest_runner.core.model import Diagnostic, Severity
from manifest_runner.core.pricing import format_credits
from manifest_runner.views.escaping import command_data, command_property, output_value
from manifest_runner.views.markdown import Figures, worst_first

_RENDERED = " (rendered)"
MOST = 10
"""Annotations of a kind that GitHub shows for one step."""


def annotate(diagnostics: Sequence[Diagnostic], path_of: Callable[[str], str]) -> list[str]:
    """A line of standard output for each diagnostic that GitHub will show. `path_of` makes a shown path one from the root of
    the repository."""
    lines = []
    room = {Severity.ERROR: MOST, Severity.WARNING: MOST}
    for item in worst_first(diagnostics):
        if room[item.severity]:
            room[item.severity] -= 1
            lines.append(_annotation(item, path_of))
    return lines


def _annotation(item: Diagnostic, path_of: Callable[[str], str]) -> str:
    properties: dict[str, object] = {}
    message = item.message if not item.hint else f"{item.message}\nhint: {item.hint}"
    if item.source is not None:
        path = item.source.path.removesuffix(_RENDERED)
        properties["file"] = path_of(path)
        if path == item.source.path:
            properties.update(line=item.source.line, col=item.source.column)
        else:  # the place is one of the rendered text, which is no file
            message = f"in the rendered text, line {item.source.line}: {message}"
    properties["title"] = item.code
    written = ",".join(f"{name}={command_property(str(value))}" for name, value in properties.items())
    return f"::{item.severity.value} {written}::{command_data(message)}"


def values(found: Figures, plan_file: str) -> dict[str, str]:
    """The step's outputs: takes by what is done about them, credits, whether there is anything to do, and the saved plan."""
    return {
        "changes": "true" if found.changes else "false",
        "to-render": str(found.to_render),
        "resumed": str(found.resumed),
        "kept": str(found.kept),
        "dropped": str(found.dropped),
        "credits": _number(found.credits),
        "delta": _number(found.delta),
        "total": _number(found.total),
        "plan": plan_file,
    }


def _number(amount: Decimal) -> str:
    """Credits as programs read them."""
    return format_credits(amount).replace(",", "")


def records(values: Mapping[str, str]) -> str:
    """Values as the file that `GITHUB_OUTPUT` names wants them."""
    return "".join(output_value(name, value) for name, value in values.items())
