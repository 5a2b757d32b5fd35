"""The table of faults made true: each fault, in each phase, under both event loops, over a real socket.

Three shots are rendered; the first is struck and the others stand by. Then the fault goes away and the program is run again,
as a user would. What must be so is read from the gateway's books: jobs, charges, requests. `ROWS` holds the faults that are a
line in a table, the functions below it those that are a story, and `ELSEWHERE` points at the tests that show the rest.
"""

from __future__ import annotations

import ast
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from manifest_runner.adapters import gateway
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.core.lifecycle import HOLDING, Progressed
from manifest_runner.core.model import JobState
from manifest_runner.core.modelcard import override
from manifest_runner.core.outcome import Ending, Report
from manifest_runner.errors import ExitCode, LedgerError
from manifest_runner.ports import SpendingLimits
from manifest_runner.simulator.world import Settings
from manifest_runner.views.outcome import exit_code
from tests.builders import CARD
from tests.worlds import FastClock, Studio, endings

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[1]
PRICE = 145
THREE = "shots:\n  - {id: A, prompt: one}\n  - {id: B, prompt: two}\n  - {id: C, prompt: three}\n"
CERTIFICATES = httpx.create_ssl_context()
CORRELATES = override(CARD, {"external_task_id": "correlates"})
DONE, FAILED, OPEN, DOUBT = Ending.DONE, Ending.FAILED, Ending.UNFINISHED, Ending.IN_DOUBT
SKIPPED, OVER = Ending.SKIPPED, Ending.OVER_BUDGET


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """The loop that all simulators of this module serve in; the runs have loops of their own."""
    with start_blocking_portal() as found:
        yield found


@pytest.fixture(autouse=True)
def one_bundle_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the machine's certificates takes longer than a run here, and nobody shows one."""
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: CERTIFICATES)


class WallThatJumps(FastClock):
    """A clock whose wall time is set back and forth by a day, each time that it is asked."""

    asked = 0

    def wall(self) -> float:
        self.asked += 1
        return super().wall() + (86_400 if self.asked % 2 else -86_400)


