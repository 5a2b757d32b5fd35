"""Streams joined without decoding: packets of clips or of pieces, one after the other, as one film with its sound.

Laws: a packet's bytes are copied as they are; its times are new and follow from its place alone, so that there is no gap and no
overlap, whatever the files said; the film is read again afterwards, and one that is not frame for frame what was planned is an
error.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from manifest_runner.adapters.media import opened
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.container import OutputContainer
    from av.video.stream import VideoStream
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The packets of a file that come next in the film; `shows` says which frame of the film each of them is."""

    path: Path
    packets: range
    shows: tuple[int, ...]


def join(stretches: Sequence[Stretch], to: Path, rate: Fraction, *, metadata: Mapping[str, str],
         sound: Callable[[OutputContainer], Iterator[tuple[Fraction, av.Packet[Any]]]] | None = None) -> None:
    """Write the film to `to`, an mp4 whose index stands first. All files hold streams that are alike; `sound` adds a stream of
    its own to the film and gives its packets with their times. Raises `MediaError`."""
    # Decoding runs ahead of showing by as many frames as some packet is early; then no frame is shown before it is there.
    early = max(place - shown for place, shown in enumerate(shown for stretch in stretches for shown in stretch.shows))
    with av.open(str(to), "w", format="mp4", options={"movflags": "faststart", "fflags": "+bitexact"}) as container:
        container.metadata.update(metadata)
        with opened(stretches[0].path) as (_, like):  # no longer than needed: what goes wrong in there is said of that clip
            stream = container.add_stream_from_template(like)
        stream.time_base = 1 / rate
        streams = [_picture_packets(stretches, stream, rate, early)]
        if sound is not None:
            streams.append(sound(container))
        # By time, so that no packet waits for long in the muxer and memory stays flat.
        for _, packet in heapq.merge(*streams, key=lambda timed: timed[0]):
            container.mux(packet)


def _picture_packets(stretches: Sequence[Stretch], stream: VideoStream, rate: Fraction,
                     early: int) -> Iterator[tuple[Fraction, av.Packet[Any]]]:
    place = 0
    for stretch in stretches:
        with opened(stretch.path) as (container, source):
            packets = (packet for packet in container.demux(source) if packet.size and not packet.is_discard)
            done = 0
            for number, packet in enumerate(packets):
                if number >= stretch.packets.stop:
                    break
                if number < stretch.packets.start:
                    continue
                packet.stream, packet.time_base = stream, 1 / rate
                packet.pts, packet.dts, packet.duration = stretch.shows[done], place - early, 1
                yield packet.dts / rate, packet
                done, place = done + 1, place + 1
            if done < len(stretch.packets):
                raise MediaError(f"{stretch.path.name}: {len(stretch.packets) - done} frames less than a moment ago")


def verify(film: Path, frames: int, rate: Fraction, *, name: str) -> None:
    """Read the film's packets: raises `MediaError` where they are not exactly these frames at this rate, the first one at 0."""
    with opened(film) as (container, stream):
        base = stream.time_base or Fraction(1)
        times = sorted(packet.pts * base for packet in container.demux(stream) if packet.size and packet.pts is not None)
    if len(times) != frames:
        raise MediaError(f"{name}: {len(times)} frames were written instead of {frames}")
    if any(time != number / rate for number, time in enumerate(times)):
        raise MediaError(f"{name}: its frames are not evenly spaced")
