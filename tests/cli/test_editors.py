"""The schema line in an editor: the real yaml-language-server on manifests/monsoon.yaml, as it stands in the repository."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import CARD
from tests.cli.editor import ROOT, Editor, server

MANIFEST = ROOT / "manifests" / "monsoon.yaml"
TEXT = MANIFEST.read_text(encoding="utf-8")
COMMAND = server()

pytestmark = pytest.mark.skipif(COMMAND is None, reason="yaml-language-server is not installed: make editors (needs npm)")


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    assert COMMAND is not None
    made = Editor(COMMAND)
    made.mistakes(MANIFEST, TEXT)
    yield made
    made.close()


def after(text: str, words: str) -> tuple[int, int]:
    """The place behind the first occurrence of `words`, line and column from 1."""
    before = text[: text.index(words) + len(words)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def edited(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def test_the_manifest_has_no_mistakes_in_the_editor(editor: Editor) -> None:
    assert TEXT.startswith("# yaml-language-server: $schema=../schemas/manifest.schema.json\n")
    assert 'duration: "{{ beat * 2 }}"' in TEXT, "a template where a number belongs is none of them"
    assert editor.mistakes(MANIFEST, TEXT) == []


MOVED = "camera: {move: truck_right, amount: 2}"


@pytest.mark.parametrize("typed", ["camera: {move: }", "camera:\n      move: ", "camera: "])
def test_camera_words_are_completed(editor: Editor, typed: str) -> None:
    text = edited(MOVED, typed)
    editor.mistakes(MANIFEST, text)
    offered = editor.completions(MANIFEST, *after(text, typed.removesuffix("}")))
    assert set(CARD.camera.words) <= set(offered)
    assert offered["truck_right"] == "truck_right"
    assert not [label for label in offered if "object" in label]


def test_a_whole_camera_is_offered_and_so_are_its_keys(editor: Editor) -> None:
    text = edited(MOVED, "camera:\n      ")
    editor.mistakes(MANIFEST, text)
    offered = editor.completions(MANIFEST, *after(text, "camera:\n      "))
    assert offered["{move: truck_right, amount: 4}"] == "move: truck_right\namount: 4"
    assert {"move", "amount", "type", "config"} <= set(offered)


def test_only_keys_that_the_shot_does_not_have_yet_are_offered(editor: Editor) -> None:
    text = edited(MOVED, "c")
    editor.mistakes(MANIFEST, text)
    offered = editor.completions(MANIFEST, *after(text, "duration: 4\n    c"))
    assert {"camera", "circled", "takes", "last_frame"} <= set(offered)
    assert not {"prompt", "duration", "id"} & set(offered)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("    dura", CARD.parameters["duration"]["description"]),
        ("camera: {mo", "A film word."),
        ("  ra", "Submissions per second, minute or hour."),
        ("    first_fr", "The picture that the clip begins with"),
    ],
)
def test_hovering_tells_what_a_key_means(editor: Editor, words: str, said: str) -> None:
    editor.mistakes(MANIFEST, TEXT)
    shown = editor.hover(MANIFEST, *after(TEXT, words))
    assert said in shown
    assert "||" not in shown, "one heading, though a template may stand there as well"


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        (MOVED, "camera: {move: truck_rigth, amount: 2}", "camera: {move: ", '"truck_right"'),
        ("    duration: 4\n", "    duration: 16\n", "    duration: ", "maximum of 15"),
        ("    duration: 4\n", "    duration: long\n", "    duration: ", '"number"'),
        ("    takes: 2\n", "    taks: 2\n", "", None),
        ("    camera: dolly_in\n", "    camera: doly_in\n", "    camera: ", '"dolly_in"'),
    ],
)
def test_a_mistake_is_shown_at_its_place(editor: Editor, old: str, new: str, place: str, said: str | None) -> None:
    text = edited(old, new)
    (found,) = editor.mistakes(MANIFEST, text)
    at = (found["range"]["start"]["line"] + 1, found["range"]["start"]["character"] + 1)
    start = text.index(new)
    if said is None:
        assert at == after(text, text[: start + 4])
        assert "taks" in found["message"]
    else:
        line, column = after(text[start:], place)
        above = text[:start].count("\n")
        assert at == (above + line, column + (start - text.rfind("\n", 0, start) - 1 if line == 1 else 0))
        assert said in found["message"]
