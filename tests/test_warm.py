"""A process that is forked with everything loaded is what a fresh one is: the tests of the commands rest on it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.cli.main import COMMANDS
from tests import warm
from tests.cli.support import environment, run, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
vars: {hero: Asha}
shots:
  - {id: A, prompt: "{{ hero | upper }} in the rain"}
  - {id: B, prompt: "{{ 3 + 4 }} trams", first_frame: {shot: A, frame: last}}
"""
LINES: Mapping[str, tuple[str, ...]] = {
    "init": ("init", "other.yaml"), "validate": ("validate", "show.yaml"), "fmt": ("fmt", "--diff", "show.yaml"),
    "plan": ("plan", "show.yaml", "--format", "json"), "render": ("render", "show.yaml", "--draft", "--quiet"),
    "status": ("status", "show.yaml", "--draft"), "adopt": ("adopt", "show.yaml", "A", "job_1"),
    "abandon": ("abandon", "show.yaml", "Z"), "report": ("report", "show.yaml", "--draft"),
    "reel": ("reel", "show.yaml", "--draft"), "lock": ("lock", "show.yaml", "--check", "--draft"),
    "merge": ("merge", "none", "none", "none"), "models": ("models", "--json"), "schema": ("schema", "plan"),
    "retake": ("retake", "show.yaml", "A", "--dry-run"), "circle": ("circle", "show.yaml", "Z:1"),
    "timeline": ("timeline", "show.yaml", "--format", "fcpx"), "make": ("make", "show.yaml", "--draft"),
    "import": ("import", "none.csv"), "export": ("export", "show.yaml", "--csv"), "graph": ("graph", "show.yaml"),
    "pull": ("pull", "show.yaml"), "push": ("push", "show.yaml"), "verify": ("verify", "show.yaml"), "gc": ("gc", "--dry-run"),
    "completion": ("completion", "bash"), "simulate": ("simulate", "--host", "192.0.2.1"), "worker": ("worker", "--until-idle"),
}
"""A line for each command. They are run in this order in one folder: from `render` on there is what a draft leaves behind."""


IDS = rb"job_\w+|\.a1\.\w+"
"""What is another in each run."""


def seen(folder: Path, *, fresh: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What each command says and how it ends, and the files that are there afterwards."""
    write(folder, SHOW)
    said = {name: run(folder, *line, fresh=fresh) for name, line in LINES.items()}
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("ledger")]
    return said, {str(path.relative_to(folder)): re.sub(IDS, b"", path.read_bytes()) for path in files
                  if path.parent.name != "stills"}


def test_every_command_says_does_and_leaves_behind_what_it_does_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert set(LINES) == set(COMMANDS)
    folders = [tmp_path / "one" / "show", tmp_path / "two" / "show"]
    (said, left), (said_afresh, left_afresh) = (seen(folder, fresh=bool(fresh)) for fresh, folder in enumerate(folders))
    assert said == said_afresh
    assert left == left_afresh


PROBE = """\
import atexit, json, os, signal, sys, tempfile, threading, time
at_start = {
    "arguments": sys.argv[1:], "folder": os.getcwd(), "first on the path": sys.path[0], "environment": dict(os.environ),
    "handles": [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")],
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)],
    "streams": [(one.encoding, one.errors, one.line_buffering, one.isatty()) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "name": __name__, "threads": threading.active_count(), "temporary": tempfile.gettempdir(), "typed": sys.stdin.read(),
    "executable": sys.executable, "flags": str(sys.flags), "rest of the path": [one for one in sys.path[1:]],
}
if "silent" not in sys.argv:
    print(json.dumps(at_start), flush=True)
print("to", "stderr", file=sys.stderr)
atexit.register(print, "at the end")
threading.Thread(target=lambda: (time.sleep(0.05), print("a thread"))).start()
if "wait" in sys.argv:
    time.sleep(60)
if "fail" in sys.argv:
    raise ValueError("planned")
sys.exit({"words": "words", "three": 3, "none": None}.get(sys.argv[-1], 0))
"""


def both(folder: Path, *arguments: str, env: Mapping[str, str] | None = None, typed: str | None = None) -> list[Any]:
    """What a probe says and how it ends, forked and afresh."""
    write(folder, PROBE, "probe.py")
    pipes = {"stdin": subprocess.DEVNULL if typed is None else subprocess.PIPE, "stdout": subprocess.PIPE,
             "stderr": subprocess.PIPE}
    whole = environment(folder, env)
    made: list[Any] = [warm.Process(arguments, module="probe", cwd=folder, env=whole, **pipes),
                       subprocess.Popen([sys.executable, "-m", "probe", *arguments], cwd=folder, env=whole, text=True, **pipes)]
    return [(*one.communicate(typed, timeout=60), one.returncode) for one in made]


def test_a_process_finds_what_a_fresh_one_finds(tmp_path: Path) -> None:
    forked, fresh = both(tmp_path, "a", "b c\udcff", "", env={"A_VARIABLE": "é\udcff"}, typed="words\r\nand more")
    assert json.loads(forked[0].splitlines()[0]) == json.loads(fresh[0].splitlines()[0])
    assert forked == fresh


@pytest.mark.parametrize("how", ["words", "three", "none", "fail"])
def test_a_process_ends_as_a_fresh_one_ends(tmp_path: Path, how: str) -> None:
    forked, fresh = both(tmp_path, "silent", how)
    assert (forked[0], forked[2]) == (fresh[0], fresh[2])
    assert forked[0] == "a thread\nat the end\n"
    assert forked[1].splitlines()[-1] == fresh[1].splitlines()[-1]
    assert ("Traceback" in forked[1]) == ("Traceback" in fresh[1]) == (how == "fail")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_process_itself(tmp_path: Path, number: signal.Signals) -> None:
    write(tmp_path, "import os, signal, time\nsignal.signal(signal.SIGINT, lambda *_: os._exit(7))\n"
                    "print(os.getpid(), flush=True)\ntime.sleep(60)\n", "probe.py")
    process = warm.Process([], module="probe", cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=60) == process.poll() == (7 if number is signal.SIGINT else -number)
    process.kill()  # once it has ended, nobody is hit
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_processes_in_a_row_have_other_hashes(tmp_path: Path) -> None:
    write(tmp_path, "print(hash('a set of these'))", "probe.py")
    made = [warm.Process([], module="probe", cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE) for _ in range(6)]
    first, second, third, *again = [one.communicate(timeout=60)[0] for one in made]
    assert len({first, second, third}) == warm.HASH_SEEDS == 3
    assert again == [first, second, third]


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "LC_ALL", "LD_PRELOAD"])
def test_what_the_interpreter_itself_reads_needs_a_fresh_one(name: str) -> None:
    assert warm.can_start(environment(Path("/")))
    assert not warm.can_start({**environment(Path("/")), name: "x"})
