"""Inserts: one thing, large and near, in front of what is out of focus."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from manifest_runner.simulator.board import Board, Color, Point, mix
from manifest_runner.simulator.cast import coat

THINGS = {
    "hand": r"(?:hands?(?! lamp)|(?:fore)?fingers?|thumbs?|palms?|fists?)", "bell": r"bells?",
    "dial": r"dials?|needle|clock|watch|compass|gauge|telegraph", "lamp": r"lamps?|lights?|lantern|candle|bulb|bull's-eye",
    "page": r"pages?|book|letter|newspaper|map|photo\w*|notebook|envelope",
    "ground": r"deck|rails?|ground|gravel|pebbles|ballast|puddles?|pavement|floor|road|setts|boots|shoes|feet",
}


def detail(board: Board) -> None:
    """What the insert's first sentence speaks of first; a hand is in front of the second thing, which is out of focus."""
    sentence = re.split(r"\.\s", board.prompt, maxsplit=1)[0]
    hits = {name: hit.start() for name, pattern in THINGS.items()
            if (hit := re.search(rf"\b(?:{pattern})\b", sentence, re.IGNORECASE))}
    found = sorted(hits, key=lambda name: hits[name])
    first = found[0] if found else "thing"
    if first == "ground":
        _ground(board)
        return
    behind = next((name for name in found if name in ("lamp", "page", "dial")), None) if first == "hand" else None
    if behind:
        _DRAWN[behind](board)
    board.defocus()
    _DRAWN[first](board)


def _shelf(board: Board, y: float) -> None:
    """The edge of a table, over the whole width."""
    wood = mix(board.light.near, board.light.far, 0.22)
    board.box(board.left, y, board.right, board.bottom, wood)
    board.box(board.left, y, board.right, y + 0.014, mix(wood, board.light.glow, 0.3))
    board.box(board.left, y + 0.2, board.right, board.bottom, mix(wood, board.light.near, 0.6))


def _hand(board: Board) -> None:
    """A sleeve, a fist and what it holds between thumb and forefinger."""
    light, side, size = board.light, board.rng.choice((-1, 1)), board.rng.uniform(0.78, 0.92) * min(1, board.aspect / 1.5)
    x, y, turn = (0.5 - 0.06 * side) * board.aspect, board.rng.uniform(0.42, 0.5), board.rng.uniform(-0.22, 0.12)
    skin = mix(mix(light.low, light.glow, 0.4), light.near, 0.36)
    line, sleeve = mix(skin, light.near, 0.72), mix(coat(board, mix(light.near, light.far, 0.3)), light.near, 0.12)

    def at(dx: float, dy: float) -> Point:
        across, down = dx * math.cos(turn) - dy * math.sin(turn), dx * math.sin(turn) + dy * math.cos(turn)
        return x + side * across * size, y + down * size

    def part(points: list[Point], width: float, color: Color) -> None:
        placed = [at(*point) for point in points]
        board.limb(placed, (width + 0.018) * size, line)
        board.limb(placed, width * size, color)

    part([(0.34, 0.16), (0.7, 0.42)], 0.26, mix(skin, light.near, 0.2))
    part([(0.74, 0.46), (1.9, 1.3)], 0.46, sleeve)
    board.limb([at(0.8, 0.36), at(1.9, 1.14)], 0.05 * size, mix(sleeve, light.glow, 0.25))
    part([(0.2, 0.12), (0.32, 0.18)], 0.32, mix(skin, light.near, 0.12))
    metal = mix((198, 150, 72) if board.says("brass|gold(?:en)?") else mix(light.far, light.glow, 0.5), light.near, 0.2)
    if board.says(r"tickets?(?! punch)"):
        board.poly([at(-0.78, -0.1), at(-0.42, -0.2), at(-0.34, 0.06), at(-0.7, 0.16)], mix((226, 190, 92), light.near, 0.1))
    if board.says(r"holds?|holding|grips?|punch|pen|knife|tool"):
        part([(0.12, 0.06), (-0.34, 0.06), (-0.52, -0.02)], 0.05, metal)
        part([(0.12, 0.0), (-0.36, -0.05), (-0.54, -0.03)], 0.06, metal)
        board.limb([at(0.0, -0.03), at(-0.4, -0.065)], 0.014 * size, mix(metal, light.glow, 0.7))
    for row, (reach, drop) in enumerate(((-0.3, 0.07), (-0.25, 0.17), (-0.19, 0.26), (-0.1, 0.33))):
        part([(0.2, drop - 0.02), (reach + 0.16, drop + 0.06), (reach, drop + 0.02)], 0.1 - 0.008 * row,
             mix(skin, light.near, 0.05 * row))
    part([(0.24, 0.02), (0.02, -0.1), (-0.28, -0.1)], 0.115, mix(skin, light.glow, 0.12))
    board.limb([at(-0.29, -0.125), at(-0.24, -0.13)], 0.04 * size, mix(skin, light.glow, 0.4))


