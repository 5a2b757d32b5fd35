"""What a manifest becomes once it is filled, what goes wrong on the way, and where it was written."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core import expansion
from manifest_runner.core.expansion import Filled, json_pointer, load
from manifest_runner.core.model import Diagnostic, Pointer
from manifest_runner.errors import InvalidInput, UsageError


class Folder:
    """Sources in memory; nothing lies outside the folder."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.files = {name: textwrap.dedent(text) for name, text in (files or {}).items()}

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise UsageError(f"{path} is not a file of this repository")
        return self.files[path].encode()


def run(text: str, *, path: str = "manifests/m.yaml", **files: str) -> tuple[Filled, list[Diagnostic]]:
    """Loads `text`, with files whose dots are written `_` + `_` in the keyword (`look__yaml`)."""
    folder = Folder({name.replace("__", "."): body for name, body in files.items()})
    return load(textwrap.dedent(text).encode(), path=path, sources=folder)


def good(text: str, **files: str) -> dict[str, object]:
    """The data of a manifest that has no mistake."""
    filled, diagnostics = run(text, **files)
    assert diagnostics == []
    return filled.data


def found(text: str, **files: str) -> list[tuple[str, str, int, int]]:
    """Code, path, line and column of every mistake, with the folder left out."""
    places = []
    for problem in run(text, **files)[1]:
        assert problem.source is not None
        assert problem.source.path.startswith("manifests/")
        places.append((problem.code, problem.source.path[10:], problem.source.line, problem.source.column))
    return places


def test_vars_defaults_and_templates_make_shots() -> None:
    data = good("""\
        version: 1
        show: monsoon
        sequence: SQ010
        model: "{{ engine }}"
        vars: {hero: Asha, engine: kling, beat: 5}
        defaults: {resolution: 720p, duration: "{{ beat }}", note: "{{ shot }} of {{ show }} {{ sequence }}"}
        limits: {credits: "{{ beat * 100 }}"}
        shots:
          - {id: SH10, prompt: "{{ hero }} and {{ vars.hero }}", camera: {move: pan, amount: "{{ beat - 1 }}"}}
          - {id: SH20, prompt: "plain", duration: "{{ beat * 2 }}", takes: [1, "{{ beat }}"]}
        """)
    assert data == {
        "version": 1,
        "show": "monsoon",
        "sequence": "SQ010",
        "model": "kling",
        "vars": {"hero": "Asha", "engine": "kling", "beat": 5},
        "defaults": {"resolution": "720p", "duration": 5},
        "limits": {"credits": 500},
        "shots": [
            {
                "id": "SH10",
                "prompt": "Asha and Asha",
                "camera": {"move": "pan", "amount": 4},
                "resolution": "720p",
                "duration": 5,
                "note": "SH10 of monsoon SQ010",
            },
            {
                "id": "SH20",
                "prompt": "plain",
                "duration": 10,
                "takes": [1, 5],
                "resolution": "720p",
                "note": "SH20 of monsoon SQ010",
            },
        ],
    }


def test_vars_may_use_one_another_in_any_order() -> None:
    data = good("""\
        show: "{{ film }} 2"
        vars:
          look: "{{ lens }}, {{ light }} ({{ show }})"
          light: "{{ vars.time }} light"
          lens: 35mm
          time: dusk
          film: monsoon
          deep: {list: ["{{ lens }}", 1], all: "{{ vars.lens }}"}
          spare: "{{ nobody | default('none') }}"
          later: "{{ time | default('wrong') }}"
        shots: []
        """)
    assert data["vars"] == {
        "look": "35mm, dusk light (monsoon 2)",
        "light": "dusk light",
        "lens": "35mm",
        "time": "dusk",
        "film": "monsoon",
        "deep": {"list": ["35mm", 1], "all": "35mm"},
        "spare": "none",
        "later": "dusk",
    }


