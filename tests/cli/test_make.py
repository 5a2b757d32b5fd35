"""What make does with the rules, by the books of a simulator on a port: who was submitted, and that nobody else was."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.support import MANIFESTS, environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

SHOW = """\
version: 1
show: show
model: kling-v3-omni
include: [looks/dusk.yaml]
defaults: {duration: 1}
limits: {concurrency: 3, rate: 8/s}
shots:
  - {id: A, prompt: "One in {{ light }}.", first_frame: plates/in.png}
  - {id: B, prompt: Two., first_frame: {shot: A, frame: last}, takes: 2, circled: 1}
  - {id: C, prompt: Three.}
  - {id: D, prompt: '{% import "looks/words.j2" as words %}Four, {{ words.rain() }}.'}
  - {id: E, prompt: Five., cut: {in: 0.25}}
  - {id: F, prompt: Six.}
"""
TAKES = ["A_t1", "B_t1", "B_t2", "C_t1", "D_t1", "E_t1", "F_t1"]
MAKEFILE = """\
RULES := .manifest-runner/make
help: ; @echo help
$(RULES)/%.draft.mk: %.yaml ; @$(MANIFEST_RUNNER) make $< --draft --out $@ --quiet
$(RULES)/%.mk: %.yaml ; @$(MANIFEST_RUNNER) make $< --out $@ --quiet
include $(RULES)/show.mk
clips: $(show.clips)
"""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Studio:
    """A repository with a Makefile, and a gateway. `new` are the takes that were submitted since it was asked last."""

    folder: Path
    address: str
    seen: int = 0
    requests: int = 0
    flags: str = "--yes --quiet"

    def environment(self) -> dict[str, str]:
        program = shlex.join([sys.executable, "-m", "manifest_runner"])
        return environment(self.folder, {**live(self.address), "MANIFEST_RUNNER": program, "RENDER_FLAGS": self.flags})

    def make(self, *words: str, code: int = 0) -> str:
        """Run make; both outputs."""
        ran = subprocess.run(["make", "--no-print-directory", *words], cwd=self.folder, env=self.environment(), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        assert ran.returncode == code, ran.stdout
        assert "Traceback" not in ran.stdout
        return ran.stdout

    def new(self) -> list[str]:
        jobs = books(self.address)["jobs"]
        fresh, self.seen = jobs[self.seen:], len(jobs)
        return sorted(job["external_task_id"].partition(".")[0] for job in fresh)

    def more_requests(self) -> int:
        """Requests of any kind since this was asked last."""
        total = int(books(self.address)["totals"]["requests"])
        more, self.requests = total - self.requests, total
        return more

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def times(self) -> dict[str, int]:
        """When everything that was made was made."""
        return {path.name: path.stat().st_mtime_ns for path in sorted((self.folder / "renders").rglob("*")) if path.is_file()}

    def made(self, *words: str) -> list[str]:
        """Run make, and say what is newer than before."""
        before = self.times()
        self.make("-j8", *(words or ["clips"]))
        return sorted(name.partition(".mp4")[0] for name, at in self.times().items() if before.get(name) != at)


def repository(folder: Path) -> None:
    (folder / ".git").mkdir()
    write(folder, SHOW)
    write(folder, "vars: {light: dusk}\n", "looks/dusk.yaml")
    write(folder, "{% macro rain() %}rain{% endmacro %}\n", "looks/words.j2")
    write(folder, MAKEFILE, "Makefile")
    (folder / "plates").mkdir()
    (folder / "plates" / "in.png").write_bytes(PNG + b"in")


REEL, REPORT, CUT = "show.reel", "show.report.html", "show.otio"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A gateway that bears no more than the limits of the manifest say."""
    folder = tmp_path / "studio"
    folder.mkdir()
    repository(folder)
    with small_simulator(tmp_path, rate="8/s", places=3) as address:
        yield Studio(folder, address)


