"""A graph in a terminal, in Graphviz and in Mermaid: right, readable, and no stranger's words are obeyed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifest_runner.core.model import FramePosition, ShotId
from manifest_runner.core.shotgraph import Edge, Graph, Node, Picture, State
from manifest_runner.views.escaping import dot, mermaid
from manifest_runner.views.graph import graph_dot, graph_mermaid, graph_text


def graph(*nodes: str, edges: str = "", pictures: tuple[Picture, ...] = ()) -> Graph:
    """Nodes by name, `A2` for two takes; edges as `A>B C)D`, the second kind being what a shot ends with."""
    named = [Node(id=ShotId(name[0]), state=State.TO_RENDER, takes=int(name[1:] or 1)) for name in nodes]
    found = [
        Edge(source=ShotId(text[0]), take=1, frame=FramePosition.LAST, target=ShotId(text[2]), at_end=text[1] == ")")
        for text in edges.split()
    ]
    return Graph(nodes=tuple(named), edges=tuple(found), pictures=pictures)


def tree(found: Graph) -> list[str]:
    """The tree without states and words."""
    return [re.split(r"  +(?=to render)", line)[0] for line in graph_text(found).splitlines()[:-2]]


@pytest.mark.parametrize(
    ("found", "drawn"),
    [
        (graph("A", "B", "C"), ["A", "B", "C"]),
        (graph("A", "B", "C", "D", edges="A>B B>C"), ["A", "↓ B", "↓ C", "D"]),
        (graph("A", "B", "C", edges="A>B A>C"), ["A", "├─ B", "└─ C"]),
        (graph("A", "B", "C", "D", edges="A>B A>C C>D"), ["A", "├─ B", "↓ C", "↓ D"]),
        (graph("A", "B", "C", "D", "E", "F", edges="A>B B>C A>D D>E E>F"), ["A", "├─ B", "│  ↓ C", "↓ D", "↓ E", "↓ F"]),
        (graph("A", "B", "C", "D", edges="A>B A>C A>D"), ["A", "├─ B", "├─ C", "└─ D"]),
        (graph("A", "B", "C", edges="C>A"), ["B", "C", "↓ A"]),
        (graph("A", "B", "C", edges="A>C B)C"), ["A", "↓ C", "B"]),
        (graph("A", "B", edges="A)B"), ["A", "↓ B"]),
    ],
)
def test_a_tree_has_each_shot_once_and_chains_go_straight_down(found: Graph, drawn: list[str]) -> None:
    assert tree(found) == drawn


def test_a_line_says_what_a_shot_takes_from_where_and_the_last_one_sums_up() -> None:
    found = graph("A", "B2", "C", edges="A>B A>C B)C", pictures=(Picture(place="p/a.png", target=ShotId("A")),))
    assert (
        graph_text(found)
        == """\
A     to render           begins on p/a.png
├─ B  to render, 2 takes  begins on the last frame of A t1
└─ C  to render           begins on the last frame of A t1; ends on the last frame of B t1

