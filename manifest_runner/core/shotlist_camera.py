"""What shot lists say of the camera, in the film words of the model's card; as data.

Laws
- A move counts where the cell says that move and nothing else. Two moves, a move on something, equipment: a doubt, with the
  word that comes nearest as a suggestion.
- How fast is no distance: of a move whose amount has an effect, "slow" is a doubt. Where the move is said in words alone, it is
  not.
- `written` gives text that `camera` reads back as the same camera.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from manifest_runner.core.camera import resolve
from manifest_runner.core.model import Camera
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.shotlist_cells import Reading

SAID: Mapping[str, tuple[str, ...]] = {
    "static": ("static", "static shot", "locked", "locked off", "lock off", "lockoff", "locked down", "lockdown", "fixed",
               "still", "no move", "no movement", "statisch", "fest", "feste kamera", "fix", "unbewegt", "fixe", "plan fixe",
               "fijo", "fija"),
    "pan_left": ("pan left", "pan l", "pan to left", "pan to the left", "pan right to left", "pan r to l", "pan r l",
                 "schwenk links", "schwenk nach links", "linksschwenk", "pano gauche"),
    "pan_right": ("pan right", "pan r", "pan to right", "pan to the right", "pan left to right", "pan l to r", "pan l r",
                  "schwenk rechts", "schwenk nach rechts", "rechtsschwenk", "pano droite"),
    "tilt_up": ("tilt up", "tilts up", "tilt upwards", "schwenk nach oben", "schwenk hoch", "neigung hoch", "pano haut"),
    "tilt_down": ("tilt down", "tilts down", "tilt downwards", "schwenk nach unten", "schwenk runter", "neigung runter",
                  "pano bas"),
    "truck_left": ("truck left", "truck l", "track left", "tracking left", "crab left", "dolly left", "travelling gauche",
                   "fahrt links", "fahrt nach links", "parallelfahrt links"),
    "truck_right": ("truck right", "truck r", "track right", "tracking right", "crab right", "dolly right", "travelling droite",
                    "fahrt rechts", "fahrt nach rechts", "parallelfahrt rechts"),
    "pedestal_up": ("pedestal up", "ped up"),
    "pedestal_down": ("pedestal down", "ped down"),
    "zoom_in": ("zoom in", "zooms in", "zoom avant"),
    "zoom_out": ("zoom out", "zooms out", "zoom back", "zoom arrière"),
    "dolly_in": ("dolly in", "dolly forward", "push in", "push", "pushing in", "push forward", "track in", "creep in",
                 "move in", "ranfahrt", "zufahrt", "heranfahrt", "fahrt vor", "travelling avant"),
    "dolly_out": ("dolly out", "dolly back", "pull out", "pull back", "pulling out", "track out", "track back", "creep out",
                  "move out", "rückfahrt", "fahrt zurück", "travelling arrière"),
    "roll_cw": ("roll cw", "roll clockwise", "clockwise roll"),
    "roll_ccw": ("roll ccw", "roll counterclockwise", "roll counter clockwise", "roll anticlockwise", "roll anti clockwise"),
}
"""What is certain: it is this move wherever it is said."""

NEAR: Mapping[str, tuple[str, ...]] = {
    "pedestal_up": ("crane up", "jib up", "boom up", "rise", "rising", "kran hoch", "kran auf"),
    "pedestal_down": ("crane down", "jib down", "boom down", "lower", "kran runter", "kran ab"),
    "static": ("tripod", "sticks", "stativ", "on sticks", "hold"),
}
"""What comes near, and is asked about."""

_PACE = frozenset({"slow", "slowly", "very", "fast", "quick", "quickly", "gentle", "gently", "slight", "slightly", "subtle",
                   "steady", "smooth", "smoothly", "long", "short", "big", "langsam", "langsame", "langsamer", "langsames",
                   "schnell", "schneller", "schnelle", "leicht", "leichte", "leichter", "lent", "lente", "rapide", "lento",
                   "rápido"})
_STEMS = frozenset({"pan", "pans", "tilt", "tilts", "truck", "track", "tracking", "dolly", "zoom", "push", "pull", "roll",
                    "crane", "jib", "boom", "pedestal", "orbit", "arc", "whip", "follow", "schwenk", "fahrt", "neigung",
                    "kran"})
_FILLER = frozenset({"camera", "cam", "the", "a", "an", "shot", "move", "movement", "kamera", "caméra"})
_MOVES = {words: move for move, said in SAID.items() for words in said}
_NEARBY = {**{words: move for move, said in NEAR.items() for words in said}, **_MOVES}
_AMOUNT = re.compile(r"(.*\S) (\d{1,9}(?:\.\d{1,30})?(?:e-\d{1,3})?)")  # as `export` writes it: pan left 4
_LONGEST = 200  # characters: what is longer is a story, and no move


@lru_cache(maxsize=4096)  # as lengths, moves are said over and over
def camera(cell: str, card: ModelCard) -> Reading:
    """The move that a cell says, as a manifest writes it: a film word, `{move, amount}`, or the API's own object."""
    text = " ".join(cell.split())
    if text.startswith("{"):
        return _own(cell, card)
    found = _AMOUNT.fullmatch(text) if len(text) <= _LONGEST else None
    words = re.sub(r"[\W_]+", " ", (found[1] if found else text[:_LONGEST]).casefold()).split()
    plain = [word for word in words if word not in _FILLER]
    bare = " ".join(word for word in plain if word not in _PACE)
    certain = _move(" ".join(words), card) or _move(" ".join(plain), card)
    move = certain or _move(bare, card)
    if move is None or len(text) > _LONGEST:
        return Reading(doubt="no one film word says just that", suggestion=_nearest(bare, card))
    if found:
        amount = float(found[2])
        if amount > card.camera.maximum:
            return Reading(doubt=f"amounts go from 0 to {card.camera.maximum:g}", suggestion=move)
        return Reading(value={"move": move, "amount": int(amount) if amount.is_integer() else amount})
    if certain is None and card.camera.words[move].axis is not None:
        return Reading(doubt=f"how far is that? amounts go from 0 to {card.camera.maximum:g}", suggestion=move)
    return Reading(value=move, said="" if "_".join(words) == move else text)


