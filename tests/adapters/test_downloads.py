from __future__ import annotations

import gzip
import os
import shutil
import ssl
import stat
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import httpx
import pytest

from manifest_runner.adapters import downloads as downloads_module
from manifest_runner.adapters.addresses import is_plainly_local, is_public, shown
from manifest_runner.adapters.downloads import ATTEMPTS, HOPS, HttpDownloads
from manifest_runner.errors import DownloadError

CLIP = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 12_000
WEBM = b"\x1a\x45\xdf\xa3" + bytes(5000)
ETAG = '"v1"'

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the system's certificates takes longer than a test; one reading serves them all."""
    monkeypatch.setattr(httpx, "create_ssl_context", _context)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


class FakeClock:
    """Sleeps at once and remembers; each look at the time moves it by `step`."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step
        self.slept: list[float] = []

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def wall(self) -> float:
        return self.now

    def jitter(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Seen:
    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """A server on a loopback port that plays one scripted answer after the other (the last one for ever)."""

    script: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    server: ThreadingHTTPServer | None = None

    def url(self, path: str = "/clip.mp4?sig=secret", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has seen enough, or does not like the certificate, hangs up."""


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.seen.append(Seen(self.path, {name.lower(): value for name, value in self.headers.items()}))
            step = state.script[min(len(state.seen), len(state.script)) - 1]
            self.close_connection = True
            step(self)

        def log_message(self, *args: object) -> None:
            pass

    server = state.server = QuietServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


Step = Callable[[BaseHTTPRequestHandler], None]


def whole(content: bytes = CLIP, status: int = 200, cut: int | None = None, **headers: str) -> Step:
    """Send `content`; where `cut` is given, only so many bytes of it under the length of all."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content[:cut])

    return step


def part(content: bytes = CLIP, cut: int | None = None, etag: str | None = ETAG, shift: int = 0) -> Step:
    """Answer a Range request as asked, unless told to lie."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-")) + shift
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        if etag is not None:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(content[start:cut])

    return step


def redirect(to: str, status: int = 302) -> Step:
    return whole(b"", status, Location=to)


def chunked(content: bytes, finish: bool = True) -> Step:
    def step(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(content), content) + (b"0\r\n\r\n" if finish else b""))

    return step


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


async def fetch(url: str, to: Path, clock: FakeClock | None = None, **options: object) -> None:
    options.setdefault("allow_local", True)
    async with HttpDownloads(clock=clock or FakeClock(), **options) as downloads:  # type: ignore[arg-type]
        await downloads.fetch(url, to)


async def refused(url: str, to: Path, **options: object) -> DownloadError:
    """The error of a fetch that must fail and leave nothing."""
    with pytest.raises(DownloadError) as caught:
        await fetch(url, to, **options)  # type: ignore[arg-type]
    assert not to.exists()
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    return caught.value


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


# ── whole files ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [CLIP, WEBM, CLIP[:12]], ids=["mp4", "webm", "tiny"])
@pytest.mark.parametrize("send", [whole, chunked])
async def test_a_download_is_the_same_bytes_readable_by_the_owner_only(site: Site, to: Path, content: bytes,
                                                                       send: Callable[[bytes], Step]) -> None:
    site.script = [send(content)]
    await fetch(site.url(), to)
    assert to.read_bytes() == content
    assert stat.S_IMODE(to.stat().st_mode) == 0o600


async def test_a_request_carries_no_credential_and_asks_for_plain_bytes(site: Site, to: Path) -> None:
    site.script = [whole(Set_Cookie="session=1"), whole()]
    async with HttpDownloads(clock=FakeClock(), allow_local=True) as downloads:
        await downloads.fetch(site.url(), to)
        await downloads.fetch(site.url(), to.with_name("second"))
    for seen in site.seen:
        assert set(seen.headers) == {"host", "user-agent", "accept", "accept-encoding"}
        assert seen.headers["accept-encoding"] == "identity"
        assert seen.path == "/clip.mp4?sig=secret"


