"""What a history is made of: facts, and the envelope that places a fact in one.

A fact is a frozen dataclass, past tense. Half of the facts answer commands (`ActivityScheduled`): the code asked and
the turn recorded it. The others arrive from outside as messages (`ActivityCompleted`): a message is a fact that has no
place in a history yet. `HistoryEvent` gives a fact its place: `seq` (1-based, gap-free within one execution) and
`recorded_at`, which is also the clock the code sees while it reacts to the event.

Payloads are JSON text, exactly as the codec made it; the engine compares and stores that text and never parses it.
How a fact maps to the columns of a row is in `facts`. A default that was once released never changes: values equal to
it are not stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from .errors import Failure
from .facts import Columns as Columns
from .facts import Fact as Fact
from .facts import Payload as Payload
from .facts import failure_from_payload as failure_from_payload
from .facts import failure_to_payload as failure_to_payload
from .facts import layout_of
from .promisefacts import PromiseCompleted as PromiseCompleted
from .promisefacts import PromiseCreated as PromiseCreated
from .promisefacts import PromiseExpired as PromiseExpired
from .promisefacts import PromiseFailed as PromiseFailed
from .promisefacts import PromiseWithdrawn as PromiseWithdrawn
from .streamfacts import StreamAppended as StreamAppended
from .streamfacts import StreamedItem
from .streamfacts import StreamEnded as StreamEnded
from .streamfacts import StreamItemSent as StreamItemSent
from .streamfacts import StreamItemsReceived as StreamItemsReceived
from .streamfacts import StreamSubscribed as StreamSubscribed
from .streamfacts import StreamSubscriptionCanceled as StreamSubscriptionCanceled

ENGINE_VERSION = 1
"""What executions started from now on record; one that records a later version cannot be replayed by this engine."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One recorded fact: its place in the history of one execution, and when it was recorded (aware UTC)."""

    seq: int
    recorded_at: datetime
    fact: Fact

    @property
    def kind(self) -> str:
        return self.fact.kind


class CarriedEvent(NamedTuple):
    """An external event that was delivered and not yet waited for when the previous execution continued as new."""

    name: str
    payload: Payload


