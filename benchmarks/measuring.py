"""What the benchmarks share: whole processes in turn, medians, tables, figures as data.

Laws: commands that are compared run in turn, so that whatever else the machine does meets all of them; each runs once before,
to warm the caches. This process must stay small: what `exec` replaces counts as the peak memory of what it starts, so shows are
made by other processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.targets import Figure, reached, reading, target

PYTHON = sys.executable
SCRIPT = Path(PYTHON).with_name("manifest-runner")
PROGRAM = (str(SCRIPT),) if SCRIPT.is_file() else (PYTHON, "-m", "manifest_runner")
KEPT = {"PYTHONDONTWRITEBYTECODE": ""}
"""What is installed has its bytecode beside it, and so has a checkout that was run before: else compiling is what is
measured."""

SLOW = 1.0
"""Seconds from which on a command runs a third as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One process, or the medians of several: seconds on the wall, seconds of CPU (user and system), the largest resident size
    in MB, and how many there were."""

    wall: float
    cpu: float
    memory: float
    runs: int = 1


def run(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, with its output thrown away."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **KEPT, **(env or {})},
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss * unit / 1e6)


def times(runs: int, seconds: float) -> int:
    """How often a command runs that takes so many seconds."""
    return runs if seconds < SLOW else max(1, runs // 3)


def medians(commands: Mapping[str, Sequence[str]], folders: Path | Mapping[str, Path], runs: int,
            env: Mapping[str, str] | None = None) -> dict[str, Cost]:
    """Each command once to warm the caches, then all in turn; those that take seconds are left out of the later turns."""
    where = {name: folders if isinstance(folders, Path) else folders[name] for name in commands}
    often = {name: times(runs, run(command, where[name], env).wall) for name, command in commands.items()}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(runs):
        for name, command in commands.items():
            if turn < often[name]:
                costs[name].append(run(command, where[name], env))
    return {name: middle(found) for name, found in costs.items()}


def middle(costs: Sequence[Cost]) -> Cost:
    """The medians of several runs, each measure by itself."""
    return Cost(wall=statistics.median(cost.wall for cost in costs), cpu=statistics.median(cost.cpu for cost in costs),
                memory=statistics.median(cost.memory for cost in costs), runs=len(costs))


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────────


def show(title: str, costs: Mapping[str, Cost]) -> None:
    """The medians of one group of commands."""
    print(f"\n{title}\n  {'':30} {'wall s':>9} {'CPU s':>9} {'peak MB':>9} {'runs':>5}")
    for name, cost in costs.items():
        print(f"  {name:30} {cost.wall:9.3f} {cost.cpu:9.3f} {cost.memory:9.1f} {cost.runs:5}", flush=True)


def table(figures: Sequence[Figure]) -> None:
    """All figures, with what they should be."""
    print(f"\n{'':62} {'is':>8}  {'target':22} reached")
    for figure in figures:
        against = f"{figure.what} / {figure.peer}" if figure.peer else figure.what
        value, verdict = reading(figure), reached(figure)
        print(f"{against:62} {figure.missing or f'{value:8.2f}'}  {target(figure.aim, figure.unit):22} "
              f"{'' if verdict is None else 'yes' if verdict else 'NO'}")


def machine() -> str:
    """The class of this machine, without anything that tells which one it is."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


# ── figures as data ───────────────────────────────────────────────────────────────────────────────────────────────


def with_json(parser: argparse.ArgumentParser) -> None:
    """The option by which `make bench` takes figures."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as data, too")


def write(to: Path | None, figures: Sequence[Figure]) -> None:
    """Figures as data, where somebody asked for them."""
    if to is not None:
        to.write_text(json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False) + "\n")


def read(file: Path) -> list[Figure]:
    """Figures that `write` wrote."""
    return [Figure.of(fields) for fields in json.loads(file.read_text())]
