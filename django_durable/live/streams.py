"""One stream of an instance, as one listener follows it: what was read for it, and what it has been told.

Items are a log: they are kept in order, at most `LONGEST_QUEUE` of them, and the tail reads on once these are taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..store.streamreads import Row, Run

LONGEST_QUEUE = 200
LARGEST_BATCH = 100_000
"""Characters of payloads after which a batch takes no further item."""


@dataclass(slots=True)
class Batch:
    """What is told at once: first that items up to `trimmed_to` are gone, if any are; then items, then the end.

    Attributes:
        position: What the listener goes on from after it.
        reason: JSON text, None unless the stream was closed.
    """

    position: int
    trimmed_to: int | None = None
    items: list[Row] = field(default_factory=list)
    ended: bool = False
    reason: str | None = None


class Followed:
    """A stream that a listener follows from a position; None is the first item that is kept.

    Attributes:
        read: The position up to which the tail has read for it.
        told: The one up to which the listener has been told, None before it was told anything.
        unread: Whether there may be items that were not read.
        ended: Whether the listener has been told of the end.
    """

    def __init__(self, name: str, after: int | None) -> None:
        self.name = name
        self.read = after
        self.told: int | None = None
        self.unread = True
        self.ended = False
        self._rows: deque[Row] = deque()
        self._closed = False
        self._trimmed_to: int | None = None

    @property
    def room(self) -> int:
        """How many items it can take."""
        return LONGEST_QUEUE - len(self._rows)

    @property
    def hungry(self) -> bool:
        """Whether it can be given what it may not have."""
        return self.unread and self.room > 0

    @property
    def settled(self) -> bool:
        """Whether all that was there has been told."""
        return not (self.unread or self._rows)

    def expect(self) -> None:
        """Take that there may be new items; nothing comes after the end."""
        self.unread = not self._closed

    def add(self, run: Run, *, complete: bool) -> bool:
        """Take what was read after `read`. Returns: whether there is something to tell.

        Args:
            complete: Whether there was nothing else.
        """
        if (self.read or 0) < run.trimmed_to:
            self._trimmed_to = run.trimmed_to
        taken = run.items[: self.room]
        self._rows.extend(taken)
        self._closed = bool(taken) and taken[-1].closes
        self.read = taken[-1].position if taken else max(self.read or 0, run.trimmed_to)
        self.unread = not self._closed and not (complete and len(taken) == len(run.items))
        return bool(taken) or self._trimmed_to is not None

    def take(self) -> Iterator[Batch]:
        """Yield what the listener has to be told now, in order."""
        while self._rows or self._trimmed_to is not None:
            batch = Batch(self._trimmed_to or 0, self._trimmed_to)
            self._trimmed_to = None
            size = 0
            while self._rows and size < LARGEST_BATCH:
                row = self._rows.popleft()
                batch.position = row.position
                if row.closes:
                    batch.ended, batch.reason, self.ended = True, row.payload, True
                else:
                    batch.items.append(row)
                    size += len(row.payload)
            self.told = batch.position
            yield batch

    def end(self) -> Iterator[Batch]:
        """Yield the end, where the listener has not been told of it: the instance has ended, and the stream with it."""
        if not self.ended:
            self.ended = True
            self.told = self.read or 0
            yield Batch(self.told, ended=True)
