"""Questions by the quick transport: they mean what they mean by httpx's own, and submissions never travel by it."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from manifest_runner.adapters import quick_transport as module
from manifest_runner.adapters.gateway import HttpGateway
from manifest_runner.adapters.secrets import Secret
from manifest_runner.core.model import JobId
from manifest_runner.errors import JobNotFound, NotSent, ProviderError, Throttled
from tests.adapters.test_gateway import BODY, CANARY, PATH, FixedClock

pytestmark = pytest.mark.anyio

JOB = JobId("job_1")
QUEUED = {"id": "job_1", "status": "queued", "credits_charged": None}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answer(status: int, content: object, *headers: str, length: int | None = None) -> bytes:
    body = json.dumps(content).encode()
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class Server:
    """Gives its answers one after the other, over as many connections as are made, and keeps the requests."""

    listener: socket.socket
    answers: list[bytes]
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    closing: bool = False
    """Whether it hangs up behind each answer."""

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.answers:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while self.answers:
                request = b""
                while b"\r\n\r\n" not in request or (request.startswith(b"POST") and not request.endswith(BODY)):
                    more = connection.recv(65536)
                    if not more:
                        return
                    request += more
                self.heard.append(request)
                connection.sendall(self.answers.pop(0))
                if self.closing:
                    return


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def serving(listener: socket.socket, *answers: bytes, closing: bool = False) -> tuple[Server, HttpGateway]:
    server = Server(listener, list(answers), closing=closing)
    server.start()
    return server, HttpGateway(f"http://localhost:{listener.getsockname()[1]}", Secret(CANARY), clock=FixedClock())


def test_the_tests_have_the_extra() -> None:
    assert module.is_there()


async def test_questions_share_connections_and_carry_no_cookie_and_submissions_go_another_way(listener: socket.socket) -> None:
    made = answer(202, {"job_id": "job_1", "status": "queued"})
    server, api = serving(listener, answer(200, QUEUED, "Set-Cookie: a=b; Path=/"), made, answer(200, QUEUED))
    async with api:
        assert (await api.job(JOB)).status == "queued"
        assert (await api.submit(PATH, BODY)).job_id == "job_1"
        assert (await api.job(JOB)).status == "queued"
    assert [request.split(b" ")[0] for request in server.heard] == [b"GET", b"POST", b"GET"]
    assert server.connections == 2
    assert not any(b"ookie" in request for request in server.heard)
    for request in server.heard:
        assert CANARY.encode() in request
        assert b"identity" in request  # what is compressed could be a bomb


async def test_a_redirect_is_not_followed_with_the_key(listener: socket.socket) -> None:
    server, api = serving(listener, answer(302, {}, f"Location: http://127.0.0.1:{listener.getsockname()[1]}/elsewhere"))
    async with api:
        with pytest.raises(ProviderError) as caught:
            await api.job(JOB)
    assert caught.value.status == 302
    assert len(server.heard) == 1


@pytest.mark.parametrize(("said", "error"), [
    (answer(404, {}), JobNotFound), (answer(503, {}), Throttled), (answer(429, {}, "Retry-After: 7"), Throttled),
    (b"garbage\r\n\r\n", NotSent), (answer(200, QUEUED, length=9000), NotSent),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 90_000, NotSent),
    (answer(200, QUEUED, "Content-Encoding: gzip"), ProviderError),
], ids=["404", "503", "429", "garbage", "broken off", "endless header", "compressed"])
async def test_what_an_answer_means_is_the_same(listener: socket.socket, said: bytes, error: type[ProviderError]) -> None:
    _, api = serving(listener, *[said] * 3, closing=True)
    async with api:
        with pytest.raises(ProviderError) as caught:
            await api.job(JOB)
    assert isinstance(caught.value, error)
    assert CANARY not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


async def test_nobody_there_is_said_as_such(listener: socket.socket) -> None:
    api = HttpGateway(f"http://127.0.0.1:{listener.getsockname()[1]}", Secret(CANARY), clock=FixedClock())
    listener.close()
    async with api:
        with pytest.raises(NotSent, match="cannot be reached"):
            await api.job(JOB)


async def test_an_answer_without_end_is_cut_off(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifest_runner.adapters.gateway.LARGEST_ANSWER", 1000)
    _, api = serving(listener, answer(200, {**QUEUED, "more": "x" * 100_000}))
    async with api:
        with pytest.raises(NotSent, match="broke off"):
            await api.job(JOB)


@pytest.mark.parametrize("way", ["proxy", "without the extra"])
async def test_where_it_may_not_be_used_questions_go_as_submissions_do(
        listener: socket.socket, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "proxy":
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        async with HttpGateway("https://gateway.example", Secret(CANARY), clock=FixedClock()) as api:
            assert api.asks_quickly is False
        return
    monkeypatch.setitem(sys.modules, "httpx_aiohttp", None)
    server, api = serving(listener, answer(200, QUEUED))
    async with api:
        assert api.asks_quickly is False
        assert (await api.job(JOB)).status == "queued"
    assert len(server.heard) == 1


async def test_proxies_never_stand_between_this_machine_and_itself(
        listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    _, api = serving(listener, answer(200, QUEUED))
    async with api:
        assert api.asks_quickly is True
        assert (await api.job(JOB)).status == "queued"


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_another_event_loop_httpx_is_used(listener: socket.socket) -> None:
    _, api = serving(listener, answer(200, QUEUED))
    async with api:
        assert api.asks_quickly is False
        assert (await api.job(JOB)).status == "queued"
