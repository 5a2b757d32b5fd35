"""The table of planted bugs is true: each text is there, each test is there, and two of the bugs are caught here and now.

`make sweep` plants all of them.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from tests.crash.planted import BUGS, ROOT, Bug, hunt, occurrences

each = pytest.mark.parametrize("planted", BUGS, ids=lambda planted: planted.name)


@lru_cache
def names_below(folder: Path) -> frozenset[str]:
    """The names of all tests in the files of a folder: those of a contract stand in another file than its class."""
    return frozenset(
        node.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_bug_has_a_name_of_its_own() -> None:
    assert len({planted.name for planted in BUGS}) == len(BUGS) >= 15


@each
def test_what_a_planted_bug_replaces_is_there_once_and_the_result_is_python(planted: Bug) -> None:
    assert occurrences(planted) == 1
    ast.parse((ROOT / planted.file).read_text(encoding="utf-8").replace(planted.old, planted.new))


@each
def test_the_tests_that_must_catch_it_are_there(planted: Bug) -> None:
    assert planted.tests
    for test in planted.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file()
        assert name.rpartition("::")[2] in names_below((ROOT / path).parent)


@pytest.mark.parametrize("name", ["float-money", "doubt-frees-its-credits"])
def test_a_planted_bug_is_caught(name: str) -> None:
    (planted,) = [planted for planted in BUGS if planted.name == name]
    assert hunt(planted).trouble == ""
