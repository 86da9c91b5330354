"""The context as Duron's durable functions know it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from ..engine.context import OrchestrationContext
from ..engine.errors import PromiseSettled
from ..engine.futures import DurableFuture
from ..engine.generated import Generated
from ..engine.ports import Port, provided
from .effects import effect


class Context:
    """Duron's verbs over an `OrchestrationContext`, whose own verbs it has as well."""

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx

    def run(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Run a callable once, whatever happens to this process; see `OrchestrationContext.run`."""
        return self._ctx.run(_marked(function), *args, **kwargs)

    def stream(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Generated[Any, Any]:
        """Run an async generator; `async with` gives the stream of what it yields and the future of its state."""
        return self._ctx.stream(_marked(function), *args, **kwargs)

    async def time(self) -> float:
        """Return the history's clock in seconds since the epoch."""
        return self._ctx.now.timestamp()

    async def time_ns(self) -> int:
        """Return the history's clock in nanoseconds since the epoch."""
        return round(self._ctx.now.timestamp() * 1_000_000) * 1_000

    def random(self) -> Random:
        """Return random numbers that are the same on every replay."""
        return self._ctx.random

    async def create_future(self, dtype: Any = Any, /, *, name: str = "promise") -> tuple[str, DurableFuture[Any]]:
        """Return the id of a new promise and the future of its result; see `OrchestrationContext.create_future`."""
        made = self._ctx.create_future(dtype, name=name)
        return made.promise_id, made

    async def complete_future(
        self, id: str, *, result: Any = None, exception: BaseException | None = None, result_type: Any = None
    ) -> None:
        """Settle a promise of this execution from inside, as others do from outside.

        Raises: ActivityError, of the type PromiseSettled: somebody else was first.
        """
        mark = f"orchestration {await self._ctx.new_guid()}"
        await self._ctx.run(_settle, self._ctx.instance_id, id, result, exception, mark)

    def provided(self, ports: Iterable[Port]) -> dict[str, Any]:
        """Return the streams and signals of parameters that are provided."""
        return provided(self._ctx._program, ports)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


def _marked(function: Any) -> Any:
    """Return an async generator as an effect: the mark is optional, and with it a reducer is."""
    return effect(function) if inspect.isasyncgenfunction(function) else function


def _settle(instance_id: str, id: str, result: Any, exception: BaseException | None, mark: str) -> None:
    """Settle a promise; `mark` tells a step that is run once more, after a crash, that it was done."""
    from ..client import client

    try:
        if exception is not None:
            client.fail_promise(instance_id, id, exception, by=mark)
        else:
            client.complete_promise(instance_id, id, result, by=mark)
    except PromiseSettled as settled:
        if settled.settled_by != mark:
            raise
