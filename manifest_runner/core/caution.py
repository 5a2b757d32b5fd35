"""Which changes to a model card a repository may make by itself, and which only its operator.

A repository's configuration arrives in pull requests. By itself it may make a card more careful, or change what is shown:
higher prices, ids that only label, camera words, advice, what lets a clip pass without a word. Everything else could spend too
much (a price below the real one reserves too little), pay twice (`replays`), reach further (`path`) or never end (patterns).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from manifest_runner.core.limits import MOST_CREDITS
from manifest_runner.core.model import Json, JsonObject
from manifest_runner.core.modelcard import IdMeaning, ModelCard, in_full, merged

Path = tuple[str, ...]
_FREE: tuple[Path, ...] = (
    ("camera", "words"), ("advice",), ("frames", "picture", "min_side"), ("frames", "picture", "max_ratio"),
    *(("clip", name) for name in ("tolerance", "frame_rates", "black", "still")),
)


def split(card: ModelCard, changes: JsonObject) -> tuple[dict[str, Json], dict[Path, Json]]:
    """`changes` to `card`, parted: those that are in force by themselves, in the form of `override`, and the others by path."""
    careful: dict[str, Json] = {}
    doubtful: dict[Path, Json] = {}
    for path, value in _leaves(in_full(changes)):
        if _is_careful(card, path, value):
            nested: Json = value
            for part in reversed(path):
                nested = {part: nested}
            careful = merged(careful, nested)
        else:
            doubtful[path] = value
    return careful, doubtful


def _leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, Mapping) and (value or not path):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, value


def _is_careful(card: ModelCard, path: Path, value: Json) -> bool:
    if any(path[:len(free)] == free for free in _FREE):
        return True
    now: Json = card.data
    for part in path:
        now = now.get(part) if isinstance(now, Mapping) else None
    if path[:2] == ("price", "table") and _is_number(value) and _is_number(now):
        return Decimal(str(value)) >= Decimal(str(now))
    return (now is not None and now == value) or (path, value) == (("jobs", "external_task_id"), IdMeaning.CORRELATES.value)


def _is_number(value: Json) -> bool:
    # A bound that neither NaN, nor infinity, nor an integer too long for a decimal passes.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= int(MOST_CREDITS)