def _bell(board: Board) -> None:
    """On its bracket, with a lit side."""
    light, x, y = board.light, board.rng.uniform(0.36, 0.64) * board.aspect, board.rng.uniform(0.56, 0.62)
    brass = mix(light.near, mix(light.glow, light.lamp, 0.5), 0.46)
    _shelf(board, y + 0.2)
    board.box(x - 0.02, y, x + 0.02, y + 0.2, light.near)
    board.dome(x, y, 0.3, 0.36, mix(brass, light.near, 0.4))
    board.dome(x - 0.05, y, 0.22, 0.34, brass)
    board.limb([(x - 0.19, y - 0.08), (x - 0.13, y - 0.22)], 0.02, mix(brass, light.glow, 0.8))
    board.limb([(x - 0.31, y), (x + 0.31, y)], 0.035, _red(board, "rim", mix(brass, light.near, 0.5)))
    board.disc(x, y - 0.37, 0.03, brass)
    board.disc(x, y + 0.055, 0.035, light.near)


def _dial(board: Board) -> None:
    """A round face with one needle."""
    light, x, y = board.light, board.rng.uniform(0.4, 0.6) * board.aspect, board.rng.uniform(0.42, 0.48)
    face = mix(light.low, light.glow, 0.5)
    _shelf(board, 0.88)
    board.poly([(x - 0.52, 0.88), (x - 0.45, -0.3), (x + 0.45, -0.3), (x + 0.52, 0.88)], mix(light.near, light.far, 0.3))
    for radius, color in ((0.37, light.near), (0.345, mix(light.near, light.lamp, 0.5)), (0.31, face)):
        board.disc(x, y, radius, color)
    for tick in range(24):
        angle = tick * math.pi / 12
        across, up, inner = math.sin(angle), math.cos(angle), 0.245 if tick % 3 else 0.215
        board.line((x + 0.285 * across, y - 0.285 * up), (x + inner * across, y - inner * up), 0.008, light.near)
    angle = -0.7 if board.says("left") else 0.7 if board.says("right") else board.rng.uniform(-0.2, 0.2)
    tip, tail = (x + 0.25 * math.sin(angle), y - 0.25 * math.cos(angle)), (x - 0.1 * math.sin(angle), y + 0.1 * math.cos(angle))
    board.limb([tail, tip], 0.018, light.near)
    board.disc(x, y, 0.03, light.near)


def _lamp(board: Board) -> None:
    """A round lens in its case, burning."""
    light, x, y = board.light, board.rng.choice((0.36, 0.62)) * board.aspect, board.rng.uniform(0.44, 0.52)
    fire = _red(board, r"(?:danger |hand )?(?:lamp|light|bull's-eye|glow|lantern)|with red", light.lamp)
    board.box(x - 0.05, y, x + 0.05, board.bottom, light.near)
    board.poly([(x - 0.27, y + 0.3), (x - 0.27, y - 0.22), (x - 0.12, y - 0.38), (x + 0.12, y - 0.38), (x + 0.27, y - 0.22),
                (x + 0.27, y + 0.3)], mix(light.near, light.far, 0.12))
    board.glow(x, y, 0.8, fire, 0.62)
    for radius, color in ((0.215, light.near), (0.19, mix(fire, light.near, 0.25)), (0.15, fire)):
        board.disc(x, y, radius, color)
    board.disc(x - 0.02, y - 0.02, 0.07, mix(fire, (255, 255, 255), 0.45))
    board.dome(x, y - 0.13, 0.25, 0.14, light.near)


