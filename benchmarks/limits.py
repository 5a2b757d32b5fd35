"""How well limits are kept and used: `python benchmarks/limits.py` (some minutes), or with `--quick`.

Real `manifest-runner render` processes share one ledger and one gateway: the simulator on a port, which keeps limits of its
own. Its clips are small, because what is measured is the runner and not the drawing of pictures. Every figure is read from the
gateway's books: arrival times of submissions, what was refused, jobs, credits.

- `use` is what was accepted of the limit in steady state: in the middle half of the accepted submissions.
- `most` is the most arrivals that any window as long as the rate's period held, and `in 90 %` the same for windows a tenth
  shorter: what the network does to a moment of arrival is not the runner's.
- `429s` are the submissions that the gateway refused, of all.
- `fair` is the smallest share of the places in the line that any process had while all of them waited, over an equal share.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import PROGRAM, with_json, write
from benchmarks.targets import AIMS, Figure
from tests.crash.small_clips import small_simulator  # found from the checkout only


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table. `shared` processes render one manifest together, otherwise each has its own."""

    name: str
    processes: int
    shots: int
    rate: str = ""  # that the gateway enforces
    places: int = 0  # the same
    flags: tuple[str, ...] = ()
    limit: float = 0.0  # submissions a second that could be used
    period: float = 1.0
    shared: bool = False


CASES = (
    Case(name="known 8/s, one process", processes=1, shots=64, flags=("--rate", "8/s"), limit=8),
    Case(name="known 3/s, 8 processes, one manifest", processes=8, shots=36, flags=("--rate", "3/s"), limit=3, shared=True),
    Case(name="known 8/s, 8 processes, 8 manifests", processes=8, shots=16, flags=("--rate", "8/s"), limit=8),
    Case(name="known 8/s, gateway enforces 8/s, 8 processes", processes=8, shots=12, rate="8/s",
         flags=("--rate", "8/s"), limit=8),
    Case(name="unknown 5/s, one process", processes=1, shots=100, rate="5/s", limit=5),
    Case(name="unknown 5/s, one process, long", processes=1, shots=300, rate="5/s", limit=5),
    Case(name="unknown 5/s, 4 processes", processes=4, shots=50, rate="5/s", limit=5),
    Case(name="unknown 20/s, one process, long", processes=1, shots=400, rate="20/s", limit=20),
    Case(name="unknown 8 jobs at once, one process", processes=1, shots=100, places=8),
    Case(name="unknown 8 jobs at once, 4 processes", processes=4, shots=25, places=8),
)
QUICK = (1, 2, 4, 8)


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the four cases that matter most")
    parser.add_argument("--only", metavar="WORDS", default="", help="cases whose name holds these words")
    with_json(parser)
    options = parser.parse_args()
    figures = []
    print(f"{'':46} {'use':>6} {'most':>7} {'in 90 %':>8} {'429s':>13} {'fair':>5} {'jobs':>5} {'seconds':>8}")
    for number, case in enumerate(CASES):
        if options.only in case.name and (not options.quick or number in QUICK):
            line, most = measured(case)
            print(f"{case.name:46} {line}", flush=True)
            if "known" in case.name.split():  # of a rate that has to be found out nothing is promised
                figures.append(Figure(row="makespan", what=f"submissions in any window, {case.name}", ours=most,
                                      peer="the rate", theirs=case.limit * case.period, aim=AIMS["makespan/rate"]))
    write(options.json, figures)


