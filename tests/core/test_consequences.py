"""What follows from an edit: the takes with which the plan does something else, and no others."""

from __future__ import annotations

from manifest_runner.core.consequences import moved, pinned
from manifest_runner.core.model import Action, ShotId
from tests.builders import manifest_of, plan_of, rendered

SHOW = """shots:
  - {id: A, prompt: x, takes: 2, circled: %d}
  - {id: B, prompt: y, first_frame: {shot: A}}
  - {id: C, prompt: z, first_frame: {shot: A, take: 1}, last_frame: {shot: B}, duration: 5}
  - {id: D, prompt: w}
"""


def test_a_circle_moves_what_takes_its_frame_from_the_cut_and_nothing_else() -> None:
    first, second = manifest_of(SHOW % 1), manifest_of(SHOW % 2)
    lock = rendered(first)
    found = moved(plan_of(first, lock=lock), plan_of(second, lock=lock))
    assert [(change.shot, change.action) for change in found] == [("B", Action.REPLACE), ("C", Action.REPLACE)]


def test_a_circle_that_is_moved_back_moves_them_back() -> None:
    first, second = manifest_of(SHOW % 1), manifest_of(SHOW % 2)
    lock = rendered(first)
    found = moved(plan_of(second, lock=lock), plan_of(first, lock=lock))
    assert [(change.shot, change.action) for change in found] == [("B", Action.KEEP), ("C", Action.KEEP)]


def test_what_is_rendered_anyway_follows_only_where_something_else_is_asked_for() -> None:
    before, after = manifest_of(SHOW % 1), manifest_of((SHOW % 2).replace("takes: 2", "takes: 3"))
    assert [(change.shot, change.take) for change in moved(plan_of(before), plan_of(after))] == [("A", 3), ("B", 1)]


def test_frames_that_name_a_take_which_is_not_in_the_cut_are_named() -> None:
    chosen = {ShotId("A"), ShotId("B")}
    assert pinned(manifest_of(SHOW % 1), chosen) == ()
    assert [(shot, frame.take) for shot, frame in pinned(manifest_of(SHOW % 2), chosen)] == [("C", 1)]
    assert pinned(manifest_of(SHOW % 2), {ShotId("B")}) == ()
