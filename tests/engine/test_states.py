from __future__ import annotations

import pytest

from django_durable.engine.states import (
    CLAIMABLE,
    MOVES,
    PARKED,
    TERMINAL,
    ExecutionStatus,
    Move,
    RuntimeStatus,
    resumed_status,
    sources,
)

REACHED_BY_NO_MOVE = {RuntimeStatus.PENDING}


def test_every_move_is_in_the_table() -> None:
    assert set(MOVES) == set(Move)


@pytest.mark.parametrize("move", sorted(set(Move) - {Move.RETRY}))
def test_no_move_but_a_retry_leaves_a_terminal_status(move: Move) -> None:
    assert not sources(move) & TERMINAL


def test_only_what_ended_badly_can_be_retried() -> None:
    assert sources(Move.RETRY) == TERMINAL - {RuntimeStatus.COMPLETED}
    assert set(MOVES[Move.RETRY].values()) <= CLAIMABLE


@pytest.mark.parametrize("status", sorted(set(RuntimeStatus) - REACHED_BY_NO_MOVE))
def test_every_status_but_the_first_is_reached_by_a_move(status: RuntimeStatus) -> None:
    assert any(status in targets.values() for targets in MOVES.values())


@pytest.mark.parametrize("status", sorted(set(RuntimeStatus) - TERMINAL))
def test_every_open_status_can_be_ended_by_an_operator(status: RuntimeStatus) -> None:
    assert MOVES[Move.TERMINATE][status] is RuntimeStatus.TERMINATED


def test_statuses_are_claimable_parked_or_terminal_and_only_one_of_them() -> None:
    assert sorted([*CLAIMABLE, *PARKED, *TERMINAL]) == sorted(RuntimeStatus)


@pytest.mark.parametrize("status", sorted(PARKED))
def test_what_is_parked_can_be_resumed(status: RuntimeStatus) -> None:
    assert MOVES[Move.RESUME][status] in CLAIMABLE


def test_what_is_suspended_runs_no_turn_and_cannot_be_blocked() -> None:
    for move in (Move.TURN, Move.COMPLETE, Move.FAIL, Move.CANCEL, Move.BLOCK):
        assert RuntimeStatus.SUSPENDED not in sources(move)


@pytest.mark.parametrize("move", [Move.TURN, Move.COMPLETE, Move.FAIL, Move.BLOCK, Move.SUSPEND])
def test_only_a_claimable_instance_can_be_moved_by_a_turn(move: Move) -> None:
    assert sources(move) == CLAIMABLE


@pytest.mark.parametrize(
    ("history_length", "execution_number", "status"),
    [(0, 1, RuntimeStatus.PENDING), (1, 1, RuntimeStatus.RUNNING), (0, 2, RuntimeStatus.RUNNING)],
)
def test_an_instance_resumes_as_pending_only_if_no_turn_was_ever_committed(
    history_length: int, execution_number: int, status: RuntimeStatus
) -> None:
    assert resumed_status(history_length, execution_number) is status


def test_an_execution_ends_as_its_instance_does_or_hands_over() -> None:
    ends = set(ExecutionStatus) - {ExecutionStatus.RUNNING, ExecutionStatus.CONTINUED_AS_NEW}

    assert {str(each) for each in ends} == {str(each) for each in TERMINAL}
