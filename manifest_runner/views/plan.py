"""A plan as text: one line a take, the change itself below it, and a last line that counts and prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import click

from manifest_runner.core.model import Action, Change, Plan, Request
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.core.verdict import verdict_of
from manifest_runner.core.worddiff import around_changes, word_diff
from manifest_runner.views.nothing import nothing_to_do
from manifest_runner.views.text import columns, safe

SYMBOLS = {Action.CREATE: ("+", "green"), Action.REPLACE: ("~", "yellow"), Action.RESUME: (">", "cyan"),
           Action.FETCH: ("<", "cyan"), Action.KEEP: ("=", None), Action.DROP: ("-", "red")}

_NAMED = 8
"""So many pictures that are converted are named."""

_COUNTED = ((Action.RESUME, "to resume"), (Action.FETCH, "to fetch"), (Action.KEEP, "kept"), (Action.DROP, "dropped"))


def plan_text(plan: Plan, card: ModelCard, *, verbose: bool = False, priced: bool = True) -> str:
    """The whole plan. Takes that are kept are only counted, unless `verbose`; a draft is not `priced`."""
    lines = changes_text([change for change in plan.changes if verbose or change.action is not Action.KEEP], priced=priced)
    if lines:
        lines.append("")
    return "\n".join([*lines, summary(plan, card, priced=priced)])


def changes_text(changes: Sequence[Change], *, priced: bool = True) -> list[str]:
    """A line a take, and below it what changes in its prompt, and what is other than asked about its clip."""
    lines: list[str] = []
    for change, line in zip(changes, columns([_row(change, priced) for change in changes]), strict=True):
        symbol, colour = SYMBOLS[change.action]
        lines.append(f"  {click.style(symbol, fg=colour, bold=True)} {line}")
        lines.extend(f"        {text}" for text in _details(change))
        verdict = verdict_of(change)
        if verdict is not None:
            lines.append(f"        {'accepted as it is' if verdict.accepted else 'look at it'}: {safe(verdict.words)}")
    return lines


def _row(change: Change, priced: bool) -> tuple[str, ...]:
    reasons = "; ".join(safe(f"{reason.code.value} ({reason.detail})" if reason.detail else reason.code.value)
                        for reason in change.reasons)
    name = f"{safe(change.shot)} t{change.take}"
    if not priced:
        return name, reasons
    return name, f"{format_credits(change.quote.credits)} credits" if change.quote.credits else "", reasons


def _details(change: Change) -> Iterator[str]:
    """The changed prompt, word by word."""
    if change.action is not Action.REPLACE or change.before is None or change.after is None:
        return
    before, after = _prompt(change.before), _prompt(change.after)
    if before == after:
        return
    styled = {"same": {}, "removed": {"fg": "red", "strikethrough": True}, "added": {"fg": "green"}}
    marks = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
    yield "".join(click.style(f"{marks[kind][0]}{safe(text)}{marks[kind][1]}", **styled[kind])  # type: ignore[arg-type]
                  for kind, text in around_changes(word_diff(before, after)))


def _prompt(request: Request) -> str:
    return str(request.params.get("prompt", ""))


def converted_text(converted: Mapping[str, str]) -> str:
    """Which pictures are not sent as they are, and why: one line; nothing where all are."""
    named = [f"{safe(path)} ({safe(words)})" for path, words in [*converted.items()][:_NAMED]]
    more = f" and {len(converted) - _NAMED} more" if len(converted) > _NAMED else ""
    return f"converted before {'they are' if len(converted) > 1 else 'it is'} sent: {', '.join(named)}{more}" if named else ""


def summary(plan: Plan, card: ModelCard, *, priced: bool = True) -> str:
    """`Plan: 3 to render, 9 kept, 1 dropped. 435 credits (₹435).`, or that there is nothing to do."""
    count = Counter(change.action for change in plan.changes)
    if plan.is_empty:
        return nothing_to_do(count[Action.KEEP], priced=priced)
    parts = [f"{count[Action.CREATE] + count[Action.REPLACE]} to render"]
    parts += [f"{count[action]} {words}" for action, words in _COUNTED if count[action] or action is Action.KEEP]
    return f"Plan: {', '.join(parts)}. {f'{format_total(plan.total, card)}.' if priced else 'A draft costs nothing.'}"
