"""One number of a manifest changed in its own text: that number, and not another byte."""

from __future__ import annotations

import re
from collections import Counter
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manifest_runner.core.editing import Edit, edited
from manifest_runner.core.formatting import formatted
from manifest_runner.core.parsing import parse
from manifest_runner.errors import InvalidInput
from tests.core.test_formatting import comments, noise, scalar, value

Draw = Any


def write(text: str, key: str, number: int | None, *, shot: int = 0) -> str:
    edit = Edit(at=("shots", shot), key=key, value=number, name="the shot")
    return edited(parse(text, path="show.yaml"), [edit])


EDITS = {
    "a number": ("takes", 3, "- id: A\n  takes: 2   # enough\n  prompt: x\n", "- id: A\n  takes: 3   # enough\n  prompt: x\n"),
    "a number in flow": ("takes", 12, "- {id: A, takes: 2 , cut: {in: 1}}\n", "- {id: A, takes: 12 , cut: {in: 1}}\n"),
    "a number behind an anchor that nothing uses": ("takes", 3, "- id: A\n  takes: &n  2\n", "- id: A\n  takes: &n  3\n"),
    "a number behind an anchor and a comment": (
        "takes",
        3,
        "- id: A\n  takes: &n # why\n    2\n",
        "- id: A\n  takes: &n # why\n    3\n",
    ),
    "a number that is another's": (
        "circled",
        1,
        "- id: A\n  takes: &n 2\n  circled: *n # c\n",
        "- id: A\n  takes: &n 2\n  circled: 1 # c\n",
    ),
    "a number in a quoted key": ("takes", 3, '- "id": A\n  "takes": 2\n', '- "id": A\n  "takes": 3\n'),
    "a number on a line of its own": (
        "takes",
        3,
        "- id: A\n  takes:\n    # why\n    2\n",
        "- id: A\n  takes:\n    # why\n    3\n",
    ),
    "a new key where fmt would put it": (
        "takes",
        2,
        "- id: A\n  prompt: x\n  camera: static  # still\n  cut: {in: 1}\n",
        "- id: A\n  prompt: x\n  camera: static  # still\n  takes: 2\n  cut: {in: 1}\n",
    ),
    "a new key where nothing is in order": (
        "circled",
        1,
        "- takes: 2\n  prompt: x\n  id: A\n",
        "- takes: 2\n  circled: 1\n  prompt: x\n  id: A\n",
    ),
    "a new key behind a literal and its comment": (
        "takes",
        2,
        "- id: A\n  prompt: |\n    one\n\n    two\n    # words\n   # about it\n\n  # of the next\n  cut: {in: 1}\n",
        "- id: A\n  prompt: |\n    one\n\n    two\n    # words\n   # about it\n  takes: 2\n\n  # of the next\n  cut: {in: 1}\n",
    ),
    "a new key behind blank lines that a literal keeps": (
        "takes",
        2,
        "- id: A\n  prompt: |+\n    one\n\n\n  cut: {in: 1}\n",
        "- id: A\n  prompt: |+\n    one\n\n\n  takes: 2\n  cut: {in: 1}\n",
    ),
    "a new key behind a list, a blank line and a comment that belongs to it": (
        "takes",
        2,
        "- id: A\n  camera:\n    - x\n\n    # of it\n\n  # of the next\n  cut: {in: 1}\n",
        "- id: A\n  camera:\n    - x\n\n    # of it\n  takes: 2\n\n  # of the next\n  cut: {in: 1}\n",
    ),
    "a new key where a literal ends the text": (
        "takes",
        2,
        "- id: A\n  prompt: |\n    one",
        "- id: A\n  takes: 2\n  prompt: |\n    one",
    ),
    "a new key where a text has no end of line": ("takes", 2, "- id: A\n  prompt: x", "- id: A\n  prompt: x\n  takes: 2"),
    "a new key in lines as Windows ends them": (
        "takes",
        2,
        "- id: A\r\n  prompt: x\r\n- id: B\r\n",
        "- id: A\r\n  prompt: x\r\n  takes: 2\r\n- id: B\r\n",
    ),
    "a new key in lines that do not all end alike": (
        "takes",
        2,
        "- id: A\r\n  prompt: x\n- id: B\r\n",
        "- id: A\r\n  prompt: x\n  takes: 2\n- id: B\r\n",
    ),
    "a new key in lines as they were ended long ago": (
        "takes",
        2,
        "- id: A\r  prompt: x\r- id: B\r",
        "- id: A\r  prompt: x\r  takes: 2\r- id: B\r",
    ),
    "a new key in flow": (
        "takes",
        2,
        '- {id: A, prompt: "x, y",  cut: {in: 1}}\n',
        '- {id: A, prompt: "x, y", takes: 2,  cut: {in: 1}}\n',
    ),
    "a new key in flow of one key": ("takes", 2, "- {id: A}  # one\n", "- {id: A, takes: 2}  # one\n"),
    "a new key in flow with a comma at the end": (
        "takes",
        2,
        "- {id: A, prompt: x,}\n",
        "- {id: A, prompt: x, takes: 2,}\n",
    ),
    "a new key in JSON": ("takes", 2, '- {"id":"A","prompt":"x"}\n', '- {"id":"A","prompt":"x","takes":2}\n'),
    "a new key in JSON over lines": (
        "circled",
        1,
        '- {\n    "id": "A",\n    "takes": 2\n  }\n',
        '- {\n    "id": "A",\n    "takes": 2,\n    "circled": 1\n  }\n',
    ),
    "a new key in flow over lines, with comments": (
        "circled",
        1,
        "- {id: A,   # first\n   takes: 2,   # two\n   cut: {in: 1}}\n",
        "- {id: A,   # first\n   takes: 2,   # two\n   circled: 1,\n   cut: {in: 1}}\n",
    ),
    "a new key in flow over lines, at their end": (
        "circled",
        1,
        "- {id: A,\n   takes: 2   # two\n   }\n",
        "- {id: A,\n   takes: 2,   # two\n   circled: 1\n   }\n",
    ),
    "a key less": ("circled", None, "- id: A\n  circled: 2\n  cut: {in: 1}\n", "- id: A\n  cut: {in: 1}\n"),
    "a key less, its comment kept": (
        "circled",
        None,
        "- id: A\n  # above\n  circled: 2   # she laughs\n  cut: {in: 1}\n",
        "- id: A\n  # above\n  # she laughs\n  cut: {in: 1}\n",
    ),
    "a key less at the end of the text": ("circled", None, "- id: A\n  circled: 2", "- id: A\n"),
    "a key less behind a dash": ("circled", None, "- circled: 2\n  id: A\n", "- id: A\n"),
    "a key less behind a dash, with comments": (
        "circled",
        None,
        "-   circled: 2\n    # why\n    id: A\n",
        "-\n    # why\n    id: A\n",
    ),
    "a key less behind a dash, with its comment": (
        "circled",
        None,
        "- circled: 2  # why\n  id: A\n",
        "- # why\n  id: A\n",
    ),
    "a key less in flow": ("circled", None, "- {id: A, circled: 2, cut: {in: 1}}\n", "- {id: A, cut: {in: 1}}\n"),
    "the last key less in flow": ("circled", None, "- {id: A, circled: 2}\n", "- {id: A}\n"),
    "the first key less in flow": ("circled", None, "- {circled: 2, id: A}\n", "- {id: A}\n"),
    "a key less in flow over lines": (
        "circled",
        None,
        "- {id: A,  # first\n   circled: 2,  # why\n   cut: {in: 1}}\n",
        "- {id: A,  # first\n   # why\n   cut: {in: 1}}\n",
    ),
    "a key less with a comment inside": ("circled", None, "- id: A\n  circled:\n    # why\n    2\n", None),
    "a key less with a comment behind its anchor": ("circled", None, "- id: A\n  circled: &n # why\n    2\n", None),
    "the last key less in flow over lines, with its comma": (
        "circled",
        None,
        "- {id: A,  # first\n   circled: 2,\n  }\n",
        "- {id: A,  # first\n   }\n",
    ),
    "the last key less in flow over lines and without a comma": (
        "circled",
        None,
        "- {id: A,  # first\n   circled: 2\n  }\n",
        "- {id: A,  # first\n   }\n",
    ),
    "the last key less in flow over lines": (
        "circled",
        None,
        "- {id: A,  # first\n   circled: 2,   # why\n   }\n",
        "- {id: A,  # first\n   # why\n   }\n",
    ),
    "a key less that is not there": ("circled", None, "- id: A\n", None),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_what_it_must_and_not_another_byte(name: str) -> None:
    key, number, before, after = EDITS[name]
    end = re.findall("\r\n|\r|\n", before)
    head = f"version: 1{end[0] if end else chr(10)}shots:{end[0] if end else chr(10)}"
    if after is None:
        with pytest.raises(InvalidInput):
            write(head + before, key, number)
    else:
        assert write(head + before, key, number) == head + after


REFUSED = {
    "a number that others use": "shots:\n  - id: A\n    takes: &n 2\n  - id: B\n    takes: *n\n",
    "a shot that is another's, too": "vars: {s: &s {id: A}}\nshots:\n  - *s\n",
    "a shot that something else is, too": "shots:\n  - &s {id: A}\nvars: {s: *s}\n",
    "shots that something else is, too": "shots: &s\n  - {id: A}\nvars: {s: *s}\n",
    "all shots from elsewhere": "vars: {s: &s [{id: A}]}\nshots: *s\n",
    "nothing where a number belongs": "shots:\n  - id: A\n    takes:\n",
    "a text where a number belongs": "shots:\n  - {id: A, takes: two of them}\n",
    "keys in so many words": "shots:\n  - ? id\n    : A\n",
    "a mapping without braces": "shots: [id: A]\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_more_or_is_written_in_a_way_of_its_own_is_left_to_a_person(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        write(REFUSED[name], "takes", 3)
    (found,) = refused.value.diagnostics
    assert found.code == "edit-by-hand"
    assert found.source is not None
    assert found.hint is not None
    assert "write takes: 3" in found.hint


def test_of_several_edits_all_are_made_or_none_and_those_that_cannot_be_are_all_named() -> None:
    text = dedent(
        """\
        vars: {s: &s {id: X}, t: &t {id: Y}}
        shots:
          - id: A
            prompt: |
              no end of line follows this, nor that
          - *s
          - {id: B}   # two
          - *t
          - id: C
            prompt: |
              end"""
    )
    document = parse(text, path="show.yaml")

    def edits(*shots: int) -> list[Edit]:
        return [Edit(at=("shots", shot), key="takes", value=2, name=f"shot {shot}") for shot in shots]

    with pytest.raises(InvalidInput) as refused:
        edited(document, edits(0, 1, 2, 3))
    assert [item.source.line for item in refused.value.diagnostics if item.source is not None] == [6, 8]
    made = edited(document, edits(0, 2, 4))  # the last one in its second way
    assert made == text.replace("that\n", "that\n    takes: 2\n").replace("{id: B}", "{id: B, takes: 2}").replace(
        "id: C\n", "id: C\n    takes: 2\n"
    )


# ── whatever is written ───────────────────────────────────────────────────────────────────────────────────────────

_OTHERS = ("note", "duration", "camera", "cut", "cfg_scale")


def number(draw: Draw) -> str:
    return draw(st.sampled_from(["2", "2", "0x2", "+2", "&two 2"])) + draw(st.sampled_from(["", "  # why", " "]))


def keys_of(draw: Draw) -> list[str]:
    chosen = ["id", *draw(st.lists(st.sampled_from(["prompt", "takes", "circled", *_OTHERS]), unique=True, max_size=5))]
    return list(draw(st.permutations(chosen))) if draw(st.booleans()) else chosen


def block_shot(draw: Draw, column: int, keys: list[str]) -> list[str]:
    gap = draw(st.integers(1, 3))
    inner = column + 1 + gap
    out: list[str] = []
    for key in keys:
        quote = draw(st.sampled_from(["", "", '"', "'"]))
        first, *rest = value(draw, inner, 1)
        if key in ("takes", "circled", "id"):
            first, *rest = [" " + (scalar(draw, "A") if key == "id" else number(draw))]
        out += (noise(draw, inner) if out else []) + [f"{' ' * inner}{quote}{key}{quote}:{first}", *rest]
    out[0] = " " * column + "-" + out[0][column + 1 :]
    return out


def flow_shot(draw: Draw, column: int, keys: list[str]) -> list[str]:
    """A flow mapping on one line or on several; comments only where a line ends."""
    quote = draw(st.sampled_from(["", '"']))
    texts = [draw(st.sampled_from(["2", "&two 2"])) if key in ("takes", "circled") else scalar(draw, "x") for key in keys]
    words = [f"{quote}{key}{quote}: {text}" for key, text in zip(keys, texts, strict=True)]
    if draw(st.booleans()):
        return [f"{' ' * column}- {{{draw(st.sampled_from([', ', ',', ' , ']) if quote else st.just(', ')).join(words)}}}"]
    indent = " " * (column + 3)
    lines = [f"{word}{',' if number + 1 < len(words) or draw(st.booleans()) else ''}" for number, word in enumerate(words)]
    lines = [indent + line + draw(st.sampled_from(["", "  # why"])) for line in lines]
    if draw(st.booleans()):
        return [" " * column + "- {", *lines, indent + "}"]
    lines[0] = " " * column + "- {" + lines[0].lstrip()
    return [*lines, indent + "}"]


@st.composite
def shows(draw: Draw) -> tuple[str, int]:
    """A manifest's text and the number of one of its shots."""
    column, lines = draw(st.integers(0, 4)), [*noise(draw, 0), "version: 1", *noise(draw, 0), "shots:", *noise(draw, 0)]
    count = draw(st.integers(1, 3))
    for _ in range(count):
        lines += draw(st.sampled_from([block_shot, block_shot, flow_shot]))(draw, column, keys_of(draw))
        lines += noise(draw, column)
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = end.join(line for part in lines for line in part.split("\n")) + draw(st.sampled_from(["", end, end * 2]))
    return text, draw(st.integers(0, count - 1))


def remarks(text: str) -> Counter[str]:
    """Comments behind something on its line, or on a line of their own."""
    return Counter(re.findall("(?m)(?:^|(?<=[ \t]))# why", text))


def alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def difference(before: str, after: str) -> tuple[str, str]:
    """What stands in the first text, and what in the second, between all that they begin and end with alike."""
    begin = alike(before, after)
    end = alike(before[begin:][::-1], after[begin:][::-1])
    return before[begin : len(before) - end], after[begin : len(after) - end]


@settings(max_examples=150)
@given(shows(), st.sampled_from(["takes", "circled"]), st.integers(1, 12))
def test_whatever_is_written_one_value_changes_and_not_another_byte(show: tuple[str, int], key: str, new: int) -> None:
    text, shot = show
    before = parse(text, path="show.yaml").data
    made = write(text, key, new, shot=shot)
    after = parse(made, path="show.yaml").data
    assert after["shots"][shot].pop(key) == new
    had = before["shots"][shot].pop(key, None) is not None
    assert after == before
    assert comments(made) == comments(text)
    assert remarks(made) == remarks(text)
    was, now = difference(text, made)
    if had:
        assert re.fullmatch("[0-9x+]*", was)
        assert re.fullmatch("[0-9]*", now)
    else:
        assert was in ("", "  # why"), "only a comma that must stand before a comment is not in one piece with the rest"
        assert sorted(re.sub(r"[\s,:\"']", "", now)) == sorted(f"{key}{new}{was.replace(' ', '')}")


@settings(max_examples=100)
@given(shows(), st.sampled_from(["takes", "circled"]))
@example(("shots:\n- {circled: 2,  # why\n   id: 'x'}", 0), "circled")
def test_what_is_written_and_taken_away_again_leaves_the_text_as_it_was(show: tuple[str, int], key: str) -> None:
    text, shot = show
    if key in parse(text, path="show.yaml").data["shots"][shot]:
        gone = write(text, key, None, shot=shot)
        assert key not in parse(gone, path="show.yaml").data["shots"][shot]
        assert Counter(comments(text)) <= Counter(comments(gone))
        assert remarks(gone) == remarks(text)
        text = gone
    again = write(write(text, key, 7, shot=shot), key, None, shot=shot)
    if "{" in text:  # a comma behind the last entry, spaces before a comment
        assert re.sub(r"[\s,]", "", again) == re.sub(r"[\s,]", "", text)
    else:
        assert again.removeprefix(text) in ("", "\n", "\r\n"), "a last line that had no end may get one"


@settings(max_examples=50)
@given(shows(), st.sampled_from(["takes", "circled"]))
def test_what_is_laid_out_stays_laid_out(show: tuple[str, int], key: str) -> None:
    text, shot = show
    tidy = formatted(parse(text, path="show.yaml"))
    made = write(tidy, key, 7, shot=shot)
    assert formatted(parse(made, path="show.yaml")) == made
