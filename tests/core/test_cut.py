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
    make_timeline,
)
from manifest_runner.core.cutpoints import exact
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
    return exact(shot.params.get("duration", 5))


def placed(shots: str, footage: Mapping[tuple[str, int], Footage], rate: Fraction | None = None) -> Timeline:
    manifest = manifest_of(f"shots:\n{shots}")
    return make_timeline(manifest, clips(manifest, footage), asked=asked, rate=rate)


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


def test_formats_have_suffixes_that_no_other_ends_in() -> None:
    endings = [one.suffix for one in Format]
    assert endings == [".otio", ".otioz", ".edl", ".xml", ".fcpxml"]
    assert not any(one != other and one.endswith(other) for one in endings for other in endings)


# ── no drift ──────────────────────────────────────────────────────────────────────────────────────────────────────────

points = st.floats(min_value=0, max_value=30, allow_nan=False)


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
    long = sum((_exact(one, rate) for one in cut.shots), Fraction(0))
    assert abs(cut.length - long * rate) <= len(cut.shots)


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
    return len(one.clip.used_in(one.shot)) / one.clip.rate


def test_media_facts_are_those_of_the_builders() -> None:
    assert Footage(frames=120, size=(1280, 720)).facts == MediaFacts(
        container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1")
