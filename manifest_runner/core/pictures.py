"""What a picture file is, by its bytes and never by its name; what upstream says of such a picture; and whether it can be sent.

Laws: nothing is decoded here, so that a plan needs no library and costs a look at a header; what the gateway's own page does
not forbid is a warning and never a refusal; only what nobody could read as one picture is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from manifest_runner.core.model import Severity
from manifest_runner.core.modelcard import PictureAdvice

MOST_PIXELS = 80_000_000
"""Pixels of the largest picture: a few kilobytes can promise more than a machine has memory for."""

RATIO_SLACK = 0.02
"""By which share the first and the last picture may differ in proportions: a row or two of pixels."""

CLEARLY = 0.05
"""By which share a picture may differ from the shot's aspect ratio: 1.85:1 is cut for 16:9 every day."""

SENT = {"PNG": "image/png", "JPEG": "image/jpeg"}
"""What travels as it is, with its media type."""

FLOATS = "floating-point values"
"""Colours of a TIFF as renderers write it, which say nothing of how bright they are to be shown."""

CONVERTED = frozenset({*SENT, "WebP", "TIFF", "BMP", "GIF"})
"""What can be made into one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the header of a picture says. Width and height are in pixels as they are stored, 0 where they are not known; `bits`
    are those of a channel; `colours` is `RGB`, `grey`, `palette` or `CMYK`, or empty where it is not known; `orientation` is
    EXIF's number, 1 to 8; `profile` is true for a colour profile other than sRGB; `whole` is false where the end of the file is
    missing. """

    kind: str
    bytes: int
    width: int = 0
    height: int = 0
    bits: int = 8
    colours: str = ""
    alpha: bool = False
    orientation: int = 1
    profile: bool = False
    frames: int = 1
    whole: bool = True

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as it is seen."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def ratio(self) -> float | None:
        """Width to height as it is seen; None where that is not known."""
        width, height = self.upright
        return width / height if width and height else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something to say about a picture file, named in `message` by its path."""

    code: str
    message: str
    hint: str
    severity: Severity = Severity.WARNING


def refusal(path: str, picture: Picture | None, content: bytes) -> Remark | None:
    """Why a file can be sent neither as it is nor converted; None where it can."""
    if picture is None:
        what, hint = _something_else(content)
        return Remark(code="not-a-picture", message=f"{path} {what}", hint=hint, severity=Severity.ERROR)
    if picture.kind not in CONVERTED:
        return Remark(code="not-a-picture", message=f"{path} is {picture.kind}, which can be neither sent nor converted",
                      hint="export it as PNG or JPEG", severity=Severity.ERROR)
    if picture.colours == FLOATS:
        return Remark(code="not-a-picture", message=f"{path} is {picture.kind} with {FLOATS}, which cannot be converted",
                      hint="export it with 8 or 16 bits a channel", severity=Severity.ERROR)
    if picture.width * picture.height > MOST_PIXELS:
        return Remark(code="picture-too-large", severity=Severity.ERROR, hint="make it smaller: clips are 1920×1080 at most",
                      message=f"{path} has {picture.width:,}×{picture.height:,} pixels, more than is ever read")
    return None


def why_converted(picture: Picture | None, advice: PictureAdvice) -> tuple[str, ...]:
    """What is mended about a picture before it is sent, in words; nothing where it travels byte for byte as it is."""
    if picture is None or picture.kind not in CONVERTED:
        return ()
    found = []
    if SENT.get(picture.kind) not in advice.types:
        found.append(picture.kind)
    if picture.bits != 8:
        found.append(f"{picture.bits} bits")
    if picture.colours not in ("RGB", ""):
        found.append(picture.colours)
    if picture.alpha:
        found.append("transparency, laid on black")
    if picture.profile:
        found.append("its colour profile")
    if picture.orientation != 1:
        found.append("turned upright")
    if picture.frames > 1:
        found.append("the first of its pictures")
    if picture.bytes > advice.max_bytes and SENT.get(picture.kind) in advice.types:
        found.append(f"larger than {_megabytes(advice.max_bytes)}")
    return tuple(found)


def remarks(path: str, picture: Picture, advice: PictureAdvice) -> Iterator[Remark]:
    """What upstream's documentation says of such a picture: warnings."""
    width, height = picture.upright
    if not picture.whole:
        words = f"{path} is cut off: the end of the file is missing"
        yield Remark(code="damaged-picture", message=words, hint="export it again")
    elif not (width and height):
        words = f"{path} begins like {picture.kind}, and its size cannot be read"
        yield Remark(code="damaged-picture", message=words, hint="export it again")
    if width and height and min(width, height) < advice.min_side:
        words = f"{path} has {width}×{height} pixels; upstream asks for {advice.min_side} a side at least"
        yield Remark(code="small-picture", message=words, hint="export it larger")
    if (ratio := picture.ratio) is not None and not 1 / advice.max_ratio <= ratio <= advice.max_ratio:
        most = f"{advice.max_ratio:g}"
        words = f"{path} has {width}×{height} pixels; upstream takes pictures between 1:{most} and {most}:1"
        yield Remark(code="picture-proportions", message=words, hint="crop it")


def proportions(first: Picture | None, last: Picture | None, wanted: float | None) -> Iterator[tuple[str, Remark]]:
    """How a shot's pictures do not fit each other or its aspect ratio, with the key that it is about. `wanted` is the ratio as
    a number; it counts for the first picture, whose shape the clip takes."""
    one, two = (None if picture is None else picture.ratio for picture in (first, last))
    if one and two and abs(one / two - 1) > RATIO_SLACK:
        words = f"first_frame is {_shape(first)} and last_frame {_shape(last)}: the clip would have to change its shape"
        yield "last_frame", Remark(code="frame-proportions", message=words, hint="crop them alike")
    if one and wanted and abs(one / wanted - 1) > CLEARLY:
        words = f"first_frame is {_shape(first)}, and the clip takes its shape: that is not the aspect_ratio of the shot"
        hint = "crop it, or name the aspect_ratio that it has"
        yield "first_frame", Remark(code="frame-proportions", message=words, hint=hint)


def _shape(picture: Picture | None) -> str:
    return "" if picture is None else f"{picture.upright[0]}×{picture.upright[1]}"


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:g} MB"


def _something_else(content: bytes) -> tuple[str, str]:
    """What a file is that is no picture, and what to do about it."""
    if not content:
        return "is empty", "export it again"
    if content.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, and its content is not here", "fetch it: git lfs pull"
    if content[4:8] == b"ftyp":
        return "is a clip and no picture", "a frame of a shot's clip is {shot: ID, frame: last}"
    if content.startswith(b"%PDF"):
        return "is a PDF", "export its page as PNG or JPEG"
    if b"<svg" in content[:1000]:
        return "is an SVG drawing", "export it as PNG"
    return "is neither PNG nor JPEG, nor anything that could be made into one", "export it as PNG or JPEG"
