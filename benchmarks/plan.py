"""What a plan costs: `python benchmarks/plan.py [--runs N] [--shots 100,1000,10000]`.

Whole processes of the interpreter that runs this, ours and peers interleaved, medians. Ratios within one run hold; seconds
depend on the machine. An installed wheel is what users have: measure that, installed by a pip of today (the console scripts
that pip 23 writes import `re`, which `--version` does not need; those of pip 26 do not). Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import manifest_runner
from benchmarks.measuring import PROGRAM, PYTHON, Cost, machine, medians, show, table, with_json, write
from benchmarks.targets import AIMS, Aim, Figure, growth

LOAD = "import sys, yaml; yaml.load(open(sys.argv[1], encoding='utf-8').read(), Loader=yaml.CSafeLoader)"
LOAD_NO_GC = f"import gc; gc.disable(); {LOAD}"
JUDGED = 10_000
"""Shots from which on the targets hold: in a short show nearly all is the start of the interpreter and its imports."""

LATE = ("httpx", "anyio", "asyncio", "rich")
"""What a plan must not wait for."""

LOADED = ("import sys; sys.argv[1:] = ['plan', sys.argv[1]]\nfrom manifest_runner.__main__ import main\n"
          "try: main()\nexcept SystemExit: pass\n"
          "sys.stderr.write(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))")


def start_up(folder: Path, runs: int) -> list[Figure]:
    """`--version` and `--help` against a bare interpreter."""
    costs = medians({"pass": (PYTHON, "-c", "pass"), "--version": (*PROGRAM, "--version"), "--help": (*PROGRAM, "--help")},
                    folder, 3 * runs)
    show("start-up", costs)
    return [Figure(row="start", what=name, ours=costs[name].wall, unit="s", peer="python -c pass",
                   theirs=costs["pass"].wall, runs=costs[name].runs, aim=AIMS[f"start/{name}"])
            for name in ("--version", "--help")]


def loaded(manifest: Path) -> Figure:
    """How many modules of those that only a run needs a plan has imported when it ends."""
    ran = subprocess.run([PYTHON, "-c", LOADED, manifest.name], cwd=manifest.parent, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, check=True)
    found = sorted(set(LATE) & set(ran.stderr.split()))
    return Figure(row="start", what=f"a plan imports {', '.join(LATE)}", ours=len(found), unit="of them",
                  aim=AIMS["start/modules"], note=", ".join(found))


def planning(manifest: Path, shots: int, runs: int) -> list[Figure]:
    """A plan with one prompt changed, against the stock loader that only reads the manifest's YAML."""
    file = manifest.name
    costs = medians({"plan": (*PROGRAM, "plan", file), "CSafeLoader": (PYTHON, "-c", LOAD, file),
                     "CSafeLoader, GC off": (PYTHON, "-c", LOAD_NO_GC, file)}, manifest.parent, runs)
    show(f"plan, {shots:,} shots, {manifest.stat().st_size / 1e3:,.0f} KB, one prompt changed", costs)
    figures = []
    for peer in ("CSafeLoader", "CSafeLoader, GC off"):
        figures += [figure("", peer, costs, lambda cost: cost.wall, "s", shots, AIMS[f"changed/{peer}"]),
                    figure(", CPU", peer, costs, lambda cost: cost.cpu, "s", shots, None)]
    figures.append(figure(", peak memory", "CSafeLoader", costs, lambda cost: cost.memory, "MB", shots, AIMS["changed/memory"]))
    return figures


def figure(words: str, peer: str, costs: Mapping[str, Cost], measure: Callable[[Cost], float], unit: str, shots: int,
           aim: Aim | None) -> Figure:
    """Ours beside a peer, in one measure."""
    return Figure(row="changed", what=f"{shots:,} shots{words}", ours=measure(costs["plan"]), unit=unit, peer=peer,
                  theirs=measure(costs[peer]), shots=None if words else shots, runs=costs[peer].runs,
                  aim=aim if shots >= JUDGED else None)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a plan costs, as ratios to its peers.")
    parser.add_argument("--runs", type=int, default=9, help="pairs of each measurement")
    parser.add_argument("--shots", default="100,1000,10000", help="lengths of the shows")
    with_json(parser)
    options = parser.parse_args()
    lengths = sorted(int(length) for length in options.shots.split(","))

    package = Path(manifest_runner.__file__).resolve().parent
    kind = "an installed wheel" if (package / "schemas").is_dir() else "a checkout, not an installed wheel"
    print(f"manifest-runner {manifest_runner.__version__}, {kind}; {machine()}; medians of {options.runs}")
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        folder = Path(name)
        figures = start_up(folder, options.runs)
        for length in lengths:
            show_folder = folder / f"show-{length}"
            subprocess.run([PYTHON, Path(__file__).with_name("shows.py"), show_folder, str(length)], check=True)
            figures += planning(show_folder / "long.yaml", length, options.runs)
        figures.append(loaded(show_folder / "long.yaml"))
    figures += growth(figures, "changed manifest", AIMS["growth"])
    table(figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
