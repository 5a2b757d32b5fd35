"""The graph of a show as a tree for a terminal, as DOT for Graphviz, and as Mermaid for Markdown.

Laws
- A line of the tree says itself what a shot takes from where; how it is indented only helps the eye. A chain goes straight
  down, and of several shots that hang on one the longest branch does, so that 10,000 shots stay within a few columns.
- Names in DOT and Mermaid are our own (`n0`, `p0`); what strangers wrote stands in labels alone, escaped for the place.
- The same graph gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import click

from manifest_runner.core.model import ShotId
from manifest_runner.core.shotgraph import Edge, Graph, Node, Picture, State, longest_chain, parents_of
from manifest_runner.views.escaping import dot as dot_text
from manifest_runner.views.escaping import mermaid as mermaid_text
from manifest_runner.views.text import count, safe

_COLOURS = {State.RENDERED: "green", State.TO_RENDER: None, State.UNFINISHED: "cyan", State.IN_DOUBT: "red"}
_FILLS = {State.RENDERED: ("#d7ecd9", "#3a7d44"), State.TO_RENDER: ("#ffffff", "#666666"),
          State.UNFINISHED: ("#d6ebf5", "#2a7a9e"), State.IN_DOUBT: ("#f6d5d5", "#b03a3a")}
_NAMED = 5
"""Shots of a chain that are named."""


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def graph_text(graph: Graph) -> str:
    """The tree, and a summary."""
    taken: dict[ShotId, list[Edge | Picture]] = {}
    items: tuple[Edge | Picture, ...] = (*graph.edges, *graph.pictures)
    for item in items:
        taken.setdefault(item.target, []).append(item)
    nodes = {node.id: node for node in graph.nodes}
    rows = [(f"{branch}{safe(name)}", nodes[name], "; ".join(_words(item) for item in taken.get(name, ())))
            for branch, name in _tree(graph)]
    wide = max((len(first) for first, _, _ in rows), default=0)
    states = [_standing(node) for _, node, _ in rows]
    broad = max(map(len, states), default=0)
    lines = []
    for (first, node, words), state in zip(rows, states, strict=True):
        colour = _COLOURS[node.state]
        line = f"{first.ljust(wide)}  {click.style(state, fg=colour) if colour else state}"
        lines.append(f"{line}{' ' * (broad - len(state))}  {words}" if words else line)
    return "\n".join([*lines, "", _summary(graph)])


def _standing(node: Node) -> str:
    return f"{node.state.value}{f', {node.takes} takes' if node.takes > 1 else ''}"


def _words(item: Edge | Picture) -> str:
    """`begins on the last frame of SH0010 t1`."""
    if isinstance(item, Picture):
        return f"{_role(item)} {safe(item.place)}"
    return f"{_role(item)} the {item.frame.value} frame of {safe(item.source)} t{item.take}"


def _role(item: Edge | Picture) -> str:
    return "ends on" if item.at_end else "begins on"


def _tree(graph: Graph) -> Iterator[tuple[str, ShotId]]:
    """Each shot once, with what is drawn before it."""
    parents = parents_of(graph)
    children: dict[ShotId, list[ShotId]] = {}
    for node in graph.nodes:
        if node.id in parents:
            children.setdefault(parents[node.id].source, []).append(node.id)
    sizes = _sizes(graph, children)
    stack = [("", "", node.id) for node in reversed(graph.nodes) if node.id not in parents]
    while stack:
        base, branch, name = stack.pop()
        yield base + branch, name
        base += {"├─ ": "│  ", "└─ ": "   "}.get(branch, "")
        below = children.get(name, [])
        if not below:
            continue
        main = max(below, key=lambda child: sizes[child])
        if len(below) == 1 or sizes[main] > 1:
            stack.append((base, "↓ ", main))
            below = [child for child in below if child != main]
            stack += [(base, "├─ ", child) for child in reversed(below)]
        else:
            stack += [(base, "└─ " if child == below[-1] else "├─ ", child) for child in reversed(below)]


def _sizes(graph: Graph, children: dict[ShotId, list[ShotId]]) -> dict[ShotId, int]:
    """How many shots hang on each, itself included."""
    sizes: dict[ShotId, int] = {}
    stack = [node.id for node in graph.nodes]
    while stack:
        below = children.get(stack[-1], [])
        waiting = [child for child in below if child not in sizes]
        if waiting:
            stack += waiting
            continue
        name = stack.pop()
        sizes[name] = 1 + sum(sizes[child] for child in below)
    return sizes


def _summary(graph: Graph) -> str:
    counted = Counter(node.state for node in graph.nodes)
    parts = [f"{counted[state]:,} {state.value}" for state in State if counted[state]]
    words = f"{count(len(graph.nodes), 'shot')}: {', '.join(parts)}."
    chain = longest_chain(graph)
    if not chain:
        return f"{words} No shot takes a frame from another."
    named = [safe(name) for name in chain]
    if len(named) > _NAMED:
        named = [*named[:_NAMED - 2], "…", named[-1]]
    frames = count(len(graph.edges), "frame is", "frames are")
    return f"{words} {frames} taken from other shots. The longest chain has {len(chain):,} shots: {' → '.join(named)}."


# ── DOT ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def graph_dot(graph: Graph, *, title: str) -> str:
    """The graph for Graphviz: `manifest-runner graph show.yaml --format dot | dot -Tsvg`."""
    names, places = _names(graph), _places(graph)
    lines = [f'digraph "{dot_text(title)}" {{', "  rankdir=LR;",
             '  node [shape=box, style="rounded,filled", fontname="Helvetica"];',
             '  edge [fontname="Helvetica", fontsize=10, color="#666666"];']
    for node in reversed(graph.nodes):  # from left to right, Graphviz draws what comes first at the bottom
        fill, line = _FILLS[node.state]
        label = f"{dot_text(node.id)}\\n{dot_text(_standing(node))}"
        lines.append(f'  {names[node.id]} [label="{label}", fillcolor="{fill}", color="{line}"];')
    for place, name in places.items():
        lines.append(f'  {name} [label="{dot_text(place)}", shape=note, style=filled, fillcolor="#f7f2e4", color="#a08c50"];')
    for edge in graph.edges:
        style = ", style=dashed" if edge.at_end else ""
        lines.append(f'  {names[edge.source]} -> {names[edge.target]} [label="{dot_text(_label(edge))}"{style}];')
    for picture in graph.pictures:
        style = ", style=dashed" if picture.at_end else ""
        lines.append(f'  {places[picture.place]} -> {names[picture.target]} [label="{_role(picture)}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


# ── Mermaid ───────────────────────────────────────────────────────────────────────────────────────────────────────────

MOST_EDGES = 500
MOST_CHARACTERS = 50_000
"""What Mermaid draws unless it is configured otherwise, as on GitHub."""


def graph_mermaid(graph: Graph) -> str:
    """The graph for a block of Mermaid in Markdown."""
    names, places = _names(graph), _places(graph)
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = f"{mermaid_text(node.id)}<br/>{mermaid_text(_standing(node))}"
        lines.append(f'  {names[node.id]}["{label}"]:::{_class(node.state)}')
    lines += [f'  {name}["{mermaid_text(place)}"]:::picture' for place, name in places.items()]
    for edge in graph.edges:
        lines.append(f'  {names[edge.source]} {_arrow(edge.at_end, mermaid_text(_label(edge)))} {names[edge.target]}')
    for picture in graph.pictures:
        lines.append(f"  {places[picture.place]} {_arrow(picture.at_end, _role(picture))} {names[picture.target]}")
    for state, (fill, line) in _FILLS.items():
        lines.append(f"  classDef {_class(state)} fill:{fill},stroke:{line},color:#000000")
    lines += ["  classDef picture fill:#f7f2e4,stroke:#a08c50,color:#000000"] if places else []
    return "\n".join(lines) + "\n"


def _arrow(at_end: bool, label: str) -> str:
    return f'-. "{label}" .->' if at_end else f'-- "{label}" -->'


def _class(state: State) -> str:
    return state.value.replace(" ", "_")


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _names(graph: Graph) -> dict[ShotId, str]:
    return {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}


def _places(graph: Graph) -> dict[str, str]:
    """Each picture once, however many shots use it."""
    return {place: f"p{number}" for number, place in enumerate(dict.fromkeys(picture.place for picture in graph.pictures))}


def _label(edge: Edge) -> str:
    """What an arrow says: that it leads to where a clip begins goes without saying."""
    return f"{'ends on the ' if edge.at_end else ''}{edge.frame.value} frame of t{edge.take}"
