"""How long a run takes against the shortest that it could: `python benchmarks/makespan.py [--jobs 1000]`.

The real engine, gateway and ledger against the simulator in one process, on a clock that stands still while anybody works and
then jumps: seconds are the provider's, and no machine is too slow. Jobs take the simulator's 70 to 260 s, by length and
resolution. Nothing is known of them when the run begins. Its end is when the last clip is in its place.

The bound is what nobody can beat: the work over the places, and, jobs being sent longest first, the end of the last one when
they are sent as early as the rate allows. On paper stand beside it what the order of the cut could reach if each end were
noticed in its moment, and what longest first could if the durations were known, of each job or on average of each kind.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import anyio

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.limits import busiest
from benchmarks.measuring import machine, table, with_json, write
from benchmarks.targets import AIMS, Figure
from manifest_runner.core.model import Rate
from manifest_runner.core.polling import PollPolicy
from manifest_runner.engine import Outside
from manifest_runner.ports import SpendingLimits
from manifest_runner.simulator.world import Settings
from tests.paper import KINDS  # found from the checkout only
from tests.worlds import StillClock, Studio

HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\nshots:\n"
HUNG = 3600.0
"""Seconds after which a run is given up; they are the machine's."""

JUDGED = 1000
"""Jobs from which on the target holds: the end of a short run is all tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The limits of a run: jobs in flight at once, submissions in a time."""

    name: str
    places: int | None = None
    rate: Rate | None = None


CASES = (
    Case(name="8 at once", places=8),
    Case(name="50 at once", places=50),
    Case(name="30 a minute", rate=Rate(count=30, per=60)),
    Case(name="2 a second", rate=Rate(count=2, per=1)),
    Case(name="8 a second", rate=Rate(count=8, per=1)),
)


class Unwritten:
    """A lockfile that nobody writes: here every moment would write it anew, as nothing else takes time."""

    async def update(self, _entries: object) -> None: ...


class Hall(Studio):
    """A studio without a lockfile."""

    async def _outside(self, stack: Any) -> Outside:
        lock: Any = Unwritten()
        return replace(await super()._outside(stack), lock=lock)


def slot(number: int, rate: Rate | None) -> float:
    """The earliest moment at which a submission can leave when so many have left before it."""
    return 0.0 if rate is None else number // rate.count * rate.per


def bound(durations: Sequence[float], case: Case) -> float:
    """Seconds in which these jobs cannot be done faster."""
    longest = sorted(durations, reverse=True)
    tail = max(slot(number, case.rate) + took for number, took in enumerate(longest))
    return max(tail, sum(durations) / case.places if case.places else 0.0)


def on_paper(durations: Sequence[float], case: Case) -> float:
    """The end of the last job when they are sent in this order and each end is noticed in its moment."""
    flying: list[float] = []
    for number, took in enumerate(durations):
        start = slot(number, case.rate)
        if case.places and len(flying) >= case.places:
            start = max(start, heapq.heappop(flying))
        heapq.heappush(flying, start + took)
    return max(flying)


def by_kind(durations: Sequence[float]) -> list[float]:
    """The same jobs in the order that somebody could choose who knows how long each kind takes on average."""
    means = [fmean(durations[kind::len(KINDS)] or [0.0]) for kind in range(len(KINDS))]
    order = sorted(range(len(durations)), key=lambda number: (-means[number % len(KINDS)], number))
    return [durations[number] for number in order]


async def rendered(jobs: int, case: Case, folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds that the real run took, and the provider's books."""
    shots = "".join(f"  - {{id: S{number:05}, prompt: rain, duration: {seconds}, resolution: {size}}}\n"
                    for number in range(jobs) for seconds, size in [KINDS[number % len(KINDS)]])
    studio = Hall(folder=folder, text=HEAD + shots, settings=Settings(seed=case.name), clock=StillClock(), poll=PollPolicy(),
                  limits=SpendingLimits(concurrency=case.places, rate=case.rate), hung=HUNG)
    async with studio:
        began = studio.clock.monotonic()
        await studio.render()
        took = studio.clock.monotonic() - began
        assert studio.done(), "clips are missing"
        return took, studio.books()


def measured(jobs: int, case: Case) -> list[Figure]:
    """The figures of one case."""
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        took, books = anyio.run(rendered, jobs, case, Path(name))
    durations = [job["due"] - job["created"] for job in sorted(books["jobs"], key=lambda job: job["created"])]
    least = bound(durations, case)
    what = f"{jobs:,} jobs, {case.name}"
    ways = (("", took, AIMS["makespan"] if jobs >= JUDGED else None),
            (", on paper, in the order of the cut", on_paper(durations, case), None),
            (", on paper, longest kinds first", on_paper(by_kind(durations), case), None),
            (", on paper, longest first", on_paper(sorted(durations, reverse=True), case), None))
    figures = [Figure(row="makespan", what=what + words, ours=seconds, unit="s", peer="lower bound", theirs=least, aim=aim)
               for words, seconds, aim in ways]
    if case.rate is not None:
        made = sorted(request["at"] for request in books["requests"] if request["note"] == "made")
        figures.append(Figure(row="makespan", what=f"{what}, most in any window", ours=busiest(made, case.rate.per),
                              peer="the rate", theirs=case.rate.count, aim=AIMS["makespan/rate"]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a run takes against the shortest that it could.")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", metavar="WORDS", default="", help="cases whose name holds these words")
    with_json(parser)
    options = parser.parse_args()
    print(machine())
    figures: list[Figure] = []
    for case in CASES:
        if options.only in case.name:
            figures += measured(options.jobs, case)
    table(figures)
    write(options.json, figures)


if __name__ == "__main__":
    main()
