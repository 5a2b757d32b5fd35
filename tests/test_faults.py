"""The table of faults made true: each fault, in each phase, under both event loops, over a real socket.

Three shots are rendered; the first is struck and the others stand by. Then the fault goes away and the program is run again,
as a user would. What must be so is read from the gateway's books: jobs, charges, requests. `ROWS` holds the faults that are a
line in a table, the functions below it those that are a story, and `ELSEWHERE` points at the tests that show the rest.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from manifest_runner.adapters import downloads, gateway, rescue
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.core.lifecycle import HOLDING, Abandoned, Intended, Progressed
from manifest_runner.core.model import ExternalTaskId, JobId, JobState
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
    first_look: float = 1.0
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
    Row(number="F32", faults="poll:401 shot=A", a=OPEN, code=PROVIDER, halts="unauthorized",
        first_look=30),  # B and C have left by then
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
    Row(number="F12", faults="poll:stuck shot=A", a=OPEN, gets=(2, 60), patience=40, clock=Lid, code=PROVIDER),
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
        await after_the_first_run(row, studio, report)
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
                  patience=row.patience, first_look=row.first_look, clock=row.clock(row.factor))


async def after_the_first_run(row: Row, studio: Studio, report: Report | None) -> None:
    assert report is not None
    assert endings(report) == {"A1": row.a, "B1": row.others, "C1": row.others}
    assert exit_code(report) == row.code
    assert (report.halted.code if report.halted is not None else "") == row.halts
    if row.read is not None:
        await heard(lambda: posts_for(studio, "A") >= row.posts[0] and polls_for(studio, "A") >= row.gets[0])
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
    if row.read is not None:
        await heard(lambda: posts_for(studio, "A") > 0)
    studio.fault()
    studio.limits = SpendingLimits()
    assert endings(await studio.render()) == {"A1": DOUBT, "B1": DONE, "C1": DONE}
    assert posts_for(studio, "A") == 1
    assert jobs_of(studio, "A") == row.doubt
    assert held(studio) == PRICE
    sound(studio)


async def heard(done: Callable[[], bool]) -> None:
    """The gateway is slow, and writes down when it has slept."""
    with anyio.fail_after(10):
        while not done():  # noqa: ASYNC110 - the books tell nobody
            await anyio.sleep(0.05)


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


# ── stories ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def studio_of(folder: Path, portal: BlockingPortal, *faults: str, replay: str = "replays", speed: float = 1e5,
              **more: Any) -> Studio:
    settings = Settings(speed=speed, seed="stories", replay="replays" if replay == "replays" else "correlates")
    card = CARD if replay == "replays" else CORRELATES
    return Studio(**{"text": THREE, **more}, folder=folder, portal=portal, settings=settings, card=card, faults=faults)


async def test_f5_the_stored_body_is_finished_first_and_the_change_is_a_new_take_of_the_plan(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    async with studio_of(tmp_path, portal, "submit:drop-before shot=A", tries=2) as studio:
        assert endings(await studio.render())["A1"] is OPEN
        studio.fault()
        studio.text = THREE.replace("one", "ONE")
        await studio.render()
        (first,) = of_shot(studio, "A")
        sent = {request["body_sha256"] for request in studio.books()["requests"] if request["job_id"] == first["id"]
                or request["external_task_id"] == first["external_task_id"]} - {""}
        assert sent == {first["body_sha256"]}, "what was stored, and nothing else, went out under that id"
        await studio.render()
        assert studio.done()
        assert jobs_of(studio, "A") == 2
        assert studio.books()["totals"]["duplicates"] == 0


async def test_f6_a_gateway_that_is_not_there_gets_nothing_and_holds_nothing(tmp_path: Path, portal: BlockingPortal) -> None:
    async with studio_of(tmp_path, portal) as studio:
        with socket.socket() as nobody:  # a port that is taken and does not listen
            nobody.bind(("127.0.0.1", 0))
            there, studio.address = studio.address, f"http://127.0.0.1:{nobody.getsockname()[1]}"
            report = await studio.render()
        assert set(endings(report).values()) == {OPEN}
        assert report is not None
        assert exit_code(report) == PROVIDER
        assert held(studio) == 0
        studio.address = there
        assert studio.requests("POST") == 0
        await studio.render()
        assert studio.done()
        assert studio.jobs_made() == 3
        sound(studio)


@pytest.mark.parametrize("faults", [
    ("poll:unknown-statusx3 shot=A",), ("poll:unknown-status@3 shot=A", "poll:stuckx2 shot=A")], ids=["at first", "later"])
async def test_f14_a_status_that_nobody_knows_is_told_once_and_its_document_is_kept(
    tmp_path: Path, portal: BlockingPortal, faults: tuple[str, ...]
) -> None:
    async with studio_of(tmp_path, portal, *faults) as studio:
        await studio.render()
        told = [what for _, what in studio.events if isinstance(what, Progressed) and what.status == "awaiting_muse"]
        assert len(told) == 1
        with closing(sqlite3.connect(tmp_path / "ledger")) as ledger:
            kept = [json.loads(row[0]) for row in ledger.execute("SELECT detail FROM events WHERE kind = 'Progressed'")]
        assert [json.loads(detail["raw"])["status"] for detail in kept if "raw" in detail] == ["awaiting_muse"]


async def test_f17_an_address_that_was_refused_is_not_used_again_before_the_job_was_asked(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    async with studio_of(tmp_path, portal, "download:403@1 shot=A", text="shots: [{id: A, prompt: one}]") as studio:
        await studio.render()
        paths = [request["path"].split("/")[1] for request in studio.books()["requests"]]
        assert paths[paths.index("out"):] == ["out", "v1", "out"]


async def test_f19_other_bytes_on_a_second_download_are_kept_beside_the_first_and_fail(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    async with studio_of(tmp_path, portal) as studio:
        await studio.render()
        clip = tmp_path / "renders" / "A_t1.mp4"
        clip.write_bytes(clip.read_bytes() + b"an editor was here")
        edited = clip.read_bytes()
        entry = read_lockfile(studio.lock_path, "lock")[0].entries["A", 1]  # type: ignore[index]
        sha256, lock = entry.outputs[0].sha256, studio.lock_path.read_bytes()
        (tmp_path / "objects" / "sha256" / sha256[:2] / sha256[2:]).unlink()
        studio.fault("download:other shot=A")
        report = await studio.render()
        assert endings(report)["A1"] is FAILED
        assert report is not None
        assert sha256 in report.outcomes[0].words
        assert exit_code(report) == DIFFERENCES
        assert clip.read_bytes() == edited
        assert len([path for path in (tmp_path / "objects" / "sha256").rglob("*") if path.is_file()]) == 3
        assert studio.lock_path.read_bytes() == lock
        studio.fault()
        await studio.render()
        assert studio.done()
        assert studio.jobs_made() == 3


async def test_f22_stopped_while_submissions_are_on_their_way_it_hears_their_answers_and_sends_no_more(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    text = "shots:\n" + "".join(f"  - {{id: S{n:02}, prompt: x{n}}}\n" for n in range(30))
    async with studio_of(tmp_path, portal, "submit:slow=20", text=text, replay="correlates") as studio:
        with studio.first_departure() as first:
            async with anyio.create_task_group() as group:
                group.start_soon(studio.render)
                await first.wait()
                group.cancel_scope.cancel()
        sent = studio.requests("POST")
        assert 0 < sent <= 10
        assert sum(job.job_id is not None for job in history(studio)) == sent
        studio.fault()
        await studio.render()
        assert studio.done(), "nothing is in doubt, although ids do not replay"
        assert studio.jobs_made() == studio.requests("POST") == 30


async def test_f24_a_damaged_ledger_sends_nothing(tmp_path: Path, portal: BlockingPortal) -> None:
    async with studio_of(tmp_path, portal, "poll:stuck shot=A", patience=40) as studio:
        await studio.render()
        posts, ledger = studio.requests("POST"), tmp_path / "ledger"
        content = bytearray(ledger.read_bytes())
        content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
        ledger.write_bytes(content)
        with pytest.raises(LedgerError):
            await studio.render()
        assert studio.requests("POST") == posts


async def test_f25_two_runs_of_one_manifest_share_shots_places_and_budget(tmp_path: Path, portal: BlockingPortal) -> None:
    text = "shots:\n" + "".join(f"  - {{id: S{n:02}, prompt: x{n}}}\n" for n in range(8))
    limits = SpendingLimits(concurrency=2, daily_credits=Decimal(6 * PRICE))
    async with studio_of(tmp_path, portal, text=text, limits=limits) as studio:
        old = studio.plan()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(studio.render, plan=old))
            group.start_soon(partial(studio.render, plan=old))
        assert studio.jobs_made() == 6
        assert studio.books()["totals"]["credits_charged"] == 6 * PRICE
        assert max(account["most_in_flight"] for account in studio.books()["accounts"].values()) <= 2
        studio.limits = SpendingLimits()
        await studio.render()
        assert studio.done()
        assert studio.jobs_made() == 8
        sound(studio)


@pytest.mark.parametrize("fits", [1, 9, 10])
async def test_f27_many_tasks_and_a_budget_for_few(tmp_path: Path, portal: BlockingPortal, fits: int) -> None:
    text = "shots:\n" + "".join(f"  - {{id: S{n:02}, prompt: x{n}}}\n" for n in range(20))
    budget = Decimal(fits * PRICE + 100)
    async with studio_of(tmp_path, portal, text=text, limits=SpendingLimits(run_credits=budget)) as studio:
        report = await studio.render()
        assert report is not None
        assert exit_code(report) == CREDITS
        assert studio.books()["totals"]["credits_charged"] == fits * PRICE, "never above, and nothing left that fits"


async def test_f28_what_is_in_doubt_counts_as_spent_in_every_later_run(tmp_path: Path, portal: BlockingPortal) -> None:
    limits = SpendingLimits(daily_credits=Decimal(3 * PRICE))
    async with studio_of(tmp_path, portal, "submit:drop-after shot=A", replay="correlates", limits=limits) as studio:
        await studio.render()
        studio.fault()
        studio.text = THREE + "  - {id: D, prompt: four}\n"
        report = await studio.render()
        assert endings(report) == {"A1": DOUBT, "B1": DONE, "C1": DONE, "D1": OVER}
        assert studio.books()["totals"]["credits_charged"] == 3 * PRICE
        sound(studio)


@pytest.mark.parametrize("what", ["deleted", "rolled back"])
async def test_f30_the_ledger_wins_for_money_over_a_lockfile_that_git_changed(
    tmp_path: Path, portal: BlockingPortal, what: str
) -> None:
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]") as studio:
        await studio.render()
        old = studio.lock_path.read_bytes()
        studio.text = THREE.replace("one", "ONE")
        await studio.render()
        new, posts = studio.lock_path.read_bytes(), studio.requests("POST")
        studio.lock_path.unlink() if what == "deleted" else studio.lock_path.write_bytes(old)
        await studio.render()
        assert studio.requests("POST") == posts
        assert studio.done()
        assert studio.lock_path.read_bytes() == new


# ── F20: disks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fill_up(studio: Studio) -> None:
    """From now on the ledger's disk is really full: SQLite may take no further page, and no page has room."""
    assert studio.ledger is not None
    connection = studio.ledger._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    for size in (1000, 100, 10, 0):
        for _ in range(10_000):
            try:
                connection.execute("INSERT INTO events (account, kind, at, detail) VALUES ('filler', '', 0.0, ?)", ["x" * size])
            except sqlite3.OperationalError:
                break


