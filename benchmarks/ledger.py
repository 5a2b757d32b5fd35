"""What the ledger's syncs cost a job: `python benchmarks/ledger.py [--jobs 2000] [--runs 5] [--folder FOLDER]`.

Jobs go through their whole life (intended, submitted, succeeded, stored: four records, each durable before it returns), so many
of them at once, through the ledger that a run uses. What is timed are its commits alone, with SQLite's syncs and without, in
turn; the difference is what syncing costs. `--folder` is where the file lies: a folder in memory has no disk to wait for.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import machine, table, with_json, write
from benchmarks.targets import AIMS, Figure
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_group import GroupLedger
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.lifecycle import Stored, Submitted, Succeeded
from manifest_runner.core.model import Artifact, ExternalTaskId, Intent, JobId, Request, ShotId, TakeKey
from manifest_runner.ports import Admitted, SpendingLimits

LOAD = 100
"""Jobs at once from which on one speaks of load."""

REQUEST = Request(model="kling-v3-omni", params={"prompt": "rain " * 80, "duration": 5, "resolution": "720p"})
PRINT = fingerprint(REQUEST)


class Timed:
    """A connection that counts its commits and the seconds that they take."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.seconds, self.commits = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *values)
        begun = time.perf_counter()
        found = self._connection.execute(sql)
        self.seconds += time.perf_counter() - begun
        self.commits += 1
        return found


async def live(ledger: GroupLedger, numbers: Iterator[int]) -> None:
    """One job after the other, each from its intent to its clip."""
    for number in numbers:
        name = ExternalTaskId(f"S{number:06}_t1.a1.{PRINT[:8]}")
        key = TakeKey(manifest="show.yaml", shot=ShotId(f"S{number:06}"), take=1)
        intent = Intent(key=key, attempt=1, external_task_id=name, fingerprint=PRINT, request=REQUEST, body=b"{}" + b" " * 500,
                        reserved=Decimal(145))
        assert isinstance(await ledger.admit(intent, SpendingLimits()), Admitted)
        await ledger.record(name, Submitted(job_id=JobId(f"job_{number}")))
        await ledger.record(name, Succeeded(charged=Decimal(145)))
        await ledger.record(name, Stored(artifacts=(Artifact(path=f"renders/{number}.mp4", sha256="0" * 64, bytes=1),)))


async def spent(folder: Path, jobs: int, at_once: int, *, synced: bool) -> tuple[float, float]:
    """Microseconds that the commits took, and how many there were, a job."""
    with SqliteLedger(folder / "ledger", account="a", run="bench") as ledger:
        timed: Any = Timed(ledger._connection)
        ledger._connection = timed
        if not synced:
            timed.execute("PRAGMA synchronous = OFF")
        group, numbers = GroupLedger(ledger), iter(range(jobs))
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(live, group, numbers)
    return 1e6 * timed.seconds / jobs, timed.commits / jobs


def measured(where: Path | None, jobs: int, at_once: int, runs: int) -> Figure:
    """What syncing costs a job, so many of them at once."""
    pairs = []
    for _ in range(runs):
        found = []
        for synced in (True, False):
            with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-", dir=where) as name:
                found.append(anyio.run(partial(spent, Path(name), jobs, at_once, synced=synced)))
        pairs.append((found[0][0] - found[1][0], found[0][1]))
    cost, commits = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Figure(row="ledger", what=f"syncing, {at_once:,} at once", ours=cost, unit="µs a job", runs=runs,
                  aim=AIMS["ledger/sync"] if at_once >= LOAD else None, note=f"{commits:.2g} commits a job")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the ledger's syncs cost a job.")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--at-once", default="1,10,100,1000", help="jobs that are under way together")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on which disk; without it, where temporary files are")
    with_json(parser)
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.runs}")
    numbers: Sequence[int] = [int(number) for number in options.at_once.split(",")]
    figures = [measured(options.folder, options.jobs, number, options.runs) for number in numbers]
    table(figures)
    for figure in figures:
        print(f"  {figure.what}: {figure.note}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
