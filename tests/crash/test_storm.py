"""One life of the storm, with a fixed seed. `make sweep` lives many, and shows that a naive worker pays twice in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.crash.planted import ROOT
from tests.postgres import binaries


def test_workers_in_a_storm_pay_nothing_twice_and_lose_nothing() -> None:
    if binaries() is None and not os.environ.get("CI"):
        pytest.skip("no PostgreSQL")
    ran = subprocess.run([sys.executable, "-m", "tests.crash.storm", "--seed", "2", "--life", "12", "--at-once", "1"], cwd=ROOT,
                         capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.match(r"[1-9]\d* faults in one life: ", ran.stdout), ran.stdout
    assert "8 takes: paid twice 0, lost 0, lives with anything wrong 0" in ran.stdout
