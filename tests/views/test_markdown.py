"""The comment about a plan: what it says, how large it is, and that text which tries to be something else stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from manifest_runner.core.cutprice import locked_cut_total
from manifest_runner.core.model import (
    Change,
    Diagnostic,
    JobState,
    LockEntry,
    Lockfile,
    Manifest,
    Request,
    Severity,
    ShotId,
    Source,
)
from manifest_runner.views.markdown import (
    COMMENT,
    SUMMARY,
    Paper,
    Review,
    characters,
    figures,
    marker,
    mistakes_markdown,
    review_markdown,
    utf8,
)
from tests.builders import CARD, entry, manifest_of, plan_of, rendered, verdict

RUN = "https://h/o/r/actions/runs/1"
COMMENTED = Paper(room=COMMENT, measure=characters, marked=True, rest=f'see the <a href="{RUN}">job summary</a>')
SUMMARISED = Paper(room=SUMMARY, measure=utf8, marked=False, rest="<code>manifest-runner plan show.yaml</code>")
BEFORE = """\
shots:
  - {id: A, prompt: "Rain on her face.", duration: 5, camera: static}
  - {id: B, prompt: "The bridge.", first_frame: {shot: A, frame: last}, takes: 2}
  - {id: C, prompt: "The stop.", first_frame: in.png, duration: 3}
  - {id: D, prompt: "The lamp.", duration: 2}
  - {id: E, prompt: "The rail.", duration: 2}
"""
AFTER = (BEFORE.replace("her face", "her hands").replace("camera: static", "camera: {move: pan_left, amount: 2}")
         .replace("duration: 3}", "duration: 6}").replace("{id: D", "{id: F"))


def review_of(manifest: Manifest, lock: Mapping[tuple[str, int], LockEntry] | None = None, **more: Any) -> Review:
    pictures = {"in.png": "0" * 64}
    entries = {(ShotId(shot), take): value for (shot, take), value in (lock or {}).items()}
    before = locked_cut_total(manifest, CARD, Lockfile(entries=entries))
    plan = plan_of(manifest, lock=lock, pictures=pictures, **more)
    return Review(plan=plan, manifest=manifest, card=CARD, name="shows/show.yaml", cut_before=before)


def test_clips_that_nobody_has_accepted_are_named_and_stay_text() -> None:
    manifest = manifest_of("shots:\n" + "".join(f"  - {{id: S{n}, prompt: x}}\n" for n in range(10)))
    hostile = "<script>alert(1)</script> @everyone #1 **bold**\n\n# head"
    lock = {where: replace(block, verdict=verdict(hostile)) for where, block in rendered(manifest).items()}
    text = review_markdown(review_of(manifest, lock), COMMENTED)
    seen = Seen(MarkdownIt().render(text))
    assert "10 takes in the cut to look at:" in seen.text
    assert "script" not in seen.tags
    assert "@everyone" not in seen.loose
    assert text.count("S7 t1") == 1
    assert "S8 t1" not in text
    assert "2 more" in seen.text


def changed() -> Review:
    before = manifest_of(BEFORE)
    return review_of(manifest_of(AFTER), rendered(before, pictures={"in.png": "0" * 64}))


class Seen(HTMLParser):
    """What a browser would make of it: the elements, the text, and the text that stands in code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text, self.loose, self.code, self.comments = "", "", "", 0
        self.deep = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)
        self.deep += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self.deep -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.deep:
            self.code += data
        else:
            self.loose += data

    def handle_comment(self, data: str) -> None:
        self.comments += 1


