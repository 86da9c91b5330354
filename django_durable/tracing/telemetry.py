"""Spans handed to OpenTelemetry's API, and the trace context that goes from a start to all that follows from it.

An instance runs under the span that started it: its `traceparent` is kept with it, and what its turns and attempts are
in a trace hangs there. Spans of attempts are live, so what an activity's code traces by itself lies within them. The
others are handed over once their turn is committed, with the times they had.

Needs the extra `opentelemetry`; imported only where the setting names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from opentelemetry import context as contexts, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..engine.spans import ERROR, OK, Span as AuthorSpan, SpanBook, SpanRecord

INTERNAL, PRODUCER, CONSUMER = SpanKind.INTERNAL, SpanKind.PRODUCER, SpanKind.CONSUMER

_TRACER = trace.get_tracer("django_durable")
_TRACE_CONTEXT = TraceContextTextMapPropagator()
_STATUS = {OK: StatusCode.OK, ERROR: StatusCode.ERROR}


def begin(
    name: str,
    parent: str | Span | None,
    *,
    kind: SpanKind = INTERNAL,
    at: datetime | None = None,
    attributes: Mapping[str, Any] | None = None,
    links: list[Link] | None = None,
) -> Span:
    """Begin a span under a traceparent, another span, or, with None, whatever is current."""
    return _TRACER.start_span(
        name,
        context=_context_of(parent),
        kind=kind,
        attributes=_flat(attributes or {}),
        links=links,
        start_time=None if at is None else _nanoseconds(at),
    )


def begin_record(record: SpanRecord, parent: str | Span | None) -> Span:
    """Begin the span that a record tells of."""
    contexts_of_links = [_span_context(each["traceparent"]) for each in record.links if "traceparent" in each]
    links = [Link(each) for each in contexts_of_links if each.is_valid]
    return begin(record.name, parent, at=record.started_at, attributes=record.attributes, links=links)


def finish(span: Span, record: SpanRecord) -> None:
    """End a span as its record says."""
    span.set_attributes(_flat(record.attributes))
    for event in record.events:
        at = _nanoseconds(datetime.fromisoformat(event["at"]))
        span.add_event(event["name"], _flat(event.get("attributes", {})), timestamp=at)
    if record.status in _STATUS:
        # A description of what is not an error is no use to anybody; the SDK warns of it.
        span.set_status(Status(_STATUS[record.status], record.message if record.status == ERROR else None))
    span.end(None if record.ended_at is None else _nanoseconds(record.ended_at))


def traceparent_of(span: Span) -> str | None:
    """Return a span as the text that another process takes it from, None where no SDK makes real ones."""
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")


@contextmanager
def current(span: Span) -> Iterator[None]:
    """Have `span` be the current one."""
    token = contexts.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        contexts.detach(token)


class LiveBook(SpanBook):
    """A book whose spans are current while the code is in them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tokens: dict[SpanRecord, Any] = {}

    def entered(self, span: AuthorSpan, record: SpanRecord) -> None:
        record.handle = begin_record(record, None)
        self._tokens[record] = contexts.attach(trace.set_span_in_context(record.handle))

    def end(self, record: SpanRecord, error: BaseException | None) -> None:
        super().end(record, error)
        if (token := self._tokens.pop(record, None)) is not None:
            contexts.detach(token)
            finish(record.handle, record)


def _context_of(parent: str | Span | None) -> contexts.Context | None:
    if parent is None:
        return None
    if isinstance(parent, str):
        return _TRACE_CONTEXT.extract({"traceparent": parent}, contexts.Context())
    return trace.set_span_in_context(parent, contexts.Context())


def _span_context(traceparent: str) -> SpanContext:
    return trace.get_current_span(_context_of(traceparent)).get_span_context()


def _flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as OpenTelemetry takes them: no None, nothing nested."""
    simple = (str, bool, int, float)
    return {
        name: value if isinstance(value, simple) else str(value)
        for name, value in attributes.items()
        if value is not None
    }


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
