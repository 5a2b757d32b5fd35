"""The review page as text: what may stand in it, and what it says of a show."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters.resources import page_part
from manifest_runner.core.model import JobState, Lockfile, ShotId
from manifest_runner.core.planning import World, make_plan
from manifest_runner.core.requests import request_of
from manifest_runner.views.report import PARTS, SCRIPTS, STYLES, Embedded, json_in_html, report_page
from manifest_runner.views.report_shots import Before, Clip, Review, report_data
from manifest_runner.views.status import standings
from tests.builders import CARD, entry, manifest_of

PAGE = {name: page_part(name) for name in PARTS}
HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "{{ script }} {{ data }}", "\u2028\u2029", "a\u202eb",
           "<img src=x onerror=alert(1)>", "\\u003c/script>", "&lt;", "]]>", "\x00\ud800"]


class Elements(HTMLParser):
    """Every element with its attributes, and the text inside each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data


def review(text: str, *, old: str | None = None, made: dict[str, str] | None = None, draft: bool = False) -> dict[str, Any]:
    """The data of a show whose clips were made from the prompts `made`, and of which a revision `old` is told."""
    manifest = manifest_of(text)
    entries = {}
    for shot in manifest.shots:
        if made is not None and shot.id in made:
            request = request_of(shot, CARD, lambda _: "url:x")
            request = type(request)(model=request.model, params={**request.params, "prompt": made[shot.id] or shot.prompt})
            entries[shot.id, 1] = entry(request, shot=shot.id)
    lockfile = Lockfile(entries=entries)
    plan = make_plan(manifest, CARD, World(lockfile=lockfile, jobs={}, pictures={}, file_state=lambda *_: "present"))
    before = None
    if old is not None:
        before = Before(name="main", commit="0123456789abcdef", shots={shot.id: shot for shot in manifest_of(old).shots})
    clips = {where: Clip(address="a.mp4") for where in entries}
    return report_data(Review(manifest=manifest, card=CARD, plan=plan, rows=standings(plan, {}, manifest), lockfile=lockfile,
                              clips=clips, pictures={}, draft=draft, before=before))


@given(st.recursive(st.none() | st.booleans() | st.text() | st.sampled_from(HOSTILE), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text() | st.sampled_from(HOSTILE), inner, max_size=3), max_leaves=8))
def test_data_comes_back_as_it_was_and_no_text_can_end_its_element(value: Any) -> None:
    text = json_in_html({"value": value})
    assert json.loads(text) == {"value": value}
    assert text.isascii()
    assert not set(text) & set("<>&\u2028\u2029\x00")


@pytest.mark.parametrize("hostile", HOSTILE[:-1])
def test_whatever_texts_say_the_page_has_the_same_elements(hostile: str) -> None:
    plain, bad = (Elements(report_page({"a": words}, PAGE, title=words)) for words in ("plain", hostile))
    assert [tag for tag, _ in plain.found] == [tag for tag, _ in bad.found]
    assert json.loads(bad.texts["data"]) == {"a": hostile}


def test_the_policy_lets_nothing_run_or_load_but_the_pages_own() -> None:
    page = Elements(report_page({}, PAGE, title="x"))
    (policy,) = [found["content"] for tag, found in page.found if tag == "meta" and found.get("http-equiv")]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    hashed = {name: f"'sha256-{base64.b64encode(hashlib.sha256(page.texts[name].encode()).digest()).decode()}'"
              for name in ("script", "style")}
    assert rules == {"default-src": "'none'", "script-src": hashed["script"], "style-src": hashed["style"], "img-src": "data:",
                     "media-src": "'self' file: data:", "base-uri": "'none'", "form-action": "'none'"}


