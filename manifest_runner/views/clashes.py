"""A merge of lockfiles that needs a person: what each side has, what it cost, and what to type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from manifest_runner.core.conflictmarkers import Labels
from manifest_runner.core.lockmerge import Clash, one_submission
from manifest_runner.core.pricing import format_credits
from manifest_runner.core.worddiff import around_changes, word_diff
from manifest_runner.views.text import columns, count, safe

_MARKS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
SHOWN = 12
"""Conflicts that are told in full; of a hundred nobody reads more before the first is settled."""


def clashes_text(clashes: Sequence[Clash], labels: Labels, shown: str) -> str:
    """Every conflict in the lockfile `shown`, with the commands that settle it."""
    parts = [_one(clash, labels, shown) for clash in clashes[:SHOWN]]
    if len(clashes) > SHOWN:
        parts.append(f"and {count(len(clashes) - SHOWN, 'conflict')} more")
    return "\n\n".join(parts)


def clash_dict(clash: Clash, labels: Labels) -> dict[str, Any]:
    """One conflict for programs."""
    sides = {}
    for side, label, take in (("ours", labels.ours, clash.ours), ("theirs", labels.theirs, clash.theirs)):
        known = take if clash.take and isinstance(take, dict) else {}
        sides[side] = {"label": label, "there": take is not None, "job_id": known.get("job_id"), "state": known.get("state"),
                       "external_task_id": known.get("external_task_id"), "credits": known.get("credits")}
    return {"place": clash.place, "shot": clash.shot or None, "take": clash.take or None, **sides}


def _one(clash: Clash, labels: Labels, shown: str) -> str:
    sides = ((labels.ours, "--ours", clash.ours), (labels.theirs, "--theirs", clash.theirs))
    by_side = [(flag, clash.place, label) for label, flag, _ in sides]
    if not clash.take:
        rows = columns([(f"  {safe(label)}", _short(value)) for label, _, value in sides])
        return "\n".join([f"{safe(shown)}: both sides changed {safe(clash.place)}", *rows, *_commands(by_side, shown)])
    both = clash.ours is not None and clash.theirs is not None
    told = both and one_submission(clash.ours, clash.theirs)
    lines = [f"{safe(shown)}: {safe(clash.shot)} t{clash.take} {_what(clash, labels, told=told)}",
             *columns([(f"  {safe(label)}", *_facts(take)) for label, _, take in sides])]
    if both:
        lines += _difference(clash.ours["request"], clash.theirs["request"])
    if both and not told:
        lines.append("  keep one; the other stays on record in the lockfile, and is not paid for again:")
    ways = [by_side[number] if take is None or told else ("--keep", take.get("job_id") or take["external_task_id"], label)
            for number, (label, _, take) in enumerate(sides)]
    return "\n".join([*lines, *_commands(ways, shown)])


def _what(clash: Clash, labels: Labels, *, told: bool) -> str:
    """What happened, in words that do not depend on which side git calls ours."""
    if clash.ours is None or clash.theirs is None:
        gone, there = (labels.ours, labels.theirs) if clash.ours is None else (labels.theirs, labels.ours)
        return f"was dropped by {safe(gone)} and changed by {safe(there)}"
    return "is one job, of which the two sides tell different things" if told else "was rendered by both sides: two jobs"


def _facts(take: Mapping[str, Any] | None) -> tuple[str, ...]:
    if take is None:
        return ("dropped", "", "")
    money = take.get("credits", {})
    charged = money.get("charged")
    amount = Decimal(charged if charged is not None else money.get("estimated", "0"))
    words = f"{format_credits(amount)} credits" + ("" if charged is not None else " reserved")
    return (safe(take.get("job_id") or take["external_task_id"]), words, safe(take["state"]).replace("_", " "))


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How the requests of the two sides differ, if they do."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, str) and isinstance(new, str) and name.endswith("prompt"):
            pieces = around_changes(word_diff(old, new))
            words = "".join(f"{_MARKS[kind][0]}{safe(text)}{_MARKS[kind][1]}" for kind, text in pieces)
        else:
            words = f"{_short(old)} / {_short(new)}"
        lines.append(f"  {safe(name)}: {words}")
    return lines


def _commands(ways: list[tuple[str, str, str]], shown: str) -> list[str]:
    rows = [("    " + safe(shlex.join(["manifest-runner", "lock", "--resolve", shown, flag, name])), f"# {safe(label)}")
            for flag, name, label in ways]
    return columns(rows)


def _short(value: object) -> str:
    text = "nothing" if value is None else safe(str(value))
    return text if len(text) <= 60 else text[:59] + "…"