@pytest.mark.parametrize("replay", ["replays", "correlates"])
@pytest.mark.parametrize("places", [("",), ("nowhere", "")], ids=["first place", "second place"])
async def test_f20_a_job_id_that_the_full_disk_does_not_take_is_said_kept_and_read_by_the_next_run(
    tmp_path: Path, portal: BlockingPortal, replay: str, places: tuple[str, ...]
) -> None:
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]", replay=replay, places=places) as studio:
        studio.watch = lambda key, what: fill_up(studio) if isinstance(what, Intended) else None
        report = await studio.render()
        assert report is not None
        assert isinstance(report.halted, LedgerError)
        (job,) = studio.books()["jobs"]
        (note,) = studio.rescue().found()
        assert (note.external_task_id, note.job_id) == (job["external_task_id"], job["id"])
        assert Path(note.place).stat().st_mode & 0o777 == 0o600
        assert any(job["id"] in line for line in studio.said)
        assert job["id"] in report.halted.message
        assert note.place in str(report.halted.hint)
        assert endings(report) == {"A1": OPEN}
        studio.watch = None
        await studio.render()
        assert studio.done()
        assert (studio.jobs_made(), studio.requests("POST")) == (1, 1)
        assert studio.rescue().found() == []
        sound(studio)


async def test_f20_where_no_place_takes_the_id_the_words_have_it_and_the_command(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]", places=("nowhere",)) as studio:
        studio.watch = lambda key, what: fill_up(studio) if isinstance(what, Intended) else None
        report = await studio.render()
        assert report is not None
        assert report.halted is not None
        (job,) = studio.books()["jobs"]
        assert f"manifest-runner adopt show.yaml A:1 {job['id']}" in str(report.halted.hint)


