"""What a worker traces: turns, attempts, and the spans of the code that runs in them.

A turn's spans are written with its commit and handed to OpenTelemetry after it; an attempt's are written with its
outcome. So nothing is told of what was never committed, and tracing adds no transaction.
"""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import Any

from ..engine.events import OrchestrationChained, OrchestrationFailed, SubOrchestrationScheduled
from ..engine.spans import ATTEMPT, ERROR, OK, TURN, SpanBook, SpanRecord, current_span, use_book
from ..tracing import sinks
from ..tracing.sinks import naming
from .attempts import Attempt
from .clock import Clock
from .outcomes import Canceled, Ending, Raised, TimedOut
from .turns import Turn
from .waits import waits_of


class NoTracing:
    """Traces nothing."""

    def begin(self, turn: Turn) -> None:
        """Note when a turn begins."""

    def end(self, turn: Turn) -> None:
        """Gather what a turn that ran has to tell, before it is committed."""

    def committed(self, turn: Turn) -> None:
        """Hand over what a committed turn has told."""

    def expired(self, attempt: Attempt) -> None:
        """Note that an attempt is over while its function still runs."""

    def attempt(self, attempt: Attempt) -> NoTracing:
        """Return a context manager for the call of an attempt's function."""
        return self

    def __enter__(self) -> NoTracing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def ended(self, ending: Ending) -> Ending:
        """Note how an attempt ended, and return it."""
        return ending


class Tracing(NoTracing):
    """Traces to the database, to OpenTelemetry, or both."""

    def __init__(self, worker_id: str, clock: Clock, *, stores: bool, telemetry: ModuleType | None, using: str) -> None:
        self._worker_id = worker_id
        self._using = using
        self._clock = clock
        self._stores = stores
        self._telemetry = telemetry

    def begin(self, turn: Turn) -> None:
        turn.started_at = self._clock.now()

    def end(self, turn: Turn) -> None:
        execution, claim = turn.execution, turn.claim
        if execution is None or not turn.events:
            return
        records, loose = execution.take_spans()
        seq = turn.events[0].seq
        assert turn.started_at is not None
        made = SpanRecord(
            span_id=f"t{seq}",
            parent_id=None,
            kind=TURN,
            name=claim.orchestration,
            seq=seq,
            started_at=turn.started_at,
            ended_at=self._clock.now(),
            attributes={"worker": self._worker_id, "events": len(turn.events), "replayed": turn.replayed},
            events=loose,
        )
        turn.traced = [made, *records]
        turn.heard = execution.take_heard()
        if self._stores:
            attempts = [span for attempt, _ in turn.completions for span in attempt.spans]
            turn.spans = [*turn.traced, *attempts]
        if self._telemetry is not None and claim.traceparent is not None:
            self._trace_starts(turn, claim.traceparent, self._telemetry)

    def _trace_starts(self, turn: Turn, parent: str, telemetry: ModuleType) -> None:
        """Begin the spans that what this turn starts runs under; they end with the commit."""
        for event in turn.events:
            if isinstance(event.fact, SubOrchestrationScheduled | OrchestrationChained):
                label = f"start {event.fact.name}"
                attributes = naming(event.fact.instance_id)
                span = telemetry.begin(label, parent, kind=telemetry.PRODUCER, attributes=attributes)
                turn.producers.append(span)
                if (made := telemetry.traceparent_of(span)) is not None:
                    turn.traceparents[event.seq] = made

    def committed(self, turn: Turn) -> None:
        telemetry, claim = self._telemetry, turn.claim
        if telemetry is None or not turn.traced:
            return
        for span in turn.producers:
            span.end()
        names = naming(claim.instance_id, execution=claim.execution_number, orchestration=claim.orchestration)
        own, *authors = turn.traced
        span = telemetry.begin(f"turn {own.name}", claim.traceparent, at=own.started_at, attributes=names)
        telemetry.finish(span, own)
        for record in authors:
            if record.handle is None:
                around = record.around.handle if record.around is not None else None
                record.handle = telemetry.begin_record(record, around or claim.traceparent)
                record.handle.set_attributes(names)
            if record.ended_at is not None:
                telemetry.finish(record.handle, record)
        for wait in waits_of(claim, turn.events, turn.heard, using=self._using):
            telemetry.finish(telemetry.begin(wait.name, claim.traceparent, at=wait.started_at, attributes=names), wait)
        if turn.ended is not None and turn.execution is not None:
            self._trace_end(turn, names, telemetry)

    def _trace_end(self, turn: Turn, names: dict[str, Any], telemetry: ModuleType) -> None:
        assert turn.execution is not None
        name, last = f"orchestration {turn.claim.orchestration}", turn.events[-1]
        whole = SpanRecord(
            span_id="", parent_id=None, kind="", name=name, started_at=turn.execution.started_at or last.recorded_at,
            ended_at=last.recorded_at, status=OK,
        )  # fmt: skip
        if isinstance(turn.ended, OrchestrationFailed):
            whole.status, whole.message = ERROR, _message(turn.ended.failure)
        span = telemetry.begin(name, turn.claim.traceparent, at=whole.started_at, attributes=names)
        telemetry.finish(span, whole)

    def expired(self, attempt: Attempt) -> None:
        for record in attempt.spans:
            if record.ended_at is None:
                record.ended_at, record.status = self._clock.now(), ERROR
                record.message = "TimeoutError: its time was up"

    def attempt(self, attempt: Attempt) -> NoTracing:
        return _Attempt(attempt, self._clock, self._worker_id, stores=self._stores, telemetry=self._telemetry)


