"""What a run says while it goes on."""

from __future__ import annotations

import pytest

from manifest_runner.core.pace import Patience
from manifest_runner.views.progress import phrase


@pytest.mark.parametrize(("asked", "words"), [
    (Patience(seconds=1, pace=0.2, places=None), "12 a minute for now"),
    (Patience(seconds=30, pace=0.04, places=None), "2.4 a minute for now, going on in 30 s"),
    (Patience(seconds=1, pace=4.0, places=None), "4 a second for now"),
    (Patience(seconds=1, pace=None, places=4), "4 jobs at once for now"),
    (Patience(seconds=1, pace=0.5, places=1), "30 a minute for now, 1 job at once for now"),
])
def test_a_gateway_that_asks_for_patience_is_quoted_in_numbers(asked: Patience, words: str) -> None:
    assert phrase(asked, priced=True) == f"the gateway asks for patience: {words}"
