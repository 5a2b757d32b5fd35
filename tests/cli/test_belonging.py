"""What a command shares with others."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from manifest_runner.adapters.settings import RUN_VARIABLE
from manifest_runner.cli import belonging
from manifest_runner.cli.belonging import Run


def test_each_command_sends_for_itself_and_counts_for_the_run_that_was_named() -> None:
    one, other, alone = Run.of({RUN_VARIABLE: "make"}), Run.of({RUN_VARIABLE: "make"}), Run.of({})
    assert one.name == other.name == "make"
    assert len({one.sender, other.sender, alone.sender}) == 3
    assert (one.is_whole, alone.is_whole, alone.name) == (False, True, alone.sender)


def test_leave_to_work_goes_back_to_make_even_where_the_process_is_about_to_end(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    handle = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    os.write(handle, b"+")
    monkeypatch.setenv("MAKEFLAGS", f"-j2 --jobserver-auth=fifo:{tmp_path / 'fifo'}")

    async def draw() -> None:
        with belonging.place() as place:
            assert place is not None
            async with place(), place():
                with pytest.raises(BlockingIOError):
                    os.read(handle, 1)
                belonging.give_back()
                assert os.read(handle, 2) == b"+"

    anyio.run(draw)
    os.close(handle)


def test_without_a_make_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    with belonging.place() as place:
        assert place is None
