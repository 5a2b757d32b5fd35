"""How much of an account's limits four workers use: `python benchmarks/workers.py` (three minutes).

A real PostgreSQL, the simulator on a port, and four `worker` processes of eight orders each, every order a shot, all with state
folders of their own. The verdicts are the gateway's books.

- `rate used`: from the first submission to the last, of `--rate`. Each order is a process that has to start, so that two cores
  are the bound from about one a second on; and rates by the second leave room for submissions that are held up on their way.
- `credits used`: of a day's limit that the show would exceed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from manifest_runner.simulator.books import key_hash
from tests.cli.support import environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit
from tests.postgres import Server, server

WORKERS, ORDERS = 4, 8
PRICE = 29
HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n"


def left_to_workers(folder: Path, database: Server, address: str, shots: int, limits: dict[str, str]) -> dict[str, Any]:
    """What the gateway's books say of a show of so many shots, and how long ordering it and carrying it out took."""
    name = os.urandom(4).hex()
    repository = folder / name
    repository.mkdir()
    write(repository, HEAD + "".join(f"  - {{id: S{number}, prompt: shot {number}}}\n" for number in range(shots)))
    write(repository, name, "unique")
    commit(repository, "show")
    env = {**live(address), "TRINETRA_API_KEY": name, "MANIFEST_RUNNER_LEDGER": database.url(),
           "MANIFEST_RUNNER_STORE": str(folder / "store"), **limits}
    began = time.monotonic()
    ordered = run(repository, "render", "show.yaml", "--detach", "--yes", env=env, timeout=60)
    assert ordered.code == 0, ordered.err
    handed = time.monotonic()
    workers = []
    for number in range(WORKERS):
        (folder / f"{name}-{number}").mkdir()
        place = folder / f"{name}-{number}"
        with (place / "said").open("w") as said:
            workers.append(subprocess.Popen([sys.executable, "-m", "manifest_runner", "worker", "--until-idle", "--orders",
                                             str(ORDERS)], cwd=place, env=environment(place, env), stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=said))
    for worker in workers:
        worker.wait(timeout=900)
    found, account = books(address), key_hash(name)
    return {"jobs": [job for job in found["jobs"] if job["account"] == account],
            "posts": sorted(one["at"] for one in found["requests"] if one["key"] == account and one["method"] == "POST"),
            "handed": handed - began, "done": time.monotonic() - handed}


def main() -> None:
    parser = argparse.ArgumentParser(description="limits and workers")
    parser.add_argument("--rate", type=int, default=40, help="submissions a minute")
    parser.add_argument("--shots", type=int, default=80)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, server(durable=True) as database, small_simulator(Path(name)) as address:
        folder, shots = Path(name), asked.shots
        found = left_to_workers(folder, database, address, shots, {"MANIFEST_RUNNER_RATE": f"{asked.rate}/min"})
        posts = found["posts"]
        print(f"{shots} orders handed over in {found['handed']:.2f} s, carried out in {found['done']:.1f} s")
        print(f"rate used {(len(posts) - 1) / (posts[-1] - posts[0]) / asked.rate * 60:.1%} of {asked.rate}/min; "
              f"{len(found['jobs'])} jobs, {len(posts)} submissions")
        fit = shots // 2
        limit = fit * PRICE + PRICE - 1
        found = left_to_workers(folder, database, address, shots // 2 + 10,
                                {"MANIFEST_RUNNER_DAILY_CREDITS": str(limit)})
        charged = sum(job["credits_charged"] for job in found["jobs"])
        print(f"credits used {charged / limit:.1%} of {limit:,}; {len(found['jobs'])} jobs")


if __name__ == "__main__":
    main()
