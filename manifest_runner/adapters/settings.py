"""The operator's settings: flag, then environment, then the project's configuration, then the user's own file.

Laws
- Every value remembers where it came from, so that `status --settings` can show it. A manifest can set none of these.
- The project's configuration arrives in pull requests. Where the key goes, who is called, what is listened on and what lies
  outside the repository, it can only claim: such a `Claim` is in force nowhere until the operator says the same.
- A variable that is set and empty is no silent default where money hangs on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.adapters.settings_files import Table, project_tables, toml_line, user_table
from manifest_runner.core.model import Rate, Source
from manifest_runner.core.validation import parse_rate
from manifest_runner.errors import UsageError

DEFAULT_BASE_URL = "https://brahmand-api.bulletshorts.co"

VARIABLES: Mapping[str, str] = {
    "base-url": "MANIFEST_RUNNER_BASE_URL",
    "key-file": "",
    "state-dir": "MANIFEST_RUNNER_STATE",
    "ledger": "MANIFEST_RUNNER_LEDGER",
    "max-credits": "MANIFEST_RUNNER_MAX_CREDITS",
    "daily-credits": "MANIFEST_RUNNER_DAILY_CREDITS",
    "rate": "MANIFEST_RUNNER_RATE",
    "concurrency": "MANIFEST_RUNNER_CONCURRENCY",
    "store": "MANIFEST_RUNNER_STORE",
    "store-url": "MANIFEST_RUNNER_STORE_URL",
    "frames": "MANIFEST_RUNNER_FRAMES",
    "callback-url": "MANIFEST_RUNNER_CALLBACK_URL",
    "listen": "MANIFEST_RUNNER_LISTEN",
}
"""Setting → environment variable. The names are those of the flags and of the configuration files."""

OPERATORS_OWN = ("base-url", "key-file", "ledger", "store", "store-url", "callback-url", "listen")
"""Settings that say where the key, the books and the clips go, or who gets in. A `state-dir` outside the repository is one,
too."""

_LIMITS = ("max-credits", "daily-credits", "rate", "concurrency")
_NEVER_EMPTY = ("base-url", "ledger", *_LIMITS)
_LONGEST_NAME = 200

MOST_CREDITS = Decimal(10**12)
"""More than anybody has; a number of any length would be slow to add up."""

RUN_VARIABLE = "MANIFEST_RUNNER_RUN"
"""Names the run that a command belongs to. No setting, and in no file: it is for whoever starts several commands as one run, as
make does, so that they share its limit of credits."""

DEFAULTS: Mapping[str, str] = {"base-url": DEFAULT_BASE_URL, "frames": "store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value as text (None: not set) and the place that said so."""

    name: str
    value: str | None
    origin: str

    @property
    def shown(self) -> str:
        """The value as it may be shown."""
        return shown(self.name, self.value or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the repository says of a setting that only its operator decides. `line` is how the user's own file would say it;
    nothing of a claim holds what may not be shown."""

    name: str
    value: str
    source: Source
    line: str
    text: str

    @property
    def origin(self) -> str:
        return f"{self.source.path}:{self.source.line}, not in force: the repository alone says so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings in force of one invocation, and what is claimed besides. `models` holds the overrides of model cards by
    model name, `user_file` is where the operator's own configuration lies or would lie."""

    values: Mapping[str, Setting]
    models: Mapping[str, Mapping[str, Any]]
    claims: tuple[Claim, ...] = ()
    user_file: str = ""

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
    project, user = project_tables(root, VARIABLES), user_table(environ, VARIABLES)
    values: dict[str, Setting] = {}
    claims: list[Claim] = []
    for name, variable in VARIABLES.items():
        own = _own(name, variable, flags, environ)
        said = next((table for table in project if name in table.data), None)
        if own is None and said is not None:
            found = _of_project(root, name, said, user)
            if isinstance(found, Claim):
                claims.append(found)
            else:
                own = found
        if own is None and name in user.data:
            own = Setting(name=name, value=str(user.data[name]), origin=user.path)
        values[name] = own or Setting(name=name, value=DEFAULTS.get(name), origin="default")
    models = _models(project, user, claims)
    return Settings(values=values, models=models, claims=tuple(claims), user_file=user.path)


def _own(name: str, variable: str, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Setting | None:
    """What this invocation itself says."""
    flag = flags.get(name)
    if flag is not None:
        return Setting(name=name, value=flag, origin=f"--{name}")
    said = environ.get(variable) if variable else None
    if said or (said is not None and name in _NEVER_EMPTY):
        return Setting(name=name, value=said, origin=variable)
    return None


def _of_project(root: Path, name: str, table: Table, user: Table) -> Setting | Claim:
    """What a file of the repository says: in force, or a claim where the operator alone decides and does not say the same."""
    value = str(table.data[name])
    if name in OPERATORS_OWN or (name == "state-dir" and not _is_inside(root, value)):
        if name in user.data and str(user.data[name]) == value:
            return Setting(name=name, value=value, origin=user.path)
        told = shown(name, value)
        return Claim(name=name, value=told, source=table.place(name), line=toml_line((name,), told),
                     text=table.text if told == value else "")
    if name in _LIMITS and name in user.data:  # a pull request must not raise what its reader has set for himself
        own = Setting(name=name, value=str(user.data[name]), origin=user.path)
        return own if _tightness(name, own.value or "") <= _tightness(name, value) else Setting(
            name=name, value=value, origin=table.path)
    if name == "state-dir":  # relative to the file that says so, wherever the command is typed
        value = str(root / value)
    return Setting(name=name, value=value, origin=table.path)


def _tightness(name: str, value: str) -> Decimal | float:
    """A number that is the smaller, the less a limit allows; what is none comes first, so that it is seen and refused."""
    try:
        if name == "rate":
            return 1 / parse_rate(value).spacing
        number = Decimal(value)
    except (ArithmeticError, UsageError):
        return -1
    return number if number.is_finite() else -1


def _is_inside(root: Path, value: str) -> bool:
    """Whether a folder lies below the root after its links are followed, and not in git's own."""
    try:
        place, top = (root / value).resolve(), root.resolve()
    except (OSError, ValueError):
        return False
    return place != top and place.is_relative_to(top) and ".git" not in place.relative_to(top).parts


def _models(project: list[Table], user: Table, claims: list[Claim]) -> dict[str, Mapping[str, Any]]:
    """The overrides of model cards: the user's own, and of the repository's what makes them more careful."""
    models: dict[str, Mapping[str, Any]] = dict(user.models)
    if not any(table.models for table in project):
        return models
    from manifest_runner.adapters.resources import load_card, model_names  # start-up: few repositories change a card
    from manifest_runner.core.caution import split
    from manifest_runner.core.modelcard import in_full, merged, override

    for table in reversed(project):
        for name, changes in table.models.items():
            if name not in model_names():
                continue
            own = in_full(models.get(name, {}))
            careful, doubtful = split(override(load_card(name), own), changes)
            models[name] = merged(own, careful)
            claims.extend(_claims(table, name, doubtful))
    return models


def _claims(table: Table, model: str, doubtful: Mapping[tuple[str, ...], Any]) -> Iterator[Claim]:
    for path, value in doubtful.items():
        whole = ("models", model, *path)
        yield Claim(name=".".join(whole), value=str(value), source=table.place("models", whole[-1]),
                    line=toml_line(whole, value), text=table.text)


def shown(name: str, value: str) -> str:
    """A setting's value as it may be shown: the address of a ledger without user and password."""
    if name != "ledger":
        return value
    from manifest_runner.adapters.team_address import redacted  # few have one

    return redacted(value)


def run_name(environ: Mapping[str, str]) -> str | None:
    """The run that this command belongs to, where somebody has said so. Raises `UsageError` for a name that is none."""
    name = environ.get(RUN_VARIABLE, "").strip()
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{RUN_VARIABLE} is no name of a run", code="run-name",
                         hint=f"up to {_LONGEST_NAME} characters that can be printed, another for each run; or leave it unset")
    return name or None


def key_in(environ: Mapping[str, str]) -> bool:
    """Whether the environment holds a key, without reading it into anything that lives on."""
    return bool(environ.get(KEY_VARIABLE))
