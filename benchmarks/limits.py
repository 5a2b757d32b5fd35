"""How well limits are kept and used: `python benchmarks/limits.py` (about three minutes), or with `--quick` (one).

Real `manifest-runner render` processes share one ledger and one gateway: the simulator on a port, which keeps limits of its
own. Every figure is read from the gateway's books: arrival times of submissions, what was refused, jobs, credits.

- `use` is what was accepted of the limit in steady state: in the middle half of the accepted submissions.
- `most` is the most arrivals that any window as long as the rate's period held, and `in 90 %` the same for windows a tenth
  shorter: what the network does to a moment of arrival is not the runner's.
- `429s` are the submissions that the gateway refused, of all.
- `fair` is the smallest share of the places in the line that any process had while all were waiting, over an equal share.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
    Case(name="known 8/s, 8 processes, one manifest", processes=8, shots=96, flags=("--rate", "8/s"), limit=8, shared=True),
    Case(name="known 8/s, 8 processes, 8 manifests", processes=8, shots=12, flags=("--rate", "8/s"), limit=8),
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
    options = parser.parse_args()
    print(f"{'':46} {'use':>6} {'most':>7} {'in 90 %':>8} {'429s':>13} {'fair':>5} {'jobs':>5} {'seconds':>8}")
    for number, case in enumerate(CASES):
        if options.only in case.name and (not options.quick or number in QUICK):
            print(f"{case.name:46} {measured(case)}", flush=True)


def measured(case: Case) -> str:
    """Run one case and judge it from the books."""
    with tempfile.TemporaryDirectory(prefix="limits-") as folder, simulator(Path(folder), case.rate, case.places) as address:
        render(case, Path(folder), address)
        books = ask(f"{address}/_sim/books")
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
    return (f"{use:>6} {most[0]:>7} {most[1]:>8} {refused:4} {refused / len(posts):8.1%} {share:>5} {len(made):5} "
            f"{arrivals[-1] - arrivals[0]:8.1f}")


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
    return f"{min(among.get(name, 0) for name in last) * len(last) / max(among.total(), 1):.2f}"


def render(case: Case, folder: Path, address: str) -> None:
    """All processes at once, and wait until they are done."""
    environment = {**os.environ, "MANIFEST_RUNNER_BASE_URL": address, "TRINETRA_API_KEY": "anything", "HOME": str(folder),
                   "MANIFEST_RUNNER_FRAMES": "inline"}
    names = ["show.yaml"] if case.shared else [f"show{number}.yaml" for number in range(case.processes)]
    for name in names:
        shots = "".join(f"  - {{id: {name.removesuffix('.yaml').upper()}-{number:04}, prompt: one}}\n"
                        for number in range(case.shots))
        (folder / name).write_text(f"version: 1\nshow: x\nmodel: kling-v3-omni\ndefaults: {{duration: 1}}\nshots:\n{shots}")
    (folder / ".git").mkdir()
    runs = [subprocess.Popen([*PROGRAM, "render", names[number % len(names)], "--yes", "--quiet", *case.flags], cwd=folder,
                             env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for number in range(case.processes)]
    for run in runs:
        said = run.communicate()[0]
        assert run.returncode == 0, said


PROGRAM = (sys.executable, "-m", "manifest_runner")

SERVER = """
import shutil, sys
from functools import partial
from pathlib import Path
import anyio, av
from PIL import Image
from manifest_runner.adapters.clock import SystemClock
from manifest_runner.core.validation import parse_rate
from manifest_runner.simulator.server import Simulator, serve
from manifest_runner.simulator.world import Settings, World

folder, rate, concurrency, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
clip = folder / "clip.mp4"
with av.open(str(clip), "w") as out:
    stream = out.add_stream("libx264", rate=24)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for _ in range(24):
        out.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 64)))))
    out.mux(stream.encode())
settings = Settings(speed=100, seed=seed, posts=parse_rate(rate) if rate else None, concurrency=concurrency or None)
simulator = Simulator(folder=folder / "clips", clock=SystemClock(), world=World(settings),
                      render=lambda body, shot, take, pictures, to: shutil.copyfile(clip, to))
anyio.run(partial(serve, "127.0.0.1", 0, simulator, ready=lambda address: print(address, flush=True)))
"""
"""The simulator as `manifest-runner simulate` runs it, but every clip is a copy of one small one: what is measured here is
the runner, on a machine whose cores it would otherwise share with the drawing of pictures."""


@contextmanager
def simulator(folder: Path, rate: str, concurrency: int) -> Iterator[str]:
    """The provider on a free port; its address."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), rate, str(concurrency), os.urandom(8).hex()],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "an empty address would mean the real gateway"
        yield address
    finally:
        process.terminate()
        process.wait()


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
