"""Reads the headers of picture files: kind, size, depth, colours, orientation. Pure, bounded, and without a library.

Laws: whatever the bytes are, the answer is a `Picture` or None, never an error; no more is read than a header; a number that a
stranger wrote is never followed outside the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from manifest_runner.core.pictures import FLOATS, Picture

_ENTRIES = 500
"""So many entries of a directory, and parts of a JPEG or WebP, are looked at; a real file has a few dozen."""

_CHUNKS = 20_000
"""So many chunks of a PNG are looked at: writers cut picture data into pieces of some kilobytes."""

_PROFILE = 4096
"""Bytes of a colour profile that are looked at: its name stands near its beginning."""

_UNREAD = (
    (b"v/1\x01", "EXR"), (b"8BPS", "PSD"), (b"SDPX", "DPX"), (b"XPDS", "DPX"), (b"#?RADIANCE", "HDR"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC", b"mif1": "HEIC",
           b"msf1": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}


def read(content: bytes) -> Picture | None:
    """What a picture is by its bytes; None for what is no picture that is known."""
    try:
        return _read(content)
    except (IndexError, ValueError, zlib.error):  # it ends, or contradicts itself, within its header
        kind = next((kind for magic, kind, _ in _READERS if len(magic) > 2 and content.startswith(magic)), None)
        return None if kind is None else Picture(kind=kind, bytes=len(content))


def _read(content: bytes) -> Picture | None:
    for magic, _, reader in _READERS:
        if content.startswith(magic):
            return reader(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    if content[4:8] == b"ftyp" and content[8:12] in _BRANDS:
        return Picture(kind=_BRANDS[content[8:12]], bytes=len(content))
    return next((Picture(kind=kind, bytes=len(content)) for magic, kind in _UNREAD if content.startswith(magic)), None)


def _big(content: bytes, at: int, size: int = 4) -> int:
    return _number(content, at, size, "big")


def _number(content: bytes, at: int, size: int, order: str) -> int:
    part = content[at:at + size]
    if len(part) < size:
        raise IndexError(at)
    return int.from_bytes(part, "little" if order == "little" else "big")


# ── PNG ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_PNG_COLOURS = {0: ("grey", False), 2: ("RGB", False), 3: ("palette", False), 4: ("grey", True), 6: ("RGB", True)}


def _png(content: bytes) -> Picture:
    if content[12:16] != b"IHDR":
        raise ValueError("no header")
    width, height, bits, colour = _big(content, 16), _big(content, 20), content[24], content[25]
    colours, alpha = _PNG_COLOURS.get(colour, ("", False))
    orientation, profile, frames, whole = 1, False, 1, False
    for kind, at, length in _chunks(content):
        if kind == b"tRNS":
            alpha = True
        elif kind == b"iCCP":
            name, _, packed = content[at:at + length].partition(b"\0")
            profile = not _is_srgb(name + zlib.decompressobj().decompress(packed[1:], _PROFILE))
        elif kind == b"eXIf":
            orientation = _orientation(content[at:at + length])
        elif kind == b"acTL":
            frames = _big(content, at)
        elif kind == b"IEND":
            whole = True
    # Fewer bits than eight are a palette's business, or grey, and named as that.
    return Picture(kind="PNG", bytes=len(content), width=width, height=height, bits=max(8, bits), colours=colours, alpha=alpha,
                   orientation=orientation, profile=profile, frames=frames, whole=whole)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of the chunks that are whole."""
    at = 8
    for _ in range(_CHUNKS):
        if at + 12 > len(content):
            return
        length = _big(content, at)
        if at + 12 + length > len(content):
            return
        yield content[at + 4:at + 8], at + 8, length
        at += 12 + length
    yield b"IEND", len(content), 0  # nobody made that for people; where it ends is not looked for


