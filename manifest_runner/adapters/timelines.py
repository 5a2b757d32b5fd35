"""Timelines through OpenTimelineIO: `.otio` and its bundle `.otioz`, CMX 3600 EDL, Final Cut Pro 7 XML. The only module that
knows it.

Laws
- What stands where is decided in `core/cut.py`; every position here is one of its whole frames.
- A clip's source range begins on a frame of the clip and lasts whole frames of the timeline, so that positions add up exactly.
- EDL: events are counted to 999 and then go on in another file; the code starts where the timeline does, which OpenTimelineIO's
  adapter would forget, so a gap before the first event stands for it; all numbers are frames at the nominal rate, so that code
  without drop frame comes out at 29.97 as well, where the adapter would always drop.
- Final Cut Pro 7 XML: what the adapter has no place for goes through its own `fcp_xml` metadata.
- The same sheet gives the same bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from manifest_runner.adapters.files import replacing
from manifest_runner.core.cutpoints import nearest
from manifest_runner.core.cutsheet import NAMESPACE, Kind, Mark, Row, Sheet, TakeRow, reel_names
from manifest_runner.core.timecode import RATES, nominal
from manifest_runner.errors import MediaError, MissingExtra

try:
    import opentimelineio as otio
    from opentimelineio.opentime import RationalTime, TimeRange
except ImportError as missing:
    raise MissingExtra("timeline", "writing a timeline") from missing

_COLOURS = {Kind.NOTE: "GREEN", Kind.LOOK: "ORANGE", Kind.GAP: "RED"}
_EDL_COLOURS = {**_COLOURS, Kind.LOOK: "YELLOW"}  # the colours that EDLs know are fewer
_EVENTS = 999
_ITEM = ("name", "enabled", "duration", "rate", "start", "end", "in", "out", "effect", "file", "marker", "logginginfo",
         "comments")
_ORDER = {"clipitem": _ITEM, "generatoritem": _ITEM, "sequence": ("name", "duration", "rate", "timecode", "media")}
"""What stands inside an element of Final Cut Pro 7 XML, in order."""

_BUNDLE_VERSION = "1.0.0"  # of OpenTimelineIO's file bundles

Metadata = dict[str, Any]


# ── OpenTimelineIO's own ──────────────────────────────────────────────────────────────────────────────────────────────


def otio_text(sheet: Sheet) -> str:
    """The timeline as OpenTimelineIO JSON: every take of a shot is a media reference of its clip, the one in the cut active."""
    return _written(_timeline(sheet, _otio_item), "otio_json")


def write_otioz(sheet: Sheet, to: Path, places: Mapping[str, Path]) -> None:
    """The timeline and all its clips in one file at `to`, which appears whole or not at all.

    `sheet` names each clip by its address inside the bundle; `places` is where it lies, by that address. Raises `MediaError`
    where a clip is not the one that the sheet names. (OpenTimelineIO's own writer would take along the active takes alone.)
    """
    wanted = {take.url: take for row in sheet.rows for take in _takes(row)}
    texts = (("version.txt", _BUNDLE_VERSION), ("content.otio", otio_text(sheet)))
    with replacing(to) as file, zipfile.ZipFile(file, "w") as bundle:
        for name, text in texts:
            bundle.writestr(_entry(name, zipfile.ZIP_DEFLATED), text)
        for url, take in wanted.items():
            _bundled(bundle, url, take, places[url])


def _entry(name: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # from 1980, as archives count: when it was made is not what is in it
    entry.compress_type = method
    entry.external_attr = 0o644 << 16
    return entry


def _bundled(bundle: zipfile.ZipFile, name: str, take: TakeRow, place: Path) -> None:
    import hashlib

    digest = hashlib.sha256()
    try:
        with place.open("rb") as clip, bundle.open(_entry(name, zipfile.ZIP_STORED), "w", force_zip64=True) as target:
            while block := clip.read(1 << 20):
                digest.update(block)
                target.write(block)
    except OSError as error:
        raise MediaError(f"{place.name} cannot be put into the bundle: {error.strerror or error}") from error
    if digest.hexdigest() != take.clip.file.sha256:
        raise MediaError(f"{place.name} is not the clip that the lockfile names", code="output-changed",
                         hint="the next render brings it back, for nothing")


def _otio_item(row: Row, sheet: Sheet) -> Any:
    if row.shown is None:
        return _gap(row, sheet)
    takes = {f"take {take.clip.take}": _reference(take) for take in _takes(row)}
    clip = otio.schema.Clip(name=row.name, source_range=_source(row, sheet), metadata={NAMESPACE: row.facts})
    clip.set_media_references(takes, f"take {row.shown.clip.take}")
    clip.markers.extend(_marker(mark, clip.source_range.start_time) for mark in row.marks)
    return clip


def _reference(take: TakeRow) -> Any:
    clip = take.clip
    rate = float(clip.rate)
    reference = otio.schema.ExternalReference(
        target_url=take.url, metadata={NAMESPACE: take.facts},
        available_range=TimeRange(RationalTime(0, rate), RationalTime(clip.frames, rate)))
    reference.name = take.file_name
    return reference


# ── what all formats share ────────────────────────────────────────────────────────────────────────────────────────────


def _timeline(sheet: Sheet, item: Callable[[Row, Sheet], Any]) -> Any:
    """One video track with an item for each shot."""
    rate = float(sheet.timeline.rate)
    timeline = otio.schema.Timeline(name=sheet.name, metadata={NAMESPACE: sheet.facts})
    timeline.global_start_time = RationalTime(sheet.code.start, rate)
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    track.extend([item(row, sheet) for row in sheet.rows])
    timeline.tracks.append(track)
    return timeline


def _takes(row: Row) -> tuple[TakeRow, ...]:
    """Those that are there, by number."""
    shown = () if row.shown is None else (row.shown,)
    return tuple(sorted((*shown, *row.others), key=lambda take: take.clip.take))


def _source(row: Row, sheet: Sheet) -> Any:
    """What a shot uses of its clip, as long as it lasts on the timeline."""
    assert row.shown is not None  # noqa: S101 - gaps have no source
    return TimeRange(RationalTime(row.placed.first, float(row.shown.clip.rate)),
                     RationalTime(row.placed.length, float(sheet.timeline.rate)))


def _gap(row: Row, sheet: Sheet) -> Any:
    rate = float(sheet.timeline.rate)
    gap = otio.schema.Gap(name=row.label, metadata={NAMESPACE: row.facts},
                          source_range=TimeRange(RationalTime(0, rate), RationalTime(row.placed.length, rate)))
    gap.markers.extend(_marker(mark, RationalTime(0, rate)) for mark in row.marks)
    return gap


def _marker(mark: Mark, at: Any, **metadata: Metadata) -> Any:
    return otio.schema.Marker(name=mark.name, color=_COLOURS[mark.kind], comment=mark.text, metadata=metadata,
                              marked_range=TimeRange(at, RationalTime(1, at.rate)))


def _written(timeline: Any, adapter: str, **arguments: Any) -> str:
    return str(otio.adapters.write_to_string(timeline, adapter, **arguments))


# ── CMX 3600 ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def edl_texts(sheet: Sheet) -> list[str]:
    """The timeline as EDLs of at most 999 events each; the second goes on where the first ends."""
    reels = reel_names(row.shown.name for row in sheet.rows if row.shown is not None)
    parts = [sheet.rows[start:start + _EVENTS] for start in range(0, len(sheet.rows), _EVENTS)]
    return [_edl(sheet, rows, reels, f" part {number} of {len(parts)}" if len(parts) > 1 else "")
            for number, rows in enumerate(parts, 1)]


def _edl(sheet: Sheet, rows: Sequence[Row], reels: Mapping[str, str], part: str) -> str:
    # The adapter drops frames wherever the rate allows it. Frames have the same numbers at the nominal rate, without.
    rate = float(sheet.code.rate) if sheet.code.drop else float(nominal(sheet.code.rate))
    timeline = otio.schema.Timeline(name=_line(sheet.name) + part)
    track = otio.schema.Track(name="V", kind=otio.schema.TrackKind.Video)
    before = sheet.code.start + rows[0].placed.start
    if before:
        track.append(otio.schema.Gap(source_range=TimeRange(RationalTime(0, rate), RationalTime(before, rate))))
    track.extend([_event(row, sheet, reels, rate) for row in rows])
    timeline.tracks.append(track)
    title, _, events = _written(timeline, "cmx_3600", rate=rate).partition("\n")
    return f"{title}\nFCM: {'DROP FRAME' if sheet.code.drop else 'NON-DROP FRAME'}\n{events}"


def _event(row: Row, sheet: Sheet, reels: Mapping[str, str], rate: float) -> Any:
    placed, shown = row.placed, row.shown
    first = 0 if shown is None else nearest(placed.first / shown.clip.rate * sheet.timeline.rate)
    clip = otio.schema.Clip(source_range=TimeRange(RationalTime(first, rate), RationalTime(placed.length, rate)))
    if shown is None:  # black is a reel of its own, and has no clip to be named
        clip.metadata["cmx_3600"] = {"reel": "BL", "comments": [_line(f"GAP {row.label}")]}
    else:
        clip.name = shown.file_name
        clip.media_reference = otio.schema.ExternalReference(target_url=shown.url)
        clip.metadata["cmx_3600"] = {"reel": reels[shown.name], "comments": list(_comments(row, shown))}
    at = RationalTime(sheet.code.start + placed.start, rate)  # locators count in the code of the timeline
    for mark in row.marks:
        clip.markers.append(otio.schema.Marker(name=_line(mark.text), color=_EDL_COLOURS[mark.kind],
                                               marked_range=TimeRange(at, RationalTime(0, rate))))
    return clip


def _comments(row: Row, shown: TakeRow) -> Iterator[str]:
    facts = shown.facts
    words = [f"SHOT {row.name}", f"TAKE {shown.clip.take}"]
    words += [f"{name} {facts[key]}" for name, key in (("JOB", "job_id"), ("CREDITS", "credits")) if facts.get(key) is not None]
    yield _line(" ".join(words))
    yield f"SHA256 {facts['sha256']}"


def _line(text: str) -> str:
    """A text as a part of one line."""
    return " ".join(text.split())


# ── Final Cut Pro 7 ───────────────────────────────────────────────────────────────────────────────────────────────────


def fcp7_text(sheet: Sheet) -> str:
    """The timeline as Final Cut Pro 7 XML (xmeml 4), which Premiere Pro and Resolve read."""
    timeline = _timeline(sheet, _fcp7_item)
    width, height = sheet.timeline.size
    picture = {"width": str(width), "height": str(height), "pixelaspectratio": "square", "anamorphic": "FALSE",
               "fielddominance": "none"}
    timeline.metadata["fcp_xml"] = {
        "timecode": {"displayformat": "DF" if sheet.code.drop else "NDF"},
        "media": {"video": {"format": {"samplecharacteristics": picture}}}}
    timeline.tracks[0].metadata["fcp_xml"] = {"enabled": "TRUE", "locked": "FALSE"}
    root = ElementTree.fromstring(_written(timeline, "fcp_xml"))  # noqa: S314 - the adapter's own
    _order(root)
    # OpenTimelineIO ends the day of 29.97 by the clock.
    root.find("project/children/sequence/timecode/string").text = sheet.code.at(sheet.code.start)  # type: ignore[union-attr]
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _order(root: ElementTree.Element) -> None:
    """Put the adapter's elements in the order in which editors write them: simple readers take the first `in` that they find
    for the clip's, and the adapter puts that of its markers first. The length of a clip is that of its file, said once."""
    for element in root.iter():
        order = _ORDER.get(element.tag)
        if order is not None:
            first = {child.tag: child for child in reversed(element)}
            element[:] = sorted((child for child in element if child.tag == "marker" or first[child.tag] is child),
                                key=lambda child: order.index(child.tag))
            whole = element.find("file/duration")
            if whole is not None:
                element.find("duration").text = whole.text  # type: ignore[union-attr]


def _fcp7_item(row: Row, sheet: Sheet) -> Any:
    shown = row.shown
    if shown is None:
        item = _slug(row, sheet)
    else:
        item = otio.schema.Clip(name=shown.name, media_reference=_reference(shown), source_range=_source(row, sheet))
        if shown.clip.rate not in RATES:  # the adapter has no words for others: these count as the timeline does
            _recount(item, float(sheet.timeline.rate))
        item.metadata["fcp_xml"] = {"enabled": "TRUE", "logginginfo": _logged(row, shown), "comments": _remarked(shown)}
    item.markers.extend(_marker(mark, item.source_range.start_time, fcp_xml={"comment": mark.text}) for mark in row.marks)
    return item


def _recount(item: Any, rate: float) -> None:
    """Count a clip's frames at another rate, to the nearest; never beyond its end."""
    used, whole = item.source_range, item.media_reference.available_range
    item.source_range = TimeRange(used.start_time.rescaled_to(rate).round(), used.duration)
    item.media_reference.available_range = TimeRange(RationalTime(0, rate), whole.duration.rescaled_to(rate).floor())


def _slug(row: Row, sheet: Sheet) -> Any:
    """Black of a shot's length: the adapter writes nothing for a gap, and a gap at the end would be lost."""
    rate = float(sheet.timeline.rate)
    whole = TimeRange(RationalTime(0, rate), RationalTime(row.placed.length, rate))
    black = otio.schema.GeneratorReference(
        name="Slug", generator_kind="Slug", available_range=whole,
        metadata={"fcp_xml": {"effecttype": "generator", "mediatype": "video", "effectcategory": "Slug"}})
    return otio.schema.Clip(name=row.label, media_reference=black, source_range=whole,
                            metadata={"fcp_xml": {"enabled": "TRUE"}})


def _logged(row: Row, shown: TakeRow) -> Metadata:
    return {"description": shown.facts["prompt"] or "", "scene": row.name, "shottake": str(shown.clip.take),
            "lognote": row.facts["note"]}


def _remarked(shown: TakeRow) -> Metadata:
    facts = shown.facts
    paid = [f"{facts['credits']} credits"] if facts.get("credits") is not None else []
    job = [f"job {facts['job_id']}"] if facts["job_id"] is not None else []
    comments = (", ".join([*job, *paid]), f"sha256 {facts['sha256']}", f"fingerprint {facts['fingerprint']}",
                "; ".join(facts["remarks"]))
    return {f"mastercomment{number}": comment for number, comment in enumerate(comments, 1) if comment}
