"""What kills cannot show: that things are on the disk, and not only in the machine's memory, before money moves.

A run under `strace` tells the order of writes, syncs and requests; and from the same trace the disk is rebuilt as a power cut
at many moments would have left it, and rendered from.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from manifest_runner.adapters.ledger import SqliteLedger
from manifest_runner.adapters.lockwriter import read_lockfile
from manifest_runner.adapters.state import StateFolder
from manifest_runner.core.lifecycle import UNFINISHED
from manifest_runner.core.model import JobState
from manifest_runner.simulator.clips import parse_task_id
from tests.cli.support import environment, run
from tests.crash.disk import Call, Disk, cannot_trace, traced
from tests.crash.provider import books, provider
from tests.crash.sweep import CORRELATES, SHOW, TAKES

pytestmark = pytest.mark.skipif(bool(cannot_trace()), reason=cannot_trace())
KEY = "life-of-one-run"
SYNCS = {"fsync", "fdatasync"}
MOMENTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A whole run without replay, and the provider that it rendered at, which is still there."""

    folder: Path
    address: str
    env: dict[str, str]
    calls: list[Call]

    def sends(self, word: bytes) -> list[Call]:
        """What was sent to the provider with this text in it."""
        return [call for call in self.calls if call.name == "sendto" and word in call.data]

    def first(self, name: str, path: str, word: bytes = b"") -> Call:
        """The first call of a name on a file whose path ends so, with this text in its bytes."""
        return next(call for call in self.calls if call.name == name and call.path.endswith(path) and word in call.data)

    def synced(self, path: str, after: Call, before: Call) -> bool:
        """Whether a file, or a folder, was synced between the end of one call and the beginning of another."""
        return any(call.name in SYNCS and call.path == path and call.begin > after.end and call.end < before.begin
                   for call in self.calls)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced") / "show"
    folder.mkdir()
    (folder / "show.yaml").write_text(SHOW)
    (folder / "manifest-runner.toml").write_text(CORRELATES)
    with provider("correlates") as address:
        env = environment(folder, {"MANIFEST_RUNNER_BASE_URL": address, "TRINETRA_API_KEY": KEY,
                                   "MANIFEST_RUNNER_FRAMES": "inline"})
        calls = traced(("render", "show.yaml", "--yes", "--quiet"), folder, env, folder.with_name("trace"))
        yield Traced(folder=folder, address=address, env=env, calls=calls)


def test_intent_and_body_are_synced_before_a_submission_leaves(ran: Traced) -> None:
    posts = ran.sends(b'"external_task_id"')
    assert len(posts) == len(TAKES)
    for post in posts:
        found = re.search(rb'"external_task_id":"([^"]+)"', post.data)
        assert found is not None
        headers = max((call for call in ran.sends(b"POST ") if call.handle == post.handle and call.end <= post.end),
                      key=lambda call: call.end)
        intent = ran.first("pwrite64", "ledger.sqlite3-wal", found[1])
        assert ran.synced(intent.path, intent, headers), found[1]


def test_a_job_id_is_synced_before_anything_more_is_asked_about_the_job(ran: Traced) -> None:
    answers = [call for call in ran.calls if call.name == "recvfrom" and b"202 Accepted" in call.data]
    ids = {job.decode() for call in ran.calls if call.name == "recvfrom"
           for job in re.findall(rb'"job_id": ?"([^"]+)"', call.data)}
    assert len(answers) == len(ids) == len(TAKES)
    for job in ids:
        question = ran.sends(f"GET /v1/jobs/{job} ".encode())[0]
        recorded = ran.first("pwrite64", "ledger.sqlite3-wal", job.encode())
        assert ran.synced(recorded.path, recorded, question), job


def test_the_ledger_and_its_log_have_lasting_names_before_the_first_submission(ran: Traced) -> None:
    post = ran.sends(b"POST ")[0]
    state = str(StateFolder(ran.folder / ".manifest-runner").root)
    made = next(call for call in ran.calls if call.name == "mkdir" and call.data.decode() == state)
    linked = next(call for call in ran.calls if call.name == "link" and call.strings[1].endswith(b"ledger.sqlite3"))
    log = next(call for call in ran.calls if call.name == "openat" and call.strings[0].endswith(b"ledger.sqlite3-wal"))
    assert ran.synced(str(ran.folder), made, post)
    assert ran.synced(state, linked, post)
    assert ran.synced(state, log, post)


