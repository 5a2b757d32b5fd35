"""Figures to the page `docs/benchmarks.md`. Pure: the same figures give the same text, and no number stands here.

Every row of what is promised is on the page, measured or not; a figure that is missing says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.targets import ROWS, Figure, Row, reached, reading, target

HEAD = """\
# Benchmarks

<!-- Written by benchmarks/bench.py. Do not edit: run `make bench`. -->

What is measured is a wheel of this checkout, installed in an environment of its own, beside its peers in another one.
Commands that are compared are whole processes that run in turn; figures are medians, and *runs* says of how many: what takes
seconds runs less often. Seconds hold for one machine, ratios nearly everywhere. `make bench` repeats all of it in some forty
minutes; `make bench-quick` compares a checkout with an older commit.

Peers have a show of as many shots, each a file of its own from which a clip is made. All but openjd look at every shot and
every clip; none of them fills templates, or compares requests and prices with a ledger and a lockfile.
"""

EXPLAINED = {
    "idle": """\
A show of which every take is rendered, and which was planned once since: `manifest-runner plan` says that nothing is to do.
The peers see that each clip is younger than its shot, or that neither has another content.""",
    "changed": """\
The same show with one prompt changed, some 450 characters a shot. The peer only reads the manifest's YAML, with PyYAML's
loader in C, and does nothing with it.""",
    "growth": """\
What one more shot costs from each length to the next, beside what it cost in the step before.""",
    "start": """\
The console script of the wheel, and the bare interpreter.""",
    "templates": """\
Templates that compute are evaluated in a process of their own, which starts once a run. The peer is the same manifest with
plain names.""",
    "flight": """\
Jobs that last as long as the simulator deals them, followed by the program's engine, gateway and ledger; on paper only its
timetable and pace, in virtual time. The peer asks about every job at a fixed pace.""",
    "makespan": """\
The real engine on a clock that waits for nobody, on jobs as the simulator deals them. Nobody can be faster than the bound:
the work over the places, or the end of the last job when the longest leave first, as early as the rate allows.""",
    "ledger": """\
Four records a job, each durable before it returns. What is counted is the time of the commits with SQLite's syncs less that
without.""",
    "draft": """\
The length of the clips over the seconds of CPU.""",
}
"""What is measured, and what the peer does; nothing that a run could find otherwise."""

WOULD_TAKE = {
    "changed": """\
Most of it goes into looking at every value of every shot in Python. It would take a validator in C.""",
    "growth": """\
No stage has a step that grows faster than the shots. What is held at once of a long show no longer fits the processor's caches,
and what a shot of a short one costs is so little beside the start of the interpreter that it differs by half from run to run.
It would take less memory a shot.""",
    "start": """\
Most of `--help` is the import of click; to be faster it would have to be a text that is kept.""",
    "flight": """\
A look is worth so much delay (`core/polling.py`): more of one is less of the other. A first run learns how long its jobs take
while it follows them, and pays for that in looks; and ten thousand jobs that leave within two minutes ask for more looks a
second than a run allows itself. It would take webhooks, which need no looks, or an answer for many jobs at once, which the
gateway does not have. Beside the quick transport the checking and recording of an answer weighs more than beside httpx's
own, though both together cost half as much.""",
    "makespan": """\
The bound knows how long each job will take. A run knows at best what others of its kind took, and under a rate the last one
to leave ends last, however long it happens to take. How far leaving longest first would come by the averages of the kinds, the
lines on paper say: hardly further. It would take a provider that says how long a job will be.""",
    "ledger": """\
A commit waits for the disk, and carries what has gathered while the one before it did. Fewer syncs a job need more jobs at
once, or a wait for company, by which every answer would come later.""",
}
"""By row: what it would take to reach what is not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and with what it was measured: names and values in the order in which they are shown. `profiles` are texts by
    the key of the row that they belong to."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    profiles: Mapping[str, str] = field(default_factory=dict)


