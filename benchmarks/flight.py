"""What jobs in flight cost: `python benchmarks/flight.py [--jobs 2000] [--speed 2] [--hover 10000]`.

Three parts. Nothing here fails for being slow; ratios hold within one run, and CPU is counted, not time on the wall.

1. Hovering: jobs that do not end, against the same HTTP client that does nothing but ask at the fastest pace. Those that left
   together need few questions, since some of them show for all that none is over; those that a second run has taken over
   (nobody knows their age) need as many as the pace allows.
2. In flight: the simulator in a process of its own on a port, and in another one the program's engine, gateway and ledger.
   Jobs take 70-260 s as the simulator deals them; both clocks run `--speed` times faster, so that requests and CPU a second are
   so many times those of a real run. Clips are not drawn, fetched or kept. The peer looks every 5 s at every job. Requests, and
   how late the look came that saw a job over, are the simulator's books'.
3. On paper: the program's timetable and pace in virtual time, one flight after the other, each with what those before it have
   learned.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import machine, table, with_json, write
from benchmarks.targets import AIMS, Figure
from manifest_runner.adapters import quick_transport
from manifest_runner.adapters.clock import SystemClock
from manifest_runner.adapters.gateway import CONNECTIONS, HttpGateway
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_account import REMEMBERED
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.adapters.rescue import RescueFiles
from manifest_runner.adapters.secrets import Secret
from manifest_runner.adapters.webhook import WebhookListener
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.core import timetable
from manifest_runner.core.lifetable import Kind
from manifest_runner.core.model import Artifact, JobDocument, JobId, Lockfile, MediaFacts
from manifest_runner.core.outcome import Ending, Notice
from manifest_runner.core.polling import QUICK_RATE, PollPolicy
from manifest_runner.engine import Options, Outside, execute
from manifest_runner.errors import UsageError
from manifest_runner.ports import SpendingLimits
from manifest_runner.simulator.server import Simulator, serve
from manifest_runner.simulator.world import Settings, World
from tests.paper import EVERY, KINDS, Flight, batch  # found from the checkout only

RATE = QUICK_RATE if quick_transport.is_there() else PollPolicy().rate
"""Looks a second that a run allows itself."""


class Faster(SystemClock):
    """The machine's clock, so many times faster."""

    def __init__(self, speed: float) -> None:
        self.speed = speed

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds / self.speed))


