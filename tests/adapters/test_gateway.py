from __future__ import annotations

import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

from manifest_runner import __version__
from manifest_runner.adapters.gateway import CONNECTIONS, LARGEST_ANSWER, HttpGateway
from manifest_runner.adapters.secrets import Secret
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

CANARY = "tk_canary/7f3a+9b="
AS_TEXT = ("7f3a", "tk_canary%2F7f3a%2B9b%3D")
BASE = "https://gateway.example"
PATH = "/v1/video/kling-v3-omni"
BODY = '{"prompt": "Aśa  ", "duration":5}'.encode()
ACCEPTED = {"job_id": "job_1", "status": "queued"}

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the system's certificates takes longer than a test; one reading serves them all."""
    monkeypatch.setattr(httpx, "create_ssl_context", _context)


def _context(verify: ssl.SSLContext | bool = True, **_: object) -> ssl.SSLContext:
    return verify if isinstance(verify, ssl.SSLContext) else _default_context()


@cache
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class FixedClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1793952010.0

    def jitter(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the gateway never sleeps")


Handler = Callable[[httpx.Request], httpx.Response]


def gateway(handler: Handler, base: str = BASE) -> HttpGateway:
    return HttpGateway(base, Secret(CANARY), transport=httpx.MockTransport(handler), clock=FixedClock())


def answering(status: int, content: object = None, headers: dict[str, str] | None = None) -> Handler:
    def handler(_request: httpx.Request) -> httpx.Response:
        if isinstance(content, bytes):
            return httpx.Response(status, content=content, headers=headers)
        return httpx.Response(status, json=content, headers=headers)

    return handler


def raising(error: Exception) -> Handler:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    return handler


async def submit(handler: Handler) -> JobDocument:
    async with gateway(handler) as api:
        return await api.submit(PATH, BODY)


async def ask(handler: Handler, job_id: str = "job_1") -> JobDocument:
    async with gateway(handler) as api:
        return await api.job(JobId(job_id))


async def failure(asking: Callable[[Handler], object], handler: Handler) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await asking(handler)  # type: ignore[misc]
    return caught.value


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_submission_sends_the_exact_bytes_with_the_key_in_its_header() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json=ACCEPTED)

    document = await submit(handler)
    assert (document.job_id, document.status, document.credits_charged) == ("job_1", "queued", None)
    request, = seen
    assert (request.method, str(request.url), request.content) == ("POST", BASE + PATH, BODY)
    assert request.headers["X-API-Key"] == CANARY
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"manifest-runner/{__version__}"
    assert "Authorization" not in request.headers


async def test_a_question_about_a_job_percent_encodes_its_id_below_the_base() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": "a:b.c", "status": "queued"})

    async with gateway(handler, BASE + "/api/") as api:
        await api.job(JobId("a:b.c"))
    assert seen[0].method == "GET"
    assert seen[0].url.raw_path == b"/api/v1/jobs/a%3Ab.c"
    assert seen[0].headers["X-API-Key"] == CANARY


@pytest.mark.parametrize("job_id", ["", "..", ".", "...", "a/b", "a b", "a?x", "a\n", "é", "x" * 201, "a%2e"])
async def test_an_id_that_cannot_stand_in_a_path_is_never_asked_for(job_id: str) -> None:
    error = await failure(lambda handler: ask(handler, job_id), raising(AssertionError("must not be sent")))
    assert type(error) is ProviderError


# ── what a submission's answer means ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_a_job_id_in_a_success_is_a_job(status: int) -> None:
    assert (await submit(answering(status, ACCEPTED))).job_id == "job_1"


MALFORMED = [b"", b"{", b"null", b"[]", b'"job_1"', b"<html>OK</html>", b'{"status": "queued"}',
             b'{"job_id": 7}', b'{"job_id": ""}', b'{"job_id": null}', b'{"job_id": "a/../b"}', b'{"job_id": ".."}',
             b'{"job_id": "a\\n"}',
             b"\xff\xfe", b"[" * 100_000,
             b'{"job_id": "job_1", "x": ' + b"9" * 5000 + b"}"]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
