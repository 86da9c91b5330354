"""Finds the code of an activity task: registered by the project, or built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..engine.events import Payload
from ..engine.ports import Port
from ..engine.reducing import Reduction


class RunnableActivity(Protocol):
    """What running an activity needs to know of it."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def takes_context(self) -> bool: ...
    @property
    def atomic(self) -> bool: ...
    @property
    def reduction(self) -> Reduction | None: ...
    @property
    def ports(self) -> Sequence[Port]: ...

    def decode_call(self, payload: Payload) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

    def encode_result(self, value: Any) -> Payload: ...


ActivityLookup = Callable[[str], RunnableActivity | None]
"""Returns the activity of a name, or None where this process does not have it."""
