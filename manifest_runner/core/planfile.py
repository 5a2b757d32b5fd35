"""A plan as JSON: what `plan --out` writes, and what `render --plan` holds the checkout to.

A saved plan is never carried out from its own words: the plan is made afresh and must come out the same. So nothing in a
plan that came in a pull request is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from manifest_runner.core.model import Action, Change, Plan, Request

VERSION = 1
_IN_PLACE = (Action.KEEP.value, Action.FETCH.value)
_MOST = 8
"""Differences that are named."""


def to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data, in the shape of `schemas/plan.schema.json`."""
    return {
        "version": VERSION,
        "manifest": plan.manifest,
        "basis": dict(plan.basis),
        "changes": [_change(change) for change in plan.changes],
        "total": format(plan.total, "f"),
        "cut_total": format(plan.cut_total, "f"),
    }


def dumps(plan: Plan) -> str:
    """The plan's text: the same plan gives the same bytes."""
    return json.dumps(to_dict(plan), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _change(change: Change) -> dict[str, Any]:
    return {
        "shot": change.shot,
        "take": change.take,
        "action": change.action.value,
        "reasons": [{"code": reason.code.value, "detail": reason.detail} for reason in change.reasons],
        "credits": format(change.quote.credits, "f"),
        "quote": change.quote.words,
        "fingerprint": change.fingerprint,
        "before": _request(change.before),
        "after": _request(change.after),
    }


def _request(request: Request | None) -> dict[str, Any] | None:
    return None if request is None else {"model": request.model, "request": dict(request.params)}


def differences(saved: Any, fresh: Plan) -> list[str]:
    """Why a saved plan no longer describes this checkout, in words; empty where it still does."""
    now = json.loads(dumps(fresh))
    if not isinstance(saved, Mapping) or saved.get("version") != VERSION:
        return [f"it is not a plan of version {VERSION}"]
    before: Any = saved.get("basis")
    before = before if isinstance(before, Mapping) else {}
    after: Mapping[str, Any] = now["basis"]
    stood_on = [f"{_short(name, 120)}: {_short(before.get(name))} when planned, {_short(after.get(name))} now"
                for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    if stood_on:
        return _first(stood_on)
    whole = [f"{name}: {_short(saved.get(name), 120)} when planned, {_short(now[name], 120)} now"
             for name in ("manifest", "total", "cut_total") if saved.get(name) != now[name]]
    return whole + _first(_takes(saved.get("changes"), now["changes"]))


def _takes(saved: Any, now: list[dict[str, Any]]) -> list[str]:
    """The takes of which a saved plan says something else than a fresh one, and what. Whether a locked clip lies on this
    machine or is fetched first is not part of what was approved: it costs nothing and changes nothing that was seen."""
    if not isinstance(saved, list) or not all(isinstance(change, Mapping) for change in saved):
        return ["changes: not as a plan has them"]
    old, new = _by_take(saved), _by_take(now)
    if len(old) != len(saved):
        return ["changes: a take stands there twice"]
    found = [f"{where}: {_said(old.get(where))} when planned, {_said(new.get(where))} now"
             for where in sorted(old.keys() | new.keys()) if _bound(old.get(where)) != _bound(new.get(where))]
    return found or ([] if list(old) == list(new) else ["changes: in another order"])


def _by_take(changes: list[Any]) -> dict[str, Mapping[str, Any]]:
    return {f"{_short(change.get('shot'), 120)} t{_short(change.get('take'))}": change for change in changes}


def _bound(change: Mapping[str, Any] | None) -> object:
    if change is not None and change.get("action") in _IN_PLACE:
        return {**change, "action": None, "reasons": None}
    return change


def _said(change: Mapping[str, Any] | None) -> str:
    if change is None:
        return "nothing"
    return f"{_short(change.get('action'))} for {_short(change.get('credits'))} ({_short(change.get('fingerprint'))})"


def _first(found: list[str]) -> list[str]:
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more"]


def _short(value: Any, most: int = 60) -> str:
    text = "nothing" if value is None else str(value)
    most = 19 if text.startswith("sha256:") else most
    return text if len(text) <= most else text[:most] + "…"
