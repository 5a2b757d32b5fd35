"""The rules of the house that are about the code itself."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from manifest_runner.cli.main import COMMANDS, module_of
from tests.cli.support import environment
from tests.footings import Place

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "manifest_runner"
MODULES = sorted(PACKAGE.rglob("*.py"))
CORE = sorted((PACKAGE / "core").glob("*.py"))
HEAVY = {"httpx", "anyio", "asyncio", "rich", "av", "PIL", "starlette", "jsonschema", "opentimelineio", "psycopg",
         "aiohttp", "obstore"}


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """The top-level modules that a command line has imported when it ends."""
    code = (
        "import sys; sys.argv[1:] = " + repr(list(arguments)) + "\n"
        "from manifest_runner.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.stderr.write('\\nLOADED ' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_opens_prints_and_asks_nothing(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.read_text().strip()], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module opens with a docstring"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if "cli" not in path.parts and path.name != "__main__.py"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_library_code_never_prints_and_never_exits(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in {"print", "sys.exit", "exit", "os._exit"}, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_subcommand_is_a_file_and_a_function_of_its_name(name: str) -> None:
    command = getattr(importlib.import_module(f"manifest_runner.cli.commands.{module_of(name)}"), module_of(name))
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_every_file_of_commands_is_listed() -> None:
    files = {path.stem for path in (PACKAGE / "cli" / "commands").glob("*.py")} - {"__init__"}
    assert files == set(map(module_of, COMMANDS))
    assert [name for name in COMMANDS if module_of(name) != name] == ["import"], "the one word that Python keeps for itself"


def test_version_imports_nothing_of_ours_but_the_door(tmp_path: Path) -> None:
    assert not loaded_by("--version", cwd=tmp_path) & {*HEAVY, "click", "yaml", "jinja2", "sqlite3"}


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    assert not loaded_by("--help", cwd=tmp_path) & {*HEAVY, "yaml", "jinja2", "sqlite3", "fastjsonschema"}


LIGHT: dict[str, str] = {
    "init": "new.yaml", "validate": "show.yaml", "fmt": "--check show.yaml", "import": "list.csv", "export": "show.yaml --csv",
    "graph": "show.yaml", "plan": "show.yaml", "status": "show.yaml", "circle": "show.yaml A:1", "retake": "show.yaml A",
    "report": "show.yaml", "reel": "show.yaml", "timeline": "show.yaml", "make": "show.yaml", "pull": "show.yaml", "gc": "",
    "lock": "show.yaml --check", "merge": "show.yaml show.yaml show.yaml", "models": "", "schema": "manifest",
    "completion": "bash", "simulate": "--help",
}  # fmt: skip
LEDGER: dict[str, str] = {"adopt": "show.yaml A job_1", "abandon": "show.yaml A"}
LIVE: dict[str, str] = {"render": "show.yaml", "push": "show.yaml", "verify": "show.yaml", "worker": "--until-idle"}
"""What each command is called with. Where there is nothing to render or to change it says so, or why not."""


def test_it_is_said_of_every_command_what_it_may_import() -> None:
    assert LIGHT.keys() | LEDGER.keys() | LIVE.keys() == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_nothing_that_it_does_not_need(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRINETRA_API_KEY", raising=False)
    (tmp_path / ".git").mkdir()
    (tmp_path / "show.yaml").write_text(
        "version: 1\nshow: x\nmodel: kling-v3-omni\nvars: {a: b}\nshots:\n  - {id: A, prompt: '{{ a }}'}\n"
    )
    (tmp_path / "list.csv").write_text("shot,description,duration\n1,{{ a }},40s\n")
    words = {**LIGHT, **LEDGER, **LIVE}[name]
    # httpx brings rich along where it is there
    allowed = {"sqlite3", "anyio", "httpx", "rich"} if name in LIVE else {"sqlite3"} if name in LEDGER else set()
    allowed |= {"asyncio", "psycopg"} if name == "worker" else set()
    assert loaded_by(name, *words.split(), cwd=tmp_path) & {*HEAVY, "sqlite3", "jinja2"} <= allowed


def test_a_plan_that_is_known_to_have_nothing_to_do_imports_next_to_nothing(tmp_path: Path) -> None:
    """What it takes is the start of the interpreter and these; `typing` alone would be half of that again."""
    place = Place(tmp_path / "show")
    code = (
        "import sys; before = set(sys.modules); sys.argv[1:] = ['plan', 'test.yaml']\n"
        "{}from manifest_runner.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.stderr.write(' '.join(set(sys.modules) - before))"
    )
    trusting = "import manifest_runner.core.footing as footing; footing.MARGIN = -10**15\n"  # what was written just now
    env = {**environment(place.folder), **place.environ}
    for first in (trusting, ""):
        ran = subprocess.run([sys.executable, "-c", code.format(first)], cwd=place.folder, env=env, capture_output=True,
                             text=True, timeout=60, check=True)
        assert ran.stdout == "Nothing to do: 2 kept. 0 credits.\n"
    assert set(ran.stderr.split()) <= {
        "__future__", "errno", "gc", "_blake2", "manifest_runner", "manifest_runner.__main__", "manifest_runner.cli",
        "manifest_runner.cli.outputs", "manifest_runner.cli.footing", "manifest_runner.adapters",
        "manifest_runner.adapters.ground", "manifest_runner.adapters.signs", "manifest_runner.adapters.footing",
        "manifest_runner.core", "manifest_runner.core.footing", "manifest_runner.views", "manifest_runner.views.nothing",
    }


def test_http_is_known_to_few() -> None:
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "httpx" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "httpx")
    }
    assert knowing <= {
        "adapters/gateway.py",
        "adapters/quick_transport.py",
        "adapters/downloads.py",
        "adapters/answers.py",
        "cli/session.py",
        "simulator/server.py",
    }
