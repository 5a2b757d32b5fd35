"""The slate: one opaque bar along the lower edge that names the shot and counts its frames.

Laws: its place depends on the frame's size alone and it hides all that is under it, so that a picture which is itself a
frame of an animatic gets its old slate covered exactly by the new one. All that stands still is drawn once.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from manifest_runner.core.timecode import Code
from manifest_runner.errors import MissingExtra
from manifest_runner.simulator.motion import Move
from manifest_runner.simulator.planes import Planes, crop, paste, to_planes

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

Color: TypeAlias = tuple[int, int, int]

SHARE = 2 / 15  # of the frame's height; 96 lines of 720, 144 of 1080: the same part at every size

INK, PAPER, TRACK, ACCENT = (240, 240, 236), (18, 20, 24), (52, 56, 62), (255, 176, 59)

SECOND, FAINT = (208, 211, 215), (150, 154, 160)  # the lesser words; the lines of the diagram

FINE = 4  # the camera's diagram is drawn so many times larger and then reduced


def bar_height(height: int) -> int:
    """The slate's height in pixels for a frame of this height; even."""
    return 2 * math.ceil(height * SHARE / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the slate says; `duration` in seconds."""

    shot: str
    take: int
    duration: float
    prompt: str
    move: Move


class Slate:
    """The bar of one clip, ready to be laid over its frames."""

    def __init__(self, words: Words, *, size: tuple[int, int], frames: int, frame_rate: int) -> None:
        self._frames, self._code = frames, Code(rate=Fraction(frame_rate))
        self._width, self._height = size[0], bar_height(size[1])
        self._top = size[1] - self._height
        # Type is as large as the narrower of two measures allows: a tall frame has a tall bar and little width.
        self._unit = min(self._height / 96, size[0] / 720)
        self._line = 2 * max(1, round(self._unit * 2))
        self._cells: dict[tuple[str, int, Color], Image.Image] = {}
        self._clock = (0, 0, 0)  # right edge, upper edge, size of type
        self._counter: tuple[int, int, int] | None = None
        sheet = self._drawn(words)
        self._empty = to_planes(sheet)
        ImageDraw.Draw(sheet).rectangle((0, 0, self._width, self._line - 1), fill=ACCENT)
        self._full = to_planes(sheet)

    def draw(self, onto: Planes, index: int) -> None:
        """Lay the bar over a frame, with the counter at frame `index` (from 0)."""
        paste(onto, self._empty, (0, self._top))
        done = 2 * round(self._width * (index + 1) / self._frames / 2)
        if done:
            paste(onto, crop(self._full, (0, 0, done, self._line)), (0, self._top))
        self._count(onto, self._code.at(index), *self._clock, INK)
        if self._counter is not None:
            self._count(onto, f"{index + 1:>{len(str(self._frames))}}/{self._frames}", *self._counter, SECOND)

    def _count(self, onto: Planes, text: str, right: int, top: int, size: int, ink: Color) -> None:
        """Figures in cells of one width, so that they do not dance; grey needs luma alone."""
        cells = [self._cell(character, size, ink) for character in text]
        x = right - sum(cell.width for cell in cells)
        for cell in cells:
            onto[0].paste(cell, (x, self._top + top))
            x += cell.width

    def _cell(self, character: str, size: int, ink: Color) -> Image.Image:
        key = (character, size, ink)
        if key not in self._cells:
            font = self._font(size)
            # A blank stands for a missing figure and is as wide as one.
            wide = font.getlength("0" if character == " " else character)
            box = (2 * math.ceil(wide / 2), 2 * math.ceil(size * self._unit * 0.45))
            cell = Image.new("RGB", box, PAPER)
            ImageDraw.Draw(cell).text((box[0] / 2, box[1] / 2), character, font=font, fill=ink, anchor="mm")
            self._cells[key] = to_planes(cell)[0]
        return self._cells[key]

    def _font(self, size: float) -> ImageFont.FreeTypeFont:
        return _font(max(6, round(size * self._unit)))

    def _drawn(self, words: Words) -> Image.Image:
        """All that stands still; also finds the places of the counters."""
        sheet = Image.new("RGB", (self._width, self._height), PAPER)
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((0, 0, self._width, self._line - 1), fill=TRACK)
        if self._width >= 1000 * self._unit:
            self._in_columns(sheet, pen, words)
        else:
            self._in_rows(sheet, pen, words)
        return sheet

    def _in_columns(self, sheet: Image.Image, pen: ImageDraw.ImageDraw, words: Words) -> None:
        """Name, camera, prompt and counters side by side."""
        unit, edge, right = self._unit, 20 * self._unit, round(self._width - 20 * self._unit)
        centre = (self._height + self._line) / 2
        shot, facts = _shortened(drawable(words.shot), self._font(32), 300 * unit), f"take {words.take}   {words.duration:g} s"
        pen.text((edge, centre - 11 * unit), shot, font=self._font(32), fill=ACCENT, anchor="lm")
        pen.text((edge, centre + 18 * unit), facts, font=self._font(20), fill=SECOND, anchor="lm")
        x = edge + max(self._font(32).getlength(shot), self._font(20).getlength(facts)) + 26 * unit
        lines = [Move(**{name: amount}).words() for name, amount in words.move.parts()][:3] or ["static"]
        x += self._camera(sheet, words.move, (x, centre), 66, lines) + 28 * unit
        self._prompt(pen, words.prompt, (x, self._line + 10 * unit, right - 180 * unit, self._height - 6 * unit))
        self._clock = (right, 2 * round((centre - 23 * unit) / 2), 26)
        self._counter = (right, 2 * round((centre + 9 * unit) / 2), 20)

    def _in_rows(self, sheet: Image.Image, pen: ImageDraw.ImageDraw, words: Words) -> None:
        """For narrow frames: all but the prompt in one row, the prompt below."""
        unit, edge, right = self._unit, 20 * self._unit, round(self._width - 20 * self._unit)
        centre = self._line + 21 * unit
        shot, facts = _shortened(drawable(words.shot), self._font(26), 220 * unit), f"take {words.take}   {words.duration:g} s"
        pen.text((edge, centre), shot, font=self._font(26), fill=ACCENT, anchor="lm")
        x = edge + self._font(26).getlength(shot) + 14 * unit
        pen.text((x, centre + 2 * unit), facts, font=self._font(19), fill=SECOND, anchor="lm")
        x += self._font(19).getlength(facts) + 18 * unit
        line = _shortened(words.move.words(), self._font(17), right - 150 * unit - x - 48 * unit)
        self._camera(sheet, words.move, (x, centre), 36, [line])
        self._prompt(pen, words.prompt, (edge, self._line + 42 * unit, right, self._height - 5 * unit))
        self._clock = (right, 2 * round((centre - 10 * unit) / 2), 22)

    def _camera(self, sheet: Image.Image, move: Move, at: tuple[float, float], side: int, lines: Sequence[str]) -> float:
        """The diagram of the move and its words, from the middle of the left edge; returns the width."""
        size, unit, font = round(side * self._unit), self._unit, self._font(17)
        sheet.paste(diagram(move, size), (round(at[0]), round(at[1] - size / 2)))
        pen = ImageDraw.Draw(sheet)
        for row, line in enumerate(lines):
            y = at[1] + (row - (len(lines) - 1) / 2) * 21 * unit
            pen.text((at[0] + size + 10 * unit, y), line, font=font, fill=INK, anchor="lm")
        return size + 10 * unit + max(font.getlength(line) for line in lines)

    def _prompt(self, pen: ImageDraw.ImageDraw, prompt: str, box: tuple[float, float, float, float]) -> None:
        font, step = self._font(17), 22 * self._unit
        rows = max(1, int((box[3] - box[1]) / step))
        lines = wrapped(drawable(prompt), font, box[2] - box[0], rows)
        top = box[1] + (box[3] - box[1] - step * len(lines)) / 2
        for row, line in enumerate(lines):
            pen.text((box[0], top + (row + 0.5) * step), line, font=font, fill=INK, anchor="lm")


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow built without FreeType has only a bitmap of one size
        raise MissingExtra("video", "lettering an animatic")
    return font


_ASCII = str.maketrans({"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x", "₹": "Rs "})


def drawable(text: str) -> str:
    """`text` in the letters that the font has: accents dropped, and what is then left over shown as one ellipsis a run."""
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII).replace("…", "..."))
    kept = "".join(c if " " <= c <= "~" else " " if c.isspace() else "" if unicodedata.combining(c) else "…" for c in plain)
    while "……" in kept or "… …" in kept:
        kept = kept.replace("……", "…").replace("… …", "…")
    return " ".join(kept.split())


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float, rows: int) -> list[str]:
    """The first `rows` lines of `text` broken at spaces; the last ends in an ellipsis where there is more."""
    lines: list[str] = []
    rest = text.split()
    while rest and len(lines) < rows:
        count = 1
        while count < len(rest) and font.getlength(" ".join(rest[:count + 1])) <= width:
            count += 1
        lines.append(_shortened(" ".join(rest[:count]), font, width))
        rest = rest[count:]
    if rest:
        lines[-1] = _shortened(f"{lines[-1]} {rest[0]} …", font, width)
        if not lines[-1].endswith("…"):
            lines[-1] = _shortened(lines[-1] + "…", font, width)
    return lines


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    # By bisection: the text may be a word of thousands of letters.
    keep = bisect_right(range(1, len(text)), width, key=lambda count: font.getlength(text[:count] + "…"))
    return text[:keep].rstrip() + "…"


def diagram(move: Move, size: int) -> Image.Image:
    """A small picture of the move, seen as the camera's own: a frame, and the arrow of what the camera does.

    Truck and pedestal: the frame stands on a rail and the arrow runs along it. Pan and tilt: a bent arrow. Roll: an arc.
    Zoom and dolly: the frame within the frame, with arrows to the one that comes.
    """
    image = Image.new("RGB", (size * FINE, size * FINE), PAPER)
    pen = _Pen(image, size * FINE)
    pen.path([(0.22, 0.30), (0.78, 0.30), (0.78, 0.70), (0.22, 0.70), (0.22, 0.30)], FAINT)
    if move.still:
        pen.dot(0.5, 0.5, 0.05)
    for name, amount in move.parts():
        pen.move(name, 1 if amount > 0 else -1)
    return image.reduce(FINE)


class _Pen:
    """Draws in units of the diagram's side."""

    def __init__(self, image: Image.Image, side: int) -> None:
        self._draw, self._side = ImageDraw.Draw(image), side

    def move(self, name: str, sign: int) -> None:
        if name == "truck":
            self.path([(0.08, 0.90), (0.92, 0.90)], FAINT)
            self.arrow([(0.5 - 0.36 * sign, 0.82), (0.5 + 0.42 * sign, 0.82)])
        elif name == "pedestal":
            self.path([(0.92, 0.08), (0.92, 0.92)], FAINT)
            self.arrow([(0.84, 0.5 + 0.36 * sign), (0.84, 0.5 - 0.42 * sign)])
        elif name == "pan":
            self.arrow([(0.5 + sign * 0.36 * math.sin(k / 10), 0.02 + 0.26 * math.cos(k / 10) ** 2) for k in range(-13, 14)])
        elif name == "tilt":
            self.arrow([(0.28 - 0.26 * math.cos(k / 10) ** 2, 0.5 - sign * 0.36 * math.sin(k / 10)) for k in range(-13, 14)])
        elif name == "roll":
            self.arrow([(0.5 + sign * 0.17 * math.sin(k / 8), 0.5 - 0.17 * math.cos(k / 8)) for k in range(-16, 20)])
        else:
            self._depth(sign)

    def _depth(self, sign: int) -> None:
        """Into the frame (-) or out of it (+), along its diagonals."""
        for x in (-1, 1):
            for y in (-1, 1):
                ends = [(0.5 + 0.34 * x, 0.5 + 0.34 * y), (0.5 + 0.10 * x, 0.5 + 0.10 * y)]
                self.arrow(ends if sign < 0 else ends[::-1])

    def path(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        scaled = [(x * self._side, y * self._side) for x, y in points]
        self._draw.line(scaled, fill=color, width=round(self._side * 0.035), joint="curve")

    def dot(self, x: float, y: float, radius: float) -> None:
        self._draw.ellipse([self._side * edge for edge in (x - radius, y - radius, x + radius, y + radius)], fill=ACCENT)

    def arrow(self, points: Sequence[tuple[float, float]]) -> None:
        """A line that ends in a head."""
        self.path(points, ACCENT)
        (x0, y0), (x, y) = points[-2], points[-1]
        angle = math.atan2(y - y0, x - x0)
        barbs = [(x + 0.13 * math.cos(angle + turn), y + 0.13 * math.sin(angle + turn)) for turn in (2.5, -2.5)]
        self._draw.polygon([(px * self._side, py * self._side) for px, py in ((x, y), *barbs)], fill=ACCENT)
