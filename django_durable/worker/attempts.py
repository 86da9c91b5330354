"""One delivery of an activity task to this worker, from its claim to its outcome.

An attempt may end in several threads at once: its function returns just as its deadline passes or its worker stops.
The first to `settle` it says how it ended; whoever comes later drops what it has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from datetime import datetime
from typing import Any

from ..engine.events import Payload
from ..engine.spans import SpanRecord
from ..engine.steps import LocalStep
from ..store.records import ClaimedTask
from ..store.spans import SpanOf


class Attempt:
    """A claimed task and what has become of it here.

    Attributes:
        started_at: When its function was called; None while it waits for a slot.
        started: The same on the monotonic clock; `deadline`, if any, is on it too.
        limit_ms: What the deadline came from.
        cancel_requested: Its task is gone, or its time is up; the function is asked to stop.
        heartbeat: Latest details given by the function and not stored yet.
        unsent: What an atomic activity sends on streams, until its commit.
        step: What a local step runs; None for an activity, whose code is registered. The execution it is of is kept
            from being closed as long as the attempt.
        spans: What is traced of it, to be stored with its outcome.
    """

    __slots__ = (
        "_execution",
        "_settled",
        "cancel_requested",
        "deadline",
        "heartbeat",
        "limit_ms",
        "on_cancel",
        "queued",
        "spans",
        "started",
        "started_at",
        "step",
        "task",
        "unsent",
    )

    def __init__(
        self, task: ClaimedTask, queued: float, step: LocalStep | None = None, execution: object = None
    ) -> None:
        self.task = task
        self.step = step
        self._execution = execution
        self.started_at: datetime | None = None
        self.started: float | None = None
        self.deadline: float | None = None
        self.limit_ms = 0
        self.queued = queued
        self.cancel_requested = False
        self.heartbeat: Payload | None = None
        self.spans: list[SpanRecord] = []
        self.on_cancel: Callable[[], None] | None = None
        self.unsent: list[Any] = []
        self._settled = threading.Lock()

    def begin(self, started_at: datetime, started: float, limit: float | None) -> None:
        """Note that the function is about to be called, and how many seconds it may take."""
        self.started_at, self.started = started_at, started
        if limit is not None:
            self.deadline = started + limit
            self.limit_ms = round(limit * 1000)

    def overdue(self, monotonic: float) -> bool:
        """Tell whether the deadline has passed."""
        return self.deadline is not None and monotonic >= self.deadline

    def owned_spans(self) -> list[SpanOf]:
        """Return its spans as the store takes them."""
        key = self.task.key
        return [SpanOf(key.instance, key.execution, each) for each in self.spans]

    def settle(self) -> bool:
        """Take the right to say how this attempt ended. Returns: False where somebody has said it already."""
        return self._settled.acquire(blocking=False)

    @property
    def context(self) -> Context:
        """A context to run in: a copy of the one that a local step was made in, else an empty one."""
        return Context() if self.step is None else self.step.context.copy()

    @property
    def settled(self) -> bool:
        return self._settled.locked()

    def cancel(self) -> None:
        """Ask the function to stop: `ctx.is_cancelled()` from now on, and a CancelledError in an `async def`."""
        self.cancel_requested = True
        if self.on_cancel is not None:
            self.on_cancel()