async def test_a_malformed_success_leaves_the_fate_unknown_and_keeps_the_body(body: bytes) -> None:
    error = await failure(submit, answering(202, body))
    assert type(error) is FateUnknown
    assert error.status == 202
    assert error.words == body.decode("utf-8", "replace")[: 16 * 1024]


async def test_a_success_that_is_too_long_to_read_leaves_the_fate_unknown() -> None:
    body = b'{"job_id": "job_1", "x": "' + b"x" * LARGEST_ANSWER + b'"}'
    assert type(await failure(submit, answering(202, body))) is FateUnknown


MEANINGS = [
    (400, {"error": {"message": "prompt was refused by moderation"}}, Refused),
    (400, {"error": {"code": "insufficient_credits", "message": "top up"}}, AccountEmpty),
    (401, {"error": "bad key"}, Unauthorized),
    (402, None, AccountEmpty),
    (403, {"error": "not yours"}, Unauthorized),
    (403, {"error": "insufficient balance"}, AccountEmpty),
    (404, {"error": "no such model"}, Refused),
    (405, None, Refused),
    (408, None, FateUnknown),
    (409, {"error": "same id, other body"}, Conflict),
    (413, None, Refused),
    (422, {"detail": [{"loc": ["body", "duration"], "msg": "too long"}]}, Refused),
    (429, {"error": "slow down"}, Throttled),
    (429, {"error": "insufficient credits"}, AccountEmpty),
    (301, None, Refused), (307, None, Refused), (308, None, Refused),
    (302, None, FateUnknown), (303, None, FateUnknown), (304, None, FateUnknown),
    (204, None, FateUnknown), (206, None, FateUnknown),
    (500, {"error": "oops"}, FateUnknown), (502, None, FateUnknown), (503, None, FateUnknown), (504, None, FateUnknown),
    (599, None, FateUnknown),
]


@pytest.mark.parametrize(("status", "body", "meaning"), MEANINGS)
async def test_each_answer_to_a_submission_has_one_meaning(status: int, body: object, meaning: type[ProviderError]) -> None:
    error = await failure(submit, answering(status, body, {"Retry-After": "7", "Location": "https://elsewhere.example/"}))
    assert type(error) is meaning
    assert error.status == status


async def test_503_with_retry_after_may_have_been_processed() -> None:
    assert type(await failure(submit, answering(503, None, {"Retry-After": "7"}))) is FateUnknown


async def test_redirects_are_not_followed_so_the_key_stays_here() -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"Location": "https://thief.example/"})

    error = await failure(submit, handler)
    assert hosts == ["gateway.example"]
    assert "redirected to https://thief.example/, refused" in str(error)


@pytest.mark.parametrize(("header", "expected"), [
    ({"Retry-After": "7"}, 7.0), ({}, None), ({"Retry-After": "-1"}, 0.0), ({"Retry-After": "1e9"}, None),
    ({"Retry-After": "9999999"}, 3600.0),
    ({"Retry-After": "Sun, 06 Nov 2026 08:00:30 GMT", "Date": "Sun, 06 Nov 2026 08:00:00 GMT"}, 30.0),
    ({"Retry-After": "Sun, 06 Nov 2026 08:00:30 GMT"}, 20.0),
    ({"Retry-After": "1.5"}, 1.5), ({"Retry-After": "0"}, 0.0), ({"Retry-After": "soon"}, None), ({"Retry-After": ""}, None),
    ({"Retry-After": "Sun, 06 Nov 2026 07:00:00 GMT", "Date": "Sun, 06 Nov 2026 08:00:00 GMT"}, 0.0),
    ({"Retry-After": "Sun, 06 Nov 2044 08:00:00 GMT"}, 3600.0),
    ([("Retry-After", "2"), ("Retry-After", "9")], 9.0), ([("Retry-After", "soon"), ("Retry-After", "3")], 3.0),
    ([("retry-after", "Sun, 06 Nov 2026 08:00:30 GMT"), ("Retry-After", "5"), ("Date", "Sun, 06 Nov 2026 08:00:00 GMT")], 30.0),
])
@pytest.mark.parametrize("asking", [submit, ask])
async def test_429_says_how_long_to_wait(asking: Callable[[Handler], object], header: object,
                                         expected: float | None) -> None:
    error = await failure(asking, answering(429, {"error": "slow down"}, header))
    assert isinstance(error, Throttled)
    assert error.retry_after == expected


