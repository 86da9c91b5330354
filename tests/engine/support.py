"""An environment and a host for engine tests: no Django, no database, time as an argument."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

from django_durable.engine import events
from django_durable.engine.checkpoint import CompiledFunction, Hook
from django_durable.engine.commands import COMMAND_FACTS
from django_durable.engine.durations import from_epoch_ms
from django_durable.engine.errors import NotRegistered, PayloadError
from django_durable.engine.events import ENGINE_VERSION, TERMINAL_FACTS, Fact, HistoryEvent, OrchestrationStarted
from django_durable.engine.facts.streams import StoredItem
from django_durable.engine.failures import Failure
from django_durable.engine.loop import OrchestrationFuture, OrchestrationLoop
from django_durable.engine.ports import Port, ports_of, provided_names
from django_durable.engine.program import Limits
from django_durable.engine.reducing import Reduction
from django_durable.engine.replay import Execution, QueuedMessage
from django_durable.engine.retry import RetryPolicy

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class JsonCodec:
    def encode(self, value: Any) -> str:
        try:
            return json.dumps(value, sort_keys=True)
        except TypeError as error:
            raise PayloadError(str(error)) from error

    def decode(self, payload: str, type: Any = Any) -> Any:
        value = json.loads(payload)
        return value if type is Any or value is None else type(value)

    def schema(self, type: Any) -> dict[str, Any]:
        return {} if type is Any else {"type": type.__name__}

    @property
    def plain(self) -> JsonCodec:
        return self

    def seal(self, payload: str) -> str:
        return payload

    def check(self, payload: Any = None) -> None: ...

    def same(self, one: Any, other: Any) -> bool:
        return bool(one == other)


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
    compiled: CompiledFunction | None = None
    reduction: Reduction | None = None
    codec: JsonCodec = field(default_factory=JsonCodec)

    def encode_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        return self.codec.encode(kwargs or (args[0] if args else None))

    def encode_input(self, value: Any) -> str:
        return self.codec.encode(value)

    def decode_call(self, payload: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        signature = inspect.signature(self.function)
        takes_input = len(signature.parameters) - len(provided_names(signature)) > 1
        return ((self.codec.decode(payload),) if takes_input else ()), {}

    @property
    def ports(self) -> tuple[Port, ...]:
        return ports_of(self.function, get_type_hints(self.function, include_extras=True))

    def encode_result(self, value: Any) -> str:
        return self.codec.encode(value)

    def decode_result(self, payload: str) -> Any:
        return self.codec.decode(payload)


@dataclass
class Step:
    """A callable as the engine needs it to run as a local step."""

    name: str
    function: Callable[..., Any]
    is_async: bool = False
    reduction: Reduction | None = None
    codec: JsonCodec = field(default_factory=JsonCodec)

    def encode_result(self, value: Any) -> str:
        return self.codec.encode(value)

    def decode_result(self, payload: str) -> Any:
        return self.codec.decode(payload)


class FakeEnvironment:
    """Names to functions. Every name not registered as an orchestration is an activity unless it is `unknown`."""

    def __init__(
        self, *orchestrations: Callable[..., Any], limits: Limits | None = None, **named: Callable[..., Any]
    ) -> None:
        self.codec = JsonCodec()
        self.records_spans = False
        self.hooks: tuple[Hook, ...] = ()
        self.limits = limits or Limits()
        self.logged: list[str] = []
        self.activities: dict[str, Callee] = {}
        self._orchestrations = {each.__name__: each for each in orchestrations} | named

    def activity(self, ref: Any) -> Callee:
        name = ref if isinstance(ref, str) else ref.__name__
        if name == "unknown":
            raise NotRegistered("activity", name)
        return self.activities.get(name) or Callee(name, lambda: None)

    def orchestration(self, ref: Any, version: str | None = None) -> Callee:
        name = ref if isinstance(ref, str) else ref.__name__
        if name not in self._orchestrations:
            raise NotRegistered("orchestration", name, version=version)
        return Callee(name, self._orchestrations[name], version=version or "1.0.0")

    def step(self, function: Callable[..., Any]) -> Step | None:
        return None if function.__name__ in self.activities else Step(f"local:{function.__name__}", function)

    def trace(self, level: int, message: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        self.logged.append(message % args if args else message)


class Host:
    """Runs one orchestration, turn by turn, keeping its history; every helper is one turn.

    The execution stays in memory as in a worker. Each turn runs a second time on an execution rebuilt from the history
    and has to come out the same; `rebuild=False` leaves that out, for code that tells the test what it did.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        input: Any = None,
        *others: Callable[..., Any],
        start: dict[str, Any] | None = None,
        first_turn: Sequence[Fact] = (),
        rebuild: bool = True,
        **limits: int,
    ) -> None:
        self._functions = (function, *others)
        self._limits = Limits(**limits)
        self._rebuild = rebuild
        self.environment = self._environment()
        self.history: list[HistoryEvent] = []
        self.now = START
        self.execution = Execution(self.environment)
        self.queue: list[QueuedMessage] = []
        self.stored: dict[str, list[StoredItem]] = {}
        self.started = started(function.__name__, input, **(start or {}))
        self.turn(self.started, *first_turn)

    def _environment(self) -> FakeEnvironment:
        return FakeEnvironment(*self._functions, limits=self._limits)

    def turn(self, *facts: Fact, after: timedelta = timedelta(milliseconds=10)) -> list[HistoryEvent]:
        """Deliver facts, then queued messages and items of streams, in one turn; then store what the code has sent."""
        self.now += after
        rebuilt = Execution.replay(self._environment(), self.history) if self._rebuild else None
        queue = list(self.queue)
        new = self._run(self.execution, facts, self.queue)
        if rebuilt is not None:
            assert self._run(rebuilt, facts, queue) == new
            rebuilt.close()
        assert not [text for text in self.environment.logged if "Exception in callback" in text]
        return self._keep(new)

    def _keep(self, new: list[HistoryEvent]) -> list[HistoryEvent]:
        """Append what a turn has recorded, and store what its code has sent."""
        self.history += new
        for event in new:
            match event.fact:
                case events.StreamItemSent(name=name, payload=payload):
                    self.store(name, payload)
                case events.StreamEnded(name=name, reason=reason):
                    self.store(name, json.dumps(reason), closes=True)
        return new

    def store(self, name: str, *payloads: str, closes: bool = False) -> None:
        """Append items to a stream, without a turn."""
        found = self.stored.setdefault(name, [])
        found += [StoredItem(len(found) + n, each, closes) for n, each in enumerate(payloads, 1)]

    def send(self, name: str, *values: Any) -> list[HistoryEvent]:
        self.store(name, *map(json.dumps, values))
        return self.turn(events.StreamAppended(name=name))

    def close(self, name: str, reason: str | None = None) -> list[HistoryEvent]:
        self.store(name, json.dumps(reason), closes=True)
        return self.turn(events.StreamAppended(name=name))

    def sent(self, name: str) -> list[Any]:
        """Return what is stored of a stream, without its end."""
        return [json.loads(each.payload) for each in self.stored.get(name, ()) if not each.closes]

    def _run(self, execution: Execution, facts: Sequence[Fact], queue: list[QueuedMessage]) -> list[HistoryEvent]:
        new = execution.advance(facts, now=self.now)
        delivered, taken = execution.deliver(queue, now=self.now)
        queue[:] = [each for each in queue if each not in taken]
        return new + delivered + self._read(execution)

    def _read(self, execution: Execution) -> list[HistoryEvent]:
        new: list[HistoryEvent] = []
        again = True
        while again and (reads := execution.open_reads()):
            stored = {each.name: self.stored.get(each.name, []) for each in reads}
            received, again = execution.receive(stored, now=self.now, most=1000)
            new += received
        return new

    def of(self, kind: type[Fact]) -> list[Any]:
        """Return the facts of one kind in the history, oldest first."""
        return [each.fact for each in self.history if type(each.fact) is kind]

    def seq(self, kind: type[Fact], name: str | None = None, nth: int = 0) -> int:
        """Return the seq of the nth event of this kind (and name)."""
        found = [e.seq for e in self.history if type(e.fact) is kind and name in (None, e.fact.columns().name)]
        return found[nth]

    def complete(self, name: str, value: Any = None, nth: int = 0) -> list[HistoryEvent]:
        return self.turn(self.completed(name, value, nth))

    def completed(self, name: str, value: Any = None, nth: int = 0) -> Fact:
        seq = self.seq(events.ActivityScheduled, name, nth)
        return events.ActivityCompleted(scheduled_seq=seq, result=json.dumps(value))

    def fail(
        self, name: str, error_type: str = "ValueError", message: str = "no", nth: int = 0, **kw: Any
    ) -> list[HistoryEvent]:
        seq = self.seq(events.ActivityScheduled, name, nth)
        failure = Failure(error_type, message)
        return self.turn(events.ActivityFailed(scheduled_seq=seq, failure=failure, **kw))

    def complete_child(self, name: str, value: Any = None, nth: int = 0) -> list[HistoryEvent]:
        seq = self.seq(events.SubOrchestrationScheduled, name, nth)
        return self.turn(events.SubOrchestrationCompleted(scheduled_seq=seq, result=json.dumps(value)))

    def fail_child(
        self, name: str, error_type: str = "ValueError", message: str = "no", nth: int = 0
    ) -> list[HistoryEvent]:
        seq = self.seq(events.SubOrchestrationScheduled, name, nth)
        failure = Failure(error_type, message)
        return self.turn(events.SubOrchestrationFailed(scheduled_seq=seq, failure=failure))

    def fire(self, nth: int = 0) -> list[HistoryEvent]:
        seq = self.seq(events.TimerCreated, nth=nth)
        due = from_epoch_ms(self.history[seq - 1].fact.fire_at_ms)  # type: ignore[attr-defined]
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
    def failure(self) -> Failure:
        outcome = self.execution.outcome
        assert isinstance(outcome, events.OrchestrationFailed), (outcome, self.kinds)
        return outcome.failure

    @property
    def canceled(self) -> Any:
        """What the code returned after the cancel request."""
        outcome = self.execution.outcome
        assert isinstance(outcome, events.OrchestrationCanceled), (outcome, self.kinds)
        return json.loads(outcome.output)

    def next(self, *others: Callable[..., Any]) -> Host:
        """Run the next execution after a continue-as-new; messages still queued go along."""
        start = self.execution.next_start()
        follower = Host.__new__(Host)
        follower.__dict__.update(self.__dict__, history=[], started=start, execution=Execution(self.environment))
        follower.turn(start)
        return follower


