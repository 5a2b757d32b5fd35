"""Pictures of words for a reel: the slate before a shot, the slug in the place of one, and what is burnt into a shot's frames.

Laws: sizes follow from the frame's size alone; a text that does not fit is shortened with an ellipsis, never squeezed; figures
that change from frame to frame stand in cells of one width, so that they do not dance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from manifest_runner.adapters.lettering import Lettering, visible
from manifest_runner.core.reelplan import Size
from manifest_runner.errors import MissingExtra

try:
    import av
    from PIL import Image, ImageDraw
except ImportError as missing:
    raise MissingExtra("video", "drawing a slate") from missing

PAPER, INK, SECOND, FAINT, ACCENT = (18, 20, 24), (240, 240, 236), (190, 194, 199), (116, 122, 130), (255, 176, 59)

_EDGE = 0.09
"""Of the frame's shorter side: what a monitor's mask or an inset may hide of it."""

_VEIL = 0.55
"""How dark the plate behind burnt-in letters is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateWords:
    """What the slate says. `facts` are labels with their values."""

    show: str = ""
    sequence: str = ""
    shot: str
    facts: tuple[tuple[str, str], ...] = ()
    prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnIn:
    """What is burnt into the frames of one span: words at the left, which stay, and whether the source frame and the timecode
    are counted at the right."""

    words: str = ""
    frame: bool = False
    timecode: bool = False

    def __bool__(self) -> bool:
        return bool(self.words) or self.frame or self.timecode


NO_BURN_IN = BurnIn()


def slate_card(words: SlateWords, size: Size, letters: Lettering) -> Image.Image:
    """The card before a shot."""
    sheet = _Sheet(size, PAPER, letters)
    unit, left, right, wide = sheet.unit, sheet.left, sheet.right, sheet.wide
    top = sheet.top + 26 * unit
    taken = sheet.text(right, top, words.sequence, 24, SECOND, wide=wide / 2, anchor="r")
    sheet.text(left, top, words.show, 24, SECOND, wide=wide - taken - 30 * unit)
    sheet.pen.rectangle((left, top + 20 * unit, right, top + 20 * unit + max(1, 2 * unit)), fill=ACCENT)
    base = top + 138 * unit
    # A long name gets smaller type before it loses letters.
    shot = visible(words.shot)
    large = next((large for large in range(100, 40, -6) if letters.length(shot, sheet.px(large)) <= wide), 40)
    sheet.text(left, base, letters.elided(shot, sheet.px(large), wide), large, INK, wide=wide)
    base = sheet.columns(words.facts, base + 66 * unit) + 34 * unit
    step = 1.4 * sheet.px(24)
    rows = max(0, math.floor((size[1] - sheet.top - base) / step))
    for line in letters.wrapped(words.prompt, sheet.px(24), min(wide, 900 * unit), min(rows, 8)):
        base += step
        sheet.text(left, base, line, 24, SECOND, wide=wide)
    return sheet.image


def slug_card(name: str, note: str, size: Size, letters: Lettering) -> Image.Image:
    """Black, with the name of what belongs there."""
    sheet = _Sheet(size, (0, 0, 0), letters)
    across, down = size[0] / 2, size[1] / 2
    sheet.text(across, down + 10 * sheet.unit, letters.elided(visible(name), sheet.px(64), sheet.wide), 64, SECOND,
               wide=sheet.wide, anchor="m")
    sheet.text(across, down + 58 * sheet.unit, note, 24, FAINT, wide=sheet.wide, anchor="m")
    return sheet.image


class _Sheet:
    """A picture in the units of a frame of 1280 × 720, or of 900 × 1600."""

    def __init__(self, size: Size, ground: tuple[int, int, int], letters: Lettering) -> None:
        self.image = Image.new("RGB", size, ground)
        self.pen = ImageDraw.Draw(self.image)
        self._letters = letters
        self.unit = min(size[0] / (1280 if size[0] >= size[1] else 900), size[1] / 720)
        edge = _EDGE * min(size)
        self.left, self.right, self.top = edge, size[0] - edge, edge
        self.wide = self.right - self.left

    def px(self, size: float) -> int:
        """A size of type in pixels, never so small that it is none."""
        return max(6, round(size * self.unit))

    def text(self, x: float, y: float, text: str, size: float, ink: tuple[int, int, int], *, wide: float,
             anchor: str = "l") -> float:
        """One line, shortened to `wide` pixels; returns how wide it is."""
        shown = self._letters.shortened(visible(text), self.px(size), wide)
        return self._letters.draw(self.pen, (x, y), shown, self.px(size), ink, anchor=anchor)

    def columns(self, facts: Sequence[tuple[str, str]], base: float) -> float:
        """Labels with their values below, side by side; returns the last baseline. What does not fit beside goes below."""
        x = self.left
        for label, value in facts:
            width = min(self.wide, max(self._letters.length(label, self.px(17)), self._letters.length(value, self.px(36))))
            if x > self.left and x + width > self.right:
                x, base = self.left, base + 92 * self.unit
            self.text(x, base, label, 17, FAINT, wide=self.wide)
            self.text(x, base + 42 * self.unit, value, 36, ACCENT, wide=self.wide)
            x += width + 56 * self.unit
        return base + 42 * self.unit


