"""`lock`: the lockfile from the ledger, a check that manifest, lockfile and files agree, or the end of a merge conflict."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.cli.options import manifests_argument, output_options, setting_options
from manifest_runner.cli.planner import catch_up, known_jobs, lagging, overruled, plan_project
from manifest_runner.cli.project import Project
from manifest_runner.cli.several import each
from manifest_runner.cli.trust import refuse_claims
from manifest_runner.cli.words import command, decisions
from manifest_runner.core.model import Action, TakeKey
from manifest_runner.core.projection import entry_of
from manifest_runner.core.verdict import Judge, open_takes
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.plan import plan_text
from manifest_runner.views.status import to_look_at, to_look_at_dicts
from manifest_runner.views.text import count, safe


@click.command()
@manifests_argument
@click.option("--check", is_flag=True,
              help="Change nothing; exit with 1 where manifest, lockfile and files disagree, or a clip is not as asked.")
@click.option("--resolve", "resolving", is_flag=True, help="Merge what conflict markers in the lockfile hold apart.")
@click.option("--keep", multiple=True, metavar="JOB", help="With --resolve: this job counts; the other stays on record.")
@click.option("--ours", multiple=True, metavar="SHOT[:TAKE]", help="With --resolve: the upper side counts here.")
@click.option("--theirs", multiple=True, metavar="SHOT[:TAKE]", help="With --resolve: the lower side counts here.")
@click.option("--draft", is_flag=True, help="The draft lockfile.")
@setting_options("state-dir")
@output_options("json", "quiet")
def lock(manifests: tuple[str, ...], check: bool, resolving: bool, keep: tuple[str, ...], ours: tuple[str, ...],
         theirs: tuple[str, ...], draft: bool, state_dir: str | None, as_json: bool, quiet: bool) -> int:
    """Write what the ledger knows of the takes of each MANIFEST into its lockfile.

    Needs no key and no network. Takes that the ledger does not know stay as they are, but for what is said of their clips. With
    --check and --resolve a lockfile may be named instead of its manifest.
    """
    if resolving or keep or ours or theirs:
        return _resolve(manifests, resolving and not check, (keep, ours, theirs), draft, as_json=as_json, quiet=quiet)
    if not check:
        return each(manifests, lambda manifest: _rebuild(Project(manifest, {"state-dir": state_dir}, draft=draft), quiet=quiet))
    told = _Told()
    code = each(_manifests(manifests), lambda manifest: _check(Project(manifest, {"state-dir": state_dir}, draft=draft),
                                                   told if as_json else None, quiet=quiet))
    if as_json:
        click.echo(json_text(json.dumps({"agrees": not told.changes, **asdict(told)}, ensure_ascii=False, indent=2)))
    return code


@dataclass(slots=True)
class _Told:
    """What a check tells programs: where manifest, lockfile and files disagree, and clips that are other than asked."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    to_look_at: list[dict[str, Any]] = field(default_factory=list)


def _manifests(files: tuple[str, ...]) -> list[str]:
    """The manifests that are meant, each once: hooks name whatever has changed, a lockfile as well as its manifest."""
    named: dict[str, None] = {}
    for name in files:
        path = Path(name)
        if name.endswith(".lock.json") and path.is_file():
            manifest = Path(read_lockfile(path, name)[0].manifest).name
            name = str(path.with_name(manifest)) if manifest else name
        named[name] = None
    return [*named]


def _rebuild(project: Project, *, quiet: bool) -> int:
    show = project.load()
    refuse_claims(project.settings, only={"state-dir", "ledger"})
    shots, judge = {shot.id: shot for shot in show.manifest.shots}, Judge(show.card)
    jobs = {TakeKey(manifest=project.name, shot=shot, take=take): judge.judged(entry_of(job), shots.get(shot), take)
            for (shot, take), job in known_jobs(project)[0].items()}
    project.state.make()
    changed = bool(jobs) and project.lock_writer().write(jobs)
    behind = catch_up(project, plan_project(project, show))
    if not quiet:
        what = "the ledger knows none of its takes: nothing was changed"
        if jobs:
            what = f"{'rebuilt from' if changed or behind else 'agrees with'} {count(len(jobs), 'take')} of the ledger"
        elif behind:
            what = f"brought up to date: {count(behind, 'take')}"
        click.echo(f"{safe(project.lock_shown)}: {what}")
    return int(ExitCode.DONE)


def _check(project: Project, told: _Told | None, *, quiet: bool) -> int:
    """Tell where manifest, lockfile and files disagree and which clips nobody has accepted, or put it into `told` for
    programs."""
    show = project.load()
    planned = plan_project(project, show)
    plan, behind, unseen = planned.plan, lagging(planned), open_takes(planned.plan, show.manifest)
    other = overruled(planned)
    if other is not None and told is None:
        click.echo(safe(other), err=True)
    wrong = [change for change in plan.changes if change.action is not Action.KEEP]
    if told is not None:
        told.changes += [{"manifest": project.shown, "shot": change.shot, "take": change.take, "action": change.action.value}
                         for change in wrong]
        told.changes += [{"manifest": project.shown, "shot": shot, "take": take, "action": "lock"} for shot, take in behind]
        told.to_look_at += [{"manifest": project.shown, **take} for take in to_look_at_dicts(unseen)]
    elif wrong:
        click.echo(plan_text(plan, show.card, priced=not project.draft))
        click.echo(f"{safe(project.lock_shown)} does not agree; "
                   f"next: {safe(command('plan', project.shown, draft=project.draft))}", err=True)
    elif behind:
        click.echo(f"{safe(project.lock_shown)} is behind the manifest or the ledger for {count(len(behind), 'take')}; "
                   f"next: {safe(command('lock', project.shown, draft=project.draft))}", err=True)
    elif not quiet:
        click.echo(f"{safe(project.lock_shown)} agrees: {count(len(plan.changes), 'take')}")
    if unseen and told is None:
        click.echo(f"{safe(project.shown)}: {to_look_at(unseen)}", err=True)
        judging = [] if project.draft else [(change.shot, change.take) for change in unseen]
        for step, why in decisions(project.shown, to_look_at=judging):
            click.echo(f"next: {safe(step)}   ({why})", err=True)
    return int(ExitCode.DIFFERENCES if wrong or behind or unseen else ExitCode.DONE)


def _resolve(files: tuple[str, ...], alone: bool, wishes: tuple[tuple[str, ...], ...], draft: bool, *, as_json: bool,
             quiet: bool) -> int:
    from manifest_runner.cli.resolving import Wishes, resolve  # start-up: only a merge needs it

    if not alone or len(files) != 1:
        raise UsageError("--keep, --ours and --theirs go with --resolve, which takes one lockfile or manifest",
                         hint=command("lock", "--resolve", files[0]))
    name = files[0]
    path = Path(name) if name.endswith(".lock.json") else Project(name, {}, draft=draft).lock_path
    keep, ours, theirs = wishes
    return resolve(path, Wishes(keep=keep, ours=ours, theirs=theirs), as_json=as_json, quiet=quiet)
