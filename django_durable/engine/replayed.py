"""A program that is rebuilt by replay: orchestration code on a private loop, moved by events.

Theory of operation. A verb of the context issues a command, with a future that waits for its outcome. When the command
is recorded it gets its seq, and the future is open under that seq. A fact from outside names the seq it answers; it
settles the open future, and the loop runs until it is idle. External events and dequeues are matched by name, oldest
wait first. When the root task is done, or the code continued as new, the last command issued ends the execution.
"""

from __future__ import annotations

import inspect
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from . import commands, events
from .arguments import checked_text
from .commands import COMMAND_FACTS, Command, cancellation
from .context import OrchestrationContext, Ref, encoded
from .durations import epoch_ms
from .errors import (
    ActivityError,
    ActivityTimeout,
    Failure,
    ForbiddenInOrchestration,
    LimitExceeded,
    NotRegistered,
    StepBudgetExceeded,
    SubOrchestrationError,
)
from .events import Fact, HistoryEvent, OrchestrationStarted, Payload
from .futures import DurableFuture
from .keyvalues import KeyValues
from .loop import OrchestrationLoop, OrchestrationTask, drive
from .program import ActivityCallee, Environment, OrchestrationCallee
from .tracing import ERROR


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
        self._dequeues: dict[int, str] = {}
        self._waits: dict[str, deque[DurableFuture[Any]]] = {}
        self._unread: dict[str, deque[Payload]] = {}
        self._custom_status: Payload | None = None
        self._root: OrchestrationTask[Any] | None = None
        self._context: OrchestrationContext | None = None
        self._continue: commands.ContinueAsNew | None = None
        self._cancel: events.OrchestrationCancelRequested | None = None
        self._ended = False
        self._inert = False
        self._fatal: NotRegistered | None = None

    # Program.

    def apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        """See `Program.apply`. Raises: NotRegistered: the code named something unknown. Drop the program."""
        self.replaying = replaying
        fact = event.fact
        if type(fact) in COMMAND_FACTS and self._issued:
            self._bind(event)
            return
        self.now_ms = epoch_ms(event.recorded_at)
        match fact:
            case OrchestrationStarted():
                self._start(fact)
            case events.OrchestrationRewound():
                self._take_identity(fact)
            case events.ExternalEvent():
                self._deliver_external(fact)
            case events.OrchestrationCancelRequested():
                self._request_cancel(fact)
            case events.OrchestrationTerminated() | events.OrchestrationFailed():  # Without the code being asked.
                self._ended = True
                return
            case _:
                self._settle(fact)
        self._run()

    def commands(self) -> Sequence[Command]:
        return self._issued

    def expects(self, fact: Fact) -> bool:
        if self._ended:
            return False
        if self._root is None or isinstance(fact, OrchestrationStarted):
            return self._root is None and isinstance(fact, OrchestrationStarted)
        match fact:
            case events.ExternalEvent() | events.OrchestrationRewound():
                return True
            case events.OrchestrationCancelRequested():
                return self._cancel is None
            case _:
                future = self._open.get(fact.source_seq or 0)
                return future is not None and future.command is not None and type(fact) in future.command.answers

    def open_queues(self) -> Sequence[tuple[str, int]]:
        return [(queue, seq) for seq, queue in self._dequeues.items()]

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        """Return `(seq, command)` of everything still open, oldest first."""
        return [(seq, future.command) for seq, future in sorted(self._open.items()) if future.command is not None]

    def close(self) -> None:
        self._inert = True
        if self._root is None:
            return
        for future in (*self._open.values(), *self._futures.values()):
            future.cancel()
        self.loop.dispose()
        # Nothing that is left points back here, so the program is freed without the garbage collector.
        self.key_values = KeyValues({}, self.environment.codec, self.environment.limits, lambda command: None)
        self._root = self._context = None
        for kept in (self._issued, self._futures, self._open, self._waits):
            kept.clear()

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
            engine_version=events.ENGINE_VERSION,
            parent_instance_id=self.started.parent_instance_id,
            carried_events=unread,
            kv=self.key_values.snapshot(),
            custom_status=self._custom_status,
        )

    # What events do.

    def _start(self, fact: OrchestrationStarted) -> None:
        if fact.engine_version > events.ENGINE_VERSION:
            raise ValueError(
                f"The execution was started by engine version {fact.engine_version}, this one is version "
                f"{events.ENGINE_VERSION}. Update this worker, then resume the instance."
            )
        definition = self.environment.orchestration(fact.name, fact.version)
        self.started = fact
        self._custom_status = fact.custom_status
        for carried in fact.carried_events:
            self._unread.setdefault(carried.name, deque()).append(carried.payload)
        identity = f"{fact.instance_id}:{fact.execution}:{fact.seed}"
        self.loop = OrchestrationLoop(self, started_ms=self.now_ms, salt=zlib.crc32(identity.encode()))  # type: ignore[abstract]  # refuses the rest
        self.key_values = KeyValues(fact.kv, self.environment.codec, self.environment.limits, self.issue_only)
        self._context = OrchestrationContext(self)
        self._root = self.loop.start(self._main(definition, self._context, fact.input))

    def _take_identity(self, fact: events.OrchestrationRewound) -> None:
        self.started = fact.identify(self.started)
        assert self._context is not None
        self._context.identify(self.started)

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
        """Give the oldest command its place: the event that records it."""
        command = self._issued.popleft()
        command.seq = event.seq
        future = self._futures.pop(command, None)
        if future is not None and not future.done():
            self._open[event.seq] = future
            if isinstance(command, commands.SubscribeQueue):
                self._dequeues[event.seq] = command.queue
        if isinstance(event.fact, events.SubOrchestrationScheduled):
            assert isinstance(command, commands.ScheduleSubOrchestration)
            command.instance_id = event.fact.instance_id
        self._ended = isinstance(event.fact, events.TERMINAL_FACTS)

    def _take(self, seq: int) -> DurableFuture[Any]:
        """Close what is open at `seq` and return its future."""
        self._dequeues.pop(seq, None)
        return self._open.pop(seq)

    def _settle(self, fact: Fact) -> None:
        """Settle the future that a fact answers; `expects` has told that there is one."""
        assert fact.source_seq is not None
        future = self._take(fact.source_seq)
        match fact:
            case events.ActivityCompleted(result=payload) | events.SubOrchestrationCompleted(result=payload):
                future.resolve(payload)
            case events.QueueEventDelivered(payload=payload):
                future.resolve(payload)
            case events.TimerFired():
                future.resolve(None)
            case events.ActivityFailed(failure=failure, timed_out=timed_out):
                kind = ActivityTimeout if timed_out else ActivityError
                future.reject(kind(future.what, failure))
            case events.SubOrchestrationFailed(failure=failure):
                future.reject(SubOrchestrationError(future.what, failure))

    def _deliver_external(self, fact: events.ExternalEvent) -> None:
        waits = self._waits.get(fact.name)
        if not waits:
            self._unread.setdefault(fact.name, deque()).append(fact.payload)
            return
        future = waits.popleft()
        if future.command is not None and future.command.seq is not None:
            self._take(future.command.seq)
        future.resolve(fact.payload)

    def _request_cancel(self, fact: events.OrchestrationCancelRequested) -> None:
        self._cancel = fact
        if self._root is not None:
            self._root.cancel(fact.reason)

    def _run(self) -> None:
        self.loop.now_ms = self.now_ms
        ending: Command | None
        try:
            self.loop.run_until_idle(self.environment.limits.steps_per_turn)
        except StepBudgetExceeded as error:
            # What the code asked for while it span is of no use to anybody.
            self._issued.clear()
            ending = commands.FailOrchestration(failure=Failure.of(error))
        else:
            ending = self._ending()
        if self._fatal is not None:
            raise self._fatal
        if ending is not None:
            self._issued.append(ending)

    def _ending(self) -> Command | None:
        """Return the command that ends the execution the way its code ended, or None where it goes on."""
        root, reason = self._root, self._cancel.reason if self._cancel else None
        if self._continue is not None:
            return commands.EndCanceled(output="null", reason=reason) if self._cancel else self._continue
        if root is None or not root.done():
            return None
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
        self._issue(command)
        self._futures[command] = future
        if isinstance(command, commands.SubscribeExternal):
            self._wait(command.name, future)
        return future

    def issue_only(self, command: Command) -> None:
        """Issue a command that has no outcome to wait for. Raises: as `issue`."""
        if not self._inert:
            self.loop.count_step()
            self._issue(command)

    def _issue(self, command: Command) -> None:
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
            future = self._futures.pop(command)
            self._issued.remove(command)
        else:
            future = self._take(command.seq)
            self._issued.append(cancellation(command, command.seq))
        if isinstance(command, commands.SubscribeExternal):
            self._waits[command.name].remove(future)

    def continue_as_new(self, version: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> DurableFuture[Any]:
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

    def report(self, message: str, error: BaseException) -> None:
        """Log an error that the author's code left to itself: of a task nobody awaits, of a callback."""
        self.trace(ERROR, "%s: %s", (message, Failure.of(error).traceback))

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

    def check_tag(self, tag: object) -> None:
        longest = self.environment.limits.tag_bytes
        if isinstance(tag, str) and (size := len(tag.encode(errors="replace"))) > longest:
            raise LimitExceeded("The tag in bytes", size, longest)
        checked_text(tag, "tag", longest)

    def checked_name(self, name: str, what: str) -> str:
        return checked_text(name, what, self.environment.limits.name_length)

    def checked_instance_id(self, instance_id: str) -> str:
        return checked_text(instance_id, "instance id", self.environment.limits.instance_id_length)
