"""A network that can be made worse: a proxy on loopback that delays, loses what is said or what is answered, or breaks off."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self


class Fate(Enum):
    """What becomes of something that a client sends."""

    PASSED = "passed on"
    LOST = "lost, and the connection with it"
    UNANSWERED = "passed on, and the connection breaks before the answer comes back"
    LATE = "passed on some time after the client's connection broke"


class Proxy:
    """Passes everything between `port`, which it listens on, and the port `target`. Each way takes `delay` seconds.

    `fate` says of each piece that a client sends what becomes of it. While `open` is cleared nothing passes either way, and
    nobody is told: a pooler that hangs.
    """

    def __init__(self, target: int, *, delay: float = 0.0, fate: Callable[[bytes], Fate] = lambda _: Fate.PASSED) -> None:
        self.delay, self.fate = delay, fate
        self.open = threading.Event()
        self.open.set()
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._late: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _close(self._listening)
        self.open.set()
        for late in self._late:
            late.wait(10)
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        while self._ends:
            _close(self._ends.pop())

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _close(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += (client, server)
            lost, answered = threading.Event(), threading.Event()
            threading.Thread(target=self._ask, args=(client, server, lost, answered), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, lost, answered), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, lost: threading.Event, answered: threading.Event) -> None:
        with suppress(OSError):
            while piece := client.recv(1 << 20):
                self.open.wait()
                time.sleep(self.delay)
                fate = Fate.PASSED if lost.is_set() else self.fate(piece)
                if fate is Fate.LOST:
                    break
                if fate is Fate.LATE:
                    self._late.append(answered)
                    _close(client)
                    time.sleep(0.2)
                if fate is not Fate.PASSED:
                    lost.set()
                server.sendall(piece)
                if fate is Fate.LATE:
                    return  # the answer ends both
        _close(client)
        _close(server)

    def _answer(self, server: socket.socket, client: socket.socket, lost: threading.Event, answered: threading.Event) -> None:
        with suppress(OSError):
            while (piece := server.recv(1 << 20)) and not lost.is_set():
                self.open.wait()
                time.sleep(self.delay)
                client.sendall(piece)
        answered.set()
        _close(server)
        _close(client)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
