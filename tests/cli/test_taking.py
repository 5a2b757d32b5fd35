"""`circle` and `retake` as a user runs them: what they write, what they say, and that they spend nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.cli.project import Project
from manifest_runner.cli.taking import Desk
from manifest_runner.cli.words import take_of
from manifest_runner.errors import UsageError
from tests.cli.support import run, write
from tests.test_house import HEAVY, loaded_by

SHOW = """\
# a tram, at night
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - id: SH0010
    prompt: A tram stops in the rain.   # first
    takes: 2  # both of them
  - {id: SH0020, prompt: The doors open., first_frame: {shot: SH0010}}
  - id: SH0030
    prompt: The bridge.
    first_frame: {shot: SH0010, take: 1}
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A show whose draft stands in the place of a paid render, as far as a lockfile can tell."""
    folder = tmp_path_factory.mktemp("show")
    write(folder, SHOW)
    assert run(folder, "render", "show.yaml", "--draft", "-q").code == 0
    shutil.copyfile(folder / "show.draft.lock.json", folder / "show.lock.json")
    shutil.copytree(folder / "renders" / "show.draft", folder / "renders" / "show")
    return folder


@pytest.fixture
def folder(rendered: Path, tmp_path: Path) -> Path:
    shutil.copytree(rendered, tmp_path, dirs_exist_ok=True)
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest. Whoever looks at a ledger leaves its index of pages."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "show.yaml" and not path.name.endswith(("-shm", "-wal"))}  # fmt: skip


def told(folder: Path, *words: str) -> dict[str, Any]:
    ran = run(folder, *words, "--json")
    assert ran.err == ""
    answer: dict[str, Any] = json.loads(ran.out)
    return answer


def test_circling_another_take_writes_one_line_and_tells_what_follows_and_what_it_costs(folder: Path) -> None:
    before = everything(folder)
    ran = run(folder, "circle", "show.yaml", "SH0010:1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "show.yaml:10: SH0010 circled none → 1; take 2 was in the cut, as the latest\n"
        "\n"
        "  ~ SH0020 t1  29 credits  upstream take changed (SH0010 t1)\n"
        "\n"
        "Plan: 1 to render, 3 kept. 29 credits (₹29). Before: 0 credits (₹0).\n"
        "next: manifest-runner plan show.yaml\n"
        "next: manifest-runner render show.yaml\n"
    )
    assert (folder / "show.yaml").read_text() == SHOW.replace("of them\n", "of them\n    circled: 1\n")
    assert everything(folder) == before, "nothing but the manifest is written: no clip, no lock, no ledger"
    again = run(folder, "circle", "show.yaml", "SH0010:1")
    assert (again.code, again.out) == (0, "show.yaml:10: take 1 of SH0010 is circled already\n")


def test_a_circle_can_be_moved_named_in_two_words_and_taken_away_until_the_text_is_as_it_was(folder: Path) -> None:
    assert run(folder, "circle", "show.yaml", "SH0010", "1", "-q").out.startswith("show.yaml:10: SH0010 circled none → 1")
    back = run(folder, "circle", "show.yaml", "SH0010:2")
    assert back.out.startswith("show.yaml:10: SH0010 circled 1 → 2\n")
    assert "SH0030 takes its frame from take 1 of SH0010 by name, and keeps it\n" in back.out
    assert "  = SH0020 t1  unchanged\n" in back.out
    assert "next: manifest-runner reel show.yaml" in back.out
    gone = run(folder, "circle", "show.yaml", "--latest", "SH0010")
    assert gone.out.splitlines()[:2] == [
        "show.yaml: SH0010 circled 2 → none; the latest, take 2, is in the cut",
        "Nothing follows from it.",
    ]
    assert (folder / "show.yaml").read_text() == SHOW
    assert run(folder, "circle", "show.yaml", "SH0010", "--latest").out == "show.yaml: SH0010 has no circled take\n"


def test_a_retake_writes_one_number_and_says_what_is_rendered_and_what_follows_and_how_not(folder: Path) -> None:
    ran = run(folder, "retake", "show.yaml", "SH0010")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "show.yaml:9: SH0010 takes 2 → 3; take 3 is for the cut, as none is circled\n"
        "SH0030 takes its frame from take 1 of SH0010 by name, and keeps it\n"
        "\n"
        "  + SH0010 t3  29 credits  retake asked (for the cut)\n"
        "  ~ SH0020 t1  29 credits  upstream take changed (SH0010 t3)\n"
        "\n"
        "Plan: 2 to render, 3 kept. 58 credits (₹58). Before: 0 credits (₹0).\n"
        "next: manifest-runner circle show.yaml SH0010:2   (leaves the cut as it is)\n"
        "next: manifest-runner render show.yaml --only SH0010   (the new take, to look at)\n"
        "next: manifest-runner plan show.yaml\n"
    )
    assert (folder / "show.yaml").read_text() == SHOW.replace("takes: 2", "takes: 3")
    kept = run(folder, "circle", "show.yaml", "SH0010:2")  # as it said
    assert "  = SH0020 t1  unchanged" in kept.out
    planned = run(folder, "plan", "show.yaml").out.splitlines()
    assert planned[0] == "  + SH0010 t3  29 credits  retake asked (t2 stays in the cut)"


def test_several_takes_of_several_shots_for_programs(folder: Path) -> None:
    answer = told(folder, "retake", "show.yaml", "SH0020", "SH0030", "--takes", "2")
    assert answer["written"] is True
    assert [(one["shot"], one["before"]["takes"], one["takes"], one["cut"], one["line"]) for one in answer["decisions"]] == [
        ("SH0020", 1, 3, 3, 10),
        ("SH0030", 1, 3, 3, 14),
    ]
    assert [(one["shot"], one["take"], one["action"], one["credits"]) for one in answer["changes"]] == [
        ("SH0020", 2, "create", "29"),
        ("SH0020", 3, "create", "29"),
        ("SH0030", 2, "create", "29"),
        ("SH0030", 3, "create", "29"),
    ]
    assert answer["credits"] == {"before": "0", "after": "116"}
    assert answer["next"][0] == "manifest-runner circle show.yaml SH0020:1 SH0030:1"
    circled = told(folder, "circle", "show.yaml", "SH0020:1", "SH0030", "1")
    assert [(one["shot"], one["circled"], one["before"]["circled"]) for one in circled["decisions"]] == [
        ("SH0020", 1, None),
        ("SH0030", 1, None),
    ]
    assert told(folder, "circle", "show.yaml", "SH0020:1")["written"] is False


def test_a_dry_run_says_the_same_and_writes_nothing(folder: Path) -> None:
    before = (folder / "show.yaml").stat()
    dry = run(folder, "retake", "show.yaml", "SH0010", "--takes", "2", "--dry-run").out
    assert dry.endswith("A dry run: nothing was written.\nnext: manifest-runner retake show.yaml SH0010 --takes 2\n")
    assert told(folder, "circle", "show.yaml", "SH0010", "--latest", "--dry-run")["next"] == [
        "manifest-runner circle show.yaml SH0010 --latest"
    ]
    after = (folder / "show.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert dry.startswith(run(folder, "retake", "show.yaml", "SH0010", "--takes", "2").out.partition("next")[0])


def test_the_reel_and_what_follows_use_the_circled_take_and_a_retake_leaves_the_paid_takes_alone(folder: Path) -> None:
    assert run(folder, "circle", "show.yaml", "SH0010:1", "--draft", "-q").code == 0
    assert run(folder, "retake", "show.yaml", "SH0010", "--draft", "-q").code == 0
    before = json.loads((folder / "show.draft.lock.json").read_text())["shots"]
    assert run(folder, "render", "show.yaml", "--draft", "-q").code == 0
    shots = json.loads((folder / "show.draft.lock.json").read_text())["shots"]
    assert {take: shots["SH0010"]["takes"][take] for take in "12"} == before["SH0010"]["takes"]
    assert shots["SH0010"]["takes"]["3"]["state"] == "stored"
    one = shots["SH0010"]["takes"]["1"]["outputs"][0]["sha256"]
    assert shots["SH0020"]["takes"]["1"]["request"]["image_url"] == f"frame:last:sha256:{one}"
    for take in "23":  # what the cut does not use may be gone
        (folder / "renders" / "show.draft" / f"SH0010_t{take}.mp4").unlink()
    assert told(folder, "reel", "show.yaml", "--draft")["missing"] == []
    assert run(folder, "circle", "show.yaml", "SH0010:3", "--draft", "-q").code == 0
    assert "1 shot has no clip yet: SH0010" in run(folder, "reel", "show.yaml", "--draft").err


def test_every_mistake_is_told_at_once_and_nothing_is_written(folder: Path) -> None:
    ran = run(folder, "circle", "show.yaml", "SH0011:1", "SH0010:1", "SH0020:2", "SH0010:2")
    assert ran.code == 2
    assert [line.partition("error[")[2].partition("]")[0] for line in ran.err.splitlines() if "error[" in line] == [
        "unknown-shot",
        "unknown-take",
        "two-circles",
    ]
    assert "did you mean SH0010?" in ran.err
    answer = told(folder, "retake", "show.yaml", "SH0010", "SH0010X", "--takes", "49")
    assert [item["code"] for item in answer["diagnostics"]] == ["too-many-takes", "unknown-shot"]
    assert (folder / "show.yaml").read_text() == SHOW


def test_a_take_without_a_clip_is_circled_only_where_it_is_forced(folder: Path) -> None:
    assert run(folder, "retake", "show.yaml", "SH0010").code == 0
    refused = run(folder, "circle", "show.yaml", "SH0010:3")
    assert refused.code == 2
    assert "error[no-clip]: take 3 of SH0010 has no clip to judge it by: not rendered" in refused.err
    forced = run(folder, "circle", "show.yaml", "SH0010:3", "--force")
    assert (forced.code, forced.out.splitlines()[0]) == (
        0,
        "show.yaml:10: SH0010 circled none → 3; take 3 was in the cut, as the latest",
    )


@pytest.mark.parametrize("word", ["SH0010:two", "SH0010:", "SH0010:-1", "SH0010:\u0662", f"SH0010:{'9' * 5000}"])
def test_what_names_no_take_is_a_usage_error(word: str) -> None:
    with pytest.raises(UsageError, match="names no take"):
        take_of(word)


def test_a_circle_for_the_latest_take_names_shots_alone(folder: Path) -> None:
    ran = run(folder, "circle", "show.yaml", "--latest", "SH0010:2")
    assert (ran.code, "--latest circles no take: name shots alone" in ran.err) == (2, True)


def test_a_template_for_a_whole_file_is_not_edited_and_what_it_must_make_is_said(tmp_path: Path) -> None:
    text = SHOW.replace("# a tram, at night", "{# a tram #}")
    write(tmp_path, text, "show.yaml.j2")
    ran = run(tmp_path, "retake", "show.yaml.j2", "SH0010", "SH0020")
    assert ran.code == 2
    assert "show.yaml.j2 is a template for a whole file, which is not edited" in ran.err
    assert "hint: let it make this (SH0010: takes: 3; SH0020: takes: 2)" in ran.err
    assert (tmp_path / "show.yaml.j2").read_text() == text


def test_links_permissions_and_line_ends_stay_and_no_state_is_made(tmp_path: Path) -> None:
    real = tmp_path / "shows" / "real.yaml"
    real.parent.mkdir()
    real.write_bytes(SHOW.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    (tmp_path / "show.yaml").symlink_to(Path("shows") / "real.yaml")
    (tmp_path / ".git").mkdir()
    assert run(tmp_path, "retake", "show.yaml", "SH0030").code == 0
    assert str((tmp_path / "show.yaml").readlink()) == os.path.join("shows", "real.yaml")  # noqa: PTH118
    made = SHOW.replace("take: 1}\n", "take: 1}\n    takes: 2\n").replace("\n", "\r\n")
    assert real.read_bytes() == made.encode()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "show.yaml", "shows"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_manifest_that_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "show.yaml")
    assert "is not a regular file" in run(tmp_path, "circle", "show.yaml", "SH0010:1", timeout=20).err


def test_a_manifest_that_is_saved_meanwhile_is_not_overwritten(folder: Path) -> None:
    desk = Desk(Project(str(folder / "show.yaml"), {}))
    (folder / "show.yaml").write_text(SHOW + "# saved\n")
    with pytest.raises(UsageError, match="was changed while this command ran") as refused:
        desk.decide(lambda decisions, _: decisions.retaking(["SH0010"], 1), lambda *_: [], dry=False)
    assert refused.value.code == "changed-meanwhile"
    assert (folder / "show.yaml").read_text() == SHOW + "# saved\n"


def test_status_names_a_take_that_nobody_has_circled_but_none_that_could_not_be_circled_alone(folder: Path) -> None:
    said = run(folder, "status", "show.yaml").out.splitlines()
    assert said[:2] == ["  SH0010 t1             done", "  SH0010 t2 in the cut  done"]
    assert said[-1].startswith("next: manifest-runner circle show.yaml SH0010:2   (none of its 2 takes is circled")
    write(folder, SHOW.partition("  - {id: SH0020")[0].replace("id: SH0010", 'id: "SH00{{ x }}0"\n    matrix: {x: [1, 2]}'))
    lock = json.loads((folder / "show.lock.json").read_text())
    text = json.dumps(lock["shots"]["SH0010"])
    lock["shots"] = {"SH0010": json.loads(text), "SH0020": json.loads(text.replace("SH0010", "SH0020"))}
    (folder / "show.lock.json").write_text(json.dumps(lock))
    for take in "12":
        shutil.copyfile(*(folder / "renders" / "show" / f"{shot}_t{take}.mp4" for shot in ("SH0010", "SH0020")))
    ran = run(folder, "status", "show.yaml")
    assert "4 of 4 takes done." in ran.out
    assert "circle" not in ran.out


@pytest.mark.parametrize("words", [("circle", "show.yaml", "SH0010:1"), ("retake", "show.yaml", "SH0010")])
def test_deciding_imports_no_network_no_event_loop_and_no_terminal_library(folder: Path, words: tuple[str, ...]) -> None:
    assert not loaded_by(*words, cwd=folder) & HEAVY
