"""Gathers what the review page shows beside the plan: clips with their stills, pictures, and the manifest at another revision.

Laws: a clip is shown only where its file is the one that the lockfile names; no address in the page says where on this machine
the repository lies; the page is made without the [video] extra too, and then has no stills.
"""

from __future__ import annotations

import base64
import os
import posixpath
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import click

from manifest_runner.adapters.files import make_folder, write_atomically
from manifest_runner.adapters.revisions import Revision
from manifest_runner.adapters.store import LocalStore, sha256_of
from manifest_runner.cli.planner import Planned, file_states
from manifest_runner.cli.project import Project, Show, confined
from manifest_runner.core import expansion, lockfile
from manifest_runner.core.model import Artifact, Cut, FileFrame, JobState, Lockfile, Manifest, Severity
from manifest_runner.core.planning import Where, output_path
from manifest_runner.core.validation import check
from manifest_runner.errors import DownloadError, InvalidInput, MediaError, MissingExtra, UsageError
from manifest_runner.views.report import Embedded
from manifest_runner.views.report_shots import Before, Clip

MOST_EMBEDDED = 300_000_000
"""Bytes of clips in one page: browsers hold a page's text in memory whole, and a third more of it than its clips."""

_MANY = 150
"""Clips from which on posters are smaller: a page of 500 shots should open at once."""


class Clips:
    """The clips of one page, by address from the page `to` or inside it, with their stills."""

    def __init__(self, project: Project, show: Show, planned: Planned, to: Path, *, embed: bool, quiet: bool) -> None:
        self._project, self._show, self._planned = project, show, planned
        self._to, self._embed = to.parent.resolve() / to.name, embed
        self._silent = quiet or not sys.stderr.isatty()
        self._bytes = 0
        self.embedded: list[Embedded] = []
        self.warnings: list[str] = []
        self._side = 480 if len(planned.plan.changes) < _MANY else 320

    def now(self) -> dict[Where, Clip]:
        """The clips that are in their places."""
        folder, state = self._project.files.folder, file_states(self._project.files.folder)
        cuts = {shot.id: shot.cut for shot in self._show.manifest.shots}
        found: dict[Where, Clip] = {}
        there = [(where, place) for where, place, artifact in self._places() if state(place, artifact) == "present"]
        for number, (where, place) in enumerate(there, 1):
            found[where] = self._clip(folder / place, cuts.get(where[0], Cut()))
            if not self._silent and (number % 10 == 0 or number == len(there)):
                click.echo(f"\rlooking at clips: {number} of {len(there)}", nl=number == len(there), err=True)
        return found

    def _places(self) -> Iterable[tuple[Where, str, Artifact]]:
        for change in self._planned.plan.changes:
            where = (change.shot, change.take)
            entry = change.entry or self._planned.lockfile.entries.get(where)
            if entry is not None and entry.state is JobState.STORED and entry.outputs:
                yield where, output_path(self._show.manifest, *where), entry.outputs[0]

    def then(self, manifest: Manifest, locked: Lockfile) -> dict[Where, Clip]:
        """The clips that stood in the cut of `manifest`, where they are others than now and the store still has their bytes."""
        store = LocalStore(self._project.state.objects, self._project.files.folder)
        present = {artifact.sha256 for _, _, artifact in self._places()}
        found = {}
        for shot in manifest.shots:
            where = (shot.id, shot.cut_take)
            entry = locked.entries.get(where)
            if entry is None or entry.state is not JobState.STORED or not entry.outputs:
                continue
            old = entry.outputs[0]
            if old.sha256 not in present and (clip := self._stored(store, old, where)) is not None:
                found[where] = self._clip(clip, shot.cut)
        return found

    def _stored(self, store: LocalStore, old: Artifact, where: Where) -> Path | None:
        """A copy of a clip that is no longer in its place, beside the page; where it is embedded, the stored one itself."""
        try:
            source = store.path_of(old)
            # The lockfile may be a stranger's: nothing but an object of the store is shown, whatever path it names.
            if not source.is_relative_to(self._project.state.objects) or sha256_of(source) != old.sha256:
                return None
            if self._embed:
                return source
            folder = self._to.with_suffix(".before")
            copy = folder / f"{where[0]}_t{where[1]}.{old.sha256[:12]}.mp4"
            if not copy.is_file() or copy.stat().st_size != old.bytes:
                make_folder(copy.parent)
                write_atomically(copy, source.read_bytes())
            return copy
        except (DownloadError, UsageError, OSError) as error:
            self.warnings.append(f"the clip of {where[0]} before cannot be shown: {error}")
            return None

    def _clip(self, path: Path, cut: Cut) -> Clip:
        poster = first = last = ""
        try:
            from manifest_runner.adapters.stills import KeptStills  # the video extra

            made = KeptStills(self._project.state.make().stills).of(path, cut, side=self._side)
            poster, first, last = map(_picture, (made.poster, made.first, made.last))
        except (MissingExtra, MediaError) as error:
            if (words := f"no stills: {error.message}") not in self.warnings:
                self.warnings.append(words)
        return Clip(address=self._address(path), poster=poster, first=first, last=last)

    def _address(self, path: Path) -> str:
        """Where the page finds the clip."""
        if self._embed:
            content = path.read_bytes()
            self._bytes += len(content)
            if self._bytes > MOST_EMBEDDED:
                raise UsageError(f"the clips are more than {MOST_EMBEDDED // 1_000_000} MB: too much for one page",
                                 code="too-large", hint="leave out --embed, and send the folder")
            self.embedded.append(Embedded(name=f"clip{len(self.embedded)}", base64=base64.b64encode(content).decode()))
            return f"#{self.embedded[-1].name}"
        if not self._to.is_relative_to(self._project.files.root):
            raise UsageError("a page outside the repository cannot name its clips", code="outside-repository",
                             hint="put them into it with --embed, or write it beside them")
        return quote(posixpath.join(*Path(os.path.relpath(path, self._to.parent)).parts))


