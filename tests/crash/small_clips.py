"""The simulator on a port with one small clip for every job: `python -m tests.crash.small_clips FOLDER RATE PLACES SEED`.

For tests and benchmarks in which many processes share two cores: neither the drawing of animatics nor eight times the decoding
of them is what they look at. It prints its address. RATE may be empty and PLACES 0: no limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from manifest_runner.adapters.clock import SystemClock
from manifest_runner.core.validation import parse_rate
from manifest_runner.simulator.server import Simulator, serve
from manifest_runner.simulator.world import Settings, World


def main(folder: Path, rate: str, places: int, seed: str) -> None:
    clip = small_clip(folder / "small.mp4")

    def copy(body: Mapping[str, Any], shot: str, take: int, pictures: Mapping[str, bytes], to: Path) -> None:
        shutil.copyfile(clip, to)

    settings = Settings(speed=100, seed=seed, posts=parse_rate(rate) if rate else None, concurrency=places or None)
    simulator = Simulator(folder=folder / "clips", clock=SystemClock(), world=World(settings), render=copy)
    anyio.run(partial(serve, "127.0.0.1", 0, simulator, ready=lambda address: print(address, flush=True)))


def small_clip(path: Path) -> Path:
    """A second at 720p, as all ask for, of two frames: enough that nothing is to be said about it."""
    import av
    from PIL import Image

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=2, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for grey in (90, 160):
            out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (1280, 720), (grey, grey, grey)))))
        out.mux(stream.encode())
    return path


@contextmanager
def small_simulator(folder: Path, rate: str = "", places: int = 0) -> Iterator[str]:
    """It in a process of its own; its address."""
    arguments = (str(folder), rate, str(places), os.urandom(8).hex())
    process = subprocess.Popen([sys.executable, "-m", "tests.crash.small_clips", *arguments], stdout=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "an empty address would mean the real gateway"
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
