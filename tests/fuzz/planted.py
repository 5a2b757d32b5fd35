"""Faults that are planted in the forked process, to see that the watcher sees them. The product knows nothing of these."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from manifest_runner.core import validation


def _instead(what: Callable[[], object]) -> Callable[[], None]:
    """Do `what` whenever a manifest is about to be judged."""

    def plant() -> None:
        from manifest_runner.cli import project

        def check(*arguments: object) -> object:
            what()
            return validation.check(*arguments)  # type: ignore[arg-type]

        project.check = check  # type: ignore[assignment]

    return plant


def _raise() -> None:
    raise KeyError("planted")


def _hold() -> None:
    end = time.process_time() + 5.5
    while time.process_time() < end:
        pass


def _grow() -> None:
    assert bytearray(400_000_000).count(1) == 0  # read, so that the pages are really taken


def _write(name: str) -> Callable[[], object]:
    return lambda: Path(name).write_text("planted", encoding="utf-8")


def _write_no_manifest() -> None:
    from manifest_runner.core import shotlist_yaml

    shotlist_yaml.manifest_text = lambda *_, **__: "shots: 5\n"  # type: ignore[assignment]


PLANTED: dict[str, Callable[[], None]] = {
    "crash": _instead(_raise),
    "traceback": _instead(lambda: os.write(2, b"Traceback (most recent call last):\n")),
    "signal": _instead(os.abort),
    "code": _instead(lambda: os._exit(7)),
    "slow": _instead(_hold),
    "large": _instead(_grow),
    "escape": _instead(lambda: os.write(1, b"\x1b[2J")),
    "bytes": _instead(lambda: os.write(2, b"\xff")),
    "litter": _instead(_write("litter.txt")),
    "above": _instead(_write("../litter.txt")),
    "manifest": _instead(_write("show.yaml")),
    "invalid": _write_no_manifest,
}
