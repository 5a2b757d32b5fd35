"""Two hosts, a database across a network, and a network that swallows everything: the verdict is the gateway's books.

In short a host is cut off for as long as a connection survives it. `make sweep` sets MANIFEST_RUNNER_CUT_OFF to more seconds
than a connection and a worker's lease last, and to `for good`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.support import environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.hosts import Host, hosts, relay
from tests.pages import commit
from tests.postgres import Server, server

SHOTS = 8
SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n" + "".join(
    f"  - {{id: S{number}, prompt: shot {number}}}\n" for number in range(SHOTS))
CUTS = os.environ.get("MANIFEST_RUNNER_CUT_OFF", "3").split(",")


def start(host: Host, folder: Path, database: Server, env: dict[str, str]) -> subprocess.Popen[str]:
    """A worker on a host, whose way to the database is its link."""
    folder.mkdir()
    url = f"{database.url(at=host.here)}?sslmode=disable"
    words = host.command(sys.executable, "-m", "manifest_runner", "worker", "--until-idle", "--orders", "2")
    return subprocess.Popen(words, cwd=folder, env=environment(folder, {**env, "MANIFEST_RUNNER_LEDGER": url}), text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("cut", CUTS)
def test_a_host_that_is_cut_off_from_the_database_costs_nothing_twice_and_loses_nothing(tmp_path: Path, cut: str) -> None:
    with ExitStack() as ends:
        two = ends.enter_context(hosts(2))
        database = ends.enter_context(server(addresses=tuple(host.here for host in two)))
        address = ends.enter_context(small_simulator(tmp_path))
        gateway, port = str(tmp_path / "gateway"), str(urlsplit(address).port)
        ends.enter_context(relay(gateway, port))
        for host in two:
            ends.enter_context(relay(port, gateway, on=host))
        env = {**live(address), "MANIFEST_RUNNER_STORE": str(tmp_path / "store"), "MANIFEST_RUNNER_CONCURRENCY": "3"}
        here = {**env, "MANIFEST_RUNNER_LEDGER": database.url()}
        repository = tmp_path / "repository"
        repository.mkdir()
        write(repository, SHOW)
        commit(repository, "show")
        assert run(repository, "render", "show.yaml", "--detach", "--yes", env=here).code == 0
        workers = [start(host, tmp_path / host.name, database, env) for host in two]
        for worker in workers:
            ends.callback(worker.kill)
        end = time.monotonic() + 60
        while books(address)["totals"]["jobs"] < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        two[0].cut_off()
        assert books(address)["totals"]["jobs"] < SHOTS, "there is work left"
        if cut != "for good":
            time.sleep(float(cut))
            two[0].join()
        said = [worker.communicate(timeout=400)[0] for worker in workers]
        totals = books(address)
        home = run(repository, "render", "show.yaml", "--yes", env=here)
        after = books(address)["totals"]
    assert [worker.returncode for worker in workers] == [2 if cut == "for good" else 0, 0], said
    assert "Traceback" not in "".join(said), said
    assert (totals["totals"]["jobs"], totals["totals"]["credits_charged"]) == (SHOTS, SHOTS * 29), said
    assert max(one["most_in_flight"] for one in totals["accounts"].values()) <= 3
    assert (home.code, home.err.count("restored from the store"), after["jobs"]) == (0, SHOTS, SHOTS), home.err
