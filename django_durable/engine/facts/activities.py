"""The facts of activities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..failures import Failure
from .base import Fact, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityScheduled(Fact):
    """`retry` and the timeouts are copied for whoever runs the activity; a replay does not compare them.

    `start_to_close_ms` bounds each attempt, `schedule_to_close_ms` all attempts and the pauses between them. `stream`
    is where the partial results of a generator go; None for a function that returns.
    """

    name_field = "name"
    payload_field = "input"
    name: str
    input: Payload
    tag: str | None = None
    session_id: str | None = None
    priority: int = 0
    retry: dict[str, Any] | None = None
    start_to_close_ms: int | None = None
    schedule_to_close_ms: int | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCompleted(Fact):
    source_field = "scheduled_seq"
    payload_field = "result"
    scheduled_seq: int
    result: Payload
    attempt: int = 1
    worker_id: str | None = None
    started_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFailed(Fact):
    """Failed for good. `timed_out` tells a timeout from an error; `failure` is that of the last attempt."""

    source_field = "scheduled_seq"
    payload_field = "failure"
    scheduled_seq: int
    failure: Failure
    attempt: int = 1
    timed_out: bool = False
    worker_id: str | None = None
    started_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCancelRequested(Fact):
    source_field = "scheduled_seq"
    scheduled_seq: int
