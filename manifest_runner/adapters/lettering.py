"""Words on pictures: cards before shots, burn-ins, contact sheets.

Laws
- No empty boxes: a letter that the first font does not have is drawn in another font of this machine; one that no font has is
  drawn without its accent or else as an ellipsis, and is remembered in `missing`, so that whoever asked can be told.
- A text is drawn in one font where one has all of it. Latin text without accents comes out the same on every machine: the
  first font comes with Pillow.
- What has no shape of its own (controls, overrides of the direction) is not drawn; right-to-left scripts run as they should
  where Pillow has libraqm, as its wheels do.
"""

from __future__ import annotations

import hashlib
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from manifest_runner.errors import MissingExtra, UsageError

try:
    import PIL
    from PIL import ImageDraw, ImageFont
except ImportError as missing:
    raise MissingExtra("video", "lettering a picture") from missing

Ink: TypeAlias = int | tuple[int, int, int]

BUILT_IN = Path()
"""Stands for the font that comes with Pillow."""

_SUFFIXES = (".ttf", ".otf", ".ttc")
_MOST_FONTS = 2000
"""Files of fonts that are looked at; a machine of a graphic designer's has more, and most of them for headlines."""

_PREFERRED = ("NotoSans-Regular", "DejaVuSans", "Arial", "Helvetica", "ArialUnicode", "Arial Unicode", "segoeui")
_CJK = ("NotoSansCJK-Regular", "PingFang", "Hiragino Sans GB", "msyh", "YuGothR", "malgun", "AppleSDGothicNeo")
_PLAIN = str.maketrans({"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x", "…": "..."})
_RTL = ("R", "AL")
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class _Run:
    """Letters of one font, in the order in which they are spoken."""

    text: str
    font: Path
    leftward: bool