async def test_f20_a_full_disk_before_a_post_sends_nothing(tmp_path: Path, portal: BlockingPortal) -> None:
    async with studio_of(tmp_path, portal) as studio:
        filled = []
        studio.watch = lambda key, what: None if filled else filled.append(fill_up(studio))
        report = await studio.render()
        assert report is not None
        assert isinstance(report.halted, LedgerError)
        assert exit_code(report) == ExitCode.INVALID
        assert "no space left" in report.halted.message
        assert studio.requests("POST") == 0
        studio.watch = None
        await studio.render()
        assert studio.done()
        assert studio.jobs_made() == 3


@pytest.mark.parametrize(("note", "mode"), [
    ({"job_id": "job_klingv3omni_ffffffffff"}, 0o600),
    ({"job_id": "OTHER"}, 0o644),
    ({"job_id": "../../_sim/books"}, 0o600),
    ({"external_task_id": 5}, 0o600),
])
async def test_f20_a_note_that_does_not_fit_or_that_others_may_have_written_is_said_and_changes_nothing(
    tmp_path: Path, portal: BlockingPortal, note: dict[str, Any], mode: int
) -> None:
    async with studio_of(tmp_path, portal, "submit:drop-after shot=A", replay="correlates") as studio:
        await studio.render()
        other = next(job["id"] for job in studio.books()["jobs"] if job["external_task_id"].startswith("B_"))
        task = next(job.intent.external_task_id for job in history(studio) if job.state is JobState.IN_DOUBT)
        path = tmp_path / f"{studio.rescue()._prefix}0.json"
        path.write_text(json.dumps({"external_task_id": task, "job_id": other, **note}).replace("OTHER", other))
        path.chmod(mode)
        studio.fault()
        studio.said.clear()
        assert endings(await studio.render())["A1"] is DOUBT
        assert len(studio.said) == 1
        assert path.exists()


