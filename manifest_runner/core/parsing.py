"""YAML text → Document: bounded, strict, and fast.

Laws:
- The plain part of YAML is read by `blocks`, which is quick; it declines whatever else there is, and libyaml reads it all.
- Bounds are checked on libyaml's event stream while it is read, before a value stands on it; the nodes of stock loaders
  recurse in C and crash the process at some 30,000 nested brackets.
- Values follow YAML 1.2's core schema (`scalars`). Duplicate keys, tags, merges, complex keys, NaN and anchors that
  multiply are mistakes; all of them are reported at once, and only a syntax error or a passed bound ends the reading.
- Positions are not stored: `locate` finds them when something is wrong.
- Nothing but `InvalidInput` comes out, whatever goes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn, TypeAlias

import yaml
from yaml._yaml import CParser
from yaml.events import AliasEvent, DocumentStartEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from manifest_runner.core import blocks
from manifest_runner.core.characters import MAX_BYTES, MAX_PROBLEMS, check_characters, decode, too_large
from manifest_runner.core.model import Diagnostic, Document, Json, Pointer, Source
from manifest_runner.core.positions import locate
from manifest_runner.core.scalars import RESOLVABLE, ScalarError, resolve
from manifest_runner.core.syntax import syntax_diagnostic
from manifest_runner.core.visible import is_clean
from manifest_runner.errors import InvalidInput

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_EVENTS", "MAX_EXPANDED", "decode", "locate", "parse", "parse_events"]

MAX_DEPTH = 64
"""Mappings and lists inside one another. A manifest needs six."""

MAX_EVENTS = 750_000
"""Scalars, aliases, and starts and ends of mappings and lists. 20,000 shots are 700,000."""

MAX_EXPANDED = 100_000
"""Values that all aliases together stand for, counted as if each were written out."""

Event: TypeAlias = Any  # an event of libyaml's; the stubs do not know what each carries

_MAY_RESOLVE = RESOLVABLE | {""}
_ESCAPE = re.compile(r"\\[0abefvNLPxuU]")
_OPEN = object()  # stands for an anchored mapping or list while it is being read


def parse(text: str, *, path: str, rendered: bool = False) -> Document:
    """The one YAML document in `text`, its templates unfilled. `path` is shown to the user.

    `rendered` says that the text came out of a whole-file template, and makes the hints say so. Raises
    `InvalidInput` with every mistake found.
    """
    if len(text) > MAX_BYTES:
        raise InvalidInput([too_large(path, f"the text has more than {MAX_BYTES // 1024 // 1024} MiB")])
    plain = blocks.read(text, MAX_EVENTS)
    if plain is not None:
        return Document(path=path, text=text, data=plain, rendered=rendered)
    return parse_events(text, path=path, rendered=rendered)


def parse_events(text: str, *, path: str, rendered: bool = False) -> Document:
    """The same by way of libyaml's events alone: all of YAML that is read, and every mistake."""
    if not text.isascii():  # libyaml refuses the ASCII ones itself, for free
        check_characters(text, path)
    builder = _Builder(path, text)
    data: Json = None
    try:
        data = builder.document()
    except _Stop as stop:
        builder.problems.append(stop.diagnostic)
    except yaml.reader.ReaderError:
        check_characters(text, path)
        raise
    except yaml.YAMLError as error:
        builder.problems.append(syntax_diagnostic(error, path=path, text=text))
    document = Document(path=path, text=text, data=data, rendered=rendered)
    if not builder.problems and _ESCAPE.search(text):
        builder.problems.extend(_escaped_characters(document, data, ()))
    if builder.problems:
        raise InvalidInput([_in_rendered_text(problem) for problem in builder.problems] if rendered else builder.problems)
    return document


