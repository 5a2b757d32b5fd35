"""What a take costs by its model's price table. Credits are Decimal from the first digit to the last."""

from __future__ import annotations

from decimal import Decimal

from manifest_runner.core.model import JsonObject, Quote
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.errors import UsageError

SHORT_UNITS = {"second": "s"}


def quote(card: ModelCard, params: JsonObject) -> Quote:
    """The estimate for one take with these request parameters; a parameter that is absent counts with its default.

    Raises UsageError where the card has no price for them, so that nothing is ever submitted unpriced.
    """
    price = card.price
    variant = str(params.get(price.by, card.defaults[price.by]))
    each = price.table.get(variant)
    if each is None:
        raise UsageError(f"{card.name} has no price for {price.by} {variant}", code="no-price",
                         hint=f"prices are known for {', '.join(price.table)}")
    # str first: Decimal(0.1) would carry the binary tail of the float into the money.
    quantity = Decimal(str(params.get(price.quantity, card.defaults[price.quantity])))
    unit = SHORT_UNITS.get(price.unit, price.unit)
    return Quote(credits=quantity * each, words=f"{format_credits(quantity)} {unit} × {format_credits(each)}")


def price_words(card: ModelCard) -> str:
    """The price table in one line: `720p 29, 1080p 46 credits a second`."""
    table = ", ".join(f"{name} {format_credits(each)}" for name, each in card.price.table.items())
    return f"{table} credits a {card.price.unit}"


def format_credits(amount: Decimal) -> str:
    """`145`, `43.5`, `2,760`: exact, without trailing zeros or exponent, thousands with a comma."""
    text = f"{amount:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def format_total(amount: Decimal, card: ModelCard) -> str:
    """`435 credits (₹435)`: credits and what they are in the card's currency, at list price."""
    noun = "credit" if amount == 1 else "credits"
    return f"{format_credits(amount)} {noun} ({card.price.symbol}{format_credits(amount * card.price.per_credit)})"
