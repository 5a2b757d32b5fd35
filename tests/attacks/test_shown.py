"""Whatever strangers wrote, no command gives a terminal an escape to obey or a CI service a line to carry out.

Hostile words stand in prompts, file names, configurations, in every text of a lockfile, and in what a provider says; every
command that shows them is run, for people and with `--json`.
"""

from __future__ import annotations

import copy
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.cli.main import run as command_line
from manifest_runner.core.lifecycle import Failed, Progressed, Refused
from manifest_runner.core.model import Action, JobState, ShotId, TakeKey
from manifest_runner.core.outcome import Ending, Outcome, Report
from manifest_runner.core.running import Bounds, Running
from manifest_runner.errors import AccountEmpty
from manifest_runner.views.events import JsonLines
from manifest_runner.views.live import Live
from manifest_runner.views.outcome import report_dict, report_text
from manifest_runner.views.progress import Lines
from tests.adapters.test_settings import EVIL
from tests.builders import CARD, job, manifest_of, plan_of, verdict
from tests.cli.support import run, write
from tests.views.test_escaping import obeyed
from tests.views.test_outcome import REQUEST

HOSTILE = ("::error file=x::pwned \x1b[2J\x1b]8;;https:evil\x07click\x1b]8;;\x07 \x9b31m \x90q\x9c \u202egpj.exe\u2066 "
           "##[add-mask]e ##vso[task.setvariable]x\r\n::stop-commands::x\n\u2028\u200b\ud800\x7f\b")
PRINTABLE = "::error file=x::pwned ##[add-mask]e ##vso[task.setvariable]x"
SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n"
UNSEEN = set("\u202e\u2066\u2028\u200b\ufeff\x7f")


def untamed(text: str) -> list[str]:
    """The lines that a terminal or a CI service would obey."""
    return [line for line in text.split("\n")
            if obeyed(line) or UNSEEN & set(line) or any(unicodedata.category(one) in ("Cc", "Cs") for one in line)]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in a repository and gives all that it says."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def ran(*arguments: str) -> str:
        command_line(arguments)
        said = capfd.readouterr()
        return str(said.out + said.err)

    return ran


def quoted(text: str) -> str:
    return json.dumps(text)


def test_the_check_itself_finds_what_is_obeyed() -> None:
    assert untamed("fine\n  all 1::2 fine") == []
    assert len(untamed("\n".join(["\x1b[m", "\x9b", "\u202e", "  ::warning::x", "a ##[group]", "\ud800"]))) == 6


