"""Webhooks on a port: who is heard, what is read of them, and what strangers get."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from manifest_runner.adapters import webhook
from manifest_runner.adapters.clock import SystemClock
from manifest_runner.adapters.webhook import (
    LARGEST_BODY,
    PER_SECOND,
    WebhookListener,
    callback_address,
    listen_address,
    webhook_token,
)
from manifest_runner.errors import UsageError

TOKEN = "t" * 43
DOCUMENT = {"id": "job_1", "status": "succeeded", "credits_charged": 9999}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock(SystemClock):
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Heard(list[str]):
    """A listener that is run against in process, and what it passed on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.listener = WebhookListener("127.0.0.1", 0, TOKEN, clock=self.clock)
        self.listener._hint = self.append
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.listener.app), base_url="http://here")

    async def post(self, path: str = f"/{TOKEN}", content: bytes = json.dumps(DOCUMENT).encode(), method: str = "POST") -> int:
        return (await self.client.request(method, path, content=content)).status_code


@pytest.mark.anyio
@pytest.mark.parametrize("path", [f"/{TOKEN}", f"/hooks/of/ours/{TOKEN}"])
async def test_a_delivery_to_the_tokens_path_is_a_hint_of_its_job_and_nothing_more(path: str) -> None:
    heard = Heard()
    assert await heard.post(path) == 204
    assert heard == ["job_1"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", f"/{TOKEN}x", f"/{TOKEN[:-1]}", f"/{TOKEN}/", f"/{TOKEN.upper()}", "/%ff%00", "/é"])
async def test_any_other_path_is_not_there(path: str) -> None:
    heard = Heard()
    assert await heard.post(path) == 404
    assert heard == []


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "OPTIONS"])
async def test_only_a_post_is_heard(method: str) -> None:
    heard = Heard()
    assert await heard.post(method=method) == 405
    assert await heard.post("/elsewhere", method=method) == 404  # strangers are not told that there is anything to post to
    assert heard == []


@pytest.mark.anyio
@pytest.mark.parametrize("content", [
    b"", b"no", b"[]", b"{}", b'"job_1"', b'{"id": 1}', b'{"id": null}', b'{"id": ["job_1"]}', b'{"id": "../../x"}',
    b'{"id": ""}', b'{"id": "' + b"x" * 201 + b'"}', b"\xff\xfe", b"[" * 60_000, b'{"id": ' + b"9" * 60_000 + b"}",
    b'{"id": "job_1',
])
async def test_a_body_that_names_no_job_is_no_hint(content: bytes) -> None:
    heard = Heard()
    assert await heard.post(content=content) == 400
    assert heard == []


@pytest.mark.anyio
async def test_a_body_is_read_up_to_a_bound_whether_it_says_its_length_or_not() -> None:
    heard = Heard()
    padded = json.dumps({**DOCUMENT, "x": "y" * (LARGEST_BODY - 200)}).encode()
    assert await heard.post(content=padded) == 204
    assert await heard.post(content=b" " * (LARGEST_BODY + 1)) == 413

    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10**7:
            sent += 10_000
            yield b" " * 10_000

    response = await heard.client.post(f"/{TOKEN}", content=endless())
    assert response.status_code == 413
    assert heard == ["job_1"]


@pytest.mark.anyio
async def test_no_more_deliveries_are_read_in_a_second_than_the_bound() -> None:
    heard = Heard()
    statuses = [await heard.post() for _ in range(PER_SECOND + 50)]
    assert statuses == [204] * PER_SECOND + [429] * 50
    heard.clock.now += 1.0
    assert await heard.post() == 204
    assert len(heard) == PER_SECOND + 1


# ── on a port ─────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def listening(heard: list[str], token: str = TOKEN) -> AsyncIterator[int]:
    async with WebhookListener("127.0.0.1", 0, token, clock=SystemClock()) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.run, heard.append)
        yield listener.port
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_it_hears_on_a_port_from_the_moment_that_it_holds_it_and_lets_go_of_it_at_the_end() -> None:
    heard: list[str] = []
    async with listening(heard) as port, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/{TOKEN}", json=DOCUMENT)).status_code == 204
        assert (await client.post(f"http://127.0.0.1:{port}/x", json=DOCUMENT)).status_code == 404
    assert heard == ["job_1"]
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))  # free, and nothing listens there


