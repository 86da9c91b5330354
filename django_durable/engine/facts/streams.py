"""The facts of streams, and what is handed in and out when code reads one.

A stream is a log of items outside the history, each with a position that only grows. What code has read of it is in the
history, so a replay needs nothing else; what code sends is recorded here and stored there by the same commit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .base import Fact, Payload

READ, PEEK, FOLLOW = "read", "peek", "follow"
"""How code reads: it waits for items; it takes what is there, or nothing; it is told of each item, again and again."""

ITEMS_AT_ONCE = 100
"""Items of one read, unless the code says otherwise. It is recorded, as a default: never change it."""


class StreamedItem(NamedTuple):
    """An item as code gets it. Positions begin at 1 and grow, not always by 1."""

    position: int
    payload: Payload


class StoredItem(NamedTuple):
    """An item as the store has it; one that `closes` is the end of the stream, its payload the reason."""

    position: int
    payload: Payload
    closes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSubscribed(Fact):
    """The code reads on. `opens` is set the first time in an execution: whoever sends has to wake it from then on."""

    name_field = "name"
    name: str
    after: int = 0
    mode: str = READ
    limit: int = ITEMS_AT_ONCE
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSubscriptionCanceled(Fact):
    source_field = "subscribed_seq"
    subscribed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItemsReceived(Fact):
    """`position` is that of the last item, the end of the stream included. `ended` says that nothing follows."""

    name_field = "name"
    source_field = "subscribed_seq"
    name: str
    subscribed_seq: int
    items: tuple[StreamedItem, ...] = ()
    position: int = 0
    ended: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItemSent(Fact):
    name_field = "name"
    payload_field = "payload"
    name: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnded(Fact):
    """The code closed a stream. `reason` is None where nothing was wrong."""

    name_field = "name"
    name: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAppended(Fact):
    """Only ever a message: items were stored that the code may be waiting for. Never recorded."""

    name_field = "name"
    name: str


class OpenRead(NamedTuple):
    """A read that waits for items after a position."""

    seq: int
    name: str
    after: int
    mode: str
    limit: int

    def answer(self, stored: Sequence[StoredItem]) -> StreamItemsReceived | None:
        """Return what the code is told of what is stored, None where it goes on waiting."""
        found = [each for each in stored if each.position > self.after][: 1 if self.mode == FOLLOW else self.limit]
        if not found and self.mode != PEEK:
            return None
        end = next((place for place, each in enumerate(found) if each.closes), len(found))
        closing = found[end] if end < len(found) else None
        return StreamItemsReceived(
            name=self.name,
            subscribed_seq=self.seq,
            items=tuple(StreamedItem(each.position, each.payload) for each in found[:end]),
            position=found[-1 if closing is None else end].position if found else self.after,
            ended=closing is not None,
            reason=None if closing is None else json.loads(closing.payload),
        )
