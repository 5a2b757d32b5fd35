"""A reel is cut exactly to the frame, keeps shapes and colours, copies what it can, goes on after an interruption, and appears
whole or not at all."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from manifest_runner.adapters import reel as reel_module
from manifest_runner.adapters.cards import BurnIn, SlateWords
from manifest_runner.adapters.media import probe
from manifest_runner.adapters.reel import Reel, cut_reel
from manifest_runner.adapters.reel_cache import PieceCache
from manifest_runner.adapters.reel_join import verify
from manifest_runner.adapters.reel_pieces import _Fit, encoder_of
from manifest_runner.adapters.reel_segments import Options, Segment
from manifest_runner.core.reelplan import Kind
from manifest_runner.errors import InvalidInput, MediaError, UsageError
from tests.reels import SIZE, make_clip, packets, pictures, shown

ENCODE = Options(size=(162, 90))
"""A size that no clip has, so that all is encoded."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clips that no test changes."""
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "a.mp4", 24)
    make_clip(folder / "b.mp4", 30, ground=(0, 90, 160))
    make_clip(folder / "short.mp4", 6)
    make_clip(folder / "gops.mp4", 24, options={"g": "8"})
    make_clip(folder / "bframes.mp4", 24, options={"preset": "medium", "bf": "3", "g": "12", "sc_threshold": "0"})
    return folder


def times(film: Path) -> list[Fraction]:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        return [packet.pts * stream.time_base for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize("options", [Options(), ENCODE])
@pytest.mark.parametrize(("start", "end", "frames"), [
    (0.0, None, range(24)), (0.5, None, range(12, 24)), (0.0, 0.25, range(6)), (0.26, 0.74, range(6, 18)), (0.0, 9.0,
                                                                                                            range(24)),
    (23 / 24, None, range(23, 24)),
])
def test_in_and_out_points_are_exact_to_the_frame(start: float, end: float | None, frames: range, options: Options, clips: Path,
                                                  tmp_path: Path) -> None:
    made = cut_reel([Segment(clip=clips / "a.mp4", start=start, end=end)], tmp_path / "reel.mp4", options)
    assert made.facts.frames == len(frames)
    assert shown(tmp_path / "reel.mp4") == list(frames)


def test_segments_come_in_their_order_and_a_clip_may_come_twice(clips: Path, tmp_path: Path) -> None:
    one, two = clips / "a.mp4", clips / "b.mp4"
    made = cut_reel([Segment(clip=two, start=1.0), Segment(clip=one), Segment(clip=two, end=0.125)], tmp_path / "reel.mp4")
    assert shown(tmp_path / "reel.mp4") == [*range(24, 30), *range(24), *range(3)]
    assert (made.encoded, made.copied) == (3, False)


@pytest.mark.parametrize(("rate", "frames", "expected"), [
    (12, 6, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]), (48, 24, list(range(0, 24, 2))),
    (30, 15, [0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14]),
])
def test_another_rate_is_shown_in_the_same_time_by_the_nearest_frames(rate: int, frames: int, expected: list[int], clips: Path,
                                                                      tmp_path: Path) -> None:
    other = make_clip(tmp_path / "b.mp4", frames, rate=rate)
    made = cut_reel([Segment(clip=clips / "short.mp4"), Segment(clip=other)], tmp_path / "reel.mp4")
    assert (made.facts.frame_rate, made.facts.frames) == ("24/1", 6 + 12)
    assert shown(tmp_path / "reel.mp4")[6:] == expected


def test_frames_that_come_unevenly_are_shown_when_they_come(tmp_path: Path) -> None:
    stutter = make_clip(tmp_path / "a.mp4", 4, times=[0, 42, 417, 458])
    made = cut_reel([Segment(clip=stutter)], tmp_path / "reel.mp4", Options(rate=Fraction(24)))
    assert shown(tmp_path / "reel.mp4")[:12] == [0, *[1] * 5, *[2] * 5, 3]
    assert not made.copied


