"""Orchestrations run by the process that starts them: for scripts, notebooks and tests, on the same store.

    async with Session() as session:
        task = await session.start(checkout, order_id=7)
        print(await task.result())

A session is a worker with the life of an `async with` block. What it has not finished goes on with the next worker,
whether that is another session or `manage.py durable_worker`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from .client import Client, OrchestrationStatus
from .definitions import Orchestration
from .engine.durations import Duration, milliseconds
from .engine.errors import InvalidArgument, NondeterminismError, OrchestrationFailed, WaitTimeout
from .engine.states import RuntimeStatus
from .engine.verification import Mismatch
from .registry import Registry, default
from .store import connections
from .worker.worker import Worker

P = ParamSpec("P")
R = TypeVar("R")

LOOK_AGAIN = timedelta(seconds=2)
"""How often who waits for a result looks whether the instance is blocked, which its wait does not tell."""


class Session:
    """See the module docstring.

    Args:
        registry: Whose code runs; by default what the decorators registered.
        works: Whether this process runs a worker; without one, others have to.
        options: Of the worker, as keywords, see `WorkerOptions`.
    """

    def __init__(self, registry: Registry | None = None, *, works: bool = True, **options: Any) -> None:
        self.registry = registry or default
        self.client = Client(self.registry, using=options.get("using"))
        self._works = works
        self._options = options
        self._worker: Worker | None = None
        self._starts: set[asyncio.Task[str]] = set()

    async def __aenter__(self) -> Session:
        if self._works:
            self._worker = Worker(self.registry, **self._options)
            await _in_thread(self._worker.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._starts:
            await asyncio.wait(self._starts)
        worker, self._worker = self._worker, None
        if worker is not None:
            # Whoever leaves by an error, Ctrl-C for example, does not wait for activities: they are handed back.
            await _in_thread(worker.stop, None if kind is None else 0)

    def start(
        self, orchestration: Orchestration[P, R] | Callable[..., Any], *args: Any, instance_id: str | None = None,
        **kwargs: Any,
    ) -> Task[R]:  # fmt: skip
        """Start an instance, or find the one that the same start made before, and return what it is here.

        `await` the task to know that it is stored, `task.result()` for what comes of it; these raise what the start
        raised.
        """
        definition = self.registry.get_orchestration(orchestration)
        started = asyncio.ensure_future(self._start(definition, args, kwargs, instance_id))
        self._starts.add(started)
        started.add_done_callback(self._starts.discard)
        return Task(self, started)

    async def _start(self, definition: Orchestration[Any, Any], args: Any, kwargs: Any, instance_id: str | None) -> str:
        return await self.client.astart_definition(definition, args, kwargs, instance_id=instance_id)

    def resume(self, instance_id: str) -> Task[Any]:
        """Return a task for an instance that was started before, here or elsewhere."""
        return Task(self, asyncio.ensure_future(self._find(instance_id)))

    async def _find(self, instance_id: str) -> str:
        return (await self.client.aget_status_record(instance_id)).instance_id

    async def verify(self, instance_id: str) -> None:
        """Replay every execution of an instance against the code that is here.

        Raises: NondeterminismError, or what else `verify_instance` found, at the first difference. InstanceNotFound.
        """
        found = await self.client.averify_instance(instance_id)
        if found is not None:
            raise differs(found)


class Task(Generic[R]):
    """An instance as the session that started it has it. `await task` waits until it is stored."""

    def __init__(self, session: Session, started: asyncio.Future[str]) -> None:
        self._session = session
        self._started = started

    def __await__(self) -> Generator[Any, Any, Task[R]]:
        yield from asyncio.shield(self._started).__await__()
        return self

    @property
    def instance_id(self) -> str:
        """The id of the instance. Raises: InvalidArgument: it is not stored yet; await the task first."""
        if not self._started.done():
            raise InvalidArgument("The task is not started yet. Await it first: task = await session.start(...).")
        return self._started.result()

    async def result(self, timeout: Duration | None = None) -> R:
        """Wait for the end, and return what the code returned.

        Args:
            timeout: timedelta or int milliseconds; None waits as long as it takes.
        Raises: OrchestrationFailed: it failed, was canceled, or is blocked until somebody corrects its code.
            WaitTimeout: it goes on; ask again.
        """
        await self
        client, name, left = self._session.client, self.instance_id, _milliseconds(timeout)
        while True:
            part = LOOK_AGAIN if left is None else min(LOOK_AGAIN, timedelta(milliseconds=left))
            try:
                output: R = await client.await_for_output(name, part)
                return output
            except WaitTimeout:
                status = await client.aget_status_record(name)
                if status.runtime_status is RuntimeStatus.BLOCKED and status.blocked_reason is not None:
                    raise OrchestrationFailed(f"Instance {name!r} is blocked, and", status.blocked_reason) from None
                left = None if left is None else left - round(part / timedelta(milliseconds=1))
                if left is not None and left <= 0:
                    raise

    async def status(self) -> OrchestrationStatus:
        """Return how it is."""
        await self
        return await self._session.client.aget_status(self.instance_id)

    async def cancel(self, reason: str | None = None) -> None:
        """Ask the code to end; it is told where it waits, and may clean up."""
        await self
        await self._session.client.acancel_instance(self.instance_id, reason)

    async def raise_event(self, name: str, data: Any = None) -> None:
        """Send an external event."""
        await self
        await self._session.client.araise_event(self.instance_id, name, data)

    async def open_stream(self, name: str, mode: str = "r", **options: Any) -> Any:
        """Open one of its streams by name, to read it (`"r"`) or to send on it (`"w"`); see `client.aopen_stream`."""
        await self
        client: Any = self._session.client
        return await client.aopen_stream(self.instance_id, name, mode, **options)

    async def verify(self) -> None:
        """Replay it against the code that is here; see `Session.verify`."""
        await self
        await self._session.verify(self.instance_id)


async def _in_thread(call: Callable[..., Any], *args: Any) -> None:
    """Call what uses the database in a thread, which keeps no connection afterwards."""

    def run() -> None:
        try:
            call(*args)
        finally:
            connections.close_all()

    await asyncio.to_thread(run)


def differs(found: Mismatch) -> Exception:
    """Return the error that a mismatch is."""
    if found.seq is not None:
        return NondeterminismError(found.seq, found.recorded, found.requested, found.differences)
    return InvalidArgument(found.detail)


def _milliseconds(timeout: Duration | None) -> int | None:
    return None if timeout is None else milliseconds(timeout, "timeout")
