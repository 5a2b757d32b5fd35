"""What the ways of pictures cost and lose: `python benchmarks/frames.py [--seconds N] [--runs N]`.

Joins: a chain of animatics, each begun on the exact last frame of the one before, as a draft does it. The last frame of one
clip is held against the first frame of the next, without the slates, and so is what a chain makes of the colours.

Looks: what it costs to look at every frame of a clip that came home, in milliseconds for each second of it, beside decoding it
alone and beside reading its packets, in turn in one process.
"""

from __future__ import annotations

import argparse
import io
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import av
from PIL import Image, ImageChops, ImageStat

from manifest_runner.adapters.media import frame, opened, outline, probe
from manifest_runner.core.model import FramePosition
from manifest_runner.simulator.animatic import brief_of, render
from manifest_runner.simulator.slate import bar_height

LINKS = 6
PROMPT = "WS, the tram stop at dusk, rain, sodium light, Asha in a red oilskin raincoat steps down. 35mm anamorphic."


def chain(folder: Path, resolution: str, seconds: int) -> list[Path]:
    clips: list[Path] = []
    for number in range(LINKS + 1):
        pictures = {"image_url": frame(clips[-1], FramePosition.LAST)} if clips else {}
        body = {"prompt": PROMPT, "duration": seconds, "resolution": resolution,
                "camera_control": {"type": "simple", "config": {"horizontal": 2}}}
        clips.append(folder / f"{resolution}.{number}.mp4")
        render(brief_of(body, shot=f"SH{number:03}0", take=1, pictures=pictures), clips[-1])
    return clips


def seen(clip: Path, position: FramePosition) -> Image.Image:
    picture = Image.open(io.BytesIO(frame(clip, position)))
    return picture.crop((0, 0, picture.width, picture.height - bar_height(picture.height)))


def join(before: Path, after: Path) -> tuple[float, int, list[float]]:
    """PSNR in dB, the largest difference of a code value, and by how much each of red, green and blue leans."""
    last, first = seen(before, FramePosition.LAST), seen(after, FramePosition.FIRST)
    difference = ImageChops.difference(last, first)
    squares = sum(ImageStat.Stat(difference).sum2) / (3 * last.width * last.height)
    leans = [b - a for a, b in zip(ImageStat.Stat(last).mean, ImageStat.Stat(first).mean, strict=True)]
    most = max(high for _, high in difference.getextrema())  # type: ignore[misc]
    return (10 * math.log10(255 * 255 / squares) if squares else 99.0), int(most), leans


def noisy(to: Path, size: tuple[int, int], seconds: int) -> Path:
    """A clip that is as hard to decode as film: grain all over, coded well."""
    noise = [Image.effect_noise(size, 24).convert("RGB") for _ in range(3)]
    with av.open(str(to), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(24 * seconds):
            picture = ImageChops.offset(noise[index % 3], index * 67 % size[0], index * 31 % size[1])
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    return to


def decode(clip: Path) -> None:
    with opened(clip) as (container, stream):
        for _ in container.decode(stream):
            pass


def costs(clip: Path, runs: int) -> list[float]:
    """Milliseconds for each second of the clip: its packets, decoding alone, and looking; medians of runs in turn."""
    length = probe(clip).duration
    ways: Sequence[Callable[[Path], object]] = (outline, decode, probe)
    took: list[list[float]] = [[] for _ in ways]
    for _ in range(runs):
        for index, way in enumerate(ways):
            start = time.process_time()
            way(clip)
            took[index].append((time.process_time() - start) * 1000 / length)
    return [statistics.median(times) for times in took]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    asked = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, PyAV {av.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {size: chain(folder, size, asked.seconds) for size in ("720p", "1080p")}
        print(f"\njoins of {LINKS} links                PSNR dB        largest     lean of red, green, blue a link")
        for size, found in clips.items():
            decibels, largest, leans = zip(*(join(before, after) for before, after in pairwise(found)), strict=True)
            lean = ", ".join(f"{sum(link[band] for link in leans) / LINKS:+.3f}" for band in range(3))
            print(f"  {size:28} {min(decibels):.1f} to {max(decibels):.1f}   {max(largest):7}     {lean}")
        print("\nCPU ms for each second of a clip     packets   decoding   looking   looking / decoding")
        looked = {f"animatic, {size}": found[0] for size, found in clips.items()}
        looked |= {f"grain, {height}p": noisy(folder / f"grain{height}.mp4", (width, height), asked.seconds)
                   for width, height in ((1280, 720), (1920, 1080))}
        for words, clip in looked.items():
            packets, decoding, looking = costs(clip, asked.runs)
            print(f"  {words:32} {packets:10.1f} {decoding:10.1f} {looking:9.1f} {looking / decoding:12.2f}")


if __name__ == "__main__":
    main()
