"""Eight real processes, one ledger, one gateway on a port. The verdict is the gateway's books.

Moments of arrival are the network's and the scheduler's too, so windows are judged a little shorter than the rate's period
here; `tests/adapters/test_ledger.py` judges whole windows in virtual time, and `benchmarks/limits.py` prints how much is used.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path

from tests.cli.support import start, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live

HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n"
SHOTS = 16


def show(folder: Path, name: str, count: int) -> None:
    write(folder, HEAD + "".join(f"  - {{id: {name}{number:02}, prompt: shot {number}}}\n" for number in range(count)),
          f"{name}.yaml")


def renders(folder: Path, address: str, names: list[str], *flags: str, env: dict[str, str] | None = None) -> list[int]:
    """Render all of these at once; the exit codes."""
    started = [start(folder, "render", f"{name}.yaml", "--yes", "--quiet", *flags, env={**live(address), **(env or {})})
               for name in names]
    return [process.wait(timeout=120) for process in started]


def test_eight_runs_of_one_manifest_send_every_shot_once_and_none_too_fast(tmp_path: Path) -> None:
    show(tmp_path, "S", SHOTS)
    with small_simulator(tmp_path) as address:
        codes = renders(tmp_path, address, ["S"] * 8, "--rate", "4/s")
        found = books(address)
    assert codes == [0] * 8
    totals = found["totals"]
    assert (totals["jobs"], totals["duplicates"], totals["repeated"], totals["credits_charged"]) == (SHOTS, 0, 0, SHOTS * 29)
    posts = sorted(request["at"] for request in found["requests"] if request["method"] == "POST")
    assert len(posts) == SHOTS
    assert max(bisect_left(posts, at + 0.75) - place for place, at in enumerate(posts)) <= 4
    assert posts[-1] - posts[0] >= (SHOTS - 1) / 4 * 0.98


def test_a_daily_limit_holds_over_manifests_and_processes(tmp_path: Path) -> None:
    names = ["A", "B", "C"]
    for name in names:
        show(tmp_path, name, 5)
    with small_simulator(tmp_path) as address:
        codes = renders(tmp_path, address, names, env={"MANIFEST_RUNNER_DAILY_CREDITS": str(9 * 29 + 28)})
        totals = books(address)["totals"]
    assert 4 in codes
    assert (totals["jobs"], totals["credits_charged"]) == (9, 9 * 29), "all that fits, and not one more"