def test_a_matrix_makes_one_shot_for_each_combination_last_axis_fastest() -> None:
    data = good("""\
        vars: {weather: dry, tele: 85mm}
        shots:
          - id: "S-{{ weather }}-{{ lens }}"
            matrix: {weather: [rain, fog], lens: [35, "{{ tele }}"]}
            prompt: "{{ weather }} {{ lens }} {{ shot }}"
            amount: "{{ lens }}"
          - {id: T, prompt: "{{ weather }}"}
        """)
    assert data["shots"] == [
        {"id": "S-rain-35", "prompt": "rain 35 S-rain-35", "amount": 35},
        {"id": "S-rain-85mm", "prompt": "rain 85mm S-rain-85mm", "amount": "85mm"},
        {"id": "S-fog-35", "prompt": "fog 35 S-fog-35", "amount": 35},
        {"id": "S-fog-85mm", "prompt": "fog 85mm S-fog-85mm", "amount": "85mm"},
        {"id": "T", "prompt": "dry"},
    ]


def test_includes_bring_vars_and_defaults_and_the_manifest_wins() -> None:
    filled, diagnostics = run(
        """\
        include: [a.yaml, b.yaml]
        vars: {three: manifest}
        defaults: {z: manifest}
        shots: [{id: A, prompt: "{{ zero }} {{ one }} {{ two }} {{ three }}"}]
        """,
        a__yaml="include: base.yaml\nvars: {one: a, two: a}\ndefaults: {x: a, y: a, z: a}\n",
        b__yaml="version: 1\nnote: later\nvars: {two: '{{ one }}b', three: b}\ndefaults: {y: b}\n",
        base__yaml="vars: {zero: base, one: base}\n",
    )
    assert diagnostics == []
    assert filled.data["shots"] == [{"id": "A", "prompt": "base a ab manifest", "x": "a", "y": "b", "z": "manifest"}]
    assert filled.data["vars"] == {"three": "manifest"}
    assert list(filled.inputs) == ["manifests/m.yaml", "manifests/a.yaml", "manifests/base.yaml", "manifests/b.yaml"]
    assert filled.inputs["manifests/base.yaml"] == sha256(b"vars: {zero: base, one: base}\n").hexdigest()


def test_includes_are_relative_to_the_file_that_includes() -> None:
    folder = Folder(
        {
            "looks/noir.yaml": "include: more/light.yaml\n",
            "looks/more/light.yaml": "include: ../../x.yaml\n",
            "x.yaml": "vars: {a: found}",
        }
    )
    filled, diagnostics = load(b"include: looks/noir.yaml\nshots: ['{{ a }}']", path="m.yaml", sources=folder)
    assert diagnostics == []
    assert list(filled.inputs) == ["m.yaml", "looks/noir.yaml", "looks/more/light.yaml", "x.yaml"]


def test_template_files_are_inputs() -> None:
    filled, diagnostics = run(
        "shots: [{id: A, prompt: \"{% import 'look.j2' as look %}{{ look.lit('x') }}\"}]",
        look__j2="{% macro lit(x) %}{{ x }} lit{% endmacro %}",
    )
    assert diagnostics == []
    assert filled.data["shots"][0]["prompt"] == "x lit"
    assert list(filled.inputs) == ["manifests/m.yaml", "manifests/look.j2"]
    assert filled.origins.text("manifests/look.j2") == "{% macro lit(x) %}{{ x }} lit{% endmacro %}"


