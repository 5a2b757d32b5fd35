"""Command lines and paths that are shown to people and programs, and how a take is named on one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from manifest_runner.cli.main import COMMANDS
from manifest_runner.errors import UsageError

if TYPE_CHECKING:  # start-up: every command passes here
    from manifest_runner.views.status import Step


def command(*words: str, draft: bool = False) -> str:
    """`manifest-runner` and these words, quoted for a shell."""
    return shlex.join(["manifest-runner", *words, *(["--draft"] if draft else [])])


def take_of(word: str) -> tuple[str, int | None]:
    """`SHOT:TAKE` as both, `SHOT` as that alone. Raises `UsageError` for anything else."""
    shot, colon, number = word.partition(":")
    if colon and not is_number(number):
        raise UsageError(f"{word} names no take", hint="write SH0010, or SH0010:2 for its second take")
    return shot, int(number) if colon else None


def is_number(word: str) -> bool:
    """Whether a word can be the number of a take."""
    return word.isascii() and word.isdigit() and len(word) < 10


_NAMED = 3
"""Takes of a kind for which commands are shown; beyond these one sees how it goes."""


def decisions(manifest: str, *, in_doubt: Iterable[tuple[str, int]] = (), empty: Iterable[tuple[str, int]] = (),
              missing: Iterable[tuple[str, int]] = (), to_look_at: Iterable[tuple[str, int]] = ()) -> list[Step]:
    """What only a person can settle about these takes (shot and number): whose answer was lost, whose job has no clip, whose
    job the gateway does not know (any more), and whose clip is other than asked."""
    steps: list[Step] = []
    for take in _few(in_doubt):
        steps += [(command("adopt", manifest, take, "JOB_ID"), "where the gateway's own pages show a job for it"),
                  (command("abandon", manifest, take), "where they show none")]
    steps += [(command("abandon", manifest, take),
               "gives up a job that has no clip, to buy the take again; ask the provider first") for take in _few(empty)]
    # The gateway is asked about these again by each render.
    steps += [(command("abandon", manifest, take), "to wait for it no longer") for take in _few(missing)]
    for shot, number in islice(to_look_at, _NAMED):
        steps += [(words, why) for verb, words, why in (
            ("circle", command("circle", manifest, shot, str(number)), "takes it as it is"),
            ("retake", command("retake", manifest, shot), "asks for a further take")) if verb in COMMANDS]
    return steps


def _few(takes: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{shot}:{take}" for shot, take in islice(takes, _NAMED)]


def near(path: Path) -> Path:
    """The path from the working folder where it lies below it."""
    resolved = path.resolve()
    return resolved.relative_to(Path.cwd()) if resolved.is_relative_to(Path.cwd()) else path
