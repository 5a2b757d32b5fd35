"""The three versions of a file that git holds while it is in conflict, and what the other side is called.

Laws: git is only asked, never told to do anything; where there is no git, no repository or no conflict, there are no versions.
A version that git names and cannot show is no empty one: to merge with that would drop what it holds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from manifest_runner.core.conflictmarkers import Versions
from manifest_runner.errors import UsageError

_HEADS = ("MERGE_HEAD", "REBASE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")


def staged_versions(path: Path) -> Versions | None:
    """The texts of base, ours and theirs in git's index; None where the file is in no conflict there. Raises `UsageError` where
    one cannot be read, or is not UTF-8."""
    listed = _git(path, "ls-files", "--unmerged", "-z", "--", path.name)
    stages = {int(entry.partition(b"\t")[0].rpartition(b" ")[2]) for entry in (listed or b"").split(b"\0") if entry}
    if not stages:
        return None
    base, ours, theirs = [_text(path, _git(path, "cat-file", "blob", f":{stage}:./{path.name}")) if stage in stages else ""
                          for stage in (1, 2, 3)]
    return Versions(base=base, ours=ours, theirs=theirs)


def other_side(path: Path) -> str | None:
    """What is being merged, rebased, picked or reverted, as git shows it (`1a2b3c4 (Render the bridge)`); None for nothing."""
    for head in _HEADS:
        shown = _git(path, "log", "-1", "--format=%h (%s)", head)
        if shown:
            return shown.decode("utf-8", "replace").strip()
    return None


def _text(path: Path, data: bytes | None) -> str:
    if data is None:
        raise UsageError(f"git cannot read one of the versions of {path} that are in conflict", code="stage-unreadable",
                         hint="a partial clone has to fetch it first, online: git diff --cc must show it; then try again")
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8", code="lockfile-syntax", hint="restore it from git") from None


def _git(path: Path, *arguments: str) -> bytes | None:
    """Git's answer, None where it has none."""
    try:
        ran = subprocess.run(["git", "--literal-pathspecs", *arguments], cwd=path.parent, capture_output=True, check=False,
                             stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return ran.stdout if ran.returncode == 0 else None
