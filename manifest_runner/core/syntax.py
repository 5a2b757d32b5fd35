"""What libyaml means when it stops at a syntax error, in words that say what to type.

Law: exactly one Diagnostic comes out of one `yaml.YAMLError`, at the character where a person should look.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import yaml

from manifest_runner.core.model import Diagnostic, Source

_Finding: TypeAlias = tuple[int, int, str, str | None]  # line and column from 0, what is wrong, what to type

_UNQUOTED_TEMPLATE = re.compile(r"""[^"'#]*?(?:^|[:\-,\[{])\s*(\{[{%].*)""")
_TAB_INDENT = re.compile(r" *\t\s*\S")
_KEY_WITHOUT_SPACE = re.compile(r"(\s*(?:- +)?[\w-]+:)[^\s:/]")
_KEY_WITHOUT_COLON = re.compile(r"""(\s*(?:- +)?)[^\s"':#][^"':#]*$""")


def syntax_diagnostic(error: yaml.YAMLError, *, path: str, text: str) -> Diagnostic:
    """The Diagnostic for an error of the YAML scanner or parser over `text`."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    begin: Any = getattr(error, "context_mark", None) or mark
    problem = str(getattr(error, "problem", None) or "this is not YAML")
    context = str(getattr(error, "context", None) or "")
    if mark is None:
        finding: _Finding = (0, 0, problem, None)
    else:
        lines = re.split(r"\r\n|\r|\n", text)
        finding = (
            _merge_conflict(lines)
            or _opened_here(begin, problem, context)
            or _in_the_line(lines, mark)
            or _in_the_line(lines, begin)
            or _before(lines, mark, problem)
            or (mark.line, mark.column, *_words(problem, context))
        )
    line, column, message, hint = finding
    where = Source(path=path, line=line + 1, column=column + 1)
    return Diagnostic(code="yaml-syntax", message=message, hint=hint, source=where)


def _merge_conflict(lines: list[str]) -> _Finding | None:
    """The first conflict marker that git has left: no line of YAML begins like that."""
    found = next((number for number, line in enumerate(lines) if line.startswith("<<<<<<< ")), None)
    return None if found is None else (found, 0, "an unresolved merge conflict begins here",
                                       "keep what is to stay of both sides, and remove the lines <<<<<<<, ======= and >>>>>>>")


def _opened_here(begin: yaml.Mark, problem: str, context: str) -> _Finding | None:
    """Something whose mistake is where it begins, not where the scanner gave up."""
    if "quoted scalar" in context and ("end of stream" in problem or "document indicator" in problem):
        return begin.line, begin.column, "a quote is opened here and never closed", "close it with the same quote"
    for name, character in (("an alias", "*"), ("an anchor", "&"), ("a tag", "!")):
        if context == f"while scanning {name}":
            message = f"{character} at the start of a value has a meaning of its own in YAML"
            return begin.line, begin.column, message, "put the whole value in double quotes"
    if context == "while scanning a block scalar":
        return begin.line, begin.column, "the text of | or > does not begin in its own line", (
            "indent it in the lines below, or put the whole value in double quotes")
    return None


def _in_the_line(lines: list[str], mark: yaml.Mark) -> _Finding | None:
    """A well-known mistake in the line of `mark`."""
    line = lines[mark.line] if mark.line < len(lines) else ""
    if template := _UNQUOTED_TEMPLATE.match(line):
        quoted = template.group(1).strip().replace('"', "'")
        return mark.line, template.start(1), "a template begins here without quotes", f'quote the whole value: "{quoted}"'
    if _TAB_INDENT.match(line):
        return mark.line, line.index("\t"), "a tab is used for indentation", "indent with spaces, two a level"
    if (character := line[mark.column : mark.column + 1]) in ("@", "`", "%"):
        return mark.line, mark.column, f"a value cannot begin with {character}", "put the whole value in double quotes"
    return None


def _before(lines: list[str], mark: yaml.Mark, problem: str) -> _Finding | None:
    """A key spoilt in the line above, which makes the colon in this line the second one of a value."""
    if mark.line == 0 or not ("mapping values" in problem or "':'" in problem):
        return None
    above = lines[mark.line - 1]
    if key := _KEY_WITHOUT_SPACE.match(above):
        return mark.line - 1, key.end(1), "a space is missing after this colon", "write key: value"
    if key := _KEY_WITHOUT_COLON.match(above):
        return mark.line - 1, key.end(1), "a key without a colon, or a value that runs on", "write key: value"
    return None


def _words(problem: str, context: str) -> tuple[str, str | None]:
    """libyaml's words in plainer ones."""
    if "mapping values are not allowed" in problem:
        return 'a ": " does not belong here', 'put a value that holds ": " in quotes, and indent the keys of one mapping alike'
    if "could not find expected ':'" in problem:
        return "a key is not followed by a colon", "write key: value, with a space after the colon"
    if "escape" in problem or "hexdecimal" in problem:
        return "a backslash in double quotes makes no known character here", "write \\\\ for a backslash, or use single quotes"
    if "did not find expected key" in problem:
        return "a key was expected here", "check the indentation, and close a quoted value only at its end"
    if "'-' indicator" in problem:
        return 'an item of the list ("- ") was expected here', "indent all items of one list alike"
    if "',' or '}'" in problem or "',' or ']'" in problem:
        closing = "}" if "'}'" in problem else "]"
        return f'a "," or "{closing}" was expected here', f"close the bracket with {closing}, or put the value in quotes"
    if "block sequence entries" in problem:
        return 'a "- " does not belong here', 'begin a list on a line of its own, or put the value in quotes'
    if "document start" in problem:
        return "the document ended before this", "indent all top-level keys alike, and close every bracket once"
    return f"{problem} ({context})" if context else problem, None