def _move(plain: str, card: ModelCard) -> str | None:
    """The film word of the card for these words."""
    word = plain.replace(" ", "_")
    move = word if word in card.camera.words else _MOVES.get(plain)
    return move if move in card.camera.words else None


def written(move: Camera, card: ModelCard) -> str:
    """A camera as a cell: film words where they say all of it (`pan left 4`), else the API's own object as JSON."""
    reading = camera(move.words, card)
    if not reading.doubt and resolve(reading.value, card) == move:
        return move.words
    return json.dumps(move.control, ensure_ascii=False)


def _own(text: str, card: ModelCard) -> Reading:
    """The API's own object."""
    doubt = Reading(doubt="that is no camera object of the API")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return doubt
    if not isinstance(value, dict) or not {"type"} <= value.keys() <= {"type", "config"} or not isinstance(value["type"], str):
        return doubt
    config = value.get("config", {})
    axes, most = card.camera.axes, card.camera.maximum
    if not isinstance(config, dict) or not all(axis in axes and type(amount) in (int, float) and abs(amount) <= most
                                               for axis, amount in config.items()):
        return doubt
    return Reading(value=value)


def _nearest(plain: str, card: ModelCard) -> str | None:
    """The move that is named in a longer text, where it is the only one."""
    found = {words: move for words, move in _NEARBY.items() if f" {words} " in f" {plain} "}
    longest = max(found, key=len, default="")
    rest = f" {plain} ".replace(f" {longest} ", " ", 1).split()
    move = found.get(longest)
    if len(set(found.values())) != 1 or _STEMS.intersection(rest) or move not in card.camera.words:
        return None
    return move
