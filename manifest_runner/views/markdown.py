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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from manifest_runner.core.camera import prompt_without_camera, told
from manifest_runner.core.model import (
    Action,
    Change,
    Diagnostic,
    FileFrame,
    Frame,
    Manifest,
    Plan,
    Reason,
    ReasonCode,
    Request,
    Severity,
    Shot,
    ShotFrame,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import format_credits, format_total
from manifest_runner.core.requests import PENDING
from manifest_runner.core.worddiff import around_changes, word_diff
from manifest_runner.views.escaping import html
from manifest_runner.views.text import count

COMMENT = 65_000
"""Characters of a comment: a margin below the 65,536 that GitHub names, and no more than four of its 262,144 bytes each."""

SUMMARY = 1_000_000
"""Bytes of a job summary, a margin below the 1 MiB that one step may write."""

_FOLDED = 8
"""So many changed shots stand side by side; more are folded into one."""

_LONGEST = 1_200
"""Characters of a prompt, or of what changed in it, that are shown."""

_STILL = "no move"
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
    foot = _warnings(review.warnings, paper.room // 4, paper.measure)
    groups = _groups(review.plan.changes)
    folded = len(groups) > _FOLDED
    opening = f"<details><summary>{count(len({group[0].shot for group in groups}), 'shot')}</summary>\n\n" if folded else ""
    closing = "</details>\n" if folded else ""
    blocks = _Filled(paper, head + opening + closing + foot)
    shots = {shot.id: shot for shot in review.manifest.shots}
    for index, group in enumerate(groups):
        if not blocks.add(_block(group, shots.get(group[0].shot), review.card) + "\n"):
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
    return f"{begin}<p><b>{_code(name, 200)}: {said}</b></p>\n"


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


def _block(group: list[Change], shot: Shot | None, card: ModelCard) -> str:
    """One shot, folded: its name, its credits and why; below it what changes."""
    first = group[0]
    price = sum((change.quote.credits for change in group), Decimal(0))
    title = [f"<b>{_code(first.shot, 80)}</b>{_takes(group, shot)}"]
    title += [f"{format_credits(price)} {'credit' if price == 1 else 'credits'}"] if price else []
    title += [_reason(reason, card) for reason in first.reasons]
    lines = "<br>\n".join(_details(first, shot, card))
    return f"<details><summary>{' · '.join(title)}</summary>\n" + (f"<p>{lines}</p>\n" if lines else "") + "</details>\n"


def _takes(group: list[Change], shot: Shot | None) -> str:
    """Which takes, unless there is but one."""
    if len(group) > 1:
        return f" takes {', '.join(str(change.take) for change in group)}"
    return "" if group[0].take == 1 and (shot is None or shot.takes == 1) else f" take {group[0].take}"


def _reason(reason: Reason, card: ModelCard) -> str:
    if reason.code is ReasonCode.FRAME_CHANGED:
        return f"{'first' if reason.detail == card.frames.first else 'last'} {reason.code.value}"
    if reason.code is ReasonCode.PARAMETER_CHANGED:
        return _code(reason.detail, 120)
    return f"{reason.code.value} {_code(reason.detail, 120)}" if reason.detail else reason.code.value


def _details(change: Change, shot: Shot | None, card: ModelCard) -> Iterator[str]:
    before = change.before if change.action in (Action.REPLACE, Action.RESUME) else None
    after = change.after or change.before
    if after is None:
        return
    yield from _prompt(before, after, card)
    if change.action is Action.DROP:
        return
    for name, words in ((card.frames.first, "First frame"), (card.frames.last, "Last frame")):
        yield from _frame(name, words, before, after, shot if change.after is not None else None)
    yield from _camera(before, after, shot if change.after is not None else None, card)
    yield from _parameters(before, after, card)
    if change.quote.credits:
        yield f"A take: {html(change.quote.words)} = {format_credits(change.quote.credits)} credits"


def _prompt(before: Request | None, after: Request, card: ModelCard) -> Iterator[str]:
    new = prompt_without_camera(str(after.params.get("prompt", "")), card)
    old = None if before is None else prompt_without_camera(str(before.params.get("prompt", "")), card)
    if old is None:
        yield f"Prompt: {_code(new, _LONGEST)}"
    elif old != new:
        yield f"Prompt: <code>{_changed(old, new)}</code>"


def _changed(old: str, new: str) -> str:
    """What changed, word by word; after so many characters an ellipsis."""
    marks = {"same": ("", ""), "removed": ("<del>", "</del>"), "added": ("<ins><b>", "</b></ins>")}
    out, left, before = [], _LONGEST, "same"
    for kind, text in around_changes(word_diff(old, new), keep=48):
        begin, end = marks[kind]
        shown = _shortened(text, left)
        if (before, kind) == ("removed", "added"):
            begin = f" {begin}"  # or they would read as one word
        before = kind
        out.append(f"{begin}{_plain(shown, _LONGEST)}{end}")
        left -= len(text)
        if left <= 0:
            break
    return "".join(out)


def _frame(name: str, words: str, before: Request | None, after: Request, shot: Shot | None) -> Iterator[str]:
    new = after.params.get(name)
    old = None if before is None else before.params.get(name)
    if new == old:
        return
    wanted = None if shot is None else shot.first_frame if words == "First frame" else shot.last_frame
    now = _wanted(wanted, str(new).startswith(PENDING)) if wanted is not None else _known(new)
    anew = str(new).startswith(PENDING) and str(old).startswith("frame:")
    was = "" if before is None or anew else f", was {_known(old)}"
    yield f"{words}: {now}{was}"


def _wanted(frame: Frame, pending: bool) -> str:
    """A frame as the manifest asks for it."""
    if isinstance(frame, ShotFrame):
        take = "" if frame.take is None else f" take {frame.take}"
        return f"the {frame.frame.value} frame of {_code(frame.shot, 80)}{take}{', which is rendered first' if pending else ''}"
    return f"the picture {_code(frame.path if isinstance(frame, FileFrame) else frame.url, 200)}"


def _known(identity: object) -> str:
    """A frame as a request names it: what it was, as far as that can be said."""
    kind, _, rest = str(identity).partition(":")
    if identity is None:
        return "none"
    if kind == "url":
        return f"the picture {_code(rest, 200)}"
    if kind == "file":
        return "another picture"
    return "a frame of an earlier clip"


def _camera(before: Request | None, after: Request, shot: Shot | None, card: ModelCard) -> Iterator[str]:
    now = told(after.params, card) if shot is None or shot.camera is None else shot.camera.words
    was = None if before is None else told(before.params, card)
    if was is None and now != _STILL:
        yield f"Camera: {_code(now, 120)}"
    elif was is not None and was != now:
        yield f"Camera: {_code(now, 120)}, was {_code(was, 120)}"


def _parameters(before: Request | None, after: Request, card: ModelCard) -> Iterator[str]:
    """Everything else that is asked for; where there was something before, what differs."""
    said = {"prompt", card.frames.first, card.frames.last, card.camera.parameter}
    old = {} if before is None else before.params
    if before is not None and before.model != after.model:
        yield f"Model: {_code(before.model, 80)} → {_code(after.model, 80)}"
    names = sorted((old.keys() | after.params.keys()) - said)
    if before is None and names:
        yield " · ".join(_code(f"{name}: {after.params[name]}", 240) for name in names)
        return
    for name in names:
        was, now = old.get(name), after.params.get(name)
        if was != now:
            yield f"{_code(name, 40)} {_code(was, 200)} → {_code(now, 200)}"


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
    shown = f"{_code(place, 200)} " if place else ""
    hint = f" <i>{_code(item.hint, 300)}</i>" if item.hint else ""
    return f"<li>{shown}{item.severity.value}: {_code(item.message, 600)}{hint}</li>\n"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:max(0, most - 1)] + "…"


def _plain(text: object, most: int) -> str:
    """Somebody's text on one line of HTML, shortened."""
    return html(_shortened("none" if text is None else str(text), most)).replace("\n", " ").replace("\t", " ")


def _code(text: object, most: int) -> str:
    """The same where nothing is taken for a mention, a reference or an address."""
    return f"<code>{_plain(text, most)}</code>"
