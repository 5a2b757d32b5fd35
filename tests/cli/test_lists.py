"""`import`, `export` and `graph` as a user types them; the lists in `manifests/lists` are real input."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import pytest

from manifest_runner.cli.commands.import_ import import_
from manifest_runner.core.sheet_text import ENCODINGS
from tests.cli.support import MANIFESTS, run, write
from tests.cli.test_golden import compare

LISTS = ("kiosk", "faehrhaus", "lighthouse")
LIST = "shot,description,duration\r\n1,rain,3\r\n2,fog,40s\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder `manifests` in a repository of its own."""
    shutil.copytree(MANIFESTS, tmp_path / "manifests", ignore=shutil.ignore_patterns("renders", "*.lock.json"))
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kiosk", "UTF-8, commas, its header in line 1"),
        ("faehrhaus", "Windows-1252 (a guess), semicolons, its header in line 1"),
        ("lighthouse", "UTF-8, commas, its header in line 4"),
    ],
)
def test_a_list_becomes_a_manifest_that_is_valid_and_laid_out(folder: Path, name: str, said: str) -> None:
    imported = run(folder, "import", f"manifests/lists/{name}.csv")
    text = (folder / f"manifests/lists/{name}.yaml").read_text(encoding="utf-8")
    compare(text, f"lists/{name}.yaml")
    asked = text.count("# QUESTION: ")
    assert imported.code == 0
    assert imported.out == (
        f"manifests/lists/{name}.yaml: 5 shots, {asked} questions; search it for QUESTION\n"
        f"next: manifest-runner validate manifests/lists/{name}.yaml\n"
    )
    assert imported.err == f"manifests/lists/{name}.csv: read as {said}\n"
    assert run(folder, "validate", f"manifests/lists/{name}.yaml").code == 0
    assert run(folder, "fmt", "--check", f"manifests/lists/{name}.yaml").code == 0


def test_what_was_imported_is_drafted_and_cut(folder: Path) -> None:
    run(folder, "import", "manifests/lists/lighthouse.csv")
    drafted = run(folder, "render", "manifests/lists/lighthouse.yaml", "--draft", "-q", timeout=300)
    assert (drafted.code, drafted.err) == (0, "")
    film = json.loads(run(folder, "reel", "manifests/lists/lighthouse.yaml", "--draft", "--json", timeout=300).out)
    assert (film["shots"], film["duration"]) == (5, pytest.approx(13.5, abs=0.05))


@pytest.mark.parametrize("name", ["first", "monsoon", "signalman"])
def test_a_show_that_was_exported_and_imported_asks_for_the_same_requests(folder: Path, name: str) -> None:
    """By their fingerprints: nothing of it would be paid for again."""
    assert run(folder, "export", f"manifests/{name}.yaml", "--csv", "--out", "manifests/again.csv").code == 0
    again = run(folder, "import", "manifests/again.csv")
    assert "no questions" in again.out
    plans = [json.loads(run(folder, "plan", path, "--json").out) for path in (f"manifests/{name}.yaml", "manifests/again.yaml")]
    before, after = (
        [(change["shot"], change["take"], change["fingerprint"], change["after"]) for change in plan["changes"]]
        for plan in plans
    )
    assert before == after


# ── import ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_there_is_replaced_only_with_force(tmp_path: Path) -> None:
    write(tmp_path, LIST, "shots.csv")
    write(tmp_path, "mine\n", "shots.yaml")
    refused = run(tmp_path, "import", "shots.csv")
    assert refused.code == 2
    assert "shots.yaml is there already" in refused.err
    assert "--force" in refused.err
    assert (tmp_path / "shots.yaml").read_text() == "mine\n"
    assert run(tmp_path, "import", "shots.csv", "--force").code == 0
    assert "QUESTION" in (tmp_path / "shots.yaml").read_text()


def test_every_encoding_that_is_known_can_be_said() -> None:
    (option,) = (option for option in import_.params if option.name == "encoding")
    assert isinstance(option.type, click.Choice)
    assert sorted(option.type.choices) == sorted(ENCODINGS)


def test_to_standard_output_it_writes_the_manifest_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, LIST, "shots.csv")
    ran = run(tmp_path, "import", "shots.csv", "--out", "-", "--show", "tram")
    assert ran.out.startswith("# Imported from shots.csv: UTF-8, commas")
    assert "\nshow: tram\n" in ran.out
    assert ran.err.endswith("standard output: 2 shots, 1 question; search it for QUESTION\n")
    assert [path.name for path in tmp_path.iterdir()] == ["shots.csv"]