def _red(board: Board, of: str, other: Color) -> Color:
    return (214, 44, 40) if board.says(rf"red(?: \w+)? (?:{of})|(?:{of})|red on its rim") and board.says("red") else other


def _page(board: Board) -> None:
    """An open book or a sheet on a table, seen from above at a slant."""
    light, lean = board.light, board.rng.uniform(-0.12, 0.12)
    x, paper = board.rng.uniform(0.42, 0.58) * board.aspect, mix(light.low, light.glow, 0.55)
    _shelf(board, 0.34)
    for side in (-1, 1):
        color = mix(paper, light.near, 0.06 if side < 0 else 0.2)
        board.poly([(x, 0.42), (x + side * 0.62, 0.44 + lean * side), (x + side * 0.8, 0.98 + lean * side), (x, 0.96)], color)
        for row in range(8):
            y = 0.5 + row * 0.055
            reach = 0.54 + row * 0.02
            board.line((x + side * 0.07, y), (x + side * reach, y + lean * side * 0.9), 0.008, mix(color, light.near, 0.45))
    board.line((x, 0.42), (x, 0.96), 0.012, mix(paper, light.near, 0.6))


def _ground(board: Board) -> None:
    """The lens on the ground: a rail runs away from it, small things lie near, a light far off."""
    light, flat = board.light, board.rng.uniform(0.48, 0.56)
    side = board.rng.choice((-1, 1))
    x, away = (0.5 + 0.2 * side) * board.aspect, (0.5 - 0.16 * side) * board.aspect
    board.defocus()
    bed, steel = mix(light.near, light.far, 0.2), mix(light.near, light.glow, 0.5)
    board.gradient(flat, 1.0, mix(bed, light.low, 0.3), bed)
    if board.says("headlamp|headlight|lamp|light"):
        board.glow(away, flat - 0.06, 0.5, light.lamp, 0.7)
        board.disc(away, flat - 0.06, 0.075, mix(light.lamp, (255, 255, 255), 0.35))
    board.poly([(away - 0.008, flat), (away + 0.008, flat), (x + 0.34, 1.7), (x - 0.34, 1.7)], mix(light.near, steel, 0.35))
    board.poly([(away - 0.004, flat), (away + 0.005, flat), (x + 0.16, 1.7), (x - 0.22, 1.7)], steel)
    for index in range(-60, 130):
        dice = board.dice("pebble", index)
        near = dice.random() ** 1.3
        px, y, radius = index * 0.035 + dice.uniform(-0.05, 0.05), flat + 0.04 + near * 0.7, 0.006 + 0.035 * near
        if abs(px - (away + (x - away) * (y - flat) / (1.7 - flat))) < 0.03 + 0.26 * (y - flat):
            continue
        board.oval(px, y, radius * 1.3, radius * 0.8, mix(bed, light.near, 0.25 + 0.5 * dice.random()))
        board.oval(px - radius * 0.25, y - radius * 0.25, radius * 0.8, radius * 0.35, mix(bed, light.low, 0.4))


def _thing(board: Board) -> None:
    """A still life: what the prompt names has no drawing of its own."""
    light, x = board.light, board.rng.uniform(0.36, 0.6) * board.aspect
    dark, lit = mix(light.near, light.far, 0.14), mix(light.near, light.glow, 0.4)
    _shelf(board, 0.8)
    board.box(x - 0.2, 0.36, x + 0.2, 0.8, dark)
    board.dome(x, 0.38, 0.2, 0.14, dark)
    board.limb([(x - 0.16, 0.42), (x - 0.16, 0.76)], 0.022, lit)
    board.oval(x + 0.42, 0.74, 0.14, 0.075, mix(dark, light.far, 0.2))
    board.limb([(x + 0.34, 0.7), (x + 0.42, 0.685)], 0.016, lit)


_DRAWN: dict[str, Callable[[Board], None]] = {
    "hand": _hand, "bell": _bell, "dial": _dial, "lamp": _lamp, "page": _page, "thing": _thing,
}
