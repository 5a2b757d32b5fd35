"""The key is in nothing that any command writes, whatever a gateway answers: everything written is searched, byte by byte.

Commands run as processes with folders of their own for repository, HOME and temporary files. A gateway that answers with the
key it was sent, in many places and spellings, stands beside the simulator. With the redaction taken out the same search finds
the key: that proves its teeth.
"""

from __future__ import annotations

import base64
import copy
import html
import json
import os
import pickle
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from manifest_runner.adapters.secrets import Secret
from tests.attacks import canary
from tests.cli.support import Ran, command, environment, write
from tests.cli.test_webhooks import free_port
from tests.crash.test_killed_run import books, simulator

KEY = "tk_Canary/4711+0815=Zq81"
SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
vars: {hero: Asha}
shots:
  - {id: A, prompt: "{{ hero | upper }} {{ range(90000) | sum }}"}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
"""


class Place:
    """Folders of a user who has a key: everything that a command could write lies below one of them."""

    def __init__(self, folder: Path, *, key_file: bool = False, show: str = SHOW) -> None:
        self.root, self.home, self.temporary = folder / "repository", folder / "home", folder / "tmp"
        for path in (self.root / ".git", self.home, self.temporary):
            path.mkdir(parents=True)
        write(self.root, show)
        self.key_file = folder / "key"
        self.key_file.write_text(KEY + "\n")
        self.flags = ["--key-file", str(self.key_file)] if key_file else []
        self.env = {"HOME": str(self.home), "TMPDIR": str(self.temporary), "MANIFEST_RUNNER_FRAMES": "inline",
                    **({} if key_file else {"TRINETRA_API_KEY": KEY})}
        self.texts: dict[str, str | bytes] = {}
        self.children: set[bytes] = set()

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(command(*arguments), cwd=self.root, env=environment(self.root, {**self.env, **env}), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments: str, interrupt: int = signal.SIGINT, once: Callable[[], bool] = lambda: False, **env: str) -> Ran:
        """Run a command to its end, or until `once` is true: then it gets a signal. What it says and its children are kept."""
        process = self.start(*arguments, **env)
        watcher = threading.Thread(target=self._watch, args=(process, once, interrupt))
        watcher.start()
        out, err = process.communicate(timeout=120)
        watcher.join()
        self.texts[f"{arguments} {len(self.texts)}"] = out + err
        return Ran(code=process.returncode, out=out, err=err)

    def _watch(self, process: subprocess.Popen[str], once: Callable[[], bool], interrupt: int) -> None:
        """Command lines and environments of the children, and the command line of the program itself."""
        mine = Path(f"/proc/{process.pid}")
        while process.poll() is None:
            with suppress(OSError):
                own = (mine / "cmdline").read_bytes()
                self.children.add(own)
                for thread in (mine / "task").iterdir():
                    for child in (thread / "children").read_text().split():
                        line = Path(f"/proc/{child}/cmdline").read_bytes()
                        self.children.add(line)
                        if line != own:  # before a child has replaced itself it is its parent still, environment included
                            self.children.add(b"environment:" + Path(f"/proc/{child}/environ").read_bytes())
            if once():
                process.send_signal(interrupt)
                return
            time.sleep(0.01)

    def leaks(self) -> dict[str, set[str]]:
        texts = {**self.texts, **{f"child {number}": child for number, child in enumerate(self.children)}}
        return canary.leaks(KEY, texts, self.root, self.home, self.temporary, but=self.key_file)

    def plant(self, code: str) -> str:
        """A folder for PYTHONPATH whose `sitecustomize` runs `code` in every Python that starts."""
        folder = self.key_file.parent / "planted"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(code)
        return str(folder)


# ── the search itself ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", canary.forms(KEY))
def test_the_search_finds_each_form(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\xff" + canary.forms(KEY)[name] + b"\n")
    assert name in canary.leaks(KEY, {}, tmp_path)[str(tmp_path / "file")]


@pytest.mark.parametrize("content", [
    *(base64.b64encode(b"x" * before + KEY.encode() + b"y" * after) for before in range(4) for after in range(3)),
    *(base64.urlsafe_b64encode(b"?" * before + KEY.encode()) for before in range(4)), b"junk" + canary.packed(KEY) + b"junk",
])
def test_the_search_finds_it_at_any_alignment_and_packed(content: bytes) -> None:
    assert canary.found_in(content, KEY)


def test_the_search_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(KEY[:-1].encode() + os.urandom(100_000))
    assert canary.leaks(KEY, {"text": KEY[1:]}, tmp_path) == {}


# ── the type that holds it ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Holder:
    key: Secret


@pytest.mark.parametrize("show", [
    repr, str, ascii, "{:>30}".format, "{0!r} {0!s} {0}".format, "%s".__mod__, lambda key: repr(Holder(key)),
    lambda key: repr(ValueError(key).args), lambda key: str(KeyError(key)), lambda key: repr([key, {key: key}]),
    lambda key: repr(vars(Holder(key))), lambda key: json.dumps({"key": key}, default=str), lambda key: f"{key}{key!r}{key!s}",
])
def test_the_key_is_not_shown_by_what_holds_it(show: Any) -> None:
    assert canary.found_in(show(Secret(KEY)).encode(), KEY) == set()


@pytest.mark.parametrize("take", [
    lambda key: asdict(Holder(key)), copy.copy, copy.deepcopy, pickle.dumps, json.dumps, iter, bytes, dict, vars])
def test_the_key_cannot_be_taken_out_of_what_holds_it_by_accident(take: Any) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(KEY))
    assert canary.found_in(str(caught.value).encode(), KEY) == set()


# ── whole runs ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key_file", [False, True], ids=["environment", "key file"])
def test_a_whole_life_with_the_simulator_leaves_the_key_nowhere(tmp_path: Path, key_file: bool) -> None:
    place = Place(tmp_path, key_file=key_file)
    log = place.plant(f"import logging; logging.basicConfig(level=0, filename={str(place.temporary / 'debug.log')!r})")
    with simulator(place.temporary) as address:
        env = {"MANIFEST_RUNNER_BASE_URL": address}
        assert place.run("validate", "show.yaml", **env).code == 0
        assert place.run("plan", "show.yaml", "--json", "--out", "plan.json", **env).code == 0
        port = free_port()
        hooks = ["--listen", f"127.0.0.1:{port}", "--callback-url", f"http://127.0.0.1:{port}/hooks"]
        made = lambda: books(address)["totals"]["jobs"] >= 1  # noqa: E731
        killed = place.run("render", "show.yaml", "--yes", *place.flags, *hooks, interrupt=signal.SIGKILL, once=made, **env)
        asked = books(address)["totals"]["requests"]
        again = lambda: books(address)["totals"]["requests"] > asked  # noqa: E731
        interrupted = place.run("render", "show.yaml", "--yes", "-v", *place.flags, once=again, **env)
        assert {killed.code, interrupted.code} <= {-9, 130, 0}
        done = place.run("render", "show.yaml", "--yes", "--json", *place.flags, *hooks, PYTHONPATH=log, **env)
        assert done.code == 0, done.err
        more = [["status", "show.yaml", "-v"], ["lock", "show.yaml"], ["reel", "show.yaml"], ["timeline", "show.yaml"],
                ["render", "show.yaml", "--draft"]]
        for arguments in (["status", "--settings", *place.flags], *([] if key_file else more)):
            place.run(*arguments, **env)
        place.texts["books"] = json.dumps(books(address))
        assert books(address)["totals"]["jobs"] == 2
    assert place.leaks() == {}
    assert (place.temporary / "debug.log").stat().st_size > 1000
    assert any(child.startswith(b"environment:") for child in place.children), "the worker of the templates was seen"
    assert (place.root / ".manifest-runner" / "ledger.sqlite3").exists()


def test_a_simulator_that_was_started_with_the_key_says_it_nowhere(tmp_path: Path) -> None:
    place = Place(tmp_path)
    process = place.start("simulate", "--port", "0", "--folder", str(place.temporary / "clips"))
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]
    assert place.run("render", "show.yaml", "--yes", "--only", "A", MANIFEST_RUNNER_BASE_URL=address,
                     once=lambda: books(address)["totals"]["requests"] > 1).code in (0, 130)
    process.terminate()
    place.texts["simulate"] = "".join(process.communicate(timeout=20))
    assert place.leaks() == {}


# ── gateways that say it back ─────────────────────────────────────────────────────────────────────────────────────────


def spellings(key: str) -> list[str]:
    return [key, key.swapcase(), quote(key, safe=""), html.escape(key), "".join(f"&#{ord(one)};" for one in key),
            "".join(f"\\u{ord(one):04x}" for one in key), key.encode().hex(), "".join(f"%{ord(one):02x}" for one in key),
            base64.b64encode(key.encode()).decode(), base64.b64encode(b"u:" + key.encode()).decode()]


class Echo(BaseHTTPRequestHandler):
    """Answers with the key it was sent, as the prompt of the shot says."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "X-Echo": self.key, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def key(self) -> str:
        return self.headers.get("X-API-Key", "")

    def do_POST(self) -> None:
        mode = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        self.server.asked[mode] += 1  # type: ignore[attr-defined]
        key, said = self.key, " ".join(spellings(self.key))
        match mode:
            case "401":
                self.answer(401, json.dumps({"error": {"code": "bad_key", "message": f"no such key: {said}"}}).encode())
            case "402":
                self.answer(402, json.dumps({"detail": [{"loc": ["header", key], "msg": said}]}).encode())
            case "400":
                self.answer(400, str(self.headers).encode() + said.encode(), "text/plain")
            case "500":
                self.answer(500, f"<html><pre>{html.escape(str(self.headers))} {said}</pre></html>".encode(), "text/html")
            case "redirect":
                self.answer(307, b"", Location=f"/v2?key={quote(key, safe='')}&again={key}")
            case "utf-16":
                self.answer(400, json.dumps({"message": said}).encode("utf-16"), "application/json; charset=utf-16")
            case "job id":
                self.answer(202, json.dumps({"job_id": key, "id": key, "status": said}).encode())
            case _:
                self.answer(202, json.dumps({"job_id": f"job_{mode}", "status": "queued", "you": said}).encode())

    def do_GET(self) -> None:
        if not self.path.startswith("/v1/jobs/job_"):
            self.server.elsewhere.append(f"{self.path}\n{self.headers}")  # type: ignore[attr-defined]
            self.answer(404, b"gone")
            return
        mode, said = self.path.rpartition("_")[2], spellings(self.key)
        self.server.asked[f"job {mode}"] += 1  # type: ignore[attr-defined]
        here = f"http://127.0.0.1:{self.server.server_address[1]}/out"
        outputs = [{"url": f"{here}/a.mp4?k={self.key}", "type": self.key}, {"url": f"{here}/{said[2]}.mp4", "type": "video"}]
        status = {"done": "succeeded", "failed": "failed"}.get(mode, f"muse {self.key}")
        document = {"id": f"job_{mode}", "model": self.key, "status": status, "output": {"outputs": outputs}, self.key: said,
                    "credits_charged": self.key, "error": {"code": self.key, "message": " ".join(said)}}
        self.answer(200, json.dumps(document).encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def echo() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.asked, server.elsewhere = Counter(), []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


MODES = ["400", "500", "redirect", "utf-16", "job id", "done", "failed", "unknown"]
WANTED = {**dict.fromkeys(MODES, 1), "job failed": 1, "job done": 1, "job unknown": 2}
ONE = "version: 1\nshow: show\nmodel: kling-v3-omni\nshots:\n"


def shots(*modes: str) -> str:
    return ONE + "".join(f'  - {{id: S{number}, prompt: "{mode}"}}\n' for number, mode in enumerate(modes))


def told(place: Place, *flags: str, **env: str) -> str:
    """A render against a gateway that says the key back, and the commands that look at it afterwards; all that was said."""
    with echo() as server:
        env["MANIFEST_RUNNER_BASE_URL"] = f"http://127.0.0.1:{server.server_address[1]}"
        asked, elsewhere = server.asked, server.elsewhere  # type: ignore[attr-defined]
        place.run("render", "show.yaml", "--yes", *flags, *place.flags, **env,
                  once=lambda: elsewhere and all(asked[what] >= times for what, times in WANTED.items()))
        place.run("status", "show.yaml", *(["--json"] if "--json" in flags else ["-v"]), **env)
        place.texts["asked elsewhere"] = "\n".join(elsewhere)
    return "".join(map(str, place.texts.values()))


@pytest.mark.parametrize(("modes", "flag"), [(["401"], "-v"), (["402"], "--json"), (MODES, "-v"), (MODES, "--json")])
def test_a_gateway_that_says_the_key_back_gets_it_nowhere(tmp_path: Path, modes: list[str], flag: str) -> None:
    place = Place(tmp_path, show=shots(*modes), key_file=flag == "--json")
    assert "***" in told(place, flag)
    assert place.leaks() == {}


NO_REDACTION = "from manifest_runner.adapters.redaction import Redactor\nRedactor.__call__ = lambda self, text: text\n"


@pytest.mark.parametrize("modes", [["401"], MODES], ids=" ".join)
def test_without_the_redaction_the_search_finds_it(tmp_path: Path, modes: list[str]) -> None:
    place = Place(tmp_path, show=shots(*modes))
    told(place, PYTHONPATH=place.plant(NO_REDACTION))
    found = place.leaks()
    assert any("render" in where for where in found), "in what was said"
    assert any("ledger" in where for where in found), "in the ledger"
    assert len(modes) == 1 or any("elsewhere" in where for where in found), "at the host of the clips"


@pytest.mark.parametrize(("leak", "where"), [
    ("from manifest_runner.adapters import settings, secrets\nimport os\n"
     "settings.DEFAULTS['frames'] = os.environ.get('TRINETRA_API_KEY', '')", "settings"),
    ("import logging, os\nlogging.basicConfig(level=0, filename=os.environ['TMPDIR'] + '/log')\n"
     "logging.debug('%s', dict(os.environ))", "log"),
    ("import os, gzip\n"
     "open(os.environ['HOME'] + '/cache', 'wb').write(gzip.compress(os.environ['TRINETRA_API_KEY'].encode()))", "cache"),
])
def test_a_planted_leak_is_found(tmp_path: Path, leak: str, where: str) -> None:
    place = Place(tmp_path, show=shots("done"))
    place.run("status", "--settings", PYTHONPATH=place.plant(leak), MANIFEST_RUNNER_FRAMES="")
    assert any(where in found for found in place.leaks())


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_fault_deep_in_the_gateway_shows_no_traceback_and_reports_no_key(tmp_path: Path, flags: list[str]) -> None:
    place = Place(tmp_path, show=shots("done"))
    planted = place.plant(
        "from manifest_runner.adapters.gateway import HttpGateway\n"
        "def broken(self, *more):\n"
        "    key = self._key.reveal()\n"
        "    try:\n        raise KeyError(key)\n"
        "    except KeyError as error:\n        raise RuntimeError(f'planted {key} {more}', {'X-API-Key': key}) from error\n"
        "HttpGateway._document = broken\n")
    with echo() as server:
        ran = place.run("render", "show.yaml", "--yes", *flags, PYTHONPATH=planted,
                        MANIFEST_RUNNER_BASE_URL=f"http://127.0.0.1:{server.server_address[1]}")
    assert ran.code == 3
    assert "Traceback" not in ran.out + ran.err
    [report] = place.temporary.glob("manifest-runner-fault-*")
    assert "planted ***" in report.read_text()
    assert place.leaks() == {}
