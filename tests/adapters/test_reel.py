"""A reel is cut exactly to the frame, keeps shapes, and appears whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from manifest_runner.adapters.media import picture, probe
from manifest_runner.adapters.reel import Segment, contact_strip, cut_reel
from manifest_runner.errors import MediaError


def make_clip(path: Path, frames: int, *, size: tuple[int, int] = (320, 180), rate: int | Fraction = 24, hue: int = 0) -> Path:
    """A clip whose frame k is grey of level 20 + 5k in its middle, on a coloured ground."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "8", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(frames):
            image = Image.new("RGB", size, (200, hue, 0))
            level = 20 + 5 * index
            image.paste((level, level, level), (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode(None))
    return path


def shown(reel: Path) -> list[int]:
    """Which frame of its clip each frame of the reel is."""
    with av.open(str(reel)) as container:
        pictures = [picture(frame) for frame in container.decode(video=0)]
    return [round((image.getpixel((image.width // 2, image.height // 2))[1] - 20) / 5) for image in pictures]


@pytest.mark.parametrize(("start", "end", "frames"), [
    (0.0, None, range(24)), (0.5, None, range(12, 24)), (0.0, 0.25, range(6)), (0.25, 0.75, range(6, 18)),
    (0.26, 0.74, range(6, 18)), (0.0, 9.0, range(24)), (23 / 24, None, range(23, 24)),
])
def test_in_and_out_points_are_exact_to_the_frame(start: float, end: float | None, frames: range, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24)
    facts = cut_reel([Segment(clip=clip, start=start, end=end)], tmp_path / "reel.mp4")
    assert facts.frames == len(frames)
    assert shown(tmp_path / "reel.mp4") == list(frames)


def test_segments_come_in_their_order_and_a_clip_may_come_twice(tmp_path: Path) -> None:
    one, two = make_clip(tmp_path / "a.mp4", 12), make_clip(tmp_path / "b.mp4", 30)
    cut_reel([Segment(clip=two, start=1.0), Segment(clip=one), Segment(clip=two, end=0.125)], tmp_path / "reel.mp4")
    assert shown(tmp_path / "reel.mp4") == [*range(24, 30), *range(12), *range(3)]


@pytest.mark.parametrize(("rate", "frames", "expected"), [
    (12, 6, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]), (48, 24, list(range(0, 24, 2))),
    (30, 15, [0, 1, 3, 4, 5, 6, 8, 9, 10, 11, 13, 14]),
])
def test_another_rate_is_shown_in_the_same_time_by_the_nearest_frames(rate: int, frames: int, expected: list[int],
                                                                      tmp_path: Path) -> None:
    first, other = make_clip(tmp_path / "a.mp4", 2), make_clip(tmp_path / "b.mp4", frames, rate=rate)
    facts = cut_reel([Segment(clip=first), Segment(clip=other)], tmp_path / "reel.mp4")
    assert (facts.frame_rate, facts.frames) == ("24/1", 2 + 12)
    assert shown(tmp_path / "reel.mp4")[2:] == expected


@pytest.mark.parametrize(("size", "black", "coloured"), [
    ((180, 320), [(40, 90), (280, 90)], [(115, 90), (205, 90)]), ((640, 180), [(160, 20), (160, 160)], [(160, 50), (160, 130)]),
    ((640, 360), [], [(4, 4), (315, 175)]),
])
def test_other_sizes_are_fitted_inside_with_black_bars(size: tuple[int, int], black: list[tuple[int, int]],
                                                       coloured: list[tuple[int, int]], tmp_path: Path) -> None:
    first, other = make_clip(tmp_path / "a.mp4", 2), make_clip(tmp_path / "b.mp4", 2, size=size)
    facts = cut_reel([Segment(clip=first), Segment(clip=other)], tmp_path / "reel.mp4")
    assert (facts.width, facts.height) == (320, 180)
    with av.open(str(tmp_path / "reel.mp4")) as container:
        image = picture(list(container.decode(video=0))[-1])
    assert all(max(image.getpixel(at)) < 30 for at in black)
    assert all(image.getpixel(at)[0] > 150 for at in coloured)


def test_a_reel_plays_everywhere(tmp_path: Path) -> None:
    reel = tmp_path / "reel.mp4"
    facts = cut_reel([Segment(clip=make_clip(tmp_path / "a.mp4", 24))], reel)
    assert facts == probe(reel)
    assert (facts.codec, facts.container, facts.duration) == ("h264", "mp4", 1.0)
    with av.open(str(reel)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert reel.read_bytes().index(b"moov") < reel.read_bytes().index(b"mdat")


def test_progress_counts_frames_to_the_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 6)
    seen: list[tuple[int, int]] = []
    cut_reel([Segment(clip=clip), Segment(clip=clip, end=0.125)], tmp_path / "reel.mp4", on_progress=lambda *n: seen.append(n))
    assert seen == [(done, 9) for done in range(1, 10)]


def test_a_clip_that_cannot_be_read_is_named_and_leaves_the_old_reel(tmp_path: Path) -> None:
    good, bad, reel = (tmp_path / name for name in ("a.mp4", "SH0020_t1.mp4", "reel.mp4"))
    make_clip(good, 6)
    bad.write_bytes(good.read_bytes()[:-2000])
    reel.write_bytes(b"the old one")
    with pytest.raises(MediaError, match=r"SH0020_t1\.mp4"):
        cut_reel([Segment(clip=good), Segment(clip=bad)], reel)
    assert reel.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SH0020_t1.mp4", "a.mp4", "reel.mp4"]


def test_an_interrupted_reel_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total:  # by then the encoder has begun to write
            raise KeyboardInterrupt

    clip = make_clip(tmp_path / "a.mp4", 40)
    with pytest.raises(KeyboardInterrupt):
        cut_reel([Segment(clip=clip)], tmp_path / "reel.mp4", on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("start", "end"), [(1.0, None), (0.5, 0.5), (0.5, 0.2), (-1.0, None)])
def test_an_empty_cut_is_an_error_with_the_segments_name(start: float, end: float | None, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24)
    with pytest.raises(MediaError, match="SH0030: no frame lies between"):
        cut_reel([Segment(clip=clip, start=start, end=end, name="SH0030")], tmp_path / "reel.mp4")


def test_a_reel_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no clips"):
        cut_reel([], tmp_path / "reel.mp4")


def test_the_same_cut_gives_the_same_bytes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24)
    for name in ("one", "two"):
        cut_reel([Segment(clip=clip)], tmp_path / f"{name}.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_a_contact_sheet_has_a_row_for_every_so_many_clips(count: int, rows: int, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24)
    contact_strip([(f"SH{n:04}", clip) for n in range(count)], tmp_path / "sheet.png", columns=4, width=800)
    sheet = Image.open(tmp_path / "sheet.png")
    gap, columns = 10, min(4, count)
    cell = (800 - gap * (columns + 1)) // columns
    assert sheet.width == 800
    assert abs(sheet.height - gap - rows * (cell * 9 / 16 + gap)) < rows * (cell * 0.12 + 4)
    assert sheet.getpixel((gap + cell // 2, gap + cell * 9 // 32))[0] == pytest.approx(20 + 5 * 12, abs=6)


def test_a_contact_sheet_takes_other_shapes_and_says_which_clip_is_broken(tmp_path: Path) -> None:
    wide, tall = make_clip(tmp_path / "a.mp4", 3), make_clip(tmp_path / "b.mp4", 3, size=(180, 320))
    contact_strip([("wide", wide), ("tall", tall)], tmp_path / "sheet.png", columns=2, width=400)
    assert Image.open(tmp_path / "sheet.png").width == 400
    (tmp_path / "c.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"c\.mp4"):
        contact_strip([("c", tmp_path / "c.mp4")], tmp_path / "sheet.png")


def test_rates_that_are_no_whole_number_are_kept(tmp_path: Path) -> None:
    clip = tmp_path / "ntsc.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for _ in range(15):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (320, 180)))))
        container.mux(stream.encode(None))
    facts = cut_reel([Segment(clip=clip, start=0.1)], tmp_path / "reel.mp4")
    assert (facts.frame_rate, facts.frames) == ("30000/1001", 12)
