"""What a picture file is by its header, whether it can be sent, and what upstream says of it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from manifest_runner.core.pictureheaders import read
from manifest_runner.core.pictures import FLOATS, MOST_PIXELS, Picture, proportions, refusal, remarks, why_converted
from tests.builders import CARD

ADVICE = CARD.frames.picture
SIZE = (40, 30)
P3 = b"\0" * 200 + b"Display P3"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def image(mode: str = "RGB") -> Image.Image:
    return Image.radial_gradient("L").resize(SIZE).convert(mode)


def turned(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = number
    return exif


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*, width: int = 4, height: int = 4, bits: int = 8, more: bytes = b"") -> bytes:
    """A PNG from its parts, whose picture data nobody looks at here."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", b"\0" * 20) + chunk(b"IEND", b"")


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


KINDS: list[tuple[str, Callable[[], bytes], dict[str, Any]]] = [
    ("PNG", lambda: saved(image(), "PNG"), {"colours": "RGB"}),
    ("PNG, grey", lambda: saved(image("L"), "PNG"), {"colours": "grey"}),
    ("PNG, palette", lambda: saved(image("P"), "PNG"), {"colours": "palette"}),
    ("PNG, one bit", lambda: saved(image("1"), "PNG"), {"colours": "grey"}),
    ("PNG, alpha", lambda: saved(image("RGBA"), "PNG"), {"colours": "RGB", "alpha": True}),
    ("PNG, transparent colour", lambda: saved(image("P"), "PNG", transparency=3), {"colours": "palette", "alpha": True}),
    ("PNG, 16 bits of grey", lambda: saved(Image.new("I;16", SIZE), "PNG"), {"colours": "grey", "bits": 16}),
    ("PNG, 16 bits", lambda: png(width=40, height=30, bits=16), {"colours": "RGB", "bits": 16}),
    ("PNG, turned", lambda: saved(image(), "PNG", exif=turned(6)), {"colours": "RGB", "orientation": 6}),
    ("PNG, sRGB said twice", lambda: saved(image(), "PNG", icc_profile=srgb()), {"colours": "RGB"}),
    ("PNG, another profile", lambda: saved(image(), "PNG", icc_profile=P3), {"colours": "RGB", "profile": True}),
    ("PNG, animated", lambda: saved(image(), "PNG", save_all=True, append_images=[image("RGB").rotate(90)]),
     {"colours": "RGB", "frames": 2}),
    ("JPEG", lambda: saved(image(), "JPEG"), {"colours": "RGB"}),
    ("JPEG, progressive", lambda: saved(image(), "JPEG", progressive=True), {"colours": "RGB"}),
    ("JPEG, grey", lambda: saved(image("L"), "JPEG"), {"colours": "grey"}),
    ("JPEG, CMYK", lambda: saved(image("CMYK"), "JPEG"), {"colours": "CMYK"}),
    ("JPEG, turned", lambda: saved(image(), "JPEG", exif=turned(8)), {"colours": "RGB", "orientation": 8}),
    ("JPEG, sRGB", lambda: saved(image(), "JPEG", icc_profile=srgb()), {"colours": "RGB"}),
    ("JPEG, another profile", lambda: saved(image(), "JPEG", icc_profile=P3), {"colours": "RGB", "profile": True}),
    ("WebP", lambda: saved(image(), "WEBP"), {}),
    ("WebP, lossless", lambda: saved(image(), "WEBP", lossless=True), {}),
    ("WebP, alpha", lambda: saved(Image.linear_gradient("L").resize(SIZE).convert("RGBA").rotate(45), "WEBP"), {"alpha": True}),
    ("WebP, turned", lambda: saved(image(), "WEBP", exif=turned(3)), {"orientation": 3}),
    ("WebP, another profile", lambda: saved(image(), "WEBP", icc_profile=P3), {"profile": True}),
    ("WebP, animated", lambda: saved(image(), "WEBP", save_all=True, append_images=[image("RGB").rotate(90)]), {"frames": 2}),
    ("TIFF", lambda: saved(image(), "TIFF"), {"colours": "RGB"}),
    ("TIFF, packed", lambda: saved(image(), "TIFF", compression="tiff_lzw"), {"colours": "RGB"}),
    ("TIFF, 16 bits of grey", lambda: saved(Image.new("I;16", SIZE), "TIFF"), {"colours": "grey", "bits": 16}),
    ("TIFF, CMYK", lambda: saved(image("CMYK"), "TIFF"), {"colours": "CMYK"}),
    ("TIFF, alpha", lambda: saved(image("RGBA"), "TIFF"), {"colours": "RGB", "alpha": True}),
    ("TIFF, floats", lambda: saved(image("F"), "TIFF"), {"colours": FLOATS, "bits": 32}),
    ("TIFF, another profile", lambda: saved(image(), "TIFF", icc_profile=P3), {"colours": "RGB", "profile": True}),
    ("BMP", lambda: saved(image(), "BMP"), {}),
    ("GIF", lambda: saved(image("P"), "GIF"), {"colours": "palette"}),
]


