"""What a saved plan binds: each thing changed alone, and the words of the refusal. Nothing is ever asked of a gateway."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import run, write
from tests.crash.test_killed_run import live

SHOW = """\
version: 1
show: show
model: kling-v3-omni
include: [looks/dusk.yaml]
shots:
  - {id: A, prompt: "{% include 'looks/words.j2' %} {{ look }}", first_frame: plates/in.png}
  - {id: B, prompt: "{{ look }}", first_frame: {shot: A, frame: last}}
"""
PNG = b"\x89PNG\r\n\x1a\n"
NOBODY = live("http://127.0.0.1:9")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a show, and its plan beside it."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / ".git").mkdir()
    write(folder, SHOW, "shows/show.yaml")
    write(folder, "vars: {look: dusk}\n", "shows/looks/dusk.yaml")
    write(folder, "rain", "shows/looks/words.j2")
    (folder / "shows" / "plates").mkdir()
    (folder / "shows" / "plates" / "in.png").write_bytes(PNG)
    made = run(folder, "plan", "shows/show.yaml", "--out", "plan.json")
    assert made.code == 0, made.err
    return folder


def appended(name: str, text: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    return edit


def saved(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def forge(folder: Path) -> None:
        plan = json.loads((folder / "plan.json").read_bytes())
        edit(plan)
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")

    return forge


SETTINGS = "[models.kling-v3-omni]\n"


@pytest.mark.parametrize(("edit", "words"), [
    (appended("shows/show.yaml", "# for tomorrow\n"), ["file shows/show.yaml: sha256:"]),
    (appended("shows/looks/dusk.yaml", "# for tomorrow\n"), ["file shows/looks/dusk.yaml: sha256:"]),
    (appended("shows/looks/words.j2", "{# for tomorrow #}"), ["file shows/looks/words.j2: sha256:"]),
    (appended("shows/plates/in.png", "x"), ["picture shows/plates/in.png: sha256:"]),
    (appended("shows/show.lock.json", '{"version": 1, "manifest": "show.yaml", "shots": {}}'),
     ["lockfile: none when planned, sha256:"]),
    (appended("manifest-runner.toml", f'{SETTINGS}external_task_id = "correlates"\n'), ["model card: sha256:"]),
    (appended("manifest-runner.toml", f"{SETTINGS}price.table = {{720p = 40}}\n"), [
        "model card: sha256:",
        "prices: 720p 29, 1080p 46 credits a second when planned, 720p 40, 1080p 46 credits a second now",
    ]),
    (saved(lambda plan: plan["basis"].update(program="0.0.9")), ["program: 0.0.9 when planned, "]),
    (saved(lambda plan: plan["basis"].pop("prices")), ["prices: nothing when planned, 720p 29"]),
    (saved(lambda plan: plan["basis"].update({"file other.yaml": "x"})), ["file other.yaml: x when planned, nothing now"]),
    (saved(lambda plan: plan.update(manifest="shows/other.yaml")), ["manifest: shows/other.yaml when planned, "]),
    (saved(lambda plan: plan.update(total="1")), ["total: 1 when planned, 290 now"]),
    (saved(lambda plan: plan["changes"][1].update(credits="1")), ["B t1: create for 1 (nothing) when planned, create for 145"]),
    (saved(lambda plan: plan["changes"].pop()), ["B t1: nothing when planned, create for 145"]),
], ids=lambda value: value[-1].partition(":")[0] if isinstance(value, list) else "")
def test_each_thing_that_a_plan_stands_on_is_bound_and_named(
    planned: Path, tmp_path: Path, edit: Callable[[Path], object], words: list[str]
) -> None:
    folder = tmp_path / "clone"
    shutil.copytree(planned, folder)
    edit(folder)
    ran = run(folder, "render", "shows/show.yaml", "--plan", "plan.json", env=NOBODY)
    assert ran.code == 2, ran.err
    assert "plan.json is stale: " in ran.err
    assert "nothing was submitted" in ran.err
    said = ran.err.partition("is stale: ")[2].partition("\n")[0].split("; ")
    assert len(said) == len(words), said
    for found, wanted in zip(said, words, strict=True):
        assert found.startswith(wanted)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", "\x00", '{"changes": 3}'])
def test_what_is_no_plan_is_refused_in_words(planned: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "clone"
    shutil.copytree(planned, folder)
    (folder / "plan.json").write_text(text, encoding="utf-8")
    ran = run(folder, "render", "shows/show.yaml", "--plan", "plan.json", env=NOBODY)
    assert ran.code == 2
    assert "plan.json is " in ran.err


def test_a_plan_is_the_same_wherever_it_is_made_and_typed(planned: Path) -> None:
    text = (planned / "plan.json").read_bytes()
    assert run(planned / "shows", "plan", "show.yaml", "--format", "json").out.encode() == text
    assert run(planned, "plan", "./shows/../shows/show.yaml", "--json").out.encode() == text
    assert run(planned, "plan", str(planned / "shows" / "show.yaml"), "--json").out.encode() == text
