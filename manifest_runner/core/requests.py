"""From a shot to what is asked of the gateway: the request that is hashed and shown, and the bytes that are sent.

Two forms, never mixed: a `Request` names frames by identity (what they are); a body names them by address (where they
are now). Only the first is fingerprinted and committed, so that an address that changes costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from manifest_runner.core.fingerprint import canonical_json
from manifest_runner.core.model import (
    ExternalTaskId,
    FileFrame,
    Fingerprint,
    Frame,
    FramePosition,
    Request,
    Shot,
    ShotFrame,
    TakeKey,
    UrlFrame,
)
from manifest_runner.core.modelcard import ModelCard

PENDING = "shot:"
"""How the identity of a frame begins whose clip does not exist yet."""


def frame_identity(frame: Frame, file_hash: Callable[[str], str], clip_hash: Callable[[ShotFrame], str | None],
                   take: Callable[[ShotFrame], int]) -> str:
    """What a frame is: `url:…`, `file:sha256:…`, `frame:last:sha256:…`, or `shot:SH0010:t1:last` while its clip is pending.

    `file_hash` gives the sha256 of a repository file, `clip_hash` that of an upstream clip or None, `take` the take meant.
    """
    if isinstance(frame, UrlFrame):
        return f"url:{frame.url}"
    if isinstance(frame, FileFrame):
        return f"file:sha256:{file_hash(frame.path)}"
    digest = clip_hash(frame)
    if digest is None:
        return f"{PENDING}{frame.shot}:t{take(frame)}:{frame.frame.value}"
    return clip_frame_identity(frame.frame, digest)


def clip_frame_identity(position: FramePosition, clip_sha256: str) -> str:
    """The identity of the first or last frame of a clip that exists."""
    return f"frame:{position.value}:sha256:{clip_sha256}"


def request_of(shot: Shot, card: ModelCard, identity: Callable[[Frame], str]) -> Request:
    """What is asked for one take of a shot."""
    if shot.first_frame is None and shot.last_frame is None:
        return Request(model=card.name, params=shot.params)  # shared, not copied: neither is ever changed
    params = dict(shot.params)
    if shot.first_frame is not None:
        params[card.frames.first] = identity(shot.first_frame)
    if shot.last_frame is not None:
        params[card.frames.last] = identity(shot.last_frame)
    return Request(model=card.name, params=params)


def is_pending(request: Request, card: ModelCard) -> bool:
    """True while a frame of the request comes from a clip that does not exist yet."""
    params, frames = request.params, card.frames
    first, last = params.get(frames.first), params.get(frames.last)
    return (first is not None and str(first).startswith(PENDING)) or (last is not None and str(last).startswith(PENDING))


def body_of(request: Request, addresses: Mapping[str, str], external_task_id: ExternalTaskId,
            callback_url: str | None) -> bytes:
    """The exact bytes of a submission. `addresses` maps each frame's parameter to where the gateway finds it now."""
    body = {**request.params, **addresses, "external_task_id": external_task_id}
    if callback_url is not None:
        body["callback_url"] = callback_url
    return canonical_json(body)


def task_id(key: TakeKey, fingerprint: Fingerprint, attempt: int) -> ExternalTaskId:
    """The idempotency id of an attempt, the same wherever and whenever it is computed.

    It depends on nothing but the take, the request and the number of the attempt. So a clone without the ledger, or a
    machine that lost it, asks for the same job again instead of paying for a second one.
    """
    seed = "\n".join((key.manifest, key.shot, str(key.take), fingerprint, str(attempt)))
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return ExternalTaskId(f"{key.shot}_t{key.take}.a{attempt}.{digest[:24]}")
