"""The ledger in a PostgreSQL database that all machines of an account share: used where the operator names one.

Laws, and what each survives:

- **A decision and its record are one transaction** that holds the account's row (FOR UPDATE), judged by the functions in `core`
  with the database's clock. Other accounts go on beside it.
- **A killed client.** What was committed stands, nothing else; the server ends a transaction whose client is silent. The intent
  of a sender that is gone is taken up by another as after a crash: the same bytes under the same id where ids replay, else in
  doubt. It is gone once its lease is over and everything that it may have sent has ended (`team_leases.py`); one that only
  slept finds its lease over before it sends, and asks again.
- **A connection that is lost** before a commit was sent: nothing has happened, and the same is asked again. One that is lost
  while a commit is under way is in doubt, and nothing is returned before it is known: each transaction leaves a token in the
  sender's row, which is read again under the account's lock, when the old transaction has certainly ended. Nobody hears of an
  admission before, so nothing leaves before.
- **Failover.** The address may name several hosts. A server that took over and lacks transactions that this process has seen
  committed (the account's count of them is smaller) has lost money from its books: everything stops. Which submission has which
  id does not depend on any database.
- **A pooler** between: see `team_link.py`.
- **A database that is away.** Everybody who asks waits for `PATIENCE` at most and is told so once; then it is an error, and
  nothing is submitted. Job ids that could not be recorded go where they go when a disk fails.

Slots are told in this machine's own time (`team_slots.py`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from manifest_runner.adapters import team_opening as opening
from manifest_runner.adapters.ledger_account import FLIGHT_SECONDS, AccountLedger
from manifest_runner.adapters.ledger_rows import Row
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_books import TeamBooks
from manifest_runner.adapters.team_leases import BEAT, LEASE, SILENCE, Marks, myself
from manifest_runner.adapters.team_link import Away, Link, NotStorable
from manifest_runner.adapters.team_slots import Clocks, as_told, local
from manifest_runner.core import turns
from manifest_runner.core.pace import Slot
from manifest_runner.errors import LedgerError, ManifestRunnerError
from manifest_runner.ports import Admitted

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a database that is away is waited for."""