@pytest.mark.parametrize(("answer", "crowded"), [
    ({"error": {"code": "too_many_jobs", "message": "too many jobs in flight"}}, True),
    ({"error": "parallel task over resource pack limit"}, True), ({"error": {"code": "rate_limited"}}, False), ({}, False),
])
async def test_429_tells_too_many_jobs_at_once_from_too_many_requests(answer: object, crowded: bool) -> None:
    error = await failure(submit, answering(429, answer))
    assert isinstance(error, Throttled)
    assert error.crowded is crowded


async def test_a_refusal_carries_the_providers_words_printable_and_cut() -> None:
    error = await failure(submit, answering(400, {"error": {"message": "No\x1b[31m \u202eweapons\n" + "x" * 900}}))
    assert error.words.startswith("No [31m weapons xxx")
    assert error.words.isprintable()
    assert len(error.words) == 500
    plain = await failure(submit, answering(400, b"<h1>Bad\xff Request</h1>"))
    assert plain.words == "<h1>Bad� Request</h1>"


async def test_the_callback_address_is_hidden_where_the_gateway_quotes_it() -> None:
    token, url = "t" * 43, "https://hooks.example/of/ours"
    quoted = {"message": f"cannot reach {url}/{token}", "callback_url": f"{url}/{token}"}
    for status, body in ((400, {"error": quoted}), (202, quoted), (500, quoted)):
        transport = httpx.MockTransport(answering(status, body))
        async with HttpGateway(BASE, Secret(CANARY), clock=FixedClock(), transport=transport, hidden=(url, token)) as there:
            with pytest.raises(ProviderError) as caught:
                await there.submit(PATH, BODY)
        assert "***" in caught.value.words
        assert token not in str(caught.value) + caught.value.words
        assert "of/ours" not in str(caught.value) + caught.value.words


async def test_a_refusal_whose_body_breaks_off_is_still_a_refusal() -> None:
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"error": "pro'
            raise httpx.ReadError("reset")

    assert type(await failure(submit, lambda _: httpx.Response(400, stream=Broken()))) is Refused
    assert type(await failure(submit, lambda _: httpx.Response(202, stream=Broken()))) is FateUnknown
    assert type(await failure(ask, lambda _: httpx.Response(200, stream=Broken()))) is NotSent


# ── what a failing network means ──────────────────────────────────────────────────────────────────────────────────────


def certificate_error() -> httpx.ConnectError:
    error = httpx.ConnectError("certificate verify failed")
    error.__cause__ = OSError("wrapped")
    error.__cause__.__context__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    return error


NEVER_LEFT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full"), httpx.ProxyError("502")]
MAY_HAVE_LEFT = [
    httpx.ReadTimeout("x"), httpx.WriteTimeout("x"), httpx.ReadError("x"), httpx.WriteError("x"), httpx.CloseError("x"),
    httpx.RemoteProtocolError("x"), httpx.LocalProtocolError("x"), httpx.DecodingError("x"), httpx.TooManyRedirects("x"),
    httpx.UnsupportedProtocol("x"), OSError("x"), RuntimeError("x"), ValueError("x"), TimeoutError()]


@pytest.mark.parametrize("error", NEVER_LEFT, ids=lambda error: type(error).__name__)
async def test_what_never_left_may_be_sent_again(error: Exception) -> None:
    for asking in (submit, ask):
        caught = await failure(asking, raising(error))
        assert type(caught) is NotSent
        assert not caught.permanent


