"""What holds for all tests: how fast this machine happens to be is no verdict."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.postgres import Server

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


MEMORY = Path("/dev/shm")
ENOUGH = 4 * 1024**3


def in_memory() -> bool:
    """Whether this machine has a disk in memory that programs may be started from."""
    return (sys.platform == "linux" and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH
            and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC)


if in_memory():  # every sync of a ledger waits for the disk, and these tests cut no power
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def database() -> Iterator[Server]:
    """A PostgreSQL with a ledger in it, one for each process that tests. Tests that stop it make one of their own."""
    from tests.postgres import server  # few tests need one

    with server() as found:
        yield found
