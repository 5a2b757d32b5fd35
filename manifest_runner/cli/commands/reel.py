"""`reel`: the circled takes in the order of the manifest, with their cuts, as one film."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from manifest_runner.cli.options import manifest_argument, output_options
from manifest_runner.cli.project import Project
from manifest_runner.cli.words import command, near
from manifest_runner.core.planning import output_path
from manifest_runner.errors import ExitCode, ShotsFailed, UsageError
from manifest_runner.views.text import count, safe


@click.command()
@manifest_argument
@click.option("--draft", is_flag=True, help="Of the draft's clips.")
@click.option("--out", metavar="FILE", help="Where to write it; default: beside the clips.")
@click.option("--skip-missing", is_flag=True, help="Leave out shots that have no clip yet.")
@output_options("json", "quiet")
def reel(manifest: str, draft: bool, out: str | None, skip_missing: bool, as_json: bool, quiet: bool) -> int:
    """Cut the circled (or latest) takes of MANIFEST into one mp4."""
    project = Project(manifest, {}, draft=draft)
    show = project.load()
    folder = project.files.folder
    places = [(shot, folder / output_path(show.manifest, shot.id, shot.cut_take)) for shot in show.manifest.shots]
    missing = [shot.id for shot, place in places if not place.is_file()]
    if missing and (not skip_missing or len(missing) == len(places)):
        raise ShotsFailed(f"{count(len(missing), 'shot has', 'shots have')} no clip yet: {', '.join(missing[:5])}"
                          f"{' …' if len(missing) > 5 else ''}", code="clips-missing",
                          hint="render first, or cut what is there with --skip-missing",
                          next_commands=[command("render", manifest, draft=draft)])
    from manifest_runner.adapters.reel import Segment, cut_reel  # the video extra

    segments = [Segment(clip=place, start=shot.cut.start, end=shot.cut.end, name=shot.id)
                for shot, place in places if shot.id not in missing]
    if out and not out.endswith(".mp4"):
        raise UsageError(f"{out} does not end in .mp4", hint="the reel is an mp4 file: --out reel.mp4")
    if out and not Path(out).parent.is_dir():
        raise UsageError(f"there is no folder {Path(out).parent}", code="cannot-write", hint="make it first")
    to = Path(out) if out else folder / f"{show.manifest.output}.reel.mp4"
    facts = cut_reel(segments, to, on_progress=_progress(quiet or as_json))
    if as_json:
        click.echo(json.dumps({"path": str(to), "shots": len(segments), "duration": facts.duration, "width": facts.width,
                               "height": facts.height, "missing": missing}, indent=2))
    else:
        left_out = f" ({count(len(missing), 'shot')} left out)" if missing else ""
        size = f"{facts.width}x{facts.height}"
        click.echo(f"{safe(str(near(to)))}: {count(len(segments), 'shot')}{left_out}, {facts.duration:.1f} s, {size}")
    return int(ExitCode.DONE)


def _progress(silent: bool) -> Callable[[int, int], None] | None:
    """A counter on a terminal; nothing elsewhere."""
    if silent or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        if done == total or done % 24 == 0:
            click.echo(f"\rcutting: {done * 100 // max(total, 1):3d} %", nl=done == total, err=True)

    return show
