"""The one way in which a manifest is laid out: order of keys, indentation, blank lines, ends of lines.

Laws
- Lines are moved and shifted, never written anew: comments, long prompts, flow mappings and folds stay as they were typed. A
  library that loads and dumps ties each comment to what stands above it, and a key that moves would leave its comment behind.
- A comment belongs to what follows it, unless it is indented more deeply than that.
- No value changes: `formatted` reads what it made with the manifest's own parser, and refuses where that says anything else.
- What is laid out already stays byte for byte, so that `formatted` of its own result changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from yaml._yaml import CParser
from yaml.events import ScalarEvent

from manifest_runner.core.model import Document, Json
from manifest_runner.core.nodes import Node, end_line, header, margin_of, read
from manifest_runner.core.parsing import parse
from manifest_runner.errors import UsageError

Event: TypeAlias = Any  # an event of libyaml's; the stubs do not know what each carries

TOP = ("version", "show", "sequence", "title", "note", "model", "include", "vars", "defaults", "limits", "output", "*", "shots")
"""The order of a manifest's keys. `*` is the place of all others, in the order in which they were written."""

SHOT = ("id", "note", "matrix", "prompt", "first_frame", "last_frame", "duration", "*", "camera", "takes", "circled", "cut")
"""The order of a shot's keys; `*` is the place of the model's other parameters."""

_STEP = 2
_ANY: tuple[str, ...] = ()


