"""Templates that try to escape get a diagnostic and nothing else; and these tests would notice if it were otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from manifest_runner.adapters import confined, confined_start
from manifest_runner.adapters.confined import ConfinedEngine
from manifest_runner.core.templating import Templates
from tests.attacks import weakened
from tests.attacks.escapes import BY_THE_PROCESS, CONTEXT, ESCAPES, Gives, outcome, read

ROWS = [(group, text, expected) for group, rows in ESCAPES.items() for text, expected in rows]
TEXTS = [text for _, text, _ in ROWS if text not in BY_THE_PROCESS]
SECRETS = ("canary-4711", "root:", "PATH=", "/bin", " at 0x", "<class", "<module", "<function", "<built-in")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the confinement is whole on Linux only")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of memory or CPU time")


@pytest.fixture(scope="module")
def many_workers() -> Iterator[None]:
    """Each bomb that only the worker's limits end costs a worker; a run has two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confined, "MOST_WORKERS", 10_000)
        patch.setenv("TRINETRA_API_KEY", "canary-4711")
        yield


@pytest.fixture(scope="module")
def templates(many_workers: None) -> Iterator[Templates]:
    with closing(Templates(files=read, make_engine=ConfinedEngine)) as made:
        yield made


def without(layers: tuple[str, ...], texts: list[str]) -> dict[str, tuple[str | Gives, str]]:
    """What comes of these templates in a worker that lacks some of its layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confined_start, "_START", weakened.start_code(layers))
        files = str if "files" in layers else read  # a parent without a jail reads anything; here that is its name
        with closing(Templates(files=files, make_engine=ConfinedEngine)) as weak:
            return {text: outcome(weak, text) for text in texts}


@posix
@pytest.mark.parametrize(("group", "text", "expected"), ROWS, ids=[f"{group}: {text}" for group, text, _ in ROWS])
def test_an_escape_gets_its_code_and_leaks_nothing(templates: Templates, group: str, text: str, expected: str | Gives) -> None:
    before = json.dumps(CONTEXT)
    got, said = outcome(templates, text)
    assert got == expected, (group, said)
    assert not any(secret in f"{got} {said}" for secret in SECRETS)
    assert json.dumps(CONTEXT) == before, "the data is as it was"
    assert templates.fill("{{ hero }} {{ list | length + cam | length }}", CONTEXT) == "Asha 4", "in the worker as well"


@posix
def test_without_the_sandbox_every_escape_comes_out_differently(many_workers: None, templates: Templates) -> None:
    """So each line of the table has teeth: with all layers gone, none gets the words that it gets with them."""
    weak = without(weakened.LAYERS, TEXTS)
    same = [text for text in TEXTS if weak[text] == outcome(templates, text)]
    assert same == []


@posix
@pytest.mark.parametrize(("layer", "text"), [
    ("names", "{{ namespace.__init__.__globals__ }}"), ("calls", "{{ '{0.upper}'.format(hero) }}"),
    ("lids", "{{ 'a' | center(1000000000) }}"), ("words", "{{ lipsum.__globals__ }}"),
    ("files", "{% include '/etc/passwd' %}"), ("data", "{{ (hero.upper ~ '')[-8:] }}"),
])  # fmt: skip
def test_each_layer_holds_something_by_itself(many_workers: None, templates: Templates, layer: str, text: str) -> None:
    assert without((layer,), [text])[text] != outcome(templates, text)


@posix
@pytest.mark.parametrize("layer", ["names", "calls", "words"])
def test_where_one_layer_fails_the_others_still_leak_nothing(many_workers: None, layer: str) -> None:
    """A hole in Jinja's sandbox opens one layer, and what comes out is still data."""
    for text, (got, _) in without((layer,), TEXTS).items():
        assert not isinstance(got, Gives) or not any(secret in repr(got.value) for secret in SECRETS), text


@linux
@pytest.mark.parametrize(("what", "text"), [
    ("the environment", "{{ os.environ['TRINETRA_API_KEY'] }}"),
    ("the environment it had at its start", "{{ open('/proc/self/environ').read() }}"),
    ("a file", "{{ open('/etc/passwd').read() }}"),
    ("a file by its descriptor", "{{ os.open('/etc/passwd', 0) }}"),
    ("a folder", "{{ os.listdir('/') }}"),
    ("its own memory", "{{ open('/proc/self/mem') }}"),
    ("the environment of its parent", "{{ open('/proc/' ~ os.getppid() ~ '/environ') }}"),
    ("a socket", "{{ socket.socket() }}"),
    ("a pair of sockets", "{{ socket.socketpair() }}"),
    ("an address", "{{ socket.create_connection(('127.0.0.1', 1)) }}"),
    ("a pipe", "{{ os.pipe() }}"),
    ("a program", "{{ os.popen('id').read() }}"),
    ("another descriptor", "{{ os.dup(0) }}"),
    ("a file to write", "{{ os.open('/tmp/escaped', 65) }}"),
    ("memory", "{{ bytearray(10 ** 9) | length }}"),
    ("a module that is not loaded", "{{ __import__('sqlite3') }}"),
    ("what stands before Jinja", "{{ cycler.__init__.__globals__.os.popen('id') }}"),
])  # fmt: skip
def test_code_that_has_escaped_gets_nothing(many_workers: None, what: str, text: str) -> None:
    """No sandbox at all: what a template may reach then is what the process may, and that is nothing."""
    got, said = without(weakened.LAYERS, [text])[text]
    assert not isinstance(got, Gives), (what, got, said)
    assert not Path("/tmp/escaped").exists()


@linux
def test_code_that_has_escaped_finds_no_variable_of_ours(many_workers: None) -> None:
    text = "{{ os.environ | list }}"
    got, _ = without(weakened.LAYERS, [text])[text]
    assert got in (Gives("[]"), Gives("['LC_CTYPE']")), "Python itself sets that one"


@linux
def test_code_that_has_escaped_starts_no_program(many_workers: None, tmp_path: Path) -> None:
    """Neither beside itself nor in its own place: a program finds no library that it may open."""
    place = tmp_path / "escaped"
    touch = f"'/usr/bin/touch', ['touch', '{place}']"
    calls = (f"spawnv(0, {touch})", f"posix_spawn({touch}, environ)", f"execv({touch})")
    without(weakened.LAYERS, [f"{{{{ os.{call} }}}}" for call in calls])
    assert not place.exists()


@posix
def test_the_same_text_comes_out_in_every_process(many_workers: None) -> None:
    texts = ["{{ rows | map(attribute='k') | unique | sort | join }}", "{{ vars | list }}",
             "{{ cam | dictsort | list | length }}",
             "{% for g in rows | groupby('k') %}{{ g.grouper }}{% endfor %}", "{{ {'b': 1, 'a': 2} | tojson }}",
             "{{ list | unique | list }}", *(text for group, text, _ in ROWS if group != "bombs")]
    seen = set()
    for _ in range(3):  # each worker draws the seed of its hashes anew
        with closing(Templates(files=read, make_engine=ConfinedEngine)) as fresh:
            seen.add(repr([outcome(fresh, text) for text in texts]))
    assert len(seen) == 1
