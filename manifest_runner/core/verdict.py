"""What a clip that came home is against what was asked for: its length, size and frame rate, and what can be seen in it.

Laws: a finding is shown wherever the take is, and is never a reason to pay again by itself: only a person retakes a shot, or
accepts the take as it is by circling it. Findings follow from the request and the facts of the probe; what the facts at hand
cannot say any more (a lockfile does not hold all of them) stays as it was said when the clip came home. Nothing here is about
money, so that a lockfile's word may be believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from manifest_runner.core.model import (
    Action,
    Change,
    ClipFinding,
    Json,
    LockEntry,
    Manifest,
    MediaFacts,
    Plan,
    Request,
    Shot,
    Verdict,
)
from manifest_runner.core.modelcard import ClipRules, ModelCard

SIZE_SLACK = 0.02
"""By which share a side may be short, and a ratio off: encoders round sides to multiples of eight or sixteen."""

RATE_SLACK = 0.05
"""By how many frames a second a frame rate may be off: 23.976 is 24."""

LONGEST = 1_000_000
"""Seconds; nothing longer is asked for."""

_BY_REQUEST = frozenset({"duration", "size", "proportions", "frame-rate"})
"""Codes of what follows from facts that every lockfile holds."""

_RATIO = re.compile(r"([1-9][0-9]{0,5}):([1-9][0-9]{0,5})")


class Judge:
    """Verdicts by one model's card. Takes that were asked and came out alike, as most do, share one judgement."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._known: dict[tuple[object, ...], tuple[ClipFinding, ...]] = {}

    def judged(self, entry: LockEntry, shot: Shot | None, take: int, facts: MediaFacts | None = None) -> LockEntry:
        """The entry with the verdict about its clip; the very entry where that is what it has. `shot` is what the manifest says
        of it, `facts` those of the probe where more is known than the entry holds."""
        if not entry.outputs:
            return entry
        facts = facts or entry.outputs[0].media
        findings = (*self.findings(entry.request, facts), *self._remembered(entry, facts))
        verdict = Verdict(accepted=shot is not None and shot.circled == take, findings=findings) if findings else None
        return entry if verdict == entry.verdict else replace(entry, verdict=verdict)

    def findings(self, request: Request, facts: MediaFacts | None) -> tuple[ClipFinding, ...]:
        """In what a clip is other than asked; nothing where all fits, or where nothing was probed or promised."""
        rules = self._card.clip
        if rules is None or facts is None or request.model != self._card.name:
            return ()
        asked, first = request.params.get, self._card.frames.first in request.params
        names = (rules.duration, rules.size, rules.aspect_ratio)
        key = (*(repr(asked(name)) for name in names), first, facts, facts.measured)  # a stranger's value may have no hash
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(_findings(request, facts, rules, framed=first))
        return found

    def _remembered(self, entry: LockEntry, facts: MediaFacts | None) -> tuple[ClipFinding, ...]:
        """What was once found and cannot be found again from the facts that are left."""
        if entry.verdict is None:
            return ()
        if self._card.clip is None or facts is None or entry.request.model != self._card.name:
            return entry.verdict.findings
        if facts.measured is not None:
            return ()
        return tuple(finding for finding in entry.verdict.findings if finding.code not in _BY_REQUEST)


def _findings(request: Request, facts: MediaFacts, rules: ClipRules, *, framed: bool) -> Iterator[ClipFinding]:
    asked: Json = request.params.get(rules.duration)
    # Where the request comes out of a lockfile, it may be a stranger's.
    if isinstance(asked, int | float) and 0 < asked < LONGEST and abs(facts.duration - asked) > rules.tolerance:
        yield ClipFinding(code="duration", words=f"it is {facts.duration:g} s long, {asked:g} s were asked for")
    side = rules.shortest_side.get(str(request.params.get(rules.size)))
    if side is not None and min(facts.width, facts.height) < side * (1 - SIZE_SLACK):
        yield ClipFinding(code="size", words=f"it is {facts.width}×{facts.height}, {request.params[rules.size]} was asked for")
    ratio = None if framed else ratio_of(str(request.params.get(rules.aspect_ratio, "")))  # with a picture, that decides
    if ratio and facts.height and abs(facts.width / facts.height / ratio - 1) > SIZE_SLACK:
        yield ClipFinding(code="proportions",
                          words=f"it is {facts.width}×{facts.height}, {request.params[rules.aspect_ratio]} was asked for")
    if rules.frame_rates and not any(abs(facts.rate - expected) <= RATE_SLACK for expected in rules.frame_rates):
        wanted = " or ".join(f"{expected:g}" for expected in rules.frame_rates)
        yield ClipFinding(code="frame-rate", words=f"it has {facts.rate:.5g} frames a second, {wanted} are expected")
    yield from _seen(facts, rules)


def _seen(facts: MediaFacts, rules: ClipRules) -> Iterator[ClipFinding]:
    """What only looking at the frames tells."""
    measured = facts.measured
    if measured is None:
        return
    if measured.decoded < facts.frames:
        yield ClipFinding(code="damaged", words=f"{facts.frames - measured.decoded} of its {facts.frames} frames are damaged")
    if rules.black is not None and measured.black > rules.black:
        share = "all" if measured.black == 1 else f"{measured.black:.0%}"
        yield ClipFinding(code="black", words=f"{share} of it is black")
    elif rules.still is not None and facts.duration and measured.still > rules.still * facts.duration:
        yield ClipFinding(code="frozen", words=f"nothing moves for {measured.still:.3g} of its {facts.duration:g} s")


def is_open(change: Change, shot: Shot | None) -> bool:
    """Whether a person still has to say something about a take's clip: it goes into the cut only because nobody has chosen
    another take, or this one."""
    return (verdict_of(change) is not None and shot is not None and shot.circled is None and shot.cut_take == change.take)


def verdict_of(change: Change) -> Verdict | None:
    """The verdict about a clip that stays; one that is going to be replaced needs none."""
    return change.entry.verdict if change.action in (Action.KEEP, Action.FETCH) and change.entry is not None else None


def open_takes(plan: Plan, manifest: Manifest) -> list[Change]:
    """The takes of a plan about which a person still has to say something."""
    shots = {shot.id: shot for shot in manifest.shots}
    return [change for change in plan.changes if is_open(change, shots.get(change.shot))]


def ratio_of(text: str) -> float | None:
    """`16:9` as a number, None for anything else."""
    found = _RATIO.fullmatch(text)
    return int(found[1]) / int(found[2]) if found is not None else None
