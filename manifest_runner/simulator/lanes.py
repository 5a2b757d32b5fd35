"""Ways that lead away from the viewer: streets, bare walls, railway cuttings, tunnels and iron bridges."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from manifest_runner.simulator.board import Board, Point, mix
from manifest_runner.simulator.cast import Spot

TRAM = r"trams?(?! (?:tracks?|rails?|stop|lines?)\b)"
RED = (214, 44, 40)


@dataclass(frozen=True, slots=True)
class Lane:
    """A straight way between two walls: a point of it is so far to the side, so high, and so many steps away."""

    x: float
    horizon: float
    eye: float = 0.3
    """The camera's height."""

    def at(self, side: float, up: float, away: float) -> Point:
        return self.x + side / away, self.horizon + (self.eye - up) / away


def _lane(board: Board, wide: float) -> Lane:
    """The sky and the ground of a lane, with its vanishing point."""
    light = board.light
    horizon = 0.4 if board.says(r"high (?:ms|ws|angle)|from above") else 0.74 if board.says(r"low (?:m?cu|ms|ws|angle)") else \
        board.rng.uniform(0.5, 0.62)
    lane = Lane(board.rng.uniform(0.3, 0.7) * board.aspect, horizon)
    board.sky(horizon)
    board.gradient(horizon, 1.0, mix(light.low, light.near, 0.45), mix(light.near, light.far, 0.12))
    board.glow(lane.x, horizon, 0.7, mix(light.low, light.glow, 0.5), 0.5)
    board.poly([lane.at(-wide, 0, 12), lane.at(wide, 0, 12), lane.at(wide, 0, 0.12), lane.at(-wide, 0, 0.12)],
               mix(light.near, light.far, 0.34))
    board.strokes(horizon + 0.05, mix(light.near, light.low, 0.36), 0.7)
    return lane


def _walls(board: Board, lane: Lane, wide: float, tall: tuple[float, float], *, windows: bool) -> None:
    """Both sides, house by house from the far end, each of its own height between the two of `tall`."""
    light, steps = board.light, [7 * 0.8 ** step for step in range(19)]
    for step, (away, near) in enumerate(pairwise(steps)):
        haze = min(1.0, away / 6)
        for side in (-wide, wide):
            dice = board.dice("wall", step, side)
            color = mix(mix(light.near, light.far, 0.16 + 0.3 * dice.random()), mix(light.low, light.far, 0.6), haze * 0.75)
            roof = dice.uniform(*tall)
            low = lane.at(side, 0, near)
            board.poly([lane.at(side, 0, away), lane.at(side, roof, away), lane.at(side, roof + 0.04, near), low], color)
            for row in range(5):
                if windows and dice.random() < 0.5 and 0.2 + 0.24 * row < roof - 0.15:
                    far, close = away + (near - away) * 0.3, away + (near - away) * 0.7
                    up = 0.2 + 0.24 * row
                    board.poly([lane.at(side, up, far), lane.at(side, up + 0.13, far), lane.at(side, up + 0.13, close),
                                lane.at(side, up, close)], mix(color, light.lamp, 0.55 if dice.random() < 0.4 else 0.12))
                elif not windows:
                    up = dice.uniform(0.05, roof)
                    board.line(lane.at(side, up, away), lane.at(side, up + dice.uniform(-0.05, 0.05), near), 0.003,
                               mix(color, light.near, 0.5))


def _rails(board: Board, lane: Lane) -> None:
    for side in (-0.16, 0.16):
        a, b, c = lane.at(side - 0.012, 0, 0.12), lane.at(side + 0.012, 0, 0.12), lane.at(side, 0, 12)
        board.poly([a, b, c], mix(board.light.near, board.light.glow, 0.45))


def street(board: Board) -> Spot:
    wide = board.rng.uniform(0.5, 0.7)
    lane = _lane(board, wide)
    _walls(board, lane, wide, (0.7, 1.5), windows=True)
    if board.says("trams?|rails?|tramway"):
        _rails(board, lane)
    for away in (3.2, 1.7, 0.95):
        for side in (-0.8 * wide, 0.8 * wide):
            foot, head = lane.at(side, 0, away), lane.at(side, 0.62, away)
            board.line(foot, head, 0.012 / away, board.light.near)
            board.glow(*head, 0.26 / away, board.light.lamp, 0.75)
            board.disc(*head, 0.022 / away, mix(board.light.lamp, (255, 255, 255), 0.5))
    if board.says(TRAM):
        _tram(board, lane)
    return Spot(foot=board.rng.uniform(0.92, 0.97), height=board.rng.uniform(0.34, 0.46))


