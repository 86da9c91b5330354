"""The context as Duron's durable functions know it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from ..engine.context import OrchestrationContext
from ..engine.futures import DurableFuture


class Context:
    """Duron's verbs over an `OrchestrationContext`, whose own verbs it has as well."""

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx

    def run(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> DurableFuture[Any]:
        """Run a callable once, whatever happens to this process; see `OrchestrationContext.run`."""
        return self._ctx.run(function, *args, **kwargs)

    async def time(self) -> float:
        """Return the history's clock in seconds since the epoch."""
        return self._ctx.now.timestamp()

    async def time_ns(self) -> int:
        """Return the history's clock in nanoseconds since the epoch."""
        return round(self._ctx.now.timestamp() * 1_000_000) * 1_000

    def random(self) -> Random:
        """Return random numbers that are the same on every replay."""
        return self._ctx.random

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)
