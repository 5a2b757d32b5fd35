"""What a person decides about takes: which edits it comes to, and what is said where it comes to none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from manifest_runner.core import expansion
from manifest_runner.core.editing import edited
from manifest_runner.core.model import Diagnostic, Manifest, ShotId
from manifest_runner.core.origins import Origins
from manifest_runner.core.takes import Decisions, Wish, fulfilled
from manifest_runner.core.validation import check
from tests.builders import CARD, HEAD, Texts, manifest_of

LINES = HEAD.count("\n")
FILES = {"look.yaml": "defaults:\n  takes: 3\n  circled: 2\n"}
SHOW = """\
include: [look.yaml]
vars: {many: 2, best: "{{ many }}"}
shots:
  - {id: A, prompt: x}
  - id: B
    prompt: y
    takes: 2  # two
    circled: 1
  - {id: C, prompt: z, takes: "{{ many }}", circled: "{{ best }}"}
  - id: "M-{{ lens }}"
    matrix: {lens: ["{{ many }}", 85]}
    prompt: w
  - id: "N-{{ weather }}"
    matrix: {weather: [rain, fog]}
    prompt: w
    takes: 2
    circled: 2
"""


def shown(text: str, files: Mapping[str, str] | None = None) -> tuple[Manifest, Origins]:
    filled, found = expansion.load((HEAD + text).encode(), path="show.yaml", sources=Texts(FILES if files is None else files))
    manifest, more = check(filled, CARD)
    assert manifest is not None, [*found, *more]
    return manifest, filled.origins


def wanted(wishes: Sequence[Wish], text: str = SHOW) -> tuple[str, list[Diagnostic]]:
    """The text in which the wishes are fulfilled, which is checked, and what is against them."""
    manifest, origins = shown(text)
    edits, wrong = Decisions(manifest, origins).edits(wishes)
    made = edited(origins.value(()).document, edits).removeprefix(HEAD)
    if not wrong:
        assert fulfilled(manifest, shown(made)[0], wishes)
    return made, wrong


def circle(*asked: tuple[str, int | None], text: str = SHOW, without: str = "") -> tuple[list[Wish], list[Diagnostic]]:
    return Decisions(*shown(text)).circling(asked, lambda shot, _: "not rendered" if shot == without else None)


def only(found: Sequence[Diagnostic]) -> Diagnostic:
    assert len(found) == 1, found
    return found[0]


def place(found: Diagnostic) -> tuple[str, int]:
    assert found.source is not None
    return found.source.path, found.source.line - LINES


def wish(shot: str, key: str, value: int | None) -> Wish:
    return Wish(shot=ShotId(shot), key=key, value=value)


# ── from words to wishes ──────────────────────────────────────────────────────────────────────────────────────────


def test_takes_of_several_shots_are_circled_in_one_go_and_the_same_one_twice_is_one() -> None:
    assert circle(("A", 3), ("B", 2), ("A", 3)) == ([wish("A", "circled", 3), wish("B", "circled", 2)], [])


def test_where_there_is_but_one_take_it_is_meant() -> None:
    assert circle(("A", None), text="shots:\n  - {id: A, prompt: x}\n") == ([wish("A", "circled", 1)], [])


AGAINST = {
    "unknown-shot": (("AA", 1), "no shot has the id 'AA'", "did you mean A?"),
    "unknown-take": (("B", 3), "B has 2 takes, and no take 3", "`retake` asks for one more"),
    "which-take": (("B", None), "B has 2 takes: which one?", "write B:1 for the one that is in the cut now"),
    "no-clip": (("C", 1), "take 1 of C has no clip to judge it by: not rendered", "--force circles it all the same"),
}


@pytest.mark.parametrize("code", AGAINST)
def test_what_is_against_a_circle_is_said_with_a_way_on(code: str) -> None:
    asked, message, hint = AGAINST[code]
    wishes, wrong = circle(asked, without="C")
    found = only(wrong)
    assert (wishes, found.code, found.message) == ([], code, message)
    assert found.hint is not None
    assert hint in found.hint


def test_every_reason_against_a_circle_is_told_at_once() -> None:
    _, wrong = circle(("X", 1), ("B", 0), ("B", 1), ("B", 2), ("C", 2), without="C")
    assert [found.code for found in wrong] == ["unknown-shot", "unknown-take", "two-circles", "no-clip"]
    assert place(wrong[1]) == ("show.yaml", 7)


def test_a_retake_asks_for_as_many_takes_more_and_no_shot_has_more_than_fifty() -> None:
    decisions = Decisions(*shown(SHOW))
    assert decisions.retaking(["A", "B", "A"], 2) == ([wish("A", "takes", 5), wish("B", "takes", 4)], [])
    wishes, wrong = decisions.retaking(["A", "B", "X"], 48)
    assert (wishes, [found.code for found in wrong]) == ([wish("B", "takes", 50)], ["too-many-takes", "unknown-shot"])


# ── from wishes to edits ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_shots_own_key_is_written_over_what_it_has_by_default() -> None:
    made, wrong = wanted([wish("A", "circled", 1), wish("B", "circled", 2)])
    assert wrong == []
    assert made == SHOW.replace("{id: A, prompt: x}", "{id: A, prompt: x, circled: 1}").replace(
        "    circled: 1", "    circled: 2"
    )


def test_a_template_that_is_a_default_is_another_matter_than_the_shots_own_number() -> None:
    text = 'vars: {n: 2}\ndefaults: {takes: "{{ n }}"}\nshots:\n  - {id: A, prompt: x}\n'
    assert wanted([wish("A", "takes", 3)], text) == (text.replace("x}", "x, takes: 3}"), [])


def test_a_circle_is_taken_away_where_the_shot_has_it_and_not_where_it_has_it_by_default() -> None:
    text = SHOW.replace("include: [look.yaml]\n", "")
    assert Decisions(*shown(text)).uncircling(["B", "B"]) == ([wish("B", "circled", None)], [])
    assert wanted([wish("B", "circled", None)], text) == (text.replace("    circled: 1\n", ""), [])
    found = only(wanted([wish("A", "circled", None)])[1])
    assert (found.code, found.source and (found.source.path, found.source.line)) == ("by-default", ("look.yaml", 3))
    assert found.notes[0].message == "A is here"


def test_a_template_is_never_overwritten_and_what_it_is_made_of_is_said() -> None:
    made, wrong = wanted([wish("C", "circled", 1), wish("B", "circled", 2)])
    found = only(wrong)
    assert (found.code, place(found)) == ("template-value", ("show.yaml", 9))
    assert "'{{ best }}'" in found.message
    assert found.hint == "write circled: 1 there in an editor, or change what the template is made of"
    assert [note.message for note in found.notes] == ["best is 2 here", "many is 2 here"]
    assert "circled: 2" in made, "the other one could be done"


def test_one_shot_of_a_matrix_shares_its_entry_and_is_told_what_a_person_would_write() -> None:
    found = only(wanted([wish("N-fog", "circled", 1)])[1])
    assert (found.code, place(found)) == ("matrix-shot", ("show.yaml", 13))
    assert found.message == "N-fog shares its entry, and circled in it, with N-rain"
    assert found.hint is not None
    assert "name all 2 of them" in found.hint
    by_hand = found.hint.partition("write ")[2].partition(" there")[0]
    assert by_hand == "circled: \"{{ 1 if weather == 'fog' else 2 }}\""
    manifest, _ = shown(SHOW.replace("    circled: 2", f"    {by_hand}"))
    assert {shot.id: shot.circled for shot in manifest.shots if shot.id.startswith("N")} == {"N-rain": 2, "N-fog": 1}


def test_what_a_person_would_write_is_told_with_numbers_too_and_left_out_where_it_cannot_be_said_simply() -> None:
    hints = {shot: only(wanted([wish(shot, "takes", 4)])[1]).hint for shot in ("M-85", "M-2")}
    assert hints["M-85"] == (
        "name all 2 of them to change them together; "
        'or for this one alone write takes: "{{ 4 if lens == 85 else 3 }}" there in an editor'
    )
    assert hints["M-2"] == "name all 2 of them to change them together", "the axis holds a template"
    assert only(wanted([wish("N-fog", "circled", None)])[1]).hint == "name all 2 of them to change them together"


def test_all_shots_of_a_matrix_are_decided_about_together() -> None:
    made, wrong = wanted([wish("N-rain", "circled", 1), wish("N-fog", "circled", 1)])
    assert (wrong, made) == ([], SHOW.replace("    circled: 2", "    circled: 1"))
    apart = only(wanted([wish("N-rain", "takes", 3), wish("N-fog", "takes", 4)])[1])
    assert apart.code == "matrix-shot"
    assert "name all" not in (apart.hint or "")


def test_what_is_so_already_needs_no_edit_even_where_it_could_not_be_made() -> None:
    wishes = [wish("B", "circled", 1), wish("C", "circled", 2), wish("N-fog", "circled", 2), wish("A", "circled", 2)]
    assert wanted(wishes) == (SHOW, [])


def test_a_manifest_in_which_anything_else_changed_is_not_what_was_wished_for() -> None:
    before = manifest_of("shots:\n  - {id: A, prompt: x, takes: 2}\n  - {id: B, prompt: y, takes: 2}\n")
    first, second = before.shots
    wishes = [wish("A", "circled", 1)]
    right = replace(before, shots=(replace(first, circled=1), second))
    assert fulfilled(before, right, wishes)
    assert not fulfilled(before, before, wishes)
    assert not fulfilled(before, replace(right, shots=(right.shots[0], replace(second, circled=1))), wishes)
