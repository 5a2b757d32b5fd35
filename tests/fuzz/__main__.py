"""Fuzzes the command line with strangers' manifests, lockfiles, plans and settings, watched from outside.

    python -m tests.fuzz --inputs 100000 [--seed N] [--only KIND…] [--jobs N]
    python -m tests.fuzz --repeat CASE        CASE is SEED:KIND:NUMBER, or the folder in which a finding was saved

Each input is laid out in a folder of its own and goes through a command as a person would type it, in a process forked from one
that has its modules loaded. What must not happen stands in `tests/fuzz/watch.py`. One in a thousand runs in a new process as
well, and must say the same. A finding is saved, made smaller where that is cheap, and printed with the command that repeats it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.fuzz.kinds import KINDS, Case, case_of, names
from tests.fuzz.planted import PLANTED
from tests.fuzz.watch import Seen, Watcher, complaints

CHUNK = 50
PROGRESS = 5000
COMPARED = 1000
"""One of so many cases is run in a real process too."""
SMALLER = 60
"""Runs that may be spent on making one finding smaller."""


@dataclass(slots=True)
class Figures:
    """What a run has come to."""

    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    longest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    compared: int = 0
    findings: list[tuple[str, list[str], str]] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        self.kinds += other.kinds
        self.ends += other.ends
        self.slowest = max(self.slowest, other.slowest)
        self.longest = max(self.longest, other.longest)
        self.largest = max(self.largest, other.largest)
        self.compared += other.compared
        self.findings += other.findings


def run(watcher: Watcher, chunk: Sequence[str], keep: Path, every: int = COMPARED) -> Figures:
    """Run these cases."""
    figures = Figures()
    for name in chunk:
        case = case_of(name)
        seen, wrong = watcher.judge(case)
        if int(name.rpartition(":")[2]) % every == 0:
            figures.compared += 1
            wrong += _difference(seen, watcher.run(case, real=True))
        figures.kinds[name.split(":")[1]] += 1
        figures.ends[case.arguments[0], seen.code] += 1
        figures.slowest = max(figures.slowest, (seen.seconds, name))
        figures.longest = max(figures.longest, (seen.real, name))
        figures.largest = max(figures.largest, (seen.kilobytes, name))
        if wrong:
            figures.findings.append((name, wrong, str(_save(watcher, case, seen, wrong, keep))))
    return figures


def _difference(forked: Seen, real: Seen) -> list[str]:
    if (forked.code, forked.out, forked.err) == (real.code, real.out, real.err):
        return []
    return [f"differs: a real process ends with {real.code}, the fork with {forked.code}, or they say other things"]


# ── findings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _save(watcher: Watcher, case: Case, seen: Seen, wrong: list[str], keep: Path) -> Path:
    """The input as it was, and a smaller one that goes wrong in the same way."""
    folder = keep / case.name.replace(":", "-")
    small = _smaller(watcher, case, wrong)
    for part, one in (("", case), ("small", small)):
        for name, data in one.files.items():
            path = folder / part / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        facts = {"name": one.name, "arguments": one.arguments, "keyed": one.keyed, "files": sorted(one.files), "wrong": wrong}
        (folder / part / "case.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    (folder / "out").write_bytes(seen.out)
    (folder / "err").write_bytes(seen.err)
    return folder


def _smaller(watcher: Watcher, case: Case, wrong: list[str]) -> Case:
    """The case with lines of its main file left out, as long as the first complaint stays; only where runs are quick."""
    kind = wrong[0].partition(":")[0]
    if kind in ("hang", "slow", "differs"):
        return case
    main = next((name for name in ("manifest-runner.toml", "pyproject.toml", "plan.json", "show.lock.json",
                                   "list.csv", "show.yaml") if name in case.files),
                next(iter(case.files)))
    lines = case.files[main].split(b"\n")
    size, spent = len(lines) // 2, 0
    while size >= 1 and spent < SMALLER:
        at = 0
        while at < len(lines) and spent < SMALLER:
            spent += 1
            tried = replace(case, files={**case.files, main: b"\n".join(lines[:at] + lines[at + size:])})
            if any(one.startswith(kind) for one in complaints(tried, watcher.run(tried))):
                case, lines = tried, lines[:at] + lines[at + size:]
            else:
                at += size
        size //= 2
    return case


def saved(folder: Path) -> Case:
    """A case from the folder of a finding."""
    facts = json.loads((folder / "case.json").read_bytes())
    return Case(name=facts["name"], arguments=tuple(facts["arguments"]), keyed=facts["keyed"],
                files={name: (folder / "files" / name).read_bytes() for name in facts["files"]})


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    options = _options()
    if options.repeat:
        return _repeat(options.repeat, options.planted)
    began = time.monotonic()
    todo = names(options.seed, options.inputs, tuple(options.only))
    figures = Figures()
    parts: multiprocessing.Queue[Figures | None] = multiprocessing.Queue()
    hands = [multiprocessing.Process(target=_shard, daemon=True, args=(todo[number::options.jobs], options,
                                                          parts)) for number in range(options.jobs)]
    for hand in hands:
        hand.start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _gather(figures, parts, len(hands), began)
    except KeyboardInterrupt:
        for hand in hands:
            hand.terminate()
    for hand in hands:
        hand.join()
    print("\n".join(_report(figures, options.seed, time.monotonic() - began)))
    lost = len(todo) - figures.kinds.total()
    if lost:
        print(f"{lost:,} inputs were not run: the fuzzer was stopped, or broke as told above")
    return 1 if figures.findings or lost else 0


def _gather(figures: Figures, parts: multiprocessing.Queue[Figures | None], busy: int, began: float) -> None:
    """Add up what all processes tell, as it comes, and print what they found."""
    while busy:
        part = parts.get()
        if part is None:
            busy -= 1
            continue
        before = figures.kinds.total() // PROGRESS
        figures.add(part)
        for name, wrong, folder in part.findings:
            print(f"{'; '.join(wrong)}\n  repeat: python -m tests.fuzz --repeat {name}   (saved: {folder})", flush=True)
        done = figures.kinds.total()
        if done // PROGRESS > before:
            rate = done / (time.monotonic() - began)
            print(f"… {done:,} inputs, {rate:.0f} a second, {len(figures.findings)} findings", file=sys.stderr, flush=True)


def _shard(todo: Sequence[str], options: argparse.Namespace, parts: multiprocessing.Queue[Figures | None]) -> None:
    """One process's share, told a chunk at a time; None at its end, whatever that is."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the fork server and its folder go as well
    try:
        with Watcher(options.planted) as watcher:
            for at in range(0, len(todo), CHUNK):
                parts.put(run(watcher, todo[at:at + CHUNK], options.keep))
    finally:
        parts.put(None)


