"""Shots, what they take from each other, and where they stand."""

from __future__ import annotations

import pytest

from manifest_runner.core.model import JobState, Manifest, ShotId
from manifest_runner.core.shotgraph import Graph, State, graph_of, longest_chain, parents_of
from tests.builders import entry, job, manifest_of, plan_of, rendered

PICTURES = {"p/a.png": "0" * 64}
SHOWN = manifest_of("""shots:
  - {id: A, prompt: one, takes: 2, circled: 1}
  - {id: B, prompt: two, first_frame: {shot: A}}
  - {id: C, prompt: three, duration: 5, first_frame: {shot: B, frame: first}, last_frame: {shot: A, take: 2}}
  - {id: D, prompt: four, first_frame: p/a.png}
  - {id: E, prompt: five, first_frame: "https://e.example/a.png"}
""")


def graph(manifest: Manifest = SHOWN, *, only: frozenset[str] | None = None, pictures: bool = True) -> Graph:
    return graph_of(manifest, plan_of(manifest, pictures=PICTURES, only=only).changes, pictures=pictures)


def test_an_edge_names_take_and_frame_and_at_which_end_it_is_used() -> None:
    edges = [(edge.source, edge.take, edge.frame.value, edge.target, edge.at_end) for edge in graph().edges]
    assert edges == [("A", 1, "last", "B", False), ("B", 1, "first", "C", False), ("A", 2, "last", "C", True)]


def test_pictures_are_there_where_they_are_asked_for() -> None:
    assert [(picture.place, picture.target) for picture in graph().pictures] == [
        ("p/a.png", "D"),
        ("https://e.example/a.png", "E"),
    ]
    assert graph(pictures=False).pictures == ()


def test_some_shots_come_with_those_that_they_need() -> None:
    found = graph(only=frozenset({"B"}))
    assert [node.id for node in found.nodes] == ["A", "B"]
    assert len(found.edges) == 1


@pytest.mark.parametrize(
    ("take", "state"),
    [
        (None, State.TO_RENDER),
        (JobState.STORED, State.RENDERED),
        (JobState.IN_DOUBT, State.IN_DOUBT),
        (JobState.MISSING, State.IN_DOUBT),
        (JobState.RUNNING, State.UNFINISHED),
        (JobState.FAILED, State.TO_RENDER),
    ],
)
def test_a_shot_stands_where_its_worst_take_does(take: JobState | None, state: State) -> None:
    alone = manifest_of("shots: [{id: A, prompt: one, takes: 2}]")
    lock = rendered(alone)
    jobs = {}
    if take is None:
        del lock["A", 2]
    elif take is not JobState.STORED:
        lock["A", 2] = entry(lock["A", 2].request, shot="A", take=2, state=take)
        jobs["A", 2] = job(lock["A", 2].request, shot="A", take=2, state=take)
    (node,) = graph_of(alone, plan_of(alone, lock=lock, jobs=jobs).changes).nodes
    assert (node.state, node.takes) == (state, 2)


def test_what_the_manifest_no_longer_has_is_no_shot_of_the_graph() -> None:
    lock = rendered(manifest_of("shots: [{id: A, prompt: one}, {id: Z, prompt: old}]"))
    alone = manifest_of("shots: [{id: A, prompt: one}]")
    plan = plan_of(alone, lock=lock)
    assert len(plan.changes) == 2
    assert [node.id for node in graph_of(alone, plan.changes).nodes] == ["A"]


def test_a_shot_hangs_on_what_it_begins_with_rather_than_on_what_it_ends_with() -> None:
    assert {child: edge.source for child, edge in parents_of(graph()).items()} == {"B": "A", "C": "B"}


def test_the_longest_chain_goes_along_all_frames() -> None:
    assert longest_chain(graph()) == ("A", "B", "C")
    assert longest_chain(graph(manifest_of("shots: [{id: A, prompt: one}]"))) == ()


def test_a_chain_of_any_length_is_followed() -> None:
    names = [f"S{number}" for number in range(3000)]
    shots = "".join(
        f"  - {{id: {name}, prompt: x, first_frame: {{shot: S{number + 1}}}}}\n" for number, name in enumerate(names[:-1])
    )
    long = graph(manifest_of(f"shots:\n{shots}  - {{id: S2999, prompt: x}}\n"))
    assert longest_chain(long) == tuple(ShotId(name) for name in reversed(names))
