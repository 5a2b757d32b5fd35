"""`make`: rules for GNU make, and the stamps by which it sees what the plan sees."""

from __future__ import annotations

import time

import click

from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.errors import ExitCode
from manifest_runner.views.text import count, safe


@click.command()
@manifest_argument
@click.option("--draft", is_flag=True, help="Rules for the draft: no key, no credits.")
@click.option("--out", metavar="FILE", help="Write them to a file that make includes; default: standard output.")
@click.option("--together", is_flag=True, help="One process renders all that is out of date, whichever clip was asked for.")
@setting_options("state-dir")
@output_options("quiet")
def make(manifest: str, draft: bool, out: str | None, together: bool, state_dir: str | None, quiet: bool) -> int:
    """Write rules for GNU make: the clips of MANIFEST, its reel, timeline and report, and all that they depend on.

    Needs no key and spends nothing; what the rules do when make follows them is for its user to allow.
    """
    from manifest_runner.cli.main import COMMANDS  # here, because the table imports this file by name
    from manifest_runner.cli.making import rules_of, set_stamps_of, write  # start-up: whatever is wrong above is said at once
    from manifest_runner.cli.planner import plan_project
    from manifest_runner.cli.project import Project
    from manifest_runner.views.makefile import makefile

    began = time.time_ns()  # before anything is read: what changes from now on is newer than the rules
    project = Project(manifest, {"state-dir": state_dir}, draft=draft)
    show = project.load()
    rules = rules_of(project, show, out, together=together, state=state_dir, commands=tuple(COMMANDS))
    stale = set_stamps_of(project, rules, plan_project(project, show, settled=False).plan)
    if out is None:
        click.echo(makefile(rules), nl=False)
        return int(ExitCode.DONE)
    write(rules, began)
    if not quiet:
        todo = f"something to do about {count(stale, 'shot')}" if stale else "nothing to do"
        click.echo(f"{safe(out)}: {count(len(show.manifest.shots), 'shot')}, {todo}")
    return int(ExitCode.DONE)
