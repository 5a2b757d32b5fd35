"""The types that flow through the house, from text to lockfile.

All are frozen, slotted and keyword-only. Credits are `Decimal`, never float. Ids that could be mixed up are their own
types. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NewType, TypeAlias

# JSON as it comes out of YAML or a lockfile. `Any` stands for the recursion that mypy cannot narrow usefully.
Json: TypeAlias = Any
JsonObject: TypeAlias = Mapping[str, Any]

ShotId = NewType("ShotId", str)
JobId = NewType("JobId", str)
ExternalTaskId = NewType("ExternalTaskId", str)
Fingerprint = NewType("Fingerprint", str)
"""`sha256:` and 64 hex digits, over the canonical JSON of a request."""

Pointer: TypeAlias = tuple[str | int, ...]
"""The way to a value inside a document: keys and indexes, from the top."""


# ── where things were written, and what is wrong with them ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place in a text: path as shown to the user, line and column counted from 1 (columns in characters)."""

    path: str
    line: int
    column: int


class Severity(StrEnum):
    """Errors stop a run before anything is spent; warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A second place that explains a diagnostic, such as where a variable was set."""

    message: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One mistake in a user's input.

    `code` is stable (`unknown-shot`); `message` says what is wrong in the user's words; `pointer` is the JSON pointer of
    the value in the filled manifest; `source` is where the value was *written*; `hint` is what to do about it.
    """

    severity: Severity = Severity.ERROR
    code: str
    message: str
    pointer: str = ""
    source: Source | None = None
    hint: str | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """Parsed YAML whose templates are still unfilled. Positions are found on demand with `parsing.locate`.

    `path` is the path as shown to the user; `text` is what was parsed; `rendered` is true where the text came out of a
    whole-file template (`*.yaml.j2`), so that positions point into the rendered text.
    """

    path: str
    text: str
    data: Json
    rendered: bool = False


# ── shots: what a manifest means once its templates are filled ────────────────────────────────────────────────────


class FramePosition(StrEnum):
    """Which frame of an upstream clip is taken."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlFrame:
    """A picture that the gateway fetches itself."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFrame:
    """A picture of the repository; `path` is relative to the manifest's folder, with forward slashes."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotFrame:
    """A frame of another shot's clip. `take` None means the circled take, or the latest where none is circled."""

    shot: ShotId
    frame: FramePosition = FramePosition.LAST
    take: int | None = None


Frame: TypeAlias = UrlFrame | FileFrame | ShotFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera move. `words` is for people (`truck right 4`); `control` is the API's `camera_control` object or None;
    `phrase` is what is said in the prompt where the API has no field for the move."""

    words: str
    control: JsonObject | None = None
    phrase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What the editor uses of a clip: in and out points in seconds from its start. `end` None means to the end."""

    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One shot of the show, after templates, defaults and matrix.

    `params` are request parameters under the API's own names (`prompt` included, camera included as `camera_control`);
    they are JSON and hold no frames. `circled` is the take that goes into the cut; None means the latest.
    """

    id: ShotId
    params: JsonObject
    takes: int = 1
    circled: int | None = None
    camera: Camera | None = None
    first_frame: Frame | None = None
    last_frame: Frame | None = None
    cut: Cut = Cut()
    note: str = ""

    @property
    def prompt(self) -> str:
        return str(self.params["prompt"])

    @property
    def cut_take(self) -> int:
        """The take that chains, reels and timelines use."""
        return self.circled if self.circled is not None else self.takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Submissions per period; `per` is in seconds (1, 60 or 3600)."""

    count: int
    per: int

    @property
    def spacing(self) -> float:
        """Seconds between two submissions at exactly this rate."""
        return self.per / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use at most. None means that nothing was said."""

    concurrency: int | None = None
    rate: Rate | None = None
    credits: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole shot list, filled and valid. `path` is shown to the user; `output` is the folder of the clips, relative to
    the manifest's folder; `shots` are in the order of the cut; `title` is for people."""

    path: str
    show: str
    sequence: str
    model: str
    output: str
    shots: tuple[Shot, ...]
    limits: Limits = Limits()
    title: str = ""


# ── requests, prices, plans ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a model, in a form that can be hashed and shown.

    `params` are the request's parameters; a frame stands under its API name as an *identity*, never as an address:
    `url:<url>`, `file:sha256:<hex>`, `frame:<first|last>:sha256:<hex of the upstream clip>`, or, while the upstream clip
    does not exist yet, `shot:<id>:t<take>:<first|last>`.
    """

    model: str
    params: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of one take by the card's table, and the words that explain it (`5 s × 29`)."""

    credits: Decimal
    words: str


class Action(StrEnum):
    """What is done about one take."""

    CREATE = "create"
    REPLACE = "replace"
    RESUME = "resume"
    FETCH = "fetch"
    KEEP = "keep"
    DROP = "drop"


