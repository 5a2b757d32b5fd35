"""A shot list as it is kept today → the shots of a manifest, and what a person must still decide.

Laws
- What is doubtful is a question and never a value; every question belongs to a place of the manifest that is made.
- The manifest's own rules judge the result (`validation.judge`): whatever breaks one is taken out and asked about. So what
  comes out is valid, and stays so whatever a person does not answer.
- Nothing but `InvalidInput` comes out for what is no shot list at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from manifest_runner.core.model import Diagnostic, Json, Pointer, Severity
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.sheet import Row, Sheet, letters
from manifest_runner.core.shotlist_cells import cell_name
from manifest_runner.core.shotlist_columns import NUMBERED, SHOWS, Header, Role, find_header, score
from manifest_runner.core.shotlist_ids import Called, is_name, name_shots
from manifest_runner.core.shotlist_rows import Remark, RowReader, ShotRow
from manifest_runner.core.shotlist_shot import Draft, Picture, ShotReader
from manifest_runner.core.validation import judge
from manifest_runner.errors import InvalidInput

_ROUNDS = 20
"""How often what breaks a rule is taken out: one mistake may hide another, a circle of frames behind a circle."""

_SHARED = 2
"""Shots that must have a value in common before it is a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotList:
    """A list as it was read. `entries` are its rows in order; `above` are the cells above the header; `questions` are those
    that belong to no single shot; `left_out` are columns that have no place; `defaults` are what all shots have in common."""

    sheet: Sheet
    header: Header
    show: str
    sequence: str
    model: str
    entries: tuple[Draft | Remark, ...]
    above: tuple[str, ...]
    questions: tuple[str, ...]
    left_out: tuple[str, ...]
    defaults: Mapping[str, Json]

    @property
    def shots(self) -> list[Draft]:
        """The shots that the manifest has."""
        return [entry for entry in self.entries if isinstance(entry, Draft) and entry.is_whole]

    @property
    def asked(self) -> int:
        """How many questions there are."""
        return len(self.questions) + sum(len(entry.questions) if isinstance(entry, Draft) else entry.asks
                                         for entry in self.entries)


def header_score(card: ModelCard, rows: Sequence[Row]) -> int:
    """How much a header knows, by which the delimiter of a list is found."""
    return score(rows, _parameters(card))


def map_list(sheet: Sheet, card: ModelCard, *, picture: Picture, show: str | None = None, otherwise: str = "show") -> ShotList:
    """The shots of a list. `show` is the show's name; without it the list's own, or `otherwise`. Raises `InvalidInput`
    (`list-no-header`, `list-no-description`, `list-no-shots`)."""
    header = _header(sheet, card)
    reader = ShotReader(card, picture, decimal_comma=sheet.decimal_comma)
    entries = [reader.read(row) if isinstance(row, ShotRow) else row for row in RowReader(sheet, header)]
    drafts = [entry for entry in entries if isinstance(entry, Draft)]
    _name(drafts, header)
    questions = [f'is the column "{title}" the {role.value}? It is left out' for title, role in header.near.items()]
    named = show or _named(drafts, Role.SHOW, questions) or otherwise
    sequence = _named(drafts, Role.SEQUENCE, questions)
    _sift(sheet, drafts, card, {"version": 1, "show": named, "model": card.name})
    whole = [draft for draft in drafts if draft.is_whole]
    if not whole:
        raise _refused(sheet, sheet.rows[header.at], 0, "list-no-shots", "no row below this header says what its shot shows",
                       "fill the column that says it, and import the list again")
    above = tuple(" ".join(cell.split()) for row in sheet.rows[:header.at] for cell in row.cells if cell.strip())
    return ShotList(sheet=sheet, header=header, show=named, sequence=sequence, model=card.name, entries=tuple(entries),
                    above=above, questions=tuple(questions), left_out=_left_out(sheet, header),
                    defaults=_defaults(whole, card))


def _parameters(card: ModelCard) -> tuple[str, ...]:
    """The parameters of a model that have no column of another name."""
    return tuple(name for name in card.parameters if name not in ("prompt", card.price.quantity, card.price.by, "aspect_ratio"))


def _header(sheet: Sheet, card: ModelCard) -> Header:
    header = find_header(sheet.rows, _parameters(card))
    if header is None:
        raise _refused(sheet, sheet.rows[0], 0, "list-no-header", "no row names columns that a shot list has",
                       "name them in one row, such as: scene, shot, description, camera move, duration, notes")
    if not header.roles & set(SHOWS):
        near = next((title for title, role in header.near.items() if role in SHOWS), None)
        hint = f'is it "{near}"? ' if near else ""
        raise _refused(sheet, sheet.rows[header.at], 0, "list-no-description",
                       f"no column says what a shot shows; known here: {', '.join(column.title for column in header.columns)}",
                       f"{hint}call it description, action or prompt")
    return header


