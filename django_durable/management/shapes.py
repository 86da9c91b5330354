"""What `--json` prints: the same fields as in the REST API, which has none of this code.

Moments are ISO 8601 in UTC. Payloads are the JSON values that they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..client import (
    DeleteResult,
    ExecutionInfo,
    InstanceInfo,
    InstanceSummary,
    PruneResult,
    StatusRecord,
    WorkerRecord,
)
from ..client.waiting import Waiting
from ..definitions import Activity, Orchestration
from ..engine.events import HistoryEvent
from ..engine.failures import Failure
from ..engine.states import TERMINAL

Shape = dict[str, Any]


def utc(at: datetime | None) -> str | None:
    """Return a moment as ISO 8601 in UTC with all its microseconds."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def value(payload: str | None) -> Any:
    """Return the JSON value of a payload."""
    return None if payload is None else json.loads(payload)


def error(failure: Failure | None) -> Shape | None:
    return None if failure is None else asdict(failure)


def _times(found: Any) -> Shape:
    return {name: utc(getattr(found, name)) for name in ("created_at", "started_at", "updated_at", "completed_at")}


def _head(found: StatusRecord | InstanceSummary) -> Shape:
    return {
        "instance_id": found.instance_id,
        "orchestration": found.orchestration,
        "version": found.version,
        "runtime_status": found.runtime_status.value,
        "done": found.runtime_status in TERMINAL,
        "execution_number": found.execution_number,
    }


def _custom_status(found: StatusRecord | InstanceSummary) -> Shape:
    return {
        "custom_status": value(found.custom_status),
        "custom_status_version": found.custom_status_version,
        "revision": found.revision,
    }


def status(found: StatusRecord) -> Shape:
    """Return an instance as whoever waits for it sees it."""
    return {
        **_head(found),
        **_custom_status(found),
        **_times(found),
        "output": value(found.output),
        "error": error(found.failure),
        "blocked_reason": error(found.blocked_reason),
    }


def summary(found: InstanceSummary) -> Shape:
    """Return an instance as a row of a list."""
    return {
        **_head(found),
        "history_length": found.history_length,
        "parent_instance_id": found.parent_instance_id,
        "root_instance_id": found.root_instance_id,
        "worker_id": found.worker_id,
        **_custom_status(found),
        **_times(found),
    }


def detail(found: InstanceInfo) -> Shape:
    """Return an instance with what it was given and what it returned."""
    return {
        **summary(found),
        "input": value(found.input),
        "output": value(found.output),
        "error": error(found.failure),
        "blocked_reason": error(found.blocked_reason),
    }


def event(found: HistoryEvent) -> Shape:
    """Return one recorded fact."""
    kind, name, source_seq, payload, data = found.fact.columns()
    return {
        "seq": found.seq,
        "recorded_at": utc(found.recorded_at),
        "kind": kind,
        "name": name,
        "source_seq": source_seq,
        "payload": value(payload),
        "data": value(data),
    }


def execution(found: ExecutionInfo) -> Shape:
    """Return one execution with its payloads."""
    return {
        "number": found.number,
        "version": found.version,
        "execution_status": found.status.value,
        "event_count": found.event_count,
        "started_at": utc(found.started_at),
        "completed_at": utc(found.completed_at),
        "input": value(found.input),
        "output": value(found.output),
        "error": error(found.failure),
    }


def waiting(found: Waiting) -> Shape:
    """Return one thing that an instance waits for, without what says nothing of its kind."""
    shown = {
        "kind": found.kind,
        "name": found.name,
        "seq": found.seq,
        "since": utc(found.since),
        "due": utc(found.due),
        "instance_id": found.child,
        "progress": found.progress,
        "attempt": found.attempt,
        "worker_id": found.worker_id,
        "tag": found.tag,
        "session_id": found.session_id,
        "failures": list(found.failures),
    }
    return {name: each for name, each in shown.items() if each not in (None, "", [])}


def worker(found: WorkerRecord) -> Shape:
    """Return a worker as of its last heartbeat."""
    return {
        "worker_id": found.worker_id,
        "host": found.host,
        "pid": found.pid,
        "tags": value(found.tags),
        "concurrency": found.concurrency,
        "metrics": value(found.metrics),
        "started_at": utc(found.started_at),
        "heartbeat_at": utc(found.heartbeat_at),
        "stopping": found.stopping,
    }


def orchestration(found: Orchestration[..., Any], *, latest: bool) -> Shape:
    """Return a registered orchestration in one version."""
    return {
        "name": found.name,
        "version": found.version,
        "latest": latest,
        "description": found.doc,
        "input_schema": found.input_schema(),
        "output_schema": found.output_schema(),
    }


def activity(found: Activity[..., Any]) -> Shape:
    """Return a registered activity."""
    return {
        "name": found.name,
        "description": found.doc,
        "tag": found.tag,
        "priority": found.priority,
        "atomic": found.atomic,
        "input_schema": found.input_schema(),
        "output_schema": found.output_schema(),
    }


def counts(found: DeleteResult | PruneResult | Mapping[str, int]) -> Shape:
    """Return how many rows went."""
    return dict(found) if isinstance(found, Mapping) else asdict(found)
