"""What changed in a text, word by word."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Piece: TypeAlias = tuple[Literal["same", "removed", "added"], str]

_WORDS = re.compile(r"\s+|[^\s\w]|\w+")


def word_diff(before: str, after: str) -> list[Piece]:
    """The two texts as one run of pieces: what stayed, what went, what came. Joining same and added gives `after`."""
    import difflib  # only where a prompt changed: start-up time

    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    for kind, a1, a2, b1, b2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(old[a1:a2])))
        else:
            if a2 > a1:
                pieces.append(("removed", "".join(old[a1:a2])))
            if b2 > b1:
                pieces.append(("added", "".join(new[b1:b2])))
    return pieces


def around_changes(pieces: list[Piece], *, keep: int = 24) -> list[Piece]:
    """The same run with long unchanged stretches cut to `keep` characters beside each change, an ellipsis for the rest."""
    out: list[Piece] = []
    for index, (kind, text) in enumerate(pieces):
        first, last = index == 0, index == len(pieces) - 1
        room = keep * (1 if first or last else 2)
        if kind != "same" or len(text) <= room + 3:
            out.append((kind, text))
        elif first:
            out.append((kind, "…" + text[-keep:]))
        elif last:
            out.append((kind, text[:keep] + "…"))
        else:
            out.append((kind, text[:keep] + " … " + text[-keep:]))
    return out
