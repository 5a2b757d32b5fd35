"""Three versions of a lockfile made into one, shot by shot and take by take.

Laws
- Pure, and the same bytes for the same three texts: git runs it for every merge, with no ledger, key or network.
- It never guesses about money. What only one side changed is taken from that side; two jobs for one take, each paid for or
  under way, are a conflict that a person settles by naming the job.
- Nothing paid for is lost: the job that was not chosen stays with the take, under `superseded`, where `plan` finds it again.
- Fields that this program does not know are merged like all others; a version that it does not know is refused.
- One submission that the two sides know for different lengths of time is no conflict: the later word about it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.conflictmarkers import LEAST, Labels, Versions, has_markers, put_together, take_apart
from manifest_runner.core.lockfile import SUPERSEDED, VERSION
from manifest_runner.core.model import Json
from manifest_runner.core.projection import is_one_submission

SideName = Literal["ours", "theirs"]
Block = dict[str, Any]

_UNPAID = frozenset({"failed", "refused", "abandoned"})
_KNOWS = {state: rank for rank, states in enumerate((
    ("intended",), ("in_doubt",), ("submitted",), ("running",), ("missing",), ("succeeded",),
    ("stored", "failed", "refused", "abandoned"))) for state in states}
"""How much a state knows of its submission. Two different ends contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """What two sides say differently and only a person can settle.

    `place` is how it is named (`SH0010:1`, a shot's id, or a field of the header); `take` is 0 where it is no take. `ours`,
    `theirs` and `base` are what stands there, None where nothing does.
    """

    place: str
    shot: str = ""
    take: int = 0
    base: Json = None
    ours: Json = None
    theirs: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The text that came out, and what is still in conflict in it, round which the text holds markers."""

    text: str
    clashes: tuple[Clash, ...]


@dataclass(frozen=True, slots=True)
class _Three:
    """One thing in its three versions, None where it is not there."""

    base: Any
    ours: Any
    theirs: Any

    def at(self, name: str) -> _Three:
        return _Three(*(None if side is None else side.get(name) for side in (self.base, self.ours, self.theirs)))

    def names(self) -> set[str]:
        return {name for side in (self.base, self.ours, self.theirs) if side is not None for name in side}


class _Differ(Exception):
    """Both sides changed it, and not alike."""


def merge(versions: Versions, *, path: str, labels: Labels | None = None, chosen: Mapping[str, SideName] | None = None,
          marker_size: int = LEAST) -> Merged:
    """Merge three texts of the lockfile at `path`; `chosen` settles clashes by their place.

    The order of shots, takes and keys is that of every lockfile. Raises `InvalidInput` where a side cannot be read.
    """
    labels = labels or Labels()
    merger = _Merger(chosen=chosen or {})
    base = _read(_settled_base(versions.base), f"{path} ({labels.base})")
    ours, theirs = _read(versions.ours, f"{path} ({labels.ours})"), _read(versions.theirs, f"{path} ({labels.theirs})")
    tops = _Three(base, _header_of(theirs) if ours is None else ours, _header_of(ours) if theirs is None else theirs)
    shots = tops.at("shots")
    blocks = {name: merger.shot(name, shots.at(name)) for name in sorted(shots.names())}
    header = {name: merger.header(name, tops.at(name)) for name in sorted(tops.names() - {"shots"})}
    if not merger.clashes:
        found = {name: block.ours for name, block in blocks.items() if block.ours is not None}
        whole = {**{name: value.ours for name, value in header.items() if value.ours is not None}, "shots": found}
        return Merged(text=_dumps(whole) + "\n", clashes=())
    inner = _members(blocks, 2, labels, marker_size)
    outer = _members(header, 1, labels, marker_size, {"shots": f"{{\n{inner}  }}"})
    return Merged(text=f"{{\n{outer}}}\n", clashes=tuple(merger.clashes))


def is_lockfile(text: str) -> bool:
    """Whether a text means to be a lockfile of this program's, of whatever version: others may use the name, too."""
    try:
        data = json.loads(text)
    except (RecursionError, ValueError):
        return False
    return isinstance(data, dict) and {"version", "manifest", "shots"} <= data.keys()


def _settled_base(text: str) -> str:
    """The base of a merge; where git made it of two others that were in conflict, what both began with."""
    marked = take_apart(text) if has_markers(text) else None
    return text if marked is None else marked.versions.base


