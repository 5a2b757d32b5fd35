"""What a reel costs: `python benchmarks/reel.py [--runs N] [--minutes M]` (some minutes).

Draft clips of five seconds at 720p, drawn by the simulator. Whole processes, ours and ffmpeg (Debian: `apt-get install ffmpeg`)
in turn, medians. The peer joins the same clips in one pass, with the same settings of x264 and one thread; its clips are whole,
ours lack a frame each, lest they be copied. Where it is missing, that is said. `× real time a core` is the length of the film
over the seconds of CPU, so that it does not depend on how many cores there are. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.animatic import draw
from benchmarks.measuring import PROGRAM, Cost, machine, run, show
from benchmarks.targets import AIMS

CLIPS, SECONDS, RATE = 12, 5, 24

PEER = shutil.which("ffmpeg")
X264 = ("-c:v", "libx264", "-preset", "superfast", "-crf", "18", "-bf", "0", "-g", "48", "-x264-params",
        "rc-lookahead=10:mbtree=1:scenecut=0:weightp=0", "-threads", "1", "-an")


def write_show(folder: Path, drawn: Path, shots: int, *, first: int = 1, changed: int = 0) -> Path:
    """A show of so many shots whose clips are there. Each is cut from frame `first` on (0: whole), or a frame later every time
    that a drawn clip comes again, so that no two are alike; the first `changed` shots are a frame shorter than the others."""
    clips = folder / "renders" / "show"
    clips.mkdir(parents=True, exist_ok=True)
    lines = ["version: 1", "show: show", "model: kling-v3-omni", "shots:"]
    for number in range(shots):
        clip = clips / f"S{number:05}_t1.mp4"
        if not clip.exists():
            clip.hardlink_to(drawn / f"C{number % CLIPS}.mp4")
        begin = (first + number // CLIPS) / RATE if first else 0
        end = f", out: {SECONDS - 1 / RATE:.6f}" if number < changed else ""
        lines.append(f"  - {{id: S{number:05}, prompt: A bridge., duration: {SECONDS}, cut: {{in: {begin:.6f}{end}}}}}")
    (folder / "show.yaml").write_text("\n".join(lines) + "\n")
    return folder


def peer(folder: Path, drawn: Path, codec: Sequence[str]) -> Sequence[str]:
    """ffmpeg with the same clips."""
    listed = folder / "list.txt"
    listed.write_text("".join(f"file '{drawn / f'C{number}.mp4'}'\n" for number in range(CLIPS)))
    return (str(PEER), "-v", "error", "-y", "-threads", "1", "-f", "concat", "-safe", "0", "-i", str(listed), *codec,
            str(folder / "peer.mp4"))


def reel(*flags: str) -> Sequence[str]:
    return (*PROGRAM, "reel", "show.yaml", *flags)


def measured(commands: Mapping[str, Sequence[str]], folder: Path, runs: int) -> dict[str, Cost]:
    """All commands in turn, `runs` times, each time without kept pieces."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, words in commands.items():
            shutil.rmtree(folder / ".manifest-runner", ignore_errors=True)
            costs[name].append(run(words, folder))
    return {name: Cost(wall=statistics.median(cost.wall for cost in found), cpu=statistics.median(cost.cpu for cost in found),
                       memory=max(cost.memory for cost in found)) for name, found in costs.items()}


def version_of_peer() -> str:
    if PEER is None:
        return "ffmpeg is missing: no peer"
    return subprocess.run([PEER, "-version"], capture_output=True, text=True, check=True).stdout.partition(" Copyright")[0]


def pace(name: str, seconds: float, costs: Mapping[str, Cost]) -> None:
    """How much faster than real time each is, a core."""
    show(name, costs)
    for what, cost in costs.items():
        print(f"  {what:30} {seconds / cost.cpu:9.2f} × real time a core")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a reel costs, beside ffmpeg.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minutes", type=int, default=10, help="of the long reel")
    options = parser.parse_args()
    print(f"{machine()}; {version_of_peer()}; medians of {options.runs}")
    with tempfile.TemporaryDirectory(prefix="manifest-runner-bench-") as name:
        root = Path(name)
        draw(root / "drawn", CLIPS, SECONDS)
        minute = write_show(root / "minute", root / "drawn", CLIPS)
        seconds = CLIPS * (SECONDS - 1 / RATE)
        costs = measured({"reel": reel(), "reel, slates and burn-ins": reel("--slates", "--burn-in", "all"),
                          **({"ffmpeg, concat and encode": peer(minute, root / "drawn", X264)} if PEER else {})}, minute,
                         options.runs)
        pace(f"a minute of {CLIPS} shots at 720p, encoded", seconds, costs)
        target = AIMS["draft"].least or 0.0
        print(f"  target {target:g}: {'reached' if seconds / costs['reel'].cpu >= target else 'NOT reached'}")
        if PEER:
            print(f"  CPU of reel / ffmpeg: {costs['reel'].cpu / costs['ffmpeg, concat and encode'].cpu:.2f}")

        whole = write_show(root / "whole", root / "drawn", CLIPS, first=0)
        pace("the same, whole clips: copied", CLIPS * SECONDS, measured({
            "reel": reel(), **({"ffmpeg, copy": peer(whole, root / "drawn", ("-c", "copy"))} if PEER else {})},
            whole, options.runs))

        shots = options.minutes * 60 // SECONDS
        long = write_show(root / "long", root / "drawn", shots)
        first = run(reel(), long)
        again = run(reel(), long)
        write_show(long, root / "drawn", shots, changed=1)
        one = run(reel(), long)
        show(f"{shots} shots, {options.minutes} minutes",
             {"all encoded": first, "nothing changed": again, "one shot changed": one})
        print(f"  peak memory of {options.minutes} minutes / of one: {first.memory / costs['reel'].memory:.2f}")
        print(f"  one shot changed / all encoded: {one.wall / first.wall:.3f} of the time")


if __name__ == "__main__":
    sys.exit(main())
