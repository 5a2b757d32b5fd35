"""Laying out a manifest: the same manifest, its comments where they belong, and nothing to do a second time."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.formatting import SHOT, TOP, formatted, same
from manifest_runner.core.parsing import parse
from manifest_runner.core.schema import manifest_schema
from manifest_runner.errors import UsageError
from tests.builders import CARD

MANIFESTS = sorted((Path(__file__).parents[2] / "manifests").rglob("*.yaml"))


def laid_out(text: str) -> str:
    return formatted(parse(text, path="show.yaml"))


def check(before: str, after: str) -> None:
    """`before` becomes `after`, which stays."""
    before, after = dedent(before), dedent(after)
    assert laid_out(before) == after
    assert laid_out(after) == after


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_manifests_that_come_with_the_program_are_laid_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert laid_out(text) == text


def test_every_key_of_the_schema_has_its_place() -> None:
    schema = manifest_schema(CARD, templates=True)["properties"]
    assert set(TOP) - {"*"} == set(schema)
    assert set(SHOT) - {"*"} <= set(schema["shots"]["items"]["properties"])


def test_keys_come_in_the_documented_order_and_take_their_comments_along() -> None:
    check(
        """\
        # yaml-language-server: $schema=x.json
        # Two shots.
        shots:
          - prompt: one   # the first
            cut: {in: 0.5}
            # five seconds, for the bell
            # and no more
            duration: 5
            id: A
            cfg_scale: 0.5
            # of A still
          # ── the bridge ──
          - prompt: two
            id: B
        # what it is called
        show: x  # short
        version: 1
        """,
        """\
        # yaml-language-server: $schema=x.json
        # Two shots.
        version: 1
        # what it is called
        show: x  # short
        shots:
          - id: A
            prompt: one   # the first
            # five seconds, for the bell
            # and no more
            duration: 5
            cfg_scale: 0.5
            # of A still
            cut: {in: 0.5}
          # ── the bridge ──
          - id: B
            prompt: two
        """,
    )


LAYOUT = {
    "indentation, and a list in the column of its key": (
        """\
        version:   1
        limits:
              rate: 30/min
              # at once
              concurrency: 8
        shots:
        -   id: A
            prompt: one
            matrix:
                 weather:
                 - rain
                 # thick
                 - fog
        - id: B
          prompt: two
          # camera: static
        # the end
        """,
        """\
        version: 1
        limits:
          rate: 30/min
          # at once
          concurrency: 8
        shots:
          - id: A
            matrix:
              weather:
                - rain
                # thick
                - fog
            prompt: one
          - id: B
            prompt: two
            # camera: static
        # the end
        """,
    ),
    "blank lines and spaces at ends": (
        "\n\n# head\n\n\n\nversion: 1   \nshots:\n\n\n\n  - id: A\n    prompt: one  \t\n\n\n"
        "  - id: B\n    prompt: two\n\n\n# tail\n\n\n",
        "# head\n\nversion: 1\nshots:\n\n  - id: A\n    prompt: one\n\n  - id: B\n    prompt: two\n\n# tail\n",
    ),
    "ends of lines": ("version: 1\r\nshow: x\r\nnote: |\r\n  a\r\n  b\r\n", "version: 1\nshow: x\nnote: |\n  a\n  b\n"),
    "no newline at the end": ("version: 1\nshow: x", "version: 1\nshow: x\n"),
    "no newline at the end of a literal": ("version: 1\nnote: |\n  a\n\n  b", "version: 1\nnote: |-\n  a\n\n  b\n"),
    "block scalars are moved whole": (
        """\
        version: 1
        shots:
            - id: A
              prompt: >-
                      long, {{ look }}

                        indented
                      end   \t
              note: |2
                   two spaces more
                 none

              # after it
              duration: 2
        """,
        """\
        version: 1
        shots:
          - id: A
            note: |2
                 two spaces more
               none
            prompt: >-
              long, {{ look }}

                indented
              end   \t

            # after it
            duration: 2
        """,
    ),
    "blank lines that a literal keeps": (
        "version: 1\nnote: |+\n    a\n\n\nshow: x\n",
        "version: 1\nnote: |+\n  a\n\n\nshow: x\n",
    ),
    "scalars over several lines are not wrapped anew": (
        """\
        version: 1
        shots:
            - id: A
              prompt: "one
                  two {{ look }}

                three"
              note: plain
                over lines
        """,
        """\
        version: 1
        shots:
          - id: A
            note: plain
              over lines
            prompt: "one
                two {{ look }}

              three"
        """,
    ),
    "flow collections stay": (
        """\
        version: 1
        vars: {a: 1,   b: [x,
            y],   # why
          c: 3}
        shots:
            - {prompt: one, id: A}
            - id: B
              camera: {move: truck_right,  amount: 4}
        """,
        """\
        version: 1
        vars: {a: 1,   b: [x,
            y],   # why
          c: 3}
        shots:
          - {prompt: one, id: A}
          - id: B
            camera: {move: truck_right,  amount: 4}
        """,
    ),
    "single quotes that nothing needs": (
        """\
        version: 1
        title: 'a: b'  # it's
        show: x
        note: '"Halloa!"'
        vars: {a: 'x'}
        shots:
          - id: 'A{{ n }}'
            prompt: 'it''s'
            note: 'a\\d'
        """,
        """\
        version: 1
        show: x
        title: "a: b"  # it's
        note: '"Halloa!"'
        vars: {a: 'x'}
        shots:
          - id: "A{{ n }}"
            note: 'a\\d'
            prompt: 'it''s'
        """,
    ),
    "a dash alone": (
        """\
        version: 1
        shots:
          -
            # the first
            id: A
          - # the second
            prompt: two
            id: B
        """,
        """\
        version: 1
        shots:
          # the first
          - id: A
          # the second
          - id: B
            prompt: two
        """,
    ),
    "values below their keys, and none": (
        """\
        version:
            1
        title:
        vars:
            a:
               # long
               "x"
            b:
        show: x
        """,
        """\
        version:
            1
        show: x
        title:
        vars:
          a:
             # long
             "x"
          b:
        """,
    ),
    "what an anchor ties together stays in its order": (
        """\
        version: 1
        shots:
            - prompt: &p one
              id: A
            - prompt: *p
              id: B
        show: x
        """,
        """\
        version: 1
        shots:
          - prompt: &p one
            id: A
          - prompt: *p
            id: B
        show: x
        """,
    ),
    "the order of vars, axes and defaults is not ours": (
        "version: 1\ndefaults: \n  duration: 1\n  camera: static\nvars:\n   z: 1\n   a: 2\n",
        "version: 1\nvars:\n  z: 1\n  a: 2\ndefaults:\n  duration: 1\n  camera: static\n",
    ),
    "a document begun in so many words": (
        "%YAML 1.2\n---\n\n\nshow: x\nversion: 1\n",
        "%YAML 1.2\n---\n\nversion: 1\nshow: x\n",
    ),
    "flow from the top": ("{version: 1,   show: x}  \n\n", "{version: 1,   show: x}\n"),
    "lists in lists": (
        "version: 1\nvars:\n    a:\n    -   - 1\n        - 2\n    -\n        - 3\n",
        "version: 1\nvars:\n  a:\n    - - 1\n      - 2\n    - - 3\n",
    ),
}


@pytest.mark.parametrize("name", LAYOUT)
def test_layout(name: str) -> None:
    check(*LAYOUT[name])


@pytest.mark.parametrize(
    "text", ["--- {a: 1}\n...\n# x\n", "version: 1\n...\n", "? a\n: b\n", "--- \n? a\n: - b\n", "--- !!map\na: 1\n"]
)
def test_rare_ways_of_writing_are_laid_out_or_left_alone(text: str) -> None:
    try:
        assert same(parse(laid_out(text), path="x").data, parse(text, path="x").data)
    except UsageError as error:
        assert error.code == "not-formatted"  # noqa: PT017 - either is right
    except Exception as error:
        assert type(error).__name__ == "InvalidInput"  # noqa: PT017 - the parser refuses it


# ── whatever is written ───────────────────────────────────────────────────────────────────────────────────────────

_WORDS = st.sampled_from(
    [
        "rain",
        "{{ look }}",
        "a: b",
        "# no",
        "it's",
        'say "x"',
        "16:9",
        "no",
        "",
        " pad ",
        "tab\there",
        "x\ny",
        "é ü",
        "- a",
        "a #b",
        "back\\slash",
        "{x}",
        "long " * 30,
    ]
)
_NUMBERS = st.sampled_from(["1", "0.50", "1e3", "010", "true", "~", "-3", "+4"])
_COMMENT = st.sampled_from(["# one", "#two", "# - id: X", "#", "# a: b  "])
Draw = Any


def scalar(draw: Draw, text: str) -> str:
    """A string in one of the ways in which it may be written on one line."""
    ways = [f"'{text.replace(chr(39), chr(39) * 2)}'"] if "\n" not in text else []
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    ways.append(f'"{escaped}"')
    if re.fullmatch(r"[a-zé][a-zé ü]*[a-zü]", text):
        ways.append(text)
    return draw(st.sampled_from(ways))


def noise(draw: Draw, column: int) -> list[str]:
    """Blank lines and comments, wherever they happen to stand."""
    out = []
    for kind in draw(st.lists(st.sampled_from(["blank", "comment", "deeper", "outer"]), max_size=2)):
        shift = {"comment": 0, "deeper": 3, "outer": -column}.get(kind, 0)
        out.append(draw(st.sampled_from(["", "   "])) if kind == "blank" else " " * (column + shift) + draw(_COMMENT))
    return out


def block(draw: Draw, column: int) -> list[str]:
    """A literal or folded scalar; the first line is what stands behind the colon."""
    step = draw(st.integers(1, 5))
    content = draw(
        st.lists(
            st.sampled_from(["word", "  deeper", "", "{{ look }}", "# no comment", "a: b", "end  "]), min_size=1, max_size=4
        )
    )
    if not content[0].strip() or content[0].startswith(" "):
        content[0] = "first"
    return [
        draw(st.sampled_from(["|", ">", "|-", ">-", "|+", ">+"])),
        *(" " * (column + step) + line if line else "" for line in content),
    ]


def value(draw: Draw, column: int, depth: int) -> list[str]:
    """A value for a key in `column`: what stands behind the colon, and lines below it."""
    kind = draw(st.sampled_from(["text", "number", "block", "flow", "folded", "map", "list"][: 5 if depth > 2 else 7]))
    tail = draw(st.sampled_from(["", "  # why", " "]))
    if kind == "text":
        return [" " + scalar(draw, draw(_WORDS)) + tail]
    if kind == "number":
        return [" " + draw(_NUMBERS) + tail]
    if kind == "block":
        first, *rest = block(draw, column)
        return [" " + first, *rest]
    if kind == "flow":
        return [draw(st.sampled_from([" {a: 1, b: 'x'}", " [1,  2]", " [x,\n" + " " * (column + 2) + "y]", " {}"])) + tail]
    if kind == "folded":
        return [' "one', " " * (column + draw(st.integers(1, 6))) + 'two {{ x }}"' + tail]
    if kind == "map":
        return [
            tail,
            *mapping(
                draw,
                column + draw(st.integers(1, 5)),
                draw(st.lists(st.sampled_from("pqrs"), unique=True, min_size=1, max_size=3)),
                depth + 1,
            ),
        ]
    return [tail, *sequence(draw, column + draw(st.integers(0, 4)), depth + 1)]


def mapping(draw: Draw, column: int, keys: list[str], depth: int) -> list[str]:
    out: list[str] = []
    for number, key in enumerate(keys):
        first, *rest = value(draw, column, depth)
        out += (noise(draw, column) if number else []) + [" " * column + key + ":" + first, *rest]
    return out


def sequence(draw: Draw, column: int, depth: int, keys: tuple[str, ...] = ("k", "m")) -> list[str]:
    out: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        out += noise(draw, column) if number else []
        if draw(st.booleans()) or len(keys) > 2:
            gap = draw(st.integers(1, 3))
            chosen = draw(st.lists(st.sampled_from(keys), unique=True, min_size=1, max_size=len(keys)))
            first, *rest = mapping(draw, column + 1 + gap, chosen, depth)
            out += [" " * column + "-" + " " * gap + first.lstrip(), *rest]
        else:
            out.append(" " * column + "- " + scalar(draw, draw(_WORDS)))
    return out


@st.composite
def manifests(draw: Draw) -> str:
    keys = draw(
        st.lists(st.sampled_from(["version", "show", "vars", "limits", "note", "model", "other"]), unique=True, min_size=1)
    )
    lines = [*noise(draw, 0)]
    shots_at = draw(st.integers(0, len(keys)))
    for number, key in enumerate([*keys[:shots_at], "shots", *keys[shots_at:]]):
        lines += noise(draw, 0) if number else []
        if key == "shots":
            lines += ["shots:", *sequence(draw, draw(st.integers(0, 4)), 1, ("id", "prompt", "duration", "zoom", "cut"))]
        else:
            first, *rest = value(draw, 0, 1)
            lines += [f"{key}:{first}", *rest]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(line for part in lines for line in part.split("\n")) + draw(st.sampled_from(["", end, end * 3]))


@settings(max_examples=100, deadline=None)
@given(manifests())
def test_whatever_is_written_means_the_same_keeps_its_comments_and_stays_laid_out(text: str) -> None:
    document = parse(text, path="show.yaml")
    made = formatted(document)  # refuses where a value would change: here it must not
    assert same(parse(made, path="show.yaml").data, document.data)
    assert laid_out(made) == made
    assert made.endswith("\n")
    assert "\r" not in made
    assert comments(made) == comments(text)


def comments(text: str) -> list[str]:
    """Whole lines that are comments, as far as one can tell from the line."""
    return sorted(line.strip() for line in re.split(r"\r?\n", text) if line.lstrip().startswith("#"))
