"""Hears the gateway's webhooks on a port of this machine.

Laws
- A webhook carries no signature: whoever knows the path may have sent it. So a body is read for a job's id and nothing else,
  and what it says about the job is forgotten.
- The path is a random token that lives in the state folder, readable by its owner alone. It is the same for all runs, so that
  what is told about a job of a killed run finds the next one. It is a secret: it stands in what is sent to the gateway
  and in nothing that is shown.
- Strangers cost little: another path is a 404 and its body is not read; bodies are bounded in size and time, and deliveries in
  number.
- The port is taken before anything is sent. Where it cannot be had, nothing is spent.

Serving needs asyncio and uvicorn, which is imported only where somebody listens.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import anyio

from manifest_runner.adapters.answers import is_job_id, parse_json
from manifest_runner.adapters.files import not_private
from manifest_runner.core.model import JobId
from manifest_runner.errors import MissingExtra, UsageError
from manifest_runner.ports import Clock

LARGEST_BODY = 64 * 1024
"""Bytes of a webhook that are read; a job document has a few hundred."""

PER_SECOND = 200
"""Deliveries that are read in a second; the rest are refused with a 429, and the schedule finds what they would have told."""

_CONNECTION_SECONDS = 10.0
_CONNECTIONS = 100
_BACKLOG = 256
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def listen_address(text: str, origin: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` (`127.0.0.1:8090`, `[::]:8090`); `origin` is who said so. Raises `UsageError`."""
    host, _, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else "" if ":" in host else host
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise UsageError(f"listen is {text!r} ({origin}); it must be HOST:PORT, such as 127.0.0.1:8090", code="bad-address")
    return host, int(port)


def callback_address(callback_url: str | None, token: str) -> str:
    """What the gateway is told to call: the public address of the listener, and the token. Raises `UsageError` where the
    operator's address is none; it is not quoted, since such addresses may hold secrets."""
    if not callback_url:
        raise UsageError("listen needs callback-url: the address at which the gateway reaches this listener",
                         code="no-callback-url", hint="--callback-url https://…, or MANIFEST_RUNNER_CALLBACK_URL")
    try:
        parts = urlsplit(callback_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable or not callback_url.isascii() or not callback_url.isprintable() or " " in callback_url:
        raise UsageError("callback-url must be an http(s) address without query and fragment where webhooks are heard: a path "
                         "is added to it", code="bad-address")
    return f"{callback_url.rstrip('/')}/{token}"


def webhook_token(path: Path, say: Callable[[str], None] = lambda _: None) -> str:
    """The token in the file at `path`, which is made (mode 0600) where there is none. One that others than this user could have
    read or written is no secret: it is replaced, and `say` tells. Raises `UsageError`."""
    try:
        wrong = not_private(path)
        if wrong is not None:
            path.unlink()
            say(f"the webhook token {path} was not believed ({wrong}): a new one is made; what jobs under the old one tell "
                "is not heard, and found by schedule")
        if not path.exists():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(secrets.token_urlsafe(32))
                with suppress(FileExistsError):  # another process was faster: its token stands
                    os.link(name, path)
            finally:
                Path(name).unlink()
        token = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"the webhook token {path} cannot be read or made: {error.strerror}", code="webhook-token") from None
    if not _TOKEN.fullmatch(token):
        raise UsageError(f"{path} does not hold a webhook token", code="webhook-token", hint="remove it: another one is made")
    return token


def need_server() -> None:
    """Raise `MissingExtra` where there is nothing to listen with."""
    if find_spec("uvicorn") is None:
        raise MissingExtra("sim", "listening for webhooks")


class WebhookListener:
    """`ports.Listener` on a port; an async context manager that holds the port.

    Raises `UsageError` where the address cannot be had and `MissingExtra` without uvicorn.
    """

    def __init__(self, host: str, port: int, token: str, *, clock: Clock) -> None:
        self._host, self._port = host, port
        self._token = token.encode()
        self._clock = clock
        self._hint: Callable[[JobId], None] = lambda _: None
        self._second, self._read = 0.0, 0
        self._socket: socket.socket | None = None

    def __repr__(self) -> str:
        return f"WebhookListener({self._host}:{self.port})"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else self._port

    async def __aenter__(self) -> Self:
        need_server()
        import uvicorn  # noqa: F401 - an extra; and now, since it takes a tenth of a second in which no job would be followed

        self._socket = _listen(self._host, self._port)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def run(self, hint: Callable[[JobId], None]) -> None:
        """See `ports.Listener.run`."""
        import uvicorn  # an extra
        from uvicorn.protocols.http.h11_impl import H11Protocol

        assert self._socket is not None  # noqa: S101 - entered first
        self._hint = hint

        class Server(uvicorn.Server):
            def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
                return nullcontext()  # signals are the caller's, who cancels

        class Few(H11Protocol):
            """Closes what comes beyond the bound at once, and every connection when its time is over, said or not."""

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                if len(self.connections) > _CONNECTIONS:
                    transport.abort()
                else:
                    self._late = self.loop.call_later(_CONNECTION_SECONDS, transport.abort)

            def connection_lost(self, exc: Exception | None) -> None:
                if (late := getattr(self, "_late", None)) is not None:
                    late.cancel()
                super().connection_lost(exc)

        server = Server(uvicorn.Config(
            self.app, interface="asgi3", http=Few, ws="none", lifespan="off", log_config=None, log_level="critical",
            access_log=False, server_header=False, limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve_shielded, server.serve, self._socket.dup())
            try:
                await anyio.sleep_forever()
            finally:
                server.should_exit = True

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: one path, POST only, an empty answer."""
        if scope["type"] != "http":
            return
        status = await self._hear(scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _hear(self, scope: Scope, receive: Receive) -> int:
        """The status of the answer, and the hint, if the request is one."""
        last = str(scope["path"]).rpartition("/")[2]  # a proxy in front may have kept the path of the public address
        if not hmac.compare_digest(last.encode("utf-8", "replace"), self._token):
            return 404
        if scope["method"] != "POST":
            return 405
        if not self._may_read():
            return 429
        body = await _body(receive)
        if body is None:
            return 413
        document = parse_json(body.decode("utf-8", "replace"))
        job_id = document.get("id", document.get("job_id")) if isinstance(document, dict) else None
        if not is_job_id(job_id):
            return 400
        self._hint(JobId(str(job_id)))
        return 204  # also for a job that is not followed: an answer tells nothing about jobs

    def _may_read(self) -> bool:
        now = self._clock.monotonic()
        if now - self._second >= 1:
            self._second, self._read = now, 0
        self._read += 1
        return self._read <= PER_SECOND


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None where it is too long or breaks off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _serve_shielded(serve: Callable[[list[socket.socket]], Awaitable[None]], listening: socket.socket) -> None:
    # A cancelled uvicorn leaves its sockets open: it is asked to stop instead, and waited for.
    with anyio.CancelScope(shield=True):
        await serve([listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise _unusable(host, port, error) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _unusable(host, port, error) from None
    return listening


def _unusable(host: str, port: int, error: Exception) -> UsageError:
    shown = f"[{host}]" if ":" in host else host
    return UsageError(f"cannot listen on {shown}:{port}: {getattr(error, 'strerror', None) or error}: nothing was sent",
                      code="address", hint="one process listens on a port; others render without --listen and look by schedule")
