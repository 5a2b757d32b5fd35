"""`render --detach` and `worker` as users meet them, on a real PostgreSQL; what was paid is judged by the gateway's books."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from manifest_runner.adapters.team_worker import Answer
from manifest_runner.cli.batch import finished
from manifest_runner.cli.session import Interrupted
from manifest_runner.cli.working import answer_to
from manifest_runner.core.orders import LATER, STOP
from tests.cli.support import Ran, environment, run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit
from tests.pooler import pooled
from tests.postgres import Server

SHOW = """version: 1
show: show
model: kling-v3-omni
defaults: {duration: 1}
shots:
  - {id: A, prompt: one}
  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}
  - {id: C, prompt: three}
  - {id: D, prompt: four}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """A repository, a database, a store and a gateway."""

    repository: Path
    address: str
    env: dict[str, str]
    folder: Path

    def here(self, *arguments: str) -> Ran:
        return run(self.repository, *arguments, env=self.env)

    def start_worker(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """A worker in an empty folder."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return subprocess.Popen([sys.executable, "-m", "manifest_runner", "worker", *arguments], cwd=folder, text=True,
                                env=environment(folder, self.env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def drain(self, name: str) -> tuple[int, str]:
        worker = self.start_worker(name, "--until-idle")
        out, _ = worker.communicate(timeout=120)
        assert "Traceback" not in out, out
        return worker.returncode, out

    def totals(self) -> dict[str, int]:
        totals: dict[str, int] = books(self.address)["totals"]
        return totals


@pytest.fixture
def studio(tmp_path: Path, database: Server) -> Iterator[Studio]:
    with made(tmp_path, database) as found:
        yield found


@contextmanager
def made(folder: Path, database: Server, url: str = "") -> Iterator[Studio]:
    repository = folder / "repository"
    repository.mkdir()
    write(repository, SHOW)
    write(repository, f"{folder}", "unique")  # repositories are told apart by their first commit
    commit(repository, f"show {os.urandom(8).hex()}")
    with small_simulator(folder) as address:
        env = {**live(address), "TRINETRA_API_KEY": f"canary-{os.urandom(8).hex()}",
               "MANIFEST_RUNNER_LEDGER": url or database.url(), "MANIFEST_RUNNER_STORE": str(folder / "store"),
               "MANIFEST_RUNNER_FRAMES": "inline"}
        yield Studio(repository=repository, address=address, env=env, folder=folder)


def test_what_is_left_to_workers_comes_home_through_the_store(studio: Studio) -> None:
    ordered = studio.here("render", "show.yaml", "--detach", "--yes")
    assert (ordered.code, ordered.out) == (0, "4 shots in the queue, in 3 orders.\n")
    assert studio.totals()["jobs"] == 0, "it returns before anything is submitted"
    again = studio.here("render", "show.yaml", "--detach", "--yes")
    assert again.out == "0 shots in the queue, in 0 orders; 3 were in the queue already.\n"
    status = studio.here("status", "show.yaml")
    assert status.out.splitlines()[0] == "queue: 3 orders waiting (A, B, C and 1 more)"
    assert "status show.yaml --watch" in status.out

    code, said = studio.drain("worker")
    assert code == 0, said
    assert "show.yaml A, B: carried out" in said
    assert said.splitlines()[-1] == "3 orders carried out."
    assert studio.env["TRINETRA_API_KEY"] not in said

    watched = studio.here("status", "show.yaml", "--watch", "--json")
    assert json.loads(watched.out)["queue"] == {"waiting": [], "in_hand": [], "failed": []}
    assert not (studio.repository / "show.lock.json").exists(), "the lockfile is written where render runs"
    home = studio.here("render", "show.yaml")
    assert home.code == 0, home.err
    assert home.err.count("restored from the store") == 4
    assert len(list((studio.repository / "renders" / "show").glob("*.mp4"))) == 4
    assert len(json.loads((studio.repository / "show.lock.json").read_text())["shots"]) == 4
    assert studio.here("plan", "show.yaml", "--exit-code").code == 0
    assert {name: studio.totals()[name] for name in ("jobs", "duplicates")} == {"jobs": 4, "duplicates": 0}
    left = [path for path in (studio.folder / "worker").rglob("*") if path.is_file()]
    assert all(path.name in ("CACHEDIR.TAG", ".gitignore") or path.name.startswith("lock-") for path in left), left


def test_through_a_pooler_all_is_the_same(tmp_path: Path, database: Server) -> None:
    with pooled(database, connections=3) as url, made(tmp_path, database, url) as studio:
        assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
        workers = [studio.start_worker(name, "--until-idle") for name in ("one", "two")]
        said = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], said
        assert studio.here("render", "show.yaml").code == 0
        totals = studio.totals()
    assert {name: totals[name] for name in ("jobs", "duplicates", "open")} == {"jobs": 4, "duplicates": 0, "open": 0}


def test_a_worker_that_is_stopped_gives_back_and_another_goes_on(studio: Studio) -> None:
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    worker = studio.start_worker("one")
    deadline = time.monotonic() + 60
    while not studio.totals()["jobs"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 130, out
    assert "stopping: what is in hand is saved and goes back" in out
    code, said = studio.drain("two")
    assert code == 0, said
    assert {name: studio.totals()[name] for name in ("jobs", "duplicates", "open")} == {"jobs": 4, "duplicates": 0, "open": 0}
    assert studio.here("render", "show.yaml").code == 0


def test_a_worker_that_is_killed_leaves_processes_that_save_what_they_know_and_end(studio: Studio) -> None:
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    worker = studio.start_worker("one")
    deadline = time.monotonic() + 60
    while not studio.totals()["jobs"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    out, _ = worker.communicate(timeout=60)  # returns once every process that holds its output has ended
    home = studio.here("render", "show.yaml", "--yes")  # shares the ledger with whatever is left
    assert home.code == 0, home.err + out
    assert {name: studio.totals()[name] for name in ("jobs", "duplicates", "open")} == {"jobs": 4, "duplicates": 0, "open": 0}


def test_what_changed_after_it_was_ordered_changes_nothing_about_the_order(studio: Studio) -> None:
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    write(studio.repository, SHOW.replace("three", "another"))
    code, said = studio.drain("worker")
    assert code == 0, said
    plan = json.loads(studio.here("plan", "show.yaml", "--json").out)
    assert {change["shot"]: change["action"] for change in plan["changes"]} == {
        "A": "fetch", "B": "fetch", "C": "create", "D": "fetch"}, "what was ordered is there, and the change is planned"
    assert studio.totals()["jobs"] == 4


def test_prices_that_are_others_where_it_is_carried_out_refuse_the_order(studio: Studio) -> None:
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    folder = studio.folder / "worker" / ".config" / "manifest-runner"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[models.kling-v3-omni.price.table]\n"720p" = 25\n"1080p" = 50\n')
    code, said = studio.drain("worker")
    assert code == 1, said
    assert "the order was made with other versions" in said
    assert "show.yaml C: cannot be carried out" in said
    assert studio.totals()["jobs"] == 0


def test_what_the_repository_says_of_a_model_goes_with_the_order(studio: Studio) -> None:
    write(studio.repository, '[models.kling-v3-omni]\nexternal_task_id = "correlates"\n', "manifest-runner.toml")
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    code, said = studio.drain("worker")
    assert code == 0, said
    assert studio.totals()["jobs"] == 4


def test_orders_whose_files_are_gone_are_given_up_with_the_reason(studio: Studio) -> None:
    assert studio.here("render", "show.yaml", "--detach", "--yes").code == 0
    shutil.rmtree(studio.folder / "store" / "sha256")
    code, said = studio.drain("worker")
    assert code == 1, said
    assert "what the order is made from is not in" in said
    assert "not carried out" in studio.here("status", "show.yaml").out
    assert studio.here("render", "show.yaml", "--detach", "--yes").out == "4 shots in the queue, in 3 orders.\n"


@pytest.mark.parametrize(("without", "words"), [("MANIFEST_RUNNER_LEDGER", "needs a team's ledger"),
                                                ("MANIFEST_RUNNER_STORE", "store")])
def test_what_they_need_is_said_before_anything_is_asked(tmp_path: Path, without: str, words: str) -> None:
    write(tmp_path, SHOW)
    env = {"TRINETRA_API_KEY": "canary", "MANIFEST_RUNNER_BASE_URL": "http://127.0.0.1:9", "MANIFEST_RUNNER_FRAMES": "inline",
           "MANIFEST_RUNNER_LEDGER": "postgresql://studio@127.0.0.1:9/ledger", "MANIFEST_RUNNER_STORE": str(tmp_path / "store")}
    del env[without]
    for command in (("render", "show.yaml", "--detach", "--yes"), ("worker", "--until-idle")):
        ran = run(tmp_path, *command, env=env)
        assert (ran.code, words in ran.err) == (2, True), ran.err


@pytest.mark.parametrize("other", [("--draft",), ("--locked",), ("--fail-fast",), ("--depfile", "x.d")])
def test_what_detach_does_not_go_with_is_refused(tmp_path: Path, other: tuple[str, ...]) -> None:
    write(tmp_path, SHOW)
    ran = run(tmp_path, "render", "show.yaml", "--detach", *other)
    assert ran.code == 2
    assert f"--detach goes without {other[0]}" in ran.err


def stopped() -> bool:
    raise Interrupted


@pytest.mark.parametrize(("code", "publishing", "ends"), [
    (0, lambda: True, 0), (1, lambda: True, 1), (0, lambda: False, LATER), (LATER, lambda: True, LATER),
    (STOP, lambda: False, STOP), (130, lambda: False, 130), (0, stopped, 130),
])
def test_an_order_is_over_when_its_clips_are_in_the_store(code: int, publishing: Callable[[], bool], ends: int) -> None:
    assert finished(code, publishing) == ends


@pytest.mark.parametrize("told", ["", '{"order": {"ver'])
def test_a_process_whose_worker_is_gone_before_it_said_what_to_do_ends_and_says_nothing(told: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "manifest_runner.cli.batch"], input=told, text=True, capture_output=True,
                         timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize(("code", "is_stopping", "answer"), [
    (0, False, Answer.OVER), (1, False, Answer.OVER), (4, False, Answer.OVER), (2, False, Answer.FAILED),
    (LATER, False, Answer.LATER), (-signal.SIGKILL, False, Answer.LATER), (130, True, Answer.BACK), (STOP, True, Answer.BACK),
    (-signal.SIGTERM, True, Answer.BACK),  # stopped before it had begun to render
    (0, True, Answer.OVER),
])
def test_what_becomes_of_an_order_by_how_its_process_ended(code: int, is_stopping: bool, answer: Answer) -> None:
    assert answer_to(code, is_stopping=is_stopping) is answer
