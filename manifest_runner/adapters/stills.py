"""Small pictures of clips and of picture files, for pages: JPEG, upright as they are, never stretched.

A clip gives three: what the cut shows of it (the middle of the cut), and its exact first and last frame, which is what other
shots begin and end on.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from manifest_runner.adapters.media import opened, picture
from manifest_runner.core.model import Cut
from manifest_runner.errors import MediaError, MissingExtra

try:
    from PIL import Image

    from manifest_runner.adapters.conversion import as_seen, picture_in
except ImportError as missing:
    raise MissingExtra("video", "pictures of clips") from missing

_SMALL = 160
"""Pixels of the longer side of a first or last frame."""

_QUALITY = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """Three frames of a clip as JPEG bytes."""

    poster: bytes
    first: bytes
    last: bytes


def stills(clip: Path, cut: Cut, *, side: int) -> Stills:
    """The middle of the cut at most `side` pixels long, and the first and last frame, smaller. Raises `MediaError`."""
    with opened(clip) as (container, stream):
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or 24)
        length = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        middle = int((cut.start + (length if cut.end is None else min(length, cut.end))) / 2 * rate)
        first = shown = last = None
        for index, decoded in enumerate(container.decode(stream)):
            first = first or decoded
            if index <= middle:
                shown = decoded
            last = decoded
        if first is None or shown is None or last is None:
            raise MediaError(f"{clip.name}: no frame can be decoded")
        return Stills(poster=_jpeg(picture(shown), side), first=_jpeg(picture(first), _SMALL),
                      last=_jpeg(picture(last), _SMALL))


def thumbnail(content: bytes, name: str) -> bytes:
    """A picture file as a small JPEG; raises `MediaError` where it cannot be read."""
    try:
        with picture_in(content) as image:
            image.draft(image.mode, (_SMALL * 2, _SMALL * 2))
            return _jpeg(as_seen(image), _SMALL)
    except MediaError as error:
        raise MediaError(f"{name}: {error.message}") from error


def _jpeg(image: Image.Image, side: int) -> bytes:
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


class KeptStills:
    """`stills`, made once for each clip and kept in `folder`, by the clip's own name, size and time of change: nothing that a
    lockfile says of it counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, clip: Path, cut: Cut, *, side: int) -> Stills:
        """As `stills`. What cannot be kept is made again the next time."""
        facts = clip.stat()
        words = f"{clip}|{facts.st_size}|{facts.st_mtime_ns}|{cut.start}|{cut.end}|{side}|{_SMALL}|{_QUALITY}"
        kept = self._folder / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"
        try:
            return Stills(**{name: base64.b64decode(text) for name, text in json.loads(kept.read_bytes()).items()})
        except (OSError, TypeError, ValueError, AttributeError):
            made = stills(clip, cut, side=side)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept.write_text(json.dumps({name: base64.b64encode(getattr(made, name)).decode() for name in Stills.__slots__}))
        return made
