"""What `make_durable` makes of an `async def`."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Awaitable, Callable, Generator
from types import FunctionType, MethodType
from typing import Any

from ..definitions import Orchestration
from ..engine.checkpoint import CompiledFunction, Frame
from ..engine.checkpointed import awaiting
from ..engine.pauses import PauseForEventException, current_program
from ..registry import Registry, default
from .backends import DurableBackend, OrchestrationBackend
from .runtime import DurableRuntime, beside, is_inside
from .stores import InMemoryStateStore


class AlreadyDurableException(TypeError):
    """`make_durable` was given what it has made already."""


class NoSourceCodeException(TypeError):
    """The source of the function cannot be found, as that of one typed into an interpreter."""


class DurableProgram:
    """A durable function. Awaited in one, it is part of it; called anywhere else, it runs as an instance of its own."""

    def __init__(self, function: Callable[..., Any], registry: Registry) -> None:
        functools.update_wrapper(self, function)
        self.compiled: CompiledFunction = registry.durable_function(function)
        self._registry = registry

    def __call__(
        self,
        *args: Any,
        orchestration_backend: OrchestrationBackend | None = None,
        instance_id: str | None = None,
        **kwargs: Any,
    ) -> Awaitable[Any]:
        """Run until the program ends, or pauses.

        Args:
            orchestration_backend: Keeps its state; without one it is kept in memory, for this call.
            instance_id: Of the instance to begin, or to go on with; without one, a new one is begun.
        Raises, awaited: as `DurableRuntime.run`.
        """
        if orchestration_backend is not None or instance_id is not None:
            return self.runtime(orchestration_backend, instance_id).run(*args, **kwargs)
        return self.compiled(*args, **kwargs) if current_program() is not None else Call(self, args, kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def runtime(
        self, orchestration_backend: OrchestrationBackend | None = None, instance_id: str | None = None
    ) -> DurableRuntime:
        """Return what runs one instance of this program."""
        backend = orchestration_backend or DurableBackend(InMemoryStateStore())
        return DurableRuntime(self, backend, instance_id or str(uuid.uuid4()))

    @property
    def orchestration(self) -> Orchestration[..., Any]:
        """The program as an orchestration, which workers run."""
        return self._registry.get_orchestration(self.compiled.name.replace(":", "."))

    def start(self, *args: Any, instance_id: str | None = None, **kwargs: Any) -> str:
        """Start an instance that workers run, and return its id; see `Orchestration.start`."""
        return self.orchestration.start(*args, instance_id=instance_id, **kwargs)

    async def astart(self, *args: Any, instance_id: str | None = None, **kwargs: Any) -> str:
        """Async twin of `start`."""
        return await self.orchestration.astart(*args, instance_id=instance_id, **kwargs)

    def find(self, name: str) -> CompiledFunction:
        """Return a function that a state names. Raises: NotRegistered."""
        if awaiting.owns(name):
            return awaiting.find(name)
        return self._registry.get_durable_function(name)

    def __repr__(self) -> str:
        return f"<DurableProgram {self.compiled.name}>"


class Call:
    """A call of a program that compiled code may turn out to wait for, and that is then part of that code."""

    def __init__(self, program: DurableProgram, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._program = program
        self._args = args
        self._kwargs = kwargs

    def __durable_frame__(self) -> Frame:
        """Return the frame of the call; see `engine.checkpointed.awaiting`."""
        return self._program.compiled(*self._args, **self._kwargs)

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield from self._program.runtime().run(*self._args, **self._kwargs).__await__())
        except PauseForEventException as paused:
            if is_inside():
                raise beside(paused.event) from None
            raise


def make_durable(function: Callable[..., Any], *, registry: Registry | None = None) -> DurableProgram:
    """Make an `async def` durable: it may pause for events, and goes on where it stood.

    Raises: AlreadyDurableException, NoSourceCodeException.
        NotCompilable: the text says where and what to write instead.
    """
    if isinstance(function, DurableProgram):
        raise AlreadyDurableException(f"{function!r} is durable already.")
    try:
        if isinstance(function, FunctionType):
            inspect.getsource(function.__code__)
    except OSError as error:
        raise NoSourceCodeException(f"The source of {function!r} is not found. Put it into a file.") from error
    return DurableProgram(function, registry or default)
