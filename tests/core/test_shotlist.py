"""Shot lists as they are kept: what becomes of rows and cells, what is asked, and that nothing is ever more than a value."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifest_runner.core.model import Shot, ShotFrame
from manifest_runner.core.sheet import Row, letters
from manifest_runner.core.shotlist_columns import NAMES, Role, find_header
from manifest_runner.core.shotlist_yaml import as_template, written
from manifest_runner.core.visible import NOT_CLEAN
from tests.builders import manifest_of
from tests.lists import list_of, made, manifest, meaning, questions, refused, rows


def shots(*lines: list[str], head: str = "shot,description") -> tuple[Shot, ...]:
    return manifest(rows(head.split(","), *lines)).shots


def keys(cell: str, column: str) -> dict[str, Any]:
    """What a cell of one column makes of a shot."""
    found = list_of(rows(["shot", "description", column], ["1", "rain", cell]))
    return {key: value for key, value in {**found.defaults, **found.shots[0].keys}.items() if key != "prompt"}


# ── columns and the header ────────────────────────────────────────────────────────────────────────────────────────────


def test_no_name_of_a_column_means_two_things() -> None:
    every = [name for names in NAMES.values() for name in names]
    assert len(every) == len(set(every))
    for role, names in NAMES.items():
        for name in names:
            header = find_header([Row(line=1, number=1, cells=(name.upper(), "scene", "shot"))])
            assert header is not None
            assert header.columns[0].role is role, name


@pytest.mark.parametrize(
    "title", ["Camera Move", "CAMERA_MOVE", " camera  move ", "Camera-move:", "camera.move", "Cámera Move"]
)
def test_a_title_counts_whatever_its_case_dots_and_accents(title: str) -> None:
    assert keys("pan left", title) == {"camera": "pan_left"}


def test_columns_come_in_any_order_below_titles_and_what_stands_above_is_kept() -> None:
    text = made("MONSOON;;\nv3;;\n;;\nDuration (s);Description;Shot #\n5,5;rain;1\n")
    assert '# Above the header: "MONSOON", "v3"\n' in text
    assert meaning(text).shots[0].params["duration"] == 5.5


def test_a_header_that_is_printed_on_every_page_is_no_shot() -> None:
    assert [shot.id for shot in shots(["1", "rain"], ["shot", "description"], ["2", "fog"])] == ["SH0010", "SH0020"]


def test_a_column_without_a_title_is_named_as_spreadsheets_call_it() -> None:
    text = made(rows(["shot", "description", "", ""], ["1", "rain", "", "x"], ["2", "fog", "", "", "y"]))
    assert '# No place in a manifest, and left out: "column D", "column E"\n' in text
    assert [letters(index) for index in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]


def test_columns_that_have_no_place_are_named_and_those_that_are_nearly_known_are_asked_about() -> None:
    data = rows(["shot", "description", "Crew", "Durration"], ["1", "rain", "x", "3"])
    assert '# No place in a manifest, and left out: "Crew"\n' in made(data)
    assert questions(data) == ['is the column "Durration" the duration? It is left out']


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("a,b\nc,d\n", "list-no-header", "1:1", "no row names columns"),
        ("\n\nDear all,\nplease find the list attached\n", "list-no-header", "3:1", "scene, shot, description"),
        ("title\n\nscene,shot,size\n1,1,WS\n", "list-no-description", "3:1", "known here: scene, shot, size"),
        ("scene,shot,descripton\n1,1,rain\n", "list-no-description", "1:1", 'is it "descripton"?'),
        ("scene,shot,description\n1,1,\n1,2,TBD\n", "list-no-shots", "1:1", "no row below this header"),
        ("scene,shot,description\n", "list-no-shots", "1:1", "no row below this header"),
    ],
)
def test_what_is_no_shot_list_is_refused_with_a_place_and_what_to_do(text: str, code: str, place: str, words: str) -> None:
    found = refused(text)
    assert found[:2] == (code, place)
    assert words in found[2]


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_scene_holds_for_the_rows_below_it_and_so_does_where_it_plays() -> None:
    text = made(
        rows(
            ["scene", "shot", "description", "location", "time of day"],
            ["12", "1", "a", "tram", "night"],
            ["", "2", "b", "", ""],
            ["12", "3", "c", "", ""],
            ["13", "1", "d", "", ""],
            ["", "2", "e", "bridge", ""],
        )
    )
    prompts = [shot.prompt for shot in meaning(text).shots]
    assert prompts == ["tram, night. a.", "tram, night. b.", "tram, night. c.", "d.", "bridge. e."]
    assert "- id: SC012_SH0020                                # shots.csv:3, scene of line 2\n" in text


def test_another_place_in_a_scene_takes_nothing_on_from_the_one_before() -> None:
    head = "scene,shot,description,location,time of day"
    found = shots(["12", "1", "a", "tram", "night"], ["", "2", "b", "bridge", ""], ["", "3", "c", "", "dawn"], head=head)
    assert [shot.prompt for shot in found] == ["tram, night. a.", "bridge. b.", "bridge, dawn. c."]


def test_a_row_with_nothing_but_what_its_group_has_in_common_is_no_shot() -> None:
    data = rows(
        ["scene", "shot", "description", "location"],
        ["12", "", "", "tram"],
        ["", "1", "a", ""],
        ["13", "", "", ""],
        ["", "2", "b"],
    )
    assert [shot.prompt for shot in manifest(data).shots] == ["tram. a.", "b."]
    assert questions(data) == []


def test_without_scenes_nothing_is_taken_from_the_row_above() -> None:
    assert [shot.prompt for shot in shots(["1", "a", "tram"], ["2", "b", ""], head="shot,description,location")] == [
        "tram. a.",
        "b.",
    ]


@pytest.mark.parametrize(
    ("heading", "ids", "prompt"),
    [
        ("EXT. BRIDGE - DUSK", ["SH0010", "SH0020"], "EXT. BRIDGE - DUSK. rain."),
        ("Scene 12: the bridge", ["SH0010", "SH0020"], "the bridge. rain."),
        ("12 INT. TRAM", ["SH0010", "SH0020"], "INT. TRAM. rain."),
    ],
)
def test_a_heading_is_no_shot_and_holds_for_the_rows_below(heading: str, ids: list[str], prompt: str) -> None:
    found = shots([heading, ""], ["1", "rain"], ["2", "rain"])
    assert [shot.id for shot in found] == ids
    assert [shot.prompt for shot in found] == [prompt, prompt]


def test_a_heading_says_where_the_scene_plays_that_its_first_shot_names() -> None:
    found = shots(["EXT. BRIDGE", "", ""], ["7", "1", "rain"], ["8", "2", "fog"], head="scene,shot,description")
    assert [shot.prompt for shot in found] == ["EXT. BRIDGE. rain.", "fog."]


@pytest.mark.parametrize(
    "total",
    [
        ["Total", "", "10"],
        ["", "TOTAL:", "0:10"],
        ["", "", "10"],
        ["Summe", "", "10,0"],
        ["", "Total running time", "10 s"],
        ["2", "Total", "10"],
    ],
)
def test_a_total_is_no_shot_and_is_kept_as_a_remark(total: list[str]) -> None:
    text = made(rows(["shot", "description", "duration"], ["1", "a", "4"], ["2", "b", "6"], total))
    assert len(meaning(text).shots) == 2
    assert "# shots.csv:4: a total, and no shot: " in text


def test_a_row_that_may_be_anything_is_asked_about() -> None:
    assert questions(
        rows(["shot", "description", "duration", "notes"], ["1", "a", "4", ""], ["", "", "", "LUNCH"], ["", "", "7", ""])
    ) == ['shots.csv:3: is this a shot? It says only "LUNCH"', 'shots.csv:4: is this a shot? It says only "7"']


def test_a_shot_of_which_the_list_says_nothing_stands_there_as_a_comment() -> None:
    text = made(
        rows(["shot", "size", "description", "duration"], ["1", "WS", "a", "3"], ["2", "CU", "", "3"], ["3", "", "TBD", "4"])
    )
    assert [shot.id for shot in meaning(text).shots] == ["SH0010"]
    assert "  # - id: SH0020 " in text
    assert "  # QUESTION: the list does not say what this shot shows\n  #   duration: 3\n" in text
    assert '  # QUESTION: description is "TBD": to be decided\n' in text


# ── texts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_camera_sees_is_the_prompt_and_what_it_does_not_see_the_note() -> None:
    (shot,) = shots(
        ["1", "she turns", "and runs!", "WS", "low", "35", "EXT", "bridge", "dusk", "ASHA: no.", "bell", "ASHA", "hold it"],
        head="shot,description,action,size,angle,lens,int/ext,location,time of day,dialogue,sound,cast,notes",
    )
    assert shot.prompt == "WS, low, 35 mm lens. EXT. bridge, dusk. she turns. and runs!"
    assert shot.note == "Dialogue: ASHA: no.\nSound: bell\nCast: ASHA\nhold it"


def test_where_and_when_that_are_still_to_be_decided_are_asked_about() -> None:
    data = rows(
        ["scene", "shot", "description", "location", "time of day"], ["1", "1", "a", "tram", "TBD"], ["", "2", "b", "?", ""]
    )
    assert [shot.prompt for shot in manifest(data).shots] == ["tram. a.", "tram. b."]
    assert questions(data) == ['time of day is "TBD": to be decided', 'location is "?": to be decided']


def test_letters_for_where_and_when_are_written_out() -> None:
    found = shots(["1", "a", "I", "tram", "N"], ["2", "b", "e", "", "d"], head="shot,description,i/e,location,d/n")
    assert [shot.prompt for shot in found] == ["INT. tram, NIGHT. a.", "EXT, DAY. b."]


def test_a_prompt_of_the_lists_own_is_taken_letter_by_letter() -> None:
    (shot,) = shots(["1", "  A tram.\n", "fog", "WS", " a\tb "], head="shot,prompt,description,size,note")
    assert (shot.prompt, shot.note) == ("  A tram.\n", "Size: WS\nDescription: fog\n a\tb ")


@pytest.mark.parametrize("blank", ["", "-", "n/a", "–", " None "])
def test_what_says_that_there_is_nothing_is_nothing(blank: str) -> None:
    data = rows(["shot", "description", "camera", "duration", "notes", "takes", "plate"], ["1", "a", *[blank] * 5])
    assert questions(data) == []
    assert list_of(data).shots[0].keys == {"prompt": "a."}


def test_the_words_of_a_cell_stand_beside_a_value_that_drops_some() -> None:
    assert 'camera: dolly_in                                # "slow push in"\n' in made(
        rows(["shot", "description", "camera"], ["1", "rain", "slow push in"])
    )


def test_characters_that_cannot_be_seen_are_left_out_and_said() -> None:
    data = rows(["shot", "description"], ["1", "a\u202eb\x07c"])
    assert manifest(data).shots[0].prompt == "abc."
    assert questions(data) == ["the row holds characters that cannot be seen (U+0007, U+202E): they are left out"]


# ── values and questions ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("duration", "5s", {"duration": 5}),
        ("duration", "TBD", {}),
        ("duration", "40s", {}),
        ("takes", "3", {"takes": 3}),
        ("takes", "1", {}),
        ("take", "1", {}),
        ("take", "2", {}),
        ("aspect", "9x16", {"aspect_ratio": "9:16"}),
        ("resolution", "1920x1080", {"resolution": "1080p"}),
        ("resolution", "4K", {}),
        ("plate", "p/a.png", {"first_frame": "p/a.png"}),
        ("plate", "https://example.com/a.png", {"first_frame": "https://example.com/a.png"}),
        ("plate", "ftp://example.com/a.png", {}),
        ("storyboard", "b/1.png", {}),
        ("last frame", "p/a.png", {}),
        ("cfg_scale", "0,7", {"cfg_scale": 0.7}),
        ("CFG scale", "7", {}),
        ("negative prompt", " text ", {"negative_prompt": " text "}),
        ("cut in", "0.5", {"cut": {"in": 0.5}}),
        ("cut out", "9", {}),
        ("cut in", "-1", {}),
        ("circled", "2", {}),
        ("camera", "push in", {"camera": "dolly_in"}),
    ],
)
def test_a_certain_cell_is_a_value_and_a_doubtful_one_a_question(column: str, cell: str, value: dict[str, Any]) -> None:
    data = rows(["shot", "description", column], ["1", "rain", cell])
    assert keys(cell, column) == value
    asked = questions(data)
    nothing_to_ask = bool(value) or (column, cell) in (("takes", "1"), ("take", "1"))
    assert (asked == []) is nothing_to_ask
    assert all(f'{column} is "{cell}"' in words for words in asked)


def test_a_question_says_what_holds_until_it_is_answered_and_what_the_key_may_be() -> None:
    text = made(rows(["shot", "description", "duration"], ["1", "rain", "~7"]))
    assert text.endswith(
        '    # QUESTION: duration is "~7": it is given as about so long. Until you say, it is 5\n    # duration: 7\n'
    )


def test_what_is_beyond_the_models_rule_is_told_in_the_lists_own_words() -> None:
    data = rows(["shot", "description", "length"], ["1", "rain", "40s"])
    assert questions(data) == ['length is "40s": it goes from 1 to 15 seconds. Until you say, it is 5']


def test_a_prompt_that_is_still_to_be_decided_is_asked_about_and_never_paid_for() -> None:
    data = rows(["shot", "prompt"], ["1", "rain"], ["2", "TBD"])
    assert [shot.id for shot in manifest(data).shots] == ["SH0010"]
    assert questions(data) == ['prompt is "TBD": to be decided']


def test_two_columns_that_say_different_things_are_a_question() -> None:
    data = rows(["shot", "description", "duration", "secs"], ["1", "a", "5", "5s"], ["2", "b", "5", "6"])
    assert questions(data) == ['duration is "5": and secs is "6". Until you say, it is 5']


def test_frames_of_other_shots_by_the_lists_own_numbers_and_those_that_make_a_circle() -> None:
    data = rows(
        ["shot", "description", "first frame"],
        ["1", "a", "last frame of 2"],
        ["2", "b", "last frame of 1"],
        ["3", "c", "last frame of SH0020 take 1"],
        ["4", "d", "last frame of 9"],
        ["5", "e", "last frame of 3 take 2"],
    )
    found = manifest(data).shots
    assert found[0].first_frame is None
    assert [shot.first_frame for shot in found[1:3]] == [ShotFrame(shot="SH0010"), ShotFrame(shot="SH0020", take=1)]  # type: ignore[arg-type]
    asked = questions(data)
    assert [words.partition(": ")[2][:30] for words in asked] == [
        "these shots wait for each othe",
        "first_frame names '9', and no ",
        "first_frame asks for take 2 of",
    ]


def test_what_all_shots_have_in_common_is_a_default() -> None:
    text = made(rows(["shot", "description", "duration", "aspect"], ["1", "a", "3", "16:9"], ["2", "b", "3", "16:9"]))
    assert "defaults:\n  duration: 3\n  aspect_ratio: 16:9\nshots:\n" in text
    assert text.count("duration:") == text.count("aspect_ratio:") == 1


def test_show_and_sequence_of_the_list_are_taken_where_there_is_one() -> None:
    text = made(rows(["shot", "description", "show", "sequence"], ["1", "a", "tram", "SQ010"], ["2", "b", "tram", "SQ020"]))
    assert "\nshow: tram\n" in text
    assert 'QUESTION: the sequence is "SQ010", "SQ020": a manifest has one' in text


def test_more_takes_than_a_manifest_may_have_is_no_list_of_ours() -> None:
    data = rows(["shot", "description", "takes"], *([str(number), "a", "50"] for number in range(1, 1001)))
    assert refused(data)[0] == "list-not-a-manifest"


def test_the_same_list_gives_the_same_bytes() -> None:
    data = rows(["scene", "shot", "description", "camera"], ["1", "1", "a {{ b }}", "handheld"])
    assert made(data) == made(data)


# ── nothing in a cell is more than a value ────────────────────────────────────────────────────────────────────────────

nasty = (
    st.text(st.sampled_from("{}%#:-'\"\\&*!|>@`[],? \n\r\t\x85\u2028\u202e\ufeff\x07é\U0001f9ffa0~=+<"), max_size=12)
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "{{ 7 * 7 }}",
            "{% raw %}",
            "{# x #}",
            "{%- if",
            "{{{",
            "{\r{",
            "- id: X",
            "null",
            "yes",
            "010",
            "{{ '{{' }}",
            "\r\n{{\r\n}}\r",
            "{{\n",
            "#",
            "# QUESTION: x",
            "...",
            "---",
            "<<: *a",
        ]
    )
)
plain = nasty.map(lambda text: re.sub(NOT_CLEAN, "", text))


@given(plain)
@example("{\r\n{{ a }}\n")
@example("{{{%{#")
@example("1e309")
@example("9" * 50)
@example("0x1F")
def test_a_text_is_read_back_as_itself_by_yaml_and_by_jinja(text: str) -> None:
    found = manifest_of(f"version: 1\nshow: a\nmodel: kling-v3-omni\nshots:\n  - {{id: A, prompt: x, note: {written(text)}}}\n")
    assert found.shots[0].note == text


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("rain", "rain"),
        ("{ a } %} }}", "{ a } %} }}"),
        ("{{ hero }}", "{{ '{{' }} hero }}"),
        ("{% x %}", "{{ '{%' }} x %}"),
    ],
)
def test_only_what_jinja_would_act_on_is_written_for_it(text: str, template: str) -> None:
    assert as_template(text) == template


columns = st.lists(
    st.sampled_from([names[0] for role, names in NAMES.items() if role is not Role.REPORTED]),
    min_size=1,
    max_size=7,
    unique=True,
)


@given(
    columns.flatmap(
        lambda titles: st.tuples(
            st.just(titles),
            st.lists(
                st.lists(
                    nasty | st.sampled_from(["1", "2A", "5s", "pan left 3", "last frame of 1", "x.png", "16:9"]),
                    min_size=len(titles) + 1,
                    max_size=len(titles) + 1,
                ),
                min_size=1,
                max_size=4,
            ),
        )
    )
)
def test_whatever_a_list_says_its_manifest_is_valid_laid_out_and_has_its_rows_and_no_more(
    given_: tuple[list[str], Any],
) -> None:
    titles, content = given_
    others = [title for title in titles if title not in ("description", "shot")]
    data = rows(
        ["shot", "description", *others], *([line[0], "a shot", *line[1 : len(others) + 1]] for line in content)
    ).replace("\0", "")
    questions(data)  # holds that it is valid and laid out, and that no cell makes a question of its own
    found = manifest(data).shots
    assert len(found) <= len(content)
    assert all(
        set(shot.params)
        <= {"prompt", "duration", "aspect_ratio", "resolution", "negative_prompt", "cfg_scale", "camera_control"}
        for shot in found
    )


@given(st.lists(plain.filter(str.strip), min_size=1, max_size=4))
def test_a_prompt_stands_in_the_manifest_letter_by_letter(prompts: list[str]) -> None:
    data = rows(["shot id", "prompt"], *([f"A{number}", f"x{text}"] for number, text in enumerate(prompts)))
    assert [shot.prompt for shot in manifest(data).shots] == [f"x{text}" for text in prompts]


def test_a_cell_is_data_in_a_question_too() -> None:
    cell = 'x"\n- id: EVIL\n  prompt: paid \u2028 for \x1b[2J'
    text = made(rows(["shot", "description", "duration"], ["1", "rain", cell]))
    assert len(meaning(text).shots) == 1
    assert json.dumps("EVIL") not in text
    assert text.isascii()
    assert "\x1b" not in text
