"""The run: a task for each change of the plan, and what ends it early.

A refused shot costs one shot: its siblings finish. What ends a whole run's submissions (no credits, a wrong key, an answer
that does not fit) lets the jobs that are already paid for finish.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio
from anyio.lowlevel import checkpoint

from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.lifecycle import UNFINISHED, Event, Submitted
from manifest_runner.core.model import (
    Action,
    Change,
    Intent,
    Job,
    JobDocument,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    Request,
    Shot,
    ShotFrame,
    TakeKey,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Notice, Observer, Outcome, Report
from manifest_runner.core.planning import Where, output_path, upstream_frames
from manifest_runner.core.projection import entry_of
from manifest_runner.core.requests import body_of, clip_frame_identity, task_id
from manifest_runner.core.sending import SUBMITTED, sending_order
from manifest_runner.engine.following import Following, Landing, collect, record
from manifest_runner.engine.lockkeeper import LockKeeper
from manifest_runner.engine.looking import Paced
from manifest_runner.engine.pictures import Pictures
from manifest_runner.engine.restoring import Origin, restore
from manifest_runner.engine.submission import Submissions
from manifest_runner.engine.takes import Takes, lean
from manifest_runner.engine.types import Halt, Options, Outside
from manifest_runner.errors import (
    BudgetExceeded,
    LedgerError,
    ManifestRunnerError,
    Unauthorized,
)

_STOPPED = "the run was stopped before its turn"


async def execute(plan: Plan, *, name: str, manifest: Manifest, card: ModelCard, lockfile: Lockfile, outside: Outside,
                  options: Options, observe: Observer) -> Report:
    """Do what the plan says and report how each take ended, in plan order. `name` is the manifest's path from the root of
    the repository, under which the ledger files its jobs. Cancelling is safe at any point."""
    run = _Run(name=name, plan=plan, manifest=manifest, card=card, lockfile=lockfile, outside=outside, options=options,
               observe=observe)
    return await run.all()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aloft:
    """What becomes of a take when its job has landed."""

    change: Change
    earlier: bool


class _Run:
    def __init__(self, *, name: str, plan: Plan, manifest: Manifest, card: ModelCard, lockfile: Lockfile, outside: Outside,
                 options: Options, observe: Observer) -> None:
        self.name, self.plan, self.manifest, self.card = name, plan, manifest, card
        paced = Paced(outside.provider, outside.clock, options.poll.rate)
        self.outside, self.options, self.observe = replace(outside, provider=paced), options, observe
        self.following: Following[_Aloft] = Following(card, self.outside, options.poll, paced, self._tell, self._landed)
        self.keeper = LockKeeper(outside.lock, outside.clock, options.lock_every)
        self.takes = Takes(plan, manifest, card, lockfile, self.keeper)
        self.tasks = anyio.create_task_group()  # of takes that have something to do; those that are only followed need none
        self.halt: ManifestRunnerError | None = None
        self.sent: tuple[Change, ...] = ()  # in the order in which they leave
        self.places: dict[Where, int] = {}  # in the line, where those stand first
        self.submissions = Submissions(card, self.outside, options, self._halted, self._halt, observe)
        self.pictures = Pictures(outside)

    async def all(self) -> Report:
        """Run every change; the lockfile is written whatever happens."""
        ledger, limits = self.outside.ledger, self.options.limits
        self.takes.remember(await ledger.jobs(self.name))
        durations = await ledger.durations()
        self.following.remember(durations)
        self.sent = sending_order(self.plan, self.manifest, self.card, durations, rate=limits.rate,
                                  concurrency=limits.concurrency, left=await ledger.left(self.name, limits))
        others = (change for change in self.plan.changes if change.action not in SUBMITTED)
        self.places = {(change.shot, change.take): place for place, change in enumerate((*self.sent, *others))}
        try:
            async with anyio.create_task_group() as keeping:
                keeping.start_soon(self.keeper.run)
                keeping.start_soon(self.following.run)
                if self.outside.listener is not None:
                    keeping.start_soon(self.outside.listener.run, self.following.hint)
                async with self.tasks:
                    await self._start_all()
                keeping.cancel_scope.cancel()
        finally:
            await self._write_lockfile()
        return self.takes.report(self.halt)

    async def _start_all(self) -> None:
        """Start every take that is not kept, and return when all have ended. What waits for nothing but its turn is called when
        that is near: neither ten thousand kept takes nor ten thousand in line need a task each."""
        for change in self.plan.changes:
            if change.action is Action.KEEP:
                self.takes.keep(self._key(change), change)
        in_line, others = [], []
        for change in self.plan.changes:
            if change.action in SUBMITTED and not upstream_frames(self.takes.shots[change.shot]):
                in_line.append(self.places[change.shot, change.take])
            elif change.action is not Action.KEEP:
                others.append(change)
        in_line.sort()
        for place in in_line:
            self.submissions.line.join(place)
        for change in others:
            self.tasks.start_soon(self._take, change)
            await checkpoint()  # what is only followed from here on has no task by the time the next one starts
        for place in in_line:
            await self.submissions.line.called(place)
            self.tasks.start_soon(self._take, self.sent[place])
        if self.plan.changes:
            await self.takes.all_ended.wait()

    async def _write_lockfile(self) -> None:
        """The last write; where it fails everything is in the ledger all the same."""
        try:
            await self.keeper.flush()
        except ManifestRunnerError as error:
            error.hint = error.hint or "the ledger has everything: mend this, then run `manifest-runner lock` on the manifest"
            self._halt(error)

    def _key(self, change: Change) -> TakeKey:
        return TakeKey(manifest=self.name, shot=change.shot, take=change.take)

    def _place(self, key: TakeKey) -> int:
        return self.places[key.shot, key.take]

    def _halted(self) -> bool:
        return self.halt is not None

    def _halt(self, cause: ManifestRunnerError) -> None:
        """Nothing more leaves. The first cause is the one that is told."""
        self.halt = self.halt or cause

    async def _take(self, change: Change) -> None:
        """One change, from its start to its outcome or until its job is followed."""
        await self._go_on(change, self._act)

    async def _go_on(self, change: Change, step: Callable[[TakeKey, Change], Awaitable[Outcome | None]]) -> None:
        """A step of a take. It leads to an outcome or, where that is None, to a job that is followed until it has `_landed`.
        Errors of this program end the take, not the run."""
        key = self._key(change)
        try:
            outcome = await step(key, change)
        except BudgetExceeded as error:
            outcome = Outcome(key=key, action=change.action, ending=Ending.OVER_BUDGET, words=error.message)
        except Halt as error:
            self._halt(error.cause)
            outcome = self.takes.failed(key, change, error.cause)
        except (LedgerError, Unauthorized) as error:  # without a ledger, or a key, nothing more may leave
            self._halt(error)
            outcome = self.takes.failed(key, change, error)
        except ManifestRunnerError as error:
            outcome = self.takes.failed(key, change, error)
        self.submissions.line.leave(self._place(key))  # where it never came to its turn
        if outcome is None:
            return
        if outcome.ending is Ending.FAILED and self.options.fail_fast and self.halt is None:
            self.halt = ManifestRunnerError(f"{key.shot} failed, and --fail-fast was asked", code="fail-fast")
        self.observe(key, self.takes.end(change, outcome))

    async def _act(self, key: TakeKey, change: Change) -> Outcome | None:
        match change.action:
            case Action.DROP:
                self.takes.drop(key)
                self.observe(key, Notice.DROPPED)
                return Outcome(key=key, action=change.action, ending=Ending.DONE)
            case Action.FETCH:
                assert change.entry is not None  # noqa: S101 - what is fetched is known
                return await self._restore(key, change, change.entry)
            case Action.RESUME:
                return await self._resume(key, change)
            case _:
                return await self._create(key, change)

    async def _resume(self, key: TakeKey, change: Change) -> Outcome | None:
        job, entry = self.takes.job(key), change.entry
        if job is not None and entry is not None and job.state not in UNFINISHED and (
                job.intent.external_task_id != entry.external_task_id):
            job = None  # it is over; what is to be finished is another job of this take
        if job is not None and job.state is JobState.INTENDED and job.intent.body:
            return await self._submit(key, change, job.intent, recorded=True)
        if (job is None or job.state is JobState.INTENDED) and entry is not None and entry.job_id is not None:
            job = await self._adopt(key, entry, entry.job_id)
        if job is None:
            words = "the lockfile says that it may have been accepted, and this machine's ledger does not know it"
            return Outcome(key=key, action=change.action, ending=Ending.IN_DOUBT, words=words)
        return await self._finish(key, change, job)

    async def _restore(self, key: TakeKey, change: Change, entry: LockEntry, *, over: bool = True) -> Outcome:
        """Put the bytes of a finished take where they belong; without `over`, unless they are there."""
        artifact, origin = await restore(entry, output_path(self.manifest, key.shot, key.take), self.outside, over=over,
                                         asking=lambda: self.observe(key, Notice.DOWNLOADING))
        if origin is Origin.STORE:
            self.observe(key, Notice.RESTORED)
        self.takes.project(key, replace(entry, outputs=(artifact, *entry.outputs[1:])))
        return Outcome(key=key, action=change.action, ending=Ending.DONE, artifact=artifact)

    async def _create(self, key: TakeKey, change: Change) -> Outcome | None:
        shot = self.takes.shots[key.shot]
        blocked = await self.takes.upstream(shot)
        if blocked is not None:
            return Outcome(key=key, action=change.action, ending=Ending.SKIPPED, words=blocked)
        if self._halted():
            return Outcome(key=key, action=change.action, ending=Ending.SKIPPED, words=_STOPPED)
        intent = await self._intent(key, shot, change)
        locked = self.takes.entries.get((key.shot, key.take))
        if locked is not None and locked.state is JobState.STORED and locked.fingerprint == intent.fingerprint:
            return await self._restore(key, change, locked)  # its upstream clip came out the same as before
        self.observe(key, Notice.WAITING)
        return await self._submit(key, change, intent)

    async def _submit(self, key: TakeKey, change: Change, intent: Intent, *, recorded: bool = False) -> Outcome | None:
        job = await self.submissions.submit(intent, self._place(key), self._tell, recorded=recorded)
        if job is None:
            return Outcome(key=key, action=change.action, ending=Ending.SKIPPED, words=_STOPPED)
        if job.state is JobState.STORED:  # another process was faster, or it was bought under an earlier plan
            self.takes.learn(key, job)
            return await self._restore(key, change, entry_of(job), over=False)
        return await self._finish(key, change, job, earlier=job.intent.fingerprint != intent.fingerprint)

    async def _intent(self, key: TakeKey, shot: Shot, change: Change) -> Intent:
        """Everything that must be durable: the planned request with the upstream clips that are there now."""
        assert change.after is not None  # noqa: S101 - what is created was asked for
        params = dict(change.after.params)
        for name, frame in ((self.card.frames.first, shot.first_frame), (self.card.frames.last, shot.last_frame)):
            if isinstance(frame, ShotFrame):
                params[name] = clip_frame_identity(frame.frame, self.takes.clip_of(frame).sha256)
        request = Request(model=change.after.model, params=params)
        digest = fingerprint(request)
        attempt = self.takes.attempts(key) + 1
        task = task_id(key, digest, attempt)
        addresses = await self.pictures.addresses(shot, request, self.card, self.takes.clip_of)
        body = body_of(request, addresses, task, self.options.callback_url)
        return Intent(key=key, external_task_id=task, attempt=attempt, fingerprint=digest, request=request, body=body,
                      reserved=change.quote.credits)

    async def _adopt(self, key: TakeKey, entry: LockEntry, job_id: JobId) -> Job:
        """Take over a job that only the lockfile knows, after the gateway has said that it exists for this account."""
        await self.outside.provider.job(job_id)
        intent = Intent(key=key, external_task_id=entry.external_task_id, attempt=entry.attempt, fingerprint=entry.fingerprint,
                        request=entry.request, body=b"", reserved=entry.estimated)
        return await self.outside.ledger.adopt(intent, job_id)

    def _tell(self, event: Event, job: Job) -> None:
        """Hears of each durable event: keeps the job, the lockfile and the observer in step with the ledger."""
        if isinstance(event, Submitted):
            self.following.accepted(job.intent.external_task_id)
        self.takes.learn(job.intent.key, job)
        self.observe(job.intent.key, event)

    async def _finish(self, key: TakeKey, change: Change, job: Job, *, earlier: bool = False) -> Outcome | None:
        """Bring a job that has left to its end, from whatever state it is in; None where it is followed from here on. `earlier`
        says that it is a job of another request than the one of the plan."""
        self.takes.learn(key, job)
        if job.state in (JobState.SUBMITTED, JobState.RUNNING, JobState.MISSING):
            self.following.follow(lean(job), _Aloft(change=change, earlier=earlier))
            return None
        self.submissions.freed()
        return await self._home(key, change, job, None, earlier=earlier)

    def _landed(self, landing: Landing[_Aloft]) -> None:
        """A job is followed no more; its take goes on in a task again."""
        aloft = landing.flight.what

        async def land(key: TakeKey, change: Change) -> Outcome | None:
            job = landing.flight.job
            try:
                if landing.error is not None:
                    raise landing.error
                if landing.event is not None:
                    job = await record(job, landing.event, self.outside, self._tell)
            finally:
                self.submissions.freed()
            return await self._home(key, change, job, landing.document, earlier=aloft.earlier)

        self.tasks.start_soon(self._go_on, aloft.change, land)

    async def _home(self, key: TakeKey, change: Change, job: Job, document: JobDocument | None, *, earlier: bool) -> Outcome:
        """What a job leaves that is followed no more: its clip, where there is one."""
        brought = None
        if job.state is JobState.SUCCEEDED:
            self.observe(key, Notice.DOWNLOADING)
            job = await collect(job, document, output_path(self.manifest, key.shot, key.take), self.outside, self._tell)
        elif job.state is JobState.STORED:  # another run has brought it home, perhaps to another machine
            brought = (await self._restore(key, change, entry_of(job), over=False)).artifact
        outcome = self.takes.finished(key, change, job)
        outcome = outcome if brought is None else replace(outcome, artifact=brought)
        if not earlier or outcome.ending is not Ending.DONE:
            return outcome
        words = "another run was rendering an earlier request of this take: that one is finished; run again for this one"
        return replace(outcome, ending=Ending.UNFINISHED, words=words, artifact=None)
