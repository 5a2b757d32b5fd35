"""The plain part of YAML, in which nearly all shot lists are written, read several times faster than libyaml tells its events.

Law: `read` gives exactly what `parsing` makes of libyaml's events, or None. It never reports a mistake: whatever is wrong,
rare or could be read two ways is left to libyaml, which knows all of YAML and where things stand. The tests hold both
against each other on every manifest and on fuzzed ones.

What it knows: mappings with plain keys and lists in block style; on one line a plain or quoted scalar, or a flat `{…}` or
`[…]`; block scalars (`|` and `>`) whose lines all begin in one column; comments. It does not know tags, anchors, escapes,
scalars over several lines, tabs, or documents.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from manifest_runner.core.model import Json
from manifest_runner.core.scalars import RESOLVABLE, ScalarError, resolve
from manifest_runner.core.visible import is_printable

MAX_OPEN = 32  # mappings and lists inside one another, far below the bound of `parsing`
MAX_INDENT = 64  # spaces before the lines of a block scalar: they become part of a pattern
MAX_FLAT = 500  # characters of a mapping or list on one line: its pattern remembers each step of its way through

_KEY = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_LINE = re.compile(rf"( *)(- +)?(?:({_KEY}):(?: +|(?=\n|\Z)))?([^\n]*)\n?")
_COMMENT = r"(?: +#.*| *)"
_QUOTED = re.compile(rf"(?:\"([^\"\\]*)\"|'([^']*)'){_COMMENT}")
_ATOM = r"-?[A-Za-z0-9_.+/][A-Za-z0-9_.+/-]*(?: [A-Za-z0-9_][A-Za-z0-9_.+/-]*)*"
_PAIR = rf"({_KEY}): +({_ATOM})"
_FLAT_MAPPING = re.compile(rf"\{{ *({_PAIR}(?: *, *{_PAIR})*) *\}}{_COMMENT}")
_FLAT_LIST = re.compile(rf"\[ *({_ATOM}(?: *, *{_ATOM})*) *\]{_COMMENT}")
_PAIRS = re.compile(_PAIR)
_HEADERS = {">": (" ", "\n"), ">-": (" ", ""), "|": ("\n", "\n"), "|-": ("\n", "")}  # between lines, and at the end
_STARTS = "_./+~(\\"  # beside letters and digits, what a plain scalar may begin with


class _Decline(Exception):
    """Not for this reader."""


def read(text: str, most_events: int) -> dict[str, Json] | None:
    """The mapping that `text` holds, or None where libyaml should read it, as where it could have over `most_events` events."""
    if not is_printable(text):
        return None
    try:
        return _Reader(text, most_events).document()
    except _Decline:
        return None


class _Reader:
    """Reads one text, line by line.

    `stack` holds what is open, each with its level: twice the column of a mapping's keys, and one more than that for a list,
    since a list may stand in the column of the key that it belongs to. `left` is how many events there may still be.
    """

    __slots__ = ("flat", "keys", "left", "scalars", "text")

    def __init__(self, text: str, most_events: int) -> None:
        self.text = text
        self.left = most_events - 6  # of the stream, the document and its mapping
        self.keys: dict[str, str] = {}  # one string for each key, however often it is written
        self.scalars: dict[str, Json] = {}  # by what stands behind the colon
        self.flat: dict[str, Any] = {}

    def document(self) -> dict[str, Json]:
        """The whole text. Raises `_Decline`."""
        root: dict[str, Json] = {}
        stack: list[tuple[int, Any]] = [(0, root)]
        top, holder = stack[0]
        waiting: str | None = None  # the key in `holder` whose value, if any, begins on a line below
        text, position, end, events = self.text, 0, len(self.text), 0
        match, keys, scalars = _LINE.match, self.keys, self.scalars
        while position < end:
            found = match(text, position)
            assert found is not None  # noqa: S101 - the pattern matches every line
            spaces, dash, key, rest = found.groups()
            position = found.end()
            if key is None and dash is None:
                if rest and rest[0] != "#":
                    raise _Decline
                continue
            events += 2 if dash is None or key is None else 4  # a key and a value; the item of a list, or its start and end
            if events > self.left:
                raise _Decline
            column = len(spaces)
            level = 2 * column if dash is None else 2 * column + 1
            if waiting is not None:
                if level > top:
                    opened: Any = {} if dash is None else []
                    holder[waiting] = opened
                    events += 1  # a start and an end instead of a scalar
                    stack.append((level, opened))
                    top, holder = level, opened
                    if len(stack) > MAX_OPEN:
                        raise _Decline
                waiting = None
            if level != top:
                while level < top:
                    stack.pop()
                    top, holder = stack[-1]
                if level != top:
                    raise _Decline
            if dash is not None:
                if key is None:
                    holder.append(self._value(rest))
                    continue
                column += len(dash)
                item: dict[str, Json] = {}
                holder.append(item)
                top, holder = 2 * column, item
                stack.append((top, item))
                if len(stack) > MAX_OPEN:
                    raise _Decline
            key = keys.setdefault(key, key)
            if key in holder:
                raise _Decline
            if rest in scalars:  # the words and numbers that all shots share
                holder[key] = scalars[rest]
            elif not rest:
                waiting = key
                holder[key] = None
            elif rest in _HEADERS:
                holder[key], position = self._block(rest, position, column)
            else:
                holder[key] = self._value(rest)
        if not root or events > self.left:
            raise _Decline
        return root

    def _value(self, rest: str) -> Json:
        """What stands behind a colon or a dash, all of it on the line."""
        start = rest[:1]
        if start in ("{", "["):
            if len(rest) > MAX_FLAT:
                raise _Decline
            flat = self.flat.get(rest)
            if flat is None:
                flat = self.flat[rest] = _flat_mapping(rest) if start == "{" else _flat_list(rest)
            self.left -= 2 * len(flat) + 1
            return flat.copy()
        if start in ("'", '"'):
            quoted = _QUOTED.fullmatch(rest)
            if quoted is None:
                raise _Decline
            value: Json = quoted.group(1) if quoted.group(1) is not None else quoted.group(2)
        else:
            value = _plain(rest)
        self.scalars[rest] = value
        return value

    def _block(self, header: str, position: int, column: int) -> tuple[str, int]:
        """A block scalar whose key stands in `column` and whose first line begins at `position`, and where it ends."""
        text = self.text
        first = _LINE.match(text, position)
        indent = len(first.group(1)) if first is not None else 0
        if not column < indent <= MAX_INDENT:
            raise _Decline
        lines, more = _block_patterns(indent)
        found = lines.match(text, position)
        between, ending = _HEADERS[header]
        if found is None or more.match(text, found.end()):
            raise _Decline
        written = found.group()
        if ending and not written.endswith("\n"):  # the text ends with it: whether that ends a line could be argued
            raise _Decline
        return written[indent:].rstrip("\n").replace("\n" + " " * indent, between) + ending, found.end()


def _plain(rest: str) -> Json:
    """A plain scalar, with the comment behind it."""
    text = rest.partition(" #")[0].rstrip(" ")
    if not text or text[-1] == ":" or ": " in text:
        raise _Decline
    start = text[0]
    if not (start.isalnum() or start in _STARTS or (start == "-" and text[1:2] not in ("", " "))):
        raise _Decline
    if start not in RESOLVABLE:
        return text
    try:
        return resolve(text)
    except ScalarError:
        raise _Decline from None


def _flat_mapping(rest: str) -> dict[str, Json]:
    found = _FLAT_MAPPING.fullmatch(rest)
    pairs = _PAIRS.findall(found.group(1)) if found is not None else []
    mapping = {key: _plain(value) for key, value in pairs}
    if not pairs or len(mapping) != len(pairs):
        raise _Decline
    return mapping


def _flat_list(rest: str) -> list[Json]:
    found = _FLAT_LIST.fullmatch(rest)
    if found is None:
        raise _Decline
    return [_plain(item.strip(" ")) for item in found.group(1).split(",")]


@lru_cache(maxsize=16)
def _block_patterns(indent: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Lines that begin in exactly this column; and a line, perhaps after empty ones, that would go on with the scalar."""
    margin = " " * indent
    lines = rf"(?:{margin}[^ \n][^\n]*+(?:\n|\Z))++"  # possessive: a million lines need no memory of their own
    return re.compile(lines), re.compile(rf"(?: {{0,{indent - 1}}}\n)*+{margin}")
