"""What to do about every take, and why.

One pass over the shots, upstream before downstream. A verdict is an `Action`; its reasons are for people and nothing
branches on them. Where ledger and lockfile disagree, the ledger wins: it is the one that knows about money.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from manifest_runner.core.camera import told
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.lifecycle import UNFINISHED
from manifest_runner.core.model import (
    Action,
    Artifact,
    Change,
    Fingerprint,
    Frame,
    Job,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Plan,
    Quote,
    Reason,
    ReasonCode,
    Request,
    Shot,
    ShotFrame,
    ShotId,
    UrlFrame,
)
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import quote
from manifest_runner.core.projection import entry_of
from manifest_runner.core.requests import PENDING, frame_identity, is_pending, request_of
from manifest_runner.core.verdict import Judge

Where = tuple[ShotId, int]
NOTHING = Quote(credits=Decimal(0), words="")
_UNCHANGED = (Reason(code=ReasonCode.UNCHANGED),)  # one for the thousands of takes that nothing is said about
_FETCHED = {"missing": ReasonCode.OUTPUT_MISSING, "changed": ReasonCode.OUTPUT_CHANGED}


def output_path(manifest: Manifest, shot: ShotId, take: int) -> str:
    """Where a take's clip lies, relative to the manifest's folder."""
    return f"{manifest.output}/{shot}_t{take}.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the plan is made against: the lockfile, the ledger's latest job of each take and every job of it whose clip was
    stored, the sha256 of each picture file that a shot names, and how a locked clip's file stands (`present`, `missing` or
    `changed`) at the path where it belongs. `known` are the ids of all submissions that the ledger has of takes whose block in
    the lockfile is unfinished or has others on record."""

    lockfile: Lockfile
    jobs: Mapping[Where, Job]
    pictures: Mapping[str, str]
    file_state: Callable[[str, Artifact], str]
    stored: Mapping[tuple[ShotId, int, Fingerprint], Job] = field(default_factory=dict)
    known: Collection[str] = ()


def make_plan(manifest: Manifest, card: ModelCard, world: World, *, only: frozenset[ShotId] | None = None,
              basis: Mapping[str, str] | None = None) -> Plan:
    """The difference between what the manifest asks for and what is there.

    `only` names shots to deal with; those whose frames they need come with them, all others are left as they are.
    """
    planner = _Planner(manifest=manifest, card=card, world=world)
    chosen = None if only is None else with_upstream(manifest, only)
    changes: list[Change] = []
    for shot in manifest.shots:
        if chosen is None or shot.id in chosen:
            changes.extend(planner.takes(shot))
    if chosen is None:
        changes.extend(planner.leftovers())
    total = sum((change.quote.credits for change in changes), Decimal(0))
    cut_total = sum((planner.quote(shot).credits for shot in manifest.shots), Decimal(0))
    return Plan(manifest=manifest.path, changes=tuple(changes), total=total, cut_total=cut_total, basis=dict(basis or {}))


def with_upstream(manifest: Manifest, only: frozenset[ShotId]) -> frozenset[ShotId]:
    """These shots and all whose frames they need."""
    shots = {shot.id: shot for shot in manifest.shots}
    todo, found = [name for name in only if name in shots], set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(frame.shot for frame in upstream_frames(shots[name]))
    return frozenset(found)


def upstream_frames(shot: Shot) -> tuple[ShotFrame, ...]:
    """The frames that a shot takes from other shots."""
    first, last = shot.first_frame, shot.last_frame
    if first is None and last is None:  # nearly all
        return ()
    return tuple(frame for frame in (first, last) if isinstance(frame, ShotFrame))


def take_of(frame: ShotFrame, shots: Mapping[ShotId, Shot]) -> int:
    """The take of which a frame is: the one that is named, else the one in the cut."""
    return frame.take if frame.take is not None else shots[frame.shot].cut_take


