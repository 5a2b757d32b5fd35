"""Where everything stands: one rule for points in seconds, whole frames, no drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.cut import (
    Clip,
    Format,
    Placed,
    Timeline,
    clip_of,
    commonest,
    frames_shown,
    frames_used,
    make_timeline,
    nearest,
    seconds,
)
from manifest_runner.core.model import Cut, Manifest, MediaFacts, Shot, ShotId
from manifest_runner.core.timecode import RATES
from manifest_runner.errors import ShotsFailed, UsageError
from tests.builders import FACTS, manifest_of
from tests.cutting import Footage, locked

NTSC24, NTSC30 = Fraction(24000, 1001), Fraction(30000, 1001)


def clips(manifest: Manifest, footage: Mapping[tuple[str, int], Footage]) -> dict[tuple[ShotId, int], Clip | str]:
    """The takes of `footage`, as they are placed."""
    return {(ShotId(shot), take): clip_of(take, f"renders/test/{shot}_t{take}.mp4", entry)
            for (shot, take), entry in locked(manifest, footage).items()}


def asked(shot: Shot) -> Fraction:
    return seconds(shot.params.get("duration", 5))


def placed(shots: str, footage: Mapping[tuple[str, int], Footage], rate: Fraction | None = None) -> Timeline:
    manifest = manifest_of(f"shots:\n{shots}")
    return make_timeline(manifest, clips(manifest, footage), asked=asked, rate=rate)


@pytest.mark.parametrize(("start", "end", "rate", "frames"), [
    (0.0, None, 24, range(24)), (0.5, None, 24, range(12, 24)), (0.0, 0.5, 24, range(12)), (0.0, 9.0, 24, range(24)),
    (0.26, 0.74, 24, range(6, 18)), (0.1, 0.7, 10, range(1, 7)), (0.0, None, 30, range(24)),
    (0.02, 0.06, 25, range(1, 2)),  # between two frames: the later
    (0.05, 0.15, 10, range(1, 2)), (0.15, 0.25, 10, range(2, 3)),  # as written, whatever the doubles are
    (0.5, 0.5, 24, range(12, 12)), (1.0, None, 24, range(24, 24)), (3.0, 5.0, 24, range(72, 24)),
])
def test_points_in_seconds_become_the_nearest_frames(start: float, end: float | None, rate: int, frames: range) -> None:
    assert frames_used(Cut(start=start, end=end), rate=Fraction(rate), frames=24) == frames


@pytest.mark.parametrize(("used", "rate", "shown_at", "frames"), [
    (range(24), 24, 24, 24), (range(24), 25, 24, 23), (range(25), 25, 24, 24), (range(12), 12, 24, 24), (range(48), 48, 24, 24),
    (range(1), 60, 24, 1), (range(12, 24), 25, 24, 11), (range(12), 25, 24, 12), (range(120), NTSC24, NTSC24, 120),
    (range(120), NTSC24, 24, 120), (range(1200), NTSC24, 24, 1201), (range(150), NTSC30, 30, 150),
])
def test_a_clip_of_another_rate_lasts_as_long_but_never_longer_than_it_has_pictures(
        used: range, rate: Fraction | int, shown_at: Fraction | int, frames: int) -> None:
    assert frames_shown(used, rate=Fraction(rate), frames=max(24, used.stop), shown_at=Fraction(shown_at)) == frames


def test_each_shot_begins_where_the_one_before_it_ends() -> None:
    cut = placed("  - {id: A, prompt: x, cut: {in: 0.5}}\n  - {id: B, prompt: x}\n  - {id: C, prompt: x, cut: {out: 0.25}}\n",
                 {("A", 1): Footage(), ("B", 1): Footage(frames=36), ("C", 1): Footage()})
    assert [(one.start, one.length, one.first) for one in cut.shots] == [(0, 12, 12), (12, 36, 0), (48, 6, 0)]
    assert (cut.rate, cut.length, cut.gaps) == (24, 54, ())


def test_the_clips_own_length_decides_and_not_what_was_asked_for() -> None:
    cut = placed("  - {id: A, prompt: x, duration: 5}\n  - {id: B, prompt: x, duration: 5, cut: {out: 4.5}}\n",
                 {("A", 1): Footage(frames=97), ("B", 1): Footage(frames=97)})
    assert [one.length for one in cut.shots] == [97, 97]


def test_a_shot_without_a_clip_is_a_gap_of_its_length() -> None:
    cut = placed("  - {id: A, prompt: x, duration: 5}\n  - {id: B, prompt: x, duration: 5, cut: {in: 0.5, out: 4.5}}\n"
                 "  - {id: C, prompt: x, duration: 5, cut: {in: 0.5}}\n  - {id: D, prompt: x}\n", {("D", 1): Footage()})
    assert [(one.shot.id, one.start, one.length, one.why) for one in cut.gaps] == [
        ("A", 0, 120, "not rendered"), ("B", 120, 96, "not rendered"), ("C", 216, 108, "not rendered")]
    assert cut.shots[3].start == 324


def test_a_clip_that_is_not_there_says_why() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n  - {id: B, prompt: x}\n")
    found = {**clips(manifest, {("A", 1): Footage()}), (ShotId("B"), 1): "failed: no such look"}
    assert make_timeline(manifest, found, asked=asked).gaps[0].why == "failed: no such look"


def test_a_clip_that_came_back_shorter_than_its_in_point_is_a_gap_that_says_so() -> None:
    cut = placed("  - {id: A, prompt: x, duration: 5, cut: {in: 2, out: 4}}\n  - {id: B, prompt: x}\n",
                 {("A", 1): Footage(frames=24), ("B", 1): Footage()})
    assert cut.gaps[0].length == 48
    assert cut.gaps[0].why == "its clip of 1 s has no frame between in and out point"


def test_the_circled_take_is_shown_and_the_others_are_beside_it() -> None:
    shots = ("  - {id: A, prompt: x, takes: 3, circled: 2}\n  - {id: B, prompt: x, takes: 3}\n"
             "  - {id: C, prompt: x, takes: 2, circled: 2}\n")
    cut = placed(shots, {(shot, take): Footage() for shot in "ABC" for take in (1, 2, 3) if (shot, take) != ("C", 2)})
    shown = [(None if one.clip is None else one.clip.take, [clip.take for clip in one.others]) for one in cut.shots]
    assert shown == [(2, [1, 3]), (3, [1, 2]), (None, [1])]


def test_a_take_that_the_manifest_no_longer_asks_for_is_not_placed() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x, takes: 2}\n")
    found = clips(manifest, {("A", 1): Footage(), ("A", 2): Footage()})
    found |= {(ShotId("A"), 3): found[ShotId("A"), 2], (ShotId("Z"), 1): found[ShotId("A"), 2]}
    assert [clip.take for clip in make_timeline(manifest, found, asked=asked).shots[0].others] == [1]


@pytest.mark.parametrize(("rates", "chosen"), [
    ([24, 25, 25], 25), ([24, 24, 25], 24), ([25, 24], 25), ([24, 25], 24), ([30, 24, 25, 24, 30], 30),
    ([NTSC30, NTSC24], NTSC30),
])
def test_the_rate_is_that_of_most_clips_and_of_the_earliest_where_as_many_have_another(
        rates: list[int | Fraction], chosen: int | Fraction) -> None:
    shots = "".join(f"  - {{id: S{number}, prompt: x}}\n" for number in range(len(rates)))
    footage = {(f"S{number}", 1): Footage(rate=rate) for number, rate in enumerate(rates)}
    assert placed(shots, footage).rate == chosen


def test_other_takes_and_gaps_have_no_say_in_the_rate() -> None:
    footage = {("A", 1): Footage(rate=25), ("A", 2): Footage(rate=25), ("A", 3): Footage(), ("B", 1): Footage(rate=25)}
    cut = placed("  - {id: A, prompt: x, takes: 3}\n  - {id: B, prompt: x}\n  - {id: C, prompt: x}\n", footage)
    assert cut.rate == 24, "one of each in the cut: the earlier"


def test_a_rate_that_has_no_time_code_must_be_chosen() -> None:
    with pytest.raises(UsageError, match="17 frames") as error:
        placed("  - {id: A, prompt: x}\n", {("A", 1): Footage(rate=17)})
    assert error.value.code == "bad-rate"
    assert placed("  - {id: A, prompt: x}\n", {("A", 1): Footage(rate=17, frames=17)}, Fraction(24)).length == 24


def test_no_clip_at_all_is_no_timeline() -> None:
    with pytest.raises(ShotsFailed) as error:
        placed("  - {id: A, prompt: x}\n", {})
    assert error.value.code == "clips-missing"


@pytest.mark.parametrize("facts", [
    *({"frame_rate": rate} for rate in ("", "24", "0/1", "24/0", "-24/1", "1/9", "9999/1", "1e99999999/1", "24/1\n", "١/١",
                                        "nan/1", "9" * 5000 + "/1")),
    {"frames": 0}, {"frames": 2**53}, {"width": 0}, {"height": 0},
])
def test_facts_that_no_clip_has_are_a_gap_and_never_a_crash(facts: dict[str, object]) -> None:
    entry = locked(manifest_of("shots:\n  - {id: A, prompt: x}\n"), {("A", 1): Footage()})["A", 1]
    media = replace(FACTS, **facts)  # type: ignore[arg-type]
    found = clip_of(1, "a.mp4", replace(entry, outputs=(replace(entry.outputs[0], media=media),)))
    assert found == "the lockfile says of its clip what no clip is like"


def test_a_clip_of_which_nothing_is_known_is_a_gap() -> None:
    entry = locked(manifest_of("shots:\n  - {id: A, prompt: x}\n"), {("A", 1): Footage()})["A", 1]
    assert isinstance(clip_of(1, "a.mp4", replace(entry, outputs=(replace(entry.outputs[0], media=None),))), str)


@pytest.mark.parametrize(("values", "found"), [("abb", "b"), ("ab", "a"), ("bab", "b"), ("cabab", "a")])
def test_the_commonest_is_the_first_of_equals(values: str, found: str) -> None:
    assert commonest(values) == found


def test_formats_have_suffixes_that_no_other_ends_in() -> None:
    endings = [one.suffix for one in Format]
    assert endings == [".otio", ".otioz", ".edl", ".xml", ".fcpxml"]
    assert not any(one != other and one.endswith(other) for one in endings for other in endings)


# ── no drift ──────────────────────────────────────────────────────────────────────────────────────────────────────────

rates = st.one_of(st.sampled_from(RATES), st.fractions(min_value=1, max_value=240, max_denominator=1001))
points = st.floats(min_value=0, max_value=30, allow_nan=False)


@given(start=points, end=st.one_of(st.none(), points), rate=rates, frames=st.integers(1, 10**6),
       shown_at=st.sampled_from(RATES))
def test_a_shot_is_within_half_a_frame_of_what_its_clip_shows(start: float, end: float | None, rate: Fraction, frames: int,
                                                              shown_at: Fraction) -> None:
    used = frames_used(Cut(start=start, end=end), rate=rate, frames=frames)
    assert used.stop <= frames
    assert abs(used.start - seconds(start) * rate) <= Fraction(1, 2)
    if used:
        shown = frames_shown(used, rate=rate, frames=frames, shown_at=shown_at)
        assert shown >= 1
        assert shown == 1 or used.start / rate + shown / shown_at <= frames / rate, "no picture beyond the clip's end"
        assert shown / shown_at - len(used) / rate <= Fraction(1, 2) / shown_at or shown == 1
        assert len(used) / rate - shown / shown_at < 1 / shown_at


lengths = st.lists(st.tuples(st.sampled_from([*RATES, Fraction(12), Fraction(15)]), st.integers(1, 400), points, points,
                             st.booleans()), min_size=1, max_size=60)


@given(shots=lengths, rate=st.sampled_from(RATES))
def test_a_long_cut_of_mixed_rates_is_as_long_as_the_sum_of_its_shots(
        shots: list[tuple[Fraction, int, float, float, bool]], rate: Fraction) -> None:
    manifest = _manifest(shots)
    found: dict[tuple[ShotId, int], Clip | str] = {
        (shot.id, 1): replace(_CLIP, rate=own, frames=frames)
        for shot, (own, frames, _, _, there) in zip(manifest.shots, shots, strict=True) if there}
    if not found:
        return
    cut = make_timeline(manifest, found, asked=lambda _: Fraction(5), rate=rate)
    assert cut.length == sum(one.length for one in cut.shots)
    assert all(before.start + before.length == after.start for before, after in zip(cut.shots, cut.shots[1:], strict=False))
    assert cut.shots[0].start == 0
    for one in cut.shots:
        assert one.length >= 1
        assert (one.clip is None) == bool(one.why)
    # Against exact seconds: each shot is rounded once, and what one loses the next does not inherit.
    exact = sum((_exact(one, rate) for one in cut.shots), Fraction(0))
    assert abs(cut.length - exact * rate) <= len(cut.shots)


_SHOT = manifest_of("shots:\n  - {id: A, prompt: x}\n")
_CLIP = clip_of(1, "renders/test/A_t1.mp4", locked(_SHOT, {("A", 1): Footage()})["A", 1])
assert isinstance(_CLIP, Clip)


def _manifest(shots: list[tuple[Fraction, int, float, float, bool]]) -> Manifest:
    return replace(_SHOT, shots=tuple(
        replace(_SHOT.shots[0], id=ShotId(f"S{number}"), cut=Cut(start=min(one, other) % 2, end=max(one, other) + 2))
        for number, (_, _, one, other, _) in enumerate(shots)))


def _exact(one: Placed, rate: Fraction) -> Fraction:
    """What a shot shows, in seconds: the frames of its clip, or of a clip at the timeline's rate."""
    if one.clip is None:
        return Fraction(one.length) / rate
    return len(frames_used(one.shot.cut, rate=one.clip.rate, frames=one.clip.frames)) / one.clip.rate


@pytest.mark.parametrize(("number", "found"), [("1/2", 1), ("3/2", 2), ("5/2", 3), ("49/100", 0), ("-1/2", 0), ("7", 7)])
def test_half_a_frame_is_the_later_one(number: str, found: int) -> None:
    assert nearest(Fraction(number)) == found


def test_media_facts_are_those_of_the_builders() -> None:
    assert Footage(frames=120, size=(1280, 720)).facts == MediaFacts(
        container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1")
