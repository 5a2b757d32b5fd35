"""Gathers what stands on a timeline, and writes it in the format that is asked for.

Laws: a clip is placed only where its file is the one that is known of its take (`verify` reads bytes, this compares sizes); no
clip is opened but to be bundled; nothing is asked of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from manifest_runner.adapters.files import make_folder, write_atomically
from manifest_runner.cli.planner import Planned, file_states
from manifest_runner.cli.project import Project, Show
from manifest_runner.core.cut import Clip, Format, clip_of
from manifest_runner.core.cutpoints import exact
from manifest_runner.core.cutsheet import Sheet
from manifest_runner.core.model import Action, JobState, LockEntry, Shot
from manifest_runner.core.planning import Where, output_path
from manifest_runner.errors import UsageError
from manifest_runner.views.status import Standing, standings

_CHANGED = "changed since it was rendered"


def clips_of(project: Project, show: Show, planned: Planned) -> dict[Where, Clip | str]:
    """Each take whose clip is in its place, and of the others why there is none."""
    state = file_states(project.files.folder)
    found: dict[Where, Clip | str] = {}
    for row in standings(planned.plan, planned.jobs, show.manifest):
        change = row.change
        where = (change.shot, change.take)
        if change.action is Action.DROP:
            continue
        place = output_path(show.manifest, *where)
        entry = _stored(change.entry) or _stored(planned.lockfile.entries.get(where))
        if entry is not None and state(place, entry.outputs[0]) == "present":
            doubts = () if entry.verdict is None or entry.verdict.accepted else entry.verdict.findings
            said = tuple(finding.words for finding in doubts)
            changed = () if change.action is Action.KEEP else (_CHANGED,)
            found[where] = clip_of(change.take, place, entry, remarks=(*said, *changed))
        else:
            found[where] = _why(row)
    return found


def _stored(entry: LockEntry | None) -> LockEntry | None:
    return entry if entry is not None and entry.state is JobState.STORED and entry.outputs else None


def _why(row: Standing) -> str:
    """Why a take has no clip in its place, in a few words."""
    if row.change.action is Action.FETCH:
        return "its clip is not in its place"
    error = row.job.error if row.job is not None and row.words.endswith(":") else ""
    return f"{row.words} {error[:80]}".strip()


def asked_of(show: Show, shot: Shot) -> Fraction:
    """The seconds that a shot asks for."""
    quantity = show.card.price.quantity
    return exact(shot.params.get(quantity, show.card.defaults[quantity]))


def format_of(name: str | None, out: str | None) -> Format:
    """What is to be written: what `--format` says, else what `--out` ends in, else OTIO."""
    kind = Format(name) if name is not None else None
    if out is None:
        return kind or Format.OTIO
    ending = next((one for one in Format if out.lower().endswith(one.suffix)), None)
    if ending is None:
        raise UsageError(f"{out} does not end as a timeline does", hint=f"in {', '.join(one.suffix for one in Format)}")
    if kind is not None and ending is not kind:
        raise UsageError(f"{out} is no {kind.value}", hint=f"its name ends in {kind.suffix}; or leave --format out")
    return ending


def target(project: Project, show: Show, out: str | None, kind: Format) -> Path:
    """Where the file goes: beside the clips, where git ignores it with them, unless the user says otherwise."""
    if out is None:
        to = project.files.folder / f"{show.manifest.output}{kind.suffix}"
        try:
            make_folder(to.parent)
        except OSError as error:
            raise UsageError(f"{to.parent} cannot be made: {error.strerror}", code="cannot-write") from None
        return to
    if not Path(out).parent.is_dir():
        raise UsageError(f"there is no folder {Path(out).parent}", code="cannot-write", hint="make it first")
    return Path(out)


def address_of(folder: Path, clip: Clip, kind: Format) -> str:
    """Where an editor finds a clip: an absolute address, which every editor takes, or its place inside a bundle."""
    if kind is Format.OTIOZ:
        return f"media/{clip.path.rpartition('/')[2]}"  # of characters that no address writes in another way
    return (folder / clip.path).as_uri()


def write_timeline(sheet: Sheet, kind: Format, to: Path, folder: Path) -> list[Path]:
    """Write `sheet`, and return the files: an EDL may be several."""
    if kind is Format.FCPX:
        from manifest_runner.views.fcpxml import fcpxml_text  # needs no extra

        return _texts(to, [fcpxml_text(sheet)])
    from manifest_runner.adapters import timelines  # the timeline extra

    if kind is Format.OTIOZ:
        timelines.write_otioz(sheet, to, _places(sheet, folder))
        return [to]
    if kind is Format.EDL:
        return _texts(to, timelines.edl_texts(sheet))
    return _texts(to, [timelines.fcp7_text(sheet) if kind is Format.FCP7 else timelines.otio_text(sheet)])


def _places(sheet: Sheet, folder: Path) -> Mapping[str, Path]:
    takes = [take for row in sheet.rows for take in (row.shown, *row.others) if take is not None]
    return {take.url: folder / take.clip.path for take in takes}


def _texts(to: Path, texts: list[str]) -> list[Path]:
    """The first text in its place, others beside it with a number."""
    paths = [to, *(to.with_name(f"{to.stem}.{number}{to.suffix}") for number in range(2, len(texts) + 1))]
    for path, text in zip(paths, texts, strict=True):
        write_atomically(path, text.encode())
    return paths