@pytest.mark.parametrize("error", MAY_HAVE_LEFT, ids=lambda error: type(error).__name__)
async def test_what_may_have_left_is_of_unknown_fate_for_a_post_and_safe_to_repeat_for_a_get(error: Exception) -> None:
    assert type(await failure(submit, raising(error))) is FateUnknown
    assert type(await failure(ask, raising(error))) is NotSent


async def test_a_certificate_that_does_not_verify_is_permanent() -> None:
    for asking in (submit, ask):
        caught = await failure(asking, raising(certificate_error()))
        assert isinstance(caught, NotSent)
        assert caught.permanent


async def test_a_server_that_drips_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await anyio.sleep(0.005)

    monkeypatch.setattr("manifest_runner.adapters.gateway._WHOLE_EXCHANGE", 0.03)
    assert type(await failure(submit, lambda _: httpx.Response(202, stream=Dripping()))) is FateUnknown


async def test_a_cancelled_submission_is_cancelled_and_not_an_error() -> None:
    async def hang(_request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0.01) as scope:
        await submit(hang)  # type: ignore[arg-type]
    assert scope.cancelled_caught


# ── what a job's document says ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_job_document_is_read_exactly() -> None:
    text = (b'{"id": "job_1", "model": "kling-v3-omni", "status": "succeeded", "credits_charged": 145.10,'
            b' "output": {"outputs": [{"url": "https://cdn.example/a.mp4?sig=1", "type": "video"}]}}')
    document = await ask(answering(200, text))
    assert document == JobDocument(
        job_id=JobId("job_1"), status="succeeded", credits_charged=Decimal("145.10"), error="", raw=text.decode(),
        outputs=(RemoteOutput(url="https://cdn.example/a.mp4?sig=1", type="video"),))
    assert str(document.credits_charged) == "145.10"


@pytest.mark.parametrize("output", [None, [], "x", {}, {"outputs": None}, {"outputs": {}},
                                    {"outputs": [None, 1, {}, {"url": 5}, {"url": ""}]}])
async def test_missing_outputs_are_tolerated(output: object) -> None:
    document = await ask(answering(200, {"id": "job_1", "status": "succeeded", "output": output}))
    assert document.outputs == ()


@pytest.mark.parametrize("text", ["-1", "NaN", "1e40", "Infinity", "true", '"x"'])
async def test_charges_that_cannot_be_are_none_and_said_so(text: str) -> None:
    document = await ask(answering(200, f'{{"id": "job_1", "status": "succeeded", "credits_charged": {text}}}'.encode()))
    assert document.credits_charged is None
    assert "credits_charged" in document.error


async def test_the_words_of_a_failure_are_kept() -> None:
    told = {"id": "job_1", "status": "failed", "error": {"code": "nsfw", "message": "No"}, "type": "video"}
    document = await ask(answering(200, told))
    assert (document.status, document.error) == ("failed", "nsfw: No")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"id": "job_1"}', b'{"status": "queued"}', b'{"id": 1, "status": "x"}',
                                  b"<html>"])
async def test_a_malformed_document_is_a_provider_error_that_keeps_it(body: bytes) -> None:
    error = await failure(ask, answering(200, body))
    assert type(error) is ProviderError
    assert error.words == body.decode()


async def test_a_document_of_another_job_is_a_conflict() -> None:
    assert type(await failure(ask, answering(200, {"id": "job_2", "status": "succeeded"}))) is Conflict


@pytest.mark.parametrize(("status", "meaning"), [
    (401, Unauthorized), (403, Unauthorized), (404, JobNotFound), (410, JobNotFound), (408, Throttled), (429, Throttled),
    (500, Throttled), (502, Throttled), (503, Throttled), (402, AccountEmpty), (400, ProviderError), (409, ProviderError),
    (301, ProviderError), (303, ProviderError),
])
async def test_each_answer_about_a_job_has_one_meaning(status: int, meaning: type[ProviderError]) -> None:
    error = await failure(ask, answering(status, {"error": "words"}))
    assert type(error) is meaning
    assert error.status == status