class StoredValue(NamedTuple):
    """A KV value and when it was written (ms since the epoch, by the history's clock)."""

    payload: Payload
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationStarted(Fact):
    """The first event of every execution; with it alone, and the events after it, the execution can be replayed.

    `seed` is drawn once per instance start; guids and random numbers derive from it and the execution number.
    `carried_events`, `kv`, `custom_status` and `stream_positions`, up to which its code had read, are what the previous
    execution left when it continued as new.
    """

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    input: Payload
    instance_id: str
    execution: int
    seed: str
    parent_instance_id: str | None = None
    carried_events: tuple[CarriedEvent, ...] = ()
    kv: dict[str, StoredValue] = field(default_factory=dict)
    custom_status: Payload | None = None
    engine_version: int = 1
    stream_positions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationRewound(Fact):
    """The events before this one were copied from the execution that a retry or a fork went back into.

    They keep the identity under which they were recorded, so that their replay is exact. From here on the code has the
    identity that this fact gives; `copied_from` and `copied_execution` are where the events came from.
    """

    name_field = "copied_from"
    copied_from: str
    copied_execution: int
    instance_id: str
    execution: int
    seed: str
    parent_instance_id: str | None = None

    def identify(self, started: OrchestrationStarted) -> OrchestrationStarted:
        """Return the start of the execution with the identity that this fact gives."""
        return replace(
            started,
            instance_id=self.instance_id,
            execution=self.execution,
            seed=self.seed,
            parent_instance_id=self.parent_instance_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCompleted(Fact):
    payload_field = "output"
    output: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationFailed(Fact):
    payload_field = "failure"
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCanceled(Fact):
    """Ended after a cancel request. `output` is what the code returned, `null` where it let the cancellation pass."""

    payload_field = "output"
    output: Payload
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationTerminated(Fact):
    """Written by the client, not by a turn: an operator ended the instance without asking its code."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationContinuedAsNew(Fact):
    """Ended, and the same instance goes on as a new execution. `version` is the one asked for, `None` for latest."""

    payload_field = "input"
    input: Payload
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationCancelRequested(Fact):
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMarked(Fact):
    name_field = "patch_id"
    patch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityScheduled(Fact):
    """`retry` and the timeouts are copied for whoever runs the activity; a replay does not compare them.

    `start_to_close_ms` bounds each attempt, `schedule_to_close_ms` all attempts and the pauses between them.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCreated(Fact):
    """`fire_at_ms` (epoch) is the history's clock plus `duration_ms`; a replay compares the duration."""

    duration_ms: int
    fire_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Fact):
    source_field = "timer_seq"
    timer_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerCanceled(Fact):
    source_field = "timer_seq"
    timer_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSubscribed(Fact):
    name_field = "name"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSubscriptionCanceled(Fact):
    source_field = "subscribed_seq"
    subscribed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent(Fact):
    """Goes to the oldest open wait of its name, or is kept for the next one."""

    name_field = "name"
    payload_field = "payload"
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnqueued(Fact):
    """Only ever a message: it makes the instance claimable after a `QueuedEvent` row was inserted. Never recorded."""

    name_field = "queue"
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSubscribed(Fact):
    name_field = "queue"
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSubscriptionCanceled(Fact):
    source_field = "subscribed_seq"
    subscribed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEventDelivered(Fact):
    name_field = "queue"
    source_field = "subscribed_seq"
    payload_field = "payload"
    queue: str
    subscribed_seq: int
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationScheduled(Fact):
    """`version` is always the version the child is pinned to; `requested_version` what the code asked for."""

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    instance_id: str
    input: Payload
    requested_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCompleted(Fact):
    source_field = "scheduled_seq"
    payload_field = "result"
    scheduled_seq: int
    result: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationFailed(Fact):
    source_field = "scheduled_seq"
    payload_field = "failure"
    scheduled_seq: int
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOrchestrationCancelRequested(Fact):
    source_field = "scheduled_seq"
    scheduled_seq: int
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationChained(Fact):
    """A detached start: not a child, not canceled or deleted with its starter."""

    name_field = "name"
    payload_field = "input"
    name: str
    version: str
    instance_id: str
    input: Payload
    requested_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomStatusUpdated(Fact):
    """`value` is `None` after a reset."""

    payload_field = "value"
    value: Payload | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueSet(Fact):
    name_field = "key"
    payload_field = "value"
    key: str
    value: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueCleared(Fact):
    name_field = "key"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValuesCleared(Fact):
    """`keys` are those removed, sorted: all there were, or those that a prune found older than its cutoff."""

    keys: tuple[str, ...]


FACTS: dict[str, type[Fact]] = {cls.__name__: cls for cls in Fact.__subclasses__()}
"""Every fact class by its `kind`."""

TERMINAL_FACTS = (
    OrchestrationCompleted,
    OrchestrationFailed,
    OrchestrationCanceled,
    OrchestrationTerminated,
    OrchestrationContinuedAsNew,
)
"""The facts that end an execution; always its last event."""


def fact_from_columns(
    kind: str, name: str | None, source_seq: int | None, payload: Payload | None, data: str | None
) -> Fact:
    """Rebuild a fact from its row columns.

    Raises: ValueError: unknown kind, or columns that do not fit it. The history was written by something newer, or
        is damaged: block the instance, do not guess.
    """
    cls = FACTS.get(kind)
    if cls is None:
        raise ValueError(f"Unknown event kind {kind!r}; known kinds are those of django_durable.engine.events.")
    layout = layout_of(cls)
    try:
        values: dict[str, Any] = _unplain(json.loads(data)) if data else {}
        if layout.name:
            values[layout.name] = name
        if layout.source:
            values[layout.source] = source_seq
        if layout.payload:
            values[layout.payload] = failure_from_payload(payload) if layout.payload == "failure" else payload
        return cls(**values)
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"Columns of a {kind} event do not fit it: {error}.") from error


def _unplain(data: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists that JSON made of tuples back into what the dataclasses declare."""
    if "carried_events" in data:
        data["carried_events"] = tuple(CarriedEvent(*item) for item in data["carried_events"])
    if "kv" in data:
        data["kv"] = {key: StoredValue(*item) for key, item in data["kv"].items()}
    if "keys" in data:
        data["keys"] = tuple(data["keys"])
    if "items" in data:
        data["items"] = tuple(StreamedItem(*item) for item in data["items"])
    return data
