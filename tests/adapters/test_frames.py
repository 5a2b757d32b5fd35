from __future__ import annotations

import base64

import pytest

from manifest_runner.adapters.clock import SystemClock
from manifest_runner.adapters.frames import InlineFrames, NoFrames
from manifest_runner.errors import UsageError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.anyio
@pytest.mark.parametrize(("picture", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
async def test_an_inline_frame_is_a_data_address_of_the_same_bytes(picture: bytes, media_type: str) -> None:
    address = await InlineFrames().publish(picture)
    head, _, body = address.partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(body, validate=True) == picture


@pytest.mark.anyio
@pytest.mark.parametrize("picture", [b"", b"GIF89a", b"<svg/>", b"\x89PNG", b"RIFF....WEBP"])
async def test_anything_but_png_and_jpeg_is_a_usage_error(picture: bytes) -> None:
    with pytest.raises(UsageError, match="PNG or JPEG"):
        await InlineFrames().publish(picture)


@pytest.mark.anyio
async def test_without_a_way_for_pictures_the_error_names_one() -> None:
    with pytest.raises(UsageError) as caught:
        await NoFrames().publish(PNG)
    assert "MANIFEST_RUNNER_FRAMES=inline" in str(caught.value.hint)


@pytest.mark.anyio
async def test_the_systems_clock_moves_forward_and_sleeps_at_least_as_long_as_asked() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    await clock.sleep(-5)
    assert clock.monotonic() - before >= 0.009
    assert clock.wall() > 1_600_000_000
    assert all(0 <= clock.jitter() < 1 for _ in range(100))