# ── the key ───────────────────────────────────────────────────────────────────────────────────────────────────────────


ECHOES = [CANARY, "tk_canary%2F7f3a%2B9b%3D", "tk_canary/7f3a%2B9b%3D", "TK_CANARY%2f7f3a%2b9b%3d"]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 202, 307, 400, 401, 402, 403, 404, 409, 429, 500])
async def test_a_key_that_the_gateway_echoes_is_shown_nowhere(status: int, echo: str, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps({"id": "job_1", "job_id": f"job_{echo}", "status": echo, "error": f"bad key {echo}",
                       "output": {"outputs": [{"url": f"https://cdn.example/?k={echo}", "type": echo}]}}).encode()
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for asking in (submit, ask):
            try:
                seen.append(repr(await asking(answering(status, body, {"Location": f"/{echo}", "X-Echo": echo}))))
            except ProviderError as error:
                seen += [error.message, error.words, repr(error), str(error.hint), "".join(traceback.format_exception(error))]
    assert seen
    assert not [text for text in [*seen, caplog.text] if "7f3a" in text.lower()]


async def test_a_picture_that_a_refusal_quotes_cannot_be_read_by_whoever_reads_the_refusal() -> None:
    signed = ("https://b.s3.amazonaws.com/frames/a.png?X-Amz-Credential=AKIA0123456789ABCDEF%2F20261126&X-Amz-Expires=86400"
              "&X-Amz-Signature=" + "5e" * 32)
    text = json.dumps({"id": "job_1", "status": "failed", "error": f"cannot fetch {signed}",
                       "output": {"outputs": [{"url": f"https://cdn.example/a.mp4?Signature={'5e' * 32}"}]}}).encode()
    document = await ask(answering(200, text))
    assert "X-Amz-Expires=86400&X-Amz-Signature=***" in document.error
    assert "5e5e" not in document.error + document.raw
    assert "AKIA" not in document.error + document.raw
    assert document.outputs[0].url.endswith("5e" * 32), "a clip's own signature is what fetches it"


async def test_a_key_inside_a_job_id_is_no_job_id() -> None:
    key = "tk_canary-7f3a-9b"  # could stand in an id
    body = {"job_id": f"job_{key}", "status": "queued"}
    async with HttpGateway(BASE, Secret(key), transport=httpx.MockTransport(answering(202, body)), clock=FixedClock()) as api:
        error = await failure(lambda _: api.submit(PATH, BODY), answering(202))
    assert type(error) is FateUnknown
    assert error.words == '{"job_id":"job_***","status":"queued"}'


@pytest.mark.parametrize("error", [httpx.ReadError(f"x {CANARY}"), httpx.ConnectError(CANARY),
                                   ValueError(f"header {CANARY!r}")])
async def test_a_key_in_a_foreign_error_is_shown_nowhere(error: Exception) -> None:
    caught = await failure(submit, raising(error))  # the foreign error also carries the request and its headers
    assert "7f3a" not in "".join(traceback.format_exception(caught)) + caught.words
    assert caught.__context__ is None


async def test_the_gateway_itself_does_not_show_the_key() -> None:
    api = gateway(answering(202, ACCEPTED))
    assert repr(api) == f"HttpGateway({BASE})"
    async with api:
        assert "7f3a" not in f"{api} {api!r} {[value for value in vars(api).values() if not hasattr(value, 'search')]}"


async def test_a_short_key_is_a_word_and_tears_nothing_up() -> None:
    output = {"outputs": [{"url": "http://x.invalid/draft/1", "type": "video"}]}
    document = {"id": "draft_1", "status": "succeeded", "output": output}
    api = HttpGateway(BASE, Secret("draft"), transport=httpx.MockTransport(answering(200, document)), clock=FixedClock())
    async with api:
        assert (await api.job(JobId("draft_1"))).outputs[0].url == "http://x.invalid/draft/1"


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["http://gateway.example", "http://10.0.0.1", "ftp://gateway.example", "gateway.example",
                                     "https://", "https://user:pass@gateway.example", "https://0177.0.0.1"])
