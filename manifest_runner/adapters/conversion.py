"""Makes pictures that people have into pictures that a gateway takes: PNG, or JPEG where PNG would be too large.

Laws: the same bytes give the same bytes (with the same Pillow); the pixels are those that a person sees, upright, in sRGB, on
black; nothing else of the file travels, no place, no name and no camera; what promises more pixels than are ever read is
refused before a pixel is. Everything foreign becomes a `MediaError`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from manifest_runner.core.pictures import CONVERTED, MOST_PIXELS
from manifest_runner.errors import MediaError, MissingExtra

try:
    from PIL import Image, ImageCms, ImageOps
except ImportError as missing:
    raise MissingExtra("video", "converting pictures") from missing

FORMATS = tuple(sorted(kind.upper() for kind in CONVERTED))
"""Pillow's names of what it may open: nothing that runs a program or follows a reference is among them."""

QUALITIES = (95, 92, 88, 82, 75)
"""JPEG qualities, the first of which is small enough is taken."""


def converted(content: bytes, most: int) -> bytes:
    """The picture as PNG, or as JPEG where that has more than `most` bytes. Raises `MediaError` where it cannot be read."""
    with picture_in(content) as image:
        plain = as_seen(image)
    png = _saved(plain, "PNG")
    if len(png) <= most:
        return png
    jpeg = b""
    for quality in QUALITIES:
        jpeg = _saved(plain, "JPEG", quality=quality, subsampling=0)
        if len(jpeg) <= most:
            break
    return jpeg


@contextmanager
def picture_in(content: bytes) -> Iterator[Image.Image]:
    """The opened picture, not decoded yet; turns whatever is wrong with it into a `MediaError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow tells people of odd tags: nobody is there to read it
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise MediaError(f"it has {image.width:,}×{image.height:,} pixels, more than is ever read")
                yield image
    except MediaError:
        raise
    # Pillow raises SyntaxError, struct errors, EOFError and more for files that only look like pictures.
    except Exception as error:
        raise MediaError(f"not a picture that can be read ({error})") from error


def as_seen(image: Image.Image) -> Image.Image:
    """The first picture of a file as a person sees it: RGB, 8 bits, upright, in sRGB, what is transparent on black."""
    profile = image.info.get("icc_profile")
    if image.mode == "F":
        raise MediaError("its values are floating-point numbers, which say nothing of how bright they are to be shown")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits of grey, of which Pillow would cut off all above 255
        upright = upright.point(lambda value: value * (1 / 256)).convert("L")
    alpha = None
    if upright.has_transparency_data:
        alpha = upright.convert("RGBA").getchannel("A")
    colours = _in_srgb(upright if alpha is None else _opaque(upright), profile)
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", colours.size), alpha)


def _opaque(image: Image.Image) -> Image.Image:
    """The picture without its transparency."""
    return image.convert("L") if image.mode in ("LA", "La") else image.convert("RGBA").convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB. A profile that fits the picture is followed; one that does not is left aside, as viewers do."""
    if image.mode == "P":
        image = image.convert("RGB")
    if profile is not None and image.mode in ("RGB", "L", "CMYK"):
        try:
            found = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                                              ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            found = None
        if found is not None:
            return found
    return image.convert("RGB")


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.info = {}  # what Pillow carries along and would write: the old profile, texts, a gamma
    image.save(out, kind, **options)
    return out.getvalue()
