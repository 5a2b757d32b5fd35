"""`timeline`: the cut as a file that an editor opens."""

from __future__ import annotations

import json

import click

from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.cli.timelining import address_of, asked_of, clips_of, format_of, target, write_timeline
from manifest_runner.cli.words import command, near
from manifest_runner.core.cut import Format, make_timeline
from manifest_runner.core.cutsheet import sheet_of
from manifest_runner.core.timecode import code_from, rate_of
from manifest_runner.errors import ExitCode, ShotsFailed, UsageError
from manifest_runner.views.escaping import json_text, node
from manifest_runner.views.timeline import timeline_dict, timeline_text


@click.command()
@manifest_argument
@click.option("--format", "kind", type=click.Choice([one.value for one in Format]),
              help="Default: what --out ends in, else otio. fcp7 is the XML that Premiere reads.")
@click.option("--out", metavar="FILE", help="Where to write it; default: beside the clips.")
@click.option("--rate", metavar="FPS", help="Frames a second: 24, 25, 29.97, 30000/1001. Default: what most clips have.")
@click.option("--start-timecode", default="01:00:00:00", show_default=True, metavar="CODE",
              help="The code of the first frame; 01:00:00;00 drops frames.")
@click.option("--only-circled", is_flag=True, help="Leave the other takes of each shot out.")
@click.option("--draft", is_flag=True, help="Of the draft's clips.")
@setting_options("state-dir")
@output_options("json", "quiet")
def timeline(manifest: str, kind: str | None, out: str | None, rate: str | None, start_timecode: str, only_circled: bool,
             draft: bool, as_json: bool, quiet: bool, state_dir: str | None) -> int:
    """Hand the cut of MANIFEST to an editor: every shot with its cut, handles, takes, notes and what was paid for it.

    Shots without a clip are gaps of their length. Needs no key and asks nobody.
    """
    form = format_of(kind, out)
    frames = None if rate is None else rate_of(rate)
    project = Project(manifest, {"state-dir": state_dir}, draft=draft)
    show = project.load()
    steps = [command("render", manifest, draft=draft)]
    try:
        cut = make_timeline(show.manifest, clips_of(project, show, plan_project(project, show)), rate=frames,
                            asked=lambda shot: asked_of(show, shot))
    except ShotsFailed as error:
        raise ShotsFailed(error.message, code=error.code, hint=error.hint, next_commands=steps) from None
    code = code_from(start_timecode, cut.rate)
    if code.start + cut.length > code.day:
        raise UsageError("the cut ends after 24:00:00:00, where time code ends", code="bad-timecode",
                         hint="an earlier --start-timecode, or the cut in parts")
    folder = project.files.folder
    sheet = sheet_of(show.manifest, cut, code, url=lambda clip: address_of(folder, clip, form), say=node, draft=draft,
                     circled_only=only_circled)
    paths = [str(near(path)) for path in write_timeline(sheet, form, target(project, show, out, form), folder)]
    steps = steps if cut.gaps else []
    if as_json:
        click.echo(json_text(json.dumps(timeline_dict(sheet, paths, form, steps), ensure_ascii=False, indent=2)))
    else:
        click.echo(timeline_text(sheet, paths, form, steps, brief=quiet))
    return int(ExitCode.DONE)
