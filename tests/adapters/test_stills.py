"""Small pictures for pages: the right frames, the right shape, and none made twice."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from manifest_runner.adapters import stills as module
from manifest_runner.adapters.stills import KeptStills, Stills, stills, thumbnail
from manifest_runner.core.model import Cut
from manifest_runner.errors import MediaError
from tests.adapters.test_media import colour_of, make_clip


def size(jpeg: bytes) -> tuple[int, int]:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image.size


@pytest.mark.parametrize(("cut", "middle"), [
    (Cut(), 12), (Cut(start=0.5), 18), (Cut(end=0.5), 6), (Cut(start=0.25, end=0.75), 12), (Cut(end=9), 12)])
def test_a_clip_gives_the_middle_of_its_cut_and_its_own_first_and_last_frame(tmp_path: Path, cut: Cut, middle: int) -> None:
    made = stills(make_clip(tmp_path / "a.mp4", 24), cut, side=320)
    assert [colour_of(jpeg) for jpeg in (made.poster, made.first, made.last)] == [middle % 5, 0, 23 % 5]


def test_pictures_keep_their_shape_and_are_never_made_larger(tmp_path: Path) -> None:
    upright = stills(make_clip(tmp_path / "a.mp4", 3, size=(180, 320)), Cut(), side=480)
    assert (size(upright.poster), size(upright.first)) == ((180, 320), (90, 160))


def test_what_is_no_clip_and_what_is_no_picture_are_media_errors(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaError):
        stills(tmp_path / "a.mp4", Cut(), side=320)
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40)):
        with pytest.raises(MediaError, match=r"plate\.png"):
            thumbnail(content, "plate.png")


def test_a_picture_file_becomes_a_small_jpeg_with_or_without_transparency() -> None:
    for mode in ("RGB", "RGBA", "P", "L"):
        out = io.BytesIO()
        Image.new(mode, (1600, 900)).save(out, "PNG")
        assert size(thumbnail(out.getvalue(), "x.png")) == (160, 90)


def test_stills_are_made_once_and_again_when_clip_or_cut_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, made = make_clip(tmp_path / "a.mp4", 24), []

    def counted(path: Path, cut: Cut, *, side: int) -> Stills:
        made.append(cut)
        return stills(path, cut, side=side)

    monkeypatch.setattr(module, "stills", counted)
    kept = KeptStills(tmp_path / "kept")
    first = kept.of(clip, Cut(), side=320)
    assert (kept.of(clip, Cut(), side=320), len(made)) == (first, 1)
    kept.of(clip, Cut(start=0.5), side=320)
    make_clip(clip, 30)
    assert kept.of(clip, Cut(), side=320) != first
    assert len(made) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"poster": "AA"}', b'{"poster": 1, "first": 2, "last": 3}'])
def test_what_was_kept_and_is_damaged_is_made_again(tmp_path: Path, damage: bytes) -> None:
    clip, kept = make_clip(tmp_path / "a.mp4", 2), KeptStills(tmp_path / "kept")
    first = kept.of(clip, Cut(), side=320)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(damage)
    assert kept.of(clip, Cut(), side=320) == first
