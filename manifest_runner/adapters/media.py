"""Reads clips with PyAV: what they are, whether they are whole, and exactly their first and last frame.

Laws: nothing is believed of a name; a clip whose last bytes are missing is an error and never a shorter clip. A frame is
decoded, never taken from the nearest key frame. Everything foreign becomes a `MediaError` that names the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from manifest_runner.core.model import FramePosition, MediaFacts
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.container import InputContainer
    from av.video.reformatter import Colorspace
    from av.video.stream import VideoStream
    from PIL import Image
except ImportError as missing:
    raise MissingExtra("video", "reading clips") from missing

_MATRICES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU624, 6: Colorspace.SMPTE170M, 7: Colorspace.SMPTE240M,
             9: Colorspace.BT2020}
"""From H.264's number of a colour matrix to swscale's."""


@dataclass(frozen=True, slots=True)
class PyAvMedia:
    """`ports.Media`: the functions of this module, each in a thread."""

    async def probe(self, clip: Path) -> MediaFacts:
        # Only here: the functions below serve programs without an event loop, and anyio loads asyncio.
        import anyio.to_thread

        return await anyio.to_thread.run_sync(probe, clip)

    async def frame(self, clip: Path, position: FramePosition) -> bytes:
        import anyio.to_thread  # only here, as above

        return await anyio.to_thread.run_sync(frame, clip, position)


def probe(clip: Path) -> MediaFacts:
    """Facts of a clip, after reading all its packets and decoding its first frame; raises `MediaError`.

    Where the container does not say how many frames there are, all of them are decoded and counted.
    """
    with opened(clip) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise MediaError(f"{clip.name}: no frame rate")
        name = _container_name(container.format.name)
        if name == "mp4":
            check_boxes(clip)
        frames = _whole_frames(clip, container, stream)
        if stream.duration is not None and stream.time_base is not None:
            duration = stream.duration * stream.time_base
        else:
            duration = frames / rate
        return MediaFacts(
            container=name, codec=stream.codec_context.name,
            width=stream.codec_context.width, height=stream.codec_context.height, duration=round(float(duration), 3),
            frames=frames, frame_rate=f"{rate.numerator}/{rate.denominator}",
        )


def frame(clip: Path, position: FramePosition) -> bytes:
    """The exact first or last frame as PNG, at the clip's own size; raises `MediaError`."""
    with opened(clip) as (container, stream):
        found = None
        if position is FramePosition.LAST and stream.duration is not None:
            # To the last key frame: what follows it is decoded to the very end.
            container.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
        for decoded in container.decode(stream):
            if found is None or (decoded.pts or 0) >= (found.pts or 0):
                found = decoded
            if position is FramePosition.FIRST:
                break
        if found is None:
            raise MediaError(f"{clip.name}: no frame can be decoded")
        png = io.BytesIO()
        picture(found).save(png, "PNG")
        return png.getvalue()


@contextmanager
def opened(clip: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The clip and its first video stream; turns every foreign error of the block into a `MediaError`."""
    try:
        with av.open(str(clip)) as container:
            if not container.streams.video:
                raise MediaError(f"{clip.name}: no video in it")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # FFmpeg's text ends with the whole path, which says no more than the name.
        words = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{clip.name}: not a clip that can be read ({words})") from error


def picture(decoded: av.VideoFrame) -> Image.Image:
    """A decoded frame as an RGB picture in the colours that it was made with."""
    rgb = decoded.reformat(format="rgb24", src_colorspace=colour_matrix(decoded))
    plane = rgb.planes[0]
    return Image.frombytes("RGB", (rgb.width, rgb.height), bytes(plane), "raw", "RGB", plane.line_size)


def colour_matrix(decoded: av.VideoFrame) -> Colorspace:
    """How the frame's colours are coded; where the clip does not say, what players assume for its size."""
    guess = Colorspace.ITU709 if decoded.height >= 720 else Colorspace.ITU601
    return _MATRICES.get(int(decoded.colorspace), guess)


def frame_rate(facts: MediaFacts) -> Fraction:
    """Frames a second."""
    return Fraction(facts.frame_rate)


def _container_name(names: str) -> str:
    """FFmpeg calls a format by all its names (`mov,mp4,m4a,…`); one is enough."""
    every = names.split(",")
    return "mp4" if "mp4" in every else every[0]


def check_boxes(clip: Path) -> None:
    """An mp4 is a row of boxes that say their own length: raises `MediaError` where the last one ends beyond the file.

    FFmpeg does not mind when only the end of the index is missing; bytes that were promised are missing all the same.
    """
    size, at = clip.stat().st_size, 0
    with clip.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:  # the length is too large for its field and follows in the next eight bytes
                length = int.from_bytes(header[8:16], "big")
            if length == 0:  # to the end of the file
                return
            if at + length > size:
                raise MediaError(f"{clip.name}: cut off, {at + length - size} bytes are missing at its end")
            if length < 8:
                raise MediaError(f"{clip.name}: something that is no part of a clip follows at byte {at}")
            at += length


def _whole_frames(clip: Path, container: InputContainer, stream: VideoStream) -> int:
    """How many frames the clip shows. Raises `MediaError` where some of them are cut off."""
    if not stream.frames:
        return _counted(clip, container, stream)
    promised = len(stream.index_entries)
    packets = shown = 0
    decoded = False
    for packet in container.demux(stream):
        if packet.dts is None and not packet.size:  # the flush at the end
            continue
        if packet.is_corrupt:
            break
        packets += 1
        shown += not packet.is_discard
        decoded = decoded or bool(packet.decode())
    if packets < promised:
        raise MediaError(f"{clip.name}: cut off after {packets} of {promised} frames")
    if not decoded and not stream.codec_context.decode(None):
        raise MediaError(f"{clip.name}: no frame can be decoded")
    return shown


def _counted(clip: Path, container: InputContainer, stream: VideoStream) -> int:
    count = sum(1 for _ in container.decode(stream))
    if not count:
        raise MediaError(f"{clip.name}: no frame can be decoded")
    return count
