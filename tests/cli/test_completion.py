"""Completion in the real shells: commands, manifests and shots; quick, and never an error on the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from manifest_runner.cli.main import COMMANDS
from tests.cli.support import environment, run, write
from tests.test_house import HEAVY

SHOW = """\
# a show
version: 1
show: monsoon
model: kling-v3-omni
shots:
  - id: SH0010
    prompt: one
  - {id: "SH0020", prompt: two, takes: 12}
  - prompt: three
    id: 'BR0010'   # the bridge
  - id: "SH-{{ weather }}"
    matrix: {weather: [rain]}
    prompt: four
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with manifests and what is none; `manifest-runner` lies in `tools`."""
    work, tools = tmp_path / "work", tmp_path / "tools"
    tools.mkdir()
    program = tools / "manifest-runner"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m manifest_runner "$@"\n')
    program.chmod(0o755)
    write(work, SHOW, "monsoon.yaml")
    write(work, SHOW, "manifests/bridge.yaml")
    write(work, "services: {}\n", "compose.yaml")
    write(work, "shot,description\n1,rain\n", "lists/rain.csv")
    write(work, "shot\tdescription\n1\train\n", "Fog.TSV")
    write(work, "more: text\n", "monsoon.txt")
    return work


def shell(folder: Path, *command: str, text: str) -> list[str]:
    """Run a script in a shell and return its lines; nothing may stand on its standard error."""
    env = environment(
        folder.parent,
        {
            "PATH": f"{folder.parent / 'tools'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "ZDOTDIR": str(folder.parent),
        },
    )
    ran = subprocess.run([*command], input=text, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def bash(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    script = (
        'eval "$(manifest-runner completion bash)"\n'
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        "compopt() { :; }\n"
        "_manifest_runner_completion manifest-runner\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    return shell(folder, "bash", "--norc", "--noprofile", text=script)


def zsh(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    script = (
        'eval "$(manifest-runner completion zsh)"\n'
        f"words=({' '.join(repr(word) for word in words)}); CURRENT={len(words)}\n"
        "_describe() { print -l -- ${${(P)3}%%:*} }\n"
        "compadd() { print -l -- ${(P)@[-1]} }\n"
        "_files() { print files }\n"
        "_manifest_runner_completion\n"
    )
    return shell(folder, "zsh", "-f", text=script)


def fish(folder: Path, line: str) -> list[str]:
    script = f"manifest-runner completion fish | source\ncomplete -C '{line}'\n"
    return [found.partition("\t")[0] for found in shell(folder, "fish", "--no-config", text=script)]


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_commands_manifests_and_shots(folder: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    complete = SHELLS[name]
    assert sorted(complete(folder, "manifest-runner pl")) == ["plan"]
    assert sorted(complete(folder, "manifest-runner plan mo")) == ["monsoon.yaml"]
    assert sorted(complete(folder, "manifest-runner plan monsoon.yaml --only SH")) == ["SH0010", "SH0020"]
    assert "--exit-code" in complete(folder, "manifest-runner plan monsoon.yaml --ex")


def asked(folder: Path, line: str) -> list[str]:
    """What the program answers a shell, without the kinds."""
    words = line.split(" ")
    env = {"_MANIFEST_RUNNER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    ran = run(folder, env=env)
    assert ran.err == ""
    return [found.partition(",")[2] for found in ran.out.splitlines() if found]


def test_every_command_is_offered(folder: Path) -> None:
    assert asked(folder, "manifest-runner ") == list(COMMANDS)


def test_manifests_are_told_from_other_files_and_found_one_folder_down(folder: Path) -> None:
    assert asked(folder, "manifest-runner validate ") == ["manifests/bridge.yaml", "monsoon.yaml"]
    assert asked(folder, "manifest-runner fmt monsoon.yaml manifests/b") == ["manifests/bridge.yaml"]
    assert asked(folder, "manifest-runner status comp") == ["comp"], "any file, as the shell finds it"


def test_shot_lists_are_told_from_other_files_and_found_one_folder_down(folder: Path) -> None:
    assert asked(folder, "manifest-runner import ") == ["Fog.TSV", "lists/rain.csv"]
    assert asked(folder, "manifest-runner import lists/r") == ["lists/rain.csv"]
    assert asked(folder, "manifest-runner export ") == ["manifests/bridge.yaml", "monsoon.yaml"]
    assert asked(folder, "manifest-runner graph monsoon.yaml --only BR") == ["BR0010"]
    assert asked(folder, "manifest-runner graph monsoon.yaml --format d") == ["dot"]


def test_the_second_of_several_shots_is_completed_behind_its_comma(folder: Path) -> None:
    assert asked(folder, "manifest-runner render monsoon.yaml --only SH0010,BR") == ["SH0010,BR0010"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("manifest-runner circle monsoon.yaml SH00", ["SH0010", "SH0020"]),
        ("manifest-runner circle monsoon.yaml SH0010:1 SH0020:1", ["SH0020:1", "SH0020:10", "SH0020:11", "SH0020:12"]),
        ("manifest-runner circle monsoon.yaml SH0010 : 1 SH0020 : 1", ["1", "10", "11", "12"]),  # as bash tells it
        ("manifest-runner circle monsoon.yaml SH0010 :", ["1"]),
        ("manifest-runner circle monsoon.yaml SH0020 1", ["1", "10", "11", "12"]),
        ("manifest-runner circle monsoon.yaml SH0010 ", ["1", "SH0010", "SH0020", "BR0010"]),
        ("manifest-runner adopt monsoon.yaml SH0010:", ["SH0010:1"]),
        ("manifest-runner circle monsoon.yaml nothing:", []),
        ("manifest-runner circle monsoon.yaml :", []),
        ("manifest-runner retake monsoon.yaml SH0010 BR", ["BR0010"]),
    ],
)
def test_takes_are_completed_behind_their_shot(folder: Path, line: str, offered: list[str]) -> None:
    assert asked(folder, line) == offered


@pytest.mark.parametrize(
    "line",
    [
        "manifest-runner nothing ",
        "manifest-runner plan nowhere.yaml --only S",
        "manifest-runner plan --only S",
        "manifest-runner plan nowhere/",
        "manifest-runner plan monsoon.txt/ --only x",
        "manifest-runner plan \0/x",
        "manifest-runner",
    ],
)
def test_what_cannot_be_known_is_not_offered_and_never_an_error(folder: Path, line: str) -> None:
    assert not [found for found in asked(folder, line.replace("\0", "%00")) if found.startswith("SH")]


def test_a_file_that_is_not_a_manifest_at_all_is_no_error(folder: Path) -> None:
    (folder / "bad.yaml").write_bytes(b"\xff\xfe\x00show: \x00")
    assert asked(folder, "manifest-runner plan bad.yaml --only S") == []


def test_completing_imports_nothing_heavy(folder: Path) -> None:
    code = (
        "import sys; from manifest_runner.__main__ import main\nsys.argv = ['manifest-runner']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    for line, light in (("manifest-runner p", {"yaml", "jinja2", "sqlite3", "json"}), ("manifest-runner plan m", set())):
        env = {"_MANIFEST_RUNNER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment(folder, env),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert not set(ran.stderr.split()) & (HEAVY | light)


def test_a_script_for_another_shell_is_a_usage_error(folder: Path) -> None:
    assert run(folder, "completion", "tcsh").code == 2
