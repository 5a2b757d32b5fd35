"""`report` as a user runs it: where the page goes, what is in it, what it never says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from manifest_runner.core.model import Request
from tests.cli.support import run
from tests.pages import HEAD, commit, git, lay_out

TWO = ("  - {id: SH0010, prompt: 'A tram stops.', takes: 2, circled: 1}\n"
       "  - {id: SH0020, prompt: 'The doors open.', camera: {move: tilt_up, amount: 4}}\n")
KEY = "canary-0123456789abcdef"


def data_of(page: Path) -> dict[str, Any]:
    """What the page shows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture
def show(tmp_path: Path) -> Path:
    folder = tmp_path / "studio" / "shows"
    folder.mkdir(parents=True)
    (tmp_path / "studio" / ".gitignore").write_text("renders/\n.manifest-runner/\n")
    lay_out(folder, TWO)
    commit(tmp_path / "studio")
    return folder


def test_the_page_lies_beside_the_clips_names_them_by_relative_address_and_needs_no_key(show: Path) -> None:
    ran = run(show, "report", "rain.yaml")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("renders/rain.report.html: 2 shots, 3 clips, ")
    shots = data_of(show / "renders" / "rain.report.html")["shots"]
    assert [take["clip"] for shot in shots for take in shot["takes"]] == ["rain/SH0010_t1.mp4", "rain/SH0010_t2.mp4",
                                                                          "rain/SH0020_t1.mp4"]
    assert all(take["poster"].startswith("data:image/jpeg;base64,") for shot in shots for take in shot["takes"])


def test_git_ignores_what_a_report_leaves_behind(show: Path) -> None:
    assert run(show, "report", "rain.yaml", "--against", "HEAD").code == 0
    assert git(show, "status", "--porcelain") == ""


def test_the_page_says_nothing_of_this_machine_and_nothing_secret(show: Path) -> None:
    env = {"TRINETRA_API_KEY": KEY, "MANIFEST_RUNNER_CALLBACK_URL": "https://hooks.example/secret"}
    for more in ((), ("--embed",), ("--against", "HEAD")):
        assert run(show, "report", "rain.yaml", *more, env=env).code == 0
        page = (show / "renders" / "rain.report.html").read_text()
        for secret in (KEY, "hooks.example", str(show), str(show.parent), "studio", "external_task"):
            assert secret not in page


def test_embedded_clips_are_the_clips_byte_for_byte_and_the_page_may_go_anywhere(show: Path, tmp_path: Path) -> None:
    ran = run(show, "report", "rain.yaml", "--embed", "--out", str(tmp_path / "sent.html"))
    assert ran.code == 0, ran.err
    page = (tmp_path / "sent.html").read_text()
    take = data_of(tmp_path / "sent.html")["shots"][1]["takes"][0]
    found = re.search(rf'id="{take["clip"][1:]}">([^<]*)<', page)
    assert found is not None
    assert base64.b64decode(found[1]) == (show / "renders" / "rain" / "SH0020_t1.mp4").read_bytes()


def test_a_page_outside_the_repository_must_carry_its_clips(show: Path, tmp_path: Path) -> None:
    ran = run(show, "report", "rain.yaml", "--out", str(tmp_path / "sent.html"))
    assert (ran.code, not (tmp_path / "sent.html").exists()) == (2, True)
    assert "--embed" in ran.err


def test_a_page_elsewhere_in_the_repository_finds_its_clips(show: Path) -> None:
    assert run(show, "report", "rain.yaml", "--out", "../page.html").code == 0
    assert data_of(show.parent / "page.html")["shots"][0]["takes"][0]["clip"] == "shows/renders/rain/SH0010_t1.mp4"


@pytest.mark.parametrize(("out", "words"), [("page.txt", "does not end in .html"), ("nowhere/page.html", "there is no folder")])
def test_a_place_that_will_not_do_is_said_before_anything_is_read(show: Path, out: str, words: str) -> None:
    ran = run(show, "report", "rain.yaml", "--out", out)
    assert ran.code == 2
    assert words in ran.err


