"""A manifest and everything round it on this machine: repository, settings, model card, lockfile, state.

What every command begins with. Nothing here needs a key, a network, anyio or httpx.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from manifest_runner import __version__
from manifest_runner.adapters import confined_start
from manifest_runner.adapters.files import RepositoryFiles, repository_of
from manifest_runner.adapters.lockmemo import LockMemo
from manifest_runner.adapters.lockwriter import FileLockWriter, read_lockfile
from manifest_runner.adapters.resources import load_card
from manifest_runner.adapters.settings import Settings, read_settings
from manifest_runner.adapters.state import StateFolder
from manifest_runner.cli.plates import look_at
from manifest_runner.cli.words import command
from manifest_runner.core import expansion
from manifest_runner.core.model import Diagnostic, Json, Lockfile, Manifest, Severity
from manifest_runner.core.modelcard import ModelCard, override
from manifest_runner.core.origins import Origins
from manifest_runner.core.pricing import price_words
from manifest_runner.core.templating import Engine, ReadFile
from manifest_runner.core.validation import check
from manifest_runner.errors import InvalidInput, UsageError

DEFAULT_MODEL = "kling-v3-omni"
_SUFFIXES = (".yaml.j2", ".yml.j2", ".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A manifest that is valid: its meaning, its model, where it was written, and the sha256 of every file it was made from.
    `converted` are the pictures that are mended before they are sent, with what is mended in words."""

    manifest: Manifest
    origins: Origins
    card: ModelCard
    inputs: Mapping[str, str]
    pictures: Mapping[str, str]
    converted: Mapping[str, str]
    warnings: tuple[Diagnostic, ...]
    texts: Mapping[str, str]


class Project:
    """One manifest on this machine. `shown` is its path as the user typed it. `repository` is the id of the one that its files
    were taken from, where they do not lie in it."""

    def __init__(self, manifest: str, flags: Mapping[str, str | None], *, draft: bool = False,
                 repository: str | None = None) -> None:
        self.shown = manifest
        self.repository = repository
        self.path = Path(manifest)
        if not _is_file(self.path):
            raise _no_manifest(self.path, manifest)
        self.draft = draft
        self.files = RepositoryFiles(self.path)
        self.name = self.files.relative(self.path)
        self.settings: Settings = read_settings(self.files.root, flags, os.environ)

    @cached_property
    def stem(self) -> str:
        """The manifest's name without its suffix."""
        for suffix in _SUFFIXES:
            if self.path.name.endswith(suffix):
                return self.path.name.removesuffix(suffix)
        return self.path.stem

    @property
    def lock_path(self) -> Path:
        """The lockfile beside the manifest; a draft keeps its own."""
        return self.path.with_name(f"{self.stem}{'.draft' if self.draft else ''}.lock.json")

    @property
    def lock_shown(self) -> str:
        return str(self.lock_path)

    @cached_property
    def state(self) -> StateFolder:
        """Where ledger and store live; a draft has a ledger of its own. Raises `UsageError` for one that came with the
        repository: bodies that wait in a ledger are sent as they are, and whoever committed it wrote them."""
        return state_folder(self.files.root, self.settings, draft=self.draft)

    def lockfile(self) -> tuple[Lockfile, str | None]:
        """The lockfile and the sha256 of its text, None where there is none yet. Raises `UsageError` where it is that of a
        manifest beside this one (`show.yaml` and `show.yml` would take each other's clips for their own)."""
        memo = LockMemo(self.state.memo(self.name), self.state.tag)
        lockfile, digest = read_lockfile(self.lock_path, self.lock_shown, memo)
        other = lockfile.manifest
        if other not in ("", self.path.name) and "/" not in other and self.path.with_name(other).is_file():
            raise UsageError(f"{self.lock_shown} belongs to {other}", code="lockfile-of-another",
                             hint=f"give {self.path.name} a name of its own")
        return lockfile, digest

    def lock_writer(self) -> FileLockWriter:
        return FileLockWriter(self.lock_path, manifest=self.path.name, shown=self.lock_shown,
                              guard=self.state.guard(self.name))

    def load(self, text: str | None = None) -> Show:
        """Read, fill and check the manifest, or what it would be with this `text`; raises `InvalidInput` with every mistake at
        once."""
        data = self.files.read(self.path.name) if text is None else text.encode()
        try:
            filled, findings = expansion.load(data, path=self.shown, sources=self.files, make_engine=confined)
        except InvalidInput as error:
            # Other encodings and binaries make no line that could be shown below the mistake.
            texts = error.texts or ({} if b"\0" in data else {self.shown: data.decode("utf-8", "replace")})
            raise InvalidInput(error.diagnostics, texts=texts) from None
        finally:
            confined_start.end_ahead()  # the guess of the door was wrong
        card = self._card(filled.data.get("model"))
        manifest, more = check(filled, card)
        plates = look_at(filled, self.files, card)
        found = sort_diagnostics([*findings, *more, *plates.findings, *self._outputs(manifest, filled)])
        texts = texts_of(filled.origins, found)
        if manifest is None or any(item.severity is Severity.ERROR for item in found):
            raise InvalidInput(found, texts=texts)
        return Show(manifest=self._drafted(manifest), origins=filled.origins, card=card, inputs=filled.inputs,
                    pictures=plates.hashes, converted=plates.converted, warnings=tuple(found), texts=texts)

    def _drafted(self, manifest: Manifest) -> Manifest:
        """A draft's clips lie in a folder of their own, so that none can be taken for a paid take."""
        if not self.draft:
            return manifest
        from dataclasses import replace  # trivial, and only drafts need it

        return replace(manifest, output=f"{manifest.output}.draft")

    def _card(self, model: Json) -> ModelCard:
        """The model's card with the operator's overrides; the default card for a name that the schema will refuse."""
        from manifest_runner.adapters.resources import model_names

        name = model if isinstance(model, str) and model in model_names() else DEFAULT_MODEL
        card = load_card(name)
        changes = self.settings.models.get(name)
        return card if changes is None else override(card, changes)

    def _outputs(self, manifest: Manifest | None, filled: expansion.Filled) -> list[Diagnostic]:
        """What is wrong with the folder of the clips, which may be a link: known before anything is paid."""
        try:
            if manifest is not None:
                self.files.check_folder(self._drafted(manifest).output)
        except UsageError as error:
            source, notes = filled.origins.locate(("output",))
            return [Diagnostic(code=error.code, message=f"the clips' folder {error.message}", pointer="/output", source=source,
                               notes=notes, hint="remove the link, or name another folder: clips lie below the root")]
        return []

    def basis(self, show: Show, lock_digest: str | None) -> dict[str, str]:
        """Everything that a plan stands on: file → sha256, the card with its prices, the lockfile, this program."""
        lock = "none" if lock_digest is None else f"sha256:{lock_digest}"
        return {
            "program": __version__,
            "model card": f"sha256:{show.card.sha256}",
            "prices": price_words(show.card),
            "lockfile": lock,
            **{f"file {self.from_root(path)}": f"sha256:{digest}" for path, digest in show.inputs.items()},
            **{f"picture {self.from_root(self.path.parent / path)}": f"sha256:{digest}"
               for path, digest in show.pictures.items()},
        }

    def from_root(self, shown: str | Path) -> str:
        """A shown path as one from the root of the repository, so that a plan means the same wherever it was typed; as it is
        where it lies elsewhere."""
        path = Path(os.path.normpath(self.path.parent.resolve().joinpath(os.path.relpath(shown, self.path.parent))))
        return path.relative_to(self.files.root).as_posix() if path.is_relative_to(self.files.root) else str(shown)


