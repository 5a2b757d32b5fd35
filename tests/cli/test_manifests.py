"""The shows in `manifests/` are real input: they are drafted and cut, and one is rendered on a port.

The longest takes a minute: `make sweep` names it in MANIFEST_RUNNER_SHOWS, and here shots of its two matrices stand for it.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from manifest_runner.adapters.media import probe
from tests.cli.support import MANIFESTS, run
from tests.crash.test_killed_run import books, live, simulator


@pytest.fixture
def show(tmp_path: Path) -> Path:
    """The folder `manifests` in a repository of its own."""
    shutil.copytree(MANIFESTS, tmp_path / "manifests", ignore=shutil.ignore_patterns("renders", "*.lock.json"))
    (tmp_path / ".git").mkdir()
    return tmp_path


LENGTHS = {"first": 6.0, "monsoon": 36.0, "signalman": 123.75}
SHOWS = os.environ.get("MANIFEST_RUNNER_SHOWS", "first,monsoon").split(",")


@pytest.mark.parametrize("name", SHOWS)
def test_a_show_is_drafted_whole_and_cut_to_its_length(show: Path, name: str) -> None:
    manifest = f"manifests/{name}.yaml"
    drafted = run(show, "render", manifest, "--draft", timeout=500)
    assert drafted.code == 0, drafted.err
    lock = json.loads((show / "manifests" / f"{name}.draft.lock.json").read_text())
    for shot in lock["shots"].values():
        for take in shot["takes"].values():
            (output,) = take["outputs"]
            facts = probe(show / "manifests" / output["path"])
            assert (facts.codec, facts.width, facts.height, facts.frame_rate) == ("h264", 1280, 720, "24/1")
            assert facts.frames == round(take["request"]["duration"] * 24)
    film = json.loads(run(show, "reel", manifest, "--draft", "--json", timeout=500).out)
    assert film["shots"] == len(lock["shots"])
    assert film["duration"] == pytest.approx(LENGTHS[name], abs=0.05)
    assert run(show, "render", manifest, "--draft").out.startswith("Nothing to do")


def test_some_shots_of_the_longest_show_are_drafted_and_the_others_wait(show: Path) -> None:
    manifest = "manifests/signalman.yaml"
    chosen = [change["shot"] for change in json.loads(run(show, "plan", manifest, "--json").out)["changes"]
              if change["shot"].startswith(("SH0340", "SH0410"))]
    assert len(chosen) >= 4
    drafted = run(show, "render", manifest, "--draft", *(word for shot in chosen for word in ("--only", shot)), timeout=300)
    assert drafted.code == 0, drafted.err
    lock = json.loads((show / "manifests" / "signalman.draft.lock.json").read_text())
    assert set(chosen) <= set(lock["shots"])
    assert len(lock["shots"]) < 20
    for shot in lock["shots"].values():
        for take in shot["takes"].values():
            assert probe(show / "manifests" / take["outputs"][0]["path"]).frames == round(take["request"]["duration"] * 24)


def test_the_same_manifest_runs_unchanged_against_a_gateway_on_a_port(show: Path) -> None:
    with simulator(show, pictures=False) as address:
        ran = run(show, "render", "manifests/monsoon.yaml", "--yes", "--rate", "600/min", env=live(address), timeout=300)
        assert ran.code == 0, ran.err
        assert "1,276 credits (₹1,276) charged" in ran.out
        totals = books(address)["totals"]
        assert (totals["jobs"], totals["credits_charged"], totals["duplicates"]) == (14, 1276, 0)
        assert (
            "\n14 of 14 takes done. 1,276 credits" in run(show, "status", "manifests/monsoon.yaml").out
        )
        assert run(show, "lock", "manifests/monsoon.yaml", "--check").code == 0


def test_a_budget_stops_a_run_with_its_own_exit_code(show: Path) -> None:
    with simulator(show, pictures=False) as address:
        ran = run(
            show,
            "render",
            "manifests/monsoon.yaml",
            "--yes",
            "--max-credits",
            "300",
            "--rate",
            "600/min",
            env=live(address),
            timeout=300,
        )
        assert ran.code == 4
        assert "over budget" in ran.out
        assert books(address)["totals"]["credits_charged"] <= 300
