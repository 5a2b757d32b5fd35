"""Where the takes of a run stand for their turn."""

from __future__ import annotations

import heapq

import anyio

AHEAD = 32
"""Takes that are called before their turn, so that pictures can be uploaded meanwhile. The others are a number in a list."""


class Line:
    """Where takes stand for their turn, one at a time, in the order of their places, whoever was ready first.

    So a budget that is not enough for all is spent on the first of them, and ten thousand waiting takes cost the ledger one
    question, not ten thousand. A place that has joined is waited for: join when nothing is left to wait for.
    """

    def __init__(self) -> None:
        self._places: list[int] = []
        self._standing: set[int] = set()
        self._turns: dict[int, anyio.Event] = {}
        self._current: int | None = None
        self._called: set[int] = set()
        self._room = anyio.Semaphore(AHEAD)

    def join(self, place: int) -> None:
        """Stand at a place; once is enough."""
        if place not in self._standing:
            self._standing.add(place)
            heapq.heappush(self._places, place)
            self._advance()

    async def called(self, place: int) -> None:
        """Wait until few of those who were called before are still in line. Ask in the order of the places, with all of them
        in line already: else one who is not called yet would be waited for by those who are."""
        await self._room.acquire()
        self._called.add(place)

    async def turn(self, place: int) -> None:
        """Wait until everybody before has had their turn. The turn lasts until `leave`."""
        self.join(place)
        if self._current != place:
            await self._turns.setdefault(place, anyio.Event()).wait()

    def leave(self, place: int) -> None:
        """Give the turn, or the place, up."""
        if place in self._called:
            self._called.discard(place)
            self._room.release()
        if place in self._standing:
            self._standing.discard(place)
            self._turns.pop(place, None)
            if self._current == place:
                self._current = None
                self._advance()

    def _advance(self) -> None:
        while self._current is None and self._places:
            place = heapq.heappop(self._places)
            if place in self._standing:  # otherwise it was given up meanwhile
                self._current = place
                if place in self._turns:
                    self._turns[place].set()
