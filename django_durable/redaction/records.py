"""What of the records that the store reads is a payload, by their classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import singledispatch
from typing import Any, TypeVar

from ..engine.errors import Difference
from ..engine.events import HistoryEvent, Payload, fact_from_columns
from ..engine.spans import SpanRecord
from ..engine.verification import Mismatch
from ..models import Instance, Promise
from ..store import insight
from ..store.changes import EventRecord
from ..store.promises import PromiseRecord
from ..store.queries import ExecutionInfo, InstanceInfo, InstancePage, InstanceSummary, InstanceTree, StatusRecord
from ..store.streamreads import ItemExcerpt, PageRecord, Run, StreamRecord
from .events import columns, event_data, event_payload
from .hook import Redactor

R = TypeVar("R")


@singledispatch
def shown_by(record: Any, redactor: Redactor) -> Any:
    raise TypeError(f"redaction does not know what of {type(record).__name__} is a payload; add it there.")


def _each(records: Iterable[R], redactor: Redactor) -> list[R]:
    return [shown_by(each, redactor) for each in records]


@shown_by.register
def _(record: list, redactor: Redactor) -> Any:  # type: ignore[type-arg]  # singledispatch takes classes only
    return _each(record, redactor)


@shown_by.register(StatusRecord)
@shown_by.register(InstanceSummary)
@shown_by.register(InstanceInfo)
def _(record: Any, redactor: Redactor) -> Any:
    own = redactor.within(record.instance_id)
    changes = {
        "custom_status": own.optional(record.custom_status, "Instance", record.orchestration, "custom_status"),
        "blocked_reason": own.failure(record.blocked_reason, name=record.orchestration),
    }
    return replace(record, **changes, **_ends(record, own, record.orchestration))


def _ends(record: Any, redactor: Redactor, name: str | None) -> dict[str, Any]:
    """Return what is shown of that which went into and came out of an execution, as far as the record has it."""
    found: dict[str, Any] = {}
    for field in ("input", "output"):
        if hasattr(record, field):
            found[field] = redactor.optional(getattr(record, field), "Instance", name, field)
    if hasattr(record, "failure"):
        found["failure"] = redactor.failure(record.failure, name=name)
    return found


@shown_by.register
def _(record: ExecutionInfo, redactor: Redactor) -> ExecutionInfo:
    return replace(record, **_ends(record, redactor.within(record.instance_id), None))


@shown_by.register
def _(record: SpanRecord, redactor: Redactor) -> SpanRecord:
    return replace(
        record,
        message=redactor.text(record.message, "Span", record.name, "message"),
        attributes=_object(redactor.value(record.attributes, "Span", record.name, "attributes")),
        events=[
            {**each, "attributes": _object(redactor.value(each["attributes"], "Span", record.name, "event"))}
            if "attributes" in each
            else each
            for each in record.events
        ],
    )


def _object(value: Any) -> dict[str, Any]:
    """Return attributes as they have to be; what a hook put in their place is one."""
    return value if isinstance(value, dict) else {"shown": value}


@shown_by.register
def _(record: InstancePage, redactor: Redactor) -> InstancePage:
    return replace(record, items=_each(record.items, redactor))


@shown_by.register
def _(record: InstanceTree, redactor: Redactor) -> InstanceTree:
    return replace(record, nodes=_each(record.nodes, redactor))


@shown_by.register
def _(record: Instance, redactor: Redactor) -> Instance:
    own, made = redactor.within(record.instance_id), copy.copy(record)
    made.custom_status = own.optional(record.custom_status, "Instance", record.orchestration, "custom_status")
    if record.blocked_reason is not None:
        made.blocked_reason = own.failure_text(record.blocked_reason, "Instance", record.orchestration)
    return made


@shown_by.register
def _(record: Promise, redactor: Redactor) -> Promise:
    own, made = redactor.within(record.instance.instance_id), copy.copy(record)
    made.question = own.optional(record.question, "PromiseCreated", record.name, "question")
    return made


@shown_by.register
def _(record: PromiseRecord, redactor: Redactor) -> PromiseRecord:
    question = redactor.within(record.instance_id).optional(record.question, "PromiseCreated", record.name, "question")
    return replace(record, question=question)


@shown_by.register
def _(record: StreamRecord, redactor: Redactor) -> StreamRecord:
    return replace(record, reason=redactor.optional(record.reason, "Stream", record.name, "reason"))


@shown_by.register
def _(record: PageRecord, redactor: Redactor) -> PageRecord:
    own = redactor.within(record.instance_id)
    items = tuple(
        replace(each, payload=own.payload(each.payload, "StreamItem", record.name, "payload")) for each in record.items
    )
    reason = None if record.reason is None else own.text(record.reason, "Stream", record.name, "reason")
    return replace(record, items=items, reason=reason)


@shown_by.register
def _(record: ItemExcerpt, redactor: Redactor) -> ItemExcerpt:
    name = record.stream
    found = redactor.excerpt(record.payload, lambda text: redactor.payload(text, "StreamItem", name, "payload"))
    return replace(record, payload=found)


@shown_by.register
def _(record: Run, redactor: Redactor) -> Run:
    name = record.cursor.name

    def told(payload: Payload, closes: bool) -> Payload:
        kind, field = ("Stream", "reason") if closes else ("StreamItem", "payload")
        return redactor.payload(payload, kind, name, field)

    return replace(record, items=[each._replace(payload=told(each.payload, each.closes)) for each in record.items])


@shown_by.register
def _(record: HistoryEvent, redactor: Redactor) -> HistoryEvent:
    kind, name, source, payload, data = record.fact.columns()
    payload, data = columns(redactor, kind, name, payload, data)
    return replace(record, fact=fact_from_columns(kind, name, source, payload, data))


@shown_by.register
def _(record: Mismatch, redactor: Redactor) -> Mismatch:
    def text(value: str | None) -> str | None:
        return value and redactor.text(value, "Instance", None, "message")

    def side(field: str, value: object) -> object:
        return value if isinstance(value, int | None) else redactor.value(value, "Instance", None, field)

    differences = tuple(
        Difference(each.field, side(each.field, each.recorded), side(each.field, each.requested))
        for each in record.differences
    )
    told = replace(record, detail=text(record.detail) or "", recorded=text(record.recorded))
    return replace(told, requested=text(record.requested), differences=differences)


@shown_by.register
def _(record: EventRecord, redactor: Redactor) -> EventRecord:
    payload, data = columns(redactor, record.kind, record.name, record.payload, record.data)
    return replace(record, payload=payload, data=data)


@shown_by.register
def _(record: insight.EventRow, redactor: Redactor) -> insight.EventRow:
    kind, name = record.kind, record.name
    return replace(
        record,
        payload=redactor.excerpt(record.payload, lambda text: event_payload(redactor, kind, name, text)),
        data=redactor.excerpt(record.data, lambda text: event_data(redactor, kind, name, text)),
    )


@shown_by.register
def _(record: insight.OpenActivity, redactor: Redactor) -> insight.OpenActivity:
    name = record.name
    failures = [
        {**each, "message": redactor.text(str(each.get("message") or ""), "ActivityTask", name, "message")}
        for each in record.failures
    ]
    heartbeat = redactor.excerpt(
        record.heartbeat, lambda text: redactor.payload(text, "ActivityTask", name, "heartbeat")
    )
    return replace(record, failures=failures, heartbeat=heartbeat)


@shown_by.register
def _(record: insight.QueuedPayload, redactor: Redactor) -> insight.QueuedPayload:
    queue = record.queue
    found = redactor.excerpt(record.payload, lambda text: redactor.payload(text, "QueuedEvent", queue, "payload"))
    return replace(record, payload=found)


@shown_by.register
def _(record: insight.Entry, redactor: Redactor) -> insight.Entry:
    key = record.key
    return replace(
        record, value=redactor.excerpt(record.value, lambda text: redactor.payload(text, "KeyValue", key, "value"))
    )


@shown_by.register
def _(record: insight.ExecutionOutline, redactor: Redactor) -> insight.ExecutionOutline:
    def of(field: str) -> Callable[[Payload], Payload]:
        return lambda text: redactor.payload(text, "Instance", None, field)

    failure = redactor.excerpt(record.failure, lambda text: redactor.failure_text(text, "Instance", None))
    return replace(
        record,
        input=redactor.excerpt(record.input, of("input")),
        output=redactor.excerpt(record.output, of("output")),
        failure=failure,
    )
