"""A run as a few lines for a terminal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.model import Action, Rate, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Outcome, Queued
from manifest_runner.core.remaining import Remaining
from manifest_runner.core.running import Bounds, Now, Stage
from manifest_runner.views.screen import PLAIN, SIGNS, clock, frame, time_left, why_waiting

BOUNDS = Bounds(concurrency=8, rate=Rate(count=30, per=60), credits=Decimal(5000))


def key(shot: str) -> TakeKey:
    return TakeKey(manifest="m", shot=ShotId(shot), take=1)


def failure(shot: str, words: str = "the prompt depicts a real person without that person's consent") -> Outcome:
    return Outcome(key=key(shot), action=Action.CREATE, ending=Ending.FAILED, words=words)


SOON = Remaining(least=150, likely=200, most=290)


def moment(counts: dict[Stage, int] | None = None, *, failed: tuple[Outcome, ...] = (failure("SH0040"),),
           left: Remaining | None = SOON, queued: Queued | None = None) -> Now:
    there = counts or {Stage.DONE: 5, Stage.DOWNLOADING: 1, Stage.RENDERING: 5, Stage.WAITING: 2, Stage.FAILED: 1}
    flying = ((key("SH0010"), 72.0), (key("SH0060-rain-85mm"), 61.0), (key("SH0070"), 9.0))
    return Now(stages={stage: there.get(stage, 0) for stage in Stage}, charged=Decimal(116), reserved=Decimal(290),
               elapsed=102.4, submitted=12, places=5, flying=flying, queued=queued, failed=failed, left=left)


def shown(now: Now, width: int = 100, height: int = 24, **more: object) -> list[str]:
    lines = frame(now, BOUNDS, title="monsoon SQ010", width=width, height=height, **{"priced": True, **more})  # type: ignore[arg-type]
    return [line.plain for line in lines]


def test_it_says_what_a_producer_wants_to_know() -> None:
    bar, *lines = shown(moment(queued=Queued(why="concurrency", seconds=1)))
    assert bar.startswith("monsoon SQ010 █")
    assert bar.endswith("✗ 5 of 14")
    assert lines == [
        "█ 5 done  ▓ 1 downloading  ▒ 5 rendering  ░ 2 waiting  ✗ 1 failed",
        "116 credits charged · 290 reserved · limit 5,000 · 12 of 30 submissions in the last minute",
        "1:42 so far, 2–5 min left",
        "▒ SH0010 t1 1:12, SH0060-rain-85mm t1 1:01, SH0070 t1 0:09, 2 more",
        "… waiting for a place: another run holds 3 of 8",
        "✗ SH0040 t1: the prompt depicts a real person without that person's consent",
    ]


def test_a_narrow_terminal_gets_the_same_on_more_lines_and_words_are_cut() -> None:
    lines = shown(moment(), width=60)
    assert "116 credits charged · 290 reserved · limit 5,000" in lines
    assert lines[-1] == "✗ SH0040 t1: the prompt depicts a real person without that …"


def test_without_anything_learned_only_the_time_so_far_is_said() -> None:
    assert "1:42 so far" in shown(moment(left=None))


def test_a_draft_says_nothing_of_money() -> None:
    assert not any("credits" in line for line in shown(moment(), priced=False))


def test_at_the_end_of_an_interrupted_run_counts_money_and_every_failure_stay() -> None:
    many = tuple(failure(f"SH{n:04}") for n in range(9))
    lines = shown(moment(failed=many), ended=True)
    assert sum(line.startswith("✗ SH") for line in lines) == 9
    assert not any("left" in line or "so far" in line or "submissions" in line for line in lines)


def test_of_many_failures_the_latest_stay_in_sight() -> None:
    lines = shown(moment(failed=tuple(failure(f"SH{n:04}") for n in range(100))))
    assert lines[-6:] == ["✗ 95 more failed", *(f"✗ SH{n:04} t1: {failure('x').words}" for n in range(95, 100))]


def test_what_strangers_wrote_is_shown_and_not_obeyed() -> None:
    lines = shown(moment(failed=(failure("A", "\x1b[2J\x07 gone\nsecond line"),)))
    assert lines[-1] == "✗ A t1: \\x1b[2J\\x07 gone second line"


def test_parts_differ_without_colour() -> None:
    for signs in (SIGNS, PLAIN):
        assert len(set(signs.values())) == len(Stage)
    assert "".join(PLAIN.values()).isascii()


COUNTS = st.dictionaries(st.sampled_from(Stage), st.integers(0, 10_000), min_size=1)


@given(COUNTS, st.integers(24, 220), st.integers(3, 60), st.integers(0, 12), st.booleans())
def test_no_line_is_wider_and_no_frame_higher_than_the_terminal_and_no_part_vanishes(
    counts: dict[Stage, int], width: int, height: int, failures: int, ended: bool
) -> None:
    now = moment(counts, failed=tuple(failure(f"S{n}") for n in range(failures)), queued=Queued(why="turn", seconds=1))
    lines = frame(now, BOUNDS, title="a show with a long name", priced=True, width=width, height=height, ended=ended)
    assert len(lines) <= max(height - 1, 1)
    assert all(line.cell_len <= width for line in lines)
    bar = lines[0].plain
    if width >= 60:
        for stage in Stage:
            assert (SIGNS[stage] in bar) == bool(now.stages[stage])


@pytest.mark.parametrize(("left", "words"), [
    ((0, 0, 0), "a few seconds left"), ((3, 5, 9), "a few seconds left"), ((10, 20, 31), "10–30 s left"),
    ((28, 30, 33), "about 30 s left"), ((170, 200, 290), "3–5 min left"), ((230, 240, 250), "about 4 min left"),
    ((40, 90, 200), "1–3 min left"), ((5000, 5300, 5600), "1–2 h left"), ((7000, 7200, 7400), "about 2 h left"),
])
def test_time_left_is_no_finer_than_one_can_know(left: tuple[float, float, float], words: str) -> None:
    assert time_left(Remaining(least=left[0], likely=left[1], most=left[2])) == words


def test_clock() -> None:
    assert [clock(seconds) for seconds in (-1, 7.9, 760, 3720)] == ["0:00", "0:07", "12:40", "1:02:00"]


@pytest.mark.parametrize(("why", "words"), [
    ("concurrency", "waiting for a place: another run holds 3 of 8"), ("crowd", "waiting for a place: the gateway"),
    ("pace", "going slower"), ("pause", "waiting because the gateway"), ("turn", "another run has waited longer"), ("rate", ""),
])
def test_a_wait_is_said_in_words_where_it_is_not_the_runs_own_limit(why: str, words: str) -> None:
    said = why_waiting(Queued(why=why, seconds=1), 5, BOUNDS)
    assert said.startswith(words) if words else said == ""
    assert why_waiting(Queued(why="concurrency", seconds=1), 8, BOUNDS) == ""


@pytest.mark.parametrize(("why", "words"), [
    ("concurrency", "waiting for a place; in flight: asha@box (7) 5"),
    ("crowd", "waiting for a place: the gateway takes no more jobs at once (in flight: asha@box (7) 5)"),
    ("turn", "asha@box (7) 5 has waited longer and goes first"),
    ("held", "another run is about to send this take: asha@box (7) 5"),
])
def test_whom_it_waits_for_is_said_where_a_name_is_known_and_shown_and_not_obeyed(why: str, words: str) -> None:
    assert why_waiting(Queued(why=why, seconds=1, who="asha@box (7) 5"), 8, BOUNDS) == words
    assert "\x1b" not in why_waiting(Queued(why=why, seconds=1, who="\x1b[2Jevil"), 8, BOUNDS)
