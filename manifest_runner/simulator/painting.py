"""Storyboard pictures for shots that bring none: a place, a light and a figure, chosen by the seed and the words of the prompt.

Laws: the same seed and prompt give the same picture; another seed gives clearly another one. The picture goes on beyond the
window by the margins asked for, so that a camera can move; what lies inside the window does not depend on them.
Positions are in units of the window's height, from its upper left corner.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from manifest_runner.errors import MissingExtra

try:
    from PIL import Image, ImageChops, ImageDraw, ImageFilter
except ImportError as missing:
    raise MissingExtra("video", "drawing an animatic") from missing

Color: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

FINE = 2
"""The board is drawn so many times larger and then reduced, which smooths the edges."""


@dataclass(frozen=True, slots=True)
class Light:
    """The colours of an hour: sky from top to horizon, the lamp or sun, the farthest and the nearest ground."""

    top: Color
    low: Color
    glow: Color
    far: Color
    near: Color
    stars: bool = False


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

COATS = {"red": (190, 44, 48), "yellow": (214, 160, 48), "blue": (52, 100, 150), "white": (226, 214, 196), "purple": (120, 60, 104),
         "green": (56, 116, 78), "black": (40, 38, 46)}

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
    _PLACES[place](board)
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
    moved = [_shade(color, shift) for color in (light.top, light.low, light.glow, light.far, light.near)]
    return Light(*moved, stars=light.stars)


def _shade(color: Color, by: Sequence[float]) -> Color:
    r, g, b = (max(0, min(255, round(value + add))) for value, add in zip(color, by, strict=True))
    return r, g, b


def mix(one: Color, two: Color, share: float) -> Color:
    """From `one` (share 0) to `two` (share 1)."""
    r, g, b = (round(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return r, g, b


class Board:
    """A sheet to draw on, in units of the window's height; knows its light and its dice."""

    def __init__(self, window: tuple[int, int], margin: tuple[int, int], light: Light, rng: Random, prompt: str) -> None:
        self.light, self.rng, self.prompt = light, rng, prompt
        self.unit = window[1] * FINE
        self.aspect = window[0] / window[1]
        self.left, self.right = -margin[0] / window[1], self.aspect + margin[0] / window[1]
        self.top, self.bottom = -margin[1] / window[1], 1 + margin[1] / window[1]
        self._final = (window[0] + 2 * margin[0], window[1] + 2 * margin[1])
        self.image = Image.new("RGB", (self._final[0] * FINE, self._final[1] * FINE), light.top)
        self.draw = ImageDraw.Draw(self.image)

    def px(self, x: float, y: float) -> Point:
        return (x - self.left) * self.unit, (y - self.top) * self.unit

    def poly(self, points: Sequence[Point], color: Color) -> None:
        self.draw.polygon([self.px(*point) for point in points], fill=color)

    def box(self, x: float, y: float, right: float, bottom: float, color: Color) -> None:
        if right > x and bottom > y:  # nothing to draw where the sheet ends before the thing begins
            self.draw.rectangle((self.px(x, y), self.px(right, bottom)), fill=color)

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        self.draw.ellipse((self.px(x - radius, y - radius), self.px(x + radius, y + radius)), fill=color)

    def line(self, start: Point, end: Point, width: float, color: Color) -> None:
        self.draw.line((self.px(*start), self.px(*end)), fill=color, width=max(1, round(width * self.unit)))

    def gradient(self, top: float, bottom: float, upper: Color, lower: Color) -> None:
        """Fill the full width between two heights; below that the lower colour goes on to the edge of the sheet."""
        ramp = Image.linear_gradient("L")
        span = max(1, round((bottom - top) * self.unit))
        ramp = ramp.resize((1, span), Image.Resampling.BILINEAR).resize((self.image.width, span))
        strip = Image.composite(Image.new("RGB", ramp.size, lower), Image.new("RGB", ramp.size, upper), ramp)
        self.box(self.left, bottom, self.right, self.bottom, lower)
        self.image.paste(strip, (0, round((top - self.top) * self.unit)))

    def glow(self, x: float, y: float, radius: float, color: Color, strength: float) -> None:
        """Light that fades out around a point."""
        size = max(2, round(2 * radius * self.unit))
        # Light fades with the square: the ramp multiplied by itself.
        ramp = ImageChops.invert(Image.radial_gradient("L")).point([max(0, value - 75) * 255 // 180 for value in range(256)])
        mask = ImageChops.multiply(ramp, ramp).point([round(value * strength) for value in range(256)])
        left, top = self.px(x - radius, y - radius)
        self.image.paste(Image.new("RGB", (size, size), color), (round(left), round(top)), mask.resize((size, size)))

    def dice(self, *key: object) -> Random:
        """Dice of their own for one thing at one place, so that margins do not change what lies in the window."""
        return Random(f"{self.salt}/{key}")  # noqa: S311

    @property
    def salt(self) -> str:
        return f"{self.light}"

    def finished(self) -> Image.Image:
        return self.image.reduce(FINE).filter(ImageFilter.GaussianBlur(0.4))

    def sky(self, horizon: float) -> None:
        light = self.light
        self.gradient(0, horizon, light.top, light.low)
        if light.stars:
            for index in range(int(240 * (self.right - self.left))):
                star = self.dice("star", index)
                self.disc(star.uniform(-1.6, self.aspect + 1.6), star.uniform(-0.6, horizon - 0.08), star.uniform(0.0008, 0.0024),
                          mix(light.top, light.glow, star.uniform(0.3, 0.9)))
        x, y = self.rng.choice((0.22, 0.36, 0.66, 0.8)) * self.aspect, self.rng.uniform(0.16, horizon - 0.14)
        self.glow(x, y, 0.75, light.glow, 0.55)
        self.disc(x, y, self.rng.uniform(0.04, 0.085), light.glow)
        self.clouds(horizon)

    def clouds(self, horizon: float) -> None:
        """Long flat strokes, as a brush leaves them."""
        for index in range(-14, 26):
            dice = self.dice("cloud", index)
            x, y, length = index * 0.16 + dice.uniform(0, 0.2), dice.uniform(-0.35, horizon - 0.06), dice.uniform(0.12, 0.42)
            tone = mix(self.light.low, self.light.glow, 0.35) if dice.random() < 0.6 else mix(self.light.top, self.light.far, 0.4)
            depth = max(0.0, min(1.0, y / horizon))
            color = mix(mix(self.light.top, self.light.low, depth), tone, 0.38)
            thick = dice.uniform(0.004, 0.013)
            self.poly([(x, y), (x + length * 0.3, y - thick), (x + length, y), (x + length * 0.55, y + thick * 0.8)], color)

    def ridge(self, base: float, height: float, rough: float, color: Color) -> Callable[[float], float]:
        """One layer of ground whose edge is a sum of waves; returns the height of that edge at x."""
        waves = [(self.rng.uniform(0.7, 1.3) * rough * 2 ** k, self.rng.uniform(0, 7), height / 1.9 ** k) for k in range(4)]

        def edge(x: float) -> float:
            return base - sum(size * (0.5 + 0.5 * math.sin(speed * x + phase)) for speed, phase, size in waves) / 1.6

        steps = int((self.right - self.left) * 60) + 2
        line = [(x, edge(x)) for x in (self.left + (self.right - self.left) * k / (steps - 1) for k in range(steps))]
        self.poly([*line, (self.right, self.bottom), (self.left, self.bottom)], color)
        return edge

    def strokes(self, top: float, color: Color, amount: float) -> None:
        """Marks on the ground, larger towards the viewer: what the eye follows when the camera moves."""
        for index in range(int(-150 * amount), int(330 * amount)):
            dice = self.dice("stroke", index)
            near = dice.random() ** 1.4
            y = top + near * (1.25 - top)
            x, length = index / (90 * amount) + dice.uniform(-0.1, 0.1), 0.02 + 0.13 * near
            self.line((x, y), (x + length, y + dice.uniform(-0.004, 0.004)), 0.0015 + 0.004 * near, color)

    def figure(self, x: float, foot: float, height: float, color: Color, accent: Color) -> None:
        """A person in a coat, seen from behind, lit on one side."""
        def at(dx: float, dy: float) -> Point:
            return x + dx * height, foot - dy * height

        self.poly([at(-0.34, -0.005), at(0.02, 0.012), at(0.62, -0.015), at(0.02, -0.03)], mix(color, (0, 0, 0), 0.5))
        for side in (-1, 1):
            self.poly([at(side * 0.015, 0.34), at(side * 0.10, 0.34), at(side * 0.085, 0), at(side * 0.03, 0)], color)
        coat = [at(-0.085, 0.83), at(0.085, 0.83), at(0.135, 0.74), at(0.165, 0.42), at(0.17, 0.27), at(-0.17, 0.27), at(-0.165, 0.42),
                at(-0.135, 0.74)]
        self.poly(coat, accent)
        self.poly([at(0.0, 0.83), *coat[1:5], at(0.02, 0.27), at(0.05, 0.55)], mix(accent, color, 0.45))
        self.poly([at(-0.135, 0.74), at(-0.10, 0.74), at(-0.13, 0.40), at(-0.18, 0.42)], mix(accent, color, 0.25))
        head_x, head_y = at(0.0, 0.915)
        self.disc(head_x, head_y, 0.072 * height, color)
        self.poly([at(-0.05, 0.88), at(0.05, 0.88), at(0.07, 0.81), at(-0.07, 0.81)], color)

    def someone(self, foot: float, height: float, places: Sequence[float] = (0.3, 0.38, 0.62, 0.7)) -> None:
        """The shot's person, unless the prompt says that there is none: near in a close shot, far in a wide one.
        `places` are shares of the window's width to choose from."""
        accent, x = self.rng.choice(list(COATS.values())), self.rng.choice(places) * self.aspect
        if self.says(r"empty(?=[.,;:]|$)|nobody|no one|deserted"):
            return
        worn = [color for name, color in COATS.items() if self.says(name)]
        accent = worn[0] if worn else accent
        if self.says("close|close-?up|portrait|face"):
            foot, height = 1.95 + 0.3 * height, 1.9
        elif self.says("wide|establishing|aerial|far"):
            foot, height = foot - 0.06, height * 0.5
        shade = 0.35 if self.light.stars else 0.12
        self.figure(x, foot, height, self.light.near, mix(accent, self.light.near, shade))

    def says(self, words: str) -> bool:
        return re.search(rf"\b(?:{words})(?!\w)", self.prompt.strip(), re.IGNORECASE) is not None

    def rain(self) -> None:
        color = mix(self.light.low, (255, 255, 255), 0.35)
        veil = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(veil)
        for index in range(int(260 * (self.aspect + 1.6))):
            dice = self.dice("rain", index)
            x, y, length = dice.uniform(-0.8, self.aspect + 0.8), dice.uniform(-0.4, 1.4), dice.uniform(0.04, 0.10)
            pen.line((self.px(x, y), self.px(x - length * 0.22, y + length)), fill=dice.randint(40, 100), width=FINE)
        self.image.paste(Image.new("RGB", self.image.size, color), (0, 0), veil)


def _hills(board: Board) -> None:
    light, horizon = board.light, board.rng.uniform(0.5, 0.66)
    board.sky(horizon)
    layers = 4
    for layer in range(layers):
        depth = layer / (layers - 1)
        color = mix(light.far, light.near, depth * 0.85)
        rough, height = board.rng.uniform(2.2, 4.5) * (1.4 - 0.6 * depth), 0.26 * (1 - 0.62 * depth)
        board.ridge(horizon + 0.02 + 0.26 * depth, height, rough, color)
    board.strokes(horizon + 0.32, mix(light.near, light.far, 0.32), 1.0)
    board.someone(board.rng.uniform(0.94, 0.98), board.rng.uniform(0.3, 0.46))


def _forest(board: Board) -> None:
    light, horizon = board.light, board.rng.uniform(0.56, 0.68)
    board.sky(horizon)
    for layer, (size, step) in enumerate(((0.3, 0.05), (0.46, 0.1), (0.72, 0.23))):
        color = mix(light.far, light.near, 0.15 + 0.36 * layer)
        edge = board.ridge(horizon + 0.06 + 0.1 * layer, 0.06, 3.0, color)
        for index in range(int(board.left / step) - 2, int(board.right / step) + 2):
            dice = board.dice("tree", layer, index)
            x, tall = (index + dice.uniform(0.1, 0.9)) * step, size * dice.uniform(0.55, 1.0)
            foot = edge(x) + 0.03
            wide = tall * dice.uniform(0.12, 0.17)
            for tier in range(4):
                low, high = foot - tall * (0.12 + 0.2 * tier), foot - tall * min(1.0, 0.48 + 0.2 * tier)
                reach = wide * (1 - 0.22 * tier)
                board.poly([(x - reach, low), (x + reach, low), (x, high)], color)
            board.box(x - wide * 0.1, foot - tall * 0.15, x + wide * 0.1, foot, color)
    board.strokes(horizon + 0.27, mix(light.near, light.far, 0.3), 1.0)
    board.someone(board.rng.uniform(0.93, 0.98), board.rng.uniform(0.3, 0.42))


def _city(board: Board) -> None:
    light, horizon = board.light, board.rng.uniform(0.66, 0.74)
    board.sky(horizon)
    lamp = (255, 206, 128)
    for layer, (tall, step) in enumerate(((0.34, 0.09), (0.46, 0.15), (0.6, 0.26))):
        color = mix(light.far, light.near, 0.1 + 0.36 * layer)
        for index in range(int(board.left / step) - 2, int(board.right / step) + 2):
            dice = board.dice("house", layer, index)
            if layer == 2 and dice.random() < 0.42:
                continue
            x, wide = index * step, step * dice.uniform(0.72, 1.05)
            roof = horizon + 0.03 * layer - tall * dice.uniform(0.3, 1.0)
            board.box(x, roof, x + wide, board.bottom, color)
            if dice.random() < 0.4:
                board.box(x + wide * 0.4, roof - 0.05 * (layer + 1), x + wide * 0.43, roof, color)
            _windows(board, dice, (x, roof, wide), 0.012 + 0.008 * layer, mix(color, lamp, 0.25 + 0.25 * layer), horizon)
    board.gradient(horizon + 0.06, 1.0, mix(light.near, light.low, 0.3), light.near)
    board.strokes(horizon + 0.08, mix(light.near, light.low, 0.36), 0.8)
    for side in (0.14, 0.86):
        _street_lamp(board, side * board.aspect, lamp)
    board.someone(board.rng.uniform(0.93, 0.98), board.rng.uniform(0.32, 0.46))


def _windows(board: Board, dice: Random, house: tuple[float, float, float], size: float, color: Color, floor: float) -> None:
    x, roof, wide = house
    columns, rows = int(wide / (size * 2)), int((floor - roof) / (size * 2.4))
    for row in range(rows):
        for column in range(columns):
            if dice.random() < 0.42:
                left, top = x + size * 0.6 + column * size * 2, roof + size + row * size * 2.4
                board.box(left, top, left + size, top + size * 1.3, color)


def _street_lamp(board: Board, x: float, lamp: Color) -> None:
    board.box(x - 0.006, 0.36, x + 0.006, 0.86, board.light.near)
    board.box(x - 0.006, 0.36, x + 0.06, 0.372, board.light.near)
    board.glow(x + 0.06, 0.385, 0.22, lamp, 0.7)
    board.disc(x + 0.06, 0.385, 0.014, mix(lamp, (255, 255, 255), 0.6))


def _sea(board: Board) -> None:
    light, horizon = board.light, board.rng.uniform(0.48, 0.6)
    board.sky(horizon)
    board.ridge(horizon + 0.01, 0.10, 2.4, mix(light.far, light.low, 0.25))
    board.gradient(horizon, 1.0, mix(light.low, light.far, 0.55), mix(light.near, light.far, 0.22))
    board.strokes(horizon + 0.02, mix(light.low, light.far, 0.25), 1.5)
    side, size = board.rng.choice((0.26, 0.34, 0.68)), board.rng.uniform(0.2, 0.3)
    x = side * board.aspect
    y = horizon + 0.16
    board.poly([(x - size, y - 0.02), (x + size, y - 0.05), (x + size * 0.72, y + 0.07), (x - size * 0.7, y + 0.07)], light.near)
    board.box(x - 0.004, y - size * 1.25, x + 0.004, y, light.near)
    board.poly([(x + 0.012, y - size * 1.2), (x + 0.012, y - 0.06), (x + size * 0.8, y - 0.08)], mix(light.glow, light.far, 0.25))
    board.poly([(x - 0.012, y - size * 1.05), (x - 0.012, y - 0.06), (x - size * 0.6, y - 0.06)], mix(light.glow, light.far, 0.5))
    board.poly([(board.left, 0.93), (board.right, 0.88), (board.right, board.bottom), (board.left, board.bottom)], light.near)
    board.someone(0.96, board.rng.uniform(0.34, 0.44), (0.7, 0.78) if side < 0.5 else (0.2, 0.3))


def _bridge(board: Board) -> None:
    light, horizon, middle = board.light, board.rng.uniform(0.56, 0.62), board.rng.choice((0.42, 0.5, 0.58)) * board.aspect
    board.sky(horizon)
    board.ridge(horizon + 0.01, 0.12, 2.4, mix(light.far, light.low, 0.2))
    board.gradient(horizon, 1.0, mix(light.low, light.far, 0.55), mix(light.near, light.far, 0.22))
    board.strokes(horizon + 0.02, mix(light.low, light.far, 0.3), 1.2)
    deck, steel = mix(light.near, light.far, 0.22), light.near
    board.poly([(middle - 0.02, horizon), (middle + 0.02, horizon), (middle + 1.5, 1.6), (middle - 1.5, 1.6)], deck)
    for step in range(1, 26):
        near = (step / 20) ** 2.2
        y, reach = horizon + near, 0.02 + 1.42 * near
        board.line((middle - reach, y), (middle + reach, y), 0.001 + 0.004 * near, mix(deck, light.low, 0.16))
        for side in (-1, 1):
            board.line((middle + side * reach, y), (middle + side * reach, y - 0.02 - 0.3 * near), 0.001 + 0.008 * near, steel)
    for depth in (0.06, 0.26):
        _pylon(board, middle, horizon, depth, mix(steel, light.far, 0.3 - depth))
    for side in (-1, 1):
        board.line((middle + side * 0.02, horizon - 0.02), (middle + side * 1.5, 1.22), 0.006, steel)
    board.someone(board.rng.uniform(0.94, 0.98), board.rng.uniform(0.32, 0.44), (middle / board.aspect,))


def _pylon(board: Board, middle: float, horizon: float, depth: float, color: Color) -> None:
    """A gate over the deck with the cables that hang from it."""
    reach, foot, top, leg = 0.02 + 1.42 * depth, horizon + depth, horizon - 0.1 - 1.7 * depth, 0.008 + 0.1 * depth
    for side in (-1, 1):
        x = middle + side * reach
        for share in range(1, 7):
            board.line((x, top + 0.01), (middle + side * (reach + share * depth * 0.62), foot + share * depth * 0.45), 0.002, color)
        board.box(x - leg, top, x + leg, foot, color)
    for y in (top + 0.2 * (foot - top), top + 0.03):
        board.box(middle - reach, y, middle + reach, y + leg * 1.4, color)


def _interior(board: Board) -> None:
    light, floor = board.light, board.rng.uniform(0.7, 0.78)
    wall, lamp = mix(light.far, light.near, 0.45), (255, 206, 128)
    board.box(board.left, board.top, board.right, 0, mix(wall, light.near, 0.4))
    board.gradient(0, floor, mix(wall, light.near, 0.4), wall)
    for index in range(int(board.left / 0.2) - 1, int(board.right / 0.2) + 2):
        board.box(index * 0.2, board.top, index * 0.2 + 0.004, floor, mix(wall, light.near, 0.3))
    board.gradient(floor, 1.1, mix(light.near, light.far, 0.4), light.near)
    board.box(board.left, floor - 0.035, board.right, floor, mix(light.near, light.far, 0.2))
    centre = board.aspect / 2
    for index in range(-30, 31):
        board.line((centre + index * 0.13, floor), (centre + index * 0.42, floor + 0.65), 0.003, mix(light.near, light.far, 0.18))
    _window(board, board.rng.choice((0.12, 0.58)) * board.aspect, 0.14)
    x = board.rng.choice((0.3, 0.5)) * board.aspect
    board.box(x - 0.003, board.top, x + 0.003, 0.2, light.near)
    board.glow(x, 0.27, 0.6, lamp, 0.6)
    board.poly([(x - 0.03, 0.2), (x + 0.03, 0.2), (x + 0.09, 0.26), (x - 0.09, 0.26)], mix(light.near, lamp, 0.2))
    table = board.rng.choice((0.2, 0.72)) * board.aspect
    board.box(table - 0.28, floor + 0.02, table + 0.28, floor + 0.05, light.near)
    for leg in (-0.24, 0.22):
        board.box(table + leg, floor + 0.05, table + leg + 0.02, floor + 0.24, light.near)
    board.someone(0.97, board.rng.uniform(0.52, 0.64))


def _window(board: Board, x: float, y: float) -> None:
    """A window with the hour outside."""
    light, wide, tall = board.light, 0.46, 0.36
    board.box(x - 0.02, y - 0.02, x + wide + 0.02, y + tall + 0.02, light.near)
    for row in range(24):
        board.box(x, y + tall * row / 24, x + wide, y + tall * (row + 1) / 24, mix(light.top, light.low, row / 23))
    board.disc(x + wide * 0.7, y + tall * 0.35, 0.035, light.glow)
    board.poly([(x, y + tall), (x, y + tall * 0.72), (x + wide * 0.4, y + tall * 0.62), (x + wide, y + tall * 0.8), (x + wide, y + tall)],
               light.far)
    board.box(x + wide / 2 - 0.008, y, x + wide / 2 + 0.008, y + tall, light.near)
    board.box(x, y + tall / 2 - 0.008, x + wide, y + tall / 2 + 0.008, light.near)


_PLACES: dict[str, Callable[[Board], None]] = {
    "bridge": _bridge, "interior": _interior, "city": _city, "sea": _sea, "forest": _forest, "hills": _hills,
}
