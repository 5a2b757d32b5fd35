"""Templates that try to escape, by the way they try, each with the code that it gets.

Published escapes of Jinja's sandbox are among them (CVE-2016-10745, 2019-10906, 2024-56201, 2024-56326, 2025-27516), ways
to walk from any object to Python's inside, bombs, and whatever would make a manifest render to another text the next time. A
few are refused nothing and yield nothing: `Gives` holds what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manifest_runner.core.template_values import TemplateError
from manifest_runner.core.templating import Templates
from manifest_runner.errors import UsageError

CONTEXT: dict[str, Any] = {
    "hero": "Asha", "beat": 5, "list": ["b", "a", "c"], "cam": {"move": "pan"}, "vars": {"hero": "Asha"}, "shot": "A",
    "rows": [{"k": "b", "v": 1}, {"k": "a", "v": 2}],
}  # fmt: skip
FILES = {"loop.j2": "{% include 'loop.j2' %}", "leak.j2": "{{ hero.__class__ }}"}


@dataclass(frozen=True, slots=True)
class Gives:
    """What comes out of a template that fails to fail, and is harmless."""

    value: Any


def read(name: str) -> str:
    """A repository's template files: two."""
    if name in FILES:
        return FILES[name]
    raise UsageError(f"{name} leaves the repository")


def outcome(templates: Templates, text: str) -> tuple[str | Gives, str]:
    """The code of a template's error and its words, or what it gives."""
    try:
        return Gives(templates.fill(text, CONTEXT)), ""
    except TemplateError as error:
        return error.code, error.message


BY_THE_PROCESS = frozenset((
    "{% include 'loop.j2' %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ ('a' * 99999) ~ ('b' * 99999) }}",
    "{{ hero.encode('idna') }}", "{{ 'x'.encode('rot13') }}",
    "{{ '{0:{1}}'.format('x', '9999999999') }}", "{{ '{0:{1}}'.format('x', '>99' ~ '9999999') }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{{ ('a' * 50000) | replace('a', 'b' * 50000) | length }}",
    "{{ ('a,' * 40000).split(',') | join('x' * 50000) | length }}",
    "{{ 'a'.replace('', 'b' * 99999).replace('', 'c' * 99999) | length }}",
    "{{ ('x' * 99999).join(('y' * 99999) | list) | length }}",
))  # fmt: skip
"""What no sandbox sees, and the limits of the process and its parent end."""

