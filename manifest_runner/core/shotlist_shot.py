"""One row of a list → the keys of one shot, with a question for each cell that is in doubt.

The rule of texts
- What a camera sees is the prompt, in the list's own words: size, angle and lens; where and when it plays; description and
  action.
- What it does not see is the note: dialogue, sound, cast, other numbers, remarks. A note is never sent.
- Columns that bear a manifest's own names (`prompt`, `note`, the model's parameters) are taken over letter by letter; where a
  row has a prompt, everything else that a camera sees belongs to the note.

Law: a cell in doubt gives no key. Its question holds the cell's own words, and what it may mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from manifest_runner.core.model import Json
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.rules import ADDRESS
from manifest_runner.core.shotlist_camera import camera
from manifest_runner.core.shotlist_cells import (
    NO_NUMBER,
    Reading,
    aspect,
    count,
    frame,
    is_blank,
    is_open,
    number,
    resolution,
    seconds,
    within,
)
from manifest_runner.core.shotlist_columns import NUMBERED, Role
from manifest_runner.core.shotlist_rows import PLACE, Cell, ShotRow

Picture = Callable[[str], "tuple[str, str]"]
"""Where a picture that a list names lies from the manifest's folder, and why it cannot be used (empty where it can)."""

_QUOTED = 300
_BREAK = re.compile("\r\n|[\r\n]")
_BLANKS = re.compile("[ \t\u00a0]+")
_END = tuple(".!?…:;,–—\"”’»)")
_LETTERS = {(Role.INT_EXT, "i"): "INT", (Role.INT_EXT, "e"): "EXT", (Role.INT_EXT, "i/e"): "INT/EXT",
            (Role.INT_EXT, "a"): "AUSSEN", (Role.TIME_OF_DAY, "d"): "DAY", (Role.TIME_OF_DAY, "n"): "NIGHT",
            (Role.TIME_OF_DAY, "t"): "TAG"}
