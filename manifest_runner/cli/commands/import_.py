"""`import`: a shot list as spreadsheets keep them becomes a manifest, with a question wherever a cell is in doubt."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

import click

from manifest_runner.adapters.files import NotRegular, RepositoryFiles, read_regular, write_atomically
from manifest_runner.adapters.resources import load_card
from manifest_runner.cli.completing import complete_lists
from manifest_runner.cli.options import output_options
from manifest_runner.cli.project import DEFAULT_MODEL
from manifest_runner.cli.targets import check_free
from manifest_runner.cli.words import command, near
from manifest_runner.core.characters import MAX_BYTES
from manifest_runner.core.schema import NAME
from manifest_runner.core.shotlist_ids import is_name
from manifest_runner.errors import UsageError
from manifest_runner.views.text import count, safe

_SCHEMA = "schemas/manifest.schema.json"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_ENCODINGS = ("utf-8", "utf-16", "windows-1250", "windows-1251", "windows-1252", "mac-roman")


@click.command("import")
@click.argument("shot_list", metavar="SHOTLIST", shell_complete=complete_lists)
@click.option("--out", metavar="FILE", help="The manifest to write, or - for standard output; default: like the list.")
@click.option("--show", metavar="NAME", help="The show's short name; default: the list's own.")
@click.option("--model", metavar="NAME", default=DEFAULT_MODEL, show_default=True, help="The model that renders the shots.")
@click.option("--encoding", type=click.Choice(_ENCODINGS), help="What the list is written in, where the guess is wrong.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@output_options("quiet")
def import_(shot_list: str, out: str | None, show: str | None, model: str, encoding: str | None, force: bool,
            quiet: bool) -> None:
    """Make a manifest of SHOTLIST, a shot list in CSV or TSV as spreadsheets write it.

    A cell that is in doubt becomes a comment that begins with QUESTION, never a guess. What the manifest says without an answer
    is valid.
    """
    # Start-up: nothing else needs these, and the completion of shells imports this module.
    from manifest_runner.core.sheet import DELIMITERS, read
    from manifest_runner.core.sheet_text import decode
    from manifest_runner.core.shotlist import header_score, map_list
    from manifest_runner.core.shotlist_yaml import manifest_text

    if show is not None and not is_name(show):
        raise UsageError(f"{show} cannot be a show's name", hint=f"a name {NAME['x-says']}")
    card = load_card(model)
    data = _bytes(shot_list)
    to = _target(shot_list, out, force=force)
    folder = Path.cwd() if to is None else to.parent
    text, name = decode(data, path=shot_list, encoding=encoding)
    sheet = read(text, path=shot_list, encoding=name, score=lambda rows: header_score(card, rows))
    found = map_list(sheet, card, show=show, otherwise=_show(shot_list), picture=_Pictures(shot_list, folder).find)
    made = manifest_text(found, schema=_schema(folder)).encode()
    if len(made) > MAX_BYTES:
        raise UsageError("the manifest would be too large", code="list-too-large", hint="split the list into several")
    if to is None:
        click.echo(made, nl=False)
    else:
        write_atomically(to, made)
    shown = "standard output" if to is None else safe(str(near(to)))
    if not quiet:
        line = sheet.rows[found.header.at].line
        how = f"{name}, {DELIMITERS[sheet.delimiter]}, its header in line {line}"
        click.echo(safe(f"{shot_list}: read as {how}"), err=True)
    asked = f"{count(found.asked, 'question')}; search it for QUESTION" if found.asked else "no questions"
    click.echo(f"{shown}: {count(len(found.shots), 'shot')}, {asked}", err=to is None)
    if not quiet and to is not None:
        click.echo(safe(f"next: {command('validate', str(near(to)))}"))


def _target(shot_list: str, out: str | None, *, force: bool) -> Path | None:
    """The manifest to write; None for standard output."""
    if out == "-":
        return None
    to = Path(out) if out is not None else Path(shot_list).with_suffix(".yaml")
    if not to.name.endswith((".yaml", ".yml")):
        raise UsageError(f"{to} does not end in .yaml", hint="a manifest is a YAML file: --out shots.yaml")
    if to.resolve() == Path(shot_list).resolve():
        raise UsageError(f"{to} is the list itself", hint="write the manifest to another file: --out shots.yaml")
    check_free(to, force=force)
    return to


def _bytes(shot_list: str) -> bytes:
    from manifest_runner.core.sheet_text import MAX_BYTES as MOST  # start-up, as above

    try:
        return read_regular(Path(shot_list), MOST, links=True)
    except NotRegular as error:
        raise UsageError(f"{shot_list} {error}", code="list-unreadable") from None
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "does not exist" if missing else f"cannot be read: {getattr(error, 'strerror', None) or 'not a usable path'}"
        raise UsageError(f"{shot_list} {reason}", code="list-missing" if missing else "list-unreadable") from None


def _show(shot_list: str) -> str:
    """A name for the show, from that of the list."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(shot_list).stem).lstrip("._-")[:64].rstrip("-")
    return name if is_name(name) else "show"


def _schema(folder: Path) -> str:
    """Where the schema for editors lies that `init` has written, as seen from the manifest's folder; empty where none does."""
    return next((place for place in (_SCHEMA, f"../{_SCHEMA}") if (folder / place).is_file()), "")


class _Pictures:
    """The pictures that a list names, of the manifest's repository and of nothing else."""

    def __init__(self, shot_list: str, folder: Path) -> None:
        self._files = RepositoryFiles(folder / "manifest")
        self._beside = os.path.relpath(Path(shot_list).parent.resolve(), folder.resolve()).replace(os.sep, "/")
        self._known: dict[str, tuple[str, str]] = {}

    def find(self, path: str) -> tuple[str, str]:
        """Where a picture lies as seen from the manifest, and why it cannot be used: looked for there and beside the list."""
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: str) -> tuple[str, str]:
        if not path or path.startswith(("/", "~")) or "\\" in path or re.match("[A-Za-z]:", path):
            return "", "a manifest names pictures relative to itself, with forward slashes"
        for place in dict.fromkeys((path, posixpath.normpath(f"{self._beside}/{path}"))):
            try:
                is_picture = self._files.read(place).startswith(_PICTURES)
            except UsageError:
                continue
            return place, "" if is_picture else "that is neither PNG nor JPEG"
        return path, "there is no such file in the repository, beside the manifest or the list"