def confined(files: ReadFile | None) -> Engine:
    """Templates come from strangers: they run in a process of their own."""
    from manifest_runner.adapters.confined import ConfinedEngine  # only manifests that compute something need it

    return ConfinedEngine(files)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that this file system cannot have, a folder that may not be entered
        return False


def _no_manifest(path: Path, shown: str) -> UsageError:
    """What to say where there is no such manifest: those that are near, or how to begin."""
    try:
        is_folder, is_there = path.is_dir(), path.exists()
        folder = path if is_folder else path.parent
        near = sorted(str(found) for suffix in _SUFFIXES for found in folder.glob(f"*{suffix}")) if folder.is_dir() else []
    except OSError as error:
        return UsageError(f"{shown} cannot be read: {error.strerror}", code="manifest-missing")
    what = f"{shown} is a folder" if is_folder else f"{shown} is not a regular file" if is_there else f"{shown} does not exist"
    if near:
        return UsageError(what, code="manifest-missing", hint=f"there is {', '.join(near[:5])}",
                          next_commands=[command("validate", near[0])])
    return UsageError(what, code="manifest-missing", hint="manifest-runner init writes a first one",
                      next_commands=["manifest-runner init"])


def sort_diagnostics(findings: list[Diagnostic]) -> list[Diagnostic]:
    """In the order of the text: path, line, column, code, message."""

    def place(item: Diagnostic) -> tuple[str, int, int, str, str]:
        at = item.source
        path, line, column = (at.path, at.line, at.column) if at is not None else ("", 0, 0)
        return path, line, column, item.code, item.message

    return sorted(findings, key=place)


def texts_of(origins: Origins, found: Iterable[Diagnostic]) -> dict[str, str]:
    """The text of every file that a diagnostic points into."""
    found = list(found)
    sources = [item.source for item in found] + [note.source for item in found for note in item.notes]
    paths = {source.path for source in sources if source is not None}
    return {path: text for path in sorted(paths) if (text := origins.text(path)) is not None}


def state_folder(root: Path, settings: Settings, *, draft: bool = False) -> StateFolder:
    """The state folder of a repository; raises `UsageError` for one that is among its files."""
    chosen = settings.text("state-dir")
    place = Path(chosen) if chosen else root / ".manifest-runner"
    if place.exists() or place.is_symlink():
        from manifest_runner.adapters.revisions import is_tracked  # start-up: only where there is a state folder

        if is_tracked(root, place):
            raise UsageError(f"the state folder {place} is among the files of the repository: it is not read",
                             code="committed-state",
                             hint="a ledger belongs to one machine. After a look at who put it there, take it out (git rm "
                             f"-r --cached -- {shlex.quote(str(place))}; behind a link or in a submodule, that one), or "
                             "name a folder of your own with --state-dir")
    return StateFolder(place, draft=draft)


def repository_root() -> Path:
    """The repository round the working folder."""
    return repository_of(Path.cwd())
