"""`fmt`: manifests laid out in one way, comments and values as they were."""

from __future__ import annotations

from pathlib import Path

import click

from manifest_runner.adapters.files import rewrite
from manifest_runner.cli.options import manifests_argument, output_options
from manifest_runner.cli.several import each
from manifest_runner.core.characters import decode
from manifest_runner.core.formatting import formatted
from manifest_runner.core.model import Document
from manifest_runner.core.parsing import parse
from manifest_runner.errors import ExitCode, InvalidInput, UsageError
from manifest_runner.views.text import safe


@click.command()
@manifests_argument
@click.option("--check", is_flag=True, help="Change nothing; name the files that are laid out otherwise, and exit with 1.")
@click.option("--diff", is_flag=True, help="Change nothing; show what would change.")
@output_options("quiet")
def fmt(manifests: tuple[str, ...], check: bool, diff: bool, quiet: bool) -> int:
    """Lay each MANIFEST out anew: order of keys, indentation, blank lines, ends of lines.

    No value and no comment changes, and no prompt is wrapped. A file that cannot be read as YAML is not touched.
    """
    return each(manifests, lambda manifest: _one(manifest, check=check, diff=diff, quiet=quiet))


def _one(manifest: str, *, check: bool, diff: bool, quiet: bool) -> int:
    path = Path(manifest)
    document = _read(path, manifest)
    before, after = document.text, formatted(document)
    if after == before:
        return int(ExitCode.DONE)
    if diff:
        click.echo(_difference(before, after, manifest), nl=False)
    if check:
        click.echo(f"{safe(manifest)}: not laid out", err=diff)
    if check or diff:
        return int(ExitCode.DIFFERENCES if check else ExitCode.DONE)
    rewrite(path, after.encode())
    if not quiet:
        click.echo(f"{safe(manifest)}: laid out")
    return int(ExitCode.DONE)


def _read(path: Path, shown: str) -> Document:
    """A manifest with its line ends as they are."""
    if path.name.endswith(".j2"):
        raise UsageError(f"{shown} is a template for a whole file, which cannot be laid out", code="template-file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}", code="manifest-missing") from None
    try:
        return parse(decode(data, path=shown), path=shown)
    except InvalidInput as error:
        raise InvalidInput(error.diagnostics, texts={} if b"\0" in data else {shown: data.decode("utf-8", "replace")}) from None


def _difference(before: str, after: str, shown: str) -> str:
    import difflib  # only here

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), shown, f"{shown} (laid out)", lineterm="")
    return "".join(f"{safe(line)}\n" for line in lines) or f"{shown}: other line ends\n"
