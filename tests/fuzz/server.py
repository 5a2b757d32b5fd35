"""The fork server: loads the program once, then forks for each input; the fork is the command line's own `main`.

What a fork finds ready is what does not depend on its input: modules, the model's card, compiled schemas and patterns. That
this makes no difference is what the watcher's comparison with real processes is for.

It knows nothing of verdicts. A question is a line of JSON on standard input (folder, arguments, environment, planted fault),
the answer one on standard output: how the process ended, after how long, how much time of the processor it and its children
took, and the memory of the largest of them.

    python -m tests.fuzz.server
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds of real time after which a process is killed: far beyond what is allowed, also on a machine that is busy."""


def main() -> None:
    _load()
    _warm_up()
    gc.freeze()  # what is here is shared by all forks
    for line in sys.stdin.buffer:
        answer = _run(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _load() -> None:
    """Import what the commands import late, so that no fork has to."""
    import importlib

    for name in ("validate", "plan", "lock", "status", "render", "graph", "export", "import_", "circle", "retake"):
        importlib.import_module(f"manifest_runner.cli.commands.{name}")
    for name in ("manifest_runner.cli.rendering", "manifest_runner.cli.session", "manifest_runner.adapters.confined",
                 "jsonschema",
                 "manifest_runner.adapters.ledger", "manifest_runner.core.worddiff", "tomllib", "difflib", "tempfile",
                 "traceback",
                 "fastjsonschema", "filelock", "manifest_runner.views.diagnostics", "manifest_runner.core.explain",
                 "click.shell_completion", "manifest_runner.core.shotlist_yaml"):
        importlib.import_module(name)


_RIGHT = """version: 1
show: warm
model: kling-v3-omni
vars: {hero: Asha}
shots: [{id: A, prompt: "{{ hero }}", camera: static, first_frame: {shot: B}}, {id: B, prompt: é}]
"""
_WRONG = """version: 1
show: &a warm
model: kling-v3-omni
shots: [{id: A, prompt: 5, camera: statik, durations: 3}]
"""


def _warm_up() -> None:
    """Run a right and a wrong manifest, so that what is compiled once is compiled."""
    from manifest_runner.cli.main import run

    back = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w", encoding="utf-8") as nowhere, \
            redirect_stdout(nowhere), redirect_stderr(nowhere):
        os.chdir(folder)
        for name, text in (("right.yaml", _RIGHT), ("wrong.yaml", _WRONG), ("wrong.lock.json", "{}"),
                           ("right.csv", "shot,description\n1,rain\n")):
            Path(name).write_text(text, encoding="utf-8")
        for words in (("plan", "right.yaml"), ("status", "right.yaml"), ("validate", "wrong.yaml"), ("validate", "none.yaml"),
                      ("plan", "right.yaml", "--only", "C"), ("graph", "right.yaml"), ("export", "right.yaml", "--csv"),
                      ("import", "right.csv", "--out", "-")):
            run(words)
        os.chdir(back)


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        _child(asked)
    late = False

    def kill(*_: object) -> None:
        nonlocal late
        late = True
        os.kill(process, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(PATIENCE)
    _, status, used = os.wait4(process, 0)
    signal.alarm(0)
    return {"code": os.waitstatus_to_exitcode(status), "late": late, "real": time.monotonic() - began,
            "seconds": used.ru_utime + used.ru_stime, "kilobytes": used.ru_maxrss}


def _child(asked: dict[str, Any]) -> None:
    """Become `manifest-runner ARGUMENTS` in that folder. Never returns."""
    code = 70
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.chdir(asked["folder"])
        for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (asked["out"], os.O_WRONLY | os.O_CREAT),
                                                (asked["err"], os.O_WRONLY | os.O_CREAT))):
            descriptor = os.open(path, flags, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["manifest-runner", *asked["arguments"]]
        if asked["planted"]:
            from tests.fuzz.planted import PLANTED

            PLANTED[asked["planted"]]()
        code = _main()
    finally:
        os._exit(code)


def _main() -> int:
    from manifest_runner.__main__ import main

    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    main()
