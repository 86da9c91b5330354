"""Streams as orchestration code reads and writes them.

Theory of operation. A read issues a command; the host looks for items after the position, and what it finds comes back
as one fact, which is all that a replay needs. Items that came and that code has not taken yet wait in the state of
their stream, so that several readers of one name share them. Where code continues as new, the position up to which it
has taken items goes along, and nothing is read twice.

`Streams` is the program's part: the state of each name, and of signals, as plain data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import commands
from .commands import SubscribeStream
from .decoding import Nothing
from .errors import InvalidArgument, StreamClosed
from .facts.streams import (
    FOLLOW,
    ITEMS_AT_ONCE,
    PEEK,
    READ,
    OpenRead,
    StreamedItem,
    StreamItemsReceived,
    StreamSubscribed,
)
from .failures import text_of
from .readable import Readable, end_of
from .signals import SignalState

if TYPE_CHECKING:
    from .base import BaseProgram
    from .futures import DurableFuture

T = TypeVar("T")
MOST_AT_ONCE = 1000


@dataclass(slots=True)
class StreamState:
    """What a program knows of a stream: how far it has read, and what of that its code has not taken yet.

    `opened` tells whether senders know that it is read, `closed` whether this code has closed it.
    """

    name: str
    position: int = 0
    unread: deque[StreamedItem] = field(default_factory=deque)
    opened: bool = False
    ended: bool = False
    reason: str | None = None
    closed: bool = False

    @property
    def taken(self) -> int:
        """The position up to which code has taken items."""
        return self.unread[0].position - 1 if self.unread else self.position

    def closing(self) -> StreamClosed:
        return StreamClosed(self.name, self.position, self.reason)


class Streams:
    """The streams and signals of one program, by name. `states` and `signals` are plain data.

    `carried_from` are the positions where an earlier execution has read up to, `named` counts streams without a name.
    """

    def __init__(self) -> None:
        self.states: dict[str, StreamState] = {}
        self.signals: dict[str, SignalState] = {}
        self.carried_from: Mapping[str, int] = {}
        self._checked: set[int] = set()
        self.named = 0

    def carry(self, positions: Mapping[str, int]) -> None:
        """Begin where an earlier execution has read up to."""
        self.carried_from = positions

    def carried(self) -> dict[str, int]:
        """Return the positions up to which code has taken items, for the next execution."""
        here = {
            name: signal.taken if (signal := self.signals.get(name)) is not None and signal.kept else state.taken
            for name, state in self.states.items()
        }
        return {name: position for name, position in sorted({**self.carried_from, **here}.items()) if position}

    def state(self, name: str) -> StreamState:
        """Return the state of a stream, which begins with its first use."""
        if name not in self.states:
            self.states[name] = StreamState(name, self.carried_from.get(name, 0))
        return self.states[name]

    def new_name(self, what: str) -> str:
        """Return the next name for a stream that was given none."""
        self.named += 1
        return f"{what}-{self.named}"

    # What events do.

    def opened(self, fact: StreamSubscribed) -> None:
        """Note that senders know now that a stream is read."""
        if fact.opens:
            self.state(fact.name).opened = True

    def expects(self, fact: StreamItemsReceived) -> bool:
        """Tell whether items are news; a read that goes on for ever could be given the same ones twice."""
        state = self.state(fact.name)
        return not state.ended and (fact.position > state.position or not fact.items)

    def receive(self, fact: StreamItemsReceived) -> None:
        """Keep items for the code that reads them, or tell the signal of that name."""
        state = self.state(fact.name)
        state.position, state.ended, state.reason = fact.position, fact.ended, fact.reason
        signal = self.signals.get(fact.name)
        if signal is None:
            state.unread.extend(fact.items)
        else:
            for item in fact.items:
                signal.receive(item)

    # What is open.

    def open_reads(self, open_now: Sequence[tuple[int, SubscribeStream]]) -> list[OpenRead]:
        """Return the reads for which the store may have items, of those that are open, oldest first."""
        return [
            OpenRead(seq, command.name, state.position, command.mode, command.limit)
            for seq, command in open_now
            if seq not in self._checked and not (state := self.state(command.name)).ended
        ]

    def checked(self, seq: int) -> None:
        """Note that there is nothing for a read until the store tells of more."""
        self._checked.add(seq)

    def appended(self, name: str, open_now: Sequence[tuple[int, SubscribeStream]]) -> None:
        """Note that the store has more items of a stream."""
        self._checked.difference_update([seq for seq, command in open_now if command.name == name])


class Stream(Readable[T]):
    """A stream that code reads; a parameter annotated `Stream[T]`, or made by `ctx.create_stream`."""

    def __init__(self, program: BaseProgram, name: str, type: Any = Any) -> None:
        self._program = program
        self.name = name
        self.type = type

    def next(self, *, block: bool = True, limit: int = ITEMS_AT_ONCE) -> DurableFuture[tuple[T, ...]]:
        """Return a future of the items that are there, `limit` at most; see `Readable.next`.

        Raises: InvalidArgument: the limit is not 1 to 1,000. The future raises: StreamClosed, PayloadError.
        """
        if not isinstance(limit, int) or not 1 <= limit <= MOST_AT_ONCE:
            raise InvalidArgument(f"limit is {limit!r:.80}, expected a whole number from 1 to {MOST_AT_ONCE:,}.")
        taking = Taking(self, limit, block)
        if not self._state.unread and not self._state.ended:
            return self._fetch(READ if block else PEEK, taking, limit)
        future: DurableFuture[tuple[T, ...]] = self._program.pending(taking)
        future.resolve(None)
        return future

    async def __anext__(self) -> T:
        state = self._state
        while not state.unread:
            if state.ended:
                raise end_of(self.name, state.position, state.reason)
            await self._fetch(READ, Nothing(), ITEMS_AT_ONCE)
        return self._decoded(state.unread.popleft())

    @property
    def _state(self) -> StreamState:
        return self._program.streams.state(self.name)

    def _closing(self) -> BaseException:
        """Return what is raised at the end of a stream that was closed with a reason."""
        return self._state.closing()

    def _fetch(self, mode: str, decode: Any, limit: int) -> DurableFuture[Any]:
        state = self._state
        command = SubscribeStream(name=self.name, after=state.position, mode=mode, limit=limit, opens=not state.opened)
        return self._program.issue(command, decode, f"Stream {self.name!r}")

    def _decoded(self, item: StreamedItem) -> T:
        found: T = self._program.codec.decode(item.payload, self.type)
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Taking:
    """Takes what there is of a stream, once the fact that brought it is applied."""

    stream: Stream[Any]
    limit: int
    block: bool

    def __call__(self, fact: object) -> tuple[Any, ...]:
        state = self.stream._state
        if state.ended and not state.unread and (self.block or state.reason is not None):
            raise self.stream._closing()
        count = min(self.limit, len(state.unread))
        return tuple(self.stream._decoded(state.unread.popleft()) for _ in range(count))


class StreamWriter(Generic[T]):
    """What code sends on; a parameter annotated `StreamWriter[T]`, or made with a stream or signal by `ctx`.

    In an activity, and outside, writers have the same methods; see the documentation of streams.
    """

    def __init__(self, program: BaseProgram, name: str) -> None:
        self._program = program
        self.name = name

    def send(self, value: T) -> Awaitable[None]:
        """Append an item; it is stored with the turn. What it returns may be awaited or yielded, and is done already.

        Raises: StreamClosed: this code has closed it. PayloadError.
        """
        self._refuse_closed()
        payload = self._program.codec.encode(value)
        self._program.issue_only(commands.SendToStream(name=self.name, payload=payload))
        return self._program.resolved(None)

    def close(self, reason: str | BaseException | None = None) -> Awaitable[None]:
        """End the stream: readers get what is there, then its end; StreamClosed if there is a reason.

        Raises: StreamClosed: this code has closed it already.
        """
        state = self._refuse_closed()
        self._program.issue_only(commands.EndStream(name=self.name, reason=reason_text(reason)))
        state.closed = True
        return self._program.resolved(None)

    async def __aenter__(self) -> StreamWriter[T]:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not self._program.streams.state(self.name).closed:
            self.close(error)

    def _refuse_closed(self) -> StreamState:
        state = self._program.streams.state(self.name)
        if state.closed:
            raise StreamClosed(self.name, state.position, state.reason)
        return state

    def __repr__(self) -> str:
        return f"<StreamWriter {self.name!r}>"


def reason_text(reason: str | BaseException | None) -> str | None:
    """Return why a stream is closed as text. Raises: InvalidArgument: it is neither text nor an error."""
    if isinstance(reason, BaseException):
        return text_of(reason) or type(reason).__name__
    if reason is not None and not isinstance(reason, str):
        raise InvalidArgument(f"The reason is {reason!r:.80}, expected text or an error, or None where all went well.")
    return reason


def follow(program: BaseProgram, name: str) -> None:
    """Ask to be told of each item of a stream as it comes."""
    state = program.streams.state(name)
    if not state.opened:
        command = SubscribeStream(name=name, after=state.position, mode=FOLLOW, limit=1, opens=True)
        program.issue(command, Nothing(), f"Signal {name!r}")
        state.opened = True
