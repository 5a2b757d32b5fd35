"""Several hosts on this machine: network namespaces with a loopback of their own, each joined to here by a link that can fail.

They can be made as root on Linux with iproute2; elsewhere what needs them is skipped. A host reaches `HERE` of its link, and
what listens on a Unix socket: `relay` makes of such a socket a port on the host's own loopback.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NETWORK = "10.91"
"""The first half of all their addresses."""

_NUMBERS = itertools.count(1)  # a link is gone some time after its host

INSIDE = "studio0"
"""What the link is called on the host itself."""

_SWALLOW = ("root", "tbf", "rate", "8bit", "burst", "1", "limit", "1")  # no packet fits: all are dropped, nobody is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host. Programs on it reach this side at `here`."""

    name: str
    link: str
    here: str

    def command(self, *words: str) -> list[str]:
        """How a program is run there."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut_off(self) -> None:
        """Swallow everything on its link, both ways. Connections stay, and say nothing."""
        _run("tc", "qdisc", "add", "dev", self.link, *_SWALLOW)
        _run(*self.command("tc", "qdisc", "add", "dev", INSIDE, *_SWALLOW))

    def join(self) -> None:
        """Let everything pass again."""
        _run("tc", "qdisc", "del", "dev", self.link, "root")
        _run(*self.command("tc", "qdisc", "del", "dev", INSIDE, "root"))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts, for as long as the block lasts."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        pytest.skip("hosts need root, Linux and iproute2")
    with ExitStack() as ends:
        yield [ends.enter_context(_host(next(_NUMBERS))) for _ in range(count)]


@contextmanager
def _host(number: int) -> Iterator[Host]:
    pid = os.getpid()
    subnet = f"{NETWORK}.{(pid * 16 + number) % 256}"
    host = Host(name=f"mr-{pid}-{number}", link=f"mr{pid}-{number}", here=f"{subnet}.1")
    try:
        _run("ip", "netns", "add", host.name)
        _run("ip", "link", "add", host.link, "type", "veth", "peer", "name", INSIDE, "netns", host.name)
        _run("tc", "qdisc", "add", "dev", host.link, *_SWALLOW)
        _run("tc", "qdisc", "del", "dev", host.link, "root")
    except subprocess.CalledProcessError as error:  # containers often lack one of these
        subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)
        pytest.skip(f"no hosts here: {error.stderr.decode().strip()}")
    try:
        _run("ip", "addr", "add", f"{host.here}/24", "dev", host.link)
        _run("ip", "link", "set", host.link, "up")
        _run("ip", "-n", host.name, "addr", "add", f"{subnet}.2/24", "dev", INSIDE)
        for link in (INSIDE, "lo"):
            _run("ip", "-n", host.name, "link", "set", link, "up")
        yield host
    finally:
        subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)  # its link goes with it


@contextmanager
def relay(source: str, target: str, *, on: Host | None = None) -> Iterator[None]:
    """Pass on what comes to `source`: a port of loopback (of that host) or the path of a Unix socket; likewise `target`."""
    words = [sys.executable, "-m", "tests.hosts", source, target]
    process = subprocess.Popen(words if on is None else on.command(*words), cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


async def _relay(source: str, target: str) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await _joined(target)

        async def one_way(come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
            try:
                while piece := await come.read(1 << 16):
                    go.write(piece)
                    await go.drain()
            except ConnectionError:
                pass
            finally:
                go.close()

        await asyncio.gather(one_way(reader, back), one_way(there, writer))

    if source.isdigit():
        server = await asyncio.start_server(pass_on, "127.0.0.1", int(source))
    else:
        server = await asyncio.start_unix_server(pass_on, source)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


async def _joined(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if target.isdigit():
        return await asyncio.open_connection("127.0.0.1", int(target))
    return await asyncio.open_unix_connection(target)


def _main(words: Sequence[str]) -> None:
    asyncio.run(_relay(*words))


if __name__ == "__main__":
    _main(sys.argv[1:])