def test_the_page_asks_for_nothing_and_never_reads_text_as_markup() -> None:
    script = "".join(PAGE[name] for name in SCRIPTS)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(|XMLHttp", script)
    assert "</script" not in script.lower()
    assert "</style" not in "".join(PAGE[name] for name in STYLES).lower()
    everything = "".join(PAGE.values())
    assert set(re.findall(r"https?://[^\"'\s)]+", everything)) <= {"http://www.w3.org/2000/svg"}
    assert "url(" not in everything


def test_the_same_data_gives_the_same_bytes_and_clips_can_travel_inside() -> None:
    page = report_page({"a": 1}, PAGE, title="x", clips=[Embedded(name="clip0", base64="AAAA")])
    assert page == report_page({"a": 1}, PAGE, title="x", clips=[Embedded(name="clip0", base64="AAAA")])
    assert Elements(page).texts["clip0"] == "AAAA"


# ── what the page says ──────────────────────────────────────────────────────────────────────────────────────────────

ONE = "shots:\n  - {id: A, prompt: 'A tram stops.', duration: 5, cut: {in: 0.5, out: 3}, camera: {move: pan_left, amount: 3}}\n"


def test_a_shot_comes_with_its_cut_its_camera_and_its_price() -> None:
    (shot,) = review(ONE)["shots"]
    assert (shot["length"], shot["from"], shot["to"], shot["seconds"]) == (5.0, 0.5, 3, 2.5)
    assert shot["camera"] == {"words": "pan left 3", "most": 10, "moves": [{"word": "pan_left", "amount": 3}]}
    assert (shot["state"], shot["cost"], shot["price"]) == ("new", "145", "5 s × 29 = 145")
    assert ["Duration", "5"] in shot["facts"]


def test_without_a_revision_a_changed_prompt_is_held_against_the_clips_own() -> None:
    (shot,) = review(ONE, made={"A": "A bus stops."})["shots"]
    assert shot["prompt"] == [["same", "A "], ["removed", "bus"], ["added", "tram"], ["same", " stops."]]
    assert (shot["base"], shot["state"], shot["since"]) == ("the clip", "changed", None)
    assert shot["takes"][0]["reasons"] == ["prompt changed"]


def test_with_a_revision_it_is_held_against_that_and_all_other_changes_are_told() -> None:
    old = "shots:\n  - {id: A, prompt: 'A red tram stops.', duration: 4, camera: static}\n"
    (shot,) = review(ONE, old=old, made={"A": ""})["shots"]
    assert shot["base"] == "main"
    assert ["removed", "red "] in shot["prompt"]
    assert shot["since"] == {"kind": "changed", "words": [
        "prompt", "duration 4 → 5", "camera static → pan left 3", "cut 0–end → 0.5–3"]}
    assert ["removed", " The camera is static."] not in shot["prompt"], "the camera is told as a camera"
    assert shot["state"] == "done"


def test_shots_that_are_new_or_gone_since_a_revision_say_so() -> None:
    assert review(ONE, old="shots:\n  - {id: B, prompt: x}\n")["shots"][0]["since"] == {"kind": "new", "words": []}
    assert review(ONE, old=ONE)["shots"][0]["since"] == {"kind": "same", "words": []}


def test_only_the_take_that_a_person_circled_is_circled_and_one_is_always_in_the_cut() -> None:
    for more, wanted in (("", [(False, False), (True, False)]), (", circled: 1", [(True, True), (False, False)])):
        (shot,) = review(f"shots:\n  - {{id: A, prompt: x, takes: 2{more}}}\n")["shots"]
        assert [(take["cut"], take["circled"]) for take in shot["takes"]] == wanted


def test_a_draft_names_no_job_and_no_money_but_the_list_price() -> None:
    shot = (data := review(ONE, made={"A": ""}, draft=True))["shots"][0]
    assert (data["total"], shot["cost"], shot["takes"][0]["charged"], shot["takes"][0]["job"]) == ("", "", "", "")
    assert "145" in shot["price"]


def test_a_clip_that_is_other_than_asked_asks_to_be_looked_at() -> None:
    other = review(ONE.replace("duration: 5", "duration: 8"), made={"A": ""})["shots"][0]
    assert (other["state"], other["takes"][0]["remarks"]) == ("attention", ["it is 5 s long, 8 s were asked for"])


def test_a_clip_that_somebody_accepted_is_shown_and_asks_for_nothing() -> None:
    circled = ONE.replace("duration: 5", "duration: 8, circled: 1")
    other = review(circled, made={"A": ""})["shots"][0]
    assert (other["state"], other["takes"][0]["remarks"]) == ("done", ["accepted as it is: it is 5 s long, 8 s were asked for"])


def test_a_shot_that_failed_asks_to_be_looked_at() -> None:
    manifest = manifest_of(ONE)
    failed = entry(request_of(manifest.shots[0], CARD, lambda _: ""), shot="A", state=JobState.FAILED)
    lockfile = Lockfile(entries={(ShotId("A"), 1): failed})
    plan = make_plan(manifest, CARD, World(lockfile=lockfile, jobs={}, pictures={}, file_state=lambda *_: "present"))
    data = report_data(Review(manifest=manifest, card=CARD, plan=plan, rows=standings(plan, {}, manifest), lockfile=lockfile,
                              clips={}, pictures={}, draft=False))
    assert data["shots"][0]["state"] == "attention"


