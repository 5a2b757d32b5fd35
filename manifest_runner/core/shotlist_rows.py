"""The rows of a list, told apart: shots, the headings of scenes, totals, and what may be anything.

Laws
- Merged cells leave their value in the first row of a group: a scene holds until another one comes, and so does where and when
  it plays. Nothing else is ever taken from the row above.
- A row that is neither a shot nor a heading is never dropped without a word: it stands in the result as a remark. Only the
  header itself, printed again on each page, does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from manifest_runner.core.sheet import Row, Sheet, unguarded
from manifest_runner.core.shotlist_cells import is_blank, is_open, number, seconds
from manifest_runner.core.shotlist_columns import NUMBERED, SHOWS, Column, Header, Role
from manifest_runner.core.visible import NOT_CLEAN

PLACE = (Role.INT_EXT, Role.LOCATION, Role.TIME_OF_DAY)
"""What a scene says of all its shots."""

_BREAK = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_OF_SHOTS = (*SHOWS, *NUMBERED, Role.SIZE, Role.CAMERA)
"""Where a cell stands that makes its row a shot."""

_TOTAL = re.compile(r"(?:(?:grand|sub)[ -]?)?(?:totals?|sum|summe|gesamt|gesamtdauer|gesamtlänge|laufzeit|running time|trt|"
                    r"durée totale|suma)(?: (?:duration|length|time|running time|runtime|shots|secs|seconds|sekunden|dauer))?"
                    r"(?: \(?[\w:]{1,8}\)?)?\s*:?\s*(?:\d[\d:.,]*\s*(?:s|secs?|sek|min|h)?\.?)?", re.IGNORECASE)
_LONGEST_TOTAL = 60
_SCENE = re.compile(r"(?:scene|sc|szene|scène|escena)\b[\s.:#]*(?P<scene>\d+[a-z]{0,2})\b[\s.:–—-]*(?P<place>.*)",
                    re.IGNORECASE | re.DOTALL)
_SLUG = re.compile(r"(?:(?P<scene>\d+[a-z]{0,2})[\s.:–—-]+)?"
                   r"(?P<place>(?:int|ext|i/e|e/i|int/ext|ext/int|innen|aussen|außen|i/a)\b[\s./].*)",
                   re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell that says something, without the apostrophe of a guarded one and without what cannot be seen."""

    column: Column
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRow:
    """A row that is a shot. `scene` holds for it; `scene_line` is where that was said, `place` what the scene says of all;
    `unseen` are characters that stood in its cells and that no manifest may hold."""

    row: Row
    cells: tuple[Cell, ...]
    unseen: tuple[str, ...] = ()
    scene: str = ""
    scene_line: int = 0
    place: Mapping[Role, str] = field(default_factory=dict)

    def of(self, *roles: Role) -> list[Cell]:
        return [cell for cell in self.cells if cell.column.role in roles]

    def text(self, role: Role) -> str:
        """The first cell of a role; empty where it says nothing."""
        return next((cell.text for cell in self.of(role) if not is_blank(cell.text)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A row that is no shot, and why; `asks` where that is not certain."""

    row: Row
    words: str
    asks: bool = False


class RowReader:
    """Tells the rows below a header apart, in order."""

    def __init__(self, sheet: Sheet, header: Header) -> None:
        self._sheet = sheet
        self._header = header
        self._titles = tuple(map(str.strip, sheet.rows[header.at].cells))
        self._scene, self._line, self._place = "", 0, dict[Role, str]()
        self._headed = False  # a heading stands right above, and says where the scene plays that its first shot names
        self._sum = 0.0

    def __iter__(self) -> Iterator[ShotRow | Remark]:
        for row in self._sheet.rows[self._header.at + 1:]:
            found = self._one(row)
            if found is not None:
                yield found

    def _one(self, row: Row) -> ShotRow | Remark | None:
        if tuple(map(str.strip, row.cells)) == self._titles:  # each printed page begins with it
            return None
        texts = [_visible(unguarded(cell)) for cell in row.cells]
        cells = tuple(Cell(column=column, text=texts[column.index]) for column in self._header.columns
                      if column.index < len(texts) and texts[column.index].strip())
        filled = [text.strip() for text in texts if text.strip()]
        if not filled:
            return None
        if self._is_total(cells, filled):
            return Remark(row=row, words=f"a total, and no shot: {quoted(filled)}")
        if len(filled) == 1 and not any(cell.column.role in SHOWS for cell in cells) and self._heading(filled[0], row):
            return None
        shot = self._shot(row, cells)
        if len(filled) == len(cells) and all(cell.column.role in (Role.SCENE, *PLACE) for cell in cells):
            return None  # the first row of a group, with nothing but what the group has in common
        if not any(cell.column.role is Role.SHOT_ID or (cell.column.role in _OF_SHOTS and not is_blank(cell.text))
                   for cell in cells):
            return Remark(row=row, words=f"is this a shot? It says only {quoted(filled)}", asks=True)
        self._sum += sum(self._seconds(cell.text) or 0 for cell in cells if cell.column.role is Role.DURATION)
        return shot

    def _heading(self, text: str, row: Row) -> bool:
        """Whether a row is the heading of a scene, which then holds for the rows below it."""
        found = _SCENE.fullmatch(text) or _SLUG.fullmatch(text)
        if found is None:
            return False
        place = " ".join(found["place"].split())
        self._scene, self._line = found["scene"] or place, row.line
        self._place, self._headed = ({Role.LOCATION: place} if place else {}), True
        return True

    def _shot(self, row: Row, cells: tuple[Cell, ...]) -> ShotRow:
        shot = ShotRow(row=row, cells=cells, unseen=_unseen(row))
        scene = " ".join(shot.text(Role.SCENE).split())
        if scene and scene != self._scene:
            self._scene, self._line, self._place = scene, row.line, self._place if self._headed else {}
        self._headed = False
        here = {role: text for role in PLACE if (text := " ".join(shot.text(role).split())) and not is_open(text)}
        if not self._scene:
            return replace(shot, place=here)
        if Role.LOCATION in here and here[Role.LOCATION] != self._place.get(Role.LOCATION):
            self._place = here  # another place in the same scene: nothing of the old one holds on
        self._place = {**self._place, **here}
        return replace(shot, scene=self._scene, scene_line=self._line, place=self._place)

    def _is_total(self, cells: tuple[Cell, ...], filled: list[str]) -> bool:
        """Whether a row adds up what stands above it: it says so, or says nothing but that sum."""
        if any(_says_total(text) for text in filled):
            return all(_says_total(text) or self._is_number(text) for text in filled)
        lengths = [cell for cell in cells if cell.column.role is Role.DURATION]
        return len(filled) == len(lengths) == 1 and self._sum > 0 and self._seconds(lengths[0].text) == self._sum

    def _is_number(self, text: str) -> bool:
        return self._seconds(text) is not None or not number(text).doubt or is_blank(text)

    def _seconds(self, text: str) -> float | None:
        found = seconds(text, decimal_comma=self._sheet.decimal_comma)
        return None if found.doubt else found.value


def _visible(text: str) -> str:
    """A text less what no manifest may hold; what breaks a line in some programs is a line feed."""
    return text if text.isprintable() else re.sub(NOT_CLEAN, "", _BREAK.sub("\n", text))


def _unseen(row: Row) -> tuple[str, ...]:
    """The characters that `_visible` leaves out of a row."""
    odd = [_BREAK.sub("", cell) for cell in row.cells if not cell.isprintable()]
    return tuple(sorted({character for cell in odd for character in re.findall(NOT_CLEAN, cell)}))


def _says_total(text: str) -> bool:
    return len(text) <= _LONGEST_TOTAL and _TOTAL.fullmatch(" ".join(text.split())) is not None


def quoted(texts: list[str]) -> str:
    """Words of a list, each in quotes."""
    return ", ".join(f'"{text}"' for text in texts[:6]) + (" …" if len(texts) > 6 else "")
