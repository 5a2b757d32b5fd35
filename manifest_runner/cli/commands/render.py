"""`render`: plan, ask, submit, wait, download, lock. Run it again after anything."""

from __future__ import annotations

import click

from manifest_runner.cli.options import manifest_argument, only_option, output_options, setting_options
from manifest_runner.cli.project import Project
from manifest_runner.errors import UsageError


@click.command()
@manifest_argument
@click.option("--draft", is_flag=True, help="An animatic on the embedded simulator: no key, no credits.")
@only_option
@click.option("--plan", "saved", metavar="FILE", help="Exactly this saved plan, or refuse it as stale.")
@click.option("--locked", is_flag=True, help="Only what the lockfile names, for nothing; fail where it would have to change.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--detach", is_flag=True, help="Leave it to workers, and return: needs a team's ledger and a store.")
@click.option("--keep-going/--fail-fast", default=True, help="Finish the other shots when one fails (the default), or stop.")
@click.option("--depfile", metavar="FILE", help="Write there what the clips depend on, as gcc does, for rules of your own.")
@setting_options("max-credits", "rate", "concurrency", "base-url", "key-file", "state-dir", "store", "store-url", "frames",
                 "callback-url", "listen")
@output_options("json", "quiet", "verbose")
def render(manifest: str, draft: bool, only: tuple[str, ...], saved: str | None, locked: bool, yes: bool, detach: bool,
           keep_going: bool, depfile: str | None, as_json: bool, quiet: bool, verbose: bool, **flags: str | None) -> int:
    """Render what MANIFEST asks for and what is not there yet.

    Asks before it spends. Whatever happens on the way (Ctrl-C, a crash, a lost connection), run it again: it continues, and
    nothing is paid twice.
    """
    from manifest_runner.cli.rendering import Asked, Rendering  # anyio and httpx: only where something is rendered

    if detach and (draft or locked or depfile is not None or not keep_going):
        other = "--draft" if draft else "--locked" if locked else "--depfile" if depfile is not None else "--fail-fast"
        raise UsageError(f"--detach goes without {other}", hint="leave one of the two out")
    if draft and saved is not None:
        raise UsageError("--plan is for paid renders; a draft needs none", hint="leave one of the two out")
    if locked:
        from manifest_runner.cli.transfers import render_locked  # as above

        if draft or saved is not None:
            raise UsageError(f"--locked renders nothing new, and goes without {'--draft' if draft else '--plan'}",
                             hint="leave one of the two out")
        return int(render_locked(manifest, flags, only, as_json=as_json, quiet=quiet))
    project = Project(manifest, {name.replace("_", "-"): value for name, value in flags.items()}, draft=draft)
    asked = Asked(only=only, saved=saved, yes=yes, fail_fast=not keep_going, depfile=depfile, as_json=as_json, quiet=quiet,
                  verbose=verbose, detach=detach)
    return int(Rendering(project, asked).run())
