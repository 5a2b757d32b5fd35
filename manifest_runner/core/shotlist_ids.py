"""Which id each shot of a list gets.

The rule
- Names that are ids already (`SH0010`, `MON_010`) are kept.
- Numbers count in tens, so that shots can come between: 12 is SH0120. A letter stays behind its number: 12A is SH0120A. A list
  that counts in tens already is not counted again: 010, 020 are SH0010, SH0020.
- Where a number stands in several scenes, the scene comes first: SC012_SH0030. So it does where the list itself says 12-3.
- A list without numbers is counted: SH0010, SH0020 …
- Everything else is a question, and gets the next number that is free.

Laws: ids are unique, whatever their case, and can be file names; the same list gives the same ids.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from manifest_runner.core.rules import RESERVED
from manifest_runner.core.schema import NAME

_ID = re.compile(str(NAME["pattern"]))
_LONGEST = int(str(NAME["maxLength"]))
_CALLED = re.compile(r"(?:(?:shot|sh|slate|setup|set-up|einstellung|einst|plan|nummer|number|no|nr|n°)\b[\s.:#]*|#)(?=\w)",
                     re.IGNORECASE)
_SCENE_CALLED = re.compile(r"(?:(?:scene|sc|szene|sz|scène|bild)\b[\s.:#]*|#)(?=\w)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,6})(?:[.,]0)?\s*([A-Za-z]{0,3})")
_NUMBERED_SCENE = re.compile(r"(\d{1,6})(?:[.,]0)?\s*([A-Za-z]{0,2})(?:\s*[-–—:.,/]\s*\D.*)?", re.DOTALL)
_LETTERS = re.compile(r"[A-Za-z]{1,3}")
_IN_SCENE = re.compile(r"(\d{1,6}[A-Za-z]{0,2})\s*[-/._ ]\s*(\d{1,6})\s*([A-Za-z]{0,3})")
_LETTER_IN_SCENE = re.compile(r"(\d{1,6})\s*[-/._ ]\s*([A-Za-z]{1,2})")  # three are a month, of which spreadsheets make 1-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a list calls a shot. `own` is an id as `export` writes it; `has_number` says whether the list numbers shots at
    all."""

    own: str = ""
    number: str = ""
    scene: str = ""
    has_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The id of a shot, and what is doubtful about it."""

    id: str
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A number in its parts; `whole` is a name that stays as it is."""

    scene: str = ""
    number: int | None = None
    letters: str = ""
    whole: str = ""


def is_name(text: str) -> bool:
    """Whether a text can be an id as it is."""
    return _ID.match(text) is not None and len(text) <= _LONGEST and text.partition(".")[0].lower() not in RESERVED


def name_shots(shots: Sequence[Called]) -> list[Named]:
    """The id of each shot, in order."""
    parsed = [_parsed(shot) for shot in shots]
    times = 1 if _in_tens(shots, parsed) else 10
    repeated = any(n > 1 for n in Counter((part.scene, part.number, part.letters) for part in parsed if part and not part.whole)
                   .values())
    wanted = [_id(shot, part, times, with_scene=repeated) for shot, part in zip(shots, parsed, strict=True)]
    taken: set[str] = set()
    first: list[str | None] = []
    for name in wanted:  # whoever is first keeps a name; those that are numbered on must not take one from a later shot
        free = name is not None and name.lower() not in taken
        first.append(name if free else None)
        taken.add((name or "").lower())
    return _numbered_on(shots, wanted, first, taken)


def _numbered_on(shots: Sequence[Called], wanted: Sequence[str | None], first: Sequence[str | None],
                 taken: set[str]) -> list[Named]:
    named: list[Named] = []
    last, after = 0, dict[int, int]()
    for shot, want, name in zip(shots, wanted, first, strict=True):
        doubt = ""
        if name is None:
            last = _free(last // 10 * 10 + 10, taken, after)
            name = f"SH{last:04}"
            doubt = _doubt(shot, want)
        elif found := re.search(r"SH(\d{4,7})[A-Z]{0,3}\Z", name):
            last = int(found[1])
        taken.add(name.lower())
        named.append(Named(id=name, doubt=doubt))
    return named


def _free(start: int, taken: Collection[str], after: dict[int, int]) -> int:
    """The first number from `start` on that no shot has. `after` remembers how far it was looked, or a list of thousands would
    be walked through for each shot."""
    at, passed = start, []
    while f"sh{at:04}" in taken:
        passed.append(at)
        at = after.get(at, at + 10)
    after.update(dict.fromkeys(passed, at))
    return at


def _doubt(shot: Called, want: str | None) -> str:
    if not shot.has_number:
        return ""
    said = shot.own or shot.number
    if not said:
        return "the list has no number here: is it a shot of its own, or does it go on from the one before?"
    return "another shot of the list has that number" if want is not None else "that is no number of a shot"


def _parsed(shot: Called) -> _Parsed | None:
    if shot.own:
        return _Parsed(whole=shot.own) if is_name(shot.own) else None
    text = " ".join(shot.number.split())[:2 * _LONGEST]
    if called := _CALLED.match(text):
        text = text[called.end():]
    if found := _NUMBER.fullmatch(text):
        return _Parsed(number=int(found[1]), letters=found[2].upper())
    if found := _IN_SCENE.fullmatch(text):
        return _Parsed(scene=found[1], number=int(found[2]), letters=found[3].upper())
    if found := _LETTER_IN_SCENE.fullmatch(text):
        return _Parsed(scene=found[1], letters=found[2].upper())
    if _LETTERS.fullmatch(text):
        return _Parsed(letters=text.upper())
    if is_name(text) and re.search("[A-Za-z]", text) and re.search(r"\d", text):
        return _Parsed(whole=text)
    return None


def _in_tens(shots: Sequence[Called], parsed: Sequence[_Parsed | None]) -> bool:
    """Whether a list counts in tens already: all its numbers are such, and there are several, or one that is written so."""
    found = [(shot.number, part.number) for shot, part in zip(shots, parsed, strict=True) if part and part.number is not None]
    return all(number % 10 == 0 and number for _, number in found) and (
        len({number for _, number in found}) > 1 or any(text.strip().lstrip("#").startswith("0") for text, _ in found))


def _id(shot: Called, part: _Parsed | None, times: int, *, with_scene: bool) -> str | None:
    if part is None:
        return None
    if part.whole:
        return part.whole
    name = part.letters if part.number is None else f"SH{part.number * times:04}{part.letters}"
    scene = part.scene or (shot.scene if with_scene or part.number is None else "")
    if scene:
        code = _scene_code(scene)
        name = f"{code}_{name}" if code else ""
    elif part.number is None:
        name = f"SH{name}"
    return name if is_name(name) else None


def _scene_code(scene: str) -> str:
    """`12` is SC012, `12A` is SC012A, and so is `12A - Bridge`; a name becomes letters, digits and hyphens."""
    text = " ".join(scene.split())[:2 * _LONGEST]
    if called := _SCENE_CALLED.match(text):
        text = text[called.end():]
    if found := _NUMBERED_SCENE.fullmatch(text):
        return f"SC{int(found[1]):03}{found[2].upper()}"
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", folded).strip("-").upper()[:24].strip("-")
