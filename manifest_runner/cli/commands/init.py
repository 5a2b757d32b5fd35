"""`init`: a first manifest to start from."""

from __future__ import annotations

from pathlib import Path

import click

from manifest_runner.adapters.files import write_atomically
from manifest_runner.adapters.resources import load_card
from manifest_runner.cli.options import output_options
from manifest_runner.cli.project import DEFAULT_MODEL, repository_root
from manifest_runner.cli.words import command
from manifest_runner.core.schema import json_text, manifest_schema
from manifest_runner.errors import UsageError
from manifest_runner.views.text import safe

_MANIFEST = """\
# yaml-language-server: $schema=schemas/manifest.schema.json
version: 1
show: {show}
model: kling-v3-omni
vars:
  look: 35mm anamorphic, dusk, sodium light
shots:
  - id: SH0010
    prompt: "A tram stops on a wet street. {{{{ look }}}}."
    camera: {{move: truck_right, amount: 4}}
  - id: SH0020
    prompt: "The doors open; nobody gets off. {{{{ look }}}}."
    first_frame: {{shot: SH0010, frame: last}}
"""

_IGNORED = (".manifest-runner/", "renders/", "*.draft.lock.json")
_ATTRIBUTES = ("*.lock.json text eol=lf merge=manifest-runner linguist-generated=true",
               "*.yaml text eol=lf", "*.mp4 -text", "# clips are not committed; to keep some: git lfs track '*.mp4'")


@click.command()
@click.argument("manifest", default="shots.yaml")
@output_options("quiet")
def init(manifest: str, quiet: bool) -> None:
    """Write a first MANIFEST (default: shots.yaml), its schema, and what git should ignore. Nothing is overwritten."""
    path = Path(manifest)
    if path.exists():
        raise UsageError(f"{manifest} is there already", code="exists", hint="name another: manifest-runner init other.yaml")
    if not path.name.endswith((".yaml", ".yml")):
        raise UsageError(f"{manifest} does not end in .yaml", hint=f"try: manifest-runner init {path.stem}.yaml")
    schema = path.parent / "schemas" / "manifest.schema.json"
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", code="cannot-write", hint="make it first")
    try:
        schema.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{schema.parent} cannot be made: {error.strerror}", code="cannot-write") from None
    show = "".join(character if character.isascii() and (character.isalnum() or character in "._-") else "-"
                   for character in path.name.rsplit(".", 1)[0]).lstrip("._-") or "show"
    write_atomically(path, _MANIFEST.format(show=show).encode())
    made = [path]
    if not schema.exists():
        write_atomically(schema, json_text(manifest_schema(load_card(DEFAULT_MODEL), templates=True)).encode())
        made.append(schema)
    root = repository_root()
    made += [file for file, lines in ((root / ".gitignore", _IGNORED), (root / ".gitattributes", _ATTRIBUTES))
             if _add_lines(file, lines)]
    if not quiet:
        for file in made:
            click.echo(safe(f"wrote {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}"))
        if (root / ".git").exists():
            click.echo(f"once in each clone, so that git merges lockfiles shot by shot: {command('merge', '--install')}")
        click.echo(safe(f"next: {command('render', manifest, draft=True)}"))


def _add_lines(path: Path, wanted: tuple[str, ...]) -> bool:
    """Add the lines that a file does not have yet; False where it has them all."""
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in wanted if line not in present.splitlines()]
    if missing:
        gap = "" if not present or present.endswith("\n") else "\n"
        write_atomically(path, (present + gap + "\n".join(missing) + "\n").encode())
    return bool(missing)
