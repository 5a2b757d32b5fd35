"""A run as a few lines for a terminal: a bar with a part for each stage, counts, credits, pace, time left, failures.

Pure: where a run stands, the size of the terminal and its signs in, lines out. The parts of the bar differ by their sign as
well as by their colour, and the counts below name each sign. No line is wider than the terminal, and all of them fit into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from manifest_runner.core.outcome import Ending, Outcome, Queued
from manifest_runner.core.pricing import format_credits
from manifest_runner.core.remaining import Remaining
from manifest_runner.core.running import Bounds, Now, Stage
from manifest_runner.views.text import safe

COLOURS = {Stage.DONE: "green", Stage.DOWNLOADING: "bright_cyan", Stage.RENDERING: "cyan", Stage.WAITING: "bright_black",
           Stage.LEFT: "yellow", Stage.FAILED: "red"}

Signs = Mapping[Stage, str]
SIGNS: Signs = {Stage.DONE: "█", Stage.DOWNLOADING: "▓", Stage.RENDERING: "▒", Stage.WAITING: "░", Stage.LEFT: "-",
                Stage.FAILED: "✗"}
PLAIN: Signs = {Stage.DONE: "#", Stage.DOWNLOADING: "v", Stage.RENDERING: ">", Stage.WAITING: ".", Stage.LEFT: "-",
                Stage.FAILED: "x"}
"""For outputs that know ASCII only."""

WIDEST_BAR = 80
FAILURES = 5
"""Failed takes that stay in sight, the latest ones; all of them are listed at the end."""

_UNITS = {1: "second", 60: "minute", 3600: "hour"}


def frame(now: Now, bounds: Bounds, *, title: str, priced: bool, width: int, height: int, signs: Signs = SIGNS,
          ended: bool = False) -> list[Text]:
    """The lines. `ended` leaves out what only means something while the run goes on."""
    head = [_bar(now, title, width, signs), *_flow(_counts(now, signs), width, gap="  ")]
    facts = [*(_money(now, bounds) if priced else ()), *(() if ended else (_submissions(now, bounds), _time(now)))]
    head += _flow([Text(fact) for fact in facts if fact], width, gap=" · ")
    if not ended:
        head += [line for line in (_flying(now, signs, width), _waiting(now, bounds)) if line]
    room = max(height - 1, 1)  # the cursor waits on a line of its own
    return [_cut(line, width) for line in [*head, *_failures(now.failed, signs, room - len(head), ended=ended)][:room]]


# ── the bar ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _bar(now: Now, title: str, width: int, signs: Signs) -> Text:
    done = f"{now.stages[Stage.DONE]:,} of {now.total:,}"
    name = _fit(title, max(width // 4, 8))
    cells = min(width - cell_len(name) - len(done) - 2, WIDEST_BAR)
    line = Text.assemble((name, "bold"), " ")
    for stage, count in _shares(now.stages, cells):
        line.append(signs[stage] * count, style=COLOURS[stage])
    line.append(f" {done}", style="bold")
    return line


def _shares(stages: Mapping[Stage, int], cells: int) -> list[tuple[Stage, int]]:
    """So many cells for each stage, in proportion; what is there at all has one cell at least."""
    there = [stage for stage in Stage if stages[stage]]
    total = sum(stages.values())
    if not there or cells < len(there):
        return []
    counts = {stage: max(1, cells * stages[stage] // total) for stage in there}
    by_need = sorted(there, key=lambda stage: counts[stage] * total - cells * stages[stage])  # who has least of its due
    for step in range(abs(cells - sum(counts.values()))):
        if sum(counts.values()) < cells:
            counts[by_need[step % len(by_need)]] += 1
        else:
            counts[max(there, key=lambda stage: counts[stage])] -= 1
    return [(stage, counts[stage]) for stage in there]


def _counts(now: Now, signs: Signs) -> Iterable[Text]:
    for stage in Stage:
        if now.stages[stage]:
            words = f" {now.stages[stage]:,} {'not done' if stage is Stage.LEFT else stage.value}"
            yield Text.assemble((signs[stage], COLOURS[stage]), words)


# ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _money(now: Now, bounds: Bounds) -> Iterable[str]:
    yield f"{format_credits(now.charged)} credits charged"
    if now.reserved:
        yield f"{format_credits(now.reserved)} reserved"
    if bounds.credits is not None:
        yield f"limit {format_credits(bounds.credits)}"


def _submissions(now: Now, bounds: Bounds) -> str:
    """What has left against the rate, as long as more is to leave."""
    rate = bounds.rate
    if rate is None or not now.stages[Stage.WAITING]:
        return ""
    return f"{now.submitted} of {rate.count} submissions in the last {_UNITS[rate.per]}"


def _time(now: Now) -> str:
    return f"{clock(now.elapsed)} so far" if now.left is None else f"{clock(now.elapsed)} so far, {time_left(now.left)}"


def clock(seconds: float) -> str:
    """`0:07`, `12:40`, `1:02:00`."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def time_left(left: Remaining) -> str:
    """`about 4 min left`, `3–5 min left`: no finer than one can know."""
    if left.most < 10:
        return "a few seconds left"
    unit, name = (10, "s") if left.most < 100 else (60, "min") if left.most < 5400 else (3600, "h")
    least, most = (max(round(value / unit), 1) * (10 if unit == 10 else 1) for value in (left.least, left.most))
    return f"about {most} {name} left" if least == most else f"{least}–{most} {name} left"


