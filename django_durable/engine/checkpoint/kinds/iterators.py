"""Iterators of built-in containers, which a suspended loop keeps: what they run over, and where they are."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ..walk import VIEWS, Walk
from .base import Data, Kind

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader


class Iterators(Kind):
    """Iterators that tell Python how to make them: of what, and at which position.

    The position is set last, because a list that is not filled yet has none.
    """

    fills = True
    hashes = True

    def __init__(self, tag: str, make: Any) -> None:
        self.tag = tag
        self._make = make

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        _, arguments, *state = value.__reduce__()
        return [
            writer.ref(state[0] if state else None),
            *(writer.ref(argument, " of the loop") for argument in arguments),
        ]

    def make(self, reader: Reader, *row: Any) -> Any:
        made = self._make(*[reader.get(argument) for argument in row[1:]])
        if type(made) not in ITERATORS:
            raise ValueError(f"an iterator of a kind that is not stored: {type(made).__name__}")
        return made

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        if (state := reader.get(row[0])) is not None:
            made.__setstate__(state)


class Walks(Kind):
    tag = "walk"

    def dump(self, writer: Writer, value: Walk) -> list[Data]:
        return [writer.ref(value.over, " of the loop"), value.taken, value.size]

    def make(self, reader: Reader, *row: Any) -> Walk:
        over, taken, size = row
        return Walk(reader.get(over), taken, size)


class Views(Kind):
    """What `keys()`, `values()` and `items()` of a dict return."""

    def __init__(self, name: str) -> None:
        self.tag = f"dict.{name}"
        self._name = name

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        # Its `mapping` is a proxy, which copies what it stands for only when asked to, as here by no name.
        return [writer.ref(_dict_of(value), "." + self._name)]

    def make(self, reader: Reader, *row: Any) -> Any:
        return getattr(reader.get(row[0]), self._name)()


def _dict_of(view: Any) -> Any:
    """Return the dict of a view. A proxy gives its dict only to an operator of the dict's own."""
    return view.mapping | _Catch()


class _Catch:
    def __ror__(self, other: Any) -> Any:
        return other


_OVER: list[Any] = [[], (), range(0), range(2**70), "", "ä", b"", bytearray(), {}, {}.values(), {}.items(), set()]

ITERATORS: dict[type, Kind] = {
    **{type(iter(over)): Iterators(type(iter(over)).__name__, iter) for over in _OVER},
    **{kind: Iterators(kind.__name__, kind) for kind in (enumerate, zip, reversed, map, filter)},
    type(iter(deque())): Iterators("deque_iterator", iter),
    type(reversed([])): Iterators("list_reverseiterator", reversed),
    type(reversed({})): Iterators("dict_reversekeyiterator", iter),
    type(iter(int, 1)): Iterators("callable_iterator", iter),
    Walk: Walks(),
    **{kind: Views(name) for kind, name in zip(VIEWS, ("keys", "values", "items"), strict=True)},
}
