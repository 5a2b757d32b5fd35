"""What is known of a run while it goes on: stages, credits, pace, failures. Pure: events and the time in, numbers out.

The engine tells an `Observer` everything; `Running.hear` folds it, in a time that does not hang on the number of takes, and
`Running.now` says where things stand. Times are seconds of a clock that never jumps.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import partial

from manifest_runner.core.lifecycle import HOLDING, Event, Failed, Intended, Missing, Progressed, Refused, Submitted, Succeeded
from manifest_runner.core.lifetable import Kind, kind_of
from manifest_runner.core.model import Action, Change, Job, JobState, Manifest, Plan, Rate, Request, TakeKey
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.outcome import Ending, Notice, Outcome, Queued
from manifest_runner.core.pace import Patience
from manifest_runner.core.planning import Where, upstream_frames
from manifest_runner.core.remaining import Experience, Pending, Remaining, remaining

KNOWN = 3
"""Jobs of a kind from which one may guess how long others take."""

_ZERO = Decimal(0)


class Stage(StrEnum):
    """Where a take stands, in the order in which a bar shows it. `LEFT` is everything that this run will not do."""

    DONE = "done"
    DOWNLOADING = "downloading"
    RENDERING = "rendering"
    WAITING = "waiting"
    LEFT = "left"
    FAILED = "failed"


_ALIVE = frozenset({Stage.WAITING, Stage.RENDERING, Stage.DOWNLOADING})
_CLIP_ONLY = Pending(took=(0.0,), age=0.0)
_STAGE_AT_END = {Ending.DONE: Stage.DONE, Ending.FAILED: Stage.FAILED, Ending.IN_DOUBT: Stage.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What this run may use at most. None where there is no limit."""

    concurrency: int | None = None
    rate: Rate | None = None
    credits: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """A run at one moment.

    `flying` are the takes at the gateway, the oldest first, with the seconds since they were accepted; only the first few.
    `submitted` counts the submissions within the period of the rate. `queued` is why the next submission waits and `places` how
    many jobs of this run are in flight. `failed` are the failures so far, in the order in which they came.
    """

    stages: Mapping[Stage, int]
    charged: Decimal
    reserved: Decimal
    elapsed: float
    submitted: int
    places: int
    flying: tuple[tuple[TakeKey, float], ...]
    queued: Queued | None
    failed: tuple[Outcome, ...]
    left: Remaining | None

    @property
    def total(self) -> int:
        return sum(self.stages.values())


@dataclass(slots=True, kw_only=True)
class _Take:
    stage: Stage
    kind: Kind
    after: tuple[Where, ...]
    reserved: Decimal = _ZERO
    charged: Decimal = _ZERO
    accepted: float | None = None
    took: float | None = None


