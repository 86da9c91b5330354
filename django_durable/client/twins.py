"""Async twins: every public method of the client is written once, and its twin made of it here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from ..store import connections
from .waits import Wait

Self = TypeVar("Self")
P = ParamSpec("P")
R = TypeVar("R")

_PLAN = "_plan_of_wait"


def waits(plan: Callable[Concatenate[Self, P], Wait[Any, R]]) -> Callable[Concatenate[Self, P], R]:
    """Make a method that waits of one that says what to wait for. Its `twin` waits without holding a thread."""

    @functools.wraps(plan)
    def method(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return plan(self, *args, **kwargs).run()

    setattr(method, _PLAN, plan)
    return method


def twin(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, R]]:
    """Make the async twin of a method.

    It runs in the thread that Django's ORM uses for async code, so it takes part in what `sync_to_async` code has open.
    """
    plan: Callable[Concatenate[Self, P], Wait[Any, R]] | None = getattr(method, _PLAN, None)

    @functools.wraps(method)
    async def asynchronous(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if plan is not None:
            return await plan(self, *args, **kwargs).arun()
        # By its name, so that the twin of a method that a subclass overrides is that of the override.
        return await sync_to_async(_on_sound_connections)(getattr(self, method.__name__), *args, **kwargs)

    asynchronous.__name__ = f"a{method.__name__}"
    asynchronous.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{asynchronous.__name__}"
    asynchronous.__doc__ = f"Async twin of `{method.__name__}`."
    return asynchronous


def _on_sound_connections(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call on connections that no earlier error has broken: outside of requests, nothing else would mend them."""
    connections.mend()
    return call(*args, **kwargs)
