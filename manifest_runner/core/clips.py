"""The clips that a lockfile promises: which of them a manifest asks for, and which bytes may never be swept away."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from manifest_runner.core.model import Artifact, JobState, LockEntry, Lockfile, Manifest, ShotId
from manifest_runner.core.planning import output_path


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedClip:
    """A finished take of the lockfile, and its clip with the path where it belongs now."""

    shot: ShotId
    take: int
    entry: LockEntry
    artifact: Artifact


def locked_clips(manifest: Manifest, lockfile: Lockfile, *, only: Collection[ShotId] | None = None) -> tuple[LockedClip, ...]:
    """The clip of each take that the manifest asks for and that the lockfile holds finished, in the order of the cut; also
    where the shot has changed since, because a clip stays until another one takes its place."""
    found = []
    for shot in manifest.shots:
        for take in range(1, shot.takes + 1) if only is None or shot.id in only else ():
            entry = lockfile.entries.get((shot.id, take))
            if entry is not None and entry.state is JobState.STORED and entry.outputs:
                artifact = replace(entry.outputs[0], path=output_path(manifest, shot.id, take))
                found.append(LockedClip(shot=shot.id, take=take, entry=entry, artifact=artifact))
    return tuple(found)


def named_artifacts(lockfile: Lockfile) -> Iterable[Artifact]:
    """Everything whose bytes a lockfile names: of takes that nobody asks for any more, and of jobs on record, too."""
    for entry in lockfile.entries.values():
        yield from entry.outputs
    for records in lockfile.superseded.values():
        for record in records:
            yield from record.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep finds in a store: the objects that go, and how many stay because a lockfile names them or they are young."""

    gone: tuple[tuple[str, int], ...]
    named: int
    young: int


def sweep(objects: Iterable[tuple[str, int, float]], named: Collection[str], *, now: float, older_than: float) -> Swept:
    """Which objects (sha256, bytes, when written) may go: those that no lockfile names and that were written at least
    `older_than` seconds before `now`. A run stores a clip before its lockfile names it: that is what the age is for."""
    gone, kept, young = [], 0, 0
    for sha256, size, written in sorted(objects):
        if sha256 in named:
            kept += 1
        elif now - written < older_than:
            young += 1
        else:
            gone.append((sha256, size))
    return Swept(gone=tuple(gone), named=kept, young=young)
