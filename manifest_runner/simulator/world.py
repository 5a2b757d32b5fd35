"""The provider as its page states it: a pure world that keeps books.

Laws: no clock, no I/O and no threads (`now`, in seconds from any fixed start, is an argument and never goes back); the
same calls give the same answers; credits are `Decimal` and charged on success only; one job per external task id
where ids replay; no request costs more than the logarithm of the jobs in flight.
Where the page is silent the reading taken is: 400 for a body that it does not allow, 401, 402, 404, 409 and 429 in their usual
meaning, and a 402 as soon as the balance does not cover the jobs in flight and this one.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from manifest_runner.core.model import JobId, Rate
from manifest_runner.simulator.books import Books, Job, RequestRecord, WebhookRecord, json_number, key_hash
from manifest_runner.simulator.page import LIST_PRICES, Order, Rejected, external_task_id_in, read_order

_QUEUED_SHARE = 0.1  # of a job's time, before it is processed


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What kind of provider it is.

    `keys` None accepts any non-empty key; `credits` is the opening balance of each account, None for no limit; a job takes
    `shortest` to `longest` seconds divided by `speed`; `replay` says whether an external task id is idempotent or only a label;
    `posts`, `gets` and `concurrency` are limits of each account, None for no limit. Job ids and durations follow
    from `seed`: worlds of the same seed repeat each other's job ids, so a process that keeps a ledger needs a fresh one.
    """

    models: tuple[str, ...] = ("kling-v3-omni",)
    keys: frozenset[str] | None = None
    credits: Decimal | None = None
    prices: Mapping[str, Decimal] = field(default_factory=lambda: dict(LIST_PRICES))
    speed: float = 1.0
    shortest: float = 70.0
    longest: float = 260.0
    replay: Literal["replays", "correlates"] = "replays"
    posts: Rate | None = None
    gets: Rate | None = None
    concurrency: int | None = None
    webhook_url: str = ""
    seed: str = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `made` is the job that this very request made, None for everything else."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    made: Job | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook that is due: POST `document` to `url`."""

    job_id: JobId
    url: str
    document: Mapping[str, Any]


@dataclass(slots=True)
class _Account:
    """One key's account. `held` are the prices of its jobs in flight; `balance` None means no limit."""

    name: str
    balance: Decimal | None
    held: Decimal = Decimal(0)
    in_flight: int = 0
    most_in_flight: int = 0
    recent: dict[str, deque[float]] = field(default_factory=lambda: {"POST": deque(), "GET": deque()})
    by_id: dict[str, Job] = field(default_factory=dict)


