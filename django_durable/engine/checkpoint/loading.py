"""Reads what `dumping.py` wrote.

Theory of operation. Rows are made when first asked for. Most kinds are made empty and filled later, from a queue, so
cycles and depth cost nothing; what cannot be changed after it was made, such as a tuple, first asks for what is in it.
What is hashed (a key, a member of a set) is filled at once. Data names classes and functions, and they are looked up
among what is imported; nothing in it is called, and no pickle is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import CheckpointDamaged, CodeChanged, DurableError
from .dumping import VERSION
from .function import CompiledFunction
from .kinds import TAGS, Hook
from .kinds.base import Data, Kind

Find = Callable[[str, str], CompiledFunction]


class _Found(Kind):
    """An object that is there already."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def make(self, reader: Reader, *row: Any) -> Any:
        return self._found


class Reader:
    """Reads one graph. `get` is what kinds call for what stands in their row."""

    def __init__(
        self, rows: Sequence[Any], find: Find, resolve: Callable[[Any], Any] | None, hooks: Sequence[Hook]
    ) -> None:
        self.rows = rows
        self.resolve = resolve
        self.hooks = {hook.tag: hook for hook in hooks}
        self._find = find
        self._made: dict[int, Any] = {}
        self._making: set[int] = set()
        self._unfilled: dict[int, Kind] = {}
        self._late: dict[int, Kind] = {}
        self._at_once = False
        self._last: list[Callable[[], None]] = []

    def read(self, root: Data) -> Any:
        value = self.get(root)
        while self._unfilled or self._late:
            queue = self._unfilled or self._late
            number = next(iter(queue))
            self._fill(number, queue.pop(number))
        for step in self._last:
            step()
        return value

    def at_the_end(self, step: Callable[[], None]) -> None:
        """Do this when all objects are filled."""
        self._last.append(step)

    def get(self, value: Data) -> Any:
        """Return the object that stands in a row."""
        if not isinstance(value, list):
            if isinstance(value, dict):
                raise CheckpointDamaged(f"an object stands where a value is expected: {value!r:.80}")
            return value
        match value:
            case [int(number)] if 0 <= number < len(self.rows) and not isinstance(number, bool):
                return self._object(number)
        raise CheckpointDamaged(f"{value!r:.80} refers to nothing")

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is got inside is filled at once, because it will be hashed."""
        before, self._at_once = self._at_once, True
        try:
            yield
        finally:
            self._at_once = before

    def named(self, name: Data, recorded: Data) -> CompiledFunction:
        """Return the compiled function of a name; it may be another than the one that was recorded."""
        if not isinstance(name, str) or not isinstance(recorded, str):
            raise CheckpointDamaged(f"{name!r:.80} is no name of a function")
        return self._find(name, recorded)

    def find(self, name: Data, recorded: Data) -> CompiledFunction:
        """Return the compiled function of a name, whose hash is `recorded`, or which has a migration from there.

        Raises: CodeChanged.
        """
        function = self.named(name, recorded)
        if function.hash != recorded and recorded not in function.migrations:
            raise CodeChanged(function.name, str(recorded), function.hash)
        return function

    def _object(self, number: int) -> Any:
        if number in self._made:
            if self._at_once:
                self._fill_now(number)
            return self._made[number]
        if number in self._making:
            raise CheckpointDamaged(f"object {number} contains itself, which its kind cannot")
        kind, payload = self._row(number)
        self._making.add(number)
        made = self._made[number] = kind.make(self, *payload)
        self._making.discard(number)
        if kind.fills:
            (self._late if kind.hashes else self._unfilled)[number] = kind
            if self._at_once:
                self._fill_now(number)
        return made

    def _row(self, number: int) -> tuple[Kind, list[Any]]:
        match self.rows[number]:
            case ["part", token] if self.resolve is not None:
                return _Found(self.resolve(token)), []
            case ["hook", str(tag), value] if tag in self.hooks:
                return _Found(self.hooks[tag].load(self._hooked(value))), []
            case [str(tag), *payload] if tag in TAGS:
                return TAGS[tag], payload
        raise CheckpointDamaged(f"object {number} is of no known kind: {self.rows[number]!r:.80}")

    def _hooked(self, value: Data) -> Any:
        with self.whole():
            return self.get(value)

    def _fill_now(self, number: int) -> None:
        kind = self._unfilled.pop(number, None) or self._late.pop(number, None)
        if kind is not None:
            self._fill(number, kind)

    def _fill(self, number: int, kind: Kind) -> None:
        _, payload = self._row(number)
        kind.fill(self, self._made[number], *payload)


def load(
    data: Mapping[str, Any],
    *,
    find: Find,
    resolve: Callable[[Any], Any] | None = None,
    hooks: Sequence[Hook] = (),
) -> Any:
    """Return the root of a graph that `dump` wrote, made anew.

    Args:
        find: Returns the compiled function of a name; it is told the hash that is asked for.
        resolve: Returns the object of a token that `reference` gave.
        hooks: As for `dump`.
    Raises:
        CheckpointDamaged: the data is not what `dump` writes.
        CodeChanged: a function is not what it was; see `Migration`.
        NotRegistered: from `find`.
    """
    match data:
        case {"version": version, "root": root, "objects": [*rows]}:
            pass
        case _:
            raise CheckpointDamaged("it has no version, root and objects")
    if version != VERSION:
        raise CheckpointDamaged(f"it is of version {version!r}, expected {VERSION}")
    try:
        return Reader(rows, find, resolve, hooks).read(root)
    except DurableError:
        raise
    # Whatever damaged data makes a constructor raise.
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointDamaged(f"{type(error).__name__}: {error}") from error
