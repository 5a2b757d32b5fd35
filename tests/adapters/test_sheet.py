"""A contact sheet shows one frame of each cut, whole and in its place, on as many pages as it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from manifest_runner.adapters.cards import SlateWords
from manifest_runner.adapters.reel_segments import Segment
from manifest_runner.adapters.sheet import Sheet, contact_sheet
from manifest_runner.errors import InvalidInput, MediaError
from tests.reels import make_clip

DOTS = 40.0
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "wide.mp4", 24, ground=(200, 0, 0))
    make_clip(folder / "tall.mp4", 6, size=(90, 160), ground=(0, 0, 200))
    return folder


def segment(clip: Path | None, name: str = "SH0010", **more: float) -> Segment:
    return Segment(clip=clip, name=name, slate=SlateWords(shot=name, facts=(("take", "1"),),
                                                          prompt="Asha steps off the tram. " * 5),
                   **more)  # type: ignore[arg-type]


def boxes(sheet: Image.Image) -> list[tuple[int, int, int, int]]:
    """The pictures of the sheet, row by row: what is red or blue and hangs together."""
    width, height = sheet.size
    pixels = sheet.load()
    assert pixels is not None
    found: list[tuple[int, int, int, int]] = []
    for y in range(height):
        for x in range(width):
            red, green, blue = pixels[x, y]
            if max(red, blue) - green > 120 and not any(a <= x < c and b <= y < d for a, b, c, d in found):
                right, lower = x, y
                while right < width and max(pixels[right, y][0], pixels[right, y][2]) - pixels[right, y][1] > 120:
                    right += 1
                while lower < height and max(pixels[x, lower][0], pixels[x, lower][2]) - pixels[x, lower][1] > 120:
                    lower += 1
                found.append((x, y, right, lower))
    return [box for box in found if box[2] - box[0] > 10]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (5, 4), (9, 4)])
def test_pictures_stand_in_rows_of_one_width_and_in_their_shape(count: int, columns: int, clips: Path, tmp_path: Path) -> None:
    pages, _ = contact_sheet([segment(clips / "wide.mp4")] * count, tmp_path / "sheet.png", Sheet(title="Show", dots=DOTS))
    assert pages == 1
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert abs(sheet.width - 297 / 25.4 * DOTS) <= 1
        found = boxes(sheet.convert("RGB"))
        assert len(found) == count
        assert len({box[1] for box in found}) == -(-count // columns)
        assert len({box[0] for box in found}) == min(count, columns)
        for left, upper, right, lower in found:
            assert (right - left) / (lower - upper) == pytest.approx(16 / 9, rel=0.03)
        margin = 12 / 25.4 * DOTS
        assert min(box[0] for box in found) == pytest.approx(margin, abs=1)
        assert max(box[2] for box in found) <= sheet.width - margin + 1
        assert sheet.convert("RGB").crop((0, 0, sheet.width, int(margin) - 2)).getcolors() == [
            (sheet.width * (int(margin) - 2), WHITE)]


@pytest.mark.parametrize(("which", "frame"), [("first", 6), ("middle", 12), ("last", 17)])
def test_the_frame_is_that_of_the_cut_and_not_of_the_clip(which: str, frame: int, clips: Path, tmp_path: Path) -> None:
    contact_sheet([segment(clips / "wide.mp4", start=0.25, end=0.75)], tmp_path / "sheet.png",
                  Sheet(title="Show", frame=which, dots=DOTS))  # type: ignore[arg-type]
    with Image.open(tmp_path / "sheet.png") as sheet:
        (left, upper, right, lower) = boxes(sheet.convert("RGB"))[0]
        level = sheet.convert("RGB").getpixel(((left + right) // 2, (upper + lower) // 2))[1]
    assert round((level - 20) / 5) == frame


def test_another_shape_lies_whole_in_the_shape_of_the_others_and_a_missing_clip_has_its_place(clips: Path,
                                                                                              tmp_path: Path) -> None:
    segments = [segment(clips / "wide.mp4"), segment(clips / "tall.mp4", "B"), segment(None, "C", length=2.0),
                segment(clips / "wide.mp4", "D")]
    contact_sheet(segments, tmp_path / "sheet.png", Sheet(title="Show", dots=DOTS))
    with Image.open(tmp_path / "sheet.png") as sheet:
        one, other, last = boxes(sheet.convert("RGB"))
        assert (other[1], other[3]) == (one[1], one[3])
        assert (other[2] - other[0]) / (other[3] - other[1]) == pytest.approx(9 / 16, rel=0.1)
        assert last[0] > other[2] + (one[2] - one[0]), "the third place is empty"
        middle = sheet.convert("RGB").getpixel(((other[2] + last[0]) // 2 + 20, one[1] + 2))
        assert middle != WHITE


@pytest.mark.parametrize(("paper", "size"), [("a4", (842, 595)), ("letter", (792, 612))])
def test_a_pdf_has_landscape_pages_and_as_many_as_it_takes(paper: str, size: tuple[int, int], clips: Path,
                                                           tmp_path: Path) -> None:
    pdf = tmp_path / "sheet.pdf"
    segments = [segment(clips / "wide.mp4", end=0.1)] * 13
    pages, _ = contact_sheet(segments, pdf, Sheet(title="Show (1)", paper=paper, dots=DOTS))  # type: ignore[arg-type]
    content = pdf.read_bytes()
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content)
    assert all((float(width), float(height)) == pytest.approx(size, abs=1) for width, height in boxes)
    assert (pages, re.findall(rb"/Count (\d+)", content)[-1]) == (2, b"2")
    assert content.startswith(b"%PDF-1.4")
    contact_sheet(segments, tmp_path / "again.pdf", Sheet(title="Show (1)", paper=paper, dots=DOTS))  # type: ignore[arg-type]
    assert (tmp_path / "again.pdf").read_bytes() == content, "no clock in it"


def test_what_goes_wrong_names_the_clip_and_leaves_the_old_sheet(clips: Path, tmp_path: Path) -> None:
    bad, sheet = tmp_path / "c.mp4", tmp_path / "sheet.png"
    bad.write_bytes(b"nothing")
    sheet.write_bytes(b"the old one")
    with pytest.raises(MediaError, match=r"c\.mp4"):
        contact_sheet([segment(clips / "wide.mp4"), segment(bad)], sheet, Sheet(title="Show"))
    with pytest.raises(InvalidInput):
        contact_sheet([segment(clips / "wide.mp4", start=9.0)], sheet, Sheet(title="Show"))
    with pytest.raises(MediaError, match="no shots"):
        contact_sheet([], sheet, Sheet(title="Show"))
    with pytest.raises(MediaError, match="too many"):
        contact_sheet([segment(clips / "wide.mp4")] * 241, sheet, Sheet(title="Show"))
    with pytest.raises(MediaError, match="cannot be written"):
        contact_sheet([segment(clips / "wide.mp4")], tmp_path / "nowhere" / "sheet.png", Sheet(title="Show", dots=DOTS))
    assert sheet.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.mp4", "sheet.png"]
