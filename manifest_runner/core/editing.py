"""One number of a manifest written, changed or taken away in the manifest's own text.

Laws
- Nothing is written anew: a text is cut and put together round what changes, so comments, quotes, order, indentation and ends
  of lines stay byte for byte. A comment behind a key that is taken away stays, on a line of its own.
- `edited` reads what it made with the manifest's own parser, and refuses where anything but the numbers asked for came out
  different, an anchor's other uses included. A way of writing that it does not know is refused, with the place to edit by hand.
- A new key stands where `formatting` would put it, in the style of those beside it: what is laid out stays laid out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from manifest_runner.core.formatting import SHOT, same
from manifest_runner.core.model import Diagnostic, Document, Json, Pointer
from manifest_runner.core.nodes import Node, end_line, read
from manifest_runner.core.parsing import parse
from manifest_runner.core.positions import line_starts, locate
from manifest_runner.errors import InvalidInput

Splice: TypeAlias = tuple[int, int, str]
"""What stands between two places of a text, in characters, and what shall stand there."""

Way: TypeAlias = list[Splice]

_BREAK = re.compile("\r\n|\r|\n")
_REST_OF_LINE = re.compile("[ \t]*(,?)[ \t]*(?:#[^\r\n]*)?(?=\r|\n|\\Z)")
_COMMA = re.compile(r"\s*,\s*")
_SPACE = re.compile(r"\s*,?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to become of one key of the mapping at `at`: a number, or nothing, where `value` is None. `name` is what the
    mapping is called where a person must be told to do it."""

    at: Pointer
    key: str
    value: int | None
    name: str


def edited(document: Document, edits: Sequence[Edit]) -> str:
    """The text with these edits, no two of which are of one mapping. Raises `InvalidInput` with a diagnostic for every edit
    that only a person can make."""
    ways = _Text(document.text)
    first = [next(ways.ways(edit), None) for edit in edits]
    made = _spliced(document.text, [splice for way in first for splice in way or ()])
    if None not in first and _is_meant(made, document, edits):
        return made
    current, refused = document, []
    for edit in edits:  # one of them is special: each by itself, in the first way that does it
        tries = (_spliced(current.text, way) for way in _Text(current.text).ways(edit))
        done = next((text for text in tries if _is_meant(text, current, [edit])), None)
        if done is None:
            refused.append(_by_hand(document, edit))
        else:
            current = parse(done, path=document.path)
    if refused:
        raise InvalidInput(refused, texts={document.path: document.text})
    return current.text


def _by_hand(document: Document, edit: Edit) -> Diagnostic:
    what = f"take {edit.key} out" if edit.value is None else f"write {edit.key}: {edit.value}"
    return Diagnostic(code="edit-by-hand", source=locate(document, (*edit.at, edit.key)),
                      message=f"{edit.key} of {edit.name} is written in a way that is not edited here",
                      hint=f"{what} in an editor; whatever else would change with it is yours to see")


def _spliced(text: str, splices: Sequence[Splice]) -> str:
    """The text with every splice made; of two at one place the first comes first."""
    parts, at = [], 0
    for begin, stop, new in sorted(splices, key=lambda splice: splice[:2]):
        parts += [text[at:begin], new]
        at = stop
    return "".join([*parts, text[at:]])


def _is_meant(text: str, document: Document, edits: Sequence[Edit]) -> bool:
    """Whether a text says what the document says but for the edits, to the last type and in the same order."""
    try:
        made, before = parse(text, path=document.path).data, document.data
    except InvalidInput:
        return False
    for edit in edits:
        made, found = _taken(made, edit.at, edit.key)
        before, _ = _taken(before, edit.at, edit.key)
        if type(found) is not type(edit.value) or found != edit.value:
            return False
    return same(made, before, ())


def _taken(data: Json, at: Pointer, key: str) -> tuple[Json, Json]:
    """Data without one key of one mapping, and what that key held. Only what lies on the way is copied: what an alias stands
    for is the same object wherever it stands, and must differ where it was not meant."""
    if not at:
        return {name: item for name, item in data.items() if name != key}, data.get(key)
    copy: Json = data.copy()
    copy[at[0]], found = _taken(data[at[0]], at[1:], key)
    return copy, found


