"""Short ways from the text of a shot list to what becomes of it, for tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from manifest_runner.core.formatting import formatted
from manifest_runner.core.model import Manifest, Severity
from manifest_runner.core.parsing import parse
from manifest_runner.core.sheet import read
from manifest_runner.core.sheet_text import decode
from manifest_runner.core.shotlist import ShotList, header_score, map_list
from manifest_runner.core.shotlist_yaml import manifest_text
from manifest_runner.errors import InvalidInput
from tests.builders import CARD, findings, manifest_of


def anywhere(path: str) -> tuple[str, str]:
    """A picture is wherever a list says."""
    return path, ""


def list_of(data: str | bytes, path: str = "shots.csv") -> ShotList:
    """A list as it was read."""
    text, encoding = decode(data.encode() if isinstance(data, str) else data, path=path)
    sheet = read(text, path=path, encoding=encoding, score=lambda rows: header_score(CARD, rows))
    return map_list(sheet, CARD, picture=anywhere, otherwise="test")


def rows(*cells: Sequence[str], delimiter: str = ",") -> str:
    """A list from its cells."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(cells)
    return out.getvalue()


def made(data: str | bytes) -> str:
    """The manifest of a list. It is valid and laid out, whatever the list says: every caller holds that law."""
    text = manifest_text(list_of(data))
    assert [item for item in findings(text) if item.severity is Severity.ERROR] == []
    assert formatted(parse(text, path="made.yaml")) == text
    return text


def manifest(data: str | bytes) -> Manifest:
    """What the manifest of a list means."""
    return meaning(made(data))


def meaning(text: str) -> Manifest:
    """What a manifest means that begins with comments."""
    return manifest_of(text[text.index("version:") :])


def questions(data: str | bytes) -> list[str]:
    """The questions of a list, as they stand in its manifest."""
    text = made(data)
    asked = [line.partition("QUESTION: ")[2] for line in text.splitlines() if line.lstrip().startswith("# QUESTION: ")]
    assert len(asked) == list_of(data).asked
    return asked


def refused(data: str | bytes) -> tuple[str, str, str]:
    """How a list is refused: code, place and hint."""
    try:
        list_of(data)
    except InvalidInput as error:
        (item,) = error.diagnostics
        assert item.source is not None
        return item.code, f"{item.source.line}:{item.source.column}", f"{item.message}. {item.hint}"
    raise AssertionError("it was read")
