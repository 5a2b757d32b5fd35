"""Shots that begin or end on frames of others: what refers to what, circles, and chains that grow long.

Laws: no recursion, for a chain may be 20,000 shots long; each circle and each chain is told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from manifest_runner.core.explain import Finding
from manifest_runner.core.model import JsonObject, Severity

if TYPE_CHECKING:
    from manifest_runner.core.rules import Show

FRAMES = ("first_frame", "last_frame")

LONGEST = 4
"""Links of a chain of which nothing is said."""


def references(show: Show) -> Iterator[tuple[int, str, JsonObject]]:
    """Each frame of another shot: the place of the shot that asks for it, under which key, and what stands there."""
    for index, shot in enumerate(show.shots):
        for key in FRAMES:
            if isinstance(value := shot.get(key), dict):
                yield index, key, value


def first_places(show: Show) -> dict[str, int]:
    """Where each id stands first."""
    places: dict[str, int] = {}
    for index, shot in enumerate(show.shots):
        if "id" in shot:
            places.setdefault(shot["id"], index)
    return places


def frame_cycles(show: Show) -> Iterator[Finding]:
    """Shots that wait for each other's frames in a circle: each circle once, at its first shot."""
    by_id = first_places(show)
    edges: dict[int, list[tuple[int, str]]] = {}
    for index, key, value in references(show):
        upstream = by_id.get(value["shot"], index)
        if upstream != index:  # a shot that names itself has been told so
            edges.setdefault(index, []).append((upstream, key))
    for circle in _circles(edges):
        start = circle.index(min(circle))
        ordered = circle[start:] + circle[:start]
        key = next(key for upstream, key in edges[ordered[0]] if upstream == ordered[1 % len(ordered)])
        names = " → ".join(show.shots[index]["id"] for index in (*ordered, ordered[0]))
        yield Finding(code="frame-cycle", message=f"these shots wait for each other's frames: {names}",
                      pointer=("shots", ordered[0], key), hint="begin one of them with a picture or without a frame")


def _circles(edges: dict[int, list[tuple[int, str]]]) -> Iterator[list[int]]:
    """The circles that a walk along the edges closes. No recursion: a chain may be 20,000 shots long."""
    done: set[int] = set()
    for root in edges:
        path: list[int] = []
        places: dict[int, int] = {}
        stack = [(root, 0)]
        while stack:
            node, turn = stack.pop()
            if turn == 0:
                if node in done:
                    continue
                places[node] = len(path)
                path.append(node)
            targets = edges.get(node, [])
            if turn == len(targets):
                done.add(path.pop())
                del places[node]
                continue
            stack.append((node, turn + 1))
            target = targets[turn][0]
            if target in places:
                yield path[places[target]:]
            elif target not in done:
                stack.append((target, 0))


def long_chains(show: Show) -> Iterator[Finding]:
    """Each link begins with a picture of the clip before, and what is lost in one is lost in all that follow. A chain is told
    once, where it becomes long."""
    by_id = first_places(show)
    above: dict[int, tuple[int, str]] = {}  # of a shot the one above it in its longest chain, and the key that names it
    links: dict[int, int] = {}
    links_of: dict[int, list[tuple[int, str]]] = {}
    for index, key, value in references(show):
        if value["shot"] in by_id:
            links_of.setdefault(index, []).append((by_id[value["shot"]], key))
    for index in _upstream_first(links_of):
        upstream, key = max(links_of[index], key=lambda found: (links.get(found[0], 0), found[1]))
        above[index], links[index] = (upstream, key), links.get(upstream, 0) + 1
        if links[index] == LONGEST + 1:
            names = [index]
            while names[-1] in above:
                names.append(above[names[-1]][0])
            chain = " → ".join(show.shots[name].get("id", "?") for name in reversed(names))
            words = (f"{chain} is a chain of {LONGEST + 1} links: each begins with a picture of the one before, and faces and "
                     "colours drift away")
            yield Finding(severity=Severity.WARNING, code="long-chain", message=words, pointer=("shots", index, key),
                          hint="begin one of them with a picture of its own, made for the purpose")


def _upstream_first(links: dict[int, list[tuple[int, str]]]) -> Iterator[int]:
    """The shots with references, each after those that it refers to; none that is part of a circle or follows from one."""
    waiting = {index: sum(upstream in links for upstream, _ in found) for index, found in links.items()}
    below: dict[int, list[int]] = {}
    for index, found in links.items():
        for upstream, _ in found:
            below.setdefault(upstream, []).append(index)
    ready = [index for index, count in waiting.items() if not count]
    for index in ready:  # it grows on the way
        yield index
        for follower in below.get(index, ()):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
