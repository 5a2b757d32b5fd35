"""The animatic of one shot: a drawn clip that has the shot's length, size, camera move, first and last picture, and a slate.

A director judges the timing of a cut with it, for no credits. Laws: exactly `round(duration * frame_rate)` frames; the same
brief gives the same bytes; frame 0 is the first picture and the final frame the last picture, slate aside; a static camera
moves nothing but the slate's counter. A frame of an animatic can be the first picture of another one: whatever lies under the
slate never comes into view.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifest_runner.errors import MediaError, MissingExtra
from manifest_runner.simulator.motion import Move, View, held_back, margins, move_of, view
from manifest_runner.simulator.painting import paint
from manifest_runner.simulator.planes import Planes, blend, canvas, encode, paste, to_planes
from manifest_runner.simulator.slate import Slate, Words, bar_height

try:
    from PIL import Image, ImageDraw, ImageOps
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

DISSOLVE = 0.9  # the share of the clip in which the last picture appears: most of it, lest an early out point cut it off

SOFT = 32  # the size in pixels of what is still to be made out far beyond the edges of a given picture

FOCUS = 0.06  # the share of its width over which a given picture, beyond its edges, goes out of focus

FINE = 2  # how many samples a pixel of the picture has when the camera moves; see _Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What is drawn. Sizes in even pixels, duration in seconds; `camera_control` is the API's object, the pictures are
    PNG or JPEG bytes, and `seed` is any text: the generated picture differs by it. `flaw` is what is wrong with the clip: it is
    `black`, or `frozen` in its first frame."""

    width: int
    height: int
    duration: float
    frame_rate: int = 24
    shot: str
    take: int
    prompt: str
    camera_control: Mapping[str, Any] | None = None
    first_picture: bytes | None = None
    last_picture: bytes | None = None
    seed: str = ""
    flaw: str = ""

    @property
    def frames(self) -> int:
        return max(1, round(self.duration * self.frame_rate))


def brief_of(body: Mapping[str, Any], *, shot: str, take: int, pictures: Mapping[str, bytes]) -> Brief:
    """The brief for a request body; `pictures` holds the bytes behind `image_url` and `last_frame_url`, under those names.

    Raises `MediaError` for a resolution or an aspect ratio that cannot be drawn.
    """
    width, height = frame_size(str(body.get("resolution", "720p")), str(body.get("aspect_ratio", "16:9")))
    prompt = str(body.get("prompt", ""))
    return Brief(
        width=width, height=height, duration=float(body.get("duration", 5)), shot=shot, take=take, prompt=prompt,
        camera_control=body.get("camera_control"), first_picture=pictures.get("image_url"),
        last_picture=pictures.get("last_frame_url"), seed=f"{shot} {take} {prompt}",
    )


def frame_size(resolution: str, aspect_ratio: str) -> tuple[int, int]:
    """Even pixels: the shorter side is what the resolution names (`720p`), the longer one follows the ratio (`16:9`)."""
    try:
        short = int(resolution.removesuffix("p"))
        across, down = (float(side) for side in aspect_ratio.split(":"))
        ratio = across / down
    except (ValueError, ZeroDivisionError):
        raise MediaError(f"no frame size for resolution {resolution!r} and aspect ratio {aspect_ratio!r}") from None
    if not (64 <= short <= 2160 and 0.2 <= ratio <= 5):
        raise MediaError(f"resolution {resolution!r} with aspect ratio {aspect_ratio!r} is too extreme to draw")
    long = 2 * round(short * max(ratio, 1 / ratio) / 2)
    return (long, short) if ratio >= 1 else (short, long)


def render(brief: Brief, to: Path) -> None:
    """Draw the clip and write it to `to`. Takes a core for a fraction of the clip's length; several may run in threads.

    Raises `MediaError` where a picture cannot be read or the file cannot be written.
    """
    frames = _flawed(brief) if brief.flaw else _frames(brief)
    encode(frames, to, count=brief.frames, size=(brief.width, brief.height), frame_rate=brief.frame_rate)


def _frames(brief: Brief) -> Iterator[Planes]:
    """Every frame, drawn on one and the same canvas."""
    move = move_of(brief.camera_control, brief.prompt)
    size, window = (brief.width, brief.height), (brief.width, brief.height - bar_height(brief.height))
    words = Words(shot=brief.shot, take=brief.take, duration=brief.duration, prompt=brief.prompt, move=move)
    slate = Slate(words, size=size, frames=brief.frames, frame_rate=brief.frame_rate)
    # Around a given picture there is nothing to pull out to; the slate still says what was asked for.
    shown = move if brief.first_picture is None else held_back(move)
    stage = _Stage(_backdrop(brief, shown, window), shown, window)
    last = None
    if brief.last_picture is not None:
        last = to_planes(_covering(brief.last_picture, "last picture", size).crop((0, 0, *window)))
    sheet = canvas(*size)
    for index in range(brief.frames):
        progress = index / (brief.frames - 1) if brief.frames > 1 else 0.0
        seen = stage.at(progress)
        share = _smooth((progress - 1 + DISSOLVE) / DISSOLVE)
        if last is not None and share > 0:
            seen = blend(seen, last, share)
        paste(sheet, seen, (0, 0))
        slate.draw(sheet, index)
        yield sheet


