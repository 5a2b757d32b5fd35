"""Draws the plates of the manifests beside it: `python manifests/plates/draw.py`.

Source: every picture comes from the lines below and from nothing else: no photograph, no other painting, no model, no
download, no font. Whoever has Pillow gets the same pictures again. They are storyboard paintings, meant as first and last
frames, and may be used like the rest of the repository.

    bridge-in.png      the iron bridge at monsoon dusk, empty, lamps dark
    bridge-out.png     the same bridge from the same spot an hour later: rain, lamps lit
    tram-stop.png      the last tram standing at its stop, door open
    tunnel.png         the cutting and the tunnel mouth under a grey sky, the danger lamp low
    tunnel-night.png   the same at night, the danger lamp burning

How a picture is made: a pinhole camera one eye high looks down the track (metres: x right, y up, z away). Solids are drawn
from far to near, the air mixed in by distance. Wet ground is the same scene drawn once more with y turned round, blurred.
Light is added on top, then rain, vignette and grain. All work is at twice the size and reduced at the end.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (1280, 720)
SCALE = 2
BIG = (SIZE[0] * SCALE, SIZE[1] * SCALE)
Colour = tuple[int, int, int]
Point = tuple[float, float, float]
Span = tuple[float, float]


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """From `a` (t = 0) to `b` (t = 1)."""
    t = min(1.0, max(0.0, t))
    return tuple(round(p + (q - p) * t) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]


def dice(seed: str) -> random.Random:
    """Chance that comes out the same every time."""
    return random.Random(seed)  # noqa: S311


# ── paper: gradients, clouds, weather ─────────────────────────────────────────────────────────────────────────────


def gradient(stops: Sequence[tuple[float, Colour]]) -> Image.Image:
    """A sky: `stops` are (height from the top 0-1, colour), in order."""
    column = Image.new("RGB", (1, SIZE[1]))
    for row in range(SIZE[1]):
        at = row / (SIZE[1] - 1)
        (a, low), (b, high) = next(
            (pair for pair in pairwise(stops) if pair[1][0] >= at), (stops[-2], stops[-1])
        )
        t = (at - a) / (b - a)
        column.putpixel((0, row), mix(low, high, t * t * (3 - 2 * t)))
    return column.resize(BIG, Image.Resampling.BICUBIC)


def clouds(seed: str, across: int, down: int, octaves: int = 5) -> Image.Image:
    """Soft noise as a mask; the first octave has `across` × `down` lumps."""
    chance = dice(seed)
    total = Image.new("L", BIG, 128)
    for octave in range(octaves):
        size = (across << octave, down << octave)
        lumps = Image.frombytes("L", size, chance.randbytes(size[0] * size[1])).resize(BIG, Image.Resampling.BICUBIC)
        total = Image.blend(total, lumps, 0.5 if octave == 0 else 0.6 / (octave + 1))
    return total


def curve(mask: Image.Image, low: int, high: int, top: float = 1.0) -> Image.Image:
    """`mask` stretched so that `low` is nothing and `high` is `top`."""
    return mask.point([round(255 * top * min(1.0, max(0.0, (v - low) / (high - low)))) for v in range(256)])


def wash(picture: Image.Image, colour: Colour, mask: Image.Image) -> None:
    """Lay `colour` over `picture` where `mask` says."""
    picture.paste(Image.new("RGB", BIG, colour), (0, 0), mask)


def glow(picture: Image.Image, at: Span, radius: Span, colour: Colour, power: float = 2.0) -> None:
    """Add light around `at`; `radius` is (across, down) in big pixels; a higher `power` is a smaller core."""
    w, h = max(2, round(radius[0] * 2)), max(2, round(radius[1] * 2))
    fall = [round(255 * max(0.0, 1 - v / 182) ** power) for v in range(256)]
    disc = Image.radial_gradient("L").point(fall).resize((w, h), Image.Resampling.BICUBIC)
    light = Image.merge("RGB", [disc.point([round(v * part / 255) for v in range(256)]) for part in colour])
    box = (round(at[0] - w / 2), round(at[1] - h / 2))
    seen = (max(0, box[0]), max(0, box[1]), min(BIG[0], box[0] + w), min(BIG[1], box[1] + h))
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        return
    part = light.crop((seen[0] - box[0], seen[1] - box[1], seen[2] - box[0], seen[3] - box[1]))
    picture.paste(ImageChops.screen(picture.crop(seen), part), seen)


def rain(picture: Image.Image, seed: str, count: int, length: float, width: int, light: int) -> None:
    """Slanting rain, as one exposure sees it."""
    chance = dice(seed)
    layer = Image.new("L", BIG, 0)
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        x, y = chance.uniform(-200, BIG[0] + 200), chance.uniform(-200, BIG[1])
        long = length * chance.uniform(0.5, 1.4)
        draw.line((x, y, x - long * 0.13, y + long), fill=round(light * chance.uniform(0.3, 1)), width=width)
    layer = layer.filter(ImageFilter.GaussianBlur(width * 0.6))
    picture.paste(ImageChops.screen(picture, Image.merge("RGB", (layer, layer, layer))))


def finish(picture: Image.Image, name: str, grain: float = 1.6) -> None:
    """Bloom, vignette, reduction, grain, and the file."""
    bright = picture.resize(SIZE).point([max(0, v - 150) for v in range(256)] * 3).filter(ImageFilter.GaussianBlur(18))
    small = ImageChops.screen(picture.resize(SIZE, Image.Resampling.LANCZOS), bright)
    edge = Image.radial_gradient("L").resize(SIZE).point([round(255 - 150 * (v / 255) ** 2.6) for v in range(256)])
    small = ImageChops.multiply(small, Image.merge("RGB", (edge, edge, edge)))
    noise = Image.frombytes("L", SIZE, dice(name).randbytes(SIZE[0] * SIZE[1])).filter(ImageFilter.GaussianBlur(0.8))
    noise = noise.point([max(0, min(255, round(128 + (v - 128) * grain / 30))) for v in range(256)])
    small = ImageChops.add(small, Image.merge("RGB", (noise, noise, noise)), offset=-128)
    # A painter's palette keeps a grainy picture below half a megabyte.
    small = small.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    path = Path(__file__).with_name(name)
    small.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


# ── the pinhole camera ────────────────────────────────────────────────────────────────────────────────────────────


class Painter:
    """Draws solids given in metres onto a picture. `air` is what distance fades into, half of it at `reach` metres."""

    def __init__(
        self, picture: Image.Image, *, centre: tuple[float, float], eye: Point, lens: float, air: Colour, reach: float
    ) -> None:
        self.picture, self.draw = picture, ImageDraw.Draw(picture)
        self.centre, self.eye, self.lens, self.air, self.reach = centre, eye, lens, air, reach
        self.mirror = False

    def at(self, p: Point) -> tuple[float, float]:
        """Where a point falls on the big picture."""
        y = -p[1] if self.mirror else p[1]
        k = self.lens / max(0.3, p[2] - self.eye[2])
        return (self.centre[0] + (p[0] - self.eye[0]) * k) * SCALE, (self.centre[1] - (y - self.eye[1]) * k) * SCALE

    def size(self, z: float) -> float:
        """Big pixels of one metre at distance `z`."""
        return self.lens / max(0.3, z - self.eye[2]) * SCALE

    def far(self, colour: Colour, z: float) -> Colour:
        """`colour` seen through the air."""
        return mix(self.air, colour, 0.5 ** (max(0.0, z - self.eye[2]) / self.reach))

    def face(self, points: Sequence[Point], colour: Colour) -> None:
        """A flat side."""
        z = sum(p[2] for p in points) / len(points)
        self.draw.polygon([self.at(p) for p in points], fill=self.far(colour, z))

    def front(self, x: Span, y: Span, z: float, colour: Colour) -> None:
        """A rectangle that faces the eye."""
        self.face([(x[0], y[0], z), (x[0], y[1], z), (x[1], y[1], z), (x[1], y[0], z)], colour)

    def side(self, x: float, y: Span, z: Span, colour: Colour) -> None:
        """A rectangle along the track, upright."""
        self.face([(x, y[0], z[0]), (x, y[1], z[0]), (x, y[1], z[1]), (x, y[0], z[1])], colour)

    def floor(self, x: Span, y: float, z: Span, colour: Colour) -> None:
        """A rectangle along the track, lying flat."""
        self.face([(x[0], y, z[0]), (x[0], y, z[1]), (x[1], y, z[1]), (x[1], y, z[0])], colour)

    def line(self, x: Span, y: float, z: Span, colour: Colour) -> None:
        """A flat strip that the air does not dull, such as a polished rail."""
        corners: list[Point] = [(x[0], y, z[0]), (x[0], y, z[1]), (x[1], y, z[1]), (x[1], y, z[0])]
        self.draw.polygon([self.at(p) for p in corners], fill=colour)

    def beam(self, p: Point, q: Point, thick: float, colour: Colour) -> None:
        """A bar from `p` to `q`, `thick` metres wide as seen."""
        (ax, ay), (bx, by) = self.at(p), self.at(q)
        long = math.hypot(bx - ax, by - ay) or 1.0
        nx, ny = -(by - ay) / long / 2, (bx - ax) / long / 2
        a, b = max(1.2, thick * self.size(p[2])), max(1.2, thick * self.size(q[2]))
        left = [(ax + nx * a, ay + ny * a), (bx + nx * b, by + ny * b)]
        right = [(bx - nx * b, by - ny * b), (ax - nx * a, ay - ny * a)]
        self.draw.polygon(left + right, fill=self.far(colour, (p[2] + q[2]) / 2))

    def ball(self, p: Point, radius: float, colour: Colour) -> None:
        """A round thing."""
        (x, y), r = self.at(p), max(1.5, radius * self.size(p[2]))
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def wet(painter: Painter, scene: Callable[[], None], ground: Image.Image, shine: float, seed: str) -> None:
    """Draw `scene` upside down into the ground, where the mask `ground` and the puddles let it be seen."""
    picture = painter.picture
    dry = picture.copy()
    horizon = round(painter.centre[1] * SCALE)
    sky = dry.crop((0, 0, BIG[0], horizon)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    picture.paste(Image.blend(sky, dry.crop((0, horizon, BIG[0], horizon * 2)), 0.35), (0, horizon))
    painter.mirror = True
    scene()
    painter.mirror = False
    below = picture.filter(ImageFilter.BoxBlur(3)).resize((BIG[0], BIG[1] // 24)).resize(BIG, Image.Resampling.BICUBIC)
    below = Image.blend(below, picture.filter(ImageFilter.GaussianBlur(7)), 0.5)
    picture.paste(dry)
    puddles = curve(clouds(seed, 5, 14), 70, 190, shine)
    picture.paste(below, (0, 0), ImageChops.multiply(ground, puddles))


def ground_mask(painter: Painter, left: float, right: float, near: float = 1.0, far: float = 400.0) -> Image.Image:
    """A mask of the flat ground between two lines of `x`."""
    mask = Image.new("L", BIG, 0)
    corners = [painter.at(p) for p in ((left, 0, near), (left, 0, far), (right, 0, far), (right, 0, near))]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask


def skyline(painter: Painter, seed: str, z: float, tallest: float, colour: Colour, lit: float, base: float = 0.0) -> None:
    """Roofs, domes and chimneys across the whole width at distance `z`; `lit` is the share of windows with a lamp."""
    chance = dice(seed)
    x = -z * 0.9
    while x < z * 0.9:
        wide, high = chance.uniform(4, 16), tallest * chance.uniform(0.25, 1) ** 2
        painter.face([(x, base, z), (x, high, z), (x + wide, high * chance.uniform(0.93, 1), z), (x + wide, base, z)], colour)
        kind = chance.random()
        if kind < 0.12:
            painter.ball((x + wide / 2, high, z), wide * 0.32, painter.far(colour, z))
            painter.beam((x + wide / 2, high, z), (x + wide / 2, high + wide * 0.6, z), 0.5, colour)
        elif kind < 0.24:
            painter.beam((x + wide / 2, 0, z), (x + wide / 2, tallest * 1.25, z), 1.6, colour)
        for _ in range(int(wide * high / 30)):
            wx, wy = x + chance.uniform(0.1, 0.9) * wide, chance.uniform(1.5, max(1.6, high - 1))
            if chance.random() < lit:
                painter.ball((wx, wy, z), 0.35, mix(painter.far(colour, z), (255, 196, 110), 0.75))
        x += wide * chance.uniform(0.7, 1.1)


# ── the bridge ────────────────────────────────────────────────────────────────────────────────────────────────────


def bridge_bay(painter: Painter, z: float, iron: Colour, bay: float) -> None:
    """One bay of the trusses: uprights, diagonals, chords, and the portal overhead."""
    top, lattice = 8.6, mix(iron, painter.air, 0.08)
    for x, inward in ((-6.8, 0.9), (6.8, -0.9)):
        painter.beam((x, top, z), (x, top, z + bay), 0.5, iron)
        painter.beam((x, 4.4, z), (x, 4.4, z + bay), 0.16, lattice)
        painter.beam((x, 0.2, z), (x, top, z + bay), 0.24, lattice)
        painter.beam((x, top, z), (x, 0.2, z + bay), 0.24, lattice)
        painter.beam((x, -0.4, z), (x, top, z), 0.55, iron)
        painter.beam((x, top - 2.0, z), (x + inward * 2.4, top, z), 0.24, iron)
    painter.beam((-6.8, top, z), (6.8, top, z), 0.55, iron)
    painter.beam((-6.8, top - 0.9, z), (6.8, top - 0.9, z), 0.2, iron)
    for step in range(8):
        x = -6.8 + step * 1.7
        painter.beam((x, top - 0.9, z), (x + 0.85, top, z), 0.1, lattice)
        painter.beam((x + 0.85, top, z), (x + 1.7, top - 0.9, z), 0.1, lattice)


def bridge_rail(painter: Painter, z: float, iron: Colour, bay: float) -> None:
    """The railings of one bay."""
    for x in (-5.6, 5.6):
        for step in range(int(bay * 2)):
            at = z + bay - step / 2
            painter.beam((x, 0, at), (x, 1.15, at), 0.12 if step % 4 == 0 else 0.035, iron)
        for y, thick in ((1.18, 0.12), (0.62, 0.05), (0.15, 0.07)):
            painter.beam((x, y, max(z, painter.eye[2] + 1.2)), (x, y, z + bay), thick, iron)


def bridge_lamp(painter: Painter, x: float, z: float, iron: Colour, lit: bool) -> Point:
    """One lamp standard; says where its globe is."""
    arm = 0.85 if x < 0 else -0.85
    painter.beam((x, 0, z), (x, 0.9, z), 0.26, iron)
    painter.beam((x, 0, z), (x, 4.5, z), 0.12, iron)
    painter.beam((x, 4.3, z), (x + arm, 4.75, z), 0.08, iron)
    painter.beam((x, 3.7, z), (x + arm * 0.7, 4.6, z), 0.05, iron)
    globe = (x + arm, 4.5, z)
    painter.beam((x + arm, 4.75, z), (x + arm, 4.6, z), 0.3, iron)
    painter.ball(globe, 0.2, (255, 236, 190) if lit else mix((186, 178, 172), painter.air, 0.35))
    return globe


def bridge(name: str, *, lit: bool) -> None:
    """The iron bridge down its middle: at dusk with dark lamps, or an hour later in the rain with every lamp burning."""
    if lit:
        sky = [(0.0, (22, 28, 54)), (0.3, (46, 54, 86)), (0.52, (112, 104, 118)), (0.6, (120, 106, 108)), (1.0, (40, 44, 60))]
        air, iron, reach, deck = (118, 106, 112), (10, 12, 20), 46.0, (32, 35, 48)
    else:
        sky = [(0.0, (46, 50, 84)), (0.25, (104, 84, 112)), (0.42, (196, 122, 106)), (0.53, (244, 178, 118))]
        sky.append((1.0, (120, 96, 100)))
        air, iron, reach, deck = (226, 158, 118), (30, 26, 36), 66.0, (62, 54, 64)
    picture = gradient(sky)
    painter = Painter(picture, centre=(596, 384), eye=(-0.7, 2.0, 0), lens=760, air=air, reach=reach)
    hub = painter.at((0, 2, 4000))
    wash(picture, mix(sky[0][1], sky[1][1], 0.3), curve(clouds("dusk", 3, 7), 118, 190, 0.75))
    low = curve(clouds("dusk-low", 2, 16), 140, 205, 0.25 if lit else 0.5)
    wash(picture, mix(air, (255, 214, 170), 0.0 if lit else 0.4), low)
    if not lit:
        glow(picture, (hub[0] + 60, hub[1] - 10), (1300, 420), (150, 84, 36), 1.6)
        glow(picture, (hub[0] + 60, hub[1] - 14), (260, 200), (255, 214, 150), 2.0)
    painter.reach = 320.0
    skyline(painter, "far-bank", 420, 46, mix(iron, air, 0.55), 0.0, base=-20)
    skyline(painter, "near-bank", 300, 30, mix(iron, air, 0.3), 0.5 if lit else 0.1, base=-20)
    river = mix(air, sky[1][1], 0.55)
    painter.draw.rectangle((0, hub[1] + 14, BIG[0], BIG[1]), fill=river)
    ripple = curve(clouds("river", 3, 90, 3), 120, 200, 0.5)
    bank = Image.new("L", BIG, 0)
    bank.paste(255, (0, round(hub[1]) + 14, BIG[0], BIG[1]))
    wash(picture, mix(river, air, 0.8), ImageChops.multiply(ripple, bank))
    painter.reach = reach
    bridge_deck(painter, deck, air)
    bay = 8.0
    globes: list[Point] = []

    def iron_work() -> None:
        globes.clear()
        painter.front((-7, 7), (-1, 9), 139, air)
        for step in range(16, -1, -1):
            z = 2.0 + step * bay
            bridge_bay(painter, z, iron, bay)
            bridge_rail(painter, z, iron, bay)
            if step % 2 == 1:
                globes.extend(bridge_lamp(painter, x, z + 1.5, iron, lit) for x in (-5.2, 5.2))
        if lit:
            for globe in globes:
                light_lamp(painter, globe)

    wet(painter, iron_work, ground_mask(painter, -6.6, 6.6), 1.0 if lit else 0.8, "puddles")
    iron_work()
    bridge_air(picture, hub, air, lit)
    finish(picture, name)


def light_lamp(painter: Painter, globe: Point) -> None:
    """The light of one lamp: core, halo, and its pool on the deck."""
    r = painter.size(globe[2])
    strong = 0.5 ** ((globe[2]) / 90)
    at = painter.at(globe)
    warm = mix((0, 0, 0), (255, 176, 84), 0.95 * strong)
    glow(painter.picture, at, (r * 2.6, r * 2.6), warm, 3.0)
    glow(painter.picture, at, (r * 0.55, r * 0.55), (255, 240, 205), 1.5)
    if not painter.mirror:
        pool = painter.at((globe[0] * 0.9, 0, globe[2]))
        glow(painter.picture, pool, (r * 2.8, r * 0.5), mix((0, 0, 0), (190, 120, 54), strong), 1.6)
    else:
        glow(painter.picture, at, (r * 0.6, r * 4.5), mix((0, 0, 0), (255, 186, 104), strong), 1.3)


def bridge_deck(painter: Painter, deck: Colour, air: Colour) -> None:
    """The roadway, its seams, kerbs and the two pairs of tram rails."""
    far = 240.0
    z = far
    while z > 1.0:
        near = max(1.0, z * 0.9)
        painter.floor((-6.6, 6.6), 0, (near, z), mix(deck, (0, 0, 0), 0.12 * (1 - near / far)))
        z = near
    grit = curve(clouds("setts", 60, 160, 2), 90, 210, 0.28)
    wash(painter.picture, mix(deck, (0, 0, 0), 0.6), ImageChops.multiply(grit, ground_mask(painter, -6.6, 6.6)))
    for x in (-4.5, 4.5):
        painter.floor((x - 0.12, x + 0.12), 0.14, (1.2, far), mix(deck, air, 0.3))
    for x in (-2.5, -1.05, 1.05, 2.5):
        for side, tone in ((-0.06, mix(deck, (0, 0, 0), 0.7)), (0.02, mix(deck, air, 0.85))):
            painter.line((x + side, x + side + 0.055), 0, (1.2, far), tone)


def bridge_air(picture: Image.Image, hub: tuple[float, float], air: Colour, lit: bool) -> None:
    """What hangs between the eye and the far bank."""
    if lit:
        glow(picture, hub, (900, 260), (58, 50, 52), 1.4)
        mist = Image.new("L", BIG, 0)
        glow_mask = Image.radial_gradient("L").point([round(150 * max(0.0, 1 - v / 182) ** 1.3) for v in range(256)])
        mist.paste(glow_mask.resize((2600, 460)), (round(hub[0]) - 1300, round(hub[1]) - 250))
        wash(picture, mix(air, (140, 120, 112), 0.4), ImageChops.multiply(mist, curve(clouds("mist", 4, 9), 60, 200)))
        rain(picture, "far-rain", 2200, 60, 2, 34)
        rain(picture, "near-rain", 300, 210, 3, 60)
    else:
        glow(picture, hub, (760, 220), (96, 58, 34), 1.5)
        glow(picture, (hub[0], hub[1] - 20), (210, 130), (255, 196, 128), 1.5)


# ── the tram stop ─────────────────────────────────────────────────────────────────────────────────────────────────


def facade(painter: Painter, x: float, near: float, far: float, high: float, wall: Colour, seed: str) -> None:
    """One side of the street between two distances: wall, cornice, windows, balconies; some lamps are lit."""
    chance = dice(seed)
    painter.side(x, (0, high), (near, far), wall)
    painter.beam((x, high, near), (x, high, far), 0.35, mix(wall, (0, 0, 0), 0.35))
    for floor in range(int(high / 3.3)):
        base = 1.0 + floor * 3.3
        at = near + 0.9
        while at < far - 1.6:
            lamp = chance.random() < 0.2
            dark = mix(wall, (8, 8, 16), 0.6)
            pane = mix((255, 188, 96), dark, chance.uniform(0.1, 0.45)) if lamp else dark
            painter.side(x, (base, base + 1.8), (at, at + 1.1), pane)
            if floor and chance.random() < 0.45:
                painter.beam((x, base - 0.1, at - 0.3), (x, base - 0.1, at + 1.4), 0.16, mix(wall, (0, 0, 0), 0.5))
            at += 2.3


def tram(painter: Painter) -> None:
    """The tram, its nose and its near side with the open door, from a little to its left."""
    left, right, nose, tail = 0.95, 3.25, 8.6, 21.0
    red, cream, dark, lamp = (112, 34, 30), (196, 172, 128), (20, 18, 26), (255, 206, 128)
    painter.side(left, (0.25, 0.6), (nose, tail), dark)
    painter.side(left, (0.5, 1.5), (nose, tail), mix(red, (0, 0, 0), 0.45))
    painter.side(left, (1.5, 3.15), (nose, tail), mix(cream, (0, 0, 0), 0.5))
    at = nose + 2.4
    while at < tail - 0.8:
        painter.side(left, (1.62, 2.72), (at, at + 1.0), lamp)
        painter.beam((left, 2.2, at), (left, 2.2, at + 1.0), 0.04, (150, 100, 50))
        at += 1.3
    painter.side(left, (0.45, 2.8), (nose + 0.7, nose + 1.9), (255, 214, 140))
    painter.beam((left, 0.45, nose + 1.3), (left, 2.8, nose + 1.3), 0.06, (150, 96, 50))
    painter.floor((left - 0.3, left), 0.4, (nose + 0.6, nose + 2.0), dark)
    roof = [(left - 0.05, 3.15), (left + 0.25, 3.45), (right - 0.25, 3.45), (right + 0.05, 3.15)]
    slope = [(x, y, z) for z, edge in ((nose, roof[:2]), (tail, roof[1::-1])) for x, y in edge]
    painter.face(slope, (40, 36, 44))
    painter.face([(x, y, nose) for x, y in roof], (52, 46, 54))
    painter.front((left, right), (0.5, 1.55), nose, red)
    painter.front((left, right), (1.55, 3.15), nose, cream)
    wide = (right - left) / 3
    for pane in range(3):
        x = left + pane * wide
        painter.front((x + 0.07, x + wide - 0.07), (1.72, 2.78), nose, (92, 62, 48))
        painter.front((x + 0.1, x + wide - 0.1), (1.75, 2.75), nose, (206, 160, 98) if pane != 1 else (232, 184, 116))
    driver(painter, (left + right) / 2, nose)
    painter.beam((left + 0.55, 2.96, nose), (right - 0.55, 2.96, nose), 0.22, (60, 40, 30))
    painter.beam((left, 1.58, nose), (right, 1.58, nose), 0.07, (70, 26, 26))
    painter.beam((left + 0.15, 0.78, nose), (right - 0.15, 0.78, nose), 0.05, (176, 130, 84))
    painter.beam((left, 3.12, nose), (right, 3.12, nose), 0.06, (70, 52, 48))
    painter.front((left, right), (0.2, 0.55), nose, dark)
    painter.ball(((left + right) / 2, 1.12, nose), 0.2, (60, 40, 34))
    painter.ball(((left + right) / 2, 1.12, nose), 0.15, (255, 246, 214))
    painter.beam((2.1, 3.5, 14), (2.1, 5.35, 17.5), 0.06, dark)


def driver(painter: Painter, x: float, z: float) -> None:
    """Half a shape behind the wet glass: shoulders, a head, the peak of a cap."""
    shade = (120, 86, 58)
    shoulders = [(-0.27, 1.75), (-0.25, 2.0), (-0.12, 2.1), (0.12, 2.1), (0.25, 2.0), (0.27, 1.75)]
    painter.face([(x + dx, y, z) for dx, y in shoulders], shade)
    painter.ball((x, 2.22, z), 0.105, painter.far(shade, z))
    painter.face([(x - 0.13, 2.25, z), (x - 0.1, 2.36, z), (x + 0.1, 2.36, z), (x + 0.13, 2.25, z)], (92, 66, 50))


def shelter(painter: Painter) -> None:
    """The stop on the left: roof, iron posts, bench, its name board without a name, its hanging lamp."""
    iron = (16, 18, 28)
    painter.side(-4.9, (0, 2.7), (14, 6), (38, 38, 50))
    for z in (13.6, 10.2, 6.6):
        painter.beam((-2.6, 0, z), (-2.6, 2.75, z), 0.11, iron)
        painter.beam((-2.6, 2.2, z), (-3.2, 2.75, z), 0.07, iron)
    painter.floor((-4.7, -4.1), 0.5, (13, 7.4), (52, 42, 40))
    painter.side(-4.1, (0.4, 0.5), (13, 7.4), iron)
    painter.face([(-5.2, 2.95, 14.4), (-2.2, 2.75, 14.4), (-2.2, 2.75, 5.6), (-5.2, 2.95, 5.6)], (24, 24, 34))
    painter.side(-2.2, (2.75, 2.98), (14.4, 5.6), (34, 34, 46))
    painter.ball((-3.4, 2.45, 9.6), 0.11, (255, 232, 180))


def street(painter: Painter) -> None:
    """Everything that stands on the ground, from far to near."""
    facade(painter, -7.2, 34, 90, 13, (56, 56, 74), "left-far")
    facade(painter, 8.0, 40, 90, 15, (54, 54, 72), "right-far")
    facade(painter, -7.2, 17, 34, 10.5, (48, 46, 62), "left-mid")
    facade(painter, 8.0, 20, 40, 12, (46, 44, 60), "right-mid")
    facade(painter, -7.2, 3, 17, 13.5, (36, 36, 50), "left-near")
    facade(painter, 8.0, 3, 20, 14.5, (34, 33, 46), "right-near")
    for z in (60, 42, 27):
        painter.beam((5.4, 0, z), (5.4, 6.6, z), 0.16, (22, 22, 32))
        painter.beam((5.4, 6.1, z), (0.6, 6.1, z), 0.06, (22, 22, 32))
    for x in (2.1, -1.4):
        painter.beam((x, 5.5, 4), (x, 5.5, 90), 0.03, (20, 20, 30))
    tram(painter)
    shelter(painter)


def tram_stop() -> None:
    """The last tram at its stop, looking up the street."""
    sky = [(0.0, (34, 38, 62)), (0.28, (72, 72, 98)), (0.5, (176, 130, 118)), (0.56, (206, 152, 120)), (1.0, (60, 58, 70))]
    air = (142, 114, 116)
    picture = gradient(sky)
    painter = Painter(picture, centre=(560, 398), eye=(-0.9, 1.75, 0), lens=900, air=air, reach=44)
    wash(picture, (40, 44, 70), curve(clouds("street-sky", 4, 6), 112, 190, 0.8))
    hub = painter.at((0, 1.75, 4000))
    glow(picture, hub, (600, 340), (120, 78, 46), 1.7)
    skyline(painter, "street-end", 130, 16, (58, 56, 72), 0.2)
    ground = (40, 40, 52)
    painter.draw.rectangle((0, hub[1], BIG[0], BIG[1]), fill=painter.far(ground, 60))
    for far, near in ((90, 40), (40, 20), (20, 10), (10, 6), (6, 3), (3, 1)):
        painter.floor((-9, 9), 0, (near, far), ground)
    whole = ground_mask(painter, -9, 9)
    wash(picture, (18, 18, 28), ImageChops.multiply(curve(clouds("cobbles", 70, 150, 2), 90, 200, 0.4), whole))
    for x in (-2.1, -0.7, 1.4, 2.8):
        painter.line((x, x + 0.06), 0, (1.2, 120), (164, 140, 134))

    def standing() -> None:
        street(painter)
        stop_light(painter)

    wet(painter, standing, whole, 0.95, "street-puddles")
    painter.floor((-9, -2.35), 0.16, (3, 60), (46, 44, 56))
    painter.beam((-2.35, 0.08, 3), (-2.35, 0.08, 60), 0.16, (70, 66, 76))
    standing()
    glow(picture, hub, (420, 150), (120, 90, 72), 1.3)
    rain(picture, "street-rain", 2000, 70, 2, 36)
    rain(picture, "street-drops", 260, 230, 3, 60)
    finish(picture, "tram-stop.png")


def stop_light(painter: Painter) -> None:
    """The tram's headlamp, its windows, its open door and the lamp of the stop."""
    head, door, stop = painter.at((2.1, 1.12, 8.6)), painter.at((0.95, 1.5, 9.9)), painter.at((-3.4, 2.45, 9.6))
    glow(painter.picture, head, (520, 360), (190, 160, 110), 3.2)
    glow(painter.picture, head, (70, 70), (255, 248, 225), 1.6)
    glow(painter.picture, door, (330, 420), (150, 96, 42), 2.0)
    glow(painter.picture, painter.at((0.95, 2.2, 15)), (300, 160), (110, 70, 30), 2.0)
    glow(painter.picture, stop, (420, 360), (170, 112, 50), 2.4)
    if not painter.mirror:
        glow(painter.picture, painter.at((0.2, 0, 9.9)), (520, 90), (190, 122, 56), 1.5)
        glow(painter.picture, painter.at((-3.4, 0.2, 9.6)), (420, 80), (130, 86, 42), 1.5)
    else:
        glow(painter.picture, head, (90, 560), (220, 190, 140), 1.6)
        glow(painter.picture, door, (120, 420), (190, 120, 56), 1.6)


