"""What may be typed next: manifests, shot lists, shot ids and takes, for the completion of shells.

Laws: it is asked at every press of the tab key, so nothing is parsed and nothing heavy imported; what cannot be found out is
not offered, and nothing is ever an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_SUFFIXES = (".yaml", ".yml", ".yaml.j2", ".yml.j2")
_LISTS = (".csv", ".tsv")
# Compiled when they are used: every command imports this module, and hardly one completes.
_SHOWS = rb"(?m)^show[ \t]*:"
_ID = (r"(?m)(?:^[ \t]*(?:-[ \t]+)?|[{,][ \t]*)id:[ \t]*[\"']?"
       r"([A-Za-z0-9][A-Za-z0-9._-]*)[\"']?[ \t]*(?=[#,}\r\n]|\Z)")
_TAKES = r"\btakes[\"']?:[ \t]*([1-9][0-9]?)\b"
_HEAD = 16 * 1024  # bytes in which a manifest says that it is one
_LARGEST = 8 * 1024 * 1024
_ENTRIES = 2000


def complete_manifests(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Manifests in the folder that is being typed, and one folder below it; where there are none, any file."""
    return _files(incomplete, _is_manifest)


def complete_lists(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same of shot lists."""
    return _files(incomplete, lambda entry: entry.name.lower().endswith(_LISTS) and entry.is_file())


def _files(incomplete: str, wanted: Callable[[os.DirEntry[str]], bool]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # only while a shell asks

    folder, _slash, start = incomplete.rpartition("/")
    base = f"{folder}{_slash}"
    try:
        found = sorted(base + name for name in _names(Path(base or "."), start, wanted))
    except OSError:
        found = []
    return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="file")]


def complete_shots(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of shots as they are written in the manifest; those that a template makes are not known here."""
    from click.shell_completion import CompletionItem  # as above

    before, comma, start = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in _takes(context) if name.startswith(start)]


def complete_takes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same for `SHOT:TAKE` and `SHOT TAKE`: shots, and behind one the takes that it asks for in so many words."""
    from click.shell_completion import CompletionItem  # as above

    shot, colon, start = incomplete.rpartition(":")
    words = [word for word in _words(context) if word]
    is_behind = bool(colon) or words[-1:] == [":"]  # bash makes three words of it, and wants the last one completed
    before = f"{shot}:" if shot else ""
    shot = shot or next((word for word in reversed(words) if word != ":"), "")
    takes = [str(take) for take in range(1, _takes(context).get(shot, 0) + 1)]
    offered = [CompletionItem(before + take) for take in takes if take.startswith(start)]
    return offered if is_behind else [*offered, *complete_shots(context, parameter, incomplete)]


def _words(context: click.Context) -> Iterator[str]:
    """What stands on the command line so far. An option that still lacks its value keeps click from going on: what it has not
    taken in yet lies in `args`."""
    for value in context.params.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from (word for word in value if isinstance(word, str))
    yield from context.args


def _takes(context: click.Context) -> dict[str, int]:
    """The shots of the manifest that was named, each with the number of takes that it asks for."""
    named = [word for word in (context.params.get("manifest"), *context.args) if word and word.endswith(_SUFFIXES)]
    try:
        path = Path(named[0])
        text = path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= _LARGEST else ""
    except (IndexError, ValueError, OSError):
        return {}
    found = list(re.finditer(_ID, text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return {match[1]: max(map(int, re.findall(_TAKES, text[match.end():end])), default=1)
            for match, end in zip(found, ends, strict=True)}


def _names(folder: Path, start: str, wanted: Callable[[os.DirEntry[str]], bool]) -> Iterator[str]:
    """Names from `folder` on."""
    with os.scandir(folder) as entries:
        here = [entry for _, entry in zip(range(_ENTRIES), entries, strict=False) if entry.name.startswith(start)
                and (not entry.name.startswith(".") or start.startswith("."))]
    for entry in here:
        if entry.is_dir():
            try:
                with os.scandir(entry) as inner:
                    yield from (f"{entry.name}/{below.name}" for _, below in zip(range(_ENTRIES), inner, strict=False)
                                if wanted(below))
            except OSError:
                continue
        elif wanted(entry):
            yield entry.name


def _is_manifest(entry: os.DirEntry[str]) -> bool:
    """Whether a file is one of ours, by its name and a line of its first bytes."""
    if not entry.name.endswith(_SUFFIXES) or not entry.is_file():
        return False
    try:
        with Path(entry).open("rb") as file:
            return re.search(_SHOWS, file.read(_HEAD)) is not None
    except OSError:
        return False
