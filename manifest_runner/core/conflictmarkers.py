"""Conflict markers: a text that holds both sides of a merge, taken apart and put together.

Laws: a text is taken apart into the three versions that it was made of, line by line, and never repaired beyond the commas
between members, which a block that only one side has cannot get right. Whether the markers stand round whole members, so that
no line outside of them can be of one side alone, is told; what follows from that is for others to decide.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

LEAST = 7
"""Characters of a marker; git makes them longer for a merge inside a merge."""

_MARKER = re.compile(r"([<|=>])\1{6,}(?: (.*))?")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # only LF ends a line: JSON strings hold other separators as they are
_ORDER = {("", "<"): "ours", ("ours", "|"): "base", ("ours", "="): "theirs", ("base", "="): "theirs", ("theirs", ">"): ""}
_TRAILING_COMMA = re.compile(r",(?=\s*\n\s*[}\]])")
_MISSING_COMMA = re.compile(r"(?<![\s,:{\[])(?=\n\s*\")")
_MEMBER = re.compile(r'(?: {2}| {4})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the sides are called: a branch, a commit, `HEAD`."""

    base: str = "base"
    ours: str = "HEAD"
    theirs: str = "the other side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The texts of a merge; an empty one where the file was not there."""

    base: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A text with markers, taken apart. `whole`: every conflict shows its base and holds whole shots or header fields, so that
    the versions are what was merged; otherwise lines outside of the markers may be of another side than those inside."""

    versions: Versions
    labels: Labels
    whole: bool


def has_markers(text: str) -> bool:
    """Whether a conflict begins somewhere. No line of a lockfile of ours begins like that."""
    return text.startswith("<" * LEAST) or "\n" + "<" * LEAST in text


def take_apart(text: str) -> Marked | None:
    """The versions behind a text with conflict markers; None where the markers do not fit together."""
    sides: dict[str, list[str]] = {"base": [], "ours": [], "theirs": []}
    labels: dict[str, str] = {}
    within, whole, parts = "", True, dict.fromkeys(sides, "")
    for line in _LINE.findall(text):
        marker = _MARKER.fullmatch(line.removesuffix("\n"))
        if marker is None:
            if within:
                parts[within] += line
            for name in [within] if within else sides:
                sides[name].append(line)
            continue
        came, within = within, _ORDER.get((within, marker[1]), "-")
        if within == "-":
            return None
        if marker[2]:
            labels.setdefault(within or came, marker[2])
        if within == "ours":
            parts = dict.fromkeys(sides, "")
        whole = whole and (within != "theirs" or came == "base") and (within != "" or all(map(_is_whole, parts.values())))
    if within:
        return None
    return Marked(versions=Versions(**{name: _mended("".join(lines)) for name, lines in sides.items()}),
                  labels=Labels(**labels), whole=whole)


def put_together(sides: Versions, labels: Labels, size: int = LEAST) -> str:
    """Lines of three sides as one conflict. Each side is whole lines, or empty."""
    return (f"{'<' * size} {labels.ours}\n{sides.ours}{'|' * size} {labels.base}\n{sides.base}"
            f"{'=' * size}\n{sides.theirs}{'>' * size} {labels.theirs}\n")


def _is_whole(part: str) -> bool:
    """Whether these lines are whole shots, whole header fields, or nothing."""
    if not part:
        return True
    if _MEMBER.match(part) is None:
        return False
    try:
        return isinstance(json.loads("{" + part.rstrip().removesuffix(",") + "}"), dict)
    except (RecursionError, ValueError):
        return False


def _mended(text: str) -> str:
    """The same with its commas between lines put right. No string of JSON goes over a line's end, so none is touched."""
    return _MISSING_COMMA.sub(",", _TRAILING_COMMA.sub("", text))
