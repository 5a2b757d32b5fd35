"""Names and words as GNU make, a gcc-style depfile, and the shell inside a recipe read them.

Laws
- What is written here is read back as exactly one target, prerequisite or word, or it is not written: a name that make cannot
  spell is told by `unspeakable` before anything is generated.
- Whoever chose a path (it may be a stranger's manifest) gives no command: a word in a recipe is quoted for the shell first and
  then for make.
- A test holds all of this against the make that is installed.
"""

from __future__ import annotations

import re
import shlex

EQUALS = "manifest-runner.equals"
"""The variable that stands for `=` in names: written out, it would make the line an assignment."""

# Make splits, globs or cuts at these in some place and has no escape for it that holds in all places (`\\*` keeps its backslash
# where no file matches; `;` begins a recipe and `|` order-only prerequisites even after expansion).
_NEVER = re.compile("[\x00-\x1f\x7f\\\\*?\\[;|\ud800-\udfff]")
_NAME = re.compile(r"[ #:$=]")
_GCC = re.compile(r"[ #:$]")
_WRITTEN = {" ": r"\ ", "#": r"\#", ":": r"\:", "$": "$$", "=": f"$({EQUALS})"}
_SPECIAL = re.compile(r"\.[A-Z_]+")
_PLAIN = re.compile(r"[\w@+,./-]+", re.ASCII)


def unspeakable(name: str) -> str | None:
    """What it is in a path that make cannot spell (`a * in it`); None where it can spell all of it."""
    found = _NEVER.search(name)
    if found is not None:
        return f"a {found.group()} in it" if found.group().isprintable() else "a control character in it"
    if _SPECIAL.fullmatch(name):  # a rule for a picture called .IGNORE would change what every recipe means
        return "a name that make keeps for itself"
    if name.startswith("~"):
        return "a ~ at its beginning"
    if name.endswith((" ", "&", ")")):  # `(` and `)`, though in two names, are an archive and its members
        return f"a {'space' if name.endswith(' ') else name[-1]} at its end"
    return None


def prerequisite(name: str) -> str:
    """A path after the colon of a rule, or in a variable that is used there."""
    return _NAME.sub(lambda found: _WRITTEN[found.group()], name)


def target(name: str) -> str:
    """A path before the colon, where a % would make it a pattern."""
    return prerequisite(name).replace("%", r"\%")


def is_plain(name: str) -> bool:
    """Whether `$(wildcard)` takes the name for itself alone, and returns it as it was."""
    return _PLAIN.fullmatch(name) is not None


def variable(name: str) -> str:
    """A name for variables and goals, from a path: what make gives a meaning becomes `_`."""
    return re.sub(r"[^\w./+@-]", "_", name, flags=re.ASCII)


def recipe(*words: str) -> str:
    """Words for the shell of a recipe, none of which it or make changes."""
    return shlex.join(words).replace("$", "$$")


def depfile(name: str) -> str:
    """A path in a depfile, as gcc and clang spell it and make and ninja read it."""
    return _GCC.sub(lambda found: _WRITTEN[found.group()], name)