class _Unknown(Exception):
    """A way of writing YAML that is not laid out here; `line` is where, from 0."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(slots=True)
class _Chunk:
    """An entry of a mapping or list as it will be written: the comments and blank lines before it, and its own lines."""

    name: str
    before: list[str]
    lines: list[str]


def formatted(document: Document) -> str:
    """The text of a manifest as it should be laid out. Raises `UsageError` where that would not be the same manifest."""
    text = document.text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        made = _Layout(text).document()
    except _Unknown as unknown:
        raise _refused(f"{document.path}:{unknown.line + 1}: this way of writing YAML is read, but not laid out") from None
    if made != document.text and not same(parse(made, path=document.path).data, document.data):
        raise _refused(f"{document.path}: laid out it would mean something else")
    return made


def _refused(message: str) -> UsageError:
    return UsageError(message, code="not-formatted", hint="the file stays as it is")


def same(one: Json, other: Json, order: tuple[str, ...] = TOP) -> bool:
    """Whether two manifests are the same to the last type, and in the order of everything but of their keys that may move."""
    if isinstance(one, dict) and isinstance(other, dict):
        inner = SHOT if order is TOP else _ANY
        keys = sorted(one) == sorted(other) if order else [*one] == [*other]
        return keys and all(same(one[key], other[key], inner if key == "shots" else _ANY) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right, order) for left, right in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


class _Layout:
    """One text on its way. Its methods return what was made and the first line that was not used for it."""

    def __init__(self, text: str) -> None:
        self.lines = text.removesuffix("\n").split("\n")
        self.root = read(text)
        self.tied = any(self._ties(event) for event in iter(CParser(text).get_event, None))

    def _ties(self, event: Event) -> bool:
        """Whether an entry may not move: an alias stays behind its anchor, and a scalar that keeps the blank lines behind it
        would take those of another entry."""
        if isinstance(event, ScalarEvent) and event.style in ("|", ">"):
            mark: Any = event.start_mark
            return "+" in header(self.lines[mark.line][mark.column:])[0] and event.value[-1:] in ("", "\n")
        return getattr(event, "anchor", None) is not None

    def document(self) -> str:
        root = self.root
        if not root.is_block or not root.keys:
            return "\n".join(line.rstrip() for line in self.lines).strip("\n") + "\n"
        first = root.keys[0].start[0]
        if any(line.strip() and not line.lstrip().startswith(("#", "---", "%")) for line in self.lines[:first]):
            raise _Unknown(first)
        made, used = self._mapping(root, 0, len(self.lines), TOP, -1)
        head = _spaced([line.strip() for line in self.lines[:first]])
        while head and not head[0]:
            del head[0]
        tail = self._comments(used, len(self.lines), 0)
        while tail and not tail[-1]:
            del tail[-1]
        return "\n".join([*head, *_flat(made), *tail]) + "\n"

    def _mapping(self, node: Node, indent: int, stop: int, order: tuple[str, ...], outer: int) -> tuple[list[_Chunk], int]:
        """The entries of a block mapping, in their order. `stop` is the line where what follows it begins, `outer` the column
        of what it belongs to."""
        chunks: list[_Chunk] = []
        column, used = node.keys[0].start[1], node.keys[0].start[0]
        for number, (key, value) in enumerate(zip(node.keys, node.items, strict=True)):
            after = node.keys[number + 1].start[0] if number + 1 < len(node.keys) else stop
            before = self._comments(used, key.start[0], indent)
            lines, used = self._entry(key, value, indent, after, _inner(key.value, order))
            chunks.append(_Chunk(key.value, before, lines))
        used = self._trailing(chunks[-1].lines, used, stop, max(column, outer + 1), indent)
        return (chunks if self.tied or not order else _ordered(chunks, order)), used

    def _entry(self, key: Node, value: Node, indent: int, stop: int, order: tuple[str, ...]) -> tuple[list[str], int]:
        """A key and its value."""
        number = key.start[0]
        line = self.lines[number]
        if line[:key.start[1]].strip(" -"):  # behind --- or ?
            raise _Unknown(number)
        colon = key.end[1] + len(line[key.end[1]:]) - len(line[key.end[1]:].lstrip())
        if key.end[0] != number or line[colon:colon + 1] != ":":
            raise _Unknown(number)
        name, rest = line[key.start[1]:key.end[1]], line[colon + 1:].rstrip()
        if value.start[0] == number and not value.is_block:
            rest = " " + self._requoted(value, colon + 1).lstrip()
        elif rest:
            rest = " " * max(1, len(rest) - len(rest.lstrip())) + rest.lstrip()
        first = f"{' ' * indent}{name}:{rest}".rstrip()
        if not value.is_block or not value.items:
            return self._plain_lines(first, value, number, key.start[1], indent)
        step, begins = indent + _STEP, self._begin(value)
        if begins == number:
            raise _Unknown(number)
        chunks, used = (self._mapping(value, step, stop, _ANY, key.start[1]) if value.keys
                        else self._sequence(value, step, stop, order, key.start[1]))
        return [first, *self._comments(number + 1, begins, step), *_flat(chunks)], used

    def _begin(self, value: Node) -> int:
        """The line of a block collection's first key or dash."""
        return value.keys[0].start[0] if value.keys else value.start[0]

    def _sequence(self, node: Node, indent: int, stop: int, order: tuple[str, ...], outer: int) -> tuple[list[_Chunk], int]:
        """The items of a block list."""
        column = node.start[1]
        dashes = self._dashes(node, column, stop)
        chunks: list[_Chunk] = []
        used = dashes[0]
        for number, (dash, item) in enumerate(zip(dashes, node.items, strict=True)):
            after = dashes[number + 1] if number + 1 < len(dashes) else stop
            before = self._comments(used, dash, indent)
            chunk, used = self._item(item, dash, column, indent, after, order)
            chunks.append(_Chunk("", before + chunk.before, chunk.lines))
        used = self._trailing(chunks[-1].lines, used, stop, max(column, outer + 1), indent)
        return chunks, used

    def _dashes(self, node: Node, column: int, stop: int) -> list[int]:
        """The line of each item's dash."""
        found = [node.start[0]]
        for item, following in zip(node.items, [*node.items[1:], None], strict=True):
            if following is None:
                break
            at = max(found[-1] + 1, end_line(self.lines, item))
            while at < stop and not re.match(rf" {{{column}}}-(?:\s|$)", self.lines[at]):
                at += 1
            if at > following.start[0] or at >= stop:
                raise _Unknown(node.start[0])
            found.append(at)
        return found

    def _item(self, item: Node, dash: int, column: int, indent: int, stop: int, order: tuple[str, ...]) -> tuple[_Chunk, int]:
        """An item and what stands before it."""
        step, rest = indent + _STEP, self.lines[dash][column + 1:]
        mark = " " * indent + "-"
        if not item.is_block or not item.items:
            if item.start[0] == dash:
                rest = " " + self._requoted(item, column + 1).lstrip()
            lines, used = self._plain_lines(f"{mark}{rest}".rstrip(), item, dash, column, indent)
            return _Chunk("", [], lines), used
        begins = self._begin(item)
        chunks, used = (self._mapping(item, step, stop, order, column) if item.keys
                        else self._sequence(item, step, stop, _ANY, column))
        above = chunks[0].before
        if begins != dash:
            if rest.strip() and not rest.lstrip().startswith("#"):
                raise _Unknown(dash)
            above = [rest.strip(), *self._comments(dash + 1, begins, 0), *above]
        chunks[0].before = []
        lines = _flat(chunks)
        lines[0] = f"{mark} {lines[0].lstrip()}"
        return _Chunk("", [" " * indent + line.strip() for line in above if line], lines), used

    def _plain_lines(self, first: str, value: Node, number: int, column: int, indent: int) -> tuple[list[str], int]:
        """An entry whose value is a scalar, a flow collection or an alias: its first line, and the others shifted with it."""
        end = max(end_line(self.lines, value), number + 1)
        rest = self.lines[number + 1:end]
        if value.style in ("|", ">"):
            return self._block_scalar(first, value, rest, column, indent), end
        return [first, *(_shifted(line, indent - column).rstrip() for line in rest)], end

    def _block_scalar(self, first: str, value: Node, content: list[str], column: int, indent: int) -> list[str]:
        """A literal or folded scalar, all its lines moved by as much; `column` is that of its key or dash."""
        head = header(self.lines[value.start[0]][value.start[1]:])
        said = head[1] or head[4]
        if value.value and not value.value.endswith("\n") and "-" not in head[0]:  # it ends with the text, without a newline
            first = f"{first[:first.rindex(head[0])]}{head[0].rstrip('+')}-"
        margin, wanted = margin_of(self.lines, value), indent + (int(said) if said else _STEP)
        if said:
            margin = column + int(said)
        return [first, *(" " * wanted + line[margin:] if line.strip() or len(line) > margin else "" for line in content)]

    def _requoted(self, value: Node, start: int) -> str:
        """The rest of a line from column `start`, single quotes made double where that changes nothing inside of them."""
        line = self.lines[value.start[0]]
        if value.style != "'" or value.start[0] != value.end[0]:
            return line[start:]
        inner = line[value.start[1] + 1:value.end[1] - 1]
        if line[value.start[1]] != "'" or '"' in inner or "\\" in inner or "''" in inner:
            return line[start:]
        return f'{line[start:value.start[1]]}"{inner}"{line[value.end[1]:]}'

    def _comments(self, start: int, stop: int, indent: int) -> list[str]:
        """Comments and blank lines, in the column of what they stand before, blank ones at most one in a row."""
        texts = [line.strip() for line in self.lines[start:stop]]
        if any(text and not text.startswith("#") for text in texts):
            raise _Unknown(start)
        return _spaced([" " * indent + text if text else "" for text in texts])

    def _trailing(self, lines: list[str], used: int, stop: int, column: int, indent: int) -> int:
        """Put the comments behind a block's last entry that are indented like it, or more deeply, below that entry."""
        taken = used
        for at in range(used, stop):
            text = self.lines[at].strip()
            if text and (not text.startswith("#") or self.lines[at].index("#") < column):
                break
            if text:
                taken = at + 1
        lines += self._comments(used, taken, indent)
        return taken


def _spaced(lines: list[str]) -> list[str]:
    """Lines without one blank line after another."""
    return [line for number, line in enumerate(lines) if line or number == 0 or lines[number - 1]]


def _inner(name: str, order: tuple[str, ...]) -> tuple[str, ...]:
    """The order of the mappings in the list under a key."""
    return SHOT if order is TOP and name == "shots" else _ANY


def _ordered(chunks: list[_Chunk], order: tuple[str, ...]) -> list[_Chunk]:
    """The entries in the documented order, no blank line before the first."""
    places = {name: number for number, name in enumerate(order)}
    ordered = sorted(chunks, key=lambda chunk: places.get(chunk.name, places["*"]))
    ordered[0].before = [line for line in ordered[0].before if line]
    return ordered


def _flat(chunks: list[_Chunk]) -> list[str]:
    return [line for chunk in chunks for line in (*chunk.before, *chunk.lines)]


def _shifted(line: str, by: int) -> str:
    """A line moved to the right, or to the left as far as there is space."""
    if by >= 0 or not line.strip():
        return " " * by + line if line.strip() else ""
    return line[min(-by, len(line) - len(line.lstrip(" "))):]

