"""Templates in a process of their own: they give what they gave, and cannot do what they should not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.adapters import confined, confined_start
from manifest_runner.adapters.confined import ConfinedEngine
from manifest_runner.adapters.confined_worker import CPU_SECONDS
from manifest_runner.core.sandbox import Sandbox
from manifest_runner.core.template_values import TemplateError
from manifest_runner.core.templating import Templates
from manifest_runner.errors import UsageError

CONTEXT = {"a": 3, "b": "x", "vars": {"a": 3}, "list": [1, 2], "none": None}
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")


def read(name: str) -> str:
    if name == "hello.j2":
        return "hello {{ a }}"
    raise UsageError(f"{name} is not here")


@pytest.fixture
def engine() -> Iterator[ConfinedEngine]:
    engine = ConfinedEngine(read)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[ConfinedEngine]:
    engine = ConfinedEngine(read)
    yield engine
    engine.close()


def outcome(function: Any, *arguments: object) -> Any:
    """What came of a call: its value, or everything that its error says."""
    try:
        return function(*arguments)
    except TemplateError as error:
        return error.code, error.message, error.hint, error.line, error.name


@pytest.mark.parametrize("text", [
    "a * 2", "b ~ a", "list", "{'k': [1, a]}", "none", "missing", "vars.a", "vars.nope", "a.__class__", "a +", "1 / 0",
    "'é' * 3", "range", "2 ** 9999", "cycler", "now()", "list | random", "'a' * 10 ** 9",
])  # fmt: skip
def test_an_expression_gives_what_it_gives_in_this_process(shared: ConfinedEngine, text: str) -> None:
    here = Sandbox(files=read)
    assert outcome(shared.evaluate, text, CONTEXT) == outcome(here.evaluate, text, CONTEXT)
    assert outcome(shared.expression_names, text) == outcome(here.expression_names, text)


@pytest.mark.parametrize("text", [
    "{% for n in list %}{{ n }}{% endfor %}", "{% include 'hello.j2' %}!", "{% include '../up.j2' %}", "{% include 'a.txt' %}",
    "{% import 'hello.j2' as h %}", "{{ a }}\n{{ missing }}", "{{ a", "{{ '}' }}", "{{- a -}}", "{# c #}",
    "{% raw %}{{ a }}{% endraw %}",
])  # fmt: skip
def test_a_template_gives_what_it_gives_in_this_process(shared: ConfinedEngine, text: str) -> None:
    here = Sandbox(files=read)
    assert outcome(shared.render, text, CONTEXT) == outcome(here.render, text, CONTEXT)
    assert outcome(shared.names, text) == outcome(here.names, text)
    assert outcome(shared.whole_expression, text) == outcome(here.whole_expression, text)


def test_names_come_and_go_between_questions(shared: ConfinedEngine) -> None:
    assert shared.evaluate("x + 1", {"x": 1}) == 2
    assert shared.evaluate("x + 1", {"x": 2}) == 3
    with pytest.raises(TemplateError, match="x is not defined"):
        shared.evaluate("x + 1", {"y": 2})


@POSIX
@pytest.mark.parametrize("bomb", [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{{ range(99999) | map('string') | map('center', 50000) | list | length }}",
    "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{{ '%s' | replace('', 'a' * 90000) | replace('', 'b' * 90000) | length }}",
])  # fmt: skip
def test_a_bomb_ends_its_worker_and_is_an_error_of_that_template(engine: ConfinedEngine, bomb: str) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with pytest.raises(TemplateError) as caught:
        engine.render(bomb, {})
    assert caught.value.code == "template-limit"
    assert engine.evaluate("1 + 1", {}) == 2, "the others are still looked at"
    engine.close()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert spent < CPU_SECONDS + 3, "its CPU time is counted, and not the time on the wall"


def test_many_expressions_are_asked_about_in_one_exchange_and_fill_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    expressions = ["a * 2", "b ~ a", "list", "missing", "a +", "1 / 0", "shot ~ a", "now()"]
    expressions += [f"a + {number}" for number in range(500)]
    texts = [f"{before}{{{{ {expression} }}}}" for before in ("", "x") for expression in expressions]
    one_by_one = Templates(files=read, make_engine=ConfinedEngine)
    questions = 0
    send = confined._Worker.send

    def counted(worker: confined._Worker, *question: Any) -> None:
        nonlocal questions
        questions += 1
        send(worker, *question)

    with closing(one_by_one), closing(Templates(files=read, make_engine=ConfinedEngine)) as at_once:
        slow, fast = one_by_one.filler(CONTEXT, ["shot"]), at_once.filler(CONTEXT, ["shot"], lambda: texts)
        expected = [outcome(slow.fill, text, {"shot": "A"}) for text in texts]
        monkeypatch.setattr(confined._Worker, "send", counted)
        assert [outcome(fast.fill, text, {"shot": "A"}) for text in texts] == expected
    assert questions < 30, "only what fails, varies or is a list is asked for again"


@POSIX
def test_a_bomb_among_many_is_the_one_that_fails(engine: ConfinedEngine) -> None:
    bomb = "range(99999) | map('string') | map('center', 50000) | list | length"
    templates = Templates(make_engine=lambda _: engine)
    filler = templates.filler({"a": 1}, (), lambda: ["{{ a + 1 }}", f"{{{{ {bomb} }}}}", "{{ a + 2 }}", "{{ a + 3 }}"])
    assert filler.fill("{{ a + 1 }}", {}) == 2
    assert outcome(filler.fill, f"{{{{ {bomb} }}}}", {})[0] == "template-limit"
    assert filler.fill("{{ a + 2 }}", {}) == 3, "with the second worker: the bomb has cost one and not two"
    assert outcome(filler.fill, f"{{{{ {bomb} }}}}", {})[0] == "template-limit"
    assert filler.fill("{{ a + 3 }}", {}) == 4


@POSIX
def test_after_the_second_bomb_no_more_workers_are_spent(engine: ConfinedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    for _ in range(confined.MOST_WORKERS):
        with pytest.raises(TemplateError, match="too much time"):
            engine.render(bomb, {})
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(TemplateError, match="not looked at"):
        engine.render("{{ 1 }}{{ 2 }}", {})


@POSIX
def test_what_the_worker_gave_up_cannot_be_had_back() -> None:
    """Even code that escaped from the sandbox opens no file, no socket and no program, and cannot raise its limits again."""
    script = """
