"""Processes of the program that need not import it first: each is forked from a server that has (`tests/warm_server.py`).

A command is a process of its own as ever, with an id, signals, standard streams and an exit code; only what Python and the
imports cost is spent once and not at every start. What a process of its own says and leaves behind is the same, which
`tests/test_warm.py` holds for every command. Where starting is what a test is about, or where the interpreter itself is asked
for something (`PYTHONPATH`, other locales, `strace`, a shell's redirections), it starts one afresh.
"""

from __future__ import annotations

import atexit
import itertools
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

HASH_SEEDS = 3
"""Servers. Processes take turns at them, so that no two in a row, nor any but each third, have the seed of their hashes in
common: what hangs on the order of a set comes out differently, as it does in processes of their own."""

THE_INTERPRETERS = ("PYTHON", "LANG", "LC_", "LD_", "TZ")
"""How the variables begin that an interpreter reads before it runs anything."""

_turns = itertools.count()


def can_start(env: Mapping[str, str]) -> bool:
    """Whether a forked process is what a fresh one with this environment would be."""
    return sys.platform == "linux" and _interpreters(env) == _interpreters(of_this_machine())


def of_this_machine() -> dict[str, str]:
    """The variables that every process of a test needs, with nothing of the developer's in them."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR", "PYTHONPATH") if name in os.environ}


def _interpreters(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(THE_INTERPRETERS)}


@cache
def servers() -> list[Path]:
    """The sockets of the servers, which end with this process."""
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    sockets = [folder / str(number) for number in range(HASH_SEEDS)]
    script = str(Path(__file__).with_name("warm_server.py"))
    for path in sockets:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(64)
            number = listener.fileno()
            server = subprocess.Popen([sys.executable, script, str(number), str(path)], cwd="/", env=of_this_machine(),
                                      pass_fds=[number], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        atexit.register(server.communicate)  # it ends when its input does, even where nobody says so
    return sockets


class Process:
    """One that was started: what tests use of `subprocess.Popen` with `text=True`."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], module: str = "manifest_runner",
                 stdin: int | None = subprocess.DEVNULL, stdout: int | None = None, stderr: int | None = None) -> None:
        self.args = [module, *arguments]
        self.returncode: int | None = None
        ours: list[IO[str] | None] = []
        theirs: list[int] = []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            handle, file = _ends(wanted, number, theirs)
            theirs.append(handle)
            ours.append(file)
        self.stdin, self.stdout, self.stderr = ours
        path = servers()[next(_turns) % HASH_SEEDS]
        order = {"module": module, "arguments": arguments, "folder": str(cwd), "environment": dict(env)}
        self._heard = b""
        self._told = socket.socket(socket.AF_UNIX)
        self._told.connect(str(path))
        data = json.dumps(order).encode() + b"\n"
        sent = socket.send_fds(self._told, [data], theirs)
        self._told.sendall(data[sent:])
        for handle in theirs:
            os.close(handle)
        self.pid = int(self._line(None))

    def _line(self, timeout: float | None) -> bytes:
        self._told.settimeout(timeout)
        while b"\n" not in self._heard:
            more = self._told.recv(64)
            assert more, "the server has died: see what it said"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = os.waitstatus_to_exitcode(int(self._line(timeout)))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        """What it says until it closes its outputs and ends. `input` must fit into a pipe."""
        ends = math.inf if timeout is None else time.monotonic() + timeout
        if self.stdin is not None:
            self.stdin.write(input or "")
            self.stdin.close()
        outputs = [file for file in (self.stdout, self.stderr) if file is not None]
        said = {id(file): b"" for file in outputs}
        with selectors.DefaultSelector() as selector:
            for file in outputs:
                selector.register(file, selectors.EVENT_READ)
            while selector.get_map():
                if time.monotonic() > ends:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                for key, _ in selector.select(1):
                    data = os.read(key.fd, 65536)
                    said[id(key.fileobj)] += data
                    if not data:
                        selector.unregister(key.fileobj)
        self.wait(None if timeout is None else max(0.0, ends - time.monotonic()))
        for file in outputs:
            file.close()
        out, err = (said.get(id(file), b"").decode().replace("\r\n", "\n").replace("\r", "\n")
                    for file in (self.stdout, self.stderr))
        return out, err


def _ends(wanted: int | None, number: int, theirs: Sequence[int]) -> tuple[int, IO[str] | None]:
    """For one standard stream: the descriptor that the process gets, and our end of it where it is a pipe."""
    if wanted == subprocess.PIPE:
        reading, writing = os.pipe()
        if number:
            return writing, os.fdopen(reading, encoding="utf-8")
        return reading, os.fdopen(writing, "w", encoding="utf-8")
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    return os.dup(theirs[1] if wanted == subprocess.STDOUT else number if wanted is None else wanted), None
