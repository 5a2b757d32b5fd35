"""The ledger in PostgreSQL, beyond the contract: lost connections, commits in doubt, leases, clocks, roles, versions, names.

The database is a real one. What is asked of it is judged by what its tables hold.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from manifest_runner.adapters import ledger_schema, team_ledger, team_link, team_schema
from manifest_runner.adapters.gateway import _WHOLE_EXCHANGE
from manifest_runner.adapters.team_address import TeamAddress
from manifest_runner.adapters.team_leases import BEAT, LEASE, SILENCE, Marks
from manifest_runner.adapters.team_ledger import TeamLedger
from manifest_runner.adapters.team_link import CLOCK
from manifest_runner.adapters.team_slots import Clocks, LocalSlot
from manifest_runner.core.lifecycle import InDoubt, Refused, Submitted, Succeeded
from manifest_runner.core.model import JobId, JobState, Rate
from manifest_runner.core.pace import TRANSIT
from manifest_runner.errors import BudgetExceeded, Conflict, LedgerError
from manifest_runner.ports import Admitted, Held, SpendingLimits, Wait
from tests.contract.ledger_contract import FREE, NOON, SUBMITTED, D, intent
from tests.postgres import PASSWORD, ROLE, Clock, Server
from tests.proxy import Fate, Proxy

NUMBERS = count()


class Studio:
    """Machines on one account of the database, each with a folder of its own, on a clock that stands."""

    def __init__(self, database: Server, clock: Clock, folder: Path, stack: ExitStack) -> None:
        self.database, self.folder, self.clock, self._stack = database, folder, clock, stack
        self.account = f"team-{next(NUMBERS)}"
        self.now = NOON
        self.pass_(0)

    def pass_(self, seconds: float) -> None:
        self.clock.set(self.now + seconds)  # first, since heartbeats go by the other
        self.now += seconds

    def machine(self, name: str, *, project: str = "monsoon", folder: str = "", port: int | None = None,
                run: str = "", say: Callable[[str], None] = lambda _: None, clocks: Clocks | None = None) -> TeamLedger:
        place = self.folder / (folder or name)
        place.mkdir(exist_ok=True)
        usual = Clocks(wall=lambda: self.now, monotonic=time.monotonic if port else lambda: self.now,
                       database=self.clock.expression, sleep=lambda _: time.sleep(0.01))
        return self._stack.enter_context(TeamLedger(
            TeamAddress.of(self.database.url(port=port)), account=self.account, project=project, run=run or name, sender=name,
            folder=place, who=f"{name}@studio", clocks=clocks or usual, say=say))

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the owner of the tables sees of this account; `%s` is its name."""
        with self.database.connect() as connection:
            connection.execute("SET search_path = manifest_runner")
            return connection.execute(query, [self.account, *values]).fetchall()

    def trail(self) -> list[str]:
        return [kind for kind, in self.rows("SELECT kind FROM events WHERE account = %s ORDER BY seq")]

    def is_sound(self) -> bool:
        """Whether the tallies are the sums of the jobs."""
        return not self.rows(ledger_schema.UNTRUE.format(condition="account = %s"))


@pytest.fixture
def studio(database: Server, tmp_path: Path) -> Iterator[Studio]:
    with database.clock() as clock, ExitStack() as stack:
        yield Studio(database, clock, tmp_path, stack)


# ── connections that break ────────────────────────────────────────────────────────────────────────────────────────


