"""What is said where there is nothing to do. It stands alone, for a plan of which that is known before much is imported."""

from __future__ import annotations


def nothing_to_do(kept: int, *, priced: bool) -> str:
    """The last line of a plan without changes; a draft is not `priced`."""
    return f"Nothing to do: {kept} kept. {'0 credits.' if priced else 'A draft costs nothing.'}"
