"""Stamps for make: files of which only the time counts, below the state folder.

They hold nothing that could not be worked out again, so nothing here is synced: after a power cut they are set once more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from manifest_runner.adapters.files import make_folder, write_atomically
from manifest_runner.core.stamps import rules_time, stamp_time
from manifest_runner.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Whether there is something to do, and the names of the clips that it is about."""

    stale: bool
    clips: tuple[str, ...]


def set_stamps(folder: Path, clips: Path, wanted: Mapping[str, Stamp], now: int) -> None:
    """Give every stamp in `folder` the time that says what is so of its clips, which lie in the folder `clips`; others go away.
    Raises `UsageError` where the folder cannot be written."""
    try:
        make_folder(folder)
        there, made = _times(folder), _times(clips)
        for name, stamp in wanted.items():
            known = [made[clip] for clip in stamp.clips if clip in made]
            time = stamp_time(stamp.stale, there.get(name), known, now)
            if time is not None:
                _set(folder / name, time, new=name not in there)
        for name in there.keys() - wanted.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"the stamps in {folder} cannot be set: {error.strerror}", code="cannot-write",
                         hint="choose another folder with --state-dir or MANIFEST_RUNNER_STATE") from None


def write_if_changed(path: Path, text: str) -> None:
    """Replace a file, unless it says this already: then its time stays, too. Raises `UsageError`."""
    if _text(path) != text:
        write_atomically(path, text.encode())


def write_rules(path: Path, text: str, inputs: Sequence[Path], began: int, now: int) -> None:
    """Replace a file of rules if it says something else, and give it the time that keeps make from making it again until one
    of the inputs changes. Raises `UsageError`."""
    times = []
    for file in inputs:
        with suppress(OSError):
            times.append(file.stat().st_mtime_ns)
    write_if_changed(path, text)
    try:
        time = rules_time(began, times, now)
        os.utime(path, ns=(time, time))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be given a time: {error.strerror}", code="cannot-write") from None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _times(folder: Path) -> dict[str, int]:
    """When every file in a folder was last changed, as make sees it: links followed."""
    found: dict[str, int] = {}
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return found
    with entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # a temporary file of a run that goes on beside this one
                if entry.is_file():
                    found[entry.name] = entry.stat().st_mtime_ns
    return found


def _set(path: Path, time: int, *, new: bool) -> None:
    if new:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    os.utime(path, ns=(time, time))
