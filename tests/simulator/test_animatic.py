"""What a director may rely on in an animatic: length, size, direction of the camera, first and last picture, a still slate."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from manifest_runner.adapters.media import probe
from manifest_runner.errors import MediaError
from manifest_runner.simulator.animatic import Brief, brief_of, frame_size, render
from manifest_runner.simulator.clips import FLAW, animatic
from manifest_runner.simulator.motion import Move, held_back, move_of, view
from manifest_runner.simulator.painting import framing, paint
from manifest_runner.simulator.places import PLACES
from manifest_runner.simulator.slate import bar_height, drawable

WIDTH, HEIGHT = 480, 270
WINDOW = (WIDTH, HEIGHT - bar_height(HEIGHT))


def brief(**changes: object) -> Brief:
    usual = {"width": WIDTH, "height": HEIGHT, "duration": 0.5, "shot": "SH0010", "take": 1, "prompt": "The bridge at dusk.",
             "seed": "s"}
    return Brief(**{**usual, **changes})


def png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def drawn(asked: Brief, tmp_path: Path) -> list[Image.Image]:
    """Every frame of the clip."""
    clip = tmp_path / "clip.mp4"
    render(asked, clip)
    with av.open(str(clip)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def window(picture: Image.Image) -> Image.Image:
    """The picture without the slate."""
    return picture.crop((0, 0, picture.width, picture.height - bar_height(picture.height)))


def difference(one: Image.Image, two: Image.Image) -> float:
    """Mean difference of a pixel, 0..255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, two)).mean) / 3


def move(**config: float) -> dict[str, object]:
    return {"type": "simple", "config": config}


def scene(seed: str = "plate") -> Image.Image:
    return paint((WIDTH, HEIGHT), (0, 0), seed=seed, prompt="a valley")


def scene_of_noise() -> Image.Image:
    return Image.effect_noise((64, 64), 60)


@pytest.mark.parametrize(("resolution", "ratio", "size"), [
    ("720p", "16:9", (1280, 720)), ("720p", "9:16", (720, 1280)), ("720p", "1:1", (720, 720)), ("720p", "4:3", (960, 720)),
    ("1080p", "16:9", (1920, 1080)), ("1080p", "9:16", (1080, 1920)), ("720p", "21:9", (1680, 720)),
])
def test_resolution_names_the_shorter_side(resolution: str, ratio: str, size: tuple[int, int]) -> None:
    assert frame_size(resolution, ratio) == size


@pytest.mark.parametrize(("resolution", "ratio"), [
    ("big", "16:9"), ("720p", "16x9"), ("720p", "1:0"), ("720p", "99:1"), ("9p", "1:1"), ("720p", "nan:1"),
])
def test_a_size_that_cannot_be_drawn_is_a_media_error(resolution: str, ratio: str) -> None:
    with pytest.raises(MediaError, match="aspect ratio"):
        frame_size(resolution, ratio)


@pytest.mark.parametrize(("body", "frames", "size"), [
    ({"duration": 1}, 24, (1280, 720)),
    ({"duration": 1, "aspect_ratio": "9:16", "camera_control": move(pan=3)}, 24, (720, 1280)),
    ({"duration": 1.02, "aspect_ratio": "1:1"}, 24, (720, 720)),
    ({"duration": 1, "resolution": "1080p", "camera_control": move(zoom=-3)}, 24, (1920, 1080)),
    ({"duration": 15}, 360, (1280, 720)),
])
def test_a_clip_has_the_length_and_size_that_were_asked_for(body: dict[str, object], frames: int, size: tuple[int, int],
                                                            tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    render(brief_of({"prompt": "A pier.", **body}, shot="SH0010", take=1, pictures={}), clip)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.width, stream.codec_context.height) == size
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 24)
        assert sum(1 for packet in container.demux(stream) if packet.size) == stream.frames == frames
    assert clip.read_bytes().index(b"moov") < clip.read_bytes().index(b"mdat")


def test_a_request_without_a_duration_gets_the_five_seconds_of_the_api() -> None:
    assert brief_of({"prompt": "x"}, shot="SH0010", take=1, pictures={}).frames == 120


def test_pictures_come_under_the_names_of_their_fields() -> None:
    made = brief_of({"prompt": "x"}, shot="SH0010", take=1, pictures={"image_url": b"first", "last_frame_url": b"last"})
    assert (made.first_picture, made.last_picture) == (b"first", b"last")