# ── the cutting ───────────────────────────────────────────────────────────────────────────────────────────────────


def rock_wall(painter: Painter, side: int, stone: Colour, seed: str) -> None:
    """One wall of the cutting: ragged, leaning back, in courses; `side` -1 left, 1 right."""
    chance = dice(seed)
    dark: Colour = mix(stone, (6, 8, 10), 0.6)
    painter.face([(side * 4.2, -0.4, 31), (side * 6.9, 15, 31), (side * 6.9, 15, 1.6), (side * 4.2, -0.4, 1.6)], dark)
    y = 14.6
    while y > -0.4:
        tall = chance.uniform(0.22, 0.7)
        shelf = chance.uniform(-0.16, 0.16)
        z = 31.0
        while z > 1.5:
            deep = chance.uniform(0.5, 2.6)
            lean = 4.25 + 0.16 * y + shelf + chance.uniform(-0.07, 0.07)
            tone = mix(stone, (6, 8, 10), chance.uniform(0.05, 0.5) + max(0.0, (4 - y) * 0.04))
            if chance.random() < 0.1:
                tone = mix(tone, (46, 60, 40), 0.45)
            a, b, dip = side * lean, side * (lean + 0.16 * tall), chance.uniform(-0.08, 0.08)
            near = max(1.4, z - deep)
            painter.face([(a, y + dip, near), (b, y + tall, near), (b, y + tall + dip, z), (a, y, z)], tone)
            painter.beam((a, y + dip, near), (a, y, z), 0.05, mix(tone, (0, 0, 0), 0.6))
            z -= deep
        y -= tall * 0.9
    for _ in range(50):
        z, y = chance.uniform(9, 28), chance.uniform(3, 13)
        long = chance.uniform(0.4, 2.2)
        top, foot = 4.15 + 0.16 * y, 4.15 + 0.16 * (y - long)
        painter.beam((side * top, y, z), (side * foot, y - long, z), 0.02, mix(stone, (200, 208, 210), 0.08))


