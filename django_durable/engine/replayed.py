"""A program that is rebuilt by replay: orchestration code on a private loop, moved by events.

Theory of operation. A verb of the context issues a command, with a future that waits for its outcome. When the command
is recorded it gets its seq, and the future is open under that seq. A fact from outside names the seq it answers; it
settles the open future, and the loop runs until it is idle. External events and dequeues are matched by name, oldest
wait first. When the root task is done, or the code continued as new, the last command issued ends the execution.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from . import commands, events
from .commands import Command
from .context import OrchestrationContext, Ref, encoded
from .durations import epoch_ms
from .errors import (
    ActivityError,
    ActivityTimeout,
    Failure,
    ForbiddenInOrchestration,
    InvalidArgument,
    LimitExceeded,
    NotRegistered,
    StepBudgetExceeded,
    SubOrchestrationError,
)
from .events import Fact, HistoryEvent, OrchestrationStarted, Payload
from .futures import DurableFuture
from .keyvalues import KeyValues
from .loop import CancelledError, OrchestrationLoop, OrchestrationTask, drive
from .program import ActivityCallee, Environment, OrchestrationCallee


class ReplayedProgram:
    """See the module docstring; `program.Program` is the contract."""

    loop: OrchestrationLoop
    started: OrchestrationStarted
    key_values: KeyValues

    def __init__(self, environment: Environment, *, patches: frozenset[str] = frozenset()) -> None:
        self.environment = environment
        self.now_ms = 0
        self.replaying = False
        self.next_version: str | None = None
        self._patches = patches
        self._issued: deque[Command] = deque()
        self._futures: dict[Command, DurableFuture[Any]] = {}
        self._open: dict[int, DurableFuture[Any]] = {}
        self._waits: dict[str, deque[DurableFuture[Any]]] = {}
        self._unread: dict[str, deque[Payload]] = {}
        self._custom_status: Payload | None = None
        self._root: OrchestrationTask[Any] | None = None
        self._continue: commands.ContinueAsNew | None = None
        self._cancel: events.OrchestrationCancelRequested | None = None
        self._ended = False
        self._inert = False
        self._fatal: NotRegistered | None = None

    # Program.

    def apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        """See `Program.apply`. Raises: NotRegistered: the code named something unknown. Drop the program."""
        self.replaying = replaying
        self.now_ms = epoch_ms(event.recorded_at)
        fact = event.fact
        match fact:
            case OrchestrationStarted():
                self._start(fact)
            case events.ActivityCompleted(scheduled_seq=seq, result=payload):
                self._open.pop(seq).resolve(payload)
            case events.ActivityFailed(scheduled_seq=seq):
                kind = ActivityTimeout if fact.timed_out else ActivityError
                future = self._open.pop(seq)
                future.reject(kind(future.what, fact.failure))
            case events.TimerFired(timer_seq=seq):
                self._open.pop(seq).resolve(None)
            case events.ExternalEvent():
                self._deliver_external(fact)
            case events.QueueEventDelivered(subscribed_seq=seq, payload=payload):
                self._open.pop(seq).resolve(payload)
            case events.SubOrchestrationCompleted(scheduled_seq=seq, result=payload):
                self._open.pop(seq).resolve(payload)
            case events.SubOrchestrationFailed(scheduled_seq=seq):
                future = self._open.pop(seq)
                future.reject(SubOrchestrationError(future.what, fact.failure))
            case events.OrchestrationCancelRequested():
                self._cancel = fact
                if self._root is not None:
                    self._root.cancel(fact.reason)
            case events.OrchestrationTerminated():
                self._ended = True
            case _:
                self._bind(event)
                return
        self._run()

    def commands(self) -> Sequence[Command]:
        return self._issued

    def expects(self, fact: Fact) -> bool:
        match fact:
            case _ if self._ended:
                return False
            case OrchestrationStarted():
                return self._root is None
            case events.ExternalEvent():
                return True
            case events.OrchestrationCancelRequested():
                return self._cancel is None
            case _:
                return fact.columns().source_seq in self._open

    def open_queues(self) -> Sequence[tuple[str, int]]:
        return [
            (future.command.queue, seq)
            for seq, future in self._open.items()
            if isinstance(future.command, commands.SubscribeQueue)
        ]

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        """Return `(seq, command)` of everything still open, oldest first."""
        return [(seq, future.command) for seq, future in sorted(self._open.items()) if future.command is not None]

    def close(self) -> None:
        self._inert = True
        if self._root is not None:
            self.loop.dispose(self._root)
        self._issued.clear()
        self._open.clear()

    def next_start(self, input: Payload) -> OrchestrationStarted:
        """Return the first fact of the next execution after a continue-as-new with `input`."""
        unread = tuple(events.CarriedEvent(name, each) for name, kept in self._unread.items() for each in kept)
        return OrchestrationStarted(
            name=self.started.name,
            version=self.next_version or self.started.version,
            input=input,
            instance_id=self.started.instance_id,
            execution=self.started.execution + 1,
            seed=self.started.seed,
            parent_instance_id=self.started.parent_instance_id,
            carried_events=unread,
            kv=self.key_values.snapshot(),
            custom_status=self._custom_status,
        )

    # What events do.

    def _start(self, fact: OrchestrationStarted) -> None:
        definition = self.environment.orchestration(fact.name, fact.version)
        self.started = fact
        self._custom_status = fact.custom_status
        for carried in fact.carried_events:
            self._unread.setdefault(carried.name, deque()).append(carried.payload)
        self.loop = OrchestrationLoop(self, started_ms=self.now_ms)
        self.key_values = KeyValues(fact.kv, self.environment.codec, self.environment.limits, self.issue_only)
        self._root = self.loop.start(self._main(definition, OrchestrationContext(self), fact.input))

    async def _main(self, definition: OrchestrationCallee, ctx: OrchestrationContext, payload: Payload) -> Payload:
        """Call the author's function, whatever its style, and return its encoded output."""
        args, kwargs = definition.decode_call(payload)
        result = definition.function(ctx, *args, **kwargs)
        if inspect.isgenerator(result):
            result = await drive(result)
        elif inspect.isawaitable(result):
            result = await result
        return definition.encode_result(result)

    def _bind(self, event: HistoryEvent) -> None:
        command = self._issued.popleft()
        command.seq = event.seq
        future = self._futures.pop(command, None)
        if future is not None and not future.done():
            self._open[event.seq] = future
        if isinstance(command, commands.ScheduleSubOrchestration) and isinstance(
            event.fact, events.SubOrchestrationScheduled
        ):
            command.instance_id = event.fact.instance_id
        if isinstance(event.fact, events.TERMINAL_FACTS):
            self._ended = True

    def _deliver_external(self, fact: events.ExternalEvent) -> None:
        waits = self._waits.get(fact.name)
        while waits:
            future = waits.popleft()
            if not future.done():
                if future.command is not None and future.command.seq is not None:
                    self._open.pop(future.command.seq, None)
                future.resolve(fact.payload)
                return
        self._unread.setdefault(fact.name, deque()).append(fact.payload)

    def _run(self) -> None:
        self.loop.now_ms = self.now_ms
        try:
            self.loop.run_until_idle(self.environment.limits.steps_per_turn)
        except StepBudgetExceeded as error:
            self._issued.append(commands.FailOrchestration(failure=Failure.of(error)))
            return
        if self._fatal is not None:
            raise self._fatal
        if self._continue is not None and self._cancel is None:
            self._issued.append(self._continue)
        elif self._root is not None and self._root.done():
            self._issued.append(self._ending(self._root))

    def _ending(self, root: OrchestrationTask[Payload]) -> Command:
        """Return the command that ends the execution the way its code ended."""
        reason = self._cancel.reason if self._cancel else None
        if root.cancelled():
            if self._cancel:
                return commands.EndCanceled(output="null", reason=reason)
            return commands.FailOrchestration(failure=Failure("CancelledError", "The orchestration canceled itself."))
        error = root.exception()
        if error is not None:
            return commands.FailOrchestration(failure=Failure.of(error))
        if self._cancel:
            return commands.EndCanceled(output=root.result(), reason=reason)
        return commands.CompleteOrchestration(output=root.result())

    # What verbs do.

    def issue(self, command: Command, decode: Callable[[Any], Any], what: str) -> DurableFuture[Any]:
        """Issue a command and return the future of its outcome.

        Raises: ForbiddenInOrchestration: called while the code is not running.
        """
        future = DurableFuture[Any](loop=self.loop, host=self, command=command, decode=decode, what=what)
        if self._inert:
            return future
        self.issue_only(command)
        self._futures[command] = future
        if isinstance(command, commands.SubscribeExternal):
            self._wait(command.name, future)
        return future

    def issue_only(self, command: Command) -> None:
        """Issue a command that has no outcome to wait for. Raises: as `issue`."""
        if self._inert:
            return
        if not self.loop.is_running():
            raise ForbiddenInOrchestration("Calling a ctx verb from outside the orchestration, a thread for example,")
        self._issued.append(command)

    def _wait(self, name: str, future: DurableFuture[Any]) -> None:
        unread = self._unread.get(name)
        if unread:
            future.resolve(unread.popleft())
        else:
            self._waits.setdefault(name, deque()).append(future)

    def schedule_timer(self, delay_ms: int) -> DurableFuture[None]:
        """Issue a timer that asyncio's own functions ask the loop for, or the `schedule_timer` verb."""
        return self.issue(commands.CreateTimer(duration_ms=delay_ms), lambda _: None, "Timer")

    def resolved(self, value: Any) -> DurableFuture[Any]:
        """Return a future that has `value` already and no command."""
        future = DurableFuture[Any](loop=self.loop)
        future.set_result(value)
        return future

    def withdraw(self, command: Command) -> None:
        """Take a command back: forget it if it is not recorded yet, else issue its cancellation."""
        if self._inert:
            return
        if command.seq is None:
            if command in self._issued:
                self._issued.remove(command)
            self._futures.pop(command, None)
            return
        future = self._open.pop(command.seq, None)
        if isinstance(command, commands.SubscribeExternal) and future in (waits := self._waits.get(command.name, ())):
            waits.remove(future)
        self._issued.append(_cancellation(command))

    def continue_as_new(
        self, version: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> DurableFuture[Any]:
        definition = self.orchestration(self.started.name, version)
        payload = encoded(definition, args, kwargs, by_name=True)
        if not self._inert:
            self._continue = commands.ContinueAsNew(input=payload, version=version)
            self.next_version = definition.version
        return DurableFuture[Any](loop=self.loop)

    def set_custom_status(self, status: Any) -> None:
        payload = None if status is None else self.environment.codec.encode(status)
        size = len(payload.encode()) if payload else 0
        if size > self.environment.limits.custom_status_bytes:
            raise LimitExceeded("The custom status in bytes", size, self.environment.limits.custom_status_bytes)
        self.issue_only(commands.SetCustomStatus(value=payload))
        self._custom_status = payload

    def get_custom_status(self) -> Any:
        return None if self._custom_status is None else self.environment.codec.decode(self._custom_status)

    def patched(self, patch_id: str) -> bool:
        if self.replaying and patch_id not in self._patches:
            return False
        self.issue_only(commands.MarkPatch(patch_id=patch_id))
        return True

    def trace(self, level: int, message: str, args: tuple[Any, ...]) -> None:
        """Hand a log message to the environment, unless the code is replaying or the program is inert."""
        if self.replaying or self._inert:
            return
        fields = {
            "instance_id": self.started.instance_id,
            "execution_id": self.started.execution,
            "orchestration_name": self.started.name,
            "orchestration_version": self.started.version,
        }
        self.environment.trace(level, message, args, fields)

    def activity(self, ref: Ref) -> ActivityCallee:
        """Look an activity up; an unknown one also makes the turn unusable, whatever the code does with the error."""
        try:
            return self.environment.activity(ref)
        except NotRegistered as error:
            self._fatal = error
            raise

    def orchestration(self, ref: Ref, version: str | None) -> OrchestrationCallee:
        """Look an orchestration up; see `activity`."""
        try:
            return self.environment.orchestration(ref, version)
        except NotRegistered as error:
            self._fatal = error
            raise

    # Checks of arguments.

    def check_tag(self, tag: str) -> None:
        if not isinstance(tag, str) or not tag:
            raise InvalidArgument(f"A tag is a non-empty string, found {tag!r:.80}.")
        if (size := len(tag.encode())) > self.environment.limits.tag_bytes:
            raise LimitExceeded("The tag in bytes", size, self.environment.limits.tag_bytes)

    def checked_name(self, name: str, what: str) -> str:
        longest = self.environment.limits.name_length
        if not isinstance(name, str) or not 0 < len(name) <= longest:
            raise InvalidArgument(f"The {what} is {name!r:.80}, expected a string of 1 to {longest} characters.")
        return name

    def checked_instance_id(self, instance_id: str) -> str:
        longest = self.environment.limits.instance_id_length
        if not isinstance(instance_id, str) or not 0 < len(instance_id) <= longest:
            raise InvalidArgument(
                f"The instance id is {instance_id!r:.80}, expected a string of 1 to {longest} characters."
            )
        return instance_id


def _cancellation(command: Command) -> Command:
    """Return the command that takes a recorded one back."""
    assert command.seq is not None
    match command:
        case commands.ScheduleActivity(seq=seq):
            return commands.CancelActivity(scheduled_seq=seq)
        case commands.CreateTimer(seq=seq):
            return commands.CancelTimer(timer_seq=seq)
        case commands.SubscribeExternal(seq=seq):
            return commands.UnsubscribeExternal(subscribed_seq=seq)
        case commands.SubscribeQueue(seq=seq):
            return commands.UnsubscribeQueue(subscribed_seq=seq)
        case commands.ScheduleSubOrchestration(seq=seq, instance_id=child):
            return commands.CancelSubOrchestration(scheduled_seq=seq, instance_id=child)
        case _:
            raise TypeError(f"{command.describe()} cannot be taken back.")