def seen(markdown: str) -> Seen:
    return Seen(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def test_it_opens_with_its_marker_a_bold_line_and_a_small_table() -> None:
    lines = review_markdown(changed(), COMMENTED).splitlines()
    assert lines[:8] == [
        marker("shows/show.yaml"),
        "<p><b><code>shows/show.yaml</code>: 5 to render, 1 kept, 1 dropped. 667 credits (₹667).</b></p>",
        "",
        "| Takes | | Credits | |",
        "|:--|--:|:--|--:|",
        "| to render | 5 | now | 667 |",
        "| kept | 1 | delta of the cut | +87 |",
        "| dropped | 1 | total of the cut | 580 |",
    ]


def test_each_shot_is_folded_and_tells_what_changes_in_words() -> None:
    blocks = review_markdown(changed(), COMMENTED).split("<details>")[1:]
    assert [block.partition("</summary>")[0] for block in blocks] == [
        "<summary><b><code>A</code></b> · 145 credits · prompt changed · <code>camera static → pan left 2</code>",
        "<summary><b><code>B</code></b> takes 1, 2 · 290 credits · upstream take changed <code>A</code>",
        "<summary><b><code>C</code></b> · 174 credits · <code>duration 3 → 6</code>",
        "<summary><b><code>F</code></b> · 58 credits · new",
        "<summary><b><code>D</code></b> · removed",
    ]
    assert "Rain on her <del>face</del> <ins><b>hands</b></ins>." in blocks[0]
    assert "Camera: <code>pan left 2</code>, was <code>static</code>" in blocks[0]
    assert "First frame: the last frame of <code>A</code>, which is rendered first<br>" in blocks[1]
    assert "<code>duration</code> <code>3</code> → <code>6</code>" in blocks[2]
    assert "A take: 6 s × 29 = 174 credits" in blocks[2]
    assert "Prompt: <code>The lamp.</code>" in blocks[3]


def test_a_picture_that_takes_the_place_of_another_is_told_by_its_path() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x, first_frame: in.png}\n")
    lock = rendered(manifest, pictures={"in.png": "1" * 64})
    text = review_markdown(review_of(manifest, lock), COMMENTED)
    assert "145 credits · first frame changed</summary>" in text
    assert "First frame: the picture <code>in.png</code>, was another picture" in text


def test_clips_that_are_locked_and_not_here_are_kept_and_no_change() -> None:
    manifest = manifest_of(BEFORE)
    review = review_of(manifest, rendered(manifest, pictures={"in.png": "0" * 64}), files="missing")
    found = figures(review)
    assert (found.kept, found.changes, found.delta) == (6, False, 0)
    text = review_markdown(review, COMMENTED)
    assert "nothing to render, 6 kept. 0 credits (₹0)." in text
    assert "<details>" not in text


def test_what_is_unfinished_is_counted_and_named() -> None:
    manifest = manifest_of("shots:\n  - {id: A, prompt: x}\n")
    request = plan_of(manifest).changes[0].after
    assert request is not None
    review = review_of(manifest, {("A", 1): entry(request, shot="A", state=JobState.RUNNING)})
    text = review_markdown(review, COMMENTED)
    assert "nothing to render, 1 to finish, 0 kept." in text
    assert "<code>A</code></b> · unfinished <code>job_A_1</code>" in text
    assert figures(review).changes


def test_the_delta_has_a_sign() -> None:
    review = changed()
    assert "| delta of the cut | +87 |" in review_markdown(review, COMMENTED)
    assert "| delta of the cut | −1,420 |" in review_markdown(replace(review, cut_before=Decimal(2000)), COMMENTED)
    assert "| delta of the cut | 0 |" in review_markdown(replace(review, cut_before=review.plan.cut_total), COMMENTED)


def test_the_same_plan_gives_the_same_text_and_each_manifest_its_own_marker() -> None:
    assert review_markdown(changed(), COMMENTED) == review_markdown(changed(), COMMENTED)
    assert len({marker("a.yaml"), marker("b.yaml"), marker("--><b>"), marker("\ud800")}) == 4
    assert re.fullmatch("<!-- manifest-runner [0-9a-f]{32} -->", marker("-->\n@all"))


def many(number: int, prompt: str = "The bridge, empty. " * 20) -> Review:
    return review_of(manifest_of("shots:\n" + "".join(f"  - {{id: S{n:04}, prompt: '{prompt}'}}\n" for n in range(number))))


def test_many_shots_are_folded_into_one() -> None:
    text = review_markdown(many(40), COMMENTED)
    assert "<details><summary>40 shots</summary>\n\n<details>" in text
    assert text.count("<details>") == text.count("</details>") == 41


@pytest.mark.parametrize("prompt", ["The bridge, empty. " * 20, "पुल खाली है। " * 20, "🌉🌧 " * 40, "<&@#`>" * 40])
@pytest.mark.parametrize("paper", [COMMENTED, replace(SUMMARISED, room=20_000)])
def test_what_has_no_room_is_counted_and_said(paper: Paper, prompt: str) -> None:
    text = review_markdown(many(300, prompt), paper)
    assert paper.measure(text) <= paper.room
    (left,) = re.findall(r"\n([0-9,]+) more shots: ", text)
    assert paper.rest in text
    shown = text.count("<details><summary><b>")
    assert shown + int(left) == 300
    assert shown > 10
    assert text.count("<details>") == text.count("</details>")


