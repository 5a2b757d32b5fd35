"""The kill sweep: lives of a render that is killed again and again, judged by the provider's books.

    python -m tests.crash.sweep --kills 1000 [--every] [--seed N] [--delays] [--correlates | --naive]

A life is a fresh folder with a manifest of five takes. `render` is killed, run again, killed again, and at last run to its end.
The first kill of a life goes through the system calls of a reference run one after the other: each call that changes the disk
or speaks to the network and each wait of the event loop is one point, before or after it; of those that leave nothing behind
some are drawn by lot. The kills after it are chosen at random, by call or by the clock. `--every` goes on until each point has
been the first kill of a life. Then the books say how many jobs there are of each take and what was charged; files and lockfile
must agree with them, and one more run must find nothing to do.

Each run is the command line's own `main` in a process forked from one that has its modules loaded already: starting Python a
thousand times would be most of the work. A finding is printed with the points that repeat it (`--repeat`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from manifest_runner.__main__ import main as command_line
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.adapters.media import probe
from manifest_runner.adapters.state import StateFolder
from manifest_runner.core.model import JobState
from manifest_runner.simulator.clips import parse_task_id
from tests.crash import naive
from tests.crash.provider import books, provider
from tests.crash.test_killed_run import SHOW
from tests.crash.tracing import DISK, NETWORK, WAITS, Ended, Point, can_trace, group_of, run

TAKES = {("A", 1), ("A", 2), ("B", 1), ("C", 1), ("D", 1)}
PRICE = 29
CORRELATES = '[models.kling-v3-omni]\nexternal_task_id = "correlates"\n'
SECONDS = 120.0
"""A run takes two; one that takes so long hangs."""

MORE_KILLS = 4
"""How often a life is killed at most after its first kill."""

SETTLINGS = 8
"""How often a person decides about what is in doubt, at most: a chain has no more links."""

EQUAL = frozenset({"read", "close", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "getdents64", "readlink", "ioctl",
                   "futex", "sched_yield", "getsockopt", "getsockname", "getpeername", "pread64"})
"""Calls that leave nothing behind on disk, network or clock: for what survives a kill they are equal to their neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all lives of a sweep share."""

    address: str
    seed: int
    replays: bool = True
    delays: bool = False
    naive: bool = False


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What became of a life: the kills that struck, counts, and everything that must not be (`wrong`)."""

    life: int
    kills: list[Point] = field(default_factory=list)
    paid_twice: int = 0
    resubmitted: int = 0
    lost: int = 0
    missing: int = 0
    doubtful: int = 0
    wrong: list[str] = field(default_factory=list)


