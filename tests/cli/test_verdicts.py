"""A clip that is other than asked: shown wherever its take is, accepted by nobody but a person, and never paid for again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.cli.main import COMMANDS
from manifest_runner.cli.words import decisions
from tests.cli.support import Ran, run, write
from tests.crash.test_killed_run import books, live, simulator

SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: SH0010, prompt: "The last tram stops in the rain."}
  - {id: SH0020, prompt: "She walks away.", camera: static}
  - {id: SH0030, prompt: "The bridge.", camera: {move: pan_left, amount: 3}}
"""
BLACK = {"accepted": False, "findings": [{"code": "black", "words": "all of it is black"}]}
LINE = "2 takes in the cut to look at: SH0010 t1 (all of it is black), SH0030 t1 (nothing moves for "


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A show whose provider delivered a black clip, a frozen one, and a static shot that is as it should be."""
    folder = tmp_path_factory.mktemp("show")
    write(folder, SHOW)
    with simulator(folder, "--fault", "job:black shot=SH0010", "--fault", "job:frozen shot=SH0030") as address:
        ran = run(folder, "render", "show.yaml", "--yes", env=live(address))
        again = run(folder, "render", "show.yaml", "--yes", env=live(address))
        assert books(address)["totals"]["jobs"] == 3, "nothing is paid again by itself"
        assert (again.code, again.out) == (0, "Nothing to do: 3 kept. 0 credits.\n")
        assert again.err.startswith(LINE)
    return folder, ran


@pytest.fixture
def folder(rendered: tuple[Path, Ran], tmp_path: Path) -> Path:
    """That show, to change."""
    return Path(shutil.copytree(rendered[0], tmp_path / "copy"))


def block(folder: Path, shot: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "show.lock.json").read_text())["shots"][shot]["takes"]["1"]
    return found


def circled(*shots: str) -> str:
    text = SHOW
    for shot in shots:
        text = text.replace(f"{{id: {shot}, ", f"{{id: {shot}, circled: 1, ")
    return text


def test_the_run_that_brings_it_says_so_and_fails(rendered: tuple[Path, Ran]) -> None:
    folder, ran = rendered
    assert ran.code == 1
    assert "look at: SH0010 t1: all of it is black" in ran.out
    assert "look at: SH0030 t1: nothing moves for " in ran.out
    assert "SH0020 t1: " not in ran.out
    assert "3 done (2 to look at) of 3 takes." in ran.out
    assert block(folder, "SH0010")["verdict"] == BLACK
    assert [finding["code"] for finding in block(folder, "SH0030")["verdict"]["findings"]] == ["frozen"]
    assert "verdict" not in block(folder, "SH0020")
    assert set(block(folder, "SH0010")["outputs"][0]["media"]) == set(block(folder, "SH0020")["outputs"][0]["media"])


def test_status_plan_and_report_show_it(folder: Path) -> None:
    status = run(folder, "status", "show.yaml")
    assert "SH0010 t1  done, but look at it: all of it is black" in status.out
    takes = {take["shot"]: take for take in json.loads(run(folder, "status", "show.yaml", "--json").out)["takes"]}
    assert (takes["SH0010"]["verdict"], takes["SH0020"]["verdict"]) == (BLACK, None)
    plan = run(folder, "plan", "show.yaml", "-v")
    assert plan.out.splitlines()[:3] == ["  = SH0010 t1    unchanged", "        look at it: all of it is black",
                                         "  = SH0020 t1    unchanged"]
    assert plan.err.startswith(LINE)
    assert LINE in run(folder, "plan", "show.yaml").err
    assert "in the cut to look at" in run(folder, "plan", "show.yaml", "--format", "markdown").out
    assert run(folder, "report", "show.yaml", "--out", "page.html").code == 0
    assert "all of it is black" in (folder / "page.html").read_text()


def test_a_check_fails_as_long_as_nobody_has_accepted_it(folder: Path) -> None:
    checked = run(folder, "lock", "--check", "show.yaml")
    assert (checked.code, checked.out) == (1, "show.lock.json agrees: 3 takes\n")
    assert LINE in checked.err
    told = json.loads(run(folder, "lock", "--check", "show.yaml", "--json").out)
    assert (told["agrees"], told["changes"]) == (True, [])
    assert told["to_look_at"][0] == {"manifest": "show.yaml", "shot": "SH0010", "take": 1, "verdict": BLACK}


@pytest.mark.parametrize("ledger", [True, False], ids=["here", "in a clone without the ledger"])
def test_circling_the_takes_accepts_them_and_one_command_writes_it_down(folder: Path, ledger: bool) -> None:
    if not ledger:
        shutil.rmtree(folder / ".manifest-runner")
    write(folder, circled("SH0010"))
    assert "SH0010 t1 circled  done, accepted as it is: all of it is black" in run(folder, "status", "show.yaml").out
    checked = run(folder, "lock", "--check", "show.yaml")
    assert (checked.code, "is behind the manifest or the ledger for 1 take" in checked.err) == (1, True)
    assert "1 take in the cut to look at: SH0030" in checked.err
    write(folder, circled("SH0010", "SH0030"))
    assert run(folder, "lock", "show.yaml").code == 0
    assert block(folder, "SH0010")["verdict"] == {**BLACK, "accepted": True}
    checked = run(folder, "lock", "--check", "show.yaml")
    assert (checked.code, checked.err) == (0, "")
    write(folder, SHOW)
    run(folder, "lock", "show.yaml")
    assert block(folder, "SH0010")["verdict"] == BLACK, "what is no longer circled is no longer accepted"


def test_a_further_take_settles_it_too(folder: Path) -> None:
    """The questioned take is no longer in the cut; whether the further one is good, it says itself."""
    write(folder, SHOW.replace("{id: SH0010, ", "{id: SH0010, takes: 2, "))
    told = json.loads(run(folder, "lock", "--check", "show.yaml", "--json").out)
    assert [take["shot"] for take in told["to_look_at"]] == ["SH0030"]


def test_a_lockfile_from_before_there_were_verdicts_stays_as_it_is(folder: Path) -> None:
    shutil.rmtree(folder / ".manifest-runner")
    lock = folder / "show.lock.json"
    data = json.loads(lock.read_text())
    for shot in data["shots"].values():
        shot["takes"]["1"].pop("verdict", None)
    lock.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    before = lock.read_bytes()
    assert run(folder, "lock", "show.yaml").code == 0
    assert run(folder, "lock", "--check", "show.yaml").code == 0
    assert lock.read_bytes() == before


def test_what_a_pull_request_takes_out_of_the_lockfile_the_ledger_puts_back(folder: Path) -> None:
    lock = folder / "show.lock.json"
    before = lock.read_bytes()
    data = json.loads(before)
    del data["shots"]["SH0010"]["takes"]["1"]["verdict"]
    lock.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    assert "SH0010 t1  done, but look at it" in run(folder, "status", "show.yaml").out
    assert run(folder, "lock", "show.yaml").code == 0
    assert lock.read_bytes() == before


def test_only_commands_that_there_are_are_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed() -> list[str]:
        return [step for step, _ in decisions("show.yaml", to_look_at=[("SH0010", 2)])]

    for name in ("circle", "retake"):
        monkeypatch.delitem(COMMANDS, name, raising=False)  # type: ignore[arg-type]
    assert typed() == []
    monkeypatch.setitem(COMMANDS, "circle", "")  # type: ignore[arg-type]
    monkeypatch.setitem(COMMANDS, "retake", "")  # type: ignore[arg-type]
    assert typed() == ["manifest-runner circle show.yaml SH0010 2", "manifest-runner retake show.yaml SH0010"]
