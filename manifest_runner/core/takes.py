"""What a person decides about takes, as edits of the manifest's text: which one is circled, how many there are.

Laws
- A shot's own key is written, changed or taken away; what other shots have is never touched. Where the text says one thing for
  several shots, they are decided about together or not at all.
- A template is never overwritten: whoever wrote it meant something by it. Where it stands is said.
- Every reason against a decision is told at once, each where it is to be seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from manifest_runner.core.editing import Edit
from manifest_runner.core.explain import shown, suggestion
from manifest_runner.core.model import Diagnostic, Json, Manifest, Note, Pointer, Shot, ShotId
from manifest_runner.core.origins import Origins, json_pointer
from manifest_runner.core.schema import MOST_TAKES

Unseen: TypeAlias = Callable[[ShotId, int], str | None]
"""Why a take has no clip to judge it by; None where it has one."""

_NAMED = 6
"""Shots of one entry that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """That a key of a shot, `takes` or `circled`, be this number; or not be there, where it is None."""

    shot: ShotId
    key: str
    value: int | None


class Decisions:
    """What a person's words come to: wishes, and the edits that fulfil them. `origins` are of the same manifest."""

    def __init__(self, manifest: Manifest, origins: Origins) -> None:
        self._shots = manifest.shots
        self._places = {shot.id: index for index, shot in enumerate(manifest.shots)}
        self._origins = origins

    # ── from words to wishes ──

    def circling(self, asked: Sequence[tuple[str, int | None]], unseen: Unseen) -> tuple[list[Wish], list[Diagnostic]]:
        """The take of each shot to be circled; None means the only one."""
        wishes: dict[ShotId, Wish] = {}
        wrong: list[Diagnostic] = []
        for name, take in asked:
            shot = self._shot(name, wrong)
            if shot is None:
                continue
            number = 1 if take is None and shot.takes == 1 else take
            if problem := self._why_not(shot, number, wishes.get(shot.id), unseen):
                wrong.append(problem)
            else:
                wishes[shot.id] = Wish(shot=shot.id, key="circled", value=number)
        return [*wishes.values()], wrong

    def _why_not(self, shot: Shot, take: int | None, other: Wish | None, unseen: Unseen) -> Diagnostic | None:
        """What is against circling a take."""
        has = f"{shot.id} has {shot.takes} take{'' if shot.takes == 1 else 's'}"
        if take is None:
            return self._at(shot, "takes", "which-take", f"{has}: which one?",
                            f"write {shot.id}:{shot.cut_take} for the one that is in the cut now")
        if not 1 <= take <= shot.takes:
            return self._at(shot, "takes", "unknown-take", f"{has}, and no take {take}", "`retake` asks for one more")
        if other is not None and other.value != take:
            both = f"takes {other.value} and {take} of {shot.id} are both to be circled"
            return self._at(shot, "circled", "two-circles", both, "one take of a shot goes into the cut")
        if why := unseen(shot.id, take):
            return self._at(shot, "takes", "no-clip", f"take {take} of {shot.id} has no clip to judge it by: {why}",
                            "render it first; --force circles it all the same")
        return None

    def uncircling(self, names: Sequence[str]) -> tuple[list[Wish], list[Diagnostic]]:
        """That the latest take of each of these shots go into the cut."""
        wrong: list[Diagnostic] = []
        shots = [shot for name in dict.fromkeys(names) if (shot := self._shot(name, wrong)) is not None]
        return [Wish(shot=shot.id, key="circled", value=None) for shot in shots], wrong

    def retaking(self, names: Sequence[str], more: int) -> tuple[list[Wish], list[Diagnostic]]:
        """That each of these shots have so many takes more."""
        wrong: list[Diagnostic] = []
        wishes = []
        for name in dict.fromkeys(names):
            shot = self._shot(name, wrong)
            if shot is not None and shot.takes + more > MOST_TAKES:
                much = f"{shot.id} would have {shot.takes + more:,} takes, and a shot may have {MOST_TAKES}"
                wrong.append(self._at(shot, "takes", "too-many-takes", much, "go on with a copy of it that has another id"))
            elif shot is not None:
                wishes.append(Wish(shot=shot.id, key="takes", value=shot.takes + more))
        return wishes, wrong

    def _shot(self, name: str, wrong: list[Diagnostic]) -> Shot | None:
        place = self._places.get(ShotId(name))
        if place is None:
            wrong.append(Diagnostic(code="unknown-shot", message=f"no shot has the id {shown(name)}",
                                    hint=suggestion(name, self._places)))
            return None
        return self._shots[place]

    # ── from wishes to edits ──

    def edits(self, wishes: Sequence[Wish]) -> tuple[list[Edit], list[Diagnostic]]:
        """The edits that fulfil the wishes, which are of one key, and change nothing else; and why some cannot be made."""
        entries: dict[int, list[Wish]] = {}
        for wish in wishes:
            entries.setdefault(self._origins.shots[self._places[wish.shot]].shot, []).append(wish)
        edits: list[Edit] = []
        wrong: list[Diagnostic] = []
        for entry, asked in entries.items():
            first = asked[0]
            if all(self._now(self._shots[self._places[wish.shot]], wish.key) == wish.value for wish in asked):
                continue
            if problem := self._template(first) or self._shared(entry, asked) or self._by_default(first):
                wrong.append(problem)
            else:
                edits.append(Edit(at=("shots", entry), key=first.key, value=first.value, name=_listed([w.shot for w in asked])))
        return edits, wrong

    def _now(self, shot: Shot, key: str) -> int | None:
        return shot.takes if key == "takes" else shot.circled

    def _template(self, wish: Wish) -> Diagnostic | None:
        """A number that is computed."""
        written = self._origins.value(self._pointer(wish.shot, wish.key)).value
        if not self._is_own(wish) or not isinstance(written, str):
            return None
        todo = f"take {wish.key} out" if wish.value is None else f"write {wish.key}: {wish.value}"
        return self._at(self._shots[self._places[wish.shot]], wish.key, "template-value",
                        f"{wish.key} of {wish.shot} is the template {shown(written)}, which is not overwritten",
                        f"{todo} there in an editor, or change what the template is made of")

    def _shared(self, entry: int, asked: Sequence[Wish]) -> Diagnostic | None:
        """Shots of a matrix that are not all meant, or not all alike."""
        members = [shot for shot, came in zip(self._shots, self._origins.shots, strict=True) if came.shot == entry]
        is_whole = len({wish.shot for wish in asked}) == len(members)
        if is_whole and len({wish.value for wish in asked}) == 1:
            return None
        wish, others = asked[0], [shot for shot in members if shot.id != asked[0].shot]
        ways = [] if is_whole else [f"name all {len(members)} of them to change them together"]
        if alone := self._alone(wish, others):
            ways.append(f"for this one alone write {alone} there in an editor")
        return self._at(self._shots[self._places[wish.shot]], "id", "matrix-shot",
                        f"{wish.shot} shares its entry, and {wish.key} in it, with {_listed([shot.id for shot in others])}",
                        "; or ".join(ways))

    def _alone(self, wish: Wish, others: Sequence[Shot]) -> str:
        """What a person would write for one shot of a matrix; empty where that cannot be said simply."""
        picks = self._origins.picks(self._places[wish.shot])
        rest = {shot.takes if wish.key == "takes" else shot.cut_take for shot in others} - {wish.value}
        if wish.value is None or len(rest) != 1 or not all(map(_is_literal, picks.values())):
            return ""
        test = " and ".join(f"{axis} == {_literal(value)}" for axis, value in picks.items())
        return f'{wish.key}: "{{{{ {wish.value} if {test} else {rest.pop()} }}}}"'

    def _by_default(self, wish: Wish) -> Diagnostic | None:
        """What a shot has by default cannot be taken out of the shot."""
        if wish.value is not None or self._is_own(wish):
            return None
        shot = self._shots[self._places[wish.shot]]
        here = Note(message=f"{wish.shot} is here", source=self._origins.locate(self._pointer(wish.shot, "id"))[0])
        found = self._at(shot, wish.key, "by-default", f"{wish.key} of {wish.shot} is {self._now(shot, wish.key)} by default",
                         f"take it out there in an editor, or circle the take that {wish.shot} is to have")
        return replace(found, notes=(here, *found.notes))

    def _is_own(self, wish: Wish) -> bool:
        """Whether the shot's own entry holds the key."""
        return wish.key in self._origins.value(self._pointer(wish.shot)).value

    # ── where ──

    def _pointer(self, shot: ShotId, *keys: str) -> Pointer:
        return ("shots", self._places[shot], *keys)

    def _at(self, shot: Shot, key: str, code: str, message: str, hint: str) -> Diagnostic:
        """A diagnostic at a key of a shot, or at the shot where it does not say."""
        pointer = self._pointer(shot.id, key)
        source, notes = self._origins.locate(pointer)
        return Diagnostic(code=code, message=message, hint=hint or None, source=source, notes=notes,
                          pointer=json_pointer(pointer))


def fulfilled(before: Manifest, after: Manifest, wishes: Sequence[Wish]) -> bool:
    """Whether a manifest is what another one would be with these wishes, and nothing else."""
    changes: dict[ShotId, dict[str, Any]] = {}
    for wish in wishes:
        changes.setdefault(wish.shot, {})[wish.key] = wish.value
    return replace(before, shots=tuple(replace(shot, **changes.get(shot.id, {})) for shot in before.shots)) == after


def _listed(shots: Sequence[ShotId]) -> str:
    return ", ".join(shots[:_NAMED]) + (" …" if len(shots) > _NAMED else "")


def _is_literal(value: Json) -> bool:
    """Whether a value of an axis can be typed inside an expression inside double quotes."""
    return isinstance(value, int | float) or (isinstance(value, str) and not set(value) & set("{}\"'\\\n"))


def _literal(value: Json) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
