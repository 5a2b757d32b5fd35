"""What a person decided about takes, and what follows from it: for `circle` and `retake`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from manifest_runner.core.consequences import moved
from manifest_runner.core.model import Plan, Shot, ShotFrame, ShotId, Source
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.planfile import to_dict
from manifest_runner.core.pricing import format_total
from manifest_runner.core.takes import Wish
from manifest_runner.views.escaping import json_text
from manifest_runner.views.plan import changes_text, summary
from manifest_runner.views.status import Step, steps_text
from manifest_runner.views.text import safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A wish, the shot before and after it, and where the number stands; None where it stands nowhere any more."""

    wish: Wish
    before: Shot
    after: Shot
    place: Source | None

    @property
    def is_new(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """All that one command decided. `pinned` are frames that name another take than the one in the cut. `written` is false in a
    dry run, and where everything was so already."""

    decided: Sequence[Decided]
    before: Plan
    after: Plan
    pinned: Sequence[tuple[ShotId, ShotFrame]]
    steps: Sequence[Step]
    written: bool


def decision_text(decision: Decision, card: ModelCard, manifest: str, *, priced: bool = True, quiet: bool = False) -> str:
    """A line a decision, the takes of which the plan says something else now, and what it comes to; then what to type next.
    `quiet` leaves the decisions alone."""
    lines = [_line(one, manifest) for one in decision.decided]
    if quiet:
        return "\n".join(lines)
    lines += [f"{safe(shot)} takes its frame from take {frame.take} of {safe(frame.shot)} by name, and keeps it"
              for shot, frame in decision.pinned]
    if not any(one.is_new for one in decision.decided):
        return "\n".join(lines)
    lines += _plan(decision, card, priced=priced)
    if not decision.written:
        lines.append("A dry run: nothing was written.")
    return "\n".join([*lines, *steps_text(decision.steps)])


def _plan(decision: Decision, card: ModelCard, *, priced: bool) -> list[str]:
    before, after = decision.before, decision.after
    changes = moved(before, after)
    rows = changes_text(changes, priced=priced and any(change.quote.credits for change in changes))
    was = f" Before: {format_total(before.total, card)}." if priced and before.total != after.total else ""
    return [*(["", *rows, ""] if rows else ["Nothing follows from it."]), summary(after, card, priced=priced) + was]


def _line(one: Decided, manifest: str) -> str:
    where = f"{safe(one.place.path)}:{one.place.line}" if one.place is not None else safe(manifest)
    return f"{where}: {safe(_words(one))}"


def _words(one: Decided) -> str:
    shot, before, after = one.after.id, one.before, one.after
    if one.wish.key == "takes":
        stays = before.cut_take == after.cut_take
        cut = f"take {after.cut_take} {'stays in the cut' if stays else 'is for the cut, as none is circled'}"
        return f"{shot} takes {before.takes} → {after.takes}; {cut}"
    if not one.is_new:
        return f"{shot} has no circled take" if after.circled is None else f"take {after.circled} of {shot} is circled already"
    was = "none" if before.circled is None else str(before.circled)
    now = f"none; the latest, take {after.takes}, is in the cut" if after.circled is None else str(after.circled)
    latest = f"; take {before.cut_take} was in the cut, as the latest" if before.circled is None else ""
    return f"{shot} circled {was} → {now}{latest}"


def decision_json(decision: Decision) -> str:
    """The same for programs."""
    changes = to_dict(replace(decision.after, changes=moved(decision.before, decision.after)))["changes"]
    told: dict[str, Any] = {
        "decisions": [{"shot": one.after.id, "takes": one.after.takes, "circled": one.after.circled, "cut": one.after.cut_take,
                       "before": {"takes": one.before.takes, "circled": one.before.circled, "cut": one.before.cut_take},
                       "line": one.place.line if one.place is not None else None} for one in decision.decided],
        "written": decision.written,
        "changes": changes,
        "pinned": [{"shot": shot, "frame_of": frame.shot, "take": frame.take} for shot, frame in decision.pinned],
        "credits": {"before": format(decision.before.total, "f"), "after": format(decision.after.total, "f")},
        "next": [command for command, _ in decision.steps],
    }
    return json_text(json.dumps(told, ensure_ascii=False, indent=2))
