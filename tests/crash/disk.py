"""What a run did to disk and network, in order, from `strace`; and what a power cut at any moment would have left of it.

A killed process loses nothing that it has written: only the machine's own end takes what was not synced. The disk here is the
strictest that POSIX allows: bytes last once their file was synced, names once their folder was, and nothing else does.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLS = ("openat", "write", "pwrite64", "ftruncate", "sendto", "recvfrom", "fsync", "fdatasync", "rename", "link", "unlink",
         "mkdir")

_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>)?(?P<text>.*)", re.DOTALL)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_HANDLE = re.compile(r"(\d+)<([^>]*)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call that succeeded. It began at the line `begin` of the trace and was over at the line `end`; `path` is what
    its first argument, an open file, is called; `strings` are its texts and buffers."""

    begin: int
    end: int
    name: str
    handle: int
    path: str
    arguments: str
    strings: tuple[bytes, ...]
    result: int

    @property
    def data(self) -> bytes:
        return self.strings[0] if self.strings else b""


@lru_cache
def cannot_trace() -> str:
    """Why `strace` cannot be used here, or nothing."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with tempfile.NamedTemporaryFile() as trace:
        ran = subprocess.run(["strace", "-f", "-qq", "-o", trace.name, "true"], capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else f"strace may not trace here: {ran.stderr.strip()[:200]}"


def traced(arguments: Sequence[str], folder: Path, env: Mapping[str, str], trace: Path) -> list[Call]:
    """Run this command line of the program in `folder`, and tell what it did."""
    subprocess.run(
        ["strace", "-f", "-qq", "-y", "-s", "1000000", "-o", str(trace), "-e", f"trace={','.join(CALLS)}", "-e", "signal=none",
         sys.executable, "-m", "manifest_runner", *arguments],
        cwd=folder, env={**env, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, check=True, timeout=120)
    return list(calls_in(trace.read_text(encoding="utf-8", errors="surrogateescape")))


def calls_in(trace: str) -> Iterator[Call]:
    """The calls of a trace that succeeded, in the order in which they were over."""
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.splitlines()):
        found = _LINE.fullmatch(line)
        assert found is not None, line
        pid, text, begin = found["pid"], found["text"], number
        if text.endswith(" <unfinished ...>"):
            begun[pid] = number, text.removesuffix(" <unfinished ...>")
            continue
        if found["resumed"]:
            begin, start = begun.pop(pid)
            text = start + text
        call = _CALL.match(text)
        if call is None or int(call["result"]) < 0:
            continue
        handle = _HANDLE.match(call["arguments"])
        strings = tuple(ast.literal_eval(f'b"{string}"') for string in _STRING.findall(call["arguments"]))
        yield Call(begin=begin, end=number, name=call["name"], arguments=call["arguments"], strings=strings,
                   handle=int(handle[1]) if handle else -1, path=handle[2] if handle else "", result=int(call["result"]))


@dataclass(slots=True, eq=False)
class _File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


class Disk:
    """Everything below one folder, as it is in memory and as a power cut would leave it. Feed it the calls one by one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[Path, _File | None] = {}  # None is a folder
        self._lasting: dict[Path, _File | None] = {}
        self._open: dict[int, tuple[_File, int]] = {}

    def apply(self, call: Call) -> None:
        """Let a call happen."""
        paths = [self._folder / string.decode("utf-8", "surrogateescape") for string in call.strings]
        match call.name:
            case "openat" if self._mine(paths[0]):
                self._opened(call, paths[0])
            case "mkdir" if self._mine(paths[0]):
                self._names[paths[0]] = None
            case "rename" if self._mine(paths[0]):
                self._names[paths[1]] = self._names.pop(paths[0])
            case "link" if self._mine(paths[0]):
                self._names[paths[1]] = self._names[paths[0]]
            case "unlink" if self._mine(paths[0]):
                self._names.pop(paths[0], None)
            case "write" | "pwrite64" | "ftruncate" | "fsync" | "fdatasync" if self._mine(Path(call.path)):
                self._touched(call)

    def _mine(self, path: Path) -> bool:
        return path.is_relative_to(self._folder)

    def _opened(self, call: Call, path: Path) -> None:
        if "O_CREAT" in call.arguments:
            self._names.setdefault(path, _File())
        file = self._names.get(path)
        if file is None:
            return
        if "O_TRUNC" in call.arguments:
            file.data.clear()
        self._open[call.result] = file, 0

    def _touched(self, call: Call) -> None:
        path = Path(call.path)
        if path == self._folder or (path in self._names and self._names[path] is None):
            self._sync_names(path)
            return
        file, at = self._open[call.handle]
        match call.name:
            case "fsync" | "fdatasync":
                file.synced = bytes(file.data)
            case "ftruncate":
                size = int(call.arguments.rpartition(", ")[2])
                file.data[:] = file.data[:size].ljust(size, b"\0")
            case "write":
                self._put(file, at, call)
                self._open[call.handle] = file, at + call.result
            case "pwrite64":
                self._put(file, int(call.arguments.rpartition(", ")[2]), call)

    def _put(self, file: _File, at: int, call: Call) -> None:
        file.data.extend(bytes(max(0, at - len(file.data))))
        file.data[at:at + call.result] = call.data[:call.result]

    def _sync_names(self, folder: Path) -> None:
        self._lasting = {path: file for path, file in self._lasting.items() if path.parent != folder}
        self._lasting.update({path: file for path, file in self._names.items() if path.parent == folder})

    def leave(self, to: Path) -> None:
        """Write what a power cut now would leave into the folder `to`."""
        for path in sorted(self._lasting):
            place, file = to / path.relative_to(self._folder), self._lasting[path]
            if not place.parent.is_dir():  # its folder was forgotten, and all that is in it
                continue
            if file is None:
                place.mkdir()
            else:
                place.write_bytes(file.synced)
