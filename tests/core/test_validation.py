"""Every mistake at once, once each, where it was written; and the shots that come out of a manifest without any."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.expansion import Filled, load
from manifest_runner.core.explain import shown
from manifest_runner.core.model import (
    Cut,
    Diagnostic,
    FileFrame,
    FramePosition,
    Limits,
    Manifest,
    Rate,
    Severity,
    ShotFrame,
    ShotId,
    UrlFrame,
)
from manifest_runner.core.modelcard import override
from manifest_runner.core.validation import MOST_MISTAKES, check, parse_rate
from manifest_runner.errors import UsageError

CARD = load_card("kling-v3-omni")
HEAD = "version: 1\nshow: monsoon\nmodel: kling-v3-omni\n"
NAMES = [f"SH{number:04d}" for number in range(10, 90, 10)]


class NoFiles:
    """A manifest that includes nothing."""

    def read(self, path: str) -> bytes:
        raise UsageError(f"{path} is not there")


def filled(text: str, path: str = "monsoon.yaml") -> Filled:
    return load(text.encode(), path=path, sources=NoFiles())[0]


def checked(text: str) -> list[Diagnostic]:
    return check(filled(text), CARD)[1]


def valid(text: str, path: str = "monsoon.yaml") -> Manifest:
    manifest, diagnostics = check(filled(text, path), CARD)
    assert diagnostics == []
    assert manifest is not None
    return manifest


def shots(*bodies: str, head: str = HEAD) -> str:
    """A manifest of shots that have an id and a prompt, and one more line each where the body is not empty."""
    lines = [f"  - id: {name}\n    prompt: rain\n" + (f"    {body}\n" if body else "")
             for name, body in zip(NAMES, bodies, strict=False)]
    return f"{head}shots:\n{''.join(lines)}"


def told(text: str) -> list[tuple[str, int]]:
    """Code and line of all that is said."""
    return [(item.code, item.source.line if item.source else 0) for item in checked(text)]


def only(text: str) -> Diagnostic:
    found = checked(text)
    assert len(found) == 1, found
    return found[0]


# ── what comes out ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_valid_manifest_becomes_shots() -> None:
    manifest = valid("""\
version: 1
show: monsoon
sequence: SQ010
model: kling-v3-omni
defaults: {resolution: 1080p, negative_prompt: text}
limits: {concurrency: 8, rate: 30/min, credits: 5000.5}
shots:
  - id: SH0010
    note: the tram
    prompt: A tram.
    duration: 6.0
    camera: {move: truck_right, amount: 4}
    takes: 3
    circled: 2
    cut: {in: 0.5, out: 4.5}
  - id: SH0020
    prompt: Rain.
    camera: static
    first_frame: {shot: SH0010}
  - id: SH0030
    prompt: A bridge.
    first_frame: plates/in.png
    last_frame: https://example.org/out.png?size=2
""")
    first, second, third = manifest.shots
    assert (manifest.show, manifest.sequence, manifest.model) == ("monsoon", "SQ010", "kling-v3-omni")
    assert manifest.limits == Limits(concurrency=8, rate=Rate(count=30, per=60), credits=Decimal("5000.5"))
    assert dict(first.params) == {
        "prompt": "A tram.", "duration": 6, "aspect_ratio": "16:9", "resolution": "1080p", "negative_prompt": "text",
        "camera_control": {"type": "simple", "config": {"horizontal": 4}}}
    assert repr(first.params["duration"]) == "6"
    assert (first.takes, first.circled, first.cut, first.note) == (3, 2, Cut(start=0.5, end=4.5), "the tram")
    assert first.camera is not None
    assert first.camera.words == "truck right 4"
    assert second.prompt == "Rain. The camera is static."
    assert "camera_control" not in second.params
    assert second.first_frame == ShotFrame(shot=ShotId("SH0010"), frame=FramePosition.LAST)
    assert (third.first_frame, third.last_frame) == (
        FileFrame(path="plates/in.png"), UrlFrame(url="https://example.org/out.png?size=2"))


@pytest.mark.parametrize(("path", "line", "output"), [
    ("shows/monsoon.yaml", "", "renders/monsoon"),
    ("monsoon.yml", "", "renders/monsoon"),
    ("monsoon.yaml.j2", "", "renders/monsoon"),
    ("monsoon.v2.yaml", "", "renders/monsoon.v2"),
    ("monsoon.yaml", "output: out/clips/\n", "out/clips"),
    ("monsoon.yaml", "output: résumé reels\n", "résumé reels"),
])
def test_clips_go_to_a_folder_of_the_manifests_name_unless_it_says_otherwise(path: str, line: str, output: str) -> None:
    assert valid(shots("", head=HEAD + line), path).output == output


def test_defaults_that_need_a_shots_own_values_are_no_mistake() -> None:
    manifest = valid(HEAD + """\
