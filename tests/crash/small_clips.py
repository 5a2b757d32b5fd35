"""The simulator on a port for whom pictures do not matter: `python -m tests.crash.small_clips FLAGS…`.

It is `manifest-runner simulate` with the same flags, but each job gets a plain clip with a mark of its own in the place of an
animatic: neither drawing nor decoding those is what the tests of money, limits and faults look at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manifest_runner.__main__ import main as command_line
from manifest_runner.simulator import server
from tests.crash.provider import plainly


@contextmanager
def small_simulator(folder: Path, rate: str = "", places: int = 0) -> Iterator[str]:
    """It in a process of its own; its address. `rate` may be empty and `places` 0: no limit."""
    from tests.crash.test_killed_run import simulator  # here, since the process itself needs none of it

    limits = [*(["--rate", rate] if rate else []), *(["--concurrency", str(places)] if places else [])]
    with simulator(folder, "--speed", "100", *limits, pictures=False) as address:
        assert address.startswith("http://127.0.0.1:"), "an empty address would mean the real gateway"
        yield address


if __name__ == "__main__":
    server.animatic = plainly
    sys.argv[1:1] = ["simulate"]
    command_line()
