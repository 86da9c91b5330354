"""Streams that were opened by name: a position to go on from, or a place to send to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engine.durations import Duration
from ..engine.errors import StreamClosed, WaitTimeout
from ..engine.readable import Readable, end_of

if TYPE_CHECKING:
    from .streaming import Streaming, StreamPage

T = TypeVar("T")
ONE_WAIT = timedelta(seconds=30)


class _Reading(Generic[T]):
    """What readers share: where they are, and what they have fetched and not given yet.

    Attributes:
        position: Of the last item that was given. Open the stream `after` it to go on later, in another process too.
    """

    def __init__(self, client: Streaming, instance_id: str, name: str, type: Any, after: int | None) -> None:
        self._client = client
        self._place = (instance_id, name)
        self._type = type
        self.name = name
        self.position = after or 0
        self._fetched_to = after
        self._unread: list[tuple[int, T]] = []
        self._ended = False
        self._reason: str | None = None

    def _keep(self, page: StreamPage) -> None:
        self._unread += [(each.position, each.value) for each in page.items]
        self._fetched_to, self._ended, self._reason = page.position, page.ended, page.reason

    def _take(self) -> T:
        self.position, value = self._unread.pop(0)
        return value

    def _take_all(self, block: bool) -> tuple[T, ...]:
        if not self._unread and self._ended and (block or self._reason is not None):
            raise StreamClosed(self.name, self._fetched_to or 0, self._reason)
        return tuple(self._take() for _ in range(len(self._unread)))

    def _next_read(self, timeout: Duration) -> dict[str, Any]:
        return {"after": self._fetched_to, "type": self._type, "timeout": timeout}

    def _late(self) -> WaitTimeout:
        return WaitTimeout(
            f"Nothing came on stream {self.name!r} of {self._place[0]!r} in time. Read on to wait again."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._place[0]!r} after {self.position}>"


class StreamReader(_Reading[T]):
    """Reads a stream: a batch with `next`, item by item in a `for` loop, to its end with `collect`."""

    def next(self, *, block: bool = True, timeout: Duration | None = None) -> tuple[T, ...]:
        """Return the items that are there; wait for one at least, unless `block` is False.

        Raises: StreamClosed: there is nothing any more. WaitTimeout: nothing came in `timeout`.
        """
        while not self._unread and not self._ended:
            wait = ONE_WAIT if timeout is None else timeout
            self._keep(self._client.read_stream(*self._place, **self._next_read(wait if block else 0)))
            if not block:
                break
            if timeout is not None and not self._unread and not self._ended:
                raise self._late()
        return self._take_all(block)

    def __iter__(self) -> Iterator[T]:
        """Yield items until the stream, or its instance, has ended. Raises: StreamClosed: a reason was given."""
        while True:
            while self._unread:
                yield self._take()
            if self._ended:
                break
            self._keep(self._client.read_stream(*self._place, **self._next_read(ONE_WAIT)))
        if self._reason is not None:
            raise StreamClosed(self.name, self._fetched_to or 0, self._reason)

    def collect(self) -> list[T]:
        """Read to the end and return all items. Raises: StreamClosed: it was closed with a reason."""
        return list(self)

    def __enter__(self) -> StreamReader[T]:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do: a reader holds nothing."""


class AsyncStreamReader(_Reading[T], Readable[T]):
    """Async twin of `StreamReader`."""

    async def next(self, *, block: bool = True, timeout: Duration | None = None) -> tuple[T, ...]:
        """Async twin of `StreamReader.next`."""
        while not self._unread and not self._ended:
            wait = ONE_WAIT if timeout is None else timeout
            self._keep(await self._client.aread_stream(*self._place, **self._next_read(wait if block else 0)))
            if not block:
                break
            if timeout is not None and not self._unread and not self._ended:
                raise self._late()
        return self._take_all(block)

    async def __anext__(self) -> T:
        while not self._unread:
            if self._ended:
                raise end_of(self.name, self._fetched_to or 0, self._reason)
            self._keep(await self._client.aread_stream(*self._place, **self._next_read(ONE_WAIT)))
        return self._take()

    async def __aenter__(self) -> AsyncStreamReader[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing to do: a reader holds nothing."""


class _Sending(Generic[T]):
    def __init__(self, client: Streaming, instance_id: str, name: str) -> None:
        self._client = client
        self._place = (instance_id, name)
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._place[0]!r}>"


class StreamSender(_Sending[T]):
    """Sends on a stream, or a signal. A `with` block closes it at its end, with the error if there is one."""

    def send(self, *values: T) -> int:
        """Append items and return the position of the last. Raises: as `Client.send_to_stream`."""
        return self._client.send_to_stream(*self._place, *values)

    def close(self, reason: str | BaseException | None = None) -> None:
        """End the stream. Raises: as `Client.close_stream`."""
        self._client.close_stream(*self._place, reason)

    def __enter__(self) -> StreamSender[T]:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(error)


class AsyncStreamSender(_Sending[T]):
    """Async twin of `StreamSender`."""

    async def send(self, *values: T) -> int:
        """Async twin of `StreamSender.send`."""
        return await self._client.asend_to_stream(*self._place, *values)

    async def close(self, reason: str | BaseException | None = None) -> None:
        """Async twin of `StreamSender.close`."""
        await self._client.aclose_stream(*self._place, reason)

    async def __aenter__(self) -> AsyncStreamSender[T]:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        await self.close(error)
