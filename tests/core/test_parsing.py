"""What YAML means here, what is refused, and where the finger points."""

from __future__ import annotations

import re
import sys
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core import parsing, visible
from manifest_runner.core.model import Diagnostic
from manifest_runner.core.parsing import decode, locate, parse
from manifest_runner.errors import InvalidInput


def problems(text: str, **options: bool) -> list[Diagnostic]:
    """What is wrong with `text`."""
    with pytest.raises(InvalidInput) as caught:
        parse(text, path="m.yaml", **options)
    return list(caught.value.diagnostics)


def at(problem: Diagnostic) -> tuple[str, int, int]:
    """Code, line and column."""
    assert problem.source is not None
    assert problem.source.path == "m.yaml"
    return problem.code, problem.source.line, problem.source.column


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("16:9", "16:9"),  # YAML 1.1: 969
        ("1:30:00", "1:30:00"),
        ("no", "no"),  # YAML 1.1: False
        ("off", "off"),
        ("y", "y"),
        ("010", 10),  # YAML 1.1: 8
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("-0", 0),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("=", "="),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("1e", "1e"),
        (".", "."),
        ("٣", "٣"),
        ("true", True),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("nUll", "nUll"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("'5'", "5"),
        ('"true"', "true"),
        ('""', ""),
        ('"\\u00e9"', "é"),
        ("|\n  5\n", "5\n"),
        ("99999999999999999999", 99999999999999999999),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(written: str, value: object) -> None:
    data = parse(f"a: {written}", path="m.yaml").data["a"]
    assert data == value
    assert type(data) is type(value)


@pytest.mark.parametrize("written", [".nan", ".NaN", ".inf", "-.INF", "+.Inf", "1e999", "-1e400"])
def test_what_is_no_finite_number_is_an_error(written: str) -> None:
    assert [at(problem) for problem in problems(f"a: {written}")] == [("not-finite", 1, 4)]


@pytest.mark.parametrize("written", ["100000000000000000000", "-" + "9" * 5000, "0x" + "f" * 40, "0o" + "7" * 200])
def test_an_integer_that_json_readers_lose_is_an_error(written: str) -> None:
    assert [at(problem) for problem in problems(f"a: {written}")] == [("integer-too-large", 1, 4)]


def test_a_duplicate_key_is_an_error_at_the_second_key() -> None:
    [problem] = problems("shots:\n  - id: A\n    prompt: x\n    id: B\n")
    assert at(problem) == ("duplicate-key", 4, 5)
    assert "line 2" in problem.message


def test_a_duplicate_key_behind_a_merge_key_names_its_own_first_place() -> None:
    found = problems("a: 1\n<<: {}\nb: 1\na: 2\nb: 3\n")
    assert [at(problem) for problem in found] == [("merge-key", 2, 1), ("duplicate-key", 4, 1), ("duplicate-key", 5, 1)]
    assert [problem.message.rpartition(" ")[2] for problem in found[1:]] == ["1", "3"]


def test_the_same_key_quoted_or_as_a_number_is_still_a_duplicate() -> None:
    assert [at(problem)[:2] for problem in problems("2024: a\n'2024': b\n")] == [("duplicate-key", 2)]


def test_scalar_keys_are_their_text() -> None:
    data = parse("2024: a\ntrue: b\nnull: c\n1.50: d", path="m.yaml").data
    assert data == {"2024": "a", "true": "b", "null": "c", "1.50": "d"}


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "said"),
    [
        ("a: !!python/object:os.system x", "yaml-tag", 1, 4, "!!python"),
        ("a: !important", "yaml-tag", 1, 4, "quotes"),
        ("a: !!set {x}", "yaml-tag", 1, 4, "!!set"),
        ("b: &b {x: 1}\na:\n  <<: *b", "merge-key", 3, 3, "defaults"),
        ("? [1, 2]\n: x", "complex-key", 1, 3, "quotes"),
        ("? {a: b}\n: x", "complex-key", 1, 3, "quotes"),
        ("a: &x b\n*x : c", "complex-key", 2, 1, "alias"),
        ("a: {{ hero }}", "complex-key", 1, 4, '"{{ hero }}"'),
        ("- {{ hero }}", "complex-key", 1, 3, '"{{ hero }}"'),
        ("a: 1\n---\nb: 2", "several-documents", 2, 1, "one manifest"),
        ("", "empty-file", 1, 1, "init"),
        ("# nothing\n", "empty-file", 2, 1, "init"),
        ("---\n", "empty-file", 2, 1, "init"),
        ("a: *nobody", "yaml-alias", 1, 4, "&nobody"),
        ("a: &a [1, *a]", "yaml-alias", 1, 11, "inside"),
        ("a: &a {b: {c: *a}}", "yaml-alias", 1, 15, "inside"),
        ("a: [\n" * 70, "yaml-too-deep", 33, 1, "64"),
        # syntax
        ("a:\n\tb: 1\n", "yaml-syntax", 2, 1, "spaces"),
        ("a: 1\n\tb: 2\n", "yaml-syntax", 2, 1, "spaces"),
        ("prompt: {{ hero }} steps off\nb: 1", "yaml-syntax", 1, 9, '"{{ hero }} steps off"'),
        ("- {{ hero }}, x", "yaml-syntax", 1, 3, "quote"),
        ("a: {% if x %}", "yaml-syntax", 1, 4, "quote"),
        ("a:1\nb: 2", "yaml-syntax", 1, 3, "key: value"),
        ("shots\nb: 2", "yaml-syntax", 1, 1, "key: value"),
        ("a: Close on: rain", "yaml-syntax", 1, 12, "quotes"),
        ('a: "x\nb: 1\n', "yaml-syntax", 1, 4, "close"),
        ("a:\n  b: 'x\nc: 1\n", "yaml-syntax", 2, 6, "close"),
        ("a: >- Slowly.\n  rain\n", "yaml-syntax", 1, 4, "lines below"),
        ("a: | rain\n", "yaml-syntax", 1, 4, "lines below"),
        ("a: @x", "yaml-syntax", 1, 4, "quotes"),
        ("a: `x`", "yaml-syntax", 1, 4, "quotes"),
        ("a: *hero* walks", "yaml-syntax", 1, 4, "quotes"),
        ('a: "C:\\d"', "yaml-syntax", 1, 7, "backslash"),
        ("a: [1, 2\nb: 3", "yaml-syntax", 2, 2, "]"),
        ("आ: 'ई' ऊ", "yaml-syntax", 1, 8, "key"),
    ],
)
def test_every_trap_has_a_code_a_place_and_a_hint(text: str, code: str, line: int, column: int, said: str) -> None:
    problem = problems(text)[-1]
    assert at(problem) == (code, line, column)
    assert said in f"{problem.message} {problem.hint}"


