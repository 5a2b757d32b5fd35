"""A whole world in one process: the simulator behind its HTTP face, and this program's own adapters in front of it.

By default the two meet in process; with a `portal` (an event loop in a thread of its own) the simulator listens on a port of
this machine and everything goes over a real socket, whatever event loop the run itself has.

Only what is slow is stood in for: clips are a few bytes, probes believe them, and time runs a hundred times faster. The
verdict on money comes from the simulator's books.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal
from sniffio import current_async_library

from manifest_runner.adapters.downloads import HttpDownloads
from manifest_runner.adapters.files import RepositoryFiles
from manifest_runner.adapters.frames import InlineFrames
from manifest_runner.adapters.gateway import HttpGateway
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.adapters.lockwriter import FileLockWriter, read_lockfile
from manifest_runner.adapters.rescue import RescueFiles
from manifest_runner.adapters.secrets import Secret
from manifest_runner.adapters.store import LocalStore
from manifest_runner.core.model import Action, FramePosition, JobState, MediaFacts, Plan, TakeKey
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Report
from manifest_runner.core.planning import World as Facts
from manifest_runner.core.planning import make_plan
from manifest_runner.core.polling import PollPolicy
from manifest_runner.engine import Options, Outside, execute, take_back
from manifest_runner.engine.departure import SlotDeparture
from manifest_runner.errors import MediaError
from manifest_runner.ports import Listener, SpendingLimits
from manifest_runner.simulator.faults import Faults
from manifest_runner.simulator.server import Simulator, serve
from manifest_runner.simulator.world import Settings, World
from tests.builders import CARD, FACTS, manifest_of

URL = "http://simulator.invalid"
PNG = b"\x89PNG\r\n\x1a\n"
FTYP = b"\x00\x00\x00\x18ftypisom"


class FastClock:
    """The machine's clock, a hundred times faster from the moment on at which it is made."""

    def __init__(self, factor: float = 100.0) -> None:
        self.factor = factor
        self._began = time.time(), time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic() * self.factor

    def wall(self) -> float:
        wall, monotonic = self._began
        return wall + (time.monotonic() - monotonic) * self.factor

    def jitter(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds / self.factor))


class StillClock(FastClock):
    """Time that stands still while anybody has something to do, and then goes to the next moment that somebody waits for.

    So nothing hangs on how quick the machine is, and nobody waits. For worlds in one process, where everything that is under
    way is a task or a thread; `running` it is what moves it on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now, self._busy, self._turn = 0.0, 0, 0
        self._waiting: list[tuple[float, int, anyio.Event]] = []

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._began[0] + self._now

    async def sleep(self, seconds: float) -> None:
        self._turn += 1
        due = (self._now + max(0.0, seconds), self._turn, anyio.Event())
        heapq.heappush(self._waiting, due)
        await due[2].wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Move on whenever all rest."""
        in_thread = anyio.to_thread.run_sync

        async def counted(*arguments: Any, **options: Any) -> Any:
            self._busy += 1
            try:
                return await in_thread(*arguments, **options)
            finally:
                self._busy -= 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(anyio.to_thread, "run_sync", counted)
            async with anyio.create_task_group() as group:
                group.start_soon(self._move_on)
                yield
                group.cancel_scope.cancel()

    async def _move_on(self) -> None:
        while True:
            await _all_rest()
            if self._busy or not self._waiting:
                await anyio.sleep(0.0005)  # until a thread is done, or for what comes from outside
                continue
            self._now, _, event = heapq.heappop(self._waiting)
            event.set()


async def _all_rest() -> None:
    """Until each other task waits for something."""
    if current_async_library() == "trio":
        await anyio.wait_all_tasks_blocked()
        return
    while any(task._fut_waiter is None or task._fut_waiter.done()  # type: ignore[attr-defined] # noqa: ASYNC110 - as anyio's own
              for task in asyncio.all_tasks() if task is not asyncio.current_task()):
        await asyncio.sleep(0)  # that one looks ten times a second only


