"""Files of the repository as they stood at another git revision.

Laws
- Names of objects are told to git on its standard input: no word of a user or a manifest is ever an argument that it could take
  for an option.
- Blobs are read as they are stored. No filter, textconv, hook or helper runs, nothing is fetched (a partial clone lacks what it
  lacks), and no `GIT_` variable of the caller's counts.
- Links are followed inside the revision's own tree and never out of it; nothing larger than a manifest may name is read.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from manifest_runner.adapters.files import LARGEST_INPUT
from manifest_runner.errors import UsageError

# `protocol.allow=never` is what keeps a git that does not know GIT_NO_LAZY_FETCH from asking a remote for a missing blob.
_GIT = ("git", "--no-replace-objects", "-c", "protocol.allow=never", "-c", "core.fsmonitor=false")
_KEPT = ("HOME", "PATH", "SYSTEMROOT", "TMPDIR", "USERPROFILE", "XDG_CONFIG_HOME")
_SET = {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_LONGEST_NAME = 200
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LINES = re.compile(r"[\x00-\x1f\x7f]")
_FOUND = re.compile(rb"([0-9a-f]{40,64}) (commit|blob) (\d+)\n")
_SUBMODULE = b"160000 "
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of the repository at `root`. `name` is what the user called it. As `expansion.Sources` it reads paths relative
    to the manifest's folder, which is `folder` from the root of the repository."""

    root: Path
    name: str
    commit: str
    folder: str = ""

    @classmethod
    def open(cls, root: Path, name: str, *, folder: str = "") -> Revision:
        """The commit that `name` (branch, tag, hash, `HEAD~2`) stands for; raises `UsageError` where it stands for none."""
        if not name or name.startswith("-") or ":" in name or len(name) > _LONGEST_NAME or _CONTROL.search(name):
            raise _no_revision(name)
        found = _FOUND.fullmatch(_ask(root, "--batch-check", f"{name}^{{commit}}"))
        if found is None or found[2] != b"commit":
            raise _no_revision(name)
        return cls(root, name, found[1].decode(), "" if folder == "." else folder)

    def read(self, path: str) -> bytes:
        """Bytes of the file at `path`, relative to the manifest's folder; raises `UsageError` where the revision has none."""
        whole = posixpath.normpath(posixpath.join(self.folder, path))
        if path.startswith(("/", "\\")) or whole.startswith(("/", "..")) or _LINES.search(whole):
            raise UsageError(f"{path} leaves the repository", code="outside-repository")
        found = _FOUND.fullmatch(_ask(self.root, "--batch-check", f"{self.commit}:{whole}", "--follow-symlinks"))
        if found is None or found[2] != b"blob":
            raise UsageError(f"{path} does not exist at {self.name}", code="file-missing")
        if int(found[3]) > LARGEST_INPUT:
            raise UsageError(f"{path} is larger than {LARGEST_INPUT // (1024 * 1024)} MiB", code="file-too-large")
        answer = _ask(self.root, "--batch", found[1].decode())
        return answer[answer.index(b"\n") + 1:-1]


def repository_id(root: Path) -> str | None:
    """A name that every clone of this repository has, and no other: made of its first commit. None where that cannot be known:
    no git, no commit yet, a shallow clone."""
    try:
        shallow = _run(root, [*_GIT, "rev-parse", "--is-shallow-repository"])
        ran = _run(root, [*_GIT, "rev-list", "--max-parents=0", "HEAD"])
    except (OSError, subprocess.TimeoutExpired):
        return None
    first = sorted(ran.stdout.decode().split())
    if shallow.stdout.strip() != b"false" or ran.returncode != 0 or not first:
        return None
    return hashlib.sha256(first[0].encode()).hexdigest()[:32]


def every_version(root: Path, pattern: str, revisions: Sequence[str] = ()) -> Iterator[bytes]:
    """The bytes of every version of every file that a name pattern (`*.lock.json`) fits: in the history of these revisions,
    or of all branches, tags, stashes and reflogs; in the index; and as they lie in the working tree, ignored or not.

    Raises `UsageError` where git does not know the whole history (a shallow or partial clone): what cannot be seen might be the
    version that matters.
    """
    if _git(root, "rev-parse", "--is-shallow-repository").strip() != b"false":
        raise UsageError("this clone does not have the whole history", code="shallow-clone", hint="git fetch --unshallow")
    chosen = [Revision.open(root, name).commit for name in revisions] or ["--all", "--reflog"]
    history = _git(root, "-c", "log.showRoot=true", "log", "--format=", "--raw", "--no-abbrev", "--no-renames", "-m", "-z",
                   "--full-history", *chosen, "--", f":(top,glob)**/{pattern}")
    blobs = {found.decode() for found in re.findall(rb":\d+ \d+ [0-9a-f]+ ([0-9a-f]+) [AMT]\0", history)}
    staged = _git(root, "ls-files", "--stage", "-z", "--", f":(top,glob)**/{pattern}")
    blobs |= {entry.split(b" ", 2)[1].decode() for entry in staged.split(b"\0")[:-1]}
    for blob in sorted(blobs):
        answer = _ask(root, "--batch", blob)
        head, _, content = answer.partition(b"\n")
        if b" blob " not in head:
            raise UsageError(f"git does not have version {blob[:12]} of a {pattern}", code="partial-clone",
                             hint="fetch the whole history first")
        yield content[:-1]
    for path in sorted(root.rglob(pattern)):
        if path.is_file():
            yield path.read_bytes()


