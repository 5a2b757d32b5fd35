"""A small show with nothing to do, plans of it in this process, and a machine whose clocks and file times a test sets."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from unittest import mock

from PIL import Image

from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.signs import Machine
from manifest_runner.adapters.state import StateFolder
from manifest_runner.cli import footing
from manifest_runner.cli.main import run
from manifest_runner.cli.planner import plan_project
from manifest_runner.cli.project import Project
from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.footing import SECOND, Footing, Sign
from manifest_runner.core.model import ExternalTaskId, Fingerprint, Intent, Lockfile, Request, ShotId, TakeKey
from manifest_runner.ports import SpendingLimits
from tests.builders import entry

START = 1_800_000_000 * SECOND + 123_456_789
ARGUMENTS = ("plan", "test.yaml")


def png(width: int = 1280, height: int = 720) -> bytes:
    """A picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


MANIFEST = """\
version: 1
show: test
model: kling-v3-omni
include: [looks/rain.yaml]
vars: {hero: Asha}
defaults: {duration: 5, resolution: 720p}
shots:
  - {id: A, prompt: "{{ hero }} waits. {{ look }}"}
  - {id: B, prompt: "The bridge. {{ look }}", first_frame: plates/in.png}
"""
PICTURE, OTHER_PICTURE = (png() + more for more in (b"1", b"2"))
LOOK = "vars: {look: rain at dusk}\n"


class Clocks(Machine):
    """A machine on which time passes as a test says. A file gets a time of change when it is first looked at after it: `edited`
    sees to that. Times of content are all the same, as if somebody set them back after every edit."""

    def __init__(self, package: Path, *, grain: int = 4_000_000) -> None:
        super().__init__()
        self.package, self.paths = str(package), ()
        self.now, self.passed, self.grain = START, 0, grain
        self._times: dict[tuple[int, int, int], int] = {}

    def wall(self) -> int:
        return self.now

    def steady(self) -> int:
        return self.passed

    def sign(self, facts: os.stat_result) -> Sign:
        told = self.now // self.grain * self.grain + 123
        changed = self._times.setdefault((facts.st_dev, facts.st_ino, facts.st_ctime_ns), told)
        return facts.st_dev, facts.st_ino, facts.st_size, 0, changed

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += int(seconds * SECOND)
        self.passed += int(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.now += int(seconds * SECOND)

    def edited(self, path: Path) -> None:
        """`path` was changed at this moment, as the clock of the moment tells it."""
        facts = path.lstat()
        while (facts.st_dev, facts.st_ino, facts.st_ctime_ns) in self._times:  # the disk's own clock has not ticked yet
            os.utime(path, ns=(0, 0), follow_symlinks=False)
            facts = path.lstat()
        self.sign(facts)


class Place:
    """The show in a folder of its own, and plans of it. `lock` is the text of its lockfile."""

    lock = ""

    def __init__(self, folder: Path, *, text: str = MANIFEST, picture: bytes = PICTURE, grain: int = 4_000_000) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home"), "PATH": os.environ["PATH"], "MANIFEST_RUNNER_FRAMES": "inline"}
        for path, content in {"test.yaml": text, "looks/rain.yaml": LOOK, "package/a.py": "pass\n",
                           "package/schemas/card.yaml": "", "home/note": ""}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        (folder / "plates").mkdir()
        (folder / "plates" / "in.png").write_bytes(picture)
        self.clocks = Clocks(folder / "package", grain=grain)
        with self.here():
            self._render()
        StateFolder(folder / ".manifest-runner").make()
        self.look_at_all()
        self.clocks.wait(60)

    def look_at_all(self) -> None:
        """Everything that is there was changed at this moment."""
        for path in sorted(self.folder.rglob("*")):
            self.clocks.edited(path)

    @contextmanager
    def here(self) -> Iterator[None]:
        """In the folder, with the environment of the show."""
        with contextlib.chdir(self.folder), mock.patch.dict(os.environ, self.environ, clear=True):
            yield

    def _render(self) -> None:
        """Lockfile and clips as a run would leave them."""
        project = Project("test.yaml", {})
        show, entries = project.load(), {}
        for change in plan_project(project, show).plan.changes:
            assert change.after is not None
            entries[change.shot, change.take] = entry(change.after, shot=change.shot)
            clip = self.folder / "renders" / "test" / f"{change.shot}_t1.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            clip.write_bytes(b"." * 1000)
        self.lock = lockfiles.write(Lockfile(entries=entries), manifest="test.yaml")
        (self.folder / "test.lock.json").write_text(self.lock)

    def at_once(self, arguments: Sequence[str] = ARGUMENTS) -> Footing | None:
        """What is known before a plan is made."""
        with self.here():
            return footing.at_once(arguments, os.environ, self.clocks)

    def full(self, arguments: Sequence[str] = ARGUMENTS) -> tuple[int, str, str]:
        """The full plan, which leaves a footing where `at_once` was asked before it and knew nothing."""
        out, err = io.StringIO(), io.StringIO()
        with self.here(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return code, out.getvalue(), err.getvalue()

    def said(self, found: Footing, arguments: Sequence[str] = ARGUMENTS) -> tuple[int | None, str, str]:
        """What a quick plan says out of a footing."""
        out, err = io.StringIO(), Terminal()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = footing.say(found, arguments)
        return code, out.getvalue(), err.getvalue()

    def rest(self, arguments: Sequence[str] = ARGUMENTS) -> Footing:
        """A full plan that leaves a footing, and that footing."""
        self.clocks.wait(60)
        self.at_once(arguments)
        code, out, err = self.full(arguments)
        assert (code, out[:14]) == (0, "Nothing to do:"), (out, err)
        found = self.at_once(arguments)
        assert found is not None, "no footing was left"
        return found

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file in place, or a new one, at this moment."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            place.unlink()
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.clocks.edited(place)

    def remove(self, path: str) -> None:
        place = self.folder / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


class Terminal(io.StringIO):
    """One that shows every character."""

    encoding = "utf-8"


def open_job(shot: str) -> Intent:
    """What a run records before it submits a shot."""
    return Intent(key=TakeKey(manifest="test.yaml", shot=ShotId(shot), take=1), attempt=1, body=b"{}", reserved=Decimal(145),
                  external_task_id=ExternalTaskId(f"{shot}_t1.a1"), fingerprint=Fingerprint("f" * 64),
                  request=Request(model="kling-v3-omni", params={"prompt": "x"}))


def ledger_with(folder: Path, jobs: Sequence[str]) -> bytes:
    """The file of a ledger that has an open job of each of these shots."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ledger.sqlite3"
    with SqliteLedger(path, account="test", run="r") as ledger:
        for shot in jobs:
            ledger.admit(open_job(shot), SpendingLimits())
    content = path.read_bytes()
    shutil.rmtree(folder)
    return content