def portal(painter: Painter, stone: Colour, z: float) -> None:
    """The tunnel's front: coursed stone, the ring of arch stones, the black."""
    chance = dice("portal")
    y = 0.0
    while y < 8.6:
        x = -7.0 + chance.uniform(0, 0.8)
        while x < 7.0:
            wide = chance.uniform(0.7, 1.3)
            tone = mix(stone, (8, 10, 12), chance.uniform(0.12, 0.5) + (0.2 if y < 1.5 else 0.0))
            painter.front((x, x + wide - 0.05), (y, y + 0.52), z, tone)
            x += wide
        y += 0.57
    for y, thick, over in ((8.45, 0.35, 0.1), (8.85, 0.4, 0.0)):
        painter.beam((-7.2, y, z - over), (7.2, y, z - over), thick, mix(stone, (190, 190, 180), 0.12))
    radius, spring = 2.75, 2.9
    for step in range(19):
        a, b = math.pi * step / 19, math.pi * (step + 0.92) / 19
        ring = [(math.cos(t), math.sin(t)) for t in (a, b)]
        inner = [(c * radius, spring + s * radius, z) for c, s in ring]
        outer = [(c * (radius + 0.75), spring + s * (radius + 0.75), z) for c, s in reversed(ring)]
        painter.face([*inner, *outer], mix(mix(stone, (200, 196, 182), 0.16), (10, 10, 12), chance.uniform(0, 0.35)))
    painter.draw.polygon(arch(painter, radius, spring, z), fill=(5, 6, 8))
    for inset, tone in ((0.12, (17, 18, 20)), (0.34, (10, 11, 13)), (0.6, (6, 6, 8))):
        painter.draw.line(arch(painter, radius - inset, spring, z), fill=tone, width=9)


