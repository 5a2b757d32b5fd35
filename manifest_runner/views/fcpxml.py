"""A timeline as FCPXML 1.8, the format of Final Cut Pro since X, which Resolve reads too.

Not through OpenTimelineIO: its adapter rounds rates and cuts off times, and leaves out start time code, sizes, metadata and
auditions (docs/decisions/0014-fcpxml-is-written-here.md). Version 1.8 is the last that it reads, and old enough for everybody.

Laws
- Times are fractions of seconds on frames: those of the timeline in its own frame duration, those of a clip in the clip's.
- What is above another track in other editors is an audition here: the take of the cut first, the others behind it.
- The elements stand in the order that Apple's DTD asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from manifest_runner.core.cutsheet import Row, Sheet, TakeRow
from manifest_runner.core.model import Json
from manifest_runner.core.timecode import NTSC

_KEY = "com.manifest-runner"

_CONFORMED = {Fraction(24) * NTSC: "23.98", Fraction(24): "24", Fraction(25): "25", Fraction(30) * NTSC: "29.97",
              Fraction(30): "30", Fraction(48) * NTSC: "47.95", Fraction(48): "48", Fraction(50): "50",
              Fraction(60) * NTSC: "59.94", Fraction(60): "60"}
"""The rates of clips for which the DTD has a word."""


def fcpxml_text(sheet: Sheet) -> str:
    """The whole document."""
    return _Document(sheet).text()


class _Document:
    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._rate = sheet.timeline.rate
        self._root = Element("fcpxml", version="1.8")
        self._resources = SubElement(self._root, "resources")
        self._formats: dict[tuple[Fraction, tuple[int, int]], str] = {}
        self._own = self._format(self._rate, sheet.timeline.size)
        self._assets = 0

    def text(self) -> str:
        sheet, code = self._sheet, self._sheet.code
        event = SubElement(SubElement(self._root, "library"), "event", name=sheet.name)
        project = SubElement(event, "project", name=sheet.name)
        sequence = SubElement(project, "sequence", format=self._own, duration=_time(sheet.timeline.length, self._rate),
                              tcStart=_time(code.start, self._rate), tcFormat="DF" if code.drop else "NDF")
        spine = SubElement(sequence, "spine")
        for row in sheet.rows:
            self._place(row, spine)
        _metadata(sequence, sheet.facts)
        indent(self._root, space="  ")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n\n{tostring(self._root, encoding="unicode")}\n'

    def _place(self, row: Row, spine: Element) -> None:
        offset = _time(self._sheet.code.start + row.placed.start, self._rate)
        if row.shown is None:
            gap = SubElement(spine, "gap", name=row.label, offset=offset, duration=_time(row.placed.length, self._rate))
            _note(gap, row)
            _markers(gap, row, start="0s", duration=_time(1, self._rate))
            _metadata(gap, row.facts)
            return
        if not row.others:
            self._clip(spine, row, row.shown, row.placed.first, row.placed.length, offset=offset)
            return
        audition = SubElement(spine, "audition", offset=offset)
        self._clip(audition, row, row.shown, row.placed.first, row.placed.length)
        for take in row.others:
            used = take.clip.used_in(row.placed.shot)
            if used:
                self._clip(audition, row, take, used.start, take.clip.pictures.shown(used, self._rate))

    def _clip(self, parent: Element, row: Row, take: TakeRow, first: int, length: int, **attributes: str) -> None:
        clip = take.clip
        start = _time(first, clip.rate)
        element = SubElement(parent, "asset-clip", {
            "name": take.name, "ref": self._asset(take), **attributes, "start": start, "tcFormat": "NDF",
            "duration": _time(length, self._rate), "format": self._format(clip.rate, clip.size)})
        _note(element, row)
        if clip.rate != self._rate:  # shown in the same time, not frame by frame
            known = {"srcFrameRate": _CONFORMED[clip.rate]} if clip.rate in _CONFORMED else {}
            SubElement(element, "conform-rate", {"scaleEnabled": "0", **known})
        if take is row.shown:
            _markers(element, row, start=start, duration=_time(1, self._rate))
        _metadata(element, take.facts)

    def _asset(self, take: TakeRow) -> str:
        clip = take.clip
        self._assets += 1
        name = f"a{self._assets}"
        SubElement(self._resources, "asset", id=name, name=take.name, src=take.url, start="0s", hasVideo="1",
                   duration=_time(clip.frames, clip.rate), format=self._format(clip.rate, clip.size))
        return name

    def _format(self, rate: Fraction, size: tuple[int, int]) -> str:
        name = self._formats.get((rate, size))
        if name is None:
            name = self._formats[rate, size] = f"r{len(self._formats) + 1}"
            SubElement(self._resources, "format", id=name, frameDuration=_time(1, rate), width=str(size[0]),
                       height=str(size[1]))
        return name


def _note(element: Element, row: Row) -> None:
    if row.facts["note"]:
        SubElement(element, "note").text = row.facts["note"]


def _markers(element: Element, row: Row, *, start: str, duration: str) -> None:
    for mark in row.marks:
        SubElement(element, "marker", start=start, duration=duration, value=mark.name, note=mark.text)


def _metadata(element: Element, facts: dict[str, Json]) -> None:
    metadata = SubElement(element, "metadata")
    for key, value in facts.items():
        for text in _texts(value):
            SubElement(metadata, "md", key=f"{_KEY}.{key}", value=text, displayName=key.replace("_", " ").capitalize())


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        if value:
            yield "; ".join(map(str, value))
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    elif value is not None:
        yield str(value)


def _time(frames: int, rate: Fraction) -> str:
    """The beginning of a frame, or a length in frames, as a fraction of seconds."""
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"
