"""The quick reader gives what libyaml gives, or declines."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yaml._yaml import CParser

from benchmarks.shows import manifest_text
from manifest_runner.core import blocks
from manifest_runner.core.expansion import MAX_SHOTS
from manifest_runner.core.parsing import MAX_EVENTS, parse, parse_events
from manifest_runner.errors import InvalidInput

ROOT = Path(__file__).parents[2]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for folder in ("manifests", "schemas", "tests") for path in sorted((ROOT / folder).rglob("*.yaml"))}

PLAIN = """\
# a remark
version: 1
show: monsoon   # of 2026
title: "The last crossing: Asha's tram"
vars:
  hero: Asha, thirties, red raincoat
  empty:
  words: 'of "hers"'
defaults: {resolution: 720p, aspect_ratio: '16:9'}

include: [looks/noir.yaml, a b]
limits:
  rate: 30/min
  concurrency: 8

shots:
  - id: SH0010
    prompt: >-
      {{ hero }} steps off: # no remark
      - the last tram.
    duration: 5
    camera: {move: truck_right, amount: -4.5}
    matrix: {weather: rain}
    cut:
      in: .5
      out: 1e1

  # between
  -   id: SH0020
      prompt: |
        One.
        Two.
      takes: 0x10
      note: ~
  - word
  - 16:9
tags:
- http://x/y#z
- -5
- name: last
  more:
  - deep
