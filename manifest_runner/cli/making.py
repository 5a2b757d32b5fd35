"""Gathers what make must know: which files a plan stands on, and how the clips stand.

Law: a file that make cannot name is said at its place, all of them at once, before anything is written.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn

from manifest_runner.adapters.resources import card_path
from manifest_runner.adapters.settings import RUN_VARIABLE
from manifest_runner.adapters.settings_files import project_files
from manifest_runner.adapters.stamps import Stamp, set_stamps, write_if_changed, write_rules
from manifest_runner.cli.planner import chosen
from manifest_runner.cli.project import Project, Show, sort_diagnostics, texts_of
from manifest_runner.core.model import Diagnostic, FileFrame, Note, Plan, Pointer, ShotId, Source
from manifest_runner.core.origins import json_pointer
from manifest_runner.core.planning import with_upstream
from manifest_runner.errors import InvalidInput, UsageError
from manifest_runner.views.makefile import (
    ALL,
    CUT,
    SHOTS,
    Paths,
    Rules,
    all_clips,
    clips_of,
    cut_list,
    dependencies,
    makefile,
    stale_shots,
)
from manifest_runner.views.makewords import is_plain, unspeakable, variable

_HINT = "give it another name, or another folder: make has no way to write this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that a plan stands on, as make is to call them: those that are there, the manifest first, and those that would
    count if they were."""

    there: tuple[str, ...]
    perhaps: tuple[str, ...]


def files_of(project: Project, show: Show, shots: Collection[ShotId] | None = None) -> Files:
    """Manifest, includes, templates, pictures (of these shots, or of all), model card, settings and lockfile."""
    frames = (frame for shot in show.manifest.shots if shots is None or shot.id in shots
              for frame in (shot.first_frame, shot.last_frame))
    pictures = [_inside(project, frame.path) for frame in frames if isinstance(frame, FileFrame)]
    named = list(dict.fromkeys([posixpath.normpath(project.path.as_posix()), *show.inputs, *pictures]))
    card = _shown(project, card_path(show.card.name))
    places = [*project_files(project.files.root), *([Path(user)] if (user := project.settings.user_file) else [])]
    others = [*(_shown(project, place) for place in places), posixpath.normpath(project.lock_path.as_posix())]
    return Files(there=(*named, card), perhaps=tuple(others))


def rules_of(project: Project, show: Show, out: str | None, *, together: bool, state: str | None,
             commands: Sequence[str]) -> Rules:
    """The rules of a manifest. Raises `InvalidInput` for names that make cannot spell."""
    files = files_of(project, show)
    name = project.path.with_name(project.stem).as_posix() + (".draft" if project.draft else "")
    paths = Paths(manifest=project.shown, folder=project.path.parent.as_posix(), name=name, state=state,
                  stamps=_shown(project, _stamps(project)))
    _check(project, show, [*files.there, *files.perhaps, paths.stamps, *([out] if out is not None else [])])
    # Whether those with plain names are there, make itself looks. For others it cannot: such a file counts if it is there now.
    odd = [file for file in files.perhaps if not is_plain(file) and Path(file).is_file()]
    return Rules(manifest=show.manifest, paths=paths, inputs=(*files.there, *odd),
                 perhaps=tuple(filter(is_plain, files.perhaps)), out=out, draft=project.draft,
                 together=together or project.draft, commands=commands, run=RUN_VARIABLE)


def set_stamps_of(project: Project, rules: Rules, plan: Plan) -> int:
    """Set the stamps by the plan; how many shots there is something to do about."""
    stale = stale_shots(plan)
    clips = {shot.id: tuple(map(posixpath.basename, clips_of(rules.manifest, shot))) for shot in rules.manifest.shots}
    if rules.together:
        wanted = {ALL: Stamp(stale=bool(stale), clips=tuple(chain.from_iterable(clips.values())))}
    else:
        wanted = {str(shot): Stamp(stale=shot in stale, clips=names) for shot, names in clips.items()}
    project.state.make()
    folder = _stamps(project)
    set_stamps(folder / SHOTS, project.files.folder / rules.manifest.output, wanted, time.time_ns())
    write_if_changed(folder / CUT, cut_list(rules.manifest))
    return len(stale)