def arch(painter: Painter, radius: float, spring: float, z: float) -> list[Span]:
    """The outline of a horseshoe on the picture, from its right foot to its left."""
    angles = [math.pi * step / 40 for step in range(41)]
    ring: list[Point] = [(math.cos(a) * radius, spring + math.sin(a) * radius, z) for a in angles]
    return [painter.at(p) for p in [(radius, 0.0, z), *ring, (-radius, 0.0, z)]]


def track(painter: Painter, steel: Colour, far: float) -> None:
    """Ballast, sleepers and one pair of rails into the tunnel."""
    chance = dice("ballast")
    for _ in range(9000):
        z, x = 1.6 + chance.random() ** 1.6 * far, chance.gauss(0, 1.5)
        grey = chance.randrange(24, 58)
        wide, high = chance.uniform(0.03, 0.075), chance.uniform(0.02, 0.05)
        stone: list[Point] = [(x - wide, 0, z), (x - wide * 0.4, high, z), (x + wide * 0.5, high * 0.8, z), (x + wide, 0, z)]
        painter.face(stone, (grey, grey + 1, grey + 2))
    z = far
    while z > 1.6:
        painter.floor((-1.35, 1.35), 0.1, (z, z + 0.26), (24, 22, 22))
        z -= 0.75
    for x in (-0.78, 0.72):
        for side, tone in ((0.0, mix(steel, (0, 0, 0), 0.75)), (0.025, steel)):
            painter.line((x + side, x + side + 0.05), 0.2, (1.4, far), tone)


