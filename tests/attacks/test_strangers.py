"""What strangers may send, attack by attack: the input, the command, and exactly what the user sees.

The numbers are those of the promises (`docs/promises.md`). Whatever is malformed in YAML or JSON is known by its code, place
and hint; whatever could hang runs in a process of its own that is given a limit. Downloads are attacked in
`tests/adapters/test_downloads.py`, webhooks in `tests/adapters/test_webhook.py`, names of the store in
`tests/adapters/test_store.py`, and everything at random by `tests/fuzz`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.adapters.files import write_atomically
from manifest_runner.cli.main import run as run_here
from tests.cli.support import run

HEAD = "version: 1\nshow: test\nmodel: kling-v3-omni\n"
SHOTS = "shots:\n  - {id: A, prompt: rain}\n"
PICTURE = b"\x89PNG\r\n\x1a\n"


def shot(keys: str) -> str:
    """A manifest whose only shot has these keys besides a prompt; they begin at line 5, column 21."""
    return f"{HEAD}shots:\n  - {{prompt: storm, {keys}}}\n"


def bomb() -> str:
    lines = ["  a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"  {name}: &{name} [{', '.join([f'*{below}'] * 10)}]" for below, name in zip("abcdef", "bcdefg", strict=True)]
    return HEAD + SHOTS + "vars:\n" + "\n".join(lines) + "\n"


MANY = ", ".join(map(str, range(1000)))
REFUSED: Mapping[str, tuple[str | bytes, str, int, int]] = {
    # S5: what multiplies
    "S5 aliases that multiply": (bomb(), "yaml-alias", 11, 38),
    "S5 an alias inside its own value": (f"{HEAD}{SHOTS}vars: {{a: &a [*a]}}\n", "yaml-alias", 6, 15),
    "S5 merge keys": (f"{HEAD}{SHOTS}vars:\n  a: &a {{x: 1}}\n  b: {{<<: [*a, *a], y: 2}}\n", "merge-key", 8, 7),
    # S6: what nests
    "S6 30,000 brackets": (f"{HEAD}vars: {'[' * 30_000}", "yaml-too-deep", 4, 70),
    "S6 30,000 mappings": (f"{HEAD}vars: {'{a: ' * 30_000}", "yaml-too-deep", 4, 259),
    "S6 30,000 dashes": ("- " * 30_000, "yaml-too-deep", 1, 129),
    # S7: what stands twice
    "S7 a key twice": (f"{HEAD}{SHOTS}show: other\n", "duplicate-key", 6, 1),
    "S7 an id twice in one shot": (shot("id: A, id: B"), "duplicate-key", 5, 28),
    # S9: numbers that are none
    "S9 NaN": (shot("id: A, duration: .nan"), "not-finite", 5, 38),
    "S9 infinity": (shot("id: A, duration: -.inf"), "not-finite", 5, 38),
    "S9 an exponent beyond all floats": (shot("id: A, duration: 1e999"), "not-finite", 5, 38),
    "S9 5,000 digits": (shot(f"id: A, takes: {'9' * 5000}"), "integer-too-large", 5, 35),
    "S9 500 hex digits": (shot(f"id: A, takes: 0x{'f' * 500}"), "integer-too-large", 5, 35),
    # S10: what cannot be seen
    "S10 NUL": (shot('id: A, note: "a\0b"'), "yaml-encoding", 5, 36),
    "S10 an escape sequence": (shot('id: A, note: "a\x1b[2J"'), "yaml-encoding", 5, 36),
    "S10 an escape sequence, spelt": (shot('id: A, note: "a\\x1b[2J"'), "yaml-encoding", 5, 34),
    "S10 a change of direction": (shot('id: A, note: "a\u202egnp"'), "yaml-encoding", 5, 36),
    "S10 a change of direction, spelt": (shot('id: A, note: "a\\u202egnp"'), "yaml-encoding", 5, 34),
    "S10 half a character, spelt": (shot('id: A, note: "a\\ud800"'), "yaml-syntax", 5, 38),
    "S10 a byte order mark": (b"\xef\xbb\xbf" + HEAD.encode(), "yaml-encoding", 1, 1),
    "S10 UTF-16": ((HEAD + SHOTS).encode("utf-16"), "yaml-encoding", 1, 1),
    "S10 UTF-16 without a mark": ((HEAD + SHOTS).encode("utf-16-be"), "yaml-encoding", 1, 1),
    "S10 UTF-32": ((HEAD + SHOTS).encode("utf-32"), "yaml-encoding", 1, 1),
    "S10 Latin-1": (f"{HEAD}title: café\n{SHOTS}".encode("latin-1"), "yaml-encoding", 4, 11),
    "S10 UTF-8 that is too long": (HEAD.encode() + b"title: \xc0\xaf\n", "yaml-encoding", 4, 8),
    # S11: what YAML can do and a manifest need not
    "S11 a Python object": (f"{HEAD}shots: !!python/object/apply:os.system [id]\n", "yaml-tag", 4, 8),
    "S11 a tag of one's own": (f"{HEAD}title: !x y\n{SHOTS}", "yaml-tag", 4, 8),
    "S11 bytes": (f"{HEAD}title: !!binary aGk=\n{SHOTS}", "yaml-tag", 4, 8),
    "S11 a set": (f"{HEAD}vars: !!set {{a, b}}\n{SHOTS}", "yaml-tag", 4, 7),
    "S11 a list as a key": (f"{HEAD}vars: {{? [a, b] : c}}\n{SHOTS}", "complex-key", 4, 10),
    "S11 an alias as a key": (f"{HEAD}{SHOTS}vars:\n  a: &a x\n  *a : y\n", "complex-key", 8, 3),
    "S11 a second document": (f"{HEAD}{SHOTS}---\n{HEAD}", "several-documents", 6, 1),
    # S13: schemas are ours
    "S13 a schema to fetch": (f"{HEAD}$schema: http://127.0.0.1:9/evil.json\n{SHOTS}", "unknown-key", 4, 1),
    "S13 a reference to fetch": (shot("id: A, $ref: 'http://127.0.0.1:9/evil.json'"), "unknown-key", 5, 28),
    # S14: too much
    "S14 a matrix of a million": (shot(f"id: 'A-{{{{ a }}}}', note: xx, matrix: {{a: [{MANY}], b: [{MANY}]}}"),
                                  "too-many-shots", 5, 56),
    "S14 a matrix of 10 to the 16th": (shot("id: A, matrix: {" + ", ".join(f"{axis}: [{'1, ' * 99}1]" for axis in "abcdefgh")
                                            + "}"), "too-many-shots", 5, 36),
    "S14 20,001 shots": (f"{HEAD}shots:\n" + "".join(f"  - {{id: S{n}, prompt: x}}\n" for n in range(20_001)),
                         "too-many-shots", 20_005, 5),
    "S14 a million takes": (f"{HEAD}shots:\n" + "".join(f"  - {{id: S{n}, prompt: x, takes: 50}}\n" for n in range(1000)),
                            "too-many-takes", 805, 34),
    "S14 17 MB": (f"{HEAD}title: {'x' * 17_000_000}\n", "yaml-too-large", 1, 1),
    # S16: names of files
    "S16 an id that goes up": (shot("id: .."), "bad-format", 5, 25),
    "S16 an id with folders": (shot("id: a/../../b"), "bad-format", 5, 25),
    "S16 an id from the root": (shot("id: /etc/passwd"), "bad-format", 5, 25),
    "S16 a backslash in an id": (shot("id: 'a\\b'"), "bad-format", 5, 25),
    "S16 a stream of NTFS": (shot("id: 'A:x'"), "bad-format", 5, 25),
    "S16 a space at the end of an id": (shot("id: 'A '"), "bad-format", 5, 25),
    "S16 a line end at the end of an id": (shot('id: "A\\n"'), "bad-format", 5, 25),
    "S16 a device of Windows": (shot("id: con"), "reserved-name", 5, 25),
    "S16 a device of Windows with an ending": (shot("id: NUL.x"), "reserved-name", 5, 25),
    "S16 a show that goes up": (HEAD.replace("test", "..") + SHOTS, "bad-format", 2, 7),
    "S16 a letter that folds to another": (shot("id: \u212a1"), "bad-format", 5, 25),
    "S16 ids that differ in case only": (f"{HEAD}shots:\n  - {{id: SH1, prompt: x}}\n  - {{id: sh1, prompt: x}}\n",
                                         "duplicate-id", 6, 10),
    "S16 ids that only look different composed": (f"{HEAD}shots:\n  - {{id: e\u0301, prompt: x}}\n", "bad-format", 5, 10),
    **{f"S17 clips into {folder}": (f"{HEAD}output: '{folder}'\n{SHOTS}", "bad-format", 4, 9) for folder in (
        "../x", "/etc", "a/../../x", ".git/hooks", "renders/.git", "C:\\x", "C:x", "renders/x.", "renders/x ", "a//b",
        "{{ show }}/../..")},
    "S17 clips into a device": (f"{HEAD}output: renders/con\n{SHOTS}", "reserved-name", 4, 9),
    # S17: files that a manifest may not read
    "S17 a picture outside": (shot("id: A, first_frame: ../../etc/passwd"), "outside-repository", 5, 41),
    "S17 a picture from the root": (shot("id: A, first_frame: /dev/zero"), "absolute-path", 5, 41),
    "S17 a picture in .git": (shot("id: A, first_frame: .GIT/config"), "outside-repository", 5, 41),
    "S17 an include of the environment": (f"{HEAD}include: [/proc/self/environ]\n{SHOTS}", "include-not-found", 4, 11),
    "S17 an include that goes up": (f"{HEAD}include: [../../proc/self/environ]\n{SHOTS}", "include-not-found", 4, 11),
    "S17 an include from the network": (f"{HEAD}include: ['http://127.0.0.1:9/x.yaml']\n{SHOTS}", "include-not-found", 4, 11),
    "S17 an include of itself": (f"{HEAD}include: [show.yaml]\n{SHOTS}", "include-cycle", 4, 11),
    # S18: addresses of pictures, which the gateway would fetch
    **{f"S18 {scheme}": (shot(f"id: A, first_frame: '{scheme}'"), "frame-url", 5, 41) for scheme in (
        "file:///etc/passwd", "ftp://cdn.example/a.png", "gopher://cdn.example/", "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "https://user:secret@cdn.example/a.png", "https:///a.png")},
    # S20: what is the operator's
    "S20 a gateway": (f"{HEAD}base_url: http://evil.example\n{SHOTS}", "operator-setting", 4, 1),
    "S20 a key": (f"{HEAD}api_key: abc\n{SHOTS}", "operator-setting", 4, 1),
    "S20 a callback": (shot("id: A, callback_url: 'http://evil.example'"), "operator-setting", 5, 28),
    "S20 a callback for all": (f"{HEAD}defaults: {{callback_url: 'http://evil.example'}}\n{SHOTS}", "operator-setting", 4, 12),
    "S20 a callback among the limits": (f"{HEAD}limits: {{webhook: 'http://evil.example'}}\n{SHOTS}", "operator-setting", 4,
                                        10),
    "S20 the id of a submission": (shot("id: A, external_task_id: job_of_another"), "unknown-key", 5, 28),
    # S12: what makes patterns slow; see the test of time below
    "S12 an id for backtracking": (shot(f"id: '{'a-' * 50_000}!'"), "bad-format", 5, 25),
    "S12 a folder for backtracking": (f"{HEAD}output: '{'a. ' * 30_000}/'\n{SHOTS}", "bad-format", 4, 9),
    "S12 folders for backtracking": (f"{HEAD}output: '{'a/' * 50_000}*'\n{SHOTS}", "bad-format", 4, 9),
    "S12 a rate for backtracking": (f"{HEAD}limits: {{rate: '{'1' * 100_000}/'}}\n{SHOTS}", "bad-format", 4, 16),
    "S12 a ratio for backtracking": (shot(f"id: A, aspect_ratio: '{'1' * 100_000}:'"), "bad-format", 5, 42),
    "S12 an address for backtracking": (shot(f"id: A, first_frame: 'https://{'a?' * 1900} '"), "frame-url", 5, 41),
    "S12 a quote for backtracking": ("'" * 100_001 + ": : x\n", "yaml-syntax", 1, 1),
}
"""Attack → manifest, code of the diagnostic, line, column."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith(("MANIFEST_RUNNER", "TRINETRA", "XDG"))]:
        monkeypatch.delenv(name)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the one JSON object of a command."""
    code = run_here([*arguments, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return code, answer


@pytest.mark.parametrize(("content", "code", "line", "column"), REFUSED.values(), ids=REFUSED.keys())
def test_a_strangers_manifest_is_refused_with_a_place_and_a_way_out(
    here: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, code: str, line: int, column: int
) -> None:
    (here / "show.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    ended, answer = told(capsys, "validate", "show.yaml")
    assert ended == 2
    found = [item for item in answer["diagnostics"] if item["code"] == code]
    assert found, answer
    assert (found[0]["source"]["path"], found[0]["source"]["line"], found[0]["source"]["column"]) == ("show.yaml", line, column)
    assert found[0]["hint"], found


@pytest.mark.parametrize("name", [name for name in REFUSED if name.startswith("S12")])
def test_no_text_makes_a_pattern_slow(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content = REFUSED[name][0]
    (here / "show.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.process_time()
    told(capsys, "validate", "show.yaml")
    assert time.process_time() - began < 5, "what backtracks would take years"


# S8: what YAML 1.1 would have read is read as it looks

@pytest.mark.parametrize(("keys", "name", "value"), [
    ("id: no", "id", "no"), ("id: 2026-11-22", "id", "2026-11-22"), ("id: on", "id", "on"), ("id: 1_0", "id", "1_0"),
    ("id: A, duration: 010", "duration", 10), ("id: A, aspect_ratio: 16:9", "aspect_ratio", "16:9"),
    ("id: A, prompt: y", "prompt", "y"),
    ("id: A, prompt: 0o17, duration: 0o17", "duration", 15), ("id: A, prompt: 1:30:00", "prompt", "1:30:00"),
])
def test_surprises_of_yaml_1_1_are_read_as_they_look(here: Path, capsys: pytest.CaptureFixture[str], keys: str, name: str,
                                                      value: object) -> None:
    prompt = "" if "prompt" in keys else "prompt: rain, "
    (here / "show.yaml").write_text(f"%YAML 1.1\n---\n{HEAD}shots:\n  - {{{prompt}{keys}}}\n", encoding="utf-8")
    ended, answer = told(capsys, "plan", "show.yaml")
    if keys == "id: A, prompt: 0o17, duration: 0o17":  # a number is no prompt, whatever its base
        assert (ended, answer["diagnostics"][0]["code"]) == (2, "wrong-type")
        return
    assert ended == 0, answer
    change = answer["changes"][0]
    assert (change["shot"] if name == "id" else change["after"]["request"][name]) == value


def test_no_two_takes_share_a_file_whatever_their_ids(here: Path) -> None:
    from manifest_runner.core.planning import output_path
    from tests.builders import manifest_of

    manifest = manifest_of("shots:\n" + "".join(f"  - {{id: {name}, prompt: x, takes: 11}}\n" for name in (
        "A", "A_t1", "A_t1_t1", "A_t", "A.", "A_1", "A1")))
    places = [output_path(manifest, one.id, take).lower() for one in manifest.shots for take in range(1, one.takes + 1)]
    assert len(set(places)) == len(places)
    assert "renders/test/A._t1.mp4" in {output_path(manifest, one.id, 1) for one in manifest.shots}, "no name ends with a dot"


# ── lockfiles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

TAKE = {"state": "stored", "fingerprint": "sha256:" + "0" * 64, "model": "kling-v3-omni", "request": {"prompt": "x"},
        "external_task_id": "A_t1", "attempt": 1, "job_id": "job_1", "credits": {"estimated": "145", "charged": "145"},
        "outputs": [{"path": "renders/show/A_t1.mp4", "sha256": "0" * 64, "bytes": 1000, "media": None}]}


def locked(changes: Mapping[str, Any] | None = None) -> str:
    """A lockfile whose only take has these values; a text in «» is written as it is."""
    text = json.dumps({"version": 1, "manifest": "show.yaml", "shots": {"A": {"takes": {"1": {**TAKE, **(changes or {})}}}}},
                      indent=2)
    return re.sub('"«(.*?)»"', lambda raw: raw[1].replace('\\"', '"'), text.replace("\\u00ab", "«").replace("\\u00bb", "»"))


WAY = "shots.A.takes.1"
BAD_LOCKS: Mapping[str, tuple[str, str, str]] = {
    "a merge conflict": ("<<<<<<< HEAD\n" + locked() + "=======\n" + locked() + ">>>>>>> other\n", "lockfile-conflict",
                         "merge conflict"),
    "a merge conflict inside": (locked().replace('  "shots"', '<<<<<<< HEAD\n  "shots"'), "lockfile-conflict",
                                "merge conflict"),
    "a block twice": (locked().replace('"shots": {', '"shots": {"A": {},'), "lockfile-syntax", "'A' stands twice"),
    "a value twice": (locked({"state": '«"stored", "state": "failed"»'}), "lockfile-syntax", "'state' stands twice"),
    "NaN": (locked({"attempt": "«NaN»"}), "lockfile-syntax", "NaN"),
    "an infinity": (locked({"request": {"cfg_scale": "«-Infinity»"}}), "lockfile-syntax", "Infinity"),
    "a number beyond all floats": (locked({"request": {"cfg_scale": "«1e999»"}}), "lockfile-syntax", "1e999"),
    "5,000 digits": (locked({"attempt": f"«{'9' * 5000}»"}), "lockfile-syntax", "digits"),
    "a number beyond the ledger's": (locked({"attempt": 2**64}), "lockfile-shape", f"{WAY}.attempt"),
    "no attempt": (locked({"attempt": 0}), "lockfile-shape", f"{WAY}.attempt"),
    "credits beyond all money": (locked({"credits": {"estimated": "1E+999999999"}}), "lockfile-shape",
                                 f"{WAY}.credits.estimated"),
    "fewer bytes than none": (locked({"outputs": [{**TAKE["outputs"][0], "bytes": -1}]}), "lockfile-shape",
                              f"{WAY}.outputs[0].bytes"),
    "a hash that goes up": (locked({"outputs": [{**TAKE["outputs"][0], "sha256": "../" * 20 + "0000"}]}), "lockfile-shape",
                            "not a sha256"),
    "brackets without end": ("[" * 100_000, "lockfile-syntax", "nested too deeply"),
    "nested in a request": (locked({"request": {"prompt": f"«{'[' * 900}{']' * 900}»"}}), "lockfile-shape",
                            "nested too deeply"),
    "nested in what is unknown": (locked({"more": f"«{'[' * 900}{']' * 900}»"}), "lockfile-shape", "nested too deeply"),
    "nested in its version": (locked().replace('"version": 1', f'"version": {"[" * 900}{"]" * 900}'), "lockfile-s", ""),
    "half a character": (locked({"error": "\ud800"}), "lockfile-syntax", "surrogate"),
    "another version": (locked().replace('"version": 1', '"version": 2'), "lockfile-shape", "version is 2"),
    "a version that is nearly one": (locked().replace('"version": 1', '"version": true'), "lockfile-shape", "version is True"),
    "a state that nobody knows": (locked({"state": "paid"}), "lockfile-shape", f"{WAY}.state"),
    "cut off": (locked()[:200], "lockfile-syntax", ""),
    "empty": ("", "lockfile-syntax", ""),
}


@pytest.mark.parametrize(("text", "code", "words"), BAD_LOCKS.values(), ids=BAD_LOCKS.keys())
@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_hostile_lockfile_is_a_diagnostic_that_says_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, text: str, code: str, words: str
) -> None:
    (here / "show.yaml").write_text(HEAD + SHOTS, encoding="utf-8")
    (here / "show.lock.json").write_text(text, encoding="utf-8")
    ended, answer = told(capsys, command, "show.yaml")
    assert ended == 2
    found = answer["diagnostics"][0]
    assert found["code"].startswith(code)
    assert words in found["message"]
    assert found["source"]["path"] == "show.lock.json"
    assert "git" in found["hint"] or "manifest-runner lock" in found["hint"]


def test_nothing_that_a_lockfile_names_is_fetched_opened_or_believed(here: Path, capsys: pytest.CaptureFixture[str],
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://169.254.169.254/latest/meta-data"
    evil = {"url": url, "job_id": "job_of_another", "state": "submitted", "request": {"prompt": "rain", "image_url": url},
            "outputs": [{**TAKE["outputs"][0], "path": "../../../../etc/passwd", "url": url}]}
    (here / "show.yaml").write_text(HEAD + SHOTS, encoding="utf-8")
    (here / "show.lock.json").write_text(locked(evil), encoding="utf-8")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket, "socket", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    ended, answer = told(capsys, "plan", "show.yaml")
    assert (ended, [change["action"] for change in answer["changes"]]) == (0,
                                                                      ["resume"]), "asked about, never bought or believed"
    assert run_here(["lock", "show.yaml", "--check"]) == 1
    capsys.readouterr()
    (here / "show.lock.json").write_text(locked({**evil, "state": "stored"}), encoding="utf-8")
    assert [change["action"] for change in told(capsys, "plan", "show.yaml")[1]["changes"]] == ["replace"]


# ── saved plans ───────────────────────────────────────────────────────────────────────────────────────────────────────


def forged(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def forge(text: str) -> str:
        plan = json.loads(text)
        change(plan)
        return json.dumps(plan)

    return forge


BAD_PLANS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "a lower price": (forged(lambda plan: plan.update(total="1", cut_total="1")), "stale-plan"),
    "a lower price of one take": (forged(lambda plan: plan["changes"][0].update(credits="1")), "stale-plan"),
    "another action": (forged(lambda plan: plan["changes"][0].update(action="keep")), "stale-plan"),
    "another prompt": (forged(lambda plan: plan["changes"][0]["after"]["request"].update(prompt="other")), "stale-plan"),
    "another manifest": (forged(lambda plan: plan.update(manifest="../other.yaml")), "stale-plan"),
    "other prices": (forged(lambda plan: plan["basis"].update(prices="free")), "stale-plan"),
    "a path more": (forged(lambda plan: plan["basis"].update({"file ../../etc/passwd": "sha256:0"})), "stale-plan"),
    "no take": (forged(lambda plan: plan.update(changes=[])), "stale-plan"),
    "a take twice": (forged(lambda plan: plan["changes"].append(plan["changes"][0])), "stale-plan"),
    "no list of takes": (forged(lambda plan: plan.update(changes={"shot": []})), "stale-plan"),
    "another version": (forged(lambda plan: plan.update(version=2)), "stale-plan"),
    "NaN": (forged(lambda plan: plan.update(total=float("nan"))), "stale-plan"),
    "escapes": (forged(lambda plan: plan["basis"].update({"\x1b[2J\x9b\u202e\ud800": "\x1b]0;x\x07"})), "stale-plan"),
    "nested without end": (lambda _: "[" * 100_000, "bad-plan"),
    "nested": (lambda _: '{"version": 1, "changes": ' + "[" * 900 + "]" * 900 + "}", "stale-plan"),
    "5,000 digits": (lambda text: text.replace('"version": 1', f'"version": {"1" * 5000}'), "bad-plan"),
    "a merge conflict": (lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n", "bad-plan"),
    "cut off": (lambda text: text[:100], "bad-plan"),
    "a list": (lambda _: "[]", "bad-plan"),
}


@pytest.mark.parametrize(("forge", "code"), BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_a_forged_plan_is_refused_before_anything_leaves(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, forge: Callable[[str], str], code: str
) -> None:
    (here / "show.yaml").write_text(HEAD + SHOTS, encoding="utf-8")
    assert run_here(["plan", "show.yaml", "--out", "plan.json"]) == 0
    (here / "plan.json").write_text(forge((here / "plan.json").read_text(encoding="utf-8")), encoding="utf-8")
    capsys.readouterr()
    monkeypatch.setenv("TRINETRA_API_KEY", "canary-of-these-tests")
    monkeypatch.setenv("MANIFEST_RUNNER_BASE_URL", "http://127.0.0.1:9")
    ended, answer = told(capsys, "render", "show.yaml", "--plan", "plan.json", "--yes")
    assert (ended, answer["code"]) == (2, code)
    assert "manifest-runner plan show.yaml --out plan.json" in answer["next"]


# ── what lies on the disk ─────────────────────────────────────────────────────────────────────────────────────────────

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, devices and links as POSIX has them")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


PLACES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "the manifest": ("show.yaml", HEAD + SHOTS, ("validate", "show.yaml")),
    "an include": ("look.yaml", f"{HEAD}include: [look.yaml]\n{SHOTS}", ("validate", "show.yaml")),
    "a template": ("look.j2", shot("id: A, note: \"{% include 'look.j2' %}\""), ("validate", "show.yaml")),
    "a picture": ("in.png", shot("id: A, first_frame: in.png"), ("plan", "show.yaml")),
    "the lockfile": ("show.lock.json", HEAD + SHOTS, ("plan", "show.yaml")),
    "the draft's lockfile": ("show.draft.lock.json", HEAD + SHOTS, ("status", "show.yaml", "--draft")),
    "a saved plan": ("plan.json", HEAD + SHOTS, ("render", "show.yaml", "--plan", "plan.json")),
    "the folder of the clips": ("out", f"{HEAD}output: out\n{SHOTS}", ("plan", "show.yaml")),
}
"""What stands where → the name of the file, the manifest, and the command that would read it."""


@posix
@pytest.mark.parametrize("make", [pipe, folder, link("/dev/zero"), link("/proc/self/environ"), link("loop"),
                                  link("/etc/passwd")],
                         ids=["pipe", "folder", "endless", "environment", "loop", "outside"])
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_of_the_repository_is_refused_without_waiting(tmp_path: Path, place: str,
                                                                       make: Callable[[Path], None]) -> None:
    if place == "the folder of the clips" and make is folder:
        pytest.skip("that is what it should be")
    name, text, words = PLACES[place]
    (tmp_path / ".git").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "show.yaml").write_text(text, encoding="utf-8")
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    env = {"TRINETRA_API_KEY": "canary-of-these-tests", "MANIFEST_RUNNER_BASE_URL": "http://127.0.0.1:9"}
    ran = run(tmp_path, *words, env=env, timeout=60)
    assert ran.code == 2, ran.out + ran.err
    assert "fault of this program" not in ran.err
    assert "canary" not in ran.out + ran.err
    assert "root:x:" not in ran.out + ran.err
    assert name in ran.err


@posix
def test_a_folder_of_clips_that_is_a_link_to_elsewhere_is_refused_before_anything_is_paid(
    here: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (here / "renders").symlink_to(outside)
    (here / "show.yaml").write_text(HEAD + SHOTS, encoding="utf-8")
    for words in (("validate", "show.yaml"), ("plan", "show.yaml"), ("render", "show.yaml", "--draft")):
        ended, answer = told(capsys, *words)
        assert (ended, answer["diagnostics"][0]["code"]) == (2, "outside-repository"), words
    assert list(outside.iterdir()) == []


@posix
def test_a_repository_behind_a_link_is_a_repository(here: Path, capsys: pytest.CaptureFixture[str],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "real").mkdir()
    (here / "real" / ".git").mkdir()
    (here / "real" / "show.yaml").write_text(HEAD + SHOTS, encoding="utf-8")
    (here / "way").symlink_to("real")
    assert told(capsys, "plan", "way/show.yaml")[0] == 0


@posix
def test_a_hard_link_is_left_and_not_written_through(here: Path) -> None:
    (here / "elsewhere").write_text("as it was", encoding="utf-8")
    (here / "show.lock.json").hardlink_to(here / "elsewhere")
    write_atomically(here / "show.lock.json", b"new")
    assert (here / "elsewhere").read_text(encoding="utf-8") == "as it was"


def test_a_name_that_no_file_system_has_is_a_mistake_and_no_fault(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x" * 5000 + ".yaml", "a\0b.yaml", "/dev/null/show.yaml"):
        ended, answer = told(capsys, "validate", name)
        assert (ended, answer["code"]) == (2, "manifest-missing"), name


def test_an_id_that_is_no_text_is_a_diagnostic_beside_a_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for keys in ("id: [A], first_frame: no.png", "id: {a: b}, first_frame: no.png"):
        (here / "show.yaml").write_text(shot(keys), encoding="utf-8")
        ended, answer = told(capsys, "validate", "show.yaml")
        assert ended == 2
        assert {"wrong-type", "file-missing"} <= {item["code"] for item in answer["diagnostics"]}
