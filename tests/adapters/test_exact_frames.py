"""A frame taken out of a clip is the very frame that a player shows, and its colours are those of the clip, to a code value.

The clips are coded without loss, so that the planes that went in are known to come out; what their colours are in RGB is worked
out here, from the standards' own numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorRange
from PIL import Image

from manifest_runner.adapters.media import frame, probe
from manifest_runner.core.model import FramePosition

KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Weights of red and blue by H.264's number of a matrix: BT.709, BT.601, BT.2020."""

# Corners of the legal cube and some colours between, as shares of the way from black to white and from -½ to ½.
COLOURS = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.35, -0.2, 0.31), (0.62, 0.4, -0.33), (0.2, 0.1, 0.05),
           (0.8, -0.4, 0.1), (0.45, -0.07, -0.12), (0.28, 0.33, 0.21), (0.71, -0.12, 0.24), (0.07, 0.02, -0.02),
           (0.93, -0.05, 0.02)]
BLOCK = 16


def codes(colour: Sequence[float], bits: int, *, full: bool) -> tuple[int, int, int]:
    """The code values of a colour."""
    luma, blue, red = colour
    if full:
        most = 2**bits - 1
        return round(luma * most), round(blue * most) + 2**(bits - 1), round(red * most) + 2**(bits - 1)
    scale = 2**(bits - 8)
    return round((16 + 219 * luma) * scale), round((128 + 224 * blue) * scale), round((128 + 224 * red) * scale)


def rgb(code: Sequence[int], matrix: int, bits: int, *, full: bool) -> tuple[float, float, float]:
    """What code values stand for, from 0 to 255, not rounded."""
    kr, kb = KR_KB[matrix]
    if full:
        most = 2**bits - 1
        luma, blue, red = code[0] / most, (code[1] - 2**(bits - 1)) / most, (code[2] - 2**(bits - 1)) / most
    else:
        scale = 2**(bits - 8)
        luma, blue, red = (code[0] / scale - 16) / 219, (code[1] / scale - 128) / 224, (code[2] / scale - 128) / 224
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    return tuple(255 * min(1.0, max(0.0, value)) for value in (r, g, b))  # type: ignore[return-value]


def painted(size: tuple[int, int], pix_fmt: str, block: Callable[[int, int], Sequence[int]], bits: int) -> av.VideoFrame:
    """A frame of blocks, each of one colour."""
    made = av.VideoFrame(*size, pix_fmt)
    for number, plane in enumerate(made.planes):
        across, down = size[0] / plane.width, size[1] / plane.height
        lines = []
        for y in range(plane.height):
            line = [block(int(x * across) // BLOCK, int(y * down) // BLOCK)[number] for x in range(plane.width)]
            coded = bytes(line) if bits == 8 else b"".join(value.to_bytes(2, "little") for value in line)
            lines.append(coded + bytes(plane.line_size - len(coded)))
        plane.update(b"".join(lines))
    return made


def lossless(to: Path, frames: Sequence[av.VideoFrame], pix_fmt: str, *, matrix: int = 1, full: bool = False,
             times: Sequence[int] | None = None, **options: str) -> Path:
    with av.open(str(to), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"qp": "0", "preset": "veryfast", **options})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pix_fmt
        stream.codec_context.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        stream.codec_context.colorspace = matrix
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 600)
        for index, one in enumerate(frames):
            if times is not None:
                one.pts, one.time_base = times[index], Fraction(1, 600)
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return to


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


CODED = [
    (pix_fmt, bits, matrix, full)
    for pix_fmt, bits in (("yuv420p", 8), ("yuv422p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv444p10le", 10))
    for matrix in (1, 6) for full in (False, True)
] + [("yuv420p10le", 10, 9, False)]


@pytest.mark.parametrize(("pix_fmt", "bits", "matrix", "full"), CODED)
def test_colours_come_out_as_they_are_coded_to_one_code_value(pix_fmt: str, bits: int, matrix: int, full: bool,
                                                              tmp_path: Path) -> None:
    size = (BLOCK * 4, BLOCK * 3)
    coded = [codes(colour, bits, full=full) for colour in COLOURS]
    made = painted(size, pix_fmt, lambda x, y: coded[4 * y + x], bits)
    clip = lossless(tmp_path / "a.mp4", [made], pix_fmt, matrix=matrix, full=full)
    picture = opened(frame(clip, FramePosition.LAST))
    assert picture.size == size
    for number, code in enumerate(coded):
        wanted = rgb(code, matrix, bits, full=full)
        x, y = number % 4 * BLOCK, number // 4 * BLOCK
        inner = picture.crop((x + 4, y + 4, x + BLOCK - 4, y + BLOCK - 4))  # chroma is softer than luma at a block's edge
        for band, value in zip(inner.getextrema(), wanted, strict=True):
            assert max(abs(band[0] - round(value)), abs(band[1] - round(value))) <= 1, (number, wanted)  # type: ignore[index]