def signal_box(painter: Painter, window: Colour) -> None:
    """The signal-man's hut on the right, its door, its window, its stove-pipe and the wires that reach it."""
    left, right, near, far = 2.15, 4.6, 10.5, 14.0
    board = (44, 40, 38)
    painter.side(left, (0, 2.5), (near, far), mix(board, (0, 0, 0), 0.25))
    painter.front((left, right), (0, 2.5), near, board)
    for step in range(1, 10):
        painter.beam((left, step * 0.25, near), (right, step * 0.25, near), 0.02, (22, 20, 20))
        painter.beam((left, step * 0.25, near), (left, step * 0.25, far), 0.02, (20, 18, 18))
    eaves, ridge = (left - 0.25, 2.5, near - 0.2), (left + 0.5, 3.35, 12.2)
    painter.face([eaves, (right, 2.5, near - 0.2), (right, 3.35, 12.2), ridge], (28, 28, 32))
    painter.face([eaves, ridge, (left - 0.25, 2.5, far)], (22, 22, 26))
    painter.beam((left + 1.1, 3.0, 11.5), (left + 1.1, 4.3, 11.5), 0.16, (20, 20, 22))
    painter.side(left, (1.1, 1.95), (11.6, 12.7), window)
    painter.beam((left, 1.1, 12.15), (left, 1.95, 12.15), 0.05, (24, 20, 18))
    painter.front((left + 0.55, left + 1.35), (1.15, 1.95), near, window)
    painter.beam((left + 0.95, 1.15, near), (left + 0.95, 1.95, near), 0.05, (24, 20, 18))


