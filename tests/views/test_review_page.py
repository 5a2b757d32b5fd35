"""The review page in a real browser: it plays, compares, filters, prints, and obeys nothing that a manifest says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifest_runner.core.model import Request
from tests.browser import Page, browser, require_chromium
from tests.cli.support import run
from tests.pages import commit, lay_out

require_chromium()

HOSTILE = ("</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
           "<a href=\"javascript:alert(1)\">x</a> {{ data }} &lt;b&gt;")
QUOTED = HOSTILE.replace("'", "''").replace("{{", "{{ ''{{'' }}")
WORDS = ("pan_left", "pan_right", "tilt_up", "tilt_down", "truck_left", "truck_right", "pedestal_up", "pedestal_down",
         "roll_cw", "roll_ccw", "zoom_in", "zoom_out", "dolly_in", "dolly_out", "static")
SHOTS = f"""\
  - {{id: SH0010, prompt: 'A tram stops in the rain.', takes: 2, circled: 1, cut: {{in: 0.5, out: 1.5}}, note: 'Hold it.'}}
  - {{id: SH0020, prompt: 'The doors open.', camera: {{move: tilt_up, amount: 4}}, cut: {{out: 0.5}}}}
  - {{id: SH0030, prompt: 'Not rendered yet.', duration: 1, first_frame: {{shot: SH0010, frame: last}}}}
  - {{id: SH0040, prompt: '{QUOTED}', note: '{QUOTED}', first_frame: 'https://example.org/x.png?<b>', cut: {{in: 1}}}}
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A show with every kind of shot, changed since its last commit, and its page; the store has the old clip of SH0020."""
    folder = tmp_path_factory.mktemp("show")
    (folder / ".gitignore").write_text("renders/\n.manifest-runner/\n")
    lay_out(folder, SHOTS.replace("The doors open", "All doors open"), without=("SH0030",), first=3)
    commit(folder)
    digest = hashlib.sha256((folder / "renders" / "rain" / "SH0020_t1.mp4").read_bytes()).hexdigest()
    stored = folder / ".manifest-runner" / "objects" / "sha256" / digest[:2] / digest[2:]
    stored.parent.mkdir(parents=True)
    (folder / "renders" / "rain" / "SH0020_t1.mp4").rename(stored)
    gone = Request(model="kling-v3-omni", params={"prompt": "\u202e</script><script>document.title='owned'</script>"})
    lay_out(folder, SHOTS + "  - {id: SH0050, prompt: 'A new one.', camera: {type: down_back}}\n", without=("SH0030", "SH0050"),
            made_from={"SH0010": "A bus stops in the rain."}, more={("SH0990", 1): gone},
            job="<img src=x onerror=document.title='owned'>")
    for more in ((), ("--embed", "--out", "embedded.html")):
        assert run(folder, "report", "rain.yaml", "--against", "HEAD", *more).code == 0
    return folder


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(window: Page, reports: Path) -> Iterator[Page]:
    """The page, freshly opened. Whatever a test does with it, it asked for nothing foreign and complained of nothing."""
    window.size(1280, 900)
    window.prefer(prefers_color_scheme="light")
    window.requests.clear()
    window.complaints.clear()
    window.open(reports / "renders" / "rain.report.html")
    yield window
    window.run("PARTS.dialog.open && PARTS.dialog.close()")
    assert not window.complaints
    assert {url.partition(":")[0] for url in window.requests} <= {"file", "data"}


def at(page: Page, shot: str) -> None:
    """The keyboard on a shot of the sheet."""
    page.run(f"document.querySelector('[data-id={shot}] .plate').focus()")


def test_the_sheet_shows_the_shots_in_the_order_of_the_cut_and_what_is_gone_behind_them(page: Page) -> None:
    assert page.run("[...document.querySelectorAll('.shot')].map((shot) => shot.dataset.id + ' ' + shot.dataset.state)") == [
        "SH0010 changed", "SH0020 done", "SH0030 new", "SH0040 done", "SH0050 new", "SH0990 dropped"]
    assert page.run("[...document.querySelectorAll('.circled .pencil')].length") == 1
    assert page.run("document.querySelector('[data-id=SH0020] .since').textContent") == "Since HEAD: prompt"
    assert page.run("document.querySelector('[data-id=SH0020] del').textContent") == "All"
    assert page.run("document.querySelector('[data-id=SH0020] ins').textContent") == "The"


def test_hostile_texts_are_shown_as_text_and_do_nothing(page: Page, reports: Path) -> None:
    at(page, "SH0040")
    page.press("Enter")
    for where in ("[data-id=SH0040] .prompt", "[data-id=SH0040] .note", ".notes .prompt", ".notes .note"):
        assert page.run(f"document.querySelector('{where}').textContent") == HOSTILE
    page.press("ArrowRight", "ArrowRight")
    assert page.run("document.querySelector('.notes .prompt').textContent").startswith("\\u202e</script>")
    assert page.run("document.title") == "rain SQ010 – review"
    assert page.run("document.scripts.length") == 2
    foreign = "a:not(.skip), iframe, object, embed, form, [onerror], img:not([src^=data])"
    assert page.run(f"document.querySelectorAll('{foreign}').length") == 0
    page.open(reports / "embedded.html")
    assert page.run("[document.title, document.querySelector('[data-id=SH0040] .prompt').textContent]") == [
        "rain SQ010 – review", HOSTILE]


def test_a_clip_plays_and_stops_and_steps_by_frames(page: Page) -> None:
    at(page, "SH0010")
    page.press("Enter")
    page.until("FIRST.media.currentTime > 0.3 && FIRST.media.videoWidth === 1280")
    page.press(" ")
    page.until("FIRST.media.paused")
    frame = page.run("Math.floor(FIRST.media.currentTime * 24)")
    page.press(".", ".", ",")
    assert page.run("Math.floor(FIRST.media.currentTime * 24)") == frame + 1
    page.press("i")
    assert page.run("FIRST.media.currentTime") == 0.5
    page.press("Escape")
    page.until("!VIEW.open")
    assert page.run("document.activeElement.closest('.shot').dataset.id") == "SH0010"
    assert page.run("document.querySelectorAll('video[src]').length") == 0


def test_an_embedded_clip_plays_too(page: Page, reports: Path) -> None:
    page.open(reports / "embedded.html")
    at(page, "SH0020")
    page.press("Enter")
    page.until("FIRST.media.currentTime > 0.2")
    assert not [url for url in page.requests if url.endswith(".mp4")]


def test_takes_are_compared_side_by_side_and_in_step(page: Page) -> None:
    at(page, "SH0010")
    page.press("Enter", "c")
    page.until("FIRST.media.currentTime > 0.8")
    page.until("Math.abs(FIRST.media.currentTime - SECOND.media.currentTime) < 0.1 && !SECOND.media.paused")
    assert page.run("[FIRST.source.take, SECOND.source.take]") == [1, 2]
    left, right = page.run("[FIRST, SECOND].map((screen) => screen.node.getBoundingClientRect().left)")
    assert left < right
    page.press(" ", "i")
    page.until("FIRST.media.currentTime === 0.5 && SECOND.media.currentTime === 0.5")
    page.press("c")
    assert page.run("SECOND.node.hidden && document.querySelectorAll('video[src]').length") == 1


def test_now_is_compared_with_the_clip_of_the_other_revision(page: Page) -> None:
    at(page, "SH0020")
    page.press("Enter", "c")
    page.until("SECOND.media && SECOND.media.currentTime > 0.2")
    assert page.run("SECOND.picker.querySelector('[aria-pressed=true]').textContent") == "Before, at HEAD"
    assert "rain.report.before/SH0020_t1." in page.run("SECOND.media.src")


def test_with_one_clip_there_is_nothing_to_compare_and_it_is_said(page: Page) -> None:
    at(page, "SH0040")
    page.press("Enter", "c")
    assert page.run("document.querySelector('.toast').textContent") == "SH0040 has nothing to compare with: one clip"
    assert page.run("SECOND.node.hidden")


def test_the_cut_is_played_in_its_order_from_in_to_out_with_a_leader_for_what_is_missing(page: Page) -> None:
    page.run("window.seen = []; setInterval(() => VIEW.all && window.seen.push([VIEW.number, FIRST.media.currentTime]), 5)")
    page.press("a")
    page.until("VIEW.number === 4")
    seen = page.run("window.seen")
    order = [number for index, (number, _) in enumerate(seen) if index == 0 or seen[index - 1][0] != number]
    assert order == [0, 1, 2, 3, 4]
    times = [[seconds for number, seconds in seen if number == shot] for shot in range(4)]
    assert min(times[0]) == pytest.approx(0.5, abs=0.05)
    assert max(times[0]) < 1.9, "it goes on at the out point, not at the clip's end"
    assert 0.3 < max(times[1]) < 1.5
    assert min(times[3]) >= 0.95
    assert page.run("!FIRST.slate.hidden && FIRST.slate.textContent").startswith("SH0050")
    assert page.run("document.querySelectorAll('video').length") == 3


def test_the_filter_takes_states_words_and_both(page: Page) -> None:
    shown = "[...document.querySelectorAll('.shot:not([hidden])')].map((shot) => shot.dataset.id)"
    page.run("document.querySelector('.chip[data-filter=new]').click()")
    assert page.run(shown) == ["SH0030", "SH0050"]
    page.press("/")
    page.press(*"not rend")
    assert page.run(shown) == ["SH0030"]
    page.press("x")
    assert page.run("[document.getElementById('nothing').hidden, document.getElementById('said').textContent]") == [
        False, "0 shots shown"]
    page.run("document.getElementById('everything').click()")
    assert len(page.run(shown)) == 6
    page.run("document.querySelector('.chip[data-filter=since]').click()")
    assert page.run(shown) == ["SH0020", "SH0050", "SH0990"]


def test_the_keyboard_goes_everywhere(page: Page) -> None:
    page.press("ArrowRight", "ArrowRight")
    assert page.run("document.activeElement.closest('.shot').dataset.id") == "SH0020"
    page.press("ArrowDown")
    assert page.run("document.activeElement.closest('.shot').dataset.id") == "SH0990"
    page.press("ArrowUp", "ArrowLeft", "Enter", "ArrowRight")
    assert page.run("[VIEW.number, location.hash]") == [1, "#SH0020"]
    page.press("ArrowLeft", "t")
    assert page.run("[VIEW.number, FIRST.source.take]") == [0, 2]
    page.press("1")
    assert page.run("FIRST.source.take") == 1
    page.press("m")
    assert page.run("FIRST.media.muted")
    page.press("?")
    assert page.run("document.getElementById('help').open")
    page.press("Escape")
    assert page.run("[document.getElementById('help').open, PARTS.dialog.open]") == [False, True]


def test_a_shot_can_be_sent_as_an_address(page: Page, reports: Path) -> None:
    page.open(reports / "embedded.html", fragment="#SH0040")
    assert page.run("[PARTS.dialog.open, VIEW.number, FIRST.media.paused]") == [True, 3, True]


def test_dark_or_light_follows_the_machine_until_somebody_says_otherwise(page: Page, reports: Path) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.run(paper)
    page.prefer(prefers_color_scheme="dark")
    dark = page.run(paper)
    assert light != dark
    page.press("d")
    assert page.run(paper) == light
    page.open(reports / "renders" / "rain.report.html")
    assert page.run(paper) == light
    page.run("localStorage.clear()")


def test_where_less_motion_is_asked_for_nothing_plays_by_itself(page: Page) -> None:
    page.prefer(prefers_reduced_motion="reduce")
    at(page, "SH0010")
    page.press("Enter")
    page.until("FIRST.media.readyState >= 2")
    assert page.run("FIRST.media.paused")
    page.press(" ")
    page.until("FIRST.media.currentTime > 0.1")


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    usable = {"button", "Video", "video", "slider", "searchbox", "textbox", "link", "dialog", "toolbar", "article", "main"}

    def nameless() -> list[str]:
        return [role for role, name in page.names() if role in usable and not name.strip()]

    assert not nameless()
    page.press("a", "c")
    at(page, "SH0010")
    page.press("Enter", "c")
    assert not nameless()
    assert ("button", "Pause") in page.names() or ("button", "Play") in page.names()
    assert page.run("[...document.querySelectorAll('video:not([hidden])')].every((video) => video.ariaLabel)")


@pytest.mark.parametrize("width", [360, 600, 901, 1280, 2560])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    page.size(width, 740)
    wide = "[...document.querySelectorAll('body *')].filter((node) => node.getBoundingClientRect().right > innerWidth + 1 " \
           "&& node.checkVisibility() && !node.closest('.chips, .symbols, .unseen, svg')).map((node) => node.className)"
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(wide) == []
    at(page, "SH0040")
    page.press("Enter")
    assert page.run(wide) == []
    assert page.run("PARTS.play.getBoundingClientRect().bottom <= innerHeight")


def test_it_prints_as_one_contact_sheet(page: Page) -> None:
    at(page, "SH0010")
    document = page.pdf()
    assert document.startswith(b"%PDF")
    assert document.count(b"/Subtype /Image") >= 4
    page.send("Emulation.setEmulatedMedia", media="print")
    tools = "[...document.querySelectorAll('.bar, .play-all, dialog, .skip')]"
    seen = page.run(f"{tools}.filter((node) => node.checkVisibility()).length")
    page.send("Emulation.setEmulatedMedia", media="")
    assert seen == 0


def test_every_camera_word_has_a_drawing_of_its_own(page: Page) -> None:
    look = "(svg) => svg.getAttribute('class') + svg.firstChild.getAttribute('href')"
    drawn = page.run(f"{list(WORDS)}.map((word) => drawnMoves({{moves: [{{word, amount: 1}}]}}).map({look}).join())")
    assert all(drawn)
    assert len(set(drawn)) == len(WORDS)
    assert page.run("Object.values(MOVES).every(([symbol]) => document.getElementById(symbol))")
    assert page.run("document.querySelectorAll('[data-id=SH0050] .move').length") == 2


def test_a_clip_that_has_gone_is_said_and_stops_nothing(window: Page, reports: Path) -> None:
    clip = reports / "renders" / "rain" / "SH0040_t1.mp4"
    content = clip.read_bytes()
    clip.unlink()
    try:
        window.open(reports / "renders" / "rain.report.html")
        at(window, "SH0040")
        window.press("Enter")
        window.until("!FIRST.slate.hidden")
        assert window.run("FIRST.slate.textContent").endswith("This clip cannot be played here.")
        window.press("ArrowLeft")
        assert window.run("VIEW.number") == 2
    finally:
        clip.write_bytes(content)
        window.run("PARTS.dialog.close()")
        window.complaints.clear()


def test_five_hundred_shots_open_at_once_and_hold_no_more_videos_than_one(window: Page, tmp_path: Path) -> None:
    shots = "".join(f"  - {{id: SH{number:05}, prompt: 'Shot number {number} in the rain.', camera: {WORDS[number % 15]}}}\n"
                    for number in range(500))
    (tmp_path / "rain.yaml").write_text("version: 1\nshow: rain\nmodel: kling-v3-omni\nshots:\n" + shots)
    assert run(tmp_path, "report", "rain.yaml").code == 0
    took = window.open(tmp_path / "renders" / "rain.report.html")
    assert window.run("document.querySelectorAll('.shot').length") == 500
    assert window.run("[document.querySelectorAll('video').length, document.querySelectorAll('video[src]').length]") == [3, 0]
    assert window.run("document.querySelectorAll('*').length") < 500 * 40
    assert took < 20, "not even a machine that does other things needs this long"
