"""What the engine needs of the outside world, and nothing more.

Adapters implement these; `tests/fakes.py` implements them in memory. Time and randomness enter the program only here.
Methods raise the errors of `manifest_runner.errors` and no foreign ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

from manifest_runner.core.lifecycle import Event
from manifest_runner.core.model import (
    Artifact,
    ExternalTaskId,
    FramePosition,
    Intent,
    Job,
    JobDocument,
    JobId,
    LockEntry,
    MediaFacts,
    Rate,
    Request,
    TakeKey,
)
from manifest_runner.core.pace import Patience, Slot


class Clock(Protocol):
    """Time. `monotonic` and `sleep` are in seconds and never jump; `wall` is seconds since 1970, for records only."""

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...
    def jitter(self) -> float:
        """A random number in [0, 1), so that many waiters do not wake at once."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Departure(Protocol):
    """How a submission leaves. `leave` is awaited when the way is open and before the first byte leaves; a `NotSent` that it
    raises keeps it from leaving, and comes out of `Provider.submit` as it is. `left` is awaited when the last byte was written,
    where that can be known; it raises nothing. Either may be called more than once."""

    async def leave(self) -> None: ...
    async def left(self) -> None: ...


class Provider(Protocol):
    """The gateway. Each method is one request."""

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        """POST `body` to the model's `path` and return the job it names. No byte of `body` leaves before `departure` lets it.

        Raises `NotSent`, `FateUnknown`, `Throttled`, `Refused`, `AccountEmpty`, `Unauthorized` or `Conflict`.
        """
        ...

    async def job(self, job_id: JobId) -> JobDocument:
        """The job as it stands. Raises `JobNotFound`, `Throttled`, `Unauthorized` or another `ProviderError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimits:
    """The tightest of what operator and manifest said. None means no limit of that kind."""

    rate: Rate | None = None
    concurrency: int | None = None
    run_credits: Decimal | None = None
    daily_credits: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The intent is durable and reserved, and its turn has come: send it when its `slot` opens, after `seconds` at most, a
    fraction of one. `fresh` is False where the intent is that of a run which is gone: its bytes may have left already."""

    job: Job
    fresh: bool = True
    seconds: float = 0.0
    slot: Slot | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not yet: ask again after `seconds`, not earlier and not much later, because others are told other moments.

    `why` is `rate` or `concurrency` (the limits of operator and manifest), `pace`, `crowd` or `pause` (what the gateway has
    asked for), or `turn` (somebody else has waited longer). `who` is whom one waits for, where the ledger knows names.
    """

    seconds: float
    why: str
    who: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Another submission for the same take is already alive; follow that one. While it is still `INTENDED` a process that
    runs now is about to send it: wait and ask again. `who` that is, where the ledger knows names."""

    job: Job
    who: str = field(default="", compare=False)


Admission: TypeAlias = Admitted | Wait | Held


class Ledger(Protocol):
    """The one truth for money, shared by every process of the account: on this machine, or on all that use one database."""

    async def admit(self, intent: Intent, limits: SpendingLimits) -> Admission:
        """In one durable transaction: check rate, concurrency and credits, reserve, and record the intent.

        For an intent that is already recorded and still `INTENDED`, only the rate and what the gateway has asked for count: its
        reservation stands and the job returned carries the *stored* body; `Held` where the process that recorded it still
        runs and is another.
        `Held` too where a clip of this very request is stored for this take already: nothing is bought twice.
        Raises `BudgetExceeded` where a credit limit would be passed.
        """
        ...

    async def record(self, external_task_id: ExternalTaskId, event: Event) -> Job:
        """Apply an event durably and return the job after it. Raises `IllegalEvent` or `LedgerError`."""
        ...

    async def adopt(self, intent: Intent, job_id: JobId) -> Job:
        """Record, in one durable transaction, a job that the gateway has and this ledger does not: its credits are spent
        already, so no limit is asked. Where the submission, or another one alive for the same take, is known, that is
        returned as it stands."""
        ...

    async def throttled(self, external_task_id: ExternalTaskId, seconds: float | None, *,
                        crowded: bool = False) -> Patience | None:
        """The gateway has answered a submission with a 429 and asked to wait `seconds` (None: it did not say): for every task
        of the account a pause, and from then on a slower pace, or, where `crowded`, fewer jobs in flight. No reservation
        changes.

        What is now asked of everybody; None where this refusal belongs to a burst that has been counted already.
        """
        ...

    async def late(self, slot: Slot, left: float) -> None:
        """A submission used its slot at `left` (wall clock), later than it may without a word: the slots that would come too
        soon after it open later."""
        ...

    async def left(self, manifest: str, limits: SpendingLimits) -> Decimal | None:
        """The credits that a run of a manifest may still reserve under these limits, as things stand; None where they set no
        bound. `admit` decides."""
        ...

    async def jobs(self, manifest: str) -> Sequence[Job]:
        """The latest job of every take of a manifest, ordered by shot and take."""
        ...

    async def durations(self) -> Sequence[tuple[Request, float]]:
        """What the account's latest succeeded jobs asked for and how many seconds the provider took, as `Succeeded` told it, in
        the order in which they were recorded: of a batch those that end last are the longest and not the latest. Good for
        guesses only: what cannot be read is left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A job id that the ledger could not take, and the path of the file that keeps it."""

    external_task_id: ExternalTaskId
    job_id: JobId
    place: str


