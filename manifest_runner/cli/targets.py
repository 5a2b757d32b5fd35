"""Files that a command is asked to write: nothing that somebody may have worked on is replaced unasked."""

from __future__ import annotations

from pathlib import Path

from manifest_runner.errors import UsageError


def check_free(to: Path, *, force: bool) -> None:
    """Raise `UsageError` where a file is there already, unless `force`, or where its folder is not."""
    if not to.parent.is_dir():
        raise UsageError(f"there is no folder {to.parent}", code="cannot-write", hint="make it first")
    if to.is_dir():
        raise UsageError(f"{to} is a folder", code="cannot-write", hint="name a file")
    if (to.exists() or to.is_symlink()) and not force:
        raise UsageError(f"{to} is there already", code="exists", hint="name another with --out, or replace it with --force")