def pieces(studio: Studio) -> int:
    """How many pieces one admission and its record send."""
    sent = []
    with Proxy(studio.database.port) as proxy:
        ledger = studio.machine("counting", port=proxy.port)
        proxy.fate = lambda piece: sent.append(piece) or Fate.PASSED  # type: ignore[func-returns-value]
        ledger.admit(intent("COUNT"), FREE)
        ledger.record(intent("COUNT").external_task_id, SUBMITTED)
        return len(sent)


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNANSWERED, Fate.LATE])
def test_wherever_a_connection_breaks_what_was_asked_happens_once(studio: Studio, fate: Fate) -> None:
    count = pieces(studio)
    assert count >= 6
    before = len(studio.trail())
    for broken in range(count):
        wanted, left = intent("S", take=broken + 1), iter(range(count * 9))
        with Proxy(studio.database.port) as proxy:
            ledger = studio.machine(f"m{fate.name}{broken}", port=proxy.port)
            proxy.fate = lambda _, left=left, broken=broken: fate if next(left) == broken else Fate.PASSED  # type: ignore[misc]
            answer = ledger.admit(wanted, FREE)
            assert isinstance(answer, Admitted)
            assert answer.fresh, "who asked knows that nothing has left"
            job = ledger.record(wanted.external_task_id, Submitted(job_id=JobId(f"j{broken}")))
            assert job.state is JobState.SUBMITTED
    assert studio.trail()[before:] == ["Intended", "Submitted"] * count
    assert studio.is_sound()


def test_a_database_that_is_away_is_waited_for_and_what_was_asked_happens_once_it_is_back(studio: Studio) -> None:
    said: list[str] = []
    with Proxy(studio.database.port) as proxy:
        ledger = studio.machine("a", port=proxy.port, say=said.append)
        tries = iter(range(100))
        proxy.fate = lambda _: Fate.LOST if next(tries) < 5 else Fate.PASSED
        assert isinstance(ledger.admit(intent(), FREE), Admitted)
    assert len(said) == 2, said
    assert said[0].startswith(f"the ledger at 127.0.0.1:{proxy.port}/ledger does not answer (")
    assert "nothing is submitted; it is waited for, 60 seconds at most" in said[0]
    assert said[1] == f"the ledger at 127.0.0.1:{proxy.port}/ledger answers again"


def test_a_database_that_accepts_everything_and_answers_nothing_is_away(
        studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "PATIENCE", 0.2)
    monkeypatch.setattr(team_link, "ANSWER", 0.3)
    with Proxy(studio.database.port) as proxy:
        ledger = studio.machine("a", port=proxy.port)
        ledger.admit(intent("A"), FREE)
        proxy.open.clear()
        with pytest.raises(LedgerError, match=r"is away .*no answer.*: nothing is submitted$"):
            ledger.admit(intent("B"), FREE)
        proxy.open.set()
        assert isinstance(ledger.admit(intent("B"), FREE), Admitted)
    assert studio.trail() == ["Intended"] * 2


def test_patience_ends_in_words_and_the_next_ask_is_answered(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "PATIENCE", 0.2)
    said: list[str] = []
    with Proxy(studio.database.port) as proxy:
        ledger = studio.machine("a", port=proxy.port, say=said.append)
        ledger.admit(intent("A"), FREE)
        proxy.fate = lambda _: Fate.LOST
        with pytest.raises(LedgerError, match=r"is away .*: nothing is submitted$") as caught:
            ledger.admit(intent("B"), FREE)
        assert caught.value.code == "ledger-away"
        with pytest.raises(LedgerError, match="is away"):  # at once: nobody waits as long again
            ledger.admit(intent("C"), FREE)
        assert len(said) == 1
        assert caught.value.hint is not None
        assert "once it answers, run the same command again: it continues, and nothing is paid twice" in caught.value.hint
        proxy.fate = lambda _: Fate.PASSED
        assert ledger.record(intent("A").external_task_id, SUBMITTED).state is JobState.SUBMITTED
    assert studio.trail() == ["Intended", "Submitted"]


def test_a_commit_whose_answer_never_comes_is_said_to_be_in_doubt(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "PATIENCE", 0.1)
    with Proxy(studio.database.port) as proxy:
        ledger = studio.machine("a", port=proxy.port)
        lost = []

        def fate(piece: bytes) -> Fate:
            if b"\nCOMMIT" in piece:
                lost.append(piece)
                return Fate.UNANSWERED
            return Fate.LOST if lost else Fate.PASSED

        proxy.fate = fate
        with pytest.raises(LedgerError, match="whether its last change happened is not known, and the next run looks"):
            ledger.admit(intent(), FREE)
    later = studio.machine("b")
    assert isinstance(later.admit(intent(), FREE), Held), "it may be alive, and has it in its hands"


