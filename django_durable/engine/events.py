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
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .facts.activities import (
    ActivityCancelRequested as ActivityCancelRequested,
    ActivityCompleted as ActivityCompleted,
    ActivityFailed as ActivityFailed,
    ActivityScheduled as ActivityScheduled,
)
from .facts.base import (
    Columns as Columns,
    Fact as Fact,
    Payload as Payload,
    failure_from_payload as failure_from_payload,
    failure_to_payload as failure_to_payload,
    layout_of,
)
from .facts.children import (
    OrchestrationChained as OrchestrationChained,
    SubOrchestrationCancelRequested as SubOrchestrationCancelRequested,
    SubOrchestrationCompleted as SubOrchestrationCompleted,
    SubOrchestrationFailed as SubOrchestrationFailed,
    SubOrchestrationScheduled as SubOrchestrationScheduled,
)
from .facts.executions import (
    CarriedEvent as CarriedEvent,
    OrchestrationCanceled as OrchestrationCanceled,
    OrchestrationCancelRequested as OrchestrationCancelRequested,
    OrchestrationCompleted as OrchestrationCompleted,
    OrchestrationContinuedAsNew as OrchestrationContinuedAsNew,
    OrchestrationFailed as OrchestrationFailed,
    OrchestrationRewound as OrchestrationRewound,
    OrchestrationStarted as OrchestrationStarted,
    OrchestrationTerminated as OrchestrationTerminated,
    PatchMarked as PatchMarked,
    StoredValue as StoredValue,
)
from .facts.messages import (
    EventEnqueued as EventEnqueued,
    ExternalEvent as ExternalEvent,
    ExternalSubscribed as ExternalSubscribed,
    ExternalSubscriptionCanceled as ExternalSubscriptionCanceled,
    QueueEventDelivered as QueueEventDelivered,
    QueueSubscribed as QueueSubscribed,
    QueueSubscriptionCanceled as QueueSubscriptionCanceled,
)
from .facts.promises import (
    PromiseCompleted as PromiseCompleted,
    PromiseCreated as PromiseCreated,
    PromiseExpired as PromiseExpired,
    PromiseFailed as PromiseFailed,
    PromiseWithdrawn as PromiseWithdrawn,
)
from .facts.state import (
    CustomStatusUpdated as CustomStatusUpdated,
    KeyValueCleared as KeyValueCleared,
    KeyValuesCleared as KeyValuesCleared,
    KeyValueSet as KeyValueSet,
)
from .facts.streams import (
    StreamAppended as StreamAppended,
    StreamedItem,
    StreamEnded as StreamEnded,
    StreamItemSent as StreamItemSent,
    StreamItemsReceived as StreamItemsReceived,
    StreamSubscribed as StreamSubscribed,
    StreamSubscriptionCanceled as StreamSubscriptionCanceled,
)
from .facts.timers import (
    TimerCanceled as TimerCanceled,
    TimerCreated as TimerCreated,
    TimerFired as TimerFired,
)

ENGINE_VERSION = 2
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
