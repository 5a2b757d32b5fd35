"""Pieces of a reel: each encoded by itself, by one thread, into a stream that any other piece may follow.

Laws
- A piece holds at most `LONGEST` seconds of one span, so that all cores have work and an interruption costs little.
- Its bytes depend on nothing but what its key names: the clip's bytes, the cut, the film's size and rate, what is written on
  it, and the libraries that make it. One thread, no clock, no names of files.
- BT.709, limited range, 4:2:0, square pixels, and said so in the stream; other matrices, ranges and primaries are converted.
  What a clip does not say is what players assume for its size. HDR is refused where it would have to be converted: nothing
  here maps tones.
- No frame refers to a later one: times of pieces that are joined need no correction, and no player must be told to skip
  anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from manifest_runner.adapters.cards import NO_BURN_IN, Burner, BurnIn, SlateWords, slate_card, slug_card
from manifest_runner.adapters.lettering import Lettering
from manifest_runner.adapters.media import colour_matrix, opened
from manifest_runner.adapters.reel_clips import Source
from manifest_runner.core.reelplan import Kind, Size, Span, fitted, source_frame
from manifest_runner.core.timecode import Code
from manifest_runner.errors import MediaError, MissingExtra

try:
    import av
    from av.filter import Graph
    from av.video.reformatter import ColorRange, Colorspace, Interpolation
    from PIL import Image
except ImportError as missing:
    raise MissingExtra("video", "cutting a reel") from missing

LONGEST = 10
"""Seconds of the longest piece."""

BT709 = 1  # H.264's number for primaries, transfer and matrix alike

_MACROBLOCK = 16  # pixels a side

_PRIMARIES = {4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
"""Those that are converted, by H.264's number and the name of libavfilter's `colorspace`."""

_FORM = 1
"""Raised when the same settings shall give other pieces than before."""


class Stopped(Exception):
    """Somebody asked for the work to be left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What all pieces have in common. `code` begins with the film's first frame."""

    size: Size
    code: Code

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return self.code.rate

    def at(self, frame: int) -> str:
        """The time code of a frame, from 0; after a day it begins again."""
        return self.code.at((self.code.start + frame) % self.code.day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """`frames` frames of a span, from its frame `skip` on. `name` is for messages; `source` is there for a shot, `slate` for a
    slate, `note` for a slug."""

    name: str
    span: Span
    skip: int
    frames: int
    source: Source | None = None
    slate: SlateWords | None = None
    note: str = ""
    burn: BurnIn = NO_BURN_IN


def pieces_of(whole: Piece, rate: Fraction) -> list[Piece]:
    """A span's piece, cut into pieces that are not too long and about as long as each other."""
    count = -(-whole.frames // max(1, round(LONGEST * rate)))
    edges = [whole.frames * number // count for number in range(count + 1)]
    return [Piece(name=whole.name, span=whole.span, skip=begin, frames=end - begin, source=whole.source, slate=whole.slate,
                  note=whole.note, burn=whole.burn) for begin, end in pairwise(edges)]


def encoder_of(size: Size) -> dict[str, str]:
    """x264's settings for a film of this size.

    A look-ahead pays for itself in bytes; new scenes are looked for in vain inside a shot. Pieces are what runs in parallel.
    Where a row has an odd number of macroblocks (720 pixels: 45), x264's macroblock tree reads memory that nobody has set
    (valgrind shows it, with builds 165 and their SIMD code), and now and then a piece's first picture comes out with other
    bytes: there it is left out.
    """
    tree = int(-(-size[0] // _MACROBLOCK) % 2 == 0)
    return {"preset": "superfast", "crf": "18", "threads": "1", "bf": "0", "flags": "+bitexact",
            "x264-params": f"rc-lookahead=10:mbtree={tree}:scenecut=0:weightp=0"}


def key_of(piece: Piece, film: Film, letters: Lettering) -> str:
    """The name under which the piece can be kept: another one where its bytes would be others."""
    burnt = piece.burn if piece.span.kind is not Kind.SLATE else NO_BURN_IN
    words = [*(part for fact in piece.slate.facts for part in fact), piece.slate.show, piece.slate.sequence, piece.slate.shot,
             piece.slate.prompt] if piece.slate is not None else [piece.name, piece.note] if piece.source is None else []
    facts = [
        _FORM, av.__version__, sorted(av.library_versions.items()), sorted(encoder_of(film.size).items()), film.size,
        str(film.rate), piece.span.kind, piece.skip, piece.frames,
        None if piece.source is None else (piece.source.sha256, piece.span.first, piece.span.stop),
        [letters.identity(word) for word in (*words, burnt.words)],
        burnt.frame, film.at(piece.span.at + piece.skip) if burnt.timecode else None,
        letters.identity("0123456789:f") if burnt.frame or burnt.timecode else None,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def encode_piece(piece: Piece, film: Film, to: Path, fonts: Sequence[Path], *, stopped: Callable[[], bool],
                 on_frame: Callable[[], None]) -> None:
    """Write the piece to `to`. Raises `MediaError`, or `Stopped` as soon as `stopped` says so."""
    letters = Lettering(fonts)
    burner = Burner(piece.burn, film.size, letters) if piece.burn and piece.span.kind is not Kind.SLATE else None
    pictures = _shot(piece, film) if piece.source is not None else _card(piece, film, letters)
    try:
        with av.open(str(to), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("libx264", rate=film.rate, options=encoder_of(film.size))
            stream.width, stream.height = film.size
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.gop_size = max(1, round(2 * film.rate))
            context.color_range, context.colorspace = ColorRange.MPEG, BT709
            context.color_primaries = context.color_trc = BT709
            for shown, (picture, number) in enumerate(pictures):
                if stopped():
                    raise Stopped
                frame = _copy(picture)
                if burner is not None:
                    burner.burn(frame, source=number, timecode=film.at(piece.span.at + piece.skip + shown))
                container.mux(stream.encode(frame))
                on_frame()
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{piece.name}: cannot be encoded: {getattr(error, 'strerror', None) or error}") from error


def _card(piece: Piece, film: Film, letters: Lettering) -> Iterator[tuple[av.VideoFrame, int | None]]:
    if piece.slate is not None:
        image = slate_card(piece.slate, film.size, letters)
    else:
        image = slug_card(piece.name, piece.note, film.size, letters)
    pixels = av.VideoFrame.from_bytes(image.convert("RGBA").tobytes(), *film.size)
    frame = pixels.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
    for _ in range(piece.frames):
        yield frame, None


def _shot(piece: Piece, film: Film) -> Iterator[tuple[av.VideoFrame, int | None]]:
    """The piece's frames as pictures of the film, each with the number of the clip's frame that it is."""
    assert piece.source is not None  # noqa: S101 - whoever calls knows
    clip = piece.source.clip
    wanted = [source_frame(piece.span, clip, film.rate, piece.skip + shown) for shown in range(piece.frames)]
    shown = 0
    fit = _Fit(film.size, clip.square)
    for number, decoded in decoded_frames(piece.source, wanted[0], wanted[-1] + 1):
        if shown < len(wanted) and wanted[shown] == number:
            picture = fit(decoded)
            while shown < len(wanted) and wanted[shown] == number:
                yield picture, number
                shown += 1
    if shown < len(wanted):
        raise MediaError(f"{piece.name}: {piece.source.path.name} ends {len(wanted) - shown} frames early")


def decoded_frames(source: Source, first: int, stop: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """The clip's frames from `first` until before `stop`, with their numbers."""
    number = {pts: frame for frame, pts in enumerate(source.stamps)}
    with opened(source.path) as (container, stream):
        stream.codec_context.thread_count = 1  # pieces are what runs in parallel
        begin = max((source.order[packet] for packet in source.keys if source.order[packet] <= first), default=0)
        if begin:
            container.seek(source.stamps[begin], stream=stream, backward=True)
        for decoded in container.decode(stream):
            frame = number.get(decoded.pts) if decoded.pts is not None else None
            if frame is not None and frame >= stop:
                return
            if frame is not None and frame >= first:
                yield frame, decoded


class _Fit:
    """Makes pictures of a clip into pictures of the film."""

    def __init__(self, size: Size, shown: Size) -> None:
        self._size, self._box = size, fitted(shown, size)
        self._primaries: Graph | None = None

    def __call__(self, decoded: av.VideoFrame) -> av.VideoFrame:
        if int(decoded.color_primaries) in _PRIMARIES:
            decoded = self._converted(decoded)
        left, top, width, height = self._box
        frame = decoded.reformat(width, height, "yuv420p", src_colorspace=colour_matrix(decoded),
                                 dst_colorspace=Colorspace.ITU709, src_color_range=_range(decoded),
                                 dst_color_range=ColorRange.MPEG, interpolation=Interpolation.BICUBIC, threads=1)
        return frame if (width, height) == self._size else _framed(frame, self._size, (left, top))

    def _converted(self, decoded: av.VideoFrame) -> av.VideoFrame:
        """The frame in the primaries (and matrix, and transfer) of BT.709, computed in linear light."""
        if self._primaries is None:
            self._primaries = _graph(decoded)
        self._primaries.vpush(decoded)
        return self._primaries.vpull()


def _graph(decoded: av.VideoFrame) -> Graph:
    matrix = {Colorspace.ITU709: "bt709", Colorspace.BT2020: "bt2020nc", Colorspace.FCC: "fcc",
              Colorspace.SMPTE240M: "smpte240m"}.get(colour_matrix(decoded), "smpte170m")
    words = {"iprimaries": _PRIMARIES[int(decoded.color_primaries)], "ispace": matrix, "itrc": "bt709",
             "irange": "pc" if _range(decoded) == ColorRange.JPEG else "tv", "all": "bt709", "range": "tv", "format": "yuv420p"}
    graph = Graph()
    graph.threads = 1
    begin = graph.add_buffer(width=decoded.width, height=decoded.height, format=decoded.format, time_base=Fraction(1, 1000))
    chain = [begin, graph.add("format", "yuv420p|yuv422p|yuv444p"), graph.add("colorspace", **words), graph.add("buffersink")]
    for one, other in pairwise(chain):
        one.link_to(other)
    graph.configure()
    return graph


def _range(decoded: av.VideoFrame) -> ColorRange:
    full = decoded.color_range == ColorRange.JPEG or decoded.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG


def _framed(frame: av.VideoFrame, size: Size, at: tuple[int, int]) -> av.VideoFrame:
    """`frame` at `at` (even) in a black frame of `size`."""
    film = av.VideoFrame(*size, "yuv420p")
    for number, (source, target) in enumerate(zip(frame.planes, film.planes, strict=True)):
        part = Image.frombytes("L", (source.width, source.height), bytes(source), "raw", "L", source.line_size)
        sheet = Image.new("L", (target.line_size, target.height), 128 if number else 16)
        sheet.paste(part, (at[0] // 2, at[1] // 2) if number else at)
        target.update(sheet.tobytes())
    return film


def _copy(picture: av.VideoFrame) -> av.VideoFrame:
    """A frame of its own memory, without a time: decoders still need theirs, and encoders keep what they get."""
    frame = av.VideoFrame(picture.width, picture.height, "yuv420p")
    for source, target in zip(picture.planes, frame.planes, strict=True):
        if source.line_size == target.line_size:
            memoryview(target)[:] = memoryview(source)
        else:
            rows = Image.frombytes("L", (source.width, source.height), bytes(source), "raw", "L", source.line_size)
            sheet = Image.new("L", (target.line_size, target.height))
            sheet.paste(rows, (0, 0))
            target.update(sheet.tobytes())
    return frame
