"""One film out of many clips, and one picture out of many clips.

Laws: cuts are exact to the frame, by the rule of `core/cut.py` that timelines follow, too; no picture is stretched; memory does
not grow with the film; a file appears under its name only when it is whole and on disk. Sound is left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from manifest_runner.adapters.media import colour_matrix, frame_rate, opened, outline, picture
from manifest_runner.core.cut import frames_shown, frames_used
from manifest_runner.core.model import Cut, MediaFacts
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.video.reformatter import ColorRange, Colorspace
    from PIL import Image, ImageDraw, ImageFont
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing

_BT709 = 1  # H.264's number for it: primaries, transfer and matrix

# The number of threads is fixed because it changes the bytes; the machine's cores must not.
_ENCODER = {"preset": "superfast", "crf": "19", "threads": "4"}

_BACKGROUND, _INK = (18, 20, 24), (214, 216, 220)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What the film uses of a clip: in and out points in seconds from the clip's start; `end` None means to its end, `name`
    is for messages."""

    clip: Path
    start: float = 0.0
    end: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A segment in frames: the clip's frames from `first` until before `stop`, shown as `count` frames of the film."""

    segment: Segment
    first: int
    stop: int
    rate: Fraction
    count: int


def cut_reel(segments: Sequence[Segment], to: Path, *, on_progress: Callable[[int, int], None] | None = None) -> MediaFacts:
    """Cut the segments together in their order into an H.264 mp4 at `to`, and return its facts.

    The first segment's clip gives size and frame rate; other sizes are fitted inside with black bars, other rates take the
    frame nearest in time. `on_progress(frames done, frames in all)` is called after each frame. Raises `MediaError`.
    """
    if not segments:
        raise MediaError(f"{to.name}: a reel of no clips")
    first = outline(segments[0].clip)
    rate, size = frame_rate(first), (first.width - first.width % 2, first.height - first.height % 2)
    parts = [_part(segment, rate) for segment in segments]
    part_file = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        _write(_film(parts, rate, size), part_file, size, rate, sum(part.count for part in parts), on_progress)
        _settle(part_file, to)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{to.name}: the reel cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part_file.unlink(missing_ok=True)
    return outline(to)


def _part(segment: Segment, film_rate: Fraction) -> _Part:
    facts = outline(segment.clip)
    rate = frame_rate(facts)
    used = frames_used(Cut(start=segment.start, end=segment.end), rate=rate, frames=facts.frames)
    if not used or used.start < 0:
        end = facts.duration if segment.end is None else segment.end
        raise MediaError(f"{segment.name or segment.clip.name}: no frame lies between the in point {segment.start:g} s and the "
                         f"out point {end:g} s of a clip of {facts.duration:g} s")
    count = frames_shown(used, rate=rate, frames=facts.frames, shown_at=film_rate)
    return _Part(segment=segment, first=used.start, stop=used.stop, rate=rate, count=count)


def _film(parts: Sequence[_Part], rate: Fraction, size: tuple[int, int]) -> Iterator[av.VideoFrame]:
    """All frames of the film, ready for the encoder but for their times."""
    for part in parts:
        shown = 0
        for index, decoded in _decoded(part):
            while shown < part.count and _source(part, shown, rate) == index:
                yield _fitted(decoded, size)
                shown += 1
        if shown < part.count:
            raise MediaError(f"{part.segment.name or part.segment.clip.name}: ends {part.count - shown} frames early")


def _source(part: _Part, shown: int, rate: Fraction) -> int:
    """The clip's frame that is nearest in time to the film's frame `shown` of this part."""
    return min(part.stop - 1, part.first + math.floor(shown * part.rate / rate + Fraction(1, 2)))


def _decoded(part: _Part) -> Iterator[tuple[int, av.VideoFrame]]:
    """The clip's frames with their numbers, up to the out point."""
    with opened(part.segment.clip) as (container, stream):
        for index, decoded in enumerate(container.decode(stream)):
            if index >= part.stop:
                return
            if index >= part.first:
                yield index, decoded


