"""Faults on demand: what goes wrong, at which request, for which shot. Parsing and deciding are pure.

    submit:500        submit:500-after  submit:429:retry-after=2   submit:429:retry-after=date   submit:429=balance exhausted
    submit:drop-before   submit:drop-after   submit:malformed-202   submit:other-job   submit:slow=3
    poll:404          poll:429:retry-after=2   poll:drop   poll:malformed   poll:unknown-status   poll:stuck   poll:slow=3
    job:fail=words    job:no-outputs    job:short    job:black    job:frozen    charge:+10
    download:403      download:drop     download:truncated   download:garbage   download:other   download:slow=3

Any HTTP status from 400 to 599 may stand for the ones above. A rule may end in `@N` (only the Nth such request), `xN` (the
first N) or `%N` (every Nth), and then in `shot=SH0010` (only requests whose external task id begins so; only those are
counted). After words, `xN` needs a space before it.

Laws: each rule counts for itself every request that it could strike, whether or not it does; of several that strike one
request, the first wins. `-after`, `drop-after`, `malformed-202` and `other-job` strike once the job is made, `drop-before`
and a plain status come instead of making it. `job:short` is a clip half as long as asked, `job:black` a black one, `job:frozen`
one that never leaves its first frame; `download:other` gives bytes that are a clip too, and not the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from manifest_runner.errors import UsageError


class Phase(StrEnum):
    """Where a fault strikes. `JOB` and `CHARGE` strike the making of a job, not a request."""

    SUBMIT = "submit"
    POLL = "poll"
    JOB = "job"
    CHARGE = "charge"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. `kind` is a word of the table above, or `status`, whose number is in `status`; `value` is what stood after
    `=`; `instead` is true where a submission is answered so instead of making a job; `retry_after` is the text for that header
    (`date` means an HTTP date), None for no header."""

    phase: Phase
    kind: str
    text: str
    value: str = ""
    status: int = 0
    instead: bool = False
    retry_after: str | None = None
    how: str = ""
    n: int = 0
    shot: str = ""

    def strikes(self, count: int) -> bool:
        """Whether it strikes the `count`th request (from 1) of those that it could strike."""
        match self.how:
            case "@":
                return count == self.n
            case "x":
                return count <= self.n
            case "%":
                return count % self.n == 0
            case _:
                return True


_STATUS = r"(?P<status>[45]\d\d)"
_RETRY = r"(?::retry-after=(?P<retry>[!-<>-~]+?))?"
_WORDS = r"(?:=(?P<words>.+?))?"
_SECONDS = r"(?P<slow>slow)=(?P<seconds>\d+(?:\.\d+)?)"

# phase → the pattern of what may stand after its colon, and how the kinds are told to people
_KINDS: dict[Phase, tuple[str, str]] = {
    Phase.SUBMIT: (
        rf"{_STATUS}(?P<after>-after)?{_RETRY}{_WORDS}|(?P<kind>drop-before|drop-after|malformed-202|other-job)|{_SECONDS}",
        "STATUS[-after][:retry-after=VALUE][=words], drop-before, drop-after, malformed-202, other-job, slow=SECONDS",
    ),
    Phase.POLL: (
        rf"{_STATUS}{_RETRY}{_WORDS}|(?P<kind>drop|malformed|unknown-status|stuck)|{_SECONDS}",
        "STATUS[:retry-after=VALUE][=words], drop, malformed, unknown-status, stuck, slow=SECONDS",
    ),
    Phase.JOB: (r"fail=(?P<words>.+?)|(?P<kind>no-outputs|short|black|frozen)",
                "fail=WORDS, no-outputs, short, black, frozen"),
    Phase.CHARGE: (r"(?P<amount>[+-]\d+(?:\.\d+)?)", "+CREDITS, -CREDITS"),
    Phase.DOWNLOAD: (rf"{_STATUS}{_WORDS}|(?P<kind>drop|truncated|garbage|other)|{_SECONDS}",
                     "STATUS, drop, truncated, garbage, other, slow=SECONDS"),
}

_SHOT = r"(?:\s+shot=(?P<shot>\S+))?"
_ATTACHED = r"(?:\s*(?P<how>[@x%])(?P<n>[1-9]\d*))?"
_SPACED = r"(?:(?:\s*(?=[@%])|\s+)(?P<how>[@x%])(?P<n>[1-9]\d*))?"  # so that words may end in `x2`
_HAS_WORDS = re.compile(r"fail=|[45]\d\d(?:-after)?(?::retry-after=[^\s=]+)?=")
_COMPILED = {
    (phase, tail): re.compile(rf"(?:{kinds}){tail}{_SHOT}")
    for phase, (kinds, _) in _KINDS.items() for tail in (_ATTACHED, _SPACED)
}


