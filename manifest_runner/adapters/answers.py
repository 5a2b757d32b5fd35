"""Reading what somebody else's server says: its words, how long it wants us to wait, what it charged.

Pure functions of texts, without HTTP. Nothing a server sends may raise here, take long, or reach a terminal as it came.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Sequence
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

_LONGEST_WAIT = 3600.0
_JOB_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.:-]{1,200}")  # dots alone would climb in the path of a question
_MOST_CREDITS = Decimal(10) ** 9
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_CODE = re.compile(r"\S{1,64}")

# What an empty account sounds like. "No credits were charged" and "balance: 300" in a rate-limit message must not match.
_MONEY = r"(?:credits?|balance|funds?)"
_ACCOUNT_EMPTY = re.compile(
    rf"insufficient[\s_-]*(?:account[\s_-]*)?(?:{_MONEY}|quota)"
    rf"|(?:not[\s_-]*enough|too[\s_-]*few|out[\s_-]*of)[\s_-]*(?:account[\s_-]*)?{_MONEY}"
    rf"|(?<![\w.,])(?:no|0|zero)\s+(?:more\s+)?{_MONEY}\s+(?:left|remaining|remain|available)"
    rf"|{_MONEY}[\s_-]+(?:(?:is|are|has|have|been|of|your|account|too)[\s_-]+)*"
    r"(?:insufficient|not[\s_-]+enough|exhausted|depleted|empty|used[\s_-]+up|low|zero|negative|run[\s_-]+out|exceeded)\b"
    r"|credit[\s_-]+limit[\s_-]+(?:exceeded|reached)|\bin\s+arrears|payment[\s_-]+required"
    r"|resource\s+pack\s+(?:is\s+)?(?:depleted|exhausted|expired)"
    r"|exceeded\s+your\s+current\s+quota.{0,40}billing|quota[\s_-]+exceeded.{0,40}\bbalance\s+(?:is\s+)?(?:0|zero|empty)\b",
    re.IGNORECASE | re.DOTALL)

# What too many jobs at once sounds like. Concurrent *requests* and connections are a matter of pace, not of places.
_NO_REQUESTS = r"(?![\s_-]+(?:api[\s_-]+|http[\s_-]+)?(?:requests?|connections?|calls?))"
_CROWDED = re.compile(
    rf"(?<![a-z])concurren(?:cy|t|tly)(?![a-z]){_NO_REQUESTS}"
    rf"|(?<![a-z])(?:parallel|simultaneous(?:ly)?)(?![a-z]){_NO_REQUESTS}"
    r"|(?<![a-z])in[\s_-]?flight(?![a-z])"
    r"|too[\s_-]+many[\s_-]+(?:[a-z]+[\s_-]+){0,2}?(?:jobs|tasks|generations|renders|videos)(?![a-z])",
    re.IGNORECASE)

_WORD_KEYS = ("error", "code", "type", "message", "error_message", "detail", "msg", "reason", "failure_reason")


def parse_json(text: str) -> Any:
    """The JSON of an answer, numbers with a point as Decimal; None where it is not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def error_texts(answer: Any) -> list[str]:
    """The texts with which an answer explains itself, the most general first, each once.

    `answer` is parsed JSON, or the text of an answer: what is not JSON, and JSON without words, explains itself as it stands.
    """
    if not isinstance(answer, str):
        return list(dict.fromkeys(_texts(answer, 0)))
    return list(dict.fromkeys(_texts(parse_json(answer), 0))) or [answer]


def _texts(node: Any, depth: int) -> list[str]:
    if isinstance(node, str):
        return [node]
    if depth > 4:
        return []
    if isinstance(node, list):
        return [text for item in node[:5] for text in _texts(item, depth + 1)]
    if not isinstance(node, dict):
        return []
    where = node.get("loc")  # the field, in the validation errors of a common framework
    found = [".".join(str(step) for step in where)] if isinstance(where, list) else []
    return found + [text for key in _WORD_KEYS for text in _texts(node.get(key), depth + 1)]


def printable(text: str, length: int) -> str:
    """`text` on one line, without control characters and escapes, at most `length` characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text[: 10 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def is_certificate_failure(error: BaseException | None) -> bool:
    """Whether a certificate that does not verify is what lies behind `error`."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_account_empty(status: int, texts: Sequence[str]) -> bool:
    """Whether a 4xx means that the account has no credits: 402 always, 403 and 429 by their words, others only by an error
    code such as `insufficient_credits`, because their words may quote a prompt."""
    if status == 402:
        return True
    judged = texts if status in (403, 429) else [text for text in texts if _CODE.fullmatch(text)]
    return any(_ACCOUNT_EMPTY.search(text[:2000]) for text in judged)


def is_job_id(value: object) -> bool:
    """Whether a value, from wherever it came, can be the id of a job and stand in the path of a question about it."""
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def is_crowded(texts: Sequence[str]) -> bool:
    """Whether a 429 that is not about money means too many jobs at once, and not too many requests: by its words."""
    return any(_CROWDED.search(text[:2000]) for text in texts)


def retry_after(values: Sequence[str], date: str | None, now: float) -> float | None:
    """Seconds to wait by the Retry-After headers (seconds or dates), from 0 to 3600; None where none is there or readable. Of
    several, as a gateway and a proxy in front of it may send them, the longest counts.

    A date is counted from the answer's own Date header, so that a wrong clock here does not matter; else from `now`.
    """
    return max((wait for value in values if (wait := _wait_of(value, date, now)) is not None), default=None)


def _wait_of(value: str, date: str | None, now: float) -> float | None:
    if _NUMBER.fullmatch(value.strip()):
        seconds = float(value)
    else:
        until = _timestamp(value)
        if until is None:
            return None
        sent = _timestamp(date) if date is not None else None
        seconds = until - (now if sent is None else sent)
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def credits_of(value: object) -> tuple[Decimal | None, str]:
    """What the gateway says it charged, exactly as written, or None and the words that say why it is not believed."""
    if value is None:
        return None, ""
    try:
        number = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite() or not 0 <= number <= _MOST_CREDITS:
        return None, f"credits_charged is not a usable number: {printable(str(value), 40)}"
    return number, ""
