"""Code of either style as something to await, how generators go on, and how code that is dropped is closed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from .errors import NotAwaitable

CLOSE_ATTEMPTS = 100
"""How often code that is dropped may await in its cleanup before it is left to the garbage collector."""

T = TypeVar("T")


async def drive(generator: Generator[Any, Any, T]) -> T:
    """Run a generator orchestration as a coroutine: each thing it yields is awaited, its outcome sent or thrown in."""
    try:
        item = generator.send(None)
        while True:
            try:
                value = await awaitable_of(item)
            except GeneratorExit:
                close_fully(generator)
                raise
            except BaseException as error:
                item = generator.throw(error)
            else:
                item = advance(generator, value)
    except StopIteration as stop:
        result: T = stop.value
        return result


def advance(generator: Generator[Any, Any, Any], value: Any) -> Any:
    """Send a value in and return what is yielded next. A `yield from` an iterable goes on as a loop over it would."""
    inner = getattr(generator, "gi_yieldfrom", None)
    while (deeper := getattr(inner, "gi_yieldfrom", None)) is not None:
        inner = deeper
    return generator.send(value if inner is None or hasattr(inner, "send") else None)


def close_fully(code: Any) -> None:
    """Close a coroutine or generator; where its cleanup suspends or raises, close it again, until it has ended.

    What it waits for is closed first. Otherwise an inner one whose cleanup suspends would be lost with the outer one,
    which ends by the RuntimeError about it.
    """
    for _ in range(CLOSE_ATTEMPTS):
        inner = getattr(code, "cr_await", None) or getattr(code, "gi_yieldfrom", None)
        if hasattr(inner, "cr_await") or hasattr(inner, "gi_yieldfrom"):
            close_fully(inner)
        try:
            code.close()
        except KeyboardInterrupt:
            raise
        except BaseException:
            continue  # RuntimeError: it suspended. Anything else: it has ended, and closing it again has no effect.
        return


def awaitable_of(thing: Any) -> Awaitable[Any]:
    """Return what orchestration code waits for as something to await; a generator is driven.

    Raises: NotAwaitable: it is neither a generator nor awaitable.
    """
    if inspect.isgenerator(thing):
        return drive(thing)
    if not hasattr(thing, "__await__"):
        raise NotAwaitable(thing)
    if getattr(thing, "_asyncio_future_blocking", False):
        thing._asyncio_future_blocking = False  # `yield from future` set it for a task, and here it is awaited instead.
    found: Awaitable[Any] = thing
    return found
