"""This checkout beside an older commit: `make bench-quick BASE=main~1`, or `python benchmarks/quick.py [BASE]` (two
minutes).

Both are run by the interpreter that runs this, with its packages; each plans a show of its own. They run in pairs, in turn, and
what counts is the median of the pairs' ratios: of the seconds that whole processes have computed, and of those on the clock
where the disk is waited for. *Slower* is said only where the whole range that holds the true median with a chance of 95 % lies
above `NOISE`: that a machine is busy is no news. Nothing here fails for being slow, or for want of a commit.

Without BASE it is where this branch has left main; on main, the commit before.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from benchmarks.measuring import KEPT, PYTHON, machine, run  # found from the checkout only

ROOT = Path(__file__).resolve().parents[1]
NOISE = 0.02
"""By how much a whole range of ratios must lie beside 1 to be worth a word."""

CHANCE = 0.95
SECONDS = 100.0
"""After which no further pair begins."""

MODULE = (PYTHON, "-m", "manifest_runner")
LOCKFILE = """
import sys, time
from dataclasses import replace
from pathlib import Path
from statistics import median
from manifest_runner.adapters.lockwriter import FileLockWriter, read_lockfile
from manifest_runner.core.model import TakeKey
path = Path("long.lock.json")
lock, _ = read_lockfile(path, "lock")
(shot, take), entry = next(iter(lock.entries.items()))
writer, took = FileLockWriter(path, manifest="long.yaml", shown="lock", guard=Path("guard")), []
for attempt in (2, 3, 4, 5, 6):
    begun = time.perf_counter()
    writer.write({TakeKey(manifest="long.yaml", shot=shot, take=take): replace(entry, attempt=attempt)})
    took.append(time.perf_counter() - begun)
writer.write({TakeKey(manifest="long.yaml", shot=shot, take=take): entry})
print(median(took))
"""
LEDGER = """
import tempfile, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.model import ExternalTaskId, Intent, Request, ShotId, TakeKey
from manifest_runner.ports import Admitted, SpendingLimits
request = Request(model="kling-v3-omni", params={"prompt": "rain " * 80, "duration": 5})
intents = [Intent(key=TakeKey(manifest="show.yaml", shot=ShotId(f"S{number:04}"), take=1), attempt=1, body=b" " * 500,
                  external_task_id=ExternalTaskId(f"S{number:04}_t1.a1"), fingerprint=fingerprint(request), request=request,
                  reserved=Decimal(145)) for number in range(1000)]
with tempfile.TemporaryDirectory() as name, SqliteLedger(Path(name) / "ledger", account="a", run="r") as ledger:
    begun = time.perf_counter()
    for first in range(0, 1000, 50):
        asked = [partial(ledger.admit, intent, SpendingLimits()) for intent in intents[first:first + 50]]
        assert all(isinstance(found, Admitted) for found in ledger.transact(asked))
    print(time.perf_counter() - begun)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What both do. `show` names the folder of the show; `tells` that the command prints the seconds that count, otherwise
    it is that the whole process has computed."""

    name: str
    command: tuple[str, ...]
    show: str = "rendered-1000"
    pairs: int = 9
    tells: bool = False


TASKS = (
    Task(name="--version", command=(*MODULE, "--version"), pairs=15),
    Task(name="--help", command=(*MODULE, "--help"), pairs=15),
    Task(name="validate, 1,000 shots", command=(*MODULE, "validate", "long.yaml")),
    Task(name="plan, nothing to do, 1,000 shots", command=(*MODULE, "plan", "long.yaml")),
    Task(name="plan, one prompt changed, 1,000 shots", command=(*MODULE, "plan", "long.yaml"), show="changed-1000"),
    Task(name="lockfile of 1,000, one take written", command=(PYTHON, "-c", LOCKFILE), tells=True),
    Task(name="ledger, 1,000 admissions", command=(PYTHON, "-c", LEDGER), tells=True),
    Task(name="plan, one prompt changed, 10,000 shots", command=(*MODULE, "plan", "long.yaml"), show="changed-10000", pairs=7),
)
SHOWS = ("rendered-1000", "changed-1000", "changed-10000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A commit that is laid out at `code`, and its shows at `shows`."""

    code: Path
    shows: Path

    @property
    def env(self) -> dict[str, str]:
        return {**KEPT, "PYTHONPATH": str(self.code)}


# ── what the pairs say ────────────────────────────────────────────────────────────────────────────────────────────


def interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """Between which of these the true median lies with a chance of 95 %; None where there are too few to say."""
    count, outside, left = len(ratios), 0.0, -1
    while left + 1 < count / 2:
        outside += comb(count, left + 1) / 2**count
        if 2 * outside > 1 - CHANCE:
            break
        left += 1
    if left < 0:
        return None
    ordered = sorted(ratios)
    return ordered[left], ordered[-1 - left]


def mark(ratios: Sequence[float]) -> str:
    """One word where the pairs are beyond noise."""
    found = interval(ratios)
    if found is None:
        return "too few pairs" if ratios else "no time left"
    low, high = found
    return "SLOWER" if low > 1 + NOISE else "faster" if high < 1 - NOISE else ""


