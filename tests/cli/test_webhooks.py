"""`--listen`: webhooks of the simulator on a port, heard by a run in a process of its own. The verdict is the books'."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from manifest_runner.cli.session import _secrets_of
from tests.cli.support import Ran, run, start, write
from tests.crash.test_killed_run import books, live, simulator

SHOW = "version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n" + "".join(
    f"  - {{id: S{number}, prompt: p{number}}}\n" for number in range(4))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def hooks(address: str, port: int) -> dict[str, str]:
    return {**live(address), "MANIFEST_RUNNER_LISTEN": f"127.0.0.1:{port}",
            "MANIFEST_RUNNER_CALLBACK_URL": f"http://127.0.0.1:{port}/canary-hooks"}


def token(folder: Path) -> str:
    return (folder / ".manifest-runner" / "webhook-token").read_text()


def test_webhooks_are_heard_and_their_address_is_in_nothing_that_is_shown_or_committed(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, "--speed", "60", pictures=False) as address:
        env = hooks(address, free_port())
        plan = run(tmp_path, "plan", "show.yaml", "--out", "plan.json", env=env)
        ran = run(tmp_path, "render", "show.yaml", "--yes", "-v", env=env)
        assert ran.code == 0, ran.out + ran.err
        heard = [delivery["status"] for delivery in books(address)["webhooks"]]
        assert heard.count(204) >= 1
        settings = run(tmp_path, "status", "--settings", env=env)
        again = run(tmp_path, "render", "show.yaml", "--yes", env={**env, "MANIFEST_RUNNER_CALLBACK_URL": "http://127.0.0.1:1/x"})
        assert (again.code, len(books(address)["jobs"])) == (0, 4), "another callback address changes no shot"
    assert "MANIFEST_RUNNER_LISTEN" in settings.out
    secret = token(tmp_path)
    shown = "".join(ran.out + ran.err for ran in (plan, ran, again, settings)) + (tmp_path / "plan.json").read_text()
    lock = (tmp_path / "show.lock.json").read_text()
    assert secret not in shown + lock
    assert "canary-hooks" not in lock + (tmp_path / "plan.json").read_text() + ran.out + ran.err


def test_a_webhook_for_a_job_of_a_killed_run_finds_the_next_run(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, "--speed", "30", pictures=False) as address:
        env = hooks(address, free_port())
        process = start(tmp_path, "render", "show.yaml", "--yes", env=env)
        while books(address)["totals"]["jobs"] < 4:
            time.sleep(0.05)
        process.kill()
        process.wait()
        before = token(tmp_path)
        ran = run(tmp_path, "render", "show.yaml", "--yes", env=env)
        assert ran.code == 0, ran.out + ran.err
        assert token(tmp_path) == before
        assert 204 in [delivery["status"] for delivery in books(address)["webhooks"]]
        assert books(address)["totals"]["jobs"] == 4


def test_interrupted_it_lets_go_of_the_port_and_says_how_to_go_on(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    port = free_port()
    with simulator(tmp_path, "--fault", "poll:stuck", pictures=False) as address:
        process = start(tmp_path, "render", "show.yaml", "--yes", env=hooks(address, port), stderr=subprocess.PIPE)
        while books(address)["totals"]["jobs"] < 4:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
        assert process.returncode == 130
        assert "continue with: manifest-runner render show.yaml" in said
        assert "Traceback" not in said
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def refused(folder: Path, address: str, **more: str) -> Ran:
    ran = run(folder, "render", "show.yaml", "--yes", env={**live(address), **more})
    assert ran.code == 2
    assert books(address)["totals"]["requests"] == 0, "nothing was sent"
    return ran


def test_a_port_that_cannot_be_had_or_an_address_that_is_none_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    write(tmp_path, SHOW)
    with simulator(tmp_path, pictures=False) as address, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused(tmp_path, address, **hooks(address, port)).err
        assert "listen needs callback-url" in refused(tmp_path, address, MANIFEST_RUNNER_LISTEN="127.0.0.1:9").err
        said = refused(tmp_path, address, MANIFEST_RUNNER_LISTEN="here", MANIFEST_RUNNER_CALLBACK_URL="http://x").err
        assert "it must be HOST:PORT" in said
        assert "Plan:" not in said, "before the plan is shown"


@pytest.mark.parametrize("command_line", [["render", "show.yaml", "--draft"], ["plan", "show.yaml"], ["status", "show.yaml"]])
def test_where_nothing_is_paid_nobody_listens(tmp_path: Path, command_line: list[str]) -> None:
    write(tmp_path, SHOW)
    assert run(tmp_path, *command_line, env={"MANIFEST_RUNNER_LISTEN": "nonsense"}).code == 0
    assert not (tmp_path / ".manifest-runner" / "webhook-token").exists()


@pytest.mark.parametrize(("address", "hidden"), [
    ("https://hooks.example", ()),
    ("https://hooks.example/", ()),
    ("https://hooks.example?token=s3cret-s3cret", ("token=s3cret-s3cret",)),
    ("https://user:passw0rd@hooks.example", ("user", "passw0rd")),
    ("https://hooks.example/of/ours/s3cret/", ("of/ours/s3cret",)),
])
def test_whatever_of_a_callback_is_more_than_a_host_is_hidden(address: str, hidden: tuple[str, ...]) -> None:
    assert _secrets_of(address) == ((address, *hidden) if hidden else ())
