"""Lockfiles in real git: branches that render different shots merge, the same shot on both is a conflict that says what to do.

Renders are stood in for where the books of the gateway do not matter: the lockfile is what it would be, and job ids name the
branch.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from manifest_runner.core.lockfile import read, write
from manifest_runner.core.model import Action, JobId, Lockfile, ShotId
from tests.builders import entry, manifest_of, plan_of
from tests.cli.support import Ran, environment, run
from tests.crash.test_killed_run import books, live, simulator

SHOW = """\
version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - id: SH0010
    prompt: A tram stops in the rain.

  - id: SH0020
    prompt: The doors open and nobody gets off.

  - id: SH0030
    prompt: The tram leaves.
"""
LOCK = "show.lock.json"
FIRST = "  - id: SH0010"
ATTRIBUTES = "*.lock.json text eol=lf merge=manifest-runner linguist-generated=true\n"


class Clone:
    """A repository with a show in it, and a person who works there."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self.env = environment(
            tools,
            {
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_EDITOR": "true",
                "GIT_AUTHOR_NAME": "Asha",
                "GIT_AUTHOR_EMAIL": "asha@example.invalid",
                "GIT_COMMITTER_NAME": "Asha",
                "GIT_COMMITTER_EMAIL": "asha@example.invalid",
            },
        )

    def git(self, *arguments: str, fails: bool = False) -> str:
        ran = subprocess.run(["git", *arguments], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert (ran.returncode != 0) == fails, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def run(self, *arguments: str) -> Ran:
        return run(self.folder, *arguments, env=self.env)

    def text(self, name: str = LOCK) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def write(self, text: str, name: str = "show.yaml") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def lockfile(self) -> Lockfile:
        return read(self.text(), path=LOCK)

    def branch(self, name: str, *edits: tuple[str, str], start: str = "main") -> None:
        """A branch on which the manifest was edited and rendered."""
        self.git("checkout", "-q", "-b", name, start)
        text = self.text("show.yaml")
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        self.write(text)
        self.render(name)
        self.git("commit", "-q", "-am", f"Render {name}")
        self.git("checkout", "-q", start)

    def render(self, name: str) -> None:
        """The lockfile as a render on the branch `name` would leave it."""
        manifest = manifest_of(self.text("show.yaml"))
        there = self.lockfile() if (self.folder / LOCK).exists() else Lockfile()
        entries = dict(there.entries)
        for change in plan_of(manifest, lock={(shot, take): value for (shot, take), value in entries.items()}).changes:
            where = (change.shot, change.take)
            if change.action is Action.DROP:
                del entries[where]
            elif change.action is not Action.KEEP and change.after is not None:
                made = entry(change.after, shot=change.shot, take=change.take, content=name)
                entries[where] = replace(
                    made, job_id=JobId(f"job_{change.shot}_{name}"), external_task_id=f"{change.shot}_t{change.take}.a1.{name}"
                )  # type: ignore[arg-type]
        self.write(write(replace(there, entries=entries), manifest="show.yaml"), LOCK)

    def jobs(self) -> dict[str, str | None]:
        return {shot: found.job_id for (shot, _), found in self.lockfile().entries.items()}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A show of three rendered shots on `main`; `manifest-runner` is on the path."""
    tools, folder = tmp_path / "tools", tmp_path / "clone"
    tools.mkdir()
    folder.mkdir()
    program = tools / "manifest-runner"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m manifest_runner "$@"\n')
    program.chmod(0o755)
    made = Clone(folder, tools)
    made.git("init", "-q", "-b", "main", ".")
    made.write(SHOW)
    made.write(ATTRIBUTES, ".gitattributes")
    made.render("main")
    made.git("add", ".")
    made.git("commit", "-q", "-m", "The show")
    return made


def with_driver(clone: Clone) -> Clone:
    assert "shot by shot" in clone.run("merge", "--install").out
    return clone


SLOW = ("A tram stops", "A tram stops slowly")
DOORS = ("The doors open", "One door opens")
GATES = ("The doors open", "The gates open")
LEAVES = ("The tram leaves", "The last tram leaves")
NEAR = (FIRST, f"  - id: SH0022\n    prompt: A bell.\n\n{FIRST}")
FAR = ("The tram leaves.\n", "The tram leaves.\n\n  - id: SH0025\n    prompt: Rails.\n")
ENDS = ("The tram leaves.\n", "The tram leaves.\n\n  - id: SH0040\n    prompt: Dark.\n")
BEFORE_ALL = (FIRST, f"  - id: SH0035\n    prompt: A bell.\n\n{FIRST}")
GONE = ("  - id: SH0020\n    prompt: The doors open and nobody gets off.\n\n", "")

DIFFERENT = {
    "edited shots": (SLOW, LEAVES, True),
    "an edited shot and a dropped one": (SLOW, GONE, True),
    "neighbours, both new": (NEAR, FAR, False),
    "both new at the end": (BEFORE_ALL, ENDS, False),
}


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "plain git"])
@pytest.mark.parametrize("name", DIFFERENT)
def test_branches_that_render_different_shots_merge(clone: Clone, name: str, driver: bool) -> None:
    here, there, plain_git_can = DIFFERENT[name]
    if driver:
        with_driver(clone)
    clone.branch("rain", here)
    clone.branch("fog", there)
    clone.git("checkout", "-q", "rain")
    if driver or plain_git_can:
        clone.git("merge", "-q", "--no-edit", "fog")
    else:
        clone.git("merge", "-q", "--no-edit", "fog", fails=True)
        settled = clone.run("lock", "--resolve", LOCK)
        assert (settled.code, settled.err) == (0, "")
        assert "merged, no take was rendered on both sides" in settled.out
    manifest = manifest_of(clone.text("show.yaml"))
    assert set(clone.jobs()) == {shot.id for shot in manifest.shots}
    assert clone.text() == write(clone.lockfile(), manifest="show.yaml"), "as if one machine had written it"
    plan = json.loads(clone.run("plan", "show.yaml", "--json").out)
    assert {change["action"] for change in plan["changes"]} == {"fetch"}, "nothing is to be paid for"


def contested(clone: Clone) -> Clone:
    """Two branches that both rendered SH0020, each with another prompt, and one shot more."""
    clone.branch("rain", DOORS, SLOW)
    clone.branch("fog", GATES, LEAVES)
    clone.git("checkout", "-q", "rain")
    return clone


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "plain git"])
def test_the_same_shot_on_both_is_a_conflict_that_a_person_understands(clone: Clone, driver: bool) -> None:
    if driver:
        with_driver(clone)
    contested(clone)
    said = clone.git("merge", "--no-edit", "fog", fails=True)
    shown = clone.run("lock", "--resolve", LOCK)
    assert shown.code == 1
    assert (
        shown.out
        == f"""\
{LOCK}: SH0020 t1 was rendered by both sides: two jobs
  HEAD  job_SH0020_rain  145 credits  stored
  fog   job_SH0020_fog   145 credits  stored
  prompt: [-One-]{{+The+}} [-door-]{{+gates+}} [-opens-]{{+open+}} and nobody gets off.
  keep one; the other stays on record in the lockfile, and is not paid for again:
    manifest-runner lock --resolve {LOCK} --keep job_SH0020_rain  # HEAD
    manifest-runner lock --resolve {LOCK} --keep job_SH0020_fog   # fog
"""
    )
    if driver:
        assert shown.out.strip() in said, "git's own output says it already"
    text = clone.text()
    assert text.count("<<<<<<<") == 1
    before, _, rest = text.partition("<<<<<<< HEAD\n")
    inside, _, after = rest.partition(">>>>>>> fog\n")
    assert [shot for shot in ("SH0010", "SH0030") if f'"{shot}"' in inside] == []
    assert ("job_SH0010_rain" in before, "job_SH0030_fog" in after) == (True, True)


def test_the_job_that_is_kept_is_named_by_its_id_and_the_other_stays_on_record(clone: Clone) -> None:
    contested(with_driver(clone)).git("merge", "--no-edit", "fog", fails=True)
    kept = clone.run("lock", "--resolve", LOCK, "--keep", "job_SH0020_fog")
    assert (kept.code, kept.err) == (0, "")
    assert clone.jobs() == {"SH0010": "job_SH0010_rain", "SH0020": "job_SH0020_fog", "SH0030": "job_SH0030_fog"}
    (record,) = clone.lockfile().superseded[ShotId("SH0020"), 1]
    assert record.job_id == "job_SH0020_rain"
    for side in ("--ours", "--theirs"):  # whichever prompt the manifest ends with, its clip is known
        clone.git("checkout", "-q", side, "--", "show.yaml")
        plan = json.loads(clone.run("plan", "show.yaml", "--json").out)
        (change,) = (change for change in plan["changes"] if change["shot"] == "SH0020")
        assert (change["action"], change["credits"]) == ("fetch", "0")


@pytest.mark.parametrize("choice", [("--ours", "SH0020"), ("--theirs", "SH0020:1")])
def test_a_side_can_be_chosen_as_git_calls_it(clone: Clone, choice: tuple[str, str]) -> None:
    contested(with_driver(clone)).git("merge", "--no-edit", "fog", fails=True)
    assert clone.run("lock", "--resolve", "show.yaml", *choice).code == 0
    assert clone.jobs()["SH0020"] == ("job_SH0020_rain" if choice[0] == "--ours" else "job_SH0020_fog")


def test_a_choice_that_names_nothing_in_conflict_changes_nothing(clone: Clone) -> None:
    contested(with_driver(clone)).git("merge", "--no-edit", "fog", fails=True)
    before = clone.text()
    for choice in (("--keep", "job_x"), ("--ours", "SH0010"), ("--ours", "SH0020", "--theirs", "SH0020"), ("--check",)):
        assert clone.run("lock", "--resolve", LOCK, *choice).code == 2
        assert clone.text() == before
    assert clone.run("lock", "--ours", "SH0020", LOCK).code == 2


SWAPPED = {"rebase": ("rebase", "fog"), "cherry-pick": ("cherry-pick", "fog")}


@pytest.mark.parametrize("driver", [True, False], ids=["driver", "plain git"])
@pytest.mark.parametrize("name", SWAPPED)
def test_in_a_rebase_and_a_cherry_pick_the_sides_are_named_by_what_they_are(clone: Clone, name: str, driver: bool) -> None:
    if driver:
        with_driver(clone)
    contested(clone).git(*SWAPPED[name], fails=True)
    shown = clone.run("lock", "--resolve", LOCK)
    picked = "rain" if name == "rebase" else "fog"  # a rebase puts ours on top of theirs
    here = "fog" if name == "rebase" else "rain"
    rows = {line.split("job_")[1].split()[0]: line for line in shown.out.splitlines() if "145 credits" in line}
    assert f"(Render {picked})" in rows[f"SH0020_{picked}"]
    assert "Render" not in rows[f"SH0020_{here}"]
    assert clone.run("lock", "--resolve", LOCK, "--keep", "job_SH0020_rain").code == 0
    clone.git("checkout", "-q", "rain", "--", "show.yaml")
    clone.git("add", ".")
    clone.git(name, "--continue")
    assert clone.jobs() == {"SH0010": "job_SH0010_rain", "SH0020": "job_SH0020_rain", "SH0030": "job_SH0030_fog"}


def test_dropped_by_one_and_rendered_by_the_other_is_a_conflict(clone: Clone) -> None:
    with_driver(clone)
    clone.branch("rain", GONE)
    clone.branch("fog", GATES)
    clone.git("checkout", "-q", "rain")
    said = clone.git("merge", "--no-edit", "fog", fails=True)
    assert "SH0020 t1 was dropped by HEAD and changed by fog" in said
    assert f"lock --resolve {LOCK} --ours SH0020:1 " in said
    assert clone.run("lock", "--resolve", LOCK, "--ours", "SH0020:1").code == 0
    assert set(clone.jobs()) == {"SH0010", "SH0030"}


@pytest.mark.parametrize("command", ["plan", "status", "render"])
def test_a_lockfile_with_markers_says_what_to_type(clone: Clone, command: str) -> None:
    contested(with_driver(clone)).git("merge", "--no-edit", "fog", fails=True)
    clone.git("checkout", "-q", "--ours", "--", "show.yaml")
    clone.env.update(live("http://127.0.0.1:9"))
    ran = clone.run(command, "show.yaml", "--json") if command != "render" else clone.run(command, "show.yaml", "--yes")
    assert ran.code == 2
    assert f"manifest-runner lock --resolve {LOCK}" in ran.out + ran.err
    if command != "render":
        assert json.loads(ran.out)["next"] == [f"manifest-runner lock --resolve {LOCK}"]


def test_without_the_program_git_merges_as_if_there_were_no_driver(clone: Clone) -> None:
    contested(with_driver(clone))
    clone.env["PATH"] = os.environ["PATH"]
    driver = clone.git("config", "merge.manifest-runner.driver").strip()
    clone.git("config", "merge.manifest-runner.driver", driver.replace("manifest-runner merge", "no-such-program merge"))
    clone.git("merge", "--no-edit", "fog", fails=True)
    assert "<<<<<<<" in clone.text()
    assert "job_SH0020_rain" in clone.text()
    assert "job_SH0020_fog" in clone.text()


def test_lockfiles_of_others_are_merged_as_text(clone: Clone) -> None:
    with_driver(clone)
    name = "packages.lock.json"
    text = '{\n  "a": 1,\n\n\n  "b": 1\n}\n'
    clone.write(text, name)
    clone.git("add", ".")
    clone.git("commit", "-q", "-m", "packages")
    for branch, key in (("one", "a"), ("two", "b")):
        clone.git("checkout", "-q", "-b", branch, "main")
        clone.write(text.replace(f'"{key}": 1', f'"{key}": 2'), name)
        clone.git("commit", "-q", "-am", branch)
    clone.git("merge", "-q", "--no-edit", "one")
    assert json.loads(clone.text(name)) == {"a": 2, "b": 2}


def test_a_lockfile_of_a_newer_version_is_refused_and_nothing_of_it_is_lost(clone: Clone) -> None:
    with_driver(clone)
    clone.branch("rain", SLOW)
    clone.branch("fog", LEAVES)
    clone.git("checkout", "-q", "fog")
    newer = clone.text().replace('"version": 1', '"version": 2')
    clone.write(newer, LOCK)
    clone.git("commit", "-q", "-am", "A newer program")
    clone.git("checkout", "-q", "rain")
    mine = clone.text()
    said = clone.git("merge", "--no-edit", "fog", fails=True)
    assert f"{LOCK}: version is 2; this program reads version 1" in said
    assert mine in clone.text()
    assert newer in clone.text()
    refused = clone.run("lock", "--resolve", LOCK)
    assert (refused.code, "this program reads version 1" in refused.err) == (2, True)


def test_resolving_what_is_in_no_conflict_changes_nothing(clone: Clone) -> None:
    before = clone.text()
    assert clone.run("lock", "--resolve", LOCK).code == 0
    assert clone.text() == before
    assert clone.run("lock", "--resolve", LOCK, "--ours", "SH0010").code == 2
    assert clone.run("lock", "--resolve", "nowhere.lock.json").code == 2


def test_markers_that_cut_through_blocks_are_not_guessed_at_where_git_knows_nothing(clone: Clone) -> None:
    contested(clone).git("merge", "--no-edit", "fog", fails=True)
    text = clone.text()
    clone.git("merge", "--abort")
    clone.write(text, LOCK)
    ran = clone.run("lock", "--resolve", LOCK)
    assert (ran.code, clone.text()) == (2, text)
    assert "cut through blocks" in ran.err


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_version_that_git_has_not_at_hand_is_not_taken_for_an_empty_one(clone: Clone, stage: int) -> None:
    contested(clone).git("merge", "--no-edit", "fog", fails=True)
    text = clone.text()
    blob = clone.git("rev-parse", f":{stage}:{LOCK}").strip()
    (clone.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    ran = clone.run("lock", "--resolve", LOCK)
    assert (ran.code, clone.text()) == (2, text)
    assert "git cannot read one of the versions" in ran.err


def test_by_the_books_nothing_is_paid_again_whichever_side_is_kept(clone: Clone) -> None:
    """Two people, two ledgers, one gateway; and a third person who has neither ledger."""
    with_driver(clone)
    (clone.folder / LOCK).unlink()
    clone.write(".manifest-runner/\nrenders/\n", ".gitignore")
    with simulator(clone.folder.parent, "--replay", "correlates") as address:
        clone.env.update(live(address))
        assert clone.run("render", "show.yaml", "--yes").code == 0
        clone.git("add", ".")
        clone.git("commit", "-q", "-m", "Rendered")
        other = Clone(clone.folder.parent / "other", clone.folder.parent / "tools")
        subprocess.run(["git", "clone", "-q", str(clone.folder), str(other.folder)], env=clone.env, check=True)
        other.env.update(live(address))
        for person, edit in ((clone, DOORS), (other, GATES)):
            person.write(SHOW.replace(*edit))
            assert person.run("render", "show.yaml", "--yes", "--only", "SH0020").code == 0
            person.git("commit", "-q", "-am", f"Render {edit[1]}")
        paid = books(address)["totals"]["jobs"]
        assert paid == 5
        clone.git("fetch", "-q", str(other.folder), "HEAD")
        clone.git("merge", "--no-edit", "FETCH_HEAD", fails=True)
        theirs = other.jobs()["SH0020"]
        assert clone.run("lock", "--resolve", LOCK, "--keep", str(theirs)).code == 0
        clone.git("checkout", "-q", "--theirs", "--", "show.yaml")
        clone.git("add", ".")
        clone.git("commit", "-q", "-m", "Merged")
        third = Clone(clone.folder.parent / "third", clone.folder.parent / "tools")
        subprocess.run(["git", "clone", "-q", str(clone.folder), str(third.folder)], env=clone.env, check=True)
        third.env.update(live(address))
        for edit in (GATES, DOORS):  # as merged, and as the other one had it
            third.write(SHOW.replace(*edit))
            ran = third.run("render", "show.yaml", "--yes")
            assert ran.code == 0, ran.out + ran.err
            clip = third.lockfile().entries[ShotId("SH0020"), 1].outputs[0]
            assert hashlib.sha256((third.folder / clip.path).read_bytes()).hexdigest() == clip.sha256
            assert "Nothing to do: 3 kept." in third.run("plan", "show.yaml").out
        assert books(address)["totals"]["jobs"] == paid
