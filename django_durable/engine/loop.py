"""The private deterministic event loop on which orchestration code of either style runs.

Theory of operation. Each execution has its own loop. The loop is running only while an event is being applied; it runs
what is ready, first in first out, until nothing is, and stops. Its clock is the history's clock, given from outside.
Timers it is asked for become durable timers of the execution. Tasks and futures hash by the order of their creation,
so sets of them (`asyncio.wait` returns two) iterate alike on every replay. Whatever would do I/O, use a thread or wait
for something that no history records raises `ForbiddenInOrchestration`.

The loop is set as the running loop of its thread while it runs, so `asyncio` functions find it and Django's async
guard refuses ORM calls. A loop that was running before (an application's own) is set aside and put back.

This is the only file of the engine that touches asyncio.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events as asyncio_events
from asyncio import tasks as asyncio_tasks
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from .errors import ForbiddenInOrchestration, NotAwaitable, StepBudgetExceeded

CancelledError = asyncio.CancelledError
"""Raised into orchestration code at its await when it, or the task it runs in, is canceled."""

T = TypeVar("T")


class TimerSource(Protocol):
    """Where the loop gets durable timers from."""

    def schedule_timer(self, delay_ms: int) -> asyncio.Future[None]: ...


class OrchestrationFuture(asyncio.Future[T]):
    """A future that hashes by creation order."""

    def __init__(self, *, loop: OrchestrationLoop) -> None:
        self._order = loop.next_order()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._order


class OrchestrationTask(asyncio.Task[T]):
    """A task that hashes by creation order."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, loop: OrchestrationLoop, **options: Any) -> None:
        self._order = loop.next_order()
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._order


class DurableTimerHandle(asyncio.TimerHandle):
    """What `call_later` returns; canceling it takes the durable timer back."""

    __slots__ = ("timer",)
    timer: asyncio.Future[None] | None

    def cancel(self) -> None:
        if not self.cancelled() and self.timer is not None:
            self.timer.cancel()
        asyncio.Handle.cancel(self)


class OrchestrationLoop(asyncio.AbstractEventLoop):
    """See the module docstring. `now_ms` is set by the program before it runs the loop."""

    def __init__(self, timers: TimerSource, *, started_ms: int) -> None:
        self.now_ms = started_ms
        self._started_ms = started_ms
        self._timers = timers
        self._ready: deque[asyncio.Handle] = deque()
        self._orders = 0
        self._running = False

    def next_order(self) -> int:
        """Return the next number of the creation order of tasks and futures."""
        self._orders += 1
        return self._orders

    def run_until_idle(self, steps: int) -> None:
        """Run what is ready until nothing is.

        Raises: StepBudgetExceeded: still not idle after `steps` callbacks. Fail the execution.
        """
        ready = self._ready
        with self._as_running_loop():
            while ready:
                if steps <= 0:
                    raise StepBudgetExceeded(steps)
                steps -= 1
                handle = ready.popleft()
                if not handle.cancelled():
                    try:
                        handle._run()
                    except SystemExit:
                        pass  # The task has it as its exception already; only a worker may decide to exit.

    @contextmanager
    def _as_running_loop(self) -> Iterator[None]:
        outer = asyncio_events._get_running_loop()
        outer_task = asyncio.current_task(outer) if outer is not None else None
        if outer is not None and outer_task is not None:
            asyncio_tasks._leave_task(outer, outer_task)
        asyncio_events._set_running_loop(self)
        self._running = True
        try:
            yield
        finally:
            self._running = False
            asyncio_events._set_running_loop(outer)
            if outer is not None and outer_task is not None:
                asyncio_tasks._enter_task(outer, outer_task)

    def start(self, coro: Coroutine[Any, Any, T]) -> OrchestrationTask[T]:
        """Start the root task, in an empty context: nothing of the worker's context reaches orchestration code."""
        return OrchestrationTask(coro, loop=self, context=contextvars.Context())

    def dispose(self, root: OrchestrationTask[Any] | None) -> None:
        """Drop everything that is ready, then close the root's coroutine so that its `finally` blocks run now."""
        self._ready.clear()
        if root is None or root.done():
            return
        with self._as_running_loop():
            try:
                root.get_coro().close()  # type: ignore[union-attr]
            except RuntimeError:
                pass  # A finally block awaited something: there is nobody left to resume it.
        self._ready.clear()

    def ensure_future(self, awaitable: Any) -> asyncio.Future[Any]:
        """Return `awaitable` as a future of this loop.

        Raises: NotAwaitable: it is neither a future nor a coroutine nor an awaitable object.
        """
        try:
            return asyncio.ensure_future(awaitable, loop=self)
        except TypeError:
            raise NotAwaitable(awaitable) from None

    # What asyncio asks of a running loop.

    def time(self) -> float:
        return (self.now_ms - self._started_ms) / 1000

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = DurableTimerHandle(self.time() + delay, callback, args, self, context)
        handle.timer = None
        # Rounded, not rounded up: deadlines are sums of floats, and 1.5 s must stay 1,500 ms.
        delay_ms = round(delay * 1000)
        if delay_ms <= 0:
            self._ready.append(handle)
            return handle
        handle.timer = self._timers.schedule_timer(delay_ms)
        handle.timer.add_done_callback(lambda timer: None if timer.cancelled() else self._ready.append(handle))
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return OrchestrationFuture(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        # Eager tasks would start in the middle of their creator; order is what this loop is for.
        options.pop("eager_start", None)
        return OrchestrationTask(coro, loop=self, **options)

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore errors nobody retrieved: the engine does not log, and dropping a program leaves some."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """See `call_exception_handler`."""

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do; asyncio's own helpers may ask."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells the loop; `DurableTimerHandle.cancel` has done what is needed."""


def _forbidden(name: str) -> Callable[..., Any]:
    def refuse(self: OrchestrationLoop, *args: Any, **kwargs: Any) -> Any:
        raise ForbiddenInOrchestration(f"The event loop's {name}()")

    refuse.__name__ = name
    return refuse


_ALLOWED = frozenset(vars(OrchestrationLoop)) | {"slow_callback_duration"}
for _name, _member in vars(asyncio.AbstractEventLoop).items():
    if callable(_member) and not _name.startswith("_") and _name not in _ALLOWED:
        setattr(OrchestrationLoop, _name, _forbidden(_name))
OrchestrationLoop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


async def drive(generator: Generator[Any, Any, T]) -> T:
    """Run a generator orchestration as a coroutine: each thing it yields is awaited, its outcome sent or thrown in."""
    try:
        item = generator.send(None)
        while True:
            try:
                value = await _awaitable(item)
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                item = generator.throw(error)
            else:
                item = generator.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _awaitable(item: Any) -> Awaitable[Any]:
    if not hasattr(item, "__await__"):
        raise NotAwaitable(item)
    awaitable: Awaitable[Any] = item
    return awaitable
