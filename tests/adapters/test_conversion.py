"""Pictures that people have become pictures that a gateway takes: what a person sees, and nothing else of the file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from PIL import Image

from manifest_runner.adapters import conversion
from manifest_runner.adapters.conversion import converted
from manifest_runner.adapters.media import PyAvMedia
from manifest_runner.core.pictureheaders import read
from manifest_runner.core.pictures import why_converted
from manifest_runner.errors import MediaError
from tests.builders import CARD

SIZE = (40, 30)
MOST = CARD.frames.picture.max_bytes


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scene() -> Image.Image:
    """Red to the left, a gradient, and a corner that says which way is up."""
    picture = Image.merge("RGB", [Image.linear_gradient("L").resize(SIZE), Image.radial_gradient("L").resize(SIZE),
                                  Image.new("L", SIZE, 40)])
    picture.paste((250, 20, 20), (0, 0, 10, 30))
    picture.paste((255, 255, 255), (34, 0, 40, 6))
    return picture


SCENE = scene()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def deep_png(colour: int, pixel: Callable[[int, int], tuple[int, ...]]) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and cannot write."""
    rows = b"".join(b"\0" + b"".join(struct.pack(f">{len(pixel(x, y))}H", *pixel(x, y)) for x in range(SIZE[0]))
                    for y in range(SIZE[1]))
    header = struct.pack(">IIBBBBB", *SIZE, 16, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)


def deep_tiff(pixel: Callable[[int, int], tuple[int, int, int]]) -> bytes:
    """A TIFF of 16 bits a channel, one strip, not packed."""
    data = b"".join(struct.pack("<3H", *pixel(x, y)) for y in range(SIZE[1]) for x in range(SIZE[0]))
    tags = [(256, 4, 1, SIZE[0]), (257, 4, 1, SIZE[1]), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 0),
            (277, 3, 1, 3), (278, 4, 1, SIZE[1]), (279, 4, 1, len(data))]
    after = 8 + 2 + 12 * len(tags) + 4
    places = {258: after, 273: after + 6}
    entries = b"".join(struct.pack("<HHII", tag, kind, count, places.get(tag, value)) for tag, kind, count, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + struct.pack("<3H", 16, 16, 16) + data


def deep(x: int, y: int) -> tuple[int, int, int]:
    return x * 1600 + 77, y * 2000 + 99, 30_000


def most_apart(one: Image.Image, other: Image.Image) -> int:
    return max(abs(a - b) for a, b in zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True))


EXACT: list[tuple[str, Callable[[], bytes], Callable[[], Image.Image]]] = [
    ("WebP", lambda: saved(SCENE, "WEBP", lossless=True), lambda: SCENE),
    ("TIFF", lambda: saved(SCENE, "TIFF"), lambda: SCENE),
    ("TIFF, packed", lambda: saved(SCENE, "TIFF", compression="tiff_lzw"), lambda: SCENE),
    ("BMP", lambda: saved(SCENE, "BMP"), lambda: SCENE),
    ("palette", lambda: saved(SCENE.quantize(200), "PNG"), lambda: SCENE.quantize(200).convert("RGB")),
    ("GIF", lambda: saved(SCENE.quantize(200), "GIF"), lambda: SCENE.quantize(200).convert("RGB")),
    ("grey", lambda: saved(SCENE.convert("L"), "PNG"), lambda: SCENE.convert("L").convert("RGB")),
    ("one bit", lambda: saved(SCENE.convert("1"), "PNG"), lambda: SCENE.convert("1").convert("RGB")),
    ("16 bits", lambda: deep_png(2, deep), lambda: from_deep(deep)),
    ("16 bits and alpha", lambda: deep_png(6, lambda x, y: (*deep(x, y), 65535)), lambda: from_deep(deep)),
    ("16 bits of grey", lambda: deep_png(0, lambda x, _: deep(x, 0)[:1]), lambda: from_deep(lambda x, _: deep(x, 0)[:1] * 3)),
    ("TIFF, 16 bits", lambda: deep_tiff(deep), lambda: from_deep(deep)),
]


