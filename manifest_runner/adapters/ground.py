"""What a plan stands on before it has read its manifest: the command line, this program, the operator's settings, the state
folder with its ledger, and git's word on that. Looked at twice, before a plan and after it, and again before the next one.

Laws
- Everything that counts is looked for by this module's own knowledge. Nothing that lies on disk tells it where to look.
- What is small is read; of what is large, or only stands for something, the file system's own signs are taken.
- It stands before everything else that a quick plan does, as `signs` says.
"""

from __future__ import annotations

import os
import sys

from manifest_runner import __version__
from manifest_runner.adapters.signs import LOOKING, NOFOLLOW, Doubt, Machine, content_of, digest_of, facts_of, new_digest

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `signs`
    from collections.abc import Iterator, Mapping, Sequence

    from manifest_runner.core.footing import Sign

STATE_VARIABLE = "MANIFEST_RUNNER_STATE"
KEY_VARIABLE = "TRINETRA_API_KEY"
NOTES = ".manifest-runner-job-"
"""How the names of notes begin (`rescue`)."""
STATE = ".manifest-runner"
TAG = "CACHEDIR.TAG"
DRAFT = "draft"
LEDGER = "ledger.sqlite3"
FOLDER = "footings"

SETTINGS = ("manifest-runner.toml", "pyproject.toml")
VARIABLES = ("MANIFEST_RUNNER_", "_MANIFEST_RUNNER_", "PYTHON")
"""How the names of variables begin that count; and those that are called so:"""
MORE_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "PATH", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")

SMALL = 1024 * 1024
"""Bytes up to which a file is read rather than trusted by its signs."""


class Ground:
    """What was found. `standing` covers all that must be found again; `exact` that, and the signs of files whose content was
    compared: what must not change while a plan is made. `changes` are devices and times of change that must be settled for
    either to mean anything; `installed` those times of the program, which an image of a whole disk may well say in whole
    seconds. `began` and `ticks` are the times of both clocks before anything was looked at."""

    __slots__ = ("began", "changes", "draft", "exact", "file", "folder", "installed", "ledger", "machine", "manifest", "root",
                 "standing", "state", "ticks")

    def __init__(self, found: _Survey, *, manifest: str, draft: bool, folder: str, root: str, state: str, file: str,
                 ledger: str, began: int, ticks: int) -> None:
        self.standing, self.exact = found.standing.hexdigest(), found.exact.hexdigest()
        self.changes, self.installed = frozenset(found.changes), frozenset(found.installed)
        self.manifest, self.draft, self.folder, self.root, self.state = manifest, draft, folder, root, state
        self.file, self.ledger, self.machine, self.began, self.ticks = file, ledger, found.machine, began, ticks


def survey(arguments: Sequence[str], environ: Mapping[str, str], machine: Machine) -> Ground | None:
    """Look at everything; None where there is no state folder of this program, and so nothing to compare with. Raises `Doubt`
    and `OSError`."""
    if os.name != "posix":
        raise Doubt("what a file system says of changes means something else on this system")
    began, ticks = machine.wall(), machine.steady()
    manifest = next((word for word in arguments[1:] if word.endswith((".yaml", ".yml", ".j2"))), None)
    if manifest is None:
        return None
    folder = os.path.realpath(os.path.dirname(manifest) or ".")
    root = repository_of(folder)
    state = environ.get(STATE_VARIABLE) or os.path.join(root, STATE)
    draft = "--draft" in arguments
    part = os.path.join(state, DRAFT) if draft else state
    found = _Survey(machine)
    try:
        found.lies_at(os.path.join(state, TAG))
    except FileNotFoundError:
        return None
    found.words(*arguments)
    found.words(os.getcwd(), folder, root, os.path.realpath(part))
    key = found.standing.copy().hexdigest()  # so far it is what was asked, and where
    ledger = os.path.join(part, LEDGER)
    _environment(found, environ)
    _settings(found, root, environ)
    _git(found, root, environ)
    _ledger(found, ledger)
    if arguments[0] == "render":
        _run(found, environ, (state, folder))
    _program(found)
    return Ground(found, manifest=manifest, draft=draft, folder=folder, root=root, state=state, ledger=ledger,
                  file=os.path.join(part, FOLDER, key[:32]), began=began, ticks=ticks)


def repository_of(folder: str) -> str:
    """As `adapters.files.repository_of`, for a folder whose links are resolved."""
    at = folder
    while not os.path.exists(os.path.join(at, ".git")):
        above = os.path.dirname(at)
        if above == at:
            return folder
        at = above
    return at