# ── a life ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Life:
    """A folder, a key, and what runs there."""

    def __init__(self, setup: Setup, number: int, folder: Path) -> None:
        self.setup, self.folder = setup, folder
        self.key = f"{'late' if setup.delays else 'life'}-{os.getpid()}-{time.monotonic_ns()}"
        self.verdict = Verdict(life=number)
        (folder / "show.yaml").write_text(SHOW)
        if not setup.replays:
            (folder / "manifest-runner.toml").write_text(CORRELATES)

    def render(self, point: Point | None = None, *, traced: bool = False) -> Ended:
        return self.command("render", "show.yaml", "--yes", point=point, traced=traced)

    def command(self, *arguments: str, point: Point | None = None, traced: bool = False) -> Ended:
        return run(partial(self._become, arguments), point, seconds=SECONDS, traced=traced)

    def _become(self, arguments: Sequence[str]) -> None:
        """In the child: be the program, as a user's shell would start it."""
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update({"HOME": str(self.folder), "PATH": os.defpath, "NO_COLOR": "1", "TRINETRA_API_KEY": self.key,
                           "MANIFEST_RUNNER_BASE_URL": self.setup.address, "MANIFEST_RUNNER_FRAMES": "inline"})
        said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(said, 1)
        os.dup2(said, 2)
        if self.setup.naive:
            asyncio.run(naive.main(self.setup.address, self.key, self.folder))
            return
        sys.argv = ["manifest-runner", *arguments]
        command_line()

    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def books(self) -> dict[str, list[dict[str, Any]]]:
        return books(self.setup.address, self.key)

    def live(self, points: Sequence[Point]) -> Verdict:
        """Be killed at each of `points` in turn as long as there is something to do, then finish, and be judged."""
        for point in points:
            if self.render(point).code is not None:
                break
            self.verdict.kills.append(point)
        try:
            self._finish()
            self._judge_books()
            if not self.setup.naive:
                self._judge_files()
                self._judge_rest()
        except Exception as error:
            self.verdict.wrong.append(f"{type(error).__name__}: {error}")
        return self.verdict

    def _expect(self, truth: bool, words: str) -> None:
        if not truth:
            self.verdict.wrong.append(words)

    def _finish(self) -> None:
        code = self.render().code
        if not self.setup.replays:
            self._judge_resubmissions()
            for _ in range(SETTLINGS):
                if code == 0 or not self._settle():
                    break
                code = self.render().code
            self._judge_resubmissions()
        self._expect(code == 0, f"the last run ended with {code}: {self.said()[-500:]}")

    # ── in doubt ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> int:
        """What a person does: look at the gateway's own pages, then type what `status` says. The number of decisions."""
        self.command("status", "show.yaml")
        said = self.said()
        made = {parse_task_id(job["external_task_id"]): job["id"] for job in self.books()["jobs"]}
        doubtful = self._in_doubt()
        for shot, take in doubtful[:3]:  # `status` names three at a time
            self._expect(f"manifest-runner adopt show.yaml {shot}:{take} JOB_ID" in said, f"status does not say how to: {said}")
            if (shot, take) in made:
                ended = self.command("adopt", "show.yaml", f"{shot}:{take}", made[shot, take])
            else:
                ended = self.command("abandon", "show.yaml", f"{shot}:{take}", "--release", "--yes")
            self._expect(ended.code == 0, f"a decision was refused: {self.said()}")
            self.verdict.doubtful += 1
        return len(doubtful)

    def _jobs(self) -> list[Any]:
        path = StateFolder(self.folder / ".manifest-runner").ledger
        for account in SqliteLedger.accounts(path):
            ledger = SqliteLedger.open_readonly(path, account=account)
            assert ledger is not None
            with ledger:
                return ledger.history("show.yaml")
        return []

    def _in_doubt(self) -> list[tuple[str, int]]:
        return [(job.intent.key.shot, job.intent.key.take) for job in self._jobs() if job.state is JobState.IN_DOUBT]

    def _judge_resubmissions(self) -> None:
        """Without replay no bytes may leave twice by themselves: a new attempt, with another id, is a person's."""
        sent = Counter(request["external_task_id"] for request in self.books()["requests"]
                       if request["method"] == "POST" and request["external_task_id"])
        self.verdict.resubmitted = sum(count - 1 for count in sent.values())
        self._expect(not self.verdict.resubmitted, f"sent more than once: {sent}")

    # ── the verdict ───────────────────────────────────────────────────────────────────────────────────────────────

    def _judge_books(self) -> None:
        jobs = self.books()["jobs"]
        made = Counter(parse_task_id(job["external_task_id"]) for job in jobs)
        self.verdict.paid_twice = sum(count - 1 for count in made.values())
        self._expect(not self.verdict.paid_twice, f"paid twice: {made}")
        self._expect(set(made) == TAKES, f"jobs of other takes than wanted: {made}")
        self._expect(all(job["credits_charged"] == PRICE for job in jobs), "a job was not charged its price, once")

    def _judge_files(self) -> None:
        made = {job["id"] for job in self.books()["jobs"]}
        jobs = self._jobs()
        entries = read_lockfile(self.folder / "show.lock.json", "the lockfile")[0].entries
        known = {job.job_id for job in jobs} & {entry.job_id for entry in entries.values()}
        self.verdict.lost = len(made - known)
        self._expect(made == known, f"jobs that ledger and lockfile do not both know: {made ^ known}")
        self._expect({job.state for job in jobs} <= {JobState.STORED, JobState.ABANDONED}, "a job is not stored in the ledger")
        for shot, take in sorted(TAKES):
            entry, path = entries.get((shot, take)), self.folder / "renders" / "show" / f"{shot}_t{take}.mp4"
            whole = (entry is not None and entry.state is JobState.STORED and path.is_file()
                     and hashlib.sha256(path.read_bytes()).hexdigest() == entry.outputs[0].sha256
                     and run(partial(probe, path), None, seconds=SECONDS).code == 0)
            self.verdict.missing += not whole
            self._expect(whole, f"{shot} take {take} has no whole clip")

    def _judge_rest(self) -> None:
        before = self.books()["requests"]
        ended = self.render()
        self._expect(ended.code == 0 and self.said().startswith("Nothing to do: 5 kept."), f"not at rest: {self.said()}")
        self._expect(self.books()["requests"] == before, "a finished run asked for something")