def test_a_lockfile_is_whole_on_disk_before_it_gets_its_name(ran: Traced) -> None:
    renames = [call for call in ran.calls if call.name == "rename" and call.strings[1].endswith(b"show.lock.json")]
    assert renames
    assert not [call for call in ran.calls if call.name in ("write", "pwrite64") and call.path.endswith("show.lock.json")]
    for rename in renames:
        temporary = str(ran.folder / rename.strings[0].decode())
        written = [call for call in ran.calls if call.name == "write" and call.path == temporary]
        assert ran.synced(temporary, written[-1], rename)
        assert any(call.name in SYNCS and call.path == str(ran.folder) and call.begin > rename.end for call in ran.calls)


def test_a_clip_is_on_disk_under_its_lasting_name_before_the_ledger_says_stored(ran: Traced) -> None:
    lockfile = json.loads((ran.folder / "show.lock.json").read_text())
    digests = re.findall(r'"sha256": "([0-9a-f]{64})"', json.dumps(lockfile))
    assert len(digests) == len(TAKES)
    for digest in digests:
        rename = next(call for call in ran.calls if call.name == "rename" and digest[2:].encode() in call.strings[1])
        scratch, stored = str(ran.folder / rename.strings[0].decode()), ran.folder / rename.strings[1].decode()
        written = [call for call in ran.calls if call.name == "write" and call.path == scratch]
        recorded = ran.first("pwrite64", "ledger.sqlite3-wal", digest.encode())
        assert ran.synced(scratch, written[-1], rename)
        assert ran.synced(str(stored.parent), rename, recorded)
        made = [call for call in ran.calls if call.name == "mkdir" and call.data.decode() == str(stored.parent)]
        assert all(ran.synced(str(stored.parent.parent), call, recorded) for call in made)


# ── power cuts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def after_each_submission(ran: Traced) -> list[int]:
    """Lines of the trace: right after the last bytes of each submission were given to the network."""
    return [post.end for post in ran.sends(b'"external_task_id"')]


def left_by_a_power_cut(ran: Traced, line: int, to: Path) -> None:
    """The disk as it would be had the power gone right after this line of the trace."""
    disk = Disk(ran.folder)
    for call in ran.calls:
        if call.end <= line:
            disk.apply(call)
    to.mkdir()
    disk.leave(to)
    for name in ("show.yaml", "manifest-runner.toml"):  # they were there long before
        (to / name).write_bytes((ran.folder / name).read_bytes())


def jobs_per_take(ran: Traced) -> Counter[tuple[str, int]]:
    return Counter(parse_task_id(job["external_task_id"]) for job in books(ran.address, KEY)["jobs"])


def moments(ran: Traced) -> list[int]:
    some = random.Random(20261122).sample(range(ran.sends(b"POST ")[0].end, ran.calls[-1].end), MOMENTS)
    return [*after_each_submission(ran), *some]


def test_after_a_power_cut_nothing_that_has_left_is_sent_again(ran: Traced, tmp_path: Path) -> None:
    """Without replay, where only what is on disk can prevent it."""
    posts = {parse_task_id(re.search(rb'"external_task_id":"([^"]+)"', post.data)[1].decode()): post.end  # type: ignore[index]
             for post in ran.sends(b'"external_task_id"')}
    for number, line in enumerate(after_each_submission(ran)[::2]):
        folder = tmp_path / f"cut{number}"
        left_by_a_power_cut(ran, line, folder)
        before = jobs_per_take(ran)
        ended = run(folder, "render", "show.yaml", "--yes", env={name: ran.env[name] for name in ran.env if name != "HOME"})
        bought = jobs_per_take(ran) - before
        assert not set(bought) & {take for take, end in posts.items() if end <= line}, ended.err
        assert "in doubt" in ended.out


def test_after_a_power_cut_at_any_moment_what_the_ledger_calls_stored_is_there(ran: Traced, tmp_path: Path) -> None:
    seen = 0
    for number, line in enumerate(moments(ran)):
        folder = tmp_path / f"cut{number}"
        left_by_a_power_cut(ran, line, folder)
        state = StateFolder(folder / ".manifest-runner")
        for account in SqliteLedger.accounts(state.ledger):
            with SqliteLedger(state.ledger, account=account, run="after") as ledger:
                jobs = ledger.history("show.yaml")
            for job in jobs:
                assert job.state is JobState.STORED or job.state in UNFINISHED
                for artifact in job.artifacts:
                    seen += 1
                    for path in (state.objects / "sha256" / artifact.sha256[:2] / artifact.sha256[2:], folder / artifact.path):
                        assert hashlib.sha256(path.read_bytes()).hexdigest() == artifact.sha256
        entries = read_lockfile(folder / "show.lock.json", "the lockfile")[0].entries
        assert set(entries) <= TAKES
    assert seen, "no moment came after a stored clip"
