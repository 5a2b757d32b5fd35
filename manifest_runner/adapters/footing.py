"""Footings as files below the state folder: one is left where a plan found nothing to do, and held against what is there now
before the next one.

Laws
- Content of texts is compared, whatever the times of a file say. Signs are trusted for pictures alone, and only settled ones.
- A footing stands for what the plan itself has read: where a digest of the plan's own does not fit what lies there after it,
  none is left.
- A footing that others than this user could have written is not read. One that came with a checkout, an archive or a copy does
  not stand on this ground: the inode and the time of the tag in the state folder, which nobody can choose, are part of it.
- Nothing here is synced: a footing that a power cut takes, or tears, is no loss.
"""

from __future__ import annotations

import _thread
import os
import stat

from manifest_runner.adapters.signs import Doubt, content_of, digest_at, digest_of, digest_of_sizes, facts_of, sizes_in
from manifest_runner.core.footing import LARGEST, SECOND, Footing, Read, dump, is_settled, load

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in `ground`
    from collections.abc import Callable

    from manifest_runner.adapters.ground import Ground
    from manifest_runner.core.footing import Sign

MOST = 64
"""Footings in one state folder: for so many ways of asking."""

_STEP = 10**8  # nanoseconds by which two clocks may differ within one plan


def standing(ground: Ground) -> Footing | None:
    """The footing that was left for this very question, where all that it stands on is found again. Raises `Doubt` and
    `OSError`."""
    footing = _left(ground)
    if footing is None or footing.ground != ground.standing or footing.made > ground.began:
        return None
    places = _Places(ground.folder)
    texts = (*footing.reads, footing.lockfile)
    # Sizes first, since most edits change one; then what changes most often.
    if any(os.stat(read.place).st_size != read.size for read in texts):
        return None
    if any(places.is_there(asked) for asked in footing.missing):
        return None
    if not all(places.leads(read) and _is_same(read, ground) for read in footing.reads):
        return None
    # A lockfile is the longest of all. While it is hashed, the clips are looked at: hashing lets another thread go on.
    lockfile = _Aside(lambda: places.leads(footing.lockfile) and _is_same(footing.lockfile, ground))
    clips = all(os.path.realpath(os.path.join(ground.folder, listed.asked)) == listed.place
                and digest_of_sizes(sizes_in(listed.place)) == listed.digest for listed in footing.folders)
    return footing if lockfile.answer() and clips else None


def leave(ground: Ground, again: Ground, footing: Footing) -> None:
    """Leave a footing for the plan that began on `ground` and ended on `again`. Raises `Doubt` where something moved
    meanwhile, or is too young to be told from what comes after it, and `OSError`."""
    if ground.exact != again.exact:
        raise Doubt("something was changed while the plan was made")
    text = dump(footing)
    if text is None:
        raise Doubt("a path does not fit on a line")
    folder = os.path.dirname(ground.file)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _make_room(folder)
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        try:
            data = text.encode()
            os.write(descriptor, f"{digest_of(data)}\n".encode() + data)
            written = ground.machine.sign(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        _check_times(ground, footing, written)
        os.replace(temporary, ground.file)  # two plans at once: either footing is right
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def read_of(asked: str, place: str, data: bytes, facts: os.stat_result, ground: Ground, *, picture: bool = False) -> Read:
    """What a footing says of a file with this content. The sign of a picture is kept where it can be trusted."""
    sign = ground.machine.sign(facts) if picture else None
    if sign is not None and not is_settled(sign[-1], ground.began):
        sign = None
    return Read(asked=asked, place=place, size=len(data), digest=digest_of(data), sign=sign)


class _Places:
    """Where paths from the manifest's folder lead, links resolved; each folder is asked once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}

    def is_there(self, asked: str) -> bool:
        return os.path.exists(os.path.join(self._folder, asked))

    def leads(self, read: Read) -> bool:
        """Whether a path still leads where it led. Its last name may have become a link: then opening it fails."""
        whole = os.path.join(self._folder, read.asked)
        above, name = os.path.split(whole)
        if above not in self._known:
            self._known[above] = os.path.realpath(above)
        return os.path.join(self._known[above], name) == read.place or os.path.realpath(whole) == read.place


class _Aside:
    """A question that is answered while others are asked."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask, self._said, self._done = ask, False, _thread.allocate_lock()
        self._done.acquire()
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        try:
            self._said = self._ask()
        except Exception:  # whoever asks takes it for a no
            self._said = False
        finally:
            self._done.release()

    def answer(self) -> bool:
        """Waits for it."""
        with self._done:
            return self._said


def _left(ground: Ground) -> Footing | None:
    try:
        content, facts = content_of(ground.file, LARGEST + 128)
    except FileNotFoundError:
        return None
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077 or content is None:
        return None
    head, _, text = content.partition(b"\n")
    return load(text.decode()) if digest_of(text).encode() == head else None


def _is_same(read: Read, ground: Ground) -> bool:
    if read.sign is not None and ground.machine.sign(facts_of(read.place)) == read.sign:
        return True
    return digest_at(read.place, read.size) == read.digest


def _check_times(ground: Ground, footing: Footing, written: Sign) -> None:
    """Raise `Doubt` where a sign that the footing trusts may be that of a later change, too, or a clock was set meanwhile.
    `written` is the sign of a file that was written just now: it tells what time it is on that file system, which may be
    another machine's, and whether that tells more than whole seconds."""
    took = ground.machine.steady() - ground.ticks
    if abs(ground.machine.wall() - ground.began - took) > _STEP:
        raise Doubt("the clock was set while the plan was made")
    began = min(ground.began, written[-1] - took)
    changes = {*ground.changes, *((read.sign[0], read.sign[-1]) for read in footing.reads if read.sign is not None)}
    tells = written[0] if written[-1] % SECOND else None  # the device that is known to tell more than whole seconds
    if not (all(is_settled(changed, began, fine=device == tells) for device, changed in changes)
            and all(is_settled(changed, began, fine=True) for changed in ground.installed)):
        raise Doubt("something has changed just now, or nobody can tell")


def _make_room(folder: str) -> None:
    names = os.listdir(folder)
    if len(names) >= MOST:
        for name in names:
            os.unlink(os.path.join(folder, name))
