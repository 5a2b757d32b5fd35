"""The life of a submission: one table of states and what each event does to them.

Polling, webhooks, recovery and people's decisions all end in the events below; nothing else changes a job's state.
An event that the table does not name for a state is a bug or a lie of the gateway's, and raises `IllegalEvent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from manifest_runner.core.model import Artifact, Intent, JobId, JobState
from manifest_runner.errors import ManifestRunnerError


class IllegalEvent(ManifestRunnerError):
    """An event that cannot happen to a job in this state."""

    code = "illegal-event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """The submission is durable and reserved; it may leave."""

    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The gateway named a job for it."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubt:
    """It left, no usable answer came, and the program may not repeat it. `words` is what did come."""

    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """The gateway is still at it; `status` is the gateway's own word. Where the model card does not know that word, `raw` is
    the document as it came: what the word means for money, a person must find out."""

    status: str
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """Done and billed. `charged` None means that the gateway did not say: the reservation counts as charged. `words`
    say what is wrong with it all the same: that there is no clip.

    `took` is how long the provider took, in seconds after it accepted the job, where that is known: the next schedule of looks
    is made of it, and nothing else.
    """

    charged: Decimal | None
    words: str = ""
    took: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The gateway gave up on the job. `charged` is what it billed all the same (normally nothing)."""

    words: str
    charged: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The gateway answered the submission with a clear no: no job, no charge."""

    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The gateway no longer knows the job. The reservation is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The bytes are on disk and checked."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """A person gave it up. The reservation stays spent unless the gateway is known to have no such job."""

    release: bool = False


Event: TypeAlias = (
    Intended | Submitted | InDoubt | Progressed | Succeeded | Failed | Refused | Missing | Stored | Abandoned
)

_S = JobState

TABLE: Mapping[tuple[JobState, type[Event]], JobState] = {
    (_S.INTENDED, Submitted): _S.SUBMITTED,
    (_S.INTENDED, InDoubt): _S.IN_DOUBT,
    (_S.INTENDED, Refused): _S.REFUSED,
    (_S.INTENDED, Abandoned): _S.ABANDONED,
    (_S.IN_DOUBT, Submitted): _S.SUBMITTED,  # adopted, or answered by a replay that an operator allowed
    (_S.IN_DOUBT, Abandoned): _S.ABANDONED,
    (_S.SUBMITTED, Submitted): _S.SUBMITTED,  # a replay answered with the same job
    (_S.SUBMITTED, Progressed): _S.RUNNING,
    (_S.SUBMITTED, Succeeded): _S.SUCCEEDED,
    (_S.SUBMITTED, Failed): _S.FAILED,
    (_S.SUBMITTED, Missing): _S.MISSING,
    (_S.SUBMITTED, Abandoned): _S.ABANDONED,
    (_S.RUNNING, Submitted): _S.RUNNING,  # the same, heard late: two processes may follow one job
    (_S.RUNNING, Progressed): _S.RUNNING,
    (_S.RUNNING, Succeeded): _S.SUCCEEDED,
    (_S.RUNNING, Failed): _S.FAILED,
    (_S.RUNNING, Missing): _S.MISSING,
    (_S.RUNNING, Abandoned): _S.ABANDONED,
    (_S.MISSING, Progressed): _S.RUNNING,
    (_S.MISSING, Succeeded): _S.SUCCEEDED,
    (_S.MISSING, Failed): _S.FAILED,
    (_S.MISSING, Missing): _S.MISSING,
    (_S.MISSING, Abandoned): _S.ABANDONED,
    (_S.SUCCEEDED, Submitted): _S.SUCCEEDED,
    (_S.SUCCEEDED, Progressed): _S.SUCCEEDED,
    (_S.SUCCEEDED, Succeeded): _S.SUCCEEDED,  # a webhook and a poll told the same
    (_S.SUCCEEDED, Stored): _S.STORED,
    (_S.SUCCEEDED, Abandoned): _S.ABANDONED,  # billed, but its bytes are nowhere to be had
    (_S.STORED, Submitted): _S.STORED,
    (_S.STORED, Progressed): _S.STORED,
    (_S.STORED, Succeeded): _S.STORED,
    (_S.STORED, Stored): _S.STORED,
    (_S.FAILED, Failed): _S.FAILED,
    (_S.FAILED, Progressed): _S.FAILED,
}

UNFINISHED = frozenset({_S.INTENDED, _S.SUBMITTED, _S.RUNNING, _S.IN_DOUBT, _S.MISSING, _S.SUCCEEDED})
"""States that a later run must deal with before anything new is submitted for the same take."""

IN_FLIGHT = frozenset({_S.INTENDED, _S.SUBMITTED, _S.RUNNING})
"""States that count against the limit of jobs in flight."""

HOLDING = frozenset({_S.INTENDED, _S.SUBMITTED, _S.RUNNING, _S.IN_DOUBT, _S.MISSING})
"""States whose whole reservation counts as spent."""


def next_state(state: JobState, event: Event) -> JobState:
    """The state after `event`; raises `IllegalEvent` where the table has no such step."""
    try:
        return TABLE[state, type(event)]
    except KeyError:
        raise IllegalEvent(f"{type(event).__name__} cannot happen to a job that is {state.value}") from None
