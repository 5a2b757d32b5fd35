"""A shot list that was read → the text of a manifest, as a person would have written it, with its questions.

Laws
- A cell's text is only ever a quoted scalar or a comment of one line: it adds no key, no shot and no template. `written` of any
  text is read back as exactly that text, by YAML and by Jinja.
- The text is laid out as `fmt` lays manifests out, and has nothing in it that a reader would not see.
- The same list gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from manifest_runner.core.formatting import SHOT
from manifest_runner.core.model import Json
from manifest_runner.core.scalars import ScalarError, resolve
from manifest_runner.core.sheet import DELIMITERS
from manifest_runner.core.shotlist import ShotList
from manifest_runner.core.shotlist_rows import Remark, quoted
from manifest_runner.core.shotlist_shot import Draft
from manifest_runner.core.templating import has_template

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_RATIO = re.compile(r"[0-9]+:[0-9]+")
_ACTED_ON = re.compile(r"\{[{%#]|\{(?=\r)|\r\n?")
_ESCAPED = {"\r": "\\r", "\r\n": "\\r\\n"}
_COLUMN = 50
"""Where the comment behind an id begins."""


def manifest_text(found: ShotList, *, schema: str = "") -> str:
    """The manifest. `schema` is where its JSON Schema lies, for editors, as seen from it."""
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += _head(found)
    lines += ["version: 1", f"show: {written(found.show)}"]
    lines += [f"sequence: {written(found.sequence)}"] if found.sequence else []
    lines += [f"model: {written(found.model)}"]
    if found.defaults:
        lines += ["defaults:", *(f"  {key}: {written(value)}" for key, value in found.defaults.items())]
    lines.append("shots:")
    scene = ""
    for entry in found.entries:
        if isinstance(entry, Remark):
            lines.append(_comment(f"{'QUESTION: ' if entry.asks else ''}{_origin(found, entry)}: {entry.words}", 2))
            continue
        if entry.source.scene != scene:
            scene = entry.source.scene
            lines += ["", _comment(f"── {_scene(entry)} ──", 2)]
        lines += _shot(found, entry)
    return "\n".join(_without_double_gaps(lines)) + "\n"


def _head(found: ShotList) -> Iterator[str]:
    """Where the manifest comes from, how that was read, and what is not in it."""
    sheet = found.sheet
    line = sheet.rows[found.header.at].line
    yield _comment(f"Imported from {_name(found)}: {sheet.encoding}, {DELIMITERS[sheet.delimiter]}, the header in line {line}. "
                   "A comment behind a shot names its line.")
    if found.above:
        yield _comment(f"Above the header: {quoted(list(found.above))}")
    if found.left_out:
        yield _comment(f"No place in a manifest, and left out: {quoted(list(found.left_out))}")
    for question in found.questions:
        yield _comment(f"QUESTION: {question}")


def _name(found: ShotList) -> str:
    return found.sheet.path.replace("\\", "/").rpartition("/")[2]


def _origin(found: ShotList, entry: Draft | Remark) -> str:
    """`shots.csv:7`, and the row where a spreadsheet counts another number."""
    row = entry.row if isinstance(entry, Remark) else entry.source.row
    return f"{_name(found)}:{row.line}" + (f", row {row.number}" if row.number != row.line else "")


def _scene(draft: Draft) -> str:
    scene = draft.source.scene
    return f"scene {scene}" if re.match(r"\d", scene) else scene


# ── one shot ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shot(found: ShotList, draft: Draft) -> Iterator[str]:
    origin = _origin(found, draft)
    source = draft.source
    if source.scene and source.scene_line != source.row.line:
        origin += f", scene of line {source.scene_line}"
    lines = [_commented(f"id: {written(draft.id)}", origin), *_asked(draft, "id")]
    places = {key: number for number, key in enumerate(SHOT)}
    keys = dict.fromkeys([*draft.keys, *(question.key for question in draft.questions)])
    for key in sorted(keys, key=lambda key: places.get(key, places["*"])):
        if key in draft.keys:
            value = draft.keys[key]
            entry = f"{key}: {_prose(value) if key in ('prompt', 'note') else written(value)}"
            lines += _commented(entry, json.dumps(draft.said[key], ensure_ascii=False) if key in draft.said else "").split("\n")
        if key != "id":
            lines += _asked(draft, key)
    for number, line in enumerate(lines):
        start = "- " if number == 0 else "  "
        if draft.is_whole:
            yield f"  {start}{line}"
        else:  # all of it is a comment, until the list says more
            yield f"  {line}" if line.startswith("#") else f"  # {start}{line}"


def _asked(draft: Draft, key: str) -> list[str]:
    """The questions of a key, each with what it may be."""
    lines = []
    for question in draft.questions:
        if question.key == key:
            lines.append(_comment(f"QUESTION: {question.words}"))
            if question.suggestion is not None:
                lines.append(_comment(f"{key}: {written(question.suggestion)}"))
    return lines


def _commented(entry: str, comment: str) -> str:
    return f"{entry.ljust(_COLUMN - 4)}  {_comment(comment)}" if comment else entry


def _comment(words: str, indent: int = 0) -> str:
    """One line that no reader of YAML looks into, whatever the words are."""
    if not words.isprintable():
        words = "".join(character if character.isprintable() else f"\\u{{{ord(character):x}}}" for character in words)
    return f"{' ' * indent}# {words}"


def _without_double_gaps(lines: list[str]) -> list[str]:
    """No blank line at the beginning of the list, nor two together."""
    return [line for number, line in enumerate(lines) if line or (lines[number - 1] and lines[number - 1] != "shots:")]


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def written(value: Json) -> str:
    """A value as it stands behind a key: quoted where it could be taken for anything else, in one line."""
    if isinstance(value, str):
        return value if _is_plain(value) else quoted_scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(key)}: {written(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, allow_nan=False)


def _is_plain(text: str) -> bool:
    """Whether a text is itself without quotes: no number, no word of YAML's, nothing that begins something."""
    if _RATIO.fullmatch(text):
        return True
    try:
        return _WORD.fullmatch(text) is not None and resolve(text) == text
    except ScalarError:
        return False


def quoted_scalar(text: str) -> str:
    """A text in double quotes: what JSON writes there, YAML reads."""
    return json.dumps(as_template(text), ensure_ascii=False)


def as_template(text: str) -> str:
    """The template that yields exactly this text. Jinja makes one kind of line end of all, and these are kept from it too."""
    if not has_template(text):
        return text
    return _ACTED_ON.sub(lambda found: f"{{{{ '{_ESCAPED.get(found.group(), found.group())}' }}}}", text)


def _prose(text: str) -> str:
    """A text for people: several plain lines as a literal block, everything else in quotes."""
    lines = text.split("\n")
    plain = all(line and line.isprintable() and line == line.strip() and "{" not in line and line[0] != "#" for line in lines)
    return "\n".join(["|-", *(f"  {line}" for line in lines)]) if plain and len(lines) > 1 else quoted_scalar(text)
