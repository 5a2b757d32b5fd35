"""All of `docs/benchmarks.md`: `make bench`, or `python benchmarks/bench.py [--only ROW] [--runs N]` (some forty minutes).

Below `.bench/` it makes two environments: one with the peers at the versions of `benchmarks/constraints.txt`, and one with a
wheel of this checkout. Each benchmark is a command of its own, run by the interpreter that has the wheel, and hands over its
figures as data; one that fails is said to have failed, and the others go on. What was measured in part, with `--only` or other
lengths, is written below `.bench/`: the page in `docs/` is of one whole run.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from benchmarks.environments import BENCH, install_ours, install_peers, version_in
from benchmarks.growthplot import Series, plot
from benchmarks.measuring import read
from benchmarks.page import Setting, page, summary
from benchmarks.peers import PEERS, home, version
from benchmarks.targets import ROWS, Figure, reached

ROOT = Path(__file__).resolve().parents[1]
PLOT = "benchmarks.svg"
LENGTHS = "100,1000,10000"
OURS, CHANGED = "manifest-runner, nothing to do", "manifest-runner, one change"
FLIGHT = ("--jobs", "2000", "--speed", "1", "--ways", "learned", "--hover", "10000", "--paper", "2000,10000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A benchmark, the rows that it has figures of, and how it is called. `runs` and `shots` tell whether it has these options;
    `checkout` that it needs the tests' worlds, and so the environment of this checkout."""

    script: str
    rows: tuple[str, ...]
    options: tuple[str, ...] = ()
    runs: bool = False
    shots: bool = False
    checkout: bool = False


def steps(peers: Path) -> tuple[Step, ...]:
    """Everything that is measured, in this order."""
    return (
        Step(script="idle.py", rows=("idle", "growth"), options=("--peers", str(peers)), runs=True, shots=True),
        Step(script="plan.py", rows=("changed", "growth", "start"), runs=True, shots=True),
        Step(script="templates.py", rows=("templates",), options=("--only", "2 shots"), runs=True),
        Step(script="flight.py", rows=("flight", "ledger"), options=FLIGHT),
        Step(script="makespan.py", rows=("makespan",), checkout=True),
        Step(script="limits.py", rows=("makespan",), options=("--only", "known 8/s"), checkout=True),
        Step(script="ledger.py", rows=("ledger",), runs=True),
        Step(script="animatic.py", rows=("draft",), runs=True),
    )


def measured(step: Step, ours: Path, options: argparse.Namespace, to: Path) -> list[Figure]:
    """The figures of one benchmark; where it failed, one that says so for each of its rows."""
    command = [sys.executable if step.checkout else str(ours), str(ROOT / "benchmarks" / step.script), *step.options]
    command += ["--runs", str(options.runs)] if step.runs and options.runs else []
    command += ["--shots", options.shots] if step.shots else []
    print(f"\n── {step.script}", flush=True)
    ran = subprocess.run([*command, "--json", str(to)], cwd=ROOT, check=False)
    if ran.returncode:
        return [Figure(row=row, what=step.script, missing=f"it failed: exit code {ran.returncode}") for row in step.rows]
    return read(to)


def series(figures: Sequence[Figure]) -> tuple[Series, int]:
    """What is drawn, and how many of the lines are ours."""
    found: dict[str, list[tuple[int, float]]] = {OURS: [], CHANGED: []}
    ours = len(found)
    for figure in figures:
        if figure.shots is None or figure.row not in ("idle", "changed"):
            continue
        own = OURS if figure.row == "idle" else CHANGED
        for name, seconds in ((own, figure.ours), (figure.peer, figure.theirs)):
            if seconds is not None and (figure.shots, seconds) not in found.setdefault(name, []):
                found[name].append((figure.shots, seconds))
    return found, ours


# ── where it was measured ─────────────────────────────────────────────────────────────────────────────────────────


