"""What each figure of the benchmarks should be. Pure: figures in, verdicts out.

`ROWS` is the table of what is promised, in the order in which `docs/benchmarks.md` shows it. Each benchmark takes the aims of
its figures from `AIMS`, so a bound is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

Way: TypeAlias = Literal["ratio", "faster", "more", "figure"]
"""What of a figure is judged: ours over the peer's, the peer's over ours, ours less the peer's, or ours alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the promises."""

    key: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is judged, and what it must be at most or at least."""

    way: Way = "figure"
    most: float | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured, beside its peer where it has one.

    `ours` and `theirs` are in `unit`. `shots` is the length of the show, for the plot; `runs` is how many runs the median is
    of. `missing` says why there is no figure; `note` is what must be known to read it.
    """

    row: str
    what: str
    ours: float | None = None
    unit: str = ""
    peer: str = ""
    theirs: float | None = None
    aim: Aim | None = None
    shots: int | None = None
    runs: int = 1
    missing: str = ""
    note: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Figure:
        """A figure from its fields, as JSON has them."""
        aim = fields.get("aim")
        return cls(**{**fields, "aim": None if aim is None else Aim(**aim)})


ROWS = (
    Row(key="idle", title="Nothing to do"),
    Row(key="changed", title="Plan a changed manifest"),
    Row(key="growth", title="Growth: what one more shot costs"),
    Row(key="start", title="Start"),
    Row(key="templates", title="Confinement of templates"),
    Row(key="flight", title="10,000 jobs waiting"),
    Row(key="makespan", title="Makespan"),
    Row(key="ledger", title="Ledger"),
    Row(key="draft", title="Draft"),
)

AIMS = {
    "idle/ninja": Aim(way="ratio", most=2.0),
    "idle/doit": Aim(way="faster", least=8.0),
    "idle/snakemake": Aim(way="faster", least=40.0),
    "idle/dvc": Aim(way="faster", least=75.0),
    "changed/CSafeLoader": Aim(way="ratio", most=0.45),
    "changed/CSafeLoader, GC off": Aim(way="ratio", most=1.0),
    "changed/memory": Aim(way="ratio", most=1.0),
    "growth": Aim(way="ratio", most=1.3),
    "start/--version": Aim(way="ratio", most=1.3),
    "start/--help": Aim(way="ratio", most=5.0),
    "start/modules": Aim(most=0),
    "templates": Aim(way="more", most=60.0),
    "flight/cpu": Aim(way="ratio", most=1.2),
    "flight/memory": Aim(most=150.0),
    "flight/requests": Aim(way="ratio", most=0.4),
    "flight/delay": Aim(most=3.0),
    "makespan": Aim(way="ratio", most=1.05),
    "makespan/rate": Aim(way="ratio", most=1.0),
    "ledger/sync": Aim(most=10.0),
    "ledger/lockfile": Aim(most=1.0),
    "draft": Aim(least=4.0),
}
"""By row and what is judged of it."""


def reading(figure: Figure) -> float | None:
    """What is judged of a figure: in the way of its aim or, without one, against its peer where it has one."""
    ours, theirs = figure.ours, figure.theirs
    way: Way = figure.aim.way if figure.aim is not None else "figure" if theirs is None else "ratio"
    if ours is None or way == "figure":
        return ours
    if theirs is None:
        return None
    if way == "more":
        return ours - theirs
    above, below = (ours, theirs) if way == "ratio" else (theirs, ours)
    return above / below if below > 0 else None  # a difference of two medians may be less than nothing


def reached(figure: Figure) -> bool | None:
    """Whether a figure is what it should be; None where nothing was promised or nothing was measured."""
    value = reading(figure)
    if figure.aim is None or value is None:
        return None
    return ((figure.aim.most is None or value <= figure.aim.most)
            and (figure.aim.least is None or value >= figure.aim.least))


def target(aim: Aim | None, unit: str) -> str:
    """An aim in words."""
    if aim is None:
        return ""
    bound = f"≤ {aim.most:g}" if aim.most is not None else f"≥ {aim.least:g}"
    return {"ratio": f"{bound} ×", "faster": f"{bound} × faster", "more": f"{bound} {unit} more",
            "figure": f"{bound} {unit}".rstrip()}[aim.way]


def growth(figures: Iterable[Figure], what: str, aim: Aim | None) -> list[Figure]:
    """What one more shot costs from each length to the next, against the step before. Only figures with a length count."""
    ours = {figure.shots: figure.ours for figure in figures if figure.shots is not None and figure.ours is not None}
    steps = list(pairwise(sorted(ours)))
    each = [1e6 * (ours[b] - ours[a]) / (b - a) for a, b in steps]
    names = [f"{a:,} to {b:,}" for a, b in steps]
    return [Figure(row="growth", what=f"{what}, {names[i + 1]} shots", ours=each[i + 1], unit="µs a shot",
                   peer=f"{names[i]} shots", theirs=each[i], aim=aim) for i in range(len(each) - 1)]
