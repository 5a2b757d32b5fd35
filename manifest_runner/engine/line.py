"""Where the takes of a run stand for their turn."""

from __future__ import annotations

import heapq

import anyio


class Line:
    """Where takes stand for their turn, one at a time, in the order of the plan, whoever was ready first.

    So a budget that is not enough for all is spent on the first shots of the cut, and ten thousand waiting takes cost the
    ledger one question, not ten thousand. A place that has joined is waited for: join when nothing is left to wait for.
    """

    def __init__(self) -> None:
        self._places: list[int] = []
        self._turns: dict[int, anyio.Event] = {}
        self._current: int | None = None

    def join(self, place: int) -> None:
        """Stand at a place of the plan; once is enough."""
        if place not in self._turns:
            self._turns[place] = anyio.Event()
            heapq.heappush(self._places, place)
            self._advance()

    async def turn(self, place: int) -> None:
        """Wait until everybody before has had their turn. The turn lasts until `leave`."""
        self.join(place)
        await self._turns[place].wait()

    def leave(self, place: int) -> None:
        """Give the turn, or the place, up."""
        if self._turns.pop(place, None) is not None and self._current == place:
            self._current = None
            self._advance()

    def _advance(self) -> None:
        while self._current is None and self._places:
            place = heapq.heappop(self._places)
            if place in self._turns:  # otherwise it was given up meanwhile
                self._current = place
                self._turns[place].set()