class ReasonCode(StrEnum):
    """Why. Nothing branches on a reason; it is for people."""

    NEW = "new"
    PROMPT_CHANGED = "prompt changed"
    PARAMETER_CHANGED = "parameter changed"
    FRAME_CHANGED = "frame changed"
    UPSTREAM_CHANGED = "upstream take changed"
    MODEL_CHANGED = "model changed"
    PRICE_DIFFERS = "price differs"
    OUTPUT_MISSING = "output missing"
    OUTPUT_CHANGED = "output changed"
    UNFINISHED = "unfinished"
    IN_DOUBT = "in doubt"
    FAILED_BEFORE = "failed before"
    RETAKE_ASKED = "retake asked"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason and, where it helps, its detail (`duration 5 → 6`, `SH0010`)."""

    code: ReasonCode
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The plan for one take of one shot. `fingerprint` is None while an upstream clip is still to be rendered. `before` and
    `after` are the locked and the wanted request; `entry` is the take as it is known. `quote` is what carrying it out may
    cost: the price of what is created or replaced, and for a resumed submission that may not have left yet, its reservation."""

    shot: ShotId
    take: int
    action: Action
    reasons: tuple[Reason, ...]
    quote: Quote
    fingerprint: Fingerprint | None
    before: Request | None = None
    after: Request | None = None
    entry: LockEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do, in the order of the cut, and what it stands on.

    `basis` names everything that must still be so when the plan is carried out: name → sha256 or version.
    """

    manifest: str
    changes: tuple[Change, ...]
    total: Decimal
    cut_total: Decimal
    basis: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """True where there is nothing to do."""
        return all(change.action is Action.KEEP for change in self.changes)


# ── jobs and what comes out of them ───────────────────────────────────────────────────────────────────────────────


class JobState(StrEnum):
    """Where one submission stands. `lifecycle.TABLE` says what each event does to each state."""

    INTENDED = "intended"  # durable, perhaps not sent
    SUBMITTED = "submitted"  # the gateway has named a job
    RUNNING = "running"
    IN_DOUBT = "in_doubt"  # sent, answer lost, may not be repeated by the program
    MISSING = "missing"  # the gateway no longer knows it; reservation held
    SUCCEEDED = "succeeded"  # billed; bytes not stored yet
    STORED = "stored"  # bytes on disk, checked
    FAILED = "failed"  # the model or the gateway gave up on it; nothing charged unless said
    REFUSED = "refused"  # never became a job
    ABANDONED = "abandoned"  # a person said so


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What looking at every frame of a clip found: how many decode without an error, the share of them that is black (0..1),
    and the longest time in seconds in which nothing moves. Both are rounded to a thousandth."""

    decoded: int
    black: float
    still: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What a probe found in a clip: container and codec names, size in pixels, duration in seconds, frames, and the frame
    rate as a fraction in text (`24/1`). Durations are rounded to a thousandth.

    `measured` is for the verdict about the clip and known to whoever fetched it; the lockfile has the verdict instead, and two
    records of a clip are the same with and without it.
    """

    container: str
    codec: str
    width: int
    height: int
    duration: float
    frames: int
    frame_rate: str
    measured: Measured | None = field(default=None, compare=False)

    @property
    def rate(self) -> float:
        """Frames a second; 0 where a lockfile says something that is no rate."""
        above, _, below = self.frame_rate.partition("/")
        is_rate = above.isdecimal() and below.isdecimal() and len(self.frame_rate) < 40  # a lockfile may be a stranger's
        return int(above) / int(below) if is_rate and int(below) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a job left: path relative to the manifest's folder, sha256 in hex, size in bytes, probed facts."""

    path: str
    sha256: str
    bytes: int
    media: MediaFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFinding:
    """One thing in which a clip is other than asked: a stable code (`black`) and words for a person."""

    code: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings about a take's clip, at least one, and whether a person has accepted it as it is, by circling the take."""

    accepted: bool
    findings: tuple[ClipFinding, ...]

    @property
    def words(self) -> str:
        return "; ".join(finding.words for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOutput:
    """An output as the gateway lists it. The address may expire and is never written to the lockfile."""

    url: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDocument:
    """A job as the gateway describes it. `status` is the gateway's own word; `raw` is the text as it came."""

    job_id: JobId
    status: str
    outputs: tuple[RemoteOutput, ...] = ()
    credits_charged: Decimal | None = None
    error: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeKey:
    """Which take of which shot of which manifest. `manifest` is the path from the root of the repository."""

    manifest: str
    shot: ShotId
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Everything that must be durable before a submission leaves: the id, the exact bytes, the reservation.

    `request` is the request as it may be shown and committed (identities instead of addresses); `body` is what is sent.
    """

    key: TakeKey
    external_task_id: ExternalTaskId
    attempt: int
    fingerprint: Fingerprint
    request: Request
    body: bytes
    reserved: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One submission as the ledger knows it."""

    intent: Intent
    state: JobState
    job_id: JobId | None = None
    charged: Decimal | None = None
    error: str = ""
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """One take in the lockfile: what was asked, which job made it, what it cost, and the bytes that came back. `verdict` is
    None where the clip fits, or where there is none."""

    state: JobState
    fingerprint: Fingerprint
    request: Request
    external_task_id: ExternalTaskId
    attempt: int = 1
    job_id: JobId | None = None
    estimated: Decimal = Decimal(0)
    charged: Decimal | None = None
    error: str = ""
    outputs: tuple[Artifact, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockfile:
    """All takes of one manifest. `extra` holds fields of newer versions, kept as they came: top-level ones under `()`, those of
    a take under `(shot, take)`. `manifest` is the name of the file that it belongs to; `superseded` are jobs of a take that a
    merge did not choose (and that stand in `extra`, too)."""

    entries: Mapping[tuple[ShotId, int], LockEntry] = field(default_factory=dict)
    extra: Mapping[tuple[ShotId, int] | tuple[()], JsonObject] = field(default_factory=dict)
    manifest: str = field(default="", compare=False)
    superseded: Mapping[tuple[ShotId, int], tuple[LockEntry, ...]] = field(default_factory=dict, compare=False)
