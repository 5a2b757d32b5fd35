"""What happens in a run, for programs: `render --json` writes one JSON object a line to standard error.

Law: the form is a contract (`docs/events.md`). Every line has the fields of `FIELDS`, null where they say nothing; some events
have the fields that `MORE` names besides. Events and fields may be added; none is taken away or changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import click

from manifest_runner.core.lifecycle import Event, Failed, Intended, Progressed, Stored, Submitted, Succeeded
from manifest_runner.core.model import Artifact, TakeKey
from manifest_runner.core.outcome import Notice, Outcome, Queued
from manifest_runner.core.pace import Patience
from manifest_runner.core.pricing import format_credits
from manifest_runner.views.escaping import json_text
from manifest_runner.views.progress import Aside, What, phrase

EVENTS: Mapping[str, str] = {
    "said": "a line for people, of the whole run: a warning, or that the run is being stopped",
    "waiting": "everything that it needs is there: it stands in line to be submitted",
    "queued": "its turn has come, and a limit holds it back",
    "intended": "recorded and reserved; it is sent now",
    "submitted": "the gateway has named a job for it",
    "refused": "the gateway did not accept it: no job, no charge",
    "indoubt": "its answer was lost: it may have been accepted, and a person must look",
    "progressed": "the gateway is at it, or says something that is no known state",
    "patience": "the gateway asks everybody of the account to go slower",
    "succeeded": "the job is done and charged",
    "failed": "the job failed",
    "missing": "the gateway does not know the job (any more)",
    "downloading": "its clip is being fetched",
    "stored": "its clip is here, whole and checked",
    "restored": "its clip was put in its place from the store, for nothing",
    "dropped": "it is no longer in the manifest, and was taken out of the lockfile",
    "abandoned": "it was given up",
    "outcome": "the last event of each take: how it ended in this run",
}

FIELDS: Mapping[str, str] = {
    "at": "when it was written: RFC 3339, UTC, with milliseconds",
    "event": "the name of the event",
    "shot": "the shot's id; null where the line is of the whole run",
    "take": "the number of the take, from 1; null as above",
    "words": "the same in words, for people; the provider's own where it has said something",
    "job_id": "the gateway's job, once it is known",
    "credits": "decimal digits in a string: what `intended` reserves, what `succeeded`, `failed` and `outcome` say was charged",
}

MORE: Mapping[str, tuple[str, ...]] = {
    "queued": ("why", "seconds", "who"),
    "patience": ("seconds",),
    "stored": ("path", "sha256"),
    "outcome": ("ending", "path"),
}
"""Fields that single events have besides."""

_WORDS = {
    Notice.WAITING: "waiting for its turn",
    Notice.DOWNLOADING: "fetching the clip",
}


def name_of(what: What) -> str:
    """The event's name in the stream."""
    return what.value if isinstance(what, Notice) else type(what).__name__.lower()


class JsonLines:
    """A `views.progress.Progress` that writes one object an event on `stream`. `wall` is in seconds since 1970."""

    def __init__(self, stream: TextIO, wall: Callable[[], float], *, priced: bool) -> None:
        self._stream = stream
        self._wall = wall
        self._priced = priced
        self._jobs: dict[TakeKey, str] = {}
        self._aside = Aside(self.say, colours=False)

    def __enter__(self) -> JsonLines:
        self._aside.take_over()
        return self

    def __exit__(self, *details: object) -> None:
        self._aside.give_back()

    def __call__(self, key: TakeKey, what: What) -> None:
        if isinstance(what, Submitted):
            self._jobs[key] = what.job_id
        elif isinstance(what, Outcome) and what.job is not None and what.job.job_id is not None:
            self._jobs[key] = what.job.job_id
        self._write(name_of(what), key, words_of(what, priced=self._priced), credits_of(what) if self._priced else None,
                    more_of(what))

    def say(self, text: str) -> None:
        """Something for people, of the whole run."""
        for line in text.split("\n"):
            if line.strip():
                self._write("said", None, line, None, {})

    def _write(self, name: str, key: TakeKey | None, words: str, amount: Decimal | None, more: Mapping[str, Any]) -> None:
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {"at": at, "event": name, "shot": None if key is None else key.shot, "take": None if key is None else key.take,
                "words": words, "job_id": None if key is None else self._jobs.get(key),
                "credits": None if amount is None else format(amount, "f"), **more}
        try:
            click.echo(json_text(json.dumps(body, ensure_ascii=False)), file=self._stream)
        except (OSError, ValueError, RuntimeError):  # gone, closed, or in the middle of another line of this very thread's
            return


def words_of(what: What, *, priced: bool) -> str:
    """An event in words; unlike `phrase` always some."""
    match what:
        case Notice():
            return _WORDS.get(what) or phrase(what, priced=priced)
        case Intended(intent=intent):
            return f"{format_credits(intent.reserved)} credits reserved" if priced else "sending"
        case Progressed(raw=""):
            return f"the gateway says {what.status!r}"
        case Queued():
            return f"held back by: {what.why}{f' ({what.who})' if what.who else ''}"
        case Outcome(words=""):
            return what.ending.value
    return phrase(what, priced=priced) or name_of(what)


def credits_of(what: Event | Notice | Patience | Queued | Outcome) -> Decimal | None:
    """What an event says about money."""
    match what:
        case Intended(intent=intent):
            return intent.reserved
        case Succeeded(charged=charged) | Failed(charged=charged) | Outcome(charged=charged):
            return charged
    return None


def more_of(what: What) -> dict[str, Any]:
    """The fields of `MORE`."""
    match what:
        case Queued(why=why, seconds=seconds):
            return {"why": why, "seconds": round(seconds, 3), "who": what.who or None}
        case Patience(seconds=seconds):
            return {"seconds": round(seconds, 3)}
        case Stored(artifacts=artifacts):
            clip: Artifact | None = artifacts[0] if artifacts else None
            return {"path": clip.path if clip else None, "sha256": clip.sha256 if clip else None}
        case Outcome(ending=ending, artifact=artifact):
            return {"ending": ending.value, "path": artifact.path if artifact is not None else None}
    return {}
