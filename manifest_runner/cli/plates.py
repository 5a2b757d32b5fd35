"""The picture files that shots begin and end on: read, hashed, looked at, and what there is to say about them before they cost
anything.

Laws: nothing is decoded and no library is loaded, so that a plan says the same wherever it is made; a picture that cannot be
used is told at every place that names it, and what is only advice once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from manifest_runner.core.chains import FRAMES
from manifest_runner.core.model import Diagnostic, Json, Pointer, Severity
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.origins import json_pointer
from manifest_runner.core.pictureheaders import read
from manifest_runner.core.pictures import Picture, Remark, proportions, refusal, remarks, why_converted
from manifest_runner.core.rules import ADDRESS
from manifest_runner.core.verdict import ratio_of
from manifest_runner.errors import UsageError

if TYPE_CHECKING:
    from manifest_runner.adapters.files import RepositoryFiles
    from manifest_runner.core.expansion import Filled

_HINT = "a frame is a picture of the repository, relative to the manifest; a URL; or {shot: ID, frame: last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plates:
    """By the path that a manifest names: the sha256 of each picture's own bytes, and in words what is mended about it before it
    is sent, where anything is. `findings` are for people."""

    hashes: dict[str, str] = field(default_factory=dict)
    converted: dict[str, str] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)


def look_at(filled: Filled, files: RepositoryFiles, card: ModelCard) -> Plates:
    """Every picture file that a shot names."""
    return _Looking(filled, files, card).all()


class _Looking:
    def __init__(self, filled: Filled, files: RepositoryFiles, card: ModelCard) -> None:
        self._filled, self._files, self._card = filled, files, card
        self._plates = Plates()
        self._pictures: dict[str, Picture | None] = {}
        self._bad: dict[str, Remark] = {}
        self._said: set[tuple[object, ...]] = set()

    def all(self) -> Plates:
        found = self._filled.data.get("shots")
        shots = [shot if isinstance(shot, dict) else {} for shot in found] if isinstance(found, list) else []
        ids = {str(shot.get("id")) for shot in shots}
        for index, shot in enumerate(shots):
            for key in FRAMES:
                path = _path(shot, key)
                if path is not None:
                    self._file(path, ("shots", index, key), ids)
            for key, remark in self._proportions(shot):
                self._say(remark, ("shots", index, key))
        return self._plates

    def _file(self, path: str, pointer: Pointer, ids: set[str]) -> None:
        if path not in self._pictures:
            self._pictures[path] = self._look(path, pointer)
        if (bad := self._bad.get(path)) is not None:
            hint = bad.hint if path not in ids else f"a frame of that shot is {{shot: {path}, frame: last}}"
            self._say(Remark(code=bad.code, message=bad.message, hint=hint, severity=bad.severity), pointer)

    def _look(self, path: str, pointer: Pointer) -> Picture | None:
        try:
            content = self._files.read(path)
        except UsageError as error:
            self._bad[path] = Remark(code=error.code, message=error.message, hint=_HINT, severity=Severity.ERROR)
            return None
        picture, advice = read(content), self._card.frames.picture
        refused = refusal(path, picture, content)
        if refused is not None or picture is None:
            if refused is not None:
                self._bad[path] = refused
            return None
        self._plates.hashes[path] = hashlib.sha256(content).hexdigest()
        for remark in remarks(path, picture, advice):
            self._say(remark, pointer)
        if mended := why_converted(picture, advice):
            words = self._plates.converted[path] = ", ".join(mended)
            if find_spec("PIL") is None:  # asked, not loaded
                words = f"{path} has to be converted ({words}), and the extra [video], which does that, is not installed here"
                self._say(Remark(code="needs-extra", message=words, hint="pip install 'manifest-runner[video]'"), pointer)
        return picture

    def _proportions(self, shot: dict[str, Json]) -> Iterator[tuple[str, Remark]]:
        first, last = (self._pictures.get(_path(shot, key) or "") for key in FRAMES)
        rules = self._card.clip
        asked = None if rules is None else shot.get(rules.aspect_ratio, self._card.defaults.get(rules.aspect_ratio))
        return proportions(first, last, ratio_of(asked) if isinstance(asked, str) else None)

    def _say(self, remark: Remark, pointer: Pointer) -> None:
        """One finding where it was written; a default that all shots share is one place."""
        source, notes = self._filled.origins.locate(pointer)
        if (source, remark.code, remark.message) in self._said:
            return
        self._said.add((source, remark.code, remark.message))
        self._plates.findings.append(Diagnostic(
            severity=remark.severity, code=remark.code, message=remark.message, hint=remark.hint, pointer=json_pointer(pointer),
            source=source, notes=notes))


def _path(shot: dict[str, Json], key: str) -> str | None:
    """The picture file that a shot names there, None where it names none."""
    value = shot.get(key)
    return value if isinstance(value, str) and value and not ADDRESS.match(value) else None