def measured(case: Case) -> tuple[str, int]:
    """Run one case and judge it from the books: its line, and the most submissions that a window held."""
    with tempfile.TemporaryDirectory(prefix="limits-") as name:
        folder = Path(name)
        with small_simulator(folder, case.rate, case.places) as address:
            books = rendered(case, folder, address)
    posts = [request for request in books["requests"] if request["method"] == "POST"]
    arrivals = sorted(post["at"] for post in posts)
    made = sorted(post["at"] for post in posts if post["note"] == "made")
    refused = len(posts) - len(made)
    expected = case.shots * (1 if case.shared else case.processes)
    assert len(made) == expected, f"{len(made)} jobs instead of {expected}"
    assert books["totals"]["duplicates"] == 0
    if case.limit:
        middle = made[len(made) // 4: -(len(made) // 4)]
        use = f"{(len(middle) - 1) / (middle[-1] - middle[0]) / case.limit:.1%}"
        most = (f"{busiest(made, case.period)}/{case.limit * case.period:g}", f"{busiest(made, 0.9 * case.period)}")
    else:
        use, most = places_used(books, case), (f"{max(one['most_in_flight'] for one in books['accounts'].values())}/8", "")
    share = fairness(posts) if case.processes > 1 and not case.shared else ""
    line = (f"{use:>6} {most[0]:>7} {most[1]:>8} {refused:4} {refused / len(posts):8.1%} {share:>5} {len(made):5} "
            f"{arrivals[-1] - arrivals[0]:8.1f}")
    return line, busiest(made, case.period)


def busiest(times: list[float], period: float) -> int:
    """The most of these times that any window [t, t + period) holds."""
    return max(bisect_left(times, time + period) - index for index, time in enumerate(times))


def places_used(books: dict[str, Any], case: Case) -> str:
    """The mean number of jobs in flight over the middle half, as a share of the gateway's limit."""
    starts = sorted(job["created"] for job in books["jobs"])
    begin, end = starts[len(starts) // 4], starts[-(len(starts) // 4)]
    busy = sum(max(0.0, min(job["due"], end) - max(job["created"], begin)) for job in books["jobs"])
    return f"{busy / (end - begin) / case.places:.1%}"


def fairness(posts: list[dict[str, Any]]) -> str:
    """How even the processes' shares were from the moment when all had begun until the first had no more to send."""
    owner = [post["external_task_id"].split(".")[0].rpartition("-")[0] for post in posts if post["note"] == "made"]
    last, first = {name: at for at, name in enumerate(owner)}, {name: owner.index(name) for name in owner}
    among = Counter(owner[max(first.values()): min(last.values()) + 1])
    if among.total() < 3 * len(last):
        return "-"  # they were hardly all there at once
    return f"{min(among.get(name, 0) for name in last) * len(last) / max(among.total(), 1):.2f}"


def rendered(case: Case, folder: Path, address: str) -> dict[str, Any]:
    """The books after all processes have run at once."""
    environment = {**os.environ, "MANIFEST_RUNNER_BASE_URL": address, "TRINETRA_API_KEY": "anything", "HOME": str(folder),
                   "MANIFEST_RUNNER_FRAMES": "inline"}
    names = ["show.yaml"] if case.shared else [f"show{number}.yaml" for number in range(case.processes)]
    for name in names:
        shots = "".join(f"  - {{id: {name.removesuffix('.yaml').upper()}-{number:04}, prompt: one}}\n"
                        for number in range(case.shots))
        (folder / name).write_text(f"version: 1\nshow: x\nmodel: kling-v3-omni\ndefaults: {{duration: 1}}\nshots:\n{shots}")
    (folder / ".git").mkdir()
    runs = [subprocess.Popen([*AFTER_THE_GATEWAY, *PROGRAM, "render", names[number % len(names)], "--yes", "--quiet",
                              *case.flags], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True)
            for number in range(case.processes)]
    for run in runs:
        said = run.communicate()[0]
        assert run.returncode == 0, said
    with urllib.request.urlopen(f"{address}/_sim/books", timeout=30) as answer:
        books: dict[str, Any] = json.load(answer)
        return books


AFTER_THE_GATEWAY = ("nice", "-n", "10") if shutil.which("nice") else ()
"""No gateway shares a machine with those who use it: where it had to wait for a processor, its books would blame them."""


if __name__ == "__main__":
    main()
