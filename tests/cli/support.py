"""Runs the program in a process of its own, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFESTS = Path(__file__).parents[2] / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    out: str
    err: str


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment with nothing of the developer's in it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "120", **(extra or {})}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "manifest_runner", *arguments]


def run(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str | None = None, timeout: float = 120
) -> Ran:
    """Run a command line in `folder` and return what came of it."""
    ran = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder, env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(code=ran.returncode, out=ran.stdout, err=ran.stderr)


def write(folder: Path, text: str, name: str = "show.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
