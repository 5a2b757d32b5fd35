"""A text as a tree of nodes that know their places, for those who change texts: `formatting` and `editing`.

Law: only texts that `parsing.parse` accepted come here, so depth and size are bounded already. Who only wants to say where
something was written asks `positions`, which keeps a number where this keeps an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from yaml._yaml import CParser
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

Event: TypeAlias = Any  # an event of libyaml's; the stubs do not know what each carries

_BLOCK_HEADER = re.compile(r"[|>](?:([1-9])?([-+])?|([-+])([1-9]))(?=\s|$)")


@dataclass(slots=True)
class Node:
    """A value with its place in the text: lines and columns from 0, the end being behind its last character, and the same in
    characters from the text's beginning (`begin`, `stop`). It begins with its anchor."""

    start: tuple[int, int]
    end: tuple[int, int]
    begin: int
    stop: int
    style: str = ""  # of a scalar: ' " | > or empty; of a collection: block or flow
    value: str = ""
    is_alias: bool = False
    keys: list[Node] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)  # of a mapping: the values of `keys`

    @property
    def is_block(self) -> bool:
        return self.style == "block"


def read(text: str) -> Node:
    """The tree of the one document in `text`."""
    events: Iterator[Event] = iter(CParser(text).get_event, None)
    next(events), next(events)  # the starts of stream and document
    return _read(next(events), events)


def _read(event: Event, events: Iterator[Event]) -> Node:
    start, end = event.start_mark, event.end_mark
    node = Node((start.line, start.column), (end.line, end.column), start.index, end.index)
    if isinstance(event, AliasEvent):
        node.is_alias = True
        return node
    if isinstance(event, ScalarEvent):
        node.style, node.value = event.style or "", event.value
        return node
    assert isinstance(event, MappingStartEvent | SequenceStartEvent)  # noqa: S101 - nothing else begins a value
    node.style = "flow" if event.flow_style else "block"
    for inner in events:
        if isinstance(inner, MappingEndEvent | SequenceEndEvent):
            mark: Any = inner.end_mark
            node.end, node.stop = (mark.line, mark.column), mark.index
            break
        child = _read(inner, events)
        if isinstance(event, MappingStartEvent):
            node.keys.append(child)
            child = _read(next(events), events)
        node.items.append(child)
    return node


def end_line(lines: Sequence[str], node: Node) -> int:
    """The line behind the last one of a node. Blank lines behind a block scalar belong to it where it keeps them."""
    if node.is_block and node.items:
        return max(end_line(lines, item) for item in [*node.keys, *node.items])
    if node.style not in ("|", ">"):
        return node.end[0] + 1
    end = node.end[0] + (node.end[1] > 0)  # it ends where the next line begins, but for the last line of a text
    if "+" not in header(lines[node.start[0]][node.start[1]:])[0]:
        margin = margin_of(lines, node)
        while end > node.start[0] + 1 and not lines[end - 1].strip() and len(lines[end - 1]) <= margin:
            end -= 1
    return min(end, len(lines))


def margin_of(lines: Sequence[str], node: Node) -> int:
    """The column in which the lines of a block scalar begin."""
    content = lines[node.start[0] + 1:node.end[0] + 1]
    return next((len(line) - len(line.lstrip(" ")) for line in content if line.strip()), 0)


def header(text: str) -> re.Match[str]:
    """The header of a block scalar, anchor and all, which `text` begins with."""
    found = _BLOCK_HEADER.search(text)
    assert found is not None  # noqa: S101 - libyaml has read one here
    return found