@contextlib.contextmanager
def life(setup: Setup, number: int) -> Iterator[Life]:
    """A life in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-"))
    try:
        yield Life(setup, number, folder)
    finally:
        shutil.rmtree(folder)


# ── which points ──────────────────────────────────────────────────────────────────────────────────────────────────────


def load_modules(setup: Setup) -> None:
    """Import what a run imports, so that the children need not."""
    with life(setup, 0) as warm:
        def child() -> None:
            try:
                warm._become(("render", "show.yaml", "--yes"))
            finally:
                Path("modules.txt").write_text("\n".join(sys.modules))

        run(child, None, seconds=SECONDS)
        for name in (warm.folder / "modules.txt").read_text().split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def reference(setup: Setup) -> Counter[str]:
    """The calls of a run from the start of its event loop to its end, without any kill."""
    with life(setup, 0) as calm:
        ended = calm.render(traced=True)
        assert ended.code == 0, calm.said()
        return ended.calls


def first_points(calls: Counter[str], luck: random.Random) -> list[Point]:
    """Each call that leaves something behind, and each wait, once; of the others a fifth as many."""
    all_of = {name: [Point(name=name, n=n, after=luck.random() < 0.5) for n in range(1, count + 1)]
              for name, count in calls.items() if name != "exit_group"}
    telling = [point for name, points in all_of.items() if name in (DISK | NETWORK | WAITS) - EQUAL for point in points]
    others = [point for name, points in all_of.items() if name not in (DISK | NETWORK | WAITS) - EQUAL for point in points]
    chosen = telling + luck.sample(others, min(len(others), len(telling) // 5))
    luck.shuffle(chosen)
    return chosen


def more_points(calls: Counter[str], luck: random.Random) -> list[Point]:
    """The kills after the first one: at calls that come early in what is left, or by the clock."""
    names = [name for name in calls if name in DISK | NETWORK | WAITS]
    points = []
    for _ in range(luck.randint(0, MORE_KILLS)):
        if luck.random() < 0.4:
            points.append(Point(name="any time", seconds=luck.uniform(0.02, 1.3)))
        else:
            name = luck.choice(names)
            points.append(Point(name=name, n=1 + int(luck.expovariate(4 / calls[name])), after=luck.random() < 0.5))
    return points


def live(setup: Setup, work: tuple[int, list[Point]]) -> Verdict:
    """One life, in a worker."""
    number, points = work
    with life(setup, number) as mine:
        return mine.live(points)


# ── the sweep ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a sweep has found."""

    setup: Setup
    points: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(len(verdict.kills) for verdict in self.verdicts)

    @property
    def wrong(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.wrong]

    def total(self, name: str) -> int:
        return sum(getattr(verdict, name) for verdict in self.verdicts)

    def lines(self) -> list[str]:
        lives, kinds = len(self.verdicts), Counter(group_of(kill.name) for one in self.verdicts for kill in one.kills)
        struck = {(one.kills[0].name, one.kills[0].n) for one in self.verdicts if one.kills}
        lines = [f"{self.kills} kills in {lives} lives: " + ", ".join(f"{count} {name}" for name, count in kinds.most_common()),
                 f"first kills at {len(struck)} of the {self.points} points of the reference run"]
        if self.setup.naive:
            twice = sum(verdict.paid_twice > 0 for verdict in self.verdicts)
            return [*lines, f"naive runner: paid twice at {twice} of {self.kills} kill points "
                            f"({twice / max(1, self.kills):.1%}), {self.total('paid_twice')} jobs too many"]
        lines.append(f"jobs paid twice {self.total('paid_twice')}, lost {self.total('lost')}, "
                     f"clips missing {self.total('missing')}, lives with anything wrong {len(self.wrong)}")
        if not self.setup.replays:
            takes = lives * len(TAKES)
            doubtful = self.total("doubtful")
            lines.append(f"resubmitted by itself {self.total('resubmitted')}, left in doubt {doubtful} of {takes} takes "
                         f"({doubtful / max(1, takes):.1%}), all settled by adopt or abandon")
        return lines

    def findings(self) -> Iterator[str]:
        for verdict in self.wrong[:10]:
            points = "; ".join(map(str, verdict.kills))
            yield f"life {verdict.life}: {' | '.join(verdict.wrong)}\n  {repeat_with(self.setup)} --repeat '{points}'"


