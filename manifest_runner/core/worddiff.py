"""What changed in a text, word by word."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Piece: TypeAlias = tuple[Literal["same", "removed", "added"], str]

_MOST = 1_000_000
"""Pairs of words that are compared at most (two texts of some 500 words): beyond that a text counts as rewritten, since
comparing takes time with the square of its length, and texts come from strangers."""

_WORDS = re.compile(r"\s+|[^\s\w]|\w+")


def word_diff(before: str, after: str) -> list[Piece]:
    """The two texts as one run of pieces: what stayed, what went, what came. Joining same and added gives `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    for kind, a1, a2, b1, b2 in _steps(old, new):
        if kind == "equal":
            _stayed(pieces, "".join(old[a1:a2]))
        else:
            if a2 > a1:
                pieces.append(("removed", "".join(old[a1:a2])))
            if b2 > b1:
                pieces.append(("added", "".join(new[b1:b2])))
    return pieces


def _stayed(pieces: list[Piece], text: str) -> None:
    """Add what stayed, as one piece with what stayed before it."""
    if pieces and pieces[-1][0] == "same":
        pieces[-1] = ("same", pieces[-1][1] + text)
    elif text:
        pieces.append(("same", text))


def _steps(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """How one list of words becomes the other, as difflib's operations. What both begin and end with is not compared."""
    import difflib  # only where a prompt changed: start-up time

    start, short = 0, min(len(old), len(new))
    while start < short and old[start] == new[start]:
        start += 1
    end = 0
    while end < short - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle = old[start:len(old) - end], new[start:len(new) - end]
    steps = [("equal", 0, start, 0, start)]
    if len(middle[0]) * len(middle[1]) > _MOST:
        steps.append(("replace", start, len(old) - end, start, len(new) - end))
    else:
        found = difflib.SequenceMatcher(None, *middle, autojunk=False).get_opcodes()
        steps.extend((kind, a1 + start, a2 + start, b1 + start, b2 + start) for kind, a1, a2, b1, b2 in found)
    steps.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return steps


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
