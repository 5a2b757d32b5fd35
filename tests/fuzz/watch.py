"""The watcher: lays an input out in a folder of its own, has it run, and judges from outside what came of it.

Nothing is believed of what the program says of itself but its exit code, and that is held against the codes documented for its
command. How long something takes is told in seconds of the processor, since machines have other things to do; what waits for
ever is told by real time (`server.PATIENCE`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from manifest_runner.core.model import Severity
from manifest_runner.errors import InvalidInput
from tests.builders import findings
from tests.fuzz.kinds import Case

MOST_SECONDS = 5.0
MOST_KILOBYTES = 300 * 1024
KEY = "canary-ZmFrZS1rZXktb2YtdGhlLWZ1enplcg"
ROOT = Path(__file__).parents[2]

CODES: Mapping[str, frozenset[int]] = {"validate": frozenset({0, 2}), "plan": frozenset({0, 2}), "lock": frozenset({0, 1, 2}),
                                       "status": frozenset({0, 2}), "render": frozenset({2}),
                                       "graph": frozenset({0, 2}), "export": frozenset({0, 2}), "import": frozenset({0, 2}),
                                       "circle": frozenset({0, 2}), "retake": frozenset({0, 2})}
"""What each command may end with here. `render` is never given what could be carried out."""

_RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FAULT = re.compile(r"Traceback \(most recent|fault of this program|Exception ignored|Segmentation|Fatal Python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One run, as it was seen from outside. `seconds` are the processor's, `real` those of the clock."""

    code: int
    late: bool
    seconds: float
    real: float
    kilobytes: int
    out: bytes
    err: bytes
    written: tuple[str, ...]


class Watcher:
    """A fork server and the folder in which its inputs are laid out; a context manager."""

    def __init__(self, planted: str = "") -> None:
        self._planted = planted

    def __enter__(self) -> Self:
        memory = Path("/dev/shm")  # no disk, where the system has such a folder
        self._folder = Path(tempfile.mkdtemp(prefix="manifest-runner-fuzz-",
                                             dir=memory if os.access(memory, os.W_OK) else None))
        self._server = subprocess.Popen([sys.executable, "-m", "tests.fuzz.server"], cwd=ROOT, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        env=_environment(self._folder, keyed=False))
        self._number = 0
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.kill()
        self._server.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, case: Case, *, real: bool = False) -> Seen:
        """Run a case in a fork of the server or, with `real`, in a new process as a person would."""
        self._number += 1
        place = self._folder / str(self._number)
        repository = place / "repository"
        _lay_out(case, place)
        before = _state(place)
        asked = {"folder": str(repository), "arguments": case.arguments, "environment": _environment(place, keyed=case.keyed),
                 "out": str(place / "out"), "err": str(place / "err"), "planted": self._planted}
        try:
            told = _really(asked) if real else self._ask(asked)
            out, err = (place / "out").read_bytes(), (place / "err").read_bytes()
            written = tuple(sorted(name for name in _changed(before, _state(place)) if name not in ("out", "err")))
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return Seen(code=told["code"], late=told["late"], seconds=told["seconds"], real=told["real"],
                    kilobytes=told["kilobytes"],
                    out=out.replace(str(place).encode(), b"."), err=err.replace(str(place).encode(), b"."), written=written)

    def _ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked).encode() + b"\n")
        self._server.stdin.flush()
        told: dict[str, Any] = json.loads(self._server.stdout.readline())
        return told

    def judge(self, case: Case) -> tuple[Seen, list[str]]:
        """Run a case and say what is wrong with what came of it."""
        seen = self.run(case)
        return seen, complaints(case, seen)


def complaints(case: Case, seen: Seen) -> list[str]:
    """What a run must not do and did. Each begins with a word of its own."""
    found = []
    command, said = case.arguments[0], seen.out + b"\n" + seen.err
    if seen.late:
        found.append("hang: it had to be killed")
    elif seen.code < 0:
        found.append(f"signal: {-seen.code}")
    elif seen.code not in CODES[command]:
        found.append(f"code: {command} ended with {seen.code}")
    if seen.seconds > MOST_SECONDS:
        found.append(f"slow: {seen.seconds:.1f} s")
    if seen.kilobytes > MOST_KILOBYTES:
        found.append(f"large: {seen.kilobytes // 1024} MB")
    if KEY.encode() in said:
        found.append("key: it is shown")
    try:
        text = said.decode("utf-8")
    except UnicodeDecodeError as error:
        found.append(f"bytes: output is not UTF-8 ({error.reason})")
        text = said.decode("utf-8", "replace")
    if fault := _FAULT.search(text):
        found.append(f"fault: {text[fault.start():].splitlines()[0][:300]}")
    if command == "import" and seen.code == 0 and (mistakes := _mistakes(seen.out)):
        found.append(f"invalid: what import wrote is no manifest: {mistakes[0]}")
    shown = text.translate({0x09: " ", 0x0D: " "}) if command == "export" else text  # lines of CSV end so; cells may hold tabs
    if control := _RAW.search(shown):
        found.append(f"control: U+{ord(control.group()):04X} is shown raw, near {shown[max(0, control.start() - 30):][:60]!r}")
    if "--json" in case.arguments and not seen.late and not _is_object(seen.out):
        found.append("json: standard output is not one JSON object")
    if seen.code == 2 and "--json" not in case.arguments and not seen.err.strip() and "--exit-code" not in case.arguments:
        found.append("silent: exit code 2 without a word on standard error")
    found.extend(f"written: {name}" for name in seen.written if not name.startswith("repository/.manifest-runner/"))
    return found


def _mistakes(manifest: bytes) -> list[str]:
    """What is wrong with a manifest, pictures left aside."""
    try:
        return [item.message for item in findings(manifest.decode("utf-8")) if item.severity is Severity.ERROR]
    except InvalidInput as error:
        return [item.message for item in error.diagnostics]


def _is_object(out: bytes) -> bool:
    try:
        return isinstance(json.loads(out), dict)
    except (ValueError, RecursionError):
        return False


def _environment(place: Path, *, keyed: bool) -> dict[str, str]:
    """Nothing of the machine's but what starts a program. The gateway is a port where nobody listens."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    key = {"TRINETRA_API_KEY": KEY, "MANIFEST_RUNNER_FRAMES": "inline"} if keyed else {}
    return {**kept, **key, "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"), "LC_ALL": "C.UTF-8", "COLUMNS": "120",
            "PYTHONPATH": str(ROOT),
            "MANIFEST_RUNNER_BASE_URL": "http://127.0.0.1:9"}


def _lay_out(case: Case, place: Path) -> None:
    for folder in ("home", "tmp", "repository/.git"):
        (place / folder).mkdir(parents=True)
    for name, data in case.files.items():
        path = place / "repository" / name
        if "/" in name:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _state(place: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below a folder, by what changes when it is written."""
    found = {}
    todo = [str(place)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    facts = entry.stat(follow_symlinks=False)
                    found[os.path.relpath(entry.path, place)] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return found


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _really(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The same in a process of its own."""
    with Path(asked["out"]).open("wb") as out, Path(asked["err"]).open("wb") as err:
        ended = subprocess.run([sys.executable, "-m", "manifest_runner", *asked["arguments"]], cwd=asked["folder"],
                               stdin=subprocess.DEVNULL,
                               env=asked["environment"], stdout=out, stderr=err, timeout=60, check=False)
    return {"code": ended.returncode, "late": False, "seconds": 0.0, "real": 0.0, "kilobytes": 0}
