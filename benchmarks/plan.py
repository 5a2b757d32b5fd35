"""What a plan costs: `python benchmarks/plan.py [--runs N] [--shots 100,1000,10000]`.

Whole processes of the interpreter that runs this, ours and peers interleaved, medians. Ratios within one run hold; seconds
depend on the machine. An installed wheel is what users have: measure that, installed by a pip of today (the console scripts
that pip 23 writes import `re`, which `--version` does not need; those of pip 26 do not). Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import manifest_runner

PYTHON = sys.executable
LOAD = "import sys, yaml; yaml.load(open(sys.argv[1], encoding='utf-8').read(), Loader=yaml.CSafeLoader)"
LOAD_NO_GC = f"import gc; gc.disable(); {LOAD}"
SCRIPT = Path(PYTHON).with_name("manifest-runner")
PROGRAM = (str(SCRIPT),) if SCRIPT.is_file() else (PYTHON, "-m", "manifest_runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One process: seconds on the wall, seconds of CPU (user and system), and the largest resident size in MB."""

    wall: float
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure: a ratio of two commands in one measure, and the most that it should be."""

    what: str
    ratio: float
    target: float | None


def run(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end, with its output thrown away."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    # What `exec` replaced counts too: this process must stay small, so shows are made by another one.
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return Cost(wall=wall, cpu=used.ru_utime + used.ru_stime, memory=used.ru_maxrss * unit / 1e6)


def medians(commands: Mapping[str, Sequence[str]], folder: Path, runs: int) -> dict[str, Cost]:
    """Each command once to warm the caches, then all in turn, `runs` times."""
    for command in commands.values():
        run(command, folder)
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            costs[name].append(run(command, folder))

    def middle(name: str, measure: Callable[[Cost], float]) -> float:
        return statistics.median(map(measure, costs[name]))

    return {name: Cost(wall=middle(name, lambda cost: cost.wall), cpu=middle(name, lambda cost: cost.cpu),
                       memory=middle(name, lambda cost: cost.memory)) for name in commands}


def start_up(folder: Path, runs: int) -> list[Row]:
    """`--version` and `--help` against a bare interpreter."""
    costs = medians({"pass": (PYTHON, "-c", "pass"), "--version": (*PROGRAM, "--version"), "--help": (*PROGRAM, "--help")},
                    folder, 3 * runs)
    show("start-up", costs)
    bare = costs["pass"].wall
    return [Row(what="--version / python -c pass", ratio=costs["--version"].wall / bare, target=1.3),
            Row(what="--help / python -c pass", ratio=costs["--help"].wall / bare, target=5.0)]


def planning(manifest: Path, shots: int, runs: int) -> tuple[list[Row], Cost]:
    """A plan with one prompt changed, against the stock loader that only reads the manifest's YAML."""
    file = manifest.name
    costs = medians({"plan": (*PROGRAM, "plan", file), "CSafeLoader": (PYTHON, "-c", LOAD, file),
                     "CSafeLoader, GC off": (PYTHON, "-c", LOAD_NO_GC, file)}, manifest.parent, runs)
    show(f"plan, {shots:,} shots, {manifest.stat().st_size / 1e3:,.0f} KB, one prompt changed", costs)
    ours, stock, no_gc = costs["plan"], costs["CSafeLoader"], costs["CSafeLoader, GC off"]
    # The targets are for long shows: in a short one nearly all is the start of the interpreter and its imports.
    targets = (0.45, 1.0, 1.0, None, None) if shots >= 10_000 else (None,) * 5
    ratios = {"CSafeLoader, wall": ours.wall / stock.wall, "CSafeLoader with GC off, wall": ours.wall / no_gc.wall,
              "CSafeLoader, peak memory": ours.memory / stock.memory, "CSafeLoader, CPU": ours.cpu / stock.cpu,
              "CSafeLoader with GC off, CPU": ours.cpu / no_gc.cpu}
    rows = [Row(what=f"plan {shots:,} / {peer}", ratio=ratio, target=target)
            for (peer, ratio), target in zip(ratios.items(), targets, strict=True)]
    return rows, ours


def growth(costs: Mapping[int, Cost]) -> list[Row]:
    """What one more shot costs, from each length to the next, against the step before."""
    lengths = sorted(costs)
    each = [(costs[b].wall - costs[a].wall) / (b - a) for a, b in itertools.pairwise(lengths)]
    return [Row(what=f"a shot, {lengths[i + 1]:,}-{lengths[i + 2]:,} / {lengths[i]:,}-{lengths[i + 1]:,}",
                ratio=each[i + 1] / each[i], target=1.3) for i in range(len(each) - 1)]


def show(title: str, costs: Mapping[str, Cost]) -> None:
    """The medians of one group of commands."""
    print(f"\n{title}\n  {'':30} {'wall s':>9} {'CPU s':>9} {'peak MB':>9}")
    for name, cost in costs.items():
        print(f"  {name:30} {cost.wall:9.3f} {cost.cpu:9.3f} {cost.memory:9.1f}")


def table(rows: Sequence[Row]) -> None:
    """All ratios, with what they should be."""
    print(f"\n{'ratio':52} {'is':>6} {'target':>8}  reached")
    for row in rows:
        aim = "" if row.target is None else f"≤ {row.target:g}"
        reached = "" if row.target is None else "yes" if row.ratio <= row.target else "NO"
        print(f"{row.what:52} {row.ratio:6.2f} {aim:>8}  {reached}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a plan costs, as ratios to its peers.")
    parser.add_argument("--runs", type=int, default=9, help="pairs of each measurement")
    parser.add_argument("--shots", default="100,1000,10000", help="lengths of the shows")
    options = parser.parse_args()
    lengths = sorted(int(length) for length in options.shots.split(","))

    package = Path(manifest_runner.__file__).resolve().parent
    kind = "an installed wheel" if (package / "schemas").is_dir() else "a checkout, not an installed wheel"
    print(f"manifest-runner {manifest_runner.__version__}, {kind}; Python {platform.python_version()}, "
          f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; medians of {options.runs}")
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        folder = Path(name)
        rows = start_up(folder, options.runs)
        costs: dict[int, Cost] = {}
        for length in lengths:
            show_folder = folder / f"show-{length}"
            subprocess.run([PYTHON, Path(__file__).with_name("shows.py"), show_folder, str(length)], check=True)
            found, costs[length] = planning(show_folder / "long.yaml", length, options.runs)
            rows += found
        table([*rows, *growth(costs)])


if __name__ == "__main__":
    main()
