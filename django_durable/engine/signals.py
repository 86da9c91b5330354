"""Signals: what is sent on a stream interrupts the code that has armed it.

Theory of operation. From when a signal is provided or created, the program is told of each item as a fact. A fact is
applied while the code is idle, so every task inside `async with signal:` waits for something: its innermost scope is
triggered and the task canceled, and the scope makes a SignalInterrupt of the cancellation where it leaves the code. A
cancellation that came from elsewhere stays one, as with `asyncio.timeout`. An item that meets no armed scope and no
wait is kept, or not, by the signal's policy.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import InvalidArgument, SignalInterrupt
from .facts.streams import StreamedItem
from .loop import CancelledError

if TYPE_CHECKING:
    from .base import BaseProgram
    from .futures import DurableFuture
    from .loop import OrchestrationTask

T = TypeVar("T")
LATCH, FIFO, DROP = "latch", "fifo", "drop"
POLICIES = (LATCH, FIFO, DROP)
"""What becomes of a signal that nothing listens to: the newest is kept, all are kept, it is lost."""


@dataclass(slots=True, eq=False)
class Scope:
    """A task inside `async with signal:`, how often it was being canceled before, and what has interrupted it."""

    task: OrchestrationTask[Any]
    cancelling: int
    item: StreamedItem | None = None


@dataclass(slots=True)
class SignalState:
    """What a program knows of a signal: what is kept, who is inside, innermost last, and who waits."""

    policy: str = LATCH
    kept: deque[StreamedItem] = field(default_factory=deque)
    scopes: list[Scope] = field(default_factory=list)
    waits: deque[DurableFuture[Any]] = field(default_factory=deque)

    @property
    def taken(self) -> int:
        """The position up to which items have been of use, where some are kept."""
        return self.kept[0].position - 1

    def receive(self, item: StreamedItem) -> None:
        """Interrupt every task inside, and answer every wait; keep the item where there are none."""
        waits = [each for each in self.waits if not each.done()]
        self.waits.clear()
        innermost = {scope.task: scope for scope in self.scopes if scope.item is None}
        for scope in innermost.values():
            scope.item = item
            scope.task.cancel()
        for wait in waits:
            wait.resolve(item)
        if not innermost and not waits and self.policy != DROP:
            if self.policy == LATCH:
                self.kept.clear()
            self.kept.append(item)


class Signal(Generic[T]):
    """An interruption from outside; a parameter annotated `Signal[T]`, or made by `ctx.create_signal`."""

    def __init__(self, program: BaseProgram, name: str, type: Any = Any) -> None:
        self._program = program
        self.name = name
        self.type = type

    @property
    def _state(self) -> SignalState:
        return self._program.streams.signals[self.name]

    async def __aenter__(self) -> Signal[T]:
        """Arm the signal for the current task. Raises: SignalInterrupt: one was kept; the code inside does not run."""
        if self._state.kept:
            raise self._interrupt(self._state.kept.popleft())
        task = self._program.loop.running_task()
        self._state.scopes.append(Scope(task, task.cancelling()))
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        task = self._program.loop.running_task()
        scope = next(each for each in reversed(self._state.scopes) if each.task is task)
        self._state.scopes.remove(scope)
        if scope.item is None:
            return
        others = task.uncancel() > scope.cancelling
        if error is None or (isinstance(error, CancelledError) and not others):
            raise self._interrupt(scope.item) from error

    def wait(self) -> DurableFuture[T]:
        """Return a future of the next signal, or of one that was kept: to be raced with other futures."""
        future: DurableFuture[T] = self._program.pending(Value(self))
        if self._state.kept:
            future.resolve(self._state.kept.popleft())
        else:
            self._state.waits.append(future)
        return future

    async def guard(self, work: Any) -> Any:
        """Run a future, coroutine or generator inside the signal; generators yield what this returns.

        Raises: SignalInterrupt: a signal came first, and the work was canceled.
        """
        async with self:
            return await self._program.loop.ensure_future(work)

    def _interrupt(self, item: StreamedItem) -> SignalInterrupt:
        return SignalInterrupt(self.name, self._decoded(item))

    def _decoded(self, item: StreamedItem) -> T:
        found: T = self._program.codec.decode(item.payload, self.type)
        return found

    def __repr__(self) -> str:
        return f"<Signal {self.name!r}>"


@dataclass(frozen=True, slots=True)
class Value:
    """Decodes the item that answers a wait."""

    signal: Signal[Any]

    def __call__(self, item: StreamedItem) -> Any:
        return self.signal._decoded(item)


def checked_policy(policy: str) -> str:
    """Return a policy. Raises: InvalidArgument: there is no such one."""
    if policy not in POLICIES:
        raise InvalidArgument(f"policy is {policy!r:.80}, expected one of {', '.join(POLICIES)}.")
    return policy
