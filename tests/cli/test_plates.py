"""Pictures are looked at before anything is paid, where they are named; what is only advice is a warning."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from manifest_runner.cli import plates
from manifest_runner.cli.project import Project, Show
from manifest_runner.core.model import Severity
from manifest_runner.errors import InvalidInput
from tests.cli.support import run, write

HEAD = "version: 1\nshow: show\nmodel: kling-v3-omni\nshots:\n"


def picture(folder: Path, name: str, size: tuple[int, int] = (1280, 720), mode: str = "RGB", **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, size).save(path, **options)
    return path


def load(folder: Path, shots: str, head: str = HEAD) -> Show:
    return Project(str(write(folder, f"{head}{shots}")), {}).load()


def told(show: Show) -> list[tuple[str, int, int]]:
    return [(item.code, item.source.line, item.source.column) for item in show.warnings if item.source is not None]


def test_a_good_picture_is_nothing_to_say_anything_about(tmp_path: Path) -> None:
    plate = picture(tmp_path, "a.png")
    show = load(tmp_path, "  - {id: A, prompt: x, first_frame: a.png}\n")
    assert (told(show), show.converted) == ([], {})
    assert show.pictures == {"a.png": hashlib.sha256(plate.read_bytes()).hexdigest()}


@pytest.mark.parametrize(("size", "code"), [((240, 135), "small-picture"), ((1600, 500), "picture-proportions")])
def test_advice_is_a_warning_at_the_place_that_names_the_picture(size: tuple[int, int], code: str, tmp_path: Path) -> None:
    picture(tmp_path, "a.png", size)
    shots = ("  - {id: A, prompt: x, aspect_ratio: RATIO, first_frame: a.png}\n"
             "  - {id: B, prompt: y, aspect_ratio: RATIO, first_frame: a.png}\n")
    show = load(tmp_path, shots.replace("RATIO", f'"{size[0] // 5}:{size[1] // 5}"'))
    assert [(item, line) for item, line, _ in told(show)] == [(code, 5)], "once, where it stands first"


def test_pictures_of_other_proportions_are_a_warning(tmp_path: Path) -> None:
    picture(tmp_path, "wide.png")
    picture(tmp_path, "tall.png", (720, 1280))
    show = load(tmp_path, "  - {id: A, prompt: x, first_frame: wide.png, last_frame: tall.png}\n"
                "  - {id: B, prompt: x, first_frame: tall.png}\n"
                "  - {id: C, prompt: x, first_frame: tall.png, aspect_ratio: '9:16'}\n")
    assert told(show) == [("frame-proportions", 5, 59), ("frame-proportions", 6, 37)]
    assert "first_frame is 1280×720 and last_frame 720×1280" in show.warnings[0].message


def test_a_default_that_all_shots_share_is_told_once(tmp_path: Path) -> None:
    picture(tmp_path, "tall.png", (720, 1280))
    shots = "".join(f"  - {{id: S{number}, prompt: x}}\n" for number in range(9))
    show = load(tmp_path, shots, HEAD.replace("shots:", "defaults: {first_frame: tall.png}\nshots:"))
    assert told(show) == [("frame-proportions", 4, 25)]


def test_what_is_converted_is_known_and_its_fingerprint_is_that_of_the_file(tmp_path: Path) -> None:
    plate = picture(tmp_path, "a.webp")
    show = load(tmp_path, "  - {id: A, prompt: x, first_frame: a.webp}\n")
    assert (show.converted, told(show)) == ({"a.webp": "WebP"}, [])
    assert show.pictures == {"a.webp": hashlib.sha256(plate.read_bytes()).hexdigest()}


def test_without_the_extra_what_has_to_be_converted_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is made on machines that never render: `render` needs the extra anyway and stops without it."""
    monkeypatch.setattr(plates, "find_spec", lambda _: None)
    picture(tmp_path, "a.tif")
    show = load(tmp_path, "  - {id: A, prompt: x, first_frame: a.tif}\n")
    (warning,) = show.warnings
    assert (warning.code, warning.hint) == ("needs-extra", "pip install 'manifest-runner[video]'")
    assert warning.message == "a.tif has to be converted (TIFF), and the extra [video], which does that, is not installed here"


def test_what_nobody_could_send_is_refused_wherever_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"8BPS" + bytes(100))
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, "  - {id: A, prompt: x, first_frame: a.png}\n  - {id: B, prompt: x, first_frame: a.png}\n")
    assert [(item.code, item.severity, item.source and item.source.line) for item in caught.value.diagnostics] == [
        ("not-a-picture", Severity.ERROR, 5), ("not-a-picture", Severity.ERROR, 6)]
    assert caught.value.diagnostics[0].message == "a.png is PSD, which can be neither sent nor converted"


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = picture(tmp_path, "a.png", (8, 8))
    content = bomb.read_bytes()
    bomb.write_bytes(content[:16] + (60_000).to_bytes(4, "big") * 2 + content[24:])
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, "  - {id: A, prompt: x, first_frame: a.png}\n")
    (item,) = caught.value.diagnostics
    assert (item.code, item.message) == ("picture-too-large", "a.png has 60,000×60,000 pixels, more than is ever read")


def test_an_operator_may_know_better(tmp_path: Path) -> None:
    write(tmp_path, "[models.kling-v3-omni.frames.picture]\nmin_side = 100\n", "manifest-runner.toml")
    picture(tmp_path, "a.png", (240, 135))
    assert told(load(tmp_path, "  - {id: A, prompt: x, first_frame: a.png}\n")) == []


def test_plan_v_says_once_what_is_not_sent_as_it_is(tmp_path: Path) -> None:
    picture(tmp_path, "a.webp")
    picture(tmp_path, "b.png", mode="RGBA")
    write(tmp_path, f"{HEAD}  - {{id: A, prompt: x, first_frame: a.webp}}\n  - {{id: B, prompt: x, first_frame: b.png}}\n"
          "  - {id: C, prompt: x, first_frame: a.webp}\n")
    ran = run(tmp_path, "plan", "show.yaml", "-v", "--frames", "inline")
    assert (ran.code, ran.err) == (0, "converted before they are sent: a.webp (WebP), b.png (transparency, laid on black)\n")
    assert run(tmp_path, "plan", "show.yaml", "--frames", "inline").err == ""


def test_a_draft_begins_on_a_picture_in_another_form(tmp_path: Path) -> None:
    """Drafts and paid renders go one way: what the animatic shows was converted as the gateway would get it."""
    Image.radial_gradient("L").resize((640, 360)).convert("RGBA").save(tmp_path / "a.tif")
    write(tmp_path, f"{HEAD}  - {{id: A, prompt: x, duration: 1, first_frame: a.tif, camera: {{move: pan_left, amount: 2}}}}\n")
    ran = run(tmp_path, "render", "show.yaml", "--draft")
    assert ran.code == 0, ran.out + ran.err
