"""Diagnostics as a good compiler shows them: place, code, message, the line itself, a caret, a hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from manifest_runner.core.model import Diagnostic, Severity, Source
from manifest_runner.views.text import safe

_LONGEST_LINE = 160


def as_text(diagnostics: Sequence[Diagnostic], texts: Mapping[str, str]) -> str:
    """All diagnostics, separated by empty lines. `texts` maps shown paths to what was read there."""
    lines = {path: text.split("\n") for path, text in texts.items()}
    return "\n\n".join(_one(diagnostic, lines) for diagnostic in diagnostics)


def _one(diagnostic: Diagnostic, lines: Mapping[str, list[str]]) -> str:
    colour = "red" if diagnostic.severity is Severity.ERROR else "yellow"
    label = click.style(f"{diagnostic.severity.value}[{diagnostic.code}]", fg=colour, bold=True)
    place = "" if diagnostic.source is None else click.style(f"{_place(diagnostic.source)}: ", bold=True)
    out = [f"{place}{label}: {safe(diagnostic.message)}"]
    if diagnostic.source is not None:
        out.extend(_excerpt(diagnostic.source, lines, colour))
    for note in diagnostic.notes:
        out.append(f"  note: {_place(note.source)}: {safe(note.message)}")
        out.extend(_excerpt(note.source, lines, "blue"))
    if diagnostic.hint:
        out.append(f"  {click.style('hint:', fg='cyan')} {safe(diagnostic.hint)}")
    return "\n".join(out)


def _place(source: Source) -> str:
    return f"{safe(source.path)}:{source.line}:{source.column}"


def _excerpt(source: Source, lines: Mapping[str, list[str]], colour: str) -> list[str]:
    """The line that a source names, cut to a window round its column, and a caret below it."""
    text = lines.get(source.path, [])
    if not 1 <= source.line <= len(text):
        return []
    line, column = text[source.line - 1].rstrip("\r"), source.column - 1
    start = max(0, column - _LONGEST_LINE // 2) if len(line) > _LONGEST_LINE else 0
    window = line[start:start + _LONGEST_LINE]
    before, after = safe(window[:column - start]), safe(window[column - start:])
    number = str(source.line)
    return [f"  {number} | {before}{after}",
            f"  {' ' * len(number)} | {' ' * len(before)}{click.style('^', fg=colour, bold=True)}"]


def as_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic for programs."""
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "pointer": diagnostic.pointer,
        "source": _source(diagnostic.source),
        "hint": diagnostic.hint,
        "notes": [{"message": note.message, "source": _source(note.source)} for note in diagnostic.notes],
    }


def _source(source: Source | None) -> dict[str, Any] | None:
    return None if source is None else {"path": source.path, "line": source.line, "column": source.column}
