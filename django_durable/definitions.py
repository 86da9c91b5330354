"""What the decorators make: an orchestration or activity with its name, its options, and how it is called."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from .codec import Arguments, Binding, JsonCodec
from .codec.hints import resolved_hints
from .engine.arguments import UNTAGGED
from .engine.checkpoint import CompiledFunction
from .engine.checkpointed.awaiting import compiled
from .engine.durations import Duration, milliseconds
from .engine.errors import ForbiddenInOrchestration, InvalidArgument
from .engine.events import Payload
from .engine.loop import OrchestrationLoop
from .engine.ports import Port, ports_of, provided_names
from .engine.program import Compiled, Limits
from .engine.reducing import Reduction, is_generator, reduction_of
from .engine.retry import RetryPolicy
from .engine.steps import PREFIX, is_local

if TYPE_CHECKING:
    from .registry import Registry

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

Mode = Literal["replay", "checkpoint"]
MODES: tuple[Mode, ...] = ("replay", "checkpoint")
DEFAULT_VERSION = "1.0.0"
VERSION_LENGTH = 64
NAME_LENGTH = Limits().name_length
TAG_BYTES = Limits().tag_bytes
RESERVED = frozenset({"instance_id", "start_at"})
"""Keywords of `Orchestration.start`; no orchestration may have a parameter of that name."""


class Starter(Protocol):
    """Who can start a definition; a client."""

    def start_definition(
        self,
        definition: Orchestration[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        instance_id: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Start an instance and return its id; without one, a new id is made."""

    async def astart_definition(
        self,
        definition: Orchestration[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        instance_id: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Async twin of `start_definition`."""


class Definition:
    """A function with a name, and its arguments and result as payloads. Errors of the methods are PayloadErrors."""

    what = "definition"

    def __init__(self, function: Callable[..., Any], name: str, codec: JsonCodec, **parts: Any) -> None:
        wrapper: Any = self
        functools.update_wrapper(wrapper, function)
        self.function = function
        self.name = name
        self.codec = codec
        self._binding = Binding(function, codec=codec, what=f"{self.what} {name!r}", **parts)
        # The engine asks for these at every command.
        self.encode_call: Callable[[tuple[Any, ...], dict[str, Any]], Payload] = self._binding.encode_call
        self.encode_input: Callable[[Any], Payload] = self._binding.encode_input
        self.decode_call: Callable[[Payload], Arguments] = self._binding.decode_call
        self.encode_result: Callable[[Any], Payload] = self._binding.encode_result
        self.decode_result: Callable[[Payload], Any] = self._binding.decode_result

    @functools.cached_property
    def ports(self) -> tuple[Port, ...]:
        """The streams and signals that are provided to the function. Raises: InvalidArgument: a hint says not which."""
        return ports_of(self.function, resolved_hints(self.function)[0])

    @property
    def doc(self) -> str:
        """The function's docstring, cleaned, empty where it has none."""
        return inspect.getdoc(self.function) or ""

    @property
    def signature(self) -> inspect.Signature:
        """The parameters a caller gives, without `ctx`."""
        return self._binding.signature

    def misfits(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with arguments given by name, by parameter; empty where each of them fits its hint."""
        return self._binding.misfits(given)

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the input payload."""
        return self._binding.input_schema()

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the result payload."""
        return self._binding.output_schema()

    def hint_problems(self) -> list[str]:
        """Return what is wrong with the function's type hints, one sentence each."""
        found = self._binding.problems()
        try:
            _ = self.ports
        except InvalidArgument as error:
            found.append(str(error))
        return found


class Orchestration(Definition, Generic[P, R]):
    """A registered orchestration of one version. It is started, not called: `checkout.start(order_id=7)`.

    Attributes:
        codec_name: That of the codec it stores payloads by, None for the project's.
        mode: How its executions come back into memory: by a replay of their history, or from a checkpoint.
        compiled: Its function, compiled so that checkpoints can be taken; None where the mode is replay.
    """

    what = "orchestration"

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        version: str,
        mode: Mode = "replay",
        codec: JsonCodec,
        codec_name: str | None = None,
        registry: Registry,
    ) -> None:
        _refuse_shape(function, self.what)
        _check_ctx(function)
        provided = provided_names(inspect.signature(function))
        super().__init__(function, _checked_name(function, name), codec, skip=1, without=provided)
        self.version = version
        self.codec_name = codec_name
        self.mode = mode
        self.compiled: Compiled | None = compiled(function) if mode == "checkpoint" else None
        self._registry = registry

    @overload
    def start(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    def start(self, *args: Any, instance_id: str | None, start_at: datetime | None = None, **kwargs: Any) -> str: ...
    @overload
    def start(self, *args: Any, start_at: datetime | None, **kwargs: Any) -> str: ...
    def start(self, *args: Any, **kwargs: Any) -> str:
        """Start an instance of this version and return its id; in the caller's transaction, if there is one.

        Args:
            instance_id: The caller's key; a new one is made where none is given.
            start_at: Aware datetime before which it does not run.
        Raises: PayloadError, InstanceAlreadyExists, InvalidArgument. Nothing was written.
        """
        options = {name: kwargs.pop(name) for name in RESERVED & kwargs.keys()}
        return self._registry.starter.start_definition(self, args, kwargs, **options)

    @overload
    async def astart(self, *args: P.args, **kwargs: P.kwargs) -> str: ...
    @overload
    async def astart(
        self, *args: Any, instance_id: str | None, start_at: datetime | None = None, **kwargs: Any
    ) -> str: ...
    @overload
    async def astart(self, *args: Any, start_at: datetime | None, **kwargs: Any) -> str: ...
    async def astart(self, *args: Any, **kwargs: Any) -> str:
        """Async twin of `start`."""
        options = {name: kwargs.pop(name) for name in RESERVED & kwargs.keys()}
        return await self._registry.starter.astart_definition(self, args, kwargs, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse. Raises: InvalidArgument: an orchestration runs in a worker only."""
        raise InvalidArgument(
            f"Orchestration {self.name!r} was called, and is started instead: use start(), or "
            f"ctx.schedule_sub_orchestration() in an orchestration."
        )

    def __repr__(self) -> str:
        return f"<Orchestration {self.name} {self.version}>"


class DurableFunction(Orchestration[P, R]):
    """A compiled function as an orchestration. It is given the context where its first parameter is `ctx`."""

    def __init__(self, function: CompiledFunction, *, codec: JsonCodec, registry: Registry) -> None:
        own = function.wrapped
        takes_context = _takes_context(own)
        Definition.__init__(self, own, _place(own), codec, skip=int(takes_context))
        self.version = DEFAULT_VERSION
        self.codec_name = None
        self.mode = "checkpoint"
        self.compiled = function if takes_context else WithoutContext(function)
        self._registry = registry


class WithoutContext:
    """A compiled function that is called with a context, and leaves it out."""

    def __init__(self, function: CompiledFunction) -> None:
        self._function = function
        self.name = function.name

    def __call__(self, ctx: Any, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityOptions:
    """What `@activity` takes; durations are `timedelta` or int milliseconds.

    Raises: InvalidArgument: a value that cannot mean anything.
    """

    retry: RetryPolicy | None = None
    timeout: Duration | None = None
    total_timeout: Duration | None = None
    tag: str | None = None
    priority: int = 0
    atomic: bool = False

    def __post_init__(self) -> None:
        if self.retry is not None and not isinstance(self.retry, RetryPolicy):
            raise InvalidArgument(f"retry is {self.retry!r:.80}, expected a RetryPolicy, for example RetryPolicy().")
        if self.tag is not None and not (isinstance(self.tag, str) and 0 < len(self.tag.encode()) <= TAG_BYTES):
            raise InvalidArgument(f"tag is {self.tag!r:.80}, expected text of 1 to {TAG_BYTES} bytes, or None.")
        if self.tag == UNTAGGED:
            raise InvalidArgument(f"tag is {self.tag!r}, which stands for activities without a tag. Leave it out.")
        if not isinstance(self.priority, int) or isinstance(self.priority, bool):
            raise InvalidArgument(f"priority is {self.priority!r:.80}, expected a whole number; higher runs first.")
        for name in ("timeout", "total_timeout"):
            if (value := getattr(self, name)) is not None and milliseconds(value, name) == 0:
                raise InvalidArgument(f"{name} is zero, expected a positive duration, or None for no limit.")


class Activity(Definition, Generic[P, R]):
    """A registered activity. Called, it just runs its function; in an orchestration it is scheduled.

    Attributes:
        takes_context: Whether the function's first parameter is an ActivityContext.
        is_async: Whether the function is `async def`.
        is_generator: Whether it yields partial results, `async def` or not.
        atomic: Whether its database writes and its completion are one transaction.
        start_to_close_ms, schedule_to_close_ms: Bounds of one attempt, and of all with their pauses.
    """

    what = "activity"

    def __init__(
        self, function: Callable[..., Any], *, name: str | None, options: ActivityOptions, codec: JsonCodec
    ) -> None:
        _refuse_shape(function, self.what, yields=True)
        self.takes_context = _takes_context(function)
        self.is_generator = is_generator(function)
        self.is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        if options.atomic:
            _refuse_atomic(function)
        # In the payload, a stream is its name.
        provided = provided_names(inspect.signature(function))
        skip = int(self.takes_context)
        parts = {"returns": _state_parameter(function, skip)} if self.is_generator else {}
        super().__init__(function, _checked_name(function, name), codec, skip=skip, as_text=provided, **parts)
        self.options = options
        self.retry = options.retry
        self.tag = options.tag
        self.priority = options.priority
        self.atomic = options.atomic
        self.start_to_close_ms = _bound(options, "timeout")
        self.schedule_to_close_ms = _bound(options, "total_timeout")

    @functools.cached_property
    def reduction(self) -> Reduction | None:
        """How a generator's partial results become its result. Raises: InvalidArgument: its hints do not say."""
        if not self.is_generator:
            return None
        hints, what = resolved_hints(self.function)[0], f"Activity {self.name!r}"
        return reduction_of(self.function, hints, skip=int(self.takes_context), what=what)

    def hint_problems(self) -> list[str]:
        found = super().hint_problems()
        try:
            _ = self.reduction
        except InvalidArgument as error:
            found.append(str(error))
        return found

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, without retries, leases or a record.

        Raises: ForbiddenInOrchestration: called by orchestration code; schedule it there.
        """
        if isinstance(asyncio._get_running_loop(), OrchestrationLoop):
            raise ForbiddenInOrchestration(f"Calling activity {self.name!r} directly")
        result: R = self.function(*args, **kwargs)
        return result

    def __repr__(self) -> str:
        return f"<Activity {self.name}>"


def _bound(options: ActivityOptions, name: str) -> int | None:
    """Return a timeout in ms: the decorator's own, else the retry policy's."""
    value = getattr(options, name)
    if value is None and options.retry is not None:
        value = getattr(options.retry, name)
    return None if value is None else milliseconds(value, name)


def _checked_name(function: Callable[..., Any], name: str | None) -> str:
    """Return the name given, or by default the function's path."""
    if name is None:
        if function.__name__ == "<lambda>":
            raise InvalidArgument("A lambda has no name of its own. Give one, or use def.")
        name = _place(function)
    if not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
        raise InvalidArgument(f"The name is {name!r:.80}, expected 1 to {NAME_LENGTH} printable characters.")
    if is_local(name):
        raise InvalidArgument(f"The name is {name!r:.80}; names that begin with {PREFIX!r} are those of local steps.")
    return name


def _refuse_atomic(function: Callable[..., Any]) -> None:
    if is_generator(function):
        raise InvalidArgument(
            f"{_place(function)} is a generator, whose partial results are stored while it runs. An "
            f"atomic activity stores everything at its end; use return."
        )
    if inspect.iscoroutinefunction(function):
        raise InvalidArgument(f"{_place(function)} is async. An atomic activity is a plain def: so are transactions.")


def _state_parameter(function: Callable[..., Any], skip: int) -> str:
    parameters = list(inspect.signature(function).parameters)[skip:]
    if not parameters:
        raise InvalidArgument(
            f"{_place(function)} is a generator and takes no state. The first parameter of a generator is what its "
            f"partial results are folded into; or return a result instead of yielding."
        )
    return parameters[0]


def _refuse_shape(function: Any, what: str, *, yields: bool = False) -> None:
    if isinstance(function, Definition):
        raise InvalidArgument(f"{_place(function.function)} is already decorated. Use one decorator.")
    if not inspect.isfunction(function):
        raise InvalidArgument(
            f"@{what} takes a function, found {type(function).__name__} {function!r:.80}. Decorate a module-level def."
        )
    if inspect.isasyncgenfunction(function) and not yields:
        raise InvalidArgument(f"{_place(function)} is an async generator. Use async def with await, or def with yield.")
    parameters = list(inspect.signature(function).parameters)
    if parameters and parameters[0] in ("self", "cls"):
        raise InvalidArgument(f"{_place(function)} is a method. Move it out of its class, to the module's level.")


def _check_ctx(function: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        raise InvalidArgument(
            f"{_place(function)} takes no context. The first parameter of an orchestration is ctx: "
            f"def {function.__name__}(ctx, ...)."
        )
    if reserved := RESERVED.intersection(parameter.name for parameter in parameters[1:]):
        raise InvalidArgument(
            f"{_place(function)} has a parameter {sorted(reserved)[0]!r}, which is reserved for start(). Rename it."
        )


def _takes_context(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        return False
    hint = first.annotation
    written = hint if isinstance(hint, str) else getattr(hint, "__name__", "")
    return first.name == "ctx" or written.strip("'\"").rpartition(".")[2] == "ActivityContext"


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
