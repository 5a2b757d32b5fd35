"""`--format markdown` and `--format github`, run as a step of a workflow runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manifest_runner.views.markdown import COMMENT, characters
from tests.cli.support import run, write
from tests.views.test_github import outputs, understood

SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: SH0010, prompt: A tram stops in the rain.}
  - {id: SH0020, prompt: Nobody gets off., takes: 2}
"""
BROKEN = SHOW.replace("prompt: A", "promt: A").replace("Nobody gets off.", "'{{ hero }}'")


def step(folder: Path) -> dict[str, str]:
    """The variables that GitHub's runner sets for a step."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "studio/monsoon",
        "GITHUB_RUN_ID": "77",
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    write(tmp_path, SHOW, "shows/show.yaml")
    return tmp_path


def test_a_comment_begins_with_its_marker_wherever_it_is_made(repository: Path) -> None:
    here = run(repository, "plan", "shows/show.yaml", "--format", "markdown")
    assert (here.code, here.err) == (0, "")
    opening = r"<!-- manifest-runner [0-9a-f]{32} -->\n<p><b><code>shows/show.yaml</code>: 3 to render, 0 kept\."
    assert re.match(opening, here.out)
    assert run(repository / "shows", "plan", "show.yaml", "--format", "markdown").out == here.out


def test_a_step_gets_outputs_a_summary_and_a_log_for_people(repository: Path) -> None:
    ran = run(repository, "plan", "shows/show.yaml", "--format", "github", "--out", "plan.json", env=step(repository))
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Plan: 3 to render, 0 kept. 87 credits (₹87)."
    assert outputs((repository / "output").read_text()) == {
        "changes": "true", "to-render": "3", "resumed": "0", "kept": "0", "dropped": "0", "credits": "87", "delta": "58",
        "total": "58", "plan": "plan.json",
    }
    assert "3 to render, 0 kept. 87 credits (₹87)." in (repository / "summary").read_text()
    again = run(repository, "plan", "shows/show.yaml", "--format", "github", env=step(repository))
    assert again.code == 0
    assert (repository / "summary").read_text().count("3 to render") == 2, "a step's files are added to"


def test_without_a_runner_the_values_are_shown(repository: Path) -> None:
    ran = run(repository, "plan", "shows/show.yaml", "--format", "github")
    assert "Plan: 3 to render, 0 kept. 87 credits (₹87).\nchanges=true\nto-render=3\n" in ran.out
    assert sorted(path.name for path in repository.iterdir()) == [".git", "shows"]


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_mistakes_are_annotated_at_their_lines_and_listed_in_the_summary(repository: Path, command: str) -> None:
    write(repository, BROKEN, "shows/show.yaml")
    ran = run(repository / "shows", command, "show.yaml", "--format", "github", env=step(repository))
    assert ran.code == 2
    found = [understood(line) for line in ran.out.splitlines()]
    assert [(name, at["file"], at["line"], at["title"]) for name, at, _ in found] == [
        ("error", "shows/show.yaml", "6", "unknown-key"),
        ("error", "shows/show.yaml", "7", "undefined-name"),
    ]
    assert "show.yaml:6:" in ran.err, "the log says it as everywhere"
    assert "no plan: 2 mistakes." in (repository / "summary").read_text()
    assert not (repository / "output").exists()


def test_where_there_is_no_plan_the_comment_says_so_in_place_of_the_one_before(repository: Path) -> None:
    before = run(repository, "plan", "shows/show.yaml", "--format", "markdown").out
    write(repository, BROKEN, "shows/show.yaml")
    ran = run(repository, "plan", "shows/show.yaml", "--format", "markdown")
    assert ran.code == 2
    assert ran.out.splitlines()[0] == before.splitlines()[0]
    assert "no plan: 2 mistakes." in ran.out


def test_a_lockfile_with_a_conflict_is_annotated_at_its_marker(repository: Path) -> None:
    write(repository, '{\n<<<<<<< ours\n"version": 1}\n', "shows/show.lock.json")
    ran = run(repository, "plan", "shows/show.yaml", "--format", "github", env=step(repository))
    (name, at, said) = understood(ran.out.splitlines()[0])
    assert (ran.code, name, at["file"], at["line"]) == (2, "error", "shows/show.lock.json", "2")
    assert "merge conflict" in said


def test_warnings_are_annotated_by_validate_and_folded_by_plan(repository: Path) -> None:
    write(repository, SHOW.replace("duration: 1", "duration: 1.5"), "shows/show.yaml")
    checked = run(repository, "validate", "shows/show.yaml", "--format", "github", env=step(repository))
    assert checked.code == 0
    assert {understood(line)[0] for line in checked.out.splitlines() if line.startswith("::")} == {"warning"}
    planned = run(repository, "plan", "shows/show.yaml", "--format", "github", env=step(repository))
    assert "::" not in planned.out
    assert re.search(r"<details><summary>\d+ warnings?</summary>", run(repository, "plan", "shows/show.yaml", "--format",
                                                                     "markdown").out)


def test_a_comment_that_would_be_too_long_is_cut_and_links_to_the_summary_that_has_it_all(repository: Path) -> None:
    shots = "".join(f"  - {{id: S{number:04}, prompt: '{'rain and tram ' * 40}'}}\n" for number in range(300))
    write(repository, SHOW.partition("shots:")[0] + f"shots:\n{shots}", "shows/show.yaml")
    comment = run(repository, "plan", "shows/show.yaml", "--format", "markdown", env=step(repository)).out
    assert characters(comment) <= COMMENT
    cut = r'\n\d+ more shots: see the <a href="https://github\.com/studio/monsoon/actions/runs/77">job summary</a>\n'
    assert re.search(cut, comment)
    run(repository, "plan", "shows/show.yaml", "--format", "github", env=step(repository))
    summary = (repository / "summary").read_text()
    assert all(f"<code>S{number:04}</code>" in summary for number in range(300))
    by_hand = run(repository, "plan", "shows/show.yaml", "--format", "markdown").out
    assert re.search(r"\n\d+ more shots: <code>manifest-runner plan shows/show.yaml</code>\n", by_hand)


def test_a_summary_that_is_nearly_full_gets_what_it_has_room_for(repository: Path) -> None:
    for size in (990_000, 999_900, 1_000_500):
        (repository / "summary").write_text("x" * size)
        assert run(repository, "plan", "shows/show.yaml", "--format", "github", env=step(repository)).code == 0
        assert (repository / "summary").stat().st_size <= max(1_000_000, size)


def test_a_variable_that_is_no_run_makes_no_link(repository: Path) -> None:
    env = {**step(repository), "GITHUB_SERVER_URL": 'javascript:alert(1)"'}
    assert "javascript" not in run(repository, "plan", "shows/show.yaml", "--format", "markdown", env=env).out


def test_a_draft_has_no_price_to_review(repository: Path) -> None:
    for style in ("markdown", "github"):
        ran = run(repository, "plan", "shows/show.yaml", "--draft", "--format", style)
        assert (ran.code, "a draft costs nothing" in ran.err) == (2, True)


def test_exit_code_says_what_it_always_says(repository: Path) -> None:
    assert run(repository, "plan", "shows/show.yaml", "--format", "github", "--exit-code", env=step(repository)).code == 2


def test_outputs_that_cannot_be_written_are_an_error_in_words(repository: Path) -> None:
    env = {**step(repository), "GITHUB_OUTPUT": str(repository / "none" / "output")}
    ran = run(repository, "plan", "shows/show.yaml", "--format", "github", env=env)
    assert (ran.code, "cannot be written" in ran.err) == (2, True)
