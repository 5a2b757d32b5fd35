"""What a reel must know of a clip before it cuts it: every frame's time and packet, its colours, its sound, its bytes.

Laws: only packets are read, all of them, and nothing is decoded but what `outline` decodes to tell a whole clip from a broken
one. What decides whether packets of several clips may stand in one stream is compared byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from manifest_runner.adapters.media import opened, outline
from manifest_runner.adapters.store import sha256_of
from manifest_runner.core.reelplan import Clip, even_times
from manifest_runner.core.timecode import tidy_rate, uneven_rate
from manifest_runner.errors import MediaError, MissingExtra

try:
    from av.video.stream import VideoStream
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing

CODECS = ("h264", "hevc", "av1", "vp9")
"""Whose packets an mp4 holds as they are."""

_HDR = (16, 18)
"""H.264's numbers of the transfers PQ and HLG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A clip with all that is needed to cut it.

    `stamps` are the frames' pts in the order in which they are shown, `order` the frame of each packet in the order of
    decoding, `keys` the packets that begin anew; `begins` is the file's own time of the first frame, in seconds. Streams of
    one `likeness` may be joined without decoding.
    """

    path: Path
    sha256: str
    clip: Clip
    stamps: tuple[int, ...]
    order: tuple[int, ...]
    keys: frozenset[int]
    likeness: tuple[object, ...]
    begins: Fraction
    codec: str
    hdr: bool
    sound: bool


def inspect(path: Path) -> Source:
    """Read a clip's facts and packets. Raises `MediaError` where it is not whole."""
    facts = outline(path)
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise MediaError(f"{path.name}: cannot be read: {error.strerror}") from error
    with opened(path) as (container, stream):
        packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream)
                   if packet.size and not packet.is_discard and packet.pts is not None]
        stamps = tuple(sorted(pts for pts, _ in packets if pts is not None))
        if len(stamps) != facts.frames or len(set(stamps)) != len(stamps) or stream.time_base is None:
            raise MediaError(f"{path.name}: its frames have no times of their own")
        number = {pts: frame for frame, pts in enumerate(stamps)}
        clip = _clip(stream, stamps, stream.time_base, Fraction(facts.frame_rate))
        return Source(
            path=path, sha256=digest, clip=clip, stamps=stamps, begins=stamps[0] * stream.time_base, codec=facts.codec,
            order=tuple(number[pts] for pts, _ in packets if pts is not None),
            keys=frozenset(index for index, (_, key) in enumerate(packets) if key), likeness=_likeness(stream, clip),
            hdr=int(stream.codec_context.color_trc or 0) in _HDR, sound=bool(container.streams.audio),
        )


def _clip(stream: VideoStream, stamps: tuple[int, ...], base: Fraction, said: Fraction) -> Clip:
    times = tuple((pts - stamps[0]) * base for pts in stamps)
    rate = tidy_rate(said)
    is_even = even_times(times, rate)
    if not is_even:
        rate = uneven_rate(said)
        # The last frame is shown as long as the others are on the average; a container seldom says.
        times = (*times, times[-1] + (times[-1] / (len(times) - 1) if len(times) > 1 else 1 / rate))
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    return Clip(frames=len(stamps), rate=rate, width=stream.codec_context.width, height=stream.codec_context.height,
                sample_aspect=Fraction(aspect) if aspect else Fraction(1), times=() if is_even else times)


def _likeness(stream: VideoStream, clip: Clip) -> tuple[object, ...]:
    """Everything of a stream that stands once for all its packets."""
    context = stream.codec_context
    colours = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    return (context.name, context.extradata, clip.width, clip.height, context.pix_fmt, clip.sample_aspect, clip.rate,
            *(int(value or 0) for value in colours))
