"""What a cell says where it is certain, and which doubt it leaves where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_runner.core.model import Camera
from manifest_runner.core.shotlist_camera import NEAR, SAID, camera, written
from manifest_runner.core.shotlist_cells import aspect, count, frame, number, resolution, seconds, within
from tests.builders import CARD


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("5", 5),
        ("5s", 5),
        ("5 sec", 5),
        ("5 secs.", 5),
        ("5 seconds", 5),
        ('5"', 5),
        ("5.5", 5.5),
        ("5,5", 5.5),
        ("5,5 Sek.", 5.5),
        (".5", 0.5),
        ("0:05", 5),
        ("1:05", 65),
        ("00:00:05", 5),
        ("00:00:05.5", 5.5),
        ("00:00:05,500", 5.5),
        ("1m 05s", 65),
        ("0'05\"", 5),
        ("2 min", 120),
        ("00:00:05:00", 5),
        ("00:00:05:12@24", 5.5),
        ("00:00:05:12 @ 24 fps", 5.5),
        ("00:00:05:15@30", 5.5),
        ("00:00:02;00@29.97", 2.002),
        ("132f @ 24", 5.5),
        ("120 frames @24fps", 5),
        ("0,500", 0.5),
    ],
)
def test_a_length_is_seconds_however_it_is_written(cell: str, value: float) -> None:
    found = seconds(cell)
    assert (found.value, found.doubt) == (value, "")


@pytest.mark.parametrize(
    ("cell", "doubt", "suggestion"),
    [
        ("00:00:05:12", "how many frames make a second", 5),
        ("120f", "how many frames make a second", None),
        ("00:00:05:24@24", "no second has so many frames", None),
        ("00:00:05.12", "hundredths or frames", None),
        ("~5", "about so long", 5),
        ("ca. 2,5 s", "about so long", 2.5),
        ("approx 5 to 7", "about so long", None),
        ("3-5s", "a range", None),
        ("3 to 5", "a range", None),
        ("1,500", "thousands or decimals", None),
        ("long", "no length", None),
        ("-5", "no length", None),
        ("5 5", "no length", None),
        ("1e400", "no length", None),
        ("3.47222E-05", "no length", None),
        ("9" * 400, "no length", None),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_a_doubt(cell: str, doubt: str, suggestion: float | None) -> None:
    found = seconds(cell)
    assert doubt in found.doubt
    assert (found.value, found.suggestion) == (None, suggestion)


def test_a_dot_may_part_thousands_where_commas_are_decimal() -> None:
    assert seconds("1.500").value == 1.5
    assert seconds("1.500", decimal_comma=True).doubt == "the dot may part thousands or decimals"
    assert seconds("1.5", decimal_comma=True).value == 1.5


@pytest.mark.parametrize(
    ("cell", "value"), [("0.5", 0.5), ("1e-07", 1e-07), ("3.0", 3), ("-2", -2), ("0.30000000000000004", 0.30000000000000004)]
)
def test_a_number_keeps_all_its_digits(cell: str, value: float) -> None:
    assert number(cell).value == value


def test_a_number_beyond_the_models_rule_is_a_doubt() -> None:
    rule = CARD.parameters["duration"]
    assert within(seconds("15"), rule).value == 15
    assert within(seconds("40s"), rule, "seconds").doubt == "it goes from 1 to 15 seconds"
    assert within(number("0.2"), {"maximum": 0}).doubt == "it goes to 0"
    assert within(number("-1"), {"minimum": 0}).doubt == "it goes from 0"


@pytest.mark.parametrize(
    ("cell", "value"),
    [("3", 3), ("3.0", 3), ("x3", 3), ("3x", 3), ("0", None), ("51", None), ("2,4", None), ("2A", None), ("best", None)],
)
def test_takes_are_counted(cell: str, value: int | None) -> None:
    found = count(cell)
    assert (found.value, bool(found.doubt)) == (value, value is None)


@pytest.mark.parametrize(
    ("cell", "value", "suggestion"),
    [
        ("16:9", "16:9", None),
        ("16x9", "16:9", None),
        ("16 × 9", "16:9", None),
        ("9/16", "9:16", None),
        ("1:1", "1:1", None),
        ("16:09", None, "16:9"),
        ("16:09:00", None, "16:9"),
        ("00:00:00", None, None),
        ("2.39:1", None, None),
        ("wide", None, None),
    ],
)
def test_a_ratio_is_two_whole_numbers_and_no_time_of_day(cell: str, value: str | None, suggestion: str | None) -> None:
    found = aspect(cell)
    assert (found.value, found.suggestion, bool(found.doubt)) == (value, suggestion, value is None)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("720p", "720p"),
        ("1080P", "1080p"),
        ("1920 x 1080", "1080p"),
        ("1280×720", "720p"),
        ("Full HD", "1080p"),
        ("4K", None),
        ("HD", None),
    ],
)
def test_a_resolution_is_one_of_the_models(cell: str, value: str | None) -> None:
    found = resolution(cell, ("720p", "1080p"))
    assert (found.value, bool(found.doubt)) == (value, value is None)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("last frame of SH0010", {"shot": "SH0010", "frame": "last"}),
        ("First frame of 12A, take 2", {"shot": "12A", "frame": "first", "take": 2}),
        ("plates/bridge.png", "plates/bridge.png"),
        ("last frame of the day", "last frame of the day"),
    ],
)
def test_a_frame_of_another_shot_is_told_from_a_picture(cell: str, value: Any) -> None:
    assert frame(cell) == value


# ── the camera ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_word_of_the_table_is_one_of_the_card_and_says_one_move() -> None:
    assert SAID.keys() == CARD.camera.words.keys()
    for move, words in SAID.items():
        for said in words:
            assert camera(said, CARD).value == move, said
    for move, words in NEAR.items():
        for said in words:
            found = camera(said, CARD)
            assert (found.value, found.suggestion) == (None, move), said


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        ("Static", "static", ""),
        ("pan_left", "pan_left", ""),
        ("Pan Left", "pan_left", ""),
        ("LOCKED-OFF", "static", "LOCKED-OFF"),
        ("slow push in", "dolly_in", "slow push in"),
        ("Camera pans left", None, ""),
        ("Pan L-R", "pan_right", "Pan L-R"),
        ("pan left 4", {"move": "pan_left", "amount": 4}, ""),
        ("roll cw 2.5", {"move": "roll_cw", "amount": 2.5}, ""),
        ("truck right 0", {"move": "truck_right", "amount": 0}, ""),
        ("zoom in 1e-05", {"move": "zoom_in", "amount": 1e-05}, ""),
        ("langsame Ranfahrt", "dolly_in", "langsame Ranfahrt"),
        ("Schwenk nach oben", "tilt_up", "Schwenk nach oben"),
        ("The camera is static shot", None, ""),
    ],
)
def test_a_move_counts_where_it_says_that_and_nothing_else(cell: str, value: Any, said: str) -> None:
    found = camera(cell, CARD)
    assert (found.value, found.said) == (value, said)
    assert bool(found.doubt) is (value is None)


@pytest.mark.parametrize(
    ("cell", "doubt", "suggestion"),
    [
        ("slow pan left", "how far", "pan_left"),
        ("fast zoom out", "how far", "zoom_out"),
        ("push in on Asha", "no one film word", "dolly_in"),
        ("pan left, then tilt up", "no one film word", None),
        ("handheld", "no one film word", None),
        ("dolly", "no one film word", None),
        ("crane up", "no one film word", "pedestal_up"),
        ("pan left 11", "amounts go from 0 to 10", "pan_left"),
        ("pan left 99999999", "amounts go from 0 to 10", "pan_left"),
        ("pan left " * 40, "no one film word", None),
        ("{", "no camera object", None),
        ("{}", "no camera object", None),
        ('{"type": 3}', "no camera object", None),
        ('{"type": "simple", "config": {"pan": NaN}}', "no camera object", None),
        ("{" * 100_000, "no camera object", None),
        ('{"type": "simple", "config": {"pan": 99}}', "no camera object", None),
        ('{"type": "simple", "x": 1}', "no camera object", None),
        ('{"type": "simple", "config": {"pan": true}}', "no camera object", None),
    ],
)
def test_a_move_in_doubt_is_never_a_value(cell: str, doubt: str, suggestion: str | None) -> None:
    found = camera(cell, CARD)
    assert doubt in found.doubt
    assert (found.value, found.suggestion) == (None, suggestion)


@pytest.mark.parametrize(
    ("move", "cell"),
    [
        (Camera(words="truck right 4", control={"type": "simple", "config": {"horizontal": 4}}), "truck right 4"),
        (Camera(words="static", phrase="The camera is static."), "static"),
        (Camera(words="pan right 0"), "pan right 0"),
        (Camera(words="pan 3", control={"type": "simple", "config": {"pan": 3}}), '{"type": "simple", "config": {"pan": 3}}'),
        (Camera(words="static", control={"type": "static"}), '{"type": "static"}'),
    ],
)
def test_a_camera_is_written_in_film_words_where_they_say_all_of_it(move: Camera, cell: str) -> None:
    assert written(move, CARD) == cell
