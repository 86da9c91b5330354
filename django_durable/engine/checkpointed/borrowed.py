"""How asyncio's own objects are written and made again: timeouts, locks, queues, task groups, gather and shield.

What they keep is in their attributes, and their coroutine functions are compiled as an author's are (see `awaiting`),
so nothing here follows what they do. Two exceptions: `gather` and `shield` return futures whose callbacks close over
each other; those two are called again, with what they were called with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import FunctionType, MethodType, TracebackType
from typing import Any

from ..loop import DurableTimerHandle, OrchestrationFuture
from . import futures
from .parts import Kind, Loading, Saving

KEPT = (
    *(asyncio.Timeout, asyncio.TaskGroup, asyncio.Event, asyncio.Lock, asyncio.Condition, asyncio.Barrier),
    *(asyncio.Semaphore, asyncio.BoundedSemaphore, asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue),
)
_TYPES = {kind.__qualname__: kind for kind in KEPT}
METHOD, VALUE = "method", "value"


class Objects:
    """Objects of asyncio that are no futures, by their attributes."""

    name = "object"

    def owns(self, part: Any) -> bool:
        return type(part) in KEPT

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return [type(part).__qualname__]

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        return {name: _written(value) for name, value in vars(part).items()}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        kind: Any = _TYPES[scalars[0]]
        return kind.__new__(kind)

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        for name, value in state.items():
            setattr(part, name, _read(value))


class Handles:
    """What `call_later` returns: an asyncio timeout keeps one."""

    name = "handle"

    def owns(self, part: Any) -> bool:
        return isinstance(part, DurableTimerHandle)

    def scalars(self, part: DurableTimerHandle, saving: Saving) -> Sequence[Any]:
        return [part.when()]

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        if part.cancelled():
            return {"timer": None}
        return {"timer": part.timer, "callback": _written(part._callback), "args": list(part._args)}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> DurableTimerHandle:
        handle = DurableTimerHandle(scalars[0], print, (), loading.program.loop)
        handle.timer = None
        return handle

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        part.timer = state["timer"]
        if part.timer is None:
            asyncio.Handle.cancel(part)
        else:
            part._callback, part._args = _read(state["callback"]), tuple(state["args"])


class Gathers:
    """What `asyncio.gather` returns."""

    name = "gather"

    def owns(self, part: Any) -> bool:
        return type(part) is asyncio.tasks._GatheringFuture  # type: ignore[attr-defined]

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        if part.done():
            return []
        waiting = next(each for each in part._children if not each.done())
        own = next(each for each, _ in waiting._callbacks if futures.outer_of(each) is part)
        return [_closed_over(own, "return_exceptions"), [saving.reference(child) for child in part._children]]

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        outcome, callbacks = futures.outcome_of(part), futures.callbacks_of(part)
        return {"outcome": outcome, "callbacks": callbacks, "canceled": part._cancel_requested}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        if not scalars:
            return OrchestrationFuture(loop=loading.program.loop)
        return_exceptions, children = scalars
        return asyncio.gather(*map(loading.resolve, children), return_exceptions=return_exceptions)

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        part._cancel_requested = state["canceled"]
        futures.settle(part, state["outcome"])


class Shields:
    """What `asyncio.shield` returns while its inner future waits."""

    name = "shield"

    def owns(self, part: Any) -> bool:
        return type(part) is OrchestrationFuture and self._inner(part) is not None

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return [hash(part), saving.reference(self._inner(part))]

    def state(self, part: Any, saving: Saving) -> dict[str, Any]:
        return {"outcome": futures.outcome_of(part), "callbacks": futures.callbacks_of(part)}

    def shell(self, scalars: Sequence[Any], loading: Loading) -> Any:
        outer: Any = asyncio.shield(loading.resolve(scalars[1]))
        outer._order = scalars[0]
        return outer

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        """Nothing is left to do: it waits."""

    def _inner(self, part: Any) -> Any:
        for callback, _ in part._callbacks or ():
            if getattr(callback, "__name__", "") == "_outer_done_callback":
                return _closed_over(callback, "inner")
        return None


class Tracebacks:
    """Tracebacks, which are not kept: `__aexit__` of asyncio's objects is given one."""

    name = "traceback"

    def owns(self, part: Any) -> bool:
        return isinstance(part, TracebackType)

    def scalars(self, part: Any, saving: Saving) -> Sequence[Any]:
        return []

    def state(self, part: Any, saving: Saving) -> None:
        return None

    def shell(self, scalars: Sequence[Any], loading: Loading) -> None:
        return None

    def fill(self, part: Any, state: Any, loading: Loading) -> None:
        """Nothing is left to do."""


def _written(value: Any) -> list[Any]:
    """Return an attribute as values of the graph; a bound method by its object and name."""
    return [METHOD, value.__self__, value.__name__] if isinstance(value, MethodType) else [VALUE, value]


def _read(written: Sequence[Any]) -> Any:
    match written:
        case [str(kind), owner, str(name)] if kind == METHOD:
            return getattr(owner, name)
        case [_, value]:
            return value


def _closed_over(function: FunctionType, name: str) -> Any:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))[name].cell_contents


KINDS: tuple[Kind, ...] = (Shields(), Gathers(), Objects(), Handles(), Tracebacks())