def _flawed(brief: Brief) -> Iterator[Planes]:
    """What a renderer delivers that has failed without a word: one and the same frame all along."""
    sheet = next(_frames(brief))
    if brief.flaw == "black":
        for plane, level in zip(sheet, (16, 128, 128), strict=True):
            plane.paste(level, (0, 0, *plane.size))
    for _ in range(brief.frames):
        yield sheet


def _smooth(share: float) -> float:
    share = max(0.0, min(1.0, share))
    return share * share * (3 - 2 * share)


def _backdrop(brief: Brief, move: Move, window: tuple[int, int]) -> Image.Image:
    """The picture of the window and as much around it as the camera will see."""
    margin = margins(move, *window)
    if brief.first_picture is None:
        return paint(window, margin, seed=brief.seed, prompt=brief.prompt)
    picture = _covering(brief.first_picture, "first picture", (brief.width, brief.height)).crop((0, 0, *window))
    return _mirrored(picture, margin)


def _covering(data: bytes, name: str, size: tuple[int, int]) -> Image.Image:
    """An encoded picture scaled and cropped about its middle to `size`."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    # Pillow raises SyntaxError, ValueError and struct errors too for files that only look like pictures.
    except Exception as error:
        raise MediaError(f"the {name} is no PNG or JPEG that can be read: {error}") from error
    return upright if upright.size == size else ImageOps.fit(upright, size, Image.Resampling.LANCZOS)


def _mirrored(picture: Image.Image, margin: tuple[int, int]) -> Image.Image:
    """The picture continued beyond its edges by its reflections. They go out of focus with the distance, lest they be taken
    for the picture; at its edge they are sharp, lest that be seen."""
    if margin == (0, 0):
        return picture
    width, height = picture.size
    wide = Image.new("RGB", (width + 2 * margin[0], height + 2 * margin[1]))
    for column in range(-math.ceil(margin[0] / width), math.ceil(margin[0] / width) + 1):
        for row in range(-math.ceil(margin[1] / height), math.ceil(margin[1] / height) + 1):
            tile = ImageOps.mirror(picture) if column % 2 else picture
            tile = ImageOps.flip(tile) if row % 2 else tile
            wide.paste(tile, (margin[0] + column * width, margin[1] + row * height))
    small = (max(2, wide.width // SOFT), max(2, wide.height // SOFT))
    soft = wide.resize(small, Image.Resampling.BOX).resize(wide.size, Image.Resampling.BICUBIC)
    return Image.composite(wide, soft, _focus(picture.size, margin))


def _focus(size: tuple[int, int], margin: tuple[int, int]) -> Image.Image:
    """A mask: 255 on the picture, falling to 0 with the distance from it."""
    (width, height), (left, upper) = size, margin
    mask = Image.new("L", (width + 2 * left, height + 2 * upper))
    pen, reach = ImageDraw.Draw(mask), max(1, round(FOCUS * width))
    for far in range(min(reach, max(margin)), -1, -1):
        box = (left - far, upper - far, left + width - 1 + far, upper + height - 1 + far)
        pen.rectangle(box, fill=round(255 * _smooth(1 - far / reach)))
    return mask


class _Stage:
    """The backdrop under the camera.

    Sampling bilinearly in every frame would cost more than the encoder; so the luma of a picture that moves is enlarged once,
    smoothly, and every frame takes the nearest of its samples, which is a table look-up. Chroma is soft enough without.
    """

    def __init__(self, backdrop: Image.Image, move: Move, window: tuple[int, int]) -> None:
        self._move, self._window, self._size = move, window, backdrop.size
        y, u, v = to_planes(backdrop)
        self._scene: Planes = (y if move.still else _enlarged(y), u, v)

    def at(self, progress: float) -> Planes:
        """The window's planes at `progress` 0..1."""
        if self._move.still:
            return self._scene
        seen = view(self._move, progress, *self._window)
        y, u, v = self._scene
        return self._sampled(y, seen, 1, FINE), self._sampled(u, seen, 2, 1), self._sampled(v, seen, 2, 1)

    def _sampled(self, plane: Image.Image, seen: View, step: int, fine: int) -> Image.Image:
        """One plane of the view, of which each pixel stands for `step` luma pixels and has `fine` samples."""
        (width, height), (wide, high) = self._window, self._size
        # The view leads from window to picture, both from their centres; Pillow wants it from corner to corner, in samples.
        grain = fine / step
        left, upper = seen.at(-width / 2, -height / 2)
        data = (fine * seen.a, fine * seen.b, grain * (left + wide / 2) - (fine - 1) / 2,
                fine * seen.d, fine * seen.e, grain * (upper + high / 2) - (fine - 1) / 2)
        return plane.transform((width // step, height // step), Image.Transform.AFFINE, data, Image.Resampling.NEAREST)


def _enlarged(plane: Image.Image) -> Image.Image:
    """The plane with FINE samples a pixel, one of them exactly at each pixel's centre, so that an unmoved camera shows the
    picture itself."""
    inset = (FINE - 1) / (2 * FINE)
    width, height = plane.size
    return plane.resize((FINE * (width - 1) + 1, FINE * (height - 1) + 1), Image.Resampling.BICUBIC,
                        box=(inset, inset, width - inset, height - inset))
