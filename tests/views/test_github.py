"""What GitHub's runner reads: annotations and outputs, read back as the runner reads them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Diagnostic, Severity, Source
from manifest_runner.views.github import annotate, records, values
from manifest_runner.views.markdown import Figures

FIGURES = Figures(to_render=4, resumed=0, kept=10, dropped=1, credits=Decimal("1406.50"), total=Decimal(2030),
                  delta=Decimal(-58))


def mistake(message: str = "wrong", *, line: int = 7, path: str = "show.yaml", hint: str | None = None,
            severity: Severity = Severity.ERROR) -> Diagnostic:
    where = Source(path=path, line=line, column=3)
    return Diagnostic(severity=severity, code="unknown-key", message=message, source=where, hint=hint)


def understood(line: str) -> tuple[str, dict[str, str], str]:
    """A command as the runner reads it."""
    found = re.fullmatch(r"::(\w+)(?: ([^\n\r]*?))?::([^\n\r]*)", line)
    assert found is not None, line
    name, properties, data = found.groups()

    def plain(text: str) -> str:
        return (text.replace("%3A", ":").replace("%2C", ",").replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%"))

    pairs = (pair.partition("=") for pair in (properties or "").split(","))
    return name, {key: plain(value) for key, _, value in pairs}, plain(data)


def test_an_annotation_stands_at_the_line_of_the_file_as_the_repository_knows_it() -> None:
    (line,) = annotate([mistake(hint="did you mean prompt?")], lambda path: f"shows/{path}")
    assert line == "::error file=shows/show.yaml,line=7,col=3,title=unknown-key::wrong%0Ahint: did you mean prompt?"


def test_a_place_in_a_rendered_text_is_told_and_not_taken_for_a_line_of_the_template() -> None:
    (line,) = annotate([mistake(path="show.yaml.j2 (rendered)")], str)
    at = {"file": "show.yaml.j2", "title": "unknown-key"}
    assert understood(line) == ("error", at, "in the rendered text, line 7: wrong")


def test_the_worst_come_first_and_no_more_than_github_shows() -> None:
    found = [mistake(str(number), severity=Severity.WARNING) for number in range(30)]
    found += [mistake(str(number), line=number + 1) for number in range(30)]
    lines = annotate(found, str)
    assert [understood(line)[0] for line in lines] == ["error"] * 10 + ["warning"] * 10
    assert [understood(line)[2] for line in lines[:10]] == [str(number) for number in range(10)]


def test_a_mistake_without_a_place_is_told_too() -> None:
    assert annotate([Diagnostic(code="x", message="wrong")], str) == ["::error title=x::wrong"]


@given(st.text(), st.text())
def test_no_text_ends_its_command_or_begins_another(message: str, path: str) -> None:
    (line,) = annotate([mistake(message, path=path or "x", hint=message or None)], str)
    assert len(line.splitlines()) == 1
    name, properties, _ = understood(line)
    assert (name, properties["title"]) == ("error", "unknown-key")
    assert set(properties) <= {"file", "line", "col", "title"}


def outputs(text: str) -> dict[str, str]:
    """The file of outputs as the runner reads it."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, _, end = line.partition("<<")
            value: list[str] = []
            for part in lines:
                if part == end:
                    break
                value.append(part)
            found[name] = "\n".join(value)
    return found


def test_the_outputs_of_a_step_are_numbers_as_programs_read_them() -> None:
    assert outputs(records(values(FIGURES, "plan.json"))) == {
        "changes": "true", "to-render": "4", "resumed": "0", "kept": "10", "dropped": "1", "credits": "1406.5", "delta": "-58",
        "total": "2030", "plan": "plan.json",
    }


@pytest.mark.parametrize("name", ["plan.json", "a\nchanges=false", "x\n---\nchanges<<---\nfalse\n---", ""])
def test_no_file_name_writes_another_output(name: str) -> None:
    found = outputs(records(values(FIGURES, name)))
    assert (found["plan"], found["changes"]) == (name, "true")
