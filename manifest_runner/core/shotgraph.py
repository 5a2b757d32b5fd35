"""Which shots take frames from which, and where each of them stands by the plan.

Laws: shots in the order of the cut; an edge goes from where a frame is taken to the shot that uses it; the manifest is valid,
so that there are no circles. Nothing here recurses: a chain may be 20,000 shots long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from manifest_runner.core.model import (
    Action,
    Change,
    FileFrame,
    Frame,
    FramePosition,
    JobState,
    Manifest,
    Shot,
    ShotFrame,
    ShotId,
)


class State(StrEnum):
    """Where a shot stands: all its takes are there, some are to be rendered, under way, or a person must decide."""

    RENDERED = "rendered"
    TO_RENDER = "to render"
    UNFINISHED = "unfinished"
    IN_DOUBT = "in doubt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A shot."""

    id: ShotId
    state: State
    takes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A frame of a take of one shot that another one begins or, `at_end`, ends with."""

    source: ShotId
    take: int
    frame: FramePosition
    target: ShotId
    at_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file or an address that a shot begins or, `at_end`, ends with."""

    place: str
    target: ShotId
    at_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Shots, and what they take from each other and from elsewhere."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    pictures: tuple[Picture, ...] = ()


def graph_of(manifest: Manifest, changes: Iterable[Change], *, pictures: bool = False) -> Graph:
    """The graph of the shots that a plan deals with; `pictures` are those of files and addresses, too."""
    planned: dict[ShotId, list[Change]] = {}
    for change in changes:
        planned.setdefault(change.shot, []).append(change)
    shots = {shot.id: shot for shot in manifest.shots if shot.id in planned}
    edges, leaves = [], []
    for shot in shots.values():
        for frame, at_end in ((shot.first_frame, False), (shot.last_frame, True)):
            if isinstance(frame, ShotFrame):
                take = frame.take if frame.take is not None else shots[frame.shot].cut_take
                edges.append(Edge(source=frame.shot, take=take, frame=frame.frame, target=shot.id, at_end=at_end))
            elif frame is not None and pictures:
                leaves.append(Picture(place=_place(frame), target=shot.id, at_end=at_end))
    nodes = tuple(_node(shot, planned[shot.id]) for shot in shots.values())
    return Graph(nodes=nodes, edges=tuple(edges), pictures=tuple(leaves))


def _place(frame: Frame) -> str:
    assert not isinstance(frame, ShotFrame)  # noqa: S101 - an edge, above
    return frame.path if isinstance(frame, FileFrame) else frame.url


def _node(shot: Shot, changes: list[Change]) -> Node:
    return Node(id=shot.id, takes=shot.takes, state=max(map(_state, changes), key=list(State).index))


def _state(change: Change) -> State:
    if change.action is Action.RESUME:
        decide = change.entry is not None and change.entry.state in (JobState.IN_DOUBT, JobState.MISSING)
        return State.IN_DOUBT if decide else State.UNFINISHED
    return State.RENDERED if change.action in (Action.KEEP, Action.FETCH) else State.TO_RENDER


def parents_of(graph: Graph) -> dict[ShotId, Edge]:
    """By what each shot hangs in a tree: the frame that it begins with, else the one that it ends with."""
    found: dict[ShotId, Edge] = {}
    for edge in graph.edges:
        if edge.target not in found or not edge.at_end:
            found[edge.target] = edge
    return found


def longest_chain(graph: Graph) -> tuple[ShotId, ...]:
    """The shots of the longest chain, each rendered after the one before it; the first of several. Empty without edges."""
    if not graph.edges:
        return ()
    sources: dict[ShotId, list[ShotId]] = {}
    for edge in graph.edges:
        sources.setdefault(edge.target, []).append(edge.source)
    lengths: dict[ShotId, int] = {}
    before: dict[ShotId, ShotId] = {}
    for node in graph.nodes:
        _measure(node.id, sources, lengths, before)
    at: ShotId | None = max((node.id for node in graph.nodes), key=lambda name: lengths[name])
    chain: list[ShotId] = []
    while at is not None:
        chain.append(at)
        at = before.get(at)
    return tuple(reversed(chain))


def _measure(root: ShotId, sources: Mapping[ShotId, list[ShotId]], lengths: dict[ShotId, int],
             before: dict[ShotId, ShotId]) -> None:
    """How many shots the longest chain up to `root` has, and up to all that stand before it."""
    stack = [root]
    while stack:
        name = stack[-1]
        waiting = [source for source in sources.get(name, ()) if source not in lengths]
        if waiting and name not in lengths:
            stack += waiting
            continue
        stack.pop()
        if name not in lengths:
            best = max(sources.get(name, ()), key=lambda source: lengths[source], default=None)
            lengths[name] = 1 + (lengths[best] if best is not None else 0)
            if best is not None:
                before[name] = best