3 shots: 3 to render. 3 frames are taken from other shots. The longest chain has 3 shots: A → B → C."""
    )
    assert graph_text(graph("A")).endswith("1 shot: 1 to render. No shot takes a frame from another.")


def test_ten_thousand_shots_stay_within_a_few_columns() -> None:
    """A comb, where each shot has a short branch and a long one: the worst case for a tree that always indents."""
    nodes, edges = [], []
    for number in range(5000):
        main, side = ShotId(f"S{number}"), ShotId(f"T{number}")
        nodes += [Node(id=main, state=State.RENDERED, takes=1), Node(id=side, state=State.TO_RENDER, takes=1)]
        edges.append(Edge(source=main, take=1, frame=FramePosition.LAST, target=side))
        if number:
            edges.append(Edge(source=ShotId(f"S{number - 1}"), take=1, frame=FramePosition.LAST, target=main))
    found = Graph(nodes=tuple(nodes), edges=tuple(edges))
    lines = graph_text(found).splitlines()
    assert len(lines) == 10_002
    assert max(map(len, lines)) < 160
    assert graph_dot(found, title="comb").count(" -> ") == graph_mermaid(found).count(" --> ") == 9_999


EVIL = (
    '"]; n0 -> n9; //',
    "\\",
    '\\"',
    "a\\",
    "<b>&amp;",
    "x\nsubgraph",
    "%%{init: {}}%%",
    "`code`",
    '"]:::x',
    "click n0 href",
    "1. list",
    "- list",
    "\u202egnp",
    "#quot;",
    "end",
    "\x1b[2J",
    "{{ x }}",
    "/path/",
    "p\\N\\G\\l",
    "https://e.example/?a=1&b=2",
)


def evil() -> Graph:
    nodes = (
        Node(id=ShotId("end"), state=State.IN_DOUBT, takes=1),
        Node(id=ShotId("graph.1-x_"), state=State.RENDERED, takes=1),
    )
    edge = Edge(source=nodes[0].id, take=3, frame=FramePosition.FIRST, target=nodes[1].id, at_end=True)
    return Graph(nodes=nodes, edges=(edge,), pictures=tuple(Picture(place=text, target=nodes[0].id) for text in EVIL))


def shown(text: str) -> str:
    """What a reader sees of a stranger's text: all of it, and what cannot be seen written out."""
    return text.replace("\n", " ").replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_graph_and_shows_every_label_as_it_is() -> None:
    ran = subprocess.run(
        ["dot", "-Tjson"], input=graph_dot(evil(), title='a "b" \\'), capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    drawn = json.loads(ran.stdout)
    assert {item["name"] for item in drawn["objects"]} == {"n0", "n1", *(f"p{number}" for number in range(len(EVIL)))}
    assert len(drawn["edges"]) == 1 + len(EVIL)
    labels = {
        item["name"]: "\n".join(part["text"] for part in item["_ldraw_"] if part["op"] == "T") for item in drawn["objects"]
    }
    assert (labels["n0"], labels["n1"]) == ("end\nin doubt", "graph.1-x_\nrendered")
    assert [labels[f"p{number}"] for number in range(len(EVIL))] == [shown(text) for text in EVIL]


# What the lines of the flowchart may be, and nothing else. Mermaid's own parser reads them too; it is no part of the tests.
_LABEL = r'"(?:[A-Za-z0-9_ /.,-]|\#\d+;|<br/>)*"'
_MERMAID = re.compile(
    rf"""flowchart\ LR
    |\ \ [np]\d+\[{_LABEL}\]:::(?:rendered|to_render|unfinished|in_doubt|picture)
    |\ \ [np]\d+\ --\ {_LABEL}\ -->\ n\d+
    |\ \ [np]\d+\ -\.\ {_LABEL}\ \.->\ n\d+
    |\ \ classDef\ \w+\ fill:\#[0-9a-f]{{6}},stroke:\#[0-9a-f]{{6}},color:\#000000""",
    re.VERBOSE,
)


def mermaid_label(text: str) -> str:
    return html.unescape(re.sub(r"#(\d+);", r"&#\1;", text))


def test_mermaid_has_only_lines_of_its_grammar_and_labels_show_what_they_are_given() -> None:
    lines = graph_mermaid(evil()).splitlines()
    assert [line for line in lines if not _MERMAID.fullmatch(line)] == []
    labels = dict(
        re.fullmatch(r'  (p\d+)\["(.*)"\]:::picture', line).groups()
        for line in lines  # type: ignore[union-attr]
        if re.match(r"  p\d+\[", line)
    )
    assert [mermaid_label(labels[f"p{number}"]) for number in range(len(EVIL))] == [shown(text) for text in EVIL]
    assert '  n0["end<br/>in doubt"]:::in_doubt' in lines
    assert '  n0 -. "ends on the first frame of t3" .-> n1' in lines


@given(st.text(st.sampled_from('"\\&<>#;`-.1)[]{}|%\n ab') | st.characters(codec="utf-8"), max_size=12))
@example("- list")
@example("1. list")
@example("_x")
def test_any_text_is_shown_and_not_obeyed(text: str) -> None:
    made = mermaid(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9_ /.,-]|#\d+;)*", made)
    assert not re.match(r"[-+*_]|\d+[.)]\s", made), "a list, for Markdown"
    quoted = dot(text)
    assert re.fullmatch(r'(?:[^"\\&\n]|\\\\|\\"|&amp;)*', quoted)
    assert mermaid_label(made) == html.unescape(re.sub(r"\\(.)", r"\1", quoted).replace("&amp;", "\0")).replace("\0", "&")