def _read(text: str, path: str) -> Block | None:
    if not text.strip():
        return None
    lockfiles.read(text, path=path)  # what it refuses is refused here, too
    data: Block = json.loads(text)
    return data


def _header_of(top: Block | None) -> Block:
    """A lockfile without a shot: what a side stands for that has no file."""
    return {name: value for name, value in (top or {"version": VERSION, "manifest": ""}).items() if name != "shots"}


def _dumps(value: Json) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _members(items: Mapping[str, _Three], depth: int, labels: Labels, size: int, texts: Mapping[str, str] | None = None) -> str:
    """The members of an object as lines, those in conflict between markers; `texts` are members that are lines already."""
    names = sorted({name for name, item in items.items() if item != _Three(None, None, None)} | set(texts or {}))
    out = []
    for name in names:
        key, comma = f"{'  ' * depth}{json.dumps(name, ensure_ascii=False)}: ", "," if name != names[-1] else ""
        if texts and name in texts:
            out.append(f"{key}{texts[name]}{comma}\n")
            continue
        item = items[name]
        lines = ["" if side is None else key + _dumps(side).replace("\n", "\n" + "  " * depth) + comma + "\n"
                 for side in (item.base, item.ours, item.theirs)]
        same = item.ours == item.theirs
        out.append(lines[1] if same else put_together(Versions(base=lines[0], ours=lines[1], theirs=lines[2]), labels, size))
    return "".join(out)


@dataclass(slots=True, kw_only=True)
class _Merger:
    """One merge on its way. Each step makes a `_Three`, whose `ours` and `theirs` are equal where it is settled."""

    chosen: Mapping[str, SideName]
    clashes: list[Clash] = field(default_factory=list)

    def header(self, name: str, three: _Three) -> _Three:
        return self._settle(three, _changed, Clash(place=name))

    def shot(self, name: str, three: _Three) -> _Three:
        """A shot's block: its takes by number, and whatever else stands in it."""
        takes = three.at("takes")
        found = {take: self._settle(takes.at(take), _take, Clash(place=f"{name}:{take}", shot=name, take=int(take)))
                 for take in sorted(takes.names(), key=int)}
        rest = {key: self._settle(three.at(key), _changed, Clash(place=name, shot=name)) for key in three.names() - {"takes"}}
        return _Three(*(_block({key: getattr(item, side) for key, item in rest.items()},
                               {take: getattr(item, side) for take, item in found.items()})
                        for side in ("base", "ours", "theirs")))

    def _settle(self, three: _Three, rule: Callable[[_Three], Json], where: Clash) -> _Three:
        try:
            value = rule(three)
        except _Differ:
            side = self.chosen.get(where.place) or (self.chosen.get(where.shot) if where.shot else None)
            if side is None:
                self.clashes.append(Clash(place=where.place, shot=where.shot, take=where.take, base=three.base,
                                          ours=three.ours, theirs=three.theirs))
                return three
            mine, other = (three.ours, three.theirs) if side == "ours" else (three.theirs, three.ours)
            value = _with_record(mine, other) if where.take else mine
        return _Three(value, value, value)


def _block(rest: Block, takes: Block) -> Block | None:
    """A shot's block of one side, without what that side does not have; None where it has no take."""
    present = {take: value for take, value in takes.items() if value is not None}
    return {**{key: value for key, value in rest.items() if value is not None}, "takes": present} if present else None


def _changed(three: _Three) -> Json:
    """The rule for everything that is plain data: whoever changed it says what it is."""
    if three.ours == three.theirs or three.theirs == three.base:
        return three.ours
    if three.ours == three.base:
        return three.theirs
    raise _Differ


def _take(three: _Three) -> Json:
    """The rule for a take: money is in it."""
    try:
        return _changed(three)
    except _Differ:
        ours, theirs = three.ours, three.theirs
        if ours is None or theirs is None:
            raise
    if one_submission(ours, theirs):
        return _later_word(three)
    for mine, other in ((ours, theirs), (theirs, ours)):
        if (_cost_nothing(mine) and not _cost_nothing(other)) or _only_counted(mine, three.base):
            return _joined(other, mine)
    if _cost_nothing(ours) and _cost_nothing(theirs):  # no money either way: the same one whoever merges
        last, first = sorted((ours, theirs), key=lambda take: (-take.get("attempt", 1), take["external_task_id"]))
        return _joined(last, first)
    raise _Differ


