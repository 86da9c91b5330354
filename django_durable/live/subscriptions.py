"""What one listener wants of one instance, and what it has not been told of it yet.

The tail puts in (`offer`, `add_events`, `put_entries`, `Followed.add`), the listener takes out (`take`); both on one
event loop. Of status and entries only the latest is kept. Events are kept in order, at most `LONGEST_QUEUE` of them:
the tail asks `room` and reads the others once these are taken. Items of streams are kept in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..engine.events import Payload
from ..engine.states import TERMINAL
from ..store.changes import EventRecord
from ..store.queries import StatusRecord
from .messages import (
    Entries,
    Event,
    Gone,
    Items,
    Message,
    State,
    StateType,
    Unchanged,
    event_of,
    items_of,
    raw,
    state_of,
)
from .positions import Position
from .streams import Batch, Followed
from .viewers import Grants

LONGEST_QUEUE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a listener asks for.

    Attributes:
        since: Where it was when it was told something last, None for a new one.
        after: Execution and seq of the last event that it has; else that of `since`, else the history is told from the
            beginning of the current execution.
        history, kv: Whether it wants events and entries as well.
        streams: Names of streams that it follows, each with the position of the last item that it has, or None for all
            that are kept. What `since` says of a stream goes before.
    """

    instance_id: str
    since: Position | None = None
    after: tuple[int, int] | None = None
    history: bool = False
    kv: bool = False
    streams: Mapping[str, int | None] = field(default_factory=dict)


