"""Which runs of this machine are alive.

A run's name carries its process and when that began, so that another process can tell a run that is about to send from one
that was killed while it did. Process numbers are used again; together with the start they are not.
"""

from __future__ import annotations

import os
from pathlib import Path


def run_name() -> str:
    """A name for the run of this process that no other run has."""
    return f"{os.getpid()}.{_began(os.getpid())}.{os.urandom(4).hex()}"


def is_alive(run: str) -> bool:
    """Whether the process behind a run's name still runs. A name that is not one of ours counts as gone."""
    number, _, rest = run.partition(".")
    began = rest.partition(".")[0]
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) < 2**31:
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it exists and is somebody else's
    return began == _began(int(number))


def _began(number: int) -> str:
    """When a process began, in the kernel's own ticks; `0` where the system does not tell (then the number alone counts)."""
    try:
        # The name in brackets may hold anything; the fields after it are fixed, the start being the 22nd of all.
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[19]
    except (OSError, IndexError):
        return "0"