# ── JPEG ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_JPEG_COLOURS = {1: "grey", 3: "RGB", 4: "CMYK"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(content: bytes) -> Picture:
    width = height = bits = channels = 0
    orientation, profile, scan = 1, False, len(content)
    for marker, at, length in _segments(content):
        if marker in _FRAMES and not channels:
            bits, height, width, channels = content[at], _big(content, at + 1, 2), _big(content, at + 3, 2), content[at + 5]
        elif marker == 0xE1 and content[at:at + 6] == b"Exif\0\0":
            orientation = _orientation(content[at + 6:at + length])
        elif marker == 0xE2 and content[at:at + 13] == b"ICC_PROFILE\0\x01":  # the first part of it
            profile = not _is_srgb(content[at + 14:at + 14 + _PROFILE])
        elif marker == 0xDA:
            scan = at
    return Picture(kind="JPEG", bytes=len(content), width=width, height=height, bits=bits or 8,
                   colours=_JPEG_COLOURS.get(channels, ""), orientation=orientation, profile=profile,
                   whole=content.find(b"\xff\xd9", scan) >= 0)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, place and length of the segments up to the picture data, which the last one begins."""
    at = 2
    for _ in range(_ENTRIES):
        while content[at] == 0xFF and content[at + 1] == 0xFF:  # any number of them may stand before a marker
            at += 1
        if content[at] != 0xFF:
            raise ValueError("no marker")
        marker, length = content[at + 1], _big(content, at + 2, 2)
        yield marker, at + 4, length - 2
        if marker == 0xDA or length < 2:
            return
        at += 2 + length


# ── TIFF, and the EXIF data inside others, which is one ───────────────────────────────────────────────────────────

_SIZES = {1: 1, 3: 2, 4: 4}
_TIFF_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK"}


def _tiff(content: bytes) -> Picture:
    tags = _tags(content)
    bits, colours, extra = tags.get(258, 1), _TIFF_COLOURS.get(tags.get(262, -1), "other colours"), tags.get(338, 0)
    if tags.get(339) == 3:
        colours = FLOATS
    return Picture(kind="TIFF", bytes=len(content), width=tags.get(256, 0), height=tags.get(257, 0), bits=max(8, bits),
                   colours=colours, alpha=extra in (1, 2), orientation=_eighth(tags.get(274, 1)), profile=34675 in tags)


def _tags(content: bytes) -> dict[int, int]:
    """The numbers in a TIFF's first directory by tag: of several the first one."""
    if content[:2] not in (b"II", b"MM"):
        return {}
    order = "little" if content.startswith(b"II") else "big"
    at = _number(content, 4, 4, order)
    found: dict[int, int] = {}
    for index in range(min(_ENTRIES, _number(content, at, 2, order))):
        entry = at + 2 + 12 * index
        tag, kind, count = (_number(content, entry, 2, order), _number(content, entry + 2, 2, order),
                            _number(content, entry + 4, 4, order))
        size = _SIZES.get(kind, 0)
        place = entry + 8 if size * count <= 4 else _number(content, entry + 8, 4, order)
        found[tag] = _number(content, place, size, order) if size and count else 0
    return found


def _orientation(exif: bytes) -> int:
    """EXIF's number for how a picture is turned; 1 where nothing sensible is said."""
    try:
        return _eighth(_tags(exif).get(274, 1))
    except IndexError:
        return 1


def _eighth(value: int) -> int:
    return value if 1 <= value <= 8 else 1


# ── the others ────────────────────────────────────────────────────────────────────────────────────────────────────


def _gif(content: bytes) -> Picture:
    width, height = _number(content, 6, 2, "little"), _number(content, 8, 2, "little")
    return Picture(kind="GIF", bytes=len(content), width=width, height=height, colours="palette")


def _bmp(content: bytes) -> Picture | None:
    header = _number(content, 14, 4, "little")
    if header not in (12, 16, 40, 52, 56, 64, 108, 124):  # two letters are a weak sign
        return None
    if header < 40:
        return Picture(kind="BMP", bytes=len(content), width=_number(content, 18, 2, "little"),
                       height=_number(content, 20, 2, "little"))
    height = _number(content, 22, 4, "little")
    return Picture(kind="BMP", bytes=len(content), width=_number(content, 18, 4, "little"),
                   height=height if height < 2**31 else 2**32 - height)  # below zero: from top to bottom


def _webp(content: bytes) -> Picture:
    kind, at = content[12:16], 20
    alpha, frames, orientation, profile = False, 1, 1, False
    if kind == b"VP8X":
        flags = content[at]
        width, height = _number(content, at + 4, 3, "little") + 1, _number(content, at + 7, 3, "little") + 1
        alpha, frames = bool(flags & 0x10), 2 if flags & 0x02 else 1
        for name, place, length in _riff(content):
            if name == b"EXIF":
                orientation = _orientation(content[place:place + length].removeprefix(b"Exif\0\0"))
            elif name == b"ICCP":
                profile = not _is_srgb(content[place:place + min(length, _PROFILE)])
    elif kind == b"VP8L":
        packed = _number(content, at + 1, 4, "little")
        width, height, alpha = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, bool(packed >> 28 & 1)
    else:
        width, height = _number(content, at + 6, 2, "little") & 0x3FFF, _number(content, at + 8, 2, "little") & 0x3FFF
    return Picture(kind="WebP", bytes=len(content), width=width, height=height, alpha=alpha, frames=frames,
                   orientation=orientation, profile=profile, whole=_number(content, 4, 4, "little") + 8 <= len(content))


def _riff(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the parts of a RIFF file."""
    at = 12
    for _ in range(_ENTRIES):
        if at + 8 > len(content):
            return
        length = _number(content, at + 4, 4, "little")
        yield content[at:at + 4], at + 8, length
        at += 8 + length + length % 2


def _is_srgb(profile: bytes) -> bool:
    """Whether a colour profile calls itself sRGB, as pictures for screens do: nothing is to be converted then."""
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


_READERS = (
    (b"\x89PNG\r\n\x1a\n", "PNG", _png), (b"\xff\xd8\xff", "JPEG", _jpeg), (b"II*\0", "TIFF", _tiff), (b"MM\0*", "TIFF", _tiff),
    (b"GIF87a", "GIF", _gif), (b"GIF89a", "GIF", _gif), (b"BM", "BMP", _bmp),
)
