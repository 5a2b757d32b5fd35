"""What becomes of a picture on its way into a request: a good one travels byte for byte, another one is mended once."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from PIL import Image

from manifest_runner.adapters.media import PyAvMedia
from manifest_runner.core.model import FileFrame, FramePosition, Request, Shot, ShotFrame, ShotId
from manifest_runner.engine.pictures import Pictures
from manifest_runner.errors import MediaError, StalePlan
from tests.builders import CARD, clip


def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").resize((320, 300)).convert(mode).save(out, kind, **options)
    return out.getvalue()


class Files(dict[str, bytes]):
    def read(self, path: str) -> bytes:
        return self[path]


class Published:
    """`ports.Frames` that remembers what it was given."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []

    async def publish(self, picture: bytes) -> str:
        self.pictures.append(picture)
        return f"https://cdn/{len(self.pictures)}"


def outside(files: dict[str, bytes], frame: bytes = b"") -> Any:
    class Media(PyAvMedia):
        async def frame(self, clip: Path, position: FramePosition) -> bytes:
            return frame

    store = SimpleNamespace(path_of=lambda artifact: Path(artifact.path))
    return SimpleNamespace(files=Files(files), frames=Published(), media=Media(), store=store)


def sent(files: dict[str, bytes], shots: list[Shot], world: Any = None) -> list[bytes]:
    """The pictures that are published for these shots."""
    world = world or outside(files)

    async def main() -> None:
        pictures = Pictures(world)
        async with anyio.create_task_group() as group:
            for shot in shots:
                group.start_soon(pictures.addresses, shot, request_of(shot, files), CARD, lambda _: clip("renders/a.mp4"))

    anyio.run(main)
    published: list[bytes] = world.frames.pictures
    return published


def request_of(shot: Shot, files: dict[str, bytes]) -> Request:
    frames = {CARD.frames.first: shot.first_frame, CARD.frames.last: shot.last_frame}
    return Request(model=CARD.name, params={name: f"file:sha256:{hashlib.sha256(files[frame.path]).hexdigest()}"
                                            if isinstance(frame, FileFrame) else "frame:last:sha256:00"
                                            for name, frame in frames.items() if frame is not None})


def shot(first: str, last: str | None = None, name: str = "A") -> Shot:
    return Shot(id=ShotId(name), params={"prompt": "x"}, first_frame=FileFrame(path=first),
                last_frame=None if last is None else FileFrame(path=last))


@pytest.mark.parametrize("content", [
    saved("PNG"), saved("JPEG"), saved("JPEG", quality=30, progressive=True), b"\x89PNG\r\n\x1a\n of which nothing can be read",
], ids=["PNG", "JPEG", "progressive", "unreadable"])
def test_what_the_gateway_takes_travels_byte_for_byte(content: bytes) -> None:
    assert sent({"a": content}, [shot("a")]) == [content]


@pytest.mark.parametrize(("kind", "mode"), [("WEBP", "RGB"), ("TIFF", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "CMYK")])
def test_anything_else_is_mended(kind: str, mode: str) -> None:
    content = saved(kind, mode)
    (picture,) = sent({"a": content}, [shot("a")])
    assert picture != content
    assert Image.open(io.BytesIO(picture)).mode == "RGB"


def test_a_picture_that_many_shots_begin_on_is_mended_and_published_once() -> None:
    files = {"a": saved("WEBP"), "b": saved("TIFF")}
    assert len(sent(files, [shot("a", "b"), shot("a", "b", "B"), shot("b", "a", "C")])) == 2


def test_a_picture_that_has_to_be_mended_and_cannot_be_read_is_named_before_anything_is_sent() -> None:
    files = {"plates/a.webp": saved("WEBP")[:200]}
    world = outside(files)
    with pytest.raises(BaseExceptionGroup) as caught:
        sent(files, [shot("plates/a.webp")], world)
    (error,) = caught.value.exceptions
    assert isinstance(error, MediaError)
    assert error.message.startswith("plates/a.webp: ")
    assert world.frames.pictures == []


def test_a_fingerprint_is_held_against_the_files_own_bytes_and_not_against_what_is_made_of_them() -> None:
    files = {"a": saved("WEBP")}
    world = outside({"a": saved("WEBP", quality=1)})
    with pytest.raises(BaseExceptionGroup) as caught:
        sent(files, [shot("a")], world)
    assert isinstance(caught.value.exceptions[0], StalePlan)


def test_a_frame_of_a_clip_travels_as_it_was_decoded() -> None:
    frame = saved("PNG")
    follower = Shot(id=ShotId("B"), params={"prompt": "x"}, first_frame=ShotFrame(shot=ShotId("A")))
    assert sent({}, [follower], outside({}, frame)) == [frame]
