"""The places that a storyboard picture can show, each one function that draws on a `Board`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from manifest_runner.simulator.board import Board, Color, mix
from manifest_runner.simulator.cast import Spot
from manifest_runner.simulator.lanes import railway, street, truss, yard


def _hills(board: Board) -> Spot:
    light, horizon = board.light, board.rng.uniform(0.5, 0.66)
    board.sky(horizon)
    layers = 4
    for layer in range(layers):
        depth = layer / (layers - 1)
        color = mix(light.far, light.near, depth * 0.85)
        rough, height = board.rng.uniform(2.2, 4.5) * (1.4 - 0.6 * depth), 0.26 * (1 - 0.62 * depth)
        board.ridge(horizon + 0.02 + 0.26 * depth, height, rough, color)
    board.strokes(horizon + 0.32, mix(light.near, light.far, 0.32), 1.0)
    return Spot(foot=board.rng.uniform(0.94, 0.98), height=board.rng.uniform(0.3, 0.46))


def _forest(board: Board) -> Spot:
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
    return Spot(foot=board.rng.uniform(0.93, 0.98), height=board.rng.uniform(0.3, 0.42))


def _city(board: Board) -> Spot:
    light, horizon = board.light, board.rng.uniform(0.66, 0.74)
    board.sky(horizon)
    lamp = light.lamp
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
    return Spot(foot=board.rng.uniform(0.93, 0.98), height=board.rng.uniform(0.32, 0.46))


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


def _sea(board: Board) -> Spot:
    light, horizon = board.light, board.rng.uniform(0.48, 0.6)
    board.sky(horizon)
    board.ridge(horizon + 0.01, 0.10, 2.4, mix(light.far, light.low, 0.25))
    board.gradient(horizon, 1.0, mix(light.low, light.far, 0.55), mix(light.near, light.far, 0.22))
    board.strokes(horizon + 0.02, mix(light.low, light.far, 0.25), 1.5)
    side, size = board.rng.choice((0.26, 0.34, 0.68)), board.rng.uniform(0.2, 0.3)
    _boat(board, side * board.aspect, horizon + 0.16, size)
    board.poly([(board.left, 0.93), (board.right, 0.88), (board.right, board.bottom), (board.left, board.bottom)], light.near)
    return Spot(foot=0.96, height=board.rng.uniform(0.34, 0.44), across=(0.7, 0.78) if side < 0.5 else (0.2, 0.3))


def _boat(board: Board, x: float, y: float, size: float) -> None:
    light, bow, stern = board.light, x + size, x - size
    board.poly([(stern, y - 0.02), (bow, y - 0.05), (x + size * 0.72, y + 0.07), (x - size * 0.7, y + 0.07)], light.near)
    board.box(x - 0.004, y - size * 1.25, x + 0.004, y, light.near)
    sail, jib = mix(light.glow, light.far, 0.25), mix(light.glow, light.far, 0.5)
    board.poly([(x + 0.012, y - size * 1.2), (x + 0.012, y - 0.06), (x + size * 0.8, y - 0.08)], sail)
    board.poly([(x - 0.012, y - size * 1.05), (x - 0.012, y - 0.06), (x - size * 0.6, y - 0.06)], jib)


def _bridge(board: Board) -> Spot:
    if board.says(r"truss\w*|girders?|iron bridge|tram|railings?"):
        return truss(board)
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
    return Spot(foot=board.rng.uniform(0.94, 0.98), height=board.rng.uniform(0.32, 0.44), across=(middle / board.aspect,))


def _pylon(board: Board, middle: float, horizon: float, depth: float, color: Color) -> None:
    """A gate over the deck with the cables that hang from it."""
    reach, foot, top, leg = 0.02 + 1.42 * depth, horizon + depth, horizon - 0.1 - 1.7 * depth, 0.008 + 0.1 * depth
    for side in (-1, 1):
        x = middle + side * reach
        for share in range(1, 7):
            end = (middle + side * (reach + share * depth * 0.62), foot + share * depth * 0.45)
            board.line((x, top + 0.01), end, 0.002, color)
        board.box(x - leg, top, x + leg, foot, color)
    for y in (top + 0.2 * (foot - top), top + 0.03):
        board.box(middle - reach, y, middle + reach, y + leg * 1.4, color)


def _interior(board: Board) -> Spot:
    light, floor = board.light, board.rng.uniform(0.7, 0.78)
    wall, lamp = mix(light.far, light.near, 0.45), light.lamp
    board.box(board.left, board.top, board.right, 0, mix(wall, light.near, 0.4))
    board.gradient(0, floor, mix(wall, light.near, 0.4), wall)
    for index in range(int(board.left / 0.2) - 1, int(board.right / 0.2) + 2):
        board.box(index * 0.2, board.top, index * 0.2 + 0.004, floor, mix(wall, light.near, 0.3))
    board.gradient(floor, 1.1, mix(light.near, light.far, 0.4), light.near)
    board.box(board.left, floor - 0.035, board.right, floor, mix(light.near, light.far, 0.2))
    centre, seam = board.aspect / 2, mix(light.near, light.far, 0.18)
    for index in range(-30, 31):
        board.line((centre + index * 0.13, floor), (centre + index * 0.42, floor + 0.65), 0.003, seam)
    _window(board, board.rng.choice((0.12, 0.58)) * board.aspect, 0.14)
    x = board.rng.choice((0.3, 0.5)) * board.aspect
    board.box(x - 0.003, board.top, x + 0.003, 0.2, light.near)
    board.glow(x, 0.27, 0.6, lamp, 0.6)
    board.poly([(x - 0.03, 0.2), (x + 0.03, 0.2), (x + 0.09, 0.26), (x - 0.09, 0.26)], mix(light.near, lamp, 0.2))
    table = board.rng.choice((0.2, 0.72)) * board.aspect
    board.box(table - 0.28, floor + 0.02, table + 0.28, floor + 0.05, light.near)
    for leg in (-0.24, 0.22):
        board.box(table + leg, floor + 0.05, table + leg + 0.02, floor + 0.24, light.near)
    return Spot(foot=0.97, height=board.rng.uniform(0.52, 0.64))


def _window(board: Board, x: float, y: float) -> None:
    """A window with the hour outside."""
    light, wide, tall = board.light, 0.46, 0.36
    board.box(x - 0.02, y - 0.02, x + wide + 0.02, y + tall + 0.02, light.near)
    for row in range(24):
        board.box(x, y + tall * row / 24, x + wide, y + tall * (row + 1) / 24, mix(light.top, light.low, row / 23))
    board.disc(x + wide * 0.7, y + tall * 0.35, 0.035, light.glow)
    hill = [(0.0, 1.0), (0.0, 0.72), (0.4, 0.62), (1.0, 0.8), (1.0, 1.0)]
    board.poly([(x + wide * across, y + tall * down) for across, down in hill], light.far)
    board.box(x + wide / 2 - 0.008, y, x + wide / 2 + 0.008, y + tall, light.near)
    board.box(x, y + tall / 2 - 0.008, x + wide, y + tall / 2 + 0.008, light.near)


PLACES: dict[str, Callable[[Board], Spot]] = {
    "bridge": _bridge, "interior": _interior, "street": street, "city": _city, "railway": railway, "sea": _sea,
    "forest": _forest, "hills": _hills, "yard": yard,
}
