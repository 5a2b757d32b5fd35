"""What is written for make is read back by make: names as one target and one prerequisite, words as one word each."""

from __future__ import annotations

import posixpath
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from manifest_runner.views import makewords as words
from manifest_runner.views.makefile import dependencies

MAKE = shutil.which("make")
EXAMPLES = settings(max_examples=40, deadline=None)

needs_make = pytest.mark.skipif(MAKE is None, reason="GNU make is not installed")

LETTERS = st.sampled_from([*"ab.-_ $#:%=&~(){}<>'\"`!^@+,*?[];|\\\n\t", "é", "雨", "\u202e", "$(shell touch pwned)", "${X}"])
TEXT = st.lists(LETTERS, min_size=1, max_size=8).map("".join)
WORDS = st.sampled_from([
    "include", "-include", "define", "export", "override", "private", "ifeq", "endif", "vpath", ".PHONY", ".IGNORE", "all:",
    "a = b", "a:=b", "a&:b", "lib(x)", "%", "%.o", "-n", "--eval=$(error x)", "x;touch pwned", "$$", "a$", "a#b", "$@", "c:/x",
    "`touch pwned`", "$(touch pwned)", "a'b", 'a"b', "~root", "a&", "b "])


@st.composite
def names(draw: st.DrawFn) -> str:
    """A path that a file may have, in the form in which ours are given to make."""
    name = draw(st.one_of(WORDS, TEXT))
    name = draw(st.sampled_from(["", "d/", "a b/", "../"])) + name
    name = posixpath.normpath(name)
    assume("\0" not in name and not name.startswith("/") and posixpath.basename(name) not in ("", ".", ".."))
    return name


def spoken(found: Sequence[str]) -> list[str]:
    """Those that make can spell, each once, and none a folder of another."""
    chosen: list[str] = []
    for name in found:
        if words.unspeakable(name) is None and not any(one == name or one.startswith(f"{name}/") or name.startswith(f"{one}/")
                                                       for one in chosen):
            chosen.append(name)
    return chosen


def made(folder: Path, text: str, *goals: str) -> list[str]:
    """The lines that recipes have written into `log`."""
    (folder / "Makefile").write_text(text, encoding="utf-8")
    (folder / "log").unlink(missing_ok=True)
    ran = subprocess.run([str(MAKE), "-s", "-r", "--", *goals], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr + text
    return (folder / "log").read_text(encoding="utf-8").splitlines()


@needs_make
@EXAMPLES
@given(st.lists(names(), min_size=1, max_size=8))
@example(["include", "d/x.mk"])
@example(["define", "a = b"])
@example(["a(b", "c)"])
def test_names_are_read_back_as_one_target_and_one_prerequisite_each(found: list[str]) -> None:
    """Also through a variable, as in rules of somebody's own."""
    with tempfile.TemporaryDirectory() as place:
        inside = Path(place) / "w"
        inside.mkdir()
        chosen = spoken(found)
        for name in chosen:
            (inside / f"{name}.in").parent.mkdir(parents=True, exist_ok=True)
            (inside / f"{name}.in").touch()
        rules = "".join(f"{words.target(name)}: {words.prerequisite(name + '.in')}\n"
                        "\t@:$(file >>log,$@)$(file >>log,$<)\n" for name in chosen)
        alone = "".join(f"{words.target(name + '.in')}:\n" for name in chosen)
        listed = " \\\n  ".join(["list :=", *map(words.prerequisite, chosen)])
        text = f"{words.EQUALS} := =\n.PHONY: every\nevery:\n{rules}{alone}{listed}\nevery: $(list)\n"
        if chosen:
            assert made(inside, text, "every") == [line for name in chosen for line in (name, f"{name}.in")]
        assert not list(Path(place).rglob("pwned"))


@needs_make
@EXAMPLES
@given(st.lists(names(), min_size=2, max_size=5))
def test_several_targets_of_one_rule_are_read_back_as_so_many(found: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        inside = Path(place) / "w"
        inside.mkdir()
        chosen = [f"r/{name}" for name in spoken(found) if not name.startswith("..")]
        assume(len(chosen) > 1)
        text = f"{' '.join(map(words.target, chosen))} &:\n\t@:$(file >>log,$@)\n"
        for name in chosen:
            goal = f"{words.EQUALS} := =\n.PHONY: this\nthis: {words.prerequisite(name)}\n"
            assert made(inside, goal + text, "this") == [name]


@needs_make
@EXAMPLES
@given(st.lists(st.one_of(names(), TEXT), max_size=6))
def test_words_reach_the_program_as_they_were(found: list[str]) -> None:
    found = [word for word in found if "\n" not in word]
    with tempfile.TemporaryDirectory() as place:
        inside = Path(place)
        (inside / "say").write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "<$word>" >> log; done\n')
        text = f"all:\n\t@sh ./say begin {words.recipe(*found)}\n"
        assert made(inside, text, "all") == ["<begin>", *(f"<{word}>" for word in found)]
        assert not (inside / "pwned").exists()


@pytest.mark.parametrize(("name", "what"), [
    *((f"a{letter}b.png", f"a {letter} in it") for letter in "*?[;|\\"),
    *((f"a{letter}b.png", "a control character in it") for letter in "\t\n\r\0\x7f\udc80"),
    *((f"a{letter}", f"a {letter} at its end") for letter in "&)"),
    ("a ", "a space at its end"), ("~a.png", "a ~ at its beginning"), (".IGNORE", "a name that make keeps for itself")])
def test_what_make_cannot_spell_is_said(name: str, what: str) -> None:
    assert words.unspeakable(name) == what


@pytest.mark.parametrize("name", ["plates/a b.png", "a#b", "$HOME", "a:b", "50%.png", "a=b", "é/雨.png", "a~", "(a)b", "it's",
                                  "&a", "show (2)/a.png", "d/.IGNORE"])
def test_what_make_can_spell_is_not_refused(name: str) -> None:
    assert words.unspeakable(name) is None


@needs_make
@EXAMPLES
@given(st.lists(names(), min_size=1, max_size=5))
def test_a_depfile_is_read_back_by_make(found: list[str]) -> None:
    """But for = and %, which gcc and ninja leave as they are, and make reads otherwise."""
    chosen = [name for name in spoken(found) if not {"=", "%"} & set(name) and name != "define"]
    assume(chosen)
    with tempfile.TemporaryDirectory() as place:
        inside = Path(place) / "w"
        inside.mkdir()
        (inside / "x.d").write_text(dependencies(["clip"], chosen), encoding="utf-8")
        for name in chosen:
            (inside / name).parent.mkdir(parents=True, exist_ok=True)
            (inside / name).touch()
        assert made(inside, "clip:\n\t@:$(file >>log,$@)$(file >>log,$<)\ninclude x.d\n", "clip") == ["clip", chosen[0]]
