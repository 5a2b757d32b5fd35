"""Files at another git revision: read from git's objects, with nothing of a stranger's in a place where it could act."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifest_runner.adapters import revisions
from manifest_runner.adapters.revisions import Revision
from manifest_runner.errors import UsageError
from tests.pages import commit, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "shows" / "looks").mkdir(parents=True)
    (root / "shows" / "a b.yaml").write_text("first\n")
    (root / "shows" / "looks" / "noir.yaml").write_text("noir")
    (root / "shows" / "link").symlink_to("looks/noir.yaml")
    (root / "shows" / "out").symlink_to("/etc/hostname")
    (root / "shared.yaml").write_bytes(b"a\r\n\x00b")
    commit(root)
    (root / "shows" / "a b.yaml").write_text("second\n")
    commit(root)
    (root / "shows" / "a b.yaml").write_text("not committed\n")
    return root


def test_a_file_is_read_as_it_stood_whatever_lies_there_now(repository: Path) -> None:
    then = Revision.open(repository, "HEAD~1", folder="shows")
    assert then.read("a b.yaml") == b"first\n"
    assert Revision.open(repository, "main", folder="shows").read("a b.yaml") == b"second\n"
    assert then.commit == git(repository, "rev-parse", "HEAD~1").strip()


def test_paths_are_relative_to_the_manifests_folder_and_bytes_are_untouched(repository: Path) -> None:
    revision = Revision.open(repository, "HEAD", folder="shows")
    assert revision.read("looks/noir.yaml") == revision.read("./looks/../link") == b"noir"
    assert revision.read("../shared.yaml") == b"a\r\n\x00b"
    assert Revision.open(repository, "HEAD", folder=".").read("shared.yaml") == b"a\r\n\x00b"


@pytest.mark.parametrize("path", ["missing.yaml", "looks", "out", "../../shared.yaml", "/etc/hostname", "a\nb", "",
                                  "a b.yaml\0", "--help", ":shared.yaml", "a b.yaml\nHEAD:shared.yaml"])
def test_what_is_not_a_file_of_the_revision_is_refused(repository: Path, path: str) -> None:
    with pytest.raises(UsageError):
        Revision.open(repository, "HEAD", folder="shows").read(path)


@pytest.mark.parametrize("name", ["", "-h", "--batch", "--textconv", "nowhere", "HEAD:shows", ":/as it is", "HEAD\nHEAD",
                                  "HEAD HEAD", "HEAD\0", "x" * 300, "HEAD^{tree}", "HEAD^{blob}"])
def test_what_is_no_commit_is_refused_whatever_it_looks_like(repository: Path, name: str) -> None:
    with pytest.raises(UsageError) as raised:
        Revision.open(repository, name)
    assert raised.value.code == "no-revision"


def test_no_filter_textconv_or_hook_runs_and_no_git_variable_of_the_caller_counts(
        repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    script = tmp_path / "run"
    script.write_text(f"#!/bin/sh\ntouch {trap}\ncat\n")
    script.chmod(0o755)
    (repository / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.fsmonitor", "core.sshCommand",
                "core.pager", "alias.cat-file"):
        git(repository, "config", key, str(script))
    trap.unlink(missing_ok=True)
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_EXEC_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(script))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'alias.x=!touch /dev/null'")
    assert Revision.open(repository, "HEAD", folder="shows").read("a b.yaml") == b"second\n"
    assert not trap.exists()


def test_a_missing_object_of_a_partial_clone_is_not_fetched(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repository}", str(clone))
    with pytest.raises(UsageError):
        Revision.open(clone, "HEAD", folder="shows").read("a b.yaml")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "LARGEST_INPUT", 3)
    with pytest.raises(UsageError) as raised:
        Revision.open(repository, "HEAD", folder="shows").read("a b.yaml")
    assert raised.value.code == "file-too-large"


def test_a_folder_without_git_is_said_and_git_is_not_looked_for_above_it(repository: Path) -> None:
    inside = repository / "shows"
    with pytest.raises(UsageError) as raised:
        Revision.open(inside, "HEAD")
    assert raised.value.code == "no-git"


def test_without_git_on_the_machine_it_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(UsageError) as raised:
        Revision.open(repository, "HEAD")
    assert raised.value.code == "no-git"


def test_what_git_has_is_told_from_what_merely_lies_there(repository: Path) -> None:
    (repository / "shows" / "new").mkdir()
    (repository / "shows" / "new" / "file").write_text("x")
    assert revisions.is_tracked(repository, repository / "shows")
    assert revisions.is_tracked(repository, repository / "shows" / "link")
    assert revisions.is_tracked(repository, repository / "SHOWS")  # one folder, where the system sees no difference
    assert not revisions.is_tracked(repository, repository / "shows" / "new")
    assert not revisions.is_tracked(repository, repository / "*")
    assert not revisions.is_tracked(repository, repository.parent)


def test_what_git_has_is_found_behind_links_and_within_submodules(repository: Path, tmp_path: Path) -> None:
    (repository / "way").symlink_to("shows")
    (repository / "loop").symlink_to("loop")
    (repository / "films" / "part").mkdir(parents=True)
    (repository / "films" / "part" / "file").write_text("x")
    commit(repository / "films" / "part")
    commit(repository)
    (repository / "films" / "new").mkdir()
    (tmp_path / "elsewhere").symlink_to(repository)
    assert revisions.is_tracked(repository, repository / "way" / "looks")
    assert revisions.is_tracked(repository, repository / "Films" / "part" / "state")
    assert revisions.is_tracked(repository, repository / "films" / "part")
    assert revisions.is_tracked(repository, repository / "shows" / ".." / "shows" / "looks")
    assert revisions.is_tracked(tmp_path / "elsewhere", repository / "shows")
    assert revisions.is_tracked(repository, repository / "loop")
    assert not revisions.is_tracked(repository, repository / "way" / "new")
    assert not revisions.is_tracked(repository, repository / "films" / "new")


def test_a_checkout_that_belongs_to_somebody_else_is_asked_all_the_same(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(revisions._SET, "GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError):
        Revision.open(repository, "HEAD")
    assert revisions.is_tracked(repository, repository / "shows")
    assert not revisions.is_tracked(repository, repository / "new")


def test_where_git_does_not_answer_nobody_guesses(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = repository / "shows"
    (repository / ".git" / "index").write_bytes(b"DIRC, once")
    with pytest.raises(UsageError) as raised:
        revisions.is_tracked(repository, place)
    assert raised.value.code == "no-git"
    assert "--state-dir" in str(raised.value.hint)
    (repository / ".git").rename(repository / "gone")
    (repository / ".git").write_text("gitdir: ../nowhere\n")  # a worktree without its repository
    with pytest.raises(UsageError):
        revisions.is_tracked(repository, place)
    assert not revisions.is_tracked(repository, repository.parent), "of no interest to git"
    monkeypatch.setenv("PATH", os.devnull)
    assert not revisions.is_tracked(repository, place), "no checkout came by a git that is not there"


def test_a_folder_that_is_no_repository_has_nothing_of_gits(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert not revisions.is_tracked(tmp_path, tmp_path / "state")
