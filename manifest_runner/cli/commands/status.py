"""`status`: where every take stands, what was spent, and the next command to type."""

from __future__ import annotations

import json

import click

from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.adapters.settings import Settings, key_in
from manifest_runner.cli.options import output_options, setting_options
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project, repository_root
from manifest_runner.cli.words import command
from manifest_runner.core.model import Action, JobState
from manifest_runner.errors import UsageError
from manifest_runner.views.status import Standing, standings, status_dict, status_text
from manifest_runner.views.text import columns


@click.command()
@click.argument("manifest", required=False)
@click.option("--draft", is_flag=True, help="Of the draft.")
@click.option("--settings", "show_settings", is_flag=True, help="Each setting, and where its value comes from.")
@setting_options("max-credits", "rate", "concurrency", "base-url", "key-file", "state-dir", "frames", "callback-url", "listen")
@output_options("json", "verbose")
def status(manifest: str | None, draft: bool, show_settings: bool, as_json: bool, verbose: bool,
           **flags: str | None) -> None:
    """Where every take of MANIFEST stands, what it cost, and what to type next. Needs no key and asks nobody."""
    import os

    named = {name.replace("_", "-"): value for name, value in flags.items()}
    if show_settings:
        from manifest_runner.adapters.settings import read_settings

        _show_settings(read_settings(repository_root(), named, os.environ), key_in(os.environ), as_json)
        return
    if manifest is None:
        raise UsageError("status of which manifest?", hint="manifest-runner status MANIFEST, or --settings")
    project = Project(manifest, named, draft=draft)
    show = project.load()
    planned = plan_project(project, show)
    rows = standings(planned.plan, planned.jobs, show.card)
    commands = _next(rows, manifest, draft)
    if as_json:
        click.echo(json.dumps(status_dict(rows, planned.jobs, commands), ensure_ascii=False, indent=2))
    else:
        click.echo(status_text(rows, planned.jobs, show.card, commands, verbose=verbose, priced=not draft))


def _next(rows: list[Standing], manifest: str, draft: bool) -> list[str]:
    """What is sensible to type now."""
    todo = {row.change.action for row in rows} - {Action.KEEP}
    in_doubt = [row.change for row in rows if row.job is not None and row.job.state is JobState.IN_DOUBT]
    missing = [row.change for row in rows if row.job is not None and row.job.state is JobState.MISSING]
    decisions = [command(verb, manifest, f"{change.shot}:{change.take}", *more) for change in in_doubt[:3]
                 for verb, more in (("adopt", ("JOB_ID",)), ("abandon", ()))]
    if in_doubt and len(in_doubt) == sum(row.change.action is not Action.KEEP for row in rows):
        return decisions
    if missing:  # the gateway is asked again; a person may give up waiting for it
        decisions += [command("abandon", manifest, f"{change.shot}:{change.take}") for change in missing[:3]]
    if todo & {Action.CREATE, Action.REPLACE} and not draft:
        return [*decisions, command("plan", manifest), command("render", manifest)]
    return [*decisions, command("render" if todo else "reel", manifest, draft=draft)]


def _show_settings(settings: Settings, has_key: bool, as_json: bool) -> None:
    """Every setting with its origin. The key itself is never shown."""
    rows = [(name, setting.value or "", setting.origin if setting.value is not None else "not set")
            for name, setting in settings.values.items()]
    rows.append(("API key", "set" if has_key else "", KEY_VARIABLE if has_key else "not set"))
    if as_json:
        click.echo(json.dumps({name: {"value": value or None, "origin": origin} for name, value, origin in rows}, indent=2))
        return
    for line in columns([("setting", "value", "from"), *rows]):
        click.echo(line)