def test_without_a_database_nothing_opens_and_the_words_say_where(
        studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "PATIENCE", 0.0)
    with Proxy(1) as nowhere:
        address = TeamAddress.of(studio.database.url(port=nowhere.port))
        for opened in (lambda: TeamLedger(address, account="a", project="p", run="r", folder=tmp_path),
                       lambda: TeamLedger.open_readonly(address, project="p")):
            with pytest.raises(LedgerError, match=f"the ledger at 127.0.0.1:{nowhere.port}/ledger is away") as caught:
                opened()
            assert PASSWORD not in f"{caught.value.message} {caught.value.hint}"


def test_a_wrong_password_is_an_error_at_once_and_is_not_shown(studio: Studio) -> None:
    wrong = studio.database.url().replace(PASSWORD, "another-canary-password")
    with pytest.raises(LedgerError, match="does not let us in: ") as caught:
        TeamLedger(TeamAddress.of(wrong), account="a", project="p", run="r")
    assert "canary" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.code == "ledger-role"


def test_one_operation_that_cannot_be_stored_does_not_undo_the_others(studio: Studio) -> None:
    ledger = studio.machine("a")
    wrong = [intent("W", task="nul-\0"), intent("W\ud800")]
    one, two = (lambda wanted=wanted: ledger.admit(wanted, FREE) for wanted in wrong)
    found = ledger.transact([lambda: ledger.admit(intent("A"), FREE), one, lambda: ledger.admit(intent("B"), FREE), two])
    assert [isinstance(answer, LedgerError) for answer in found] == [False, True, False, True]
    assert [job.intent.key.shot for job in ledger.jobs("monsoon.yaml")] == ["A", "B"]


def test_of_many_operations_those_that_have_happened_are_told_although_the_database_is_gone_then(
        studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "PATIENCE", 0.0)
    monkeypatch.setattr(team_ledger, "AT_ONCE", 2)
    with Proxy(studio.database.port) as proxy:
        ledger, commits = studio.machine("a", port=proxy.port), iter(range(9))
        proxy.fate = lambda piece: Fate.LOST if b"\nCOMMIT" in piece and next(commits) == 1 else Fate.PASSED
        found = ledger.transact([lambda name=name: ledger.admit(intent(name), FREE) for name in "ABCDE"])  # type: ignore[misc]
    assert [type(answer) for answer in found] == [Admitted, Admitted, LedgerError, LedgerError, LedgerError]
    assert studio.trail() == ["Intended"] * 2


def test_a_ledger_that_is_opened_twice_by_one_command_is_alive_until_both_are_closed(studio: Studio) -> None:
    one, two = (studio.machine("a") for _ in range(2))
    one.admit(intent(), FREE)
    two.close()
    assert len(studio.rows("SELECT sender FROM senders WHERE account = %s")) == 1
    assert isinstance(studio.machine("b").admit(intent(), FREE), Held)


def test_one_operation_that_the_server_refuses_does_not_undo_the_others(studio: Studio) -> None:
    ledger = studio.machine("a")

    def refused() -> None:
        ledger._change(lambda: ledger._team.tell("INSERT INTO waiters (account) VALUES (?)", ledger._account))
        ledger._change(lambda: ledger._team.waiters())

    found = ledger.transact([lambda: ledger.admit(intent("A"), FREE), refused, lambda: ledger.admit(intent("B"), FREE)])
    assert [isinstance(answer, LedgerError) for answer in found] == [False, True, False]
    assert studio.trail() == ["Intended", "Intended"]
    assert studio.is_sound()


