"""The private deterministic event loop on which orchestration code of either style runs.

Theory of operation. Each execution has its own loop. The loop is running only while an event is being applied; it runs
what is ready, first in first out, until nothing is, and stops. Its clock is the history's clock, given from outside.
Timers it is asked for become durable timers of the execution. Tasks and futures hash by the order of their creation,
so sets of them (`asyncio.wait` returns two) iterate alike on every replay; a `TaskGroup` keeps its tasks in it (see
`unordered`). Whatever would do I/O, use a thread or wait for something that no history records raises
`ForbiddenInOrchestration`.

Steps are counted, those of the loop and what the code asks for between them, so code that spins is stopped.

The loop owns its tasks until they are done: nothing that an author forgot is left to the garbage collector, whose
moment no history records. `dispose` closes what is left, with nobody to listen.

The loop is set as the running loop of its thread while it runs, so `asyncio` functions find it and Django's async
guard refuses ORM calls. A loop that was running before (an application's own) is set aside and put back.

This file, `unordered`, and `checkpointed`, which takes tasks and futures apart, are all of the engine that touches
asyncio.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
from asyncio import events as asyncio_events, tasks as asyncio_tasks
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from sys import get_asyncgen_hooks, set_asyncgen_hooks
from typing import Any, Protocol, TypeVar

from .driving import awaitable_of, close_fully
from .durations import milliseconds
from .errors import ForbiddenInOrchestration, InvalidArgument, StepBudgetExceeded
from .unordered import keep_in_order, refuse_coroutines

CancelledError = asyncio.CancelledError
"""Raised into orchestration code at its await when it, or the task it runs in, is canceled."""

T = TypeVar("T")


class OutOfSteps(BaseException):
    """Ends code that has used up its steps; no `Exception`, so that `except Exception` of that code lets it pass."""


class LoopHost(Protocol):
    """What the loop needs of its program."""

    def schedule_timer(self, delay_ms: int) -> asyncio.Future[None]:
        """Return the future of a durable timer."""

    def run_by_task(self, coro: Any) -> Any:
        """Return what a task runs that is made of a coroutine."""

    def report(self, message: str, error: BaseException) -> None:
        """Tell of an error that no code of the author has seen."""


class OrchestrationFuture(asyncio.Future[T]):
    """A future that hashes by creation order."""

    def __init__(self, *, loop: OrchestrationLoop) -> None:
        loop.count_step()
        self._order = loop.next_order()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._order


class OrchestrationTask(asyncio.Task[T]):
    """A task that hashes by creation order, and is named by it: asyncio's own counter runs on through the process."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        loop: OrchestrationLoop,
        name: object = None,
        order: int | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> None:
        self._order = loop.next_task() if order is None else order
        self.context = contextvars.copy_context() if context is None else context
        named = loop.task_name() if name is None else str(name)
        super().__init__(coro, loop=loop, name=named, context=self.context, **options)
        loop.own(self)

    def __hash__(self) -> int:
        return self._order


class DurableTimerHandle(asyncio.TimerHandle):
    """What `call_later` returns; canceling it takes the durable timer back."""

    __slots__ = ("timer",)
    _loop: OrchestrationLoop
    timer: asyncio.Future[None] | None

    def fire(self, timer: asyncio.Future[None]) -> None:
        """Have the loop run it, unless its timer was taken back."""
        if not timer.cancelled():
            self._loop.make_ready(self)

    def cancel(self) -> None:
        if not self.cancelled() and self.timer is not None:
            self.timer.cancel()
        asyncio.Handle.cancel(self)


