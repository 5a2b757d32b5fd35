"""Film words become the API's camera object, by the card alone."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.camera import Move, moves, prompt_with_camera, prompt_without_camera, resolve, spoken, told
from manifest_runner.core.model import Camera
from manifest_runner.core.modelcard import override

CARD = load_card("kling-v3-omni")


def simple(**config: float) -> dict[str, Any]:
    return {"type": "simple", "config": config}


@pytest.mark.parametrize(("value", "control", "words"), [
    ({"move": "truck_right", "amount": 4}, simple(horizontal=4), "truck right 4"),
    ({"move": "truck_left", "amount": 4.0}, simple(horizontal=-4), "truck left 4"),
    ({"move": "pedestal_down", "amount": 2.5}, simple(vertical=-2.5), "pedestal down 2.5"),
    ({"move": "pan_left"}, simple(pan=-5), "pan left 5"),
    ("tilt_up", simple(tilt=5), "tilt up 5"),
    ("roll_cw", simple(roll=5), "roll cw 5"),
    ("zoom_in", simple(zoom=-5), "zoom in 5"),
    ({"move": "zoom_out", "amount": 10}, simple(zoom=10), "zoom out 10"),
    ({"move": "truck_right", "amount": 0}, None, "truck right 0"),
    ({"type": "forward_up"}, {"type": "forward_up"}, "forward_up"),
    ({"type": "simple", "config": {"horizontal": 3.0, "zoom": -2}}, simple(horizontal=3, zoom=-2), "horizontal 3, zoom -2"),
])
def test_a_move_becomes_the_apis_object_and_words_for_people(value: Any, control: Any, words: str) -> None:
    assert resolve(value, CARD) == Camera(words=words, control=control)


def test_whole_amounts_are_integers_however_they_were_written() -> None:
    control = resolve({"move": "truck_right", "amount": 4.0}, CARD).control
    assert control is not None
    assert repr(control["config"]["horizontal"]) == "4"


@pytest.mark.parametrize(("word", "words", "phrase"), [
    ("static", "static", "The camera is static."),
    ("dolly_in", "dolly in", "The camera dollies in."),
])
def test_a_move_without_a_field_is_said_in_the_prompt(word: str, words: str, phrase: str) -> None:
    assert resolve(word, CARD) == Camera(words=words, phrase=phrase)


def test_no_amount_of_a_spoken_move_says_nothing() -> None:
    assert resolve({"move": "dolly_in", "amount": 0}, CARD) == Camera(words="dolly in 0")


@pytest.mark.parametrize(("prompt", "sent"), [
    ("A bridge.", "A bridge. The camera is static."),
    ("A bridge.\n", "A bridge. The camera is static."),
    ("The camera is static. A bridge.", "The camera is static. A bridge."),
])
def test_the_phrase_follows_the_prompt_once(prompt: str, sent: str) -> None:
    assert prompt_with_camera(prompt, resolve("static", CARD)) == sent


@pytest.mark.parametrize("camera", [None, Camera(words="truck right 4", control=simple(horizontal=4))])
def test_a_prompt_without_a_phrase_is_left_alone(camera: Camera | None) -> None:
    assert prompt_with_camera("A bridge. \n", camera) == "A bridge. \n"


def test_a_team_that_reads_pan_the_other_way_changes_the_card_and_nothing_else() -> None:
    other = override(CARD, {"camera": {"words": {"pan_left": {"axis": "tilt", "sign": -1}}}})
    assert resolve("pan_left", other).control == simple(tilt=-5)


@pytest.mark.parametrize("move", [name for name, word in CARD.camera.words.items() if word.axis is not None])
def test_what_a_word_became_is_told_in_that_word_again(move: str) -> None:
    camera = resolve({"move": move, "amount": 3}, CARD)
    assert spoken(camera.control, CARD) == camera.words


@pytest.mark.parametrize(("control", "words"), [
    (None, "no move"),
    ({}, "no move"),
    ({"type": "forward_up"}, "forward_up"),
    (simple(horizontal=3, zoom=-2), "truck right 3, zoom in 2"),
    (simple(horizontal=0, pan=2.0), "pan right 2"),
    (simple(swing=2), "swing 2"),
    ({"type": "simple", "config": {"pan": "much"}}, "pan much"),
    ({"type": "simple", "config": 3}, "{'type': 'simple', 'config': 3}"),
    ("sideways", "sideways"),
])
def test_any_camera_object_is_told_in_words(control: Any, words: str) -> None:
    assert spoken(control, CARD) == words


@pytest.mark.parametrize("word", ["static", "dolly_in"])
def test_a_move_that_is_said_in_the_prompt_is_told_and_taken_off_again(word: str) -> None:
    prompt = prompt_with_camera("A bridge.", resolve(word, CARD))
    assert told({"prompt": prompt}, CARD) == word.replace("_", " ")
    assert prompt_without_camera(prompt, CARD) == "A bridge."
    assert prompt_without_camera("A bridge.", CARD) == "A bridge."
    assert told({"prompt": "A bridge."}, CARD) == "no move"
    assert told({"prompt": prompt, "camera_control": simple(pan=2)}, CARD) == "pan right 2"


@pytest.mark.parametrize("word", sorted(CARD.camera.words))
def test_every_film_word_is_read_back_from_what_is_sent_for_it(word: str) -> None:
    camera = resolve({"move": word, "amount": 4}, CARD)
    assert moves(camera, CARD) == (Move(word=word, amount=4 if CARD.camera.words[word].axis else None),)


@pytest.mark.parametrize(("value", "found"), [
    ({"type": "simple", "config": {"pan": -3, "zoom": 2.5, "tilt": 0}}, [("pan_left", 3), ("zoom_out", 2.5)]),
    ({"type": "down_back"}, [("down_back", None)]),
    ({"type": "simple", "config": {}}, []),
    ({"move": "pan_left", "amount": 0}, []),
])
def test_moves_in_the_apis_own_words_become_film_words_where_there_are_some(
        value: object, found: list[tuple[str, float | None]]) -> None:
    assert [(move.word, move.amount) for move in moves(resolve(value, CARD), CARD)] == found
    assert moves(None, CARD) == ()
