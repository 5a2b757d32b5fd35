"""The lockfile on disk: each process its own takes, and never half a file."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from manifest_runner.adapters.lockwriter import FileLockWriter, read_lockfile
from manifest_runner.core.model import ShotId, TakeKey
from tests.builders import entry, manifest_of, plan_of


def writer(folder: Path) -> FileLockWriter:
    return FileLockWriter(folder / "show.lock.json", manifest="show.yaml", shown="show.lock.json", guard=folder / "guard")


def write_shots(folder: Path, prefix: str) -> None:
    for number in range(10):
        name = f"{prefix}{number}"
        request = plan_of(manifest_of(f"shots:\n  - {{id: {name}, prompt: x}}\n")).changes[0].after
        assert request is not None
        key = TakeKey(manifest="test.yaml", shot=ShotId(name), take=1)
        writer(folder).write({key: entry(request, shot=name)})


def test_processes_that_write_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=write_shots, args=(tmp_path, prefix)) for prefix in "AB"]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    lock, _ = read_lockfile(tmp_path / "show.lock.json", "x")
    assert {shot for shot, _ in lock.entries} == {f"{prefix}{number}" for prefix in "AB" for number in range(10)}


def test_writing_what_is_there_already_touches_nothing(tmp_path: Path) -> None:
    request = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n")).changes[0].after
    assert request is not None
    jobs = {TakeKey(manifest="test.yaml", shot=ShotId("A"), take=1): entry(request, shot="A")}
    assert writer(tmp_path).write(jobs) is True
    before = (tmp_path / "show.lock.json").stat()
    assert writer(tmp_path).write(jobs) is False
    assert (tmp_path / "show.lock.json").stat().st_ino == before.st_ino


def test_how_lines_end_is_no_difference(tmp_path: Path) -> None:
    request = plan_of(manifest_of("shots:\n  - {id: A, prompt: x}\n")).changes[0].after
    assert request is not None
    jobs = {TakeKey(manifest="test.yaml", shot=ShotId("A"), take=1): entry(request, shot="A")}
    writer(tmp_path).write(jobs)
    path = tmp_path / "show.lock.json"
    before = read_lockfile(path, "x")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_lockfile(path, "x") == before
    assert writer(tmp_path).write(jobs) is False
