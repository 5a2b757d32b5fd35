"""Where a request's frames are now: pictures of the repository and frames of upstream clips, published for the gateway.

Laws: a picture that is as the model's card wants it travels byte for byte; what is mended about another one changes nothing
about what it is, so that a fingerprint names the file and never its conversion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import anyio

from manifest_runner.core.model import Artifact, FileFrame, Frame, Request, Shot, ShotFrame, UrlFrame
from manifest_runner.core.modelcard import ModelCard, PictureAdvice
from manifest_runner.core.pictureheaders import read
from manifest_runner.core.pictures import why_converted
from manifest_runner.engine.types import Outside
from manifest_runner.errors import MediaError, StalePlan

ClipOf = Callable[[ShotFrame], Artifact]


class Pictures:
    """Publishes each picture once a run, however many takes use it."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._published: dict[str, str] = {}
        self._locks: dict[str, anyio.Lock] = {}
        self._one = anyio.Lock()  # large pictures are converted one at a time: each needs some hundred megabytes

    async def addresses(self, shot: Shot, request: Request, card: ModelCard, clip_of: ClipOf) -> Mapping[str, str]:
        """The frame parameters of a request, each with an address that the gateway can read now.

        `request` names what each frame must be; raises `StalePlan` where a picture's bytes are others by now.
        """
        found: dict[str, str] = {}
        for name, frame in ((card.frames.first, shot.first_frame), (card.frames.last, shot.last_frame)):
            if frame is not None:
                found[name] = await self._address(frame, str(request.params[name]), clip_of, card.frames.picture)
        return found

    async def _address(self, frame: Frame, identity: str, clip_of: ClipOf, advice: PictureAdvice) -> str:
        if isinstance(frame, UrlFrame):
            return frame.url
        async with self._locks.setdefault(identity, anyio.Lock()):
            if identity not in self._published:
                name = frame.path if isinstance(frame, FileFrame) else f"the frame of {frame.shot}"
                picture = await self._fit(await self._read(frame, identity, clip_of), name, advice)
                self._published[identity] = await self._outside.frames.publish(picture)
            return self._published[identity]

    async def _fit(self, picture: bytes, name: str, advice: PictureAdvice) -> bytes:
        """The picture as it is sent. Raises `MediaError` where it has to be converted and cannot be read."""
        if not why_converted(read(picture), advice):
            return picture
        async with self._one:
            try:
                return await self._outside.media.picture(picture, advice.max_bytes)
            except MediaError as error:
                raise MediaError(f"{name}: {error.message}", hint="export it again as PNG or JPEG") from error

    async def _read(self, frame: FileFrame | ShotFrame, identity: str, clip_of: ClipOf) -> bytes:
        if isinstance(frame, ShotFrame):
            return await self._outside.media.frame(self._outside.store.path_of(clip_of(frame)), frame.frame)
        picture = self._outside.files.read(frame.path)
        if identity != f"file:sha256:{hashlib.sha256(picture).hexdigest()}":
            raise StalePlan(f"{frame.path} changed after the plan was made", hint="plan again")
        return picture
