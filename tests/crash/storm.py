"""The storm: machines that work on one queue while they, their network and their database fail, judged by the gateway's books.

    python -m tests.crash.storm [--faults 200] [--seed N] [--at-once 5] [--naive]

A life is a repository whose show is left to the queue, three machines with a worker each, and an account whose limits the show
just fits. Each machine has a folder, a state folder and a way to the database of its own. While they work, faults strike at
random: what is killed is started again, on the same machine or on an empty one in its place. At last all is calm, the workers
end by themselves, and the repository fetches what is its own. Then the books say how many jobs there are of each take, what was
charged, and how fast and how many at once; ledger, store and lockfile must agree with them, and nothing may be left to do.

`--naive` storms the same queue with a worker as one writes it in an afternoon: it must pay twice, or the storm has no teeth.
A finding is printed with its number; `--life N` lives that one again, as far as the clock lets it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manifest_runner.adapters.secrets import Secret, account_of
from manifest_runner.simulator.books import key_hash
from manifest_runner.simulator.clips import parse_task_id
from tests.cli.support import Ran, environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit
from tests.postgres import PASSWORD, Server, server
from tests.proxy import Fate, Proxy

SHOW = """version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: A, prompt: one, takes: 2}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three}
  - {id: D, prompt: four, first_frame: {shot: C, frame: last}}
  - {id: E, prompt: five}
  - {id: F, prompt: six}
  - {id: G, prompt: seven}
"""
TAKES = {("A", 1), ("A", 2), *((shot, 1) for shot in "BCDEFG")}
PRICE = 29
RATE, PLACES = 3, 3
BUDGET = len(TAKES) * PRICE
"""Credits a day: the show, and nothing twice."""

DELAY = 0.1
"""Seconds that a request to the gateway takes, and its answer: many faults fall between a job and the news of it."""

MACHINES = 3
FAULTS = 7
"""How often a life is struck at most."""

CODES = {0, 2, 130, -signal.SIGTERM, -signal.SIGKILL}
"""How a worker ends: nothing is left, the database is away, it was stopped (perhaps before it had begun), it was killed."""

LONGEST = 480.0
"""Seconds that a life may take: a machine that never comes back is missed for 220."""


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Machine:
    """A machine with a worker, and a network that can fail."""

    def __init__(self, number: int, folder: Path, database: Server, command: list[str], env: dict[str, str]) -> None:
        self.number, self._folder, self._command = number, folder, command
        self.network = Proxy(database.port)
        self._env = {**env, "MANIFEST_RUNNER_LEDGER": database.url(port=self.network.port)}
        self._places = 0
        self.ended: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.replace()

    def replace(self) -> None:
        """Another machine in its place, on which nothing lies."""
        self._places += 1
        self.home = self._folder / f"machine-{self.number}-{self._places}"
        self.home.mkdir()

    def start(self) -> None:
        with (self._folder / f"said-{self.number}").open("ab") as said:
            self.process = subprocess.Popen(self._command, cwd=self.home, env=environment(self.home, self._env),
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def is_running(self) -> bool:
        """Whether its worker runs; how one ended is kept in `ended`."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.ended.append(code)
            self.process = None
        return self.process is not None

    def is_done(self) -> bool:
        """Whether its worker has found that nothing is left to do."""
        return self.process is None and self.ended[-1:] == [0]

    def renders(self) -> list[int]:
        """The processes of the orders that its worker has in hand."""
        return children(self.process.pid) if self.process is not None else []

    def signal(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, number: signal.Signals) -> None:
        """Its worker and all its renders at once."""
        if self.process is not None:
            self.signal(number, [self.process.pid, *self.renders()])

    def close(self) -> None:
        self.end(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.network.__exit__(None, None, None)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.parent.name))
    return found


