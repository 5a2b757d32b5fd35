"""Where in a text each value was written, found on demand.

Laws: nothing about positions is stored while a manifest is read, because nearly every manifest is right. The first
question about a text reads it once more into an index; a few such indexes are kept. Only texts that `parsing.parse`
accepted come here, so depth and size are bounded already.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from yaml._yaml import CParser
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from manifest_runner.core.model import Document, Pointer, Source

Event: TypeAlias = Any  # an event of libyaml's; the stubs do not know what each carries
Span: TypeAlias = int
"""Where a value begins and ends in the text, in one number: a text has a million of them, and an object each would be a
gigabyte."""

_BITS = 32
_LINE_END = re.compile("\r\n|\r|\n")


class _Node:
    """A mapping or list: its own span, the spans of its keys, and its children by key or index (a scalar's span)."""

    __slots__ = ("children", "keys", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.keys: dict[str | int, Span] = {}
        self.children: dict[str | int, _Node | Span] = {}


def locate(document: Document, pointer: Pointer, *, key: bool = False) -> Source:
    """Where the value at `pointer` was written, or its key; where there is no such value, its nearest ancestor."""
    span, found = _walk(document, pointer)
    return _place(document, _begin(found if key and found is not None else span))


def locate_inside(document: Document, pointer: Pointer, part: str, word: str = "") -> Source:
    """Where `part` is written inside the string at `pointer`, and inside that part the whole word `word`.

    Falls back to what can be found: the part, or the start of the string, where something is not written in one piece (an
    escape, a folded line).
    """
    span = _walk(document, pointer)[0]
    written = document.text[_begin(span):_end(span)]
    at = max(written.find(part), 0) if part else 0
    if word:
        found = re.compile(rf"\b{re.escape(word)}\b").search(written, at, at + len(part) if part else len(written))
        at = found.start() if found else at
    return _place(document, _begin(span) + at)


def position(path: str, text: str, offset: int) -> Source:
    """The line and column of a character of `text`, both from 1. A line ends with LF, CR LF or CR."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return Source(path=path, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _place(document: Document, offset: int) -> Source:
    """The line and column of a character, quickly for many of one text."""
    starts = line_starts(document.text)
    line = bisect_right(starts, offset)
    return Source(path=document.path, line=line, column=offset - starts[line - 1] + 1)


@lru_cache(maxsize=8)
def line_starts(text: str) -> list[int]:
    """Where each line of a text begins, in characters. A line ends with LF, CR LF or CR."""
    return [0, *(end.end() for end in _LINE_END.finditer(text))]


def _walk(document: Document, pointer: Pointer) -> tuple[Span, Span | None]:
    """The span of the deepest value on the way, and that of its key where it has one."""
    node: _Node | Span = _index(document.text)
    found: Span | None = None
    for step in pointer:
        if not isinstance(node, _Node) or step not in node.children:
            break
        found = node.keys.get(step)
        node = node.children[step]
    return node.span if isinstance(node, _Node) else node, found


def _begin(span: Span) -> int:
    return span >> _BITS


def _end(span: Span) -> int:
    return span & ((1 << _BITS) - 1)


def _span(event: Event) -> Span:
    return int(event.start_mark.index) << _BITS | int(event.end_mark.index)


@lru_cache(maxsize=8)
def _index(text: str) -> _Node | Span:
    events: Iterator[Event] = iter(CParser(text).get_event, None)
    next(events), next(events)  # the starts of stream and document
    return _read(next(events), events, {})


def _read(event: Event, events: Iterator[Event], anchors: dict[str, _Node | Span]) -> _Node | Span:
    if isinstance(event, AliasEvent):
        return _aliased(_span(event), anchors[str(event.anchor)])
    span = _span(event)
    node: _Node | Span = span
    if isinstance(event, MappingStartEvent):
        node = _Node(span)
        for key in events:
            if isinstance(key, MappingEndEvent):
                break
            node.keys[key.value] = _span(key)
            if key.anchor is not None:
                anchors[key.anchor] = _span(key)
            node.children[key.value] = _read(next(events), events, anchors)
    elif isinstance(event, SequenceStartEvent):
        node = _Node(span)
        for number, item in enumerate(events):
            if not isinstance(item, ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent):
                break
            node.children[number] = _read(item, events, anchors)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _aliased(span: Span, anchored: _Node | Span) -> _Node | Span:
    """The value stands at the alias; what lies inside it was written at the anchor."""
    if not isinstance(anchored, _Node):
        return span
    node = _Node(span)
    node.keys, node.children = anchored.keys, anchored.children
    return node
