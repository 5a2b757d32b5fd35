"""The sound of a reel stays where its picture is, whatever the clips have."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_runner.adapters.reel import cut_reel
from manifest_runner.adapters.reel_segments import Options, Segment
from manifest_runner.errors import MediaError
from tests.reels import loudness, make_clip, make_sound, packets, sound_length

LOW, HIGH = 440.0, 3000.0
MANY = 0.25
"""Louder than that a tone is there; they are made with 0.5, and a codec takes some of it at the edges."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second each: with a low tone, with a high one, with one that begins late, and silent."""
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "low.mp4", 12, tone=LOW)
    make_clip(folder / "high.mp4", 12, tone=HIGH)
    make_clip(folder / "late.mp4", 12, tone=LOW, late=0.25)
    make_clip(folder / "silent.mp4", 12)
    make_sound(folder / "long.wav", 3.0, HIGH)
    make_sound(folder / "short.wav", 0.5, HIGH)
    return folder


def heard(film: Path, frequency: float) -> list[bool]:
    """Whether a tone is there, for each twentieth of a second but those at which something changes."""
    return [strong > MANY for strong in loudness(film, frequency)]


def test_clips_keep_their_own_sound_in_its_place_and_others_are_silent(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "reel.mp4"
    names = ["low", "silent", "high", "late"]
    made = cut_reel([Segment(clip=clips / f"{name}.mp4") for name in names], film)
    assert (made.sound, made.facts.frames, sound_length(film)) == (True, 48, 96_000)
    low, high = heard(film, LOW), heard(film, HIGH)
    assert low[1:9] == [True] * 8
    assert low[11:34] == [False] * 23
    assert low[36:39] == [True] * 3
    assert high[11:19] + high[31:39] == [False] * 16
    assert high[21:29] == [True] * 8


def test_sound_is_cut_with_its_picture_even_where_the_picture_is_copied(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "reel.mp4"
    made = cut_reel([Segment(clip=clips / "late.mp4", start=0.25), Segment(clip=clips / "high.mp4", end=0.25)], film)
    assert (made.facts.frames, sound_length(film)) == (12, 24_000)
    assert heard(film, LOW)[1:4] + heard(film, HIGH)[6:9] == [True] * 6
    assert heard(film, LOW)[6:9] + heard(film, HIGH)[1:4] == [False] * 6
    made = cut_reel([Segment(clip=clips / "low.mp4"), Segment(clip=clips / "low.mp4")], film)
    assert (made.copied, made.sound) == (True, True)
    assert packets(film) == packets(clips / "low.mp4") * 2


def test_a_temp_track_ends_with_the_reel_and_silence_follows_one_that_is_too_short(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "reel.mp4"
    silent = [Segment(clip=clips / "silent.mp4")] * 2
    cut_reel(silent, film, Options(sound=clips / "long.wav"))
    assert sound_length(film) == 48_000
    assert heard(film, HIGH)[1:19] == [True] * 18
    cut_reel(silent, film, Options(sound=clips / "short.wav"))
    assert sound_length(film) == 48_000
    assert heard(film, HIGH)[1:9] + heard(film, HIGH)[11:19] == [True] * 8 + [False] * 8


def test_a_temp_track_lies_under_what_the_clips_say_unless_they_are_muted(clips: Path, tmp_path: Path) -> None:
    film = tmp_path / "reel.mp4"
    segments = [Segment(clip=clips / "low.mp4"), Segment(clip=clips / "silent.mp4")]
    cut_reel(segments, film, Options(sound=clips / "long.wav"))
    assert heard(film, LOW)[1:9] + heard(film, LOW)[11:19] == [True] * 8 + [False] * 8
    assert all(strong > 0.42 for strong in loudness(film, LOW)[1:9]), "what the clips say is as loud as it was"
    assert all(0.2 < strong < 0.3 for strong in loudness(film, HIGH)[1:19])
    assert sound_length(film) == 48_000
    cut_reel(segments, film, Options(sound=clips / "long.wav", own_sound=False))
    assert not any(heard(film, LOW))
    assert all(strong > 0.4 for strong in loudness(film, HIGH)[1:19])
    assert not cut_reel(segments, film, Options(own_sound=False)).sound


@pytest.mark.parametrize("name", ["track.mp3", "track.m4a", "track.flac", "mono.wav"])
def test_a_temp_track_may_be_of_any_usual_kind_and_rate(name: str, clips: Path, tmp_path: Path) -> None:
    import av

    codec = {".mp3": "libmp3lame", ".m4a": "aac", ".flac": "flac", ".wav": "pcm_s16le"}[Path(name).suffix]
    with av.open(str(clips / "long.wav")) as wav, av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=44_100, layout="mono" if name == "mono.wav" else "stereo")
        for frame in wav.decode(audio=0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    film = tmp_path / "reel.mp4"
    cut_reel([Segment(clip=clips / "silent.mp4")], film, Options(sound=tmp_path / name))
    assert heard(film, HIGH)[2:9] == [True] * 7
    assert sound_length(film) == 24_000


def test_sound_gives_the_same_bytes_again(clips: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        cut_reel([Segment(clip=clips / "low.mp4")], tmp_path / f"{name}.mp4", Options(sound=clips / "short.wav"))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_what_is_no_sound_is_said_before_anything_is_cut(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("not a sound")
    for sound, words in ((tmp_path / "words.wav", "not a sound"), (tmp_path / "gone.mp3", "No such file"),
                         (clips / "silent.mp4", "no sound in it")):
        with pytest.raises(MediaError, match=words) as caught:
            cut_reel([Segment(clip=clips / "low.mp4")], tmp_path / "reel.mp4", Options(sound=sound))
        assert "wav" in (caught.value.hint or "")
    assert not (tmp_path / "reel.mp4").exists()
