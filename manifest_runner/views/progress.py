"""What a run says while it goes on: events in words, and one plain line each where there is no terminal.

`live.py` shows a run on a terminal, `events.py` tells it to programs. Each is an `engine.Observer`. None of them may stop a
run: a closed output is ignored.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Protocol, TextIO

import click

from manifest_runner.core.lifecycle import Event, Failed, InDoubt, Missing, Progressed, Refused, Stored, Submitted, Succeeded
from manifest_runner.core.model import TakeKey
from manifest_runner.core.outcome import Ending, Notice, Outcome, Queued
from manifest_runner.core.pace import Patience
from manifest_runner.core.pricing import format_credits
from manifest_runner.views.text import safe

What = Event | Notice | Patience | Queued | Outcome


class Progress(Protocol):
    """An observer with a beginning and an end."""

    def __enter__(self) -> Progress: ...
    def __exit__(self, *details: object) -> None: ...
    def __call__(self, key: TakeKey, what: What) -> None: ...


def phrase(what: What, *, priced: bool) -> str:
    """An event in a few words, with what was charged if `priced`; nothing where it is not worth a line."""
    match what:
        case Submitted():
            return f"submitted as {what.job_id}"
        case Progressed():
            return "" if not what.raw else f"the gateway says {what.status!r}, which is no known state: waiting"
        case Succeeded():
            return f"rendered, {format_credits(what.charged)} credits" if priced and what.charged is not None else "rendered"
        case Failed():
            return f"failed: {what.words}"
        case Refused():
            return f"not accepted: {what.words}"
        case InDoubt():
            return "in doubt: its answer was lost"
        case Missing():
            return "the gateway does not know it (any more)"
        case Stored():
            return "clip stored"
        case Patience():
            return patience(what)
        case Queued(why="held", who=who):
            return f"another run is about to send it{f': {who}' if who else ''}"
        case Notice.RESTORED:
            return "restored from the store"
        case Notice.DROPPED:
            return "dropped from the lockfile; its clip is kept in the store"
        case Outcome() if what.ending not in (Ending.DONE, Ending.FAILED):
            return f"{what.ending.value}: {what.words}"
        case _:
            return ""


def patience(what: Patience) -> str:
    """What the gateway asks for, as one would say it: `12 a minute for now`. It holds for all takes of the account."""
    asked = []
    if what.pace is not None:
        per, unit = (what.pace, "second") if what.pace >= 1 else (60 * what.pace, "minute")
        asked.append(f"{per:.{0 if per >= 10 else 1}f}".removesuffix(".0") + f" a {unit} for now")
    if what.places is not None:
        asked.append(f"{what.places} {'job' if what.places == 1 else 'jobs'} at once for now")
    if what.seconds >= 5:
        asked.append(f"going on in {what.seconds:.0f} s")
    return f"the gateway asks for patience: {', '.join(asked)}" if asked else ""


class Lines:
    """One line an event on `stream`, as CI logs want it."""

    def __init__(self, stream: TextIO, *, quiet: bool = False, priced: bool = True) -> None:
        self._stream = stream
        self._quiet = quiet
        self._priced = priced

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *details: object) -> None:
        return

    def __call__(self, key: TakeKey, what: What) -> None:
        words = phrase(what, priced=self._priced)
        if words and not self._quiet:
            self._write(f"{safe(key.shot)} t{key.take}: {safe(words)}")

    def _write(self, line: str) -> None:
        try:
            click.echo(line, file=self._stream)
        except (OSError, ValueError):
            return


class Aside(io.TextIOBase):
    """Stands for standard error while a run is shown: each whole line that anybody writes goes to `say`."""

    def __init__(self, say: Callable[[str], None], *, colours: bool) -> None:
        super().__init__()
        self._say = say
        self._colours = colours
        self._rest = ""
        self._before: TextIO | None = None

    def take_over(self) -> None:
        """From now on."""
        self._before, sys.stderr = sys.stderr, self

    def give_back(self) -> None:
        """No longer; what was begun is a line too."""
        if self._rest:
            self.write("\n")
        if self._before is not None:
            sys.stderr = self._before

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._colours

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"
