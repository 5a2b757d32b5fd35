"""Whole runs in any order, with anything going wrong in between: a state machine over a studio and its provider.

The laws are checked after every step, from the provider's books. `MANIFEST_RUNNER_EXAMPLES=2000` makes many and long histories;
without it a few, the same each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.core.lifecycle import Abandoned
from manifest_runner.core.model import JobState
from manifest_runner.core.modelcard import override
from manifest_runner.ports import SpendingLimits
from manifest_runner.simulator.world import Settings
from tests.builders import CARD
from tests.worlds import Studio

EXAMPLES = int(os.environ.get("MANIFEST_RUNNER_EXAMPLES", "0"))
CORRELATES = override(CARD, {"external_task_id": "correlates"})
PRICE = 145

FAULTS = [
    "submit:500@1", "submit:500-after@1", "submit:503-after@2", "submit:drop-after@1", "submit:drop-afterx3",
    "submit:drop-before@2", "submit:malformed-202@1", "submit:429:retry-after=1@1", "submit:400=no such thing@1",
    "submit:402@2", "submit:401@1", "submit:409@1", "submit:slow=3@1", "job:fail=the model gave up@1", "job:fail=no shot=B",
    "poll:500x3", "poll:404x3", "poll:401@2", "poll:drop@1", "poll:malformed@1", "poll:unknown-statusx2",
    "poll:429:retry-after=1@1", "download:403@1", "download:truncated@1", "download:garbagex9", "download:dropx9",
    "download:500@1",
]
"""Everything but what only a person and the provider can mend (`no-outputs`, another job's id)."""


class StudioMachine(RuleBasedStateMachine):
    """Prompts, ledgers, lockfiles and clips come and go; money must not.

    `allowed` counts, for each take and content of a request, the jobs that may be charged: one, and one more for each time that
    a person gave a job up, or made ledger and lockfile both forget it.
    """

    @initialize(replays=st.booleans())
    def begin(self, replays: bool) -> None:
        self.replays = replays
        self.folder = Path(tempfile.mkdtemp(prefix="manifest-runner-machine-"))
        self.opened = start_blocking_portal()
        self.portal = self.opened.__enter__()
        self.prompts, self.takes, self.first = {"A": 0, "B": 0, "C": 0}, 1, "A"
        self.studio = Studio(
            folder=self.folder, text="", tries=3, patience=60.0, card=CARD if replays else CORRELATES,
            settings=Settings(speed=1e5, seed="machine", replay="replays" if replays else "correlates"))
        self.write()
        self.entered = self.portal.wrap_async_context_manager(self.studio)
        self.entered.__enter__()
        self.locks: list[bytes] = []
        self.lost: set[str] = set()
        self.doubted: dict[str, Any] = {}
        self.allowed: Counter[tuple[str, str]] = Counter()

    def write(self) -> None:
        a, b, c = (f"{name.lower()} {number}" for name, number in self.prompts.items())
        self.studio.text = (f"shots:\n  - {{id: A, prompt: {a}}}\n"
                            f"  - {{id: B, prompt: {b}, first_frame: {{shot: A, frame: last}}}}\n"
                            f"  - {{id: C, prompt: {c}, takes: {self.takes}}}\n")

    def teardown(self) -> None:
        if not hasattr(self, "entered"):
            return
        try:
            self.end_well()
        finally:
            self.entered.__exit__(None, None, None)
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, what: Any, *arguments: Any) -> None:
        self.forgive_what_is_forgotten()
        before = len(self.studio.books()["jobs"])
        self.portal.call(what, *arguments)
        if self.studio.limits.run_credits is not None and what is self.studio.render:
            made = self.studio.books()["jobs"][before:]
            assert sum(job["price"] for job in made) <= self.studio.limits.run_credits, "over the limit of the run"
        if self.studio.lock_path.exists():
            self.locks.append(self.studio.lock_path.read_bytes())

    @rule()
    def render(self) -> None:
        self.run(self.studio.render)

    @rule(after=st.integers(1, 25))
    def render_and_stop(self, after: int) -> None:
        self.run(self.stopped, after)

    async def stopped(self, after: int) -> None:
        """A run that is cancelled at its event number `after`."""
        seen = len(self.studio.events)
        with anyio.CancelScope() as scope:
            self.studio.watch = lambda *_: scope.cancel() if len(self.studio.events) - seen >= after else None
            await self.studio.render()
        self.studio.watch = None

    @rule()
    def two_runs_at_once(self) -> None:
        self.run(self.both)

    async def both(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self.studio.render)
            group.start_soon(self.studio.render)

    # ── what people and the world do in between ───────────────────────────────────────────────────────────────────────

    @rule(faults=st.lists(st.sampled_from(FAULTS), max_size=2))
    def go_wrong(self, faults: list[str]) -> None:
        self.studio.fault(*faults)

    @rule(shot=st.sampled_from("ABC"), number=st.integers(0, 2))
    def edit(self, shot: str, number: int) -> None:
        self.prompts[shot] = number
        self.write()

    @rule(takes=st.integers(1, 3))
    def take_more(self, takes: int) -> None:
        self.takes = takes
        self.write()

    @rule(fits=st.sampled_from([None, 0, 1, 2]), places=st.sampled_from([None, 1, 2]))
    def limit(self, fits: int | None, places: int | None) -> None:
        most = None if fits is None else Decimal(fits * PRICE + 10)
        self.studio.limits = SpendingLimits(run_credits=most, concurrency=places)

    @precondition(lambda self: self.replays)
    @rule()
    def lose_the_ledger(self) -> None:
        for path in self.folder.glob("ledger*"):
            path.unlink()

    @precondition(lambda self: self.replays)
    @rule()
    def begin_again_on_a_new_machine(self) -> None:
        self.lose_the_ledger()
        self.lose_the_lockfile()

    @rule()
    def lose_the_lockfile(self) -> None:
        self.studio.lock_path.unlink(missing_ok=True)

    @precondition(lambda self: self.locks)
    @rule(data=st.data())
    def roll_the_lockfile_back(self, data: st.DataObject) -> None:
        self.studio.lock_path.write_bytes(data.draw(st.sampled_from(self.locks[-4:]), label="lockfile of another day"))

    @rule()
    def lose_the_clips(self) -> None:
        shutil.rmtree(self.folder / "renders", ignore_errors=True)

    @rule()
    def lose_the_store(self) -> None:
        self.lost |= self.objects()
        shutil.rmtree(self.folder / "objects" / "sha256", ignore_errors=True)

    @rule()
    def give_up_what_is_in_doubt(self) -> None:
        for job in self.history():
            if job.state in (JobState.IN_DOUBT, JobState.MISSING):
                self.abandon(job)

    def abandon(self, job: Any) -> None:
        with SqliteLedger(self.folder / "ledger", account="a", run="person") as ledger:
            ledger.record(job.intent.external_task_id, Abandoned())
        self.doubted.pop(job.intent.external_task_id, None)
        for made in self.studio.books()["jobs"]:
            if made["external_task_id"] == job.intent.external_task_id:
                self.allowed[take_of(made), made["content_sha256"]] += 1

    # ── the laws ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def history(self) -> list[Any]:
        ledger = SqliteLedger.open_readonly(self.folder / "ledger", account="a")
        if ledger is None:
            return []
        with ledger:
            return ledger.history("show.yaml")

    def objects(self) -> set[str]:
        root = self.folder / "objects" / "sha256"
        return {path.parent.name + path.name for path in root.rglob("*") if path.is_file()}

    def charged(self) -> Counter[tuple[str, str]]:
        return Counter((take_of(job), job["content_sha256"]) for job in self.studio.books()["jobs"] if job["credits_charged"])

    def forgive_what_is_forgotten(self) -> None:
        """What neither ledger nor lockfile names any more may be asked for again, unless the next attempt computes the very id
        that it was made under: then the gateway answers with the job that is there."""
        jobs = self.history()
        entries = read_lockfile(self.studio.lock_path, "lock")[0].entries
        known = {job.job_id for job in jobs} | {entry.job_id for entry in entries.values()}
        attempts = Counter({f"{shot}_t{take}": entry.attempt for (shot, take), entry in entries.items()})
        for job in jobs:
            take = f"{job.intent.key.shot}_t{job.intent.key.take}"
            attempts[take] = max(attempts[take], job.intent.attempt)
        for made in self.studio.books()["jobs"]:
            take, content = take_of(made), made["content_sha256"]
            same_id = self.replays and f".a{attempts[take] + 1}." in made["external_task_id"]
            if made["id"] not in known and not same_id:
                self.allowed[take, content] = max(self.allowed[take, content], self.charged()[take, content])

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        if not hasattr(self, "entered"):
            return
        totals = self.studio.books()["totals"]
        assert totals["duplicates"] == 0, "an external id with two jobs"
        assert totals["conflicts"] == 0, "an id with two bodies"
        for key, count in self.charged().items():
            assert count <= 1 + self.allowed[key], f"{key} was charged {count} times"

    @invariant()
    def what_is_in_doubt_stays_so_until_a_person_or_the_gateway_says(self) -> None:
        if not hasattr(self, "entered"):
            return
        states = {job.intent.external_task_id: job.state for job in self.history()}
        for task in list(self.doubted):
            if task not in states:  # the ledger is gone
                del self.doubted[task]
            else:
                assert states[task] not in (JobState.REFUSED, JobState.ABANDONED, JobState.INTENDED)
        self.doubted.update({task: state for task, state in states.items() if state is JobState.IN_DOUBT})

    @invariant()
    def bytes_that_were_stored_are_there(self) -> None:
        if not hasattr(self, "entered"):
            return
        there = self.objects()
        self.lost -= there
        for job in self.history():
            for artifact in job.artifacts:
                assert artifact.sha256 in there | self.lost

    def end_well(self) -> None:
        """With nothing going wrong any more a few runs end it all, and one more asks nothing and changes nothing."""
        self.studio.fault()
        self.studio.limits = SpendingLimits()
        self.give_up_what_is_in_doubt()
        for _ in range(6):
            self.run(self.studio.render)
            self.give_up_what_is_in_doubt()
            self.nothing_is_paid_twice()
            if self.studio.done():
                break
        assert self.studio.done(), self.studio.plan().changes
        requests, lock = len(self.studio.books()["requests"]), self.studio.lock_path.read_bytes()
        self.portal.call(self.studio.render)
        assert len(self.studio.books()["requests"]) == requests
        assert self.studio.lock_path.read_bytes() == lock


def take_of(job: dict[str, Any]) -> str:
    return str(job["external_task_id"]).partition(".")[0]


StudioMachine.TestCase.settings = settings(
    max_examples=EXAMPLES or 12, stateful_step_count=30 if EXAMPLES else 10, deadline=None, derandomize=not EXAMPLES,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else [])], database=None,
    suppress_health_check=list(HealthCheck), print_blob=True)
TestStudio = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")(StudioMachine.TestCase)
