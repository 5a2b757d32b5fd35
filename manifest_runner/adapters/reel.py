"""One film out of many clips: copied where nothing must be encoded, else encoded in pieces that are kept, on all cores.

Laws: `core/reelplan.py` decides what lies where, to the frame; the same clips, cut and settings give the same bytes, however
many cores there are and whatever was kept; memory does not grow with the film; what was encoded before an interruption is
not encoded again; the film appears under its name only when it is whole, checked frame by frame, and on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import TypeAlias

from manifest_runner.adapters.cards import SlateWords
from manifest_runner.adapters.files import put_in_place
from manifest_runner.adapters.lettering import Lettering
from manifest_runner.adapters.media import outline
from manifest_runner.adapters.reel_cache import PieceCache
from manifest_runner.adapters.reel_clips import CODECS
from manifest_runner.adapters.reel_join import Stretch, join, verify
from manifest_runner.adapters.reel_pieces import Film, Piece, Stopped, encode_piece, key_of, pieces_of
from manifest_runner.adapters.reel_segments import DEFAULTS, Options, Segment, name_of, planned, source_of
from manifest_runner.adapters.reel_sound import check_sound, sound_packets
from manifest_runner.core.model import MediaFacts
from manifest_runner.core.reelplan import Kind, ReelPlan, Span, copied_packets, seconds_words
from manifest_runner.core.timecode import code_from
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing

OnProgress: TypeAlias = Callable[[int, int], None]

_LOOK = 0.1  # seconds between two looks at how far the pieces are


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """What came of it. `encoded` and `kept` count pieces; both are 0 where the picture was copied. `undrawn` are letters that
    no font has."""

    facts: MediaFacts
    plan: ReelPlan
    encoded: int
    kept: int
    sound: bool
    undrawn: frozenset[str] = frozenset()

    @property
    def copied(self) -> bool:
        return not self.encoded and not self.kept


def cut_reel(segments: Sequence[Segment], to: Path, options: Options = DEFAULTS, *, cache: Path | None = None,
             on_progress: OnProgress | None = None) -> Reel:
    """Cut the segments together in their order into an mp4 at `to`.

    `cache` is a folder for encoded pieces; without one they are kept nowhere. `on_progress(frames done, frames in all)` is
    called now and then, and at the end. Raises `MediaError`, and `InvalidInput` with every cut that shows nothing.
    """
    if not segments:
        raise MediaError(f"{to.name}: a reel of no clips")
    if options.sound is not None:
        check_sound(options.sound)
    part_file = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        with ThreadPoolExecutor(_cores()) as pool, _folder(cache, to) as folder:
            work = _Work(segments, options, pool)
            pieces = work.copied() or work.encoded(PieceCache(folder), on_progress)
            has_sound = work.join(pieces.stretches, part_file)
            verify(part_file, work.plan.frames, work.plan.rate, name=to.name)
            put_in_place(part_file, to)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{to.name}: the reel cannot be written: {getattr(error, 'strerror', None) or error}") from error
    finally:
        with suppress(OSError):
            part_file.unlink(missing_ok=True)
    if on_progress is not None:
        on_progress(work.plan.frames, work.plan.frames)
    return Reel(facts=outline(to), plan=work.plan, encoded=pieces.encoded, kept=pieces.kept, sound=has_sound,
                undrawn=frozenset(work.letters.missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretches:
    """All of the film's packets, and how many pieces were encoded now and before."""

    stretches: Sequence[Stretch]
    encoded: int = 0
    kept: int = 0


