"""Iterating over a dict so that it can be stored: Python's own iterators of dicts do not tell where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NOTHING: dict[Any, Any] = {}
VIEWS = (type(_NOTHING.keys()), type(_NOTHING.values()), type(_NOTHING.items()))


class Walk:
    """Iterates over a dict or a view of one, and can be stored: Python's own iterator does not tell where it is."""

    __slots__ = ("_iterator", "over", "size", "taken")

    def __init__(self, over: Any, taken: int = 0, size: int | None = None) -> None:
        self.over = over
        self.taken = taken
        self.size = len(over) if size is None else size
        self._iterator: Iterator[Any] | None = None

    def __iter__(self) -> Walk:
        return self

    def __next__(self) -> Any:
        if self._iterator is None:
            if self.size != len(self.over):
                raise RuntimeError("dictionary changed size during iteration")
            self._iterator = iter(self.over)
            for _ in range(self.taken):
                next(self._iterator)
        item = next(self._iterator)
        self.taken += 1
        return item


def iterate(iterable: Any) -> Iterator[Any]:
    """Return an iterator as `iter` does, one that can be stored where Python's own cannot."""
    if type(iterable) is dict or type(iterable) in VIEWS:
        return Walk(iterable)
    return iter(iterable)
