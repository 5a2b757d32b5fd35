"""How good the estimates of the time left are: `python benchmarks/remaining.py` (some minutes), or with `--quick`.

Whole runs of the real engine against the simulator, with time running thirty times faster. Each show is rendered once for the
ledger to learn from and then again, every shot changed, with an estimate at every event; what is compared is what then came.

- `error` is the mean of |estimated - came| over what came, for the estimates made while a tenth of the run or more was left.
- `early` is the same for those made in the first quarter of the run alone.
- `inside` is how often what came lay between the two bounds that are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

sys.path.append(str(Path(__file__).parents[1]))
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.core.model import Rate, TakeKey
from manifest_runner.core.running import Bounds, Running
from manifest_runner.ports import SpendingLimits
from manifest_runner.simulator.world import Settings
from tests.builders import CARD  # found from the checkout only
from tests.worlds import FastClock, Studio

HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\nvars: {look: first}\nshots:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table."""

    name: str
    shots: str
    places: int | None = None
    rate: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An estimate, the moment at which it was made, and its bounds; seconds since the run began."""

    at: float
    likely: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the estimates of a run were worth."""

    seconds: float
    error: float
    early: float
    inside: float


def alone(number: int) -> str:
    """Shots that wait for nothing."""
    return "".join(f"  - {{id: S{place:03}, prompt: \"{{{{ look }}}} {place}\", duration: 5}}\n" for place in range(number))


def chains(number: int, length: int) -> str:
    """Shots of which each takes its first frame from the one before."""
    lines = []
    for chain in range(number):
        for link in range(length):
            frame = f", first_frame: {{shot: C{chain}L{link - 1}, frame: last}}" if link else ""
            lines.append(f"  - {{id: C{chain}L{link}, prompt: \"{{{{ look }}}} {chain} {link}\", duration: 5{frame}}}\n")
    return "".join(lines)


CASES = (
    Case(name="24 shots, 4 at once", shots=alone(24), places=4),
    Case(name="40 shots, all at once", shots=alone(40)),
    Case(name="30 shots, 10 a minute", shots=alone(30), rate=Rate(count=10, per=60)),
    Case(name="4 chains of 4", shots=chains(4, 4)),
    Case(name="3 chains of 3 and 15 shots, 5 at once", shots=chains(3, 3) + alone(15), places=5),
)
QUICK = (Case(name="12 shots, 4 at once", shots=alone(12), places=4),)


async def measure(case: Case, folder: Path, *, factor: float = 30.0) -> Verdict:
    """Render a show twice and judge the estimates of the second time."""
    limits = SpendingLimits(concurrency=case.places, rate=case.rate)
    settings = Settings(speed=1.0, seed=case.name)
    studio = Studio(folder=folder, text=HEAD + case.shots, settings=settings, limits=limits, clock=FastClock(factor))
    async with studio:
        await studio.render()
        studio.text = studio.text.replace("look: first", "look: second")
        clock, guesses = studio.clock, []
        began = clock.monotonic()
        running = Running(studio.plan(), studio.manifest(), CARD, {}, Bounds(concurrency=case.places, rate=case.rate),
                          poll=1.0, now=began)
        ledger = SqliteLedger.open_readonly(folder / "ledger", account="a")
        assert ledger is not None
        with ledger:
            running.remember(ledger.durations())

        def watch(key: TakeKey, what: object) -> None:
            now = clock.monotonic()
            running.hear(key, what, now)  # type: ignore[arg-type]
            left = running.question(now)()
            assert left is not None
            guesses.append(Guess(at=now - began, likely=left.likely, least=left.least, most=left.most))

        studio.watch = watch
        await studio.render()
        return judge(guesses, clock.monotonic() - began)


def judge(guesses: list[Guess], seconds: float) -> Verdict:
    """The verdict on estimates of a run that took so many seconds."""
    counted = [guess for guess in guesses if guess.at < 0.9 * seconds]
    errors = {guess: abs(guess.at + guess.likely - seconds) / (seconds - guess.at) for guess in counted}
    return Verdict(seconds=seconds, error=fmean(errors.values()),
                   early=fmean(error for guess, error in errors.items() if guess.at < seconds / 4),
                   inside=fmean(guess.at + guess.least <= seconds <= guess.at + guess.most for guess in counted))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="one small run")
    quick = arguments.parse_args().quick
    print("| run | took | error | early | inside |\n|---|---|---|---|---|")
    found = []
    for case in QUICK if quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            verdict = asyncio.run(measure(case, Path(folder)))
        found.append(verdict.error)
        print(f"| {case.name} | {verdict.seconds:.0f} s | {verdict.error:.0%} | {verdict.early:.0%} | {verdict.inside:.0%} |",
              flush=True)
    print(f"mean error {fmean(found):.0%}")


if __name__ == "__main__":
    main()
