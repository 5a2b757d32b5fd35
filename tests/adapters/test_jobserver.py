"""make's jobserver in both its forms, played by a pipe and by a fifo, and by the make that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from manifest_runner.adapters.jobserver import JobServer, Places

BYTES = b"+ab"
"""Leave for three more pieces of work; make may put any bytes there."""


class Fake:
    """A make with so many bytes in its pipe. `flags` is what it says in MAKEFLAGS."""

    def __init__(self, reading: int, writing: int, flags: str) -> None:
        self.reading, self.writing, self.flags = reading, writing, flags
        os.write(writing, BYTES)

    def left(self) -> bytes:
        """What is in the pipe now."""
        os.set_blocking(self.reading, False)
        try:
            found = os.read(self.reading, 100)
        except BlockingIOError:
            return b""
        os.write(self.writing, found)
        return found

    def close(self) -> None:
        for number in {self.reading, self.writing}:
            os.close(number)


@pytest.fixture(params=["pipe", "fifo"])
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fake]:
    if request.param == "pipe":
        reading, writing = os.pipe()
        for number in (reading, writing):
            os.set_inheritable(number, True)
        found = Fake(reading, writing, f"rR -j4 --jobserver-auth={reading},{writing} -- X=--jobserver-auth=fifo:x")
    else:
        os.mkfifo(tmp_path / "fifo")
        both = os.open(tmp_path / "fifo", os.O_RDWR)
        found = Fake(both, both, f" -j4 --jobserver-auth=fifo:{tmp_path / 'fifo'}")
    yield found
    found.close()


def server(fake: Fake) -> JobServer:
    found = JobServer.find({"MAKEFLAGS": fake.flags})
    assert found is not None
    return found


def test_bytes_are_taken_while_there_are_any_and_the_very_same_go_back(fake: Fake) -> None:
    found = server(fake)
    taken = [found.take() for _ in range(5)]
    assert taken == [b"+", b"a", b"b", None, None]
    assert fake.left() == b""
    found.give(b"a")
    assert fake.left() == b"a"
    found.close()
    found.close()
    assert sorted(fake.left()) == sorted(BYTES)


def test_what_make_shares_with_us_keeps_its_mode_and_is_not_closed(fake: Fake) -> None:
    os.set_blocking(fake.reading, True)
    found = server(fake)
    found.take()
    found.close()
    assert os.get_blocking(fake.reading)
    os.fstat(fake.writing)


@pytest.mark.parametrize("flags", ["", "rR", "-j", "--jobserver-auth=-2,-2", "--jobserver-auth=900,901", "--jobserver-auth=x",
                                   "--jobserver-auth=fifo:/nowhere/at/all", f"--jobserver-auth=fifo:{__file__}",
                                   "-- X=--jobserver-auth=3,4", "--jobserver-auth=99999999999999999999,3"])
def test_what_is_no_jobserver_is_none(flags: str) -> None:
    assert JobServer.find({"MAKEFLAGS": flags}) is None
    assert JobServer.find({}) is None


def test_a_pipe_that_is_not_makes_is_not_read() -> None:
    """A pipe of Python's own, and two ends of two pipes, under the numbers that a make has named and not passed on."""
    pipes = [os.pipe(), os.pipe()]
    try:
        (one, two), (three, four) = pipes
        os.write(two, BYTES)
        assert JobServer.find({"MAKEFLAGS": f"--jobserver-auth={one},{two}"}) is None
        for number in (one, two, three, four):
            os.set_inheritable(number, True)
        assert JobServer.find({"MAKEFLAGS": f"--jobserver-auth={one},{four}"}) is None
        assert os.read(one, 10) == BYTES
    finally:
        for pipe in pipes:
            for number in pipe:
                os.close(number)


class Work:
    """Pieces of work that count how many go on at once."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.now = self.most = self.done = 0
        self.go = anyio.Event()

    async def piece(self, fails: bool = False) -> None:
        async with self.places.place():
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await self.go.wait()
                if fails:
                    raise ValueError
                self.done += 1
            finally:
                self.now -= 1


@pytest.mark.anyio
async def test_as_many_pieces_go_on_as_there_are_bytes_and_one_more(fake: Fake) -> None:
    found = server(fake)
    work = Work(Places(found))
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(work.piece)
        await anyio.wait_all_tasks_blocked()
        assert work.now == 4
        assert fake.left() == b""
        work.go.set()
    assert (work.most, work.done) == (4, 10)
    assert sorted(fake.left()) == sorted(BYTES)
    found.close()


@pytest.mark.anyio
async def test_without_a_byte_left_the_place_of_our_own_is_enough(fake: Fake) -> None:
    others, found = server(fake), server(fake)
    while others.take():
        pass
    work = Work(Places(found))
    work.go.set()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work.piece)
    assert (work.most, work.done) == (1, 5)
    others.close()
    found.close()
    assert sorted(fake.left()) == sorted(BYTES)


@pytest.mark.anyio
async def test_work_that_fails_or_is_cancelled_gives_its_place_back(fake: Fake) -> None:
    found = server(fake)
    work = Work(Places(found))
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(work.piece)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert sorted(fake.left()) == sorted(BYTES)
    work.go.set()
    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(work.piece, True)
    assert sorted(fake.left()) == sorted(BYTES)
    work = Work(work.places)
    work.go.set()
    await work.piece()
    assert work.done == 1, "the place of our own is free as well"
    found.close()


TAKES_ALL = """
import os, sys
from manifest_runner.adapters.jobserver import JobServer
server = JobServer.find(os.environ)
count = 0
while server is not None and server.take() is not None:
    count += 1
print(count, flush=True)
if server is not None:
    server.close()
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_itself_lends_its_bytes_and_misses_none(tmp_path: Path) -> None:
    """With `+` a recipe is given the pipe also by a make that knows no fifo; without, that one gives nothing."""
    (tmp_path / "takes_all.py").write_text(TAKES_ALL)
    (tmp_path / "Makefile").write_text(f"lent:\n\t@+{sys.executable} takes_all.py\nalone:\n\t@{sys.executable} takes_all.py\n")
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # the suite itself may be run by make
        environ.pop(name, None)
    for goal, counts in (("lent", {"2"}), ("alone", {"0", "2"})):
        ran = subprocess.run(["make", "-j3", goal], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() in counts
        assert ran.stderr == ""