class Lid(FastClock):
    """A laptop that is shut for three hours while a job runs."""

    asleep = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.asleep

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if not self.asleep and seconds >= 0.9:
            self.asleep = 10_800.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is done to A, and what the books and the report must say then.

    `posts` and `gets` are the fewest and most requests for A in the first run (`gets` of its job); `made` counts A's jobs
    after it. `others` is how B and C end. The next run has no faults: A then has `then` jobs in all. `doubt` is how many jobs A
    has where ids do not replay: A is then in doubt, and no run sends it again; None where nothing is different then.
    """

    number: str
    faults: str
    a: Ending = DONE
    others: Ending = DONE
    posts: tuple[int, int] = (1, 1)
    gets: tuple[int, int] = (1, 12)
    made: int = 1
    then: int = 1
    code: ExitCode = ExitCode.DONE
    words: str = ""
    halts: str = ""
    doubt: int | None = None
    both_ids: bool = False
    limits: SpendingLimits = field(default_factory=SpendingLimits)
    tries: int = 6
    patience: float = 3600.0
    factor: float = 100.0
    read: float | None = None
    clock: Callable[[float], FastClock] = FastClock
    settings: dict[str, Any] = field(default_factory=dict)
    card: Any = CARD
    charged: int | None = None

    def __str__(self) -> str:
        return f"{self.number} {self.faults or self.clock.__name__}"


PROVIDER, DIFFERENCES, CREDITS = ExitCode.PROVIDER, ExitCode.DIFFERENCES, ExitCode.CREDITS
ONE_AT_A_TIME = SpendingLimits(concurrency=1)

ROWS = [
    # The answer to a POST is lost: the same bytes go again under the same id, or the take is in doubt.
    Row(number="F7", faults="submit:drop-after@1 shot=A", posts=(2, 2), doubt=1),
    Row(number="F7", faults="submit:drop-before@1 shot=A", posts=(2, 2), doubt=0),
    Row(number="F7", faults="submit:slow=60@1 shot=A", posts=(2, 2), doubt=1, read=0.25),
    Row(number="F7", faults="submit:drop-after shot=A", a=OPEN, posts=(6, 6), gets=(0, 0), code=PROVIDER, doubt=1),
    Row(number="F1", faults="submit:drop-before shot=A", a=OPEN, posts=(6, 6), gets=(0, 0), made=0, code=PROVIDER, doubt=0),
    Row(number="F8", faults="submit:500@1 shot=A", posts=(2, 2), doubt=0),
    Row(number="F8", faults="submit:500-after@1 shot=A", posts=(2, 2), doubt=1),
    Row(number="F8", faults="submit:502x2 shot=A", posts=(3, 3), doubt=0),
    Row(number="F8", faults="submit:503-after:retry-after=1@1 shot=A", posts=(2, 2), doubt=1),
    Row(number="F8", faults="submit:504-after shot=A", a=OPEN, posts=(6, 6), gets=(0, 0), code=PROVIDER, doubt=1),
    Row(number="F9", faults="submit:malformed-202@1 shot=A", posts=(2, 2), doubt=1, words='"job_id"'),
    Row(number="F9", faults="submit:malformed-202 shot=A", a=OPEN, posts=(6, 6), gets=(0, 0), code=PROVIDER, doubt=1),
    Row(number="F13", faults="submit:other-job@1 shot=A", a=OPEN, gets=(3, 3), code=PROVIDER, both_ids=True),
    # A clear no, or a call for patience: nothing was accepted, whatever ids do.
    Row(number="F10", faults="submit:429:retry-after=2x2 shot=A", posts=(3, 3), both_ids=True),
    Row(number="F10", faults="submit:429:retry-after=datex2 shot=A", posts=(3, 3), both_ids=True),
    Row(number="F10", faults="submit:429x2 shot=A", posts=(3, 3), both_ids=True),
    Row(number="F10", faults="submit:429:retry-after=soonx2 shot=A", posts=(3, 3)),
    Row(number="F10", faults="submit:429:retry-after=-5x2 shot=A", posts=(3, 3)),
    Row(number="F10", faults="submit:429:retry-after=99999999999x1 shot=A", posts=(2, 2), gets=(1, 99), factor=20_000,
        patience=1e6),
    Row(number="F10", faults="submit:429 shot=A", a=OPEN, posts=(1, 60), gets=(0, 0), made=0, code=PROVIDER, patience=15),
    Row(number="F31", faults="submit:400=violates the content rules shot=A", a=FAILED, gets=(0, 0), made=0, code=DIFFERENCES,
        words="violates the content rules", both_ids=True),
    Row(number="F31", faults="submit:422=prompt too long shot=A", a=FAILED, gets=(0, 0), made=0, code=DIFFERENCES,
        words="prompt too long"),
    Row(number="F31", faults="job:fail=the model gave up shot=A", a=FAILED, code=DIFFERENCES, then=2, words="the model gave up",
        both_ids=True),
    # What ends the submissions of a whole run.
    Row(number="F32", faults="submit:402 shot=A", a=FAILED, others=SKIPPED, gets=(0, 0), made=0, code=PROVIDER,
        halts="account-empty", limits=ONE_AT_A_TIME, both_ids=True),
    Row(number="F32", faults="submit:429=insufficient balance shot=A", a=FAILED, others=SKIPPED, gets=(0, 0), made=0,
        code=PROVIDER, halts="account-empty", limits=ONE_AT_A_TIME, words="insufficient balance"),
    Row(number="F32", faults="submit:401 shot=A", a=FAILED, others=SKIPPED, gets=(0, 0), made=0, code=PROVIDER,
        halts="unauthorized", limits=ONE_AT_A_TIME),
    Row(number="F7", faults="submit:409 shot=A", a=DOUBT, others=SKIPPED, gets=(0, 0), made=0, code=PROVIDER,
        halts="conflict", limits=ONE_AT_A_TIME, doubt=0),
    # Questions about a job that has been paid for: nothing is ever submitted because of their answers.
    Row(number="F7", faults="poll:dropx3 shot=A", gets=(4, 12)),
    Row(number="F8", faults="poll:500x3 shot=A", gets=(4, 12)),
    Row(number="F8", faults="poll:503:retry-after=1x2 shot=A", gets=(3, 12)),
    Row(number="F9", faults="poll:malformedx3 shot=A", gets=(4, 12)),
    Row(number="F10", faults="poll:429:retry-after=2x2 shot=A", gets=(3, 12)),
    Row(number="F10", faults="poll:429:retry-after=datex2 shot=A", gets=(3, 12)),
    Row(number="F10", faults="poll:429x2 shot=A", gets=(3, 12)),
    Row(number="F7", faults="poll:slow=60@1 shot=A", gets=(2, 12), read=0.25),
    Row(number="F8", faults="poll:500 shot=A", a=OPEN, gets=(2, 40), code=PROVIDER, patience=40),
    Row(number="F13", faults="poll:404x2 shot=A", gets=(3, 12)),
    Row(number="F13", faults="poll:404 shot=A", a=OPEN, gets=(3, 3), code=PROVIDER, both_ids=True),
    Row(number="F14", faults="poll:unknown-statusx4 shot=A", gets=(5, 12)),
    Row(number="F14", faults="poll:unknown-status shot=A", a=OPEN, gets=(2, 60), code=PROVIDER, patience=40),
    Row(number="F15", faults="poll:stuck shot=A", a=OPEN, gets=(2, 60), code=PROVIDER, patience=40, both_ids=True),
    Row(number="F32", faults="poll:401 shot=A", a=OPEN, code=PROVIDER, halts="unauthorized"),
    # Bytes that do not arrive, or are others: paid for, so never bought again.
    Row(number="F16", faults="job:no-outputs shot=A", a=FAILED, code=DIFFERENCES, words="without a clip", both_ids=True),
    Row(number="F17", faults="download:403@1 shot=A", gets=(2, 12)),
    Row(number="F17", faults="download:410@1 shot=A", gets=(2, 12)),
    Row(number="F17", faults="download:404@1 shot=A", gets=(2, 12)),
    Row(number="F17", faults="download:403 shot=A", a=FAILED, gets=(3, 12), code=DIFFERENCES),
    Row(number="F18", faults="download:truncated@1 shot=A"),
    Row(number="F18", faults="download:garbage@1 shot=A"),
    Row(number="F18", faults="download:drop@1 shot=A"),
    Row(number="F18", faults="download:truncated shot=A", a=FAILED, code=DIFFERENCES),
    Row(number="F18", faults="download:garbage shot=A", a=FAILED, code=DIFFERENCES),
    Row(number="F8", faults="download:500x2 shot=A"),
    Row(number="F10", faults="download:429x2 shot=A"),
    # Clocks.
    Row(number="F11", faults="", clock=WallThatJumps, limits=SpendingLimits(concurrency=2)),
    Row(number="F12", faults="poll:stuck shot=A", a=OPEN, clock=Lid, code=PROVIDER),
    # Money.
    Row(number="F29", faults="charge:+100 shot=A", charged=3 * PRICE + 100),
    Row(number="F29", faults="charge:+200 shot=A", others=OVER, code=CREDITS,
        limits=SpendingLimits(concurrency=1, run_credits=Decimal(3 * PRICE))),
]

CASES = [pytest.param(row, ids, id=f"{row} {ids}") for row in ROWS for ids in ("replays", "correlates")
         if ids == "replays" or row.doubt is not None or row.both_ids]


@pytest.mark.parametrize(("row", "ids"), CASES)
async def test_a_fault_costs_what_the_table_says_and_the_next_run_finishes(
    row: Row, ids: str, tmp_path: Path, portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if row.read is not None:
        monkeypatch.setattr(gateway, "_TIMEOUT", httpx.Timeout(10, read=row.read, pool=None))
    async with studio_for(row, ids, tmp_path, portal) as studio:
        if ids == "correlates" and row.doubt is not None:
            await in_doubt_for_good(row, studio)
            return
        report = await studio.render()
        after_the_first_run(row, studio, report)
        studio.fault()
        studio.limits, studio.patience = SpendingLimits(), 1e5
        report = await studio.render()
        if row.faults.startswith("job:no-outputs"):  # billed and empty: for a person and the provider, not for this program
            assert endings(report)["A1"] is FAILED
        elif row.halts == "conflict":
            assert endings(report)["A1"] is DOUBT
        elif "other-job" in row.faults:  # the gateway named a job that it does not know: held until a person says so
            assert endings(report)["A1"] is OPEN
        else:
            assert set(endings(report).values()) == {DONE}
            assert studio.done()
        assert jobs_of(studio, "A") == (0 if row.halts == "conflict" else row.then)
        sound(studio)


def studio_for(row: Row, ids: str, folder: Path, portal: BlockingPortal) -> Studio:
    settings = Settings(speed=1e5, seed="faults", replay="replays" if ids == "replays" else "correlates", **row.settings)
    return Studio(folder=folder, text=THREE, portal=portal, settings=settings, faults=tuple(filter(None, [row.faults])),
                  card=row.card if ids == "replays" else CORRELATES, limits=row.limits, tries=row.tries,
                  patience=row.patience, clock=row.clock(row.factor))


def after_the_first_run(row: Row, studio: Studio, report: Report | None) -> None:
    assert report is not None
    assert endings(report) == {"A1": row.a, "B1": row.others, "C1": row.others}
    assert exit_code(report) == row.code
    assert (report.halted.code if report.halted is not None else "") == row.halts
    while row.read is not None and (posts_for(studio, "A") < row.posts[0] or polls_for(studio, "A") < row.gets[0]):
        time.sleep(0.05)  # the gateway is slow, and writes down when it has slept
    assert row.posts[0] <= posts_for(studio, "A") <= row.posts[1]
    assert row.gets[0] <= polls_for(studio, "A") <= row.gets[1]
    assert jobs_of(studio, "A") == row.made
    if row.words and row.a is FAILED:
        assert row.words in report.outcomes[0].words
    if row.charged is not None:
        assert studio.books()["totals"]["credits_charged"] == row.charged
    sound(studio)


async def in_doubt_for_good(row: Row, studio: Studio) -> None:
    """Where ids only label, a lost answer is for a person: one POST, whatever runs afterwards, and its credits stay held."""
    report = await studio.render()
    assert endings(report)["A1"] is DOUBT
    assert report is not None
    assert exit_code(report) == PROVIDER
    if row.words:
        assert row.words in report.outcomes[0].words
    while row.read is not None and posts_for(studio, "A") < 1:
        time.sleep(0.05)
    studio.fault()
    studio.limits = SpendingLimits()
    assert endings(await studio.render()) == {"A1": DOUBT, "B1": DONE, "C1": DONE}
    assert posts_for(studio, "A") == 1
    assert jobs_of(studio, "A") == row.doubt
    assert held(studio) == PRICE
    sound(studio)


# ── the books ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sound(studio: Studio) -> None:
    """What holds after every run, whatever happened in it."""
    books = studio.books()
    assert books["totals"]["duplicates"] == 0
    assert books["totals"]["conflicts"] == 0
    assert studio.paid_twice() == []
    bodies: dict[str, set[str]] = {}
    for request in books["requests"]:
        if request["method"] == "POST":
            bodies.setdefault(request["external_task_id"], set()).add(request["body_sha256"])
        if request["path"].startswith("/out/"):
            assert request["key"] == "", "a download carried the key"
    assert all(len(found) == 1 for found in bodies.values()), "an id went out with two bodies"
    known = {job.job_id: job for job in history(studio)}
    for job in books["jobs"]:
        if job["id"] in known and known[job["id"]].charged is not None:
            assert known[job["id"]].charged == Decimal(str(job["credits_charged"]))


def history(studio: Studio) -> list[Any]:
    ledger = SqliteLedger.open_readonly(studio.folder / "ledger", account="a")
    if ledger is None:
        return []
    with ledger:
        return ledger.history("show.yaml")


def held(studio: Studio) -> Decimal:
    """Credits that the ledger keeps reserved."""
    return sum((job.intent.reserved for job in history(studio) if job.state in HOLDING), Decimal(0))


def of_shot(studio: Studio, shot: str) -> list[dict[str, Any]]:
    return [job for job in studio.books()["jobs"] if job["external_task_id"].startswith(f"{shot}_t")]


def jobs_of(studio: Studio, shot: str) -> int:
    return len(of_shot(studio, shot))


def posts_for(studio: Studio, shot: str) -> int:
    return sum(request["method"] == "POST" and request["external_task_id"].startswith(f"{shot}_t")
               for request in studio.books()["requests"])


def polls_for(studio: Studio, shot: str) -> int:
    """Questions about the shot's jobs, under the name that the program had for them."""
    names = {job.job_id for job in history(studio) if job.intent.key.shot == shot} - {None}
    return sum(request["path"].startswith("/v1/jobs/") and request["job_id"] in names for request in studio.books()["requests"])
