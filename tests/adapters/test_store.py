from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from manifest_runner.adapters import store as store_module
from manifest_runner.adapters.store import LocalStore
from manifest_runner.core.model import Artifact, MediaFacts
from manifest_runner.errors import DownloadError, UsageError

CLIP = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 20_000
SHA = hashlib.sha256(CLIP).hexdigest()
PLACE = "renders/monsoon/SH0010_t1.mp4"

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "show" / ".git").mkdir(parents=True)
    (tmp_path / "show" / "manifests").mkdir()
    return tmp_path / "show" / "manifests"


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder.parent / ".manifest-runner" / "objects", folder)


def fill(store: LocalStore, content: bytes = CLIP) -> Path:
    scratch = store.scratch("SH0010 t1/../x")
    scratch.write_bytes(content)
    return scratch


def object_of(folder: Path, digest: str = SHA) -> Path:
    return folder.parent / ".manifest-runner" / "objects" / "sha256" / digest[:2] / digest[2:]


def all_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


async def test_a_kept_clip_is_an_object_by_hash_and_a_copy_at_its_place(store: LocalStore, folder: Path) -> None:
    facts = MediaFacts(container="mp4", codec="h264", width=2, height=2, duration=1.0, frames=24, frame_rate="24/1")
    scratch = fill(store)
    artifact = await store.keep(scratch, PLACE, facts)
    assert artifact == Artifact(path=PLACE, sha256=SHA, bytes=len(CLIP), media=facts)
    assert (folder / PLACE).read_bytes() == CLIP
    assert object_of(folder).read_bytes() == CLIP
    assert stat.S_IMODE(object_of(folder).stat().st_mode) == 0o444
    assert not scratch.exists()
    assert all_files(folder.parent) == {f"manifests/{PLACE}", object_of(folder).relative_to(folder.parent).as_posix()}
    assert store.path_of(artifact).read_bytes() == CLIP