def test_make_submits_each_take_once_and_after_an_edit_exactly_what_depends_on_it(studio: Studio) -> None:
    """One story, since its beginning, at which everything is rendered, takes longest."""
    assert studio.made("show.all") == [*TAKES, CUT, REEL, REPORT]
    assert studio.new() == TAKES
    totals = books(studio.address)["totals"]
    assert (totals["duplicates"], totals["throttled"], totals["crowded"]) == (0, 0, 0), "the limits hold over all processes"

    studio.more_requests()
    assert studio.make("-q", "show.all") == ""
    assert studio.make("-j8", "show.all") == "make: Nothing to be done for 'show.all'.\n"
    assert studio.make("-n", "renders/show/B_t2.mp4") == "make: 'renders/show/B_t2.mp4' is up to date.\n"
    assert (studio.new(), studio.more_requests()) == ([], 0)

    studio.edit("show.yaml", "Three.", "Three closer.")
    assert (studio.made(), studio.new()) == (["C_t1"], ["C_t1"]), "an edit of a prompt"
    (studio.folder / "plates" / "in.png").write_bytes(PNG + b"another")
    assert (studio.made(), studio.new()) == (["A_t1", "B_t1", "B_t2"], ["A_t1", "B_t1", "B_t2"]), "of a picture"
    studio.edit("show.yaml", "{id: A, ", "{id: A, negative_prompt: snow, ")
    assert (studio.made(), studio.new()) == (["A_t1"], ["A_t1"]), "the same clip came of it, so B is as it was"
    assert studio.make("-q", "clips") == "", "and its recipe, which found that out, need not find it out again"
    studio.edit("looks/dusk.yaml", "dusk", "fog")
    studio.edit("show.yaml", "Six.", "Six and out.")
    assert (studio.made("renders/show/B_t2.mp4"), studio.new()) == (["A_t1", "B_t1", "B_t2"], ["A_t1", "B_t1", "B_t2"]), (
        "of an include, and one clip is asked for: F can wait")
    assert (studio.made(), studio.new()) == (["F_t1"], ["F_t1"])
    studio.edit("looks/words.j2", "rain{%", "hail{%")
    assert (studio.made("show.all"), studio.new()) == (["D_t1", CUT, REEL, REPORT], ["D_t1"]), "of a template"
    studio.edit("show.yaml", "in: 0.25", "in: 0.5")
    assert (studio.made("show.all"), studio.new()) == ([CUT, REEL, REPORT], []), "of how a clip is cut"
    studio.edit("show.yaml", "version: 1", "# a word\nversion: 1")
    assert studio.made() == studio.new() == [], "of a comment"
    (studio.folder / "looks" / "words.j2").unlink()
    studio.edit("show.yaml", '{% import "looks/words.j2" as words %}', "")
    studio.edit("show.yaml", "{{ words.rain() }}", "and an umbrella")
    assert studio.made() == studio.new() == ["D_t1"], "of a template that has gone"

    studio.more_requests()
    (studio.folder / "renders" / "show" / "A_t1.mp4").unlink()
    assert studio.made() == ["A_t1"], "a clip that was deleted comes back, and B, which goes on from it, is as it was"
    assert (studio.new(), studio.more_requests()) == ([], 0)

    studio.edit("show.yaml", "Five.", "Five and a look.")
    run(studio.folder, "render", "show.yaml", "--yes", "--quiet", env=live(studio.address))
    assert studio.new() == ["E_t1"]
    assert studio.made() == studio.new() == [], "what was rendered without make is not rendered by it"

    shutil.rmtree(studio.folder / ".manifest-runner" / "make")
    now = time.time()
    for number, path in enumerate(sorted(studio.folder.rglob("*"), reverse=True)):
        os.utime(path, (now - number, now - number))
    assert studio.made() == studio.new() == [], "all times are new, as after a checkout: the stamps know better"
    assert studio.make("-q", "clips") == ""