def _report(figures: Figures, seed: int, seconds: float) -> Iterator[str]:
    total, found = figures.kinds.total(), len(figures.findings)
    yield f"{total:,} inputs in {seconds:,.0f} s ({total / seconds:.0f} a second), seed {seed}: {found} findings"
    yield "kinds: " + ", ".join(f"{name} {count:,}" for name, count in sorted(figures.kinds.items()))
    yield "ends: " + ", ".join(f"{command} {code}: {count:,}" for (command, code), count in sorted(figures.ends.items()))
    yield f"slowest: {figures.slowest[0]:.2f} s of the processor ({figures.slowest[1]}), {figures.longest[0]:.2f} s in all"
    yield f"largest: {figures.largest[0] // 1024} MB ({figures.largest[1]})"
    yield f"also run in a real process, with the same result unless listed above: {figures.compared:,}"


def _repeat(text: str, planted: str) -> int:
    """One case, with everything that came of it."""
    folder = Path(text)
    case = saved(folder) if (folder / "case.json").is_file() else case_of(text)
    with Watcher(planted) as watcher:
        seen, wrong = watcher.judge(case)
    print(f"$ manifest-runner {' '.join(case.arguments)}")
    print(f"exit code {seen.code}, {seen.seconds:.2f} s of the processor, {seen.kilobytes // 1024} MB")
    for title, data in (("standard output", seen.out), ("standard error", seen.err)):
        print(f"── {title}\n{data[:4000].decode('utf-8', 'backslashreplace')}")
    print("\n".join(wrong) or "nothing is wrong with it")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--only", nargs="*", choices=sorted(KINDS), default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "manifest-runner-findings")
    parser.add_argument("--repeat", metavar="CASE")
    parser.add_argument("--planted", choices=sorted(PLANTED), default="", help="plant a fault, to see that it is found")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