@pytest.mark.parametrize(
    ("text", "files", "places"),
    [
        # templates, at the very name
        ('shots:\n  - id: A\n    prompt: "{{ a }} b"\n', {}, [("undefined-name", "m.yaml", 3, 17)]),
        (
            'vars: {hero: x}\nshots:\n  - id: A\n    prompt: "{{ hero }}, {{ hero + hro }}"\n',
            {},
            [("undefined-name", "m.yaml", 4, 36)],
        ),
        (
            "shots:\n  - id: A\n    prompt: |\n      One {line}.\n      {{ hro }} two\n",
            {},
            [("undefined-name", "m.yaml", 5, 10)],
        ),
        ("shots:\n  - id: A\n    prompt: >-\n      One\n      {{ 1/0 }} two\n", {}, [("template-failed", "m.yaml", 5, 7)]),
        (
            "shots:\n  - id: A\n    prompt: |\n      {% if 1 %}\n      {{ hro }}\n      {% endif %}\n",
            {},
            [("undefined-name", "m.yaml", 5, 10)],
        ),
        ("shots:\n  - id: A\n    prompt: |\n      x\n      {% if %}\n", {}, [("template-syntax", "m.yaml", 5, 7)]),
        ('shots: [{id: "{{ hro }}", prompt: "{{ shot }}"}]', {}, [("undefined-name", "m.yaml", 1, 18)]),
        ('model: "{{ hro }}"\nshots: []', {}, [("undefined-name", "m.yaml", 1, 12)]),
        ('shots: [{id: A, a: {b: [1, "é {{ hro }}"]}}]', {}, [("undefined-name", "m.yaml", 1, 34)]),
        # once for each place where it is written
        ('defaults: {note: "{{ hro }}"}\nshots: [{id: A}, {id: B}]', {}, [("undefined-name", "m.yaml", 1, 22)]),
        ('shots: [{id: "{{ x }}", matrix: {x: [1, 2]}, note: "{{ hro }}"}]', {}, [("undefined-name", "m.yaml", 1, 56)]),
        (
            "include: a.yaml\nshots: [{id: A}]",
            {"a__yaml": 'defaults:\n  note: "{{ hro }}"'},
            [("undefined-name", "a.yaml", 2, 13)],
        ),
        # a var that fails is reported where it is, and not where it is used
        (
            'vars: {a: "{{ hro }}", b: "{{ a }}"}\nshots: [{id: A, prompt: "{{ a }} {{ b }}"}]',
            {},
            [("undefined-name", "m.yaml", 1, 15)],
        ),
        ('vars: {a: "{{ hro"}\nshots: [{id: A, prompt: "{{ a }}"}]', {}, [("template-syntax", "m.yaml", 1, 12)]),
        ('vars: {a: {b: ["{{ hro }}"]}}\nshots: []', {}, [("undefined-name", "m.yaml", 1, 20)]),
        ('vars: {a: "{{ b }}", b: "{{ c }}", c: "{{ a }}"}\nshots: [{id: "{{ a }}"}]', {}, [("var-cycle", "m.yaml", 1, 11)]),
        ('vars: {a: "x{{ vars.a }}"}\nshots: []', {}, [("var-cycle", "m.yaml", 1, 11)]),
        ('show: "{{ a }}"\nvars: {a: "{{ show }}"}\nshots: []', {}, [("var-cycle", "m.yaml", 2, 11)]),
        # names
        ("vars: {show: x, shot: y}\nshots: []", {}, [("reserved-name", "m.yaml", 1, 8), ("reserved-name", "m.yaml", 1, 17)]),
        ("include: a.yaml\nshots: []", {"a__yaml": "vars: {vars: 1}"}, [("reserved-name", "a.yaml", 1, 8)]),
        ("shots: [{id: A, matrix: {shot: [1]}}]", {}, [("reserved-name", "m.yaml", 1, 26)]),
        # includes
        ("include: [no.yaml]\nshots: []", {}, [("include-not-found", "m.yaml", 1, 11)]),
        ("include: ../../etc/passwd\nshots: []", {}, [("include-not-found", "m.yaml", 1, 10)]),
        ("include: /etc/passwd\nshots: []", {}, [("include-not-found", "m.yaml", 1, 10)]),
        ("include: m.yaml\nshots: []", {"m__yaml": ""}, [("include-cycle", "m.yaml", 1, 10)]),
        (
            "include: a.yaml\nshots: []",
            {"a__yaml": "include: [b.yaml]", "b__yaml": "include:\n- a.yaml"},
            [("include-cycle", "b.yaml", 2, 3)],
        ),
        ("include: a.yaml\nshots: []", {"a__yaml": "vars: {}\nshots: []\n"}, [("include-key", "a.yaml", 2, 1)]),
        ("include: a.yaml\nshots: []", {"a__yaml": "vars: [a]\n"}, [("include-key", "a.yaml", 1, 7)]),
        ("include: a.yaml\nshots: []", {"a__yaml": "[a]\n"}, [("include-key", "a.yaml", 1, 1)]),
        ("include: [a.yaml, a.yaml]\nshots: []", {"a__yaml": "a: 1\na: 2"}, [("duplicate-key", "a.yaml", 2, 1)]),
        # matrix
        ("shots: [{id: A, matrix: [1]}]", {}, [("matrix-shape", "m.yaml", 1, 25)]),
        ("shots: [{id: A, matrix: {}}]", {}, [("matrix-shape", "m.yaml", 1, 25)]),
        ('shots: [{id: "A{{ x }}", matrix: {x: []}, p: "{{ x }}"}]', {}, [("matrix-shape", "m.yaml", 1, 38)]),
        ("shots: [{id: A, matrix: {x: [[1]]}}]", {}, [("matrix-shape", "m.yaml", 1, 29)]),
        ("shots: [{id: A, matrix: {x: word}}]", {}, [("matrix-shape", "m.yaml", 1, 29)]),
        ('shots: [{id: A, matrix: {x: ["{{ hro }}"]}}]', {}, [("undefined-name", "m.yaml", 1, 34)]),
        ("shots: [{id: A, matrix: {x: [1, 2]}}]", {}, [("matrix-shape", "m.yaml", 1, 14)]),
        ("shots: [{id: '{{ x }}', matrix: {x: [1, 1]}}]", {}, [("matrix-shape", "m.yaml", 1, 14)]),
    ],
)
def test_every_mistake_is_reported_once_where_it_was_written(
    text: str, files: dict[str, str], places: list[tuple[str, str, int, int]]
) -> None:
    assert found(text, **files) == places


