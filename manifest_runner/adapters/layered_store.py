"""The store of this machine with the shared one behind it: what is not here is looked for there.

Laws: bytes from the shared store go through the local one, which names them by what they are; a shared store that fails or
holds other bytes is told to a person and costs nothing else, because the job itself can still be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio

from manifest_runner.adapters.store import LocalStore
from manifest_runner.core.model import Artifact, MediaFacts
from manifest_runner.errors import StoreError
from manifest_runner.ports import SharedStore


class LayeredStore:
    """`ports.Store` over both; `say` is told what is wrong with the shared one. Where it publishes for a repository, by its id,
    the shared one has each clip before anybody hears that it is there; else it learns of them when somebody pushes."""

    def __init__(self, local: LocalStore, shared: SharedStore, say: Callable[[str], None], *, publishes: str = "") -> None:
        self._publishes, self._is_known = publishes, False
        self._local = local
        self._shared = shared
        self._say = say

    def scratch(self, name: str) -> Path:
        """See `ports.Store.scratch`."""
        return self._local.scratch(name)

    async def keep(self, scratch: Path, name: str, media: MediaFacts | None, *, sha256: str | None = None) -> Artifact:
        """See `ports.Store.keep`. A shared store that fails costs nothing: the clip is here, and at the gateway."""
        artifact = await self._local.keep(scratch, name, media, sha256=sha256)
        if self._publishes:
            try:
                if not self._is_known:  # before its first clip: `gc` spares what others use
                    await self._shared.users(self._publishes)
                    self._is_known = True
                await self._shared.put(artifact.sha256, self._local.path_of(artifact))
            except StoreError as error:
                self._say(f"{name} is on this machine alone: {error.message}")
        return artifact

    async def place(self, artifact: Artifact, *, over: bool = True) -> bool:
        """Put the artifact at its path, from here or from there; False where neither has its bytes whole."""
        if await self._local.place(artifact, over=over):
            return True
        scratch = self._local.scratch(artifact.sha256)
        try:
            if not await self._shared.fetch(artifact.sha256, artifact.bytes, scratch):
                return False
            await self._local.keep(scratch, artifact.path, artifact.media, sha256=artifact.sha256)
        except StoreError as error:
            self._say(f"{artifact.path}: {error.message}")
            return False
        finally:
            await anyio.Path(scratch).unlink(missing_ok=True)
        return True

    def path_of(self, artifact: Artifact) -> Path:
        """See `ports.Store.path_of`."""
        return self._local.path_of(artifact)
