"""The persons of a storyboard picture: who is in it, how large, and in which coat.

Laws: nobody stands in a picture whose prompt names no person or says that there is none; a coat has the colour that the prompt
names for it, and none otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from manifest_runner.simulator.board import Board, Color, Point, mix

COATS: dict[str, Color] = {
    "red": (190, 44, 48), "yellow": (214, 160, 48), "blue": (52, 100, 150), "white": (226, 214, 196), "purple": (120, 60, 104),
    "green": (56, 116, 78), "black": (40, 38, 46), "grey": (112, 116, 122), "gray": (112, 116, 122), "brown": (110, 78, 56),
    "orange": (206, 110, 46),
}

CLOTHES = (r"\w*coat|oilskins?|anorak|jacket|dress|shirt|cloak|cape|shawl|scarf|sari|suit|ulster|uniform|hood(?:ie)?|"
           r"clothes|pullover|sweater|jumper|gown|robe|kimono|overalls|parka|poncho")

NOBODY = r"(?:empty|deserted|nobody|no one)(?=[.,;:]|$| there\b)|nobody (?:is|in)|no people|nothing on|without a soul"

PERSON = (r"she|he|her|him|his|they|men|women|\w*man|\w*woman|boys?|girls?|child|children|people|crowd|person|figures?|hero\w*|"
          r"someone|somebody|friends?|mother|father|driver|traveller|traveler|face|bearers|we see \w+")

_NO_NAMES = "The|An?|In|On|At|Over|From|Wide|Aerial|Empty|Close|Extreme|Macro|Insert|Medium|Detail"

NAME = rf"(?-i:(?:(?<=[a-z,;:] )|^(?!(?:{_NO_NAMES})\b))[A-Z][a-z]{{2,}}\b)"
"""A capital within a sentence, or a prompt that begins with a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a place has room for a person: shares of the window's width to choose from, the feet, and the height."""

    across: Sequence[float] = (0.3, 0.38, 0.62, 0.7)
    foot: float
    height: float


def peopled(board: Board) -> bool:
    """Whether the prompt has a person to be seen. A point of view is somebody's who is not; unless it finds somebody."""
    if board.says(NOBODY):
        return False
    if board.says(r"POV|point of view"):
        return board.says(r"\w*man|\w*woman|child|figure|crowd|people")
    return board.says(PERSON) or board.says(NAME)


def coat(board: Board, usual: Color) -> Color:
    """The colour of the clothes that the prompt names; `usual` where it names none."""
    found = re.search(rf"\b({'|'.join(COATS)})(?: \w+)?(?: \w+)? (?:{CLOTHES})\b", board.prompt, re.IGNORECASE)
    return COATS[found[1].lower()] if found else usual


def stand(board: Board, spot: Spot, size: str) -> None:
    """The shot's people at their place: `size` is wide, medium, or anything else for a whole figure."""
    foot, height, x = spot.foot, spot.height, board.rng.choice(spot.across)
    if size == "medium" and len(spot.across) == 1:
        x = board.rng.choice((0.3, 0.38, 0.62, 0.7))
    if side := re.search(r"\b(left|right) (?:foreground|of frame)|frame (left|right)\b", board.prompt, re.IGNORECASE):
        x = 0.26 if "left" in side[0].lower() else 0.74
    if size == "wide" or board.says("POV"):
        foot, height = foot - 0.06, height * 0.55
    elif size == "medium":
        foot, height = 1.36 + 0.1 * board.rng.random(), 1.16
    dark = mix(board.light.near, board.light.far, 0.16)
    worn = mix(coat(board, dark), board.light.near, 0.35 if board.light.stars else 0.12)
    if board.says("OTS|over-the-shoulder"):
        near, x = (0.16, 0.62) if x < 0.5 else (0.84, 0.38)
        figure(board, x * board.aspect, 1.1, 0.86, dark)
        figure(board, near * board.aspect, 2.0, 1.95, worn, ground=False)
        return
    figure(board, x * board.aspect, foot, height, worn)
    if board.says(r"two-?shot|two \w*men|two \w*women|couple|both of them|bearers"):
        figure(board, x * board.aspect + (0.5 if x < 0.5 else -0.5) * height, foot - 0.01, height * 0.96, dark)


