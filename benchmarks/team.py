"""What a transaction of the ledger costs in PostgreSQL, beside SQLite's: `python benchmarks/team.py` (three minutes).

Both on this machine's disk and synced at every commit; the database is a real one, from nothing, on loopback. `far` puts a
proxy in between that holds each way up, as a database in another building does.

- `admission` and `record` are medians of single transactions, in milliseconds; `in a batch` is one admission of a hundred that
  tasks of one process asked for at once.
- `8 processes` is how many admissions and records together eight processes get through in a second, one by one, on one account.
- The same on an account for each process, and single transactions on an account that has ten thousand jobs in flight.
- A rate is used for twenty seconds by four machines whose clocks are hours apart: how much of it in the middle of that time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.ledger_account import AccountLedger
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_ledger import TeamLedger
from manifest_runner.core.lifecycle import Submitted
from manifest_runner.core.model import JobId, Rate
from manifest_runner.ports import SpendingLimits
from tests.contract.ledger_contract import SUBMITTED, intent  # found from the checkout only
from tests.crash.test_team import WORKER as SEND
from tests.crash.test_team import trail
from tests.postgres import Server, server
from tests.proxy import Proxy

LIMITS = SpendingLimits(rate=Rate(count=100_000, per=1), concurrency=1_000_000, daily_credits=10**11)
PROCESSES = 8

WORKER = """
import sys
from benchmarks.team import opened, one_by_one
print(one_by_one(opened(sys.argv[1], sys.argv[2], sys.argv[4]), sys.argv[2], float(sys.argv[3])))
"""


def opened(where: str, name: str, account: str = "bench") -> AccountLedger:
    """A ledger by its address or path."""
    if where.startswith("postgresql:"):
        return TeamLedger(TeamAddress.of(where), account=account, project="p", run=name)
    return SqliteLedger(Path(where), account=account, run=name)


def one_by_one(ledger: AccountLedger, name: str, seconds: float) -> int:
    """How many admissions and records are done in so many seconds."""
    done, end = 0, time.monotonic() + seconds
    with ledger:
        while time.monotonic() < end:
            wanted = intent(name, take=done + 1)
            ledger.admit(wanted, LIMITS)
            ledger.record(wanted.external_task_id, SUBMITTED)
            done += 1
    return 2 * done


def medians(ledger: AccountLedger, count: int) -> tuple[float, float, float]:
    """Milliseconds of an admission, of a record, and of one admission in a batch."""
    admissions, records = [], []
    with ledger:
        for number in range(count):
            wanted = intent("M", take=number + 1)
            admissions.append(timed(lambda wanted=wanted: ledger.admit(wanted, LIMITS)))
            records.append(timed(lambda wanted=wanted: ledger.record(wanted.external_task_id, SUBMITTED)))
        batch = timed(lambda: ledger.transact([lambda number=number: ledger.admit(intent("B", take=number + 1), LIMITS)
                                               for number in range(100)])) / 100
    return statistics.median(admissions), statistics.median(records), batch


def in_flight(database: Server, count: int) -> tuple[float, float, float]:
    """Milliseconds of an admission and of a record where so many jobs are in flight, and kilobytes of a job in the database."""
    where = database.url()
    before = size(database)
    with opened(where, "many", "many") as ledger:
        for first in range(0, count, 500):
            wanted = [intent("F", take=number + 1) for number in range(first, first + 500)]
            ledger.transact([lambda one=one: ledger.admit(one, LIMITS) for one in wanted])
            ledger.transact([lambda one=one: ledger.record(one.external_task_id, Submitted(job_id=JobId(one.external_task_id)))
                             for one in wanted])
    admission, record, _ = medians(opened(where, "more", "many"), 200)
    return admission, record, (size(database) - before) / count / 1000


def size(database: Server) -> int:
    """Bytes of the database."""
    with database.connect() as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert found is not None
        return int(found[0])


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def together(where: str, seconds: float, *, accounts: int = 1) -> float:
    """Transactions a second of all processes, on so many accounts."""
    words = [[where, f"P{number}", str(seconds), f"bench-{number % accounts}"] for number in range(PROCESSES)]
    started = [subprocess.Popen([sys.executable, "-c", WORKER, *told], stdout=subprocess.PIPE, text=True,
                                cwd=Path(__file__).parents[1]) for told in words]
    return sum(int(process.communicate()[0]) for process in started) / seconds


def rate_used(database: Server, rate: Rate, folder: Path) -> tuple[float, int]:
    """What four machines with eight tasks each use of a rate that all want more of, and the most that any window held."""
    account = f"{rate.count} in {rate.per}"
    for name in "ABCD":
        (folder / name).mkdir(exist_ok=True)
    started = [subprocess.Popen([sys.executable, "-c", SEND, database.url(), account, name, str(folder / name), str(rate.count),
                                 str(rate.per), "1000", str(10 * 20 * rate.count // rate.per), str(3600 * number)])
               for number, name in enumerate("ABCD")]
    assert [process.wait() for process in started] == [0] * 4
    times = sorted(at + detail["ahead"] for _, kind, at, detail in trail(database, account) if kind == "Intended")
    middle = times[len(times) // 8: -(len(times) // 8)]
    used = (len(middle) - 1) / (middle[-1] - middle[0]) / (rate.count / rate.per)
    return used, max(bisect_left(times, at + rate.per) - place for place, at in enumerate(times))


@contextmanager
def ledgers(folder: Path, seconds: float) -> Iterator[dict[str, tuple[str, int, float]]]:
    """Where they are, how many single transactions are measured, and for how long all together."""
    with server(durable=True) as database, Proxy(database.port) as near, Proxy(database.port, delay=0.0025) as far:
        yield {"SQLite": (str(folder / "ledger.db"), 300, seconds),
               "PostgreSQL": (database.url(), 300, seconds),
               "PostgreSQL through a proxy": (database.url(port=near.port), 200, seconds),
               "PostgreSQL, 5 ms away": (database.url(port=far.port), 60, seconds)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="for how long eight processes work")
    parser.add_argument("--jobs", type=int, default=10_000, help="in flight on one account")
    options = parser.parse_args()
    print(f"{'':28} {'admission':>10} {'record':>8} {'in a batch':>11} {f'{PROCESSES} processes':>14}")
    with tempfile.TemporaryDirectory(prefix="team-", dir=".") as name, ledgers(Path(name), options.seconds) as found:
        for what, (where, count, seconds) in found.items():
            admission, record, batch = medians(opened(where, "median"), count)
            rate = together(where, seconds)
            print(f"{what:28} {admission:7.2f} ms {record:5.2f} ms {batch:8.2f} ms {rate:12.0f}/s", flush=True)
    with server(durable=True) as database, tempfile.TemporaryDirectory(prefix="team-") as name:
        apart = together(database.url(), options.seconds, accounts=PROCESSES)
        print(f"{PROCESSES} processes on {PROCESSES} accounts: {apart:.0f}/s", flush=True)
        admission, record, kilobytes = in_flight(database, options.jobs)
        print(f"{options.jobs:,} jobs in flight: an admission {admission:.2f} ms, a record {record:.2f} ms; "
              f"{kilobytes:.1f} kB a job", flush=True)
        for rate in (Rate(count=8, per=1), Rate(count=120, per=60)):
            used, most = rate_used(database, rate, Path(name))
            words = f"{rate.count} in {rate.per} s"
            print(f"4 machines at {words}: {used:.1%} used, {most} at most in any {rate.per} s", flush=True)


if __name__ == "__main__":
    main()
