"""Streams of a job by name, opened before or after it is started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any


class Port:
    """A stream of an instance, to be read or sent on. Awaiting it gives it back: Duron has it both ways.

    What it does waits until the instance is stored.
    """

    def __init__(self, opening: Callable[[], Awaitable[Any]]) -> None:
        self._opening = opening
        self._opened: Any = None

    def __await__(self) -> Generator[Any, Any, Port]:
        return self._itself().__await__()

    async def _itself(self) -> Port:
        return self

    async def _stream(self) -> Any:
        if self._opened is None:
            self._opened = await self._opening()
        return self._opened

    async def send(self, *values: Any) -> int:
        """Send values, and return the position of the last."""
        sent: int = await (await self._stream()).send(*values)
        return sent

    async def close(self, reason: str | BaseException | None = None) -> None:
        """Close the stream; who reads it is told."""
        await (await self._stream()).close(reason)

    async def next(self, *, block: bool = True) -> tuple[Any, ...]:
        """Return what has come since the last time; with `block`, wait until something has."""
        found: tuple[Any, ...] = await (await self._stream()).next(block=block)
        return found

    async def collect(self) -> list[Any]:
        """Return everything until the stream is closed."""
        return [item async for item in self]

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for item in await self._stream():
            yield item

    async def __aenter__(self) -> Port:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
