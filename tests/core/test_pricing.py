"""Prices: exact, in Decimal, and in words that explain them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.adapters.resources import load_card
from manifest_runner.core.modelcard import override
from manifest_runner.core.pricing import format_credits, format_total, quote
from manifest_runner.errors import UsageError

CARD = load_card("kling-v3-omni")


@pytest.mark.parametrize(("params", "credits_", "words"), [
    ({"duration": 5, "resolution": "720p"}, "145", "5 s × 29"),
    ({"duration": 5, "resolution": "1080p"}, "230", "5 s × 46"),
    ({"duration": 7.5, "resolution": "720p"}, "217.5", "7.5 s × 29"),
    ({"duration": 10.0, "resolution": "720p"}, "290", "10 s × 29"),
    ({"duration": 1.1, "resolution": "1080p"}, "50.6", "1.1 s × 46"),
    ({}, "145", "5 s × 29"),
])
def test_a_take_costs_its_seconds_times_the_table(params: dict[str, object], credits_: str, words: str) -> None:
    found = quote(CARD, params)
    assert found.credits == Decimal(credits_)
    assert found.words == words


@given(st.decimals(min_value=1, max_value=15, places=3), st.sampled_from(["720p", "1080p"]))
def test_a_quote_is_exact_for_every_duration_that_can_be_written(seconds: Decimal, resolution: str) -> None:
    found = quote(CARD, {"duration": float(seconds), "resolution": resolution}).credits
    assert isinstance(found, Decimal)
    assert found == seconds * CARD.price.table[resolution]


def test_an_accounts_own_price_is_exact_too() -> None:
    own = override(CARD, {"price": {"table": {"720p": 0.1}}})
    assert quote(own, {"duration": 3}).credits == Decimal("0.3")


def test_a_request_without_a_price_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        quote(CARD, {"resolution": "4k"})
    assert refused.value.code == "no-price"


@pytest.mark.parametrize(("amount", "text"), [
    ("145", "145"), ("145.00", "145"), ("43.50", "43.5"), ("2760", "2,760"), ("1E+6", "1,000,000"), ("0", "0"), ("-0.0", "0"),
    ("1234.5", "1,234.5"), ("100", "100"),
])
def test_credits_are_shown_without_needless_digits(amount: str, text: str) -> None:
    assert format_credits(Decimal(amount)) == text


@pytest.mark.parametrize(("amount", "text"), [
    ("435", "435 credits (₹435)"), ("2760", "2,760 credits (₹2,760)"), ("1", "1 credit (₹1)"), ("0", "0 credits (₹0)"),
])
def test_a_total_says_what_it_is_in_money(amount: str, text: str) -> None:
    assert format_total(Decimal(amount), CARD) == text