def figure(painter: Painter, x: float, z: float) -> None:
    """The signal-man beside the line, facing the tunnel, his furled flag at his side."""
    coat = (12, 12, 15)
    for foot in (-0.13, 0.07):
        painter.beam((x + foot * 0.7, 0.95, z), (x + foot, 0.0, z), 0.15, coat)
        painter.beam((x + foot - 0.08, 0.04, z), (x + foot + 0.09, 0.04, z), 0.09, coat)
    left = [(-0.25, 0.55), (-0.19, 1.0), (-0.24, 1.36), (-0.17, 1.46), (-0.05, 1.52)]
    right = [(0.06, 1.52), (0.18, 1.46), (0.24, 1.36), (0.18, 1.0), (0.23, 0.55)]
    painter.face([(x + dx, y, z) for dx, y in left + right], coat)
    painter.ball((x, 1.62, z), 0.1, painter.far(coat, z))
    painter.face([(x - 0.11, 1.65, z), (x - 0.12, 1.74, z), (x + 0.12, 1.74, z), (x + 0.11, 1.65, z)], coat)
    painter.beam((x + 0.0, 1.655, z), (x + 0.17, 1.635, z), 0.03, coat)
    painter.beam((x + 0.2, 1.4, z), (x + 0.27, 0.85, z), 0.1, coat)
    painter.beam((x - 0.2, 1.4, z), (x - 0.34, 0.88, z), 0.1, coat)
    painter.beam((x - 0.33, 0.98, z), (x - 0.42, 0.25, z), 0.06, (92, 22, 20))