def test_500_shots_with_long_prompts_have_room_in_the_summary() -> None:
    text = review_markdown(many(500), SUMMARISED)
    assert "more shot" not in text
    assert not text.startswith("<!--")


def test_an_astral_character_counts_twice() -> None:
    assert (characters("a🌉é"), utf8("a🌉é")) == (4, 7)


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</code></p></details>\n\n# big\n\n| a | b |\n|--|--|\n",
    "@everyone see #1, GH-2, o/r#3 and https://evil.example and www.evil.example",
    "![x](https://evil.example/track.png) [y](javascript:alert(1)) **bold** `code`",
    "\n::error file=x::owned\n::set-output name=changes::false\n##[set-output name=a]b",
    "--><!-- manifest-runner 0 -->",
    "\x1b[31m\u202etxet\u202c\u200b\x00",
    "$x$ :smile: 0123456789abcdef0123456789abcdef01234567",
    "```\n~~~\n<details open><summary>free</summary>",
    "&lt;b&gt; &#64;everyone",
]
PARTS = [*HOSTILE, "\n", "\n\n", "    ", "|", "`", "<", "\t"]
TAGS = {"p", "b", "code", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "br", "del", "ins", "ul", "li",
        "i", "a"}


def harmless(markdown: str) -> Seen:
    found = seen(markdown)
    assert found.tags <= TAGS
    assert {(name, value) for name, value in found.attributes if name != "style"} <= {("href", RUN)}
    assert found.comments == 1
    for sign in ("@", "#", "://", "www.", "GH-", "$", "\x1b", "\u202e"):
        assert sign not in found.loose, "nothing that GitHub would link stands outside code"
    assert not re.search(r"^\s*::|##\[", found.loose, re.MULTILINE)
    return found


def hostile_review(text: str) -> Review:
    """A change in which every value that a stranger can choose is `text`."""
    camera = {"type": text, "config": {text: 3}}
    params = {"prompt": text, "image_url": f"url:{text}", text or "x": text, "camera_control": camera}
    manifest = manifest_of("shots:\n  - {id: A, prompt: x, camera: pan_left}\n  - {id: B, prompt: x}\n")
    old = entry(Request(model=text, params=params), shot="A")
    lock = {("A", 1): old, (text or "x", 1): old,
            ("B", 1): replace(old, state=JobState.FAILED, error=text)}
    review = review_of(manifest, lock)
    where = Source(path=text, line=1, column=1)
    warning = Diagnostic(severity=Severity.WARNING, code="x", message=text, hint=text, source=where)
    changes = tuple(turned(change) for change in review.plan.changes)
    return replace(review, name=text, warnings=(warning,), plan=replace(review.plan, changes=review.plan.changes + changes))


def turned(change: Change) -> Change:
    """The same the other way round, so that what was locked is what is wanted."""
    return replace(change, before=change.after, after=change.before)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_tries_to_be_something_else_is_shown_as_text(text: str) -> None:
    found = harmless(review_markdown(hostile_review(text), COMMENTED))
    visible = "".join(character for character in text.replace("\n", " ") if character.isprintable() and character != "\u200b")
    assert visible[:60] in re.sub(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}", "", found.code)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(PARTS), max_size=6).map("".join))
def test_no_text_gets_out_of_its_place(text: str) -> None:
    harmless(review_markdown(hostile_review(text), COMMENTED))


@pytest.mark.parametrize("text", HOSTILE)
def test_mistakes_are_told_the_worst_first_and_as_text(text: str) -> None:
    where = Source(path="show.yaml", line=7, column=3)
    found = [Diagnostic(severity=Severity.WARNING, code="x", message="a warning", source=where),
             Diagnostic(code="x", message=text, hint=text, source=where)]
    said = mistakes_markdown("shows/show.yaml", found, COMMENTED)
    assert "no plan: 1 mistake, 1 warning." in said
    assert said.index("error:") < said.index("a warning")
    assert said.startswith(marker("shows/show.yaml"))
    harmless(said)


def test_mistakes_that_have_no_room_are_counted() -> None:
    where = Source(path="show.yaml", line=7, column=3)
    found = [Diagnostic(code="x", message=f"{number} " * 60, source=where) for number in range(900)]
    said = mistakes_markdown("show.yaml", found, COMMENTED)
    assert characters(said) <= COMMENT
    (left,) = re.findall(r"\n([0-9,]+) more: ", said)
    assert said.count("<li>") + int(left) == 900
