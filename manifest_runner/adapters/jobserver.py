"""The jobserver of make: how much heavy work may go on at once, over all processes of one `make -jN`.

`MAKEFLAGS` says where it is: `--jobserver-auth=fifo:PATH` (make 4.4 and later), or `--jobserver-auth=R,W`, the two ends of a
pipe that is inherited (before, and then only by recipes that are marked with `+`). Each byte in it is leave for one more piece.

Laws
- One piece of work needs no leave: that is the place which make gave to this process. Each further one takes a byte, and that
  very byte goes back however the work ends.
- Nobody waits inside a read: somebody else may be faster. So the pipe is opened anew, and what make shares keeps its mode.
- What cannot be used in that way is no jobserver, and nothing is read from a pipe that make has not passed on.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Self

import anyio

_AUTH = re.compile(r"--jobserver-(?:auth|fds)=(?:fifo:(?P<path>.+)|(?P<read>\d+),(?P<write>\d+))")
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)

PAUSE = 0.05
"""Seconds between two looks for a byte: small beside what is worth a leave."""


class JobServer:
    """Bytes to take and to give back. `reading` does not wait; both are ours to close where `own` says so."""

    def __init__(self, reading: int, writing: int, own: tuple[int, ...]) -> None:
        self._reading, self._writing, self._own = reading, writing, own
        self._held: list[bytes] = []

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Self | None:
        """The jobserver of the make that has started this process; None where there is none that can be used."""
        flags = environ.get("MAKEFLAGS", "").partition(" -- ")[0].split()
        found = next((match for word in reversed(flags) if (match := _AUTH.fullmatch(word))), None)
        if found is None:
            return None
        try:
            return cls._at(found["path"]) if found["path"] else cls._of(int(found["read"]), int(found["write"]))
        except (OSError, OverflowError):
            return None

    @classmethod
    def _at(cls, path: str) -> Self | None:
        reading = os.open(path, os.O_RDONLY | _NONBLOCK | _CLOEXEC)
        try:
            if not stat.S_ISFIFO(os.fstat(reading).st_mode):
                raise FileNotFoundError(path)
            writing = os.open(path, os.O_WRONLY | _NONBLOCK | _CLOEXEC)
        except OSError:
            os.close(reading)
            raise
        return cls(reading, writing, (reading, writing))

    @classmethod
    def _of(cls, reading: int, writing: int) -> Self | None:
        ends = [os.fstat(number) for number in (reading, writing)]
        # The numbers may be others' by now: make closes the pipe for recipes that it does not take for its like. Whatever
        # Python itself opens is not inheritable, and the ends of one pipe are one file.
        inherited = os.get_inheritable(reading) and os.get_inheritable(writing)
        if not inherited or not all(stat.S_ISFIFO(end.st_mode) for end in ends) or not os.path.samestat(*ends):
            return None
        anew = os.open(f"/proc/self/fd/{reading}", os.O_RDONLY | _NONBLOCK | _CLOEXEC)  # where there is none, it is not for us
        return cls(anew, writing, (anew,))

    def take(self) -> bytes | None:
        """A byte if there is one now."""
        try:
            byte = os.read(self._reading, 1)
        except (BlockingIOError, InterruptedError):
            return None
        if byte:
            self._held.append(byte)
        return byte or None

    def give(self, byte: bytes) -> None:
        """Put a byte back that was taken, unless `close` has done so."""
        if byte not in self._held:
            return
        self._held.remove(byte)
        with suppress(OSError):  # make has gone, and nobody waits for it
            os.write(self._writing, byte)

    def close(self) -> None:
        """Put back whatever is still held. May be called twice, and in a signal handler."""
        while self._held:
            self.give(self._held[-1])
        own, self._own = self._own, ()
        for number in own:
            os.close(number)


class Places:
    """Room for heavy work: one place of our own, and as many as the jobserver gives. First come, first served."""

    def __init__(self, server: JobServer) -> None:
        self._server = server
        self._queue = anyio.Lock()
        self._own: anyio.Event | None = None
        """Set once our own place is free again; None while it is."""

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for one piece of work, for as long as it takes."""
        byte = await self._take()
        try:
            yield
        finally:
            if byte is not None:
                self._server.give(byte)
            elif self._own is not None:
                self._own.set()
                self._own = None

    async def _take(self) -> bytes | None:
        """The byte of a place, None for our own."""
        async with self._queue:
            while self._own is not None:
                byte = self._server.take()
                if byte is not None:
                    return byte
                with anyio.move_on_after(PAUSE):
                    await self._own.wait()
            self._own = anyio.Event()
            return None
