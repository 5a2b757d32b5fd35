"""What templates that compute cost on top of plain names: `python benchmarks/templates.py [--runs N] [--only WORDS]`.

The same manifest twice, once with plain names and once with templates that compute, planned by whole processes in turn. The
worker for templates starts once a run, beside the imports of the program itself: two cores are assumed. The last rows are of
a thousand shots; there most is Jinja's own compiling, which the row of this process, without any confinement, shows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.measuring import PROGRAM, machine, run, with_json, write
from benchmarks.targets import AIMS, Figure
from manifest_runner.core.sandbox import Sandbox

HEAD = "version: 1\nshow: bench\nmodel: kling-v3-omni\n{vars}shots:\n"
VARS = "vars: {hero: Asha, beat: 5, look: '35mm, {{ hero }}'}\n"


def manifest(shot: Callable[[int], str], shots: int, vars_: str = VARS) -> str:
    """A manifest of so many shots; `shot` gives the prompt of each."""
    lines = "".join(f'  - {{id: S{number}, prompt: "{shot(number)}", duration: 5}}\n' for number in range(shots))
    return HEAD.format(vars=vars_) + lines


def shows() -> dict[str, tuple[str, str]]:
    """By name: the manifest with plain names, and the one that computes."""
    def plain(number: int) -> str:
        return f"{{{{ hero }}}} walks, {number}. {{{{ look }}}}"

    def one(number: int) -> str:
        return plain(number).replace("hero }}", "hero | upper }}") if number == 1 else plain(number)

    def each(number: int) -> str:
        return f"{{{{ hero | upper }}}} walks {{{{ beat + {number} }}}}. {{{{ look }}}}"

    def varies(number: int) -> str:
        return f"{{{{ hero }}}} walks in {{{{ shot | lower }}}}, {number}. {{{{ look }}}}"

    included = "include: [{0}-look.yaml]\n"
    return {
        "2 shots, one computes": (manifest(plain, 2), manifest(one, 2)),
        "2 shots, only an included file computes": (manifest(plain, 2, included.format("plain")),
                                                    manifest(plain, 2, included.format("computing"))),
        "1,000 shots, the last one computes": (manifest(plain, 1000), manifest(lambda n: one(int(n == 999)), 1000)),
        "1,000 shots, each computes with its own name": (manifest(plain, 1000), manifest(varies, 1000)),
        "1,000 shots, each with an expression of its own": (manifest(plain, 1000), manifest(each, 1000)),
    }


def wall(path: Path) -> float:
    """Milliseconds of one plan."""
    return 1000 * run([*PROGRAM, "plan", path.name], path.parent).wall


def compiling(count: int) -> float:
    """Milliseconds in which so many expressions are compiled and evaluated without any confinement."""
    sandbox = Sandbox(files=None)
    sandbox.evaluate("1 + 1", {})
    begin = time.perf_counter()
    for number in range(count):
        sandbox.evaluate(f" beat + {number} ", {"beat": 5})
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description="What templates that compute cost on top of plain names.")
    parser.add_argument("--runs", type=int, default=15, help="pairs of each measurement")
    parser.add_argument("--only", metavar="WORDS", default="", help="rows whose name begins with these words")
    with_json(parser)
    options = parser.parse_args()
    runs, figures = options.runs, []
    print(f"{machine()}; {runs} interleaved pairs, medians in ms\n\n{'':50} {'plain':>8} {'computing':>10} {'on top':>8}")
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        folder = Path(name)
        (folder / "plain-look.yaml").write_text(VARS, encoding="utf-8")
        (folder / "computing-look.yaml").write_text(VARS.replace("hero }}", "hero | upper }}"), encoding="utf-8")
        for title, texts in shows().items():
            if not title.startswith(options.only):
                continue
            paths = [folder / "plain.yaml", folder / "computing.yaml"]
            for path, text in zip(paths, texts, strict=True):
                path.write_text(text, encoding="utf-8")
                wall(path)
            pairs = [(wall(paths[0]), wall(paths[1])) for _ in range(runs)]
            plain, computing = (statistics.median(column) for column in zip(*pairs, strict=True))
            aim = AIMS["templates"] if title.startswith("2") else None
            figures.append(Figure(row="templates", what=title, ours=computing, unit="ms", peer="plain names", theirs=plain,
                                  aim=aim, runs=runs))
            words = "" if aim is None else f"  (target ≤ {aim.most:g})"
            print(f"{title:50} {plain:8.0f} {computing:10.0f} {computing - plain:8.0f}{words}", flush=True)
    if not options.only:
        own = statistics.median(compiling(1000) for _ in range(min(runs, 5)))
        print(f"{'1,000 expressions in one process, no confinement':50} {'':8} {'':10} {own:8.0f}")
    write(options.json, figures)


if __name__ == "__main__":
    main()