_LABELS = {Role.SLATE: "Slate", Role.SETUP: "Setup", Role.DIALOGUE: "Dialogue", Role.SOUND: "Sound", Role.CAST: "Cast"}
_SEEN = {Role.SIZE: "Size", Role.ANGLE: "Angle", Role.LENS: "Lens", Role.INT_EXT: "Int/ext", Role.LOCATION: "Location",
         Role.TIME_OF_DAY: "Time of day", Role.DESCRIPTION: "Description", Role.ACTION: "Action"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person must decide: `key` is where it belongs, `suggestion` what may stand there."""

    key: str
    words: str
    suggestion: Json = None


@dataclass(slots=True, kw_only=True)
class Draft:
    """A shot on its way. `keys` are a manifest's; `words` are the cells that they came from, for a question; `said` are the
    list's words for a value that drops some of them."""

    source: ShotRow
    id: str = ""
    keys: dict[str, Json] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether the list says what the shot shows. Without that it stands in the manifest as a comment."""
        return "prompt" in self.keys

    def ask(self, key: str, words: str, suggestion: Json = None) -> None:
        self.questions.append(Question(key=key, words=words, suggestion=suggestion))


class ShotReader:
    """Reads rows for one model."""

    def __init__(self, card: ModelCard, picture: Picture, *, decimal_comma: bool) -> None:
        self._card = card
        self._picture = picture
        self._comma = decimal_comma
        size = card.parameters.get(card.price.by, {}).get("enum", ())
        self._values: dict[Role, tuple[str, Callable[[str], Reading]]] = {
            Role.CAMERA: ("camera", lambda text: camera(text, card)),
            Role.DURATION: (card.price.quantity, self._length),
            Role.TAKES: ("takes", count), Role.CIRCLED: ("circled", count),
            Role.ASPECT: (card.clip.aspect_ratio if card.clip else "aspect_ratio", aspect),
            Role.RESOLUTION: (card.price.by, lambda text: resolution(text, tuple(size))),
            Role.FIRST_FRAME: ("first_frame", self._frame), Role.LAST_FRAME: ("last_frame", self._frame),
            Role.CUT_IN: ("cut", self._seconds), Role.CUT_OUT: ("cut", self._seconds),
        }

    def read(self, row: ShotRow) -> Draft:
        """The shot of a row, still without an id."""
        draft = Draft(source=row)
        if row.unseen:
            codes = ", ".join(f"U+{ord(character):04X}" for character in row.unseen[:5])
            draft.ask("id", f"the row holds characters that cannot be seen ({codes}): they are left out")
        note = self._note(draft, row)
        prompt = self._prompt(draft, row)
        if note:
            draft.keys["note"] = note
        if prompt:
            draft.keys["prompt"] = prompt
        for role in self._values:
            self._value(draft, role)
        for cell in row.of(Role.TAKE):
            self._take(draft, cell)
        for cell in row.of(Role.REFERENCE):
            self._reference(draft, cell)
        for cell in row.of(Role.PARAMETER):
            self._parameter(draft, cell)
        return draft

    # ── texts ──

    def _prompt(self, draft: Draft, row: ShotRow) -> str:
        own = row.of(Role.PROMPT)
        if any(is_open(cell.text) for cell in own):
            draft.ask("prompt", f"{_is(own[0])}: to be decided")
            return ""
        if own:
            return "".join(cell.text for cell in own)
        shows = [text for role in (Role.DESCRIPTION, Role.ACTION) for text in self._texts(draft, "prompt", role)]
        if not shows:
            if not any(question.key == "prompt" for question in draft.questions):
                draft.ask("prompt", "the list does not say what this shot shows")
            return ""
        lens = [f"{text} mm lens" if re.fullmatch(r"\d+(?:[.,]\d+)?", text) else text
                for text in self._texts(draft, "prompt", Role.LENS)]
        for cell in row.of(*PLACE):
            if is_open(cell.text):
                draft.ask("prompt", f"{_is(cell)}: to be decided")
        look = [*self._texts(draft, "prompt", Role.SIZE), *self._texts(draft, "prompt", Role.ANGLE), *lens]
        return " ".join(map(_sentence, filter(None, (", ".join(look), _place(row), *shows))))

    def _note(self, draft: Draft, row: ShotRow) -> str:
        own = [cell.text for cell in row.of(Role.NOTE)]
        parts = []
        if row.of(Role.PROMPT):
            parts += [f"{label}: {text}" for role, label in _SEEN.items() for text in self._texts(draft, "note", role)]
        counted = next((role for role in NUMBERED if row.of(role)), None)
        parts += [f"{label}: {text}" for role, label in _LABELS.items() if role is not counted
                  for text in self._texts(draft, "note", role)]
        parts += self._texts(draft, "note", Role.NOTES, lines=True)
        return "\n".join([*parts, *own])

    def _texts(self, draft: Draft, key: str, role: Role, *, lines: bool = False) -> list[str]:
        """What the cells of a role say, in order and without spaces that nobody sees; those still to be decided are asked
        for."""
        found = []
        for cell in draft.source.of(role):
            if is_open(cell.text):
                draft.ask(key, f"{_is(cell)}: to be decided")
                continue
            kept = [line for part in _BREAK.split(cell.text) if (line := _BLANKS.sub(" ", part).strip())]
            if kept and not is_blank(" ".join(kept)):
                found.append(("\n" if lines else " ").join(kept))
        return found

    # ── values ──

    def _value(self, draft: Draft, role: Role) -> None:
        """The key of a role: the first cell that says something; another one that says something else is a doubt."""
        key, read = self._values[role]
        cells = [cell for cell in draft.source.of(role) if not is_blank(cell.text)]
        if not cells:
            return
        reading = read(cells[0].text) if not is_open(cells[0].text) else Reading(doubt="to be decided")
        others = [cell for cell in cells[1:] if read(cell.text).value != reading.value]
        if others and not reading.doubt:
            reading = Reading(doubt=f"and {_is(others[0])}", suggestion=reading.value)
        if reading.doubt:
            self._doubt(draft, key, role, cells[0], reading)
        elif role in (Role.CUT_IN, Role.CUT_OUT):
            draft.keys["cut"] = {**draft.keys.get("cut", {}), role.value.removeprefix("cut "): reading.value}
        elif (role, reading.value) != (Role.TAKES, 1):  # one take is what a manifest means where it says nothing
            draft.keys[key] = reading.value
            if reading.said:
                draft.said[key] = reading.said
        draft.words[key] = _is(cells[0])

    def _doubt(self, draft: Draft, key: str, role: Role, cell: Cell, reading: Reading) -> None:
        suggestion = reading.suggestion
        if suggestion is not None and role in (Role.CUT_IN, Role.CUT_OUT):
            suggestion = {role.value.removeprefix("cut "): suggestion}
        default = self._card.defaults.get(key)
        until = f". Until you say, it is {default}" if default is not None else ""
        draft.ask(key, f"{_is(cell)}: {reading.doubt}{until}", suggestion)

    def _seconds(self, text: str) -> Reading:
        """A length; a plain number is one in seconds."""
        plain = number(text, decimal_comma=self._comma)
        return seconds(text, decimal_comma=self._comma) if plain.doubt == NO_NUMBER else plain

    def _length(self, text: str) -> Reading:
        return within(self._seconds(text), self._card.parameters[self._card.price.quantity], "seconds")

    def _frame(self, text: str) -> Reading:
        value = frame(text)
        if isinstance(value, dict) or ADDRESS.match(text.strip()):
            return Reading(value=value.strip() if isinstance(value, str) else value)
        path, doubt = self._picture(text.strip())
        return Reading(doubt=doubt, suggestion=path or None) if doubt else Reading(value=path)

    def _take(self, draft: Draft, cell: Cell) -> None:
        """A column that is called `take` may count takes, or name one."""
        found = count(cell.text)
        if not is_blank(cell.text) and found.value != 1:
            draft.ask("takes", f"{_is(cell)}: is that how many takes, or which one?", found.value)

    def _reference(self, draft: Draft, cell: Cell) -> None:
        """A picture to look at is not the picture that a clip begins with."""
        if not is_blank(cell.text):
            reading = self._frame(cell.text)
            draft.ask("first_frame", f"{_is(cell)}: does the shot begin with that picture?",
                      reading.value if not reading.doubt else reading.suggestion)

    def _parameter(self, draft: Draft, cell: Cell) -> None:
        name = cell.column.parameter
        if self._card.parameters[name].get("type") == "string":
            draft.keys[name] = cell.text
        elif not is_blank(cell.text):
            reading = within(number(cell.text, decimal_comma=self._comma), self._card.parameters[name])
            if reading.doubt:
                self._doubt(draft, name, cell.column.role, cell, reading)
            else:
                draft.keys[name] = reading.value


def _place(row: ShotRow) -> str:
    """`EXT. BRIDGE, DUSK`, in the list's own words but for those of one letter."""
    inside, where, when = (_LETTERS.get((role, said.casefold()), said) for role in PLACE for said in [row.place.get(role, "")])
    if is_blank(inside) or where.casefold().startswith(inside.casefold().rstrip(".")):
        inside = ""
    if inside and not is_blank(where) and not inside.endswith("."):
        inside += "."
    parts = [" ".join(filter(None, (inside, "" if is_blank(where) else where))), "" if is_blank(when) else when]
    return ", ".join(filter(None, parts))


def _sentence(text: str) -> str:
    return text if text.endswith(_END) else f"{text}."


def _is(cell: Cell) -> str:
    """A cell in a question: its column and all that it says, on one line, unless that is a story."""
    line = " ".join(cell.text.split())
    return f'{cell.column.title} is "{line if len(line) <= _QUOTED else line[:_QUOTED - 1] + "…"}"'