def test_a_question_that_the_server_refuses_leaves_no_transaction_behind(studio: Studio) -> None:
    ledger = studio.machine("a")
    with pytest.raises(LedgerError):
        ledger._look(lambda: ledger._team.ask("SELECT 1 / 0 WHERE ? = 1", 1))
    connection = ledger._link._connection
    assert isinstance(ledger.admit(intent(), FREE), Admitted)
    assert ledger._link._connection is connection


def test_an_operation_that_fails_leaves_nothing_behind_and_does_not_disturb_the_others(studio: Studio) -> None:
    ledger = studio.machine("a")
    ledger.admit(intent("A"), FREE)
    ledger.record(intent("A").external_task_id, SUBMITTED)

    def half() -> object:
        ledger.record(intent("A").external_task_id, Succeeded(charged=D(1)))
        ledger._team.find("anything")  # what was told has been sent by now
        raise Conflict("no")

    found: list[Any] = ledger.transact([lambda: ledger.admit(intent("B"), FREE), half, lambda: ledger.admit(intent("C"), FREE)])
    assert [type(answer) for answer in found] == [Admitted, Conflict, Admitted]
    assert {job.intent.key.shot: job.state.value for job in ledger.jobs("monsoon.yaml")} == {
        "A": "submitted", "B": "intended", "C": "intended"}
    assert studio.is_sound()


def test_two_machines_decide_one_after_the_other(studio: Studio) -> None:
    """One holds its commit back; the other, which wants the last place too, has to wait for it and sees that it is taken."""
    one_place, held, go_on = SpendingLimits(concurrency=1), threading.Event(), threading.Event()
    answers: dict[str, object] = {}
    with Proxy(studio.database.port) as proxy:
        one, other = studio.machine("a", port=proxy.port), studio.machine("b")

        def hold(piece: bytes) -> Fate:
            if b"\nCOMMIT" in piece and b"INSERT INTO jobs" in piece:
                held.set()
                go_on.wait(30)
            return Fate.PASSED

        proxy.fate = hold
        first, second = (threading.Thread(target=lambda ledger=ledger, name=name: answers.update(
            {name: ledger.admit(intent(name), one_place)})) for name, ledger in (("a", one), ("b", other)))
        first.start()
        assert held.wait(30)
        second.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%' || %s || '%%'"
        while second.is_alive() and not studio.rows(waits):
            second.join(0.01)
        go_on.set()
        first.join(30)
        second.join(30)
    assert isinstance(answers["a"], Admitted)
    assert isinstance(answers["b"], Wait), "the place was taken"


# ── who is alive ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_takes_up_what_a_silent_machine_may_still_be_sending(studio: Studio) -> None:
    one, other = studio.machine("a"), studio.machine("b")
    assert isinstance(one.admit(intent(), FREE), Admitted)
    one._ended.set()  # it is not heard of any more
    studio.pass_(LEASE + SILENCE - 1)
    answer = other.admit(intent(), FREE)
    assert isinstance(answer, Held)
    assert answer.who == "a@studio, silent for 219 s: taken up in 1 s"
    studio.pass_(2)
    answer = other.admit(intent(), FREE)
    assert isinstance(answer, Admitted)
    assert not answer.fresh, "its bytes may have left"
    assert isinstance(one.admit(intent(), FREE), Held), "it woke, and asks before it sends"
    assert SILENCE > _WHOLE_EXCHANGE, "or two could send at once"
    assert BEAT < LEASE / 3


def test_what_was_taken_up_cannot_be_taken_back_by_whoever_had_it_before(studio: Studio) -> None:
    one, other = studio.machine("a"), studio.machine("b")
    one.admit(intent(), FREE)
    studio.pass_(LEASE + SILENCE + 1)
    assert isinstance(other.admit(intent(), FREE), Admitted)
    with pytest.raises(LedgerError, match="b@studio has taken up mr-monsoon"):
        one.record(intent().external_task_id, Refused(words="stopped"))
    other.close()  # without having been told how its submission ended: it may have been accepted
    with pytest.raises(LedgerError, match="has taken up mr-monsoon"):
        one.record(intent().external_task_id, Refused(words="stopped"))
    assert one.record(intent().external_task_id, SUBMITTED).state is JobState.SUBMITTED, "an answer is an answer"
    again = studio.machine("c")
    assert again.record(intent().external_task_id, SUBMITTED).state is JobState.SUBMITTED


