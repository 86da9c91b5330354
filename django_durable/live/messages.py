"""What listeners are told: one frozen dataclass per shape, and its JSON.

Every message says in which version of the protocol it is (`v`) and what it is (`type`). Payloads are JSON text and go
into the JSON as they are. Fields that are `UNSET` are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ..engine.events import Payload
from ..engine.failures import Failure
from ..engine.states import TERMINAL
from ..store.changes import EventRecord
from ..store.queries import StatusRecord
from .positions import Position
from .streams import Batch

VERSION: Literal[1] = 1
StateType = Literal["snapshot", "status", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base: what every message has."""

    v: Literal[1] = VERSION
    type: str

    def as_json(self) -> str:
        """Return the message as JSON, without line breaks."""
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Message):
    """An instance as it is now: `snapshot` is the first, `status` a change, `done` the end and the last message of it.

    Attributes:
        position: What to send as `since` to go on after this message.
        output, error: Of `done`, for whoever may see payloads; `blocked_reason` of the others.
    """

    type: StateType
    instance_id: str
    position: str
    orchestration: str
    version: str
    runtime_status: str
    done: bool
    execution_number: int
    custom_status: Raw | None
    custom_status_version: int
    revision: int
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    output: Raw | UnsetType | None = UNSET
    error: Failure | UnsetType | None = UNSET
    blocked_reason: Failure | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged(Message):
    """The answer in place of a snapshot where the instance is still at the position that the listener sent."""

    type: Literal["unchanged"] = "unchanged"
    instance_id: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Message):
    """One event of a history; `payload` and `data` are for whoever may see payloads."""

    type: Literal["history"] = "history"
    instance_id: str
    position: str
    execution: int
    seq: int
    recorded_at: datetime
    kind: str
    name: str | None
    source_seq: int | None
    payload: Raw | UnsetType | None = UNSET
    data: Raw | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries(Message):
    """KV entries: all of them where `complete`, else those that changed, and the keys that are gone."""

    type: Literal["kv"] = "kv"
    instance_id: str
    position: str
    complete: bool
    values: dict[str, Raw]
    removed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a stream."""

    position: int
    value: Raw | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Message):
    """Items of a stream, in order and each once. `ended` is its end, with the `reason` if one was given.

    Attributes:
        trimmed_to: Items up to this position, which the listener has not been told, are no longer kept. Told once.
    """

    type: Literal["stream"] = "stream"
    instance_id: str
    position: str
    stream: str
    items: list[Item]
    ended: bool
    reason: Raw | None
    trimmed_to: int | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(Message):
    """The instance was deleted. What was started since under its id is another one: subscribe anew to see it."""

    type: Literal["gone"] = "gone"
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Message):
    """Something was refused; `code` stays the same, whatever the sentence says."""

    type: Literal["error"] = "error"
    code: str
    detail: str
    instance_id: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Message):
    """Nothing but that the connection works: `heartbeat` unasked, `pong` to a ping."""

    type: Literal["heartbeat", "pong"]


def state_of(record: StatusRecord, type: StateType, position: Position, *, payloads: bool) -> State:
    """Return the message that shows an instance."""
    private: dict[str, Any] = {}
    if payloads and type == "done":
        private = {"output": raw(record.output), "error": record.failure}
    elif payloads:
        private = {"blocked_reason": record.blocked_reason}
    return State(
        type=type,
        instance_id=record.instance_id,
        position=str(position),
        orchestration=record.orchestration,
        version=record.version,
        runtime_status=record.runtime_status.value,
        done=record.runtime_status in TERMINAL,
        execution_number=record.execution_number,
        custom_status=raw(record.custom_status),
        custom_status_version=record.custom_status_version,
        revision=record.revision,
        created_at=record.created_at,
        started_at=record.started_at,
        updated_at=record.updated_at,
        completed_at=record.completed_at,
        **private,
    )


def event_of(instance_id: str, event: EventRecord, position: Position, *, payloads: bool) -> Event:
    """Return the message that tells of an event of a history."""
    return Event(
        instance_id=instance_id,
        position=str(position),
        execution=event.execution,
        seq=event.seq,
        recorded_at=event.recorded_at,
        kind=event.kind,
        name=event.name,
        source_seq=event.source_seq,
        payload=raw(event.payload) if payloads else UNSET,
        data=raw(event.data) if payloads else UNSET,
    )


def items_of(instance_id: str, stream: str, batch: Batch, position: Position) -> Items:
    """Return the message that tells of items."""
    return Items(
        instance_id=instance_id,
        position=str(position),
        stream=stream,
        items=[
            Item(position=each.position, value=raw(each.payload), created_at=each.created_at) for each in batch.items
        ],
        ended=batch.ended,
        reason=raw(batch.reason),
        trimmed_to=UNSET if batch.trimmed_to is None else batch.trimmed_to,
    )


def raw(payload: Payload | None) -> Raw | None:
    """Return JSON text as what goes into a message unread."""
    return None if payload is None else Raw(payload.encode())