async def test_the_file_is_synced_before_the_fetch_returns(site: Site, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_size), real(descriptor))[1])
    site.script = [whole()]
    await fetch(site.url(), to)
    assert synced == [len(CLIP)]


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"mine"),
                                  lambda path: path.symlink_to(path.with_name("victim"))])
async def test_what_is_there_already_is_never_written_over(site: Site, to: Path, make: Callable[[Path], None]) -> None:
    make(to)
    site.script = [whole()]
    with pytest.raises(DownloadError, match="File exists"):
        await fetch(site.url(), to)
    assert to.is_symlink() or to.read_bytes() == b"mine"
    assert not to.with_name("victim").exists()
    assert not site.seen


async def test_a_missing_folder_or_a_full_disk_is_a_download_error(site: Site, to: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    site.script = [whole()]
    await refused(site.url(), to / "deeper")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads_module, "_write", full)
    assert "No space left" in str(await refused(site.url(), to))


async def test_a_cancelled_download_leaves_no_file(to: Path) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield CLIP
            await anyio.sleep_forever()

    with anyio.move_on_after(0.02) as scope:
        await fetch("http://cdn.example/", to, transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless())))
    assert scope.cancelled_caught
    assert not to.exists()


# ── transfers that break ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_truncated_download_goes_on_where_it_stopped_under_the_same_etag(site: Site, to: Path) -> None:
    site.script = [whole(cut=1_000_000, ETag=ETAG), part(cut=2_000_000), part()]
    clock = FakeClock()
    await fetch(site.url(), to, clock)
    assert to.read_bytes() == CLIP
    assert [seen.headers.get("range") for seen in site.seen] == [None, "bytes=1000000-", "bytes=2000000-"]
    assert [seen.headers.get("if-range") for seen in site.seen] == [None, ETAG, ETAG]
    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"v1"'}, {"ETag": "v1"}, {"ETag": '"a\tb"'}])
async def test_without_a_strong_etag_it_starts_again(site: Site, to: Path, headers: dict[str, str]) -> None:
    site.script = [whole(cut=1_000_000, **headers), whole()]
    await fetch(site.url(), to)
    assert to.read_bytes() == CLIP
    assert "range" not in site.seen[1].headers


OTHER = CLIP[:12] + b"other" * 1000


@pytest.mark.parametrize("answers", [
    [whole(OTHER)],  # the range ignored: another file by now
    [part(OTHER, etag='"v2"'), whole(OTHER)],
    [part(OTHER, etag=None), whole(OTHER)],
    [part(OTHER, shift=1), whole(OTHER)],
    [whole(b"", 416), whole(OTHER)],
], ids=["200", "other etag", "no etag", "shifted", "416"])
async def test_parts_of_different_files_are_never_joined(site: Site, to: Path, answers: list[Step]) -> None:
    site.script = [whole(cut=1000, ETag=ETAG), *answers]
    await fetch(site.url(), to)
    assert to.read_bytes() == OTHER


@pytest.mark.parametrize("lie", [part(shift=1), part(shift=-1), part(OTHER, etag='"v2"')])
async def test_after_a_part_that_was_not_asked_for_it_starts_again(site: Site, to: Path, lie: Step) -> None:
    site.script = [whole(cut=1000, ETag=ETAG), lie, whole()]
    await fetch(site.url(), to)
    assert to.read_bytes() == CLIP
    assert [seen.headers.get("range") for seen in site.seen] == [None, "bytes=1000-", None]


async def test_a_part_without_any_etag_is_not_joined_even_where_it_would_fit(site: Site, to: Path) -> None:
    rest = whole(CLIP[1000:], 206, Content_Range=f"bytes 1000-{len(CLIP) - 1}/{len(CLIP)}")
    site.script = [whole(cut=1000), rest, whole(OTHER)]
    await fetch(site.url(), to)
    assert to.read_bytes() == OTHER


@pytest.mark.parametrize("step", [hang_up, whole(cut=100), chunked(CLIP, finish=False), whole(b"", 500), whole(b"", 503),
                                  whole(b"", 429), whole(b""), whole(b"", 416)],
                         ids=["reset", "short", "chunks", "500", "503", "429", "empty", "416"])
