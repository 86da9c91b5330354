"""The verb for generators: their partial results while they run, and their result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import commands
from .errors import InvalidArgument, StreamClosed
from .program import ActivityCallee, StepCallee
from .streams import Stream

if TYPE_CHECKING:
    from .base import BaseProgram
    from .futures import DurableFuture

_SHORT = 200

P = TypeVar("P")
S = TypeVar("S")


class Partials(Stream[P]):
    """The partial results of a generator. Where it failed, its error is what they end with."""

    def __init__(self, program: BaseProgram, name: str, type: Any, result: DurableFuture[Any]) -> None:
        super().__init__(program, name, type)
        self._result = result

    async def __anext__(self) -> P:
        try:
            return await Stream.__anext__(self)
        except StreamClosed:
            raise self._closing() from None

    def _closing(self) -> BaseException:
        done = self._result.done() and not self._result.cancelled()
        return (self._result.exception() if done else None) or super()._closing()


class Generated(Generic[P, S]):
    """A generator that runs: `partials`, a stream, and `result`, the future of what they are folded into.

    `async with` gives the two, and calls it off where the block ends before it has.
    """

    def __init__(self, partials: Partials[P], result: DurableFuture[S]) -> None:
        self.partials = partials
        self.result = result

    def with_name(self, name: str) -> Generated[P, S]:
        """Let the outside open the stream by this name. No other stream of the execution may have it.

        Raises: InvalidArgument: no name, or the code has been suspended since.
        """
        self.result.with_stream(name)
        self.partials.name = name
        return self

    async def __aenter__(self) -> tuple[Partials[P], DurableFuture[S]]:
        return self.partials, self.result

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.result.cancel()


class GeneratorVerbs(ABC):
    """A part of `OrchestrationContext`."""

    _program: BaseProgram

    @abstractmethod
    def run(self, function: str | Callable[..., Any], *args: Any, **kwargs: Any) -> DurableFuture[Any]: ...

    def stream(self, generator: str | Callable[..., Any], *args: Any, **kwargs: Any) -> Generated[Any, Any]:
        """Run a generator as `run` does, and return its partial results as they come, beside its result.

            async with ctx.stream(write, "", prompt) as (words, text):
                async for word in words:
                    ...
                return await text

        The stream has a name of its own, such as `write-1`, by which the outside opens it, or another one with
        `.with_name("words")`. It ends with the generator, for the reason of its error if there is one.
        Raises: as `run`; InvalidArgument: no generator.
        """
        program = self._program
        result = self.run(generator, *args, **kwargs)
        command = result.command
        assert isinstance(command, commands.ScheduleActivity)
        if command.stream is None:
            result.cancel()
            raise InvalidArgument(f"stream() takes a generator, found {command.name!r}, which returns. Use run().")
        callee = command.step.callee if command.step is not None else program.activity(generator)
        assert callee.reduction is not None
        return Generated(Partials(program, command.stream, callee.reduction.partial, result), result)

    def _stream_of(self, callee: ActivityCallee | StepCallee) -> str | None:
        """Return a name for the stream of a generator that no execution of the instance has used."""
        if callee.reduction is None:
            return None
        execution = self._program.started.execution
        short = callee.name.rpartition(".")[2][:_SHORT]
        return self._program.streams.new_name(short if execution == 1 else f"{short}-{execution}")
