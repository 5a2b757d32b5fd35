"""What the cut came to before a change, so that a review can say what the change makes of it.

Both sides are priced by the same list, today's: a change of prices is not a change of the cut, and what a kept take was charged
cancels out.
"""

from __future__ import annotations

from decimal import Decimal

from manifest_runner.core.model import JobState, LockEntry, Lockfile, Manifest, ShotId
from manifest_runner.core.modelcard import ModelCard
from manifest_runner.core.pricing import quote
from manifest_runner.errors import UsageError

_LONGEST = 10**6
_NOTHING_CAME = frozenset({JobState.INTENDED, JobState.FAILED, JobState.REFUSED, JobState.ABANDONED})


def locked_cut_total(manifest: Manifest, card: ModelCard, lockfile: Lockfile) -> Decimal:
    """The credits of one take of every shot that the lockfile holds, at today's prices: the take that the manifest puts into
    the cut where it is locked, else the latest. `Plan.cut_total` less this is the delta of the cut."""
    wanted = {shot.id: shot.cut_take for shot in manifest.shots}
    takes: dict[ShotId, list[int]] = {}
    for (shot, take), entry in lockfile.entries.items():
        if entry.state not in _NOTHING_CAME:
            takes.setdefault(shot, []).append(take)
    total = Decimal(0)
    for shot, known in takes.items():
        take = wanted.get(shot, 0)
        total += _price(lockfile.entries[shot, take if take in known else max(known)], card)
    return total


def _price(entry: LockEntry, card: ModelCard) -> Decimal:
    """Today's price of a locked request; what it cost where today's list has none for it, or the request is none that a
    manifest could ask for (a lockfile may hold anything)."""
    params = entry.request.params
    quantity = params.get(card.price.quantity, card.defaults[card.price.quantity])
    if entry.request.model == card.name and isinstance(quantity, int | float) and 0 < quantity <= _LONGEST:
        try:
            return quote(card, params).credits
        except UsageError:
            pass
    return entry.charged if entry.charged is not None else entry.estimated
