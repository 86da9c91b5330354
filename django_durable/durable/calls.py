"""Where a durable program stands, to be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..engine.checkpoint import Frame


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One function that has begun and not ended.

    Attributes:
        function: Its name, `module:qualified name`.
        line: Of its file, the line it stands at.
        locals: Its variables by name.
    """

    function: str
    line: int
    locals: Mapping[str, Any] = field(default_factory=dict)


class CallStack:
    """The calls of a program, the outermost first."""

    def __init__(self, frame: Frame | None = None) -> None:
        self.calls = tuple(_calls(frame))

    def __len__(self) -> int:
        return len(self.calls)

    def __iter__(self) -> Iterator[FunctionCall]:
        return iter(self.calls)

    def is_empty(self) -> bool:
        """Tell whether nothing runs: the program has not begun, or has ended."""
        return not self.calls

    def peek(self) -> FunctionCall | None:
        """Return the innermost call, the one that waits."""
        return self.calls[-1] if self.calls else None


def _calls(frame: Any) -> Iterator[FunctionCall]:
    while isinstance(frame, Frame):
        yield FunctionCall(frame.function.name, frame.line, MappingProxyType(dict(frame.locals)))
        frame = frame.awaits