def test_a_mark_that_cannot_be_read_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise PermissionError

    marks = Marks(tmp_path)
    monkeypatch.setattr("manifest_runner.adapters.team_leases.is_left_behind", fail)
    assert marks.is_alive(marks.place, "a") is None


def test_on_one_machine_a_killed_process_is_known_at_once_and_a_live_one_however_silent(studio: Studio) -> None:
    one, other = studio.machine("a", folder="one"), studio.machine("b", folder="one")
    one.admit(intent(), FREE)
    studio.pass_(10 * (LEASE + SILENCE))
    assert isinstance(other.admit(intent(), FREE), Held), "its mark is locked"
    assert one._marks._own is not None
    os.close(one._marks._own._handle)  # what the system does when a process is killed
    one._marks._own._handle = -1
    studio.pass_(-10 * (LEASE + SILENCE))
    answer = other.admit(intent(), FREE)
    assert isinstance(answer, Admitted)
    assert not answer.fresh


def test_a_copy_of_a_folder_is_another_machine(studio: Studio) -> None:
    one, other = studio.machine("a", folder="one"), studio.machine("b", folder="copy")
    one.admit(intent(), FREE)
    assert one._marks.place != other._marks.place
    assert isinstance(other.admit(intent(), FREE), Held)


def test_a_lease_is_told_with_every_admission_and_nothing_may_leave_after_it(studio: Studio) -> None:
    answer = studio.machine("a").admit(intent(), FREE)
    assert isinstance(answer, Admitted)
    assert answer.slot is not None
    assert answer.slot.expires == pytest.approx(studio.now + LEASE)


def test_whoever_has_nothing_to_record_is_heard_of_all_the_same(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_ledger, "BEAT", 0.02)
    ledger = studio.machine("a")
    studio.pass_(1)
    beats = "SELECT beat FROM senders WHERE account = %s"
    for _ in range(3000):
        if studio.rows(beats) == [(studio.now,)]:
            break
        ledger._ended.wait(0.01)
    assert studio.rows(beats) == [(studio.now,)]
    ledger.close()
    assert studio.rows(beats) == []


# ── clocks ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrong", [-86_400.0, 0.0, 3600.0])
def test_slots_are_the_databases_and_are_told_in_the_time_of_whoever_waits(studio: Studio, wrong: float) -> None:
    """Whatever this machine's clock says, and although what is said and what is answered are some time under way."""
    ahead = 5000 - wrong
    with Proxy(studio.database.port, delay=0.003) as proxy:
        clocks = Clocks(wall=lambda: time.time() + wrong, database=f"{CLOCK} + 5000")
        ledger = studio.machine("a", port=proxy.port, clocks=clocks)
        answer = ledger.admit(intent(), SpendingLimits(rate=Rate(count=1, per=60)))
        assert isinstance(answer, Admitted)
        assert isinstance(answer.slot, LocalSlot)
        slot, given = answer.slot, answer.slot.given
        assert abs(given.opens - time.time() - 5000) < 30, "by the database's clock, and nobody else's"
        assert 0 <= slot.opens + ahead - given.opens < 0.5, "not before it opens"
        assert -0.5 < slot.covered + ahead - given.covered <= 0, "and given up before it is over"
        assert slot.lapses + ahead <= given.lapses
        assert time.time() + wrong + LEASE - 1 < slot.expires <= time.time() + wrong + LEASE
        ledger._link.close()  # there is nobody to ask at this moment
        ledger.late(slot, slot.opens + 3)
    ((late,),) = studio.rows("SELECT late FROM accounts WHERE account = %s")
    ((after, until),) = json.loads(late)
    assert after == given.after
    assert 0 <= until - (given.opens + 3 + 60 + TRANSIT) < 0.5, "told in the time of the books, and not too early"