async def test_a_broken_transfer_is_tried_again_a_few_times_and_then_fails(site: Site, to: Path, step: Step) -> None:
    site.script = [step, step, whole()]
    await fetch(site.url(), to)
    assert to.read_bytes() == CLIP
    site.seen.clear()
    site.script = [step]
    clock = FakeClock()
    error = await refused(site.url(), to.with_name("again"), clock=clock)
    assert len(site.seen) == ATTEMPTS
    assert clock.slept == [1.0, 2.0, 4.0]
    assert not error.expired
    assert f"{ATTEMPTS} times" in str(error)


async def test_a_server_error_in_between_loses_no_progress(site: Site, to: Path) -> None:
    site.script = [whole(cut=1000, ETag=ETAG), whole(b"", 503), part()]
    await fetch(site.url(), to)
    assert to.read_bytes() == CLIP


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_an_address_that_has_expired_is_said_at_once(site: Site, to: Path, status: int) -> None:
    site.script = [whole(b"gone", status)]
    assert (await refused(site.url(), to)).expired
    assert len(site.seen) == 1


@pytest.mark.parametrize("step", [
    whole(b"no", 400), whole(b"", 204), whole(CLIP, 206), whole(CLIP, 206, Content_Range="bytes 0-9/10"), whole(b"", 304),
], ids=["400", "204", "206", "206 unasked", "304"])
async def test_other_answers_are_no_download(site: Site, to: Path, step: Step) -> None:
    site.script = [step]
    assert not (await refused(site.url(), to)).expired


@pytest.mark.parametrize(("headers", "content"), [({"Content_Encoding": "gzip"}, gzip.compress(CLIP)),
                                                  ({"Content_Encoding": "br"}, CLIP), ({"Content_Encoding": ""}, CLIP)])
async def test_a_compressed_answer_is_refused(site: Site, to: Path, headers: dict[str, str], content: bytes) -> None:
    site.script = [whole(content, **headers)]
    assert "compressed" in str(await refused(site.url(), to))


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>expired\x1b[2J", b"x", b"\0\0\0\x18moov" + bytes(500), bytes(5000),
                                     b"\x89PNG\r\n\x1a\n" + bytes(100)])
async def test_what_is_no_video_is_refused_after_its_first_bytes(site: Site, to: Path, content: bytes) -> None:
    site.script = [whole(content)]
    error = await refused(site.url(), to)
    assert error.code == "not-a-video"
    assert str(error).isprintable()
    assert len(site.seen) == 1


async def test_a_file_above_the_limit_is_refused_by_its_length_or_while_it_comes(site: Site, to: Path) -> None:
    site.script = [whole()]
    assert "larger than 1,000" in str(await refused(site.url(), to, max_bytes=1000))
    site.script = [chunked(CLIP)]
    assert "larger than 1,000" in str(await refused(site.url(), to, max_bytes=1000))
    await fetch(site.url(), to, max_bytes=len(CLIP))


def mock(stream: httpx.AsyncByteStream) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, stream=stream))


async def test_a_transfer_that_is_too_slow_over_a_minute_is_broken(to: Path) -> None:
    class Slow(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, 12_000, 100):
                yield CLIP[start:start + 100]

    error = await refused("http://cdn.example/", to, clock=FakeClock(step=1.0), transport=mock(Slow()))
    assert "slower than 1000 bytes a second" in str(error)
    await fetch("http://cdn.example/", to, clock=FakeClock(step=0.05), transport=mock(Slow()))


async def test_a_download_ends_at_its_deadline(to: Path) -> None:
    class Stalled(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield CLIP
            await anyio.sleep_forever()

    assert "longer than 0.02 s" in str(await refused("http://cdn.example/", to, deadline=0.02, transport=mock(Stalled())))


async def test_a_stream_of_another_length_than_announced_is_broken(to: Path) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=CLIP, headers={"Content-Length": "5000"}))
    assert "of 5,000 bytes arrived" in str(await refused("http://cdn.example/", to, transport=transport))