def tunnel(name: str, *, night: bool) -> None:
    """The cutting from the bed of the line, towards the tunnel mouth."""
    if night:
        sky = [(0.0, (22, 30, 46)), (0.2, (48, 62, 82)), (0.4, (66, 78, 92)), (1.0, (30, 36, 42))]
        air, stone, steel, reach, window = (44, 54, 66), (66, 78, 88), (176, 108, 98), 34.0, (255, 194, 104)
    else:
        sky = [(0.0, (150, 156, 156)), (0.2, (192, 192, 182)), (0.4, (190, 188, 176)), (1.0, (90, 92, 90))]
        air, stone, steel, reach, window = (146, 150, 144), (116, 118, 110), (150, 156, 156), 38.0, (214, 176, 110)
    picture = gradient(sky)
    painter = Painter(picture, centre=(620, 452), eye=(-0.35, 1.65, 0), lens=860, air=air, reach=reach)
    wash(picture, mix(sky[0][1], (0, 0, 0), 0.35), curve(clouds("cutting-sky", 3, 5), 110, 190, 0.7))
    far = 27.0
    trees(painter, mix(stone, (12, 18, 14), 0.75))
    portal(painter, stone, far)
    floor = [painter.at(p) for p in ((-9, 0, 1), (-6, 0, far), (6, 0, far), (9, 0, 1))]
    painter.draw.polygon(floor, fill=painter.far((34, 35, 36), 9))
    bed = Image.new("L", BIG, 0)
    ImageDraw.Draw(bed).polygon(floor, fill=255)
    for side, seed in ((-1, "left-rock"), (1, "right-rock")):
        rock_wall(painter, side, stone, seed)
    wash(picture, (6, 8, 10), curve(clouds("damp", 9, 5), 128, 215, 0.55))
    wash(picture, mix(stone, air, 0.5), ImageChops.multiply(curve(clouds("mud", 30, 70, 3), 120, 200, 0.3), bed))
    track(painter, steel, far + 3)
    mouth = painter.at((0, 2.6, far))
    painter.draw.rectangle([painter.at((-2.7, 1.2, far)), painter.at((2.7, 0.0, far))], fill=(5, 6, 8))
    for x in (-0.78, 0.72):
        painter.beam((x + 0.05, 0.2, far), (x + 0.05, 0.2, far + 30), 0.05, mix(steel, (0, 0, 0), 0.6))
    signal_box(painter, window)
    danger(painter, night)
    wires(painter)
    cutting_air(picture, painter, mouth, air, night)
    figure(painter, -1.8, 13.0)
    finish(picture, name)