async def test_f20_a_note_of_a_job_that_is_there_and_that_the_ledger_cannot_take_stops_everything(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]") as studio:
        await studio.render()
        job = studio.books()["jobs"][0]["id"]
        path = tmp_path / f"{studio.rescue()._prefix}0.json"
        path.write_text(json.dumps({"external_task_id": "A_t1.a1.unknown", "job_id": job}))
        path.chmod(0o600)
        studio.text = "shots: [{id: A, prompt: two}]"
        with pytest.raises(LedgerError, match="the ledger does not take it") as caught:
            await studio.render()
        assert "remove the file" in str(caught.value.hint)
        assert path.exists()
        assert studio.jobs_made() == 1


async def test_f5_what_a_run_is_sending_cannot_be_given_up_by_a_person(tmp_path: Path, portal: BlockingPortal) -> None:
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]") as studio:
        refused = []

        def give_up(key: Any, what: object) -> None:
            if isinstance(what, Intended):
                with SqliteLedger(tmp_path / "ledger", account="a", run="person", wall=studio.clock.wall) as ledger:
                    try:
                        ledger.record(what.intent.external_task_id, Abandoned(release=True))
                    except LedgerError as error:
                        refused.append(error)

        studio.watch = give_up
        assert endings(await studio.render())["A1"] is DONE
        assert "a run is sending" in refused[0].message
        assert studio.jobs_made() == 1


@pytest.mark.parametrize("most", [10_000, 5])
def test_f20_hundreds_of_notes_are_all_read_or_it_is_said_how_many_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                          most: int) -> None:
    monkeypatch.setattr(rescue, "_MOST", most)
    said: list[str] = []
    files = rescue.RescueFiles(account="a", ledger="ledger", places=[tmp_path], say=said.append)
    for number in range(250):
        assert files._write(ExternalTaskId(f"task-{number}"), JobId(f"job-{number}")) is not None
    assert len(files.found()) == min(most, 250)
    assert said == ([] if most > 250 else [f"{tmp_path} holds 245 more notes of jobs than are read at a time: the next run "
                                           "reads on"])
    for note in files.found():
        files.drop(note)
    assert len(files.found()) == (0 if most > 250 else 5)


