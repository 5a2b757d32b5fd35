"""The pure parts of the benchmarks: shows of peers, figures and what they come to, the page, the plot, the words about
pairs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.growthplot import APART, apart, plot
from benchmarks.makespan import Case, bound, by_kind, on_paper
from benchmarks.measuring import Cost, middle, read, times, write
from benchmarks.page import EXPLAINED, Setting, number, page, summary
from benchmarks.peers import PEERS, Peer, home, lay_out, ready, version
from benchmarks.quick import interval, line, mark, verdict
from benchmarks.shows import manifest_text
from benchmarks.targets import AIMS, ROWS, Aim, Figure, growth, reached, reading, target
from manifest_runner.core.model import Rate

ROOT = Path(__file__).parents[2]
NOWHERE = Setting(machine={"Processor": "abacus, 1 cores"}, versions={"ninja": "missing"})
NINJA = Figure(row="idle", what="10,000 shots", shots=10_000, ours=0.15, unit="s", peer="ninja", theirs=0.1,
               aim=AIMS["idle/ninja"])


def clips_of_dodo(text: str) -> list[str]:
    names: dict[str, object] = {}
    exec(text, names)  # noqa: S102 - as doit does
    tasks: Callable[[], list[dict[str, list[str]]]] = names["task_render"]  # type: ignore[assignment]
    return [task["targets"][0] for task in tasks()]


CLIPS_IN: dict[str, tuple[str, Callable[[str], list[str]]]] = {
    "ninja": ("build.ninja", lambda text: re.findall(r"^build (\S+):", text, re.MULTILINE)),
    "make -q": ("Makefile", lambda text: re.findall(r"^(out/\S+):", text, re.MULTILINE)),
    "doit": ("dodo.py", clips_of_dodo),
    "snakemake": ("Snakefile", lambda text: re.findall(r"'(out/SH\S+?)'", text.splitlines()[0])),
    "dvc": ("dvc.yaml",
            lambda text: [clip for stage in json.loads(text)["stages"].values() for out in stage["outs"] for clip in out]),
    "openjd": ("template.json",
               lambda text: [step["script"]["actions"]["onRun"]["args"][0] for step in json.loads(text)["steps"]]),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_show_of_each_peer_is_as_long_as_ours_and_all_of_it_is_made(peer: Peer, tmp_path: Path) -> None:
    lay_out(peer, tmp_path, 12)
    file, clips_in = CLIPS_IN[peer.name]
    clips = clips_in((tmp_path / file).read_text())
    assert len(clips) == len(set(clips)) == len(re.findall("^  - id:", manifest_text(12), re.MULTILINE)) == 12
    assert {f"out/{path.name}" for path in (tmp_path / "out").iterdir()} == set(clips)
    assert len(list((tmp_path / "shots").iterdir())) == 12


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_that_is_not_there_is_missing(peer: Peer, tmp_path: Path) -> None:
    env = {**home(tmp_path, None), "PATH": str(tmp_path)}
    assert version(peer, env) == "missing"
    assert ready(peer, tmp_path, env) == "missing"


def test_a_peer_that_has_something_to_do_is_not_measured(tmp_path: Path) -> None:
    peer = Peer(name="x", describe=lambda _: {}, ask=(sys.executable, "-c", "print('1 of 2')"), answer="no work to do")
    assert "did not say" in ready(peer, tmp_path, {})


@pytest.mark.parametrize(("ours", "theirs", "aim", "value", "verdict", "words"), [
    (0.2, 0.1, Aim(way="ratio", most=2.0), 2.0, True, "≤ 2 ×"),
    (0.21, 0.1, Aim(way="ratio", most=2.0), 2.1, False, "≤ 2 ×"),
    (0.1, 0.8, Aim(way="faster", least=8.0), 8.0, True, "≥ 8 × faster"),
    (0.1, 0.79, Aim(way="faster", least=8.0), 7.9, False, "≥ 8 × faster"),
    (260.0, 200.0, Aim(way="more", most=60.0), 60.0, True, "≤ 60 ms more"),
    (261.0, 200.0, Aim(way="more", most=60.0), 61.0, False, "≤ 60 ms more"),
    (3.9, None, Aim(least=4.0), 3.9, False, "≥ 4 ms"),
    (0.0, None, Aim(most=0), 0.0, True, "≤ 0 ms"),
    (0.3, 0.1, None, 3.0, None, ""),
    (0.3, None, Aim(way="ratio", most=2.0), None, None, "≤ 2 ×"),
    (0.3, 0.0, Aim(way="ratio", most=2.0), None, None, "≤ 2 ×"),
    (0.3, -0.1, Aim(way="ratio", most=2.0), None, None, "≤ 2 ×"),
    (None, 0.1, Aim(way="ratio", most=2.0), None, None, "≤ 2 ×"),
])
def test_a_figure_is_judged_by_its_aim(ours: float | None, theirs: float | None, aim: Aim | None, value: float | None,
                                       verdict: bool | None, words: str) -> None:
    figure = Figure(row="idle", what="x", ours=ours, theirs=theirs, unit="ms", aim=aim)
    assert reading(figure) == (None if value is None else pytest.approx(value))
    assert reached(figure) is verdict
    assert target(aim, "ms") == words


def test_growth_is_the_cost_of_a_shot_against_the_step_before() -> None:
    figures = [Figure(row="changed", what="", ours=seconds, shots=shots)
               for shots, seconds in ((100, 0.2), (1000, 0.38), (10_000, 2.9))]
    (found,) = growth([*figures, Figure(row="changed", what="memory", ours=80.0)], "plan", AIMS["growth"])
    assert (found.theirs, found.ours) == (pytest.approx(200), pytest.approx(280))
    assert reached(found) is False


def test_medians_are_of_each_measure_by_itself_and_slow_commands_run_less_often() -> None:
    costs = [Cost(wall=wall, cpu=cpu, memory=1.0) for wall, cpu in ((1.0, 9.0), (2.0, 5.0), (9.0, 4.0))]
    assert middle(costs) == Cost(wall=2.0, cpu=5.0, memory=1.0, runs=3)
    assert [times(9, seconds) for seconds in (0.9, 1.0)] == [9, 3]
    assert times(1, 5.0) == 1


def test_figures_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "figures.json", [NINJA, Figure(row="ledger", what="x", missing="it failed")])
    assert read(tmp_path / "figures.json") == [NINJA, Figure(row="ledger", what="x", missing="it failed")]


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_names_every_row_whatever_was_measured() -> None:
    text = page([], NOWHERE)
    assert set(EXPLAINED) == {row.key for row in ROWS} == {name.partition("/")[0] for name in AIMS}
    assert all(f"| {row.title} | not measured |" in text and f"## {row.title}\n" in text for row in ROWS)


def test_the_page_says_what_was_reached_what_was_not_and_what_is_missing() -> None:
    slow = Figure(row="start", what="--help", ours=0.6, unit="s", peer="python -c pass", theirs=0.1, aim=AIMS["start/--help"])
    gone = Figure(row="idle", what="1,000 shots", shots=1000, ours=0.1, unit="s", peer="dvc", aim=AIMS["idle/dvc"],
                  missing="missing")
    said = summary([NINJA, slow, gone])
    assert said.startswith("1 of 3 targets are reached.\n")
    assert "| Nothing to do: 10,000 shots | 0.150 s | ninja: 0.100 s | 1.50 × | ≤ 2 × | yes |" in said
    assert "| Start: --help | 0.600 s | python -c pass: 0.100 s | 6.00 × | ≤ 5 × | **no** |" in said
    assert "| Nothing to do: 1,000 shots | 0.100 s | dvc: missing |  | ≥ 75 × faster | missing |" in said
    text = page([gone, NINJA], Setting(machine={}, versions={"dvc": "missing"}, profiles={"idle": "plan 1.0"}))
    assert "| dvc | missing |" in text
    assert "| **manifest-runner** | **0.100 s** | **0.150 s** |" in text
    assert "| ninja |  | 0.100 s, 0.667 × |" in text
    assert "```\nplan 1.0\n```" in text


def test_a_benchmark_that_failed_is_no_figure() -> None:
    text = page([Figure(row="ledger", what="ledger.py", missing="it failed: exit code 1")], NOWHERE)
    assert "it failed: exit code 1" in text
    assert "| Ledger | not measured |" in text


@pytest.mark.parametrize(("value", "words"), [
    (0.0293, "0.029"), (1.049, "1.05"), (12.34, "12.3"), (5432.1, "5,432"), (9.0, "9")])
def test_numbers_are_short(value: float, words: str) -> None:
    assert number(value) == words


def test_the_plot_stands_for_itself_and_knows_day_and_night() -> None:
    series = {"ours": [(100, 0.03), (1000, 0.3)], "<peer>": [(100, 0.1)], "all": [(1000, 1.0)], "none": []}
    text = plot(series, ours=1, title="a & b")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "title", "style", "rect", "line", "text", "path", "polyline", "circle"}
    assert "prefers-color-scheme:dark" in text
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "ours  0.3 s" in words
    assert "<peer>  0.1 s at 100" in words
    assert len([element for element in root.iter() if element.tag.endswith("polyline")]) == 3


def test_names_that_would_meet_stand_apart_and_inside() -> None:
    found = apart([100.0, 101.0, 10.0, 299.0, 300.0], least=20.0, most=300.0)
    assert found[2] == 20.0
    ordered = sorted(found)
    assert all(b - a >= APART for a, b in pairwise(ordered))
    assert ordered[-1] <= 300.0
    assert found[0] < found[1]
    assert found[3] < found[4]


# ── makespan ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("case", "durations", "least", "cut"), [
    (Case(name="one place", places=1), [3, 1, 2], 6, 6),
    (Case(name="two places", places=2), [1, 1, 2], 2, 3),
    (Case(name="one a second", rate=Rate(count=1, per=1)), [1, 1, 5], 5, 7),
    (Case(name="two a second", rate=Rate(count=2, per=1)), [1, 4, 4, 4], 5, 5),
    (Case(name="no limit"), [1, 9], 9, 9),
])
def test_nobody_is_faster_than_the_bound(case: Case, durations: list[float], least: float, cut: float) -> None:
    assert bound(durations, case) == least
    assert on_paper(durations, case) == cut
    assert all(least <= on_paper(order, case) for order in (durations, durations[::-1], by_kind(durations)))


# ── pairs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("ratios", "found", "word"), [
    ([1.3, 1.1, 1.2, 1.15, 1.25, 1.1, 1.2, 1.18, 0.9], (1.1, 1.25), "SLOWER"),
    ([1.3, 1.1, 1.2, 1.15, 1.25, 1.1, 1.2, 0.8, 0.9], (0.9, 1.25), ""),
    ([1.01] * 9, (1.01, 1.01), ""),
    ([0.8, 0.9, 0.7, 0.85, 0.9, 0.8], (0.7, 0.9), "faster"),
    ([1.5] * 5, None, "too few pairs"),
    ([], None, "no time left"),
])
def test_only_what_is_beyond_noise_gets_a_word(ratios: list[float], found: tuple[float, float] | None, word: str) -> None:
    assert interval(ratios) == found
    assert mark(ratios) == word
    assert line("plan", [(2.0, 2.0 * ratio) for ratio in ratios]).rstrip().endswith(word)


@pytest.mark.parametrize(("marks", "words"), [
    ({"--help": "", "plan": "faster"}, "nothing is slower beyond noise"),
    ({"--help": "SLOWER", "plan": "SLOWER", "x": ""}, "slower beyond noise: --help; plan"),
    ({"--help": "", "plan": "no time left"}, "nothing is slower beyond noise (1 of 2 were not measured well enough to tell)"),
])
def test_the_last_line_names_what_is_slower_and_what_nobody_knows(marks: dict[str, str], words: str) -> None:
    assert verdict(marks) == words


def test_without_the_older_commit_nothing_is_compared_and_nothing_fails() -> None:
    ran = subprocess.run([sys.executable, "benchmarks/quick.py", "no-such-commit"], cwd=ROOT, capture_output=True, text=True,
                         check=True)
    assert "nothing is compared: no-such-commit is not here" in ran.stdout
