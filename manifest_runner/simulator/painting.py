"""Storyboard pictures for shots that bring none: place, light and subject, chosen by the words of the prompt, then the seed.

Laws: the same seed and prompt give the same picture; another seed gives clearly another one; the words of the look decide on
the palette, so that the shots of a scene share it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from manifest_runner.errors import MissingExtra
from manifest_runner.simulator import cast
from manifest_runner.simulator.board import Board, Color, Light, shade
from manifest_runner.simulator.details import THINGS, detail
from manifest_runner.simulator.places import PLACES

try:
    from PIL import Image
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

LIGHTS = {
    "violet": Light((34, 28, 60), (158, 104, 116), (255, 204, 146), (84, 64, 98), (20, 16, 34), disc=False),
    "dusk": Light((44, 38, 84), (240, 138, 92), (255, 214, 150), (150, 92, 112), (28, 22, 44)),
    "dawn": Light((92, 132, 176), (250, 206, 176), (255, 240, 214), (150, 152, 176), (44, 52, 72)),
    "day": Light((64, 132, 190), (214, 228, 224), (255, 250, 226), (142, 172, 172), (36, 58, 58)),
    "night": Light((10, 16, 38), (44, 68, 104), (226, 232, 244), (40, 60, 90), (8, 11, 22), stars=True),
    "storm": Light((52, 62, 76), (152, 162, 166), (208, 214, 212), (104, 116, 122), (24, 30, 36), disc=False),
    "amber": Light((120, 74, 50), (246, 198, 122), (255, 240, 190), (190, 130, 86), (52, 28, 24)),
    "green": Light((34, 72, 72), (190, 206, 160), (246, 244, 206), (98, 134, 112), (16, 34, 32)),
}

LIGHT_WORDS = {
    "violet": r"violet|sodium|purple sky", "night": r"night|moon\w*|midnight|neon|stars?",
    "dusk": r"dusk|sunset|evening|twilight|gaslight|last daylight|low sun", "dawn": r"dawn|sunrise|morning|daybreak",
    "day": r"noon|midday|day|daylight|sunny", "amber": r"desert|dust\w*|golden|autumn|summer|heat",
    "green": r"jungle|spring|garden",
    "storm": r"rain\w*|storm\w*|fog\w*|mist\w*|monsoon|grey|gray|overcast|snow\w*",
}
"""In the order of their weight: the first that the prompt has a word of."""

PLACE_WORDS = {
    "bridge": r"bridges?|viaduct|trusses|railings?",
    "interior": r"interior|room|kitchen|corridor|office|hall|table|shop|bed|cafe|studio|stove|desk|signal box|telegraph",
    "railway": (r"railway|rails?|railroad|locomotive|trains?|carriages?|tunnel|cutting|station|platform|signal-?man|"
                r"footplate|steam|danger light"),
    "street": r"streets?|trams?|tramway|alley|lane|market|traffic|town|taxi|bus|setts|pavement|neon",
    "city": r"city|roofs?|rooftops?|skyline",
    "sea": r"sea|ocean|boats?|harbou?r|beach|river|lake|waves?|ferry|ship|dock|pier",
    "forest": r"forest|woods?|trees?|jungle|garden|park|pines?",
    "hills": r"hills?|mountains?|valley|fields?|desert|road|snow\w*|village|plain",
}
"""The place whose words come first in the prompt."""

SIZE_WORDS = {
    "detail": r"insert|macro|detail shot|detail of",
    "extreme": r"ecu|xcu|bcu|extreme close-?up", "close": r"cu|close-?up|closeup|portrait|close on",
    "head": r"mcu|medium close-?up",
    "medium": r"ms|medium shot|mid shot|two-?shot|waist", "wide": r"ws|ews|ls|wide|establishing|aerial|long shot",
}
"""The size of the shot whose words come first in the prompt."""

BODY = rf"\b(?:{cast.PERSON}|eyes?|hair|lips|beard|cheeks?)\b|{cast.NAME}"
"""What tells a close shot of a person from one of a thing."""


def paint(window: tuple[int, int], margin: tuple[int, int], *, seed: str, prompt: str) -> Image.Image:
    """An RGB picture of `window` pixels plus `margin` on each side (x, y)."""
    # Not for secrets: a stream of numbers that is the same on every machine.
    rng = Random(seed)  # noqa: S311
    board = Board(window, margin, _light(prompt, rng), rng, prompt)
    place, size = _first(PLACE_WORDS, prompt) or "yard", framing(prompt)
    spot = PLACES[place](board)
    if size == "detail":
        detail(board)
        return board.finished()
    if size in ("extreme", "close", "head"):
        board.defocus()
        cast.eyes(board) if size == "extreme" else cast.bust(board, size)
    elif cast.peopled(board):
        cast.stand(board, spot, size)
    if place != "interior":
        _weather(board)
    return board.finished()


def _weather(board: Board) -> None:
    """Rain, unless it has stopped; and mist, where the prompt speaks of it."""
    if board.says(r"mist\w*|fog\w*|haze"):
        board.mist()
    dry = board.says(r"(?:rain|storm) (?:has )?(?:just )?(?:stopped|ended|over)")
    if board.says(r"rain|rainy|raining|monsoon|storm\w*") and not dry:
        board.rain()


def _first(words: dict[str, str], prompt: str) -> str | None:
    found = [(hit.start(), name) for name, pattern in words.items()
             if (hit := re.search(rf"\b(?:{pattern})\b", prompt, re.IGNORECASE))]
    return min(found, key=lambda hit: hit[0])[1] if found else None


def framing(prompt: str) -> str:
    """The shot's size, a key of `SIZE_WORDS` or `full`; a close shot of no person, or of hands, is a detail."""
    size = _first(SIZE_WORDS, prompt) or "full"
    if size not in ("extreme", "close"):
        return size
    hands = rf"^[^,:]*[,:]? ?(?:\w+ ){{0,3}}(?:{THINGS['hand']})\b"
    thing = re.search(hands, prompt, re.IGNORECASE) or not re.search(BODY, prompt, re.IGNORECASE)
    return "detail" if thing else size


def _light(prompt: str, rng: Random) -> Light:
    """The light that the words ask for, a little brighter or darker from shot to shot; any light where they ask for none."""
    chance, step = rng.choice(("dusk", "dawn", "day", "storm", "amber")), rng.uniform(-7, 7)
    named = next((name for name, words in LIGHT_WORDS.items() if re.search(rf"\b(?:{words})\b", prompt, re.IGNORECASE)), chance)
    light, mono = LIGHTS[named], re.search(r"black[- ]and[- ]white|monochrome|sepia", prompt, re.IGNORECASE) is not None

    def toned(color: Color) -> Color:
        r, g, b = color
        grey = 0.3 * r + 0.59 * g + 0.11 * b
        return shade((round(grey * 0.94), round(grey), round(grey * 1.07)) if mono else color, (step, step, step))

    return replace(light, top=toned(light.top), low=toned(light.low), glow=toned(light.glow), far=toned(light.far),
                   near=toned(light.near), lamp=toned(light.lamp))
