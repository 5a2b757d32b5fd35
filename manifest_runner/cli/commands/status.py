"""`status`: where every take stands, what was spent, and the next command to type."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from decimal import Decimal

import click

from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.adapters.settings import Settings, key_in
from manifest_runner.cli.completing import complete_manifests
from manifest_runner.cli.main import COMMANDS
from manifest_runner.cli.options import output_options, setting_options
from manifest_runner.cli.planner import overruled, plan_project
from manifest_runner.cli.project import Project, Show, repository_root
from manifest_runner.cli.watching import queue_of, watch
from manifest_runner.cli.words import command, decisions
from manifest_runner.core.model import Action, JobState, Plan, ShotId
from manifest_runner.core.orders import InQueue
from manifest_runner.core.pricing import format_credits
from manifest_runner.errors import UsageError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.status import Standing, Step, queue_text, standings, status_dict, status_text
from manifest_runner.views.text import columns, safe


@click.command()
@click.argument("manifest", required=False, shell_complete=complete_manifests)
@click.option("--draft", is_flag=True, help="Of the draft.")
@click.option("--watch", "watching", is_flag=True, help="Follow it until nothing is under way any more.")
@click.option("--settings", "show_settings", is_flag=True, help="Each setting, and where its value comes from.")
@setting_options("max-credits", "rate", "concurrency", "base-url", "key-file", "state-dir", "store", "store-url", "frames",
                 "callback-url", "listen")
@output_options("json", "quiet", "verbose")
def status(manifest: str | None, draft: bool, watching: bool, show_settings: bool, as_json: bool, quiet: bool,
           verbose: bool, **flags: str | None) -> None:
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
    if watching:
        watch(project, show, lambda: _told(project, show, as_json=False, quiet=quiet, verbose=verbose), silent=as_json)
    click.echo(_told(project, show, as_json=as_json, quiet=quiet, verbose=verbose))


def _told(project: Project, show: Show, *, as_json: bool, quiet: bool, verbose: bool) -> str:
    """Where everything stands now, in words or as JSON."""
    planned = plan_project(project, show)
    rows = standings(planned.plan, planned.jobs, show.manifest)
    queue, manifest, draft = queue_of(project, rows), project.shown, project.draft
    limits = (project.settings.credits("max-credits"), show.manifest.limits.credits)
    limit = min((limit for limit in limits if limit is not None), default=None)
    steps = next_steps(rows, planned.plan, manifest, draft=draft, limit=limit, shared=_sharing(show))
    if queue.is_open:  # what is left is in other hands
        steps = [*_decisions(rows, manifest, draft=draft),
                 (command("status", manifest, "--watch"), "workers carry it out: manifest-runner worker")]
    if as_json:
        told = {**status_dict(rows, planned.jobs, steps), "queue": asdict(queue)}
        return json_text(json.dumps(told, ensure_ascii=False, indent=2))
    other = overruled(planned)
    if other is not None:
        click.echo(safe(other), err=True)
    text = status_text(rows, planned.jobs, planned.plan, show.card, steps, verbose=verbose, quiet=quiet,
                       priced=not draft)
    return "\n".join([*([queue_text(queue)] if queue != InQueue() else []), text])


def next_steps(rows: Sequence[Standing], plan: Plan, manifest: str, *, draft: bool = False,
               limit: Decimal | None = None, shared: Collection[ShotId] = ()) -> list[Step]:
    """What is sensible to type now: first what a person must decide, then how to go on. `limit` is what a run may spend; the
    takes of `shared` shots are not circled one by one."""
    steps = _decisions(rows, manifest, draft=draft)
    todo = [row for row in rows if row.change.action is not Action.KEEP]
    if not todo:
        return [*steps, *((command(verb, manifest, draft=draft), "") for verb in ("reel", "report", "timeline")
                          if verb in COMMANDS),
                *_choices([row for row in rows if row.change.shot not in shared and not row.is_open], manifest, draft)]
    if all(_state(row) is JobState.IN_DOUBT or row.is_empty for row in todo):
        return steps
    fresh = any(row.change.action in (Action.CREATE, Action.REPLACE) for row in todo)
    if draft or not fresh:
        return [*steps, (command("render", manifest, draft=draft), "" if draft else _going_on(todo))]
    if not any(row.job is not None or row.change.entry is not None for row in rows):
        steps.append((command("render", manifest, draft=True), "an animatic, for no credits"))
    failed = any(_state(row) in (JobState.FAILED, JobState.REFUSED) for row in todo)
    why = "after changing what failed, or to try it as it is; " if failed else ""
    why += f"{format_credits(plan.total)} credits"
    if limit is not None and plan.total > limit:
        why += f", and a run may spend {format_credits(limit)}: --max-credits, or limits.credits in the manifest"
    return [*steps, (command("plan", manifest), ""), (command("render", manifest), why)]


def _sharing(show: Show) -> Collection[ShotId]:
    """The shots that share their entry of the manifest with others."""
    entries = Counter(came.shot for came in show.origins.shots)
    return {shot.id for shot, came in zip(show.manifest.shots, show.origins.shots, strict=True) if entries[came.shot] > 1}


def _choices(rows: Sequence[Standing], manifest: str, draft: bool) -> list[Step]:
    """The first shot of which nobody has chosen a take yet. What is shown to type keeps the cut as it is."""
    open_ = [row for row in rows if row.is_cut and row.has_siblings and row.shot is not None and row.shot.circled is None]
    return [(command("circle", manifest, f"{row.change.shot}:{row.change.take}", draft=draft),
             f"none of its {row.change.take} takes is circled: the latest is in the cut"
             f"{f'; the same for {len(open_) - 1} more' if len(open_) > 1 else ''}") for row in open_[:1]]


def _decisions(rows: Sequence[Standing], manifest: str, *, draft: bool) -> list[Step]:
    """What only a person can settle. About the animatic of a take nothing is: the manifest is for the clips that are paid
    for."""

    def takes(state: JobState) -> list[tuple[str, int]]:
        return [(row.change.shot, row.change.take) for row in rows if _state(row) is state]

    return decisions(manifest, in_doubt=takes(JobState.IN_DOUBT), missing=takes(JobState.MISSING),
                     empty=[(row.change.shot, row.change.take) for row in rows if row.is_empty],
                     to_look_at=[(row.change.shot, row.change.take) for row in rows if row.is_open and not draft])


def _going_on(todo: Sequence[Standing]) -> str:
    waiting = any(row.change.action is Action.RESUME for row in todo)
    return "goes on where the last run stopped; nothing is paid twice" if waiting else "brings the clips back, for nothing"


def _state(row: Standing) -> JobState | None:
    return row.job.state if row.job is not None else None


def _show_settings(settings: Settings, has_key: bool, as_json: bool) -> None:
    """Every setting with its origin. The key itself is never shown."""
    rows = [(name, setting.shown, setting.origin if setting.value is not None else "not set")
            for name, setting in settings.values.items()]
    rows.append(("API key", "set" if has_key else "", KEY_VARIABLE if has_key else "not set"))
    claims = [(claim.name, claim.value, claim.origin) for claim in settings.claims]
    if as_json:
        found: dict[str, object] = {name: {"value": value or None, "origin": origin} for name, value, origin in rows}
        found["claims"] = [{"name": name, "value": value, "origin": origin} for name, value, origin in claims]
        click.echo(json_text(json.dumps(found, ensure_ascii=False, indent=2)))
        return
    for line in columns([("setting", "value", "from"), *(tuple(map(safe, row)) for row in [*rows, *claims])]):
        click.echo(line)
