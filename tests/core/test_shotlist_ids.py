"""The ids that shots of a list get."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.shotlist_ids import Called, _free, is_name, name_shots


def ids(*shots: str, scenes: tuple[str, ...] = ()) -> list[str]:
    called = [Called(number=shot, scene=scenes[index] if scenes else "") for index, shot in enumerate(shots)]
    return [named.id for named in name_shots(called)]


@pytest.mark.parametrize(
    ("shots", "named"),
    [
        (("1", "2", "12"), ["SH0010", "SH0020", "SH0120"]),
        (("12", "12A", "12b"), ["SH0120", "SH0120A", "SH0120B"]),
        (("1.0", "2,0"), ["SH0010", "SH0020"]),
        (("10", "20", "25"), ["SH0100", "SH0200", "SH0250"]),
        (("10", "20", "30"), ["SH0010", "SH0020", "SH0030"]),
        (("010",), ["SH0010"]),
        (("10",), ["SH0100"]),
        (("SH0010", "MON_020", "sq1-sh3"), ["SH0010", "MON_020", "sq1-sh3"]),
        (
            ("Shot 1", "shot #2", "Sh.3", "#4", "Nr. 5", "Einstellung 6"),
            ["SH0010", "SH0020", "SH0030", "SH0040", "SH0050", "SH0060"],
        ),
        (("12-1", "12-2", "13/1", "13A.2"), ["SC012_SH0010", "SC012_SH0020", "SC013_SH0010", "SC013A_SH0020"]),
        (("12-A", "12-B"), ["SC012_A", "SC012_B"]),
        (("A", "B"), ["SHA", "SHB"]),
    ],
)
def test_numbers_count_in_tens_and_names_stay(shots: tuple[str, ...], named: list[str]) -> None:
    assert ids(*shots) == named


def test_the_scene_comes_first_where_a_number_stands_in_several() -> None:
    assert ids("1", "2", "1", scenes=("12", "12", "13A")) == ["SC012_SH0010", "SC012_SH0020", "SC013A_SH0010"]
    assert ids("1", "2", "3", scenes=("12", "12", "13")) == ["SH0010", "SH0020", "SH0030"]
    assert ids("1", "1", scenes=("12 - Kiosk", "Café Müller")) == ["SC012_SH0010", "CAFE-MULLER_SH0010"]
    assert ids("A", "A", scenes=("12", "Scene 13")) == ["SC012_A", "SC013_A"]


@pytest.mark.parametrize(
    ("shots", "named", "doubts"),
    [
        (("1", "Establishing", "2"), ["SH0010", "SH0030", "SH0020"], ["", "that is no number", ""]),
        (("1", "1"), ["SH0010", "SH0020"], ["", "another shot"]),
        (("SH0010", "sh0010"), ["SH0010", "SH0020"], ["", "another shot"]),
        (("1", "", "3"), ["SH0010", "SH0020", "SH0030"], ["", "no number here", ""]),
        (("com1", "LPT2"), ["SH0010", "SH0020"], ["that is no number", "that is no number"]),
        (("02. Jan", "03. Feb"), ["SH0010", "SH0020"], ["that is no number", "that is no number"]),
        (("9999999", "x" * 70 + "1"), ["SH0010", "SH0020"], ["that is no number", "that is no number"]),
    ],
)
def test_everything_else_is_a_question_and_gets_the_next_free_number(
    shots: tuple[str, ...], named: list[str], doubts: list[str]
) -> None:
    found = name_shots([Called(number=shot) for shot in shots])
    assert [one.id for one in found] == named
    assert all(words in one.doubt and bool(words) is bool(one.doubt) for one, words in zip(found, doubts, strict=True))


def test_a_list_without_numbers_is_counted_and_nothing_is_asked() -> None:
    found = name_shots([Called(has_number=False)] * 3)
    assert [(one.id, one.doubt) for one in found] == [("SH0010", ""), ("SH0020", ""), ("SH0030", "")]


class Counted(frozenset[str]):
    """Names, and how often one was looked for."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


def test_a_list_of_thousands_is_not_walked_through_for_each_shot() -> None:
    """Every number is taken, and from each a free one is looked for."""
    numbers = range(10, 50_010, 10)
    taken, after = Counted(f"sh{number:04}" for number in numbers), dict[int, int]()
    assert {_free(number, taken, after) for number in reversed(numbers)} == {50_010}
    assert taken.asked < 4 * len(numbers)


def test_ids_that_export_wrote_stay_as_they_are() -> None:
    found = name_shots([Called(own=name) for name in ("1", "A", "x.y", "SH0010", "na")])
    assert [one.id for one in found] == ["1", "A", "x.y", "SH0010", "na"]
    assert name_shots([Called(own="no id")])[0].doubt


names = (
    st.text(st.sampled_from("0123459ABshSH.-_ #é/"), max_size=8)
    | st.from_regex(r"\A(sh)?[0-9]{1,3}[ab]?\Z")
    | st.text(max_size=4)
)


@given(st.lists(st.tuples(names, names, st.booleans()), max_size=30))
def test_whatever_a_list_says_ids_are_unique_names(shots: list[tuple[str, str, bool]]) -> None:
    found = name_shots(
        [Called(own=number if own else "", number="" if own else number, scene=scene) for number, scene, own in shots]
    )
    assert len({one.id.lower() for one in found}) == len(shots)
    assert all(is_name(one.id) and re.fullmatch("[ -~]+", one.id) for one in found)
