"""`lock`: the lockfile from the ledger, or a check that manifest, lockfile and files agree."""

from __future__ import annotations

import json

import click

from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.planner import known_jobs, lagging, plan_project
from manifest_runner.cli.project import Project
from manifest_runner.cli.trust import refuse_claims
from manifest_runner.cli.words import command
from manifest_runner.core.lockfile import entry_of
from manifest_runner.core.model import Action, TakeKey
from manifest_runner.errors import ExitCode
from manifest_runner.views.plan import plan_text
from manifest_runner.views.text import count


@click.command()
@manifest_argument
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 where manifest, lockfile and files disagree.")
@click.option("--draft", is_flag=True, help="The draft lockfile.")
@setting_options("state-dir")
@output_options("json", "quiet")
def lock(manifest: str, check: bool, draft: bool, state_dir: str | None, as_json: bool, quiet: bool) -> int:
    """Write what the ledger knows of MANIFEST's takes into its lockfile.

    Needs no key and no network. Takes that the ledger does not know stay as they are.
    """
    project = Project(manifest, {"state-dir": state_dir}, draft=draft)
    show = project.load()
    if not check:
        refuse_claims(project.settings, only={"state-dir"})
        jobs = {TakeKey(manifest=project.name, shot=shot, take=take): entry_of(job)
                for (shot, take), job in known_jobs(project)[0].items()}
        project.state.make()
        changed = bool(jobs) and project.lock_writer().write(jobs)
        if not quiet:
            what = "the ledger knows none of its takes: nothing was changed"
            if jobs:
                what = f"{'rebuilt from' if changed else 'agrees with'} {count(len(jobs), 'take')} of the ledger"
            click.echo(f"{project.lock_shown}: {what}")
        return int(ExitCode.DONE)
    planned = plan_project(project, show)
    plan, behind = planned.plan, lagging(planned)
    wrong = [change for change in plan.changes if change.action is not Action.KEEP]
    if as_json:
        found = [{"shot": change.shot, "take": change.take, "action": change.action.value} for change in wrong]
        found += [{"shot": shot, "take": take, "action": "lock"} for shot, take in behind]
        click.echo(json.dumps({"agrees": not found, "changes": found}, indent=2))
    elif wrong:
        click.echo(plan_text(plan, show.card, priced=not draft))
        click.echo(f"{project.lock_shown} does not agree; next: {command('plan', manifest, draft=draft)}", err=True)
    elif behind:
        click.echo(f"{project.lock_shown} lacks {count(len(behind), 'take')} that the ledger has; "
                   f"next: {command('lock', manifest, draft=draft)}", err=True)
    elif not quiet:
        click.echo(f"{project.lock_shown} agrees: {count(len(plan.changes), 'take')}")
    return int(ExitCode.DIFFERENCES if wrong or behind else ExitCode.DONE)
