"""Clips are read exactly: what they are, whether they are whole, their first and their very last frame."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from manifest_runner.adapters.media import PyAvMedia, frame, probe
from manifest_runner.core.model import FramePosition, MediaFacts
from manifest_runner.errors import MediaError

COLOURS = [(220, 30, 30), (30, 200, 30), (40, 60, 220), (220, 200, 40), (200, 60, 200)]


def make_clip(path: Path, frames: int, *, size: tuple[int, int] = (320, 180), rate: Fraction = Fraction(24),
              movflags: str = "", **options: str) -> Path:
    """A clip whose frame k shows colour k mod 5."""
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", size, COLOURS[index % 5]))))
        container.mux(stream.encode(None))
    return path


def colour_of(png: bytes) -> int:
    """The number of the colour that the picture shows."""
    pixel = Image.open(io.BytesIO(png)).convert("RGB").getpixel((50, 50))
    return min(range(5), key=lambda k: sum(abs(a - b) for a, b in zip(pixel, COLOURS[k], strict=True)))


@pytest.mark.parametrize(("frames", "rate", "text", "duration"), [
    (24, Fraction(24), "24/1", 1.0), (13, Fraction(25), "25/1", 0.52), (30, Fraction(30000, 1001), "30000/1001", 1.001),
    (1, Fraction(24), "24/1", 0.042),
])
def test_a_probe_tells_the_facts(frames: int, rate: Fraction, text: str, duration: float, tmp_path: Path) -> None:
    assert probe(make_clip(tmp_path / "a.mp4", frames, rate=rate)) == MediaFacts(
        container="mp4", codec="h264", width=320, height=180, duration=duration, frames=frames, frame_rate=text)


def test_frames_are_counted_where_the_container_does_not_say(tmp_path: Path) -> None:
    assert probe(make_clip(tmp_path / "a.mkv", 17)).frames == 17


# B-frames, one key frame for all, a key frame everywhere, a key frame as the very last: the last frame is the last frame.
@pytest.mark.parametrize("options", [
    {}, {"bf": "3", "g": "250"}, {"bf": "0", "g": "1"}, {"g": "12", "bf": "2"}, {"preset": "ultrafast"},
])
@pytest.mark.parametrize("frames", [1, 2, 24, 37, 49])
def test_first_and_last_frame_are_exact(options: dict[str, str], frames: int, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames, **options)
    assert colour_of(frame(clip, FramePosition.FIRST)) == 0
    assert colour_of(frame(clip, FramePosition.LAST)) == (frames - 1) % 5


def test_the_last_frame_of_a_matroska_file_is_exact_too(tmp_path: Path) -> None:
    assert colour_of(frame(make_clip(tmp_path / "a.mkv", 38, g="10"), FramePosition.LAST)) == 37 % 5


def test_a_frame_has_the_clips_own_size(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3, size=(200, 358))
    assert Image.open(io.BytesIO(frame(clip, FramePosition.LAST))).size == (200, 358)


# What players do: a clip that says how its colours are coded is believed, any other is taken for HD or SD by its size.
@pytest.mark.parametrize(("size", "coded", "said"), [
    ((1280, 720), Colorspace.ITU709, 1), ((1280, 720), Colorspace.ITU601, 5), ((1280, 720), Colorspace.ITU709, 2),
    ((320, 180), Colorspace.ITU709, 1), ((320, 180), Colorspace.ITU601, 2),
])
def test_a_frame_has_the_colours_that_the_clip_was_made_with(size: tuple[int, int], coded: Colorspace, said: int,
                                                             tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.colorspace = said
        image = av.VideoFrame.from_image(Image.new("RGB", size, COLOURS[0]))
        container.mux(stream.encode(image.reformat(format="yuv420p", dst_colorspace=coded, dst_color_range="MPEG")))
        container.mux(stream.encode(None))
    pixel = Image.open(io.BytesIO(frame(clip, FramePosition.FIRST))).getpixel((50, 50))
    assert max(abs(a - b) for a, b in zip(pixel, COLOURS[0], strict=True)) < 6


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("movflags", ["", "faststart"])
def test_a_clip_that_is_cut_off_is_an_error_and_not_a_shorter_clip(movflags: str, share: float, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", 60, movflags=movflags).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(MediaError, match=r"cut\.mp4"):
        probe(cut)


@pytest.mark.parametrize("movflags", ["", "faststart"])
def test_one_missing_byte_at_the_end_is_noticed(movflags: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24, movflags=movflags)
    clip.write_bytes(clip.read_bytes()[:-1])
    with pytest.raises(MediaError, match="cut off"):
        probe(clip)


def test_frames_that_the_index_promises_and_the_file_does_not_hold_are_missed(tmp_path: Path) -> None:
    """The data box is shortened together with its length, so that only the index still knows of the last frames."""
    data = make_clip(tmp_path / "a.mp4", 24, movflags="faststart").read_bytes()
    at = data.index(b"mdat") - 4
    short = bytearray(data[:-200])
    short[at:at + 4] = (len(short) - at).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(short)
    with pytest.raises(MediaError, match="of 24 frames"):
        probe(tmp_path / "a.mp4")


@pytest.mark.parametrize("data", [
    b"", b"<html>502</html>", bytes(5000), b"\x00\x00\x00\x20ftypisom" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(99),
])
def test_what_is_no_clip_is_a_media_error_with_its_name(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "SH0010_t1.mp4"
    path.write_bytes(data)
    for read in (probe, lambda clip: frame(clip, FramePosition.LAST)):
        with pytest.raises(MediaError, match=r"SH0010_t1\.mp4"):
            read(path)


def test_a_file_that_is_not_there_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        probe(tmp_path / "gone.mp4")


@pytest.mark.anyio
async def test_the_port_answers_like_the_functions(anyio_backend: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 7)
    assert await PyAvMedia().probe(clip) == probe(clip)
    assert await PyAvMedia().frame(clip, FramePosition.LAST) == frame(clip, FramePosition.LAST)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