def parse_fault(text: str) -> Fault:
    """One rule from its text; raises `UsageError` that lists the known faults."""
    head, _, rest = text.strip().partition(":")
    if head in Phase.__members__.values():
        phase = Phase(head)
        found = _COMPILED[phase, _SPACED if _HAS_WORDS.match(rest) else _ATTACHED].fullmatch(rest)
        if found:
            fault = _fault(phase, text.strip(), {name: value for name, value in found.groupdict().items() if value is not None})
            meant = _swallowed(fault)
            if meant is not None:
                raise UsageError(f"fault {text!r} would say {fault.value!r}", code="unknown-fault",
                                 hint=f"did you mean {meant}?")
            return fault
    known = "; ".join(f"{phase}: {kinds}" for phase, (_, kinds) in _KINDS.items())
    meant = _near(text.strip())
    raise UsageError(f"unknown fault {text!r}", code="unknown-fault",
                     hint=f"{f'did you mean {meant}? ' if meant else ''}known are {known}; "
                          "each may end in @N, xN or %N and in shot=ID")


_NAMES = ("submit:drop-before", "submit:drop-after", "submit:malformed-202", "submit:other-job", "submit:slow=", "poll:drop",
          "poll:malformed", "poll:unknown-status", "poll:stuck", "poll:slow=", "job:fail=", "job:no-outputs", "job:short",
          "job:black", "job:frozen", "download:drop", "download:truncated", "download:garbage", "download:other",
          "download:slow=")
_SHOT_AT_END = re.compile(r"(?P<key>[Ss]\w{2,5})\s*[=:]\s*(?P<id>\S+)$")


def _near(text: str) -> str | None:
    """The fault that somebody may have meant who wrote this."""
    from difflib import get_close_matches  # only for a mistake

    head, colon, rest = text.partition(":")
    phases = get_close_matches(head.lower(), [phase.value for phase in Phase], 1)
    if colon and phases and phases[0] != head:
        return f"{phases[0]}:{rest}"
    name = re.match(r"[^\s@%=]*=?", text)
    found = get_close_matches(name.group(), _NAMES, 1, 0.75) if name is not None else []
    return found[0] + text[name.end():] if found and name is not None and found[0] != name.group() else None


def _swallowed(fault: Fault) -> str | None:
    """What was meant where words have taken in something that was to be a rule: `job:fail=no-outputs`, `… sht=SH0010`."""
    words, head = fault.value, fault.text.partition("=")[0]
    if fault.kind not in ("fail", "status") or not words:
        return None
    if words.startswith("retry-after="):
        return f"{head}:{words}"
    if f"{fault.phase}:{words}" in _NAMES:
        return f"{fault.phase}:{words}"
    from difflib import SequenceMatcher  # start-up time

    end = _SHOT_AT_END.search(words)
    if end is not None and not fault.shot and SequenceMatcher(None, end["key"].lower(), "shot").ratio() >= 0.75:
        return f"{head}={words[:end.start()].rstrip()} shot={end['id']}"
    return None


def _fault(phase: Phase, text: str, found: dict[str, str]) -> Fault:
    words = found.get("words", "")
    return Fault(
        phase=phase,
        text=text,
        kind=found.get("kind") or found.get("slow") or next((name for name in ("status", "amount") if name in found), "fail"),
        value=found.get("seconds") or found.get("amount") or words,
        status=int(found.get("status", 0)),
        instead=("status" in found and "after" not in found) or found.get("kind") == "drop-before",
        retry_after=found.get("retry"),
        how=found.get("how", ""),
        n=int(found.get("n", 0)),
        shot=found.get("shot", ""),
    )


def decide(
    faults: Sequence[Fault], counts: Sequence[int], phase: Phase, external_task_id: str
) -> tuple[Fault | None, tuple[int, ...]]:
    """Which fault strikes the next request of `phase`, and the counts (one a rule) after it."""
    struck: Fault | None = None
    after = list(counts)
    for index, fault in enumerate(faults):
        if fault.phase is phase and external_task_id.startswith(fault.shot):
            after[index] += 1
            if struck is None and fault.strikes(after[index]):
                struck = fault
    return struck, tuple(after)


class Faults:
    """A list of rules and how often each could have struck."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.rules = tuple(parse_fault(text) for text in texts)
        self._counts = (0,) * len(self.rules)

    def next(self, phase: Phase, external_task_id: str) -> Fault | None:
        """The fault that strikes now, if any; counts the request."""
        if not self.rules:
            return None
        struck, self._counts = decide(self.rules, self._counts, phase, external_task_id)
        return struck
