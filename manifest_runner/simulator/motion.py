"""Camera moves as geometry: which part of the picture the camera sees at every moment. Pure; no pictures here.

Signs are the API's: truck right, pedestal up, pan right, tilt up, clockwise roll and zoom *out* are positive. Names are the
camera's, so the picture goes the other way: a truck to the right lets the picture wander to the left.
A truck and a pedestal shift the near (lower) part of the picture faster than the far one; a pan and a tilt shift all alike.
At progress 0 every move is the identity, exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

PAN, TILT, ROLL, ZOOM, DOLLY = 0.034, 0.030, 3.0, 1.055, 1.04
"""What one step of ten does: shares of the window's width and height, degrees, factors."""

TRUCK, TRUCK_NEAR, PEDESTAL, PEDESTAL_NEAR = 0.026, 0.004, 0.024, 0.008
"""Shares per step at the middle of the picture, and how much more (less) of it at the lower (upper) edge."""

WIDEST = 1 / 0.94
"""How far a camera pulls out of a given picture at most: 6 % of the width is then not that picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A camera move: each field -10..10 in the API's units and signs; `dolly` follows zoom's (negative goes in)."""

    truck: float = 0.0
    pedestal: float = 0.0
    pan: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0
    zoom: float = 0.0
    dolly: float = 0.0

    @property
    def still(self) -> bool:
        return self == Move()

    def words(self) -> str:
        """The move in film words (`truck right 4, zoom in 2`), or `static`."""
        said = [f"{name} {_way(name, amount)} {abs(amount):g}" for name, amount in self.parts()]
        return ", ".join(said) or "static"

    def parts(self) -> list[tuple[str, float]]:
        """The fields that are not zero, with their amounts."""
        return [(name, amount) for name in _WAYS if (amount := getattr(self, name))]


_WAYS = {"truck": ("left", "right"), "pedestal": ("down", "up"), "pan": ("left", "right"), "tilt": ("down", "up"),
         "roll": ("ccw", "cw"), "zoom": ("in", "out"), "dolly": ("in", "out")}

_FIELDS = {"horizontal": "truck", "vertical": "pedestal", "pan": "pan", "tilt": "tilt", "roll": "roll", "zoom": "zoom"}

_NAMED = {
    "down_back": Move(pedestal=-4, dolly=5),
    "forward_up": Move(tilt=4, dolly=-5),
    "right_turn_forward": Move(pan=4, dolly=-5),
    "left_turn_forward": Move(pan=-4, dolly=-5),
}

_DOLLY_PHRASE = re.compile(r"\bthe camera dollies (in|out)\b", re.IGNORECASE)


def _way(name: str, amount: float) -> str:
    return _WAYS[name][amount > 0]


def move_of(camera_control: Mapping[str, Any] | None, prompt: str) -> Move:
    """The move that `camera_control` asks for; where it asks for none, a dolly if the prompt
    says `The camera dollies in.`"""
    control = camera_control or {}
    named = _NAMED.get(str(control.get("type")))
    if named is not None:
        return named
    config = control.get("config") or {}
    phrase = _DOLLY_PHRASE.search(prompt)
    if not any(config.values()) and phrase is not None:
        return Move(dolly=-5 if phrase[1].lower() == "in" else 5)
    return Move(**{field: max(-10.0, min(10.0, float(config.get(key) or 0))) for key, field in _FIELDS.items()})


def held_back(move: Move) -> Move:
    """The move with zoom and dolly reduced so that together they pull out no further than `WIDEST`."""
    out = _scale(move)
    if out <= WIDEST:
        return move
    part = math.log(WIDEST) / math.log(out)
    return replace(move, zoom=move.zoom * part, dolly=move.dolly * part)


def _scale(move: Move) -> float:
    """How much more the camera sees at the end, in length."""
    scale: float = ZOOM ** move.zoom * DOLLY ** move.dolly
    return scale


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees, from a point of the window to a point of the picture, both in pixels from the window's centre:
    `x' = a·x + b·y + c`, `y' = d·x + e·y + f`."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f


def ease(progress: float) -> float:
    """Soft at both ends and steady between: how a camera starts and stops."""
    soft = progress * progress * (3 - 2 * progress)
    return 0.4 * progress + 0.6 * soft


def view(move: Move, progress: float, width: int, height: int) -> View:
    """The view at `progress` 0..1 of the move, for a window of so many pixels."""
    t = ease(progress)
    scale = _scale(move) ** t
    # Screen y grows downwards, so a camera that turns clockwise sees the picture through a window turned clockwise.
    angle = math.radians(ROLL * move.roll * t)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    shear = 2 * TRUCK_NEAR * move.truck * t * width / height
    stretch = 1 - 2 * PEDESTAL_NEAR * move.pedestal * t
    return View(
        a=cos + shear * sin, b=shear * cos - sin, c=(PAN * move.pan + TRUCK * move.truck) * t * width,
        d=stretch * sin, e=stretch * cos, f=-(TILT * move.tilt + PEDESTAL * move.pedestal) * t * height,
    )


def margins(move: Move, width: int, height: int) -> tuple[int, int]:
    """How far beyond the window's sides, and beyond its upper and lower edge, the camera ever looks; even pixels."""
    corners = [(x * width / 2, y * height / 2) for x in (-1, 1) for y in (-1, 1)]
    seen = [view(move, step / 16, width, height).at(*corner) for step in range(17) for corner in corners]
    over_x = max(abs(x) for x, _ in seen) - width / 2
    over_y = max(abs(y) for _, y in seen) - height / 2
    return _even_up(over_x), _even_up(over_y)


def _even_up(pixels: float) -> int:
    return 2 * math.ceil(max(0.0, pixels) / 2) + (2 if pixels > 1e-9 else 0)