PLACES = {
    "prompt": SHOW + f"  - {{id: A, prompt: {quoted(HOSTILE)}}}\n",
    "prompt that is valid": SHOW + f"  - {{id: A, prompt: {quoted(PRINTABLE)}}}\n",
    "id": SHOW + f"  - {{id: {quoted(HOSTILE)}, prompt: x}}\n",
    "key": SHOW + f"  - {{id: A, prompt: x, {quoted(HOSTILE)}: 1}}\n",
    "key without escapes": f"{SHOW}  - {{id: A, prompt: x, {quoted(PRINTABLE)}: 1}}\n",
    "syntax": f"a: [\n{HOSTILE}\n".encode("utf-8", "replace").decode(),
    "template": SHOW + f"  - {{id: A, prompt: {quoted('{{ ' + PRINTABLE + ' }}')}}}\n",
    "undefined": SHOW + "  - {id: A, prompt: \"{{ '::error::x' ~ nothing }}\"}\n",
    "frame": SHOW + f"  - {{id: A, prompt: x, first_frame: {quoted(PRINTABLE + '.png')}}}\n",
    "frame with escapes": SHOW + f"  - {{id: A, prompt: x, first_frame: {quoted(HOSTILE + '.png')}}}\n",
    "include": f"include: [{quoted(PRINTABLE)}]\n{SHOW}  - {{id: A, prompt: x}}\n",
    "takes": f"{SHOW}  - {{id: A, prompt: x, takes: {quoted('{{ 1 or ' + repr(PRINTABLE) + ' }}')}}}\n",
    "output": f"output: {quoted(HOSTILE)}\n{SHOW}  - {{id: A, prompt: x}}\n",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_manifest_is_shown_and_not_obeyed(place: str, tmp_path: Path, say: Any) -> None:
    write(tmp_path, PLACES[place])
    for arguments in (["validate"], ["validate", "--json"], ["plan", "-v"], ["plan", "--json"], ["status", "-v"],
                      ["status", "--json"], ["reel"], ["timeline"], ["lock", "--check"]):
        assert untamed(say(*arguments, "show.yaml")) == []
    for arguments in (["retake", "show.yaml", "A"], ["retake", "show.yaml", HOSTILE], ["circle", "show.yaml", f"{PRINTABLE}:1"],
                      ["circle", "show.yaml", "A:1", "--json"]):
        assert untamed(say(*arguments)) == []


@pytest.mark.parametrize("name", ["::error::x.yaml", "\x1b]8;;evil\x07.yaml", "\u202elmay.yaml", "##[group]a.yaml",
                                  "a\n::error::b.yaml", "\udcff.yaml"])
def test_the_name_of_a_file_is_shown_and_not_obeyed(name: str, tmp_path: Path, say: Any) -> None:
    (tmp_path / os.fsdecode(os.fsencode(name))).write_text(SHOW + "  - {id: A, prompt: x}\n  - {id: B, prompt: x, takes: 0}\n")
    for commands in (["validate"], ["validate", "--json"], ["plan"], ["lock"], ["lock", "--check"], ["reel"], ["timeline"],
                     ["init"], ["adopt", "A", "job_1"], ["abandon", "A"], ["retake", "A"], ["circle", "A:1"]):
        first, *more = commands
        assert untamed(say(first, name, *more)) == []
    (tmp_path / os.fsdecode(os.fsencode(name))).write_text(SHOW + "  - {id: A, prompt: x}\n")
    for commands in (["validate"], ["plan", "--out", f"{name}.json"], ["status"], ["lock"], ["lock", "--check"], ["reel"],
                     ["timeline"]):
        first, *more = commands
        assert untamed(say(first, name, *more)) == []
    assert untamed(say("init", name[:-5] + "2.yaml")) == []
    assert untamed(say("plan", "missing" + name)) == []


@pytest.mark.parametrize("text", [
    f"{quoted('::error::x')} = 1", f"rate = {quoted(PRINTABLE)}", f"base-url = {quoted(EVIL + PRINTABLE)}",
    'callback-url = "\\u001b[2J\\u202e"', "a = \x1b", f"concurrency = {quoted(PRINTABLE)}"])
def test_a_configuration_is_shown_and_not_obeyed(text: str, tmp_path: Path, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRINETRA_API_KEY", "k" * 20)
    write(tmp_path, text, "manifest-runner.toml")
    write(tmp_path, SHOW + "  - {id: A, prompt: x}\n")
    for arguments in (["status", "--settings"], ["status", "--settings", "--json"], ["render", "--yes", "show.yaml"],
                      ["render", "--yes", "--json", "show.yaml"]):
        assert untamed(say(*arguments)) == []


# ── the lockfile ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A lockfile as a render leaves it."""
    folder = tmp_path_factory.mktemp("locked")
    write(folder, SHOW + "  - {id: A, prompt: one}\n")
    assert run(folder, "render", "show.yaml", "--draft").code == 0
    return dict(json.loads((folder / "show.draft.lock.json").read_text()))


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every text, and of every name, in a tree of JSON."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key, None)
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path


def poisoned(tree: Any, path: tuple[Any, ...], words: str) -> Any:
    tree = copy.deepcopy(tree)
    node = tree
    if path[-1] is None:
        for step in path[:-2]:
            node = node[step]
        node[words] = node.pop(path[-2])
    else:
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = words
    return tree


@pytest.mark.parametrize("words", [
    HOSTILE.replace("\ud800", ""), PRINTABLE, "A::error::x"],  # a lockfile with half a pair is refused as a whole
    ids=["escapes", "commands", "later"])
def test_every_text_of_a_lockfile_is_shown_and_not_obeyed(words: str, locked: dict[str, Any], tmp_path: Path, say: Any) -> None:
    write(tmp_path, SHOW + "  - {id: A, prompt: two}\n")
    paths = list(leaves(locked))
    assert len(paths) > 30
    shown = 0
    for path in paths:
        (tmp_path / "show.lock.json").write_text(json.dumps(poisoned(locked, path, words)))
        for arguments in (["plan", "-v"], ["status"], ["plan", "--json"]):
            said = say(*arguments, "show.yaml")
            shown += "pwned" in said or "error::x" in said
            assert untamed(said) == [], path
    assert shown > 5, "some of it is shown at all"


# ── what a provider says ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_providers_words_are_shown_and_not_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    key = TakeKey(manifest="m", shot=ShotId("A"), take=1)
    said = io.StringIO()
    outcomes = tuple(
        Outcome(key=key, action=Action.CREATE, ending=ending, words=HOSTILE, job=job(REQUEST, shot="A", state=JobState.FAILED),
                charged=Decimal(1), verdict=verdict(HOSTILE, HOSTILE), found=True) for ending in Ending)
    for view in (Lines(said), JsonLines(said, lambda: 0.0, priced=True), Lines(said, priced=False)):
        for event in (Failed(words=HOSTILE), Refused(words=HOSTILE), Progressed(status=HOSTILE, raw="{}"), *outcomes):
            view(key, event)
    drawn = io.StringIO()
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    running = Running(plan_of(manifest), manifest, CARD, {}, Bounds(), poll=5, now=0.0)
    with Live(running, lambda: 0.0, title=HOSTILE, folder=HOSTILE, priced=True, colour=False, stream=drawn) as live:
        for outcome in outcomes:
            live(key, outcome)
    assert "\x1b[2J" not in drawn.getvalue()
    said.write(re.sub(r"\x1b\[(\?25[lh]|[0-9]*A|J|[0-9;]*m)|\r", "", drawn.getvalue()))  # what the display itself writes
    report = Report(outcomes=outcomes, halted=AccountEmpty(HOSTILE, hint=HOSTILE))
    from click import unstyle

    text = said.getvalue() + unstyle(report_text(report, CARD, draft=False)) + capfd.readouterr().err
    assert "pwned" in text
    assert untamed(text) == []
    assert json.dumps(report_dict(report))