def _fitted(decoded: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """The whole picture inside a frame of `size`, in the film's colours; a new frame that the encoder may keep."""
    scale = min(Fraction(size[0], decoded.width), Fraction(size[1], decoded.height))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (decoded.width, decoded.height))
    frame = decoded.reformat(width, height, "yuv420p", src_colorspace=colour_matrix(decoded), dst_colorspace=Colorspace.ITU709,
                             dst_color_range=ColorRange.MPEG)
    return _copied(frame, size)


def _copied(frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """`frame` in the middle of a black frame of `size`."""
    film = av.VideoFrame(*size, "yuv420p")
    left, top = ((whole - part) // 4 * 2 for whole, part in zip(size, (frame.width, frame.height), strict=True))
    for number, (source, target) in enumerate(zip(frame.planes, film.planes, strict=True)):
        part = Image.frombytes("L", (source.width, source.height), bytes(source), "raw", "L", source.line_size)
        sheet = Image.new("L", (target.line_size, target.height), 128 if number else 16)
        sheet.paste(part, (left // 2, top // 2) if number else (left, top))
        target.update(sheet.tobytes())
    return film


def _write(frames: Iterator[av.VideoFrame], to: Path, size: tuple[int, int], rate: Fraction, total: int,
           on_progress: Callable[[int, int], None] | None) -> None:
    with av.open(str(to), "w", format="mp4", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=_ENCODER)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_range, context.colorspace = ColorRange.MPEG, _BT709
        context.color_primaries = context.color_trc = _BT709
        for done, frame in enumerate(frames, 1):
            container.mux(stream.encode(frame))
            if on_progress is not None:
                on_progress(done, total)
        container.mux(stream.encode(None))


def _settle(part_file: Path, to: Path) -> None:
    """Give the finished file its name, so that a power cut leaves the old file or the new one."""
    _sync(part_file, os.O_RDWR)
    part_file.replace(to)
    _sync(to.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def contact_strip(clips: Sequence[tuple[str, Path]], to: Path, *, columns: int = 4, width: int = 1600) -> None:
    """A PNG with the middle frame of each clip and its label below, `columns` side by side and `width` pixels wide.

    Every cell has the shape of the first clip; others are fitted inside. Raises `MediaError`.
    """
    if not clips:
        raise MediaError(f"{to.name}: a contact sheet of no clips")
    columns = max(1, min(columns, len(clips)))
    gap = max(4, width // 80)
    cell = (width - gap * (columns + 1)) // columns
    pictures = [(label, _middle(clip)) for label, clip in clips]
    tall = round(cell * pictures[0][1].height / pictures[0][1].width)
    line = max(10, cell // 18)
    row = tall + round(line * 1.9)
    rows = math.ceil(len(clips) / columns)
    sheet = Image.new("RGB", (width, gap + rows * (row + gap)), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=line)
    for index, (label, image) in enumerate(pictures):
        x, y = gap + index % columns * (cell + gap), gap + index // columns * (row + gap)
        image.thumbnail((cell, tall), Image.Resampling.LANCZOS)
        sheet.paste(image, (x + (cell - image.width) // 2, y + (tall - image.height) // 2))
        pen.text((x + cell / 2, y + tall + line * 1.1), label, font=font, fill=_INK, anchor="mm")
    try:
        sheet.save(to, "PNG")
    except OSError as error:
        raise MediaError(f"{to.name}: the contact sheet cannot be written: {error.strerror or error}") from error


def _middle(clip: Path) -> Image.Image:
    """The middle frame of a clip, small enough to keep many."""
    middle = outline(clip).frames // 2
    with opened(clip) as (container, stream):
        for index, decoded in enumerate(container.decode(stream)):
            if index == middle:
                image = picture(decoded)
                image.thumbnail((1600, 1600))
                return image
    raise MediaError(f"{clip.name}: no frame can be decoded")