def test_names_that_mean_something_in_an_address_are_quoted(tmp_path: Path) -> None:
    lay_out(tmp_path, TWO, head=HEAD.replace("model:", "output: 'renders/a #1 %41'\nmodel:"))
    assert run(tmp_path, "report", "rain.yaml", "--out", "page.html").code == 0
    assert data_of(tmp_path / "page.html")["shots"][1]["takes"][0]["clip"] == "renders/a%20%231%20%2541/SH0020_t1.mp4"


def test_a_clip_that_is_not_the_locked_one_is_not_shown(show: Path) -> None:
    (show / "renders" / "rain" / "SH0020_t1.mp4").write_bytes(b"something else")
    (show / "renders" / "rain" / "SH0010_t2.mp4").unlink()
    assert "2 shots, 1 clip," in run(show, "report", "rain.yaml").out
    shot = data_of(show / "renders" / "rain.report.html")["shots"][1]
    assert (shot["state"], shot["takes"][0]["clip"], shot["takes"][0]["reasons"]) == (
        "fetch", "", ["output changed (renders/rain/SH0020_t1.mp4)"])


def test_with_nothing_rendered_and_no_repository_there_is_a_page_of_what_will_be(tmp_path: Path) -> None:
    (tmp_path / "rain.yaml").write_text(HEAD + TWO)
    assert run(tmp_path, "report", "rain.yaml").code == 0
    data = data_of(tmp_path / "renders" / "rain.report.html")
    assert data["summary"] == "Plan: 3 to render, 0 kept. 174 credits (₹174)."
    assert {shot["state"] for shot in data["shots"]} == {"new"}
    assert run(tmp_path, "report", "rain.yaml", "--against", "HEAD").code == 2


def test_a_draft_has_a_page_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "rain.yaml").write_text(HEAD + TWO)
    assert run(tmp_path, "report", "rain.yaml", "--draft").out.startswith("renders/rain.draft.report.html: ")
    assert data_of(tmp_path / "renders" / "rain.draft.report.html")["draft"] is True


# ── against another revision ────────────────────────────────────────────────────────────────────────────────────────


def test_against_a_revision_the_page_tells_what_changed_since_includes_and_templates_too(show: Path) -> None:
    (show / "looks.yaml").write_text("vars: {light: dusk}\n")
    (show / "words.j2").write_text("{% macro end() %}rain{% endmacro %}")
    text = ('version: 1\nshow: rain\nmodel: kling-v3-omni\ninclude: [looks.yaml]\nshots:\n'
            '  - {id: A, prompt: "{% import \'words.j2\' as words %}A tram, {{ light }}, {{ words.end() }}."}\n')
    (show / "rain.yaml").write_text(text)
    (show / "rain.lock.json").unlink()
    commit(show.parent, "with a look")
    (show / "looks.yaml").write_text("vars: {light: dawn}\n")
    (show / "words.j2").write_text("{% macro end() %}snow{% endmacro %}")
    ran = run(show, "report", "rain.yaml", "--against", "main")
    assert ran.code == 0, ran.err
    data = data_of(show / "renders" / "rain.report.html")
    assert data["against"]["name"] == "main"
    assert [piece for piece in data["shots"][0]["prompt"] if piece[0] != "same"] == [
        ["removed", "dusk"], ["added", "dawn"], ["removed", "rain"], ["added", "snow"]]


def test_the_clip_of_before_comes_from_the_store_and_from_nowhere_else(show: Path) -> None:
    old = show / "renders" / "rain" / "SH0020_t1.mp4"
    content = old.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    stored = show.parent / ".manifest-runner" / "objects" / "sha256" / digest[:2] / digest[2:]
    stored.parent.mkdir(parents=True)
    stored.write_bytes(content)
    lay_out(show, TWO.replace("The doors", "All doors"), without=("SH0020",))
    (show / "renders" / "rain" / "SH0020_t1.mp4").unlink()
    assert run(show, "report", "rain.yaml", "--against", "HEAD").code == 0
    before = data_of(show / "renders" / "rain.report.html")["shots"][1]["before"]
    assert before["clip"] == f"rain.report.before/SH0020_t1.{digest[:12]}.mp4"
    assert (show / "renders" / before["clip"]).read_bytes() == content
    assert (before["take"], before["prompt"]) == (1, "The doors open.")
    shutil.rmtree(show.parent / ".manifest-runner")
    run(show, "report", "rain.yaml", "--against", "HEAD")
    assert data_of(show / "renders" / "rain.report.html")["shots"][1]["before"] is None