class Lettering:
    """Draws text with the fonts at `fonts`, then the built-in one, then those of this machine. Raises `UsageError` for a file
    that is no font. One object is used by one thread at a time."""

    def __init__(self, fonts: Sequence[Path] = ()) -> None:
        self._chosen = [*fonts, BUILT_IN]
        self.missing: set[str] = set()
        for path in fonts:
            try:
                _font(path, 16)
            except OSError as error:
                raise UsageError(f"{path} is no font that can be read", code="font",
                                 hint="a TrueType or OpenType file: .ttf, .otf or .ttc") from error

    def identity(self, text: str) -> str:
        """A text that is another one where `text` would be drawn otherwise: by other fonts, or by another library."""
        runs = self._runs(text)
        return "|".join([PIL.__version__, *(f"{run.text}\0{_digest(run.font)}" for run in runs)])

    def length(self, text: str, size: int) -> float:
        """How wide the text is in pixels, in type of `size` pixels."""
        return sum(_font(run.font, size).getlength(run.text) for run in self._runs(text))

    def draw(self, pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, ink: Ink, *,
             anchor: str = "l") -> float:
        """Draw one line with its baseline at `at`, which is its left end, its middle (`m`) or its right end (`r`); returns how
        wide it is."""
        runs = self._runs(text)
        widths = [_font(run.font, size).getlength(run.text) for run in runs]
        x = at[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * sum(widths)
        if runs and runs[0].leftward:
            runs, widths = runs[::-1], widths[::-1]
        for run, width in zip(runs, widths, strict=True):
            pen.text((x, at[1]), run.text, font=_font(run.font, size), fill=ink, anchor="ls")
            x += width
        return sum(widths)

    def shortened(self, text: str, size: int, width: float) -> str:
        """As much of the text as fits, with an ellipsis where something is left out; nothing where not even that fits."""
        if self.length(text, size) <= width:
            return text
        if self.length("…", size) > width:
            return ""
        low, high = 0, min(len(text), 4 * round(width))  # a letter is wider than a quarter of a pixel
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.length(text[:middle].rstrip() + "…", size) <= width else (low, middle - 1)
        return text[:low].rstrip() + "…"

    def elided(self, text: str, size: int, width: float) -> str:
        """A name that fits, with an ellipsis in its middle: where names of one matrix differ is at their end."""
        keep = len(text)
        while keep > 2 and self.length(text, size) > width:
            keep -= 1
            text = f"{text[:keep - keep // 2]}…{text[len(text) - keep // 2:]}"
        return self.shortened(text, size, width)

    def wrapped(self, text: str, size: int, width: float, rows: int) -> list[str]:
        """The first `rows` lines of the text, broken at spaces; the last ends in an ellipsis where there is more."""
        lines: list[str] = []
        rest = visible(text).split()
        while rest and len(lines) < rows:
            count = 1
            while count < len(rest) and self.length(" ".join(rest[:count + 1]), size) <= width:
                count += 1
            lines.append(self.shortened(" ".join(rest[:count]), size, width))
            rest = rest[count:]
        if rest and lines and not lines[-1].endswith("…"):
            line = lines[-1]
            while " " in line and self.length(f"{line}…", size) > width:
                line = line.rpartition(" ")[0]
            lines[-1] = self.shortened(line.rstrip(".,;:–-") + "…", size, width)
        return lines

    def _runs(self, text: str) -> list[_Run]:
        """The text as it can be drawn, cut where the font changes."""
        clean = visible(text)
        whole = next((font for font in self._fonts(clean) if _has_all(font, clean)), None)
        if whole is not None:
            return [_Run(clean, whole, _leftward(clean))] if clean else []
        runs: list[_Run] = []
        for letter, font in self._letters(clean):
            # What every script uses stays with the letters before it, lest a number inside a phrase be torn out of it.
            last = runs[-1] if runs else None
            if letter == "…" and last is not None and last.text.endswith("…"):
                continue  # one ellipsis for a whole word that no font has
            stays = last is not None and (font == last.font or (not letter.isalpha() and _has_all(last.font, letter)))
            if last is not None and stays:
                runs[-1] = _Run(last.text + letter, last.font, last.leftward)
            else:
                runs.append(_Run(letter, font, _leftward(clean)))
        return runs

    def _letters(self, text: str) -> Iterator[tuple[str, Path]]:
        """Each letter with its combining marks, and the font that has it; what none has in another spelling."""
        for letter in _clusters(text):
            font = next((font for font in self._fonts(letter) if _has_all(font, letter)), None)
            if font is not None:
                yield letter, font
                continue
            self.missing.add(letter)
            bare = "".join(c for c in unicodedata.normalize("NFKD", letter.translate(_PLAIN)) if not unicodedata.combining(c))
            yield (bare, self._chosen[0]) if bare and _has_all(self._chosen[0], bare) else ("…", BUILT_IN)

    def _fonts(self, text: str) -> Iterator[Path]:
        yield from self._chosen
        script = next((_script(letter) for letter in text if letter.isalpha() and not letter.isascii()), "")
        yield from _on_this_machine(script)


def visible(text: str) -> str:
    """The text as one line, without anything that has no shape or would move its neighbours. Joiners stay: scripts need
    them."""
    spaced = (" " if letter.isspace() else letter for letter in text)
    kept = (letter for letter in spaced if letter in _JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Cn"))
    return " ".join("".join(kept).split())


def _leftward(text: str) -> bool:
    """True where the first letter with a direction belongs to a script that runs from right to left."""
    first = next((way for letter in text if (way := unicodedata.bidirectional(letter)) in ("L", *_RTL)), "L")
    return first in _RTL


def _clusters(text: str) -> Iterator[str]:
    """Letters with the marks and joiners that follow them; text of scripts whose letters are shaped together stays together."""
    cluster = ""
    for letter in text:
        joins = unicodedata.category(letter).startswith("M") or letter in _JOINERS
        shaped = cluster != "" and _script(letter) == _script(cluster[-1]) not in ("", "LATIN", "CJK")
        if cluster and not joins and not shaped:
            yield cluster
            cluster = ""
        cluster += letter
    if cluster:
        yield cluster


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """The first word of a letter's name, which is its script; nothing for what is no letter."""
    if not letter.isalpha() and not unicodedata.category(letter).startswith("M"):
        return ""
    return unicodedata.name(letter, "").partition(" ")[0]


@lru_cache(maxsize=256)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size) if path == BUILT_IN else ImageFont.truetype(str(path), size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow built without FreeType has only a bitmap of one size
        raise MissingExtra("video", "lettering a picture")
    return font


@cache
def _digest(path: Path) -> str:
    return "built-in" if path == BUILT_IN else hashlib.sha256(path.read_bytes()).hexdigest()


def _has_all(font: Path, text: str) -> bool:
    return all(_has(font, letter) for letter in text)


@lru_cache(maxsize=65536)
def _has(font: Path, letter: str) -> bool:
    """Whether the font has a shape of its own for a letter: one other than what it draws for what it certainly lacks."""
    if letter in (" ", *_JOINERS):
        return True
    try:
        face = _font(font, 32)
        return bytes(face.getmask(letter)) != _none(font)
    except (OSError, ValueError):
        return False


@cache
def _none(font: Path) -> bytes:
    return bytes(_font(font, 32).getmask("\U0010fffe"))


@lru_cache(maxsize=64)
def _on_this_machine(script: str) -> tuple[Path, ...]:
    """Fonts for a script, the likeliest first: by name, since opening all of them would take seconds."""
    wanted = [f"NotoSans{script.title()}-Regular", f"NotoSerif{script.title()}-Regular", *_PREFERRED]
    if script in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL"):
        wanted = [*_CJK, *wanted]
    found = _installed()
    named = [found[name] for name in wanted if name in found]
    return tuple(dict.fromkeys([*named, *(found[name] for name in sorted(found) if script and script.lower() in name.lower())]))


@cache
def _installed() -> dict[str, Path]:
    """The font files of this machine by their name without suffix."""
    home = Path.home() if "HOME" in os.environ or os.name == "nt" else None
    folders = {"darwin": [Path("/System/Library/Fonts"), Path("/Library/Fonts")],
               "win32": [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]}.get(
        sys.platform, [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")])
    if home is not None:
        folders += [home / "Library" / "Fonts"] if sys.platform == "darwin" else [home / ".local" / "share" / "fonts"]
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES)
    found: dict[str, Path] = {}
    for path in islice(files, _MOST_FONTS):
        found.setdefault(path.stem, path)
    return found