async def test_a_placed_clip_never_shares_its_bytes_with_the_object(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    place = folder / PLACE
    assert place.stat().st_ino != object_of(folder).stat().st_ino
    with place.open("r+b") as file:
        file.write(b"scribble")
    assert object_of(folder).read_bytes() == CLIP
    assert await store.place(artifact)
    assert place.read_bytes() == CLIP


async def test_the_same_bytes_twice_are_one_object(store: LocalStore, folder: Path) -> None:
    first = await store.keep(fill(store), PLACE, None)
    second = await store.keep(fill(store), "renders/monsoon/SH0020_t1.mp4", None)
    assert first.sha256 == second.sha256
    assert len(list((folder.parent / ".manifest-runner").rglob("*"))) == len(["objects", "scratch", "sha256", "ab", "cdef"])


async def test_other_bytes_than_locked_are_stored_but_not_placed(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None, sha256=SHA)
    other = CLIP + b"other"
    digest = hashlib.sha256(other).hexdigest()
    with pytest.raises(DownloadError) as caught:
        await store.keep(fill(store, other), PLACE, None, sha256=artifact.sha256)
    assert SHA in str(caught.value)
    assert digest in str(caught.value)
    assert (folder / PLACE).read_bytes() == CLIP
    assert object_of(folder, digest).read_bytes() == other


async def test_a_place_that_was_deleted_or_overwritten_is_restored(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    place = folder / PLACE
    place.unlink()
    assert await store.place(artifact)
    place.write_bytes(b"garbage")
    assert await store.place(artifact)
    place.unlink()
    place.symlink_to(victim)
    assert await store.place(artifact)
    assert place.read_bytes() == CLIP
    assert not place.is_symlink()
    assert victim.read_bytes() == b"untouched"


async def test_a_clip_that_is_whole_may_keep_its_time_and_a_link_to_it_does_not_count(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    placed = folder / PLACE
    os.utime(placed, ns=(10**18, 10**18))
    assert await store.place(artifact, over=False)
    assert placed.stat().st_mtime_ns == 10**18, "make and ninja would render again what goes on from it"
    (folder / "other.mp4").hardlink_to(placed)
    assert await store.place(artifact, over=False)
    assert placed.stat().st_nlink == 1
    os.utime(placed, ns=(10**18, 10**18))
    assert await store.place(artifact)
    assert placed.stat().st_mtime_ns > 10**18
    placed.write_bytes(CLIP[:-1] + b"x")
    assert await store.place(artifact, over=False)
    assert placed.read_bytes() == CLIP


async def test_an_artifact_that_the_store_does_not_have_is_not_placed(store: LocalStore, folder: Path) -> None:
    assert not await store.place(Artifact(path=PLACE, sha256="0" * 64, bytes=1))
    assert all_files(folder) == set()


async def test_a_flipped_byte_in_an_object_is_seen_and_the_object_moved_aside(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    (folder / PLACE).unlink()
    damaged = object_of(folder)
    damaged.chmod(0o644)
    damaged.write_bytes(CLIP[:-1] + b"\x01")
    assert not await store.place(artifact)
    assert all_files(folder) == set()
    assert not damaged.exists()
    aside = list((folder.parent / ".manifest-runner" / "objects" / "damaged").iterdir())
    assert [path.read_bytes() for path in aside] == [CLIP[:-1] + b"\x01"]
    assert (await store.keep(fill(store), PLACE, None)).sha256 == SHA, "the clip can be fetched again"


async def test_a_damaged_object_is_healed_when_its_bytes_arrive_again(store: LocalStore, folder: Path) -> None:
    await store.keep(fill(store), PLACE, None)
    object_of(folder).chmod(0o644)
    object_of(folder).write_bytes(b"damaged")
    await store.keep(fill(store), PLACE, None)
    assert object_of(folder).read_bytes() == CLIP


HOSTILE = ["../../out.mp4", "/tmp/out.mp4", "renders/../../../out.mp4", "..", "", "renders/", "a/..", "C:out.mp4",
           "\\\\host\\x", "renders\\..\\..\\..\\x", "nul\0", "\ud800/x", "half\ud800",
           "line\nbreak", "../.git/hooks/post-checkout",
           "link/out.mp4", "deep/link/more/out.mp4", "loop/x"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_name_reaches_outside_the_repository(store: LocalStore, folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    artifact = await store.keep(fill(store), "good.mp4", None)
    hostile = Artifact(path=name, sha256=artifact.sha256, bytes=artifact.bytes)
    scratch = fill(store)
    with pytest.raises(UsageError):
        await store.keep(scratch, name, None)
    assert scratch.exists(), "nothing moves before the name is judged"
    with pytest.raises(UsageError):
        await store.place(hostile)
    with pytest.raises(UsageError):
        await store.check(hostile)
    assert store.copies(hostile) == [object_of(folder, artifact.sha256)], "no file outside is taken for a copy"
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "out.mp4").exists()


async def test_an_output_folder_may_be_a_link_inside_the_repository(store: LocalStore, folder: Path) -> None:
    (folder.parent / "media").mkdir()
    (folder / "renders").symlink_to("../media")
    artifact = await store.keep(fill(store), "renders/a.mp4", None)
    assert (folder.parent / "media" / "a.mp4").read_bytes() == CLIP
    assert await store.check(artifact) == ("whole", "whole")


@pytest.mark.parametrize("digest", ["", "../../../../etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"])
async def test_a_hash_that_is_none_never_becomes_a_path(store: LocalStore, digest: str) -> None:
    artifact = Artifact(path=PLACE, sha256=digest, bytes=1)
    with pytest.raises(UsageError):
        store.path_of(artifact)
    with pytest.raises(UsageError):
        await store.place(artifact)


async def test_each_copy_is_judged_by_every_byte(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    place, stored = folder / PLACE, object_of(folder)
    assert await store.check(artifact) == ("whole", "whole")
    assert store.copies(artifact) == [stored, place]
    place.write_bytes(b"x" + CLIP[1:])
    assert await store.check(artifact) == ("changed", "whole")
    place.write_bytes(b"short")
    stored.chmod(0o644)
    stored.write_bytes(CLIP + b"x")
    assert await store.check(artifact) == ("changed", "changed")
    place.unlink()
    stored.unlink()
    assert await store.check(artifact) == ("missing", "missing")
    assert store.copies(artifact) == []
    os.mkfifo(place)
    assert await store.check(artifact) == ("changed", "missing")


async def test_an_object_is_made_anew_only_from_a_whole_copy(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    stored = object_of(folder)
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    await store.renew(artifact)
    assert stored.read_bytes() == CLIP
    assert [path.read_bytes() for path in (stored.parents[2] / "damaged").iterdir()] == [b"damaged"]
    (folder / PLACE).write_bytes(b"also")
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    with pytest.raises(DownloadError):
        await store.renew(artifact)
    assert stored.read_bytes() == b"damaged", "nothing is put in its place"


async def test_objects_are_listed_and_deleted_by_their_names_and_nothing_else_is(store: LocalStore, folder: Path) -> None:
    await store.keep(fill(store), PLACE, None)
    (object_of(folder).parent / "notes.txt").write_text("mine")
    (kept,) = store.objects()
    assert (kept.sha256, kept.bytes) == (SHA, len(CLIP))
    store.remove([SHA, "0" * 64])
    assert store.objects() == []
    assert (object_of(folder).parent / "notes.txt").exists()
    assert (folder / PLACE).exists(), "what lies in its place is somebody's"
    with pytest.raises(UsageError):
        store.remove(["../../x"])



async def test_bytes_are_read_from_the_object_and_else_from_the_place(store: LocalStore, folder: Path) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    (folder / PLACE).write_bytes(b"edited")
    assert store.path_of(artifact) == object_of(folder)
    object_of(folder).unlink()
    assert store.path_of(artifact) == (folder / PLACE).resolve()


async def test_a_full_disk_is_a_download_error_and_leaves_no_temporary_file(store: LocalStore, folder: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = await store.keep(fill(store), PLACE, None)
    before = all_files(folder.parent)

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.shutil, "copyfileobj", fail)
    monkeypatch.setattr(store_module, "_reflink", lambda *_: False)
    with pytest.raises(DownloadError, match="No space left"):
        await store.place(artifact)
    assert all_files(folder.parent) == before
    assert (folder / PLACE).read_bytes() == CLIP


async def test_a_scratch_file_that_is_gone_is_a_download_error(store: LocalStore) -> None:
    with pytest.raises(DownloadError):
        await store.keep(store.scratch("gone"), PLACE, None)


async def test_a_folder_at_the_place_is_a_download_error_and_stays(store: LocalStore, folder: Path) -> None:
    (folder / PLACE / "inside").mkdir(parents=True)
    with pytest.raises(DownloadError):
        await store.keep(fill(store), PLACE, None)
    assert (folder / PLACE / "inside").is_dir()
    assert object_of(folder).read_bytes() == CLIP, "paid bytes are in the store all the same"
