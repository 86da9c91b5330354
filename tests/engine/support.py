"""An environment and a host for engine tests: no Django, no database, time as an argument."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from django_durable.engine import events
from django_durable.engine.durations import from_epoch_ms
from django_durable.engine.errors import NotRegistered, PayloadError
from django_durable.engine.events import Fact, HistoryEvent, OrchestrationStarted
from django_durable.engine.program import Limits
from django_durable.engine.replay import Execution, QueuedMessage
from django_durable.engine.retry import RetryPolicy

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class JsonCodec:
    def encode(self, value: Any) -> str:
        try:
            return json.dumps(value, sort_keys=True)
        except TypeError as error:
            raise PayloadError(str(error)) from error

    def decode(self, payload: str, type: Any = Any) -> Any:
        value = json.loads(payload)
        return value if type is Any or value is None else type(value)


@dataclass
class Callee:
    """A definition as the engine needs it: one argument, plain JSON."""

    name: str
    function: Callable[..., Any]
    version: str = "1.0.0"
    tag: str | None = None
    priority: int = 0
    retry: RetryPolicy | None = None
    start_to_close_ms: int | None = None
    schedule_to_close_ms: int | None = None
    codec: JsonCodec = field(default_factory=JsonCodec)

    def encode_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return self.codec.encode(kwargs or (args[0] if args else None))

    def encode_input(self, value: Any) -> str:
        return self.codec.encode(value)

    def decode_call(self, payload: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        takes_input = len(inspect.signature(self.function).parameters) > 1
        return ((self.codec.decode(payload),) if takes_input else ()), {}

    def encode_result(self, value: Any) -> str:
        return self.codec.encode(value)

    def decode_result(self, payload: str) -> Any:
        return self.codec.decode(payload)


class FakeEnvironment:
    """Names to functions. Every name not registered as an orchestration is an activity unless it is `unknown`."""

    def __init__(self, *orchestrations: Callable[..., Any], limits: Limits | None = None) -> None:
        self.codec = JsonCodec()
        self.limits = limits or Limits()
        self.logged: list[str] = []
        self._orchestrations = {each.__name__: each for each in orchestrations}

    def activity(self, ref: Any) -> Callee:
        name = ref if isinstance(ref, str) else ref.__name__
        if name == "unknown":
            raise NotRegistered("activity", name)
        return Callee(name, lambda: None)

    def orchestration(self, ref: Any, version: str | None = None) -> Callee:
        name = ref if isinstance(ref, str) else ref.__name__
        if name not in self._orchestrations:
            raise NotRegistered("orchestration", name, version=version)
        return Callee(name, self._orchestrations[name], version=version or "1.0.0")

    def trace(self, level: int, message: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        self.logged.append(message % args if args else message)


class Host:
    """Runs one orchestration, turn by turn, keeping its history; every helper is one turn."""

    def __init__(self, function: Callable[..., Any], input: Any = None, *others: Callable[..., Any], **limits: int):
        self.environment = FakeEnvironment(function, *others, limits=Limits(**limits))
        self.history: list[HistoryEvent] = []
        self.now = START
        self.execution = Execution(self.environment)
        self.queue: list[QueuedMessage] = []
        self.started = OrchestrationStarted(
            name=function.__name__, version="1.0.0", input=json.dumps(input), instance_id="i", execution=1, seed="seed"
        )
        self.turn(self.started)

    def turn(self, *facts: Fact, after: timedelta = timedelta(milliseconds=10)) -> list[HistoryEvent]:
        """Deliver facts in one turn; a turn must be the same when the execution was rebuilt from its history."""
        self.now += after
        self._check_replay()
        new = self.execution.advance(facts, now=self.now)
        while not self.execution.finished and self.queue:
            delivered, taken = self.execution.deliver(self.queue, now=self.now)
            if not taken:
                break
            new += delivered
            self.queue = [each for each in self.queue if each not in taken]
        self.history += new
        return new

    def _check_replay(self) -> None:
        if self.history:
            self.execution.close()
            self.execution = Execution.replay(self.environment, self.history)

    def seq(self, kind: type[Fact], name: str | None = None, nth: int = 0) -> int:
        """Return the seq of the nth event of this kind (and name)."""
        found = [e.seq for e in self.history if type(e.fact) is kind and name in (None, e.fact.columns().name)]
        return found[nth]

    def complete(self, name: str, value: Any = None, nth: int = 0) -> list[HistoryEvent]:
        return self.turn(self.completed(name, value, nth))

    def completed(self, name: str, value: Any = None, nth: int = 0) -> Fact:
        seq = self.seq(events.ActivityScheduled, name, nth)
        return events.ActivityCompleted(scheduled_seq=seq, result=json.dumps(value))

    def fail(self, name: str, error_type: str = "ValueError", message: str = "no", nth: int = 0, **kw: Any) -> None:
        seq = self.seq(events.ActivityScheduled, name, nth)
        failure = events.Failure(error_type, message)
        self.turn(events.ActivityFailed(scheduled_seq=seq, failure=failure, **kw))

    def fire(self, nth: int = 0) -> list[HistoryEvent]:
        seq = self.seq(events.TimerCreated, nth=nth)
        due = from_epoch_ms(next(e.fact.fire_at_ms for e in self.history if e.seq == seq))  # type: ignore[attr-defined]
        return self.turn(events.TimerFired(timer_seq=seq), after=max(due - self.now, timedelta(0)))

    def raise_event(self, name: str, data: Any = None) -> list[HistoryEvent]:
        return self.turn(events.ExternalEvent(name=name, payload=json.dumps(data)))

    def enqueue(self, queue: str, *values: Any) -> list[HistoryEvent]:
        start = max((each.id for each in self.queue), default=0) + 1
        self.queue += [QueuedMessage(start + i, queue, json.dumps(value)) for i, value in enumerate(values)]
        return self.turn()

    def cancel(self, reason: str | None = None) -> list[HistoryEvent]:
        return self.turn(events.OrchestrationCancelRequested(reason=reason))

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.history]

    @property
    def output(self) -> Any:
        """The output, once completed; an AssertionError that shows the history otherwise."""
        outcome = self.execution.outcome
        assert isinstance(outcome, events.OrchestrationCompleted), (outcome, self.kinds)
        return json.loads(outcome.output)

    @property
    def failure(self) -> events.Failure:
        outcome = self.execution.outcome
        assert isinstance(outcome, events.OrchestrationFailed), (outcome, self.kinds)
        return outcome.failure


def replay(host: Host, function: Callable[..., Any], history: Sequence[HistoryEvent] | None = None) -> Execution:
    """Replay a host's history against other code of the same name."""
    function.__name__ = host.started.name
    return Execution.replay(FakeEnvironment(function), host.history if history is None else history)