ESCAPES: dict[str, tuple[tuple[str, str | Gives], ...]] = {
    "walks": (
        ("{{ ''.__class__ }}", "template-failed"),
        ("{{ ''['__class__'] }}", "template-failed"),
        ("{{ ''['__cla' ~ 'ss__'] }}", "template-failed"),
        ('{{ \'\'["__ssalc__"[::-1]] }}', "template-failed"),
        ("{{ dict.__mro__ }}", "template-failed"),
        ("{{ dict(a=1).__class__ }}", "template-failed"),
        ("{{ range.__class__ }}", "template-failed"),
        ("{{ range(3).__class__ }}", "template-failed"),
        ("{{ range(3).__reduce__() }}", "template-failed"),
        ("{{ list.__init_subclass__ }}", "template-failed"),
        ("{{ hero.__init__.__globals__ }}", "template-failed"),
        ("{{ missing.__class__ }}", "template-failed"),
        ("{{ missing.__init__.__globals__ }}", "template-failed"),
        ("{{ (missing | default(hero)).__class__ }}", "template-failed"),
        ("{{ (hero | escape).__class__ }}", "template-failed"),
        ("{{ (hero | escape).__html__ }}", "template-failed"),
        ("{{ (hero | escape).escape.__func__.__globals__ }}", "template-failed"),
        ("{{ hero.__hash__() }}", "template-failed"),
        ("{% with a = hero.__class__ %}{{ a }}{% endwith %}", "template-failed"),
        ("{% set x %}{{ hero.__class__ }}{% endset %}{{ x }}", "template-failed"),
        ("{{ hero.__doc__ }}", "template-failed"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "template-failed"),
        ("{{ hero.__init_subclass__ }}", "template-failed"),
        ("{{ {'__class__': 1}.__class__ }}", "template-failed"),
        ("{{ vars.__class__ }}", "template-failed"),
        ("{{ cam.__getitem__ }}", "template-failed"),
        ("{{ list.__add__ }}", "template-failed"),
        ("{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}", "template-failed"),
        ("{{ missing._fail_with_undefined_error }}", "template-failed"),
        ("{{ ''['\\u005f\\u005fclass\\u005f\\u005f'] }}", "template-failed"),
        ("{{ hero.__format__('1000000000') }}", "template-failed"),
    ),
    "format strings": (
        ("{{ '{0.__class__.__init__.__globals__}'.format(hero) }}", "template-failed"),
        ("{{ '{x.__class__}'.format_map({'x': hero}) }}", "template-failed"),
        ("{% set f = '{0.__class__}'.format %}{{ f(hero) }}", "template-failed"),
        ("{{ ('{0.__class__}' | attr('format'))(hero) }}", "template-syntax"),
        ("{{ ['{0.__class__}'.format] | map('string') | list }}", "template-value"),
        ("{{ ['{0.__class__}'] | map(attribute='format') | list }}", "template-value"),
        ("{% for f in ['{0.__class__}'] | map(attribute='format') %}{{ f(hero) }}{% endfor %}", "template-failed"),
        ("{% for f in ['{x.__class__}'] | map(attribute='format_map') %}{{ f({'x': hero}) }}{% endfor %}", "template-failed"),
        ("{{ (['{0.__class__}'] | map(attribute='format') | first)(hero) }}", "template-failed"),
        ("{{ '%s' | format(hero.__class__) }}", "template-failed"),
        ("{{ ('{0.__class__}' | escape).format(hero) }}", "template-failed"),
        ("{{ ('{0.__class__}' | safe) | attr('format') }}", "template-syntax"),
        ("{{ ('{0.__class__}' | safe).format(hero) }}", "template-failed"),
        ("{{ '{0.upper}'.format(hero) }}", "template-failed"),
        ("{{ '{0[__class__]}'.format(hero) }}", "template-failed"),
        ("{{ '{:{1.__class__}}'.format(hero, hero) }}", "template-failed"),
        ("{{ '%s' | format(list | map('upper')) }}", "template-value"),
    ),
    "filters": (
        ("{{ '{0.__class__}' | attr('for' ~ 'mat') }}", "template-syntax"),
        ("{{ '' | attr('__class__') }}", "template-syntax"),
        ("{{ '' | attr('\\x5f\\x5fclass\\x5f\\x5f') }}", "template-syntax"),
        ("{{ ('' | attr('__class__')) | attr('__mro__') }}", "template-syntax"),
        ("{{ [''] | map(attribute='__class__') | list }}", "template-value"),
        ("{{ [''] | map(attribute='__class__.__mro__') | list }}", "template-failed"),
        ("{{ [''] | sort(attribute='__class__') | list }}", Gives([""])),
        ("{{ ['', ''] | groupby('__class__') | list }}", "template-failed"),
        ("{{ [''] | selectattr('__class__') | list }}", "template-failed"),
        ("{{ [''] | selectattr('__class__', 'defined') | list }}", Gives([])),
        ("{{ [''] | rejectattr('__class__') | list }}", "template-failed"),
        ("{{ [''] | sum(attribute='__class__') }}", "template-failed"),
        ("{{ [''] | join(',', attribute='__class__') }}", "template-failed"),
        ("{{ namespace | attr('__init__') }}", "template-syntax"),
        ("{{ (list | map('upper')).gi_frame }}", "template-failed"),
        ("{{ (list | map('upper')).gi_code }}", "template-failed"),
        ("{% filter attr('__class__') %}x{% endfilter %}", "template-syntax"),
        ("{{ [hero.upper] | map('string') | first }}", "template-value"),
        ("{{ (list | map('upper')).gi_frame.f_back.f_globals }}", "template-failed"),
        ("{{ {'a' : 1} | xmlattr }}", "template-syntax"),
        ("{{ {'a b onx=1': 1} | xmlattr }}", "template-syntax"),
        ("{{ 'x' | urlize }}", "template-syntax"),
        ("{{ [''] | unique(attribute='__class__') | list }}", "template-failed"),
    ),
    "what the engine puts there": (
        ("{% macro m() %}{% endmacro %}{{ m._environment }}", "template-failed"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "template-failed"),
        ("{{ joiner.__init__.__globals__ }}", "template-failed"),
        ("{{ namespace.__init__.__globals__ }}", "template-failed"),
        ("{{ namespace(a=1).__class__ }}", "template-failed"),
        ("{{ namespace(a=1)._Namespace__attrs }}", "template-failed"),
        ("{{ self }}", "template-value"),
        ("{{ self.__init__ }}", "template-failed"),
        ("{{ self._TemplateReference__context }}", "template-failed"),
        ("{% block a %}{{ self.a.__init__ }}{% endblock %}", "template-failed"),
        ("{% block a %}{{ super.__class__ }}{% endblock %}", "template-failed"),
        ("{% for i in [1] %}{{ loop.__class__ }}{% endfor %}", "template-failed"),
        ("{% for i in [1] %}{{ loop._iterator }}{% endfor %}", "template-failed"),
        ("{% for i in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}", "template-failed"),
        ("{% for i in [1] %}{{ loop }}{% endfor %}", "template-value"),
        ("{% for i in [1] recursive %}{{ loop.__call__.__globals__ }}{% endfor %}", "template-failed"),
        ("{% macro m() %}{% endmacro %}{{ m.__init__ }}", "template-failed"),
        ("{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}", "template-failed"),
        ("{% macro m() %}{{ caller.__init__ }}{% endmacro %}{% call m() %}{% endcall %}", "template-failed"),
        ("{% macro m() %}{{ caller._func }}{% endmacro %}{% call m() %}{% endcall %}", "template-failed"),
        ("{% macro m() %}{{ varargs.__class__ }}{{ kwargs }}{% endmacro %}{{ m(1) }}", "template-failed"),
        ("{{ (list | select).gi_frame.f_globals }}", "template-failed"),
        ("{{ list.sort.__self__ }}", "template-failed"),
        ("{{ hero.upper.__self__.__class__ }}", "template-failed"),
        ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns.__class__ }}", "template-failed"),
        ("{% set ns = namespace(__class__=1) %}{{ ns['__class__'] }}", "template-failed"),
        ("{{ hero.upper.__self__ }}", "template-failed"),
    ),
    "names": (
        ("{{ __import__('os') }}", "undefined-name"),
        ("{{ lipsum.__globals__ }}", "undefined-name"),
        ("{{ os.environ }}", "undefined-name"),
        ("{{ environ['TRINETRA_API_KEY'] }}", "undefined-name"),
        ("{{ environ.HOME }}", "undefined-name"),
        ("{{ open('/etc/passwd').read() }}", "undefined-name"),
        ("{{ eval('1') }}", "undefined-name"),
        ("{{ globals() }}", "undefined-name"),
    ),
    "the same text twice": (
        ("{{ ('%s' % hero.upper)[-8:] }}", "template-value"),
        ("{{ ('%s' % [hero.upper])[-8:] }}", "template-value"),
        ("{{ ('%s' | format(hero.upper))[-8:] }}", "template-value"),
        ("{{ '{0.upper}'.format(hero)[-8:] }}", "template-failed"),
        ("{{ '{}'.format(hero.upper)[-8:] }}", "template-value"),
        ("{{ '{0!r}'.format(hero.upper) }}", "template-value"),
        ("{{ hero.upper | string }}", "template-value"),
        ("{{ now() }}", "undefined-name"),
        ("{{ time.time() }}", "undefined-name"),
        ("{{ datetime.now() }}", "undefined-name"),
        ("{{ uuid() }}", "undefined-name"),
        ("{{ random() }}", "undefined-name"),
        ("{{ list | random }}", "template-syntax"),
        ("{{ list | shuffle }}", "template-syntax"),
        ("{{ lipsum(1) }}", "undefined-name"),
        ("{{ list | pprint }}", "template-syntax"),
        ("{{ cam | pprint }}", "template-syntax"),
        ("{{ cam.keys() - [] }}", "template-value"),
        ("{{ (hero.upper ~ '')[-8:] }}", "template-value"),
        ("{{ ([hero.upper] | string)[-8:] }}", "template-value"),
        ("{{ ([hero.upper] | join)[-8:] }}", "template-value"),
        ("{{ ([hero] | join(attribute='upper'))[-8:] }}", "template-value"),
        ("{{ (list | map('upper') | string)[-8:] }}", "template-value"),
        ("{{ (list | map('upper') | upper)[-8:] }}", "template-value"),
        ("{{ (hero | replace('A', hero.upper))[-8:] }}", "template-value"),
        ("{% macro m() %}{% endmacro %}{{ (m | string)[-8:] }}", "template-value"),
        ("{% set ns = namespace(f=hero.upper) %}{{ (ns | string)[-8:] }}", "template-value"),
        ("{{ (cam.keys() - []) | list }}", "template-value"),
        ("{{ (cam.keys() - ['x']) | join }}", "template-value"),
        ("{{ (cam.items() - []) | list }}", "template-value"),
        ("{{ today() }}", "undefined-name"),
    ),
    "files": (
        ("{% include '/etc/passwd' %}", "include-not-found"),
        ("{% include '../../etc/passwd.j2' %}", "include-not-found"),
        ("{% include 'file:///etc/passwd.j2' %}", "include-not-found"),
        ("{% import 'os' as os %}{{ os }}", "include-not-found"),
        ("{% from 'os' import popen %}", "include-not-found"),
        ("{% extends '/etc/passwd' %}", "include-not-found"),
        ("{% extends '../base.j2' %}", "include-not-found"),
        ("{% include ['/etc/passwd', '../x.j2'] %}", "include-not-found"),
        ("{% include '../x.j2' ignore missing %}leaked", Gives("leaked")),
        ("{% include hero %}", "include-not-found"),
        ("{% include 'loop.j2' %}", "template-limit"),
        ("{% include 'leak.j2' %}", "template-failed"),
        ('{% include "a\\n\'\'\'; import os; os.system(\'id\') #.j2" %}', "include-not-found"),
    ),
    "changes": (
        ("{{ list.append('x') }}", "template-failed"),
        ("{{ list.pop() }}", "template-failed"),
        ("{{ list.sort() }}", "template-failed"),
        ("{{ cam.update(a=1) }}", "template-failed"),
        ("{{ cam.pop('move') }}", "template-failed"),
        ("{{ cam.clear() }}", "template-failed"),
        ("{% do list.append(1) %}", "template-syntax"),
    ),
    "bombs": (
        ("{{ '%1000000000d' | format(1) }}", "template-limit"),
        ("{{ '%1000000000d' % 1 }}", "template-limit"),
        ("{{ '%.1000000000f' % 1.0 }}", "template-limit"),
        ("{{ '%*d' % (1000000000, 1) }}", "template-limit"),
        ("{{ '{:>1000000000}'.format(1) }}", "template-limit"),
        ("{{ '{:>{w}}'.format(1, w=1000000000) }}", "template-limit"),
        ("{{ '{:>{0}}'.format(1000000000) }}", "template-limit"),
        ("{{ '{a:>1000000000}'.format_map({'a': 1}) }}", "template-limit"),
        ("{{ '{0:{1}}'.format('x', '9999999999') }}", "template-limit"),
        ("{{ '{0:{1}}'.format('x', '>99' ~ '9999999') }}", "template-limit"),
        ("{{ 'a' | center(1000000000) }}", "template-limit"),
        ("{{ 'a'.center(1000000000) }}", "template-limit"),
        ("{{ 'a'.ljust(1000000000) }}", "template-limit"),
        ("{{ 'a'.rjust(1000000000) }}", "template-limit"),
        ("{{ '1'.zfill(1000000000) }}", "template-limit"),
        ("{{ 'a' | indent(1000000000) }}", "template-limit"),
        ("{{ '\\t'.expandtabs(1000000000) }}", "template-limit"),
        ("{{ 9 ** 9999999 }}", "template-limit"),
        ("{{ 'a' * 10000000000 }}", "template-limit"),
        ("{{ 10000000000 * 'a' }}", "template-limit"),
        ("{{ [0] * 10000000000 }}", "template-limit"),
        ("{{ (1,) * 10000000000 }}", "template-limit"),
        ("{{ ('a' * 99999) ~ ('b' * 99999) }}", "template-limit"),
        ("{{ ['a' * 99999] * 99999 }}", "template-limit"),
        ("{{ ('a' * 50000) | replace('a', 'b' * 50000) | length }}", "template-limit"),
        ("{{ ('a,' * 40000).split(',') | join('x' * 50000) | length }}", "template-limit"),
        ("{{ range(1000000000) }}", "template-limit"),
        ("{{ range(1000000000) | list }}", "template-limit"),
        ("{{ [1] | batch(1000000000, 'x') | list }}", "template-limit"),
        ("{{ [1] | slice(1000000000) | list }}", "template-limit"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "template-limit"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "template-limit"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "template-limit"),
        ("{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "template-limit"),
        ("{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "template-limit"),
        ("{% set ns = namespace(l=[]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
         "template-value"),
        ("{{ {} | tojson(indent=1000000000) }}", "template-limit"),
        ("{{ 'a'.replace('', 'b' * 99999).replace('', 'c' * 99999) | length }}", "template-limit"),
        ("{{ ('x' * 99999).join(('y' * 99999) | list) | length }}", "template-limit"),
    ),
    "other": (
        ("{{ hero.encode() }}", "template-value"),
        ("{{ hero.encode('idna') }}", "template-failed"),
        ("{{ 'x'.encode('rot13') }}", "template-failed"),
        ("{{ cam.keys() }}", "template-value"),
        ("{% trans %}x{% endtrans %}", "template-syntax"),
        ("{% debug %}", "template-syntax"),
        ("{% break %}", "template-syntax"),
        ("{{ hero.maketrans }}", "template-value"),
    ),
}
