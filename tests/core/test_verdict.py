"""What is said of a clip that is other than asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manifest_runner.core.model import Request
from manifest_runner.core.modelcard import override
from manifest_runner.core.verdict import Judge
from tests.builders import CARD, FACTS


def asked(**params: Any) -> Request:
    usual = {"prompt": "x", "duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}
    return Request(model=CARD.name, params={**usual, **params})


@pytest.mark.parametrize(("request_", "facts", "words"), [
    (asked(), FACTS, []),
    (asked(), replace(FACTS, duration=5.042), []),
    (asked(), replace(FACTS, duration=2.5), ["it is 2.5 s long, 5 s were asked for"]),
    (asked(duration=10), FACTS, ["it is 5 s long, 10 s were asked for"]),
    (asked(resolution="1080p"), FACTS, ["it is 1280×720, 1080p was asked for"]),
    (asked(), replace(FACTS, width=1920, height=1080), []),
    (asked(), replace(FACTS, width=1280, height=714), []),
    (asked(aspect_ratio="9:16"), FACTS, ["it is 1280×720, 9:16 was asked for"]),
    (asked(aspect_ratio="9:16", image_url="file:sha256:00"), FACTS, []),
    (asked(aspect_ratio="1:1"), replace(FACTS, width=960, height=960), []),
    (asked(resolution="1080p"), replace(FACTS, duration=1.0), ["it is 1 s long, 5 s were asked for",
                                                               "it is 1280×720, 1080p was asked for"]),
])
def test_length_and_size_are_held_against_the_request(request_: Request, facts: Any, words: list[str]) -> None:
    assert [finding.words for finding in Judge(CARD).findings(request_, facts)] == words


def test_nothing_is_said_where_nothing_was_probed_or_promised() -> None:
    assert Judge(CARD).findings(asked(duration=10), None) == ()
    assert Judge(CARD).findings(replace(asked(duration=10), model="another"), FACTS) == ()
    assert len(Judge(CARD).findings(asked(duration=5.7), FACTS)) == 1
    assert Judge(override(CARD, {"clip": {"tolerance": 1}})).findings(asked(duration=5.7), FACTS) == ()
