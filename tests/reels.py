"""Clips of a few small frames that say which frame they are, and what a reel made of them shows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from manifest_runner.adapters.media import picture

SIZE = (160, 90)


def make_clip(path: Path, frames: int, *, size: tuple[int, int] = SIZE, rate: Fraction | int = 24,
              ground: tuple[int, int, int] = (200, 0, 0), times: Sequence[int] = (), tone: float = 0.0, late: float = 0.0,
              options: Mapping[str, str] | None = None, aspect: Fraction | None = None, tags: tuple[int, int, int,
                                                                                                    int] | None = None,
              ) -> Path:
    """A clip whose frame k is grey of level 20 + 5k in its middle, on a coloured ground.

    `times` are pts in thousandths of a second; `tone` is the frequency of a sound that begins `late` seconds after the picture;
    `tags` are range, matrix, primaries and transfer by their numbers, and only labels.
    """
    wanted = {"crf": "8", "preset": "ultrafast", "threads": "1", **(options or {})}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=wanted)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if tags is not None:
            context = stream.codec_context
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = tags
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=48_000, layout="stereo") if tone else None
        for index in range(frames):
            image = Image.new("RGB", size, ground)
            level = 20 + 5 * index
            image.paste((level, level, level), (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4))
            frame = av.VideoFrame.from_image(image)
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            for frame in tones(tone, Fraction(frames) / rate, late=late):
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def tones(frequency: float, length: Fraction, *, late: float = 0.0, level: float = 0.5) -> list[av.AudioFrame]:
    """A sine in both channels, in frames of a thousandth of a second."""
    made = []
    for block in range(math.floor(length * 1000) - round(late * 1000)):
        frame = av.AudioFrame(format="flt", layout="stereo", samples=48)
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), (block + round(late * 1000)) * 48
        wave = (level * math.sin(2 * math.pi * frequency * (block * 48 + n) / 48_000) for n in range(48))
        frame.planes[0].update(array("f", [value for sample in wave for value in (sample, sample)]).tobytes())
        made.append(frame)
    return made


def make_sound(path: Path, seconds: float, frequency: float, *, level: float = 0.5) -> Path:
    """A wav of a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        for frame in tones(frequency, Fraction(seconds), level=level):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pictures(reel: Path) -> list[Image.Image]:
    with av.open(str(reel)) as container:
        return [picture(frame) for frame in container.decode(video=0)]


def shown(reel: Path) -> list[int]:
    """Which frame of its clip each frame of the reel is."""
    return [round((image.getpixel((image.width // 2, image.height // 2))[1] - 20) / 5) for image in pictures(reel)]


def packets(film: Path) -> list[bytes]:
    with av.open(str(film)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def loudness(film: Path, frequency: float, *, every: float = 0.05) -> list[float]:
    """How strong a tone is in the left channel, from 0 to 1, for each stretch of `every` seconds; Goertzel's way."""
    samples = array("f")
    with av.open(str(film)) as container:
        for frame in container.decode(audio=0):
            samples.frombytes(bytes(frame.planes[0])[:frame.samples * 4])
    block, found = round(48_000 * every), []
    for begin in range(0, len(samples) - block + 1, block):
        turn = 2 * math.pi * frequency / 48_000
        real = sum(samples[begin + n] * math.cos(turn * n) for n in range(block))
        imaginary = sum(samples[begin + n] * math.sin(turn * n) for n in range(block))
        found.append(2 * math.hypot(real, imaginary) / block)
    return found


def sound_length(film: Path) -> int:
    """Samples that a player is given."""
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        return round(stream.duration * stream.time_base * 48_000)