class _Text:
    """A text whose edits are looked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = read(text)
        self.starts = line_starts(text)
        ends = [*self.starts[1:], len(text)]
        self.lines = [text[start:end].rstrip("\r\n") for start, end in zip(self.starts, ends, strict=True)]

    def ways(self, edit: Edit) -> Iterator[Way]:
        """Ways to make an edit, the best one first. That a way does it is for the parser to say."""
        node = self._node(edit.at)
        if node is None or not node.keys:
            return
        at = next((number for number, key in enumerate(node.keys) if key.value == edit.key), None)
        if at is not None:
            way = self._removed(node, at) if edit.value is None else self._replaced(node.items[at], edit.value)
            if way is not None:
                yield way
        elif edit.value is not None:
            insert = self._line if node.is_block else self._inline
            for place in dict.fromkeys((_place(node, edit.key), 0)):
                yield insert(node, place, edit.key, edit.value)

    def _node(self, at: Pointer) -> Node | None:
        """The mapping at a pointer; None behind an alias."""
        node = self.root
        for step in at:
            number = step if isinstance(step, int) else [key.value for key in node.keys].index(step)
            node = node.items[number]
            if node.is_alias:
                return None
        return node

    # ── a number ──

    def _replaced(self, node: Node, value: int) -> Way:
        """Another value for a key. An anchor, and a comment behind it, stay before it."""
        word = next(reversed(self.text[node.begin:node.stop].split()), "")
        return [(node.stop - len(word), node.stop, str(value))]

    # ── a new key ──

    def _line(self, node: Node, after: int, name: str, value: int) -> Way:
        """A line of its own behind an entry of a block mapping, and behind comments that are indented below that entry."""
        key, item = node.keys[after], node.items[after]
        column = key.start[1]
        end = max(end_line(self.lines, item), key.end[0] + 1)
        for number in range(end, len(self.lines)):
            if re.match(rf" {{{column + 1},}}#", self.lines[number]):
                end = number + 1
            elif self.lines[number].strip():
                break
        new = f"{' ' * column}{name}: {value}"
        if end < len(self.starts):
            return [(self.starts[end], self.starts[end], new + self._break(end - 1))]
        return [(len(self.text), len(self.text), self._break(end - 1) + new)]

    def _inline(self, node: Node, after: int, name: str, value: int) -> Way:
        """An entry behind another of a flow mapping, spaced and quoted like that one; on a line of its own like that one."""
        key, item = node.keys[after], node.items[after]
        model = key if after or len(node.keys) == 1 else node.keys[1]
        gap = self._space_before(model)
        quote = self.text[key.begin] if self.text[key.begin] in "\"'" else ""
        colon = ":" if quote and self.text[key.stop:item.begin] == ":" else ": "
        new = f"{quote}{name}{quote}{colon}{value}"
        if not _BREAK.search(gap):
            return [(item.stop, item.stop, f",{gap if len(node.keys) > 1 else ' '}{new}")]
        lead = self._break(model.start[0] - 1) + _BREAK.split(gap)[-1]
        rest = _REST_OF_LINE.match(self.text, item.stop)
        if rest is None:
            return [(item.stop, item.stop, f",{lead}{new}")]
        if rest[1]:
            return [(rest.end(), rest.end(), f"{lead}{new},")]
        return [(item.stop, item.stop, ","), (rest.end(), rest.end(), lead + new)]

    def _space_before(self, node: Node) -> str:
        return self.text[len(self.text[:node.begin].rstrip(" \t\r\n")):node.begin]

    def _break(self, line: int) -> str:
        """How a line ends; the last one of a text as others do."""
        for number in (line, 0):
            if number + 1 < len(self.starts):
                return self.text[self.starts[number] + len(self.lines[number]):self.starts[number + 1]]
        return "\n"

    # ── a key less ──

    def _removed(self, node: Node, at: int) -> Way | None:
        """None where a comment stands inside of the entry."""
        key, item = node.keys[at], node.items[at]
        if "#" in self.text[key.stop:item.stop]:
            return None
        return self._line_less(node, at) if node.is_block else self._inline_less(node, at)

    def _line_less(self, node: Node, at: int) -> Way:
        """An entry of a block mapping taken away, with its line where nothing else stands on that."""
        key, item = node.keys[at], node.items[at]
        rest = _REST_OF_LINE.match(self.text, item.stop)
        behind = rest.end() if rest is not None else item.stop
        comment = self.text[item.stop:behind].strip()
        start = self.starts[key.start[0]]
        if comment:
            return [(key.begin, behind, comment)]
        if self.text[start:key.begin].strip():  # behind a dash: the next key moves up, unless there are comments between
            following = node.keys[at + 1].begin if at + 1 < len(node.keys) else behind
            if not self.text[behind:following].strip():
                return [(key.begin, following, "")]
            return [(len(self.text[:key.begin].rstrip(" ")), behind, "")]
        line_end = _BREAK.match(self.text, behind)
        return [(start, line_end.end() if line_end is not None else behind, "")]

    def _inline_less(self, node: Node, at: int) -> Way:
        """An entry of a flow mapping taken away, with one of the commas beside it and the space there, but no comment."""
        key, item = node.keys[at], node.items[at]
        if at and _COMMA.fullmatch(self.text, node.items[at - 1].stop, key.begin):
            return [(node.items[at - 1].stop, item.stop, "")]
        if at + 1 < len(node.keys) and _COMMA.fullmatch(self.text, item.stop, node.keys[at + 1].begin):
            return [(key.begin, node.keys[at + 1].begin, "")]
        behind = _SPACE.match(self.text, item.stop)
        assert behind is not None  # noqa: S101 - it matches nothing at all, too
        is_glued = self.text[behind.end():behind.end() + 1] == "#" and not self.text[key.begin - 1].isspace()
        return [(key.begin, behind.end(), " " if is_glued else "")]  # a sign right behind a bracket begins no comment


def _place(node: Node, key: str) -> int:
    """Behind which entry of a shot a new key stands: that which comes nearest before it in the documented order."""
    ranks = {name: number for number, name in enumerate(SHOT)}
    order = [ranks.get(other.value, ranks["*"]) for other in node.keys]
    before = [(rank, number) for number, rank in enumerate(order) if rank < ranks[key]]
    return max(before)[1] if before else len(order) - 1
