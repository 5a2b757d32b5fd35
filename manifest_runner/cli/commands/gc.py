"""`gc`: stored clips that no lockfile of the git history names."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from manifest_runner.cli.options import output_options, setting_options
from manifest_runner.cli.words import command
from manifest_runner.core.clips import Swept, sweep
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe

if TYPE_CHECKING:
    from manifest_runner.adapters.settings import Settings
    from manifest_runner.ports import Kept

DAY = 86400.0
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@click.option("--shared", "in_shared", is_flag=True, help="In the shared store instead of this machine's.")
@click.option("--revision", "revisions", multiple=True, metavar="REV", help="Only what the history of these names is kept; "
              "default: all branches, tags, stashes and reflogs.")
@click.option("--older-than", "days", type=click.IntRange(0), default=30, show_default=True, metavar="DAYS",
              help="Younger objects stay: a clip is stored before its lockfile is committed.")
@setting_options("store", "state-dir")
@output_options("json", "quiet")
def gc(dry_run: bool, yes: bool, in_shared: bool, revisions: tuple[str, ...], days: int, as_json: bool, quiet: bool,
       **flags: str | None) -> int:
    """Delete stored clips that no lockfile of this repository names, in any version that git knows.

    Clips in their places beside manifests are never touched. What is deleted comes back only as long as the gateway has it.
    """
    from manifest_runner.adapters.settings import read_settings
    from manifest_runner.cli.project import repository_root
    from manifest_runner.cli.trust import refuse_claims

    root = repository_root()
    settings = read_settings(root, {name.replace("_", "-"): value for name, value in flags.items()}, os.environ)
    refuse_claims(settings, only={"state-dir", "store"})
    store = _Shared(settings, root) if in_shared else _Local(settings, root)
    named = _named(root, revisions)
    swept = sweep(((kept.sha256, kept.bytes, kept.written) for kept in store.listing()), named, now=time.time(),
                  older_than=days * DAY)
    size = sum(size for _, size in swept.gone)
    words = f"{count(len(swept.gone), 'object')} ({size / 1e6:,.1f} MB)"
    if as_json:
        click.echo(json_text(json.dumps({"store": store.shown, "objects": [{"sha256": name, "bytes": size} for name, size
                                         in swept.gone], "named": swept.named, "young": swept.young}, indent=2)))
    elif not quiet:
        _show(swept, words, store.shown)
    if not swept.gone or dry_run:
        return int(ExitCode.DONE)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this would delete {words}, and there is no terminal to ask", code="not-approved",
                             hint="look at it with --dry-run, then add --yes", next_commands=[command("gc", "--dry-run")])
        click.confirm(f"Delete {words}?", abort=True, err=True)
    store.remove([name for name, _ in swept.gone])
    if not as_json:
        click.echo(f"{words} deleted.")
    return int(ExitCode.DONE)


def _show(swept: Swept, words: str, where: str) -> None:
    for name, size in swept.gone[:20]:
        click.echo(f"  - {name[:16]}…  {size / 1e6:8,.1f} MB")
    if len(swept.gone) > 20:
        click.echo(f"    … and {len(swept.gone) - 20:,} more")
    click.echo(f"{safe(where)}: {words} named by no lockfile; {swept.named:,} named, {swept.young:,} too young to go.")


def _named(root: Path, revisions: Sequence[str]) -> frozenset[str]:
    """Every sha256 that stands in any version of any lockfile, whatever else is right or wrong with it."""
    from manifest_runner.adapters.revisions import every_version  # subprocess: not for --help

    return frozenset(found.decode() for text in every_version(root, "*.lock.json", revisions) for found in _HASH.findall(text))


class _Local:
    """This machine's store."""

    def __init__(self, settings: Settings, root: Path) -> None:
        from manifest_runner.adapters.store import LocalStore
        from manifest_runner.cli.project import state_folder

        objects = state_folder(root, settings).objects
        if not objects.resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{objects} lies outside this repository: what others keep there cannot be told from waste",
                             code="shared-with-others", hint="a state folder of its own: .manifest-runner at the root")
        self.shown, self._store = str(objects), LocalStore(objects, root)

    def listing(self) -> Sequence[Kept]:
        return self._store.objects()

    def remove(self, names: Sequence[str]) -> None:
        self._store.remove(names)


class _Shared:
    """The shared store, once it is clear that nobody else keeps clips there."""

    def __init__(self, settings: Settings, root: Path) -> None:
        import anyio  # a sweep of this machine needs no event loop

        from manifest_runner.adapters.revisions import repository_id
        from manifest_runner.cli.stores import need_shared

        self._run, self._store = anyio.run, need_shared(settings)
        self.shown = self._store.shown
        me, users = repository_id(root), self._run(self._store.users)
        if me is None or users - {me}:
            others = ", ".join(sorted(users - {me or ""})) or "this one has no history to know it by"
            raise UsageError(f"{self.shown} is not this repository's alone: what others keep there cannot be told from waste",
                             code="shared-with-others", hint=f"give each repository a prefix of its own. Below repositories/: "
                             f"{others} (unknown: a shallow clone, or one without git)")

    def listing(self) -> Sequence[Kept]:
        return self._run(self._store.listing)

    def remove(self, names: Sequence[str]) -> None:
        self._run(self._store.remove, names)
