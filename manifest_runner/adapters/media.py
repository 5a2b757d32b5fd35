"""Reads clips with PyAV: what they are, whether they are whole, what can be seen in them, and exactly their first and last
frame.

Laws: nothing is believed of a name; a clip whose last bytes are missing is an error and never a shorter clip. A frame is
decoded, never taken from the nearest key frame, and its colours are off by no more than rounding. Everything foreign becomes a
`MediaError` that names the file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from manifest_runner.core.model import FramePosition, MediaFacts
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.container import InputContainer
    from av.video.reformatter import Colorspace, Interpolation
    from av.video.stream import VideoStream
    from PIL import Image

    from manifest_runner.adapters.measuring import Measuring
except ImportError as missing:
    raise MissingExtra("video", "reading clips") from missing

_EXACT = (Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
          | Interpolation.FULL_CHR_H_INP)
"""How colours are worked out. By its usual short cuts swscale is off by up to 4 of 255, and each link of a chain adds to it."""

See = Callable[[av.VideoFrame], None]
"""Told of each frame in the order in which they are shown."""

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

    async def picture(self, content: bytes, most: int) -> bytes:
        import anyio.to_thread  # only here, as above

        from manifest_runner.adapters.conversion import converted  # start-up: few pictures need it

        return await anyio.to_thread.run_sync(converted, content, most)


def probe(clip: Path) -> MediaFacts:
    """Facts of a clip after decoding every frame of it, once; raises `MediaError`."""
    measuring = Measuring()
    found = _facts(clip, measuring.see)
    return replace(found, measured=measuring.measured())


def outline(clip: Path) -> MediaFacts:
    """The facts without `measured`, for clips that are known: all packets are read and the first frame is decoded. Raises
    `MediaError`."""
    return _facts(clip, None)


def _facts(clip: Path, see: See | None) -> MediaFacts:
    with opened(clip) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise MediaError(f"{clip.name}: no frame rate")
        name = _container_name(container.format.name)
        if name == "mp4":
            check_boxes(clip)
        frames = _whole_frames(clip, container, stream, see)
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
    rgb = decoded.reformat(format="rgb24", src_colorspace=colour_matrix(decoded), interpolation=_EXACT)
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


def _whole_frames(clip: Path, container: InputContainer, stream: VideoStream, see: See | None) -> int:
    """How many frames the clip shows, each given to `see` where it can be decoded; without it no more than the first is decoded
    where the container knows their number. Raises `MediaError` where some of them are cut off, or none can be decoded."""
    promised = len(stream.index_entries) if stream.frames else 0
    packets = shown = decoded = 0
    for packet in container.demux(stream):
        is_end = packet.dts is None and not packet.size  # what the decoder still holds comes out of it
        if packet.is_corrupt:
            break
        packets += not is_end
        shown += not is_end and not packet.is_discard
        if see is None and promised and decoded:
            continue
        for found in _decoded(packet):
            decoded += 1
            if see is not None:
                see(found)
    if packets < promised:
        raise MediaError(f"{clip.name}: cut off after {packets} of {promised} frames")
    if not decoded:
        raise MediaError(f"{clip.name}: no frame can be decoded")
    return shown if promised else decoded


def _decoded(packet: av.Packet[VideoStream]) -> list[av.VideoFrame]:
    """The frames that a packet completes; none where its bytes make no sense, which is for the verdict about the clip to
    say."""
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []
