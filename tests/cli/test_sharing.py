"""A clone gets the same bytes for nothing: push, pull, verify, gc and render --locked, with a real S3 server and the simulator.

Whether anything was paid is the simulator's to say: by its books."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from manifest_runner.adapters.media import frame
from manifest_runner.core.model import FramePosition
from tests.cli.support import Ran, run, write
from tests.crash.test_killed_run import books, simulator
from tests.pages import commit, git, lay_out
from tests.s3 import Bucket, s3

CHAIN = ("version: 1\nshow: show\nmodel: kling-v3-omni\ndefaults: {duration: 1}\nshots:\n  - {id: A, prompt: one}\n"
         "  - {id: B, prompt: two, first_frame: {shot: A, frame: last}}\n")
TWO = "  - {id: SH0010, prompt: 'A tram stops.', takes: 2}\n  - {id: SH0020, prompt: 'Rain.'}\n"


@dataclass(frozen=True, slots=True)
class Studio:
    """A repository whose show was rendered at the simulator and pushed to S3."""

    root: Path
    gateway: str
    bucket: Bucket
    rendered: Ran
    pushed: Ran

    @property
    def store(self) -> dict[str, str]:
        return {**self.bucket.env, "MANIFEST_RUNNER_STORE": "s3://studio/show"}

    @property
    def live(self) -> dict[str, str]:
        return {"MANIFEST_RUNNER_BASE_URL": self.gateway, "TRINETRA_API_KEY": "canary-key-4711-0815"}

    def clone(self, to: Path) -> Path:
        git(to.parent, "clone", "--quiet", str(self.root), str(to))
        return to

    def clips(self, folder: Path) -> dict[str, str]:
        clips = (folder / "renders" / "show").glob("*.mp4")
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in clips}

    def asked(self) -> tuple[int, int]:
        """How many jobs the gateway has made, and how many requests it has seen."""
        totals = books(self.gateway)["totals"]
        return totals["jobs"], totals["requests"]

    def object_of(self, name: str) -> str:
        digest = self.clips(self.root)[name]
        return f"show/sha256/{digest[:2]}/{digest[2:]}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    root = tmp_path_factory.mktemp("studio") / "root"
    root.mkdir()
    write(root, CHAIN)
    write(root, ".manifest-runner/\nrenders/\n", ".gitignore")
    with s3() as bucket, simulator(root) as gateway:
        found = Studio(root, gateway, bucket, *[Ran(code=-1, out="", err="")] * 2)
        rendered = run(root, "render", "show.yaml", "--yes", env={**found.store, **found.live})
        commit(root)
        yield Studio(root, gateway, bucket, rendered, run(root, "push", "show.yaml", env=found.store))


def test_frames_travel_through_the_store_exactly_and_their_signatures_stay_here(studio: Studio) -> None:
    assert studio.rendered.code == 0, studio.rendered.err
    (name,) = studio.bucket.names("show/frames/")
    assert studio.bucket.get(name) == frame(studio.root / "renders/show/A_t1.mp4", FramePosition.LAST)
    with sqlite3.connect(studio.root / ".manifest-runner" / "ledger.sqlite3") as ledger:
        bodies = [json.loads(body) for (body,) in ledger.execute("SELECT body FROM requests ORDER BY seq")]
    assert "image_url" not in bodies[0]
    assert bodies[1]["image_url"].startswith(f"{studio.bucket.address}/studio/{name}?X-Amz-")
    assert httpx.get(bodies[1]["image_url"], trust_env=False).content == studio.bucket.get(name)
    shown = studio.rendered.out + studio.rendered.err + (studio.root / "show.lock.json").read_text()
    assert "X-Amz" not in shown
    assert "canary" not in shown


def test_a_clone_gets_the_same_bytes_from_the_store_and_nobody_is_asked(studio: Studio, tmp_path: Path) -> None:
    assert studio.pushed.code == 0, studio.pushed.err
    assert "2 clips sent" in studio.pushed.out
    clone, before = studio.clone(tmp_path / "clone"), studio.asked()
    ran = run(clone, "pull", "show.yaml", env=studio.store)
    assert (ran.code, ran.out) == (0, "show.yaml: 2 of 2 clips here (2 from the store).\n"), ran.err
    assert studio.clips(clone) == studio.clips(studio.root)
    assert studio.asked() == before
    assert git(clone, "status", "--short") == ""
    again = run(clone, "pull", "show.yaml", env=studio.store)
    assert again.out == "show.yaml: 2 of 2 clips here.\n"
    assert run(clone, "verify", "show.yaml").out == "show.yaml: 2 of 2 clips whole.\n"
    assert "0 clips sent (0.0 MB), 2 there already" in run(clone, "push", "show.yaml", env=studio.store).out


def test_render_locked_brings_the_clips_and_fails_where_the_lockfile_would_change(studio: Studio, tmp_path: Path) -> None:
    clone, before = studio.clone(tmp_path / "clone"), studio.asked()
    locked = (clone / "show.lock.json").read_bytes()
    assert run(clone, "render", "show.yaml", "--locked", env=studio.store).code == 0
    assert studio.clips(clone) == studio.clips(studio.root)
    (clone / "show.yaml").write_text(CHAIN.replace("two", "three"))
    ran = run(clone, "render", "show.yaml", "--locked", env={**studio.store, **studio.live})
    assert ran.code == 1
    assert "error: the lockfile would change for 1 take: B t1" in ran.err
    assert (clone / "show.lock.json").read_bytes() == locked
    assert studio.asked() == before
    for other in ("--draft", "--plan=x.json"):
        assert run(clone, "render", "show.yaml", "--locked", other).code == 2


def test_render_locked_fails_where_only_this_machines_ledger_has_a_clip(studio: Studio, tmp_path: Path) -> None:
    shutil.copytree(studio.root, tmp_path / "copy")
    lock = json.loads((tmp_path / "copy" / "show.lock.json").read_text())
    del lock["shots"]["B"]
    (tmp_path / "copy" / "show.lock.json").write_text(json.dumps(lock))
    ran = run(tmp_path / "copy", "render", "show.yaml", "--locked", env=studio.store)
    assert (ran.code, "would change for 1 take: B t1" in ran.err) == (1, True)


def test_a_lockfile_that_names_other_bytes_gets_no_clip_of_its_job(studio: Studio, tmp_path: Path) -> None:
    clone = studio.clone(tmp_path / "clone")
    digest = studio.clips(studio.root)["A_t1.mp4"]
    lock = (clone / "show.lock.json").read_text()
    (clone / "show.lock.json").write_text(lock.replace(f'"sha256": "{digest}"', f'"sha256": "{"0" * 64}"'))
    ran = run(clone, "pull", "show.yaml", "--only", "A", env=studio.live)
    assert (ran.code, "other bytes arrived than are locked" in ran.out) == (1, True)
    assert not (clone / "renders").exists()


def test_what_the_store_lost_comes_from_its_job_and_a_flipped_byte_is_named_and_mended(studio: Studio, tmp_path: Path) -> None:
    clone, name = studio.clone(tmp_path / "clone"), studio.object_of("B_t1.mp4")
    whole, jobs = studio.bucket.get(name), studio.asked()[0]
    studio.bucket.put(name, whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    keyless = run(clone, "pull", "show.yaml", env=studio.store)
    assert keyless.code == 1
    assert "not here: B t1: its bytes are in no store, and without an API key its job cannot be asked" in keyless.out
    assert "only rendering it again brings it back: 29 credits" in keyless.err
    assert "others than that" in keyless.err
    told = json.loads(run(clone, "pull", "show.yaml", "--json", env=studio.store).out)
    assert [(clip["shot"], clip["from"]) for clip in told["clips"]] == [("A", "here"), ("B", None)]
    assert (told["credits_to_render_again"], told["next"]) == ("29", ["manifest-runner pull show.yaml"])
    ran = run(clone, "pull", "show.yaml", env={**studio.store, **studio.live})
    assert (ran.code, ran.out) == (0, "show.yaml: 2 of 2 clips here (1 from their jobs).\n"), ran.err
    assert studio.clips(clone) == studio.clips(studio.root)
    checked = run(clone, "verify", "show.yaml", "--shared", env=studio.store)
    assert checked.code == 1
    assert "wrong: B t1 (renders/show/B_t1.mp4): other bytes in the shared store's object" in checked.out
    assert "next: manifest-runner verify show.yaml --shared --repair" in checked.err
    assert run(clone, "verify", "show.yaml", "--shared", "--repair", env=studio.store).code == 0
    assert studio.bucket.get(name) == whole
    assert studio.asked()[0] == jobs


def test_flipped_bytes_on_this_machine_are_mended_from_whichever_copy_is_whole(studio: Studio, tmp_path: Path) -> None:
    clone = studio.clone(tmp_path / "clone")
    run(clone, "pull", "show.yaml", env=studio.store)
    wanted = studio.clips(studio.root)
    objects = clone / ".manifest-runner" / "objects" / "sha256"

    def flip(path: Path) -> None:
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[700] ^= 1
        path.write_bytes(content)

    placed = {name: clone / "renders" / "show" / name for name in wanted}
    stored = {name: objects / digest[:2] / digest[2:] for name, digest in wanted.items()}
    for damage in ([placed["A_t1.mp4"]], [stored["A_t1.mp4"]], [placed["A_t1.mp4"], stored["A_t1.mp4"]]):
        for path in damage:
            flip(path)
        assert run(clone, "verify", "show.yaml", "-q").code == 1
        ran = run(clone, "verify", "show.yaml", "--repair", env=studio.store)
        assert (ran.code, "mended: A t1" in ran.out) == (0, True), ran.out + ran.err
        assert run(clone, "verify", "show.yaml").code == 0
        assert studio.clips(clone) == wanted


def test_a_take_that_is_nowhere_is_named_with_its_price_and_nothing_is_paid(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO)
    shutil.rmtree(tmp_path / "renders")
    with simulator(tmp_path, "--no-clips") as gateway:
        env = {"MANIFEST_RUNNER_BASE_URL": gateway, "TRINETRA_API_KEY": "canary-key-4711-0815"}
        ran = run(tmp_path, "pull", "rain.yaml", "--only", "SH0010", env=env)
        assert ran.code == 1
        assert "not here: SH0010 t1: " in ran.out
        assert "brings them back: 116 credits (₹116)" in ran.err
        assert books(gateway)["totals"]["jobs"] == 0


def test_a_push_says_which_clips_are_not_here_and_sends_the_others(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO)
    first = tmp_path / "renders" / "rain" / "SH0010_t1.mp4"
    first.write_bytes(b"another take")
    ran = run(tmp_path, "push", "rain.yaml", "--store", "shared")
    assert ran.code == 1
    assert f"not sent: renders/rain/{first.name}: no whole copy of it is on this machine" in ran.out
    assert "1 not sent" in ran.out
    assert hashlib.sha256(b"another take").hexdigest()[2:] not in [path.name for path in (tmp_path / "shared").rglob("*")]


def test_the_repository_alone_does_not_say_where_clips_go(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO)
    write(tmp_path, 'store = "/tmp/elsewhere"\n', "manifest-runner.toml")
    for verb in ("push", "pull", "verify"):
        ran = run(tmp_path, verb, "rain.yaml")
        assert (ran.code, "claimed-setting" in ran.err) == (2, True)
    assert run(tmp_path, "gc").code == 2
    assert run(tmp_path, "plan", "rain.yaml").code == 0
    assert run(tmp_path, "push", "rain.yaml", "--store", str(tmp_path / "mine")).code == 0


def test_a_push_from_where_the_repository_cannot_be_known_is_marked_as_that(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO)
    assert run(tmp_path, "push", "rain.yaml", "--store", "shared").code == 0
    assert [path.name for path in (tmp_path / "shared" / "repositories").iterdir()] == ["unknown"]
    assert "there is no folder" in run(tmp_path, "push", "rain.yaml", "--store", "not/mounted").err


def test_without_the_extra_or_a_store_the_way_on_is_said(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO)
    assert "--store s3://BUCKET/PREFIX" in run(tmp_path, "push", "rain.yaml").err
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "obstore.py").write_text("raise ImportError('not installed')\n")
    ran = run(tmp_path, "push", "rain.yaml", "--store", "x", env={"PYTHONPATH": str(tmp_path / "hide")})
    assert (ran.code, "pip install 'manifest-runner[s3]'" in ran.err) == (2, True)
    assert run(tmp_path, "pull", "rain.yaml", env={"PYTHONPATH": str(tmp_path / "hide")}).code == 0
    (tmp_path / "rain.lock.json").unlink()
    assert "nothing has been rendered yet" in run(tmp_path, "pull", "rain.yaml").err


def test_a_folder_that_the_gateway_cannot_read_is_said_before_anything_is_spent(tmp_path: Path) -> None:
    write(tmp_path, CHAIN)
    env = {"TRINETRA_API_KEY": "canary-key-4711-0815", "MANIFEST_RUNNER_STORE": str(tmp_path / "shared")}
    ran = run(tmp_path, "render", "show.yaml", "--yes", env=env)
    assert (ran.code, "--store-url" in ran.err, "nothing was spent" in ran.err) == (2, True, True)
    assert "--store-url" in run(tmp_path, "plan", "show.yaml", env=env).err
    public = {**env, "MANIFEST_RUNNER_STORE_URL": "https://cdn.example/shared"}
    assert "before it can be rendered" not in run(tmp_path, "plan", "show.yaml", env=public).err
    assert "before it can be rendered" not in run(tmp_path, "plan", "show.yaml", "--store", "s3://a/b").err


# ── gc ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def keep(root: Path, content: bytes, *, days: float = 100) -> str:
    """An object of this machine's store, so old; its sha256."""
    digest = hashlib.sha256(content).hexdigest()
    path = root / ".manifest-runner" / "objects" / "sha256" / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - days * 86400,) * 2)
    return digest