def test_an_address_that_would_leak_the_key_or_is_none_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError):
        HttpGateway(address, Secret(CANARY), clock=FixedClock())


def test_plain_http_is_for_this_machine_or_for_those_who_say_so() -> None:
    for address in ("http://localhost:8000", "http://127.0.0.1", "http://[::1]:1"):
        HttpGateway(address, Secret(CANARY), clock=FixedClock())
    HttpGateway("http://gateway.example", Secret(CANARY), clock=FixedClock(), allow_plain_http=True)
    HttpGateway("http://simulator.invalid", Secret(CANARY), clock=FixedClock(), transport=httpx.MockTransport(answering(200)))


# ── many tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tasks_wait_in_front_of_the_client_and_never_inside_it() -> None:
    inside, most = 0, 0

    async def handler(_request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await anyio.lowlevel.checkpoint()
        inside -= 1
        return httpx.Response(202, json=ACCEPTED)

    async with gateway(handler) as api, anyio.create_task_group() as tasks:  # type: ignore[arg-type]
        for _ in range(200):
            tasks.start_soon(api.submit, PATH, BODY)
    assert most == CONNECTIONS


async def test_a_submission_does_not_wait_behind_questions_however_slow_their_answers_are() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            await anyio.sleep_forever()
        return httpx.Response(202, json=ACCEPTED)

    async with gateway(handler) as api, anyio.create_task_group() as tasks:  # type: ignore[arg-type]
        for _ in range(200):
            tasks.start_soon(api.job, JobId("job_1"))
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            for _ in range(20):
                await api.submit(PATH, BODY)
        tasks.cancel_scope.cancel()


# ── a real socket ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def serve(listener: socket.socket, answer: bytes, context: ssl.SSLContext | None = None) -> threading.Thread:
    """Answer one connection with these bytes after its request, then hang up."""

    def run() -> None:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as stream:
                stream.settimeout(5)
                received = b""
                while b"\r\n\r\n" not in received or (received.startswith(b"POST") and not received.endswith(BODY)):
                    received += stream.recv(65536)
                stream.sendall(answer)
        except OSError:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def local(listener: socket.socket, scheme: str = "http") -> HttpGateway:
    return HttpGateway(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", Secret(CANARY), clock=FixedClock())


async def test_over_a_socket_a_refused_connection_was_never_sent(listener: socket.socket) -> None:
    api = local(listener)
    listener.close()
    async with api:
        assert type(await failure(lambda _: api.submit(PATH, BODY), answering(200))) is NotSent


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{\"job_id\": \"job_1\"",
                                    b"garbage\r\n\r\n"])
async def test_over_a_socket_an_answer_that_breaks_off_leaves_the_fate_unknown(listener: socket.socket, answer: bytes) -> None:
    thread = serve(listener, answer)
    async with local(listener) as api:
        assert type(await failure(lambda _: api.submit(PATH, BODY), answering(200))) is FateUnknown
    thread.join(5)


class Leaving:
    """A departure that writes down when it was asked, and may not let go."""

    def __init__(self, look: Callable[[], object] = lambda: None, refuses: bool = False) -> None:
        self.look, self.refuses = look, refuses
        self.seen: list[object] = []

    async def leave(self) -> None:
        self.seen.append(self.look())
        if self.refuses:
            raise NotSent("not now")

    async def left(self) -> None:
        self.seen.append("left")


async def test_over_a_socket_a_submission_waits_for_its_moment_with_a_connection_and_no_byte_sent(
        listener: socket.socket) -> None:
    heard, taken, body = bytearray(), threading.Event(), json.dumps(ACCEPTED).encode()

    def answer() -> None:
        connection, _ = listener.accept()
        taken.set()
        with connection:
            while not heard.endswith(BODY):
                heard.extend(connection.recv(65536))
            connection.sendall(f"HTTP/1.1 202 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    thread = threading.Thread(target=answer)
    thread.start()
    departure = Leaving(lambda: (taken.wait(5), len(heard)))
    async with local(listener) as api:
        assert (await api.submit(PATH, BODY, departure)).job_id == "job_1"
    thread.join(5)
    assert departure.seen[0] == (True, 0), "asked when the connection stands and nothing was sent"
    assert departure.seen[-1] == "left"


async def test_over_a_socket_what_may_not_leave_does_not(listener: socket.socket) -> None:
    heard: list[bytes] = []

    def listen() -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))

    thread = threading.Thread(target=listen)
    thread.start()
    async with local(listener) as api:
        error = await failure(lambda _: api.submit(PATH, BODY, Leaving(refuses=True)), answering(200))
    thread.join(5)
    assert (type(error), str(error)) == (NotSent, "not now")
    assert heard == [b""], "the connection was closed without a byte"