def figure(board: Board, x: float, foot: float, height: float, worn: Color, *, ground: bool = True) -> None:
    """A person in a coat, seen from behind, lit on one side."""
    color = board.light.near

    def at(dx: float, dy: float) -> Point:
        return x + dx * height, foot - dy * height

    if ground:
        board.poly([at(-0.34, -0.005), at(0.02, 0.012), at(0.62, -0.015), at(0.02, -0.03)], mix(color, (0, 0, 0), 0.5))
    for side in (-1, 1):
        board.poly([at(side * 0.015, 0.34), at(side * 0.10, 0.34), at(side * 0.085, 0), at(side * 0.03, 0)], color)
    shape = [at(-0.085, 0.83), at(0.085, 0.83), at(0.135, 0.74), at(0.165, 0.42), at(0.17, 0.27), at(-0.17, 0.27),
             at(-0.165, 0.42), at(-0.135, 0.74)]
    board.poly(shape, worn)
    board.poly([at(0.0, 0.83), *shape[1:5], at(0.02, 0.27), at(0.05, 0.55)], mix(worn, color, 0.45))
    lit = mix(worn, board.light.glow, 0.22)
    board.poly([at(-0.135, 0.74), at(-0.112, 0.74), at(-0.145, 0.40), at(-0.172, 0.42)], lit)
    head_x, head_y = at(0.0, 0.915)
    board.disc(head_x, head_y, 0.066 * height, color)
    board.poly([at(-0.04, 0.88), at(0.04, 0.88), at(0.06, 0.82), at(-0.06, 0.82)], color)
    headwear(board, head_x, head_y, 0.066 * height, color, 0)


def headwear(board: Board, x: float, y: float, head: float, color: Color, facing: int) -> None:
    """The cap or hat that the prompt speaks of first, on a head of radius `head`; the peak points to where one looks."""
    found = re.search(r"\b(?:(cap|helmet|beret)|(hats?(?! gone)))\b", board.prompt, re.IGNORECASE)
    if found is None:
        return
    if found[1]:
        board.dome(x, y - 0.3 * head, 1.08 * head, 0.86 * head, color)
        board.limb([(x - 1.0 * head, y - 0.28 * head), (x + 1.0 * head, y - 0.28 * head)], 0.16 * head, color)
        board.limb([(x, y - 0.28 * head), (x + 1.5 * head * facing, y - 0.24 * head)], 0.14 * head, color)
    else:
        board.dome(x, y - 0.3 * head, 0.95 * head, 1.2 * head, color)
        board.oval(x, y - 0.34 * head, 1.75 * head, 0.15 * head, color)


