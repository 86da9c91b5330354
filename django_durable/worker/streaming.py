"""Streams in activities and local steps: parameters that are `Provided`, and writers handed over by the orchestration.

What an activity sends is stored at once, guarded by its lease. An atomic one's items are kept until its function has
returned, and committed with its completion: the stream is not locked while it runs, and nothing is sent that did not
happen. Any other activity that is tried again finds what it has sent: `writer.sent()` counts it, over all attempts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async

from ..codec import JsonCodec
from ..engine.errors import InvalidArgument
from ..engine.events import Payload
from ..engine.ports import Marker, Port
from ..engine.signals import Signal
from ..engine.streams import Stream, StreamWriter, reason_text
from ..store import streams
from .attempts import Attempt
from .clock import Clock
from .lookup import RunnableActivity

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Unsent(NamedTuple):
    """What an atomic activity has sent and its commit will store."""

    name: str
    payloads: list[Payload]
    reason: Payload | None


class ActivityStreams:
    """Opens the streams of one attempt."""

    def __init__(
        self, attempt: Attempt, *, atomic: bool, codec: JsonCodec, client: Callable[[], Any], clock: Clock, using: str
    ) -> None:
        self._attempt = attempt
        self._atomic = atomic
        self._codec = codec
        self._client = client
        self._clock = clock
        self._using = using

    async def fill_in(self, activity: RunnableActivity, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Return the arguments with streams where the function expects them. Does not suspend.

        Raises: InvalidArgument: a signal, which only interrupts orchestrations; or a hint does not say what it is.
        """
        handed_over = any(isinstance(each, StreamWriter | Stream) for each in (*args, *kwargs.values()))
        if handed_over:  # To a local step: a registered activity gets names.
            args = tuple([await self._opened(each, activity.is_async) for each in args])
            kwargs = {name: await self._opened(each, activity.is_async) for name, each in kwargs.items()}
        if not activity.ports:
            return args, kwargs
        signature = inspect.signature(activity.function)
        leading = (None,) if activity.takes_context else ()
        bound = signature.bind(*leading, *args, **kwargs)
        for port in activity.ports:
            given = bound.arguments.get(port.name)
            name = port.name if given is None or isinstance(given, Marker) else given
            bound.arguments[port.name] = await self._open(port, name, activity.is_async)
        return bound.args[len(leading) :], bound.kwargs

    async def _opened(self, argument: Any, is_async: bool) -> Any:
        if isinstance(argument, StreamWriter):
            return await self._open(Port(argument.name, StreamWriter, Any), argument.name, is_async)
        if isinstance(argument, Stream):
            return await self._open(Port(argument.name, Stream, argument.type), argument.name, is_async)
        return argument

    async def _open(self, port: Port, name: str, is_async: bool) -> Any:
        if port.kind is Signal:
            raise InvalidArgument(f"{port.name!r} is a signal, and interrupts orchestrations only. Use is_cancelled().")
        if port.kind is StreamWriter:
            writer = ActivityStreamWriter(self, name)
            return AsyncActivityStreamWriter(writer) if is_async else writer
        client, instance_id = self._client(), self._attempt.task.instance_id
        if is_async:
            return await client.aopen_stream(instance_id, name, "r", type=port.type)
        return client.open_stream(instance_id, name, "r", type=port.type)

    def append(self, name: str, values: tuple[Any, ...], reason: Payload | None = None) -> None:
        """Store items, or keep them where the activity is atomic."""
        task = self._attempt.task
        payloads = [self._codec.seal_like(task.input, self._codec.plain.encode(value)) for value in values]
        if self._atomic:
            self._attempt.unsent.append(Unsent(name, payloads, reason))
        else:
            self._store(Unsent(name, payloads, reason))

    def close(self, name: str, reason: str | BaseException | None) -> None:
        self.append(name, (), self._codec.plain.encode(reason_text(reason)))

    def sent(self, name: str) -> int:
        unsent = sum(len(each.payloads) for each in self._attempt.unsent if each.name == name)
        return unsent + streams.count_sent(self._attempt.task.key, name, using=self._using)

    def flush(self) -> None:
        """Store what an atomic activity has sent, in its transaction, streams in the order of their names.

        Raises: LeaseLost, StreamClosed: roll back.
        """
        for each in sorted(self._attempt.unsent, key=lambda each: each.name):
            self._store(each)

    def _store(self, unsent: Unsent) -> None:
        task = self._attempt.task
        streams.append_from_activity(
            *(task.key, task.lease_token, unsent.name, unsent.payloads),
            reason=unsent.reason,
            now=self._clock.now(),
            using=self._using,
        )


class ActivityStreamWriter:
    """Sends on a stream of the instance. A `with` block closes it at its end, with the error if there is one."""

    def __init__(self, streams: ActivityStreams, name: str) -> None:
        self._streams = streams
        self.name = name

    def send(self, *values: Any) -> None:
        """Append items. Raises: PayloadError. StreamClosed. LeaseLost: the activity is canceled; let it end."""
        self._streams.append(self.name, values)

    def close(self, reason: str | BaseException | None = None) -> None:
        """End the stream; its readers raise StreamClosed where there is a reason. Raises: as `send`."""
        self._streams.close(self.name, reason)

    def sent(self) -> int:
        """Return how many items this activity has sent so far, those of attempts that failed or died included."""
        return self._streams.sent(self.name)

    def __enter__(self) -> ActivityStreamWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(error)


class AsyncActivityStreamWriter:
    """Async twin of `ActivityStreamWriter`."""

    def __init__(self, writer: ActivityStreamWriter) -> None:
        self._writer = writer
        self.name = writer.name

    async def send(self, *values: Any) -> None:
        """Async twin of `ActivityStreamWriter.send`."""
        await sync_to_async(self._writer.send)(*values)

    async def close(self, reason: str | BaseException | None = None) -> None:
        """Async twin of `ActivityStreamWriter.close`."""
        await sync_to_async(self._writer.close)(reason)

    async def sent(self) -> int:
        """Async twin of `ActivityStreamWriter.sent`."""
        return await sync_to_async(self._writer.sent)()

    async def __aenter__(self) -> AsyncActivityStreamWriter:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        await self.close(error)
