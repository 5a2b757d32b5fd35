"""Time and chance as the operating system gives them: the only place where the program reads either."""

from __future__ import annotations

import random
import time

import anyio


class SystemClock:
    """`ports.Clock` over the machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970; may jump, and is for records only."""
        return time.time()

    def jitter(self) -> float:
        """A number in [0, 1) that spreads waiters out; nothing secret hangs on it."""
        return random.random()  # noqa: S311

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds; zero and less is only a chance for others to run."""
        await anyio.sleep(max(0.0, seconds))