class _Work:
    """One film that is being cut."""

    def __init__(self, segments: Sequence[Segment], options: Options, pool: ThreadPoolExecutor) -> None:
        self._segments, self._options, self._pool = segments, options, pool
        self._sources = list(pool.map(source_of, segments))
        self.letters = Lettering(options.fonts)
        self.plan = planned(segments, self._sources, options)
        self._stop, self._lock, self._done = Event(), Lock(), 0

    def copied(self) -> _Stretches | None:
        """The packets of the clips, where they can stand in one stream as they are and nothing is to be written on them."""
        stretches, alike = [], set()
        for span in self.plan.spans:
            source = self._sources[span.entry]
            if source is None or span.kind is not Kind.SHOT or self._segments[span.entry].burn:
                return None
            packets = copied_packets(source.order, source.keys, span.first, span.stop)
            same = (source.clip.width, source.clip.height) == self.plan.size == source.clip.square
            # A clip of another rate or of uneven times would be shown for another time than it is long.
            same = same and source.clip.rate == self.plan.rate and not source.clip.times and source.codec in CODECS
            if packets is None or not same:
                return None
            shows = tuple(source.order[packet] - span.first + span.at for packet in packets)
            stretches.append(Stretch(path=source.path, packets=packets, shows=shows))
            alike.add(source.likeness)
        return _Stretches(stretches=stretches) if len(alike) == 1 else None

    def encoded(self, cache: PieceCache, on_progress: OnProgress | None) -> _Stretches:
        """The film in pieces: those that are kept, and the others encoded on all cores."""
        film = Film(size=self.plan.size, code=code_from(self._options.start, self.plan.rate))
        pieces = [piece for span in self.plan.spans for piece in pieces_of(self._piece(span), film.rate)]
        keys = [key_of(piece, film, self.letters) for piece in pieces]
        needed = {key: piece for key, piece in zip(keys, pieces, strict=True) if not cache.has(key, piece.frames)}
        self._refuse_hdr(needed.values())
        self._done = self.plan.frames - sum(piece.frames for piece in needed.values())
        try:
            futures = {self._pool.submit(self._encode, cache, key, piece, film) for key, piece in needed.items()}
            self._await(futures, on_progress)
        except BaseException:
            self._stop.set()
            self._pool.shutdown(cancel_futures=True)
            raise
        cache.prune(set(keys))
        stretches, at = [], 0
        for key, piece in zip(keys, pieces, strict=True):
            stretches.append(Stretch(path=cache.path_of(key), packets=range(piece.frames),
                                     shows=tuple(range(at, at + piece.frames))))
            at += piece.frames
        return _Stretches(stretches=stretches, encoded=len(needed), kept=len(set(keys)) - len(needed))

    def _piece(self, span: Span) -> Piece:
        """A span as one piece, with what is written on it."""
        segment, seconds = self._segments[span.entry], span.frames / self.plan.rate
        slate = None
        if span.kind is Kind.SLATE:
            shot = next(other for other in self.plan.spans if other.entry == span.entry and other.kind is not Kind.SLATE)
            facts = (("duration", seconds_words(shot.frames / self.plan.rate)), ("frames", str(shot.frames)))
            words = segment.slate or SlateWords(shot=name_of(self._segments, span.entry))
            slate = replace(words, facts=(*words.facts, *facts))
        return Piece(name=name_of(self._segments, span.entry), span=span, skip=0, frames=span.frames, slate=slate,
                     burn=segment.burn, source=self._sources[span.entry] if span.kind is Kind.SHOT else None,
                     note=f"no clip yet · {seconds_words(seconds)}")

    def _refuse_hdr(self, pieces: Iterable[Piece]) -> None:
        bright = sorted({piece.name for piece in pieces if piece.source is not None and piece.source.hdr})
        if bright:
            raise MediaError(f"{', '.join(bright[:5])}: HDR (PQ or HLG), which a reel that must be encoded cannot show",
                             code="hdr", hint="HDR is copied where all clips are alike, whole, and nothing is written on them")

    def _encode(self, cache: PieceCache, key: str, piece: Piece, film: Film) -> None:
        if self._stop.is_set():
            raise Stopped
        with cache.fresh(key) as path:
            encode_piece(piece, film, path, self._options.fonts, stopped=self._stop.is_set, on_frame=self._count)

    def _count(self) -> None:
        with self._lock:
            self._done += 1

    def _await(self, futures: set[Future[None]], on_progress: OnProgress | None) -> None:
        """Until all pieces are there; the first that goes wrong is raised."""
        while futures:
            done, futures = wait(futures, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            if futures and on_progress is not None:
                on_progress(self._done, self.plan.frames)

    def join(self, stretches: Sequence[Stretch], to: Path) -> bool:
        """Write the film; returns whether it has sound."""
        own = self._options.own_sound and any(source is not None and source.sound for source in self._sources)
        temp = self._options.sound
        sound = partial(sound_packets, plan=self.plan, sources=self._sources, temp=temp, own=own)
        join(stretches, to, self.plan.rate, metadata=self._options.metadata, sound=sound if own or temp is not None else None)
        return own or temp is not None


@contextmanager
def _folder(cache: Path | None, to: Path) -> Iterator[Path]:
    """Where the pieces are kept; a passing folder beside the film where nobody said."""
    if cache is not None:
        yield cache
        return
    with TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as folder:
        yield Path(folder)


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