async def test_a_submission_that_times_out_before_it_was_let_go_certainly_never_left(
        listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(Leaving):
        async def leave(self) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr("manifest_runner.adapters.gateway._WHOLE_EXCHANGE", 0.05)
    async with local(listener) as api:
        error = await failure(lambda _: api.submit(PATH, BODY, Stuck()), answering(200))
    assert type(error) is NotSent
    assert not error.permanent


@pytest.mark.parametrize("error", MAY_HAVE_LEFT, ids=lambda error: type(error).__name__)
async def test_only_what_its_departure_let_go_can_be_of_unknown_fate(error: Exception) -> None:
    class Failing(httpx.AsyncBaseTransport):
        def __init__(self, *, reads: bool) -> None:
            self.reads = reads

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.reads:
                await request.aread()
            raise error

    async def fault(*, reads: bool) -> ProviderError:
        async with HttpGateway(BASE, Secret(CANARY), transport=Failing(reads=reads), clock=FixedClock()) as api:
            return await failure(lambda _: api.submit(PATH, BODY, Leaving()), answering(200))

    assert type(await fault(reads=False)) is NotSent
    assert type(await fault(reads=True)) is FateUnknown


async def test_whatever_carries_it_a_body_waits_for_its_departure() -> None:
    departure, bodies = Leaving(), []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append((list(departure.seen), request.content, request.headers["Content-Length"]))
        return httpx.Response(202, json=ACCEPTED)

    async with gateway(handler) as api:
        await api.submit(PATH, BODY, departure)
        assert bodies == [([None, "left"], BODY, str(len(BODY)))]
        with pytest.raises(NotSent, match="not now"):
            await api.submit(PATH, BODY, Leaving(refuses=True))
    assert len(bodies) == 1


async def test_over_a_socket_no_log_line_shows_an_echoed_key(listener: socket.socket, caplog: pytest.LogCaptureFixture,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # this machine is never asked for through a proxy
    body = json.dumps(ACCEPTED).encode()
    head = f"HTTP/1.1 202 {CANARY}\r\nX-Echo: {CANARY}\r\nSet-Cookie: k={CANARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    thread = serve(listener, head.encode() + body)
    with caplog.at_level(logging.DEBUG):
        async with local(listener) as api:
            assert (await api.submit(PATH, BODY)).job_id == "job_1"
    thread.join(5)
    assert "receive_response_headers" in caplog.text, "the libraries do log"
    assert "7f3a" not in caplog.text
    assert not logging.getLogger("httpcore.http11").filters


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody knows."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    subprocess.run([*command.split(), "-keyout", "key", "-out", "cert"], check=True, capture_output=True, cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    return context


@pytest.mark.parametrize("asks", [False, True], ids=["submission", "question"])
async def test_over_a_socket_a_self_signed_certificate_is_permanent(listener: socket.socket, certificate: ssl.SSLContext,
                                                                    asks: bool) -> None:
    thread = serve(listener, b"", certificate)
    async with local(listener, "https") as api:
        error = await failure(lambda _: api.job(JobId("job_1")) if asks else api.submit(PATH, BODY), answering(200))
    thread.join(5)
    assert isinstance(error, NotSent)
    assert error.permanent
