"""What a run knows of its takes: their jobs, their clips, how each ended; and the lockfile, kept in step with that.

Laws: a take ends once; who waits for its clip hears of that; nothing is asked of anybody here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

import anyio

from manifest_runner.core.lifecycle import IN_FLIGHT
from manifest_runner.core.model import (
    Artifact,
    Change,
    Job,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    Shot,
    ShotFrame,
    ShotId,
    TakeKey,
    Verdict,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Outcome, Report
from manifest_runner.core.planning import Where, take_of, upstream_frames
from manifest_runner.core.projection import entry_of
from manifest_runner.core.verdict import Judge, verdict_of
from manifest_runner.engine.lockkeeper import LockKeeper
from manifest_runner.errors import LedgerError, ManifestRunnerError, NotSent, ProviderError, Throttled


def lean(job: Job) -> Job:
    """A job without the bytes of its submission, once these have left: nobody needs them any more, and with pictures in them
    they are megabytes. The ledger has them."""
    if job.state is JobState.INTENDED or not job.intent.body:
        return job
    return replace(job, intent=replace(job.intent, body=b""))


class Takes:
    """All takes of one plan."""

    def __init__(self, plan: Plan, manifest: Manifest, card: ModelCard, lockfile: Lockfile, keeper: LockKeeper) -> None:
        self.shots: Mapping[ShotId, Shot] = {shot.id: shot for shot in manifest.shots}
        self.entries: Mapping[Where, LockEntry] = lockfile.entries
        self.all_ended = anyio.Event()
        self._changes = plan.changes
        self._keeper = keeper
        self._judge = Judge(card)
        self._jobs: dict[Where, Job] = {}
        self._clips: dict[Where, Artifact] = {}
        self._verdicts: dict[Where, Verdict | None] = {}
        self._outcomes: dict[Where, Outcome] = {}
        # an event for each take that somebody waits for; ten thousand that nobody does need none
        awaited = {(frame.shot, self._take_of(frame)) for shot in manifest.shots for frame in upstream_frames(shot)}
        self._ended = {where: anyio.Event() for where in ((change.shot, change.take) for change in plan.changes)
                       if where in awaited}

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def remember(self, jobs: Iterable[Job]) -> None:
        """What the ledger has of these takes, before anything is done about them."""
        self._jobs = {(job.intent.key.shot, job.intent.key.take): lean(job) for job in jobs}

    def job(self, key: TakeKey) -> Job | None:
        """The latest job of a take."""
        return self._jobs.get((key.shot, key.take))

    def learn(self, key: TakeKey, job: Job) -> None:
        """A take's job as it stands now, for the lockfile, too."""
        self._jobs[key.shot, key.take] = lean(job)
        self.project(key, entry_of(job))

    def attempts(self, key: TakeKey) -> int:
        """How often a take was submitted, as far as ledger and lockfile know."""
        where = (key.shot, key.take)
        known = [self._jobs[where].intent.attempt] if where in self._jobs else []
        return max([*known, *([self.entries[where].attempt] if where in self.entries else [])], default=0)

    # ── the lockfile ──────────────────────────────────────────────────────────────────────────────────────────────────

    def project(self, key: TakeKey, entry: LockEntry) -> None:
        """A take's block, with what is said of its clip; it is written where it is another than before."""
        if entry.state is JobState.STORED:
            entry = self._judge.judged(entry, self.shots.get(key.shot), key.take)
            self._verdicts[key.shot, key.take] = entry.verdict
        if entry != self.entries.get((key.shot, key.take)):
            self._keeper.note(key, entry)

    def drop(self, key: TakeKey) -> None:
        """A take that the manifest does not have any more."""
        self._keeper.note(key, None)

    # ── clips ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def upstream(self, shot: Shot) -> str | None:
        """Wait for the clips that a shot takes frames from; the words for it where one of them did not come."""
        for frame in upstream_frames(shot):
            where = (frame.shot, self._take_of(frame))
            if where in self._ended:
                await self._ended[where].wait()
            if where not in self._clips:
                return f"{frame.shot} take {where[1]} has no clip to take its frame from"
        return None

    def clip_of(self, frame: ShotFrame) -> Artifact:
        """The clip that a frame is taken from, once `upstream` has waited for it."""
        return self._clips[frame.shot, self._take_of(frame)]

    def _take_of(self, frame: ShotFrame) -> int:
        return take_of(frame, self.shots)

    # ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self, change: Change, outcome: Outcome) -> Outcome:
        """A take has ended. Returns its outcome with what is said of the clip that came home, and whether that is news: of one
        that was only fetched again it may not be."""
        where = (change.shot, change.take)
        verdict, before = self._verdicts.get(where) if outcome.ending is Ending.DONE else None, verdict_of(change)
        known = before is not None and verdict is not None and before.findings == verdict.findings
        outcome = replace(outcome, verdict=verdict, found=verdict is not None and not known)
        self._ended_as(where, outcome)
        return outcome

    def _ended_as(self, where: Where, outcome: Outcome) -> None:
        if outcome.artifact is not None:
            self._clips[where] = outcome.artifact
        self._outcomes[where] = outcome
        if where in self._ended:
            self._ended[where].set()
        if len(self._outcomes) == len(self._changes):
            self.all_ended.set()

    def keep(self, key: TakeKey, change: Change) -> None:
        """A take about which there is nothing to do."""
        assert change.entry is not None  # noqa: S101 - what is kept is known
        self.project(key, change.entry)
        self._ended_as((change.shot, change.take), Outcome(
            key=key, action=change.action, ending=Ending.DONE, artifact=change.entry.outputs[0], verdict=change.entry.verdict))

    def finished(self, key: TakeKey, change: Change, job: Job) -> Outcome:
        """What the state means in which a job is left."""
        ending, words = {
            JobState.STORED: (Ending.DONE, ""),
            JobState.FAILED: (Ending.FAILED, job.error),
            JobState.REFUSED: (Ending.FAILED, job.error),
            JobState.IN_DOUBT: (Ending.IN_DOUBT, job.error or "it may have been accepted; a person must look"),
            JobState.MISSING: (Ending.UNFINISHED, f"the gateway does not know job {job.job_id} (any more)"),
            JobState.INTENDED: (Ending.UNFINISHED, "no answer yet; the same request goes again in the next run"),
        }.get(job.state, (Ending.UNFINISHED, f"job {job.job_id} is still {job.state.value}"))
        clip = job.artifacts[0] if job.artifacts else None
        return Outcome(key=key, action=change.action, ending=ending, words=words, job=job, charged=job.charged or Decimal(0),
                       artifact=clip)

    def failed(self, key: TakeKey, change: Change, error: ManifestRunnerError) -> Outcome:
        """What an error means for its take: a job that is alive at the gateway is unfinished, whatever kept us from it."""
        job = self.job(key)
        alive = isinstance(error, NotSent | Throttled) or (
            isinstance(error, ProviderError | LedgerError) and job is not None and job.state in IN_FLIGHT)
        ending = Ending.UNFINISHED if alive else Ending.FAILED
        if job is not None and job.state is JobState.IN_DOUBT:
            ending = Ending.IN_DOUBT
        return Outcome(key=key, action=change.action, ending=ending, job=job,
                       words=error.words if isinstance(error, ProviderError) and error.words else error.message,
                       charged=(job.charged if job is not None else None) or Decimal(0))

    def report(self, halted: ManifestRunnerError | None) -> Report:
        """All outcomes, in the order of the plan."""
        return Report(outcomes=tuple(self._outcomes[change.shot, change.take] for change in self._changes), halted=halted)
