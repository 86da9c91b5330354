"""What every program is, however its code is held while it waits.

Theory of operation. The verbs of the context issue commands through the program; `outstanding` keeps what is open. An
event from outside settles a future, or changes what the program knows, and the loop runs until it is idle. When the
root task is done, or the code continued as new, the last command issued ends the execution.

A subclass says what the root task runs.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import commands, events
from .arguments import checked_text
from .commands import COMMAND_FACTS, Command, Moment
from .context import OrchestrationContext, Ref, encoded
from .decoding import Decoder, Nothing
from .durations import epoch_ms
from .errors import ForbiddenInOrchestration, LimitExceeded, NotRegistered, StepBudgetExceeded
from .events import Fact, HistoryEvent, OrchestrationStarted, Payload
from .facts.streams import OpenRead
from .failures import Failure
from .futures import AllFuture, DurableFuture, RaceFuture
from .keyvalues import KeyValues
from .loop import OrchestrationLoop, OrchestrationTask
from .outstanding import Outstanding
from .ports import provided
from .program import ActivityCallee, Environment, OrchestrationCallee
from .signals import Signal, SignalState
from .spans import SpanBook, formatted
from .steps import LocalStep
from .streams import Streams, follow
from .tracing import ERROR, LEVELS

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime


class BaseProgram(ABC):
    """See the module docstring; `program.Program` is the contract."""

    loop: OrchestrationLoop
    started: OrchestrationStarted
    key_values: KeyValues
    recorded_at: datetime

    def __init__(
        self, environment: Environment, definition: OrchestrationCallee, *, patches: frozenset[str] = frozenset()
    ) -> None:
        self.environment = environment
        self.definition = definition
        self.codec = definition.codec
        self.outstanding = Outstanding()
        self.streams = Streams()
        self.now_ms = 0
        self.replaying = False
        self.next_version: str | None = None
        self._patches = patches
        self._custom_status: Payload | None = None
        self._root: OrchestrationTask[Payload] | None = None
        self._context: OrchestrationContext | None = None
        self._continue: commands.ContinueAsNew | None = None
        self._cancel: events.OrchestrationCancelRequested | None = None
        self._ended = False
        self._inert = False
        self._fatal: NotRegistered | None = None
        self.spans = SpanBook(lambda: self.recorded_at, self._is_live) if environment.records_spans else None

    @abstractmethod
    def _main(self, ctx: OrchestrationContext, payload: Payload) -> Coroutine[Any, Any, Payload]:
        """Return what the root task runs: the author's function, called with `payload`, to its encoded output."""

    # Program.

    def apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        """See `Program.apply`. Raises: NotRegistered: the code named something unknown. Drop the program."""
        self.replaying = replaying
        fact = event.fact
        if type(fact) in COMMAND_FACTS and self.outstanding.issued:
            self.outstanding.bind(event)
            if isinstance(fact, events.StreamSubscribed):
                self.streams.opened(fact)
            self._ended = isinstance(fact, events.TERMINAL_FACTS)
            return
        # Met by the code, it would be an error of the orchestration, which is not at fault and would end.
        self.codec.check(getattr(fact, fact.payload_field) if fact.payload_field else None)
        self.recorded_at = event.recorded_at
        self.now_ms = epoch_ms(event.recorded_at)
        match fact:
            case OrchestrationStarted():
                self._start(fact)
            case events.OrchestrationRewound():
                self._take_identity(fact)
            case events.ExternalEvent():
                wait = self.outstanding.deliver(fact)
                if wait is not None and self.spans is not None:
                    self.spans.heard(event.seq, wait)
            case events.OrchestrationCancelRequested():
                self._request_cancel(fact)
            case events.OrchestrationTerminated() | events.OrchestrationFailed():  # Without the code being asked.
                self._ended = True
                return
            case events.StreamItemsReceived():
                for item in fact.items:
                    self.codec.check(item.payload)
                self.streams.receive(fact)
                self.outstanding.settle(fact)
            case _:
                self.outstanding.settle(fact)
        self._run()

    def commands(self) -> Sequence[Command]:
        return self.outstanding.issued

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
            case events.StreamItemsReceived():
                return self.outstanding.answers(fact) and self.streams.expects(fact)
            case _:
                return self.outstanding.answers(fact)

    def open_queues(self) -> Sequence[tuple[str, int]]:
        return self.outstanding.open_queues()

    def open_reads(self) -> Sequence[OpenRead]:
        return self.streams.open_reads(self.outstanding.open_reads())

    def read_to_the_end(self, seq: int) -> None:
        self.streams.checked(seq)

    def expect_items(self, name: str) -> None:
        self.streams.appended(name, self.outstanding.open_reads())

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        return self.outstanding.waiting_for()

    def checkpoint(self, recorded_at: datetime) -> Payload | None:
        return None

    def close(self) -> None:
        self._inert = True
        if self._root is None:
            return
        self.outstanding.cancel_all()
        self.loop.dispose()
        # Nothing that is left points back here, so the program is freed without the garbage collector.
        self.key_values = KeyValues({}, self.codec, self.environment.limits, lambda command: None)
        self._root = self._context = None
        self.outstanding.clear()

    def step_at(self, seq: int) -> LocalStep | None:
        return self.outstanding.step_at(seq)

    @property
    def context(self) -> OrchestrationContext:
        """The context of a program that was started."""
        assert self._context is not None
        return self._context

    def moment(self, seq: int) -> Moment:
        return Moment(seq, self.now_ms, self.started.instance_id, self.started.execution)

    def next_start(self, input: Payload) -> OrchestrationStarted:
        return OrchestrationStarted(
            name=self.started.name,
            version=self.next_version or self.started.version,
            input=input,
            instance_id=self.started.instance_id,
            execution=self.started.execution + 1,
            seed=self.started.seed,
            engine_version=events.ENGINE_VERSION,
            parent_instance_id=self.started.parent_instance_id,
            carried_events=self.outstanding.carried(),
            kv=self.key_values.snapshot(),
            custom_status=self._custom_status,
            stream_positions=self.streams.carried(),
        )

    # What events do.

    def _start(self, fact: OrchestrationStarted) -> None:
        self._custom_status = fact.custom_status
        self.outstanding.carry(fact.carried_events)
        self.streams.carry(fact.stream_positions)
        context = self._begin(fact, fact.kv)
        self._root = self.loop.start(self._main(context, fact.input))

    def _begin(self, fact: OrchestrationStarted, kv: Mapping[str, events.StoredValue]) -> OrchestrationContext:
        """Take the identity and the KV entries of an execution, and return the context for its code."""
        self.started = fact
        identity = f"{fact.instance_id}:{fact.execution}:{fact.seed}"
        self.loop = OrchestrationLoop(  # type: ignore[abstract]  # refuses the rest
            self, started_ms=self.now_ms, salt=zlib.crc32(identity.encode()), engine_version=fact.engine_version
        )
        self.key_values = KeyValues(kv, self.codec, self.environment.limits, self.issue_only)
        self._context = OrchestrationContext(self)
        return self._context

    def _take_identity(self, fact: events.OrchestrationRewound) -> None:
        self.started = fact.identify(self.started)
        assert self._context is not None
        self._context.identify(self.started)

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
            self.outstanding.issued.clear()
            ending = commands.FailOrchestration(failure=Failure.of(error))
        else:
            ending = self._ending()
        if self._fatal is not None:
            raise self._fatal
        if ending is not None:
            self.outstanding.issue(ending)

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

    def issue(
        self, command: Command, decode: Decoder, what: str, *, kind: type[DurableFuture[Any]] = DurableFuture
    ) -> DurableFuture[Any]:
        """Issue a command and return the future of its outcome, which is of a `kind`.

        Raises: ForbiddenInOrchestration: called while the code is not running.
        """
        future = kind(loop=self.loop, host=self, command=command, decode=decode, what=what)
        if not self._inert:
            self._check_running()
            self.outstanding.issue(command, future)
        return future

    def issue_only(self, command: Command) -> None:
        """Issue a command that has no outcome to wait for. Raises: as `issue`."""
        if not self._inert:
            self.loop.count_step()
            self._check_running()
            self.outstanding.issue(command)

    def _check_running(self) -> None:
        if not self.loop.is_running():
            raise ForbiddenInOrchestration("Calling a ctx verb from outside the orchestration, a thread for example,")

    def schedule_timer(self, delay_ms: int) -> DurableFuture[None]:
        """Issue a timer that asyncio's own functions ask the loop for, or the `schedule_timer` verb."""
        return self.issue(commands.CreateTimer(duration_ms=delay_ms), Nothing(), "Timer")

    def call_arguments(self, payload: Payload) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the author's function besides ctx: those of the payload, and what is provided."""
        args, kwargs = self.definition.decode_call(payload)
        return args, kwargs | provided(self, self.definition.ports)

    def signal(self, name: str, type: Any, policy: str) -> Signal[Any]:
        """Return the signal of a name, of which the code is told from now on."""
        self.streams.signals.setdefault(name, SignalState(policy))
        follow(self, name)
        return Signal(self, name, type)

    def pending(self, decode: Decoder) -> DurableFuture[Any]:
        """Return a future without a command, that somebody resolves with what `decode` takes."""
        return DurableFuture[Any](loop=self.loop, decode=decode)

    def resolved(self, value: Any) -> DurableFuture[Any]:
        """Return a future that has `value` already and no command."""
        future = DurableFuture[Any](loop=self.loop)
        future.set_result(value)
        return future

    def all(self, things: Iterable[Any]) -> asyncio.Future[Any]:
        """Return a future over futures, or over code that then runs beside this; see `AllFuture`."""
        return AllFuture([self.loop.ensure_future(each) for each in things], loop=self.loop)

    def race(self, things: Iterable[Any]) -> asyncio.Future[Any]:
        """Return a future over two or more futures, or pieces of code; see `RaceFuture`."""
        return RaceFuture([self.loop.ensure_future(each) for each in things], loop=self.loop)

    def withdraw(self, command: Command) -> None:
        """Take a command back, unless the program is inert; see `Outstanding.withdraw`."""
        if not self._inert:
            self.outstanding.withdraw(command)

    def continue_as_new(self, version: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> DurableFuture[Any]:
        definition = self.orchestration(self.started.name, version)
        payload = encoded(definition, args, kwargs, by_name=True)
        if not self._inert:
            self._continue = commands.ContinueAsNew(input=payload, version=version)
            self.next_version = definition.version
        return DurableFuture[Any](loop=self.loop)

    def set_custom_status(self, status: Any) -> None:
        payload = None if status is None else self.codec.plain.encode(status)  # It is made to be shown.
        size = len(payload.encode()) if payload else 0
        if size > self.environment.limits.custom_status_bytes:
            raise LimitExceeded("The custom status in bytes", size, self.environment.limits.custom_status_bytes)
        self.issue_only(commands.SetCustomStatus(value=payload))
        self._custom_status = payload

    def get_custom_status(self) -> Any:
        return None if self._custom_status is None else self.codec.decode(self._custom_status)

    def patched(self, patch_id: str) -> bool:
        if self.replaying and patch_id not in self._patches:
            return False
        self.issue_only(commands.MarkPatch(patch_id=patch_id))
        return True

    def trace(self, level: int, message: str, args: tuple[Any, ...]) -> None:
        """Hand a log message to the environment, unless the code is replaying or the program is inert."""
        if self.spans is not None and not self._inert:
            self.spans.log(LEVELS.get(level, str(level)), formatted(message, args))
        if self.replaying or self._inert:
            return
        fields = {
            "instance_id": self.started.instance_id,
            "execution_id": self.started.execution,
            "orchestration_name": self.started.name,
            "orchestration_version": self.started.version,
        }
        self.environment.trace(level, message, args, fields)

    def run_by_task(self, coro: Any) -> Any:
        """Return what a task runs that the code makes of a coroutine."""
        return coro

    def report(self, message: str, error: BaseException) -> None:
        """Log an error that the author's code left to itself: of a task nobody awaits, of a callback."""
        self.trace(ERROR, "%s: %s", (message, Failure.of(error).traceback))

    def _is_live(self) -> bool:
        return not (self.replaying or self._inert)

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