# ── a life ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the lives of one process share: a database, and a gateway behind a slow network."""

    database: Server
    gateway: str
    network: Proxy

    @property
    def address(self) -> str:
        """Where the gateway is reached."""
        return f"http://127.0.0.1:{self.network.port}"


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What became of a life: the faults that struck, counts, and everything that must not be (`wrong`)."""

    life: int
    faults: list[str] = field(default_factory=list)
    paid_twice: int = 0
    lost: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Life:
    """A repository, its account, and the machines that work for it."""

    def __init__(self, place: Place, number: int, folder: Path, *, seed: int, naive: bool) -> None:
        self.place, self.folder, self.naive = place, folder, naive
        self.luck = random.Random(f"{seed}-{number}")
        self.verdict = Verdict(life=number)
        self.key = f"canary-storm-{os.urandom(8).hex()}"
        self.repository = folder / "repository"
        self.repository.mkdir()
        write(self.repository, SHOW)
        write(self.repository, self.key, "unique")  # repositories are told apart by their first commit
        commit(self.repository, "show")
        self.env = {**live(place.address), "TRINETRA_API_KEY": self.key, "MANIFEST_RUNNER_LEDGER": place.database.url(),
                    "MANIFEST_RUNNER_STORE": str(folder / "store"), "MANIFEST_RUNNER_RATE": f"{RATE}/s",
                    "MANIFEST_RUNNER_CONCURRENCY": str(PLACES), "MANIFEST_RUNNER_DAILY_CREDITS": str(BUDGET)}
        program = ["tests.crash.naive_worker"] if naive else ["manifest_runner", "worker", "--until-idle", "--orders", "2"]
        env = {**self.env, "PYTHONPATH": str(Path(__file__).parents[2])} if naive else self.env
        self.machines = [Machine(number, folder, place.database, [sys.executable, "-m", *program], env)
                         for number in range(MACHINES)]
        self._mended: list[tuple[float, Callable[[], None]]] = []  # what comes to an end, and when
        self._out: dict[int, float] = {}  # machines that are off, and until when

    def here(self, *arguments: str) -> Ran:
        return run(self.repository, *arguments, env=self.env)

    def live(self) -> Verdict:
        began = time.monotonic()
        try:
            ordered = self.here("render", "show.yaml", "--detach", "--yes")
            self._expect(ordered.code == 0, ordered.err)
            self._storm(began + LONGEST)
            self._judge_books()
            if not self.naive:
                self._judge_home()
                self._judge_words()
        except Exception as error:
            self.verdict.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            for machine in self.machines:
                machine.close()
        self.verdict.seconds = time.monotonic() - began
        return self.verdict

    def _expect(self, truth: bool, words: str) -> None:
        if not truth:
            self.verdict.wrong.append(words)

    # ── the storm ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _storm(self, until: float) -> None:
        """Faults, until all have struck; then calm, until every worker has found that nothing is left to do."""
        left = self.luck.randint(1, FAULTS)
        strikes = time.monotonic() + self.luck.uniform(0.8, 3)
        while self._mended or not all(machine.is_done() for machine in self.machines):
            now = time.monotonic()
            if now > until:
                self.verdict.wrong.append(f"not over after {LONGEST:.0f} s: {self._said()[-3000:]}")
                return
            for moment, mend in [one for one in self._mended if one[0] <= now]:
                self._mended.remove((moment, mend))
                mend()
            for machine in self.machines:
                if not machine.is_running() and not machine.is_done() and self._out.get(machine.number, 0) <= now:
                    machine.start()
            if left and now >= strikes:
                self._strike(now)
                left -= 1
                strikes = now + self.luck.uniform(0.3, 4)
            time.sleep(0.05)

    def _strike(self, now: float) -> None:
        """One fault, of whatever kind."""
        machine = self.luck.choice([one for one in self.machines if one.is_running()] or self.machines)
        kinds: dict[str, tuple[int, Callable[[], object]]] = {
            "worker killed": (3, partial(self._kill, machine)),
            "render killed": (3, partial(self._kill_render, machine)),
            "machine off": (3, partial(self._switch_off, machine)),
            "machine lost": (1, partial(self._lose, machine)),
            "machine asleep": (2, partial(self._pause, machine, now)),
            "worker stopped": (2, partial(self._stop, machine)),
            "connections cut": (2, machine.network.cut),
            "pieces lost": (2, partial(self._lossy, machine.network, now)),
            "gateway cut": (1, self.place.network.cut),
            "gateway pieces lost": (1, partial(self._lossy, self.place.network, now)),
            "silence": (2, partial(self._silent, machine, now)),
            "database down": (3, partial(self._crash, now)),
        }
        name = self.luck.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        if kinds[name][1]() is not False:
            self.verdict.faults.append(name)

    # Those that find nothing to strike return False.

    def _kill(self, machine: Machine) -> bool:
        if machine.process is not None:
            machine.process.kill()
        return machine.process is not None

    def _stop(self, machine: Machine) -> bool:
        if machine.process is not None:
            machine.process.terminate()
        return machine.process is not None

    def _kill_render(self, machine: Machine) -> bool:
        renders = machine.renders()
        machine.signal(signal.SIGKILL, self.luck.sample(renders, min(1, len(renders))))
        return bool(renders)

    def _switch_off(self, machine: Machine) -> bool:
        machine.end(signal.SIGKILL)
        self._out[machine.number] = time.monotonic() + self.luck.uniform(0, 6)
        return machine.process is not None

    def _lose(self, machine: Machine) -> bool:
        is_struck = self._switch_off(machine)
        machine.replace()
        return is_struck

    def _pause(self, machine: Machine, now: float) -> bool:
        if machine.process is None:
            return False
        machine.end(signal.SIGSTOP)
        pids = [machine.process.pid, *machine.renders()]
        self._mended.append((now + self.luck.choice((2, 10, 40)), partial(machine.signal, signal.SIGCONT, pids)))
        return True

    def _lossy(self, network: Proxy, now: float) -> None:
        luck = random.Random(self.luck.random())
        bad = (Fate.LOST, Fate.UNANSWERED, Fate.LATE)
        network.fate = lambda _: luck.choice(bad) if luck.random() < 0.2 else Fate.PASSED
        self._mended.append((now + self.luck.uniform(1, 6), partial(setattr, network, "fate", lambda _: Fate.PASSED)))

    def _silent(self, machine: Machine, now: float) -> None:
        machine.network.open.clear()
        self._mended.append((now + self.luck.choice((1, 5, 45)), machine.network.open.set))

    def _crash(self, now: float) -> bool:
        database = self.place.database
        is_up = bool(database.processes)
        if is_up:
            database.stop()
            self._mended.append((now + self.luck.choice((0, 2, 10)), database.start))
        return is_up

    # ── the verdict ───────────────────────────────────────────────────────────────────────────────────────────────

    def _mine(self) -> dict[str, Any]:
        found, account = books(self.place.gateway), key_hash(self.key)
        return {"jobs": [job for job in found["jobs"] if job["account"] == account],
                "posts": [one for one in found["requests"] if one["key"] == account and one["method"] == "POST"],
                "most": found["accounts"].get(account, {}).get("most_in_flight", 0)}

    def _judge_books(self) -> None:
        found = self._mine()
        made = Counter(parse_task_id(job["external_task_id"]) for job in found["jobs"])
        self.verdict.paid_twice = sum(count - 1 for count in made.values())
        self.verdict.lost = len(TAKES - set(made))
        self._expect(not self.verdict.paid_twice, f"paid twice: {made}")
        self._expect(set(made) == TAKES, f"jobs of other takes than wanted: {sorted(made)}: {self._said()[-3000:]}")
        if self.naive:
            return
        charged = sum(job["credits_charged"] for job in found["jobs"])
        self._expect(charged == BUDGET, f"{charged} credits charged, {BUDGET} wanted")
        self._expect(found["most"] <= PLACES, f"{found['most']} jobs at once, {PLACES} allowed")
        times = sorted(post["at"] for post in found["posts"])
        # A window shorter than the rate's: moments of arrival are the scheduler's too, and some pieces come 0.2 s late.
        most = max((bisect_left(times, at + 0.6) - place for place, at in enumerate(times)), default=0)
        self._expect(most <= RATE, f"{most} submissions within 0.6 s, {RATE} a second allowed")

    def _judge_home(self) -> None:
        """The repository fetches what was made, for nothing, and has everything."""
        before = self._mine()["posts"]
        told = json.loads(self.here("status", "show.yaml", "--json").out)
        self._expect(told["queue"] == {"waiting": [], "in_hand": [], "failed": []}, f"left in the queue: {told['queue']}")
        home = self.here("render", "show.yaml", "--yes")
        self._expect(home.code == 0, f"home: {home.code}: {home.err}")
        clips = list((self.repository / "renders" / "show").glob("*.mp4"))
        self._expect(len(clips) == len(TAKES), f"{len(clips)} clips at home")
        self._expect(home.err.count("restored from the store") == len(TAKES), f"not from the store: {home.err}")
        self._expect(self._mine()["posts"] == before, "the render at home submitted something")
        self._expect(self.here("plan", "show.yaml", "--exit-code").code == 0, "something is left to do")
        with self.place.database.connect() as connection:
            account = account_of(self.place.address, Secret(self.key))
            states = connection.execute("SELECT state, count(*) FROM manifest_runner.jobs WHERE account = %s GROUP BY state",
                                        [account]).fetchall()
        self._expect(states == [("stored", len(TAKES))], f"states in the ledger: {states}")

    def _judge_words(self) -> None:
        """No worker ended for a reason of its own; nobody was shown a traceback or a secret."""
        said, codes = self._said(), {code for machine in self.machines for code in machine.ended}
        self._expect(codes <= CODES, f"workers ended with {codes - CODES}")
        for machine in self.machines:  # one that ends as invalid may do so for one reason alone
            ends = [line for line in (self.folder / f"said-{machine.number}").read_text(errors="replace").splitlines()
                    if line.startswith("error: ") and "is away" not in line]
            self._expect(2 not in machine.ended or not ends, f"errors: {ends}")
        at = said.find("Traceback")
        self._expect(at < 0, f"a traceback: {said[max(0, at - 500):at + 3000]}")
        for secret in (PASSWORD, self.key):
            self._expect(secret not in said, "a secret was said")

    def _said(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')}" for path in sorted(self.folder.glob("said-*")))


# ── the sweep ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_place: Place | None = None
_ends = contextlib.ExitStack()


def settle() -> None:
    """A database and a gateway for this process. They end with it."""
    global _place
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process tells the others
    folder = Path(_ends.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
    gateway = _ends.enter_context(small_simulator(folder))
    network = _ends.enter_context(Proxy(urlsplit(gateway).port or 0, delay=DELAY))
    _place = Place(database=_ends.enter_context(server()), gateway=gateway, network=network)


def live_one(work: tuple[int, int, bool]) -> Verdict:
    number, seed, naive = work
    assert _place is not None
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    try:
        if not _place.database.processes:  # a life that failed had stopped it
            _place.database.start()
        _place.network.fate = lambda _: Fate.PASSED
        return Life(_place, number, folder, seed=seed, naive=naive).live()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def leave(_: int) -> None:
    time.sleep(0.5)  # so that each process gets one of these
    _ends.close()


def verdicts(numbers: Iterator[int], *, seed: int, naive: bool, at_once: int, enough: Callable[[], bool]) -> Iterator[Verdict]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(at_once, settle) as pool:
        waiting = []
        while True:
            while len(waiting) < at_once and not enough() and (number := next(numbers, None)) is not None:
                waiting.append(pool.apply_async(live_one, ((number, seed, naive),)))
            if not waiting:
                break
            while not (ready := [one for one in waiting if one.ready()]):
                time.sleep(0.1)
            waiting.remove(ready[0])
            yield ready[0].get()
        pool.map(leave, range(at_once), chunksize=1)


def main() -> int:
    parser = argparse.ArgumentParser(description="workers in a storm")
    parser.add_argument("--faults", type=int, default=200, help="live until so many have struck")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--life", type=int, help="only this one")
    parser.add_argument("--naive", action="store_true", help="storm a naive worker instead: fails unless it pays twice")
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 1), help="lives at once: they mostly wait")
    asked = parser.parse_args()
    began, found = time.monotonic(), list[Verdict]()
    numbers = iter([asked.life] if asked.life is not None else range(1, 10_000))

    def enough() -> bool:
        return sum(len(one.faults) for one in found) >= asked.faults

    for verdict in verdicts(numbers, seed=asked.seed, naive=asked.naive, at_once=asked.at_once, enough=enough):
        found.append(verdict)
        print(f"life {verdict.life}: {verdict.seconds:.0f} s: {', '.join(verdict.faults)}", file=sys.stderr, flush=True)
        for words in verdict.wrong if not asked.naive else []:
            print(f"  WRONG: {words}", file=sys.stderr, flush=True)
    kinds = Counter(name for one in found for name in one.faults)
    wrong = [one for one in found if one.wrong]
    twice, lost = sum(one.paid_twice for one in found), sum(one.lost for one in found)
    struck = ", ".join(f"{count} {name}" for name, count in kinds.most_common())
    print(f"{kinds.total()} faults in {'one life' if len(found) == 1 else f'{len(found)} lives'}: {struck}")
    print(f"{len(found) * len(TAKES)} takes: paid twice {twice}, lost {lost}, lives with anything wrong {len(wrong)}"
          if not asked.naive else f"naive worker: {twice} of {len(found) * len(TAKES)} takes paid twice")
    print(f"{time.monotonic() - began:.0f} s, seed {asked.seed}")
    for one in wrong if not asked.naive else []:
        print(f"life {one.life}: python -m tests.crash.storm --seed {asked.seed} --life {one.life}")
    return (0 if twice else 1) if asked.naive else 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
