"""What it costs to learn that nothing is to be done: `python benchmarks/idle.py [--peers FOLDER] [--shots 100,1000,10000]`.

A fully rendered show, planned by `manifest-runner plan` after it was planned once, and the same show for each peer
(`peers.py`). Whole processes in turn, medians of seconds on the wall. `--peers` is the folder in which the peers' programs are
looked for first. A peer that is not there is said to be missing, and one that does not answer that all is made is not measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import PROGRAM, PYTHON, Cost, machine, medians, show, table, with_json, write
from benchmarks.peers import PEERS, Peer, home, lay_out, ready
from benchmarks.targets import AIMS, Figure, growth

OURS = "manifest-runner"
JUDGED = {"ninja": 10_000, "doit": 10_000, "snakemake": 10_000, "dvc": 1000}
"""At which length each peer is judged; at the others it is only shown."""

NOTHING = "Nothing to do"
"""What a plan says."""


def folder_of(peer: str, root: Path) -> Path:
    return root / peer.split()[0]


def prepared(root: Path, shots: int, env: Mapping[str, str]) -> dict[str, str]:
    """Make the show of all; of each peer why it cannot be asked, or nothing."""
    subprocess.run([PYTHON, Path(__file__).with_name("shows.py"), root / OURS, str(shots), "--rendered"], check=True)
    said = subprocess.run([*PROGRAM, "plan", "long.yaml"], cwd=root / OURS, env={**os.environ, **env}, check=True,
                          capture_output=True, text=True)
    if NOTHING not in said.stdout:
        raise SystemExit(f"the plan of a rendered show found something to do: {said.stdout[-200:]}")
    why = {}
    for peer in PEERS:
        if peer.most is not None and shots > peer.most:
            why[peer.name] = "not asked"
            continue
        lay_out(peer, folder_of(peer.name, root), shots)
        why[peer.name] = ready(peer, folder_of(peer.name, root), env)
    return why


def figure(peer: Peer, shots: int, costs: Mapping[str, Cost], why: str) -> Figure:
    """Ours beside one peer."""
    aim = AIMS.get(f"idle/{peer.name}") if JUDGED.get(peer.name) == shots else None
    theirs = costs.get(peer.name)
    return Figure(row="idle", what=f"{shots:,} shots", shots=shots, ours=costs[OURS].wall, unit="s", peer=peer.name,
                  theirs=None if theirs is None else theirs.wall, runs=1 if theirs is None else theirs.runs, aim=aim,
                  missing=why, note=peer.note)


def measured(root: Path, shots: int, runs: int, env: Mapping[str, str]) -> list[Figure]:
    """All figures of one length."""
    why = prepared(root, shots, env)
    asked = {peer.name: peer.ask for peer in PEERS if not why[peer.name]}
    commands = {OURS: (*PROGRAM, "plan", "long.yaml"), **asked}
    costs = medians(commands, {name: folder_of(name, root) for name in commands}, runs, env)
    show(f"nothing to do, {shots:,} shots", costs)
    return [figure(peer, shots, costs, why[peer.name]) for peer in PEERS]


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to learn that nothing is to be done, beside the peers.")
    parser.add_argument("--runs", type=int, default=9, help="turns of each measurement; a third of them for what takes seconds")
    parser.add_argument("--shots", default="100,1000,10000", help="lengths of the shows")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="where the peers' programs are")
    with_json(parser)
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.runs}")
    figures: list[Figure] = []
    for shots in sorted(int(length) for length in options.shots.split(",")):
        with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
            root = Path(name)
            figures += measured(root, shots, options.runs, home(root, options.peers and options.peers.resolve()))
    figures += growth(figures, "nothing to do", None)  # nothing is promised: of what is short all is the start
    table(figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
