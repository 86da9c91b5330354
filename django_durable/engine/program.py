"""The seams of the engine: what a program is to its host, and what the engine needs from it.

A `Program` is one execution of orchestration code as a state that events move. Replayed programs are rebuilt by
applying their whole history again; checkpointed ones load a checkpoint and apply only the events after it. Nothing
outside the engine knows which one it drives.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from .commands import Command, Moment
from .events import Fact, HistoryEvent, OrchestrationStarted, Payload
from .facts.streams import OpenRead
from .retry import RetryPolicy
from .spans import SpanBook

if TYPE_CHECKING:
    from .checkpoint import CompiledFunction, Hook
    from .ports import Port
    from .reducing import Reduction
    from .steps import LocalStep


class Program(Protocol):
    """One execution of orchestration code.

    `apply` is fed every event of the history in order, those that answer the program's own commands included. After
    an event from outside, the code runs until it is idle; `commands` then lists what it asked for and what no event
    has answered yet, in call order. The last command of a finished program ends the execution.
    """

    def apply(self, event: HistoryEvent, *, replaying: bool) -> None:
        """Take one event into the state and run the code until it is idle.

        Raises: CodecError, before the code runs: what the event brings cannot be read here.
        """

    def commands(self) -> Sequence[Command]:
        """Return the commands not recorded yet, oldest first."""

    def expects(self, fact: Fact) -> bool:
        """Tell whether a fact from outside still means something: its command is open, it is not a duplicate."""

    def open_queues(self) -> Sequence[tuple[str, int]]:
        """Return `(queue, subscribed_seq)` of the dequeues that wait for a message, oldest first."""

    def open_reads(self) -> Sequence[OpenRead]:
        """Return the reads of streams for which the store may have items, oldest first."""

    def read_to_the_end(self, seq: int) -> None:
        """Note that the store has nothing for an open read; it is not among `open_reads` until items are expected."""

    def expect_items(self, name: str) -> None:
        """Note that the store has more items of a stream."""

    def waiting_for(self) -> Sequence[tuple[int, Command]]:
        """Return `(seq, command)` of everything still open, oldest first."""

    def moment(self, seq: int) -> Moment:
        """Return the place of the command that is recorded as `seq`."""

    def next_start(self, input: Payload) -> OrchestrationStarted:
        """Return the first fact of the next execution after a continue-as-new with `input`."""

    def step_at(self, seq: int) -> LocalStep | None:
        """Return the local step that was scheduled at `seq` and is still open, or None."""

    @property
    def spans(self) -> SpanBook | None:
        """The spans that its code opens, None where nobody wants them."""

    def checkpoint(self, recorded_at: datetime) -> Payload | None:
        """Return the state as the code's codec stores it, None where only a replay brings it back.

        Args:
            recorded_at: When the last event was recorded.

        Raises: Unstorable: the code holds something that cannot be stored.
        """

    def close(self) -> None:
        """Go inert, then let the code's `finally` blocks run without any effect."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An execution as it stood after the event `seq`; `state` is JSON text."""

    seq: int
    state: Payload


@dataclass(frozen=True, slots=True)
class Past:
    """What an execution is rebuilt from: its last checkpoint, where there is one, and the events after it in order."""

    events: Sequence[HistoryEvent] = ()
    checkpoint: Checkpoint | None = None


class Codec(Protocol):
    """Values to JSON text and back. Raises PayloadError for what cannot be."""

    def encode(self, value: Any) -> Payload: ...

    def decode(self, payload: Payload, type: Any = Any) -> Any: ...

    def schema(self, type: Any) -> dict[str, Any]:
        """Return the JSON Schema of a type; an empty one, which allows everything, where it has none."""

    @property
    def plain(self) -> Codec:
        """The codec for what is stored as it is: what activities write, and what is made to be shown."""

    def seal(self, payload: Payload) -> Payload:
        """Return what the plain codec wrote as this one stores it; that may differ from call to call."""

    def check(self, payload: Any = None) -> None:
        """Raise CodecError where the codec of a payload, or this one, is missing or fails here; see `apply`."""

    def same(self, one: Any, other: Any) -> bool:
        """Tell whether two recorded values hold the same payload, whichever codecs wrote them."""


class Compiled(Protocol):
    """A compiled function: called with a context and arguments, it returns a frame."""

    @property
    def name(self) -> str: ...

    def __call__(self, ctx: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...


class ActivityCallee(Protocol):
    """What the engine needs to know of a registered activity. Timeouts are in milliseconds; payloads are plain.

    `encode_call` takes the arguments of a call, `encode_input` one value as a caller by name gives it: a mapping that
    fits the parameters is their values by name, anything else the first argument.
    """

    @property
    def name(self) -> str: ...
    @property
    def tag(self) -> str | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def retry(self) -> RetryPolicy | None: ...
    @property
    def start_to_close_ms(self) -> int | None: ...
    @property
    def schedule_to_close_ms(self) -> int | None: ...
    @property
    def reduction(self) -> Reduction | None:
        """How a generator's partial results become its result; None for a function that returns."""

    def encode_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload: ...

    def encode_input(self, value: Any) -> Payload: ...

    def decode_result(self, payload: Payload) -> Any: ...


class StepCallee(Protocol):
    """What the engine needs to know of a callable that runs as a local step."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def reduction(self) -> Reduction | None:
        """As that of an activity."""

    def encode_result(self, value: Any) -> Payload: ...

    def decode_result(self, payload: Payload) -> Any: ...


class OrchestrationCallee(Protocol):
    """What the engine needs to know of a registered orchestration. `ports` are the parameters that are provided."""

    @property
    def ports(self) -> Sequence[Port]: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def compiled(self) -> Compiled | None:
        """The function compiled, where checkpoints are taken of it."""

    def encode_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload: ...

    def encode_input(self, value: Any) -> Payload: ...

    def decode_call(self, payload: Payload) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

    def encode_result(self, value: Any) -> Payload: ...

    def decode_result(self, payload: Payload) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that a verb checks at the call, or the engine after each event; bytes are of the encoded text."""

    kv_keys: int = 150
    kv_value_bytes: int = 65_536
    custom_status_bytes: int = 262_144
    tag_bytes: int = 256
    name_length: int = 255
    instance_id_length: int = 512
    checkpoint_bytes: int = 2_097_152
    steps_per_turn: int = 100_000
    history_events: int = 200_000


class Environment(Protocol):
    """The names and the codec an execution runs with; a registry offers one.

    `activity` and `orchestration` take a name, a decorated function or a definition; version `None` is the latest.
    They raise NotRegistered. `step` takes any callable; it returns None for an activity, and raises InvalidArgument for
    what cannot run as a step.
    """

    @property
    def codec(self) -> Codec: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def records_spans(self) -> bool:
        """Whether programs keep the spans that their code opens."""

    @property
    def hooks(self) -> Sequence[Hook]:
        """How checkpoints keep what the engine does not know, such as rows of a database."""

    def activity(self, ref: str | Callable[..., Any]) -> ActivityCallee: ...

    def orchestration(self, ref: str | Callable[..., Any], version: str | None = None) -> OrchestrationCallee: ...

    def step(self, function: Callable[..., Any]) -> StepCallee | None: ...

    def durable_function(self, name: str) -> CompiledFunction:
        """Return a compiled function by name. Raises: NotRegistered."""

    def trace(self, level: int, message: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        """Log on behalf of orchestration code; never called while replaying. Levels are those of `logging`."""