def test_every_pixel_of_a_fine_picture_comes_out_to_one_code_value(tmp_path: Path) -> None:
    """Luma that is another at each pixel: nothing is scaled, shifted or smoothed."""
    size = (64, 48)
    made = av.VideoFrame(*size, "yuv420p")
    luma, chroma = made.planes[0], made.planes[1:]
    values = [16 + (x * 37 + y * 91) % 220 for y in range(size[1]) for x in range(size[0])]
    rest = bytes(luma.line_size - size[0])
    luma.update(b"".join(bytes(values[y * size[0]:(y + 1) * size[0]]) + rest for y in range(size[1])))
    for plane, level in zip(chroma, (110, 150), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    picture = opened(frame(lossless(tmp_path / "a.mp4", [made], "yuv420p"), FramePosition.FIRST))
    pixels = picture.tobytes()
    for index, value in enumerate(values):
        wanted = rgb((value, 110, 150), 1, 8, full=False)
        got = pixels[3 * index:3 * index + 3]
        assert max(abs(one - round(other)) for one, other in zip(got, wanted, strict=True)) <= 1


@pytest.mark.parametrize(("size", "pix_fmt"), [
    ((65, 49), "yuv444p"), ((66, 50), "yuv420p"), ((130, 98), "yuv420p"), ((72, 51), "yuv422p"),
])
def test_odd_sizes_lose_no_line(size: tuple[int, int], pix_fmt: str, tmp_path: Path) -> None:
    """Encoders pad to multiples of sixteen; what was padded is no part of the picture."""
    made = painted(size, pix_fmt, lambda x, y: (40 + 12 * (x + y), 128, 128), 8)
    picture = opened(frame(lossless(tmp_path / "a.mp4", [made], pix_fmt), FramePosition.LAST))
    assert picture.size == size
    corner = rgb((40 + 12 * ((size[0] - 1) // BLOCK + (size[1] - 1) // BLOCK), 128, 128), 1, 8, full=False)
    assert abs(picture.getpixel((size[0] - 1, size[1] - 1))[0] - round(corner[0])) <= 1  # type: ignore[index]


# ── which frame ───────────────────────────────────────────────────────────────────────────────────────────────────


def numbered(count: int) -> list[av.VideoFrame]:
    """Frames that say which they are, by their grey."""
    return [painted((32, 32), "yuv420p", lambda x, y, level=30 + 3 * index: (level, 128, 128), 8) for index in range(count)]


def number_of(png: bytes) -> int:
    """Which frame a picture is."""
    red = opened(png).getpixel((16, 16))[0]  # type: ignore[index]
    return round((red * 219 / 255 + 16 - 30) / 3)


def test_where_frames_last_differently_long_the_last_one_is_the_last_one(tmp_path: Path) -> None:
    clip = lossless(tmp_path / "a.mp4", numbered(9), "yuv420p", times=[0, 25, 50, 200, 210, 220, 600, 1400, 1410], bf="2")
    assert number_of(frame(clip, FramePosition.FIRST)) == 0
    assert number_of(frame(clip, FramePosition.LAST)) == 8


@pytest.mark.parametrize("options", [{"bf": "3", "g": "250"}, {"bf": "2", "g": "6", "x264-params": "open-gop=1"}, {"g": "1"}])
def test_b_frames_and_open_groups_hide_no_frame(options: dict[str, str], tmp_path: Path) -> None:
    clip = lossless(tmp_path / "a.mp4", numbered(25), "yuv420p", **options)
    assert [number_of(frame(clip, position)) for position in FramePosition] == [0, 24]


def edited(clip: Path, *, skip: int, keep: int) -> None:
    """Write the clip's edit list anew: it begins `skip` frames later than it did, and shows `keep` frames."""
    data = bytearray(clip.read_bytes())
    movie, media, edit = (data.index(name) for name in (b"mvhd", b"mdhd", b"elst"))
    per_second = int.from_bytes(data[movie + 16:movie + 20], "big")
    ticks = int.from_bytes(data[media + 16:media + 20], "big")
    assert data[edit + 4] == 0, "an edit list of 32 bits"
    start = int.from_bytes(data[edit + 16:edit + 20], "big")
    data[edit + 12:edit + 16] = (keep * per_second // 24).to_bytes(4, "big")
    data[edit + 16:edit + 20] = (start + skip * ticks // 24).to_bytes(4, "big")
    clip.write_bytes(data)


@pytest.mark.parametrize("options", [{"bf": "0", "g": "5"}, {"bf": "2", "g": "250"}, {"bf": "2", "g": "8"}])
@pytest.mark.parametrize(("skip", "keep"), [(0, 24), (3, 21), (0, 17), (4, 12)])
def test_an_edit_list_says_which_frame_is_the_first_and_which_the_last(skip: int, keep: int, options: dict[str, str],
                                                                       tmp_path: Path) -> None:
    """Editors trim without coding anew: frames that are in the file and outside its edit list are not shown by any player."""
    clip = lossless(tmp_path / "a.mp4", numbered(24), "yuv420p", **options)
    edited(clip, skip=skip, keep=keep)
    facts = probe(clip)
    assert (facts.frames, facts.measured.decoded if facts.measured else 0) == (keep, keep)
    assert [number_of(frame(clip, position)) for position in FramePosition] == [skip, skip + keep - 1]
