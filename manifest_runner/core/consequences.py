"""What follows from an edit of the manifest: the plan of before held against the plan of after."""

from __future__ import annotations

from collections.abc import Collection

from manifest_runner.core.model import Change, Manifest, Plan, ShotFrame, ShotId
from manifest_runner.core.planning import upstream_frames


def moved(before: Plan, after: Plan) -> tuple[Change, ...]:
    """The takes with which the second plan does something else, or that only it has, as it says it."""
    known = {(change.shot, change.take): _done(change) for change in before.changes}
    return tuple(change for change in after.changes if known.get((change.shot, change.take)) != _done(change))


def _done(change: Change) -> object:
    return change.action, change.quote, change.after


def pinned(manifest: Manifest, shots: Collection[ShotId]) -> tuple[tuple[ShotId, ShotFrame], ...]:
    """Frames of these shots that name a take which is not the one in the cut: whatever is circled, they stay."""
    cut = {shot.id: shot.cut_take for shot in manifest.shots if shot.id in shots}
    return tuple((shot.id, frame) for shot in manifest.shots for frame in upstream_frames(shot)
                 if frame.take is not None and frame.shot in cut and frame.take != cut[frame.shot])
