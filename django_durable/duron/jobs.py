"""Duron's sessions, of its two generations: `Session(log).start(fn, ...)`, and `fn.invoke(log)` with `job.start(...)`.

One worker of this process runs what they start. It is there as long as the block, as in Duron; what is left then goes
on in the next one, or with any other worker.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engine.errors import InvalidArgument
from .ports import Port
from .standalone import ensure_django
from .storage import LogStorage

if TYPE_CHECKING:
    from ..session import Session as Core
    from .functions import DurableFn
    from .tasks import Task

R = TypeVar("R")


class Session:
    """Runs one durable function under the name that a log has."""

    def __init__(self, log: LogStorage, /, *, tracer: Any = None, readonly: bool = False) -> None:
        self._log = log
        self._tracer = tracer
        self._readonly = readonly
        self._core: Core | None = None

    async def __aenter__(self) -> Session:
        await asyncio.to_thread(ensure_django, self._log.directory, traced=self._tracer is not None)
        from ..session import Session as Core

        self._core = Core(works=not self._readonly)
        await self._core.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        core, self._core = self._core, None
        if core is not None:
            await core.__aexit__(kind, error, traceback)

    @property
    def core(self) -> Core:
        """The session underneath. Raises: InvalidArgument: the block has not begun, or is over."""
        if self._core is None:
            raise InvalidArgument("The session is not open. Use it in its block: async with Session(log) as session.")
        return self._core

    def start(self, fn: DurableFn[R], *args: Any, **kwargs: Any) -> Task[R]:
        """Start it, or go on where it was. Other arguments than those it was started with are an error."""
        task: Task[R] = _task(self.core.start(fn.orchestration, *args, instance_id=self._log.instance_id(), **kwargs))
        return task

    def resume(self, fn: DurableFn[R]) -> Task[R]:
        """Go on with what was started before."""
        task: Task[R] = _task(self.core.resume(self._log.instance_id()))
        return task

    async def verify(self, fn: DurableFn[Any]) -> None:
        """Replay it against the code that is here. Raises: NondeterminismError: the first difference."""
        await self.core.verify(self._log.instance_id())


def _task(started: Any) -> Any:
    """Return a session's task as Duron's."""
    from .tasks import Task

    return Task(started._session, started._started)


class Job(Generic[R]):
    """A durable function and its log, as `async with fn.invoke(log) as job` gives them."""

    def __init__(self, fn: DurableFn[R], log: LogStorage, *, tracer: Any = None) -> None:
        self._fn = fn
        self._session = Session(log, tracer=tracer)
        self._task: Task[R] | None = None
        self._is_started = asyncio.Event()

    async def __aenter__(self) -> Job[R]:
        await self._session.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.__aexit__(kind, error, traceback)

    async def start(self, *args: Any, **kwargs: Any) -> None:
        """Start it, or go on where it was."""
        self._task = self._session.start(self._fn, *args, **kwargs)
        self._is_started.set()
        await self._task

    async def resume(self) -> None:
        """Go on with what was started before."""
        self._task = self._session.resume(self._fn)
        self._is_started.set()
        await self._task

    async def wait(self) -> R:
        """Wait for its end, and return what it returned."""
        return await self.task.result()

    @property
    def task(self) -> Task[R]:
        """What it is, once it is started. Raises: InvalidArgument: it is not."""
        if self._task is None:
            raise InvalidArgument("The job is not started. Call `await job.start(...)` first.")
        return self._task

    def open_stream(self, name: str, mode: str = "r") -> Port:
        """Open one of its streams by name, to read it (`"r"`) or send on it (`"w"`), before it is started or after."""

        async def opened() -> Any:
            await self._is_started.wait()
            return await self.task.open_stream(name, mode)

        return Port(opened)

    async def complete_future(self, id: str, *, result: Any = None, exception: BaseException | None = None) -> None:
        """See `Task.complete_future`."""
        await self.task.complete_future(id, result=result, exception=exception)


def invoke(fn: DurableFn[R], log: LogStorage, /, *, tracer: Any = None) -> Job[R]:
    """Return a context manager in which a durable function runs."""
    return Job(fn, log, tracer=tracer)
