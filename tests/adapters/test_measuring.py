"""What looking at every frame of a clip finds: black, stillness and damage, and none of them where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorRange
from PIL import Image, ImageChops, ImageDraw

from manifest_runner.adapters.media import outline, probe
from manifest_runner.core.model import Measured

SIZE = (320, 180)
RATE = 24


def scene() -> Image.Image:
    """A picture with edges, gradients and shadows."""
    picture = Image.merge("RGB", [Image.radial_gradient("L").resize(SIZE), Image.linear_gradient("L").resize(SIZE),
                                  Image.linear_gradient("L").rotate(90).resize(SIZE)])
    pen = ImageDraw.Draw(picture)
    for x in range(10, SIZE[0], 37):
        pen.rectangle((x, 40 + x % 50, x + 12, 150), fill=(x % 200, 200 - x % 150, 90))
    return picture


SCENE = scene()


def encode(to: Path, pictures: Iterable[Image.Image], *, codec: str = "libx264", pix_fmt: str = "yuv420p",
           full: bool = False, **options: str) -> Path:
    with av.open(str(to), "w") as container:
        preset = {"preset": "veryfast"} if "264" in codec else {}
        stream = container.add_stream(codec, rate=RATE, options={**preset, **options})
        stream.width, stream.height = SIZE
        stream.pix_fmt = pix_fmt
        colours = ColorRange.JPEG if full else ColorRange.MPEG
        stream.codec_context.color_range = colours
        for picture in pictures:
            frame = av.VideoFrame.from_image(picture).reformat(format=pix_fmt, dst_color_range=colours)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return to


def measured(clip: Path) -> Measured:
    found = probe(clip).measured
    assert found is not None
    return found


def zooming(count: int, rate: float) -> Iterator[Image.Image]:
    for index in range(count):
        edge = rate * index
        window = (edge * SIZE[0], edge * SIZE[1], (1 - edge) * SIZE[0], (1 - edge) * SIZE[1])
        yield SCENE.transform(SIZE, Image.Transform.EXTENT, window, Image.Resampling.BICUBIC)


def with_a_light(count: int, size: int) -> Iterator[Image.Image]:
    """Nothing moves but one small light, by a quarter of a pixel a frame."""
    for index in range(count):
        picture = SCENE.copy()
        ImageDraw.Draw(picture).rectangle((100 + index / 4, 20, 100 + index / 4 + size, 20 + size), fill=(255, 250, 220))
        yield picture


def with_grain(count: int, sigma: float) -> Iterator[Image.Image]:
    noise = Image.effect_noise(SIZE, sigma)
    for index in range(count):
        grain = ImageChops.offset(noise, index * 61 % SIZE[0], index * 37 % SIZE[1])
        yield ImageChops.add(SCENE, Image.merge("RGB", [grain] * 3), 1, -128)


def breathing(count: int) -> Iterator[Image.Image]:
    """A static shot in which only the light changes, slowly and by little."""
    for index in range(count):
        yield Image.blend(SCENE, Image.new("RGB", SIZE, (128, 128, 128)), 0.06 * (1 - math.cos(index / 8)))


# One frame over and over, by encoders that each make something else of it: key frames that pulse, B-frames, few bits or many.
@pytest.mark.parametrize("options", [
    {}, {"g": "24"}, {"g": "12", "bf": "2"}, {"g": "1"}, {"qp": "0"}, {"crf": "35"}, {"bf": "5", "g": "48"},
    {"codec": "libx265", "x265-params": "log-level=none"}, {"codec": "mpeg4", "b": "3M"}, {"pix_fmt": "yuv420p10le"},
    {"full": "yes"},
])
def test_a_clip_that_does_not_move_stands_still_whatever_its_encoder_does(options: dict[str, str], tmp_path: Path) -> None:
    full = bool(options.pop("full", ""))
    found = measured(encode(tmp_path / "a.mp4", [SCENE] * 60, full=full, **options))  # type: ignore[arg-type]
    assert found.still > 0.9 * 60 / RATE
    assert (found.decoded, found.black) == (60, 0.0)


@pytest.mark.parametrize(("moving", "most"), [
    (lambda: zooming(60, 0.0002), 0.4), (lambda: with_a_light(60, 4), 0.4), (lambda: with_grain(60, 12), 0.2),
    (lambda: breathing(60), 0.8),
], ids=["a zoom of half a percent a second", "one small light", "grain", "a light that breathes"])
def test_a_clip_in_which_little_moves_does_not_stand_still(moving: object, most: float, tmp_path: Path) -> None:
    assert measured(encode(tmp_path / "a.mp4", moving())).still < most  # type: ignore[operator]


def test_a_clip_that_stops_on_its_way_stands_still_from_there_on(tmp_path: Path) -> None:
    moving = [*zooming(24, 0.002)]
    assert measured(encode(tmp_path / "a.mp4", [*moving, *[moving[-1]] * 36])).still == pytest.approx(36 / RATE, abs=0.15)


@pytest.mark.parametrize("options", [
    {}, {"full": "yes"}, {"pix_fmt": "yuv420p10le"}, {"pix_fmt": "yuv444p"}, {"codec": "mpeg4"},
    {"codec": "libx264rgb", "pix_fmt": "rgb24"},
])
def test_black_is_black_in_every_range_and_depth(options: dict[str, str], tmp_path: Path) -> None:
    full = bool(options.pop("full", ""))
    frames = [*[Image.new("RGB", SIZE)] * 18, *[*zooming(6, 0.01)]]
    assert measured(encode(tmp_path / "a.mp4", frames, full=full, **options)).black == pytest.approx(0.75)  # type: ignore[arg-type]


def test_a_dark_night_with_one_lamp_is_not_black(tmp_path: Path) -> None:
    night = Image.new("RGB", SIZE, (9, 9, 14))
    ImageDraw.Draw(night).ellipse((150, 60, 182, 92), fill=(120, 100, 50))
    assert measured(encode(tmp_path / "a.mp4", [night] * 6)).black == 0.0


def test_noise_in_the_dark_is_black_all_the_same(tmp_path: Path) -> None:
    dark = ImageChops.subtract(Image.effect_noise(SIZE, 6), Image.new("L", SIZE, 128)).convert("RGB")
    assert measured(encode(tmp_path / "a.mp4", [dark] * 6)).black == 1.0


def test_frames_whose_bytes_make_no_sense_are_counted_as_damaged(tmp_path: Path) -> None:
    """The file is as long as it says; somewhere in the middle it holds zeros."""
    clip = encode(tmp_path / "a.mp4", zooming(48, 0.002), g="12", crf="10")
    whole = bytearray(clip.read_bytes())
    at = whole.index(b"mdat") + len(whole) // 2
    whole[at:at + 4000] = bytes(4000)
    clip.write_bytes(whole)
    facts = probe(clip)
    assert facts.measured is not None
    assert facts.frames == 48
    assert 24 < facts.measured.decoded < 48


def test_a_clip_that_is_known_is_not_looked_at_again(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", [SCENE] * 5)
    assert outline(clip) == probe(clip)
    assert outline(clip).measured is None