def repeat_with(setup: Setup) -> str:
    """The command of a sweep, without its points."""
    flags = {"--delays": setup.delays, "--correlates": not setup.replays, "--naive": setup.naive}
    return " ".join(["python -m tests.crash.sweep", f"--seed {setup.seed}", *(flag for flag, on in flags.items() if on)])


def sweep(setup: Setup, *, kills: int, every: bool, workers: int) -> Figures:
    """Live until there were so many kills and, with `every`, until each point was a first kill."""
    load_modules(setup)
    calls, luck = reference(setup), random.Random(setup.seed)
    firsts = first_points(calls, luck)
    figures = Figures(setup=setup, points=len(firsts))

    def works() -> Iterator[tuple[int, list[Point]]]:
        number = 0
        while figures.kills < kills or (every and number < len(firsts)):
            yield number, [firsts[number % len(firsts)], *([] if setup.naive else more_points(calls, luck))]
            number += 1

    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, load_modules, (setup,)) as pool:
        source, waiting = works(), []
        try:
            while True:
                while len(waiting) < 2 * workers and (work := next(source, None)) is not None:
                    waiting.append(pool.apply_async(live, (setup, work)))
                if not waiting:
                    break
                figures.verdicts.append(waiting.pop(0).get())
                if len(figures.verdicts) % 100 == 0:
                    print(f"{len(figures.verdicts)} lives, {figures.kills} kills", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("stopped: the figures so far", file=sys.stderr)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="kill sweep")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--every", action="store_true", help="until each point of the reference run was struck")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--delays", action="store_true", help="submissions are held up before and after their job is made")
    parser.add_argument("--correlates", action="store_true", help="ids do not replay")
    parser.add_argument("--naive", action="store_true", help="sweep the naive runner instead: fails unless it pays twice")
    parser.add_argument("--workers", type=int, default=3 * (os.cpu_count() or 1), help="lives at once: they mostly wait")
    parser.add_argument("--repeat", metavar="POINTS", help="one life with these points, as they were printed")
    asked = parser.parse_args()
    if reason := can_trace():
        print(reason)
        return 77
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job of a shell would ignore the first
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    with provider("correlates" if asked.correlates else "replays") as address:
        setup = Setup(address=address, seed=asked.seed, replays=not asked.correlates, delays=asked.delays, naive=asked.naive)
        if asked.repeat is not None:
            load_modules(setup)
            points = [Point.parse(text) for text in asked.repeat.split(";") if text.strip()]
            figures = Figures(setup=setup, points=1, verdicts=[live(setup, (0, points))])
        else:
            figures = sweep(setup, kills=asked.kills, every=asked.every, workers=asked.workers)
    print(*figures.lines(), f"{time.monotonic() - began:.0f} s, seed {asked.seed}", *figures.findings(), sep="\n")
    if setup.naive:
        return 0 if figures.total("paid_twice") else 1
    return 1 if figures.wrong or not figures.kills else 0


if __name__ == "__main__":
    sys.exit(main())