import os, resource, socket, subprocess, sys
from manifest_runner.adapters.confined_worker import confine
confine()
def attempt(name, function):
    try:
        function()
    except (OSError, ValueError):
        return
    os.write(1, (name + " ").encode())
attempt("file", lambda: open("/etc/hostname"))
attempt("write", lambda: open("escaped", "w"))
attempt("socket", socket.socket)
attempt("program", lambda: subprocess.Popen(["true"]))
attempt("descriptor", lambda: os.dup(1))
if os.getuid():
    attempt("fork", os.fork)
    attempt("limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
os.write(1, b"end")
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.stdout == "end", ran.stderr


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_worker_has_no_environment_and_no_descriptors_of_ours(engine: ConfinedEngine, monkeypatch: pytest.MonkeyPatch,
                                                                  tmp_path: Path) -> None:
    monkeypatch.setenv("TRINETRA_API_KEY", "canary-4711")
    with (tmp_path / "secret").open("w"):
        engine.evaluate("1 + 1", {})
        assert engine._worker is not None
        process = Path(f"/proc/{engine._worker._process.pid}")
        assert b"canary" not in (process / "environ").read_bytes()
        open_now = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
    assert not any("secret" in name for name in open_now), open_now


def test_plain_names_start_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert Templates(files=read, make_engine=ConfinedEngine).fill("{{ a }} and {{b}}", CONTEXT) == "3 and x"


@POSIX
@pytest.mark.parametrize("answer", ["''", "'not json'", "'[1]'", "'{\"value\": ' + '[' * 100_000"])
def test_a_worker_that_answers_nonsense_is_an_error_of_the_template(
    engine: ConfinedEngine, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(confined_start, "_START", f"input(); print({answer})")
    with pytest.raises(TemplateError, match="too much time or memory"):
        engine.evaluate("1 + 1", {})


# ── started ahead ──


@pytest.mark.parametrize(("text", "guess"), [
    ("prompt: plain", False), ("prompt: '{{ hero }} and {{look}}'", False), ("a: {b: {c: d}}", False),
    ("a: '{{ héro }}'", False), ("prompt: '{{ hero | upper }}'", True), ("d: '{{ beat * 2 }}'", True),
    ("{% if a %}", True), ("a: '{{'", True),
    ("# duration: '{{ beat * 2 }}'\nprompt: x", False), ("a: '{{ vars.x }}'", True), ("\xff{{ \xfe }}", True),
])  # fmt: skip
def test_a_look_at_the_text_tells_whether_a_template_seems_to_compute(text: str, guess: bool) -> None:
    assert confined_start.seems_to_compute(text.encode("utf-8" if "\xff" not in text else "latin-1")) is guess


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the processes started ahead, which are none."""
    names: list[str] = []
    monkeypatch.setattr(confined_start, "start", lambda: names.append("one"))
    yield names
    confined_start._ahead.clear()


def test_the_door_starts_a_worker_for_a_manifest_that_computes_and_for_no_other(tmp_path: Path, started: list[str]) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "outside").symlink_to(tmp_path.parent)
    for name, text in {"plain.yaml": "a: '{{ b }}'", "computes.yaml": "a: '{{ b + 1 }}'", "look.yaml": "vars: {x: '{{ 1 }}'}",
                       "includes.yaml": "include: [gone.yaml, 'look.yaml']", "script.j2": "{{ 1 }}", "w.yaml.j2": "x",
                       "leaves.yaml": "include: [../up.yaml, /etc/up.yaml, outside/up.yaml]"}.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    (tmp_path.parent / "up.yaml").write_text("{{ 1 }}")
    got = {}
    for name in (*(path.name for path in tmp_path.glob("*.*")), "gone.yaml", "a\0.yaml"):
        started.clear()
        confined_start.start_ahead(["validate", "--json", str(tmp_path / name)])
        got[name] = bool(started)
    assert {name for name, guess in got.items() if guess} == {"computes.yaml", "look.yaml", "includes.yaml", "w.yaml.j2"}


@POSIX
def test_a_pipe_is_not_looked_at(tmp_path: Path, started: list[str]) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    confined_start.start_ahead([str(tmp_path / "pipe.yaml")])  # would wait for ever
    assert not started


def test_a_worker_started_ahead_is_taken_once_and_ended_where_nobody_takes_it(tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("a: '{{ 1 + 1 }}'")
    confined_start.start_ahead([str(tmp_path / "show.yaml")])
    [first] = confined_start._ahead
    with closing(ConfinedEngine(None)) as engine:
        assert engine.evaluate("1 + 1", {}) == 2
        assert engine._worker is not None
        assert engine._worker._process is first
    confined_start.start_ahead([str(tmp_path / "show.yaml")])
    [second] = confined_start._ahead
    confined_start.end_ahead()
    assert second.returncode is not None
    assert not confined_start._ahead


def test_a_worker_that_cannot_be_started_is_an_error_of_the_template_and_not_of_the_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "show.yaml").write_text("a: '{{ 1 + 1 }}'")

    def none_left(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none_left)
    confined_start.start_ahead([str(tmp_path / "show.yaml")])
    with pytest.raises(TemplateError, match="cannot be started: Resource"):
        ConfinedEngine(None).evaluate("1 + 1", {})


def test_a_command_never_loads_jinja_itself(tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text(
        "version: 1\nshow: x\nmodel: kling-v3-omni\nshots:\n  - {id: A, prompt: '{{ 1 + 1 }}x'}\n"
    )
    code = ("import sys; sys.argv[1:] = ['validate', 'show.yaml']\nfrom manifest_runner.__main__ import main\n"
            "try: main()\nfinally: sys.stderr.write('LOADED' if 'jinja2' in sys.modules else 'free')")
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "free"), ran.stdout