def test_all_mistakes_come_at_once_and_a_syntax_error_ends_them() -> None:
    text = "a: .nan\nb: !x 1\na: 2\nc: {<<: 1}\nd: @\ne: .inf\n"
    assert [at(problem)[:2] for problem in problems(text)] == [
        ("not-finite", 1),
        ("yaml-tag", 2),
        ("duplicate-key", 3),
        ("merge-key", 4),
        ("yaml-syntax", 5),
    ]


def test_a_hundred_thousand_brackets_are_a_diagnostic_and_no_crash() -> None:
    assert [problem.code for problem in problems("[" * 100_000)] == ["yaml-too-deep"]
    assert [problem.code for problem in problems('{"a":' * 100_000)] == ["yaml-too-deep"]
    assert [problem.code for problem in problems("- " * 100_000)] == ["yaml-too-deep"]


def test_a_billion_laughs_stop_at_the_bound() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert [problem.code for problem in problems("\n".join(lines))] == ["yaml-alias"]


def test_anchors_that_do_not_multiply_are_read() -> None:
    data = parse("a: &a {x: [1, 2]}\nb: *a\nc: &s word\nd: *s\ne: &s other\nf: *s", path="m.yaml").data
    assert data == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": "word", "d": "word", "e": "other", "f": "other"}


def test_too_many_values_stop_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MAX_EVENTS", 50)
    for text in ("[" + "1," * 100 + "]", "{" + ",".join(f"a{n}: 1" for n in range(100)) + "}"):
        assert [problem.code for problem in problems(text)] == ["yaml-too-large"]


def test_too_many_mistakes_stop_the_reading() -> None:
    found = problems("[" + ".nan," * 5000 + "]")
    assert len(found) == 102
    assert "more" in found[-1].message


