"""The one table of a submission's life, read as sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest

from manifest_runner.core.lifecycle import (
    HOLDING,
    IN_FLIGHT,
    TABLE,
    UNFINISHED,
    Abandoned,
    Event,
    Failed,
    IllegalEvent,
    InDoubt,
    Intended,
    Missing,
    Progressed,
    Refused,
    Stored,
    Submitted,
    Succeeded,
    next_state,
)
from manifest_runner.core.model import JobId, JobState
from tests.contract.ledger_contract import PATHS, intent

EVENTS: tuple[Event, ...] = (
    Intended(intent=intent()), Submitted(job_id=JobId("job-1")), InDoubt(), Progressed(status="processing"),
    Succeeded(charged=Decimal(1)), Failed(words="no"), Refused(words="no"), Missing(), Stored(artifacts=()), Abandoned())

TERMINAL = frozenset(JobState) - UNFINISHED


def reachable(start: JobState) -> set[JobState]:
    """Every state that some run of events leads to."""
    found = {start}
    while True:
        more = {after for (before, _), after in TABLE.items() if before in found} - found
        if not more:
            return found
        found |= more


def test_every_kind_of_event_is_tried() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_in_the_table_or_illegal(state: JobState, event: Event) -> None:
    if (state, type(event)) in TABLE:
        assert next_state(state, event) is TABLE[state, type(event)]
    else:
        with pytest.raises(IllegalEvent, match=f"{type(event).__name__} cannot happen to a job that is {state.value}"):
            next_state(state, event)


def test_the_table_knows_states_and_events_and_nothing_else() -> None:
    for (before, kind), after in TABLE.items():
        assert isinstance(before, JobState)
        assert isinstance(after, JobState)
        assert kind in get_args(Event)


def test_terminal_states_are_the_four_ends() -> None:
    assert {JobState.STORED, JobState.FAILED, JobState.REFUSED, JobState.ABANDONED} == TERMINAL


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_end_is_an_end(state: JobState) -> None:
    assert reachable(state) == {state}


@pytest.mark.parametrize("state", sorted(UNFINISHED))
def test_from_every_unfinished_state_there_is_an_end(state: JobState) -> None:
    assert reachable(state) & TERMINAL


def test_every_state_can_be_reached() -> None:
    assert reachable(JobState.INTENDED) == set(JobState)


@pytest.mark.parametrize(("state", "events"), PATHS.items())
def test_a_known_way_leads_to_each_state(state: JobState, events: tuple[Event, ...]) -> None:
    here = JobState.INTENDED
    for event in events:
        here = next_state(here, event)
    assert here is state


def test_nothing_is_intended_twice() -> None:
    assert not [state for state, kind in TABLE if kind is Intended]


def test_what_flies_is_held_and_what_is_held_is_unfinished() -> None:
    assert IN_FLIGHT < HOLDING < UNFINISHED
    assert {JobState.SUCCEEDED} == UNFINISHED - HOLDING


def test_in_doubt_and_missing_stay_reserved() -> None:
    assert {JobState.IN_DOUBT, JobState.MISSING} <= HOLDING - IN_FLIGHT


def test_money_that_was_settled_is_never_reserved_again() -> None:
    settled = set(JobState) - HOLDING
    assert all(after in settled for (before, _), after in TABLE.items() if before in settled)


def test_only_a_failure_a_refusal_or_a_person_frees_a_reservation() -> None:
    freeing = {kind for (before, kind), after in TABLE.items() if before in HOLDING and after not in HOLDING}
    assert freeing == {Succeeded, Failed, Refused, Abandoned}


def test_a_doubt_is_only_resolved_by_the_gateways_answer_or_a_person() -> None:
    assert {kind for state, kind in TABLE if state is JobState.IN_DOUBT} >= {Submitted, Abandoned}
    assert all(kind in {Submitted, InDoubt, Abandoned} for state, kind in TABLE if state is JobState.IN_DOUBT)


def test_a_refusal_can_only_answer_a_submission() -> None:
    assert [state for state, kind in TABLE if kind is Refused] == [JobState.INTENDED]
