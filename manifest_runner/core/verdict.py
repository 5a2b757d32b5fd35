"""What a clip that came home is against what was asked for: its length and its size.

A difference is shown wherever the take is, and is never a reason to pay again by itself: only a person retakes a shot. The
verdict follows from request and probed facts, which stand beside each other in ledger and lockfile, so it is kept nowhere.
"""

from __future__ import annotations

from manifest_runner.core.model import MediaFacts, Request
from manifest_runner.core.modelcard import ModelCard

SIZE_SLACK = 0.02
"""By which share a side may be short, and a ratio off: encoders round sides to multiples of eight or sixteen."""


def remarks(request: Request, media: MediaFacts | None, card: ModelCard) -> tuple[str, ...]:
    """In words what is other than asked, nothing where all fits or where nothing was probed or promised."""
    rules = card.clip
    if rules is None or media is None or request.model != card.name:
        return ()
    found = []
    asked = request.params.get(rules.duration)
    if isinstance(asked, int | float) and abs(media.duration - asked) > rules.tolerance:
        found.append(f"it is {media.duration:g} s long, {asked:g} s were asked for")
    side = rules.shortest_side.get(str(request.params.get(rules.size)))
    if side is not None and min(media.width, media.height) < side * (1 - SIZE_SLACK):
        found.append(f"it is {media.width}×{media.height}, {request.params[rules.size]} was asked for")
    framed = card.frames.first in request.params  # then the picture decides
    ratio = None if framed else _ratio(str(request.params.get(rules.aspect_ratio, "")))
    if ratio and media.height and abs(media.width / media.height / ratio - 1) > SIZE_SLACK:
        found.append(f"it is {media.width}×{media.height}, {request.params[rules.aspect_ratio]} was asked for")
    return tuple(found)


def _ratio(text: str) -> float | None:
    """`16:9` as a number."""
    width, _, height = text.partition(":")
    return int(width) / int(height) if width.isdecimal() and height.isdecimal() and int(height) else None
