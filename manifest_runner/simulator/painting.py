"""Storyboard pictures for shots that bring none: a place, a light and a figure, chosen by the seed and the words of the prompt.

Laws: the same seed and prompt give the same picture; another seed gives clearly another one.
"""

from __future__ import annotations

import re
from random import Random

from manifest_runner.errors import MissingExtra
from manifest_runner.simulator.board import Board, Light, shade
from manifest_runner.simulator.places import PLACES

try:
    from PIL import Image
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

LIGHTS = {
    "dusk": Light((44, 38, 84), (240, 138, 92), (255, 214, 150), (150, 92, 112), (28, 22, 44)),
    "dawn": Light((92, 132, 176), (250, 206, 176), (255, 240, 214), (150, 152, 176), (44, 52, 72)),
    "day": Light((64, 132, 190), (214, 228, 224), (255, 250, 226), (142, 172, 172), (36, 58, 58)),
    "night": Light((10, 16, 38), (44, 68, 104), (226, 232, 244), (40, 60, 90), (8, 11, 22), stars=True),
    "storm": Light((52, 62, 76), (152, 162, 166), (208, 214, 212), (104, 116, 122), (24, 30, 36)),
    "amber": Light((120, 74, 50), (246, 198, 122), (255, 240, 190), (190, 130, 86), (52, 28, 24)),
    "green": Light((34, 72, 72), (190, 206, 160), (246, 244, 206), (98, 134, 112), (16, 34, 32)),
}

_LIGHT_WORDS = {
    "night": r"night|moon|midnight|neon|stars?", "storm": r"rain\w*|storm\w*|fog\w*|mist\w*|monsoon|grey|gray|overcast|snow\w*",
    "dusk": r"dusk|sunset|evening|sodium|twilight", "dawn": r"dawn|sunrise|morning", "day": r"noon|day|daylight|sunny",
    "amber": r"desert|dust\w*|golden|autumn|summer|heat", "green": r"jungle|spring|garden",
}

_PLACE_WORDS = {
    "bridge": r"bridges?|viaduct",
    "interior": r"interior|room|kitchen|corridor|office|hall|inside|table|shop|bed|cafe|studio|station|door\w*",
    "city": r"city|street\w*|tram|roofs?|rooftops?|skyline|alley|neon|market|traffic|town|taxi|bus",
    "sea": r"sea|ocean|boats?|harbou?r|beach|river|lake|waves?|ferry|ship|water|dock|pier",
    "forest": r"forest|woods?|trees?|jungle|garden|park|pines?",
    "hills": r"hills?|mountains?|valley|fields?|desert|road|snow\w*|village|plain",
}


def paint(window: tuple[int, int], margin: tuple[int, int], *, seed: str, prompt: str) -> Image.Image:
    """An RGB picture of `window` pixels plus `margin` on each side (x, y)."""
    # Not for secrets: a stream of numbers that is the same on every machine.
    rng = Random(seed)  # noqa: S311
    light = LIGHTS[_pick(_LIGHT_WORDS, prompt, rng)]
    place = _pick(_PLACE_WORDS, prompt, rng)
    board = Board(window, margin, _jittered(light, rng), rng, prompt)
    PLACES[place](board)
    if board.says(r"rain|rainy|raining|monsoon|storm\w*") and place != "interior":
        board.rain()
    return board.finished()


def _pick(words: dict[str, str], prompt: str, rng: Random) -> str:
    """The entry whose words come first in the prompt; any entry where none does."""
    chance = rng.choice(list(words))
    found = [(hit.start(), name) for name, pattern in words.items()
             if (hit := re.search(rf"\b(?:{pattern})\b", prompt, re.IGNORECASE))]
    return min(found)[1] if found else chance


def _jittered(light: Light, rng: Random) -> Light:
    shift = [rng.uniform(-14, 14) for _ in range(3)]
    top, low, glow, far, near = (shade(color, shift) for color in (light.top, light.low, light.glow, light.far, light.near))
    return Light(top, low, glow, far, near, stars=light.stars)
