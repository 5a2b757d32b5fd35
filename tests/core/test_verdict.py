"""What is said of a clip that is other than asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manifest_runner.core.lockfile import entry_dict
from manifest_runner.core.model import LockEntry, Measured, MediaFacts, Request, Shot, ShotId
from manifest_runner.core.modelcard import override
from manifest_runner.core.projection import entry_of
from manifest_runner.core.verdict import Judge, is_open, open_takes
from tests.builders import CARD, FACTS, entry, job, manifest_of, plan_of, rendered, verdict


def asked(**params: Any) -> Request:
    usual = {"prompt": "x", "duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}
    return Request(model=CARD.name, params={**usual, **params})


@pytest.mark.parametrize(("request_", "facts", "words"), [
    (asked(), FACTS, []),
    (asked(), replace(FACTS, duration=5.042), []),
    (asked(), replace(FACTS, duration=2.5), ["it is 2.5 s long, 5 s were asked for"]),
    (asked(duration=10), FACTS, ["it is 5 s long, 10 s were asked for"]),
    (asked(resolution="1080p"), FACTS, ["it is 1280×720, 1080p was asked for"]),
    (asked(), replace(FACTS, width=1920, height=1080), []),
    (asked(), replace(FACTS, width=1280, height=714), []),
    (asked(aspect_ratio="9:16"), FACTS, ["it is 1280×720, 9:16 was asked for"]),
    (asked(aspect_ratio="9:16", image_url="file:sha256:00"), FACTS, []),
    (asked(aspect_ratio="1:1"), replace(FACTS, width=960, height=960), []),
    (asked(resolution="1080p"), replace(FACTS, duration=1.0), ["it is 1 s long, 5 s were asked for",
                                                               "it is 1280×720, 1080p was asked for"]),
])
def test_length_and_size_are_held_against_the_request(request_: Request, facts: Any, words: list[str]) -> None:
    assert [finding.words for finding in Judge(CARD).findings(request_, facts)] == words


def test_nothing_is_said_where_nothing_was_probed_or_promised() -> None:
    assert Judge(CARD).findings(asked(duration=10), None) == ()
    assert Judge(CARD).findings(replace(asked(duration=10), model="another"), FACTS) == ()
    assert len(Judge(CARD).findings(asked(duration=5.7), FACTS)) == 1
    assert Judge(override(CARD, {"clip": {"tolerance": 1}})).findings(asked(duration=5.7), FACTS) == ()


# ── what can be seen in it ────────────────────────────────────────────────────────────────────────────────────────


def seen(*, decoded: int = 120, black: float = 0.0, still: float = 0.0, **more: Any) -> MediaFacts:
    return replace(FACTS, measured=Measured(decoded=decoded, black=black, still=still), **more)


@pytest.mark.parametrize(("facts", "found"), [
    (seen(), []),
    (seen(black=0.2, still=3.75), []),  # what the card lets pass
    (seen(black=1.0, still=4.958), [("black", "all of it is black")]),  # one word for it is enough
    (seen(black=0.46), [("black", "46% of it is black")]),
    (seen(still=4.958), [("frozen", "nothing moves for 4.96 of its 5 s")]),
    (seen(decoded=100), [("damaged", "20 of its 120 frames are damaged")]),
    (seen(decoded=100, duration=9.0), [("duration", "it is 9 s long, 5 s were asked for"),
                                       ("damaged", "20 of its 120 frames are damaged")]),
    (seen(frames=0, decoded=0, duration=5.0), []),
    (replace(seen(still=4.9), measured=None), []),  # nobody looked
])
def test_black_frozen_and_damaged_clips_are_told(facts: MediaFacts, found: list[tuple[str, str]]) -> None:
    assert [(finding.code, finding.words) for finding in Judge(CARD).findings(asked(), facts)] == found


@pytest.mark.parametrize(("changes", "facts", "codes"), [
    ({"black": 0.5}, seen(black=0.46), []),
    ({"still": 0.9}, seen(still=4.4), []),
    ({"still": 0.1}, seen(still=0.6), ["frozen"]),
    ({"frame_rates": [24, 30]}, seen(), []),
    ({"frame_rates": [23.976]}, seen(frame_rate="24000/1001"), []),
    ({"frame_rates": [24]}, seen(frame_rate="24000/1001"), []),
    ({"frame_rates": [25, 50]}, seen(), ["frame-rate"]),
    ({"frame_rates": [24]}, seen(frame_rate="9" * 5000 + "/1"), ["frame-rate"]),  # as a stranger's lockfile may say
])
def test_an_operator_says_what_passes(changes: dict[str, Any], facts: MediaFacts, codes: list[str]) -> None:
    assert [finding.code for finding in Judge(override(CARD, {"clip": changes})).findings(asked(), facts)] == codes


def test_a_card_that_says_nothing_of_it_finds_nothing_black() -> None:
    data = {**CARD.data, "clip": {name: value for name, value in CARD.data["clip"].items() if name not in ("black", "still")}}
    card = type(CARD)(**{**{name: getattr(CARD, name) for name in CARD.__dataclass_fields__}, "data": data,
                         "clip": replace(CARD.clip, black=None, still=None)})
    assert Judge(card).findings(asked(), seen(black=1.0, still=5.0)) == ()


@pytest.mark.parametrize("value", [[], {}, None, "x", True, 10**400, float("nan"), "9" * 6000 + ":1"])
def test_whatever_a_lockfile_says_was_asked_is_judged_without_an_error(value: object) -> None:
    for name in ("duration", "resolution", "aspect_ratio"):
        Judge(CARD).findings(asked(**{name: value}), seen())


# ── who says so, and what a person says to it ─────────────────────────────────────────────────────────────────────

SHOT = Shot(id=ShotId("A"), params={"prompt": "x"})


def stored(facts: MediaFacts | None, **more: Any) -> LockEntry:
    made = entry(asked(), shot="A")
    return replace(made, outputs=(replace(made.outputs[0], media=facts),), **more)


def test_the_verdict_follows_from_what_was_measured() -> None:
    judged = Judge(CARD).judged(stored(seen(black=1.0)), SHOT, 1)
    assert judged.verdict == verdict("all of it is black")
    assert Judge(CARD).judged(stored(seen(), verdict=verdict("all of it is black")), SHOT, 1).verdict is None


def test_a_clip_that_fits_leaves_its_block_as_it_is() -> None:
    before = stored(FACTS)
    assert Judge(CARD).judged(before, SHOT, 1) is before
    assert "verdict" not in entry_dict(before)


def test_what_was_seen_once_stays_said_where_the_facts_are_gone() -> None:
    """A lockfile of a clone has the verdict and not what was measured."""
    before = stored(FACTS, verdict=verdict("all of it is black"))
    assert Judge(CARD).judged(before, SHOT, 1) is before
    unknown = stored(FACTS, verdict=verdict("it has six fingers", "fingers"))
    assert Judge(CARD).judged(unknown, SHOT, 1) is unknown


def test_what_the_lockfile_can_still_tell_is_judged_anew() -> None:
    long_ago = stored(replace(FACTS, duration=4.0), verdict=verdict("it is 4 s long, 5 s were asked for", "duration"))
    assert Judge(CARD).judged(long_ago, SHOT, 1) is long_ago
    assert Judge(override(CARD, {"clip": {"tolerance": 2}})).judged(long_ago, SHOT, 1).verdict is None


def test_a_verdict_of_another_model_is_nobodys_to_take_back() -> None:
    other = stored(FACTS, verdict=verdict("it is 2 s long, 5 s were asked for", "duration"))
    other = replace(other, request=replace(other.request, model="another"))
    assert Judge(CARD).judged(other, SHOT, 1) is other


def test_circling_a_take_accepts_it_and_nothing_else_does() -> None:
    black = stored(seen(black=1.0))
    this, other = (Judge(CARD).judged(black, replace(SHOT, takes=2, circled=take), 1) for take in (1, 2))
    assert this.verdict == verdict("all of it is black", accepted=True)
    assert other.verdict == verdict("all of it is black")
    said = replace(black, verdict=verdict("all of it is black", accepted=True))  # by a lockfile from somewhere
    assert Judge(CARD).judged(said, SHOT, 1).verdict == verdict("all of it is black")
    assert Judge(CARD).judged(said, None, 1).verdict == verdict("all of it is black")


@pytest.mark.parametrize(("shots", "open_"), [
    ("{id: A, prompt: x}", [1]),
    ("{id: A, prompt: x, circled: 1}", []),
    ("{id: A, prompt: x, takes: 2}", [2]),  # the latest goes into the cut
    ("{id: A, prompt: x, takes: 2, circled: 1}", []),  # the other one is not in it
])
def test_only_a_take_that_is_in_the_cut_by_nobodys_choice_is_open(shots: str, open_: list[int]) -> None:
    manifest = manifest_of(f"shots:\n  - {shots}\n")
    lock = {where: replace(block, verdict=verdict("all of it is black")) for where, block in rendered(manifest).items()}
    plan = plan_of(manifest, lock=lock)
    assert [change.take for change in open_takes(plan, manifest)] == open_
    assert not any(is_open(change, None) for change in plan.changes)


def test_a_clip_that_is_about_to_be_replaced_is_nothing_to_look_at() -> None:
    before, after = (manifest_of(f"shots:\n  - {{id: A, prompt: {prompt}}}\n") for prompt in ("x", "y"))
    lock = {where: replace(block, verdict=verdict("all of it is black")) for where, block in rendered(before).items()}
    assert open_takes(plan_of(after, lock=lock), after) == []


def test_where_the_ledger_knows_what_was_measured_a_lockfile_cannot_talk_it_away() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    (request,) = [change.after for change in plan_of(manifest).changes]
    assert request is not None
    made = job(request, shot="A", state=entry(request, shot="A").state)
    (clip,) = made.artifacts
    known = replace(made, artifacts=(replace(clip, media=seen(black=1.0)),))
    silent = replace(entry_of(known), outputs=(replace(clip, media=FACTS),))
    (change,) = plan_of(manifest, lock={("A", 1): silent}, jobs={("A", 1): known}).changes
    assert change.action.value == "keep"
    assert change.entry is not None
    assert change.entry.verdict == verdict("all of it is black")
    praised = replace(silent, outputs=(replace(clip, sha256="0" * 64, media=FACTS),), job_id=None)  # another clip is not meant
    (change,) = plan_of(manifest, lock={("A", 1): praised}, jobs={("A", 1): known}).changes
    assert change.entry is not None
    assert change.entry.verdict is None
