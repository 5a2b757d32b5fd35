"""A plan that is said without being made says what the full one says, whatever happened in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.adapters import footing as files
from manifest_runner.adapters import ground
from manifest_runner.adapters.ground import NOTES, survey
from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.adapters.settings import VARIABLES
from manifest_runner.adapters.settings_files import project_files
from manifest_runner.adapters.signs import Doubt
from manifest_runner.adapters.state import StateFolder
from manifest_runner.cli import footing
from manifest_runner.ports import SpendingLimits
from tests.cli.support import environment
from tests.cli.test_broken import traceable
from tests.footings import ARGUMENTS, LOOK, MANIFEST, OTHER_PICTURE, PICTURE, Clocks, Place, ledger_with, open_job, png

Change = Callable[[Place], object]
NOTHING = (0, "Nothing to do: 2 kept. 0 credits.\n", "")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "show")


def as_link(place: Place, path: str) -> None:
    """What is at `path` lies elsewhere in the repository now, and a link leads there."""
    whole = place.folder / path
    there = place.folder / "elsewhere" / whole.name
    there.parent.mkdir(exist_ok=True)
    whole.rename(there)
    whole.symlink_to(there)
    place.clocks.edited(whole)


def as_copy(place: Place, path: str) -> None:
    """What is at `path` is a copy of it now."""
    whole = place.folder / path
    there = whole.with_name("away")
    whole.rename(there)
    shutil.copytree(there, whole)
    for file in (*there.rglob("*"), *whole.rglob("*")):
        place.clocks.edited(file)


def in_git(place: Place) -> None:
    subprocess.run(["git", "init", "-q"], cwd=place.folder, check=True)


# What a plan stands on, each thing changed alone; the texts and the clips keep their size where they can.
CHANGES: dict[str, Change] = {
    "a word of a prompt": lambda place: place.write("test.yaml", MANIFEST.replace("waits", "walks")),
    "a comment": lambda place: place.write("test.yaml", f"{MANIFEST}#\n"),
    "an included file": lambda place: place.write("looks/rain.yaml", LOOK.replace("dusk", "dawn")),
    "a picture": lambda place: place.write("plates/in.png", OTHER_PICTURE),
    "no picture": lambda place: place.remove("plates/in.png"),
    "the lockfile": lambda place: place.write("test.lock.json", place.lock.replace("145", "154")),
    "no lockfile": lambda place: place.remove("test.lock.json"),
    "a clip is gone": lambda place: place.remove("renders/test/A_t1.mp4"),
    "a clip is shorter": lambda place: place.write("renders/test/A_t1.mp4", b"." * 999),
    "a clip is a link": lambda place: as_link(place, "renders/test/A_t1.mp4"),
    "a clip has another name": lambda place: (place.folder / "renders/test/A_t1.mp4").rename(
        place.folder / "renders/test/A_t2.mp4"),
    "no clips": lambda place: place.remove("renders"),
    "the clips' folder is a link": lambda place: as_link(place, "renders/test"),
    "the folder above is a link": lambda place: as_link(place, "renders"),
    "the manifest is a link": lambda place: as_link(place, "test.yaml"),
    "an include is a link": lambda place: as_link(place, "looks/rain.yaml"),
    "its folder is a link": lambda place: as_link(place, "looks"),
    "a picture is a link": lambda place: as_link(place, "plates/in.png"),
    "settings of the project": lambda place: place.write("manifest-runner.toml", ""),
    "settings among others": lambda place: place.write("pyproject.toml", ""),
    "settings of the user": lambda place: place.write("home/.config/manifest-runner/config.toml", ""),
    "a ledger": lambda place: place.write(".manifest-runner/ledger.sqlite3", ledger_with(place.folder / "made", ["A"])),
    "a log without a ledger": lambda place: place.write(".manifest-runner/ledger.sqlite3-wal", b"log"),
    "a file of the program": lambda place: place.write("package/a.py", "exit\n"),
    "a new file of the program": lambda place: place.write("package/b.py", ""),
    "a model card": lambda place: place.write("package/schemas/card.yaml", "#"),
    "another root": in_git,
    "a copy of the state folder": lambda place: as_copy(place, ".manifest-runner"),
    "no state folder": lambda place: place.remove(".manifest-runner"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_plan_stands_on_is_noticed_when_it_changes_alone(change: Change, place: Place) -> None:
    place.rest()
    change(place)
    assert place.at_once() is None


@pytest.mark.parametrize(("name", "value"), [
    ("MANIFEST_RUNNER_FRAMES", "store"), ("MANIFEST_RUNNER_FRAMES", ""), ("MANIFEST_RUNNER_STORE", "s3://b/p"), ("HOME", "/"),
    ("XDG_CONFIG_HOME", "/"), ("PATH", "/"), ("MANIFEST_RUNNER_STATE", ".manifest-runner"), ("PYTHONPATH", "/"),
    ("_MANIFEST_RUNNER_COMPLETE", "zsh_source"),
])
def test_a_variable_that_counts_is_noticed(name: str, value: str, place: Place) -> None:
    place.rest()
    place.environ[name] = value
    assert place.at_once() is None


def test_what_does_not_count_changes_nothing(place: Place) -> None:
    place.rest()
    place.environ.update(TERM="dumb", NO_COLOR="1", TRINETRA_API_KEY="secret", COLUMNS="40")
    place.write("notes.txt", "x")
    place.clocks.wait(1e6)
    found = place.at_once()
    assert found is not None
    assert place.said(found) == place.full() == NOTHING


def test_what_is_changed_back_is_as_it_was(place: Place) -> None:
    place.rest()
    for path, text in (("test.yaml", MANIFEST), ("looks/rain.yaml", LOOK), ("plates/in.png", PICTURE)):
        place.write(path, b"?" * len(text))
        assert place.at_once() is None
        place.write(path, text)
        assert place.at_once() is not None


def test_another_way_of_asking_is_another_question(place: Place) -> None:
    place.rest()
    for arguments in (("plan", "test.yaml", "-q"), ("plan", "./test.yaml"), ("plan", "test.yaml", "--only", "A")):
        assert place.at_once(arguments) is None
        found = place.rest(arguments)
        assert place.said(found, arguments) == place.full(arguments)
    assert place.said(place.rest(("plan", "test.yaml", "--only", "A")))[1] == "Nothing to do: 1 kept. 0 credits.\n"


@pytest.mark.parametrize("arguments", [
    ("plan", "test.yaml", "--json"), ("plan", "test.yaml", "-v"), ("plan", "test.yaml", "--format", "markdown"),
    ("plan", "test.yaml", "--out", "plan.json"), ("plan", "test.yaml", "--state-dir", "other")])
def test_where_more_is_asked_the_plan_is_made(arguments: tuple[str, ...], place: Place) -> None:
    assert place.at_once(arguments) is None
    assert place.full(arguments)[0] == 0
    assert place.at_once(arguments) is None


def test_what_is_said_besides_is_said_again(place: Place) -> None:
    lock = place.folder / "test.lock.json"
    document = json.loads(lock.read_text().replace('"duration": 5.0', '"duration": 9.0'))
    lock.write_text(json.dumps(document))
    place.clocks.edited(lock)
    place.environ["MANIFEST_RUNNER_FRAMES"] = "store"
    found = place.rest()
    said = place.said(found)
    assert said == place.full()
    assert "to look at: A t1 (it is 9 s long, 5 s were asked for)" in said[2]
    assert "before it can be rendered" not in said[2], "nothing is to be rendered"


def test_with_a_team_s_ledger_a_plan_is_made_each_time(place: Place) -> None:
    place.environ["MANIFEST_RUNNER_LEDGER"] = ""  # named and not there: plans go on with the lockfile alone
    with pytest.raises(AssertionError, match="no footing was left"):
        place.rest()


def test_a_plan_with_a_warning_is_made_each_time(tmp_path: Path) -> None:
    place = Place(tmp_path / "show", picture=png(240, 135))
    place.at_once()
    _, out, err = place.full()
    assert (out, "small-picture" in err) == (NOTHING[1], True)
    assert place.at_once() is None


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def quick_ledger(place: Place) -> bytes:
    """A ledger that knows nothing lies there; another one of the same size that knows an open job."""
    place.write(".manifest-runner/ledger.sqlite3", ledger_with(place.folder / "made", []))
    return ledger_with(place.folder / "made", ["A"])


def test_what_has_changed_just_now_is_planned_again_until_its_time_tells_it_apart(place: Place) -> None:
    other = quick_ledger(place)
    place.clocks.wait(1)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is None, "the ledger could still change within the tick that its time names"
    place.clocks.wait(1.1)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is not None
    place.write(".manifest-runner/ledger.sqlite3", other)
    assert place.at_once() is None


def after_reading(place: Place, monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """A plan, and a change after it has read everything and before it leaves a footing."""
    leave = footing.leave

    def late(*arguments: object) -> None:
        change(place)
        leave(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(footing, "leave", late)
    assert place.full()[1] == NOTHING[1]
    monkeypatch.undo()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_while_a_plan_is_made_is_noticed(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.at_once()
    after_reading(place, monkeypatch, CHANGES[name])
    found = place.at_once()
    if name in ("the clips' folder is a link", "the folder above is a link"):  # to where the same clips are
        assert found is None or place.said(found) == place.full()
    else:
        assert found is None


def test_a_folder_of_clips_that_leaves_the_repository_while_a_plan_is_made_is_noticed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves(place: Place) -> None:
        (place.folder / "renders").rename(place.folder.parent / "renders")
        (place.folder / "renders").symlink_to(place.folder.parent / "renders")

    place.at_once()
    after_reading(place, monkeypatch, leaves)
    assert place.at_once() is None


def test_a_plan_with_something_to_do_leaves_no_footing(place: Place) -> None:
    for name in ("a word of a prompt", "a clip is gone", "a ledger"):
        CHANGES[name](place)
        place.clocks.wait(60)
        place.at_once()
        assert "Plan: " in place.full()[1]
        assert place.at_once() is None


def test_what_is_changed_and_changed_back_while_a_plan_is_made_leaves_no_footing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place.environ["MANIFEST_RUNNER_FRAMES"]
    place.write("manifest-runner.toml", 'frames = "inline"')
    place.clocks.wait(60)
    place.at_once()
    place.remove("manifest-runner.toml")
    after_reading(place, monkeypatch, lambda place: place.write("manifest-runner.toml", 'frames = "inline"'))
    assert place.at_once() is None, "it would say again what is so no more"


def test_a_clock_that_is_set_while_a_plan_is_made_leaves_no_footing(place: Place) -> None:
    for seconds in (3600, -3600):
        place.at_once()
        place.clocks.step(seconds)
        assert place.full() == NOTHING
        assert place.at_once() is None


def test_before_the_moment_of_a_footing_it_does_not_count(place: Place) -> None:
    place.rest()
    place.clocks.step(-3600)
    assert place.at_once() is None
    place.clocks.step(3601)
    assert place.at_once() is not None


def test_a_file_from_the_future_is_not_trusted(place: Place) -> None:
    place.clocks.step(3600)
    quick_ledger(place)
    place.clocks.step(-3600)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is None


def test_where_whole_seconds_are_all_that_is_told_no_footing_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Clocks.sign
    monkeypatch.setattr(Clocks, "sign", lambda self, facts: (*seconds(self, facts)[:4],
                                                             seconds(self, facts)[4] // 10**9 * 10**9))
    place.clocks.wait(60)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is None


def test_a_job_in_the_log_of_a_ledger_is_noticed(place: Place) -> None:
    """What a run commits lies in the log until the last process has closed the ledger."""
    path = place.folder / ".manifest-runner" / "ledger.sqlite3"
    quick_ledger(place)
    place.rest()
    with SqliteLedger(path, account="test", run="r") as ledger:
        ledger.admit(open_job("A"), SpendingLimits())
        assert place.at_once() is None
        assert "> A t1" in place.full()[1]
    assert place.at_once() is None


def test_a_log_that_is_written_and_does_not_count_yet_is_told_from_one_that_does(place: Place) -> None:
    """A writer may take its time between the two, on a slow disk: nothing of the log changes when it begins to count."""
    path = place.folder / ".manifest-runner" / "ledger.sqlite3"
    quick_ledger(place)
    for name, content in (("wal", b"frames"), ("shm", b"1" * 48)):
        place.write(f".manifest-runner/ledger.sqlite3-{name}", content)
    place.clocks.wait(60)
    with place.here():
        before = survey(ARGUMENTS, os.environ, place.clocks)
        path.with_name("ledger.sqlite3-shm").write_bytes(b"2" * 48)
        after = survey(ARGUMENTS, os.environ, place.clocks)
        place.write(".manifest-runner/ledger.sqlite3-journal", b"journal")
        with pytest.raises(Doubt):
            survey(ARGUMENTS, os.environ, place.clocks)
    assert before is not None
    assert after is not None
    assert before.standing != after.standing


def test_a_picture_is_known_by_its_sign_only_where_that_is_settled(place: Place) -> None:
    """It is read again then, and never taken for another one of the same size."""
    place.clocks.wait(1)
    place.write("plates/in.png", PICTURE)
    place.clocks.wait(1)
    place.at_once()
    place.full()
    found = place.at_once()
    assert found is not None
    assert [read.sign for read in found.reads] == [None] * 3
    found = place.rest(("plan", "test.yaml", "-q"))
    assert [read.sign is not None for read in found.reads] == [False, False, True]


def test_a_draft_stands_on_its_own_ledger(tmp_path: Path) -> None:
    place = Place(tmp_path / "show")
    (place.folder / "renders" / "test").rename(place.folder / "renders" / "test.draft")
    place.write("test.draft.lock.json", place.lock)
    draft = ("plan", "test.yaml", "--draft")
    found = place.rest(draft)
    assert place.said(found, draft) == place.full(draft) == (0, "Nothing to do: 2 kept. A draft costs nothing.\n", "")
    place.write(".manifest-runner/draft/ledger.sqlite3", ledger_with(place.folder / "made", ["A"]))
    assert place.at_once(draft) is None
    assert (place.folder / ".manifest-runner" / "draft" / "footings").is_dir()
    assert not (place.folder / ".manifest-runner" / "footings").exists()


def test_what_was_looked_at_first_is_what_the_plan_was_made_of(place: Place) -> None:
    """The manifest is guessed before a command line is understood."""
    place.write("else.yaml", MANIFEST)
    arguments = ("plan", "--store", "else.yaml", "test.yaml")
    place.clocks.wait(60)
    assert place.at_once(arguments) is None
    assert place.full(arguments) == NOTHING
    assert not (place.folder / ".manifest-runner" / "footings").exists()


def test_a_manifest_that_the_lockfile_names_is_looked_for_each_time(place: Place) -> None:
    place.write("test.lock.json", place.lock.replace("test.yaml", "else.yaml"))
    place.clocks.wait(60)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is None
    place.write("else.yaml", MANIFEST)
    assert place.full()[0] == 2


def test_only_so_many_footings_are_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST", 3)
    for number in range(5):
        place.rest(("plan", "test.yaml", *["-q"] * number))
    assert len([*(place.folder / ".manifest-runner" / "footings").iterdir()]) == 2


# ── who may say so ────────────────────────────────────────────────────────────────────────────────────────────────────


def left(place: Place) -> Path:
    (file,) = (place.folder / ".manifest-runner" / "footings").iterdir()
    return file


@pytest.mark.parametrize("harm", [
    lambda file: file.chmod(0o644),
    lambda file: file.chmod(0o620),
    lambda file: file.write_bytes(file.read_bytes()[:-1]),
    lambda file: file.write_bytes(file.read_bytes().replace(b"kept\t2", b"kept\t3")),
    lambda file: file.write_bytes(b"\0" * file.stat().st_size),
    lambda file: file.write_bytes(b""),
    lambda file: file.rename(file.with_name("other")),
    lambda file: (file.rename(file.with_name("other")), file.symlink_to("other")),
    lambda file: (file.unlink(), file.mkdir()),
    lambda file: (file.unlink(), os.mkfifo(file, 0o600)),
], ids=["readable", "writable", "cut", "edited", "torn", "empty", "gone", "link", "folder", "pipe"])
def test_a_footing_that_is_odd_or_that_others_could_have_written_is_none(harm: Change, place: Place) -> None:
    place.rest()
    harm(left(place))  # type: ignore[arg-type]
    assert place.at_once() is None
    assert place.full() == NOTHING


def test_a_footing_of_somebody_else_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.rest()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert place.at_once() is None


def test_a_state_folder_that_git_knows_is_not_believed(place: Place) -> None:
    in_git(place)
    place.look_at_all()
    place.rest()
    subprocess.run(["git", "add", "-f", ".manifest-runner"], cwd=place.folder, check=True)
    assert place.at_once() is None
    code, _, err = place.full()
    assert (code, "among the files of the repository" in err) == (2, True)


def test_a_footing_that_came_with_a_checkout_is_not_believed(place: Place, tmp_path: Path) -> None:
    """Whoever commits one can write into it what he likes, but not the inode and the time of a file of the clone."""
    in_git(place)
    place.look_at_all()
    place.rest()
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", "add", "-f", "."], cwd=place.folder, check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x"], cwd=place.folder, check=True)
    subprocess.run(["git", "clone", "-q", place.folder, tmp_path / "clone"], check=True)
    subprocess.run(["git", "rm", "-rq", "--cached", ".manifest-runner"], cwd=tmp_path / "clone", check=True)
    clone = tmp_path / "clone"
    for path in (clone / ".manifest-runner").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    original, place.folder = place.folder, clone
    place.environ["HOME"] = str(original / "home")
    assert place.at_once() is None


def test_without_git_nobody_has_said_that_a_state_folder_did_not_come_with_its_repository(place: Place) -> None:
    in_git(place)
    place.look_at_all()
    place.environ["PATH"] = str(place.folder / "home")
    place.clocks.wait(60)
    place.at_once()
    assert place.full() == NOTHING
    assert place.at_once() is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_takes_nothing_is_told_as_ever() -> None:
    script = ("import sys; from manifest_runner.cli.outputs import mend; mend()\n"
              "from manifest_runner.cli import footing; from manifest_runner.core.footing import Footing, Read\n"
              "read = Read(asked='a', place='/a', size=1, digest='d')\n"
              "found = Footing(ground='', made=1, kept=2, lockfile=read, reads=(), missing=(), folders=())\n"
              "sys.exit(footing.say(found, ['plan']))")
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (
        2, "error: standard output cannot be written: No space left on device")


# ── render ────────────────────────────────────────────────────────────────────────────────────────────────────────────

RENDER = ("render", "test.yaml")
KEY = "trk_" + "k" * 28


@pytest.fixture
def paid(place: Place) -> Place:
    """A show whose clips are paid for, in an environment with a key."""
    place.environ.update(TRINETRA_API_KEY=KEY, TMPDIR=str(place.folder / "home"))
    return place


def test_a_render_with_nothing_to_do_is_said_again_word_for_word(paid: Place) -> None:
    found = paid.rest(RENDER)
    assert paid.said(found, RENDER) == paid.full(RENDER) == NOTHING
    assert KEY not in left(paid).read_text()


@pytest.mark.parametrize("change", [
    lambda place: place.environ.update(TRINETRA_API_KEY="other"),
    lambda place: place.environ.pop("TRINETRA_API_KEY"),
    lambda place: place.environ.update(MANIFEST_RUNNER_BASE_URL="https://elsewhere.example"),
    lambda place: place.write(f".manifest-runner/{NOTES}1-2.json", "{}"),
    lambda place: place.write(f"{NOTES}1-2.json", "{}"),
    lambda place: place.write(f"home/{NOTES}1-2.json", "{}"),
    lambda place: place.write("test.lock.json", place.lock + " "),
    lambda place: place.remove("renders/test/B_t1.mp4"),
], ids=["key", "no key", "gateway", "note", "note beside the manifest", "note in the temporary folder", "lockfile", "clip"])
def test_what_a_run_stands_on_besides_is_noticed(change: Change, paid: Place) -> None:
    paid.rest(RENDER)
    change(paid)
    assert paid.at_once(RENDER) is None


@pytest.mark.parametrize("more", [("--json",), ("--depfile", "test.d"), ("--plan", "plan.json"), ("--key-file", "key"),
                                  ("--listen", "127.0.0.1:8090", "--callback-url", "https://hooks.example/x")])
def test_a_render_that_does_more_than_look_is_made_each_time(more: tuple[str, ...], paid: Place) -> None:
    paid.write("key", KEY)
    assert paid.full(("plan", "test.yaml", "--out", "plan.json"))[0] == 0
    paid.clocks.wait(60)
    assert paid.at_once((*RENDER, *more)) is None
    code, out, err = paid.full((*RENDER, *more))
    assert code == 0, out + err
    assert paid.at_once((*RENDER, *more)) is None


def test_a_render_that_catches_the_lockfile_up_leaves_nothing_and_the_next_one_does(paid: Place) -> None:
    paid.write("test.lock.json", paid.lock.replace('"duration": 5.0', '"duration": 9.0'))
    paid.clocks.wait(60)
    assert paid.at_once(RENDER) is None
    assert "look at" in paid.full(RENDER)[2]
    paid.clocks.edited(paid.folder / "test.lock.json")
    assert (paid.folder / "test.lock.json").read_text().count("9 s long") == 2, "the verdict is written down"
    assert not (paid.folder / ".manifest-runner" / "footings").exists()
    found = paid.rest(RENDER)
    assert paid.said(found, RENDER) == paid.full(RENDER)


def test_names_that_are_known_twice_are_the_same() -> None:
    """What a quick plan looks for it knows by itself."""
    assert ground.KEY_VARIABLE == KEY_VARIABLE
    assert VARIABLES["state-dir"] == ground.STATE_VARIABLE
    state = StateFolder(Path(ground.STATE), draft=True)
    assert state.ledger == Path(ground.STATE, ground.DRAFT, ground.LEDGER)
    assert [path.name for path in project_files(Path())] == [*ground.SETTINGS]


# ── against the full plan ─────────────────────────────────────────────────────────────────────────────────────────────


TEMPLATED = MANIFEST.replace("The bridge.", "{% include ['gone.j2', 'words/bridge.j2'] ignore missing %}")

NO_INPUTS = re.compile(r"""
    .*/ledger\.sqlite3-(wal|shm)  # an empty log is none, and then its index says nothing
    | \.manifest-runner/(footings(/.*)?|\.gitignore)
    | \.git/(?!index$|config|HEAD$|commondir$).*  # what git looks at besides does not change what is in its index
