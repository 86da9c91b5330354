"""Pausing for an event: `value = await pause("allow")`, or `raise PauseForEventException("allow")` in compiled code.

Both end up as a `Pause` that code waits for. In an orchestration it is a wait for an external event, in one step with a
timer where there is a timeout. Where another loop runs, it yields itself to whoever drives the code.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .arguments import checked_text
from .durations import Duration, milliseconds
from .errors import NotDurable
from .futures import RaceFuture
from .loop import OrchestrationLoop, running_loop

if TYPE_CHECKING:
    import asyncio

    from .base import BaseProgram

LONGEST_NAME = 255


class PauseForEventException(Exception):
    """Raised in a compiled function, pauses it there until the event arrives; then it goes on behind the `raise`.

    Raised to whoever calls a durable program outside an orchestration, says that it pauses, and for which event.
    """

    def __init__(self, event: str) -> None:
        self.event = event
        super().__init__(event)


@dataclass(frozen=True, slots=True)
class Pause:
    """Something to await: the next event of this name, decoded as `type`."""

    event: str
    timeout: Duration | None = None
    type: Any = Any

    def __await__(self) -> Generator[Any, Any, Any]:
        program = current_program()
        if program is not None:
            return (yield from future_of(self, program).__await__())
        try:
            return (yield self)
        except RuntimeError as error:
            if not str(error).startswith("Task got bad yield"):
                raise
            # No durable function is driven here: the loop of the process was given the pause itself.
            instead = "Make the function that pauses durable, and call that: make_durable(function)"
            raise NotDurable(self.event, "from code that is not durable", instead) from None


class PauseFuture(RaceFuture):
    """The first of two futures: an event, whose value it has, and a timer, with which it fails."""

    what = ""

    def _win(self, winner: asyncio.Future[Any]) -> None:
        if self._members.index(winner) == 0:
            self.set_result(winner.result())
        else:
            self.set_exception(TimeoutError(f"{self.what} did not arrive in time."))


def pause(event: str, *, timeout: Duration | None = None, type: Any = Any) -> Pause:
    """Return what to await for the next event of this name; the value is its payload, decoded as `type`.

    Args:
        timeout: timedelta, or int milliseconds, after which TimeoutError is raised at the await instead.
    Raises: InvalidArgument: the name is no text, the timeout no duration.
    """
    checked_text(event, "event name", LONGEST_NAME)
    if timeout is not None:
        milliseconds(timeout, "timeout")
    return Pause(event, timeout, type)


def future_of(pause: Pause, program: BaseProgram) -> asyncio.Future[Any]:
    """Return the future of an event that the code of a program pauses for."""
    waiting = program.context.wait_for_event(pause.event, pause.type)
    if pause.timeout is None:
        return waiting
    timer = program.context.schedule_timer(pause.timeout)
    future = PauseFuture([waiting, timer], loop=program.loop)
    future.what = waiting.what
    return future


def current_program() -> BaseProgram | None:
    """Return the program whose code runs here, None outside orchestrations."""
    loop = running_loop()
    return loop.host if isinstance(loop, OrchestrationLoop) else None  # type: ignore[return-value]