@pytest.mark.parametrize(("size", "aspect", "black", "coloured"), [
    ((90, 160), None, [(20, 45), (140, 45)], [(57, 45), (102, 45)]),
    ((320, 90), None, [(80, 10), (80, 80)], [(80, 26), (80, 64)]),
    ((320, 180), None, [], [(4, 4), (155, 85)]),
    ((80, 90), Fraction(2), [], [(4, 4), (155, 85)]),  # pixels twice as wide as high
])
def test_other_shapes_are_fitted_inside_with_black_bars(size: tuple[int, int], aspect: Fraction | None,
                                                        black: list[tuple[int, int]], coloured: list[tuple[int, int]],
                                                        clips: Path, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "b.mp4", 2, size=size, aspect=aspect)
    made = cut_reel([Segment(clip=clips / "short.mp4"), Segment(clip=other)], tmp_path / "reel.mp4")
    assert made.plan.size == SIZE
    image = pictures(tmp_path / "reel.mp4")[-1]
    assert all(max(image.getpixel(at)) < 30 for at in black)
    assert all(image.getpixel(at)[0] > 150 for at in coloured)


def test_size_and_rate_can_be_asked_for(clips: Path, tmp_path: Path) -> None:
    made = cut_reel([Segment(clip=clips / "a.mp4")], tmp_path / "reel.mp4", Options(size=(120, 120), rate=Fraction(30000,
                                                                                                                   1001)))
    assert (made.facts.width, made.facts.height, made.facts.frame_rate, made.facts.frames) == (120, 120, "30000/1001", 29)
    assert times(tmp_path / "reel.mp4") == [n * Fraction(1001, 30000) for n in range(29)]


# The same red, coded otherwise: range, matrix, primaries, transfer by their numbers; Y, Cb, Cr by each standard's own formula.
RED = {
    "709 limited": ((1, 1, 1, 1), (63, 102, 240)),
    "709 full": ((2, 1, 1, 1), (54, 99, 255)),
    "601 limited": ((1, 6, 2, 2), (81, 90, 240)),
    "601 full": ((2, 5, 2, 2), (76, 85, 255)),
}


@pytest.mark.parametrize("name", RED)
def test_a_colour_is_the_same_whatever_matrix_and_range_it_came_in(name: str, clips: Path, tmp_path: Path) -> None:
    tags, levels = RED[name]
    clip = flat_clip(tmp_path / "a.mp4", levels, tags)
    cut_reel([Segment(clip=clip)], tmp_path / "reel.mp4", ENCODE)
    red, green, blue = pictures(tmp_path / "reel.mp4")[0].getpixel((80, 45))
    assert red > 247
    assert max(green, blue) < 8
    with av.open(str(tmp_path / "reel.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert [int(value) for value in (context.color_range, context.colorspace, context.color_primaries,
                                         context.color_trc)] == [
            1, 1, 1, 1]