def page(figures: Sequence[Figure], setting: Setting, *, plot: str = "") -> str:
    """The whole page. `plot` is the path of the picture of the growth."""
    parts = [HEAD, "## Targets\n", summary(figures)]
    if plot:
        parts += ["## Growth\n", f"![Seconds by the number of shots]({plot})\n"]
    for row in ROWS:
        mine = [figure for figure in figures if figure.row == row.key]
        shown = matrix if row.key == "idle" and any(figure.theirs for figure in mine) else details
        parts += [f"## {row.title}\n", f"{EXPLAINED[row.key]}\n", shown(mine) if mine else "Not measured.\n"]
        if row.key in WOULD_TAKE and any(reached(figure) is False for figure in mine):
            parts.append(f"Not all of this is reached. {WOULD_TAKE[row.key]}\n")
        if row.key in setting.profiles:
            parts += ["Where the time goes, by the interpreter's own profile:\n",
                      f"```\n{setting.profiles[row.key].rstrip()}\n```\n"]
    parts += ["## Machine and versions\n", _listed({**setting.machine, **setting.versions})]
    return "\n".join(parts)


def summary(figures: Sequence[Figure]) -> str:
    """Every row of what is promised, one line a target."""
    verdicts = [reached(figure) for figure in figures if figure.aim is not None]
    lines = [f"{verdicts.count(True)} of {len(verdicts)} targets are reached.", "",
             "| what | figure | peer | ratio | target | reached |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        aimed = [figure for figure in figures if figure.row == row.key and figure.aim is not None]
        lines += [_line(row, figure) for figure in aimed] or [f"| {row.title} | not measured | | | | |"]
    return "\n".join(lines) + "\n"


def details(figures: Sequence[Figure]) -> str:
    """All figures of one row."""
    lines = ["| | manifest-runner | peer | | ratio | runs |", "|---|---|---|---|---|---|"]
    for figure in figures:
        theirs = figure.missing or amount(figure.theirs, figure.unit)
        lines.append(f"| {figure.what} | {amount(figure.ours, figure.unit)} | {figure.peer} | {theirs} | {ratio(figure)} "
                     f"| {figure.runs} |")
    return "\n".join([*lines, "", *notes(figures)])


def matrix(figures: Sequence[Figure]) -> str:
    """Peers below each other and lengths beside each other: seconds, and how many times ours they are."""
    lengths = sorted({figure.shots for figure in figures if figure.shots is not None})
    ours = {figure.shots: amount(figure.ours, figure.unit) for figure in figures}
    rows: dict[str, list[str]] = {"**manifest-runner**": [f"**{ours[length]}**" for length in lengths]}
    for peer in dict.fromkeys(figure.peer for figure in figures):
        by_length = {figure.shots: figure for figure in figures if figure.peer == peer}
        rows[peer] = [_beside(by_length.get(length)) for length in lengths]
    runs = sorted({figure.runs for figure in figures if figure.theirs is not None}, reverse=True)
    lines = [f"| | {' | '.join(f'{length:,} shots' for length in lengths)} |", f"|---|{'---|' * len(lengths)}",
             *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]
    said = f"Medians of {' or, where it takes seconds, '.join(map(str, runs))}; × is the peer's time over ours.\n"
    return "\n".join([*lines, "", said, *notes(figures)])


def _beside(figure: Figure | None) -> str:
    if figure is None or figure.theirs is None:
        return figure.missing if figure is not None else ""
    times = f", {number(figure.theirs / figure.ours)} ×" if figure.ours else ""
    return f"{amount(figure.theirs, figure.unit)}{times}"


def notes(figures: Sequence[Figure]) -> list[str]:
    """What must be known to read these figures, each once."""
    found = dict.fromkeys(f"- {figure.peer or figure.what}: {figure.note}." for figure in figures if figure.note)
    return [*found, ""] if found else []


def _line(row: Row, figure: Figure) -> str:
    peer = f"{figure.peer}: {figure.missing or amount(figure.theirs, figure.unit)}" if figure.peer else ""
    verdict = {True: "yes", False: "**no**", None: figure.missing or "unclear"}[reached(figure)]
    return (f"| {row.title}: {figure.what} | {amount(figure.ours, figure.unit)} | {peer} | {ratio(figure)} "
            f"| {target(figure.aim, figure.unit)} | {verdict} |")


def ratio(figure: Figure) -> str:
    """A figure beside its peer, in the direction in which it is judged."""
    value = reading(figure)
    if value is None or figure.theirs is None:
        return ""
    way = figure.aim.way if figure.aim is not None else "ratio"
    return {"faster": f"{number(value)} × faster", "more": f"{value:+.3g} {figure.unit}"}.get(way, f"{number(value)} ×")


def amount(value: float | None, unit: str) -> str:
    """A figure with its unit; nothing where there is none."""
    return "" if value is None else f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """Three digits that count, without powers of ten."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    places = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{places}f}"


def _listed(values: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in values.items())]) + "\n"
