"""The sheet that storyboard pictures are drawn on: shapes, light, weather and ground.

Laws: positions are in units of the window's height, from its upper left corner; the sheet goes on beyond the window by its
margins, and what lies inside the window does not depend on them.
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
    lamp: Color = (255, 206, 128)
    stars: bool = False
    disc: bool = True
    """Whether the sun or moon itself is seen, or clouds hide it."""


def shade(color: Color, by: Sequence[float]) -> Color:
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
        self.salt = rng.random()
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

    def oval(self, x: float, y: float, wide: float, tall: float, color: Color) -> None:
        self.draw.ellipse((self.px(x - wide, y - tall), self.px(x + wide, y + tall)), fill=color)

    def dome(self, x: float, y: float, wide: float, tall: float, color: Color) -> None:
        """The upper half of an oval about (x, y)."""
        self.draw.chord((self.px(x - wide, y - tall), self.px(x + wide, y + tall)), 180, 360, fill=color)

    def limb(self, points: Sequence[Point], width: float, color: Color) -> None:
        """A thick line with round ends and joints."""
        self.draw.line([self.px(*point) for point in points], fill=color, width=max(1, round(width * self.unit)), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, color)

    def line(self, start: Point, end: Point, width: float, color: Color) -> None:
        self.draw.line((self.px(*start), self.px(*end)), fill=color, width=max(1, round(width * self.unit)))

    def gradient(self, top: float, bottom: float, upper: Color, lower: Color) -> None:
        """Fill the full width between two heights; below that the lower colour goes on to the edge of the sheet."""
        ramp = Image.linear_gradient("L")
        span = max(1, round((bottom - top) * self.unit))
        ramp = ramp.resize((1, span), Image.Resampling.BILINEAR)
        strip = Image.composite(Image.new("RGB", ramp.size, lower), Image.new("RGB", ramp.size, upper), ramp)
        self.box(self.left, bottom, self.right, self.bottom, lower)
        strip = strip.resize((self.image.width, span), Image.Resampling.NEAREST)
        self.image.paste(strip, (0, round((top - self.top) * self.unit)))

    def glow(self, x: float, y: float, radius: float, color: Color, strength: float) -> None:
        """Light that fades out around a point."""
        size = max(2, round(2 * radius * self.unit))
        # Light fades with the square: the ramp multiplied by itself.
        ramp = ImageChops.invert(Image.radial_gradient("L")).point([max(0, value - 75) * 255 // 180 for value in range(256)])
        mask = ImageChops.multiply(ramp, ramp).point([round(value * strength) for value in range(256)])
        left, top = (round(edge) for edge in self.px(x - radius, y - radius))
        # Only what lies on the sheet: most of a large glow may be beyond its edges.
        box = (max(0, left), max(0, top), min(self.image.width, left + size), min(self.image.height, top + size))
        if box[0] < box[2] and box[1] < box[3]:
            grain = mask.width / size
            part = ((box[0] - left) * grain, (box[1] - top) * grain, (box[2] - left) * grain, (box[3] - top) * grain)
            seen = (box[2] - box[0], box[3] - box[1])
            self.image.paste(color, box, mask.resize(seen, Image.Resampling.BILINEAR, box=part))

    def dice(self, *key: object) -> Random:
        """Dice of their own for one thing at one place, so that margins do not change what lies in the window."""
        return Random(f"{self.salt}/{key}")  # noqa: S311

    def finished(self) -> Image.Image:
        return self.image.reduce(FINE)

    def sky(self, horizon: float) -> None:
        light = self.light
        self.gradient(0, horizon, light.top, light.low)
        if light.stars:
            for index in range(int(220 * (self.aspect + 1.6))):
                star = self.dice("star", index)
                x, y = star.uniform(-0.8, self.aspect + 0.8), star.uniform(-0.5, horizon - 0.08)
                self.disc(x, y, star.uniform(0.0008, 0.0024), mix(light.top, light.glow, star.uniform(0.3, 0.9)))
        x, y = self.rng.choice((0.22, 0.36, 0.66, 0.8)) * self.aspect, self.rng.uniform(0.16, horizon - 0.14)
        self.glow(x, y, 0.75, light.glow, 0.55)
        if light.disc:
            self.disc(x, y, self.rng.uniform(0.04, 0.085), light.glow)
        self.clouds(horizon)

    def clouds(self, horizon: float) -> None:
        """Long flat strokes, as a brush leaves them."""
        for index in range(-14, 26):
            dice = self.dice("cloud", index)
            x, y, length = index * 0.16 + dice.uniform(0, 0.2), dice.uniform(-0.35, horizon - 0.06), dice.uniform(0.12, 0.42)
            lit = dice.random() < 0.6
            tone = mix(self.light.low, self.light.glow, 0.35) if lit else mix(self.light.top, self.light.far, 0.4)
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

    def says(self, words: str) -> bool:
        return re.search(rf"\b(?:{words})(?!\w)", self.prompt.strip(), re.IGNORECASE) is not None

    def defocus(self) -> None:
        """What has been drawn moves out of focus; lamps become discs, as behind a near subject."""
        small = (max(2, self.image.width // 16), max(2, self.image.height // 16))
        soft = self.image.resize(small, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(self.unit / 16 * 0.035))
        self.image.paste(soft.resize(self.image.size, Image.Resampling.BILINEAR))
        for index in range(-14, 28):
            dice = self.dice("bokeh", index)
            x, y, radius = index * 0.14 + dice.uniform(-0.1, 0.1), dice.uniform(-0.1, 0.62), dice.uniform(0.02, 0.075)
            color, strength = dice.choice((self.light.lamp, self.light.glow)), dice.uniform(0.05, 0.26)
            veil = Image.new("L", (round(2 * radius * self.unit),) * 2)
            ImageDraw.Draw(veil).ellipse((0, 0, veil.width - 1, veil.height - 1), fill=round(255 * strength))
            left, top = self.px(x - radius, y - radius)
            self.image.paste(color, (round(left), round(top)), veil)

    def mist(self) -> None:
        """A bank that lies low, thickest in the lower third."""
        color = mix(mix(self.light.low, self.light.glow, 0.3), (255, 255, 255), 0.1)
        for index in range(-8, 20):
            dice = self.dice("mist", index)
            self.glow(index * 0.22 + dice.uniform(-0.1, 0.1), dice.uniform(0.66, 0.98), dice.uniform(0.26, 0.44), color, 0.5)

    def rain(self) -> None:
        color = mix(self.light.low, (255, 255, 255), 0.35)
        veil = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(veil)
        for index in range(int(260 * (self.aspect + 1.6))):
            dice = self.dice("rain", index)
            x, y, length = dice.uniform(-0.8, self.aspect + 0.8), dice.uniform(-0.4, 1.4), dice.uniform(0.04, 0.10)
            pen.line((self.px(x, y), self.px(x - length * 0.22, y + length)), fill=dice.randint(40, 100), width=FINE)
        self.image.paste(color, (0, 0), veil)
