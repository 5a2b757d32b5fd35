"""The event stream for programs: a contract, and its page."""

from __future__ import annotations

import io
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from manifest_runner.core.lifecycle import (
    Abandoned,
    Event,
    Failed,
    InDoubt,
    Intended,
    Missing,
    Progressed,
    Refused,
    Stored,
    Submitted,
    Succeeded,
)
from manifest_runner.core.model import Action, JobId, JobState, Request, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Notice, Outcome, Queued
from manifest_runner.core.pace import Patience
from manifest_runner.views.events import EVENTS, FIELDS, MORE, JsonLines, name_of
from manifest_runner.views.progress import Lines, What
from tests.builders import CARD, clip, job

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
KEY = TakeKey(manifest="m", shot=ShotId("SH0010"), take=2)
REQUEST = Request(model=CARD.name, params={"prompt": "x"})
JOB = job(REQUEST, shot="SH0010", take=2, state=JobState.STORED)

ONE_OF_EACH: list[What] = [
    Intended(intent=JOB.intent), Submitted(job_id=JobId("j")), InDoubt(), Progressed(status="queued"),
    Succeeded(charged=Decimal("14.50")), Failed(words="no"), Refused(words="no"), Missing(), Stored(artifacts=(clip("a.mp4"),)),
    Abandoned(), *Notice, Patience(seconds=2, pace=1.0, places=None), Queued(why="rate", seconds=0.5),
    Outcome(key=KEY, action=Action.CREATE, ending=Ending.DONE, artifact=clip("a.mp4"), job=JOB, charged=Decimal(29)),
]


def told(*events: What, priced: bool = True) -> list[dict[str, Any]]:
    out = io.StringIO()
    lines = JsonLines(out, lambda: 1_795_000_000.25, priced=priced)
    for event in events:
        lines(KEY, event)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_event_that_there_is_is_told_and_named_on_the_page() -> None:
    names = {name_of(event) for event in ONE_OF_EACH}
    assert len(get_args(Event)) + len(Notice) + 3 == len(ONE_OF_EACH)
    assert {*names, "said"} == set(EVENTS)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=name_of)
def test_a_line_has_all_fields_its_own_ones_and_words(event: What) -> None:
    (line,) = told(event)
    assert list(line) == [*FIELDS, *MORE.get(name_of(event), ())]
    assert (line["at"], line["shot"], line["take"]) == ("2026-11-18T11:06:40.250Z", "SH0010", 2)
    assert line["words"]


def test_the_page_holds_the_tables_of_the_code() -> None:
    rows = [f"| `{name}` | {words} |" for name, words in FIELDS.items()]
    rows += [f"| `{name}` | {words} | {', '.join(f'`{field}`' for field in MORE.get(name, ()))} |"
             for name, words in EVENTS.items()]
    for row in rows:
        assert row in PAGE
    assert sum(line.startswith("| `") for line in PAGE.partition("## The end")[0].splitlines()) == len(rows)
    for ending in Ending:
        assert f"`{ending.value}`" in PAGE


def test_the_job_stays_named_once_it_is_known_and_credits_are_exact() -> None:
    lines = told(*ONE_OF_EACH[:2], ONE_OF_EACH[4])
    assert [line["job_id"] for line in lines] == [None, "j", "j"]
    assert [line["credits"] for line in lines] == ["145", None, "14.50"]


def test_a_draft_says_nothing_of_credits() -> None:
    assert all(line["credits"] is None for line in told(*ONE_OF_EACH, priced=False))


def test_what_others_write_meanwhile_is_an_event_too() -> None:
    out, before = io.StringIO(), sys.stderr
    with JsonLines(out, lambda: 0.0, priced=True):
        sys.stderr.write("a note\nand half a")
        sys.stderr.write(" line")
    assert sys.stderr is before
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["shot"], line["words"]) for line in lines] == [
        ("said", None, "a note"), ("said", None, "and half a line")]


def test_an_output_that_is_closed_stops_no_run() -> None:
    out = io.StringIO()
    out.close()
    for view in (JsonLines(out, lambda: 0.0, priced=True), Lines(out)):
        view(KEY, Submitted(job_id=JobId("j")))
