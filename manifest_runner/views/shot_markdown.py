"""One shot of a plan in a comment: folded, with its price and why; below it what changes, in words.

Laws: HTML on lines of its own, without empty lines between them, so that nothing in it is read as Markdown; whatever came out
of a manifest or a lockfile stands in `<code>`, where nothing is taken for a mention, a reference or an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from manifest_runner.core.camera import prompt_without_camera, told
from manifest_runner.core.model import Action, Change, FileFrame, Frame, Reason, ReasonCode, Request, Shot, ShotFrame
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import format_credits
from manifest_runner.core.requests import PENDING
from manifest_runner.core.worddiff import around_changes, word_diff
from manifest_runner.views.escaping import html

_LONGEST = 1_200
"""Characters of a prompt, or of what changed in it, that are shown."""

_STILL = "no move"


def shot_block(group: list[Change], shot: Shot | None, card: ModelCard) -> str:
    """One shot, folded: its name, its credits and why; below it what changes."""
    first = group[0]
    price = sum((change.quote.credits for change in group), Decimal(0))
    title = [f"<b>{code(first.shot, 80)}</b>{_takes(group, shot)}"]
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
        return code(reason.detail, 120)
    if reason.code is ReasonCode.RETAKE_ASKED and reason.detail:
        return f"{reason.code.value}: {html(reason.detail)}"
    return f"{reason.code.value} {code(reason.detail, 120)}" if reason.detail else reason.code.value


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
        yield f"Prompt: {code(new, _LONGEST)}"
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
        return f"the {frame.frame.value} frame of {code(frame.shot, 80)}{take}{', which is rendered first' if pending else ''}"
    return f"the picture {code(frame.path if isinstance(frame, FileFrame) else frame.url, 200)}"


def _known(identity: object) -> str:
    """A frame as a request names it: what it was, as far as that can be said."""
    kind, _, rest = str(identity).partition(":")
    if identity is None:
        return "none"
    if kind == "url":
        return f"the picture {code(rest, 200)}"
    if kind == "file":
        return "another picture"
    return "a frame of an earlier clip"


def _camera(before: Request | None, after: Request, shot: Shot | None, card: ModelCard) -> Iterator[str]:
    now = told(after.params, card) if shot is None or shot.camera is None else shot.camera.words
    was = None if before is None else told(before.params, card)
    if was is None and now != _STILL:
        yield f"Camera: {code(now, 120)}"
    elif was is not None and was != now:
        yield f"Camera: {code(now, 120)}, was {code(was, 120)}"


def _parameters(before: Request | None, after: Request, card: ModelCard) -> Iterator[str]:
    """Everything else that is asked for; where there was something before, what differs."""
    said = {"prompt", card.frames.first, card.frames.last, card.camera.parameter}
    old = {} if before is None else before.params
    if before is not None and before.model != after.model:
        yield f"Model: {code(before.model, 80)} → {code(after.model, 80)}"
    names = sorted((old.keys() | after.params.keys()) - said)
    if before is None and names:
        yield " · ".join(code(f"{name}: {after.params[name]}", 240) for name in names)
        return
    for name in names:
        was, now = old.get(name), after.params.get(name)
        if was != now:
            yield f"{code(name, 40)} {code(was, 200)} → {code(now, 200)}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:max(0, most - 1)] + "…"


def _plain(text: object, most: int) -> str:
    """Somebody's text on one line of HTML, shortened."""
    return html(_shortened("none" if text is None else str(text), most)).replace("\n", " ").replace("\t", " ")


def code(text: object, most: int) -> str:
    """Somebody's text on one line, shortened, where nothing is taken for a mention, a reference or an address."""
    return f"<code>{_plain(text, most)}</code>"