class Burner:
    """Lays one line of letters over the frames of a span, along the upper edge, where an animatic's slate is not."""

    def __init__(self, burn: BurnIn, size: Size, letters: Lettering) -> None:
        self._burn, self._letters = burn, letters
        self._unit = min(size[0] / (1280 if size[0] >= size[1] else 720), size[1] / 720)
        self._size = max(8, round(25 * self._unit))
        edge = 2 * round(0.045 * min(size) / 2)
        self._top, self._height = edge, 2 * math.ceil(self._size * 0.8)
        self._left, self._right = edge, size[0] - edge
        self._cells: dict[str, Image.Image] = {}
        # What is counted takes the right side; the words have the rest.
        counted = 24 * self._cell("0").width if burn.frame and burn.timecode else 14 * self._cell("0").width
        room = self._right - self._left - (counted if burn.frame or burn.timecode else 0) - 2 * self._size
        self._words = self._plate(letters.shortened(visible(burn.words), self._size, room)) if burn.words else None

    def burn(self, frame: av.VideoFrame, *, source: int | None, timecode: str) -> None:
        """Write into a frame (yuv420p, its own memory) in place."""
        plates = [(self._words, self._left)] if self._words is not None else []
        shown = [f"f {source:05}"] if self._burn.frame and source is not None else []
        counted = "   ".join([*shown, *([timecode] if self._burn.timecode else [])])
        if counted:
            plate = self._figures(counted)
            plates.append((plate, 2 * ((self._right - plate.width) // 2)))
        luma, *chroma = frame.planes
        for plate, left in plates:
            _lay(luma, plate, (left, self._top), 16, 225)
            small = plate.reduce(2)
            for plane in chroma:
                _lay(plane, small, (left // 2, self._top // 2), 128, 128)

    def _plate(self, text: str) -> Image.Image:
        """A mask of letters with room round them."""
        pad = self._size // 2
        width = 2 * math.ceil((self._letters.length(text, self._size) + 2 * pad) / 2)
        mask = Image.new("L", (width, self._height))
        self._letters.draw(ImageDraw.Draw(mask), (pad, self._base), text, self._size, 255)
        return mask

    def _figures(self, text: str) -> Image.Image:
        pad = self._size // 2
        cells = [self._cell(character) for character in text]
        mask = Image.new("L", (2 * math.ceil((sum(cell.width for cell in cells) + 2 * pad) / 2), self._height))
        x = pad
        for cell in cells:
            mask.paste(cell, (x, 0))
            x += cell.width
        return mask

    def _cell(self, character: str) -> Image.Image:
        if character not in self._cells:
            # A blank has no shape to be measured.
            like = "0" if character.isdigit() else "." if character == " " else character
            wide = math.ceil(self._letters.length(like, self._size))
            cell = self._cells[character] = Image.new("L", (wide, self._height))
            self._letters.draw(ImageDraw.Draw(cell), (wide / 2, self._base), character, self._size, 255, anchor="m")
        return self._cells[character]

    @property
    def _base(self) -> float:
        return self._height / 2 + self._size * 0.36


def _lay(plane: av.video.plane.VideoPlane, mask: Image.Image, at: tuple[int, int], ground: int, ink: int) -> None:
    """Darken the plane under a mask towards `ground` and draw the mask's letters in `ink`; only the rows under it are
    touched."""
    memory, line = memoryview(plane), plane.line_size
    begin, end = at[1] * line, (at[1] + mask.height) * line
    rows = Image.frombytes("L", (line, mask.height), bytes(memory[begin:end]))
    box = (at[0], 0, at[0] + mask.width, mask.height)
    part = Image.blend(rows.crop(box), Image.new("L", mask.size, ground), _VEIL)
    part.paste(ink, (0, 0), mask)
    rows.paste(part, box)
    memory[begin:end] = rows.tobytes()