def _escaped_characters(document: Document, value: Json, pointer: Pointer) -> Iterator[Diagnostic]:
    """The keys and strings in which an escape such as "\\0" makes a character that could not have been written."""
    message = "an escape in this string makes a character that cannot stand in a manifest"
    hint = "remove the escape; a backslash in double quotes is written \\\\"
    if isinstance(value, str) and not is_clean(value):
        yield Diagnostic(code="yaml-encoding", message=message, source=locate(document, pointer), hint=hint)
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and not is_clean(key):
                source = locate(document, (*pointer, key), key=True)
                yield Diagnostic(code="yaml-encoding", message=message, source=source, hint=hint)
            yield from _escaped_characters(document, item, (*pointer, key))


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Builder:
    """Builds the values of one document from its events, and collects what is wrong with them."""

    __slots__ = ("anchors", "events", "expanded", "path", "plain", "problems", "sizes", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        # The bound is enforced by `islice`, so that counting costs nothing.
        self.events: Iterator[Event] = islice(iter(CParser(text).get_event, None), MAX_EVENTS)
        self.problems: list[Diagnostic] = []
        self.plain: dict[str, Json] = {}  # what plain scalars that may be numbers or words resolved to
        self.anchors: dict[str, Json] = {}
        self.sizes: dict[int, tuple[Json, int]] = {}  # by id of an anchored value, which is kept alive here
        self.expanded = 0

    def document(self) -> Json:
        """The only document of the stream."""
        self._next()
        event = self._next()
        if not isinstance(event, DocumentStartEvent):
            self._stop("empty-file", "the file is empty", event, "`manifest-runner init` writes a manifest to start from")
        event = self._next()
        if isinstance(event, ScalarEvent) and not event.value and not event.style:
            self._stop("empty-file", "the file is empty", event, "`manifest-runner init` writes a manifest to start from")
        data = self._value(event, 1)
        self._next()
        event = self._next()
        if isinstance(event, DocumentStartEvent):
            self._stop("several-documents", "a second document begins here", event, "one manifest a file: remove the line ---")
        return data

    def _next(self) -> Event:
        event = next(self.events, None)
        if event is None:
            raise self._too_many()
        return event

    def _value(self, event: Event, depth: int) -> Json:
        """The value that begins with `event`."""
        kind = event.__class__
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is AliasEvent:
            return self._alias(event)
        if depth > MAX_DEPTH:
            self._stop("yaml-too-deep", f"more than {MAX_DEPTH} mappings and lists inside one another", event,
                       "close what is open, or write it flatter: a manifest needs six")
        if event.tag is not None:
            self._tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = _OPEN
        value = self._mapping(event, depth) if kind is MappingStartEvent else self._sequence(depth)
        if event.anchor is not None:
            self._anchor(event.anchor, value)
        return value

    def _mapping(self, start: Event, depth: int) -> dict[str, Json]:
        # The loop that every value of a manifest passes: plain attribute reads, no calls for an ordinary string.
        result: dict[str, Json] = {}
        keys: dict[str, Event] = {}  # where each key was written first
        events = self.events
        for event in events:
            if event.__class__ is not ScalarEvent:
                if event.__class__ is MappingEndEvent:
                    return result
                self._complex_key(event, start, depth)
                continue
            key = event.value
            if event.tag is not None or event.anchor is not None:
                self._scalar(event)
            if key == "<<" and not event.style:
                hint = "put shared values under defaults, or in a file for include"
                self._problem("merge-key", "merge keys (<<) are not read", event, hint)
            elif key in keys:
                self._duplicate(event, keys[key])
            else:
                keys[key] = event
            event = next(events, None)  # the value follows its key
            if event is None:
                break
            if event.__class__ is not ScalarEvent:
                result[key] = self._value(event, depth + 1)
            elif event.tag is not None or event.anchor is not None:
                result[key] = self._scalar(event)
            else:
                value = event.value
                result[key] = self._plain(event) if not event.style and value[:1] in _MAY_RESOLVE else value
        raise self._too_many()

    def _sequence(self, depth: int) -> list[Json]:
        result: list[Json] = []
        for event in self.events:
            if event.__class__ is SequenceEndEvent:
                return result
            result.append(self._value(event, depth + 1))
        raise self._too_many()

    def _scalar(self, event: Event) -> Json:
        """A scalar with everything that may hang on it."""
        if event.tag is not None:
            self._tag(event)
        value = self._plain(event) if not event.style and event.tag is None else event.value
        if event.anchor is not None:
            self._anchor(event.anchor, value)
        return value

    def _plain(self, event: Event) -> Json:
        """What a plain scalar resolves to. A bad number is a problem, and stands as its text."""
        text = event.value
        if text in self.plain:
            return self.plain[text]
        try:
            value = resolve(text)
        except ScalarError as error:
            self._problem(error.code, error.message, event, error.hint)
            return text
        self.plain[text] = value
        return value

    # ── anchors and aliases ──

    def _anchor(self, name: str, value: Json) -> None:
        self.anchors[name] = value
        if isinstance(value, dict | list):
            self.sizes[id(value)] = (value, self._size(value))

    def _size(self, value: Json) -> int:
        """Values inside `value`, itself included, as if every alias were written out."""
        size = 0
        todo = [value]
        while todo:
            item = todo.pop()
            known = self.sizes.get(id(item)) if isinstance(item, dict | list) else None
            size += known[1] if known else 1
            if known is None and isinstance(item, dict):
                todo.extend(item.values())
            elif known is None and isinstance(item, list):
                todo.extend(item)
        return size

    def _alias(self, event: Event) -> Json:
        name = event.anchor
        if name not in self.anchors:
            hint = f"set it before with &{name}, or put a value that begins with * in quotes"
            self._problem("yaml-alias", f"*{name} refers to an anchor that is not set", event, hint)
            return None
        value = self.anchors[name]
        if value is _OPEN:
            self._problem("yaml-alias", f"*{name} stands inside the value that it refers to", event, "write the value out")
            return None
        self.expanded += self._size(value)
        if self.expanded > MAX_EXPANDED:
            message = f"aliases stand for more than {MAX_EXPANDED:,} values"
            self._stop("yaml-alias", message, event, "put shared values under vars or defaults")
        return value

    # ── what is wrong ──

    def _complex_key(self, event: Event, start: Event, depth: int) -> None:
        """A key that is a mapping, a list or an alias. Both it and its value are read and dropped."""
        begin = start.start_mark
        if isinstance(event, MappingStartEvent) and self.text[begin.index : begin.index + 2] == "{{":
            end = self.text.find("}}", begin.index)
            template = self.text[begin.index : end + 2].replace("\n", " ") if 0 < end < begin.index + 200 else "{{ ... }}"
            self._problem("complex-key", "a template begins here without quotes", start, f'quote the whole value: "{template}"')
        else:
            hint = "put a key that begins with {, [ or * in quotes"
            self._problem("complex-key", "a key must be a word, not a mapping, a list or an alias", event, hint)
        self._value(event, depth + 1)
        self._value(self._next(), depth + 1)

    def _duplicate(self, event: Event, first: Event) -> None:
        message = f"the key {_short(event.value)} is written twice; the first is in line {first.start_mark.line + 1}"
        self._problem("duplicate-key", message, event, "remove or rename one of them")

    def _tag(self, event: Event) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        hint = "remove it, or put a value that begins with ! in quotes"
        self._problem("yaml-tag", f"the tag {_short(tag)} is not read", event, hint)

    def _problem(self, code: str, message: str, event: Event, hint: str | None) -> None:
        mark = event.start_mark
        where = Source(path=self.path, line=mark.line + 1, column=mark.column + 1)
        self.problems.append(Diagnostic(code=code, message=message, source=where, hint=hint))
        if len(self.problems) > MAX_PROBLEMS:
            raise _Stop(Diagnostic(code=code, message="and perhaps more: reading stopped here", source=where))

    def _stop(self, code: str, message: str, event: Event, hint: str | None) -> NoReturn:
        mark = event.start_mark
        where = Source(path=self.path, line=mark.line + 1, column=mark.column + 1)
        raise _Stop(Diagnostic(code=code, message=message, source=where, hint=hint))

    def _too_many(self) -> _Stop:
        return _Stop(too_large(self.path, f"the text has more than {MAX_EVENTS:,} values"))



def _in_rendered_text(problem: Diagnostic) -> Diagnostic:
    says = "line and column count in the text that the template rendered"
    return replace(problem, hint=f"{problem.hint}; {says}" if problem.hint else says)


def _short(text: str) -> str:
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'
