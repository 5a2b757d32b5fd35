"""A command in a pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte


class Session:
    """A command that runs in a terminal of so many columns and lines. `seen` is called after each piece that it has written."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 80, lines: int = 24,
                 seen: Callable[[Session], None] | None = None) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.code: int | None = None
        self._stream = pyte.ByteStream(self.screen)
        self._seen = seen
        self._pid, self._handle = pty.fork()
        if not self._pid:
            os.chdir(cwd)
            os.execve(arguments[0], list(arguments), {**env, "TERM": env.get("TERM", "xterm-256color")})  # noqa: S606
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        """As if the window were drawn larger or smaller."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def shown(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def until(self, words: str, timeout: float = 60) -> list[str]:
        """Go on until these words are on the screen."""
        ends = time.monotonic() + timeout
        while words not in "\n".join(self.shown()):
            assert self.go_on(), f"it ended without {words!r}: {self.shown()}"
            assert time.monotonic() < ends, f"no {words!r} on {self.shown()}"
        return self.shown()

    def end(self, timeout: float = 60) -> int:
        """Go on until the command has ended; its exit code."""
        ends = time.monotonic() + timeout
        while self.go_on():
            assert time.monotonic() < ends, f"it does not end: {self.shown()}"
        assert self.code is not None
        return self.code

    def go_on(self) -> bool:
        """Take what it writes next, or some time; False once it has ended."""
        if self.code is not None:
            return False
        readable, _, _ = select.select([self._handle], [], [], 0.1)
        if not readable:
            return True
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # what Linux says when the other side has closed
            data = b""
        if not data:
            _, status = os.waitpid(self._pid, 0)
            os.close(self._handle)
            self.code = os.waitstatus_to_exitcode(status)
            return False
        self._stream.feed(data)
        if self._seen is not None:
            self._seen(self)
        return True