def bust(board: Board, size: str) -> None:
    """Head and shoulders: large in a close shot, less so in a medium close one."""
    light, head = board.light, 0.235 if size == "close" else 0.17
    x, y = board.rng.choice((0.34, 0.42, 0.58, 0.66)) * board.aspect, 0.4 if size == "close" else 0.34
    away = board.says(r"from behind|back to us|walks? away|no face")
    facing = 0 if away else -1 if board.says("left") or x > board.aspect / 2 else 1
    skin, hair = mix(light.near, mix(light.low, light.far, 0.5), 0.5), mix(light.near, light.far, 0.06)
    worn = mix(coat(board, mix(light.near, light.far, 0.2)), light.near, 0.3 if light.stars else 0.14)

    def at(dx: float, dy: float) -> Point:
        return x + dx * head, y + dy * head

    shoulders = [at(-0.5, 1.0), at(-0.9, 1.38), at(-2.0, 1.75), at(-2.5, 2.5), at(-2.75, 8), at(2.75, 8), at(2.5, 2.5),
                 at(2.0, 1.75), at(0.9, 1.38), at(0.5, 1.0)]
    rim, edge = mix(light.glow, light.low, 0.3), 0.05 * head * (facing or 1)
    for color, shift in ((rim, edge), (worn, 0.0)):
        board.poly([(px + shift, py - abs(shift) * 0.5) for px, py in shoulders], color)
    board.poly([at(-0.5, 1.0), at(0.1, 1.3), at(-0.4, 8), *shoulders[4:0:-1]], mix(worn, light.near, 0.35))
    board.oval(x + edge, y, 0.8 * head, 1.02 * head, rim)
    board.poly([at(-0.42, 0.5), at(0.42, 0.5), at(0.6, 1.5), at(-0.6, 1.5)], mix(skin, light.near, 0.5))
    board.oval(x, y, 0.8 * head, 1.02 * head, hair)
    if facing:
        board.oval(x + 0.16 * head * facing, y + 0.14 * head, 0.62 * head, 0.84 * head, skin)
        shadow = ((-0.5, -0.5), (0.05, -0.6), (0.2, 0.1), (0.0, 0.95), (-0.4, 0.75))
        board.poly([at(dx * facing, dy) for dx, dy in shadow], mix(skin, light.near, 0.42))
        board.dome(x, y - 0.28 * head, 0.84 * head, 0.78 * head, hair)
        for side in (-0.12, 0.42):
            board.limb([at(side * facing - 0.13, 0.0), at(side * facing + 0.13, 0.0)], 0.055 * head, hair)
        if board.says("beard"):
            chin = ((-0.42, 0.5), (0.7, 0.5), (0.5, 0.95), (0.1, 1.2), (-0.4, 0.85))
            board.poly([at(dx * facing, dy) for dx, dy in chin], hair)
    headwear(board, x, y - 0.12 * head, 0.84 * head, mix(hair, light.far, 0.1), facing)


def eyes(board: Board) -> None:
    """A face that fills the frame."""
    light, x, y = board.light, board.rng.uniform(0.44, 0.56) * board.aspect, board.rng.uniform(0.44, 0.52)
    skin, dark = mix(light.near, mix(light.low, light.far, 0.35), 0.55), mix(light.near, light.far, 0.06)
    look = -0.03 if board.says("left") else 0.03 if board.says("right") else 0.0
    board.oval(x, y + 0.1, 0.72, 0.98, dark)
    board.oval(x, y + 0.14, 0.66, 0.96, skin)
    side = board.rng.choice((-1, 1))
    board.poly([(x + 0.02 * side, y - 0.6), (x + 0.09 * side, y + 0.24), (x + 0.02 * side, y + 0.34), (x + 0.06 * side, 2),
                (x + 0.66 * side, 2), (x + 0.72 * side, y), (x + 0.5 * side, y - 0.7)], mix(skin, light.near, 0.42))
    for centre in (x - 0.27, x + 0.27):
        lid = [(centre - 0.15, y + 0.01), (centre - 0.05, y - 0.055), (centre + 0.06, y - 0.055), (centre + 0.15, y + 0.005),
               (centre + 0.05, y + 0.045), (centre - 0.06, y + 0.048)]
        board.poly(lid, mix(light.low, skin, 0.25))
        board.oval(centre + look, y - 0.005, 0.046, 0.05, dark)
        board.disc(centre + look - 0.014, y - 0.022, 0.011, light.glow)
        board.limb(lid[:4], 0.016, dark)
        board.limb([(centre - 0.16, y - 0.12), (centre, y - 0.165), (centre + 0.16, y - 0.125)], 0.034, dark)
    if re.search(r"\b(?:cap|hat(?! gone))", board.prompt, re.IGNORECASE):
        board.poly([(x - 0.95, -1), (x + 0.95, -1), (x + 0.86, y - 0.22), (x, y - 0.27), (x - 0.86, y - 0.22)], dark)
    else:
        board.poly([(x - 0.8, -1), (x + 0.8, -1), (x + 0.74, y - 0.06), (x + 0.56, y - 0.34), (x - 0.1, y - 0.42),
                    (x - 0.6, y - 0.3), (x - 0.75, y)], dark)
