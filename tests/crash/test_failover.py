"""A database whose standby takes over in the middle: the verdict is the gateway's books."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.cli.support import environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit
from tests.postgres import server

SHOTS = 6
SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n" + "".join(
    f"  - {{id: S{number}, prompt: shot {number}}}\n" for number in range(SHOTS))


def test_a_synchronous_standby_takes_over_and_nothing_is_paid_twice_or_lost(tmp_path: Path) -> None:
    repository, place = tmp_path / "repository", tmp_path / "worker"
    repository.mkdir()
    place.mkdir()
    write(repository, SHOW)
    commit(repository, "show")
    with server() as first, first.standby() as second, small_simulator(tmp_path) as address, ExitStack() as ends:
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        env = {**live(address), "MANIFEST_RUNNER_LEDGER": first.url().replace(f"127.0.0.1:{first.port}", hosts),
               "MANIFEST_RUNNER_STORE": str(tmp_path / "store"), "MANIFEST_RUNNER_CONCURRENCY": "2"}
        assert run(repository, "render", "show.yaml", "--detach", "--yes", env=env).code == 0
        worker = subprocess.Popen([sys.executable, "-m", "manifest_runner", "worker", "--until-idle"], cwd=place, text=True,
                                  env=environment(place, env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while books(address)["totals"]["jobs"] < 3:
            assert time.monotonic() < end
            time.sleep(0.02)
        ends.callback(worker.kill)
        first.stop()
        assert books(address)["totals"]["jobs"] < SHOTS, "there is work left"
        second.take_over()
        said, _ = worker.communicate(timeout=200)
        home = run(repository, "render", "show.yaml", "--yes", env=env)
        totals = books(address)["totals"]
    assert worker.returncode == 0, said
    assert "Traceback" not in said, said
    assert (home.code, home.err.count("restored from the store")) == (0, SHOTS), home.err
    assert (totals["jobs"], totals["duplicates"], totals["credits_charged"]) == (SHOTS, 0, SHOTS * 29)
