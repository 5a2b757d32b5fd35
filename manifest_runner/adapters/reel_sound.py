"""The sound of a reel: what the clips have of their own, a temp track under it, and silence where there is neither.

Laws: 48 kHz, stereo, and exactly as many samples as the picture lasts; a shot's sound begins at the sample nearest to its
first frame, so that sound and picture drift nowhere. Where both sound, the temp track is at half its level. Encoded in one go:
pieces of AAC cannot be joined without a gap. Memory does not grow with the film.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from manifest_runner.adapters.reel_clips import Source
from manifest_runner.core.cutpoints import nearest
from manifest_runner.core.reelplan import Kind, ReelPlan
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.filter import Graph
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing

RATE = 48_000
_SAMPLE = 8  # bytes of one sample of both channels, as 32-bit floats side by side
_BLOCK = 4_800
_BIT_RATE = 192_000


def check_sound(path: Path) -> None:
    """Raises `MediaError` where the file holds no sound that can be read."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(f"{path.name}: no sound in it", code="sound", hint="a wav, mp3 or m4a file")
            if next(container.decode(audio=0), None) is None:
                raise MediaError(f"{path.name}: no sound can be decoded", code="sound", hint="a wav, mp3 or m4a file")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path.name}: not a sound that can be read ({words})", code="sound",
                         hint="a wav, mp3 or m4a file") from error


def sound_packets(container: OutputContainer, plan: ReelPlan, sources: Sequence[Source | None], temp: Path | None, *,
                  own: bool) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    """Add a stream of sound to the film, and return its packets with their times. `sources` are by entry; `own` keeps the
    clips' sound, `temp` is a file to be laid under."""
    stream = container.add_stream("aac", rate=RATE, options={"flags": "+bitexact"})
    stream.codec_context.layout = "stereo"
    stream.codec_context.bit_rate = _BIT_RATE
    tracks = [_own(plan, sources)] if own else []
    if temp is not None:
        tracks.append(_stretch(temp, None, Fraction(0), _samples(plan.frames / plan.rate)))
    return _encoded(stream, _mixed([_even(track) for track in tracks]) if len(tracks) > 1 else _even(tracks[0]))


def _encoded(stream: AudioStream, blocks: Iterable[bytes]) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    at = 0
    for block in blocks:
        frame = _frame(block, at)
        at += frame.samples
        yield from _timed(stream.encode(frame))
    yield from _timed(stream.encode(None))


def _timed(packets: Iterable[av.Packet[Any]]) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    for packet in packets:
        yield Fraction(packet.pts or 0) * (packet.time_base or Fraction(1, RATE)), packet


def _own(plan: ReelPlan, sources: Sequence[Source | None]) -> Iterator[bytes]:
    """The clips' sound span by span, silence where a span has none."""
    for span in plan.spans:
        source = sources[span.entry] if span.kind is Kind.SHOT else None
        count = _samples((span.at + span.frames) / plan.rate) - _samples(span.at / plan.rate)
        if source is None or not source.sound:
            yield from _silence(count)
        else:
            yield from _stretch(source.path, source.begins, source.clip.begins(span.first), count)


def _stretch(path: Path, zero: Fraction | None, begin: Fraction, count: int) -> Iterator[bytes]:
    """`count` samples of a file's sound from `begin` seconds after `zero` on (a time of the file's; None: where its sound
    begins), silence where it has none."""
    first, left, at = _samples(begin), count, None
    for own, data in _decoded(path):
        if at is None:
            at = 0 if zero is None else _samples(own - zero)
            ahead = min(left, max(0, at - first))
            yield from _silence(ahead)
            left -= ahead
        skip = max(0, first - at)
        part = data[skip * _SAMPLE:(skip + left) * _SAMPLE]
        at += len(data) // _SAMPLE
        left -= len(part) // _SAMPLE
        yield part
        if not left:
            return
    yield from _silence(left)


def _decoded(path: Path) -> Iterator[tuple[Fraction, bytes]]:
    """A file's sound as the film wants it; with each part the file's own time of the packet that it came from."""
    try:
        with av.open(str(path)) as container:
            resampler = AudioResampler(format="flt", layout="stereo", rate=RATE)
            own = Fraction(0)
            for decoded in container.decode(audio=0):
                own = Fraction(decoded.pts or 0) * (decoded.time_base or Fraction(1, RATE))
                for frame in resampler.resample(decoded):
                    yield own, bytes(frame.planes[0])[:frame.samples * _SAMPLE]
            for frame in resampler.resample(None):
                yield own, bytes(frame.planes[0])[:frame.samples * _SAMPLE]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{path.name}: its sound cannot be read ({words})", code="sound") from error


def _silence(count: int) -> Iterator[bytes]:
    for begin in range(0, count, _BLOCK):
        yield bytes(min(_BLOCK, count - begin) * _SAMPLE)


def _even(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same samples in blocks of one length; only the last one is shorter."""
    waiting, size = b"", _BLOCK * _SAMPLE
    for part in parts:
        waiting += part
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def _mixed(tracks: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """Clips' sound and, at half its level, the temp track."""
    graph = Graph()
    graph.threads = 1
    ends = [graph.add_abuffer(format="flt", sample_rate=RATE, layout="stereo", time_base=Fraction(1, RATE)) for _ in tracks]
    mix = graph.add("amix", inputs="2", duration="longest", normalize="0", weights="1 0.5")
    shape = graph.add("aformat", sample_fmts="flt", channel_layouts="stereo")
    sink = graph.add("abuffersink")
    for number, end in enumerate(ends):
        end.link_to(mix, 0, number)
    mix.link_to(shape)
    shape.link_to(sink)
    graph.configure()
    at = 0
    for blocks in zip(*tracks, strict=True):
        for end, block in zip(ends, blocks, strict=True):
            end.push(_frame(block, at))
        at += len(blocks[0]) // _SAMPLE
        yield from _pulled(sink)
    for end in ends:
        end.push(None)
    yield from _pulled(sink)


def _pulled(sink: av.filter.context.FilterContext) -> Iterator[bytes]:
    while True:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)  # noqa: S101 - nothing else flows through a graph of sound
        yield bytes(frame.planes[0])[:frame.samples * _SAMPLE]


def _frame(block: bytes, at: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="flt", layout="stereo", samples=len(block) // _SAMPLE, align=1)
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
    frame.planes[0].update(block)
    return frame


def _samples(time: Fraction) -> int:
    return nearest(time * RATE)