@dataclass(slots=True, kw_only=True)
class _Planner:
    """The pass, with what it has found so far: for each shot its changes."""

    manifest: Manifest
    card: ModelCard
    world: World
    shots: dict[ShotId, Shot] = field(init=False)
    done: dict[ShotId, tuple[Change, ...]] = field(init=False, default_factory=dict)
    prices: dict[tuple[str, str], Quote] = field(init=False, default_factory=dict)
    heard: set[str] | None = field(init=False, default=None)
    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.shots = {shot.id: shot for shot in self.manifest.shots}
        self.judge = Judge(self.card)

    def takes(self, shot: Shot) -> tuple[Change, ...]:
        """The changes of all takes of a shot, those of its upstream shots worked out first (never deeper than one frame of
        ours, however long the chain)."""
        chain = [shot]
        while chain:
            current = chain[-1]
            frames = upstream_frames(current)
            if frames and (waiting := [self.shots[frame.shot] for frame in frames if frame.shot not in self.done]):
                chain.extend(waiting)
                continue
            chain.pop()
            if current.id not in self.done:
                request = request_of(current, self.card, self._identity)
                wanted = None if frames and is_pending(request, self.card) else self._fingerprint(current, request)
                takes = range(1, current.takes + 1)
                self.done[current.id] = tuple([self._change(current, take, request, wanted) for take in takes])
        return self.done[shot.id]

    def _fingerprint(self, shot: Shot, request: Request) -> Fingerprint:
        """What the request comes to. One that is the locked one word for word is compared, not hashed: in a show of thousands
        that is nearly all of them."""
        locked = self.world.lockfile.entries.get((shot.id, 1))
        if locked is not None and locked.state is JobState.STORED and locked.request == request:
            return locked.fingerprint
        return fingerprint(request)

    def quote(self, shot: Shot) -> Quote:
        """A take's price; shots that differ only in words share one computation."""
        get, price = shot.params.get, self.card.price
        key = repr(get(price.quantity)), repr(get(price.by))
        found = self.prices.get(key)
        if found is None:
            found = self.prices[key] = quote(self.card, shot.params)
        return found

    def _identity(self, frame: Frame) -> str:
        if isinstance(frame, UrlFrame):
            return f"url:{frame.url}"
        return frame_identity(frame, self.world.pictures.__getitem__, self._clip_hash, self._take_of)

    def _take_of(self, frame: ShotFrame) -> int:
        return take_of(frame, self.shots)

    def _clip_hash(self, frame: ShotFrame) -> str | None:
        """The sha256 of the upstream clip where it is settled, None where this plan will still make it."""
        take = self._take_of(frame)
        change = self.done[frame.shot][take - 1]
        if change.action not in (Action.KEEP, Action.FETCH):
            return None
        return change.entry.outputs[0].sha256 if change.entry is not None and change.entry.outputs else None

    def _entry(self, shot: ShotId, take: int, wanted: Fingerprint | None) -> LockEntry | None:
        """The take as it is known: the lockfile's block where that is what is wanted, else any clip that the ledger knows of
        this very request (a prompt that was changed back is not paid for again), or a job of it that a merge did not choose,
        else the block as it is. A block that names other bytes for a job than the ledger has was edited: the ledger's count."""
        locked = self.world.lockfile.entries.get((shot, take))
        if wanted is None:
            return locked
        job = self.world.stored.get((shot, take, wanted))
        if locked is not None and locked.fingerprint == wanted and locked.state is JobState.STORED:
            return locked if job is None or not is_overruled(locked, entry_of(job)) else entry_of(job)
        if job is not None:
            return entry_of(job)
        records = self.world.lockfile.superseded.get((shot, take), ())
        return next((record for record in records if record.fingerprint == wanted
                     and (record.state is JobState.STORED or _alive(record))), locked)

    def _change(self, shot: Shot, take: int, request: Request, wanted: Fingerprint | None) -> Change:
        job = self.world.jobs.get((shot.id, take))
        entry = self._entry(shot.id, take, wanted)
        if job is not None and job.state in UNFINISHED:
            return self._resume(shot.id, take, entry_of(job), request, wanted)
        finished = entry is not None and entry.state is JobState.STORED and bool(entry.outputs)
        if entry is not None and finished and entry.fingerprint == wanted:
            return self._kept(shot, take, entry, request, wanted)
        for unknown in (entry, self.world.lockfile.entries.get((shot.id, take))):
            if unknown is not None and self._unheard(unknown):
                return self._resume(shot.id, take, unknown, request, wanted)
        price = self.quote(shot)
        if entry is not None and finished:
            return Change(shot=shot.id, take=take, action=Action.REPLACE, quote=price, fingerprint=wanted,
                          reasons=self._differences(entry.request, request, shot), before=entry.request, after=request,
                          entry=entry)
        failed = entry_of(job) if job is not None else entry
        reason = self._new(shot, take) if failed is None else Reason(code=ReasonCode.FAILED_BEFORE, detail=failed.error)
        return Change(shot=shot.id, take=take, action=Action.CREATE, quote=price, fingerprint=wanted, reasons=(reason,),
                      after=request)

    def _new(self, shot: Shot, take: int) -> Reason:
        """Why a take is made that nobody has made yet: where the shot has a clip already, a person wants another one."""
        if not any(self._has_clip(shot.id, other) for other in range(1, take)):
            return Reason(code=ReasonCode.NEW)
        cut = shot.cut_take
        words = "for the cut" if take == cut else f"t{cut} stays in the cut" if cut < take else ""
        return Reason(code=ReasonCode.RETAKE_ASKED, detail=words)

    def _has_clip(self, shot: ShotId, take: int) -> bool:
        locked, job = self.world.lockfile.entries.get((shot, take)), self.world.jobs.get((shot, take))
        return JobState.STORED in (locked.state if locked is not None else None, job.state if job is not None else None)

    def _differences(self, before: Request, after: Request, shot: Shot) -> tuple[Reason, ...]:
        """What changed from the locked request to the wanted one."""
        frames = ((self.card.frames.first, shot.first_frame), (self.card.frames.last, shot.last_frame))
        return _differences(before, after, self.card, {name: self._clip_name(frame) for name, frame in frames
                                                       if isinstance(frame, ShotFrame)})

    def _clip_name(self, frame: ShotFrame) -> str:
        """The clip that a frame is taken from, by its shot, and by its take where there are several."""
        return frame.shot if self.shots[frame.shot].takes == 1 else f"{frame.shot} t{self._take_of(frame)}"

    def _resume(self, shot: ShotId, take: int, entry: LockEntry, request: Request | None, wanted: Fingerprint | None) -> Change:
        code = ReasonCode.IN_DOUBT if entry.state is JobState.IN_DOUBT else ReasonCode.UNFINISHED
        reasons = [Reason(code=code, detail=entry.job_id or entry.external_task_id)]
        if request is None:
            reasons.append(Reason(code=ReasonCode.REMOVED))
        elif entry.fingerprint != wanted:
            reasons.extend(self._differences(entry.request, request, self.shots[shot]))
        # What may not have left yet can still cost all that was reserved for it; whatever has left is paid for already.
        price = NOTHING if entry.state is not JobState.INTENDED else Quote(credits=entry.estimated, words="reserved")
        return Change(shot=shot, take=take, action=Action.RESUME, quote=price, fingerprint=entry.fingerprint,
                      reasons=tuple(reasons), before=entry.request, after=request, entry=entry)

    def _kept(self, shot: Shot, take: int, entry: LockEntry, request: Request, wanted: Fingerprint | None) -> Change:
        place = output_path(self.manifest, shot.id, take)
        if entry.outputs[0].path != place:  # where a clip belongs is the manifest's to say
            entry = replace(entry, outputs=(replace(entry.outputs[0], path=place), *entry.outputs[1:]))
        entry = self._judged(shot, take, entry)
        state = self.world.file_state(place, entry.outputs[0])
        if state == "present":
            action, reasons = Action.KEEP, _UNCHANGED
        else:
            action, reasons = Action.FETCH, (Reason(code=_FETCHED[state], detail=place),)
        return Change(shot=shot.id, take=take, action=action, quote=NOTHING, fingerprint=wanted, reasons=reasons,
                      before=entry.request, after=request, entry=entry)

    def _judged(self, shot: Shot, take: int, entry: LockEntry) -> LockEntry:
        """The take with the verdict about its clip. The ledger knows more of the clip than a lockfile, where it is the same."""
        job = self.world.stored.get((shot.id, take, entry.fingerprint))
        clip = job.artifacts[0] if job is not None and job.artifacts else None
        same = clip is not None and clip.sha256 == entry.outputs[0].sha256
        return self.judge.judged(entry, shot, take, clip.media if clip is not None and same else None)

    def leftovers(self) -> list[Change]:
        """Takes that the manifest no longer asks for: unfinished ones are finished first, since they are paid for."""
        known: dict[Where, LockEntry] = {where: entry for where, entry in self.world.lockfile.entries.items()
                                         if not self._asked(where)}
        known.update({where: entry_of(job) for where, job in self.world.jobs.items()
                      if job.state in UNFINISHED and not self._asked(where)})
        out = []
        for (name, take), entry in sorted(known.items()):
            job = self.world.jobs.get((name, take))
            alive = [record for record in self.world.lockfile.superseded.get((name, take), ()) if self._unheard(record)]
            if (job is not None and job.state in UNFINISHED) or self._unheard(entry):
                out.append(self._resume(name, take, entry, None, None))
            elif alive:
                out.append(self._resume(name, take, alive[0], None, None))
            else:
                out.append(Change(shot=name, take=take, action=Action.DROP, quote=NOTHING, fingerprint=entry.fingerprint,
                                  reasons=(Reason(code=ReasonCode.REMOVED),), before=entry.request))
        return out

    def _unheard(self, entry: LockEntry) -> bool:
        """Whether a block stands for a job that may be alive and of which this machine's ledger has never heard, whatever other
        jobs of the take it knows: somebody else has paid for it."""
        if not _alive(entry):
            return False
        if self.heard is None:
            self.heard = {job.intent.external_task_id for job in (*self.world.jobs.values(), *self.world.stored.values())}
            self.heard |= set(self.world.known)
        return entry.external_task_id not in self.heard

    def _asked(self, where: Where) -> bool:
        """Whether the manifest asks for this take."""
        shot = self.shots.get(where[0])
        return shot is not None and where[1] <= shot.takes