def yard(board: Board) -> Spot:
    """Bare walls: where the prompt names no place."""
    wide = board.rng.uniform(0.55, 0.85)
    _walls(board, _lane(board, wide), wide, (0.55, 1.1), windows=False)
    return Spot(foot=board.rng.uniform(0.92, 0.97), height=board.rng.uniform(0.34, 0.46))


def railway(board: Board) -> Spot:
    """A cutting with its rails, and the tunnel at their end; or the tunnel from within."""
    if board.says("inside the tunnel|into the tunnel|in the tunnel"):
        return _tunnel(board)
    wide = board.rng.uniform(0.5, 0.8)
    lane, away = _lane(board, wide), board.rng.uniform(2.3, 3.0) if board.says("ws|wide|high") else board.rng.uniform(1.4, 2.2)
    _walls(board, lane, wide, (1.0, 1.7), windows=False)
    tunnel = board.says("tunnel|cutting|trench")
    if tunnel:
        _portal(board, lane, wide, away)
    _rails(board, lane)
    if board.says("locomotive|engine|trains?|carriages"):
        _engine(board, lane, 0.8 * away if tunnel else away)
    if board.says("tunnel|danger light|red point"):
        near = 0.72 * away
        x, y = lane.at(-0.8 * wide, 0.5, near)
        board.line(lane.at(-0.8 * wide, 0, near), (x, y), 0.016 / near, board.light.near)
        board.glow(x, y, 0.26 / near, RED, 0.8)
        board.disc(x, y, 0.026 / near, mix(RED, (255, 255, 255), 0.25))
    return Spot(foot=min(0.94, lane.at(0, 0, 0.85)[1]), height=0.42, across=(lane.x / board.aspect,))


def _portal(board: Board, lane: Lane, wide: float, away: float) -> None:
    light = board.light
    stone = mix(mix(light.low, light.far, 0.7), light.near, 0.3)
    (left, foot), (right, roof) = lane.at(-wide, 0, away), lane.at(wide, 1.15, away)
    board.poly([(left, foot), (left, roof), (lane.x, roof - 0.03), (right, roof + 0.02), (right, foot)], stone)
    spring = lane.at(0, 0.45, away)[1]
    for reach, color in ((0.44, mix(stone, light.near, 0.4)), (0.37, mix(light.near, (0, 0, 0), 0.5))):
        board.dome(lane.x, spring, reach / away, reach / away, color)
        board.box(lane.x - reach / away, spring - 0.01, lane.x + reach / away, foot, color)


def _tunnel(board: Board) -> Spot:
    """Rib by rib towards a bright horseshoe."""
    light = board.light
    lane = Lane(board.rng.uniform(0.36, 0.64) * board.aspect, board.rng.uniform(0.5, 0.58))
    ribs = [0.3 * 1.22 ** step for step in range(15)]
    dark = mix(light.near, (0, 0, 0), 0.45)
    board.box(board.left, board.top, board.right, board.bottom, dark)
    for step, away in enumerate(ribs):
        last = step == len(ribs) - 1
        color = mix(light.low, light.glow, 0.6) if last else mix(dark, light.far, (0.08, 0.3)[step % 2] + 0.028 * step)
        (left, foot), (right, spring) = lane.at(-0.6, 0, away), lane.at(0.6, 0.45, away)
        board.dome(lane.x, spring, 0.6 / away, 0.6 / away, color)
        board.box(left, spring - 0.002, right, foot, color)
    board.poly([lane.at(-0.6, 0, ribs[-1]), lane.at(0.6, 0, ribs[-1]), lane.at(0.6, 0, 0.12), lane.at(-0.6, 0, 0.12)],
               mix(dark, light.far, 0.16))
    _rails(board, lane)
    board.glow(lane.x, lane.horizon, 0.4, light.glow, 0.4)
    return Spot(foot=0.93, height=0.42, across=(lane.x / board.aspect,))


def _engine(board: Board, lane: Lane, away: float) -> None:
    """A locomotive from the front, in its steam."""
    light = board.light
    (x, y), size = lane.at(0, 0.36, away), 0.3 / away
    for puff in range(9):
        dice = board.dice("puff", puff)
        where = (x + dice.uniform(-0.5, 0.5), y - dice.uniform(0.1, 0.5), dice.uniform(0.2, 0.4))
        board.glow(*where, mix(light.glow, light.low, 0.3), 0.7)
    board.box(x - size, y, x + size, y + 1.1 * size, light.near)
    board.disc(x, y, size, mix(light.near, light.far, 0.25))
    board.disc(x, y, 0.86 * size, light.near)
    board.box(x - 0.16 * size, y - 1.5 * size, x + 0.16 * size, y - 0.8 * size, light.near)
    board.glow(x, y, 1.4 * size, light.lamp, 0.8)
    board.disc(x, y, 0.2 * size, mix(light.lamp, (255, 255, 255), 0.6))