class Rescue(Protocol):
    """Where job ids go when the ledger cannot take them: each is money that was spent."""

    async def keep(self, task: ExternalTaskId, job_id: JobId, *, why: str) -> str | None:
        """Tell a person, with why the ledger did not take it, and write it down; where, or None where nothing could be
        written. Never raises."""
        ...

    def found(self) -> Sequence[Note]:
        """The notes of earlier runs."""
        ...

    def drop(self, note: Note) -> None:
        """Remove a note. Never raises."""
        ...


class Frames(Protocol):
    """How a picture reaches the gateway."""

    async def publish(self, picture: bytes) -> str:
        """An address of the picture (PNG or JPEG bytes) that can stand in a request, now."""
        ...


class Downloads(Protocol):
    """Fetches outputs, without the API key."""

    async def fetch(self, url: str, to: Path) -> None:
        """Write the bytes behind `url` to the new file `to`, whole and synced, or raise `DownloadError`."""
        ...


class Media(Protocol):
    """Reads clips and pictures."""

    async def probe(self, clip: Path) -> MediaFacts:
        """Facts of a clip; raises `MediaError` where it is not a video that can be decoded."""
        ...

    async def frame(self, clip: Path, position: FramePosition) -> bytes:
        """The exact first or last frame as PNG bytes, at the clip's own size."""
        ...

    async def picture(self, content: bytes, most: int) -> bytes:
        """A picture file made into PNG, or into JPEG where that has more than `most` bytes: upright, in sRGB, on black. Raises
        `MediaError` where it cannot be read."""
        ...


class Store(Protocol):
    """Bytes by content, and the places where people look for them."""

    def scratch(self, name: str) -> Path:
        """A path for a new temporary file on the same file system as the store."""
        ...

    async def keep(self, scratch: Path, name: str, media: MediaFacts | None, *, sha256: str | None = None) -> Artifact:
        """Move a finished scratch file into the store by its sha256 and place it at `name`, a path relative to the
        manifest's folder. Never follows a symbolic link out of it. Where `sha256` is given and the bytes are others, they are
        stored but not placed, and `DownloadError` names both."""
        ...

    async def place(self, artifact: Artifact, *, over: bool = True) -> bool:
        """Put a stored artifact at its path again; False where the store does not have its bytes. Without `over` a file that is
        whole already stays as it is."""
        ...

    def path_of(self, artifact: Artifact) -> Path:
        """Where the artifact's bytes can be read now (its place, or the store)."""
        ...


class Copy(StrEnum):
    """How a copy of a clip stands, judged by every byte of it."""

    WHOLE = "whole"
    MISSING = "missing"
    CHANGED = "changed"


class LocalCopies(Protocol):
    """Every copy of a clip on this machine: the one beside the manifest, and the object of the store."""

    def copies(self, artifact: Artifact) -> Sequence[Path]:
        """Where its bytes may be read, the best first. None of them has been judged."""
        ...

    async def check(self, artifact: Artifact) -> tuple[Copy, Copy]:
        """The copy beside the manifest and the object, by their sha256."""
        ...

    async def renew(self, artifact: Artifact) -> None:
        """Make the object anew from the copy beside the manifest. Raises `DownloadError` where that one is not whole."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An object of the shared store: its sha256 in hex, its size in bytes, and when it was written (seconds since 1970)."""

    sha256: str
    bytes: int
    written: float


class SharedStore(Protocol):
    """Clips by content where others find them, too. Every method raises `StoreError` where the store does not answer.

    Laws: an object is written once and whole, or not at all; what is read is checked against its name.
    """

    @property
    def shown(self) -> str:
        """Where it is, for people; nothing secret."""
        ...

    async def size(self, sha256: str) -> int | None:
        """How many bytes it has of this object, None where it has none."""
        ...

    async def fetch(self, sha256: str, size: int, to: Path | None) -> bool:
        """Write the object's bytes to the new file `to`, whole and synced, or with None only read them; False where there is
        none. Raises a `StoreError` that is `damaged` where the bytes there are others, and leaves no file then."""
        ...

    async def put(self, sha256: str, source: Path, *, over: bool = False) -> bool:
        """Store the file's bytes under their name; False where they are there already. With `over` they replace what is
        there. Raises a `StoreError` that is `damaged` where the file's bytes are not those of the name; nothing is stored
        then."""
        ...

    async def listing(self) -> Sequence[Kept]:
        """Every object."""
        ...

    async def remove(self, names: Sequence[str]) -> None:
        """Delete these objects, by their sha256."""
        ...

    async def users(self, me: str | None = None) -> frozenset[str]:
        """The repositories that have ever pushed here, with `me` from now on."""
        ...


class Listener(Protocol):
    """Hears webhooks."""

    async def run(self, hint: Callable[[JobId], None]) -> None:
        """Listen until cancelled, and call `hint` with every job that somebody claims to have news of. It may be anybody."""
        ...


class Files(Protocol):
    """The manifest's folder, read-only and jailed to the repository."""

    def read(self, path: str) -> bytes:
        """Bytes of a file relative to the manifest's folder; raises `UsageError` outside the repository or when missing."""
        ...


class LockWriter(Protocol):
    """The lockfile as a projection of the ledger."""

    async def update(self, entries: Mapping[TakeKey, LockEntry | None]) -> None:
        """Write these takes' blocks (None removes one), leaving all others as they stand on disk."""
        ...
