"""What is written of a promise that nobody has settled: its row, and the message that its deadline is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ..engine import events
from .inbox import Delivery
from .records import TaskKey

COLUMNS = (
    *("instance_id", "execution_number", "seq", "promise_id", "name", "question", "answer", "assignee"),
    *("expires_at", "created_at", "outcome", "settled_by"),
)


def new_promise(
    key: TaskKey, fact: events.PromiseCreated, asked_at: datetime, moment: Callable[[datetime | None], Any]
) -> tuple[Any, ...]:
    """Return the row of an open promise, in the order of `COLUMNS`."""
    expires_at = None if fact.deadline_ms is None else asked_at + timedelta(milliseconds=fact.deadline_ms)
    return (
        *(*key, fact.promise_id, fact.name, fact.question, fact.answer, fact.assignee or ""),
        *(moment(expires_at), moment(asked_at), "", ""),
    )


def expiry_of(key: TaskKey, deadline_ms: int, asked_at: datetime) -> Delivery:
    """Return the message that tells an execution that the time for a promise is over."""
    late = events.PromiseExpired(created_seq=key.seq)
    return Delivery(key.instance, late, key.execution, asked_at + timedelta(milliseconds=deadline_ms))