async def call(ctx: Any, name: str, *args: Any) -> Any:
    """Schedule an activity and wait for it, as a coroutine."""
    return await ctx.run(name, *args)


def in_order(host: Host, *names: str) -> Any:
    """Complete activities in this order, each with its own name as the result, and return the output."""
    for name in names:
        host.complete(name, name)
    return host.output


def failed(host: Host, name: str) -> Fact:
    """Return the failure of an activity with its name as the message."""
    seq = host.seq(events.ActivityScheduled, name)
    return events.ActivityFailed(scheduled_seq=seq, failure=Failure("ValueError", name))


def dropped(host: Host) -> list[str]:
    """Close a host's execution; return what was logged, and let the garbage collector make its noise here."""
    host.environment.logged.clear()
    host.execution.close()
    gc.collect()
    return host.environment.logged


def started(name: str, input: Any = None, **other: Any) -> OrchestrationStarted:
    """Return the first fact of an execution."""
    fields = {"version": "1.0.0", "input": json.dumps(input), "instance_id": "i", "execution": 1, "seed": "seed"}
    fields["engine_version"] = ENGINE_VERSION
    return OrchestrationStarted(**{"name": name, **fields, **other})


def replay(
    host: Host, function: Callable[..., Any], history: Sequence[HistoryEvent] | None = None, **limits: int
) -> Execution:
    """Replay a host's history against other code of the same name."""
    environment = FakeEnvironment(limits=Limits(**limits), **{host.started.name: function})
    return Execution.replay(environment, host.history if history is None else history)