def test_machines_share_a_rate_evenly_use_it_and_never_pass_it(studio: Studio) -> None:
    """Four machines, each with three submissions that ask at once, in virtual time; each comes back when it was told to, or a
    little later."""
    chance, rate, each = random.Random(7), Rate(count=8, per=1), 6
    ledgers, sent = [studio.machine(name) for name in "abcd"], []
    due = [(studio.now + chance.random() / 100, number, 1) for number in range(12)]
    while due:
        now, number, take = heapq.heappop(due)
        studio.pass_(max(now - studio.now, 0.0))
        wanted, late = intent(f"R{number}", take=take), chance.random() * 0.02
        answer = ledgers[number % 4].admit(wanted, SpendingLimits(rate=rate))
        if isinstance(answer, Wait):
            heapq.heappush(due, (studio.now + answer.seconds + late, number, take))
            continue
        assert isinstance(answer, Admitted)
        sent.append(studio.now + answer.seconds)
        if take < each:
            heapq.heappush(due, (studio.now + late, number, take + 1))
    sent.sort()
    assert len(sent) == 12 * each
    assert max(bisect_left(sent, at + rate.per) - place for place, at in enumerate(sent)) <= rate.count
    assert (len(sent) - 1) * rate.spacing / (sent[-1] - sent[0]) >= 0.95


# ── names, repositories ───────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_waits_is_told_for_whom(studio: Studio) -> None:
    one, other = studio.machine("asha"), studio.machine("ben")
    for number in range(2):
        one.admit(intent("S", take=number + 1), FREE)
    answer = other.admit(intent("B"), SpendingLimits(concurrency=2))
    assert isinstance(answer, Wait)
    assert (answer.why, answer.who) == ("concurrency", "asha@studio 2")
    held = other.admit(intent("S"), FREE)
    assert isinstance(held, Held)
    assert held.who == "asha@studio"
    with pytest.raises(BudgetExceeded, match="open reservations: asha@studio 290"):
        other.admit(intent("B"), SpendingLimits(daily_credits=D(300)))
    one.record(intent("S").external_task_id, SUBMITTED)
    studio.pass_(0.3)
    assert isinstance(one.admit(intent("C"), SpendingLimits(concurrency=2)), Wait)
    one.record(intent("S").external_task_id, Succeeded(charged=D(1)))
    turn = one.admit(intent("C"), SpendingLimits(concurrency=2))
    assert isinstance(turn, Wait)
    assert (turn.why, turn.who) == ("turn", "ben@studio")


def test_repositories_share_an_account_and_not_their_takes(studio: Studio) -> None:
    one, other = studio.machine("a"), studio.machine("b", project="bridge")
    one.admit(intent(), FREE)
    one.record(intent().external_task_id, SUBMITTED)
    second = replace(intent(), external_task_id=intent(task="of-the-bridge").external_task_id)
    with pytest.raises(BudgetExceeded):
        other.admit(second, SpendingLimits(daily_credits=D(200)))
    assert isinstance(other.admit(second, SpendingLimits(run_credits=D(200))), Admitted), "its own run, its own manifest"
    assert [len(ledger.jobs("monsoon.yaml")) for ledger in (one, other)] == [1, 1]
    assert one.jobs("monsoon.yaml") != other.jobs("monsoon.yaml")
    assert studio.account in TeamLedger.accounts(studio.database.address(), project="bridge")
    assert TeamLedger.accounts(studio.database.address(), project="nobody's") == []
    looking = TeamLedger.open_readonly(studio.database.address(), project="bridge")
    assert looking is not None
    with looking:
        assert "of-the-bridge" in [job.intent.external_task_id for job in looking.history("monsoon.yaml")]
        assert one.jobs("monsoon.yaml")[0] not in looking.history("monsoon.yaml")


