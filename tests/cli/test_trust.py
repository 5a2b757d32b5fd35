"""Whose gateway gets the key: not one that only the repository names. The verdict is the books of the gateway that it names."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.cli.support import run, write
from tests.crash.test_killed_run import books, simulator
from tests.pages import commit, git

SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n  - {id: A, prompt: one}\n"
KEY = {"TRINETRA_API_KEY": "canary-key-4711-0815", "MANIFEST_RUNNER_FRAMES": "inline"}


def repository(folder: Path, configuration: str, file: str = "manifest-runner.toml") -> Path:
    root = folder / "repository"
    (root / ".git").mkdir(parents=True)
    write(root, SHOW)
    write(root, configuration, file)
    return root


@pytest.mark.parametrize("file", ["manifest-runner.toml", "pyproject.toml"])
def test_a_gateway_that_only_the_repository_names_is_not_asked_until_the_operator_does(tmp_path: Path, file: str) -> None:
    with simulator(tmp_path, pictures=False) as address:
        table = "[tool.manifest-runner]\n" if file == "pyproject.toml" else ""
        root = repository(tmp_path, f'{table}base-url = "{address}"\n', file)
        ran = run(root, "render", "show.yaml", "--yes", env=KEY)
        assert ran.code == 2
        assert f"{root / file}:{2 if table else 1}:1: error[claimed-setting]" in ran.err
        assert f"add --base-url {address}" in ran.err
        assert f"export MANIFEST_RUNNER_BASE_URL={address}" in ran.err
        line = ran.err.split("config.toml: ")[1].splitlines()[0]
        assert books(address)["totals"]["requests"] == 0
        as_json = json.loads(run(root, "render", "show.yaml", "--yes", "--json", env=KEY).out)
        assert (as_json["diagnostics"][0]["code"], as_json["next"]) == ("claimed-setting", [])
        write(root, line, ".config/manifest-runner/config.toml")
        assert run(root, "render", "show.yaml", "--yes", env=KEY).code == 0
        assert books(address)["totals"]["jobs"] == 1


@pytest.mark.parametrize("configuration", [
    'base-url = "http://127.0.0.1:9"', 'callback-url = "https://evil.example/x"', 'listen = "0.0.0.0:0"',
    'key-file = "/etc/hostname"', 'state-dir = "../elsewhere"', '[models.kling-v3-omni.price.table]\n"720p" = 1',
    '[models.kling-v3-omni]\nexternal_task_id = "replays"\njobs.failed_retries = 3',
])
def test_nothing_is_read_from_a_key_before_the_operator_has_spoken_and_keyless_commands_go_on(
        tmp_path: Path, configuration: str) -> None:
    root = repository(tmp_path, configuration + "\n")
    key_file = ["--key-file", str(tmp_path / "there-is-none")] if "key-file" not in configuration else []
    ran = run(root, "render", "show.yaml", "--yes", *key_file, env=KEY)
    assert ran.code == 2
    assert "claimed-setting" in ran.err, "and not that the key's file cannot be read"
    assert not (root / ".manifest-runner").exists()
    for arguments in (["validate"], ["plan"], ["status"], ["lock", "--check"]):
        assert run(root, *arguments, "show.yaml").code == (1 if "lock" in arguments else 0)
    assert "29 credits" in run(root, "plan", "show.yaml").out
    assert not (tmp_path / "elsewhere").exists()
    settings = run(root, "status", "--settings")
    assert "not in force: the repository alone says so" in settings.out
    assert json.loads(run(root, "status", "--settings", "--json").out)["claims"]


@pytest.mark.parametrize("arguments", [["adopt", "show.yaml", "A", "job_1"], ["abandon", "show.yaml", "A"],
                                       ["lock", "show.yaml"]])
def test_nothing_is_written_into_a_folder_outside_that_only_the_repository_names(tmp_path: Path, arguments: list[str]) -> None:
    root = repository(tmp_path, 'state-dir = "../elsewhere"\n')
    ran = run(root, *arguments)
    assert (ran.code, "claimed-setting" in ran.err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository"]


def test_a_draft_goes_on_without_what_is_claimed(tmp_path: Path) -> None:
    root = repository(tmp_path, 'base-url = "http://127.0.0.1:9"\nlisten = "0.0.0.0:0"\nstate-dir = "../elsewhere"\n')
    assert run(root, "render", "show.yaml", "--draft").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository"]


def test_what_is_to_be_typed_is_quoted_for_a_shell_and_shown_not_obeyed(tmp_path: Path) -> None:
    value = "https://a.example/$(touch x)';\x1b]8;;https://evil.example\x07"
    root = repository(tmp_path, f"callback-url = {json.dumps(value)}\n")
    ran = run(root, "render", "show.yaml", "--yes", env=KEY)
    assert "\x1b" not in ran.err + ran.out
    shown = ran.err.split("add --callback-url ")[1].split("; or export")[0]
    assert shlex.split(shown) == [value.replace("\x1b", "\\x1b").replace("\x07", "\\x07")]


@pytest.mark.parametrize("env", [{"MANIFEST_RUNNER_BASE_URL": ""}, {"MANIFEST_RUNNER_BASE_URL": "https://key@gateway.example"},
                                 {"MANIFEST_RUNNER_BASE_URL": "http://gateway.example"}])
def test_an_address_that_is_none_stops_before_the_key_is_read(tmp_path: Path, env: dict[str, str]) -> None:
    root = repository(tmp_path, "")
    ran = run(root, "render", "show.yaml", "--yes", "--key-file", str(tmp_path / "there-is-none"), env=env)
    assert ran.code == 2
    assert "the gateway's address" in ran.err
    assert run(root, "plan", "show.yaml", env=env).code == 0


@pytest.mark.parametrize(("theirs", "own", "holds"), [
    ("max-credits = 9000", "max-credits = 300", "300"), ("max-credits = 200", "max-credits = 300", "200"),
    ("daily-credits = 1e9", "daily-credits = 10", "10"), ("concurrency = 50", "concurrency = 2", "2"),
    ('rate = "10/s"', 'rate = "500/min"', "500/min"), ('rate = "1/s"', 'rate = "500/min"', "1/s"),
    ("max-credits = nan", "max-credits = 300", "nan"),  # refused where it is used, and not passed over
])
def test_of_a_limit_that_repository_and_user_set_the_tighter_one_holds(
        tmp_path: Path, theirs: str, own: str, holds: str) -> None:
    root = repository(tmp_path, theirs + "\n")
    write(root, own + "\n", ".config/manifest-runner/config.toml")
    settings = json.loads(run(root, "status", "--settings", "--json").out)
    assert settings[theirs.partition(" ")[0]]["value"] == holds


def test_a_state_folder_that_came_with_the_repository_is_not_read_and_buys_nothing(tmp_path: Path) -> None:
    with simulator(tmp_path, pictures=False) as address:
        env = {**KEY, "MANIFEST_RUNNER_BASE_URL": address}
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        git(theirs, "init", "-q")
        write(theirs, SHOW)
        assert run(theirs, "render", "show.yaml", "--yes", env=env).code == 0
        git(theirs, "add", "-f", "show.yaml", ".manifest-runner")
        commit(theirs)
        ours = tmp_path / "ours"
        git(tmp_path, "clone", "-q", str(theirs), str(ours))
        before = books(address)["totals"]["requests"]
        for arguments in (["render", "show.yaml", "--yes"], ["plan", "show.yaml"], ["status", "show.yaml"],
                          ["adopt", "show.yaml", "A", "job_1"], ["render", "show.yaml", "--draft"]):
            ran = run(ours, *arguments, env=env)
            assert ran.code == 2
            assert "is among the files of the repository: it is not read" in ran.err
            assert "git rm -r --cached" in ran.err
        assert books(address)["totals"]["requests"] == before
        assert run(ours, "validate", "show.yaml").code == 0
        git(ours, "rm", "-r", "-q", "--cached", "--", ".manifest-runner")
        assert run(ours, "status", "show.yaml").code == 0
