"""Sums of credits are exact, and limits of them are kept to the last one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_runner.core.limits import cost, refuse_overspending, room, sensible, within
from manifest_runner.core.model import Job, JobState
from manifest_runner.errors import BudgetExceeded
from tests.contract.ledger_contract import intent

amounts = st.decimals(0, 10**9, places=6)


@given(limit=amounts, spent=amounts, more=amounts)
def test_room_and_within_agree(limit: Decimal, spent: Decimal, more: Decimal) -> None:
    left = room(limit, spent)
    assert left is not None
    assert left >= 0
    assert within(limit, spent, more) == (spent <= limit and more <= left)


def test_no_limit_is_endless_room() -> None:
    assert room(None, Decimal(10)) is None
    assert within(None, Decimal(10), Decimal(10**12))
    refuse_overspending(None, Decimal(10), Decimal(10), of="this run")


def test_a_refusal_says_its_numbers_as_people_write_them() -> None:
    words = r"^needs 145 credits; 4,900\.5 of 5,000 of this run are spent or reserved$"
    with pytest.raises(BudgetExceeded, match=words) as told:
        refuse_overspending(Decimal("5000.000"), Decimal("4900.500000"), Decimal("145.000000"), of="this run")
    assert told.value.hint


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "1e13"])
def test_an_amount_that_makes_no_sense_was_not_said(amount: str) -> None:
    assert sensible(Decimal(amount)) is None


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("charged", [None, Decimal(0), Decimal(200)])
def test_an_open_job_counts_its_reservation_and_a_settled_one_its_charge(state: JobState, charged: Decimal | None) -> None:
    open_states = {"intended", "submitted", "running", "in_doubt", "missing"}
    job = Job(intent=intent(), state=state, charged=charged)
    assert cost(job) == (145 if state.value in open_states or charged is None else charged)
