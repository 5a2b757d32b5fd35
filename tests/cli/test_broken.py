"""The machine round the program breaks: full disks, closed outputs, an impatient user. The verdict is the simulator's books."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.support import command, environment, run, start, write
from tests.cli.test_live import CORRELATES, TWO, clear
from tests.crash.test_killed_run import books, live, simulator

STRACE = shutil.which("strace")


def traceable() -> bool:
    """Whether this machine lets a process be traced, as containers often do not."""
    return STRACE is not None and subprocess.run([STRACE, "-qq", "-o", os.devnull, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not traceable(), reason="needs strace, and a machine that lets it trace")
@pytest.mark.parametrize(("write_number", "error"), [(1, "ENOSPC"), (5, "EIO"), (12, "ENOSPC"), (20, "EACCES"), (26, "ENOSPC")])
def test_a_disk_that_fills_up_at_any_write_of_the_ledger_costs_no_job(tmp_path: Path, write_number: int, error: str) -> None:
    write(tmp_path, TWO)
    write(tmp_path, CORRELATES, "manifest-runner.toml")
    with simulator(tmp_path, "--replay", "correlates", "--no-clips") as address:
        assert STRACE is not None
        trace = [STRACE, "-f", "-qq", "-o", os.devnull, "-P", str(tmp_path / ".manifest-runner" / "ledger.sqlite3-wal"),
                 "-e", "trace=pwrite64", "-e", f"inject=pwrite64:error={error}:when={write_number}+"]
        broken = subprocess.run([*trace, *command("render", "show.yaml", "--yes")], cwd=tmp_path, text=True,
                                capture_output=True, env=environment(tmp_path, live(address)), timeout=120, check=False)
        assert broken.returncode in (1, 2), broken.stdout + broken.stderr
        assert "Traceback" not in broken.stderr
        said = broken.stdout + broken.stderr
        before = books(address)
        run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        after = books(address)["totals"]
        assert (after["jobs"], after["duplicates"]) == (2, 0), said
        assert "in doubt" not in run(tmp_path, "status", "show.yaml").out
        assert before["totals"]["jobs"] <= 2
        assert list(tmp_path.rglob(".manifest-runner-job-*")) == []


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full", "| true"])
def test_an_output_that_is_closed_or_full_changes_nothing_of_the_render(
    tmp_path: Path, redirection: str, flags: tuple[str, ...]
) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, pictures=False) as address:
        line = subprocess.list2cmdline(command("render", "show.yaml", "--yes", *flags))
        ran = subprocess.run(["bash", "-c", f"{line} {redirection}; exit ${{PIPESTATUS[0]}}"], cwd=tmp_path, text=True,
                             capture_output=True, env=environment(tmp_path, live(address)), timeout=120, check=False)
        assert "Traceback" not in ran.stderr
        assert "fault of this program" not in ran.stderr + ran.stdout
        assert ran.returncode == (0 if "full" not in redirection or "2>" in redirection else 2), ran.stderr + ran.stdout
        assert books(address)["totals"]["jobs"] == 2
        again = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert again.out.startswith("Nothing to do: 2 kept.")


@pytest.mark.parametrize("words", [("plan", "show.yaml"), ("status", "show.yaml", "--json"), ("nonsense",)])
@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">/dev/full", "2>/dev/full", "| true"])
def test_looking_with_an_output_that_is_closed_or_full_is_no_fault_of_the_program(
    tmp_path: Path, words: tuple[str, ...], redirection: str
) -> None:
    write(tmp_path, TWO)
    line = subprocess.list2cmdline(command(*words))
    ran = subprocess.run(["bash", "-c", f"{line} {redirection}; exit ${{PIPESTATUS[0]}}"], cwd=tmp_path, capture_output=True,
                         text=True, env=environment(tmp_path), timeout=120, check=False)
    assert ran.returncode in (0, 2)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert "fault of this program" not in ran.stderr + ran.stdout


def test_a_second_ctrl_c_leaves_at_once_and_the_next_run_continues(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, "--fault", "submit:slow=4000", pictures=False) as address:
        process = start(tmp_path, "render", "show.yaml", "--yes", env=live(address), stderr=subprocess.PIPE)
        assert process.stderr is not None
        while not (tmp_path / ".manifest-runner" / "ledger.sqlite3").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        while "once more" not in process.stderr.readline():
            pass
        time.sleep(0.1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - started < 5
        process.stderr.close()
        clear(address)
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == 2
        assert books(address)["totals"]["duplicates"] == 0


def test_a_lockfile_that_cannot_be_written_costs_no_clip_and_is_said(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, pictures=False) as address:
        (tmp_path / ".manifest-runner").mkdir()
        (tmp_path / "show.lock.json").mkdir()  # nothing can be renamed over a folder, whoever asks
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert ran.code == 2
        (tmp_path / "show.lock.json").rmdir()
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == 2
        assert run(tmp_path, "lock", "show.yaml", "--check").code == 0


def test_a_store_that_cannot_be_written_keeps_what_was_paid_for_the_next_run(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path, pictures=False) as address:
        write(tmp_path, "in the way", ".manifest-runner/objects")
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert ran.code == 1
        assert "cannot make room for a download" in ran.out
        (tmp_path / ".manifest-runner" / "objects").unlink()
        assert run(tmp_path, "render", "show.yaml", "--yes", env=live(address)).code == 0
        assert books(address)["totals"]["jobs"] == 2


def test_a_download_on_a_full_disk_keeps_what_was_paid_for_the_next_run(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    with simulator(tmp_path) as address:
        line = subprocess.list2cmdline(command("render", "show.yaml", "--yes"))
        # no file may grow beyond 64 KB: the ledger fits, the clips do not
        ran = subprocess.run(["bash", "-c", f"trap '' XFSZ; ulimit -f 80; {line}"], cwd=tmp_path, text=True,
                             capture_output=True, env=environment(tmp_path, live(address)), timeout=120, check=False)
        assert ran.returncode in (1, 2), ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        again = run(tmp_path, "render", "show.yaml", "--yes", env=live(address))
        assert again.code == 0, again.out + again.err
        assert books(address)["totals"]["jobs"] == 2


def test_an_output_that_does_not_wait_changes_no_exit_code(tmp_path: Path) -> None:
    """Some programs leave their pipes so that a write which would have to wait fails instead."""
    write(tmp_path, TWO)
    for closed in ("stdout", "stderr"):
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        others = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, closed: writing}
        process = subprocess.Popen(command("plan", "nothing.yaml" if closed == "stderr" else "show.yaml"), cwd=tmp_path,
                                   env=environment(tmp_path), **others)
        if closed == "stdout":
            time.sleep(1)
            while len(os.read(reading, 65536)) == 65536:  # somebody reads at last
                pass
        assert process.wait(timeout=60) == (2 if closed == "stderr" else 0)
        os.close(reading)
        os.close(writing)
