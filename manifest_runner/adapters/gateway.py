"""The gateway over HTTP: one request a method, and every answer or failure turned into a `JobDocument` or a `ProviderError`.

Laws
- Money decides: a POST that may have been accepted is never called unsent or refused. What is not certain is `FateUnknown`.
- What its departure has not let go has certainly not left, whatever went wrong.
- A GET changes nothing, so whatever kept its answer away is `NotSent` or `Throttled`: repeat freely.
- Redirects are never followed: the key's own header would travel to whatever host they name.
- The key is in the request's header and nowhere else. Everything that came from outside passes `_tidy` before it is shown, in
  case the gateway echoes the key.
- Tasks queue in front of httpx, never inside its pool, which rescans every waiter on each assignment. A submission never
  queues behind questions: however slow the gateway is, some connections are its own.
- A submission whose way is open waits for its moment with the connection in hand: connecting takes longer than a slot is wide.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import anyio
import httpx

from manifest_runner import __version__
from manifest_runner.adapters.answers import (
    credits_of,
    error_texts,
    is_account_empty,
    is_certificate_failure,
    is_crowded,
    is_job_id,
    parse_json,
    printable,
    retry_after,
)
from manifest_runner.adapters.quick_transport import quick_transport
from manifest_runner.adapters.redaction import Redactor, without_signatures
from manifest_runner.adapters.secrets import Secret, gateway_address, is_loopback, normal_address
from manifest_runner.core.model import JobDocument, JobId, RemoteOutput
from manifest_runner.errors import (
    AccountEmpty,
    Conflict,
    FateUnknown,
    JobNotFound,
    NotSent,
    ProviderError,
    Refused,
    Throttled,
    Unauthorized,
    UsageError,
)
from manifest_runner.ports import Clock, Departure

CONNECTIONS = 10
ASKING = 8
"""Connections that questions may hold at once. The others are for submissions, which must not stand behind them all."""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read; a job document has a few hundred."""

_TIMEOUT = httpx.Timeout(connect=10, read=60, write=30, pool=None)
_WHOLE_EXCHANGE = 180.0  # seconds: a server that drips a byte a minute never meets the read timeout
# Seconds after which an idle connection is given up. Well before a server's usual 5: a submission on a connection that is just
# being closed is of unknown fate. And httpx looks at every idle one for each request, a third of the CPU where ten lie idle.
_IDLE = 2.0
_LONGEST_WORDS = 500
_LONGEST_RAW = 16 * 1024
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NOT_PROCESSED = frozenset({301, 307, 308})  # 302 and 303 often mean "done, look there"
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """`whole` is false where the body broke off or is longer than `LARGEST_ANSWER`."""

    status: int
    headers: httpx.Headers
    text: str
    whole: bool


