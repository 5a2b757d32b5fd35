"""The contact sheet of a cut: one frame a shot with its name, take, length and first words, for a wall or a meeting.

Laws: measures are those of paper, in millimetres and points; a PDF has pages of A4 or Letter, landscape, and as many as it
takes, a PNG is one picture; every picture is whole and in its own shape; no more than a page of pictures is in memory. What is
printed is grey on white: a sheet is for looking at the pictures.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from manifest_runner.adapters.files import put_in_place
from manifest_runner.adapters.lettering import Lettering, visible
from manifest_runner.adapters.media import picture
from manifest_runner.adapters.reel_clips import Source
from manifest_runner.adapters.reel_pieces import decoded_frames
from manifest_runner.adapters.reel_segments import DEFAULTS, Segment, planned, source_of
from manifest_runner.core.reelplan import Span, seconds_words
from manifest_runner.errors import MediaError, MissingExtra

try:
    from PIL import Image, ImageDraw
except ImportError as missing:
    raise MissingExtra("video", "drawing a contact sheet") from missing

Frame: TypeAlias = Literal["first", "middle", "last"]
Paper: TypeAlias = Literal["a4", "letter"]

_PAPER, _INK, _SECOND, _FAINT, _MATTE = (255, 255, 255), (26, 28, 32), (92, 96, 102), (150, 154, 160), (234, 235, 237)
_SIZES = {"a4": (297.0, 210.0), "letter": (279.4, 215.9)}
_PRINTED, _ON_SCREEN = 300, 180
"""Dots an inch of a PDF and of a PNG."""

_MARGIN, _GAP, _HEAD = 12.0, 5.0, 17.0
_TITLE, _FACTS, _NAME, _PROMPT = 17.0, 9.0, 9.5, 7.5
_LEADING = 1.32
_ROWS = 2  # lines of a prompt
_ENOUGH = 12  # shots on a page, where their shape allows

MOST_IN_A_PICTURE = 240
"""Shots of one PNG: above that it is a tower that no viewer likes to open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What stands above the pictures, which frame of each cut is shown, and on what paper. `fonts` come before the built-in
    one; `dots` are dots an inch, where they are to be others than usual. A PNG is as wide as the paper."""

    title: str
    facts: str = ""
    frame: Frame = "middle"
    paper: Paper = "a4"
    fonts: tuple[Path, ...] = ()
    dots: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    segment: Segment
    source: Source | None
    span: Span
    length: str


def contact_sheet(segments: Sequence[Segment], to: Path, sheet: Sheet) -> tuple[int, frozenset[str]]:
    """Write the sheet to `to`, a PNG or a PDF by its name; returns the number of pages and the letters that no font has.

    Raises `MediaError` for a clip that cannot be read, and `InvalidInput` with every cut that shows nothing.
    """
    letters, paged = Lettering(sheet.fonts), to.suffix.lower() == ".pdf"
    if not segments:
        raise MediaError(f"{to.name}: a contact sheet of no shots")
    if not paged and len(segments) > MOST_IN_A_PICTURE:
        raise MediaError(f"{to.name}: {len(segments)} shots are too many for one picture", code="sheet",
                         hint="a PDF has pages: --contact-sheet sheet.pdf")
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        sources = list(pool.map(source_of, segments))
        plan = planned(segments, sources, DEFAULTS)
        cells = [_Cell(segment=segments[span.entry], source=sources[span.entry], span=span,
                       length=seconds_words(span.frames / plan.rate)) for span in plan.spans]
        layout = _Layout(sheet, Fraction(*plan.size), len(cells), paged=paged)
        summary = f"{len(cells)} shot{'' if len(cells) == 1 else 's'} · {seconds_words(plan.frames / plan.rate)}"
        painter = _Painter(sheet, summary, layout, letters)
        part = to.with_name(f".{to.name}.{os.getpid()}.part")
        try:
            pages = painter.pages(cells, partial(pool.map, partial(_still, which=sheet.frame, box=layout.box)))
            if layout.paged:
                _write_pdf(pages, part, visible(sheet.title), layout.dpi)
            else:
                next(pages).save(part, "PNG", dpi=(layout.dpi, layout.dpi))
            put_in_place(part, to)
        except OSError as error:
            raise MediaError(f"{to.name}: the contact sheet cannot be written: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return layout.pages, frozenset(letters.missing)


class _Layout:
    """Where everything lies, in pixels: as many columns as bring enough shots onto a page, and not more."""

    def __init__(self, sheet: Sheet, aspect: Fraction, count: int, *, paged: bool) -> None:
        self.paged = paged
        self.dpi = sheet.dots or (_PRINTED if paged else _ON_SCREEN)
        width, height = _SIZES[sheet.paper]
        room = height - 2 * _MARGIN - _HEAD + _GAP
        for self.columns in range(3, 9):
            cell = (width - 2 * _MARGIN - (self.columns - 1) * _GAP) / self.columns
            step = cell / float(aspect) + self._caption() + _GAP
            rows = max(1, math.floor(room / step))
            if rows * self.columns >= _ENOUGH:
                break
        step = max(step, min(room / rows, step + 2 * _GAP))  # what is left below goes between the rows
        if not paged:
            self.columns = min(self.columns, max(2, count))
            cell = (width - 2 * _MARGIN - (self.columns - 1) * _GAP) / self.columns
            step = cell / float(aspect) + self._caption() + _GAP
            rows = math.ceil(count / self.columns)
            height = rows * step - _GAP + 2 * _MARGIN + _HEAD
        self.on_a_page = rows * self.columns
        self.pages = -(-count // self.on_a_page)
        self.size = self.px(width), self.px(height)
        # A picture is never taller than the page, however narrow its shape.
        tall = min(cell / float(aspect), room - self._caption() - _GAP) if paged else cell / float(aspect)
        self.box = self.px(cell), self.px(tall)
        self.step = step

    @staticmethod
    def _caption() -> float:
        """Millimetres below a picture."""
        return 1.6 + (_NAME + _ROWS * _PROMPT) * _LEADING * 25.4 / 72

    def px(self, millimetres: float) -> int:
        return round(millimetres * self.dpi / 25.4)

    def pt(self, points: float) -> int:
        return max(6, round(points * self.dpi / 72))

    def at(self, place: int) -> tuple[int, int]:
        """The upper left corner of a cell."""
        row, column = divmod(place, self.columns)
        across = (self.size[0] - 2 * self.px(_MARGIN) - self.columns * self.box[0]) / max(1, self.columns - 1)
        return round(self.px(_MARGIN) + column * (self.box[0] + across)), self.px(_MARGIN + _HEAD + row * self.step)


class _Painter:
    """Draws pages."""

    def __init__(self, sheet: Sheet, summary: str, layout: _Layout, letters: Lettering) -> None:
        self._sheet, self._layout, self._letters = sheet, layout, letters
        self._facts = " · ".join(words for words in (visible(sheet.facts), summary) if words)

    def pages(self, cells: Sequence[_Cell], stills: Callable[[Sequence[_Cell]], Iterable[Image.Image | None]],
              ) -> Iterator[Image.Image]:
        """One page after the other; `stills` are the pictures of some cells, in their order."""
        layout = self._layout
        for number in range(layout.pages):
            page = Image.new("RGB", layout.size, _PAPER)
            pen = ImageDraw.Draw(page)
            self._head(pen, number + 1)
            shown = cells[number * layout.on_a_page:(number + 1) * layout.on_a_page]
            for place, (cell, image) in enumerate(zip(shown, stills(shown), strict=True)):
                self._cell(page, pen, cell, image, layout.at(place))
            yield page

    def _head(self, pen: ImageDraw.ImageDraw, number: int) -> None:
        layout, letters = self._layout, self._letters
        left, right, top = layout.px(_MARGIN), layout.size[0] - layout.px(_MARGIN), layout.px(_MARGIN)
        base = top + layout.px(6.0)
        facts = self._facts + (f" · page {number} of {layout.pages}" if layout.pages > 1 else "")
        wide = letters.draw(pen, (right, base), facts, layout.pt(_FACTS), _SECOND, anchor="r")
        title = letters.shortened(visible(self._sheet.title), layout.pt(_TITLE), right - left - wide - layout.px(10))
        letters.draw(pen, (left - layout.pt(_TITLE) // 18, base), title, layout.pt(_TITLE), _INK)
        pen.rectangle((left, top + layout.px(10.2), right - 1, top + layout.px(10.2) + max(0, layout.pt(0.75) // 8)), fill=_INK)

    def _cell(self, page: Image.Image, pen: ImageDraw.ImageDraw, cell: _Cell, image: Image.Image | None,
              at: tuple[int, int]) -> None:
        layout, letters, (wide, tall) = self._layout, self._letters, self._layout.box
        if image is None:
            pen.rectangle((*at, at[0] + wide - 1, at[1] + tall - 1), fill=_MATTE)
            letters.draw(pen, (at[0] + wide / 2, at[1] + tall / 2 + layout.pt(3)), "no clip yet", layout.pt(8), _FAINT,
                         anchor="m")
        else:
            if (image.width, image.height) != (wide, tall):
                pen.rectangle((*at, at[0] + wide - 1, at[1] + tall - 1), fill=_MATTE)
            page.paste(image, (at[0] + (wide - image.width) // 2, at[1] + (tall - image.height) // 2))
        words = cell.segment.slate
        facts = [value for label, value in (words.facts if words is not None else ()) if label == "take"]
        told = " · ".join([*(f"take {take}" for take in facts), cell.length])
        base = at[1] + tall + layout.px(1.6) + layout.pt(_NAME)
        used = letters.draw(pen, (at[0] + wide, base), told, layout.pt(8), _SECOND, anchor="r")
        name = letters.elided(visible(cell.segment.name), layout.pt(_NAME), wide - used - layout.pt(8))
        letters.draw(pen, (at[0], base), name, layout.pt(_NAME), _INK)
        base += layout.px(0.4)
        for line in letters.wrapped(words.prompt if words is not None else "", layout.pt(_PROMPT), wide, _ROWS):
            base += round(layout.pt(_PROMPT) * _LEADING)
            letters.draw(pen, (at[0], base), line, layout.pt(_PROMPT), _SECOND)


def _still(cell: _Cell, *, which: Frame, box: tuple[int, int]) -> Image.Image | None:
    """One frame of the cut, whole, in square pixels and as large as it fits."""
    if cell.source is None:
        return None
    first, last = cell.span.first, cell.span.stop - 1
    wanted = {"first": first, "middle": (first + last + 1) // 2, "last": last}[which]
    for _, decoded in decoded_frames(cell.source, wanted, wanted + 1):
        shown = cell.source.clip.square
        scale = min(box[0] / shown[0], box[1] / shown[1])
        # A pixel more or less is not worth a frame of matte.
        fit = tuple(whole if abs(side * scale - whole) < 1.5 else max(1, round(side * scale))
                    for side, whole in zip(shown, box, strict=True))
        return picture(decoded).resize((fit[0], fit[1]), Image.Resampling.LANCZOS)
    raise MediaError(f"{cell.segment.name}: frame {wanted} of {cell.source.path.name} cannot be decoded")


def _write_pdf(pages: Iterator[Image.Image], to: Path, title: str, dpi: float) -> None:
    """Page by page, so that only one is in memory. No clock: the same cut gives the same bytes."""
    for number, page in enumerate(pages):
        page.save(to, "PDF", resolution=dpi, append=number > 0, title=title, quality=92, subsampling=0,
                  creationDate=time.gmtime(0), modDate=time.gmtime(0))