def write(rules: Rules, began: int) -> None:
    """Write the rules to where they belong. `began` is when this command did, before it read anything."""
    assert rules.out is not None  # noqa: S101 - what is printed is not written
    to = Path(rules.out)
    if not to.parent.is_dir():
        raise UsageError(f"there is no folder {to.parent}", code="cannot-write", hint="make it first")
    write_rules(to, makefile(rules), [Path(file) for file in rules.inputs], began, time.time_ns())


def write_depfile(project: Project, show: Show, only: Sequence[str], to: Path) -> None:
    """Write what the clips of these shots (of all, where none are named) depend on. The lockfile is not among it: every render
    changes it. Raises `InvalidInput` for names that make cannot spell, and `UsageError`."""
    shots = chosen(show.manifest, only) if only else frozenset(shot.id for shot in show.manifest.shots)
    above = with_upstream(show.manifest, shots)
    clips = [_inside(project, path) for path in all_clips(show.manifest, shots)]
    before = [_inside(project, path) for path in all_clips(show.manifest, above - shots)]
    files = files_of(project, show, above)
    lock = posixpath.normpath(project.lock_path.as_posix())
    others = [file for file in files.perhaps if file != lock and Path(file).is_file()]
    _check(project, show, [*files.there, *others])
    write_if_changed(to, dependencies(clips, [*files.there, *others, *before]))


def _stamps(project: Project) -> Path:
    """The folder of a manifest's stamps: one for each manifest, wherever the command is typed."""
    digest = hashlib.sha256(project.name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    kind = ".draft" if project.draft else ""
    return project.state.rules / f"{variable(project.stem)}{kind}-{digest}"


def _inside(project: Project, path: str) -> str:
    return posixpath.normpath((project.path.parent / path).as_posix())


def _shown(project: Project, path: Path) -> str:
    """A path of this machine as make is to call it: relative where it belongs to the repository, which may be moved."""
    whole = Path(os.path.normpath(Path.cwd() / path))
    return Path(os.path.relpath(whole)).as_posix() if whole.is_relative_to(project.files.root) else whole.as_posix()


def _check(project: Project, show: Show, names: Iterable[str]) -> None:
    """Raise `InvalidInput` with every name that make cannot spell, at its place."""
    folder = project.path.parent.as_posix()
    if unspeakable(posixpath.normpath(project.path.as_posix())):  # then nothing beside it has a name either
        _refuse(show, [_finding(project.shown, Source(path=project.shown, line=1, column=1))])
    found: dict[str, Diagnostic] = {}
    for index, shot in enumerate(show.manifest.shots):
        for key, frame in (("first_frame", shot.first_frame), ("last_frame", shot.last_frame)):
            if isinstance(frame, FileFrame) and unspeakable(frame.path):
                source, notes = show.origins.locate(("shots", index, key))
                finding = _finding(frame.path, source, ("shots", index, key), notes)
                found.setdefault(posixpath.normpath(posixpath.join(folder, frame.path)), finding)
    if unspeakable(show.manifest.output):
        source, notes = show.origins.locate(("output",))
        found["output"] = _finding(show.manifest.output, source, ("output",), notes)
    for name in names:
        if unspeakable(name):
            there = name in show.inputs
            found.setdefault(name, _finding(name, Source(path=name, line=1, column=1) if there else None))
    if found:
        _refuse(show, list(found.values()))


def _finding(name: str, source: Source | None, pointer: Pointer = (), notes: tuple[Note, ...] = ()) -> Diagnostic:
    return Diagnostic(code="make-name", message=f"GNU make cannot name {name}: it has {unspeakable(name)}", source=source,
                      pointer=json_pointer(pointer), notes=notes, hint=_HINT)


def _refuse(show: Show, found: list[Diagnostic]) -> NoReturn:
    raise InvalidInput(sort_diagnostics(found), texts=texts_of(show.origins, found))