class HttpGateway:
    """`ports.Provider` over HTTP; an async context manager.

    `transport` stands in for the network in tests and for the embedded simulator. Raises `UsageError` for an address that is
    not http(s), and for plain http over the network to another machine unless `allow_plain_http`. `hidden` are texts that, like
    the key, are shown nowhere, even where the gateway quotes them.
    """

    def __init__(self, base_url: str, key: Secret, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None,
                 allow_plain_http: bool = False, hidden: Sequence[str] = ()) -> None:
        on_the_wire = transport is None and not allow_plain_http
        self._base = gateway_address(base_url) if on_the_wire else normal_address(base_url)
        try:
            httpx.URL(self._base)
        except httpx.InvalidURL as error:
            raise UsageError(f"the gateway's address is not one: {error}", code="bad-address") from None
        self._local = is_loopback(self._base)
        self._key = key
        self._clock = clock
        self._transport = transport
        self._without_key = Redactor(key.reveal(), *hidden)
        self._log_filter = _KeepOut(self._without_key)

    def __repr__(self) -> str:
        return f"HttpGateway({self._base})"

    async def __aenter__(self) -> Self:
        # Proxies come from the environment, but never stand between this machine and itself. The certificates that the
        # environment names count in both cases. A client with `auth=None` reads no .netrc.
        tls = httpx.create_ssl_context() if self._transport is None else True
        self._client = self._asker = self._client_of(self._transport, tls)
        quick = None if isinstance(tls, bool) else quick_transport(tls, local=self._local, connections=ASKING, idle=_IDLE)
        if quick is not None:
            self._asker = self._client_of(quick, tls)
        self._turn = anyio.CapacityLimiter(CONNECTIONS)
        self._asking = anyio.CapacityLimiter(ASKING)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._log_filter)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._log_filter)
        if self._asker is not self._client:
            await self._asker.aclose()
        await self._client.aclose()

    def _client_of(self, transport: httpx.AsyncBaseTransport | None, tls: ssl.SSLContext | bool) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=transport, verify=tls, trust_env=not self._local, timeout=_TIMEOUT, follow_redirects=False, auth=None,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=_IDLE),
            headers={"User-Agent": f"manifest-runner/{__version__}", "Accept": "application/json",
                     "Accept-Encoding": "identity"})
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))  # none is kept, none is sent
        return client

    @property
    def asks_quickly(self) -> bool:
        """Whether its questions cost little, so that many of them may be asked."""
        return self._asker is not self._client

    async def submit(self, path: str, body: bytes, departure: Departure | None = None) -> JobDocument:
        """POST the exact bytes of `body` to the model's `path`; the job that the gateway names. Raises as the port says."""
        if not path.startswith("/"):
            raise UsageError(f"the model's path {path!r} does not start with /", code="bad-path")
        answer = await self._exchange("POST", path, body, departure)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        data = parse_json(answer.text) if answer.whole else None
        job_id = data.get("job_id") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not self._is_job_id(job_id):
            raise FateUnknown(f"the gateway answered {answer.status} without a usable job id: a job may exist",
                              status=answer.status, words=self._redact(answer.text)[:_LONGEST_RAW])
        return self._document(data, JobId(str(job_id)), answer.text)

    async def job(self, job_id: JobId) -> JobDocument:
        """The job as it stands. Raises `Conflict` where the gateway answers with another job, else as the port says."""
        if not self._is_job_id(job_id):
            raise ProviderError(f"{self._tidy(job_id, 80)!r} cannot be a job id of the gateway")
        async with self._asking:
            answer = await self._exchange("GET", f"/v1/jobs/{quote(job_id, safe='')}", None)
        if not 200 <= answer.status < 300:
            raise self._no_job(answer, job_id)
        if not answer.whole:
            raise NotSent(f"the answer about job {job_id} broke off")
        data = parse_json(answer.text)
        if not (isinstance(data, dict) and isinstance(data.get("id"), str) and isinstance(data.get("status"), str)):
            raise ProviderError(f"the gateway's document of job {job_id} cannot be read", status=answer.status,
                                words=self._redact(answer.text)[:_LONGEST_RAW])
        if data["id"] != job_id:
            raise Conflict(f"asked for job {job_id}, the gateway answered with job {self._tidy(data['id'], 80)}",
                           status=answer.status, words=self._redact(answer.text)[:_LONGEST_RAW])
        return self._document(data, job_id, answer.text)

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _exchange(self, method: str, path: str, body: bytes | None, departure: Departure | None = None) -> _Answer:
        headers = {"X-API-Key": self._key.reveal()}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        gate = None if departure is None else _Gate(departure)
        content = body if body is None or gate is None else _let_go(body, gate)
        extensions = {} if gate is None else {"trace": _held_back(gate)}
        fault: ProviderError
        async with self._turn:
            try:
                with anyio.fail_after(_WHOLE_EXCHANGE):
                    client = self._asker if method == "GET" else self._client
                    request = client.build_request(method, f"{self._base}{path}", content=content, headers=headers,
                                                   extensions=extensions)
                    response = await client.send(request, stream=True)
                    try:
                        return await _read(response)
                    finally:
                        await response.aclose()
            except NotSent as error:
                fault = error  # its departure kept it from leaving
            except Exception as error:  # anything at all: a POST must not look unsent because a library raised something new
                fault = self._lost(method, error, unsent=gate is not None and not gate.open)
        raise fault  # outside the except: the foreign error holds the request, and with it the key

    def _lost(self, method: str, error: Exception, *, unsent: bool) -> ProviderError:
        kind, words = type(error).__name__, self._tidy(str(error), 200)
        said = f"{kind}: {words}" if words else kind
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and is_certificate_failure(error):
            return NotSent(f"the gateway's certificate does not verify ({said})", permanent=True)
        if isinstance(error, _NEVER_LEFT):
            return NotSent(f"the gateway at {self._base} cannot be reached ({said})")
        if unsent:
            return NotSent(f"the submission was not let go ({said})")
        if method == "GET":
            return NotSent(f"no answer from the gateway ({said})")
        return FateUnknown(f"the submission left and no answer came ({said}): a job may exist", words=said)

    # ── what an answer means ──────────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, answer: _Answer) -> ProviderError:
        """What an answer other than 2xx says of a submission."""
        status, words = answer.status, self._words(answer)
        common = self._common(answer, words)
        if common is not None:
            return common
        if status == 409:
            return Conflict(f"the gateway sees a conflict with an earlier submission: {words}", status=status, words=words)
        if status in _NOT_PROCESSED:
            where = self._tidy(answer.headers.get("Location", "nowhere"), 200)
            return Refused(f"redirected to {where}, refused", status=status, words=words,
                           hint="set the gateway's address to the one that answers")
        if status >= 500 or status < 400 or status == 408:  # a gateway in front may have lost an answer that said yes
            return FateUnknown(f"the gateway answered {status}: a job may exist", status=status, words=words)
        return Refused(words or f"the gateway refused the request ({status})", status=status, words=words)

    def _no_job(self, answer: _Answer, job_id: str) -> ProviderError:
        """What an answer other than 2xx says to a question about a job."""
        status, words = answer.status, self._words(answer)
        if status in (404, 410):
            return JobNotFound(f"the gateway does not know job {job_id}", status=status, words=words)
        if status >= 500 or status == 408:
            wait = self._retry_after(answer)
            return Throttled(f"the gateway answered {status}", retry_after=wait, status=status, words=words)
        return self._common(answer, words) or ProviderError(
            f"the gateway answered {status} about job {job_id}", status=status, words=words)

    def _common(self, answer: _Answer, words: str) -> ProviderError | None:
        """What a 4xx means whatever was asked: no credits, too fast, or the wrong key."""
        status = answer.status
        if 400 <= status < 500 and is_account_empty(status, error_texts(answer.text)):
            return AccountEmpty(f"the account has no credits left ({status}): {words}", status=status, words=words,
                                hint="add credits to the account, then run the same command again")
        if status == 429:
            wait = self._retry_after(answer)
            return Throttled(f"the gateway asks for patience (429): {words}", retry_after=wait, words=words,
                             crowded=is_crowded(error_texts(answer.text)))
        if status in (401, 403):
            return Unauthorized(f"the gateway did not accept the API key ({status}): {words}", status=status, words=words,
                                hint="check TRINETRA_API_KEY, or the file given with --key-file")
        return None

    def _retry_after(self, answer: _Answer) -> float | None:
        return retry_after(answer.headers.get_list("Retry-After"), answer.headers.get("Date"), self._clock.wall())

    def _document(self, data: Mapping[str, Any], job_id: JobId, text: str) -> JobDocument:
        said_charged = data.get("credits_charged")
        charged, doubt = credits_of(self._redact(said_charged) if isinstance(said_charged, str) else said_charged)
        status = data.get("status")
        said = [*error_texts({key: value for key, value in data.items() if key not in ("code", "type")}), doubt]
        output = data.get("output")
        listed = output.get("outputs") if isinstance(output, dict) else None
        outputs = tuple(
            RemoteOutput(url=self._whole(item["url"]), type=self._tidy(str(item.get("type") or ""), 40))
            for item in (listed if isinstance(listed, list) else ())
            if isinstance(item, dict) and isinstance(item.get("url"), str) and item["url"])
        return JobDocument(
            job_id=job_id, status=self._tidy(status, 80) if isinstance(status, str) else "", outputs=outputs,
            credits_charged=charged, error=self._tidy(": ".join(filter(None, said)), _LONGEST_WORDS), raw=self._redact(text))

    # ── words from outside ────────────────────────────────────────────────────────────────────────────────────────

    def _is_job_id(self, value: object) -> bool:
        return is_job_id(value) and not self._without_key.finds(str(value))

    def _words(self, answer: _Answer) -> str:
        return self._tidy(": ".join(error_texts(answer.text)), _LONGEST_WORDS)

    def _redact(self, text: str) -> str:
        """`text` as it may be shown and kept: without the key, and without what makes an address open."""
        return without_signatures(self._whole(text))

    def _whole(self, text: str) -> str:
        """`text` without the key, and without halves of surrogate pairs, which no file could hold."""
        return self._without_key(text).encode("utf-8", "replace").decode()

    def _tidy(self, text: str, length: int) -> str:
        return printable(self._redact(text), length)


