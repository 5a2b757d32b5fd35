"""Faults on demand: their texts, and when they strike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.errors import UsageError
from manifest_runner.simulator.faults import Fault, Faults, Phase, decide, parse_fault

P = Phase

PARSED: list[tuple[str, dict[str, object]]] = [
    ("submit:500", {"phase": P.SUBMIT, "kind": "status", "status": 500, "instead": True, "retry_after": None}),
    ("submit:500-after", {"kind": "status", "status": 500, "instead": False}),
    ("submit:401", {"status": 401, "instead": True}),
    ("submit:402", {"status": 402, "instead": True}),
    ("submit:429:retry-after=2", {"status": 429, "retry_after": "2"}),
    ("submit:429:retry-after=2x3", {"retry_after": "2", "how": "x", "n": 3}),
    ("submit:429:retry-after=date", {"retry_after": "date"}),
    ("submit:429=account balance is empty", {"status": 429, "value": "account balance is empty"}),
    ("submit:429:retry-after=9=slow down", {"retry_after": "9", "value": "slow down"}),
    ("submit:drop-before", {"kind": "drop-before", "instead": True, "status": 0}),
    ("submit:drop-after", {"kind": "drop-after", "instead": False, "status": 0}),
    ("submit:drop-afterx2", {"kind": "drop-after", "how": "x", "n": 2}),
    ("submit:malformed-202", {"kind": "malformed-202", "instead": False}),
    ("submit:other-job@2", {"kind": "other-job", "how": "@", "n": 2}),
    ("submit:slow=3", {"kind": "slow", "value": "3", "instead": False}),
    ("submit:slow=0.5x2", {"kind": "slow", "value": "0.5", "how": "x", "n": 2}),
    ("poll:404", {"phase": P.POLL, "kind": "status", "status": 404}),
    ("poll:500%3", {"status": 500, "how": "%", "n": 3}),
    ("poll:unknown-status", {"kind": "unknown-status"}),
    ("poll:stuck x5", {"kind": "stuck", "how": "x", "n": 5}),
    ("poll:drop", {"kind": "drop"}),
    ("poll:malformed", {"kind": "malformed"}),
    ("job:fail=blocked by moderation", {"phase": P.JOB, "kind": "fail", "value": "blocked by moderation"}),
    ("job:fail=blocked@2 shot=SH0010", {"value": "blocked", "how": "@", "n": 2, "shot": "SH0010"}),
    ("job:fail=model Mix2", {"value": "model Mix2", "how": ""}),
    ("job:fail=model Mix2 x2", {"value": "model Mix2", "how": "x", "n": 2}),
    ("job:no-outputs", {"kind": "no-outputs", "value": ""}),
    ("job:black", {"phase": P.JOB, "kind": "black", "value": ""}),
    ("job:frozen shot=SH0030", {"kind": "frozen", "shot": "SH0030"}),
    ("charge:+10", {"phase": P.CHARGE, "value": "+10"}),
    ("charge:-2.5@1", {"value": "-2.5", "how": "@", "n": 1}),
    ("download:403 shot=SH0010_t2", {"phase": P.DOWNLOAD, "status": 403, "shot": "SH0010_t2"}),
    ("download:truncated", {"kind": "truncated"}),
    ("download:garbage", {"kind": "garbage"}),
    ("download:drop", {"kind": "drop"}),
    ("download:slow=1", {"kind": "slow", "value": "1"}),
    ("  poll:404  ", {"text": "poll:404"}),
]


@pytest.mark.parametrize(("text", "expected"), PARSED, ids=[text for text, _ in PARSED])
def test_a_fault_is_read_from_its_text(text: str, expected: dict[str, object]) -> None:
    fault = parse_fault(text)
    assert {name: getattr(fault, name) for name in expected} == expected


@pytest.mark.parametrize("text", [
    "", "submit", "submit:", "submit:200", "submit:600", "submit:explode", "poll:drop-before", "job:fail=", "charge:10",
    "charge:+x", "download:429:retry-after=2", "submit:500@0", "submit:500@", "submit:500 shot=", "submit:500 shot=A B",
    "upload:500", "submit:slow", "submit:slow=-1", "SUBMIT:500", "submit:500x2x3", "submit:429:retry-after=\u00e9",
])
def test_an_unknown_fault_is_a_usage_error_that_lists_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert caught.value.hint is not None
    for word in ("drop-after", "unknown-status", "no-outputs", "truncated", "@N", "shot=ID"):
        assert word in caught.value.hint


@pytest.mark.parametrize(("text", "meant"), [
    ("sumbit:500", "submit:500"), ("Submit:500@2", "submit:500@2"), ("submit:drop-befor@2", "submit:drop-before@2"),
    ("poll:stuk", "poll:stuck"), ("job:fial=moderation", "job:fail=moderation"), ("job:no-output", "job:no-outputs"),
    ("download:trunkated x2", "download:truncated x2"),
    # these would be words otherwise
    ("job:fail=no-outputs", "job:no-outputs"), ("submit:429=retry-after=2", "submit:429:retry-after=2"),
    ("job:fail=blocked sht=SH0010", "job:fail=blocked shot=SH0010"), ("submit:500=no Shots=A", "submit:500=no shot=A"),
    ("job:fail=blocked shot =A", "job:fail=blocked shot=A"),
])
def test_a_misspelt_fault_is_a_usage_error_that_says_what_was_meant(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert f"did you mean {meant}?" in (caught.value.hint or "")
    assert parse_fault(meant)


@pytest.mark.parametrize("words", ["score=0.9", "host=a", "see: rules", "refused, size=4k"])
def test_words_stay_words(words: str) -> None:
    assert parse_fault(f"job:fail={words}").value == words


def struck(text: str, times: int = 6) -> list[int]:
    faults = Faults([text])
    return [n for n in range(1, times + 1) if faults.next(P.POLL, "SH0010_t1")]


@pytest.mark.parametrize(("text", "expected"), [
    ("poll:404", [1, 2, 3, 4, 5, 6]), ("poll:404@2", [2]), ("poll:404x2", [1, 2]), ("poll:404%2", [2, 4, 6]),
    ("submit:500", []), ("poll:404 shot=SH0010", [1, 2, 3, 4, 5, 6]), ("poll:404 shot=SH0020", []),
])
def test_a_fault_strikes_when_its_text_says(text: str, expected: list[int]) -> None:
    assert struck(text) == expected


def test_a_rule_for_a_shot_counts_that_shots_requests_only() -> None:
    faults = Faults(["poll:404@2 shot=SH0020"])
    hits = [bool(faults.next(P.POLL, shot)) for shot in ("SH0010", "SH0020", "SH0010", "SH0020", "SH0020")]
    assert hits == [False, False, False, True, False]


def test_of_two_faults_that_strike_the_first_wins_and_both_count() -> None:
    faults = Faults(["poll:500@1", "poll:404x2"])
    hits = [faults.next(P.POLL, "") for _ in range(3)]
    assert [hit.status if hit else None for hit in hits] == [500, 404, None]


RULES = st.lists(st.builds(
    Fault, phase=st.sampled_from(Phase), kind=st.just("drop"), text=st.just(""), how=st.sampled_from(["", "@", "x", "%"]),
    n=st.integers(1, 4), shot=st.sampled_from(["", "A", "AB", "B"]),
), max_size=4)


REQUESTS = st.lists(st.tuples(st.sampled_from(Phase), st.sampled_from(["", "A1", "AB1", "B1"])), max_size=12)


@given(RULES, REQUESTS)
def test_every_rule_counts_the_requests_that_it_could_strike(rules: list[Fault], requests: list[tuple[Phase, str]]) -> None:
    counts: tuple[int, ...] = (0,) * len(rules)
    for phase, task in requests:
        hit, counts = decide(rules, counts, phase, task)
        assert hit is None or (hit.phase is phase and task.startswith(hit.shot))
    assert counts == tuple(
        sum(phase is rule.phase and task.startswith(rule.shot) for phase, task in requests) for rule in rules
    )