class Running:
    """The fold. `poll` is how many seconds lie between two looks at a job, which is how late its end is noticed until this run
    has shown better. `order` is that in which new takes leave; without it, that of the cut."""

    def __init__(self, plan: Plan, manifest: Manifest, card: ModelCard, jobs: Mapping[Where, Job], bounds: Bounds, *,
                 poll: float, now: float, order: Iterable[Change] = ()) -> None:
        self.bounds = bounds
        self._card = card
        self._began = now
        self._experience = Experience()
        self._poll = poll
        self._lags: deque[float] = deque(maxlen=50)
        self._submitted: deque[float] = deque()
        self._flying: dict[Where, tuple[TakeKey, float]] = {}
        self._queued: Queued | None = None
        self._failed: list[Outcome] = []
        places = {(change.shot, change.take): place for place, change in enumerate(order)}
        self._takes = dict(sorted(_takes(plan, manifest, card), key=lambda found: places.get(found[0], -1)))
        self._chained = any(take.after for take in self._takes.values())
        for where, job in jobs.items():
            if where in self._takes:
                self._known(where, self._takes[where], job)
        self._stages = Counter(take.stage for take in self._takes.values())
        self._charged = _ZERO
        self._reserved = sum((take.reserved for take in self._takes.values()), _ZERO)

    def remember(self, durations: Iterable[tuple[Request, float]]) -> None:
        """What earlier runs have seen: requests and how many seconds they took, the latest last."""
        for request, seconds in durations:
            self._experience.learn(kind_of(request, self._card), seconds)

    def _known(self, where: Where, take: _Take, job: Job) -> None:
        """A job of an earlier run. It is at least as old as this one."""
        if job.state in HOLDING:
            take.reserved = job.intent.reserved
        if job.state in (JobState.SUBMITTED, JobState.RUNNING):
            take.stage = Stage.RENDERING
            self._flying[where] = (job.intent.key, self._began)
        elif job.state is JobState.SUCCEEDED:
            take.stage = Stage.DOWNLOADING

    # ── what is heard ─────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, key: TakeKey, what: Event | Notice | Patience | Queued | Outcome, now: float) -> None:
        """Something has happened to a take."""
        where = (key.shot, key.take)
        take = self._takes.get(where)
        if take is None:
            return
        match what:
            case Intended(intent=intent):
                self._queued = None
                self._money(take, reserved=intent.reserved)
            case Submitted():
                self._submitted.append(now)
                take.accepted = now
                self._flying[where] = (key, now)
                self._move(take, Stage.RENDERING)
            case Progressed():
                self._flying.setdefault(where, (key, now))
                self._move(take, Stage.RENDERING)
            case Succeeded(charged=charged, took=took):
                self._flying.pop(where, None)
                self._money(take, reserved=_ZERO, charged=take.reserved if charged is None else charged)
                self._move(take, Stage.DOWNLOADING)
                if took is not None:
                    take.took = took
                    self._experience.learn(take.kind, took)
            case Failed(charged=charged):
                self._flying.pop(where, None)
                self._money(take, reserved=_ZERO, charged=charged)
            case Refused():
                self._money(take, reserved=_ZERO)
            case Missing():
                self._flying.pop(where, None)
            case Notice.DOWNLOADING:
                self._move(take, Stage.DOWNLOADING)
            case Queued():
                self._queued = what
            case Outcome():
                self._ended(where, take, what, now)

    def _ended(self, where: Where, take: _Take, outcome: Outcome, now: float) -> None:
        self._flying.pop(where, None)
        if take.took is not None and take.accepted is not None and outcome.ending is Ending.DONE:
            self._lags.append(max(now - take.accepted - take.took, 0.0))
        holding = outcome.job is not None and outcome.job.state in HOLDING
        self._money(take, reserved=take.reserved if holding else _ZERO)
        self._move(take, _STAGE_AT_END.get(outcome.ending, Stage.LEFT))
        if outcome.ending in (Ending.FAILED, Ending.IN_DOUBT):
            self._failed.append(outcome)

    def _move(self, take: _Take, stage: Stage) -> None:
        self._stages[take.stage] -= 1
        self._stages[stage] += 1
        take.stage = stage

    def _money(self, take: _Take, *, reserved: Decimal, charged: Decimal | None = None) -> None:
        self._reserved += reserved - take.reserved
        take.reserved = reserved
        if charged is not None:
            self._charged += charged - take.charged
            take.charged = charged

    # ── what is said ──────────────────────────────────────────────────────────────────────────────────────────────

    def now(self, now: float, *, left: Remaining | None = None, shown: int = 8) -> Now:
        """Where things stand; `left` is the latest estimate, `shown` how many takes in flight are named at most."""
        window = self.bounds.rate.per if self.bounds.rate is not None else 60
        while self._submitted and self._submitted[0] <= now - window:
            self._submitted.popleft()
        flying = tuple((key, now - since) for _, (key, since) in zip(range(shown), self._flying.values(), strict=False))
        return Now(stages={stage: self._stages[stage] for stage in Stage}, charged=self._charged, reserved=self._reserved,
                   elapsed=now - self._began, submitted=len(self._submitted), places=len(self._flying), flying=flying,
                   queued=self._queued if self._stages[Stage.WAITING] else None, failed=tuple(self._failed), left=left)

    def pending(self, now: float) -> list[Pending]:
        """The takes that are not over, as `remaining` wants them."""
        alive = [(where, take) for where, take in self._takes.items() if take.stage in _ALIVE]
        places = {where: place for place, (where, _) in enumerate(alive)} if self._chained else {}
        alike: dict[Kind, Pending] = {}  # ten thousand that only wait for their turn are one and the same
        found = []
        for where, take in alive:
            one = alike.get(take.kind)
            if one is None:
                one = alike[take.kind] = Pending(took=self._experience.of(take.kind, KNOWN))
            if take.stage is Stage.DOWNLOADING:
                one = _CLIP_ONLY
            elif take.stage is Stage.RENDERING:
                _, since = self._flying.get(where, (None, self._began))
                one = Pending(took=one.took, age=now - since)
            elif take.after:
                one = Pending(took=one.took, after=tuple(places[other] for other in take.after if other in places))
            found.append(one)
        return found

    @property
    def lag(self) -> float:
        """Seconds from the end of a job until its clip is here, on average."""
        return sum(self._lags) / len(self._lags) if self._lags else self._poll

    def question(self, now: float) -> Callable[[], Remaining | None]:
        """How long the run will still take, as well as one can know, to be worked out when and where there is time for it."""
        return partial(remaining, self.pending(now), concurrency=self.bounds.concurrency, rate=self.bounds.rate, lag=self.lag)

    @property
    def total(self) -> int:
        """The takes that there is something to do about."""
        return len(self._takes)


def _takes(plan: Plan, manifest: Manifest, card: ModelCard) -> Iterable[tuple[Where, _Take]]:
    """What there is to do, in the order of the cut."""
    shots = {shot.id: shot for shot in manifest.shots}
    waits = {shot.id: tuple((frame.shot, frame.take or shots[frame.shot].cut_take) for frame in upstream_frames(shot))
             for shot in manifest.shots}
    for change in plan.changes:
        if change.action is Action.KEEP:
            continue
        request = change.after or change.before
        kind = kind_of(request, card) if request is not None else (card.name,)
        # What has left already waits for nothing any more; a clip that is fetched, or a take that is dropped, is no job at all.
        stage = Stage.DOWNLOADING if change.action in (Action.FETCH, Action.DROP) else Stage.WAITING
        after = waits.get(change.shot, ()) if change.action in (Action.CREATE, Action.REPLACE) else ()
        yield (change.shot, change.take), _Take(stage=stage, kind=kind, after=after)
