"""What holds for all tests: how fast this machine happens to be is no verdict."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

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
