"""The plan of a reel: exact to the frame, without drift, the same for everybody."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.cutpoints import exact
from manifest_runner.core.reelplan import (
    Clip,
    Entry,
    Kind,
    copied_packets,
    even,
    even_times,
    fitted,
    make_reel_plan,
    parse_size,
    seconds_words,
    source_frame,
)
from manifest_runner.core.timecode import STANDARD_RATES

NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)

rates = st.sampled_from(STANDARD_RATES)
seconds = st.integers(0, 9000).map(lambda thousandths: Fraction(thousandths, 1000))


def clip(frames: int = 24, rate: Fraction | int = 24, *, size: tuple[int, int] = (320, 180), aspect: str = "1",
         times: tuple[Fraction, ...] = ()) -> Clip:
    return Clip(frames=frames, rate=Fraction(rate), width=size[0], height=size[1], sample_aspect=Fraction(aspect), times=times)


def cut(start: float, end: float | None, of: Clip) -> tuple[int, int]:
    (span,) = make_reel_plan([Entry(start=exact(start), end=None if end is None else exact(end), clip=of)]).spans
    return span.first, span.stop


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    start = draw(seconds)
    end = draw(st.none() | st.just(start).flatmap(lambda begin: seconds.map(lambda more: begin + more)))
    if draw(st.booleans()):
        return Entry(start=start, end=end, length=draw(seconds))
    return Entry(start=start, end=end, clip=clip(draw(st.integers(1, 300)), draw(rates)))


@pytest.mark.parametrize(("start", "end", "rate", "expected"), [
    (0.0, None, 24, (0, 24)), (0.5, None, 24, (12, 24)), (0.26, 0.74, 24, (6, 18)), (0.0, 9.0, 24, (0, 24)),
    (23 / 24, None, 24, (23, 24)),
    # Halfway the later frame counts, whether it is odd or even: frames 2.5 and 3.5 of 10 a second, 0.05 being a twentieth.
    (0.25, 0.35, 10, (3, 4)), (0.05, 0.15, 10, (1, 2)), (0.1, 0.7, 10, (1, 7)),
    (0.5, 0.6, NTSC, (15, 18)),
])
def test_a_point_in_seconds_is_the_nearest_frame_and_halfway_the_later(start: float, end: float | None, rate: Fraction,
                                                                       expected: tuple[int, int]) -> None:
    assert cut(start, end, clip(rate=rate)) == expected


@given(st.lists(entries(), max_size=12), rates, st.sampled_from([None, 0, 1, 48]))
def test_a_reel_has_no_gaps_and_is_as_long_as_its_spans(shots: list[Entry], rate: Fraction, slate: int | None) -> None:
    plan = make_reel_plan(shots, rate=rate, slate=slate)
    ends = [0, *accumulate(span.frames for span in plan.spans)]
    assert [span.at for span in plan.spans] == ends[:-1]
    assert plan.frames == ends[-1]
    assert all(span.frames > 0 for span in plan.spans)
    told = {problem.entry for problem in plan.problems}
    assert [span.entry for span in plan.spans if span.kind is not Kind.SLATE] == [n for n in range(len(shots)) if n not in told]


@given(st.lists(entries(), max_size=12), rates)
def test_a_shot_is_as_long_as_it_lasts_to_half_a_frame_and_never_longer_than_its_clip(shots: list[Entry],
                                                                                      rate: Fraction) -> None:
    for span in make_reel_plan(shots, rate=rate).spans:
        found = shots[span.entry].clip
        if found is None:
            continue
        lasts = (span.stop - span.first) / found.rate * rate
        whole = (found.frames - span.first) / found.rate * rate
        assert span.frames == 1 or (abs(span.frames - lasts) <= Fraction(1, 2) or whole - 1 < span.frames < lasts)
        assert span.frames == 1 or span.frames <= whole


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 299)), min_size=1, max_size=40), rates)
def test_at_one_rate_a_shot_has_exactly_its_own_frames_however_long_the_cut(cuts: list[tuple[int, int]],
                                                                            rate: Fraction) -> None:
    shots = [Entry(start=first / rate, clip=clip(frames, rate)) for frames, first in cuts if first < frames]
    plan = make_reel_plan(shots)
    assert [span.frames for span in plan.spans] == [frames - first for frames, first in cuts if first < frames]
    for span in plan.spans:
        of = shots[span.entry].clip
        assert of is not None
        assert [source_frame(span, of, rate, shown) for shown in range(span.frames)] == list(range(span.first, span.stop))


@given(entries(), rates)
def test_every_frame_of_the_reel_shows_the_nearest_frame_of_the_cut(shot: Entry, rate: Fraction) -> None:
    for span in make_reel_plan([shot], rate=rate).spans:
        if shot.clip is None:
            continue
        shown = [source_frame(span, shot.clip, rate, number) for number in range(span.frames)]
        assert shown == sorted(shown)
        assert span.first == shown[0]
        assert all(span.first <= frame < span.stop for frame in shown)
        for number, frame in enumerate(shown):
            off = abs(shot.clip.begins(frame) - shot.clip.begins(span.first) - number / rate)
            assert off <= 1 / shot.clip.rate / 2 or frame == span.stop - 1


def test_uneven_frames_are_found_by_their_times() -> None:
    # A clip that stutters: frames at 0, 1, 2, 7, 8 and 9 twenty-fourths, ten long.
    of = clip(6, times=tuple(Fraction(n, 24) for n in (0, 1, 2, 7, 8, 9, 10)))
    plan = make_reel_plan([Entry(clip=of)], rate=Fraction(24))
    (span,) = plan.spans
    assert span.frames == 10
    assert [source_frame(span, of, plan.rate, shown) for shown in range(10)] == [0, 1, 2, 2, 2, 3, 3, 3, 4, 5]
    assert cut(0.3, None, of) == (3, 6)


def test_what_shows_nothing_is_told_of_every_shot_and_leaves_the_others_in_place() -> None:
    shots = [Entry(clip=clip(), start=Fraction(1)), Entry(clip=clip()), Entry(clip=clip(), start=Fraction(1, 2),
                                                                              end=Fraction(1, 5)),
             Entry(clip=clip(), start=Fraction(-1)), Entry(length=Fraction(1), start=Fraction(2))]
    plan = make_reel_plan(shots)
    assert [problem.entry for problem in plan.problems] == [0, 2, 3, 4]
    assert plan.problems[0].message == "no frame lies between the in point 1 s and the out point 1 s of a clip of 1 s"
    assert [(span.entry, span.at, span.frames) for span in plan.spans] == [(1, 0, 24)]


@pytest.mark.parametrize(("start", "end", "length", "frames"), [(0.0, None, 4, 96), (0.5, None, 4, 84), (0.5, 3.5, 4, 72),
                                                               (0.5, 9.0, 4, 84), (0.0, None, 0.01, 1)])
def test_a_slug_is_as_long_as_the_cut_of_the_clip_will_be(start: float, end: float | None, length: float, frames: int) -> None:
    shot = Entry(start=exact(start), end=None if end is None else exact(end), length=exact(length))
    plan = make_reel_plan([Entry(clip=clip()), shot, Entry(clip=clip())])
    assert [(span.kind, span.frames) for span in plan.spans] == [(Kind.SHOT, 24), (Kind.SLUG, frames), (Kind.SHOT, 24)]


@pytest.mark.parametrize(("slate", "frames"), [(None, 24), (10, 10)])
def test_cards_stand_before_the_shots_and_move_them(slate: int | None, frames: int) -> None:
    plan = make_reel_plan([Entry(clip=clip()), Entry(length=Fraction(1))], slate=slate)
    assert [(span.kind, span.at) for span in plan.spans] == [
        (Kind.SLATE, 0), (Kind.SHOT, frames), (Kind.SLATE, frames + 24), (Kind.SLUG, 2 * frames + 24)]


def test_size_and_rate_are_those_of_the_most_clips_and_of_several_those_that_come_first() -> None:
    small, large, fast = clip(size=(320, 180)), clip(size=(640, 360)), clip(rate=30)
    assert make_reel_plan([Entry(clip=small), Entry(clip=large), Entry(clip=large)]).size == (640, 360)
    assert make_reel_plan([Entry(clip=large), Entry(clip=small)]).size == (640, 360)
    assert make_reel_plan([Entry(clip=small), Entry(clip=large)]).size == (320, 180)
    assert make_reel_plan([Entry(clip=fast), Entry(clip=small)]).rate == 30
    assert make_reel_plan([Entry(clip=fast), Entry(clip=small), Entry(clip=large)]).rate == 24
    # What shows nothing has no say, and slugs alone are cut at the usual size and rate.
    assert make_reel_plan([Entry(clip=fast, start=Fraction(9)), Entry(clip=small)]).rate == 24
    assert make_reel_plan([Entry(length=Fraction(1))]).size == (1280, 720)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(8, 2000), st.integers(8, 2000))
def test_a_picture_is_never_stretched_and_lies_whole_in_the_middle(width: int, height: int, across: int, down: int) -> None:
    size = (2 * across, 2 * down)
    left, top, wide, tall = fitted((width, height), size)
    assert all(number % 2 == 0 for number in (left, top, wide, tall))
    assert left + wide <= size[0]
    assert top + tall <= size[1]
    assert wide == size[0] or tall == size[1] or min(wide, tall) == 2
    assert abs((size[0] - wide) - 2 * left) <= 2
    assert abs((size[1] - tall) - 2 * top) <= 2
    if min(wide, tall) > 2:
        assert abs(wide - tall * width / height) <= 2 + 2 * width / height


@pytest.mark.parametrize(("size", "aspect", "shown"), [((720, 576), "16/15", (768, 576)), ((720, 480), "8/9", (720, 540)),
                                                      ((1920, 1080), "1", (1920, 1080)), ((100, 50), "0", (100, 50))])
def test_pixels_that_are_not_square_count_as_what_they_show(size: tuple[int, int], aspect: str, shown: tuple[int, int]) -> None:
    assert clip(size=size, aspect=aspect).square == shown


@pytest.mark.parametrize(("order", "keys", "first", "stop", "packets"), [
    ([0, 1, 2, 3], {0}, 0, 4, range(4)), ([0, 1, 2, 3], {0}, 0, 2, range(2)), ([0, 1, 2, 3], {0}, 1, 4, None),
    ([0, 1, 2, 3], {0, 2}, 2, 4, range(2, 4)), ([0, 1, 2, 3], {0, 2}, 2, 9, None), ([0, 1, 2, 3], {0}, 9, 10, None),
    ([0, 3, 1, 2, 4], {0}, 0, 4, range(4)), ([0, 3, 1, 2, 4], {0}, 0, 3, None),  # frame 3 is needed to show 1 and 2
    ([0, 3, 1, 2], {0, 1}, 3, 4, range(1, 2)), ([0, 3, 1, 2], {0, 1}, 1, 4, None),  # an open group of pictures
])
def test_packets_are_copied_only_where_they_are_the_cut_and_nothing_else(order: list[int], keys: set[int], first: int,
                                                                         stop: int,
                                                                         packets: range | None) -> None:
    assert copied_packets(order, frozenset(keys), first, stop) == packets


@pytest.mark.parametrize(("text", "size"), [
    ("1280x720", (1280, 720)), ("1280X720", (1280, 720)), ("1280×720", (1280, 720)), ("1281x720", None), ("12x7", None),
    ("720p", None), ("1280x", None), ("99999x2", None), ("-2x-2", None), ("٢٠x٢٠", None),
])
def test_sizes_as_people_write_them(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


def test_words_for_people() -> None:
    assert [seconds_words(Fraction(n, 100)) for n in (300, 350, 4, 0)] == ["3 s", "3.5 s", "0.04 s", "0 s"]
    assert even((321, 181)) == (320, 180)


def test_times_are_even_where_only_a_container_rounded_them() -> None:
    # Milliseconds, as WebM counts them, are even; a frame that comes half a frame late is not.
    assert even_times([Fraction(round(1000 * n / 24), 1000) for n in range(500)], Fraction(24))
    assert not even_times([Fraction(0), Fraction(1, 16)], Fraction(24))
