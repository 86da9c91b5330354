"""Lists, dicts, sets, tuples and their relatives: written by what is in them."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, Any

from .base import Data, Kind

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader


class Lists(Kind):
    tag = "list"
    fills = True

    def dump(self, writer: Writer, value: list[Any]) -> list[Data]:
        return [writer.ref(item, f"[{i}]") for i, item in enumerate(value)]

    def make(self, reader: Reader, *row: Any) -> list[Any]:
        return []

    def fill(self, reader: Reader, made: list[Any], *row: Any) -> None:
        made.extend(reader.get(item) for item in row)


class Deques(Lists):
    tag = "deque"

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        return [value.maxlen, *super().dump(writer, value)]

    def make(self, reader: Reader, *row: Any) -> Any:
        return deque(maxlen=row[0])

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        made.extend(reader.get(item) for item in row[1:])


class Tuples(Kind):
    tag = "tuple"

    def dump(self, writer: Writer, value: tuple[Any, ...]) -> list[Data]:
        return [writer.ref(item, f"[{i}]") for i, item in enumerate(value)]

    def make(self, reader: Reader, *row: Any) -> tuple[Any, ...]:
        return tuple([reader.get(item) for item in row])


class Sets(Kind):
    tag = "set"
    fills = True
    hashes = True

    def dump(self, writer: Writer, value: set[Any]) -> list[Data]:
        return [writer.ref(item, "{...}") for item in value]

    def make(self, reader: Reader, *row: Any) -> set[Any]:
        return set()

    def fill(self, reader: Reader, made: set[Any], *row: Any) -> None:
        with reader.whole():
            made.update([reader.get(item) for item in row])


class FrozenSets(Kind):
    tag = "frozenset"

    def dump(self, writer: Writer, value: frozenset[Any]) -> list[Data]:
        return [writer.ref(item, "{...}") for item in value]

    def make(self, reader: Reader, *row: Any) -> frozenset[Any]:
        with reader.whole():
            return frozenset([reader.get(item) for item in row])


class Dicts(Kind):
    tag = "dict"
    fills = True
    hashes = True
    cls: type[dict[Any, Any]] = dict

    def dump(self, writer: Writer, value: dict[Any, Any]) -> list[Data]:
        row: list[Data] = []
        for key, item in value.items():
            row += [writer.ref(key, " key"), writer.ref(item, f"[{key!r:.40}]")]
        return row

    def make(self, reader: Reader, *row: Any) -> dict[Any, Any]:
        return self.cls()

    def fill(self, reader: Reader, made: dict[Any, Any], *row: Any) -> None:
        for key, item in zip(row[::2], row[1::2], strict=True):
            with reader.whole():
                made_key = reader.get(key)
            made[made_key] = reader.get(item)


class OrderedDicts(Dicts):
    tag = "OrderedDict"
    cls = OrderedDict


class Counters(Dicts):
    tag = "Counter"
    cls = Counter


class DefaultDicts(Dicts):
    tag = "defaultdict"

    def dump(self, writer: Writer, value: dict[Any, Any]) -> list[Data]:
        assert isinstance(value, defaultdict)
        return [writer.ref(value.default_factory, ".default_factory"), *super().dump(writer, value)]

    def make(self, reader: Reader, *row: Any) -> dict[Any, Any]:
        return defaultdict(reader.get(row[0]))

    def fill(self, reader: Reader, made: dict[Any, Any], *row: Any) -> None:
        super().fill(reader, made, *row[1:])


CONTAINERS: dict[type, Kind] = {
    list: Lists(),
    tuple: Tuples(),
    dict: Dicts(),
    set: Sets(),
    frozenset: FrozenSets(),
    deque: Deques(),
    OrderedDict: OrderedDicts(),
    Counter: Counters(),
    defaultdict: DefaultDicts(),
}
