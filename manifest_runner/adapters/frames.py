"""How a picture gets into a request: as a `data:` address, or not at all where there is no place to publish it. That place is
the shared store: `shared_store.py`."""

from __future__ import annotations

import base64
from typing import NoReturn

from manifest_runner.errors import UsageError

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def media_type(picture: bytes) -> str:
    """`image/png` or `image/jpeg`, by the first bytes; raises `UsageError` for anything else."""
    for signature, kind in _SIGNATURES:
        if picture.startswith(signature):
            return kind
    raise UsageError("a frame must be a PNG or JPEG picture", code="not-a-picture",
                     hint="export the plate as .png or .jpg; the name alone does not make it one")


class InlineFrames:
    """`ports.Frames` for gateways that take a picture inside the request itself."""

    async def publish(self, picture: bytes) -> str:
        """The picture as a `data:` address. Raises `UsageError` for anything but PNG and JPEG."""
        return f"data:{media_type(picture)};base64,{base64.b64encode(picture).decode('ascii')}"


class NoFrames:
    """`ports.Frames` where nothing was configured: a shot that needs a picture cannot be submitted."""

    async def publish(self, picture: bytes) -> NoReturn:
        """Always raises `UsageError`."""
        raise UsageError(
            f"this shot sends a picture ({len(picture):,} bytes), and nothing says how it gets to the gateway",
            code="no-frames",
            hint="name a store that the gateway can read (--store s3://BUCKET/PREFIX), or, where the gateway takes data: "
                 "addresses, set MANIFEST_RUNNER_FRAMES=inline")
