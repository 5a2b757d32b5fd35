"""Logs every byte that a render puts on the wire, host by host, and every connection that its process opens.

    python -m tests.attacks.packets [--log FILE]

The simulator stands behind two logging hosts: 127.0.0.1 for the API and 127.0.0.2 for its clips. Both tempt: the API answers
the first submission and the first question with a redirect to the other host, the other host sends the first download on to
the API; both set cookies. A third listener is named by the proxy variables, and a .netrc knows passwords for all. An audit hook
in the process logs each connection and name it asks for, so that nothing goes past the three.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.cli.support import command, environment, write

KEY = "tk_Canary/4711+0815=Zq81"
API, CDN = "127.0.0.1", "127.0.0.2"
SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n" + "".join(
    f"  - {{id: S{number}, prompt: p{number}}}\n" for number in range(4))
_HOOK = """\
import os, sys
def seen(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        what = args[:2] if event == "socket.getaddrinfo" else args[1]
        with open(os.environ["CONNECTIONS"], "a") as file:
            file.write(f"{event} {what!r}\\n")
sys.addaudithook(seen)
"""


@dataclass(slots=True)
class Host:
    """A listener that logs what it hears and, but for what `answers` say, passes it on to `behind`."""

    name: str
    address: str
    behind: int | None = None
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    socket: socket.socket = field(default_factory=lambda: socket.socket())

    def listen(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.address, 0))
        self.socket.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.socket.getsockname()[1]}"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        number = len(self.heard)
        self.heard.append(b"")
        self.said.append(b"")
        server: socket.socket | None = None
        with suppress(OSError), client:
            while data := client.recv(65536):
                self.heard[number] += data
                answer = next((pair for pair in self.answers if pair[0] in data), None)
                if answer is not None:
                    self.answers.remove(answer)
                    while b"\r\n\r\n" not in self.heard[number] or (b"POST" in data and not self.heard[number].endswith(b"}")):
                        self.heard[number] += client.recv(65536)
                    self.said[number] += answer[1]
                    client.sendall(answer[1])
                    return
                if server is None:
                    server = socket.create_connection(("127.0.0.1", self.behind or 9))
                    threading.Thread(target=self._back, args=(number, server, client), daemon=True).start()
                server.sendall(data)
        if server is not None:
            server.close()

    def _back(self, number: int, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self.said[number] += data
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def requests(self) -> list[bytes]:
        """The heads of all requests that it heard."""
        head = re.compile(rb"(?:GET|POST|HEAD|CONNECT) [^\r\n]+\r\n.*?\r\n\r\n", re.DOTALL)
        return [found for heard in self.heard for found in head.findall(heard)]


def redirect(status: int, to: str) -> bytes:
    return (f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nSet-Cookie: session=stolen; Path=/\r\nWWW-Authenticate: Basic\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n").encode()


@dataclass(frozen=True, slots=True)
class Log:
    """What was heard and said at each host, which connections the process opened, and how its two renders ended."""

    api: Host
    cdn: Host
    proxy: Host
    connections: list[str]
    codes: list[int]
    output: str


def record(folder: Path) -> Log:
    """Render twice (the first submission is redirected away and refused) and log everything."""
    api, cdn, proxy = Host("API", API), Host("CDN", CDN), Host("proxy", "127.0.0.3")
    for host in (api, cdn, proxy):
        host.listen()
    with _simulator(cdn.url) as port:
        api.behind = cdn.behind = port
        api.answers = [(b"POST /v1/video", redirect(307, f"{cdn.url}/v1/video/kling-v3-omni")),
                       (b"GET /v1/jobs/", redirect(302, f"{cdn.url}/v1/jobs/elsewhere"))]
        cdn.answers = [(b"GET /out/", redirect(302, f"{api.url}/out/by-way-of-the-api.mp4"))]
        root, home, planted = folder / "repository", folder / "home", folder / "planted"
        (root / ".git").mkdir(parents=True)
        write(root, SHOW)
        write(home, "".join(f"machine {host} login me password netrc-secret\n" for host in (API, CDN, "127.0.0.3")), ".netrc")
        (home / ".netrc").chmod(0o600)
        write(planted, _HOOK, "sitecustomize.py")
        env = {"HOME": str(home), "TRINETRA_API_KEY": KEY, "MANIFEST_RUNNER_BASE_URL": api.url, "PYTHONPATH": str(planted),
               "CONNECTIONS": str(folder / "connections"),
               **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy.url)}
        codes, output = [], ""
        for _ in range(2):
            ran = subprocess.run(command("render", "show.yaml", "--yes", "-v"), cwd=root, env=environment(root, env),
                                 capture_output=True, text=True, timeout=120, check=False)
            codes.append(ran.returncode)
            output += ran.stdout + ran.stderr
    for host in (api, cdn, proxy):
        host.socket.close()
    return Log(api=api, cdn=cdn, proxy=proxy, connections=(folder / "connections").read_text().splitlines(), codes=codes,
               output=output)


@contextmanager
def _simulator(outputs: str) -> Iterator[int]:
    """The simulator in a process of its own; its clips have addresses below `outputs`. Its port."""
    process = subprocess.Popen([sys.executable, "-m", "tests.attacks.packets", "--serve", outputs], stdout=subprocess.PIPE,
                               text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(timeout=20)


async def _serve(outputs: str) -> None:
    from manifest_runner.adapters.clock import SystemClock
    from manifest_runner.simulator.server import Simulator, serve
    from manifest_runner.simulator.world import Settings, World

    with tempfile.TemporaryDirectory() as folder:
        world = World(Settings(speed=200, seed="packets"))
        simulator = Simulator(folder=Path(folder), clock=SystemClock(), world=world, base_url=outputs)
        await serve("127.0.0.1", 0, simulator, ready=partial(print, flush=True))


def table(log: Log) -> Iterator[str]:
    """The figures, a host a line."""
    yield "host        requests  with the key  cookies  authorization  bytes sent"
    for host in (log.api, log.cdn, log.proxy):
        heads = host.requests()
        counts = [len(heads), *(sum(word in head.lower() for head in heads)
                                for word in (b"x-api-key:", b"\r\ncookie:", b"authorization:")), sum(map(len, host.heard))]
        yield "{:10}  {:8}  {:12}  {:7}  {:13}  {:10}".format(host.name, *counts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve")
    parser.add_argument("--log", type=Path)
    asked = parser.parse_args()
    if asked.serve:
        import anyio

        anyio.run(_serve, asked.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        log = record(Path(folder))
    print(*table(log), "", *sorted(set(log.connections)), sep="\n")
    if asked.log:
        asked.log.write_bytes(b"".join(
            f"== {host.name} {host.address}, connection {number}, {way}\n".encode() + data + b"\n"
            for host in (log.api, log.cdn, log.proxy) for number in range(len(host.heard))
            for way, data in (("heard", host.heard[number]), ("said", host.said[number]))))
        asked.log.chmod(0o600)


if __name__ == "__main__":
    main()
