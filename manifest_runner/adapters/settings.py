"""The operator's settings: flag, then environment, then the project's configuration, then the user's own file.

Every value remembers where it came from, so that `status --settings` can show it. A manifest can set none of these.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.core.model import Rate
from manifest_runner.core.validation import parse_rate
from manifest_runner.errors import UsageError

DEFAULT_BASE_URL = "https://brahmand-api.bulletshorts.co"

VARIABLES: Mapping[str, str] = {
    "base-url": "MANIFEST_RUNNER_BASE_URL",
    "key-file": "",
    "state-dir": "MANIFEST_RUNNER_STATE",
    "max-credits": "MANIFEST_RUNNER_MAX_CREDITS",
    "daily-credits": "MANIFEST_RUNNER_DAILY_CREDITS",
    "rate": "MANIFEST_RUNNER_RATE",
    "concurrency": "MANIFEST_RUNNER_CONCURRENCY",
    "frames": "MANIFEST_RUNNER_FRAMES",
    "callback-url": "MANIFEST_RUNNER_CALLBACK_URL",
    "listen": "MANIFEST_RUNNER_LISTEN",
}
"""Setting → environment variable. The names are those of the flags and of the configuration files."""

MOST_CREDITS = Decimal(10**12)
"""More than anybody has; a number of any length would be slow to add up."""

DEFAULTS: Mapping[str, str] = {"base-url": DEFAULT_BASE_URL, "frames": "store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value as text (None: not set) and the place that said so."""

    name: str
    value: str | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one invocation. `models` holds the operator's overrides of model cards by model name."""

    values: Mapping[str, Setting]
    models: Mapping[str, Mapping[str, Any]]

    def text(self, name: str) -> str | None:
        return self.values[name].value

    def credits(self, name: str) -> Decimal | None:
        """A setting in credits; raises `UsageError` where it is not a number from 0."""
        setting = self.values[name]
        if setting.value is None:
            return None
        try:
            number = Decimal(setting.value)
        except InvalidOperation:
            number = Decimal(-1)
        if not number.is_finite() or not 0 <= number <= MOST_CREDITS:
            raise UsageError(f"{name} is {setting.value!r} ({setting.origin}); it must be a number of credits from 0")
        return number

    def concurrency(self) -> int | None:
        setting = self.values["concurrency"]
        if setting.value is None:
            return None
        if not (setting.value.isascii() and setting.value.isdigit() and 1 <= int(setting.value) <= 1000):
            raise UsageError(f"concurrency is {setting.value!r} ({setting.origin}); it must be a whole number from 1 to 1000")
        return int(setting.value)

    def rate(self) -> Rate | None:
        setting = self.values["rate"]
        return None if setting.value is None else parse_rate(setting.value)


def read_settings(root: Path, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """The settings in force below a repository's root."""
    files = [*_project_files(root), *_user_file(environ)]
    tables = [(str(path), _table(path)) for path in files]
    values: dict[str, Setting] = {}
    for name, variable in VARIABLES.items():
        values[name] = _one(name, variable, flags, environ, tables)
    models: dict[str, Mapping[str, Any]] = {}
    for _, table in reversed(tables):
        models.update(table.get("models", {}))
    return Settings(values=values, models=models)


def _one(name: str, variable: str, flags: Mapping[str, str | None], environ: Mapping[str, str],
         tables: list[tuple[str, dict[str, Any]]]) -> Setting:
    flag = flags.get(name)
    if flag is not None:
        return Setting(name=name, value=flag, origin=f"--{name}")
    if variable and environ.get(variable):
        return Setting(name=name, value=environ[variable], origin=variable)
    for path, table in tables:
        if name in table:
            return Setting(name=name, value=str(table[name]), origin=path)
    return Setting(name=name, value=DEFAULTS.get(name), origin="default")


def _project_files(root: Path) -> list[Path]:
    return [path for path in (root / "manifest-runner.toml", root / "pyproject.toml") if path.is_file()]


def _user_file(environ: Mapping[str, str]) -> list[Path]:
    base = environ.get("XDG_CONFIG_HOME") or (os.path.join(environ["HOME"], ".config") if environ.get("HOME") else "")  # noqa: PTH118
    path = Path(base) / "manifest-runner" / "config.toml"
    return [path] if base and path.is_file() else []


def _table(path: Path) -> dict[str, Any]:
    """The table of one file, checked: an unknown name is a mistake, not a silence."""
    import tomllib  # only where a configuration exists: start-up time

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", code="settings-syntax") from None
    if path.name == "pyproject.toml":
        data = data.get("tool", {}).get("manifest-runner", {})
    for name in data:
        if name not in VARIABLES and name != "models":
            near = difflib.get_close_matches(name, [*VARIABLES, "models"], 1)
            raise UsageError(f"{path}: unknown setting {name!r}", code="unknown-setting",
                             hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(VARIABLES)}")
    return data


def key_in(environ: Mapping[str, str]) -> bool:
    """Whether the environment holds a key, without reading it into anything that lives on."""
    return bool(environ.get(KEY_VARIABLE))
