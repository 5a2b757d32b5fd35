"""The shared store over a folder and over a real S3 server: whole or not at all, once, and nothing under a wrong name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.exceptions import GenericError

from manifest_runner.adapters import shared_store
from manifest_runner.adapters.layered_store import LayeredStore
from manifest_runner.adapters.shared_store import ObjectSharedStore, open_shared
from manifest_runner.adapters.store import LocalStore
from manifest_runner.core.model import Artifact
from manifest_runner.errors import StoreError, UsageError
from tests.s3 import Bucket, s3

SMALL = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with s3() as bucket:
        yield bucket


@pytest.fixture(params=["folder", "s3"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectSharedStore:
    if request.param == "folder":
        return open_shared(str(tmp_path / "shared"))
    return on_s3(request.getfixturevalue("server"), f"s3://studio/{tmp_path.name}", monkeypatch)


def on_s3(server: Bucket, address: str, monkeypatch: pytest.MonkeyPatch, public: str | None = None) -> ObjectSharedStore:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return open_shared(address, public=public)


def clip(folder: Path, content: bytes = SMALL) -> tuple[str, Path]:
    path = folder / f"clip-{len(content)}"
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), path


async def test_what_was_put_comes_back_whole_and_is_put_once(shared: ObjectSharedStore, tmp_path: Path) -> None:
    digest, path = clip(tmp_path)
    assert await shared.size(digest) is None
    assert not await shared.fetch(digest, len(SMALL), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert await shared.put(digest, path)
    assert not await shared.put(digest, path)
    assert await shared.size(digest) == len(SMALL)
    assert await shared.fetch(digest, len(SMALL), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == SMALL
    assert await shared.fetch(digest, len(SMALL), None)
    (kept,) = await shared.listing()
    assert (kept.sha256, kept.bytes) == (digest, len(SMALL))
    await shared.remove([digest])
    assert await shared.listing() == []


async def test_a_large_object_goes_in_parts_and_comes_back_whole(shared: ObjectSharedStore, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_store, "_AT_ONCE", 5 * 1024 * 1024)  # the least that S3 takes as a part
    digest, path = clip(tmp_path, bytes(range(256)) * 45_000)
    assert await shared.put(digest, path)
    assert await shared.fetch(digest, path.stat().st_size, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("at_once", [8 * 1024 * 1024, 1024], ids=["in one request", "in parts"])
async def test_bytes_that_do_not_fit_their_name_are_never_stored(shared: ObjectSharedStore, tmp_path: Path, at_once: int,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_store, "_AT_ONCE", at_once)
    _, path = clip(tmp_path)
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(StoreError) as caught:
        await shared.put(other, path)
    assert caught.value.damaged
    assert await shared.size(other) is None
    assert await shared.listing() == []


@pytest.mark.parametrize("content", [b"\1" + SMALL[1:], SMALL[:-1], SMALL + b"x"], ids=["flipped", "shorter", "longer"])
async def test_other_bytes_in_the_store_are_named_and_leave_no_file(shared: ObjectSharedStore, tmp_path: Path,
                                                                     content: bytes) -> None:
    digest, path = clip(tmp_path)
    await shared.put(digest, path)
    obstore.put(shared._store, f"sha256/{digest[:2]}/{digest[2:]}", content)
    for to in (tmp_path / "back", None):
        with pytest.raises(StoreError) as caught:
            await shared.fetch(digest, len(SMALL), to)
        assert caught.value.damaged
    assert not (tmp_path / "back").exists()
    assert await shared.put(digest, path, over=True)
    assert await shared.fetch(digest, len(SMALL), None)


class Breaking:
    """obstore.get, whose streams break off after one piece, so many times; then they end."""

    def __init__(self, times: int) -> None:
        self.times, self.offsets = times, list[int]()

    def __call__(self, store: Any, key: str, options: Any) -> Any:
        found = obstore.get(store, key, options=options)
        self.offsets.append(found.range[0])
        breaks = len(self.offsets) <= self.times

        class Found:
            meta = found.meta

            def stream(self, min_chunk_size: int) -> Iterator[bytes]:
                for chunk in found.stream(min_chunk_size=1000):
                    yield bytes(chunk[:1000]) if breaks else bytes(chunk)
                    if breaks:
                        raise GenericError("connection reset")

        return Found()


async def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, breaking = open_shared(str(tmp_path / "shared")), Breaking(4)
    digest, path = clip(tmp_path)
    await shared.put(digest, path)
    monkeypatch.setattr(shared_store, "obstore", _With(breaking))
    assert await shared.fetch(digest, len(SMALL), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == SMALL
    assert breaking.offsets == [0, 1000, 2000, 3000, 4000]


class _With:
    """The module obstore with another `get`."""

    def __init__(self, get: Any) -> None:
        self.get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)


async def test_a_store_that_gives_nothing_is_left_after_a_few_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, asked = open_shared(str(tmp_path / "shared")), list[str]()

    def get(_store: Any, key: str, options: Any) -> Any:
        asked.append(key)
        raise GenericError("Generic S3 error - no route\n\nDebug source: secret")

    monkeypatch.setattr(shared_store, "obstore", _With(get))
    with pytest.raises(StoreError, match="no route") as caught:
        await shared.fetch("0" * 64, 5, tmp_path / "back")
    assert "secret" not in caught.value.message
    assert len(asked) == 3
    assert not (tmp_path / "back").exists()


async def test_who_has_pushed_is_known_and_what_is_no_object_is_not_listed(shared: ObjectSharedStore, tmp_path: Path) -> None:
    assert await shared.users() == frozenset()
    assert await shared.users("one") == {"one"}
    assert await shared.users("one") == {"one"}
    assert await shared.users("two") == {"one", "two"}
    obstore.put(shared._store, "sha256/ab/readme.txt", b"x")
    obstore.put(shared._store, "other/thing", b"x")
    assert await shared.listing() == []


async def test_a_published_picture_is_read_by_its_address_alone(server: Bucket, monkeypatch: pytest.MonkeyPatch,
                                                                tmp_path: Path) -> None:
    shared = on_s3(server, f"s3://studio/{tmp_path.name}", monkeypatch)
    address = await shared.publish(PNG)
    assert address.partition("?")[0].endswith(f"/frames/{hashlib.sha256(PNG).hexdigest()}.png")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(address)
    assert (answer.content, answer.headers["Content-Type"]) == (PNG, "image/png")
    assert (await shared.publish(PNG)).partition("?")[0] == address.partition("?")[0]
    assert server.env["AWS_SECRET_ACCESS_KEY"] not in address
    with pytest.raises(UsageError):
        await shared.publish(b"GIF89a")


async def test_below_a_public_address_nothing_is_signed(tmp_path: Path) -> None:
    served = open_shared(str(tmp_path / "shared"), public="https://cdn.example/a b/".replace(" ", "%20"))
    name = f"frames/{hashlib.sha256(PNG).hexdigest()}.png"
    assert await served.publish(PNG) == f"https://cdn.example/a%20b/{name}"
    assert (tmp_path / "shared" / name).read_bytes() == PNG
    with pytest.raises(UsageError, match="cannot read"):
        await open_shared(str(tmp_path / "shared")).publish(PNG)


@pytest.mark.parametrize("address", ["", " ", "ftp://host/x", "http://bucket", "s3://", "s3:///x", "s3://user:word@bucket/x",
                                     "s3://bucket/x?token=word", "file://host/x", "gs://", "az://"])
def test_what_is_no_address_of_a_store_is_refused_without_its_secrets(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_shared(address)
    assert caught.value.code == "bad-store"
    assert "word" not in caught.value.message


async def test_what_s3_says_is_told_in_its_own_words_without_anything_secret(server: Bucket, tmp_path: Path,
                                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    shared = on_s3(server, "s3://nobody/x", monkeypatch)
    digest, path = clip(tmp_path)
    for asked in (shared.put(digest, path), shared.listing(), shared.fetch(digest, 5, tmp_path / "x")):
        with pytest.raises(StoreError, match="404 Not Found") as caught:
            await asked
        assert "CANARY" not in caught.value.message.upper()
        assert len(caught.value.message) < 200
    monkeypatch.setattr(shared_store, "_RETRY", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="does not do what it is asked"):
        await open_shared("s3://studio/x").size(digest)


async def test_what_is_not_on_this_machine_comes_from_the_shared_store(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    shared, local, said = open_shared(str(tmp_path / "shared")), LocalStore(tmp_path / "objects", tmp_path), list[str]()
    store = LayeredStore(local, shared, said.append)
    digest, path = clip(tmp_path)
    artifact = Artifact(path="renders/a.mp4", sha256=digest, bytes=len(SMALL))
    assert not await store.place(artifact)
    await shared.put(digest, path)
    assert await store.place(artifact)
    assert (tmp_path / "renders" / "a.mp4").read_bytes() == store.path_of(artifact).read_bytes() == SMALL
    await shared.remove([digest])
    (tmp_path / "renders" / "a.mp4").unlink()
    assert await store.place(artifact), "it is on this machine now"
    assert said == []
    assert list((tmp_path / "objects" / "scratch").iterdir()) == []


async def test_a_shared_store_with_other_bytes_is_told_and_places_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    shared, said = open_shared(str(tmp_path / "shared")), list[str]()
    store = LayeredStore(LocalStore(tmp_path / "objects", tmp_path), shared, said.append)
    digest, path = clip(tmp_path)
    await shared.put(digest, path)
    (tmp_path / "shared" / "sha256" / digest[:2] / digest[2:]).write_bytes(SMALL[:-1] + b"\7")
    assert not await store.place(Artifact(path="renders/a.mp4", sha256=digest, bytes=len(SMALL)))
    assert not (tmp_path / "renders").exists()
    (words,) = said
    assert "others than that" in words
    assert list((tmp_path / "objects" / "scratch").iterdir()) == []