class World:
    """The whole provider. Feed it requests and the time; read its `books`.

    `base_url` stands before the addresses of outputs. With `gated`, a job ends only once somebody has called `clip_ready` or
    `clip_failed` for it.
    """

    def __init__(self, settings: Settings | None = None, *, base_url: str = "", gated: bool = False) -> None:
        self.settings = settings or Settings()
        self.base_url = base_url
        self.gated = gated
        self._books = Books()
        self._accounts: dict[str, _Account] = {}
        self._timetable: list[tuple[float, int, Job]] = []  # a heap: what is over when, in order of arrival
        self._due: deque[Delivery] = deque()
        self._luck = random.Random(self.settings.seed)  # noqa: S311 - durations, not secrets
        self._now = 0.0

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, key: str, path: str, body: bytes, now: float, *, fault: str = "") -> Reply:
        """Answer a POST of `body` to `path` (`/v1/video/<model>`). `fault` is what is done to the answer, for the books."""
        self.advance(now)
        order: Order | None = None
        try:
            account = self._account(key)
            model = path.removeprefix("/v1/video/")
            if model not in self.settings.models:
                raise Rejected(404, "unknown_model", f"there is no model {model!r}")
            self._meter(account, "POST", self.settings.posts)
            order = read_order(body, self.settings.prices)
            reply, note = self._place(account, model, order, hashlib.sha256(body).hexdigest())
        except Rejected as no:
            reply, note = _refusal(no), no.code
        job_id = reply.document.get("job_id", "")
        self.note("POST", path, key, reply.status, now, body=body, job_id=job_id, note=note, fault=fault, order=order)
        return reply

    def job(self, key: str, job_id: str, now: float, *, fault: str = "") -> Reply:
        """Answer a GET of `/v1/jobs/<job_id>`."""
        self.advance(now)
        note = ""
        try:
            account = self._account(key)
            self._meter(account, "GET", self.settings.gets)
            job = self._books.jobs.get(JobId(job_id))
            if job is None or job.account != account.name:
                raise Rejected(404, "job_not_found", "there is no such job")
            reply = Reply(status=200, document=self._document(job))
        except Rejected as no:
            reply, note = _refusal(no), no.code
        self.note("GET", f"/v1/jobs/{job_id}", key, reply.status, now, job_id=job_id, note=note, fault=fault)
        return reply

    def note(self, method: str, path: str, key: str, status: int, now: float, *, body: bytes = b"", job_id: str = "",
             note: str = "", fault: str = "", order: Order | None = None) -> None:
        """Write a request into the books, also one that never reached the provider's rules (a fault, a download)."""
        self._books.request(RequestRecord(
            at=round(now, 6), method=method, path=path, key=key_hash(key), status=status, job_id=job_id, note=note, fault=fault,
            external_task_id=order.external_task_id if order else external_task_id_in(body) if body else "",
            body_sha256=hashlib.sha256(body).hexdigest() if body else "",
            unknown_fields=order.unknown if order else (),
        ))

    def _account(self, key: str) -> _Account:
        accepted = self.settings.keys
        if not key or (accepted is not None and key not in accepted):
            raise Rejected(401, "unauthorized", "the API key is missing or wrong")
        name = key_hash(key)
        if name not in self._accounts:
            self._accounts[name] = _Account(name, self.settings.credits)
        return self._accounts[name]

    def _meter(self, account: _Account, method: str, limit: Rate | None) -> None:
        """Let at most as many requests through in any window as the limit says, and tell the others when to come back."""
        if limit is None:
            return
        recent = account.recent[method]
        while recent and recent[0] <= self._now - limit.per:
            recent.popleft()
        if len(recent) >= limit.count:
            room = recent[0] + limit.per - self._now
            raise Rejected(429, "rate_limited", "too many requests", retry_after=max(1, math.ceil(room)))
        recent.append(self._now)

    def _place(self, account: _Account, model: str, order: Order, sha256: str) -> tuple[Reply, str]:
        known = account.by_id.get(order.external_task_id) if order.external_task_id else None
        if known is not None and self.settings.replay == "replays":
            if known.body_sha256 != sha256:
                raise Rejected(409, "idempotency_conflict", "this external_task_id came with another body before")
            known.replays += 1
            return self._accepted(known), "replay"
        if account.balance is not None and account.balance - account.held < order.price:
            raise Rejected(402, "insufficient_credits", "the account has not enough credits")
        if self.settings.concurrency is not None and account.in_flight >= self.settings.concurrency:
            raise Rejected(429, "too_many_jobs", "too many jobs in flight", retry_after=1)
        job = self._open(account, model, order, sha256)
        return self._accepted(job, made=job), "made"

    def _accepted(self, job: Job, made: Job | None = None) -> Reply:
        return Reply(status=202, document={"job_id": job.id, "status": job.status(self._now)}, made=made)

    # ── the life of a job ─────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, account: _Account, model: str, order: Order, sha256: str) -> Job:
        number = len(self._books.jobs) + 1
        took = self._duration(order)
        job = Job(
            id=JobId(f"job_{''.join(filter(str.isalnum, model))}_{self._hex('job', number)[:16]}"),
            model=model, account=account.name, external_task_id=order.external_task_id,
            callback_url=order.callback_url or self.settings.webhook_url, body_sha256=sha256, content=order.content,
            price=order.price, created=self._now, starts=self._now + took * _QUEUED_SHARE, due=self._now + took,
        )
        self._books.opened(job)
        heapq.heappush(self._timetable, (job.due, number, job))
        account.held += job.price
        account.in_flight += 1
        account.most_in_flight = max(account.most_in_flight, account.in_flight)
        if job.external_task_id:
            account.by_id.setdefault(job.external_task_id, job)
        return job

    def _duration(self, order: Order) -> float:
        """Seconds that a job takes: longer clips and larger pictures tend to take longer."""
        low, high = self.settings.shortest, self.settings.longest
        weight = float(order.duration) / 15 * (1.0 if order.resolution == "1080p" else 0.6)
        return self._luck.triangular(low, high, low + (high - low) * min(1.0, weight)) / self.settings.speed

    def advance(self, now: float) -> None:
        """Let time pass: end the jobs that are due. Every request does this first."""
        self._now = max(self._now, now)
        while self._timetable and self._timetable[0][0] <= self._now:
            job = heapq.heappop(self._timetable)[2]
            if not job.state and (not self.gated or job.has_clip or job.fails):
                self._end(job)

    def clip_ready(self, job_id: JobId) -> None:
        """The job's clip exists: it may succeed as soon as its time has come."""
        job = self._books.jobs[job_id]
        job.has_clip = True
        self._end_if_late(job)

    def clip_failed(self, job_id: JobId, words: str) -> None:
        """There will be no clip: the job fails with `words` when its time has come."""
        job = self._books.jobs[job_id]
        job.fails = job.fails or words
        self._end_if_late(job)

    def ordain(self, job_id: JobId, *, fails: str = "", no_outputs: bool = False, surcharge: Decimal = Decimal(0)) -> None:
        """Decide how a job will end: failed with words, succeeded without outputs, charged more than its price."""
        job = self._books.jobs[job_id]
        job.fails, job.no_outputs, job.surcharge = fails, no_outputs, surcharge

    def _end_if_late(self, job: Job) -> None:
        # The timetable has let go of a job that was due before its clip was there.
        if not job.state and job.due <= self._now:
            self._end(job)

    def _end(self, job: Job) -> None:
        account = self._accounts[job.account]
        account.held -= job.price
        account.in_flight -= 1
        job.state = "failed" if job.fails else "succeeded"
        if not job.fails:
            job.charged = job.price + job.surcharge
            if account.balance is not None:
                account.balance -= job.charged
        self._books.closed(job)
        if job.callback_url:
            self._due.append(Delivery(job_id=job.id, url=job.callback_url, document=self._document(job)))

    # ── what others may know ──────────────────────────────────────────────────────────────────────────────────────

    def output_name(self, job_id: JobId) -> str:
        """The last part of an output's address, without the ending: not to be guessed from the job id."""
        return f"{job_id}-{self._hex('output', job_id)[:16]}"

    def job_of_output(self, name: str) -> Job | None:
        """The succeeded job behind an output's name, or None."""
        job = self._books.jobs.get(JobId(name.rpartition("-")[0]))
        return job if job is not None and job.state == "succeeded" and self.output_name(job.id) == name else None

    def known_job(self, job_id: str) -> Job | None:
        """A job by its id, whoever owns it."""
        return self._books.jobs.get(JobId(job_id))

    def due_webhooks(self, now: float) -> list[Delivery]:
        """The deliveries that have become due and were not handed out before."""
        self.advance(now)
        due = list(self._due)
        self._due.clear()
        return due

    def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        """Write into the books how a delivery went; `status` 0 means that nobody answered."""
        url = hashlib.sha256(delivery.url.encode()).hexdigest()
        self._books.webhooks.append(WebhookRecord(at=round(now, 6), job_id=delivery.job_id, url_sha256=url, status=status))

    def books(self) -> dict[str, Any]:
        """The books as JSON, as of the last moment that the world heard of (see `Books.to_dict`)."""
        return self._books.to_dict(round(self._now, 6), {
            account.name: {
                "balance": None if account.balance is None else json_number(account.balance),
                "in_flight": account.in_flight,
                "most_in_flight": account.most_in_flight,
            }
            for account in self._accounts.values()
        })

    def _document(self, job: Job) -> dict[str, Any]:
        document: dict[str, Any] = {"id": job.id, "model": job.model, "status": job.status(self._now)}
        if job.state == "succeeded":
            url = f"{self.base_url}/out/{self.output_name(job.id)}.mp4"
            document["output"] = {"outputs": [] if job.no_outputs else [{"url": url, "type": "video"}]}
            document["credits_charged"] = json_number(job.charged)
        elif job.state == "failed":
            document["error"] = {"code": "generation_failed", "message": job.fails}
            document["credits_charged"] = 0
        return document

    def _hex(self, *parts: object) -> str:
        return hashlib.sha256("\0".join([self.settings.seed, *map(str, parts)]).encode()).hexdigest()


def error_document(code: str, message: str) -> dict[str, Any]:
    """The body of every refusal."""
    return {"error": {"code": code, "message": message}}


def _refusal(no: Rejected) -> Reply:
    headers = {} if no.retry_after is None else {"Retry-After": str(no.retry_after)}
    return Reply(status=no.status, document=error_document(no.code, no.message), headers=headers)