# ── books that are not what they were ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("statement", "words"), [
    ("UPDATE accounts SET changes = 0 WHERE account = %s", "it lacks changes that it had confirmed"),
    ("UPDATE jobs SET charged = 1 WHERE account = %s", "has changed on disk"),
    ("UPDATE accounts SET late = 'x' WHERE account = %s", "its rate meter does not hold times"),
])
def test_what_was_lost_or_changed_by_hand_stops_everything(studio: Studio, statement: str, words: str) -> None:
    ledger = studio.machine("a")
    ledger.admit(intent(), FREE)
    with studio.database.connect() as connection:
        connection.execute("SET search_path = manifest_runner")
        connection.execute(statement, [studio.account])
    with pytest.raises(LedgerError, match=words):
        ledger.admit(intent(), FREE)


@pytest.mark.parametrize("statement", [
    "UPDATE accounts SET changes = 0 WHERE account = %s", "UPDATE accounts SET late = 'x' WHERE account = %s",
])
def test_books_that_are_not_what_they_were_stop_every_operation_from_then_on(studio: Studio, statement: str) -> None:
    ledger, other = studio.machine("a"), studio.machine("b")
    for take in (1, 2, 3):
        ledger.admit(intent("A", take=take), FREE)
    count = len(studio.trail())
    with studio.database.connect() as connection:
        connection.execute("SET search_path = manifest_runner")
        connection.execute(statement, [studio.account])
    with pytest.raises(LedgerError, match=r"lacks changes|does not hold times"):  # as where it only says that it is alive
        ledger.transact([lambda: ledger._change(lambda: None), lambda: ledger.admit(intent("B"), FREE)])
    with studio.database.connect() as connection:  # others go on, until the count of changes is above what was seen
        connection.execute("SET search_path = manifest_runner")
        connection.execute("UPDATE accounts SET changes = 100, late = '[]' WHERE account = %s", [studio.account])
    with pytest.raises(LedgerError, match=r"lacks changes|does not hold times"):
        ledger.admit(intent("C"), FREE)
    assert len(studio.trail()) == count
    assert isinstance(other.admit(intent("D"), FREE), Admitted), "who begins anew sees what is there"


def test_an_operation_that_fails_takes_back_no_pause_that_another_machine_has_heard_of(studio: Studio) -> None:
    one, other = studio.machine("a"), studio.machine("b")
    one.admit(intent("A"), FREE)
    other.admit(intent("B"), FREE)
    other.throttled(intent("B").external_task_id, 3000.0)
    with pytest.raises(BudgetExceeded):
        one.admit(intent("C"), SpendingLimits(daily_credits=D(1)))
    answer = other.admit(intent("D"), FREE)
    assert isinstance(answer, Wait)
    assert answer.seconds > 1000


def test_sums_that_do_not_agree_are_seen_when_it_is_opened(studio: Studio) -> None:
    studio.machine("a").admit(intent(), FREE)
    with studio.database.connect() as connection:
        connection.execute("UPDATE manifest_runner.tallies SET held = 0 WHERE account = %s", [studio.account])
    with pytest.raises(LedgerError, match="its sums do not agree with its jobs"):
        studio.machine("b")


@pytest.mark.parametrize("statement", [
    "DELETE FROM jobs", "DELETE FROM requests", "DELETE FROM events", "DELETE FROM accounts", "DELETE FROM tallies",
    "UPDATE jobs SET reserved = 0", "UPDATE jobs SET external_task_id = 'x'", "UPDATE requests SET body = ''",
    "UPDATE events SET detail = ''", "UPDATE ledger_version SET version = 9", "TRUNCATE jobs", "DROP TABLE jobs",
    "CREATE TABLE mine ()", "INSERT INTO ledger_version VALUES (false, 1)",
])
def test_the_role_that_uses_it_cannot_rewrite_what_was_bought(database: Server, statement: str) -> None:
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("SET search_path = manifest_runner")
        with pytest.raises(psycopg.Error, match=r"permission denied|must be owner"):
            connection.execute(statement)