class Nothing:
    """Downloads, clips, store and lockfile of a flight: all of them at once, and none of them there. `written` counts how often
    the lockfile would have been written."""

    written = 0

    async def fetch(self, url: str, to: Path) -> None: ...

    async def probe(self, _clip: Path) -> MediaFacts:
        return MediaFacts(container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1")

    async def update(self, _entries: object) -> None:
        self.written += 1

    def scratch(self, _name: str) -> Path:
        return Path("nowhere")

    async def keep(self, _scratch: Path, name: str, media: MediaFacts | None, **_: object) -> Artifact:
        return Artifact(path=name, sha256="0" * 64, bytes=1, media=media)


class Counted(HttpGateway):
    """The gateway's adapter, and how many questions it asked."""

    asked = 0

    async def job(self, job_id: JobId) -> JobDocument:
        self.asked += 1
        return await super().job(job_id)


# ── the processes ─────────────────────────────────────────────────────────────────────────────────────────────────


async def simulate(speed: float) -> None:
    """The provider on a port, until it is stopped; its address goes to standard output."""
    world = World(Settings(speed=speed, seed=os.urandom(8).hex()))
    simulator = Simulator(folder=Path("nowhere"), clock=SystemClock(), world=world, clips=False)
    await serve("127.0.0.1", 0, simulator, ready=partial(print, flush=True))


def show(folder: Path, name: str, jobs: int) -> Project:
    """A project of so many shots of all kinds."""
    lines = [f"  - {{id: S{number}, prompt: 'The {name} shot {number}, rain.', duration: {seconds}, resolution: {size}}}"
             for number in range(jobs) for seconds, size in [KINDS[number % len(KINDS)]]]
    (folder / f"{name}.yaml").write_text("version: 1\nshow: flight\nmodel: kling-v3-omni\nshots:\n" + "\n".join(lines) + "\n")
    (folder / ".git").mkdir(exist_ok=True)
    return Project(str(folder / f"{name}.yaml"), {})


async def fly(address: str, folder: Path, name: str, jobs: int, speed: float, way: str, hover: float) -> dict[str, Any]:
    """Render so many shots; figures of this process. With `hover`, stop so many seconds after all have left, or were taken over
    from a process that was stopped."""
    project, clock, nothing = show(folder, name, jobs), Faster(speed), Nothing()
    loaded = project.load()
    plan = plan_project(project, loaded, account="flight").plan
    policy = PollPolicy(rate=RATE)
    if way == "fixed":
        policy = PollPolicy(rate=1e9)
        timetable.next_wait = lambda *_, jitter, **__: EVERY * (0.9 + 0.2 * jitter)  # the peer
    left, figures = anyio.Event(), dict[str, Any](begun=0)

    def observe(_: object, what: object) -> None:
        figures["begun"] += what is Notice.WAITING
        if figures["begun"] == jobs:
            left.set()

    async with AsyncExitStack() as stack:
        callback, listener = None, None
        if way == "webhooks":
            listener = await stack.enter_async_context(WebhookListener("127.0.0.1", 0, "t" * 43, clock=clock))
            callback = f"http://127.0.0.1:{listener.port}/{'t' * 43}"
        gateway = await stack.enter_async_context(Counted(address, Secret("flight"), clock=clock))
        ledger = stack.enter_context(SqliteLedger(folder / "ledger", account="flight", run=f"{name} {os.getpid()}"))
        stand_in: Any = nothing
        outside = Outside(provider=gateway, ledger=GroupLedger(ledger), store=stand_in, media=stand_in, downloads=stand_in,
                          frames=stand_in, files=stand_in, clock=clock, lock=stand_in, listener=listener,
                          rescue=RescueFiles(account="benchmark", ledger=str(folder), places=(), say=print))
        options = Options(limits=SpendingLimits(), poll=policy, callback_url=callback)
        begun = time.process_time(), time.monotonic()
        async with anyio.create_task_group() as tasks:
            if hover:
                tasks.start_soon(_hover, left, hover, gateway, figures, tasks.cancel_scope)
            report = await execute(plan, name=f"{name}.yaml", manifest=loaded.manifest, card=loaded.card, lockfile=Lockfile(),
                                   outside=outside, options=options, observe=observe)
            assert all(outcome.ending is Ending.DONE for outcome in report.outcomes)
        figures.setdefault("cpu", time.process_time() - begun[0])
        figures.setdefault("wall", time.monotonic() - begun[1])
        figures.setdefault("asked", gateway.asked)
        figures["lockfile"] = nothing.written
    figures["peak"] = peak()
    return figures


def peak() -> float:
    """The most memory that this process has held, in MB. Linux counts what its parent held at the start in `ru_maxrss`, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


async def _hover(left: anyio.Event, seconds: float, gateway: Counted, figures: dict[str, Any],
                 scope: anyio.CancelScope) -> None:
    await left.wait()
    await anyio.sleep(5)
    begun = time.process_time(), time.monotonic(), gateway.asked
    await anyio.sleep(seconds)
    figures.update(cpu=time.process_time() - begun[0], wall=time.monotonic() - begun[1], asked=gateway.asked - begun[2])
    scope.cancel()


async def alone(address: str, requests: int, rate: float) -> dict[str, Any]:
    """The CPU of the HTTP client by itself: the same questions over as many connections, at most so many a second."""
    quick = quick_transport.quick_transport(ssl.create_default_context(), local=True, connections=CONNECTIONS, idle=2.0)
    async with httpx.AsyncClient(base_url=address, headers={"X-API-Key": "flight"}, trust_env=False, transport=quick,
                                 limits=httpx.Limits(max_connections=CONNECTIONS)) as client:
        body = {"prompt": "x", "duration": 5, "resolution": "720p", "aspect_ratio": "16:9"}
        job_id = (await client.post("/v1/video/kling-v3-omni", json=body)).json()["job_id"]

        slot = time.monotonic()

        async def ask(times: int) -> None:
            nonlocal slot
            for _ in range(times):
                slot = max(slot + 1 / rate, time.monotonic())
                await anyio.sleep(max(0.0, slot - time.monotonic()))
                with suppress(httpx.RemoteProtocolError):  # a connection that the server had just grown tired of
                    (await client.get(f"/v1/jobs/{job_id}")).json()

        begun = time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(CONNECTIONS):
                tasks.start_soon(ask, requests // CONNECTIONS)
        return {"cpu": time.process_time() - begun, "asked": requests}


# ── the figures ───────────────────────────────────────────────────────────────────────────────────────────────────


class Tower:
    """A simulator in a process of its own."""

    def __init__(self, speed: float) -> None:
        self._process = subprocess.Popen([sys.executable, __file__, "--process", "simulate", "--speed", str(speed)],
                                         stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()

    def __enter__(self) -> Tower:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def run(self, what: str, **options: object) -> dict[str, Any]:
        """Another process against it; its figures."""
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        ran = subprocess.run([sys.executable, __file__, "--process", what, "--address", self.address, *flags], check=True,
                             stdout=subprocess.PIPE, text=True)
        figures: dict[str, Any] = json.loads(ran.stdout)
        return figures

    def books(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.address}/_sim/books", timeout=60, trust_env=False).json())


def delays(books: dict[str, Any], since: float, speed: float) -> list[float]:
    """How long after its end each job of this flight was seen to be over, in the provider's seconds, sorted."""
    due = {job["id"]: job["due"] for job in books["jobs"] if job["created"] >= since}
    seen: dict[str, float] = {}
    for request in books["requests"]:
        name = request["job_id"]
        if request["method"] == "GET" and name in due and request["at"] >= due[name]:
            seen.setdefault(name, request["at"])
    return sorted((at - due[name]) * speed for name, at in seen.items())


def on_paper(lengths: Sequence[int]) -> list[Figure]:
    """The schedule and the pace alone, in virtual time, on the simulator's own durations and on narrower ones."""
    chance, figures = random.Random(1), []
    print("\non paper: requests a job, mean and 95th percentile of the delay in seconds, requests against every 5 s")
    for title, jobs, within, narrower, rate in (
            ("500 in a minute", 500, 60, False, RATE), ("2,000 in half a minute", 2000, 30, False, RATE),
            ("2,000, narrower kinds", 2000, 30, True, RATE),
            ("10,000 in two minutes", 10_000, 120, False, RATE),
            ("10,000, without [fast]", 10_000, 120, False, PollPolicy().rate)):
        if jobs not in lengths:
            continue
        experience: list[tuple[Kind, float]] = []
        for flight in ("learning from nothing", "with experience", "and once more")[:2 if jobs > 2000 else 3]:
            flown = Flight(batch(jobs, within, chance, narrower=narrower), chance, policy=PollPolicy(rate=rate),
                           experience=experience[-REMEMBERED:])
            experience += flown.took
            late = sorted(flown.late)
            print(f"  {title:29} {flight:22} {flown.looks / jobs:5.1f} {flown.delay:6.2f} {late[int(0.95 * jobs)]:6.2f} "
                  f"  {flown.requests:.2f}", flush=True)
            if flight != "and once more":
                figures += waits(f"on paper, {title}, {flight}", jobs, flown.looks, flown.looks / flown.requests, flown.delay)
    return figures


def waits(what: str, jobs: int, looks: float, fixed: float, delay: float) -> list[Figure]:
    """Requests and delay of one flight, beside looks every 5 s at every job."""
    return [Figure(row="flight", what=f"{what}: requests", ours=looks / jobs, unit="a job", peer=f"every {EVERY:g} s",
                   theirs=fixed / jobs, aim=AIMS["flight/requests"]),
            Figure(row="flight", what=f"{what}: mean delay", ours=delay, unit="s", aim=AIMS["flight/delay"])]


def in_flight(jobs: int, speed: float, ways: str) -> list[Figure]:
    print(f"\nin flight: {jobs} jobs at once, clocks × {speed:g}"
          f"\n  {'':26} {'requests':>9} {'delay':>6} {'p95':>6} {'CPU ms':>8} {'share of':>9} {'peak':>6}"
          f"\n  {'':26} {'a job':>9} {'s':>6} {'s':>6} {'a job':>8} {'a core':>9} {'MB':>6}")
    figures = []
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name, Tower(speed) as tower:
        for title, way, folder in (("every 5 s", "fixed", "fixed"), ("learning from nothing", "learned", "own"),
                                   ("with experience", "learned", "own"), ("with webhooks", "webhooks", "own")):
            if way not in ways.split(","):
                continue
            (Path(name) / folder).mkdir(exist_ok=True)
            since, before = tower.books()["now"], tower.books()["totals"]["requests"]
            ran = tower.run("fly", folder=Path(name) / folder, name=title.replace(" ", "-"), jobs=jobs, speed=speed, way=way)
            books = tower.books()
            late = delays(books, since, speed)
            asked = books["totals"]["requests"] - before - jobs
            print(f"  {title:26} {asked / jobs:9.1f} {statistics.mean(late):6.2f} {late[int(0.95 * len(late))]:6.2f} "
                  f"{1000 * ran['cpu'] / jobs:8.1f} {ran['cpu'] / ran['wall']:9.2f} {ran['peak']:6.0f}", flush=True)
            if way == "learned":  # beside looks on paper: a machine may be too slow for all of those
                took = [(job["due"] - job["created"]) * speed for job in books["jobs"] if job["created"] >= since]
                figures += waits(f"{jobs:,} flown, clocks × {speed:g}, {title}", jobs, asked,
                                 sum(seconds / EVERY + 0.5 for seconds in took), statistics.mean(late))
            if title == "learning from nothing":
                figures.append(Figure(row="ledger", what=f"lockfile writes of {jobs:,} jobs in flight, clocks × {speed:g}",
                                      ours=ran["lockfile"] / jobs, unit="a job", aim=AIMS["ledger/lockfile"]))
    return figures


def hovering(lengths: Sequence[int], seconds: float) -> list[Figure]:
    print(f"\nhovering for {seconds:g} s: jobs that do not end"
          f"\n  {'':26} {'questions':>9} {'CPU ms':>8} {'× the':>6} {'share of':>9} {'peak':>6}"
          f"\n  {'':26} {'a second':>9} {'each':>8} {'client':>6} {'a core':>9} {'MB':>6}")
    figures = []
    for jobs in lengths:
        with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name, Tower(1e-3) as tower:
            for title in (f"{jobs:,} jobs", "taken over by another run"):
                first = tower.run("alone", jobs=2000, speed=RATE)
                ran = tower.run("fly", folder=name, name="hover", jobs=jobs, speed=1.0, way="learned", hover=seconds)
                second = tower.run("alone", jobs=2000, speed=RATE)
                client = (first["cpu"] + second["cpu"]) / 4000
                each = ran["cpu"] / ran["asked"]
                print(f"  {title:26} {ran['asked'] / ran['wall']:9.0f} {1000 * each:8.2f} {each / client:6.2f} "
                      f"{ran['cpu'] / ran['wall']:9.2f} {ran['peak']:6.0f}   (the client alone: {1000 * client:.2f} ms)",
                      flush=True)
        figures += [Figure(row="flight", what=f"{jobs:,} jobs taken over: CPU a request", ours=1000 * each, unit="ms",
                           peer="the client alone, at this pace", theirs=1000 * client, aim=AIMS["flight/cpu"]),
                    Figure(row="flight", what=f"{jobs:,} jobs taken over: peak memory", ours=ran["peak"], unit="MB",
                           aim=AIMS["flight/memory"])]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="What jobs in flight cost.")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs in flight at once; 0 for none")
    parser.add_argument("--speed", type=float, default=2.0, help="how much faster the clocks run")
    parser.add_argument("--ways", default="fixed,learned,webhooks", help="which of them fly")
    parser.add_argument("--hover", default="2000,10000", help="numbers of jobs that hover; 0 for none")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they do")
    parser.add_argument("--paper", default="500,2000,10000", help="numbers of jobs on paper; 0 for none")
    with_json(parser)
    options = parser.parse_args()
    print(machine())
    # in this order: this process grows on paper, and what it starts later would seem as large
    figures = hovering([int(number) for number in options.hover.split(",") if int(number)], options.seconds)
    if options.jobs:
        figures += in_flight(options.jobs, options.speed, options.ways)
    figures += on_paper([int(number) for number in options.paper.split(",")])
    table(figures)
    write(options.json, figures)


def process() -> None:
    """One of the processes that `main` starts; figures go to standard output."""
    parser = argparse.ArgumentParser()
    for name, kind in (("process", str), ("address", str), ("folder", Path), ("name", str), ("jobs", int), ("speed", float),
                       ("way", str), ("hover", float)):
        parser.add_argument(f"--{name}", type=kind, default=0.0 if name == "hover" else None)
    asked = parser.parse_args()
    if asked.process == "simulate":
        anyio.run(simulate, asked.speed)
    elif asked.process == "alone":
        print(json.dumps(anyio.run(alone, asked.address, asked.jobs, asked.speed)))
    else:
        asked_for = asked.address, asked.folder, asked.name, asked.jobs, asked.speed, asked.way, asked.hover
        print(json.dumps(anyio.run(fly, *asked_for)))


if __name__ == "__main__":
    try:
        process() if "--process" in sys.argv else main()
    except UsageError as error:
        raise SystemExit(str(error)) from None
