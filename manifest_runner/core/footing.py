"""What a plan that found nothing to do stood on, so that the next one can say the same without being worked out.

A footing is not evidence that nothing has changed: it is what must be found again, word for word, before that may be said. It
has no more to do with the stamps of `core/stamps.py` than its purpose: those are told apart by times, and make reads them.

Laws
- Whatever is odd about a footing makes it none at all. Nothing is repaired, nothing is guessed.
- The time of a file is trusted only where it cannot be the time of a later change, too: see `is_settled`.
- This module stands before everything else that a quick plan does, so it imports nothing. `dataclasses` alone would take
  longer than the whole check of a short show.
"""

from __future__ import annotations

SECOND = 10**9

MARGIN = 2 * SECOND
"""Nanoseconds that a change must be old before its time is trusted: no file system in use tells times more coarsely."""

LARGEST = 1024 * 1024
"""Bytes of a footing. It names the files that a manifest was made from, and no clip."""

_TITLE = "manifest-runner footing 1"
_END = "end"

Sign = tuple[int, int, int, int, int]
"""What a file system says of a file without reading it: device, inode, size, times of the last change of its content and of
the file as such, in nanoseconds."""


class Read:
    """A file that was read. `asked` is its path from the manifest's folder, `place` where that led, links resolved. `sign`
    stands only where it may be trusted instead of the digest."""

    __slots__ = ("asked", "digest", "place", "sign", "size")

    def __init__(self, *, asked: str, place: str, size: int, digest: str, sign: Sign | None = None) -> None:
        self.asked, self.place, self.size, self.digest, self.sign = asked, place, size, digest, sign


class Listed:
    """A folder of clips, as `Read` but for what it holds: `digest` covers name and size of every regular file in it."""

    __slots__ = ("asked", "digest", "place")

    def __init__(self, *, asked: str, place: str, digest: str) -> None:
        self.asked, self.place, self.digest = asked, place, digest


class Footing:
    """What a plan with nothing to do stood on.

    `ground` covers all that is known before a manifest is read: the command line, the program, settings, ledger. `made` is
    when that was looked at, in nanoseconds since 1970. `missing` are files that were looked for and not there. `kept` counts
    the takes; `said` are the lines that people were told besides.
    """

    __slots__ = ("folders", "ground", "kept", "lockfile", "made", "missing", "reads", "said")

    def __init__(self, *, ground: str, made: int, kept: int, lockfile: Read, reads: tuple[Read, ...], missing: tuple[str, ...],
                 folders: tuple[Listed, ...], said: tuple[str, ...] = ()) -> None:
        self.ground, self.made, self.kept, self.lockfile = ground, made, kept, lockfile
        self.reads, self.missing, self.folders, self.said = reads, missing, folders, said


def is_settled(changed: int, at: int, *, fine: bool = False) -> bool:
    """Whether a time of change, in nanoseconds, tells a file apart from what it may become after the moment `at`.

    Not where it is younger than `MARGIN`: the next change might fall into the same tick of the clock. Not where it lies ahead:
    the clock was set back, and will come by once more. Not where it is a whole second, unless the file system is known to be
    `fine`: then whole seconds may be all that it tells, and a clock that is set back meets one of them again.
    """
    return changed + MARGIN < at and (fine or changed % SECOND != 0)


def dump(footing: Footing) -> str | None:
    """A footing as text; None where it holds anything that cannot be seen, as a path may, or a line with colours. What is shown
    out of a footing can therefore not move a cursor, whoever wrote it."""
    rows = [("ground", footing.ground), ("made", str(footing.made)), ("kept", str(footing.kept)),
            ("lockfile", *_of_read(footing.lockfile)),
            *(("read", *_of_read(read)) for read in footing.reads),
            *(("missing", asked) for asked in footing.missing),
            *(("folder", listed.digest, listed.asked, listed.place) for listed in footing.folders),
            *(("said", line) for line in footing.said)]
    if any(not word.isprintable() for row in rows for word in row):
        return None
    return "\n".join([_TITLE, *("\t".join(row) for row in rows), _END, ""])


def load(text: str) -> Footing | None:
    """The footing in a text; None for whatever `dump` would not have written."""
    lines = text.split("\n")
    if len(text) > LARGEST or lines[0] != _TITLE or lines[-2:] != [_END, ""]:
        return None
    rows: dict[str, list[list[str]]] = {}
    for line in lines[1:-2]:
        kind, *words = line.split("\t")
        rows.setdefault(kind, []).append(words)
    try:
        ((ground,),), ((made,),), ((kept,),), (lockfile,) = (rows[kind] for kind in ("ground", "made", "kept", "lockfile"))
        footing = Footing(ground=ground, made=_number(made), kept=_number(kept), lockfile=_as_read(lockfile),
                          reads=tuple(map(_as_read, rows.get("read", ()))),
                          missing=tuple([asked for (asked,) in rows.get("missing", ())]),
                          folders=tuple([Listed(digest=digest, asked=asked, place=place)
                                         for digest, asked, place in rows.get("folder", ())]),
                          said=tuple([line for (line,) in rows.get("said", ())]))
    except (KeyError, ValueError):
        return None
    return footing if dump(footing) == text else None


def _of_read(read: Read) -> tuple[str, ...]:
    return str(read.size), read.digest, "-" if read.sign is None else ".".join(map(str, read.sign)), read.asked, read.place


def _as_read(words: list[str]) -> Read:
    size, digest, signed, asked, place = words
    sign = None
    if signed != "-":
        device, inode, long, written, changed = map(int, signed.split("."))
        sign = device, inode, long, written, changed
    return Read(asked=asked, place=place, size=_number(size), digest=digest, sign=sign)


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise ValueError(word)
    return int(word)