# ── single takes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _flying(now: Now, signs: Signs, width: int) -> Text | None:
    """The takes at the gateway, the oldest first, as many as fit."""
    line = Text.assemble((signs[Stage.RENDERING], COLOURS[Stage.RENDERING]), " ")
    shown = 0
    for key, seconds in now.flying:
        words = f"{', ' if shown else ''}{safe(key.shot)} t{key.take} {clock(seconds)}"
        more = now.places - shown - 1
        if shown and line.cell_len + cell_len(words) + len(f", {more:,} more") > width:
            break
        line.append(words)
        shown += 1
    if shown and now.places > shown:
        line.append(f", {now.places - shown:,} more")
    return line if shown else None


def _waiting(now: Now, bounds: Bounds) -> Text | None:
    words = "" if now.queued is None else why_waiting(now.queued, now.places, bounds)
    return Text(f"… {words}", style="yellow") if words else None


def why_waiting(queued: Queued, places: int, bounds: Bounds) -> str:
    """Why the next submission waits, where that is worth saying. `places` are the jobs of this run in flight."""
    who = safe(queued.who)
    match queued.why:
        case "held":
            return f"another run is about to send this take{f': {who}' if who else ''}"
        case "concurrency" if who:
            return f"waiting for a place; in flight: {who}"
        case "concurrency" if bounds.concurrency is not None and places < bounds.concurrency:
            return f"waiting for a place: another run holds {bounds.concurrency - places} of {bounds.concurrency}"
        case "crowd":
            return f"waiting for a place: the gateway takes no more jobs at once{f' (in flight: {who})' if who else ''}"
        case "pace":
            return "going slower, because the gateway asked for it"
        case "pause":
            return "waiting because the gateway asked for it"
        case "turn":
            return f"{who or 'another run'} has waited longer and goes first"
    return ""


def _failures(failed: Sequence[Outcome], signs: Signs, room: int, *, ended: bool) -> Iterable[Text]:
    shown = failed if ended else failed[max(len(failed) - max(min(FAILURES, room - 1), 1), 0):]
    if len(failed) > len(shown):
        yield Text(f"{signs[Stage.FAILED]} {len(failed) - len(shown):,} more failed", style=COLOURS[Stage.FAILED])
    for outcome in shown:
        doubt = "in doubt: " if outcome.ending is Ending.IN_DOUBT else ""
        yield Text.assemble((f"{signs[Stage.FAILED]} ", COLOURS[Stage.FAILED]),
                            (f"{safe(outcome.key.shot)} t{outcome.key.take}", "bold"), f": {doubt}{safe(outcome.words)}")


# ── widths ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _flow(parts: Iterable[Text], width: int, *, gap: str) -> list[Text]:
    """The parts one after another, on as many lines as they need."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(gap) + part.cell_len <= width:
            lines[-1].append(gap).append_text(part)
        else:
            lines.append(Text.assemble(part))
    return lines


def _cut(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def _fit(words: str, width: int) -> str:
    return words if cell_len(words) <= width else set_cell_size(words, width - 1).rstrip() + "…"
