"""What `worker` does: takes orders out of the queue and carries each out in a process of its own, as `render` would.

Laws
- A worker needs no checkout: what an order is made from comes out of the shared store, and what becomes of it goes there.
- Stopped by a signal it takes no more, lets every process save what it knows, and gives the orders back. A worker that is
  killed leaves nothing that another one could not take up: the ledger decides what may leave again.
- What of an order lies on this machine is deleted when nobody works on it any more.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import click

from manifest_runner.adapters import bundle
from manifest_runner.adapters.secrets import account_of
from manifest_runner.adapters.settings import VARIABLES, Settings, read_settings
from manifest_runner.adapters.state import StateFolder
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_queue import TeamQueue
from manifest_runner.adapters.team_worker import TRIES, Answer, TeamWorker
from manifest_runner.cli import session
from manifest_runner.cli.project import repository_root, state_folder
from manifest_runner.cli.stores import need_shared
from manifest_runner.cli.trust import check_gateway, refuse_claims
from manifest_runner.core.orders import STOP, Order
from manifest_runner.errors import ExitCode, ManifestRunnerError, StoreError, UsageError
from manifest_runner.ports import SharedStore
from manifest_runner.views.text import count, safe

PATIENCE = 60.0
"""Seconds for which a worker that ends by itself waits for a database that is away."""

_ANSWERS: Mapping[int, Answer] = {
    ExitCode.DONE: Answer.OVER, ExitCode.DIFFERENCES: Answer.OVER, ExitCode.CREDITS: Answer.OVER,
    ExitCode.PROVIDER: Answer.OVER,  # in doubt: a person has to look
    ExitCode.INTERRUPTED: Answer.BACK, STOP: Answer.BACK, ExitCode.INVALID: Answer.FAILED, ExitCode.BUG: Answer.FAILED}


def answer_to(code: int, *, is_stopping: bool) -> Answer:
    """What becomes of an order whose process ended with `code`. Whatever else ends one, such as a signal, it is tried again: at
    once by others where this worker stops, and may have stopped it."""
    return _ANSWERS.get(code, Answer.BACK if is_stopping else Answer.LATER)


class Working:
    """One `worker` command."""

    def __init__(self, flags: Mapping[str, str | None], *, at_once: int, until_idle: bool) -> None:
        if os.name != "posix":
            raise UsageError("a worker stops its processes by signals, which this system does not have", code="no-signals")
        self._flags = {name: value for name, value in flags.items() if value is not None}
        self._settings = read_settings(repository_root(), self._flags, os.environ)
        refuse_claims(self._settings)
        check_gateway(self._settings)
        self._address = _database(self._settings)
        self._shared: SharedStore = need_shared(self._settings)
        key = session.key_if_any(self._settings)
        if key is None:
            raise UsageError("no API key: nothing was taken", code="no-key", hint="set TRINETRA_API_KEY, or --key-file FILE")
        self._account = account_of(self._settings.text("base-url") or "", key)
        # A part of its own, so that what is deleted there is nobody's who works in this folder himself.
        self._state = StateFolder(state_folder(repository_root(), self._settings).make().root / "worker").make()
        self._at_once, self._until_idle = at_once, until_idle
        self._users: Counter[str] = Counter()  # of bundles that are unpacked here
        self._locks: dict[str, asyncio.Lock] = {}
        self._running: set[Process] = set()
        self._over = self._failed = 0  # orders that need no further try; those of them that did not come to their end
        self._is_refused = False  # nothing more can be submitted for this account
        self._is_stopping = False

    def run(self) -> ExitCode:
        """Work until there is a reason to end; how it went."""
        with TeamQueue(self._address) as queue:
            queue.make()
        self._tidy()
        asyncio.run(self._main())
        failed = f", {self._failed} not to {'its' if self._failed == 1 else 'their'} end" if self._failed else ""
        click.echo(f"{count(self._over, 'order')} carried out{failed}.")
        if self._is_stopping:
            return ExitCode.PROVIDER if self._is_refused else ExitCode.INTERRUPTED
        return ExitCode.DIFFERENCES if self._failed else ExitCode.DONE

    def _tidy(self) -> None:
        """Remove what workers have left that were killed."""
        for folder in self._state.root.glob("orders-*"):
            try:
                os.kill(int(folder.name.partition("-")[2]), 0)
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
            except (OSError, ValueError):  # somebody else's, or nobody's that we know
                continue

    @property
    def _folder(self) -> Path:
        return self._state.root / f"orders-{os.getpid()}"

    async def _main(self) -> None:
        self._worker = TeamWorker(self._address, account=self._account, at_once=self._at_once, carry_out=self._carry_out,
                                  say=_say)
        loop, why = asyncio.get_running_loop(), "stopping: what is in hand is saved and goes back (once more to leave at once)"
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, why)
        try:
            await self._worker.work(until_idle=self._until_idle, patience=PATIENCE)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    def _stop(self, why: str) -> None:
        """The first time what is in hand is saved and given back; the second time that is not waited for."""
        if not self._is_stopping:
            _say(why)
        self._is_stopping = True
        self._worker.stop()
        for process in self._running:
            with suppress(ProcessLookupError):
                process.terminate()

    async def _carry_out(self, data: Mapping[str, Any], is_last: bool) -> Answer:
        """One order, to its end or to why it has none yet."""
        if self._is_stopping:
            return Answer.BACK
        code = int(ExitCode.INVALID)
        try:
            order = Order.from_dict(dict(data))
            async with self._unpacked(order) as folder:
                code = await self._in_process(order, folder)
            answer = answer_to(code, is_stopping=self._is_stopping)
        except StoreError as error:
            _say(error.message)
            answer = Answer.LATER
        except OSError as error:
            _say(f"{order.manifest}: {error.strerror or error}")
            answer = Answer.LATER
        except ManifestRunnerError as error:
            _say(error.message + (f"\n  hint: {error.hint}" if error.hint else ""))
            return self._ended(Answer.FAILED, code)
        if code == STOP and not self._is_stopping:
            self._is_refused = True
            self._stop("nothing more can be submitted for this account: what is in hand goes back into the queue")
        given_up = answer is Answer.LATER and is_last
        _say(f"{order.manifest} {_shots(order)}: {_GIVEN_UP if given_up else _ENDED[answer]}")
        return self._ended(Answer.FAILED if given_up else answer, code)

    def _ended(self, answer: Answer, code: int) -> Answer:
        """Count an order that needs no further try."""
        if answer in (Answer.OVER, Answer.FAILED):
            self._over += 1
            self._failed += code != ExitCode.DONE
        return answer

    def _unpacked(self, order: Order) -> _Unpacked:
        return _Unpacked(self, order)

    async def take(self, order: Order) -> Path:
        """The folder with what an order is made from, for one user more."""
        folder = self._folder / order.bundle
        self._users[order.bundle] += 1
        async with self._locks.setdefault(order.bundle, asyncio.Lock()):
            if not folder.exists():
                self._folder.mkdir(mode=0o700, exist_ok=True)
                archive, fresh = folder.with_suffix(".zip"), folder.with_suffix(".new")
                archive.unlink(missing_ok=True)
                if not await self._shared.fetch(order.bundle, order.bytes, archive):
                    raise UsageError(f"{order.manifest}: what the order is made from is not in {self._shared.shown}",
                                     code="order-gone", hint="does this worker use the store of whoever ordered? Else it was "
                                     "deleted: render --detach again")
                await anyio.to_thread.run_sync(bundle.unpack, archive, fresh)
                fresh.rename(folder)
                archive.unlink()
        return folder

    async def leave(self, order: Order) -> None:
        """One user less; with the last one it goes."""
        self._users[order.bundle] -= 1
        if not self._users[order.bundle]:
            async with self._locks[order.bundle]:
                if not self._users[order.bundle]:
                    folder = self._folder / order.bundle
                    await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def _in_process(self, order: Order, folder: Path) -> int:
        """Carry the order out in a process of its own; its exit code."""
        # One port would not do for many processes.
        environment = {name: value for name, value in os.environ.items() if name != VARIABLES["listen"]}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "manifest_runner.cli.batch", stdin=PIPE,
                                                       env=environment, start_new_session=True)
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        self._running.add(process)
        try:
            told = {"order": order.to_dict(), "folder": str(folder),
                    "flags": {**self._flags, "state-dir": str(self._state.root)}}
            with suppress(ConnectionError):  # it has ended already, and its code says why
                process.stdin.write(json.dumps(told).encode() + b"\n")
                await process.stdin.drain()
            if self._is_stopping:
                process.terminate()
            return await process.wait()
        finally:
            self._running.discard(process)


class _Unpacked:
    """The files of an order, for as long as it is carried out."""

    def __init__(self, working: Working, order: Order) -> None:
        self._working, self._order = working, order

    async def __aenter__(self) -> Path:
        try:
            return await self._working.take(self._order)
        except BaseException:
            await self._working.leave(self._order)
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._working.leave(self._order)


_GIVEN_UP = f"given up after {TRIES} tries; order it again with: render --detach"
_ENDED = {Answer.OVER: "carried out", Answer.LATER: "is tried again later", Answer.BACK: "back in the queue",
          Answer.FAILED: "cannot be carried out"}


def _database(settings: Settings) -> TeamAddress:
    setting = settings.values["ledger"]
    if not setting.value:
        raise UsageError("a worker needs a team's ledger: the queue is in its database", code="no-queue",
                         hint=f"name it with {VARIABLES['ledger']}; see docs/team.md")
    return TeamAddress.of(setting.value, setting.origin)


def _shots(order: Order) -> str:
    return ", ".join(order.shots[:3]) + (f" and {len(order.shots) - 3} more" if len(order.shots) > 3 else "")


def _say(text: str) -> None:
    session.warn(safe(text))