class _Survey:
    """What was found so far."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.standing = new_digest()
        self.exact = new_digest()
        self.changes: set[tuple[int, int]] = set()
        self.installed: set[int] = set()

    def words(self, *words: str) -> None:
        """Something that must be found again."""
        data = "\0".join([str(len(words)), *words, ""]).encode("utf-8", "surrogateescape")
        self.standing.update(data)
        self.exact.update(data)

    def sign(self, facts: os.stat_result, *, counts: bool = True) -> None:
        """A sign that must stay while a plan is made, and, where it `counts`, from then on."""
        sign = self.machine.sign(facts)
        self.changes.add((sign[0], sign[-1]))
        self._keep(sign, counts=counts)

    def program(self, facts: os.stat_result) -> None:
        """The sign of a file or folder of the program."""
        sign = self.machine.sign(facts)
        self.installed.add(sign[-1])
        self._keep(sign)

    def _keep(self, sign: Sign, *, counts: bool = True) -> None:
        data = repr(sign).encode()
        self.exact.update(data)
        if counts:
            self.standing.update(data)

    def lies_at(self, path: str) -> None:
        """A regular file that is there, by its sign alone. Raises `FileNotFoundError`."""
        facts = facts_of(path)
        self.words(path)
        self.sign(facts)

    def content(self, path: str) -> None:
        """A file by its content, or that there is none."""
        try:
            content, facts = content_of(path, SMALL, links=True)
        except (FileNotFoundError, NotADirectoryError):
            self.words(path, "nothing")
            return
        self.sign(facts, counts=content is None)
        self.words(path, "by its sign" if content is None else digest_of(content))


def _environment(found: _Survey, environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if name.startswith(VARIABLES) or name in MORE_VARIABLES:
            found.words(name, environ[name])


def _settings(found: _Survey, root: str, environ: Mapping[str, str]) -> None:
    for name in SETTINGS:
        found.content(os.path.join(root, name))
    for base in _bases(environ):
        found.content(os.path.join(base, "manifest-runner", "config.toml"))


def _bases(environ: Mapping[str, str]) -> Iterator[str]:
    """Where configurations of the user's lie."""
    home = environ.get("HOME")
    if base := environ.get("XDG_CONFIG_HOME") or (os.path.join(home, ".config") if home else ""):
        yield base


def _git(found: _Survey, root: str, environ: Mapping[str, str]) -> None:
    """What git's word on the state folder hangs on: whether there is a repository, what is in its index, and the configurations
    without which it would say nothing."""
    place = os.path.join(root, ".git")
    if not os.path.lexists(place):
        return
    if not os.path.isdir(place):
        found.content(place)
        content, _ = content_of(place, SMALL, links=True)
        _, _, named = (content or b"").partition(b"gitdir:")
        place = os.path.normpath(os.path.join(root, os.fsdecode(named.strip())))
    found.content(os.path.join(place, "index"))
    found.words(*sorted(name for name in os.listdir(place) if name.startswith("sharedindex.")))
    shared = os.path.join(place, "commondir")
    for name in ("HEAD", "config", "config.worktree", "commondir"):
        found.content(os.path.join(place, name))
    if os.path.exists(shared):
        content, _ = content_of(shared, SMALL)
        found.content(os.path.join(place, os.fsdecode((content or b"").strip()), "config"))
    homes = [os.path.join(base, "git", "config") for base in _bases(environ)]
    if home := environ.get("HOME"):
        homes.append(os.path.join(home, ".gitconfig"))
    for path in homes:
        found.content(path)


def _ledger(found: _Survey, path: str) -> None:
    """The ledger and its log, by their signs. A log is written before it counts, and its index says what counts: where there is
    a log, so does how the index begins."""
    found.words(path)
    try:
        found.lies_at(path)
    except FileNotFoundError:
        found.words("no ledger")
    if os.path.lexists(f"{path}-journal"):
        raise Doubt("a ledger keeps a log and no journal: SQLite knows what one means")
    try:
        if os.lstat(f"{path}-wal").st_size == 0:  # as good as none: whoever only looks leaves one behind
            return
    except FileNotFoundError:
        return
    found.lies_at(f"{path}-wal")
    descriptor = os.open(f"{path}-shm", LOOKING | NOFOLLOW)
    try:
        found.words(os.read(descriptor, 48).hex())
    finally:
        os.close(descriptor)


def _run(found: _Survey, environ: Mapping[str, str], places: Sequence[str]) -> None:
    """What counts for a run besides: whose jobs the ledger is asked about, and that no earlier run has left a note of a job,
    which would be taken back first."""
    found.words(digest_of(environ.get(KEY_VARIABLE, "").encode("utf-8", "surrogateescape")))
    named = [environ[name] for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name)]
    for place in (*places, *named, "/tmp", "/var/tmp", "/usr/tmp", "."):  # noqa: S108 - where `tempfile` looks
        try:
            if any(name.startswith(NOTES) for name in os.listdir(place)):
                raise Doubt("there is a note of a job")
        except (FileNotFoundError, NotADirectoryError):
            continue


def _program(found: _Survey) -> None:
    """This program, its interpreter, and the folders that its libraries lie in: whoever installs one makes or removes a folder
    there."""
    found.words(__version__, sys.version, sys.executable, repr(sys.flags), *found.machine.paths)
    for path in found.machine.paths:
        try:
            found.program(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            found.words(path, "nothing")
    for path, facts in _tree(found.machine.package):
        found.words(path)
        found.program(facts)


def _tree(package: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file of a package, and of the folder `schemas` beside it where there is none inside (a checkout)."""
    inside = os.path.join(package, "schemas")
    folders = [package, *([] if os.path.isdir(inside) else [os.path.join(os.path.dirname(package), "schemas")])]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=_name):
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        folders.append(entry.path)
                else:
                    yield entry.path, entry.stat()


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name
