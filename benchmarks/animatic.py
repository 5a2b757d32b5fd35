"""How fast an animatic is drawn and encoded: `python benchmarks/animatic.py [--runs N] [--clips 6] [--seconds 5]`.

Whole processes that draw clips at 720p as a draft does, on one thread, medians. `× real time a core` is the length of the clips
over the seconds of CPU, with the start of the interpreter and of the encoder in it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import PYTHON, Cost, machine, middle, run, show, table, with_json, write
from benchmarks.targets import AIMS, Figure

DRAW = """
import sys
from pathlib import Path
from manifest_runner.simulator.animatic import brief_of, render
words = ["Asha walks the iron bridge at dusk", "Rain on the tram's window, a hand wipes it", "The street, empty, lamps go on"]
moves = [None, {"type": "simple", "config": {"horizontal": 4}}, {"type": "simple", "config": {"zoom": -3}}]
for number in range(int(sys.argv[2])):
    body = {"prompt": words[number % 3], "duration": int(sys.argv[3]), "camera_control": moves[number % 3]}
    render(brief_of(body, shot=f"C{number}", take=1, pictures={}), Path(sys.argv[1]) / f"C{number}.mp4")
"""


def draw(folder: Path, clips: int, seconds: int) -> Cost:
    """So many clips of so many seconds at 720p, by another process: this one must stay small."""
    folder.mkdir()
    return run((PYTHON, "-c", DRAW, str(folder), str(clips), str(seconds)), folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast an animatic is drawn and encoded.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clips", type=int, default=6, help="of each process")
    parser.add_argument("--seconds", type=int, default=5, help="of each clip")
    with_json(parser)
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.runs}")
    costs = []
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        for _ in range(options.runs):
            costs.append(draw(Path(name) / "drawn", options.clips, options.seconds))
            shutil.rmtree(Path(name) / "drawn")
    cost, length = middle(costs), options.clips * options.seconds
    show(f"{options.clips} clips of {options.seconds} s at 720p", {"animatic": cost})
    figures = [Figure(row="draft", what="animatic, 720p, drawn and encoded", ours=length / cost.cpu, unit="× real time a core",
                      runs=cost.runs, aim=AIMS["draft"])]
    table(figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