# ── addresses ─────────────────────────────────────────────────────────────────────────────────────────────────────────


PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
    "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "::ffff:127.0.0.1", "::ffff:a00:1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "::127.0.0.1", "", "localhost",
    "2130706433",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_local_reserved_and_disguised_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1", True), ("2130706433", True), ("0x7f.1", True), ("127.1", True), ("017700000001", True), ("localhost", True),
    ("a.localhost", True), ("metadata.google.internal", True), ("localhost.", True), ("metadata.google.internal.", True),
    ("::1", True), ("::ffff:7f00:1", True), ("8.8.8.8", False),
    ("cdn.example", False), ("2606:4700::1111", False), ("134744072", False),
])
def test_hosts_that_are_local_at_a_glance_are_known_without_resolving(host: str, local: bool) -> None:
    assert is_plainly_local(host) is local


LOCAL_URLS = ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/",
              "http://127.1:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/",
              "http://[::1]:{port}/",
              "http://[::ffff:127.0.0.1]:{port}/", "http://169.254.169.254/latest/meta-data/",
              "http://10.0.0.1/",
              "http://[64:ff9b::7f00:1]/"]


@pytest.mark.parametrize("url", LOCAL_URLS)
async def test_addresses_of_this_machine_and_network_are_refused_without_a_connection(site: Site, to: Path, url: str) -> None:
    site.script = [whole()]
    error = await refused(url.format(port=site.port), to, allow_local=False)
    assert error.code == "not-public"
    assert not site.seen


