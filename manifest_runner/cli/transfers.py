"""What `pull`, `push`, `verify` and `render --locked` share: the project with its locked clips, and words for what was done."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import click

from manifest_runner.cli.planner import chosen, file_states, lagging, plan_project
from manifest_runner.cli.project import Project, Show
from manifest_runner.cli.trust import check_gateway, refuse_claims
from manifest_runner.cli.words import command
from manifest_runner.core.clips import LockedClip, locked_clips
from manifest_runner.core.model import Action, Lockfile
from manifest_runner.core.pricing import format_total, quote
from manifest_runner.errors import ExitCode, ShotsFailed, UsageError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe

if TYPE_CHECKING:
    from manifest_runner.engine import Restored

T = TypeVar("T")
Flags = dict[str, str | None]
REACH = ("base-url", "key-file", "state-dir", "store")
"""Settings of the commands that move clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A project with what its lockfile promises."""

    project: Project
    show: Show
    lockfile: Lockfile
    clips: tuple[LockedClip, ...]


def open_locked(manifest: str, flags: Flags, only: Sequence[str] = ()) -> Locked:
    """The project, once it is clear that only its operator says where clips go and whom the key is told."""
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()})
    refuse_claims(project.settings, only={*REACH, "store-url"})
    show = project.load()
    lockfile, digest = project.lockfile()
    if digest is None:
        raise UsageError(f"there is no {project.lock_shown}: nothing has been rendered yet", code="lockfile-missing",
                         next_commands=[command("plan", manifest)])
    clips = locked_clips(show.manifest, lockfile, only=chosen(show.manifest, only) if only else None)
    return Locked(project=project, show=show, lockfile=lockfile, clips=clips)


def render_locked(manifest: str, flags: Flags, only: Sequence[str], *, as_json: bool, quiet: bool) -> ExitCode:
    """What `render --locked` does: the locked clips in their places, or a `ShotsFailed` where the lockfile would change."""
    locked = open_locked(manifest, flags, only)
    planned = plan_project(locked.project, locked.show, only=only)
    wrong = [change for change in planned.plan.changes if change.action not in (Action.KEEP, Action.FETCH)]
    names = sorted({(change.shot, change.take) for change in wrong} | set(lagging(planned)))
    if names:
        some = ", ".join(f"{shot} t{take}" for shot, take in names[:5])
        raise ShotsFailed(f"the lockfile would change for {count(len(names), 'take')}: {some}{' …' if len(names) > 5 else ''}",
                          code="locked", hint="nothing was done. Render without --locked, and commit the lockfile",
                          next_commands=[command("plan", manifest)])
    missing = absent(locked)
    return tell_restored(locked, bring_home(locked, missing, quiet=quiet or as_json) if missing else [], as_json=as_json,
                         quiet=quiet)


def absent(locked: Locked) -> list[LockedClip]:
    """The clips whose file is not there, or has another size."""
    state = file_states(locked.project.files.folder)
    return [clip for clip in locked.clips if state(clip.artifact.path, clip.artifact) != "present"]


def bring_home(locked: Locked, clips: Sequence[LockedClip], *, quiet: bool) -> list[Restored]:
    """Restore these clips from the stores, else from their jobs."""
    from manifest_runner.cli import session  # anyio and httpx: where all clips are here, none of it is needed
    from manifest_runner.engine import each, restored

    key = session.key_if_any(locked.project.settings)
    if key is not None:
        check_gateway(locked.project.settings)
    locked.project.state.make()

    async def main() -> list[Restored]:
        async with session.archive(locked.project, key) as sources:
            with Counter("pulled", len(clips), quiet=quiet) as told:
                return await each(clips, lambda clip: restored(clip, sources), told)

    return finish(main, command("pull", locked.project.shown))


def finish(main: Callable[[], Awaitable[T]], again: str) -> T:
    """Run it; raises `SystemExit` with the code of an interruption where it was stopped."""
    from manifest_runner.cli import session  # as above

    try:
        return session.run_until_done(main, session.warn)
    except session.Interrupted:
        session.warn(f"stopped; what is done is done. Continue with: {safe(again)}")
        raise SystemExit(int(ExitCode.INTERRUPTED)) from None


def tell_restored(locked: Locked, results: Sequence[Restored], *, as_json: bool, quiet: bool) -> ExitCode:
    """Say what came from where, and what only paying again would bring back."""
    lost = [result for result in results if result.error is not None]
    again = sum((_price(locked, result.clip) for result in lost), Decimal(0))
    if as_json:
        click.echo(json_text(json.dumps(_dict(locked, results, again), ensure_ascii=False, indent=2)))
        return ExitCode.DIFFERENCES if lost else ExitCode.DONE
    for result in lost:
        assert result.error is not None  # noqa: S101 - that is what `lost` means
        label = click.style("not here:", fg="red", bold=True)
        click.echo(f"  {label} {safe(result.clip.shot)} t{result.clip.take}: {safe(result.error.message)}")
    if not quiet or lost:
        here = len(locked.clips) - len(lost)
        parts = [f"{found} from {words}" for origin, words in (("store", "the store"), ("job", "their jobs"))
                 if (found := sum(result.origin == origin for result in results))]
        whence = f" ({', '.join(parts)})" if parts else ""
        click.echo(f"{safe(locked.project.shown)}: {here} of {count(len(locked.clips), 'clip')} here{whence}.")
    if lost:
        hints = sorted({result.error.hint for result in lost if result.error is not None and result.error.hint})
        for hint in hints:
            click.echo(f"  hint: {safe(hint)}", err=True)
        click.echo(f"where their bytes are gone for good, only rendering {'it' if len(lost) == 1 else 'them'} again brings "
                     f"{'it' if len(lost) == 1 else 'them'} back: {format_total(again, locked.show.card)}", err=True)
    return ExitCode.DIFFERENCES if lost else ExitCode.DONE


def _dict(locked: Locked, results: Sequence[Restored], again: Decimal) -> dict[str, Any]:
    moved = {(result.clip.shot, result.clip.take): result for result in results}
    clips = []
    for clip in locked.clips:
        result = moved.get((clip.shot, clip.take))
        origin = "here" if result is None else result.origin.value if result.origin is not None else None
        error = None if result is None or result.error is None else {"code": result.error.code, "message": result.error.message}
        clips.append({"shot": clip.shot, "take": clip.take, "path": clip.artifact.path, "from": origin, "error": error})
    lost = any(result.error is not None for result in results)
    return {"clips": clips, "credits_to_render_again": format(again, "f"),
            "next": [command("pull", locked.project.shown)] if lost else []}


def _price(locked: Locked, clip: LockedClip) -> Decimal:
    shot = next(shot for shot in locked.show.manifest.shots if shot.id == clip.shot)
    return quote(locked.show.card, shot.params).credits


class Counter:
    """A line on a terminal that counts what is done; nothing elsewhere."""

    def __init__(self, verb: str, total: int, *, quiet: bool) -> None:
        self._verb, self._total, self._done = verb, total, 0
        self._shows = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shows:
            click.echo("\r\033[K", nl=False, err=True)

    def __call__(self, _: object) -> None:
        self._done += 1
        if self._shows:
            click.echo(f"\r{self._verb} {self._done} of {count(self._total, 'clip')}", nl=False, err=True)
