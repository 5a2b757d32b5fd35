"""A plan as JSON: what `plan --out` writes, and what `render --plan` holds the checkout to.

A saved plan is never carried out from its own words: the plan is made afresh and must come out the same. So nothing in a
plan that came in a pull request is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from manifest_runner.core.model import Change, Plan, Request

VERSION = 1


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
    stood_on = [f"{name}: {_short(before.get(name))} when planned, {_short(after.get(name))} now"
                for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    if stood_on:
        return stood_on
    return [f"{name} differs" for name in ("manifest", "changes", "total", "cut_total") if saved.get(name) != now[name]]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 19 else text[:19] + "…"