def resolving(*answers: Sequence[str]) -> tuple[Callable[[str, int], object], list[str]]:
    """A resolver that gives one answer after the other, and the names that it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:192.168.0.1"]])
async def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(to: Path, addresses: list[str]) -> None:
    resolve, _ = resolving(addresses)
    assert (await refused("http://cdn.example/", to, allow_local=False, resolve=resolve)).code == "not-public"


async def test_the_checked_address_is_the_one_connected_to(site: Site, to: Path) -> None:
    resolve, asked = resolving(["127.0.0.1"], ["203.0.113.1"])  # a name that points elsewhere when asked again
    site.script = [whole()]
    await fetch(site.url(host="cdn.example"), to, resolve=resolve)
    assert asked == ["cdn.example"]
    assert site.seen[0].headers["host"] == f"cdn.example:{site.port}"


async def test_a_dead_address_gives_way_to_the_next_of_the_same_name(site: Site, to: Path) -> None:
    resolve, _ = resolving(["::1", "127.0.0.1"])  # the server listens on IPv4 only
    site.script = [whole()]
    await fetch(site.url(host="cdn.example"), to, resolve=resolve)
    assert to.read_bytes() == CLIP


async def test_a_name_that_does_not_resolve_is_asked_again_and_then_fails(to: Path) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    clock = FakeClock()
    assert "does not resolve" in str(await refused("http://cdn.example/", to, resolve=resolve, clock=clock))
    assert len(clock.slept) == ATTEMPTS - 1


@pytest.mark.parametrize("url", ["", "cdn.example/a", "//cdn.example/a", "ftp://cdn.example/a", "file:///etc/passwd", "data:,x",
                                 "http:///a", "https://user:secret@cdn.example/", "http://[::1", "http://a\x1b.example/",
                                 "http://0177.0.0.1/", "javascript:alert(1)", "http://x:99999/"])
async def test_only_plain_http_and_https_addresses_are_fetched(to: Path, url: str) -> None:
    error = await refused(url, to)
    assert str(error).isprintable()


async def test_redirects_are_followed_hop_by_hop(site: Site, to: Path) -> None:
    site.script = [redirect("/b", 301), redirect(site.url("/c"), 307), redirect("d?sig=secret", 303), whole()]
    await fetch(site.url("/a"), to)
    assert [seen.path for seen in site.seen] == ["/a", "/b", "/c", "/d?sig=secret"]


async def test_a_redirect_to_a_local_address_is_refused(site: Site, to: Path) -> None:
    resolve, _ = resolving(["93.184.216.34"], ["127.0.0.1"])
    hops: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hops.append(str(request.url))
        return httpx.Response(302, headers={"Location": site.url(host="inner.example")})

    site.script = [whole()]
    async with HttpDownloads(clock=FakeClock(), resolve=resolve) as downloads:  # type: ignore[arg-type]
        downloads._direct = httpx.MockTransport(handler)
        with pytest.raises(DownloadError, match="not on the public Internet"):
            await downloads.fetch("https://cdn.example/a", to)
    assert hops == ["https://93.184.216.34/a"]
    assert not site.seen


@pytest.mark.parametrize("target", ["ftp://cdn.example/", "file:///etc/passwd", "http://[::1", ""])
async def test_a_redirect_to_something_else_than_http_is_refused(site: Site, to: Path, target: str) -> None:
    site.script = [redirect(target)]
    await refused(site.url(), to)
    assert len(site.seen) <= HOPS + 1


async def test_redirects_in_a_circle_end(site: Site, to: Path) -> None:
    site.script = [redirect("/again")]
    assert f"more than {HOPS} times" in str(await refused(site.url(), to))
    assert len(site.seen) == HOPS + 1


async def test_the_name_goes_into_host_and_sni_and_the_address_into_the_connection(to: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=CLIP)

    async with HttpDownloads(clock=FakeClock(),
                             resolve=resolving(["2606:4700::1111"])[0]) as downloads:  # type: ignore[arg-type]
        downloads._direct = httpx.MockTransport(handler)
        await downloads.fetch("https://bücher.example:8443/a?b=c", to)
    request, = seen
    assert str(request.url) == "https://[2606:4700::1111]:8443/a?b=c"
    assert request.headers["Host"] == "xn--bcher-kva.example:8443"
    assert request.extensions["sni_hostname"] == "xn--bcher-kva.example"


async def test_a_certificate_is_checked_for_the_name_and_not_for_the_address(site: Site, to: Path, tmp_path: Path,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    command = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=cdn.example "
               "-addext subjectAltName=DNS:cdn.example -keyout key -out cert")
    subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)  # noqa: ASYNC221
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    assert site.server is not None
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: ssl.create_default_context(cafile=str(tmp_path / "cert")))
    site.script = [whole()]
    resolve, _ = resolving(["127.0.0.1"])
    await fetch(site.url(host="cdn.example").replace("http:", "https:"), to, resolve=resolve)
    assert to.read_bytes() == CLIP
    error = await refused(site.url(host="other.example").replace("http:", "https:"), to.with_name("b"), resolve=resolve)
    assert "certificate" in str(error)
    assert names == ["cdn.example", "other.example"]
    assert len(site.seen) == 1


async def test_a_proxy_of_the_environment_carries_public_names_and_nothing_local(site: Site, to: Path,
                                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{site.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    site.script = [whole()]
    await fetch("http://cdn.example/clip.mp4", to, allow_local=False)
    assert [(seen.path, seen.headers["host"]) for seen in site.seen] == [("http://cdn.example/clip.mp4", "cdn.example")]
    assert to.read_bytes() == CLIP
    assert (await refused("http://10.0.0.1/", to.with_name("b"), allow_local=False)).code == "not-public"
    assert len(site.seen) == 1
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1")
    assert "proxy" in str(await refused("http://cdn.example/", to.with_name("c"), allow_local=False))


async def test_an_application_in_process_is_asked_as_it_is(to: Path) -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(200, content=CLIP)

    await fetch("http://simulator.invalid/clip", to, allow_local=False, transport=httpx.MockTransport(handler))
    assert hosts == ["simulator.invalid"]
    assert to.read_bytes() == CLIP


@pytest.mark.parametrize(("url", "expected"), [
    ("https://cdn.example/a.mp4?X-Signature=s#f", "https://cdn.example/a.mp4"),
    ("https://u:p@cdn.example/", "https://cdn.example/"),
    ("http://x/\x1b[31m\n", "http://x/ [31m"),
])
def test_an_address_is_shown_without_what_opens_it(url: str, expected: str) -> None:
    assert shown(url) == expected
