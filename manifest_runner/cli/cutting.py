"""What the command line says of a reel or a contact sheet, made into segments and settings.

Laws: what cannot be used is said before a clip is opened; a path in an error is the one that was typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from manifest_runner.cli.project import Project, Show, texts_of
from manifest_runner.cli.words import command
from manifest_runner.core.model import Shot
from manifest_runner.core.planning import output_path
from manifest_runner.core.reelplan import Size, parse_size
from manifest_runner.core.timecode import code_from, is_code, parse_rate
from manifest_runner.errors import InvalidInput, ShotsFailed, UsageError
from manifest_runner.views.text import count

if TYPE_CHECKING:
    from manifest_runner.adapters.cards import BurnIn
    from manifest_runner.adapters.reel_segments import Segment

BURN_INS = ("shot", "take", "timecode", "frame")

SHEETS = (".png", ".pdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A shot of the cut: its number in the manifest, and its clip, or None where it is not there."""

    number: int
    shot: Shot
    clip: Path | None


def wanted(project: Project, show: Show, *, draft: bool, skip: bool, slug: bool) -> tuple[list[Wanted], list[str]]:
    """The shots in the order of the cut, and the ids of those without a clip. Raises `ShotsFailed` where these are neither to
    be skipped nor to be replaced."""
    folder = project.files.folder
    places = [(shot, folder / output_path(show.manifest, shot.id, shot.cut_take)) for shot in show.manifest.shots]
    missing = [str(shot.id) for shot, place in places if not place.is_file()]
    if missing and not slug and (not skip or len(missing) == len(places)):
        raise ShotsFailed(f"{count(len(missing), 'shot has', 'shots have')} no clip yet: {', '.join(missing[:5])}"
                          f"{' …' if len(missing) > 5 else ''}", code="clips-missing",
                          hint="render first, cut what is there with --skip-missing, or keep their places with --slug",
                          next_commands=[command("render", project.shown, draft=draft)])
    gone = set(missing)
    shots = [Wanted(number=number, shot=shot, clip=None if shot.id in gone else place)
             for number, (shot, place) in enumerate(places)]
    return [each for each in shots if each.clip is not None or slug], missing


def segments_of(shots: Sequence[Wanted], show: Show, burn_in: frozenset[str]) -> list[Segment]:
    """Segments with everything that can be written on or before them."""
    from manifest_runner.adapters.cards import SlateWords  # the video extra
    from manifest_runner.adapters.reel_segments import Segment

    manifest = show.manifest
    return [Segment(
        clip=each.clip, start=each.shot.cut.start, end=each.shot.cut.end, name=str(each.shot.id),
        pointer=f"/shots/{each.number}/cut", length=_asked_length(each.shot, show), burn=_burn_in(each.shot, burn_in),
        slate=SlateWords(show=manifest.title or manifest.show, sequence=manifest.sequence, shot=str(each.shot.id),
                         facts=(("take", str(each.shot.cut_take)),), prompt=each.shot.prompt),
    ) for each in shots]


@contextmanager
def placed(show: Show) -> Iterator[None]:
    """What is wrong with cuts is said with the lines of the manifest where they stand."""
    try:
        yield
    except InvalidInput as error:
        found = []
        for item in error.diagnostics:
            steps = item.pointer.split("/")[1:]
            source, notes = show.origins.locate(tuple(int(step) if step.isdecimal() else step for step in steps))
            found.append(replace(item, source=source, notes=notes))
        raise InvalidInput(found, texts=texts_of(show.origins, found)) from None


def _asked_length(shot: Shot, show: Show) -> float:
    """How long a clip of the shot will be, in seconds."""
    name = show.card.price.quantity if show.card.clip is None else show.card.clip.duration
    return float(shot.params.get(name, show.card.defaults.get(name, 0)))


def _burn_in(shot: Shot, what: frozenset[str]) -> BurnIn:
    from manifest_runner.adapters.cards import BurnIn  # the video extra

    words = [*([str(shot.id)] if "shot" in what else []), *([f"take {shot.cut_take}"] if "take" in what else [])]
    return BurnIn(words=" · ".join(words), frame="frame" in what, timecode="timecode" in what)


def burn_ins(values: Sequence[str]) -> frozenset[str]:
    """`shot,take` and so on, given once or several times. Raises `UsageError` with all words that are none."""
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    unknown = [word for word in words if word not in (*BURN_INS, "all")]
    if unknown:
        raise UsageError(f"--burn-in {','.join(unknown)}: nothing of that name can be burnt in", code="burn-in",
                         hint=f"one or several of {', '.join(BURN_INS)}, with commas between them, or all")
    return frozenset(BURN_INS if "all" in words else words)


def size_of(text: str | None) -> Size | None:
    """`--size`; raises `UsageError` for what is none."""
    if text is None:
        return None
    size = parse_size(text)
    if size is None:
        raise UsageError(f"--size {text} is no size of a picture", code="size",
                         hint="width x height in even pixels, from 16 to 8192: --size 1280x720")
    return size


def rate_of(text: str | None) -> Fraction | None:
    """`--rate`; raises `UsageError` for what is none."""
    if text is None:
        return None
    rate = parse_rate(text)
    if rate is None:
        raise UsageError(f"--rate {text} is no number of frames a second", code="rate",
                         hint="from 1 to 240: --rate 24, --rate 23.976, --rate 30000/1001")
    return rate


def start_of(text: str, rate: Fraction | None) -> str:
    """`--start-timecode`; raises `UsageError` for what is none at this rate, or at any where the clips decide."""
    if rate is not None:
        code_from(text, rate)
    elif not is_code(text):
        code_from(text, Fraction(240))
    return text


def target(project: Project, show: Show, out: str | None) -> Path:
    """Where the reel goes. Raises `UsageError` where it cannot."""
    if out is None:
        return project.files.folder / f"{show.manifest.output}.reel.mp4"
    if not out.lower().endswith(".mp4"):
        raise UsageError(f"{out} does not end in .mp4", hint="the reel is an mp4 file: --out reel.mp4")
    return _in_a_folder(out)


def sheet_target(name: str) -> Path:
    """Where the contact sheet goes. Raises `UsageError` where it cannot."""
    if not name.lower().endswith(SHEETS):
        raise UsageError(f"{name} ends neither in .png nor in .pdf",
                         hint="a picture or pages for a printer: --contact-sheet sheet.pdf")
    return _in_a_folder(name)


def _in_a_folder(name: str) -> Path:
    path = Path(name)
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", code="cannot-write", hint="make it first")
    return path