def test_a_lockfile_of_a_stranger_shows_no_other_file_as_a_clip(show: Path) -> None:
    secret = show.parent / "secret.txt"
    secret.write_text("the studio's secret")
    lock = json.loads((show / "rain.lock.json").read_text())
    output = lock["shots"]["SH0020"]["takes"]["1"]["outputs"][0]
    output |= {"path": "../secret.txt", "sha256": hashlib.sha256(secret.read_bytes()).hexdigest(), "bytes": 19}
    (show / "rain.lock.json").write_text(json.dumps(lock))
    commit(show.parent, "hostile")
    lay_out(show, TWO)
    for more in ((), ("--embed",)):
        assert run(show, "report", "rain.yaml", "--against", "HEAD", *more).code == 0
        assert data_of(show / "renders" / "rain.report.html")["shots"][1]["before"] is None
    assert not (show / "renders" / "rain.report.before").exists()


@pytest.mark.parametrize("name", ["-h", "--output=x", "nowhere", "HEAD:shows", ""])
def test_what_is_no_revision_is_refused(show: Path, name: str) -> None:
    ran = run(show, "report", "rain.yaml", f"--against={name}")
    assert ran.code == 2
    assert "is no revision of this repository" in ran.err


def test_a_manifest_that_was_not_there_yet_makes_every_shot_new_and_one_that_was_wrong_is_said(show: Path) -> None:
    lay_out(show, TWO)
    (show / "rain.yaml").rename(show / "storm.yaml")
    (show / "storm.yaml").write_text((show / "storm.yaml").read_text().replace("show: rain", "show: storm"))
    assert run(show, "report", "storm.yaml", "--against", "HEAD").code == 0
    data = data_of(show / "renders" / "storm.report.html")
    assert {shot["since"]["kind"] for shot in data["shots"]} == {"new"}
    (show / "storm.yaml").write_text((show / "storm.yaml").read_text().replace("prompt", "promt"))
    commit(show.parent, "a mistake")
    (show / "storm.yaml").write_text((show / "storm.yaml").read_text().replace("promt", "prompt"))
    ran = run(show, "report", "storm.yaml", "--against", "HEAD")
    assert ran.code == 2
    assert "HEAD:shows/storm.yaml:" in ran.err


def test_without_the_video_extra_the_page_is_made_and_says_what_it_lacks(show: Path, tmp_path: Path) -> None:
    hide = tmp_path / "hide"
    hide.mkdir()
    for name in ("av", "PIL"):
        (hide / f"{name}.py").write_text("raise ImportError('not installed')\n")
    ran = run(show, "report", "rain.yaml", env={"PYTHONPATH": str(hide)})
    assert (ran.code, ran.err.count("[video]")) == (0, 1)
    take = data_of(show / "renders" / "rain.report.html")["shots"][0]["takes"][0]
    assert (take["clip"], take["poster"]) == ("rain/SH0010_t1.mp4", "")


def test_takes_that_nobody_asks_for_any_more_are_shown_as_dropped(tmp_path: Path) -> None:
    request = Request(model="kling-v3-omni", params={"prompt": "Gone\u202e </script>."})
    lay_out(tmp_path, TWO, more={("SH0990", 1): request})
    assert run(tmp_path, "report", "rain.yaml").code == 0
    last = data_of(tmp_path / "renders" / "rain.report.html")["shots"][-1]
    assert (last["id"], last["state"], last["takes"][0]["clip"]) == ("SH0990", "dropped", "rain/SH0990_t1.mp4")
    assert last["prompt"] == [["same", "Gone\\u202e </script>."]]
