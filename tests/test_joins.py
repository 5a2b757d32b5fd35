"""Continuity from clip to clip: where one ends the next begins, and after a chain of them the colours are where they were."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from manifest_runner.adapters.media import frame
from manifest_runner.core.model import FramePosition
from manifest_runner.simulator.animatic import brief_of, render
from manifest_runner.simulator.slate import bar_height

LINKS = 4


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Animatics of which each begins on the last frame of the one before."""
    folder = tmp_path_factory.mktemp("chain")
    clips: list[Path] = []
    for number in range(LINKS + 1):
        pictures = {"image_url": frame(clips[-1], FramePosition.LAST)} if clips else {}
        body = {"prompt": "the last tram in the rain, sodium light, her red coat", "duration": 1, "resolution": "360p",
                "camera_control": {"type": "simple", "config": {"horizontal": 3}}}
        clips.append(folder / f"{number}.mp4")
        render(brief_of(body, shot=f"SH{number}", take=1, pictures=pictures), clips[-1])
    return clips


def seen(clip: Path, position: FramePosition) -> Image.Image:
    """A frame without the slate below it, which is each clip's own."""
    picture = Image.open(io.BytesIO(frame(clip, position)))
    return picture.crop((0, 0, picture.width, picture.height - bar_height(picture.height)))


def psnr(one: Image.Image, other: Image.Image) -> float:
    squares = sum(ImageStat.Stat(ImageChops.difference(one, other)).sum2) / (3 * one.width * one.height)
    return 99.0 if not squares else 10 * math.log10(255 * 255 / squares)


def test_a_clip_begins_where_the_one_before_it_ends(chain: list[Path]) -> None:
    """Within what the encoder of the clip itself takes from any picture."""
    for before, after in pairwise(chain):
        last, first = seen(before, FramePosition.LAST), seen(after, FramePosition.FIRST)
        assert psnr(last, first) > 40
        shifts = [b - a for a, b in zip(ImageStat.Stat(last).mean, ImageStat.Stat(first).mean, strict=True)]
        assert max(map(abs, shifts)) < 0.4


def test_a_chain_grows_neither_darker_nor_lighter(chain: list[Path]) -> None:
    """The same picture handed on: decoded, sent, drawn and coded again, with rounding that leans to no side."""
    still = [seen(clip, FramePosition.FIRST) for clip in chain[1:]]
    sent = [seen(clip, FramePosition.LAST) for clip in chain[:-1]]
    for band in range(3):
        given, got = (sum(ImageStat.Stat(picture).mean[band] for picture in pictures) for pictures in (sent, still))
        assert abs(got - given) < 0.25 * LINKS