def test_full_range_is_made_limited_though_only_the_frame_says_so() -> None:
    """An 8-bit clip is decoded to a format that means full range; others have no such format."""
    frame = av.VideoFrame(*SIZE, "yuv420p")
    for plane, level in zip(frame.planes, RED["709 full"][1], strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.color_range, frame.colorspace = 2, 1
    fitted = _Fit(SIZE, SIZE)(frame)
    assert [bytes(plane)[0] for plane in fitted.planes] == pytest.approx(RED["709 limited"][1], abs=1)


def test_primaries_are_converted_in_linear_light(tmp_path: Path) -> None:
    """NTSC's red (SMPTE C) is no pure red of BT.709: linear (0.9395, 0.0178, -0.0016), that is 247, 20, 0 after its curve."""
    clip = flat_clip(tmp_path / "a.mp4", RED["601 limited"][1], (1, 6, 6, 6))
    cut_reel([Segment(clip=clip)], tmp_path / "reel.mp4", ENCODE)
    red, green, blue = pictures(tmp_path / "reel.mp4")[0].getpixel((80, 45))
    assert (red, green) == (pytest.approx(247, abs=3), pytest.approx(20, abs=6))
    assert blue < 8


def flat_clip(path: Path, levels: tuple[int, int, int], tags: tuple[int, int, int, int], frames: int = 2) -> Path:
    """A clip of one colour, given as Y, Cb and Cr."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = tags
        for _ in range(frames):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for plane, level in zip(frame.planes, levels, strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_hdr_is_copied_and_never_shown_wrong(clips: Path, tmp_path: Path) -> None:
    bright = flat_clip(tmp_path / "SH0010_t1.mp4", (120, 120, 120), (1, 9, 9, 16))
    assert cut_reel([Segment(clip=bright)], tmp_path / "reel.mp4").copied
    with pytest.raises(MediaError, match="SH0010: HDR"):
        cut_reel([Segment(clip=bright, name="SH0010"), Segment(clip=clips / "a.mp4")], tmp_path / "reel.mp4")


# ── copying ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "start", "end", "frames"), [
    ("a", 0.0, None, range(24)), ("gops", 8 / 24, None, range(8, 24)), ("gops", 8 / 24, 16 / 24, range(8, 16)),
    ("a", 0.0, 0.5, range(12)), ("bframes", 0.0, None, range(24)), ("bframes", 0.5, None, range(12, 24)),
])
def test_what_needs_no_encoding_is_copied_packet_by_packet(name: str, start: float, end: float | None, frames: range,
                                                           clips: Path,
                                                           tmp_path: Path) -> None:
    clip, film = clips / f"{name}.mp4", tmp_path / "reel.mp4"
    made = cut_reel([Segment(clip=clip, start=start, end=end), Segment(clip=clip)], film)
    assert made.copied
    own = packets(clip)
    assert packets(film) == [*own[frames.start:frames.stop], *own]
    assert shown(film) == [*frames, *range(24)]
    assert sorted(times(film)) == [Fraction(n, 24) for n in range(len(frames) + 24)]


def test_what_cannot_stand_in_one_stream_or_be_decoded_by_itself_is_encoded(clips: Path, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.mp4", 6, options={"refs": "3", "preset": "medium", "bf": "0"})
    for segments in ([Segment(clip=clips / "short.mp4"), Segment(clip=other)], [Segment(clip=clips / "a.mp4", start=0.1)],
                     [Segment(clip=clips / "bframes.mp4", end=0.2)], [Segment(clip=clips / "short.mp4",
                                                                              burn=BurnIn(words="x"))],
                     [Segment(clip=clips / "short.mp4"), Segment(clip=None, name="B", length=0.5)]):
        assert not cut_reel(segments, tmp_path / "reel.mp4").copied


def test_a_reel_plays_everywhere(clips: Path, tmp_path: Path) -> None:
    for options in (Options(), ENCODE):
        reel = tmp_path / "reel.mp4"
        made = cut_reel([Segment(clip=clips / "a.mp4"), Segment(clip=clips / "b.mp4", end=0.5)], reel, options)
        assert made.facts == probe(reel)
        assert (made.facts.codec, made.facts.container, made.facts.duration) == ("h264", "mp4", 1.5)
        with av.open(str(reel)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
            assert container.streams.video[0].start_time == 0
        assert reel.read_bytes().index(b"moov") < reel.read_bytes().index(b"mdat")
        assert times(reel) == [Fraction(n, 24) for n in range(36)]


# ── pieces ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def three(clips: Path, *, end: float | None = None) -> list[Segment]:
    return [Segment(clip=clips / "a.mp4", name="A"), Segment(clip=clips / "b.mp4", name="B", end=end),
            Segment(clip=clips / "short.mp4", name="C")]


def test_a_second_reel_encodes_nothing_and_a_changed_shot_itself_alone(clips: Path, tmp_path: Path) -> None:
    cache, reel = tmp_path / "cache", tmp_path / "reel.mp4"
    first = cut_reel(three(clips), reel, ENCODE, cache=cache)
    whole = reel.read_bytes()
    again = cut_reel(three(clips), reel, ENCODE, cache=cache)
    assert (first.encoded, first.kept, again.encoded, again.kept) == (3, 0, 0, 3)
    assert reel.read_bytes() == whole
    changed = cut_reel(three(clips, end=0.5), reel, ENCODE, cache=cache)
    assert (changed.encoded, changed.kept) == (1, 2)
    assert shown(reel) == [*range(24), *range(12), *range(6)]
    moved = cut_reel(three(clips)[::-1], reel, ENCODE, cache=cache)
    assert (moved.encoded, moved.kept) == (0, 3), "a shot that only moved is not encoded again"


def test_whatever_changes_the_picture_changes_the_piece(clips: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"

    def encoded(options: Options = ENCODE, **changes: object) -> int:
        segment = Segment(**{"clip": clips / "short.mp4", "name": "A", **changes})  # type: ignore[arg-type]
        return cut_reel([segment], tmp_path / "reel.mp4", options, cache=cache).encoded

    assert encoded() == 1
    for options, changes in [
        (Options(size=(100, 90)), {}), (Options(size=(162, 90), rate=Fraction(30)), {}), (ENCODE, {"start": 0.1}),
        (ENCODE, {"end": 0.1}), (ENCODE, {"clip": clips / "a.mp4", "end": 0.25}), (ENCODE, {"burn": BurnIn(words="one")}),
        (ENCODE, {"burn": BurnIn(words="two")}), (ENCODE, {"burn": BurnIn(frame=True)}), (ENCODE,
                                                                                          {"burn": BurnIn(timecode=True)}),
        (Options(size=(162, 90), start="10:00:00:00"), {"burn": BurnIn(timecode=True)}),
    ]:
        assert encoded(options, **changes) == 1, (options, changes)
        assert encoded(options, **changes) == 0
    slated = Options(size=(162, 90), slate=2)
    for words in (SlateWords(shot="A"), SlateWords(shot="A", prompt="x"), SlateWords(shot="A", show="x"),
                  SlateWords(shot="A", facts=(("take", "2"),))):
        assert encoded(slated, slate=words) == 1, words
    assert encoded(ENCODE, clip=None, length=0.25) == 1
    assert encoded(ENCODE, clip=None, length=0.25, name="B") == 1
    assert encoded(ENCODE, name="B") == 0, "a shot's name is not in its picture"


def test_an_interrupted_reel_goes_on_where_it_was(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reel_module, "_cores", lambda: 1)
    encode = reel_module.encode_piece

    def interrupted(piece: object, *args: object, **kwargs: object) -> None:
        if piece.name == "C":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        encode(piece, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(reel_module, "encode_piece", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cut_reel(three(clips), tmp_path / "reel.mp4", ENCODE, cache=tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} <= {".mp4"}
    monkeypatch.setattr(reel_module, "encode_piece", encode)
    made = cut_reel(three(clips), tmp_path / "reel.mp4", ENCODE, cache=tmp_path / "cache")
    assert (made.encoded, made.kept) == (1, 2)
    alone = cut_reel(three(clips), tmp_path / "alone.mp4", ENCODE)
    assert (alone.encoded, alone.kept) == (3, 0)
    assert (tmp_path / "alone.mp4").read_bytes() == (tmp_path / "reel.mp4").read_bytes()


@pytest.mark.parametrize("cores", [1, 3])
def test_the_same_cut_gives_the_same_bytes_on_any_number_of_cores(cores: int, clips: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tmp_path / "expected.mp4"
    cut_reel(three(clips), expected, ENCODE)
    monkeypatch.setattr(reel_module, "_cores", lambda: cores)
    cut_reel(three(clips), tmp_path / "reel.mp4", ENCODE)
    assert (tmp_path / "reel.mp4").read_bytes() == expected.read_bytes()


def test_a_long_shot_is_cut_into_pieces_that_join_without_a_seam(clips: Path, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifest_runner.adapters.reel_pieces.LONGEST", Fraction(1, 3))
    made = cut_reel([Segment(clip=clips / "bframes.mp4", start=1 / 24)], tmp_path / "reel.mp4")
    assert made.encoded == 3
    assert shown(tmp_path / "reel.mp4") == list(range(1, 24))


def test_a_damaged_piece_is_made_again(clips: Path, tmp_path: Path) -> None:
    cache, reel = tmp_path / "cache", tmp_path / "reel.mp4"
    cut_reel(three(clips), reel, ENCODE, cache=cache)
    whole = reel.read_bytes()
    short, junk, _ = sorted(cache.iterdir())
    short.write_bytes(short.read_bytes()[:-30])
    junk.write_bytes(b"nothing")
    made = cut_reel(three(clips), reel, ENCODE, cache=cache)
    assert (made.encoded, made.kept) == (2, 1)
    assert reel.read_bytes() == whole


@pytest.mark.parametrize(("width", "tree"), [(1280, 1), (1920, 1), (720, 0), (162, 0), (160, 1)])
def test_rows_of_an_odd_number_of_macroblocks_have_no_tree_that_would_read_what_nobody_set(width: int, tree: int) -> None:
    assert f"mbtree={tree}:" in encoder_of((width, 90))["x264-params"]


def test_a_piece_that_is_used_again_is_young_again(clips: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cut_reel(three(clips), tmp_path / "reel.mp4", ENCODE, cache=cache)
    for piece in cache.iterdir():
        os.utime(piece, (1e9, 1e9))
    cut_reel(three(clips)[:1], tmp_path / "reel.mp4", ENCODE, cache=cache)
    assert sorted(piece.stat().st_mtime > 1e9 for piece in cache.iterdir()) == [False, False, True]


def test_the_oldest_pieces_go_first_and_those_in_use_never(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "mid", "old", "used"]):
        (tmp_path / f"{name}.mp4").write_bytes(bytes(100))
        os.utime(tmp_path / f"{name}.mp4", (1e9 - age, 1e9 - age))
    (tmp_path / "dead.part").write_bytes(b"x")
    os.utime(tmp_path / "dead.part", (1e9 - 90_000, 1e9 - 90_000))
    (tmp_path / "living.part").write_bytes(b"x")
    os.utime(tmp_path / "living.part", (1e9, 1e9))
    PieceCache(tmp_path, limit=200).prune({"used"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["living.part", "mid.mp4", "new.mp4", "used.mp4"]
    PieceCache(tmp_path / "nowhere").prune(set())


# ── what is written on it ─────────────────────────────────────────────────────────────────────────────────────────────


def test_slates_and_slugs_take_their_frames_and_the_shots_stay_whole(clips: Path, tmp_path: Path) -> None:
    segments = [Segment(clip=clips / "short.mp4", name="SH0010"), Segment(clip=None, name="SH0020", length=0.5),
                Segment(clip=clips / "a.mp4", name="SH0030", end=0.25)]
    made = cut_reel(segments, tmp_path / "reel.mp4", Options(slate=3))
    assert [(span.kind, span.frames) for span in made.plan.spans] == [
        (Kind.SLATE, 3), (Kind.SHOT, 6), (Kind.SLATE, 3), (Kind.SLUG, 12), (Kind.SLATE, 3), (Kind.SHOT, 6)]
    frames = pictures(tmp_path / "reel.mp4")
    assert len(frames) == 33
    seen = shown(tmp_path / "reel.mp4")
    assert (seen[3:9], seen[27:]) == (list(range(6)), list(range(6)))
    slug = frames[14]
    assert slug.getpixel((2, 2)) == (0, 0, 0)
    assert max(high for _, high in slug.getextrema()) > 100, "the name of the shot is on it"


def brightest(image: Image.Image, box: tuple[int, int, int, int]) -> int:
    return max(image.crop(box).convert("L").tobytes())


def test_burn_ins_are_in_the_picture_at_its_upper_edge_and_nowhere_else(clips: Path, tmp_path: Path) -> None:
    plain, burnt = tmp_path / "plain.mp4", tmp_path / "burnt.mp4"
    size = Options(size=(640, 360))
    cut_reel([Segment(clip=clips / "short.mp4")], plain, size)
    cut_reel([Segment(clip=clips / "short.mp4", burn=BurnIn(words="SH0010 · take 1", frame=True, timecode=True))], burnt, size)
    for one, other in zip(pictures(plain), pictures(burnt), strict=True):
        assert brightest(other, (20, 16, 200, 40)) > 180
        assert brightest(other, (400, 16, 620, 40)) > 180
        assert brightest(one, (20, 16, 200, 40)) < 100
        below = [abs(a - b) for a, b in zip(one.crop((0, 60, 640, 360)).tobytes(), other.crop((0, 60, 640, 360)).tobytes(),
                                            strict=True)]
        assert sum(below) / len(below) < 2
    first, last = (pictures(burnt)[n].crop((400, 16, 620, 40)).tobytes() for n in (0, 5))
    assert first != last, "it counts"


# ── progress, and what goes wrong ─────────────────────────────────────────────────────────────────────────────────────


def test_progress_never_goes_back_and_ends_once_with_all_frames(clips: Path, tmp_path: Path) -> None:
    for options in (Options(), ENCODE):
        seen: list[tuple[int, int]] = []
        cut_reel(three(clips), tmp_path / "reel.mp4", options, on_progress=lambda *n, seen=seen: seen.append(n))
        assert seen[-1] == (60, 60)
        assert seen == sorted(seen)
        assert seen.count((60, 60)) == 1 or seen[-2] == (60, 60)


def test_a_clip_that_cannot_be_read_is_named_and_leaves_the_old_reel(clips: Path, tmp_path: Path) -> None:
    bad, reel = tmp_path / "SH0020_t1.mp4", tmp_path / "reel.mp4"
    bad.write_bytes((clips / "short.mp4").read_bytes()[:-2000])
    reel.write_bytes(b"the old one")
    with pytest.raises(MediaError, match=r"SH0020_t1\.mp4"):
        cut_reel([Segment(clip=clips / "a.mp4"), Segment(clip=bad)], reel)
    assert reel.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SH0020_t1.mp4", "reel.mp4"]


def test_an_interruption_leaves_nothing_behind(clips: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    long = make_clip(tmp_path / "long.mp4", 40, size=(640, 360))
    with pytest.raises(KeyboardInterrupt):
        cut_reel([Segment(clip=long), Segment(clip=clips / "a.mp4")], tmp_path / "reel.mp4", on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize(("start", "end"), [(1.0, None), (0.5, 0.5), (0.5, 0.2), (-1.0, None)])
def test_every_empty_cut_is_told_with_the_segments_name(start: float, end: float | None, clips: Path, tmp_path: Path) -> None:
    empty = [Segment(clip=clips / "a.mp4", start=start, end=end, name=name) for name in ("SH0030", "SH0040")]
    with pytest.raises(InvalidInput) as caught:
        cut_reel([empty[0], Segment(clip=clips / "a.mp4"), empty[1]], tmp_path / "reel.mp4")
    assert [item.message.partition(":")[0] for item in caught.value.diagnostics] == ["SH0030", "SH0040"]
    assert "no frame lies between" in caught.value.diagnostics[0].message


def test_a_reel_of_nothing_and_one_that_cannot_be_written_are_errors(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no clips"):
        cut_reel([], tmp_path / "reel.mp4")
    with pytest.raises(MediaError, match=r"reel\.mp4: the reel cannot be written: No such file"):
        cut_reel([Segment(clip=clips / "a.mp4")], tmp_path / "nowhere" / "reel.mp4", cache=tmp_path / "cache")


def test_a_timecode_that_the_reel_s_own_rate_does_not_have_is_refused(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="00:00:00:24 does not exist at 24 frames a second"):
        cut_reel([Segment(clip=clips / "a.mp4", burn=BurnIn(timecode=True))], tmp_path / "reel.mp4",
                 Options(start="00:00:00:24"))


def test_a_film_that_is_not_what_was_planned_is_refused(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A muxer that lost a frame would be noticed."""
    join = reel_module.join
    monkeypatch.setattr(reel_module, "join", lambda stretches, *args, **more: join(stretches[:-1], *args, **more))
    with pytest.raises(MediaError, match=r"reel\.mp4: 24 frames were written instead of 48"):
        cut_reel([Segment(clip=clips / "a.mp4")] * 2, tmp_path / "reel.mp4")
    assert not (tmp_path / "reel.mp4").exists()


def test_frames_that_are_not_in_their_places_are_noticed(clips: Path, tmp_path: Path) -> None:
    uneven = make_clip(tmp_path / "uneven.mp4", 4, times=[0, 42, 417, 458])
    verify(clips / "short.mp4", 6, Fraction(24), name="reel.mp4")
    with pytest.raises(MediaError, match=r"reel\.mp4: its frames are not evenly spaced"):
        verify(uneven, 4, Fraction(24), name="reel.mp4")


def test_many_clips_are_cut_with_few_files_open(clips: Path, tmp_path: Path) -> None:
    import resource

    few = 64
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few + len(list(Path("/dev/fd").iterdir())), before[1]))
    try:
        made: Reel = cut_reel([Segment(clip=clips / "short.mp4")] * 200, tmp_path / "reel.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert made.facts.frames == 1200


def test_rates_that_are_no_whole_number_are_kept(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "ntsc.mp4", 15, rate=Fraction(30000, 1001))
    made = cut_reel([Segment(clip=clip, start=0.1)], tmp_path / "reel.mp4")
    assert (made.facts.frame_rate, made.facts.frames) == ("30000/1001", 12)
    assert times(tmp_path / "reel.mp4") == [n * Fraction(1001, 30000) for n in range(12)]


def test_the_picture_of_a_clip_is_as_good_as_before(clips: Path, tmp_path: Path) -> None:
    """Encoded again at its own size, no pixel of the plain clip is far off."""
    cut_reel([Segment(clip=clips / "a.mp4", start=1 / 24)], tmp_path / "reel.mp4")
    for one, other in zip(pictures(clips / "a.mp4")[1:], pictures(tmp_path / "reel.mp4"), strict=True):
        difference = Image.blend(one, other, 0.5)
        assert difference.size == SIZE
        levels = [abs(a - b) for a, b in zip(one.tobytes(), other.tobytes(), strict=True)]
        assert sum(levels) / len(levels) < 2.5
