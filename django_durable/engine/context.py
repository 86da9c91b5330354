"""The verbs an orchestration author calls.

Every verb that waits returns a `DurableFuture`, to be yielded in a generator or awaited in an `async def`. Its command
is issued by the call itself, in call order, whether or not the future is ever waited for.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from datetime import datetime
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from . import commands, randomness
from .decoding import As, ResultOf
from .durations import Duration, from_epoch_ms, milliseconds
from .errors import InvalidArgument
from .events import OrchestrationStarted, Payload
from .futures import DurableFuture, apply_retry, checked_session_id
from .generated import GeneratorVerbs
from .keyvalueverbs import KeyValueVerbs
from .program import ActivityCallee, OrchestrationCallee
from .promises import PromiseVerbs
from .retry import RetryPolicy
from .signals import LATCH, Signal, checked_policy
from .steps import LocalStep, recorded_arguments
from .streams import Stream, StreamWriter
from .tracing import ReplaySilentLogger, TraceVerbs

if TYPE_CHECKING:
    import asyncio

    from .base import BaseProgram

T = TypeVar("T")
Ref = str | Callable[..., Any]
_DRAWN = frozenset({"random", "_guids"})


class OrchestrationContext(PromiseVerbs, GeneratorVerbs, KeyValueVerbs, TraceVerbs):
    """What an orchestration gets as its first argument.

    Attributes:
        instance_id: The caller's key for the instance.
        execution_id: Number of the execution, 1 for the first, one more after each continue-as-new and retry.
        orchestration_name, orchestration_version: What is running.
        parent_instance_id: Set in a sub-orchestration.
        random: A `random.Random` seeded by the execution's identity; the same on every replay.
        logger: Logs like a standard logger, silent while replaying.
    """

    logger: ReplaySilentLogger

    def __init__(self, program: BaseProgram) -> None:
        self._program = program
        self.orchestration_name = program.started.name
        self.orchestration_version = program.started.version
        self.identify(program.started)
        self._patches: dict[str, bool] = {}
        self.logger = ReplaySilentLogger(program)

    def identify(self, started: OrchestrationStarted) -> None:
        """Take the identity of `started`. One that a rewind brings begins random numbers and guids anew."""
        self.instance_id = started.instance_id
        self.execution_id = started.execution
        self.parent_instance_id = started.parent_instance_id
        self._identity = f"{started.seed}:{started.execution}"
        if "random" in self.__dict__:
            self.random.seed(self._identity)  # In place: the code may hold it.
        self.__dict__.pop("_guids", None)

    def standing(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of this, as JSON-ready data."""
        drawn = {name: randomness.standing(self.__dict__[name]) for name in _DRAWN if name in self.__dict__}
        return {"patches": self._patches, **drawn}

    def stand(self, state: dict[str, Any]) -> None:
        """Go on from `standing`."""
        self._patches.update(state["patches"])
        for name in _DRAWN & state.keys():
            randomness.stand(getattr(self, name), state[name])

    # Seeding takes longer than a whole turn of most orchestrations, so it waits until it is needed.

    @cached_property
    def random(self) -> Random:
        return Random(self._identity)

    @cached_property
    def _guids(self) -> Random:
        return Random(f"guid:{self._identity}")

    # Activities.

    def schedule_activity(self, activity: Ref, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Schedule an activity and return the future of its result.

        Args:
            activity: The decorated function, or its registered name. By name, a single argument is the input as a
                client would give it: a mapping that fits the parameters binds by name.
        Raises: NotRegistered (the instance is parked until the code has the name), PayloadError, LimitExceeded.
        The future raises: ActivityError, ActivityTimeout.
        """
        callee = self._program.activity(activity)
        command = commands.ScheduleActivity(
            name=callee.name,
            stream=self._stream_of(callee),
            input=self._program.codec.seal(encoded(callee, args, kwargs, by_name=isinstance(activity, str))),
            tag=callee.tag,
            priority=callee.priority,
            start_to_close_ms=callee.start_to_close_ms,
            schedule_to_close_ms=callee.schedule_to_close_ms,
        )
        if callee.retry is not None:
            apply_retry(command, callee.retry)
        return self._program.issue(command, ResultOf(callee), f"Activity {callee.name!r}")

    def run(self, function: Ref, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Run an activity, or any callable as a local step, and return the future of its result.

        An activity (the decorated function or its name) is scheduled. Anything else that can be called runs in a worker
        that has this execution: a coroutine function on its event loop, other callables in a thread of their own, both
        under a copy of the caller's context variables. Its result is recorded, encoded and decoded by the return hint.
        A worker that dies before that runs it again.

        A generator, `def` or `async def`, yields partial results, which its `Reducer` folds into its result; a worker
        that runs it again begins with what has been folded. They are the items of a stream; see `stream`.

        Retries and timeouts: `.with_retry(policy)` and `.with_timeout(duration)` on the future, before it is awaited.
        Raises: InvalidArgument: nothing that can be called, or a generator without Reducer; else as
            `schedule_activity`.
        The future raises: ActivityError, ActivityTimeout.
        """
        step = None if isinstance(function, str) else self._program.environment.step(function)
        if step is None:
            return self.schedule_activity(function, *args, **kwargs)
        command = commands.ScheduleActivity(
            name=step.name,
            stream=self._stream_of(step),
            input=recorded_arguments(self._program.codec, args, kwargs),
            step=LocalStep(step, args, kwargs, copy_context()),
        )
        return self._program.issue(command, ResultOf(step), f"Step {step.name!r}")

    def schedule_activity_on_session(
        self, activity: Ref, input: Any = None, session_id: str = ""
    ) -> DurableFuture[Any]:
        """Schedule an activity on the worker that owns `session_id`; see `schedule_activity`.

        Raises: as `schedule_activity`; InvalidArgument: the session id. Nothing was scheduled.
        """
        checked_session_id(session_id)
        return self.schedule_activity(activity, *_given(input)).on_session(session_id)

    def schedule_activity_with_retry(
        self, activity: Ref, input: Any, retry: RetryPolicy | Mapping[str, Any]
    ) -> DurableFuture[Any]:
        """Schedule an activity with a retry policy of its own; see `schedule_activity` and `RetryPolicy`."""
        policy = RetryPolicy.coerce(retry)
        return self.schedule_activity(activity, *_given(input)).with_retry(policy)

    def schedule_activity_with_retry_on_session(
        self, activity: Ref, input: Any, retry: RetryPolicy | Mapping[str, Any], session_id: str
    ) -> DurableFuture[Any]:
        """Schedule an activity with a retry policy, every attempt on `session_id`."""
        checked_session_id(session_id)
        return self.schedule_activity_with_retry(activity, input, retry).on_session(session_id)

    # Timers and messages.

    def schedule_timer(self, delay: Duration) -> DurableFuture[None]:
        """Return a future that resolves to None `delay` (timedelta, or int milliseconds) from now.

        Raises: InvalidArgument: negative, longer than a century, or neither a timedelta nor an int.
        """
        return self._program.schedule_timer(milliseconds(delay, "delay"))

    def wait_for_event(self, name: str, type: Any = Any) -> DurableFuture[Any]:
        """Return a future of the next external event of this name, decoded as `type`.

        Events raised before are kept in order, also across continue-as-new; each goes to one wait.
        """
        command = commands.SubscribeExternal(name=self._program.checked_name(name, "event name"))
        return self._program.issue(command, self._as(type), f"Event {name!r}")

    wait_for_event_typed = wait_for_event

    def dequeue_event(self, queue: str, type: Any = Any) -> DurableFuture[Any]:
        """Return a future of the oldest message of an event queue of this instance, decoded as `type`."""
        command = commands.SubscribeQueue(queue=self._program.checked_name(queue, "queue name"))
        return self._program.issue(command, self._as(type), f"Queue {queue!r}")

    dequeue_event_typed = dequeue_event

    # Streams and signals.

    def create_stream(self, type: Any = Any, name: str | None = None) -> tuple[Stream[Any], StreamWriter[Any]]:
        """Return a stream of this instance to read, and what sends on it; the outside opens it by the same name.

        Without a name it gets the next of `stream-1`, `stream-2`. Nothing is recorded until it is used.
        """
        found = self._stream_name(name, "stream")
        return Stream(self._program, found, type), StreamWriter(self._program, found)

    def create_signal(
        self, type: Any = Any, name: str | None = None, *, policy: str = LATCH
    ) -> tuple[Signal[Any], StreamWriter[Any]]:
        """Return a signal, of which the code is told from now on, and what sends it; see `Signal` and `create_stream`.

        Args:
            policy: What becomes of one that nothing listens to: `latch` keeps the newest, `fifo` all, `drop` none.
        """
        found = self._stream_name(name, "signal")
        return self._program.signal(found, type, checked_policy(policy)), StreamWriter(self._program, found)

    def _stream_name(self, name: str | None, what: str) -> str:
        return self._program.streams.new_name(what) if name is None else self._program.checked_name(name, "stream name")

    # Other orchestrations.

    def schedule_sub_orchestration(self, orchestration: Ref, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Start a child with a derived id and return the future of its output.

        Raises: NotRegistered, PayloadError. The future raises: SubOrchestrationError.
        """
        return self._child(orchestration, None, None, args, kwargs)

    def schedule_sub_orchestration_with_id(
        self, orchestration: Ref, instance_id: str, *args: Any, **kwargs: Any
    ) -> DurableFuture[Any]:
        """As `schedule_sub_orchestration`, with an id of the caller's; a taken id fails the future."""
        return self._child(orchestration, None, instance_id, args, kwargs)

    def schedule_sub_orchestration_versioned(
        self, orchestration: Ref, version: str | None, *args: Any, **kwargs: Any
    ) -> DurableFuture[Any]:
        """As `schedule_sub_orchestration`, at one version."""
        return self._child(orchestration, version, None, args, kwargs)

    def schedule_sub_orchestration_versioned_with_id(
        self, orchestration: Ref, version: str | None, instance_id: str, *args: Any, **kwargs: Any
    ) -> DurableFuture[Any]:
        """As `schedule_sub_orchestration`, at one version and with an id of the caller's."""
        return self._child(orchestration, version, instance_id, args, kwargs)

    def _child(
        self, ref: Ref, version: str | None, instance_id: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> DurableFuture[Any]:
        callee = self._program.orchestration(ref, version)
        command = commands.ScheduleSubOrchestration(
            name=callee.name,
            version=callee.version,
            input=encoded(callee, args, kwargs, by_name=isinstance(ref, str)),
            requested_version=version,
            requested_instance_id=None if instance_id is None else self._program.checked_instance_id(instance_id),
        )
        return self._program.issue(command, ResultOf(callee, callee.version), f"Sub-orchestration {callee.name!r}")

    def start_orchestration(
        self, orchestration: Ref, instance_id: str, *args: Any, **kwargs: Any
    ) -> DurableFuture[None]:
        """Start a detached instance: no child of this one, not canceled or deleted with it.

        The future is resolved already. An id that is taken leaves the existing instance as it is.
        """
        return self.start_orchestration_versioned(orchestration, None, instance_id, *args, **kwargs)

    def start_orchestration_versioned(
        self, orchestration: Ref, version: str | None, instance_id: str, *args: Any, **kwargs: Any
    ) -> DurableFuture[None]:
        """As `start_orchestration`, at one version."""
        callee = self._program.orchestration(orchestration, version)
        self._program.issue_only(
            commands.StartOrchestration(
                name=callee.name,
                version=callee.version,
                instance_id=self._program.checked_instance_id(instance_id),
                input=encoded(callee, args, kwargs, by_name=isinstance(orchestration, str)),
                requested_version=version,
            )
        )
        return self._program.resolved(None)

    def continue_as_new(self, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """End this execution and go on as a new one of the latest version, with an empty history.

        KV entries, custom status, unread events and queued messages go along. Never resumes: yield, await or return
        what it returns.
        """
        return self._program.continue_as_new(None, args, kwargs)

    def continue_as_new_versioned(self, input: Any, version: str | None) -> DurableFuture[Any]:
        """As `continue_as_new`, at one version."""
        return self._program.continue_as_new(version, _given(input), {})

    # Composition.

    def all(self, futures: Iterable[Any]) -> asyncio.Future[list[dict[str, Any]]]:
        """Wait for all; the value is a list in order of `{"ok": value}` or `{"err": text}`. Nests.

        Besides futures it takes coroutines and generators, which then run beside each other; so does `race`.
        """
        return self._program.all(futures)

    def race(self, *futures: Any) -> asyncio.Future[dict[str, Any]]:
        """Wait for the first in history; the value is `{"index": i, "value": value}`, losers are canceled. Nests.

        Raises: InvalidArgument: fewer than two futures.
        """
        if len(futures) < 2:
            raise InvalidArgument(f"race() takes two or more futures, found {len(futures)}.")
        return self._program.race(futures)

    # Custom status.

    def set_custom_status(self, status: Any) -> None:
        """Publish a status of the author's own: text, or any JSON value such as `{"progress": 0.4}`.

        Raises: LimitExceeded: over 262,144 bytes encoded; nothing was changed. PayloadError.
        """
        self._program.set_custom_status(status)

    def reset_custom_status(self) -> None:
        """Set the custom status back to None."""
        self._program.set_custom_status(None)

    def get_custom_status(self) -> Any:
        """Return the custom status as the code last set it, the previous execution included."""
        return self._program.get_custom_status()

    # Time, identity, change.

    @property
    def now(self) -> datetime:
        """The history's clock as an aware UTC datetime: when the event was recorded that the code reacts to."""
        return from_epoch_ms(self._program.now_ms)

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs to rebuild its state rather than for the first time."""
        return self._program.replaying

    def utc_now(self) -> DurableFuture[int]:
        """Return a resolved future of the history's clock in ms since the epoch; see `now` for a datetime."""
        return self._program.resolved(self._program.now_ms)

    def new_guid(self) -> DurableFuture[str]:
        """Return a resolved future of a UUID that is new for every call and the same on every replay."""
        return self._program.resolved(self._new_guid())

    def _new_guid(self) -> str:
        return str(uuid.UUID(int=self._guids.getrandbits(128), version=4))

    def patched(self, patch_id: str) -> bool:
        """Tell whether this execution may run the code behind a change.

        True for executions that reach the call for the first time with the changed code, False for those whose
        history went past it without. The answer is recorded and stays.
        """
        name = self._program.checked_name(patch_id, "patch id")
        if name not in self._patches:
            self._patches[name] = self._program.patched(name)
        return self._patches[name]

    def _as(self, type: Any) -> As:
        return As(self._program.codec, type)


def _given(input: Any) -> tuple[Any, ...]:
    return () if input is None else (input,)


def encoded(
    callee: ActivityCallee | OrchestrationCallee, args: tuple[Any, ...], kwargs: dict[str, Any], *, by_name: bool
) -> Payload:
    """Encode the arguments of a call; by name, a single argument is the input as a client gives it.

    Streams and their writers travel as their names.
    """
    args = tuple(each.name if isinstance(each, Stream | StreamWriter) else each for each in args)
    kwargs = {key: each.name if isinstance(each, Stream | StreamWriter) else each for key, each in kwargs.items()}
    if by_name and len(args) == 1 and not kwargs:
        return callee.encode_input(args[0])
    return callee.encode_call(args, kwargs)
