"""The end of a run in words, as a producer reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click

from manifest_runner.core.model import Action, JobState, Request, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Outcome, Report
from manifest_runner.errors import AccountEmpty
from manifest_runner.views.outcome import exit_code, report_dict
from manifest_runner.views.outcome import report_text as styled
from tests.builders import CARD, job, verdict

REQUEST = Request(model=CARD.name, params={"prompt": "x"})


def report_text(report: Report, *, draft: bool) -> str:
    return click.unstyle(styled(report, CARD, draft=draft))


def ended(shot: str, ending: Ending, words: str = "", *, state: JobState | None = None, action: Action = Action.CREATE,
          **more: Any) -> Outcome:
    known = None if state is None else job(REQUEST, shot=shot, state=state)
    return Outcome(key=TakeKey(manifest="m", shot=ShotId(shot), take=1), action=action, ending=ending, words=words, job=known,
                   **more)


def test_each_kind_of_end_says_what_happened_what_it_cost_and_what_came_out_beside_it() -> None:
    report = Report(outcomes=(
        ended("SH0010", Ending.DONE, charged=Decimal(145), state=JobState.STORED),
        ended("SH0020", Ending.FAILED, "violates the content policy", state=JobState.REFUSED),
        ended("SH0030", Ending.FAILED, "the model gave up", state=JobState.FAILED, charged=Decimal(20)),
        ended("SH0040", Ending.FAILED, "cdn.example answered 403", state=JobState.SUCCEEDED, charged=Decimal(145)),
        ended("SH0050", Ending.IN_DOUBT, "the connection broke", state=JobState.IN_DOUBT),
        ended("SH0060", Ending.OVER_BUDGET, "needs 145 credits; 600 of 700 of this run are spent or reserved"),
        ended("SH0070", Ending.UNFINISHED, "job job_SH0070_1 is still running", state=JobState.RUNNING),
        ended("SH0080", Ending.SKIPPED, "SH0020 take 1 has no clip to take its frame from"),
        ended("SH0090", Ending.DONE, action=Action.KEEP),
        ended("SH0100", Ending.DONE, charged=Decimal(145), state=JobState.STORED,
              verdict=verdict("it is 2.5 s long, 5 s were asked for"), found=True),
    ))
    assert report_text(report, draft=False) == """\
  failed: SH0020 t1: violates the content policy (nothing charged) [job_SH0020_1]
  failed: SH0030 t1: the model gave up (20 charged) [job_SH0030_1]
  failed: SH0040 t1: rendered and paid for, but its clip did not come: cdn.example answered 403 [job_SH0040_1]
  in doubt: SH0050 t1: it may have been accepted, and the answer was lost (the connection broke) [job_SH0050_1]
  over budget: SH0060 t1: needs 145 credits; 600 of 700 of this run are spent or reserved
  unfinished: SH0070 t1: job job_SH0070_1 is still running
  skipped: SH0080 t1: SH0020 take 1 has no clip to take its frame from
  look at: SH0100 t1: it is 2.5 s long, 5 s were asked for [job_SH0100_1]
  done: SH0010 t1, SH0100 t1
3 done (1 to look at), 3 failed, 1 in doubt, 1 over budget, 1 unfinished, 1 skipped of 10 takes. 455 credits (₹455) charged."""


def test_where_all_came_out_there_is_one_line() -> None:
    report = Report(outcomes=(ended("A", Ending.DONE, charged=Decimal(145)), ended("B", Ending.DONE, action=Action.KEEP)))
    assert report_text(report, draft=False) == "2 done of 2 takes. 145 credits (₹145) charged."
    assert exit_code(report) == 0


def test_many_that_came_out_are_counted_and_not_named() -> None:
    many = tuple(ended(f"S{number}", Ending.DONE) for number in range(9))
    text = report_text(Report(outcomes=(*many, ended("X", Ending.FAILED, "no"))), draft=True)
    assert text.splitlines() == ["  failed: X t1: no", "9 done, 1 failed of 10 takes. A draft costs nothing."]


def test_what_stopped_a_run_comes_with_its_hint_and_its_exit_code() -> None:
    report = Report(outcomes=(ended("A", Ending.SKIPPED, "the run was stopped before its turn"),),
                    halted=AccountEmpty("the account has no credits left (402)", hint="add credits"))
    assert "stopped: the account has no credits left (402)\n  hint: add credits" in report_text(report, draft=False)
    assert exit_code(report) == 5


def test_programs_get_the_remarks_too() -> None:
    report = Report(outcomes=(ended("A", Ending.DONE, verdict=verdict("it is 2 s long, 5 s were asked for")),))
    (take,) = report_dict(report)["takes"]
    assert take["remarks"] == ["it is 2 s long, 5 s were asked for"]
    assert take["verdict"] == {"accepted": False, "findings": [{"code": "black", "words": take["remarks"][0]}]}


def test_a_clip_that_is_other_than_asked_fails_the_run_that_brought_it_and_no_other() -> None:
    news = ended("A", Ending.DONE, verdict=verdict("all of it is black"), found=True)
    known = ended("B", Ending.DONE, verdict=verdict("all of it is black"), action=Action.KEEP)
    assert exit_code(Report(outcomes=(news, known))) == 1
    assert exit_code(Report(outcomes=(known,))) == 0
    assert "look at" not in report_text(Report(outcomes=(known,)), draft=False)


def test_a_take_that_was_circled_before_anybody_saw_its_clip_is_shown_all_the_same() -> None:
    early = ended("A", Ending.DONE, verdict=verdict("all of it is black", accepted=True), found=True)
    text = report_text(Report(outcomes=(early,)), draft=False)
    assert "look at: A t1: all of it is black (and the take is circled already)" in text
    assert exit_code(Report(outcomes=(early,))) == 1


def test_a_limit_and_a_failure_say_more_than_a_clip_to_look_at() -> None:
    news = ended("A", Ending.DONE, verdict=verdict("all of it is black"), found=True)
    assert exit_code(Report(outcomes=(news, ended("B", Ending.OVER_BUDGET)))) == 4
    assert exit_code(Report(outcomes=(news, ended("B", Ending.UNFINISHED)))) == 5
