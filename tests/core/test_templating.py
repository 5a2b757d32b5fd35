"""What a template may say, what it becomes, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifest_runner.core.templating import TemplateError, Templates, has_template, whole_expression
from manifest_runner.errors import InvalidInput, UsageError

FILES = {
    "look.j2": "{% macro lit(x) %}{{ x }}, lit from behind{% endmacro %}",
    "hello.j2": "Enter {{ hero }}",
    "wrong.j2": "a\n{{ nobody }}",
    "loop.j2": "{% include 'loop.j2' %}",
}
CONTEXT = {
    "hero": "Asha",
    "beat": 5,
    "half": 0.5,
    "wet": True,
    "none": 1,
    "empty": None,
    "list": ["a", 1],
    "cam": {"move": "pan"},
    "vars": {"hero": "Asha", "cam": {"move": "pan"}},
}


def files(name: str) -> str:
    if name not in FILES:
        raise UsageError(f"there is no file {name}")
    return FILES[name]


TEMPLATES = Templates(files=files)


def fill(text: str) -> object:
    return TEMPLATES.fill(text, CONTEXT)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no braces", "no braces"),
        ("a {brace} and }} more", "a {brace} and }} more"),
        ("{{ hero }} walks", "Asha walks"),
        ("{{hero}}{{ hero }}", "AshaAsha"),
        ("{{ hero }}\n", "Asha\n"),
        ("{ {{ hero }} }", "{ Asha }"),
        ("{{ hero }}}", "Asha}"),
        # one whole expression keeps its type
        ("{{ beat }}", 5),
        ("{{ beat * 2 }}", 10),
        ("{{ half }}", 0.5),
        ("{{ wet }}", True),
        ("{{ empty }}", None),
        ("{{ list }}", ["a", 1]),
        ("{{ cam }}", {"move": "pan"}),
        ("{{ vars.cam.move }}", "pan"),
        ("{{ {'move': 'tilt'} }}", {"move": "tilt"}),
        ("{{- beat -}}", 5),
        ("{{ -beat }}", -5),
        ("{{ beat > 3 and not wet }}", False),
        ("{{ true }}", True),
        ("{{ none }}", None),  # Jinja's word, not the var of that name
        ("{{ list | map('string') | list }}", ["a", "1"]),
        (" {{ beat }}", " 5"),
        ("{{ beat }} s", "5 s"),
        ("{{ half }}/{{ wet }}", "0.5/True"),
        # the rest of Jinja
        ("{% if wet %}rain{% else %}sun{% endif %}", "rain"),
        ("{% for i in range(3) %}{{ loop.index }}{% endfor %}", "123"),
        ("{# a remark #}x", "x"),
        ("a {{- ' b' }}", "a b"),
        ("{% raw %}{{ hero }}{% endraw %}", "{{ hero }}"),
        ("{{ nobody | default('someone') }}", "someone"),
        ("{{ nobody is defined }}", False),
        ("{% import 'look.j2' as look %}{{ look.lit(hero) }}.", "Asha, lit from behind."),
        ("{% from 'look.j2' import lit %}{{ lit('x') }}", "x, lit from behind"),
        ("{% include 'hello.j2' %}", "Enter Asha"),
        ("{% set ns = namespace(n=0) %}{% for x in list %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{{ '%03d' | format(beat) }}{{ '%02d' % beat }}", "00505"),
        ("{{ '{:03d}'.format(beat) }}", "005"),
        ("{{ 'ab' * 3 }}", "ababab"),
        ("{{ {'f_stop': 2}.f_stop + {'_a': 1}['_a'] }}", 3),
        ("{{ [cam, {'move': 'tilt'}] | join('+', attribute='move') ~ 1 }}", "pan+tilt1"),
        ("{{ '{:.1f}'.format(half) }}", "0.5"),
    ],
)
def test_a_template_becomes(text: str, value: object) -> None:
    filled = fill(text)
    assert filled == value
    assert type(filled) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{{ hro }}", "undefined-name", "did you mean hero?"),
        ("x {{ hro }}", "undefined-name", "did you mean hero?"),
        ("{{ hro.upper() }}", "undefined-name", "did you mean hero?"),
        ("{% if hro %}{% endif %}", "undefined-name", "did you mean hero?"),
        ("{{ vars.hro }}", "undefined-name", "did you mean hero?"),
        ("{{ zzzz }}", "undefined-name", "there are: beat, cam"),
        ("{{ lipsum() }}", "undefined-name", "lipsum"),
        ("{{ cycler }}", "undefined-name", "cycler"),
        ("{% include 'wrong.j2' %}", "undefined-name", "nobody"),
        ("{{ hero", "template-syntax", "close it"),
        ("{% if wet %}x", "template-syntax", "cannot be read"),
        ("{{ }}", "template-syntax", "nothing between"),
        ("{{ hero beat }}", "template-syntax", "more than one"),
        ("{{ hero | random }}", "template-syntax", "random"),
        ("x{{ empty }}", "template-value", "empty"),
        ("x{{ list }}", "template-value", "join"),
        ("x{{ cam }}", "template-value", "mapping"),
        ("{{ range }}", "template-value", "call"),
        ("{{ hero.upper }}", "template-value", "call"),
        ("x{{ hero.upper }}", "template-value", "call"),
        ("x{{ hero.upper ~ '' }}", "template-value", "call"),
        ("{% if wet %}{{ hero.upper | string }}{% endif %}", "template-value", "call"),
        ("{{ list | map('string') }}", "template-value", "list"),
        ("{{ (1, 2) }}", "template-value", "list"),
        ("{{ {1: 2} }}", "template-value", "dict"),
        ("{{ 1e308 * 10 }}", "template-value", "finite"),
        ("{{ 10 ** 30 }}", "template-value", "smaller"),
        ("{{ '\\0' }}", "template-value", "cannot be seen"),
        ("{{ '\\ud800' }}", "template-value", "cannot be seen"),
        ("{{ 1 / 0 }}", "template-failed", "division"),
        ("{{ hero + 1 }}", "template-failed", "fails"),
        ("{{ list | map(hero.upper) | list }}", "template-failed", "No filter named (a function)."),
        ("{{ hero.encode('nonsense') }}", "template-failed", "outside"),
        ("{{ now() }}", "undefined-name", "no clock"),
        ("{{ list | shuffle }}", "template-syntax", "same text twice"),
        ("{{ cam.keys() - [] }}", "template-value", "no order"),
        ("{{ ''.__class__ }}", "template-failed", "not allowed"),
        ("{{ hero.__class__.__mro__[1].__subclasses__() }}", "template-failed", "not allowed"),
        ("{{ '{0.__class__}'.format(hero) }}", "template-failed", "not allowed"),
        ("{{ list.append(1) }}", "template-failed", "not allowed"),
        ("{{ vars.update(hero='x') }}", "template-failed", "not allowed"),
        ("{% include 'nothing.j2' %}", "include-not-found", "there is no file nothing.j2"),
        ("{% include '../secret.txt' %}", "include-not-found", ".j2"),
        ("{{ " + "[" * 70 + "1" + "]" * 70 + " }}", "template-limit", "nested more than 60 deep"),
        ("{% include 'loop.j2' %}", "template-limit", "too deep"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "template-limit", "too deep"),
        ("{{ 'a' * 10**9 }}", "template-limit", "too large"),
        ("{{ 10**9 * 'a' }}", "template-limit", "too large"),
        ("{{ [0] * 10**9 }}", "template-limit", "too large"),
        ("{{ 2 ** (2 ** 33) }}", "template-limit", "too large"),
        ("{{ range(10**9) | list }}", "template-limit", "too large"),
        ("{{ '%999999999d' % 1 }}", "template-limit", "too large"),
        ("{{ '%999999999d' | format(1) }}", "template-limit", "too large"),
        ("{{ '%*d' % (999999999, 1) }}", "template-limit", "too large"),
        ("{{ '{:999999999}'.format(1) }}", "template-limit", "too large"),
        ("{{ 'a' | center(10**9) }}", "template-limit", "too large"),
        ("{{ 'a'.ljust(10**9) }}", "template-limit", "too large"),
        ("{{ range(60000) | join('xx') }}", "template-limit", "grows"),
        ("{% for i in range(60000) %}xx{% endfor %}", "template-limit", "grows"),
        ("{{ range(20000) | list }}", "template-limit", "values"),
    ],
)
def test_a_template_is_refused(text: str, code: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        fill(text)
    assert caught.value.code == code
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "part", "line", "name"),
    [
        ("{{ hero }} and {{ hro }}", "{{ hro }}", None, "hro"),
        ("{{ hro }}", "{{ hro }}", None, "hro"),
        ("{{ hero }} {{ 1 / 0 }}", "{{ 1 / 0 }}", None, None),
        ("a\n\n{% if wet %}\n{{ hro }}{% endif %}", "", 4, "hro"),
        ("a\n{% if %}", "", 2, None),
        ("a\n{% include 'wrong.j2' %}", "", 2, "nobody"),
    ],
)
def test_an_error_knows_which_part_or_line_it_is_about(text: str, part: str, line: int | None, name: str | None) -> None:
    with pytest.raises(TemplateError) as caught:
        fill(text)
    assert (caught.value.part, caught.value.name) == (part, name)
    if part == "" and name != "nobody":
        assert caught.value.line == line


def test_only_what_never_changes_is_remembered() -> None:
    filler = TEMPLATES.filler({"hero": "Asha", "weather": "dry"}, {"shot", "weather"})
    text = "{{ hero }} in {{ shot }}, {{ weather }}, {{ hero + shot }}"
    assert filler.fill(text, {"shot": "A", "weather": "fog"}) == "Asha in A, fog, AshaA"
    assert filler.fill(text, {"shot": "B"}) == "Asha in B, dry, AshaB"
    assert filler.fill(text, {"shot": "A", "weather": "rain"}) == "Asha in A, rain, AshaA"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("plain", set()),
        ("{{ a }} {{ b + c.d }}", {"a", "b", "c"}),
        ("{{ vars.a }}{{ vars['b'] }}", {"a", "b"}),
        ("{{ vars }}", {"vars"}),
        ("{{ vars[x] }}", {"vars", "x"}),
        ("{{ 'a' }}{# {{ b }} #}", set()),
        ("{% for i in a %}{{ i }}{{ b | default(c) }}{% endfor %}", {"a", "b", "c"}),
        ("{% include 'hello.j2' %}", {"vars"}),
    ],
)
def test_the_names_that_a_template_asks_for_are_known_without_filling_it(text: str, names: set[str]) -> None:
    assert TEMPLATES.names(text) == names


def test_one_whole_expression_is_told_from_a_text() -> None:
    assert [whole_expression(text) for text in ("{{ a }}", "{{a.b + 1}}", " {{ a }}", "{{ a }}{{ b }}", "a")] == [
        " a ",
        "a.b + 1",
        None,
        None,
        None,
    ]
    assert [has_template(text) for text in ("{{ a }}", "{% x %}", "{# x #}", "{a}", "a")] == [True, True, True, False, False]


def test_without_files_nothing_is_included() -> None:
    with pytest.raises(TemplateError, match=r"include"):
        Templates().fill("{% include 'hello.j2' %}", {})


def test_names_alone_do_not_load_the_engine() -> None:
    code = (
        "import sys; from manifest_runner.core.templating import Templates; "
        "assert Templates().fill('{{ a }} b', {'a': 1}) == '1 b'; assert 'jinja2' not in sys.modules; "
        "assert Templates().fill('{{ a + 1 }}', {'a': 1}) == 2; assert 'jinja2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_whole_file_is_rendered() -> None:
    text = "{% import 'look.j2' as look %}shots:\n{% for n in range(2) %}  - id: S{{ n }}\n{% endfor %}"
    assert TEMPLATES.render_file(text, path="m.yaml.j2") == "shots:\n  - id: S0\n  - id: S1\n"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a\n{% if %}\n", "template-syntax", 2),
        ("a\nb\n{{ hero }}", "undefined-name", 3),
        ("a\n{{ 1/0 }}", "template-failed", 2),
    ],
)
def test_a_whole_file_fails_at_its_own_line(text: str, code: str, line: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        TEMPLATES.render_file(text, path="m.yaml.j2")
    [problem] = caught.value.diagnostics
    assert problem.source is not None
    assert (problem.code, problem.source.path, problem.source.line) == (code, "m.yaml.j2", line)


@given(st.text("{}%#-+ ab.1'\"|()[]\n*/") | st.text())
@settings(max_examples=300, deadline=None)
def test_nothing_but_template_errors_comes_out_of_any_text(text: str) -> None:
    with suppress(TemplateError):
        TEMPLATES.fill(text, {"a": 1, "b": "x"})


@given(st.lists(st.sampled_from(["a", "{{ a }}", "{{b}}", "{{ a ~ b }}", " ", "é", "}", "\n"])))
@settings(max_examples=200, deadline=None)
def test_the_quick_way_and_the_whole_engine_agree(pieces: list[str]) -> None:
    text = "".join(pieces)
    context = {"a": "1", "b": "x y"}
    whole = TEMPLATES.engine.render(text, context)
    assert TEMPLATES.fill(text, context) == whole
