"""Effects: functions that durable functions run, and do not call."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..engine.errors import ForbiddenInOrchestration
from ..engine.loop import OrchestrationLoop
from ..engine.reducing import Reducer


def effect(fn: Callable[..., Any] | None = None, /) -> Any:
    """Mark a function that durable functions run by `ctx.run`; calling it there directly raises.

    Raises: ForbiddenInOrchestration: a durable function called it.
    """
    return effect if fn is None else _guarded(fn)


def _guarded(fn: Callable[..., Any]) -> Callable[..., Any]:
    def check() -> None:
        if isinstance(asyncio._get_running_loop(), OrchestrationLoop):
            raise ForbiddenInOrchestration(f"Calling effect {fn.__name__!r} directly, and not by ctx.run(),")

    if inspect.isasyncgenfunction(fn):

        @functools.wraps(fn)
        async def generate(*args: Any, **kwargs: Any) -> Any:
            check()
            items = fn(*args, **kwargs)
            sent = None
            try:
                while True:
                    sent = yield await items.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                await items.aclose()

        generate.default_reducer = Reducer()  # type: ignore[attr-defined]  # Where its hint names none.
        return generate
    if inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            check()
            return await fn(*args, **kwargs)

        return wait

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        check()
        return fn(*args, **kwargs)

    return call