"""


def events_of(text: str) -> int:
    """How many events libyaml tells of a text."""
    return sum(1 for _ in iter(CParser(text).get_event, None))


def quick(text: str) -> dict[str, object] | None:
    return blocks.read(text, MAX_EVENTS)


def held(text: str) -> bool:
    """Whether the quick reader took `text`; then libyaml must take it too, for the same: order and types count, and so does
    the bound on its events."""
    found = quick(text)
    if found is None:
        return False
    assert blocks.read(text, events_of(text) - 1) is None, text
    try:
        wanted = parse_events(text, path="m.yaml").data
    except InvalidInput as error:
        pytest.fail(f"{text!r} is wrong ({error.diagnostics[0].message}) and was read as {found!r}")
    assert repr(found) == repr(wanted), text
    return True


def test_what_people_write_is_read_quickly() -> None:
    text = PLAIN.replace("'16:9'}", "16x9}")  # quotes inside braces are declined
    assert held(text)
    assert parse(text, path="m.yaml").data == parse_events(text, path="m.yaml").data


@pytest.mark.parametrize("name", TEXTS)
def test_every_manifest_and_card_reads_the_same_both_ways(name: str) -> None:
    held(TEXTS[name])


def test_most_of_our_manifests_are_plain() -> None:
    own = [text for name, text in TEXTS.items() if name.startswith("manifests/")]
    assert sum(map(held, own)) * 2 > len(own)


@pytest.mark.parametrize("text", [
    "a: 1\nb:\n", "a:\n- x\n- y\nb: 2\n", "a:\n  b:\n    c: d\n  e: f\n", "a: b", "a: >-\n b", "a: |\n  x y\n  z\n\n\nb: c\n",
    "a: >\n  x \n  y\n# end\n", "a:\n  - b:\n  - c: 1\n", "a: 'x' # y\n", "a: \"\"\n", "a: é – ü\n", "a: no\n", "a: 010\n",
    "a: ---\n",
    "a: b#c\n", "a: b:c\n", "a: [1, x y, -2, .5]\n", "a: {b: null, c: true}\n", "a-b: x\n", "a:   x   \n", "y: y\n",
    "a: >-\n  # x\n  : y\n  - z\nb: 1\n",
])
def test_a_plain_text_is_taken(text: str) -> None:
    assert held(text)


@pytest.mark.parametrize("text", [
    "", "# nothing\n", "a", "- a\n", " a: 1\n", "---\na: 1\n", "a: 1\n...\n", "%YAML 1.2\n---\na: 1\n", "a: 1\na: 2\n",
    "<<: {a: b}\n",
    "a: &x 1\n", "a: *x\n", "a: !!str 1\n", "a: \"\\n\"\n", "a: 'it''s'\n", "a: b\n  c\n", "a: b: c\n", "a: b:\n", "a:b\n",
    "a:\tb\n",
    "a: b\r\n", "a: {b: c, b: d}\n", "a: {b: {c: d}}\n", "a: {b}\n", "a: []\n", "a: {}\n", "a: {{ x }}\n", "a: [b\n",
    "a: {b: c}d\n",
    "a: >-\n    x\n   y\n", "a: >-\n  x\n    y\n", "a: >-\n  x\n\n  y\n", "a: >-\n\n  x\n", "a: |\n  x\n\n  # y\n",
    "a: |\n  x\n    # y\n", "a: |\n  x\n   \ny: z\n", "a: |\n  x\n  \ny: z\n", "a: |+\n  x\n", "a: |2\n  x\n",
    "a: >-\nb: 1\n", "a: |\n  x", "a: 1\n  b: 2\n", "a:\n  b: 1\n c: 2\n", "- a: 1\n", "a:\n  - - b\n", "a:\n  -\n",
    "a: .nan\n",
    "a: 1e999\n", f"a: {'9' * 21}\n", "? a\n: b\n", "\"a\": b\n", "a: @b\n", "a: `b\n", "a: %b\n", "a: - b\n", "a: ? b\n",
    "\ufeffa: b\n",
    "a: \x07\n", "a: x\u2028y\n", "a: x\x85y\n", "a: x\u202ey\n", "a:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 70)),
    f"a: [{'b, ' * 1000}c]\n", f"a: |\n{' ' * 100_000}x\n",
])
def test_what_is_rare_doubtful_or_wrong_is_left_to_libyaml(text: str) -> None:
    assert quick(text) is None


def test_braces_that_are_written_twice_are_two_mappings() -> None:
    found = quick("a: {b: c}\nd: {b: c}\ne: [f]\ng: [f]\n")
    assert found is not None
    assert found["a"] is not found["d"]
    assert found["e"] is not found["g"]


def test_the_longest_show_is_read_quickly() -> None:
    text = manifest_text(200)
    assert events_of(text) * 1.25 * (MAX_SHOTS / 200) < MAX_EVENTS  # then it is read quickly with as many shots as there may be
    assert blocks.read(text, int(1.25 * events_of(text))) is not None


PIECES = st.sampled_from([
    "a", "b", "key", "id", "SH0010", "1", "-5", "0x1F", "1.5", "~", "null", "true", "16:9", "{{ x }}", "x y", "é", "'q'",
    '"q"', "''", "'", '"',
    "\\", "{a: b}", "{a: 1, b: x}", "[a, b]", "[", "]", "{", "}", ",", ":", ": ", " #c", "#", "# c", "- ", "-", " ", "  ",
    "    ", "\n", "\n  ",
    "\n    ", "\n  - ", "\n- ", ">-", ">", "|", "|-", ">-\n  ", "|\n    x\n    y\n", "a: ", "b:\n  ", "c:\n- ", "&x", "*x",
    "!t", "<<: ", "---",
    "...", "\t", "%", "@", "?", "? ", "\r\n", "\u2028", "\u00a0", "\x00",
])


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=24).map("".join))
@example("a: >-\n  x\n \nb: c")
def test_texts_of_odd_pieces_read_the_same_both_ways(text: str) -> None:
    held(text)


LINES = st.lists(st.tuples(
    st.sampled_from(["", " ", "  ", "    ", "      ", "  - ", "- ", "    - ", "  -  "]),
    st.sampled_from(["a:", "b:", "c:", "d: ", "e: ", "f: ", "", "#", "g:h"]),
    st.sampled_from(["", "1", "x", "x y #z", "x#", "'x'", '"x" # y', "{a: b}", "{a: b, c: 1} # d", "[a, 2]", ">-", "|",
        "- x", "x: y", "null"]),
).map("".join), max_size=12).map("\n".join)


@settings(max_examples=600, deadline=None)
@given(LINES, st.sampled_from(["", "\n", "\n\n", "\n  "]))
def test_lines_in_any_order_read_the_same_both_ways(text: str, end: str) -> None:
    held(text + end)


@pytest.mark.parametrize("seed", range(40))
def test_a_manifest_with_random_slips_of_the_hand_reads_the_same_both_ways(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        text = PLAIN.replace("'16:9'}", "16x9}")
        for _ in range(chance.randint(1, 3)):
            at, length = chance.randrange(len(text)), chance.choice([0, 0, 1, 1, 2, 5, 20])
            new = chance.choice(["", "", " ", "  ", "\n", "- ", ":", ": ", " #", "'", '"', "{", "}", "\n    ", "x", "1",
                ">-\n", "[a]"])
            text = text[:at] + new + text[at + length:]
        held(text)
