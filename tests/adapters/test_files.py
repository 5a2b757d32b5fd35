from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from manifest_runner.adapters import files
from manifest_runner.adapters.files import LARGEST_INPUT, RepositoryFiles, repository_of, write_atomically
from manifest_runner.errors import UsageError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "show"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text("token")
    (root / "manifests" / "plates").mkdir(parents=True)
    (root / "manifests" / "monsoon.yaml").write_text("version: 1\n")
    (root / "manifests" / "plates" / "in.png").write_bytes(b"plate")
    (root / "shared.j2").write_bytes(b"shared")
    (tmp_path / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def jail(repository: Path) -> RepositoryFiles:
    return RepositoryFiles(repository / "manifests" / "monsoon.yaml")


def test_files_are_read_relative_to_the_manifests_folder(jail: RepositoryFiles) -> None:
    assert jail.read("plates/in.png") == b"plate"
    assert jail.read("./plates/../plates/in.png") == b"plate"
    assert jail.read("../shared.j2") == b"shared"
    assert jail.sha256("plates/in.png") == hashlib.sha256(b"plate").hexdigest()


def test_the_root_is_the_nearest_folder_with_git_in_it(repository: Path, jail: RepositoryFiles) -> None:
    assert jail.root == repository.resolve()
    worktree = repository / "worktree"
    worktree.mkdir()
    (worktree / ".git").write_text("gitdir: elsewhere")
    assert RepositoryFiles(worktree / "a.yaml").root == worktree.resolve()


def test_without_git_the_root_is_the_manifests_folder(tmp_path: Path) -> None:
    folder = tmp_path / "plain" / "deep"
    folder.mkdir(parents=True)
    assert repository_of(folder) == folder.resolve()
    (tmp_path / "plain" / "up.txt").write_text("up")
    with pytest.raises(UsageError, match="leaves the repository"):
        RepositoryFiles(folder / "a.yaml").read("../up.txt")


def test_names_are_given_from_the_root(jail: RepositoryFiles, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jail.relative(repository / "manifests" / "monsoon.yaml") == "manifests/monsoon.yaml"
    monkeypatch.chdir(repository / "manifests")
    assert jail.relative(Path("monsoon.yaml")) == "manifests/monsoon.yaml"
    with pytest.raises(UsageError, match="leaves"):
        jail.relative(repository.parent / "secret.txt")


@pytest.mark.parametrize(("path", "message"), [
    ("../../secret.txt", "leaves the repository"),
    ("plates/../../../secret.txt", "leaves the repository"),
    ("/etc/passwd", "must be relative"),
    ("\\\\server\\share", "must be relative"),
    ("C:\\secret.txt", "must be relative"),
    ("c:secret.txt", "must be relative"),
    ("plates/in.png\0.yaml", "NUL"),
    ("../.git/config", "inside .git"),
    ("plates/none.png", "does not exist"),
    ("plates/in.png/x", "does not exist"),
    ("plates", "not a regular file"),
    ("", "not a regular file"),
    (".", "not a regular file"),
    ("x" * 300, "cannot be read"),
    ("\ud800", "not a usable path|cannot be read|does not exist"),
])
def test_paths_that_leave_or_are_no_files_are_usage_errors(jail: RepositoryFiles, path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        jail.read(path)


def test_links_are_resolved_before_they_are_judged(jail: RepositoryFiles, repository: Path) -> None:
    plates = repository / "manifests" / "plates"
    (plates / "inside").symlink_to("in.png")
    (plates / "outside").symlink_to(repository.parent / "secret.txt")
    (plates / "folder").symlink_to(repository.parent)
    (plates / "loop").symlink_to("loop")
    (plates / "config").symlink_to("../../.git/config")
    assert jail.read("plates/inside") == b"plate"
    for name in ("outside", "folder/secret.txt", "config"):
        with pytest.raises(UsageError, match=r"leaves the repository|inside \.git"):
            jail.read(f"plates/{name}")
    with pytest.raises(UsageError):
        jail.read("plates/loop")


def test_pipes_sockets_and_devices_are_refused_without_waiting(jail: RepositoryFiles, repository: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository / "manifests"
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        for name in ("pipe", "sock"):
            with pytest.raises(UsageError):
                jail.read(name)


def test_a_file_above_the_limit_is_refused_even_if_it_grows_while_it_is_read(jail: RepositoryFiles, repository: Path,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    big = repository / "manifests" / "big"
    with big.open("wb") as file:
        file.truncate(LARGEST_INPUT + 1)
    with pytest.raises(UsageError, match="larger than 32 MiB"):
        jail.read("big")
    monkeypatch.setattr(files, "LARGEST_INPUT", 4)
    with pytest.raises(UsageError, match="larger"):
        jail.read("plates/in.png")


def test_reading_files_loads_no_event_loop() -> None:
    code = ("import sys, manifest_runner.adapters.files, manifest_runner.adapters.store, manifest_runner.adapters.secrets;"
            "print(sorted({'anyio', 'asyncio', 'httpx', 'rich'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def leftovers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "monsoon.lock.json"
    for data in (b"one", b"", b"three" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert leftovers(tmp_path) == ["monsoon.lock.json"]


def test_a_new_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "a", b"", mode=0o600)
        write_atomically(tmp_path / "b", b"")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o600, 0o644]


def test_a_link_at_the_target_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    path = tmp_path / "out"
    path.symlink_to(victim)
    write_atomically(path, b"new")
    assert victim.read_bytes() == b"untouched"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "out"
    write_atomically(path, b"old")

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(UsageError, match="No space left"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["missing/out", "folder", "x" * 300, "nul\0"])
def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "full").touch()
    with pytest.raises(UsageError):
        write_atomically(tmp_path / name, b"new")
    assert leftovers(tmp_path) == ["folder"]
