"""The pre-commit hooks: what other repositories get, and what this one uses on its own manifests."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.support import environment, run, write

ROOT = Path(__file__).parents[2]
HOOKS: dict[str, dict[str, Any]] = {
    hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
}
GOOD = "version: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n  - id: A\n    prompt: one\n"
LOOSE = GOOD.replace("  - id: A\n    prompt: one\n", "- prompt: one\n  id: A\n")
WRONG = GOOD.replace("prompt", "promt")


def test_the_hooks_are_those_of_the_documentation() -> None:
    assert set(HOOKS) == {"manifest-runner-validate", "manifest-runner-lock-check", "manifest-runner-fmt"}
    assert {hook["language"] for hook in HOOKS.values()} == {"python"}


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("manifests/monsoon.yaml", True),
        ("film/manifests/a b.yml", True),
        ("shots.yaml", True),
        ("reel/bridge.shots.yaml", True),
        ("manifests/looks/noir.yaml", False),
        (".github/workflows/ci.yaml", False),
        ("manifests/gen.yaml.j2", False),
    ],
)
def test_a_hook_sees_manifests_and_nothing_else(path: str, meant: bool) -> None:
    for hook in HOOKS.values():
        assert bool(re.search(hook["files"], path)) == meant
    assert re.search(HOOKS["manifest-runner-lock-check"]["files"], "manifests/monsoon.lock.json")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that uses all hooks, from the environment that the tests run in."""
    program = f"{shlex.quote(sys.executable)} -m manifest_runner"
    local = [
        {**hook, "language": "system", "entry": hook["entry"].replace("manifest-runner", program, 1)} for hook in HOOKS.values()
    ]
    folder = tmp_path / "repository"
    folder.mkdir()
    write(folder, yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]}), ".pre-commit-config.yaml")
    subprocess.run(["git", "init", "-q", "."], cwd=folder, env=environment(tmp_path), check=True)
    return folder


def pre_commit(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the real pre-commit on every file that git knows; its caches stay in the test's own folder."""
    env = environment(folder.parent, {"PRE_COMMIT_HOME": str(folder.parent / "cache"), "PYTHONPATH": str(ROOT)})
    subprocess.run(["git", "add", "."], cwd=folder, env=env, check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_pre_commit_runs_the_hooks_over_several_manifests_and_says_what_is_wrong(repository: Path) -> None:
    write(repository, GOOD, "manifests/good.yaml")
    write(repository, WRONG, "manifests/wrong.yaml")
    write(repository, "not: a manifest\n", "ci.yaml")
    code, said = pre_commit(repository, "manifest-runner-validate")
    assert (code, "manifests/wrong.yaml:6:5: error[unknown-key]" in said, "good.yaml" in said) == (1, True, False)


def test_the_fmt_hook_mends_and_passes_the_second_time(repository: Path) -> None:
    write(repository, LOOSE, "manifests/loose.yaml")
    write(repository, GOOD, "shots.yaml")
    code, said = pre_commit(repository, "manifest-runner-fmt")
    assert (code, "files were modified by this hook" in said) == (1, True)
    assert (repository / "manifests" / "loose.yaml").read_text() == GOOD
    assert pre_commit(repository, "manifest-runner-fmt")[0] == 0


def test_the_lock_hook_names_what_disagrees_once_though_manifest_and_lockfile_both_changed(repository: Path) -> None:
    write(repository, GOOD, "manifests/good.yaml")
    write(repository, json.dumps({"version": 1, "manifest": "good.yaml", "shots": {}}), "manifests/good.lock.json")
    code, said = pre_commit(repository, "manifest-runner-lock-check")
    assert (code, said.count("manifests/good.lock.json does not agree")) == (1, 1)


def test_this_repository_uses_its_hooks_on_its_own_manifests() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    manifests = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "manifests").rglob("*.yaml"))]
    for hook in local["hooks"]:
        entry = HOOKS[hook["id"]]["entry"]
        assert hook["entry"] == f".venv/bin/{entry}"
        names = [name for name in manifests if re.search(hook["files"], name)]
        assert len(names) >= 3
        check = ["--check"] if hook["id"].endswith("fmt") else []
        assert run(ROOT, *shlex.split(entry)[1:], *check, *names, env=dict(os.environ)).code == 0
