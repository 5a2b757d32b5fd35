"""Where in a text each value was written, found on demand.

Laws: nothing about positions is stored while a manifest is read, because nearly every manifest is right. The first
question about a text reads it once more into an index; a few such indexes are kept. Only texts that `parsing.parse`
accepted come here, so depth and size are bounded already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from yaml._yaml import CParser
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from manifest_runner.core.model import Document, Pointer, Source

Event: TypeAlias = Any  # an event of libyaml's; the stubs do not know what each carries


class _Node:
    """A value: the event that begins it, the events of its keys, and its children by key or index."""

    __slots__ = ("children", "keys", "start")

    def __init__(self, start: Event) -> None:
        self.start = start
        self.keys: dict[str | int, Event] = {}
        self.children: dict[str | int, _Node] = {}


def locate(document: Document, pointer: Pointer, *, key: bool = False) -> Source:
    """Where the value at `pointer` was written, or its key; where there is no such value, its nearest ancestor."""
    node, found = _walk(document, pointer)
    start = node.start
    if key and found is not None:
        start = found
    return Source(path=document.path, line=start.start_mark.line + 1, column=start.start_mark.column + 1)


def locate_inside(document: Document, pointer: Pointer, part: str, word: str = "") -> Source:
    """Where `part` is written inside the string at `pointer`, and inside that part the whole word `word`.

    Falls back to what can be found: the part, or the start of the string, where something is not written in one piece (an
    escape, a folded line).
    """
    start, end = (mark := _walk(document, pointer)[0].start).start_mark, mark.end_mark
    written = document.text[start.index : end.index]
    at = max(written.find(part), 0) if part else 0
    if word:
        found = re.compile(rf"\b{re.escape(word)}\b").search(written, at, at + len(part) if part else len(written))
        at = found.start() if found else at
    inside = position(document.path, written, at)
    column = inside.column + (start.column if inside.line == 1 else 0)
    return Source(path=document.path, line=start.line + inside.line, column=column)


def position(path: str, text: str, offset: int) -> Source:
    """The line and column of a character of `text`, both from 1. A line ends with LF, CR LF or CR."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return Source(path=path, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _walk(document: Document, pointer: Pointer) -> tuple[_Node, Event | None]:
    """The deepest node on the way, and the event of its key where it has one."""
    node = _index(document.text)
    found: Event | None = None
    for step in pointer:
        child = node.children.get(step)
        if child is None:
            break
        found = node.keys.get(step)
        node = child
    return node, found


@lru_cache(maxsize=8)
def _index(text: str) -> _Node:
    events: Iterator[Event] = iter(CParser(text).get_event, None)
    next(events), next(events)  # the starts of stream and document
    return _read(next(events), events, {})


def _read(event: Event, events: Iterator[Event], anchors: dict[str, _Node]) -> _Node:
    node = _Node(event)
    if isinstance(event, AliasEvent):
        # The value stands at the alias; what lies inside it was written at the anchor.
        anchored = anchors[str(event.anchor)]
        node.keys, node.children = anchored.keys, anchored.children
        return node
    if isinstance(event, MappingStartEvent):
        for key in events:
            if isinstance(key, MappingEndEvent):
                break
            node.keys[key.value] = key
            if key.anchor is not None:
                anchors[key.anchor] = _Node(key)
            node.children[key.value] = _read(next(events), events, anchors)
    elif isinstance(event, SequenceStartEvent):
        for number, item in enumerate(events):
            if not isinstance(item, ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent):
                break
            node.children[number] = _read(item, events, anchors)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node
