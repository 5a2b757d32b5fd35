"""A short run of the fuzzer, and proof that it has teeth: what must not happen is planted, and must be reported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main, run, saved
from tests.fuzz.kinds import KINDS, Case, case_of, names
from tests.fuzz.watch import Watcher, complaints

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

SHORT = ("manifests", "bytes", "lockfiles", "plans", "settings", "templates", "lists")
RIGHT = Case(name="0:manifests:1", arguments=("validate", "show.yaml"), files={
    "show.yaml": b"version: 1\nshow: test\nmodel: kling-v3-omni\nshots: [{id: A, prompt: rain}]\n"})


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    with Watcher() as started:
        yield started


def test_nothing_but_diagnostics_comes_out_of_some_hundred_inputs(watcher: Watcher, tmp_path: Path) -> None:
    figures = run(watcher, names(20261122, 200, SHORT), tmp_path, every=100)
    assert figures.findings == []
    assert figures.kinds.total() == 200
    assert figures.compared == 2
    assert {0, 2} <= {code for _, code in figures.ends}, "what is right has to come through as well"


@pytest.mark.parametrize(("fault", "told"), [
    ("crash", "code: validate ended with 3"), ("traceback", "fault: Traceback"), ("signal", "signal: 6"),
    ("code", "code: validate ended with 7"), ("large", "large: "), ("escape", "control: U+001B"), ("bytes", "bytes: "),
    ("litter", "written: repository/litter.txt"), ("above", "written: litter.txt"),
    ("manifest", "written: repository/show.yaml"),
])
def test_what_must_not_happen_is_seen(fault: str, told: str) -> None:
    with Watcher(fault) as planted:
        _, wrong = planted.judge(RIGHT)
    assert any(one.startswith(told) for one in wrong), wrong


def test_a_list_that_becomes_no_manifest_is_seen(watcher: Watcher) -> None:
    right = replace(RIGHT, arguments=("import", "list.csv", "--out", "-"), files={"list.csv": b"shot,description\n1,rain\n"})
    assert watcher.judge(right)[1] == []
    with Watcher("invalid") as planted:
        _, wrong = planted.judge(right)
    assert [one.partition(":")[0] for one in wrong] == ["invalid"]


def test_a_right_manifest_is_no_finding_and_too_slow_and_hung_and_shown_keys_are(watcher: Watcher) -> None:
    seen, wrong = watcher.judge(RIGHT)
    assert (seen.code, wrong) == (0, [])
    assert complaints(RIGHT, replace(seen, seconds=5.1)) == ["slow: 5.1 s"]
    assert complaints(RIGHT, replace(seen, late=True)) == ["hang: it had to be killed"]
    assert complaints(RIGHT, replace(seen, out=b"canary-ZmFrZS1rZXktb2YtdGhlLWZ1enplcg")) == ["key: it is shown"]
    assert complaints(replace(RIGHT, arguments=("validate", "show.yaml", "--json")), replace(seen, out=b"{} {}")) == [
        "json: standard output is not one JSON object"]


def test_a_finding_is_saved_made_smaller_and_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    name = next(name for name in names(1, 50, ("lockfiles",)) if case_of(name).arguments[0] == "plan")
    with Watcher("crash") as planted:
        figures = run(planted, [name], tmp_path)
    (_, wrong, folder), = figures.findings
    assert wrong[0] == "code: plan ended with 3"
    assert saved(Path(folder)) == case_of(name)
    small = saved(Path(folder) / "small")
    assert len(small.files["show.lock.json"]) <= len(case_of(name).files["show.lock.json"])
    monkeypatch.setattr(sys, "argv", ["fuzz", "--repeat", folder, "--planted", "crash"])
    assert main() == 1
    assert "code: plan ended with 3" in capsys.readouterr().out


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_name_means_the_same_case_every_time(kind: str) -> None:
    for name in names(3, 20, (kind,)):
        assert case_of(name) == case_of(name)


HEAD = "version: 1\nshow: test\nmodel: kling-v3-omni\n"
LARGEST = {
    "one axis of 200,000 values": (HEAD + "shots:\n  - {id: 'A-{{ n }}', prompt: x, matrix: {n: [" + ",".join(map(str,
                                                                      range(200_000))) + "]}}\n", 2),
    "mistakes in every key of 19,000 shots": (HEAD + "shots:\n" + "".join(
        f"  - {{id: S{n}, prompt: 5, durations: 3, duration: 99, camera: statik, takes: 0}}\n" for n in range(19_000)), 2),
    "100,000 unknown keys": (HEAD + "".join(f"durations{n}: 3\n" for n in range(100_000)), 2),
    "as many takes as there may be": (HEAD + "shots:\n" + "".join(
        f"  - {{id: S{n}, prompt: 'the rain on the rails', takes: 2}}\n" for n in range(20_000)), 0),
}


@pytest.mark.parametrize(("text", "code"), LARGEST.values(), ids=LARGEST.keys())
def test_the_largest_manifests_stay_within_the_same_bounds(watcher: Watcher, text: str, code: int) -> None:
    seen, wrong = watcher.judge(replace(RIGHT, files={"show.yaml": text.encode()}, arguments=("plan", "show.yaml", "--json")))
    assert (seen.code, wrong) == (code, [])
