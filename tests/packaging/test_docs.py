"""What the documentation says is so: pages that are generated, links, paths, tests, commands, flags and variables."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from manifest_runner.adapters.secrets import KEY_VARIABLE
from manifest_runner.adapters.settings import RUN_VARIABLE, VARIABLES
from manifest_runner.cli.main import COMMANDS, module_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").rglob("*.md"))
PLACES = ("manifest_runner", "manifests", "schemas", "docs", "tests", "benchmarks", "examples")
ROOMS = ("core", "engine", "adapters", "simulator", "views", "cli")
MADE = ("manifests/renders/",)
"""What is there only after a run."""

NAMES = {KEY_VARIABLE, RUN_VARIABLE, "NO_COLOR", *VARIABLES.values()}

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"\bmanifest-runner[ ]+([a-z][\w-]*)([^`\n#]*)")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_VARIABLE = re.compile(r"\b(?:MANIFEST_RUNNER|TRINETRA)_[A-Z_]+\b|\bNO_COLOR\b")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(page: Path) -> Iterator[str]:
    """What a page shows as code: the lines of its blocks, and what stands between backticks."""
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            yield line
        else:
            yield from re.findall(r"`([^`]+)`", line)


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@lru_cache
def functions_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@lru_cache
def flags_of(command: str) -> frozenset[str]:
    found = getattr(importlib.import_module(f"manifest_runner.cli.commands.{module_of(command)}"), module_of(command))
    return frozenset({"--help"}).union(*([*option.opts, *option.secondary_opts] for option in found.params))


def test_the_manifests_reference_is_what_the_generator_writes() -> None:
    module = generator()
    assert module.REFERENCE.read_text(encoding="utf-8") == module.reference(), "run: make docs"


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", to.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), target


@every_page
def test_files_and_tests_that_are_named_are_there(page: Path) -> None:
    for words in code(page):
        for word in re.findall(r"[\w./*-]+(?:::\w+)?", words):
            name, _, test = word.partition("::")
            first = name.partition("/")[0]
            if "/" not in name or "*" in name or "NAME" in name or name.startswith(MADE) or first not in (*PLACES, *ROOMS):
                continue
            path = ROOT / "manifest_runner" / name if first in ROOMS else ROOT / name
            assert path.exists(), word
            if test:
                assert test in functions_in(path), word


@every_page
def test_commands_and_flags_that_are_named_are_there(page: Path) -> None:
    for line in code(page):
        for name, rest in _COMMAND.findall(line):
            assert name in COMMANDS, line
            unknown = set(_FLAG.findall(rest)) - flags_of(name)
            assert not unknown, line


@every_page
def test_variables_that_are_named_are_there(page: Path) -> None:
    assert set(_VARIABLE.findall(page.read_text(encoding="utf-8"))) <= NAMES


def test_every_command_is_named_in_the_readme_or_the_reference() -> None:
    words = {word for page in PAGES for line in code(page) for word in re.findall(r"[a-z]+", line)}
    assert set(COMMANDS) <= words


def test_the_picture_of_the_readme_is_light_and_no_wider_than_a_page() -> None:
    picture = (ROOT / "docs" / "strip.png").read_bytes()
    assert len(picture) < 900_000
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20], "big") <= 1600


def test_the_recording_is_light_and_stands_for_itself() -> None:
    """GitHub shows it as a picture: no scripts, nothing fetched, and it is read with every view of the README."""
    text = (ROOT / "docs" / "render.svg").read_text(encoding="utf-8")
    assert len(text.encode()) < 200_000
    root = ElementTree.fromstring(text)  # noqa: S314 - our own file
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "defs", "g", "rect", "circle", "text", "use"}
    links = {value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")}
    assert all(link.startswith("#") for link in links)
    assert text.count("http") == 1  # the name of the format
    words = "".join(root.itertext())
    assert all(found in words for found in ("rendering", "credits charged", "reserved", "left", "✗", "failed: "))