def arrivals(history: Iterable[HistoryEvent]) -> list[HistoryEvent]:
    """Return the events that came from outside; all others are what the code did about them."""
    return [
        each for each in history if type(each.fact) not in COMMAND_FACTS and not isinstance(each.fact, TERMINAL_FACTS)
    ]


STYLES = ("generator", "async")


def in_style(function: Callable[..., Any], style: str) -> Callable[..., Any]:
    """Return a story told as a generator in the other style as well: `async def` for `def`, `await` for `yield`.

    What the story takes from the test around it is taken as it is at this moment.
    """
    if style == "generator":
        return function
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    tree.body = [_Awaiting().visit(tree.body[0])]
    ast.increment_lineno(tree, first - 1)
    namespace = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    code = compile(ast.fix_missing_locations(tree), inspect.getsourcefile(function) or "story", "exec")
    exec(code, namespace)  # noqa: S102 - the test's own source
    return namespace[tree.body[0].name]


class _Awaiting(ast.NodeTransformer):
    """Awaits where a function yields; functions within it that do not yield stay as they are."""

    def __init__(self) -> None:
        self.depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        if self.depth and not any(isinstance(each, ast.Await) for each in ast.walk(node)):
            return node
        fields = {**dict(ast.iter_fields(node)), "decorator_list": []}
        return ast.copy_location(ast.AsyncFunctionDef(**fields), node)

    def visit_Yield(self, node: ast.Yield) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(ast.Await(value=node.value), node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        return self.visit_Yield(node)


class LoopHost:
    """The host of a bare loop; the test fires its timers."""

    def __init__(self, salt: int = 0, engine_version: int = ENGINE_VERSION) -> None:
        self.timers: list[tuple[int, asyncio.Future[None]]] = []
        self.reported: list[str] = []
        self.loop = OrchestrationLoop(self, started_ms=1_000_000, salt=salt, engine_version=engine_version)

    def schedule_timer(self, delay_ms: int) -> asyncio.Future[None]:
        future: asyncio.Future[None] = OrchestrationFuture(loop=self.loop)
        self.timers.append((delay_ms, future))
        return future

    def run_by_task(self, coro: Any) -> Any:
        return coro

    def report(self, message: str, error: BaseException) -> None:
        self.reported.append(str(error))

    def run(self, function: Callable[[], Any], steps: int = 1000) -> Any:
        """Start a coroutine function, run until idle and return its result, or its task where it waits."""
        task = self.loop.start(function())
        self.loop.run_until_idle(steps)
        return task.result() if task.done() else task
