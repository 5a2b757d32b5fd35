"""`push`: the clips that the lockfile names, copied to the shared store."""

from __future__ import annotations

import json

import click

from manifest_runner.cli.options import manifest_argument, output_options, setting_options
from manifest_runner.cli.words import command
from manifest_runner.errors import ExitCode
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe


@click.command()
@manifest_argument
@setting_options("store", "state-dir")
@output_options("json", "quiet")
def push(manifest: str, as_json: bool, quiet: bool, **flags: str | None) -> int:
    """Copy the clips that the lockfile of MANIFEST names to the artifact store, where `pull` finds them.

    What is there already is not sent again. Needs no key.
    """
    from manifest_runner.adapters.revisions import repository_id
    from manifest_runner.cli import session  # anyio and httpx
    from manifest_runner.cli.stores import local_store, need_shared
    from manifest_runner.cli.transfers import Counter, finish, open_locked
    from manifest_runner.core.clips import named_artifacts
    from manifest_runner.engine import Pushed, Sent, push_all

    locked = open_locked(manifest, flags)
    shared, copies = need_shared(locked.project.settings), local_store(locked.project)
    artifacts = list({artifact.sha256: artifact for artifact in named_artifacts(locked.lockfile)}.values())

    async def main() -> list[Pushed]:
        if artifacts:
            await shared.users(repository_id(locked.project.files.root) or "unknown")
        with Counter("pushed", len(artifacts), quiet=quiet or as_json) as told:
            return await push_all(artifacts, copies, shared, told)

    results = finish(main, command("push", manifest))
    failed = [result for result in results if result.ending in (Sent.NOT_HERE, Sent.FAILED)]
    if as_json:
        click.echo(json_text(json.dumps({"store": shared.shown, "clips": [
            {"path": result.artifact.path, "sha256": result.artifact.sha256, "ending": result.ending.value,
             "error": result.error.message if result.error is not None else None} for result in results]}, indent=2)))
        return int(ExitCode.DIFFERENCES if failed else ExitCode.DONE)
    for result in failed:
        words = result.error.message if result.error is not None else "no whole copy of it is on this machine"
        click.echo(f"  {click.style('not sent:', fg='red', bold=True)} {safe(result.artifact.path)}: {safe(words)}")
    for hint in sorted({result.error.hint for result in failed if result.error is not None and result.error.hint}):
        session.warn(f"  hint: {safe(hint)}")
    if not quiet or failed:
        sent = [result.artifact.bytes for result in results if result.ending is Sent.SENT]
        there = sum(result.ending is Sent.THERE for result in results)
        click.echo(f"{safe(shared.shown)}: {count(len(sent), 'clip')} sent ({sum(sent) / 1e6:,.1f} MB), "
                   f"{there} there already{f', {len(failed)} not sent' if failed else ''}.")
    return int(ExitCode.DIFFERENCES if failed else ExitCode.DONE)
