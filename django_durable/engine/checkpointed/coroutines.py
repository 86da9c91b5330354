"""What the tasks of a checkpointed program run: coroutines whose insides can be taken out and put back."""

from __future__ import annotations

from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..events import Payload
from ..program import OrchestrationCallee
from ..spans import use_book

if TYPE_CHECKING:
    import asyncio

    from ..base import BaseProgram

Frame = Coroutine[Any, Any, Any]


class Root(Coroutine[Any, Any, Payload]):
    """Runs an orchestration's function from its encoded input to its encoded output."""

    def __init__(self, definition: OrchestrationCallee, frame: Frame | None = None) -> None:
        self._definition = definition
        self.frame = frame
        self._call: tuple[BaseProgram, Payload] | None = None

    @classmethod
    def of_call(cls, program: BaseProgram, payload: Payload) -> Root:
        """Return one that calls the function at its first step."""
        root = cls(program.definition)
        root._call = program, payload
        return root

    def send(self, value: Any) -> Any:
        if self.frame is None:
            assert self._call is not None
            (program, payload), self._call = self._call, None
            if program.spans is not None:
                use_book(program.spans)
            args, kwargs = program.call_arguments(payload)
            assert self._definition.compiled is not None
            self.frame = self._definition.compiled(program.context, *args, **kwargs)
        assert self.frame is not None
        try:
            return self.frame.send(value)
        except StopIteration as stop:
            result = stop.value
        raise StopIteration(self._definition.encode_result(result))

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Any:
        error = kind if isinstance(kind, BaseException) else kind(value)
        if self.frame is None:
            raise error
        try:
            return self.frame.throw(error)
        except StopIteration as stop:
            result = stop.value
        raise StopIteration(self._definition.encode_result(result))

    def close(self) -> None:
        if self.frame is not None:
            self.frame.close()

    def __await__(self) -> Any:
        raise TypeError("The root of an execution is run by a task and awaited by nothing.")


class Resumed(Coroutine[Any, Any, Any]):
    """What a loaded task runs: nothing until `gate` is open, then `inner`, from where that stands.

    A task without `inner` has ended; it ends again, by `outcome`.
    """

    def __init__(self) -> None:
        self.gate: asyncio.Future[None] | None = None
        self.inner: Coroutine[Any, Any, Any] | None = None
        self.error: BaseException | None = None
        self.result: Any = None

    def send(self, value: Any) -> Any:
        if self.gate is not None:
            gate, self.gate = self.gate, None
            return next(gate.__await__())
        if self.inner is not None:
            return self.inner.send(None)
        if self.error is not None:
            raise self.error
        raise StopIteration(self.result)

    def throw(self, *args: Any) -> Any:
        if self.inner is None:
            raise args[0]
        return self.inner.throw(*args)

    def close(self) -> None:
        if self.inner is not None:
            self.inner.close()

    def __await__(self) -> Any:
        raise TypeError("What a task runs is awaited by nothing else.")