def trees(painter: Painter, colour: Colour) -> None:
    """The ragged edge of the world above the portal."""
    chance = dice("trees")
    for z, base in ((40.0, 19.5), (33.0, 14.2)):
        tone = painter.far(colour, z)
        slope = ((-30, 0, z), (-30, base + 2, z), (0, base - 0.8, z), (30, base + 2, z), (30, 0, z))
        painter.draw.polygon([painter.at(p) for p in slope], fill=tone)
        for _ in range(420):
            x = chance.uniform(-16, 16)
            y = base - 0.8 + abs(x) * 0.09 + chance.uniform(-0.4, 0.7)
            painter.ball((x, y, z), chance.uniform(0.1, 0.5), tone)
        for _ in range(34):
            x = chance.uniform(-16, 16)
            y = base - 0.8 + abs(x) * 0.09
            top = y + chance.uniform(0.8, 2.4)
            painter.draw.line([painter.at((x, y, z)), painter.at((x + chance.uniform(-0.4, 0.4), top, z))], fill=tone, width=3)


def danger(painter: Painter, night: bool) -> None:
    """The red lamp on its post beside the tunnel mouth."""
    x, z, iron = -3.15, 25.5, (16, 16, 18)
    painter.beam((x, 0, z), (x, 4.3, z), 0.16, iron)
    for y in (0.6, 1.2, 1.8, 2.4, 3.0):
        painter.beam((x - 0.2, y, z), (x + 0.2, y, z), 0.06, iron)
    painter.front((x - 0.26, x + 0.26), (3.75, 4.5), z, iron)
    painter.ball((x, 4.12, z), 0.17, (255, 92, 70) if night else (214, 40, 32))


def wires(painter: Painter) -> None:
    """Telegraph poles along the foot of the left wall, and their wires to the hut."""
    tone = (20, 21, 24)
    for z in (23.0, 14.0, 7.0):
        painter.beam((-3.7, 0, z), (-3.7, 6.4, z), 0.14, tone)
        for y in (6.0, 5.5):
            painter.beam((-4.3, y, z), (-3.1, y, z), 0.08, tone)
    for x, y in ((-4.2, 6.1), (-3.2, 6.1), (-4.2, 5.6), (-3.2, 5.6)):
        for a, b in ((1.2, 7.0), (7.0, 14.0), (14.0, 23.0)):
            dots = [painter.at((x, y - 0.5 * math.sin(math.pi * k / 12), a + (b - a) * k / 12)) for k in range(13)]
            painter.draw.line(dots, fill=tone, width=2)
    painter.draw.line([painter.at(p) for p in ((-3.2, 5.6, 14), (0, 4.0, 12.8), (2.2, 2.6, 12.2))], fill=tone, width=2)


def cutting_air(picture: Image.Image, painter: Painter, mouth: tuple[float, float], air: Colour, night: bool) -> None:
    """Damp air, the lamp's red in it, the window's yellow on the ballast."""
    red = painter.at((-3.15, 4.12, 25.5))
    steam = Image.new("L", BIG, 0)
    ball = Image.radial_gradient("L").point([round(170 * max(0.0, 1 - v / 182) ** 1.2) for v in range(256)])
    steam.paste(ball.resize((2300, 620)), (round(mouth[0]) - 1150, round(mouth[1]) - 190))
    wash(picture, mix(air, (200, 200, 190), 0.1), ImageChops.multiply(steam, curve(clouds("steam", 4, 6), 96, 200, 0.8)))
    if night:
        glow(picture, red, (760, 560), (96, 12, 9), 2.2)
        glow(picture, red, (150, 140), (255, 60, 40), 2.4)
        glow(picture, painter.at((-1.2, 0.1, 17)), (420, 110), (110, 16, 10), 1.5)
        glow(picture, painter.at((0.0, 0.2, 8)), (190, 420), (70, 10, 8), 1.6)
        glow(picture, painter.at((2.15, 1.5, 12.1)), (420, 320), (150, 96, 40), 2.2)
        glow(picture, painter.at((1.3, 0, 11.6)), (420, 90), (150, 96, 44), 1.5)
        glow(picture, painter.at((3.1, 1.5, 10.5)), (200, 200), (120, 78, 34), 2.0)
    else:
        glow(picture, red, (150, 140), (170, 22, 16), 2.2)
        glow(picture, (painter.at((0, 12, 27))[0], 0), (1000, 520), (70, 70, 62), 1.5)
        glow(picture, painter.at((2.15, 1.5, 12.1)), (200, 160), (90, 64, 30), 2.0)


def main() -> None:
    """Draw them all beside this file."""
    bridge("bridge-in.png", lit=False)
    bridge("bridge-out.png", lit=True)
    tram_stop()
    tunnel("tunnel.png", night=False)
    tunnel("tunnel-night.png", night=True)


if __name__ == "__main__":
    main()
