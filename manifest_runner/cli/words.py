"""Command lines and paths that are shown to people and programs."""

from __future__ import annotations

import shlex
from pathlib import Path


def command(*words: str, draft: bool = False) -> str:
    """`manifest-runner` and these words, quoted for a shell."""
    return shlex.join(["manifest-runner", *words, *(["--draft"] if draft else [])])


def near(path: Path) -> Path:
    """The path from the working folder where it lies below it."""
    resolved = path.resolve()
    return resolved.relative_to(Path.cwd()) if resolved.is_relative_to(Path.cwd()) else path
