"""The kill sweep in short, with fixed seeds. `make sweep` is the long form."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.crash.planted import ROOT
from tests.crash.tracing import Point

CANNOT = 77
"""How the sweep ends where processes may not be traced."""


def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([sys.executable, "-m", "tests.crash.sweep", "--workers", "4", *arguments], cwd=ROOT,
                         capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode == CANNOT:
        pytest.skip(ran.stdout.strip())
    return ran


@pytest.mark.parametrize("flags", [("--kills", "15", "--seed", "11", "--delays"),
                                   ("--kills", "10", "--seed", "12", "--correlates")], ids=" ".join)
def test_killed_at_system_calls_and_waits_each_take_is_paid_once_and_nothing_is_lost(flags: tuple[str, ...]) -> None:
    ran = sweep(*flags)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "jobs paid twice 0, lost 0, clips missing 0, lives with anything wrong 0" in ran.stdout


def test_a_naive_runner_that_is_killed_before_it_saves_its_job_id_is_caught_paying_twice() -> None:
    ran = sweep("--naive", "--repeat", "before write #1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "naive runner: paid twice at 1 of 1 kill points" in ran.stdout


@pytest.mark.parametrize("text", ["before pwrite64 #12", "after epoll_wait #1", "0.532 s"])
def test_a_point_is_read_as_it_is_written(text: str) -> None:
    assert str(Point.parse(text)) == text
