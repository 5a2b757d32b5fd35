"""What `render --detach` leaves to others: orders, each for shots that are rendered together.

Laws
- Shots that take frames from each other are in one order; every take that a plan renders is in exactly one.
- An order says what was approved, take by take. Whoever carries it out plans anew, and never does what costs more, or asks for
  something else, than was approved.
- An order arrives through a database: what it holds is checked for its shape before anything is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from manifest_runner.core.model import Action, Change, Manifest, Plan, Shot, ShotId
from manifest_runner.core.planning import upstream_frames
from manifest_runner.errors import StalePlan, UsageError

VERSION = 1
MOST = 200
"""Orders that one plan becomes at most: each of them reads the manifest again."""

LATER, STOP = 75, 77
"""Exit codes of a process that carried out an order, beside those of `render`: something outside kept it from its end, and it
may be tried again; nothing more may be submitted for this account (no credits, a wrong key)."""

HANDED = (Action.CREATE, Action.REPLACE, Action.RESUME)
"""What others may do. Clips are fetched, and blocks dropped, where the lockfile is."""

_BINDING = ("program", "model card", "prices")
_PATH = re.compile(r"[^/\\\0][^\\\0]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHAPE: Mapping[str, type] = {"version": int, "repository": str, "manifest": str, "bundle": str, "bytes": int, "shots": list,
                              "run": str, "max_credits": str, "basis": dict, "approved": dict}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Shots of a manifest to render. `bundle` is the sha256 of the archive, of so many `bytes`, with everything that the
    manifest is made from; `manifest` its path there and in the repository, `repository` the id of that. `run` is whose limit
    of credits counts, `max_credits` that limit or empty. `approved` has credits and fingerprint (empty where it follows from a
    clip that is yet to come) of each take, `basis` the versions that these hang on."""

    repository: str
    manifest: str
    bundle: str
    bytes: int
    shots: tuple[str, ...]
    run: str
    max_credits: str
    basis: Mapping[str, str]
    approved: Mapping[str, tuple[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """The order as JSON data."""
        approved = {take: list(said) for take, said in self.approved.items()}
        return {"version": VERSION, **asdict(self), "shots": list(self.shots), "basis": dict(self.basis), "approved": approved}

    @classmethod
    def from_dict(cls, data: Any) -> Order:
        """The order in JSON data. Raises `UsageError` for what is none, or one of another version."""
        if not isinstance(data, Mapping) or data.get("version") != VERSION:
            raise UsageError(f"an order in the queue is not of version {VERSION}: nothing is rendered for it", code="bad-order",
                             hint="the same version of manifest-runner on every machine, then: render --detach again")
        if not _is_right(data):
            raise UsageError("an order in the queue is damaged: nothing is rendered for it", code="bad-order",
                             hint="render --detach again")
        values = {name: data[name] for name in _SHAPE if name != "version"}
        return cls(**{**values, "shots": tuple(data["shots"]),
                      "approved": {take: (said[0], said[1]) for take, said in data["approved"].items()}})


@dataclass(frozen=True, slots=True, kw_only=True)
class InQueue:
    """The orders for one manifest that wait, are in hand, and could not be carried out, each by its shots."""

    waiting: tuple[tuple[str, ...], ...] = ()
    in_hand: tuple[tuple[str, ...], ...] = ()
    failed: tuple[tuple[str, ...], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether anything is still to come of it."""
        return bool(self.waiting or self.in_hand)


def handed(plan: Plan, manifest: Manifest) -> tuple[Change, ...]:
    """The changes of a plan that others may carry out."""
    shots = {shot.id for shot in manifest.shots}
    return tuple(change for change in plan.changes if change.action in HANDED and change.shot in shots)


def groups(plan: Plan, manifest: Manifest, most: int = MOST) -> list[tuple[ShotId, ...]]:
    """The manifest's shots of which the plan renders takes, in at most `most` groups, each in the order of the cut: shots that
    hang together by frames always in one. Takes of shots that the manifest has no more are for whoever has the lockfile."""
    todo = {change.shot for change in plan.changes if change.action in HANDED}
    asked = [shot for shot in manifest.shots if shot.id in todo]
    parts = _parts(asked)
    size = max(1, -(-len(parts) // most))
    return [tuple(shot for part in parts[begin:begin + size] for shot in part) for begin in range(0, len(parts), size)]


def _parts(shots: Sequence[Shot]) -> list[tuple[ShotId, ...]]:
    """The shots, those together that hang together."""
    leads: dict[ShotId, ShotId] = {shot.id: shot.id for shot in shots}

    def first(shot: ShotId) -> ShotId:
        while leads[shot] != shot:
            leads[shot] = shot = leads[leads[shot]]
        return shot

    for shot in shots:
        for frame in upstream_frames(shot):
            if frame.shot in leads:
                leads[first(shot.id)] = first(frame.shot)
    parts: dict[ShotId, list[ShotId]] = {}
    for shot in shots:
        parts.setdefault(first(shot.id), []).append(shot.id)
    return [tuple(part) for part in parts.values()]


def approval(plan: Plan, shots: Sequence[ShotId]) -> dict[str, tuple[str, str]]:
    """What the plan's approval comes to for these shots."""
    wanted = frozenset(shots)
    return {_take(change): (format(change.quote.credits, "f"), change.fingerprint or "")
            for change in plan.changes if change.shot in wanted and change.action in HANDED}


def binding(basis: Mapping[str, str]) -> dict[str, str]:
    """What of a plan's basis must be the same wherever an order is carried out. Its files are in the bundle."""
    return {name: basis[name] for name in _BINDING}


def check_approved(plan: Plan, order: Order) -> None:
    """Raise `StalePlan` where the plan does anything that was not approved with the order."""
    other = [f"{name}: {order.basis.get(name, 'nothing')} where it was ordered, {now} here"
             for name, now in binding(plan.basis).items() if order.basis.get(name) != now]
    if other:
        raise StalePlan(f"the order was made with other versions: {'; '.join(other)}", hint="nothing was submitted; bring all "
                        "machines to one version, with the same prices, and run render --detach again")
    beyond = [_take(change) for change in plan.changes if change.quote.credits and not _covers(order, change)]
    if beyond:
        raise StalePlan(f"{', '.join(beyond[:5])}: other than was approved", hint="nothing was submitted for it; plan and "
                        "review, then render --detach again")


def _covers(order: Order, change: Change) -> bool:
    most, wanted = order.approved.get(_take(change), ("0", ""))
    same = not wanted or change.fingerprint is None or change.fingerprint == wanted
    return same and change.quote.credits <= Decimal(most)


def _take(change: Change) -> str:
    return f"{change.shot} t{change.take}"


def _is_right(data: Mapping[str, Any]) -> bool:
    """Whether the data of an order have the shape of one, and lead nowhere else."""
    return (all(data.get(name).__class__ is kind for name, kind in _SHAPE.items())
            and all(map(_is_text, (*data["shots"], *data["basis"].values())))
            and all(map(_is_approval, data["approved"].values()))
            and _SHA256.fullmatch(data["bundle"]) is not None and _PATH.fullmatch(data["manifest"]) is not None
            and ".." not in data["manifest"].split("/") and (not data["max_credits"] or _is_amount(data["max_credits"])))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_approval(said: Any) -> bool:
    return isinstance(said, list) and len(said) == 2 and all(map(_is_text, said)) and _is_amount(said[0])


def _is_amount(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
