from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.adapters.answers import (
    credits_of,
    error_texts,
    is_account_empty,
    is_crowded,
    parse_json,
    printable,
    retry_after,
)

EMPTY = [
    "insufficient credits", "Insufficient_Balance", "insufficient account balance", "Insufficient quota", "INSUFFICIENT FUNDS",
    "Account balance not enough", "Your account does not have enough credits: not enough credits", "Out of credits.",
    "No credits left", "0 credits remaining", "your credits are exhausted", "The balance is too low",
    "credit balance is insufficient",
    "credits have been used up", "credits exceeded", "credit limit reached", "Account in arrears", "Payment required",
    "Resource pack depleted", "resource pack is exhausted",
    "You exceeded your current quota, please check your plan and billing",
    "Quota exceeded: your balance is 0", "insufficient-credits",
]
PATIENCE = [
    "", "Too many requests", "Rate limit exceeded", "rate limit reached, no credits were charged",
    "no credits have been deducted", "quota exceeded",
    "Quota exceeded for requests per minute; balance 300 credits",
    "30 requests per minute; 300 credits remaining", "parallel task over resource pack limit",
    "insufficient capacity, try again", "not enough workers", "concurrency limit exceeded", "1,000 credits left",
    "0.30 credits left",
    "Load balancer: too many connections", "100 credits remaining of 100 credits", "10 credits left this minute",
    "Please slow down to keep your balance", "the limit of 40 credits a minute is reached",
]


@pytest.mark.parametrize("words", EMPTY)
def test_words_for_an_empty_account_are_told_from_a_call_for_patience(words: str) -> None:
    assert is_account_empty(429, [words])
    assert is_account_empty(403, [words.upper()])


@pytest.mark.parametrize("words", PATIENCE)
def test_a_call_for_patience_is_not_taken_for_an_empty_account(words: str) -> None:
    assert not is_account_empty(429, [words])


def test_402_is_an_empty_account_whatever_it_says() -> None:
    assert is_account_empty(402, [])


def test_elsewhere_only_a_code_counts_because_words_may_quote_the_prompt() -> None:
    assert is_account_empty(400, ["insufficient_credits", "top up"])
    assert not is_account_empty(400, ["the prompt 'a man out of credits' was refused"])


@pytest.mark.parametrize("words", [
    "too many jobs in flight", "concurrency limit exceeded", "CONCURRENCY_LIMIT", "Too many concurrent jobs", "too_many_jobs",
    "parallel task over resource pack limit", "max simultaneous generations reached", "too many running tasks",
    "in-flight limit",
])
def test_words_for_too_many_jobs_at_once_are_known(words: str) -> None:
    assert is_crowded(["rate", words])


@pytest.mark.parametrize("words", [
    "", "Too many requests", "rate limit reached", "too many concurrent requests", "parallel API calls are limited",
    "Load balancer: too many connections", "30 requests per minute", "recurrent concurrence", "simultaneous_connections",
])
def test_too_many_requests_are_not_too_many_jobs(words: str) -> None:
    assert not is_crowded([words])


SENT = "Sun, 06 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(("value", "date", "expected"), [
    (None, None, None),
    ("7", None, 7.0),
    (" 7 ", None, 7.0),
    ("1.5", None, 1.5),
    ("0", None, 0.0),
    ("-5", None, 0.0),
    ("99999999", None, 3600.0),
    ("9" * 500, None, 3600.0),
    ("soon", None, None),
    ("", None, None),
    ("nan", None, None),
    ("inf", None, None),
    ("Sun, 06 Nov 2026 08:00:30 GMT", SENT, 30.0),
    ("Sun, 06 Nov 2026 07:00:00 GMT", SENT, 0.0),
    ("Sun, 06 Nov 2044 07:00:00 GMT", SENT, 3600.0),
    ("Sun, 06 Nov 2026 08:00:30 GMT", None, 20.0),
    ("Sun, 06 Nov 2026 08:00:30 GMT", "yesterday", 20.0),
    ("Sun, 06 Nov 99999 08:00:30 GMT", SENT, None),
])
def test_retry_after_is_seconds_or_a_date_clamped_or_nothing(value: str | None, date: str | None,
                                                             expected: float | None) -> None:
    now = 1793952010.0  # ten seconds after SENT
    assert retry_after([] if value is None else [value], date, now) == expected


@given(st.text(), st.text() | st.none())
def test_no_header_can_break_the_reading_of_retry_after(value: str, date: str | None) -> None:
    seconds = retry_after([value], date, 0.0)
    assert seconds is None or 0 <= seconds <= 3600


@pytest.mark.parametrize(("text", "expected"), [
    ("10", Decimal(10)), ("145.10", Decimal("145.10")), ("0", Decimal(0)), ('"46.5"', Decimal("46.5")), ("null", None),
    ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
])
def test_credits_are_exactly_what_was_written(text: str, expected: Decimal | None) -> None:
    number, words = credits_of(parse_json(text))
    assert (number, words) == (expected, "")
    assert number is None or str(number) == text.strip('"')


@pytest.mark.parametrize("text", ["-1", "NaN", "Infinity", "-Infinity", "1e30", "1e999999", '"many"', "true", "[]", "{}",
                                  '"\\u001b[2J"'])
def test_credits_that_cannot_be_are_none_with_words(text: str) -> None:
    number, words = credits_of(parse_json(text))
    assert number is None
    assert "credits_charged" in words
    assert words.isprintable()


@pytest.mark.parametrize(("answer", "expected"), [
    ('{"error": "no"}', ["no"]),
    ('{"error": {"code": "moderation", "message": "No weapons"}}', ["moderation", "No weapons"]),
    ('{"message": "a", "detail": "b"}', ["a", "b"]),
    ('{"detail": [{"loc": ["body", "duration"], "msg": "too long", "type": "value_error"}]}',
     ["body.duration", "value_error", "too long"]),
    ('{"code": 1102, "message": "Account balance not enough"}', ["Account balance not enough"]),
    ('["first", "second"]', ["first", "second"]),
    ('{"error": "same", "message": "same"}', ["same"]),
    ("plain words", ["plain words"]),
    ("{}", ["{}"]),
    ("5", ["5"]),
    ("{" * 5000, ["{" * 5000]),
    ("[" * 50_000, ["[" * 50_000]),
    ("9" * 50_000, ["9" * 50_000]),
])
def test_the_words_of_an_answer_are_found_where_servers_put_them(answer: str, expected: list[str]) -> None:
    assert error_texts(answer) == expected


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "loc", "x"]), inner)))
def test_any_document_has_words_or_none(document: object) -> None:
    assert all(isinstance(text, str) for text in error_texts(document))


@given(st.text(), st.integers(2, 50))
def test_what_is_shown_is_one_printable_line_of_bounded_length(text: str, length: int) -> None:
    line = printable(text, length)
    assert len(line) <= length
    assert line.isprintable()


def test_no_text_makes_the_reading_slow() -> None:
    began = time.perf_counter()
    for text in ("balance " + "is " * 300_000, "insufficient" + " " * 900_000, "\x1b" * 1_000_000, "credit_" * 150_000):
        is_account_empty(429, error_texts(text))
        printable(text, 500)
    assert time.perf_counter() - began < 5, "linear work takes a hundredth of this"
