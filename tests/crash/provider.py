"""The simulated provider as the sweep needs it: on a port, with clips that cost nothing to make, and answers that come late.

    python -m tests.crash.provider [--replay correlates] [--speed 400]

Clips are real ones (the command line decodes them): one is encoded at the start, and each take gets it with a box of its own at
the end, so that no two takes share their bytes. A key that begins with `late` has its submissions held up on both sides of the
moment in which the job comes to be, so that many kills fall between that moment and the answer. The books of one key are at
/_sweep/books; they are given out only once no submission of that key is under way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import struct
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import av
from PIL import Image

from manifest_runner.adapters.clock import SystemClock
from manifest_runner.simulator.books import key_hash
from manifest_runner.simulator.server import Simulator, serve
from manifest_runner.simulator.world import Settings, World

LATEST = 0.25
"""Seconds by which either side of a late submission is held up at most."""


# ── how the sweep talks to it ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def provider(replay: str = "replays", speed: float = 400) -> Iterator[str]:
    """The provider in a process of its own; its address."""
    arguments = [sys.executable, "-m", "tests.crash.provider", "--replay", replay, "--speed", str(speed)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)  # so that it takes its clips with it
        process.wait(timeout=20)


def books(address: str, key: str) -> dict[str, list[dict[str, Any]]]:
    """The `jobs` of one key, and the `requests` that came with it or fetched the clip of one of them."""
    asked = urllib.request.Request(f"{address}/_sweep/books", headers={"X-API-Key": key})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        found: dict[str, list[dict[str, Any]]] = json.load(answer)
        return found


# ── the provider itself ───────────────────────────────────────────────────────────────────────────────────────────────


def small_clip() -> bytes:
    """The bytes of an MP4 of a second at 720p and two frames: as asked, and nothing to decode."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=2)
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            stream.options = {"preset": "ultrafast", "threads": "1"}
            for colour in ((90, 40, 10), (190, 140, 110)):
                container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (1280, 720), colour))))
            container.mux(stream.encode(None))
        return path.read_bytes()


def copier(clip: bytes) -> Any:
    """A renderer that gives out `clip` with a mark of what it was asked to show."""

    def render(body: Mapping[str, Any], shot: str, take: int, pictures: Mapping[str, bytes], to: Path) -> None:
        seen = [hashlib.sha256(picture).hexdigest() for picture in pictures.values()]
        mark = f"{shot}|{take}|{body['prompt']}|{seen}".encode()
        to.write_bytes(clip + struct.pack(">I4s", 8 + len(mark), b"free") + mark)

    return render


class Late:
    """The simulator's application, behind delays and the pages of the sweep."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._app = simulator.app
        self._luck = random.Random(0)
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        key = next((value.decode() for name, value in scope["headers"] if name == b"x-api-key"), "")
        if scope["path"] == "/_sweep/books":
            await self._show(key, send)
        elif scope["method"] == "POST":
            self._under_way[key] += 1
            try:
                await self._submit(key, scope, receive, send)
            finally:
                self._under_way[key] -= 1
        else:
            await self._app(scope, receive, send)

    async def _submit(self, key: str, scope: Any, receive: Any, send: Any) -> None:
        late = LATEST if key.startswith("late") else 0.0

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                await anyio.sleep(late * self._luck.random())
            await send(message)

        await anyio.sleep(late * self._luck.random())
        await self._app(scope, receive, answer)

    async def _show(self, key: str, send: Any) -> None:
        while self._under_way[key]:  # noqa: ASYNC110 - seldom, and short
            await anyio.sleep(0.01)
        world = self._simulator.world
        world.advance(self._simulator.now())
        # Past `books()`, which makes a dictionary of each of a hundred thousand requests of other lives.
        jobs = {job.id: job for job in world._books.jobs.values() if job.account == key_hash(key)}
        requests = [one for one in world._books.requests if one.key == key_hash(key) or one.job_id in jobs]
        mine = {"jobs": [{"id": job.id, "external_task_id": job.external_task_id, "credits_charged": float(job.charged)}
                         for job in jobs.values()],
                "requests": [{"method": one.method, "path": one.path, "external_task_id": one.external_task_id}
                             for one in requests]}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(mine).encode()})


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replay", default="replays")
    parser.add_argument("--speed", type=float, default=400)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-provider-") as folder:
        world = World(Settings(replay=asked.replay, speed=asked.speed, seed="sweep"))
        simulator = Simulator(folder=Path(folder), clock=SystemClock(), world=world, render=copier(small_clip()))
        simulator.app = Late(simulator)  # type: ignore[assignment]
        await serve("127.0.0.1", 0, simulator, ready=partial(print, flush=True))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell would ignore it
    with suppress(KeyboardInterrupt):
        anyio.run(main)
