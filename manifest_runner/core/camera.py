"""Film words to the API's camera object, and back. Which word moves what is the model card's business, and not known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from manifest_runner.core.fingerprint import whole
from manifest_runner.core.model import Camera, Json, JsonObject
from manifest_runner.core.modelcard import ModelCard

AMOUNT = 5
"""How far a move goes where the shot does not say, on the axis' own scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move for a drawing: a film word of the card (`truck_right`), or one of the API's own types (`down_back`); how far on
    the axis' own scale, None where nothing says."""

    word: str
    amount: float | None = None


def resolve(value: Json, card: ModelCard) -> Camera:
    """The camera move of a shot: a film word, `{move, amount}`, or the API's own `{type, config}`, which passes untouched.

    `value` has passed validation. An amount is on the axis' own scale; 0 is no move at all: no control and no phrase.
    """
    if isinstance(value, str):
        return _word(value, AMOUNT, card)
    if "move" in value:
        return _word(value["move"], whole(value.get("amount", AMOUNT)), card)
    return Camera(words=_raw_words(value), control=whole(value))


def spoken(control: Json, card: ModelCard) -> str:
    """A camera object of a request in film words (`truck right 4`), `no move` where there is none; what no word says comes in
    the API's own."""
    if not control:
        return "no move"
    if not isinstance(control, Mapping) or not isinstance(control.get("config", {}), Mapping):
        return str(control)  # a lockfile may hold anything
    moves = []
    for axis, amount in control.get("config", {}).items():
        known = _film_word(axis, amount, card) if isinstance(amount, int | float) else None
        if amount:
            moves.append(f"{axis} {whole(amount)}" if known is None else f"{known.replace('_', ' ')} {abs(whole(amount))}")
    return ", ".join(moves) or str(control.get("type", "no move"))


def told(params: JsonObject, card: ModelCard) -> str:
    """The camera of a request in film words, whether it is asked for by the camera object or in the prompt."""
    control = params.get(card.camera.parameter)
    prompt = str(params.get("prompt", ""))
    if not control:
        for name, word in card.camera.words.items():
            if word.phrase is not None and word.phrase in prompt:
                return name.replace("_", " ")
    return spoken(control, card)


def prompt_without_camera(prompt: str, card: ModelCard) -> str:
    """The prompt less the camera's phrase at its end, which `told` tells."""
    for word in card.camera.words.values():
        if word.phrase is not None and prompt.endswith(f" {word.phrase}"):
            return prompt.removesuffix(f" {word.phrase}")
    return prompt


def moves(camera: Camera | None, card: ModelCard) -> tuple[Move, ...]:
    """What the camera does, one move an axis, whether it was written in film words or in the API's own; none where it does not
    move, `static` included only where it was said."""
    if camera is None or (camera.control is None and camera.phrase is None):
        return ()
    if camera.control is None:
        return (Move(word=camera.words.replace(" ", "_")),)
    config: JsonObject = camera.control.get("config") or {}
    found = [Move(word=_film_word(axis, amount, card) or axis, amount=abs(amount))
             for axis, amount in config.items() if amount]
    kind = str(camera.control.get("type", card.camera.type))
    return tuple(found) if kind == card.camera.type else (Move(word=kind), *found)


def _film_word(axis: str, amount: float, card: ModelCard) -> str | None:
    """The word for a move along an axis, such as `truck_right`."""
    sign = -1 if amount < 0 else 1
    return next((name for name, word in card.camera.words.items() if (word.axis, word.sign) == (axis, sign)), None)


def prompt_with_camera(prompt: str, camera: Camera | None) -> str:
    """The prompt with the camera's phrase behind it, after one space; unchanged where it says so already."""
    if camera is None or camera.phrase is None or camera.phrase in prompt:
        return prompt
    return f"{prompt.rstrip()} {camera.phrase}"


def _word(move: str, amount: float, card: ModelCard) -> Camera:
    word = card.camera.words[move]
    spoken = move.replace("_", " ")
    if not amount:
        return Camera(words=f"{spoken} 0")
    if word.axis is None:
        return Camera(words=spoken, phrase=word.phrase)
    return Camera(words=f"{spoken} {amount}", control={"type": card.camera.type, "config": {word.axis: word.sign * amount}})


def _raw_words(value: JsonObject) -> str:
    moves = [f"{axis} {whole(amount)}" for axis, amount in value.get("config", {}).items() if amount]
    return ", ".join(moves) or str(value["type"])
