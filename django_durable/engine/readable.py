"""What can be read as a stream: by the batch, item by item, to its end, through functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from .errors import StreamClosed

T = TypeVar("T")
U = TypeVar("U")


class Readable(ABC, Generic[T]):
    """Something to read. What ends with a reason raises StreamClosed; without one, iteration just ends."""

    @abstractmethod
    def next(self, *, block: bool = True) -> Awaitable[tuple[T, ...]]:
        """Return the items that are there, to be awaited or yielded; wait for one at least, unless `block` is False.

        What it returns raises StreamClosed after the last item.
        """

    @abstractmethod
    async def __anext__(self) -> T: ...

    def __aiter__(self) -> Readable[T]:
        return self

    async def collect(self) -> list[T]:
        """Read to the end and return all items. Raises: StreamClosed: it was closed with a reason."""
        return [item async for item in self]

    async def discard(self) -> None:
        """Read to the end. Raises: as `collect`."""
        async for _ in self:
            pass

    def map(self, function: Callable[[T], U]) -> Readable[U]:
        """Return what reads the items as `function` returns them. It is called anew by every replay."""
        return View(self, function, keeps=False)

    def filter(self, function: Callable[[T], object]) -> Readable[T]:
        """Return what reads only the items for which `function` is true. It is called anew by every replay."""
        return View(self, function, keeps=True)


class View(Readable[U]):
    """Reads another one through a function: the items it makes, or, where it `keeps`, those it is true for."""

    def __init__(self, source: Readable[Any], function: Callable[[Any], Any], *, keeps: bool) -> None:
        self._source = source
        self._function = function
        self._keeps = keeps

    def next(self, *, block: bool = True) -> Awaitable[tuple[U, ...]]:
        return self._next(block)

    async def _next(self, block: bool) -> tuple[U, ...]:
        while True:
            found = [each for item in await self._source.next(block=block) for each in self._seen(item)]
            if found or not block:
                return tuple(found)

    async def __anext__(self) -> U:
        while True:
            for each in self._seen(await self._source.__anext__()):
                return each

    def _seen(self, item: Any) -> tuple[U, ...]:
        if self._keeps:
            return (item,) if self._function(item) else ()
        return (self._function(item),)


def end_of(name: str, position: int, reason: str | None) -> StreamClosed | StopAsyncIteration:
    """Return what iteration raises at the end of a stream."""
    return StopAsyncIteration() if reason is None else StreamClosed(name, position, reason)
