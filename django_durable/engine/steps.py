"""Local steps: calls of callables that no registry has, recorded like activities.

Theory of operation. A step is scheduled as an activity of a reserved name, so retries, timeouts, leases, cancellation
and the record of its result are those of activities. What differs is where its code comes from: the callable and its
arguments exist only in the program that made them. The worker that commits the schedule takes them from its program;
one that gets the step later (its worker died, or it is tried again) replays the history, which makes them anew.

The arguments are recorded where they can be encoded, so that a replay compares them; they are never read back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import PayloadError
from .events import Payload
from .program import Codec, StepCallee

if TYPE_CHECKING:
    from .ports import Port
    from .reducing import Reduction

PREFIX = "local:"
"""What the name of every local step begins with, and of no registered activity."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalStep:
    """One call of a callable, to be run as an activity, under a copy of `context`."""

    takes_context: ClassVar[bool] = False
    atomic: ClassVar[bool] = False
    ports: ClassVar[tuple[Port, ...]] = ()
    callee: StepCallee
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context

    @property
    def name(self) -> str:
        return self.callee.name

    @property
    def function(self) -> Callable[..., Any]:
        return self.callee.function

    @property
    def is_async(self) -> bool:
        return self.callee.is_async

    @property
    def reduction(self) -> Reduction | None:
        return self.callee.reduction

    def decode_call(self, payload: Payload) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the code gave them; `payload` is only their record."""
        return self.args, self.kwargs

    def encode_result(self, value: Any) -> Payload:
        return self.callee.encode_result(value)


def is_local(name: str) -> bool:
    """Tell whether an activity's name is that of a local step."""
    return name.startswith(PREFIX)


def recorded_arguments(codec: Codec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Payload:
    """Return what a history keeps of a step's arguments: null where there are none, or one cannot be encoded."""
    given = {"args": args, "kwargs": kwargs} if kwargs else args or None
    try:
        return codec.encode(given)
    except PayloadError:
        return codec.encode(None)