class Subscription:
    """One instance watched by one listener.

    Attributes:
        record: The latest status; None before the first look.
        missing: Whether there is no such instance, or no longer.
        grants: None until the listener has asked the rules; nothing is taken before.
        behind: Whether there may be events that were not read; `unlisted` the same of entries.
        streams: What it follows; none before the first look.
        ended: Whether everything was told.
    """

    def __init__(self, wish: Wish, stir: Callable[[Subscription], None]) -> None:
        self.wish = wish
        self.record: StatusRecord | None = None
        self.missing = False
        self.grants: Grants | None = None
        self.behind = wish.history
        self.unlisted = wish.kv
        self.streams: tuple[Followed, ...] = ()
        self.ended = False
        self._on_stir = stir
        self._told: Position | None = None
        self._first: tuple[int, int] = (0, 0)
        self._read: tuple[int, int] = (0, 0)
        self._events: deque[EventRecord] = deque()
        self._entries: dict[str, Payload] | None = None
        self._entries_told: dict[str, Payload] | None = None

    @property
    def instance_id(self) -> str:
        return self.wish.instance_id

    def stir(self) -> None:
        """Let the listener look."""
        self._on_stir(self)

    # The tail's side.

    def offer(self, record: StatusRecord) -> bool:
        """Take a newer status. Returns: whether it is another one."""
        if self.record is None:
            self._first = self._read = self._start_of_history(record)
            self.streams = tuple(self._follow(record))
        elif self.record.revision == record.revision:
            return False
        self.record = record
        self.behind, self.unlisted = self.wish.history, self.wish.kv
        self.expect_items()
        self.stir()
        return True

    def expect_items(self) -> None:
        """Take that there may be new items of streams."""
        for each in self.streams:
            each.expect()

    @property
    def lacking(self) -> bool:
        """Whether there may be something that it wants and does not have."""
        return self.behind or self.unlisted or any(each.unread for each in self.streams)

    @property
    def hungry(self) -> bool:
        """Whether it can be given some of that now."""
        return bool(self.room and (self.behind or self.unlisted)) or any(each.hungry for each in self.streams)

    def lose(self) -> None:
        """Take that there is no such instance."""
        self.missing = True
        self.stir()

    @property
    def room(self) -> int:
        """How many events it can take."""
        return LONGEST_QUEUE - len(self._events)

    @property
    def read(self) -> tuple[int, int]:
        """Execution and seq of the last event that it took."""
        return self._read

    def add_events(self, events: Sequence[EventRecord], *, complete: bool) -> None:
        """Take events, some of which it may have already.

        Args:
            complete: Whether there are no others.
        """
        new = [each for each in events if (each.execution, each.seq) > self._read]
        taken = new[: self.room]
        self._events.extend(taken)
        if taken:
            self._read = taken[-1].execution, taken[-1].seq
        self.behind = not complete or len(taken) < len(new)
        self.stir()

    def put_entries(self, entries: dict[str, Payload]) -> None:
        """Take all KV entries."""
        self._entries = entries
        self.unlisted = False
        self.stir()

    def _start_of_history(self, record: StatusRecord) -> tuple[int, int]:
        if self.wish.after is not None:
            return self.wish.after
        since = self.wish.since
        if since is not None and since.id == record.id and since.execution:
            return since.execution, since.seq
        return record.execution_number, 0

    def _follow(self, record: StatusRecord) -> Iterator[Followed]:
        since = self.wish.since
        for name, after in self.wish.streams.items():
            if since is None:
                yield Followed(name, after)
            else:
                # Positions in an earlier instance of this id mean nothing here.
                yield Followed(name, dict(since.streams).get(name, after) if since.id == record.id else None)

    # The listener's side.

    def take(self) -> list[Message]:
        """Return what the listener has to be told now, in order; nothing before it was granted."""
        if self.missing:
            self.ended = True
            return [Gone(instance_id=self.instance_id)]
        if self.record is None or self.grants is None:
            return []
        told: list[Message] = [*self._take_state(self.record), *self._take_events(), *self._take_entries()]
        for each in self.streams:
            told += self._items(each, each.take())
        settled = all(each.settled for each in self.streams)
        if self.record.runtime_status in TERMINAL and settled and not (self.behind or self.unlisted or self._events):
            self.ended = True
            for each in self.streams:
                told += self._items(each, each.end())
            told.append(self._state("done"))
        return told

    def _take_state(self, record: StatusRecord) -> Iterator[Message]:
        if self._told is None:
            since = self.wish.since
            self._told = Position(record.id, record.revision, *(self._first if self.wish.history else ()))
            if since is not None and (since.id, since.revision) == (record.id, record.revision):
                yield Unchanged(instance_id=self.instance_id, position=str(self._told))
            else:
                yield self._state("snapshot")
        elif self._told.revision != record.revision:
            self._told = replace(self._told, revision=record.revision)
            yield self._state("status")

    def _take_events(self) -> Iterator[Event]:
        assert self.grants is not None
        while self._events:
            event = self._events.popleft()
            self._told = replace(self._position, execution=event.execution, seq=event.seq)
            yield event_of(self.instance_id, event, self._told, payloads=self.grants.payload)

    def _take_entries(self) -> Iterator[Entries]:
        entries, told = self._entries, self._entries_told
        if entries is None or entries == told:
            return
        self._entries_told = entries
        changed = {key: value for key, value in entries.items() if told is None or told.get(key) != value}
        yield Entries(
            instance_id=self.instance_id,
            position=str(self._position),
            complete=told is None,
            values={key: found for key, value in changed.items() if (found := raw(value)) is not None},
            removed=[key for key in told or () if key not in entries],
        )

    def _items(self, followed: Followed, batches: Iterator[Batch]) -> Iterator[Items]:
        for batch in batches:
            places = tuple((each.name, each.told) for each in self.streams if each.told is not None)
            self._told = replace(self._position, streams=places)
            yield items_of(self.instance_id, followed.name, batch, self._told)

    @property
    def _position(self) -> Position:
        assert self._told is not None
        return self._told

    def _state(self, type: StateType) -> State:
        assert self.record is not None
        assert self.grants is not None
        position = replace(self._position, done=type == "done")
        return state_of(self.record, type, position, payloads=self.grants.payload)