class _KeepOut(logging.Filter):
    """Takes the key out of the HTTP libraries' own log lines: at DEBUG they write whole response headers."""

    def __init__(self, without_key: Redactor) -> None:
        super().__init__()
        self._without_key = without_key

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if self._without_key.finds(message):
            record.msg, record.args = self._without_key(message), None
        return True


class _Gate:
    """A departure that remembers whether it has let anything go."""

    def __init__(self, departure: Departure) -> None:
        self.open = False
        self._departure = departure

    async def leave(self) -> None:
        await self._departure.leave()
        self.open = True

    async def left(self) -> None:
        await self._departure.left()


def _held_back(departure: Departure) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """Awaits the departure when httpcore has a connection, TLS and all, and is about to write the request's head. Only the
    request itself is asked: on its way through a proxy there may be a CONNECT before it."""

    async def trace(event: str, details: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and details["request"].method == b"POST":
            await departure.leave()

    return trace


async def _let_go(body: bytes, departure: Departure) -> AsyncIterator[bytes]:
    """The body, once the departure has let it go, whatever carries it: a request without its body is none."""
    await departure.leave()
    yield body
    await departure.left()


async def _read(response: httpx.Response) -> _Answer:
    """The answer with at most `LARGEST_ANSWER` bytes of its body. A body that breaks off still leaves the status."""
    body, whole = bytearray(), True
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                whole = False
                break
    except httpx.HTTPError:
        whole = False
    # Without NULs: UTF-16 is read as its letters with NULs between them, where nobody would find the key.
    text = bytes(body[:LARGEST_ANSWER]).decode("utf-8-sig", "replace").replace("\0", "")
    return _Answer(status=response.status_code, headers=response.headers, text=text, whole=whole)
