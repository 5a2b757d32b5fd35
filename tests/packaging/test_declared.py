"""What the program imports, it asks for: a package that only comes along with another one may stay away tomorrow."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported() -> dict[str, str]:
    """The top-level modules that the program imports anywhere, and one of the files that do."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "manifest_runner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], path.relative_to(ROOT).as_posix())
    return found


def declared() -> set[str]:
    """The packages that the project's own file names, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [wish for name, wishes in project["optional-dependencies"].items() if name != "dev" for wish in wishes]
    return {re.split(r"[\[<>=!~; ]", wish)[0].lower() for wish in (*project["dependencies"], *extras)}


def test_every_package_that_is_imported_is_declared() -> None:
    owners = packages_distributions()
    undeclared = {name: where for name, where in imported().items()
                  if name not in sys.stdlib_module_names and name != "manifest_runner"
                  and not {owner.lower() for owner in owners.get(name, [name])} & declared()}
    assert not undeclared