def test_the_same_brief_gives_the_same_bytes(tmp_path: Path) -> None:
    asked = brief(camera_control=move(roll=4, zoom=-3), last_picture=png(scene("end")))
    render(asked, tmp_path / "one.mp4")
    render(asked, tmp_path / "two.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_another_seed_gives_clearly_another_picture() -> None:
    pictures = [paint(WINDOW, (0, 0), seed=f"seed {number}", prompt="She waits.") for number in range(8)]
    assert min(difference(one, two) for one in pictures for two in pictures if one is not two) > 6


def test_what_lies_in_the_window_does_not_depend_on_how_far_the_camera_will_look() -> None:
    for prompt in ("the city, night, rain", "a bridge", "the kitchen", "a boat at dawn", "forest", "hills",
                   "a tram in the street, mist", "iron truss bridge, 85mm", "the railway cutting, a locomotive", "she waits",
                   "into the tunnel", "CU, her face, rain", "ECU, his eyes", "insert, her hand, a lamp", "insert, a wet rail"):
        narrow, wide = (paint(WINDOW, margin, seed="s", prompt=prompt) for margin in ((0, 0), (120, 60)))
        assert difference(narrow, wide.crop((120, 60, 120 + WINDOW[0], 60 + WINDOW[1]))) < 0.8, prompt


def reddish(prompt: str, seed: str = "s") -> int:
    """How many of a hundred pixels are near the red of a coat."""
    red, green, blue = paint(WINDOW, (0, 0), seed=seed, prompt=prompt).split()
    strong = ImageChops.subtract(red, ImageChops.lighter(green, blue)).point([0] * 70 + [255] * 186)
    return round(ImageStat.Stat(strong).mean[0] / 2.55)


@pytest.mark.parametrize(("prompt", "size"), [
    ("ECU insert, her wet hand holds a punch", "detail"), ("Insert, the dial", "detail"), ("CU, both her hands", "detail"),
    ("ECU, the little bell", "detail"), ("Close-up of a coffee cup", "detail"), ("Macro, a leaf", "detail"),
    ("ECU, his eyes", "extreme"), ("Slow to CU, Asha laughs", "close"), ("MCU, the man", "head"), ("MS, Asha", "medium"),
    ("WS, the valley", "wide"), ("She waits.", "full"), ("WS, the street. CU later", "wide"),
])
def test_the_first_size_that_the_prompt_names_is_the_framing(prompt: str, size: str) -> None:
    assert framing(prompt) == size


@pytest.mark.parametrize(("prompt", "seen"), [
    ("Asha in a red coat waits in the street, grey", True), ("MS, she turns, red oilskin raincoat, street, grey", True),
    ("Asha's POV of the street, her red coat left behind, grey", False), ("The street, empty. Her red coat, grey", False),
    ("The street, nothing on the rails; her red coat, grey", False), ("Nobody there. His red coat, grey", False),
    ("The street in the rain, grey", False), ("She waits in the street, grey", False), ("She waits by a red door, grey", False),
])
def test_a_coat_is_worn_by_who_is_there_in_the_colour_that_is_named(prompt: str, seen: bool) -> None:
    assert all((reddish(prompt, seed) > 0) is seen for seed in "abc")


def test_the_words_of_the_look_give_the_shots_of_a_scene_one_palette() -> None:
    """Mean colours keep together; pictures do not."""
    shots = [paint(WINDOW, (0, 0), seed=f"SH{number}", prompt="The tram in the rain, monsoon dusk, violet sky.")
             for number in range(6)]
    means = [ImageStat.Stat(shot).mean for shot in shots]
    assert max(max(channel) - min(channel) for channel in zip(*means, strict=True)) < 40
    assert min(difference(one, two) for one in shots for two in shots if one is not two) > 4


def test_black_and_white_film_leaves_only_the_red_that_is_named() -> None:
    picture = paint(WINDOW, (0, 0), seed="s", prompt="The forest, autumn. Black-and-white film.")
    red, _, blue = ImageStat.Stat(picture).mean
    assert abs(red - blue) < 25
    assert reddish("Insert, a red hand lamp. Black-and-white film.") > 2
    assert reddish("Insert, a hand lamp. Black-and-white film.") == 0


def test_a_prompt_without_a_place_is_never_at_sea(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name, draw in PLACES.items():
        monkeypatch.setitem(PLACES, name, lambda board, name=name, draw=draw: seen.append(name) or draw(board))
    for seed in "abcdef":
        paint(WINDOW, (0, 0), seed=seed, prompt="He waits.")
    assert set(seen) == {"yard"}


def test_a_static_camera_moves_nothing_but_the_slate(tmp_path: Path) -> None:
    frames = drawn(brief(), tmp_path)
    assert max(difference(window(frames[0]), window(frame)) for frame in frames) < 0.4
    assert difference(frames[0], frames[-1]) > 0.4


# The camera goes one way, the picture the other. Where a block in the middle of the first picture ends up: (right, down).
@pytest.mark.parametrize(("config", "right", "down"), [
    ({"horizontal": 5}, -1, 0), ({"horizontal": -5}, 1, 0), ({"pan": 5}, -1, 0), ({"pan": -5}, 1, 0),
    ({"vertical": 5}, 0, 1), ({"vertical": -5}, 0, -1), ({"tilt": 5}, 0, 1), ({"tilt": -5}, 0, -1),
])
def test_the_picture_wanders_against_the_camera(config: dict[str, float], right: int, down: int, tmp_path: Path) -> None:
    x, y = _centroid(_last_with_block((0.5, 0.43), move(**config), tmp_path))
    start_x, start_y = 0.5 * WIDTH, 0.43 * HEIGHT
    for way, there, start, size in ((right, x, start_x, WIDTH), (down, y, start_y, HEIGHT)):
        assert (there - start) * way > 0.05 * size if way else abs(there - start) < 0.02 * size


@pytest.mark.parametrize(("roll", "down"), [(5, -1), (-5, 1)])
def test_a_clockwise_roll_turns_the_picture_the_other_way(roll: int, down: int, tmp_path: Path) -> None:
    """A block right of the middle rises when the camera rolls clockwise."""
    _, y = _centroid(_last_with_block((0.75, 0.43), move(roll=roll), tmp_path))
    assert (y - 0.43 * HEIGHT) * down > 0.05 * HEIGHT


@pytest.mark.parametrize(("control", "prompt", "out"), [
    (move(zoom=-5), "", 1), (move(zoom=5), "", -1),
    (None, "He runs. The camera dollies in.", 1), (None, "The camera dollies out.", -1),
    ({"type": "down_back"}, "", -1), ({"type": "right_turn_forward"}, "", 1),
])
def test_negative_zoom_and_a_dolly_in_make_things_larger(control: dict[str, object] | None, prompt: str, out: int,
                                                         tmp_path: Path) -> None:
    frame = _last_with_block((0.5, 0.43), control, tmp_path, prompt=prompt or "A block.")
    assert (_area(frame) / _block_area() - 1) * out > 0.08


def _last_with_block(at: tuple[float, float], control: object, tmp_path: Path, prompt: str = "A block.") -> Image.Image:
    plate = Image.new("RGB", (WIDTH, HEIGHT), (30, 40, 50))
    x, y = at[0] * WIDTH, at[1] * HEIGHT
    ImageDraw.Draw(plate).rectangle((x - 16, y - 16, x + 15, y + 15), fill="white")
    return window(drawn(brief(first_picture=png(plate), camera_control=control, prompt=prompt), tmp_path)[-1])


def _bright(frame: Image.Image) -> list[tuple[int, int]]:
    grey = frame.convert("L")
    return [(x, y) for y in range(grey.height) for x in range(grey.width) if grey.getpixel((x, y)) > 140]


def _centroid(frame: Image.Image) -> tuple[float, float]:
    lit = _bright(frame)
    return sum(x for x, _ in lit) / len(lit), sum(y for _, y in lit) / len(lit)


def _area(frame: Image.Image) -> int:
    return len(_bright(frame))


def _block_area() -> int:
    return 32 * 32


def test_a_truck_moves_the_near_faster_than_the_far_and_a_pan_does_not() -> None:
    truck, pan = view(Move(truck=5), 1.0, 800, 400), view(Move(pan=5), 1.0, 800, 400)
    assert truck.at(0, 200)[0] > truck.at(0, -200)[0] > 0
    assert pan.at(0, 200)[0] == pan.at(0, -200)[0] > 0


def test_every_move_starts_where_the_first_picture_is() -> None:
    for name in ("truck", "pedestal", "pan", "tilt", "roll", "zoom", "dolly"):
        assert view(Move(**{name: 7}), 0.0, 800, 400).at(123, -45) == (123, -45)


@pytest.mark.parametrize(("control", "words"), [
    (None, "static"), (move(), "static"), (move(horizontal=4), "truck right 4"),
    (move(zoom=-2.5, roll=-1), "roll ccw 1, zoom in 2.5"),
    (move(pan=-99), "pan left 10"), ({"type": "forward_up"}, "tilt up 4, dolly in 5"),
])
def test_the_slate_names_the_move_in_film_words(control: dict[str, object] | None, words: str) -> None:
    assert move_of(control, "").words() == words


@pytest.mark.parametrize("control", [None, move(pan=6), move(roll=-6, zoom=4)])
def test_the_first_frame_is_the_first_picture(control: dict[str, object] | None, tmp_path: Path) -> None:
    plate = scene()
    first = drawn(brief(first_picture=png(plate), camera_control=control), tmp_path)[0]
    assert difference(window(first), window(plate)) < 2.5


def test_the_final_frame_is_the_last_picture_even_under_a_moving_camera(tmp_path: Path) -> None:
    start, end = scene("start"), scene("end")
    asked = brief(duration=1, first_picture=png(start), last_picture=png(end), camera_control=move(horizontal=5))
    frames = drawn(asked, tmp_path)
    assert difference(window(frames[-1]), window(end)) < 2.5
    assert difference(window(frames[12]), window(end)) > 6


@pytest.mark.parametrize("control", [None, move(zoom=6)])
def test_the_change_to_the_last_picture_takes_nearly_the_whole_clip(control: dict[str, object] | None, tmp_path: Path) -> None:
    """An out point well before the end still shows most of it, and no second of the clip has all of it."""
    start, end = scene("start"), scene("end")
    asked = brief(duration=2, first_picture=png(start), last_picture=png(end), camera_control=control)
    frames = [window(frame) for frame in drawn(asked, tmp_path)]
    whole = difference(window(start), window(end))
    left = [difference(frame, window(end)) / whole for frame in frames]
    assert difference(frames[0], window(start)) < 2.5
    assert (left[4] > 0.9, 0.3 < left[24] < 0.8, left[38] < 0.25, left[-1] * whole < 2.5) == (True,) * 4
    assert max(before - after for before, after in pairwise(left)) < 0.1


@pytest.mark.parametrize("asked", [Move(zoom=10), Move(dolly=5), Move(zoom=10, dolly=10, pan=2), Move(zoom=9, dolly=-3)])
def test_a_camera_pulls_only_so_far_out_of_a_given_picture_that_a_sliver_around_it_is_new(asked: Move) -> None:
    seen = view(held_back(asked), 1.0, 1000, 500)
    assert seen.a == pytest.approx(1 / 0.94)
    assert held_back(asked).pan == asked.pan


@pytest.mark.parametrize("asked", [Move(), Move(zoom=-10), Move(zoom=1), Move(zoom=4, dolly=-10, roll=3)])
def test_a_camera_that_stays_or_goes_in_is_not_held_back(asked: Move) -> None:
    assert held_back(asked) == asked


def test_the_edge_of_a_given_picture_is_not_to_be_seen_when_the_camera_pulls_out(tmp_path: Path) -> None:
    """Bands across the picture go on beyond its left edge, which ends up 3 % into the frame."""
    plate = Image.new("RGB", (WIDTH, HEIGHT), (40, 40, 40))
    for y in range(0, HEIGHT, 24):
        ImageDraw.Draw(plate).rectangle((0, y, WIDTH, y + 11), fill=(200, 200, 200))
    frame = window(drawn(brief(first_picture=png(plate), camera_control=move(zoom=10)), tmp_path)[-1])
    columns = [frame.crop((x, 0, x + 1, frame.height)) for x in range(24)]
    assert max(difference(one, two) for one, two in pairwise(columns)) < 6


def test_the_final_frame_is_a_key_frame_for_the_shots_that_begin_with_it(tmp_path: Path) -> None:
    render(brief(camera_control=move(pan=3)), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert (keys[0], sum(keys), keys[-1]) == (True, 2, True)


def test_a_first_picture_of_another_shape_covers_the_frame_about_its_middle(tmp_path: Path) -> None:
    plate = Image.new("RGB", (HEIGHT, HEIGHT * 3), (200, 30, 30))
    ImageDraw.Draw(plate).rectangle((0, HEIGHT, HEIGHT, 2 * HEIGHT), fill=(30, 160, 60))
    first = drawn(brief(first_picture=png(plate)), tmp_path)[0]
    r, g, b = first.getpixel((WIDTH // 2, HEIGHT // 2))
    assert abs(r - 30) < 12
    assert abs(g - 160) < 12
    assert abs(b - 60) < 12


def test_an_old_slate_in_the_first_picture_never_comes_into_view(tmp_path: Path) -> None:
    """However the camera moves, what lay under the slate (here bright magenta) stays hidden."""
    plate = scene()
    ImageDraw.Draw(plate).rectangle((0, WINDOW[1], WIDTH, HEIGHT), fill=(255, 0, 255))
    for control in (move(tilt=-8), move(vertical=-8), move(zoom=8), move(roll=8)):
        for frame in drawn(brief(first_picture=png(plate), camera_control=control), tmp_path)[::5]:
            red, green, blue = window(frame).split()
            magenta = ImageChops.subtract(ImageChops.darker(red, blue), green)
            assert magenta.getextrema()[1] < 90


def test_a_new_slate_covers_the_old_one_exactly(tmp_path: Path) -> None:
    old = drawn(brief(duration=1), tmp_path)[-1]
    new = drawn(brief(duration=1, shot="SH0020", prompt="", first_picture=png(old)), tmp_path)[0]
    alone = drawn(brief(duration=1, shot="SH0020", prompt=""), tmp_path)[0]
    bar = (0, WINDOW[1] + 2, WIDTH, HEIGHT)
    assert difference(new.crop(bar), alone.crop(bar)) < 1
    assert difference(window(new), window(old)) < 2


def test_the_colours_are_the_pictures_own(tmp_path: Path) -> None:
    for colour in ((200, 30, 30), (30, 160, 60), (40, 60, 200)):
        frame = drawn(brief(duration=0.1, first_picture=png(Image.new("RGB", (WIDTH, HEIGHT), colour))), tmp_path)[0]
        assert max(abs(a - b) for a, b in zip(frame.getpixel((100, 100)), colour, strict=True)) < 8


@pytest.mark.parametrize("rubbish", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40), png(scene_of_noise())[:2000]])
def test_a_picture_that_cannot_be_read_is_a_media_error_that_says_which(rubbish: bytes, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="last picture"):
        render(brief(last_picture=rubbish), tmp_path / "clip.mp4")


def test_a_file_that_cannot_be_written_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        render(brief(), tmp_path / "nowhere" / "clip.mp4")


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (270, 480), (270, 270), (640, 270)])
def test_a_hostile_slate_is_drawn_all_the_same(size: tuple[int, int], tmp_path: Path) -> None:
    asked = brief(width=size[0], height=size[1], duration=0.1, shot="S" * 300, take=10**6, prompt="नमस्ते\x1b[31m\n" + "W" * 5000,
                  camera_control=move(horizontal=9, vertical=9, pan=9, tilt=9, roll=9, zoom=9))
    assert len(drawn(asked, tmp_path)) == 2


@pytest.mark.parametrize(("text", "shown"), [
    ("Café “noir” – 35×", 'Cafe "noir" - 35x'), ("नमस्ते world", "… world"), ("a\nb\x1b", "a b…"), ("", ""),
])
def test_text_is_shown_in_the_letters_that_the_font_has(text: str, shown: str) -> None:
    assert drawable(text) == shown


@pytest.mark.parametrize("absent", ["av", "PIL"])
@pytest.mark.parametrize("module", ["simulator.animatic", "adapters.media", "adapters.reel"])
def test_without_the_extra_an_import_says_what_to_install(module: str, absent: str) -> None:
    """In a process of its own, in which the library cannot be imported."""
    code = f"""
import sys
from itertools import pairwise
sys.modules[{absent!r}] = None
from manifest_runner.errors import MissingExtra
try:
    import manifest_runner.{module}
except MissingExtra as error:
    print(error.hint)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "pip install 'manifest-runner[video]'"


@pytest.mark.parametrize(("flaw", "wanted"), [("", (0.0, 0.0)), ("black", (1.0, 0.958)), ("frozen", (0.0, 0.958))])
@pytest.mark.parametrize("camera", [{}, {"camera_control": {"type": "simple", "config": {"pan": 3}}}], ids=["static", "moving"])
def test_a_clip_is_black_or_frozen_on_demand_and_never_by_itself(flaw: str, wanted: tuple[float, float], camera: dict[str, Any],
                                                                 tmp_path: Path) -> None:
    animatic({"prompt": "the bridge at night", "duration": 1, "resolution": "360p", **camera, **({FLAW: flaw} if flaw else {})},
             "SH0010", 1, {}, tmp_path / "a.mp4")
    facts = probe(tmp_path / "a.mp4")
    assert facts.measured is not None
    assert (facts.frames, facts.measured.decoded) == (24, 24)
    assert facts.measured.black == wanted[0]
    assert facts.measured.still == pytest.approx(wanted[1], abs=0.09)
