"""Streams from outside: reading from any position, sending, closing. Signals are sent in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, overload

from ..engine.durations import Duration
from ..engine.errors import InvalidArgument, NotRegistered
from ..engine.streams import reason_text
from ..store import queries, streamreads, streams, streamtrims
from ..store.streamreads import ItemExcerpt, PageRecord, StreamRecord
from ..store.streamtrims import TrimResult
from .base import ClientBase
from .openstreams import AsyncStreamReader, AsyncStreamSender, StreamReader, StreamSender
from .twins import twin, waits
from .waits import Wait

LARGEST_POSITION = 2**63 - 1
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItem:
    """One item of a stream, decoded. Reading on from its position gives what comes after it."""

    position: int
    value: Any
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """Items of a stream, and the position to read on from. `ended` says that nothing follows, `reason` why, if told.

    `first_position` is that of the first item that is kept, see `Client.trim_stream`.
    """

    items: tuple[StreamItem, ...]
    position: int
    first_position: int
    ended: bool
    reason: str | None


class Streaming(ClientBase):
    """The methods that read and write streams. A stream that nothing was sent on yet is empty."""

    def list_streams(self, instance_id: str) -> list[StreamRecord]:
        """Return the streams of an instance, by name. Raises: InstanceNotFound."""
        return streamreads.streams_of(self._checked_id(instance_id), using=self.using)

    def survey_items(
        self, id: int, below: Mapping[str, int | None], *, limit: int, characters: int, instance_id: str = ""
    ) -> list[ItemExcerpt]:
        """Return the newest items of streams, below a position each where one is given, in order; by one query.

        Args:
            id: Surrogate id, as in a status record.
            characters: Of each payload.
        """
        return streamreads.newest_items(id, below, limit=limit, characters=characters, using=self.using)

    @waits
    def read_stream(
        self,
        instance_id: str,
        name: str,
        *,
        after: int | None = None,
        limit: int = 100,
        type: Any = None,
        timeout: Duration = 0,
    ) -> Wait[PageRecord, StreamPage]:
        """Return the items after a position, waiting for one where there is none yet.

        Args:
            after: The position of the last item seen; None reads from the first that is kept.
            type: What items are decoded as; by default what the orchestration's parameter of that name says.
            timeout: `timedelta`, or int milliseconds; zero does not wait.
        Returns: an empty page where the time was over.
        Raises: InstanceNotFound, InvalidArgument, PayloadError. WaitInsideTransaction.
            StreamTrimmed: not all that comes after the position is kept.
        """
        read = self._page_reader(instance_id, name, after, limit)
        decode = self._item_decoder(instance_id, name, type)

        def page(record: PageRecord) -> StreamPage:
            return StreamPage(
                items=tuple(
                    StreamItem(position=each.position, value=decode(each.payload), created_at=each.created_at)
                    for each in record.items
                ),
                position=record.position,
                first_position=record.first_position,
                ended=record.ended,
                reason=record.reason,
            )

        return Wait(
            read, lambda record: (page(record),) if _tells(record) else None, page, timeout=timeout, using=self.using
        )

    @waits
    def read_stream_record(
        self, instance_id: str, name: str, *, after: int | None = None, limit: int = 100, timeout: Duration = 0
    ) -> Wait[PageRecord, PageRecord]:
        """As `read_stream`, with payloads as JSON text; needs nothing of the code of the orchestration."""
        read = self._page_reader(instance_id, name, after, limit)
        return Wait(
            read,
            lambda record: (record,) if _tells(record) else None,
            lambda record: record,
            timeout=timeout,
            using=self.using,
        )

    def trim_stream(
        self, instance_id: str, name: str, *, before: int | None = None, keep: int | None = None
    ) -> TrimResult:
        """Delete the items before a position, or all but the newest `keep`. Other senders wait meanwhile.

        It stops before what the code of the instance, where it reads the stream, has yet to read, and before what an
        activity has sent that has not ended. Whoever else reads on from before what is kept is told: StreamTrimmed.
        Raises: InstanceNotFound. InvalidArgument: neither or both were given.
        """
        instance_id, name = self._checked_id(instance_id), self._checked_name(name, "stream name")
        if (before is None) == (keep is None):
            raise InvalidArgument(f"before is {before!r:.80} and keep is {keep!r:.80}, expected one of them.")
        if before is not None:
            checked_count(before, "before", 0, LARGEST_POSITION)
        if keep is not None:
            checked_count(keep, "keep", 0, LARGEST_POSITION)
        return streamtrims.trim(instance_id, name, before=before, keep=keep, using=self.using)

    def send_to_stream(self, instance_id: str, name: str, *values: Any) -> int:
        """Append items to a stream, or send a signal; the instance may not have started or opened it yet.

        Other senders on this stream wait until the caller's transaction, if there is one, has ended.
        Returns: the position of the last item.
        Raises:
            InstanceNotFound.
            IllegalTransition: the instance has finished.
            StreamClosed.
            PayloadError, InvalidArgument: the argument that the message names. Nothing was written.
        """
        what = f"The item for stream {self._checked_name(name, 'stream name')!r}"
        if not values:
            raise InvalidArgument("There is nothing to send. Give one value or more; None is one.")
        payloads = [self.registry.codec.encode(value, what) for value in values]
        return streams.append(self._checked_id(instance_id), name, payloads, now=self._clock(), using=self.using)

    def close_stream(self, instance_id: str, name: str, reason: str | BaseException | None = None) -> None:
        """End a stream: its readers get what is there, then its end. With a reason they raise StreamClosed.

        Raises: as `send_to_stream`.
        """
        text = self.registry.codec.plain.encode(reason_text(reason))
        self._checked_name(name, "stream name")
        streams.append(self._checked_id(instance_id), name, [], reason=text, now=self._clock(), using=self.using)

    @overload
    def open_stream(
        self, instance_id: str, name: str, mode: Literal["r"] = "r", *, type: Any = None, after: int | None = None
    ) -> StreamReader[Any]: ...
    @overload
    def open_stream(self, instance_id: str, name: str, mode: Literal["w"]) -> StreamSender[Any]: ...
    def open_stream(
        self, instance_id: str, name: str, mode: str = "r", *, type: Any = None, after: int | None = None
    ) -> StreamReader[Any] | StreamSender[Any]:
        """Open a stream by name, to read it (`"r"`) or to send on it (`"w"`), before or after its instance has.

        Raises: InvalidArgument. What it returns raises the same as `read_stream` and `send_to_stream`.
        """
        instance_id, name = self._checked_id(instance_id), self._checked_name(name, "stream name")
        if _checked_mode(mode) == "w":
            return StreamSender(self, instance_id, name)
        return StreamReader(self, instance_id, name, type, _checked_position(after))

    @overload
    async def aopen_stream(
        self, instance_id: str, name: str, mode: Literal["r"] = "r", *, type: Any = None, after: int | None = None
    ) -> AsyncStreamReader[Any]: ...
    @overload
    async def aopen_stream(self, instance_id: str, name: str, mode: Literal["w"]) -> AsyncStreamSender[Any]: ...
    async def aopen_stream(
        self, instance_id: str, name: str, mode: str = "r", *, type: Any = None, after: int | None = None
    ) -> AsyncStreamReader[Any] | AsyncStreamSender[Any]:
        """Async twin of `open_stream`: what it returns is awaited, and iterated with `async for`."""
        instance_id, name = self._checked_id(instance_id), self._checked_name(name, "stream name")
        if _checked_mode(mode) == "w":
            return AsyncStreamSender(self, instance_id, name)
        return AsyncStreamReader(self, instance_id, name, type, _checked_position(after))

    def item_type(self, instance_id: str, name: str) -> Any:
        """Return what the orchestration of an instance says that a stream's items are, Any where it says nothing.

        Raises: InstanceNotFound.
        """
        record = queries.status_of(self._checked_id(instance_id), using=self.using)
        try:
            ports = self.registry.get_orchestration(record.orchestration, record.version).ports
        except (NotRegistered, InvalidArgument):
            return Any
        return next((port.type for port in ports if port.name == name), Any)

    def _page_reader(self, instance_id: str, name: str, after: int | None, limit: int) -> Callable[[], PageRecord]:
        instance_id, name, using = self._checked_id(instance_id), self._checked_name(name, "stream name"), self.using
        after = _checked_position(after)
        checked_count(limit, "limit", 1, MOST_AT_ONCE)
        return lambda: streamreads.page_of(instance_id, name, after=after, limit=limit, using=using)

    def _item_decoder(self, instance_id: str, name: str, type: Any) -> Callable[[str], Any]:
        found = [] if type is None else [type]

        def decode(payload: str) -> Any:
            if not found:
                found.append(self.item_type(instance_id, name))
            return self._decoded(payload, found[0])

        return decode

    alist_streams = twin(list_streams)
    asurvey_items = twin(survey_items)
    aread_stream = twin(read_stream)
    aread_stream_record = twin(read_stream_record)
    atrim_stream = twin(trim_stream)
    asend_to_stream = twin(send_to_stream)
    aclose_stream = twin(close_stream)
    aitem_type = twin(item_type)


def _tells(record: PageRecord) -> bool:
    return bool(record.items) or record.ended


def _checked_position(after: int | None) -> int | None:
    return None if after is None else checked_count(after, "after", 0, LARGEST_POSITION)


def checked_count(value: object, what: str, least: int, most: int) -> int:
    """Return a whole number. Raises: InvalidArgument: it is none, or out of bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidArgument(f"{what} is {value!r:.80}, expected a whole number from {least:,} to {most:,}.")
    return value


def _checked_mode(mode: object) -> str:
    if mode == "r":
        return "r"
    if mode == "w":
        return "w"
    raise InvalidArgument(f"mode is {mode!r:.80}, expected 'r' to read or 'w' to send.")