def test_hints_say_what_to_type() -> None:
    hints = [
        problem.hint
        for problem in run("""\
        vars: {hero: Asha}
        shots:
          - {id: "A", prompt: "{{ hro }}"}
          - {id: "B-{{ x }}", matrix: {x: [1, 2], lens: [3, 4]}}
          - {id: "C", matrix: {x: [1, 1]}}
        """)[1]
    ]
    assert hints == ["did you mean hero?", "put {{ lens }} into the id", "an axis names the same value twice: remove one"]


def test_a_failed_value_is_left_out_and_named() -> None:
    filled, diagnostics = run("""\
        model: "{{ no }}"
        vars: {bad: "{{ no }}", good: 1}
        shots:
          - {id: A, prompt: "{{ bad }}", list: [1, "{{ no }}"], camera: {amount: "{{ no }}"}}
          - {id: "{{ no }}", prompt: "{{ shot }}"}
        """)
    assert filled.data == {
        "vars": {"good": 1},
        "shots": [{"id": "A", "list": [1, None], "camera": {}}, {"prompt": ""}],
    }
    assert filled.failed == {
        ("model",),
        ("vars", "bad"),
        ("shots", 0, "prompt"),
        ("shots", 0, "list", 1),
        ("shots", 0, "camera", "amount"),
        ("shots", 1, "id"),
    }
    assert [problem.pointer for problem in diagnostics] == [
        "/vars/bad",
        "/model",
        "/shots/0/list/1",
        "/shots/0/camera/amount",
        "/shots/1/id",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "shots: 5",
        "shots: {a: 1}",
        "shots: [1, [2], null, x]",
        "vars: [1]\nshots: []",
        "defaults: x\nshots: [{id: A}]",
        "include: {a: 1}",
        "include: [1]",
        "a: 1",
        "shots:\nvars:\ndefaults:\n",
        "shots: [{id: 5}, {id: [1]}, {}]",
    ],
)
def test_wrong_shapes_are_left_for_the_schema(text: str) -> None:
    filled, diagnostics = run(text)
    assert diagnostics == []
    assert filled.data.keys() == {line.split(":")[0] for line in text.splitlines()}
    filled.origins.locate(("shots", 0, "id"))


def test_the_manifest_itself_must_be_yaml_and_a_mapping() -> None:
    for text, code in (("a: [", "yaml-syntax"), ("- 1", "manifest-shape"), ("", "empty-file"), ("a: 1\na: 2", "duplicate-key")):
        with pytest.raises(InvalidInput) as caught:
            run(text)
        assert [problem.code for problem in caught.value.diagnostics] == [code]


MANIFEST = """\
include: look.yaml
vars: {beat: 99, double: "{{ beat * 2 }}"}
defaults:
  duration: "{{ double }}"
  camera: {move: pan}
shots:
  - id: A
    takes: "{{ beat }}"
  - id: "B{{ x }}"
    matrix:
      x: [1, 2]
    amount: "{{ x }}"
    cut:
      in: 0
"""


