"""When to ask again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.polling import PollPolicy, backoff, poll_delay

CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.integers(0, 1000), CHANCE)
def test_polls_stay_within_a_tenth_of_the_policy(polls: int, chance: float) -> None:
    policy = PollPolicy(first=20, every=5)
    base = 20 if polls == 0 else 5
    assert 0.9 * base <= poll_delay(policy, polls, chance) <= 1.1 * base


@given(st.integers(0, 10_000), CHANCE)
def test_backoff_grows_to_its_cap_and_is_never_zero(attempt: int, chance: float) -> None:
    assert 0.25 <= backoff(attempt, chance) <= 30
    assert backoff(attempt + 1, chance) >= backoff(attempt, chance)