def line(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    """A line of the table; pairs are seconds of the older commit and of this checkout."""
    ratios = [here / there for there, here in pairs]
    if not pairs:
        return f"{name:42} {mark(ratios)}"
    there, here = (statistics.median(column) for column in zip(*pairs, strict=True))
    found = interval(ratios)
    spread = f"{found[0]:.2f} to {found[1]:.2f}" if found else ""
    return (f"{name:42} {there:8.3f} {here:8.3f} {statistics.median(ratios):7.2f}   {spread:14} {len(pairs):5}   "
            f"{mark(ratios)}").rstrip()


# ── the two sides ─────────────────────────────────────────────────────────────────────────────────────────────────


def git(*words: str) -> str:
    """What git says, or nothing where it fails."""
    ran = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def base_of(asked: str | None) -> str:
    """The commit to compare with, or nothing where it is not here."""
    if asked:
        return git("rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}")
    head = git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        left = git("merge-base", "HEAD", main)
        if left and left != head:
            return left
    return git("rev-parse", "--verify", "--quiet", "HEAD" if git("status", "--porcelain", "-uno") else "HEAD~1")


def lay_out(commit: str, to: Path) -> None:
    """The package of a commit. An archive leaves nothing behind in the repository, as a work tree would that was killed."""
    packed = subprocess.run(["git", "archive", "--format=zip", commit, "manifest_runner", "schemas"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE).stdout
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(to)


def make_shows(side: Side) -> None:
    """The shows of one side, as its own code renders them."""
    for name in SHOWS:
        kind, shots = name.split("-")
        flags = ["--rendered"] if kind == "rendered" else []
        subprocess.run([PYTHON, ROOT / "benchmarks" / "shows.py", side.shows / name, shots, *flags],
                       env={**os.environ, **side.env}, check=True, capture_output=True)


def share_shows(mine: Side, to: Side) -> None:
    """The same shows for the other side, with a state of its own. Clips are links: nobody writes them."""
    for name in SHOWS:
        (to.shows / name).mkdir(parents=True)
        shutil.copytree(mine.shows / name / "renders", to.shows / name / "renders", copy_function=os.link)
        for file in ("long.yaml", "long.lock.json"):
            shutil.copy2(mine.shows / name / file, to.shows / name / file)


def said(side: Side) -> str:
    """What a side's plan comes to, in its last line."""
    ran = subprocess.run([*MODULE, "plan", "long.yaml"], cwd=side.shows / SHOWS[1], env={**os.environ, **side.env},
                         capture_output=True, text=True, check=False)
    return ran.stdout.strip().rpartition("\n")[2]


def seconds(task: Task, side: Side) -> float:
    """What one side takes."""
    folder = side.shows / task.show
    if not task.tells:
        return run(task.command, folder, side.env).cpu
    ran = subprocess.run(task.command, cwd=folder, env={**os.environ, **side.env}, check=True, capture_output=True, text=True)
    return float(ran.stdout)


def pairs_of(task: Task, there: Side, here: Side, until: float) -> Iterator[tuple[float, float]]:
    """Pairs in turn, whoever was second being first next, until there are enough or the time is over. The first one only warms
    the caches."""
    for number in range(task.pairs + 1):
        if time.monotonic() > until:
            return
        sides = (there, here) if number % 2 else (here, there)
        took = {side.code: seconds(task, side) for side in sides}
        if number:
            yield took[there.code], took[here.code]


def compared(there: Side, here: Side, until: float) -> dict[str, str]:
    """Print the table; the word that each row got."""
    marks = {}
    print(f"{'':42} {'there s':>8} {'here s':>8} {'ratio':>7}   {'with 95 %':14} {'pairs':>5}")
    for task in TASKS:
        try:
            pairs = list(pairs_of(task, there, here, until))
        except (SystemExit, subprocess.CalledProcessError, ValueError) as error:
            marks[task.name] = "cannot be compared"
            print(f"{task.name:42} {marks[task.name]}: {str(error).splitlines()[-1][-120:]}")
            continue
        marks[task.name] = mark([b / a for a, b in pairs])
        print(line(task.name, pairs), flush=True)
    return marks


def verdict(marks: Mapping[str, str]) -> str:
    """The last line: what is slower, and how much of it nobody knows."""
    slower = [name for name, word in marks.items() if word == "SLOWER"]
    unknown = sum(word not in ("SLOWER", "faster", "") for word in marks.values())
    words = f"slower beyond noise: {'; '.join(slower)}" if slower else "nothing is slower beyond noise"
    return words + (f" ({unknown} of {len(marks)} were not measured well enough to tell)" if unknown else "")


def main() -> None:
    parser = argparse.ArgumentParser(description="This checkout beside an older commit.")
    parser.add_argument("base", nargs="?", default=os.environ.get("BASE") or None, help="a commit, as git names it")
    options = parser.parse_args()
    until = time.monotonic() + SECONDS
    base = base_of(options.base)
    if not base:
        print(f"nothing is compared: {options.base or 'the commit before this one'} is not here (a shallow clone?)")
        return
    changes = " with changes" if git("status", "--porcelain", "-uno") else ""
    print(f"there: {git('log', '-1', '--format=%h %s', base)[:90]}\nhere:  {git('log', '-1', '--format=%h %s')[:90]}{changes}\n"
          f"{machine()}")
    with tempfile.TemporaryDirectory(prefix="manifest-runner-quick-") as name:
        here = Side(code=ROOT, shows=Path(name) / "here")
        there = Side(code=Path(name) / "code", shows=Path(name) / "there")
        lay_out(base, there.code)
        make_shows(here)
        share_shows(here, there)
        if said(here) != said(there):
            print("the two do not plan this show alike: each has rendered its own")
            shutil.rmtree(there.shows)
            make_shows(there)
        print(verdict(compared(there, here, until)))


if __name__ == "__main__":
    main()