@pytest.mark.parametrize(
    ("pointer", "place", "notes"),
    [
        (("include",), ("m.yaml", 1, 10), []),
        (("shots", 0, "id"), ("m.yaml", 7, 9), []),
        (("shots", 0, "takes"), ("m.yaml", 8, 12), [("beat is 99 here", 2, 14)]),
        (("shots", 0, "duration"), ("m.yaml", 4, 13), [("double is 198 here", 2, 26), ("beat is 99 here", 2, 14)]),
        (("shots", 0, "camera", "move"), ("m.yaml", 5, 18), []),
        (("shots", 0, "grain"), ("look.yaml", 2, 10), [('film is "tri-x" here', 3, 14)]),
        (("shots", 2, "amount"), ("m.yaml", 12, 13), [("x is 2 here", 11, 14)]),
        (("shots", 1, "amount"), ("m.yaml", 12, 13), [("x is 1 here", 11, 11)]),
        (("shots", 2, "cut", "in"), ("m.yaml", 14, 11), []),
        (("shots", 2, "cut", "out"), ("m.yaml", 14, 7), []),
        (("shots", 2, "prompt"), ("m.yaml", 9, 5), []),
        (("shots", 2), ("m.yaml", 9, 5), []),
        (("shots", 7), ("m.yaml", 7, 3), []),
        (("nothing",), ("m.yaml", 1, 1), []),
    ],
)
def test_origins_say_where_a_value_was_written(
    pointer: Pointer, place: tuple[str, int, int], notes: list[tuple[str, int, int]]
) -> None:
    filled, diagnostics = run(MANIFEST, look__yaml='defaults:\n  grain: "{{ film }}"\nvars: {film: tri-x}\n')
    assert diagnostics == []
    source, said = filled.origins.locate(pointer)
    assert (source.path, source.line, source.column) == (f"manifests/{place[0]}", *place[1:])
    assert [(note.message, note.source.line, note.source.column) for note in said] == notes


def test_origins_find_keys_and_texts() -> None:
    filled, _ = run(MANIFEST, look__yaml="defaults:\n  grain: 1\n")
    source, notes = filled.origins.locate(("shots", 0, "grain"), key=True)
    assert (source.path, source.line, source.column, notes) == ("manifests/look.yaml", 2, 3, ())
    assert filled.origins.text("manifests/look.yaml") == "defaults:\n  grain: 1\n"
    assert filled.origins.text("manifests/m.yaml") == MANIFEST
    assert filled.origins.text("elsewhere.yaml") is None


def test_a_whole_file_template_is_rendered_first_and_says_so() -> None:
    text = "shots:\n{% for n in range(2) %}  - id: S{{ n }}\n    prompt: {{ '{{ hro }}' }}\n{% endfor %}"
    with pytest.raises(InvalidInput) as caught:
        run(text, path="m.yaml.j2")
    problem = caught.value.diagnostics[0]
    assert problem.source is not None
    assert (problem.code, problem.source.path, problem.source.line) == ("complex-key", "m.yaml.j2 (rendered)", 3)
    assert "rendered" in (problem.hint or "")
    filled, diagnostics = run(text.replace("{{ '{{ hro }}' }}", "x"), path="m.yaml.j2")
    assert diagnostics == []
    assert filled.data["shots"] == [{"id": "S0", "prompt": "x"}, {"id": "S1", "prompt": "x"}]
    source, _ = filled.origins.locate(("shots", 1, "id"))
    assert (source.path, source.line, source.column) == ("m.yaml.j2 (rendered)", 4, 9)
    assert filled.origins.text("m.yaml.j2 (rendered)") == "shots:\n  - id: S0\n    prompt: x\n  - id: S1\n    prompt: x\n"
    assert filled.origins.text("m.yaml.j2") == text.replace("{{ '{{ hro }}' }}", "x")


def test_a_whole_file_template_that_fails_points_into_the_template() -> None:
    with pytest.raises(InvalidInput) as caught:
        run("a: 1\n{% endfor %}", path="m.yml.j2")
    source = caught.value.diagnostics[0].source
    assert source is not None
    assert (source.path, source.line) == ("m.yml.j2", 2)


def test_a_matrix_is_bounded() -> None:
    values = ", ".join(map(str, range(40)))
    assert (
        found(f"shots: [{{id: '{{{{ x }}}}{{{{ y }}}}', matrix: {{x: [{values}], y: [{values}]}}}}]")[0][0] == "too-many-shots"
    )


