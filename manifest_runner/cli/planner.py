"""From a project to its plan: what is there is looked up, what follows is worked out in core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from manifest_runner.adapters.signs import sizes_in
from manifest_runner.cli.ledgers import look
from manifest_runner.cli.project import Project, Show
from manifest_runner.core.lifecycle import UNFINISHED
from manifest_runner.core.model import (
    Action,
    Artifact,
    Fingerprint,
    Job,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    ShotId,
    TakeKey,
)
from manifest_runner.core.planning import Where, World, is_overruled, make_plan
from manifest_runner.errors import UsageError

Stored = tuple[ShotId, int, Fingerprint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it was made from. `listed` are the folders that were looked into for clips, as they were."""

    plan: Plan
    lockfile: Lockfile
    jobs: Mapping[Where, Job]
    listed: Mapping[str, Mapping[str, int]]


def plan_project(project: Project, show: Show, *, only: Collection[str] = (), account: str | None = None,
                 settled: bool = True) -> Planned:
    """The plan as things stand. Without `account` the jobs of every account on this machine count.

    Without `settled` the ledger's record of clips that the lockfile holds is not read. The plan is the same; `Planned.jobs`
    lacks them.
    """
    lockfile, digest = project.lockfile()
    jobs, stored, known = known_jobs(project, account, held=None if settled else held_clips(lockfile))
    if project.draft:  # the simulator of an unfinished draft has gone with its run: what it had is drawn again
        jobs = {where: job for where, job in jobs.items() if job.state not in UNFINISHED}
        entries = {where: entry for where, entry in lockfile.entries.items() if entry.state not in UNFINISHED}
        lockfile = replace(lockfile, entries=entries)
    listed: dict[str, Mapping[str, int]] = {}
    world = World(lockfile=lockfile, jobs=jobs, stored=stored, known=known, pictures=show.pictures,
                  file_state=file_states(project.files.folder, listed))
    plan = make_plan(show.manifest, show.card, world, only=chosen(show.manifest, only) if only else None,
                     basis=project.basis(show, digest))
    return Planned(plan=replace(plan, manifest=project.name), lockfile=lockfile, jobs=jobs, listed=listed)


def lagging(planned: Planned) -> dict[Where, LockEntry]:
    """Takes that are kept, with the block that the lockfile does not have (yet): the ledger's, or with another verdict."""
    return {(change.shot, change.take): change.entry for change in planned.plan.changes
            if change.action is Action.KEEP and change.entry is not None
            and change.entry is not planned.lockfile.entries.get((change.shot, change.take))}


def catch_up(project: Project, planned: Planned) -> int:
    """Write the blocks that the lockfile does not have (yet), and return how many: those of a run that was killed before its
    last write, and what the manifest says of a clip since, such as that its take is accepted."""
    behind = lagging(planned)
    if behind:
        project.lock_writer().write({TakeKey(manifest=project.name, shot=shot, take=take): entry
                                     for (shot, take), entry in behind.items()})
    return len(behind)


def overruled(planned: Planned) -> str | None:
    """What to say where the lockfile names other bytes for a job than this machine's ledger has; None where it does not."""
    names = [f"{change.shot} t{change.take}" for change in planned.plan.changes
             if change.entry is not None and (locked := planned.lockfile.entries.get((change.shot, change.take))) is not None
             and locked is not change.entry and is_overruled(locked, change.entry)]
    if not names:
        return None
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (f"the lockfile names another clip than this machine's ledger for {', '.join(names[:3])}{more}: "
            "the ledger's counts, and the next render or lock writes it")


def held_clips(lockfile: Lockfile) -> dict[Stored, LockEntry]:
    """The clips that the lockfile holds whole, by take and fingerprint: of these the ledger has nothing to tell a plan, unless
    it knows other bytes of the job."""
    return {(shot, take, entry.fingerprint): entry for (shot, take), entry in lockfile.entries.items()
            if entry.state is JobState.STORED and entry.outputs and (shot, take) not in lockfile.superseded}


def known_jobs(project: Project, account: str | None = None, *,
               held: Mapping[Stored, LockEntry] | None = None) -> tuple[dict[Where, Job], dict[Stored, Job], frozenset[str]]:
    """The ledger's latest job of every take of this manifest, by take and fingerprint those whose clip was stored, and the
    ids of all; without takes of which the clips that are `held` elsewhere tell the same. Nothing where there is no ledger."""
    ledger = look(project, account)
    if ledger is None:
        return {}, {}, frozenset()
    with ledger:
        history = ledger.history(project.name) if held is None else ledger.history_beyond(project.name, held)
    latest = {(job.intent.key.shot, job.intent.key.take): job for job in history}
    stored = {(job.intent.key.shot, job.intent.key.take, job.intent.fingerprint): job
              for job in history if job.state is JobState.STORED}
    return latest, stored, frozenset(job.intent.external_task_id for job in history)


def chosen(manifest: Manifest, only: Collection[str]) -> frozenset[ShotId]:
    """The shots that `--only` names; raises `UsageError` for one that the manifest does not have."""
    only = [name for names in only for name in names.split(",")]
    known = {shot.id for shot in manifest.shots}
    unknown = sorted(set(only) - known)
    if unknown:
        import difflib  # only for a mistake

        near = difflib.get_close_matches(unknown[0], sorted(known), 1)
        raise UsageError(f"--only {', '.join(unknown)}: no such shot", code="unknown-shot",
                         hint=f"did you mean {near[0]}?" if near else None)
    return frozenset(ShotId(name) for name in only)


def file_states(folder: Path, listed: dict[str, Mapping[str, int]] | None = None) -> Callable[[str, Artifact], str]:
    """How a clip's file stands: `present`, `missing`, or `changed` where its size is another. Each folder is listed once, into
    `listed`; `verify` reads every byte."""
    sizes = {} if listed is None else listed

    def state(place: str, artifact: Artifact) -> str:
        parent, _, name = place.rpartition("/")
        if parent not in sizes:
            sizes[parent] = sizes_in(str(folder / parent))
        size = sizes[parent].get(name)
        if size is None:
            return "missing"
        return "present" if size == artifact.bytes else "changed"

    return state
