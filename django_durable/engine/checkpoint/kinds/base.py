"""What a kind is: how objects of some types become a row, and objects again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from ..dumping import Writer
    from ..loading import Reader

Data: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
"""What JSON can hold."""

LARGEST = 2**53
"""Largest number that every reader of JSON keeps exactly."""


class Kind:
    """Stateless. `fills`: made empty first. `hashes`: filled after all others, since what is in it is hashed."""

    tag: str
    fills = False
    hashes = False

    def dump(self, writer: Writer, value: Any) -> list[Data]:
        """Return the row of an object, after its tag. What is in it is written by `writer.ref`."""
        raise NotImplementedError

    def make(self, reader: Reader, *row: Any) -> Any:
        """Return an object from its row."""
        raise NotImplementedError

    def fill(self, reader: Reader, made: Any, *row: Any) -> None:
        """Put into an object what its row says is in it."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Writes objects that `matches` finds as what `dump` makes of them, and that is stored; `load` is the way back."""

    tag: str
    matches: Callable[[object], bool]
    dump: Callable[[Any], object]
    load: Callable[[Any], object]


def described(value: object) -> str:
    """Return the type of an object as a message has it."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
