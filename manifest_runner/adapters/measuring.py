"""Looks at each frame of a clip once, while it is decoded anyway: is it black, does anything move, is it damaged?

Laws: the same frames give the same figures everywhere; the cost of a frame is bounded however large it is (some 180 of its
lines are looked at); noise of an encoder is not movement, and grain that can be seen is.
"""

from __future__ import annotations

from manifest_runner.core.model import Measured
from manifest_runner.errors import MissingExtra

try:
    import av
    from av.video.reformatter import ColorRange
    from PIL import Image, ImageChops
except ImportError as missing:
    raise MissingExtra("video", "reading clips") from missing

LINES = 180
"""So many lines of a frame are looked at, evenly spaced and each as wide as it is."""

BLACK_LEVEL, BLACK_SHARE = 0.05, 0.995
"""A frame is black where this share of its pixels is no brighter than this share of the way from black to white."""

NOISE, NOISY_SHARE = 2, 0.005
"""Two frames are alike where no more than this share of their pixels differs by more than this many code values."""

GRID, GRID_NOISE, PIXEL_NOISE = 24, 2, 32
"""A picture stands still as long as no cell of a grid of this many by this many cells, on average, and no pixel, is further
from the picture with which the stillness began than this many code values. A key frame changes grain and edges, and no more."""


class Measuring:
    """The figures of one clip, frame after frame in the order in which they are shown."""

    def __init__(self) -> None:
        self._seen = self._damaged = self._black = 0
        self._began = self._longest = 0.0
        self._last: Image.Image | None = None
        self._anchor: Image.Image | None = None
        self._cells: Image.Image | None = None
        self._restless = False

    def see(self, frame: av.VideoFrame) -> None:
        """The next frame."""
        self._seen += 1
        if frame.is_corrupt:
            self._damaged += 1
            return
        lines = _luma(frame)
        self._black += _is_black(lines, full=_is_full(frame))
        self._move(lines, frame.time if frame.time is not None else 0.0)

    def measured(self) -> Measured:
        """What was found so far."""
        return Measured(decoded=self._seen - self._damaged, black=round(self._black / max(1, self._seen), 3),
                        still=round(self._longest, 3))

    def _move(self, lines: Image.Image, time: float) -> None:
        cells = lines.resize((GRID, GRID), Image.Resampling.BOX)
        if self._last is None or self._anchor is None or self._cells is None:
            self._start(lines, cells, time)
        else:
            restless = _differing(lines, self._last) > NOISY_SHARE
            # One restless frame may be a key frame; after two in a row something moves.
            if ((restless and self._restless) or _most(cells, self._cells) > GRID_NOISE
                    or _most(lines, self._anchor) > PIXEL_NOISE):
                self._start(lines, cells, time)
            self._restless = restless
        self._last = lines
        self._longest = max(self._longest, time - self._began)

    def _start(self, lines: Image.Image, cells: Image.Image, time: float) -> None:
        """Whatever stands still from here on is held against this frame."""
        self._anchor, self._cells, self._began = lines, cells, time


def _luma(frame: av.VideoFrame) -> Image.Image:
    """The brightness of some lines of a frame, 8 bits a pixel, in the frame's own range."""
    luma = frame.format.components[0]
    if frame.format.is_rgb or luma.bits != 8 or not frame.format.is_planar:
        frame = frame.reformat(format="gray", dst_color_range=ColorRange.JPEG if _is_full(frame) else ColorRange.MPEG)
    plane, step = frame.planes[0], max(1, frame.height // LINES)
    # Every `step`th line of the plane, as a picture over its bytes.
    return Image.frombuffer("L", (frame.width, frame.height // step), bytes(plane), "raw", "L", plane.line_size * step, 1)


def _is_full(frame: av.VideoFrame) -> bool:
    """Whether black is 0, and not 16."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj") or frame.format.is_rgb


def _is_black(lines: Image.Image, *, full: bool) -> bool:
    level = round(255 * BLACK_LEVEL) if full else 16 + round(219 * BLACK_LEVEL)
    return sum(lines.histogram()[:level + 1]) >= BLACK_SHARE * lines.width * lines.height


def _differing(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ by more than noise does."""
    histogram = ImageChops.difference(one, other).histogram()
    return sum(histogram[NOISE + 1:]) / (one.width * one.height)


def _most(one: Image.Image, other: Image.Image) -> float:
    """The largest difference between two grey pictures."""
    _, most = ImageChops.difference(one, other).getextrema()
    assert not isinstance(most, tuple)  # noqa: S101 - there is one band
    return most
