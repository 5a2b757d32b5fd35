"""What a user reads, to the letter. After a change that is meant: UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.support import run, write

GOLDEN = Path(__file__).parents[1] / "golden"
BEFORE = """\
version: 1
show: show
model: kling-v3-omni
vars: {look: "35mm, dusk"}
shots:
  - id: SH0010
    prompt: "Asha steps off the last tram into the rain, looks back once and walks away from us towards the bridge. {{ look }}."
    duration: 1
  - {id: SH0020, prompt: "Close on her. {{ look }}.", first_frame: {shot: SH0010, frame: last}, duration: 1}
  - {id: SH0030, prompt: "The bridge, empty.", duration: 1}
  - {id: SH0040, prompt: "Her hand on the rail.", duration: 1}
"""
AFTER = (
    BEFORE.replace("looks back once", "looks back twice")
    .replace("{id: SH0040", "{id: SH0050")
    .replace('empty.", duration: 1', 'empty.", duration: 2')
)


def compare(text: str, name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ten.yaml", "syntax.yaml", "values.yaml", "gen.yaml.j2", "templates.yaml"])
def test_diagnostics_to_the_letter(tmp_path: Path, name: str) -> None:
    shutil.copytree(GOLDEN / "mistakes", tmp_path / "show")
    ran = run(tmp_path / "show", "validate", name)
    assert ran.code == 2
    assert ran.out == ""
    compare(ran.err, f"{name}.txt")


def test_ten_and_more_mistakes_are_found_at_once_each_at_its_place(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "mistakes", tmp_path / "show")
    heads = [
        line.split(": error")[0]
        for line in run(tmp_path / "show", "validate", "ten.yaml").err.splitlines()
        if ": error[" in line
    ]
    assert len(heads) >= 10
    assert heads == sorted(heads, key=lambda head: (head.split(":")[0], int(head.split(":")[1]), int(head.split(":")[2])))


def test_a_plan_to_the_letter(tmp_path: Path) -> None:
    write(tmp_path, BEFORE)
    new = run(tmp_path, "plan", "show.yaml").out
    assert run(tmp_path, "render", "show.yaml", "--draft").code == 0
    (tmp_path / "show.draft.lock.json").rename(tmp_path / "show.lock.json")
    (tmp_path / "renders" / "show.draft").rename(tmp_path / "renders" / "show")
    (tmp_path / "renders" / "show" / "SH0030_t1.mp4").unlink()
    kept = run(tmp_path, "plan", "show.yaml", "--verbose").out
    write(tmp_path, AFTER)
    compare("\n".join([new, kept, run(tmp_path, "plan", "show.yaml").out]), "plan.txt")
