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
        if kind != "same" or len(text) <= room + 4:
            out.append((kind, text))
        elif first:
            out.append((kind, "… " + _tail(text, keep)))
        elif last:
            out.append((kind, _head(text, keep) + " …"))
        else:
            out.append((kind, _head(text, keep) + " … " + _tail(text, keep)))
    return out


def _head(text: str, keep: int) -> str:
    """The first `keep` characters, ended after a whole word where there is one."""
    head = text[:keep]
    return head.rpartition(" ")[0] or head


def _tail(text: str, keep: int) -> str:
    """The last `keep` characters, begun at a whole word where there is one."""
    tail = text[-keep:]
    return tail.partition(" ")[2] or tail
