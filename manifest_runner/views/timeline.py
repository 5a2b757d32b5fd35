"""What `timeline` says of the file that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from manifest_runner.core.cut import Format, Placed
from manifest_runner.core.cutsheet import Row, Sheet
from manifest_runner.core.timecode import rate_name
from manifest_runner.views.text import columns, count, safe

_NAMED = 8
"""Gaps and remarks that have a line of their own; beyond these their number says more."""


def timeline_text(sheet: Sheet, written: Sequence[str], kind: Format, steps: Sequence[str], *, brief: bool = False) -> str:
    """What was written; which shots are gaps and why, and which clips a person should look at; what the format leaves out; what
    to type next. With `brief` the files alone."""
    timeline, code = sheet.timeline, sheet.code
    lines = [f"{safe(written[0])}: {count(len(sheet.rows), 'shot')}, {float(timeline.length / timeline.rate):.1f} s at "
             f"{rate_name(timeline.rate)} frames a second, time code {code.at(code.start)} to "
             f"{code.at(code.start + timeline.length)}{' (drop frame)' if code.drop else ''}"]
    lines += [f"{safe(name)}: goes on where that one ends, since an EDL holds 999 events" for name in written[1:]]
    if brief:
        return "\n".join(lines)
    lines += _listed([(safe(row.name), f"gap of {_seconds(row.placed, sheet)}", safe(row.placed.why))
                      for row in sheet.rows if row.shown is None], "more gaps")
    lines += _listed([(f"{safe(row.name)} t{row.shown.clip.take}", "look at it", safe("; ".join(row.shown.clip.remarks)))
                      for row in sheet.rows if row.shown is not None and row.shown.clip.remarks], "more to look at")
    others = _left_out(sheet.rows, kind)
    if others:
        lines.append(f"{count(others, 'other take')} left out: {kind.value} holds one a shot; otio, otioz and fcpx hold all")
    return "\n".join([*lines, *(f"next: {click.style(safe(step), bold=True)}" for step in steps)])


def _listed(rows: Sequence[tuple[str, ...]], rest: str) -> list[str]:
    lines = [f"  {line}" for line in columns(rows[:_NAMED])]
    return lines + ([f"  {len(rows) - _NAMED:,} {rest}"] if len(rows) > _NAMED else [])


def _seconds(placed: Placed, sheet: Sheet) -> str:
    return f"{round(float(placed.length / sheet.timeline.rate), 2):g} s"


def _left_out(rows: Sequence[Row], kind: Format) -> int:
    return 0 if kind.holds_takes else sum(len(row.others) for row in rows)


def timeline_dict(sheet: Sheet, written: Sequence[str], kind: Format, steps: Sequence[str]) -> dict[str, Any]:
    """The same for programs; times in frames of the timeline."""
    timeline, code = sheet.timeline, sheet.code
    return {
        "format": kind.value, "paths": list(written), "rate": str(timeline.rate), "drop_frame": code.drop,
        "start": code.at(code.start), "frames": timeline.length, "width": timeline.size[0], "height": timeline.size[1],
        "shots": [{"shot": row.name, "take": row.placed.shot.cut_take, "start": row.placed.start, "frames": row.placed.length,
                   "clip": None if row.shown is None else row.shown.clip.path, "why": row.placed.why,
                   "others": [take.clip.take for take in row.others],
                   "remarks": [] if row.shown is None else list(row.shown.clip.remarks)} for row in sheet.rows],
        "gaps": len(timeline.gaps), "left_out": _left_out(sheet.rows, kind), "next": list(steps),
    }
