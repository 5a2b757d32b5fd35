"""The books: what the provider saw and charged. Tests judge the program by these and never by what it says of itself.

Laws: append only; no key and no prompt is ever written here, only hashes; times are seconds since the world began.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from manifest_runner.core.model import JobId


def key_hash(key: str) -> str:
    """How an API key is named in the books: a short hash, or an empty string for none."""
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else ""


def json_number(value: Decimal) -> int | float:
    """A JSON number for an amount of credits: an integer when whole."""
    return int(value) if value == value.to_integral_value() else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request. `status` is what the world answered (0 where it was cut off before any answer); `fault` is what was then
    done to the answer on its way; `note` is `made`, `replay`, or the code of a refusal."""

    at: float
    method: str
    path: str
    key: str
    status: int
    external_task_id: str = ""
    body_sha256: str = ""
    job_id: str = ""
    note: str = ""
    unknown_fields: tuple[str, ...] = ()
    fault: str = ""


@dataclass(slots=True, kw_only=True)
class Job:
    """One job as the provider knows it. `state` is empty until it is over, then `succeeded` or `failed`; `due` is when it
    is over at the earliest; `fails` are the words that it will fail with."""

    id: JobId
    model: str
    account: str
    external_task_id: str
    callback_url: str
    body_sha256: str
    content: str
    price: Decimal
    created: float
    starts: float
    due: float
    surcharge: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)
    replays: int = 0
    state: str = ""
    fails: str = ""
    no_outputs: bool = False
    has_clip: bool = False

    def status(self, now: float) -> str:
        """The word that the job document carries."""
        return self.state or ("processing" if now >= self.starts else "queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRecord:
    """One attempt to deliver a job document; `status` 0 means that nobody answered."""

    at: float
    job_id: str
    url_sha256: str
    status: int


@dataclass(slots=True)
class Books:
    """Everything recorded so far, with totals that are counted as they happen."""

    requests: list[RequestRecord] = field(default_factory=list)
    jobs: dict[JobId, Job] = field(default_factory=dict)
    webhooks: list[WebhookRecord] = field(default_factory=list)
    charged: Decimal = Decimal(0)
    ended: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    _by_id: Counter[tuple[str, str]] = field(default_factory=Counter)
    _by_content: Counter[tuple[str, str]] = field(default_factory=Counter)

    def request(self, record: RequestRecord) -> None:
        """Write down one request."""
        self.requests.append(record)
        if record.note:
            self.notes[record.note] += 1

    def opened(self, job: Job) -> None:
        """Write down a new job."""
        self.jobs[job.id] = job
        self._by_content[job.account, job.content] += 1
        if job.external_task_id:
            self._by_id[job.account, job.external_task_id] += 1

    def closed(self, job: Job) -> None:
        """Write down what an ended job was charged."""
        self.ended[job.state] += 1
        self.charged += job.charged

    def totals(self) -> dict[str, int | float]:
        """Counts over everything.

        `throttled` counts requests that came too fast, `crowded` submissions for which no place was free.
        `duplicates` counts jobs beyond the first of one external task id; `repeated` counts jobs beyond the first of one
        request (labels aside) of one account, whatever ids they came with: two takes of one prompt are repeated too.
        """
        return {
            "requests": len(self.requests),
            "jobs": len(self.jobs),
            "succeeded": self.ended["succeeded"],
            "failed": self.ended["failed"],
            "open": len(self.jobs) - self.ended.total(),
            "credits_charged": json_number(self.charged),
            "replays": self.notes["replay"],
            "conflicts": self.notes["idempotency_conflict"],
            "throttled": self.notes["rate_limited"],
            "crowded": self.notes["too_many_jobs"],
            "duplicates": _beyond_first(self._by_id.values()),
            "repeated": _beyond_first(self._by_content.values()),
        }

    def to_dict(self, now: float, accounts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The books as JSON: `totals`, `accounts` by key hash, `jobs` and `requests` in order of arrival, `webhooks`."""
        return {
            "now": now,
            "totals": self.totals(),
            "accounts": accounts,
            "jobs": [_job_entry(job, now) for job in self.jobs.values()],
            "requests": [_entry(record) for record in self.requests],
            "webhooks": [_entry(record) for record in self.webhooks],
        }


def _beyond_first(counts: Iterable[int]) -> int:
    return sum(count - 1 for count in counts)


def _entry(record: RequestRecord | WebhookRecord) -> dict[str, Any]:
    # `dataclasses.asdict` copies deeply, ten times slower: seconds for the books of a load run.
    return {name: getattr(record, name) for name in record.__slots__}


def _job_entry(job: Job, now: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "model": job.model,
        "account": job.account,
        "external_task_id": job.external_task_id,
        "state": job.status(now),
        "price": json_number(job.price),
        "credits_charged": json_number(job.charged),
        "created": job.created,
        "due": job.due,
        "body_sha256": job.body_sha256,
        "content_sha256": job.content,
        "replays": job.replays,
    }
