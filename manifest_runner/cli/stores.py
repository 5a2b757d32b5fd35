"""Which store the operator has chosen, and how pictures reach the gateway through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from manifest_runner.adapters.settings import Settings
from manifest_runner.cli.project import Project
from manifest_runner.core.model import FileFrame, Manifest, ShotFrame
from manifest_runner.errors import UsageError

if TYPE_CHECKING:
    from manifest_runner.adapters.shared_store import ObjectSharedStore
    from manifest_runner.adapters.store import LocalStore
    from manifest_runner.ports import Frames, Store

SIGNABLE = ("s3", "gs", "az")
"""Stores whose objects get an address of their own by a signature."""

_INLINE = "where the gateway takes data: URLs, set MANIFEST_RUNNER_FRAMES=inline (or --frames inline)"
_STORE = "name a store that the gateway can read: --store s3://BUCKET/PREFIX (MANIFEST_RUNNER_STORE)"


def shared_store(project: Project) -> ObjectSharedStore | None:
    """The artifact store that the operator has named; None where there is none. A draft has none: its clips cost nothing."""
    return None if project.draft or project.settings.text("store") is None else need_shared(project.settings)


def need_shared(settings: Settings) -> ObjectSharedStore:
    """The same for what is nothing without it."""
    address = settings.text("store")
    if address is None:
        raise UsageError("there is no artifact store", code="no-store",
                         hint="name one: --store s3://BUCKET/PREFIX, a folder, or MANIFEST_RUNNER_STORE")
    from manifest_runner.adapters.shared_store import open_shared  # anyio, and the extra [s3]: only where there is a store

    return open_shared(address, public=public_address(settings))


def local_store(project: Project) -> LocalStore:
    """The clips of this machine."""
    from manifest_runner.adapters.store import LocalStore  # sqlite3 and hashes of files: not for --help

    return LocalStore(project.state.objects, project.files.folder)


def store_of(project: Project, say: Callable[[str], None], *, publishes: bool = False) -> Store:
    """The store of this machine, with the shared one behind it where there is one; `say` is told what is wrong with
    that. With a team's ledger, one that `publishes` gives it each clip at once: others hear of it, and look for it there."""
    shared = shared_store(project)
    if shared is None:
        return local_store(project)
    from manifest_runner.adapters.layered_store import LayeredStore  # as above

    return LayeredStore(local_store(project), shared, say, publishes=_for_whom(project) if publishes else "")


def _for_whom(project: Project) -> str:
    """For which repository clips are published; empty where nobody waits for them."""
    if not project.settings.text("ledger"):
        return ""
    from manifest_runner.cli.ledgers import repository_name

    return repository_name(project)


def public_address(settings: Settings) -> str | None:
    """The address below which anybody reads the store; raises `UsageError` for what is none."""
    setting = settings.values["store-url"]
    if setting.value is None:
        return None
    parts = urlsplit(setting.value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UsageError(f"store-url is {setting.value!r} ({setting.origin}); it must be a plain http or https address",
                         code="bad-store")
    return setting.value


def frames_of(project: Project) -> Frames:
    """How pictures reach the gateway of a paid run."""
    from manifest_runner.adapters.frames import InlineFrames, NoFrames

    if _way(project) == "inline":
        return InlineFrames()
    return NoFrames() if no_way(project) else need_shared(project.settings)


def no_way(project: Project) -> str | None:
    """What is to be done so that pictures can reach the gateway; None where they can. Asks nobody."""
    if _way(project) == "inline":
        return None
    address = project.settings.text("store")
    if address is None:
        return f"{_STORE}; {_INLINE}"
    if public_address(project.settings) is None and urlsplit(address).scheme not in SIGNABLE:
        return f"the gateway cannot read {address}: name the address under which it is served, --store-url https://…; {_INLINE}"
    return None


def frames_unreachable(project: Project, manifest: Manifest) -> tuple[str, str] | None:
    """Why a picture of this show cannot reach the gateway as things are set up, and what to do; None where all can. Known
    before anything is spent, so that no run stops in the middle for it."""
    hint = None if project.draft else no_way(project)
    if hint is None:
        return None
    for shot in manifest.shots:
        for frame in (shot.first_frame, shot.last_frame):
            if isinstance(frame, FileFrame | ShotFrame):
                what = frame.path if isinstance(frame, FileFrame) else f"a frame of {frame.shot}"
                return f"{shot.id} starts or ends on {what}, and the gateway takes pictures as addresses only", hint
    return None


def _way(project: Project) -> str:
    setting = project.settings.values["frames"]
    if setting.value not in ("store", "inline"):
        raise UsageError(f"frames is {setting.value!r} ({setting.origin}); it must be store or inline")
    return setting.value
