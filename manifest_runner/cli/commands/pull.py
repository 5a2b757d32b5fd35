"""`pull`: the clips that the lockfile names, back in their places, for nothing."""

from __future__ import annotations

import click

from manifest_runner.cli.options import manifest_argument, only_option, output_options, setting_options


@click.command()
@manifest_argument
@only_option
@setting_options("store", "base-url", "key-file", "state-dir")
@output_options("json", "quiet")
def pull(manifest: str, only: tuple[str, ...], as_json: bool, quiet: bool, **flags: str | None) -> int:
    """Bring the clips that the lockfile of MANIFEST names to their places: the same bytes, for no credits.

    From the store of this machine, else from the shared one (--store), else, with a key, from their jobs. Nothing is submitted,
    and the lockfile stays as it is.
    """
    from manifest_runner.cli.transfers import absent, bring_home, open_locked, tell_restored  # start-up

    locked = open_locked(manifest, flags, only)
    missing = absent(locked)
    results = bring_home(locked, missing, quiet=quiet or as_json) if missing else []
    return int(tell_restored(locked, results, as_json=as_json, quiet=quiet))
