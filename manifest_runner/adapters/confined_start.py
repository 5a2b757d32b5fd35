"""Starts the process in which templates run, and starts it early where it seems to be needed.

That process takes about as long to start as this program needs until its first template. So the door looks at the first
bytes of the manifest before anything is imported, and where a template seems to compute, both begin at the same time.

Laws: a guess costs time and changes nothing else, whether it is right or wrong. Only regular files are looked at. Nothing
heavier than `os` is imported before a process is started, since every command passes here.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from manifest_runner.errors import ManifestRunnerError

if TYPE_CHECKING:
    import subprocess

LARGEST_MESSAGE = 64 * 1024 * 1024
"""Bytes of one question to that process, or of one answer."""

LOOKED_AT = 256 * 1024
"""Bytes at the beginning of a manifest that are looked at. Who computes does so early, in the vars."""

LOOKED_FOR = 1024
"""Bytes after `include:` in which the names of files are looked for."""

_NO_PUNCTUATION = bytes.maketrans(b"[],'\"", b"     ")
_WHOLE_FILE = (".yaml.j2", ".yml.j2")
_SUFFIXES = (".yaml", ".yml", *_WHOLE_FILE)
_SYSTEM = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}  # Windows starts nothing without it
_START = ("import gc, sys; gc.disable(); sys.path[:] = sys.argv[1:]; "
          "from manifest_runner.adapters.confined_worker import main; main()")
_ahead: list[subprocess.Popen[bytes]] = []


def start() -> subprocess.Popen[bytes]:
    """A new process, with no environment and no file of ours but its two pipes. Raises `OSError`."""
    import subprocess  # start-up time: most manifests use names only

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - no pathlib yet
    path = [package, *(entry for entry in sys.path if entry and entry != package)]
    flags = ["-I", "-S", *(["-B"] if sys.dont_write_bytecode else [])]
    return subprocess.Popen([sys.executable, *flags, "-c", _START, *path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=_SYSTEM, cwd=os.sep, bufsize=0)


def start_ahead(arguments: Sequence[str]) -> None:
    """Start one for the manifest that a command line names, where that seems to compute something."""
    path = next((argument for argument in arguments if argument.endswith(_SUFFIXES)), None)
    if path is None or not (path.endswith(_WHOLE_FILE) or any(map(seems_to_compute, _texts(path)))):
        return
    try:
        _ahead.append(start())
    except OSError:
        return  # whoever needs it tries again, and says what is wrong


def take() -> subprocess.Popen[bytes]:
    """The one that was started ahead, or a new one. Raises `OSError`."""
    return _ahead.pop() if _ahead else start()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and wait for its end."""
    process.kill()
    process.communicate()


def end_ahead() -> None:
    """End the one that was started ahead, where nobody took it."""
    while _ahead:
        end(_ahead.pop())


def seems_to_compute(text: bytes) -> bool:
    """Whether a YAML text seems to hold a template that is more than `{{ name }}`."""
    text = b"\n".join(line for line in text.split(b"\n") if not line.lstrip().startswith(b"#"))
    if b"{%" in text or b"{#" in text:
        return True
    inside = (part.partition(b"}}")[0] for part in text.split(b"{{")[1:])
    return any(not name.strip().decode("utf-8", "replace").isidentifier() for name in inside)


def _texts(path: str) -> Iterator[bytes]:
    """The beginning of a manifest, and of each file that it seems to include."""
    head = _head(path)
    yield head
    includes = head.partition(b"include:")[2][:LOOKED_FOR]
    if not includes:
        return
    from pathlib import Path  # these are imported soon anyway, but most manifests include nothing

    from manifest_runner.adapters.files import RepositoryFiles

    files = RepositoryFiles(Path(path))  # the jail holds for guesses too
    for word in includes.translate(_NO_PUNCTUATION).decode("utf-8", "replace").split():
        if word.endswith(_SUFFIXES):
            with suppress(ManifestRunnerError):
                yield files.read(word)[:LOOKED_AT]


def _head(path: str) -> bytes:
    """The first bytes of a regular file; nothing where there is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - no pathlib yet
            return b""  # to read a pipe would take from it
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(LOOKED_AT)
    except (OSError, ValueError):
        return b""