AT_ONCE = 50
"""Operations in one transaction: nobody else of the account gets a word in meanwhile, and each takes a round trip."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

_SENDER = """
INSERT INTO senders (account, sender, run, who, place, since, beat, token) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, sender) DO UPDATE SET beat = excluded.beat, token = excluded.token"""


class TeamLedger(AccountLedger):
    """The ledger of one account at `address`, on behalf of one run and the repository `project`. Synchronous, and any thread
    may call it.

    `folder` holds the marks by which other processes of this machine know that this one is alive. `say` is told when
    the database is waited for. Raises `LedgerError` where it cannot be trusted: then nothing may be submitted.
    """

    def __init__(self, address: TeamAddress, *, account: str, project: str, run: str, sender: str | None = None,
                 folder: Path | None = None, say: Callable[[str], None] = lambda _: None, clocks: Clocks | None = None,
                 who: str = "") -> None:
        sender = run if sender is None else sender
        self._set_up(address, account, project, run, sender, clocks or Clocks(), who or myself(), say, folder)
        try:
            self._patiently(partial(opening.open_for_writing, self._link, account), PATIENCE)
            self._marks.set(sender)
            self._persist([lambda: self._change(lambda: None)], patience=0.0)  # this sender is alive from now on
        except OSError as error:
            self._link.close()
            raise LedgerError(f"the state folder {folder} cannot be written: {error.strerror or error}: nothing is submitted",
                              hint="look at its permissions and its disk") from error
        except BaseException:
            self._link.close()
            self._marks.remove()
            raise
        threading.Thread(target=self._live, name="ledger lease", daemon=True).start()

    @classmethod
    def open_readonly(cls, address: TeamAddress, *, project: str, account: str | None = None,
                      clocks: Clocks | None = None) -> Self | None:
        """A ledger to look at, for `plan` and `status`; None where the database has no ledger yet. It never makes one.

        Without `account` it shows all accounts together; of a take that several have rendered, the latest attempt.
        """
        ledger = cls.__new__(cls)
        ledger._set_up(address, account, project, "", "", clocks or Clocks(), "", lambda _: None, None)
        try:
            return ledger if opening.open_for_reading(ledger._link) else None
        except Away as error:
            raise ledger._away(str(error)) from error

    @staticmethod
    def accounts(address: TeamAddress, *, project: str) -> list[str]:
        """The accounts that have jobs of a repository, sorted."""
        ledger = TeamLedger.open_readonly(address, project=project)
        if ledger is None:
            return []
        with ledger:
            wanted = "SELECT DISTINCT account FROM jobs WHERE split_part(manifest, ':', 1) = ? ORDER BY account"
            return ledger._look(lambda: [str(row[0]) for row in ledger._team.ask(wanted, project)])

    def _set_up(self, address: TeamAddress, account: str | None, project: str, run: str, sender: str, clocks: Clocks,
                who: str, say: Callable[[str], None], folder: Path | None) -> None:
        self._link = Link(address, clock=clocks.database, monotonic=clocks.monotonic)
        self._team = TeamBooks(self._link, account, project=project, who=who)
        super().__init__(self._team, shown=address.shown, account=account, run=run, sender=sender)
        self._clocks, self._who, self._say, self._marks = clocks, who, say, Marks(folder)
        self._alone = threading.RLock()
        self._ended = threading.Event()
        self._seen = 0  # transactions of the account that this process knows to be committed
        self._has_given_up = False  # nobody waits as long again until it has answered
        self._token = ""  # of the latest transaction that is known to have happened
        self._beat = 0.0  # when this one was heard of last, by the database
        self._heard = 0.0  # the same, by this machine's clock
        self._is_known = False  # whether it was ever heard of
        self._is_inside = False  # a transaction, or a look
        self._waiting = False
        self._unfit: LedgerError | None = None  # why this ledger must not be written in any more

    def close(self) -> None:
        """Hang up; whoever can be told hears that this sender is gone."""
        self._ended.set()
        with self._alone:
            if self._is_known and self._link.is_connected:
                with suppress(Away, ManifestRunnerError):
                    self._link.begin(self._team.lock())
                    # unless another of this very command has the ledger open, too
                    self._link.commit(("DELETE FROM senders WHERE account = ? AND sender = ? AND token = ?",
                                       (self._account, self._sender, self._token)))
            self._link.close()
            with suppress(OSError):
                self._marks.remove()

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def transact(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        done: list[T | ManifestRunnerError] = []
        with self._alone:
            while len(done) < len(operations):
                try:
                    done += self._together(operations[len(done):len(done) + AT_ONCE])
                except ManifestRunnerError as error:
                    if not done:
                        raise
                    done += [error] * (len(operations) - len(done))  # those before have happened
        return done

    def _together(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        """Operations in one transaction; one that the database refuses does not keep the others."""
        try:
            return [self._here(result) for result in self._persist(operations, patience=PATIENCE)]
        except NotStorable as error:
            if len(operations) == 1:
                return [error]
            return self._one_by_one(operations)

    def _one_by_one(self, operations: Sequence[Callable[[], T]]) -> list[T | ManifestRunnerError]:
        """Each in a transaction of its own. What has happened is told, also where the database is away afterwards."""
        done: list[T | ManifestRunnerError] = []
        for operation in operations:
            try:
                done += self._together([operation])
            except ManifestRunnerError as error:
                done.append(error)
        return done

    def _change(self, operation: Callable[[], T]) -> T:
        if not self._is_inside:
            return self._only(partial(self._change, operation))
        if not self._link.is_open:
            self._begin()
        return operation()

    def _look(self, question: Callable[[], T]) -> T:
        return question() if self._is_inside else self._only(question)

    def _only(self, operation: Callable[[], T]) -> T:
        """An operation in a transaction of its own."""
        result = self.transact([operation])[0]
        if isinstance(result, ManifestRunnerError):
            raise result
        return result

    def _persist(self, operations: Sequence[Callable[[], T]], *, patience: float) -> list[T | ManifestRunnerError]:
        """Do it in one transaction, again where the database was away meanwhile and it has not happened."""
        doubtful: tuple[str, list[T | ManifestRunnerError]] | None = None

        def attempt() -> list[T | ManifestRunnerError]:
            nonlocal doubtful
            token, results = os.urandom(16).hex(), list[T | ManifestRunnerError]()
            if self._unfit is not None:
                raise self._unfit
            try:
                if doubtful is not None and self._was_committed(doubtful[0]):
                    return doubtful[1]
                doubtful, self._is_inside = None, True
                results.extend(map(self._attempt, operations))
                self._end(token)
            except Away as error:
                if error.in_doubt:
                    doubtful = token, results
                error.in_doubt = doubtful is not None
                raise
            finally:
                self._is_inside = False
            return results

        return self._patiently(attempt, patience)

    def _patiently(self, attempt: Callable[[], T], patience: float) -> T:
        """What comes of an attempt, made again while the database is away. Raises `LedgerError` once patience is at its end."""
        began, pause = self._clocks.monotonic(), _FIRST_PAUSE
        patience = 0.0 if self._has_given_up else patience
        while True:
            try:
                result = attempt()
            except Away as error:
                self._link.roll_back()
                self._link.close()
                if self._clocks.monotonic() - began >= patience:
                    self._has_given_up = self._has_given_up or patience > 0
                    raise self._away(str(error), in_doubt=error.in_doubt) from error
                self._tell_waiting(str(error))
            except BaseException:
                self._link.roll_back()
                raise
            else:
                self._back()
                return result
            self._clocks.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, operation: Callable[[], T]) -> T | ManifestRunnerError:
        meter = self._team.meter() if self._link.is_open else None
        try:
            with self._link.operation():
                return operation()
        except ManifestRunnerError as error:
            if self._link.is_spoiled or self._unfit is not None:
                raise
            self._team.keep_meter(self._team.meter_found if meter is None else meter)
            self._team.forget()
            return error

    def _begin(self) -> None:
        found = self._link.begin(self._team.lock(), opening.VERSION_NOW)
        self._judge(found[0], found[1])

    def _judge(self, account: Sequence[Sequence[Any]], version: Sequence[Sequence[Any]] | None = None) -> None:
        """Take what the account's row holds. Books that are not what they were end every transaction, this one and all later
        ones: what others write in them meanwhile makes them no better."""
        try:
            if version is not None:
                opening.check_version(self._link, version)
            if not account:
                raise opening.lost(self._link, "it does not know this account any more")
            self._team.locked(account[0])
            if self._team.changes < self._seen:
                raise opening.lost(self._link, "it lacks changes that it had confirmed")
        except LedgerError as error:
            self._unfit = error
            raise

    def _end(self, token: str) -> None:
        """Commit, and be heard of."""
        if not self._link.is_open:
            return
        beat = self._link.now
        self._link.commit((_SENDER, self._sign(beat, token)), self._team.unlock())
        self._seen, self._token = self._team.changes + 1, token
        self._team.forget()
        self._confirmed(beat)

    def _sign(self, beat: float, token: str) -> tuple[object, ...]:
        return self._account, self._sender, self._run, self._who, self._marks.place, beat, beat, token

    def _confirmed(self, beat: float) -> None:
        self._beat, self._heard, self._is_known = beat, self._clocks.monotonic(), True

    def _was_committed(self, token: str) -> bool:
        """Whether a transaction whose end was not heard of has happened. The account's lock is waited for: by then it has
        ended."""
        found = self._link.begin(self._team.lock(), ("SELECT token, beat FROM senders WHERE account = ? AND sender = ?",
                                                     (self._account, self._sender)))
        self._link.roll_back()
        self._judge(found[0])
        happened = bool(found[1]) and found[1][0][0] == token
        if happened:
            self._seen, self._token = self._team.changes, token
            self._confirmed(float(found[1][0][1]))
        return happened

    # ── being away, being alive ───────────────────────────────────────────────────────────────────────────────────

    def _away(self, why: str, *, in_doubt: bool = False) -> LedgerError:
        more = "; whether its last change happened is not known, and the next run looks" if in_doubt else ""
        return LedgerError(f"the ledger at {self._shown} is away ({why}): nothing is submitted{more}", code="ledger-away",
                           hint="look at the database, and at its address in MANIFEST_RUNNER_LEDGER; once it answers, run the "
                                "same command again: it continues, and nothing is paid twice")

    def _tell_waiting(self, why: str) -> None:
        if not self._waiting:
            self._waiting = True
            self._say(f"the ledger at {self._shown} does not answer ({why}): nothing is submitted; it is waited for, "
                      f"{PATIENCE:.0f} seconds at most")

    def _back(self) -> None:
        self._has_given_up = False
        if self._waiting:
            self._waiting = False
            self._say(f"the ledger at {self._shown} answers again")

    def _live(self) -> None:
        """Be heard of while there is nothing to record. Whoever cannot be heard has to ask again before anything leaves."""
        while not self._ended.wait(BEAT / 2):
            with suppress(Away, ManifestRunnerError, OSError), self._alone:
                if not self._ended.is_set() and self._clocks.monotonic() - self._heard >= BEAT:
                    self._persist([lambda: self._change(lambda: None)], patience=0.0)

    def _is_being_sent(self, row: Row) -> bool:
        return row.sender != self._sender and self._left_of(row) > 0

    def _left_of(self, row: Row) -> float:
        """Seconds until what a sender has in its hands may be taken up, unless it is heard of; 0 where it is gone."""
        sender = self._sender_of(row)
        if sender is None:
            return 0.0
        _, place, beat = sender
        alive = self._marks.is_alive(place, row.sender)
        if alive is False:
            self._team.tell("DELETE FROM senders WHERE account = ? AND sender = ?", self._account, row.sender)
            return 0.0
        left = max(beat + LEASE + SILENCE - self._now(), 0.0)
        return max(left, 1.0) if alive else left

    def _sender_of(self, row: Row) -> tuple[str, str, float] | None:
        found = self._team.ask("SELECT who, place, beat FROM senders WHERE account = ? AND sender = ?", row.account, row.sender)
        return None if not found else (str(found[0][0]), str(found[0][1]), float(found[0][2]))

    # ── time and names ────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> float:
        if not self._link.is_open:
            self._link.ask([])
        return self._link.now

    def late(self, slot: Slot, left: float) -> None:
        super().late(*as_told(slot, left))

    def _here(self, result: T | ManifestRunnerError) -> T | ManifestRunnerError:
        """What is returned, with times that this machine can wait for."""
        if not isinstance(result, Admitted) or self._link.skew is None:  # it was just asked: there is one
            return result
        given = result.slot or Slot(opens=self._link.now)
        return cast("T", replace(result, slot=local(given, self._link.skew, self._clocks, self._beat + LEASE)))

    def _name_of(self, row: Row) -> str:
        sender = self._sender_of(row)
        if sender is None:
            return ""
        who, _, beat = sender
        silent = self._now() - beat
        left = beat + LEASE + SILENCE - self._now()
        return who if silent < LEASE else f"{who}, silent for {silent:.0f} s: taken up in {max(left, 0):.0f} s"

    def _busy(self, answer: turns.Answer) -> str:
        now = self._now()
        if answer.why == "turn":
            return self._team.first_in_line(now)
        return self._team.holders(now - FLIGHT_SECONDS, now + FLIGHT_SECONDS) if answer.why in ("concurrency", "crowd") else ""

    def _reserving(self) -> str:
        return self._team.reserving()
