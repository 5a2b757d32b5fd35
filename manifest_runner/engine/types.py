"""What the engine is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from manifest_runner.core.polling import PollPolicy
from manifest_runner.errors import ManifestRunnerError
from manifest_runner.ports import (
    Clock,
    Downloads,
    Files,
    Frames,
    Ledger,
    Listener,
    LockWriter,
    Media,
    Provider,
    Rescue,
    SpendingLimits,
    Store,
)


class Sources(Protocol):
    """Where the bytes of a finished take may be: the part of `Outside` that needs no ledger. Without a provider no job is
    asked; without media only the hash says whether a clip is whole."""

    @property
    def provider(self) -> Provider | None: ...
    @property
    def store(self) -> Store: ...
    @property
    def media(self) -> Media | None: ...
    @property
    def downloads(self) -> Downloads: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """`Sources` where nothing is rendered: a clone that pulls."""

    provider: Provider | None
    store: Store
    media: Media | None
    downloads: Downloads
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Every port that a run needs. Without a listener there are only looks by schedule."""

    provider: Provider
    ledger: Ledger
    store: Store
    media: Media
    downloads: Downloads
    frames: Frames
    files: Files
    clock: Clock
    lock: LockWriter
    rescue: Rescue
    listener: Listener | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run behaves. `tries` is how often one request is sent when the answers are lost or the way is down."""

    limits: SpendingLimits
    callback_url: str | None = None
    fail_fast: bool = False
    poll: PollPolicy = field(default_factory=PollPolicy)
    tries: int = 6
    lock_every: float = 1.0


class Halt(Exception):
    """Raised inside one take's task to end the whole run's submissions; carries what the user will see."""

    def __init__(self, cause: ManifestRunnerError) -> None:
        super().__init__(cause.message)
        self.cause = cause