def processor() -> str:
    """What the processor is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(named, "") or platform.processor() or platform.machine()


def system() -> str:
    """What the operating system is called, with its kernel's version."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return f"{name or platform.system()}, {platform.system()} {'.'.join(platform.release().split('.')[:2])}"


def commit() -> str:
    """Which commit this checkout is, and whether it has changes."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    name = git("rev-parse", "--short", "HEAD")
    if not name:
        return "of no repository"
    return f"commit {name}{', with changes' if git('status', '--porcelain', '--untracked-files=no') else ''}"


def setting(ours: Path, peers: Path, profiles: Mapping[str, str]) -> Setting:
    """The class of the machine, and the versions of all."""
    machine = {"Processor": f"{processor()}, {os.cpu_count()} cores", "System": system(),
               "Python": f"{platform.python_implementation()} {platform.python_version()}"}
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        env = home(Path(name), peers)
        found = {peer.name.split()[0]: version(peer, env) for peer in PEERS}
    versions = {"manifest-runner": f"{version_in(ours, 'manifest-runner')}, {commit()}",
                **{name: version_in(ours, name) for name in ("PyYAML", "httpx", "aiohttp", "av")}, **found}
    return Setting(machine=machine, versions=versions, profiles=profiles)


# ── where the time goes ───────────────────────────────────────────────────────────────────────────────────────────

PROFILE = """
import cProfile, io, pstats, sys
from contextlib import suppress
from pathlib import Path
to, words, profile = Path(sys.argv[1]), io.StringIO(), cProfile.Profile()
sys.argv[1:] = ["plan", "long.yaml"]
def plan():
    from manifest_runner.__main__ import main
    main()
with suppress(SystemExit):
    profile.runcall(plan)
pstats.Stats(profile, stream=words).strip_dirs().sort_stats("tottime").print_stats(14)
to.write_text("".join(line.rstrip() + chr(10) for line in words.getvalue().splitlines() if line.strip()))
"""


def profiles(figures: Sequence[Figure], ours: Path, lengths: str) -> dict[str, str]:
    """Profiles of the plans that missed a target, by row; of the longest show."""
    found = {}
    for row, flags in (("idle", ("--rendered",)), ("changed", ())):
        if not any(figure.row == row and reached(figure) is False for figure in figures):
            continue
        with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
            longest = max(lengths.split(","), key=int)
            subprocess.run([ours, ROOT / "benchmarks" / "shows.py", f"{name}/show", longest, *flags], check=True)
            for _ in range(2):  # the second one finds what the first one has kept
                subprocess.run([ours, "-c", PROFILE, f"{name}/profile"], cwd=f"{name}/show", check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            found[row] = Path(name, "profile").read_text()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures everything beside the peers, and writes docs/benchmarks.md.")
    parser.add_argument("--only", action="append", choices=[row.key for row in ROWS], help="a row; may be given several times")
    parser.add_argument("--runs", type=int, help="turns of each measurement, instead of what each benchmark takes")
    parser.add_argument("--shots", default=LENGTHS, help="lengths of the shows")
    options = parser.parse_args()
    whole = not options.only and options.shots == LENGTHS and not options.runs
    rows = options.only or [row.key for row in ROWS]
    ours, peers = install_ours(), install_peers()
    figures: list[Figure] = []
    for step in steps(peers):
        if set(step.rows) & set(rows):
            figures += measured(step, ours, options, BENCH / f"{Path(step.script).stem}.json")
    figures = [figure for figure in figures if figure.row in rows]
    to = ROOT / "docs" if whole else BENCH
    drawn, own = series(figures)
    picture = plot(drawn, ours=own, title="Seconds by the number of shots") if any(drawn.values()) else ""
    if picture:
        (to / PLOT).write_text(picture)
    text = page(figures, setting(ours, peers, profiles(figures, ours, options.shots)), plot=PLOT if picture else "")
    (to / "benchmarks.md").write_text(text)
    print(f"\n{summary(figures)}\nwritten: {(to / 'benchmarks.md').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