def truss(board: Board) -> Spot:
    """An iron bridge along its middle, gate behind gate; a long lens stacks them, a short one spreads them."""
    light = board.light
    tele = board.says(r"(?:7|8|9|1\d|2\d|3\d)\dmm|long lens|telephoto")
    lane, wide, tall = Lane(board.rng.uniform(0.44, 0.56) * board.aspect, board.rng.uniform(0.54, 0.6)), 0.72, 0.98
    board.sky(lane.horizon)
    board.gradient(lane.horizon, 1.0, mix(light.low, light.far, 0.55), mix(light.near, light.far, 0.22))
    board.ridge(lane.horizon + 0.01, 0.08, 2.4, mix(light.far, light.low, 0.2))
    board.glow(lane.x, lane.horizon - 0.03, 0.5, light.lamp, 0.5)
    gates = [0.86 + 0.13 * step for step in range(12)] if tele else [0.42 * 1.36 ** step for step in range(10)]
    end = gates[-1]
    board.poly([lane.at(-wide, 0, end), lane.at(wide, 0, end), lane.at(wide, 0, 0.12), lane.at(-wide, 0, 0.12)],
               mix(light.near, light.far, 0.26))
    for track in (-0.34, 0.34):
        for side in (track - 0.13, track + 0.13):
            board.poly([lane.at(side - 0.01, 0, 0.12), lane.at(side + 0.01, 0, 0.12), lane.at(side, 0, end)],
                       mix(light.near, light.glow, 0.45))
    for near, far in reversed(list(pairwise([0.12, *gates]))):
        _bay(board, lane, (near, far), (wide, tall))
    if board.says(TRAM) and not board.says("POV"):
        _tram(board, lane)
    return Spot(foot=0.95, height=board.rng.uniform(0.34, 0.42), across=(0.5 * (lane.x / board.aspect + 0.5),))


def _bay(board: Board, lane: Lane, between: tuple[float, float], size: tuple[float, float]) -> None:
    """The iron from one gate to the next one, which stands at the far end."""
    light, (near, far), (wide, tall) = board.light, between, size
    color, thick = mix(light.near, mix(light.low, light.far, 0.5), min(0.7, 0.16 * far)), 0.05 / far
    for side in (-wide, wide):
        for up in (tall, 0.3, 0.18):
            board.line(lane.at(side, up, near), lane.at(side, up, far), thick * (0.9 if up == tall else 0.3), color)
        board.line(lane.at(side, 0, near), lane.at(side, tall, far), thick * 0.6, color)
        board.line(lane.at(side, tall, near), lane.at(side, 0, far), thick * 0.35, color)
        board.line(lane.at(side, 0, far), lane.at(side, tall, far), thick * 1.3, color)
        lamp = lane.at(0.9 * side, 0.56, far)
        board.glow(*lamp, 0.2 / far, light.lamp, 0.6)
        board.disc(*lamp, 0.03 / far, mix(light.lamp, (255, 255, 255), 0.5))
    board.line(lane.at(-wide, tall, far), lane.at(wide, tall, far), thick * 1.4, color)
    board.line(lane.at(-wide, tall - 0.12, far), lane.at(wide, tall - 0.12, far), thick * 0.6, color)


def _tram(board: Board, lane: Lane) -> None:
    """A tram from the side, passing: pale above, dark below, its windows lit."""
    light, top, foot = board.light, lane.horizon - 0.27, lane.horizon + 0.23
    left, right = lane.x - 0.62, lane.x + 0.72
    pale, brick = mix((214, 196, 160), light.near, 0.34), mix((118, 62, 50), light.near, 0.34)
    board.glow(right + 0.04, foot - 0.12, 0.34, light.lamp, 0.7)
    board.box(left, top, right, foot, pale)
    board.box(left, foot - 0.17, right, foot, brick)
    board.box(left - 0.02, top - 0.025, right + 0.02, top + 0.015, mix(pale, light.near, 0.55))
    for index in range(7):
        x = left + 0.05 + index * 0.185
        board.box(x, top + 0.07, x + 0.135, foot - 0.21, mix(light.lamp, (255, 255, 255), 0.15))
    for x in (left + 0.3, right - 0.3):
        board.disc(x, foot + 0.01, 0.055, light.near)
    board.disc(right, foot - 0.12, 0.032, mix(light.lamp, (255, 255, 255), 0.6))