@pytest.mark.parametrize(("name", "made", "wanted"), KINDS, ids=[name for name, _, _ in KINDS])
def test_a_header_says_what_a_picture_is(name: str, made: Callable[[], bytes], wanted: dict[str, Any]) -> None:
    content = made()
    assert read(content) == Picture(kind=name.partition(",")[0], bytes=len(content), width=40, height=30, **wanted)


@pytest.mark.parametrize(("content", "kind"), [
    (b"v/1\x01" + bytes(40), "EXR"), (b"8BPS" + bytes(40), "PSD"), (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
    (b"\0\0\0\x18ftypavif" + bytes(20), "AVIF"), (b"SDPX" + bytes(40), "DPX"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x0a" + bytes(40), "JPEG XL"),
])
def test_what_cannot_be_read_is_called_by_its_name(content: bytes, kind: str) -> None:
    found = refusal("a.png", read(content), content)
    assert found is not None
    assert (found.code, found.message) == ("not-a-picture", f"a.png is {kind}, which can be neither sent nor converted")


@pytest.mark.parametrize(("content", "words"), [
    (b"", "a.png is empty"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
     "a.png is a pointer of Git LFS, and its content is not here"),
    (b"\0\0\0\x20ftypisom" + bytes(20), "a.png is a clip and no picture"),
    (b"%PDF-1.7\n", "a.png is a PDF"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "a.png is an SVG drawing"),
    (b"BM is how this text begins, and it is none", "a.png is neither PNG nor JPEG, nor anything that could be made into one"),
    (b"<html>404</html>", "a.png is neither PNG nor JPEG, nor anything that could be made into one"),
])
def test_what_is_no_picture_is_told_in_words_that_help(content: bytes, words: str) -> None:
    found = refusal("a.png", read(content), content)
    assert found is not None
    assert found.message == words


@pytest.mark.parametrize("content", [png(width=2**31 - 1, height=2**31 - 1), png(width=10_000, height=8_001)])
def test_a_picture_of_more_pixels_than_are_ever_read_is_refused_by_its_header(content: bytes) -> None:
    found = refusal("a.png", read(content), content)
    assert found is not None
    assert found.code == "picture-too-large"
    assert refusal("a.png", Picture(kind="PNG", bytes=1, width=10_000, height=MOST_PIXELS // 10_000), b"") is None


def test_floating_point_values_are_refused_because_nobody_knows_how_bright_they_are() -> None:
    content = saved(image("F"), "TIFF")
    found = refusal("a.tif", read(content), content)
    assert found is not None
    assert "floating-point" in found.message


GOOD = Picture(kind="PNG", bytes=1000, width=1280, height=720, colours="RGB")


@pytest.mark.parametrize(("picture", "words"), [
    (GOOD, ()),
    (replace(GOOD, kind="JPEG"), ()),
    (replace(GOOD, kind="JPEG", colours=""), ()),  # a header that cannot be read: nobody could do better with it
    (replace(GOOD, kind="WebP", colours=""), ("WebP",)),
    (replace(GOOD, kind="TIFF", bits=16), ("TIFF", "16 bits")),
    (replace(GOOD, bits=16, alpha=True), ("16 bits", "transparency, laid on black")),
    (replace(GOOD, kind="JPEG", colours="CMYK"), ("CMYK",)),
    (replace(GOOD, colours="grey"), ("grey",)),
    (replace(GOOD, colours="palette"), ("palette",)),
    (replace(GOOD, kind="JPEG", orientation=6), ("turned upright",)),
    (replace(GOOD, profile=True), ("its colour profile",)),
    (replace(GOOD, frames=2), ("the first of its pictures",)),
    (replace(GOOD, bytes=10_000_001), ("larger than 10 MB",)),
    (replace(GOOD, kind="EXR"), ()),
    (None, ()),
])
def test_what_is_mended_is_told_and_what_is_good_travels_as_it_is(picture: Picture | None, words: tuple[str, ...]) -> None:
    assert why_converted(picture, ADVICE) == words


@pytest.mark.parametrize(("picture", "codes"), [
    (GOOD, []),
    (replace(GOOD, width=300, height=300), []),
    (replace(GOOD, width=299, height=600), ["small-picture"]),
    (replace(GOOD, width=750, height=300), []),
    (replace(GOOD, width=751, height=300), ["picture-proportions"]),
    (replace(GOOD, width=300, height=751), ["picture-proportions"]),
    (replace(GOOD, width=751, height=300, orientation=6), ["picture-proportions"]),
    (replace(GOOD, width=200, height=100), ["small-picture"]),
    (replace(GOOD, whole=False), ["damaged-picture"]),
    (replace(GOOD, width=0, height=0), ["damaged-picture"]),
])
def test_upstreams_advice_is_a_warning(picture: Picture, codes: list[str]) -> None:
    found = [*remarks("a.png", picture, ADVICE)]
    assert [item.code for item in found] == codes
    assert all(item.severity.value == "warning" for item in found)


WIDE, TALL = GOOD, replace(GOOD, width=720, height=1280)


@pytest.mark.parametrize(("first", "last", "wanted", "keys"), [
    (WIDE, WIDE, 16 / 9, []),
    (WIDE, replace(WIDE, width=1920, height=1088), 16 / 9, []),  # a few rows
    (WIDE, TALL, 16 / 9, ["last_frame"]),
    (WIDE, replace(TALL, orientation=6), 16 / 9, []),  # turned upright it is the same
    (TALL, None, 16 / 9, ["first_frame"]),
    (TALL, TALL, 9 / 16, []),
    (replace(WIDE, width=1998, height=1080), None, 16 / 9, []),  # 1.85:1
    (replace(WIDE, width=2048, height=858), None, 16 / 9, ["first_frame"]),  # 2.39:1
    (TALL, WIDE, 16 / 9, ["last_frame", "first_frame"]),
    (TALL, None, None, []),
    (None, TALL, 16 / 9, []),
    (replace(WIDE, width=0), TALL, 16 / 9, []),
])
def test_pictures_that_do_not_fit_each_other_or_the_shot_are_told(first: Picture | None, last: Picture | None,
                                                                  wanted: float | None, keys: list[str]) -> None:
    assert [key for key, _ in proportions(first, last, wanted)] == keys


# ── whatever the bytes ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("made", [made for _, made, _ in KINDS], ids=[name for name, _, _ in KINDS])
def test_a_picture_that_ends_anywhere_is_no_error_and_says_so_where_it_can(made: Callable[[], bytes]) -> None:
    content = made()
    for length in range(0, len(content), max(1, len(content) // 150)):
        found = read(content[:length])
        if found is not None and found.kind in ("PNG", "JPEG") and found.width:
            assert not found.whole


MADE = [made() for _, made, _ in KINDS]
MAGIC = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBPVP8X", b"GIF89a", b"BM"]


@given(st.sampled_from(MADE), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12))
def test_whatever_is_written_into_a_header_nothing_is_raised(made: bytes, changes: list[tuple[int, int]]) -> None:
    content = bytearray(made)
    for at, value in changes:
        content[at % len(content)] = value
    found = read(bytes(content))
    refusal("a", found, bytes(content))
    why_converted(found, ADVICE)
    if found is not None:
        assert 1 <= found.orientation <= 8
        assert all(item.code for item in remarks("a", found, ADVICE))


@given(st.binary(max_size=200), st.sampled_from(MAGIC))
def test_any_bytes_are_looked_at_without_an_error(rest: bytes, magic: bytes) -> None:
    found = read(magic + rest)
    assert found is None or found.bytes == len(magic + rest)


def test_a_profile_that_unpacks_to_megabytes_is_looked_at_and_not_unpacked() -> None:
    content = png(more=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000), 1)))
    tracemalloc.start()
    try:
        found = read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.profile
    assert peak < 1_000_000


def test_hundreds_of_thousands_of_parts_are_not_all_looked_at() -> None:
    content = png(more=chunk(b"tEXt", b"") * 200_000)
    found = read(content)
    assert found is not None
    assert (found.width, found.whole) == (4, True)