def test_recipes_share_one_limit_and_what_is_interrupted_is_finished_the_next_time(studio: Studio) -> None:
    write(studio.folder, f".DELETE_ON_ERROR:\n{MAKEFILE}", "Makefile")
    assert studio.make() == "help\n", "nothing is rendered because rules are included"
    studio.flags = ""
    assert "make RENDER_FLAGS=--yes" in studio.make("renders/show/F_t1.mp4", code=2), "nor where nobody has said yes"
    studio.flags = f"--yes --quiet --max-credits {2 * 29 + 28}"
    assert "Error 4" in studio.make("-k", "-j8", "clips", code=2)
    first = studio.new()
    assert len(first) == 2

    studio.flags = "--yes --quiet"
    running = subprocess.Popen(["make", "-j8", "clips"], cwd=studio.folder, env=studio.environment(), start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(books(studio.address)["jobs"]) < 4:
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(timeout=60) in (2, 130, -signal.SIGINT)
    assert {*first} <= {name.partition(".mp4")[0] for name in studio.times()}
    studio.make("-j8", "clips")
    assert sorted([*first, *studio.new()]) == TAKES
    assert books(studio.address)["totals"]["duplicates"] == 0


# ── without a gateway ─────────────────────────────────────────────────────────────────────────────────────────────

TWO = "version: 1\nshow: show\nmodel: kling-v3-omni\nshots:\n  - {id: A, prompt: One.}\n  - {id: B, prompt: Two.}\n"


def rules(folder: Path, *words: str) -> str:
    ran = run(folder, "make", *words)
    assert ran.code == 0, ran.err
    return ran.out


def follow(folder: Path, text: str, *goals: str, program: str = "false") -> subprocess.CompletedProcess[str]:
    """What make does with a text of rules, where a program of ours stands in for this one."""
    write(folder, text, "Makefile")
    return subprocess.run(["make", "-r", *goals], cwd=folder, env=environment(folder, {"MANIFEST_RUNNER": program}),
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("end", ["exit 1", "kill -INT $PPID; exit 1"])
@pytest.mark.parametrize("precious", [True, False])
def test_a_clip_that_is_there_stays_though_its_recipe_fails_or_is_interrupted(tmp_path: Path, end: str, precious: bool) -> None:
    """Without the line that keeps it, make takes a paid clip for half a one."""
    write(tmp_path, TWO)
    text = f"{rules(tmp_path, 'show.yaml')}\n.DELETE_ON_ERROR:\n"
    write(tmp_path, f"mkdir -p renders/show; echo clip > renders/show/A_t1.mp4; {end}\n", "program")
    ran = follow(tmp_path, text if precious else text.replace(".PRECIOUS", "not-precious"), "renders/show/A_t1.mp4",
                 program="sh program")
    assert ran.returncode != 0
    assert (tmp_path / "renders" / "show" / "A_t1.mp4").exists() is precious


def test_names_with_all_that_make_can_spell_are_followed_to_the_letter(tmp_path: Path) -> None:
    name = "it's #1: $(x) 50% = `y` & é/a (2) show.yaml"
    write(tmp_path, TWO.replace("Two.", "Two., first_frame: 'b $c #d.png'"), name)
    picture = tmp_path / Path(name).parent / "b $c #d.png"
    picture.write_bytes(PNG)
    write(tmp_path, 'for word in "$@"; do printf "<%s>" "$word"; done\n', "program")
    ran = follow(tmp_path, rules(tmp_path, name), f"{Path(name).parent}/renders/a (2) show/B_t1.mp4", program="sh program")
    assert ran.stdout.endswith(f"<render><{name}><--only><B>"), ran.stdout + ran.stderr


@pytest.mark.parametrize(("name", "text", "place"), [
    ("a*b.yaml", TWO, "a*b.yaml:1:1"), ("show.yaml", TWO.replace("Two.", "Two., first_frame: a|b.png"), "show.yaml:6:40"),
    ("show.yaml", f"include: ['a;b.yaml']\n{TWO}", "a;b.yaml:1:1"), ("show.yaml", f"output: a[1]\n{TWO}", "show.yaml:1:9")])
def test_a_name_that_make_cannot_spell_is_said_at_its_place(tmp_path: Path, name: str, text: str, place: str) -> None:
    write(tmp_path, text, name)
    write(tmp_path, "vars: {}\n", "a;b.yaml")
    (tmp_path / "a|b.png").write_bytes(PNG)
    ran = run(tmp_path, "make", name)
    assert ran.code == 2
    assert f"{place}: error[make-name]: GNU make cannot name " in ran.err
    assert not (tmp_path / ".manifest-runner").exists()


def test_files_of_strangers_with_the_names_of_directives_are_not_obeyed(tmp_path: Path) -> None:
    """Whoever sends a pull request names his files as he likes: a line that begins with `include` would be run by make."""
    write(tmp_path, f"include: [include, x.mk, define]\n{TWO}")
    for name in ("include", "define"):
        write(tmp_path, "vars: {}\n", name)
    write(tmp_path, "vars: {a: $(shell touch pwned)}\n", "x.mk")
    text = rules(tmp_path, "show.yaml", "--out", "show.mk")
    assert "show.mk" in text
    ran = follow(tmp_path, "include show.mk\nshow.mk: ;\n", "-n", "show.all")
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "pwned").exists()


def test_rules_go_to_standard_output_or_to_a_file_which_is_replaced_only_by_others(tmp_path: Path) -> None:
    write(tmp_path, TWO)
    shown = rules(tmp_path, "show.yaml").splitlines()
    assert rules(tmp_path, "show.yaml", "--out", "show.mk") == "show.mk: 2 shots, something to do about 2 shots\n"
    more = [line for line in (tmp_path / "show.mk").read_text().splitlines() if line not in shown]
    assert more[1:] == [".PRECIOUS: show.mk", "show.mk: $(show.inputs)"]
    before = (tmp_path / "show.mk").stat()
    assert rules(tmp_path, "show.yaml", "--out", "show.mk", "--quiet") == ""
    assert (tmp_path / "show.mk").stat().st_ino == before.st_ino
    assert "there is no folder" in run(tmp_path, "make", "show.yaml", "--out", "no/show.mk").err


# ── the examples ──────────────────────────────────────────────────────────────────────────────────────────────────

PAGE = (Path(__file__).parents[2] / "docs" / "make.md").read_text(encoding="utf-8")
MONSOON = """\
version: 1
show: monsoon
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: SH0010, prompt: One.}
  - {id: SH0020, prompt: Two., first_frame: {shot: SH0010, frame: last}, takes: 2, circled: 2}
"""


def of_the_page(language: str) -> str:
    """The first example in a language."""
    return PAGE.partition(f"```{language}\n")[2].partition("```")[0]


def with_program(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which `manifest-runner` is this program."""
    words = shlex.join([sys.executable, "-m", "manifest_runner"])
    program = write(folder, f'#!/bin/sh\nexec {words} "$@"\n', "bin/manifest-runner")
    program.chmod(0o755)
    found = environment(folder, env)
    return {**found, "PATH": f"{program.parent}{os.pathsep}{found['PATH']}"}


def test_the_makefile_of_the_page_makes_its_own_rules(tmp_path: Path) -> None:
    write(tmp_path, MONSOON, "monsoon.yaml")
    write(tmp_path, of_the_page("make"), "Makefile")
    ran = subprocess.run(["make", "-n", "all", "monsoon.draft.all"], cwd=tmp_path, env=with_program(tmp_path, {}), text=True,
                         capture_output=True, timeout=60, check=False)
    assert ran.stdout.count("manifest-runner render monsoon.yaml --only") == 2, ran.stderr
    assert ran.stdout.count("manifest-runner render monsoon.yaml --draft") == 1


@pytest.mark.skipif(shutil.which("ninja") is None, reason="ninja is not installed")
def test_the_example_for_ninja_renders_what_has_changed(tmp_path: Path) -> None:
    write(tmp_path, MONSOON, "monsoon.yaml")
    write(tmp_path, of_the_page("ninja"), "build.ninja")
    with small_simulator(tmp_path) as address:
        studio, env = Studio(tmp_path, address), with_program(tmp_path, live(address))

        def ninja() -> str:
            ran = subprocess.run(["ninja"], cwd=tmp_path, env=env, text=True, capture_output=True, timeout=60, check=True)
            return ran.stdout

        ninja()
        assert studio.new() == ["SH0010_t1", "SH0020_t1", "SH0020_t2"]
        assert ninja() == "ninja: no work to do.\n"
        studio.edit("monsoon.yaml", "Two.", "Too.")
        ninja()
        assert studio.new() == ["SH0020_t1", "SH0020_t2"]
        assert ninja() == "ninja: no work to do.\n"


def test_the_makefile_of_the_manifests_draws_a_draft_and_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    shutil.copytree(MANIFESTS, tmp_path / "manifests", ignore=shutil.ignore_patterns("renders", "*.lock.json", "plates"))
    studio = Studio(tmp_path, "http://nowhere.invalid")
    studio.edit("manifests/first.yaml", "duration: 3", "duration: 1")
    words = ["-C", "manifests", "SHOWS=first"]
    studio.make(*words, "-j2")
    assert [path.name for path in sorted((tmp_path / "manifests" / "renders").iterdir())] == [
        "first.draft", "first.draft.otio", "first.draft.reel.mp4", "first.draft.report.html"]
    assert studio.make(*words, "-q") == ""
    assert studio.make(*words) == "make: Nothing to be done for 'drafts'.\n"