def test_nothing_is_left_in_a_session_for_whoever_gets_it_next_from_a_pooler(studio: Studio) -> None:
    ledger = studio.machine("a")
    ledger.admit(intent(), FREE)
    connection = ledger._link._connection
    assert connection is not None
    left = connection.execute(
        "SELECT current_setting('search_path'), current_setting('lock_timeout'), current_setting('synchronous_commit'), "
        "(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())").fetchone()
    assert left == ('"$user", public', "0", "off", 0, 0, 0)


def test_every_transaction_may_be_on_another_connection(studio: Studio) -> None:
    ledger = studio.machine("a")
    commit = ledger._link.commit

    def elsewhere(*statements: Any) -> None:
        commit(*statements)
        ledger._link.close()

    ledger._link.commit = elsewhere  # type: ignore[method-assign]
    for number in range(3):
        assert isinstance(ledger.admit(intent("S", take=number + 1), FREE), Admitted)
    assert studio.trail() == ["Intended"] * 3


# ── versions; a database of their own ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def bare(database: Server) -> Server:
    """A database without tables."""
    return database.another("bare")


@pytest.fixture
def empty(bare: Server) -> Server:
    with bare.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS manifest_runner CASCADE")
    return bare


def test_who_may_makes_the_tables_and_all_who_begin_at_once_find_them(empty: Server) -> None:
    assert TeamLedger.open_readonly(empty.address("owner"), project="p") is None
    failed: list[BaseException] = []

    def begin(number: int) -> None:
        try:
            with TeamLedger(empty.address("owner"), account="a", project="p", run=str(number)) as ledger:
                ledger.admit(intent("S", take=number), FREE)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    looking = TeamLedger.open_readonly(empty.address("owner"), project="p", account="a")
    assert looking is not None
    with looking:
        assert len(looking.jobs("monsoon.yaml")) == 5


def test_who_may_not_is_told_what_to_run(empty: Server) -> None:
    with pytest.raises(LedgerError) as caught:
        TeamLedger(empty.address(), account="a", project="p", run="r")
    assert caught.value.hint == "whoever owns the database runs: manifest-runner schema ledger | psql DATABASE"
    empty.psql(team_schema.script(ROLE))
    empty.psql(team_schema.script(ROLE))  # again: nothing happens
    with TeamLedger(empty.address(), account="a", project="p", run="r") as ledger:
        assert isinstance(ledger.admit(intent(), FREE), Admitted)


def test_an_older_ledger_is_brought_to_this_version_and_a_newer_one_is_refused(
        empty: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    address = empty.address("owner")
    with TeamLedger(address, account="a", project="p", run="old") as old:
        old.admit(intent(), FREE)
        with monkeypatch.context() as newer:
            newer.setattr(team_schema, "VERSION", 2)
            newer.setitem(team_schema._CHANGES, 2, "ALTER TABLE jobs ADD COLUMN more text NOT NULL DEFAULT ''")
            with pytest.raises(LedgerError, match="of an older version"):
                TeamLedger.open_readonly(address, project="p")
            with TeamLedger(address, account="a", project="p", run="new") as new:
                assert len(new.jobs("monsoon.yaml")) == 1
        with pytest.raises(LedgerError, match=r"changed by a newer version of manifest-runner: nothing is submitted"):
            old.admit(intent("LATER"), FREE)
        for opened in (lambda: TeamLedger(address, account="a", project="p", run="again"),
                       lambda: TeamLedger.open_readonly(address, project="p")):
            with pytest.raises(LedgerError, match="newer version"):
                opened()


def test_what_was_returned_is_there_after_the_server_was_killed(empty: Server) -> None:
    """Its own default is to say yes before anything is written (`synchronous_commit = off`)."""
    with TeamLedger(empty.address("owner"), account="a", project="p", run="r") as ledger:
        for number in range(5):
            ledger.admit(intent("S", take=number + 1), FREE)
            empty.stop()
            empty.start()
        assert len(ledger.jobs("monsoon.yaml")) == 5
        assert ledger.record(intent("S").external_task_id, InDoubt()).state is JobState.IN_DOUBT
