"""Short ways to the types that flow, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from manifest_runner.adapters.resources import load_card
from manifest_runner.core import expansion
from manifest_runner.core.fingerprint import fingerprint
from manifest_runner.core.model import (
    Artifact,
    ClipFinding,
    Diagnostic,
    ExternalTaskId,
    Intent,
    Job,
    JobId,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    MediaFacts,
    Plan,
    Request,
    ShotId,
    TakeKey,
    Verdict,
)
from manifest_runner.core.planning import World, make_plan
from manifest_runner.core.validation import check
from manifest_runner.errors import UsageError

CARD = load_card("kling-v3-omni")
HEAD = "version: 1\nshow: test\nmodel: kling-v3-omni\n"
FACTS = MediaFacts(container="mp4", codec="h264", width=1280, height=720, duration=5.0, frames=120, frame_rate="24/1")


class Texts:
    """Files by name, as `expansion.Sources` wants them."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.files = dict(files or {})

    def read(self, path: str) -> bytes:
        try:
            return self.files[path].encode()
        except KeyError:
            raise UsageError(f"{path} does not exist", code="file-missing") from None


def findings(text: str, files: Mapping[str, str] | None = None, *, path: str = "test.yaml") -> list[Diagnostic]:
    """Every diagnostic of a manifest, in the order of the text."""
    filled, found = expansion.load(text.encode(), path=path, sources=Texts(files))
    return [*found, *check(filled, CARD)[1]]


def manifest_of(text: str, files: Mapping[str, str] | None = None) -> Manifest:
    """A valid manifest from its shots (or its whole text)."""
    whole = text if text.startswith("version:") else HEAD + text
    filled, found = expansion.load(whole.encode(), path="test.yaml", sources=Texts(files))
    manifest, more = check(filled, CARD)
    assert manifest is not None, [*found, *more]
    return manifest


def clip(name: str, content: str = "clip") -> Artifact:
    import hashlib

    return Artifact(path=name, sha256=hashlib.sha256(f"{name} {content}".encode()).hexdigest(), bytes=1000, media=FACTS)


def entry(request: Request, *, shot: str, take: int = 1, state: JobState = JobState.STORED, content: str = "clip",
          attempt: int = 1) -> LockEntry:
    """A take as the lockfile holds it."""
    stored = state is JobState.STORED
    return LockEntry(state=state, fingerprint=fingerprint(request), request=request, attempt=attempt,
                     external_task_id=ExternalTaskId(f"{shot}_t{take}.a{attempt}.id"), job_id=JobId(f"job_{shot}_{take}"),
                     estimated=Decimal(145), charged=Decimal(145) if stored else None,
                     outputs=(clip(f"renders/test/{shot}_t{take}.mp4", content),) if stored else ())


def verdict(words: str, code: str = "black", *, accepted: bool = False) -> Verdict:
    """One thing in which a clip is other than asked."""
    return Verdict(accepted=accepted, findings=(ClipFinding(code=code, words=words),))


def job(request: Request, *, shot: str, take: int = 1, state: JobState, attempt: int = 1, error: str = "") -> Job:
    """A job as the ledger holds it."""
    locked = entry(request, shot=shot, take=take, state=state, attempt=attempt)
    intent = Intent(key=TakeKey(manifest="test.yaml", shot=ShotId(shot), take=take), attempt=attempt, body=b"{}",
                    external_task_id=locked.external_task_id, fingerprint=locked.fingerprint, request=request,
                    reserved=locked.estimated)
    return Job(intent=intent, state=state, job_id=locked.job_id, charged=locked.charged, artifacts=locked.outputs, error=error)


def plan_of(manifest: Manifest, *, lock: Mapping[tuple[str, int], LockEntry] | None = None,
            jobs: Mapping[tuple[str, int], Job] | None = None, pictures: Mapping[str, str] | None = None,
            files: str | Mapping[str, str] = "present", only: frozenset[str] | None = None,
            superseded: Mapping[tuple[ShotId, int], tuple[LockEntry, ...]] | None = None, known: Sequence[str] = ()) -> Plan:
    """A plan against what is there. `files` is how every clip's file stands, or a mapping from path."""
    entries = {(ShotId(shot), take): value for (shot, take), value in (lock or {}).items()}

    def state(place: str, artifact: Artifact) -> str:
        return files if isinstance(files, str) else files.get(place, "present")

    latest = {(ShotId(s), t): j for (s, t), j in (jobs or {}).items()}
    stored = {(s, t, j.intent.fingerprint): j for (s, t), j in latest.items() if j.state is JobState.STORED}
    world = World(lockfile=Lockfile(entries=entries, superseded=superseded or {}), jobs=latest, stored=stored, known=known,
                  pictures=pictures or {}, file_state=state)
    chosen = None if only is None else frozenset(ShotId(name) for name in only)
    return make_plan(manifest, CARD, world, only=chosen)


def rendered(manifest: Manifest, *, pictures: Mapping[str, str] | None = None) -> dict[tuple[str, int], LockEntry]:
    """The lockfile after everything in a manifest was rendered: planned and locked until nothing is left to do."""
    lock: dict[tuple[str, int], LockEntry] = {}
    while True:
        new = {(change.shot, change.take): entry(change.after, shot=change.shot, take=change.take)
               for change in plan_of(manifest, lock=lock, pictures=pictures).changes
               if change.fingerprint is not None and change.after is not None and (change.shot, change.take) not in lock}
        if not new:
            return lock
        lock |= new
