"""What a command belongs to that was not started alone: the run that somebody has named, the make that counts what goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manifest_runner.adapters.settings import run_name

if TYPE_CHECKING:  # the simulator is an extra
    from manifest_runner.simulator.clips import Place

_held: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the ledger calls a command. `name` is the run, whose limits hold over all rounds of the command and all commands of
    that name; `sender` is this command alone."""

    name: str
    sender: str

    @property
    def is_whole(self) -> bool:
        """Whether this command is all of its run; if not, others of it may write to the same terminal."""
        return self.name == self.sender

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Run:
        """This command: a run of its own, or part of the one that make, say, has named. Raises `UsageError`."""
        sender = os.urandom(8).hex()
        return cls(name=run_name(environ) or sender, sender=sender)


@contextmanager
def place() -> Iterator[Place | None]:
    """Where make counts what goes on at once, each drawing of a clip is counted, too. What is held goes back in any case."""
    from manifest_runner.adapters.jobserver import JobServer, Places  # few runs are a make's

    server = JobServer.find(os.environ)
    if server is None:
        yield None
        return
    _held.append(server.close)
    try:
        yield Places(server).place
    finally:
        _held.remove(server.close)
        server.close()


def give_back() -> None:
    """What others wait for goes back to them, also where a second signal ends the process at once."""
    for give in _held:
        give()
