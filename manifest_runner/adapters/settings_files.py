"""The files that settings are read from: two of the repository, which arrive in pull requests, and the user's own.

Laws: a file is read up to a bound; an unknown name is a mistake and not a silence; whatever is in a file of the repository, a
`UsageError` is the worst that comes of it.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifest_runner.core.model import Source
from manifest_runner.errors import UsageError

_LARGEST = 1024 * 1024
_TRIED = 50
_MOST = 10 ** 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one file says. `path` is as shown, `inside` the tables within it that hold ours."""

    path: str
    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    inside: tuple[str, ...] = ()

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.data.get("models", {})
        return found

    def place(self, *names: str) -> Source:
        """Where a setting is said, best as can be: the first line that ends a text which says it."""
        lines = self.text.split("\n")
        candidates = [number for number, line in enumerate(lines, 1) if names[-1] in line]
        for number in candidates[:_TRIED]:
            if _says("\n".join(lines[:number]), (*self.inside, names[0])):
                return Source(path=self.path, line=number, column=1)
        return Source(path=self.path, line=candidates[0] if candidates else 1, column=1)


_OF_PROJECT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("manifest-runner.toml", ()), ("pyproject.toml", ("tool", "manifest-runner")))


def project_files(root: Path) -> list[Path]:
    """Where a repository's own settings lie or would lie, the file that counts first."""
    return [root / name for name, _ in _OF_PROJECT]


def project_tables(root: Path, known: Collection[str]) -> list[Table]:
    """The repository's own, the one that counts first; `known` are the names of settings."""
    return [_read(root / name, inside, known) for name, inside in _OF_PROJECT if (root / name).is_file()]


def user_table(environ: Mapping[str, str], known: Collection[str]) -> Table:
    """The user's own, empty where there is none."""
    base = environ.get("XDG_CONFIG_HOME") or (os.path.join(environ["HOME"], ".config") if environ.get("HOME") else "")  # noqa: PTH118
    path = Path(base) / "manifest-runner" / "config.toml"
    return _read(path, (), known) if base and path.is_file() else Table(path=str(path) if base else "")


def toml_line(path: tuple[str, ...], value: Any) -> str:
    """One line that says a value at the top of a TOML file."""
    bare = [part.isascii() and part.replace("-", "").replace("_", "").isalnum() for part in path]
    keys = ".".join(part if is_bare else _quoted(part) for part, is_bare in zip(path, bare, strict=True))
    return f"{keys} = {_quoted(value)}"


def _quoted(value: Any) -> str:
    """A text, number, truth value or list as TOML spells it: as JSON does, but for what JSON leaves as it is."""
    return json.dumps(value, default=str, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(path: Path, inside: tuple[str, ...], known: Collection[str]) -> Table:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", code="settings-syntax") from None
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is larger than {_LARGEST:,} bytes", code="settings-syntax")
    try:
        text = content.decode()
        data = _parse(text)
    except ValueError as error:
        raise UsageError(f"{path}: {error}", code="settings-syntax") from None
    for name in inside:
        data = data.get(name, {}) if isinstance(data, dict) else None
    if not isinstance(data, dict):
        raise UsageError(f"{path}: {'.'.join(inside)} must be a table", code="settings-syntax")
    _check(path, data, known)
    return Table(path=str(path), data=data, text=text, inside=inside)


def _parse(text: str) -> Any:
    import tomllib  # only where a configuration exists: start-up time

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check(path: Path, data: Mapping[str, Any], known: Collection[str]) -> None:
    for name, value in data.items():
        if not isinstance(value, float) and not _is_sane(value):  # where a limit is used, it is judged as a number of its own
            raise UsageError(f"{path}: {name} holds a number that is none, or one without measure", code="settings-syntax",
                             hint=f"numbers lie between -{_MOST:,} and {_MOST:,}; nan and inf do not")
        if name == "models":
            if not isinstance(value, dict) or not all(isinstance(model, dict) for model in value.values()):
                raise UsageError(f"{path}: models must hold a table for each model", code="settings-syntax")
        elif name not in known:
            near = difflib.get_close_matches(name, [*known, "models"], 1)
            raise UsageError(f"{path}: unknown setting {name!r}", code="unknown-setting",
                             hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")
        elif not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UsageError(f"{path}: {name} must be a text or a number", code="settings-syntax")


def _is_sane(value: Any) -> bool:
    """Whether every number in a value can be calculated with, and written as JSON."""
    if isinstance(value, dict):
        return all(map(_is_sane, value.values()))
    if isinstance(value, list):
        return all(map(_is_sane, value))
    return not isinstance(value, int | float) or abs(value) <= _MOST


def _says(text: str, names: tuple[str, ...]) -> bool:
    try:
        data = _parse(text)
    except ValueError:
        return False
    for name in names:
        if not isinstance(data, dict) or name not in data:
            return False
        data = data[name]
    return True
