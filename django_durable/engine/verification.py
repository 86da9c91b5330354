"""Whether code fits a history: the question that a deployment asks before it happens.

Nothing is decided here that a worker would not decide: a history fits when a worker could replay it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import Difference, DurableError, NondeterminismError, NotRegistered
from .events import HistoryEvent
from .failures import text_of, type_name
from .program import Environment, Past
from .replay import Execution

NONDETERMINISM, NOT_REGISTERED, DAMAGED = "nondeterminism", "not_registered", "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """The first place where code does not fit a history.

    Attributes:
        code: `nondeterminism`; `not_registered`: code that the history needs is missing; `damaged`: no history that
            this engine can read.
        seq, recorded, requested: Of a nondeterminism: the event, and what stands there and what the code asks for
            instead, None for nothing.
    """

    code: str
    detail: str
    seq: int | None = None
    recorded: str | None = None
    requested: str | None = None
    differences: tuple[Difference, ...] = ()


def mismatch_of(environment: Environment, past: Past | Sequence[HistoryEvent]) -> Mismatch | None:
    """Rebuild an execution with the code that is here, and return the first difference, None where it fits.

    Args:
        past: A history, or a checkpoint and the events after it, as a worker has it.
    """
    try:
        Execution.rebuild(environment, past if isinstance(past, Past) else Past(past)).close()
    except (DurableError, ValueError) as error:
        return described(error)
    return None


def described(error: DurableError | ValueError) -> Mismatch:
    """Return what an error that ended a replay says of the code."""
    match error:
        case NondeterminismError():
            return Mismatch(
                code=NONDETERMINISM,
                detail=str(error),
                seq=error.seq,
                recorded=error.recorded,
                requested=error.requested,
                differences=error.differences,
            )
        case NotRegistered():
            return Mismatch(code=NOT_REGISTERED, detail=str(error))
        case DurableError():
            return Mismatch(code=type_name(type(error)), detail=text_of(error))
    return Mismatch(code=DAMAGED, detail=text_of(error))