async def test_f20_an_id_that_the_states_do_not_allow_is_kept_as_well(tmp_path: Path, portal: BlockingPortal) -> None:
    """Whatever keeps the ledger from taking it, the job is paid for: its id must reach a person and the next run."""
    async with studio_of(tmp_path, portal, text="shots: [{id: A, prompt: one}]") as studio:
        def lose(key: Any, what: object) -> None:
            if isinstance(what, Intended):  # as a second machine could that shares this folder, where locks do not reach
                studio.ledger.record(what.intent.external_task_id, Abandoned(release=True))

        studio.watch = lose
        report = await studio.render()
        assert report is not None
        assert isinstance(report.halted, LedgerError)
        job = studio.books()["jobs"][0]["id"]
        assert any(job in said for said in studio.said)
        assert [note.job_id for note in studio.rescue().found()] == [job]
        studio.watch = None
        with pytest.raises(LedgerError, match=job):
            await studio.render()
        assert studio.jobs_made() == 1, "nothing is bought again before a person has looked"


async def test_f20_a_disk_without_room_for_clips_keeps_what_was_paid_for_the_next_run(
    tmp_path: Path, portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with studio_of(tmp_path, portal) as studio:
        with monkeypatch.context() as patch:
            patch.setattr(downloads, "_write", full)
            report = await studio.render()
        assert set(endings(report).values()) == {FAILED}
        assert report is not None
        assert "No space left" in report.outcomes[0].words
        assert {job.state for job in history(studio)} == {JobState.SUCCEEDED}
        await studio.render()
        assert studio.done()
        assert studio.jobs_made() == 3
        sound(studio)


# ── what is shown elsewhere, and that nothing is left out ─────────────────────────────────────────────────────────────

ELSEWHERE = {
    "F1": ["tests/crash/test_killed_run.py::test_killed_at_any_time_and_run_again_it_finishes_and_pays_each_take_once",
           "tests/crash/test_ledger_recovery.py::test_what_a_living_process_intended_is_its_own_and_after_a_kill_the_next_runs"],
    "F2": ["tests/cli/test_live.py::test_in_doubt_says_what_to_type_and_adopt_brings_the_clip_home",
           "tests/cli/test_live.py::test_abandon_gives_a_take_up_and_the_next_render_submits_it_anew"],
    "F6": ["tests/adapters/test_gateway.py::test_what_never_left_may_be_sent_again",
           "tests/adapters/test_gateway.py::test_over_a_socket_a_self_signed_certificate_is_permanent"],
    "F10": ["tests/adapters/test_answers.py::test_retry_after_is_seconds_or_a_date_clamped_or_nothing"],
    "F11": ["tests/core/test_pace.py::test_a_clock_that_jumps_costs_at_most_one_spacing"],
    "F18": ["tests/adapters/test_downloads.py::test_a_truncated_download_goes_on_where_it_stopped_under_the_same_etag"],
    "F20": ["tests/cli/test_broken.py::test_a_disk_that_fills_up_at_any_write_of_the_ledger_costs_no_job"],
    "F21": ["tests/cli/test_broken.py::test_an_output_that_is_closed_or_full_changes_nothing_of_the_render"],
    "F23": ["tests/cli/test_broken.py::test_a_second_ctrl_c_leaves_at_once_and_the_next_run_continues"],
    "F24": ["tests/crash/test_ledger_recovery.py::test_a_log_cut_anywhere_leaves_a_prefix_of_the_history",
            "tests/crash/test_ledger_recovery.py::test_a_flipped_byte_in_the_ledger_never_frees_a_credit_nor_changes_a_body"],
    "F25": ["tests/crash/test_killed_run.py::test_two_runs_of_one_manifest_at_once_share_it",
            "tests/adapters/test_ledger.py::test_four_processes_share_one_rate"],
    "F30": ["tests/core/test_planning.py::test_the_ledger_wins_over_a_lockfile_that_was_rolled_back",
            "tests/test_state_machine.py::TestStudio"],
}


def test_every_fault_of_the_table_is_shown_and_every_pointer_leads_to_a_test() -> None:
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (F\d+) \|", page, re.MULTILINE)
    stories = {name[5:].split("_")[0].upper() for name in globals() if re.match(r"test_f\d+_", name)}
    assert len(table) == len(set(table)) == 29
    assert {row.number for row in ROWS} | stories | set(ELSEWHERE) == set(table)
    for pointer in (pointer for found in ELSEWHERE.values() for pointer in found):
        path, _, name = pointer.partition("::")
        # Not by `ast.parse`, in which CPython 3.11.2 fails now and then after a long session ("recursion depth mismatch").
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {name}\(|^{name} = ", text, re.MULTILINE), pointer