""", re.VERBOSE)


def touched(place: Place) -> Iterator[str]:
    """Every path below the folder that a plan in a process of its own opens, lists or asks about."""
    trace = place.folder.parent / "trace"
    env = {**environment(place.folder), **place.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "manifest_runner", *ARGUMENTS]  # -P: the folder is none of Python's own
    ran = subprocess.run(["strace", "-f", "-qq", "-y", "-e", "trace=%file", "-o", trace, *command], cwd=place.folder, env=env,
                         capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == NOTHING[1:]
    calls = [line for line in trace.read_text().splitlines() if "execve(" not in line and " resumed>" not in line]
    found = [found for line in calls if (found := re.search(r'(?:<(/[^>]*)>, )?"([^"]*)"', line))]
    for path in sorted({Path(call[1] or "", call[2]) for call in found}):
        whole = Path(os.path.normpath(place.folder / path))
        if whole.is_relative_to(place.folder):
            yield whole.relative_to(place.folder).as_posix()


@pytest.mark.skipif(not traceable(), reason="needs strace, and a machine that lets it trace")
def test_whatever_a_plan_looks_at_is_noticed_when_it_changes(tmp_path: Path) -> None:
    """Who lets a plan read something new has to add it to what a quick plan stands on, or to say here why it is no input."""
    place = Place(tmp_path / "show", text=TEMPLATED)
    in_git(place)
    quick_ledger(place)
    for path in ("manifest-runner.toml", "home/.config/manifest-runner/config.toml"):
        place.write(path, 'frames = "inline"\n')
    for path in ("pyproject.toml", "home/.gitconfig", "home/.config/git/config"):
        place.write(path, "# nothing\n")
    place.look_at_all()
    place.rest()
    paths = [path for path in touched(place) if not NO_INPUTS.fullmatch(path)]
    missed = []
    for path in paths:
        if path == "." or any(other.startswith(f"{path}/") for other in paths):  # a folder on the way
            continue
        path = f"{path}/new" if (place.folder / path).is_dir() else path  # one that was listed
        whole = place.folder / path
        if place.at_once() is None:
            place.rest()
        before = whole.read_bytes() if whole.is_file() else None
        place.write(path, (before or b"") + b"#")
        if place.at_once() is not None:
            missed.append(path)
        place.remove(path) if before is None else place.write(path, before)
    assert {"test.yaml", "looks/rain.yaml", "gone.j2", "plates/in.png", "test.lock.json", "manifest-runner.toml", ".git/index",
            ".manifest-runner/ledger.sqlite3", "home/.config/manifest-runner/config.toml"} <= {*paths}
    assert missed == []


LEDGERS: dict[str, bytes] = {}

MENDS: dict[str, Change] = {
    "nothing": lambda place: None,
    "the first manifest": lambda place: place.write("test.yaml", MANIFEST),
    "a note": lambda place: place.write("test.yaml", MANIFEST.replace("{id: A,", "{id: A, note: x,")),
    "the first look": lambda place: place.write("looks/rain.yaml", LOOK),
    "the first picture": lambda place: place.write("plates/in.png", PICTURE),
    "the first lockfile": lambda place: place.write("test.lock.json", place.lock),
    "all clips": lambda place: [place.write(f"renders/test/{shot}_t1.mp4", b"." * 1000) for shot in "AB"],
    "no open job": lambda place: place.write(".manifest-runner/ledger.sqlite3", LEDGERS["none"]),
    "no ledger": lambda place: place.remove(".manifest-runner/ledger.sqlite3"),
    "no settings": lambda place: place.remove("manifest-runner.toml"),
    "frames inline": lambda place: place.environ.update(MANIFEST_RUNNER_FRAMES="inline"),
}
HARMS: dict[str, Change] = {
    **{name: change for name, change in CHANGES.items() if not name.startswith(("another root", "a copy", "no state"))},
    "a prompt that is as long": lambda place: place.write("test.yaml", MANIFEST.replace("bridge", "garden")),
    "an open job": lambda place: place.write(".manifest-runner/ledger.sqlite3", LEDGERS["open"]),
    "another ledger": lambda place: (place.remove(".manifest-runner/ledger.sqlite3"),
                                     place.write(".manifest-runner/ledger.sqlite3", LEDGERS["open"])),
    "no log": lambda place: place.remove(".manifest-runner/ledger.sqlite3-wal"),
    "a bad setting": lambda place: place.write("manifest-runner.toml", "storm = 1\n"),
    "frames by a store": lambda place: place.environ.update(MANIFEST_RUNNER_FRAMES="store"),
    "frames anyhow": lambda place: place.environ.update(MANIFEST_RUNNER_FRAMES="anyhow"),
    "another manifest's lockfile": lambda place: place.write("test.lock.json", place.lock.replace("test.yaml", "else.yaml")),
    "that other manifest": lambda place: place.write("else.yaml", MANIFEST),
    "another repository": lambda place: place.write("looks/.git", "x"),
}
EDITS = {**MENDS, **HARMS}


@given(st.lists(st.tuples(st.one_of(st.sampled_from([*MENDS]), st.sampled_from([*MENDS, *HARMS])),
                          st.sampled_from([0, 0, 0.1, 1.9, 5, -600]), st.sampled_from(["plan", "rest", ""])), max_size=12),
       st.sampled_from([4_000_000, 1_500_000_000]))
@settings(max_examples=30)
def test_whatever_happened_what_is_said_at_once_is_what_the_full_plan_says(steps: list[tuple[str, float, str]],
                                                                           grain: int) -> None:
    """Each step is an edit, seconds that pass after it or by which the clock is set back, and whether a plan follows, and then
    another one after a while."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder) / "show", grain=grain)
        if not LEDGERS:
            LEDGERS.update(none=ledger_with(place.folder / "made", []), open=ledger_with(place.folder / "made", ["A"]))
            assert len(LEDGERS["none"]) == len(LEDGERS["open"])
        for edit, seconds, planned in (("no open job", 5, "rest"), *steps, ("nothing", 0, "plan")):
            with suppress(OSError):  # what is to be moved may have gone
                EDITS[edit](place)
            (place.clocks.step if seconds < 0 else place.clocks.wait)(seconds)
            for wait in {"plan": (0,), "rest": (0, 5)}.get(planned, ()):
                place.clocks.wait(wait)
                found = place.at_once()
                full = place.full()
                assert found is None or place.said(found) == full
