"""Runs the program in a process of its own, as a user does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import warm

MANIFESTS = Path(__file__).parents[2] / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    out: str
    err: str


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment with nothing of the developer's in it."""
    return {**warm.of_this_machine(), "HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "120", **(extra or {})}


def command(*arguments: str, module: str = "manifest_runner") -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def start(folder: Path, *arguments: str, env: Mapping[str, str] | None = None, fresh: bool = False,
          module: str = "manifest_runner", stdin: int | None = subprocess.DEVNULL, stdout: int | None = subprocess.DEVNULL,
          stderr: int | None = subprocess.DEVNULL) -> warm.Process | subprocess.Popen[str]:
    """The program in a process of its own, in `folder`; `fresh` for one that starts with the interpreter's own start."""
    whole = environment(folder, env)
    if fresh or not warm.can_start(whole):
        return subprocess.Popen(command(*arguments, module=module), cwd=folder, env=whole, text=True, stdin=stdin,
                                stdout=stdout, stderr=stderr)
    return warm.Process(arguments, module=module, cwd=folder, env=whole, stdin=stdin, stdout=stdout, stderr=stderr)


def run(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str | None = None, timeout: float = 120,
    fresh: bool = False
) -> Ran:
    """Run a command line in `folder` and return what came of it."""
    process = start(folder, *arguments, env=env, fresh=fresh, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except BaseException:
        process.kill()
        raise
    assert "Traceback" not in err, err
    return Ran(code=process.wait(), out=out, err=err)


def write(folder: Path, text: str, name: str = "show.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