def from_deep(pixel: Callable[[int, int], tuple[int, ...]]) -> Image.Image:
    image = Image.new("RGB", SIZE)
    image.putdata([tuple(value * 255 // 65535 for value in pixel(x, y)) for y in range(SIZE[1]) for x in range(SIZE[0])])
    return image


@pytest.mark.parametrize(("made", "wanted"), [(made, wanted) for _, made, wanted in EXACT], ids=[name for name, _, _ in EXACT])
def test_a_picture_is_the_same_in_another_form(made: Callable[[], bytes], wanted: Callable[[], Image.Image]) -> None:
    content = made()
    assert why_converted(read(content), CARD.frames.picture)
    found = opened(converted(content, MOST))
    assert (found.format, found.mode, found.size) == ("PNG", "RGB", SIZE)
    assert most_apart(found, wanted()) <= 1
    assert not why_converted(read(converted(content, MOST)), CARD.frames.picture), "once is enough"


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_stands_upright_however_its_camera_was_held(kind: str, number: int) -> None:
    turn = Image.Transpose
    back = [turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM, turn.TRANSPOSE, turn.ROTATE_90, turn.TRANSVERSE,
            turn.ROTATE_270]
    stored = SCENE if number == 1 else SCENE.transpose(back[number - 2])
    exif = Image.Exif()
    exif[274] = number
    found = opened(converted(saved(stored, kind, exif=exif, quality=98), MOST))
    assert found.size == SIZE
    assert most_apart(found.crop((36, 1, 39, 4)), Image.new("RGB", (3, 3), "white")) < 40
    assert found.getexif().get(274) is None


def test_what_is_transparent_stands_on_black() -> None:
    clear = SCENE.copy()
    clear.putalpha(Image.linear_gradient("L").resize(SIZE))
    found = opened(converted(saved(clear, "PNG"), MOST))
    assert most_apart(found, Image.composite(SCENE, Image.new("RGB", SIZE), clear.getchannel("A"))) <= 1
    for kind in ("WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        assert most_apart(opened(converted(saved(clear, kind, **options), MOST)), found) <= 1


def test_a_transparent_colour_of_a_palette_is_black() -> None:
    plain = Image.new("P", SIZE, 3)
    plain.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 200, 200, 200])
    plain.paste(1, (0, 0, 20, 30))
    found = opened(converted(saved(plain, "PNG", transparency=1), MOST))
    assert [found.getpixel((5, 5)), found.getpixel((30, 5))] == [(0, 0, 0), (200, 200, 200)]


def test_grey_with_alpha_keeps_its_grey() -> None:
    grey = Image.merge("LA", [Image.new("L", SIZE, 150), Image.new("L", SIZE, 128)])
    assert opened(converted(saved(grey, "PNG"), MOST)).getpixel((3, 3)) == (75, 75, 75)


def test_cmyk_becomes_what_viewers_show() -> None:
    content = saved(SCENE.convert("CMYK"), "JPEG", quality=98)
    found = opened(converted(content, MOST))
    assert most_apart(found.crop((2, 2, 8, 28)), Image.new("RGB", (6, 26), (250, 20, 20))) < 40


def test_a_colour_profile_is_followed_and_does_not_travel() -> None:
    """In linear light a middle grey is stored darker than sRGB stores it."""
    content = saved(Image.new("RGB", SIZE, (120, 120, 120)), "PNG", icc_profile=linear())
    found = opened(converted(content, MOST))
    assert "icc_profile" not in found.info
    assert found.getpixel((3, 3)) == pytest.approx((181, 181, 181), abs=6)


def linear() -> bytes:
    """An RGB profile with the primaries of sRGB and a gamma of 1.0: its numbers are light itself."""

    def tag(kind: bytes, data: bytes) -> bytes:
        return kind + bytes(4) + data

    def xyz(*values: float) -> bytes:
        return tag(b"XYZ ", b"".join(struct.pack(">i", round(value * 65536)) for value in values))

    curve = tag(b"curv", struct.pack(">I", 0))
    tags = [(b"desc", tag(b"desc", struct.pack(">I", 7) + b"linear\0" + bytes(78))), (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
            (b"rXYZ", xyz(0.4361, 0.2225, 0.0139)), (b"gXYZ", xyz(0.3851, 0.7169, 0.0971)),
            (b"bXYZ", xyz(0.1431, 0.0606, 0.7139)), *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
            (b"cprt", tag(b"text", b"none\0"))]
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp" + bytes(28)
    header += struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    whole = header[:128].ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


@pytest.mark.parametrize("profile", [b"", b"not a profile", b"\0" * 400])
def test_a_profile_that_is_none_is_left_aside(profile: bytes) -> None:
    assert most_apart(opened(converted(saved(SCENE, "PNG", icc_profile=profile), MOST)), SCENE) == 0


def test_a_profile_for_other_colours_than_the_pictures_is_left_aside() -> None:
    grey = SCENE.convert("L")
    assert most_apart(opened(converted(saved(grey, "PNG", icc_profile=linear()), MOST)), grey) == 0


def test_where_it_would_be_too_large_it_becomes_a_jpeg_as_good_as_fits() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((300, 300), 60) for _ in range(3)])
    content = saved(noise, "TIFF")
    best, smaller = (opened_size(converted(content, most)) for most in (200_000, 80_000))
    assert best[0] == smaller[0] == "JPEG"
    assert 80_000 < best[1] <= 200_000
    assert smaller[1] < best[1]
    assert opened(converted(content, 200_000)).size == (300, 300)
    assert converted(content, 1) == converted(content, 2), "as small as it gets, and sent all the same"


def opened_size(content: bytes) -> tuple[str | None, int]:
    return opened(content).format, len(content)


def test_the_same_bytes_give_the_same_bytes() -> None:
    for content in (saved(SCENE, "WEBP"), saved(SCENE.convert("CMYK"), "JPEG"), saved(SCENE, "TIFF")):
        assert converted(content, MOST) == converted(content, MOST)
        assert converted(content, 10) == converted(content, 10)


def test_nothing_of_a_file_travels_but_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[274] = "Asha's flat, 4 Lamp Street", 1
    content = saved(SCENE, "TIFF", exif=exif, description="Lamp Street")
    assert b"Lamp Street" in content
    assert b"Lamp Street" not in converted(content, MOST)
    assert set(opened(converted(content, MOST)).info) <= {"srgb", "gamma"}


@pytest.mark.parametrize("content", [
    b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(50), saved(SCENE, "PNG")[:300], saved(SCENE, "JPEG")[:300],
    saved(SCENE, "WEBP")[:60], saved(SCENE.convert("F"), "TIFF"), b"%!PS-Adobe EPSF\n",
])
def test_what_cannot_be_read_is_a_media_error(content: bytes) -> None:
    with pytest.raises(MediaError):
        converted(content, MOST)


def test_a_bomb_is_refused_before_a_pixel_of_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "MOST_PIXELS", 1000)
    with pytest.raises(MediaError, match=r"40×30 pixels, more than is ever read"):
        converted(saved(SCENE, "PNG"), MOST)
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + huge + struct.pack(">I", zlib.crc32(b"IHDR" + huge))
    with pytest.raises(MediaError):
        converted(bomb, MOST)


def test_the_port_answers_like_the_function() -> None:
    content = saved(SCENE, "WEBP")
    assert anyio.run(PyAvMedia().picture, content, MOST) == converted(content, MOST)
