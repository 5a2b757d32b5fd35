"""Copies finished clips to the shared store, and checks every byte of every copy.

Law: only bytes that fit their name are ever written to the shared store, whatever lies on this machine under that name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

import anyio

from manifest_runner.core.clips import LockedClip
from manifest_runner.core.model import Artifact
from manifest_runner.engine.restoring import restore
from manifest_runner.engine.types import Sources
from manifest_runner.errors import ManifestRunnerError, StoreError
from manifest_runner.ports import Copy, LocalCopies, SharedStore

AT_ONCE = 8
"""Clips that are moved or read at the same time."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(items: Sequence[Item], deal: Callable[[Item], Awaitable[Result]],
               told: Callable[[Result], None]) -> list[Result]:
    """Deal with all of them, some at the same time, and tell of each as it ends; the results are in the order of the items."""
    done: dict[int, Result] = {}
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(number: int, item: Item) -> None:
        async with limiter:
            done[number] = await deal(item)
        told(done[number])

    async with anyio.create_task_group() as group:
        for number, item in enumerate(items):
            group.start_soon(one, number, item)
    return [done[number] for number in range(len(items))]


class Sent(StrEnum):
    """What became of one clip that was to be pushed."""

    SENT = "sent"
    THERE = "there"
    NOT_HERE = "not here"  # no whole copy of it on this machine, and none in the store
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One clip that was to be pushed; `error` says why it was not."""

    artifact: Artifact
    ending: Sent
    error: ManifestRunnerError | None = None


async def push_all(artifacts: Sequence[Artifact], copies: LocalCopies, shared: SharedStore,
                   told: Callable[[Pushed], None]) -> list[Pushed]:
    """Copy what the shared store does not have. One that cannot be sent keeps none of the others."""

    async def push(artifact: Artifact) -> Pushed:
        try:
            there = await shared.size(artifact.sha256)
            if there == artifact.bytes:
                return Pushed(artifact=artifact, ending=Sent.THERE)
            if there is not None:
                raise StoreError(f"{shared.shown} has {there:,} bytes of it instead of {artifact.bytes:,}", damaged=True,
                                 hint="verify --shared --repair replaces it")
            return Pushed(artifact=artifact, ending=await _send(artifact, copies, shared))
        except ManifestRunnerError as error:
            return Pushed(artifact=artifact, ending=Sent.FAILED, error=error)

    return await each(artifacts, push, told)


async def _send(artifact: Artifact, copies: LocalCopies, shared: SharedStore, *, over: bool = False) -> Sent:
    """Send the first copy on this machine that is whole."""
    for path in copies.copies(artifact):
        try:
            return Sent.SENT if await shared.put(artifact.sha256, path, over=over) else Sent.THERE
        except StoreError as error:
            if not error.damaged:
                raise
    return Sent.NOT_HERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How every copy of one clip stands: the one beside the manifest, this machine's object, and, where it was asked, that of
    the shared store. `mended` says that all of them are whole now; `error` why not."""

    clip: LockedClip
    placed: Copy
    stored: Copy
    shared: Copy | None = None
    mended: bool = False
    error: ManifestRunnerError | None = None

    @property
    def damaged(self) -> tuple[str, ...]:
        """The copies whose bytes are others, in words."""
        names = {"the clip": self.placed, "this machine's object": self.stored, "the shared store's object": self.shared}
        return tuple(name for name, state in names.items() if state is Copy.CHANGED)

    @property
    def is_whole(self) -> bool:
        """Whether the clip is where it belongs and no copy is damaged."""
        return self.mended or (self.placed is Copy.WHOLE and not self.damaged)


async def check_all(clips: Sequence[LockedClip], copies: LocalCopies, shared: SharedStore | None,
                    told: Callable[[Checked], None], *, repair: Sources | None = None) -> list[Checked]:
    """Read every byte of every copy. With `repair`, what is damaged or missing is mended from a copy that is whole, else from
    the job."""

    async def check(clip: LockedClip) -> Checked:
        try:
            placed, stored = await copies.check(clip.artifact)
            found = Checked(clip=clip, placed=placed, stored=stored)
            if shared is not None:
                found = replace(found, shared=await _check_shared(clip.artifact, shared))
        except ManifestRunnerError as error:
            return Checked(clip=clip, placed=Copy.MISSING, stored=Copy.MISSING, error=error)
        if found.is_whole or repair is None:
            return found
        try:
            await _mend(found, copies, shared, repair)
        except ManifestRunnerError as error:
            return replace(found, error=error)
        return replace(found, mended=True)

    return await each(clips, check, told)


async def _check_shared(artifact: Artifact, shared: SharedStore) -> Copy:
    try:
        return Copy.WHOLE if await shared.fetch(artifact.sha256, artifact.bytes, None) else Copy.MISSING
    except StoreError as error:
        if not error.damaged:
            raise
        return Copy.CHANGED


async def _mend(found: Checked, copies: LocalCopies, shared: SharedStore | None, sources: Sources) -> None:
    """From what is whole to what is not: this machine's object first, since the others are made of it."""
    artifact = found.clip.artifact
    if found.stored is Copy.CHANGED and found.placed is Copy.WHOLE:
        await copies.renew(artifact)
    elif found.placed is not Copy.WHOLE or found.stored is Copy.CHANGED:
        await restore(found.clip.entry, artifact.path, sources)
    if shared is not None and found.shared is Copy.CHANGED:
        await _send(artifact, copies, shared, over=True)