def one_submission(one: Block, other: Block) -> bool:
    """Whether two blocks tell of the same submission, one of them perhaps before the gateway had named the job."""
    return is_one_submission(one["external_task_id"], one.get("job_id"), other["external_task_id"], other.get("job_id"))


def _cost_nothing(take: Block) -> bool:
    """Whether the gateway gave up on it and charged nothing."""
    charged = take.get("credits", {}).get("charged")
    return take["state"] in _UNPAID and (charged is None or Decimal(charged) == 0)


def _only_counted(take: Block, base: Block | None) -> bool:
    """Whether all that happened to the take since `base` is that a further attempt at it failed."""
    return base is not None and {**take, "attempt": 0} == {**base, "attempt": 0}


def _later_word(three: _Three) -> Block:
    """One submission told twice. Raises `_Differ` where the two contradict each other."""
    early, late = sorted((three.ours, three.theirs), key=lambda take: _KNOWS[take["state"]])
    if _KNOWS[early["state"]] == _KNOWS[late["state"]] and early["state"] != late["state"]:
        raise _Differ
    merged: Block = {}
    for name in sorted(three.names()):
        if name in ("state", "error"):
            value = late.get(name)
        elif name == "attempt":
            value = max(early.get(name, 1), late.get(name, 1))
        elif name == SUPERSEDED:
            value = _records(*early.get(name, []), *late.get(name, []))
        elif name == "verdict":
            value = _verdict(three.at(name))
        elif name == "credits":
            money = three.at(name)
            value = {key: _known(money.at(key)) for key in sorted(money.names())}
        else:
            value = _known(three.at(name))
        if value is not None or name == "job_id":
            merged[name] = value
    return merged


def _verdict(three: _Three) -> Json:
    """What is said of one clip: no money is in it, and whether a person has accepted it is the manifest's to say, from which
    the next run writes it again. So where both sides changed it, it is accepted if both say so, and nothing that was found is
    lost."""
    try:
        return _changed(three)
    except _Differ:
        sides = [side for side in (three.ours, three.theirs) if side is not None]
        found = {(item["code"], item["words"]): item for side in sides for item in side.get("findings", [])}
        return {"accepted": len(sides) == 2 and all(side.get("accepted", False) for side in sides),
                "findings": [found[key] for key in sorted(found)]}


def _known(three: _Three) -> Json:
    """What one side knows and the other does not yet; else as for any data."""
    if not three.ours or not three.theirs:
        return three.ours or three.theirs
    return _changed(three)


def _with_record(chosen: Block | None, other: Block | None) -> Block | None:
    """The chosen side of a take, with the job that was not chosen kept on record where it may have cost something."""
    if chosen is None or other is None:
        return chosen
    if one_submission(chosen, other) or _cost_nothing(other):
        return _joined(chosen, other)
    return _joined(chosen, other, {key: value for key, value in other.items() if key != SUPERSEDED})


def _joined(chosen: Block, other: Block, *more: Block) -> Block:
    """The chosen side of a take, with the records of both and `more`, and the number of attempts that either knows of."""
    take = {**chosen, "attempt": max(chosen.get("attempt", 1), other.get("attempt", 1))}
    found = [record for record in _records(*chosen.get(SUPERSEDED, []), *other.get(SUPERSEDED, []), *more)
             if not one_submission(record, take)]
    take.pop(SUPERSEDED, None)
    return {**take, SUPERSEDED: found} if found else take


def _records(*records: Block) -> list[Block]:
    """Records of jobs, each submission once, in an order that does not depend on who merges."""
    found = {(record["external_task_id"], record.get("job_id") or ""): record for record in records}
    return [found[key] for key in sorted(found)]


def places_of(clashes: Iterable[Clash], name: str) -> list[Clash]:
    """The clashes that a person means by `SH0010`, `SH0010:1`, or a field of the header."""
    return [clash for clash in clashes if name in (clash.place, clash.shot)]


def sides_with(clashes: Iterable[Clash], job: str) -> list[tuple[Clash, SideName]]:
    """The clashes in which one side alone is this job (its id, or the id that it was submitted under)."""
    found: list[tuple[Clash, SideName]] = []
    for clash in clashes:
        sides: dict[SideName, Json] = {"ours": clash.ours, "theirs": clash.theirs}
        fits: list[SideName] = [name for name, take in sides.items() if clash.take and isinstance(take, dict)
                                and job in (take.get("job_id"), take["external_task_id"])]
        if len(fits) == 1:
            found.append((clash, fits[0]))
    return found