def test_the_schema_that_init_wrote_is_named_for_editors(tmp_path: Path) -> None:
    write(tmp_path, LIST, "lists/shots.csv")
    run(tmp_path, "init")
    run(tmp_path, "import", "lists/shots.csv")
    first = (tmp_path / "lists/shots.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/manifest.schema.json"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere.csv",), "nowhere.csv does not exist"),
        ((".",), ". is not a regular file"),
        (("sheets",), "sheets is not a regular file"),
        (("shots.csv", "--out", "shots.txt"), "does not end in .yaml"),
        (("shots.csv", "--out", "no/shots.yaml"), "there is no folder no"),
        (("shots.csv", "--out", "folder.yaml"), "folder.yaml is a folder"),
        (("shots.csv", "--show", "a b"), "cannot be a show's name"),
        (("shots.csv", "--model", "klong"), "no model is called klong"),
        (("shots.xlsx",), "shots.xlsx:1:1: error[list-encoding]"),
        (("list.yaml", "--force"), "list.yaml is the list itself"),
        (("bad.csv",), "bad.csv:2:3: error[list-syntax]: a quote is opened here"),
        (("shots.csv", "--encoding", "rot13"), "rot13"),
    ],
)
def test_what_cannot_be_read_or_written_is_told(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    write(tmp_path, LIST, "shots.csv")
    write(tmp_path, "PK\x03\x04", "shots.xlsx")
    write(tmp_path, LIST, "list.yaml")
    write(tmp_path, 'shot,description\n1,"rain\n', "bad.csv")
    for name in ("sheets", "folder.yaml"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    ran = run(tmp_path, "import", *words)
    assert ran.code == 2
    assert told in ran.err
    assert sorted(tmp_path.iterdir()) == before


def test_pictures_are_looked_for_in_the_repository_and_nowhere_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"\x89PNG\r\n\x1a\n")
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    for name in ("lists/near.png", "far.png"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (repository / "notes.png").write_bytes(b"text")
    (repository / "link.png").symlink_to(outside)
    os.mkfifo(repository / "pipe.png")
    cells = (
        "near.png",
        "far.png",
        "notes.png",
        "../outside.png",
        "link.png",
        "pipe.png",
        "C:\\x.png",
        "/etc/passwd",
        str(outside),
    )
    rows = "".join(f"{number},rain,{cell}\n" for number, cell in enumerate(cells, 1))
    write(repository, f"shot,description,plate\n{rows}", "lists/shots.csv")
    assert run(repository, "import", "lists/shots.csv", "--out", "shots.yaml").code == 0
    text = (repository / "shots.yaml").read_text()
    assert "    first_frame: lists/near.png\n" in text
    assert "    first_frame: far.png\n" in text
    assert text.count("    first_frame: ") == 2
    assert text.count("there is no such file in the repository") == 3
    assert text.count("that is neither PNG nor JPEG") == 1
    assert run(repository, "validate", "shots.yaml").code == 0


# ── export ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_export_writes_csv_and_replaces_nothing_unasked(tmp_path: Path) -> None:
    write(tmp_path, "version: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n  - {id: A, prompt: =1+1}\n")
    assert "add --csv" in run(tmp_path, "export", "show.yaml").err
    ran = run(tmp_path, "export", "show.yaml", "--csv")
    assert ran.out.startswith("\ufeffshot id,prompt,note,duration")
    assert "A,'=1+1,,5," in ran.out
    assert run(tmp_path, "export", "show.yaml", "--csv", "--out", "show.csv").out == "show.csv: 1 shot\n"
    assert (tmp_path / "show.csv").read_bytes().decode() == ran.out.replace("\n", "\r\n")
    assert run(tmp_path, "export", "show.yaml", "--csv", "--out", "show.csv").code == 2
    assert run(tmp_path, "export", "show.yaml", "--csv", "--out", "show.yaml", "--force").code == 2
    assert run(tmp_path, "export", "show.yaml", "--csv", "--out", "show.csv", "--force").code == 0


# ── graph ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_graph_is_drawn_for_a_terminal_for_graphviz_and_for_markdown(folder: Path) -> None:
    text = run(folder, "graph", "manifests/monsoon.yaml", "--pictures").out
    assert "↓ SH0020          to render, 2 takes  begins on the last frame of SH0010 t1\n" in text
    assert "begins on plates/bridge-in.png; ends on plates/bridge-out.png\n" in text
    one = run(folder, "graph", "manifests/monsoon.yaml", "--only", "SH0030")
    assert [line.split("  ")[0] for line in one.out.splitlines()[:3]] == ["SH0010", "↓ SH0020", "↓ SH0030"]
    assert run(folder, "graph", "manifests/monsoon.yaml", "--only", "SH9").code == 2
    assert run(folder, "graph", "manifests/monsoon.yaml", "--format", "dot").out.startswith('digraph "monsoon" {\n')
    drawn = run(folder, "graph", "manifests/monsoon.yaml", "--format", "mermaid")
    assert drawn.out.startswith("flowchart LR\n")
    assert drawn.err == ""


def test_a_graph_that_mermaid_would_not_draw_says_so(tmp_path: Path) -> None:
    shots = "".join(f"  - {{id: S{number}, prompt: x}}\n" for number in range(1500))
    write(tmp_path, f"version: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n{shots}")
    assert "50,000 characters at most" in run(tmp_path, "graph", "show.yaml", "--format", "mermaid").err
