"""The worker for templates with layers of its sandbox taken away, to show what each is worth.

`start_code(layers)` is what such a worker is started with, in place of `confined_start._START`. Its confinement stays as it is:
what a template can reach with no sandbox at all is what code that escaped could reach.
"""

from __future__ import annotations

import builtins
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LAYERS = ("names", "calls", "lids", "words", "files", "data", "outside")
"""What may be taken away: the refusal of attributes; of calls and format strings; of what is large; of filters, tags and
globals; of files (the jail itself is the parent's); of what is yielded and is not data; and of Python's own names."""

JINJA_ALONE = ("ours", "lids", "words", "data")
"""What is taken away so that Jinja's sandbox stands by itself."""

ROOT = Path(__file__).parents[2]


def start_code(layers: Sequence[str], path: Sequence[str] = ()) -> str:
    """The program of a worker without these layers. `path` is searched before everything else."""
    old = ("import collections, collections.abc; "  # Python has taken these away; Jinja 2 asks for them
           "[setattr(collections, name, getattr(collections.abc, name)) for name in collections.abc.__all__]; ")
    return (f"import sys; sys.path[:] = {[*path, str(ROOT)]!r} + sys.argv[1:]; {old if path else ''}"
            f"from tests.attacks.weakened import main; main({tuple(layers)!r})")


def main(layers: Sequence[str]) -> None:
    """Take the layers away and be the worker."""
    from manifest_runner.adapters import confined_worker

    confined_worker.CPU_SECONDS = 0.1  # bombs go off here
    for layer in layers:
        _TAKEN_AWAY[layer]()
    confined_worker.main()


def _ours() -> None:
    from manifest_runner.core.sandbox_lids import LiddedEnvironment

    for name in ("is_safe_attribute", "getattr", "getitem", "call", "call_binop", "code_generator_class", "intercepted_binops"):
        delattr(LiddedEnvironment, name)


def _names() -> None:
    from jinja2.environment import Environment

    from manifest_runner.core.sandbox_lids import LiddedEnvironment

    LiddedEnvironment.is_safe_attribute = lambda *_: True  # type: ignore[method-assign]
    LiddedEnvironment.getattr = Environment.getattr  # type: ignore[method-assign]
    LiddedEnvironment.getitem = Environment.getitem  # type: ignore[method-assign]


def _calls() -> None:
    from manifest_runner.core import sandbox_lids

    sandbox_lids.check_format = _nothing
    sandbox_lids.LiddedEnvironment.is_safe_callable = lambda *_: True  # type: ignore[method-assign]
    sandbox_lids.LiddedEnvironment.call = (  # type: ignore[method-assign]
        lambda _, context, function, *args, **kwargs: context.call(function, *args, **kwargs))


def _lids() -> None:
    from jinja2 import sandbox

    from manifest_runner.core import sandbox_lids

    sandbox.MAX_RANGE = sys.maxsize
    sandbox_lids.check_numbers = _nothing
    sandbox_lids._check = _nothing
    sandbox_lids.MAX_BITS = sandbox_lids.MAX_TEXT = sys.maxsize


def _words() -> None:
    from jinja2 import defaults, ext

    from manifest_runner.core import sandbox_lids

    defaults.DEFAULT_FILTERS["shuffle"] = lambda items: random.sample(items, len(items))
    sandbox_lids.DROPPED_FILTERS = {}
    sandbox_lids._KEPT_GLOBALS = tuple(defaults.DEFAULT_NAMESPACE)
    old = sandbox_lids.LiddedEnvironment.__init__

    def more(self: Any, **options: Any) -> None:
        old(self, **options)
        for name in ("do", "debug", "loopcontrols", "i18n"):
            if hasattr(ext, name):  # `debug` came with 2.11
                self.add_extension(getattr(ext, name))

    sandbox_lids.LiddedEnvironment.__init__ = more  # type: ignore[method-assign]


def _files() -> None:
    from manifest_runner.core.sandbox import _Loader

    _Loader.get_source = lambda self, _, name: (self._files(name), None, None)  # type: ignore[method-assign,assignment,misc]


def _data() -> None:
    from manifest_runner.adapters import confined_worker
    from manifest_runner.core import sandbox, sandbox_lids

    sandbox_lids.check_data = _nothing
    sandbox_lids.check_operation = _nothing
    sandbox_lids.LiddedEnvironment.call_binop = sandbox_lids.ImmutableSandboxedEnvironment.call_binop  # type: ignore[method-assign]
    sandbox._printable = _same  # type: ignore[assignment]
    sandbox.plain_json = confined_worker.plain_json = _shown  # type: ignore[assignment]


def _outside() -> None:
    from manifest_runner.core import sandbox_lids

    old = sandbox_lids.LiddedEnvironment.__init__

    def more(self: Any, **options: Any) -> None:
        old(self, **options)
        outside = {"os": os, "time": time, "random": random.random, "socket": socket, "environ": os.environ, "now": time.time,
                   "today": time.time, "uuid": random.random, "datetime": time, "sys": sys}
        self.globals = {**vars(builtins), **outside, **self.globals}

    sandbox_lids.LiddedEnvironment.__init__ = more  # type: ignore[method-assign]


def _nothing(*_: object) -> None:
    return None


def _same(value: Any) -> Any:
    return value


def _shown(value: Any) -> Any:
    """A value as it is, or what Python shows of it."""
    return value if isinstance(value, str | int | float | None) else repr(value)


_TAKEN_AWAY: dict[str, Callable[[], None]] = {
    "ours": _ours, "names": _names, "calls": _calls, "lids": _lids, "words": _words, "files": _files, "data": _data,
    "outside": _outside,
}  # fmt: skip