def _alive(entry: LockEntry) -> bool:
    """Whether a lockfile's block stands for a job that exists, or may: without a ledger it must be asked about, never bought
    again."""
    return entry.state is JobState.IN_DOUBT or (entry.state in UNFINISHED and entry.job_id is not None)


def is_overruled(locked: LockEntry, known: LockEntry) -> bool:
    """Whether a block of the lockfile names other bytes for a job than the ledger recorded when they came."""
    return locked.job_id is not None and locked.job_id == known.job_id and locked.outputs != known.outputs and (
        [(clip.sha256, clip.bytes) for clip in locked.outputs] != [(clip.sha256, clip.bytes) for clip in known.outputs])


def is_stale(change: Change) -> bool:
    """True for an unfinished job whose stored request is no longer what the manifest asks for: it is finished first, and what
    follows from it is planned afterwards."""
    if change.action is not Action.RESUME:
        return False
    if change.after is None or any(str(value).startswith(PENDING) for value in change.after.params.values()):
        return True  # a job leaves only once its upstream clip is there: a pending frame now is another clip
    return fingerprint(change.after) != change.fingerprint


def _differences(before: Request, after: Request, card: ModelCard, clips: Mapping[str, str]) -> tuple[Reason, ...]:
    """What changed from the locked request to the wanted one, most telling first. `clips` are named that frames come from."""
    reasons = []
    if before.model != after.model:
        reasons.append(Reason(code=ReasonCode.MODEL_CHANGED, detail=f"{before.model} → {after.model}"))
    frames = (card.frames.first, card.frames.last)
    for name in sorted(before.params.keys() | after.params.keys(), key=lambda name: (name != "prompt", name)):
        old, new = before.params.get(name), after.params.get(name)
        if old == new:
            continue
        if name == "prompt":
            reasons.append(Reason(code=ReasonCode.PROMPT_CHANGED))
        elif name == card.camera.parameter:
            detail = f"camera {_short(told(before.params, card))} → {_short(told(after.params, card))}"
            reasons.append(Reason(code=ReasonCode.PARAMETER_CHANGED, detail=detail))
        elif name not in frames:
            reasons.append(Reason(code=ReasonCode.PARAMETER_CHANGED, detail=f"{name} {_short(old)} → {_short(new)}"))
        elif str(new).startswith(PENDING) or (str(old).startswith("frame:") and str(new).startswith("frame:")):
            reasons.append(Reason(code=ReasonCode.UPSTREAM_CHANGED, detail=clips.get(name, "")))
        else:
            reasons.append(Reason(code=ReasonCode.FRAME_CHANGED, detail=name))
    return tuple(reasons) or (Reason(code=ReasonCode.RETAKE_ASKED),)


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
