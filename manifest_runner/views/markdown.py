"""A plan as one comment of a pull request: what changes, what it costs, the rest folded.

Laws
- Begins with a hidden marker of its manifest, by which the comment is found again. The marker holds nothing that a stranger
  wrote.
- Whatever came out of a manifest or a lockfile passes `views/escaping.py`, and stands in `<code>` where it could be taken for a
  mention or a reference. Details are HTML without empty lines, so that no line of a prompt is read as Markdown.
- Never larger than the room that it is given. What does not fit is counted and said, never left out in silence.
- The same plan gives the same text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from manifest_runner.core.model import Action, Change, Diagnostic, Manifest, Plan, Severity
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.core.verdict import open_takes, verdict_of
from manifest_runner.views.escaping import html
from manifest_runner.views.shot_markdown import code, shot_block
from manifest_runner.views.text import count

COMMENT = 65_000
"""Characters of a comment: a margin below the 65,536 that GitHub names, and no more than four of its 262,144 bytes each."""

SUMMARY = 1_000_000
"""Bytes of a job summary, a margin below the 1 MiB that one step may write."""

_FOLDED = 8
"""So many changed shots stand side by side; more are folded into one."""

_NAMED = 8
"""So many clips that are other than asked are named."""

_RENDERED = (Action.CREATE, Action.REPLACE)
_LOCKED = (Action.KEEP, Action.FETCH)
"""What a reviewer calls kept: whether its clip lies on the machine that made the plan is nothing to him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a reviewer is shown. `name` is the manifest's path from the root of the repository; `cut_before` what the cut came
    to as it is locked, at today's prices."""

    plan: Plan
    manifest: Manifest
    card: ModelCard
    name: str
    cut_before: Decimal
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers of a review: takes by what is done about them, and credits. `credits` is what this plan spends, `total` one
    take of every shot at today's prices, `delta` how much that differs from what is locked."""

    to_render: int
    resumed: int
    kept: int
    dropped: int
    credits: Decimal
    total: Decimal
    delta: Decimal

    @property
    def changes(self) -> bool:
        """Whether the plan does more than fetch clips that are locked."""
        return bool(self.to_render or self.resumed or self.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What the text is written on: its room, how that is measured, whether it begins with the marker, and where the rest is
    shown that has no room (HTML of ours)."""

    room: int
    measure: Callable[[str], int]
    marked: bool
    rest: str


def characters(text: str) -> int:
    """Characters as the strictest reader counts them: one beyond the first 65,536 of Unicode is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def utf8(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text.encode())


def marker(name: str) -> str:
    """The hidden line by which the comment about a manifest is found again."""
    return f"<!-- manifest-runner {hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]} -->"


def figures(review: Review) -> Figures:
    """The numbers of a review."""

    def of(*actions: Action) -> int:
        return sum(change.action in actions for change in review.plan.changes)

    return Figures(to_render=of(*_RENDERED), resumed=of(Action.RESUME), kept=of(*_LOCKED), dropped=of(Action.DROP),
                   credits=review.plan.total, total=review.plan.cut_total, delta=review.plan.cut_total - review.cut_before)


def review_markdown(review: Review, paper: Paper) -> str:
    """The whole comment or job summary, ended by one line break."""
    found = figures(review)
    head = _opening(review.name, paper, _headline(found, review.card)) + _table(found)
    head += _to_look_at(open_takes(review.plan, review.manifest))
    foot = _warnings(review.warnings, paper.room // 4, paper.measure)
    groups = _groups(review.plan.changes)
    folded = len(groups) > _FOLDED
    opening = f"<details><summary>{count(len({group[0].shot for group in groups}), 'shot')}</summary>\n\n" if folded else ""
    closing = "</details>\n" if folded else ""
    blocks = _Filled(paper, head + opening + closing + foot)
    shots = {shot.id: shot for shot in review.manifest.shots}
    for index, group in enumerate(groups):
        if not blocks.add(shot_block(group, shots.get(group[0].shot), review.card) + "\n"):
            blocks.say_rest(len({left[0].shot for left in groups[index:]}), "more shot")
            break
    return f"{head}\n{opening}{blocks.text}{closing}{foot}" if groups or foot else head


def mistakes_markdown(name: str, diagnostics: Sequence[Diagnostic], paper: Paper) -> str:
    """What stands in place of a plan where the manifest has mistakes: the worst first."""
    errors = sum(item.severity is Severity.ERROR for item in diagnostics)
    warnings = len(diagnostics) - errors
    said = count(errors, "mistake") + (f", {count(warnings, 'warning')}" if warnings else "")
    head = _opening(name, paper, f"no plan: {said}.")
    rows = _Filled(paper, f"{head}\n<ul>\n</ul>\n")
    worst = worst_first(diagnostics)
    shown = 0
    while shown < len(worst) and rows.add(_mistake(worst[shown])):
        shown += 1
    rest = f"\n{len(worst) - shown:,} more: {paper.rest}\n" if shown < len(worst) else ""
    return f"{head}\n<ul>\n{rows.text}</ul>\n{rest}"


def worst_first(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Errors before warnings, each as they stand in the text."""
    return sorted(diagnostics, key=lambda item: item.severity is not Severity.ERROR)


class _Filled:
    """Text that grows while there is room, with some kept free for saying what had none."""

    def __init__(self, paper: Paper, around: str) -> None:
        self.paper = paper
        self.text = ""
        self.left = paper.room - paper.measure(around) - paper.measure(paper.rest) - 100

    def add(self, text: str) -> bool:
        size = self.paper.measure(text)
        if size > self.left:
            return False
        self.text += text
        self.left -= size
        return True

    def say_rest(self, number: int, what: str) -> None:
        self.text += f"\n{count(number, what)}: {self.paper.rest}\n\n"


def _opening(name: str, paper: Paper, said: str) -> str:
    begin = f"{marker(name)}\n" if paper.marked else ""
    return f"{begin}<p><b>{code(name, 200)}: {said}</b></p>\n"


def _headline(found: Figures, card: ModelCard) -> str:
    parts = [f"{found.to_render:,} to render" if found.to_render else "nothing to render"]
    parts += [f"{found.resumed:,} to finish"] if found.resumed else []
    parts += [f"{found.kept:,} kept"]
    parts += [f"{found.dropped:,} dropped"] if found.dropped else []
    return f"{', '.join(parts)}. {html(format_total(found.credits, card))}."


def _table(found: Figures) -> str:
    """Two numbers a row, so that it fits a phone."""
    takes = [("to render", found.to_render), ("kept", found.kept), ("dropped", found.dropped)]
    sums = [("now", format_credits(found.credits)), ("delta of the cut", _signed(found.delta)),
            ("total of the cut", format_credits(found.total))]
    rows = [f"| {what} | {number:,} | {which} | {amount} |"
            for (what, number), (which, amount) in zip(takes, sums, strict=True)]
    return "\n".join(["", "| Takes | | Credits | |", "|:--|--:|:--|--:|", *rows, ""])


def _signed(amount: Decimal) -> str:
    return f"+{format_credits(amount)}" if amount > 0 else format_credits(amount).replace("-", "−")


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """What a reviewer must see, takes of one shot to which the same happens together."""
    groups: list[list[Change]] = []
    for change in changes:
        if change.action in _LOCKED:
            continue
        last = groups[-1][0] if groups else None
        if (last is not None and (last.shot, last.action, last.reasons) == (change.shot, change.action, change.reasons)
                and (last.before, last.after) == (change.before, change.after)):
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups


def _to_look_at(takes: Sequence[Change]) -> str:
    """Clips of the cut that are other than asked, and that nobody has accepted."""
    if not takes:
        return ""
    rows = "".join(f"<li>{code(f'{change.shot} t{change.take}', 80)}: {code(verdict.words, 200)}</li>\n"
                   for change in takes[:_NAMED] if (verdict := verdict_of(change)) is not None)
    more = f"<li>{len(takes) - _NAMED:,} more</li>\n" if len(takes) > _NAMED else ""
    return f"\n<p><b>{count(len(takes), 'take')} in the cut to look at:</b></p>\n<ul>\n{rows}{more}</ul>\n"


def _warnings(warnings: Sequence[Diagnostic], room: int, measure: Callable[[str], int]) -> str:
    if not warnings:
        return ""
    rows, left = "", room
    for item in warnings:
        row = _mistake(item)
        left -= measure(row)
        if left < 0:
            rows += "<li>…</li>\n"
            break
        rows += row
    return f"<details><summary>{count(len(warnings), 'warning')}</summary>\n<ul>\n{rows}</ul>\n</details>\n"


def _mistake(item: Diagnostic) -> str:
    place = "" if item.source is None else f"{item.source.path}:{item.source.line}:{item.source.column}"
    shown = f"{code(place, 200)} " if place else ""
    hint = f" <i>{code(item.hint, 300)}</i>" if item.hint else ""
    return f"<li>{shown}{item.severity.value}: {code(item.message, 600)}{hint}</li>\n"
