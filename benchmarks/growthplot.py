"""The plot of `docs/benchmarks.md`: seconds by shots, both on logarithmic axes, as SVG. Pure: series in, text out.

It stands for itself (no scripts, nothing fetched), and is readable on a light page and on a dark one. Lines are named where
they end, and names that would meet are moved apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import TypeAlias

Series: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]
"""By name: pairs of shots and seconds. The first ones are ours: their lines are thick."""

WIDTH, HEIGHT = 920, 480
LEFT, TOP, RIGHT, BOTTOM = 72, 30, 286, 52
APART = 17
"""Pixels between two names."""

STYLE = """\
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#24292f}
.page{fill:#ffffff}.grid{stroke:#d8dee4}.axis{stroke:#8c959f}.quiet{fill:#57606a}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}.ours{stroke-width:3.2}.name{font-weight:400}.own{font-weight:700}
"""
NIGHT = """\
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.page{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#6e7681}.quiet{fill:#9198a1}
"""
LIGHT = ("#0550ae", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#bf3989", "#0e7490", "#57606a", "#a40e26", "#6a8a00")
DARK = ("#79c0ff", "#ffa657", "#56d364", "#d2a8ff", "#e3b341", "#ff9bce", "#67d6e8", "#b1bac4", "#ff938a", "#b6e35a")


def plot(series: Series, *, ours: int, title: str) -> str:
    """The picture; the first `ours` series are drawn as this program's."""
    drawn = {name: sorted(points) for name, points in series.items() if points}
    shots = sorted({x for points in drawn.values() for x, _ in points})
    seconds = [y for points in drawn.values() for _, y in points]
    low, high = floor(log10(min(seconds))), ceil(log10(max(seconds)))
    first, last = log10(shots[0]), log10(shots[-1])

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((log10(x) - first) / (last - first) if last > first else 0.5)

    def down(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (log10(y) - low) / ((high - low) or 1))

    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', f"<title>{escape(title)}</title>",
             f"<style>\n{STYLE}{_colours(LIGHT, len(drawn))}{NIGHT}{_colours(DARK, len(drawn))}}}\n</style>",
             f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="6"/>']
    parts += _axes(shots, range(low, high + 1), across, down)
    heights = apart([down(points[-1][1]) for points in drawn.values()], least=TOP, most=HEIGHT - BOTTOM)
    for index, ((name, points), height) in enumerate(zip(drawn.items(), heights, strict=True)):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        own = index < ours
        parts.append(f'<polyline class="line c{index}{" ours" if own else ""}" points="{path}"/>')
        parts += [f'<circle class="f{index}" cx="{across(x):.1f}" cy="{down(y):.1f}" r="{4 if own else 2.8}"/>'
                  for x, y in points]
        end, edge = across(points[-1][0]), WIDTH - RIGHT + 22
        parts.append(f'<path class="line c{index}" stroke-opacity="0.45" style="stroke-width:1" '
                     f'd="M{end + 5:.1f},{down(points[-1][1]):.1f} L{edge - 4:.1f},{height:.1f}"/>')
        words = f"{name}  {points[-1][1]:.3g} s{'' if points[-1][0] == shots[-1] else f' at {points[-1][0]:,}'}"
        weight = "own" if own else "name"
        parts.append(f'<text class="f{index} {weight}" x="{edge}" y="{height + 4.5:.1f}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def apart(heights: Sequence[float], *, least: float, most: float) -> list[float]:
    """Where names stand: as near to their lines as can be without touching each other, between two bounds."""
    order = sorted(range(len(heights)), key=lambda index: (heights[index], index))
    placed: list[float] = []
    for index in order:
        placed.append(max(heights[index], least, placed[-1] + APART if placed else least))
    limit = most
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], limit)
        limit = placed[place] - APART
    found = [0.0] * len(heights)
    for index, height in zip(order, placed, strict=True):
        found[index] = height
    return found


def _axes(shots: Sequence[int], powers: range, across: Callable[[float], float], down: Callable[[float], float]) -> list[str]:
    right, bottom, parts = WIDTH - RIGHT, HEIGHT - BOTTOM, []
    for power in powers:
        y = down(10.0**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="quiet" x="{LEFT - 10}" y="{y + 4.5:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    for length in shots:
        x = across(length)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="quiet" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{length:,}</text>')
    parts.append(f'<path class="axis" fill="none" d="M{LEFT},{TOP} V{bottom} H{right}"/>')
    parts.append(f'<text class="quiet" x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">shots</text>')
    return parts


def _colours(palette: Sequence[str], count: int) -> str:
    return "".join(f".c{index}{{stroke:{colour}}}.f{index}{{fill:{colour}}}"
                   for index, colour in ((index, palette[index % len(palette)]) for index in range(count))) + "\n"