defaults: {note: "{{ shot }} in {{ lens }}"}
shots: [{id: "A-{{ lens }}", matrix: {lens: [35mm, 85mm]}, prompt: rain}]
""")
    assert [shot.note for shot in manifest.shots] == ["A-35mm in 35mm", "A-85mm in 85mm"]


# ── the schema, in the user's words ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("body", "code", "message", "hint"), [
    ("duraton: 5", "unknown-key", "duraton is not a known key", "did you mean duration?"),
    ("image_url: x", "unknown-key", "image_url is not a known key", "write first_frame"),
    ("duration: five", "wrong-type", "duration must be a number, not the text 'five'", None),
    ('duration: "5"', "wrong-type", "duration must be a number, not the text '5'", "write it without quotation marks"),
    ("duration:", "wrong-type", "duration is empty; it must be a number", "write a value, or remove the line"),
    ("takes: true", "wrong-type", "takes must be a whole number, not true", None),
    ("takes: 1.5", "wrong-type", "takes must be a whole number, not 1.5", None),
    ("duration: 20", "out-of-range", "duration is 20; it must be between 1 and 15 seconds", None),
    ("takes: 0", "out-of-range", "takes is 0; it must be between 1 and 50", None),
    ("circled: 51", "out-of-range", "circled is 51; it must be between 1 and 50", None),
    ("cfg_scale: 1.01", "out-of-range", "cfg_scale is 1.01; it must be between 0 and 1", None),
    ("cut: {in: -1}", "out-of-range", "cut.in is -1; it must be at least 0 seconds", None),
    ("resolution: 4k", "not-one-of", "resolution is '4k'; it must be one of 720p, 1080p", None),
    ("resolution: 720", "not-one-of", "resolution is 720; it must be one of 720p, 1080p", "did you mean 720p?"),
    ("aspect_ratio: wide", "bad-format", "aspect_ratio is 'wide'; it must be two numbers and a colon", "for example 16:9"),
    ("first_frame: 5", "wrong-type", "first_frame must be a path, an address or {shot: SH0010}, not 5", None),
    ("first_frame: {shot: A, frame: middle}", "not-one-of", "first_frame.frame is 'middle'; it must be one of first, last",
     None),
    ("first_frame: {frame: last}", "missing-key", "first_frame has no shot", None),
    ("first_frame: {shoot: A}", "unknown-key", "shoot is not a known key", "did you mean shot?"),
    ("camera: {move: truck_right, amount: 11}", "out-of-range", "camera.amount is 11; it must be between 0 and 10", None),
    ("camera: {type: simple, config: {pan: 11}}", "out-of-range", "camera.config.pan is 11; it must be between -10 and 10",
     None),
    ("camera: {type: simple, config: {paan: 1}}", "unknown-key", "paan is not a known key", "did you mean pan?"),
    ("camera: [pan_left]", "wrong-type",
     "camera must be a film word, {move: …, amount: …} or {type: …, config: …}, not a list", None),
])
def test_a_mistake_in_a_shot_is_told_in_the_users_words(body: str, code: str, message: str, hint: str | None) -> None:
    found = only(shots(body))
    assert (found.code, found.message, found.hint) == (code, message, hint)
    assert found.source is not None
    assert found.source.line == 7


@pytest.mark.parametrize("camera", ["pan-left", "{move: Pan Left}", "panleft"])
def test_a_camera_word_that_is_nearly_right_is_answered_with_the_right_one(camera: str) -> None:
    found = only(shots(f"camera: {camera}"))
    assert (found.code, found.hint) == ("not-one-of", "did you mean pan_left?")


@pytest.mark.parametrize(("line", "code"), [
    ("sequence: a/b", "bad-format"),
    ('sequence: "SQ010\\n"', "bad-format"),
    ("title: 5", "wrong-type"),
    ("output: ../clips", "bad-format"),
    ("output: /clips", "bad-format"),
    ("output: a/../../b", "bad-format"),
    ("output: .git/hooks", "bad-format"),
    ("output: C:/clips", "bad-format"),
    ("output: a\\b", "bad-format"),
    ('output: "clips\\n"', "bad-format"),
    ("limits: {rate: 30/day}", "bad-format"),
    ("limits: {rate: 0/s}", "bad-format"),
    ("limits: {credits: -1}", "out-of-range"),
    ("limits: {concurrency: 1001}", "out-of-range"),
    ("limits: {speed: 1}", "unknown-key"),
    ("gateway: https://example.org", "operator-setting"),
    ("Callback-URL: https://example.org", "operator-setting"),
    ("limits: {max_credits: 5}", "operator-setting"),
    ("defaults: {api_key: abc}", "operator-setting"),
    ("defaults: {id: SH0010}", "unknown-key"),
    ("defaults: 5", "wrong-type"),
    ("colour: red", "unknown-key"),
])
def test_a_mistake_above_the_shots_is_told_where_it_stands(line: str, code: str) -> None:
    found = only(shots("", head=HEAD + line + "\n"))
    assert found.code == code
    assert found.source is not None
    assert found.source.line == 4


@pytest.mark.parametrize("key", ["version", "show", "model", "shots"])
def test_what_a_manifest_must_have_is_missed(key: str) -> None:
    lines = {"version": "1", "show": "m", "model": "kling-v3-omni", "shots": "[{id: A, prompt: x}]"}
    found = only("".join(f"{name}: {value}\n" for name, value in lines.items() if name != key))
    assert (found.code, found.message) == ("missing-key", f"the manifest has no {key}")


@pytest.mark.parametrize(("name", "value", "message"), [
    ("version", "2", "version is 2; it must be 1"),
    ("version", "true", "version must be a whole number, not true"),
    ("model", "kling-v3-onmi", "model is 'kling-v3-onmi'; it must be kling-v3-omni"),
])
def test_another_version_or_model_is_refused(name: str, value: str, message: str) -> None:
    lines = {"version": "1", "show": "m", "model": "kling-v3-omni", "shots": "[{id: A, prompt: x}]", name: value}
    messages = {item.message for item in checked("".join(f"{key}: {text}\n" for key, text in lines.items()))}
    assert message in messages


def test_a_shot_without_a_prompt_is_missed_at_the_shot() -> None:
    found = only(HEAD + "shots:\n  - id: SH0010\n")
    assert (found.code, found.message, found.pointer) == ("missing-key", "this shot has no prompt", "/shots/0")
    assert found.source is not None
    assert (found.source.line, found.source.column) == (5, 5)


def test_an_unknown_key_is_told_at_the_key_and_a_wrong_value_at_the_value() -> None:
    found = checked(shots("cut: {inn: 1, out: x}"))
    assert [(item.code, item.source and item.source.column) for item in found] == [("unknown-key", 11), ("wrong-type", 24)]


@pytest.mark.parametrize("body", ["[]", "[hello]", "5", "[{}]"])
def test_shots_that_are_none_are_refused_without_a_crash(body: str) -> None:
    assert checked(f"{HEAD}shots: {body}\n")


def test_an_operators_secret_is_never_repeated() -> None:
    found = only(shots("", head=HEAD + "api_key: sk-canary\n"))
    assert "canary" not in repr(found)


# ── all at once, each once ────────────────────────────────────────────────────────────────────────────────────────


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = shots("duration: 20", "takes: 0", "first_frame: {shot: SH0099}", "circled: 2", head=HEAD + "colour: red\n")
    assert told(text) == [("unknown-key", 4), ("out-of-range", 8), ("out-of-range", 11), ("unknown-shot", 14),
                          ("unknown-take", 17)]


def test_a_wrong_default_is_one_mistake_however_many_shots_have_it() -> None:
    text = shots(*[""] * 8, head=HEAD + "defaults: {duration: 20, prmpt: x}\n")
    assert told(text) == [("out-of-range", 4), ("unknown-key", 4)]


def test_nothing_is_said_of_a_value_whose_template_failed_and_no_manifest_comes_out() -> None:
    text = shots('last_frame: a.png\n    first_frame: "{{ nope }}"', 'duration: "{{ nope }}"',
                 "camera: {move: '{{ nope }}'}", "first_frame: {shot: '{{ nope }}'}")
    manifest, diagnostics = check(filled(text), CARD)
    assert (manifest, diagnostics) == (None, [])


def test_a_shot_whose_id_failed_may_be_the_one_that_is_asked_for() -> None:
    text = HEAD + 'shots:\n  - {id: "{{ nope }}", prompt: x}\n  - {id: B, prompt: x, first_frame: {shot: A}}\n'
    assert checked(text) == []


def test_no_rule_draws_conclusions_from_a_value_that_was_wrong() -> None:
    text = shots("last_frame: a.png\n    first_frame: 5", "cut: {in: 6}\n    duration: x", "circled: 2\n    takes: none",
                 "first_frame: {shot: SH0030, take: 2}")
    assert [code for code, _ in told(text)] == ["wrong-type"] * 3


def test_a_last_frame_beside_a_wrong_duration_is_one_mistake_on_any_card() -> None:
    card = override(CARD, {"frames": {"last_duration": 7}})  # so that the default of 5 seconds would not do
    text = shots("first_frame: a.png\n    last_frame: b.png\n    duration: x")
    assert [item.code for item in check(filled(text), card)[1]] == ["wrong-type"]


def test_a_hostile_manifest_is_answered_with_so_many_mistakes_and_no_more() -> None:
    text = HEAD + "shots:\n" + "".join(f"  - {{id: S{n}, prompt: x, k{n}: 1}}\n" for n in range(MOST_MISTAKES + 5))
    found = checked(text)
    assert len(found) == MOST_MISTAKES + 1
    assert found[0].code == "more-mistakes"


def test_however_many_warnings_there_are_they_are_no_mistake_and_hide_none() -> None:
    many = HEAD + "shots:\n" + "".join(f"  - {{id: S{n}, prompt: x, duration: 2.5}}\n" for n in range(MOST_MISTAKES + 5))
    found = checked(many)
    assert len(found) == MOST_MISTAKES + 1
    assert (found[0].code, found[0].severity) == ("more-warnings", Severity.WARNING)
    assert check(filled(many), CARD)[0] is not None
    wrong = checked(f"{many}  - {{id: S0, prompt: x}}\n")
    assert [item.code for item in wrong if item.severity is Severity.ERROR] == ["duplicate-id"]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("SH0010")
WILD = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["shot", "frame", "take", "move", "amount", "type", "config", "pan", "in", "out", "x"]), inner, max_size=3),
    max_leaves=6)
KEYS = st.sampled_from(["id", "prompt", "duration", "takes", "circled", "camera", "first_frame", "last_frame", "cut", "note",
                        "resolution", "aspect_ratio", "cfg_scale", "negative_prompt", "other"])


@given(st.lists(WILD | st.dictionaries(KEYS, WILD, max_size=6), max_size=4), st.dictionaries(
    st.sampled_from(["version", "show", "sequence", "limits", "output", "defaults", "vars"]), WILD, max_size=3))
def test_whatever_is_in_a_manifest_only_diagnostics_come_out(wild: list[Any], top: dict[str, Any]) -> None:
    base = filled(shots(""))
    data = {"version": 1, "show": "m", "model": CARD.name, **top, "shots": wild}
    manifest, diagnostics = check(Filled(path="m.yaml", data=data, origins=Anywhere(base), inputs={}), CARD)
    assert (manifest is None) == any(item.severity is Severity.ERROR for item in diagnostics)


class Anywhere:
    """Origins for data that no file holds: everything comes from the top."""

    def __init__(self, base: Filled) -> None:
        self._base = base

    def locate(self, pointer: tuple[str | int, ...], *, key: bool = False) -> Any:
        return self._base.origins.locate(())


# ── rules across shots ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first", "second", "word"), [
    ("SH0010", "SH0010", "another shot"), ("SH0010a", "sh0010A", "only in case"),
])
def test_two_shots_with_one_id_collide_and_the_first_is_pointed_at(first: str, second: str, word: str) -> None:
    found = only(HEAD + f"shots:\n  - {{id: {first}, prompt: x}}\n  - {{id: {second}, prompt: x}}\n")
    assert found.code == "duplicate-id"
    assert word in found.message
    assert [(note.message, note.source.line) for note in found.notes] == [(f"collides with {first}, which is here", 5)]


@pytest.mark.parametrize("name", ["SH0010\\n", "ＳＨ0010", "SH 10", "../x", ".x", "-x", "a/b", "é", "x" * 65])
def test_an_id_that_is_no_safe_file_name_everywhere_is_refused(name: str) -> None:
    assert told(HEAD + f'shots:\n  - id: "{name}"\n    prompt: x\n') in ([("bad-format", 5)], [("too-long", 5)])


@pytest.mark.parametrize("name", ["CON", "nul", "Aux.1", "COM1", "lpt9.x"])
def test_a_device_of_windows_is_no_id(name: str) -> None:
    assert told(HEAD + f"shots:\n  - {{id: {name}, prompt: x}}\n") == [("reserved-name", 5)]


def test_a_device_of_windows_is_no_show() -> None:
    assert told(shots("").replace("monsoon", "CON")) == [("reserved-name", 2)]


def test_a_frame_of_an_unknown_shot_is_answered_with_the_one_that_was_meant() -> None:
    found = only(shots("", "first_frame: {shot: SH010}"))
    assert (found.code, found.hint) == ("unknown-shot", "did you mean SH0010?")


def test_a_frame_may_come_from_a_later_shot() -> None:
    assert checked(shots("first_frame: {shot: SH0020}", "")) == []


@pytest.mark.parametrize(("bodies", "code", "line"), [
    (["first_frame: {shot: SH0010}"], "frame-self", 7),
    (["", "first_frame: {shot: SH0010, take: 2}"], "unknown-take", 9),
    (["circled: 2"], "unknown-take", 7),
    (["last_frame: a.png"], "last-frame-alone", 7),
    (["first_frame: a.png\n    last_frame: b.png\n    duration: 6"], "last-frame-duration", 9),
    (["cut: {in: 3, out: 3}"], "cut-range", 7),
    (["cut: {in: 5}"], "cut-range", 7),
    (["cut: {out: 5.5}"], "cut-range", 7),
    (["cut: {out: 0}"], "cut-range", 7),
    (["camera: {amount: 3}"], "camera-form", 7),
    (["camera: {move: static, type: simple}"], "camera-form", 7),
    (["camera: {config: {pan: 1}}"], "camera-form", 7),
    (["camera: {type: simple, config: {pan: 1}, amount: 3}"], "camera-form", 7),
    (["camera: {}"], "camera-form", 7),
])
def test_the_parts_of_a_shot_must_fit_each_other(bodies: list[str], code: str, line: int) -> None:
    assert told(shots(*bodies)) == [(code, line)]


@pytest.mark.parametrize("bodies", [
    ["takes: 2", "first_frame: {shot: SH0010, take: 2}"],
    ["takes: 3\n    circled: 3"],
    ["first_frame: a.png\n    last_frame: b.png"],
    ["first_frame: a.png\n    last_frame: b.png\n    duration: 5.0"],
    ["cut: {in: 0, out: 5}"],
    ["cut: {out: 9}\n    duration: 9"],
    ["camera: {type: down_back}"],
])
def test_parts_that_fit_are_let_through(bodies: list[str]) -> None:
    assert checked(shots(*bodies)) == []


def test_a_circle_of_frames_is_named_once_at_its_first_shot() -> None:
    text = shots("", "first_frame: {shot: SH0040}", "first_frame: {shot: SH0020}", "first_frame: {shot: SH0030}",
                 "first_frame: {shot: SH0020}")
    found = only(text)
    assert (found.code, found.source and found.source.line) == ("frame-cycle", 9)
    assert "SH0020 → SH0040 → SH0030 → SH0020" in found.message


def test_two_circles_are_two_mistakes() -> None:
    two = shots("first_frame: {shot: SH0020}", "first_frame: {shot: SH0010}", "first_frame: {shot: SH0040}",
                "first_frame: {shot: SH0030}")
    assert told(two) == [("frame-cycle", 7), ("frame-cycle", 13)]


FROM = "first_frame: {shot: SH00%s0}"


@pytest.mark.parametrize(("bodies", "lines"), [
    (["", FROM % 1, FROM % 2, FROM % 3, FROM % 4], []),  # four links
    (["", FROM % 1, FROM % 2, FROM % 3, FROM % 4, FROM % 5], [21]),
    (["", FROM % 1, FROM % 2, FROM % 3, FROM % 4, FROM % 5, FROM % 6, FROM % 7], [21]),  # one chain, told once
    (["", FROM % 1, FROM % 2, FROM % 3, FROM % 4, FROM % 5, FROM % 5], [21, 24]),  # two that part before their ends
    (["", FROM % 1, FROM % 2, FROM % 3, FROM % 4, FROM % 5, FROM % 6, FROM % 6], [21]),  # they part where it is long already
    (["first_frame: plates/a.png", FROM % 1, FROM % 2, "first_frame: plates/b.png", FROM % 4, FROM % 5], []),
    ([FROM % 2, FROM % 3, FROM % 4, FROM % 5, FROM % 6, ""], [7]),  # the other way round
    (["", *(FROM % number for number in range(1, 5)), f"{FROM % 1}\n    last_frame: {{shot: SH0050, frame: first}}"], [22]),
])
def test_a_chain_of_more_than_four_links_is_a_warning_where_the_fifth_is_written(bodies: list[str], lines: list[int]) -> None:
    assert [(code, line) for code, line in told(shots(*bodies)) if code != "last-frame-duration"] == [
        ("long-chain", line) for line in lines]


def test_a_long_chain_is_named_from_its_beginning() -> None:
    found = only(shots("", *(FROM % number for number in range(1, 6))))
    assert found.severity is Severity.WARNING
    assert found.message.startswith("SH0010 → SH0020 → SH0030 → SH0040 → SH0050 → SH0060 is a chain of 5 links")


def test_a_chain_of_thousands_is_told_once_and_a_circle_is_no_chain() -> None:
    chain = "".join(f"  - {{id: S{n}, prompt: x, first_frame: {{shot: S{n + 1}}}}}\n" for n in range(2000))
    assert told(f"{HEAD}shots:\n{chain}  - {{id: S2000, prompt: x}}\n") == [("long-chain", 2000)]
    circle = [FROM % 6, FROM % 1, FROM % 2, FROM % 3, FROM % 4, FROM % 5]
    assert [code for code, _ in told(shots(*circle, FROM % 6))] == ["frame-cycle"]


@pytest.mark.parametrize(("frame", "code"), [
    ("ftp://example.org/a.png", "frame-url"),
    ("file:///etc/passwd", "frame-url"),
    ("data:image/png;base64,AA", "frame-url"),
    ("https://", "frame-url"),
    ("https://user:secret@example.org/a.png", "frame-url"),
    ("https://example.org/a b.png", "frame-url"),
    ("/etc/passwd", "frame-path"),
    ("~/a.png", "frame-path"),
    ("C:/a.png", "frame-path"),
    ("plates\\a.png", "frame-path"),
    ("plates/", "frame-path"),
])
def test_a_picture_is_a_relative_path_or_a_plain_web_address(frame: str, code: str) -> None:
    assert told(shots(f"first_frame: '{frame}'")) == [(code, 7)]


@pytest.mark.parametrize("frame", ["plates/a.png", "../plates/a.png", "http://127.0.0.1:8000/a.png", "HTTPS://example.org"])
def test_a_picture_of_the_repository_or_the_web_is_let_through(frame: str) -> None:
    assert checked(shots(f"first_frame: {frame}")) == []


@pytest.mark.parametrize("text", ["\x07", "\u202e", "\ud800"])
def test_a_prompt_made_of_what_cannot_be_seen_is_refused(text: str) -> None:
    base = filled(shots(""))
    base.data["shots"][0]["prompt"] = f"rain{text}\n"
    assert [item.code for item in check(base, CARD)[1]] == ["bad-format"]


@pytest.mark.parametrize("way", ["duration", "cfg_scale", "cut.out", "camera.amount", "limits.credits"])
def test_what_is_not_a_number_is_refused_although_it_passes_every_comparison(way: str) -> None:
    body = "cut: {out: 4}\n    camera: {move: pan_left, amount: 2}\n    duration: 5"
    base = filled(shots(body, head=HEAD + "limits: {credits: 5}\n"))
    *above, key = way.split(".")
    target = base.data if above == ["limits"] else base.data["shots"][0]
    for step in above:
        target = target[step]
    target[key] = float("nan")
    manifest, diagnostics = check(base, CARD)
    assert manifest is None
    assert "wrong-type" in [item.code for item in diagnostics]


# ── warnings ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("body", "code"), [
    ("duration: 5.5", "fractional-duration"),
    ("camera: {move: static, amount: 3}", "camera-amount"),
    ("camera: {type: simple, config: {pan: 1, tilt: 2}}", "camera-config"),
    ("camera: {type: simple}", "camera-config"),
    ("camera: {type: forward_up, config: {pan: 1}}", "camera-config"),
    ("camera: {type: spiral}", "camera-type"),
    (f"negative_prompt: x\n    prompt: {'x' * 2501}", "long-prompt"),
])
def test_what_upstream_advises_against_is_a_warning_and_the_manifest_comes_all_the_same(body: str, code: str) -> None:
    text = shots(body) if "prompt: x" not in body else HEAD + f"shots:\n  - id: A\n    {body}\n"
    manifest, diagnostics = check(filled(text), CARD)
    assert [(item.severity, item.code) for item in diagnostics] == [(Severity.WARNING, code)]
    assert manifest is not None


# ── rates, words, start-up ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "rate"), [
    ("2/s", Rate(count=2, per=1)), ("30/min", Rate(count=30, per=60)), ("500/h", Rate(count=500, per=3600)),
])
def test_a_rate_is_a_count_and_a_period(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "30", "0/s", "-1/s", "30/day", "30 / min", "30/min\n", "1e3/s", "9999999/s"])
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError):
        parse_rate(text)


@given(st.text() | st.integers(-10**400, 10**400) | st.floats())
def test_a_wrong_value_is_shown_short_on_one_line_and_printable(value: Any) -> None:
    assert len(shown(value)) <= 42
    assert shown(value).isprintable()


def test_a_manifest_without_mistakes_never_pays_for_the_explanation() -> None:
    code = ("import sys; from tests.core.test_validation import valid, shots; sys.modules.pop('jsonschema', None);"
            "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('jsonschema')];"
            "valid(shots('')); assert 'jsonschema' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