@pytest.mark.anyio
async def test_strangers_who_only_connect_are_sent_away_and_news_still_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_CONNECTIONS", 3)
    monkeypatch.setattr(webhook, "_CONNECTION_SECONDS", 0.2)
    heard: list[str] = []
    async with listening(heard) as port, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port)) for _ in range(8)]
        for stream in idle:  # those beyond the bound at once, the others when their time is over
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"http://127.0.0.1:{port}/{TOKEN}", json=DOCUMENT)).status_code == 204
    assert heard == ["job_1"]


@pytest.mark.anyio
async def test_what_is_no_http_is_no_word_in_any_log(caplog: pytest.LogCaptureFixture,
                                                     capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    async with listening(heard) as port:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"\x16\x03\x01 hello\r\n\r\n")
            with anyio.move_on_after(5):
                await stream.receive()
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"http://127.0.0.1:{port}/{TOKEN}", json=DOCUMENT)
    written = capfd.readouterr()
    assert heard == ["job_1"]
    assert TOKEN not in written.out + written.err + "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert "Invalid HTTP" not in written.err


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    async with WebhookListener("127.0.0.1", 0, TOKEN, clock=SystemClock()) as first:
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{first.port}: Address already in use"):
            async with WebhookListener("127.0.0.1", first.port, TOKEN, clock=SystemClock()):
                pass


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70])
async def test_an_address_that_is_not_ours_is_said_in_one_sentence(host: str) -> None:
    with pytest.raises(UsageError, match="cannot listen on"):
        async with WebhookListener(host, 8090, TOKEN, clock=SystemClock()):
            pass


# ── addresses and the token ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "found"), [
    ("127.0.0.1:8090", ("127.0.0.1", 8090)), ("10.0.0.1:1", ("10.0.0.1", 1)), ("[::1]:65535", ("::1", 65535)),
    (" hooks.example:80 ", ("hooks.example", 80)),
])
def test_a_host_and_a_port_are_where_it_listens(text: str, found: tuple[str, int]) -> None:
    assert listen_address(text, "--listen") == found


@pytest.mark.parametrize("text", ["", "8090", ":8090", "here", "here:", "here:0", "here:65536", "here:-1", "here:٣", "::1:80",
                                  "a:1:2"])
def test_anything_else_is_refused_with_its_origin(text: str) -> None:
    with pytest.raises(UsageError, match="MANIFEST_RUNNER_LISTEN"):
        listen_address(text, "MANIFEST_RUNNER_LISTEN")


@pytest.mark.parametrize("url", ["https://hooks.example", "https://hooks.example/", "http://hooks.example:81/of/ours/"])
def test_the_gateway_is_told_the_public_address_and_the_token(url: str) -> None:
    assert callback_address(url, TOKEN) == f"{url.rstrip('/')}/{TOKEN}"


@pytest.mark.parametrize("url", [None, "", "hooks.example", "ftp://hooks.example/canary", "https:///canary",
                                 "https://a.example/canary?x=1", "https://a.example/canary#x", "https://a b/canary",
                                 "https://é.example/canary", "https://[/canary", "https://a.example/canary\n"])
def test_a_callback_address_that_is_none_is_refused_and_not_quoted(url: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        callback_address(url, TOKEN)
    assert "canary" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_the_token_is_made_once_long_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "webhook-token"
    token = webhook_token(path)
    assert webhook_token(path) == token
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert webhook_token(tmp_path / "another") != token


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_token_that_others_could_have_read_or_written_is_replaced_and_that_is_said_once(tmp_path: Path, mode: int) -> None:
    path, said = tmp_path / "webhook-token", list[str]()
    path.write_text(TOKEN)
    path.chmod(mode)
    token = webhook_token(path, said.append)
    assert token != TOKEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert webhook_token(path, said.append) == token
    assert len(said) == 1
    assert TOKEN not in said[0] and token not in said[0]  # noqa: PT018


def test_a_token_behind_a_link_is_replaced_and_what_it_points_to_stays(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "webhook-token"
    other.write_text(TOKEN)
    other.chmod(0o600)
    path.symlink_to(other)
    assert webhook_token(path) != TOKEN
    assert not path.is_symlink()
    assert other.read_text() == TOKEN


def test_a_token_file_that_holds_none_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "webhook-token"
    path.touch(mode=0o600)
    for content in ("", "short", "../" * 20, f"{TOKEN}\n{TOKEN}"):
        path.write_text(content)
        with pytest.raises(UsageError, match="webhook-token"):
            webhook_token(path)


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(WebhookListener("127.0.0.1", 8090, TOKEN, clock=SystemClock()))
