"""`kill -9` in the middle of a run, against the simulator on a port. The verdict is the simulator's books."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import run, start, write

ROOT = Path(__file__).parents[2]
SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: A, prompt: one, takes: 2}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three}
  - {id: D, prompt: four}
"""
TAKES = 5


@contextmanager
def simulator(folder: Path, *flags: str, pictures: bool = True) -> Iterator[str]:
    """The simulator in a process of its own, on a free port; its address. Without `pictures` its clips are small stand-ins."""
    words = ["--port", "0", "--speed", "200", *flags]
    if pictures:
        process = start(folder, "simulate", *words, stdout=subprocess.PIPE)
    else:
        process = start(ROOT, *words, module="tests.crash.small_clips", stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("simulator at ")
    finally:
        process.terminate()
        process.wait(timeout=20)


def books(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/_sim/books", timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def live(address: str) -> dict[str, str]:
    return {"MANIFEST_RUNNER_BASE_URL": address, "TRINETRA_API_KEY": "canary-4711", "MANIFEST_RUNNER_FRAMES": "inline"}


def start_and_end(folder: Path, address: str, after: int, number: signal.Signals) -> int:
    """Begin to render and send a signal once the gateway was asked so many times; the exit code."""
    asked = books(address)["totals"]["requests"]
    process = start(folder, "render", "show.yaml", "--yes", env=live(address))
    while books(address)["totals"]["requests"] < asked + after and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=60)


# A run asks some twenty times: five takes are submitted, asked about and fetched, one of them after all that of another.
@pytest.mark.parametrize("moments", [(1, 1), (3, 2), (6, 3), (10, 1)])
def test_killed_at_any_time_and_run_again_it_finishes_and_pays_each_take_once(tmp_path: Path, moments: tuple[int, ...]) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        for moment in moments:
            assert start_and_end(tmp_path, address, moment, signal.SIGKILL) == -signal.SIGKILL, "on the way, and not too late"
        last = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert last.code == 0, last.err
        totals = books(address)["totals"]
        assert (totals["jobs"], totals["duplicates"], totals["credits_charged"]) == (TAKES, 0, TAKES * 29)
        before = totals["requests"]
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).out.startswith("Nothing to do: 5 kept.")
        assert books(address)["totals"]["requests"] == before, "a finished run asks nothing"


def test_ctrl_c_saves_says_how_to_continue_and_pays_once(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        assert start_and_end(tmp_path, address, 5, signal.SIGINT) == 130
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        totals = books(address)["totals"]
        assert (totals["jobs"], totals["duplicates"]) == (TAKES, 0)


def test_a_run_without_its_ledger_asks_for_the_same_jobs_again(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        assert start_and_end(tmp_path, address, 5, signal.SIGKILL) == -signal.SIGKILL
        for path in (tmp_path / ".manifest-runner").glob("ledger*"):
            path.unlink()
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == TAKES


def test_two_runs_of_one_manifest_at_once_share_it(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        both = [start(tmp_path, "render", "show.yaml", "--yes", env=live(address), stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE) for _ in range(2)]
        ended = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], ended
        totals = books(address)["totals"]
        assert (totals["jobs"], totals["duplicates"]) == (TAKES, 0)


def test_the_key_is_in_nothing_that_a_run_writes(tmp_path: Path) -> None:
    import base64

    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address:
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
    key = b"canary-4711"
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] + [ran.out.encode(), ran.err.encode()]
    assert not any(form in content for content in written for form in (key, base64.b64encode(key).rstrip(b"=")))
