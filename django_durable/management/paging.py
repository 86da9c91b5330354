"""Instances page by page, in constant memory however many there are."""

from __future__ import annotations

from collections.abc import Iterator

from ..client import Client, InstanceFilter, InstanceSummary

SIZE = 500
"""Instances per query."""


class Pages:
    """Iterates, once, over the instances that a filter matches, newest first.

    Those that change their status meanwhile move nothing: a cursor is a place in the order of starts.

    Args:
        limit: At most so many; None for all.
        cursor: Where to go on.
    Attributes:
        next_cursor: After the iteration: what asks for those that come after; None where there are none.
    """

    def __init__(
        self, client: Client, filter: InstanceFilter, *, limit: int | None = None, cursor: str | None = None
    ) -> None:
        self._client = client
        self._filter = filter
        self._left = limit
        self.next_cursor = cursor

    def __iter__(self) -> Iterator[InstanceSummary]:
        while self._left is None or self._left > 0:
            size = SIZE if self._left is None else min(SIZE, self._left)
            page = self._client.list_instances(self._filter, limit=size, cursor=self.next_cursor)
            self.next_cursor = page.next_cursor
            if self._left is not None:
                self._left -= len(page.items)
            yield from page.items
            if page.next_cursor is None:
                return
