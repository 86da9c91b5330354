"""Callables that no registry has, as `ctx.run` takes them: what they are called, how they run, what they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from .codec import JsonCodec
from .codec.hints import resolved_hints, result_hint
from .codec.json import decoder
from .definitions import NAME_LENGTH, Orchestration
from .engine.errors import InvalidArgument, PayloadError
from .engine.events import Payload
from .engine.reducing import Reduction, is_generator, reduction_of
from .engine.steps import PREFIX


class Step:
    """A callable that runs as a local step.

    Its results are decoded by the return hint; a hint that cannot be used allows every value.

    Attributes:
        is_async: Whether calling it makes a coroutine. What only returns one, as a lambda may, is awaited as well.
    Raises: InvalidArgument: it cannot be called, is what another verb is for, or is a generator without Reducer.
    """

    def __init__(self, function: Any, codec: JsonCodec) -> None:
        _refuse(function)
        self.function: Callable[..., Any] = function
        self._codec = codec
        self._code = _code(function)
        self.is_async = inspect.iscoroutinefunction(self._code) or inspect.isasyncgenfunction(self._code)
        self.name = f"{PREFIX}{_path(self._code)}"[:NAME_LENGTH]
        self._result = f"The result of {self.name!r}"
        self.reduction = self._reduction()

    def encode_result(self, value: Any) -> Payload:
        return self._codec.encode(value, self._result)

    def decode_result(self, payload: Payload) -> Any:
        return self._codec.decode(payload, self._returns, self._result)

    def _reduction(self) -> Reduction | None:
        if not is_generator(self._code):
            return None
        return reduction_of(
            self.function,
            resolved_hints(self._code)[0],
            skip=0,
            what=f"run(): {self.name!r}",
            default=getattr(self._code, "default_reducer", None),
        )

    @cached_property
    def _returns(self) -> Any:
        if self.reduction is not None:
            return self.reduction.state
        if isinstance(self._code, type) or not hasattr(self._code, "__annotations__"):
            return Any
        hint = result_hint(resolved_hints(self._code)[0].get("return", Any))
        try:
            decoder(hint)
        except PayloadError:
            return Any
        return hint


def _code(function: Any) -> Any:
    """Return the function behind a partial, a method or an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def _path(code: Any) -> str:
    """Return where the code stands, for example `shop.workflows.checkout.<locals>.<lambda>`."""
    module = getattr(code, "__module__", None)
    name = str(getattr(code, "__qualname__", type(code).__qualname__))
    return f"{module}.{name}" if module else name


def _refuse(function: Any) -> None:
    shown = f"{function!r:.80}"
    if isinstance(function, Orchestration):
        raise InvalidArgument(
            f"run() takes an activity or any callable, found orchestration {function.name!r}. Use "
            f"schedule_sub_orchestration()."
        )
    if inspect.isawaitable(function):
        if inspect.iscoroutine(function):
            function.close()  # It will not be awaited, which is no news to anybody.
        raise InvalidArgument(
            f"run() takes a callable and its arguments, found {shown}, the result of a call. Write run(f, x) instead "
            f"of run(f(x))."
        )
    if not callable(function):
        raise InvalidArgument(f"run() takes an activity's name or a callable, found {shown}.")
