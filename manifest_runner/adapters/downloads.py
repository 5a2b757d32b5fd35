"""Fetches outputs: bytes from an address that a stranger chose, into a new file, whole and checked.

Laws
- No API key, no cookie, no credential of any kind: transports are used without a client around them.
- The address that was checked is the address that is connected to. Every name is resolved here, every resolved address must be
  public, and the connection goes to that address (with the name in Host and SNI), on the first request and on every redirect.
- Nothing a server sends is believed about length, type or range without looking.
- A broken transfer goes on where it stopped only under the same strong ETag; otherwise it starts again. Two halves of different
  files would pass every check of length.
- The file at `to` exists complete and synced, or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.to_thread
import httpx

from manifest_runner import __version__
from manifest_runner.adapters.addresses import is_plainly_local, is_public, resolve, shown
from manifest_runner.adapters.answers import is_certificate_failure, printable
from manifest_runner.errors import DownloadError
from manifest_runner.ports import Clock

CONNECTIONS = 8
ATTEMPTS = 4
HOPS = 5

_TIMEOUT = httpx.Timeout(connect=10, read=30, write=30, pool=None).as_dict()
_RATE_WINDOW = 60.0
_FIRST_PAUSE = 1.0  # seconds, doubled after each attempt
_BATCH = 1024 * 1024  # bytes that go to the disk at once, in a thread: the loop never waits for a disk
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EXPIRED = frozenset({403, 404, 410})
_TRY_AGAIN = frozenset({408, 416, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class _BrokenOff(Exception):
    """This attempt ended early, and another may do better. Never leaves this module."""


class HttpDownloads:
    """`ports.Downloads` over HTTP; an async context manager.

    `allow_local` lets addresses of this machine and its network through (the simulator's). A `transport` of one's own (an
    application in process) is asked as it is, without resolving anything. `max_bytes` is the largest file, `deadline` the
    seconds for the whole of it, `minimum_rate` the bytes per second below which, over a minute, a transfer counts as broken.
    """

    def __init__(self, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None, allow_local: bool = False,
                 max_bytes: int = 4 * 1024**3, deadline: float = 1800.0, minimum_rate: float = 1000.0,
                 resolve: Resolve = resolve) -> None:
        self._clock = clock
        self._transport = transport
        self._allow_local = allow_local
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._minimum_rate = minimum_rate
        self._resolve = resolve
        self._proxies: dict[str, httpx.AsyncBaseTransport] = {}

    async def __aenter__(self) -> Self:
        self._turn = anyio.CapacityLimiter(CONNECTIONS)  # tasks wait here, not in the pool (see the gateway)
        if self._transport is None:
            # No connection is kept: pools know connections by address, and two hosts behind one address must not share one
            # whose certificate was checked for the other.
            self._limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0)
            self._verify = httpx.create_ssl_context()
            self._direct: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(verify=self._verify, limits=self._limits)
        else:
            self._direct = self._transport
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()

    async def fetch(self, url: str, to: Path) -> None:
        """Write what is behind `url` to the new file `to`, synced, readable by its owner only. Raises `DownloadError`."""
        async with self._turn:
            try:
                with anyio.fail_after(self._deadline):
                    await self._fetch(url, to)
            except TimeoutError:
                raise DownloadError(f"{shown(url)} took longer than {self._deadline:g} s") from None
            except OSError as error:
                raise DownloadError(f"the download cannot be written: {error.strerror}", hint="is the disk full?") from None

    async def _fetch(self, url: str, to: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        file = os.fdopen(os.open(to, flags, 0o600), "w+b")
        try:
            with file:
                await self._fill(url, _Sink(file, self._max_bytes))
                await anyio.to_thread.run_sync(os.fsync, file.fileno())
        except BaseException:
            to.unlink(missing_ok=True)  # noqa: ASYNC240 (must happen even while a cancellation is on its way)
            raise

    async def _fill(self, url: str, sink: _Sink) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._attempt(url, sink)
                return
            except _BrokenOff as fault:
                await sink.write_out()
                if attempt == ATTEMPTS:
                    raise DownloadError(f"{shown(url)}: {fault}, {ATTEMPTS} times") from None
            await self._clock.sleep(_FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + self._clock.jitter()))

    async def _attempt(self, url: str, sink: _Sink) -> None:
        if sink.etag is None:
            sink.restart()  # now: no answer, asked for or not, may be joined to what is here
        async with self._open(url, sink) as response:
            expected = self._judge(response, url, sink)
            await self._receive(response, url, sink)
        if expected is not None and sink.size != expected:
            raise _BrokenOff(f"{sink.size:,} of {expected:,} bytes arrived")
        if not sink.size:
            raise _BrokenOff("it is empty")
        await sink.write_out()
        sink.check_video(url)

    # ── one answer ────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _open(self, url: str, sink: _Sink) -> AsyncIterator[httpx.Response]:
        """The answer at the end of the redirects."""
        target = url
        for _ in range(HOPS + 1):
            response = await self._ask(target, sink)
            try:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                try:
                    target = str(httpx.URL(target).join(response.headers.get("Location", "")))
                except (httpx.InvalidURL, ValueError):
                    raise DownloadError(f"{shown(target)} redirects to nowhere") from None
            finally:
                await response.aclose()
        raise DownloadError(f"{shown(url)} redirects more than {HOPS} times")

    async def _ask(self, target: str, sink: _Sink) -> httpx.Response:
        """One request, to the first checked address that lets itself be connected to."""
        url = web_address(target)
        headers = {"Host": url.netloc.decode("ascii"), "User-Agent": f"manifest-runner/{__version__}", "Accept": "*/*",
                   "Accept-Encoding": "identity"}
        if sink.size and sink.etag is not None:
            headers |= {"Range": f"bytes={sink.size}-", "If-Range": sink.etag}
        fault: Exception | None = None
        for transport, place in await self._places(url):
            extensions = {"timeout": _TIMEOUT, "sni_hostname": url.raw_host.decode("ascii")}
            try:
                return await transport.handle_async_request(
                    httpx.Request("GET", place, headers=headers, extensions=extensions))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if is_certificate_failure(error):
                    raise DownloadError(f"{shown(target)}: the certificate does not verify") from None
                fault = error  # another address of the same host may answer: IPv6 is often announced and not routed
            except httpx.HTTPError as error:
                fault = error
                break
        raise _BrokenOff(f"no answer ({type(fault).__name__})")

    async def _places(self, url: httpx.URL) -> list[tuple[httpx.AsyncBaseTransport, httpx.URL]]:
        """Where to connect for `url`: each resolved and checked address of its host, in the resolver's order."""
        host = url.raw_host.decode("ascii")
        if self._transport is not None:
            return [(self._direct, url)]
        proxies = {} if is_plainly_local(host) or proxy_bypass(host) else getproxies()
        proxy = proxies.get(url.scheme) or proxies.get("all")
        if proxy is not None:  # it resolves and connects, and its owner decides what it may reach
            return [(self._through(proxy), url)]
        try:
            addresses = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
            places = [(self._direct, url.copy_with(host=address)) for address in dict.fromkeys(addresses)]
        except (OSError, UnicodeError, httpx.InvalidURL):
            raise _BrokenOff(f"the name {printable(host, 80)} does not resolve") from None
        if not places:
            raise _BrokenOff(f"the name {printable(host, 80)} has no address")
        if not self._allow_local and not all(is_public(address) for address in addresses):
            raise _not_public(url)
        return places

    def _through(self, proxy: str) -> httpx.AsyncBaseTransport:
        if proxy not in self._proxies:
            try:
                self._proxies[proxy] = httpx.AsyncHTTPTransport(
                    verify=self._verify, limits=self._limits, proxy=proxy if "://" in proxy else f"http://{proxy}")
            except (ValueError, ImportError, httpx.InvalidURL):  # a kind of proxy that httpx does not speak
                raise DownloadError("the proxy that the environment names cannot be used") from None
        return self._proxies[proxy]

    def _judge(self, response: httpx.Response, url: str, sink: _Sink) -> int | None:
        """The size that the whole file will have, or None where the server does not say. Empties the sink where the answer
        starts from the beginning."""
        status, headers = response.status_code, response.headers
        if status in _EXPIRED:
            raise DownloadError(f"{shown(url)} answered {status}", expired=True, hint="the address may have expired")
        if status == 416:
            sink.restart()  # there is no such part: what is here belongs to another file
        if status in _TRY_AGAIN or status >= 500:
            raise _BrokenOff(f"it answered {status}")
        if status not in (200, 206):
            raise DownloadError(f"{shown(url)} answered {status}")
        if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise DownloadError(f"{shown(url)} is compressed, which was not asked for")
        length = _length(headers.get("Content-Length"))
        if status == 206:
            start, total = _range(headers.get("Content-Range", ""))
            if not sink.size or start != sink.size or headers.get("ETag") != sink.etag:
                sink.restart()
                raise _BrokenOff("it sent another part than the one that was asked for")
        else:
            sink.restart()
            total = length
            sink.etag = _strong(headers.get("ETag"))
        if total is not None and total > self._max_bytes:
            raise _too_large(url, self._max_bytes)
        return total

    async def _receive(self, response: httpx.Response, url: str, sink: _Sink) -> None:
        began, counted = self._clock.monotonic(), 0
        try:
            async for chunk in response.aiter_bytes():  # the bytes as sent: what is encoded was refused
                await sink.add(chunk, url)
                counted += len(chunk)
                elapsed = self._clock.monotonic() - began
                if elapsed >= _RATE_WINDOW:
                    if counted < self._minimum_rate * elapsed:
                        raise _BrokenOff(f"it came slower than {self._minimum_rate:g} bytes a second")
                    began, counted = began + elapsed, 0
        except httpx.HTTPError as error:
            raise _BrokenOff(f"it broke off ({type(error).__name__})") from None


class _Sink:
    """The file as far as it has come. Bytes gather in memory and go to the disk a batch at a time."""

    def __init__(self, file: BufferedRandom, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._waiting = bytearray()
        self._head = b""
        self.size = 0
        self.etag: str | None = None

    async def add(self, chunk: bytes, url: str) -> None:
        """Take more bytes. Raises `DownloadError` where there are too many, or where they are no video."""
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise _too_large(url, self._max_bytes)
        if len(self._head) < 12:
            self._head = (self._head + chunk)[:12]
            if len(self._head) == 12:
                self.check_video(url)
        self._waiting += chunk
        if len(self._waiting) >= _BATCH:
            await self.write_out()

    async def write_out(self) -> None:
        """Give everything that is waiting to the system (not yet synced)."""
        if self._waiting:
            batch, self._waiting = bytes(self._waiting), bytearray()
            await anyio.to_thread.run_sync(partial(_write, self._file, batch))

    def restart(self) -> None:
        """Forget all bytes: the next ones are the first."""
        self._waiting.clear()
        self._head, self.size, self.etag = b"", 0, None
        self._file.seek(0)
        self._file.truncate()

    def check_video(self, url: str) -> None:
        """Raise `DownloadError` unless the first bytes are those of an MP4, QuickTime, Matroska or WebM file."""
        if self._head[4:8] != b"ftyp" and not self._head.startswith(b"\x1a\x45\xdf\xa3"):
            start = printable(self._head.decode("latin-1"), 12)
            raise DownloadError(f"{shown(url)} is not a video: it starts with {start!r}", code="not-a-video")


def _write(file: BufferedRandom, batch: bytes) -> None:
    file.write(batch)
    file.flush()


def web_address(text: str) -> httpx.URL:
    """The http(s) address that `text` is; `DownloadError` for everything else."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise DownloadError("the output's address is not an address") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise DownloadError(f"{shown(text)} is not a plain http or https address")
    return url


def _length(value: str | None) -> int | None:
    return int(value) if value is not None and _LENGTH.fullmatch(value.strip()) else None


def _range(value: str) -> tuple[int | None, int | None]:
    """Where a part starts, and how long the whole is; (None, None) where it cannot be read or contradicts itself."""
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if found is None:
        return None, None
    start, end, total = (int(number) for number in found.groups())
    return (start, total) if start <= end == total - 1 else (None, None)


def _strong(etag: str | None) -> str | None:
    """An ETag under which bytes may be joined: weak ones (`W/`) promise no equal bytes."""
    return etag if etag is not None and re.fullmatch(r'"[\x21\x23-\x7e]{0,256}"', etag) else None


def _too_large(url: str, limit: int) -> DownloadError:
    return DownloadError(f"{shown(url)} is larger than {limit:,} bytes")


def _not_public(url: httpx.URL) -> DownloadError:
    return DownloadError(f"{shown(str(url))} is not on the public Internet: refused", code="not-public",
                         hint="outputs are fetched from public hosts only, unless the operator allows local ones")
