"""The statuses of an instance and the one table of legal moves between them.

The guards of UPDATE statements, the check constraints of the tables, the diagram in the docs and the parametrised
tests all come from `MOVES`.

    Pending    started, no turn committed yet
    Running    at least one turn committed, not finished
    Suspended  an operator paused it; what arrives is kept and nothing is run
    Blocked    its code is missing or has diverged from its history; the reason is stored
    Completed  returned
    Failed     raised
    Canceled   ended after a cancel request, having had the chance to compensate
    Terminated ended at once by an operator; its code was not asked
"""

from __future__ import annotations

from enum import StrEnum


class RuntimeStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    SUSPENDED = "Suspended"
    BLOCKED = "Blocked"


class ExecutionStatus(StrEnum):
    """What one execution may be: running, ended like its instance, or handed over to the next execution."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    CONTINUED_AS_NEW = "ContinuedAsNew"


class PromiseOutcome(StrEnum):
    """What became of a promise."""

    OPEN = ""
    COMPLETED = "Completed"
    FAILED = "Failed"
    EXPIRED = "Expired"
    WITHDRAWN = "Withdrawn"


class Move(StrEnum):
    """Everything that may change the status of an instance, by who asks for it."""

    TURN = "turn"  # a committed turn that left the code waiting
    COMPLETE = "complete"  # the code returned
    FAIL = "fail"  # the code raised
    CANCEL = "cancel"  # the code ended after a cancel request, or never ran
    BLOCK = "block"  # the worker cannot replay it
    TERMINATE = "terminate"  # an operator
    SUSPEND = "suspend"  # an operator
    RESUME = "resume"  # an operator, or a worker that has the code again
    RETRY = "retry"  # an operator; a new execution goes on from an earlier point of the one that ended


_P, _R = RuntimeStatus.PENDING, RuntimeStatus.RUNNING
_S, _B = RuntimeStatus.SUSPENDED, RuntimeStatus.BLOCKED

MOVES: dict[Move, dict[RuntimeStatus, RuntimeStatus]] = {
    Move.TURN: {_P: _R, _R: _R},
    Move.COMPLETE: {_P: RuntimeStatus.COMPLETED, _R: RuntimeStatus.COMPLETED},
    Move.FAIL: {_P: RuntimeStatus.FAILED, _R: RuntimeStatus.FAILED},
    Move.CANCEL: {_P: RuntimeStatus.CANCELED, _R: RuntimeStatus.CANCELED, _B: RuntimeStatus.CANCELED},
    Move.BLOCK: {_P: _B, _R: _B},
    Move.TERMINATE: dict.fromkeys((_P, _R, _S, _B), RuntimeStatus.TERMINATED),
    Move.SUSPEND: {_P: _S, _R: _S},
    # An instance that has run goes back to Running, one that never had a turn to Pending: see `resumed_status`.
    Move.RESUME: {_S: _R, _B: _R},
    Move.RETRY: dict.fromkeys((RuntimeStatus.FAILED, RuntimeStatus.CANCELED, RuntimeStatus.TERMINATED), _R),
}

TERMINAL = frozenset({RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.CANCELED, RuntimeStatus.TERMINATED})
"""Statuses of what has ended; no move but a retry leaves them."""

CLAIMABLE = frozenset(MOVES[Move.TURN])
"""Statuses in which a worker may run a turn."""

PARKED = frozenset({_S, _B})
"""Statuses in which messages are kept and nothing is run."""


def sources(move: Move) -> frozenset[RuntimeStatus]:
    """Return the statuses from which `move` is legal; the WHERE clause of its UPDATE."""
    return frozenset(MOVES[move])


def resumed_status(history_length: int, execution_number: int) -> RuntimeStatus:
    """Return what a parked instance resumes to: Pending when no turn of it was ever committed, else Running."""
    return _R if history_length or execution_number > 1 else _P
