"""`reel`: the circled takes in the order of the manifest, with their cuts, as one film, or as a contact sheet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from manifest_runner.cli.cutting import (
    Wanted,
    burn_ins,
    placed,
    rate_of,
    segments_of,
    sheet_target,
    size_of,
    start_of,
    target,
    wanted,
)
from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.words import near
from manifest_runner.core.reelplan import Kind, seconds_words
from manifest_runner.core.timecode import rate_name
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe

if TYPE_CHECKING:
    from manifest_runner.adapters.reel import Reel


@click.command()
@manifest_argument
@click.option("--draft", is_flag=True, help="Of the draft's clips.")
@click.option("--out", metavar="FILE", help="Where to write it; default: beside the clips.")
@click.option("--skip-missing", is_flag=True, help="Leave out shots that have no clip yet.")
@click.option("--slug", is_flag=True, help="Black with its name for a shot without a clip, as long as it will be.")
@click.option("--size", metavar="WxH", help="The picture's size; default: that of the most clips.")
@click.option("--rate", metavar="FPS", help="Frames a second: 24, 23.976, 30000/1001; default: those of the most clips.")
@click.option("--slates", is_flag=True, help="A card before each shot.")
@click.option("--slate-frames", type=click.IntRange(1, 10_000), metavar="N", help="How long a card is; default: a second.")
@click.option("--burn-in", multiple=True, metavar="WHAT", help="Into the picture: shot, take, timecode, frame, or all.")
@click.option("--start-timecode", metavar="TC", default="01:00:00:00", show_default=True, help="Of the reel's first frame.")
@click.option("--sound", metavar="FILE", help="A temp track under it: wav, mp3, m4a.")
@click.option("--mute", is_flag=True, help="Without the clips' own sound.")
@click.option("--font", multiple=True, metavar="FILE", help="A font for cards, burn-ins and contact sheets.")
@click.option("--contact-sheet", metavar="FILE", help="Instead of a film, a sheet of its pictures: .png or .pdf.")
@click.option("--frame", type=click.Choice(["first", "middle", "last"]), default="middle", show_default=True,
              help="Which frame of a cut the contact sheet shows.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), default="a4", show_default=True, help="Of the contact sheet.")
@setting_options("state-dir")
@output_options("json", "quiet")
def reel(manifest: str, draft: bool, skip_missing: bool, slug: bool, contact_sheet: str | None, as_json: bool, quiet: bool,
         state_dir: str | None, **asked: Any) -> int:
    """Cut the circled (or latest) takes of MANIFEST into one mp4. What needs no encoding is copied."""
    project = Project(manifest, {"state-dir": state_dir}, draft=draft)
    show = project.load()
    if skip_missing and slug:
        raise UsageError("--skip-missing and --slug: a shot without a clip is left out or kept, not both")
    if contact_sheet is not None and asked["out"] is not None:
        raise UsageError("--contact-sheet is written instead of the film: leave --out away, or run both one after the other")
    shots, missing = wanted(project, show, draft=draft, skip=skip_missing, slug=slug)
    fonts = tuple(Path(name) for name in asked["font"])
    if contact_sheet is not None:
        return _sheet(show, shots, sheet_target(contact_sheet), asked, fonts, missing=missing, as_json=as_json)
    return _film(project, show, shots, asked, fonts, missing=missing, as_json=as_json, silent=quiet or as_json)


def _film(project: Project, show: Show, shots: list[Wanted], asked: dict[str, Any], fonts: tuple[Path, ...], *,
          missing: list[str], as_json: bool, silent: bool) -> int:
    size, rate, burn = size_of(asked["size"]), rate_of(asked["rate"]), burn_ins(asked["burn_in"])
    start, to = start_of(asked["start_timecode"], rate), target(project, show, asked["out"])
    if asked["slate_frames"] is not None and not asked["slates"]:
        raise UsageError("--slate-frames says how long cards are that nothing asks for", hint="add --slates")
    from manifest_runner.adapters.reel import cut_reel  # the video extra
    from manifest_runner.adapters.reel_segments import Options

    manifest = show.manifest
    options = Options(
        size=size, rate=rate, slate=asked["slate_frames"] if asked["slates"] else 0, fonts=fonts, start=start,
        sound=None if asked["sound"] is None else Path(asked["sound"]), own_sound=not asked["mute"],
        metadata={"title": " ".join(words for words in (manifest.title or manifest.show, manifest.sequence) if words)},
    )
    segments = segments_of(shots, show, burn)
    with placed(show):
        made = cut_reel(segments, to, options, cache=project.state.make().pieces, on_progress=_progress(silent))
    if as_json:
        click.echo(json_text(json.dumps(_as_dict(made, shots, to, missing), ensure_ascii=False, indent=2)))
        return int(ExitCode.DONE)
    plan = made.plan
    click.echo(f"{safe(str(near(to)))}: {count(len(shots), 'shot')}, {seconds_words(plan.frames / plan.rate)} "
               f"({count(plan.frames, 'frame')}), {plan.size[0]}x{plan.size[1]}, {rate_name(plan.rate)} fps"
               f"{', with sound' if made.sound else ''}; {_how(made)}")
    _remarks(missing, made.undrawn, slug=bool(asked.get("slug")) or any(each.clip is None for each in shots))
    return int(ExitCode.DONE)


def _how(made: Reel) -> str:
    """How the picture came to be."""
    if made.copied:
        return "copied, nothing was encoded"
    if not made.kept or not made.encoded:
        return f"{count(made.encoded, 'piece')} encoded" if made.encoded else f"{count(made.kept, 'piece')} kept from before"
    return f"{count(made.encoded, 'piece')} encoded, {made.kept} kept from before"


def _remarks(missing: list[str], undrawn: Collection[str], *, slug: bool) -> None:
    if missing:
        words = "black stands for" if slug else "left out:"
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        click.echo(f"{words} {count(len(missing), 'shot')} without a clip: {safe(shown)}", err=True)
    if undrawn:
        letters = safe("".join(sorted(undrawn)[:20]))
        click.echo(f"warning: no font here has {letters}; give one that does: --font FILE", err=True)


def _as_dict(made: Reel, shots: list[Wanted], to: Path, missing: list[str]) -> dict[str, Any]:
    """The reel for programs: what lies where, in frames."""
    plan = made.plan
    return {
        "path": str(to), "shots": len(shots), "frames": plan.frames, "rate": str(plan.rate), "duration": made.facts.duration,
        "width": plan.size[0], "height": plan.size[1], "sound": made.sound,
        "picture": "copied" if made.copied else "encoded", "pieces": {"encoded": made.encoded, "kept": made.kept},
        "missing": missing, "undrawn": "".join(sorted(made.undrawn)),
        "spans": [{"kind": span.kind.value, "shot": str(shots[span.entry].shot.id), "take": shots[span.entry].shot.cut_take,
                   "at": span.at, "frames": span.frames,
                   **({"first": span.first, "stop": span.stop} if span.kind is Kind.SHOT else {})} for span in plan.spans],
    }


def _sheet(show: Show, shots: list[Wanted], to: Path, asked: dict[str, Any], fonts: tuple[Path, ...], *, missing: list[str],
           as_json: bool) -> int:
    from manifest_runner.adapters.sheet import Sheet, contact_sheet  # the video extra

    manifest = show.manifest
    named = [manifest.show] if manifest.title and manifest.title != manifest.show else []
    sheet = Sheet(title=manifest.title or manifest.show, frame=asked["frame"], paper=asked["paper"], fonts=fonts,
                  facts=" · ".join(words for words in (*named, manifest.sequence) if words))
    with placed(show):
        pages, undrawn = contact_sheet(segments_of(shots, show, frozenset()), to, sheet)
    if as_json:
        body = {"path": str(to), "shots": len(shots), "pages": pages, "missing": missing, "undrawn": "".join(sorted(undrawn))}
        click.echo(json_text(json.dumps(body, ensure_ascii=False, indent=2)))
        return int(ExitCode.DONE)
    click.echo(f"{safe(str(near(to)))}: {count(len(shots), 'shot')} on {count(pages, 'page')}")
    _remarks(missing, undrawn, slug=any(each.clip is None for each in shots))
    return int(ExitCode.DONE)


def _progress(silent: bool) -> Callable[[int, int], None] | None:
    """A counter on a terminal; nothing elsewhere."""
    if silent or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        click.echo(f"\rcutting: {done * 100 // max(total, 1):3d} %", nl=done == total, err=True)

    return show
