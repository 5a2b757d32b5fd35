"""`verify`: every byte of every copy of the locked clips."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from manifest_runner.cli.options import manifest_argument, only_option, output_options, setting_options
from manifest_runner.cli.words import command
from manifest_runner.errors import ExitCode
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe

if TYPE_CHECKING:
    from manifest_runner.engine import Checked


@click.command()
@manifest_argument
@only_option
@click.option("--shared", "in_shared", is_flag=True, help="The objects of the shared store, too: all of them are read.")
@click.option("--repair", is_flag=True, help="Mend what is damaged or missing from a whole copy, else from its job.")
@setting_options("store", "base-url", "key-file", "state-dir")
@output_options("json", "quiet")
def verify(manifest: str, only: tuple[str, ...], in_shared: bool, repair: bool, as_json: bool, quiet: bool,
           **flags: str | None) -> int:
    """Read every byte of the clips that the lockfile of MANIFEST names, and say which are missing or others.

    Checked are the clips in their places and the objects of this machine's store. Exits with 1 where something is wrong.
    """
    from manifest_runner.cli import session  # anyio and httpx
    from manifest_runner.cli.stores import local_store, need_shared
    from manifest_runner.cli.transfers import Counter, finish, open_locked
    from manifest_runner.engine import check_all

    locked = open_locked(manifest, flags, only)
    shared, copies = need_shared(locked.project.settings) if in_shared else None, local_store(locked.project)
    key = session.key_if_any(locked.project.settings) if repair else None
    if repair:
        locked.project.state.make()

    async def main() -> list[Checked]:
        async with session.archive(locked.project, key) as sources:
            with Counter("checked", len(locked.clips), quiet=quiet or as_json) as told:
                return await check_all(locked.clips, copies, shared, told, repair=sources if repair else None)

    results = finish(main, command("verify", manifest))
    wrong = [result for result in results if not result.is_whole]
    steps = [] if not wrong or repair else [command("verify", manifest, *(["--shared"] if in_shared else []), "--repair")]
    if as_json:
        click.echo(json_text(json.dumps({"whole": not wrong, "clips": [_dict(result) for result in results], "next": steps},
                                        indent=2)))
        return int(ExitCode.DIFFERENCES if wrong else ExitCode.DONE)
    for result in results:
        _tell(result, quiet=quiet)
    if not quiet or wrong:
        click.echo(f"{safe(manifest)}: {len(results) - len(wrong)} of {count(len(results), 'clip')} whole.")
    for step in steps:
        session.warn(f"next: {safe(step)}")
    return int(ExitCode.DIFFERENCES if wrong else ExitCode.DONE)


def _tell(result: Checked, *, quiet: bool) -> None:
    name = f"{result.clip.shot} t{result.clip.take} ({result.clip.artifact.path})"
    words = _words(result)
    if result.mended and not quiet:
        click.echo(f"  {click.style('mended:', fg='green', bold=True)} {safe(name)}: {words}")
    elif not result.is_whole:
        why = f"; {safe(result.error.message)}" if result.error is not None else ""
        click.echo(f"  {click.style('wrong:', fg='red', bold=True)} {safe(name)}: {words}{why}")


def _words(result: Checked) -> str:
    found = [f"other bytes in {' and '.join(result.damaged)}"] if result.damaged else []
    missing = ["it is not in its place"] if result.mended or (result.placed == "missing" and result.error is None) else []
    return "; ".join(found or missing) or "it cannot be read"


def _dict(result: Checked) -> dict[str, object]:
    return {"shot": result.clip.shot, "take": result.clip.take, "path": result.clip.artifact.path,
            "placed": result.placed.value, "object": result.stored.value,
            "shared": result.shared.value if result.shared is not None else None, "mended": result.mended,
            "error": result.error.message if result.error is not None else None}