class Believing:
    """`ports.Media` for stand-in clips: a clip is good when it begins like one; its frames are its own bytes."""

    async def probe(self, clip: Path) -> MediaFacts:
        if not clip.read_bytes().startswith(FTYP):
            raise MediaError(f"{clip.name} is not a clip")
        return FACTS

    async def frame(self, clip: Path, position: FramePosition) -> bytes:
        return PNG + position.value.encode() + clip.read_bytes()


def stand_in(body: Mapping[str, Any], shot: str, take: int, pictures: Mapping[str, bytes], to: Path) -> None:
    """A clip that depends on everything that it was asked to show."""
    seen = "".join(f"{name}={len(picture)};" for name, picture in sorted(pictures.items()))
    to.write_bytes(FTYP + f"{body['prompt']}|{shot}|{take}|{seen}".encode() * 50)


@dataclass(slots=True, kw_only=True)
class Studio:
    """A folder with a manifest, a ledger and a store, and the provider that it renders at."""

    folder: Path
    text: str
    settings: Settings = field(default_factory=lambda: Settings(speed=1e5, seed="studio"))
    faults: tuple[str, ...] = ()
    card: ModelCard = CARD
    limits: SpendingLimits = field(default_factory=SpendingLimits)
    fail_fast: bool = False
    patience: float = 3600.0
    first_look: float = 1.0
    poll: PollPolicy | None = None
    hung: float = 60.0
    tries: int = 6
    events: list[tuple[TakeKey, object]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    places: tuple[str, ...] = ("",)
    watch: Callable[[TakeKey, object], None] | None = None
    ledger: SqliteLedger | None = None
    runs: int = 0
    clock: FastClock = field(default_factory=FastClock)
    simulator: Simulator | None = None
    portal: BlockingPortal | None = None
    address: str = URL
    _served: Future[Any] | None = None
    _moving: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)
    listener: Listener | None = None

    @contextmanager
    def first_departure(self) -> Iterator[anyio.Event]:
        """Set once the bytes of a submission have left."""
        first, left = anyio.Event(), SlotDeparture.left

        async def told(departure: SlotDeparture) -> None:
            first.set()
            await left(departure)

        SlotDeparture.left = told  # type: ignore[method-assign]
        try:
            yield first
        finally:
            SlotDeparture.left = left  # type: ignore[method-assign]

    async def __aenter__(self) -> Studio:
        """Open the provider, which outlives the runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        local = URL if self.portal is None else ""
        self.simulator = Simulator(folder=self.folder / "sim", clock=self.clock, world=World(self.settings), base_url=local,
                                   faults=Faults(self.faults), render=stand_in)
        if isinstance(self.clock, StillClock):
            self._moving = self.clock.running()
        await self._moving.__aenter__()
        if self.portal is None:
            await self.simulator.__aenter__()
        else:
            self._served, self.address = self.portal.start_task(_serve, self.simulator)
        return self

    async def __aexit__(self, *details: Any) -> None:
        assert self.simulator is not None
        if self._served is not None:
            self._served.cancel()  # it ends in its own time: nobody waits for a server that nobody asks any more
        else:
            await self.simulator.__aexit__(None, None, None)
        await self._moving.__aexit__(None, None, None)

    def fault(self, *texts: str) -> None:
        """From now on these faults, and no others."""
        assert self.simulator is not None
        self.simulator.faults = Faults(texts)

    async def render(self, *, stop_after: float | None = None, plan: Plan | None = None) -> Report | None:
        """Plan and carry out, against a provider that remembers earlier runs; None where it was stopped on the way."""
        report: Report | None = None
        async with AsyncExitStack() as stack:
            outside = await self._outside(stack)
            await take_back(outside, self.said.append)
            plan = plan or self.plan()
            poll = self.poll or PollPolicy(first=self.first_look, every=1.0, patience=self.patience, missing_after=3)
            options = Options(limits=self.limits, fail_fast=self.fail_fast, tries=self.tries, poll=poll)
            with anyio.move_on_after(stop_after if stop_after is not None else self.hung) as scope:
                report = await execute(plan, name="show.yaml", manifest=self.manifest(), card=self.card,
                                       lockfile=read_lockfile(self.lock_path, "lock")[0], outside=outside, options=options,
                                       observe=self._observe)
            assert stop_after is not None or not scope.cancelled_caught, "it hung"
        return report

    def _observe(self, key: TakeKey, what: object) -> None:
        self.events.append((key, what))
        if self.watch is not None:
            self.watch(key, what)

    async def _outside(self, stack: AsyncExitStack) -> Outside:
        assert self.simulator is not None
        clock, simulator = self.clock, self.simulator
        transport = httpx.ASGITransport(simulator.app) if self.portal is None else None
        gateway = await stack.enter_async_context(HttpGateway(self.address, Secret("key"), transport=transport, clock=clock))
        downloads = await stack.enter_async_context(HttpDownloads(transport=transport, clock=clock, allow_local=True))
        self.runs += 1
        ledger = stack.enter_context(SqliteLedger(self.folder / "ledger", account="a", run=f"{self.runs}", wall=clock.wall))
        self.ledger = ledger
        (self.folder / "show.yaml").write_text(self.text)
        return Outside(provider=gateway, ledger=GroupLedger(ledger), store=LocalStore(self.folder / "objects", self.folder),
                       media=Believing(), downloads=downloads, frames=InlineFrames(),
                       files=RepositoryFiles(self.folder / "show.yaml"), clock=clock, rescue=self.rescue(),
                       listener=self.listener,
                       lock=FileLockWriter(self.lock_path, manifest="show.yaml", shown="lock", guard=self.folder / "guard"))

    def rescue(self) -> RescueFiles:
        return RescueFiles(account="a", ledger=str((self.folder / "ledger").resolve()), say=self.said.append,
                           places=[self.folder / place for place in self.places])

    @property
    def lock_path(self) -> Path:
        return self.folder / "show.lock.json"

    def manifest(self) -> Any:
        return replace(manifest_of(self.text), output="renders")

    def plan(self) -> Plan:
        """The plan as things stand on disk."""
        ledger = SqliteLedger.open_readonly(self.folder / "ledger", account="a")
        history: list[Any] = []
        if ledger is not None:
            with ledger:
                history = ledger.history("show.yaml")
        jobs = {(job.intent.key.shot, job.intent.key.take): job for job in history}
        stored = {(job.intent.key.shot, job.intent.key.take, job.intent.fingerprint): job for job in history
                  if job.state is JobState.STORED}

        def state(place: str, artifact: Any) -> str:
            path = self.folder / place
            if not path.is_file():
                return "missing"
            return "present" if path.stat().st_size == artifact.bytes else "changed"

        lockfile, _ = read_lockfile(self.lock_path, "lock")
        known = [job.intent.external_task_id for job in history]
        facts = Facts(lockfile=lockfile, jobs=jobs, stored=stored, known=known, pictures={}, file_state=state)
        return make_plan(self.manifest(), self.card, facts)

    # ── the verdict ───────────────────────────────────────────────────────────────────────────────────────────────

    def books(self) -> dict[str, Any]:
        assert self.simulator is not None
        if self.portal is not None:  # in the loop that the world lives in
            return self.portal.call(self.simulator.books)
        return self.simulator.books()

    def jobs_made(self) -> int:
        return len(self.books()["jobs"])

    def paid_twice(self) -> list[str]:
        """Shots and takes with more than one job that was charged."""
        count = Counter(job["external_task_id"].split(".")[0] for job in self.books()["jobs"]
                        if Decimal(str(job["credits_charged"] or 0)) > 0)
        return [name for name, jobs in count.items() if jobs > 1]

    def requests(self, method: str) -> int:
        return sum(request["method"] == method for request in self.books()["requests"])

    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all(change.action is Action.KEEP for change in self.plan().changes)


async def _serve(simulator: Simulator, *, task_status: TaskStatus[str]) -> None:
    await serve("127.0.0.1", 0, simulator, ready=task_status.started)


def endings(report: Report | None) -> dict[str, Ending]:
    assert report is not None
    return {f"{outcome.key.shot}{outcome.key.take}": outcome.ending for outcome in report.outcomes}