def _git(root: Path, *words: str) -> bytes:
    """What git says; raises `UsageError` where it does not."""
    try:
        ran = _run(root, [*_GIT, *words])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be asked: {getattr(error, 'strerror', None) or 'it does not answer'}", code="no-git",
                         ) from None
    if ran.returncode != 0:
        words_of_git = ran.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].removeprefix("fatal: ")
        raise UsageError(f"git cannot read this repository: {words_of_git.partition(':')[0]}", code="no-git")
    return ran.stdout


def is_tracked(root: Path, place: Path) -> bool:
    """Whether `place` is among what came with the repository at `root`, or anything below it is, or it lies in a submodule; by
    its name and by where its links lead. False where there is no repository, or no git: then no checkout has put it there.
    Raises `UsageError` where git does not say."""
    if not _is_repository(root):
        return False
    tops = {root, Path(os.path.realpath(root))}
    paths = {Path(os.path.abspath(place)), Path(os.path.realpath(place))}  # noqa: PTH100 - unlike `resolve`, for loops too
    return any(_has(root, path.relative_to(top)) for path in paths for top in tops if path.is_relative_to(top))


def _is_repository(root: Path) -> bool:
    place = root / ".git"
    try:
        return place.is_file() or (place.is_dir() and "HEAD" in os.listdir(place))  # noqa: PTH208 - names are enough
    except OSError:  # somebody else's: git will say
        return True


def _has(root: Path, inside: Path) -> bool:
    """Whether git has this path, something below it, or a submodule above it."""
    # Git insists on its owner because a repository's configuration can make it run things. This question runs nothing.
    asked = [*_GIT, "-c", "safe.directory=*", "ls-files", "--cached", "--stage", "-z", "--",
             f":(top,literal,icase){inside.parts[0] if inside.parts else '.'}"]
    try:
        ran = _run(root, asked)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_answer(root, getattr(error, "strerror", None) or "it does not answer") from None
    if ran.returncode != 0:
        raise _no_answer(root, ran.stderr.decode("utf-8", "replace").strip().partition("\n")[0].removeprefix("fatal: "))
    wanted = _folded(inside)
    for entry in ran.stdout.split(b"\0")[:-1]:
        about, _, name = entry.partition(b"\t")
        there = _folded(Path(os.fsdecode(name)))
        if there[:len(wanted)] == wanted or (about.startswith(_SUBMODULE) and wanted[:len(there)] == there):
            return True
    return False


def _folded(path: Path) -> tuple[str, ...]:
    return tuple(part.casefold() for part in path.parts)


def _no_answer(root: Path, why: str) -> UsageError:
    return UsageError(f"git cannot say whether the state folder came with the repository: {why}", code="no-git",
                      hint=f"make `git status` work in {root}; or move the state folder out of the repository, "
                      "and name it with --state-dir")


def _ask(root: Path, mode: str, name: str, *options: str) -> bytes:
    """What `git cat-file` says of one object name. Raises `UsageError` where there is no git, or no repository."""
    try:
        ran = _run(root, [*_GIT, "cat-file", mode, *options], told=name)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be asked: {getattr(error, 'strerror', None) or 'it does not answer'}", code="no-git",
                         hint="another revision is read with git") from None
    if ran.returncode != 0 and not ran.stdout:
        words = ran.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].removeprefix("fatal: ")
        raise UsageError(f"git cannot read this repository: {words.partition(':')[0]}", code="no-git",
                         hint="another revision is read with git")
    return ran.stdout


def _run(root: Path, command: list[str], *, told: str = "") -> subprocess.CompletedProcess[bytes]:
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return subprocess.run(command, cwd=root, input=f"{told}\n".encode(), capture_output=True, check=False,
                          timeout=_SECONDS, env={**environment, **_SET, "GIT_CEILING_DIRECTORIES": str(root.parent)})


def _no_revision(name: str) -> UsageError:
    return UsageError(f"{name or 'nothing'} is no revision of this repository", code="no-revision",
                      hint="a branch, a tag, a commit, or HEAD~1")