def test_the_number_of_shots_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "MAX_SHOTS", 3)
    filled, diagnostics = run("shots: [{id: A}, {id: '{{ x }}', matrix: {x: [1, 2, 3, 4]}}, {id: B}]")
    assert [problem.code for problem in diagnostics] == ["too-many-shots"]
    assert [shot["id"] for shot in filled.data["shots"]] == ["A", "1", "2"]
    assert run("shots: [{id: A}, {id: B}, {id: C}]")[1] == []


def test_vars_that_double_stop_at_the_bound() -> None:
    lines = [
        "vars:",
        "  a0: xxxxxxxxxx",
        *(f'  a{n}: "{{{{ a{n - 1} }}}}{{{{ a{n - 1} }}}}"' for n in range(1, 40)),
        "shots: []",
    ]
    assert [place[0] for place in found("\n".join(lines))] == ["template-limit"]


def test_long_chains_of_vars_and_includes_stop_at_the_bound() -> None:
    lines = ["vars:", "  a0: x", *(f'  a{n}: "{{{{ a{n - 1} }}}}"' for n in range(1, 3000)), "  b: 1", "shots: []"]
    assert found("\n".join(reversed(lines[1:-1])).join(["vars:\n", "\nshots: []"]))[0][0] == "template-limit"
    files = {f"f{n}__yaml": f"include: f{n + 1}.yaml\n" for n in range(300)}
    assert [place[0] for place in found("include: f0.yaml\nshots: []", **files)] == ["include-cycle"]


def test_shared_anchors_are_filled_for_each_shot() -> None:
    data = good("shots:\n- {id: A, cam: &c {n: '{{ shot }}'}}\n- {id: B, cam: *c}\n")
    assert data["shots"] == [{"id": "A", "cam": {"n": "A"}}, {"id": "B", "cam": {"n": "B"}}]


def test_a_value_can_never_inject_structure() -> None:
    data = good('vars: {evil: \'x", duration: 15, y: "\'}\nshots: [{id: A, prompt: "{{ evil }}", q: "{{ \'{{ evil }}\' }}"}]')
    assert data["shots"] == [{"id": "A", "prompt": 'x", duration: 15, y: "', "q": "{{ evil }}"}]


def test_pointers_are_written_as_rfc_6901_says() -> None:
    assert json_pointer(()) == ""
    assert json_pointer(("a/b", 0, "~c")) == "/a~1b/0/~0c"


@given(st.text("shots:-[]{}\" \n'abxvrs%,idmtrx1&*", max_size=80))
@settings(max_examples=200, deadline=None)
def test_nothing_but_invalid_input_comes_out_of_any_manifest(text: str) -> None:
    try:
        filled, diagnostics = load(text.encode(), path="m.yaml", sources=Folder())
    except InvalidInput:
        return
    for problem in diagnostics:
        assert problem.source is not None
    filled.origins.locate(("shots", 0, "id"))


pieces = st.sampled_from(
    ["{{ a }}", "{{ x }}", "{{ shot }}", "{{ nobody }}", "plain", 5, None, [1], {"a": "{{ b }}"}, "{% if", "{{ vars }}"]
)
names = st.sampled_from(["a", "b", "x", "id", "matrix", "prompt", "shot", "show", "vars"])
parts = st.dictionaries(names, pieces | st.lists(pieces), max_size=4)


@given(
    st.dictionaries(st.sampled_from(["vars", "defaults", "show", "sequence", "model", "include"]), parts | pieces),
    st.lists(st.dictionaries(st.sampled_from(["id", "prompt", "matrix"]), pieces | parts) | pieces, max_size=3) | pieces,
)
@settings(max_examples=200, deadline=None)
def test_every_diagnostic_of_any_manifest_has_a_place(head: dict[str, object], shots: object) -> None:
    text = json.dumps({**head, "shots": shots}, indent=1)
    filled, diagnostics = load(text.encode(), path="m.yaml", sources=Folder())
    places = [(problem.code, problem.message, problem.source) for problem in diagnostics]
    assert all(source is not None for _, _, source in places)
    assert len(places) == len(set(places))
    for pointer in filled.failed:
        filled.origins.locate(pointer)
