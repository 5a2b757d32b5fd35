"""Pictures as the encoder wants them: luma and two half-size chroma planes, each a grey Pillow image.

Laws: BT.709, limited range, always, and said so in the stream, so that colours survive any number of generations.
Even sizes only. A clip is encoded by one thread with nothing of the machine or the clock in it: same planes, same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.video.frame import PictureType
    from av.video.reformatter import ColorRange, Colorspace
    from PIL import Image
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

Planes: TypeAlias = tuple[Image.Image, Image.Image, Image.Image]
"""Y at full size, then U and V at half of it."""

BT709 = 1  # the number of H.264's VUI for primaries, transfer and matrix alike


def to_planes(picture: Image.Image) -> Planes:
    """The planes of an RGB picture of even size."""
    frame = av.VideoFrame.from_bytes(picture.convert("RGBA").tobytes(), *picture.size).reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
    y, u, v = (Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size)
               for plane in frame.planes)
    return y, u, v


def crop(planes: Planes, box: tuple[int, int, int, int]) -> Planes:
    """The part of `planes` inside `box` (left, upper, right, lower in luma pixels, all even)."""
    half = (box[0] // 2, box[1] // 2, box[2] // 2, box[3] // 2)
    return planes[0].crop(box), planes[1].crop(half), planes[2].crop(half)


def paste(onto: Planes, part: Planes, at: tuple[int, int]) -> None:
    """Lay `part` onto `onto` with its upper left corner `at` (luma pixels, even)."""
    onto[0].paste(part[0], at)
    half = (at[0] // 2, at[1] // 2)
    onto[1].paste(part[1], half)
    onto[2].paste(part[2], half)


def blend(first: Planes, second: Planes, share: float) -> Planes:
    """A dissolve: `share` 0 is all `first`, 1 is all `second`."""
    y, u, v = (Image.blend(one, two, share) for one, two in zip(first, second, strict=True))
    return y, u, v


def canvas(width: int, height: int) -> Planes:
    """Empty planes for a frame of this size, as wide as PyAV's own lines so that they can be handed over without repacking."""
    lines = [(plane.line_size, plane.height) for plane in av.VideoFrame(width, height, "yuv420p").planes]
    y, u, v = (Image.new("L", size) for size in lines)
    return y, u, v


def encode(frames: Iterable[Planes], to: Path, *, count: int, size: tuple[int, int], frame_rate: int) -> None:
    """Write `frames` (made by `canvas`, one object may come again and again) as an H.264 mp4 that plays everywhere.

    There are `count` of them; the last one is a key frame, because other shots begin with it: it carries no traces of others.
    """
    # A constant quantiser spares the encoder its look-ahead, which at this preset would be a third of its time.
    options = {"preset": "ultrafast", "qp": "28", "x264-params": "no-psy=1", "forced-idr": "1", "threads": "1",
               "flags": "+bitexact"}
    try:
        with av.open(str(to), "w", format="mp4", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
            stream = container.add_stream("libx264", rate=frame_rate, options=options)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.gop_size = frame_rate * 2
            context.color_range, context.colorspace = ColorRange.MPEG, BT709
            context.color_primaries = context.color_trc = BT709
            for number, planes in enumerate(frames, 1):
                frame = av.VideoFrame(*size, "yuv420p")
                if number == count:
                    frame.pict_type = PictureType.I
                for plane, pixels in zip(frame.planes, planes, strict=True):
                    plane.update(pixels.tobytes())
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{to.name}: the animatic cannot be written: {error}") from error
