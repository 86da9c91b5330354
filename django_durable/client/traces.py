"""Reading what was traced, and writing it as JSON lines that Duron's trace viewer opens.

A trace is one instance. Its spans are its executions, what their histories say took time, and what was traced beside
them; they nest by what asked for what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from ..engine.durations import epoch_ms
from ..engine.spans import ATTEMPT, ERROR, OK, SpanRecord
from ..store import insight, queries
from ..store.spans import spans_of as stored_spans, surrogate_id_of
from .base import ClientBase
from .spans import ACTIVITIES, CANCELED, FAILED, OPEN, Span, spans_of
from .twins import twin

MOST = 100_000
"""Events, and spans, of one execution that are read at most; the last events and the first spans."""

PER_LINE = 128


@dataclass(slots=True)
class _Made:
    """A span on its way into a file. Times are in microseconds; `end` is None while it goes on."""

    id: str
    parent: str | None
    name: str
    start: int
    end: int | None
    attributes: dict[str, Any]
    status: str = ""
    message: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)


class Traces(ClientBase):
    """The methods that read spans."""

    def read_spans(self, instance_id: str, execution: int | None = None) -> list[SpanRecord]:
        """Return what was traced in one execution, by default the current one, oldest first.

        Raises: InstanceNotFound. InvalidArgument: the instance has no such execution.
        """
        info = queries.execution_of(self._checked_id(instance_id), execution, using=self.using)
        id = surrogate_id_of(instance_id, using=self.using)
        return stored_spans(id, info.number, limit=MOST, using=self.using)

    def export_trace(self, instance_id: str) -> list[dict[str, Any]]:
        """Return an instance's trace as objects to be written as JSON lines, of all its executions.

        Raises: InstanceNotFound.
        """
        made: list[_Made] = []
        for number in queries.execution_numbers(self._checked_id(instance_id), using=self.using):
            made += self._execution(instance_id, number)
        return list(_lines(_id(instance_id, "trace", size=16), made))

    def _execution(self, instance_id: str, number: int) -> Iterator[_Made]:
        info = queries.execution_of(instance_id, number, using=self.using)
        id = surrogate_id_of(instance_id, using=self.using)
        now = self._clock()
        outline = insight.outline_of(id, number, limit=MOST, using=self.using)
        root = _id(instance_id, number)
        yield _Made(
            root, None, f"{instance_id} #{number}", _us(info.started_at), _us(info.completed_at),
            {"type": "orchestration", "status": info.status.value, "version": info.version},
            status=ERROR if info.failure is not None else OK if info.completed_at is not None else "",
            message=str(info.failure or ""),
        )  # fmt: skip
        for span in spans_of(outline, now)[0]:
            yield _of_history(span, _id(instance_id, number, span.seq), root)
        for record in self.read_spans(instance_id, number):
            own = _id(instance_id, number, record.span_id)
            parent = root
            if record.kind == ATTEMPT and record.seq is not None:
                parent = _id(instance_id, number, record.seq)
            elif record.parent_id is not None:
                parent = _id(instance_id, number, record.parent_id)
            links = [
                {"span_id": _id(instance_id, number, each["span_id"])} for each in record.links if "span_id" in each
            ]
            yield _Made(
                own, parent, record.name, _us(record.started_at), _us(record.ended_at),
                {"type": record.kind, **record.attributes}, record.status, record.message, record.events, links,
            )  # fmt: skip

    aread_spans = twin(read_spans)
    aexport_trace = twin(export_trace)


def _of_history(span: Span, id: str, parent: str) -> _Made:
    status = {FAILED: ERROR, CANCELED: ERROR, OPEN: ""}.get(span.state, OK)
    attributes: dict[str, Any] = {"type": span.lane, "event": span.seq}
    if span.lane == ACTIVITIES:
        attributes["attempt"] = span.attempt
    if span.target:
        attributes["instance_id"] = span.target
    end = None if span.state == OPEN else _us(span.end)
    return _Made(id, parent, span.name, _us(span.start), end, attributes, status, "canceled" * (span.state == CANCELED))


def _lines(trace_id: str, spans: list[_Made]) -> Iterator[dict[str, Any]]:
    events = sorted((event for each in spans for event in _events(each)), key=lambda event: event["ts"])
    for start in range(0, len(events), PER_LINE):
        part = events[start : start + PER_LINE]
        yield {
            "id": _id(trace_id, start),
            "ts": part[0]["ts"],
            "type": "trace",
            "source": "trace",
            "events": part,
            "metadata": {"trace.id": trace_id},
        }


def _events(span: _Made) -> Iterator[dict[str, Any]]:
    begun: dict[str, Any] = {"type": "span.start", "span_id": span.id, "ts": span.start, "name": span.name}
    if span.parent is not None:
        begun["parent_span_id"] = span.parent
    if span.links:
        begun["links"] = span.links
    yield begun | {"attributes": span.attributes}
    for event in span.events:
        kind = "log" if event["name"] == "log" else "stream"
        attributes = (
            event.get("attributes", {}) if kind == "log" else {"name": event["name"], **event.get("attributes", {})}
        )
        at = _us(datetime.fromisoformat(event["at"]))
        yield {"type": "event", "span_id": span.id, "ts": at, "kind": kind, "attributes": attributes}
    if span.end is not None:
        ended: dict[str, Any] = {"type": "span.end", "span_id": span.id, "ts": span.end}
        if span.status:
            ended["status"] = span.status
        if span.message:
            ended["message"] = span.message
        yield ended


def _id(*parts: object, size: int = 8) -> str:
    return blake2b("/".join(map(str, parts)).encode(), digest_size=size).hexdigest()


def _us(at: datetime | None) -> Any:
    return None if at is None else epoch_ms(at) * 1000 + at.microsecond % 1000