def _left_out(sheet: Sheet, header: Header) -> tuple[str, ...]:
    """The columns of which nothing is taken over: those that are not known, and those that say something below no title."""
    titles = sheet.rows[header.at].cells
    below = {index for row in sheet.rows[header.at + 1:] for index, cell in enumerate(row.cells) if cell.strip()}
    untitled = sorted(index for index in below if index >= len(titles) or not titles[index].strip())
    unknown = (title for title in header.unused if title not in header.near)
    return (*unknown, *(f"column {letters(index)}" for index in untitled))


def _refused(sheet: Sheet, row: Row, column: int, code: str, message: str, hint: str) -> InvalidInput:
    return InvalidInput([Diagnostic(code=code, message=message, source=sheet.place(row, column), hint=hint)],
                        texts={sheet.path: sheet.lines})


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _name(drafts: Sequence[Draft], header: Header) -> None:
    """Give the shots their ids, and translate the list's own numbers where a frame names one."""
    role = next((role for role in NUMBERED if role in header.roles), None)
    called = []
    for draft in drafts:
        is_own = role is Role.SHOT_ID
        own = next((cell.text.strip() for cell in draft.source.of(Role.SHOT_ID)), "")
        number = own if is_own else draft.source.text(role).strip() if role is not None else ""
        called.append(Called(own=number if is_own else "", number="" if is_own else number, scene=draft.source.scene,
                             has_number=role is not None))
    numbers: dict[str, list[str]] = {}
    for draft, name, call in zip(drafts, name_shots(called), called, strict=True):
        draft.id = name.id
        if name.doubt:
            said = call.own or call.number
            draft.ask("id", f'shot is "{said}": {name.doubt}' if said else name.doubt)
        numbers.setdefault(call.number.casefold(), []).append(name.id)
    ids = {draft.id for draft in drafts}
    for draft in drafts:
        for key in ("first_frame", "last_frame"):
            value = draft.keys.get(key)
            if isinstance(value, dict) and value["shot"] not in ids:
                same = numbers.get(str(value["shot"]).casefold(), [])
                draft.keys[key] = {**value, "shot": same[0]} if len(same) == 1 else value


def _named(drafts: Sequence[Draft], role: Role, questions: list[str]) -> str:
    """The one name that a column gives; where it gives several, or none that can be one, that is asked."""
    given = (next(filter(None, (cell_name(cell.text) for cell in draft.source.of(role))), "") for draft in drafts)
    names = list(dict.fromkeys(filter(None, given)))
    if len(names) == 1 and is_name(names[0]):
        return names[0]
    if names:
        said = ", ".join(f'"{name}"' for name in names[:3]) + (" …" if len(names) > 3 else "")
        questions.append(f"the {role.value} is {said}: a manifest has one, of letters, digits, . _ and -")
    return ""


# ── the manifest's own rules ──────────────────────────────────────────────────────────────────────────────────────────


def _sift(sheet: Sheet, drafts: Sequence[Draft], card: ModelCard, top: Mapping[str, Json]) -> None:
    """Take out what breaks a rule of manifests, and ask about it."""
    for _ in range(_ROUNDS):
        whole = [draft for draft in drafts if draft.is_whole]
        shots = [{"id": draft.id, **draft.keys} for draft in whole]
        wrong = [found for found in judge({**top, "shots": shots}, card) if found.severity is Severity.ERROR] if shots else []
        if not wrong:
            return
        for found in wrong:
            _take_out(sheet, whole, found.pointer, found.message)
    raise _refused(sheet, drafts[0].source.row, 0, "list-not-a-manifest", "too much of this list breaks the rules of manifests",
                   "split it into several lists")


def _take_out(sheet: Sheet, whole: Sequence[Draft], pointer: Pointer, message: str) -> None:
    if pointer[:1] != ("shots",) or len(pointer) < 3:
        raise _refused(sheet, whole[0].source.row, 0, "list-not-a-manifest", message, "split it into several lists")
    draft, key = whole[int(pointer[1])], str(pointer[2])
    value = draft.keys.pop(key, None)
    if value is not None:  # one key may break several rules
        words = draft.words.pop(key, "")
        draft.said.pop(key, None)
        draft.ask(key, f"{words}: {message}" if words else message, value)


def _defaults(whole: Sequence[Draft], card: ModelCard) -> dict[str, Json]:
    """What all shots have in common of the model's parameters, taken out of the shots."""
    found: dict[str, Json] = {}
    for key in card.parameters:
        values = [draft.keys.get(key) for draft in whole]
        if key == "prompt" or len(whole) < _SHARED or values[0] is None or any(value != values[0] for value in values):
            continue
        found[key] = values[0]
        for draft in whole:
            del draft.keys[key]
    return found
