"""`merge`: the merge driver that git runs for lockfiles.

It needs no manifest, no ledger and no key, and loads next to nothing: git runs it once for each lockfile of a merge.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from manifest_runner.adapters.files import repository_of, write_atomically
from manifest_runner.cli.words import command
from manifest_runner.core.conflictmarkers import LEAST, Labels, put_together
from manifest_runner.core.conflictmarkers import Versions as Texts
from manifest_runner.core.lockmerge import is_lockfile
from manifest_runner.core.lockmerge import merge as merge_texts
from manifest_runner.errors import ExitCode, InvalidInput, UsageError

# Where the program is missing or cannot read the files, git's own merge: a driver that just fails leaves our side there, with
# no markers.
DRIVER = ("manifest-runner merge %O %A %B --path %P --marker-size %L --names %S %X %Y; case $? in 0) ;; 1) exit 1;; "
          "*) git merge-file --marker-size=%L %A %O %B;; esac")
"""What `merge.manifest-runner.driver` is set to. Git 2.43 and older leave %S, %X and %Y as they are."""


@click.command()
@click.argument("base", required=False)
@click.argument("ours", required=False)
@click.argument("theirs", required=False)
@click.option("--install", is_flag=True, help="Make git use it in this clone.")
@click.option("--path", "shown", default="the lockfile", metavar="PATH", help="What the lockfile is called.")
@click.option("--marker-size", type=click.IntRange(min=1), default=LEAST, help="Characters of a conflict marker.")
@click.option("--names", nargs=3, default=("", "", ""), metavar="BASE OURS THEIRS", help="What the sides are called.")
def merge(base: str | None, ours: str | None, theirs: str | None, install: bool, shown: str, marker_size: int,
          names: tuple[str, str, str]) -> int:
    """Merge three versions of a lockfile into the file OURS, as git asks a merge driver to.

    Different shots merge. A take that both sides rendered stays in conflict, round its shot alone: exit code 1.
    """
    if install:
        _install()
        return int(ExitCode.DONE)
    if base is None or ours is None or theirs is None:
        raise UsageError("merge needs BASE, OURS and THEIRS", hint="git gives them; to make git use it here, add --install",
                         next_commands=[command("merge", "--install")])
    texts = Texts(base=_read(base), ours=_read(ours), theirs=_read(theirs))
    labels = _labels(names)
    try:
        merged = merge_texts(texts, path=shown, labels=labels, marker_size=max(marker_size, LEAST))
    except InvalidInput as error:
        if not all(is_lockfile(text) for text in (texts.ours, texts.theirs)):
            raise
        return _refused(error, texts, labels, Path(ours), shown)
    write_atomically(Path(ours), merged.text.encode())
    if merged.clashes:
        from manifest_runner.views.clashes import clashes_text  # start-up: most merges have nothing to tell

        click.echo(clashes_text(merged.clashes, labels, shown), err=True)
    return int(ExitCode.DIFFERENCES if merged.clashes else ExitCode.DONE)


def _install() -> None:
    """Set the driver in this clone's configuration, which no commit can carry."""
    import subprocess  # start-up: git asks for merges

    settings = (("merge.manifest-runner.name", "lockfiles of manifest-runner"), ("merge.manifest-runner.driver", DRIVER))
    for name, value in settings:
        try:
            done = subprocess.run(["git", "config", "--local", name, value], capture_output=True, text=True, check=False)
        except OSError as error:
            raise UsageError(f"git cannot be run: {error.strerror}", code="no-git") from None
        if done.returncode != 0:
            raise UsageError(f"git config failed: {done.stderr.strip()}", code="no-git", hint="is this a clone with git?")
    click.echo("git merges lockfiles shot by shot in this clone")
    attributes = repository_of(Path.cwd()) / ".gitattributes"
    if not attributes.is_file() or "merge=manifest-runner" not in attributes.read_text(encoding="utf-8", errors="replace"):
        click.echo(f"next: add to {attributes.name}: *.lock.json text eol=lf merge=manifest-runner linguist-generated=true")


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", code="lockfile-unreadable") from None


def _labels(names: tuple[str, str, str]) -> Labels:
    """What git calls the sides. Older ones do not tell; the branch that `git merge` was given is in the environment."""
    known = [name if name and not name.startswith("%") else "" for name in names]
    heads = [value for name, value in sorted(os.environ.items()) if name.startswith("GITHEAD_")]
    plain = Labels()
    theirs = known[2] or (heads[0] if len(heads) == 1 else "")
    return Labels(base=known[0] or plain.base, ours=known[1] or plain.ours, theirs=theirs or plain.theirs)


def _refused(error: InvalidInput, texts: Texts, labels: Labels, ours: Path, shown: str) -> int:
    """A lockfile of ours that this version must not merge stays as both sides have it, whole, for one that may."""
    from manifest_runner.views.text import safe  # as above: most merges have nothing to tell

    click.echo(safe(f"{shown}: {'; '.join(item.message for item in error.diagnostics)}"), err=True)
    whole = Texts(**{name: (text := getattr(texts, name)) + ("" if not text or text.endswith("\n") else "\n")
                     for name in ("base", "ours", "theirs")})
    write_atomically(ours, put_together(whole, labels).encode())
    return int(ExitCode.DIFFERENCES)
