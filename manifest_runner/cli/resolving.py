"""`lock --resolve`: a lockfile with conflict markers becomes a lockfile again, as far as nobody has to be asked.

The versions are those between the markers, where these stand round whole blocks, as this program's merge driver leaves them.
Where git's own merge has cut through blocks, a line outside of the markers may be of either side: then the versions in git's
index count.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from manifest_runner.adapters.files import write_atomically
from manifest_runner.adapters.stages import other_side, staged_versions
from manifest_runner.cli.words import command
from manifest_runner.core import lockfile as lockfiles
from manifest_runner.core.conflictmarkers import Labels, Marked, has_markers, take_apart
from manifest_runner.core.lockmerge import Clash, Merged, SideName, merge, places_of, sides_with
from manifest_runner.errors import ExitCode, UsageError
from manifest_runner.views.clashes import clash_dict, clashes_text
from manifest_runner.views.escaping import json_text
from manifest_runner.views.text import count, safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person chose: jobs to keep, and places in which git's ours or theirs counts."""

    keep: Sequence[str] = ()
    ours: Sequence[str] = ()
    theirs: Sequence[str] = ()


def resolve(path: Path, wishes: Wishes, *, as_json: bool, quiet: bool) -> int:
    """Merge what the markers in the lockfile at `path` hold apart, write it, and tell what is left; the exit code."""
    shown = str(path)
    text = _read(path, shown)
    if not has_markers(text):
        if any((wishes.keep, wishes.ours, wishes.theirs)):
            raise UsageError(f"{shown} holds no conflict", code="no-conflict")
        if as_json:
            click.echo(json_text(json.dumps({"lockfile": shown, "conflicts": []}, indent=2)))
        elif not quiet:
            click.echo(f"{safe(shown)}: no conflict")
        return int(ExitCode.DONE)
    marked, labels = _apart(path, shown, text)
    open_ones = merge(marked.versions, path=shown, labels=labels)
    merged = open_ones
    chosen = _chosen(open_ones.clashes, wishes, shown)
    if chosen:
        merged = merge(marked.versions, path=shown, labels=labels, chosen=chosen)
    write_atomically(path, merged.text.encode(), path.stat().st_mode & 0o777)
    _tell(merged, len(open_ones.clashes) - len(merged.clashes), labels, path, as_json=as_json, quiet=quiet)
    return int(ExitCode.DIFFERENCES if merged.clashes else ExitCode.DONE)


def _read(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise UsageError(f"{shown} does not exist", code="lockfile-missing") from None
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}", code="lockfile-unreadable") from None
    except UnicodeDecodeError:
        raise UsageError(f"{shown} is not UTF-8", code="lockfile-syntax", hint="restore it from git") from None


def _apart(path: Path, shown: str, text: str) -> tuple[Marked, Labels]:
    """The versions behind the markers, and what to call them."""
    marked = take_apart(text)
    if marked is None or not marked.whole:
        versions = staged_versions(path)
        if versions is None:
            raise UsageError(f"the markers in {shown} cut through blocks, and git holds no versions of it to merge anew",
                             code="cut-through", hint="a line outside of the markers may be of either side: take the file of "
                             f"one side whole (git checkout BRANCH -- {path.name}), then: {command('lock', 'MANIFEST')}")
        marked = Marked(versions=versions, labels=marked.labels if marked else Labels(), whole=True)
    labels = marked.labels
    if labels.theirs == Labels().theirs:  # an older git does not tell a merge driver
        labels = replace(labels, theirs=other_side(path) or labels.theirs)
    return marked, labels


def _chosen(clashes: Sequence[Clash], wishes: Wishes, shown: str) -> dict[str, SideName]:
    """Which side counts in which place. Raises `UsageError` for a wish that fits no conflict, or two that contradict."""
    chosen: dict[str, SideName] = {}
    found: list[tuple[Clash, SideName]] = []
    for job in wishes.keep:
        fits = sides_with(clashes, job)
        if not fits:
            raise _no_such(job, shown)
        found += fits
    sides: list[tuple[SideName, Sequence[str]]] = [("ours", wishes.ours), ("theirs", wishes.theirs)]
    for side, names in sides:
        for name in names:
            places = places_of(clashes, name)
            if not places:
                raise _no_such(name, shown)
            found += [(clash, side) for clash in places]
    for clash, side in found:
        if chosen.setdefault(clash.place, side) != side:
            raise UsageError(f"{clash.place} can be of one side only", code="both-sides")
    return chosen


def _no_such(name: str, shown: str) -> UsageError:
    return UsageError(f"{name} names no side of a conflict in {shown}", code="no-conflict",
                      hint="without a choice the command shows what is in conflict",
                      next_commands=[command("lock", "--resolve", shown)])


def _tell(merged: Merged, settled: int, labels: Labels, path: Path, *, as_json: bool, quiet: bool) -> None:
    left, shown = merged.clashes, str(path)
    if as_json:
        body = {"lockfile": shown, "conflicts": [clash_dict(clash, labels) for clash in left]}
        click.echo(json_text(json.dumps(body, ensure_ascii=False, indent=2)))
        return
    if left:
        click.echo(clashes_text(left, labels, shown))
        click.echo(f"\n{safe(shown)}: {count(len(left), 'conflict')} left, everything else is merged", err=True)
    elif not quiet:
        how = f"{settled} as you chose" if settled else "no take was rendered on both sides"
        click.echo(f"{safe(shown)}: merged, {how}")
        manifest = path.with_name(Path(lockfiles.read(merged.text, path=shown).manifest).name or "MANIFEST")
        click.echo(safe(f"next: git add {shown}; then: {command('plan', str(manifest))}"))