class _Attempt(NoTracing):
    """The call of one attempt's function."""

    def __init__(
        self, attempt: Attempt, clock: Clock, worker_id: str, *, stores: bool, telemetry: ModuleType | None
    ) -> None:
        task = attempt.task
        self._attempt = attempt
        self._clock = clock
        self._stores = stores
        self._telemetry = telemetry
        self._span: Any = None
        self._current: Any = None
        self._record = SpanRecord(
            span_id=f"a{task.key.seq}.{task.attempt}",
            parent_id=current_span().span_id,  # A local step runs in the context of the code that asked for it.
            kind=ATTEMPT,
            name=task.name,
            seq=task.key.seq,
            started_at=clock.now(),
            attributes={"attempt": task.attempt, "worker": worker_id},
        )

    def __enter__(self) -> NoTracing:
        record, task, telemetry = self._record, self._attempt.task, self._telemetry
        kind = SpanBook
        if telemetry is not None:
            kind = telemetry.LiveBook
            names = naming(task.instance_id, execution=task.key.execution, activity=task.name)
            self._span = telemetry.begin(
                f"activity {task.name}",
                task.traceparent,
                kind=telemetry.CONSUMER,
                at=record.started_at,
                attributes=names,
            )
            self._current = telemetry.current(self._span)
            self._current.__enter__()
        self._book = kind(self._clock.now, lambda: True, prefix=f"{record.span_id}.", parent=record.span_id)
        use_book(self._book)
        if self._stores:
            self._attempt.spans = [record]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._current is not None:
            self._current.__exit__(kind, error, traceback)

    def ended(self, ending: Ending) -> Ending:
        self._book.end_all("The attempt ended before.")
        record = self._record
        record.ended_at, record.events = self._clock.now(), self._book.take_loose()
        match ending:
            case Raised(failure) | TimedOut(failure):
                record.status, record.message = ERROR, _message(failure)
            case Canceled():
                record.status, record.message = ERROR, "It was canceled."
            case _:
                record.status = OK
        if self._stores:
            self._attempt.spans = [record, *self._book.take()]
        if self._telemetry is not None:
            self._telemetry.finish(self._span, record)
        return ending


def tracing_of(worker_id: str, clock: Clock, *, using: str) -> NoTracing:
    """Return what the settings ask a worker to trace."""
    stores, telemetry = sinks.stores(), sinks.telemetry()
    if not stores and telemetry is None:
        return NoTracing()
    return Tracing(worker_id, clock, stores=stores, telemetry=telemetry, using=using)


def _message(failure: Any) -> str:
    return f"{failure.error_type}: {failure.message}".rstrip(": ")