def pictures_of(project: Project, show: Show) -> dict[str, str]:
    """The picture files that shots begin or end on, small. What cannot be read is left out: `validate` has judged it."""
    names = sorted({frame.path for shot in show.manifest.shots for frame in (shot.first_frame, shot.last_frame)
                    if isinstance(frame, FileFrame)})
    found: dict[str, str] = {}
    for name in names:
        try:
            from manifest_runner.adapters.stills import thumbnail  # the video extra

            found[name] = _picture(thumbnail(project.files.read(name), name))
        except (MissingExtra, MediaError, UsageError):
            continue
    return found


def _picture(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def before_of(project: Project, show: Show, name: str, clips: Clips) -> Before:
    """The manifest, its includes and its lockfile as they stood at a git revision; raises `UsageError` where there is none of
    that name, and `InvalidInput` where the manifest of that time is not valid."""
    folder = posixpath.dirname(project.name)
    revision = Revision.open(project.files.root, name, folder=folder)
    try:
        data = revision.read(project.path.name)
    except UsageError:
        return Before(name=name, commit=revision.commit)  # the manifest is newer: every shot is new
    path = f"{name}:{project.name}"
    filled, findings = expansion.load(data, path=path, sources=revision, make_engine=confined)
    manifest, more = check(filled, show.card)
    wrong = [item for item in (*findings, *more) if item.severity is Severity.ERROR]
    if manifest is None or wrong:
        raise InvalidInput(wrong, texts={path: data.decode("utf-8", "replace")})
    try:
        locked = lockfile.read(revision.read(project.lock_path.name).decode("utf-8", "replace"), path=f"{name}:lockfile")
    except UsageError:
        locked = Lockfile()
    shots = {shot.id: shot for shot in manifest.shots}
    return Before(name=name, commit=revision.commit, shots=shots, clips=clips.then(manifest, locked))