def stored(root: Path) -> set[str]:
    return {path.parent.name + path.name for path in (root / ".manifest-runner" / "objects" / "sha256").glob("*/*")}


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A repository in whose past lockfiles name objects in every way, and those objects by what they are."""
    root = tmp_path / "root"
    root.mkdir()
    write(root, ".manifest-runner/\n", ".gitignore")
    made = {name: keep(root, name.encode()) for name in
            ("first", "branch", "merged", "stash", "gone commit", "staged", "dirty", "broken", "draft", "other name", "nobody")}
    made["young"] = keep(root, b"young", days=1)

    def lock(name: str, file: str = "a.lock.json") -> None:
        write(root, json.dumps({"sha256": made[name]}), file)

    lock("first")
    commit(root)
    git(root, "checkout", "--quiet", "-b", "side")
    lock("branch", "deep/b.lock.json")
    commit(root)
    git(root, "checkout", "--quiet", "main")
    lock("other name", "c.lock.json")
    commit(root)
    git(root, "merge", "--quiet", "--no-commit", "side")
    lock("merged", "only-in-merge.lock.json")
    commit(root)
    git(root, "rm", "--quiet", "--cached", "only-in-merge.lock.json")
    (root / "only-in-merge.lock.json").unlink()
    write(root, "<<<<<<< ours\n" + made["broken"] + "\n=======\n", "a.lock.json")
    commit(root)
    lock("gone commit")
    commit(root)
    git(root, "reset", "--quiet", "--hard", "HEAD~1")
    lock("stash")
    git(root, "-c", "user.name=x", "-c", "user.email=x@x", "stash", "--quiet")
    lock("staged", "d.lock.json")
    git(root, "add", "d.lock.json")
    lock("dirty", "d.lock.json")
    lock("draft", "a.draft.lock.json")
    return root, made


def test_only_what_no_version_of_any_lockfile_names_is_swept_away(history: tuple[Path, dict[str, str]]) -> None:
    root, made = history
    dry = run(root, "gc", "--dry-run")
    assert dry.code == 0
    assert f"1 object (0.0 MB) named by no lockfile; {len(made) - 2} named, 1 too young to go." in dry.out
    assert stored(root) == set(made.values())
    asked = run(root, "gc")
    assert (asked.code, "--dry-run" in asked.err) == (2, True), "without a terminal nothing is deleted unasked"
    assert stored(root) == set(made.values())
    assert run(root, "gc", "--yes").code == 0
    assert stored(root) == set(made.values()) - {made["nobody"]}
    told = json.loads(run(root, "gc", "--older-than", "0", "--dry-run", "--json").out)
    assert [found["sha256"] for found in told["objects"]] == [made["young"]]


def test_of_revisions_that_are_named_only_their_own_history_counts(history: tuple[Path, dict[str, str]]) -> None:
    root, made = history
    told = json.loads(run(root, "gc", "--dry-run", "--revision", "side", "--json").out)
    kept = {made[name] for name in ("first", "branch", "other name", "staged", "dirty", "draft", "broken", "young")}
    assert {found["sha256"] for found in told["objects"]} == set(made.values()) - kept
    assert run(root, "gc", "--revision", "--all").code == 2


def test_where_the_whole_history_cannot_be_seen_nothing_is_swept(history: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    root, _ = history
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{root}", "shallow")
    keep(tmp_path / "shallow", b"x")
    ran = run(tmp_path / "shallow", "gc", "--yes")
    assert (ran.code, "git fetch --unshallow" in ran.err) == (2, True)
    assert stored(tmp_path / "shallow")
    elsewhere = run(root, "gc", "--yes", "--state-dir", str(tmp_path / "state"))
    assert (elsewhere.code, "outside this repository" in elsewhere.err) == (2, True)


def test_a_shared_store_is_swept_only_by_the_one_repository_that_uses_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lay_out(tmp_path / name, TWO, first=0 if name == "one" else 2)
        write(tmp_path / name, name, "name")
        commit(tmp_path / name)
    one, store = tmp_path / "one", tmp_path / "shared"
    assert run(one, "push", "rain.yaml", "--store", str(store)).code == 0
    waste = store / "sha256" / "ab" / ("c" * 62)
    waste.parent.mkdir(exist_ok=True)
    waste.write_bytes(b"waste")
    sweep = ("gc", "--shared", "--store", str(store), "--older-than", "0", "--yes")
    assert run(tmp_path / "two", "push", "rain.yaml", "--store", str(store)).code == 0
    refused = run(one, *sweep)
    assert (refused.code, "not this repository's alone" in refused.err) == (2, True)
    assert waste.exists()
    (other,) = (path for path in (store / "repositories").iterdir() if path.stat().st_mtime_ns == max(
        found.stat().st_mtime_ns for found in (store / "repositories").iterdir()))
    other.unlink()
    (store / "repositories" / "unknown").write_text("from a shallow clone")
    assert run(one, *sweep).code == 2
    (store / "repositories" / "unknown").unlink()
    assert run(one, *sweep).code == 0
    assert not waste.exists()
    assert run(one, "verify", "rain.yaml", "--shared", "--store", str(store)).code == 0