def test_hints_for_rendered_text_say_so() -> None:
    [problem] = problems("a: .nan", rendered=True)
    assert "rendered" in (problem.hint or "")
    assert parse("a: 1", path="m.yaml", rendered=True).rendered


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"\xef\xbb\xbfa: 1", 1, 1),
        ("a: 1".encode("utf-16"), 1, 1),
        ("a: 1".encode("utf-16-be"), 1, 1),
        (b"a: 1\nb: caf\xe9", 2, 7),
        (b"a: \0", 1, 4),
        (b"a: \x1b[31m", 1, 4),
        (b"a: 1\r\nb: \x7f", 2, 4),
        ("आ: \u0085".encode(), 1, 4),
        ("a: \u202edlrow".encode(), 1, 4),
        ("a: \u2066x".encode(), 1, 4),
        ("a: x\u2028y".encode(), 1, 5),
        ("a: x\ufeffy".encode(), 1, 5),
    ],
)
def test_bytes_that_hide_something_are_refused_where_they_stand(data: bytes, line: int, column: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(data, path="m.yaml")
    assert at(caught.value.diagnostics[0]) == ("yaml-encoding", line, column)


def test_the_quick_look_at_a_text_never_passes_a_character_that_the_pattern_refuses() -> None:
    refused = re.compile(visible.NOT_CLEAN)
    for code in range(sys.maxunicode + 1):
        if visible.is_clean(char := chr(code)):
            assert not refused.match(char), hex(code)
    assert not visible.is_clean("words\n\u202ewords")
    assert visible.is_clean("words\t\r\n\u200dwords")


def test_hindi_joiners_and_emoji_are_welcome() -> None:
    text = "a: क्‍ष र्‌य 🎬 é \t x\r\nb: 1\n"
    assert decode(text.encode(), path="m.yaml") == text
    assert parse(text, path="m.yaml").data["b"] == 1


@pytest.mark.parametrize("escape", ["\\0", "\\e[31m", "\\u202e", "\\x07", "\\N", "\\L"])
def test_an_escape_cannot_bring_in_what_may_not_be_written(escape: str) -> None:
    assert [at(problem) for problem in problems(f'a: ["x", "{escape}"]')] == [("yaml-encoding", 1, 10)]
    assert [at(problem) for problem in problems(f'a: {{"{escape}": 1}}')] == [("yaml-encoding", 1, 5)]


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    size = parsing.MAX_BYTES + 1
    for call in (lambda: decode(b"x" * size, path="m"), lambda: parse("x" * size, path="m")):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.diagnostics[0].code == "yaml-too-large"


TEXT = """\
version: 1
vars: {héros: Asha, look: "35 mm"}
shots:
  - id: A
    camera: &cam {move: pan, amount: 4}
  - id: B
    camera: *cam
    prompt: |
      Two lines,
      {{ hero }}
"""


@pytest.mark.parametrize(
    ("pointer", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("version",), (1, 10), (1, 1)),
        (("vars", "look"), (2, 27), (2, 21)),
        (("shots",), (4, 3), (3, 1)),
        (("shots", 0), (4, 5), (4, 5)),
        (("shots", 0, "camera", "amount"), (5, 38), (5, 30)),
        (("shots", 1, "camera"), (7, 13), (7, 5)),
        (("shots", 1, "camera", "amount"), (5, 38), (5, 30)),
        (("shots", 1, "prompt"), (8, 13), (8, 5)),
        (("shots", 1, "nothing", "here"), (6, 5), (6, 5)),
        (("shots", 9), (4, 3), (3, 1)),
        (("nothing",), (1, 1), (1, 1)),
    ],
)
def test_a_value_its_key_or_its_nearest_ancestor_is_found(
    pointer: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    document = parse(TEXT, path="m.yaml")
    source, at_key = locate(document, pointer), locate(document, pointer, key=True)
    assert (source.line, source.column) == value
    assert (at_key.line, at_key.column) == key


HIDDEN = "\u2028\u2029\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
words = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cn"), blacklist_characters=HIDDEN))
scalars = st.none() | st.booleans() | st.integers(-(10**19), 10**19) | st.floats(allow_nan=False, allow_infinity=False) | words
keys = st.text("abcdefghij-_ .:#é", min_size=1, max_size=6)
json_like = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)


class OneTwoDumper(yaml.SafeDumper):
    """PyYAML's dumper without YAML 1.1's implicit types, so that every string that needs quotes gets them."""

    def represent_str_quoted(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')


OneTwoDumper.add_representer(str, OneTwoDumper.represent_str_quoted)


@given(json_like)
@settings(max_examples=150, deadline=None)
def test_what_is_dumped_is_read_back(data: object) -> None:
    for flow in (True, False):
        text = yaml.dump({"data": data}, Dumper=OneTwoDumper, allow_unicode=True, default_flow_style=flow)
        assert parse(text, path="m.yaml").data == {"data": data}


@given(st.text() | st.text("a:- \n\t{}[]&*!|>'\"%@`#,?~<.0_\\x\u202e\r"))
@settings(max_examples=400, deadline=None)
def test_nothing_but_invalid_input_comes_out_of_any_text(text: str) -> None:
    try:
        document = parse(text, path="m.yaml")
    except InvalidInput as error:
        found = error.diagnostics
    else:
        locate(document, ("a", 0, "b"))
        return
    assert found
    assert all(problem.source is not None and problem.source.line >= 1 for problem in found)


@given(st.binary())
@settings(max_examples=200, deadline=None)
def test_nothing_but_invalid_input_comes_out_of_any_bytes(data: bytes) -> None:
    with suppress(InvalidInput):
        parse(decode(data, path="m.yaml"), path="m.yaml")


def test_a_merge_conflict_is_called_one() -> None:
    (found,) = problems("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> rain\n")
    assert at(found) == ("yaml-syntax", 2, 1)
    assert found.message == "an unresolved merge conflict begins here"