class OrchestrationLoop(asyncio.AbstractEventLoop):
    """See the module docstring. `now_ms` is set by the program before it runs the loop.

    `salt` is where the hashes of tasks and futures start: the same on every replay, another one for each execution,
    or the tasks of many executions would collide in the sets that asyncio keeps for the whole process.

    Since version 2 of the engine, task groups keep their tasks in order, and tasks are numbered apart from futures:
    how many of those a function of asyncio makes depends on the version of Python, and on how the code is run.
    """

    def __init__(self, host: LoopHost, *, started_ms: int, salt: int, engine_version: int) -> None:
        self.now_ms = started_ms
        self._started_ms = started_ms
        self._host: LoopHost | None = host
        self._ready: deque[asyncio.Handle] = deque()
        self._order = self._last_task = salt
        self._orders_tasks = engine_version >= 2
        self._named = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._steps_left = 0

    @property
    def host(self) -> LoopHost | None:
        """The program, until it is dropped."""
        return self._host

    def next_order(self) -> int:
        """Return the next number of the creation order of futures."""
        self._order += 1
        return self._order

    def next_task(self) -> int:
        """Return the next number of the creation order of tasks."""
        if not self._orders_tasks:
            return self.next_order()
        self._last_task += 1
        return self._last_task

    def task_name(self) -> str:
        """Return the next name for a task that was given none."""
        self._named += 1
        return f"Task-{self._named}"

    def own(self, task: OrchestrationTask[Any]) -> None:
        """Keep a task until it is done."""
        self._tasks[task] = None
        task.add_done_callback(self._disown)

    def _disown(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def run_until_idle(self, steps: int) -> None:
        """Run what is ready until nothing is.

        Raises: StepBudgetExceeded: still not idle after `steps` callbacks, futures and commands. Fail the execution.
        """
        ready = self._ready
        self._steps_left = steps
        handle: asyncio.Handle | None
        with _Running(self, self._close_generator):
            while ready and self._steps_left > 0:
                self._steps_left -= 1
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                try:
                    handle._run()
                except SystemExit:
                    continue  # The task has it as its exception already; only a worker may decide to exit.
        # The traceback of an error may hold this frame, and the handle the task that holds the error.
        handle = None
        if ready or self._steps_left < 0:
            raise StepBudgetExceeded(steps)

    def make_ready(self, handle: asyncio.Handle) -> None:
        """Run a handle behind what is ready already."""
        self._ready.append(handle)

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done, oldest first."""
        return list(self._tasks)

    def standing(self) -> tuple[int, int, int, int]:
        """Return when the loop started (ms since the epoch), and the numbers of the last future, name and task."""
        return self._started_ms, self._order, self._named, self._last_task

    def stand(self, started_ms: int, order: int, named: int, last_task: int = 0) -> None:
        """Go on from `standing`; version 1 of the engine did not number tasks."""
        self._started_ms, self._order, self._named, self._last_task = started_ms, order, named, last_task

    def count_step(self) -> None:
        """Count something that code may ask for without ever suspending: a command, a future. Raises: OutOfSteps."""
        self._steps_left -= 1
        if self._steps_left < 0 and self.is_running() and self._host is not None:
            raise OutOfSteps

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Close an async generator that was left before its end, as asyncio does, unless the program itself is left."""
        if self.is_running() and self._host is not None:
            self.create_task(generator.aclose())

    def start(self, coro: Coroutine[Any, Any, T]) -> OrchestrationTask[T]:
        """Start the root task, in an empty context: nothing of the worker's context reaches orchestration code."""
        return OrchestrationTask(coro, loop=self, context=contextvars.Context())

    def dispose(self) -> None:
        """Drop what is ready, then close all that is not done, oldest first, so that its `finally` blocks run now.

        Nothing runs after that: what the blocks start is closed unstarted, where they await they are closed again, and
        what they raise is lost. The loop forgets its host, so that both are freed without the garbage collector.
        """
        self._host = None
        self._ready.clear()
        with _Running(self, self._close_generator):
            while self._tasks:
                task = next(iter(self._tasks))
                del self._tasks[task]
                close_fully(task.get_coro())
                task.cancel()  # Cuts the circle of a task and the future it waits for; nothing of it runs any more.
        self._ready.clear()

    def ensure_future(self, thing: Any) -> asyncio.Future[Any]:
        """Return a future, coroutine, generator or other awaitable as a future of this loop. Raises: NotAwaitable."""
        future: asyncio.Future[Any] = asyncio.ensure_future(awaitable_of(thing), loop=self)
        return future

    # What asyncio asks of a running loop.

    def time(self) -> float:
        return (self.now_ms - self._started_ms) / 1000

    def is_running(self) -> bool:
        """Whether this loop is the running loop of this very thread."""
        return asyncio_events._get_running_loop() is self

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
        milliseconds = delay_ms(delay)
        if milliseconds == 0:
            self._ready.append(handle)
            return handle
        if self._host is None:
            return handle
        handle.timer = self._host.schedule_timer(milliseconds)
        handle.timer.add_done_callback(handle.fire)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def running_task(self) -> OrchestrationTask[Any]:
        """Return the task whose code runs now."""
        task = asyncio.current_task(self)
        assert isinstance(task, OrchestrationTask)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        return OrchestrationFuture(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        refuse_coroutines(inspect.currentframe())
        if self._orders_tasks:
            keep_in_order(inspect.currentframe())
        # Eager tasks would start in the middle of their creator; order is what this loop is for.
        options.pop("eager_start", None)
        if not asyncio.iscoroutine(coro):
            # What a verb returns is a future, and asyncio's own loops take coroutines only.
            coro = outcome_of(self.ensure_future(coro))
        elif self._host is not None:
            coro = self._host.run_by_task(coro)
        return OrchestrationTask(coro, loop=self, **options)

    def get_task_factory(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody retrieved. What is only destroyed while pending was dropped on purpose."""
        if (error := context.get("exception")) is not None and self._host is not None:
            self._host.report(context["message"], error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """See `call_exception_handler`."""
        self.call_exception_handler(context)

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do; asyncio's own helpers may ask."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells the loop; `DurableTimerHandle.cancel` has done what is needed."""


class _Running:
    """Makes a loop the running one for a block, and what was running before it after that.

    A class, because a generator under `contextmanager` costs several times as much, and every turn takes one.
    """

    __slots__ = ("_finalizer", "_hooks", "_loop", "_outer", "_outer_task")

    def __init__(self, loop: OrchestrationLoop, finalizer: Callable[[AsyncGenerator[Any, Any]], None]) -> None:
        self._loop = loop
        self._finalizer = finalizer

    def __enter__(self) -> None:
        outer = self._outer = asyncio_events._get_running_loop()
        self._outer_task = asyncio.current_task(outer) if outer is not None else None
        self._hooks = get_asyncgen_hooks()
        if outer is not None and self._outer_task is not None:
            asyncio_tasks._leave_task(outer, self._outer_task)
        asyncio_events._set_running_loop(self._loop)
        set_asyncgen_hooks(firstiter=None, finalizer=self._finalizer)

    def __exit__(self, *error: object) -> None:
        set_asyncgen_hooks(*self._hooks)
        asyncio_events._set_running_loop(self._outer)
        if self._outer is not None and self._outer_task is not None:
            asyncio_tasks._enter_task(self._outer, self._outer_task)


def _forbidden(name: str) -> Callable[..., Any]:
    def refuse(self: OrchestrationLoop, *args: Any, **kwargs: Any) -> Any:
        raise ForbiddenInOrchestration(f"The event loop's {name}()")

    refuse.__name__ = name
    return refuse


for _name, _member in vars(asyncio.AbstractEventLoop).items():
    if callable(_member) and not _name.startswith("_") and _name not in vars(OrchestrationLoop):
        setattr(OrchestrationLoop, _name, _forbidden(_name))


def delay_ms(delay: float) -> int:
    """Return the delay of a timer that asyncio asks for, in milliseconds; what is past is due at once.

    Raises: InvalidArgument: longer than a century, infinite, or not a number.
    """
    if not math.isfinite(delay):
        raise InvalidArgument(f"The delay is {delay!r} s, expected a finite number. To wait for ever, give no timeout.")
    # Rounded, not rounded up: deadlines are sums of floats, and 1.5 s must stay 1,500 ms.
    return milliseconds(max(0, round(delay * 1000)), "delay")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, if one does."""
    return asyncio_events._get_running_loop()


async def outcome_of(future: asyncio.Future[T]) -> T:
    """Wait for a future; what a task runs that was made of one."""
    return await future
