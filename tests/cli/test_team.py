"""A team's ledger as users meet it: how it is named, what is shown of it, what two clones see, and what is said where it is
away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.support import run, write
from tests.crash.small_clips import small_simulator
from tests.crash.test_killed_run import books, live
from tests.pages import commit, git
from tests.postgres import PASSWORD, Server
from tests.proxy import Fate, Proxy

SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n  - {id: A, prompt: one}\n"
NOWHERE = f"postgresql://studio:{PASSWORD}@127.0.0.1:9/ledger"
VARIABLE = "MANIFEST_RUNNER_LEDGER"
KEY = {"TRINETRA_API_KEY": "canary-key-4711-0815", "MANIFEST_RUNNER_FRAMES": "inline",
       "MANIFEST_RUNNER_BASE_URL": "http://127.0.0.1:9"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    write(root, SHOW)
    commit(root, "show")
    return root


def test_of_its_address_host_and_database_are_shown(repository: Path) -> None:
    env = {VARIABLE: NOWHERE}
    text, as_json = run(repository, "status", "--settings", env=env), run(repository, "status", "--settings", "--json", env=env)
    line = next(line for line in text.out.splitlines() if line.startswith("ledger"))
    assert line.split() == ["ledger", "postgresql://127.0.0.1:9/ledger", VARIABLE]
    assert json.loads(as_json.out)["ledger"] == {"value": "postgresql://127.0.0.1:9/ledger", "origin": VARIABLE}
    assert PASSWORD not in text.out + text.err + as_json.out + as_json.err


@pytest.mark.parametrize("file", ["manifest-runner.toml", "pyproject.toml"])
def test_a_repository_cannot_choose_it_and_its_password_is_not_shown(repository: Path, file: str) -> None:
    table = "[tool.manifest-runner]\n" if file == "pyproject.toml" else ""
    write(repository, f'{table}ledger = "{NOWHERE}"\n', file)
    for arguments in (["render", "show.yaml", "--yes"], ["abandon", "show.yaml", "A", "--yes"], ["lock", "show.yaml"]):
        ran = run(repository, *arguments, env=KEY)
        assert ran.code == 2
        assert f"{file}:{2 if table else 1}:1: error[claimed-setting]" in ran.err
        assert f"export {VARIABLE}=postgresql://127.0.0.1:9/ledger" in ran.err
        assert "--ledger" not in ran.err, "a flag would be seen by everybody on the machine"
        assert PASSWORD not in ran.out + ran.err
    assert run(repository, "plan", "show.yaml").code == 0, "looking goes on as if it were not there"
    claims = json.loads(run(repository, "status", "--settings", "--json").out)["claims"]
    assert [(claim["name"], claim["value"]) for claim in claims] == [("ledger", "postgresql://127.0.0.1:9/ledger")]


def test_set_and_empty_it_stops_what_spends_and_not_what_looks(repository: Path) -> None:
    env = {**KEY, VARIABLE: ""}
    for arguments in (["render", "show.yaml", "--yes"], ["adopt", "show.yaml", "A", "job_1"]):
        ran = run(repository, *arguments, env=env)
        assert (ran.code, ran.err.splitlines()[0]) == (
            2, f"error: the team's ledger is set and empty ({VARIABLE}): nothing was read or sent")
    assert run(repository, "plan", "show.yaml", env=env).code == 0
    assert not (repository / ".manifest-runner").exists()


@pytest.mark.parametrize("command", [("render", "--yes"), ("plan",), ("status",), ("adopt", "A", "job_1"), ("lock",)])
def test_where_it_is_away_the_host_and_the_next_step_are_said(repository: Path, command: tuple[str, ...]) -> None:
    verb, *rest = command
    ran = run(repository, verb, "show.yaml", *rest, env={**KEY, VARIABLE: NOWHERE})
    assert ran.code == 2
    first, hint = ran.err.strip().splitlines()[-2:]
    assert first == "error: the ledger at 127.0.0.1:9/ledger is away (Connection refused): nothing is submitted"
    assert hint == ("  hint: look at the database, and at its address in MANIFEST_RUNNER_LEDGER; once it answers, run the same "
                    "command again: it continues, and nothing is paid twice")
    assert PASSWORD not in ran.out + ran.err


def test_an_address_that_is_none_is_refused_without_being_quoted(repository: Path) -> None:
    ran = run(repository, "render", "show.yaml", "--yes", env={**KEY, VARIABLE: f"studio:{PASSWORD}@db/ledger"})
    assert ran.code == 2
    assert f"the team's ledger ({VARIABLE}) is no address of a database" in ran.err
    assert PASSWORD not in ran.out + ran.err


def test_a_clone_without_its_first_commit_is_told_how_to_get_it(repository: Path, tmp_path: Path, database: Server) -> None:
    write(repository, SHOW.replace("one", "two"))
    commit(repository, "another")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    ran = run(tmp_path / "shallow", "plan", "show.yaml", env={VARIABLE: database.url()})
    assert ran.code == 2
    assert "git fetch --unshallow (in GitHub Actions: fetch-depth: 0)" in ran.err


def test_two_clones_share_one_ledger(repository: Path, tmp_path: Path, database: Server) -> None:
    with small_simulator(tmp_path) as address:
        env = {**live(address), "TRINETRA_API_KEY": "canary-key-two-clones", VARIABLE: database.url()}
        other = shutil.copytree(repository, tmp_path / "other")
        assert run(repository, "render", "show.yaml", "--yes", env=env).code == 0
        assert not (repository / ".manifest-runner" / "ledger.sqlite3").exists()
        plan = run(other, "plan", "show.yaml", env=env)
        assert "0 credits" in plan.out, plan.out
        status = json.loads(run(other, "status", "show.yaml", "--json", env=env).out)
        assert status["takes"][0]["job_id"] is not None
        assert run(other, "render", "show.yaml", "--yes", env=env).code == 0
        assert books(address)["totals"]["jobs"] == 1, "the other clone has got the same clip"
        assert (other / "show.lock.json").read_bytes() == (repository / "show.lock.json").read_bytes()
        for folder in (repository, other):
            for path in folder.rglob("*"):
                assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_what_is_in_doubt_is_settled_from_another_machine(repository: Path, tmp_path: Path, database: Server) -> None:
    write(repository, '[models.kling-v3-omni]\nexternal_task_id = "correlates"\n', "manifest-runner.toml")
    with small_simulator(tmp_path) as address, Proxy(int(address.rpartition(":")[2])) as proxy:
        env = {**live(f"http://127.0.0.1:{proxy.port}"), "TRINETRA_API_KEY": "canary-key-doubt", VARIABLE: database.url()}
        proxy.fate = lambda piece: Fate.UNANSWERED if piece.startswith(b"POST") else Fate.PASSED
        other = shutil.copytree(repository, tmp_path / "other")
        assert run(repository, "render", "show.yaml", "--yes", env=env).code == 5
        proxy.fate = lambda _: Fate.PASSED
        said = run(other, "status", "show.yaml", env=env).out
        assert "manifest-runner adopt show.yaml A:1 JOB_ID" in said
        (job,) = books(address)["jobs"]
        assert run(other, "adopt", "show.yaml", "A", job["id"], env=env).code == 0
        assert run(repository, "render", "show.yaml", "--yes", env=env).code == 0
        assert books(address)["totals"]["jobs"] == 1


def test_beside_unfinished_submissions_of_this_machine_nothing_is_submitted(
        repository: Path, tmp_path: Path, database: Server) -> None:
    with small_simulator(tmp_path) as address, Proxy(int(address.rpartition(":")[2])) as proxy:
        env = {**live(f"http://127.0.0.1:{proxy.port}"), "TRINETRA_API_KEY": "canary-key-two-ledgers"}
        proxy.fate = lambda piece: Fate.UNANSWERED if piece.startswith(b"POST") else Fate.PASSED
        write(repository, '[models.kling-v3-omni]\nexternal_task_id = "correlates"\n', "manifest-runner.toml")
        run(repository, "render", "show.yaml", "--yes", env=env)
        ran = run(repository, "render", "show.yaml", "--yes", env={**env, VARIABLE: database.url()})
    assert ran.code == 2
    assert "this machine's own ledger holds 1 unfinished submission" in ran.err
    assert f"finish them first, without {VARIABLE}" in ran.err


def test_the_tables_are_printed_for_whoever_owns_the_database(repository: Path) -> None:
    ran = run(repository, "schema", "ledger", "--role", "studio")
    assert ran.code == 0
    assert "CREATE ROLE studio LOGIN;" in ran.out
    assert "job_id, error, artifacts, seal) ON jobs TO studio;" in ran.out
    bad = run(repository, "schema", "ledger", "--role", "studio; DROP TABLE jobs")
    assert (bad.code, bad.out) == (2, "")


def test_without_the_extra_it_is_named(repository: Path, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    write(stub, "raise ImportError\n", "psycopg.py")
    ran = run(repository, "plan", "show.yaml", env={VARIABLE: NOWHERE, "PYTHONPATH": str(stub)})
    assert ran.code == 2
    assert "a ledger in PostgreSQL needs the extra [team]" in ran.err
    assert "pip install 'manifest-runner[team]'" in ran.err
