"""Clips for the simulator's jobs: which picture a request asks for, encoded once and in the background.

Laws: no network (a picture behind an http address is left to the renderer's imagination); a file appears under its name
only when it is whole; requests that ask for the same picture share one file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread

from manifest_runner.errors import ManifestRunnerError, MediaError
from manifest_runner.simulator.page import content_hash

Render: TypeAlias = Callable[[Mapping[str, Any], str, int, Mapping[str, bytes], Path], None]
"""Draws a clip: request body, shot, take, pictures by field name (PNG or JPEG bytes), the file to write. Called in threads."""

FLAW, FLAWS = "simulator:flaw", ("black", "frozen")
"""Under which name the order for a clip says what is to be wrong with it, and what may be. No request has a parameter so
called."""

Place: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""A place for heavy work on this machine, waited for and given back."""

_TASK_ID = re.compile(r"(?P<shot>.+)_t(?P<take>[1-9]\d*)\.a\d+\.[0-9a-f]+")
_DATA_URL = re.compile(r"data:image/(?:png|jpeg);base64,(?P<base64>.*)", re.DOTALL)
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def parse_task_id(text: str) -> tuple[str, int]:
    """Shot and take of an external task id `<shot>_t<take>.a<attempt>.<hex>`; for any other text its beginning, and 1."""
    found = _TASK_ID.fullmatch(text)
    return (found["shot"], int(found["take"])) if found else (text[:12], 1)


def pictures_in(body: Mapping[str, Any]) -> dict[str, bytes]:
    """The inline frames of a request by field name; raises `MediaError` for one that is not a PNG or a JPEG.

    Frames behind an http address are left out: the simulator fetches nothing.
    """
    pictures = {}
    for name in ("image_url", "last_frame_url"):
        url = body.get(name, "")
        if url and not url.startswith(("http://", "https://")):
            pictures[name] = _decode(name, url)
    return pictures


def _decode(name: str, url: str) -> bytes:
    found = _DATA_URL.fullmatch(url)
    try:
        picture = base64.b64decode(found["base64"], validate=True) if found else b""
    except ValueError:
        picture = b""
    if not picture.startswith(_MAGIC):
        raise MediaError(f"{name} is not a picture that can be read (PNG or JPEG)")
    return picture


def animatic(body: Mapping[str, Any], shot: str, take: int, pictures: Mapping[str, bytes], to: Path) -> None:
    """The renderer of the product: an animatic clip with a slate."""
    # Only here: Pillow and PyAV are heavy and belong to another extra, and load runs need neither.
    from manifest_runner.simulator.animatic import brief_of, render

    render(replace(brief_of(body, shot=shot, take=take, pictures=pictures), flaw=body.get(FLAW, "")), to)


@dataclass(slots=True)
class _Clip:
    path: Path
    done: anyio.Event = field(default_factory=anyio.Event)
    error: str = ""


class ClipRoom:
    """Encodes clips into `folder`, at most `encoders` at a time, each of them in a place that `place` gives, if it is there."""

    def __init__(self, folder: Path, render: Render, encoders: int, place: Place | None = None) -> None:
        self._folder = folder
        self._place = place or nullcontext
        self._render = render
        self._limiter = anyio.CapacityLimiter(encoders)
        self._clips: dict[str, _Clip] = {}

    async def clip(self, body: bytes, external_task_id: str) -> Path:
        """The file of the clip that `body` (JSON) asks for, once it is whole; raises `MediaError` where there is none."""
        document = json.loads(body)
        shot, take = parse_task_id(external_task_id)
        name = hashlib.sha256(f"{content_hash(document)}\0{shot}\0{take}".encode()).hexdigest()
        clip = self._clips.get(name)
        if clip is None:
            clip = self._clips[name] = _Clip(self._folder / f"{name}.mp4")
            await self._encode(clip, document, shot, take)
        else:
            await clip.done.wait()
        if clip.error:
            raise MediaError(clip.error)
        return clip.path

    async def _encode(self, clip: _Clip, document: Mapping[str, Any], shot: str, take: int) -> None:
        def work() -> None:
            part = clip.path.with_suffix(".part.mp4")
            self._render(document, shot, take, pictures_in(document), part)
            part.replace(clip.path)

        try:
            # Abandoned when cancelled: whoever stops the simulator does not wait for pictures that nobody will see.
            async with self._limiter, self._place():
                await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except ManifestRunnerError as error:
            clip.error = error.message
        except OSError as error:
            clip.error = f"the clip could not be written: {error.strerror}"
        finally:
            clip.done.set()
