"""What a run says while it goes on and when it has ended. Made by the engine, shown by the views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from manifest_runner.core.lifecycle import Event
from manifest_runner.core.model import Action, Artifact, Job, TakeKey, Verdict
from manifest_runner.core.pace import Patience
from manifest_runner.errors import ManifestRunnerError


class Notice(StrEnum):
    """What happens to a take besides events of its job."""

    WAITING = "waiting"  # for its turn
    DOWNLOADING = "downloading"
    RESTORED = "restored"  # from the store, without the gateway
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A take must wait: `why` is a word of `ports.Wait`, or `held` where another process is about to send this very take;
    `seconds` until it asks again; `who` is whom it waits for, where the ledger knows names."""

    why: str
    seconds: float
    who: str = ""


Observer: TypeAlias = Callable[[TakeKey, "Event | Notice | Patience | Queued | Outcome"], None]
"""Told everything that happens, in the order in which it happens; must not block or raise."""


class Ending(StrEnum):
    """How a take ended in this run."""

    DONE = "done"
    FAILED = "failed"  # the provider or the bytes said no
    SKIPPED = "skipped"  # its upstream shot failed, or the run was halted before its turn
    OVER_BUDGET = "over budget"
    UNFINISHED = "unfinished"  # alive at the gateway, or its answer outstanding: the next run continues
    IN_DOUBT = "in doubt"  # a person must say adopt or abandon


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one take: how, the words for a person, what was charged in this run, and the clip where there is one.
    `verdict` says what is other than asked about that clip; `found` whether that came out in this run, so that nobody can have
    seen it before, whatever take was circled."""

    key: TakeKey
    action: Action
    ending: Ending
    words: str = ""
    charged: Decimal = Decimal(0)
    artifact: Artifact | None = None
    job: Job | None = None
    verdict: Verdict | None = None
    found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All outcomes in plan order, and why the run stopped early where it did."""

    outcomes: tuple[Outcome, ...]
    halted: ManifestRunnerError | None = None

    def of(self, *endings: Ending) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.ending in endings)

    @property
    def charged(self) -> Decimal:
        return sum((outcome.charged for outcome in self.outcomes), Decimal(0))
